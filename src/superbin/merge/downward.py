"""What the downward variance of any set of bins is, given its upward one."""

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.merge.problem import BoolArray, IntArray, Problem

__all__ = ["DownwardVariance"]

_QUANTILES = (0.02, 0.5, 0.98)
_RATIOS = (0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95)
"""Quantiles of the ratios of the bins; of the second for sets of so much background."""

_LEVEL = 1.2
"""Ratio of the backgrounds for which the most of a quadratic form is worked out."""

_LARGEST = 600
"""Bins up to which it is."""

_WIDE = 1e-9


class DownwardVariance:
    """For ratios rho: the downward variance D is at least ``rho V - w'N w`` and at most ``rho V + w'P w``, V being the upward one.

    Without correlations N and P are the parts of ``down - rho up`` below and above zero; with them, those of the eigenvalues of the same
    difference of matrices without their negative elements, or its positive elements where the ratio is the largest. And with them, the most
    that the difference itself, and its negative, can be for sets of no more than some background: see `_Most`.
    """

    def __init__(self, problem: Problem, possible: BoolArray) -> None:
        up, down = problem.variance_up, problem.variance_down
        some = possible & (up > 0) & (down > 0)
        self.correlated = problem.covariance_up is not None
        ratios = down[some] / up[some]
        self.ratios = np.unique(np.quantile(ratios, _QUANTILES)) if some.any() else np.zeros(0)
        self.short: list[FloatArray] = []
        self.over: list[FloatArray] = []
        self.most: list[tuple[float, _Most, _Most]] = []
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
            largest = float(ratios.max())
            self.ratios = np.append(self.ratios, largest)
            self.short.append(np.full_like(problem.covariance_up, np.inf))
            self.over.append(np.maximum(problem.covariance_down - largest * problem.covariance_up, 0.0))
        if some.any() and problem.n_bins <= _LARGEST:
            for ratio in np.unique(np.quantile(ratios, _RATIOS)):
                difference = problem.covariance_down - ratio * problem.covariance_up
                less, more = (_Most(sign * difference, problem.background, possible) for sign in (-1, 1))
                self.most.append((float(ratio), less, more))

    def between(
        self, low: FloatArray, high: FloatArray, possible: FloatArray, background: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Least and largest downward variance of sets of possible bins whose upward one lies between two ends.

        Parameters
        ----------
        low, high : ndarray, shape (n,)
        possible : ndarray, shape (n, n_bins) or (1, n_bins)
            1 for bins that may be in the set, else 0.
        background : ndarray, shape (n,)
            The most that the sets have.
        """

        def most(part: FloatArray) -> FloatArray:
            product = possible @ part
            return product if part.ndim == 1 else np.einsum("ij,ij->i", product, possible)

        least, largest = np.zeros(low.size), np.full(low.size, np.inf)
        for ratio, short, over in zip(self.ratios, self.short, self.over, strict=True):
            if np.isfinite(short).all():
                least = np.maximum(least, ratio * low * (1 - _WIDE) - most(short) * (1 + _WIDE))
            largest = np.minimum(largest, ratio * high * (1 + _WIDE) + most(over) * (1 + _WIDE))
        for ratio, less, more in self.most:
            least = np.maximum(least, ratio * low * (1 - _WIDE) - less.of(background))
            largest = np.minimum(largest, ratio * high * (1 + _WIDE) + more.of(background))
        return least, largest


class _Most:
    """The most that a quadratic form can be over sets of bins with no more than some background.

    ``w'Q w = sum_i w_i (Q_ii + sum_j Q_ij w_j)``: the inner sum, over other bins, is at most the best filling of what background bin i leaves, with
    parts of bins allowed; the outer one likewise.
    """

    def __init__(self, matrix: FloatArray, background: FloatArray, possible: BoolArray) -> None:
        rows = np.flatnonzero(possible)
        self.background = background[rows]
        self.own = np.diag(matrix)[rows].copy()
        others = np.maximum(matrix[np.ix_(rows, rows)], 0.0)
        np.fill_diagonal(others, 0.0)
        cost = np.maximum(self.background, 1e-300)
        self.order: IntArray = np.argsort(-(others / cost), axis=1, kind="stable")
        self.others = np.take_along_axis(others, self.order, axis=1)
        positive = self.background[self.background > 0]
        self.start = float(positive.min()) if positive.size else 1.0
        self.known: dict[int, float] = {}

    def of(self, background: FloatArray) -> FloatArray:
        """For every background of some."""
        with np.errstate(divide="ignore"):
            steps = np.ceil(np.log(background * (1 + _WIDE) / self.start) / np.log(_LEVEL))
        levels = np.where(background > 0, np.maximum(steps, 0), -1).astype(np.intp)
        found = np.empty(background.size)
        for level in np.unique(levels):
            if int(level) not in self.known:
                self.known[int(level)] = self.at(
                    0.0 if level < 0 else self.start * _LEVEL ** int(level) * (1 + _WIDE)
                )
            found[levels == level] = self.known[int(level)]
        return found

    def at(self, most: float) -> float:
        """The most for one background."""
        fits = self.background <= most
        rows = np.flatnonzero(fits)
        if not rows.size:
            return 0.0
        order = self.order[rows]
        room = most - self.background[rows]
        cost = self.background[order]
        value = np.where(cost <= room[:, None], self.others[rows], 0.0)
        inner = _filled(value, np.where(value > 0, cost, 0.0), room)
        together = np.maximum(self.own[rows] + inner, 0.0)
        best = np.argsort(-together / np.maximum(self.background[rows], 1e-300), kind="stable")
        outer = _filled(together[None, best], self.background[rows][None, best], np.array([most]))
        return float(outer[0]) * (1 + _WIDE)


def _filled(value: FloatArray, cost: FloatArray, room: FloatArray) -> FloatArray:
    """The value of what fits, taken in the order given, the first that does not fit in part; by rows."""
    left = room[:, None] - (np.cumsum(cost, axis=1) - cost)
    part = np.clip(left / np.maximum(cost, 1e-300), 0.0, 1.0)
    return np.asarray((value * np.where(cost > 0, part, 1.0)).sum(axis=1))
