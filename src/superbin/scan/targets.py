"""What is scanned: a list of signals, each with what a result says of it beyond its yields.

`grid_targets` makes it from a grid of generated points, `spread` picks a few points that cover many.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from superbin._support.shown import counted
from superbin.domain.cross_sections import CrossSectionTable
from superbin.domain.grid import SignalGrid
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel, point_label
from superbin.errors import InputError, SuperbinError

__all__ = ["Target", "check_targets", "grid_targets", "spread"]


@dataclass(frozen=True, eq=False)
class Target:
    """A signal to scan, or the reason why there is none at these parameters.

    Parameters
    ----------
    model : str
    parameters : mapping of str to float
        In the model's order; masses in GeV.
    signal : SignalModel or None
        None where there can be none, with a `reason`.
    reason : str or None
    cross_section_error : float or None
        Relative uncertainty of the signal's cross section.
    cross_section_order : str
        To which order it is known; empty where that is not known.
    """

    model: str
    parameters: Mapping[str, float]
    signal: SignalModel | None
    reason: str | None = None
    cross_section_error: float | None = None
    cross_section_order: str = ""

    @classmethod
    def of(
        cls, signal: SignalModel, *, cross_section_error: float | None = None, cross_section_order: str = ""
    ) -> "Target":
        """A signal at hand."""
        parameters = dict(signal.parameters)
        return cls(signal.model, parameters, signal, None, cross_section_error, cross_section_order)

    @property
    def label(self) -> str:
        """Name with parameters, such as ``T1bbbb(1750, 1)``."""
        return point_label(self.model, self.parameters.values())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything a result depends on: what makes two points of a scan the same."""
        signal = self.signal
        content = [
            self.model,
            dict(self.parameters),
            self.reason if signal is None else signal.digest,
            None if signal is None else signal.cross_section_pb,
            self.cross_section_error,
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def grid_targets(
    grid: SignalGrid,
    search: Search,
    *,
    cross_sections: CrossSectionTable,
    points: Iterable[Sequence[float]] | None = None,
) -> tuple[Target, ...]:
    """Signals of a grid at a search's luminosity.

    Parameters
    ----------
    grid : SignalGrid
    search : Search
    cross_sections : CrossSectionTable
        Of what the grid's model produces, such as `superbin.catalog.Catalog.cross_sections` gives.
    points : iterable of sequence of float, optional
        Masses in GeV; by default the grid's own points. A point that the grid or the cross sections do not cover becomes a
        target without a signal.

    Returns
    -------
    tuple of Target
        In the order of the points.

    Raises
    ------
    InputError
        If the grid is in the bins of another search.
    """
    if grid.search != search.name or grid.n_bins != search.n_bins:
        raise InputError(
            f"grid {grid.model!r} is in the {counted(grid.n_bins, 'bin')} of {grid.search!r}, not in the {search.n_bins} of "
            f"{search.name!r}"
        )
    wanted = grid.points.tolist() if points is None else [tuple(map(float, point)) for point in points]
    return tuple(_grid_target(grid, search, cross_sections, masses) for masses in wanted)


def _grid_target(
    grid: SignalGrid, search: Search, table: CrossSectionTable, masses: Sequence[float]
) -> Target:
    if len(masses) != len(grid.parameters):
        raise InputError(
            f"the point {tuple(masses)} has {len(masses)} values; grid {grid.model!r} has the parameters "
            f"{', '.join(grid.parameters)}"
        )
    parameters = dict(zip(grid.parameters, masses, strict=True))
    try:
        sigma = table.at(masses[0])
        signal = grid.signal(masses, luminosity_fb=search.luminosity_fb, cross_section=sigma.pb)
    except SuperbinError as error:
        return Target(grid.model, parameters, None, str(error))
    return Target.of(signal, cross_section_error=sigma.relative_uncertainty, cross_section_order=table.order)


def check_targets(search: Search, targets: Sequence[Target]) -> None:
    """Check that targets make a scan.

    Raises
    ------
    InputError
        If there is none, a point comes twice or is not finite, or they differ in model, parameters or search.
    """
    if not targets:
        raise InputError("there is no signal to scan; give at least one")
    first = targets[0]
    seen: set[tuple[float, ...]] = set()
    for target in targets:
        if target.model != first.model or list(target.parameters) != list(first.parameters):
            raise InputError(
                f"{target.label} has the parameters {', '.join(target.parameters)}, {first.label} has "
                f"{', '.join(first.parameters)}; a scan is of one model"
            )
        if target.signal is not None and target.signal.search != search.name:
            raise InputError(
                f"signal {target.label} is in the bins of {target.signal.search!r}, not of {search.name!r}"
            )
        point = tuple(target.parameters.values())
        if not all(map(math.isfinite, point)):
            raise InputError(f"{target.label} cannot be scanned; masses must be finite")
        if point in seen:
            raise InputError(f"{target.label} comes twice in the scan; remove one of the two")
        seen.add(point)


def spread(points: ArrayLike, count: int) -> tuple[int, ...]:
    """Choose a few points that cover all of them: each next one is the farthest from those chosen.

    Parameters
    ----------
    points : array_like, shape (n_points, n_parameters)
        Compared in units of each parameter's range.
    count : int
        How many at most, at least 1.

    Returns
    -------
    tuple of int
        Positions, ascending; the first point is always among them. The same points give the same choice, and a
        larger count contains the smaller one's.

    Raises
    ------
    InputError
        If `count` is below 1.
    """
    if count < 1:
        raise InputError(f"{counted(count, 'point')} were asked for; ask for at least 1")
    scaled = np.array(points, dtype=np.float64)
    if count >= len(scaled):
        return tuple(range(len(scaled)))
    span = np.ptp(scaled, axis=0)
    scaled /= np.where(span > 0, span, 1.0)
    chosen = [0]
    distance = np.full(len(scaled), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, ((scaled - scaled[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(distance)))
    return tuple(sorted(chosen))
