"""What the downward variance of any set of bins is, given its upward one."""

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.merge.problem import BoolArray, Problem

__all__ = ["DownwardVariance"]

_QUANTILES = (0.02, 0.5, 0.98)
_WIDE = 1e-9


class DownwardVariance:
    """For ratios rho: the downward variance D is at least ``rho V - w'N w`` and at most ``rho V + w'P w``, V being the upward one.

    Without correlations N and P are the parts of ``down - rho up`` below and above zero; with them, those of the eigenvalues of the same
    difference of matrices without their negative elements, or its positive elements where the ratio is the largest.
    """

    def __init__(self, problem: Problem, possible: BoolArray) -> None:
        up, down = problem.variance_up, problem.variance_down
        some = possible & (up > 0) & (down > 0)
        self.correlated = problem.covariance_up is not None
        self.ratios = np.unique(np.quantile(down[some] / up[some], _QUANTILES)) if some.any() else np.zeros(0)
        self.short: list[FloatArray] = []
        self.over: list[FloatArray] = []
        if problem.covariance_up is None or problem.covariance_down is None:
            for difference in down - self.ratios[:, None] * up:
                self.short.append(np.maximum(-difference, 0.0))
                self.over.append(np.maximum(difference, 0.0))
            return
        for ratio in self.ratios:
            values, vectors = np.linalg.eigh(problem.covariance_down - ratio * problem.covariance_up)
            for parts, sign in ((self.short, -1.0), (self.over, 1.0)):
                kept = np.maximum(sign * values, 0.0)
                parts.append(np.maximum((vectors * kept) @ vectors.T, 0.0))
        if some.any():
            largest = float((down[some] / up[some]).max())
            self.ratios = np.append(self.ratios, largest)
            self.short.append(np.full_like(problem.covariance_up, np.inf))
            self.over.append(np.maximum(problem.covariance_down - largest * problem.covariance_up, 0.0))

    def between(
        self, low: FloatArray, high: FloatArray, possible: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Least and largest downward variance of sets of possible bins whose upward one lies between two ends.

        Parameters
        ----------
        low, high : ndarray, shape (n,)
        possible : ndarray, shape (n, n_bins) or (1, n_bins)
            1 for bins that may be in the set, else 0.
        """

        def most(part: FloatArray) -> FloatArray:
            product = possible @ part
            return product if part.ndim == 1 else np.einsum("ij,ij->i", product, possible)

        least, largest = np.zeros(low.size), np.full(low.size, np.inf)
        for ratio, short, over in zip(self.ratios, self.short, self.over, strict=True):
            if np.isfinite(short).all():
                least = np.maximum(least, ratio * low * (1 - _WIDE) - most(short) * (1 + _WIDE))
            largest = np.minimum(largest, ratio * high * (1 + _WIDE) + most(over) * (1 + _WIDE))
        return least, largest
