"""Scans: their rows in, and their points out again. Every function works inside its caller's transaction.

A point's result is one text, the part of ``schemas/scan-1.json`` that is about the point without what has a column: it is
written once and read whole. What tells points apart and says how they ended stands in columns of its own.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from superbin.errors import DatabaseError, InputError
from superbin.results.documents import converter
from superbin.results.scan import DONE, FAILED, FinishedPoint, ScanPoint, ScanResult
from superbin.store import reading, rows, schema

__all__ = ["StoredScan", "begin", "drop", "list_scans", "load", "put"]

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
    if search.digest != header.search.digest:
        raise InputError(
            f"search {header.search.name!r} in the database is not the one that is scanned (digest "
            f"{search.digest[:12]} instead of {header.search.digest[:12]}); scan the stored one, or import "
            "yours with --replace"
        )
    if _find(connection, header.digest) is not None:
        return
    values = {
        "search_id": search.id,
        "digest": header.digest,
        "search_digest": header.search.digest,
        "model": header.model,
        "options": json.dumps(dict(header.options), sort_keys=True),
        "superbin_version": header.superbin,
        "started_utc": _now(),
    }
    key: Any = connection.execute(insert(schema.scans).values(**values)).inserted_primary_key
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
    values = [_row(scan_id, finished) for finished in points]
    if not values:
        return
    table = schema.scan_points
    same = (table.c.scan_id == scan_id, table.c.signal_digest == bindparam("old"))
    connection.execute(delete(table).where(*same), [{"old": row["signal_digest"]} for row in values])
    connection.execute(insert(table), values)


def _row(scan_id: int, finished: FinishedPoint) -> dict[str, Any]:
    document: dict[str, Any] = converter().unstructure(finished.point)
    columns = {name: document.pop(name) for name in _COLUMNS}
    point = rows.point(document.pop("parameters").values())
    result = json.dumps(document, allow_nan=False, ensure_ascii=False)
    return {
        "scan_id": scan_id,
        "signal_digest": finished.digest,
        "point": point,
        "result": result if finished.point.status == DONE else None,
        "seconds": finished.seconds,
        "finished_utc": _now(),
        **columns,
    }


def load(connection: Connection, scan: str) -> dict[str, ScanPoint]:
    """The points of a scan by their signal's digest; empty if there are none.

    Raises
    ------
    DatabaseError
        If a point is not what superbin writes.
    """
    scan_id = _find(connection, scan)
    if scan_id is None:
        return {}
    parameters, table = schema.scan_parameters, schema.scan_points
    query = select(parameters.c.name).where(parameters.c.scan_id == scan_id).order_by(parameters.c.position)
    names = connection.scalars(query).all()
    found = connection.execute(select(table).where(table.c.scan_id == scan_id)).mappings()
    return {row["signal_digest"]: _point(names, dict(row)) for row in found}


def _point(names: Iterable[str], row: dict[str, Any]) -> ScanPoint:
    try:
        values = [float(value) for value in row["point"].split(",")] if row["point"] else []
        document = json.loads(row["result"]) if row["result"] is not None else {}
        document |= {name: row[name] for name in _COLUMNS}
        document["parameters"] = dict(zip(names, values, strict=True))
        return converter().structure(document, ScanPoint)
    except Exception as error:  # whatever a changed text may hold
        raise DatabaseError(
            f"the result stored for the point {row['point']!r} of a scan is not what superbin wrote "
            f"({' '.join(str(error).split())}); compute the scan anew with --fresh"
        ) from error


def drop(connection: Connection, scan: str) -> None:
    """Forget a scan with its points, if it is stored."""
    connection.execute(delete(schema.scans).where(schema.scans.c.digest == scan))


def list_scans(connection: Connection) -> tuple[StoredScan, ...]:
    """All scans by search, model and time."""
    points = schema.scan_points
    n_done, n_failed = (
        select(func.count())
        .where(points.c.scan_id == schema.scans.c.id, points.c.status == status)
        .scalar_subquery()
        for status in (DONE, FAILED)
    )
    query = (
        select(
            schema.scans,
            schema.searches.c.name.label("search"),
            n_done.label("n_done"),
            n_failed.label("n_failed"),
        )
        .join(schema.searches, schema.searches.c.id == schema.scans.c.search_id)
        .order_by(schema.searches.c.name, schema.scans.c.model, schema.scans.c.started_utc, schema.scans.c.id)
    )
    return tuple(
        StoredScan(
            search=row.search,
            model=row.model,
            options=json.loads(row.options),
            n_done=row.n_done,
            n_failed=row.n_failed,
            digest=row.digest,
            superbin=row.superbin_version,
            started=row.started_utc.replace(tzinfo=dt.UTC),
        )
        for row in connection.execute(query)
    )


def _find(connection: Connection, scan: str) -> int | None:
    return connection.scalar(select(schema.scans.c.id).where(schema.scans.c.digest == scan))


def _require(connection: Connection, scan: str) -> int:
    found = _find(connection, scan)
    if found is None:
        raise DatabaseError(
            "the scan is not in the database any more; another process replaced its search or "
            "started it anew; run the scan again"
        )
    return found


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0, tzinfo=None)
