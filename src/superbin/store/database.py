"""`Store`: the open database, and the only class a user of this package needs."""

import dataclasses
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from sqlalchemy import Connection, func, insert, inspect, select, update

from superbin._support.shown import counted
from superbin.domain.bundle import Bundle
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel, point_label, point_text
from superbin.errors import DatabaseError, InputError, UnknownNameError
from superbin.results.scan import FinishedPoint, ScanPoint, ScanResult
from superbin.store import engine, migrations, reading, rows, scanning, schema, writing

__all__ = ["Store"]

_log = logging.getLogger(__name__)


class Store:
    """Searches and signals in a SQL database.

    Opening it makes the tables if the database is empty. Each method is one transaction: what fails leaves the
    database as it was. Use it as a context manager, or `close` it.

    Parameters
    ----------
    database : str or Path, optional
        The path of a SQLite file or an SQLAlchemy URL; by default the environment variable SUPERBIN_DATABASE,
        or else ``superbin.sqlite`` in the user's data directory.

    Raises
    ------
    DatabaseError
        If it cannot be reached, opened or made, is damaged, has a newer schema, or holds other tables.
    MissingDependencyError
        If its driver is not installed.

    Examples
    --------
    >>> with Store("sqlite://") as store:  # in memory
    ...     store.searches()
    ()
    """

    def __init__(self, database: str | Path | None = None) -> None:
        self._engine = engine.open_engine(engine.locate(database))
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @property
    def place(self) -> str:
        """The file's path, or the URL without its password."""
        return engine.describe(self._engine.url)

    @property
    def packaged_digest(self) -> str | None:
        """What `fill_packaged` was last given; None if it never was."""
        with engine.reading(self._engine) as connection:
            return connection.scalar(select(schema.database.c.packaged_digest))

    def searches(self) -> tuple[reading.StoredSearch, ...]:
        """List the searches, by name."""
        with engine.reading(self._engine) as connection:
            return reading.list_searches(connection)

    def search(self, name: str) -> Search:
        """Read a search.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        DatabaseError
            If its content is not what was imported.
        """
        with engine.reading(self._engine) as connection:
            return reading.load_search(connection, reading.require_search(connection, name))

    def files(self, search: str) -> tuple[str, ...]:
        """Names of the files of a search, such as ``grids/T1bbbb.csv.gz``, sorted.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        DatabaseError
            If its record is not what was imported.
        """
        with engine.reading(self._engine) as connection:
            row = reading.require_search(connection, search)
            reading.check_search(connection, row)
            names = reading.file_digests(connection, row.id)
            return tuple(name for name in names if not name.startswith(rows.INNER))

    def file(self, search: str, name: str) -> bytes:
        """The content of a file of a search.

        Raises
        ------
        UnknownNameError
            If the search has no such file, or there is no such search.
        DatabaseError
            If it is not what was imported.
        """
        with engine.reading(self._engine) as connection:
            row = reading.require_search(connection, search)
            reading.check_search(connection, row)
            names = [n for n in reading.file_digests(connection, row.id) if not n.startswith(rows.INNER)]
            if name not in names:
                raise UnknownNameError(
                    f"search {search!r} has no file {name!r}; {reading.nearest(name, names)}"
                )
            return reading.load_files(connection, row, [name])[name]

    def signals(self, search: str | None = None) -> tuple[reading.StoredSignal, ...]:
        """List the signals of a search, or of all, by search, model and parameters.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        """
        with engine.reading(self._engine) as connection:
            if search is not None:
                reading.require_search(connection, search)
            return reading.list_signals(connection, search)

    def signal(self, search: str, model: str, parameters: Sequence[float]) -> SignalModel:
        """Read a signal.

        Parameters
        ----------
        search, model : str
        parameters : sequence of float
            In the model's order, masses in GeV.

        Raises
        ------
        UnknownNameError
            If the search, model or point is not stored; the text names the nearest.
        InputError
            If the model has another number of parameters.
        DatabaseError
            If its content is not what was imported.
        """
        point = point_text(parameters)
        with engine.reading(self._engine) as connection:
            reading.require_search(connection, search)
            found = reading.load_signal(connection, search=search, model=model, point=point)
            if found is None:
                reading.holds_signal(connection, search=search, model=model, point=point)
                _refuse(reading.list_signals(connection, search), search, model, parameters)
            return found

    def holds_signal(self, search: str, model: str, parameters: Sequence[float]) -> bool:
        """Whether a signal stands at a point, so that `signal` reads it or says what is wrong with it.

        Parameters
        ----------
        search, model, parameters
            As of `signal`.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        DatabaseError
            If none is found and the database is damaged, so that one may have been there.
        """
        point = point_text(parameters)
        with engine.reading(self._engine) as connection:
            reading.require_search(connection, search)
            return reading.holds_signal(connection, search=search, model=model, point=point)

    def add_search(
        self,
        search: Search,
        *,
        signals: Iterable[SignalModel] = (),
        files: Mapping[str, bytes] | None = None,
        replace: bool = False,
    ) -> writing.Replaced | None:
        """Store a search, and signals and files with it, all or nothing.

        Parameters
        ----------
        search : Search
        signals : iterable of SignalModel
            Stored as by `add_signals`.
        files : mapping of str to bytes, optional
            As of `superbin.domain.bundle.Bundle`; they replace all files of a search that is replaced.
        replace : bool
            Whether it may take the place of a search of its name. The stored signals in its bins stay, except
            where `signals` has the same points.

        Returns
        -------
        Replaced or None
            What went; None if nothing did.

        Raises
        ------
        OutputError
            If it or a signal is stored already and `replace` is false.
        InputError
            If it has other bins than the search in whose place it comes while there are other signals in these;
            or if a signal has another number of bins, or other parameters than its model.
        UnknownNameError
            If a signal is in the bins of a search that is not stored.
        DatabaseError
            If the database cannot be written.
        """
        given = tuple(signals)
        with engine.writing(self._engine) as connection:
            dropped = writing.drop_signals(connection, given) if replace else ()
            replaced = writing.put_search(connection, search, files, origin="imported", replace=replace)
            writing.put_signals(connection, given, origin="imported")
        if dropped:
            return dataclasses.replace(replaced or writing.Replaced(), signals=dropped)
        return replaced

    def delete_search(self, name: str) -> writing.Deleted:
        """Delete a search with its signals, files and scans.

        Returns
        -------
        Deleted
            What went.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        DatabaseError
            If the database cannot be written.
        """
        with engine.writing(self._engine) as connection:
            return writing.delete_search(connection, name)

    def add_signals(
        self, signals: Iterable[SignalModel], *, replace: bool = False
    ) -> writing.Replaced | None:
        """Store signals in the bins of stored searches, all or none.

        Parameters
        ----------
        signals : iterable of SignalModel
        replace : bool
            Whether a signal may take the place of one at its point.

        Returns
        -------
        Replaced or None
            What went; None if nothing did.

        Raises
        ------
        OutputError
            If a signal is stored already and `replace` is false.
        InputError
            If a signal has another number of bins than its search, or other parameters than its model.
        UnknownNameError
            If a signal's search is not stored.
        DatabaseError
            If the database cannot be written.
        """
        given = tuple(signals)
        with engine.writing(self._engine) as connection:
            dropped = writing.drop_signals(connection, given) if replace else ()
            writing.put_signals(connection, given, origin="imported")
        return writing.Replaced(signals=dropped) if dropped else None

    def fill_packaged(
        self,
        packaged: Iterable[Bundle],
        *,
        digest: str,
        refresh: bool = False,
    ) -> None:
        """Store the searches and signals that come with superbin, unless a process did so meanwhile.

        What was imported by a user stays, and goes first where it has the same name or point.

        Parameters
        ----------
        packaged : iterable of Bundle
            Read only if needed.
        digest : str
            Of the packaged tables; kept, to be compared with theirs when the database is next opened.
        refresh : bool
            Whether to store them even if they are there already, to drop scans that are damaged, and to take the
            rows that are left for all there were.

        Raises
        ------
        InputError
            If imported signals are in bins that a packaged search no longer has.
        DatabaseError
            If the database cannot be written.
        """
        with engine.writing(self._engine) as connection:
            stored = connection.scalar(select(schema.database.c.packaged_digest))
            if stored == digest and not refresh:
                return
            if refresh:
                scanning.drop_damaged(connection)
                writing.recount(connection)
            for bundle in packaged:
                writing.refresh(connection, bundle.search, bundle.signals, bundle.files)
            connection.execute(update(schema.database).values(packaged_digest=digest))
        _log.info("filled %s with the packaged tables", self.place)

    def scans(self) -> tuple[scanning.StoredScan, ...]:
        """List the scans, by search, model and when they were begun."""
        with engine.reading(self._engine) as connection:
            return scanning.list_scans(connection)

    def begin_scan(self, header: ScanResult, *, fresh: bool = False) -> dict[str, ScanPoint]:
        """Create the record of a scan if it is new, and say which of its points are stored already.

        Parameters
        ----------
        header : ScanResult
            The scan; its points do not matter.
        fresh : bool
            Whether to forget what is stored of it.

        Returns
        -------
        dict of str to ScanPoint
            Stored points by the digest of their signal.

        Raises
        ------
        UnknownNameError
            If its search is not stored.
        InputError
            If the search that is stored has another content.
        DatabaseError
            If the database cannot be written, or a stored point is not what superbin writes.
        """
        with engine.writing(self._engine) as connection:
            if fresh:
                scanning.drop(connection, header.digest)
            scanning.begin(connection, header)
            return scanning.load(connection, header.digest)

    def add_scan_points(self, scan: str, points: Iterable[FinishedPoint]) -> None:
        """Store points of a scan after `begin_scan`, all or none.

        Parameters
        ----------
        scan : str
            The scan's digest.
        points : iterable of FinishedPoint
            Each takes the place of an earlier one of the same signal.

        Raises
        ------
        DatabaseError
            If the database cannot be written, or the scan is not there any more.
        """
        with engine.writing(self._engine) as connection:
            scanning.put(connection, scan, points)

    def _prepare(self) -> None:
        """Check what the database is; make the tables if it is nothing yet, or bring older ones up to date."""
        with engine.reading(self._engine) as connection:
            found = _version(connection, self.place)
        if found == schema.SCHEMA_VERSION:
            return
        try:
            with engine.migrating(self._engine) as connection:
                _bring_up(connection, self.place)
        except DatabaseError as error:
            if found is None:
                raise
            raise DatabaseError(
                f"schema version {found} cannot be brought to {schema.SCHEMA_VERSION}: {error}"
            ) from error


