"""Scans: their rows in, and their points out again. Every function works inside its caller's transaction.

A point's result is one text, the part of ``schemas/scan-1.json`` that is about the point without what has a column: it is
written once and read whole. What tells points apart and says how they ended stands in columns of its own.
"""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, func, insert, select

from superbin._support.json import json_text, parse_json
from superbin._support.shown import counted
from superbin.domain.signal import point_text
from superbin.errors import DatabaseError, InputError
from superbin.results.documents import converter
from superbin.results.scan import DONE, FAILED, FinishedPoint, ScanPoint, ScanResult
from superbin.store import reading, records, schema, writing
from superbin.store.reading import check_count, fetch

__all__ = ["StoredScan", "begin", "drop", "drop_damaged", "list_scans", "load", "put"]

_log = logging.getLogger(__name__)

_COLUMNS = ("cross_section_pb", "cross_section_error", "status", "reason")


@dataclass(frozen=True, slots=True)
class StoredScan:
    """What a listing says of a scan.

    Attributes
    ----------
    search, model : str
    options : mapping
        As of `ScanResult`.
    n_done, n_failed : int
        Points stored by how they ended.
    digest : str
        As of `ScanResult`.
    superbin : str
        Version that computes it.
    started : dt.datetime
        When, in UTC.
    """

    search: str
    model: str
    options: Mapping[str, Any]
    n_done: int
    n_failed: int
    digest: str
    superbin: str
    started: dt.datetime


def begin(connection: Connection, header: ScanResult) -> None:
    """Store a scan without its points, unless it is stored already.

    Raises
    ------
    UnknownNameError
        If its search is not stored.
    InputError
        If the search that is stored has another content than the one that is scanned.
    """
    search = reading.require_search(connection, header.search.name)
    reading.check_search(connection, search)
    if search.digest != header.search.digest:
        raise InputError(
            f"search {header.search.name!r} in the database is not the one that is scanned (digest "
            f"{search.digest[:12]} instead of {header.search.digest[:12]}); scan the stored one, or import "
            "yours with --replace"
        )
    if _find(connection, header.digest) is not None:
        return
    if header.digest in {row.digest for row in fetch(connection, select(schema.scans))}:
        raise reading.unindexed(f"the scan of {header.model!r}")
    values = {
        "search_id": search.id,
        "digest": header.digest,
        "search_digest": header.search.digest,
        "model": header.model,
        "options": json_text(dict(header.options), "the options", sort_keys=True),
        "superbin_version": header.superbin,
        "started_utc": _now(),
    }
    record = records.of_scan(values, header.search.name, header.parameters)
    values["record_digest"] = records.record_digest("scan", record)
    key: Any = connection.execute(insert(schema.scans).values(**values)).inserted_primary_key
    writing.add(connection, schema.searches, search.id, n_scans=1)
    names = [
        {"scan_id": int(key[0]), "position": i, "name": name} for i, name in enumerate(header.parameters)
    ]
    if names:
        connection.execute(insert(schema.scan_parameters), names)


def put(connection: Connection, scan: str, points: Iterable[FinishedPoint]) -> None:
    """Store points of a scan; each takes the place of an earlier one of the same signal.

    Raises
    ------
    DatabaseError
        If the scan is not stored, for example because another process dropped it.
    """
    scan_id = _require(connection, scan)
    values = [_row(scan_id, scan, finished) for finished in points]
    if not values:
        return
    table = schema.scan_points
    old = (table.c.scan_id == scan_id, table.c.signal_digest == bindparam("old"))
    counts = Counter(f"n_{row['status']}" for row in values)
    for row in values:
        was = connection.scalar(select(table.c.status).where(*old), {"old": row["signal_digest"]})
        if was is not None:
            counts[f"n_{was}"] -= 1
            connection.execute(delete(table).where(*old), {"old": row["signal_digest"]})
    connection.execute(insert(table), values)
    writing.add(connection, schema.scans, scan_id, **counts)


def _row(scan_id: int, scan: str, finished: FinishedPoint) -> dict[str, Any]:
    document: dict[str, Any] = converter().unstructure(finished.point)
    columns = {name: document.pop(name) for name in _COLUMNS}
    point = point_text(document.pop("parameters").values())
    row = {
        "scan_id": scan_id,
        "signal_digest": finished.digest,
        "point": point,
        "result": json_text(document, "the point") if finished.point.status == DONE else None,
        "seconds": finished.seconds,
        "finished_utc": _now(),
        **columns,
    }
    return {**row, "record_digest": records.record_digest("point", records.of_point(row, scan))}


def load(connection: Connection, scan: str) -> dict[str, ScanPoint]:
    """The points of a scan by their signal's digest; empty if there are none.

    Raises
    ------
    DatabaseError
        If a point is missing, or not what superbin wrote.
    """
    found = fetch(connection, _scans().where(schema.scans.c.digest == scan))
    if not found:
        return {}
    (header,) = found
    names = _check(connection, header)
    table = schema.scan_points
    points = fetch(connection, select(table).where(table.c.scan_id == header.id))
    numbers = Counter(row.status for row in points)
    if (numbers[DONE], numbers[FAILED]) != (header.n_done, header.n_failed):
        raise _damaged(
            f"{counted(len(points), 'point')} are there and not {header.n_done} done and {header.n_failed} failed"
        )
    return {row.signal_digest: _point(names, scan, row._asdict()) for row in points}


