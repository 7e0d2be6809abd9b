"""Version 3: a digest over every record, and how many rows belong where.

What version 2 could not check is taken as it stands: titles, cross sections, provenance and the points of scans. The
content of searches and signals keeps the digest of its import, and is compared with it as before.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

from superbin.store.migrations import add_column
from superbin.store.records import record_digest

revision = "3"
down_revision = "2"

_COUNTS = {"superbin": ["n_searches"], "searches": ["n_signals", "n_scans"], "scans": ["n_done", "n_failed"]}
_PROVENANCE = ["origin", "source", "digest", "superbin_version", "imported_utc"]
_SCAN = ["digest", "search_digest", "model", "options", "superbin_version", "started_utc"]
_POINT = [
    "signal_digest",
    "point",
    "cross_section_pb",
    "cross_section_error",
    "status",
    "reason",
    "result",
    "seconds",
]

# Columns that a database does not give as Python needs them unless it knows their type.
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("started_utc", "finished_utc", "imported_utc"), sa.DateTime()),
    **dict.fromkeys(("luminosity_fb", "sqrt_s_tev", "value", "seconds"), sa.Double()),
    **dict.fromkeys(("cross_section_pb", "cross_section_error"), sa.Double()),
}


def upgrade() -> None:
    """Add the columns, which are empty in every row, and fill them."""
    for name, columns in _COUNTS.items():
        for column in columns:
            add_column(name, sa.Column(column, sa.Integer, nullable=False, server_default=sa.text("0")))
    for name in ("provenance", "scans", "scan_points"):
        add_column(
            name, sa.Column("record_digest", sa.String(64), nullable=False, server_default=sa.text("''"))
        )
    provenance = {row.pop("id"): row for row in _rows("provenance", "id", *_PROVENANCE)}
    searches = _fill_searches(provenance)
    _fill_signals(provenance, searches)
    _fill_scans(searches)


def _fill_searches(provenance: dict[int, dict[str, Any]]) -> dict[int, str]:
    """Digests of searches and how many there are; gives their names."""
    columns = ("name", "title", "reference", "luminosity_fb", "sqrt_s_tev")
    searches = list(_rows("searches", "id", "provenance_id", *columns))
    n_bins = Counter(row["search_id"] for row in _rows("bins", "search_id"))
    processes = _grouped(_rows("processes", "search_id", "position", "name"), "search_id")
    for row in searches:
        record = {
            **{name: row[name] for name in columns},
            **provenance[row["provenance_id"]],
            "n_bins": n_bins[row["id"]],
            "processes": [process["name"] for process in processes[row["id"]]],
        }
        _set("provenance", {"id": row["provenance_id"]}, record_digest=record_digest("search", record))
    _set("superbin", {"id": 1}, n_searches=len(searches))
    return {row["id"]: row["name"] for row in searches}


def _fill_signals(provenance: dict[int, dict[str, Any]], searches: dict[int, str]) -> None:
    columns = ("model", "point", "cross_section_pb")
    signals = list(_rows("signals", "id", "search_id", "provenance_id", *columns))
    parameters = _grouped(_rows("signal_parameters", "signal_id", "position", "name", "value"), "signal_id")
    for row in signals:
        record = {
            **{name: row[name] for name in columns},
            **provenance[row["provenance_id"]],
            "search": searches[row["search_id"]],
            "parameters": [[entry["name"], entry["value"]] for entry in parameters[row["id"]]],
        }
        _set("provenance", {"id": row["provenance_id"]}, record_digest=record_digest("signal", record))
    for search, number in Counter(row["search_id"] for row in signals).items():
        _set("searches", {"id": search}, n_signals=number)


def _fill_scans(searches: dict[int, str]) -> None:
    parameters = _grouped(_rows("scan_parameters", "scan_id", "position", "name"), "scan_id")
    scans = list(_rows("scans", "id", "search_id", *_SCAN))
    digests = {row["id"]: row["digest"] for row in scans}
    n_points: Counter[tuple[int, str]] = Counter()
    for row in _rows("scan_points", "scan_id", *_POINT, "finished_utc"):
        scan = row.pop("scan_id")
        n_points[scan, row["status"]] += 1
        digest = record_digest("point", {**row, "scan": digests[scan]})
        _set("scan_points", {"scan_id": scan, "signal_digest": row["signal_digest"]}, record_digest=digest)
    for row in scans:
        record = {
            **{name: row[name] for name in _SCAN},
            "search": searches[row["search_id"]],
            "parameters": [entry["name"] for entry in parameters[row["id"]]],
        }
        counts = {f"n_{status}": n_points[row["id"], status] for status in ("done", "failed")}
        _set("scans", {"id": row["id"]}, record_digest=record_digest("scan", record), **counts)
    for search, number in Counter(row["search_id"] for row in scans).items():
        _set("searches", {"id": search}, n_scans=number)


def _rows(table: str, *columns: str) -> Iterable[dict[str, Any]]:
    chosen = [sa.column(name, _TYPES.get(name)) for name in columns]
    query = sa.select(*chosen).select_from(sa.table(table))
    return [dict(row) for row in op.get_bind().execute(query).mappings()]


def _grouped(rows: Iterable[dict[str, Any]], key: str) -> dict[int, list[dict[str, Any]]]:
    """Rows by their owner, each owner's by position."""
    groups: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["position"]):
        groups[row[key]].append(row)
    return groups


def _set(table: str, key: dict[str, Any], **values: Any) -> None:
    """Update the row of a key."""
    same = [sa.column(name) == value for name, value in key.items()]
    columns: list[Any] = [sa.column(name) for name in values]
    op.get_bind().execute(sa.update(sa.table(table, *columns)).where(*same).values(**values))
