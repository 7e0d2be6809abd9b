"""Rows as domain values again, each checked against the digests written beside it when it was imported.

`superbin.store.records` says what a record is: its digest is compared before any value of a row is used, that of the
content once there is content. The number of rows is compared wherever one may be missing.
"""

import datetime as dt
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
from sqlalchemy import Column, Connection, Row, Select, Table, func, select

from superbin._support.arrays import FloatArray
from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.domain.signal import SignalModel, point_label, point_text
from superbin.errors import DatabaseError, UnknownNameError
from superbin.store import records, rows, schema

__all__ = [
    "StoredSearch",
    "StoredSignal",
    "check_count",
    "check_search",
    "check_searches",
    "fetch",
    "file_digests",
    "find_search",
    "holds_signal",
    "list_searches",
    "list_signals",
    "load_bins",
    "load_files",
    "load_search",
    "load_signal",
    "nearest",
    "require_search",
    "unindexed",
]


@dataclass(frozen=True, slots=True)
class StoredSearch:
    """What a listing says of a search.

    Attributes
    ----------
    name, title, reference : str
    luminosity_fb, sqrt_s_tev : float
        fb^-1 and TeV.
    n_bins, n_signals : int
        How many bins it has, and how many signals in them are stored.
    packaged : bool
        Whether it came with superbin, which keeps it up to date, or was imported.
    source, digest : str
        Where its numbers come from, and the SHA-256 of its content.
    superbin : str
        Version that imported it.
    imported : dt.datetime
        When, in UTC.
    """

    name: str
    title: str
    reference: str
    luminosity_fb: float
    sqrt_s_tev: float
    n_bins: int
    n_signals: int
    packaged: bool
    source: str
    digest: str
    superbin: str
    imported: dt.datetime


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """What a listing says of a signal.

    Attributes
    ----------
    search, model : str
    parameters : mapping of str to float
        In the order the command line takes them; masses in GeV.
    cross_section_pb : float or None
    packaged, source, digest, superbin, imported
        As of `StoredSearch`.
    """

    search: str
    model: str
    parameters: Mapping[str, float]
    cross_section_pb: float | None
    packaged: bool
    source: str
    digest: str
    superbin: str
    imported: dt.datetime

    @property
    def label(self) -> str:
        """Name with parameters, such as ``T1bbbb(1750, 1)``."""
        return point_label(self.model, self.parameters.values())


def list_searches(connection: Connection) -> tuple[StoredSearch, ...]:
    """All searches by name.

    Raises
    ------
    DatabaseError
        If one is missing, or not what was imported.
    """
    n_bins, n_signals = (
        select(func.count()).where(table.c.search_id == schema.searches.c.id).scalar_subquery()
        for table in (schema.bins, schema.signals)
    )
    found = fetch(
        connection,
        _searches()
        .add_columns(n_bins.label("bins"), n_signals.label("signals"))
        .order_by(schema.searches.c.name),
    )
    check_searches(connection, len(found))
    return tuple(_stored_search(connection, row) for row in found)


def check_searches(connection: Connection, found: int) -> None:
    """Refuse a listing of all searches that lacks one.

    Raises
    ------
    DatabaseError
    """
    check_count("the searches", found, connection.scalar(select(schema.database.c.n_searches)))


def _stored_search(connection: Connection, row: Row[Any]) -> StoredSearch:
    _check_search(row, row.bins, _process_names(connection, row.id), file_digests(connection, row.id))
    check_count(f"the signals in the bins of search {row.name!r}", row.signals, row.n_signals)
    return StoredSearch(
        name=row.name,
        title=row.title,
        reference=row.reference,
        luminosity_fb=row.luminosity_fb,
        sqrt_s_tev=row.sqrt_s_tev,
        n_bins=row.bins,
        n_signals=row.signals,
        packaged=row.origin == "packaged",
        source=row.source,
        digest=row.digest,
        superbin=row.superbin_version,
        imported=row.imported_utc.replace(tzinfo=dt.UTC),
    )


