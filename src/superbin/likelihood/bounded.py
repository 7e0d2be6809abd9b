"""Fits of Poisson counts over normal backgrounds that are not negative: a convex problem whose only bounds are those at zero.

The variables are the signal strength and the backgrounds themselves. Each Newton step goes to the minimum of the quadratic approximation within the
bounds; such steps find the minimum in about ten steps, however many backgrounds end at zero.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from superbin._support.arrays import FloatArray

__all__ = ["Normal", "bounded_minimum"]

FLOOR = 1e-9
"""Events; no bin expects less."""

NEAR_ZERO = 1e-3
"""A background at which a fit does not start where something is counted, in events."""

STEPS = 100
CLOSE = 1e-11
"""A fit ends where the next step would lower the likelihood's logarithm by less than half of this."""

SHORTEST = 1e-12
"""Part of a step below which a search along it ends."""

PATIENCE = 5
TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """Normal backgrounds.

    Attributes
    ----------
    precision : array, shape (n_bins, n_bins)
        The inverse of their covariance; zero in rows and columns of bins that do not move.
    scale : array, shape (n_bins,)
        Their standard deviations; zero where a background does not move.
    """

    precision: FloatArray
    scale: FloatArray

    @classmethod
    def make(cls, scale: FloatArray, root: FloatArray, least: float) -> "Normal":
        """From standard deviations and a root of the correlation matrix; directions with less than the part `least` of the largest variance are stiff."""
        moving = np.flatnonzero(scale > 0)
        precision = np.zeros((scale.size, scale.size))
        if moving.size:
            values, vectors = np.linalg.eigh(root[moving] @ root[moving].T)
            inverse = (vectors / np.maximum(values, least * values[-1])) @ vectors.T
            precision[np.ix_(moving, moving)] = inverse / np.outer(scale[moving], scale[moving])
        return cls(precision, scale)


def bounded_minimum(
    signal: FloatArray,
    normal: Normal,
    counts: FloatArray,
    centre: FloatArray,
    start: FloatArray,
    *,
    mu: float | None = None,
) -> tuple[float, FloatArray, float]:
    """Minimise the negative log-likelihood over backgrounds >= 0, and over mu >= 0 if it is None.

    Parameters
    ----------
    signal, counts : array, shape (n_bins,)
        Events at mu = 1, and the data.
    normal : Normal
    centre, start : array, shape (n_bins,)
        Where the constraints are centred, and where to begin; of backgrounds that do not move the first counts.
    mu : float, optional
        Held.

    Returns
    -------
    mu : float
    backgrounds : array, shape (n_bins,)
    height : float
        Negative log-likelihood above that of a model that expects what is counted.
    """
    some = counts > 0
    moving = normal.scale > 0
    strength = 0.0 if mu is None else mu
    b = np.where(moving, np.maximum(start, np.where(some, NEAR_ZERO, 0.0)), centre)
    safe = np.where(some, counts, 1.0)

    def height(strength: float, b: FloatArray) -> float:
        lam = np.maximum(strength * signal + b, FLOOR)
        poisson = lam - counts + np.where(some, counts * np.log(safe / lam), 0.0)
        off = b - centre
        return float(poisson.sum() + 0.5 * off @ normal.precision @ off)

    lowest = height(strength, b)
    # The strength is the last of the variables.
    variables = np.append(moving, mu is None)
    curvature = np.empty((b.size + 1, b.size + 1))
    slope = np.empty(b.size + 1)
    at_zero = np.zeros(b.size + 1, dtype=np.bool_)
    for _ in range(STEPS):
        lam = np.maximum(strength * signal + b, FLOOR)
        w, v = 1 - counts / lam, counts / lam**2
        slope[:-1] = w + normal.precision @ (b - centre)
        slope[-1] = signal @ w
        curvature[:-1, :-1] = normal.precision
        curvature[np.arange(b.size), np.arange(b.size)] += v
        curvature[-1, :-1] = curvature[:-1, -1] = v * signal
        curvature[-1, -1] = (v * signal) @ signal + TINY
        step, at_zero = _bounded_step(curvature, slope, np.append(b, strength), variables, at_zero)
        if -(slope @ step) < CLOSE:
            break
        length = 1.0
        while length > SHORTEST:
            trial, moved = strength + length * step[-1], b + length * step[:-1]
            lower = height(trial, moved)
            if lower <= lowest:
                break
            length *= 0.5
        else:
            break
        strength, b, lowest = trial, moved, lower
    return strength, b, lowest


def _bounded_step(
    curvature: FloatArray,
    slope: FloatArray,
    x: FloatArray,
    variables: NDArray[np.bool_],
    at_zero: NDArray[np.bool_],
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The step d to the minimum of ``d H d / 2 + g d`` with ``x + d >= 0``, by block pivoting, and which variables it leaves at zero.

    All variables on the wrong side change sides at once while that makes fewer of them wrong, else the last one alone (J. J. Judice and
    F. M. Pires, 1994), which ends.
    """
    zero = at_zero & variables
    fewest, patience = x.size + 1, PATIENCE
    for _ in range(STEPS):
        free = np.flatnonzero(variables & ~zero)
        step = np.where(zero, -x, 0.0)
        target = slope + curvature @ step
        if free.size:
            step[free] = -cho_solve(
                cho_factor(curvature[np.ix_(free, free)], check_finite=False),
                target[free],
                check_finite=False,
            )
        pull = slope + curvature @ step
        wrong = np.flatnonzero((variables & ~zero & (x + step < 0)) | (zero & (pull < 0)))
        if not wrong.size:
            break
        if wrong.size < fewest:
            fewest, patience = wrong.size, PATIENCE
        elif patience:
            patience -= 1
        else:
            wrong = wrong[-1:]
        zero[wrong] = ~zero[wrong]
    return np.maximum(step, -x), zero
