"""How much a merge depends on numbers that fluctuate: background estimates and simulated signals.

`stability` draws estimates of the background around the published ones, with their uncertainties and correlations, and yields
of the signal with their Monte Carlo errors; in each draw the best merge is searched. How often a bin is chosen says how much it
belongs to the merge, and the figure of merit that the chosen set has with the published numbers says what the
fluctuations cost.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from superbin._support.arrays import FloatArray
from superbin.domain.aggregate import bin_sums
from superbin.domain.covariance import Covariance
from superbin.domain.merits import FigureOfMerit, merit
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.merge.archive import as_set
from superbin.merge.constraints import Constraints, rules
from superbin.merge.fleet import own_best
from superbin.merge.problem import Problem, problem_from

__all__ = ["Stability", "stability"]


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """What fluctuations do to the choice of the bins.

    Attributes
    ----------
    frequency : ndarray, shape (n_bins,)
        Part of the draws in which each bin is chosen.
    claimed : ndarray, shape (n_draws,)
        Figure of merit of the merge chosen in each draw, with the drawn numbers.
    kept : ndarray, shape (n_draws,)
        The same merges with the published numbers.
    reference : float
        Figure of merit of the reference merge, with the published numbers.
    reference_claimed : ndarray, shape (n_draws,)
        The reference merge with the drawn numbers.
    same : float
        Part of the draws in which exactly the reference merge is chosen.
    """

    frequency: FloatArray
    claimed: FloatArray
    kept: FloatArray
    reference: float
    reference_claimed: FloatArray
    same: float


def stability(
    search: Search,
    signal: SignalModel,
    bins: Iterable[int],
    *,
    figure_of_merit: FigureOfMerit = "midp",
    covariance: Covariance | ArrayLike | None = None,
    draws: int = 100,
    seed: int = 0,
) -> Stability:
    """Search the best merge on numbers that fluctuate, again and again.

    Parameters
    ----------
    search, signal, figure_of_merit, covariance
        As in `superbin.merge.optimize`.
    bins : iterable of int
        Published numbers of the reference merge.
    draws : int
        At least 1.
    seed : int

    Returns
    -------
    Stability
        The backgrounds are log-normal about the published ones: b times exp(g) with g normal, whose widths are ``ln(1 + up/b)`` and
        whose correlations are the covariance's. Relative uncertainties stay as they are. A bin without background stays so.
        The search of each draw is the fast one, without local search.

    Raises
    ------
    InputError
        As in `superbin.merge.optimize`, or if `draws` is below 1.
    """
    if draws < 1:
        raise InputError(f"{draws} draws were asked for; at least 1 is needed")
    judge = merit(figure_of_merit)
    problem = problem_from(bin_sums(search, signal), covariance)
    reference = as_set((i + 1 for i in search.indices(bins)), search.n_bins)
    rng = np.random.default_rng(seed)
    roots = _roots(problem)
    chosen, claimed, kept, fixed = [], [], [], []
    for _ in range(draws):
        drawn = _drawn(problem, roots, signal.errors, rng)
        best, value = own_best(drawn, judge, rules(drawn, Constraints()))
        chosen.append(best)
        claimed.append(value)
        kept.append(float(judge(problem.totals(best[None, :]))[0]))
        fixed.append(float(judge(drawn.totals(reference[None, :]))[0]))
    sets = np.array(chosen)
    return Stability(
        sets.mean(axis=0),
        np.array(claimed),
        np.array(kept),
        float(judge(problem.totals(reference[None, :]))[0]),
        np.array(fixed),
        float((sets == reference).all(axis=1).mean()),
    )


def _roots(problem: Problem) -> FloatArray:
    """A matrix that makes independent normals the logarithms' fluctuations."""
    b = np.where(problem.background > 0, problem.background, 1.0)
    width = np.where(problem.background > 0, np.log1p(np.sqrt(problem.variance_up) / b), 0.0)
    if problem.covariance_up is None:
        return np.diag(width)
    sigma = np.sqrt(np.diag(problem.covariance_up))
    correlation = problem.covariance_up / np.outer(*(np.where(sigma > 0, sigma, 1.0),) * 2)
    size, direction = np.linalg.eigh(correlation)
    root: FloatArray = width[:, None] * direction * np.sqrt(np.maximum(size, 0.0))
    return root


def _drawn(problem: Problem, roots: FloatArray, errors: FloatArray, rng: np.random.Generator) -> Problem:
    """The problem with other estimates and another simulation."""
    factor = np.exp(roots @ rng.standard_normal(roots.shape[1]))
    yields = np.maximum(problem.signal + errors * rng.standard_normal(errors.size), 0.0)
    # What the simulation does not see in a bin that has nothing to be seen against stays unseen.
    signal = np.where(problem.signal > 0, yields, 0.0)
    if not signal.any():
        signal = problem.signal
    square = factor**2
    both = np.outer(factor, factor)
    return replace(
        problem,
        signal=signal,
        background=problem.background * factor,
        variance_up=problem.variance_up * square,
        variance_down=problem.variance_down * square,
        covariance_up=None if problem.covariance_up is None else problem.covariance_up * both,
        covariance_down=None if problem.covariance_down is None else problem.covariance_down * both,
    )
