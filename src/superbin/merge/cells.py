r"""A proved bound for figures of merit that are no maximum of linear functions: cells of background and uncertainties.

Every set of bins is a point (B, V, D) of its background, upward variance and downward variance, and has a signal S. A *cell* is a box of
such points with some bins chosen and some dropped. Two bounds make one on the figure of merit of all its sets:

* the signal: for any multipliers c, d, e, l of the ends of the box and of the number of bins,
  ``S <= sum_i (s_i - c b_i - d v_i - e x_i - l)^+ + c B + d V + e D + l k``, the free bins i being in or out, whichever is more. With a
  covariance ``V = w' C w`` is at least its tangent at any fractions w_0, which is linear in the set, and the downward uncertainty at
  most the sum of those of the bins;
* the figure at most: of that signal, with the background of the box that is worst for the p-value at each z
  (`superbin.merge.tails`).

The cell with the largest bound is split, in the dimension that costs most, or at a bin that the multipliers leave undecided. A bin whose
change would leave less signal than the cell needs to beat the best set known is fixed. What is left when time is up is the bound.

Bounds are outward by `ROUNDING` of the sums that enter, and by what `superbin.merge.tails` states for p-values.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy import special

from superbin._support.arrays import FloatArray
from superbin.domain.merits import Merit
from superbin.merge.archive import Archive
from superbin.merge.branch import Certificate, Limits
from superbin.merge.constraints import Rules
from superbin.merge.downward import DownwardVariance
from superbin.merge.exhaustive import every_set
from superbin.merge.problem import BoolArray, IntArray, Problem
from superbin.merge.relax import own_variances
from superbin.merge.tails import Ranges, log_midp_at_least, midp_at_least

__all__ = ["Cells", "cell_bound", "evaluate_open", "midp_at_most"]

ROUNDING = 1e-12
"""Relative allowance for rounding in sums of scores, some thousand times what it can be."""

_BATCH = 256
"""Cells that are split together."""

_MEMORY = 4e8
"""Bytes of open cells; beyond, the search ends with the bound it has."""

_OFFERED = 8
"""Sets of a batch of cells that are tried as better ones."""

_PIECES = 3
"""Pieces of a box, in background and in variance, over which a figure of merit is bounded one by one."""

_FEW = 5
"""With so few free bins every set is tried."""

_UNDERFLOW = 1e-280
_SCALED_BELOW = 1e-200
_VISIBLE = 1.0
_DESCENT = 4
_ROUNDS = 1
_EDGES = 2
_DESCENT_TABLE = 60
_TABLE = 16
_ROOTS = 60
_CLOSE_ROOT = 3e-4
_MOST_SIGNAL = 1e30
_SHARED = 500
"""Cells after which own variances are split off again, and after three times as many each time."""

_JUMPS = 10.0
"""Background below which jumps of the median count decide where a cell is split."""

_B, _V, _D, _K, _RV, _RD = range(6)


# --- figures of merit -------------------------------------------------------------------------------------


def midp_at_most(signal: FloatArray, ranges: Ranges, enough: float = 0.0) -> FloatArray:
    """No set with at most this signal, and a background of the range, has a larger `midp`.

    Parameters
    ----------
    signal : ndarray, shape (n,)
    ranges : Ranges
    enough : float
        Bounds need not be lower.
    """
    if enough >= _VISIBLE:
        # A set that does not reach a Z of 1 has a figure of merit below 1.
        return np.maximum(_z_at_most(signal, ranges), _VISIBLE)
    bound = np.empty_like(signal)
    rows, trial, above = np.arange(signal.size), None, None
    if enough > 0:
        # Where this much more signal is not enough for a Z of 1, nothing else has to be known.
        trial = np.minimum(signal / enough, _MOST_SIGNAL)
        above = _z_at_most(trial, ranges) - _VISIBLE
        bound[above < 0] = _VISIBLE * (signal / trial)[above < 0]
        rows = np.flatnonzero(above >= 0)
        trial, above = trial[rows], above[rows]
    z = bound[rows] = _z_at_most(signal[rows], ranges.take(rows))
    weak = np.flatnonzero(z < _VISIBLE)
    if weak.size:
        some = signal[rows[weak]]
        beyond = None if trial is None or above is None else (trial[weak], above[weak])
        events = _visible_at_least(some, z[weak] - _VISIBLE, beyond, ranges.take(rows[weak]), enough)
        bound[rows[weak]] = _VISIBLE * some / events
    return bound


def _z_at_most(signal: FloatArray, ranges: Ranges) -> FloatArray:
    p, _ = midp_at_least(signal, ranges)
    z = np.asarray(-special.ndtri(np.clip(p, _UNDERFLOW, 1.0)))
    far = np.flatnonzero(p < _SCALED_BELOW)
    if far.size:
        z[far] = -special.ndtri_exp(log_midp_at_least(signal[far], ranges.take(far)))
    return z


def _visible_at_least(
    signal: FloatArray,
    short: FloatArray,
    beyond: tuple[FloatArray, FloatArray] | None,
    ranges: Ranges,
    enough: float,
) -> FloatArray:
    """Signal with which no background of the range is expected to show a Z of 1, not much less than the largest such.

    A root between a signal that is too little, with what Z is short of 1, and one that may not be, with what it is beyond; far below
    ``signal / enough`` it need not be exact. Z is nearly linear in the root of the count: the Illinois method, a little to the side of
    what is known.
    """
    low = np.maximum(signal, 1e-300)
    high, over = (part.copy() for part in beyond or (np.full_like(low, np.inf), np.ones_like(low)))
    start = np.maximum(2 * low, 0.5 + np.sqrt(ranges.low + ranges.up**2))
    side, rows = np.zeros_like(low), np.arange(low.size)
    for _ in range(_ROOTS):
        far = 0.1 * (signal[rows] / (low[rows] * enough) - 1) if enough > 0 else np.zeros(rows.size)
        rows = rows[high[rows] > low[rows] * (1 + np.maximum(far, _CLOSE_ROOT))]
        if not rows.size:
            break
        a, b, base = low[rows], high[rows], ranges.high[rows]
        with np.errstate(invalid="ignore"):
            first, last = np.sqrt(a + base), np.sqrt(b + base)
            line = (first - short[rows] * (last - first) / (over[rows] - short[rows])) ** 2 - base
            line = np.clip(line - _CLOSE_ROOT / 2 * a, a + 0.02 * (b - a), b - 0.02 * (b - a))
        trial = np.where(np.isinf(b), np.maximum(start[rows], 2 * a), line)
        found = _z_at_most(trial, ranges.take(rows)) - _VISIBLE
        fine = found < 0
        again = np.where(fine, 1.0, -1.0) == side[rows]
        side[rows] = np.where(fine, 1.0, -1.0)
        short[rows] = np.where(fine, found, short[rows] * np.where(again, 0.5, 1.0))
        over[rows] = np.where(fine, over[rows] * np.where(again, 0.5, 1.0), found)
        low[rows], high[rows] = np.where(fine, trial, a), np.where(fine, b, trial)
    return low


# --- cells ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Cells of one problem, arrays over cells.

    Attributes
    ----------
    low, high : ndarray, shape (n_cells, 3)
        Ends of the box: background, upward variance, and downward variance (with a covariance: the sum of the bins' downward
        uncertainties, unless less of it makes the figure larger).
    state : ndarray of int8, shape (n_cells, n_bins)
        1 for bins that are chosen, -1 for bins that are not, 0 for free ones.
    multipliers : ndarray, shape (n_cells, 6)
        Of the three sums and of the number of bins; and of the sums of the bins' uncertainties, whose squares are at least the variances.
    relaxed : ndarray, shape (n_cells, n_bins or 0)
        With a covariance, the fractions at which the tangent touches.
    bound : ndarray, shape (n_cells,)
        On the figure of merit.
    signal : ndarray, shape (n_cells,)
        The bound on the signal.
    linear : ndarray, shape (n_cells,)
        The same by these multipliers alone, linear in the ends of the box.
    """

    low: FloatArray
    high: FloatArray
    state: np.ndarray
    multipliers: FloatArray
    relaxed: FloatArray
    bound: FloatArray
    signal: FloatArray
    linear: FloatArray

    def __len__(self) -> int:
        return len(self.bound)

    def take(self, rows: IntArray | BoolArray) -> "Cells":
        """Some of the cells."""
        return Cells(*(getattr(self, field.name)[rows] for field in fields(self)))

    def join(self, other: "Cells") -> "Cells":
        """These and others."""
        return Cells(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))


