"""Effects of one kind as arrays, evaluated all at once with two derivatives in their parameter."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin.likelihood.dense.interpolation import Basis, even_part, polynomial, polynomial_coefficients
from superbin.statistical_model.expressions import Expression, Jet, evaluate

__all__ = ["BoundFormula", "IntArray", "Morphs", "Pairs"]

IntArray = NDArray[np.intp]

_PAIR_BASIS = {"combine": "combine-factor", "code1": "code1", "code4": "code1"}

Groups = tuple[tuple[str, float, IntArray], ...]
"""Code, smooth region, and which entries have them."""


def _groups(codes: list[tuple[str, float]]) -> Groups:
    found: dict[tuple[str, float], list[int]] = {}
    for i, key in enumerate(codes):
        found.setdefault(key, []).append(i)
    return tuple((*key, np.array(where, dtype=np.intp)) for key, where in found.items())


def _interpolated(
    odd: FloatArray, even: FloatArray, parameter: IntArray, groups: Groups, x: FloatArray, side: FloatArray
) -> Basis:
    """``odd x + even e(x)`` of all entries with two derivatives."""
    value, first, second = odd * x[parameter], odd.copy(), np.zeros_like(odd)
    for code, region, where in groups:
        e, de, dde = even_part(code, x, side, region)
        j, weight = parameter[where], even[where]
        value[where] += weight * e[j]
        first[where] += weight * de[j]
        second[where] = weight * dde[j]
    return value, first, second


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Log-normal factors.

    Attributes
    ----------
    parameter : array of int, shape (n,)
        Position of the parameter of each.
    odd, even : array, shape (n,)
        (H - L)/2 and (H + L)/2 of the logarithms of their factors at +1 and -1.
    groups : tuple of (str, float, array of int)
        Which follow which convention, with which smooth region.
    smooth : array of int
        Those of code 4.
    coefficients : array, shape (len(smooth), 7)
        Of their polynomials.
    """

    parameter: IntArray
    odd: FloatArray
    even: FloatArray
    groups: Groups
    smooth: IntArray
    coefficients: FloatArray

    @classmethod
    def make(cls, entries: list[tuple[int, float, float, str]]) -> "Pairs":
        """Prepare factors given as (position, low, high, code)."""
        low = np.log([entry[1] for entry in entries])
        high = np.log([entry[2] for entry in entries])
        codes = [entry[3] for entry in entries]
        smooth = np.flatnonzero([code == "code4" for code in codes])
        return cls(
            np.array([entry[0] for entry in entries], dtype=np.intp),
            0.5 * (high - low),
            0.5 * (high + low),
            _groups([(_PAIR_BASIS[code], 1.0) for code in codes]),
            smooth,
            polynomial_coefficients(low[smooth], high[smooth]),
        )

    def kinked(self) -> IntArray:
        """Parameters with a factor that has a kink at zero."""
        kinked = np.zeros(self.parameter.size, dtype=bool)
        for code, _, where in self.groups:
            kinked[where] = code == "code1"
        kinked[self.smooth] = False
        # Reciprocal factors are symmetric up to rounding.
        found: IntArray = self.parameter[kinked & (np.abs(self.even) > 1e-14)]
        return found

    def evaluate(self, x: FloatArray, side: FloatArray) -> Basis:
        """Factors f with first and second derivative of ln f."""
        k, u, v = _interpolated(self.odd, self.even, self.parameter, self.groups, x, side)
        f = np.exp(k)
        if self.smooth.size:
            theta = x[self.parameter[self.smooth]]
            inside = np.abs(theta) < 1
            p, dp, ddp = polynomial(self.coefficients[inside], theta[inside])
            where = self.smooth[inside]
            f[where] = p
            u[where] = dp / p
            v[where] = ddp / p - (dp / p) ** 2
        return f, u, v


@dataclass(frozen=True, slots=True, eq=False)
class Morphs:
    """Additions to rows, one entry per row and parameter.

    Attributes
    ----------
    row, parameter : array of int, shape (n,)
        What is changed, by what.
    odd, even : array, shape (n,)
        (high - low)/2 and (high + low)/2 of the differences to nominal.
    groups : tuple of (str, float, array of int)
        Which follow which convention, with which smooth region.
    """

    row: IntArray
    parameter: IntArray
    odd: FloatArray
    even: FloatArray
    groups: Groups

    @classmethod
    def make(cls, entries: list[tuple[int, int, float, float, str, float]]) -> "Morphs":
        """Prepare entries (row, position, low, high, code, region); those that change nothing are left out."""
        kept = [entry for entry in entries if entry[2] != 0 or entry[3] != 0]
        low = np.array([entry[2] for entry in kept], dtype=np.float64)
        high = np.array([entry[3] for entry in kept], dtype=np.float64)
        return cls(
            np.array([entry[0] for entry in kept], dtype=np.intp),
            np.array([entry[1] for entry in kept], dtype=np.intp),
            0.5 * (high - low),
            0.5 * (high + low),
            _groups([(entry[4], entry[5]) for entry in kept]),
        )

    def kinked(self) -> IntArray:
        """Parameters with a morph that has a kink at zero."""
        kinked = np.zeros(self.parameter.size, dtype=bool)
        for code, _, where in self.groups:
            kinked[where] = code == "code0"
        found: IntArray = self.parameter[kinked & (self.even != 0)]
        return found

    def evaluate(self, x: FloatArray, side: FloatArray) -> Basis:
        """Additions with two derivatives."""
        return _interpolated(self.odd, self.even, self.parameter, self.groups, x, side)


@dataclass(frozen=True, slots=True)
class BoundFormula:
    """A formula with the positions of its parameters."""

    expression: Expression
    names: tuple[str, ...]
    positions: tuple[int, ...]

    def evaluate(self, x: FloatArray) -> Jet:
        """Value and derivatives in its parameters."""
        return evaluate(
            self.expression, {name: float(x[j]) for name, j in zip(self.names, self.positions, strict=True)}
        )
