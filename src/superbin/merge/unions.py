"""Merges of the form "these cuts or those cuts": unions of two or three rectangles.

A union has at most the signal of its two parts together, and at least the larger of their backgrounds and of their
variances. A figure of merit rises with the signal and falls with the two others, so that most of the millions of pairs
are ruled out by what their parts are alone: every rectangle has a signal that it would need, beside its own background,
to be as good as the pairs already known. The others get their sums, a quick figure of merit, and the best the exact one.
Three rectangles are grown from the best pairs and improved one rectangle at a time; that is no proof.
"""

from collections.abc import Callable

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.search import Search
from superbin.domain.sums import Totals
from superbin.errors import InputError
from superbin.merge.archive import Archive, as_set
from superbin.merge.constraints import Rules
from superbin.merge.cuts import cover
from superbin.merge.problem import BoolArray, IntArray, Problem, first_rows
from superbin.merge.rectangles import Rectangles

__all__ = ["best_pairs", "best_triples"]

_KEPT = 1500
_GROWN = 48
_EXACT = 64

_SAMPLE = 120
"""Rectangles, the best alone, whose pairs tell what the others are measured against."""

_PAIRS = 1e9
"""Pairs up to which all are compared: some seconds."""

_BLOCK = 1 << 21
_UNIONS = 4096

_STEPS = 30
"""Bisections for the signal that a rectangle needs."""


