"""Rectangles and cuts say exactly what they select: clauses MERGE-20 to MERGE-24."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

from superbin._support.arrays import FloatArray
from superbin.domain.search import Search
from superbin.errors import InputError
from superbin.merge import cuts
from superbin.merge.problem import BoolArray
from superbin.merge.rectangles import rectangles


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
        counted = re.fullmatch(r"(>= )?(\d+)(?:-(\d+))? (b jets|jets)", part)
        if counted:
            x = points[:, columns[counted[4]]]
            low = int(counted[2])
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
        ([20], ("3-4 jets, 1 b jets, HT > 1500 GeV, MHT > 750 GeV",)),
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
    """MERGE-24."""
    low, high = small_search.low.copy(), small_search.high.copy()
    low[1], high[1] = low[0], high[0]
    twins = dataclasses.replace(small_search, low=low, high=high, combinable=np.ones((4, 4), dtype=bool))
    assert cuts(twins, [1, 3]) == (">= 4 jets, MHT 300-500 GeV", "bin 1")


@pytest.mark.parametrize("bins", [[], [0], [161]])
def test_bins_that_do_not_exist(cms_search: Search, bins: list[int]) -> None:
    """MERGE-24."""
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
