"""Databases of every earlier schema version, brought here on every kind of server."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event

from superbin.catalog import open_catalog
from superbin.domain.aggregate import combine
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DatabaseError
from superbin.results import PValue, SearchSummary
from superbin.results.scan import FinishedPoint, ScanLimit, ScanPoint, ScanResult
from superbin.store import Store, migrations, schema
from superbin.store.engine import locate, open_engine

DATA = Path(__file__).parents[1] / "data"
VERSIONS = (1, 2, 3, 4, 5)


@contextmanager
def connected(database: str) -> Iterator[sa.Connection]:
    engine = open_engine(locate(database))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def make_old(database: str, version: int) -> None:
    """A small database as superbin of that version left it; version 1 had no scans."""
    kind = locate(database).get_backend_name()
    text = (DATA / f"store-schema-{max(version, 2)}-{kind}.sql").read_text(encoding="utf-8")
    statements = [s for s in re.sub(r"^--.*$", "", text, flags=re.MULTILINE).split(";\n") if s.strip()]
    if kind == "sqlite":  # by a connection that has no foreign keys to mind
        raw = sqlite3.connect(str(locate(database).database))
        raw.executescript(text)
        raw.close()
        statements = []
    with connected(database) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        if version == 1:
            for table in ("scan_points", "scan_parameters", "scans"):
                connection.exec_driver_sql(f"DROP TABLE {table}")
            connection.exec_driver_sql("UPDATE superbin SET schema_version = 1")


@pytest.fixture
def header(small_search: Search) -> ScanResult:
    options: dict[str, str | int | float | None] = {"correlations": "none", "level": 0.95}
    return ScanResult(SearchSummary.of(small_search), "T0", ("m_mother", "m_lsp"), options, (), "0.1.0")


@pytest.fixture
def points(small_search: Search, small_signal: SignalModel) -> list[FinishedPoint]:
    """The points that are in the old databases."""
    done = ScanPoint(
        parameters={"m_mother": 1000.1, "m_lsp": 100.0},
        status="done",
        bins=(1, 3),
        cuts=("$N_\\mathrm{jet}$ ≥ 4",),
        merge_status="best found",
        yields=combine(small_search, small_signal, [1, 3]),
        expected=PValue(0.1 + 0.2, 1 / 3),
        observed=PValue(5e-324, None),
        limit=ScanLimit(0.1, 0.2, 0.3, 1 / 7, 1e300, 5e-324, "exact"),
        likelihood_limit=ScanLimit(None, None, None, None, None, None, "fit of mu: no-descent"),
        cross_section_pb=1e-320,
        cross_section_error=0.27,
    )
    reason = "outside of the hull, 'quoted' – and more"
    failed = ScanPoint({"m_mother": 2000.0, "m_lsp": -0.0}, "failed", reason)
    return [FinishedPoint("a" * 64, done, 0.25), FinishedPoint("b" * 64, failed, 0.0)]


def check_content(
    database: str,
    version: int,
    search: Search,
    signal: SignalModel,
    header: ScanResult,
    points: list[FinishedPoint],
) -> None:
    """All that was there is there, checked against the new digests, and more can be stored."""
    expected = {f.digest: f.point for f in points} if version > 1 else {}
    with Store(database) as store:
        assert store.search("small").digest == search.digest
        assert [listed.n_signals for listed in store.searches()] == [2]
        assert [listed.label for listed in store.signals()] == ["SM4", "T0(1000, 100)"]
        assert store.signal("small", "T0", (1000, 100)).digest == signal.digest
        other = store.signal("small", "SM4", ())
        assert (other.source, other.cross_section_pb, other.yields.tolist()) == (
            "é",
            0.1,
            [0.1, 0.2, 0.3, 1 / 3],
        )
        assert [(scan.n_done, scan.n_failed) for scan in store.scans()] == [(1, 1)] * (version > 1)
        assert store.begin_scan(header) == expected
        store.add_scan_points(header.digest, points)
        varied = SignalModel(
            "T9", {"m": 1.0}, "small", np.ones(4), np.ones(4), variations={"jes": (np.full(4, 0.1), np.zeros(4))},
            relative_error=0.2,
        )  # fmt: skip
        store.add_signals([varied])
        assert store.signal("small", "T9", (1,)).digest == varied.digest
        below = replace(
            search, name="below", low=search.low - 5.0, high=search.high - 5.0
        )  # which version 6 allows
        store.add_search(below)
        assert store.search("below").digest == below.digest
        store.delete_search("below")
    with Store(database) as store:
        assert store.begin_scan(header) == {f.digest: f.point for f in points}
        assert [(scan.n_done, scan.n_failed) for scan in store.scans()] == [(1, 1)]
        assert [listed.n_signals for listed in store.searches()] == [3]


def differences(database: str) -> list[Any]:
    """Between the tables of a database and those that superbin makes, as Alembic sees them."""
    with connected(database) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, schema.metadata))


@pytest.mark.parametrize("version", VERSIONS)
def test_migration(
    database: str,
    small_search: Search,
    small_signal: SignalModel,
    header: ScanResult,
    points: list[FinishedPoint],
    version: int,
) -> None:
    """STORE-11: every row stays and is what it was; afterwards the tables are those of a new database."""
    make_old(database, version)
    check_content(database, version, small_search, small_signal, header, points)
    with connected(database) as connection:
        assert connection.scalar(sa.text("SELECT schema_version FROM superbin")) == schema.SCHEMA_VERSION
    assert differences(database) == []


def test_new_tables_are_what_alembic_expects(database: str) -> None:
    """STORE-11: the comparison that judges migrations finds nothing in a new database, and a missing column."""
    Store(database).close()
    assert differences(database) == []
    with connected(database) as connection:
        connection.exec_driver_sql("ALTER TABLE searches DROP COLUMN n_scans")
    assert [change[0] for change in differences(database)] == ["add_column"]


def test_one_revision_for_every_version() -> None:
    """STORE-11: revisions are numbered without gaps up to the version in use, and come in the package."""
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    found = [revision.revision for revision in scripts.walk_revisions()]
    assert found == [str(version) for version in range(schema.SCHEMA_VERSION, 0, -1)]


def test_migration_of_a_real_old_file(tmp_path: Path, cms_search: Search) -> None:
    """STORE-11: the statements that made version 1, kept from its specification; afterwards it is as if made today."""
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    connection = sqlite3.connect(old)
    connection.executescript((DATA / "store-schema-1.sql").read_text(encoding="utf-8"))
    connection.close()
    with open_catalog(old) as catalog:
        assert catalog.search(cms_search.name).digest == cms_search.digest
    Store(new).close()

    def tables(path: Path) -> dict[str, str]:
        connection = sqlite3.connect(path)
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        connection.close()
        return {name: re.sub(r"\s+|--.*", "", sql) for name, sql in rows}

    assert tables(old) == tables(new)


class _InjectedError(Exception):
    pass


@contextmanager
def failing_at(step: int) -> Iterator[list[str]]:
    """Let a statement that changes something fail on its way to the database, by its number."""
    seen: list[str] = []

    def strike(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if re.match(r"\s*(ALTER|CREATE|UPDATE|INSERT)", statement):
            seen.append(statement)
            if len(seen) == step:
                raise _InjectedError

    event.listen(Engine, "before_cursor_execute", strike)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", strike)


@pytest.mark.parametrize("version", VERSIONS)
def test_interrupted_migration(
    database: str,
    small_search: Search,
    small_signal: SignalModel,
    header: ScanResult,
    points: list[FinishedPoint],
    version: int,
) -> None:
    """STORE-11: a migration that fails at any statement changes nothing, or on MariaDB leaves what the next completes."""
    make_old(database, version)
    step = 0
    while True:
        step += 1
        with failing_at(step) as seen:
            try:
                Store(database).close()
            except _InjectedError:
                if locate(database).get_backend_name() != "mariadb":
                    with connected(database) as connection:
                        columns = {
                            column["name"] for column in sa.inspect(connection).get_columns("searches")
                        }
                        assert ("n_signals" in columns) == (version > 2)  # which version 3 brought
                        assert connection.scalar(sa.text("SELECT schema_version FROM superbin")) == version
                continue
        break
    # Where an attempt leaves what it did, the next has less to do.
    least = 5 if locate(database).get_backend_name() == "mariadb" else 12
    assert step > (least if version < 3 else 3 if version < 5 else 2)
    assert len(seen) < step
    check_content(database, version, small_search, small_signal, header, points)
    assert differences(database) == []


CHILD = """
import sys
from superbin.store import Store
print("ready", flush=True)
sys.stdin.readline()
Store(sys.argv[1]).close()
"""


def test_migration_by_four_processes(
    database: str,
    small_search: Search,
    small_signal: SignalModel,
    header: ScanResult,
    points: list[FinishedPoint],
) -> None:
    """STORE-11: any number of processes may bring a database up to date at once."""
    make_old(database, 1)
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CHILD, database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60) for process in processes] == [("", "")] * 4
    check_content(database, 1, small_search, small_signal, header, points)


@pytest.mark.parametrize("version", VERSIONS)
def test_migration_needs_to_write(tmp_path: Path, version: int) -> None:
    """STORE-11: an old database that cannot be written says both."""
    path = tmp_path / "s.sqlite"
    make_old(str(path), version)
    content = path.read_bytes()
    with pytest.raises(
        DatabaseError,
        match=rf"^schema version {version} cannot be brought to 6: database .* cannot be written",
    ):
        Store(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert path.read_bytes() == content


def test_lost_marker(tmp_path: Path, small_search: Search, damage: Callable[[Path, str], None]) -> None:
    """STORE-11: a database with searches and without a version is damaged, and not created again."""
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.add_search(small_search)
    damage(path, "DELETE FROM superbin")
    with pytest.raises(DatabaseError, match="holds searches, and its table 'superbin' has no row"):
        Store(path)


@pytest.fixture
def damage() -> Callable[[Path, str], None]:
    def execute(path: Path, statement: str) -> None:
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.commit()
        connection.close()

    return execute
