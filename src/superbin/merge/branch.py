r"""Certified search: branch and bound over sets and the multiplier u, with correlations and side conditions.

With `superbin.merge.dual`, nothing beats an incumbent of figure Z if

``phi(u, S(w), B(w)) - u^2 w' C w <= Z^2 (1 + tolerance)``   for every set w and every u > 0.

The left side is concave in u. On an interval of u its tangent at some u_0 bounds it, and a tangent is linear
in u, so the two ends of the interval decide. In w, the variance is split into ``w' M w + d' w`` with M positive
semidefinite and ``w_i^2 = w_i`` used for the rest; the tangent of ``w' M w`` at a relaxed optimum w_0 leaves
a sum of scores, whose maximum over sets `lagrange` bounds. What a bound cannot settle is split: the interval of
u where the tangent in u is slack, else a bin that the relaxation takes in part.

Derived in ``docs/explanation/proofs.md``; a node's bound is true whatever u_0, w_0 and multipliers are.
"""

import heapq
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.merge.archive import Archive
from superbin.merge.constraints import Rules
from superbin.merge.dual import Dual
from superbin.merge.exhaustive import every_set
from superbin.merge.problem import BoolArray, IntArray, Problem
from superbin.merge.relax import Rows, box_maximum, lagrange
from superbin.merge.thresholds import prefixes

__all__ = ["Certificate", "Limits", "branch_and_bound"]

_PIECE = 1.5
"""Ratio of the ends of the first intervals of u; at most 2, or tangents at one end would not hold at the other."""

