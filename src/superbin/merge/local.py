"""Local search: flip one bin, or swap one in for one out, while the figure of merit grows.

A set that it ends on cannot be improved by adding, dropping or exchanging a single bin. That is no proof of
optimality.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.sums import Totals
from superbin.merge.archive import TIE
from superbin.merge.constraints import Rules
from superbin.merge.problem import BoolArray, IntArray, Problem

__all__ = ["Evaluator", "Moves", "Screen", "double_swaps", "flips", "improve", "swaps"]

_AT_ONCE = 4096
"""Sets that are made at a time."""

_FEW_AT_ONCE = 48
"""The same where they are ranked, and the rest may not be worth it."""

_MARGIN = 1e-3
_SPREADS = 1.0
"""How much further off the quick figure of merit may be for neighbours that were not evaluated than for those that were: this, and
this multiple of the spread among those."""

_STEP = 1e-9
"""Relative gain of a quick figure of merit that is no rounding."""

_NEIGHBOURS = 2048
"""Neighbours of a set, the best by a quick figure, that get the exact one."""

_FAINT = 0.2
"""Quick figures closer than this do not tell exact ones apart; below 1, so much of the set's own."""


class Evaluator(Protocol):
    """Whatever gives sets of bins a value; an `Archive` does."""

    def evaluate(self, sets: BoolArray) -> FloatArray:
        """Value of every row, -inf where it is not allowed."""


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """Changes of a set by one bin: `out` leaves it and `into` joins it, -1 where none does.

    Neighbours of a set of thousands of bins are millions, so they are kept as two numbers each and made a few at a time.

    Attributes
    ----------
    chosen : ndarray of bool, shape (n_bins,)
    out, into : ndarray of int, shape (n_moves,)
    """

    chosen: BoolArray
    out: IntArray
    into: IntArray

    def __len__(self) -> int:
        return len(self.out)

    def take(self, rows: IntArray) -> "Moves":
        """Some of the moves."""
        return Moves(self.chosen, self.out[rows], self.into[rows])

    def sets(self) -> BoolArray:
        """The sets that the moves lead to, shape (n_moves, n_bins)."""
        sets = np.repeat(self.chosen[None, :], len(self), axis=0)
        for bins, inside in ((self.out, False), (self.into, True)):
            rows = np.flatnonzero(bins >= 0)
            sets[rows, bins[rows]] = inside
        return sets

    def totals(self, problem: Problem) -> Totals:
        """Sums of the sets, upward side alone, from those of the set they start at: good to rank them."""
        start = self.chosen.astype(np.float64)

        def added(values: FloatArray) -> FloatArray:
            # A last entry of zero for moves that only add or only drop a bin.
            each = np.append(values, 0.0)
            change: FloatArray = each[self.into] - each[self.out]
            return change

        signal, background = (start @ x + added(x) for x in (problem.signal, problem.background))
        if problem.covariance_up is None:
            variance = start @ problem.variance_up + added(problem.variance_up)
        else:
            push = problem.covariance_up @ start
            variance = start @ push + added(2 * push)
            own = np.append(problem.variance_up, 0.0)
            variance += own[self.into] + own[self.out]
            both = np.flatnonzero((self.into >= 0) & (self.out >= 0))
            variance[both] -= 2 * problem.covariance_up[self.into[both], self.out[both]]
        return Totals.of(signal, background, variance)


def flips(chosen: BoolArray) -> Moves:
    """One bin more or less."""
    bins = np.arange(chosen.size)
    return Moves(chosen, np.where(chosen, bins, -1), np.where(chosen, -1, bins))


def swaps(chosen: BoolArray) -> Moves:
    """One bin exchanged for another."""
    inside, outside = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    return Moves(chosen, np.repeat(inside, outside.size), np.tile(outside, inside.size))


