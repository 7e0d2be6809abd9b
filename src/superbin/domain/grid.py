"""A signal model over a plane of masses: generated points, and the efficiency anywhere between them.

- `SignalPoint`: what one run of the generator gives, before any luminosity and cross section.
- `SignalGrid`: many of them, and `SignalGrid.at`, the interpolation; `SignalGrid.signal` turns an efficiency
  into the expected events of a search.
- `LeaveOut`: how well every point is predicted by the others.

The interpolated quantity is the square root of the efficiency, whose Monte Carlo error is the same in every bin;
the surface is a smoothed thin-plate spline [1]_ in 3 ln(m(mother) / GeV) and 4 ln(mass difference / GeV). The spline is
linear in the points, so an answer is a weighted sum and its error follows from the weights. The mean of a root is
below the root of the mean; what a square thereby misses, which is the variance [2]_, is added back. Nothing is
extrapolated. Specified in ``specs/signals.md``, measured in ``validation/grids``.

References
----------
.. [1] G. Wahba, "Spline Models for Observational Data", SIAM (1990), chapters 2 and 4;
   doi:10.1137/1.9781611970128
.. [2] M. S. Bartlett, "The Square Root Transformation in Analysis of Variance", Suppl. J. R. Stat. Soc. 3 (1936) 68;
   doi:10.2307/2983678
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.shown import Shown, counted
from superbin.domain import cross_sections
from superbin.domain._spline import IntArray, Spline, coordinates
from superbin.domain.signal import SignalModel, point_label
from superbin.errors import InputError

__all__ = ["AccuracyStatement", "IntArray", "LeaveOut", "SignalGrid", "SignalPoint"]

_FEWEST = 6
"""The plane takes three points; below twice that there is nothing to tell an error from."""
_LARGE_BIN = 0.02
"""Share of a point's total from which a bin counts when the interpolation is measured."""
_PB_TO_FB = 1000.0
_ROUNDING = 1e-6
"""By how much efficiencies that are rounded in a file may add up to more than one."""


