"""One solver per shape: what sets of bins a merge may be, and what is proved about the best of them.

* ``free``: any set of bins with signal. For a provable figure of merit a prefix, or branch and bound where constraints or a
  covariance stand in the way: certified. For ``midp`` a wide cast: threshold sets of the plane of multipliers,
  prefixes of many orderings and greedy, improved by a quick figure of merit; the best of them exactly, until no flip or
  exchange of bins that the quick figure finds promising improves the result: best found, and
  bounded by cells where time is given for that.
* ``rectangle``, and any shape with few free bins: every set is evaluated, certified for every figure of merit; for a
  figure that is not cheap only if there are not too many rectangles.
* ``two rectangles``: all pairs, certified for a provable figure of merit.
* ``two rectangles`` for other figures, ``three rectangles``, ``connected``: best found; bounded by the free optimum where that is.

The exact limit is searched by its stand-in; with time for a proof, every rectangle and every one of few sets is then bounded by itself.

Every solver takes a `Task` and how many sets to keep, and returns the `Archive` that holds them with a `Proof`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.merits import MERITS, Merit
from superbin.domain.search import Search
from superbin.domain.sums import Totals
from superbin.merge.archive import Archive, as_set
from superbin.merge.branch import Limits, branch_and_bound
from superbin.merge.cells import evaluate_open
from superbin.merge.connected import changes, grow, is_connected, neighbours
from superbin.merge.constraints import Rules
from superbin.merge.dual import Dual, best_order
from superbin.merge.exclusion import THRESHOLD
from superbin.merge.exhaustive import brute_force, every_set
from superbin.merge.greedy import Baseline, greedy_set
from superbin.merge.local import Screen, double_swaps, improve
from superbin.merge.planes import exact_bound
from superbin.merge.problem import BoolArray, Problem
from superbin.merge.rectangles import few_rectangles, rectangles, require_ranges
from superbin.merge.thresholds import all_thresholds, best_prefixes, seeds
from superbin.merge.unions import best_pairs, best_triples, pairable

__all__ = ["SOLVERS", "Proof", "Task", "cast_wide", "certify", "solve"]

ROUNDING = 1e-9
"""Relative allowance for floating point in every certificate."""

_RERANKED = 150
"""Sets of each quick ranking that get the exact figure of merit."""

_CERTIFIED = 16
"""The same where the figure of merit is its own quick ranking and a proof follows."""

_RANKED = 150
_TOPS = 6
"""Sets, the best by a quick figure that is trusted, among which climbs by it start, and how many."""

_STARTS = 24
_CLIMBS = 3
_CLIMBS_HARD = 6
_ALIKE = 2
"""Sets the local search may start from, how many it does start from, also where that is hard, and differences that are none to it."""

_SURROGATE_GAP = 1e-2
_SURROGATE_NODES = 200
"""How far the provable stand-in is proved, where its sets are only starts."""

_HOPELESS = 0.75
_HOPELESS_LIMIT = 0.5
"""A neighbour whose quick figure is below this share of the set's own gets no exact one; limits jump with the count."""

_NEAR = 48
"""Sets, the best by a quick figure that is trusted, that get the exact one."""

_LIMITED = 48
"""Sets a stand-in ranks highest that get the exact figure of merit."""

_EVERY = 20_000
"""Rectangles up to which all get the exact figure of merit; of more, this number of the best by a quick one."""

_CHUNK = 4096

_UNLIMITED = 10**9

_FEW = 12
"""Up to this many free bins, every set is evaluated."""


Shape: TypeAlias = Literal["free", "rectangle", "two rectangles", "three rectangles", "connected"]
"""What sets of bins are allowed: the names of `SOLVERS`."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One problem with what may be chosen and how it is judged.

    Free merges can do without a search. `baseline` is what the greedy search found, if that was done already: a start for searches of any set.
    """

    search: Search | None
    problem: Problem
    merit: Merit
    rules: Rules
    limits: Limits
    baseline: Baseline | None = None

    @property
    def quick(self) -> Callable[[Totals], FloatArray]:
        """What ranks many sets: the figure of merit itself where it is cheap."""
        return self.merit.rank

    @property
    def ground(self) -> Search:
        """The search, where the shape needs it."""
        if self.search is None:
            raise TypeError("this shape needs the search whose bins they are")
        return self.search

    def archive(self, *, keep: int = 8, shape: Callable[[BoolArray], BoolArray] | None = None) -> Archive:
        """An empty archive that refuses what the constraints do."""
        return Archive(self.problem, self.merit, self.rules, keep=keep, shape=shape)


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known about an archive's best: a bound on the figure of merit, and the work it took."""

    bound: float | None = None
    complete: bool = False
    nodes: int = 0


