"""Asymptotic CLs upper limits.

The test statistic with tilde, q_s [1]_ equation 16, its distributions in equations 64 and 65 with sigma from the Asimov
data set of background alone. For observed data that is the background fitted to them (as in pyhf), for expected limits
the nominal background.

.. [1] G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, doi:10.1140/epjc/s10052-011-1554-0.
"""

import numpy as np
from scipy import special

from superbin.stats.arguments import FloatArray, FloatOrArray, Index, Numbers, plain
from superbin.stats.limits.problem import Problem, crossing, prepare
from superbin.stats.profile import Constraint, constraint

__all__ = ["asimov_limit", "asymptotic_cls", "asymptotic_limit", "log_asymptotic_cls", "observed_limit"]

FAR = 5.0
"""Standard deviations below the expectation from which scaled probabilities are used."""

LARGEST_MEAN = 1e100
"""A signal beyond this is out of the question, and has squares."""

ZOOM_POINTS = 17
ZOOMS = 9


def asymptotic_cls(
    s: Numbers,
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal_uncertainty: Numbers = 0.0,
    model: str = "split-lognormal",
) -> FloatOrArray:
    """Asymptotic CLs of the test statistic with tilde; otherwise as `superbin.stats.limits.cls`."""
    problem, signal, shape = prepare(n, b, up, down, signal_uncertainty=signal_uncertainty, s=s)
    return plain(np.exp(log_asymptotic_cls(model, signal, problem)).reshape(shape))


def asymptotic_limit(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    level: Numbers = 0.95,
    signal_uncertainty: Numbers = 0.0,
    model: str = "split-lognormal",
) -> FloatOrArray:
    """Asymptotic CLs upper limit; arguments, result and errors as in `superbin.stats.limits.cls_limit`."""
    problem, _, shape = prepare(n, b, up, down, signal_uncertainty=signal_uncertainty, level=level)
    return plain(observed_limit(model, problem).reshape(shape))


def log_asymptotic_cls(model: str, s: FloatArray, problem: Problem) -> FloatArray:
    """``ln CLs`` of checked rows at a signal each."""
    return _log_cls(s, problem.n, problem.width, constraint(model, *problem.background))


def observed_limit(model: str, problem: Problem) -> FloatArray:
    """`asymptotic_limit` of checked rows."""
    n, width, held = problem.n, problem.width, constraint(model, *problem.background)
    return crossing(lambda i, s: _log_cls(s, n[i], width[i], held.take(i)), problem)


def asimov_limit(model: str, sigmas: FloatArray, problem: Problem) -> FloatArray:
    """Limits of the nominal background, at a number of standard deviations each.

    There sqrt(q) is ``sigma - Phi^-1((1 - level) Phi(sigma))`` (Cowan et al., section 4.3); the counts of the rows do not enter.
    """
    width, held = problem.width, constraint(model, *problem.background)
    auxiliary = held.nominal()
    n = held.mean(auxiliary)

    def log_cls(i: Index, s: FloatArray) -> FloatArray:
        root = np.sqrt(_q_tilde(s, n[i], width[i], held.take(i), auxiliary[i]))
        return np.asarray(special.log_ndtr(sigmas[i] - root) - special.log_ndtr(sigmas[i]))

    return crossing(log_cls, problem.with_counts(n))


def _profiled(
    n: FloatArray, s: FloatArray, k: FloatArray, held: Constraint, auxiliary: FloatArray
) -> FloatArray:
    """``-2 ln L`` at fixed signal over the saturated one, both nuisances profiled."""
    best = held.fit(n, s, auxiliary)[1]
    i = np.flatnonzero((k > 0) & (s > 0))
    if i.size:
        best[i] = _profiled_signal(n[i], s[i], k[i], held.take(i), auxiliary[i], best[i])
    return best


def _profiled_signal(
    n: FloatArray,
    s: FloatArray,
    k: FloatArray,
    held: Constraint,
    auxiliary: FloatArray,
    nominal: FloatArray,
) -> FloatArray:
    """Minimum over the signal's nuisance, on zooming grids; no farther out than the root of the value at zero."""
    reach = np.sqrt(nominal)
    low, high = -reach, reach.copy()
    steps = np.linspace(0.0, 1.0, ZOOM_POINTS)
    wide = held.take((slice(None), None))
    for _ in range(ZOOMS):
        y = low[:, None] + (high - low)[:, None] * steps
        with np.errstate(over="ignore"):
            mean = np.minimum(s[:, None] * np.exp(k[:, None] * y), LARGEST_MEAN)
        value = wide.fit(n[:, None], mean, auxiliary[:, None])[1] + y * y
        best = np.argmin(value, axis=1)[:, None]
        low = np.take_along_axis(y, np.maximum(best - 1, 0), axis=1)[:, 0]
        high = np.take_along_axis(y, np.minimum(best + 1, ZOOM_POINTS - 1), axis=1)[:, 0]
    return np.asarray(np.take_along_axis(value, best, axis=1)[:, 0])


def _q_tilde(
    s: FloatArray, n: FloatArray, k: FloatArray, held: Constraint, auxiliary: FloatArray
) -> FloatArray:
    """Test statistic with tilde (Cowan et al., equation 16): zero for an estimate above s, against s = 0 for a negative one."""
    estimate = n - held.mean(auxiliary)
    at_s = _profiled(n, s, k, held, auxiliary)
    at_zero = held.fit(n, np.zeros_like(s), auxiliary)[1]
    return np.asarray(
        np.where(estimate > s, 0.0, np.maximum(at_s - np.where(estimate < 0, at_zero, 0.0), 0.0))
    )


def _log_cls(s: FloatArray, n: FloatArray, k: FloatArray, held: Constraint) -> FloatArray:
    """``ln CLs`` of observed data; the Asimov data set is the background as fitted to them."""
    auxiliary = held.nominal()
    fitted = held.fit(n, np.zeros_like(s), auxiliary)[0]
    q = _q_tilde(s, n, k, held, auxiliary)
    asimov = _q_tilde(s, held.mean(fitted), k, held, fitted)
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
