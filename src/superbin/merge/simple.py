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
from superbin.errors import InputError
from superbin.merge.archive import Archive
from superbin.merge.cuts import cover
from superbin.merge.problem import BoolArray, first_rows
from superbin.merge.rectangles import Rectangles, rectangles
from superbin.merge.shapes import Task
from superbin.merge.unions import best_pairs

__all__ = ["Simplest", "simplest"]

_FAR = 0.5
"""Rectangles whose quick figure is below this share of what is asked for get no exact one, unless a proof is."""

_NEAR = 0.97
"""The same for pairs of rectangles."""

_PAIRS = 400
_SLOW = 24
_TRIED = 8
_ROUNDS = 12

_MANY = 20_000
"""Rectangles up to which all are looked at."""


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
    least = (1 - tolerance) * value
    search = task.search
    parts = _parts(search, best)
    proved = parts == 1
    found = Simplest(best, value, proved)
    if search is not None and search.observables:
        boxes = _rectangles(search)
        if boxes is not None:
            one, complete = _one(task, boxes, least, prove=prove)
            if one is not None:
                return Simplest(*one, True)
            # No rectangle will do, so two selections are the fewest if two there are.
            proved = complete and parts == 2
            found = Simplest(best, value, proved)
            if parts > 1:
                two = _two(task, boxes, least)
                if two is not None and (2, int(two[0].sum())) < (parts, int(best.sum())):
                    return Simplest(*two, complete)
                proved = complete and (parts == 2 or (parts == 3 and task.merit.provable and two is None))
                found = Simplest(best, value, proved)
    chosen, reached = _descend(task, best, value, least)
    return Simplest(chosen, reached, found.proved and _parts(search, chosen) == parts)


def _parts(search: Search | None, chosen: BoolArray) -> int:
    """Number of selections of a merge; a bin that no selection holds is one of its own."""
    if search is None or not search.observables:
        return int(chosen.sum())
    sets = cover(search, chosen)
    return len(sets) + int((chosen & ~sets.any(axis=0)).sum())


def _rectangles(search: Search) -> Rectangles | None:
    try:
        boxes = rectangles(search)
    except InputError:
        return None
    return boxes if len(boxes) <= _MANY else None


def _archive(task: Task) -> Archive:
    # What is below the tolerance is of no use, so no more is remembered than is looked at.
    return task.archive(keep=_PAIRS)


def _shortest(task: Task, sets: BoolArray, least: float) -> tuple[BoolArray, float] | None:
    """The set with the fewest bins among those that reach a figure of merit, then the best."""
    if not len(sets):
        return None
    archive = _archive(task)
    values = _values(task, archive, sets, least)
    enough = np.flatnonzero(values >= least)
    if not enough.size:
        return None
    size = sets[enough].sum(axis=1)
    best = enough[np.lexsort((-values[enough], size))[0]]
    return sets[best], archive.value(sets[best])


def _values(task: Task, archive: Archive, sets: BoolArray, least: float) -> FloatArray:
    """Figures of merit of sets; where that is slow, of a few that a stand-in finds good enough, the fewest bins first."""
    if task.merit.stand_in is None:
        return archive.evaluate(sets)
    values = np.full(len(sets), -np.inf)
    near = np.flatnonzero(task.quick(task.problem.totals(sets)) >= _FAR * least)
    stand_in = replace(task, merit=task.merit.searched).archive(keep=1)
    rough = stand_in.evaluate(sets[near])
    near, rough = near[rough >= _NEAR * least], rough[rough >= _NEAR * least]
    rows = near[np.lexsort((-rough, sets[near].sum(axis=1)))[:_SLOW]]
    values[rows] = archive.evaluate(sets[rows])
    return values


def _one(
    task: Task, boxes: Rectangles, least: float, *, prove: bool
) -> tuple[tuple[BoolArray, float] | None, bool]:
    """The shortest rectangle, and whether all were looked at."""
    provable = task.merit.provable
    values = task.quick(boxes.totals(task.problem))
    # What is chosen must not depend on whether a proof is asked for.
    near = values >= least * (1 - 1e-9 if provable else _FAR)
    found = _shortest(task, boxes.sets[near], least)
    if found is not None or provable:
        return found, True
    if not prove or task.merit.stand_in is not None:
        return None, False
    others = _archive(task).evaluate(boxes.sets[~near])
    return None, bool((others < least).all())


def _two(task: Task, boxes: Rectangles, least: float) -> tuple[BoolArray, float] | None:
    """The shortest of the best pairs of rectangles."""
    share = 1 - 1e-9 if task.merit.provable else _NEAR
    archive = _archive(task)
    try:
        best_pairs(archive, boxes, task.quick, task.rules, least=least * share, keep=_PAIRS)
    except InputError:
        return None
    listed = [candidate for candidate in archive.candidates(_PAIRS) if candidate.value >= least]
    if not listed:
        return None
    best = min(listed, key=lambda candidate: (len(candidate.bins), -candidate.value))
    chosen = np.zeros(task.problem.n_bins, dtype=bool)
    chosen[np.array(best.bins) - 1] = True
    return chosen, archive.value(chosen)


def _descend(task: Task, chosen: BoolArray, value: float, least: float) -> tuple[BoolArray, float]:
    """Join parts, take parts away, and add or drop a bin, as long as the description gets shorter."""
    key = (_parts(task.search, chosen), int(chosen.sum()))
    for _ in range(_ROUNDS):
        for sets in (_rearranged(task, chosen), _flipped(task, chosen)):
            values = _values(task, _archive(task), sets, least)
            enough = np.flatnonzero(values >= least)
            ranked = enough[np.argsort(-values[enough], kind="stable")[:_TRIED]]
            steps = [
                (_parts(task.search, sets[row]), int(sets[row].sum()), -values[row], row) for row in ranked
            ]
            if steps and min(steps)[:2] < key:
                parts, bins, _, row = min(steps)
                chosen, value, key = sets[row], float(values[row]), (parts, bins)
                break
        else:
            break
    return chosen, value


def _rearranged(task: Task, chosen: BoolArray) -> BoolArray:
    """Sets without one of the selections, or with two of them joined by what lies between."""
    search = task.search
    if search is None or not search.observables:
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
