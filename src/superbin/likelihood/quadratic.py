"""Poisson counts over backgrounds of a quadratic form, and their asymptotic CLs limits in the conventions of several tools.

The form is ``a + b theta + c theta^2`` with correlated standard normal theta (A. Buckley et al., JHEP 04 (2019) 064, arXiv:1809.05548); without third
moments it is the Gaussian background of CMS-NOTE-2017-001. Tools differ in where the constraints of an Asimov data set are centred, in whether
a background may fall below zero, and in what expected limits are based on: `simplified_limits` takes each as an option.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood.bounded import Normal, bounded_minimum
from superbin.likelihood.inference import cls

__all__ = ["Quadratic", "SimplifiedLimits", "quadratic_limits", "simplified_limits"]

Auxiliary: TypeAlias = Literal["fixed", "moved"]
Expectation: TypeAlias = Literal["prefit", "postfit"]

BANDS = (-2, -1, 0, 1, 2)
"""Standard deviations of the expected limits."""

FLOOR = 1e-9
"""Events; no bin expects less."""

LEAST = 1e-9
"""Part of a variance that counts as none."""

BARRIERS = (1e-1, 1e-2, 1e-3, 1e-5, 1e-7)
"""Heights of the logarithmic barrier at zero background, one after the other; the last is the error of a minimum, per bin."""

NEAR_ZERO = 1e-3
"""A background at which a fit does not start, in events."""


def _quadratic(
    mean: FloatArray, covariance: FloatArray, third: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Coefficients of ``a + b theta + c theta^2`` and the correlation of theta: eqs. 3.9 to 3.12 of arXiv:1809.05548."""
    variance = np.maximum(np.diag(covariance), 1e-300)
    skewed = np.abs(third) > 1e-9 * variance**1.5
    # Where a variance is as good as zero its powers are too.
    safe = np.where(skewed, third, np.maximum(variance**1.5, 1e-150))
    angle = np.arctan2(np.sqrt(np.maximum(8 * variance**3 / safe**2 - 1, 0.0)), 1.0)
    c = np.where(skewed, -np.sign(third) * np.sqrt(2 * variance) * np.cos(4 * math.pi / 3 + angle / 3), 0.0)
    b = np.sqrt(np.maximum(variance - 2 * c**2, 0.0))
    product, squares = np.outer(b, b), np.outer(c, c)
    with np.errstate(divide="ignore", invalid="ignore"):
        curved = (np.sqrt(product**2 + 8 * squares * covariance) - product) / (4 * squares)
    small = np.abs(squares) < 1e-12 * np.maximum(product, 1e-300)
    rho = np.where(small, covariance / np.maximum(product, 1e-300), curved)
    rho = np.clip(np.nan_to_num(0.5 * (rho + rho.T)), -1.0, 1.0)
    np.fill_diagonal(rho, 1.0)
    return mean - c, b, c, rho


