"""Rectangles and cuts say exactly what they select: clauses MERGE-20 to MERGE-24."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

from superbin._support.arrays import FloatArray
from superbin.domain.aggregate import bin_sums
from superbin.domain.search import Observable, Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.merge import cuts
from superbin.merge.boxes import largest_boxes
from superbin.merge.cuts import (
    _boxes,
    _fewest_together,
    _grown,
    _searched,
    count_selections,
    cover,
    range_texts,
    selections,
)
from superbin.merge.problem import BoolArray, problem_from
from superbin.merge.rectangles import Rectangles, few_rectangles, rectangles


def events(search: Search) -> tuple[FloatArray, FloatArray]:
    """Points that between them probe every region the edges cut the space into, and the bin each falls in."""
    axes = []
    for j, observable in enumerate(search.observables):
        edges = np.unique(np.concatenate([search.low[:, j], search.high[:, j]]))
        finite = edges[np.isfinite(edges)]
        middles = (finite[1:] + finite[:-1]) / 2
        axes.append(finite if observable.discrete else np.concatenate([middles, finite, [finite[-1] + 1]]))
        if observable.discrete:
            axes[-1] = np.arange(finite[0], finite[-1] + 2)
    points = np.array(list(itertools.product(*axes)))
    discrete = np.array([o.discrete for o in search.observables])
    low = np.where(discrete, points[:, None, :] >= search.low[None], points[:, None, :] > search.low[None])
    inside = np.asarray((low & (points[:, None, :] <= search.high[None])).all(axis=2), dtype=np.bool_)
    rows = np.flatnonzero(inside.any(axis=1))
    return points[rows], np.argmax(inside[rows], axis=1)


def passes(text: str, points: FloatArray) -> BoolArray:
    """Apply a text as a reader would; an independent reading of the wording."""
    columns = {"jets": 0, "b jets": 1, "HT": 2, "MHT": 3}
    passed = np.ones(len(points), dtype=bool)
    if text == "all bins":
        return passed
    for part in text.split(", "):
        counted = re.fullmatch(r"(>= )?(\d+|one)(?:-(\d+))? (b jet|jet)s?", part)
        if counted:
            x = points[:, columns[counted[4] + "s"]]
            low = 1 if counted[2] == "one" else int(counted[2])
            high = np.inf if counted[1] else int(counted[3] or low)
            passed &= (x >= low) & (x <= high)
            continue
        measured = re.fullmatch(r"(M?HT) (?:> (\d+)|(\d+)-(\d+)) GeV", part)
        assert measured, part
        x = points[:, columns[measured[1]]]
        low = int(measured[2] or measured[3])
        passed &= (x > low) & (x <= float(measured[4] or np.inf))
    return passed


@pytest.mark.parametrize(
    ("bins", "expected"),
    [
        (range(1, 161), ("all bins",)),
        ([20], ("3-4 jets, one b jet, HT > 1500 GeV, MHT > 750 GeV",)),
        ([113, 116], ("7-8 jets, >= 3 b jets, HT > 1000 GeV, MHT 300-500 GeV",)),
        (range(121, 161), (">= 9 jets",)),
        (
            [1, 160],
            (
                "3-4 jets, 0 b jets, HT 300-500 GeV, MHT 300-350 GeV",
                ">= 9 jets, >= 3 b jets, HT > 1500 GeV, MHT > 750 GeV",
            ),
        ),
        ([9, 10], ("3-4 jets, 0 b jets, MHT > 750 GeV",)),
    ],
)
def test_text_of_known_regions(cms_search: Search, bins: list[int], expected: tuple[str, ...]) -> None:
    """MERGE-22: written by hand from the published bin table."""
    assert cuts(cms_search, bins) == expected


def test_text_is_exactly_true(cms_search: Search) -> None:
    """MERGE-20, MERGE-23: every event passes the text if and only if it is in one of the bins."""
    points, home = events(cms_search)
    rng = np.random.default_rng(1)
    for size in (2, 3, 5, 9, 20, 60):
        bins = np.sort(rng.choice(160, size, replace=False))
        passed = np.zeros(len(points), dtype=bool)
        for text in cuts(cms_search, bins + 1):
            passed |= passes(text, points)
        assert np.array_equal(passed, np.isin(home, bins))


def test_cover_is_minimum(cms_search: Search) -> None:
    """MERGE-23: against trying every smaller combination of rectangles inside the set."""
    every = rectangles(cms_search)
    rng = np.random.default_rng(7)
    block = np.flatnonzero((cms_search.low[:, 0] >= 7) & (cms_search.low[:, 1] >= 2))
    for _ in range(12):
        bins = rng.choice(block, 7, replace=False)
        chosen = np.isin(np.arange(160), bins)
        inside = every.sets[~(every.sets & ~chosen).any(axis=1)]
        smaller = len(cuts(cms_search, bins + 1)) - 1
        for rows in itertools.combinations(range(len(inside)), smaller):
            assert not np.array_equal(inside[list(rows)].any(axis=0), chosen)


def test_rectangles_against_every_product(small_search: Search) -> None:
    """MERGE-20: on a 2 x 2 grid the rectangles are the 9 products of 3 ranges each."""
    found = {tuple((np.flatnonzero(row) + 1).tolist()) for row in rectangles(small_search).sets}
    assert found == {(1,), (2,), (3,), (4,), (1, 2), (3, 4), (1, 3), (2, 4), (1, 2, 3, 4)}


def test_a_product_that_cuts_through_a_bin_is_no_rectangle(cms_search: Search) -> None:
    """MERGE-20: HT > 1000, MHT > 500 would hold part of the (>750, 750-1500) box."""
    sets = {
        tuple(np.flatnonzero(row[:10]).tolist()) for row in rectangles(cms_search).sets if row[10:].sum() == 0
    }
    assert (7, 8, 9) not in sets
    assert (7, 9) not in sets
    assert (6, 7, 8, 9) in sets


def test_bins_no_cut_can_tell_apart(small_search: Search) -> None:
    """MERGE-24: a bin with the same ranges as another one is written with its number."""
    low, high = small_search.low.copy(), small_search.high.copy()
    low[1], high[1] = low[0], high[0]
    twins = dataclasses.replace(small_search, low=low, high=high, combinable=np.ones((4, 4), dtype=bool))
    assert cuts(twins, [1, 3]) == (">= 4 jets, MHT 300-500 GeV", "bin 1")
    assert count_selections(twins, np.array([True, False, False, False])) == 1
    assert count_selections(twins, np.array([True, False, True, False])) == 2


def scattered(seed: int) -> Search:
    """Irregular exclusive boxes in two or three observables, with gaps: a grid cut at random, some boxes dropped."""
    rng = np.random.default_rng(seed)
    axes = int(rng.integers(2, 4))
    boxes = [(np.zeros(axes), np.full(axes, 8.0))]
    while len(boxes) < 12:
        i = int(rng.integers(len(boxes)))
        low, high = boxes.pop(i)
        j = int(rng.integers(axes))
        if high[j] - low[j] < 2:
            boxes.append((low, high))
            continue
        cut = float(rng.integers(low[j] + 1, high[j]))
        below, above = high.copy(), low.copy()
        below[j] = above[j] = cut
        boxes += [(low, below), (above, high)]
    kept = rng.random(len(boxes)) < 0.85
    low, high = (np.array(side)[kept] for side in zip(*boxes, strict=True))
    # The first observable counts: its ranges include both ends.
    high[:, 0] -= 1
    edges: dict[str | Observable, object] = {
        Observable(f"x{j}", f"x{j}", "", j == 0): (low[:, j], high[:, j]) for j in range(axes)
    }
    n = len(low)
    return Search.from_arrays("s", observed=np.ones(n), background=np.ones(n), luminosity_fb=1, edges=edges)


def by_products(search: Search) -> set[tuple[bool, ...]]:
    """Every set that some product of ranges selects exactly, by trying all of them."""
    ranges = [
        itertools.product(np.unique(search.low[:, j]), np.unique(search.high[:, j]))
        for j in range(len(search.observables))
    ]
    discrete = np.array([o.discrete for o in search.observables])
    found = set()
    for product in itertools.product(*ranges):
        a, b = np.transpose(product)
        inside = ((search.low >= a) & (search.high <= b)).all(axis=1)
        meets = np.where(
            discrete, (search.low <= b) & (search.high >= a), (search.low < b) & (search.high > a)
        )
        if inside.any() and (inside == meets.all(axis=1)).all():
            found.add(tuple(inside.tolist()))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_rectangles_and_largest_boxes_against_every_product(seed: int) -> None:
    """MERGE-20, MERGE-23: irregular searches with gaps; the largest boxes inside random sets of their bins."""
    search = scattered(seed)
    every = by_products(search)
    found = [tuple(row) for row in rectangles(search).sets.tolist()]
    assert len(found) == len(set(found))
    assert set(found) == every
    rng = np.random.default_rng(seed)
    for share in (0.3, 0.6, 0.9, 1.0):
        chosen = rng.random(search.n_bins) < share
        if not chosen.any():
            continue
        inside = [set(np.flatnonzero(row)) for row in every if not (np.array(row) & ~chosen).any()]
        largest = {frozenset(row) for row in inside if not any(row < other for other in inside)}
        boxes = largest_boxes(search, chosen)
        assert boxes is not None
        assert {frozenset(np.flatnonzero(chosen)[row]) for row in boxes} == largest
        assert len(boxes) == len(largest)
        # Few rectangles are looked up instead.
        assert few_rectangles(search) is not None
        assert {frozenset(np.flatnonzero(chosen)[row]) for row in _boxes(search, chosen.tobytes())} == largest
        covered = cover(search, chosen).any(axis=0) if largest else np.zeros_like(chosen)
        alone = int((chosen & ~covered).sum())
        assert count_selections(search, chosen) == len(cover(search, chosen)) + alone
        # Where there are too many to list, one is grown around every bin.
        grown = _grown(search, chosen)
        assert all(any(set(np.flatnonzero(chosen)[row]) == other for other in inside) for row in grown)
        assert (grown.any(axis=0) == boxes.any(axis=0)).all()


def test_fewest_sets_against_every_choice() -> None:
    """MERGE-23: of covers with the fewest sets one with the least cost, by reduction and search, against all choices."""
    rng = np.random.default_rng(7)
    for _ in range(60):
        shape = int(rng.integers(2, 10)), int(rng.integers(2, 12))
        drawn = np.asarray(rng.random(shape) < 0.35, dtype=np.bool_)
        drawn = np.concatenate([drawn, ~np.any(drawn, axis=0)[None, :]])
        sets: BoolArray = drawn[np.any(drawn, axis=1)]
        cost = rng.integers(1, 5, len(sets))
        choices = np.array(list(itertools.product([False, True], repeat=len(sets))))
        covers = [row for row in choices if np.all(np.any(sets[row], axis=0))]
        least = min((int(row.sum()), int(cost[row].sum())) for row in covers)
        found = _searched(sets, cost)
        assert found is not None
        assert (len(found), int(cost[found].sum())) == least
        assert sets[found].any(axis=0).all()
        reduced = _fewest_together(sets, None)
        assert len(reduced) == least[0]
        assert sets[reduced].any(axis=0).all()


def test_sums_over_all_rectangles(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-60: from summed-area tables, or from the sets with a covariance, as from the bins."""
    boxes = rectangles(cms_search)
    for covariance in (None, cms_search.covariance):
        problem = problem_from(bin_sums(cms_search, t1bbbb), covariance)
        found, right = boxes.totals(problem), problem.totals(boxes.sets)
        for name in ("signal", "background", "up"):
            np.testing.assert_allclose(getattr(found, name), getattr(right, name), rtol=1e-9, atol=1e-9)


