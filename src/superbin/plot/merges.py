"""Merges of bins side by side: what each number of bins costs, which bins each merge takes, and what few merges lose.

Specified in ``specs/figures.md``, FIG-16 to FIG-18.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from superbin._support.shown import counted
from superbin.errors import InputError
from superbin.plot.style import COLOURS, axes_size, figure_of, header, style
from superbin.plot.text import fitting_size, label
from superbin.results import MergeResult, Range
from superbin.results.wording import readable

__all__ = [
    "BinMapArtists",
    "FrontArtists",
    "LossArtists",
    "StabilityArtists",
    "bin_map",
    "loss_curve",
    "merge_front",
    "stability_bars",
]

_SHOWN = 40
"""Bins of a stability figure at most."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FrontArtists:
    """What `merge_front` drew: `front` through the sizes, and one marker per other shape."""

    figure: Figure
    ax: Axes
    front: Line2D
    shapes: dict[str, Line2D]


@dataclass(frozen=True, slots=True)
class BinMapArtists:
    """What `bin_map` drew: per merge, its panel and the patch of every bin by published number."""

    figure: Figure
    panels: tuple[Axes, ...]
    cells: tuple[Mapping[int, Rectangle], ...]


@dataclass(frozen=True, slots=True)
class LossArtists:
    """What `loss_curve` drew: a line per kind of loss."""

    figure: Figure
    ax: Axes
    lines: dict[str, Line2D]


@dataclass(frozen=True, slots=True)
class StabilityArtists:
    """What `stability_bars` drew: the bar of every bin shown, by published number, and a point with its errors per merge."""

    figure: Figure
    ax: Axes
    bars: dict[int, Rectangle]
    spread: dict[str, ErrorbarContainer]


def stability_bars(
    frequency: Mapping[int, float],
    merge: Sequence[int],
    *,
    spread: Mapping[str, Sequence[float]] = MappingProxyType({}),
    quantity: str = "Figure of merit",
    title: str = "",
) -> StabilityArtists:
    """Draw how often each bin is chosen when the numbers fluctuate, the most frequent first; those of the merge in colour.

    Beside it, if they are given, the spreads of the figure of merit.

    Parameters
    ----------
    frequency : mapping of int to float
        By published number, from 0 to 1; at most forty bins are shown, and none that is never chosen.
    merge : sequence of int
        Bins of the merge chosen from the published numbers.
    spread : mapping of str to (float, float, float)
        By what is evaluated with which numbers: 16 % quantile, median and 84 % quantile of the figure of merit.
    quantity : str
        What they are spreads of, for the axis.
    title : str
        Text above the figure at the left.

    Raises
    ------
    InputError
        If no bin is ever chosen.
    """
    shown = sorted((n for n, share in frequency.items() if share > 0), key=lambda n: (-frequency[n], n))[
        :_SHOWN
    ]
    if not shown:
        raise InputError("no bin is ever chosen; there is nothing to draw")
    with style():
        ax = _axes((9.0, 5.0), (0.09, 0.16, 0.5 if spread else 0.89, 0.72))
        colours = [COLOURS[1] if n in merge else "#c8c8c8" for n in shown]
        drawn = ax.bar(range(len(shown)), [frequency[n] for n in shown], color=colours)
        ax.set_xticks(range(len(shown)), [str(n) for n in shown], rotation=90, fontsize=9)
        ax.tick_params(axis="x", which="both", length=0)
        ax.xaxis.minorticks_off()
        ax.set_ylim(0, 1)
        ax.set_xlabel("Bin")
        ax.set_ylabel("Part of the draws with this bin")
        ax.legend(
            [Rectangle((0, 0), 1, 1, color=COLOURS[1]), Rectangle((0, 0), 1, 1, color="#c8c8c8")],
            ["in the merge of the published numbers", "not in it"],
            loc="upper right",
            fontsize=10,
        )
        points = _spread_panel(figure_of(ax), spread, quantity) if spread else {}
        ax.figure.text(0.09, 0.93, label(title), fontsize=12, style="italic")
    return StabilityArtists(figure_of(ax), ax, dict(zip(shown, drawn.patches, strict=True)), points)


def _spread_panel(
    figure: Figure, spread: Mapping[str, Sequence[float]], quantity: str
) -> dict[str, ErrorbarContainer]:
    ax = figure.add_axes((0.78, 0.16, 0.2, 0.72))
    points = {
        name: ax.errorbar(
            [middle], [-i], xerr=[[middle - low], [high - middle]], color=COLOURS[0], marker="o", capsize=3
        )
        for i, (name, (low, middle, high)) in enumerate(spread.items())
    }
    ax.set_yticks(
        [-i for i in range(len(spread))],
        ["\n".join(map(label, name.split("\n"))) for name in spread],
        fontsize=10,
    )
    ax.tick_params(axis="y", which="both", length=0)
    ax.yaxis.minorticks_off()
    ax.set_ylim(0.5 - len(spread), 0.5)
    ax.set_xlim(0, 1.1 * max(*(high for _, _, high in spread.values()), 0.1))
    ax.set_xlabel(label(quantity))
    return points


