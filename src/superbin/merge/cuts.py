"""Merges as selections a physicist can write down.

A merge that is one rectangle prints as its cuts; any other as the fewest rectangles whose union is exactly
its bins, a minimum set cover solved by integer programming over the largest rectangles inside the merge. Only these are
looked for (`superbin.merge.boxes`), so that a text costs what its merge is worth, not what the search could be cut into.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from superbin.domain.search import Observable, Search
from superbin.merge.boxes import Edges, largest_boxes, maximal
from superbin.merge.problem import BoolArray, IntArray
from superbin.merge.rectangles import few_rectangles

__all__ = ["Selections", "count_selections", "cover", "cuts", "range_texts", "selections"]

_COUNTED = {
    "njet": "jets",
    "njets": "jets",
    "nj": "jets",
    "nb": "b jets",
    "nbjet": "b jets",
    "nbjets": "b jets",
    "nbtag": "b jets",
    "nbtags": "b jets",
}

_PLURAL = re.compile(
    r"(?:(?:the )?number of )?(?P<many>(?:(?! with | of | in | above | below |,).)+s(?<!ss|is)(?<!ius|tus|ias))"
    r"(?P<rest>(?: with | of | in | above | below |,).*)?",
    re.IGNORECASE,
)
"""Words of an observable that counts, such as ``number of b jets with pT > 30 GeV``; ``mass``, ``radius`` and ``axis`` are no plurals."""

_SOLVED = 2_000
"""Largest rectangles up to which the fewest are found by integer programming; beyond, the largest are taken first."""

_TOGETHER = 64
"""Rectangles up to which they are not sorted into pieces first."""

_SECONDS = 5.0

_BY_HAND = 64
_NODES = 3_000
"""Rectangles, and steps of a search, up to which no solver is called."""

_STEPS = 100
"""Steps of a search for a number alone, before what is clear is sorted out first."""


@dataclass(frozen=True, slots=True)
class Selections:
    """A merge in words.

    Attributes
    ----------
    texts : tuple of str
        Selections whose union is exactly the merge.
    overlap : bool
        Whether a bin is in two of them, so that they must not be added up.
    """

    texts: tuple[str, ...]
    overlap: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """The selections, after a line ``union of`` where they overlap."""
        return ("union of", *self.texts) if self.overlap else self.texts


def cuts(search: Search, bins: Iterable[int]) -> tuple[str, ...]:
    """Write a merge as selections whose union is exactly its bins.

    Parameters
    ----------
    search : Search
    bins : iterable of int
        Published 1-based numbers.

    Returns
    -------
    tuple of str
        As few as possible, such as ``("7-8 jets, >= 3 b jets, HT > 1000 GeV",)``; a few more where a merge of thousands of
        bins falls into pieces of no shape. They may overlap. An event of the search passes one of them if and only if it is
        in one of the bins. A bin that no cuts can tell from another one, and a region without ranges, is written by its
        name or as ``bin 12``.

    Raises
    ------
    InputError
        If the set is empty or a number names no bin.
    """
    return selections(search, bins).texts


def selections(search: Search, bins: Iterable[int]) -> Selections:
    """Write a merge as `cuts` does, and say whether the selections overlap.

    Raises
    ------
    InputError
        As `cuts`.
    """
    chosen = np.zeros(search.n_bins, dtype=bool)
    chosen[list(search.indices(bins))] = True
    if not search.observables:
        return Selections(tuple(search.bin_name(int(i) + 1) for i in np.flatnonzero(chosen)), False)
    sets = cover(search, chosen)
    left = np.flatnonzero(chosen & ~sets.any(axis=0))
    texts = tuple(_text(search, row) for row in sets)
    names = tuple(search.bin_name(int(i) + 1) for i in left)
    return Selections(texts + names, bool((sets.sum(axis=0) > 1).any()))


def cover(search: Search, chosen: BoolArray) -> BoolArray:
    """The fewest rectangles whose union is a set of bins, but for bins that no rectangle inside the set contains.

    Parameters
    ----------
    search : Search
        With observables.
    chosen : ndarray of bool, shape (n_bins,)

    Returns
    -------
    ndarray of bool, shape (n_rectangles, n_bins)
        In the order of their lowest bins, read-only. Of covers of equal size the one with the shortest text is taken.
    """
    return _remembered(search)[0](chosen.tobytes())


@lru_cache(maxsize=4)
def _remembered(search: Search) -> tuple[Callable[[bytes], BoolArray], Callable[[bytes], int]]:
    """Covers and counts of the last few searches; one memory for all would hold every search of a long process."""
    return (
        lru_cache(maxsize=1024)(partial(_cover, search)),
        lru_cache(maxsize=4096)(partial(_count, search)),
    )


def _cover(search: Search, key: bytes) -> BoolArray:
    chosen = np.frombuffer(key, dtype=bool)
    members, boxes = np.flatnonzero(chosen), _boxes(search, key)
    picked = list(_fewest(boxes, lambda rows: np.array([_shortest(search, members[row])[0] for row in rows])))
    sets = np.zeros((len(picked), search.n_bins), dtype=bool)
    for row, box in enumerate(picked):
        sets[row, members[boxes[box]]] = True
    sets = sets[sorted(range(len(sets)), key=lambda row: tuple(np.flatnonzero(sets[row]).tolist()))]
    sets.setflags(write=False)
    return sets


def count_selections(search: Search, chosen: BoolArray) -> int:
    """The number of selections of a merge's text: a bin that no cuts tell from others, or without ranges, is one of its own."""
    if not search.observables:
        return int(chosen.sum())
    return _remembered(search)[1](chosen.tobytes())


