"""Events of a TTree counted in bins: clauses RIMP-6 to RIMP-10. Expected values are plain NumPy loops."""

from pathlib import Path
from typing import Any

import awkward
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from superbin.domain.search import Observable, Search
from superbin.errors import DocumentError, InputError, UnknownNameError
from superbin.io import signals
from superbin.io.signals import signal_from_tree

MET = Observable("met", "MET", "GeV")
NJET = Observable("njet", "Njet", "", discrete=True)


def make_search(**changes: Any) -> Search:
    """Bins in MET and Njet with a gap at Njet = 4 and between 300 and 400 GeV above."""
    edges = {MET: ([200, 300, 200, 400], [300, np.inf, 300, 800]), NJET: ([2, 2, 5, 5], [3, 3, 9, np.inf])}
    arguments: dict[str, Any] = {
        "observed": [0] * 4,
        "background": [1.0] * 4,
        "luminosity_fb": 36.0,
        "edges": edges,
    }
    return Search.from_arrays("s", **(arguments | changes))


def write(path: Path, **branches: Any) -> Path:
    with uproot.recreate(path) as file:
        file.mktree("events", {name: array.dtype for name, array in branches.items()}).extend(branches)
    return path


def expected(search: Search, values: Any, weights: Any) -> tuple[Any, Any]:
    """By a loop over bins."""
    sums, squares = np.zeros((2, search.n_bins))
    for i in range(search.n_bins):
        inside = np.ones(len(weights), dtype=bool)
        for j, o in enumerate(search.observables):
            low, high = search.low[i, j], search.high[i, j]
            inside &= (values[j] >= low) if o.discrete else (values[j] > low)
            inside &= values[j] <= high
        sums[i] = weights[inside].sum()
        squares[i] = (weights[inside] ** 2).sum()
    return sums, np.sqrt(squares)


def test_edges(tmp_path: Path) -> None:
    """RIMP-6: lower edges are out and upper ones in, for counts both are in; gaps, NaN and what lies beyond are in no bin."""
    met = [
        200.0,
        200.01,
        300.0,
        300.01,
        1e9,
        np.inf,
        np.nan,
        350.0,
        400.0,
        400.1,
        800.0,
        800.1,
        250.0,
        250.0,
        250.0,
    ]
    njet = [2, 2, 3, 3, 2, 2, 2, 5, 7, 5, 99, 7, 1, 4, 10]
    path = write(tmp_path / "t.root", met=np.array(met), njet=np.array(njet, dtype=np.int32))
    made = signal_from_tree(path, "events", make_search())
    #  bin 1: 200.01/2, 300/3; bin 2: 300.01/3, 1e9/2, inf/2; bin 3: none; bin 4: 400.1/5, 800/99
    assert made.yields.tolist() == [2, 3, 0, 2]
    assert "15 events read, 15 selected, 8 of these in no bin" in made.source


def test_weights_and_selection(tmp_path: Path) -> None:
    """RIMP-7, RIMP-9: sums and roots of squares in double precision, negative weights with their sign, in any chunks."""
    rng = np.random.default_rng(3)
    n = 5000
    met, njet = rng.exponential(300, n), rng.integers(0, 12, n).astype(np.uint8)
    weight = rng.normal(1.0, 0.7, n).astype(np.float32)
    lep = rng.integers(0, 2, n)
    path = write(tmp_path / "t.root", MET=met * 1000, n=njet, w=weight, lep=lep)
    search = make_search()
    kept = (lep == 0) & (met < 700)
    sums, errors = expected(search, (met[kept], njet[kept]), weight.astype(float)[kept] * 0.5)
    for chunk in (500_000, 777):
        made = signal_from_tree(
            path,
            "events",
            search,
            branches={"met": "MET / 1000", "njet": "n"},
            weight="w * 0.5",
            selection="lep == 0 and MET < 700000",
            scale=3.0,
            chunk=chunk,
            model="Z",
            parameters={"m": 7},
        )
        np.testing.assert_allclose(made.yields, 3 * sums, rtol=1e-12)
        np.testing.assert_allclose(made.errors, 3 * errors, rtol=1e-12)
    assert made.label == "Z(7)"
    np.testing.assert_allclose(made.effective_counts, (sums / errors) ** 2, rtol=1e-12)
    negative = int((weight[kept] < 0).sum())
    assert negative > 0
    assert f"5000 events read, {int(kept.sum())} selected, {negative} of negative weight" in made.source


def test_single_precision_weights_are_summed_in_double(tmp_path: Path) -> None:
    """RIMP-7: in float32 the small weights would be lost beside 2^24."""
    weight = np.array([2.0**24] + [1.0] * 1000, dtype=np.float32)
    path = write(tmp_path / "t.root", met=np.full(1001, 250.0), njet=np.full(1001, 2), w=weight)
    assert signal_from_tree(path, "events", make_search(), weight="w").yields[0] == 2.0**24 + 1000