def _exhausted(archive: Archive) -> Proof:
    """The proof that every allowed set was evaluated."""
    return Proof(archive.best[1] * (1 + ROUNDING) if archive.found else None, complete=True)


def _free(task: Task, keep: int) -> tuple[Archive, Proof]:
    archive = task.archive(keep=keep)
    if int((task.rules.possible & ~task.rules.required).sum()) <= _FEW:
        brute_force(archive, task.rules)
        return archive, _exhausted(archive)
    if task.problem.conflicts is not None:
        proof = _compatible(task, archive)
        return archive, proof if proof.complete else _bounded(task, archive)
    if task.merit.provable:
        return archive, certify(task, archive)
    cast_wide(task, archive)
    return archive, _bounded(task, archive)


def _bounded(task: Task, archive: Archive) -> Proof:
    """Bound an exact figure of merit by cells, if time is given for that."""
    if task.merit.at_most is None or not archive.found or task.limits.exact_seconds <= 0:
        return Proof()
    limits = replace(
        task.limits, gap=task.limits.exact_gap, nodes=_UNLIMITED, seconds=task.limits.exact_seconds
    )
    merit = task.merit
    found = exact_bound(archive, merit.largest, task.rules, limits, least_down=merit.least_down)
    return Proof(found.bound, found.complete, found.nodes)


def _compatible(task: Task, archive: Archive) -> Proof:
    """Grow a set from every bin, by the bin that helps most among those that overlap with none in it.

    Proved only where no two bins may be merged, so that every set was evaluated.
    """
    conflicts = task.problem.conflicts
    assert conflicts is not None
    possible = np.flatnonzero(task.rules.possible)
    single = np.eye(task.problem.n_bins, dtype=bool)
    for seed in possible:
        chosen = single[seed] | task.rules.required
        archive.evaluate(chosen[None, :])
        while True:
            free = possible[~chosen[possible] & ~(conflicts @ chosen)[possible]]
            if not free.size:
                break
            trials = chosen | single[free]
            values = archive.evaluate(trials)
            # Beyond the best there may be sets that constraints ask for, so growing goes on.
            chosen = trials[int(np.argmax(np.where(np.isfinite(values), values, -1.0)))]
    for start in archive.candidates(_CLIMBS):
        improve(archive, as_set(start.bins, task.problem.n_bins), start.value)
    overlapping = int(np.asarray(conflicts)[np.ix_(possible, possible)].sum())
    return _exhausted(archive) if overlapping == possible.size * (possible.size - 1) else Proof()


def certify(task: Task, archive: Archive) -> Proof:
    """Find the best set under a provable figure of merit, and prove it.

    Parameters
    ----------
    task : Task
        Its figure of merit is provable.
    archive : Archive
        Receives the sets evaluated.
    """
    if task.merit.test is None:
        return _prove(task, archive, task.merit.made_dual())
    return _certify_limit(task, archive)


def _prove(task: Task, archive: Archive, dual: Dual) -> Proof:
    """Find and prove the best set of an archive's figure of merit, which the dual is of."""
    if task.rules.free and task.problem.covariance_up is None:
        possible = task.rules.possible
        order = best_order(dual, task.problem, task.problem.variance_up)
        archive.evaluate(best_prefixes(task.problem, order[possible[order]], archive.figure))
        return _exhausted(archive)
    # The downward side does not enter a provable figure; leaving it out saves half the work.
    archive.problem = task.problem.upward()
    if not archive.found:
        _start(task, archive, keep=_CERTIFIED)
    if archive.found:
        improve(archive, *archive.best, swap=False)
    proof = branch_and_bound(archive, dual, task.rules, task.limits)
    archive.problem = task.problem
    return Proof(proof.bound * (1 + ROUNDING), proof.complete, proof.nodes)


