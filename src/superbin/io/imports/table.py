"""One table with a row per bin: CSV, tab- or blank-separated text, as people and other tools keep it.

Columns are recognised by their names, in any order and any case:

===============================  ==================================================================
column                           names
===============================  ==================================================================
name of the bin                  bin, region, name, sr, signal region, id (numbers are numbers)
observed events                  observed, obs, data, n_obs, nobs, observed yields
background                       background, bkg, b, expected, total background, n_b, nb_exp, sm
its uncertainty                  the background's name with error, err, unc, sigma, +-;  up, +, high;  down, -, low;
                                 stat and syst before these
ranges of an observable          NAME low, NAME high (or min, max); a column NAME with cells as 200-300, >= 4, 300+, 2
===============================  ==================================================================

Other columns of numbers with an uncertainty column of their own are further backgrounds; then there is no total. What is
left over is named and ignored, or given a meaning by a mapping: ``{"columns": {"observed": "N", "ignore": ["S95"]}}``.
"""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from superbin._arrays import FloatArray
from superbin.bundle import Bundle
from superbin.errors import DocumentError, InputError
from superbin.io._text import parse_number
from superbin.io.imports.base import Faults, Imported, Options, Source
from superbin.search import Estimate, Observable, Process, Search

__all__ = ["IMPORTER", "TableImporter"]

_NAME = {"bin", "region", "name", "sr", "signal region", "id", "bin name", "region name"}
_OBSERVED = {
    "observed",
    "obs",
    "data",
    "n obs",
    "nobs",
    "observed yields",
    "observed events",
    "events observed",
}
_TOTAL = {
    "background", "bkg", "b", "expected", "total background", "total bkg", "n b", "nb exp", "sm", "bg", "total", "total sm",
    "expected background", "sm expectation", "nbkg", "n bkg", "expectedbg",
}  # fmt: skip
_ERROR = {"error", "err", "unc", "uncertainty", "sigma", "+-", "±", "delta", "d"}
_SIDES = {
    **dict.fromkeys(("up", "+", "high", "plus"), "_up"),
    **dict.fromkeys(("down", "-", "low", "minus"), "_down"),
}
_KINDS = {
    **dict.fromkeys(("stat", "statistical"), "stat"),
    **dict.fromkeys(("syst", "sys", "systematic", "total", "tot"), "syst"),
}
_LOW, _HIGH = ("low", "min", "lo", "from"), ("high", "max", "hi", "to")
_KNOWN = {
    "ht": Observable("ht", "$H_\\mathrm{T}$", "GeV"),
    "mht": Observable("mht", "$H_\\mathrm{T}^\\mathrm{miss}$", "GeV"),
    "met": Observable("met", "$p_\\mathrm{T}^\\mathrm{miss}$", "GeV"),
    "ptmiss": Observable("ptmiss", "$p_\\mathrm{T}^\\mathrm{miss}$", "GeV"),
    "mt2": Observable("mt2", "$M_\\mathrm{T2}$", "GeV"),
    "njet": Observable("njet", "$N_\\mathrm{jet}$", "", discrete=True),
    "nj": Observable("nj", "$N_\\mathrm{jet}$", "", discrete=True),
    "njets": Observable("njets", "$N_\\mathrm{jet}$", "", discrete=True),
    "nb": Observable("nb", "$N_\\mathrm{b}$", "", discrete=True),
    "nbjet": Observable("nbjet", "$N_\\mathrm{b}$", "", discrete=True),
    "nbjets": Observable("nbjets", "$N_\\mathrm{b}$", "", discrete=True),
}


def observable(name: str) -> Observable:
    """An observable of a table by its name: known ones get label and unit; ``name [GeV]`` names a unit."""
    match = re.fullmatch(r"(.*?)\s*[\[(]\s*([^\])]*)\s*[\])]", name)
    bare, unit = (match.group(1), match.group(2)) if match else (name, "")
    key = re.sub(r"[^0-9a-z]+", "", bare.lower())
    if key in _KNOWN:
        return _KNOWN[key]
    return Observable(key or bare, bare, unit, discrete=key.startswith("n") and unit == "")


