"""Exact distribution of the count under signal plus an uncertain background.

The count is ``N ~ Poisson(s + mu)`` with the background mean ``mu`` distributed as an uncertainty model says
(`superbin.stats.models`): `pmf` P(N = n), `cdf` P(N <= n), `log_cdf` where that underflows, `quantile` the
smallest count that ``N`` does not exceed with a given probability. Limits and expected results are made of these;
for p-values of the background alone use `superbin.stats.pvalue`, which is faster.

The average over the background is an integral over the standard normal ``z`` of the model, each side of ``z = 0``
by itself, where the logarithm of the integrand of `cdf` is concave: its span is found on grids, and adaptive panels integrate it.
For ``gamma`` the variable is the logarithm of the mean over its mode: the density is known there, the quantile function of a Gamma
variate, which loses digits at large shapes, is not needed.
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
from superbin.stats.models import SMALLEST_SPREAD, check_model, lowest_z, mean_at, on_off

__all__ = ["BANDS", "SIGMAS", "cdf", "log_cdf", "log_cdf_of", "pmf", "quantile"]

SIGMAS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Where expected results are given: the median, and the edges of the bands of one and two standard deviations."""

BANDS = tuple(special.ndtr(SIGMAS).tolist())
"""The probabilities up to there: 0.023, 0.159, 0.5, 0.841 and 0.977."""

FARTHEST = 1e8

LARGEST_QUANTILE = 1e100
"""Counts beyond are out of reach."""

MOST_STEPS = 400
"""Doublings and halvings that reach any count up to there."""

DEPTH = 40.0
"""Logarithm below which a part of the average is negligible."""

ROUNDING = 3e-15

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
        In the broadcast shape; relative error below 1e-9 for n to 1e10, and 1e-14 sqrt(n) beyond: the rounding of n itself.

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
        Whole numbers; above 9e15 events the nearest of float64.

    Raises
    ------
    InputError
        As `cdf`, and for a quantile above 1e100 events.
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
    for _ in range(MOST_STEPS):
        if not i.size:
            break
        low[i], high[i] = high[i], 2 * high[i] + 1
        if (high[i] > LARGEST_QUANTILE).any():
            raise InputError(
                f"a quantile of the count exceeds {LARGEST_QUANTILE:g} events; give a smaller uncertainty or probability"
            )
        i = i[~reached(i, high[i])]
    for _ in range(MOST_STEPS):
        i = np.flatnonzero(high - low > np.maximum(1.0, 2 * np.spacing(high)))
        if not i.size:
            break
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


@dataclass(frozen=True, slots=True)
class _GammaSides:
    """One side of the mode of a Gamma mean per row: ``mean = mode e^u``, ``y = |u|``, of density ``~ e^(shape (u - e^u))``."""

    kernel: _Kernel
    sign: FloatArray
    n: FloatArray
    s: FloatArray
    mode: FloatArray
    shape: FloatArray
    log_density: FloatArray

    def __call__(self, index: Index, y: FloatArray) -> FloatArray:
        column = (a[index][:, None] for a in (self.sign, self.n, self.s, self.mode))
        sign, n, s, mode = (np.broadcast_to(a, y.shape) for a in column)
        with np.errstate(over="ignore"):
            mean = s + mode * np.exp(sign * y)
            weight = self.log_density[index][:, None] - self.shape[index][:, None] * poisson.beyond_linear(
                sign * y
            )
        return np.asarray(self.kernel(n, mean) + weight)


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
    if model == "gamma":
        return _log_smeared_gamma(kernel, n, s, b, up, down)
    floor, vanishing, log_kept = lowest_z(model, b, up, down)
    with np.errstate(invalid="ignore"):
        reach = np.sqrt(2 * (DEPTH - kernel(n, s + b)))
    reach = np.minimum(reach, FARTHEST)
    sign = np.repeat([1.0, -1.0], n.size)
    sides = _Sides(kernel, model, sign, *(np.tile(a, 2) for a in (n, s, b, up, down)))
    right = np.where(sign > 0, np.tile(reach, 2), np.minimum(np.tile(-floor, 2), np.tile(reach, 2)))
    logs = log_integral(sides, *narrowed(sides, np.zeros_like(right), right), noise=np.tile(_noise(n), 2))
    above, below = np.split(logs, 2)
    result = np.logaddexp(above, below) - log_kept
    i = np.flatnonzero(vanishing > 0)
    if i.size:
        result[i] = np.logaddexp(result[i], np.log(vanishing[i]) + kernel(n[i], s[i]))
    return np.asarray(result)


def _log_smeared_gamma(
    kernel: _Kernel, n: FloatArray, s: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray
) -> FloatArray:
    off, tau = on_off(b, up, down)
    shape = off + 1
    mode = shape / tau  # of the logarithm of the mean
    # beyond here the density alone has fallen by more than the integrand's drop from its value at the mode
    fall = (DEPTH - kernel(n, s + mode)) / shape
    third = fall / 3
    reach = np.concatenate([np.sqrt(2 * fall), third + np.sqrt(third * third + 2 * fall)])
    sign = np.repeat([1.0, -1.0], n.size)
    columns = (n, s, mode, shape, poisson.log_mode_density(shape))
    sides = _GammaSides(kernel, sign, *(np.tile(a, 2) for a in columns))
    reach = np.minimum(reach, FARTHEST)
    logs = log_integral(
        sides, *narrowed(sides, np.zeros_like(reach), reach), noise=np.tile(_noise(n + shape), 2)
    )
    return np.asarray(np.logaddexp(*np.split(logs, 2)))


def _noise(n: FloatArray) -> FloatArray:
    """Rounding of the integrand where it has not fallen below 1e-15: that of the mean, times a slope of some 8 sqrt(n)."""
    return np.asarray(ROUNDING * np.sqrt(n))
