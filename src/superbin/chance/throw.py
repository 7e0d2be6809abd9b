"""Pseudo-experiments of a whole search: how often some aggregate bin is at least as significant as a given one.

Every chunk has a random stream of its own (child ``index`` of the seed), so chunks can be computed anywhere in any order and
`merge` adds them up. Within a chunk a few hundred experiments are drawn, summed and compared at a time, so that they stay
in the cache.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from superbin._support.arrays import FloatArray
from superbin.chance.ensemble import Ensemble
from superbin.chance.local import Family, smallest_counts
from superbin.chance.sums import SharedSums
from superbin.stats.toys import added, stream

__all__ = ["CHUNK", "Climb", "Reached", "merge", "throw_chunk"]

CountArray = NDArray[np.int64]
AnyCounts = NDArray[np.int16] | NDArray[np.int32]

CHUNK = 8192
"""Pseudo-experiments per random stream; part of the definition of the answer, as the seed is."""

_BLOCK = 256
"""Drawn at a time; part of the definition, too."""

_PER_TOY = 25.0
"""Aggregates of one experiment that reach the rung where the search for its highest rung begins, about."""


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """How many pseudo-experiments reach every rung.

    Attributes
    ----------
    toys : int
        Thrown.
    reached : array of int, shape (n_rungs,)
        Of these, how many have an aggregate with at least that significance.
    seed : int
    """

    toys: int
    reached: CountArray
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Climb:
    """A family of aggregates prepared for finding the highest rung that any of them reaches.

    Attributes
    ----------
    sums : SharedSums
    offsets : array of int, shape (n_bins, 1)
        The bins' rounded expectations; counts are taken relative to them.
    thresholds : mapping of dtype to array, shape (n_rungs, n_nodes)
        What each node must exceed them by; the largest number of the type where no count suffices.
    base : int
        The rung where to begin.
    """

    sums: SharedSums
    offsets: CountArray
    thresholds: dict[str, NDArray[np.signedinteger]]
    base: int

    @classmethod
    def prepare(cls, tried: Family, expected: FloatArray, ladder: FloatArray) -> "Climb":
        """Plan the sums and find the counts that reach each rung.

        Parameters
        ----------
        tried : Family
            Distinct aggregates.
        expected : array, shape (n_bins,)
            Events; decides nothing but where numbers are counted from.
        ladder : array, shape (n_rungs,)
            Significances, ascending.
        """
        sums = SharedSums.plan(tried.sets)
        offsets = np.rint(expected).astype(np.int64)
        excess = smallest_counts(tried, ladder) - tried.sets.astype(np.int64) @ offsets
        thresholds = {}
        for kind in (np.int16, np.int32):
            info = np.iinfo(kind)
            wanted = np.full((ladder.size, sums.n_bins + sums.additions), info.max, dtype=kind)
            wanted[:, sums.nodes] = np.clip(excess, info.min, info.max)
            thresholds[np.dtype(kind).name] = wanted
        many = len(tried) * ndtr(-ladder) >= _PER_TOY
        return cls(sums, offsets[:, None], thresholds, int(many.sum()) - 1 if many.any() else 0)

    def rungs(self, counts: CountArray) -> NDArray[np.intp]:
        """Return how many rungs each experiment reaches.

        Parameters
        ----------
        counts : array of int, shape (n_bins, n)
        """
        total = self.sums.evaluate(counts - self.offsets)
        wanted = self.thresholds[total.dtype.name]
        flat = np.flatnonzero(total >= wanted[self.base][:, None]).astype(np.int32)
        row = flat // np.int32(counts.shape[1])
        column, value = flat - row * np.int32(counts.shape[1]), total.ravel().take(flat)
        level = np.zeros(counts.shape[1], dtype=np.intp)
        level[column] = self.base + 1
        for k in range(self.base + 1, len(wanted)):
            keep = np.flatnonzero(value >= wanted[k].take(row))
            row, column, value = row.take(keep), column.take(keep), value.take(keep)
            level[column] = k + 1
        below = np.flatnonzero(level == 0)
        total = total.take(below, axis=1)
        for k in range(self.base - 1, -1, -1):
            hit = (total >= wanted[k][:, None]).any(axis=0)
            level[below[hit]] = k + 1
            below, total = below[~hit], total[:, ~hit]
        return level


def throw_chunk(climb: Climb, ensemble: Ensemble, *, index: int, toys: int, seed: int) -> Reached:
    """Generate one chunk: `toys` pseudo-experiments from stream `index` of the seed."""
    random = stream(seed, index)
    rungs = len(climb.thresholds["int32"])
    histogram = np.zeros(rungs + 1, dtype=np.int64)
    for begin in range(0, toys, _BLOCK):
        counts = ensemble.draw(random, min(_BLOCK, toys - begin))
        histogram += np.bincount(climb.rungs(counts), minlength=rungs + 1)
    return Reached(toys, histogram[::-1].cumsum()[::-1][1:], seed)


def merge(parts: Iterable[Reached]) -> Reached:
    """Add up disjoint chunks of one seed; the order does not matter.

    Raises
    ------
    InputError
        When there is nothing to merge or the seeds differ.
    """
    return added(parts, same=("seed",))
