"""Nuisance lines while a card is read: what a `nuisance edit` may still change.

`read_line` turns a line with one entry per column into a `Line`. `superbin.io.datacards.edits` changes lines,
`superbin.io.datacards.effects` makes the frozen nuisances of them once all are read.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from superbin._support.shown import counted
from superbin.io.datacards.model import Term
from superbin.io.datacards.records import Record

__all__ = ["COLUMN_KINDS", "Cell", "Line", "Note", "plain_kind", "read_line"]

Cell: TypeAlias = tuple[float, ...]
"""One number, or the two of a pair; a column without an entry is not affected."""

Note: TypeAlias = Callable[[Record, str, str], None]
"""Leaves a remark: line, code, message."""

COLUMN_KINDS = ("lnN", "lnU", "gmN", "gmM", "unif", "trG", "shape", "shapeN", "shapeU")
"""Kinds of nuisances that have an entry for every column; ``shape`` and ``shapeN`` may end in ``?``."""

_ARGUMENTS = {"gmN": 1, "unif": 2}
"""Words between a kind and its entries."""

_DASH = re.compile(r"-+")
_SPELLINGS = {"shape2": "shape", "shapeN2": "shapeN"}


@dataclass(slots=True)
class Line:
    """One nuisance on one line.

    Attributes
    ----------
    name, kind : str
        As in the card; kind is one of `COLUMN_KINDS`.
    optional : bool
        Whether the kind ended in ``?``.
    arguments : tuple of str
        Words between kind and entries.
    cells : dict of int to Cell
        Entries that are not dashes or zero, by their column.
    record : Record
        The line.
    sources : dict of int to str
        Former name of the nuisance in columns where it was renamed.
    """

    name: str
    kind: str
    optional: bool
    arguments: tuple[str, ...]
    cells: dict[int, Cell]
    record: Record
    sources: dict[int, str] = field(default_factory=dict)

    @property
    def is_shape(self) -> bool:
        """Whether it changes histograms."""
        return self.kind.startswith("shape")


def plain_kind(kind: str) -> tuple[str, bool]:
    """Return a kind as `COLUMN_KINDS` spells it, and whether it ended in ``?``."""
    bare = kind.removesuffix("?")
    return _SPELLINGS.get(bare, bare), kind.endswith("?") and bare.startswith("shape")


def read_line(record: Record, terms: tuple[Term, ...], note: Note) -> Line:
    """Read a nuisance line with one entry per column.

    Parameters
    ----------
    record : Record
        The line, of a kind in `COLUMN_KINDS`.
    terms : tuple of Term
        The columns.
    note : callable
        Is told what was left out.

    Raises
    ------
    DocumentError
        If entries are missing, are no numbers, or have no meaning for the kind.
    """
    name, word = record.tokens[0], record.tokens[1]
    kind, optional = plain_kind(word)
    skip = 2 + _ARGUMENTS.get(kind, 0)
    arguments, cells = record.tokens[2:skip], record.tokens[skip:]
    if kind == "gmN":
        _check_count(record, arguments)
    if len(cells) < len(terms):
        raise record.error(
            f"{word} {name!r} has {counted(len(cells), 'entry')} for {counted(len(terms), 'column')}; is the line truncated?"
        )
    if len(cells) > len(terms):
        words = " ".join(cells[len(terms) :])
        note(record, "ignored-words", f"{words!r} is after the last column of {name!r} and is ignored")
    line = Line(name, kind, optional, arguments, {}, record)
    for i, text in enumerate(cells[: len(terms)]):
        if _DASH.fullmatch(text):
            continue
        if _is_zero(text):
            if kind != "gmN":  # there it is the usual way to write a dash
                where = f"process {terms[i].process!r} in channel {terms[i].channel!r}"
                note(record, "zero-entry", f"{name!r} is {text} on {where}, which is no effect")
            continue
        line.cells[i] = read_cell(record, line, text)
    return line


def _check_count(record: Record, arguments: tuple[str, ...]) -> None:
    if not arguments or re.fullmatch(r"\d{1,15}", arguments[0], re.ASCII) is None:
        raise record.error(
            f"gmN {record.tokens[0]!r} needs a whole number of events after its kind, not {list(arguments)}"
        )


def _is_zero(text: str) -> bool:
    return re.fullmatch(r"\+?(0+(\.0*)?|\.0+)([eE][+-]?\d+)?", text, re.ASCII) is not None


def read_cell(record: Record, line: Line, text: str) -> Cell:
    """Read an entry of a line.

    Raises
    ------
    DocumentError
        If it is not a number, or has no meaning for the kind of the line.
    """
    name, kind = line.name, line.kind
    parts = text.split("/")
    factors = kind in ("lnN", "lnU") or line.optional
    if len(parts) > 2:
        raise record.error(f"entry {text!r} of {name!r} has {len(parts)} factors; write kappa or down/up")
    if len(parts) == 2 and not factors:
        raise record.error(
            f"entry {text!r} of {kind} {name!r} is a pair; only lnN, lnU and shape? have pairs"
        )
    what = {"gmN": "alpha", "unif": "slope", "trG": "slope", "gmM": "uncertainty"}.get(
        kind, "factor" if factors else "scale"
    )
    values = tuple(record.number(part, f"{what} of {name!r}") for part in parts)
    check_cell(record, line, values, text)
    return values


def check_cell(record: Record, line: Line, values: Cell, text: str) -> None:
    """Refuse an entry that has no meaning for the kind of a line."""
    name, kind = line.name, line.kind
    if kind in ("unif", "trG"):
        return
    if kind in ("lnN", "lnU") or line.optional:
        # 1 / value must be finite as well.
        wrong = next((value for value in values if not 1e-300 < value < 1e300), None)
        if wrong is not None:
            raise record.error(f"entry {text!r} of {name!r} has a factor {wrong:g}; factors are > 0")
    elif values[0] < 0:
        what = {"gmN": "alpha", "gmM": "uncertainty"}.get(kind, "scale")
        raise record.error(f"{what} {text} of {name!r} is negative; it must be >= 0")
