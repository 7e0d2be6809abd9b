"""How a log-normal factor depends on its nuisance: the exponent K(theta) with its first two derivatives.

A pair of factors gives ``exp(H)`` at +1 and ``exp(L)`` at -1. Three conventions join them:

``combine``
    ``K = theta k(theta)`` with ``k = (H - L)/2 + h (H + L)/2``, ``h = t (3 t^4 - 10 t^2 + 15)/8``, ``t = 2 theta``
    inside ``|theta| < 1/2`` and ``h = sign(theta)`` outside: twice differentiable. A pair whose factors multiply to one
    within 1e-5 counts as symmetric, with its upper factor. A. Hayrapetyan et al. (CMS),
    Comput. Softw. Big Sci. 8 (2024) 19, doi:10.1007/s41781-024-00121-4, and that tool's source.
``code1``
    ``h = sign(theta)`` everywhere: piecewise exponential, with a kink at zero. HistFactory's interpolation code 1
    (K. Cranmer et al., CERN-OPEN-2012-016).
``code4``
    HistFactory's code 4, pyhf's default: exponential outside ``|theta| < 1`` and inside a polynomial of sixth order of
    the factor itself, equal in value and two derivatives at the ends.

The first two are linear in two functions of theta common to all entries, ``theta`` and ``theta h``, so they cost two
multiplications an entry.
"""

from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.likelihood.model import BoolArray, IntArray, Interpolation

__all__ = ["Exponents"]

SYMMETRIC = 1e-5
"""Combine takes a pair whose product differs from one by less than this as symmetric, with the upper factor."""


@dataclass(frozen=True, eq=False, slots=True)
class Exponents:
    """The exponents of all entries, as functions of the parameters.

    Parameters
    ----------
    parameter : array of int, shape (n_entries,)
        The parameter of each entry.
    free : array of bool, shape (n_parameters,)
        Parameters that multiply rates by their own value, K = ln phi.
    odd, even : array, shape (n_entries,)
        (H - L)/2 and (H + L)/2; for free rates one and zero.
    smooth : bool
        Whether `combine`'s step function is used rather than the sign.
    polynomial : array of int
        Entries for which code 4's polynomial holds inside |theta| < 1.
    coefficients : array, shape (len(polynomial), 7)
        Of theta^0 to theta^6 of their factor.
    """

    parameter: IntArray
    free: BoolArray
    odd: FloatArray
    even: FloatArray
    smooth: bool
    polynomial: IntArray
    coefficients: FloatArray

    @classmethod
    def make(
        cls, parameter: IntArray, free: BoolArray, low: FloatArray, high: FloatArray, code: Interpolation
    ) -> "Exponents":
        """Prepare entries with logarithms `low` and `high` of their factors at -1 and +1."""
        on_free = free[parameter]
        if code == "combine":
            low = np.where(np.abs(np.expm1(low + high)) < SYMMETRIC, -high, low)
        odd = np.where(on_free, 1.0, 0.5 * (high - low))
        even = np.where(on_free, 0.0, 0.5 * (high + low))
        polynomial = np.flatnonzero(~on_free) if code == "code4" else np.empty(0, dtype=np.intp)
        coefficients = code4_coefficients(low[polynomial], high[polynomial])
        return cls(parameter, free, odd, even, code == "combine", polynomial, coefficients)

    def values(self, x: FloatArray) -> FloatArray:
        """K of every entry; `x` has shape (n_parameters,)."""
        first, second, _, _, _, _ = self._basis(x)
        k = self.odd * first[self.parameter] + self.even * second[self.parameter]
        if self.polynomial.size:
            inside, p, _, _ = self._polynomials(x)
            k[inside] = np.log(p)
        return k

    def derivatives(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """K, dK/dx and d2K/dx2 of every entry."""
        first, second, d_first, d_second, dd_first, dd_second = self._basis(x)
        j = self.parameter
        k = self.odd * first[j] + self.even * second[j]
        d = self.odd * d_first[j] + self.even * d_second[j]
        dd = self.odd * dd_first[j] + self.even * dd_second[j]
        if self.polynomial.size:
            inside, p, dp, ddp = self._polynomials(x)
            k[inside] = np.log(p)
            d[inside] = dp / p
            dd[inside] = ddp / p - (dp / p) ** 2
        return k, d, dd

    def _basis(self, x: FloatArray) -> tuple[FloatArray, ...]:
        """Return theta and theta h(theta), or ln phi and nothing, with first and second derivatives."""
        phi = np.where(self.free, x, 1.0)
        first = np.where(self.free, np.log(phi), x)
        d_first = np.where(self.free, 1 / phi, 1.0)
        dd_first = np.where(self.free, -1 / phi**2, 0.0)
        h = np.sign(x)
        if not self.smooth:
            return first, x * h, d_first, h, dd_first, np.zeros_like(x)
        t = 2 * x
        inside = np.abs(t) < 1
        s = np.where(inside, t * t, 1.0)
        h = np.where(inside, t * (3 * s * s - 10 * s + 15) / 8, h)
        dh = 3.75 * (s - 1) ** 2  # vanishes outside, where s = 1
        ddh = 30 * t * (s - 1)
        return first, x * h, d_first, h + x * dh, dd_first, 2 * dh + x * ddh

    def _polynomials(self, x: FloatArray) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
        theta = x[self.parameter[self.polynomial]]
        near = np.abs(theta) < 1
        c, theta = self.coefficients[near], theta[near]
        powers = theta[:, None] ** np.arange(7)
        order = np.arange(7)
        p = (c * powers).sum(axis=1)
        dp = (c[:, 1:] * order[1:] * powers[:, :-1]).sum(axis=1)
        ddp = (c[:, 2:] * (order[2:] * order[1:-1]) * powers[:, :-2]).sum(axis=1)
        return self.polynomial[near], p, dp, ddp


def code4_coefficients(low: FloatArray, high: FloatArray) -> FloatArray:
    """Coefficients of theta^0..6 that meet both exponentials at -1 and +1 in value, slope and curvature.

    Parameters
    ----------
    low, high : array, shape (n,)
        Logarithms of the factors at -1 and +1.
    """
    i = np.arange(1, 7)
    sign = (-1.0) ** i
    matrix = np.array([i**0, sign, i, -i * sign, i * (i - 1), i * (i - 1) * sign], dtype=np.float64)
    up, down = np.exp(high), np.exp(low)
    ends = np.stack([up - 1, down - 1, up * high, -down * low, up * high**2, down * low**2])
    return np.concatenate([np.ones((low.size, 1)), np.linalg.solve(matrix, ends).T], axis=1)
