"""Tables of HEPData as plain values: submissions in YAML, the JSON that hepdata.net exports, and old ``.hep.dat`` input.

YAML is read with a loader that makes texts, lists and mappings and nothing else, so a tag in it constructs nothing; numbers
are then read as the same text in YAML and JSON. Formats: HEPData submission documentation, https://hepdata-submission.readthedocs.io.
"""

import contextlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.files import lies_in
from superbin._support.json import parse_json
from superbin._support.shown import counted
from superbin.errors import DocumentError, InputError
from superbin.io._text import parse_number
from superbin.io.imports.base import Source
from superbin.io.imports.hepdata_json import Rows, without_rows
from superbin.io.imports.hepdata_yaml import Run, documents

__all__ = [
    "Column",
    "DataTable",
    "Error",
    "Submission",
    "Value",
    "is_hepdata_json",
    "read_submission",
    "read_tables",
    "tables_of",
]

_PLAIN = re.compile(r"-?\d{1,15}(?:\.\d{0,20})?", re.ASCII)
_PLAIN_LINE = r"[-+]?\d{1,20}(?:\.\d{0,40})?(?:[eE][-+]?\d{1,2})?"
_PLAIN_LINES = re.compile(rf"(?:{_PLAIN_LINE}\n)*+{_PLAIN_LINE}", re.ASCII)
_MOST_ERRORS = 200
"""Uncertainties that one value may have; more would be a file made to exhaust memory."""

_INFINITE = {
    **dict.fromkeys((".inf", "+.inf", "inf", "+inf", "infinity", "∞"), math.inf),
    **dict.fromkeys(("-.inf", "-inf", "-infinity", "-∞"), -math.inf),
    **dict.fromkeys((".nan", "nan"), math.nan),
}


@dataclass(frozen=True, slots=True)
class Error:
    """An uncertainty of a value, as two signed variations.

    Attributes
    ----------
    plus, minus : float
        Changes of the value; `minus` is mostly negative. NaN where the side is not stated.
    label : str
        Such as ``"stat"``; empty where there is none.
    """

    plus: float
    minus: float
    label: str

    @property
    def sides(self) -> tuple[float, float]:
        """Distances upward and downward, both >= 0; a one-sided error has 0 on the other side."""
        known = [v for v in (self.plus, self.minus) if not math.isnan(v)]
        return max([0.0, *known]), max([0.0, *(-v for v in known)])


