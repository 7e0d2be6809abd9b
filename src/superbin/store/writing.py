"""What changes the tables. Every function works inside its caller's transaction and commits nothing.

A search is replaced in place: its row and its bins stay, so that the signals in these bins stay too.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

from superbin.errors import InputError, OutputError
from superbin.search import Search
from superbin.signal import SignalModel
from superbin.store import reading, rows, schema

__all__ = ["drop_signals", "put_search", "put_signals", "refresh"]

_log = logging.getLogger(__name__)

_Origin = Literal["packaged", "imported"]


def put_search(connection: Connection, search: Search, *, origin: _Origin, replace: bool) -> None:
    """Store a search, new or in the place of one of its name.

    Raises
    ------
    OutputError
        If it is stored already and `replace` is false.
    InputError
        If stored signals are in bins that the new search has not.
    """
    row = reading.find_search(connection, search.name)
    note = {**_import_note(origin), "source": search.source, "digest": search.digest}
    if row is None:
        provenance_id = _insert_one(connection, schema.provenance, note)
        values = {**rows.search_row(search), "provenance_id": provenance_id}
        search_id = _insert_one(connection, schema.searches, values)
        _insert(connection, rows.bin_rows(search, search_id))
    elif replace:
        search_id = row.id
        _empty(connection, search, search_id)
        for table, key, values in (
            (schema.provenance, row.provenance_id, note),
            (schema.searches, search_id, rows.search_row(search)),
        ):
            connection.execute(update(table).where(table.c.id == key).values(**values))
    else:
        raise OutputError(
            f"search {search.name!r} is stored already; replace it with --replace (replace=True), "
            "or give the new one another name"
        )
    _insert(connection, rows.search_rows(search, search_id))


def _empty(connection: Connection, search: Search, search_id: int) -> None:
    """Delete what a search consists of; its bins only if the new ones differ."""
    bins = schema.bins
    if not _same_bins(connection, search, search_id):
        of_search = schema.signals.c.search_id == search_id
        left = connection.scalar(select(func.count()).select_from(schema.signals).where(of_search)) or 0
        if left:
            raise InputError(
                f"search {search.name!r} has other bins than the stored one, whose {left} signals would lose "
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
    note = _import_note(origin)
    places: dict[str, _Place] = {}
    for signal in signals:
        place = places.get(signal.search) or _place(connection, signal.search)
        places[signal.search] = place
        _check_signal(signal, place)
        provenance = {**note, "source": signal.source, "digest": signal.digest}
        values = {
            "search_id": place.search_id,
            "model": signal.model,
            "point": rows.point(signal.parameters.values()),
            "cross_section_pb": signal.cross_section_pb,
            "provenance_id": _insert_one(connection, schema.provenance, provenance),
        }
        signal_id = _insert_one(connection, schema.signals, values)
        _insert(connection, rows.signal_rows(signal, signal_id, place.search_id))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the signals of one search go, and what they must agree with."""

    search_id: int
    n_bins: int
    parameters: dict[str, list[str]]  # names by model
    taken: set[tuple[str, str]]  # models and points


def _place(connection: Connection, search: str) -> _Place:
    row = reading.require_search(connection, search)
    n_bins = connection.scalar(select(func.count()).where(schema.bins.c.search_id == row.id)) or 0
    stored = reading.list_signals(connection, search)
    names = {signal.model: list(signal.parameters) for signal in stored}
    return _Place(row.id, n_bins, names, {_key(signal) for signal in stored})


def _key(signal: SignalModel | reading.StoredSignal) -> tuple[str, str]:
    return signal.model, rows.point(signal.parameters.values())


def _check_signal(signal: SignalModel, place: _Place) -> None:
    if signal.yields.size != place.n_bins:
        raise InputError(
            f"signal {signal.label} has {signal.yields.size} yields; search {signal.search!r} has {place.n_bins} bins"
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


def drop_signals(connection: Connection, signals: Iterable[SignalModel]) -> None:
    """Delete whatever is stored at the points of these signals."""
    for signal in signals:
        model, point = _key(signal)
        old = (
            select(schema.signals.c.provenance_id)
            .join(schema.searches, schema.searches.c.id == schema.signals.c.search_id)
            .where(
                schema.searches.c.name == signal.search,
                schema.signals.c.model == model,
                schema.signals.c.point == point,
            )
        )
        _forget(connection, connection.scalars(old).all())


def refresh(connection: Connection, search: Search, signals: Iterable[SignalModel]) -> None:
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
        packaged = (
            select(schema.provenance.c.id)
            .join(schema.signals)
            .where(schema.provenance.c.origin == "packaged", schema.signals.c.search_id == row.id)
        )
        _forget(connection, connection.scalars(packaged).all())
    put_search(connection, search, origin="packaged", replace=True)
    theirs = _place(connection, search.name)
    ours = [
        signal
        for signal in signals
        if _key(signal) not in theirs.taken
        and theirs.parameters.get(signal.model, list(signal.parameters)) == list(signal.parameters)
    ]
    put_signals(connection, ours, origin="packaged")


def _forget(connection: Connection, provenance: Sequence[int]) -> None:
    """Delete rows of provenance, and with each what was imported."""
    if provenance:
        gone = schema.provenance.c.id == bindparam("gone")
        connection.execute(delete(schema.provenance).where(gone), [{"gone": key} for key in provenance])


def _import_note(origin: _Origin) -> dict[str, Any]:
    """What the rows of provenance of one import have in common."""
    return {
        "origin": origin,
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