def loss_curve(
    losses: Mapping[str, Sequence[tuple[int, float]]],
    *,
    things: str = "merges",
    loss: str = "Loss against the best merge of each signal",
    title: str = "",
    ax: Axes | None = None,
) -> LossArtists:
    """Draw the loss if k merges or regions are used for many signals.

    Parameters
    ----------
    losses : mapping of str to sequence of (int, float)
        By what the legend calls them: k with the loss from 0 to 1.
    things : str
        What there are k of.
    loss : str
        What is lost, for the axis.
    title : str
        Text above the figure at the left.
    ax : Axes, optional
        Where to draw; by default on a new figure.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    if not any(losses.values()):
        raise InputError("there is no loss to draw; give at least one number of merges")
    with style():
        ax = ax if ax is not None else _axes((6.0, 5.0), (0.125, 0.125, 0.84, 0.805))
        header(ax, label(title), "")
        drawn = {
            name: ax.plot(*_columns(sorted(points)), color=colour, marker=marker, label=label(name))[0]
            for (name, points), marker, colour in zip(
                losses.items(), "osD^v" * len(losses), COLOURS * len(losses), strict=False
            )
        }
        numbers = sorted({k for points in losses.values() for k, _ in points})
        ax.set_xticks(numbers if len(numbers) <= 12 else numbers[:: len(numbers) // 8])
        ax.xaxis.minorticks_off()
        ax.set_ylim(0, 1.25 * max(0.01, *(loss for points in losses.values() for _, loss in points)))
        ax.set_xlabel(f"Number of {things}")
        ax.set_ylabel(label(loss), fontsize=fitting_size([loss], size=13.0, limit=axes_size(ax)[1]))
        ax.legend(loc="upper right", fontsize=11)
    return LossArtists(figure_of(ax), ax, drawn)


def merge_front(
    sizes: Sequence[tuple[int, float]],
    shapes: Mapping[str, tuple[int, float]],
    *,
    title: str = "",
    ax: Axes | None = None,
) -> FrontArtists:
    """Draw the expected significance against the number of merged bins.

    Parameters
    ----------
    sizes : sequence of (int, float)
        Number of bins, and significance of the best free merge of exactly that number.
    shapes : mapping of str to (int, float)
        Other merges by name.
    title : str
        Text above the figure at the left.
    ax : Axes, optional
        Where to draw; by default on a new figure.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    if not sizes and not shapes:
        raise InputError("there is no merge to draw; give at least one")
    points = sorted(sizes)
    with style():
        ax = ax if ax is not None else _axes((6.0, 5.0), (0.125, 0.125, 0.84, 0.805))
        header(ax, label(title), "")
        (front,) = ax.plot(*_columns(points), color=COLOURS[0], marker="o", label="Best of exactly k bins")
        drawn = {
            name: ax.plot(
                [count],
                [z],
                linestyle="none",
                marker=marker,
                markersize=10,
                color=colour,
                label=name.capitalize(),
            )[0]
            for (name, (count, z)), marker, colour in zip(
                shapes.items(), "*sD^vPX" * len(shapes), COLOURS[1:] * len(shapes), strict=False
            )
        }
        values = [z for _, z in (*points, *shapes.values())]
        ax.set_ylim(0, 1.3 * max(*values, 0.1))
        ax.set_xlabel("Number of merged bins")
        ax.set_ylabel("Expected significance Z (exact mid-p)")
        ax.legend(loc="upper left", fontsize=11, ncols=2)
    return FrontArtists(figure_of(ax), ax, front, drawn)