def double_swaps(chosen: BoolArray, outside: IntArray) -> BoolArray:
    """Every set with two bins exchanged for two of `outside`, positions that are not in it."""
    out = np.array(list(combinations(np.flatnonzero(chosen), 2)), dtype=np.intp).reshape(-1, 2)
    into = np.array(list(combinations(outside, 2)), dtype=np.intp).reshape(-1, 2)
    sets = np.repeat(chosen[None, :], len(out) * len(into), axis=0)
    rows = np.arange(len(sets))[:, None]
    sets[rows, np.repeat(out, len(into), axis=0)] = False
    sets[rows, np.tile(into, (len(out), 1))] = True
    return sets


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """Ranks the neighbours of a set by a quick figure of merit, so that few get the exact one.

    Attributes
    ----------
    problem : Problem
    quick : callable
        Figure of merit of the upward uncertainties alone.
    rules : Rules
        Neighbours that they refuse are left out.
    share : float
        Neighbours whose quick figure is below this share of the set's own are left out.
    trusted : bool
        Whether the ratio of the exact to the quick figure changes little between neighbours.
    """

    problem: Problem
    quick: Callable[[Totals], FloatArray]
    rules: Rules
    share: float
    trusted: bool = True

    def own(self, chosen: BoolArray) -> float:
        """The quick figure of a set."""
        stay = np.array([-1])
        return float(self.quick(Moves(chosen, stay, stay).totals(self.problem))[0])

    def values(self, moves: Moves) -> FloatArray:
        """Quick figures of merit, -inf for what the rules refuse."""
        totals = moves.totals(self.problem)
        fine = self.rules.allowed_changes(moves.chosen, moves.out, moves.into, totals) & (totals.signal > 0)
        return np.where(fine, self.quick(totals), -np.inf)

    def ranked(self, moves: Moves) -> tuple[Moves, FloatArray]:
        """The promising moves, best first, and their quick figures over that of the set they start at."""
        own, values = self.own(moves.chosen), self.values(moves)
        fine = np.flatnonzero(values >= self.share * own - _FAINT * min(own, 1.0))
        order = fine[np.argsort(-values[fine], kind="stable")[:_NEIGHBOURS]]
        return moves.take(order), values[order] / max(own, 1e-300)

    def climbs(self, starts: BoolArray) -> BoolArray:
        """Where climbs by the quick figure alone end, by flips and exchanges; once for those that meet."""
        ends: list[BoolArray] = []
        seen: set[bytes] = set()
        sets, values = starts, self.quick(self.problem.totals(starts))
        while len(sets):
            new = []
            for row, key in enumerate(chosen.tobytes() for chosen in sets):
                if key not in seen:
                    seen.add(key)
                    new.append(row)
            sets, values = sets[new], values[new]
            # One call for the flips of all of them: it is the number of calls that costs.
            flipped = self._flipped(sets)
            bins = flipped.argmax(axis=1)
            reached = flipped[np.arange(len(sets)), bins]
            higher = reached > values * (1 + _STEP)
            moved, gained = sets.copy(), reached
            moved[np.arange(len(sets)), bins] ^= True
            for row in np.flatnonzero(~higher).tolist():
                moves = swaps(sets[row])
                exchanged = self.values(moves)
                best = int(np.argmax(exchanged)) if exchanged.size else -1
                if best >= 0 and exchanged[best] > values[row] * (1 + _STEP):
                    moved[row], gained[row] = moves.take(np.array([best])).sets()[0], exchanged[best]
                    higher[row] = True
                else:
                    ends.append(sets[row])
            sets, values = moved[higher], gained[higher]
        return np.array(ends, dtype=bool).reshape(len(ends), starts.shape[1])

    def _flipped(self, sets: BoolArray) -> FloatArray:
        """Quick figures of the sets with one bin more or less, for every bin, -inf for what the rules refuse."""
        problem, inside = self.problem, sets.astype(np.float64)
        sign = 1 - 2 * inside
        signal, background = ((inside @ x)[:, None] + sign * x for x in (problem.signal, problem.background))
        own = problem.variance_up
        if problem.covariance_up is None:
            variance = (inside @ own)[:, None] + sign * own
        else:
            push = inside @ problem.covariance_up
            variance = (inside * push).sum(axis=1)[:, None] + 2 * sign * push + own
        totals = Totals.of(signal.ravel(), background.ravel(), variance.ravel())
        fine = self.rules.allowed_flips(sets, totals) & (totals.signal > 0)
        return np.where(fine, self.quick(totals), -np.inf).reshape(sets.shape)


def improve(
    archive: Evaluator,
    chosen: BoolArray,
    value: float,
    *,
    swap: bool = True,
    flipped: bool = False,
    screen: Screen | None = None,
    changes: tuple[Callable[[BoolArray], Moves], ...] = (flips, swaps),
) -> tuple[BoolArray, float]:
    """Climb from a set until no neighbour is better.

    Parameters
    ----------
    archive : Evaluator
        Evaluates every neighbour.
    chosen : ndarray of bool, shape (n_bins,)
    value : float
        Its figure of merit.
    swap : bool
        Whether exchanges are tried when no flip helps.
    flipped : bool
        Whether it is known already that no flip of the start helps.
    screen : Screen, optional
        Which moves are worth evaluating, and in which order; by default all.
    changes : tuple of callables
        What the neighbours of a set are: those that are tried first, and those that are tried when none of them helps.

    Returns
    -------
    tuple of ndarray and float
        The set and its figure of merit, never below the start's.
    """
    neighbourhoods = changes if swap else changes[:1]
    begin = 1 if flipped else 0
    while True:
        for neighbours in neighbourhoods[begin:]:
            best, reached = _best_move(archive, neighbours(chosen), value, screen)
            if best is not None:
                chosen, value, begin = best, reached, 0
                break
        else:
            return chosen, value


def _best_move(
    archive: Evaluator, moves: Moves, value: float, screen: Screen | None
) -> tuple[BoolArray | None, float]:
    """The best neighbour that is better than the start, if there is one."""
    best, better = None, value + TIE * abs(value)
    promise, step = np.full(len(moves), np.inf), _AT_ONCE
    if screen is not None:
        moves, promise = screen.ranked(moves)
        if screen.trusted:
            step = _FEW_AT_ONCE
    lowest = highest = 1.0
    for first in range(0, len(moves), step):
        # The rest is ranked lower, and is better only if the quick figure is further off there than it was so far.
        if step < _AT_ONCE and first:
            margin = _MARGIN + _SPREADS * (highest - lowest)
            if promise[first] * (highest + margin) * value <= better:
                break
        rows = np.arange(first, min(first + step, len(moves)))
        sets = moves.take(rows).sets()
        values = archive.evaluate(sets)
        row = int(np.argmax(values))
        if values[row] > better:
            best, better = sets[row], float(values[row])
        if step < _AT_ONCE:
            judged = values > -np.inf
            ratio = values[judged] / (promise[rows][judged] * value)
            lowest, highest = float(ratio.min(initial=lowest)), float(ratio.max(initial=highest))
    return best, better
