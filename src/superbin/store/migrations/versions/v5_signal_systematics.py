"""Version 5: systematic uncertainties of signals."""

import sqlalchemy as sa
from alembic import op

from superbin.store.migrations import add_column
from superbin.store.schema import OPTIONS

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Add the column and the tables; signals stored before have none, and keep their digests."""
    add_column(
        "signals",
        sa.Column(
            "relative_error",
            sa.Double,
            sa.CheckConstraint("relative_error >= 0"),
            nullable=False,
            server_default=sa.text("0"),
        ),
    )
    op.create_table(
        "signal_variations",
        sa.Column(
            "signal_id",
            sa.Integer,
            sa.ForeignKey("signals.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.UniqueConstraint("signal_id", "name"),
        if_not_exists=True,
        **OPTIONS,
    )
    op.create_table(
        "signal_variation_yields",
        sa.Column("signal_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("variation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bin", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("events_up", sa.Double, sa.CheckConstraint("events_up >= 0"), nullable=False),
        sa.Column("events_down", sa.Double, sa.CheckConstraint("events_down >= 0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["signal_id", "variation"],
            ["signal_variations.signal_id", "signal_variations.position"],
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["signal_id", "bin"], ["signal_yields.signal_id", "signal_yields.bin"], ondelete="CASCADE"
        ),
        if_not_exists=True,
        **OPTIONS,
    )
