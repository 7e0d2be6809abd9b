"""The original tool's greedy search, with an exact figure of merit instead of toys.

The original adds bins while the expected Z grows, and so does this for ``midp``; what it ends with is judged by the figure
of merit, so that no bin wins by the Z it has without signal. It ranks bins by ``q = 2 (sqrt(s + b) - sqrt(b))`` and adds them in that order as long as its
pseudo-experiments see the significance grow. Their noise made it stop early; here every step is exact.
"""

from dataclasses import dataclass

import numpy as np

from superbin.domain.aggregate import BinSums
from superbin.domain.merits import FigureOfMerit, Merit, merit
from superbin.domain.sums import Totals
from superbin.merge.archive import Archive, numbers
from superbin.merge.constraints import Rules
from superbin.merge.problem import BoolArray, Problem, problem_from
from superbin.results import GreedyBaseline

__all__ = ["Baseline", "baseline", "greedy", "greedy_set"]

SKIP = 0.01
STOP = 5.0
DROP = 0.5

_BATCH = 8
_CHAIN = 6

_SINGLES = 32
"""Bins, the best alone, that are offered as sets."""


def greedy(sums: BinSums, *, figure_of_merit: FigureOfMerit = "midp") -> GreedyBaseline:
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
        One of `superbin.merge.MERITS`.

    Returns
    -------
    GreedyBaseline

    Raises
    ------
    InputError
        If the numbers are not valid, or the signal is zero everywhere.
    """
    found = baseline(problem_from(sums), merit(figure_of_merit))
    return GreedyBaseline(numbers(found.chosen), found.value)


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What the greedy search chose, its figure of merit, and the best it saw (judged by the stand-in, if there is one)."""

    chosen: BoolArray
    value: float
    archive: Archive


def baseline(problem: Problem, figure: Merit) -> Baseline:
    """The greedy search of a problem, whatever the constraints; limits, which are in no units of sigma, have it try every bin."""
    everything = Rules.none(problem)
    archive = Archive(problem, figure.searched, everything)
    no_end = np.inf if figure.limit else None
    rule = archive if figure.grows is None else Archive(problem, figure.growth, everything)
    chosen, value = greedy_set(archive, rule=rule, stop=no_end or STOP, drop=no_end or DROP)
    if figure.stand_in is not None:
        value = float(figure(problem.totals(chosen[None, :]))[0])
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
    batch, chain = _BATCH, _CHAIN
    while order.size and value < stop:
        # One call for many trials: each bin up to the first that helps joins the same bins; and where one helps, the next
        # often do, too.
        skipping = min(batch, order.size)
        trials = np.repeat(chosen[None, :], skipping + max(min(chain, order.size) - 1, 0), axis=0)
        trials[np.arange(skipping), order[:skipping]] = True
        for more in range(len(trials) - skipping):
            trials[skipping + more, order[: more + 2]] = True
        values = rule.evaluate(trials)
        verdict = np.flatnonzero((values[:skipping] > value) | (values[:skipping] < value - drop))
        if not verdict.size:
            order, batch, chain = order[skipping:], 2 * batch, 0
            continue
        first = int(verdict[0])
        if values[first] < value:
            break
        chosen, value, order = trials[first], float(values[first]), order[first + 1 :]
        batch, chain = _BATCH, _CHAIN
        if first == 0:
            for row in range(skipping, len(trials)):
                if values[row] <= value or value >= stop:
                    break
                chosen, value, order = trials[row], float(values[row]), order[1:]
    if rule is not archive:
        archive.take_over(rule)
        value = float(archive.evaluate(chosen[None, :])[0])
    # A bin alone is as good as its own numbers.
    alone = Totals.of(problem.signal, problem.background, problem.variance_up, problem.variance_down)
    fine = np.flatnonzero((alone.signal > 0) & ((alone.background > 0) | (alone.up > 0)))
    some = alone.take(fine)
    values = archive.judge(some, _SINGLES, archive.value(chosen))
    best = fine[np.argsort(-values, kind="stable")[:_SINGLES]]
    single = np.zeros((best.size, problem.n_bins), dtype=bool)
    single[np.arange(best.size), best] = True
    offered = archive.evaluate(single)
    if best.size and offered.max() > value:
        return single[int(np.argmax(offered))], float(offered.max())
    return chosen, archive.value(chosen)
