"""Exact CLs and Bayesian upper limits.

Exact CLs [1]_, averaged over the priors of the nuisances as `superbin.stats.tail` is:

    CLs(s) = P(N <= n | s + b) / P(N <= n | b).

Bayesian: since the integral of a Poisson probability over its mean from m on is P(N <= n | m), the posterior probability
above s under a flat prior is that very ratio, and without signal uncertainty both limits are the same number. With
one, the posterior of ``s e^(k y)``, k = ln(1 + x), weights y by ``e^(-k y)``: this shifts y by -k, so
``s_Bayes = s_CLs e^(k^2)``.

With a signal both probabilities are sums over the signal's count (`superbin.stats.counts.Sums`), with their derivatives: a limit takes
some four of Halley's steps in ln s.

.. [1] A. L. Read, J. Phys. G 28 (2002) 2693, doi:10.1088/0954-3899/28/10/313.
"""

import numpy as np

from superbin.stats.arguments import FloatArray, FloatOrArray, Numbers, plain
from superbin.stats.counts import (
    Background,
    Sums,
    Thresholds,
    log_cdf_of,
    pieces,
    summable,
    sums,
    uncertain_log_cdf_of,
)
from superbin.stats.limits.problem import Problem, crossing, prepare
from superbin.stats.models import DEFAULT, ModelName

__all__ = ["bayes_factor", "bayes_limit", "cls", "cls_limit", "exact_limit", "limits_of_one"]

MOST_STEPS = 100
CLOSE = 1e-4
"""Step in ln s after which a limit is found: the error of the next one is of the size of its cube."""


def cls(
    s: Numbers,
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal_uncertainty: Numbers = 0.0,
    model: ModelName = DEFAULT,
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

    Examples
    --------
    >>> round(cls(29.54, 40, 25, 5, 5), 4)
    0.05
    """
    problem, signal, shape = prepare(n, b, up, down, signal_uncertainty=signal_uncertainty, s=s, model=model)
    both, alone = (
        uncertain_log_cdf_of(problem.held, problem.n, strength, problem.width)
        for strength in (signal, np.zeros_like(signal))
    )
    return plain(np.exp(both - alone).reshape(shape))


def cls_limit(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    level: Numbers = 0.95,
    signal_uncertainty: Numbers = 0.0,
    model: ModelName = DEFAULT,
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

    Examples
    --------
    >>> round(cls_limit(40, 25, 5, 5), 2)
    29.54
    """
    problem, _, shape = prepare(
        n, b, up, down, signal_uncertainty=signal_uncertainty, level=level, model=model
    )
    return plain(exact_limit(problem).reshape(shape))


def bayes_limit(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    level: Numbers = 0.95,
    signal_uncertainty: Numbers = 0.0,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Bayesian upper limit: a flat prior of ``s >= 0`` leaves the posterior probability ``1 - level`` above it.

    Equal to `cls_limit` times ``exp(ln(1 + signal_uncertainty)^2)`` (see the module); arguments, result and errors as there.

    Examples
    --------
    >>> round(bayes_limit(40, 25, 5, 5, signal_uncertainty=0.2), 2)
    32.91
    """
    problem, _, shape = prepare(
        n, b, up, down, signal_uncertainty=signal_uncertainty, level=level, model=model
    )
    return plain((exact_limit(problem) * bayes_factor(problem)).reshape(shape))


def exact_limit(problem: Problem) -> FloatArray:
    """`cls_limit` of checked rows."""
    result = np.empty(problem.n.shape)
    few = summable(problem.n)
    for i in pieces(np.flatnonzero(few), problem.n):
        part = problem.take(i)
        result[i] = limit_of_sums(sums(part.held, part.n, part.width), part.alpha)
    i = np.flatnonzero(~few)
    if i.size:
        result[i] = _limit_of_many(problem.take(i))
    return result


def limits_of_one(alone: Background, problem: Problem) -> FloatArray:
    """`cls_limit` of several counts over one background, from one table of it."""
    if not summable(problem.n).all():
        return exact_limit(problem)
    table = alone.log_at_most(int(problem.n.max()))
    tables = [table[: int(n) + 1] for n in problem.n]
    return limit_of_sums(Sums.of(problem.n, tables, problem.width), problem.alpha)


def limit_of_sums(rows: Sums | Thresholds, alpha: FloatArray) -> FloatArray:
    """Halley's method in ``ln s``, between bounds: ``ln CLs`` falls, the faster the larger s."""
    target = np.log(alpha)
    log_s, depth = rows.start(-target), float(-target.min())
    low, high = np.full(alpha.shape, -np.inf), np.full(alpha.shape, np.inf)
    i = np.arange(alpha.size)
    for _ in range(MOST_STEPS):
        value, slope, bend = rows.log_cls(log_s[i], depth)
        value -= target[i]
        slope = np.minimum(slope, -1e-300)
        newton = value / slope
        step = -newton / np.maximum(1 - 0.5 * newton * bend / slope, 0.5)
        there = np.abs(step) <= CLOSE
        if there.all():
            log_s[i] += step
            break
        above = value > 0
        low[i], high[i] = np.where(above, log_s[i], low[i]), np.where(above, high[i], log_s[i])
        trial = log_s[i] + np.minimum(np.maximum(step, -2.0), 2.0)
        with np.errstate(invalid="ignore"):
            middle = 0.5 * (low[i] + high[i])
        log_s[i] = np.where(there | ((trial > low[i]) & (trial < high[i])), trial, middle)
        if 2 * np.count_nonzero(there) > i.size:  # a few rows take longer than the rest
            rows, i = rows.take(np.flatnonzero(~there)), i[~there]
    return np.exp(log_s)


def _limit_of_many(problem: Problem) -> FloatArray:
    """The same for more events: of an uncertain signal by one table of each row, of a known one by integrals."""
    result = np.empty(problem.n.shape)
    i = np.flatnonzero(problem.width > 0)
    if i.size:
        part = problem.take(i)
        result[i] = limit_of_sums(Thresholds.of(part.held, part.n, part.width), part.alpha)
    i = np.flatnonzero(problem.width == 0)
    if i.size:
        part = problem.take(i)
        held, n = part.held, part.n
        alone = log_cdf_of(held, n, np.zeros_like(n))
        result[i] = crossing(lambda j, s: log_cdf_of(held.take(j), n[j], s) - alone[j], part)
    return result


def bayes_factor(problem: Problem) -> FloatArray:
    """Bayesian over exact CLs limit (see the module)."""
    return np.asarray(np.exp(problem.width**2))
