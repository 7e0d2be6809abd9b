"""Limits that experiments published: maps of upper limits on cross sections and exclusion contours, with their source.

`parse_published` reads them from the tables ``published-limits.csv`` and ``published-contours.csv`` of a bundle, text with the source
in its comments; `superbin.catalog.Catalog.limits` gives those of a search. Everything that compares with published limits takes
them from there. Specified in ``specs/published.md``.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from types import MappingProxyType

import numpy as np

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.shown import counted
from superbin.errors import DocumentError

__all__ = [
    "CONTOURS",
    "CONTOUR_LINES",
    "LEVEL",
    "LIMITS",
    "PublishedLimit",
    "PublishedResults",
    "parse_published",
]

CONTOURS = (
    "observed",
    "observed_weaker",
    "observed_stronger",
    "expected",
    "expected_weaker",
    "expected_stronger",
)
"""Names of contours: the limit, and one standard deviation towards the weaker and the stronger exclusion, of the theory's cross
section for the observed limit, of the outcome of the experiment for the expected one."""

LEVEL = 0.95
"""Confidence level of published limits."""

LIMITS, CONTOUR_LINES = "published-limits.csv", "published-contours.csv"
"""Names of the two tables in a bundle."""
_EDGE = 1e-9
"""A weight in the interpolation below this is rounding of a point on the side of a cell."""


@dataclass(frozen=True, slots=True)
class PublishedLimit:
    """A published 95 % CL upper limit on a cross section.

    Attributes
    ----------
    observed_fb, expected_fb : float or None
        fb, > 0; None where it is not public. At least one is there.
    """

    observed_fb: float | None
    expected_fb: float | None


@dataclass(frozen=True, eq=False)
class PublishedResults:
    """What a search published of one model: maps of limits and contours.

    Parameters
    ----------
    model : str
    parameters : tuple of str
        Names of the two masses, the produced particle's first.
    points : array, shape (n, 2)
        Masses of the maps' points, GeV, on a rectangular lattice that need not be full.
    observed_fb, expected_fb : array, shape (n,)
        Limits, fb; NaN where there is none.
    contours : mapping of str to array, shape (m, 2)
        Masses along each exclusion contour, GeV, in order, by a name of `CONTOURS`.
    """

    model: str
    parameters: tuple[str, str]
    points: FloatArray
    observed_fb: FloatArray
    expected_fb: FloatArray
    contours: Mapping[str, FloatArray]

    def limit(self, masses: Mapping[str, float]) -> PublishedLimit | None:
        r"""The limit at a point of the plane of masses.

        At a point of the lattice it is the tabulated number. Elsewhere the logarithm is interpolated linearly in each mass
        between the corners of the lattice's cell (bilinear). Nothing is extrapolated: where a corner that counts is missing
        there is no limit.

        Parameters
        ----------
        masses : mapping of str to float
            By the names of `parameters`, GeV.

        Returns
        -------
        PublishedLimit or None
            None outside the maps, and for masses of other names.

        Examples
        --------
        >>> table = "model,m_mother,m_lsp,observed_fb,expected_fb\nT1tttt,1500,100,7.3,3.8"
        >>> parse_published(table)["T1tttt"].limit({"m_mother": 1500, "m_lsp": 100})
        PublishedLimit(observed_fb=7.3, expected_fb=3.8)
        """
        if set(masses) != set(self.parameters):
            return None
        place = [float(masses[name]) for name in self.parameters]
        observed, expected = (self._at(table, place) for table in self._tables)
        return None if observed is expected is None else PublishedLimit(observed, expected)

    def tabulated(self, masses: Mapping[str, float]) -> bool:
        """Whether a point of the map is at exactly these masses."""
        return set(masses) == set(self.parameters) and bool(
            (self.points == [masses[name] for name in self.parameters]).all(axis=1).any()
        )

    def nearest(self, masses: Mapping[str, float]) -> Mapping[str, float] | None:
        """Masses of the map's point that is nearest, by the distance in GeV; None for masses of other names."""
        if set(masses) != set(self.parameters):
            return None
        away = np.hypot(*(self.points - [masses[name] for name in self.parameters]).T)
        return dict(zip(self.parameters, map(float, self.points[int(np.argmin(away))]), strict=True))

    def _at(self, table: FloatArray, place: Sequence[float]) -> float | None:
        axes = [_weights(axis, value) for axis, value in zip(self._axes, place, strict=True)]
        corners = [(table[i, j], v * w) for (i, v), (j, w) in product(*axes)]
        if not corners or any(math.isnan(value) for value, _ in corners):
            return None
        if len(corners) == 1:
            return float(corners[0][0])
        return math.exp(sum(weight * math.log(value) for value, weight in corners))

    @cached_property
    def _axes(self) -> tuple[FloatArray, FloatArray]:
        return np.unique(self.points[:, 0]), np.unique(self.points[:, 1])

    @cached_property
    def _tables(self) -> tuple[FloatArray, FloatArray]:
        """Both limits on the full lattice, NaN where there is none."""
        where = tuple(np.searchsorted(axis, self.points[:, k]) for k, axis in enumerate(self._axes))
        full = []
        for values in (self.observed_fb, self.expected_fb):
            table = np.full([axis.size for axis in self._axes], np.nan)
            table[where] = values
            full.append(table)
        return full[0], full[1]


