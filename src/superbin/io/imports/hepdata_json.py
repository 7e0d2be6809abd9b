"""hepdata.net's JSON with the rows of a long table taken by a pattern.

A covariance of 1000 bins is a million rows of five JSON objects each, for which a JSON parser needs 20 seconds. Rows of one table mostly differ in the texts
of their cells alone. If all do, the first stays and is parsed, and the texts of all are found by a pattern made of it.
"""

import json
import re
from dataclasses import dataclass

__all__ = ["Rows", "without_rows"]

SHORTEST = 64
"""Rows that a table has at least."""

_BEGIN = re.compile(r'"values"\s*:\s*\[\s*(?=\{\s*"x")')
# A text that is its own value: no escapes, and no blanks, which would be joined.
_TEXT = r'[^"\\\s]++'
_CELL = re.compile(rf'"(?:value|low|high)"\s*:\s*"({_TEXT})"')


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts of all rows.

    Attributes
    ----------
    columns : tuple of tuple of str
        A text per row, for each of the texts of the first row in the order in which they stand there.
    """

    columns: tuple[tuple[str, ...], ...]


def without_rows(text: str) -> tuple[str, Rows | None]:
    """Cut out all rows but the first.

    Parameters
    ----------
    text : str
        A table as hepdata.net exports it.

    Returns
    -------
    text : str
        The same with one row.
    rows : Rows or None
        None where rows differ in more than their texts, or are few; `text` is as it was then.
    """
    begin = _BEGIN.search(text)
    if begin is None:
        return text, None
    try:
        _, end = json.JSONDecoder().raw_decode(text, begin.end())
    except (ValueError, RecursionError):
        return text, None  # the parser says what is wrong
    first = text[begin.end() : end]
    if len(first) > 10_000 or not _CELL.search(first):
        return text, None
    row = _pattern(first)
    whole = re.compile(rf"{row}(?:\s*,\s*{row}){{{SHORTEST - 1},}}+(?=\s*\])").match(text, begin.end())
    if whole is None:
        return text, None
    # Rows are alike but for these cells, so each has as many as the first.
    cells, count = _CELL.findall(text, begin.end(), whole.end()), len(_CELL.findall(first))
    return text[:end] + text[whole.end() :], Rows(tuple(tuple(cells[k::count]) for k in range(count)))


def _pattern(row: str) -> str:
    """What matches rows that differ from this one in the texts of their cells."""
    parts, start = [], 0
    for cell in _CELL.finditer(row):
        parts.append(re.escape(row[start : cell.start(1)]) + _TEXT)
        start = cell.end(1)
    return "".join([*parts, re.escape(row[start:])])
