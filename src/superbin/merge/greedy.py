"""The CMS Mini Analysis Tool's greedy search, with an exact figure of merit instead of toys.

The original adds bins while the expected Z grows, and so does this for ``midp``; what it ends with is judged by the figure
of merit, so that no bin wins by the Z it has without signal. It ranks bins by ``q = 2 (sqrt(s + b) - sqrt(b))`` and adds them in that order as long as its
pseudo-experiments see the significance grow. Their noise made it stop early; here every step is exact.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.aggregate import BinSums
from superbin.domain.merits import FigureOfMerit, Merit, merit
from superbin.domain.sums import Totals
from superbin.merge.archive import Archive, judgeable, numbers
from superbin.merge.constraints import Rules
from superbin.merge.figures import profile_lognormal
from superbin.merge.problem import BoolArray, IntArray, Problem, problem_from
from superbin.results import GreedyBaseline

__all__ = ["Baseline", "baseline", "greedy", "greedy_set"]

SKIP = 0.01
STOP = 5.0
DROP = 0.5

_BATCH = 12
_CHAIN = 12
"""Trials of one call: bins that may be skipped, and bins that may be taken one after the other."""

_AHEAD = 56
"""Trials that are predicted and judged in one call."""

_SINGLES = 12
_HOPELESS = 0.75
_FAINT = 0.2
"""Bins, the best alone by a quick figure of merit, that are offered as sets; none whose quick figure is below this share of what
was found, less what quick figures below 1 do not tell apart."""


def greedy(sums: BinSums, *, figure_of_merit: FigureOfMerit = "midp") -> GreedyBaseline:
    """Merge bins in the order of q while the figure of merit grows.

    A bin that does not make it grow is left out; for ``midp``, grow means the expected Z, as in that tool. Bins with q below 0.01 are not tried; the
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
    """What the greedy search chose, its figure of merit, and how many sets it evaluated."""

    chosen: BoolArray
    value: float
    evaluated: int


def baseline(problem: Problem, figure: Merit) -> Baseline:
    """The greedy search of a problem, whatever the constraints; limits, which are in no units of sigma, have it try every bin."""
    archive = Archive(problem, figure.searched, Rules.none(problem), keep=1)
    no_end = np.inf if figure.limit else None
    growth = None if figure.grows is None else figure.growth
    chosen, value = greedy_set(archive, growth=growth, stop=no_end or STOP, drop=no_end or DROP)
    if figure.stand_in is not None:
        value = float(figure(problem.totals(chosen[None, :]))[0])
    return Baseline(chosen, value, archive.evaluated)


def greedy_set(
    archive: Archive,
    *,
    growth: Callable[[Totals], FloatArray] | None = None,
    stop: float = STOP,
    drop: float = DROP,
) -> tuple[BoolArray, float]:
    """The greedy search within an archive; see `greedy`. It ends at `stop`, or `drop` below the best.

    `growth` says whether a bin helps, by default the archive's own figure of merit.
    """
    problem = archive.problem
    chosen = _grown(archive, growth, stop, drop)
    # A bin alone is as good as its own numbers.
    alone = Totals.of(problem.signal, problem.background, problem.variance_up, problem.variance_down)
    quick = archive.figure.rank if isinstance(archive.figure, Merit) else archive.figure
    values = np.where(alone.signal > 0, quick(alone), -np.inf)
    best = np.argsort(-values, kind="stable")[:_SINGLES]
    if archive.rules.free:
        own = float(quick(problem.upward().totals(chosen[None, :]))[0])
        best = best[values[best] >= _HOPELESS * own - _FAINT * min(own, 1.0)]
    sets = np.eye(problem.n_bins, dtype=bool)[best]
    if growth is not None:
        sets = np.concatenate([chosen[None, :], sets])
    if len(sets):
        archive.evaluate(sets)
    return archive.best if archive.found else (chosen, -np.inf)


def _grown(
    archive: Archive, growth: Callable[[Totals], FloatArray] | None, stop: float, drop: float
) -> BoolArray:
    """The bins that help, in the order of q."""
    problem = archive.problem
    q = 2 * (np.sqrt(problem.signal + problem.background) - np.sqrt(problem.background))
    order = np.argsort(-q, kind="stable")
    order = order[(q[order] >= SKIP) | (np.arange(order.size) == 0)]
    chosen = np.zeros(problem.n_bins, dtype=bool)
    if growth is None:
        for trial, helps in _walk(archive.evaluate, order, chosen, -np.inf, stop, drop):
            chosen = trial if helps else chosen
        return chosen
    # A quick figure predicts the way; one call judges all trials on it, and where it went wrong, it goes on from there.
    value, upward = -np.inf, problem.upward()
    while order.size and value < stop:
        own = -np.inf if value == -np.inf else float(profile_lognormal(upward.totals(chosen[None, :]))[0])
        way = list(
            islice(
                _walk(lambda sets: profile_lognormal(upward.totals(sets)), order, chosen, own, np.inf, drop),
                _AHEAD,
            )
        )
        values = _judged(archive, growth, np.array([trial for trial, _ in way]))
        for (trial, predicted), found in zip(way, values, strict=True):
            if found < value - drop or value >= stop:
                return chosen
            order = order[1:]
            helps = found > value
            if helps:
                chosen, value = trial, float(found)
            if helps != predicted:
                break
    return chosen


def _walk(
    judge: Callable[[BoolArray], FloatArray],
    order: IntArray,
    chosen: BoolArray,
    value: float,
    stop: float,
    drop: float,
) -> Iterator[tuple[BoolArray, bool]]:
    """Every trial of the search, and whether it helps, until `stop` is reached or a trial falls by `drop`."""
    batch, chain = _BATCH, _CHAIN
    while order.size and value < stop:
        # One call for many trials: each bin up to the first that helps joins the same bins; and where one helps, the next
        # often do, too.
        skipping = min(batch, order.size)
        trials = np.repeat(chosen[None, :], skipping + max(min(chain, order.size) - 1, 0), axis=0)
        trials[np.arange(skipping), order[:skipping]] = True
        for more in range(len(trials) - skipping):
            trials[skipping + more, order[: more + 2]] = True
        values = judge(trials)
        verdict = np.flatnonzero((values[:skipping] > value) | (values[:skipping] < value - drop))
        first = int(verdict[0]) if verdict.size else skipping
        yield from ((trials[row], False) for row in range(first))
        order = order[first:]
        if first == skipping:
            batch, chain = 2 * batch, 0
            continue
        yield trials[first], bool(values[first] > value)
        if values[first] <= value:
            return
        chosen, value, order = trials[first], float(values[first]), order[1:]
        batch, chain = _BATCH, _CHAIN
        if first == 0:
            for row in range(skipping, len(trials)):
                if values[row] <= value or value >= stop:
                    break
                chosen, value, order = trials[row], float(values[row]), order[1:]
                yield chosen, True


def _judged(archive: Archive, growth: Callable[[Totals], FloatArray], sets: BoolArray) -> FloatArray:
    """What the search wants to grow, -inf for sets that no figure of merit judges."""
    totals = archive.problem.totals(sets)
    rows = np.flatnonzero(judgeable(totals))
    values = np.full(len(sets), -np.inf)
    values[rows] = growth(totals.take(rows))
    archive.evaluated += rows.size
    return values
