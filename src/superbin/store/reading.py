"""Rows as domain values again, each checked against the digest written beside it when it was imported."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, Table, func, select

from superbin._arrays import FloatArray
from superbin.errors import DatabaseError, UnknownNameError
from superbin.search import Estimate, Observable, Process, Search
from superbin.signal import SignalModel, point_label
from superbin.store import rows, schema

__all__ = [
    "StoredSearch",
    "StoredSignal",
    "find_search",
    "list_searches",
    "list_signals",
    "load_bins",
    "load_search",
    "load_signal",
    "nearest",
    "require_search",
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
    """All searches by name."""
    n_bins, n_signals = (
        select(func.count()).where(table.c.search_id == schema.searches.c.id).scalar_subquery()
        for table in (schema.bins, schema.signals)
    )
    query = (
        select(schema.searches, schema.provenance, n_bins.label("n_bins"), n_signals.label("n_signals"))
        .join(schema.provenance)
        .order_by(schema.searches.c.name)
    )
    return tuple(
        StoredSearch(
            name=row.name,
            title=row.title,
            reference=row.reference,
            luminosity_fb=row.luminosity_fb,
            sqrt_s_tev=row.sqrt_s_tev,
            n_bins=row.n_bins,
            n_signals=row.n_signals,
            packaged=row.origin == "packaged",
            source=row.source,
            digest=row.digest,
            superbin=row.superbin_version,
            imported=row.imported_utc.replace(tzinfo=dt.UTC),
        )
        for row in connection.execute(query)
    )


def list_signals(connection: Connection, search: str | None = None) -> tuple[StoredSignal, ...]:
    """Signals by search, model and parameters."""
    query = (
        select(
            schema.signals,
            schema.searches.c.name.label("search"),
            *schema.provenance.c["origin", "source", "digest", "superbin_version", "imported_utc"],
            *schema.signal_parameters.c["name", "value"],
        )
        .join(schema.searches, schema.searches.c.id == schema.signals.c.search_id)
        .join(schema.provenance, schema.provenance.c.id == schema.signals.c.provenance_id)
        .outerjoin(schema.signal_parameters, schema.signal_parameters.c.signal_id == schema.signals.c.id)
        .order_by(schema.signals.c.id, schema.signal_parameters.c.position)
    )
    if search is not None:
        query = query.where(schema.searches.c.name == search)
    listed = [
        _stored_signal(list(group)) for _, group in groupby(connection.execute(query), lambda row: row.id)
    ]
    return tuple(sorted(listed, key=lambda s: (s.search, s.model, tuple(s.parameters.values()))))


def _stored_signal(parameters: list[Row[Any]]) -> StoredSignal:
    """One signal from its rows, one for each parameter."""
    first = parameters[0]
    return StoredSignal(
        search=first.search,
        model=first.model,
        parameters=MappingProxyType({row.name: row.value for row in parameters if row.name is not None}),
        cross_section_pb=first.cross_section_pb,
        packaged=first.origin == "packaged",
        source=first.source,
        digest=first.digest,
        superbin=first.superbin_version,
        imported=first.imported_utc.replace(tzinfo=dt.UTC),
    )


def find_search(connection: Connection, name: str) -> Row[Any] | None:
    """The row of a search with its provenance, or None."""
    query = (
        select(schema.searches, *schema.provenance.c["origin", "source", "digest"])
        .join(schema.provenance)
        .where(schema.searches.c.name == name)
    )
    return connection.execute(query).one_or_none()


def require_search(connection: Connection, name: str) -> Row[Any]:
    """As `find_search`, for a search that must be there.

    Raises
    ------
    UnknownNameError
        If it is not; the text names the nearest one that is.
    """
    row = find_search(connection, name)
    if row is None:
        names = connection.scalars(select(schema.searches.c.name)).all()
        raise UnknownNameError(f"search {name!r} is not in the database; {nearest(name, names)}")
    return row


def nearest(name: str, names: Iterable[str]) -> str:
    """What to say of the names there are when one is none of them: the most alike first."""
    known = sorted(
        set(map(str, names)), key=lambda n: (-SequenceMatcher(None, name.lower(), n.lower()).ratio(), n)
    )
    if not known:
        return "it holds none; import one with: superbin db import"
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
        observables, low, high = load_bins(connection, row.id)
        processes = _load_processes(connection, row.id)
        search = Search(
            name=row.name,
            title=row.title,
            reference=row.reference,
            luminosity_fb=row.luminosity_fb,
            sqrt_s_tev=row.sqrt_s_tev,
            observables=observables,
            low=low,
            high=high,
            processes=processes,
            observed=_ordered(connection, schema.observations, row.id, "events")[:, 0],
            shared_stat=_load_groups(connection, row.id, processes),
            source=row.source,
        )
    except (ValueError, IndexError) as error:
        raise _changed(f"search {row.name!r}", str(error), row.origin) from error
    if search.digest != row.digest:
        how = f"digest {search.digest[:12]} instead of {row.digest[:12]}"
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
        for row in connection.execute(query)
    )
    count = select(func.count()).where(schema.bins.c.search_id == search_id)
    shape = (connection.scalar(count) or 0, len(observables))
    ranges = _ordered(connection, schema.bin_ranges, search_id, "low", "high")
    high = np.where(np.isnan(ranges[:, 1]), np.inf, ranges[:, 1])  # NULL means "and above"
    return observables, ranges[:, 0].reshape(shape), high.reshape(shape)


def _load_processes(connection: Connection, search_id: int) -> tuple[Process, ...]:
    table = schema.processes
    query = select(table).where(table.c.search_id == search_id).order_by(table.c.position)
    named = connection.execute(query).all()
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
        for _, members in groupby(connection.execute(query), key=lambda row: row.position)
    )


def _ordered(connection: Connection, table: Table, search_id: int, *columns: str) -> FloatArray:
    """Columns of a search's rows in the order of the primary key, which begins with the search."""
    query = select(*(table.c[name] for name in columns)).where(table.c.search_id == search_id)
    return _numbers(connection, query.order_by(*table.primary_key.columns), len(columns))


