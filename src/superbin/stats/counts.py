"""Exact distribution of the count under signal plus an uncertain background.

The count is ``N ~ Poisson(s + mu)`` with the background mean ``mu`` distributed as an uncertainty model says
(`superbin.stats.models`): `pmf` P(N = n), `cdf` P(N <= n), `log_cdf` where that underflows, `quantile` the
smallest count that ``N`` does not exceed with a given probability. Limits and expected results are made of these;
for p-values of the background alone use `superbin.stats.pvalue`, which is faster.

The average over the background is an integral over the standard normal ``z`` of the model, each side of ``z = 0``
by itself, where the logarithm of the integrand of `cdf` is concave: its span is found on grids, and adaptive panels integrate it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from superbin.errors import InputError
from superbin.stats import poisson
from superbin.stats.arguments import (
    FloatArray,
    FloatOrArray,
    Index,
    Numbers,
    checked_probability,
    checked_signal,
    checked_yields,
    plain,
)
from superbin.stats.integration import log_integral, narrowed
from superbin.stats.models import SMALLEST_SPREAD, check_model, lowest_z, mean_at

__all__ = ["BANDS", "SIGMAS", "cdf", "log_cdf", "log_cdf_of", "pmf", "quantile"]

SIGMAS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Where expected results are given: the median, and the edges of the bands of one and two standard deviations."""

BANDS = tuple(special.ndtr(SIGMAS).tolist())
"""The probabilities up to there: 0.023, 0.159, 0.5, 0.841 and 0.977."""

FARTHEST = 1e8
FARTHEST_GAMMA = 37.0
"""The Gamma model goes through the unit normal distribution function, which underflows beyond."""

DEPTH = 40.0
"""Logarithm below which a part of the average is negligible."""

CHUNK = 4096
"""Rows at a time, so that memory stays bounded."""

UNDERFLOW = 1e-280
FRACTION_TERMS = 60
_LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)

_Kernel: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]


def cdf(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal: Numbers = 0.0,
    model: str = "split-lognormal",
) -> FloatOrArray:
    """Probability of at most `n` events, P(N <= n).

    Parameters
    ----------
    n : array_like
        Count, real and >= 0. For real `n` it is P(Gamma_{n+1} > signal + mu), which is P(N <= n) at integers.
    b, up, down : array_like
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    signal : array_like
        Expected signal, in events.
    model : str
        Name of the uncertainty model.

    Returns
    -------
    float or ndarray
        In the broadcast shape; relative error below 1e-9.

    Raises
    ------
    InputError
        For NaN, infinite, negative or too large values, ``down > b``, or shapes that do not broadcast.
    UnknownNameError
        For an unknown model.
    """
    return plain(np.exp(_averaged(_log_at_most, n, b, up, down, signal, model)))


def log_cdf(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal: Numbers = 0.0,
    model: str = "split-lognormal",
) -> FloatOrArray:
    """Natural logarithm of `cdf`, also where that underflows."""
    return plain(_averaged(_log_at_most, n, b, up, down, signal, model))


def pmf(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal: Numbers = 0.0,
    model: str = "split-lognormal",
) -> FloatOrArray:
    """Probability of exactly `n` events, P(N = n); for real `n` with the Gamma function for the factorial.

    Arguments, result and errors as in `cdf`.
    """
    return plain(np.exp(_averaged(_log_equal, n, b, up, down, signal, model)))


def quantile(
    probability: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal: Numbers = 0.0,
    model: str = "split-lognormal",
) -> FloatOrArray:
    """Smallest whole count `n` with ``cdf(n) >= probability``.

    Parameters
    ----------
    probability : array_like
        Strictly between 0 and 1.

    Returns
    -------
    float or ndarray
        Whole numbers.

    Raises
    ------
    InputError
        As `cdf`, and for a quantile above 1e15 events.
    """
    level = checked_probability("probability", probability)
    level, background, upward, downward = checked_yields(level, b, up, down, name="probability")
    strength = checked_signal(signal, level.shape)
    level, strength, *yields = np.broadcast_arrays(level, strength, background, upward, downward)
    check_model(model, *yields)
    p, s, *flat = (a.ravel() for a in (level, strength, *yields))
    target = np.log(p)

    def reached(i: Index, n: FloatArray) -> npt.NDArray[np.bool_]:
        return np.asarray(log_cdf_of(model, n, s[i], *(a[i] for a in flat)) >= target[i])

    low, high = np.full(p.shape, -1.0), np.ceil(flat[0] + s + 1)
    i = np.flatnonzero(~reached(np.arange(p.size), high))
    while i.size:
        low[i], high[i] = high[i], 2 * high[i] + 1
        if (high[i] > 1e15).any():
            raise InputError("the quantile exceeds 1e+15 events; give a smaller uncertainty or probability")
        i = i[~reached(i, high[i])]
    while (i := np.flatnonzero(high - low > 1)).size:
        middle = np.floor(0.5 * (low[i] + high[i]))
        enough = reached(i, middle)
        high[i], low[i] = np.where(enough, middle, high[i]), np.where(enough, low[i], middle)
    return plain(high.reshape(level.shape))


