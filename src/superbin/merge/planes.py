r"""A proved bound with correlations: planes above the signal of every set, and a tree over bins.

For multipliers c and d >= 0, fractions w_0, and own variances o such that ``M = C - diag(o)`` is positive semidefinite, every set of bins
with background B and variance V has a signal of at most

    f + c B + d V,   f = sum_i max(s_i - c b_i - d (o_i + 2 (M w_0)_i), 0) + d w_0' M w_0,

because ``w' C w >= o' w + 2 w_0' M w - w_0' M w_0``. The best w_0 is where ``(s - c b - d o)' w - d w' M w`` is largest over fractions; the
best c and d make the plane lowest over the worst corner of a box of (B, V). A plane holds for all boxes, so they share planes.

A *box* of (B, V) has the signal that its sets need to be better than the best one known. It is calculated once, from the bound of the
figure of merit over its backgrounds. A *node* is some bins that are chosen, some that are not, and the boxes in which its planes leave more signal
than that. A box is cut where its width costs a good part of the figure. A bin whose change leaves every box too little signal is fixed. Then the node
is split: into two parts of its boxes where they are far apart, else at a bin that its fractions divide, in or out. Own variances are those of
the free bins alone, so that planes get closer the fewer are free.

Bounds are outward by `ROUNDING` of the sums that enter, and by what `superbin.merge.tails` states for p-values.
"""

import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.merge.archive import Archive
from superbin.merge.branch import Certificate, Limits
from superbin.merge.cells import ROUNDING, cell_bound, evaluate_open
from superbin.merge.constraints import Rules
from superbin.merge.downward import DownwardVariance
from superbin.merge.exhaustive import every_set
from superbin.merge.figures import VISIBLE
from superbin.merge.problem import BoolArray, IntArray
from superbin.merge.relax import box_maximum, own_variances
from superbin.merge.tails import Ranges

__all__ = ["Settled", "exact_bound", "plane_bound"]

AtMost: TypeAlias = Callable[[FloatArray, Ranges, float], FloatArray]

_WIDE = 1e-9
_FEW = 8
"""With so few free bins every set is tried."""

_KEPT = 80
"""Planes that a node keeps."""

_TABLE = 9
"""Sizes of each multiplier from which the first planes are made."""

_NEW = 400
"""Boxes that are made before another node has its turn."""

_APART = (1.5, 1.7)
"""Ratios of the ends of all boxes of a node, in background and variance, beyond which they are parted."""

_TOGETHER = 64
_WORST = 0.6
_WIDTH = 0.2
"""Boxes that are cut together, those whose excess is this part of the largest, where their width is this part of it."""

_SPLIT_AGAIN = 0.8
"""Own variances are split off again when the number of free bins has become this part."""

_PARTS = (2.0, 3.0)
"""Ratios of the ends of the first boxes."""

_SMALLEST = 1e-6
_NEEDED_STEPS = 7
_CLOSE = 2e-4
_NEWTON_STEPS, _DAMPED_STEPS = 12, 4
_MEMORY = 4e8
"""Bytes of open nodes and boxes; beyond, the search ends with the bound it has."""


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """Boxes of a node that hold no better set, with the plane of each, for a second opinion; arrays over boxes.

    Attributes
    ----------
    state : ndarray of int8, shape (n_bins,)
        1 for bins that are chosen, -1 for bins that are not, 0 for free ones.
    low, high : ndarray, shape (n_boxes, 2)
        Background and upward variance.
    c, d : ndarray, shape (n_boxes,)
        Multipliers.
    fractions, own : ndarray, shape (n_boxes, n_bins)
        Where the tangent touches, and the own variances; of chosen bins 1 and 0. Empty where every set was tried.
    """

    state: np.ndarray
    low: FloatArray
    high: FloatArray
    c: FloatArray
    d: FloatArray
    fractions: FloatArray
    own: FloatArray