def grid(*bins: int) -> Search:
    """A regular grid: jets, b jets, and two continuous observables."""
    at = np.stack([axis.ravel() for axis in np.meshgrid(*map(range, bins), indexing="ij")], axis=1)
    names = ("njet", "nb", "ht", "mht")[-len(bins) :] if len(bins) < 3 else ("njet", "nb", "ht", "mht")
    edges: dict[str | Observable, object] = {
        Observable(name, name, "" if name[0] == "n" else "GeV", name[0] == "n"): (
            at[:, j].astype(float),
            at[:, j] + (0.0 if name[0] == "n" else 1.0),
        )
        for j, name in zip(range(len(bins)), names, strict=False)
    }
    n = len(at)
    return Search.from_arrays(
        "grid", observed=np.ones(n), background=np.full(n, 2.0), error=0.5, luminosity_fb=1, edges=edges
    )


def test_cuts_of_thousands_of_bins() -> None:
    """MERGE-60: 5760 bins, of which a block, all, or all but one are chosen; without listing three million rectangles."""
    search = grid(12, 6, 8, 10)
    inside = (
        (search.low[:, 0] >= 5) & (search.low[:, 1] == 1) & (search.low[:, 2] >= 3) & (search.low[:, 2] < 7)
    )
    assert cuts(search, np.flatnonzero(inside) + 1) == ("5-11 jets, one b jet, HT 3-7 GeV",)
    assert cuts(search, search.numbers) == ("all bins",)
    missing = selections(search, [number for number in search.numbers if number != 2266])
    assert missing.overlap
    assert missing.lines[0] == "union of"
    # On each side of the missing bin in each observable, of which none is at the edge.
    assert (search.low[2265] > 0).all()
    assert len(missing.texts) == 2 * 4
    line = grid(5760)
    assert cuts(line, [*range(100, 201), 300, *range(1000, 1011)]) == (
        "MHT 99-200 GeV",
        "MHT 299-300 GeV",
        "MHT 999-1010 GeV",
    )


