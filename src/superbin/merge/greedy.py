"""The original tool's greedy search, with an exact figure of merit instead of toys.

The original adds bins while the expected Z grows, and so does this for ``midp``; what it ends with is judged by the figure
of merit, so that no bin wins by the Z it has without signal. It ranks bins by ``q = 2 (sqrt(s + b) - sqrt(b))`` and adds them in that order as long as its
pseudo-experiments see the significance grow. Their noise made it stop early; here every step is exact.
"""

from dataclasses import dataclass

import numpy as np

from superbin.domain.aggregate import BinSums
from superbin.merge.archive import Archive, numbers
from superbin.merge.figures import LIMITS, STAND_INS, expected_z, figure
from superbin.merge.problem import BoolArray, Problem, problem_from
from superbin.results import GreedyBaseline

__all__ = ["Baseline", "baseline", "greedy", "greedy_set"]

SKIP = 0.01
STOP = 5.0
DROP = 0.5

_BATCH = 8


def greedy(sums: BinSums, *, figure_of_merit: str = "midp") -> GreedyBaseline:
    """Merge bins in the order of q while the figure of merit grows.

    A bin that does not make it grow is left out; for ``midp``, grow means the expected Z, as in the original. Bins with q below 0.01 are not tried; the
    search ends at 5 standard deviations or when a trial falls 0.5 below the best (for limits it does not). The best single bin by q is
    always taken first; where another bin alone does better than all that follows, the answer is that bin, so
    that the baseline is never worse than a single bin.

    Parameters
    ----------
    sums : BinSums
        Signal, background and variances of the bins.
    figure_of_merit : str
        One of `superbin.merge.FIGURES`.

    Returns
    -------
    GreedyBaseline

    Raises
    ------
    InputError
        If the numbers are not valid, or the signal is zero everywhere.
    """
    found = baseline(problem_from(sums), figure_of_merit)
    return GreedyBaseline(numbers(found.chosen), found.value)


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What the greedy search chose, its figure of merit, and the best it saw (judged by the stand-in, if there is one)."""

    chosen: BoolArray
    value: float
    archive: Archive


def baseline(problem: Problem, figure_of_merit: str) -> Baseline:
    """The greedy search of a problem; limits, which are in no units of sigma, have it try every bin."""
    archive = Archive(problem, figure(STAND_INS.get(figure_of_merit, figure_of_merit)))
    no_end = np.inf if figure_of_merit in LIMITS else None
    rule = Archive(problem, expected_z) if figure_of_merit == "midp" else archive
    chosen, value = greedy_set(archive, rule=rule, stop=no_end or STOP, drop=no_end or DROP)
    if figure_of_merit in STAND_INS:
        value = float(figure(figure_of_merit)(problem.totals(chosen[None, :]))[0])
    return Baseline(chosen, value, archive)


def greedy_set(
    archive: Archive, *, rule: Archive | None = None, stop: float = STOP, drop: float = DROP
) -> tuple[BoolArray, float]:
    """The greedy search within an archive; see `greedy`. It ends at `stop`, or `drop` below the best.

    `rule` says whether a bin helps, by default the archive's own figure of merit.
    """
    problem, rule = archive.problem, rule or archive
    q = 2 * (np.sqrt(problem.signal + problem.background) - np.sqrt(problem.background))
    order = np.argsort(-q, kind="stable")
    chosen = np.zeros(problem.n_bins, dtype=bool)
    value = -np.inf
    order = order[(q[order] >= SKIP) | (np.arange(order.size) == 0)]
    batch = _BATCH
    while order.size and value < stop:
        # One call for many trials: all up to the first that helps are made with the same bins.
        trials = np.repeat(chosen[None, :], min(batch, order.size), axis=0)
        trials[np.arange(len(trials)), order[: len(trials)]] = True
        values = rule.evaluate(trials)
        verdict = np.flatnonzero((values > value) | (values < value - drop))
        if not verdict.size:
            order, batch = order[len(trials) :], 2 * batch
            continue
        first = int(verdict[0])
        if values[first] < value:
            break
        chosen, value, order = trials[first], float(values[first]), order[first + 1 :]
        batch = _BATCH
    if rule is not archive:
        archive.take_over(rule)
        value = float(archive.evaluate(chosen[None, :])[0])
    single = np.eye(problem.n_bins, dtype=bool)
    alone = archive.evaluate(single)
    best = int(np.argmax(alone))
    return (single[best], float(alone[best])) if alone[best] > value else (chosen, archive.value(chosen))