def _check(connection: Connection, header: Row[Any]) -> Sequence[str]:
    """Refuse a scan that is not what was begun, its points aside; gives the names of its parameters."""
    table = schema.scan_parameters
    query = select(table.c.name).where(table.c.scan_id == header.id).order_by(table.c.position)
    names = [row.name for row in fetch(connection, query)]
    record = records.of_scan(header._asdict(), header.search, names)
    if not records.matches(header.record_digest, "scan", record):
        raise _damaged(f"the record of the scan of {header.model!r} has another digest")
    return names


def _point(names: Iterable[str], scan: str, row: dict[str, Any]) -> ScanPoint:
    if not records.matches(row["record_digest"], "point", records.of_point(row, scan)):
        raise _damaged(f"the point {row['point']!r} has another digest")
    try:
        values = [float(value) for value in row["point"].split(",")] if row["point"] else []
        document = parse_json(row["result"], "the result") if row["result"] is not None else {}
        document |= {name: row[name] for name in _COLUMNS}
        document["parameters"] = dict(zip(names, values, strict=True))
        return converter().structure(document, ScanPoint)
    except Exception as error:  # a text of schema version 2, which had no digest
        raise _damaged(f"the point {row['point']!r}: {' '.join(str(error).split())}") from error


def _damaged(how: str) -> DatabaseError:
    return DatabaseError(
        f"a scan in the database is not what superbin wrote ({how}); compute it again with --fresh, or drop damaged "
        "scans with: superbin db init"
    )


def drop(connection: Connection, scan: str) -> None:
    """Forget a scan with its points, if it is stored."""
    _drop(connection, schema.scans.c.digest == scan)


def _drop(connection: Connection, which: ColumnElement[bool]) -> None:
    for row in connection.execute(select(*schema.scans.c["id", "search_id"]).where(which)).all():
        connection.execute(delete(schema.scans).where(schema.scans.c.id == row.id))
        writing.add(connection, schema.searches, row.search_id, n_scans=-1)


def drop_damaged(connection: Connection) -> None:
    """Forget the scans that are not what superbin wrote, so that they are computed again; a warning names each."""
    for scan in connection.scalars(select(schema.scans.c.id)).all():
        try:
            for header in fetch(connection, _scans().where(schema.scans.c.id == scan)):
                load(connection, header.digest)
        except DatabaseError as error:
            _log.warning("scan %s is forgotten: %s", scan, error)
            _drop(connection, schema.scans.c.id == scan)


def list_scans(connection: Connection) -> tuple[StoredScan, ...]:
    """All scans by search, model and time.

    Raises
    ------
    DatabaseError
        If one is missing, or not what was begun, or its points are not as many as were stored.
    """
    points = schema.scan_points
    counts = [
        select(func.count())
        .where(points.c.scan_id == schema.scans.c.id, points.c.status == status)
        .scalar_subquery()
        .label(f"found_{status}")
        for status in (DONE, FAILED)
    ]
    order = (schema.searches.c.name, schema.scans.c.model, schema.scans.c.started_utc, schema.scans.c.id)
    found = fetch(connection, _scans().add_columns(*counts).order_by(*order))
    numbers = Counter(row.search_id for row in found)
    searches = fetch(connection, select(*schema.searches.c["id", "name", "n_scans"]))
    reading.check_searches(connection, len(searches))
    for row in searches:
        check_count(f"the scans of search {row.name!r}", numbers[row.id], row.n_scans)
    return tuple(_stored_scan(connection, row) for row in found)


def _stored_scan(connection: Connection, row: Row[Any]) -> StoredScan:
    _check(connection, row)
    if (row.found_done, row.found_failed) != (row.n_done, row.n_failed):
        raise _damaged(
            f"{row.found_done} points done and {row.found_failed} failed are there, and not {row.n_done} and {row.n_failed}"
        )
    return StoredScan(
        search=row.search,
        model=row.model,
        options=parse_json(row.options, "the options of a scan"),
        n_done=row.n_done,
        n_failed=row.n_failed,
        digest=row.digest,
        superbin=row.superbin_version,
        started=row.started_utc.replace(tzinfo=dt.UTC),
    )


def _scans() -> Select[Any]:
    """Scans with the name of their search."""
    return select(schema.scans, schema.searches.c.name.label("search")).join(
        schema.searches, schema.searches.c.id == schema.scans.c.search_id
    )


def _find(connection: Connection, scan: str) -> int | None:
    return connection.scalar(select(schema.scans.c.id).where(schema.scans.c.digest == scan))


def _require(connection: Connection, scan: str) -> int:
    found = _find(connection, scan)
    if found is None:
        raise DatabaseError(
            "the scan is not in the database any more; another process replaced its search or started the scan again; run it again"
        )
    return found


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0, tzinfo=None)