class _Search:
    """One run."""

    def __init__(
        self,
        archive: Archive,
        at_most: Callable[[FloatArray, Ranges, float], FloatArray],
        rules: Rules,
        limits: Limits,
        *,
        least_down: bool,
    ) -> None:
        self.archive, self.at_most, self.rules, self.limits = archive, at_most, rules, limits
        self.least_down = least_down
        problem: Problem = archive.problem
        self.problem, n = problem, problem.n_bins
        self.covariance = problem.covariance_up
        self.s, self.b = problem.signal, problem.background
        ones = np.ones(n)
        if self.covariance is None:
            self.x = problem.variance_down
            self.rows = np.stack([self.b, problem.variance_up, self.x, ones])
        else:
            q = self.s / np.sqrt(self.b + problem.variance_up + 1e-300)
            weights = self.s * (q / max(float(q.max()), 1e-300)) ** 2 * rules.possible
            self.share_out(weights)
            self.partly = np.zeros(n)
            self.x = np.sqrt(problem.variance_down)
            if self.curved_down:
                assert problem.covariance_down is not None
                self.x = own_variances(problem.covariance_down, weights)
                self.rest_down = problem.covariance_down - np.diag(self.x)
                self.steep_down = np.abs(self.rest_down).sum(axis=1)
                # The root of a quadratic form is at most the sum of the roots of its bins.
                self.roots_of = np.sqrt(np.stack([problem.variance_up, problem.variance_down]))
            self.rows = np.stack([self.b, problem.variance_up, self.x, ones])
        self.downward = DownwardVariance(problem, rules.possible)
        self.slow = isinstance(archive.figure, Merit) and archive.figure.stand_in is not None
        self.sized = rules.least > 1 or rules.most < int(rules.possible.sum())
        self.lay_table()
        self.value = archive.best[1] if archive.found else 0.0
        self.nodes = 0
        self.record: list[Cells] | None = None
        self.settled = 0.0

    @property
    def curved_down(self) -> bool:
        """Whether the downward variance is a quadratic form that is bounded by its tangents."""
        return self.covariance is not None and self.least_down

    @property
    def target(self) -> float:
        return self.value * (1 + self.limits.gap)

    def run(self) -> Certificate:
        """Search until nothing is open or a limit is reached."""
        deadline = time.perf_counter() + self.limits.seconds
        cells = self.begun(self.roots())
        size = 8 * (8 + self.problem.n_bins) + self.problem.n_bins
        shared = _SHARED
        while len(cells) and time.perf_counter() < deadline and self.nodes < self.limits.nodes:
            if len(cells) * size > _MEMORY:
                break
            cells = cells.take(cells.bound > self.target)
            if not len(cells):
                break
            batch = min(_BATCH, len(cells))
            first = np.argpartition(-cells.bound, batch - 1)
            # Cells that are handed over keep the shares they were bounded with.
            if self.covariance is not None and self.record is None and self.nodes >= shared:
                self.shared_again(cells.take(first[:batch]))
                shared *= 2
            some, cells = cells.take(first[:batch]), cells.take(first[batch:])
            self.nodes += batch
            cells = cells.join(self.bounded(self.split(some)))
        left = float(cells.bound.max(initial=0.0))
        return Certificate(max(left, self.target), left <= self.target, self.nodes)

    def share_out(self, weights: FloatArray) -> None:
        """Split the own variances of bins off the covariance, as large as can be where the weights are large."""
        assert self.covariance is not None
        self.own = own_variances(self.covariance, weights)
        self.rest = self.covariance - np.diag(self.own)
        self.steep = np.abs(self.rest).sum(axis=1) + 1e-300

    def shared_again(self, cells: Cells) -> None:
        """The same where the tangents of open cells are loose: at bins that they take in part."""
        assert self.covariance is not None
        w, t = cells.relaxed, np.maximum(cells.multipliers[:, _V], 0.0)
        partly = (np.where(cells.state == 0, w * (1 - w), 0.0) * t[:, None]).mean(axis=0)
        if partly.any():
            # Half of what was loose before, so that the shares do not go to and fro.
            self.partly = self.partly / 2 + partly / partly.max()
            self.share_out(self.partly * np.diag(self.covariance))
            self.lay_table()

    # --- multipliers to start from --------------------------------------------------------------------------

    def lay_table(self) -> None:
        """Multipliers of background and variance over all useful sizes, with the fractions where their tangents touch."""
        useful = (self.s > 0) & self.rules.possible
        own = self.rows[_V] if self.covariance is None else self.own
        grids = []
        for row, both in ((self.b, True), (own, False)):
            some = useful & (row > 0)
            ratios = self.s[some] / row[some] if some.any() else np.ones(1)
            low, high = np.quantile(ratios, 0.02) / 10, ratios.max() * 2
            grid = np.geomspace(min(low, high / 10), high, _TABLE)
            grids.append(np.concatenate([-grid[::-1] if both else grid[:0], np.zeros(1), grid]))
        self.table = np.stack([part.ravel() for part in np.meshgrid(*grids, indexing="ij")], axis=1)
        m, n = len(self.table), self.problem.n_bins
        state = np.where(self.rules.required, 1, np.where(self.rules.possible, 0, -1))
        c, d = self.table[:, 0, None], self.table[:, 1, None]
        linear = self.s - c * self.b - d * own
        constant = np.zeros(m)
        self.table_relaxed = np.zeros((m, 0))
        if self.covariance is not None:
            self.table_relaxed = self.climbed(
                np.broadcast_to(state, (m, n)),
                linear,
                d,
                np.broadcast_to(np.clip(state + 0.2, 0, 1), (m, n)),
                _DESCENT_TABLE,
            )
            push = self.table_relaxed @ self.rest
            linear = linear - 2 * d * push
            constant = self.table[:, 1] * np.einsum("ij,ij->i", self.table_relaxed, push)
        taken = np.where(state > 0, linear, np.where(state == 0, np.maximum(linear, 0.0), 0.0))
        size = np.abs(linear[:, state >= 0]).sum(axis=1) + np.abs(constant)
        self.table_value = taken.sum(axis=1) + constant + ROUNDING * size

    def started(self, cells: Cells) -> Cells:
        """Cells with the multipliers of the table, where they bound the signal better than the parents'."""
        value = (
            self.table_value
            + np.where(self.table[:, 0] > 0, cells.high[:, _B, None], cells.low[:, _B, None])
            * self.table[:, 0]
            + cells.high[:, _V, None] * self.table[:, 1]
        )
        pick = np.argmin(value, axis=1)
        best = value[np.arange(len(cells)), pick]
        rows = np.flatnonzero(best < cells.signal * (1 - 1e-3))
        t, relaxed, signal = cells.multipliers.copy(), cells.relaxed.copy(), cells.signal.copy()
        t[rows] = 0.0
        t[rows, :2] = self.table[pick[rows]]
        if self.covariance is not None:
            relaxed[rows] = self.table_relaxed[pick[rows]]
        signal[rows] = best[rows]
        return replace(cells, multipliers=t, relaxed=relaxed, signal=signal)

    # --- where the search starts ----------------------------------------------------------------------------

    def roots(self) -> Cells:
        """Everything: sets with a background, and sets without."""
        rules, n = self.rules, self.problem.n_bins
        state = np.where(rules.required, 1, np.where(rules.possible, 0, -1)).astype(np.int8)
        empty = self.b == 0
        states, lows, highs = [], [], []
        inside = self.b[(state >= 0) & ~empty]
        if inside.size:
            least = max(
                float(inside.min()),
                rules.min_background * (1 - 1e-9),
                float(self.b[state == 1].sum()) * (1 - 1e-9),
            )
            states.append(state)
            lows.append([least, 0.0, 0.0])
            highs.append([float(inside.sum()), np.inf, np.inf])
        if not (rules.required & ~empty).any() and rules.min_background == 0 and (empty & (state >= 0)).any():
            states.append(np.where(empty, state, -1).astype(np.int8))
            lows.append([0.0, 0.0, 0.0])
            highs.append([0.0, np.inf, np.inf])
        m = len(states)
        width = n if self.covariance is not None else 0
        return Cells(
            np.array(lows).reshape(m, 3),
            np.array(highs).reshape(m, 3),
            np.array(states, dtype=np.int8).reshape(m, n),
            np.zeros((m, 6)),
            np.full((m, width), 0.5),
            np.full(m, np.inf),
            np.full(m, np.inf),
            np.full(m, np.inf),
        )

    def begun(self, cells: Cells) -> Cells:
        """The first boxes, cut into a grid: ends differ by a few times."""
        cells = self.tightened(cells)
        for j, ratio in ((_B, 2.0), (_V, 3.0)):
            parts = []
            for i in range(len(cells)):
                low, high = float(cells.low[i, j]), float(cells.high[i, j])
                pieces = int(np.ceil(np.log(high / low) / np.log(ratio))) if high > low > 0 else 1
                edges = np.geomspace(low, high, pieces + 1) if pieces > 1 else np.array([low, high])
                some = cells.take(np.full(pieces, i))
                some.low[:, j], some.high[:, j] = edges[:-1], edges[1:]
                parts.append(some)
            for part in parts[1:]:
                parts[0] = parts[0].join(part)
            cells = parts[0] if parts else cells
        return self.bounded(cells)

    # --- bounding -------------------------------------------------------------------------------------------

    def tightened(self, cells: Cells) -> Cells:
        """Boxes within what the bins allow; those that hold nothing are left out."""
        low, high, state = cells.low.copy(), cells.high.copy(), cells.state.copy()
        wide = 1e-9
        exact = (_B, _V, _D) if self.covariance is None else (_B,)
        chosen = (state > 0).astype(np.float64)
        # A bin that alone is too much for the box is out.
        own = [] if self.covariance is None else [(_V, self.own)]
        if self.curved_down:
            own.append((_D, self.x))
        for j, row in [(j, self.rows[j]) for j in exact] + own:
            left = high[:, j] * (1 + wide) - chosen @ row * (1 - wide)
            state[(state == 0) & (row[None, :] > left[:, None])] = -1
        possible = (state >= 0).astype(np.float64)
        for j in exact:
            low[:, j] = np.maximum(low[:, j], chosen @ self.rows[j] * (1 - wide))
            high[:, j] = np.minimum(high[:, j], possible @ self.rows[j] * (1 + wide))
        if self.covariance is not None:
            positive = np.maximum(self.covariance, 0.0)
            most = np.einsum("ij,ij->i", possible @ positive, possible)
            high[:, _V] = np.minimum(high[:, _V], most * (1 + wide))
            if self.curved_down:
                positive = np.maximum(self.rest_down + np.diag(self.x), 0.0)
                most = np.einsum("ij,ij->i", possible @ positive, possible)
                low[:, _D] = np.maximum(low[:, _D], chosen @ self.x * (1 - wide))
            else:
                most = possible @ self.x
            high[:, _D] = np.minimum(high[:, _D], most * (1 + wide))
            # What is left without the own variances of the bins is a covariance, too.
            low[:, _V] = np.maximum(low[:, _V], chosen @ self.own * (1 - wide))
        # A set has a bin with signal.
        useful = (state >= 0) & (self.s > 0)
        single = np.where(useful, self.rows[_V] if self.covariance is None else self.own, np.inf).min(axis=1)
        low[:, _V] = np.maximum(low[:, _V], single * (1 - wide))
        if self.covariance is not None:
            rows = np.flatnonzero(low[:, _V] == 0)
            if rows.size:
                # Every bin adds its variance less what negative covariances with possible bins take away.
                negative = np.maximum(-self.covariance, 0.0)
                added = np.diag(self.covariance) - possible[rows] @ negative
                least = np.where(useful[rows], added, np.inf).min(axis=1)
                safe = ((added >= 0) | (state[rows] < 0)).all(axis=1)
                low[rows, _V] = np.where(safe, least * (1 - wide), 0.0)
        least, largest = self.downward.between(low[:, _V], high[:, _V], possible, high[:, _B])
        if self.covariance is not None and not self.curved_down:
            # The sum of the downward uncertainties is at least that of the set.
            least, largest = np.sqrt(least), np.full_like(largest, np.inf)
        low[:, _D], high[:, _D] = np.maximum(low[:, _D], least), np.minimum(high[:, _D], largest)
        count = chosen.sum(axis=1), possible.sum(axis=1)
        fine = (
            (low <= high).all(axis=1) & (count[0] <= self.rules.most) & (count[1] >= max(self.rules.least, 1))
        )
        moved = replace(cells, low=low, high=high, state=state)
        return moved if fine.all() else moved.take(fine)

    def bounded(self, cells: Cells) -> Cells:
        """Cells with their bounds, without those that no better set is in; bins are fixed on the way."""
        cells = self.enumerated(self.tightened(cells))
        if not len(cells):
            return cells
        scores, cells = self.signal_at_most(cells)
        signal = cells.signal
        fine = signal >= max(self.rules.min_signal * (1 - 1e-9), 1e-300)
        bound = np.where(fine, self.at_most(np.maximum(signal, 1e-300), self.ranges(cells), self.target), 0.0)
        bound = np.minimum(bound, cells.bound)
        cells = replace(cells, bound=bound)
        rows = np.flatnonzero((bound > self.target) & (not self.slow))
        bound[rows] = np.minimum(bound[rows], self.in_pieces(cells.take(rows), np.zeros(rows.size)))
        self.offer(cells, scores, bound)
        keep = bound > self.target
        if self.record is not None:
            self.record.append(replace(cells, bound=bound).take(~keep))
            return replace(cells, bound=bound).take(keep)
        cells = replace(cells, bound=bound).take(keep)
        return self.fixed(cells, scores[keep]) if len(cells) else cells

    def in_pieces(self, cells: Cells, less: FloatArray) -> FloatArray:
        """The bound of the figure over pieces of every box, with less signal by so much; its multipliers bound the signal of each."""
        parts = []
        steps = np.linspace(0.0, 1.0, _PIECES + 1)
        ends = [
            cells.low[:, j, None] + (cells.high[:, j] - cells.low[:, j])[:, None] * steps for j in (_B, _V)
        ]
        for i, k in itertools.product(range(_PIECES), repeat=2):
            low, high = cells.low.copy(), cells.high.copy()
            for j, end, at in ((_B, ends[0], i), (_V, ends[1], k)):
                low[:, j], high[:, j] = end[:, at], end[:, at + 1]
            low[:, _V] = np.maximum(low[:, _V], 0.0)
            signal = cells.linear.copy()
            for j in (_B, _V):
                t = cells.multipliers[:, j]
                # The bound on the signal is linear in the end of the box that it holds for.
                gain = np.where(t > 0, t * (cells.high[:, j] - high[:, j]), t * (cells.low[:, j] - low[:, j]))
                signal -= np.maximum(gain, 0.0) * (1 - 1e-9)
            signal = np.minimum(signal, cells.signal)
            parts.append((np.maximum(signal - less, 1e-300), self.ranges(replace(cells, low=low, high=high))))
        together = Ranges(*(np.concatenate([getattr(r, f.name) for _, r in parts]) for f in fields(Ranges)))
        values = self.at_most(np.concatenate([s for s, _ in parts]), together, self.target)
        return np.asarray(values.reshape(len(parts), -1).max(axis=0))

    def enumerated(self, cells: Cells) -> Cells:
        """Cells without those that have few free bins, all sets of which are tried."""
        few = (cells.state == 0).sum(axis=1) <= _FEW
        if not few.any():
            return cells
        # Different boxes of the same bins hold the same sets.
        for state in np.unique(cells.state[few], axis=0):
            for sets in every_set(state > 0, state >= 0):
                self.evaluate(sets)
        if self.record is not None:
            self.record.append(cells.take(few))
        return cells.take(~few)

    def ranges(self, cells: Cells) -> Ranges:
        """What the figure of merit needs of the boxes."""
        up, most_up = (np.sqrt(np.maximum(end[:, _V], 0.0)) for end in (cells.low, cells.high))
        if self.covariance is None or self.curved_down:
            least, down = (np.sqrt(np.maximum(end[:, _D], 0.0)) for end in (cells.low, cells.high))
        else:
            least, down = np.zeros(len(cells)), cells.high[:, _D]
        low, high = cells.low[:, _B], cells.high[:, _B]
        return Ranges(low, high, up, np.minimum(down, high), most_up, np.minimum(least, low))

    def signal_at_most(self, cells: Cells) -> tuple[FloatArray, Cells]:
        """Scores of the bins, and the cells with their multipliers, tangents and bounds on the signal."""
        cells = self.started(cells)
        free, chosen = cells.state == 0, cells.state > 0
        m = len(cells)
        roots = np.sqrt(np.maximum(cells.low[:, [_V, _D]], 0.0)) * (1 - 1e-9)
        low = np.concatenate([cells.low, np.full((m, 1), float(self.rules.least)), roots], axis=1)
        high = np.concatenate(
            [cells.high, np.full((m, 1), float(self.rules.most)), np.full((m, 2), np.inf)], axis=1
        )
        t, relaxed = cells.multipliers.copy(), cells.relaxed
        base = high.copy()
        if self.covariance is not None:
            low[:, _V] = -np.inf
            if self.curved_down:
                low[:, _D] = -np.inf
            else:
                # The sum of downward uncertainties is at least that of the set, so only the lower end is a condition.
                high[:, _D] = np.inf
        rows = [np.broadcast_to(row, free.shape) for row in self.rows]
        order = [_B, _V, _K, _D] if self.sized else [_B, _V, _D]
        if self.curved_down:
            rows += [np.broadcast_to(row, free.shape) for row in self.roots_of]
            order += [_RV, _RD]
        for _ in range(1 if self.covariance is None else _ROUNDS):
            if self.covariance is not None:
                relaxed = self.descend(cells, t, relaxed)
                push = relaxed @ self.rest
                rows[_V] = self.own + 2 * push
                high[:, _V] = base[:, _V] + np.einsum("ij,ij->i", relaxed, push)
                if self.curved_down:
                    push = relaxed @ self.rest_down
                    rows[_D] = self.x + 2 * push
                    high[:, _D] = base[:, _D] + np.einsum("ij,ij->i", relaxed, push)
            inside = [np.where(chosen, row, 0.0).sum(axis=1) for row in rows]
            scores = self.s - sum(t[:, j, None] * rows[j] for j in order)
            for j in order:
                scores = self.swept(
                    j, t, scores, rows[j], free, high[:, j] - inside[j], low[:, j] - inside[j]
                )
            scores = self.traded(t, scores, rows, free, high[:, :3] - np.array(inside[:3]).T)
            if self.covariance is None:
                scores = self.along_edges(t, scores, rows, free, (low, high), np.array(inside[:2]).T)
            for j in (_B, _V):
                scores = self.swept(
                    j, t, scores, rows[j], free, high[:, j] - inside[j], low[:, j] - inside[j]
                )
        # Without what rounding left of many steps.
        scores = np.asarray(self.s - sum(t[:, j, None] * rows[j] for j in order))
        ends = np.where(t > 0, high, low)
        parts = np.where(t != 0, t * np.where(np.isfinite(ends), ends, 0.0), 0.0)
        taken = np.where(chosen, scores, np.where(free, np.maximum(scores, 0.0), 0.0))
        signal = taken.sum(axis=1) + parts.sum(axis=1)
        size = (
            np.where(free | chosen, np.abs(scores), 0.0).sum(axis=1)
            + np.abs(parts).sum(axis=1)
            + float(self.s.sum())
        )
        linear = signal + ROUNDING * size
        best = np.maximum(np.minimum(linear, cells.signal), 0.0)
        return scores, replace(cells, multipliers=t, relaxed=relaxed, linear=linear, signal=best)

    def swept(
        self,
        j: int,
        t: FloatArray,
        scores: FloatArray,
        row: FloatArray,
        free: BoolArray,
        high: FloatArray,
        low: FloatArray,
    ) -> FloatArray:
        """Scores with the best multiplier of one sum, the others as they are."""
        base = scores + t[:, j, None] * row
        t[:, j] = _best_multiplier(base, row, free, high, low)
        return np.asarray(base - t[:, j, None] * row)

    def traded(
        self, t: FloatArray, scores: FloatArray, rows: list[FloatArray], free: BoolArray, left: FloatArray
    ) -> FloatArray:
        """Scores with more of one and less of the other multiplier of background and variance, what they cost the same."""
        fine = (t[:, _B] > 0) & (t[:, _V] > 0) & (left[:, _B] > 0) & (left[:, _V] > 0)
        price = np.where(fine, left[:, _B] / np.where(fine, left[:, _V], 1.0), 0.0)
        row = rows[_B] - price[:, None] * rows[_V]
        nothing = np.zeros(len(t))
        move = _best_multiplier(scores, row, free & fine[:, None], nothing, nothing)
        move = np.where(fine, np.clip(move, -t[:, _B], t[:, _V] / np.where(price > 0, price, 1.0)), 0.0)
        t[:, _B] += move
        t[:, _V] = np.maximum(t[:, _V] - price * move, 0.0)
        return np.asarray(scores - move[:, None] * row)

    def along_edges(
        self,
        t: FloatArray,
        scores: FloatArray,
        rows: list[FloatArray],
        free: BoolArray,
        ends: tuple[FloatArray, FloatArray],
        inside: FloatArray,
    ) -> FloatArray:
        """Scores with multipliers of background and variance moved along edges of the bound, on which one bin after the other scores zero.

        No single multiplier improves in a corner of a piecewise linear function, where an edge may still fall.
        """
        last = np.full(len(t), -1)
        for _ in range(_EDGES):
            fine = (t[:, _B] != 0) & (t[:, _V] > 0)
            useful = free & (rows[_V] > 0) & (self.s > 0)
            near = np.where(useful, np.abs(scores) / np.where(self.s > 0, self.s, 1.0), np.inf)
            near[np.arange(len(t)), last] = np.where(last >= 0, np.inf, near[np.arange(len(t)), last])
            last = np.argmin(near, axis=1)
            i = (np.arange(len(t)), last)
            fine &= np.isfinite(near[i])
            price = np.where(fine, rows[_B][i] / np.where(rows[_V][i] > 0, rows[_V][i], 1.0), 0.0)
            row = rows[_B] - price[:, None] * rows[_V]
            low, high = (end[:, :2] - inside for end in ends)
            left = np.where(t[:, :2] > 0, high, low)
            end = np.where(fine, left[:, _B] - price * np.where(fine, left[:, _V], 0.0), 0.0)
            move = _best_multiplier(scores, row, free & fine[:, None], end, end)
            # The ends that count are others beyond zero.
            most = t[:, _V] / np.where(price > 0, price, 1e-300)
            down, up = np.where(t[:, _B] > 0, -t[:, _B], -np.inf), np.where(t[:, _B] < 0, -t[:, _B], np.inf)
            move = np.where(fine, np.clip(move, down, np.minimum(up, most)), 0.0)
            t[:, _B] += move
            t[:, _V] = np.maximum(t[:, _V] - price * move, 0.0)
            scores = scores - move[:, None] * row
        return scores

    def descend(self, cells: Cells, t: FloatArray, relaxed: FloatArray) -> FloatArray:
        """Fractions near the largest score with the tangents' quadratic, from where the parents' were."""
        w = np.where(cells.state > 0, 1.0, np.where(cells.state < 0, 0.0, relaxed))
        d = np.maximum(t[:, _V, None], 1e-300)
        linear = (
            self.s
            - t[:, _B, None] * self.b
            - d * self.own
            - t[:, _D, None] * self.x
            - (t[:, _K, None] if self.sized else 0.0)
        )
        if self.curved_down:
            linear = linear - t[:, [_RV, _RD]] @ self.roots_of
        curved = t[:, _V, None] > 0
        if self.curved_down:
            curved = curved | (t[:, _D, None] > 0)
        return np.where(curved, self.climbed(cells.state, linear, d, w, _DESCENT, t[:, _D, None]), w)

    def climbed(
        self,
        state: np.ndarray,
        linear: FloatArray,
        d: FloatArray,
        start: FloatArray,
        steps: int,
        e: FloatArray | None = None,
    ) -> FloatArray:
        """Fractions w that nearly maximise ``linear @ w - d w' M w``, by accelerated projected gradients; less ``e w' M_down w``."""
        w = ahead = start
        pace = 2 * np.maximum(d, 1e-300) * self.steep
        e = np.maximum(e, 0.0) if e is not None and self.curved_down else None
        if e is not None:
            pace = pace + 2 * e * self.steep_down
        for k in range(steps):
            gradient = linear - 2 * d * (ahead @ self.rest)
            if e is not None:
                gradient -= 2 * e * (ahead @ self.rest_down)
            moved = np.clip(ahead + np.clip(gradient / pace, -1, 1), 0.0, 1.0)
            moved = np.where(state > 0, 1.0, np.where(state < 0, 0.0, moved))
            ahead = np.clip(moved + k / (k + 3) * (moved - w), 0.0, 1.0)
            w = moved
        return w

    # --- splitting ------------------------------------------------------------------------------------------

    def fixed(self, cells: Cells, scores: FloatArray) -> Cells:
        """Fix the bins whose change leaves less signal than the cell needs."""
        slack = cells.bound - self.target
        width = np.sqrt(cells.high[:, _B] + cells.high[:, _V]) + 1.0
        less = np.minimum(1.5 * slack * width, 0.9 * cells.signal)
        if self.covariance is None:
            left = self.in_pieces(cells, less)
        else:
            # With tangents, more cells are settled in the same time by one bound of the whole box.
            left = self.at_most(np.maximum(cells.signal - less, 1e-300), self.ranges(cells), self.target)
        margin = np.where(left <= self.target, less * (1 + 1e-9), np.inf)
        free = cells.state == 0
        state = cells.state.copy()
        # Scores say what a change costs of the bound that these multipliers give.
        margin = (margin + cells.linear - cells.signal)[:, None]
        state[free & (scores < -margin)] = -1
        state[free & (scores > margin)] = 1
        return replace(cells, state=state)

    def split(self, cells: Cells) -> Cells:
        """Both halves of every cell."""
        cells = self.tightened(cells)
        if not len(cells):
            return cells
        loss, pick = self.losses(cells)
        where = np.argmax(loss, axis=1)
        lower, upper = (
            Cells(*(getattr(cells, field.name).copy() for field in fields(cells))) for _ in range(2)
        )
        rows = np.arange(len(cells))
        for j in (_B, _V, _D):
            some = rows[where == j]
            first, last = cells.low[some, j], cells.high[some, j]
            middle = np.where(
                last > 4 * first, np.maximum(np.sqrt(first * last), last / 8), (first + last) / 2
            )
            lower.high[some, j], upper.low[some, j] = middle, middle
        some = rows[where == 3]
        lower.state[some, pick[some]], upper.state[some, pick[some]] = -1, 1
        return lower.join(upper)

    def losses(self, cells: Cells) -> tuple[FloatArray, IntArray]:
        """Roughly what each of the dimensions costs in signal, then the bins; and the bin to split at."""
        t, width = cells.multipliers, cells.high - cells.low
        z = np.minimum(np.maximum(cells.bound, 0.3), 20.0)
        sigma = np.sqrt(cells.high[:, _B] + cells.high[:, _V]) + 0.1
        loss = np.zeros((len(cells), 4))
        loss[:, _B] = width[:, _B] * (1 + np.abs(t[:, _B]))
        loss[:, _V] = width[:, _V] * (np.abs(t[:, _V]) + z / (2 * sigma))
        if self.covariance is not None:
            loss[:, :2] /= _PIECES
        loss[:, _D] = width[:, _D] * np.abs(t[:, _D])
        if self.least_down:
            loss[:, _D] += width[:, _D] / (2 * sigma)
            few = np.flatnonzero(cells.low[:, _B] < _JUMPS)
            loss[few, _D] += self.gained(cells.take(few))
        else:
            loss[:, _D] += self.below(cells, sigma)
        loss[:, :3] = np.where(width > 1e-9 * cells.high, loss[:, :3], 0.0)
        free = cells.state == 0
        if self.covariance is None:
            scores = self.s - t[:, :4] @ np.concatenate(
                [self.rows[:3], (self.rows[3] if self.sized else 0 * self.rows[3])[None]]
            )
            near = np.where(free, self.s * (np.abs(scores) <= 1e-7 * (self.s + 1e-300) + 1e-12), 0.0)
            pick = np.argmax(near, axis=1)
            loss[:, 3] = 0.25 * near[np.arange(len(cells)), pick]
            none = loss[:, 3] == 0
            pick[none] = np.argmax(np.where(free, self.s - np.abs(scores), -np.inf), axis=1)[none]
        else:
            w = cells.relaxed
            spread = np.where(free, t[:, _V, None] * np.diag(self.rest) * w * (1 - w) + 1e-9 * self.s, 0.0)
            pick = np.argmax(spread, axis=1)
            loss[:, 3] = spread.sum(axis=1)
        loss[:, 3] += 1e-5 * cells.signal
        return np.where(free.any(axis=1)[:, None] | (np.arange(4) < 3), loss, -1.0), pick

    def below(self, cells: Cells, sigma: FloatArray) -> FloatArray:
        """What not knowing the downward uncertainty costs, in signal."""
        ranges = self.ranges(cells)
        p, part = midp_at_least(cells.signal, ranges)
        down = np.sqrt(cells.low[:, _D]) if self.covariance is None else cells.low[:, _D]
        other = replace(ranges, down=np.minimum(down, ranges.high))
        more = midp_at_least(cells.signal, other)[1] - part
        z = -special.ndtri(np.clip(p, 1e-300, 0.5))
        gain = np.log1p(np.maximum(more, 0.0) / np.maximum(p, 1e-300)) / np.maximum(z, 0.5)
        return np.asarray(gain * sigma)

    def gained(self, cells: Cells) -> FloatArray:
        """What knowing the downward uncertainty would gain of the bound, in signal: a median count may jump with it."""
        found = []
        for end, other in ((cells.low, "high"), (cells.high, "low")):
            ends = getattr(cells, other).copy()
            ends[:, _D] = end[:, _D]
            found.append(self.ranges(replace(cells, **{other: ends})))
        together = Ranges(*(np.concatenate([getattr(r, f.name) for r in found]) for f in fields(Ranges)))
        signal = np.tile(np.maximum(cells.signal, 1e-300), 2)
        bounds = self.at_most(signal, together, self.target).reshape(2, -1).mean(axis=0)
        return np.asarray(cells.signal * (1 - bounds / cells.bound).clip(0.0))

    # --- incumbents -----------------------------------------------------------------------------------------

    def offer(self, cells: Cells, scores: FloatArray, bound: FloatArray) -> None:
        """Try what the multipliers of the best cells would take."""
        best = np.argsort(-bound, kind="stable")[:_OFFERED]
        free = scores[best] > 0 if self.covariance is None else cells.relaxed[best] > 0.5
        sets = (cells.state[best] > 0) | ((cells.state[best] == 0) & free)
        self.evaluate(sets)

    def evaluate(self, sets: BoolArray) -> None:
        """Try sets; where that takes long, those that their bound leaves open."""
        if self.slow:
            evaluate_open(self.archive, self.at_most, sets)
            if self.archive.found:
                self.value = max(self.value, self.archive.top)
        else:
            self.value = max(self.value, float(self.archive.evaluate(sets).max(initial=0.0)))


