"""HEPData records: submissions, single tables in YAML or JSON, and the old ``.hep.dat`` input.

A record has many tables and says only in free text what they are. `propose` takes the one table with one column of
observed events and one of the total background (or the two tables of the same rows that have one of these each), and the one
covariance of that size; wherever more than one choice is possible the tables or columns are listed and a mapping must say it:

================================================  =======================================================================
key of the mapping                                meaning
================================================  =======================================================================
``{"tables": {"yields": NAME}}``                  the table with a row per bin; a list is put together, columns of the same rows or
                                                  rows of the same columns
``{"tables": {"bins": NAME}}``                    a table with a row per bin that has its ranges
``{"tables": {"covariance": NAME}}``              its covariance (``correlations``: its correlations)
``{"columns": {"covariance": COLUMN}}``           which column of that table, where it has several
``{"columns": {"observed": COLUMN}}``             the observed events
``{"columns": {"background": COLUMN}}``           the background; a list, or an object of process and column (or columns to add)
``{"columns": {"error": COLUMN}}``                the background's uncertainty where it is a column (``error_up``, ``error_down``); a list adds
                                                  in quadrature
``{"errors": {LABEL: "stat"}}``                   what an uncertainty is: ``stat``, ``syst`` or ``ignore``
``{"edges": [...]}``                              edges of the bins, where the table has centres only
``{"lowest": 0}``                                 the lower edge of a bin that begins at minus infinity; momenta, masses and counts begin
                                                  at 0 by themselves
``{"overflow": true}``                            the last bin holds everything above it
``{"minus": "distance"}``                         downward uncertainties are written without their sign
``{"per_bin": true}``                             a column whose header says events per GeV holds events per bin
``{"negative": "zero"}``                          set negative expectations, which weighted events leave, to zero
``{"postfit": true}``                             take backgrounds after a fit to the data of these bins
================================================  =======================================================================
"""

import contextlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.search import Estimate, Observable, Process
from superbin.errors import DocumentError, InputError
from superbin.io.imports.base import Faults, Imported, Options, Source
from superbin.io.imports.cells import unit_of
from superbin.io.imports.cuts import parse_cuts
from superbin.io.imports.draft import Draft, check_names, whole_counts
from superbin.io.imports.hepdata_joins import joined, same_rows, with_bins
from superbin.io.imports.hepdata_tables import Column, DataTable, Submission, Value, read_submission
from superbin.io.imports.matrices import ALONE, Matrix, is_matrix_name, of_table
from superbin.io.imports.ranges import lowest, observable, parse_range
from superbin.io.imports.table import quantity

__all__ = ["IMPORTER", "HEPDataImporter", "TableSummary", "inspect", "propose"]

