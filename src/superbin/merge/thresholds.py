"""Sets of bins that a linear threshold cuts out: where the optimum of a convex figure of merit must lie.

A figure of merit that is convex in the sums (S, B, V) is largest at a corner of the set of reachable sums,
and a corner is a set ``{i : s_i > c b_i + d v_i}``. `seeds` walks orderings of the bins by such scores;
`all_thresholds` walks the whole plane of multipliers (c, d) of either sign, about n^2 sets; of more than 400 bins, along
the lines of those at the edge of the best prefix. Derived in ``docs/explanation/proofs.md``.
"""

from collections.abc import Callable

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.sums import Totals
from superbin.merge.constraints import Rules
from superbin.merge.dual import SCORES
from superbin.merge.problem import BoolArray, IntArray, Problem, first_rows

__all__ = ["all_thresholds", "best_prefixes", "orderings", "prefixes", "seeds"]

_CURVE = 12
"""Values of the multiplier u whose scores order the bins."""

_PREFIXES = 64
_ROUNDING = 1e-9

_LINES = 40
"""Bins whose lines through the plane of multipliers are walked."""

_LONGER = 2
_LONG = 32
"""Prefixes of up to this factor times the bins of the best one without correlations, and some more, are compared with correlations."""

_CROSSINGS = 1 << 19
"""Crossings of lines that are looked at together."""


def prefixes(order: IntArray, n_bins: int) -> BoolArray:
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


def best_prefixes(problem: Problem, order: IntArray, figure: Callable[[Totals], FloatArray]) -> BoolArray:
    """The best prefixes of an ordering under a figure of merit, all those within rounding of the best among them.

    Parameters
    ----------
    problem : Problem
        Without a covariance.
    order : ndarray of int
    figure : callable

    Returns
    -------
    ndarray of bool, shape (n_sets, n_bins)
    """
    sums = (problem.signal, problem.background, problem.variance_up, problem.variance_down)
    signal, background, up, down = (np.cumsum(part[order]) for part in sums)
    values = figure(Totals.of(signal, background, up, down))
    best = np.argsort(-values, kind="stable")
    close = int((values >= values[best[0]] * (1 - _ROUNDING)).sum()) if best.size else 0
    lengths = best[: max(_PREFIXES, close)] + 1
    sets = np.zeros((lengths.size, problem.n_bins), dtype=bool)
    for row, length in enumerate(lengths):
        sets[row, order[:length]] = True
    return sets


def orderings(problem: Problem, variance: FloatArray) -> list[IntArray]:
    """Orderings of the bins, most useful first: by simple ratios, and by the scores of the provable figures.

    Parameters
    ----------
    problem : Problem
    variance : ndarray, shape (n_bins,)
        The bins' variances; with a covariance, their marginal variances at some set.
    """
    s, b = problem.signal, problem.background
    v = np.maximum(variance, 0.0)
    points = _CURVE if problem.covariance_up is None else _CURVE // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [
            s / (b + np.sqrt(v)),
            s / np.sqrt(b + v),
            2 * (np.sqrt(s + b) - np.sqrt(b)),
            s / np.maximum(b, 1e-300),
            s,
        ]
    for dual in SCORES:
        # No score is positive beyond, except where there is no background.
        reached = dual.attained(s, b, np.maximum(v, 1e-12 * float(v.max(initial=0.0))))[s > 0]
        highest = 2 * float(reached.max(initial=0.5, where=np.isfinite(reached)))
        ratios += [dual.score(float(u), s, b, v) for u in np.geomspace(1e-3 * highest, highest, points)]
    return list(np.argsort(-np.nan_to_num(np.array(ratios)), axis=1, kind="stable"))


