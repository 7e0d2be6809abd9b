"""Covariance and correlation matrices of bins, from the files in which they lie beside a table.

Read are square tables of numbers with any separator, with or without the names of the bins in the first line or column; lines
of row, column and value;
JSON lists of rows; and HEPData's tables of pairs of bins. A matrix without names follows the rows of its table.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.json import parse_json
from superbin._support.shown import counted
from superbin.domain.covariance import Covariance
from superbin.errors import DocumentError, InputError
from superbin.io._text import parse_number
from superbin.io.imports import hepdata_tables
from superbin.io.imports.base import Source
from superbin.io.imports.cells import may_be_thousands
from superbin.io.root import opened

__all__ = ["ALONE", "Matrix", "as_matrix", "is_matrix_name", "read_matrix"]

_NOT_NAMES = ("nan", "inf", "-inf", "+inf", "-", "")
_KEYS = ("covariance", "cov", "correlation", "corr", "matrix")


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix of bins as it was read.

    Attributes
    ----------
    values : ndarray, shape (n_bins, n_bins)
        Events squared, or correlations.
    names : tuple of str
        Names of the bins in the order of the rows; empty where the file has none.
    place : str
        File, and table in it.
    correlations : bool
        Whether its entries are correlations.
    """

    values: FloatArray
    names: tuple[str, ...]
    place: str
    correlations: bool = False

    def ordered(self, names: Sequence[str], n_bins: int) -> tuple[FloatArray, str]:
        """The matrix in the order of a table's bins, and a sentence on where the order is from.

        Raises
        ------
        DocumentError
            If it is of other bins.
        """
        size = len(self.values)
        if self.names and names and set(self.names) >= set(names):
            places = [self.names.index(name) for name in names]
            left = f"; {size - n_bins} bins of the matrix are not in the table" if size > n_bins else ""
            return self.values[np.ix_(places, places)], f"rows by the names of the bins{left}"
        if size != n_bins:
            raise DocumentError(
                f"{self.place}: the matrix is of {counted(size, 'bin')} and the table has {n_bins}; both must be of the same bins"
            )
        if self.names and names and not all(_is_number(name) for name in self.names):
            missing = next(name for name in names if name not in self.names)
            raise DocumentError(
                f"{self.place}: the matrix does not name bin {missing!r} of the table, it names {self.names[0]!r} and others; "
                "give both the same names, or take the names out of the matrix if its rows follow the table"
            )
        return self.values, "the matrix has no names of bins: its rows follow the table's rows"

    def covariance(self, up: FloatArray, down: FloatArray, *, repair: bool) -> tuple[Covariance, list[str]]:
        """The covariance, from the errors where the matrix holds correlations, with notes.

        Raises
        ------
        DocumentError
            If it is none, and `repair` is false; the text names the entry.
        """
        try:
            if self.correlations:
                return self._of_correlations(up, down, repair=repair)
            if repair:
                covariance, moved = Covariance.repaired(self.values)
                return covariance, [
                    f"covariance: the nearest one taken, entries moved by at most {moved:.2g} of their standard deviations"
                ]
            return Covariance.of(self.values), []
        except InputError as error:
            raise DocumentError(f"{self.place}: {error}") from error

    def _of_correlations(
        self, up: FloatArray, down: FloatArray, *, repair: bool
    ) -> tuple[Covariance, list[str]]:
        values, notes = self.values, ["covariance: correlations times the quoted errors"]
        if repair:
            nearest, moved = Covariance.repaired(values)
            spread = np.sqrt(np.maximum(np.diag(nearest.up), np.finfo(float).tiny))
            values = np.clip(nearest.up / np.outer(spread, spread), -1.0, 1.0)
            notes.append(f"correlations: the nearest ones taken, entries moved by at most {moved:.2g}")
        same = np.array_equal(up, down)
        return Covariance.of_correlations(values, up, None if same else down), notes


ALONE = (
    "this is a covariance, which is not a search without its bins: put it into one folder with the table of the bins, or name it "
    'with a mapping, {"covariance": FILE}'
)
"""What to do with a matrix that was named in the place of a search."""


def is_matrix_name(name: str) -> bool:
    """Whether a file's or a table's name says that it holds a covariance or correlations."""
    return re.search(r"(?<![a-z])(co-?var|cov(?![a-z])|corr?elat|corr(?![a-z]))", name.lower()) is not None


def _says_correlations(name: str) -> bool:
    return re.search(r"(?<![a-z])corr", name.lower()) is not None and "covar" not in name.lower()


def _refuse_relative(name: str, place: str) -> None:
    """A covariance of relative shifts is no matrix in events squared."""
    if re.search(r"(?<![a-z])(rel(ative)?|fractional|normali[sz]ed)(?![a-z])", name.lower()) is None:
        return
    if not _says_correlations(name):
        raise DocumentError(
            f"{place}: by its name ({name}) this is a relative covariance; multiply every entry by the backgrounds of its two bins, so that "
            "it is in events squared, and name it covariance"
        )


