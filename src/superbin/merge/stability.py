"""How much the choice of the bins depends on numbers that fluctuate: background estimates and simulated signals.

`stability` draws backgrounds around the published ones, with their uncertainties and correlations, and yields of the signal
with their Monte Carlo errors; in each draw the best merge is searched. How often a bin is chosen says how much it
belongs to the merge, and the figure of merit that the chosen set has with the published numbers says what the
fluctuations cost.

An estimate b with the upward uncertainty u is taken as that of a control count N whose events have a weight w each: ``b = w N`` and
``u^2 = w^2 (N + 1)``. Given the count, and with a flat prior, the background has a gamma distribution with the mode b and the
standard deviation u: a normal one where b is large against u, an exponential one where b is zero. With another background
the uncertainty is that of another count, ``u'^2 = w b' + w^2``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

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
from superbin.merge.problem import Problem, control_weights, problem_from

__all__ = ["Stability", "stability"]

_MANY = 1e6
"""Control events from which on the normal distribution stands in for the gamma distribution."""


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
    progress: Callable[[int, int], None] | None = None,
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
    progress : callable, optional
        Called with the numbers of draws done and of all.

    Returns
    -------
    Stability
        Backgrounds have gamma distributions with the published value as mode and the upward uncertainty as standard deviation;
        the correlations are the covariance's, of normals from which they are made. Upward uncertainties follow the drawn background
        as those of a Poisson control count, downward ones in proportion, but no further than the upward ones. The search of each
        draw is the fast one, without local search.

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
    for done in range(draws):
        if progress is not None:
            progress(done, draws)
        drawn = _drawn(problem, roots, signal.errors, rng)
        best, value = own_best(drawn, judge, rules(drawn, Constraints()))
        chosen.append(best)
        claimed.append(value)
        kept.append(float(judge(problem.totals(best[None, :]))[0]))
        fixed.append(float(judge(drawn.totals(reference[None, :]))[0]))
    if progress is not None:
        progress(draws, draws)
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
    """A matrix that gives independent unit normals the correlations of the backgrounds."""
    if problem.covariance_up is None:
        return np.eye(problem.background.size)
    sigma = np.sqrt(np.diag(problem.covariance_up))
    correlation = problem.covariance_up / np.outer(*(np.where(sigma > 0, sigma, 1.0),) * 2)
    np.fill_diagonal(correlation, 1.0)
    size, direction = np.linalg.eigh(correlation)
    root = direction * np.sqrt(np.maximum(size, 0.0))
    return np.asarray(root / np.sqrt((root**2).sum(axis=1))[:, None])


def _gamma(background: FloatArray, variance: FloatArray, normal: FloatArray) -> FloatArray:
    """Gamma distributed backgrounds at normal scores: mode `background`, standard deviation the root of `variance`."""
    weight = control_weights(background, variance)
    count = background / np.where(weight > 0, weight, 1.0)
    few = (weight > 0) & (count < _MANY)
    drawn = np.maximum(background + np.sqrt(variance) * normal, 0.0)
    drawn[few] = weight[few] * special.gammaincinv(count[few] + 1, special.ndtr(normal[few]))
    return drawn


def _drawn(problem: Problem, roots: FloatArray, errors: FloatArray, rng: np.random.Generator) -> Problem:
    """The problem with other backgrounds and another simulation."""
    b, up, down = problem.background, problem.variance_up, problem.variance_down
    background = _gamma(b, up, roots @ rng.standard_normal(roots.shape[1]))
    weight = control_weights(b, up)
    new_up = weight * background + weight**2
    ratio = np.where(b > 0, background / np.where(b > 0, b, 1.0), 1.0)
    new_down = np.minimum(np.where(b > 0, down * ratio**2, background**2), new_up)
    yields = np.maximum(problem.signal + errors * rng.standard_normal(errors.size), 0.0)
    # What the simulation does not see in a bin that has nothing to be seen against stays unseen.
    signal = np.where(problem.signal > 0, yields, 0.0)
    if not signal.any():
        signal = problem.signal
    return replace(
        problem,
        signal=signal,
        background=background,
        variance_up=new_up,
        variance_down=new_down,
        covariance_up=_rescaled(problem.covariance_up, up, new_up),
        covariance_down=_rescaled(problem.covariance_down, down, new_down),
    )


def _rescaled(covariance: FloatArray | None, before: FloatArray, after: FloatArray) -> FloatArray | None:
    """A covariance with other variances and the same correlations; one without variance of a bin keeps it at zero."""
    if covariance is None:
        return None
    factor = np.sqrt(np.where(before > 0, after / np.where(before > 0, before, 1.0), 1.0))
    return np.asarray(covariance * np.outer(factor, factor))
