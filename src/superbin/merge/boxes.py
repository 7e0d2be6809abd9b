"""Boxes that hold some bins of a search completely and touch no others, found for a chosen set only.

A text of cuts needs the largest boxes inside the chosen set, and no other rectangle of the search. So the search is laid
on a grid of the *chosen* bins' edges, in which a cell is blocked that any other bin touches; a summed-area table answers
how many blocked cells a box has. The largest free boxes follow from the runs of free cells along one axis for every
product of ranges in the others. A box that cuts through a chosen bin has to avoid that bin, on one of its sides: it is
split until none does.

What this costs depends on the edges of the chosen bins, not on the size of the search.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin.domain.search import Search
from superbin.merge.problem import BoolArray, IntArray, first_rows

__all__ = ["Edges", "largest_boxes", "maximal"]

_CELLS = 20_000_000
"""Cells of a grid, and of its ranges, up to which the largest boxes are enumerated."""

_SPLITS = 20_000
"""Boxes that are looked at while boxes that cut through a bin are split."""

_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Bins as half-open boxes, ``start <= x < stop`` in every observable.

    A discrete range ends before the number after its last; a continuous one, which excludes its lower edge, touches
    others exactly as if it excluded its upper one instead.

    Attributes
    ----------
    start, stop : ndarray, shape (n_bins, n_observables)
    """

    start: FloatArray
    stop: FloatArray

    @staticmethod
    @lru_cache(maxsize=8)
    def of(search: Search) -> "Edges":
        """The edges of all bins of a search."""
        discrete = np.array([observable.discrete for observable in search.observables], dtype=bool)
        start = np.where(discrete, np.ceil(search.low), search.low)
        return Edges(start, np.where(discrete, np.floor(search.high) + 1, search.high))

    def touched(self, low: FloatArray, high: FloatArray) -> BoolArray:
        """Which bins a box of these ranges, shape (n_observables,), has a part of."""
        return np.asarray(((self.start < high) & (self.stop > low)).all(axis=1), dtype=np.bool_)

    def inside(self, low: FloatArray, high: FloatArray) -> BoolArray:
        """Which bins a box of these ranges holds completely."""
        return np.asarray(((self.start >= low) & (self.stop <= high)).all(axis=1), dtype=np.bool_)


def largest_boxes(search: Search, chosen: BoolArray) -> BoolArray | None:
    """The largest sets of chosen bins that a box selects exactly.

    Parameters
    ----------
    search : Search
        With observables.
    chosen : ndarray of bool, shape (n_bins,)

    Returns
    -------
    ndarray of bool, shape (n_boxes, n_chosen), or None
        Over the chosen bins in ascending order; none of the sets contains another. None where the edges of the chosen
        bins make a grid too large to enumerate.
    """
    edges = Edges.of(search)
    mine = Edges(edges.start[chosen], edges.stop[chosen])
    grid = _Grid.of(mine, Edges(edges.start[~chosen], edges.stop[~chosen]))
    if grid is None:
        return None
    found = []
    for piece, members in grid.pieces(mine):
        if members.size == 1:
            found.append(np.eye(1, len(mine.start), members[0], dtype=bool))
            continue
        boxes = piece.free_boxes()
        if boxes is None:
            return None
        part = Edges(mine.start[members], mine.stop[members])
        sets, whole = _contents(part, *boxes)
        if not whole.all():
            rest = _without_cuts(part, boxes[0][~whole], boxes[1][~whole])
            if rest is None:
                return None
            sets = np.concatenate([sets[whole], rest])
        sets = sets[sets.any(axis=1)]
        if not len(sets):
            continue
        sets = sets[first_rows(sets)]
        sets = sets[maximal(sets)]
        found.append(np.zeros((len(sets), len(mine.start)), dtype=bool))
        found[-1][:, members] = sets
    return np.concatenate(found) if found else np.zeros((0, len(mine.start)), dtype=bool)


