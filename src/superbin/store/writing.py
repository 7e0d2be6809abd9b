"""What changes the tables. Every function works inside its caller's transaction and commits nothing.

Each row that is written comes with the digest of its record, and with the count of its like where it belongs.

A search is replaced in place: its row and its bins stay, so that the signals in these bins stay too.
"""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from typing import Any, Literal

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from superbin._support.shown import counted
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel, point_text
from superbin.errors import InputError, OutputError
from superbin.results.scan import DONE, FAILED
from superbin.store import reading, records, rows, schema

__all__ = [
    "Deleted",
    "Replaced",
    "add",
    "delete_search",
    "drop_signals",
    "put_search",
    "put_signals",
    "recount",
    "refresh",
]

_log = logging.getLogger(__name__)

_Origin = Literal["packaged", "imported"]


@dataclass(frozen=True, slots=True)
class Replaced:
    """What went when something else was stored in its place.

    Attributes
    ----------
    digest : str or None
        SHA-256 of the content of the search that was replaced; None if only signals were, or its record is damaged.
    packaged : bool
        Whether that search came with superbin.
    imported : dt.datetime or None
        When it was stored, in UTC.
    files : tuple of str
        Names of its files, which went with it.
    signals : tuple of str
        Points of signals that were replaced, such as ``T1bbbb(1750, 1)``.
    """

    digest: str | None = None
    packaged: bool = False
    imported: dt.datetime | None = None
    files: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """What went with a search that was deleted.

    Attributes
    ----------
    search : str
        Its name.
    packaged : bool
        Whether it came with superbin.
    n_signals, n_scans : int
        Signals and scans in its bins.
    """

    search: str
    packaged: bool
    n_signals: int
    n_scans: int


def put_search(
    connection: Connection,
    search: Search,
    files: Mapping[str, bytes] | None = None,
    *,
    origin: _Origin,
    replace: bool,
) -> Replaced | None:
    """Store a search with its files, new or in the place of one of its name, of which it gives a description.

    Raises
    ------
    OutputError
        If it is stored already and `replace` is false.
    InputError
        If stored signals are in bins that the new search has not.
    """
    row = reading.find_search(connection, search.name)
    note = _import_note(origin, search)
    values = rows.search_row(search)
    stored = rows.stored_files(search, files or {})
    digests = {name: rows.file_digest(name, content) for name, content in sorted(stored.items())}
    record = records.of_search({**values, **note}, search.n_bins, [p.name for p in search.processes], digests)
    note["record_digest"] = records.record_digest("search", record)
    if row is not None and not replace:
        raise OutputError(
            f"search {search.name!r} is stored already; replace it with --replace (replace=True), "
            "or give the new one another name"
        )
    values["provenance_id"] = _insert_one(connection, schema.provenance, note)
    if row is None:
        search_id = _insert_one(connection, schema.searches, values)
        _insert(connection, rows.bin_rows(search, search_id))
        add(connection, schema.database, 1, n_searches=1)
        replaced = None
    else:
        replaced = _described(connection, row)
        search_id = row.id
        _empty(connection, search, search_id)
        connection.execute(update(schema.searches).where(schema.searches.c.id == search_id).values(**values))
        # Only now: the search would go with it.
        connection.execute(delete(schema.provenance).where(schema.provenance.c.id == row.provenance_id))
    connection.execute(delete(schema.bundle_files).where(schema.bundle_files.c.search_id == search_id))
    _insert(connection, [*rows.search_rows(search, search_id), *rows.file_rows(stored, search_id)])
    return replaced


def _described(connection: Connection, row: Row[Any]) -> Replaced:
    """A search that is to be replaced; it may be damaged."""
    files = (name for name in reading.file_digests(connection, row.id) if not name.startswith(rows.INNER))
    imported = None if row.imported_utc is None else row.imported_utc.replace(tzinfo=dt.UTC)
    return Replaced(row.digest, row.origin == "packaged", imported, tuple(files))


def _empty(connection: Connection, search: Search, search_id: int) -> None:
    """Delete what a search consists of; its bins only if the new ones differ."""
    bins = schema.bins
    if not _same_bins(connection, search, search_id):
        of_search = schema.signals.c.search_id == search_id
        left = connection.scalar(select(func.count()).select_from(schema.signals).where(of_search)) or 0
        if left:
            raise InputError(
                f"search {search.name!r} has other bins than the stored one, whose {counted(left, 'signal')} would lose "
                "theirs; give the new search another name, or import it into another database"
            )
        connection.execute(delete(bins).where(bins.c.search_id == search_id))
        _insert(connection, rows.bin_rows(search, search_id))
    for table, _ in reversed(rows.search_rows(search, search_id)):
        connection.execute(delete(table).where(table.c.search_id == search_id))


