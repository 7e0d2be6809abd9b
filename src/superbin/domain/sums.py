"""Sums over sets of bins: what a merge expects, and how its variances become uncertainties.

Every sum over a set ends here, whichever way it was added up: clipped where rounding leaves it below zero, and with a downward
uncertainty that stops at the background.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray

__all__ = ["Totals", "variance_of_sets"]

_ROUNDING = 1e-13
"""A variance of a sum below this part of the sum of variances is zero."""


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """Sums over sets of bins, in events; `up` and `down` are uncertainties of the background.

    Attributes
    ----------
    signal, background, up, down : ndarray, shape (n_sets,)
        ``down <= background``: a background is not negative.
    """

    signal: FloatArray
    background: FloatArray
    up: FloatArray
    down: FloatArray

    @classmethod
    def of(
        cls,
        signal: FloatArray,
        background: FloatArray,
        variance_up: FloatArray,
        variance_down: FloatArray | None = None,
    ) -> "Totals":
        """From sums of events and the variances of the background, all of shape (n_sets,).

        Without `variance_down` the downward uncertainty is zero: for what looks at the upward side alone.
        """
        background = np.maximum(background, 0.0)
        up = np.sqrt(np.maximum(variance_up, 0.0))
        if variance_down is None:
            down = np.zeros_like(up)
        else:
            down = np.minimum(np.sqrt(np.maximum(variance_down, 0.0)), background)
        return cls(np.maximum(signal, 0.0), background, up, down)

    def __len__(self) -> int:
        return len(self.signal)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Totals":
        """Some of the sets."""
        return Totals(self.signal[rows], self.background[rows], self.up[rows], self.down[rows])


def variance_of_sets(
    weights: FloatArray, variance: FloatArray, covariance: FloatArray | None = None
) -> FloatArray:
    """Variance of the background of every set.

    Parameters
    ----------
    weights : ndarray, shape (n_sets, n_bins)
        1 for the bins of a set, else 0.
    variance : ndarray, shape (n_bins,)
        Of every bin; the diagonal of the covariance.
    covariance : ndarray, shape (n_bins, n_bins), optional
        Without it the variances add up; with it the variance of a set is ``w' C w``.

    Returns
    -------
    ndarray, shape (n_sets,)
        Exactly zero where rounding leaves a perfectly anticorrelated set a hair off.
    """
    independent: FloatArray = weights @ variance
    if covariance is None:
        return independent
    total: FloatArray = np.einsum("ij,ij->i", weights @ covariance, weights)
    return np.where(total > _ROUNDING * independent, total, 0.0)