def _bring_up(connection: Connection, place: str) -> None:
    """Make the tables, or bring older ones up to date; the version that vouches for them comes last."""
    found = _version(connection, place)
    if found is None:
        # An interrupted process may have left tables, of this version or an older one, and nothing in them.
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)
        connection.execute(insert(schema.database).values(id=1, schema_version=schema.SCHEMA_VERSION))
    elif found < schema.SCHEMA_VERSION:
        migrations.upgrade(connection, found)


def _version(connection: Connection, place: str) -> int | None:
    """The schema's version; None if there are no tables, or another process is making them.

    Raises
    ------
    DatabaseError
        If it is one that this superbin cannot read, or the tables are of something else.
    """
    names = set(inspect(connection).get_table_names())
    foreign = sorted(names - set(schema.metadata.tables))
    marker = schema.database
    if marker.name not in names and foreign:
        raise DatabaseError(
            f"database {place} holds other tables ({', '.join(foreign[:3])}), and is not superbin's; "
            "name an empty database, or a new file"
        )
    # Written after the last table, so that it vouches for all of them.
    found = connection.scalar(select(marker.c.schema_version)) if marker.name in names else None
    if found is None:
        searches = schema.searches
        if searches.name in names and connection.scalar(select(func.count()).select_from(searches)):
            raise DatabaseError(
                f"database {place} holds searches, and its table {marker.name!r} has no row with a schema version; "
                "restore the database from a copy, or name another one"
            )
        return None
    if found not in range(1, schema.SCHEMA_VERSION + 1):
        raise DatabaseError(
            f"database {place} has schema version {found}; superbin {version('superbin')} reads version "
            f"{schema.SCHEMA_VERSION}: install a newer superbin, or name another database"
        )
    return int(found)


def _refuse(
    stored: Sequence[reading.StoredSignal], search: str, model: str, parameters: Sequence[float]
) -> NoReturn:
    """Say why there is no such signal, and what is nearest to it."""
    points = [tuple(s.parameters.values()) for s in stored if s.model == model]
    if not points:
        raise UnknownNameError(
            f"model {model!r} has no signals in the bins of {search!r}; "
            + reading.nearest(model, [s.model for s in stored])
        )
    names = next(tuple(s.parameters) for s in stored if s.model == model)
    if len(parameters) != len(names):
        raise InputError(
            f"model {model!r} has {counted(len(names), 'parameter')} ({', '.join(names)}); {len(parameters)} were given"
        )
    best = min(points, key=lambda point: math.dist(point, parameters))
    wanted, near = point_label(model, parameters), point_label(model, best)
    raise UnknownNameError(
        f"{wanted} is not among the {counted(len(points), 'point')} stored for {search!r}; the nearest is {near}; "
        f"list them with: superbin db show {search} {model}"
    )
