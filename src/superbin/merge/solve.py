"""The best merge of a search for a signal.

`optimize` is what the analysis calls, `candidates` lists the best sets it visited. The exact mid-p figure of
merit has no proof of optimality, so the search casts wide instead: prefixes of simple orderings, every
threshold set of the plane of multipliers ranked quickly and its best re-ranked exactly, the original greedy,
and a local search from the best few. The result is never worse than any of them, nor than any single bin.
"""

import numpy as np

from superbin.aggregate import BinSums, bin_sums
from superbin.errors import InputError
from superbin.merge.archive import Archive, Candidate, numbers
from superbin.merge.cuts import cuts
from superbin.merge.figures import figure, profile_lognormal
from superbin.merge.greedy import greedy_set
from superbin.merge.local import improve
from superbin.merge.problem import problem_from
from superbin.merge.thresholds import all_thresholds, orderings, prefixes
from superbin.results import GreedyBaseline, MergeResult
from superbin.search import Search
from superbin.signal import SignalModel

__all__ = ["BEST_FOUND", "candidates", "optimize"]

BEST_FOUND = "best found"

_RERANKED = 200
"""Threshold sets that get the exact figure of merit."""

_CLIMBS = 3
"""Sets the local search starts from."""


def optimize(search: Search, signal: SignalModel, *, figure_of_merit: str = "midp") -> MergeResult:
    """Choose the bins to merge, from expectations alone.

    Parameters
    ----------
    search : Search
    signal : SignalModel
        In the bins of `search`; not zero everywhere.
    figure_of_merit : str
        One of `superbin.merge.FIGURES`.

    Returns
    -------
    MergeResult
        Never empty, and never worse than the greedy baseline or any single bin.

    Raises
    ------
    InputError
        If the signal does not fit the search or is zero everywhere.
    UnknownNameError
        If there is no such figure of merit.
    """
    archive, baseline = _explore(bin_sums(search, signal), figure_of_merit, keep=8)
    chosen, value = archive.best
    return MergeResult(
        bins=numbers(chosen),
        figure_of_merit=figure_of_merit,
        value=value,
        status=BEST_FOUND,
        cuts=cuts(search, numbers(chosen)),
        evaluated=archive.evaluated,
        greedy=baseline,
    )


def candidates(
    search: Search, signal: SignalModel, *, figure_of_merit: str = "midp", top: int = 10
) -> tuple[Candidate, ...]:
    """The best distinct merges the search of `optimize` visits, best first.

    Parameters
    ----------
    search, signal, figure_of_merit
        As in `optimize`.
    top : int
        How many at most, at least 1.

    Returns
    -------
    tuple of Candidate
        The first is the merge `optimize` returns.

    Raises
    ------
    InputError
        As in `optimize`, or if `top` is below 1.
    """
    if top < 1:
        raise InputError(f"top is {top}; ask for at least 1 candidate")
    archive, _ = _explore(bin_sums(search, signal), figure_of_merit, keep=max(8, top))
    return archive.candidates(top)


def _explore(sums: BinSums, figure_of_merit: str, *, keep: int) -> tuple[Archive, GreedyBaseline]:
    problem = problem_from(sums)
    archive = Archive(problem, figure(figure_of_merit), keep=keep)
    chosen, value = greedy_set(archive)
    baseline = GreedyBaseline(numbers(chosen), value)
    archive.evaluate(np.eye(problem.n_bins, dtype=bool))
    for order in orderings(problem):
        archive.evaluate(prefixes(order, problem.n_bins))
    archive.evaluate(all_thresholds(problem, problem.variance_up, profile_lognormal, keep=_RERANKED))
    for start in archive.candidates(_CLIMBS):
        row = np.zeros(problem.n_bins, dtype=bool)
        row[np.array(start.bins) - 1] = True
        improve(archive, row, start.value, swap=False)
    improve(archive, *archive.best)
    return archive, baseline