def seeds(
    problem: Problem,
    variance: FloatArray,
    score: Callable[[Totals], FloatArray],
    rules: Rules,
    *,
    keep: int,
) -> BoolArray:
    """The best prefixes of the orderings under a quick figure of merit.

    Required bins come first in every ordering; where a minimum of background or signal is asked for, prefixes
    are also filled up with the largest bins of what is short.

    Parameters
    ----------
    problem, score, rules, keep
        As in `all_thresholds`.
    variance : ndarray, shape (n_bins,)
        Only orders the bins; prefixes are ranked with their full variances.

    Returns
    -------
    ndarray of bool, shape (<= keep, n_bins)
        Best first.
    """
    required = np.flatnonzero(rules.required)
    free = rules.possible & ~rules.required
    orders = [
        np.concatenate([required, order[free[order]]])[: rules.most] for order in orderings(problem, variance)
    ]
    table = _distinct(np.array(orders))
    if problem.covariance_up is not None and rules.free:
        # Much longer prefixes are far from any good set, and their variances take longest.
        useful = _best_prefix(problem, problem.variance_up, score, np.flatnonzero(free))[1]
        table = table[:, : _LONGER * (useful + 1) + _LONG]
    values = score(_prefix_totals(problem, table)).reshape(len(table), -1)
    size = np.arange(1, values.shape[1] + 1)
    values[:, (size < rules.least) | (size < required.size)] = -np.inf
    best = np.argsort(-values.ravel(), kind="stable")[: 4 * keep]
    which, length = np.divmod(best, values.shape[1])
    # A bin is in a prefix if its place in the ordering is before the end.
    place = np.full((len(table), problem.n_bins), problem.n_bins)
    np.put_along_axis(place, table, np.arange(values.shape[1]), axis=1)
    sets = place[which] <= length[:, None]
    for minimum, limit in ((problem.background, rules.min_background), (problem.signal, rules.min_signal)):
        if limit > 0:
            sets = np.concatenate([sets, _filled(sets, minimum, limit, rules)])
    totals = problem.certain().totals(sets)
    sets = sets[rules.allowed(sets, totals) & (totals.signal > 0)]
    return sets[first_rows(sets)[: 2 * keep]] if len(sets) else sets


def _distinct(orders: IntArray) -> IntArray:
    """Different orderings, in ascending order."""
    length = orders.shape[-1]
    if not length:
        return orders[:1]
    # As bytes, most significant first, they compare as the numbers do.
    keys = np.ascontiguousarray(orders.astype(">u4")).view(np.dtype((np.void, 4 * length))).ravel()
    return orders[np.unique(keys, return_index=True)[1]]


def _prefix_totals(problem: Problem, orders: IntArray) -> Totals:
    """Sums of the prefixes of orderings, ordering after ordering, without the downward side."""
    if problem.covariance_up is None:
        variance = problem.variance_up[orders]
    else:
        before = np.tri(orders.shape[1], k=-1)
        blocks = (problem.covariance_up.take(order, axis=0).take(order, axis=1) for order in orders)
        variance = problem.variance_up[orders] + 2 * np.array(
            [np.einsum("ij,ij->i", block, before) for block in blocks]
        )
    summed = (problem.signal[orders], problem.background[orders], variance)
    return Totals.of(*(np.cumsum(values, axis=1).ravel() for values in summed))


def _filled(sets: BoolArray, values: FloatArray, limit: float, rules: Rules) -> BoolArray:
    """Add the largest bins of `values` to every set until the limit is reached, exchanging where it is full."""
    order = np.argsort(-values, kind="stable")
    order = order[rules.possible[order]]
    filled = sets.copy()
    for row in filled:
        for i in order:
            if row @ values >= limit:
                break
            if not row[i] and row.sum() >= rules.most:
                members = np.flatnonzero(row & ~rules.required)
                if not members.size:
                    break
                row[members[np.argmin(values[members])]] = False
            row[i] = True
    return filled