def best_pairs(
    archive: Archive,
    boxes: Rectangles,
    quick: Callable[[Totals], FloatArray],
    rules: Rules,
    *,
    least: float = -np.inf,
    keep: int = _KEPT,
) -> None:
    """Evaluate the best unions of two rectangles.

    Parameters
    ----------
    archive : Archive
        Receives the unions that rank highest.
    boxes : Rectangles
        All of a search, with all their intersections among them.
    quick : callable
        Figure of merit to rank all pairs with; it rises with the signal and falls with background and variance. If it is the
        archive's own, the best pair is found for certain.
    rules : Rules
        Constraints; pairs that break them are not ranked.
    least : float
        Pairs whose quick figure does not exceed it are not looked at.
    keep : int
        How many of the best by the quick figure are evaluated, at most 1500.

    Raises
    ------
    InputError
        If there are too many pairs to compare.
    """
    if len(boxes) ** 2 / 2 > _PAIRS:
        raise InputError(
            f"search {boxes.search.name!r} has {len(boxes):,} rectangles, {len(boxes) ** 2 / 2:.1e} pairs of them; "
            f"{_PAIRS:.0e} is the most that is compared: ask for one rectangle, or merge its finest observable first"
        )
    sets = boxes.sets[~(boxes.sets & ~rules.possible).any(axis=1)]
    if not len(sets):
        return
    ranking = _Ranking(archive.problem, sets, quick, rules, least)
    if np.isinf(least):
        first, second = np.triu_indices(min(_SAMPLE, len(sets)))
        alone = np.argsort(-quick(ranking.single), kind="stable")
        ranking.rank(alone[first], alone[second])
    needed = ranking.needed()
    # Of a pair, the part that needs more decides: it is compared with all that need less.
    order = np.argsort(needed, kind="stable")
    signal, needed = ranking.single.signal[order], needed[order]
    step = max(1, _BLOCK // len(sets))
    for i in range(0, len(sets), step):
        rows = slice(i, min(i + step, len(sets)))
        enough = signal[None, : rows.stop] >= (needed - signal)[rows, None]
        more, less = np.nonzero(enough & (np.arange(rows.stop) <= np.arange(i, rows.stop)[:, None]))
        ranking.rank(order[more + i], order[less], bounded=True)
    pairs = ranking.pairs[:keep]
    archive.evaluate(sets[pairs[:, 0]] | sets[pairs[:, 1]])


class _Ranking:
    """The best pairs so far of a list of rectangles, by a quick figure of merit.

    Attributes
    ----------
    single : Totals
        Of the rectangles alone, with the least uncertainty that a set with all of their bins can have.
    pairs : ndarray of int, shape (<= `_KEPT`, 2)
        Rows of the list, best first.
    """

    def __init__(
        self,
        problem: Problem,
        sets: BoolArray,
        quick: Callable[[Totals], FloatArray],
        rules: Rules,
        least: float,
    ) -> None:
        # The quick figures look at the upward side only.
        self.problem = Problem(
            problem.signal,
            problem.background,
            problem.variance_up,
            np.zeros(problem.n_bins),
            problem.covariance_up,
            conflicts=problem.conflicts,
        )
        self.sets, self.quick, self.rules, self.least = sets, quick, rules, least
        self.single = self._least(self.problem.totals(sets))
        self.values = np.zeros(0)
        self.pairs = np.zeros((0, 2), dtype=np.intp)

    def _least(self, totals: Totals) -> Totals:
        """With a covariance, what a rectangle's variance is at least in a larger set: negative correlations lower it."""
        covariance = self.problem.covariance_up
        if covariance is None or not (covariance < 0).any():
            return totals
        w = self.sets.astype(np.float64)
        lowered = 2 * np.einsum("ij,ij->i", w @ np.minimum(covariance, 0.0), 1 - w)
        return Totals.of(totals.signal, totals.background, totals.up**2 + lowered)

    @property
    def floor(self) -> float:
        """What a pair has to exceed to be kept."""
        return max(float(self.values[-1]), self.least) if len(self.values) == _KEPT else self.least

    def needed(self) -> FloatArray:
        """The signal with which each rectangle would be as good as the worst pair that is kept, or less."""
        low, high = np.zeros(len(self.sets)), np.full(len(self.sets), self.problem.signal.sum())
        if np.isinf(self.floor):
            return low
        for _ in range(_STEPS):
            middle = (low + high) / 2
            short = self.quick(Totals(middle, self.single.background, self.single.up, self.single.down))
            low, high = (
                np.where(short < self.floor, middle, low),
                np.where(short < self.floor, high, middle),
            )
        return low * (1 - 1e-9)

    def rank(self, first: IntArray, second: IntArray, *, bounded: bool = False) -> None:
        """Rank the unions of some pairs, unless what their parts are alone rules them out."""
        if bounded and first.size:
            one = self.single
            best = self.quick(
                Totals(
                    one.signal[first] + one.signal[second],
                    np.maximum(one.background[first], one.background[second]),
                    np.maximum(one.up[first], one.up[second]),
                    np.zeros(first.size),
                )
            )
            order = np.argsort(-best, kind="stable")
            order = order[best[order] * (1 + 1e-9) > self.floor]
            first, second, best = first[order], second[order], best[order]
        for i in range(0, first.size, _UNIONS):
            if bounded and best[i] * (1 + 1e-9) <= self.floor:
                return
            self._keep(first[i : i + _UNIONS], second[i : i + _UNIONS])

    def _keep(self, first: IntArray, second: IntArray) -> None:
        unions = self.sets[first] | self.sets[second]
        totals = self.problem.totals(unions)
        fine = self.rules.allowed(unions, totals) & self.problem.exclusive(unions) & (totals.signal > 0)
        rows = np.flatnonzero(fine)
        ranked = self.quick(totals.take(rows))
        rows, ranked = rows[ranked > self.least], ranked[ranked > self.least]
        if not rows.size:
            return
        values = np.concatenate([self.values, ranked])
        pairs = np.concatenate([self.pairs, np.stack([first[rows], second[rows]], axis=1)])
        best = np.argsort(-values, kind="stable")
        # A pair of the sample is met again; equal unions of other pairs count as one.
        distinct = first_rows(self.sets[pairs[best, 0]] | self.sets[pairs[best, 1]])[:_KEPT]
        self.values, self.pairs = values[best[distinct]], pairs[best[distinct]]


def best_triples(
    archive: Archive, search: Search, sets: BoolArray, quick: Callable[[Totals], FloatArray]
) -> None:
    """Evaluate good unions of three rectangles, starting from the best sets the archive holds.

    Parameters
    ----------
    archive : Archive
        Holds unions of two; receives unions of three.
    search : Search
    sets : ndarray of bool, shape (n_rectangles, n_bins)
        All of its rectangles.
    quick : callable
        Figure of merit to rank with.
    """
    for start in archive.candidates(_GROWN):
        _offer(archive, sets | as_set(start.bins, archive.problem.n_bins), quick)
    value = -np.inf
    while archive.best[1] > value:
        chosen, value = archive.best
        parts = cover(search, chosen)
        for i in range(len(parts)):
            # Take one part out, and put in whichever rectangle does best beside the others.
            _offer(archive, sets | np.delete(parts, i, axis=0).any(axis=0), quick)


def _offer(archive: Archive, sets: BoolArray, quick: Callable[[Totals], FloatArray]) -> None:
    values = quick(archive.problem.totals(sets))
    sets = sets[np.argsort(-values, kind="stable")[: 4 * _EXACT]]
    archive.evaluate(sets[first_rows(sets)[:_EXACT]])
