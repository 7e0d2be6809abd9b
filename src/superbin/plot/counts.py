"""Distribution of the count in one bin under background alone and with the signal, with a p-value shaded.

Drawn from a `CountDistribution` and a `Significance`, so that it serves a finished result and a bare p-value
alike. The shaded area lies above the count: for a whole number n it is the mid-p value exactly, half of the
column of n included. Specified in ``specs/figures.md``.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, NullLocator

from superbin._support.arrays import FloatArray
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
from superbin.plot.text import label
from superbin.results import CountDistribution, PValue, Significance
from superbin.results.wording import scientific

__all__ = ["CountArtists", "count_distribution"]

_PAD = 7.0


@dataclass(frozen=True, slots=True)
class CountArtists:
    """What `count_distribution` drew.

    Attributes
    ----------
    figure : Figure
    ax : Axes
    background : StepPatch
        Probability of each count under background alone.
    signal_plus_background : StepPatch or None
        With the signal; None where the two are the same.
    tail : StepPatch or None
        The background's probability above the count; None where there is none in the distribution.
    count : Line2D
        Vertical line at the count.
    legend : Legend
    values : Text
        The p-values.
    """

    figure: Figure
    ax: Axes
    background: StepPatch
    signal_plus_background: StepPatch | None
    tail: StepPatch | None
    count: Line2D
    legend: Legend
    values: Text


def count_distribution(
    distribution: CountDistribution,
    significance: Significance,
    *,
    observed: bool = False,
    signal_label: str = "signal",
    luminosity_fb: float | None = None,
    sqrt_s_tev: float | None = None,
    attribution: str = "",
    ax: Axes | None = None,
) -> CountArtists:
    """Draw the distribution of the count and the p-value of one count.

    Parameters
    ----------
    distribution : CountDistribution
    significance : Significance
        Of the count to mark.
    observed : bool
        Whether the count is data; else it is the expectation s + b.
    signal_label : str
        Name of the signal, mathtext.
    luminosity_fb, sqrt_s_tev : float, optional
        For the line above the figure; left out where None.
    attribution : str
        What stands above the figure at the left.
    ax : Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    CountArtists
    """
    edges = _edges(distribution)
    background = np.array(distribution.background)
    both = np.array(distribution.signal_plus_background)
    with style():
        ax = ax if ax is not None else _new_axes()
        header(ax, label(attribution), _conditions(luminosity_fb, sqrt_s_tev))
        steps = ax.stairs(background, edges, fill=True, facecolor=COLOURS[0], alpha=0.45, edgecolor="none")
        outline = None
        if not np.array_equal(both, background):
            outline = ax.stairs(both, edges, color=SIGNAL_COLOUR, linewidth=1.8, zorder=3)
        tail = _tail(ax, background, edges, significance.count)
        line = ax.axvline(significance.count, color="black", linestyle="--", linewidth=1.3, zorder=4)
        _label_axes(ax, distribution)
        legend, values = _annotate(
            ax, (steps, outline, tail, line), significance, observed, label(signal_label)
        )
        _limit(ax, distribution, significance.count, line, (legend, values))
    return CountArtists(figure_of(ax), ax, steps, outline, tail, line, legend, values)


def _edges(distribution: CountDistribution) -> FloatArray:
    """Edges of the columns, half a count below the first count of each."""
    counts = np.array(distribution.counts, dtype=float)
    return np.append(counts, counts[-1] + distribution.width) - 0.5


def _new_axes() -> Axes:
    figure = Figure(figsize=(HALF, 4.0))
    FigureCanvasAgg(figure)
    return figure.add_axes((0.15, 0.135, 0.82, 0.79))


def _conditions(luminosity_fb: float | None, sqrt_s_tev: float | None) -> str:
    parts = []
    if luminosity_fb is not None:
        parts.append(rf"{luminosity_fb:g} fb$^{{-1}}$")
    if sqrt_s_tev is not None:
        parts.append(f"({sqrt_s_tev:g} TeV)")
    return " ".join(parts)


def _tail(ax: Axes, values: FloatArray, edges: FloatArray, count: float) -> StepPatch | None:
    """Shade what lies above the count; the column that holds it is shaded from there."""
    above = edges[1:] > count
    if not above.any():
        return None
    low = np.append(np.maximum(edges[:-1], count)[above], edges[-1])
    return ax.stairs(values[above], low, fill=True, facecolor="#1f4fb0", edgecolor="none")


def _label_axes(ax: Axes, distribution: CountDistribution) -> None:
    ax.set_xlabel("Events N in the aggregate bin")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True, prune="upper"))
    per = f" of {distribution.width} counts" if distribution.width > 1 else ""
    ax.set_ylabel(f"Probability{per}")
    ax.yaxis.set_label_coords(-0.11, 1.0)


def _annotate(
    ax: Axes,
    drawn: tuple[StepPatch, StepPatch | None, StepPatch | None, Line2D],
    significance: Significance,
    observed: bool,
    signal_label: str,
) -> tuple[Legend, Text]:
    steps, outline, tail, line = drawn
    space, height = axes_size(ax)
    what = "Observed n" if observed else "Expected n = s + b"
    handles: list[tuple[Any, str]] = [
        (line, f"{what} = {significance.count:.4g}"),
        (steps, "Background only"),
    ]
    if outline is not None:
        handle = Line2D([], [], color=SIGNAL_COLOUR, linewidth=1.8)
        handles.append((handle, f"Background + {signal_label}"))
    if tail is not None:
        handles.append((tail, "Background only, N above n"))
    legend = fitting_legend(ax, handles, loc="upper right")
    used = depth(ax, legend)
    block = "\n".join(
        [
            f"mid-p, P(N > n) + P(N = n)/2:  {_p_and_z(significance.midp)}",
            f"tail, P(N ≥ n):  {_p_and_z(significance.tail)}",
        ]
    )
    values = ax.text(
        1 - _PAD / space,
        1 - used / height,
        block,
        transform=ax.transAxes,
        fontsize=SMALLEST,
        ha="right",
        va="top",
        linespacing=1.35,
    )
    return legend, values


def _p_and_z(value: PValue) -> str:
    z = "none" if value.z is None else f"{value.z:.2f}"
    number = scientific(value.p)
    return f"p = {f'${number}$' if 'times' in number else number}, Z = {z}"


def _limit(
    ax: Axes, distribution: CountDistribution, count: float, line: Line2D, texts: tuple[Legend, Text]
) -> None:
    """Show what matters: the peaks, the background where the count is, and the texts above all of it."""
    background, both = np.array(distribution.background), np.array(distribution.signal_plus_background)
    edges, larger = _edges(distribution), np.maximum(background, both)
    peak = float(larger.max())
    here = background[min(int(np.searchsorted(edges[1:], count)), len(background) - 1)]
    lowest = min(1e-4 * peak, max(0.01 * float(here), 1e-12 * peak))
    bottom = 10.0 ** math.floor(math.log10(lowest))
    shown = np.flatnonzero(larger >= bottom)
    low, high = float(edges[shown[0]]), float(edges[shown[-1] + 1])
    margin = 0.03 * (max(high, count) - min(low, count))
    ax.set_xlim(min(low, count - margin), max(high, count + margin))
    share = min(depth(ax, *texts) / axes_size(ax)[1] + 0.03, 0.85)
    log_axis(ax, bottom, min(1.5 * peak, 1.0), share)
    line.set_ydata([0.0, 1 - share])
