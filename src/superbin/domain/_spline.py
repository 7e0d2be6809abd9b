"""Thin-plate splines of the roots of efficiencies over a plane of masses, with errors: the numerics of `superbin.domain.grid`.

The spline is linear in the points, so everything follows from its weights: values, errors, and what is predicted for a
point by all others. Formulas are in clauses SIG-5, SIG-6 and SIG-8 of ``specs/signals.md``.
"""

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin.errors import InputError

__all__ = ["IntArray", "Spline", "coordinates"]

IntArray = NDArray[np.int64]

# Chosen by leaving points out of the packaged grids (validation/grids): with the mass itself bins are predicted worse, and more
# smoothing gains little in bins and lowers totals.
_SMOOTHING = 0.1
_MASS_SCALE = 3.0
_GAP_SCALE = 4.0


_MOST_ROOT_RATIO = 2.0


class Spline:
    """Smoothed thin-plate splines of the root efficiency of every bin, all with the same weights.

    Parameters
    ----------
    points : ndarray, shape (n_points, 2)
        Masses in GeV, the larger first.
    efficiencies, errors : ndarray, shape (n_points, n_bins)
        With their Monte Carlo standard errors.
    events : ndarray of int, shape (n_points,)
        Generated events.

    Attributes
    ----------
    variances : ndarray, shape (n_points, n_bins)
        Of the roots, from the Monte Carlo.

    Raises
    ------
    InputError
        If the points lie on a line.
    """

    def __init__(
        self, points: FloatArray, efficiencies: FloatArray, errors: FloatArray, events: IntArray
    ) -> None:
        from scipy.interpolate import RBFInterpolator

        # A fixed order makes the answer the same to the last bit whatever the order of the points.
        order = np.lexsort(points.T[::-1])
        self._order = order
        self._coordinates = coordinates(points[order])
        self._roots = np.sqrt(efficiencies[order])
        self.variances = _root_variances(efficiencies, errors, events)
        try:
            self._weights = RBFInterpolator(
                self._coordinates,
                np.eye(len(points)),
                kernel="thin_plate_spline",
                smoothing=_SMOOTHING,
            )
        except np.linalg.LinAlgError as error:
            raise InputError("the points of the grid lie on a line; they must span a plane") from error

    def at(self, masses: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Efficiencies and statistical errors at masses.

        Parameters
        ----------
        masses : ndarray, shape (k, 2)
            GeV.

        Returns
        -------
        efficiencies, errors : ndarray, shape (k, n_bins)
        """
        efficiencies, variances = self._combine(self._weights(coordinates(masses)))
        return efficiencies, np.sqrt(variances)

    def ratios(self, masses: FloatArray, varied: FloatArray) -> FloatArray:
        """How other efficiencies of the same points compare with these, at masses.

        Parameters
        ----------
        masses : ndarray, shape (k, 2)
            GeV.
        varied : ndarray, shape (n_points, n_bins)
            The other efficiencies.

        Returns
        -------
        ndarray, shape (k, n_bins)
            Square of the ratio of the interpolated roots, from 0 to 4; one where there is nothing.
        """
        weights = self._weights(coordinates(masses))
        mine = np.maximum(weights @ self._roots, 0.0)
        theirs = np.maximum(weights @ np.sqrt(varied[self._order]), 0.0)
        ratio = np.divide(theirs, mine, out=np.ones_like(mine), where=mine > 0)
        return np.asarray(np.minimum(ratio, _MOST_ROOT_RATIO) ** 2, dtype=np.float64)

    def left_out(self) -> tuple[FloatArray, FloatArray]:
        """Efficiencies and their variances as predicted for every point by the others.

        Leaving a point out of a linear smoother divides the others' weights in its smoothed value by one less its own
        (the leaving-out-one lemma: Wahba 1990, section 4.2).

        Returns
        -------
        efficiencies, variances : ndarray, shape (n_points, n_bins)
        """
        weights = np.asarray(self._weights(self._coordinates), dtype=np.float64)
        own = np.diag(weights).copy()
        np.fill_diagonal(weights, 0.0)
        efficiencies, variances = self._combine(weights / (1 - own)[:, None])
        back = np.argsort(self._order)
        return efficiencies[back], variances[back]

    def _combine(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        roots = np.maximum(weights @ self._roots, 0.0)
        ordered = self.variances[self._order]
        variances = weights**2 @ ordered
        # A mean root is low by the variance of one value, and the square of their weighted sum high by its own.
        missed = (weights - weights**2) @ np.where(self._roots > 0, ordered, 0.0)
        # The variance of a normal variable's square.
        return np.maximum(roots**2 + missed, 0.0), 4 * roots**2 * variances + 2 * variances**2


def _root_variances(efficiencies: FloatArray, errors: FloatArray, events: IntArray) -> FloatArray:
    """Variance of the root of an efficiency: that of the efficiency over four times itself.

    For events of equal weight it is a quarter of that weight over their number in any bin, so a bin without
    events takes the point's mean.
    """
    squares, totals = (errors**2).sum(axis=1), efficiencies.sum(axis=1)
    mean = np.where(totals > 0, squares / np.where(totals > 0, totals, 1.0), 1.0 / events) / 4
    filled = efficiencies > 0
    return np.where(filled, errors**2 / np.where(filled, 4 * efficiencies, 1.0), mean[:, None])


def coordinates(masses: FloatArray) -> FloatArray:
    """Where masses lie in the plane that is interpolated: 3 ln(m_mother / GeV) and 4 ln((m_mother - m_lsp) / GeV).

    Parameters
    ----------
    masses : ndarray, shape (k, 2)
        GeV, the larger first.

    Returns
    -------
    ndarray, shape (k, 2)
    """
    mother, lightest = masses.T
    return np.column_stack((_MASS_SCALE * np.log(mother), _GAP_SCALE * np.log(mother - lightest)))
