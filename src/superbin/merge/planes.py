r"""A proved bound with correlations: planes above the signal of every set, and a tree over bins.

For multipliers c and d >= 0, fractions w_0 and own variances o such that ``M = C - diag(o)`` is positive semidefinite, every set of bins
with background B and variance V has a signal of at most

    f + c B + d V,   f = sum_i max(s_i - c b_i - d (o_i + 2 (M w_0)_i), 0) + d w_0' M w_0,

because ``w' C w >= o' w + 2 w_0' M w - w_0' M w_0``. The best w_0 is where ``(s - c b - d o) w - d w' M w`` is largest over fractions; the best c and d
make the plane lowest where a box of the plane (B, V) has its worst corner. A plane holds everywhere, so boxes share them.

A *box* of (B, V) has the signal that its sets need to be better than the best one known; it is calculated once, from the bound of the figure of merit
over its backgrounds. A *node* is some bins that are chosen, some that are not, and the boxes in which its planes leave more signal than that. A box is
cut where its width costs more than the planes do; a bin whose change leaves all boxes too little signal is fixed; then the node is split at a bin that
its fractions divide, with own variances of the bins that are left.
"""

import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.merge.archive import Archive
from superbin.merge.branch import Certificate, Limits
from superbin.merge.constraints import Rules
from superbin.merge.exhaustive import every_set
from superbin.merge.problem import IntArray
from superbin.merge.relax import box_maximum, own_variances
from superbin.merge.tails import Ranges

__all__ = ["plane_bound"]

AtMost = Callable[[FloatArray, Ranges, float], FloatArray]

ROUNDING = 1e-12
_WIDE = 1e-9
_FEW = 5
DEBUG = False
_KEPT = 80
_TABLE = 9
_NEW = 400
_APART = (1.5, 1.7)
_WIDTH = 0.2
_NEEDED_STEPS = 7
_CLOSE = 2e-4
_BATCH = 64
_MEMORY = 4e8


