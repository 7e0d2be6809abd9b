"""Poisson probabilities at real counts, without cancellation and in logarithms.

The count N of a unit-rate Poisson process reaches n before "time" m when its n-th arrival, ``Gamma_n``, comes before m:
``P(N >= n | m) = P(Gamma_n <= m)``. Everything here is written around the density of ``t = ln Gamma_n`` at its mode
``ln n``, ``n^n e^-n / Gamma(n)``, because the textbook form ``n t - e^t - ln Gamma(n)`` loses ten digits at n = 1e6.
"""

import math

import numpy as np
from scipy import special

from superbin.stats.arguments import FloatArray
from superbin.stats.quadrature import scaled_tail

__all__ = [
    "UNIFORM_FROM",
    "beyond_linear",
    "deviance",
    "log_at_most_uniform",
    "log_equal",
    "log_mode_density",
    "log_probability",
    "log_ratio",
    "tail_and_rest",
]

UNIFORM_FROM = 1e4
"""Count from which two terms of the uniform expansion are good to 1e-12."""

NEAR = 0.02
"""Where the closed forms of the expansion's coefficients cancel, their series are used."""

C0_SERIES = (-1 / 3, 1 / 12, -2 / 135, 1 / 864, 1 / 2835)
C1_SERIES = (-1 / 540, -1 / 288, 1 / 378)

STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
"""Coefficients of 1/n, 1/n^3, ... in ``ln Gamma(n) - (n - 1/2) ln n + n - ln(2 pi)/2``; good to 1e-16 from n = 15 on."""

STIRLING_FROM = 15.0


def log_ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """``ln(a/b)`` for positive arguments, to full relative precision also near ``a = b``."""
    with np.errstate(over="ignore"):
        difference = (a - b) / b
    near = np.abs(difference) < 0.5
    if near.all():
        return np.asarray(np.log1p(difference))
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        ratio = a / b
        far = np.where((ratio > 0) & np.isfinite(ratio), np.log(ratio), np.log(a) - np.log(b))
    return np.where(near, np.log1p(np.where(near, difference, 0.0)), far)


def deviance(n: FloatArray, mean: FloatArray) -> FloatArray:
    """``-2 ln [Poisson(n | mean) / Poisson(n | n)] = 2 (n ln(n/mean) - n + mean)``.

    Parameters
    ----------
    n, mean : array
        Count and mean, >= 0, of one shape or broadcasting; a mean may be infinite.

    Returns
    -------
    array
        To a relative 1e-14, near ``mean = n`` as well as far below or above it; infinite at mean 0 < n and at an infinite mean.

    Examples
    --------
    >>> round(float(deviance(np.array(1.0), np.array(1e-17))), 10)  # 2 (ln 1e17 - 1)
    76.2878931618
    """
    some = (n > 0) & (mean > 0) & (mean < np.inf)
    count = np.where(some, n, 1.0)
    u = log_ratio(np.where(some, mean, 1.0), count)
    with np.errstate(over="ignore"):
        value = count * beyond_linear(u)
    return np.asarray(2 * np.where(some, value, np.where(n > 0, np.inf, mean)))


def log_mode_density(n: FloatArray) -> FloatArray:
    """``ln [n^n e^-n / Gamma(n)]``: the density of ``ln Gamma_n`` at its mode, n > 0."""
    large = np.maximum(n, STIRLING_FROM)
    inverse = 1 / large
    square = inverse * inverse
    series = np.full_like(n, STIRLING[-1])
    for coefficient in STIRLING[-2::-1]:
        series *= square
        series += coefficient
    result = 0.5 * np.log(n / (2 * np.pi)) - series * inverse
    small = np.flatnonzero(n < STIRLING_FROM)
    if small.size:
        m = n[small]
        result[small] = m * np.log(m) - m - special.gammaln(m)
    return result


def log_probability(n: FloatArray, m: FloatArray) -> FloatArray:
    """``ln [m^n e^-m / Gamma(n + 1)]`` for n, m > 0."""
    u = log_ratio(m, n)
    return np.asarray(log_mode_density(n) - np.log(n) + n * (u - np.expm1(u)))


def log_equal(n: FloatArray, mean: FloatArray) -> FloatArray:
    """``ln P(N = n)`` at any mean >= 0; arguments broadcast."""
    n, mean = np.broadcast_arrays(n, mean)
    some = (n > 0) & (mean > 0) & (mean < 1e300)
    value = log_probability(np.where(some, n, 1.0).ravel(), np.where(some, mean, 1.0).ravel()).reshape(
        n.shape
    )
    return np.where(some, value, np.where(n > 0, -np.inf, -mean))


def tail_and_rest(n: FloatArray, m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``P(Gamma_n <= m)`` and one minus it: the smaller computed, the other its complement."""
    # The median of Gamma_n is about n, and 2^(-1/n) for small n, where SciPy's P of 1 - 1e-43 comes out above 1.
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.where(n < 1, n * np.log(m) < -math.log(2), n > m)
    smaller = np.empty_like(n)
    for side, function in ((below, special.gammainc), (~below, special.gammaincc)):
        i = np.flatnonzero(side)
        if i.size:
            smaller[i] = function(n[i], m[i])
    return np.where(below, smaller, 1 - smaller), np.where(below, 1 - smaller, smaller)


def beyond_linear(u: FloatArray) -> FloatArray:
    """``e^u - 1 - u`` to full relative precision."""
    near = np.abs(u) < 0.5
    small = np.where(near, u, 0.0)
    series = np.ones_like(u)
    for j in range(16, 2, -1):
        series *= small / j
        series += 1.0
    return np.where(near, 0.5 * small * small * series, np.expm1(u) - u)


def log_at_most_uniform(n: FloatArray, m: FloatArray) -> FloatArray:
    """``ln P(N <= n)`` at finite means m > 0, for `n` from `UNIFORM_FROM` on, real; relative error of P below 1e-11.

    Temme's uniform expansion of the incomplete gamma function (DLMF 8.12.4 and 8.12.7) with a = n + 1 and eta^2/2 = m/a - 1 -
    ln(m/a), which has no underflow on the side of small probabilities.
    """
    a = n + 1
    u = log_ratio(m, a)
    grown = np.expm1(u)
    half_square = beyond_linear(u)
    eta = np.copysign(np.sqrt(2 * half_square), u)
    near = np.abs(eta) < NEAR
    small, ray, inverse = (
        np.where(near, eta, 0.0),
        1 / np.where(near, 1.0, eta),
        1 / np.where(near, 1.0, grown),
    )
    first = np.where(near, np.polynomial.polynomial.polyval(small, C0_SERIES), inverse - ray)
    closed = ray**3 - inverse * (1 / 12 + inverse * (1 + inverse))
    second = np.where(near, np.polynomial.polynomial.polyval(small, C1_SERIES), closed)
    # everything in units of exp(-y^2/2), y = |eta| sqrt(a): the unit normal's smaller tail, and the correction
    tail = scaled_tail(np.sqrt(2 * a * half_square))
    correction = (first + second / a) / np.sqrt(2 * np.pi * a)
    exponent = -a * half_square
    with np.errstate(invalid="ignore", divide="ignore"):
        below = np.log1p(-np.exp(exponent) * np.where(u > 0, 0.0, tail - correction))
        return np.asarray(np.where(u > 0, exponent + np.log(np.maximum(tail + correction, 0.0)), below))
