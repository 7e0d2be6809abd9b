"""``superbin db``: inspect, fill, import and export the database of searches and signals."""

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superbin._support.files import first_bytes
from superbin._support.shown import counted
from superbin.cli import LazyGroup
from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    as_json,
    database_option,
    json_option,
)
from superbin.cli.tables import aligned
from superbin.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from superbin.catalog import Catalog
    from superbin.domain.bundle import Bundle
    from superbin.domain.search import Search
    from superbin.domain.signal import SignalModel
    from superbin.io.imports import Form
    from superbin.store import Replaced, StoredScan, StoredSearch, StoredSignal

__all__ = ["db"]

_TEXTS = ("licence", "citation", "accuracy")


@click.group(cls=LazyGroup, lazy={}, context_settings={"help_option_names": ["-h", "--help"]})
def db() -> None:
    """Inspect, fill, import and export the database of searches and signals.

    The database is created on first use, with the searches that ship with superbin.

    \b
    superbin db list
    superbin db show cms-pas-sus-16-014 T1bbbb 1750 1
    """


@db.command("init")
@database_option
def init(database: str | None) -> None:
    """Create the database, or restore the searches that ship with superbin in it."""
    from superbin.catalog import open_catalog

    with open_catalog(database, refresh=True) as catalog:
        searches = catalog.searches()
        click.echo(f"{catalog.place}: {_counted(searches)}")


def _counted(searches: "Sequence[StoredSearch]") -> str:
    return f"{counted(len(searches), 'search')}, {counted(sum(search.n_signals for search in searches), 'signal')}"


@db.command("list")
@database_option
@json_option
def list_(database: str | None, machine: bool) -> None:
    """List the searches, the models that have signals in their bins, and the scans."""
    from superbin.catalog import open_catalog

    with open_catalog(database) as catalog:
        place, searches, signals, scans = (
            catalog.place,
            catalog.searches(),
            catalog.signals(),
            catalog.scans(),
        )
    if machine:
        listed = [
            {
                **_search_head(search),
                "signals": [_signal_head(s) for s in signals if s.search == search.name],
                "scans": [_scan_head(s) for s in scans if s.search == search.name],
            }
            for search in searches
        ]
        click.echo(as_json({"database": place, "searches": listed}))
        return
    click.echo(f"{place}: {_counted(searches)}")
    for search in searches:
        click.echo(
            f"{search.name}  {search.luminosity_fb:g} fb^-1 at {search.sqrt_s_tev:g} TeV  "
            f"{counted(search.n_bins, 'bin')}  {_origin(search)}"
        )
        models = Counter(_model(signal) for signal in signals if signal.search == search.name)
        for model, points in sorted(models.items()):
            click.echo(f"  {model}  {_points(points)}")
        for scan in scans:
            if scan.search == search.name:
                failed = f", {scan.n_failed} failed" if scan.n_failed else ""
                click.echo(f"  scan of {scan.model}  {_points(scan.n_done)} done{failed}  {_chosen(scan)}")


def _points(count: int) -> str:
    return f"{counted(count, 'point')}"


def _chosen(scan: "StoredScan") -> str:
    options = ", ".join(f"{name} {value}" for name, value in scan.options.items())
    return f"started {scan.started:%Y-%m-%d %H:%M} UTC by superbin {scan.superbin}; {options}"


def _model(signal: "StoredSignal") -> str:
    return f"{signal.model}({', '.join(signal.parameters)})"


def _origin(stored: "StoredSearch | StoredSignal") -> str:
    return "packaged" if stored.packaged else f"imported {stored.imported:%Y-%m-%d %H:%M} UTC"


def _provenance(stored: "StoredSearch | StoredSignal") -> dict[str, Any]:
    return {
        "packaged": stored.packaged,
        "source": stored.source,
        "digest": stored.digest,
        "superbin": stored.superbin,
        "imported": stored.imported.isoformat(),
    }


def _search_head(stored: "StoredSearch") -> dict[str, Any]:
    return {
        "name": stored.name,
        "title": stored.title,
        "reference": stored.reference,
        "luminosity_fb": stored.luminosity_fb,
        "sqrt_s_tev": stored.sqrt_s_tev,
        "n_bins": stored.n_bins,
        **_provenance(stored),
    }


