"""Merges that hang together: bins that reach one another through neighbours in the merge.

Two bins are neighbours if their boxes share a piece of a wall: they touch in one observable and overlap in all
others. Finding the best connected set is a hard problem; `grow` gives good starts for the local search.
"""

from typing import Any

import numpy as np
from scipy import sparse

from superbin.domain.search import Search
from superbin.merge.archive import Archive
from superbin.merge.problem import BoolArray

__all__ = ["grow", "is_connected", "neighbours"]

_DENSE = 300
"""Bins above which the graph of neighbours is a sparse matrix."""

_STARTS = 24


def neighbours(search: Search) -> BoolArray:
    """Which bins share a piece of a wall; shape (n_bins, n_bins), symmetric, false on the diagonal.

    Discrete ranges touch where one begins a unit above the other's end.
    """
    overlap, touch = [], []
    for j, observable in enumerate(search.observables):
        low, high = search.low[:, j], search.high[:, j]
        step = 1.0 if observable.discrete else 0.0
        start, stop = np.maximum.outer(low, low), np.minimum.outer(high, high)
        overlap.append(start <= stop if observable.discrete else start < stop)
        touch.append(start == stop + step)
    shared = np.zeros((search.n_bins, search.n_bins), dtype=bool)
    for j, wall in enumerate(touch):
        others = [face for k, face in enumerate(overlap) if k != j]
        shared |= np.logical_and.reduce([wall, *others])
    return shared


def is_connected(sets: BoolArray, adjacency: BoolArray) -> BoolArray:
    """Which sets are in one piece; an empty set is not.

    Parameters
    ----------
    sets : ndarray of bool, shape (n_sets, n_bins)
    adjacency : ndarray of bool, shape (n_bins, n_bins)
    """
    used = np.flatnonzero(sets.any(axis=0))
    if not used.size:
        return np.zeros(len(sets), dtype=bool)
    sets = sets[:, used]
    reached = np.zeros_like(sets)
    some = sets.any(axis=1)
    reached[some, np.argmax(sets[some], axis=1)] = True
    dense = adjacency[np.ix_(used, used)].astype(np.float32)
    graph: Any = sparse.csr_array(dense) if used.size > _DENSE else dense
    while True:
        wider = reached | (sets & ((reached.astype(np.float32) @ graph) > 0))
        if np.array_equal(wider, reached):
            connected: BoolArray = some & (reached == sets).all(axis=1)
            return connected
        reached = wider


def grow(archive: Archive, adjacency: BoolArray, possible: BoolArray) -> None:
    """Grow sets from the best single bins, always by the neighbour that leaves the set best.

    Parameters
    ----------
    archive : Archive
        Receives every set on the way.
    adjacency : ndarray of bool, shape (n_bins, n_bins)
    possible : ndarray of bool, shape (n_bins,)
    """
    singles = np.eye(archive.problem.n_bins, dtype=bool)
    values = archive.figure(archive.problem.totals(singles))
    values[~possible] = -np.inf
    for seed in np.argsort(-values, kind="stable")[:_STARTS]:
        chosen, best = singles[seed], float(values[seed])
        archive.evaluate(chosen[None, :])
        since = 0
        # A path may pass through worse sets; it ends when three steps brought nothing.
        while since < 3:
            border = np.flatnonzero(adjacency[chosen].any(axis=0) & ~chosen & possible)
            if not border.size:
                break
            sets = np.repeat(chosen[None, :], border.size, axis=0)
            sets[np.arange(border.size), border] = True
            archive.evaluate(sets)
            steps = archive.figure(archive.problem.totals(sets))
            chosen, step = sets[np.argmax(steps)], float(steps.max())
            since = 0 if step > best else since + 1
            best = max(best, step)
