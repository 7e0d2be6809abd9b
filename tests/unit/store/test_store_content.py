"""What goes into the store comes out of it: searches, signals, listings, replacement and unknown names."""

import dataclasses
import datetime as dt
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.domain.signal import SignalModel
from superbin.errors import DatabaseError, InputError, OutputError, UnknownNameError
from superbin.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    with Store("sqlite://") as opened:
        yield opened


def signal_at(search: str, model: str, n_bins: int, **parameters: float) -> SignalModel:
    return SignalModel(model, parameters, search, np.ones(n_bins), np.zeros(n_bins))


def assert_same_search(left: Search, right: Search) -> None:
    assert left.digest == right.digest
    for field in (
        "name",
        "title",
        "reference",
        "luminosity_fb",
        "sqrt_s_tev",
        "observables",
        "shared_stat",
        "source",
    ):
        assert getattr(left, field) == getattr(right, field)
    for field in ("low", "high", "observed"):
        assert_array_equal(getattr(left, field), getattr(right, field))
    assert [(p.name, p.label) for p in left.processes] == [(p.name, p.label) for p in right.processes]
    for one, other in zip(left.processes, right.processes, strict=True):
        for part in Estimate.__slots__:
            assert_array_equal(getattr(one.estimate, part), getattr(other.estimate, part))


def test_search_comes_back_equal(store: Store, cms_search: Search) -> None:
    """STORE-2: every field of the real search, open edges included."""
    assert np.isinf(cms_search.high).any()
    store.add_search(cms_search)
    assert_same_search(store.search(cms_search.name), cms_search)


def test_signal_comes_back_equal(store: Store, cms_search: Search, t1bbbb: SignalModel) -> None:
    """STORE-2: every field of the real signal."""
    store.add_search(cms_search, signals=[t1bbbb])
    back = store.signal(cms_search.name, "T1bbbb", (1750, 1))
    assert back.digest == t1bbbb.digest
    assert list(back.parameters.items()) == list(t1bbbb.parameters.items())
    assert (back.source, back.cross_section_pb) == (t1bbbb.source, t1bbbb.cross_section_pb)
    assert_array_equal(back.yields, t1bbbb.yields)
    assert_array_equal(back.errors, t1bbbb.errors)


def test_order_is_content(store: Store, small_search: Search) -> None:
    """STORE-1: processes, groups and their members come back in the order given, not sorted."""
    search = dataclasses.replace(
        small_search,
        processes=small_search.processes[::-1],
        shared_stat=(("b", "c"), (), ("c", "a", "b")),
        observables=small_search.observables[::-1],
        low=small_search.low[:, ::-1],
        high=small_search.high[:, ::-1],
    )
    store.add_search(search)
    assert_same_search(store.search("small"), search)


def test_listings_say_what_is_stored(store: Store, small_search: Search, small_signal: SignalModel) -> None:
    """STORE-9: the listings' fields, in an order that does not depend on when a thing was imported."""
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    other = dataclasses.replace(small_search, name="another", source="")
    store.add_search(small_search, signals=[small_signal])
    store.add_search(other)
    store.add_signals([signal_at("another", "T2", 4, m=200), signal_at("another", "T2", 4, m=90)])
    store.add_signals([signal_at("another", "T1", 4, m=500)])

    another, small = store.searches()
    assert (another.name, another.n_bins, another.n_signals, another.packaged) == ("another", 4, 3, False)
    assert (small.name, small.title, small.reference) == ("small", small_search.title, small_search.reference)
    assert (small.luminosity_fb, small.sqrt_s_tev) == (10.0, 13.0)
    assert (small.digest, small.source, small.superbin) == (
        small_search.digest,
        "made up",
        version("superbin"),
    )
    assert before <= small.imported <= dt.datetime.now(dt.UTC)

    assert [s.label for s in store.signals()] == ["T1(500)", "T2(90)", "T2(200)", "T0(1000, 100)"]
    (listed,) = store.signals("small")
    assert (listed.search, listed.model, dict(listed.parameters)) == (
        "small",
        "T0",
        {"m_mother": 1000.0, "m_lsp": 100.0},
    )
    assert (listed.digest, listed.source, listed.cross_section_pb) == (small_signal.digest, "made up", None)


def test_signals_without_parameters(store: Store, small_search: Search) -> None:
    """STORE-9: a model may have no parameters; it then has one point."""
    store.add_search(small_search, signals=[signal_at("small", "SM4", 4)])
    assert store.signal("small", "SM4", ()).label == "SM4"
    assert [s.label for s in store.signals()] == ["SM4"]


def test_negative_zero_is_the_same_point(store: Store, small_search: Search) -> None:
    """STORE-9: points are numbers, not spellings."""
    store.add_search(small_search, signals=[signal_at("small", "T2", 4, a=0.0, b=-1.0)])
    assert store.signal("small", "T2", (-0.0, -1)).parameters == {"a": 0.0, "b": -1.0}