def _certify_limit(task: Task, archive: Archive) -> Proof:
    """Prove an `asimov_limit`: no set excludes the signal at the strength mu that the best set just excludes.

    For a given mu this is a question to the dual. A set that does exclude it has a lower limit and is the next
    best; none is left after few rounds. As the test q is convex in mu and zero at zero, a bound Q on it at mu is
    one on all limits: not below ``mu c / Q``.
    """
    _start(task, archive, keep=_CERTIFIED)
    value, bound, nodes = 0.0, np.inf, 0
    while archive.found and archive.best[1] > value * (1 + ROUNDING):
        chosen, value = archive.best
        scaled = replace(task.problem, signal=task.problem.signal / value)
        rules = replace(task.rules, min_signal=task.rules.min_signal / value)
        limits = replace(task.limits, gap=task.limits.gap / 4)
        at_mu = replace(task, problem=scaled, rules=rules, limits=limits)
        exclusion = Archive(scaled, task.merit.significance, rules, keep=1)
        exclusion.evaluate(chosen[None, :])
        proof = _prove(at_mu, exclusion, task.merit.made_dual())
        archive.evaluate(exclusion.best[0][None, :])
        nodes += proof.nodes
        if proof.bound is not None:
            bound = min(bound, value * max(proof.bound**2 / THRESHOLD, 1.0) * (1 + 10 * ROUNDING))
    complete = archive.found and bound <= archive.best[1] * (1 + task.limits.gap)
    return Proof(bound, complete or not archive.found, nodes)


def _start(task: Task, archive: Archive, *, keep: int = _RERANKED) -> FloatArray:
    """Evaluate the best prefixes; returns the marginal variances at the best set."""
    problem = task.problem
    variance = problem.variance_up
    for _ in range(1 if problem.covariance_up is None else 2):
        archive.evaluate(seeds(problem, variance, task.quick, task.rules, keep=keep))
        if problem.covariance_up is not None and archive.found:
            variance = problem.covariance_up @ archive.best[0].astype(np.float64)
    return variance


def cast_wide(task: Task, archive: Archive) -> None:
    """Search for the best set under any figure of merit, without a proof: see the module's docstring."""
    rules = task.rules
    screen = _screen(task)
    known = np.zeros((0, task.problem.n_bins), dtype=bool)
    if task.baseline is not None:
        archive.evaluated += task.baseline.evaluated
        known = task.baseline.chosen[None, :]
    if task.baseline is None or not rules.free:
        greedy_set(archive)
    pool = _pool(task, screen)
    if not rules.free:
        pool = np.concatenate([pool, _surrogate(task)])
    if screen.trusted:
        # The quick figure finds the tops; the exact one decides among what is near them.
        values = task.quick(screen.problem.totals(pool))
        pool = pool[np.argsort(-values, kind="stable")]
        near = pool[: max(_NEAR, 2 * archive.keep)]
        tops = _different(pool)
        archive.evaluate(np.concatenate([known, near, screen.climbs(tops)]))
        if archive.found:
            improve(archive, *archive.start, screen=screen)
    else:
        archive.evaluate(np.concatenate([known, pool]))
        _climb(archive, screen, swap=not rules.free, climbs=_CLIMBS_HARD)
    if archive.found and not rules.free:
        _double(task, archive, screen)


def _screen(task: Task) -> Screen:
    """What ranks the neighbours of a set."""
    share = _HOPELESS_LIMIT if task.merit.jumps else _HOPELESS
    return Screen(task.problem.upward(), task.quick, task.rules, share, trusted=not task.merit.jumps)


def _pool(task: Task, screen: Screen) -> BoolArray:
    """The best prefixes and threshold sets by the quick figure; with a covariance, by marginal variances at a good set, too."""
    problem, rules = task.problem, task.rules
    variance = problem.variance_up
    pool = [seeds(problem, variance, task.quick, rules, keep=_RERANKED)]
    if problem.covariance_up is not None and len(pool[0]):
        best = pool[0][[int(np.argmax(task.quick(screen.problem.totals(pool[0]))))]]
        pool.append(screen.climbs(best) if screen.trusted else best)
        variance = problem.covariance_up @ pool[1][0].astype(np.float64)
        pool.append(seeds(problem, variance, task.quick, rules, keep=_RERANKED))
    pool.append(all_thresholds(problem, variance, task.quick, rules, keep=_RERANKED))
    return np.concatenate(pool)