@dataclass(frozen=True, slots=True)
class Value:
    """One cell of a column.

    Attributes
    ----------
    text : str
        As it is written; empty for a range.
    number : float
        NaN where it is not a number.
    low, high : float
        Edges; NaN where it has none.
    errors : tuple of Error
    """

    text: str
    number: float
    low: float = math.nan
    high: float = math.nan
    errors: tuple[Error, ...] = ()

    @property
    def has_edges(self) -> bool:
        """Whether it is a range."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    @property
    def label(self) -> str:
        """What names the cell: its text, or its range."""
        return self.text or f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class PlainValues(Sequence[Value]):
    """Cells that are a text each, with the same errors: a million entries of a covariance without a million objects.

    Attributes
    ----------
    texts : tuple of str
        None is empty.
    errors : tuple of Error
        Of every cell.
    """

    texts: tuple[str, ...]
    errors: tuple[Error, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> Value: ...

    @overload
    def __getitem__(self, index: slice) -> "PlainValues": ...

    def __getitem__(self, index: int | slice) -> "Value | PlainValues":
        if isinstance(index, slice):
            return PlainValues(self.texts[index], self.errors)
        return Value(self.texts[index], _number(self.texts[index]), errors=self.errors)

    def numbers(self) -> FloatArray:
        """The texts as numbers; NaN where one is none."""
        if _PLAIN_LINES.fullmatch("\n".join(self.texts)) is not None:
            return np.array(list(map(float, self.texts)))
        return np.array([_number(text) for text in self.texts])


@dataclass(frozen=True, slots=True)
class Column:
    """A variable of a table.

    Attributes
    ----------
    name, units : str
    qualifiers : tuple of (str, str)
        What it is, in words.
    values : sequence of Value
    """

    name: str
    units: str
    qualifiers: tuple[tuple[str, str], ...]
    values: Sequence[Value]

    @property
    def numbers(self) -> FloatArray:
        """The values as numbers, NaN where one is none; shape (n_rows,)."""
        if isinstance(self.values, PlainValues):
            return self.values.numbers()
        return np.array([v.number for v in self.values])

    @property
    def labels(self) -> Sequence[str]:
        """What names every row."""
        if isinstance(self.values, PlainValues):
            return self.values.texts
        return [v.label for v in self.values]


@dataclass(frozen=True, slots=True)
class DataTable:
    """A table.

    Attributes
    ----------
    name, description : str
    place : str
        File, and place in it, for errors.
    independent, dependent : tuple of Column
    """

    name: str
    description: str
    place: str
    independent: tuple[Column, ...]
    dependent: tuple[Column, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        columns = self.independent + self.dependent
        return len(columns[0].values) if columns else 0


@dataclass(frozen=True, slots=True)
class Submission:
    """What a record says beside its tables.

    Attributes
    ----------
    tables : tuple of DataTable
    comment, licence, reference : str
    faults : mapping of str to str
        Why a table could not be read, by its name.
    """

    tables: tuple[DataTable, ...]
    comment: str
    licence: str
    reference: str
    faults: Mapping[str, str]


# --- YAML and JSON ----------------------------------------------------------------------------------------


def read_submission(source: Source) -> Submission:
    """Read a folder with ``submission.yaml``, or one table on its own.

    Tables that cannot be read are named in `Submission.faults`, so that one broken draft does not hide the others.

    Raises
    ------
    DocumentError
        If ``submission.yaml`` itself is broken, or no table can be read.
    """
    if not source.is_folder:
        return Submission(read_tables(source), "", "", "", {})
    if not source.has("submission.yaml"):
        return _loose(source)
    path = source.path / "submission.yaml"
    heads = [d for d in documents(source.text("submission.yaml"), path) if isinstance(d, dict)]
    tables: list[DataTable] = []
    faults: dict[str, str] = {}
    for head in heads:
        if "data_file" not in head:
            continue
        name, file = _text(head.get("name")), _text(head["data_file"])
        try:
            if not lies_in(source.path / file, source.path):
                raise DocumentError(
                    f"{path}: data_file {file!r} of table {name!r} lies outside the folder; it must be in it"
                )
            tables += _with_head(read_tables(Source.at(source.path / file)), name or file, head)
        except InputError as error:
            faults[name or file] = str(error)
    if not tables:
        why = next(iter(faults.values()), f"{path}: names no data_file")
        raise DocumentError(f"no table of the submission can be read: {why}")
    first = next((h for h in heads if "data_file" not in h), {})
    licence = first.get("data_license")
    return Submission(
        tuple(tables),
        _text(first.get("comment")),
        _text(licence.get("name")) if isinstance(licence, dict) else "",
        _reference(first),
        faults,
    )


def _loose(source: Source) -> Submission:
    """A folder of tables without ``submission.yaml``, as a part of one."""
    tables: list[DataTable] = []
    faults: dict[str, str] = {}
    for path in source.files():
        if Source(path).suffix in (".yaml", ".yml", ".json"):
            try:
                tables += read_tables(Source.at(path))
            except InputError as error:
                faults[path.name] = str(error)
    if not tables:
        raise DocumentError(next(iter(faults.values()), f"{source.path}: no HEPData table in it"))
    return Submission(tuple(tables), "", "", "", faults)


def _with_head(tables: Iterable[DataTable], name: str, head: Mapping[str, Any]) -> Iterator[DataTable]:
    for table in tables:
        description = _text(head.get("description"))
        yield DataTable(name, description, table.place, table.independent, table.dependent)


def _reference(head: Mapping[str, Any]) -> str:
    ids = head.get("record_ids")
    found = [f"{_text(i.get('type'))} {_text(i.get('id'))}" for i in ids or [] if isinstance(i, dict)]
    return ", ".join(found)


def is_hepdata_json(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a table as hepdata.net exports it, or one of a submission."""
    return ("headers" in content and "values" in content) or "dependent_variables" in content


