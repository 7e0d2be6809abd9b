"""Text that can be drawn and fits: mathtext made safe, measured in points, wrapped and shrunk.

* `label`: a mathtext that Matplotlib can certainly draw.
* `width`, `wrapped`, `shortened`, `fitting_size`: how wide a text is, and how to make it fit.

Widths are those of the fonts in force, so measure inside `superbin.plot.style.style`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, findfont, get_font

from superbin.results.wording import MATH

__all__ = ["fitting_size", "label", "shortened", "width", "wrapped"]

_MEASURE = 1500  # pixels per inch when measuring


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
    return float(pixels) * 72 / _MEASURE


@lru_cache(maxsize=512)
def _math_width(formula: str) -> float | None:
    """Width of ``$...$`` at 10 points; None where Matplotlib cannot read it."""
    try:
        pixels, _, _ = _renderer().get_text_width_height_descent(formula, FontProperties(size=10), True)
    except ValueError:
        return None
    return float(pixels) * 72 / _MEASURE


def _renderer() -> Any:
    # Matplotlib's Agg renderer carries no annotations. Widths are whole pixels: small ones, not to add up.
    renderer: Any = RendererAgg
    return renderer(1, 1, _MEASURE)


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
        Largest number of lines; the last one ends in an ellipsis when text was left out.
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


def shortened(text: str, size: float, limit: float) -> str:
    """Make a name no wider than `limit` points: beginning and end stay, with an ellipsis between; safe to draw, as by `label`."""
    if width(label(text), size) <= limit:
        return label(text)
    kept = len(text)
    while kept > 2:
        kept -= 1
        short = label(f"{text[: kept - kept // 2]}…{text[-(kept // 2) :]}")
        if width(short, size) <= limit:
            return short
    return "…"


def fitting_size(texts: Sequence[str], *, size: float, limit: float) -> float:
    """The largest font size, at most `size`, at which every text is no wider than `limit` points."""
    widest = max(width(text, size) for text in texts)
    return size if widest <= limit else size * limit / widest
