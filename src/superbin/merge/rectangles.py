"""Every merge that one set of cuts selects exactly.

A *rectangle* is a product of ranges, one per observable, whose edges are edges of bins, such that every bin
lies either fully inside or fully outside. An event of the search then passes the cuts if and only if it is in
one of the bins inside. A product that cuts through a bin is no rectangle: its text would be false. Ranges may
differ and select the same bins; each set is listed once, by the tightest ranges around its bins.

Millions of rectangles take few bytes each: the numbers of their edges. Which bins a product holds and touches is found
from bit sets, one per edge; sums over the bins of all rectangles come from a summed-area table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.search import Search
from superbin.domain.sums import Totals, variance_of_sets
from superbin.errors import InputError
from superbin.merge.boxes import Edges
from superbin.merge.problem import BoolArray, IntArray, Problem

__all__ = ["Rectangles", "few_rectangles", "more_rectangles", "rectangles", "require_ranges"]

_LARGEST = 500_000_000
"""Products of ranges, times 64-bit words of a bit set of bins, up to which rectangles are enumerated: some seconds."""

_DENSE = 1_000_000_000
"""Bytes of a table of all rectangles and bins, up to which it is made."""

_POINTS = 20_000_000
"""Cells of a table of sums."""

_OPERATIONS = 2e12
"""Operations that variances from a covariance may take: a minute or two."""

_WORDS = 1 << 20

_HANDY = 5e7
_FEW = 20_000
"""Products of ranges, times bins, and rectangles, up to which all of a search are kept at hand."""


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """The ranges of one observable, with bit sets of bins, shape (n_ranges, n_words).

    `first` and `last` are positions among the different lower and upper edges; `begins` and `ends` are the bins whose edge is
    that of the range.
    """

    first: IntArray
    last: IntArray
    inside: NDArray[np.uint64]
    touched: NDArray[np.uint64]
    begins: NDArray[np.uint64]
    ends: NDArray[np.uint64]

    @classmethod
    def of(cls, start: FloatArray, stop: FloatArray) -> "_Axis":
        starts, stops = np.unique(start), np.unique(stop)
        first, last = (
            part.ravel() for part in np.meshgrid(*map(range, (len(starts), len(stops))), indexing="ij")
        )
        real = starts[first] < stops[last]
        first, last = first[real], last[real]
        begins, ends = _bits(start == starts[:, None]), _bits(stop == stops[:, None])
        since, until = _bits(start >= starts[:, None]), _bits(stop <= stops[:, None])
        after, before = _bits(stop > starts[:, None]), _bits(start < stops[:, None])
        return cls(
            first, last, since[first] & until[last], after[first] & before[last], begins[first], ends[last]
        )


_Sums: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Rectangles:
    """Distinct rectangles of a search; made by `rectangles`.

    Attributes
    ----------
    search : Search
    first, last : ndarray of int, shape (n_rectangles, n_observables)
        Their edges, as positions among the different lower and upper edges of the search.
    """

    search: Search
    first: IntArray
    last: IntArray
    _held: list[tuple[Problem, _Sums]] = field(default_factory=list, repr=False)
    _last: list[tuple[Problem, Totals]] = field(default_factory=list, repr=False)

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def _edges(self) -> tuple[Edges, list[FloatArray], list[FloatArray]]:
        edges = Edges.of(self.search)
        axes = range(edges.start.shape[1])
        return (
            edges,
            [np.unique(edges.start[:, j]) for j in axes],
            [np.unique(edges.stop[:, j]) for j in axes],
        )

    @cached_property
    def sets(self) -> BoolArray:
        """The bins inside each, shape (n_rectangles, n_bins).

        Raises
        ------
        InputError
            If the table takes more than a gigabyte.
        """
        if len(self) * self.search.n_bins > _DENSE:
            raise InputError(
                f"search {self.search.name!r} has {len(self):,} rectangles of {counted(self.search.n_bins, 'bin')}; a table of them takes "
                f"{len(self) * self.search.n_bins / 1e9:.1f} GB, and 1 GB is the most: merge its finest observable first"
            )
        return self.take(np.arange(len(self)))

    @cached_property
    def _words(self) -> NDArray[np.uint64]:
        """The sets as bit sets."""
        return _bits(self.sets)

    def within(self, chosen: BoolArray) -> IntArray:
        """Which rectangles are inside a set, as rows of `sets`."""
        return np.flatnonzero(~(self._words & _bits(~chosen[None, :])).any(axis=1))

    def inside(self, chosen: BoolArray) -> BoolArray:
        """The rectangles inside a set, as sets of bins, shape (n_inside, n_bins)."""
        return self.sets[self.within(chosen)]

    def take(self, rows: IntArray) -> BoolArray:
        """The bins inside some of the rectangles, shape (n_rows, n_bins)."""
        edges, starts, stops = self._edges
        sets = np.ones((len(rows), self.search.n_bins), dtype=bool)
        for j in range(edges.start.shape[1]):
            # Few different ranges: each is compared with the bins once.
            code = self.first[rows, j] * len(stops[j]) + self.last[rows, j]
            different, which = np.unique(code, return_inverse=True)
            low, high = starts[j][different // len(stops[j])], stops[j][different % len(stops[j])]
            sets &= ((edges.start[:, j] >= low[:, None]) & (edges.stop[:, j] <= high[:, None]))[which]
        return sets

    def totals(self, problem: Problem) -> Totals:
        """Sums over the bins of all rectangles, upward side alone, good to some parts in 1e10.

        What does not depend on the signal is kept for the next problem with the same background.

        Raises
        ------
        InputError
            If the problem has a covariance, and there are too many rectangles to sum it over each.
        """
        if not self._last or self._last[0][0] is not problem:
            background, variance, *_ = self._of_background(problem)
            signal = self._sums(problem.signal[None, :])[0]
            self._last[:] = [(problem, Totals.of(signal, background, variance))]
        return self._last[0][1]

    def negative(self, problem: Problem) -> FloatArray:
        """What negative correlations with bins outside take at most from the variance of each rectangle in a larger set."""
        return self._of_background(problem)[2]

    def added(self, problem: Problem) -> FloatArray:
        """What the bins of each rectangle add at least to the variance of a set: `Problem.least_added` of all of them."""
        return self._of_background(problem)[3]

    def _of_background(self, problem: Problem) -> _Sums:
        """Background, variance, what negative correlations with other bins may add to it, and the least that the bins add."""
        for held, sums in self._held:
            if held.same_background(problem):
                return sums
        covariance = problem.covariance_up
        if covariance is None:
            background, variance = self._sums(np.stack([problem.background, problem.variance_up]))
            sums = background, variance, np.zeros(len(self)), variance
        else:
            operations = float(len(self)) * problem.n_bins**2
            if operations > _OPERATIONS:
                raise InputError(
                    f"search {self.search.name!r} has {len(self):,} rectangles of {counted(problem.n_bins, 'bin')} with a covariance: "
                    f"{operations:.1e} operations, and {_OPERATIONS:.0e} is the most; leave the correlations out, or do not ask for "
                    "rectangles"
                )
            below = np.minimum(covariance, 0.0)
            table, least = np.zeros((4, len(self))), problem.least_added()
            for i in range(0, len(self), 1024):
                w = self.take(np.arange(i, min(i + 1024, len(self)))).astype(np.float64)
                some = slice(i, i + len(w))
                table[0, some] = w @ problem.background
                table[1, some] = variance_of_sets(w, problem.variance_up, covariance)
                if below.any():
                    table[2, some] = 2 * np.einsum("ij,ij->i", w @ below, 1 - w)
                table[3, some] = w @ least
            sums = table[0], table[1], table[2], table[3]
        self._held[:] = [(problem, sums), *self._held[:1]]
        return sums

    def _sums(self, values: FloatArray) -> FloatArray:
        """Sums of some quantities over the bins of every rectangle, from summed-area tables of the bins' lower corners."""
        edges, starts, stops = self._edges
        shape = tuple(len(a) + 1 for a in starts)
        if np.prod([float(side) for side in shape]) > _POINTS:
            pieces = [np.arange(i, min(i + 1024, len(self))) for i in range(0, len(self), 1024)]
            return np.concatenate([self.take(rows).astype(np.float64) @ values.T for rows in pieces]).T
        corner = [np.searchsorted(a, edges.start[:, j]) for j, a in enumerate(starts)]
        # No bin is cut, so a bin is inside if its lower corner is.
        low = self.first
        high = np.stack([np.searchsorted(a, stops[j])[self.last[:, j]] for j, a in enumerate(starts)], axis=1)
        found = np.zeros((len(values), len(self)))
        for row, value in enumerate(values):
            table = np.zeros(shape)
            np.add.at(table, tuple(index + 1 for index in corner), value)
            for j in range(table.ndim):
                np.cumsum(table, axis=j, out=table)
            for side in np.ndindex(*(2,) * table.ndim):
                at = tuple((high if upper else low)[:, j] for j, upper in enumerate(side))
                found[row] += (-1) ** (table.ndim - sum(side)) * table[at]
            # Differences of large sums leave rounding behind where there is nothing.
            found[row][found[row] < 1e-13 * value.sum()] = 0.0
        return found