def as_matrix(values: object, place: str, *, names: Sequence[str] = (), correlations: bool = False) -> Matrix:
    """Check that something is a square table of finite numbers.

    Raises
    ------
    DocumentError
        If it is not.
    """
    try:
        matrix = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DocumentError(f"{place}: the matrix is not a square table of numbers ({error})") from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise DocumentError(
            f"{place}: the matrix has shape {matrix.shape}; as many lines as columns are needed"
        )
    if not np.isfinite(matrix).all():
        i, j = (int(k) for k in np.argwhere(~np.isfinite(matrix))[0])
        raise DocumentError(f"{place}: the matrix is {matrix[i, j]} in line {i + 1}, column {j + 1}")
    if names and len(names) != len(matrix):
        raise DocumentError(
            f"{place}: {len(names)} names of bins for a matrix of {len(matrix)}; correct one of the two"
        )
    return Matrix(matrix, tuple(names), place, correlations)


def read_matrix(path: Path) -> Matrix:
    """Read the matrix of a file.

    Parameters
    ----------
    path : Path
        Text, JSON or YAML, possibly packed by gzip, or ``FILE.root:NAME`` for a TH2. A name with ``corr`` and without
        ``covar`` says correlations.

    Raises
    ------
    InputError
        If the file cannot be read.
    DocumentError
        If it holds no matrix; the text names the line.
    """
    file, _, name = path.name.partition(".root:")
    if name or path.suffix == ".root":
        return _of_root(path.with_name(f"{file.removesuffix('.root')}.root"), name)
    source = Source.at(path)
    correlations = _says_correlations(path.name)
    _refuse_relative(path.name, str(path))
    if source.suffix in (".yaml", ".yml"):
        return _of_tables(hepdata_tables.read_tables(source), str(path), correlations)
    text = source.text()
    if text.lstrip()[:1] in ("[", "{"):
        return _of_json(source, text, correlations)
    return _of_text(path, text, correlations)


def _of_root(path: Path, name: str) -> Matrix:
    """A TH2 of a ROOT file: the only one, or that of a name."""
    Source.at(path)
    with opened(path) as root:
        there = root.names("TH2")
        if not name and len(there) == 1:
            name = there[0]
        if name not in there:
            raise InputError(
                f"{path}: no TH2 {name!r}; there are {', '.join(there[:20]) or 'none'}; name one as FILE.root:NAME"
            )
        found = root.histogram(name)
    labels = found.labels[0] if found.labels and found.labels[0] and all(found.labels[0]) else ()
    return as_matrix(
        found.values, f"{path}:{name}", names=labels, correlations=_says_correlations(f"{name} {found.title}")
    )


def _of_json(source: Source, text: str, correlations: bool) -> Matrix:
    content = parse_json(text, source.path)
    if isinstance(content, dict) and hepdata_tables.is_hepdata_json(content):
        return _of_tables(hepdata_tables.tables_of([content], source.path), str(source.path), correlations)
    if isinstance(content, dict):
        key = next((k for k in _KEYS if k in content), None)
        if key is None:
            raise DocumentError(
                f"{source.path}: an object with {', '.join(map(repr, list(content)[:6]))}; a matrix is a list of rows, or "
                f"an object with one under {' or '.join(map(repr, _KEYS))}"
            )
        names = content.get("names", [])
        if not isinstance(names, list):
            raise DocumentError(f"{source.path}: names must be a list")
        return as_matrix(
            content[key], str(source.path), names=list(map(str, names)), correlations=key.startswith("corr")
        )
    return as_matrix(content, str(source.path), correlations=correlations)


def _of_tables(tables: Sequence[hepdata_tables.DataTable], place: str, correlations: bool) -> Matrix:
    if len(tables) != 1:
        raise DocumentError(f"{place}: holds {counted(len(tables), 'table')}; a matrix is one")
    return of_table(tables[0], correlations=correlations or _says_correlations(tables[0].name))