def _same_bins(connection: Connection, search: Search, search_id: int) -> bool:
    try:
        observables, low, high = reading.load_bins(connection, search_id)
    except ValueError:  # damaged; to be replaced all the same
        return False
    return (
        [o.name for o in observables] == [o.name for o in search.observables]
        and np.array_equal(low, search.low)
        and np.array_equal(high, search.high)
    )


def put_signals(connection: Connection, signals: Iterable[SignalModel], *, origin: _Origin) -> None:
    """Store signals of any searches, at points that are free.

    Raises
    ------
    UnknownNameError
        If a signal's search is not stored.
    InputError
        If a signal has another number of bins than its search, or other parameters than its model.
    OutputError
        If a point is taken.
    """
    places: dict[str, _Place] = {}
    for signal in signals:
        place = places.get(signal.search) or _place(connection, signal.search)
        places[signal.search] = place
        _check_signal(signal, place)
        note = _import_note(origin, signal)
        values = {
            "model": signal.model,
            "point": point_text(signal.parameters.values()),
            "cross_section_pb": signal.cross_section_pb,
            "relative_error": float(signal.relative_error),
        }
        record = records.of_signal({**values, **note}, signal.search, list(signal.parameters.items()))
        note["record_digest"] = records.record_digest("signal", record)
        values |= {
            "search_id": place.search_id,
            "provenance_id": _insert_one(connection, schema.provenance, note),
        }
        signal_id = _insert_one(connection, schema.signals, values)
        _insert(connection, rows.signal_rows(signal, signal_id, place.search_id))
        add(connection, schema.searches, place.search_id, n_signals=1)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the signals of one search go, and what they must agree with."""

    search_id: int
    n_bins: int
    parameters: dict[str, list[str]]  # names by model
    taken: set[tuple[str, str]]  # models and points


def _place(connection: Connection, search: str) -> _Place:
    """As the rows say it, damaged or not, so that what is damaged can be replaced."""
    row = reading.require_search(connection, search)
    n_bins = connection.scalar(select(func.count()).where(schema.bins.c.search_id == row.id)) or 0
    signals, parameters = schema.signals, schema.signal_parameters
    query = (
        select(*signals.c["id", "model", "point"], parameters.c.name)
        .outerjoin(parameters, parameters.c.signal_id == signals.c.id)
        .where(signals.c.search_id == row.id)
        .order_by(signals.c.id, parameters.c.position)
    )
    names: dict[str, list[str]] = {}
    taken = set()
    for (_, model, point), named in groupby(reading.fetch(connection, query), key=lambda r: tuple(r[:3])):
        taken.add((model, point))
        names[model] = [entry.name for entry in named if entry.name is not None]
    return _Place(row.id, n_bins, names, taken)


def _key(signal: SignalModel) -> tuple[str, str]:
    return signal.model, point_text(signal.parameters.values())


def _check_signal(signal: SignalModel, place: _Place) -> None:
    if signal.yields.size != place.n_bins:
        raise InputError(
            f"signal {signal.label} has {counted(signal.yields.size, 'yield')}; search {signal.search!r} has {counted(place.n_bins, 'bin')}"
        )
    names = place.parameters.setdefault(signal.model, list(signal.parameters))
    if list(signal.parameters) != names:
        raise InputError(
            f"signal {signal.label} has the parameters {', '.join(signal.parameters)}; the other points of "
            f"{signal.model!r} have {', '.join(names)}, in this order"
        )
    if _key(signal) in place.taken:
        raise OutputError(
            f"signal {signal.label} is stored already, or given twice, for search {signal.search!r}; "
            "replace it with --replace (replace=True)"
        )
    place.taken.add(_key(signal))


def delete_search(connection: Connection, name: str) -> Deleted:
    """Delete a search, damaged or not, with all that belongs to it.

    Raises
    ------
    UnknownNameError
        If no search has this name.
    """
    row = reading.require_search(connection, name)
    n_signals, n_scans = (
        connection.scalar(select(func.count()).where(table.c.search_id == row.id)) or 0
        for table in (schema.signals, schema.scans)
    )
    _forget(connection, schema.signals.c.search_id == row.id)
    connection.execute(delete(schema.searches).where(schema.searches.c.id == row.id))
    connection.execute(delete(schema.provenance).where(schema.provenance.c.id == row.provenance_id))
    add(connection, schema.database, 1, n_searches=-1)
    return Deleted(name, row.origin == "packaged", n_signals, n_scans)


def drop_signals(connection: Connection, signals: Iterable[SignalModel]) -> tuple[str, ...]:
    """Delete whatever is stored at the points of these signals, and name what was."""
    dropped = []
    for signal in signals:
        model, point = _key(signal)
        same = (
            schema.searches.c.name == signal.search,
            schema.signals.c.model == model,
            schema.signals.c.point == point,
        )
        if _forget(connection, *same):
            dropped.append(signal.label)
    return tuple(dropped)


def _forget(connection: Connection, *which: ColumnElement[bool]) -> int:
    """Delete signals with all that was imported with them; how many there were."""
    signals, provenance = schema.signals, schema.provenance
    query = (
        select(*signals.c["id", "search_id", "provenance_id"])
        .join(schema.searches, schema.searches.c.id == signals.c.search_id)
        .outerjoin(provenance, provenance.c.id == signals.c.provenance_id)
        .where(*which)
    )
    found = connection.execute(query).all()
    for table, key in ((signals, "id"), (provenance, "provenance_id")):
        gone = [{"gone": getattr(row, key)} for row in found]
        if gone:
            connection.execute(delete(table).where(table.c.id == bindparam("gone")), gone)
    for search_id, number in Counter(row.search_id for row in found).items():
        add(connection, schema.searches, search_id, n_signals=-number)
    return len(found)


def refresh(
    connection: Connection, search: Search, signals: Iterable[SignalModel], files: Mapping[str, bytes]
) -> None:
    """Bring a packaged search and its signals up to date; what a user imported stays and goes first.

    Raises
    ------
    InputError
        If imported signals are in bins that the packaged search no longer has.
    """
    row = reading.find_search(connection, search.name)
    if row is not None and row.origin == "imported":
        _log.warning(
            "search %r was imported under the name of a packaged one; it stays as it is", search.name
        )
        return
    if row is not None:
        origin = schema.provenance.c.origin
        # Without provenance it cannot have been imported and be whole.
        _forget(connection, schema.signals.c.search_id == row.id, or_(origin == "packaged", origin.is_(None)))
    put_search(connection, search, files, origin="packaged", replace=True)
    theirs = _place(connection, search.name)
    ours = [
        signal
        for signal in signals
        if _key(signal) not in theirs.taken
        and theirs.parameters.get(signal.model, list(signal.parameters)) == list(signal.parameters)
    ]
    put_signals(connection, ours, origin="packaged")


def recount(connection: Connection) -> None:
    """Take the rows that are there for all there should be; a warning says where some are missing.

    Rows whose owner is lost go first.
    """
    for table in schema.metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            same = [element.parent == element.column for element in key.elements]
            orphan = ~exists().where(*same).correlate(table)
            gone = connection.execute(delete(table).where(orphan)).rowcount
            if gone:
                _log.warning("%s: %s rows that belonged to nothing are deleted", table.name, gone)
    signals, scans, points = schema.signals.c, schema.scans.c, schema.scan_points.c
    tables: dict[Table, dict[str, Select[Any]]] = {
        schema.database: {"n_searches": select(func.count()).select_from(schema.searches)},
        schema.searches: {
            "n_signals": select(func.count()).where(signals.search_id == schema.searches.c.id),
            "n_scans": select(func.count()).where(scans.search_id == schema.searches.c.id),
        },
        schema.scans: {
            f"n_{status}": select(func.count()).where(points.scan_id == scans.id, points.status == status)
            for status in (DONE, FAILED)
        },
    }
    for table, counts in tables.items():
        actual = [query.scalar_subquery().label(f"actual_{name}") for name, query in counts.items()]
        for row in connection.execute(select(table, *actual)).mappings():
            wrong = {n: row[f"actual_{n}"] for n in counts if row[n] != row[f"actual_{n}"]}
            for name, number in wrong.items():
                place = f"{row['name']!r}" if "name" in row else f"row {row['id']}"
                _log.warning(
                    "%s: %s of %s was %s, and is now %s as counted",
                    table.name,
                    name,
                    place,
                    row[name],
                    number,
                )
            if wrong:
                connection.execute(update(table).where(table.c.id == row["id"]).values(**wrong))


def add(connection: Connection, table: Table, key: int, **numbers: int) -> None:
    """Add to counts of a row, which are not counted again: rows missing before are missing after."""
    values = {name: table.c[name] + number for name, number in numbers.items()}
    connection.execute(update(table).where(table.c.id == key).values(**values))


def _import_note(origin: _Origin, imported: Search | SignalModel) -> dict[str, Any]:
    """The row of provenance of what is imported now, without its record's digest."""
    return {
        "origin": origin,
        "source": imported.source,
        "digest": imported.digest,
        "superbin_version": version("superbin"),
        "imported_utc": dt.datetime.now(dt.UTC).replace(microsecond=0, tzinfo=None),
    }


def _insert_one(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    key: Any = connection.execute(insert(table).values(**values)).inserted_primary_key
    return int(key[0])


def _insert(connection: Connection, tables: rows.Rows) -> None:
    for table, values in tables:
        if values:  # SQLAlchemy would insert one row of defaults
            connection.execute(insert(table), values)