class _Boxes:
    """Boxes of background and variance that all nodes share, with the signal that a better set in them needs."""

    def __init__(
        self, at_most: AtMost, down: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
    ) -> None:
        self.at_most, self.down_of = at_most, down
        self.low, self.high, self.down = (np.zeros((0, 2)) for _ in range(3))
        self.known, self.beyond, self.at_known, self.at_beyond = (np.zeros(0) for _ in range(4))
        self.children = np.zeros(0, dtype=np.intp)

    def add(self, low: FloatArray, high: FloatArray) -> IntArray:
        first = len(self.low)
        self.low, self.high = np.concatenate([self.low, low]), np.concatenate([self.high, high])
        self.down = np.concatenate([self.down, np.stack(self.down_of(low[:, 1], high[:, 1]), axis=1)])
        n = len(low)
        self.known = np.concatenate([self.known, np.zeros(n)])
        self.beyond = np.concatenate([self.beyond, np.full(n, np.inf)])
        self.at_known = np.concatenate([self.at_known, np.zeros(n)])
        self.at_beyond = np.concatenate([self.at_beyond, np.full(n, np.inf)])
        self.children = np.concatenate([self.children, np.full(n, -1, dtype=np.intp)])
        return np.arange(first, first + n)

    def ranges(self, rows: IntArray) -> Ranges:
        low, high = self.low[rows], self.high[rows]
        up, most_up = np.sqrt(np.maximum(low[:, 1], 0.0)), np.sqrt(np.maximum(high[:, 1], 0.0))
        least, down = (np.sqrt(np.maximum(self.down[rows, j], 0.0)) for j in (0, 1))
        return Ranges(
            low[:, 0], high[:, 0], up, np.minimum(down, high[:, 0]), most_up, np.minimum(least, low[:, 0])
        )

    def figure(self, rows: IntArray, signal: FloatArray, enough: float) -> FloatArray:
        return self.at_most(np.maximum(signal, 1e-300), self.ranges(rows), enough)

    def need(self, rows: IntArray, signal: FloatArray, target: float) -> FloatArray:
        """Signal up to which no set of each box is better than the target, where that is less than `signal`."""
        rows = np.asarray(rows)
        at = np.flatnonzero(signal > self.known[rows])
        for step in range(_NEEDED_STEPS):
            i = rows[at]
            far = self.beyond[i] > np.maximum(self.known[i], 1e-300) * (1 + _CLOSE)
            at = at[(signal[at] > self.known[i]) & far]
            if not at.size:
                break
            i = rows[at]
            fresh = ~np.isfinite(self.beyond[i]) | (signal[at] > self.beyond[i] * 3)
            with np.errstate(divide="ignore", invalid="ignore"):
                a, b = np.log(self.known[i]), np.log(self.beyond[i])
                fa, fb = np.log(self.at_known[i] / target), np.log(self.at_beyond[i] / target)
                line = a - fa * (b - a) / (fb - fa)
                guess = np.where(
                    self.known[i] > 0, np.clip(line, a + 0.02 * (b - a), b - 0.02 * (b - a)), b - 1.2 * fb
                )
                if step > 3:
                    guess = np.where(self.known[i] > 0, (a + b) / 2, guess)
            fresh = ~np.isfinite(self.beyond[i])
            trial = np.where(fresh, signal[at], np.exp(guess - 0.3 * _CLOSE))
            value = self.figure(i, trial, target)
            fine = value <= target
            self.known[i] = np.where(fine, np.maximum(trial, self.known[i]), self.known[i])
            self.at_known[i] = np.where(fine, value, self.at_known[i])
            self.beyond[i] = np.where(fine, self.beyond[i], trial)
            self.at_beyond[i] = np.where(fine, self.at_beyond[i], value)
        return self.known[rows]

    def halves(self, rows: IntArray, along: IntArray) -> IntArray:
        """Both halves of each box, those of an earlier split if there was one."""
        fresh = self.children[rows] < 0
        if fresh.any():
            i, j = rows[fresh], along[fresh]
            k = np.arange(len(i))
            low, high = np.repeat(self.low[i], 2, axis=0), np.repeat(self.high[i], 2, axis=0)
            first, last = self.low[i, j], self.high[i, j]
            middle = np.where(
                last > 4 * first, np.maximum(np.sqrt(first * last), last / 8), (first + last) / 2
            )
            high[2 * k, j], low[2 * k + 1, j] = middle, middle
            self.children[i] = self.add(low, high)[::2]
            new = self.children[i]
            for half in (0, 1):
                self.known[new + half], self.at_known[new + half] = self.known[i], self.at_known[i]
        first_child = self.children[rows]
        return np.concatenate([first_child, first_child + 1])


@dataclass(slots=True, eq=False)
class _Planes:
    """Planes of one node and those below it: scores of bins, constants, multipliers."""

    scores: FloatArray
    constant: FloatArray
    c: FloatArray
    d: FloatArray
    size: FloatArray
    fractions: FloatArray

    def join(self, other: "_Planes") -> "_Planes":
        return _Planes(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__slots__))

    def take(self, rows: IntArray) -> "_Planes":
        return _Planes(*(getattr(self, n)[rows] for n in self.__slots__))


@dataclass(slots=True, eq=False)
class _Node:
    state: np.ndarray
    boxes: IntArray
    signal: FloatArray
    planes: _Planes
    own: FloatArray
    split_for: int
    more: bool = False