def of_table(table: hepdata_tables.DataTable, *, correlations: bool) -> Matrix:
    """The matrix of a HEPData table with two independent variables, full or one triangle.

    Raises
    ------
    DocumentError
        If it is none.
    """
    _refuse_relative(table.name, table.place)
    if len(table.independent) == 1 and len(table.dependent) == table.n_rows > 1:
        # A column per bin.
        square = [column.numbers for column in table.dependent]
        labels = list(table.independent[0].labels)
        names = labels if sorted(labels) == sorted(c.name for c in table.dependent) else []
        if names:
            places = {c.name: i for i, c in enumerate(table.dependent)}
            square = [square[places[name]] for name in names]
        return as_matrix(np.transpose(square), table.place, names=names, correlations=correlations)
    if len(table.independent) != 2 or not table.dependent:
        raise DocumentError(
            f"{table.place}: has {len(table.independent)} independent and {len(table.dependent)} dependent variables; a "
            "matrix has two and one"
        )
    dependent = _of_kind(table, correlations=correlations)
    _refuse_relative(dependent.name, table.place)
    rows, columns = (axis.labels for axis in table.independent)
    labels = list(dict.fromkeys([*rows, *columns]))
    if all(_is_number(label) for label in labels):
        labels.sort(key=float)
    order = {name: i for i, name in enumerate(labels)}
    # Far more names than a full matrix or a triangle has are no matrix, and a table of them would not fit.
    if len(order) ** 2 > max(4 * len(rows), 4):
        raise DocumentError(
            f"{table.place}: {counted(len(rows), 'entry')} name {counted(len(order), 'bin')}; a matrix has an entry for every pair"
        )
    i, j = (np.fromiter(map(order.__getitem__, side), np.intp, len(side)) for side in (rows, columns))
    numbers = dependent.numbers
    entries = np.full((len(order), len(order)), np.nan)
    entries[i, j] = numbers
    twice = np.flatnonzero((entries[i, j] != numbers) & ~np.isnan(numbers))
    if twice.size:
        row, column = rows[twice[0]], columns[twice[0]]
        raise DocumentError(f"{table.place}: the entry of {row} and {column} comes twice with two values")
    # One triangle is enough where the other has no entries at all.
    entries = np.where(np.isnan(entries), entries.T, entries)
    if np.isnan(entries).any():
        row, column = (labels[k] for k in np.argwhere(np.isnan(entries))[0])
        raise DocumentError(f"{table.place}: the matrix has no entry for {row} and {column}")
    return as_matrix(entries, table.place, names=tuple(order), correlations=correlations)


def _of_kind(table: hepdata_tables.DataTable, *, correlations: bool) -> hepdata_tables.Column:
    """The column with the matrix: the only one, or the only one whose name says so."""
    if len(table.dependent) == 1:
        return table.dependent[0]
    kind = "correlations" if correlations else "covariance"
    found = [
        c for c in table.dependent if is_matrix_name(c.name) and _says_correlations(c.name) == correlations
    ]
    if len(found) != 1:
        raise DocumentError(
            f"{table.place}: has {counted(len(table.dependent), 'column')} ({', '.join(repr(c.name) for c in table.dependent[:10])}); say which "
            f'is the {kind} with a mapping, {{"columns": {{"{kind}": ...}}}}'
        )
    return found[0]


