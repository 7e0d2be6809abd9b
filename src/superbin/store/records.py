"""Digests over whole records, as they stand in the database: what a single changed field cannot get past.

A search, a signal, a scan and a point of a scan each have one, made when they are written and compared before any of their
values is used. A record holds everything that is read back, the names it is found by included; the long columns of a
search or signal are in it by the digest of their content.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["matches", "of_point", "of_scan", "of_search", "of_signal", "record_digest"]

_PROVENANCE = ("origin", "source", "digest", "superbin_version", "imported_utc")
_SEARCH = ("name", "title", "reference", "luminosity_fb", "sqrt_s_tev", *_PROVENANCE)
_SIGNAL = ("model", "point", "cross_section_pb", *_PROVENANCE)
_SCAN = ("digest", "search_digest", "model", "options", "superbin_version", "started_utc")
_POINT = (
    "signal_digest",
    "point",
    "cross_section_pb",
    "cross_section_error",
    "status",
    "reason",
    "result",
    "seconds",
    "finished_utc",
)


def record_digest(kind: str, record: Mapping[str, Any]) -> str:
    """SHA-256 of a record: the same whichever database its values come from, and other for any other value.

    The recipe is part of the schema: a change needs a migration that writes the digests again, and leaves the
    migrations before it the recipe they were made with.

    Raises
    ------
    TypeError
        If a value is of no kind that superbin stores.
    """
    content = json.dumps([kind, _plain(record)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def matches(stored: object, kind: str, record: Mapping[str, Any]) -> bool:
    """Whether a record is the one its stored digest was made of; no value may be used before it is."""
    try:
        return record_digest(kind, record) == stored
    except (TypeError, OverflowError):  # a value that superbin never wrote
        return False


def _plain(value: object) -> Any:
    """A value as JSON has it; every number is a double, as most columns are."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return float(value) + 0.0
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_plain(entry) for entry in value]
    raise TypeError(f"a record holds a {type(value).__name__}")


def of_search(
    row: Mapping[str, Any], n_bins: int, processes: Sequence[str], files: Mapping[str, str]
) -> dict[str, Any]:
    """The record of a search: its row with its provenance; the digest of its content does not know their order.

    `files` are the digests of its files by name; a search without any has the record that it had before there were files.
    """
    record = {**{name: row[name] for name in _SEARCH}, "n_bins": n_bins, "processes": list(processes)}
    return {**record, "files": dict(files)} if files else record


def of_signal(row: Mapping[str, Any], search: str, parameters: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """The record of a signal: its row with its provenance, its search and its parameters in order."""
    return {
        **{name: row[name] for name in _SIGNAL},
        "search": search,
        "parameters": [list(pair) for pair in parameters],
    }


def of_scan(row: Mapping[str, Any], search: str, parameters: Sequence[str]) -> dict[str, Any]:
    """The record of a scan, without its points."""
    return {**{name: row[name] for name in _SCAN}, "search": search, "parameters": list(parameters)}


def of_point(row: Mapping[str, Any], scan: str) -> dict[str, Any]:
    """The record of a point; `scan` is the digest of the scan it belongs to."""
    return {**{name: row[name] for name in _POINT}, "scan": scan}
