"""Merges of the form "these cuts or those cuts": unions of two or three rectangles.

A union has at most the signal of its two parts together, and at least the larger of their backgrounds and of their
variances. A figure of merit rises with the signal and falls with the two others, so that most of the millions of pairs
are ruled out by what their parts are alone: every rectangle has a signal that it would need, beside its own background,
to be as good as the pairs already known. The others get their sums, a quick figure of merit, and the best the exact one.
Three rectangles are grown from the best pairs and improved one rectangle at a time; that is no proof.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.search import Search
from superbin.domain.sums import Totals
from superbin.errors import InputError
from superbin.merge.archive import Archive, as_set
from superbin.merge.constraints import Rules
from superbin.merge.cuts import cover
from superbin.merge.problem import BoolArray, IntArray, Problem, first_rows
from superbin.merge.rectangles import Rectangles, more_rectangles, rectangles

__all__ = ["best_pairs", "best_triples", "pairable", "pairs_above"]

_KEPT = 1500
_GROWN = 48
_EXACT = 64

_SAMPLE = 120
"""Rectangles, the best alone, whose pairs tell what the others are measured against."""

_PAIRS = 1e9
"""Pairs up to which all are compared: some seconds."""

_PAIRED = int((2 * _PAIRS) ** 0.5)
"""Rectangles that have that number of pairs."""

_BLOCK = 1 << 21
_UNIONS = 4096

_STEPS = 16
"""Bisections for the signal that a rectangle needs."""

_MOST = 200_000
"""Unions after which no more are looked for, where all above a value are."""

_SOME = 256
"""Unions that are judged together, where those with few bins come first."""

_ROUNDING = 1e-9


def pairable(search: Search) -> Rectangles:
    """The rectangles of a search, if all pairs of them can be compared.

    Raises
    ------
    InputError
        If they are too many, which is known before all are made; or as `rectangles`.
    """
    if more_rectangles(search, _PAIRED):
        raise InputError(
            f"search {search.name!r} has {counted(search.n_bins, 'bin')} and more than {_PAIRED:,} rectangles, and no more than {_PAIRS:.0e} pairs of "
            "them are compared: ask for one rectangle, or merge its finest observable first"
        )
    return rectangles(search)


def best_pairs(
    archive: Archive,
    boxes: Rectangles,
    quick: Callable[[Totals], FloatArray],
    rules: Rules,
) -> None:
    """Evaluate the best unions of two rectangles.

    Parameters
    ----------
    archive : Archive
        Receives the unions that rank highest.
    boxes : Rectangles
        All of a search, with all their intersections among them, and few enough that their pairs can be compared: see `pairable`.
    quick : callable
        Figure of merit to rank all pairs with; it rises with the signal and falls with background and variance. If it is the
        archive's own, the best pair is found for certain.
    rules : Rules
        Constraints; pairs that break them are not ranked.
    """
    parts = _Parts.of(archive.problem, boxes, quick, rules)
    if not len(parts.sets):
        return
    ranking = _Ranking(parts, rules)
    first, second = np.triu_indices(min(_SAMPLE, len(parts.sets)))
    alone = np.argsort(-quick(parts.single), kind="stable")
    ranking.rank(alone[first], alone[second])
    for some in parts.pairs(ranking.floor):
        ranking.rank(*some, bounded=True)
    pairs = ranking.pairs
    archive.evaluate(parts.sets[pairs[:, 0]] | parts.sets[pairs[:, 1]])


def pairs_above(
    problem: Problem,
    boxes: Rectangles,
    quick: Callable[[Totals], FloatArray],
    rules: Rules,
    least: float,
) -> Iterator[BoolArray]:
    """All unions of two rectangles whose quick figure of merit exceeds a value, those with the fewest bins first.

    Parameters
    ----------
    problem : Problem
    boxes, quick, rules
        As in `best_pairs`.
    least : float

    Yields
    ------
    ndarray of bool, shape (n_unions, n_bins)
        Of a few hundred pairs at a time, the best first.
    """
    parts = _Parts.of(problem, boxes, quick, rules)
    if not len(parts.sets):
        return
    found, count = [], 0
    for pairs in parts.pairs(least):
        found.append(parts.unions(*pairs, least))
        count += len(found[-1])
        if count > _MOST:
            break
    if not found:
        return
    unions = np.concatenate(found)
    unions = unions[first_rows(unions)]
    unions = unions[np.argsort(unions.sum(axis=1), kind="stable")]
    for i in range(0, len(unions), _SOME):
        some = unions[i : i + _SOME]
        totals = parts.problem.totals(some)
        fine = rules.allowed(some, totals) & problem.exclusive(some) & (totals.signal > 0)
        rows = np.flatnonzero(fine)
        values = quick(totals.take(rows))
        order = np.argsort(-values, kind="stable")
        some = some[rows[order[values[order] > least]]]
        if len(some):
            yield some


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The rectangles that may be half of a union, and what bounds the unions.

    Attributes
    ----------
    problem : Problem
        Upward uncertainties alone: quick figures look at no others.
    sets : ndarray of bool, shape (n_parts, n_bins)
    single : Totals
        Of the rectangles alone, with the least uncertainty that a set with all of their bins can have.
    least : ndarray, shape (n_bins,)
        What a bin adds to the variance of a set at least.
    alone : ndarray, shape (n_parts,)
        What a set with all bins of a rectangle has beyond what its bins add at least, at least; of any sign.
    """

    problem: Problem
    sets: BoolArray
    single: Totals
    least: FloatArray
    alone: FloatArray
    quick: Callable[[Totals], FloatArray]

    @classmethod
    def of(
        cls, problem: Problem, boxes: Rectangles, quick: Callable[[Totals], FloatArray], rules: Rules
    ) -> "_Parts":
        totals = boxes.totals(problem)
        variance = totals.up**2 + boxes.negative(problem)
        up = np.sqrt(np.maximum(variance, 0.0))
        rows = boxes.within(rules.possible)
        single = Totals(totals.signal, totals.background, up, totals.down).take(rows)
        # Not clipped at zero: what negative correlations take away is counted once.
        alone = (variance - boxes.added(problem))[rows]
        return cls(problem.upward(), boxes.sets[rows], single, problem.least_added(), alone, quick)

    def pairs(self, floor: float) -> Iterator[tuple[IntArray, IntArray]]:
        """Pairs whose union may be above a value of the quick figure, some at a time."""
        one, most = self.single, float(self.problem.signal.sum())
        rows = np.arange(len(self.sets))
        if np.isfinite(floor):
            # With the signal of the best partner there is.
            while rows.size:
                signal = np.minimum(one.signal[rows] + one.signal[rows].max(), most)
                enough = self._bound(signal, rows, rows) > floor
                if enough.all():
                    break
                rows = rows[enough]
        needed = self._needed(rows, floor)
        # Of a pair, the part that needs more decides: it is compared with all that need less.
        order = np.argsort(needed, kind="stable")
        rows, signal = rows[order], one.signal[rows[order]]
        missing = needed[order] - signal
        # Most parts have no partner with the signal that they miss.
        more = np.flatnonzero(np.maximum.accumulate(signal) >= missing)
        if not more.size:
            return
        least = np.full(rows.size, np.inf)
        least[more] = missing[more]
        less = np.flatnonzero(signal >= np.minimum.accumulate(least[::-1])[::-1])
        step = max(1, _BLOCK // max(less.size, 1))
        for i in range(0, more.size, step):
            some = more[i : i + step]
            partners = less[: np.searchsorted(less, some[-1], "right")]
            enough = signal[partners] >= missing[some, None]
            one_of, other = np.nonzero(enough & (partners <= some[:, None]))
            first, second = rows[some[one_of]], rows[partners[other]]
            likely = self.bound(first, second) > floor
            yield first[likely], second[likely]

    def bound(self, first: IntArray, second: IntArray) -> FloatArray:
        """No union has more, by what its parts are alone."""
        return self._bound(self.single.signal[first] + self.single.signal[second], first, second)

    def _bound(self, signal: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
        one = self.single
        values = self.quick(
            Totals(
                signal,
                np.maximum(one.background[first], one.background[second]),
                np.maximum(one.up[first], one.up[second]),
                np.zeros(first.size),
            )
        )
        return values * (1 + _ROUNDING)

    def _needed(self, rows: IntArray, floor: float) -> FloatArray:
        """The signal with which rectangles would reach a value of the quick figure, or less."""
        low, high = np.zeros(rows.size), np.full(rows.size, self.problem.signal.sum())
        if np.isinf(floor):
            return low
        one = self.single.take(rows)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            short = self.quick(Totals(middle, one.background, one.up, one.down)) < floor
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return low * (1 - _ROUNDING)

    def unions(self, first: IntArray, second: IntArray, floor: float) -> BoolArray:
        """The unions of pairs, without those that are ruled out."""
        found = [np.zeros((0, self.problem.n_bins), dtype=bool)]
        for i in range(0, first.size, _UNIONS):
            sets, rows = self.united(first[i : i + _UNIONS], second[i : i + _UNIONS], floor)
            found.append(sets[rows])
        return np.concatenate(found)

    def united(self, first: IntArray, second: IntArray, floor: float) -> tuple[BoolArray, IntArray]:
        """Unions of pairs, and which of them their signal, background and least variance do not rule out."""
        sets = self.sets[first] | self.sets[second]
        w = sets.astype(np.float64)
        # The variance of one part, and what the bins of the other add.
        variance = w @ self.least + np.maximum(self.alone[first], self.alone[second])
        bound = self.quick(Totals.of(w @ self.problem.signal, w @ self.problem.background, variance))
        return sets, np.flatnonzero(bound * (1 + _ROUNDING) > floor)


class _Ranking:
    """The best pairs so far of a list of rectangles, by a quick figure of merit.

    Attributes
    ----------
    pairs : ndarray of int, shape (<= `_KEPT`, 2)
        Rows of the list, best first.
    """

    def __init__(self, parts: _Parts, rules: Rules) -> None:
        self.parts, self.rules = parts, rules
        self.values = np.zeros(0)
        self.pairs = np.zeros((0, 2), dtype=np.intp)

    @property
    def floor(self) -> float:
        """What a pair has to exceed to be kept."""
        return float(self.values[-1]) if len(self.values) == _KEPT else -np.inf

    def rank(self, first: IntArray, second: IntArray, *, bounded: bool = False) -> None:
        """Rank the unions of some pairs, unless what their parts are alone rules them out."""
        best = np.full(first.size, np.inf)
        if bounded:
            best = self.parts.bound(first, second)
            order = np.argsort(-best, kind="stable")
            first, second, best = first[order], second[order], best[order]
        for i in range(0, first.size, _UNIONS):
            if best[i] <= self.floor:
                return
            self._keep(first[i : i + _UNIONS], second[i : i + _UNIONS])

    def _keep(self, first: IntArray, second: IntArray) -> None:
        sets, problem = self.parts.sets, self.parts.problem
        if np.isfinite(self.floor):
            unions, rows = self.parts.united(first, second, self.floor)
            first, second, unions = first[rows], second[rows], unions[rows]
        else:
            unions = sets[first] | sets[second]
        totals = problem.totals(unions)
        fine = self.rules.allowed(unions, totals) & problem.exclusive(unions) & (totals.signal > 0)
        rows = np.flatnonzero(fine)
        ranked = self.parts.quick(totals.take(rows))
        rows, ranked = rows[ranked > -np.inf], ranked[ranked > -np.inf]
        if not rows.size:
            return
        values = np.concatenate([self.values, ranked])
        pairs = np.concatenate([self.pairs, np.stack([first[rows], second[rows]], axis=1)])
        best = np.argsort(-values, kind="stable")
        # A pair of the sample is met again; equal unions of other pairs count as one.
        distinct = first_rows(sets[pairs[best, 0]] | sets[pairs[best, 1]])[:_KEPT]
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
