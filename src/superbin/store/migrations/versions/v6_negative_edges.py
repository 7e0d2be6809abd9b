"""Version 6: bins may have negative edges, as of a rapidity or the output of a classifier."""

import sqlalchemy as sa
from alembic import op

from superbin.store.schema import OPTIONS

revision = "6"
down_revision = "5"


def upgrade() -> None:
    """Drop the rule that an edge is not negative; nothing else changes."""
    connection = op.get_bind()
    dialect = connection.dialect
    if dialect.name == "postgresql":
        op.execute("ALTER TABLE bin_ranges DROP CONSTRAINT IF EXISTS bin_ranges_low_check")
    elif dialect.name == "sqlite":
        _make_again(connection)
    elif getattr(dialect, "is_mariadb", True):
        op.execute("ALTER TABLE bin_ranges MODIFY low DOUBLE NOT NULL")  # the rule is part of the column
    else:
        query = (
            "SELECT constraint_name FROM information_schema.check_constraints WHERE constraint_schema = database()"
            " AND constraint_name LIKE 'bin\\_ranges%' AND check_clause LIKE '%low%>= 0%'"
        )
        for name in connection.scalars(sa.text(query)).all():
            op.execute(f"ALTER TABLE bin_ranges DROP CHECK {name}")


def _make_again(connection: sa.Connection) -> None:
    """SQLite cannot drop a rule; no other table refers to this one."""
    columns = "search_id, bin, observable, low, high"
    rows = connection.execute(sa.text(f"SELECT {columns} FROM bin_ranges")).all()
    op.drop_table("bin_ranges")
    op.create_table(
        "bin_ranges",
        sa.Column("search_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bin", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("observable", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("low", sa.Double, nullable=False),
        sa.Column("high", sa.Double),
        sa.CheckConstraint("high >= low"),
        sa.ForeignKeyConstraint(["search_id", "bin"], ["bins.search_id", "bins.number"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["search_id", "observable"], ["observables.search_id", "observables.position"], ondelete="CASCADE"
        ),
        **OPTIONS,
    )
    if rows:
        insert = sa.text(
            f"INSERT INTO bin_ranges ({columns}) VALUES (:search_id, :bin, :observable, :low, :high)"
        )
        connection.execute(insert, [row._asdict() for row in rows])
