"""Simplified likelihoods: the background of the signal's bins with its covariance and third moments.

After CMS-NOTE-2017-001 and A. Buckley et al., JHEP 04 (2019) 064 (arXiv:1809.05548): background of bin i is ``a_i + b_i theta_i + c_i theta_i^2`` with correlated standard
normal theta, whose moments are those of the full model. They come from draws of the parameters: each parameter from the fit's covariance, the expectation of
the full model at each draw.

``control`` fits everything but the signal's bins, so the data of these still count in the simplified likelihood; ``background`` fits all channels at mu = 0, and its
covariance has used these data already: with it a limit counts them twice, and is meant for tools that expect it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood.background import FittedBackground, Scope, fitted_background
from superbin.likelihood.engine import Engine, strength_of
from superbin.likelihood.inference import cls

__all__ = ["Scope", "Simplified", "simplify"]

DRAWS = 20_000
FLOOR = 1e-9
"""Events; no bin expects less."""

LEAST = 1e-9
"""Part of a variance that counts as none."""


@dataclass(frozen=True, slots=True, eq=False)
class Simplified:
    """A simplified likelihood.

    Attributes
    ----------
    bins : tuple of str
        Names of the bins with signal.
    observed, background, third_moment : array, shape (n_bins,)
        Counts, mean and third central moment of the background.
    covariance : array, shape (n_bins, n_bins)
        Of the background.
    scope : str
        What was fitted.
    draws, seed : int
        How many points the moments are from.
    notes : tuple of str
        Where a skew was too large for the quadratic form and was reduced.
    """

    bins: tuple[str, ...]
    observed: FloatArray
    background: FloatArray
    covariance: FloatArray
    third_moment: FloatArray
    scope: str
    draws: int
    seed: int
    notes: tuple[str, ...] = ()

    def limit(
        self, signal: FloatArray, *, third_moments: bool = True, level: float = 0.95
    ) -> tuple[float | None, float | None]:
        """Return the observed and the median expected CLs limit on mu, asymptotic; None where a fit failed.

        Parameters
        ----------
        signal : array, shape (n_bins,)
            Events at mu = 1; its uncertainty is no part of a simplified likelihood.
        third_moments : bool
            Whether the background is skewed (arXiv:1809.05548) or normal (CMS-NOTE-2017-001).
        level : float
            Confidence level.

        Raises
        ------
        InputError
            If the signal has another shape or is zero.
        """
        signal = np.asarray(signal, dtype=np.float64)
        if signal.shape != self.background.shape or not (signal >= 0).all() or not signal.any():
            raise InputError(
                f"the signal needs {self.background.size} values >= 0, not all zero; it has shape {signal.shape}"
            )
        moments = self.third_moment if third_moments else np.zeros_like(self.third_moment)
        return _limits(
            _Quadratic.make(self.background, self.covariance, moments, signal), self.observed, level
        )

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "bins": list(self.bins),
            "observed": self.observed.tolist(),
            "background": self.background.tolist(),
            "covariance": self.covariance.tolist(),
            "third_moment": self.third_moment.tolist(),
            "scope": self.scope,
            "draws": self.draws,
            "seed": self.seed,
            "notes": list(self.notes),
        }


def simplify(engine: Engine, *, scope: Scope = "control", draws: int = DRAWS, seed: int = 0) -> Simplified:
    """Return the simplified likelihood of the bins in which a model has signal.

    Parameters
    ----------
    engine : Engine
        The full likelihood.
    scope : {"control", "background"}
        Whether to fit everything but the bins with signal, or all at mu = 0.
    draws : int
        Points for the moments.
    seed : int

    Raises
    ------
    InputError
        As of `superbin.likelihood.background.fitted_background`.
    """
    fitted = fitted_background(engine, scope)
    places = fitted.places
    mean, covariance, third = _moments(engine, fitted, draws, seed)
    notes = []
    largest = 2**1.5 * 0.98 * np.diag(covariance) ** 1.5
    if (np.abs(third) > largest).any():
        n = int((np.abs(third) > largest).sum())
        notes.append(
            f"the third moment of {n} bins is larger than a quadratic form can have, and was reduced"
        )
        third = np.clip(third, -largest, largest)
    return Simplified(
        fitted.names,
        engine.observed.counts[places],
        mean,
        covariance,
        third,
        scope,
        draws,
        seed,
        tuple(notes),
    )


def _moments(
    engine: Engine, fitted: FittedBackground, draws: int, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, covariance and third central moments of the background in the bins with signal."""
    spread, places = fitted.spread, fitted.places
    poi = engine.parameters.index(strength_of(engine))
    moving = np.flatnonzero((np.diag(spread) > 0) & (np.arange(fitted.centre.size) != poi))
    low, high = engine.bounds
    root = np.linalg.cholesky(spread[np.ix_(moving, moving)] + 1e-14 * np.diag(np.diag(spread)[moving]))
    rng = np.random.default_rng(seed)
    found = np.empty((draws, places.size))
    for i in range(draws):
        x = fitted.centre.copy()
        x[moving] += root @ rng.standard_normal(moving.size)
        found[i] = engine.expected(np.clip(x, low, high))[places]
    mean = found.mean(axis=0)
    shift = found - mean
    return mean, shift.T @ shift / (draws - 1), (shift**3).mean(axis=0)


