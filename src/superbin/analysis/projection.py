"""Distributions of the observables around an aggregate bin: which bins fall into which column.

The region around an aggregate, seen along one observable, holds every bin whose range in each *other*
observable overlaps that of a bin of the aggregate (an "N-1" region). Its bins are merged into columns of equal
range.

When the ranges of an observable depend on another one, as HT ranges depend on MHT here, one axis could show a
column that only part of the bins can fill. Such bins are split into groups, each with edges of its own: two
bins share a group only if every column either contains or does not touch each of their ranges. Columns are
therefore exactly what they say, and no bin is cut in two. Specified in ``specs/projections.md``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from superbin.domain.aggregate import combine
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.results import Projection, ProjectionColumn, Range

__all__ = ["bin_groups", "bin_ranges", "project", "region_bins"]


def region_bins(search: Search, bins: Iterable[int], observable: str) -> tuple[int, ...]:
    """Bins of the region around an aggregate, seen along one observable.

    Parameters
    ----------
    search : Search
    bins : iterable of int
        The aggregate, published numbers.
    observable : str
        The one whose range is left free.

    Returns
    -------
    tuple of int
        Published numbers, ascending; contains the aggregate.
    """
    chosen = list(search.indices(bins))
    others = [j for j, o in enumerate(search.observables) if o.name != observable]
    inside = np.zeros(search.n_bins, dtype=bool)
    for i in chosen:
        inside |= np.all(_overlap(search, i)[:, others], axis=1)
    return tuple(int(i) + 1 for i in np.flatnonzero(inside))


def bin_ranges(search: Search, number: int) -> tuple[Range, ...]:
    """Ranges of one published bin, in the order of the search's observables."""
    (i,) = search.indices([number])
    return tuple(
        _range(search, j, float(search.low[i, j]), float(search.high[i, j]))
        for j in range(len(search.observables))
    )


def bin_groups(search: Search, bins: Sequence[int]) -> list[tuple[str, int]]:
    """Name the successive groups into which the outermost observable divides bins, with how many bins each has.

    The outermost is the one whose range changes most rarely from bin to bin; empty where none changes, or all change at once.

    Parameters
    ----------
    search : Search
    bins : sequence of int
        Published numbers, in the order in which they are shown.
    """
    ranges = [bin_ranges(search, number) for number in bins]
    found: list[tuple[str, int]] = []
    for j in range(len(search.observables)):
        runs = [(key, len(list(run))) for key, run in groupby((r[j].label, r[j].text) for r in ranges)]
        if 1 < len(runs) < len(bins) and (not found or len(runs) < len(found)):
            found = [(f"{label} {text}", size) for (label, text), size in runs]
    return found


def project(
    search: Search, signal: SignalModel, bins: Iterable[int], *, covariance: Covariance | None = None
) -> tuple[Projection, ...]:
    """Project the region around an aggregate on every observable.

    Parameters
    ----------
    search : Search
    signal : SignalModel
    bins : iterable of int
        The aggregate, published numbers.
    covariance : Covariance, optional
        Of the background, for the uncertainty of the columns; by default quadrature over bins.

    Returns
    -------
    tuple of Projection
        One per observable, in the search's order.
    """
    chosen = frozenset(search.indices(bins))
    return tuple(_project(search, signal, chosen, j, covariance) for j in range(len(search.observables)))


@dataclass(frozen=True, slots=True)
class _Group:
    """Bins that share their edges: columns as (low, high) with the bins of each, and where they lie."""

    columns: tuple[tuple[float, float, tuple[int, ...]], ...]
    caption: str


def _project(
    search: Search, signal: SignalModel, chosen: frozenset[int], axis: int, covariance: Covariance | None
) -> Projection:
    observable = search.observables[axis]
    region = [n - 1 for n in region_bins(search, [i + 1 for i in chosen], observable.name)]
    groups = _groups(search, region, axis)
    columns = []
    uneven = False
    for group in groups:
        for low, high, members in group.columns:
            lows = {float(search.low[i, axis]) for i in members}
            uneven |= len(lows) > 1
            columns.append(
                ProjectionColumn(
                    text=f"<= {high:g}" if len(lows) > 1 else observable.text(low, high),
                    group=group.caption if len(groups) > 1 else "",
                    aggregate=bool(chosen.intersection(members)),
                    yields=combine(search, signal, [i + 1 for i in members], covariance=covariance),
                )
            )
    return Projection(
        observable=observable.name,
        label=observable.label,
        unit=observable.unit,
        selection=f"bins that overlap the aggregate in all observables but {observable.label}",
        note=_note(search, axis, len(groups) > 1, uneven),
        columns=tuple(columns),
    )