@dataclass(frozen=True, eq=False)
class Quadratic:
    """``lambda = mu s + a + b theta + c theta^2`` with ``theta = root z`` and standard normal z.

    A `positive` one keeps every background above zero: exactly where all of them are normal (`superbin.likelihood.bounded`), else by a
    logarithmic barrier that is lowered step by step.
    """

    signal: FloatArray
    a: FloatArray
    b: FloatArray
    c: FloatArray
    root: FloatArray
    positive: bool = False

    @classmethod
    def make(
        cls,
        mean: FloatArray,
        covariance: FloatArray,
        third: FloatArray,
        signal: FloatArray,
        *,
        positive: bool = False,
    ) -> "Quadratic":
        """From mean, covariance and third central moments of the backgrounds."""
        a, b, c, correlation = _quadratic(mean, covariance, third)
        values, vectors = np.linalg.eigh(correlation)
        kept = values > LEAST * values.max()
        return cls(signal, a, b, c, vectors[:, kept] * np.sqrt(values[kept]), positive)

    def events(self, mu: float, z: FloatArray) -> FloatArray:
        """Expected events of every bin."""
        theta = self.root @ z
        return np.maximum(mu * self.signal + self.a + theta * (self.b + self.c * theta), FLOOR)

    def height(
        self, mu: float, z: FloatArray, counts: FloatArray, centre: FloatArray, barrier: float = 0.0
    ) -> float:
        """The negative log-likelihood above that of a model that expects what is counted."""
        lam, some = self.events(mu, z), counts > 0
        safe = np.where(some, counts, 1.0)
        poisson = lam - counts + np.where(some, counts * np.log(safe / lam), 0.0)
        height = float(poisson.sum()) + 0.5 * float((z - centre) @ (z - centre))
        if barrier:
            alone = self.background(z)
            if alone.min() <= 0:
                return math.inf
            height -= barrier * float(np.log(alone).sum())
        return height

    def background(self, z: FloatArray) -> FloatArray:
        """Backgrounds that the barrier keeps above zero; of a bin that expects none, one event."""
        theta = self.root @ z
        return np.where(self.guarded, self.a + theta * (self.b + self.c * theta), 1.0)

    @property
    def guarded(self) -> NDArray[np.bool_]:
        """Bins that expect some background."""
        return np.asarray(self.a + self.c > NEAR_ZERO)

    def fit(
        self,
        counts: FloatArray,
        centre: FloatArray,
        *,
        mu: float | None = None,
        start: FloatArray | None = None,
    ) -> tuple[float, FloatArray, float]:
        """Minimise over z, and over mu >= 0 if it is None; return (mu, z, height)."""
        if self.positive and not self.c.any():
            return self._bounded(counts, centre, mu, centre if start is None else start)
        z = np.zeros(self.root.shape[1]) if start is None else start.copy()
        strength = 0.0 if mu is None else mu
        free = self._newton(counts, centre, mu, strength, z, 0.0)
        if not self.positive or self.background(free[1]).min() > NEAR_ZERO:
            return free
        if self.background(z).min() < NEAR_ZERO:
            z = np.zeros_like(z)
        for barrier in BARRIERS:
            strength, z, _ = self._newton(counts, centre, mu, strength, z, barrier)
        return strength, z, self.height(strength, z, counts, centre)

    @cached_property
    def _normal(self) -> Normal:
        return Normal.make(self.b, self.root, LEAST)

    @cached_property
    def _to_z(self) -> FloatArray:
        return np.asarray(np.linalg.pinv(self.root), dtype=np.float64)

    def _bounded(
        self, counts: FloatArray, centre: FloatArray, mu: float | None, start: FloatArray
    ) -> tuple[float, FloatArray, float]:
        begin, middle = (self.a + self.b * (self.root @ z) for z in (start, centre))
        strength, found, height = bounded_minimum(self.signal, self._normal, counts, middle, begin, mu=mu)
        moving = self.b > 0
        theta = np.where(moving, (found - self.a) / np.where(moving, self.b, 1.0), 0.0)
        return strength, self._to_z @ theta, height

    def _newton(
        self,
        counts: FloatArray,
        centre: FloatArray,
        mu: float | None,
        strength: float,
        z: FloatArray,
        barrier: float,
    ) -> tuple[float, FloatArray, float]:
        height = self.height(strength, z, counts, centre, barrier)
        for _ in range(100):
            theta = self.root @ z
            lam = self.events(strength, z)
            moving = lam > FLOOR
            w, v = moving * (1 - counts / lam), moving * counts / lam**2
            slope = self.b + 2 * self.c * theta
            jacobian = np.column_stack([self.signal, slope[:, None] * self.root])
            gradient = jacobian.T @ w
            gradient[1:] += z - centre
            hessian = jacobian.T @ (v[:, None] * jacobian)
            # Negative curvature of single bins is left out, so that the step goes down.
            hessian[1:, 1:] += self.root.T @ (np.maximum(2 * self.c * w, 0.0)[:, None] * self.root) + np.eye(
                z.size
            )
            if barrier:
                repelled = np.where(self.guarded, slope / self.background(z), 0.0)[:, None] * self.root
                gradient[1:] -= barrier * repelled.sum(axis=0)
                hessian[1:, 1:] += barrier * repelled.T @ repelled
            held = mu is not None or (strength <= 0 and gradient[0] >= 0)
            free = slice(1, None) if held else slice(None)
            if np.abs(gradient[free]).max(initial=0.0) < 1e-8:
                break
            step = np.zeros(z.size + 1)
            block = hessian[free, free] + 1e-12 * np.eye(hessian[free, free].shape[0])
            step[free] = -np.linalg.solve(block, gradient[free])
            length = 1.0
            while length > 1e-10:
                trial = max(strength + length * step[0], 0.0) if mu is None else mu
                moved = z + length * step[1:]
                lower = self.height(trial, moved, counts, centre, barrier)
                if lower <= height + 1e-12 * max(1.0, abs(height)):
                    break
                length *= 0.5
            else:
                break
            done = abs(height - lower) < 1e-13 * max(1.0, abs(height)) and length == 1.0
            strength, z, height = trial, moved, lower
            if done:
                break
        return strength, z, height


