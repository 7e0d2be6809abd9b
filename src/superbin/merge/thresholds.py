"""Sets of bins that a linear threshold cuts out: where the optimum of a convex figure of merit must lie.

A figure of merit that is convex in the sums (S, B, V) is largest at a corner of the set of reachable sums,
and a corner is a set ``{i : s_i > c b_i + d v_i}``. `prefixes` walks one ordering of the bins;
`all_thresholds` walks the whole plane of multipliers (c, d) of either sign, about n^2 sets. Derived in
``docs/explanation/merging.md``.
"""

from collections.abc import Callable

import numpy as np

from superbin._arrays import FloatArray
from superbin.merge.problem import BoolArray, Problem, Totals

__all__ = ["all_thresholds", "orderings", "prefixes"]


def prefixes(order: np.ndarray, n_bins: int) -> BoolArray:
    """The first k bins of an ordering, for every k from 1.

    Parameters
    ----------
    order : ndarray of int, shape (k,)
        Positions of bins.
    n_bins : int

    Returns
    -------
    ndarray of bool, shape (k, n_bins)
    """
    sets = np.zeros((len(order), n_bins), dtype=bool)
    sets[:, order] = np.tri(len(order), dtype=bool)
    return sets


def orderings(problem: Problem) -> list[np.ndarray]:
    """Orderings of the bins with signal, most useful bin first, by simple ratios of signal to background."""
    s, b, v = problem.signal, problem.background, problem.variance_up
    bins = np.flatnonzero(s > 0)
    width = np.sqrt(v)
    with np.errstate(divide="ignore"):
        scores = (
            s / (b + v),
            s / (b + width),
            s / np.sqrt(b + v),
            2 * (np.sqrt(s + b) - np.sqrt(b)),
            s / np.maximum(b, 1e-300),
            s,
        )
    return [bins[np.argsort(-score[bins], kind="stable")] for score in scores]


def all_thresholds(
    problem: Problem,
    variance: FloatArray,
    score: Callable[[Totals], FloatArray],
    *,
    keep: int,
) -> BoolArray:
    """The best threshold sets of the plane under a quick figure of merit.

    Every bin is a line ``s_i = c b_i + d v_i`` in the plane of multipliers. Walking along each line, the bin
    itself on either side, meets every cell of the arrangement.

    Parameters
    ----------
    problem : Problem
    variance : ndarray, shape (n_bins,)
        What v is; with a covariance, the marginal variances at some set.
    score : callable
        Quick figure of merit; the variances enter it as the sums of `variance` and of the downward ones.
    keep : int
        How many sets to return.

    Returns
    -------
    ndarray of bool, shape (<= keep, n_bins)
    """
    walk = _Walk.along_all_lines(problem, variance)
    totals = walk.totals(problem, variance)
    values = score(totals)
    values[totals.signal <= 0] = -np.inf
    rows = np.argpartition(-values, min(keep, values.size) - 1)[:keep]
    return np.unique(walk.sets(np.sort(rows)), axis=0)


class _Walk:
    """The cells met along every line: a starting set, and one bin flipping at every crossing."""

    def __init__(self, pivots: np.ndarray, start: BoolArray, order: np.ndarray, turn: FloatArray) -> None:
        self.pivots, self.start, self.order, self.turn = pivots, start, order, turn

    @classmethod
    def along_all_lines(cls, problem: Problem, variance: FloatArray) -> "_Walk":
        s = problem.signal
        b = problem.background / max(float(problem.background.max()), 1e-300)
        v = variance / max(float(np.abs(variance).max()), 1e-300)
        pivots = np.flatnonzero(b**2 + v**2 > 0)
        length = (b**2 + v**2)[pivots, None]
        # A point of the pivot's line is its foot point plus t (v, -b); bin j is in where offset > t turn.
        offset = s - s[pivots, None] * (np.outer(b[pivots], b) + np.outer(v[pivots], v)) / length
        turn = np.outer(v[pivots], b) - np.outer(b[pivots], v)
        # Lines that differ by rounding only are parallel.
        turn[np.abs(turn) < 1e-14 * np.maximum(length, b**2 + v**2)] = 0.0
        start = np.where(turn == 0.0, offset > 0, turn > 0)
        start[np.arange(len(pivots)), pivots] = False
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = np.where(turn == 0.0, np.inf, offset / turn)
        return cls(pivots, start, np.argsort(crossing, axis=1, kind="stable"), turn)

    def totals(self, problem: Problem, variance: FloatArray) -> Totals:
        """Sums of all cells, without the pivot and then with it."""

        def sums(values: FloatArray) -> FloatArray:
            steps = np.take_along_axis(-np.sign(self.turn) * values, self.order, axis=1)
            first = self.start @ values
            without = np.concatenate([first[:, None], first[:, None] + np.cumsum(steps, axis=1)], axis=1)
            return np.stack([without, without + values[self.pivots, None]]).ravel()

        signal, background, up, down = (
            np.maximum(sums(values), 0.0)
            for values in (problem.signal, problem.background, variance, problem.variance_down)
        )
        # An empty set leaves rounding behind instead of zero.
        signal[signal < 1e-12 * problem.signal.sum()] = 0.0
        return Totals(signal, background, np.sqrt(up), np.minimum(np.sqrt(down), background))

    def sets(self, rows: np.ndarray) -> BoolArray:
        """The cells numbered `rows` as sets."""
        n = self.start.shape[1]
        side, rest = np.divmod(rows, len(self.pivots) * (n + 1))
        line, steps = np.divmod(rest, n + 1)
        rank = np.empty_like(self.order)
        np.put_along_axis(rank, self.order, np.broadcast_to(np.arange(n), self.order.shape), axis=1)
        passed = (rank[line] < steps[:, None]) & (self.turn[line] != 0.0)
        chosen: BoolArray = np.where(passed, self.turn[line] < 0, self.start[line])
        chosen[np.arange(len(rows)), self.pivots[line]] = side == 1
        return chosen
