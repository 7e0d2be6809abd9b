"""Exact CLs and Bayesian upper limits.

Exact CLs [1]_, averaged over the priors of the nuisances as `superbin.stats.tail` is:

    CLs(s) = P(N <= n | s + b) / P(N <= n | b).

Bayesian: since the integral of a Poisson probability over its mean from m on is P(N <= n | m), the posterior probability
above s under a flat prior is that very ratio, and without signal uncertainty both limits are the same number. With
one, the posterior of ``s e^(k y)``, k = ln(1 + x), weights y by ``e^(-k y)``: this shifts y by -k, so
``s_Bayes = s_CLs e^(k^2)``.

.. [1] A. L. Read, J. Phys. G 28 (2002) 2693, doi:10.1088/0954-3899/28/10/313.
"""

from collections.abc import Callable

import numpy as np

from superbin.stats.arguments import FloatArray, FloatOrArray, Index, Numbers, plain
from superbin.stats.counts import log_cdf_of
from superbin.stats.limits.problem import Problem, crossing, prepare
from superbin.stats.models import check_model
from superbin.stats.uncertain_signal import at_most

__all__ = ["bayes_factor", "bayes_limit", "cls", "cls_limit", "exact_limit"]


def cls(
    s: Numbers,
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal_uncertainty: Numbers = 0.0,
    model: str = "split-lognormal",
) -> FloatOrArray:
    """Exact CLs of `s` signal events: P(N <= n | s + b) / P(N <= n | b).

    Parameters
    ----------
    s : array_like
        Signal, in events, >= 0.
    n : array_like
        Count, real and >= 0.
    b, up, down : array_like
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    signal_uncertainty : array_like
        Relative log-normal uncertainty of the signal, from 0 to 10.
    model : str
        Name of the uncertainty model of the background.

    Returns
    -------
    float or ndarray
        In the broadcast shape; 1 at ``s = 0``.

    Raises
    ------
    InputError
        For values outside the domain or shapes that do not broadcast.
    UnknownNameError
        For an unknown model.
    """
    problem, signal, shape = prepare(n, b, up, down, signal_uncertainty=signal_uncertainty, s=s)
    check_model(model, *problem.background)
    log_cdf, every = _cdf_of_signal(model, problem), np.arange(signal.size)
    log_cls = log_cdf(every, signal) - log_cdf(every, np.zeros_like(signal))
    return plain(np.exp(log_cls).reshape(shape))


def cls_limit(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    level: Numbers = 0.95,
    signal_uncertainty: Numbers = 0.0,
    model: str = "split-lognormal",
) -> FloatOrArray:
    """Exact CLs upper limit on the signal: the s at which `cls` is ``1 - level``.

    Parameters
    ----------
    n, b, up, down, signal_uncertainty, model
        As in `cls`.
    level : array_like
        Confidence level, strictly between 0 and 1.

    Returns
    -------
    float or ndarray
        Events, to a relative 1e-9.

    Raises
    ------
    InputError, UnknownNameError
        As `cls`.
    """
    problem, _, shape = prepare(n, b, up, down, signal_uncertainty=signal_uncertainty, level=level)
    check_model(model, *problem.background)
    return plain(exact_limit(model, problem).reshape(shape))


def bayes_limit(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    level: Numbers = 0.95,
    signal_uncertainty: Numbers = 0.0,
    model: str = "split-lognormal",
) -> FloatOrArray:
    """Bayesian upper limit: a flat prior of ``s >= 0`` leaves the posterior probability ``1 - level`` above it.

    Equal to `cls_limit` times ``exp(ln(1 + signal_uncertainty)^2)`` (see the module); arguments, result and errors as there.
    """
    problem, _, shape = prepare(n, b, up, down, signal_uncertainty=signal_uncertainty, level=level)
    check_model(model, *problem.background)
    return plain((exact_limit(model, problem) * bayes_factor(problem)).reshape(shape))


def exact_limit(model: str, problem: Problem) -> FloatArray:
    """`cls_limit` of checked rows."""
    log_cdf = _cdf_of_signal(model, problem)
    alone = log_cdf(np.arange(problem.n.size), np.zeros_like(problem.n))
    return crossing(lambda i, s: log_cdf(i, s) - alone[i], problem)


def bayes_factor(problem: Problem) -> FloatArray:
    """Bayesian over exact CLs limit (see the module)."""
    return np.asarray(np.exp(problem.width**2))


def _cdf_of_signal(model: str, problem: Problem) -> Callable[[Index, FloatArray], FloatArray]:
    """``ln P(N <= n)`` of any rows at any signals, averaged over both uncertainties."""
    n, k, background = problem.n, problem.width, problem.background
    uncertain = k > 0
    place = np.cumsum(uncertain) - 1
    curves = at_most(model, *(a[uncertain] for a in (n, *background))) if uncertain.any() else None

    def log_cdf(index: Index, s: FloatArray) -> FloatArray:
        result = np.empty(s.shape)
        averaged = uncertain[index] & (s > 0)
        i = np.flatnonzero(~averaged)
        if i.size:
            result[i] = log_cdf_of(model, n[index[i]], s[i], *(a[index[i]] for a in background))
        i = np.flatnonzero(averaged)
        if i.size and curves is not None:
            result[i] = curves.log_average(place[index[i]], s[i], k[index[i]])
        return result

    return log_cdf