def _quadratic(
    mean: FloatArray, covariance: FloatArray, third: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Coefficients of ``a + b theta + c theta^2`` and the correlation of theta: eqs. 3.9 to 3.12 of arXiv:1809.05548."""
    variance = np.maximum(np.diag(covariance), 1e-300)
    skewed = np.abs(third) > 1e-9 * variance**1.5
    safe = np.where(skewed, third, variance**1.5)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Quadratic:
    """``lambda = mu s + a + b theta + c theta^2`` with ``theta = root z`` and standard normal z."""

    signal: FloatArray
    a: FloatArray
    b: FloatArray
    c: FloatArray
    root: FloatArray

    @classmethod
    def make(
        cls, mean: FloatArray, covariance: FloatArray, third: FloatArray, signal: FloatArray
    ) -> "_Quadratic":
        a, b, c, correlation = _quadratic(mean, covariance, third)
        values, vectors = np.linalg.eigh(correlation)
        kept = values > LEAST * values.max()
        return cls(signal, a, b, c, vectors[:, kept] * np.sqrt(values[kept]))

    def events(self, mu: float, z: FloatArray) -> FloatArray:
        theta = self.root @ z
        return np.maximum(mu * self.signal + self.a + theta * (self.b + self.c * theta), FLOOR)

    def height(self, mu: float, z: FloatArray, counts: FloatArray, centre: FloatArray) -> float:
        """The negative log-likelihood above that of a model that expects what is counted."""
        lam, some = self.events(mu, z), counts > 0
        safe = np.where(some, counts, 1.0)
        poisson = lam - counts + np.where(some, counts * np.log(safe / lam), 0.0)
        return float(poisson.sum()) + 0.5 * float((z - centre) @ (z - centre))

    def fit(
        self,
        counts: FloatArray,
        centre: FloatArray,
        *,
        mu: float | None = None,
        start: FloatArray | None = None,
    ) -> tuple[float, FloatArray, float]:
        """Minimise over z, and over mu >= 0 if it is None; return (mu, z, height)."""
        z = np.zeros(self.root.shape[1]) if start is None else start.copy()
        strength = 0.0 if mu is None else mu
        height = self.height(strength, z, counts, centre)
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
                lower = self.height(trial, moved, counts, centre)
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


def _limits(model: _Quadratic, counts: FloatArray, level: float) -> tuple[float | None, float | None]:
    centre = np.zeros(model.root.shape[1])
    best, z_best, lowest = model.fit(counts, centre)
    _, z_zero, _ = model.fit(counts, centre, mu=0.0)
    asimov = model.events(0.0, z_zero)

    def root_asimov(mu: float) -> float:
        return math.sqrt(max(0.0, 2 * model.fit(asimov, z_zero, mu=mu, start=z_zero)[2]))

    def cls_above(mu: float) -> float:
        q = max(0.0, 2 * (model.fit(counts, centre, mu=mu, start=z_best)[2] - lowest)) if mu > best else 0.0
        return math.log(max(cls(q, root_asimov(mu) ** 2)[0], 1e-300)) - math.log(1 - level)

    target = float(ndtri(1 - 0.5 * (1 - level)))
    scale = 1.0 / math.sqrt(float((model.signal**2 / np.maximum(asimov, 0.1)).sum()))
    try:
        high = _doubled(lambda mu: root_asimov(mu) - target, scale)
        expected = float(brentq(lambda mu: root_asimov(mu) - target, 0.0, high, rtol=1e-8))
        high = _doubled(lambda mu: -cls_above(mu), max(expected, best))
        observed = float(brentq(lambda mu: -cls_above(mu), best, high, rtol=1e-8))
    except ValueError:
        return None, None
    return observed, expected


def _doubled(function: Callable[[float], float], start: float) -> float:
    for k in range(60):
        if function(start * 2**k) > 0:
            return start * 2.0**k
    raise ValueError