class TableImporter:
    """A table of one row per bin."""

    name = "csv"
    title = "one table (CSV, tabs or blanks) with a row per bin"

    def recognises(self, source: Source) -> bool:
        """A text file whose first line names an observed and a background column."""
        if source.is_folder or b"\0" in source.head():
            return False
        try:
            table = _Table.read(source)
        except InputError:
            return False
        return any(_plain(c) in _OBSERVED for c in table.columns)

    def read(self, source: Source, options: Options) -> Imported:
        """Read the table; see the module for what its columns may be called."""
        table = _Table.read(source)
        faults = Faults(source.path)
        roles, notes = _roles(table, options, source.path)
        n_bins = len(table.rows)
        if n_bins == 0:
            raise DocumentError(f"{source.path}: the table has no rows; a search has at least one bin")
        notes.insert(0, f"a table of {n_bins} rows, cells separated by {table.separator}")
        observed = _counts(table, roles.observed, faults)
        processes = tuple(_process(table, name, parts, faults) for name, parts in roles.processes.items())
        observables, low, high = _ranges(table, roles, faults)
        names = _names(table, roles, faults)
        faults.check()
        try:
            search = Search(
                name=options.name or re.sub(r"[^\w.-]+", "-", source.path.stem.lower()),
                title=str(options.mapping.get("title", options.name or source.path.stem)),
                reference=str(options.mapping.get("reference", "")),
                luminosity_fb=options.luminosity(str(source.path), table.numbers.get("luminosity_fb")),
                sqrt_s_tev=options.energy(table.numbers.get("sqrt_s_tev")),
                observables=observables,
                low=low,
                high=high,
                processes=processes,
                observed=observed,
                names=names,
                source=str(options.mapping.get("source", f"imported from {source.path.name}")),
                licence=str(options.mapping.get("licence", "")),
                citation=str(options.mapping.get("citation", "")),
            )
        except DocumentError:
            raise
        except InputError as error:
            raise DocumentError(f"{source.path}: {error}") from error
        return Imported(Bundle(search), self.name, tuple(notes))


IMPORTER = TableImporter()


# --- the text ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Table:
    """Cells as text, with the line of every row, and ``# key: number`` comments."""

    path: Path
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str
    decimal_comma: bool
    numbers: dict[str, float]

    @classmethod
    def read(cls, source: Source) -> "_Table":
        numbers: dict[str, float] = {}
        content: list[tuple[int, str]] = []
        for line, text in enumerate(source.text().split("\n"), start=1):
            comment = re.fullmatch(r"[#%]\s*(\w+)\s*[:=]\s*([-+.\deE]+)\s*", text)
            if comment is not None:
                numbers[comment.group(1)] = parse_number(comment.group(2))
            elif text.strip() and not text.lstrip().startswith(("#", "%")):
                content.append((line, text))
        if not content:
            raise DocumentError(f"{source.path}: the table is empty; its first line names the columns")
        separator, decimal_comma = _separator([text for _, text in content], source.path)
        cells = [_split(text, separator, source.path, line) for line, text in content]
        columns = [c.strip() for c in cells[0]]
        for (line, _), row in zip(content[1:], cells[1:], strict=True):
            if len(row) != len(columns):
                raise DocumentError(
                    f"{source.path}:{line}: {len(row)} cells for {len(columns)} columns; is a cell missing, or one too many?"
                )
        return cls(
            path=source.path,
            columns=columns,
            rows=[[c.strip() for c in row] for row in cells[1:]],
            lines=[line for line, _ in content[1:]],
            separator={",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks"}[separator],
            decimal_comma=decimal_comma,
            numbers=numbers,
        )

    def number(self, row: int, column: int, faults: Faults, *, low: float = -math.inf) -> float:
        text = self.rows[row][column]
        value = math.nan
        try:
            value = parse_number(text.replace(",", ".") if self.decimal_comma else text)
        except InputError as error:
            faults.add(f"{self.columns[column]} {error}", self.lines[row])
        if value < low:
            faults.add(f"{self.columns[column]} is {text}; it must be >= {low:g}", self.lines[row])
        return value


