"""Published limits on a map: a star at each, filled on the map's colour scale, with its number where least is in the way.

Specified in ``specs/figures.md``, FIG-24.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.patheffects import withStroke

from superbin._arrays import FloatArray
from superbin.plot.style import SIGNAL_COLOUR
from superbin.published import PublishedLimit

__all__ = ["dense", "draw_numbers", "draw_stars", "inside"]

_SIDES = (
    (9, 9, "left"),
    (-9, 9, "right"),
    (9, -9, "left"),
    (-9, -9, "right"),
    (0, 16, "center"),
    (0, -16, "center"),
)
"""Where the number of a star may stand: how far from it, in points, and how it is aligned; in order of preference."""


def draw_stars(
    ax: Axes,
    published: Sequence[PublishedLimit],
    names: tuple[str, str],
    norm: Normalize,
    cmap: Colormap,
) -> PathCollection | None:
    """Draw a star at each published limit; None where there is none."""
    if not published:
        return None
    x, y = ([p.place[name] for p in published] for name in names)
    return ax.scatter(
        x,
        y,
        c=[1000 * p.observed_pb for p in published],
        norm=norm,
        cmap=cmap,
        marker="*",
        s=190,
        edgecolors=SIGNAL_COLOUR,
        linewidths=1.2,
        zorder=4,
        label="Published limit",
    )


def draw_numbers(
    ax: Axes, published: Sequence[PublishedLimit], names: tuple[str, str], shown: Sequence[FloatArray]
) -> None:
    """Write each published limit beside its star, on the side where least is in the way.

    `shown` are the places of points and contours, each of shape (n, 2).
    """
    stars = np.array([[p.place[name] for name in names] for p in published], dtype=np.float64).reshape(-1, 2)
    taken = ax.transData.transform(np.concatenate([stars, *shown]))
    frame = ax.get_window_extent()
    numbers: list[Any] = []  # boxes
    for limit, star in zip(published, stars, strict=True):
        text = ax.annotate(
            f"{1000 * limit.observed_pb:.3g} fb",
            (float(star[0]), float(star[1])),
            xytext=(0, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            zorder=5,
        )
        in_the_way = []
        for dx, dy, side in _SIDES:
            text.set(position=(dx, dy), horizontalalignment=side)
            box = text.get_window_extent().padded(5)
            hidden = ((taken > box.min) & (taken < box.max)).all(axis=1)
            within = box.x0 > frame.x0 and box.y0 > frame.y0 and box.x1 < frame.x1 and box.y1 < frame.y1
            bad = not within or box.count_overlaps(numbers)
            in_the_way.append(int(hidden.sum()) + (len(taken) if bad else 0))
        dx, dy, side = _SIDES[int(np.argmin(in_the_way))]
        text.set(position=(dx, dy), horizontalalignment=side)
        numbers.append(text.get_window_extent())


def dense(line: FloatArray) -> FloatArray:
    """A line as points so close that none of its pieces passes between them unseen."""
    place, wanted = np.arange(len(line)), np.linspace(0, len(line) - 1, 30 * len(line))
    return np.column_stack([np.interp(wanted, place, line[:, axis]) for axis in (0, 1)])


def inside(ax: Axes, limit: PublishedLimit, names: tuple[str, str]) -> bool:
    """Whether a published limit is of these two masses and lies in the map."""
    if not set(names) <= set(limit.place):
        return False
    ranges = (ax.get_xlim(), ax.get_ylim())
    return all(low <= limit.place[name] <= high for name, (low, high) in zip(names, ranges, strict=True))