def require_ranges(search: Search) -> None:
    """Check that the regions of a search are ranges of observables.

    Raises
    ------
    InputError
        If they have names alone.
    """
    if not search.observables:
        raise InputError(
            f"the regions of search {search.name!r} have names and no ranges, so no cuts select sets of them: take the shape 'free', or for a chance sets of bins (chance.of_sets) or a scan (--scan)"
        )


@lru_cache(maxsize=2)
def rectangles(search: Search) -> Rectangles:
    """Enumerate the rectangles of a search; once for a search.

    Parameters
    ----------
    search : Search

    Returns
    -------
    Rectangles
        Each distinct set of bins once.

    Raises
    ------
    InputError
        If the regions have no ranges, or there are so many edges that the products of ranges cannot be tried.
    """
    require_ranges(search)
    edges = Edges.of(search)
    columns = range(len(search.observables))
    counts = [_ranges(edges.start[:, j], edges.stop[:, j]) for j in columns]
    products, words = float(np.prod(counts)), -(-search.n_bins // 64)
    if max(products, *(float(count) for count in counts)) * words > _LARGEST:
        raise InputError(
            f"search {search.name!r} has {counted(search.n_bins, 'bin')} and {products:.3g} products of ranges; at most "
            f"{_LARGEST // words:.3g} are tried with that number of bins, so merge its finest observable first or do not ask for rectangles"
        )
    axes = [_Axis.of(edges.start[:, j], edges.stop[:, j]) for j in columns]
    picks = np.concatenate(list(_enumerated(axes, search.n_bins)))
    return Rectangles(
        search,
        np.stack([axis.first[picks[:, j]] for j, axis in enumerate(axes)], axis=1),
        np.stack([axis.last[picks[:, j]] for j, axis in enumerate(axes)], axis=1),
    )


@lru_cache(maxsize=8)
def more_rectangles(search: Search, number: int) -> bool:
    """Whether a search has more than a number of rectangles; known without all of them."""
    require_ranges(search)
    edges = Edges.of(search)
    columns = range(len(search.observables))
    counts = [_ranges(edges.start[:, j], edges.stop[:, j]) for j in columns]
    if np.prod([float(count) for count in counts]) <= number:
        return False
    if max(counts) * -(-search.n_bins // 64) > _LARGEST:
        return True
    found = 0
    for some in _enumerated([_Axis.of(edges.start[:, j], edges.stop[:, j]) for j in columns], search.n_bins):
        found += len(some)
        if found > number:
            return True
    return False


@lru_cache(maxsize=8)
def few_rectangles(search: Search) -> Rectangles | None:
    """The rectangles of a search, if they are few enough to be looked through again and again; else None."""
    if not search.observables:
        return None
    edges = Edges.of(search)
    counts = [_ranges(edges.start[:, j], edges.stop[:, j]) for j in range(len(search.observables))]
    if float(np.prod(counts)) * search.n_bins > _HANDY:
        return None
    found = rectangles(search)
    return found if len(found) <= _FEW else None


def _enumerated(axes: list[_Axis], n_bins: int) -> Iterator[NDArray[np.int32]]:
    return _products(axes, np.zeros((1, 0), dtype=np.int32), *(_bits(np.ones((1, n_bins), dtype=bool)),) * 2)


def _products(
    axes: list[_Axis], picks: NDArray[np.int32], inside: NDArray[np.uint64], touched: NDArray[np.uint64]
) -> Iterator[NDArray[np.int32]]:
    """Rectangles among the products of some ranges, given as positions, with ranges of the axes that are left."""
    depth = picks.shape[1]
    if depth == len(axes):
        exact = np.flatnonzero((inside == touched).all(axis=1))
        for j, axis in enumerate(axes):
            # The tightest ranges begin and end where some bin inside does.
            for face in (axis.begins, axis.ends):
                exact = exact[(inside[exact] & face[picks[exact, j]]).any(axis=1)]
        yield picks[exact]
        return
    axis = axes[depth]
    count = len(axis.first)
    step = max(1, _WORDS // (count * inside.shape[1]))
    for i in range(0, len(picks), step):
        some = slice(i, i + step)
        there = (inside[some, None] & axis.inside).reshape(-1, inside.shape[1])
        kept = np.flatnonzero(there.any(axis=1))
        row, pick = np.divmod(kept, count)
        meets = touched[some][row] & axis.touched[pick]
        longer = np.column_stack([picks[some][row], pick.astype(np.int32)])
        yield from _products(axes, longer, there[kept], meets)


def _ranges(start: FloatArray, stop: FloatArray) -> int:
    """Number of different ranges between edges of bins."""
    starts, stops = np.unique(start), np.unique(stop)
    return int((len(stops) - np.searchsorted(stops, starts, "right")).sum())


def _bits(rows: BoolArray) -> NDArray[np.uint64]:
    """Rows of booleans as rows of 64-bit words."""
    packed = np.packbits(rows, axis=1)
    padded = np.zeros((len(rows), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)