def _weights(axis: FloatArray, value: float) -> list[tuple[int, float]]:
    """Neighbours of a value on an axis with their weights; empty outside of it."""
    if not (axis.size and axis[0] <= value <= axis[-1]):
        return []
    i = min(int(np.searchsorted(axis, value, side="right")) - 1, axis.size - 1)
    if i + 1 == axis.size:
        return [(i, 1.0)]
    share = float((value - axis[i]) / (axis[i + 1] - axis[i]))
    found = [(i, 1 - share), (i + 1, share)]
    return [(k, weight) for k, weight in found if weight > _EDGE]


def parse_published(
    limits: str, contours: str | None = None, *, place: str | Path = ""
) -> Mapping[str, PublishedResults]:
    """Read the published limits and contours of a search.

    Parameters
    ----------
    limits : str
        Content of ``published-limits.csv``: columns ``model``, the names of two masses in GeV, ``observed_fb``, ``expected_fb``, a
        cell empty where there is no limit. Lines that begin with ``#`` are comments.
    contours : str, optional
        Content of ``published-contours.csv``: ``model``, ``contour``, the masses.
    place : str or Path
        What the folder of the tables is called in errors.

    Returns
    -------
    mapping of str to PublishedResults
        By model.

    Raises
    ------
    DocumentError
        If a line breaks the format; the text names file and line.
    """
    folder = Path(place)
    names, rows = _rows(folder / LIMITS, limits, before=["model"], after=["observed_fb", "expected_fb"])
    found: dict[str, dict[tuple[float, float], tuple[float, float]]] = {}
    for where, cells in rows:
        point = _masses(where, cells[1:3])
        observed, expected = (_limit(where, cell) for cell in cells[3:])
        if math.isnan(observed) and math.isnan(expected):
            raise DocumentError(
                f"{where}: neither an observed nor an expected limit is there; remove the line or add one"
            )
        if point in found.setdefault(cells[0], {}):
            raise DocumentError(
                f"{where}: the point {point} of {cells[0]} comes twice; remove one of the two"
            )
        found[cells[0]][point] = observed, expected
    lines = {} if contours is None else _contours(folder / CONTOUR_LINES, contours, names)
    unknown = sorted(set(lines) - set(found))
    if unknown:
        raise DocumentError(
            f"{folder / CONTOUR_LINES} has contours of {unknown[0]!r}, of which {LIMITS} has no limit"
        )
    return MappingProxyType(
        {
            model: PublishedResults(
                model,
                names,
                frozen_array(list(table), name="points", shape=(len(table), 2)),
                _column(table, 0),
                _column(table, 1),
                MappingProxyType(lines.get(model, {})),
            )
            for model, table in found.items()
        }
    )


def _contours(path: Path, text: str, names: tuple[str, str]) -> dict[str, dict[str, FloatArray]]:
    found, rows = _rows(path, text, before=["model", "contour"], after=[])
    if found != names:
        raise DocumentError(f"{path} has the masses {', '.join(found)}; {LIMITS} has {', '.join(names)}")
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for place, (model, contour, *masses) in rows:
        if contour not in CONTOURS:
            raise DocumentError(
                f"{place}: the contour is {contour!r}; it must be one of {', '.join(CONTOURS)}"
            )
        lines.setdefault(model, {}).setdefault(contour, []).append(_masses(place, masses))
    return {
        model: {name: frozen_array(line, name=name, shape=(len(line), 2)) for name, line in of_model.items()}
        for model, of_model in lines.items()
    }


def _rows(
    path: Path, text: str, *, before: list[str], after: list[str]
) -> tuple[tuple[str, str], list[tuple[str, list[str]]]]:
    """Names of the two masses, and for every row its place and its cells."""
    form = ",".join([*before, "two masses", *after])
    kept = [
        (i, line)
        for i, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    heading = kept[0][1].split(",") if kept else []
    n, width = len(before), len(before) + 2 + len(after)
    if (
        len(heading) != width
        or heading[:n] != before
        or heading[n + 2 :] != after
        or len(set(heading)) != width
    ):
        raise DocumentError(f"{path} has no heading of the columns {form}; write it as the first line")
    rows = []
    for (i, _), cells in zip(kept[1:], csv.reader(line for _, line in kept[1:]), strict=True):
        if len(cells) != width:
            raise DocumentError(f"{path}:{i}: {counted(len(cells), 'cell')}; the heading has {width}")
        rows.append((f"{path}:{i}", cells))
    return (heading[n], heading[n + 1]), rows


def _masses(place: str, cells: Sequence[str]) -> tuple[float, float]:
    first, second = (_number(place, cell) for cell in cells)
    return first, second


def _limit(place: str, cell: str) -> float:
    value = _number(place, cell) if cell else math.nan
    if value == 0:
        raise DocumentError(f"{place}: the limit is 0 fb; it must be above 0, or its cell empty")
    return value


def _number(place: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DocumentError(
            f"{place}: {cell!r} is not a finite number >= 0; write masses in GeV and limits in fb"
        )
    return value


def _column(found: Mapping[tuple[float, float], tuple[float, float]], k: int) -> FloatArray:
    values = np.array([limits[k] for limits in found.values()], dtype=np.float64)
    values.flags.writeable = False
    return values
