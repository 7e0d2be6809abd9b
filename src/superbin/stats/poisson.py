"""Poisson probabilities at real counts, without cancellation and in logarithms.

The count N of a unit-rate Poisson process reaches n before "time" m when its n-th arrival, ``Gamma_n``, comes before m:
``P(N >= n | m) = P(Gamma_n <= m)``. Everything here is written around the density of ``t = ln Gamma_n`` at its mode
``ln n``, ``n^n e^-n / Gamma(n)``, because the textbook form ``n t - e^t - ln Gamma(n)`` loses ten digits at n = 1e6.
"""

import numpy as np
from scipy import special

from superbin.stats.arguments import FloatArray

__all__ = ["log_mode_density", "log_probability", "log_ratio", "tail_and_rest"]

STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
"""Coefficients of 1/n, 1/n^3, ... in ``ln Gamma(n) - (n - 1/2) ln n + n - ln(2 pi)/2``; good to 1e-16 from n = 15 on."""

STIRLING_FROM = 15.0


def log_ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """``ln(a/b)`` for positive arguments, to full relative precision also near ``a = b``."""
    difference = (a - b) / b
    near = np.abs(difference) < 0.5
    if near.all():
        return np.asarray(np.log1p(difference))
    return np.where(near, np.log1p(np.where(near, difference, 0.0)), np.log(a) - np.log(b))


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


def tail_and_rest(n: FloatArray, m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``P(Gamma_n <= m)`` and one minus it: the smaller computed, the other its complement."""
    below = n > m
    smaller = np.empty_like(n)
    for side, function in ((below, special.gammainc), (~below, special.gammaincc)):
        i = np.flatnonzero(side)
        if i.size:
            smaller[i] = function(n[i], m[i])
    return np.where(below, smaller, 1 - smaller), np.where(below, 1 - smaller, smaller)