def _check_search(row: Row[Any], n_bins: int, processes: Sequence[str], files: Mapping[str, str]) -> None:
    record = records.of_search(row._asdict(), n_bins, processes, files)
    if not records.matches(row.record_digest, "search", record):
        raise _changed(f"search {row.name!r}", "its record has another digest", row.origin)


def check_search(connection: Connection, row: Row[Any]) -> None:
    """Refuse a row that `find_search` gave if it is not what was imported; its content is not looked at.

    Raises
    ------
    DatabaseError
    """
    n_bins = connection.scalar(select(func.count()).where(schema.bins.c.search_id == row.id)) or 0
    _check_search(row, n_bins, _process_names(connection, row.id), file_digests(connection, row.id))


def file_digests(connection: Connection, search_id: int) -> dict[str, str]:
    """Digests of a search's files by name."""
    table = schema.bundle_files
    query = select(*table.c["name", "digest"]).where(table.c.search_id == search_id).order_by(table.c.name)
    return {row.name: row.digest for row in fetch(connection, query)}


def load_files(connection: Connection, row: Row[Any], names: Iterable[str]) -> dict[str, bytes]:
    """Contents of some files of a search whose record was checked.

    Raises
    ------
    DatabaseError
        If one is not what was imported.
    """
    table = schema.bundle_files
    wanted = list(names)
    query = select(table).where(table.c.search_id == row.id, table.c.name.in_(wanted))
    found: dict[str, bytes] = {}
    for entry in fetch(connection, query):
        content = bytes(entry.content)
        if rows.file_digest(entry.name, content) != entry.digest:
            raise _changed(
                f"file {entry.name!r} of search {row.name!r}", "its content has another digest", row.origin
            )
        found[entry.name] = content
    missing = [name for name in wanted if name not in found]
    if missing:
        raise unindexed(f"file {missing[0]!r} of search {row.name!r}")
    return found


def _process_names(connection: Connection, search_id: int) -> list[str]:
    table = schema.processes
    query = select(table.c.name).where(table.c.search_id == search_id).order_by(table.c.position)
    return [row.name for row in fetch(connection, query)]


def list_signals(connection: Connection, search: str | None = None) -> tuple[StoredSignal, ...]:
    """Signals by search, model and parameters.

    Raises
    ------
    DatabaseError
        If one is missing, or not what was imported.
    """
    query = _signals().order_by(schema.signals.c.id)
    owners = select(*schema.searches.c["id", "name", "n_signals"])
    if search is not None:
        query, owners = (q.where(schema.searches.c.name == search) for q in (query, owners))
    found = fetch(connection, query)
    numbers = Counter(row.search_id for row in found)
    checked = fetch(connection, owners)
    if search is None:
        check_searches(connection, len(checked))
    for owner in checked:
        check_count(f"the signals in the bins of search {owner.name!r}", numbers[owner.id], owner.n_signals)
    parameters = _parameters(connection, [row.id for row in found])
    listed = [_stored_signal(row, parameters[row.id]) for row in found]
    return tuple(sorted(listed, key=lambda s: (s.search, s.model, tuple(s.parameters.values()))))


def _parameters(connection: Connection, signals: Sequence[int]) -> dict[int, list[tuple[str, float]]]:
    """Names and values of the parameters of signals, in order."""
    table = schema.signal_parameters
    query = select(*table.c["signal_id", "name", "value"]).order_by(table.c.signal_id, table.c.position)
    if len(signals) == 1:  # more than a few would not fit into one statement
        query = query.where(table.c.signal_id == signals[0])
    found: dict[int, list[tuple[str, float]]] = defaultdict(list)
    for row in fetch(connection, query):
        found[row.signal_id].append((row.name, row.value))
    return found


