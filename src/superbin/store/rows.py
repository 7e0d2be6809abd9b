"""Domain values as rows of the tables. Pure: no connection in sight; the way back is in ``reading.py``."""

from typing import Any

import numpy as np
from sqlalchemy import Table

from superbin.search import Estimate, Search
from superbin.signal import SignalModel
from superbin.store import schema

__all__ = ["Rows", "bin_rows", "search_row", "search_rows", "signal_rows"]

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


def search_rows(search: Search, search_id: int) -> Rows:
    """All that belongs to a search beyond its bins, in an order foreign keys allow."""
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
    return [(schema.signal_parameters, parameters), (schema.signal_yields, yields)]