class _Boxes:
    """Boxes of background and variance that all nodes share, with the signal that a better set in them needs."""

    def __init__(
        self,
        at_most: AtMost,
        down_between: Callable[[FloatArray, FloatArray, FloatArray], tuple[FloatArray, FloatArray]],
    ) -> None:
        self.at_most, self.down_between = at_most, down_between
        self.low, self.high, self.down = (np.zeros((0, 2)) for _ in range(3))
        # Signals that are known to be too little and not known to be, and the bounds on the figure there.
        self.known, self.beyond, self.at_known, self.at_beyond = (np.zeros(0) for _ in range(4))
        self.children = np.zeros(0, dtype=np.intp)

    def __len__(self) -> int:
        return len(self.low)

    def add(self, low: FloatArray, high: FloatArray) -> IntArray:
        """New boxes; returns their rows."""
        first, n = len(self.low), len(low)
        self.low, self.high = np.concatenate([self.low, low]), np.concatenate([self.high, high])
        down = np.stack(self.down_between(low[:, 1], high[:, 1], high[:, 0]), axis=1)
        self.down = np.concatenate([self.down, down])
        self.known = np.concatenate([self.known, np.zeros(n)])
        self.beyond = np.concatenate([self.beyond, np.full(n, np.inf)])
        self.at_known = np.concatenate([self.at_known, np.zeros(n)])
        self.at_beyond = np.concatenate([self.at_beyond, np.full(n, np.inf)])
        self.children = np.concatenate([self.children, np.full(n, -1, dtype=np.intp)])
        return np.arange(first, first + n)

    def ranges(self, rows: IntArray) -> Ranges:
        """What the figure of merit needs of boxes."""
        low, high = self.low[rows], self.high[rows]
        up, most_up = (np.sqrt(np.maximum(end[:, 1], 0.0)) for end in (low, high))
        least, down = (np.sqrt(np.maximum(self.down[rows, j], 0.0)) for j in (0, 1))
        return Ranges(
            low[:, 0], high[:, 0], up, np.minimum(down, high[:, 0]), most_up, np.minimum(least, low[:, 0])
        )

    def figure(self, rows: IntArray, signal: FloatArray, enough: float) -> FloatArray:
        """The bound on the figure of merit of sets with so much signal."""
        return self.at_most(np.maximum(signal, 1e-300), self.ranges(rows), enough)

    def need(self, rows: IntArray, signal: FloatArray, target: float) -> FloatArray:
        """Signal with which no set of a box exceeds the target, nearly as much as there is where it is less than `signal`."""
        at = np.arange(rows.size)
        for step in range(_NEEDED_STEPS):
            i = rows[at]
            far = self.beyond[i] > self.known[i] * (1 + _CLOSE)
            at = at[(signal[at] > self.known[i]) & far]
            if not at.size:
                break
            i = rows[at]
            known = self.known[i] > 0
            with np.errstate(divide="ignore", invalid="ignore"):
                a, b = np.log(self.known[i]), np.log(self.beyond[i])
                below, above = np.log(self.at_known[i] / target), np.log(self.at_beyond[i] / target)
                line = a - below * (b - a) / (above - below)
                line = np.where(np.isfinite(line) & (step <= _NEEDED_STEPS // 2), line, (a + b) / 2)
                inside = np.clip(line, a + 0.02 * (b - a), b - 0.02 * (b - a)) - 0.3 * _CLOSE
                guess = np.exp(np.where(known, inside, b - 1.2 * above - _CLOSE))
            trial = np.where(np.isfinite(self.beyond[i]), guess, signal[at])
            value = self.figure(i, trial, target)
            fine = value <= target
            better = fine & (trial > self.known[i])
            self.known[i] = np.where(better, trial, self.known[i])
            self.at_known[i] = np.where(better, value, self.at_known[i])
            self.beyond[i] = np.where(fine, self.beyond[i], trial)
            self.at_beyond[i] = np.where(fine, self.at_beyond[i], value)
        return self.known[rows]

    def halves(self, rows: IntArray, along: IntArray) -> IntArray:
        """Both halves of each box, those of an earlier cut if there was one."""
        fresh = self.children[rows] < 0
        i, j = rows[fresh], along[fresh]
        if i.size:
            k = 2 * np.arange(i.size)
            low, high = np.repeat(self.low[i], 2, axis=0), np.repeat(self.high[i], 2, axis=0)
            first, last = self.low[i, j], self.high[i, j]
            middle = np.where(
                last > 4 * first, np.maximum(np.sqrt(first * last), last / 8), (first + last) / 2
            )
            high[k, j], low[k + 1, j] = middle, middle
            self.children[i] = self.add(low, high)[::2]
            for half in (0, 1):
                new = self.children[i] + half
                self.known[new], self.at_known[new] = self.known[i], self.at_known[i]
        return np.concatenate([self.children[rows], self.children[rows] + 1])


@dataclass(frozen=True, slots=True, eq=False)
class _Planes:
    """Planes of one node, arrays over planes.

    Attributes
    ----------
    scores : ndarray, shape (n_planes, n_bins)
        What each free bin adds.
    constant, c, d : ndarray, shape (n_planes,)
    size : ndarray, shape (n_planes,)
        Sum of the magnitudes that enter, for rounding.
    fractions : ndarray, shape (n_planes, n_bins)
    shares : ndarray of int, shape (n_planes,)
        Which own variances were split off.
    """

    scores: FloatArray
    constant: FloatArray
    c: FloatArray
    d: FloatArray
    size: FloatArray
    fractions: FloatArray
    shares: IntArray

    def __len__(self) -> int:
        return len(self.c)

    @classmethod
    def none(cls, n_bins: int) -> "_Planes":
        nothing, empty = np.zeros(0), np.zeros((0, n_bins))
        return cls(empty, nothing, nothing, nothing, nothing, empty, np.zeros(0, dtype=np.intp))

    @classmethod
    def joined(cls, parts: "list[_Planes]") -> "_Planes":
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def take(self, rows: IntArray) -> "_Planes":
        return _Planes(*(getattr(self, f.name)[rows] for f in fields(self)))


@dataclass(slots=True, eq=False)
class _Node:
    """Some bins chosen, some not; the boxes that are open, with the signal that is left in each."""

    state: np.ndarray
    boxes: IntArray
    signal: FloatArray
    planes: _Planes
    share: int
    split_for: float
    more: bool = False


class _Inside:
    """The free bins of a node, given those that are chosen: sums and matrices of the Lagrangian."""

    def __init__(self, tree: "_Tree", node: _Node) -> None:
        self.free, self.chosen = np.flatnonzero(node.state == 0), np.flatnonzero(node.state > 0)
        free, chosen, covariance = self.free, self.chosen, tree.covariance
        self.s, self.b = tree.s[free], tree.b[free]
        own = tree.shares[node.share][free]
        self.matrix = covariance[np.ix_(free, free)] - np.diag(own)
        self.linear = own + 2 * covariance[np.ix_(free, chosen)].sum(axis=1)
        block = covariance[np.ix_(chosen, chosen)]
        self.signal, self.background = float(tree.s[chosen].sum()), float(tree.b[chosen].sum())
        self.variance, self.magnitude = float(block.sum()), float(np.abs(block).sum())

    def maximum(self, c: float, d: float, start: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """The largest of signal less c times background and d times variance, where it is, and ``M w`` there."""
        linear = self.s - c * self.b - d * self.linear
        w = box_maximum(linear, 2 * d * self.matrix, start)
        pushed = self.matrix @ w
        value = float(linear @ w - d * (w @ pushed))
        return value + self.signal - c * self.background - d * self.variance, w, pushed


class _Tree:
    """One run."""

    def __init__(self, archive: Archive, at_most: AtMost, rules: Rules, limits: Limits) -> None:
        self.archive, self.at_most, self.rules, self.limits = archive, at_most, rules, limits
        problem = archive.problem
        assert problem.covariance_up is not None
        self.covariance = problem.covariance_up
        self.s, self.b, self.n = problem.signal, problem.background, problem.n_bins
        downward = DownwardVariance(problem, rules.possible)
        possible = rules.possible[None, :].astype(np.float64)
        self.boxes = _Boxes(
            at_most, lambda low, high, background: downward.between(low, high, possible, background)
        )
        self.sized = rules.least > 1 or rules.most < int(rules.possible.sum())
        self.value = archive.best[1] if archive.found else 0.0
        self.shares: list[FloatArray] = []
        self.nodes = 0
        self.record: list[Settled] | None = None
        self.deadline = np.inf

    @property
    def target(self) -> float:
        return max(self.value * (1 + self.limits.gap), 1e-290)

    # --- the search -----------------------------------------------------------------------------------------

    def run(self) -> Certificate:
        """Search until nothing is open or a limit is reached."""
        self.deadline = time.perf_counter() + self.limits.seconds
        heap: list[tuple[float, int, _Node]] = []
        count = itertools.count()
        waiting = list(self.roots())
        while True:
            for node in waiting:
                if self.processed(node):
                    heapq.heappush(heap, (-float(self.excess(node).max()), next(count), node))
            if not heap or time.perf_counter() >= self.deadline or self.nodes >= self.limits.nodes:
                break
            if (len(heap) * _KEPT * 20 + len(self.boxes) * 13) * 8 > _MEMORY * max(self.n / 160, 1.0):
                break
            waiting = list(self.parts(heapq.heappop(heap)[2]))
        return self.certificate([node for *_, node in heap])

    def certificate(self, nodes: list[_Node]) -> Certificate:
        """The largest bound of the boxes that are left."""
        most = np.zeros(len(self.boxes))
        for node in nodes:
            np.maximum.at(most, node.boxes, node.signal)
        rows = np.flatnonzero(most > self.boxes.known)
        left = float(self.boxes.figure(rows, most[rows], self.target).max()) if rows.size else 0.0
        return Certificate(max(left, self.target), left <= self.target, self.nodes)

    def roots(self) -> Iterator[_Node]:
        """Everything: sets with a background, and sets without."""
        rules, empty = self.rules, self.b == 0
        state = np.where(rules.required, 1, np.where(rules.possible, 0, -1)).astype(np.int8)
        inside = self.b[(state >= 0) & ~empty]
        if inside.size:
            required = float(self.b[state > 0].sum())
            least = max(float(inside.min()), rules.min_background, required) * (1 - _WIDE)
            yield self.root(state, least, float(inside.sum()) * (1 + _WIDE))
        if not (rules.required & ~empty).any() and rules.min_background == 0 and (empty & (state >= 0)).any():
            yield self.root(np.where(empty, state, -1).astype(np.int8), 0.0, 0.0)

    def root(self, state: np.ndarray, least: float, most: float) -> _Node:
        """All sets with a background between two ends, in a grid of boxes."""
        possible = state >= 0
        block = np.maximum(self.covariance[np.ix_(possible, possible)], 0.0)
        node = _Node(state, np.zeros(0, dtype=np.intp), np.zeros(0), _Planes.none(self.n), -1, np.inf)
        self.shared_again(node)
        # A set has a bin with signal.
        own = self.shares[node.share][possible & (self.s > 0) & (state == 0)]
        lowest = float(own.min()) if own.size and not (state > 0).any() else 0.0
        lowest = max(lowest, self.least_variance(state)) * (1 - _WIDE)
        edges = [
            _edges(first, last, ratio)
            for first, last, ratio in (
                (least, most, _PARTS[0]),
                (lowest, float(block.sum()) * (1 + _WIDE), _PARTS[1]),
            )
        ]
        ends = [np.stack([edge[:-1], edge[1:]], axis=1) for edge in edges]
        pairs = np.array(list(itertools.product(*ends)))
        node.boxes = self.boxes.add(pairs[:, :, 0], pairs[:, :, 1])
        node.signal = np.full(len(pairs), np.inf)
        return node

    def excess(self, node: _Node) -> FloatArray:
        """Logarithm of the signal that is left over that which is needed."""
        ratio = node.signal / np.maximum(self.boxes.known[node.boxes], 1e-300)
        return np.asarray(np.log(np.maximum(ratio, 1e-300)))

    # --- planes -------------------------------------------------------------------------------------------

    def shared_again(self, node: _Node) -> None:
        """Own variances of the free bins alone, where there are clearly fewer than there were."""
        free = np.flatnonzero(node.state == 0)
        if free.size and free.size <= _SPLIT_AGAIN * node.split_for:
            own = np.zeros(self.n)
            own[free] = own_variances(self.covariance[np.ix_(free, free)], np.ones(free.size))
            self.shares.append(own)
            node.share, node.split_for = len(self.shares) - 1, free.size
        elif node.share < 0:
            self.shares.append(np.zeros(self.n))
            node.share = len(self.shares) - 1

    def totals(self, planes: _Planes, state: np.ndarray) -> FloatArray:
        """The most that the scores of each plane add up to in a node, with its constant."""
        free = np.maximum(planes.scores[:, state == 0], 0.0).sum(axis=1)
        chosen = planes.scores[:, state > 0].sum(axis=1)
        return np.asarray(free + chosen + planes.constant + ROUNDING * planes.size)

    def heights(self, planes: _Planes, totals: FloatArray, boxes: IntArray) -> FloatArray:
        """Signal that each plane leaves in each box, shape (n_boxes, n_planes)."""
        low, high = self.boxes.low[boxes], self.boxes.high[boxes]
        part = np.maximum(low[:, :1] * planes.c, high[:, :1] * planes.c)
        other = high[:, 1:] * planes.d
        return np.asarray(totals + (part + other) + ROUNDING * (np.abs(part) + other))

    def first_planes(self, node: _Node) -> _Planes:
        """Planes of multipliers of all useful sizes."""
        inside = _Inside(self, node)
        grids = []
        for row in (inside.b, np.diag(self.covariance)[inside.free]):
            some = (inside.s > 0) & (row > 0)
            ratios = inside.s[some] / row[some] if some.any() else np.ones(1)
            high = float(ratios.max()) * 2
            grids.append(np.geomspace(min(float(np.quantile(ratios, 0.02)) / 10, high / 10), high, _TABLE))
        found = []
        for d in grids[1]:
            w = np.full(inside.free.size, 0.5)
            for c in (*-grids[0][::-1], 0.0, *grids[0]):
                _, w, pushed = inside.maximum(float(c), float(d), w)
                found.append(self.plane(node, inside, float(c), float(d), w, pushed))
        return _Planes.joined(found)

    def lowest_plane(self, node: _Node, box: int) -> _Planes:
        """The lowest plane over the worst corner of a box, by damped Newton steps of its multipliers."""
        inside = _Inside(self, node)
        low, high = self.boxes.low[box], self.boxes.high[box]
        heights = self.heights(node.planes, self.totals(node.planes, node.state), np.array([box]))[0]
        start = int(np.argmin(heights))
        c, d = float(node.planes.c[start]), max(float(node.planes.d[start]), 1e-300)

        def height(c: float, d: float, w: FloatArray) -> tuple[float, FloatArray, FloatArray]:
            value, w, pushed = inside.maximum(c, d, w)
            return value + max(c * low[0], c * high[0]) + d * high[1], w, pushed

        value, w, pushed = height(c, d, node.planes.fractions[start][inside.free])
        damping = 1e-3
        for _ in range(_NEWTON_STEPS):
            background = float(inside.b @ w) + inside.background
            variance = float(inside.linear @ w + w @ pushed) + inside.variance
            end = high[0] if c > 0 or (c == 0 and background > high[0]) else low[0]
            size = max(abs(value), 1e-300)
            scale = np.array([max(abs(c), 1e-2 * size / max(high[0], 1e-9)), d])
            slope = np.array([end - background, high[1] - variance]) * scale
            if c == 0 and low[0] <= background <= high[0]:
                slope[0] = 0.0
            if np.abs(slope).max() < 1e-4 * size:
                break
            curved = self.curvature(inside, d, w, pushed) * np.outer(scale, scale)
            before = value
            for _ in range(_DAMPED_STEPS):
                step = -np.linalg.solve(curved + damping * size * np.eye(2), slope)
                step = np.clip(step, [-2.0, -0.7], 2.0)
                moved = c + step[0] * scale[0], d * (1 + step[1])
                # The worst corner is another one beyond zero.
                trial = (0.0 if c * moved[0] < 0 else moved[0]), moved[1]
                found = height(*trial, w)
                if found[0] < value:
                    (c, d), (value, w, pushed) = trial, found
                    damping = max(damping / 5, 1e-4)
                    break
                damping *= 6
            if value >= before - 1e-5 * size:
                break
        return self.plane(node, inside, float(c), float(d), w, pushed)

    def curvature(self, inside: _Inside, d: float, w: FloatArray, pushed: FloatArray) -> FloatArray:
        """Second derivatives of the maximum in both multipliers, from the bins that are taken in part."""
        partly = np.flatnonzero((w > 1e-9) & (w < 1 - 1e-9))
        nothing = np.zeros((2, 2))
        if not partly.size:
            return nothing
        rows = np.stack([inside.b[partly], (inside.linear + 2 * pushed)[partly]])
        block = 2 * d * inside.matrix[np.ix_(partly, partly)]
        block[np.diag_indices_from(block)] *= 1 + 1e-9
        try:
            found = rows @ np.linalg.solve(block, rows.T)
        except np.linalg.LinAlgError:
            return nothing
        # Whatever step is taken, the plane holds.
        return np.asarray(found) if np.isfinite(found).all() else nothing

    def plane(
        self, node: _Node, inside: _Inside, c: float, d: float, w: FloatArray, pushed: FloatArray
    ) -> _Planes:
        """The plane of these multipliers and fractions, over all sets of a node."""
        scores = inside.s - c * inside.b - d * (inside.linear + 2 * pushed)
        constant = inside.signal - c * inside.background - d * inside.variance + d * float(w @ pushed)
        size = (
            float(self.s.sum())
            + abs(c) * float(self.b.sum())
            + d
            * (inside.magnitude + float(np.abs(inside.linear).sum() + 3 * (np.abs(inside.matrix) @ w).sum()))
        )
        if self.sized:
            scores, added = self.counted(scores, inside.chosen.size)
            constant += added
            size += abs(added) + float(np.abs(scores).sum())
        full, fractions = np.zeros(self.n), np.zeros(self.n)
        full[inside.free], fractions[inside.free], fractions[inside.chosen] = scores, w, 1.0
        one = [np.array([x]) for x in (constant, c, d, size)]
        return _Planes(full[None], *one, fractions[None], np.array([node.share]))  # type: ignore[call-arg]

    def counted(self, scores: FloatArray, chosen: int) -> tuple[FloatArray, float]:
        """Scores less the best price of a bin where their number is limited, and what that adds to the constant."""
        least, most = max(self.rules.least - chosen, 0), max(self.rules.most - chosen, 0)
        count = int((scores > 0).sum())
        wanted = min(max(count, least), most)
        if wanted == count or not scores.size:
            return scores, 0.0
        falling = np.sort(scores)[::-1]
        price = float(falling[wanted] if count > most else falling[min(wanted, scores.size) - 1])
        return scores - price, price * wanted

    # --- nodes --------------------------------------------------------------------------------------------

    def processed(self, node: _Node) -> bool:
        """Work out the boxes and planes of a node, as far as they go; whether anything is left."""
        self.nodes += 1
        node.more = False
        tried: set[int] = set()
        most_boxes = len(self.boxes) + _NEW
        while True:
            self.shared_again(node)
            if self.closed(node):
                return False
            if not len(node.planes):
                node.planes = self.first_planes(node)
            best = self.lowered(node)
            if not node.boxes.size:
                return False
            if time.perf_counter() > self.deadline:
                break
            excess = self.excess(node)
            top = int(np.argmax(excess))
            box = int(node.boxes[top])
            if box not in tried:
                tried.add(box)
                new = self.lowest_plane(node, box)
                node.planes = _Planes.joined([new, node.planes])
                self.evaluate(new.fractions > 0.5)
                if len(node.planes) > 2 * _KEPT:
                    self.prune(node)
                continue
            rows = np.argsort(-excess, kind="stable")[: max(_TOGETHER, excess.size // 4)]
            rows = rows[excess[rows] >= _WORST * excess[top]]
            wide, along = self.wide(node, rows, best[rows])
            if not wide[0]:
                break
            if len(self.boxes) > most_boxes:
                node.more = True
                break
            rows, along = rows[wide], along[wide]
            halves = self.boxes.halves(node.boxes[rows], along)
            rest = np.ones(excess.size, dtype=bool)
            rest[rows] = False
            node.boxes = np.concatenate([node.boxes[rest], halves])
            node.signal = np.concatenate([node.signal[rest], np.tile(node.signal[rows], 2)])
        self.prune(node)
        return True

    def closed(self, node: _Node) -> bool:
        """Whether a node holds no set, or so few that all were tried; leaves out boxes that none is in."""
        state = node.state
        count = int((state > 0).sum()), int((state >= 0).sum())
        if count[0] > self.rules.most or count[1] < max(self.rules.least, 1):
            return True
        low, high = self.boxes.low[node.boxes], self.boxes.high[node.boxes]
        chosen = float(self.b[state > 0].sum()) * (1 - _WIDE)
        keep = (chosen <= high[:, 0]) & (float(self.b[state >= 0].sum()) * (1 + _WIDE) >= low[:, 0])
        keep &= self.least_variance(state) <= high[:, 1]
        node.boxes, node.signal, high = node.boxes[keep], node.signal[keep], high[keep]
        if not node.boxes.size:
            return True
        if self.record is None:
            out = (state == 0) & (self.b > float(high[:, 0].max()) * (1 + _WIDE) - chosen)
            node.state = np.where(out, -1, state).astype(np.int8)
        if int((node.state == 0).sum()) > _FEW:
            return False
        for sets in every_set(node.state > 0, node.state >= 0):
            self.evaluate(sets)
        if self.record is not None:
            nothing, empty = np.zeros(0), np.zeros((0, self.n))
            ends = self.boxes.low[node.boxes], self.boxes.high[node.boxes]
            self.record.append(Settled(node.state, *ends, nothing, nothing, empty, empty))
        return True

    def least_variance(self, state: np.ndarray) -> float:
        """No set of a node has less variance: bins add what negative covariances leave of theirs."""
        chosen, free = np.flatnonzero(state > 0), np.flatnonzero(state == 0)
        covariance = self.covariance
        added = np.diag(covariance)[free] + 2 * covariance[np.ix_(free, chosen)].sum(axis=1)
        added += np.minimum(covariance[np.ix_(free, free)], 0.0).sum(axis=1) - np.minimum(
            np.diag(covariance)[free], 0.0
        )
        least = float(covariance[np.ix_(chosen, chosen)].sum()) + float(np.minimum(added, 0.0).sum())
        # A variance that is zero but for rounding counts as zero.
        return max(least - 1e-9 * float(np.abs(np.diag(covariance)[state >= 0]).sum()), 0.0)

    def lowered(self, node: _Node) -> IntArray:
        """The lowest plane of each box that is left; boxes with too little signal are dropped, and bins are fixed."""
        heights = self.heights(node.planes, self.totals(node.planes, node.state), node.boxes)
        best: IntArray = np.argmin(heights, axis=1)
        lowest = heights[np.arange(best.size), best]
        node.signal = np.minimum(node.signal, lowest)
        needed = self.boxes.need(node.boxes, node.signal, self.target)
        keep = node.signal > np.maximum(needed, 1e-300)
        keep &= node.signal >= self.rules.min_signal * (1 - _WIDE)
        if self.record is not None:
            self.settle(node, ~keep, best)
        node.boxes, node.signal, best = node.boxes[keep], node.signal[keep], best[keep]
        if node.boxes.size and self.record is None:
            least = (lowest[keep] - needed[keep])[:, None] * (1 + _WIDE)
            scores, free = node.planes.scores[best], node.state == 0
            out, into = (free & (sign * scores > least).all(axis=0) for sign in (-1, 1))
            node.state = np.where(out, -1, np.where(into, 1, node.state)).astype(np.int8)
        return best

    def settle(self, node: _Node, some: BoolArray, best: IntArray) -> None:
        """Keep boxes for a second opinion."""
        if self.record is not None and some.any():
            planes = node.planes.take(best[some])
            own = np.array([self.shares[share] for share in planes.shares])
            boxes = node.boxes[some]
            self.record.append(
                Settled(
                    node.state,
                    self.boxes.low[boxes],
                    self.boxes.high[boxes],
                    planes.c,
                    planes.d,
                    planes.fractions,
                    own,
                )
            )

    def prune(self, node: _Node) -> None:
        """Keep the planes that are lowest over most boxes, and the newest."""
        heights = self.heights(node.planes, self.totals(node.planes, node.state), node.boxes)
        used = np.bincount(np.argmin(heights, axis=1), minlength=len(node.planes))
        used[0] += 1
        order = np.argsort(-used, kind="stable")
        node.planes = node.planes.take(np.sort(order[: min(_KEPT, int((used > 0).sum()))]))

    def wide(self, node: _Node, rows: IntArray, best: IntArray) -> tuple[BoolArray, IntArray]:
        """Whether the width of boxes costs a good part of their excess, and along which of both it costs more."""
        signal = node.signal[rows]
        whole = self.boxes.ranges(node.boxes[rows])
        end = np.where(node.planes.c[best] > 0, whole.high, whole.low)
        narrow = (
            replace(
                whole,
                low=end,
                high=end,
                down=np.minimum(whole.down, end),
                least_down=np.minimum(whole.least_down, end),
            ),
            replace(whole, up=whole.most_up),
        )
        with np.errstate(divide="ignore"):
            over, along_b, along_v = (
                np.log(self.at_most(signal, ranges, self.target) / self.target) for ranges in (whole, *narrow)
            )
        return np.minimum(along_b, along_v) < (1 - _WIDTH) * over, (along_v < along_b).astype(np.intp)

    def parts(self, node: _Node) -> Iterator[_Node]:
        """Both halves of a node, or the node again if its boxes are not worked out."""
        low, high = self.boxes.low[node.boxes], self.boxes.high[node.boxes]
        for j, ratio in enumerate(_APART):
            if len(low) > 1 and float(high[:, j].max()) > ratio * float(low[:, j].min()):
                middle = (low[:, j] + high[:, j]) / 2
                below = middle <= np.median(middle)
                if below.all():
                    below = middle < middle.max()
                if below.any():
                    for some in (below, ~below):
                        yield replace(node, boxes=node.boxes[some], signal=node.signal[some])
                    return
        if node.more:
            yield node
            return
        top = node.boxes[[int(np.argmax(self.excess(node)))]]
        at = int(np.argmin(self.heights(node.planes, self.totals(node.planes, node.state), top)[0]))
        w, d = node.planes.fractions[at], node.planes.d[at]
        rest = np.diag(self.covariance) - self.shares[node.share]
        spread = d * rest * w * (1 - w) + 1e-9 * self.s * (w * (1 - w) + 1e-3)
        pick = int(np.argmax(np.where(node.state == 0, spread, -1.0)))
        for new in (-1, 1):
            state = node.state.copy()
            state[pick] = new
            yield replace(node, state=state)

    def evaluate(self, sets: BoolArray) -> None:
        """Try sets; those that their bound leaves open."""
        evaluate_open(self.archive, self.at_most, sets)
        if self.archive.found:
            self.value = max(self.value, self.archive.best[1])


def _edges(first: float, last: float, ratio: float) -> FloatArray:
    """Ends of pieces from a first to a last number, of about this ratio."""
    if not last > first:
        return np.array([first, max(first, last)])
    start = max(first, last * _SMALLEST)
    edges = np.geomspace(start, last, int(np.ceil(np.log(last / start) / np.log(ratio))) + 1)
    edges[0], edges[-1] = start, last
    return np.concatenate([[first], edges]) if start > first else edges


def plane_bound(
    archive: Archive, at_most: AtMost, rules: Rules, limits: Limits, *, record: list[Settled] | None = None
) -> Certificate:
    """Prove how good the best set of an archive is, improving it on the way; its problem has correlations.

    Parameters
    ----------
    archive, at_most, rules, limits
        As in `superbin.merge.cells.cell_bound`.
    record : list, optional
        Receives the boxes that were settled, for a second opinion: every set is in one of them. Bins are then not fixed on the way, which takes longer.

    Returns
    -------
    Certificate
    """
    tree = _Tree(archive, at_most, rules, limits)
    tree.record = record
    return tree.run()


def exact_bound(
    archive: Archive, at_most: AtMost, rules: Rules, limits: Limits, *, least_down: bool = False
) -> Certificate:
    """As `superbin.merge.cells.cell_bound`; with correlations by `plane_bound`.

    That is no better for figures that less downward uncertainty makes larger, and where signals are weak, which take very small boxes.
    """
    weak = not archive.found or archive.best[1] < VISIBLE
    if archive.problem.covariance_up is None or least_down or weak:
        return cell_bound(archive, at_most, rules, limits, least_down=least_down)
    return plane_bound(archive, at_most, rules, limits)
