"""Upper limits on the signal events of one bin.

Which to use: `cls_limit` is exact and what experiments quote; `bayes_limit` the credible limit of a flat prior;
`asymptotic_limit` what a fit with asymptotic formulas gives, and what pyhf computes. `cls` and `asymptotic_cls` are
the CLs values whose crossing of ``1 - level`` the limits are. `expected_limits` gives median and bands under background alone, before
any fit to data. The signal may have a log-normal uncertainty ``x``: its mean is ``s (1 + x)^y`` with a standard normal y.

Definitions. Exact CLs [1]_, averaged over the priors of the nuisances as `superbin.stats.tail` is:

    CLs(s) = P(N <= n | s + b) / P(N <= n | b).

Bayesian: since the integral of a Poisson probability over its mean from m on is P(N <= n | m), the posterior probability
above s under a flat prior is that very ratio, and without signal uncertainty both limits are the same number. With
one, the posterior of ``s e^(k y)``, k = ln(1 + x), weights y by ``e^(-k y)``: this shifts y by -k, so
``s_Bayes = s_CLs e^(k^2)``.

Asymptotic: the test statistic with tilde, q_s [2]_ equation 16, its distributions in equations 64 and 65 with sigma from the Asimov
data set of background alone. For observed data that is the background fitted to them (as in pyhf), for `expected_limits`
the nominal background.

.. [1] A. L. Read, J. Phys. G 28 (2002) 2693, doi:10.1088/0954-3899/28/10/313.
.. [2] G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, doi:10.1140/epjc/s10052-011-1554-0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import special

from superbin.errors import InputError, UnknownNameError
from superbin.stats.arguments import (
    FloatArray,
    FloatOrArray,
    Index,
    Numbers,
    checked,
    checked_probability,
    checked_yields,
    plain,
)
from superbin.stats.counts import SIGMAS, log_cdf_of, quantile
from superbin.stats.models import check_model
from superbin.stats.profile import Constraint, constraint
from superbin.stats.uncertain_signal import at_most
from superbin.stats.verdict import Verdict, compare

__all__ = [
    "METHODS",
    "Bands",
    "Comparison",
    "Limit",
    "asymptotic_cls",
    "asymptotic_limit",
    "bayes_limit",
    "cls",
    "cls_limit",
    "compare_limits",
    "expected_limits",
]

METHODS = ("cls", "bayes", "asymptotic")

TOLERANCE = 1e-10
MOST_STEPS = 200
LARGEST_UNCERTAINTY = 10.0

ZOOM_POINTS = 17
ZOOMS = 9

_Problem: TypeAlias = tuple[FloatArray, ...]
"""Count, b, up, down, width k of the signal and 1 - level: checked, 1-D, of one length."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Median of a quantity under a hypothesis, with the bands that hold 68 % and 95 % of the outcomes.

    Attributes
    ----------
    low2, low1, median, high1, high2 : float
        In ascending order.
    """

    low2: float
    low1: float
    median: float
    high1: float
    high2: float


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
    yields, shape = _prepared(n, b, up, down, signal_uncertainty, 0.95, s)
    check_model(model, *yields[2:5])
    problem = (yields[1], *yields[2:])
    return plain(np.exp(_log_cls(model, yields[0], problem)).reshape(shape))


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
    problem, shape = _prepared(n, b, up, down, signal_uncertainty, level)
    check_model(model, *problem[1:4])
    return plain(_cls_limit(model, problem).reshape(shape))


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
    problem, shape = _prepared(n, b, up, down, signal_uncertainty, level)
    check_model(model, *problem[1:4])
    return plain((_cls_limit(model, problem) * np.exp(problem[4] ** 2)).reshape(shape))


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
    """Asymptotic CLs of the test statistic with tilde; otherwise as `cls`."""
    yields, shape = _prepared(n, b, up, down, signal_uncertainty, 0.95, s)
    held = constraint(model, *yields[2:5])
    return plain(np.exp(_log_asymptotic(yields[0], yields[1], yields[5], held)).reshape(shape))


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
    """Asymptotic CLs upper limit; arguments, result and errors as in `cls_limit`."""
    problem, shape = _prepared(n, b, up, down, signal_uncertainty, level)
    count, *yields, width, _ = problem
    held = constraint(model, *yields)
    limit = _root(lambda i, s: _log_asymptotic(s, count[i], width[i], held.take(i)), problem)
    return plain(limit.reshape(shape))


def expected_limits(
    method: str,
    b: float,
    up: float,
    down: float,
    *,
    level: float = 0.95,
    signal_uncertainty: float = 0.0,
    model: str = "split-lognormal",
) -> Bands:
    """Median limit and its -2 to +2 sigma bands under background alone, pre-fit.

    Parameters
    ----------
    method : {"cls", "bayes", "asymptotic"}
        The first two are the limits at the exact quantiles of the count (with systematics); the last is that of the Asimov data set
        at the nominal background, with the bands of Cowan et al., section 4.3.
    b, up, down, level, signal_uncertainty, model
        Scalars; otherwise as in `cls_limit`.

    Returns
    -------
    Bands
        In events.

    Raises
    ------
    InputError, UnknownNameError
        As `cls_limit`; for an unknown method, and for arrays.
    """
    if method not in METHODS:
        raise UnknownNameError(f"no limit is named {method!r}; choose one of {', '.join(METHODS)}")
    problem, shape = _prepared(0.0, b, up, down, signal_uncertainty, level)
    if shape:
        raise InputError(f"expected limits take one bin at a time, but an argument has shape {shape}")
    check_model(model, *problem[1:4])
    sigmas = np.array(SIGMAS)
    five = tuple(np.repeat(a, sigmas.size) for a in problem)
    if method == "asymptotic":
        return Bands(*map(float, _asimov_limits(sigmas, five, constraint(model, *five[1:4]))))
    counts = np.asarray(quantile(special.ndtr(sigmas), b, up, down, model=model))
    limit = _cls_limit(model, (counts, *five[1:]))
    return Bands(*map(float, limit * np.exp(five[4] ** 2) if method == "bayes" else limit))


def _prepared(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    uncertainty: Numbers,
    level: Numbers,
    *signal: Numbers,
) -> tuple[_Problem, tuple[int, ...]]:
    """Check and flatten; the signal first, if one is given. Returns the shape, too."""
    yields = checked_yields(n, b, up, down)
    width = checked("signal_uncertainty", uncertainty)
    if (width > LARGEST_UNCERTAINTY).any():
        raise InputError(
            f"signal_uncertainty = {float(width.max()):g} is relative and must not exceed {LARGEST_UNCERTAINTY:g}; "
            "give 0.1 for 10 %"
        )
    extra = (np.log1p(width), 1 - checked_probability("level", level))
    strength = tuple(checked("s", s) for s in signal)
    try:
        arrays = np.broadcast_arrays(*strength, *yields, *extra)
    except ValueError as error:
        shapes = ", ".join(str(a.shape) for a in (*strength, yields[0], *extra))
        raise InputError(f"the shapes do not broadcast: {shapes}; give equal shapes or scalars") from error
    return tuple(np.asarray(a, dtype=np.float64).ravel() for a in arrays), arrays[0].shape


# --- exact ------------------------------------------------------------------------------------------------------


def _cdf_of_signal(model: str, problem: _Problem) -> Callable[[Index, FloatArray], FloatArray]:
    """``ln P(N <= n)`` of any rows at any signals, averaged over both uncertainties."""
    n, b, up, down, k, _ = problem
    uncertain = k > 0
    place = np.cumsum(uncertain) - 1
    curves = at_most(model, *(a[uncertain] for a in (n, b, up, down))) if uncertain.any() else None

    def log_cdf(index: Index, s: FloatArray) -> FloatArray:
        result = np.empty(s.shape)
        averaged = uncertain[index] & (s > 0)
        i = np.flatnonzero(~averaged)
        if i.size:
            result[i] = log_cdf_of(model, n[index[i]], s[i], *(a[index[i]] for a in (b, up, down)))
        i = np.flatnonzero(averaged)
        if i.size and curves is not None:
            result[i] = curves.log_average(place[index[i]], s[i], k[index[i]])
        return result

    return log_cdf


def _log_cls(model: str, s: FloatArray, problem: _Problem) -> FloatArray:
    log_cdf, every = _cdf_of_signal(model, problem), np.arange(s.size)
    return log_cdf(every, s) - log_cdf(every, np.zeros_like(s))


def _cls_limit(model: str, problem: _Problem) -> FloatArray:
    log_cdf = _cdf_of_signal(model, problem)
    alone = log_cdf(np.arange(problem[0].size), np.zeros_like(problem[0]))
    return _root(lambda i, s: log_cdf(i, s) - alone[i], problem)


def _root(log_cls: Callable[[Index, FloatArray], FloatArray], problem: _Problem) -> FloatArray:
    """Signal at which ``log_cls``, which falls from zero, reaches ``ln(1 - level)``: regula falsi, Illinois variant."""
    n, target = problem[0], np.log(problem[-1])
    low, above = np.zeros(n.shape), -target
    high = 3 + np.sqrt(n) - target
    below = log_cls(np.arange(n.size), high) - target
    while (i := np.flatnonzero(below > 0)).size:
        low[i], above[i] = high[i], below[i]
        high[i] *= 2
        below[i] = log_cls(i, high[i]) - target[i]
    last = np.zeros(n.shape, dtype=np.int8)
    for _ in range(MOST_STEPS):
        i = np.flatnonzero(high - low > TOLERANCE * high)
        if not i.size:
            break
        lowest = np.maximum(below[i], -1e6)
        s = high[i] + (high[i] - low[i]) * lowest / (above[i] - lowest)
        value = log_cls(i, s) - target[i]
        side = np.where(value > 0, 1, -1)
        again = np.where(side == last[i], 0.5, 1.0)  # an end that stays put counts half
        below[i] = np.where(value > 0, again * lowest, value)
        above[i] = np.where(value > 0, value, again * above[i])
        low[i], high[i] = np.where(value > 0, s, low[i]), np.where(value > 0, high[i], s)
        last[i] = side
        there = i[np.abs(value) < TOLERANCE]
        low[there] = high[there] = s[np.abs(value) < TOLERANCE]
    return np.asarray(0.5 * (low + high))


# --- asymptotic -------------------------------------------------------------------------------------------------


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
        mean = s[:, None] * np.exp(k[:, None] * y)
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


def _log_asymptotic(s: FloatArray, n: FloatArray, k: FloatArray, held: Constraint) -> FloatArray:
    """``ln CLs`` of observed data; the Asimov data set is the background as fitted to them."""
    auxiliary = held.nominal()
    fitted = held.fit(n, np.zeros_like(s), auxiliary)[0]
    q = _q_tilde(s, n, k, held, auxiliary)
    asimov = _q_tilde(s, held.mean(fitted), k, held, fitted)
    root = np.sqrt(asimov)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(q <= asimov, np.sqrt(q) - root, (q - asimov) / (2 * root))
    distance = np.where(root > 0, distance, 0.0)
    return np.asarray(special.log_ndtr(-(distance + root)) - special.log_ndtr(-distance))


def _asimov_limits(sigmas: FloatArray, problem: _Problem, held: Constraint) -> FloatArray:
    """Limits at which sqrt(q) of the nominal background is ``sigma - Phi^-1((1 - level) Phi(sigma))``."""
    k = problem[4]
    auxiliary = held.nominal()
    n = held.mean(auxiliary)

    def log_cls(i: Index, s: FloatArray) -> FloatArray:
        root = np.sqrt(_q_tilde(s, n[i], k[i], held.take(i), auxiliary[i]))
        return np.asarray(special.log_ndtr(sigmas[i] - root) - special.log_ndtr(sigmas[i]))

    return _root(log_cls, (n, *problem[1:]))


# --- all of them ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limit:
    """An observed upper limit and what background alone makes expect, pre-fit; in events."""

    observed: float
    expected: Bands


@dataclass(frozen=True, slots=True)
class Comparison:
    """Limits by method.

    Attributes
    ----------
    limits : mapping of str to Limit
        By the names of `METHODS`.
    verdict : Verdict
        Of the significance with which each CLs excludes the exact limit: the exact one that of ``1 - level``.
    """

    limits: Mapping[str, Limit]
    verdict: Verdict


def compare_limits(
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    level: float = 0.95,
    signal_uncertainty: float = 0.0,
    model: str = "split-lognormal",
) -> Comparison:
    """Compute every named limit; scalars, otherwise as in `cls_limit`."""
    problem, _ = _prepared(n, b, up, down, signal_uncertainty, level)
    held = constraint(model, *problem[1:4])
    sigmas = np.array(SIGMAS)
    counts = np.append(np.asarray(quantile(special.ndtr(sigmas), b, up, down, model=model)), problem[0])
    # One batch for the bands and the data; the Bayesian limits are those times a factor.
    six = tuple(np.repeat(a, counts.size) for a in problem[1:])
    exact = _cls_limit(model, (counts, *six))
    bayes = exact * np.exp(six[3] ** 2)
    asymptotic = float(
        asymptotic_limit(n, b, up, down, level=level, signal_uncertainty=signal_uncertainty, model=model)
    )
    bands = expected_limits(
        "asymptotic", b, up, down, level=level, signal_uncertainty=signal_uncertainty, model=model
    )
    approximate = _log_asymptotic(exact[-1:], problem[0], problem[4], held)
    z = {"cls": -special.ndtri(problem[-1][0]), "asymptotic": -special.ndtri_exp(approximate[0])}
    limits = {
        "cls": Limit(float(exact[-1]), Bands(*map(float, exact[:-1]))),
        "bayes": Limit(float(bayes[-1]), Bands(*map(float, bayes[:-1]))),
        "asymptotic": Limit(asymptotic, bands),
    }
    return Comparison(limits, compare({name: float(value) for name, value in z.items()}, n, b))
