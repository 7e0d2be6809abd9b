"""Maps of a scan over the plane of its two masses: significances and limits, with the points they stand on.

A map draws every point, filled with its own colour. Between points the colour is interpolated and pale, and it ends
where there are none: outside their hull, across gaps, and around failed points. Contours follow the same triangles.
``triangles`` says where it ends. Published contours are drawn over it. Specified in ``specs/figures.md``, FIG-20 to FIG-26.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin.domain.merits import MERITS
from superbin.plot.drawn import Drawn
from superbin.plot.style import SIGNAL_COLOUR, axes_size, depth, header, style
from superbin.plot.text import fitting_size, label
from superbin.plot.triangles import triangles_between
from superbin.results.scan import DONE, ScanLimit, ScanPoint, ScanResult
from superbin.results.wording import attribution, parameter_label

__all__ = ["MapArtists", "MapContour", "MapValue", "PublishedContour", "scan_map", "scan_maps"]

BoolArray = NDArray[np.bool_]
Value = Callable[[ScanPoint], float | None]
LineStyle = Literal["-", "--", ":"]

_PALE = 0.6
"""How much white is mixed into interpolated colour."""

_STUB = 5.0
"""Shorter pieces of a contour, in pixels, cannot be seen under the points."""

LARGEST_Z = 8.0
"""End of the colour scale of expected significances."""

_PUBLISHED = "#9400d3"
"""Colour of published contours: none of the colour scale's, nor of the scan's contours."""

_PUBLISHED_LINES: Mapping[str, tuple[tuple[str, str, LineStyle, float], ...]] = {
    "observed": (
        ("observed", "Published, observed", "-", 1.8),
        ("observed_weaker", r"Published, observed $\pm 1\sigma$ (theory)", "-", 0.7),
        ("observed_stronger", r"Published, observed $\pm 1\sigma$ (theory)", "-", 0.7),
    ),
    "expected": (
        ("expected", "Published, expected", "--", 1.8),
        ("expected_weaker", r"Published, expected $\pm 1\sigma$", ":", 1.5),
        ("expected_stronger", r"Published, expected $\pm 1\sigma$", ":", 1.5),
    ),
}
"""What is drawn of the published contours on the map of a limit: contour, name in the legend, line and its width."""


@dataclass(frozen=True, slots=True)
class MapContour:
    """A line where a value is one level.

    Attributes
    ----------
    value : callable
        What, of a `ScanPoint`; None where there is none.
    level : float
    name : str
        For the legend.
    line : str
        Matplotlib's line style.
    colour : str
    logarithmic : bool
        Whether the logarithm is interpolated.
    width : float
        Points.
    """

    value: Value
    level: float
    name: str
    line: LineStyle = "-"
    colour: str = "black"
    logarithmic: bool = False
    width: float = 1.8


@dataclass(frozen=True, slots=True, eq=False)
class PublishedContour:
    """A published line in the plane of the map.

    Attributes
    ----------
    contour : str
        One of `superbin.domain.published.CONTOURS`.
    place : array, shape (n, 2)
        Along the line, in the units of the axes.
    name : str
        For the legend; lines of one name share an entry.
    line : str
        Matplotlib's line style.
    width : float
        Points.
    """

    contour: str
    place: FloatArray
    name: str
    line: LineStyle
    width: float


@dataclass(frozen=True, slots=True)
class MapValue:
    """What the colour of a map shows.

    Attributes
    ----------
    value : callable
        Of a `ScanPoint`; None where there is none.
    name : str
        For the colour scale.
    scale : {"linear", "symmetric", "logarithmic"}
    note : str
        Above the legend; what the bins were chosen for.
    title : str
        Above that; by default the name of the model.
    """

    value: Value
    name: str
    scale: Literal["linear", "symmetric", "logarithmic"] = "linear"
    note: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class MapArtists:
    """What `scan_map` drew.

    Attributes
    ----------
    figure : Figure
    ax : Axes
    points : PathCollection or None
        Finished points with a value; None where there is none.
    triangles : Triangulation or None
        Between them, masked across gaps; None where they span no triangle.
    failed, empty : Line2D or None
        Failed points, and finished ones without a value.
    contours : mapping of str to tuple of array
        Lines drawn, by name: coordinates, shape (n, 2).
    published : mapping of str to Line2D
        Published contours of which something lies in the map, by name.
    colorbar : Colorbar or None
    """

    figure: Figure
    ax: Axes
    points: PathCollection | None
    triangles: Triangulation | None
    failed: Line2D | None
    empty: Line2D | None
    contours: Mapping[str, tuple[FloatArray, ...]]
    published: Mapping[str, Line2D]
    colorbar: Colorbar | None


def scan_maps(result: ScanResult) -> Drawn:
    """Every map of a scan.

    Parameters
    ----------
    result : ScanResult

    Returns
    -------
    Drawn
        A mapping of figures, by file name without suffix: ``significance-expected``, ``significance-observed``, ``limit-expected``,
        ``limit-observed``, and ``likelihood-limit-expected``, ``likelihood-limit-observed`` where the scan has them.
        Empty unless the scan has two parameters and a finished point.
    """
    if len(result.parameters) != 2 or all(point.status != DONE for point in result.points):
        return Drawn({})
    published = published_contours(result)
    merit = MERITS.get(str(result.options.get("figure_of_merit")))
    note = f"Bins for the {merit.goal}" if merit else ""
    maps: dict[str, tuple[MapValue, tuple[MapContour, ...], Sequence[PublishedContour]]] = {
        "significance-expected": (_significance("expected", note), _discovery(), ()),
        "significance-observed": (_significance("observed", note), (), ()),
    }
    kinds: dict[str, tuple[str, str, Callable[[ScanPoint], ScanLimit | None]]] = {
        "limit": ("", note, lambda point: point.mu_limit),
    }
    if any(point.likelihood_limit is not None for point in result.points):
        kinds["likelihood-limit"] = (", full likelihood", "", lambda point: point.likelihood_limit)
    for kind, (words, chosen, limit) in kinds.items():
        for side in ("expected", "observed"):
            shown = replace(limit_on_cross_section(result, side, words, limit), note=chosen)
            maps[f"{kind}-{side}"] = (shown, _exclusion(limit), published.get(side, ()))
    return Drawn({name: partial(_drawn, result, *parts) for name, parts in maps.items()})


def _drawn(
    result: ScanResult,
    value: MapValue,
    contours: tuple[MapContour, ...],
    published: Sequence[PublishedContour],
) -> Figure:
    return scan_map(result, value, contours=contours, published=published).figure


def scan_map(
    result: ScanResult,
    value: MapValue,
    *,
    contours: Sequence[MapContour] = (),
    published: Sequence[PublishedContour] = (),
) -> MapArtists:
    """Draw one map.

    Parameters
    ----------
    result : ScanResult
        With two parameters.
    value : MapValue
        What the colour shows.
    contours : sequence of MapContour
        Drawn where the level lies between points.
    published : sequence of PublishedContour
        Drawn over it as far as they lie in the map.
    """
    first, second = result.parameters
    x, y = (
        np.array([p.parameters[name] for p in result.points], dtype=np.float64) for name in (first, second)
    )
    done = np.array([p.status == DONE for p in result.points], dtype=bool)
    values = _values(result.points, value.value, logarithmic=value.scale == "logarithmic")
    known = np.isfinite(values)
    with style():
        figure = Figure(figsize=(7.4, 5.8))
        FigureCanvasAgg(figure)
        ax = figure.add_axes((0.125, 0.12, 0.7, 0.81))
        _axes(ax, result, (x, y))
        norm, cmap = _scale(values[known], value.scale)
        triangles = triangles_between(x[known], y[known], (x[~done], y[~done]))
        if triangles is not None:
            ax.tripcolor(
                triangles, values[known], norm=norm, cmap=_pale(cmap), shading="gouraud", rasterized=True
            )
        drawn: dict[str, tuple[FloatArray, ...]] = {}
        for c in contours:  # two sides of a band have one name
            drawn[c.name] = drawn.get(c.name, ()) + _contour(ax, result.points, c, (x, y, done))
        points = _points(ax, (x[known], y[known], values[known]), norm, cmap)
        failed = _marked(ax, x[~done], y[~done], marker="x", color="#717581", label="Failed")
        rest = done & ~known
        empty = _marked(
            ax, x[rest], y[rest], marker="o", color="#717581", markerfacecolor="none", label="No finite value"
        )
        theirs = {p.contour: line for p in published if (line := _line(ax, p)) is not None}
        bar = None
        if points is not None:
            bar = figure.colorbar(
                points,
                cax=figure.add_axes((0.845, 0.12, 0.03, 0.81)),
                extend="max" if float(values[known].max()) > float(norm.vmax or 0.0) else "neither",
            )
            name = label(value.name)
            bar.set_label(name, fontsize=fitting_size([name], size=13.0, limit=0.98 * axes_size(ax)[1]))
            if value.scale == "logarithmic":
                # Plain numbers: most scales span less than two decades.
                bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                bar.ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
                bar.ax.yaxis.set_minor_formatter(NullFormatter())
        ours = [c for c in contours if drawn[c.name]]
        _legend(ax, result, ours, (points, failed, empty, *theirs.values()), (x, y), value)
    return MapArtists(
        figure, ax, points, triangles, failed, empty, {k: v for k, v in drawn.items() if v}, theirs, bar
    )


# --- what is shown --------------------------------------------------------------------------------------------


def _significance(side: str, note: str = "") -> MapValue:
    def z(point: ScanPoint) -> float | None:
        found = point.expected if side == "expected" else point.observed
        return None if found is None else found.z

    if side == "expected":
        return MapValue(z, "Expected significance Z (exact mid-p, pre-fit)", note=note)
    return MapValue(z, "Observed local significance Z (exact mid-p)", "symmetric", note)


def _discovery() -> tuple[MapContour, ...]:
    z = _significance("expected").value
    return (MapContour(z, 3.0, "Expected Z = 3", "--"), MapContour(z, 5.0, "Expected Z = 5", "-"))


def limit_on_cross_section(
    result: ScanResult, side: str, words: str, limit: Callable[[ScanPoint], ScanLimit | None]
) -> MapValue:
    """The limit on the cross section, or on the signal strength where cross sections are not known."""
    cross_sections = any(p.cross_section_pb for p in result.points if p.status == DONE)

    def found(point: ScanPoint) -> float | None:
        mu = limit_part(limit, "median" if side == "expected" else "observed")(point)
        if not cross_sections or mu is None:
            return mu
        return None if point.cross_section_pb is None else 1000 * mu * point.cross_section_pb

    level = result.options.get("level")
    level_text = f"{level:.3g}" if isinstance(level, float) else "0.95"
    percent = f"{100 * float(level_text):g}%"
    what = "cross section [fb]" if cross_sections else "signal strength"
    return MapValue(found, f"{side.capitalize()} {percent} CL limit on the {what}{words}", "logarithmic")


def _exclusion(limit: Callable[[ScanPoint], ScanLimit | None]) -> tuple[MapContour, ...]:
    return (
        MapContour(limit_part(limit, "observed"), 1.0, "Observed exclusion", "-", "black", logarithmic=True),
        MapContour(
            limit_part(limit, "median"), 1.0, "Expected exclusion", "--", SIGNAL_COLOUR, logarithmic=True
        ),
        MapContour(
            limit_part(limit, "low1"), 1.0, r"Expected $\pm 1\sigma$", ":", SIGNAL_COLOUR, logarithmic=True
        ),
        MapContour(
            limit_part(limit, "high1"), 1.0, r"Expected $\pm 1\sigma$", ":", SIGNAL_COLOUR, logarithmic=True
        ),
    )


def limit_part(limit: Callable[[ScanPoint], ScanLimit | None], name: str) -> Value:
    def value(point: ScanPoint) -> float | None:
        found = limit(point)
        if found is None:
            return None
        part: float | None = getattr(found, name)
        return part

    return value


def _values(points: Sequence[ScanPoint], value: Value, *, logarithmic: bool) -> FloatArray:
    """Values of finished points; NaN where there is none that the scale can show."""
    found = [value(point) if point.status == DONE else None for point in points]
    shown = [math.nan if v is None or (logarithmic and v <= 0) else v for v in found]
    return np.array(shown, dtype=np.float64)


def published_contours(result: ScanResult) -> Mapping[str, tuple[PublishedContour, ...]]:
    """Published contours of the model for the maps of observed and expected limits."""
    return {
        side: tuple(
            PublishedContour(contour, np.array(result.contours[contour]), name, line, width)
            for contour, name, line, width in lines
            if contour in result.contours
        )
        for side, lines in _PUBLISHED_LINES.items()
    }


# --- colour between points ------------------------------------------------------------------------------------


def _contour(
    ax: Axes,
    points: Sequence[ScanPoint],
    contour: MapContour,
    place: tuple[FloatArray, FloatArray, BoolArray],
) -> tuple[FloatArray, ...]:
    """Draw a contour, and return what of it can be seen."""
    x, y, done = place
    values = _values(points, contour.value, logarithmic=contour.logarithmic)
    if contour.logarithmic:
        values = np.log(values)
    level = math.log(contour.level) if contour.logarithmic else contour.level
    known = np.isfinite(values)
    triangles = triangles_between(x[known], y[known], (x[~done], y[~done]))
    if triangles is None or not values[known].min() < level < values[known].max():
        return ()
    lines: Any = ax.tricontour(
        triangles,
        values[known],
        levels=[level],
        colors=[contour.colour],
        linestyles=[contour.line],
        linewidths=contour.width,
    )
    found = [np.asarray(segment, dtype=np.float64) for segment in lines.allsegs[0] if len(segment)]
    seen = [line for line in found if np.ptp(ax.transData.transform(line), axis=0).max() > _STUB]
    if not seen:
        lines.remove()
    return tuple(seen)


def _line(ax: Axes, contour: PublishedContour) -> Line2D | None:
    """Draw a published contour; None where no point of it lies in the map."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    x, y = contour.place.T
    if not ((x >= left) & (x <= right) & (y >= low) & (y <= high)).any():
        return None
    (line,) = ax.plot(
        x,
        y,
        color=_PUBLISHED,
        linestyle=contour.line,
        linewidth=contour.width,
        label=contour.name,
        scalex=False,
        scaley=False,
        zorder=2.5,
    )
    return line