def read_tables(source: Source) -> tuple[DataTable, ...]:
    """Read the tables of one file.

    Raises
    ------
    DocumentError
        If it breaks its format; the text names the line or the cell.
    """
    path = source.path
    if path.name.endswith(".dat"):
        return _old_tables(source.text(), path)
    text = source.text()
    if source.suffix != ".json":
        return tables_of(documents(text, path), path)
    short, rows = without_rows(text)
    if rows is not None:
        with contextlib.suppress(DocumentError):  # its line would be another one
            return tables_of([parse_json(short, path)], path, rows)
    return tables_of([parse_json(text, path)], path)


def tables_of(content: Iterable[object], path: Path, rows: Rows | None = None) -> tuple[DataTable, ...]:
    """Tables among documents that are parsed already.

    Parameters
    ----------
    content : iterable
        Parsed documents.
    path : Path
        Their file.
    rows : Rows, optional
        The rows of an exported table that has only its first.

    Raises
    ------
    DocumentError
        If none is one, or one breaks its format.
    """
    tables = [_table(d, path, rows) for d in content if isinstance(d, dict) and is_hepdata_json(d)]
    if not tables:
        raise DocumentError(f"{path}: holds no table with independent_variables and dependent_variables")
    return tuple(tables)


def _table(content: Mapping[str, Any], path: Path, rows: Rows | None = None) -> DataTable:
    name = _text(content.get("name")) or Source(path).path.name.split(".")[0]
    if "headers" in content:
        independent, dependent = _exported(content, path, rows)
    else:
        independent, dependent = (
            tuple(_column(c, path) for c in _list(content.get(key), f"{path}: {key}"))
            for key in ("independent_variables", "dependent_variables")
        )
    lengths = {len(c.values) for c in independent + dependent}
    if len(lengths) != 1:
        shown = ", ".join(f"{c.name!r} {len(c.values)}" for c in (independent + dependent)[:10])
        raise DocumentError(f"{path}: the columns have different numbers of values: {shown or 'none'}")
    return DataTable(name, _text(content.get("description")), str(path), independent, _told_apart(dependent))


