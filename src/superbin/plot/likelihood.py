"""Figures of a likelihood's results: profile scans, pulls and impacts, goodness of fit, yields per channel.

Specified in ``specs/likelihood.md``, LIK-39.
"""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.plot.correlation import CorrelationArtists, correlation_matrix
from superbin.plot.style import COLOURS, SIGNAL_COLOUR, figure_of, style
from superbin.plot.text import label, shortened
from superbin.results.likelihood import Correlations, Goodness, Impacts, Scan, Surface, Yields
from superbin.results.wording import readable

__all__ = [
    "LikelihoodArtists",
    "channel_yields",
    "correlations",
    "goodness_distribution",
    "impact_ranking",
    "profile_plane",
    "profile_scan",
]


@dataclass(frozen=True, slots=True)
class LikelihoodArtists:
    """What was drawn.

    Attributes
    ----------
    figure : Figure
    axes : tuple of Axes
    """

    figure: Figure
    axes: tuple[Axes, ...]


def _new(size: tuple[float, float]) -> Axes:
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


SMALL = 8.5
"""Points of the smallest letters, 7.7 when a figure of 7.2 inches is printed at the width of a page."""

CROWDED = 40
MOST_SAMPLES, LEGEND_COLUMNS = 14, 4
WIDE = 15.0
"""Ratio of the largest to the smallest bin from which events are on a logarithmic axis."""


def _heads(ax: Axes, total: FloatArray, observed: FloatArray, share: float) -> None:
    """Leave a share of the axis above the highest bin for a legend; on a logarithmic axis where bins differ widely."""
    top = float(max((observed + np.sqrt(observed)).max(), total.max(), 1e-3))
    lowest = float(total[total > 0].min(initial=top))
    if top / lowest < WIDE:
        ax.set_ylim(0.0, top / (1 - share))
        return
    ax.set_yscale("log")
    bottom = max(lowest / 10, 1e-6 * top)
    ax.set_ylim(bottom, bottom * (top / bottom) ** (1 / (1 - share)))


def _need(status: str, what: str) -> None:
    if status != "converged":
        raise InputError(f"there is no {what} to draw: {status}")


def profile_scan(result: Scan, *, ax: Axes | None = None) -> LikelihoodArtists:
    """Draw the profile likelihood along one parameter, with the ends of its intervals.

    Parameters
    ----------
    result : Scan
    ax : Axes, optional
        Where to draw; by default on a new figure.

    Raises
    ------
    InputError
        If the scan failed.
    """
    _need(result.status, "scan")
    points = [(v, q) for v, q in zip(result.values, result.q, strict=True) if q is not None]
    with style():
        ax = ax if ax is not None else _new((6.4, 4.8))
        ax.plot([v for v, _ in points], [q for _, q in points], color=COLOURS[0], marker="o", markersize=3)
        for rise, (low, high) in result.intervals.items():
            ax.axhline(rise, color=COLOURS[3], linestyle="--", linewidth=0.8)
            for end in (low, high):
                if end is not None:
                    ax.plot([end, end], [0.0, rise], color=COLOURS[3], linestyle=":", linewidth=0.8)
        if result.best is not None:
            ax.axvline(result.best, color=SIGNAL_COLOUR, linewidth=0.8)
        ax.set_xlabel(label(result.parameter))
        ax.set_ylabel(r"$-2\,\Delta\ln L$")
        ax.set_ylim(bottom=0.0)
    return LikelihoodArtists(figure_of(ax), (ax,))