def test_stored_already(store: Store, small_search: Search, small_signal: SignalModel) -> None:
    """STORE-8: without replace nothing is overwritten."""
    store.add_search(small_search, signals=[small_signal])
    with pytest.raises(OutputError, match=r"^search 'small' is stored already; replace it with --replace"):
        store.add_search(dataclasses.replace(small_search, title="New"))
    with pytest.raises(OutputError, match=r"^signal T0\(1000, 100\) is stored already, or given twice"):
        store.add_signals([signal_at("small", "T0", 4, m_mother=1000, m_lsp=100)])
    with pytest.raises(OutputError, match="given twice"):
        store.add_signals([signal_at("small", "T5", 4, m=1), signal_at("small", "T5", 4, m=1)])
    assert_same_search(store.search("small"), small_search)
    assert [s.digest for s in store.signals()] == [small_signal.digest]


def test_replace_keeps_signals_in_the_same_bins(
    store: Store, small_search: Search, small_signal: SignalModel
) -> None:
    """STORE-8: new backgrounds in the same bins leave the signals where they are."""
    store.add_search(small_search, signals=[small_signal])
    estimate = small_search.processes[0].estimate
    new = dataclasses.replace(
        small_search,
        title="New",
        processes=(Process("only", "One", estimate),),
        shared_stat=(),
        observed=small_search.observed + 1,
        source="corrected",
    )
    store.add_search(new, replace=True)
    assert_same_search(store.search("small"), new)
    assert store.signal("small", "T0", (1000, 100)).digest == small_signal.digest


def with_fewer_bins(search: Search) -> Search:
    processes = tuple(
        Process(p.name, p.label, Estimate(*(getattr(p.estimate, part)[:-1] for part in Estimate.__slots__)))
        for p in search.processes
    )
    return dataclasses.replace(
        search, low=search.low[:-1], high=search.high[:-1], observed=search.observed[:-1], processes=processes
    )


@pytest.mark.parametrize("change", ["edges", "names", "number"])
def test_replace_with_other_bins(
    store: Store, small_search: Search, small_signal: SignalModel, change: str
) -> None:
    """STORE-8: other bins are refused while signals are in the old ones, unless these are replaced as well."""
    store.add_search(small_search, signals=[small_signal])
    observables = (small_search.observables[0], Observable("met", "MET", "GeV"))
    new = {
        "edges": dataclasses.replace(
            small_search, low=np.where(small_search.low == 300, 250, small_search.low)
        ),
        "names": dataclasses.replace(small_search, observables=observables),
        "number": with_fewer_bins(small_search),
    }[change]
    with pytest.raises(
        InputError, match=r"^search 'small' has other bins than the stored one, whose 1 signal"
    ):
        store.add_search(new, replace=True)
    assert_same_search(store.search("small"), small_search)
    assert store.signal("small", "T0", (1000, 100)).digest == small_signal.digest

    signal = signal_at("small", "T0", new.n_bins, m_mother=1000, m_lsp=100)
    store.add_search(new, signals=[signal], replace=True)
    assert_same_search(store.search("small"), new)
    assert store.signal("small", "T0", (1000, 100)).digest == signal.digest


def test_replace_a_signal(store: Store, small_search: Search, small_signal: SignalModel) -> None:
    """STORE-8: the signal at the point is replaced, others stay."""
    other = signal_at("small", "T0", 4, m_mother=900, m_lsp=100)
    store.add_search(small_search, signals=[small_signal, other])
    new = signal_at("small", "T0", 4, m_mother=1000, m_lsp=100)
    store.add_signals([new], replace=True)
    assert [s.digest for s in store.signals()] == [other.digest, new.digest]


@pytest.mark.parametrize("replace", [False, True])
def test_signals_must_fit(
    store: Store, small_search: Search, small_signal: SignalModel, *, replace: bool
) -> None:
    """STORE-8: a signal has its search's bins and its model's parameters, and its search is stored."""
    store.add_search(small_search, signals=[small_signal])
    with pytest.raises(InputError, match=r"^signal T2\(1\) has 3 yields; search 'small' has 4 bins$"):
        store.add_signals([signal_at("small", "T2", 3, m=1)], replace=replace)
    with pytest.raises(
        InputError, match="has the parameters m_lsp, m_mother; the other points of 'T0' have m_mother, m_lsp"
    ):
        store.add_signals([signal_at("small", "T0", 4, m_lsp=1, m_mother=2)], replace=replace)
    with pytest.raises(
        UnknownNameError, match="search 'smoll' is not in the database; the nearest is 'small'"
    ):
        store.add_signals([signal_at("smoll", "T2", 4, m=1)], replace=replace)
    assert [s.digest for s in store.signals()] == [small_signal.digest]