def _count(search: Search, key: bytes) -> int:
    boxes = _boxes(search, key)
    covered = boxes.any(axis=0)
    alone = covered.size - int(covered.sum())
    if not len(boxes):
        return alone
    if len(boxes) <= _BY_HAND:
        found = _searched(boxes[:, covered], np.zeros(len(boxes), dtype=np.intp), _STEPS)
        if found is not None:
            return found.size + alone
    return sum(1 for _ in _fewest(boxes, None)) + alone


@lru_cache(maxsize=64)
def _boxes(search: Search, key: bytes) -> BoolArray:
    """The largest rectangles inside a set, over its bins in ascending order."""
    chosen = np.frombuffer(key, dtype=bool)
    every = few_rectangles(search)
    if every is not None:
        inside = every.inside(chosen)[:, chosen]
        return inside[maximal(inside)]
    boxes = largest_boxes(search, chosen)
    return _grown(search, chosen) if boxes is None else boxes


def _grown(search: Search, chosen: BoolArray) -> BoolArray:
    """One large rectangle around every chosen bin that has one, where there are too many to list."""
    edges = Edges.of(search)
    members = np.flatnonzero(chosen)
    found, done = [], np.zeros(search.n_bins, dtype=bool)
    middle = np.where(np.isfinite(edges.stop), edges.start + edges.stop, 2 * edges.start)
    scale = np.ptp(middle, axis=0)
    middle = middle / np.where(scale > 0, scale, 1.0)
    for seed in members:
        if done[seed]:
            continue
        box = _closed(edges, chosen, np.eye(1, search.n_bins, int(seed), dtype=bool)[0])
        if box is None:
            continue
        near = np.argsort(((middle[members] - middle[seed]) ** 2).sum(axis=1), kind="stable")
        for other in members[near[1:33]]:
            if not box[other]:
                wider = box.copy()
                wider[other] = True
                larger = _closed(edges, chosen, wider)
                box = box if larger is None else larger
        done |= box
        found.append(box[members])
    return np.array(found, dtype=bool).reshape(len(found), members.size)


def _closed(edges: Edges, chosen: BoolArray, some: BoolArray) -> BoolArray | None:
    """The bins of the smallest rectangle that holds some of them; None if it is not inside the chosen set."""
    while True:
        low, high = edges.start[some].min(axis=0), edges.stop[some].max(axis=0)
        touched = edges.touched(low, high)
        if (touched & ~chosen).any():
            return None
        if not (touched & ~some).any():
            return touched
        some = touched


# --- the fewest of them --------------------------------------------------------------------------------------


def _fewest(sets: BoolArray, cost_of: Callable[[BoolArray], IntArray] | None) -> Iterator[int]:
    """Rows whose union is that of all, as few as can be proved; those with the shortest texts, if their cost is given."""
    if not len(sets):
        return
    if len(sets) > _TOGETHER:
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import connected_components

        # Rectangles in pieces that share no bin are chosen piece by piece.
        graph = csr_matrix(sets.astype(np.int8))
        _, piece = connected_components(graph @ graph.T, directed=False)
    else:
        piece = np.zeros(len(sets), dtype=np.int32)
    order = np.argsort(piece, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(piece[order])) + 1):
        yield from (int(rows[i]) for i in _fewest_together(sets[rows], cost_of))


