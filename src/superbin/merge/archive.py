"""Evaluating sets of bins once, and remembering the best of them.

Every solver that cannot prove its answer works through an `Archive`: it computes the figure of merit of sets
from scratch, keeps the best distinct ones, and decides between equal ones the same way every time: the larger
figure of merit, then fewer bins, then the lower bin numbers. What the constraints refuse, or no figure of merit can
judge, is never remembered, wherever it comes from: a set without signal, or one that expects neither background nor
uncertainty of it, which a single event would prove.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.merits import Merit
from superbin.domain.sums import Totals
from superbin.merge.constraints import Rules
from superbin.merge.problem import BoolArray, Problem

__all__ = ["TIE", "Archive", "Candidate", "as_set", "is_tie", "judgeable", "numbers"]

TIE = 1e-12
"""Figures of merit closer than this, relative to the larger, count as equal: weak signals are told apart as strong ones are."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set of bins that a search visited.

    Attributes
    ----------
    bins : tuple of int
        Published 1-based numbers, ascending.
    value : float
        Its figure of merit.
    """

    bins: tuple[int, ...]
    value: float


def numbers(chosen: BoolArray) -> tuple[int, ...]:
    """Published 1-based numbers of a set."""
    return tuple(int(i) + 1 for i in np.flatnonzero(chosen))


def as_set(bins: Iterable[int], n_bins: int) -> BoolArray:
    """The set of published 1-based numbers, one boolean per bin."""
    chosen = np.zeros(n_bins, dtype=bool)
    chosen[[number - 1 for number in bins]] = True
    return chosen


def judgeable(totals: Totals) -> BoolArray:
    """Which sets a figure of merit can judge: with signal, and with background or an uncertainty of it."""
    fine: BoolArray = (totals.signal > 0) & ((totals.background > 0) | (totals.up > 0))
    return fine


class Archive:
    """The best distinct sets seen so far under one figure of merit.

    Parameters
    ----------
    problem : Problem
    figure : callable
        Figure of merit as a function of `Totals`, such as a `Merit`.
    rules : Rules
        What sets are allowed; no set that breaks them is remembered.
    keep : int
        How many of the best sets to remember.
    shape : callable, optional
        Whether each row of sets has the shape asked for.
    """

    def __init__(
        self,
        problem: Problem,
        figure: Callable[[Totals], FloatArray],
        rules: Rules,
        *,
        keep: int = 32,
        shape: Callable[[BoolArray], BoolArray] | None = None,
    ) -> None:
        self.problem = problem
        self.figure = figure
        self.keep = keep
        self.rules = rules
        self.shape = shape
        self.evaluated = 0
        # By the bytes of what is *not* in the set: of equally many bins, the lower numbers then sort first.
        self._best: dict[bytes, tuple[float, BoolArray]] = {}
        self._alone: dict[bytes, float] = {}

    def evaluate(self, sets: BoolArray) -> FloatArray:
        """Figure of merit of every row, -inf where the set is refused: without signal, not allowed, or background without doubt zero.

        Also -inf where it is certain to be below the best that are remembered, and would take long.

        Parameters
        ----------
        sets : ndarray of bool, shape (n_sets, n_bins)
        """
        totals = self.problem.totals(sets)
        fine = judgeable(totals)
        fine &= self.problem.exclusive(sets) & self.rules.allowed(sets, totals)
        if self.shape is not None:
            fine &= self.shape(sets)
        values = np.full(len(sets), -np.inf)
        rows = np.flatnonzero(fine)
        if rows.size:
            found = self.judge(totals.take(rows), self.keep, self.floor)
            values[rows] = np.where(np.isnan(found), -np.inf, found)
            self.evaluated += rows.size
            self._remember(sets, values)
            if len(sets) == 1 and values[0] > -np.inf:
                self._alone[sets[0].tobytes()] = float(values[0])
        return values

    def judge(self, totals: Totals, keep: int, floor: float) -> FloatArray:
        """Figure of merit of sums; -inf for what is certain not to be among the `keep` best and above `floor`, and takes long."""
        if isinstance(self.figure, Merit):
            return np.asarray(self.figure.among_best(totals, keep, floor))
        return self.figure(totals)

    def _remember(self, sets: BoolArray, values: FloatArray) -> None:
        # A little more than `keep`, because the tie rule may reorder what lies at the edge.
        order = np.argsort(-values, kind="stable")[: 2 * self.keep]
        for row in order[values[order] > -np.inf]:
            self._best[(~sets[row]).tobytes()] = (float(values[row]), sets[row].copy())
        if len(self._best) > 4 * self.keep:
            self._best = {key: self._best[key] for key in self._ranked()[: self.keep]}

    def _ranked(self) -> list[bytes]:
        ranked = sorted(self._best, key=lambda key: (-self._best[key][0], *_simplicity(key)))
        top = self._best[ranked[0]][0]
        equal = [key for key in ranked if is_tie(self._best[key][0], top)]
        ranked[: len(equal)] = sorted(equal, key=_simplicity)
        return ranked

    @property
    def floor(self) -> float:
        """The least figure of merit of the best that are remembered; -inf before there are as many as asked for."""
        if len(self._best) < self.keep:
            return -math.inf
        return sorted((value for value, _ in self._best.values()), reverse=True)[self.keep - 1]

    @property
    def found(self) -> bool:
        """Whether any allowed set with signal was seen."""
        return bool(self._best)

    def value(self, chosen: BoolArray) -> float:
        """Figure of merit of one set, alone: the same to the last bit whatever was evaluated with it before."""
        key = chosen.tobytes()
        if key not in self._alone:
            self._alone[key] = float(self.figure(self.problem.totals(chosen[None, :]))[0])
        return self._alone[key]

    @property
    def best(self) -> tuple[BoolArray, float]:
        """The best set and its figure of merit."""
        chosen = self._best[self._ranked()[0]][1]
        return chosen, self.value(chosen)

    @property
    def start(self) -> tuple[BoolArray, float]:
        """The best set and its figure of merit as it was evaluated among others: for a search to go on from, equal up to rounding."""
        value, chosen = self._best[self._ranked()[0]]
        return chosen, value

    @property
    def top(self) -> float:
        """The largest figure of merit that was remembered."""
        return max(value for value, _ in self._best.values())

    def candidates(self, top: int) -> tuple[Candidate, ...]:
        """The best distinct sets, best first."""
        if not self._best:
            return ()
        best = (self._best[key] for key in self._ranked()[:top])
        return tuple(Candidate(numbers(chosen), value) for value, chosen in best)


def is_tie(value: float, other: float) -> bool:
    """Whether two figures of merit are equal up to rounding; an infinite one equals only itself."""
    if math.isinf(value) or math.isinf(other):
        return value == other
    return abs(value - other) <= TIE * max(abs(value), abs(other))


def _simplicity(key: bytes) -> tuple[int, bytes]:
    return key.count(0), key