def _signal_head(stored: "StoredSignal") -> dict[str, Any]:
    return {
        "model": stored.model,
        "parameters": dict(stored.parameters),
        "cross_section_pb": stored.cross_section_pb,
        **_provenance(stored),
    }


def _scan_head(stored: "StoredScan") -> dict[str, Any]:
    return {
        "model": stored.model,
        "options": dict(stored.options),
        "done": stored.n_done,
        "failed": stored.n_failed,
        "digest": stored.digest,
        "superbin": stored.superbin,
        "started": stored.started.isoformat(),
    }


@db.command("show", context_settings=POSITIONAL_NUMBERS)
@click.argument("search")
@click.argument("model", required=False)
@click.argument("parameters", nargs=-1, type=float)
@database_option
@json_option
def show(
    search: str, model: str | None, parameters: tuple[float, ...], database: str | None, machine: bool
) -> None:
    """Show a SEARCH, the points of a MODEL in it, or the signal at PARAMETERS."""
    from superbin.catalog import open_catalog

    with open_catalog(database) as catalog:
        if model is None:
            document, text = _show_search(catalog, search)
        elif parameters:
            document, text = _show_signal(catalog, search, model, parameters)
        else:
            document, text = _show_model(catalog, search, model)
    click.echo(as_json(document) if machine else text)


def _show_search(catalog: "Catalog", name: str) -> tuple[object, str]:
    search = catalog.search(name)
    stored = next(s for s in catalog.searches() if s.name == name)
    files = catalog.files(name)
    lines = [
        f"{search.name}: {search.title}",
        search.reference,
        f"{search.luminosity_fb:g} fb^-1 at {search.sqrt_s_tev:g} TeV, {counted(search.n_bins, 'bin')}{_axes(search)}",
        f"observed {search.observed.sum():.0f}",
        *aligned([(p.name, f"{p.estimate.nominal.sum():.2f}") for p in search.processes]),
        *([] if search.covariance is None else [f"covariance of the bins: {search.covariance.source}"]),
        *(f"{file}: {meaning}" for file, meaning in files.items()),
        f"{counted(stored.n_signals, 'signal')}, {_origin(stored)}, digest {stored.digest}",
        f"source: {search.source}",
        *(f"{key}: {text}" for key in _TEXTS if (text := getattr(search, key))),
    ]
    texts = {key: getattr(search, key) for key in _TEXTS}
    covariance = None if search.covariance is None else search.covariance.source
    document = {**_search_head(stored), **texts, "covariance": covariance, "files": list(files)}
    return {**document, "bins": _bins(search)}, "\n".join(lines)


def _axes(search: "Search") -> str:
    if not search.observables:
        return ", named regions without ranges"
    return " in " + ", ".join(f"{o.name}{f' [{o.unit}]' if o.unit else ''}" for o in search.observables)


def _bins(search: "Search") -> list[dict[str, Any]]:
    """Every bin for machines; an open upper edge is null."""
    return [
        {
            "bin": number,
            **({"name": search.names[i]} if search.names else {}),
            "ranges": {
                o.name: [low, high if high != float("inf") else None]
                for o, low, high in zip(
                    search.observables, search.low[i].tolist(), search.high[i].tolist(), strict=True
                )
            },
            "observed": int(search.observed[i]),
            "background": {
                p.name: {part: float(getattr(p.estimate, part)[i]) for part in p.estimate.__slots__}
                for p in search.processes
            },
        }
        for i, number in enumerate(search.numbers)
    ]


def _show_model(catalog: "Catalog", search: str, model: str) -> tuple[object, str]:
    points = [s for s in catalog.signals(search) if s.model == model]
    if not points:
        catalog.signal(search, model, (), source="table")  # which says what there is instead
    lines = [f"{_model(points[0])} in {search}: {_points(len(points))}", *(f"  {s.label}" for s in points)]
    return [_signal_head(s) for s in points], "\n".join(lines)


def _show_signal(
    catalog: "Catalog", search: str, model: str, parameters: tuple[float, ...]
) -> tuple[object, str]:
    from superbin.results.rounding import plain

    signal = catalog.signal(search, model, parameters, source="table")
    stored = next(s for s in catalog.signals(search) if s.digest == signal.digest)
    sigma = signal.cross_section_pb
    lines = [
        f"{signal.label} in {search}",
        f"{plain(float(signal.yields.sum()), float((signal.errors**2).sum()) ** 0.5)} expected events"
        + (f" at {sigma:g} pb" if sigma is not None else ""),
        f"{_origin(stored)}, digest {stored.digest}",
        f"source: {signal.source}",
    ]
    content = {"yields": signal.yields.tolist(), "errors": signal.errors.tolist()}
    return {**_signal_head(stored), **content}, "\n".join(lines)


