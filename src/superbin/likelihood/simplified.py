"""Simplified likelihoods: the background of the signal's bins with its covariance and third moments.

After CMS-NOTE-2017-001 and A. Buckley et al., JHEP 04 (2019) 064 (arXiv:1809.05548): background of bin i is ``a_i + b_i theta_i + c_i theta_i^2`` with correlated standard
normal theta, whose moments are those of the full model. They come from draws of the parameters: each parameter from the fit's covariance, the expectation of
the full model at each draw.

``control`` fits everything but the signal's bins, so the data of these still count in the simplified likelihood; ``background`` fits all channels at mu = 0, and its
covariance has used these data already: with it a limit counts them twice, and is meant for tools that expect it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import Shown, number
from superbin.errors import InputError
from superbin.likelihood.background import FittedBackground, Scope, fitted_background
from superbin.likelihood.engine import Engine, strength_of
from superbin.likelihood.quadratic import Quadratic, quadratic_limits

__all__ = ["Scope", "Simplified", "simplify"]

DRAWS = 20_000

NEGLIGIBLE = 1e-12
"""Variance of a principal component beside the largest that counts as zero."""

MOST = 1e3
"""Upper bound of a signal strength; searches for a limit go on beyond."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Simplified(Shown):
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

    def _shown(self) -> tuple[str, dict[str, str]]:
        return self.scope, {
            "bins": str(len(self.bins)),
            "observed": number(float(self.observed.sum())),
            "background": number(float(self.background.sum())),
            "draws": str(self.draws),
            "seed": str(self.seed),
        }

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
        return quadratic_limits(
            Quadratic.make(self.background, self.covariance, moments, signal), self.observed, level
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
