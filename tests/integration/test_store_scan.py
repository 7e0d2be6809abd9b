"""Scans in the database, and databases from before there were any, on every kind of server."""

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from superbin.domain.aggregate import combine
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DatabaseError, InputError, UnknownNameError
from superbin.results import PValue, SearchSummary
from superbin.results.scan import FinishedPoint, ScanLimit, ScanPoint, ScanResult
from superbin.store import Store
from superbin.store.engine import locate, open_engine
from superbin.store.schema import metadata

DATA = Path(__file__).parents[1] / "data"
NEW_TABLES = ("scan_points", "scan_parameters", "scans")


@contextmanager
def connected(database: str) -> Iterator[sa.Connection]:
    engine = open_engine(locate(database))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def count(database: str, table: str) -> int:
    with connected(database) as connection:
        found = connection.execute(sa.select(sa.func.count()).select_from(metadata.tables[table]))
        return int(found.scalar_one())


@pytest.fixture
def header(small_search: Search) -> ScanResult:
    summary = SearchSummary.of(small_search)
    return ScanResult(
        summary, "T0", ("m_mother", "m_lsp"), {"correlations": "none", "level": 0.95}, (), "0.1.0"
    )


@pytest.fixture
def points(small_search: Search, small_signal: SignalModel) -> list[FinishedPoint]:
    """A done point whose numbers need all their digits, and a failed one."""
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
    failed = ScanPoint(
        {"m_mother": 2000.0, "m_lsp": -0.0}, "failed", "outside of the hull, 'quoted' – and more"
    )
    return [FinishedPoint("a" * 64, done, 0.25), FinishedPoint("b" * 64, failed, 0.0)]


def test_points_come_back(
    database: str, small_search: Search, header: ScanResult, points: list[FinishedPoint]
) -> None:
    """STORE-15: done and failed points, to the last bit, on each database."""
    with Store(database) as store:
        store.add_search(small_search)
        assert store.begin_scan(header) == {}
        store.add_scan_points(header.digest, points)
    with Store(database) as store:
        back = store.begin_scan(header)
        assert back == {f.digest: f.point for f in points}
        (listed,) = store.scans()
    assert (listed.search, listed.model, listed.n_done, listed.n_failed) == ("small", "T0", 1, 1)
    assert (listed.digest, listed.options) == (header.digest, dict(header.options))


def test_nothing_is_there_twice(
    database: str, small_search: Search, header: ScanResult, points: list[FinishedPoint]
) -> None:
    """STORE-15: a scan begun again is the same one, a point stored again takes the old one's place."""
    with Store(database) as store:
        store.add_search(small_search)
        for _ in range(2):
            store.begin_scan(header)
            store.add_scan_points(header.digest, points)
        later = dataclasses.replace(points[1], point=dataclasses.replace(points[1].point, reason="another"))
        store.add_scan_points(header.digest, [later])
        other = dataclasses.replace(header, superbin="9.9")
        assert store.begin_scan(other) == {}
        assert store.begin_scan(header)["b" * 64].reason == "another"
        assert (count(database, "scans"), count(database, "scan_points")) == (2, 2)
        assert store.begin_scan(header, fresh=True) == {}
        assert (count(database, "scans"), count(database, "scan_points")) == (2, 0)


VIOLATIONS = {
    "scan twice": "INSERT INTO scans (search_id, digest, search_digest, model, options, superbin_version, started_utc) "
    "SELECT search_id, digest, search_digest, model, options, superbin_version, started_utc FROM scans",
    "scan of no search": "UPDATE scans SET search_id = 99",
    "point of no scan": "UPDATE scan_points SET scan_id = 99",
    "point twice": "UPDATE scan_points SET signal_digest = 'c'",
    "parameter twice": "UPDATE scan_parameters SET name = 'm'",
    "unknown status": "UPDATE scan_points SET status = 'perhaps'",
    "done without result": "UPDATE scan_points SET result = NULL WHERE status = 'done'",
    "failed with result": "UPDATE scan_points SET result = '{}' WHERE status = 'failed'",
    "failed without reason": "UPDATE scan_points SET reason = NULL WHERE status = 'failed'",
    "free of charge": "UPDATE scan_points SET cross_section_pb = 0",
    "negative error": "UPDATE scan_points SET cross_section_error = -0.1",
    "negative time": "UPDATE scan_points SET seconds = -1",
}


def test_the_database_itself_refuses(
    database: str, small_search: Search, header: ScanResult, points: list[FinishedPoint]
) -> None:
    """STORE-15: keys and constraints are in the database, not only in Python."""
    with Store(database) as store:
        store.add_search(small_search)
        store.begin_scan(header)
        store.add_scan_points(header.digest, points)

    def accepted(statement: str) -> bool:
        try:
            with connected(database) as connection:
                connection.execute(sa.text(statement))
        except (IntegrityError, OperationalError):  # the latter is how MariaDB reports a broken CHECK
            return False
        return True

    assert [what for what, statement in VIOLATIONS.items() if accepted(statement)] == []


def test_scans_go_with_their_search(
    database: str, small_search: Search, header: ScanResult, points: list[FinishedPoint]
) -> None:
    """STORE-15: a search that goes takes its scans along; one that is replaced leaves them under the old content."""
    with Store(database) as store:
        store.add_search(small_search)
        store.begin_scan(header)
        store.add_scan_points(header.digest, points)
        store.add_search(dataclasses.replace(small_search, luminosity_fb=11.0), replace=True)
        assert [scan.n_done for scan in store.scans()] == [1]
        with pytest.raises(InputError, match="is not the one that is scanned"):
            store.begin_scan(header)
    with connected(database) as connection:
        connection.execute(sa.text("DELETE FROM provenance"))
    assert [count(database, table) for table in NEW_TABLES] == [0, 0, 0]


def test_scan_of_unknown_search(header: ScanResult) -> None:
    """STORE-15: a scan needs its search."""
    with Store("sqlite://") as store, pytest.raises(UnknownNameError, match="small"):
        store.begin_scan(header)


def test_points_of_a_dropped_scan(
    small_search: Search, header: ScanResult, points: list[FinishedPoint]
) -> None:
    """STORE-15: what another process dropped meanwhile is a clear error."""
    with Store("sqlite://") as store:
        store.add_search(small_search)
        with pytest.raises(DatabaseError, match="not in the database any more"):
            store.add_scan_points(header.digest, points)


def test_changed_result(
    tmp_path: Path, small_search: Search, header: ScanResult, points: list[FinishedPoint]
) -> None:
    """STORE-15: a text that superbin did not write is not a number."""
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.add_search(small_search)
        store.begin_scan(header)
        store.add_scan_points(header.digest, points)
        for text in ("{", "[]", '{"bins": "x"}'):
            connection = sqlite3.connect(path)
            connection.execute("UPDATE scan_points SET result = ? WHERE status = 'done'", [text])
            connection.commit()
            connection.close()
            with pytest.raises(DatabaseError, match="is not what superbin wrote .* --fresh"):
                store.begin_scan(header)


def test_server_fixture_names_what_is_missing(
    server: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that CI requires and nobody started is a failure, not a skip."""
    monkeypatch.delenv("SUPERBIN_TEST_MARIADB_URL", raising=False)
    monkeypatch.setenv("SUPERBIN_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="no mariadb server"):
        server("mariadb")
