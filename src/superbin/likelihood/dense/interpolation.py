"""How effects depend on their parameter between the two variations of a pair.

Every convention but code 4 is ``odd x + even e(x)``, with ``odd = (high - low)/2``, ``even = (high + low)/2`` of the differences to the
nominal histogram (morphs) or of the logarithms (factors), and a function e common to all effects of the parameter:

=================  ======================================================================
code 0, code 1     ``|x|``: piecewise linear, or exponential, with a kink at zero
code 2             ``x^2`` inside ``|x| < 1``, ``2 |x| - 1`` outside
code 4p, Combine   ``x h(x)``, ``h = x (3 x^4 - 10 x^2 + 15)/8`` inside ``|x| < 1``, the sign outside
Combine factors    ``x h(2 x)``
=================  ======================================================================

K. Cranmer et al., CERN-OPEN-2012-016; A. Hayrapetyan et al. (CMS), Comput. Softw. Big Sci. 8 (2024) 19,
doi:10.1007/s41781-024-00121-4. Code 2 is continuous here as in ROOT; pyhf 0.7.6 drops its value at one beyond it. Code 4 is a polynomial of
the factor itself inside ``|x| < 1`` that meets the exponentials of code 1 in value, slope and curvature.
"""

from typing import TypeAlias

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.likelihood.interpolation import code4_coefficients

__all__ = ["Basis", "even_part", "polynomial", "polynomial_coefficients"]

Basis: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]
"""e(x) with its first and second derivative, one entry per parameter."""

polynomial_coefficients = code4_coefficients


def even_part(code: str, x: FloatArray, side: FloatArray, region: float = 1.0) -> Basis:
    """Return e(x) of a convention with two derivatives.

    Parameters
    ----------
    code : str
        ``code0``, ``code1``, ``code2``, ``code4p``, ``combine`` (morphs) or ``combine-factor``.
    x : array, shape (n_parameters,)
        Parameters.
    side : array, shape (n_parameters,)
        From which side a kink at zero is seen: 1, -1, or 0 for the mean of both slopes.
    region : float
        For ``combine``: where the smooth step ends; h is a function of x / region there.
    """
    if code in {"code0", "code1"}:
        return np.abs(x), np.where(x == 0, side, np.sign(x)), np.zeros_like(x)
    if code == "code2":
        inside, sign = np.abs(x) < 1, np.sign(x)
        return (
            np.where(inside, x * x, 2 * np.abs(x) - 1),
            np.where(inside, 2 * x, 2 * sign),
            np.where(inside, 2.0, 0.0),
        )
    scale = 2.0 if code == "combine-factor" else 1.0 / region
    t = scale * x
    inside = np.abs(t) < 1
    s = np.where(inside, t * t, 1.0)
    h = np.where(inside, t * (3 * s * s - 10 * s + 15) / 8, np.sign(x))
    dh = scale * 1.875 * (s - 1) ** 2  # vanishes outside, where s = 1
    ddh = scale**2 * 7.5 * t * (s - 1)
    return x * h, h + x * dh, 2 * dh + x * ddh


def polynomial(coefficients: FloatArray, x: FloatArray) -> Basis:
    """Return code 4's factors inside ``|x| < 1`` with two derivatives.

    Parameters
    ----------
    coefficients : array, shape (n, 7)
        Of x^0 to x^6.
    x : array, shape (n,)
        Parameter of each factor.
    """
    value = coefficients[:, 6].copy()
    first, half_second = np.zeros_like(x), np.zeros_like(x)
    for k in range(5, -1, -1):  # Horner's scheme with derivatives
        half_second = half_second * x + first
        first = first * x + value
        value = value * x + coefficients[:, k]
    return value, first, 2 * half_second