def _stored_signal(row: Row[Any], parameters: list[tuple[str, float]]) -> StoredSignal:
    _check_signal(row, parameters)
    return StoredSignal(
        search=row.search,
        model=row.model,
        parameters=MappingProxyType(dict(parameters)),
        cross_section_pb=row.cross_section_pb,
        packaged=row.origin == "packaged",
        source=row.source,
        digest=row.digest,
        superbin=row.superbin_version,
        imported=row.imported_utc.replace(tzinfo=dt.UTC),
    )


def _check_signal(row: Row[Any], parameters: list[tuple[str, float]]) -> None:
    """Refuse a signal that is not what was imported, its yields aside."""
    record = records.of_signal(row._asdict(), row.search, parameters)
    if not records.matches(row.record_digest, "signal", record):
        raise _changed(f"signal {row.model}({row.point})", "its record has another digest", row.origin)
    # A record of schema version 2 was taken as it stood.
    if point_text(value for _, value in parameters) != row.point:
        raise _changed(f"signal {row.model}({row.point})", "its parameters are others", row.origin)


def _searches() -> Select[Any]:
    """Searches with their provenance, which a damaged one may lack."""
    return select(schema.searches, *_provenance()).outerjoin(
        schema.provenance, schema.provenance.c.id == schema.searches.c.provenance_id
    )


def _signals() -> Select[Any]:
    """Signals with their search's name and their provenance, which a damaged one may lack."""
    return (
        select(schema.signals, schema.searches.c.name.label("search"), *_provenance())
        .join(schema.searches, schema.searches.c.id == schema.signals.c.search_id)
        .outerjoin(schema.provenance, schema.provenance.c.id == schema.signals.c.provenance_id)
    )


def _provenance() -> list[Column[Any]]:
    return [column for column in schema.provenance.c if column.name != "id"]


def fetch(connection: Connection, query: Select[Any]) -> Sequence[Row[Any]]:
    """Rows of a query.

    Raises
    ------
    DatabaseError
        If a value is not of its column's type, which SQLite does not see to.
    """
    try:
        return connection.execute(query).all()
    except (ValueError, TypeError) as error:
        raise DatabaseError(
            f"the database holds a value of another type than its column ({error}); restore the database from a "
            "copy, or move it away and superbin makes a new one"
        ) from error


def check_count(what: str, found: object, stored: object) -> None:
    """Refuse rows that are not as many as were written.

    Raises
    ------
    DatabaseError
        If rows are missing or too many.
    """
    if found != stored:
        raise DatabaseError(
            f"{what} in the database are {found} and not {stored}: rows are missing; restore the database from a "
            "copy, or take what is left with: superbin db init"
        )


def find_search(connection: Connection, name: str) -> Row[Any] | None:
    """The row of a search with its provenance, or None; `load_search` checks it."""
    found = fetch(connection, _searches().where(schema.searches.c.name == name))
    return found[0] if found else None


def require_search(connection: Connection, name: str) -> Row[Any]:
    """As `find_search`, for a search that must be there.

    Raises
    ------
    UnknownNameError
        If it is not; the text names the nearest one that is.
    DatabaseError
        If the database is damaged, so that it may have been there.
    """
    row = find_search(connection, name)
    if row is None:
        names = [search.name for search in list_searches(connection)]
        if name in names:
            raise unindexed(f"search {name!r}")
        raise UnknownNameError(f"search {name!r} is not in the database; {nearest(name, names)}")
    return row


def unindexed(what: str) -> DatabaseError:
    """The error for what a lookup misses and a listing has."""
    return DatabaseError(
        f"{what} is in the database, but an index does not lead to it; restore the database from a copy, or "
        "move it away and superbin makes a new one"
    )


