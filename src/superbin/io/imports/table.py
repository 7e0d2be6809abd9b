"""One table with a row per bin: CSV, tab- or blank-separated text, as people and other tools keep it.

Columns are recognised by their names, in any order and any case:

===============================  ==================================================================
column                           names
===============================  ==================================================================
name of the bin                  bin, region, name, sr, signal region, id (numbers are numbers)
observed events                  observed, obs, data, n_obs, nobs, observed yields
background                       background, bkg, b, expected, total background, n_b, nb_exp, sm
its uncertainty                  the background's name with error, err, unc, sigma, +-;  up, +, high;  down, -, low;
                                 stat, syst and total before these;  (%) or relative for parts of the background
ranges of an observable          NAME low, NAME high (or min, max); a column NAME with cells as 200-300, >= 4, 300+, 2
===============================  ==================================================================

Other columns of numbers with an uncertainty column of their own are further backgrounds; then there is no total. A total
uncertainty beside its parts is not counted twice. A column that looks like an uncertainty, or a background, and has no clear
meaning is refused. Columns
named as a signal (``signal``, ``T1bbbb(1500, 100)``) are signals of the search, in events; ``NAME error`` is their Monte Carlo
error, ``NAME SOURCE up`` and ``NAME SOURCE down`` are the yields with a systematic source varied. What is left over is named
and ignored, or given a meaning by a mapping: ``{"columns": {"observed": "N", "ignore": ["S95"]}}``.
"""

import codecs
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.json import parse_json
from superbin._support.shown import counted, listed
from superbin.domain.search import Estimate, Observable, Process
from superbin.errors import DocumentError, InputError
from superbin.io._text import parse_number
from superbin.io.imports.base import Faults, Imported, Options, Source
from superbin.io.imports.cells import (
    is_ruler,
    looks_like_uncertainty,
    plain_number,
    separator_of,
    split_row,
    uncertainty,
    unit_of,
    with_errors,
    wrong_length,
)
from superbin.io.imports.draft import Draft, DraftSignal
from superbin.io.imports.matrices import ALONE, Matrix, as_matrix, is_matrix_name, read_matrix
from superbin.io.imports.ranges import infinite, lowest, observable, parse_range, without_brackets

__all__ = ["IMPORTER", "TableImporter", "quantity", "table_draft"]

_NAME = {"bin", "region", "name", "sr", "signal region", "id", "bin name", "region name"}
_OBSERVED = {
    "observed",
    "obs",
    "data",
    "n obs",
    "nobs",
    "observed yields",
    "observed events",
    "observed data",
    "events observed",
}
_TOTAL = {
    "background", "bkg", "b", "expected", "total background", "total bkg", "n b", "nb exp", "sm", "bg", "total", "total sm",
    "expected background", "sm expectation", "exp", "expectation", "prediction", "predicted", "nbkg", "n bkg", "expectedbg",
}  # fmt: skip
_SIGNAL = re.compile(
    r"signal|gluino|squark|neutralino|chargino|(?<![A-Za-z])(T\d+[a-zA-Z]|T\d+[\s_(-]+\d{2,}|TChi|WIMP|BSM|DM|SUSY|stop|LSP)|m_?\w*\s*=|\(\s*\d[\d.]*\s*[,;]\s*\d[\d.]*\s*\)"
)
_LOW, _HIGH = ("low", "min", "lo", "from"), ("high", "max", "hi", "to")
_SUFFIXES = (".csv", ".tsv", ".txt", ".dat")
_NO_YIELDS = re.compile(
    r"eff|acc|limit|mass|x-?sec|cross|s95|significance|ratio|strength|p-?value|(?<![a-z])mu(?![a-z])"
)
_OF_THE_TOTAL = ("background", "bkg", "bg", "b", "")
"""What names of uncertainties of the total may begin with, whatever its own name is."""
_REMARK = re.compile(r"notes?|comments?|remarks?|index|order|row|line|no|figure|table|page|#")
_KEYS = {"observed", "name", "background", "error", "error_up", "error_down", "ignore", "signals"}


class TableImporter:
    """A table of one row per bin, alone or in a folder with the covariance of its bins."""

    name = "csv"
    title = "one table (CSV, tabs, blanks, JSON) with a row per bin, or a folder with it and a covariance"

    def recognises(self, source: Source) -> bool:
        """A text file whose first line names a column of observed events, or a folder with exactly one."""
        if source.is_folder:
            return bool(_tables(source))
        return source.suffix in (".csv", ".tsv") or _is_table(source)

    def read(self, source: Source, options: Options) -> Imported:
        """Read the table; see the module for what its columns may be called."""
        try:
            draft = table_draft(source, options)
        except DocumentError as error:
            if source.head(3) != b"#: ":
                raise
            raise DocumentError(
                f"{error}; this is hepdata.net's CSV, import the YAML or JSON of the table, which say more"
            ) from error
        return draft.imported(self.name, options, source, keys=("columns", "decimal", "lowest"))


IMPORTER = TableImporter()


