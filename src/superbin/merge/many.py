r"""One merge for many signals, and a few merges for a grid of them.

What a merge is worth to a signal is its *efficiency*: its figure of merit over that of the signal's own best
merge, between 0 and 1.

* `common_merge` finds one merge for all: the largest mean efficiency, or the largest smallest one.
  For ``s_over_sqrt_bv`` the mean efficiency of a set is that of one average signal, so its optimum is certified;
  and no set's smallest efficiency exceeds the optimum of *any* average, which bounds the worst case:
  ``min_m f_m(w) <= sum_m a_m f_m(w)`` for weights a that add up to 1. Other figures of merit are best found.
* `merges_for_grid` picks 1, 2, ... k merges, each signal using the best of them, and says what is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from superbin._arrays import FloatArray
from superbin.aggregate import bin_sums
from superbin.errors import InputError
from superbin.merge.archive import Archive, numbers
from superbin.merge.constraints import Constraints, Rules, rules
from superbin.merge.cuts import cuts
from superbin.merge.dual import DUALS, best_order
from superbin.merge.figures import figure, quick
from superbin.merge.local import improve
from superbin.merge.problem import BoolArray, Problem, Totals, first_rows, problem_from
from superbin.merge.thresholds import all_thresholds, prefixes
from superbin.search import Search
from superbin.signal import SignalModel

__all__ = ["CommonMerge", "GridMerges", "common_merge", "merges_for_grid", "own_best"]

_ROUNDS = 150
"""Steps of the search for the weights that bound the worst case."""

_EXACT = 50
"""Threshold sets per signal that get the exact figure of merit."""


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
    objective: str
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
    exclusive : bool
        Whether no bin is in two of them.
    assignment : tuple of int
        For every signal, the position of the merge that serves it best.
    mean_loss, worst_loss : float
        ``1 - efficiency``, over the signals.
    """

    merges: tuple[tuple[int, ...], ...]
    exclusive: bool
    assignment: tuple[int, ...]
    mean_loss: float
    worst_loss: float


def common_merge(
    search: Search,
    signals: Sequence[SignalModel],
    *,
    objective: str = "mean",
    figure_of_merit: str = "s_over_sqrt_bv",
) -> CommonMerge:
    """Choose one merge for several signals.

    Parameters
    ----------
    search : Search
    signals : sequence of SignalModel
        At least one, none of them zero everywhere.
    objective : {"mean", "worst"}
        Maximise the mean efficiency or the smallest.
    figure_of_merit : str
        One of `superbin.merge.FIGURES`; bounds exist for ``s_over_sqrt_bv``.

    Returns
    -------
    CommonMerge

    Raises
    ------
    InputError
        If there is no signal, one does not fit the search or is zero, or the objective is unknown.
    """
    if objective not in ("mean", "worst"):
        raise InputError(f"objective is {objective!r}; it must be 'mean' or 'worst'")
    fleet = _Fleet.of(search, signals, figure_of_merit)
    weights, bound, pool = _bound(fleet, objective)
    del weights
    judge = _Judge(fleet, objective)
    sets = np.concatenate([pool, fleet.best_sets])
    sets = sets[first_rows(sets)]
    values = judge.evaluate(sets)
    start = int(np.argmax(values))
    chosen, value = improve(judge, sets[start], float(values[start]), swap=figure_of_merit in DUALS)
    certified = bound is not None and bound <= value * (1 + 1e-6)
    return CommonMerge(
        bins=numbers(chosen),
        cuts=cuts(search, numbers(chosen)),
        objective=objective,
        efficiency=value,
        bound=None if bound is None else max(bound, value),
        status="certified" if certified else "best found",
        efficiencies=tuple(float(x) for x in fleet.efficiencies(chosen[None, :])[0]),
    )


