"""The catalogue: what ships in the package is in the database, and stays up to date beside what users import."""

import dataclasses
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from superbin.catalog import open_catalog
from superbin.catalog import packaged as shipped
from superbin.cli.db import db
from superbin.domain.bundle import Bundle
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DatabaseError, DocumentError, InputError
from superbin.io.bundles import read_bundle, write_bundle
from superbin.store import Store


def test_packaged_tables_are_in_the_catalog(cms_search: Search, t1bbbb: SignalModel) -> None:
    """STORE-5: the first use fills the database with the packaged search and signal."""
    with open_catalog("sqlite://") as catalog:
        assert catalog.search("cms-pas-sus-16-014").digest == cms_search.digest
        assert catalog.signal("cms-pas-sus-16-014", "T1bbbb", (1750, 1)).digest == t1bbbb.digest
        assert [s.packaged for s in catalog.searches()] == [True, True]
        assert [s.packaged for s in catalog.signals()] == [True]


def test_second_use_reads_no_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STORE-5: an up-to-date database is not written, and the tables are not parsed."""
    path = tmp_path / "s.sqlite"
    open_catalog(path).close()
    content = path.read_bytes()
    monkeypatch.setattr(shipped, "bundles", None)
    open_catalog(path).close()
    assert path.read_bytes() == content


def test_init_restores_packaged_content(tmp_path: Path, cms_search: Search, t1bbbb: SignalModel) -> None:
    """STORE-13: packaged content that was changed in the database names its cure, which works."""
    path = tmp_path / "s.sqlite"
    open_catalog(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE estimates SET nominal = 0")
    connection.execute("DELETE FROM signal_yields WHERE bin > 80")
    connection.commit()
    connection.close()
    with open_catalog(path) as catalog:
        with pytest.raises(DatabaseError, match=r"; restore it with: superbin db init$"):
            catalog.search(cms_search.name)
        with pytest.raises(DatabaseError, match=r"; restore it with: superbin db init$"):
            catalog.signal(cms_search.name, "T1bbbb", (1750, 1))
    assert CliRunner().invoke(db, ["init", "--database", str(path)]).exit_code == 0
    with open_catalog(path) as catalog:
        assert catalog.search(cms_search.name).digest == cms_search.digest
        assert catalog.signal(cms_search.name, "T1bbbb", (1750, 1)).digest == t1bbbb.digest


def test_changed_package_refreshes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_search: Search, small_signal: SignalModel
) -> None:
    """STORE-6: when packaged tables change, the database follows at the next opening."""
    monkeypatch.setattr(shipped, "_DATA", tmp_path / "data")
    write_bundle(Bundle(small_search, (small_signal,)), tmp_path / "data" / "small", force=True)
    path = tmp_path / "s.sqlite"
    open_catalog(path).close()
    new = dataclasses.replace(small_search, observed=small_search.observed + 1)
    write_bundle(Bundle(new), tmp_path / "data" / "small", force=True)
    with open_catalog(path) as catalog:
        assert catalog.search("small").digest == new.digest
        assert catalog.signals("small") == ()


def test_damaged_package_leaves_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_search: Search
) -> None:
    """STORE-7: a refresh that fails half-way leaves the database as it was."""
    monkeypatch.setattr(shipped, "_DATA", tmp_path / "data")
    write_bundle(Bundle(small_search, ()), tmp_path / "data" / "small", force=True)
    path = tmp_path / "s.sqlite"
    open_catalog(path).close()
    content = path.read_bytes()
    write_bundle(
        Bundle(dataclasses.replace(small_search, title="New")), tmp_path / "data" / "small", force=True
    )
    write_bundle(Bundle(dataclasses.replace(small_search, name="z")), tmp_path / "data" / "z", force=True)
    (tmp_path / "data" / "z" / "bins.csv").write_text("nonsense")
    with pytest.raises(DocumentError, match=r"bins\.csv"):
        open_catalog(path)
    assert path.read_bytes() == content


@pytest.fixture
def store() -> Iterator[Store]:
    with Store("sqlite://") as opened:
        yield opened


def at(search: Search, model: str, events: float, **parameters: float) -> SignalModel:
    return SignalModel(
        model, parameters, search.name, np.full(search.n_bins, events), np.zeros(search.n_bins)
    )


def packaged(search: Search, *signals: SignalModel) -> list[Bundle]:
    return [Bundle(search, signals)]


def contents(store: Store) -> list[tuple[str, float, bool]]:
    return [
        (s.label, store.signal(s.search, s.model, tuple(s.parameters.values())).yields[0], s.packaged)
        for s in store.signals()
    ]


def test_refresh_keeps_imports(store: Store, small_search: Search) -> None:
    """STORE-6: packaged signals come and go with the package; imported ones stay, and go before packaged ones."""
    old = packaged(small_search, at(small_search, "A", 1, m=1), at(small_search, "A", 1, m=2))
    store.fill_packaged(old, digest="old")
    store.add_signals([at(small_search, "A", 7, m=1), at(small_search, "B", 7, m=3)], replace=True)
    assert contents(store) == [("A(1)", 7, False), ("A(2)", 1, True), ("B(3)", 7, False)]

    search = dataclasses.replace(small_search, observed=small_search.observed + 1)
    ours = [
        at(search, "A", 2, m=1),
        at(search, "A", 2, m=4),
        at(search, "B", 2, mass=5),
        at(search, "C", 2, m=6),
    ]
    store.fill_packaged(packaged(search, *ours), digest="new")
    assert store.search("small").digest == search.digest
    # B(5) calls its parameter otherwise than the user's points of B, so it stays out.
    assert contents(store) == [("A(1)", 7, False), ("A(4)", 2, True), ("B(3)", 7, False), ("C(6)", 2, True)]
    assert store.packaged_digest == "new"


def test_refresh_happens_once(store: Store, small_search: Search) -> None:
    """STORE-5: a process that finds the work done does not even read the tables."""

    def refuse(_: object) -> Bundle:
        pytest.fail("the tables were read")

    unread = map(refuse, [None])

    store.fill_packaged(packaged(small_search), digest="same")
    store.fill_packaged(unread, digest="same")


def test_imported_search_stays(store: Store, small_search: Search, caplog: pytest.LogCaptureFixture) -> None:
    """STORE-6: a search that a user imported under a packaged name stays, and that is said."""
    mine = dataclasses.replace(small_search, title="Mine")
    store.fill_packaged(packaged(small_search, at(small_search, "A", 1, m=1)), digest="old")
    store.add_search(mine, replace=True)
    with caplog.at_level(logging.WARNING):
        store.fill_packaged(packaged(small_search, at(small_search, "A", 2, m=1)), digest="new")
    assert "imported under the name of a packaged one" in caplog.text
    assert store.search("small").title == "Mine"
    assert contents(store) == [("A(1)", 1, True)]


def test_refresh_with_other_bins(store: Store, small_search: Search) -> None:
    """STORE-6: a packaged search may change its bins as long as no imported signal is in them."""
    moved = dataclasses.replace(small_search, low=np.where(small_search.low == 300, 250, small_search.low))
    store.fill_packaged(packaged(small_search, at(small_search, "A", 1, m=1)), digest="1")
    store.fill_packaged(packaged(moved, at(moved, "A", 2, m=1)), digest="2")
    assert store.search("small").digest == moved.digest
    store.add_signals([at(moved, "B", 7, m=1)])
    with pytest.raises(InputError, match=r"other bins than the stored one, whose 1 signal"):
        store.fill_packaged(packaged(small_search), digest="3")
    assert store.packaged_digest == "2"
    assert contents(store) == [("A(1)", 2, True), ("B(1)", 7, False)]


def test_folder_round_trip(tmp_path: Path, small_search: Search) -> None:
    """STORE-14: names of files are safe and distinct, whatever models and parameters are called."""
    signals = [
        at(small_search, "T1", 1, m=1750.0),
        at(small_search, "T1", 2, m=0.1),
        at(small_search, "t1", 3, m=0.1),
        at(small_search, "a/b", 4, m=-1e-300),
        at(small_search, "a b", 5, m=-1e-300),
        at(small_search, "..", 6),
    ]
    write_bundle(Bundle(small_search, tuple(signals)), tmp_path / "x")
    back = read_bundle(tmp_path / "x")
    assert back.search.digest == small_search.digest
    assert {s.digest for s in back.signals} == {s.digest for s in signals}
    assert sorted(path.name for path in (tmp_path / "x" / "signals").iterdir()) == [
        "T1_0.1.csv",
        "T1_1750.csv",
        "_...csv",
        "a-b_-1e-300.csv",
        "a-b_-1e-300_.csv",
        "t1_0.1_.csv",
    ]