def _existing(_: click.Context, __: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Paths that are there, or that may lead into an archive."""
    for path in paths:
        if not (path.exists() or any(parent.is_file() for parent in path.parents)):
            raise click.BadParameter(f"Path '{path}' does not exist.")
    return paths


@db.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), callback=_existing)
@click.option("--as", "kind", metavar="FORM", help="Form of the search, if it is not recognised.")
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file that says what each column or table is.",
)
@click.option("--name", metavar="NAME", help="Name of the search; by default from the source.")
@click.option(
    "--luminosity",
    metavar="X",
    type=click.FloatRange(min=0, min_open=True),
    help="Integrated luminosity in fb^-1, if the source does not state it.",
)
@click.option(
    "--repair-covariance",
    is_flag=True,
    help="Use the nearest covariance if the matrix is not positive semidefinite.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be stored, and store nothing.")
@click.option("--replace", is_flag=True, help="Replace the search or signals stored under the same name.")
@database_option
def import_(
    paths: tuple[Path, ...],
    kind: "Form | None",
    mapping: Path | None,
    name: str | None,
    luminosity: float | None,
    repair_covariance: bool,
    dry_run: bool,
    replace: bool,
    database: str | None,
) -> None:
    """Import a search in any form in which searches are published, or signals from CSV files; all or nothing is stored.

    A search is a folder of tables, one CSV table, a HEPData submission, an entry of SModelS, ROOT histograms and more
    (docs/howto/import.md). The output says what was recognised and what was done with every column.

    \b
    superbin db import my-search/
    superbin db import table.csv --luminosity 139 --dry-run
    superbin db import T1tttt_1500_100.csv T1tttt_1200_800.csv
    """
    from superbin.catalog import open_catalog
    from superbin.io.imports import Options, preview, read
    from superbin.io.tables import read_signal

    signals = [read_signal(path) for path in paths if kind is None and _is_signal(path)]
    sources = [path for path in paths if kind is not None or not _is_signal(path)]
    if len(sources) > 1:
        raise InputError(f"{sources[1]} is a second search; import one at a time")
    found = None
    if sources:
        options = Options(
            name=name,
            luminosity_fb=luminosity,
            mapping=_mapping(mapping),
            covariance="repair" if repair_covariance else "refuse",
        )
        found = read(sources[0], kind=kind, options=options)
        click.echo("\n".join(found.notes))
    bundle = None if found is None else found.bundle
    stored = [*(() if bundle is None else bundle.signals), *signals]
    what = (
        "" if bundle is None else f"search {bundle.search.name} with {counted(bundle.search.n_bins, 'bin')}, "
    )
    what += f"{counted(len(stored), 'signal')}"
    if bundle is not None and bundle.files:
        what += f", {', '.join(bundle.files)}"
    if dry_run:
        if bundle is not None:
            click.echo("\n".join(["", *preview(bundle), ""]))
        click.echo(f"would store {what}")
        return
    with open_catalog(database) as catalog:
        replaced = _store(catalog, bundle, signals, replace=replace)
        click.echo(f"{catalog.place}: stored {what}")
    if replaced is not None:
        click.echo(_replaced(replaced))
    if bundle is not None and bundle.signals:
        first = bundle.signals[0]
        masses = " ".join(f"{value:g}" for value in first.parameters.values())
        words = f"{shlex.quote(first.model)} {masses} --search {shlex.quote(bundle.search.name)}"
        click.echo(f"superbin: analyse a signal with: superbin run {words} -o out", err=True)


def _store(
    catalog: "Catalog", bundle: "Bundle | None", signals: "list[SignalModel]", *, replace: bool
) -> "Replaced | None":
    if bundle is None:
        return catalog.add_signals(signals, replace=replace)
    from dataclasses import replace as changed

    return catalog.add(changed(bundle, signals=(*bundle.signals, *signals)), replace=replace)


def _replaced(old: "Replaced") -> str:
    parts = []
    if old.digest is not None and old.imported is not None:
        origin = "packaged" if old.packaged else "imported"
        parts.append(f"the search {origin} {old.imported:%Y-%m-%d %H:%M} UTC with digest {old.digest[:12]}")
    elif not old.signals:
        parts.append("a search whose record was damaged")
    parts += [f"its file {name}" for name in old.files]
    if old.signals:
        shown = ", ".join(old.signals[:5]) + (
            f" and {len(old.signals) - 5} more" if len(old.signals) > 5 else ""
        )
        parts.append(f"the signal{'s' if len(old.signals) > 1 else ''} {shown}")
    return f"replaced {', '.join(parts)}"


def _is_signal(path: Path) -> bool:
    """Whether a file is a signal in superbin's own form: a table whose comments name a model."""
    if not path.is_file() or path.suffix.lower() != ".csv":
        return False
    return b"# model:" in first_bytes(path, 4096)


def _mapping(path: Path | None) -> dict[str, Any]:
    from superbin._support.json import parse_json
    from superbin.io._text import read_text

    content = {} if path is None else parse_json(read_text(path), path)
    if not isinstance(content, dict):
        raise InputError(f'{path}: a mapping is a JSON object, such as {{"columns": {{"observed": "N"}}}}')
    return content


@db.command("export")
@click.argument("search")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder or zip file to write.")
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@database_option
def export(search: str, path: Path | None, output: Path | None, force: bool, database: str | None) -> None:
    """Export a SEARCH with everything that belongs to it, as a folder of text tables or one zip file.

    `superbin db import` reads both back as the same search.

    \b
    superbin db export my-search -o my-search.zip
    superbin db export my-search tables
    """
    from superbin.catalog import open_catalog
    from superbin.io.bundles import check_target, write_bundle

    if (path is None) == (output is None):
        raise InputError("give one place to write to, such as: superbin db export my-search -o my-search.zip")
    target = path or output
    assert target is not None
    check_target(target, force=force)
    with open_catalog(database) as catalog:
        bundle = catalog.bundle(search)
    write_bundle(bundle, target, force=force)
    files = "".join(f", {name}" for name in bundle.files)
    click.echo(f"{target}: wrote search {search}, {counted(len(bundle.signals), 'signal')}{files}")


@db.command("inspect")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--as", "kind", metavar="FORM", help="Form of the search, if it is not recognised.")
@json_option
def inspect(path: Path, kind: "Form | None", machine: bool) -> None:
    """List what is in a file, folder or archive, and propose a mapping for `superbin db import`. Nothing is stored."""
    from superbin.io.imports.survey import survey

    seen = survey(path, kind=kind)
    if machine:
        click.echo(as_json(seen.document()))
        return
    click.echo("\n".join(seen.lines()))


@db.command("template")
@click.argument("name")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write; must not exist yet.",
)
@click.option("--force", is_flag=True, help="Replace the folder if it exists.")
def template(name: str, output: Path, force: bool) -> None:
    """Write a folder of tables for a search NAME with five bins, to fill in and import."""
    from superbin.io.template import write_template

    write_template(name, output, force=force)
    click.echo(f"{output}: wrote the tables of {name}; its README.md says what to fill in")


@db.command("delete")
@click.argument("search")
@click.option("--dry-run", is_flag=True, help="Print what would be deleted, and delete nothing.")
@database_option
def delete(search: str, dry_run: bool, database: str | None) -> None:
    """Delete a SEARCH with its signals, scans and files."""
    from superbin.catalog import open_catalog

    with open_catalog(database) as catalog:
        if dry_run:
            stored = next((s for s in catalog.searches() if s.name == search), None)
            if stored is None:
                catalog.search(search)  # which says what there is
            scans = sum(scan.search == search for scan in catalog.scans())
            n_signals = 0 if stored is None else stored.n_signals
            click.echo(f"would delete search {search} with {_with(n_signals, scans)}")
            return
        gone = catalog.delete(search)
        click.echo(f"{catalog.place}: deleted search {search} with {_with(gone.n_signals, gone.n_scans)}")
    if gone.packaged:
        click.echo("it ships with superbin; restore it with: superbin db init")


def _with(n_signals: int, n_scans: int) -> str:
    return f"{counted(n_signals, 'signal')} and {counted(n_scans, 'scan')}"
