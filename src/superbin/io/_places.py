"""JSON and CSV, read and written, with the place of every error.

- `Head`: a JSON object whose entries are fetched with their type checked.
- `header`: the ``# key: value`` comment lines of a table as a `Head`; `rows`: the table below it, row by row.
- `csv_text`: a table with its comments as text.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superbin._support.json import parse_json
from superbin._support.shown import counted, shortened
from superbin.errors import DocumentError, InputError
from superbin.io._text import number_text, parse_number, read_text

__all__ = ["Head", "Row", "cells_of", "column_names", "csv_text", "header", "is_comment", "lines", "rows"]

_SHOWN = 100
"""As much of a wrong line as an error text repeats."""
_LONGEST_ROW = 100_000


class Head:
    """A JSON object whose entries are fetched with their type checked.

    Parameters
    ----------
    path : Path
        The file, for the error texts; read if no `content` is given.
    content : object, optional
        The parsed JSON.
    place : str
        Where in the file it stands, for the error texts.

    Raises
    ------
    InputError
        If the file cannot be read.
    DocumentError
        If it is not a JSON object; as from every method, if an entry is missing or of another type.
    """

    def __init__(self, path: Path, content: object = None, place: str = "") -> None:
        self.path = path
        self.place = place
        loaded = parse_json(read_text(path), path) if content is None else content
        if not isinstance(loaded, dict):
            raise self.error("is not a JSON object")
        self.content: dict[str, Any] = loaded

    def error(self, message: str) -> DocumentError:
        """An error at this place, to be raised."""
        return DocumentError(f"{self.path}: {self.place}{message}")

    def get(self, key: str) -> Any:
        """An entry of any type."""
        if key not in self.content:
            raise self.error(f"the key {key!r} is missing")
        return self.content[key]

    def expect(self, key: str, value: object) -> None:
        """Refuse the file if an entry, which tells its format, is not the one that can be read."""
        if self.get(key) != value:
            raise self.error(
                f"{key} is {shortened(self.content[key])}; this version of superbin reads {value}"
            )

    def text(self, key: str) -> str:
        """A string."""
        value = self.get(key)
        if not isinstance(value, str):
            raise self.error(f"{key} is {shortened(value)}; it must be a string")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.error(f"{key} is {shortened(value)}; it must be true or false")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        return self._number(key, self.get(key))

    def numbers(self, key: str) -> dict[str, float]:
        """An object of finite numbers."""
        value = self.get(key)
        if not isinstance(value, dict):
            raise self.error(f"{key} is {shortened(value)}; it must be an object of numbers")
        return {name: self._number(f"{key}.{name}", entry) for name, entry in value.items()}

    def _number(self, key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{key} is {shortened(value)}; it must be a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.error(f"{key} is too large for a floating-point number")
        return number

    def whole(self, key: str) -> int:
        """A whole number."""
        value = self.number(key)
        if value != int(value):
            raise self.error(f"{key} is {value:g}; it must be a whole number")
        return int(value)

    def list_of_numbers(self, key: str) -> list[float]:
        """A list of finite numbers."""
        return [self._number(f"{key}[{i}]", entry) for i, entry in enumerate(self.entries(key))]

    def rows_of_numbers(self, key: str) -> list[list[float]]:
        """A list of lists of finite numbers."""
        found: list[list[float]] = []
        for i, row in enumerate(self.entries(key)):
            if not isinstance(row, list):
                raise self.error(f"{key}[{i}] is {shortened(row)}; it must be a list")
            found.append([self._number(f"{key}[{i}][{j}]", entry) for j, entry in enumerate(row)])
        return found

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names."""
        found = self.entries(key)
        if not all(isinstance(name, str) for name in found):
            raise self.error(f"{key} is {shortened(found)}; it must be a list of names")
        return tuple(found)

    def parts(self, key: str) -> "list[Head]":
        """A list of objects."""
        return [Head(self.path, entry, f"{key}[{i}]: ") for i, entry in enumerate(self.entries(key))]

    def groups(self, key: str) -> tuple[tuple[str, ...], ...]:
        """A list of lists of names."""
        groups = self.entries(key)
        if not all(isinstance(g, list) and all(isinstance(name, str) for name in g) for g in groups):
            raise self.error(f"{key} is {shortened(groups)}; it must be a list of lists of process names")
        return tuple(tuple(group) for group in groups)

    def entries(self, key: str) -> list[Any]:
        """A list of anything."""
        value = self.get(key)
        if not isinstance(value, list):
            raise self.error(f"{key} is {shortened(value)}; it must be a list")
        return value


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: its cells as text, by column."""

    path: Path
    line: int
    cells: dict[str, str]

    def error(self, message: str) -> DocumentError:
        """An error in this line, to be raised."""
        return DocumentError(f"{self.path}:{self.line}: {message}")

    def number(self, column: str, *, low: float = -math.inf, infinite: bool = False) -> float:
        """A number >= `low`; ``inf`` only where `infinite`."""
        text = self.cells[column]
        if infinite and text == "inf":
            return math.inf
        try:
            value = parse_number(text)
        except InputError as error:
            raise self.error(f"{column} {error}") from None
        if value < low:
            raise self.error(f"{column} is {text}; it must be >= {low:g}")
        return value

    def expect_bin(self, number: int) -> None:
        """Refuse the row if its bin is not the one that follows."""
        if self.number("bin") != number:
            raise self.error(f"bin is {self.cells['bin']}; the next bin is {number}, rows go in order from 1")


def header(path: Path, text: str, keys: Sequence[str], optional: Sequence[str] = ()) -> Head:
    """Read the comment lines ``# key: value`` of a table, whose values are JSON; other comments are free.

    Raises
    ------
    DocumentError
        If a key is not one of `keys` and `optional`, comes twice or is missing, or a value is not JSON.
    """
    content: dict[str, Any] = {}
    for line, comment in lines(text):
        match = re.fullmatch(r"# (\w+): (.*)", _comment(comment), re.ASCII)
        if match is None:
            continue
        key, value = match.groups()
        if key not in keys and key not in optional:
            raise DocumentError(
                f"{path}:{line}: unknown key {key!r}; the keys are {', '.join([*keys, *optional])}"
            )
        if key in content:
            raise DocumentError(f"{path}:{line}: key {key!r} comes twice; remove one line")
        content[key] = parse_json(value, path, first_line=line)
    for key in keys:
        if key not in content:
            raise DocumentError(f"{path}: no line '# {key}: ...' in the header; add it")
    return Head(path, content)


def column_names(path: Path, text: str) -> list[str]:
    """The columns of a table; empty if it has none.

    Raises
    ------
    DocumentError
        If the line of column names is no CSV row.
    """
    table = _table_lines(text)
    return cells_of(path, *table[0]) if table else []


def _table_lines(text: str) -> list[tuple[int, str]]:
    """Lines that are neither empty nor comments, with their numbers."""
    return [(number, line) for number, line in lines(text) if line.strip(", \t") and not is_comment(line)]


def rows(path: Path, text: str, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a table whose header must be `columns`; comment and empty lines are skipped.

    Raises
    ------
    DocumentError
        If there is no table, it has other columns, or a row has another number of cells.
    """
    table = _table_lines(text)
    if not table:
        raise DocumentError(f"{path}: the table is empty; its first line must be {','.join(columns)}")
    number, heading = table[0]
    given = cells_of(path, number, heading)
    if given != list(columns):
        shown = ",".join(given)
        if len(shown) > _SHOWN or not shown.isprintable():
            shown = repr(shown[:_SHOWN]) + "..."
        raise DocumentError(f"{path}:{number}: the columns are {shown}; {','.join(columns)} is needed")
    for number, line in table[1:]:
        cells = cells_of(path, number, line)
        if len(cells) != len(columns):
            raise DocumentError(
                f"{path}:{number}: {counted(len(cells), 'cell')} for {counted(len(columns), 'column')}; is the line truncated?"
            )
        yield Row(path, number, dict(zip(columns, cells, strict=True)))


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Number the lines of a text from 1, whether they end in LF, CR LF or CR."""
    return enumerate(re.split(r"\r\n|\r|\n", text), start=1)


def is_comment(line: str) -> bool:
    """Whether a line of a table is a comment; spreadsheets put quotes around one that has commas or quotes in it."""
    return line.startswith(("#", '"#'))


def cells_of(path: Path, number: int, line: str) -> list[str]:
    """The cells of a line, out of their quotes.

    Raises
    ------
    DocumentError
        If the line is longer than a row can be, or its quotes do not match.
    """
    if len(line) > _LONGEST_ROW:
        raise DocumentError(
            f"{path}:{number}: the row has {len(line)} characters; a row has at most {_LONGEST_ROW}, correct the file"
        )
    try:
        return [cell.strip() for cell in next(csv.reader([line], strict=True, skipinitialspace=True))]
    except csv.Error as error:
        raise DocumentError(f"{path}:{number}: not a CSV row ({error})") from error


def _comment(line: str) -> str:
    """A comment as it was before a spreadsheet split it at its commas and put the parts in quotes."""
    if not line.startswith('"#'):
        return line
    return ",".join(next(csv.reader([line]))).rstrip(",")


def csv_text(comments: Sequence[str], columns: Sequence[str], table: Iterable[Sequence[Any]]) -> str:
    """Write a table as text, with comment lines above it; numbers read back the same."""
    buffer = io.StringIO()
    for comment in comments:
        buffer.write(f"# {' '.join(comment.split())}\n")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in table:
        writer.writerow([cell if isinstance(cell, str) else number_text(cell) for cell in row])
    return buffer.getvalue()
