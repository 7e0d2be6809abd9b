"""A merge that is nearly the best, and shorter to describe.

Among the merges whose figure of merit is within a tolerance of the best one's, `simplest` looks for the one with the fewest
selections, then the fewest bins, then the largest figure of merit: one rectangle, two of them, and beyond that what a
local search from the best merge leads to. That one rectangle does not suffice is proved by looking at all; that two do not,
for a provable figure of merit. Regions without ranges are their own selections, so the fewest bins are looked for.
"""

from dataclasses import dataclass, replace

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.search import Search
from superbin.merge.archive import Archive
from superbin.merge.cuts import count_selections, cover
from superbin.merge.problem import BoolArray, first_rows
from superbin.merge.rectangles import Rectangles, few_rectangles
from superbin.merge.shapes import Task
from superbin.merge.unions import pairs_above

__all__ = ["Simplest", "simplest"]

_CLOSE = 0.98
"""How much the ratio of the exact to the quick figure may differ from that of the best merge."""

_ROUGH = 0.97
"""Sets whose quick figure is below this share of what is asked for get no exact one, where the ratio says little."""

_SURE = 2e-4
"""How much more than what is asked for the quick figure has to promise, where it is believed at first."""

_SLOW = 24
_TRIED = 8
_ROUNDS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Simplest:
    """The merge that was found, and whether no merge within the tolerance has fewer selections."""

    chosen: BoolArray
    value: float
    proved: bool