_KEYS = (
    "tables",
    "columns",
    "errors",
    "edges",
    "lowest",
    "minus",
    "per_bin",
    "negative",
    "overflow",
    "postfit",
)
_TABLES = ("yields", "bins", "covariance", "correlations")
_COLUMNS = ("observed", "background", "error", "error_up", "error_down", "covariance", "correlations")
_SHOWN = 30
_OBSERVED = re.compile(r"(?<![a-z])(data|observed|observation|n_?obs|obs)(?![a-z])", re.IGNORECASE)
_TOTAL = re.compile(
    r"(?<![a-z])((total|sum of|all)\W*(sm|backgrounds?|bkgs?|prediction|expect\w*)|(sm|background)\W*total|(sm|expected|predicted|estimated)\W*(total\W*)?"
    r"(background|bkg|events?|yields?|prediction|expectation)s?)(?![a-z])|^\W*(backgrounds?|bkg|sm|prediction|expected|total)\W*$",
    re.IGNORECASE,
)
_NO_EVENTS = re.compile(
    r"uncert|(?<![a-z])(?:err|error|unc)s?(?![a-z])|limit|cross.?section|efficienc|acceptance|ratio|pull|signal|significance|p-?value",
    re.IGNORECASE,
)
_UNCERTAINTY = re.compile(r"uncert|(?<![a-z])(?:err|error|unc)s?(?![a-z])", re.IGNORECASE)
_UP = re.compile(r"(?<![a-z])(?:up|upper|plus|high)(?![a-z])|\+", re.IGNORECASE)
_DOWN = re.compile(r"(?<![a-z])(?:down|lower|minus|low)(?![a-z])|-\W*$", re.IGNORECASE)
_POSTFIT = re.compile(
    r"post-?fit|after(\s+\w+){0,3}\s+(maximum[- ]likelihood\s+|simultaneous\s+)?fit\b", re.IGNORECASE
)
_TEX = r"(?:\\[,;:! ]|~|[\s${}]|\\(?:text|mathrm|rm|mbox|ensuremath|unit)\b)*"
# An inverse femtobarn, so that a cross section in the same text is none.
_LUMINOSITY = re.compile(rf"(?<!\d)(\d+(?:\.\d+)?){_TEX}\\?i?fb(?:inv|{_TEX}\^?{_TEX}[-−]{_TEX}1|(?<=ifb))")
_ENERGIES = {"0.9", "2.76", "5.02", "7", "8", "13", "13.6", "14"}
_DENSITY = re.compile(r"/\s*(\d+(?:\.\d+)?)?\s*(GeV|TeV)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TableSummary:
    """One table of a source, for a list.

    Attributes
    ----------
    name : str
    place : str
        Its file.
    n_rows : int
    columns : tuple of str
        Its columns, ranges first.
    role : str
        ``"yields"``, ``"covariance"``, ``"correlations"``, ``"other"`` or ``"unreadable"``.
    reason : str
        Why.
    """

    name: str
    place: str
    n_rows: int
    columns: tuple[str, ...]
    role: str
    reason: str


class HEPDataImporter:
    """A HEPData record, or one of its tables."""

    name = "hepdata"
    title = "HEPData tables (folder with submission.yaml, one YAML or JSON table, old .hep.dat)"

    def recognises(self, source: Source) -> bool:
        """A folder with ``submission.yaml`` or tables in YAML or JSON, or a file that begins as a table does."""
        if source.is_folder:
            return source.has("submission.yaml") or any(
                _is_table(Source(p)) for p in source.files() if Source(p).suffix in (".yaml", ".yml", ".json")
            )
        return _is_table(source)

    def inspect(self, source: Source) -> tuple[TableSummary, ...]:
        """The tables, and what each looks like."""
        record = read_submission(source)
        broken = tuple(
            TableSummary(name, source.path.name, 0, (), "unreadable", why)
            for name, why in record.faults.items()
        )
        return tuple(_summary(table) for table in record.tables) + broken

    def read(self, source: Source, options: Options) -> Imported:
        """Read the search; see the module for the choices a mapping makes."""
        record = read_submission(source)
        mapping = propose(record, options.mapping, str(source.path))
        notes: list[str] = []
        table = _yields(record, mapping["tables"], notes)
        notes.insert(
            0,
            f"HEPData: {counted(len(record.tables), 'table')}, bins from table {table.name!r} of {counted(table.n_rows, 'row')}",
        )
        notes += [f"table {name!r}: cannot be read, not used ({why})" for name, why in record.faults.items()]
        draft = _draft(table, mapping, notes)
        draft.texts = {
            "title": record.tables[0].name if len(record.tables) == 1 else "",
            "reference": record.reference,
            "source": f"HEPData table {table.name!r}",
            "licence": record.licence,
        }
        draft.name = source.path.name.split(".")[0]
        draft.luminosity_fb = _luminosity(record, table, notes)
        draft.sqrt_s_tev = _energy(record, table)
        draft.matrix = _matrix(record, mapping, notes)
        draft.labels = _row_labels(table)
        used = {name for given in mapping["tables"].values() for name in _each(given)}
        notes += [_unused(t) for t in record.tables if t.name not in used]
        return draft.imported(self.name, options, source, keys=_KEYS)


IMPORTER = HEPDataImporter()


def _unused(table: DataTable) -> str:
    role = _role(table)[0]
    why = (
        f"; it looks like a matrix, but {counted(table.n_rows, 'row')} hold neither all pairs of these bins nor one triangle"
        if role in ("covariance", "correlations")
        else ""
    )
    return f"table {table.name!r}: not used{why}"


def inspect(source: Source) -> tuple[TableSummary, ...]:
    """The tables of a HEPData source; `HEPDataImporter.inspect`."""
    return IMPORTER.inspect(source)


def _is_table(source: Source) -> bool:
    head = source.head(65536)
    if source.suffix == ".dat":
        return b"*dataset:" in head or b"*data:" in head
    if source.suffix == ".json":
        return b'"headers"' in head or b'"dependent_variables"' in head
    return source.suffix in (".yaml", ".yml") and (b"dependent_variables:" in head or b"data_file:" in head)


# --- what is what -----------------------------------------------------------------------------------------


def _summary(table: DataTable) -> TableSummary:
    role, reason = _role(table)
    columns = tuple(c.name for c in table.independent + table.dependent)
    return TableSummary(table.name, Path(table.place).name, table.n_rows, columns, role, reason)


def _role(table: DataTable) -> tuple[str, str]:
    """What a table looks like, and why."""
    words = " ".join([table.name, *(c.name for c in table.dependent)])
    square = len(table.independent) == 1 and len(table.dependent) == table.n_rows > 1
    if (len(table.independent) == 2 or square) and (
        is_matrix_name(words) or is_matrix_name(table.description)
    ):
        said = (words if is_matrix_name(words) else table.description).lower()
        role = "correlations" if "covar" not in said and "corr" in said else "covariance"
        shape = "a column per row" if square else "two independent variables"
        return role, f"{shape}, and its name says so"
    observed, total = _observed_columns(table), _total_columns(table)
    if observed and total:
        return "yields", f"{observed[0].name!r} is observed, {total[0].name!r} the background"
    if observed:
        return "other", f"{observed[0].name!r} looks observed, no column is named as the total background"
    if total:
        return "other", f"{total[0].name!r} looks like the background, no column is named as observed events"
    return "other", "no column is named as observed events"


def _observed_columns(table: DataTable) -> list[Column]:
    return [c for c in table.dependent if _OBSERVED.search(c.name) and _may_be_events(c)]


def _may_be_events(column: Column) -> bool:
    return not _NO_EVENTS.search(column.name) and column.units.strip().lower() not in ("pb", "fb", "ab", "%")


def _total_columns(table: DataTable) -> list[Column]:
    observed = _observed_columns(table)
    named = [c for c in table.dependent if c not in observed and _TOTAL.search(c.name) and _may_be_events(c)]
    if named:
        return named
    # Some records keep the name of a process for the total, and say in a qualifier what the column is.
    return [
        c
        for c in table.dependent
        if c not in observed and any("total background" in text.lower() for _, text in c.qualifiers)
    ]


def propose(record: Submission, given: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Complete a mapping where only one choice is possible.

    Parameters
    ----------
    record : Submission
    given : mapping
        What the user says; it is kept.
    place : str
        File or folder, for errors.

    Returns
    -------
    dict
        With ``tables`` and ``columns`` filled in.

    Raises
    ------
    InputError
        If there are several choices or none; the text lists tables or columns.
    """
    _check_keys(given)
    tables, columns = dict(given.get("tables", {})), dict(given.get("columns", {}))
    if "yields" not in tables:
        tables["yields"] = _proposed_table(record, place)
    table = _yields(record, tables, [])
    for key, found in (("observed", _observed_columns(table)), ("background", _total_columns(table))):
        if key in columns:
            continue
        if len(found) != 1:
            if key == "background":
                # A distribution that holds no events needs no further questions.
                _counts(table, _column(table, columns["observed"], "observed"))
            raise InputError(_which_column(table, key, found))
        columns[key] = found[0].name
    if not {"covariance", "correlations"} & (tables.keys() | given.keys()):
        tables |= _proposed_matrix(record, table, place)
    columns |= _proposed_errors(table, columns)
    return {**given, "tables": tables, "columns": columns}


def _check_keys(given: Mapping[str, Any]) -> None:
    for key in ("tables", "columns", "errors"):
        if not isinstance(given.get(key, {}), dict):
            raise InputError(
                f'mapping: {key} must be an object, such as {{"tables": {{"yields": "Table 1"}}}}'
            )
    for key, names in (("tables", _TABLES), ("columns", _COLUMNS)):
        unknown = sorted(set(given.get(key, {})) - set(names))
        if unknown:
            raise InputError(f"mapping: nothing reads {key}.{unknown[0]}; there are {', '.join(names)}")


def _each(given: object) -> list[str]:
    """Names of tables that a value of the mapping gives."""
    return [str(name) for name in given] if isinstance(given, list | tuple) else [str(given)]


def _yields(record: Submission, tables: Mapping[str, Any], notes: list[str]) -> DataTable:
    """The table of the bins, put together where the mapping names several."""
    if not _each(tables["yields"]):
        raise InputError("mapping: tables.yields is an empty list; name a table, or several")
    table = joined([_named(record, name, "yields") for name in _each(tables["yields"])], notes)
    if "bins" in tables:
        table = with_bins(table, _named(record, tables["bins"], "bins"), notes)
    return table


def _halves(record: Submission) -> list[tuple[str, str]]:
    """Pairs of tables of the same rows, one with the observed events and one with the background."""
    plain = [t for t in record.tables if _role(t)[0] == "other"]
    return [
        (one.name, other.name)
        for one in plain
        for other in plain
        if _observed_columns(one) and _total_columns(other) and one is not other and same_rows(one, other)
    ]


def _proposed_table(record: Submission, place: str) -> str | list[str]:
    if len(record.tables) == 1:
        if _role(record.tables[0])[0] in ("covariance", "correlations"):
            raise InputError(f"{place}: {ALONE}")
        return record.tables[0].name
    found = [t.name for t in record.tables if _role(t)[0] == "yields"]
    if len(found) == 1:
        return found[0]
    halves = [] if found else _halves(record)
    if len(halves) == 1:
        return list(halves[0])
    listed = found or [t.name for t in record.tables]
    which = "look like yields" if found else "are there, none with columns named observed and background"
    raise InputError(
        f"{place}: {counted(len(listed), 'table')} {which} ({_listed(listed)}); say which one has the bins with a mapping, "
        f"{json.dumps({'tables': {'yields': listed[0]}}, ensure_ascii=False)}"
    )


def _proposed_errors(table: DataTable, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns with the uncertainty of a background that has none of its own, if no other choice is possible."""
    if {"error", "error_up", "error_down"} & columns.keys() or not isinstance(columns["background"], str):
        return {}
    if any(v.errors for v in _column(table, columns["background"], "background").values):
        return {}
    found = [
        c.name
        for c in table.dependent
        if _UNCERTAINTY.search(c.name)
        and not _OBSERVED.search(c.name)
        and not re.search(r"signal", c.name, re.IGNORECASE)
    ]
    up, down = ([name for name in found if side.search(name)] for side in (_UP, _DOWN))
    if len(found) == 1 and not up and not down:
        return {"error": found[0]}
    if len(found) == 2 and len(up) == len(down) == 1 and up != down:
        return {"error_up": up[0], "error_down": down[0]}
    if found:
        raise InputError(
            f"{table.place}: table {table.name!r}: {_listed(found)} may be the uncertainty of the background, which has no other; say which "
            f"with a mapping, {json.dumps({'columns': {'error': found}}, ensure_ascii=False)} (a list adds in quadrature, an empty one takes none)"
        )
    return {}


def _which_column(table: DataTable, key: str, found: Sequence[Column]) -> str:
    names = [c.name for c in (found or table.dependent)]
    what = f"{counted(len(found), 'column')} look like {key}" if found else f"no column is named as {key}"
    example = json.dumps({"columns": {key: names[0] if found else "..."}}, ensure_ascii=False)
    return (
        f"{table.place}: table {table.name!r}: {what} ({_listed(names)}); say which with a mapping, {example}"
    )


def _proposed_matrix(record: Submission, table: DataTable, place: str) -> dict[str, str]:
    full = table.n_rows**2, table.n_rows * (table.n_rows + 1) // 2
    for role in ("covariance", "correlations"):
        found = [
            t.name
            for t in record.tables
            if _role(t)[0] == role
            and (t.n_rows in full if len(t.independent) == 2 else t.n_rows == table.n_rows)
        ]
        if len(found) > 1:
            raise InputError(
                f"{place}: {counted(len(found), 'table')} look like the {role} of {counted(table.n_rows, 'bin')} ({_listed(found)}); say which with a "
                f"mapping, {json.dumps({'tables': {role: found[0]}}, ensure_ascii=False)}"
            )
        if found:
            return {role: found[0]}
    return {}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more


def _named(record: Submission, name: object, key: str) -> DataTable:
    found = [t for t in record.tables if t.name == name]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise InputError(f"mapping: {key} is table {name!r}; {counted(len(found), 'table')} are called so")
    if str(name) in record.faults:
        raise DocumentError(record.faults[str(name)])
    raise InputError(
        f"mapping: {key} is table {name!r}; there are {_listed([t.name for t in record.tables])}"
    )


def _column(table: DataTable, name: object, key: str) -> Column:
    found = [c for c in table.dependent if c.name == name]
    if len(found) != 1:
        why = f"{counted(len(found), 'column')} are called so" if found else "there is no such column"
        raise InputError(
            f"mapping: {key} is column {name!r}; {why} in table {table.name!r}, which has "
            f"{_listed([c.name for c in table.dependent])}"
        )
    return found[0]


# --- a table to a draft -----------------------------------------------------------------------------------


def _draft(table: DataTable, mapping: Mapping[str, Any], notes: list[str]) -> Draft:
    columns = mapping["columns"]
    observed = _column(table, columns["observed"], "observed")
    backgrounds = _backgrounds(table, columns["background"])
    every = [column for columns in backgrounds.values() for column in columns]
    if observed in every:
        raise InputError(f"mapping: column {observed.name!r} is both observed and background")
    faults = Faults(Path(table.place))
    with faults.gathering():
        _check_prefit(table, every, mapping)
    bins = _Bins()
    with faults.gathering():
        bins = _bins(table, mapping, notes)
    low, high = bins.low, bins.high
    counts = np.zeros(table.n_rows)
    with faults.gathering():
        counts = _counts(table, observed, bins.names)
    for column in (observed, *every):
        with faults.gathering():
            _check_density(column, table, low, high, mapping, notes)
    high = _overflow(table, high, mapping, notes)
    notes.append(f"column {observed.name!r}: observed events, its errors are not used")
    processes: list[Process] = []
    for key, parts in backgrounds.items():
        with faults.gathering():
            estimate = _with_columns(
                _estimate(parts, table, mapping, notes), key, parts, table, columns, notes
            )
            processes.append(Process(key, "Background" if key == "background" else key, estimate))
    faults.check()
    used = {observed.name, *(c.name for c in every)}
    used |= {
        name for key in ("error", "error_up", "error_down") for name in _columns_of(columns.get(key, []))
    }
    notes += [f"column {c.name!r}: not used" for c in table.dependent if c.name not in used]
    return Draft(
        place=table.place,
        name=table.name,
        observed=counts,
        processes=tuple(processes),
        names=bins.names,
        notes=notes,
        observables=bins.observables,
        low=low,
        high=high,
        overlaps=bins.overlaps,
    )


def _columns_of(given: object) -> list[str]:
    """Names of columns: one, a list, or those of every process."""
    values = given.values() if isinstance(given, dict) else [given]
    return [name for value in values for name in _each(value)]


def _with_columns(
    estimate: Estimate,
    key: str,
    parts: Sequence[Column],
    table: DataTable,
    columns: Mapping[str, Any],
    notes: list[str],
) -> Estimate:
    """An estimate with the uncertainties that stand in columns of their own."""
    sides: dict[str, FloatArray] = {}
    for name, which in (
        ("error", ("syst_up", "syst_down")),
        ("error_up", ("syst_up",)),
        ("error_down", ("syst_down",)),
    ):
        given = columns.get(name)
        given = given.get(key) if isinstance(given, dict) else given
        if given is None:
            continue
        squares = np.zeros(table.n_rows)
        for one in _each(given):
            squares += (
                _uncertainties(
                    _column(table, one, name),
                    key,
                    estimate.nominal,
                    table,
                    notes,
                    signed=name == "error_down",
                )
                ** 2
            )
        sides |= dict.fromkeys(which, np.sqrt(squares))
    if sides and any(v.errors for c in parts for v in c.values):
        raise DocumentError(
            f"{table.place}: {parts[0].name!r} has uncertainties of its own beside the column of the mapping; take one of the two"
        )
    if len(sides) == 1:
        raise InputError(
            "mapping: columns has one of error_up and error_down; give both, or error for a symmetric one"
        )
    return replace(estimate, **sides)


def _uncertainties(
    column: Column, key: str, nominal: FloatArray, table: DataTable, notes: list[str], *, signed: bool
) -> FloatArray:
    """Uncertainties of a column of their own, in events; those downward may carry their sign."""
    values = np.abs(column.numbers) if signed else column.numbers
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        i = int(np.argmax(bad))
        raise DocumentError(
            f"{table.place}: {column.name!r} is {column.values[i].text!r} in row {i + 1}; an uncertainty is a finite number >= 0"
        )
    unit = unit_of(f"{column.name} {column.units}")
    if unit == 1.0 and (values > 1).any():
        raise DocumentError(
            f"{table.place}: {column.name!r} is relative and above 1; where it is in per cent the table must say so as %"
        )
    said = {0.01: ", in per cent", 1.0: ", relative"}.get(unit or 0.0, "")
    notes.append(f"column {column.name!r}: uncertainty of {key}{said}")
    return values if unit is None else values * unit * nominal


def _counts(table: DataTable, column: Column, names: Sequence[str] = ()) -> FloatArray:
    labels = names or tuple(f"row {i + 1}" for i in range(table.n_rows))
    place = f"{table.place}: {column.name!r}"
    strange = [f"{v.text!r} in {labels[i]}" for i, v in enumerate(column.values) if math.isnan(v.number)]
    if strange:
        raise DocumentError(
            f"{place}: observed is {', '.join(strange[:10])}; observed events are whole numbers, leave such rows out"
        )
    return whole_counts(column.numbers, labels, place)


def _backgrounds(table: DataTable, given: Any) -> dict[str, list[Column]]:
    """Columns of every process; those of a list in an object are added up."""
    if isinstance(given, str):
        return {"background": [_column(table, given, "background")]}
    if isinstance(given, list | tuple) and given:
        return {str(name): [_column(table, name, "background")] for name in given}
    if isinstance(given, dict) and given:
        return {
            str(key): [
                _column(table, name, f"background {key}")
                for name in (value if isinstance(value, list) else [value])
            ]
            for key, value in given.items()
        }
    raise InputError(
        f"mapping: background is {given!r}; it must be a column, a list of columns, or an object"
    )


def _check_prefit(table: DataTable, backgrounds: Sequence[Column], mapping: Mapping[str, Any]) -> None:
    names = [c.name for c in backgrounds]
    if mapping.get("postfit") or all(re.search(r"pre-?fit", name, re.IGNORECASE) for name in names):
        return
    texts = [table.description, *names, *(text for c in backgrounds for _, text in c.qualifiers)]
    found = next((m for text in texts if (m := _POSTFIT.search(text))), None)
    if found is not None:
        raise DocumentError(
            f"{table.place}: table {table.name!r} is post-fit ({found.group(0)!r} in its text); a fit that used the data of these "
            'bins would use them twice. If the fit was to other regions only, say so with a mapping, {"postfit": true}'
        )


def _check_density(
    column: Column,
    table: DataTable,
    low: FloatArray | None,
    high: FloatArray | None,
    mapping: Mapping[str, Any],
    notes: list[str],
) -> None:
    """Events per GeV are no events, except where the width that the header names is that of every bin."""
    match = _DENSITY.search(f"{column.name} {column.units}")
    if match is None or mapping.get("per_bin"):
        return
    width = float(match.group(1) or 1.0)
    widths = np.array([]) if low is None or high is None or low.shape[1] != 1 else (high - low)[:, 0]
    if widths.size and np.allclose(widths, width, rtol=1e-6):
        notes.append(
            f"column {column.name!r}: every bin is {width:g} wide as its header says, so it holds events"
        )
        return
    raise DocumentError(
        f"{table.place}: column {column.name!r} says events{match.group(0)} and the bins have other widths; if its values are "
        'events per bin say so with a mapping, {"per_bin": true}'
    )


# --- bins -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bins:
    """Names or ranges of the rows, and pairs that overlap by their names' cuts."""

    names: tuple[str, ...] = ()
    observables: tuple[Observable, ...] = ()
    low: FloatArray | None = None
    high: FloatArray | None = None
    overlaps: NDArray[np.bool_] | None = None


def _bins(table: DataTable, mapping: Mapping[str, Any], notes: list[str]) -> _Bins:
    axes = table.independent
    if "edges" in mapping:
        return _Bins((), *_given_edges(table, mapping["edges"], notes))
    ranges = [_axis(axis, table, mapping, notes, alone=len(axes) == 1) for axis in axes]
    if axes and all(r is not None for r in ranges):
        low = np.array([r[0] for r in ranges if r is not None]).T
        high = np.array([r[1] for r in ranges if r is not None]).T
        return _Bins((), tuple(observable(a.name, a.units) for a in axes), low, high)
    if len(axes) == 1 and _is_index(axes[0]):
        notes.append(f"column {axes[0].name!r}: numbers of the bins, no ranges")
        return _Bins()
    names = tuple(", ".join(axis.values[i].label for axis in axes) for i in range(table.n_rows))
    check_names(names, table.place)
    cuts = parse_cuts(names)
    if cuts is not None and cuts.observables:
        shown = ", ".join(o.name for o in cuts.observables)
        notes += [
            f"column {axis.name!r}: names of the regions, and ranges of {shown} from their cuts"
            for axis in axes
        ]
        return _Bins(names, cuts.observables, cuts.low, cuts.high)
    notes += [f"column {axis.name!r}: names of the regions, no ranges" for axis in axes]
    return _Bins(names, overlaps=cuts.overlaps if cuts is not None and cuts.overlaps.any() else None)


def _overflow(
    table: DataTable, high: FloatArray | None, mapping: Mapping[str, Any], notes: list[str]
) -> FloatArray | None:
    """The upper edges; of the last bin it is infinite where the mapping says that it holds the overflow."""
    said = mapping.get("overflow")
    if said is not None and (not isinstance(said, bool) or high is None or high.shape[1] != 1):
        raise InputError("mapping: overflow must be true or false, for a table with ranges of one variable")
    if high is None or high.shape[1] != 1 or np.isinf(high).any():
        return high
    if said is None and re.search(r"overflow", table.description, re.IGNORECASE):
        notes.append(
            f"table {table.name!r} speaks of overflow; the last bin ends at {high[-1, 0]:g} unless the mapping has "
            '{"overflow": true}'
        )
    if not said:
        return high
    notes.append("last bin: holds the overflow, as the mapping says")
    return np.concatenate([high[:-1], [[np.inf]]])


def _given_edges(
    table: DataTable, edges: Any, notes: list[str]
) -> tuple[tuple[Observable, ...], FloatArray, FloatArray]:
    if len(table.independent) != 1 or not isinstance(edges, list) or len(edges) != table.n_rows + 1:
        raise InputError(
            f"mapping: edges must be a list of {table.n_rows + 1} numbers for table {table.name!r}, which must have one "
            "independent variable"
        )
    try:
        steps = np.array([float(e) for e in edges])
    except (TypeError, ValueError) as error:
        raise InputError(f"mapping: edges must be numbers ({error})") from error
    axis = table.independent[0]
    notes.append(f"column {axis.name!r}: edges as the mapping says")
    return (observable(axis.name, axis.units),), steps[:-1, None], steps[1:, None]


def _is_index(axis: Column) -> bool:
    """Whether an axis counts bins: 0.5, 1.5, ... or 0, 1, ... or 1, 2, ..., or ranges of width one around these."""
    centres = [(v.low + v.high) / 2 if v.has_edges else v.number for v in axis.values]
    if not np.isfinite(centres).all():
        return False
    steps = np.diff(centres)
    return not axis.units and centres[0] in (0.0, 0.5, 1.0) and bool((steps == 1.0).all())


def _axis(
    axis: Column, table: DataTable, mapping: Mapping[str, Any], notes: list[str], *, alone: bool
) -> tuple[list[float], list[float]] | None:
    """Lower and upper edges of one axis, or None where it names regions or counts bins."""
    if alone and _is_index(axis):
        return None
    if all(v.has_edges for v in axis.values):
        low = _begun([v.low for v in axis.values], axis, table, mapping, notes)
        notes.append(f"column {axis.name!r}: ranges of the bins")
        return low, [v.high for v in axis.values]
    if alone and all(math.isfinite(v.number) for v in axis.values):
        return _from_centres(axis, table, notes)
    counts = observable(axis.name, axis.units).discrete
    parsed = [
        parse_range(v.label, counts=counts) if not v.has_edges else (v.low, v.high) for v in axis.values
    ]
    if any(p is None for p in parsed):
        return None
    notes.append(f"column {axis.name!r}: ranges of the bins")
    low = _begun([p[0] for p in parsed if p is not None], axis, table, mapping, notes)
    return low, [p[1] for p in parsed if p is not None]


def _begun(
    lows: list[float], axis: Column, table: DataTable, mapping: Mapping[str, Any], notes: list[str]
) -> list[float]:
    """Lower edges, those at minus infinity put where the observable begins."""
    if not any(map(math.isinf, lows)):
        return lows
    start = lowest(observable(axis.name, axis.units), mapping.get("lowest"))
    if start is None:
        raise DocumentError(
            f"{table.place}: a bin of {axis.name!r} begins at minus infinity; say where it begins with a mapping, "
            '{"lowest": 0}, or leave the underflow out'
        )
    notes.append(f"column {axis.name!r}: what has no lower end begins at {start:g}")
    return [start if math.isinf(low) else low for low in lows]


def _from_centres(axis: Column, table: DataTable, notes: list[str]) -> tuple[list[float], list[float]]:
    centres = axis.numbers
    steps = np.diff(centres)
    if steps.size == 0 or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-6):
        raise DocumentError(
            f"{table.place}: {axis.name!r} has centres of bins and not their edges, and they are not equally far apart; give the "
            f'{len(centres) + 1} edges with a mapping, {{"edges": [...]}}'
        )
    half = float(steps[0]) / 2
    notes.append(
        f"column {axis.name!r}: centres of bins, taken as equally wide from {centres[0] - half:g} to {centres[-1] + half:g}"
    )
    return list(centres - half), list(centres + half)


# --- uncertainties ----------------------------------------------------------------------------------------


def _estimate(
    columns: Sequence[Column], table: DataTable, mapping: Mapping[str, Any], notes: list[str]
) -> Estimate:
    """Sum of columns with uncertainties: those labelled stat are statistical, others systematic, in quadrature."""
    squares = {key: np.zeros(table.n_rows) for key in ("stat_up", "stat_down", "syst_up", "syst_down")}
    for column in columns:
        place = f"{table.place}: {column.name!r}"
        _check_signs(column, place, mapping)
        kinds = _kinds(column, place, mapping)
        for i, value in enumerate(column.values):
            for label, error in _labelled(value):
                if kinds[label] == "ignore":
                    continue
                up, down = error.sides
                if mapping.get("minus") == "distance" and error.minus > 0:
                    up, down = abs(error.plus), abs(error.minus)
                squares[f"{kinds[label]}_up"][i] += up**2
                squares[f"{kinds[label]}_down"][i] += down**2
        notes.append(_about_errors(column, kinds))
    return Estimate(
        _nominal(columns, table, mapping, notes), **{key: np.sqrt(value) for key, value in squares.items()}
    )


def _nominal(
    columns: Sequence[Column], table: DataTable, mapping: Mapping[str, Any], notes: list[str]
) -> FloatArray:
    what = " + ".join(repr(c.name) for c in columns)
    values = np.sum([c.numbers for c in columns], axis=0)
    if mapping.get("negative") not in (None, "zero"):
        raise InputError(f"mapping: negative is {mapping['negative']!r}; it must be zero")
    below = values < 0
    if below.any() and mapping.get("negative") == "zero":
        notes.append(
            f"{what}: {values[below].sum():.3g} events in {counted(int(below.sum()), 'row')} set to zero"
        )
        values = np.maximum(values, 0.0)
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        shown = ", ".join(
            f"{' + '.join(c.values[i].text or 'empty' for c in columns)} in row {i + 1}"
            for i in np.flatnonzero(bad)[:10]
        )
        cure = '; set them to zero with a mapping, {"negative": "zero"}' if not np.isnan(values).any() else ""
        raise DocumentError(
            f"{table.place}: {what} is {shown}; expected events are finite numbers >= 0{cure}"
        )
    return np.asarray(values)


def _labelled(value: Value) -> list[tuple[str, Any]]:
    """Uncertainties with labels; several without one are told apart by their place."""
    several = sum(not e.label for e in value.errors) > 1
    return [(e.label or (f"error {k}" if several else ""), e) for k, e in enumerate(value.errors, start=1)]


def _kinds(column: Column, place: str, mapping: Mapping[str, Any]) -> dict[str, str]:
    """Whether each label is ``stat``, ``syst`` or to ``ignore``."""
    given = mapping.get("errors", {})
    labels = list(dict.fromkeys(label for v in column.values for label, _ in _labelled(v)))
    kinds = {label: _kind(label, labels) for label in labels}
    for label, kind in given.items():
        if kind not in ("stat", "syst", "ignore"):
            raise InputError(f"mapping: errors say {kind!r} of {label!r}; it must be stat, syst or ignore")
    kinds |= {label: kind for label, kind in given.items() if label in kinds}
    unclear = [label for label in labels if re.fullmatch(r"error \d+", label) and label not in given]
    if unclear:
        example = json.dumps({"errors": dict(zip(unclear, ("stat", "syst", "ignore"), strict=False))})
        raise InputError(
            f"{place}: values have {len(unclear)} uncertainties without labels; they may be statistical and systematic, or one and "
            f"two standard deviations: say which with a mapping, {example}"
        )
    return kinds


def _kind(label: str, labels: Sequence[str]) -> str:
    plain = label.lower()
    totals = [other for other in labels if _is_whole(other)]
    if totals and label not in totals and len(labels) > 1:
        return "ignore"
    if re.search(r"(?<!\d)2\s*(s\.?\s*d|sigma|σ|st)|95\s*%", plain):
        return "ignore"
    return "stat" if _says_stat(plain) and "sys" not in plain else "syst"


def _says_stat(plain: str) -> bool:
    return re.search(r"(?<!non)(?<!non[- ])stat", plain) is not None


def _is_whole(label: str) -> bool:
    """Whether a label says the whole uncertainty: ``total``, ``stat+syst``; ``total syst`` is no more than ``syst``."""
    plain = label.lower()
    stat, syst = _says_stat(plain), "sys" in plain
    return stat == syst and (stat or re.search(r"\b(total|tot)\b", plain) is not None)


def _about_errors(column: Column, kinds: Mapping[str, str]) -> str:
    one_sided = any(
        e.sides != (abs(e.plus), abs(e.minus)) and 0.0 in e.sides and any(e.sides)
        for v in column.values
        for e in v.errors
    )
    bare = sum(not v.errors for v in column.values)
    said = [f"{label or 'unlabelled'} {kind}" for label, kind in kinds.items()]
    text = f"column {column.name!r}: background, uncertainties: {', '.join(said) or 'none'}"
    if one_sided:
        text += "; some are one-sided and leave the other side 0"
    if bare and said:
        text += f"; {bare} values have none"
    return text


def _check_signs(column: Column, place: str, mapping: Mapping[str, Any]) -> None:
    """``minus`` carries a sign; a column in which none has one is a mistake that only its author can tell."""
    errors = [e for v in column.values for e in v.errors if e.plus > 0 and e.minus != 0]
    errors = [e for e in errors if not math.isnan(e.minus)]
    if mapping.get("minus") not in (None, "distance", "signed"):
        raise InputError(f"mapping: minus is {mapping['minus']!r}; it must be distance or signed")
    if errors and all(e.minus > 0 for e in errors) and "minus" not in mapping:
        raise DocumentError(
            f"{place}: every uncertainty has minus > 0, such as {errors[0].minus:g}; minus carries its sign, so these would all "
            'point upward. Say what they are with a mapping, {"minus": "distance"} or {"minus": "signed"}'
        )


# --- what else a record says ------------------------------------------------------------------------------


def _matrix(record: Submission, mapping: Mapping[str, Any], notes: list[str]) -> Matrix | None:
    for key in ("covariance", "correlations"):
        name = mapping["tables"].get(key)
        if name is not None:
            notes.append(f"table {name!r}: {key} of the bins")
            table = _named(record, name, key)
            column = mapping["columns"].get(key)
            if column is not None:
                table = replace(table, dependent=(_column(table, column, key),))
            return of_table(table, correlations=key == "correlations")
    return None


def _row_labels(table: DataTable) -> Sequence[str]:
    """What names the rows, where one axis tells them all apart."""
    labels = table.independent[0].labels if len(table.independent) == 1 else ()
    return labels if len(set(labels)) == len(labels) else ()


def _luminosity(record: Submission, table: DataTable, notes: list[str]) -> float | None:
    """The luminosity, where qualifiers or text name exactly one."""
    qualifiers = [text for c in table.dependent for name, text in c.qualifiers if "LUMI" in name.upper()]
    texts = qualifiers or [table.description, record.comment]
    found = {m.group(1) for text in texts for m in _LUMINOSITY.finditer(text)}
    found |= {m.group(1) for text in qualifiers if (m := re.fullmatch(r"(\d+(?:\.\d+)?)( fb.*)?", text))}
    values = {float(text) for text in found}
    for text in qualifiers:
        # Inverse picobarns, and other spellings of the unit.
        with contextlib.suppress(InputError):
            values.add(float(f"{quantity('luminosity_fb', text):.12g}"))
    if len(values) != 1:
        return None
    value = values.pop()
    if value <= 0:
        return None
    notes.append(f"luminosity: {value:g} fb^-1, from the {'qualifiers' if qualifiers else 'text'}")
    return value


def _energy(record: Submission, table: DataTable) -> float | None:
    for c in table.dependent:
        for name, text in c.qualifiers:
            match = re.match(r"\d+(?:\.\d+)?", text)
            if "SQRT(S" in name.upper() and match is not None:
                value = float(match.group(0))
                return value / 1000 if value > 100 else value
    # A mass in TeV is no energy of the collider.
    found = {m.group(1) for m in re.finditer(rf"(\d+(?:\.\d+)?){_TEX}\\?TeV", record.comment)} & _ENERGIES
    return float(found.pop()) if len(found) == 1 else None