def _of_triples(path: Path, lines: Sequence[tuple[int, list[str]]], correlations: bool) -> Matrix | None:
    """A matrix with a line of row, column and value per entry, full or one triangle; None if the lines are no such."""
    if any(len(row) != 3 for _, row in lines) or len(lines) < 2:
        return None
    headed = not _is_number(lines[0][1][2])
    cells = lines[1:] if headed else lines
    labels = _labels_of_triples([row for _, row in cells])
    if labels is None:
        return None
    full = len(cells) in (len(labels) ** 2, len(labels) * (len(labels) + 1) // 2)
    if not full and _is_number(labels[0]):
        return None
    if len(cells) == 3 and _is_number(labels[0]):
        # Three lines of three numbers may be a matrix of three bins, which is symmetric.
        square = np.array([[parse_number(cell) for cell in row] for _, row in cells])
        if np.array_equal(square, square.T):
            return None
    entries = np.full((len(labels), len(labels)), np.nan)
    for number, (row, column, text) in cells:
        i, j = labels.index(row), labels.index(column)
        if not np.isnan(entries[i, j]):
            raise DocumentError(f"{path}:{number}: the entry of {row} and {column} comes twice")
        entries[i, j] = parse_number(text)
    entries = np.where(np.isnan(entries), entries.T, entries)
    if np.isnan(entries).any():
        row, column = (labels[k] for k in np.argwhere(np.isnan(entries))[0])
        raise DocumentError(f"{path}: the matrix has no entry for {row} and {column}")
    names = () if _is_number(labels[0]) else tuple(labels)
    return as_matrix(entries, str(path), names=names, correlations=correlations)


def _labels_of_triples(rows: Sequence[Sequence[str]]) -> list[str] | None:
    """Names of bins in the order of a matrix's lines, or numbers from 0 or 1; None if the lines are no entries."""
    if not all(_is_number(row[2]) for row in rows):
        return None
    labels = list(dict.fromkeys(label for row in rows for label in row[:2]))
    if not any(_is_number(label) for label in labels):
        return labels
    if not all(label.isdigit() for label in labels):
        return None
    labels.sort(key=int)
    first = int(labels[0])
    return (
        labels
        if first in (0, 1) and [int(t) for t in labels] == list(range(first, first + len(labels)))
        else None
    )


def _of_text(path: Path, text: str, correlations: bool) -> Matrix:
    lines = [
        (number, line)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip() and not line.lstrip().startswith(("#", "%"))
    ]
    if not lines:
        raise DocumentError(f"{path}: is empty; a matrix has one line per bin")
    cells = _cells(path, lines)
    triples = _of_triples(path, cells, correlations)
    if triples is not None:
        return triples
    names, columns, cells = _without_names(path, cells)
    size = len(cells)
    matrix = np.full((size, size), np.nan)
    # One triangle is enough: lines that grow by one number each, or blank cells on the other side of the diagonal.
    triangle = size > 1 and all(len(row) == k for k, (_, row) in enumerate(cells, start=1))
    for i, (number, row) in enumerate(cells):
        if len(row) != size and not triangle:
            raise DocumentError(
                f"{path}:{number}: {counted(len(row), 'number')}; a matrix of {counted(size, 'line')} has {counted(size, 'number')} in each"
            )
        for j, cell in enumerate(row):
            if not cell and i != j:
                continue
            try:
                matrix[i, j] = parse_number(cell)
            except InputError as error:
                raise DocumentError(f"{path}:{number}: {error}; a matrix holds numbers only") from error
    if columns:
        matrix = matrix[:, [columns.index(name) for name in names]]
    matrix = np.where(np.isnan(matrix), matrix.T, matrix)
    if np.isnan(matrix).any():
        i, j = (int(k) for k in np.argwhere(np.isnan(matrix))[0])
        raise DocumentError(
            f"{path}: the matrix has no entry in line {i + 1}, column {j + 1}, nor in that of the other side"
        )
    return as_matrix(matrix, str(path), names=names, correlations=correlations)


_Lines = list[tuple[int, list[str]]]


def _without_names(path: Path, cells: _Lines) -> tuple[list[str], list[str], _Lines]:
    """Names of the bins, those of the columns where they come in another order, and the lines without them."""
    first = cells[0][1]
    size = len(cells) - 1
    numbered = [[str(k) for k in range(start, start + size)] for start in (0, 1)]
    if first[-size:] in numbered and len(first) in (size, size + 1) and size > 1:
        # What writes tables may number lines and columns.
        rows = [row[0] for _, row in cells[1:]]
        if len(first) == size and any(len(row) == size for _, row in cells[1:]):
            return [], [], cells[1:]
        if len(first) == size + 1 and rows == first[1:] and not first[0]:
            return [], [], [(number, row[1:]) for number, row in cells[1:]]
    names: list[str] = []
    columns: list[str] = []
    if any(_is_name(cell) for cell in first[1:]):
        names = [cell for cell in first if cell]
        cells = cells[1:]
    if any(_is_name(row[0]) for _, row in cells):
        named = [row[0] for _, row in cells]
        columns = names[-len(named) :]
        if columns and sorted(columns) != sorted(named):
            raise DocumentError(
                f"{path}: the first line and the first column name different bins; correct one of them"
            )
        names = named
        cells = [(number, row[1:]) for number, row in cells]
    if names and len(names) == len(cells) + 1:
        names = names[1:]
    return names, columns if columns != names else [], cells


_COMMA = re.compile(r"[-+]?\d+(,\d+)+([eE][-+]?\d+)?")


def _cells(path: Path, lines: Sequence[tuple[int, str]]) -> list[tuple[int, list[str]]]:
    """Cells of every line; between semicolons and tabs commas are decimal commas, if no number has a decimal point."""
    found = []
    commas: list[str] = []
    points = False
    for number, line in lines:
        separator = next((s for s in (";", "\t", ",") if s in line), None)
        cells = line.split() if separator is None else line.strip("\r\n").rstrip(separator).split(separator)
        cells = [cell.strip().strip('"') for cell in cells]
        points = points or any("." in cell and _is_number(cell) for cell in cells)
        if separator in (";", "\t"):
            commas += [cell for cell in cells if _COMMA.fullmatch(cell)]
        found.append((number, cells))
    if not commas:
        return found
    if points:
        raise DocumentError(
            f"{path}: holds numbers with commas ({commas[0]}) and with decimal points; use decimal points alone"
        )
    if may_be_thousands(commas):
        raise DocumentError(
            f"{path}: {commas[0]!r} may be a number with a decimal comma or one in thousands; use decimal points"
        )
    return [
        (number, [re.sub(r"^([-+]?\d+),(?=\d)", r"\1.", cell) for cell in cells]) for number, cells in found
    ]


def _is_name(text: str) -> bool:
    return not _is_number(text) and text.lower() not in _NOT_NAMES


def _is_number(text: str) -> bool:
    try:
        parse_number(text)
    except InputError:
        return False
    return True
