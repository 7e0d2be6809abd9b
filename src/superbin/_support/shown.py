"""How values show themselves: a line in a shell, a small table in a notebook, a few words in an error."""

import re
from collections.abc import Sequence
from html import escape
from urllib.parse import unquote

__all__ = ["Shown", "counted", "listed", "number", "printable", "readable", "shortened"]

MOST_OF_A_VALUE, MOST_OF_A_PATH, MOST_OF_AN_ERROR = 100, 250, 1000
"""Characters of a value, of a path and of a whole error, before the dots that stand for what was cut."""

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


def shortened(value: object, most: int = MOST_OF_A_VALUE) -> str:
    """What an error repeats of a value: its ``repr``, cut after some characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        text = f"a {type(value).__name__} of too many digits"
    return text if len(text) <= most else f"{text[:most]}..."


def readable(text: str) -> str:
    """What an error says: without passwords, printable, and of limited length.

    Values (words, and texts between quotes) are cut at `MOST_OF_A_VALUE` characters, paths at `MOST_OF_A_PATH`, the whole at
    `MOST_OF_AN_ERROR`. Every error of superbin is made so, and so is what the command line repeats of other errors.
    """
    if len(text) > _MOST_LOOKED_AT:
        text = f"{text[: _MOST_LOOKED_AT // 2]} ... {text[-_MOST_LOOKED_AT // 2 :]}"
    text = _short(_without_passwords(text))
    if not text.isprintable():
        text = _short(printable(text))
    if len(text) > MOST_OF_AN_ERROR:
        text = f"{text[: MOST_OF_AN_ERROR - _END]} ... {text[5 - _END :]}"
    return text


_MOST_LOOKED_AT = 20_000
"""Characters of a text that are looked at; what lies between is cut."""
_END = 300
"""As much of a long error is its end, where it says what to do."""

_LONG_WORD = re.compile(rf"\S{{{MOST_OF_A_VALUE + 8},}}")
_LONG_QUOTED = re.compile(
    rf"(?<![\w'\"])(?:'[^'\n]{{{MOST_OF_A_VALUE + 6},}}'|\"[^\"\n]{{{MOST_OF_A_VALUE + 6},}}\")(?!\w)"
)


def _short(text: str) -> str:
    return text if len(text) <= MOST_OF_A_VALUE else _LONG_WORD.sub(_cut, _LONG_QUOTED.sub(_cut, text))


def _cut(found: re.Match[str]) -> str:
    text = found[0]
    if "/" in text or "\\" in text:
        if len(text) <= MOST_OF_A_PATH:
            return text
        return f"{text[: MOST_OF_A_VALUE // 2]}...{text[-MOST_OF_A_VALUE // 2 :]}"
    end = text[len(text.rstrip(_CLOSING)) :][-3:]  # of the quotes and the sentence
    return f"{text[:MOST_OF_A_VALUE]}...{end}"


_CLOSING = "'\")]};:,."


_PASSWORDS = (
    # Of a URL, up to the last @ of the word; or of the line, unless what follows the colon is a port.
    re.compile(r"(:/{1,2}[^\s/:]{0,200}:)(?!password@)\S*@"),
    re.compile(r"(:/{1,2}[^\s/:]{0,200}:)(?!password@|\*\*\*@|\s|\d+(?:[/?\s'\"]|$)).*@"),
    # Of a query, a connection string or an entry.
    re.compile(
        r"((?:password|passwd|passphrase|pwd)['\"]?\s*[=:]\s*|(?<!\\)(?:secret|token)\s*=\s*|[?&][^\s=&?]{0,60}?(?:pass|pwd|secret|token|key(?!w))[^\s=&?]{0,60}=)"
        r"(?!\*\*\*)(?:'[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)",
        re.IGNORECASE,
    ),
)
_MAY_HOLD_PASSWORD = re.compile(r":/|pass|pwd|secret|token", re.IGNORECASE)
_ENCODED_URL = re.compile(r"\b[a-z][\w+.-]{0,30}:/{1,2}[^\s%]*%\S*", re.IGNORECASE)


def _without_passwords(text: str) -> str:
    if _MAY_HOLD_PASSWORD.search(text) is None:
        return text
    return _ENCODED_URL.sub(_without_encoded, _hidden(text))


def _without_encoded(found: re.Match[str]) -> str:
    """A URL, or its scheme alone where a password shows once percent signs are decoded."""
    read = unquote(found[0])
    return found[0] if _hidden(read) == read else f"{found[0].partition(':')[0]}://***"


def _hidden(text: str) -> str:
    for password in _PASSWORDS:
        text = password.sub(lambda found: f"{found[1]}***{'@' * found[0].endswith('@')}", text)
    return text


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
