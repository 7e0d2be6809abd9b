"""Legends that fit their axes with labels of any length: columns, font size and line breaks are found by measuring."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.legend import Legend

from superbin.plot.style import SMALLEST, axes_size
from superbin.plot.text import width, wrapped

__all__ = ["fitting_legend"]

_PAD = 7.0
_SIZES = (10.0, SMALLEST)


def fitting_legend(
    ax: Axes, handles: Sequence[tuple[Any, str]], *, loc: Literal["upper left", "upper right"]
) -> Legend:
    """Put a legend at the top of an axes: few rows in a large font, no label cut, in at most a third of the height if possible.

    Parameters
    ----------
    ax : Axes
    handles : sequence of (artist, label)
        The labels can be drawn; see `superbin.plot.text.label`. They are wrapped to two lines at most.
    loc : {"upper left", "upper right"}
        At the left in up to three columns, at the right in one.
    """
    available, height = axes_size(ax)
    labels = [text for _, text in handles]
    counts = (3, 2, 1) if loc == "upper left" else (1,)
    arrangements = [_arrangement(labels, size, count, available) for size in _SIZES for count in counts]
    fitting = [a for a in arrangements if a.width <= available - _PAD]
    best = next(
        (a for a in fitting if a.whole and a.height <= height / 3),
        min(fitting, key=lambda a: (not a.whole, a.height)),
    )
    return ax.legend(
        [handle for handle, _ in handles],
        best.texts,
        loc=loc,
        # Clear of the ticks at the top.
        bbox_to_anchor=(0.0 if loc == "upper left" else 1.0, 0.985),
        ncols=best.count,
        fontsize=best.size,
        handlelength=1.5,
        handletextpad=0.5,
        columnspacing=0.9,
        labelspacing=0.35,
        borderaxespad=0.0,
    )


@dataclass(frozen=True, slots=True)
class _Arrangement:
    """Labels in columns, with the space they take in points; whole where none is cut, nor a word of one broken."""

    texts: tuple[str, ...]
    whole: bool
    size: float
    count: int
    width: float
    height: float


def _arrangement(labels: Sequence[str], size: float, count: int, available: float) -> _Arrangement:
    # A handle with its gaps takes some 2.8 times the font size, a line 1.5 times, measured with the settings above.
    fixed = 2.8 * size
    limit = (available - _PAD) / count - fixed
    texts = tuple(wrapped(text, size, limit, lines=2) for text in labels)
    rows = -(-len(texts) // count)
    columns = [texts[i : i + rows] for i in range(0, len(texts), rows)]
    return _Arrangement(
        texts,
        all(text.split() == label.split() for text, label in zip(texts, labels, strict=True)),
        size,
        len(columns),
        width=sum(max(width(text, size) for text in column) + fixed for column in columns),
        height=1.5 * size * max(sum(text.count("\n") + 1 for text in column) for column in columns),
    )