def _separator(lines: Sequence[str], path: Path) -> tuple[str, bool]:
    """The separator, and whether commas are decimal commas, which only a table with semicolons or tabs may have."""
    for separator in (";", "\t"):
        if separator in lines[0]:
            body = [cell for line in lines[1:] for cell in line.split(separator)]
            commas = any(re.fullmatch(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*", c) for c in body)
            points = any(re.fullmatch(r"\s*[-+]?\d*\.\d+([eE][-+]?\d+)?\s*", c) for c in body)
            if commas and points:
                raise DocumentError(
                    f"{path}: holds numbers with a decimal comma and with a decimal point; use one of the two throughout"
                )
            return separator, commas
    return ("," if "," in lines[0] else " "), False


def _split(text: str, separator: str, path: Path, line: int) -> list[str]:
    if separator == " ":
        return text.split()
    try:
        return next(csv.reader([text], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise DocumentError(f"{path}:{line}: is no row of a table ({error})") from error


# --- which column is what ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Roles:
    observed: int
    name: int | None
    processes: dict[str, dict[str, int]]
    """By process: column of ``nominal``, and of ``stat_up`` and so on; ``stat`` and ``syst`` are symmetric."""
    ranges: dict[str, tuple[int, int]]
    cells: dict[str, int]


def _plain(text: str) -> str:
    """A column's name without case, underscores and repeated blanks."""
    return " ".join(re.sub(r"[_\s]+", " ", text.lower()).split())


def _roles(table: _Table, options: Options, path: Path) -> tuple[_Roles, list[str]]:
    columns = _Columns(table, options, path)
    observed = columns.take("observed", _OBSERVED)
    if observed is None:
        raise columns.missing("observed events", "observed")
    name = columns.take("name", _NAME)
    total = columns.take("background", _TOTAL)
    ranges = _range_columns(columns.left)
    processes = _processes(columns, total)
    if not processes:
        raise columns.missing("background", "background")
    left = columns.left
    cells = {table.columns[i]: left.pop(c) for c, i in list(left.items()) if _is_range(table, i)}
    for key, (low, high) in ranges.items():
        columns.note(low, f"lower edge of {key}")
        columns.note(high, f"upper edge of {key}")
    for key, parts in processes.items():
        for part, i in parts.items():
            columns.note(i, f"{key}, {part.replace('_', ' ')}")
    for key, i in cells.items():
        columns.note(i, f"range of {key}")
    for i in left.values():
        columns.note(i, "not used")
    return _Roles(observed, name, processes, ranges, cells), columns.notes


class _Columns:
    """The columns that have no meaning yet, and notes on those that have."""

    def __init__(self, table: _Table, options: Options, path: Path) -> None:
        given = options.mapping.get("columns", {})
        if not isinstance(given, dict):
            raise InputError('mapping: columns must be an object, such as {"columns": {"observed": "N"}}')
        self.table, self.path, self.given = table, path, given
        self.plain = _told_apart([_plain(c) for c in table.columns], table, path)
        for key, column in given.items():
            if key != "ignore" and _plain(str(column)) not in self.plain:
                raise InputError(
                    f"mapping: {key} is column {column!r}; {path} has {', '.join(map(repr, table.columns))}"
                )
        ignored = {_plain(str(c)) for c in given.get("ignore", [])}
        self.left = {c: i for i, c in enumerate(self.plain) if c not in ignored}
        self.notes = [
            f"column {table.columns[i]!r}: ignored, as the mapping says"
            for i, c in enumerate(self.plain)
            if c in ignored
        ]

    def note(self, column: int, meaning: str) -> None:
        self.notes.append(f"column {self.table.columns[column]!r}: {meaning}")

    def take(self, key: str, known: set[str]) -> int | None:
        wanted = {_plain(str(self.given[key]))} if key in self.given else known
        found = [c for c in self.left if c in wanted]
        if len(found) > 1:
            raise DocumentError(
                f"{self.path}: columns {' and '.join(repr(self.table.columns[self.left[c]]) for c in found)} both look "
                f'like {key}; say which one with a mapping, {{"columns": {{"{key}": ...}}}}'
            )
        if not found:
            return None
        column = self.left.pop(found[0])
        if key != "background":
            self.note(column, {"observed": "observed events", "name": "name of the bin"}[key])
        return column

    def missing(self, what: str, name: str) -> DocumentError:
        return DocumentError(
            f"{self.path}: no column of {what} among {', '.join(map(repr, self.table.columns))}; name it {name}, or say "
            f'which one it is with a mapping, {{"columns": {{"{name}": ...}}}}'
        )


def _told_apart(plain: list[str], table: _Table, path: Path) -> list[str]:
    """Two columns of one name side by side are lower and upper edge, as some public tables write them."""
    names = list(plain)
    for i, column in enumerate(plain):
        places = [k for k, other in enumerate(plain) if other == column]
        if len(places) == 2 and places[1] == places[0] + 1:
            names[i] = f"{column} {'low' if i == places[0] else 'high'}"
        elif len(places) > 1:
            raise DocumentError(
                f"{path}: column {table.columns[i]!r} comes {len(places)} times; rename all but one"
            )
    return names


def _processes(columns: _Columns, total: int | None) -> dict[str, dict[str, int]]:
    """The total with its uncertainties, or every column of numbers that has an uncertainty of its own."""
    left, table = columns.left, columns.table
    if total is not None:
        return {
            "background": {"nominal": total}
            | _errors(left, {columns.plain[total], "background", "bkg", "bg", "b", ""})
        }
    found: dict[str, dict[str, int]] = {}
    for column in [c for c in left if _numeric(table, left[c])]:
        if column in left and _errors(dict(left), {column}):
            found[table.columns[left[column]]] = {"nominal": left.pop(column)} | _errors(left, {column})
    return found


def _errors(left: dict[str, int], stems: set[str]) -> dict[str, int]:
    """Columns of a background's uncertainties; taken out of what is left."""
    found: dict[str, int] = {}
    for column in list(left):
        for stem in sorted(stems, key=len, reverse=True):
            part = _error_part(column, stem)
            if part is not None and part not in found:
                found[part] = left.pop(column)
                break
    return found


def _error_part(column: str, stem: str) -> str | None:
    """Such as ``stat_up`` for ``bkg err stat+`` with stem ``bkg``, ``syst`` for ``bkg err``; None if it is no uncertainty."""
    words = re.findall(r"[a-z]+|\+-|[-+±]", column.removeprefix(stem)) if column.startswith(stem) else []
    if not words or not all(w in _ERROR or w in _SIDES or w in _KINDS for w in words):
        return None
    kinds = {_KINDS[w] for w in words if w in _KINDS}
    sides = {_SIDES[w] for w in words if w in _SIDES}
    if len(kinds) > 1 or len(sides) > 1:
        return None
    return (kinds or {"syst"}).pop() + (sides or {""}).pop()


def _range_columns(left: dict[str, int]) -> dict[str, tuple[int, int]]:
    ranges: dict[str, tuple[int, int]] = {}
    for column in list(left):
        for low, high in zip(_LOW, _HIGH, strict=True):
            stem = column.removesuffix(f" {low}")
            other = f"{stem} {high}"
            if stem != column and stem and stem not in _TOTAL and other in left and column in left:
                ranges[stem] = (left.pop(column), left.pop(other))
    return ranges


def _numeric(table: _Table, column: int) -> bool:
    try:
        for row in table.rows:
            parse_number(row[column].replace(",", ".") if table.decimal_comma else row[column])
    except InputError:
        return False
    return True


# --- cells to numbers -------------------------------------------------------------------------------------


def _counts(table: _Table, column: int, faults: Faults) -> FloatArray:
    values = np.array([table.number(i, column, faults) for i in range(len(table.rows))])
    for i, value in enumerate(values):
        if value < 0 or (math.isfinite(value) and abs(value - round(value)) > 1e-6):
            faults.add(
                f"{table.columns[column]} is {table.rows[i][column]}; observed events are whole numbers >= 0"
                + (", and -1 or the like marks a missing bin: leave such rows out" if value < 0 else ""),
                table.lines[i],
            )
    return np.round(values)


def _process(table: _Table, name: str, parts: dict[str, int], faults: Faults) -> Process:
    def column(key: str, *, low: float = 0.0) -> FloatArray:
        return np.array([table.number(i, parts[key], faults, low=low) for i in range(len(table.rows))])

    nominal = column("nominal")
    sides: list[FloatArray] = []
    for kind in ("stat", "syst"):
        if kind in parts:
            value = column(kind)
            sides += [value, value]
            continue
        up = column(f"{kind}_up") if f"{kind}_up" in parts else None
        # A downward error may be written with its sign.
        down = np.abs(column(f"{kind}_down", low=-math.inf)) if f"{kind}_down" in parts else None
        if (up is None) != (down is None):
            there, missing = ("up", "down") if down is None else ("down", "up")
            faults.add(
                f"{name} has a column {kind} {there} and none for {kind} {missing}; give both, or one symmetric"
            )
        none = np.zeros(len(table.rows))
        sides += [none if up is None else up, none if down is None else down]
    # Faults are reported together later; until then NaN marks them, which `Estimate` would refuse first.
    clean = [np.nan_to_num(np.maximum(a, 0.0)) for a in (nominal, *sides)]
    label = "Background" if name == "background" else name
    return Process(name, label, Estimate(*clean))


_RANGE = re.compile(
    r"\s*(?:(?P<low>[\d.]+)\s*(?:-|–|to|,|\.\.)\s*(?P<high>[\d.]+|inf\.?|∞|infinity)|(?:>=|≥|>)\s*(?P<from>[\d.]+)"
    r"|(?P<above>[\d.]+)\s*\+|(?P<one>\d+))\s*",
    re.IGNORECASE,
)


def _is_range(table: _Table, column: int) -> bool:
    """Whether all cells are ranges, and not just plain numbers with a fraction, which would be yields."""
    return all(_RANGE.fullmatch(row[column]) for row in table.rows)


def _ranges(
    table: _Table, roles: _Roles, faults: Faults
) -> tuple[tuple[Observable, ...], FloatArray, FloatArray]:
    n_bins = len(table.rows)
    observables: list[Observable] = []
    edges: list[tuple[list[float], list[float]]] = []
    for name, (low, high) in roles.ranges.items():
        observables.append(observable(name))
        edges.append(
            (
                [_edge(table, i, low, faults) for i in range(n_bins)],
                [_edge(table, i, high, faults) for i in range(n_bins)],
            )
        )
    for name, column in roles.cells.items():
        observables.append(observable(name))
        edges.append(_parsed(table, column))
    shape = (n_bins, len(edges))
    lows = np.array([e[0] for e in edges]).reshape(len(edges), n_bins).T.reshape(shape)
    highs = np.array([e[1] for e in edges]).reshape(len(edges), n_bins).T.reshape(shape)
    return tuple(observables), lows, highs


def _edge(table: _Table, row: int, column: int, faults: Faults) -> float:
    text = table.rows[row][column].strip().lower().rstrip(".")
    return math.inf if text in ("inf", "+inf", "infinity", "∞") else table.number(row, column, faults)


def _parsed(table: _Table, column: int) -> tuple[list[float], list[float]]:
    low: list[float] = []
    high: list[float] = []
    for row in table.rows:
        match = _RANGE.fullmatch(row[column])
        assert match is not None
        start = match["low"] or match["from"] or match["above"] or match["one"]
        stop = match["high"] or match["one"] or "inf"
        low.append(float(start))
        high.append(math.inf if stop[0] in "i∞I" else float(stop))
    return low, high


def _names(table: _Table, roles: _Roles, faults: Faults) -> tuple[str, ...]:
    """Names of the bins; none where they are the numbers 1 to n in order."""
    if roles.name is None:
        return ()
    names = [row[roles.name] for row in table.rows]
    if names == [str(i + 1) for i in range(len(names))]:
        return ()
    for i, name in enumerate(names):
        if not name or not name.isprintable():
            faults.add(f"the bin's name is {name!r}; a name is printable text", table.lines[i])
    return tuple(names)