def _numbers(connection: Connection, query: Select[Any], columns: int) -> FloatArray:
    """Rows of numbers as an array of shape (n_rows, columns); NULL is NaN."""
    # NumPy takes tuples apart ten times as fast as SQLAlchemy's rows.
    found = [tuple(row) for row in connection.execute(query)]
    return np.array(found, dtype=np.float64).reshape(len(found), columns)


def load_signal(
    connection: Connection, *, search_id: int, search: str, model: str, point: str
) -> SignalModel | None:
    """The signal at a point, or None.

    Raises
    ------
    DatabaseError
        If the content is not what was imported.
    """
    query = (
        select(schema.signals, *schema.provenance.c["origin", "source", "digest"])
        .join(schema.provenance)
        .where(
            schema.signals.c.search_id == search_id,
            schema.signals.c.model == model,
            schema.signals.c.point == point,
        )
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    parameters, yields = schema.signal_parameters, schema.signal_yields
    named = connection.execute(
        select(*parameters.c["name", "value"])
        .where(parameters.c.signal_id == row.id)
        .order_by(parameters.c.position)
    )
    events = select(*yields.c["events", "error"]).where(yields.c.signal_id == row.id).order_by(yields.c.bin)
    try:
        numbers = _numbers(connection, events, 2)
        signal = SignalModel(
            model=row.model,
            parameters={entry.name: entry.value for entry in named},
            search=search,
            yields=numbers[:, 0],
            errors=numbers[:, 1],
            source=row.source,
            cross_section_pb=row.cross_section_pb,
        )
    except ValueError as error:
        raise _changed(f"signal {model}({point})", str(error), row.origin) from error
    if signal.digest != row.digest:
        how = f"digest {signal.digest[:12]} instead of {row.digest[:12]}"
        raise _changed(f"signal {signal.label}", how, row.origin)
    if rows.point(signal.parameters.values()) != point:
        raise DatabaseError(
            f"signal {signal.label} in the database stands at the point {point}, which superbin never writes; "
            "restore the database from a copy"
        )
    return signal


def _changed(what: str, how: str, origin: str) -> DatabaseError:
    cure = "restore it with: superbin db init" if origin == "packaged" else "import it again with --replace"
    return DatabaseError(f"{what} in the database is not what was imported ({how}); {cure}")
