"""Asymptotic CLs upper limits.

The test statistic with tilde, q_s [1]_ equation 16, its distributions in equations 64 and 65 with sigma from the Asimov
data set of background alone. For observed data that is the background fitted to them (as in pyhf), for expected limits
the nominal background.

.. [1] G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, doi:10.1140/epjc/s10052-011-1554-0.
"""

from dataclasses import replace

import numpy as np
from scipy import special

from superbin.stats.arguments import FloatArray, FloatOrArray, Index, Numbers, plain
from superbin.stats.limits.problem import Problem, crossing, prepare
from superbin.stats.models import DEFAULT, ModelName, UncertaintyModel
from superbin.stats.profile import fit

__all__ = [
    "asimov_limit",
    "asymptotic_cls",
    "asymptotic_limit",
    "log_asymptotic_cls",
    "observed_limit",
    "q_tilde",
]

FAR = 5.0
"""Standard deviations below the expectation from which scaled probabilities are used."""


def asymptotic_cls(
    s: Numbers,
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal_uncertainty: Numbers = 0.0,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Asymptotic CLs of the test statistic with tilde; otherwise as `superbin.stats.limits.cls`.

    Examples
    --------
    >>> round(asymptotic_cls(29.06, 40, 25, 5, 5), 4)
    0.05
    """
    problem, signal, shape = prepare(n, b, up, down, signal_uncertainty=signal_uncertainty, s=s, model=model)
    return plain(np.exp(log_asymptotic_cls(signal, problem)).reshape(shape))


def asymptotic_limit(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    level: Numbers = 0.95,
    signal_uncertainty: Numbers = 0.0,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Asymptotic CLs upper limit; arguments, result and errors as in `superbin.stats.limits.cls_limit`.

    Examples
    --------
    >>> round(asymptotic_limit(40, 25, 5, 5), 2)
    29.06
    """
    problem, _, shape = prepare(
        n, b, up, down, signal_uncertainty=signal_uncertainty, level=level, model=model
    )
    return plain(observed_limit(problem).reshape(shape))


def log_asymptotic_cls(s: FloatArray, problem: Problem) -> FloatArray:
    """``ln CLs`` of checked rows at a signal each."""
    return _log_cls(s, problem.n, problem.width, problem.held)


def observed_limit(problem: Problem) -> FloatArray:
    """`asymptotic_limit` of checked rows."""
    n, width, held = problem.n, problem.width, problem.held
    return crossing(lambda i, s: _log_cls(s, n[i], width[i], held.take(i)), problem)


def asimov_limit(sigmas: FloatArray, problem: Problem, auxiliary: FloatArray | None = None) -> FloatArray:
    """Limits of the background that the auxiliary measurement favours, by default the nominal one, at a number of standard deviations each.

    There sqrt(q) is ``sigma - Phi^-1((1 - level) Phi(sigma))`` (Cowan et al., section 4.3); the counts of the rows do not enter.
    """
    width, held = problem.width, problem.held
    auxiliary = held.nominal() if auxiliary is None else auxiliary
    n = held.mean(auxiliary)

    def log_cls(i: Index, s: FloatArray) -> FloatArray:
        root = np.sqrt(q_tilde(s, n[i], held.take(i), auxiliary[i], k=width[i]))
        return np.asarray(special.log_ndtr(sigmas[i] - root) - special.log_ndtr(sigmas[i]))

    return crossing(log_cls, replace(problem, n=n))


def q_tilde(
    s: FloatArray,
    n: FloatArray,
    held: UncertaintyModel,
    auxiliary: FloatArray,
    *,
    k: FloatArray | float = 0.0,
    shift: FloatArray | float = 0.0,
) -> FloatArray:
    """Test statistic with tilde (Cowan et al., equation 16): zero for an estimate above s, against s = 0 for a negative one.

    Arguments as in `superbin.stats.profile.fit`.
    """
    s, n, auxiliary, k, shift = np.broadcast_arrays(s, n, auxiliary, k, shift)
    favoured = held.mean(auxiliary)
    with np.errstate(over="ignore"):
        above = n - favoured > s * np.exp(k * shift)
    # where the estimate exceeds s the statistic is zero, and nothing is fitted
    at_s = fit(held, np.where(above, 0.0, n), s, auxiliary, k=k, shift=shift).cost
    at_zero = np.where(n < favoured, fit(held, n, np.zeros_like(s), auxiliary).cost, 0.0)
    return np.asarray(np.where(above, 0.0, np.maximum(at_s - at_zero, 0.0)))


def _log_cls(s: FloatArray, n: FloatArray, k: FloatArray, held: UncertaintyModel) -> FloatArray:
    """``ln CLs`` of observed data; the Asimov data set is the background as fitted to them."""
    auxiliary = held.nominal()
    fitted = fit(held, n, np.zeros_like(s), auxiliary).nuisance
    q = q_tilde(s, n, held, auxiliary, k=k)
    asimov = q_tilde(s, held.mean(fitted), held, fitted, k=k)
    root = np.sqrt(asimov)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(q <= asimov, np.sqrt(q) - root, (q - asimov) / (2 * root))
    distance = np.where(root > 0, distance, 0.0)
    # Far below the expectation both probabilities underflow and their logarithms cancel: there (distance + root)^2 - distance^2 = q.
    far = (distance > FAR) & (root > 0)
    beyond = np.where(far, distance, FAR)
    scaled = special.erfcx(np.sqrt(0.5) * (beyond + root)) / special.erfcx(np.sqrt(0.5) * beyond)
    difference = special.log_ndtr(-(distance + root)) - special.log_ndtr(-distance)
    return np.asarray(np.where(far, -0.5 * q + np.log(scaled), difference))
