r"""Figures of merit as one-parameter maxima: what makes an optimum provable.

The squares of ``s_over_sqrt_bv`` and ``profile_asimov``, and the test of an excluded signal, are suprema of functions that are *linear* in the sums
of a set, taken over a single number u >= 0:

``Z^2(S, B, V) = max_u [phi(u, S, B) - u^2 V]``

* ``s_over_sqrt_bv``: ``phi = 2 u S - u^2 B``, attained at ``u = S / (B + V)``;
* ``profile_asimov``: ``phi = 2 ln(1 + u) (S + B) - 2 u B``, attained at ``u = n / m - 1``, m being the fitted
  background.
* the exclusion behind ``asimov_limit``: `superbin.merge.exclusion.ExclusionDual`.

For a given u every bin has a *score* ``h_i(u)``, its own value of the bracket, and the best set is that of
positive scores. A score starts at zero with slope 2 s_i, is concave, and so is positive exactly for u below a
root r_i: the optimum is a prefix of the bins sorted by r_i. Derived in ``docs/explanation/proofs.md``.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.merge.exclusion import ExclusionDual
from superbin.merge.problem import IntArray, Problem

FloatOrArray: TypeAlias = float | FloatArray

__all__ = ["SCORES", "AsimovDual", "Dual", "RatioDual", "best_order"]


@dataclass(frozen=True, slots=True)
class RatioDual:
    """The dual of ``s_over_sqrt_bv``."""

    def weights(self, u: float) -> tuple[float, float, float, float]:
        """Factors p and r of ``phi = p S - r B``, and their derivatives with respect to u."""
        return 2 * u, u * u, 2.0, 2 * u

    def score(self, u: FloatOrArray, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """Scores of bins with variances v."""
        return 2 * u * s - u * u * (b + v)

    def slope(self, u: FloatOrArray, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """Derivative of the scores with respect to u."""
        return 2 * s - 2 * u * (b + v)

    def attained(self, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """The u at which the maximum over u is attained."""
        return np.divide(s, b + v, out=np.full_like(s, np.inf), where=b + v > 0)

    def largest(self, s: float, b: float) -> float:
        """No set with at most s signal and at least b background attains a larger u."""
        return s / b if b > 0 else math.inf

    def roots(self, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """The u > 0 at which each score vanishes; infinite without background, zero without signal."""
        return np.where(s > 0, 2 * self.attained(s, b, v), 0.0)


@dataclass(frozen=True, slots=True)
class AsimovDual:
    """The dual of ``profile_asimov``."""

    def weights(self, u: float) -> tuple[float, float, float, float]:
        """Factors p and r of ``phi = p S - r B``, and their derivatives with respect to u."""
        return 2 * math.log1p(u), 2 * float(_u_minus_log(u)), 2 / (1 + u), 2 * u / (1 + u)

    def score(self, u: FloatOrArray, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """Scores of bins with variances v."""
        # ln(1 + u) b - u b would cancel for small u.
        return 2 * np.log1p(u) * s - 2 * _u_minus_log(u) * b - u * u * v

    def slope(self, u: FloatOrArray, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """Derivative of the scores with respect to u."""
        return 2 * (s - u * b) / (1 + u) - 2 * u * v

    def attained(self, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """The u at which the maximum over u is attained: (1 + u) (b + u v) = s + b."""
        half = (b + v) / 2
        total = half + np.sqrt(half**2 + s * v)
        return np.divide(s, total, out=np.full_like(s, np.inf), where=total > 0)

    def largest(self, s: float, b: float) -> float:
        """No set with at most s signal and at least b background attains a larger u."""
        return s / b if b > 0 else math.inf

    def roots(self, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """The u > 0 at which each score vanishes; infinite without background, zero without signal."""
        u = np.where(s > 0, 2 * self.attained(s, b, v), 0.0)
        rows = np.flatnonzero((s > 0) & np.isfinite(u))
        s, b, v, x = s[rows], b[rows], v[rows], u[rows]
        # Beyond its maximum the score is concave and falling: from where it is negative, Newton comes down to
        # the root without overshooting it.
        while (low := self.score(x, s, b, v) > 0).any():
            x = np.where(low, 2 * x, x)
        for _ in range(60):
            step = self.score(x, s, b, v) / self.slope(x, s, b, v)
            x = x - step
            # It converges quadratically: what is left after this step is below rounding.
            if (np.abs(step) <= 1e-10 * x).all():
                break
        u[rows] = x
        return u


Dual: TypeAlias = RatioDual | AsimovDual | ExclusionDual

SCORES: tuple[RatioDual | AsimovDual, ...] = (AsimovDual(), RatioDual())
"""Duals whose scores order the bins for any figure of merit."""


def _u_minus_log(u: FloatOrArray) -> FloatOrArray:
    """``u - ln(1 + u)`` without cancellation."""
    if isinstance(u, float) and u > 1e-3:
        return u - math.log1p(u)
    series = u * u * (1 / 2 - u * (1 / 3 - u * (1 / 4 - u * (1 / 5 - u / 6))))
    return np.where(np.abs(u) < 1e-3, series, u - np.log1p(u))


def best_order(dual: Dual, problem: Problem, variance: FloatArray) -> IntArray:
    """Bins with signal, sorted so that the best set without constraints is one of their prefixes.

    Parameters
    ----------
    dual : Dual
    problem : Problem
    variance : ndarray, shape (n_bins,)
        The bins' own variances; the statement holds for sums of these.

    Returns
    -------
    ndarray of int
        Positions; ties in ascending order.
    """
    roots = dual.roots(problem.signal, problem.background, variance)
    order = np.argsort(-roots, kind="stable")
    return order[roots[order] > 0]