def _different(sets: BoolArray) -> BoolArray:
    """The first of some sets that are not alike."""
    tops: list[BoolArray] = []
    for chosen in sets[:_RANKED]:
        if len(tops) < _TOPS and all((chosen ^ top).sum() > _ALIKE for top in tops):
            tops.append(chosen)
    return np.array(tops, dtype=bool).reshape(len(tops), sets.shape[1])


def _climb(archive: Archive, screen: Screen, *, swap: bool, climbs: int) -> None:
    """Improve a few sets that are not alike by flips, or by exchanges, too; at last the best of all by both.

    Where constraints bind, no flip alone may be allowed, and there are more tops to climb; so there are for limits, which jump.
    """
    tops: list[BoolArray] = []
    for start in archive.candidates(_STARTS):
        chosen = as_set(start.bins, archive.problem.n_bins)
        if len(tops) < climbs and all((chosen ^ top).sum() > _ALIKE for top in tops):
            tops.append(improve(archive, chosen, start.value, swap=swap, screen=screen)[0])
    if tops and not (swap and any((archive.best[0] == top).all() for top in tops)):
        best, value = archive.best
        improve(archive, best, value, flipped=any((best == top).all() for top in tops), screen=screen)


def _double(task: Task, archive: Archive, screen: Screen) -> None:
    """Exchange two bins at once while that helps: a minimum may be held by one bin that no other replaces alone."""
    problem, value = task.problem, -np.inf
    upward = problem.upward()
    while archive.best[1] > value and archive.best[0].sum() <= _FEW:
        chosen, value = archive.best
        left = np.flatnonzero(task.rules.possible & ~chosen)
        # What alone is significant, and what fills a minimum.
        alone = task.quick(upward.totals(np.eye(problem.n_bins, dtype=bool)[left]))
        useful = np.unique([left[np.argsort(-x)[:_FEW]] for x in (alone, problem.background[left])])
        sets = double_swaps(chosen, useful)
        totals = upward.totals(sets)
        sets = sets[task.rules.allowed(sets, totals) & (totals.signal > 0)]
        ranked = task.quick(upward.totals(sets))
        archive.evaluate(sets[np.argsort(-ranked, kind="stable")[:_RERANKED]])
        if archive.best[1] > value:
            improve(archive, *archive.best, screen=screen)


def _surrogate(task: Task) -> BoolArray:
    """The best sets under a provable figure of merit: what satisfies several constraints at once is hard to guess."""
    limits = replace(task.limits, gap=_SURROGATE_GAP, nodes=min(task.limits.nodes, _SURROGATE_NODES))
    other = replace(task, merit=MERITS["profile_asimov"], limits=limits)
    archive = other.archive(keep=_RERANKED)
    certify(other, archive)
    sets = [as_set(found.bins, task.problem.n_bins) for found in archive.candidates(_RERANKED)]
    return np.array(sets, dtype=bool).reshape(len(sets), task.problem.n_bins)


def _rectangle(task: Task, keep: int) -> tuple[Archive, Proof]:
    archive = task.archive(keep=keep)
    boxes = rectangles(task.ground)
    if len(boxes) <= _EVERY:
        archive.evaluate(boxes.sets)
        return archive, _exhausted(archive)
    values = task.quick(boxes.totals(task.problem))
    best = np.argsort(-values, kind="stable")
    # The best by their sums; more as long as constraints refuse them. What is only certain not to be among the best is evaluated.
    for i in range(0, best.size, _CHUNK):
        archive.evaluate(boxes.take(best[i : i + _CHUNK]))
        if archive.evaluated >= _EVERY or (archive.found and task.merit.provable):
            break
    return archive, _exhausted(archive) if task.merit.provable else Proof()


def _two_rectangles(task: Task, keep: int) -> tuple[Archive, Proof]:
    archive = task.archive(keep=keep)
    best_pairs(archive, pairable(task.ground), task.quick, task.rules)
    proved = task.merit.provable and task.problem.conflicts is None
    return archive, _exhausted(archive) if proved else _relaxed_proof(task, archive)


def _three_rectangles(task: Task, keep: int) -> tuple[Archive, Proof]:
    archive = task.archive(keep=max(keep, 64))
    boxes = pairable(task.ground)
    best_pairs(archive, boxes, task.quick, task.rules)
    if archive.found:
        best_triples(archive, task.ground, boxes.sets, task.quick)
    return archive, _relaxed_proof(task, archive)


