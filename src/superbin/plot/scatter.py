"""Observed against expected significance over a scan: where the data hold more than the background, and who would see it.

Specified in ``specs/figures.md``, FIG-32.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from superbin._support.shown import counted
from superbin.domain.signal import point_label
from superbin.errors import InputError
from superbin.plot.maps import LARGEST_Z
from superbin.plot.style import SIGNAL_COLOUR, header, style
from superbin.plot.text import label
from superbin.results.scan import DONE, ScanPoint, ScanResult
from superbin.results.wording import attribution

__all__ = ["EXCESS", "ScatterArtists", "significance_scatter"]

EXCESS = 2.0
"""Observed local significance from which a point is marked as an excess."""

_NAMED = 3
"""Excesses that are named in the figure, the largest first."""


@dataclass(frozen=True, slots=True)
class ScatterArtists:
    """What `significance_scatter` drew.

    Attributes
    ----------
    figure : Figure
    ax : Axes
    points : PathCollection
        Finished points with an expected significance up to `superbin.plot.maps.LARGEST_Z`; the others stand at the edge.
    excesses : tuple of ScanPoint
        Points at or above `EXCESS`, the largest first.
    """

    figure: Figure
    ax: Axes
    points: PathCollection
    excesses: tuple[ScanPoint, ...]


def significance_scatter(result: ScanResult) -> ScatterArtists:
    """Draw observed against expected significance, a dot per signal, and mark excesses.

    Parameters
    ----------
    result : ScanResult

    Returns
    -------
    ScatterArtists

    Raises
    ------
    InputError
        If no point is finished with both significances finite.
    """
    shown: list[tuple[float, float, ScanPoint]] = [
        (p.expected.z, p.observed.z, p)
        for p in result.points
        if p.status == DONE
        and p.expected
        and p.observed
        and p.expected.z is not None
        and p.observed.z is not None
    ]
    if not shown:
        raise InputError("no point of the scan is finished; there is nothing to draw")
    x, y = (np.array([entry[i] for entry in shown], dtype=np.float64) for i in (0, 1))
    beyond = x > LARGEST_Z
    end = LARGEST_Z if beyond.any() else max(float(x.max()), 1.0)
    x = np.minimum(x, end)
    ranked = sorted(shown, key=lambda entry: -entry[1])
    excesses = tuple(p for _, z, p in ranked if z >= EXCESS)
    with style():
        figure = Figure(figsize=(6.4, 5.6))
        FigureCanvasAgg(figure)
        ax = figure.add_axes((0.125, 0.12, 0.85, 0.81))
        points = ax.scatter(
            x[~beyond], y[~beyond], s=26, color="#5790fc", edgecolors="black", linewidths=0.4, zorder=3
        )
        if beyond.any():
            ax.scatter(
                x[beyond],
                y[beyond],
                s=30,
                marker=">",
                color="#5790fc",
                edgecolors="black",
                linewidths=0.4,
                zorder=3,
                label=f"Expected Z > {LARGEST_Z:g}",
            )
        low, top = float(min(y.min(), -1.0)), float(max(y.max(), EXCESS))
        left = min(float(x.min()), 0.0) - 0.02 * end
        ax.set_xlim(left, 1.05 * end)
        ax.set_ylim(low - 0.1 * (top - low), top + 0.3 * (top - low))
        line = np.array([left, 1.05 * end])
        ax.plot(
            line, line, color="#717581", linestyle=(0, (6, 4)), linewidth=1.0, label="Observed = expected"
        )
        ax.axhline(EXCESS, color=SIGNAL_COLOUR, linestyle=":", linewidth=1.2, label=f"Z = {EXCESS:g}")
        ax.axhline(0.0, color="#9c9ca1", linewidth=0.8)
        if excesses:
            marked = [(min(a, end), b) for a, b, p in ranked if p in excesses]
            ax.scatter(
                [a for a, _ in marked],
                [b for _, b in marked],
                s=90,
                facecolors="none",
                edgecolors=SIGNAL_COLOUR,
                linewidths=1.4,
                zorder=4,
                label=f"{len(excesses)} with an excess",
            )
        for a, b, p in ranked[: min(_NAMED, len(excesses))]:
            ax.annotate(
                label(point_label(result.model, p.parameters.values())),
                (min(a, end), b),
                xytext=(7 if a < 0.7 * end else -7, 4),
                textcoords="offset points",
                fontsize=10,
                ha="left" if a < 0.7 * end else "right",
            )
        ax.set_xlabel("Expected significance Z (exact mid-p, pre-fit)")
        ax.set_ylabel("Observed local significance Z (exact mid-p)")
        search = result.search
        header(
            ax,
            attribution(search.reference),
            f"{search.luminosity_fb:g} fb$^{{-1}}$ ({search.sqrt_s_tev:g} TeV)",
        )
        ax.text(
            0.03,
            0.965,
            label(f"{result.model}: {counted(len(shown), 'signal')}"),
            transform=ax.transAxes,
            va="top",
            fontsize=13,
        )
        ax.legend(loc="upper right", fontsize=10, borderaxespad=0.4)
    return ScatterArtists(figure, ax, points, excesses)
