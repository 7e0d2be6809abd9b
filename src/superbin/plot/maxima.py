"""Figure of the largest local significance under background alone: where a global p-value comes from.

Specified in ``specs/figures.md``, FIG-30.
"""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from scipy.special import betaincinv, ndtr

from superbin.plot.style import COLOURS, SIGNAL_COLOUR, figure_of, header, log_axis, style
from superbin.results.chance import ChanceResult
from superbin.results.wording import attribution, scientific

__all__ = ["MaximumArtists", "largest_significance"]

_ONE = 0.682689492137086
"""Confidence of the intervals."""


@dataclass(frozen=True, slots=True)
class MaximumArtists:
    """What `largest_significance` drew.

    Attributes
    ----------
    figure : Figure
    ax : Axes
    reached : ErrorbarContainer
        Part of the pseudo-experiments whose largest significance is at least z.
    one : Line2D
        The same for one aggregate bin whose local p-value is exact.
    observed : Line2D
        Where the data are.
    legend : Legend
    """

    figure: Figure
    ax: Axes
    reached: ErrorbarContainer
    one: Line2D
    observed: Line2D
    legend: Legend


def largest_significance(result: ChanceResult, *, ax: Axes | None = None) -> MaximumArtists:
    """Draw how often some aggregate bin reaches a significance under background alone.

    Parameters
    ----------
    result : ChanceResult
    ax : Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    MaximumArtists
    """
    n, search = result.chance.n, result.search
    points = [(z, k) for z, k in zip(result.maximum.z, result.maximum.reached, strict=True) if k]
    z = [z for z, _ in points]
    p = [k / n for _, k in points]
    below = [k / n - _lower(k, n) for _, k in points]
    above = [_upper(k, n) - k / n for _, k in points]
    with style():
        if ax is None:
            figure = Figure(figsize=(6.4, 5.2))
            FigureCanvasAgg(figure)
            ax = figure.add_axes((0.135, 0.12, 0.83, 0.81))
        header(
            ax,
            attribution(search.reference),
            f"{search.luminosity_fb:g} fb$^{{-1}}$ ({search.sqrt_s_tev:g} TeV)",
        )
        reached = ax.errorbar(
            z,
            p,
            yerr=(below, above),
            color=COLOURS[0],
            marker="o",
            markersize=4,
            label=f"Largest of {result.aggregates} aggregate bins",
        )
        seen = result.excess.local.z or 0.0
        low = min(result.maximum.z[0], seen) - 0.15
        high = max(z[-1] if z else 0.0, seen) + 0.15
        grid = [low + (high - low) * i / 100 for i in range(101)]
        (one,) = ax.plot(
            grid,
            [float(ndtr(-x)) for x in grid],
            color=COLOURS[3],
            linestyle="--",
            label="One, with an exact p-value",
        )
        floor = min([float(ndtr(-high)), *(x - y for x, y in zip(p, below, strict=True) if x > y)])
        bottom = max(0.5 * floor, 1e-12)
        (observed,) = ax.plot(
            [seen, seen],
            [bottom, 1.0],
            color=SIGNAL_COLOUR,
            label=f"Data: Z = {seen:.2f}, {_global(result)}",
        )
        ax.set_xlim(low, high)
        log_axis(ax, bottom, 1.0, 0.24)
        ax.set_xlabel("Local significance z")
        ax.set_ylabel("Probability of z or more, background alone")
        legend = ax.legend(handles=[reached, one, observed], loc="upper right", fontsize=11)
    return MaximumArtists(figure_of(ax), ax, reached, one, observed, legend)


def _global(result: ChanceResult) -> str:
    found = result.chance
    if not found.hits:
        return f"global p < ${scientific(found.p_upper, 2)}$"
    return f"global p = ${scientific(found.p)}$"


def _lower(k: int, n: int) -> float:
    return float(betaincinv(k, n - k + 1, 0.5 - 0.5 * _ONE))


def _upper(k: int, n: int) -> float:
    return 1.0 if k == n else float(betaincinv(k + 1, n - k, 0.5 + 0.5 * _ONE))
