"""How values show themselves: a line in a shell, a small table in a notebook."""

from collections.abc import Sequence
from html import escape

__all__ = ["Shown", "counted", "listed", "number", "printable", "shortened"]

_ENDS = {"h": "es", "s": "es", "x": "es"}


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 bin, 2 bins, 0 searches, 3 entries."""
    if number == 1:
        return f"{number} {noun}"
    if noun.endswith("ry"):
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}{_ENDS.get(noun[-1], 's')}"


def printable(text: str) -> str:
    """The text with control characters, bidirectional marks and the like written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def number(value: float | None) -> str:
    """A number with six digits; a value that was not found as ``none``."""
    return "none" if value is None else f"{value:.6g}"


def shortened(value: object, most: int = 100) -> str:
    """What an error repeats of a value: its ``repr``, cut after some characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        text = f"a {type(value).__name__} of too many digits"
    return text if len(text) <= most else f"{text[:most]}..."


def listed(names: Sequence[str], most: int = 10) -> str:
    """Names in a sentence, the first few of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class Shown:
    """A short ``repr`` and an HTML table, both made of `_shown`.

    Dataclasses that use it are made with ``repr=False``: theirs would print every number of every array.
    """

    __slots__ = ()

    def _shown(self) -> tuple[str, dict[str, str]]:
        """Name of the value, and what a reader wants to know of it first, as texts by label."""
        raise NotImplementedError

    def __repr__(self) -> str:
        name, lines = self._shown()
        facts = ", ".join(f"{label} {text}".strip() for label, text in lines.items())
        return f"<{type(self).__name__} {printable(name)}: {printable(facts)}>"

    def _repr_html_(self) -> str:
        name, lines = self._shown()
        rows = "".join(
            f'<tr><th style="text-align: left">{escape(printable(label))}</th><td>{escape(printable(text))}</td></tr>'
            for label, text in lines.items()
        )
        caption = f"{type(self).__name__} {printable(name)}"
        return f"<table><caption>{escape(caption)}</caption><tbody>{rows}</tbody></table>"