def _scale(values: FloatArray, scale: str) -> tuple[Normalize, Colormap]:
    shown = values if values.size else np.ones(1)
    low, high = float(shown.min()), float(shown.max())
    if scale == "logarithmic":
        if high <= 1.01 * low:
            low, high = low / 2, high * 2
        return LogNorm(low, high), colormaps["viridis"]
    if scale == "symmetric":
        reach = max(abs(low), abs(high), 1.0)
        return Normalize(-reach, reach), colormaps["RdBu_r"]
    # Beyond the last contour everything is equally certain.
    return Normalize(min(low, 0.0), min(max(high, 1.0), LARGEST_Z)), colormaps["viridis"]


def _pale(cmap: Colormap) -> Colormap:
    colours = np.asarray(cmap(np.linspace(0, 1, 256)))
    colours[:, :3] = 1 - (1 - colours[:, :3]) * (1 - _PALE)
    return ListedColormap(colours)


# --- points, axes, legend -------------------------------------------------------------------------------------


def _points(
    ax: Axes, known: tuple[FloatArray, FloatArray, FloatArray], norm: Normalize, cmap: Colormap
) -> PathCollection | None:
    x, y, values = known
    if not x.size:
        return None
    return ax.scatter(
        x,
        y,
        c=values,
        norm=norm,
        cmap=cmap,
        s=30,
        edgecolors="black",
        linewidths=0.5,
        zorder=3,
        clip_on=False,
    )


