"""The tables are those of the specification."""

import re
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from superbin.store import Store
from superbin.store.engine import locate, open_engine

SPEC = Path(__file__).parents[3] / "specs" / "store.md"


def statements(path: Path) -> dict[str, str]:
    """The CREATE statements a database was made by, without comments and spacing."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    return {name: re.sub(r"\s+|--.*", "", sql) for name, sql in rows}


def test_specified_statements_make_the_same_tables(tmp_path: Path) -> None:
    """STORE-3, STORE-17: the DDL in the specification, run by SQLite, gives what superbin makes, table by table."""
    (ddl,) = re.findall(r"```sql\n(.*?)```", SPEC.read_text(encoding="utf-8"), re.DOTALL)
    connection = sqlite3.connect(tmp_path / "specified.sqlite")
    connection.executescript(ddl)
    connection.close()
    Store(tmp_path / "made.sqlite").close()
    assert statements(tmp_path / "specified.sqlite") == statements(tmp_path / "made.sqlite")


def test_foreign_keys_are_on(tmp_path: Path) -> None:
    """STORE-3: SQLite, in which they are off by default, refuses a row that belongs to nothing."""
    path = tmp_path / "s.sqlite"
    Store(path).close()
    engine = open_engine(locate(path))
    try:
        with engine.connect() as connection:
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
            with pytest.raises(IntegrityError, match="FOREIGN KEY"):
                connection.execute(text("INSERT INTO bins VALUES (1, 1)"))
    finally:
        engine.dispose()