def _best_multiplier(
    base: FloatArray, row: FloatArray, free: BoolArray, high: FloatArray, low: FloatArray
) -> FloatArray:
    """Minimise ``sum_free (base - t row)^+ + t end`` over t for every cell; the end is `high` for t > 0, `low` for t < 0."""
    steps = np.where(free, np.abs(row), 0.0)
    turns = np.where(steps > 0, base / np.where(row != 0, row, 1.0), np.inf)
    order = np.argsort(turns, axis=1)
    rising = np.cumsum(np.take_along_axis(steps, order, axis=1), axis=1)
    positive = np.where(free, np.maximum(row, 0.0), 0.0).sum(axis=1)
    found = np.zeros(len(base))
    last = np.maximum((steps > 0).sum(axis=1) - 1, 0)
    # An upper end pushes t up from zero, a lower end down.
    for end, sign in ((high, 1.0), (low, -1.0)):
        short = positive - end
        at = np.minimum((rising < short[:, None] * (1 - 1e-13)).sum(axis=1), last)
        turn = np.take_along_axis(turns, np.take_along_axis(order, at[:, None], axis=1), axis=1)[:, 0]
        useful = np.isfinite(turn) & np.isfinite(end) & (sign * turn > 0)
        found = np.where(useful & (found == 0), turn, found)
    return found