def maximal(sets: BoolArray) -> BoolArray:
    """Which of some distinct sets are contained in no other."""
    size = sets.sum(axis=1)
    kept = np.ones(len(sets), dtype=bool)
    if not len(sets):
        return kept
    counts = sets.astype(np.float32)
    step = max(1, _CHUNK // len(sets))
    for i in range(0, len(sets), step):
        common = counts[i : i + step] @ counts.T
        mine = size[i : i + step, None]
        kept[i : i + step] = ~((common == mine) & (size[None, :] > mine)).any(axis=1)
    return kept


# --- the grid of the chosen bins' edges ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Cells between edges, ``axes[j][k]`` to ``axes[j][k + 1]`` in observable j, and which of them are blocked."""

    axes: list[FloatArray]
    blocked: BoolArray

    @classmethod
    def of(cls, mine: Edges, others: Edges) -> "_Grid | None":
        """The grid of the edges of `mine`, blocked where a bin of `others` is; None if it is too large."""
        axes = [
            np.unique(np.concatenate([mine.start[:, j], mine.stop[:, j]])) for j in range(mine.start.shape[1])
        ]
        if np.prod([float(len(axis)) for axis in axes]) > _CELLS:
            return None
        return cls(axes, _covered(axes, others))

    def pieces(self, mine: Edges) -> Iterator[tuple["_Grid", IntArray]]:
        """Parts of the grid that no free box connects, with the positions of the bins in each."""
        from scipy import ndimage

        labels, count = ndimage.label(~self.blocked)
        at = tuple(np.searchsorted(axis, mine.start[:, j], "right") - 1 for j, axis in enumerate(self.axes))
        # A bin whose lower corner is blocked has no label, and no box.
        home = labels[at]
        where = ndimage.find_objects(labels)
        order = np.argsort(home, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(home[order])) + 1):
            piece = int(home[members[0]])
            if piece == 0:
                continue
            window = where[piece - 1]
            axes = [axis[part.start : part.stop + 1] for axis, part in zip(self.axes, window, strict=True)]
            yield _Grid(axes, self.blocked if count == 1 else labels[window] != piece), members

    def free_boxes(self) -> tuple[FloatArray, FloatArray] | None:
        """Lower and upper ends of the largest boxes without blocked cells; None if there is too much to try."""
        shape = self.blocked.shape
        longest = int(np.argmax(shape))
        order = [*(j for j in range(len(shape)) if j != longest), longest]
        if np.prod([m * (m + 1) / 2 for m in shape]) / (shape[longest] + 1) * 2 > _CELLS:
            return None
        blocked = self.blocked.transpose(order)
        low, high = _runs(blocked)
        area = _summed(blocked)
        grows = np.zeros(len(low), dtype=bool)
        for j in range(len(order) - 1):
            for step in (-1, 1):
                a, b = low.copy(), high.copy()
                # The slab of cells by which the box would grow.
                a[:, j], b[:, j] = (low[:, j] - 1, low[:, j]) if step < 0 else (high[:, j], high[:, j] + 1)
                there = np.flatnonzero(~grows & (a[:, j] >= 0) & (b[:, j] <= blocked.shape[j]))
                grows[there] |= _count(area, a[there], b[there]) == 0
        low, high = low[~grows], high[~grows]
        start, stop = np.empty(low.shape), np.empty(low.shape)
        for position, j in enumerate(order):
            start[:, j], stop[:, j] = self.axes[j][low[:, position]], self.axes[j][high[:, position]]
        return start, stop


def _covered(axes: list[FloatArray], bins: Edges) -> BoolArray:
    """Which cells of a grid some of the bins touch."""
    start, stop = bins.start, bins.stop
    first = np.stack(
        [np.maximum(np.searchsorted(a, start[:, j], "right") - 1, 0) for j, a in enumerate(axes)], axis=1
    )
    last = np.stack(
        [np.minimum(np.searchsorted(a, stop[:, j], "left"), len(a) - 1) for j, a in enumerate(axes)], axis=1
    )
    some = (first < last).all(axis=1)
    ends = np.stack([first[some], last[some]])
    count = np.zeros([len(a) for a in axes], dtype=np.int32)
    # The difference table of the boxes, one corner of all of them at a time; its sums count them.
    for corner in np.ndindex(*(2,) * len(axes)):
        at = tuple(ends[side, :, j] for j, side in enumerate(corner))
        np.add.at(count, at, -1 if sum(corner) % 2 else 1)
    for j in range(count.ndim):
        np.cumsum(count, axis=j, out=count)
    return count[tuple(slice(-1) for _ in axes)] > 0