def _averaged(
    kernel: _Kernel, n: Numbers, b: Numbers, up: Numbers, down: Numbers, signal: Numbers, model: str
) -> FloatArray:
    yields = checked_yields(n, b, up, down)
    arrays = np.broadcast_arrays(checked_signal(signal, yields[0].shape), *yields)
    check_model(model, *arrays[2:])
    s, *flat = (a.ravel() for a in arrays)
    return _log_average(kernel, model, flat[0], s, *flat[1:]).reshape(arrays[0].shape)


def log_cdf_of(
    model: str, n: FloatArray, s: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray
) -> FloatArray:
    """`log_cdf` of checked 1-D arguments of one length."""
    return _log_average(_log_at_most, model, n, s, b, up, down)


def _log_at_most(n: FloatArray, mean: FloatArray) -> FloatArray:
    """``ln P(N <= n)`` at a fixed mean."""
    many = (n >= poisson.UNIFORM_FROM) & (mean > 0) & (mean < 1e300)
    if not many.any():
        return _log_at_most_few(n, mean)
    result = np.empty(n.shape)
    result[many] = poisson.log_at_most_uniform(n[many], mean[many])
    result[~many] = _log_at_most_few(n[~many], mean[~many])
    return result


def _log_at_most_few(n: FloatArray, mean: FloatArray) -> FloatArray:
    p = special.gammaincc(n + 1, mean)
    with np.errstate(divide="ignore"):
        result = np.log(p)
    deep = (p < UNDERFLOW) & (mean < 1e300)
    if deep.any():
        result[deep] = _deep_at_most(n[deep], mean[deep])
    return np.asarray(result)


def _deep_at_most(n: FloatArray, mean: FloatArray) -> FloatArray:
    """``ln P(N <= n)`` far below the mean, by Legendre's continued fraction (DLMF 8.9.2), from its end."""
    base = mean - n
    fraction = np.zeros_like(n)
    for j in range(FRACTION_TERMS, 0, -1):
        fraction = j * (j - 1 - n) / (base + 2 * j - fraction)
    with np.errstate(divide="ignore"):
        return np.asarray(_log_equal(n, mean) + np.log(mean) - np.log(base - fraction))


def _log_equal(n: FloatArray, mean: FloatArray) -> FloatArray:
    """``ln P(N = n)`` at a fixed mean."""
    positive, some = np.where(n > 0, n, 1.0), np.where((mean > 0) & (mean < 1e300), mean, 1.0)
    shape = positive.shape
    value = poisson.log_probability(positive.ravel(), some.ravel()).reshape(shape)
    value = np.where(mean == some, value, -np.inf)
    return np.where(n > 0, value, -mean)


@dataclass(frozen=True, slots=True)
class _Sides:
    """One side of ``z = 0`` per row; the integrand at a distance ``y`` from it."""

    kernel: _Kernel
    model: str
    sign: FloatArray
    n: FloatArray
    s: FloatArray
    b: FloatArray
    up: FloatArray
    down: FloatArray

    def __call__(self, index: Index, y: FloatArray) -> FloatArray:
        column = (a[index][:, None] for a in (self.sign, self.n, self.s, self.b, self.up, self.down))
        sign, n, s, b, up, down = (np.broadcast_to(a, y.shape) for a in column)
        mean = s + mean_at(self.model, sign * y, b, up, down)
        return np.asarray(self.kernel(n, mean) - 0.5 * y * y - _LOG_ROOT_2PI)


def _log_average(
    kernel: _Kernel,
    model: str,
    n: FloatArray,
    s: FloatArray,
    b: FloatArray,
    up: FloatArray,
    down: FloatArray,
) -> FloatArray:
    """Logarithm of the average of ``exp(kernel(n, s + mu))`` over the background mean."""
    result = np.empty(n.shape)
    sharp = ((up == 0) & (down == 0)) | (model == "none")
    if model == "gamma":
        sharp |= 0.5 * (up + down) <= SMALLEST_SPREAD * b
    i = np.flatnonzero(sharp)
    if i.size:
        result[i] = kernel(n[i], s[i] + b[i])
    smeared = np.flatnonzero(~sharp)
    for first in range(0, smeared.size, CHUNK):
        i = smeared[first : first + CHUNK]
        result[i] = _log_smeared(kernel, model, n[i], s[i], b[i], up[i], down[i])
    return result


def _log_smeared(
    kernel: _Kernel,
    model: str,
    n: FloatArray,
    s: FloatArray,
    b: FloatArray,
    up: FloatArray,
    down: FloatArray,
) -> FloatArray:
    floor, vanishing, log_kept = lowest_z(model, b, up, down)
    with np.errstate(invalid="ignore"):
        reach = np.sqrt(2 * (DEPTH - kernel(n, s + b)))
    reach = np.minimum(reach, FARTHEST_GAMMA if model == "gamma" else FARTHEST)
    sign = np.repeat([1.0, -1.0], n.size)
    sides = _Sides(kernel, model, sign, *(np.tile(a, 2) for a in (n, s, b, up, down)))
    right = np.where(sign > 0, np.tile(reach, 2), np.minimum(np.tile(-floor, 2), np.tile(reach, 2)))
    logs = log_integral(sides, *narrowed(sides, np.zeros_like(right), right))
    above, below = np.split(logs, 2)
    result = np.logaddexp(above, below) - log_kept
    i = np.flatnonzero(vanishing > 0)
    if i.size:
        result[i] = np.logaddexp(result[i], np.log(vanishing[i]) + kernel(n[i], s[i]))
    return np.asarray(result)