def profile_plane(result: Surface, *, ax: Axes | None = None) -> LikelihoodArtists:
    """Draw the profile likelihood over two parameters with its 68 and 95 % contours.

    Parameters
    ----------
    result : Surface
    ax : Axes, optional
        Where to draw; by default on a new figure.

    Raises
    ------
    InputError
        If the scan failed.
    """
    _need(result.status, "scan")
    q = np.array([[math.nan if v is None else v for v in row] for row in result.q]).T
    if not np.isfinite(q).any():
        raise InputError("no point of the scan has a value of q, so there is nothing to draw")
    with style():
        ax = ax if ax is not None else _new((6.4, 5.2))
        mesh = ax.pcolormesh(
            result.x, result.y, q, shading="nearest", cmap="viridis_r", vmax=min(float(np.nanmax(q)), 20.0)
        )
        figure_of(ax).colorbar(mesh, ax=ax, label=r"$-2\,\Delta\ln L$")
        # Rises for two parameters at 68.3 and 95 % confidence.
        levels = [level for level in (2.296, 5.991) if np.nanmin(q) < level < np.nanmax(q)]
        if levels and min(q.shape) > 1:
            ax.contour(
                result.x,
                result.y,
                q,
                levels=levels,
                colors="black",
                linestyles=["-", "--"][: len(levels)],
                linewidths=1.0,
            )
        if result.best is not None:
            ax.plot(*result.best, marker="+", color=SIGNAL_COLOUR, markersize=10)
        ax.set_xlabel(label(result.parameters[0]))
        ax.set_ylabel(label(result.parameters[1]))
    return LikelihoodArtists(figure_of(ax), (ax,))


def impact_ranking(result: Impacts, *, most: int = 20) -> LikelihoodArtists:
    """Draw pulls and impacts side by side, the largest impact on top, as cabinetry does.

    Parameters
    ----------
    result : Impacts
    most : int
        How many parameters to show.

    Raises
    ------
    InputError
        If the fit failed or there is no parameter.
    """
    _need(result.status, "impacts")
    shown = result.parameters[:most]
    if not shown:
        raise InputError("the model has no nuisance parameter, so there are no impacts to draw")
    rows = np.arange(len(shown))[::-1]
    with style():
        figure = Figure(figsize=(7.2, 1.4 + 0.24 * len(shown)), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, sharey=True)
        for row, one in zip(rows, shown, strict=True):
            if one.pull is not None:
                left.errorbar(
                    one.pull, row, xerr=one.constraint or 0.0, color="black", marker="o", markersize=3
                )
            else:
                free = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
                left.text(0.0, row, f"{one.value:.3g}", ha="center", va="center", fontsize=8.5, bbox=free)
            for shift, colour in (
                (one.up if one.up is not None else one.linear, COLOURS[1]),
                (one.down, COLOURS[0]),
            ):
                if shift is not None:
                    right.barh(row, shift, color=colour, height=0.7, alpha=0.8)
        for x in (-1.0, 1.0):
            left.axvline(x, color=COLOURS[3], linestyle="--", linewidth=0.8)
        left.axvline(0.0, color=COLOURS[3], linewidth=0.8)
        right.axvline(0.0, color="black", linewidth=0.8)
        names = [shortened(one.name, 8.5, 190.0) for one in shown]
        left.set_yticks(rows, names, fontsize=8.5)
        left.margins(x=0.08)
        left.set_ylim(-0.7, len(shown) - 0.3)
        left.set_xlabel(r"Pull, $(\hat\theta-\theta_0)/\Delta\theta$")
        right.set_xlabel(f"Impact on {label(result.strength or 'the strength')}")
        right.legend(  # above the axes, where no bar is
            handles=[Patch(color=COLOURS[1], label="up"), Patch(color=COLOURS[0], label="down")],
            fontsize=9,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=2,
            borderaxespad=0.2,
        )
    return LikelihoodArtists(figure, (left, right))


