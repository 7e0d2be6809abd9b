"""Finding and opening a database: where it is, and one clear line for everything that can be wrong with it."""

import os
import shutil
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from superbin.catalog import open_catalog
from superbin.domain.search import Search
from superbin.errors import DatabaseError, MissingDependencyError
from superbin.store import Store
from superbin.store.engine import describe, locate, retyped


def test_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STORE-4: without a name or the variable, a file in the user's data directory, which is made."""
    monkeypatch.delenv("SUPERBIN_DATABASE")
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path / "deep" / "data")
    assert locate().database == str(tmp_path / "deep" / "data" / "superbin.sqlite")
    assert (tmp_path / "deep" / "data").is_dir()


def test_variable_and_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STORE-4: the option goes before the variable, and both before the default; an empty variable is none."""
    monkeypatch.setenv("SUPERBIN_DATABASE", str(tmp_path / "variable.sqlite"))
    assert locate().database == str(tmp_path / "variable.sqlite")
    assert locate(tmp_path / "option.sqlite").database == str(tmp_path / "option.sqlite")
    monkeypatch.setenv("SUPERBIN_DATABASE", "")
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path)
    assert locate().database == str(tmp_path / "superbin.sqlite")


def test_paths_and_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STORE-4: a path is a SQLite file, relative to here or to home; a URL is taken as it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert locate("a b.sqlite").database == str(tmp_path / "a b.sqlite")
    assert locate("~/x.sqlite").database == str(tmp_path / "home" / "x.sqlite")
    assert locate("sqlite:////y/x.sqlite").database == "/y/x.sqlite"
    assert locate("sqlite:///?x=%2F").drivername == "sqlite"


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg2"),
        ("mysql://u@h/d", "mysql+pymysql"),
        ("mariadb://u@h/d", "mariadb+pymysql"),
    ],
)
def test_default_drivers(given: str, driver: str) -> None:
    """STORE-12: a bare dialect means the same driver under SQLAlchemy 2.0 and 2.1."""
    assert locate(given).drivername == driver


def test_passwords_are_not_told() -> None:
    """STORE-10: no text shows a password."""
    assert describe(locate("postgresql://u:hunter2@h/d")) == "postgresql+psycopg://u:***@h/d"
    with pytest.raises(DatabaseError, match=r"^the database URL cannot be parsed") as caught:
        locate("postgresql://u:hunter2@h:port/d")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "package"), [("postgresql://h/d", "superbin[postgresql]"), ("mysql://h/d", "superbin[mariadb]")]
)
def test_missing_driver(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """STORE-10: a driver that is not installed is named, with how to install it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(MissingDependencyError) as caught:
        Store(url)
    assert str(caught.value).endswith(f"needs a driver that is not installed; run: pip install '{package}'")


def test_unknown_kind() -> None:
    """STORE-10: an unknown dialect is named with those that are known."""
    with pytest.raises(
        DatabaseError, match=r"^database cobol://h/d is of an unknown kind; use a file's path, postgr"
    ):
        Store("cobol://h/d")


def test_bad_option() -> None:
    """STORE-10: an option that the driver cannot read is an error of the URL."""
    with pytest.raises(
        DatabaseError, match=r"^database .* cannot be used: .* choose another place with --database"
    ):
        Store("sqlite:///x.sqlite?check_same_thread=maybe")


def test_newer_schema(tmp_path: Path) -> None:
    """STORE-11: a database of a newer superbin is not touched."""
    path = tmp_path / "s.sqlite"
    Store(path).close()
    execute(path, "UPDATE superbin SET schema_version = 7")
    content = path.read_bytes()
    with pytest.raises(
        DatabaseError,
        match=r"^database .*s\.sqlite has schema version 7; superbin .* reads version 6: install",
    ):
        Store(path)
    assert path.read_bytes() == content


def test_other_tables(tmp_path: Path) -> None:
    """STORE-10: a database of something else is not touched."""
    path = tmp_path / "s.sqlite"
    execute(path, "CREATE TABLE beasts (id INTEGER)")
    content = path.read_bytes()
    with pytest.raises(
        DatabaseError, match=r"holds other tables \(beasts\), and is not superbin's; name an empty database"
    ):
        Store(path)
    assert path.read_bytes() == content


def test_interrupted_creation_is_taken_up(tmp_path: Path, small_search: Search) -> None:
    """STORE-5: tables without the row that vouches for them, as a killed process leaves them on a server, are completed."""
    path = tmp_path / "s.sqlite"
    Store(path).close()
    for statement in ("DELETE FROM superbin", "DROP TABLE signal_yields", "DROP TABLE estimates"):
        execute(path, statement)
    with Store(path) as store:
        store.add_search(small_search)
        assert store.search("small").digest == small_search.digest