def test_searches_with_too_many_rectangles() -> None:
    """MERGE-60: the size is said before work begins."""
    with pytest.raises(InputError, match=r"5760 bins and 1.66e\+07 products of ranges"):
        rectangles(grid(5760))
    many = np.zeros((3_000_000, 1), dtype=np.intp)
    with pytest.raises(InputError, match=r"3,000,000 rectangles of 1000 bins; a table of them takes 3\.0 GB"):
        _ = Rectangles(grid(1000), many, many).sets


@pytest.mark.parametrize(
    ("label", "discrete", "low", "high", "text"),
    [
        ("leptons", True, 1, 1, "one lepton"),
        ("leptons", True, 2, 3, "2-3 leptons"),
        ("leptons", True, 1, np.inf, ">= 1 lepton"),
        ("leptons", True, 0, 0, "0 leptons"),
        ("number of b jets", True, 1, 1, "one b jet"),
        ("Number of muons", True, 2, np.inf, ">= 2 muons"),
        ("jets with pT > 30 GeV", True, 1, 1, "one jet with pT > 30 GeV"),
        ("jets with pT > 30 GeV", True, 2, 3, "2-3 jets with pT > 30 GeV"),
        ("taus", True, 1, np.inf, ">= 1 tau"),
        ("categories", True, 1, 1, "one category"),
        ("vertices", True, 1, 1, "one vertex"),
        ("boxes", True, 1, 1, "one box"),
        ("total charge", True, 1, 1, "total charge 1"),
        ("jet multiplicity", True, 2, 3, "jet multiplicity 2-3"),
        ("tagger class", True, 2, 2, "tagger class 2"),
        ("$N_\\ell$", True, 1, 1, "x 1"),
        ("missing energy", False, 200, 300, "missing energy 200-300 GeV"),
        ("$E_T$", False, 200, 300, "X 200-300 GeV"),
    ],
)
def test_words_of_the_search(label: str, discrete: bool, low: float, high: float, text: str) -> None:
    """MERGE-22: an observable is called what the search calls it, where that is plain text."""
    observable = Observable("x", label, "" if discrete else "GeV", discrete)
    # Some other bin below, or above where there is nothing below.
    other = (500.0, 501.0) if low == 0 else (0.0, 0.0 if discrete else 1.0)
    edges: dict[str | Observable, object] = {observable: ([low, other[0]], [min(high, 499.0), other[1]])}
    search = Search.from_arrays("s", observed=[1, 1], background=[1, 1], luminosity_fb=1, edges=edges)
    assert range_texts(search, [low], [high]) == [text]