def quadratic_limits(model: Quadratic, counts: FloatArray, level: float) -> tuple[float | None, float | None]:
    """Observed and median expected limit, post-fit with moved auxiliary data; backgrounds may fall below zero."""
    found = _bands(model, model, counts, level, auxiliary="moved", expectation="postfit", sigmas=(0,))
    return found.observed, found.expected


@dataclass(frozen=True, slots=True)
class SimplifiedLimits:
    """Limits of a simplified likelihood.

    Attributes
    ----------
    observed : float or None
        None where a fit failed.
    bands : mapping of int to float or None
        Expected limits at -2 to 2 standard deviations.
    mu, z : float
        Best-fit signal strength, >= 0, and asymptotic discovery significance.
    """

    observed: float | None
    bands: Mapping[int, float | None]
    mu: float
    z: float

    @property
    def expected(self) -> float | None:
        """The median."""
        return self.bands[0]


def simplified_limits(
    observed: ArrayLike,
    background: ArrayLike,
    covariance: ArrayLike,
    signal: ArrayLike,
    *,
    third_moment: ArrayLike | None = None,
    auxiliary: Auxiliary = "moved",
    expectation: Expectation = "postfit",
    positive: bool = True,
    held: ArrayLike | None = None,
    level: float = 0.95,
) -> SimplifiedLimits:
    """Asymptotic CLs limits of Poisson counts whose backgrounds are normal with a covariance, in a chosen convention.

    Parameters
    ----------
    observed, background, signal : array_like, shape (n,)
        Counts, expected background, and signal at mu = 1, in events.
    covariance : array_like, shape (n, n)
        Of the backgrounds, events squared.
    third_moment : array_like, shape (n,), optional
        Third central moments of the backgrounds (arXiv:1809.05548); by default zero.
    auxiliary : {"moved", "fixed"}
        Where the constraints of an Asimov data set are centred: at the fitted nuisances, as of pyhf and Combine, or at zero whatever was
        fitted, as of SModelS and spey.
    expectation : {"postfit", "prefit"}
        Whether expected limits are based on the background-only fit to the data or on the nominal background.
    positive : bool
        Whether backgrounds stay above zero, as in spey; in SModelS they may fall below where a signal makes up for it.
    held : array_like of bool, shape (n,), optional
        Bins whose background does not move in fits of the data: SModelS's bounds do that to bins that observe nothing.
    level : float
        Confidence level.

    Returns
    -------
    SimplifiedLimits

    Raises
    ------
    InputError
        If the signal is zero or negative, or the shapes differ.

    Examples
    --------
    >>> one = simplified_limits([40], [25.0], [[25.0]], [10.0], auxiliary="fixed", expectation="prefit")
    >>> round(one.observed, 3), round(one.expected, 3)
    (2.947, 1.458)
    """
    n, b, s = (np.asarray(values, dtype=np.float64) for values in (observed, background, signal))
    matrix = np.asarray(covariance, dtype=np.float64)
    skew = np.zeros_like(b) if third_moment is None else np.asarray(third_moment, dtype=np.float64)
    if not (n.shape == b.shape == s.shape == skew.shape and matrix.shape == 2 * b.shape):
        raise InputError(
            f"shapes do not fit: observed {n.shape}, background {b.shape}, signal {s.shape}, covariance {matrix.shape}"
        )
    if not (s >= 0).all() or not s.any():
        raise InputError("the signal must be >= 0 in every bin, and not zero in all of them")
    model = Quadratic.make(b, matrix, skew, s, positive=positive)
    of_data = model
    if held is not None and np.any(held):
        free = ~np.asarray(held, dtype=bool)
        conditional = np.zeros_like(matrix)
        # Of a normal, what is left to vary when some values are held is the inverse of the precision's block.
        conditional[np.ix_(free, free)] = np.linalg.inv(np.linalg.inv(matrix)[np.ix_(free, free)])
        of_data = Quadratic.make(b, conditional, np.where(free, skew, 0.0), s, positive=positive)
    return _bands(model, of_data, n, level, auxiliary=auxiliary, expectation=expectation, sigmas=BANDS)