def evaluate_open(
    archive: Archive, at_most: Callable[[FloatArray, Ranges, float], FloatArray], sets: BoolArray
) -> None:
    """Evaluate those of some sets that may be better than the best of an archive, by the bound of each set's own sums.

    Parameters
    ----------
    archive : Archive
    at_most : callable
        As in `cell_bound`.
    sets : ndarray of bool, shape (n_sets, n_bins)
    """
    for first in range(0, len(sets), _BATCH):
        some = sets[first : first + _BATCH]
        totals = archive.problem.totals(some)
        rows = np.flatnonzero((totals.signal > 0) & ((totals.background > 0) | (totals.up > 0)))
        totals = totals.take(rows)
        best = archive.top if archive.found else 0.0
        bound = at_most(totals.signal, Ranges.points(totals), best)
        archive.evaluate(some[rows[bound > best * (1 + 1e-12)]])


def cell_bound(
    archive: Archive,
    at_most: Callable[[FloatArray, Ranges, float], FloatArray],
    rules: Rules,
    limits: Limits,
    *,
    least_down: bool = False,
    record: list[Cells] | None = None,
) -> Certificate:
    """Prove how good the best set of an archive is, improving it on the way.

    Parameters
    ----------
    archive : Archive
        Holds the best set known; receives every set that is tried.
    at_most : callable
        ``at_most(signal, ranges, enough)``: a bound on the figure of merit of a signal with backgrounds of a range, rising with the
        signal; it need not be below `enough`.
    rules : Rules
        What sets are allowed. Overlaps of regions are left out of the proof: a bound on more sets is one on these.
    limits : Limits
        When to stop; `Limits.gap` is the gap that counts as certified.
    least_down : bool
        Whether less downward uncertainty makes the figure larger, as for limits, and not more, as for significances: which end of it
        is bounded well. The bound is true either way.
    record : list, optional
        Receives the cells that were settled, those of few free bins with the bound of their parents, for a second opinion: every
        set is in one of them. Bins are then not fixed on the way, which takes longer.

    Returns
    -------
    Certificate
    """
    search = _Search(archive, at_most, rules, limits, least_down=least_down)
    search.record = record
    return search.run()
