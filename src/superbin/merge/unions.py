"""Merges of the form "these cuts or those cuts": unions of two or three rectangles.

All pairs are ranked, block by block, through matrix products: the sums of a union are those of its parts less
those of what they share, and what two rectangles share is a rectangle. Millions of pairs get a quick figure
of merit this way and the best the exact one. Three rectangles are grown from the best pairs and improved one
rectangle at a time; that is no proof.
"""

from collections.abc import Callable

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.merge.archive import Archive, as_set
from superbin.merge.constraints import Rules
from superbin.merge.cuts import cover
from superbin.merge.problem import BoolArray, IntArray, Problem, Totals, first_rows
from superbin.merge.rectangles import Rectangles

__all__ = ["best_pairs", "best_triples"]

_BLOCK = 128
_KEPT = 1500
_GROWN = 48
_EXACT = 64


def best_pairs(
    archive: Archive, sets: BoolArray, quick: Callable[[Totals], FloatArray], rules: Rules
) -> None:
    """Evaluate the best unions of two rectangles.

    Parameters
    ----------
    archive : Archive
        Receives the unions that rank highest.
    sets : ndarray of bool, shape (n_rectangles, n_bins)
        Rectangles, with all their intersections among them.
    quick : callable
        Figure of merit to rank all pairs with. If it is the archive's own, the best pair is found for certain.
    rules : Rules
        Constraints; pairs that break them are not ranked.
    """
    sets = sets[~(sets & ~rules.possible).any(axis=1)]
    if not len(sets):
        return
    sums = _PairSums(archive.problem, sets)
    floor, kept = -np.inf, (np.zeros(0), np.zeros((0, 2), dtype=np.intp))
    for start in range(0, len(sets), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(sets)))
        totals, fine = sums.block(rows, rules)
        values = np.where(fine, quick(totals), -np.inf)
        hits = np.flatnonzero(values > floor)
        first, second = np.divmod(hits, len(sets) - start)
        pairs = np.stack([rows[first], second + start], axis=1)
        score = np.concatenate([kept[0], values[hits]])
        table = np.concatenate([kept[1], pairs])
        best = np.argsort(-score, kind="stable")[:_KEPT]
        kept = score[best], table[best]
        if best.size == _KEPT:
            floor = float(kept[0][-1])
    archive.evaluate(sets[kept[1][:, 0]] | sets[kept[1][:, 1]])


class _PairSums:
    """Sums over the unions of all pairs of a list of rectangles."""

    def __init__(self, problem: Problem, sets: BoolArray) -> None:
        self.sets = sets.astype(np.float64)
        self.columns = [problem.signal, problem.background, problem.variance_up, np.ones(problem.n_bins)]
        self.single = [self.sets @ column for column in self.columns]
        self.covariance: FloatArray | None = None
        if problem.covariance_up is not None:
            self.covariance = self.sets @ problem.covariance_up @ self.sets.T
            # Whole numbers that a float64 sum keeps exact name the intersections.
            self.names = np.random.default_rng(0).integers(1, 1 << 44, problem.n_bins).astype(np.float64)
            own = self.sets @ self.names
            self.order = np.argsort(own)
            self.sorted_names = own[self.order]

    def block(self, rows: IntArray, rules: Rules) -> tuple[Totals, BoolArray]:
        """Totals of the unions of `rows` with all rectangles from the first of them on, and what is allowed."""
        later = slice(int(rows[0]), None)
        part, other = self.sets[rows], self.sets[later].T
        signal, background, variance, count = (
            single[rows, None] + single[None, later] - (part * column) @ other
            for column, single in zip(self.columns, self.single, strict=True)
        )
        if self.covariance is not None:
            variance = self._variance(rows, later)
        fine = (count >= rules.least - 0.5) & (count <= rules.most + 0.5) & (signal > 0)
        fine &= (background >= rules.min_background) & (signal >= rules.min_signal)
        for i in np.flatnonzero(rules.required):
            fine &= (self.sets[rows, i, None] + self.sets[None, later, i]) > 0
        fine &= np.arange(rows[0], len(self.sets))[None, :] >= rows[:, None]
        up = np.sqrt(np.maximum(variance, 0.0))
        # The quick figures look at the upward side only.
        s, b, width = (np.maximum(x, 0.0).ravel() for x in (signal, background, up))
        return Totals(s, b, width, np.zeros_like(s)), fine.ravel()

    def _variance(self, rows: IntArray, later: slice) -> FloatArray:
        """``w' C w`` of a union: with c what a and b share, w = a + b - c."""
        assert self.covariance is not None
        names = (self.sets[rows] * self.names) @ self.sets[later].T
        at = np.minimum(np.searchsorted(self.sorted_names, names), len(self.order) - 1)
        shared = np.where(names > 0, self.order[at], -1)
        own = np.diag(self.covariance)
        columns = np.arange(later.start, len(self.sets))[None, :]
        c = self.covariance
        common = own[shared] - 2 * c[rows[:, None], shared] - 2 * c[columns, shared]
        both = own[rows, None] + own[None, later] + 2 * c[rows, later]
        union: FloatArray = both + np.where(shared >= 0, common, 0.0)
        return union


def best_triples(archive: Archive, boxes: Rectangles, quick: Callable[[Totals], FloatArray]) -> None:
    """Evaluate good unions of three rectangles, starting from the best sets the archive holds.

    Parameters
    ----------
    archive : Archive
        Holds unions of two; receives unions of three.
    boxes : Rectangles
    quick : callable
        Figure of merit to rank with.
    """
    for start in archive.candidates(_GROWN):
        _offer(archive, boxes.sets | as_set(start.bins, archive.problem.n_bins), quick)
    value = -np.inf
    while archive.best[1] > value:
        chosen, value = archive.best
        parts = boxes.sets[list(cover(boxes, chosen)[0])]
        for i in range(len(parts)):
            # Take one part out, and put in whichever rectangle does best beside the others.
            _offer(archive, boxes.sets | np.delete(parts, i, axis=0).any(axis=0), quick)


def _offer(archive: Archive, sets: BoolArray, quick: Callable[[Totals], FloatArray]) -> None:
    values = quick(archive.problem.totals(sets))
    sets = sets[np.argsort(-values, kind="stable")[: 4 * _EXACT]]
    archive.evaluate(sets[first_rows(sets)[:_EXACT]])