def test_normalisation(tmp_path: Path) -> None:
    """RIMP-8: 2 of 4 events of weight 0.5 pass: 0.5 x 0.1 pb x 36 fb^-1 x 1000 = 1800."""
    path = write(
        tmp_path / "t.root",
        met=np.array([250.0, 250.0, 0, 0]),
        njet=np.array([2, 2, 2, 2]),
        w=np.full(4, 0.5),
    )
    search = make_search()
    made = signal_from_tree(path, "events", search, weight="w", cross_section_pb=0.1, selection="met > 1")
    assert made.yields[0] == pytest.approx(1800, rel=1e-14)
    assert made.cross_section_pb == 0.1
    made = signal_from_tree(path, "events", search, weight="w", cross_section_pb=0.1, generated=20)
    assert made.yields[0] == pytest.approx(180, rel=1e-14)
    assert made.errors[0] == pytest.approx(0.5 * 2**0.5 * 0.1 * 36000 / 20, rel=1e-14)
    with pytest.raises(InputError, match="either scale or cross_section_pb"):
        signal_from_tree(path, "events", search, scale=1, cross_section_pb=1)
    with pytest.raises(InputError, match="sum of weights of the generated events is -1"):
        signal_from_tree(path, "events", search, cross_section_pb=1, generated=-1)


def test_negative_bins(tmp_path: Path) -> None:
    """RIMP-7: a negative sum in a bin is refused, or set to zero on request."""
    path = write(
        tmp_path / "t.root", met=np.array([250.0, 250.0]), njet=np.array([2, 2]), w=np.array([1.0, -2.0])
    )
    with pytest.raises(InputError, match="the weights in bin 1 sum to -1, below zero"):
        signal_from_tree(path, "events", make_search(), weight="w")
    made = signal_from_tree(path, "events", make_search(), weight="w", negative="zero")
    assert made.yields.tolist() == [0, 0, 0, 0]
    assert made.errors[0] == pytest.approx(5**0.5)
    assert "1 bin of negative sum were set to zero" in made.source


def test_several_files_and_regions(tmp_path: Path) -> None:
    """RIMP-6: regions are selections, and may overlap."""
    paths = [write(tmp_path / f"{i}.root", met=np.array([100.0 * i, 300.0])) for i in (1, 2, 3)]
    search = Search.from_arrays(
        "s", observed=[0, 0], background=[1, 1], luminosity_fb=1, names=["A", "B"], combinable=np.eye(2)
    )
    made = signal_from_tree(paths, "events", search, regions={"A": "met > 150", "B": "met >= 300"})
    assert made.yields.tolist() == [5, 4]
    assert "6 events read, 6 selected, 1 of these in no bin" in made.source
    with pytest.raises(InputError, match="'B' is missing or unknown"):
        signal_from_tree(paths, "events", search, regions={"A": "met > 150"})
    with pytest.raises(InputError, match="give regions"):
        signal_from_tree(paths, "events", search)


def test_ntuples(tmp_path: Path) -> None:
    """RIMP-7: ROOT's RNTuple, the successor of the TTree, reads alike."""
    path = tmp_path / "t.root"
    events = awkward.Array(
        {"met": np.array([250.0, 350.0]), "njet": np.array([2, 3]), "w": np.array([0.5, 1.5])}
    )
    with uproot.recreate(path) as file:
        # The form first: the oldest uproot that superbin allows writes no RNTuple from plain arrays.
        file.mkrntuple("events", events.layout.form).extend(events)
    assert signal_from_tree(path, "events", make_search(), weight="w").yields.tolist() == [0.5, 1.5, 0, 0]


def test_faults(tmp_path: Path) -> None:
    """RIMP-7, RIMP-10: bad trees, branches, weights and expressions are refused."""
    path = tmp_path / "t.root"
    with uproot.recreate(path) as file:
        branches = {"met": np.array([250.0]), "njet": np.array([2]), "w": np.array([np.nan])}
        types = {name: array.dtype for name, array in branches.items()}
        tree = file.mktree("events", types | {"pair": np.dtype(("f8", (2,)))})
        tree.extend(branches | {"pair": np.ones((1, 2))})
        file["h"] = np.histogram([1.0])
    search = make_search()
    with pytest.raises(UnknownNameError, match="no tree 'h'; there are: events"):
        signal_from_tree(path, "h", search)
    with pytest.raises(UnknownNameError, match="tree events: no branch 'MET'; there are met, njet"):
        signal_from_tree(path, "events", search, branches={"met": "MET", "njet": "njet"})
    with pytest.raises(InputError, match="branches lack the observable 'njet'"):
        signal_from_tree(path, "events", search, branches={"met": "met"})
    with pytest.raises(InputError, match="branches name 'x'"):
        signal_from_tree(path, "events", search, branches={"x": "met"})
    with pytest.raises(DocumentError, match="the weight of event 1 is nan"):
        signal_from_tree(path, "events", search, weight="w")
    with pytest.raises(DocumentError, match="branch pair has several numbers per event"):
        signal_from_tree(path, "events", search, weight="pair")
    with pytest.raises(InputError, match="not allowed"):
        signal_from_tree(path, "events", search, selection="met.sum()")
    with pytest.raises(InputError, match="are ranges; give branches"):
        signal_from_tree(path, "events", search, regions={"A": "met > 1"})


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_table_of_cells_agrees_with_bin_by_bin(data: st.DataObject) -> None:
    """RIMP-6: for values on, beside and far from all edges."""
    search = make_search()
    edge = st.sampled_from(
        [0.0, 199.0, 200.0, 250.0, 300.0, 350.0, 400.0, 500.0, 800.0, 900.0, np.inf, np.nan]
    )
    count = st.sampled_from([0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 9.0, 10.0, np.inf, np.nan])
    events = data.draw(st.lists(st.tuples(edge, count), min_size=1, max_size=30))
    values = [np.array(column) for column in zip(*events, strict=True)]
    (fast,) = signals._finder(search)(values)
    slow = signals._tried(search, values)
    np.testing.assert_array_equal(fast, np.max(slow, axis=0))