def _note(search: Search, axis: int, split: bool, uneven: bool) -> str:
    label = search.observables[axis].label
    parts = []
    if split:
        parts.append(f"Edges in {label} depend on the other observables, so columns come in groups.")
    if uneven:
        parts.append(
            f"Where only an upper edge is given, the lower edge in {label} differs between the bins."
        )
    return " ".join(parts)


def _groups(search: Search, region: list[int], axis: int) -> list[_Group]:
    """Split a region into groups of bins with compatible ranges, in the order of the bins that define them."""
    rows: dict[tuple[float, ...], list[int]] = {}
    other = _partner(search, region, axis)
    for i in region:
        key: tuple[float, ...] = (
            () if other is None else (float(search.low[i, other]), float(search.high[i, other]))
        )
        rows.setdefault(key, []).append(i)
    grouped: list[list[tuple[float, ...]]] = []
    for key in sorted(rows):
        for group in grouped:
            members = [i for k in group for i in rows[k]]
            if _compatible(search, members, rows[key], axis):
                group.append(key)
                break
        else:
            grouped.append([key])
    return [_group(search, [i for k in keys for i in rows[k]], axis, other) for keys in grouped]


def _group(search: Search, members: list[int], axis: int, other: int | None) -> _Group:
    columns: dict[float, list[int]] = {}
    for i in members:
        columns.setdefault(float(search.high[i, axis]), []).append(i)
    caption = ""
    if other is not None:
        partner = search.observables[other]
        low, high = float(search.low[members, other].min()), float(search.high[members, other].max())
        caption = " ".join(filter(None, [partner.label, partner.text(low, high), partner.unit]))
    return _Group(
        columns=tuple(
            (float(search.low[ids, axis].min()), high, tuple(ids)) for high, ids in sorted(columns.items())
        ),
        caption=caption,
    )


def _partner(search: Search, region: list[int], axis: int) -> int | None:
    """The observable that the ranges along `axis` depend on; None when all ranges agree with one another."""
    if _compatible(search, region, region, axis):
        return None
    for other in range(len(search.observables)):
        if other == axis:
            continue
        rows: dict[tuple[float, float], list[int]] = {}
        for i in region:
            rows.setdefault((float(search.low[i, other]), float(search.high[i, other])), []).append(i)
        if len(rows) > 1 and all(_compatible(search, row, row, axis) for row in rows.values()):
            return other
    return None


def _compatible(search: Search, left: list[int], right: list[int], axis: int) -> bool:
    """Whether any two ranges, one of each side, fit one column or do not overlap.

    Ranges fit one column if they are equal, or end together below infinity: then they differ only in where
    the first of them starts, and the column says so.
    """
    low_a, high_a = search.low[left, axis][:, None], search.high[left, axis][:, None]
    low_b, high_b = search.low[right, axis][None, :], search.high[right, axis][None, :]
    disjoint = _disjoint(low_a, high_a, low_b, high_b, search.observables[axis].discrete)
    together = (high_a == high_b) & ((low_a == low_b) | np.isfinite(high_a))
    return bool(np.all(together | disjoint))


def _overlap(search: Search, i: int) -> NDArray[np.bool_]:
    """Whether bin `i` overlaps every bin, by observable; shape (n_bins, n_observables)."""
    columns = [
        ~_disjoint(search.low[:, j], search.high[:, j], search.low[i, j], search.high[i, j], o.discrete)
        for j, o in enumerate(search.observables)
    ]
    return np.stack(columns, axis=1)


def _disjoint(
    low_a: NDArray[np.float64],
    high_a: NDArray[np.float64],
    low_b: NDArray[np.float64] | np.float64,
    high_b: NDArray[np.float64] | np.float64,
    discrete: bool,
) -> NDArray[np.bool_]:
    if discrete:
        return (high_a < low_b) | (high_b < low_a)
    return (high_a <= low_b) | (high_b <= low_a)


def _range(search: Search, axis: int, low: float, high: float) -> Range:
    observable = search.observables[axis]
    return Range(
        observable=observable.name,
        label=observable.label,
        unit=observable.unit,
        low=low,
        high=None if np.isinf(high) else high,
        text=observable.text(low, high),
    )
