"""``superbin signal``: list and show signal models and their grids, and make new ones."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superbin._support.shown import counted
from superbin.cli import LazyGroup
from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    OutputFile,
    as_json,
    database_option,
    force_option,
    json_option,
    search_option,
    signal_options,
)
from superbin.cli.renamed import RenamedOptions
from superbin.cli.tables import aligned, uncertainty_lines

if TYPE_CHECKING:
    from superbin.catalog import Catalog
    from superbin.catalog.catalog import Source
    from superbin.domain.search import Search
    from superbin.domain.signal import SignalModel

__all__ = ["signal"]

_LAZY = {
    "generate": ("superbin.cli.generate:generate", "Simulate a signal: yields per bin from masses."),
}


@click.group(cls=LazyGroup, lazy=_LAZY)
def signal() -> None:
    """List, show, simulate and pack signals.

    \b
    superbin signal list
    superbin signal show T1qqqq 1500 700
    """


# --- list -------------------------------------------------------------------------------------------------


@signal.command("list")
@search_option
@database_option
@json_option
def list_(search_name: str, database: str | None, machine: bool) -> None:
    """List the models that have signals, and their masses."""
    from superbin.catalog import open_catalog

    with open_catalog(database) as catalog:
        found = _sources(catalog, catalog.search(search_name))
    if machine:
        click.echo(as_json({"search": search_name, "models": found}))
        return
    click.echo(f"{search_name}")
    rows = [("model", "source", "points", "events/point", "masses [GeV]")]
    for entry in found:
        masses = ", ".join(f"{name} {_span(ends)}" for name, ends in entry["ranges"].items())
        rows.append((entry["model"], entry["source"], str(entry["points"]), _span(entry["events"]), masses))
    click.echo("\n".join(aligned(rows, left=(0, 1, 4))))


def _sources(catalog: "Catalog", search: "Search") -> list[dict[str, Any]]:
    """Every model and source: number of points, the range of each parameter and of the generated events."""
    stored = catalog.signals(search)
    found: list[dict[str, Any]] = []
    for model in dict.fromkeys(s.model for s in stored):
        points = [dict(s.parameters) for s in stored if s.model == model]
        ranges = {name: _ends(point[name] for point in points) for name in points[0]}
        found.append(
            {"model": model, "source": "table", "points": len(points), "events": None, "ranges": ranges}
        )
    for model in (name for name, sources in catalog.models(search).items() if "grid" in sources):
        grid = catalog.grid(search, model)
        ranges = {
            name: _ends(column) for name, column in zip(grid.parameters, grid.points.T.tolist(), strict=True)
        }
        found.append(
            {
                "model": model,
                "source": "grid",
                "points": len(grid.points),
                "events": _ends(grid.events.tolist()),
                "ranges": ranges,
            }
        )
    return sorted(found, key=lambda entry: (entry["model"], entry["source"]))


def _ends(values: Iterable[float]) -> list[float]:
    known = list(values)
    return [min(known), max(known)]


def _span(ends: Sequence[float] | None) -> str:
    if ends is None:
        return "-"
    low, high = ends
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


# --- show -------------------------------------------------------------------------------------------------


@signal.command("show", cls=RenamedOptions, renamed={"--bins": "--size"}, context_settings=POSITIONAL_NUMBERS)
@click.argument("model")
@click.argument("parameters", nargs=-1, type=float)
@search_option
@signal_options
@click.option(
    "--size",
    "n_shown",
    metavar="K",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Number of bins to show.",
)
@click.option(
    "-o",
    "--output",
    type=OutputFile(),
    help="CSV file to write the yields to, as superbin db import reads it.",
)
@database_option
@force_option
@json_option
def show(
    model: str,
    parameters: tuple[float, ...],
    search_name: str,
    source: "Source | None",
    grid: Path | None,
    cross_section: float | None,
    n_shown: int,
    output: Path | None,
    database: str | None,
    machine: bool,
) -> None:
    """Show the signal of MODEL at its PARAMETERS.

    Its events, cross section and largest bins, where they come from and how far they can be trusted.
    """
    from superbin.catalog import open_catalog
    from superbin.io.tables import write_signal

    with open_catalog(database) as catalog:
        search = catalog.search(search_name)
        if source is None:
            source = catalog.signal_source(search, model, parameters, grid=grid)
        found = catalog.signal(
            search, model, parameters, source=source, grid=grid, cross_section=cross_section
        )
        accuracy = None
        if source == "grid":
            accuracy = catalog.grid(search, model, grid).accuracy(parameters)
        document = _document(catalog, search, found, source) | {"accuracy": accuracy}
    if output is not None:
        write_signal(found, output)
    click.echo(as_json(document) if machine else "\n".join(_text(search, document, n_shown)))


def _document(catalog: "Catalog", search: "Search", found: "SignalModel", source: str) -> dict[str, Any]:
    from superbin.domain.aggregate import sum_error

    total = float(found.yields.sum())
    sigma = found.cross_section_pb
    return {
        "search": search.name,
        "luminosity_fb": search.luminosity_fb,
        "model": found.model,
        "parameters": dict(found.parameters),
        "from": source,
        "source": found.source,
        "total": total,
        "total_error": sum_error(search, found, range(search.n_bins)),
        "cross_section": None if sigma is None else _cross_section(catalog, search, found, sigma),
        "efficiency": None if sigma is None else total / (sigma * 1000 * search.luminosity_fb),
        "yields": found.yields.tolist(),
        "errors": found.errors.tolist(),
        "relative_error": found.relative_error,
        "variations": {
            name: {"up": up.tolist(), "down": down.tolist()} for name, (up, down) in found.variations.items()
        },
    }


def _cross_section(
    catalog: "Catalog", search: "Search", found: "SignalModel", sigma: float
) -> dict[str, Any]:
    """The cross section, with the calculation's uncertainty where it is the table's."""
    from superbin.domain.cross_sections import process_of

    process = process_of(found.model)
    mass = next(iter(found.parameters.values()))
    try:
        listed = catalog.cross_sections(process, search).at(mass)
    except (LookupError, ValueError):
        listed = None
    same = listed is not None and abs(listed.pb - sigma) <= 1e-6 * sigma
    return {
        "process": process,
        "pb": sigma,
        "relative_uncertainty": listed.relative_uncertainty if listed is not None and same else None,
    }


def _text(search: "Search", document: dict[str, Any], n_shown: int) -> list[str]:
    from superbin.analysis.projection import bin_ranges
    from superbin.domain.signal import point_label
    from superbin.results.rounding import plain

    label = point_label(document["model"], document["parameters"].values())
    lines = [
        f"{label} in {search.name}, {search.luminosity_fb:g} fb^-1",
        f"expected events  {plain(document['total'], document['total_error'])} (Monte Carlo)",
    ]
    sigma = document["cross_section"]
    if sigma is not None:
        relative = sigma["relative_uncertainty"]
        fb = 1000 * sigma["pb"]
        known = f" ({100 * relative:.2g} %)" if relative else ""
        lines.append(
            f"cross section    {plain(fb, (relative or 0.0) * fb)} fb{known}, pairs of: {sigma['process']}"
        )
        lines.append(f"efficiency       {100 * document['efficiency']:.3g} % of produced events are in a bin")
    lines += _uncertainties(document)
    lines.append(f"from the {document['from']}: {document['source']}")
    order = sorted(search.numbers, key=lambda number: -document["yields"][number - 1])[:n_shown]
    rows: list[tuple[str, ...]] = [("bin", "events", "systematic", "ranges")]
    for number in order:
        events, error = document["yields"][number - 1], document["errors"][number - 1]
        changes = _changes(document, [number - 1])
        sizes = [(abs(up) + abs(down)) / 2 for up, down in changes.values()]
        systematic = f"{math.hypot(*sizes, document['relative_error']):.1%}" if changes else "-"
        ranges = ", ".join(f"{r.observable} {r.text}" for r in bin_ranges(search, number))
        rows.append((str(number), plain(events, error), systematic, ranges or search.bin_name(number)))
    if not document["variations"]:
        rows = [(*row[:2], row[3]) for row in rows]
    return lines + aligned(rows, left=(len(rows[0]) - 1,), least=5) if order else lines


def _changes(document: dict[str, Any], bins: Sequence[int]) -> dict[str, tuple[float, float]]:
    """Relative change of the events in bins with each source of uncertainty up, and down."""
    total = sum(document["yields"][i] for i in bins)
    if total == 0:
        return {}
    return {
        name: (
            sum(sides["up"][i] for i in bins) / total - 1,
            sum(sides["down"][i] for i in bins) / total - 1,
        )
        for name, sides in document["variations"].items()
    }


def _uncertainties(document: dict[str, Any]) -> list[str]:
    """Uncertainties of the sum over all bins, where more than statistics is known."""
    changes = _changes(document, range(len(document["yields"])))
    if document["relative_error"] and document["total"]:
        changes["common"] = (document["relative_error"], -document["relative_error"])
    if not changes:
        return []
    return [
        "uncertainties of the sum over all bins, one standard deviation up and down",
        *uncertainty_lines(document["total_error"] / document["total"], changes),
    ]


# --- pack -------------------------------------------------------------------------------------------------


@signal.command("pack", cls=RenamedOptions, renamed={"--source": "--origin"})
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=OutputFile(),
    required=True,
    help="Grid file to write, compressed if it ends in .gz.",
)
@force_option
@click.option(
    "--process",
    metavar="NAME",
    help="Particle produced in pairs, such as gluino, for the cross section; by default the one of the model.",
)
@click.option(
    "--origin",
    metavar="WORDS",
    help="Where the points come from, in one line; written to the file.",
)
def pack(folder: Path, output: Path, process: str | None, origin: str | None) -> None:
    """Pack the points of a FOLDER into a grid file.

    \b
    superbin signal pack points -o T1bbbb.csv.gz
    superbin run T1bbbb 1500 700 --grid T1bbbb.csv.gz -o out
    """
    from superbin.domain.grid import SignalGrid
    from superbin.io.grids import read_points, write_grid

    grid = SignalGrid.from_points(read_points(folder), process=process, source=origin)
    write_grid(grid, output)
    low, high = grid.events.min(), grid.events.max()
    click.echo(
        f"{output}: {grid.model}, {counted(len(grid.points), 'point')} of {_span([float(low), float(high)])} events, {grid.source}"
    )
