"""Migrations by Alembic: one revision for every schema version, in ``versions``, each named by its number.

A new version takes three steps: change ``schema.py`` and the statements in ``specs/store.md``; raise
`superbin.store.schema.SCHEMA_VERSION`; add ``versions/v<N>_<what>.py`` with ``revision = "<N>"``, ``down_revision`` the one
before and a function ``upgrade``. The tests then bring databases of every earlier version here on every server, and
compare the tables with those that a new database gets.

A revision is never changed once it is released, so it holds its own copy of the tables and recipes it works with. On MariaDB
it may be run again after it was interrupted at any statement: what it makes may be there already (`add_column` and
``if_not_exists`` look first).

The version of a database stands in its table ``superbin``, where superbin has had it since version 1, and nowhere else.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, column, inspect, table, update

__all__ = ["add_column", "upgrade"]


def upgrade(connection: Connection, version: int) -> None:
    """Bring the tables of an older version to the newest, revision by revision; the caller commits.

    Parameters
    ----------
    connection : Connection
        In a transaction of `superbin.store.engine.migrating`.
    version : int
        The version they have.
    """
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent))
    revisions = list(scripts.iterate_revisions("heads", str(version)))
    marker = table("superbin", column("schema_version"))
    with Operations.context(MigrationContext.configure(connection)):
        for revision in reversed(revisions):
            revision.module.upgrade()
            connection.execute(update(marker).values(schema_version=int(revision.revision)))


def add_column(table_name: str, new: "Column[Any]") -> None:
    """Add a column, unless an interrupted migration did; on SQLite and MariaDB there is no IF NOT EXISTS for it."""
    from alembic import op

    found = {entry["name"] for entry in inspect(op.get_bind()).get_columns(table_name)}
    if new.name not in found:
        op.add_column(table_name, new)