def _fewest_together(sets: BoolArray, cost_of: Callable[[BoolArray], IntArray] | None) -> IntArray:
    """As `_fewest`, of rectangles that are not sorted into pieces: what is clear is taken, the rest is solved."""
    rows, bins = np.arange(len(sets)), np.flatnonzero(sets.any(axis=0))
    cost = np.zeros(len(sets), dtype=np.intp)
    picked: list[IntArray] = []
    priced = cost_of is None
    while True:
        # What a bin has no other rectangle for is taken anyway.
        left = sets[np.ix_(rows, bins)]
        alone = left[:, left.sum(axis=0) == 1].any(axis=1)
        picked.append(rows[alone])
        bins = bins[~left[alone].any(axis=0)]
        if not bins.size:
            break
        bins = bins[_needed(sets[np.ix_(rows, bins)])]
        rows = rows[sets[np.ix_(rows, bins)].any(axis=1)]
        if not priced and cost_of is not None:
            cost[rows], priced = cost_of(sets[rows]), True
        outermost = _outermost(sets[np.ix_(rows, bins)], cost[rows])
        if outermost.size == rows.size and not alone.any():
            left = sets[np.ix_(rows, bins)]
            picked.append(rows[_solved(left, cost[rows])])
            break
        rows = rows[outermost]
    return np.concatenate(picked)


def _needed(sets: BoolArray) -> IntArray:
    """Bins without those that are covered whenever another one is."""
    counts = sets.astype(np.float32)
    own = counts.sum(axis=0)
    # Bin j is covered with bin i if every set that holds i holds j; of equal ones the first stays.
    implied = counts.T @ counts == own[:, None]
    equal = implied & implied.T
    first = np.arange(own.size)
    implied &= ~(equal & (first[:, None] >= first))
    return np.flatnonzero(~implied.any(axis=0))


def _outermost(sets: BoolArray, cost: IntArray) -> IntArray:
    """Rows without those that another row contains and costs no more than; of equal ones the first stays."""
    counts = sets.astype(np.float32)
    inside = (counts @ counts.T == counts.sum(axis=1)[:, None]) & (cost[None, :] <= cost[:, None])
    first = np.arange(len(sets))
    inside &= ~(inside & inside.T & (first[:, None] <= first))
    return np.flatnonzero(~inside.any(axis=1))


def _solved(sets: BoolArray, cost: IntArray) -> IntArray:
    """Rows of a cover with the fewest sets, and of these the least cost."""
    if len(sets) <= _BY_HAND:
        found = _searched(sets, cost)
        if found is not None:
            return found
    return np.flatnonzero(_minimum_cover(sets, cost) if len(sets) <= _SOLVED else _largest_first(sets))