def simplest(task: Task, best: BoolArray, value: float, tolerance: float, *, prove: bool = True) -> Simplest:
    """The shortest merge whose figure of merit is at least ``(1 - tolerance)`` times that of the best.

    Parameters
    ----------
    task : Task
    best : ndarray of bool, shape (n_bins,)
        The best merge.
    value : float
        Its figure of merit.
    tolerance : float
        Between 0 and 1.
    prove : bool
        Whether, if none of the promising rectangles is good enough, all others get the exact figure of merit, too, so that two
        selections are proved to be the fewest. The choice does not depend on it.

    Returns
    -------
    Simplest
        The best merge itself if nothing shorter was found.
    """
    asked = _Asked.of(task, best, value, (1 - tolerance) * value)
    search = task.search
    parts = 1 if search is None else count_selections(search, best)
    proved = parts == 1
    boxes = None if search is None else few_rectangles(search)
    if boxes is not None:
        one, complete = _one(asked, boxes, prove=prove)
        if one is not None:
            return Simplest(*one, True)
        # No rectangle will do, so two selections are the fewest if two there are.
        proved = complete and parts == 2
        if parts > 1:
            two = _two(asked, boxes)
            if two is not None and (2, int(two[0].sum())) < (parts, int(best.sum())):
                return Simplest(*two, complete)
            proved = complete and (parts == 2 or (parts == 3 and task.merit.provable and two is None))
    if search is None:
        return Simplest(best, value, False)
    chosen = _descend(asked, search, best)
    return Simplest(
        chosen, asked.archive().value(chosen), proved and count_selections(search, chosen) == parts
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What figure of merit is asked for, and how far a quick one tells whether it is reached.

    Attributes
    ----------
    task : Task
    least : float
    near : float
        Quick figure below which no set reaches it.
    ratio : float or None
        Of the exact to the quick figure at the best merge; None where that says nothing of others.
    """

    task: Task
    least: float
    near: float
    ratio: float | None

    @classmethod
    def of(cls, task: Task, best: BoolArray, value: float, least: float) -> "_Asked":
        if task.merit.provable:
            return cls(task, least, least * (1 - 1e-9), 1.0)
        if task.merit.jumps:
            return cls(task, least, least * _ROUGH, None)
        ratio = value / float(task.quick(task.problem.upward().totals(best[None, :]))[0])
        return cls(task, least, _CLOSE * least / ratio, ratio)

    def archive(self) -> Archive:
        """An empty archive; what is below what is asked for is of no use, so few are remembered."""
        return self.task.archive(keep=_TRIED)

    def likely(self, sets: BoolArray) -> tuple[BoolArray, FloatArray]:
        """The few best of some sets by the quick figure, if it is high enough, and what it says of the exact one."""
        quick = self.task.quick(self.task.problem.upward().totals(sets))
        best = np.argsort(-quick, kind="stable")[:_TRIED]
        best = best[quick[best] >= self.near]
        return sets[best], quick[best] * (self.ratio or 0.0)

    def values(self, sets: BoolArray) -> FloatArray:
        """Figures of merit of sets, -inf for those that a quick one rules out; where it is slow, of the few with the fewest bins."""
        values = np.full(len(sets), -np.inf)
        if not len(sets):
            return values
        task = self.task
        near = np.flatnonzero(task.quick(task.problem.upward().totals(sets)) >= self.near)
        if task.merit.stand_in is not None:
            rough = replace(task, merit=task.merit.stand_in).archive(keep=1).evaluate(sets[near])
            near, rough = near[rough >= self.near], rough[rough >= self.near]
            near = near[np.lexsort((-rough, sets[near].sum(axis=1)))[:_SLOW]]
        if near.size:
            values[near] = self.archive().evaluate(sets[near])
        return values

    def shortest(self, sets: BoolArray) -> tuple[BoolArray, float] | None:
        """The set with the fewest bins among those that reach what is asked for, then the best."""
        values = self.values(sets)
        enough = np.flatnonzero(values >= self.least)
        if not enough.size:
            return None
        best = enough[np.lexsort((-values[enough], sets[enough].sum(axis=1)))[0]]
        return sets[best], self.archive().value(sets[best])


def _one(asked: _Asked, boxes: Rectangles, *, prove: bool) -> tuple[tuple[BoolArray, float] | None, bool]:
    """The shortest rectangle, and whether all were looked at."""
    task = asked.task
    near = task.quick(boxes.totals(task.problem)) >= asked.near
    found = asked.shortest(boxes.sets[near])
    if found is not None or task.merit.provable:
        return found, True
    if not prove or task.merit.stand_in is not None:
        return None, False
    others = asked.archive().evaluate(boxes.sets[~near])
    return None, bool((others < asked.least).all())


def _two(asked: _Asked, boxes: Rectangles) -> tuple[BoolArray, float] | None:
    """The union of two rectangles with the fewest bins."""
    task, best = asked.task, None
    for sets in pairs_above(task.problem, boxes, task.quick, task.rules, asked.near):
        # Later sets have as many bins or more.
        if best is not None and int(sets.sum(axis=1).min()) > int(best[0].sum()):
            break
        found = asked.shortest(sets)
        if found is not None and (best is None or (found[0].sum(), -found[1]) < (best[0].sum(), -best[1])):
            best = found
    return best


def _descend(asked: _Asked, search: Search, best: BoolArray) -> BoolArray:
    """Join parts, take parts away, and add or drop a bin, as long as the description gets shorter.

    The quick figure says how far that may go, and the exact one has the last word.
    """
    if asked.ratio is not None:
        chosen = _descended(asked, search, best, exact=False)
        if asked.archive().value(chosen) >= asked.least:
            return chosen
    return _descended(asked, search, best, exact=True)


def _descended(asked: _Asked, search: Search, chosen: BoolArray, *, exact: bool) -> BoolArray:
    key = _shape(search, chosen)
    for _ in range(_ROUNDS):
        for sets in (_rearranged(search, chosen), _flipped(asked.task, chosen)):
            some, values = asked.likely(sets)
            found = None
            if not exact:
                found = _shortest(search, some, values, key, asked.least * (1 + _SURE))
            if found is None:
                shorter = np.array([_shape(search, row) < key for row in some], dtype=bool)
                values[shorter] = asked.values(some[shorter])
                values[~shorter] = -np.inf
                found = _shortest(search, some, values, key, asked.least)
            if found is not None:
                chosen = some[found]
                key = _shape(search, chosen)
                break
        else:
            break
    return chosen


def _shape(search: Search, chosen: BoolArray) -> tuple[int, int]:
    """Selections and bins of a set: shorter ones come first."""
    return count_selections(search, chosen), int(chosen.sum())


def _shortest(
    search: Search, sets: BoolArray, values: FloatArray, key: tuple[int, int], least: float
) -> int | None:
    """The row of the shortest set that has at least some value and is shorter than a shape; of equal ones the best."""
    rows = [int(row) for row in np.flatnonzero(values >= least)]
    shapes = {row: shape for row in rows if (shape := _shape(search, sets[row])) < key}
    return min(shapes, key=lambda row: (shapes[row], -values[row]), default=None)


def _rearranged(search: Search, chosen: BoolArray) -> BoolArray:
    """Sets without one of the selections, or with two of them joined by what lies between."""
    if not search.observables:
        return np.zeros((0, chosen.size), dtype=bool)
    parts = cover(search, chosen)
    sets = [np.delete(parts, i, axis=0).any(axis=0) for i in range(len(parts))]
    for i in range(len(parts)):
        for other in parts[i + 1 :]:
            both = np.flatnonzero(parts[i] | other)
            low, high = search.low[both].min(axis=0), search.high[both].max(axis=0)
            sets.append(chosen | ((search.low >= low) & (search.high <= high)).all(axis=1))
    every = np.array([row for row in sets if row.any()], dtype=bool).reshape(-1, chosen.size)
    return every[first_rows(every)] if len(every) else every


def _flipped(task: Task, chosen: BoolArray) -> BoolArray:
    """Sets with one of the possible bins more or less."""
    sets: BoolArray = chosen ^ np.eye(chosen.size, dtype=bool)[np.flatnonzero(task.rules.possible)]
    return sets[sets.any(axis=1)]
