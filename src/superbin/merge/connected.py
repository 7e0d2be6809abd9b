"""Merges that hang together: bins that reach one another through neighbours in the merge.

Two bins are neighbours if their boxes share a piece of a wall: they touch in one observable and overlap in all
others. Finding the best connected set is a hard problem; `grow` gives good starts for the local search.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from superbin.domain.search import Search
from superbin.merge.local import Moves, Screen
from superbin.merge.problem import BoolArray, IntArray

__all__ = ["changes", "grow", "is_connected", "neighbours"]

_DENSE = 300
"""Bins above which the graph of neighbours is a sparse matrix."""

_STARTS, _ALL = 24, 8
"""Bins that sets grow from, and how many before bins of earlier sets are left out."""

_PATIENCE = 3
_KEPT = 40
_ROWS = 256


def neighbours(search: Search) -> BoolArray:
    """Which bins share a piece of a wall; shape (n_bins, n_bins), symmetric, false on the diagonal.

    Discrete ranges touch where one begins a unit above the other's end.
    """
    shared = np.zeros((search.n_bins, search.n_bins), dtype=bool)
    for first in range(0, search.n_bins, _ROWS):
        rows = slice(first, first + _ROWS)
        overlap, touch = [], []
        for j, observable in enumerate(search.observables):
            low, high = search.low[:, j], search.high[:, j]
            step = 1.0 if observable.discrete else 0.0
            start, stop = np.maximum.outer(low[rows], low), np.minimum.outer(high[rows], high)
            overlap.append(start <= stop if observable.discrete else start < stop)
            touch.append(start == stop + step)
        for j, wall in enumerate(touch):
            others = [face for k, face in enumerate(overlap) if k != j]
            shared[rows] |= np.logical_and.reduce([wall, *others])
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


def grow(screen: Screen, adjacency: BoolArray) -> BoolArray:
    """Sets that grow from the best single bins, always by the neighbour that leaves the set best by a quick figure of merit.

    Parameters
    ----------
    screen : Screen
        Its figure ranks the neighbours. Constraints on bins alone count: others may need sets that are grown further.
    adjacency : ndarray of bool, shape (n_bins, n_bins)

    Returns
    -------
    ndarray of bool, shape (n_sets, n_bins)
        Those on the way of each, the best of many.
    """
    problem, possible = screen.problem, screen.rules.possible
    bins, nothing = np.arange(problem.n_bins), np.zeros(problem.n_bins, dtype=bool)
    values = screen.quick(Moves(nothing, np.full(bins.size, -1), bins).totals(problem))
    values = np.where(possible & (problem.signal > 0), values, -np.inf)
    grown: list[BoolArray] = []
    covered = nothing.copy()
    for paths, seed in enumerate(np.argsort(-values, kind="stable")[:_STARTS]):
        if values[seed] == -np.inf:
            break
        if paths >= _ALL and covered[seed]:
            continue
        chosen, best, since = nothing.copy(), float(values[seed]), 0
        chosen[seed] = True
        near = adjacency[seed].copy()
        sets, reached = [chosen.copy()], [best]
        # A path may pass through worse sets; it ends when three steps brought nothing.
        while since < _PATIENCE:
            border = np.flatnonzero(near & ~chosen & possible)
            if not border.size:
                break
            steps = screen.quick(Moves(chosen, np.full(border.size, -1), border).totals(problem))
            pick = int(np.argmax(steps))
            chosen[border[pick]] = True
            near |= adjacency[border[pick]]
            since = 0 if steps[pick] > best else since + 1
            best = max(best, float(steps[pick]))
            sets.append(chosen.copy())
            reached.append(float(steps[pick]))
        kept = range(len(sets)) if not screen.rules.free else np.argsort(-np.array(reached))[:_KEPT]
        grown += [sets[i] for i in kept]
        covered |= sets[int(np.argmax(reached))]
    return np.array(grown, dtype=bool).reshape(len(grown), problem.n_bins)


def changes(adjacency: BoolArray) -> tuple[Callable[[BoolArray], Moves], Callable[[BoolArray], Moves]]:
    """What may lead from one connected set to another: a neighbour joins or a bin leaves, or one for the other."""

    def border(chosen: BoolArray) -> IntArray:
        return np.flatnonzero(adjacency[chosen].any(axis=0) & ~chosen)

    def one(chosen: BoolArray) -> Moves:
        out, into = np.flatnonzero(chosen), border(chosen)
        none = np.full(out.size + into.size, -1)
        moves = Moves(chosen, none.copy(), none)
        moves.out[: out.size], moves.into[out.size :] = out, into
        return moves

    def exchanged(chosen: BoolArray) -> Moves:
        out, into = np.flatnonzero(chosen), border(chosen)
        return Moves(chosen, np.repeat(out, into.size), np.tile(into, out.size))

    return one, exchanged