def table_draft(source: Source, options: Options) -> Draft:
    """What a table says, for other importers whose format is a table with something beside it.

    Raises
    ------
    InputError
        If a folder holds several tables, or the mapping names no column.
    DocumentError
        With all faults of the table.
    """
    path = _only_table(source)
    faults = Faults(path, "row" if Source(path).suffix == ".json" else "line")
    table = _Table.read(Source.at(path), options, faults)
    roles, notes = _roles(table, options, path)
    if not table.rows and not faults.found:
        faults.add("the table has no rows; a search has at least one bin")
        faults.check()
    commas = ", with decimal commas" if table.decimal_comma else ""
    how = "in JSON" if table.separator == "JSON" else f"cells separated by {table.separator}{commas}"
    notes.insert(0, f"a table of {counted(len(table.rows), 'row')}, {how}")
    observed = _counts(table, roles.observed, faults)
    processes = tuple(_process(table, name, parts, faults, notes) for name, parts in roles.processes.items())
    observables, low, high = _ranges(table, roles, faults)
    low = _begun(observables, low, options.mapping.get("lowest"), faults, notes)
    names = _names(table, roles, faults)
    signals = [_signal(table, name, parts, faults) for name, parts in roles.signals.items()]
    faults.check()
    matrix = _matrix_beside(source, path, options, notes)
    if table.matrix is not None and matrix is None:
        notes.append("covariance: in the file itself")
        matrix = table.matrix
    return Draft(
        place=str(path),
        name=path.name.removesuffix(".gz").rsplit(".", 1)[0],
        observed=observed,
        processes=processes,
        names=names,
        notes=notes,
        observables=observables,
        low=low,
        high=high,
        texts=table.texts,
        luminosity_fb=table.luminosity_fb,
        sqrt_s_tev=table.sqrt_s_tev,
        matrix=matrix,
        signals=signals,
    )


# --- files ------------------------------------------------------------------------------------------------


def _is_table(source: Source) -> bool:
    """Whether the first line names observed events; a broken table that is called one is, so that its fault is told."""
    if b"\0" in source.head() and source.head(2) not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return False
    if source.suffix == ".json":
        return _is_json_table(source)
    try:
        table = _Table.read(source, Options(), Faults(source.path))
    except InputError:
        return source.suffix in (".csv", ".tsv")
    return any(_plain(c) in _OBSERVED or _bare(_plain(c)) in _OBSERVED for c in table.columns)


def _is_json_table(source: Source) -> bool:
    try:
        content = parse_json(source.text(), source.path)
    except InputError:
        return False
    if isinstance(content, list):
        content = content[0] if content else {}
    return isinstance(content, dict) and any(_bare(_plain(key)) in _OBSERVED for key in content)


def _tables(source: Source) -> list[Path]:
    return [
        path
        for path in source.files()
        if Source(path).suffix in _SUFFIXES and not is_matrix_name(path.name) and _is_table(Source(path))
    ]


def _only_table(source: Source) -> Path:
    if not source.is_folder:
        if is_matrix_name(source.path.name) and not _is_table(source):
            raise InputError(f"{source.path}: by its name {ALONE}")
        return source.path
    found = _tables(source)
    if len(found) != 1:
        raise InputError(
            f"{source.path}: {counted(len(found), 'table')} with observed events ({listed([p.name for p in found]) or 'none'}); name one "
            "of them instead of the folder"
        )
    return found[0]


def _matrix_beside(source: Source, path: Path, options: Options, notes: list[str]) -> Matrix | None:
    """The matrix of a folder; beside a single file one is only pointed out, since the file was what was named."""
    if {"covariance", "correlations"} & options.mapping.keys():
        return None
    beside = [p for p in Source(path.parent).files() if p != path and is_matrix_name(p.name)]
    if not source.is_folder:
        notes += [
            f'{p.name}: not used; it may hold the covariance, take it with a mapping, {{"covariance": "{p.name}"}}'
            for p in beside
        ]
        return None
    others = [p for p in source.files() if p != path and p not in beside]
    notes += [f"{p.name}: not used" for p in others]
    if len(beside) > 1:
        raise InputError(
            f"{source.path}: {counted(len(beside), 'file')} look like a covariance ({', '.join(p.name for p in beside)}); say which with a "
            f'mapping, {{"covariance": "{beside[0].name}"}}'
        )
    return read_matrix(beside[0]) if beside else None


# --- the text ---------------------------------------------------------------------------------------------

_MATRICES = ("covariance", "correlations")
_TEXTS = ("title", "reference", "source", "licence", "citation")
_NUMBERS = {
    **dict.fromkeys(("luminosity_fb", "luminosity", "lumi"), "luminosity_fb"),
    **dict.fromkeys(("sqrt_s_tev", "sqrt_s", "sqrts", "energy", "ecm"), "sqrt_s_tev"),
}
_UNITS = {
    "luminosity_fb": {"": 1.0, "/fb": 1.0, "fb-1": 1.0, "fb^-1": 1.0, "1/fb": 1.0, "/pb": 1e-3, "pb-1": 1e-3, "pb^-1": 1e-3},
    "sqrt_s_tev": {"": 1.0, "tev": 1.0, "*tev": 1.0, "gev": 1e-3, "*gev": 1e-3},
}  # fmt: skip