def all_thresholds(
    problem: Problem,
    variance: FloatArray,
    score: Callable[[Totals], FloatArray],
    rules: Rules,
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
        Quick figure of merit, of the upward uncertainty alone; the variances enter it as sums of `variance`.
    rules : Rules
        Required bins are in every set; sets that break a constraint are left out.
    keep : int
        How many sets to return.

    Returns
    -------
    ndarray of bool, shape (<= keep, n_bins)
    """
    free = np.flatnonzero(rules.possible & ~rules.required)
    pivots = _pivots(problem, variance, score, free)
    found, values = [np.zeros((0, problem.n_bins), dtype=bool)], np.zeros(0)
    # Some lines at a time, so that memory grows with the number of bins and not with its square.
    step = max(1, _CROSSINGS // max(free.size, 1))
    for i in range(0, pivots.size, step):
        walk = _Walk.along(problem, variance, free, pivots[i : i + step])
        if not walk.pivots.size:
            continue
        totals, count = walk.totals(problem, variance, rules.required)
        fine = (totals.signal > 0) & (count >= rules.least - 0.5) & (count <= rules.most + 0.5)
        fine &= (totals.background >= rules.min_background) & (totals.signal >= rules.min_signal)
        some = np.where(fine, score(totals), -np.inf)
        rows = np.sort(np.argpartition(-some, min(keep, some.size) - 1)[:keep])
        rows = rows[some[rows] > -np.inf]
        sets = np.zeros((rows.size, problem.n_bins), dtype=bool)
        sets[:, free] = walk.sets(rows)
        found.append(sets | rules.required)
        values = np.concatenate([values, some[rows]])
    together = np.concatenate(found)
    if values.size > keep:
        together = together[np.sort(np.argpartition(-values, keep - 1)[:keep])]
    return together[first_rows(together)] if len(together) else together


def _pivots(
    problem: Problem, variance: FloatArray, score: Callable[[Totals], FloatArray], free: IntArray
) -> IntArray:
    """Positions among the free bins whose lines are walked: of very many bins, those at the edge of the best prefix."""
    if free.size <= _LINES:
        return np.arange(free.size)
    order, best = _best_prefix(problem, variance, score, free)
    first = min(max(best - _LINES // 2, 0), free.size - _LINES)
    return np.sort(order[first : first + _LINES])


def _best_prefix(
    problem: Problem, variance: FloatArray, score: Callable[[Totals], FloatArray], free: IntArray
) -> tuple[IntArray, int]:
    """The order of some bins by how useful they are, as positions among them, and the last of the best first ones."""
    s, b, v = (part[free] for part in (problem.signal, problem.background, np.maximum(variance, 0.0)))
    order = np.argsort(-SCORES[0].roots(s, b, v), kind="stable")
    sums = [np.cumsum(part[order]) for part in (s, b, v)]
    return order, int(np.argmax(score(Totals.of(*sums))))


class _Walk:
    """The cells met along every line: a starting set, and one bin flipping at every crossing."""

    def __init__(
        self, bins: IntArray, pivots: IntArray, start: BoolArray, order: IntArray, turn: FloatArray
    ) -> None:
        self.bins, self.pivots, self.start, self.order, self.turn = bins, pivots, start, order, turn

    @classmethod
    def along(cls, problem: Problem, variance: FloatArray, bins: IntArray, lines: IntArray) -> "_Walk":
        """The cells along the lines of some of the bins, given by their positions among them."""
        s = problem.signal[bins]
        b = problem.background[bins] / max(float(problem.background.max()), 1e-300)
        v = variance[bins] / max(float(np.abs(variance).max()), 1e-300)
        pivots = lines[(b**2 + v**2)[lines] > 0]
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
        return cls(bins, pivots, start, np.argsort(crossing, axis=1, kind="stable"), turn)

    def totals(
        self, problem: Problem, variance: FloatArray, required: BoolArray
    ) -> tuple[Totals, FloatArray]:
        """Sums of all cells with the required bins, without the pivot and then with it; and their sizes."""

        def sums(every: FloatArray) -> FloatArray:
            values = every[self.bins]
            steps = np.take_along_axis(-np.sign(self.turn) * values, self.order, axis=1)
            first = self.start @ values + every[required].sum()
            without = np.concatenate([first[:, None], first[:, None] + np.cumsum(steps, axis=1)], axis=1)
            return np.stack([without, without + values[self.pivots, None]]).ravel()

        signal, background, up = (sums(values) for values in (problem.signal, problem.background, variance))
        # An empty set leaves rounding behind instead of zero.
        signal[signal < 1e-12 * problem.signal.sum()] = 0.0
        return Totals.of(signal, background, up), sums(np.ones(problem.n_bins))

    def sets(self, rows: IntArray) -> BoolArray:
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
