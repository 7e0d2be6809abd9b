"""How values show themselves: a line in a shell, a small table in a notebook."""

from html import escape

__all__ = ["Shown", "number", "printable"]


def printable(text: str) -> str:
    """The text with control characters, bidirectional marks and the like written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def number(value: float | None) -> str:
    """A number with six digits; a value that was not found as ``none``."""
    return "none" if value is None else f"{value:.6g}"


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
