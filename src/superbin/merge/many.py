r"""One merge for many signals, and a few merges for a grid of them.

What a merge is worth to a signal is its *efficiency*: its figure of merit over that of the signal's own best
merge, between 0 and 1. `superbin.merge.fleet` holds the signals with their own best merges.

* `common_merge` finds one merge for all: the largest mean efficiency, or the largest smallest one.
  For ``s_over_sqrt_bv`` the mean efficiency of a set is that of one average signal, so its optimum is certified;
  and no set's smallest efficiency exceeds the optimum of *any* average, which bounds the worst case:
  ``min_m f_m(w) <= sum_m a_m f_m(w)`` for weights a that add up to 1. For limits the same holds, since the limit on
  the events does not depend on the signal. Other figures of merit are best found.
* `merges_for_grid` picks 1, 2, ... k merges, each signal using the best of them, and says what is lost.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.merits import MERITS, merit
from superbin.errors import InputError
from superbin.merge.archive import Archive, numbers
from superbin.merge.branch import Limits
from superbin.merge.constraints import Constraints, rules
from superbin.merge.cuts import cuts
from superbin.merge.fleet import Fleet, own_best
from superbin.merge.local import improve
from superbin.merge.problem import BoolArray, IntArray, first_rows
from superbin.merge.shapes import Task, certify

Objective: TypeAlias = Literal["mean", "worst"]
"""What a common merge maximises over the signals: the mean efficiency, or that of the signal it suits least."""

__all__ = ["CommonMerge", "GridMerges", "common_merge", "merges_for_grid"]

_ROUNDS = 150
_ROUNDS_CORRELATED = 40
"""Steps of the search for the weights that bound the worst case."""

_CLIMBS = 6
"""Sets from which the search for the worst case climbs: many of its tops are not the highest."""

_AVERAGED = "s_over_sqrt_bv"
"""What finds good sets where the mean of a figure of merit is not that of one average signal."""


@dataclass(frozen=True, slots=True)
class CommonMerge:
    """One merge for many signals.

    Attributes
    ----------
    bins : tuple of int
        Published 1-based numbers, ascending.
    cuts : tuple of str
        Selections whose union is exactly these bins.
    objective : str
        ``"mean"`` or ``"worst"``: which efficiency was maximised.
    efficiency : float
        What it reached.
    bound : float or None
        No set of bins has a larger one; None where nothing is proved.
    status : str
        ``"certified"`` when the bound is reached within one part in a million, else ``"best found"``.
    efficiencies : tuple of float
        Of every signal, in their order.
    """

    bins: tuple[int, ...]
    cuts: tuple[str, ...]
    objective: Objective
    efficiency: float
    bound: float | None
    status: str
    efficiencies: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GridMerges:
    """Some merges for a grid of signals.

    Attributes
    ----------
    merges : tuple of tuple of int
        Published numbers of the bins of every merge, in the order they were added.
    assignment : tuple of int
        For every signal, the position of the merge that serves it best.
    mean_loss, worst_loss : float
        ``1 - efficiency``, over the signals.
    """

    merges: tuple[tuple[int, ...], ...]
    assignment: tuple[int, ...]
    mean_loss: float
    worst_loss: float


def common_merge(fleet: Fleet, *, objective: Objective = "mean") -> CommonMerge:
    """Choose one merge for several signals.

    Parameters
    ----------
    fleet : Fleet
        The signals; bounds exist for ``s_over_sqrt_bv`` and ``asimov_limit``.
    objective : {"mean", "worst"}
        Maximise the mean efficiency or the smallest.

    Returns
    -------
    CommonMerge

    Raises
    ------
    InputError
        If the objective is unknown.
    """
    if objective not in get_args(Objective):
        raise InputError(f"objective is {objective!r}; it must be 'mean' or 'worst'")
    chosen, value, bound = _common(fleet, objective)
    certified = bound is not None and bound <= value * (1 + 1e-6)
    return CommonMerge(
        bins=numbers(chosen),
        cuts=cuts(fleet.search, numbers(chosen)),
        objective=objective,
        efficiency=value,
        bound=None if bound is None else max(bound, value),
        status="certified" if certified else "best found",
        efficiencies=tuple(float(x) for x in fleet.efficiencies(chosen[None, :])[0]),
    )


def merges_for_grid(fleet: Fleet, k: int, *, exclusive: bool = False) -> tuple[GridMerges, ...]:
    """Choose 1, 2, ... k merges for a grid of signals, each signal using the best of them.

    Every step adds the candidate that raises the mean efficiency most, then exchanges earlier choices while
    that helps. Candidates are the best merges of the single signals and, where merges may share bins, the best common
    merges of the signals that have used the same one; exclusive merges are found among the bins that are left.

    Parameters
    ----------
    fleet : Fleet
    k : int
        Number of merges, at least 1.
    exclusive : bool
        Whether merges may not share bins, so that they can be combined as independent counts.

    Returns
    -------
    tuple of GridMerges
        One per number of merges: the curve of loss against k. It ends early when nothing is left to add.

    Raises
    ------
    InputError
        If k is below 1.
    """
    if k < 1:
        raise InputError(f"k is {k}; ask for at least 1 merge")
    return _exclusive(fleet, k) if exclusive else _overlapping(fleet, k)


def _common(fleet: Fleet, objective: Objective) -> tuple[BoolArray, float, float | None]:
    """One set for all signals, what it reaches, and what bounds that."""
    bound, pool = _bound(fleet, objective)
    judge = _Judge(fleet, objective)
    sets = np.concatenate([pool, fleet.best_sets])
    sets = sets[first_rows(sets)]
    values = judge.evaluate(sets)
    swap = merit(fleet.figure_of_merit).provable
    starts = np.argsort(-values, kind="stable")[: 1 if objective == "mean" else _CLIMBS]
    ends = [improve(judge, sets[row], float(values[row]), swap=swap) for row in starts]
    chosen, value = max(ends, key=lambda end: end[1])
    return chosen, value, bound


class _Judge:
    """Values sets by the mean or the smallest of their efficiencies."""

    def __init__(self, fleet: Fleet, objective: str) -> None:
        self.fleet, self.objective = fleet, objective
        self.useful = (fleet.signals > 0).any(axis=0)

    def evaluate(self, sets: BoolArray) -> FloatArray:
        """Objective of every row; -inf for an empty set, or one with a bin in which no signal is."""
        values = self.fleet.efficiencies(sets)
        judged = values.mean(axis=1) if self.objective == "mean" else values.min(axis=1)
        return np.where(sets.any(axis=1) & ~(sets & ~self.useful).any(axis=1), judged, -np.inf)


def _bound(fleet: Fleet, objective: str) -> tuple[float | None, BoolArray]:
    """What bounds the objective, if anything does, and good sets met on the way."""
    own = merit(fleet.figure_of_merit)
    averaged = own.provable and own.proportional
    figure, count = own if averaged else MERITS[_AVERAGED], len(fleet.signals)
    correlated = fleet.problem.covariance_up is not None
    rounds = _ROUNDS_CORRELATED if correlated else _ROUNDS
    # A mean that is to be certified needs a finer proof than one of many weights.
    limits = Limits(gap=1e-7 if objective == "mean" else 1e-4)
    weights, bound, pool = np.full(count, 1 / count), np.inf, []
    for step in range(1 if objective == "mean" else rounds):
        problem = fleet.average(weights)
        allowed = rules(problem, Constraints()).with_signal(problem)
        archive = Archive(problem, figure, allowed, keep=1)
        proof = certify(Task(None, problem, figure, allowed, limits), archive)
        pool.append(archive.best[0])
        bound = min(bound, np.inf if proof.bound is None else proof.bound)
        # The weights move towards the signals that the best set serves badly.
        shares = replace(fleet.problem.totals(pool[-1][None, :]), signal=np.ones(1))
        reached = (fleet.signals @ pool[-1]) * figure(shares) / fleet.best_values
        weights = weights * np.exp(-4 / np.sqrt(step + 1) * (reached - reached.min()))
        weights = weights / weights.sum()
    proved = averaged and np.isfinite(bound)
    # No efficiency exceeds 1 where the own best merges are proved.
    return min(float(bound), 1.0) * (1 + 1e-9) if proved else None, np.array(pool)


# --- several merges ---------------------------------------------------------------------------------------


def _overlapping(fleet: Fleet, k: int) -> tuple[GridMerges, ...]:
    candidates = fleet.best_sets[first_rows(fleet.best_sets)]
    table = fleet.efficiencies(candidates)
    picked: list[int] = []
    curve: list[list[int]] = []
    for _ in range(k):
        reached = table[picked].max(axis=0, initial=0.0)
        if picked and reached.min() >= 1 - 1e-12:
            break
        picked.append(int(np.argmax(np.maximum(table, reached).mean(axis=1))))
        _exchange(table, picked)
        # What serves a group of signals together may be the best merge of none of them.
        fresh = _common_of_groups(fleet, table[picked].argmax(axis=0))
        if len(fresh):
            candidates = np.concatenate([candidates, fresh])
            table = np.concatenate([table, fleet.efficiencies(fresh)])
            _exchange(table, picked)
        curve.append(picked.copy())
    table = _against_best_known(table)
    return tuple(_summary(candidates[rows], table[rows]) for rows in curve)


def _against_best_known(table: FloatArray) -> FloatArray:
    """Efficiencies against the best merge of each signal that was met: the quick search for its own may miss it."""
    known: FloatArray = np.maximum(table.max(axis=0), 1.0)
    return np.divide(table, known)


def _common_of_groups(fleet: Fleet, group: IntArray) -> BoolArray:
    """The best common merge of every group of two signals or more."""
    sets = [
        _common(fleet.some(group == which), "mean")[0]
        for which in np.unique(group)
        if np.count_nonzero(group == which) > 1
    ]
    return np.array(sets, dtype=bool).reshape(len(sets), fleet.problem.n_bins)


def _exchange(table: FloatArray, picked: list[int]) -> None:
    """Replace one choice at a time while the mean of the best efficiencies grows."""
    improved = True
    while improved:
        improved = False
        for i in range(len(picked)):
            rest = table[picked[:i] + picked[i + 1 :]].max(axis=0, initial=0.0)
            means = np.maximum(table, rest).mean(axis=1)
            best = int(np.argmax(means))
            if means[best] > means[picked[i]] + 1e-12:
                picked[i], improved = best, True


def _exclusive(fleet: Fleet, k: int) -> tuple[GridMerges, ...]:
    merges: list[BoolArray] = []
    used = np.zeros(fleet.problem.n_bins, dtype=bool)
    for _ in range(k):
        candidates = _among(fleet, ~used)
        if not len(candidates):
            break
        reached = fleet.efficiencies(np.array(merges)).max(axis=0) if merges else 0.0
        means = np.maximum(fleet.efficiencies(candidates), reached).mean(axis=1)
        merges.append(candidates[int(np.argmax(means))])
        used = used | merges[-1]
    if not merges:
        return ()
    sets = np.array(merges)
    table = _against_best_known(fleet.efficiencies(sets))
    return tuple(_summary(sets[:i], table[:i]) for i in range(1, len(sets) + 1))


def _among(fleet: Fleet, possible: BoolArray) -> BoolArray:
    """The best merges of the single signals among some of the bins."""
    sets = []
    for signal in fleet.signals:
        if signal[possible].any():
            problem = replace(fleet.problem, signal=signal)
            forbidden = Constraints(forbidden=numbers(~possible))
            sets.append(own_best(problem, merit(fleet.figure_of_merit), rules(problem, forbidden))[0])
    if not sets:
        return np.zeros((0, fleet.problem.n_bins), dtype=bool)
    table = np.array(sets)
    return table[first_rows(table)]


def _summary(sets: BoolArray, table: FloatArray) -> GridMerges:
    best = table.max(axis=0)
    return GridMerges(
        merges=tuple(numbers(row) for row in sets),
        assignment=tuple(int(i) for i in table.argmax(axis=0)),
        mean_loss=float(1 - best.mean()),
        worst_loss=float(1 - best.min()),
    )
