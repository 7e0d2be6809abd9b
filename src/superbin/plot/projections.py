"""Distribution of an observable around the aggregate bin: stacked backgrounds, signal, data and their ratio.

The columns are categories of equal width, because ranges overlap between groups and the last ones are open.
Everything drawn is a number of the `Projection`; the intervals of the data are the only statistic computed here.
The vertical axis is logarithmic and ends so far up that legend, selection and captions stand above everything
drawn, whatever their length. Specified in ``specs/figures.md``.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, StepPatch
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, NullLocator

from superbin._support.arrays import FloatArray
from superbin.domain._intervals import garwood_interval
from superbin.errors import InputError
from superbin.plot.legends import fitting_legend
from superbin.plot.style import (
    COLOURS,
    HALF,
    SIGNAL_COLOUR,
    SMALLEST,
    axes_size,
    depth,
    figure_of,
    header,
    log_axis,
    style,
)
from superbin.plot.text import fitting_size, label, width, wrapped
from superbin.results import Projection
from superbin.results.wording import readable

__all__ = ["ProjectionArtists", "projection"]

_TILT = math.radians(60)
_PAD = 7.0
_LINE = 1.35 * SMALLEST
_MOST_TEXT = 0.62
"""Largest share of the upper panel that text may take before the figure grows."""
_SHADE: dict[str, Any] = {"facecolor": "#f4efd3", "edgecolor": "none", "linewidth": 0.6}
_PLATE: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
_RATIO_TOPS = (2.0, 3.0, 4.0)


@dataclass(frozen=True, slots=True)
class ProjectionArtists:
    """What `projection` drew.

    Attributes
    ----------
    figure : Figure
    main, ratio : Axes
        Events, and data over background.
    backgrounds : tuple of StepPatch
        One per process, in the order of the processes; the last process is at the bottom.
    uncertainty, ratio_uncertainty : StepPatch
        Bands from total - down to total + up.
    signal : StepPatch
        Outline, not stacked on the backgrounds.
    data, ratio_data : ErrorbarContainer
        Observed events with their intervals.
    overflow : tuple of Text
        Values of ratios above the ratio panel, written at its top.
    legend : Legend
    selection : Text
    """

    figure: Figure
    main: Axes
    ratio: Axes
    backgrounds: tuple[StepPatch, ...]
    uncertainty: StepPatch
    ratio_uncertainty: StepPatch
    signal: StepPatch
    data: ErrorbarContainer
    ratio_data: ErrorbarContainer
    overflow: tuple[Text, ...]
    legend: Legend
    selection: Text


@dataclass(frozen=True, slots=True)
class _Columns:
    """The numbers of a projection as arrays over its columns."""

    edges: FloatArray
    processes: tuple[str, ...]
    stack: FloatArray
    total: FloatArray
    up: FloatArray
    down: FloatArray
    signal: FloatArray
    observed: FloatArray
    interval: FloatArray

    @property
    def centres(self) -> FloatArray:
        return self.edges[:-1] + 0.5


def projection(
    projection: Projection,
    *,
    signal_label: str,
    luminosity_fb: float,
    sqrt_s_tev: float,
    attribution: str = "Reinterpretation of published data",
    axes: tuple[Axes, Axes] | None = None,
) -> ProjectionArtists:
    """Draw one projection.

    Parameters
    ----------
    projection : Projection
    signal_label : str
        Name of the signal, mathtext.
    luminosity_fb : float
        Integrated luminosity in fb^-1.
    sqrt_s_tev : float
        Centre-of-mass energy in TeV.
    attribution : str
        What stands above the figure at the left.
    axes : (Axes, Axes), optional
        Where to draw events and ratio; by default on a new figure.

    Returns
    -------
    ProjectionArtists

    Raises
    ------
    InputError
        If the projection has no columns.
    """
    if not projection.columns:
        raise InputError(f"the projection on {projection.observable!r} has no columns; give one or more")
    columns = _columns(projection)
    with style():
        main, ratio = axes if axes is not None else _new_axes(projection)
        drawn, share = _drawn(
            main, ratio, projection, columns, (attribution, luminosity_fb, sqrt_s_tev), signal_label
        )
        if axes is None and share > _MOST_TEXT:
            # Much text stands above the data, not in their place.
            missing = axes_size(main)[1] * (share / _MOST_TEXT - 1)
            main, ratio = _new_axes(projection, higher=missing / axes_size(main)[1])
            drawn, _ = _drawn(
                main, ratio, projection, columns, (attribution, luminosity_fb, sqrt_s_tev), signal_label
            )
    return drawn


def _drawn(
    main: Axes,
    ratio: Axes,
    projection: Projection,
    columns: "_Columns",
    head: tuple[str, float, float],
    signal_label: str,
) -> tuple[ProjectionArtists, float]:
    """Draw on axes; also the share of the upper one that text takes."""
    attribution, luminosity_fb, sqrt_s_tev = head
    header(main, label(attribution), rf"{luminosity_fb:g} fb$^{{-1}}$ ({sqrt_s_tev:g} TeV)")
    backgrounds, uncertainty, signal, data = _draw_main(main, columns)
    band, points, overflow = _draw_ratio(ratio, columns)
    _label_axes(main, ratio, projection)
    handles = _handles(projection, backgrounds, uncertainty, signal, data, label(signal_label))
    legend, selection, share = _annotate(main, ratio, projection, columns, handles)
    artists = ProjectionArtists(
        figure=figure_of(main),
        main=main,
        ratio=ratio,
        backgrounds=backgrounds,
        uncertainty=uncertainty,
        ratio_uncertainty=band,
        signal=signal,
        data=data,
        ratio_data=points,
        overflow=overflow,
        legend=legend,
        selection=selection,
    )
    return artists, share


def _columns(projection: Projection) -> _Columns:
    yields = [column.yields for column in projection.columns]
    observed = np.array([float(y.observed) for y in yields])
    return _Columns(
        edges=np.arange(len(yields) + 1, dtype=np.float64) - 0.5,
        processes=tuple(label(p.label) for p in yields[0].processes),
        stack=np.array([[p.nominal for p in y.processes] for y in yields]).reshape(len(yields), -1).T,
        total=np.array([y.background.nominal for y in yields]),
        up=np.array([y.background.up for y in yields]),
        down=np.array([y.background.down for y in yields]),
        signal=np.array([y.signal for y in yields]),
        observed=observed,
        interval=garwood_interval(observed),
    )


@dataclass(frozen=True, slots=True)
class _Ticks:
    """Labels of the columns, and how they fit under them: tilted where they would be too small to read."""

    texts: tuple[str, ...]
    size: float
    tilted: bool

    @property
    def depth(self) -> float:
        """Height of the labels in points."""
        if not self.tilted:
            return self.size
        longest = max(width(text, self.size) for text in self.texts)
        return math.sin(_TILT) * longest + math.cos(_TILT) * self.size


def _ticks(projection: Projection, space: float) -> _Ticks:
    texts = tuple(label(readable(column.text)) for column in projection.columns)
    size = fitting_size(texts, size=10.0, limit=0.92 * space / len(texts))
    if size >= SMALLEST:
        return _Ticks(texts, size, tilted=False)
    # Half of a tilted label lies left of its column; there is that much space left of the first one.
    return _Ticks(tuple(wrapped(text, SMALLEST, 100.0, lines=1) for text in texts), SMALLEST, tilted=True)


def _new_axes(projection: Projection, *, higher: float = 0.0) -> tuple[Axes, Axes]:
    wide, left, right = HALF, 0.15, 0.975
    high = 5.0 * (1 + higher)
    figure = Figure(figsize=(wide, high))
    FigureCanvasAgg(figure)
    # Below the panels: the labels, and the observable under them.
    depth = _ticks(projection, 72 * wide * (right - left)).depth
    bottom = min(0.1 + depth / (72 * high), 0.45)
    grid = figure.add_gridspec(
        2, 1, height_ratios=(3.3, 1), left=left, right=right, bottom=bottom, top=0.94, hspace=0.05
    )
    main = figure.add_subplot(grid[0])
    return main, figure.add_subplot(grid[1], sharex=main)


def _draw_main(
    ax: Axes, columns: _Columns
) -> tuple[tuple[StepPatch, ...], StepPatch, StepPatch, ErrorbarContainer]:
    # The last process lies at the bottom, so that the stack reads downwards in the order of the legend.
    below = columns.total - np.cumsum(columns.stack, axis=0)
    backgrounds = tuple(
        ax.stairs(
            low + layer,
            columns.edges,
            baseline=np.maximum(low, 0.0),
            fill=True,
            facecolor=colour,
            edgecolor="none",
            zorder=1,
        )
        for layer, low, colour in zip(columns.stack, below, itertools.cycle(COLOURS), strict=False)
    )
    uncertainty = _band(ax, columns.total + columns.up, columns.total - columns.down, columns.edges)
    signal = ax.stairs(
        columns.signal, columns.edges, baseline=None, color=SIGNAL_COLOUR, linewidth=1.8, zorder=3
    )
    data = _points(ax, columns.centres, columns.observed, columns.interval)
    return backgrounds, uncertainty, signal, data


def _draw_ratio(ax: Axes, columns: _Columns) -> tuple[StepPatch, ErrorbarContainer, tuple[Text, ...]]:
    known = columns.total > 0
    total = np.where(known, columns.total, 1.0)
    band = _band(
        ax,
        np.where(known, 1 + columns.up / total, np.nan),
        np.where(known, 1 - columns.down / total, np.nan),
        columns.edges,
    )
    points = _points(
        ax, columns.centres[known], (columns.observed / total)[known], (columns.interval / total)[:, known]
    )
    ax.axhline(1.0, color="black", linewidth=0.8, linestyle="--", zorder=1)
    values = (columns.observed / total)[known]
    highest = 1.1 * float(values.max(initial=0.0))
    top = next((t for t in _RATIO_TOPS if t >= highest), _RATIO_TOPS[-1])
    # A little below zero, where the points of columns without data lie.
    ax.set_ylim(-0.05 * top, top)
    overflow = tuple(
        _beyond(ax, float(x), float(value), len(columns.total))
        for x, value in zip(columns.centres[known], values, strict=True)
        if value > top
    )
    return band, points, overflow


def _beyond(ax: Axes, x: float, value: float, count: int) -> Text:
    """Write a value above the panel beside its error bar, upright where the column is narrow."""
    text = f"↑ {value:.3g}"
    half = axes_size(ax)[0] / count / 2
    upright = width(text, SMALLEST) + _PAD > half
    return ax.text(
        x + 0.07,
        0.94 * ax.get_ylim()[1],
        text,
        ha="left",
        va="top",
        fontsize=min(SMALLEST, 0.7 * half) if upright else SMALLEST,
        rotation=90 if upright else 0,
        zorder=5,
        bbox=_PLATE,
    )


def _band(ax: Axes, high: FloatArray, low: FloatArray, edges: FloatArray) -> StepPatch:
    return ax.stairs(
        high,
        edges,
        baseline=low,
        fill=True,
        facecolor="none",
        edgecolor="#404040",
        hatch="//////",
        linewidth=0,
        zorder=2,
    )


def _points(ax: Axes, x: FloatArray, y: FloatArray, interval: FloatArray) -> ErrorbarContainer:
    return ax.errorbar(
        x,
        y,
        yerr=np.stack([y - interval[0], interval[1] - y]),
        fmt="o",
        color="black",
        markersize=4.5,
        elinewidth=1.2,
        zorder=4,
    )


def _label_axes(main: Axes, ratio: Axes, projection: Projection) -> None:
    ticks = _ticks(projection, axes_size(ratio)[0])
    main.set_xlim(-0.5, len(ticks.texts) - 0.5)
    ratio.set_xticks(
        range(len(ticks.texts)),
        ticks.texts,
        fontsize=ticks.size,
        rotation=math.degrees(_TILT) if ticks.tilted else 0,
        ha="right" if ticks.tilted else "center",
        rotation_mode="anchor" if ticks.tilted else None,
    )
    for ax in (main, ratio):
        ax.xaxis.set_minor_locator(NullLocator())
        ax.tick_params(axis="x", length=0)
        ax.yaxis.set_label_coords(-0.11, 1.0)
    main.tick_params(labelbottom=False)
    main.set_ylabel("Events")
    ratio.set_ylabel("Data / bkg.")
    ratio.yaxis.set_minor_locator(NullLocator())
    ratio.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], prune="upper"))
    unit = f" [{label(projection.unit)}]" if projection.unit else ""
    ratio.set_xlabel(label(projection.label) + unit)


def _handles(
    projection: Projection,
    backgrounds: tuple[StepPatch, ...],
    uncertainty: StepPatch,
    signal: StepPatch,
    data: ErrorbarContainer,
    signal_label: str,
) -> list[tuple[Any, str]]:
    names = [label(p.label) for p in projection.columns[0].yields.processes]
    line = Line2D([], [], color=SIGNAL_COLOUR, linewidth=signal.get_linewidth())
    handles: list[tuple[Any, str]] = [(data, "Data")]
    handles += zip(backgrounds, names, strict=True)
    handles += [(uncertainty, "Uncertainty"), (line, f"{signal_label}, not stacked")]
    if any(column.aggregate for column in projection.columns):
        handles.append((Patch(**{**_SHADE, "edgecolor": "#c8bf93"}), "Aggregate bins"))
    return handles


def _annotate(
    main: Axes,
    ratio: Axes,
    projection: Projection,
    columns: _Columns,
    handles: list[tuple[Any, str]],
) -> tuple[Legend, Text, float]:
    """Stack legend, selection and captions below the top of the axes, and end the axis above the data."""
    space, height = axes_size(main)
    legend = fitting_legend(main, handles, loc="upper left")
    used = depth(main, legend)
    block = _selection(projection, space)
    selection = main.text(
        _PAD / space,
        1 - used / height,
        block,
        transform=main.transAxes,
        fontsize=SMALLEST,
        va="top",
        linespacing=1.15,
    )
    used += _LINE * (block.count("\n") + 1) + _PAD
    captions = _captions(main, ratio, projection, used)
    share = (used + captions) / height
    shown = min(share, 0.85)
    log_axis(main, *_data_range(columns, [column.aggregate for column in projection.columns]), shown)
    for i, column in enumerate(projection.columns):
        if column.aggregate:
            main.axvspan(i - 0.5, i + 0.5, ymax=1 - shown, zorder=0, **_SHADE)
            ratio.axvspan(i - 0.5, i + 0.5, zorder=0, **_SHADE)
    return legend, selection, share


def _selection(projection: Projection, space: float) -> str:
    """Selection and note, in lines that fit an axes of this width in points."""
    text = " ".join(filter(None, [f"Selection: {projection.selection}.", projection.note]))
    return wrapped(label(readable(text)), SMALLEST, space - 2 * _PAD, lines=6)


def _captions(main: Axes, ratio: Axes, projection: Projection, used: float) -> float:
    """Separate groups of columns by lines and write their captions; returns the height this takes in points."""
    groups = [
        (name, len(list(members)))
        for name, members in itertools.groupby(projection.columns, lambda c: c.group)
    ]
    if len(groups) < 2:
        return 0.0
    space, height = axes_size(main)
    step = space / len(projection.columns)
    texts = [wrapped(label(readable(name)), SMALLEST, 0.94 * step * n, lines=3) for name, n in groups]
    start = 0
    for text, (_, n) in zip(texts, groups, strict=True):
        if start:
            main.axvline(start - 0.5, ymax=1 - used / height, color="black", linewidth=0.9, zorder=3)
            ratio.axvline(start - 0.5, color="black", linewidth=0.9, zorder=3)
        main.text(
            (start + n / 2) / len(projection.columns),
            1 - used / height,
            text,
            transform=main.transAxes,
            fontsize=SMALLEST,
            ha="center",
            va="top",
        )
        start += n
    return 1.35 * SMALLEST * max(text.count("\n") + 1 for text in texts) + _PAD / 2


def _data_range(columns: _Columns, aggregate: list[bool]) -> tuple[float, float]:
    """Lowest and highest number of events that the logarithmic axis must show."""
    seen = np.concatenate([columns.total, columns.signal[aggregate]])
    highest = float(np.max([columns.total + columns.up, columns.signal, columns.interval[1]]))
    lowest = min(float(seen[seen > 0].min(initial=1.0)), 1.0)
    bottom = 10.0 ** math.floor(math.log10(max(0.4 * lowest, 1e-7 * highest)))
    return bottom, 1.4 * highest