_ENUMERATED = 8
"""With so few free bins, trying every set is faster than bounding them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a proof may stop.

    Attributes
    ----------
    gap : float
        Relative distance between the figure of merit and its bound that counts as none.
    nodes : int
        Nodes of the search tree.
    seconds : float
        Wall time.
    exact_gap : float
        As `gap`, for the exact figures of merit.
    exact_seconds : float
        Wall time for the proof of an exact figure of merit, which comes closer and closer and may not end; 0 for none.
    """

    gap: float = 1e-6
    nodes: int = 20_000
    seconds: float = 60.0
    exact_gap: float = 1e-3
    exact_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("gap", "exact_gap", "nodes", "seconds", "exact_seconds"):
            value: Any = getattr(self, name)
            if not isinstance(value, int | float | np.number) or isinstance(value, bool) or not value >= 0:
                raise InputError(f"{name} of a proof is {value!r}; it must be a number >= 0")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was proved.

    Attributes
    ----------
    bound : float
        No allowed set has a larger figure of merit, in exact arithmetic up to a relative 1e-9.
    complete : bool
        Whether the bound is within the gap asked for.
    nodes : int
        Nodes of the search tree.
    """

    bound: float
    complete: bool
    nodes: int


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    """Some bins chosen, some free, the rest out; an interval of u; and a bound on the squared figure.

    The variance of a set that adds w to the chosen bins is ``fixed + linear @ w + w @ quadratic @ w``. `own` is what the
    split of the variance left to every bin of the problem by itself; nodes with the same split share it.
    """

    bound: float
    chosen: IntArray
    free: IntArray
    fixed: float
    linear: FloatArray
    quadratic: FloatArray | None
    own: FloatArray | None
    split_size: int
    low: float
    high: float
    relaxed: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """An open node in some bits per bin: no matrix, and the relaxation in steps of 1/255, which only says where to touch."""

    bound: float
    chosen: bytes
    free: bytes
    own: FloatArray | None
    split_size: int
    low: float
    high: float
    relaxed: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Tangent:
    """The bound as a function of u: scores and constant are linear in u around `u`."""

    u: float
    scores: FloatArray
    slopes: FloatArray
    curvature: FloatArray
    constant: float
    slope: float
    square: float

    def at(self, u: float) -> tuple[FloatArray, float]:
        """Scores and constant of the tangent at another u, at least half the point of contact."""
        step = u - self.u
        factor = self.u * (self.u + 2 * step)
        return (
            self.scores + step * self.slopes - factor * self.curvature,
            self.constant + step * self.slope - factor * self.square,
        )


class _Proof:
    """One run of branch and bound."""

    def __init__(self, archive: Archive, dual: Dual, rules: Rules, limits: Limits) -> None:
        self.problem: Problem = archive.problem
        self.archive, self.dual, self.rules, self.limits = archive, dual, rules, limits
        self.rows = rules.rows(self.problem)
        self.square = archive.best[1] ** 2 if archive.found else 0.0
        self.hint = archive.best[0].astype(np.float64) if archive.found else np.zeros(self.problem.n_bins)
        self.nodes = 0
        self.open = 0.0
        self.heap: list[tuple[float, int, _Waiting]] = []
        self.order = itertools.count()

    @property
    def target(self) -> float:
        """Squared figure below which a bound settles a node."""
        return self.square * (1 + self.limits.gap) ** 2

    def push(self, node: _Node) -> None:
        """Keep a node for later unless its bound settles it."""
        if node.bound > self.target:
            heapq.heappush(self.heap, (-node.bound, next(self.order), self.packed(node)))

    def packed(self, node: _Node) -> _Waiting:
        """A node without what can be had again from its bins."""
        masks = np.zeros((2, self.problem.n_bins), dtype=bool)
        masks[0, node.chosen] = masks[1, node.free] = True
        chosen, free = (np.packbits(mask).tobytes() for mask in masks)
        relaxed = np.rint(255 * node.relaxed).astype(np.uint8).tobytes()
        return _Waiting(node.bound, chosen, free, node.own, node.split_size, node.low, node.high, relaxed)

    def unpacked(self, waiting: _Waiting) -> _Node:
        """The node that was packed."""
        chosen, free = (
            np.flatnonzero(np.unpackbits(np.frombuffer(mask, dtype=np.uint8), count=self.problem.n_bins))
            for mask in (waiting.chosen, waiting.free)
        )
        return replace(
            self.node(chosen, free, waiting.own, waiting.split_size),
            bound=waiting.bound,
            low=waiting.low,
            high=waiting.high,
            relaxed=np.frombuffer(waiting.relaxed, dtype=np.uint8) / 255,
        )

    def run(self) -> Certificate:
        """Search until nothing is open or a limit is reached."""
        deadline = time.perf_counter() + self.limits.seconds
        for node in self.roots():
            self.push(node)
        while self.heap and self.nodes < self.limits.nodes and time.perf_counter() < deadline:
            waiting = heapq.heappop(self.heap)[2]
            if waiting.bound <= self.target:
                continue
            self.nodes += 1
            for child in self.split(self.unpacked(waiting)):
                self.push(child)
        left = max((waiting.bound for _, _, waiting in self.heap), default=self.open)
        bound = np.sqrt(max(left, self.target))
        return Certificate(float(bound), left <= self.target, self.nodes)

    # --- where the search starts ----------------------------------------------------------------------------

    def roots(self) -> Iterator[_Node]:
        """The whole problem, in intervals of u short enough for tangents."""
        required = self.rules.required
        chosen, free = np.flatnonzero(required), np.flatnonzero(self.rules.possible & ~required)
        own = self.own_variance()
        # Part of what is left for all bins is left for the free ones, too.
        root = self.restrict(chosen, free, own)
        s, b = self.problem.signal, self.problem.background
        # Above the largest root every score is negative; below u the value is at most 2 u S.
        highest = float(self.dual.roots(s, b, own)[np.concatenate([chosen, free])].max())
        least = max(self.rules.min_background, float(b[required].sum()))
        highest = min(highest, self.dual.largest(float(s.sum()), least))
        lowest = self.square / (2 * float(s.sum())) or 1e-12 * highest
        if not np.isfinite(highest):
            # Bins without background whose variances are wholly shared: no finite u settles them.
            self.open = np.inf
            return
        if highest > lowest:
            pieces = int(np.ceil(np.log(highest / lowest) / np.log(_PIECE)))
            edges = [float(edge) for edge in np.geomspace(lowest, highest, pieces + 1)]
            yield from (replace(root, low=low, high=high) for low, high in itertools.pairwise(edges))

    def own_variance(self) -> FloatArray:
        """What is left of every bin's variance when the rest of the covariance is still a covariance."""
        covariance = self.problem.covariance_up
        if covariance is None:
            return self.problem.variance_up
        return separable(covariance)

    def restrict(self, chosen: IntArray, free: IntArray, own: FloatArray | None = None) -> _Node:
        """A node with the variance split again for the bins that are free, or as given for all bins."""
        covariance = self.problem.covariance_up
        if covariance is not None and own is None:
            own = np.zeros(self.problem.n_bins)
            own[free] = separable(covariance.take(free, axis=0).take(free, axis=1))
        return self.node(chosen, free, own, len(free))

    def node(self, chosen: IntArray, free: IntArray, own: FloatArray | None, split_size: int) -> _Node:
        """A node of some bins, with the variance split as given."""
        covariance = self.problem.covariance_up
        if covariance is None or own is None:
            own, quadratic = None, None
            fixed = float(self.problem.variance_up[chosen].sum())
            linear = self.problem.variance_up[free]
        else:
            quadratic = covariance.take(free, axis=0).take(free, axis=1)
            quadratic[np.diag_indices_from(quadratic)] -= own[free]
            fixed = float(covariance[np.ix_(chosen, chosen)].sum())
            linear = own[free] + 2 * covariance[np.ix_(free, chosen)].sum(axis=1)
        nothing = np.zeros(len(free))
        return _Node(np.inf, chosen, free, fixed, linear, quadratic, own, split_size, 0.0, np.inf, nothing)

    # --- bounding -------------------------------------------------------------------------------------------

    def tangent(self, node: _Node, u: float, relaxed: FloatArray) -> _Tangent:
        """The bound of a node as a function of u, touching at (u, relaxed)."""
        s, b = self.problem.signal, self.problem.background
        p, r, p_slope, r_slope = self.dual.weights(u)
        inside = float(s[node.chosen].sum()), float(b[node.chosen].sum())
        s, b = s[node.free], b[node.free]
        curvature, square = node.linear, node.fixed
        if node.quadratic is not None:
            push = node.quadratic @ relaxed
            curvature = curvature + 2 * push
            square -= float(relaxed @ push)
        return _Tangent(
            u,
            p * s - r * b,
            p_slope * s - r_slope * b,
            curvature,
            p * inside[0] - r * inside[1],
            p_slope * inside[0] - r_slope * inside[1],
            square,
        )

    def bound(self, tangent: _Tangent, rows: Rows, u: float) -> tuple[float, FloatArray]:
        """Largest value of the tangent at u over the sets of a node, and the adjusted scores."""
        scores, constant = tangent.at(u)
        value, adjusted = lagrange(scores, rows)
        return value + constant, adjusted

    def relax(self, node: _Node, rows: Rows) -> tuple[float, FloatArray]:
        """A multiplier u and fractions w at which the node's relaxation is near its largest."""
        if node.quadratic is None:
            points = [float(u) for u in np.geomspace(node.low, node.high, 5)]
            u = max(points, key=lambda u: self.bound(self.tangent(node, u, node.relaxed), rows, u)[0])
            return u, self.relaxed_set(node, rows, u, node.relaxed)
        u = float(np.sqrt(node.low * node.high))
        w = node.relaxed
        for _ in range(3):
            w = self.relaxed_set(node, rows, u, w)
            s, b = (
                np.array([part[node.chosen].sum() + part[node.free] @ w])
                for part in (self.problem.signal, self.problem.background)
            )
            v = node.fixed + node.linear @ w
            if node.quadratic is not None:
                v += w @ node.quadratic @ w
            best = float(self.dual.attained(s, b, np.array([max(float(v), 0.0)]))[0])
            previous, u = u, min(max(best, node.low), node.high)
            if abs(u - previous) < 1e-3 * (node.high - node.low):
                break
        return u, self.relaxed_set(node, rows, u, w)

    def relaxed_set(self, node: _Node, rows: Rows, u: float, start: FloatArray) -> FloatArray:
        """Fractions that nearly maximise the node's value at u."""
        tangent = self.tangent(node, u, start)
        _, adjusted = self.bound(tangent, rows, u)
        if node.quadratic is None:
            return (adjusted > 0).astype(np.float64)
        own, _ = replace(tangent, curvature=node.linear).at(u)
        scores, _ = tangent.at(u)
        return box_maximum(own + (adjusted - scores), 2 * u * u * node.quadratic, start)

    # --- splitting ------------------------------------------------------------------------------------------

    def split(self, node: _Node) -> Iterator[_Node]:
        """Open parts of a node."""
        rows = self.rows.restrict(node.free, node.chosen)
        if node.free.size <= _ENUMERATED:
            inside = self.full_sets(node, np.array([[False], [True]]).repeat(node.free.size, axis=1))
            for sets in every_set(*inside):
                self.offer(sets)
            return
        if np.isinf(node.bound):
            # A first interval of u: what settled its neighbour may settle it, or most of its bins.
            node = replace(node, relaxed=self.hint[node.free])
            tangent = self.tangent(node, float(np.sqrt(node.low * node.high)), node.relaxed)
            first = self.reduced(node, rows, tangent)
            if first is not None:
                yield first
            return
        u, w = self.relax(node, rows)
        self.hint[:] = 0.0
        self.hint[node.chosen], self.hint[node.free] = 1.0, w
        tangent = self.tangent(node, u, w)
        middle, adjusted = self.bound(tangent, rows, u)
        self.try_sets(node, w, adjusted)
        if middle > self.target:
            yield from self.branch(node, rows, tangent, w, adjusted)
            return
        for end in (node.low, node.high):
            if self.bound(tangent, rows, end)[0] > self.target:
                yield from self.beyond(node, rows, tangent, w, end)

    def beyond(
        self, node: _Node, rows: Rows, tangent: _Tangent, w: FloatArray, end: float
    ) -> Iterator[_Node]:
        """What a tangent that settles its own u leaves open towards one end of the interval."""
        low, high = sorted((self.settled(tangent, rows, tangent.u, end), end))
        rest = self.reduced(replace(node, low=low, high=high, relaxed=w), rows, tangent)
        if rest is None:
            return
        if rest.free.size == node.free.size and high - low > 0.5 * (node.high - node.low):
            # Little was settled. If even the end itself stays open, that is for the bins to settle, not for ever
            # shorter intervals; if not, the two halves are closer to their tangents.
            w = self.relaxed_set(node, rows, end, w)
            tangent = self.tangent(node, end, w)
            value, adjusted = self.bound(tangent, rows, end)
            if value > self.target:
                yield from self.branch(rest, rows, tangent, w, adjusted)
                return
            middle = (low + high) / 2
            yield replace(rest, high=middle, relaxed=w)
            rest = replace(rest, low=middle, relaxed=w)
        yield rest

    def settled(self, tangent: _Tangent, rows: Rows, start: float, end: float) -> float:
        """How far from `start` towards `end` a tangent settles a node; `start` if not even there."""
        good, bad = start, end
        if self.bound(tangent, rows, start)[0] > self.target:
            return start
        for _ in range(6):
            middle = (good + bad) / 2
            if self.bound(tangent, rows, middle)[0] <= self.target:
                good = middle
            else:
                bad = middle
        return good

    def reduced(self, node: _Node, rows: Rows, tangent: _Tangent) -> _Node | None:
        """Fix the bins whose change would settle the node; None if that settles it altogether."""
        ends = [self.bound(tangent, rows, u) for u in (node.low, node.high)]
        level = np.array([[value] for value, _ in ends])
        scores = np.array([adjusted for _, adjusted in ends])
        bound = min(node.bound, float(level.max()))
        out = (level + np.minimum(scores, 0.0)).max(axis=0) <= self.target
        into = (level - np.maximum(scores, 0.0)).max(axis=0) <= self.target
        if bound <= self.target or (out & into).any():
            return None
        node = replace(node, bound=bound)
        return self.fix(node, into, out) if (out | into).any() else node

    def branch(
        self, node: _Node, rows: Rows, tangent: _Tangent, w: FloatArray, adjusted: FloatArray
    ) -> Iterator[_Node]:
        """Trim the interval of u, fix what can be fixed, and split at one bin if nothing can."""
        low, high = (
            self.settled(tangent, rows, end, tangent.u) if end != tangent.u else end
            for end in (node.low, node.high)
        )
        rest = self.reduced(replace(node, low=low, high=high, relaxed=w), rows, tangent)
        if rest is None:
            return
        if rest.free.size < node.free.size:
            yield rest
            return
        if node.quadratic is not None and (w * (1 - w)).max() > 0.01:
            pick = int(np.argmax(w * (1 - w) * np.sqrt(np.diag(node.quadratic) + 1e-300)))
        else:
            pick = int(np.argmin(np.abs(adjusted)))
        one = np.arange(len(w)) == pick
        none = np.zeros(len(w), dtype=bool)
        yield self.fix(rest, one, none)
        yield self.fix(rest, none, one)

    def fix(self, node: _Node, into: BoolArray, out: BoolArray) -> _Node:
        """Choose some free bins and drop others."""
        keep = ~(into | out)
        chosen, free = np.concatenate([node.chosen, node.free[into]]), node.free[keep]
        if self.problem.covariance_up is not None and free.size and free.size < 0.8 * node.split_size:
            fresh = self.restrict(chosen, free)
            return replace(fresh, bound=node.bound, low=node.low, high=node.high, relaxed=node.relaxed[keep])
        fixed = node.fixed + float(node.linear[into].sum())
        linear = node.linear[keep]
        quadratic = node.quadratic
        if quadratic is not None:
            fixed += float(quadratic[np.ix_(into, into)].sum())
            linear = linear + 2 * quadratic[np.ix_(keep, into)].sum(axis=1)
            quadratic = quadratic[np.ix_(keep, keep)]
        return replace(
            node,
            chosen=chosen,
            free=free,
            fixed=fixed,
            linear=linear,
            quadratic=quadratic,
            relaxed=node.relaxed[keep],
        )

    # --- incumbents -----------------------------------------------------------------------------------------

    def try_sets(self, node: _Node, w: FloatArray, adjusted: FloatArray) -> None:
        """Offer the relaxation rounded; early on, every prefix of its order too."""
        if self.nodes <= 5 or len(self.rows):
            order = np.lexsort((-adjusted, -w))
            sets = prefixes(order, len(w))
        else:
            sets = (w > 0.5)[None, :]
        self.offer(self.full_sets(node, sets))

    def full_sets(self, node: _Node, sets: BoolArray) -> BoolArray:
        """Sets of a node's free bins, with its chosen ones, as sets of all bins."""
        full = np.zeros((len(sets), self.problem.n_bins), dtype=bool)
        full[:, node.free] = sets
        full[:, node.chosen] = True
        return full

    def offer(self, sets: BoolArray) -> None:
        """Evaluate sets; the best becomes the incumbent."""
        best = float(self.archive.evaluate(sets).max(initial=0.0))
        self.square = max(self.square, best**2)


