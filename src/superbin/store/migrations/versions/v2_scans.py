"""Version 2: scans with their points."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from superbin.store.schema import OPTIONS

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Make the three tables; interrupted, they are made up."""
    op.create_table(
        "scans",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("search_id", sa.Integer, sa.ForeignKey("searches.id", ondelete="CASCADE"), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("search_digest", sa.String(64), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("superbin_version", sa.String(64), nullable=False),
        sa.Column("started_utc", sa.DateTime, nullable=False),
        if_not_exists=True,
        **OPTIONS,
    )
    op.create_table(
        "scan_parameters",
        _of_scan(),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.UniqueConstraint("scan_id", "name"),
        if_not_exists=True,
        **OPTIONS,
    )
    op.create_table(
        "scan_points",
        _of_scan(),
        sa.Column("signal_digest", sa.String(64), primary_key=True),
        sa.Column("point", sa.String(500), nullable=False),
        sa.Column("cross_section_pb", sa.Double, sa.CheckConstraint("cross_section_pb > 0")),
        sa.Column("cross_section_error", sa.Double, sa.CheckConstraint("cross_section_error >= 0")),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("result", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")),
        sa.Column("seconds", sa.Double, sa.CheckConstraint("seconds >= 0"), nullable=False),
        sa.Column("finished_utc", sa.DateTime, nullable=False),
        sa.CheckConstraint(
            "(status = 'done' AND result IS NOT NULL AND reason IS NULL)"
            " OR (status = 'failed' AND result IS NULL AND reason IS NOT NULL)"
        ),
        if_not_exists=True,
        **OPTIONS,
    )


def _of_scan() -> "sa.Column[int]":
    return sa.Column(
        "scan_id",
        sa.Integer,
        sa.ForeignKey("scans.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