def goodness_distribution(result: Goodness, *, ax: Axes | None = None) -> LikelihoodArtists:
    """Draw the distribution of the saturated statistic by toys, with the data.

    Parameters
    ----------
    result : Goodness
        With toys.
    ax : Axes, optional
        Where to draw; by default on a new figure.

    Raises
    ------
    InputError
        If the fit failed or no toys were thrown.
    """
    _need(result.status, "goodness of fit")
    if result.toys is None or not result.toys.values or result.statistic is None:
        raise InputError("the distribution of the goodness of fit needs toys; throw some")
    values = np.array(result.toys.values)
    with style():
        ax = ax if ax is not None else _new((6.4, 4.8))
        bins = max(10, min(50, values.size // 10))
        ax.hist(values, bins=bins, color=COLOURS[0], alpha=0.7, label=f"{values.size} toys")
        ax.axvline(
            result.statistic,
            color=SIGNAL_COLOUR,
            label=f"Data: {result.statistic:.4g}, p = {result.toys.p:.3g} $\\pm$ {result.toys.p_error:.2g}",
        )
        ax.set_xlabel("Saturated goodness of fit")
        ax.set_ylabel("Toys")
        ax.legend(fontsize=10)
    return LikelihoodArtists(figure_of(ax), (ax,))


def correlations(result: Correlations) -> CorrelationArtists:
    """Draw how the predictions of bins are correlated, with their groups.

    Parameters
    ----------
    result : Correlations
    """
    sizes = [size for _, size in result.groups]
    return correlation_matrix(
        result.matrix,
        blocks=[sum(sizes[: k + 1]) for k in range(len(sizes) - 1)],
        names=[readable(name) for name, _ in result.groups],
        attribution=result.attribution,
        luminosity_fb=result.luminosity_fb,
        sqrt_s_tev=result.sqrt_s_tev,
    )


def channel_yields(result: Yields, *, most: int = 60) -> LikelihoodArtists:
    """Draw expected events of every bin, samples stacked, with the uncertainty of the total and the data.

    Parameters
    ----------
    result : Yields
    most : int
        Bins shown at most; more are refused, since nothing could be read.

    Raises
    ------
    InputError
        If the fit failed or there are too many bins.
    """
    _need(result.status, "yields")
    names, bins = [], 0
    for channel in result.channels:
        bins += len(channel.total)
        names += [
            channel.name if len(channel.total) == 1 else f"{channel.name}[{b}]"
            for b in range(len(channel.total))
        ]
    if bins > most:
        raise InputError(f"{bins} bins are too many for one figure; it shows at most {most}")
    x = np.arange(bins)
    samples = dict.fromkeys(name for channel in result.channels for name in channel.samples)
    with style():
        figure = Figure(figsize=(7.2, 5.4), layout="constrained")
        FigureCanvasAgg(figure)
        ax, ratio = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        bottom = np.zeros(bins)
        for i, name in enumerate(samples):
            height = np.concatenate(
                [np.array(c.samples.get(name, (0.0,) * len(c.total))) for c in result.channels]
            )
            ax.bar(x, height, bottom=bottom, width=1.0, color=COLOURS[i % len(COLOURS)], label=name)
            bottom += height
        total = np.concatenate([c.total for c in result.channels])
        error = np.concatenate([c.error for c in result.channels])
        observed = np.concatenate([c.observed for c in result.channels])
        ax.bar(
            x,
            2 * error,
            bottom=total - error,
            width=1.0,
            fill=False,
            hatch="////",
            linewidth=0.0,
            label="Uncertainty",
        )
        ax.errorbar(x, observed, yerr=np.sqrt(observed), fmt="o", color="black", markersize=3, label="Data")
        safe = np.where(total > 0, total, np.nan)
        ratio.bar(x, 2 * error / safe, bottom=1 - error / safe, width=1.0, color=COLOURS[3], alpha=0.5)
        ratio.errorbar(
            x, observed / safe, yerr=np.sqrt(observed) / safe, fmt="o", color="black", markersize=3
        )
        ratio.axhline(1.0, color="black", linewidth=0.8)
        ratio.set_ylabel("Data / fit")
        # Where names would touch each other every second one is written.
        every = slice(None, None, 1 if bins <= CROWDED else 2)
        ratio.set_xticks(x[every], [shortened(name, SMALL, 130.0) for name in names[every]])
        ratio.tick_params(axis="x", which="major", rotation=90, labelsize=SMALL)
        for one in (ax, ratio):
            one.tick_params(axis="x", which="minor", bottom=False, top=False)
        ax.set_ylabel("Events")
        ax.set_xlim(-0.5, bins - 0.5)
        ax.set_title(result.stage, fontsize=11, loc="left")
        shown = len(samples) if len(samples) <= MOST_SAMPLES else 0
        rows = -(-(shown + 2) // LEGEND_COLUMNS)
        _heads(ax, total, observed, 0.07 * rows + 0.04)
        handles, labels = ax.get_legend_handles_labels()
        kept = slice(None) if shown else slice(len(samples), None)
        ax.legend(
            handles[kept],
            labels[kept],
            fontsize=SMALL,
            ncols=LEGEND_COLUMNS,
            loc="upper right",
            columnspacing=1.2,
        )
    return LikelihoodArtists(figure, (ax, ratio))