def _searched(sets: BoolArray, cost: IntArray, steps: int = _NODES) -> IntArray | None:
    """The same by depth-first search, which for few sets is faster than to call a solver; None after too many steps."""
    masks = [int.from_bytes(row.tobytes(), "little") for row in np.packbits(sets, axis=1, bitorder="little")]
    bits = [1 << j for j in range(sets.shape[1])]
    holders: list[list[int]] = [[] for _ in bits]
    for j, i in zip(*(part.tolist() for part in np.nonzero(sets.T)), strict=True):
        holders[j].append(i)
    order = sorted(range(len(bits)), key=lambda j: len(holders[j]))
    most = max(mask.bit_count() for mask in masks)
    best: tuple[int, int, list[int]] = (len(sets) + 1, 0, [])
    stack: list[tuple[int, int, list[int]]] = [(sum(bits), 0, [])]
    for _ in range(steps):
        if not stack:
            return np.array(best[2], dtype=np.intp)
        left, spent, taken = stack.pop()
        if not left:
            best = min(best, (len(taken), spent, taken))
        elif (len(taken) + -(-left.bit_count() // most), spent) < best[:2]:
            # One of the sets that hold the scarcest bin is in every cover.
            scarce = next(j for j in order if left & bits[j])
            tried = sorted(holders[scarce], key=lambda i: (left & masks[i]).bit_count())
            stack += [(left & ~masks[i], spent + int(cost[i]), [*taken, i]) for i in tried]
    return None


def _minimum_cover(sets: BoolArray, cost: IntArray) -> BoolArray:
    from scipy import optimize

    # The text's length only decides between covers of equal size.
    weight = 1.0 + cost / (1.0 + cost.sum())
    answer = optimize.milp(
        weight,
        integrality=np.ones(len(sets), dtype=np.int64),
        bounds=optimize.Bounds(0, 1),
        constraints=optimize.LinearConstraint(sets.T.astype(np.float64), lb=1.0),
        options={"mip_rel_gap": 0.0, "time_limit": _SECONDS},
    )
    if answer.x is None:
        return _largest_first(sets)
    picked: BoolArray = answer.x > 0.5
    return picked


def _largest_first(sets: BoolArray) -> BoolArray:
    """A cover that takes the rectangle with the most bins that are still missing, again and again."""
    picked = np.zeros(len(sets), dtype=bool)
    missing = np.ones(sets.shape[1])
    counts = sets.astype(np.float32)
    while missing.any():
        best = int(np.argmax(counts @ missing.astype(np.float32)))
        picked[best] = True
        missing[sets[best]] = 0
    return picked


# --- the text of a rectangle ---------------------------------------------------------------------------------


def _text(search: Search, chosen: BoolArray) -> str:
    _, low, high = _shortest(search, np.flatnonzero(chosen))
    return ", ".join(range_texts(search, low, high)) or "all bins"


def _shortest(search: Search, bins: IntArray) -> tuple[int, list[float], list[float]]:
    """How many numbers the shortest ranges need that select a rectangle's bins, and these ranges.

    Of ranges with as many numbers, those that leave out the first observables, then the tightest.
    """
    edges = Edges.of(search)
    start, stop = edges.start[bins].min(axis=0), edges.stop[bins].max(axis=0)
    others = np.ones(search.n_bins, dtype=bool)
    others[bins] = False
    # Bins outside that every combination of ranges touches, one more axis of combinations per observable.
    touched, cost, axes = others, np.zeros((), dtype=np.intp), []
    for j in range(start.size):
        low, high = float(search.low[bins, j].min()), float(search.high[bins, j].max())
        least, most = float(search.low[:, j].min()), float(search.high[:, j].max())
        options = [(0, least, most, -np.inf, np.inf)]
        if low > least or high < most:
            short = low == high or np.isinf(high)
            options.append((1 if short else 2, low, high, float(start[j]), float(stop[j])))
            if np.isinf(most) and not np.isinf(high):
                options.append((1, low, most, float(start[j]), np.inf))
        options.sort(key=lambda option: option[0])
        axes.append(options)
        since, until = (np.array([option[i] for option in options])[:, None] for i in (3, 4))
        touched = touched[..., None, :] & (edges.start[:, j] < until) & (edges.stop[:, j] > since)
        cost = cost[..., None] + np.array([option[0] for option in options])
    true = np.where(touched.any(axis=-1), np.iinfo(np.intp).max, cost)
    pick = np.unravel_index(int(np.argmin(true)), true.shape)
    parts = [options[i] for options, i in zip(axes, pick, strict=True)]
    return int(cost[pick]), [part[1] for part in parts], [part[2] for part in parts]


def range_texts(search: Search, low: Sequence[float], high: Sequence[float]) -> list[str]:
    """Write a product of ranges, one text per observable, leaving out what every bin of the search passes."""
    return [
        _range_text(observable, low[j], high[j])
        for j, observable in enumerate(search.observables)
        if low[j] > search.low[:, j].min() or high[j] < search.high[:, j].max()
    ]


def _range_text(observable: Observable, low: float, high: float) -> str:
    text = observable.text(low, high)
    noun = _noun(observable)
    if observable.discrete and noun is not None and (things := _Things.of(noun)) is not None:
        if low == high == 1:
            return f"one {things.one}"
        return f"{text} {things.one if low == 1 and np.isinf(high) else things.many}"
    if observable.discrete:
        return f"{noun or observable.name} {text}"
    name = noun or (observable.name if observable.unit == "" else observable.name.upper())
    return " ".join(filter(None, [name, text, observable.unit]))


@dataclass(frozen=True, slots=True)
class _Things:
    """What is counted, in the singular and in the plural."""

    one: str
    many: str

    @classmethod
    def of(cls, noun: str) -> "_Things | None":
        """What an observable counts by its words, such as ``jets with pT > 30 GeV``; None if they are no plural: a charge, a multiplicity."""
        found = _PLURAL.fullmatch(noun)
        if found is None:
            return None
        many, rest = found["many"], found["rest"] or ""
        lower = many.lower()
        if lower.endswith("series"):
            one = many
        elif lower.endswith("vertices"):
            one = f"{many[:-4]}ex"
        elif lower.endswith("ies"):
            one = f"{many[:-3]}y"
        else:
            one = many[: -2 if lower.endswith(("sses", "xes", "ches", "shes")) else -1]
        return cls(one + rest, many + rest)


def _noun(observable: Observable) -> str | None:
    """What the search calls an observable in plain words, if it does."""
    known = _COUNTED.get(observable.name.lower().replace("_", ""))
    label = observable.label.strip()
    if known is not None or label == observable.name or any(sign in label for sign in "$\\^_{}"):
        return known
    return label or None
