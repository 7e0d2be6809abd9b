"""Style of every figure: the CMS look of mplhep, inside a context, plus text that always fits.

* `style`: the context in which figures are drawn *and* saved; Matplotlib's settings are as before afterwards.
* `label`: a mathtext that Matplotlib can certainly draw.
* `width`, `wrapped`, `fitting_size`: how wide a text is in points, and how to make it fit.
* `log_axis`: a logarithmic axis that leaves room for text above the data.
* `header`: whose data, luminosity and energy above an axes.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from superbin._wording import MATH
from superbin.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "SIGNAL_COLOUR",
    "axes_size",
    "figure_of",
    "fitting_size",
    "header",
    "label",
    "style",
    "width",
    "wrapped",
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

DPI = 150
"""Pixels per inch: of what is saved, and of what is measured, so that a formula is laid out only once."""

_SETTINGS = {
    # The style is made for figures of 10 by 10 inches; these are smaller, in the same proportions.
    # Both come with mplhep and Matplotlib: a figure looks the same everywhere. Few fonts in few sizes, since
    # Matplotlib takes some milliseconds to find each.
    "font.sans-serif": ["TeX Gyre Heros", "DejaVu Sans"],
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "font.size": 13,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "axes.linewidth": 1.1,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.6,
    "xtick.major.size": 6,
    "xtick.minor.size": 3,
    "ytick.major.size": 6,
    "ytick.minor.size": 3,
    "xtick.major.pad": 5,
    "ytick.major.pad": 4,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the project's style, whatever the user's is; every setting is restored at the end."""
    import mplhep

    # The names are plain strings to mplhep, literals to Matplotlib's annotations since 3.11.
    settings: Any = {**mplhep.style.CMS, **_SETTINGS}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


@lru_cache(maxsize=512)
def label(text: str) -> str:
    """Return a text that Matplotlib draws: mathtext where it is valid, else every dollar as itself.

    Control characters become spaces, and characters that no font here has become question marks.
    """
    clean = "".join(_drawable(c) for c in text)
    if "$" not in clean:
        return clean
    valid = clean.count("$") % 2 == 0 and "\\$" not in clean
    if valid and all(_math_width(part) is not None for part in MATH.findall(clean)):
        return clean
    return clean.replace("\\$", "$").replace("$", r"\$")


def _drawable(character: str) -> str:
    if not character.isprintable():
        return " "
    return character if character.isascii() or ord(character) in _last_resort() else "?"


@lru_cache(maxsize=1)
def _last_resort() -> frozenset[int]:
    """Characters of the font that ships with Matplotlib and ends every list of fonts."""
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def width(text: str, size: float) -> float:
    """Width of the widest line of a text at a font size, both in points.

    A sum over words and formulas: kerning between them is left out.
    """
    return size / 10 * max(_line_width(line) for line in text.split("\n"))


def _line_width(line: str) -> float:
    """Width at 10 points."""
    total = 0.0
    for i, part in enumerate(MATH.split(line)):
        if i % 2:
            total += _math_width(part) or 0.0
        else:
            words = part.replace(r"\$", "$").split(" ")
            total += sum(_word_width(word) for word in words) + (len(words) - 1) * _word_width(" ")
    return total


@lru_cache(maxsize=4096)
def _word_width(word: str) -> float:
    if not word:
        return 0.0
    pixels, _, _ = _renderer().get_text_width_height_descent(word, FontProperties(size=10), False)
    return float(pixels) * 72 / DPI


@lru_cache(maxsize=512)
def _math_width(formula: str) -> float | None:
    """Width of ``$...$`` at 10 points; None where Matplotlib cannot read it."""
    try:
        pixels, _, _ = _renderer().get_text_width_height_descent(formula, FontProperties(size=10), True)
    except ValueError:
        return None
    return float(pixels) * 72 / DPI


def _renderer() -> Any:
    # Matplotlib's Agg renderer carries no annotations.
    renderer: Any = RendererAgg
    return renderer(1, 1, DPI)


def wrapped(text: str, size: float, limit: float, *, lines: int | None = None) -> str:
    """Break a text into lines no wider than `limit` points, between words and never within mathematics.

    Parameters
    ----------
    text : str
        Mathtext.
    size : float
        Font size in points.
    limit : float
        Width in points. A single word that is wider is cut; mathematics never is.
    lines : int, optional
        At most so many lines; the last one ends in an ellipsis when text was left out.
    """
    rows: list[str] = []
    for word in _words(text):
        candidate = f"{rows[-1]} {word}" if rows else word
        if rows and width(candidate, size) <= limit:
            rows[-1] = candidate
        else:
            rows.extend(_pieces(word, size, limit))
    if lines is not None and len(rows) > lines:
        rows = [*rows[: lines - 1], _cut(rows[lines - 1], size, limit)]
    return "\n".join(rows)


def _words(text: str) -> list[str]:
    """Split at spaces, except within mathematics."""
    if text.count("$") % 2 == 0:
        parts = text.split("$")
        text = "$".join(part.replace(" ", "\0") if i % 2 else part for i, part in enumerate(parts))
    return [word.replace("\0", " ") for word in text.split()]


def _pieces(word: str, size: float, limit: float) -> list[str]:
    """A word, in pieces if it is wider than a line."""
    if "$" in word or width(word, size) <= limit:
        return [word]
    count = int(width(word, size) // limit) + 1
    step = max(1, len(word) // (count + 1))
    return [word[i : i + step] for i in range(0, len(word), step)]


def _cut(row: str, size: float, limit: float) -> str:
    while " " in row and width(f"{row} …", size) > limit:
        row = row.rsplit(" ", 1)[0]
    return f"{row} …"


def fitting_size(texts: Sequence[str], *, size: float, limit: float) -> float:
    """The largest font size, at most `size`, at which every text is no wider than `limit` points."""
    widest = max(width(text, size) for text in texts)
    return size if widest <= limit else size * limit / widest


def figure_of(ax: "Axes") -> "Figure":
    """The figure an axes stands on, also where it stands in a part of it.

    Raises
    ------
    InputError
        If the axes was removed from its figure.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        raise InputError("the axes to draw on belongs to no figure; give one that does")
    return figure


def axes_size(ax: "Axes") -> tuple[float, float]:
    """Width and height of an axes in points."""
    box = ax.get_window_extent()
    scale = 72 / figure_of(ax).dpi
    return float(box.width * scale), float(box.height * scale)


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

    size = fitting_size([f"{left}    {right}"], size=13.0, limit=axes_size(ax)[0])
    kwargs = {"y": 1.012, "ax": ax, "fontsize": size, "va": "bottom"}
    return (
        add_text(left, x=0.0, ha="left", fontstyle="italic", **kwargs),
        add_text(right, x=1.0, ha="right", **kwargs),
    )