def test_not_a_database(tmp_path: Path) -> None:
    """STORE-10: a file of something else."""
    path = tmp_path / "notes.txt"
    path.write_text("Remember the milk.\n" * 100)
    with pytest.raises(
        DatabaseError, match=r"^database .*notes\.txt is not a SQLite database, or is damaged; restore it"
    ):
        Store(path)
    assert path.read_text() == "Remember the milk.\n" * 100


@pytest.mark.parametrize("kept", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_truncated_file(tmp_path: Path, kept: float) -> None:
    """STORE-10: a file cut short is damaged, wherever it was cut."""
    path = tmp_path / "s.sqlite"
    open_catalog(path).close()
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DatabaseError, match=r"is damaged"), open_catalog(path) as catalog:
        catalog.search("cms-pas-sus-16-014")


def test_empty_file_is_filled(tmp_path: Path) -> None:
    """STORE-5: a file without content is a database that nobody has used."""
    path = tmp_path / "s.sqlite"
    path.touch()
    with open_catalog(path) as catalog:
        assert [s.name for s in catalog.searches()] == ["cms-pas-sus-16-014", "cms-sus-16-033"]


def test_no_such_folder(tmp_path: Path) -> None:
    """STORE-10: the folder of a file that a user names must exist."""
    with pytest.raises(
        DatabaseError, match=r"cannot be opened; its folder must exist and be writable, or choose another"
    ):
        Store(tmp_path / "missing" / "s.sqlite")
    with pytest.raises(DatabaseError, match=r"cannot be opened"):
        Store(tmp_path)


def test_locked(tmp_path: Path, small_search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """STORE-7: a writer that another keeps waiting for too long says so."""
    monkeypatch.setattr("superbin.store.engine._PATIENCE", 0.1)
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            DatabaseError, match=r"is being written by another process; try again when that is done$"
        ):
            store.add_search(small_search)
        other.execute("ROLLBACK")
        other.close()
        store.add_search(small_search)


@pytest.fixture
def read_only_place() -> Iterator[Path]:
    """A folder that nobody may write, not even in the tests of root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Run a block as a user for whom `folder` and what is in it are read-only."""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def read_only(path: Path) -> str:
    """A URL by which SQLite opens a file for reading only, also for root."""
    return f"sqlite:///file:{path}?mode=ro&uri=true"


def test_read_only_database_is_read(tmp_path: Path) -> None:
    """STORE-10: a filled database need not be writable, unless something is written."""
    path = tmp_path / "s.sqlite"
    open_catalog(path).close()
    with open_catalog(read_only(path)) as catalog:
        search = catalog.search("cms-pas-sus-16-014")
        with pytest.raises(
            DatabaseError, match=r"cannot be written; make the file and its folder writable, or choose"
        ):
            catalog.add(search, replace=True)


def test_read_only_database_of_another_version(tmp_path: Path) -> None:
    """STORE-6: a database that should be brought up to date and cannot says both."""
    path = tmp_path / "s.sqlite"
    open_catalog(path).close()
    execute(path, "UPDATE superbin SET packaged_digest = 'other'")
    with pytest.raises(
        DatabaseError, match=r"^the tables of superbin .* are not in the database yet: .* cannot be written"
    ):
        open_catalog(read_only(path))


def test_read_only_default_place(read_only_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STORE-4: a data directory that cannot be made or written names the ways out."""
    monkeypatch.delenv("SUPERBIN_DATABASE")
    cure = "choose another place with --database or SUPERBIN_DATABASE"
    for folder, text in ((read_only_place, "cannot be opened"), (read_only_place / "x", "cannot be made")):
        monkeypatch.setattr("platformdirs.user_data_path", lambda *_, folder=folder, **__: folder)
        with unprivileged(read_only_place), pytest.raises(DatabaseError, match=f"{text}.*{cure}"):
            open_catalog()


def execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mariadb://u:hunter2@h/d", "mariadb+pymysql://u:***@h/d"),
        ("postgresql://u@h/d?password=hunter2", "postgresql+psycopg://u@h/d?password=%2A%2A%2A"),
        ("postgresql://u@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require"),
        ("here.sqlite", "here.sqlite"),
    ],
)
def test_suggested_commands_have_no_secrets(url: str, shown: str) -> None:
    """STORE-24: as the user typed it, unless that has a secret."""
    assert retyped(url) == shown


@pytest.mark.parametrize(
    "mistyped",
    [
        "postgresql:/u:hunter2@h/d",
        "postgres:u:hunter2@h/d",
        "mysql+pymysql:u:hunter2@h",
        "postgresql://u:hunter2@h:port/d",
    ],
)
def test_a_mistyped_url_is_not_repeated(mistyped: str) -> None:
    """STORE-24: not in the error, nor in what a traceback would show as its cause; and it is no file's path."""
    with pytest.raises(DatabaseError, match=r"^the database URL cannot be parsed") as caught:
        Store(mistyped)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