def merges_for_grid(
    search: Search,
    signals: Sequence[SignalModel],
    k: int,
    *,
    figure_of_merit: str = "midp",
    exclusive: bool = False,
) -> tuple[GridMerges, ...]:
    """Choose 1, 2, ... k merges for a grid of signals, each signal using the best of them.

    Every step adds the candidate that raises the mean efficiency most, then exchanges earlier choices while
    that helps. Candidates are the best merges of the single signals; exclusive ones are found among the bins
    that are left.

    Parameters
    ----------
    search : Search
    signals : sequence of SignalModel
    k : int
        Number of merges, at least 1.
    figure_of_merit : str
        One of `superbin.merge.FIGURES`.
    exclusive : bool
        Whether merges may not share bins, so that they can be combined as independent counts.

    Returns
    -------
    tuple of GridMerges
        One per number of merges: the curve of loss against k. It ends early when nothing is left to add.

    Raises
    ------
    InputError
        If k is below 1, there is no signal, or one does not fit the search or is zero.
    """
    if k < 1:
        raise InputError(f"k is {k}; ask for at least 1 merge")
    fleet = _Fleet.of(search, signals, figure_of_merit)
    return _exclusive(fleet, k) if exclusive else _overlapping(fleet, k)


def own_best(problem: Problem, figure_of_merit: str, checked: Rules) -> tuple[BoolArray, float]:
    """The best merge of one signal, fast: without local search, and without a proof for ``midp``.

    Parameters
    ----------
    problem : Problem
    figure_of_merit : str
        One of `superbin.merge.FIGURES`.
    checked : Rules
        What sets are allowed.

    Returns
    -------
    tuple of ndarray and float
        The set and its figure of merit.
    """
    archive = Archive(problem, figure(figure_of_merit), keep=1, allowed=checked.allowed)
    possible = checked.possible & (problem.signal > 0)
    for name, dual in DUALS.items():
        # For `midp`, too: where counts are small the quick ranking alone can go badly wrong.
        if figure_of_merit == name or figure_of_merit not in DUALS:
            order = best_order(dual, problem, problem.variance_up)
            archive.evaluate(prefixes(order[possible[order]], problem.n_bins))
    if figure_of_merit not in DUALS:
        few = replace(checked, possible=possible)
        sets = all_thresholds(problem, problem.variance_up, quick(figure_of_merit), few, keep=_EXACT)
        archive.evaluate(sets)
    return archive.best


# --- the signals together ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Fleet:
    """Signals of one search with their own best merges."""

    problem: Problem
    figure_of_merit: str
    signals: FloatArray
    best_sets: BoolArray
    best_values: FloatArray

    @classmethod
    def of(cls, search: Search, signals: Sequence[SignalModel], figure_of_merit: str) -> "_Fleet":
        if not signals:
            raise InputError("there is no signal to merge bins for; give at least one")
        problems = [problem_from(bin_sums(search, signal)) for signal in signals]
        best = [own_best(p, figure_of_merit, rules(p, Constraints())) for p in problems]
        values = np.array([value for _, value in best])
        if (values <= 0).any():
            i = int(np.argmax(values <= 0))
            raise InputError(
                f"signal {signals[i].label} reaches no positive significance in any merge; leave it out"
            )
        return cls(
            problems[0],
            figure_of_merit,
            np.array([p.signal for p in problems]),
            np.array([chosen for chosen, _ in best]),
            values,
        )

    def efficiencies(self, sets: BoolArray) -> FloatArray:
        """Efficiency of every set for every signal; shape (n_sets, n_signals)."""
        shared = self.problem.totals(sets)
        shape = (len(sets), len(self.signals))
        columns = (np.broadcast_to(x[:, None], shape) for x in (shared.background, shared.up, shared.down))
        values = figure(self.figure_of_merit)(Totals(sets.astype(np.float64) @ self.signals.T, *columns))
        return values / self.best_values

    def average(self, weights: FloatArray) -> Problem:
        """The problem of the weighted sum of signals, each in units of its own best."""
        return replace(self.problem, signal=(weights / self.best_values) @ self.signals)