def _marked(ax: Axes, x: FloatArray, y: FloatArray, **kwargs: Any) -> Line2D | None:
    if not x.size:
        return None
    (line,) = ax.plot(x, y, linestyle="none", markersize=5, zorder=3, **kwargs)
    return line


def _axes(ax: Axes, result: ScanResult, place: tuple[FloatArray, FloatArray]) -> None:
    search = result.search
    ax.set_xlim(*_range(place[0]))
    ax.set_ylim(*_range(place[1]))
    ax.set_xlabel(label(parameter_label(result.model, result.parameters[0])))
    ax.set_ylabel(label(parameter_label(result.model, result.parameters[1])))
    header(
        ax, attribution(search.reference), f"{search.luminosity_fb:g} fb$^{{-1}}$ ({search.sqrt_s_tev:g} TeV)"
    )


def _range(values: FloatArray) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    margin = 0.05 * (high - low) if high > low else max(0.1 * abs(high), 1.0)
    return low - margin, high + margin


def _legend(
    ax: Axes,
    result: ScanResult,
    contours: Sequence[MapContour],
    marks: Sequence[Any],
    place: tuple[FloatArray, FloatArray],
    value: MapValue,
) -> None:
    """Put model and legend at the upper left, above the diagonal, and raise the axis where points are in their way."""
    title = ax.text(
        0.03,
        0.965,
        label(value.title or result.model),
        transform=ax.transAxes,
        va="top",
        fontsize=13,
        fontweight="bold",
    )
    handles: list[tuple[Any, str]] = []
    points, failed, empty, *published = marks
    if points is not None:
        mark = Line2D(
            [], [], linestyle="none", marker="o", markeredgecolor="black", color="#9c9ca1", markersize=6
        )
        handles.append((mark, "Point of the scan"))
    handles += [(mark, str(mark.get_label())) for mark in (failed, empty) if mark is not None]
    lines = [(Line2D([], [], color=c.colour, linestyle=c.line, linewidth=c.width), c.name) for c in contours]
    for line, name in [*lines, *((line, str(line.get_label())) for line in published)]:
        if name not in [known for _, known in handles]:
            handles.append((line, name))
    legend = ax.legend(
        [handle for handle, _ in handles],
        [name for _, name in handles],
        loc="upper left",
        bbox_to_anchor=(0.01, 0.915),
        fontsize=10,
        title=value.note or None,
        title_fontsize=10,
        alignment="left",
        frameon=True,  # where the diagonal is steep, it runs behind the legend
        facecolor="white",
        edgecolor="none",
        framealpha=0.9,
        borderaxespad=0.3,
        labelspacing=0.35,
    )
    x, y = place
    share = (depth(ax, title, legend) + 8) / axes_size(ax)[1]
    right = ax.transData.inverted().transform((legend.get_window_extent().x1 + 8, 0))[0]
    low, high = ax.get_ylim()
    under = y[x <= right]
    if under.size:
        high = max(high, low + (float(under.max()) + 0.02 * (high - low) - low) / (1 - min(share, 0.8)))
        ax.set_ylim(low, high)
    if all(name.startswith("m_") for name in result.parameters):
        _diagonal(ax)


def _diagonal(ax: Axes) -> None:
    """Where the decay ceases to be possible: the two masses are equal."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    start, stop = max(left, low), min(right, high)
    if start < stop:
        ax.plot([start, stop], [start, stop], color="#717581", linestyle=(0, (6, 4)), linewidth=1.0, zorder=1)
        ax.set_xlim(left, right)
        ax.set_ylim(low, high)