def bin_map(
    bins: Mapping[int, Sequence[Range]], merges: Mapping[str, MergeResult], *, title: str = ""
) -> BinMapArtists:
    """Draw which bins every merge takes, in the plane of counted against measured observables.

    Rows are the ranges of observables without a unit, such as jets and b jets; columns those of the others, such as
    HT and missing HT. One panel per merge.

    Parameters
    ----------
    bins : mapping of int to sequence of Range
        Ranges of every bin of the search, by published number.
    merges : mapping of str to MergeResult
        By the name to write above the panel.
    title : str
        Text above the figure at the left.

    Raises
    ------
    InputError
        If there are no merges or no bins, or the bins have no ranges.
    """
    if not merges or not bins:
        raise InputError("there is no merge to draw; give at least one, and the bins of its search")
    if not all(bins.values()):
        raise InputError("the regions have no ranges, so there is no plane to draw them in")
    rows, columns = (_keys(bins, measured=measured) for measured in (False, True))
    beside = min(len(merges), BESIDE)
    # Inches: letters keep their size when the figure is printed at the width of a page.
    width, height = LEFT + PANEL * beside + 0.1, 0.45 + BAND * -(-len(merges) // beside)
    with style():
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        panels, cells = [], []
        for i, (name, merge) in enumerate(merges.items()):
            band, column = divmod(i, beside)
            bottom = height - 0.45 - BAND * (band + 1) + BELOW
            place = LEFT + column * PANEL, bottom, PANEL - 0.12, BAND - BELOW - ABOVE
            ax = figure.add_axes((place[0] / width, place[1] / height, place[2] / width, place[3] / height))
            cells.append(_panel(ax, bins, merge, rows, columns))
            ax.set_title(f"{name}, {counted(len(merge.bins), 'bin')}", fontsize=10, pad=4)
            _label(ax, rows, columns, first=column == 0)
            if column == 0:
                _axis_names(ax, bins)
            panels.append(ax)
        figure.text(LEFT / width, 1 - 0.28 / height, label(title), fontsize=12, style="italic")
    return BinMapArtists(figure, tuple(panels), tuple(cells))


BESIDE = 2
"""Panels beside each other; more are in bands below."""

LEFT, PANEL, BAND, BELOW, ABOVE = 1.3, 2.65, 4.75, 1.35, 0.3
"""Inches: left margin, width of a panel, height of a band of panels, and of this what is below and above the cells."""

SMALL = 7.6
"""Points of the smallest letters."""


def _axes(size: tuple[float, float], place: tuple[float, float, float, float]) -> Axes:
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    return figure.add_axes(place)


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [count for count, _ in points], [z for _, z in points]


def _key(ranges: Sequence[Range], *, measured: bool) -> Key:
    return tuple(r.text for r in ranges if bool(r.unit) == measured)


def _keys(bins: Mapping[int, Sequence[Range]], *, measured: bool) -> dict[Key, int]:
    """Rows or columns in the order of the bins' lower edges."""
    order: dict[Key, tuple[float, ...]] = {}
    for ranges in bins.values():
        # The last observable varies slowest, as missing HT does above HT.
        edges = [r.low for r in ranges if bool(r.unit) == measured]
        order.setdefault(
            _key(ranges, measured=measured), tuple(reversed(edges)) if measured else tuple(edges)
        )
    return {key: i for i, key in enumerate(sorted(order, key=lambda key: order[key]))}


def _panel(
    ax: Axes,
    bins: Mapping[int, Sequence[Range]],
    merge: MergeResult,
    rows: Mapping[Key, int],
    columns: Mapping[Key, int],
) -> dict[int, Rectangle]:
    drawn = {}
    for number, ranges in bins.items():
        x, y = columns[_key(ranges, measured=True)], rows[_key(ranges, measured=False)]
        chosen = number in merge.bins
        patch = Rectangle(
            (x - 0.5, y - 0.5), 1, 1, facecolor=COLOURS[1] if chosen else "white", edgecolor="#c8c8c8"
        )
        ax.add_patch(patch)
        drawn[number] = patch
        ax.text(
            x,
            y,
            str(number),
            ha="center",
            va="center",
            fontsize=SMALL,
            color="black" if chosen else "#9c9ca1",
        )
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(-0.5, len(rows) - 0.5)
    return drawn


def _label(ax: Axes, rows: Mapping[Key, int], columns: Mapping[Key, int], *, first: bool) -> None:
    ax.set_xticks(range(len(columns)), [_text(key) for key in columns], rotation=90, fontsize=SMALL)
    ax.set_yticks(range(len(rows)), [_text(key) for key in rows] if first else [], fontsize=8)
    ax.tick_params(which="both", length=0)
    ax.minorticks_off()


def _text(key: Key) -> str:
    return readable("; ".join(key))


def _axis_names(ax: Axes, bins: Mapping[int, Sequence[Range]]) -> None:
    ranges = next(iter(bins.values()))
    counted = "; ".join(r.label for r in ranges if not r.unit)
    measured = "; ".join(f"{r.label} [{r.unit}]" for r in ranges if r.unit)
    for text, place, offset, aligned in (
        (counted, (0, 1), (-4, 6), ("right", "bottom")),
        (measured, (0, 0), (-4, -8), ("right", "top")),
    ):
        ax.annotate(
            label(text), place, xycoords="axes fraction", xytext=offset, textcoords="offset points",
            fontsize=8.5, ha=aligned[0], va=aligned[1],
        )  # fmt: skip