def quantity(key: str, text: str) -> float:
    """A luminosity (``key`` luminosity_fb) or energy (sqrt_s_tev) with or without its unit: ``137/fb``, ``139.``, ``8 TeV``.

    Raises
    ------
    InputError
        If it is none, or not positive.
    """
    match = re.fullmatch(r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(.*)", text.strip())
    unit = (
        re.sub(r"[\s{}$]", "", match.group(2).lower()).replace("**", "^").replace("−", "-") if match else ""
    )
    if match is None or unit not in _UNITS[key]:
        raise InputError(
            f"{key} is {text!r}; write such as {'137/fb' if key == 'luminosity_fb' else '13 TeV'}"
        )
    value = parse_number(match.group(1)) * _UNITS[key][unit]
    if value <= 0:
        raise InputError(f"{key} is {text!r}; it must be > 0")
    return value


@dataclass(frozen=True, slots=True)
class _Table:
    """Cells as text, with the line of every row, and what ``# key: value`` comments say."""

    path: Path
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str
    decimal_comma: bool
    texts: dict[str, str]
    luminosity_fb: float | None
    sqrt_s_tev: float | None
    matrix: Matrix | None = None

    @classmethod
    def of_json(cls, source: Source, faults: Faults) -> "_Table":
        """A list of objects, or an object of columns beside numbers, texts and a covariance."""
        path = source.path
        content = parse_json(source.text(), path)
        if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
            columns = list(dict.fromkeys(key for row in content for key in row))
            content = {key: [row.get(key, "") for row in content] for key in columns}
        if not isinstance(content, dict):
            raise DocumentError(f"{path}: a table in JSON is a list of objects, or an object of columns")
        matrix = None
        for key in ("covariance", "correlations"):
            if key in content:
                matrix = as_matrix(content[key], f"{path}: {key}", correlations=key == "correlations")
        cells = {
            key: value for key, value in content.items() if isinstance(value, list) and key not in _MATRICES
        }
        if len({len(value) for value in cells.values()}) != 1:
            shown = ", ".join(f"{key!r} {len(value)}" for key, value in list(cells.items())[:10])
            raise DocumentError(f"{path}: the columns have different numbers of values: {shown or 'none'}")
        bad = [key for key, value in cells.items() if any(isinstance(v, list | dict | bool) for v in value)]
        if bad:
            raise DocumentError(f"{path}: column {bad[0]!r} holds values that are neither numbers nor texts")
        plain = [
            (0, f"{key}: {value}") for key, value in content.items() if isinstance(value, str | int | float)
        ]
        said = _said(plain, faults)
        rows = [["" if v is None else str(v) for v in row] for row in zip(*cells.values(), strict=True)]
        columns, rows = with_errors(list(cells), rows, names_of_bins=_NAME)
        return cls(
            path=path,
            columns=columns,
            rows=rows,
            lines=list(range(1, len(rows) + 1)),
            separator="JSON",
            decimal_comma=False,
            texts={key: said[key] for key in _TEXTS if key in said},
            luminosity_fb=float(said["luminosity_fb"]) if "luminosity_fb" in said else None,
            sqrt_s_tev=float(said["sqrt_s_tev"]) if "sqrt_s_tev" in said else None,
            matrix=matrix,
        )

    @classmethod
    def read(cls, source: Source, options: Options, faults: Faults) -> "_Table":
        """Split the text; rows of a wrong length are noted as faults and left out."""
        path = source.path
        if source.suffix == ".json":
            return cls.of_json(source, faults)
        comments: list[tuple[int, str]] = []
        content: list[tuple[int, str]] = []
        for line, text in enumerate(source.text().split("\n"), start=1):
            if text.lstrip().startswith(("#", "%")):
                comments.append((line, text.lstrip()[1:].lstrip("#% ").strip()))
            elif text.strip() and not is_ruler(text):
                content.append((line, text))
        if content and comments and _is_data(content[0][1]):
            # Some tables comment the line of names out.
            content.insert(0, next(c for c in reversed(comments) if c[0] < content[0][0] or c is comments[0]))
        if not content:
            raise DocumentError(f"{path}: the table is empty; its first line names the columns")
        separator, decimal_comma = separator_of(
            [text for _, text in content], options.mapping.get("decimal"), path
        )
        columns = [c.strip() for c in split_row(content[0][1], separator)]
        rows: list[list[str]] = []
        lines: list[int] = []
        for line, text in content[1:]:
            try:
                row = split_row(text, separator)
            except InputError as error:
                faults.add(str(error), line)
                continue
            if len(row) != len(columns):
                faults.add(wrong_length(row, columns, separator), line)
                continue
            rows.append([c.strip() for c in row])
            lines.append(line)
        columns, rows = with_errors(columns, rows, names_of_bins=_NAME)
        said = _said(comments, faults)
        return cls(
            path=path,
            columns=columns,
            rows=rows,
            lines=lines,
            separator={",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks", "|": "bars"}[separator],
            decimal_comma=decimal_comma,
            texts={key: said[key] for key in _TEXTS if key in said},
            luminosity_fb=float(said["luminosity_fb"]) if "luminosity_fb" in said else None,
            sqrt_s_tev=float(said["sqrt_s_tev"]) if "sqrt_s_tev" in said else None,
        )

    def text(self, row: int, column: int) -> str:
        """A cell with a decimal point, and with the minus sign of a keyboard."""
        return plain_number(self.rows[row][column], decimal_comma=self.decimal_comma)

    def number(
        self,
        row: int,
        column: int,
        faults: Faults,
        *,
        low: float = -math.inf,
        of: FloatArray | None = None,
    ) -> float:
        """A cell as a number; NaN where it is none, which is noted as a fault.

        Beside what it is a part `of`, ``20%`` and numbers of a column whose name says per cent or relative are parts.
        """
        value = math.nan
        text = self.text(row, column)
        try:
            if of is not None and text.endswith("%"):
                value = parse_number(text.rstrip("%").strip()) / 100 * float(of[row])
            elif of is not None and (unit := unit_of(self.columns[column])) is not None:
                value = parse_number(text)
                if unit == 1.0 and value > 1:
                    faults.add(
                        f"{self.columns[column]} is {text}; a relative uncertainty above 1 may be one in per cent: write it in "
                        "events, or (%) into the column's name",
                        self.lines[row],
                    )
                value *= unit * float(of[row])
            else:
                value = parse_number(text)
        except InputError as error:
            faults.add(f"{self.columns[column]} {error}", self.lines[row])
        if value < low:
            faults.add(
                f"{self.columns[column]} is {self.rows[row][column]}; it must be >= {low:g}", self.lines[row]
            )
        return value


def _is_data(text: str) -> bool:
    """Whether a line holds numbers and no names of columns: all cells but the first are numbers."""
    cells = [cell for cell in re.split(r"[;,\t ]+", text.strip()) if cell]
    return len(cells) > 1 and all(re.fullmatch(r"[-+.\deE]+", cell) for cell in cells[1:])


_BARE_QUANTITY = re.compile(r"(lumi\w*)\s+(\d[\d.]*\s*/?\s*(?:fb|pb)\S*)", re.IGNORECASE)
"""``lumi 137/fb``, without a colon."""


def _said(comments: Sequence[tuple[int, str]], faults: Faults) -> dict[str, str]:
    said: dict[str, str] = {}
    prose: list[str] = []
    for line, text in comments:
        match = re.fullmatch(r"(\w+)\s*[:=]\s*(.+)", text) or _BARE_QUANTITY.fullmatch(text)
        if match is None:
            prose.append(text)
            continue
        key, value = match.group(1).lower(), match.group(2).strip()
        if key in _TEXTS:
            said[key] = value
        elif key in _NUMBERS:
            try:
                said[_NUMBERS[key]] = repr(quantity(_NUMBERS[key], value))
            except InputError as error:
                faults.add(str(error), line)
    return {**_said_in_prose(" ".join(prose)), **said}


_IN_PROSE = {
    "luminosity_fb": re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*(?:/\s*fb\b|fb\^?\{?[-−]1\}?)"),
    "sqrt_s_tev": re.compile(r"(?<![\w.])(7|8|13|13\.6|14)\s*TeV\b"),
}
"""A luminosity, and the energies at which the LHC ran; other energies may be masses."""


def _said_in_prose(text: str) -> dict[str, str]:
    """Luminosity and energy where comments name exactly one."""
    found = {key: {float(value) for value in form.findall(text)} for key, form in _IN_PROSE.items()}
    return {key: repr(values.pop()) for key, values in found.items() if len(values) == 1}


# --- which column is what ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Roles:
    observed: int
    name: int | None
    processes: dict[str, dict[str, int]]
    """By process: column of ``nominal``, and of ``stat_up`` and so on; ``stat`` and ``syst`` are symmetric."""
    ranges: dict[str, tuple[int, int]]
    cells: dict[str, int]
    signals: dict[str, dict[str, int]]
    """By signal: column of ``nominal``, ``error``, and of ``SOURCE up`` and ``SOURCE down``."""


def _plain(text: str) -> str:
    """A column's name without case, underscores and repeated blanks."""
    return " ".join(re.sub(r"[_\s]+", " ", text.lower()).split())


def _bare(plain: str) -> str:
    """A column's name without a unit or remark in brackets at its end, and without points."""
    return without_brackets(plain)[0].replace(".", "").strip()


def _roles(table: _Table, options: Options, path: Path) -> tuple[_Roles, list[str]]:
    columns = _Columns(table, options, path)
    observed = columns.take("observed", _OBSERVED)
    if observed is None:
        raise columns.missing("observed events", "observed")
    name = columns.take("name", _NAME)
    signals = _signals(columns)
    given = columns.given.get("background")
    if isinstance(given, dict):
        processes = {str(key): columns.parts(str(column)) for key, column in given.items()}
        ranges = _range_columns(columns.left)
    else:
        total = columns.take("background", _TOTAL)
        ranges = _range_columns(columns.left)
        processes = _processes(columns, total)
    _given_errors(columns, processes)
    if not processes:
        raise columns.missing("background", "background")
    left = columns.left
    cells = {table.columns[i]: left.pop(c) for c, i in list(left.items()) if _is_range(table, i)}
    _refuse_merged_cells(columns)
    _refuse_forgotten(columns, processes, total=len(processes) == 1 and "background" in processes)
    for key, (low, high) in ranges.items():
        columns.note(low, f"lower edge of {key}")
        columns.note(high, f"upper edge of {key}")
    for key, parts in processes.items():
        for part, i in parts.items():
            columns.note(i, f"{key}, {part.replace('_', ' ')}")
    for key, i in cells.items():
        columns.note(i, f"range of {key}")
    for i in left.values():
        columns.note(i, "not used; looks like a signal" if _SIGNAL.search(table.columns[i]) else "not used")
    return _Roles(observed, name, processes, ranges, cells, signals), columns.notes


class _Columns:
    """The columns that have no meaning yet, and notes on those that have."""

    def __init__(self, table: _Table, options: Options, path: Path) -> None:
        given = options.mapping.get("columns", {})
        if not isinstance(given, dict):
            raise InputError('mapping: columns must be an object, such as {"columns": {"observed": "N"}}')
        self.table, self.path, self.given = table, path, given
        self.plain = _told_apart([_plain(c) for c in table.columns], table, path)
        unknown = sorted(set(given) - _KEYS)
        if unknown:
            raise InputError(
                f"mapping: nothing reads columns.{unknown[0]}; it may have {', '.join(sorted(_KEYS))}"
            )
        for key, column in given.items():
            for one in _each(column):
                if _plain(one) not in self.plain:
                    raise InputError(
                        f"mapping: {key} is column {one!r}; {path} has {', '.join(map(repr, table.columns))}"
                    )
        ignored = {_plain(str(c)) for c in given.get("ignore", [])}
        self.left = {c: i for i, c in enumerate(self.plain) if c not in ignored}
        self.notes = [
            f"column {table.columns[i]!r}: ignored, as the mapping says"
            for i, c in enumerate(self.plain)
            if c in ignored
        ]

    def parts(self, column: str) -> dict[str, int]:
        """A background of its own with the uncertainties that its name leads to."""
        plain = _plain(column)
        if plain not in self.left:
            raise InputError(f"mapping: column {column!r} has two meanings; give it one")
        return {"nominal": self.left.pop(plain)} | _errors(self.left, {plain})

    def note(self, column: int, meaning: str) -> None:
        self.notes.append(f"column {self.table.columns[column]!r}: {meaning}")

    def take(self, key: str, known: set[str]) -> int | None:
        wanted = {_plain(str(self.given[key]))} if key in self.given else known
        found = [c for c in self.left if c in wanted]
        if not found and key not in self.given:
            found = [c for c in self.left if _bare(c) in wanted]
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


def _each(given: object) -> list[str]:
    """Columns that a value of the mapping names."""
    values = (
        given.values() if isinstance(given, dict) else given if isinstance(given, list | tuple) else [given]
    )
    return [str(value) for value in values]


def _given_errors(columns: _Columns, processes: dict[str, dict[str, int]]) -> None:
    """Columns of uncertainties that the mapping names: of the background, or of each process."""
    given_parts: dict[str, dict[str, int]] = {}
    for key, part in (("error", "syst"), ("error_up", "syst_up"), ("error_down", "syst_down")):
        if key not in columns.given:
            continue
        given = columns.given[key]
        by_process = given if isinstance(given, dict) else dict.fromkeys(list(processes)[:1], given)
        for process, column in by_process.items():
            own = {columns.plain[i]: i for i in processes.get(process, {}).values()}
            if process not in processes or _plain(str(column)) not in columns.left | own:
                raise InputError(
                    f"mapping: {key} gives column {column!r} to {process!r}; there are {', '.join(processes)}, and a column "
                    "has one meaning"
                )
            given_parts.setdefault(process, {})[part] = (columns.left | own)[_plain(str(column))]
    for process, parts in given_parts.items():
        # What the mapping names is the whole uncertainty; columns that were found by their names are left.
        nominal = processes[process]["nominal"]
        columns.left |= {columns.plain[i]: i for i in processes[process].values() if i != nominal}
        processes[process] = {"nominal": nominal} | parts
        for i in parts.values():
            columns.left.pop(columns.plain[i], None)


def _told_apart(plain: list[str], table: _Table, path: Path) -> list[str]:
    """Two columns of one name side by side are lower and upper edge, as some public tables write them."""
    names, where = list(plain), defaultdict(list)
    for i, column in enumerate(plain):
        where[column].append(i)
    for i, column in enumerate(plain):
        places = where[column]
        if len(places) == 2 and places[1] == places[0] + 1:
            names[i] = f"{column} {'low' if i == places[0] else 'high'}"
        elif len(places) > 1:
            cure = (
                "name each, or delete a line of headings above them" if not column else "rename all but one"
            )
            raise DocumentError(f"{path}: column {table.columns[i]!r} comes {len(places)} times; {cure}")
    return names


def _processes(columns: _Columns, total: int | None) -> dict[str, dict[str, int]]:
    """The total with its uncertainties, or every column of numbers that has an uncertainty of its own."""
    left, table = columns.left, columns.table
    if total is not None:
        return {"background": {"nominal": total} | _errors(left, {columns.plain[total], *_OF_THE_TOTAL})}
    found: dict[str, dict[str, int]] = {}
    for column in [c for c in left if _numeric(table, left[c])]:
        if _SIGNAL.search(table.columns[left[column]] if column in left else ""):
            continue
        if column in left and _errors(dict(left), {column}):
            place = left.pop(column)
            found[table.columns[place]] = {"nominal": place} | _errors(left, {column})
    return found


def _errors(left: dict[str, int], stems: set[str]) -> dict[str, int]:
    """Columns of a background's uncertainties; taken out of what is left. Of two with one meaning the second is left."""
    found: dict[str, int] = {}
    for column in list(left):
        for stem in sorted(stems, key=len, reverse=True):
            part = _error_part(column, stem)
            if part is not None and part not in found:
                found[part] = left.pop(column)
                break
    return found


def _refuse_merged_cells(columns: _Columns) -> None:
    """Refuse a column of ranges with empty cells, as merged cells of a spreadsheet become."""
    table = columns.table
    for i in columns.left.values():
        cells = [table.text(row, i) for row in range(len(table.rows))]
        filled = [cell for cell in cells if cell]
        if cells and cells[0] and len(filled) < len(cells) and None not in map(parse_range, filled):
            raise DocumentError(
                f"{columns.path}: line {table.lines[cells.index('')]}: {table.columns[i]} is empty and a range elsewhere; write what "
                "merged cells hold into every row, or leave the column out with a mapping, "
                f'{{"columns": {{"ignore": ["{table.columns[i]}"]}}}}'
            )


def _refuse_forgotten(columns: _Columns, processes: dict[str, dict[str, int]], *, total: bool) -> None:
    """Refuse a table of which a background or an uncertainty would be left out without a word.

    These are a column that looks like an uncertainty where a background has none, and, where no column is the total, a column of
    numbers that may be a background.
    """
    table, left = columns.table, columns.left
    known = [columns.plain[parts["nominal"]] for parts in processes.values()] + [*_OF_THE_TOTAL] * total
    exact = [columns.plain[parts["nominal"]] for parts in processes.values() if len(parts) == 1]
    chosen = bool({"error", "error_up", "error_down"} & columns.given.keys())
    lengths = sorted({len(other) for other in left})
    for column, i in left.items():
        if not _numeric(table, i) or _SIGNAL.search(table.columns[i]) or _NO_YIELDS.search(column):
            continue
        # Only names that it begins with: a table may have a hundred thousand columns.
        stems = [column[:n] for n in lengths if n < len(column) and column[:n] in left]
        if any(_error_part(column, stem) is not None for stem in stems) or re.match(r"obs|data", column):
            continue
        twice = not chosen and any(_error_part(column, stem) is not None for stem in known)
        if (exact or twice) and looks_like_uncertainty(column):
            why = "another column is that uncertainty, too" if twice else f"{exact[0]} has no other"
            raise DocumentError(
                f"{columns.path}: column {table.columns[i]!r} looks like an uncertainty of the background, but is not understood, and "
                f"{why}; where it is one standard deviation in events say so with a mapping, "
                f'{{"columns": {{"error": "{table.columns[i]}"}}}}, else convert it, or leave it out, {{"columns": {{"ignore": '
                f'["{table.columns[i]}"]}}}}'
            )
        if total or "background" in columns.given or _REMARK.fullmatch(column):
            continue
        if not looks_like_uncertainty(column):
            raise DocumentError(
                f"{columns.path}: column {table.columns[i]!r} has no uncertainty, so it is not clear whether it is a background beside "
                f'{listed(list(processes))}; say it with a mapping, {{"columns": {{"background": ...}}}}, or leave it out, '
                f'{{"columns": {{"ignore": ["{table.columns[i]}"]}}}}'
            )


def _error_part(column: str, stem: str) -> str | None:
    """Such as ``stat_up`` for ``bkg err stat+`` with stem ``bkg``, ``error`` for ``bkg err``; None if it is no uncertainty."""
    return uncertainty(column.removeprefix(stem)) if column.startswith(stem) else None


def _signals(columns: _Columns) -> dict[str, dict[str, int]]:
    """Columns of signals with their uncertainties: those that the mapping names, or that are named as one."""
    left, table = columns.left, columns.table
    given = columns.given.get("signals")
    if given is None:
        meant = {
            _plain(one) for key, column in columns.given.items() if key != "ignore" for one in _each(column)
        }
        found = {
            table.columns[i]: c
            for c, i in left.items()
            if c not in meant
            and _SIGNAL.search(table.columns[i])
            and not _NO_YIELDS.search(c)
            and _numeric(table, i)
        }
    elif isinstance(given, dict):
        found = {str(name): _plain(str(column)) for name, column in given.items()}
    else:
        found = {column: _plain(column) for column in _each(given)}
    signals: dict[str, dict[str, int]] = {}
    # A shorter name comes first, so that the columns of its uncertainties are no signals of their own.
    for name, plain in sorted(found.items(), key=lambda item: len(item[1])):
        if plain in left:
            signals[name] = {"nominal": left.pop(plain)} | _signal_parts(left, plain)
        elif given is not None:
            raise InputError(f"mapping: column {name!r} has two meanings; give it one")
    for name, parts in signals.items():
        for part, i in parts.items():
            columns.note(i, f"signal {name}, {_SIGNAL_PARTS.get(part, part)}")
    return signals


_SIGNAL_PARTS = {"nominal": "expected events", "error": "Monte Carlo error"}


def _signal_parts(left: dict[str, int], stem: str) -> dict[str, int]:
    """Columns of a signal's errors and variations; taken out of what is left."""
    found: dict[str, int] = {}
    for column in [c for c in left if c.startswith(stem)]:
        part = _error_part(column, stem)
        if part in ("stat", "error"):
            found["error"] = left.pop(column)
        elif part is not None:
            # Distances from the yields, and not yields.
            found[f"+- {part.replace('_', ' ')}"] = left.pop(column)
        elif re.fullmatch(rf"{re.escape(stem)} .*\S (up|down)", column):
            found[column.removeprefix(stem).strip()] = left.pop(column)
    return found


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


_Pair = tuple[FloatArray, FloatArray]


def _process(table: _Table, name: str, parts: dict[str, int], faults: Faults, notes: list[str]) -> Process:
    """One background."""
    nominal = np.array([table.number(i, parts["nominal"], faults, low=0.0) for i in range(len(table.rows))])
    found = {
        kind: _sides(table, name, kind, parts, nominal, faults) for kind in ("stat", "syst", "error", "total")
    }
    if len(parts) == 1:
        notes.append(f"{name}: no column says its uncertainty; it is taken to be known exactly")
    none = np.zeros(len(table.rows))
    stat, syst = _stat_and_syst(name, found, faults, notes)
    sides = [*(stat or (none, none)), *(syst or (none, none))]
    certain = (nominal > 0) & ~np.any(sides, axis=0)
    if len(parts) > 1 and certain.any() and not certain.all():
        notes.append(
            f"{name}: {counted(int(certain.sum()), 'row')} without an uncertainty; the yield is taken to be known exactly there"
        )
    _note_yields(name, nominal, sides, notes)
    # Faults are reported together later; until then NaN marks them, which `Estimate` would refuse first.
    clean = [np.nan_to_num(np.maximum(a, 0.0)) for a in (nominal, *sides)]
    label = "Background" if name == "background" else name
    return Process(name, label, Estimate(*clean))


def _sides(
    table: _Table, name: str, kind: str, parts: dict[str, int], nominal: FloatArray, faults: Faults
) -> _Pair | None:
    """Upward and downward uncertainty of one kind, if there is one."""

    def column(key: str, low: float) -> FloatArray:
        return np.array(
            [table.number(i, parts[key], faults, low=low, of=nominal) for i in range(len(table.rows))]
        )

    if kind in parts:
        value = column(kind, 0.0)
        return value, value
    up = column(f"{kind}_up", 0.0) if f"{kind}_up" in parts else None
    # A downward error may be written with its sign.
    down = np.abs(column(f"{kind}_down", -math.inf)) if f"{kind}_down" in parts else None
    if up is not None and down is not None:
        return up, down
    if up is not None or down is not None:
        there, missing = ("up", "down") if down is None else ("down", "up")
        faults.add(
            f"{name} has a column {kind} {there} and none for {kind} {missing}; give both, or one symmetric"
        )
    return None


def _stat_and_syst(
    name: str, found: dict[str, _Pair | None], faults: Faults, notes: list[str]
) -> tuple[_Pair | None, _Pair | None]:
    """The uncertainty without counting twice what a total and its parts both say."""
    stat, syst, error, total = found["stat"], found["syst"], found["error"], found["total"]
    whole = error if total is None else total
    if whole is None:
        return stat, syst
    if stat is None and syst is None:
        return None, whole
    if stat is not None and syst is not None and _is_sum(whole, stat, syst):
        notes.append(f"{name}: its total uncertainty is stat and syst in quadrature, which are taken")
        return stat, syst
    if total is None:
        faults.add(
            f"{name} has an uncertainty beside stat or syst and it is not clear whether it holds them; name it total or syst, or "
            'leave it out with a mapping, {"columns": {"ignore": [...]}}'
        )
    notes.append(f"{name}: its total uncertainty is taken, not that of its parts")
    return None, whole


def _is_sum(
    whole: _Pair,
    stat: _Pair,
    syst: _Pair,
) -> bool:
    """Whether a total uncertainty is two others in quadrature, as far as rounded numbers tell."""
    return all(
        bool(np.allclose(total, np.hypot(one, other), rtol=0.05, atol=0.02))
        for total, one, other in zip(whole, stat, syst, strict=True)
    )


def _note_yields(name: str, nominal: FloatArray, sides: Sequence[FloatArray], notes: list[str]) -> None:
    """Point out errors that look like the yields of variations: above and below the nominal in every row."""
    stat_up, _, syst_up, syst_down = sides
    if stat_up.any() or len(nominal) < 2:
        return
    if (syst_up > nominal).all() and (nominal > syst_down).all() and (syst_down > nominal / 2).all():
        notes.append(
            f"{name}: up is above it and down a little below it in every row; they are taken as distances from it, so subtract where "
            "they are varied yields"
        )


def _signal(table: _Table, name: str, parts: dict[str, int], faults: Faults) -> DraftSignal:
    def column(key: str, *, low: float = 0.0) -> FloatArray:
        values = np.array(
            [table.number(i, parts[key], faults, low=low, of=nominal) for i in range(len(table.rows))]
        )
        # Faults are reported together later.
        return np.asarray(np.maximum(np.nan_to_num(values), low), dtype=np.float64)

    nominal = None
    nominal = column("nominal")
    sides: dict[str, dict[str, FloatArray]] = {}
    for part in parts:
        if part.startswith("+- "):
            kind, _, side = part.removeprefix("+- ").partition(" ")
            distance = np.abs(column(part, low=-np.inf))
            for one in (side,) if side else ("up", "down"):
                shifted = nominal + distance if one == "up" else np.maximum(nominal - distance, 0.0)
                sides.setdefault(kind, {})[one] = shifted
        elif part not in ("nominal", "error"):
            source, _, side = part.rpartition(" ")
            sides.setdefault(source, {})[side] = column(part)
    for source, pair in sides.items():
        if len(pair) == 1:
            faults.add(
                f"signal {name} has a column {source} {next(iter(pair))} and none for the other side; give both, or ignore it with "
                'a mapping, {"columns": {"ignore": [...]}}'
            )
    return DraftSignal(
        name=name,
        yields=nominal,
        errors=column("error") if "error" in parts else np.zeros(len(table.rows)),
        source=f"column {table.columns[parts['nominal']]!r} of {table.path.name}",
        variations={s: (pair["up"], pair["down"]) for s, pair in sides.items() if len(pair) == 2},
    )


def _is_range(table: _Table, column: int) -> bool:
    """Whether all cells are ranges, and not just plain numbers with a fraction, which would be yields."""
    cells = [table.text(i, column) for i in range(len(table.rows))]
    if not cells or any(parse_range(cell) is None for cell in cells):
        return False
    # Whole numbers alone are the values of something counted, or of a column with another meaning.
    return observable(table.columns[column]).discrete or not all(cell.strip().isdigit() for cell in cells)


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
        edges.append(_parsed(table, column, counts=observables[-1].discrete))
    shape = (n_bins, len(edges))
    lows = np.array([e[0] for e in edges]).reshape(len(edges), n_bins).T.reshape(shape)
    highs = np.array([e[1] for e in edges]).reshape(len(edges), n_bins).T.reshape(shape)
    return tuple(observables), lows, highs


def _edge(table: _Table, row: int, column: int, faults: Faults) -> float:
    text = table.rows[row][column].strip()
    if text[:1] in ("-", "−") and infinite(text[1:]):
        return -math.inf
    return math.inf if infinite(text) else table.number(row, column, faults)


def _begun(
    observables: Sequence[Observable], low: FloatArray, given: object, faults: Faults, notes: list[str]
) -> FloatArray:
    """Lower edges, those at minus infinity put where the observable begins."""
    low = low.copy()
    for j, o in enumerate(observables):
        without = np.isneginf(low[:, j])
        if not without.any():
            continue
        start = lowest(o, given)
        if start is None:
            faults.add(
                f"a bin begins at {o.name} of minus infinity; say where the observable begins with a mapping, "
                '{"lowest": -1}, or leave the bin out'
            )
        else:
            low[without, j] = start
            notes.append(f"{o.name}: what has no lower end begins at {start:g}")
    return low


def _parsed(table: _Table, column: int, *, counts: bool) -> tuple[list[float], list[float]]:
    cells = [table.text(i, column) for i in range(len(table.rows))]
    pairs = [pair for cell in cells if (pair := parse_range(cell, counts=counts)) is not None]
    return [low for low, _ in pairs], [high for _, high in pairs]


def _names(table: _Table, roles: _Roles, faults: Faults) -> tuple[str, ...]:
    """Names of the bins; none where they are the numbers 1 to n in order."""
    if roles.name is None:
        return ()
    names = [row[roles.name] for row in table.rows]
    if names == [str(i + 1) for i in range(len(names))]:
        return ()
    seen: dict[str, int] = {}
    for name, line in zip(names, table.lines, strict=True):
        if not name or not name.isprintable():
            faults.add(f"the bin's name is {name!r}; a name is printable text", line)
        if name in seen:
            faults.add(f"the bin's name {name!r} is that of line {seen[name]} too; names must differ", line)
        seen.setdefault(name, line)
    return tuple(names)