def _bands(
    model: Quadratic,
    of_data: Quadratic,
    counts: FloatArray,
    level: float,
    *,
    auxiliary: Auxiliary,
    expectation: Expectation,
    sigmas: Sequence[int],
) -> SimplifiedLimits:
    best, z_best, lowest = of_data.fit(counts, np.zeros(of_data.root.shape[1]))
    _, z_zero, at_zero = of_data.fit(counts, np.zeros(of_data.root.shape[1]), mu=0.0)
    z = math.sqrt(max(0.0, 2 * (at_zero - lowest)))
    nothing = np.zeros(model.root.shape[1])
    fitted = of_data.events(0.0, z_zero)
    moved = auxiliary == "moved"
    from_fit = _asimov(model, fitted, z_zero if moved and of_data is model else nothing)
    predicted = model.events(0.0, nothing)
    expected = from_fit if expectation == "postfit" else _asimov(model, predicted, nothing)

    def cls_above(mu: float) -> float:
        centre = np.zeros(of_data.root.shape[1])
        q = max(0.0, 2 * (of_data.fit(counts, centre, mu=mu, start=z_best)[2] - lowest)) if mu > best else 0.0
        return math.log(max(cls(q, from_fit(mu) ** 2)[0], 1e-300)) - math.log(1 - level)

    scale = 1.0 / math.sqrt(float((model.signal**2 / np.maximum(fitted, 0.1)).sum()))
    bands: dict[int, float | None] = {}
    try:
        for sigma in sigmas:
            # Where sqrt(q_A) is this, CLs of data that many standard deviations up is 1 - level.
            target = sigma - float(ndtri((1 - level) * ndtr(sigma)))
            bands[sigma] = _crossing(lambda mu, c=target: expected(mu) - c, 0.0, scale)  # type: ignore[misc]
        start = max(bands[0] or 0.0, best)
        observed = _crossing(lambda mu: -cls_above(mu), best, start)
    except ValueError:
        return SimplifiedLimits(None, dict.fromkeys(sigmas), best, z)
    return SimplifiedLimits(observed, bands, best, z)


def _asimov(model: Quadratic, counts: FloatArray, centre: FloatArray) -> Callable[[float], float]:
    """Root of q of an Asimov data set, whose constraints are centred somewhere."""
    _, start, lowest = model.fit(counts, centre, start=centre)

    def root(mu: float) -> float:
        return math.sqrt(max(0.0, 2 * (model.fit(counts, centre, mu=mu, start=start)[2] - lowest)))

    return root


def _crossing(function: Callable[[float], float], low: float, start: float) -> float:
    return float(brentq(function, low, _doubled(function, start), rtol=1e-8))


def _doubled(function: Callable[[float], float], start: float) -> float:
    for k in range(60):
        if function(start * 2**k) > 0:
            return start * 2.0**k
    raise ValueError