@dataclass(frozen=True, eq=False)
class SignalPoint:
    """One generated point of a signal model.

    Parameters
    ----------
    model : str
        Name of the model, such as ``"T1bbbb"``.
    parameters : mapping of str to float
        The two masses in GeV, the produced particle's first: ``{"m_mother": 1750, "m_lsp": 1}``.
    search : str
        Name of the search in whose bins the efficiencies are.
    events : int
        Generated events, > 0.
    seed : int
        The generator's, >= 0.
    efficiencies : array_like, shape (n_bins,)
        Expected weighted fraction of all produced events in every bin, from 0 to 1.
    errors : array_like, shape (n_bins,)
        Monte Carlo standard errors.
    settings : mapping
        Everything the generator records of how the point was made; JSON.
    variations : mapping of str to (array_like, array_like)
        Efficiencies with one source of uncertainty one standard deviation up, and down, by the name of the source.

    Raises
    ------
    InputError
        If an efficiency or error is negative, NaN or above 1, the efficiencies add up to more than 1 (bins exclude each
        other), or the masses are not two or not possible.
    """

    model: str
    parameters: Mapping[str, float]
    search: str
    events: int
    seed: int
    efficiencies: FloatArray
    errors: FloatArray
    settings: Mapping[str, Any] = field(default_factory=dict)
    variations: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parameters = {str(key): float(value) + 0.0 for key, value in self.parameters.items()}
        _check_masses(self.model, tuple(parameters), tuple(parameters.values()))
        object.__setattr__(self, "parameters", MappingProxyType(parameters))
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))
        for name, low in (("events", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or value != int(value) or value < low:
                raise InputError(f"{name} of {self.label} is {value!r}; it must be a whole number >= {low}")
            object.__setattr__(self, name, int(value))
        shape = np.shape(self.efficiencies)
        if len(shape) != 1:
            raise InputError(f"the efficiencies of {self.label} have shape {shape}; one per bin is needed")
        for name in ("efficiencies", "errors"):
            array = _fractions(getattr(self, name), name=f"{name} of {self.label}", shape=shape)
            object.__setattr__(self, name, array)
        _check_exclusive(self.efficiencies, self.label)
        checked = {}
        for name, sides in self.variations.items():
            if len(sides) != 2:
                raise InputError(
                    f"variation {name!r} of {self.label} has {len(sides)} parts; give up and down"
                )
            up, down = (_fractions(side, name=f"{name} of {self.label}", shape=shape) for side in sides)
            checked[str(name)] = up, down
        object.__setattr__(self, "variations", MappingProxyType(checked))

    @property
    def label(self) -> str:
        """Name with masses, such as ``T1bbbb(1750, 1)``."""
        return point_label(self.model, self.parameters.values())


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """Every inner point of a grid beside what the others predict for it.

    Attributes
    ----------
    inside : ndarray of bool, shape (n_points,)
        Which points lie in the hull of the others; the rest cannot be predicted.
    efficiencies : ndarray, shape (n_points, n_bins)
        Predictions by the other points.
    errors : ndarray, shape (n_points, n_bins)
        Standard error of prediction minus point from the Monte Carlo statistics of all, the point's own included.
    """

    inside: NDArray[np.bool_]
    efficiencies: FloatArray
    errors: FloatArray


@dataclass(frozen=True, slots=True)
class AccuracyStatement:
    """A statement on the accuracy of simulated signals, and the masses where it holds.

    Parameters
    ----------
    text : str
    models : tuple of str, optional
        Models for which it holds; by default all.
    except_models : tuple of str
        Models for which it does not.
    mass, difference : tuple of float
        Range of the produced particle's mass and of the mass difference, GeV; the lower end belongs to it.
    """

    text: str
    models: tuple[str, ...] | None = None
    except_models: tuple[str, ...] = ()
    mass: tuple[float, float] = (0.0, math.inf)
    difference: tuple[float, float] = (0.0, math.inf)

    def holds(self, model: str, masses: Sequence[float]) -> bool:
        """Whether it is about a model at these masses."""
        if model in self.except_models or (self.models is not None and model not in self.models):
            return False
        heavy, light = masses
        places = ((heavy, self.mass), (heavy - light, self.difference))
        return all(low <= value < high for value, (low, high) in places)


@dataclass(frozen=True, eq=False, repr=False)
class SignalGrid(Shown):
    """Efficiencies of a signal model in the bins of one search, over a plane of two masses.

    Parameters
    ----------
    model : str
        Name of the model, such as ``"T1bbbb"``.
    search : str
        Name of the search whose bins the efficiencies are in.
    parameters : tuple of str
        Names of the two masses, the produced particle's first: ``("m_mother", "m_lsp")``.
    points : array_like, shape (n_points, 2)
        Masses in GeV, no point twice.
    efficiencies : array_like, shape (n_points, n_bins)
        Expected weighted fraction of all produced events in every bin, from 0 to 1.
    errors : array_like, shape (n_points, n_bins)
        Monte Carlo standard errors.
    events : array_like of int, shape (n_points,)
        Generated events of every point, > 0.
    process : str
        What is produced, as `superbin.domain.cross_sections` names it, such as ``"gluino"``.
    source : str
        Where the efficiencies come from, one line.
    settings : mapping
        How the points were made; JSON.
    variations : mapping of str to (array_like, array_like)
        Efficiencies with one source of uncertainty one standard deviation up, and down, of the shape of `efficiencies`.
    statements : tuple of AccuracyStatement
        What is known of the accuracy of such simulations in this search.

    Raises
    ------
    InputError
        If shapes differ, a point comes twice or is impossible, a number is negative, NaN or above 1, or the
        efficiencies of a point add up to more than 1 (bins exclude each other).
    """

    model: str
    search: str
    parameters: tuple[str, ...]
    points: FloatArray
    efficiencies: FloatArray
    errors: FloatArray
    events: IntArray
    process: str
    source: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    variations: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    statements: tuple["AccuracyStatement", ...] = ()

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {
            "": f"{counted(len(self.points), 'point')}",
            "in": f"{counted(self.n_bins, 'bin')} of {self.search}",
        }
        return self.model, facts

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(map(str, self.parameters)))
        shape = np.shape(self.points)
        if len(shape) != 2 or shape[0] == 0:
            raise InputError(f"the points of grid {self.model!r} have shape {shape}; (n_points, 2) is needed")
        points = frozen_array(self.points, name=f"the masses of grid {self.model!r}", shape=shape)
        object.__setattr__(self, "points", points)
        seen: set[tuple[float, ...]] = set()
        for masses in map(tuple, points.tolist()):
            _check_masses(self.model, self.parameters, masses)
            if masses in seen:
                raise InputError(
                    f"{point_label(self.model, masses)} comes twice in the grid; remove one of the two"
                )
            seen.add(masses)
        n_bins = np.shape(self.efficiencies)[-1:]
        for name in ("efficiencies", "errors"):
            object.__setattr__(self, name, self._table(name, n_bins))
        for row, masses in zip(self.efficiencies, points.tolist(), strict=True):
            _check_exclusive(row, point_label(self.model, masses))
        events = frozen_array(self.events, name="events of the grid", shape=shape[:1], low=1)
        if (events != np.floor(events)).any():
            raise InputError(f"the generated events of grid {self.model!r} must be whole numbers")
        whole = events.astype(np.int64)
        whole.flags.writeable = False
        object.__setattr__(self, "events", whole)
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))
        checked = {}
        for name, (up, down) in self.variations.items():
            checked[str(name)] = (
                self._rows(f"{name} up", up, n_bins),
                self._rows(f"{name} down", down, n_bins),
            )
        object.__setattr__(self, "variations", MappingProxyType(checked))

    def _table(self, name: str, n_bins: tuple[int, ...]) -> FloatArray:
        return self._rows(name, getattr(self, name), n_bins)

    def _rows(self, name: str, given: ArrayLike, n_bins: tuple[int, ...]) -> FloatArray:
        if np.shape(given) != (len(self.points), *n_bins) or not n_bins:
            raise InputError(
                f"the {name} of grid {self.model!r} have shape {np.shape(given)}; "
                f"one row for each of {counted(len(self.points), 'point')} and one column per bin is needed"
            )
        rows = [
            _fractions(row, name=f"{name} of {point_label(self.model, masses)}", shape=n_bins)
            for row, masses in zip(np.asarray(given), self.points.tolist(), strict=True)
        ]
        table = np.array(rows)
        table.flags.writeable = False
        return table

    @classmethod
    def from_points(
        cls, points: Iterable[SignalPoint], *, process: str | None = None, source: str | None = None
    ) -> "SignalGrid":
        """Put generated points together, sorted by their masses.

        Parameters
        ----------
        points : iterable of SignalPoint
            Of one model, in the bins of one search.
        process : str, optional
            What is produced; by default what the model's name stands for.
        source : str, optional
            One line on where they come from; by default the versions of the programs that made them.

        Returns
        -------
        SignalGrid
            Settings that all points share stand once, the others and the seeds as lists in the order of the
            points under ``by_point``. Variations that all points have are kept, with four digits.

        Raises
        ------
        InputError
            If there is no point, one comes twice, or they differ in model, search, masses or bins.
        """
        chosen = sorted(points, key=lambda point: tuple(point.parameters.values()))
        if not chosen:
            raise InputError("there are no points to make a grid of; generate some first")
        first = chosen[0]
        for point in chosen:
            for name in ("model", "search"):
                if getattr(point, name) != getattr(first, name):
                    raise InputError(
                        f"{point.label} has {name} {getattr(point, name)!r}, {first.label} has "
                        f"{getattr(first, name)!r}; a grid is of one model in one search"
                    )
            if tuple(point.parameters) != tuple(first.parameters) or len(point.errors) != len(first.errors):
                raise InputError(f"{point.label} has other masses or bins than {first.label}")
        settings = _shared_settings(chosen)
        common = [name for name in first.variations if all(name in point.variations for point in chosen)]
        return cls(
            model=first.model,
            search=first.search,
            parameters=tuple(first.parameters),
            points=np.array([tuple(point.parameters.values()) for point in chosen]),
            efficiencies=np.array([point.efficiencies for point in chosen]),
            errors=np.array([point.errors for point in chosen]),
            events=np.array([point.events for point in chosen]),
            process=cross_sections.process_of(first.model) if process is None else process,
            source=_programs(settings) if source is None else source,
            settings=settings,
            variations={
                name: (
                    _few_digits([point.variations[name][0] for point in chosen]),
                    _few_digits([point.variations[name][1] for point in chosen]),
                )
                for name in common
            },
        )

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return int(self.efficiencies.shape[1])

    def at(self, *masses: float) -> tuple[FloatArray, FloatArray]:
        """Efficiency per bin at any masses the grid covers.

        Parameters
        ----------
        *masses : float
            The two masses in GeV, inside the convex hull of the points in the plane of the masses.

        Returns
        -------
        efficiencies, errors : ndarray, shape (n_bins,)
            At a generated point its own, not smoothed. Elsewhere the interpolated efficiency, and as error the
            propagated Monte Carlo statistics in quadrature with `interpolation_error` times the efficiency.

        Raises
        ------
        InputError
            If the masses are impossible or outside, or the points are too few or span no plane.
        """
        wanted = tuple(float(mass) + 0.0 for mass in masses)
        _check_masses(self.model, self.parameters, wanted)
        same = np.flatnonzero((self.points == wanted).all(axis=1))
        if same.size:
            return self.efficiencies[same[0]], self.errors[same[0]]
        self._check_inside(wanted)
        efficiencies, errors = self._spline.at(np.array([wanted]))
        return efficiencies[0], np.hypot(errors[0], self.interpolation_error * efficiencies[0])

    def variations_at(self, *masses: float) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Efficiencies per bin with each source of uncertainty up, and down, at any masses the grid covers.

        Between points they are the efficiency of `at` times the square of the ratio of the interpolated roots.

        Raises
        ------
        InputError
            As from `at`.
        """
        efficiencies, _ = self.at(*masses)
        wanted = np.array([[float(mass) + 0.0 for mass in masses]])
        same = np.flatnonzero((self.points == wanted).all(axis=1))
        if same.size:
            return {name: (up[same[0]], down[same[0]]) for name, (up, down) in self.variations.items()}

        def moved(varied: FloatArray) -> FloatArray:
            return np.asarray(efficiencies * self._spline.ratios(wanted, varied)[0], dtype=np.float64)

        return {name: (moved(up), moved(down)) for name, (up, down) in self.variations.items()}

    def is_point(self, *masses: float) -> bool:
        """Whether these masses were generated; `at` then interpolates nothing."""
        return bool((self.points == masses).all(axis=1).any())

    def signal(
        self, parameters: Sequence[float], *, luminosity_fb: float, cross_section: float
    ) -> SignalModel:
        """Expected events per bin at any masses the grid covers.

        Parameters
        ----------
        parameters : sequence of float
            The two masses in GeV.
        luminosity_fb : float
            Integrated luminosity in fb^-1, > 0.
        cross_section : float
            In pb, > 0.

        Returns
        -------
        SignalModel
            Events = efficiency * cross section * luminosity. Its errors are those of the efficiency alone; it has the
            grid's variations; its source says what it was made of and how far it can be trusted.

        Raises
        ------
        InputError
            As from `at`; or if a number is not positive.
        """
        if not (math.isfinite(luminosity_fb) and luminosity_fb > 0):
            raise InputError(f"luminosity_fb is {luminosity_fb}; it must be a finite number > 0")
        efficiencies, errors = self.at(*parameters)
        if not (math.isfinite(cross_section) and cross_section > 0):
            raise InputError(f"the cross section is {cross_section} pb; it must be a finite number > 0")
        events = cross_section * _PB_TO_FB * luminosity_fb
        return SignalModel(
            model=self.model,
            parameters=dict(zip(self.parameters, parameters, strict=True)),
            search=self.search,
            yields=events * efficiencies,
            errors=events * errors,
            source=self._describe(parameters),
            cross_section_pb=float(cross_section),
            total_error=self._total_error(parameters, errors, events),
            variations={
                name: (events * up, events * down)
                for name, (up, down) in self.variations_at(*parameters).items()
            },
        )

    def _total_error(self, masses: Sequence[float], errors: FloatArray, events: float) -> float | None:
        """Monte Carlo error of the sum over all bins, where the points recorded theirs.

        Between points that of the bins in quadrature, times the ratio of both at the nearest point.
        """
        recorded = self.settings.get("by_point", {}).get("statistics")
        if not recorded:
            return None
        distance = np.hypot(*(coordinates(self.points) - coordinates(np.array([masses], dtype=np.float64))).T)
        nearest = int(np.argmin(distance))
        # Recorded is the error of a fraction of a fixed number of events; the bins have those of their contents.
        fraction = float(self.efficiencies[nearest].sum())
        square = float(recorded[nearest]["total_error"]) ** 2 + fraction**2 / int(self.events[nearest])
        there = float((self.errors[nearest] ** 2).sum())
        return None if there <= 0 else events * math.sqrt(square / there * float((errors**2).sum()))

    def _describe(self, masses: Sequence[float]) -> str:
        return f"{self._made(masses)}; {self.source}; accuracy of the simulation: {self.accuracy(masses)}"

    def _made(self, masses: Sequence[float]) -> str:
        if self.is_point(*masses):
            return "a generated point of the grid"
        error = self.interpolation_error
        beyond = f"a bin to {error:.1%} beyond" if error else "with no error in a bin that stands out from"
        return f"interpolated between {len(self.points)} generated points, {beyond} statistics"

    def accuracy(self, masses: Sequence[float]) -> str:
        """How far the simulation at these masses can be trusted, in words; interpolation comes on top.

        Something is claimed only for grids of superbin's own generator, whose points all have the same cards, in a
        search that has statements on it.
        """
        if not set(self.settings) >= _CARDS:
            return "not known"
        words = [s.text for s in self.statements if s.holds(self.model, masses)]
        return "; ".join(words) or "not known"

    @cached_property
    def interpolation_error(self) -> float:
        """Relative error of an interpolated bin beyond Monte Carlo statistics.

        Measured by leaving out one inner point at a time: of the mean square of the relative deviations in its bins
        above 2 % of its total, the part that statistics do not explain; the root of the median over the points.
        0 if statistics explain all.
        """
        left_out = self.leave_out
        excess: list[float] = []
        for i in np.flatnonzero(left_out.inside):
            truth = self.efficiencies[i]
            large = (truth > 0) & (truth >= _LARGE_BIN * truth.sum())
            if large.any():
                squares = (left_out.efficiencies[i] - truth) ** 2 - left_out.errors[i] ** 2
                excess.append(float((squares[large] / truth[large] ** 2).mean()))
        return math.sqrt(max(float(np.median(excess)), 0.0)) if excess else 0.0

    @cached_property
    def leave_out(self) -> LeaveOut:
        """What the other points predict for each.

        Raises
        ------
        InputError
            If the points are too few or span no plane.
        """
        predictions, variances = self._spline.left_out()
        inside = np.ones(len(self.points), dtype=np.bool_)
        inside[self._hull[1]] = False
        own = 4 * self.efficiencies * self._spline.variances
        return LeaveOut(inside, predictions, np.sqrt(variances + own))

    @cached_property
    def _spline(self) -> Spline:
        if len(self.points) < _FEWEST:
            raise InputError(
                f"grid {self.model!r} has {counted(len(self.points), 'point')}; at least {_FEWEST} are needed to interpolate"
            )
        return Spline(self.points, self.efficiencies, self.errors, self.events)

    @cached_property
    def _hull(self) -> tuple[FloatArray, IntArray]:
        """Outward unit normals with offsets, and the points that are corners."""
        from scipy.spatial import ConvexHull, QhullError

        try:
            hull = ConvexHull(self.points)
        except QhullError as error:
            raise InputError(
                f"the points of grid {self.model!r} lie on a line; they must span a plane to interpolate"
            ) from error
        return np.asarray(hull.equations, dtype=np.float64), np.asarray(hull.vertices, dtype=np.int64)

    def _check_inside(self, masses: tuple[float, ...]) -> None:
        if len(self.points) >= _FEWEST:
            equations = self._hull[0]
            beyond = float((equations[:, :2] @ np.array(masses) + equations[:, 2]).max())
            if beyond <= 1e-6:  # GeV, for the rounding of an edge
                return
        nearest = tuple(self.points[np.argmin(np.hypot(*(self.points - masses).T))].tolist())
        ranges = " and ".join(
            f"{name} {low:g}-{high:g}"
            for name, low, high in zip(
                self.parameters, self.points.min(axis=0), self.points.max(axis=0), strict=True
            )
        )
        raise InputError(
            f"{point_label(self.model, masses)} lies outside the grid, whose {counted(len(self.points), 'point')} span {ranges} GeV; "
            f"the nearest is {point_label(self.model, nearest)}; nothing is extrapolated, generate a point there instead"
        )


_CARDS = frozenset({"generator", "detector", "selection"})
"""Settings by which the points of superbin's own generator are known."""