def _runs(blocked: BoolArray) -> tuple[IntArray, IntArray]:
    """Longest runs of free cells along the last axis, for every product of ranges in the others."""
    low = np.zeros((1, 0), dtype=np.intp)
    high = low
    lines = blocked[None]
    while lines.ndim > 2:
        parts, froms, tos = [], [], []
        for i in range(lines.shape[1]):
            union = np.zeros_like(lines[:, 0])
            for k in range(i, lines.shape[1]):
                union = union | lines[:, k]
                open_ = ~union.reshape(len(union), -1).all(axis=1)
                if not open_.any():
                    break
                parts.append(union[open_])
                froms.append(np.concatenate([low[open_], np.full((int(open_.sum()), 1), i)], axis=1))
                tos.append(np.concatenate([high[open_], np.full((int(open_.sum()), 1), k + 1)], axis=1))
        if not parts:
            nothing = np.zeros((0, blocked.ndim), dtype=np.intp)
            return nothing, nothing
        lines, low, high = np.concatenate(parts), np.concatenate(froms), np.concatenate(tos)
    free = np.zeros((len(lines), lines.shape[1] + 2), dtype=np.int8)
    free[:, 1:-1] = ~lines
    turn = np.diff(free, axis=1)
    rows, begin = np.nonzero(turn == 1)
    end = np.nonzero(turn == -1)[1]
    return np.column_stack([low[rows], begin]), np.column_stack([high[rows], end])


def _summed(values: BoolArray) -> NDArray[np.int64]:
    """The summed-area table of a grid, with a zero before every axis."""
    table = np.ascontiguousarray(np.pad(values.astype(np.int64), [(1, 0)] * values.ndim))
    for j in range(values.ndim):
        np.cumsum(table, axis=j, out=table)
    return table


def _count(table: NDArray[np.int64], low: IntArray, high: IntArray) -> NDArray[np.int64]:
    """Sums over boxes of cells, from a summed-area table."""
    flat = table.ravel()
    strides = np.array(table.strides) // table.itemsize
    ends = low * strides, high * strides
    total = np.zeros(len(low), dtype=np.int64)
    for corner in np.ndindex(*(2,) * table.ndim):
        at = reduce(np.add, (ends[side][:, j] for j, side in enumerate(corner)))
        total += (-1) ** (table.ndim - sum(corner)) * flat[at]
    return total


# --- boxes that cut through bins -----------------------------------------------------------------------------


def _contents(mine: Edges, low: FloatArray, high: FloatArray) -> tuple[BoolArray, BoolArray]:
    """The bins inside each box, and whether it cuts through none."""
    sets = np.zeros((len(low), len(mine.start)), dtype=bool)
    whole = np.zeros(len(low), dtype=bool)
    step = max(1, _CHUNK // max(mine.start.size, 1))
    for i in range(0, len(low), step):
        a, b = low[i : i + step, None, :], high[i : i + step, None, :]
        sets[i : i + step] = ((mine.start >= a) & (mine.stop <= b)).all(axis=2)
        touched = ((mine.start < b) & (mine.stop > a)).all(axis=2)
        whole[i : i + step] = (touched == sets[i : i + step]).all(axis=1)
    return sets, whole


def _without_cuts(mine: Edges, low: FloatArray, high: FloatArray) -> BoolArray | None:
    """Sets of bins inside parts of free boxes that cut through no bin; None if there are too many parts."""
    found: list[BoolArray] = []
    seen: set[bytes] = set()
    stack = list(zip(low, high, strict=True))
    while stack:
        a, b = stack.pop()
        inside = mine.inside(a, b)
        key = inside.tobytes()
        if key in seen or not inside.any():
            continue
        seen.add(key)
        if len(seen) > _SPLITS:
            return None
        # As tight as the bins inside allow: what such a box cuts through, every box around them does.
        a, b = mine.start[inside].min(axis=0), mine.stop[inside].max(axis=0)
        cut = mine.touched(a, b) & ~inside
        if not cut.any():
            found.append(inside)
            continue
        through = int(np.argmax(cut))
        for j in range(len(a)):
            if mine.start[through, j] > a[j]:
                below = b.copy()
                below[j] = mine.start[through, j]
                stack.append((a, below))
            if mine.stop[through, j] < b[j]:
                above = a.copy()
                above[j] = mine.stop[through, j]
                stack.append((above, b))
    return np.array(found, dtype=bool).reshape(len(found), len(mine.start))
