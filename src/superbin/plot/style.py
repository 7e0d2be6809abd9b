"""Style of every figure: the CMS look of mplhep inside a context, and what surrounds the drawing.

* `style`: the context in which figures are drawn *and* saved; Matplotlib's settings are as before afterwards.
* `log_axis`: a logarithmic axis that leaves space for text above the data.
* `header`: whose data, luminosity and energy above an axes.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from superbin.errors import InputError
from superbin.plot.text import fitting_size

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "HALF",
    "SIGNAL_COLOUR",
    "SMALLEST",
    "axes_size",
    "depth",
    "figure_of",
    "header",
    "log_axis",
    "style",
]

COLOURS = (
    "#5790fc",
    "#f89c20",
    "#964a8b",
    "#9c9ca1",
    "#7a21dd",
    "#92dadd",
    "#a96b59",
    "#b9ac70",
    "#717581",
    "#94a4a2",
)
"""Fill colours of processes, in their order: Petroff's palettes as CMS recommends them, without the red."""

SIGNAL_COLOUR = "#e42536"
"""The palette's red, kept for the signal."""

HALF = 4.2
"""Width in inches of figures that are printed two in a row."""

SMALLEST = 9.2
"""Smallest font in them, points: 7 points at the 8.1 cm that half a page has."""

_DPI = 150
_SETTINGS = {
    # The style is made for figures of 10 by 10 inches; these are smaller. The fonts come with mplhep and Matplotlib: a figure looks the
    # same everywhere. They are TrueType, which Matplotlib can embed as Type 42; the OpenType outlines of the style's own font it cannot.
    # Few fonts in few sizes, since Matplotlib takes some milliseconds to find each.
    "font.sans-serif": ["Fira Sans", "DejaVu Sans"],
    "mathtext.rm": "Fira Sans",
    "mathtext.sf": "Fira Sans",
    "mathtext.tt": "Fira Sans",
    "mathtext.cal": "Fira Sans",
    "mathtext.it": "Fira Sans:italic",
    "mathtext.bf": "Fira Sans:bold",
    # Publishers refuse Type 3.
    "pdf.fonttype": 42,
    "figure.dpi": _DPI,
    "savefig.dpi": _DPI,
    "font.size": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "axes.linewidth": 1.1,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.6,
    # Letters scale with the resolution, so that what was measured at one holds at another and in a PDF.
    "text.hinting": "none",
    "xtick.major.size": 6,
    "xtick.minor.size": 3,
    "ytick.major.size": 6,
    "ytick.minor.size": 3,
    "xtick.major.pad": 5,
    "ytick.major.pad": 4,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the project's style, also where the user has another; every setting is restored at the end."""
    import mplhep

    # The names are plain strings to mplhep, literals to Matplotlib's annotations since 3.11.
    settings: Any = {**mplhep.style.CMS, **_SETTINGS}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


def figure_of(ax: "Axes") -> "Figure":
    """The figure an axes stands on, also where it stands in a part of it.

    Raises
    ------
    InputError
        If the axes was removed from its figure.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        raise InputError("the axes belong to no figure; give axes of a figure")
    return figure


def axes_size(ax: "Axes") -> tuple[float, float]:
    """Width and height of an axes in points."""
    box = ax.get_window_extent()
    scale = 72 / figure_of(ax).dpi
    return float(box.width * scale), float(box.height * scale)


def depth(ax: "Axes", *texts: "Artist") -> float:
    """How far below the top of an axes the lowest of some things on it ends, in points."""
    lowest = min(text.get_window_extent().y0 for text in texts)
    return float(ax.get_window_extent().y1 - lowest) * 72 / figure_of(ax).dpi


def log_axis(ax: "Axes", bottom: float, top: float, share: float) -> None:
    """Make the vertical axis logarithmic from `bottom`, with `top` below a share of the height left free.

    Parameters
    ----------
    ax : Axes
    bottom, top : float
        Lowest and highest value to show, > 0. There are no ticks above `top`, where only text stands.
    share : float
        Part of the height to keep free above `top`, in [0, 1).
    """
    ax.set_yscale("log")
    ax.set_ylim(bottom, bottom * (top / bottom) ** (1 / (1 - share)))
    first, last = math.ceil(math.log10(bottom) - 1e-9), math.floor(math.log10(top) + 1e-9)
    step = 1 + (last - first) // 9
    ax.yaxis.set_major_locator(FixedLocator([10.0**k for k in range(first, last + 1, step)]))
    minor = [10.0**k * m for k in range(first - 1, last + 1) for m in range(2, 10)] if step == 1 else []
    ax.yaxis.set_minor_locator(FixedLocator([value for value in minor if value <= top]))
    ax.yaxis.set_major_formatter(FuncFormatter(_decade))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _decade(value: float, position: int | None = None) -> str:  # noqa: ARG001 - Matplotlib passes it
    """Powers of ten as ROOT writes them: 1 and 10 in figures."""
    return {1.0: "1", 10.0: "10"}.get(value, f"$10^{{{round(math.log10(value))}}}$")


def header(ax: "Axes", left: str, right: str) -> tuple[Text, Text]:
    """Write above an axes: whose data at the left in italics, luminosity and energy at the right."""
    from mplhep.label import add_text

    size = fitting_size([f"{left}   {right}"], size=12.0, limit=axes_size(ax)[0])
    kwargs = {"y": 1.012, "ax": ax, "fontsize": size, "va": "bottom"}
    return (
        add_text(left, x=0.0, ha="left", fontstyle="italic", **kwargs),
        add_text(right, x=1.0, ha="right", **kwargs),
    )
