"""CSV: a table of regions, and a table of signals with their yields, limits and significances."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from superbin.export.entry import Entry, Point

__all__ = ["files", "point_columns"]

_LIMITS = ("observed", "expected", "likelihood_observed", "likelihood_expected")


def files(entry: Entry) -> Mapping[str, bytes]:
    """``regions.csv`` where there are regions, ``signals.csv`` where there are signals."""
    made = {}
    if entry.regions:
        head = ["region", "selection", "observed", "background", "background_up", "background_down"]
        rows = (
            [
                r.name,
                " or ".join(r.cuts),
                r.observed,
                r.background.nominal,
                r.background.up,
                r.background.down,
            ]
            for r in entry.regions
        )
        made["regions.csv"] = _csv(entry, head, rows)
    if entry.points:
        columns = point_columns(entry)
        made["signals.csv"] = _csv(entry, list(columns), zip(*columns.values(), strict=True))
    return made


def point_columns(entry: Entry) -> dict[str, list[object]]:
    """Columns of the table of signals, by name; what no signal has is left out. Limits of the cross section are in fb."""
    points = entry.points
    parameters = list(dict.fromkeys(name for p in points for name in p.parameters))
    columns: dict[str, list[object]] = {"model": [p.model for p in points]}
    columns |= {name: [p.parameters.get(name) for p in points] for name in parameters}
    for i, region in enumerate(entry.regions):
        columns[f"signal_{region.name}"] = [p.yields[i] for p in points]
        columns[f"signal_{region.name}_error"] = [p.errors[i] for p in points]
    columns["cross_section_pb"] = [p.cross_section_pb for p in points]
    columns["cross_section_relative_error"] = [p.cross_section_error for p in points]
    for name in _LIMITS:
        columns[f"mu95_{name}"] = [(p.limits or {}).get(name) for p in points]
        columns[f"sigma95_{name}_fb"] = [_sigma(p, name) for p in points]
    columns["Z_expected"] = [p.expected_z for p in points]
    columns["Z_observed"] = [p.observed_z for p in points]
    columns["bins"] = [" ".join(map(str, p.bins)) or None for p in points]
    return {name: values for name, values in columns.items() if any(v is not None for v in values)}


def _sigma(point: Point, name: str) -> float | None:
    mu = (point.limits or {}).get(name)
    return None if mu is None or point.cross_section_pb is None else 1000 * mu * point.cross_section_pb


def _csv(entry: Entry, head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    stream = io.StringIO()
    for line in (
        f"{entry.search}: {entry.title}; {entry.luminosity_fb:g} fb^-1, {entry.sqrt_s_tev:g} TeV",
        f"source: {entry.reference}; search digest {entry.digest}; made by superbin {entry.made_by}",
    ):
        stream.write(f"# {line}\n")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return stream.getvalue().encode()
