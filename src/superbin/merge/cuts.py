"""Merges as selections a physicist can write down.

A merge that is one rectangle prints as its cuts; any other as the fewest rectangles whose union is exactly
its bins, a minimum set cover solved by integer programming over the largest rectangles inside the merge.
"""

from collections.abc import Iterable

import numpy as np

from superbin.domain.search import Observable, Search
from superbin.merge.problem import BoolArray
from superbin.merge.rectangles import Rectangles, rectangles

__all__ = ["cover", "cuts", "rectangle_text"]

_COUNTED = {
    "njet": "jets",
    "njets": "jets",
    "nj": "jets",
    "nb": "b jets",
    "nbjet": "b jets",
    "nbjets": "b jets",
    "nbtag": "b jets",
    "nbtags": "b jets",
}


def cuts(search: Search, bins: Iterable[int]) -> tuple[str, ...]:
    """Write a merge as selections whose union is exactly its bins.

    Parameters
    ----------
    search : Search
    bins : iterable of int
        Published 1-based numbers.

    Returns
    -------
    tuple of str
        As few as possible, such as ``("7-8 jets, >= 3 b jets, HT > 1000 GeV",)``. They may overlap. An event
        of the search passes one of them if and only if it is in one of the bins. A bin that no cuts can tell
        from another one, and a region without ranges, is written by its name or as ``bin 12``.

    Raises
    ------
    InputError
        If the set is empty or a number names no bin.
    """
    chosen = np.zeros(search.n_bins, dtype=bool)
    chosen[list(search.indices(bins))] = True
    if not search.observables:
        return tuple(search.bin_name(int(i) + 1) for i in np.flatnonzero(chosen))
    all_of_them = rectangles(search)
    rows, left = cover(all_of_them, chosen)
    texts = [
        rectangle_text(search, all_of_them.low[row].tolist(), all_of_them.high[row].tolist()) for row in rows
    ]
    return (*texts, *(search.bin_name(int(i) + 1) for i in np.flatnonzero(left)))


def rectangle_text(search: Search, low: list[float], high: list[float]) -> str:
    """Write a product of ranges, leaving out what every bin of the search passes."""
    parts = [
        _range_text(observable, low[j], high[j])
        for j, observable in enumerate(search.observables)
        if low[j] > search.low[:, j].min() or high[j] < search.high[:, j].max()
    ]
    return ", ".join(parts) or "all bins"


def _range_text(observable: Observable, low: float, high: float) -> str:
    text = observable.text(low, high)
    if observable.discrete:
        noun = _COUNTED.get(observable.name.lower().replace("_", ""))
        return f"{text} {noun}" if noun else f"{observable.name} {text}"
    name = observable.name if observable.unit == "" else observable.name.upper()
    return " ".join(filter(None, [name, text, observable.unit]))


def cover(candidates: Rectangles, chosen: BoolArray) -> tuple[tuple[int, ...], BoolArray]:
    """The fewest rectangles whose union is a set of bins.

    Parameters
    ----------
    candidates : Rectangles
    chosen : ndarray of bool, shape (n_bins,)

    Returns
    -------
    tuple of tuple of int and ndarray of bool
        Rows of `candidates`, and the bins no rectangle inside the set contains. Of covers of equal size the
        one with the shortest text is taken.
    """
    inside = np.flatnonzero(~(candidates.sets & ~chosen).any(axis=1))
    rows = inside[_maximal(candidates.sets[inside])]
    reached = candidates.sets[rows].any(axis=0)
    needed = chosen & reached
    if not needed.any():
        return (), chosen & ~reached
    whole = rows[(candidates.sets[rows] == needed).all(axis=1)]
    if whole.size:
        return (int(whole[0]),), chosen & ~reached
    picked = rows[_minimum_cover(candidates.sets[rows][:, needed], candidates.cost[rows])]
    first = sorted(picked, key=lambda row: tuple(np.flatnonzero(candidates.sets[row]).tolist()))
    return tuple(int(row) for row in first), chosen & ~reached


def _maximal(sets: BoolArray) -> BoolArray:
    """Which sets are contained in no other."""
    counts = sets.astype(np.float32)
    common = counts @ counts.T
    size = counts.sum(axis=1)
    contained = (common == size[:, None]) & (size[None, :] > size[:, None])
    maximal: BoolArray = ~contained.any(axis=1)
    return maximal


def _minimum_cover(sets: BoolArray, cost: np.ndarray) -> BoolArray:
    from scipy import optimize

    # The text's length only decides between covers of equal size.
    weight = 1.0 + cost / (1.0 + cost.sum())
    answer = optimize.milp(
        weight,
        integrality=np.ones(len(sets), dtype=np.int64),
        bounds=optimize.Bounds(0, 1),
        constraints=optimize.LinearConstraint(sets.T.astype(np.float64), lb=1.0),
        options={"mip_rel_gap": 0.0},
    )
    if answer.x is None:  # the union of all sets covers every column, so only a broken solver gets here
        raise RuntimeError(f"the set cover failed: {answer.message}")
    picked: BoolArray = answer.x > 0.5
    return picked