class _Tree:
    """One run."""

    def __init__(
        self, archive: Archive, at_most: AtMost, rules: Rules, limits: Limits, *, down: Callable, slow: bool
    ) -> None:
        self.archive, self.at_most, self.rules, self.limits, self.slow = archive, at_most, rules, limits, slow
        problem = archive.problem
        self.problem, n = problem, problem.n_bins
        assert problem.covariance_up is not None
        self.C = problem.covariance_up
        self.s, self.b = problem.signal, problem.background
        self.boxes = _Boxes(at_most, down)
        self.sized = rules.least > 1 or rules.most < int(rules.possible.sum())
        self.value = archive.best[1] if archive.found else 0.0
        self.nodes = 0
        self.splits = 0

    @property
    def target(self) -> float:
        return self.value * (1 + self.limits.gap)

    # --- planes -------------------------------------------------------------------------------------------

    def totals(self, planes: _Planes, state: np.ndarray) -> FloatArray:
        """The most that a plane's scores add up to in a node, with its constant."""
        scores = planes.scores
        free = np.maximum(scores[:, state == 0], 0.0).sum(axis=1)
        return free + scores[:, state > 0].sum(axis=1) + planes.constant + ROUNDING * planes.size

    def heights(self, planes: _Planes, totals: FloatArray, boxes: IntArray) -> FloatArray:
        """Signal that each plane leaves in each box, shape (n_boxes, n_planes)."""
        low, high = self.boxes.low[boxes], self.boxes.high[boxes]
        part = np.maximum(low[:, :1] * planes.c, high[:, :1] * planes.c)
        other = high[:, 1:] * planes.d
        return totals + (part + other) + ROUNDING * (np.abs(part) + other)

    def solved(self, node: _Node, box: int) -> _Planes:
        """The lowest plane over the worst corner of a box, by damped Newton steps of its multipliers."""
        state = node.state
        free, chosen = np.flatnonzero(state == 0), np.flatnonzero(state > 0)
        s, b, own = self.s[free], self.b[free], node.own[free]
        matrix = self.C[np.ix_(free, free)] - np.diag(own)
        push = 2 * self.C[np.ix_(free, chosen)].sum(axis=1)
        fixed = (
            float(self.s[chosen].sum()),
            float(self.b[chosen].sum()),
            float(self.C[np.ix_(chosen, chosen)].sum()),
        )
        low, high = self.boxes.low[box], self.boxes.high[box]
        heights = self.heights(node.planes, self.totals(node.planes, state), np.array([box]))[0]
        start = int(np.argmin(heights)) if len(heights) else -1
        if start >= 0:
            c, d, w = (
                node.planes.c[start],
                max(node.planes.d[start], 1e-12),
                node.planes.fractions[start][free],
            )
        else:
            c, d, w = 0.0, 0.3 * self.s.sum() / max(high[1], 1e-300), np.full(free.size, 0.5)

        def at(c: float, d: float, w: FloatArray) -> tuple[float, FloatArray, FloatArray]:
            linear = s - c * b - d * (own + push)
            w = box_maximum(linear, 2 * d * matrix, w)
            pushed = matrix @ w
            value = linear @ w - d * (w @ pushed) + fixed[0] - c * fixed[1] - d * fixed[2]
            return value + max(c * low[0], c * high[0]) + d * high[1], w, pushed

        value, w, pushed = at(c, d, w)
        damping = 1e-3
        for _ in range(12):
            background, variance = b @ w + fixed[1], (own + push) @ w + w @ pushed + fixed[2]
            end = high[0] if c > 0 or (c == 0 and background > high[0]) else low[0]
            slope = np.array([end - background, high[1] - variance])
            if c == 0 and low[0] <= background <= high[0]:
                slope[0] = 0.0
            inside = np.flatnonzero((w > 1e-9) & (w < 1 - 1e-9))
            scale = np.array([max(abs(c), 1e-2 * value / max(high[0], 1e-9)), d])
            hessian = np.zeros((2, 2))
            if inside.size:
                rows = np.stack([b[inside], (own + push + 2 * pushed)[inside]])
                block = 2 * d * matrix[np.ix_(inside, inside)]
                block[np.diag_indices_from(block)] *= 1 + 1e-9
                try:
                    hessian = rows @ np.linalg.solve(block, rows.T)
                except np.linalg.LinAlgError:
                    hessian = np.zeros((2, 2))
            scaled, slope = hessian * np.outer(scale, scale), slope * scale
            if DEBUG:
                print("      at", value, c, d, slope, scale, (w > 0).sum(), own @ w)
            if np.abs(slope).max() < 1e-4 * value:
                break
            better = False
            for _ in range(4):
                damped = scaled + damping * value * np.eye(2)
                step = -np.linalg.solve(damped, slope)
                step = np.clip(step, [-2.0, -0.7], [2.0, 2.0])
                trial = c + step[0] * scale[0], d * (1 + step[1])
                if c != 0 and trial[0] * c < 0:
                    trial = 0.0, trial[1]
                found = at(*trial, w)
                if found[0] < value:
                    better = found[0] < value - 1e-5 * abs(value)
                    (c, d), (value, w, pushed) = trial, found
                    damping = max(damping / 5, 1e-4)
                    break
                damping *= 6
            if DEBUG:
                print(
                    "      it",
                    value,
                    c,
                    d,
                    "slope",
                    slope / value,
                    "H",
                    scaled.ravel() / value,
                    "damp",
                    damping,
                    "inside",
                    inside.size,
                    better,
                )
            if not better:
                break
        return self.plane(state, free, chosen, c, d, w, own, matrix, push)

    def table(self, node: _Node) -> _Planes:
        """Planes of multipliers of all useful sizes."""
        state = node.state
        free, chosen = np.flatnonzero(state == 0), np.flatnonzero(state > 0)
        s, b, own = self.s[free], self.b[free], node.own[free]
        matrix = self.C[np.ix_(free, free)] - np.diag(own)
        push = 2 * self.C[np.ix_(free, chosen)].sum(axis=1)
        grids = []
        for row in (b, np.diag(self.C)[free]):
            some = (s > 0) & (row > 0)
            ratios = s[some] / row[some] if some.any() else np.ones(1)
            high = ratios.max() * 2
            grids.append(np.geomspace(min(np.quantile(ratios, 0.02) / 10, high / 10), high, _TABLE))
        found = []
        for d in grids[1]:
            w = np.full(free.size, 0.5)
            for c in (*-grids[0][::-1], 0.0, *grids[0]):
                w = box_maximum(s - c * b - d * (own + push), 2 * d * matrix, w)
                found.append(self.plane(state, free, chosen, c, d, w, own, matrix, push))
        return _Planes(*(np.concatenate([getattr(one, name) for one in found]) for name in _Planes.__slots__))

    def plane(self, state, free, chosen, c, d, w, own, matrix, push) -> _Planes:
        """Scores and constant of the plane of these multipliers and fractions."""
        pushed = matrix @ w
        scores = np.zeros(self.problem.n_bins)
        linear = self.s[free] - c * self.b[free] - d * (own + push + 2 * pushed)
        parts = (
            self.s[chosen].sum(),
            -c * self.b[chosen].sum(),
            -d * self.C[np.ix_(chosen, chosen)].sum(),
            d * (w @ pushed),
        )
        constant = float(sum(parts))
        size = (
            self.s.sum()
            + abs(c) * self.b.sum()
            + d
            * (
                np.abs(own).sum()
                + np.abs(push).sum()
                + 2 * (np.abs(matrix) @ w).sum()
                + np.abs(self.C[np.ix_(chosen, chosen)]).sum()
            )
        )
        if self.sized:
            linear, added = self.counted(linear, chosen.size)
            constant += added
            size += abs(added) + np.abs(linear).sum()
        scores[free] = linear
        fractions = np.zeros(self.problem.n_bins)
        fractions[free], fractions[chosen] = w, 1.0
        return _Planes(
            scores[None],
            np.array([constant]),
            np.array([c]),
            np.array([d]),
            np.array([size]),
            fractions[None],
        )

    def counted(self, linear: FloatArray, chosen: int) -> tuple[FloatArray, float]:
        """Scores less the best multiplier of the number of bins, and what it adds to the constant."""
        count = int((linear > 0).sum())
        least, most = self.rules.least - chosen, self.rules.most - chosen
        order = np.sort(linear)[::-1]
        if count > most:
            price = float(order[max(most, 0)]) if most < order.size else 0.0
            return linear - price, price * max(most, 0)
        if count < least:
            price = float(order[min(least, order.size) - 1]) if order.size else 0.0
            return linear - price, price * least
        return linear, 0.0

    # --- nodes --------------------------------------------------------------------------------------------

    def run(self, roots: list[tuple[np.ndarray, FloatArray, FloatArray]]) -> Certificate:
        """Search until nothing is open or a limit is reached; roots are states with boxes."""
        self.deadline = time.perf_counter() + self.limits.seconds
        heap: list[tuple[float, int, _Node]] = []
        count = itertools.count()

        def push(node: _Node | None) -> None:
            if node is not None and node.boxes.size:
                excess = float(np.log(node.signal / np.maximum(self.boxes.known[node.boxes], 1e-300)).max())
                heapq.heappush(heap, (-excess, next(count), node))

        n = self.problem.n_bins
        for state, low, high in roots:
            boxes = self.boxes.add(low, high)
            nothing = _Planes(np.zeros((0, n)), *(np.zeros(0) for _ in range(4)), np.zeros((0, n)))
            node = _Node(state, boxes, np.full(boxes.size, np.inf), nothing, np.zeros(n), 10 * n)
            self.resplit(node)
            pushed = self.processed(node)
            push(pushed)
        while heap and time.perf_counter() < self.deadline and self.nodes < self.limits.nodes:
            node = heapq.heappop(heap)[2]
            for child in self.branched(node):
                push(self.processed(child))
            if len(heap) * 8 * self.problem.n_bins * _KEPT * 2.5 > _MEMORY:
                break
        return self.certificate([node for *_, node in heap])

    def certificate(self, nodes: list[_Node]) -> Certificate:
        """The largest bound of the boxes that are left."""
        left = 0.0
        if nodes:
            boxes = np.concatenate([node.boxes for node in nodes])
            signal = np.concatenate([node.signal for node in nodes])
            most = np.zeros(len(self.boxes.low))
            np.maximum.at(most, boxes, signal)
            rows = np.flatnonzero(most > self.boxes.known)
            if rows.size:
                left = float(self.boxes.figure(rows, most[rows], self.target).max())
        return Certificate(max(left, self.target), left <= self.target, self.nodes)

    def resplit(self, node: _Node) -> None:
        """Own variances of the free bins alone, where there are clearly fewer than there were."""
        free = np.flatnonzero(node.state == 0)
        if free.size and free.size <= 0.8 * node.split_for:
            node.own = np.zeros(self.problem.n_bins)
            node.own[free] = own_variances(self.C[np.ix_(free, free)], np.ones(free.size))
            node.split_for = free.size
            self.splits += 1

    def possible_boxes(self, node: _Node) -> None:
        """Leave out boxes that no set of the node is in, and bins that are too large for all boxes."""
        state = node.state
        chosen, possible = state > 0, state >= 0
        b, own = self.b, node.own
        low, high = self.boxes.low[node.boxes], self.boxes.high[node.boxes]
        fixed = float(self.C[np.ix_(chosen, chosen)].sum())
        least_v = self.least_variance(chosen, possible)
        keep = (
            (b[chosen].sum() * (1 - _WIDE) <= high[:, 0])
            & (b[possible].sum() * (1 + _WIDE) >= low[:, 0])
            & (least_v <= high[:, 1])
        )
        node.boxes, node.signal = node.boxes[keep], node.signal[keep]
        if node.boxes.size:
            most = float(high[keep, 0].max()) * (1 + _WIDE) - b[chosen].sum() * (1 - _WIDE)
            out = (state == 0) & (b > most)
            if out.any():
                node.state = np.where(out, -1, state).astype(np.int8)

    def least_variance(self, chosen: np.ndarray, possible: np.ndarray) -> float:
        """No set of a node has less variance: what negative covariances can take away is."""
        negative = np.minimum(self.C, 0.0)
        total = float(self.C[np.ix_(chosen, chosen)].sum())
        free = possible & ~chosen
        gained = (
            np.diag(self.C)[free]
            + 2 * self.C[np.ix_(free, chosen)].sum(axis=1)
            + negative[np.ix_(free, free)].sum(axis=1)
        )
        return (total + float(np.minimum(gained, 0.0).sum())) * (1 - _WIDE) - 1e-12 * float(
            np.diag(self.C).sum()
        )

    def processed(self, node: _Node) -> _Node | None:
        """A node with its boxes and planes worked out as far as they go; none if it holds nothing better."""
        self.nodes += 1
        tried: set[int] = set()
        most_boxes = len(self.boxes.low) + _NEW
        node.more = False
        for _ in range(400):
            self.possible_boxes(node)
            if not node.boxes.size:
                return None
            chosen, possible = (node.state > 0).sum(), (node.state >= 0).sum()
            if chosen > self.rules.most or possible < max(self.rules.least, 1):
                return None
            if (node.state == 0).sum() <= _FEW:
                for sets in every_set(node.state > 0, node.state >= 0):
                    self.evaluate(sets)
                return None
            if not len(node.planes.c):
                node.planes = self.table(node)
            totals = self.totals(node.planes, node.state)
            heights = self.heights(node.planes, totals, node.boxes)
            best = np.argmin(heights, axis=1)
            node.signal = np.minimum(node.signal, heights[np.arange(len(best)), best])
            needed = self.boxes.need(node.boxes, node.signal, self.target)
            keep = (node.signal > np.maximum(needed, 1e-300)) & (
                node.signal >= self.rules.min_signal * (1 - _WIDE)
            )
            node.boxes, node.signal, best, needed = (
                node.boxes[keep],
                node.signal[keep],
                best[keep],
                needed[keep],
            )
            if not node.boxes.size:
                return None
            self.fix(node, best, needed, heights[keep])
            if time.perf_counter() > self.deadline:
                break
            excess = np.log(node.signal / np.maximum(needed, 1e-300))
            top = int(np.argmax(excess))
            box = int(node.boxes[top])
            if box in tried:
                rows = np.argsort(-excess, kind="stable")[: max(_BATCH, len(excess) // 4)]
                rows = rows[excess[rows] >= 0.6 * excess[top]]
                wide, along = self.wide(node, rows, best[rows])
                if wide[0] and len(self.boxes.low) > most_boxes:
                    node.more = True
                    break
                if wide[0]:
                    rows, along = rows[wide], along[wide]
                    halves = self.boxes.halves(node.boxes[rows], along)
                    rest = np.ones(len(excess), dtype=bool)
                    rest[rows] = False
                    node.boxes = np.concatenate([node.boxes[rest], halves])
                    node.signal = np.concatenate([node.signal[rest], np.tile(node.signal[rows], 2)])
                    continue
            if box in tried:
                break
            tried.add(box)
            new = self.solved(node, box)
            height = self.heights(new, self.totals(new, node.state), np.array([box]))[0, 0]
            node.planes = new.join(node.planes)
            self.offer(new.fractions)
            if len(node.planes.c) > 2 * _KEPT:
                self.prune(node)
        self.prune(node)
        return node

    def prune(self, node: _Node) -> None:
        """Keep the planes that are lowest over some box, and the newest."""
        totals = self.totals(node.planes, node.state)
        heights = self.heights(node.planes, totals, node.boxes)
        used = np.bincount(np.argmin(heights, axis=1), minlength=len(totals))
        used[0] += 1
        order = np.argsort(-used, kind="stable")
        node.planes = node.planes.take(np.sort(order[: min(_KEPT, int((used > 0).sum()))]))

    def wide(self, node: _Node, rows: IntArray, best: IntArray) -> tuple[np.ndarray, IntArray]:
        """Whether the width of boxes costs a part of the figure that counts, and which of both dimensions costs more."""
        boxes, signal = node.boxes[rows], node.signal[rows]
        whole = self.boxes.ranges(boxes)
        end = np.where(node.planes.c[best] > 0, whole.high, whole.low)
        narrow_b = replace(
            whole,
            low=end,
            high=end,
            down=np.minimum(whole.down, end),
            least_down=np.minimum(whole.least_down, end),
        )
        narrow_v = replace(whole, up=whole.most_up)
        found = [
            np.log(np.maximum(self.at_most(signal, r, self.target) / self.target, 1e-300))
            for r in (whole, narrow_b, narrow_v)
        ]
        left = np.minimum(found[1], found[2])
        return left < (1 - _WIDTH) * found[0], (found[2] < found[1]).astype(np.intp)

    def fix(self, node: _Node, best: IntArray, needed: FloatArray, heights: FloatArray) -> None:
        """Fix the bins whose change leaves all boxes too little signal."""
        scores = node.planes.scores[best]
        room = (heights[np.arange(len(best)), best] - needed)[:, None] * (1 + _WIDE)
        free = node.state == 0
        out, into = free & (scores < -room).all(axis=0), free & (scores > room).all(axis=0)
        if out.any() or into.any():
            node.state = np.where(out, -1, np.where(into, 1, node.state)).astype(np.int8)

    def branched(self, node: _Node) -> list[_Node]:
        """Both halves of a node: by a bin, or by background or variance where its boxes are far apart."""
        low, high = self.boxes.low[node.boxes], self.boxes.high[node.boxes]
        for j, ratio in ((0, _APART[0]), (1, _APART[1])):
            first, last = float(low[:, j].min()), float(high[:, j].max())
            if last > ratio * first and len(low) > 1:
                middle = (low[:, j] + high[:, j]) / 2
                cut = np.median(middle)
                below = middle <= cut
                if below.all():
                    below = middle < cut
                if below.any() and not below.all():
                    return [
                        replace(node, boxes=node.boxes[some], signal=node.signal[some])
                        for some in (below, ~below)
                    ]
        if node.more:
            return [node]
        free = node.state == 0
        totals = self.totals(node.planes, node.state)
        excess = np.log(node.signal / np.maximum(self.boxes.known[node.boxes], 1e-300))
        top = int(np.argmax(excess))
        at = int(np.argmin(self.heights(node.planes, totals, node.boxes[[top]])[0]))
        w, d = node.planes.fractions[at], node.planes.d[at]
        rest = np.diag(self.C) - node.own
        spread = np.where(free, d * rest * w * (1 - w) + 1e-9 * self.s * (w - w * w + 1e-3), -1.0)
        pick = int(np.argmax(spread))
        children = []
        for new in (-1, 1):
            state = node.state.copy()
            state[pick] = new
            child = replace(node, state=state)
            self.resplit(child)
            children.append(child)
        return children

    # --- incumbents ---------------------------------------------------------------------------------------

    def offer(self, fractions: FloatArray) -> None:
        self.evaluate(fractions > 0.5)

    def evaluate(self, sets: np.ndarray) -> None:
        from superbin.merge.cells import evaluate_open

        evaluate_open(self.archive, self.at_most, sets)
        if self.archive.found:
            self.value = max(self.value, self.archive.best[1])


def plane_bound(
    archive: Archive, at_most: AtMost, rules: Rules, limits: Limits, *, roots, down, slow=False
) -> Certificate:
    """As `superbin.merge.cells.cell_bound`, with correlations."""
    return _Tree(archive, at_most, rules, limits, down=down, slow=slow).run(roots)