def nearest(name: str, names: Iterable[str]) -> str:
    """What to say of the names there are when one is none of them: the most alike first."""
    known = sorted(
        set(map(str, names)), key=lambda n: (-SequenceMatcher(None, name.lower(), n.lower()).ratio(), n)
    )
    if not known:
        return "there is none yet; import one with: superbin db import"
    others = f", others are {', '.join(known[1:6])}" if known[1:] else ""
    return f"the nearest is {known[0]!r}{others}"


def load_search(connection: Connection, row: Row[Any]) -> Search:
    """The search of a row that `find_search` gave.

    Raises
    ------
    DatabaseError
        If the content is not what was imported.
    """
    try:
        check_search(connection, row)
        observables, low, high = load_bins(connection, row.id)
        processes = _load_processes(connection, row.id)
        fields = {
            "name": row.name,
            "title": row.title,
            "reference": row.reference,
            "luminosity_fb": row.luminosity_fb,
            "sqrt_s_tev": row.sqrt_s_tev,
            "observables": observables,
            "low": low,
            "high": high,
            "processes": processes,
            "observed": _ordered(connection, schema.observations, row.id, "events")[:, 0],
            "shared_stat": _load_groups(connection, row.id, processes),
            "source": row.source,
        }
        inner = [name for name in file_digests(connection, row.id) if name.startswith(rows.INNER)]
        files = load_files(connection, row, inner)
        search = Search(**rows.search_of_files(fields, files, len(low)))
        digest = search.digest
    except (ValueError, TypeError, LookupError, AttributeError, zlib.error) as error:
        raise _changed(f"search {row.name!r}", str(error), row.origin) from error
    if digest != row.digest:
        how = f"digest {digest[:12]} instead of {row.digest[:12]}"
        raise _changed(f"search {row.name!r}", how, row.origin)
    return search


def load_bins(
    connection: Connection, search_id: int
) -> tuple[tuple[Observable, ...], FloatArray, FloatArray]:
    """Observables and edges of a search's bins.

    Returns
    -------
    observables : tuple of Observable
    low, high : ndarray, shape (n_bins, n_observables)
    """
    table = schema.observables
    query = select(table).where(table.c.search_id == search_id).order_by(table.c.position)
    observables = tuple(
        Observable(name=row.name, label=row.label, unit=row.unit, discrete=row.discrete)
        for row in fetch(connection, query)
    )
    count = select(func.count()).where(schema.bins.c.search_id == search_id)
    shape = (connection.scalar(count) or 0, len(observables))
    ranges = _ordered(connection, schema.bin_ranges, search_id, "low", "high")
    high = np.where(np.isnan(ranges[:, 1]), np.inf, ranges[:, 1])  # NULL means "and above"
    return observables, ranges[:, 0].reshape(shape), high.reshape(shape)


def _load_processes(connection: Connection, search_id: int) -> tuple[Process, ...]:
    table = schema.processes
    query = select(table).where(table.c.search_id == search_id).order_by(table.c.position)
    named = fetch(connection, query)
    parts = Estimate.__slots__
    numbers = _ordered(connection, schema.estimates, search_id, *parts).reshape(len(named), -1, len(parts))
    return tuple(
        Process(name=row.name, label=row.label, estimate=Estimate(*block.T))
        for row, block in zip(named, numbers, strict=True)
    )


def _load_groups(
    connection: Connection, search_id: int, processes: tuple[Process, ...]
) -> tuple[tuple[str, ...], ...]:
    group, member = schema.shared_stat_groups.c, schema.shared_stat_members.c
    # The outer join keeps a group without members, which is a group all the same.
    query = (
        select(group.position, member.process)
        .outerjoin(
            schema.shared_stat_members,
            (member.search_id == group.search_id) & (member.stat_group == group.position),
        )
        .where(group.search_id == search_id)
        .order_by(group.position, member.position)
    )
    return tuple(
        tuple(processes[row.process].name for row in members if row.process is not None)
        for _, members in groupby(fetch(connection, query), key=lambda row: row.position)
    )