def test_unknown_names_name_the_nearest(store: Store, small_search: Search) -> None:
    """STORE-9: search, model and point, each with what there is instead."""
    points = [(1000, 100), (1000, 900), (2000, 100)]
    store.add_search(
        small_search, signals=[signal_at("small", "T1bbbb", 4, m_mother=a, m_lsp=b) for a, b in points]
    )
    store.add_signals([signal_at("small", "T1tttt", 4, m=1)])
    with pytest.raises(
        UnknownNameError, match=r"^search 'smal' is not in the database; the nearest is 'small'$"
    ):
        store.search("smal")
    with pytest.raises(UnknownNameError, match="nearest is 'small'"):
        store.signals("smal")
    with pytest.raises(
        UnknownNameError, match=r"^model 't1BBB' has no signals.*nearest is 'T1bbbb', others are T1tttt$"
    ):
        store.signal("small", "t1BBB", (1000, 100))
    with pytest.raises(
        UnknownNameError,
        match=r"^T1bbbb\(1800, 1\) is not among the 3 points stored for 'small'; the nearest is T1bbbb\(2000, 100\); "
        r"list them with: superbin db show small T1bbbb$",
    ):
        store.signal("small", "T1bbbb", (1800, 1))
    with pytest.raises(
        InputError, match=r"^model 'T1bbbb' has 2 parameters \(m_mother, m_lsp\); 1 were given$"
    ):
        store.signal("small", "T1bbbb", (1800,))


def test_empty_store_says_so(store: Store) -> None:
    """STORE-9: with nothing stored there is no nearest name."""
    with pytest.raises(UnknownNameError, match=r"there is none yet; import one with: superbin db import"):
        store.search("any")


TAMPERING = [
    "UPDATE estimates SET nominal = nominal + 1e-9 WHERE process = 1 AND bin = 2",
    "UPDATE estimates SET nominal = -1 WHERE process = 1 AND bin = 2",
    "UPDATE estimates SET nominal = 'many' WHERE process = 1 AND bin = 2",
    "DELETE FROM estimates WHERE process = 1 AND bin = 2",
    "DELETE FROM estimates",
    "DELETE FROM processes",
    "UPDATE observations SET events = 41 WHERE bin = 1",
    "DELETE FROM observations WHERE bin = 1",
    "UPDATE bin_ranges SET high = NULL WHERE bin = 1 AND observable = 0",
    "UPDATE bin_ranges SET low = 1e9 WHERE bin = 1 AND observable = 1",
    "DELETE FROM bins",
    "UPDATE observables SET position = 5 WHERE position = 0",
    "UPDATE processes SET name = 'z' WHERE position = 2",
    "UPDATE shared_stat_members SET process = 7 WHERE position = 0",
    "UPDATE searches SET luminosity_fb = 11",
]


@pytest.mark.parametrize("statement", TAMPERING)
def test_changed_search_is_not_served(tmp_path: Path, small_search: Search, statement: str) -> None:
    """STORE-2: a search changed behind superbin's back is an error, whatever was changed; the cure it names works."""
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.add_search(small_search)
    tamper(path, statement)
    with Store(path) as store:
        with pytest.raises(
            DatabaseError,
            match=r"^search 'small' in the database is not what was .*; import it again with --repl",
        ):
            store.search("small")
        store.add_search(small_search, replace=True)
        assert_same_search(store.search("small"), small_search)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE signal_yields SET events = events * 2 WHERE bin = 3",
        "UPDATE signal_yields SET error = -1 WHERE bin = 3",
        "UPDATE signal_yields SET error = 'x' WHERE bin = 3",
        "DELETE FROM signal_yields WHERE bin = 4",
        "DELETE FROM signal_yields",
        "UPDATE signal_parameters SET value = 1001 WHERE position = 0",
    ],
)
def test_changed_signal_is_not_served(
    tmp_path: Path, small_search: Search, small_signal: SignalModel, statement: str
) -> None:
    """STORE-2: a signal changed behind superbin's back is an error; the cure it names works."""
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.add_search(small_search, signals=[small_signal])
    tamper(path, statement)
    with Store(path) as store:
        with pytest.raises(
            DatabaseError, match=r"^signal T0\(.*not what was imported.*; import it again with --replace"
        ):
            store.signal("small", "T0", (1000, 100))
        store.add_signals([small_signal], replace=True)
        assert store.signal("small", "T0", (1000, 100)).digest == small_signal.digest


def test_signal_at_another_point_is_not_served(
    tmp_path: Path, small_search: Search, small_signal: SignalModel
) -> None:
    """STORE-1: the one redundant column cannot mislead."""
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.add_search(small_search, signals=[small_signal])
    tamper(path, "UPDATE signals SET point = '1.0,2.0'")
    with (
        Store(path) as store,
        pytest.raises(
            DatabaseError, match=r"^signal T0\(1\.0,2\.0\) in the database is not what was imported"
        ),
    ):
        store.signal("small", "T0", (1, 2))


def tamper(path: Path, statement: str) -> None:
    """Change a database with every guard off."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()
