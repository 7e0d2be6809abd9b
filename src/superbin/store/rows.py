"""Domain values as rows of the tables. Pure: no connection in sight; the way back is in ``reading.py``."""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import Table

from superbin._support.arrays import FloatArray
from superbin._support.json import json_text, parse_json
from superbin.domain.covariance import Covariance
from superbin.domain.search import Estimate, Search
from superbin.domain.signal import SignalModel
from superbin.store import schema

__all__ = [
    "INNER",
    "Rows",
    "bin_rows",
    "file_digest",
    "file_rows",
    "search_of_files",
    "search_row",
    "search_rows",
    "signal_rows",
    "stored_files",
]

INNER = ":"
"""How the names of files begin that hold parts of the search itself; no file of a bundle is called so."""

_TEXTS = ("licence", "citation", "accuracy")

Rows = list[tuple[Table, list[dict[str, Any]]]]


def search_row(search: Search) -> dict[str, Any]:
    """What `searches` holds, without its keys."""
    return {
        "name": search.name,
        "title": search.title,
        "reference": search.reference,
        "luminosity_fb": float(search.luminosity_fb),
        "sqrt_s_tev": float(search.sqrt_s_tev),
    }


def bin_rows(search: Search, search_id: int) -> Rows:
    """The bins, without their content: what signals refer to."""
    return [(schema.bins, [{"search_id": search_id, "number": number} for number in search.numbers])]


def stored_files(search: Search, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files of a search as they are stored: those of its bundle, and what of the search itself is not a number per bin."""
    stored = dict(files)
    extras: dict[str, object] = {}
    if search.names:
        extras["names"] = list(search.names)
    if search.combinable is not None:
        extras["not_combinable"] = (np.argwhere(np.triu(~search.combinable)) + 1).tolist()
    extras |= {key: text for key in _TEXTS if (text := getattr(search, key))}
    if search.covariance is not None:
        sides = {"": search.covariance.up}
        if search.covariance.down is not search.covariance.up:
            sides = {"_up": search.covariance.up, "_down": search.covariance.down}
        extras |= {"covariance": search.covariance.source, "sides": list(sides)}
        for side, matrix in sides.items():
            stored[f"{INNER}covariance{side}"] = zlib.compress(matrix.astype("<f8").tobytes(), level=1)
    if extras:
        stored[f"{INNER}extras.json"] = json_text(extras, search.name).encode()
    return stored


def search_of_files(fields: dict[str, Any], files: Mapping[str, bytes], n_bins: int) -> dict[str, Any]:
    """Fields of a search, completed by what `stored_files` keeps of it.

    Raises
    ------
    ValueError
        If a file is damaged.
    """
    if f"{INNER}extras.json" not in files:
        return fields
    extras = parse_json(files[f"{INNER}extras.json"].decode(), "extras.json")
    combinable = None
    if "not_combinable" in extras:
        combinable = np.ones((n_bins, n_bins), dtype=np.bool_)
        for i, j in extras["not_combinable"]:
            combinable[i - 1, j - 1] = combinable[j - 1, i - 1] = False
    covariance = None
    if "covariance" in extras:
        matrices = [_matrix(files[f"{INNER}covariance{side}"], n_bins) for side in extras["sides"]]
        covariance = Covariance(matrices[0], matrices[-1], extras["covariance"])
    return {
        **fields,
        "names": tuple(extras.get("names", ())),
        "combinable": combinable,
        "covariance": covariance,
        **{key: extras.get(key, "") for key in _TEXTS},
    }


def _matrix(content: bytes, n_bins: int) -> FloatArray:
    expander = zlib.decompressobj()
    values = np.frombuffer(expander.decompress(content, 8 * n_bins * n_bins), dtype="<f8")
    return values.reshape(n_bins, n_bins).astype(np.float64)


def file_rows(files: Mapping[str, bytes], search_id: int) -> Rows:
    """Files with their digests."""
    return [
        (
            schema.bundle_files,
            [
                {
                    "search_id": search_id,
                    "name": name,
                    "digest": file_digest(name, content),
                    "content": content,
                }
                for name, content in sorted(files.items())
            ],
        )
    ]


def file_digest(name: str, content: bytes) -> str:
    """SHA-256 of a file with its name."""
    return hashlib.sha256(f"{name} {len(content)}\n".encode() + content).hexdigest()


def search_rows(search: Search, search_id: int) -> Rows:
    """All that belongs to a search beyond its bins and files, in an order foreign keys allow."""
    of_search = {"search_id": search_id}
    observables = [
        {
            **of_search,
            "position": i,
            "name": o.name,
            "label": o.label,
            "unit": o.unit,
            "discrete": bool(o.discrete),
        }
        for i, o in enumerate(search.observables)
    ]
    ranges = [
        {**of_search, "bin": number, "observable": i, "low": low, "high": high if np.isfinite(high) else None}
        for number, lows, highs in zip(search.numbers, search.low.tolist(), search.high.tolist(), strict=True)
        for i, (low, high) in enumerate(zip(lows, highs, strict=True))
    ]
    observations = [
        {**of_search, "bin": number, "events": events}
        for number, events in zip(search.numbers, search.observed.tolist(), strict=True)
    ]
    return [
        (schema.observables, observables),
        (schema.bin_ranges, ranges),
        (schema.observations, observations),
        *_process_rows(search, of_search),
    ]


def _process_rows(search: Search, of_search: dict[str, int]) -> Rows:
    processes = [
        {**of_search, "position": i, "name": p.name, "label": p.label} for i, p in enumerate(search.processes)
    ]
    parts = Estimate.__slots__
    estimates = [
        {**of_search, "process": i, "bin": number, **dict(zip(parts, values, strict=True))}
        for i, process in enumerate(search.processes)
        for number, values in zip(
            search.numbers,
            np.column_stack([getattr(process.estimate, part) for part in parts]).tolist(),
            strict=True,
        )
    ]
    positions = {p.name: i for i, p in enumerate(search.processes)}
    groups = [{**of_search, "position": i} for i, _ in enumerate(search.shared_stat)]
    members = [
        {**of_search, "stat_group": i, "position": j, "process": positions[name]}
        for i, group in enumerate(search.shared_stat)
        for j, name in enumerate(group)
    ]
    return [
        (schema.processes, processes),
        (schema.estimates, estimates),
        (schema.shared_stat_groups, groups),
        (schema.shared_stat_members, members),
    ]


def signal_rows(signal: SignalModel, signal_id: int, search_id: int) -> Rows:
    """All that belongs to a signal beyond its row in `signals`."""
    parameters = [
        {"signal_id": signal_id, "position": i, "name": name, "value": value}
        for i, (name, value) in enumerate(signal.parameters.items())
    ]
    yields = [
        {"signal_id": signal_id, "search_id": search_id, "bin": i, "events": events, "error": error}
        for i, (events, error) in enumerate(
            zip(signal.yields.tolist(), signal.errors.tolist(), strict=True), start=1
        )
    ]
    names = [
        {"signal_id": signal_id, "position": i, "name": name} for i, name in enumerate(signal.variations)
    ]
    varied = [
        {"signal_id": signal_id, "variation": i, "bin": number, "events_up": up, "events_down": down}
        for i, (ups, downs) in enumerate(signal.variations.values())
        for number, (up, down) in enumerate(zip(ups.tolist(), downs.tolist(), strict=True), start=1)
    ]
    return [
        (schema.signal_parameters, parameters),
        (schema.signal_yields, yields),
        (schema.signal_variations, names),
        (schema.signal_variation_yields, varied),
    ]
