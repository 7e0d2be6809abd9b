"""Local significance of every aggregate bin, and the counts from which it reaches a given one.

The significance of a count is the exact mid-p Z of `superbin.stats` for the aggregate's own background. It grows with
the count, so "Z reaches z" is "the count reaches n(z)", a whole number: `smallest_counts` finds it, and
pseudo-experiments then only compare whole numbers. Specified in ``specs/chance.md``.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.aggregate import bin_sums
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.stats import midp_significance

__all__ = ["EQUAL", "MOST", "Family", "family", "smallest_counts"]

BoolArray = NDArray[np.bool_]
CountArray = NDArray[np.int64]

EQUAL = 1e-9
"""Significances closer than this are equal: the precision of the quadrature."""

MOST = 10**9
"""Counts beyond are never reached: far tails of a background uncertain by a large factor."""


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Aggregate bins that were tried.

    Attributes
    ----------
    sets : array of bool, shape (n_aggregates, n_bins)
        Their bins.
    background, up, down : array, shape (n_aggregates,)
        Expected background with its uncertainty, in events, as `superbin.combine` gives them.
    """

    sets: BoolArray
    background: FloatArray
    up: FloatArray
    down: FloatArray

    def __len__(self) -> int:
        return len(self.sets)

    def significance(
        self, counts: FloatArray | CountArray, rows: NDArray[np.intp] | None = None
    ) -> FloatArray:
        """Z of the counts of all aggregates, or of those in `rows`; infinite only where nothing can be expected."""
        chosen = slice(None) if rows is None else rows
        z = midp_significance(counts, self.background[chosen], self.up[chosen], self.down[chosen])
        return np.asarray(z, dtype=np.float64)


def family(search: Search, sets: BoolArray, covariance: Covariance | None) -> Family:
    """Expect the background of every aggregate.

    Parameters
    ----------
    search : Search
    sets : array of bool, shape (n_aggregates, n_bins)
    covariance : Covariance or None
        Of the bins; None for quadrature over bins.
    """
    nothing = np.zeros(search.n_bins)
    bins = bin_sums(search, SignalModel("none", {}, search.name, nothing, nothing))
    w = sets.astype(np.float64)
    background = w @ bins.background
    if covariance is None:
        squares = [w @ bins.variance_up, w @ bins.variance_down]
    else:
        if len(covariance.up) != search.n_bins:
            raise InputError(
                f"the covariance is of {counted(len(covariance.up), 'bin')}; search {search.name!r} has {search.n_bins}"
            )
        # Rounding may leave a perfectly anticorrelated set a hair below zero.
        squares = [np.maximum(((w @ m) * w).sum(axis=1), 0.0) for m in (covariance.up, covariance.down)]
    up, down = (np.sqrt(square) for square in squares)
    return Family(sets, background, up, np.minimum(down, background))


def smallest_counts(tried: Family, ladder: FloatArray) -> CountArray:
    """Find the smallest count with which each aggregate reaches each significance.

    Parameters
    ----------
    tried : Family
    ladder : array, shape (n_rungs,)
        Significances, finite, ascending.

    Returns
    -------
    array of int, shape (n_rungs, n_aggregates)
        Above `MOST` where no count up to it suffices.
    """
    found = np.empty((ladder.size, len(tried)), dtype=np.int64)
    bracket = _Bracket.make(len(tried))
    for k, z in enumerate(ladder):
        width = np.sqrt(np.maximum(tried.background + np.where(z > 0, tried.up, tried.down) ** 2, 0.25))
        # Where the count would lie if it were nearly normal: a start, nothing more.
        bracket.climb(tried, z, tried.background + z * width, width)
        found[k] = bracket.high
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Bracket:
    """For every aggregate the highest count known not to reach z, the lowest known to, and their Z."""

    low: FloatArray
    high: FloatArray
    z_low: FloatArray
    z_high: FloatArray

    @classmethod
    def make(cls, n: int) -> "_Bracket":
        return cls(np.full(n, -1.0), np.full(n, np.inf), np.full(n, -np.inf), np.full(n, np.inf))

    def climb(self, tried: Family, z: float, guess: FloatArray, width: FloatArray) -> None:
        """Close the brackets around a higher z: ``high - low`` is one afterwards."""
        closed = np.isfinite(self.high)
        # Counts that sufficed for the last z and not for this one are where this one begins.
        outgrown = np.flatnonzero(closed & (self.z_high < z - EQUAL))
        with np.errstate(invalid="ignore"):
            slope = (self.high - self.low) / (self.z_high - self.z_low)
        known = outgrown[np.isfinite(slope[outgrown])]
        guess[known] = self.high[known] + (z - self.z_high[known]) * slope[known]
        self.low[outgrown], self.z_low[outgrown] = self.high[outgrown], self.z_high[outgrown]
        self.high[outgrown], self.z_high[outgrown] = np.inf, np.inf
        todo = np.flatnonzero(self.high - self.low > 1)
        count = np.clip(np.ceil(guess[todo]), self.low[todo] + 1, MOST)
        for trial in itertools.count():
            self._narrow(todo, count, tried.significance(count, todo), z)
            todo = todo[self.high[todo] - self.low[todo] > 1]
            if not todo.size:
                return
            count = self._guess(todo, z, width * 2.0**trial, halve=trial % 4 == 3)

    def _narrow(self, todo: NDArray[np.intp], count: FloatArray, found: FloatArray, z: float) -> None:
        reached = found >= z - EQUAL
        i, j = todo[reached], todo[~reached]
        self.high[i], self.z_high[i] = count[reached], found[reached]
        self.low[j], self.z_low[j] = count[~reached], found[~reached]
        never = j[self.low[j] >= MOST]
        self.high[never] = self.low[never] + 1

    def _guess(self, todo: NDArray[np.intp], z: float, step: FloatArray, *, halve: bool) -> FloatArray:
        """Interpolate within a bracket, or walk on where one end is open; now and then halve, which always ends."""
        low, high, z_low, z_high = (a[todo] for a in (self.low, self.high, self.z_low, self.z_high))
        open_, floor, width = np.isinf(high), np.isinf(z_low), step[todo]
        with np.errstate(invalid="ignore", divide="ignore"):
            inside = low + (high - low) * (0.5 if halve else (z - z_low) / (z_high - z_low))
        upwards = low + width * np.minimum(np.where(floor, 0.0, z - z_low) + 0.1, 3.0)
        downwards = high - width * np.minimum(np.where(np.isinf(z_high), 0.0, z_high - z) + 0.1, 3.0)
        middle = 0.5 * (low + np.where(open_, low, high))
        inside = np.where(np.isfinite(inside), inside, middle)
        downwards = np.where(open_, 0.0, np.maximum(downwards, middle if halve else low))
        count = np.ceil(np.where(open_, upwards, np.where(floor, downwards, inside)))
        return np.asarray(np.clip(count, low + 1, np.where(open_, MOST, high - 1)))
