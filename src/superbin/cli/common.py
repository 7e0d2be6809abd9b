"""``superbin common``: one merge for many signals, and a few for a grid of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superbin._support.shown import counted
from superbin.cli.options import (
    as_json,
    correlations_option,
    database_option,
    figure_of_merit_option,
    figure_option,
    json_option,
    keep_force,
    search_option,
    staged_output,
)
from superbin.cli.progress import counter
from superbin.domain.merits import MERITS
from superbin.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from superbin.catalog import Catalog
    from superbin.domain.bundle import Bundle
    from superbin.domain.covariance import Covariance
    from superbin.domain.search import Search
    from superbin.domain.signal import SignalModel
    from superbin.merge import CommonMerge, Fleet, GridMerges
    from superbin.merge.many import Objective


@click.command()
@click.argument("model", required=False)
@click.option(
    "--at",
    "points",
    type=(float, float),
    multiple=True,
    metavar="M1 M2",
    help="Masses of a signal of MODEL, from its grid or stored; may be given more than once. By default all points of the grid, or all stored signals if there is no grid.",
)
@click.option(
    "--grid",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Grid of efficiencies to use instead of the packaged one.",
)
@click.option("--stored", is_flag=True, help="Use the signals of MODEL that are stored in the database.")
@click.option(
    "--signal",
    "files",
    metavar="FILE",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Add the signal of this table (CSV); may be given more than once.",
)
@click.option(
    "--max-signals",
    metavar="N",
    type=click.IntRange(min=1),
    help="Use only N signals, spread over all, for a quick look.",
)
@search_option
@click.option(
    "--objective",
    type=click.Choice(["mean", "worst"]),
    default="mean",
    show_default=True,
    help="What the common merge maximises: the mean efficiency over the signals, or the worst one.",
)
@click.option(
    "--aggregates",
    metavar="K",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Also design the best 1, 2, ... K merges; each signal uses the best of them.",
)
@click.option(
    "--exclusive",
    is_flag=True,
    help="Use each bin in at most one of the K merges; by default merges may overlap.",
)
@click.option(
    "--regions",
    metavar="K",
    type=click.IntRange(min=1),
    help="Design K exclusive regions instead, to be used together with their covariance, for the lowest expected limits on all signals.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="With --regions: folder for the regions as a search with its signals, tables and exports; must not exist yet.",
)
@click.option(
    "--force", is_flag=True, is_eager=True, callback=keep_force, help="Replace an output that exists."
)
@figure_of_merit_option
@click.option(
    "--least",
    metavar="X",
    type=click.FloatRange(min=0),
    default=0.5,
    show_default=True,
    help="Leave out signals whose own best merge has at most this figure of merit.",
)
@correlations_option
@database_option
@figure_option("the figure of the losses")
@json_option
@click.pass_context
def common(
    context: click.Context,
    model: str | None,
    points: tuple[tuple[float, float], ...],
    grid: Path | None,
    stored: bool,
    files: tuple[Path, ...],
    max_signals: int | None,
    search_name: str,
    objective: "Objective",
    aggregates: int,
    exclusive: bool,
    regions: int | None,
    output: Path | None,
    force: bool,
    figure_of_merit: str,
    least: float,
    correlations: str | None,
    database: str | None,
    figure: Path | None,
    machine: bool,
) -> None:
    """Choose one merge of bins for many signals of MODEL, and show the loss with 1 to K merges.

    The efficiency of a merge for a signal is its figure of merit over that of the signal's own best merge; loss = 1 -
    efficiency. Only expectations are used, no observed counts.

    \b
    superbin common T1bbbb --aggregates 6 --figure loss.pdf
    superbin common T1bbbb --at 1750 1 --at 1500 800 --objective worst
    superbin common --signal mine.csv --signal yours.csv --figure-of-merit s_over_sqrt_bv
    superbin common T1bbbb --regions 10 -o regions
    """
    from superbin import merge
    from superbin.catalog import open_catalog
    from superbin.domain.correlations import convention, covariances

    if output is not None and regions is None:
        raise click.UsageError(
            "--output is for the search that --regions designs; give both, or --figure alone"
        )
    if regions is not None:
        _refuse(context)
    with staged_output(output, force=force) as folder:
        with open_catalog(database) as catalog:
            search = catalog.search(search_name)
            signals = _signals(catalog, search, model, (points, grid, stored, files))
        if max_signals is not None:
            signals = _spread(signals, max_signals)
        covariance = covariances(search, correlations)[0]
        if regions is not None:
            document, lines = _design(search, signals, covariance, regions, folder)
            if folder is not None:
                lines.append(f"written to {output}")
        else:
            fleet = merge.fleet(
                search,
                signals,
                figure_of_merit=figure_of_merit,
                covariance=covariance,
                least=least,
                progress=counter("signals"),
            )
            one = merge.common_merge(fleet, objective=objective)
            document = _document(fleet, one, merge.merges_for_grid(fleet, aggregates, exclusive=exclusive))
            document |= {
                "correlations": convention(covariance),
                "exclusive": exclusive,
                "least": least,
            }
            lines = _text(document)
        if figure is not None:
            _draw(document, figure)
    click.echo(as_json(document) if machine else "\n".join(lines))


_OF_MERGES = {
    "objective": "--objective",
    "aggregates": "--aggregates",
    "exclusive": "--exclusive",
    "figure_of_merit": "--figure-of-merit",
    "least": "--least",
}
"""Options of merges of which each signal uses one; regions that are used together know none of them."""


def _refuse(context: click.Context) -> None:
    """Refuse options that mean nothing for regions."""
    for name, option in _OF_MERGES.items():
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{option} is for merges of which each signal uses one; --regions designs exclusive regions for the expected "
                "limits of all signals: drop one of the two"
            )


def _signals(
    catalog: "Catalog", search: "Search", model: str | None, sources: tuple[Any, ...]
) -> "list[SignalModel]":
    from superbin.io.tables import read_signal
    from superbin.scan import grid_targets

    points, grid, stored, files = sources
    signals = [read_signal(path) for path in files]
    if model is None:
        if points or stored or grid is not None or not signals:
            raise InputError("no model is named; write for example: superbin common T1bbbb, or --signal FILE")
        return signals
    if points:
        return [*(catalog.signal(search, model, point, grid=grid) for point in points), *signals]
    if stored or (grid is None and catalog.only_stored(search, model)):
        found = [s for s in catalog.signals(search) if s.model == model]
        if not found:
            raise InputError(
                f"no signal of {model!r} is stored in the bins of {search.name!r}; see: superbin db list"
            )
        masses = (tuple(s.parameters.values()) for s in found)
        return [*(catalog.signal(search, model, values, source="table") for values in masses), *signals]
    chosen = catalog.grid(search, model, grid)
    targets = grid_targets(chosen, search, cross_sections=catalog.cross_sections(chosen.process, search))
    return [*(target.signal for target in targets if target.signal is not None), *signals]


def _spread(signals: "Sequence[SignalModel]", count: int) -> "list[SignalModel]":
    """Signals of one plane far from one another; of others simply the first."""
    from superbin.scan import spread

    names = {tuple(signal.parameters) for signal in signals}
    if len(names) > 1:
        return list(signals[:count])
    return [signals[i] for i in spread([tuple(s.parameters.values()) for s in signals], count)]


def _design(
    search: "Search",
    signals: "Sequence[SignalModel]",
    covariance: "Covariance | None",
    k: int,
    folder: Path | None,
) -> tuple[dict[str, Any], list[str]]:
    """Design regions, write the search they are, and say what they lose."""
    from superbin.merge import design_regions, merged_bundle
    from superbin.merge.cuts import selections

    curve = design_regions(search, signals, k, covariance=covariance)
    best = curve[-1]
    texts = [selections(search, region) for region in best.regions]
    document: dict[str, Any] = {
        "search": search.name,
        "signals": list(best.labels),
        "limits": best.limits.tolist(),
        "bin_limits": best.bin_limits.tolist(),
        "losses": best.losses.tolist(),
        "cuts": [list(text.texts) for text in texts],
        "curve": [
            {
                "k": len(step.regions),
                "mean_loss": step.mean_loss,
                "worst_loss": step.worst_loss,
                "regions": [list(region) for region in step.regions],
            }
            for step in curve
        ],
    }
    worst = int(best.losses.argmax())
    count = len(best.labels)
    lines = [
        f"{counted(count, 'signal')} in {search.name}, expected limits of all regions together against those of all bins",
        f"{'k':>4}{'mean loss':>12}{'worst loss':>12}",
        *(f"{len(s.regions):>4}{s.mean_loss:>12.1%}{s.worst_loss:>12.1%}" for s in curve),
        f"with {len(best.regions)} the largest loss is that of {best.labels[worst]}: {best.losses[worst]:.1%}",
        f"{counted(len(best.regions), 'region')}, best found:",
    ]
    for i, (region, text) in enumerate(zip(best.regions, texts, strict=True), 1):
        lines.append(f"  AR{i}: bin{'s' if len(region) != 1 else ''} {', '.join(map(str, region))}")
        lines += _lines(text.texts, overlap=text.overlap)
    if folder is not None:
        kept = [signal for signal in signals if signal.yields.any()]
        bundle = merged_bundle(search, best.regions, signals=kept, covariance=covariance)
        lines += _write_regions(folder, document, bundle)
    return document, lines


def _write_regions(folder: Path, document: dict[str, Any], bundle: "Bundle") -> list[str]:
    """Write a bundle of regions, the table of losses, the curve and exports; returns what could not be."""
    from superbin._support.files import write_text
    from superbin.export import FORMATS, entry_of
    from superbin.io.bundles import write_bundle

    write_bundle(bundle, folder / "search")
    columns = ("signals", "limits", "bin_limits", "losses")
    rows = zip(*(document[column] for column in columns), strict=True)
    table = ["signal,limit,limit_of_bins,loss"]
    table += [f'"{label}",{limit:.6g},{own:.6g},{loss:.6g}' for label, limit, own, loss in rows]
    write_text(folder / "losses.csv", "\n".join(table) + "\n")
    write_text(folder / "regions.json", as_json(document) + "\n")
    _draw(document, folder / "loss")
    notes = []
    for name in ("pyhf", "smodels", "spey"):
        try:
            files = FORMATS[name].files(entry_of(bundle))
        except InputError as error:
            notes.append(f"no export to {name}: {error}")
            continue
        for place, content in files.items():
            path = folder / name / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return notes


def _document(fleet: "Fleet", one: "CommonMerge", curve: "Sequence[GridMerges]") -> dict[str, Any]:
    from superbin.merge.cuts import selections

    return {
        "search": fleet.search.name,
        "figure_of_merit": fleet.figure_of_merit,
        "signals": list(fleet.labels),
        "left_out": list(fleet.left_out),
        "best_values": fleet.best_values.tolist(),
        "common": {
            "objective": one.objective,
            "bins": list(one.bins),
            "cuts": list(one.cuts),
            "overlap": selections(fleet.search, one.bins).overlap,
            "efficiency": one.efficiency,
            "bound": one.bound,
            "status": one.status,
            "efficiencies": list(one.efficiencies),
        },
        "curve": [
            {
                "k": len(step.merges),
                "mean_loss": step.mean_loss,
                "worst_loss": step.worst_loss,
                "merges": [_selected(fleet.search, bins) for bins in step.merges],
                "assignment": list(step.assignment),
            }
            for step in curve
        ],
    }


def _selected(search: "Search", bins: "tuple[int, ...]") -> dict[str, Any]:
    from superbin.merge.cuts import selections

    text = selections(search, bins)
    return {"bins": list(bins), "cuts": list(text.texts), "overlap": text.overlap}


def _lines(cuts: "Sequence[str]", *, overlap: bool) -> list[str]:
    """The selections of a merge, under ``union of`` where they overlap."""
    return ["    union of", *(f"      {cut}" for cut in cuts)] if overlap else [f"    {cut}" for cut in cuts]


def _draw(document: dict[str, Any], path: Path) -> None:
    from superbin.plot import loss_curve, save

    steps = document["curve"]
    losses = {
        "Mean over the signals": [(step["k"], step["mean_loss"]) for step in steps],
        "Worst signal": [(step["k"], step["worst_loss"]) for step in steps],
    }
    title = f"{counted(len(document['signals']), 'signal')} in {document['search']}, "
    if "exclusive" in document:
        title += f"{'exclusive' if document['exclusive'] else 'overlapping'} merges"
        drawn = loss_curve(losses, title=title)
    else:
        title += "regions together"
        drawn = loss_curve(losses, things="regions", loss="Loss of the expected limit", title=title)
    save(drawn.figure, path)


def _text(document: dict[str, Any]) -> list[str]:
    one, count = document["common"], len(document["signals"])
    out = f"; {len(document['left_out'])} left out" if document["left_out"] else ""
    bound = "" if one["bound"] is None else f", not above {one['bound']:.4f}"
    lines = [
        f"{counted(count, 'signal')} in {document['search']}, {MERITS[document['figure_of_merit']].goal}{out}",
        f"one merge for all, largest {one['objective']} efficiency: {one['efficiency']:.4f}{bound} ({one['status']})",
        f"  bins {', '.join(map(str, one['bins']))}",
        *_lines(one["cuts"], overlap=one["overlap"]),
        f"{'exclusive' if document['exclusive'] else 'overlapping'} merges, each signal using the best of them:",
        f"{'k':>4}{'mean loss':>12}{'worst loss':>12}",
        *(f"{s['k']:>4}{s['mean_loss']:>12.1%}{s['worst_loss']:>12.1%}" for s in document["curve"]),
    ]
    last = document["curve"][-1]
    for i, merge in enumerate(last["merges"]):
        users = last["assignment"].count(i)
        lines.append(f"merge {i + 1} of {last['k']}, best for {counted(users, 'signal')}:")
        lines += _lines(merge["cuts"], overlap=merge["overlap"])
    return lines