def branch_and_bound(archive: Archive, dual: Dual, rules: Rules, limits: Limits) -> Certificate:
    """Prove how good the best set of an archive is, improving it on the way.

    Parameters
    ----------
    archive : Archive
        Holds the incumbent and its figure of merit; receives every set that is tried, and refuses those the
        rules do.
    dual : Dual
        The dual of the archive's figure of merit.
    rules : Rules
        What sets are allowed.
    limits : Limits

    Returns
    -------
    Certificate
    """
    return _Proof(archive, dual, rules, limits).run()


def separable(covariance: FloatArray) -> FloatArray:
    """Own variances d such that ``covariance - diag(d)`` stays positive semidefinite, as large as is cheap.

    In proportion to the variance of each bin given all others, or to its variance where there is no such thing.
    """
    variance = np.diag(covariance)
    own = np.zeros_like(variance)
    # A bin without variance has no covariance either.
    some = np.flatnonzero(variance > 0)
    if some.size:
        own[some] = _share(covariance.take(some, axis=0).take(some, axis=1))
    return own


def _share(covariance: FloatArray) -> FloatArray:
    try:
        precision = np.diag(np.linalg.inv(covariance))
    except np.linalg.LinAlgError:
        precision = np.zeros(len(covariance))
    sound = bool((precision > 0).all() and np.isfinite(precision).all())
    shape = 1 / precision if sound else np.diag(covariance)
    unit = 1 / np.sqrt(shape)
    # Below the smallest eigenvalue by a hair: rounding must not push it over.
    share = float(np.linalg.eigvalsh(covariance * np.outer(unit, unit))[0]) - 1e-13 * len(shape)
    return shape * max(share, 0.0)
