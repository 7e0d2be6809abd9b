"""The two convex problems inside the certified search, both small and dense.

* `lagrange`: the largest sum of scores over sets with linear side conditions, bounded through multipliers.
  Any multipliers give a true bound; these are the best a few exact coordinate steps find.
* `box_maximum`: a concave quadratic over the unit box, by projected Newton steps. Its answer only chooses
  where a tangent is laid, so its accuracy affects the speed of a proof and never its truth.
"""

from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray

__all__ = ["Rows", "box_maximum", "lagrange", "own_variances"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Side conditions ``matrix @ w >= limit`` on a set w.

    Attributes
    ----------
    matrix : ndarray, shape (n_rows, n_bins)
    limit : ndarray, shape (n_rows,)
    equal : tuple of bool
        Rows that hold with equality.
    """

    matrix: FloatArray
    limit: FloatArray
    equal: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.limit)

    def restrict(self, free: np.ndarray, chosen: np.ndarray) -> "Rows":
        """The conditions that are left for the free bins once some are chosen."""
        return Rows(self.matrix[:, free], self.limit - self.matrix[:, chosen].sum(axis=1), self.equal)


def lagrange(scores: FloatArray, rows: Rows) -> tuple[float, FloatArray]:
    """Bound ``max scores @ w`` over 0-1 vectors w that satisfy the rows.

    Parameters
    ----------
    scores : ndarray, shape (n,)
    rows : Rows

    Returns
    -------
    tuple of float and ndarray
        An upper bound, -inf if the rows cannot be satisfied even by fractions, and the scores adjusted by the
        multipliers: forcing a bin against the sign of its adjusted score lowers the bound by its magnitude.
    """
    adjusted = scores
    if not len(rows):
        return float(np.maximum(scores, 0.0).sum()), adjusted
    multipliers = np.zeros(len(rows))
    for _ in range(1 if len(rows) == 1 else 3):
        for j, row in enumerate(rows.matrix):
            base = adjusted - multipliers[j] * row
            best = _row_multiplier(base, row, float(rows.limit[j]), free_sign=rows.equal[j])
            if best is None:
                return -np.inf, adjusted
            multipliers[j] = best
            adjusted = base + best * row
    return float(np.maximum(adjusted, 0.0).sum() - multipliers @ rows.limit), adjusted


_BARRIERS = (1e-1, 1e-2, 2e-3)
_STEPS = 12


def own_variances(covariance: FloatArray, weights: FloatArray) -> FloatArray:
    """Own variances d such that ``covariance - diag(d)`` stays positive semidefinite, nearly as large as they can be.

    A barrier method for ``max sum w_i d_i / C_ii``. Whatever it ends with is made feasible, so its accuracy affects
    the speed of a proof and never its truth.

    Parameters
    ----------
    covariance : ndarray, shape (n, n)
        Positive semidefinite.
    weights : ndarray, shape (n,)
        How much the own variance of each bin matters, >= 0.

    Returns
    -------
    ndarray, shape (n,)
        Zero where no variance is a bin's own.
    """
    variance = np.diag(covariance)
    own = np.zeros_like(variance)
    some = np.flatnonzero(variance > 0)
    if not some.size:
        return own
    unit = 1 / np.sqrt(variance[some])
    matrix = covariance[np.ix_(some, some)] * np.outer(unit, unit)
    allowance = 1e-13 * some.size
    lowest = float(np.linalg.eigvalsh(matrix)[0]) - allowance
    if lowest <= 1e-9:
        return own
    x = np.full(some.size, lowest / 2)
    w = weights[some] / max(float(weights[some].max()), 1e-300) + 1e-4
    for barrier in _BARRIERS:
        for _ in range(_STEPS):
            inverse = np.linalg.inv(matrix - np.diag(x))
            small = barrier * 1e-3
            gradient = w - barrier * np.diag(inverse) + small / x
            hessian = barrier * inverse**2 + np.diag(small / x**2)
            step = np.linalg.solve(hessian, gradient)
            better = _inside(matrix, x, step)
            if better is None:
                break
            done = float(np.abs(better - x).max()) < 1e-3
            x = better
            if done:
                break
    # Rounding must not push an eigenvalue over.
    over = allowance - float(np.linalg.eigvalsh(matrix - np.diag(x))[0])
    own[some] = np.maximum(x - max(over, 0.0), 0.0) * variance[some]
    return own


def _inside(matrix: FloatArray, x: FloatArray, step: FloatArray) -> FloatArray | None:
    """The farthest of some points along a step that leaves a covariance."""
    length = 1.0
    for _ in range(20):
        trial = x + length * step
        if (trial > 0).all():
            try:
                np.linalg.cholesky(matrix - np.diag(trial))
            except np.linalg.LinAlgError:
                pass
            else:
                return trial
        length /= 2
    return None


def _row_multiplier(base: FloatArray, row: FloatArray, limit: float, *, free_sign: bool) -> float | None:
    """Minimise ``sum (base + t row)^+ - t limit`` over t; None where it falls for ever: no w reaches the limit.

    The function is piecewise linear; its slope rises by ``|row_i|`` where the bin i changes sign.
    """
    used = row != 0
    steps = np.abs(row[used])
    slack = 1e-12 * (float(steps.sum()) + abs(limit))
    lowest = float(row[row < 0].sum()) - limit
    if lowest + float(steps.sum()) < -slack or (free_sign and lowest > slack):
        return None
    if not free_sign and lowest >= 0:
        return 0.0
    turns = -base[used] / row[used]
    order = np.argsort(turns)
    slope = lowest + np.cumsum(steps[order])
    at = int(np.searchsorted(slope, -slack))
    best = float(turns[order[min(at, order.size - 1)]]) if order.size else 0.0
    return best if free_sign else max(best, 0.0)


def box_maximum(linear: FloatArray, hessian: FloatArray, start: FloatArray) -> FloatArray:
    """Maximise ``linear @ w - w @ hessian @ w / 2`` over the unit box.

    Parameters
    ----------
    linear : ndarray, shape (n,)
    hessian : ndarray, shape (n, n)
        Positive semidefinite.
    start : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
        Nearly optimal.
    """
    w = np.clip(start, 0.0, 1.0)
    ridge = 1e-10 * float(np.trace(hessian)) / max(len(w), 1) + 1e-300
    tolerance = 1e-9 * float(np.abs(linear).max(initial=0.0))
    for _ in range(40):
        gradient = linear - hessian @ w
        move = np.where(gradient > 0, w < 1.0, w > 0.0) & (np.abs(gradient) > tolerance)
        if not move.any():
            break
        inside = np.flatnonzero(move)
        block = hessian[np.ix_(inside, inside)]
        block[np.diag_indices_from(block)] += ridge
        step = np.zeros_like(w)
        step[inside] = np.linalg.solve(block, gradient[inside])
        better = _line_search(linear, hessian, w, step, gradient)
        if better is None:
            break
        w = better
    return w


def _line_search(
    linear: FloatArray, hessian: FloatArray, w: FloatArray, step: FloatArray, gradient: FloatArray
) -> FloatArray | None:
    """The first point of the projected arc that gains enough, trying Newton's direction, then the gradient's."""
    here = float(linear @ w - w @ hessian @ w / 2)
    scale = float(np.abs(np.diag(hessian)).max()) + 1e-300
    for direction in (step, gradient / scale):
        length = 1.0
        for _ in range(12):
            trial = np.clip(w + length * direction, 0.0, 1.0)
            gain = float(gradient @ (trial - w))
            if float(linear @ trial - trial @ hessian @ trial / 2) >= here + 1e-4 * gain > here:
                return trial
            length /= 3
    return None