def _told_apart(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Columns of one name get the qualifiers in which they differ, as records tell processes apart."""
    counts = Counter(c.name for c in columns)
    named: list[Column] = []
    for column in columns:
        same = [c for c in columns if c.name == column.name]
        shared = set.intersection(*(set(c.qualifiers) for c in same))
        own = [text for name, text in column.qualifiers if (name, text) not in shared and text]
        more = counts[column.name] > 1 and own
        named.append(replace(column, name=f"{column.name} ({', '.join(own)})") if more else column)
    return tuple(named)


def _column(content: Any, path: Path) -> Column:
    if not isinstance(content, dict):
        raise DocumentError(f"{path}: a variable is {str(content)[:40]!r}; it needs a header and values")
    header = content.get("header")
    header = header if isinstance(header, dict) else {}
    name = _text(header.get("name"))
    qualifiers = tuple(
        (_text(q.get("name")), " ".join(filter(None, (_text(q.get("value")), _text(q.get("units"))))))
        for q in content.get("qualifiers") or []
        if isinstance(q, dict)
    )
    cells = _list(content.get("values"), f"{path}: values of {name!r}")
    return Column(name, _text(header.get("units")), qualifiers, _values(cells, name, path))


def _values(cells: Sequence[Any], name: str, path: Path) -> Sequence[Value]:
    """Values of a column, whose cells may have runs among them."""
    if any(type(cell) is Run for cell in cells):
        texts: list[str] = []
        for cell in cells:
            if type(cell) is Run and not cell.high:
                texts += cell.texts
            elif type(cell) is dict and len(cell) == 1 and _text(cell.get("value")):
                texts.append(_text(cell["value"]))
            else:
                break
        else:
            return PlainValues(tuple(texts))
        cells = [c for cell in cells for c in (_cells_of(cell) if type(cell) is Run else (cell,))]
    return tuple(_value(cell, f"{path}: value {i} of {name!r}") for i, cell in enumerate(cells, start=1))


def _cells_of(run: Run) -> list[dict[str, str]]:
    """The entries of a run; equal ones are one object."""
    if not run.high:
        return [{"value": text} for text in run.texts]
    known = {pair: {"low": pair[0], "high": pair[1]} for pair in zip(run.texts, run.high, strict=True)}
    return [known[pair] for pair in zip(run.texts, run.high, strict=True)]


def _exported(
    content: Mapping[str, Any], path: Path, texts: Rows | None
) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """Columns of hepdata.net's JSON, which has rows of x and y cells, all of them texts."""
    columns_of = iter(() if texts is None else texts.columns)
    rows = _list(content.get("values"), f"{path}: values")
    headers = [
        _text(h.get("name")) for h in _list(content.get("headers"), f"{path}: headers") if isinstance(h, dict)
    ]
    spans = [
        int(_text(h.get("colspan")) or 1)
        for h in content["headers"]
        if isinstance(h, dict) and (_text(h.get("colspan")) or "1").isdigit()
    ]
    names = [n for n, span in zip(headers, spans, strict=True) for _ in range(min(span, 10_000))]
    sides: list[list[Column]] = []
    start = 0
    for key in ("x", "y"):
        cells = [_list(row.get(key) if isinstance(row, dict) else None, f"{path}: {key}") for row in rows]
        count = len(cells[0]) if cells else 0
        if any(len(row) != count for row in cells):
            raise DocumentError(f"{path}: rows have different numbers of {key} cells")
        columns = []
        for k in range(count):
            name = names[start + k] if start + k < len(names) else f"{key}{k + 1}"
            values: Sequence[Value]
            if texts is None:
                values = tuple(
                    _value(row[k], f"{path}: row {i}, {name!r}") for i, row in enumerate(cells, start=1)
                )
            else:
                values = _repeated(cells[0][k], columns_of, f"{path}: {name!r}")
            columns.append(Column(name, _unit(name), _exported_qualifiers(content, k, key), values))
        sides.append(columns)
        start += count
    return tuple(sides[0]), tuple(sides[1])


def _repeated(cell: Any, texts: Iterator[tuple[str, ...]], place: str) -> Sequence[Value]:
    """Values of a column whose cells differ from the first one in their texts alone."""
    if not isinstance(cell, dict):
        raise DocumentError(f"{place} has a cell that is not an object")
    keys = [key for key in cell if key in ("value", "low", "high")]
    found = [next(texts) for _ in keys]
    first = _value(cell, place)
    if keys == ["value"] and "%" not in str(cell.get("errors")):  # a per cent is of its own value
        return PlainValues(found[0], first.errors)
    known: dict[tuple[str, ...], Value] = {}
    for row in zip(*found, strict=True):
        if row not in known:
            known[row] = _value(cell | dict(zip(keys, row, strict=True)), place)
    return tuple(known[row] for row in zip(*found, strict=True))


def _exported_qualifiers(content: Mapping[str, Any], k: int, key: str) -> tuple[tuple[str, str], ...]:
    given = content.get("qualifiers")
    if key == "x" or not isinstance(given, dict):
        return ()
    found = []
    for name, entries in given.items():
        cells = entries if isinstance(entries, list) else []
        mine = [e for e in cells if isinstance(e, dict) and _text(e.get("group")) in ("", str(k))]
        found += [(_text(name), _text(e.get("value"))) for e in mine]
    return tuple(found)


def _unit(name: str) -> str:
    match = re.search(r"[\[(]\s*([A-Za-z0-9/^ -]{1,20})\s*[\])]\s*$", name)
    return match.group(1).strip() if match else ""


def _value(cell: Any, place: str) -> Value:
    if not isinstance(cell, dict):
        raise DocumentError(f"{place} is {str(cell)[:40]!r}; it needs a value, or low and high")
    text = _text(cell.get("value"))
    number = _number(text)
    if len(cell) == 1:
        return Value(text, number)
    low, high = (_number(_text(cell.get(key))) if key in cell else math.nan for key in ("low", "high"))
    errors = cell.get("errors") or []
    if not isinstance(errors, list) or len(errors) > _MOST_ERRORS:
        raise DocumentError(f"{place}: errors must be a list of at most {_MOST_ERRORS} uncertainties")
    return Value(text, number, low, high, tuple(_error(e, number, place) for e in errors))


def _error(content: Any, value: float, place: str) -> Error:
    if not isinstance(content, dict):
        raise DocumentError(f"{place}: an error is {str(content)[:40]!r}; it needs symerror or asymerror")
    label = _text(content.get("label"))
    if "symerror" in content:
        size = _size(content["symerror"], value, place)
        return Error(abs(size), -abs(size), label)
    sides = content.get("asymerror")
    if not isinstance(sides, dict) or not ({"plus", "minus"} & sides.keys()):
        raise DocumentError(f"{place}: an error has neither symerror nor asymerror with plus or minus")
    plus, minus = (
        _size(sides[key], value, place) if _text(sides.get(key)) else math.nan for key in ("plus", "minus")
    )
    return Error(plus, minus, label)


def _size(content: Any, value: float, place: str) -> float:
    """An uncertainty in the units of its value; ``5%`` is a part of it."""
    text = _text(content)
    percent = re.fullmatch(r"([^%]*)%+", text)
    size = _number(percent.group(1) if percent else text)
    if not math.isfinite(size):
        raise DocumentError(f"{place}: the uncertainty {text!r} is not a finite number")
    return abs(value) * size / 100 if percent else size


def _number(text: str) -> float:
    if _PLAIN.fullmatch(text) is not None:
        return float(text)  # most cells of a covariance, of which there may be a million
    plain = text.strip().replace("−", "-")
    if plain.lower() in _INFINITE:
        return _INFINITE[plain.lower()]
    try:
        return parse_number(plain)
    except InputError:
        return math.nan


def _text(content: Any) -> str:
    if type(content) is str:
        return " ".join(content.split())
    if content is None or isinstance(content, dict | list):
        return ""
    return " ".join(str(content).split())


def _list(content: Any, place: str) -> list[Any]:
    if not isinstance(content, list):
        raise DocumentError(f"{place}: a list is needed")
    return content


# --- the old input format ---------------------------------------------------------------------------------


def _old_tables(text: str, path: Path) -> tuple[DataTable, ...]:
    """Blocks from ``*dataset:`` to ``*dataend:`` of a ``.hep.dat`` file."""
    tables: list[DataTable] = []
    block: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if re.match(r"\*dataset\s*:", line):
            block = []
        elif re.match(r"\*dataend\s*:", line):
            tables += _old_table(block, path, len(tables) + 1)
            block = []
        block.append((number, line))
    if not tables:
        raise DocumentError(f"{path}: has no block from *dataset: to *dataend:")
    return tuple(tables)


def _old_table(block: Sequence[tuple[int, str]], path: Path, position: int) -> list[DataTable]:
    tags: dict[str, list[str]] = {}
    rows: list[tuple[int, list[str]]] = []
    axes: list[str] = []
    for number, line in block:
        match = re.match(r"\*(\w+)\s*:\s*(.*)$", line)
        if match is not None and match.group(1) == "data":
            axes = [axis.strip() for axis in match.group(2).split(":")]
        elif match is not None:
            tags.setdefault(match.group(1), []).append(match.group(2).strip())
        elif axes and line.strip():
            rows.append((number, [cell.strip() for cell in line.strip().rstrip(";").split(";")]))
    n_x = sum(axis == "x" for axis in axes)
    if not rows or not axes:
        return []
    for number, cells in rows:
        if len(cells) != len(axes):
            raise DocumentError(f"{path}:{number}: {counted(len(cells), 'cell')}; *data names {len(axes)}")
    columns = [
        [_old_cell(cells[k], f"{path}:{number}", is_x=k < n_x) for number, cells in rows]
        for k in range(len(axes))
    ]
    qualifiers = [[part.strip() for part in q.split(" : ")] for q in tags.get("qual", [])]
    heads = [part.strip() for h in tags.get("xheader", [""]) for part in h.split(" : ")]
    y_heads = [part.strip() for h in tags.get("yheader", [""]) for part in h.split(" : ")]
    independent = tuple(
        Column(_at(heads, k), _old_unit(_at(heads, k)), (), tuple(columns[k])) for k in range(n_x)
    )
    dependent = tuple(
        _old_dependent(k, qualifiers, _at(y_heads, k), columns[n_x + k]) for k in range(len(axes) - n_x)
    )
    name = next(iter(tags.get("location", [])), "") or f"dataset {position}"
    description = " ".join(tags.get("dscomment", []))
    return [DataTable(name, description, f"{path}:{block[0][0]}", independent, _told_apart(dependent))]


def _at(texts: Sequence[str], k: int) -> str:
    """The k-th of several texts, or the only one."""
    return texts[k] if k < len(texts) else (texts[-1] if texts else "")


def _old_dependent(
    k: int, qualifiers: Sequence[Sequence[str]], header: str, values: Sequence[Value]
) -> Column:
    """A column; the qualifier ``.`` names the columns, ``SQRT(S) IN GEV`` and others describe them."""
    named = next((q for q in qualifiers if q[0] == "."), None)
    name = _at(named[1:], k) if named is not None and len(named) > 1 else header
    rest = tuple((q[0], _at(q[1:], k)) for q in qualifiers if q[0] != "." and len(q) > 1)
    return Column(name, header if name != header else "", rest, tuple(values))


def _old_unit(header: str) -> str:
    match = re.search(r"\bIN\s+(\S+)\s*$", header, re.IGNORECASE)
    return match.group(1).replace("GEV", "GeV").replace("TEV", "TeV") if match else ""


_OLD_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?%?"


def _old_cell(text: str, place: str, *, is_x: bool) -> Value:
    """Such as ``100.0 TO 130.0``, ``115 (BIN=100 TO 130)``, ``132 +12.0,-11.0`` and ``124.2 +- 7.7 (DSYS=1.2)``."""
    edges = re.search(rf"({_OLD_NUMBER})\s+TO\s+({_OLD_NUMBER})", text, re.IGNORECASE)
    if is_x and edges is not None:
        return Value("", math.nan, _number(edges.group(1)), _number(edges.group(2)))
    match = re.match(rf"({_OLD_NUMBER})(?=\s|$)\s*(.*)$", text)
    if is_x or match is None:
        return Value(text, _number(text))
    value = _number(match.group(1))
    return Value(match.group(1), value, errors=_old_errors(match.group(2), value, place))


def _old_errors(text: str, value: float, place: str) -> tuple[Error, ...]:
    errors: list[Error] = []
    main, *further = re.split(r"\(?(?<!\s)\s*+DSYS\s*=", text)
    parts = [(main, "stat" if further else "")]
    parts += [(p.rstrip(") ;"), "sys") for group in further for p in group.split(",DSYS=")]
    for part, label in parts:
        plain = part.strip().rstrip("(),").strip()
        name = plain.partition(":")[2] or label
        plain = plain.partition(":")[0].strip()
        if not plain:
            continue
        pair = re.fullmatch(rf"({_OLD_NUMBER})\s*,\s*({_OLD_NUMBER})", plain)
        one = re.fullmatch(rf"(?:\+-\s*)?({_OLD_NUMBER})", plain)
        if pair is not None:
            plus, minus = (_size(side, value, place) for side in pair.groups())
            errors.append(Error(plus, minus, name))
        elif one is not None:
            size = abs(_size(one.group(1), value, place))
            errors.append(Error(size, -size, name))
        else:
            raise DocumentError(
                f"{place}: the error {plain[:40]!r} is not understood; write '+- e' or '+u,-d'"
            )
    return tuple(errors)