def _ordered(connection: Connection, table: Table, search_id: int, *columns: str) -> FloatArray:
    """Columns of a search's rows in the order of the primary key, which begins with the search."""
    query = select(*(table.c[name] for name in columns)).where(table.c.search_id == search_id)
    return _numbers(connection, query.order_by(*table.primary_key.columns), len(columns))


def _numbers(connection: Connection, query: Select[Any], columns: int) -> FloatArray:
    """Rows of numbers as an array of shape (n_rows, columns); NULL is NaN."""
    # NumPy takes tuples apart ten times as fast as SQLAlchemy's rows.
    found = [tuple(row) for row in fetch(connection, query)]
    return np.array(found, dtype=np.float64).reshape(len(found), columns)


def load_signal(connection: Connection, *, search: str, model: str, point: str) -> SignalModel | None:
    """The signal at a point, by its canonical text (`superbin.domain.signal.point_text`), or None.

    Raises
    ------
    DatabaseError
        If it is not what was imported.
    """
    row = _find_signal(connection, search, model, point)
    if row is None:
        return None
    parameters = _parameters(connection, [row.id])[row.id]
    _check_signal(row, parameters)
    yields = schema.signal_yields
    events = select(*yields.c["events", "error"]).where(yields.c.signal_id == row.id).order_by(yields.c.bin)
    try:
        numbers = _numbers(connection, events, 2)
        signal = SignalModel(
            model=row.model,
            parameters=dict(parameters),
            search=search,
            yields=numbers[:, 0],
            errors=numbers[:, 1],
            source=row.source,
            cross_section_pb=row.cross_section_pb,
            variations=_variations(connection, row.id, len(numbers)),
            relative_error=row.relative_error,
        )
    except (ValueError, TypeError) as error:
        raise _changed(f"signal {model}({point})", str(error), row.origin) from error
    if signal.digest != row.digest:
        how = f"digest {signal.digest[:12]} instead of {row.digest[:12]}"
        raise _changed(f"signal {signal.label}", how, row.origin)
    return signal


def _variations(
    connection: Connection, signal_id: int, n_bins: int
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Yields up and down by systematic source; a missing row is a ValueError."""
    names, yields = schema.signal_variations, schema.signal_variation_yields
    sources = fetch(
        connection,
        select(*names.c["position", "name"]).where(names.c.signal_id == signal_id).order_by(names.c.position),
    )
    if not sources:
        return {}
    query = (
        select(*yields.c["events_up", "events_down"])
        .where(yields.c.signal_id == signal_id)
        .order_by(yields.c.variation, yields.c.bin)
    )
    numbers = _numbers(connection, query, 2).reshape(len(sources), n_bins, 2)
    return {str(row.name): (values[:, 0], values[:, 1]) for row, values in zip(sources, numbers, strict=True)}


def _find_signal(connection: Connection, search: str, model: str, point: str) -> Row[Any] | None:
    query = _signals().where(
        schema.searches.c.name == search, schema.signals.c.model == model, schema.signals.c.point == point
    )
    found = fetch(connection, query)
    return found[0] if found else None


def holds_signal(connection: Connection, *, search: str, model: str, point: str) -> bool:
    """Whether a signal stands at a point; no damage makes one that does look as if it did not.

    Raises
    ------
    DatabaseError
        If it is not found and the signals of the search are not what was imported.
    """
    if _find_signal(connection, search, model, point) is not None:
        return True
    for stored in list_signals(connection, search):
        if stored.model == model and point_text(stored.parameters.values()) == point:
            raise unindexed(f"signal {stored.label}")
    return False


def _changed(what: str, how: str, origin: str | None) -> DatabaseError:
    cures = {
        "packaged": "restore it with: superbin db init",
        "imported": "import it again with --replace, or restore the database from a copy",
    }
    cure = cures.get(str(origin), ", or ".join(cures.values()))
    return DatabaseError(f"{what} in the database is not what was imported ({how}); {cure}")
