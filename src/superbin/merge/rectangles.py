"""Every merge that one set of cuts selects exactly.

A *rectangle* is a product of ranges, one per observable, whose edges are edges of bins, such that every bin
lies either fully inside or fully outside. An event of the search then passes the cuts if and only if it is in
one of the bins inside. A product that cuts through a bin is no rectangle: its text would be false. Ranges may
differ and select the same bins; the one with the fewest numbers to write is kept, and of those the tightest.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin.domain.search import Search
from superbin.errors import InputError
from superbin.merge.problem import BoolArray, IntArray, first_rows

__all__ = ["Rectangles", "rectangles"]

_LARGEST = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Rectangles:
    """Distinct rectangles of a search.

    Attributes
    ----------
    sets : ndarray of bool, shape (n_rectangles, n_bins)
        The bins inside each.
    low, high : ndarray, shape (n_rectangles, n_observables)
        The ranges; where an observable is not cut on, those of the whole search.
    cost : ndarray of int, shape (n_rectangles,)
        How many numbers its text needs.
    """

    sets: BoolArray
    low: FloatArray
    high: FloatArray
    cost: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sets)

    def take(self, rows: NDArray[np.int64] | BoolArray) -> "Rectangles":
        """Some of the rectangles."""
        return Rectangles(self.sets[rows], self.low[rows], self.high[rows], self.cost[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """Ranges of one observable with the bins they contain and touch, the most readable ranges first."""

    low: FloatArray
    high: FloatArray
    cost: NDArray[np.int64]
    inside: BoolArray
    touched: BoolArray


@lru_cache(maxsize=8)
def rectangles(search: Search) -> Rectangles:
    """Enumerate the rectangles of a search; once for a search, since every merge's text needs them.

    Parameters
    ----------
    search : Search

    Returns
    -------
    Rectangles
        Each distinct set of bins once, the ones with the shortest texts first.

    Raises
    ------
    InputError
        If the search has so many edges that there are millions of products of ranges.
    """
    if not search.observables:
        raise InputError(
            f"the regions of search {search.name!r} have names and no ranges, so no cuts select sets of them; name sets of bins, or ask for merges of any set"
        )
    axes = [_axis(search, j) for j in range(len(search.observables))]
    products = np.prod([float(len(axis.low)) for axis in axes])
    if products > _LARGEST:
        raise InputError(
            f"search {search.name!r} has {products:.3g} products of ranges; at most {_LARGEST:,} are enumerated, "
            "so merge its finest observable first or do not ask for rectangles"
        )
    picks, inside, touched = np.zeros((1, 0), dtype=np.intp), *(np.ones((1, search.n_bins), dtype=bool),) * 2
    for axis in axes:
        k, r = len(picks), len(axis.low)
        inside = (inside[:, None, :] & axis.inside[None, :, :]).reshape(k * r, -1)
        touched = (touched[:, None, :] & axis.touched[None, :, :]).reshape(k * r, -1)
        picks = np.concatenate([np.repeat(picks, r, axis=0), np.tile(np.arange(r), k)[:, None]], axis=1)
        some = inside.any(axis=1)
        inside, touched, picks = inside[some], touched[some], picks[some]
    exact = (inside == touched).all(axis=1)
    return _distinct(axes, inside[exact], picks[exact])


def _distinct(axes: list[_Axis], sets: BoolArray, picks: IntArray) -> Rectangles:
    cost = np.sum([axis.cost[pick] for axis, pick in zip(axes, picks.T, strict=True)], axis=0)
    # Axis ranges are sorted from most to least readable, so lower picks win between equal costs.
    order = np.lexsort((*picks.T[::-1], cost))
    rows = order[first_rows(sets[order])]
    low = np.stack([axis.low[pick] for axis, pick in zip(axes, picks[rows].T, strict=True)], axis=1)
    high = np.stack([axis.high[pick] for axis, pick in zip(axes, picks[rows].T, strict=True)], axis=1)
    return Rectangles(sets[rows], low, high, cost[rows])


def _axis(search: Search, j: int) -> _Axis:
    low, high = search.low[:, j], search.high[:, j]
    discrete = search.observables[j].discrete
    lows, highs = (part.ravel() for part in np.meshgrid(np.unique(low), np.unique(high), indexing="ij"))
    real = lows <= highs if discrete else lows < highs
    lows, highs = lows[real], highs[real]
    whole = (lows == low.min()) & (highs == high.max())
    cost = np.where(whole, 0, np.where(np.isinf(highs) | (lows == highs), 1, 2))
    order = np.lexsort((highs, -lows, cost))
    lows, highs, cost = lows[order], highs[order], cost[order]
    inside = (low >= lows[:, None]) & (high <= highs[:, None])
    start, stop = np.maximum(low, lows[:, None]), np.minimum(high, highs[:, None])
    touched = start <= stop if discrete else start < stop
    return _Axis(lows, highs, cost.astype(np.int64), inside, touched)