class _Judge:
    """Values sets by the mean or the smallest of their efficiencies."""

    def __init__(self, fleet: _Fleet, objective: str) -> None:
        self.fleet, self.objective = fleet, objective

    def evaluate(self, sets: BoolArray) -> FloatArray:
        """Objective of every row; -inf for an empty set."""
        values = self.fleet.efficiencies(sets)
        judged = values.mean(axis=1) if self.objective == "mean" else values.min(axis=1)
        return np.where(sets.any(axis=1), judged, -np.inf)


def _bound(fleet: _Fleet, objective: str) -> tuple[FloatArray, float | None, BoolArray]:
    """Weights whose average signal bounds the objective, the bound, and good sets met on the way."""
    dual = DUALS["s_over_sqrt_bv"]
    count = len(fleet.signals)
    weights = np.full(count, 1 / count)
    bound, best_weights, pool = np.inf, weights, []
    for step in range(1 if objective == "mean" else _ROUNDS):
        problem = fleet.average(weights)
        sets = prefixes(best_order(dual, problem, problem.variance_up), problem.n_bins)
        values = figure("s_over_sqrt_bv")(problem.totals(sets))
        chosen = sets[np.argmax(values)]
        pool.append(chosen)
        if values.max() < bound:
            bound, best_weights = float(values.max()), weights
        # The weights move towards the signals that the best set serves badly.
        shares = fleet.problem.totals(chosen[None, :])
        reached = (fleet.signals @ chosen) / np.sqrt(shares.background + shares.up**2) / fleet.best_values
        weights = weights * np.exp(-4 / np.sqrt(step + 1) * (reached - reached.min()))
        weights = weights / weights.sum()
    proved = bound * (1 + 1e-9) if fleet.figure_of_merit == "s_over_sqrt_bv" else None
    return best_weights, proved, np.array(pool)


# --- several merges ---------------------------------------------------------------------------------------


def _overlapping(fleet: _Fleet, k: int) -> tuple[GridMerges, ...]:
    candidates = fleet.best_sets[first_rows(fleet.best_sets)]
    table = fleet.efficiencies(candidates)
    picked: list[int] = []
    curve = []
    for _ in range(min(k, len(candidates))):
        reached = table[picked].max(axis=0, initial=0.0)
        picked.append(int(np.argmax(np.maximum(table, reached).mean(axis=1))))
        _exchange(table, picked)
        curve.append(_summary(candidates[picked], table[picked], exclusive=False))
    return tuple(curve)


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


def _exclusive(fleet: _Fleet, k: int) -> tuple[GridMerges, ...]:
    merges: list[BoolArray] = []
    curve = []
    used = np.zeros(fleet.problem.n_bins, dtype=bool)
    for _ in range(k):
        candidates = _among(fleet, ~used)
        if not len(candidates):
            break
        reached = fleet.efficiencies(np.array(merges)).max(axis=0) if merges else 0.0
        means = np.maximum(fleet.efficiencies(candidates), reached).mean(axis=1)
        merges.append(candidates[int(np.argmax(means))])
        used = used | merges[-1]
        sets = np.array(merges)
        curve.append(_summary(sets, fleet.efficiencies(sets), exclusive=True))
    return tuple(curve)


def _among(fleet: _Fleet, possible: BoolArray) -> BoolArray:
    """The best merges of the single signals among some of the bins."""
    sets = []
    for signal in fleet.signals:
        if signal[possible].any():
            problem = replace(fleet.problem, signal=signal)
            forbidden = Constraints(forbidden=numbers(~possible))
            sets.append(own_best(problem, fleet.figure_of_merit, rules(problem, forbidden))[0])
    if not sets:
        return np.zeros((0, fleet.problem.n_bins), dtype=bool)
    table = np.array(sets)
    return table[first_rows(table)]


def _summary(sets: BoolArray, table: FloatArray, *, exclusive: bool) -> GridMerges:
    best = table.max(axis=0)
    return GridMerges(
        merges=tuple(numbers(row) for row in sets),
        exclusive=exclusive,
        assignment=tuple(int(i) for i in table.argmax(axis=0)),
        mean_loss=float(1 - best.mean()),
        worst_loss=float(1 - best.min()),
    )