@pytest.mark.parametrize("bins", [[], [0], [161]])
def test_bins_that_do_not_exist(cms_search: Search, bins: list[int]) -> None:
    """MERGE-24: an empty set of bins and unknown numbers are refused."""
    with pytest.raises(InputError, match="bin"):
        cuts(cms_search, bins)


def test_number_of_rectangles(cms_search: Search) -> None:
    """MERGE-20: products of published edges, one by one; those that cut through a bin are none.

    Counted otherwise, by the sets of bins that a product touches, there are 5800.
    """
    planes = []
    for j in (0, 1):
        edges = itertools.product(np.unique(cms_search.low[:, j]), np.unique(cms_search.high[:, j]))
        planes.append([(a, b) for a, b in edges if a <= b])
    for j in (2, 3):
        edges = itertools.product(np.unique(cms_search.low[:, j]), np.unique(cms_search.high[:, j]))
        planes.append([(a, b) for a, b in edges if a < b])
    # In multiplicities every product of ranges is a product of classes; only HT and MHT can cut through a bin.
    low, high = cms_search.low[:10, 2:], cms_search.high[:10, 2:]
    exact, touched = set(), set()
    for ranges in itertools.product(planes[2], planes[3]):
        start, stop = np.transpose(ranges)
        inside = tuple(((low >= start) & (high <= stop)).all(axis=1))
        meets = tuple(((low < stop) & (high > start)).all(axis=1))
        if any(inside) and inside == meets:
            exact.add(inside)
        if any(meets):
            touched.add(meets)
    assert len(planes[0]) == len(planes[1]) == 10
    assert len(rectangles(cms_search)) == 100 * len(exact) == 3900
    assert 100 * len(touched) == 5800
