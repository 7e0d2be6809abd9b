"""The domain types refuse what cannot be: clauses SEARCH-1 to SEARCH-4."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from superbin.domain.search import Estimate, Observable, Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.io.imports.ranges import parse_range
from superbin.io.tables import read_search, write_search
from superbin.merge import cuts
from superbin.store import Store

ONES = np.ones(2)


def changed(search: Search, **fields: object) -> Search:
    return dataclasses.replace(search, **fields)  # type: ignore[arg-type]  # wrong values are the point


def test_bins_are_numbered_from_one(small_search: Search) -> None:
    """SEARCH-1: bins have numbers from 1, and order and repeats do not matter."""
    assert small_search.numbers == (1, 2, 3, 4)
    assert small_search.indices([4, 1, 1]) == (0, 3)


@pytest.mark.parametrize("number", [0, 5, -1])
def test_unknown_bin_is_named(small_search: Search, number: int) -> None:
    """SEARCH-1: an unknown bin is refused with its number and the range of numbers."""
    with pytest.raises(InputError, match=f"bin {number} does not exist.*bins 1 to 4"):
        small_search.indices([number])


def test_empty_set_of_bins_is_refused(small_search: Search) -> None:
    """SEARCH-1: an empty set of bins is refused."""
    with pytest.raises(InputError, match="empty"):
        small_search.indices([])


def test_arrays_are_frozen(small_search: Search) -> None:
    """SEARCH-2: the arrays of a search cannot be changed."""
    with pytest.raises(ValueError, match="read-only"):
        small_search.observed[0] = 1


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"observed": [40, 10, 8, -2]}, "observed in bin 4 is -2"),
        ({"observed": [40, 10, np.nan, 2]}, "observed in bin 3 is nan"),
        ({"observed": [40, 10.5, 8, 2]}, "observed in bin 2 is 10.5.*whole number"),
        ({"observed": [40, 10, 8]}, r"observed has shape \(3,\); \(4,\) is needed"),
        ({"high": [[3, 300], [3, 900], [9, 500], [9, 900]]}, "bin 1 has mht from 300 to 300"),
        ({"low": [2, 2, 4, 4]}, "low has shape"),
        ({"luminosity_fb": 0.0}, "luminosity_fb"),
        ({"processes": ()}, "no background process"),
        ({"shared_stat": (("a", "x"),)}, "shared_stat names 'x'"),
    ],
)
def test_inconsistent_search_is_refused(small_search: Search, fields: dict[str, object], text: str) -> None:
    """SEARCH-3: a search with a bad number, shape, edge or name is refused with the reason."""
    with pytest.raises(InputError, match=text):
        changed(small_search, **fields)


def test_duplicate_process_is_refused(small_search: Search) -> None:
    """SEARCH-3: two processes of the same name are refused."""
    with pytest.raises(InputError, match="names must differ"):
        changed(small_search, processes=small_search.processes[:1] * 2)


def test_duplicate_observable_is_refused(small_search: Search) -> None:
    """SEARCH-3: two observables of the same name are refused."""
    with pytest.raises(InputError, match="observables .* names must differ"):
        changed(small_search, observables=small_search.observables[:1] * 2)


def test_negative_zero_is_zero() -> None:
    """SEARCH-4: databases do not tell the two apart, so neither does a digest."""
    plain, negative = (
        SignalModel("T0", {"m": z}, "small", np.array([z]), np.array([z])) for z in (0.0, -0.0)
    )
    assert plain.digest == negative.digest


@pytest.mark.parametrize("bad", [-1.0, np.inf, np.nan])
def test_estimate_refuses_bad_uncertainty(bad: float) -> None:
    """SEARCH-3: a negative, infinite or NaN uncertainty is refused with its bin."""
    with pytest.raises(InputError, match="stat_up in bin 2"):
        Estimate(ONES, np.array([0, bad]), ONES, ONES, ONES)


def test_digest_tells_contents_apart(small_search: Search) -> None:
    """SEARCH-4: the digest changes with the observed counts and not with the title."""
    same = changed(small_search, title="Another title")
    other = changed(small_search, observed=[40, 10, 8, 3])
    assert same.digest == small_search.digest
    assert other.digest != small_search.digest


def test_signal_refuses_bad_yields() -> None:
    """SEARCH-3: a signal with a bad yield, parameter or cross section is refused."""
    with pytest.raises(InputError, match="yields of signal 'T0' in bin 2 is -1"):
        SignalModel("T0", {"m": 1}, "small", np.array([1.0, -1.0]), ONES)
    with pytest.raises(InputError, match="parameter m"):
        SignalModel("T0", {"m": np.nan}, "small", ONES, ONES)
    with pytest.raises(InputError, match="cross_section_pb"):
        SignalModel("T0", {"m": 1}, "small", ONES, ONES, cross_section_pb=-1.0)


@pytest.mark.parametrize(
    ("observable", "low", "high", "text"),
    [
        (Observable("n", "n", discrete=True), 3, 4, "3-4"),
        (Observable("n", "n", discrete=True), 2, 2, "2"),
        (Observable("n", "n", discrete=True), 9, np.inf, ">= 9"),
        (Observable("x", "x", "GeV"), 1000, np.inf, "> 1000"),
        (Observable("x", "x", "GeV"), 350, 500, "350-500"),
    ],
)
def test_ranges_read_as_written(observable: Observable, low: float, high: float, text: str) -> None:
    """SEARCH-1: ranges read as a person writes them."""
    assert observable.text(low, high) == text


def test_regions_without_ranges() -> None:
    """SEARCH-5: names are enough."""
    search = Search.from_arrays(
        "x", observed=[3, 1], background=[2.5, 1], luminosity_fb=1, names=["SRA", "SRB"]
    )
    assert search.observables == ()
    assert search.low.shape == (2, 0)
    assert search.bin_name(2) == "SRB"
    assert dataclasses.replace(search, names=()).bin_name(2) == "bin 2"
    assert search.digest != dataclasses.replace(search, names=()).digest


def test_from_arrays_keeps_errors() -> None:
    """SEARCH-5: processes with symmetric, asymmetric and no errors."""
    search = Search.from_arrays(
        "x",
        observed=[3, 1],
        background={"top": [2, 1], "qcd": [0.5, 0.1], "other": [0, 0]},
        error={"top": 0.5, "qcd": ([0.2, 0.1], [0.1, 0.05])},
        luminosity_fb=1,
        edges={
            "met": ([200, 300], [300, np.inf]),
            Observable("nb", "$N_b$", discrete=True): ([0, 0], [1, 1]),
        },
    )
    top, qcd, other = (p.estimate for p in search.processes)
    assert top.syst_up.tolist() == top.syst_down.tolist() == [0.5, 0.5]
    assert (qcd.syst_up.tolist(), qcd.syst_down.tolist()) == ([0.2, 0.1], [0.1, 0.05])
    assert other.syst_up.tolist() == [0, 0]
    assert search.high.tolist() == [[300, 1], [np.inf, 1]]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"names": ["A"]}, "1 names for 2 bins"),
        ({"names": ["A", "A"]}, "bins 1 and 2 are both named 'A'"),
        ({"names": ["A", "\x1b[31m"]}, "printable"),
        ({"background": {"a": [1, 2], "b": [1, 2]}, "error": 1.0}, "one array for several processes"),
        ({"error": {"x": 1}}, "error names process 'x'"),
        ({"error": ([1, 1], [1, 1], [1, 1])}, "3 parts"),
        ({"error": [1, -1]}, "bin 2 is -1"),
        ({"edges": {"met": [1, 2]}}, "describe 1 bin and observed has 2"),
        ({"edges": {"met": [1, 2, 3], "ht": [1, 2, 3]}}, r"give each as \(low, high\)"),
        ({"edges": {"met": ([1, 1], [2, 3])}}, "bin 1 and bin 2 of search 'x' overlap"),
        ({"combinable": [[True]]}, "combinable has shape"),
        ({"combinable": [[True, True], [False, True]]}, "same value both ways"),
        ({"covariance": [[1.0]]}, "covariance is of 1 bin"),
    ],
)
def test_arrays_that_make_no_search(fields: dict[str, object], text: str) -> None:
    """SEARCH-5, SEARCH-6: one line that names the rule."""
    given = {"observed": [3, 1], "background": [2.5, 1], "luminosity_fb": 1, **fields}
    with pytest.raises(InputError, match=text):
        Search.from_arrays("x", **given)  # type: ignore[arg-type]  # wrong values are the point


def test_overlap_may_be_declared() -> None:
    """SEARCH-6: then the search says which regions may be merged."""
    search = Search.from_arrays(
        "x", observed=[3, 1], background=[2.5, 1], luminosity_fb=1, edges={"met": ([1, 1], [2, 3])},
        combinable=np.eye(2, dtype=bool),
    )  # fmt: skip
    assert search.combinable is not None
    assert not search.combinable[0, 1]
    # Discrete ranges include both ends, so 1-2 and 2-3 overlap there and nowhere else.
    edges = ([1, 2], [2, 3])
    Search.from_arrays("x", observed=[3, 1], background=[2.5, 1], luminosity_fb=1, edges={"met": edges})
    with pytest.raises(InputError, match="overlap"):
        Search.from_arrays(
            "x",
            observed=[3, 1],
            background=[2.5, 1],
            luminosity_fb=1,
            edges={Observable("nb", "nb", "", True): edges},
        )


def test_negative_edges(tmp_path: Path) -> None:
    """SEARCH-1, SEARCH-3, STORE-2: bins of a rapidity or a classifier's output; they are stored, written, merged and named."""
    search = Search.from_arrays(
        "bdt",
        observed=[5, 3, 1],
        background=[4.0, 3.0, 0.5],
        error=[1.0, 0.5, 0.3],
        luminosity_fb=10,
        edges={"bdt": [-1.0, -0.5, 0.5, 1.0]},
    )
    assert [search.observables[0].text(*ends) for ends in ((-1.0, -0.5), (-0.5, 0.5), (0.5, 1.0))] == [
        "-1 to -0.5",
        "-0.5 to 0.5",
        "0.5-1",
    ]
    assert cuts(search, [1, 2]) == ("bdt -1 to 0.5",)
    write_search(search, tmp_path / "x")
    assert read_search(tmp_path / "x").digest == search.digest
    with Store("sqlite://") as store:
        store.add_search(search)
        assert store.search("bdt").digest == search.digest
    with pytest.raises(InputError, match=r"low in bin 1 is -inf; it must be a finite number"):
        Search.from_arrays(
            "open", observed=[1], background=[1.0], luminosity_fb=1, edges={"bdt": ([-np.inf], [0.0])}
        )


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("-2.5 to -1.5", (-2.5, -1.5)),
        ("-0.5-0.5", (-0.5, 0.5)),
        ("−1 – 0", (-1.0, 0.0)),
        ("> -0.2", (-0.2, np.inf)),
        ("3-4", (3.0, 4.0)),
    ],
)
def test_negative_ranges_are_read(text: str, ends: tuple[float, float]) -> None:
    """IMP-4: a sign belongs to its number."""
    assert parse_range(text) == ends