def _few_digits(rows: list[FloatArray]) -> FloatArray:
    """Four significant digits, which a variation has at most."""
    return np.array([[float(f"{value:.4g}") for value in row] for row in rows])


def _check_masses(model: str, names: tuple[str, ...], masses: tuple[float, ...]) -> None:
    if len(names) != 2 or len(masses) != 2:
        raise InputError(
            f"model {model!r} has {counted(len(masses), 'mass')} here; two are needed, the produced particle's and the lightest's"
        )
    mother, lightest = masses
    if not (math.isfinite(mother) and 0 <= lightest < mother):
        raise InputError(
            f"{point_label(model, masses)} is impossible: {names[0]} must be finite and above {names[1]}, and that >= 0 GeV"
        )


def _fractions(values: ArrayLike, *, name: str, shape: tuple[int, ...]) -> FloatArray:
    array = frozen_array(values, name=name, shape=shape)
    if (array > 1).any():
        i = int(np.argmax(array > 1))
        raise InputError(
            f"{name} in bin {i + 1} is {array[i]:g}; an efficiency is a fraction of events, at most 1"
        )
    return array


def _check_exclusive(efficiencies: FloatArray, label: str) -> None:
    total = float(efficiencies.sum())
    if total > 1 + _ROUNDING:
        raise InputError(
            f"the efficiencies of {label} add up to {total:g}; an event is in one bin, so that they make at most 1"
        )


def _shared_settings(points: Sequence[SignalPoint]) -> dict[str, Any]:
    """Settings that all points share, and the rest as a list over the points."""
    keys = list(dict.fromkeys(key for point in points for key in point.settings))
    values = {key: [point.settings.get(key) for point in points] for key in keys}
    shared = {key: found[0] for key, found in values.items() if all(v == found[0] for v in found)}
    rest = {key: found for key, found in values.items() if key not in shared}
    return shared | {"by_point": {"seed": [point.seed for point in points]} | rest}


def _programs(settings: Mapping[str, Any]) -> str:
    versions = settings.get("versions")
    if not isinstance(versions, dict):
        return "origin not recorded"
    return "made with " + ", ".join(f"{name} {version}" for name, version in versions.items())
