"""``nuisance edit``: lines of a card that change lines above them, as Combine does it.

    nuisance edit add       process channel name kind value [addq | overwrite]
    nuisance edit drop      process channel name [ifexists]
    nuisance edit rename    process channel old new [ifexists], or: rename old new
    nuisance edit changepdf name kind
    nuisance edit merge     process channel name1 name2 [ifexists]
    nuisance edit split     process channel old new1 new2 value1 value2 [ifexists]
    nuisance edit freeze    name [ifexists]
    nuisance edit flip      process channel name p2n | n2p [ifexists]

Process, channel and, where noted by Combine's manual, name are regular expressions for the whole word, or ``*``; a ``+`` in a channel stands for
itself. Expressions are limited in length, and those with nested repetition are refused, since they could run for ever.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from superbin._support.shown import counted
from superbin.io.datacards.lines import COLUMN_KINDS, Cell, Line, Note, check_cell, plain_kind, read_cell
from superbin.io.datacards.model import Term
from superbin.io.datacards.records import Record

__all__ = ["Edited", "edit"]

COMMANDS = {
    "add": 5, "drop": 3, "rename": 2, "changepdf": 2, "merge": 4, "split": 7, "freeze": 1, "flip": 3,
}  # fmt: skip
"""What can be done, with the least number of words after it."""

_LOGARITHMIC = ("lnN", "lnU")
_LINEAR = ("trG", "unif")
_NULL = (1.0,)


@dataclass(slots=True)
class Edited:
    """What edits act on.

    Attributes
    ----------
    lines : list of Line
        Nuisances with entries, in the order of the card.
    others : set of str
        Names of parameters without entries (``rateParam``, ``param``, ``flatParam``, ``extArg``).
    frozen : dict of str to None
        Parameters that are fixed.
    renamed : dict of str to str
        Measured parameters (``param``) with their new names.
    """

    lines: list[Line] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    frozen: dict[str, None] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)


def edit(state: Edited, record: Record, terms: tuple[Term, ...], note: Note) -> None:
    """Apply one line.

    Parameters
    ----------
    state : Edited
        Is changed.
    record : Record
        The line, ``nuisance edit command ...``; its first word does not matter.
    terms : tuple of Term
        The columns.
    note : callable
        Is told what a line with ``ifexists`` did not find.

    Raises
    ------
    DocumentError
        If the command is unknown, incomplete, finds nothing, or what it asks for has no meaning.
    """
    words = record.tokens[2:]
    if not words or words[0] not in COMMANDS:
        raise record.error(
            f"nuisance edit {' '.join(words[:1])!r} is not known; known are {', '.join(COMMANDS)}"
        )
    command, arguments = words[0], words[1:]
    if len(arguments) < COMMANDS[command]:
        raise record.error(
            f"nuisance edit {command} has {counted(len(arguments), 'word')} after it and needs {COMMANDS[command]}; is the line truncated?"
        )
    _Edit(state, record, terms, note, arguments).run(command)


class _Edit:
    """One edit."""

    def __init__(
        self, state: Edited, record: Record, terms: tuple[Term, ...], note: Note, words: tuple[str, ...]
    ) -> None:
        self.state, self.record, self.terms, self.note, self.words = state, record, terms, note, words

    def run(self, command: str) -> None:
        match command:
            case "add":
                self.add()
            case "drop":
                self.drop()
            case "rename":
                self.rename()
            case "changepdf":
                self.change()
            case "merge":
                self.merge()
            case "split":
                self.split()
            case "freeze":
                self.freeze()
            case _:
                self.flip()

    # ------------------------------------------------------------------ what is meant

    def pattern(self, text: str) -> re.Pattern[str]:
        if text == "*":
            return re.compile(r".*", re.DOTALL)
        if len(text) > 1000 or re.search(r"[+*}][^|]*\)[+*{]", text):
            raise self.record.error(
                f"the expression {text[:40]!r} repeats what repeats, or is too long; name what is meant"
            )
        try:
            return re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise self.record.error(f"{text!r} is not a regular expression ({error})") from None

    def columns(self) -> list[int]:
        """Columns of the process and channel in the first two words."""
        process = self.pattern(self.words[0])
        channel = self.pattern(self.words[1] if self.words[1] == "*" else self.words[1].replace("+", r"\+"))
        return [
            i
            for i, t in enumerate(self.terms)
            if process.fullmatch(t.process) and channel.fullmatch(t.channel)
        ]

    def matching(self, name: str) -> Iterator[Line]:
        pattern = self.pattern(name)
        return (line for line in list(self.state.lines) if pattern.fullmatch(line.name))

    def missing(self, options: tuple[str, ...], *, everywhere: bool = False) -> None:
        """Nothing was found: an error, unless that is allowed."""
        text = f"nuisance edit {' '.join(self.record.tokens[2:])} finds nothing"
        if "ifexists" in options or everywhere:
            self.note(self.record, "edit-nothing", text)
        else:
            raise self.record.error(f"{text}; correct the names, or add 'ifexists'")

    # ------------------------------------------------------------------ commands

    def add(self) -> None:
        name, word, text, *options = self.words[2:]
        kind, optional = plain_kind(word)
        if kind not in COLUMN_KINDS or kind in ("gmN", "unif"):
            raise self.record.error(
                f"nuisance edit add cannot add kind {word!r}; lnN, lnU, gmM, trG and shapes can be added"
            )
        line = self._line(name, kind, optional)
        cell = _NULL if text in {"-", "0", "0.0"} else read_cell(self.record, line, text)
        chosen = self.columns()
        if not chosen:
            self.missing(("ifexists",))
        for i in chosen:
            self._put(line, i, cell, tuple(options))

    def _line(self, name: str, kind: str, optional: bool) -> Line:
        found = next((line for line in self.state.lines if line.name == name), None)
        if found is None:
            found = Line(name, kind, optional, (), {}, self.record)
            self.state.lines.append(found)
        elif (found.kind, found.optional) != (kind, optional):
            raise self.record.error(
                f"nuisance {name!r} is {found.kind} on line {found.record.place.line}, so {kind} cannot be added to it"
            )
        return found

    def _put(self, line: Line, column: int, cell: Cell, options: tuple[str, ...]) -> None:
        if cell == _NULL:
            if line.is_shape:  # Combine takes the scale of a shape for a factor here
                self.note(
                    self.record,
                    "edit-nothing",
                    f"a shape of scale 1 is not added by nuisance edit, as in Combine: {line.name!r}",
                )
            return
        old = line.cells.get(column, _NULL)
        if old == _NULL or "overwrite" in options:
            line.cells[column] = cell
        elif "addq" in options:
            line.cells[column] = self._in_quadrature(line, old, cell)
        else:
            term = self.terms[column]
            raise self.record.error(
                f"{line.name!r} acts on process {term.process!r} in channel {term.channel!r} already; add 'addq' or 'overwrite'"
            )

    def _in_quadrature(self, line: Line, one: Cell, other: Cell) -> Cell:
        if line.kind not in _LOGARITHMIC:
            raise self.record.error(
                f"{line.kind} {line.name!r} cannot be added in quadrature; only lnN and lnU can"
            )
        if len(one) == len(other) == 1:
            return (self._joined(line, one[0], other[0]),)
        (low, high), (other_low, other_high) = (
            cell if len(cell) == 2 else (1 / cell[0], cell[0]) for cell in (one, other)
        )
        return self._joined(line, low, other_low), self._joined(line, high, other_high)

    def _joined(self, line: Line, one: float, other: float) -> float:
        a, b = math.log(one), math.log(other)
        if a * b < 0:
            raise self.record.error(
                f"factors {one:g} and {other:g} of {line.name!r} go in different directions and cannot be added in quadrature"
            )
        size = math.hypot(a, b)
        return math.exp(size if one > 1 else -size)

    def drop(self) -> None:
        chosen = self.columns()
        found = False
        for line in self.matching(self.words[2]):
            for i in chosen:
                found = True
                line.cells.pop(i, None)
        if not found:
            self.missing(self.words[3:], everywhere=self.words[1] == "*")

    def rename(self) -> None:
        everywhere = len(self.words) == 2
        old, new = self.words[-2:] if everywhere else self.words[2:4]
        if not everywhere and len(self.words) < 4:
            raise self.record.error("nuisance edit rename needs 'process channel old new', or 'old new'")
        lines = [line for line in self.state.lines if line.name == old]
        if old in self.state.others and everywhere:
            self.state.renamed[old] = new
            return
        if not lines:
            if "ifexists" in self.words[4:]:
                self.missing(("ifexists",))
                return
            raise self.record.error(f"nuisance edit rename: no nuisance {old!r} is above this line")
        for line in lines:
            if line.kind in ("gmN", "trG"):
                raise self.record.error(f"{line.kind} {old!r} cannot be renamed; change its line")
            if everywhere:
                line.sources |= {i: line.sources.get(i, old) for i in line.cells}
                line.name = new
            else:
                self._rename_in(line, new)

    def _rename_in(self, line: Line, new: str) -> None:
        chosen = self.columns()
        if not chosen:
            self.missing(self.words[4:])
            return
        target = next(
            (
                other
                for other in self.state.lines
                if other.name == new and other.kind == line.kind and other is not line
            ),
            None,
        )
        if target is None:
            target = Line(new, line.kind, line.optional, line.arguments, {}, self.record)
            self.state.lines.append(target)
        for i in chosen:
            target.cells.pop(i, None)
            if i in line.cells:
                target.cells[i] = line.cells.pop(i)
                target.sources[i] = line.sources.get(i, line.name)

    def change(self) -> None:
        name, word = self.words[:2]
        kind, optional = plain_kind(word)
        found = False
        for line in self.matching(name):
            found = True
            if line.kind == kind and line.optional == optional:
                continue
            families = (_LOGARITHMIC, _LINEAR, ("shape", "shapeN", "shapeU"))
            before, after = (
                next((i for i, family in enumerate(families) if k in family), -1) for k in (line.kind, kind)
            )
            if before == -1 or after == -1 or (before != after and 2 in (before, after)):
                raise self.record.error(
                    f"nuisance {line.name!r} cannot be changed from {line.kind} to {word}"
                )
            if kind == "unif" and not line.arguments:
                raise self.record.error(
                    f"nuisance {line.name!r} would need a range to become unif; write a unif line"
                )
            if before != after:
                self._convert(line, math.log if after == 1 else math.exp)
            line.kind, line.optional = kind, optional
            for i, cell in line.cells.items():
                check_cell(self.record, line, cell, "/".join(f"{v:g}" for v in cell) + f" (column {i + 1})")
        if not found:
            self.missing(("ifexists",))

    def _convert(self, line: Line, function: Callable[[float], float]) -> None:
        for i, cell in list(line.cells.items()):
            if len(cell) == 2:
                raise self.record.error(
                    f"the pair {cell[0]:g}/{cell[1]:g} of {line.name!r} has no linear form"
                )
            if cell == _NULL:
                del line.cells[i]
            else:
                try:
                    line.cells[i] = (function(cell[0]),)
                except (OverflowError, ValueError):
                    raise self.record.error(f"{cell[0]:g} of {line.name!r} cannot be converted") from None

    def merge(self) -> None:
        first, second = self.words[2:4]
        chosen = self.columns()
        found = False
        for line in self.matching(second):
            self._no_shape(line, "merged")
            for i in chosen:
                found = True
                cell = line.cells.pop(i, _NULL)
                if cell != _NULL:
                    target = self._line(first, line.kind, line.optional)
                    self._put(target, i, cell, ("addq",))
        if not found:
            self.missing(self.words[4:], everywhere=self.words[1] == "*")

    def _no_shape(self, line: Line, what: str) -> None:
        if line.is_shape:
            raise self.record.error(
                f"{line.kind} {line.name!r} cannot be {what} (Combine drops it); only lnN and lnU can"
            )

    def split(self) -> None:
        old, new1, new2, value1, value2 = self.words[2:7]
        chosen = self.columns()
        found = False
        for line in self.matching(old):
            self._no_shape(line, "split")
            for i in chosen:
                found = True
                if line.cells.pop(i, _NULL) != _NULL:
                    for name, text in ((new1, value1), (new2, value2)):
                        target = self._line(name, line.kind, line.optional)
                        self._put(target, i, read_cell(self.record, target, text), ("overwrite",))
        if not found:
            self.missing(self.words[7:], everywhere=self.words[1] == "*")

    def freeze(self) -> None:
        pattern = self.pattern(self.words[0])
        found = [name for name in sorted(self.state.others) if pattern.fullmatch(name)]
        found = found or [line.name for line in self.state.lines if pattern.fullmatch(line.name)]
        self.state.frozen |= dict.fromkeys(found)
        if not found:
            self.missing(self.words[1:])

    def flip(self) -> None:
        options = self.words[3:]
        if "p2n" not in options and "n2p" not in options:
            raise self.record.error("nuisance edit flip needs p2n (factors above one) or n2p (below one)")
        chosen = self.columns()
        found = False
        for line in self.matching(self.words[2]):
            if line.kind != "lnN":
                raise self.record.error(f"{line.kind} {line.name!r} cannot be flipped; only lnN can")
            for i in chosen:
                found = True
                cell = line.cells.get(i, _NULL)
                # Of a pair the factor at -1 decides.
                raises = cell[0] < 1 if len(cell) == 2 else cell[0] > 1
                lowers = cell[0] > 1 if len(cell) == 2 else cell[0] < 1
                if (raises and "p2n" in options) or (lowers and "n2p" in options):
                    line.cells[i] = tuple(1 / value for value in cell)
        if not found:
            self.missing(options, everywhere=self.words[1] == "*")
