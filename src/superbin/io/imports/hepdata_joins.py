"""Tables of a HEPData record put together: columns beside one another, rows below one another, bins that another table defines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from superbin._support.shown import counted
from superbin.errors import InputError
from superbin.io.imports.hepdata_tables import Column, DataTable, Value

__all__ = ["joined", "same_rows", "with_bins"]


def _keys(table: DataTable) -> list[tuple[str, ...]]:
    """What identifies every row: the values of its independent variables."""
    return [tuple(axis.values[i].label for axis in table.independent) for i in range(table.n_rows)]


def same_rows(first: DataTable, second: DataTable) -> bool:
    """Whether two tables have the same rows, in any order, and no row comes twice."""
    keys = _keys(first)
    return bool(first.independent) and len(set(keys)) == len(keys) and sorted(keys) == sorted(_keys(second))


def joined(tables: Sequence[DataTable], notes: list[str]) -> DataTable:
    """One table of several.

    Tables with the same rows give their columns; tables with the same columns give their rows, with a first variable that
    names the table where rows would be told apart by nothing else.

    Raises
    ------
    InputError
        If they have neither in common.
    """
    first, *others = tables
    if not others:
        return first
    names = ", ".join(repr(t.name) for t in tables)
    if all([c.name for c in t.dependent] == [c.name for c in first.dependent] for t in others) and all(
        len(t.independent) == len(first.independent) for t in others
    ):
        notes.append(f"tables {names}: their rows are put together, in this order")
        return _below(tables)
    if all(same_rows(first, t) for t in others):
        notes.append(f"tables {names}: their columns are put together, rows by {_axes(first)}")
        return _beside(tables)
    raise InputError(
        f"{first.place}: tables {names} have neither the same rows nor the same columns; their columns are "
        + "; ".join(f"{t.name!r}: {counted(t.n_rows, 'row')} by {_axes(t)}, {_columns(t)}" for t in tables)
    )


def _axes(table: DataTable) -> str:
    return ", ".join(repr(c.name) for c in table.independent) or "nothing"


def _columns(table: DataTable) -> str:
    return ", ".join(repr(c.name) for c in table.dependent[:8])


def _beside(tables: Sequence[DataTable]) -> DataTable:
    first = tables[0]
    order = _keys(first)
    counts = Counter(c.name for t in tables for c in t.dependent)
    dependent: list[Column] = []
    for table in tables:
        places = {key: i for i, key in enumerate(_keys(table))}
        rows = [places[key] for key in order]
        for c in table.dependent:
            name = c.name if counts[c.name] == 1 else f"{c.name} ({table.name})"
            dependent.append(replace(c, name=name, values=tuple(c.values[i] for i in rows)))
    return replace(
        first,
        name=" + ".join(t.name for t in tables),
        description=" ".join(t.description for t in tables),
        dependent=tuple(dependent),
    )


def _below(tables: Sequence[DataTable]) -> DataTable:
    first = tables[0]
    keys = [key for t in tables for key in _keys(t)]

    def stacked(side: str) -> list[Column]:
        return [
            replace(column, values=tuple(v for t in tables for v in getattr(t, side)[k].values))
            for k, column in enumerate(getattr(first, side))
        ]

    independent = stacked("independent")
    if len(set(keys)) < len(keys):
        labels = tuple(Value(t.name, float("nan")) for t in tables for _ in range(t.n_rows))
        independent.insert(0, Column("table", "", (), labels))
    return replace(
        first,
        name=" + ".join(t.name for t in tables),
        description=" ".join(t.description for t in tables),
        independent=tuple(independent),
        dependent=tuple(stacked("dependent")),
    )


def with_bins(table: DataTable, bins: DataTable, notes: list[str]) -> DataTable:
    """A table whose rows are described by another one: the columns of that become its independent variables.

    Raises
    ------
    InputError
        If the other has not a row for each of its rows.
    """
    if bins.n_rows != table.n_rows:
        raise InputError(
            f"{bins.place}: table {bins.name!r} of the bins has {counted(bins.n_rows, 'row')}; {table.name!r} has {table.n_rows}"
        )
    columns = bins.independent + bins.dependent
    wanted = [key[0] for key in _keys(table)] if len(table.independent) == 1 else []
    for column in columns:
        labels = list(column.labels)
        if wanted and len(set(wanted)) == len(wanted) and sorted(labels) == sorted(wanted):
            rows = [labels.index(label) for label in wanted]
            rest = [replace(c, values=tuple(c.values[i] for i in rows)) for c in columns if c is not column]
            if rest:
                notes.append(f"table {bins.name!r}: ranges of the bins, rows by {column.name!r}")
                return replace(table, independent=tuple(rest))
    notes.append(f"table {bins.name!r}: ranges of the bins, in the order of its rows")
    return replace(table, independent=columns)