def _connected(task: Task, keep: int) -> tuple[Archive, Proof]:
    require_ranges(task.ground)
    adjacency = neighbours(task.ground)
    archive = task.archive(keep=keep, shape=partial(is_connected, adjacency=adjacency))
    possible = int((task.rules.possible & ~task.rules.required).sum())
    if possible <= _FEW:
        brute_force(archive, task.rules)
        return archive, _exhausted(archive)
    screen = _screen(task)
    archive.evaluate(grow(screen, adjacency))
    _start(task, archive)
    if (boxes := few_rectangles(task.ground)) is not None:
        archive.evaluate(boxes.sets)
    moves = changes(adjacency)
    for start in archive.candidates(_CLIMBS):
        chosen = as_set(start.bins, task.problem.n_bins)
        improve(archive, chosen, start.value, screen=screen, changes=moves)
    return archive, _relaxed_proof(task, archive)


def _relaxed_proof(task: Task, archive: Archive) -> Proof:
    """Bound a shape by the optimum without the shape, where that can be proved."""
    exact = task.merit.at_most is not None and task.limits.exact_seconds > 0
    if not (task.merit.provable or exact) or not archive.found or task.problem.conflicts is not None:
        return Proof()
    _, proof = _solve(task, "free", 1)
    if proof.bound is None:
        return Proof()
    gap = task.limits.gap if task.merit.provable else task.limits.exact_gap
    reached = proof.bound <= archive.best[1] * (1 + gap + ROUNDING)
    return Proof(proof.bound, reached, proof.nodes)


def solve(task: Task, shape: Shape, keep: int) -> tuple[Archive, Proof]:
    """Solve a task in a shape; with a stand-in, and its best judged exactly, where the figure of merit is slow.

    Parameters
    ----------
    task : Task
    shape : str
        One of `SOLVERS`.
    keep : int
        How many of the best sets to remember.
    """
    if shape == "free":
        # A minimum of background may need bins without signal; nothing else does.
        narrow = replace(task, rules=task.rules.with_signal(task.problem))
        if narrow.rules.reachable(task.problem):
            archive, proof = _solve(narrow, shape, keep)
            if archive.found:
                return archive, proof
    return _solve(task, shape, keep)


def _solve(task: Task, shape: Shape, keep: int) -> tuple[Archive, Proof]:
    if task.merit.stand_in is None:
        return SOLVERS[shape](task, keep)
    rough, _ = SOLVERS[shape](replace(task, merit=task.merit.stand_in), max(keep, _LIMITED))
    archive = task.archive(keep=keep)
    sets = [as_set(found.bins, task.problem.n_bins) for found in rough.candidates(max(keep, _LIMITED))]
    if task.baseline is not None and shape == "free":
        sets.append(task.baseline.chosen)
    archive.evaluate(np.array(sets, dtype=bool).reshape(len(sets), task.problem.n_bins))
    archive.evaluated = rough.evaluated
    return archive, _afterwards(task, shape, archive)


def _afterwards(task: Task, shape: str, archive: Archive) -> Proof:
    """What is proved of the best that a stand-in found: of few sets, by the bound of every one of them; else by cells."""
    if task.merit.at_most is None or not archive.found or task.limits.exact_seconds <= 0:
        return Proof()
    if shape == "free" and int((task.rules.possible & ~task.rules.required).sum()) <= _FEW:
        for sets in every_set(task.rules.required, task.rules.possible):
            evaluate_open(archive, task.merit.largest, sets)
        return _exhausted(archive)
    if shape == "rectangle" and len(boxes := rectangles(task.ground)) <= _EVERY:
        evaluate_open(archive, task.merit.largest, boxes.sets)
        return _exhausted(archive)
    return _bounded(task, archive) if shape == "free" else _relaxed_proof(task, archive)


SOLVERS: Mapping[str, Callable[[Task, int], tuple[Archive, Proof]]] = MappingProxyType(
    {
        "free": _free,
        "rectangle": _rectangle,
        "two rectangles": _two_rectangles,
        "three rectangles": _three_rectangles,
        "connected": _connected,
    }
)
"""The solver of every shape."""
