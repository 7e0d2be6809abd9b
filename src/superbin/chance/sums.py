"""Sums over many sets of bins at once, sharing what the sets have in common.

Thousands of rectangles in a few observables overlap: nearly each of them is two smaller ones put together. `SharedSums`
finds such a plan once, so that a further set costs one addition where a matrix product costs one multiplication per
bin of the search; sets without anything in common cost an addition per bin of theirs.

Counts are summed as whole numbers relative to an offset per bin, the rounded expectation, so that 16 bits hold almost
any sum; where they might not, 32 bits do. The result is exact either way.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superbin.errors import InputError

__all__ = ["SharedSums"]

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]
CountArray = NDArray[np.int64]

_SMALL, _LARGE = np.iinfo(np.int16).max, np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True, eq=False)
class SharedSums:
    """A plan to sum counts over sets of bins.

    Nodes are numbered bins first, then in an order in which each is the sum of two earlier ones.

    Attributes
    ----------
    n_bins : int
    levels : tuple of (int, array, array)
        Of nodes that depend on earlier levels alone: the first node's number, and the two nodes each is the sum of.
    nodes : array of int, shape (n_sets,)
        The node of each set.
    additions : int
        Cost of one evaluation.
    """

    n_bins: int
    levels: tuple[tuple[int, IntArray, IntArray], ...]
    nodes: IntArray
    additions: int

    @classmethod
    def plan(cls, sets: BoolArray) -> "SharedSums":
        """Make a plan.

        Parameters
        ----------
        sets : array of bool, shape (n_sets, n_bins)
            None of them empty.

        Raises
        ------
        InputError
            If there is no set, or one is empty.
        """
        if sets.ndim != 2 or len(sets) == 0 or not sets.any(axis=1).all():
            raise InputError(
                f"sets of bins have shape {sets.shape}; give at least one, and none that is empty"
            )
        left, right, nodes = _pairs(sets)
        n = sets.shape[1]
        depth = [0] * n
        for a, b in zip(left, right, strict=True):
            depth.append(1 + max(depth[a], depth[b]))
        order = np.argsort(np.array(depth), kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(order.size)
        first, second = place[np.array(left, dtype=np.intp)], place[np.array(right, dtype=np.intp)]
        rows = order[n:] - n
        levels = tuple(
            (n + start, first[rows[start:stop]], second[rows[start:stop]])
            for start, stop in _runs(np.array(depth)[order[n:]])
        )
        return cls(n, levels, place[nodes], len(left))

    def evaluate(self, deviations: CountArray) -> NDArray[np.int16] | NDArray[np.int32]:
        """Sum over every node; row `nodes[i]` of the result belongs to set i.

        Parameters
        ----------
        deviations : array of int, shape (n_bins, n)
            Counts less the offsets of their bins, of n experiments.

        Returns
        -------
        array, shape (n_nodes, n)

        Raises
        ------
        InputError
            If a sum may exceed 32 bits.
        """
        largest = int(np.abs(deviations).sum(axis=0).max(initial=0))
        if largest >= _LARGE:
            raise InputError(
                f"counts lie {largest:.3g} events from their expectations; fewer than {_LARGE:.3g} can be summed"
            )
        kind = np.int16 if largest < _SMALL else np.int32
        total = np.empty((self.n_bins + self.additions, deviations.shape[1]), kind)
        total[: self.n_bins] = deviations
        for start, first, second in self.levels:
            part = total[start : start + first.size]
            np.take(total, first, axis=0, out=part, mode="clip")
            part += total[second]
        return total


def _pairs(sets: BoolArray) -> tuple[list[int], list[int], IntArray]:
    """Which earlier nodes each node is the sum of, and the node of each set; smaller sets come first."""
    known: dict[int, int] = {1 << bin_: bin_ for bin_ in range(sets.shape[1])}
    left: list[int] = []
    right: list[int] = []

    def add(first: int, second: int) -> None:
        left.append(known[first])
        right.append(known[second])
        known[first | second] = sets.shape[1] + len(left) - 1

    masks = np.zeros(len(sets), dtype=object)
    for row in np.argsort(sets.sum(axis=1), kind="stable"):
        heads = _heads(np.flatnonzero(sets[row]).tolist())
        whole = heads[-1]
        masks[row] = whole
        if whole not in known:
            for head, rest in _steps(heads, known):
                add(head, rest)
    return left, right, np.array([known[mask] for mask in masks], dtype=np.intp)


def _heads(bins: list[int]) -> list[int]:
    """The set of the first bin, of the first two, and so on, each as the bits of a number."""
    heads, mask = [], 0
    for bin_ in bins:
        mask |= 1 << bin_
        heads.append(mask)
    return heads


def _steps(heads: list[int], known: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Additions that make a set: of two known parts if there are such, else on from its longest known head."""
    whole = heads[-1]
    for head in reversed(heads[:-1]):
        if head in known and whole ^ head in known:
            yield head, whole ^ head
            return
    begin = max(i for i, head in enumerate(heads) if head in known)
    for i in range(begin, len(heads) - 1):
        yield heads[i], heads[i + 1] ^ heads[i]


def _runs(sorted_values: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    edges = (
        np.flatnonzero(np.diff(sorted_values, prepend=-1, append=-1))
        if sorted_values.size
        else np.zeros(0, int)
    )
    yield from zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
