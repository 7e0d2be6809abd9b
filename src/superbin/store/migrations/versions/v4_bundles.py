"""Version 4: files that belong to a search, such as its covariance, grids and likelihood."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from superbin.store.schema import OPTIONS

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Make the table; the records of searches without files stay as they are."""
    op.create_table(
        "bundle_files",
        sa.Column(
            "search_id",
            sa.Integer,
            sa.ForeignKey("searches.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column(
            "content", sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"), nullable=False
        ),
        if_not_exists=True,
        **OPTIONS,
    )
