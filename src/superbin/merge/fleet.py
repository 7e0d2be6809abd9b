"""Many signals of one search, with the best merge of each: what merges for all of them are measured against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.aggregate import bin_sums
from superbin.domain.covariance import Covariance
from superbin.domain.merits import FigureOfMerit, Merit, merit
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.domain.sums import Totals
from superbin.errors import InputError
from superbin.merge.archive import Archive, as_set
from superbin.merge.branch import Limits
from superbin.merge.constraints import Constraints, Rules, rules
from superbin.merge.dual import SCORES, best_order
from superbin.merge.problem import BoolArray, Problem, problem_from
from superbin.merge.shapes import Task, certify
from superbin.merge.thresholds import all_thresholds, prefixes

__all__ = ["Fleet", "fleet", "own_best"]

_EXACT = 50
"""Threshold sets per signal that get the exact figure of merit."""

_ROUGH = 600
"""The same for a figure of merit that has a stand-in: this number get the stand-in, `_FINAL` the figure itself."""

_FINAL = 8


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """Signals of one search with their own best merges; made and checked by `fleet`.

    Attributes
    ----------
    search : Search
    problem : Problem
        Background and its uncertainty; its signal is that of the first.
    figure_of_merit : str
    labels : tuple of str
        Names of the signals.
    signals : ndarray, shape (n_signals, n_bins)
        Expected events.
    best_sets : ndarray of bool, shape (n_signals, n_bins)
        Best merges of the single signals.
    best_values : ndarray, shape (n_signals,)
        Their figures of merit, > 0.
    left_out : tuple of str
        Names of signals whose best merge was below the least value asked for.
    """

    search: Search
    problem: Problem
    figure_of_merit: str
    labels: tuple[str, ...]
    signals: FloatArray
    best_sets: BoolArray
    best_values: FloatArray
    left_out: tuple[str, ...] = ()

    def some(self, which: BoolArray) -> "Fleet":
        """Some of the signals, shape (n_signals,)."""
        labels = tuple(label for label, kept in zip(self.labels, which, strict=True) if kept)
        return replace(
            self,
            labels=labels,
            signals=self.signals[which],
            best_sets=self.best_sets[which],
            best_values=self.best_values[which],
        )

    def efficiencies(self, sets: BoolArray) -> FloatArray:
        """Efficiency of every set for every signal; shape (n_sets, n_signals)."""
        shared = self.problem.totals(sets)
        signal = sets.astype(np.float64) @ self.signals.T
        figure = merit(self.figure_of_merit)
        if figure.proportional:
            # What it is per event of signal does not depend on the signal.
            some = (shared.background > 0) | (shared.up > 0)
            unit = replace(shared, signal=some.astype(np.float64))
            values = signal * figure(unit)[:, None]
        else:
            columns = (np.repeat(x, len(self.signals)) for x in (shared.background, shared.up, shared.down))
            values = figure(Totals(signal.ravel(), *columns)).reshape(signal.shape)
        result: FloatArray = values / self.best_values
        return result

    def average(self, weights: FloatArray) -> Problem:
        """The problem of the weighted sum of signals, each in units of its own best."""
        return replace(self.problem, signal=(weights / self.best_values) @ self.signals)


def fleet(
    search: Search,
    signals: Sequence[SignalModel],
    *,
    figure_of_merit: FigureOfMerit = "midp",
    covariance: Covariance | ArrayLike | None = None,
    least: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Fleet:
    """Find the best merge of every signal.

    Parameters
    ----------
    search : Search
    signals : sequence of SignalModel
        In the bins of `search`.
    figure_of_merit : str
        One of `superbin.merge.MERITS`.
    covariance : Covariance or array_like, shape (n_bins, n_bins), optional
        As in `superbin.merge.optimize`.
    least : float
        Signals whose own best merge does not exceed this figure of merit are left out: what no merge can find says
        nothing about which merge is good. Signals without events always are.
    progress : callable, optional
        Called with the numbers of signals done and of all.

    Returns
    -------
    Fleet

    Raises
    ------
    InputError
        If a signal does not fit the search, `least` is negative or NaN, or no signal is left.
    UnknownNameError
        If there is no such figure of merit.
    """
    figure = merit(figure_of_merit)
    if not least >= 0:
        raise InputError(f"least is {least}; it must be a figure of merit >= 0")
    if not signals:
        raise InputError("there is no signal to merge bins for; give at least one")
    kept, left_out = [], []
    shared: Problem | None = None
    for done, signal in enumerate(signals):
        if progress is not None:
            progress(done, len(signals))
        sums = bin_sums(search, signal)
        if not sums.signal.any():
            left_out.append(signal.label)
            continue
        # The covariance is checked once.
        shared = problem_from(sums, covariance) if shared is None else shared
        problem = shared.for_signal(sums.signal)
        chosen, value = own_best(problem, figure, rules(problem, Constraints()))
        if value > least:
            kept.append((signal, chosen, value))
        else:
            left_out.append(signal.label)
    if progress is not None:
        progress(len(signals), len(signals))
    if shared is None or not kept:
        raise InputError(
            f"none of the {counted(len(signals), 'signal')} reaches more than {least:g} in any merge; lower the least figure of merit (--least), or give other signals"
        )
    return Fleet(
        search,
        shared,
        figure_of_merit,
        tuple(signal.label for signal, _, _ in kept),
        np.array([signal.yields for signal, _, _ in kept]),
        np.array([chosen for _, chosen, _ in kept]),
        np.array([value for _, _, value in kept]),
        tuple(left_out),
    )


def own_best(problem: Problem, figure: Merit, checked: Rules) -> tuple[BoolArray, float]:
    """The best merge of one signal, fast: without local search, and without a proof for the exact figures.

    Parameters
    ----------
    problem : Problem
    figure : Merit
    checked : Rules
        What sets are allowed.

    Returns
    -------
    tuple of ndarray and float
        The set and its figure of merit.
    """
    checked = checked.with_signal(problem)
    archive = Archive(problem, figure, checked, keep=1)
    if figure.provable:
        # Free and certified shapes never look at the search.
        certify(Task(None, problem, figure, checked, Limits(gap=1e-9)), archive)
    elif figure.stand_in is not None:
        rough = Archive(problem, figure.stand_in, checked, keep=_FINAL)
        _threshold_sets(rough, figure, _ROUGH)
        best = [as_set(found.bins, problem.n_bins) for found in rough.candidates(_FINAL)]
        archive.evaluate(np.array(best, dtype=bool).reshape(len(best), problem.n_bins))
    else:
        _threshold_sets(archive, figure, _EXACT)
    return archive.best


def _threshold_sets(archive: Archive, figure: Merit, keep: int) -> None:
    """Evaluate the best prefixes and the best threshold sets of a quick ranking."""
    problem, variance, checked = archive.problem, archive.problem.variance_up, archive.rules
    for again in (False, True) if problem.covariance_up is not None else (False,):
        if again and archive.found and problem.covariance_up is not None:
            variance = problem.covariance_up @ archive.best[0].astype(np.float64)
        # Where counts are small the quick ranking alone can go badly wrong.
        for dual in SCORES:
            order = best_order(dual, problem, np.maximum(variance, 0.0))
            archive.evaluate(prefixes(order[checked.possible[order]], problem.n_bins))
        sets = all_thresholds(problem, variance, figure.rank, checked, keep=keep)
        archive.evaluate(sets)
