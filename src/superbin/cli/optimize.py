"""``superbin optimize``: the best merges of several shapes, side by side."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    as_json,
    correlations_option,
    database_option,
    figure_of_merit_option,
    former_figure_folder_option,
    json_option,
    number,
    pyhf_toys_option,
    search_option,
    seconds_option,
    seed_option,
    selection_lines,
    signal_options,
    simplify_option,
    staged_output,
    toys_option,
    without_signal,
)
from superbin.cli.progress import counter
from superbin.cli.renamed import RenamedOptions
from superbin.cli.tables import aligned
from superbin.domain.merits import MERITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from superbin.analysis import SignificanceRow
    from superbin.catalog.catalog import Source
    from superbin.domain.aggregate import AggregateBin
    from superbin.domain.merits import Merit
    from superbin.domain.search import Search
    from superbin.domain.signal import SignalModel
    from superbin.merge import Stability, TradeOff
    from superbin.merge.shapes import Shape
    from superbin.results import ExpectedZ

SHAPES = ("free", "rectangle", "two-rectangles", "three-rectangles", "connected")
DEFAULT_SHAPES = ("free", "rectangle", "two-rectangles")
DEFAULT_SIZES = (1, 2, 3, 5)


@click.command(
    cls=RenamedOptions,
    renamed={"--bins": "--size"},
    context_settings=POSITIONAL_NUMBERS,
)
@click.argument("model")
@click.argument("parameters", nargs=-1, type=float)
@search_option
@signal_options
@figure_of_merit_option
@simplify_option
@click.option(
    "--shape",
    "shapes",
    type=click.Choice(SHAPES),
    multiple=True,
    default=DEFAULT_SHAPES,
    show_default=True,
    help="Shape of the merge; may be given more than once.",
)
@click.option(
    "--size",
    "sizes",
    metavar="K",
    type=click.IntRange(min=1),
    multiple=True,
    default=DEFAULT_SIZES,
    show_default=True,
    help="Also the best merge of exactly K bins; may be given more than once.",
)
@click.option(
    "--raise-low",
    metavar="EVENTS",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Also the free merge that is best if every background estimate is raised by EVENTS of its control count, such as 0.5, since a search "
    "prefers bins whose estimate is low by chance. Its numbers in the table are those of the published estimates.",
)
@seconds_option
@correlations_option
@database_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for a pyhf workspace of every merge, a patch set of all merges, their significances, and figures; must not exist yet.",
)
@click.option("--force", is_flag=True, help="Replace the output folder if it exists.")
@click.option(
    "--candidates",
    metavar="N",
    type=click.IntRange(min=0, max=1000),
    default=0,
    help="With --output: also the N best distinct sets of bins that the free search found.",
)
@click.option(
    "--stability",
    "draws",
    metavar="N",
    type=click.IntRange(min=0, max=100_000),
    default=0,
    help="Repeat the search N times with fluctuated backgrounds and simulated signals, and print how often each bin is chosen.",
)
@toys_option
@pyhf_toys_option
@seed_option
@click.option(
    "--figures/--no-figures",
    default=True,
    show_default=True,
    help="With --output: draw the figures into the folder.",
)
@former_figure_folder_option
@json_option
def optimize(
    model: str,
    parameters: tuple[float, ...],
    search_name: str,
    source: "Source | None",
    grid: Path | None,
    cross_section: float | None,
    figure_of_merit: str,
    simplify: float,
    shapes: tuple[str, ...],
    sizes: tuple[int, ...],
    raise_low: float,
    seconds: float,
    correlations: str | None,
    database: str | None,
    output: Path | None,
    force: bool,
    candidates: int,
    draws: int,
    toys: int,
    pyhf_toys: int,
    seed: int,
    figures: bool,
    former_folder: Path | None,
    machine: bool,
) -> None:
    """Compare the best merges of bins for MODEL at its PARAMETERS: free, of k bins, one or two rectangles.

    Only expectations are used, no observed counts. The table has the exact expected significance at n = s + b (exp. Z), the median and the 68 %
    range of its distribution with the signal, the exact expected 95 % CLs upper limit on the signal strength (limit), and the figure of merit that was
    maximised (merit, or mu95). The loss is against the best merge of the table: in the limit if the figure of merit is one, else in the figure of merit midp.

    \b
    superbin optimize T1bbbb 1750 1
    superbin optimize T1bbbb 1750 1 --figure-of-merit profile_asimov --shape free --json
    superbin optimize T1bbbb 1750 1 --figure-of-merit limit
    superbin optimize T1bbbb 1750 1 -o merges --candidates 10 --stability 200
    """
    from superbin import merge
    from superbin.catalog import open_catalog
    from superbin.domain.aggregate import combine
    from superbin.domain.correlations import convention, covariances

    if candidates and output is None:
        raise click.UsageError("--candidates are written to a folder; name it with --output")
    with (
        staged_output(output, force=force) as folder,
        staged_output(former_folder, force=force) as drawings,
        open_catalog(database) as catalog,
    ):
        search = catalog.search(search_name)
        signal = catalog.signal(
            search, model, parameters, source=source, grid=grid, cross_section=cross_section
        )
        covariance = covariances(search, correlations)[0]
        offers = merge.trade_offs(
            search,
            signal,
            shapes=_possible(search, shapes),
            sizes=_possible_sizes(search, sizes),
            figure_of_merit=figure_of_merit,
            covariance=covariance,
            limits=merge.Limits(seconds=seconds, exact_seconds=seconds),
            simplify=simplify,
            raise_low=raise_low,
            progress=counter("merges"),
        )
        document: dict[str, Any] = {
            "search": search.name,
            "signal": signal.label,
            "source": signal.source,
            "correlations": convention(covariance),
            "merges": [_row(offer) for offer in offers],
        }
        lines = [_table(signal.label, search.name, figure_of_merit, offers)]
        if draws:
            stable = merge.stability(
                search,
                signal,
                offers[0].merge.bins,
                figure_of_merit=figure_of_merit,
                covariance=covariance,
                draws=draws,
                seed=seed,
                progress=counter("searches"),
            )
            document["stability"] = _stability_row(stable, offers[0])
            lines += _stability_lines(document["stability"])
            if folder is not None:
                title = f"{signal.label} in {search.name}"
                _write_stability(folder, document["stability"], title, MERITS[figure_of_merit], draw=figures)
        if folder is not None:
            found = merge.candidates(
                search, signal, figure_of_merit=figure_of_merit, top=max(candidates, 1), covariance=covariance
            )
            met = {
                f"candidate {number}": combine(search, signal, candidate.bins, covariance=covariance)
                for number, candidate in enumerate(found[:candidates], start=1)
            }
            lines += _write(folder, search, signal, offers, met, document, (toys, pyhf_toys, seed))
            lines.append(f"written to {output}")
        for place in (folder if figures else None, drawings):
            if place is not None:
                _draw(search, f"{signal.label} in {search.name}", offers, place)
    click.echo(as_json(document) if machine else "\n".join(lines))


def _write(
    folder: Path,
    search: "Search",
    signal: "SignalModel",
    offers: "tuple[TradeOff, ...]",
    met: "Mapping[str, AggregateBin]",
    document: dict[str, Any],
    thrown: tuple[int, int, int],
) -> list[str]:
    """Write workspaces, the patch set and the table; returns what to say of them."""
    from superbin import workspace
    from superbin._support.files import write_text
    from superbin.analysis import CandidateMerge, candidate_workspaces, largest_disagreement, significances

    merges = [CandidateMerge(offer.name, offer.aggregate) for offer in offers]
    known = {merge.aggregate.bins for merge in merges}
    merges += [CandidateMerge(name, bins) for name, bins in met.items() if bins.bins not in known]
    written = candidate_workspaces(merges, name=signal.label, reference=search.reference)
    (folder / "workspaces").mkdir()
    for key, content in written.workspaces.items():
        write_text(folder / "workspaces" / f"{key}.json", workspace.to_json(content))
    if written.background is not None and written.patchset is not None:
        write_text(folder / "background.json", workspace.to_json(written.background))
        write_text(folder / "patchset.json", workspace.to_json(written.patchset, schema="patchset.json"))
    toys, pyhf_toys, seed = thrown
    rows = significances(merges, written.workspaces, toys=toys, pyhf_toys=pyhf_toys, seed=seed)
    table = ["merge,bins,count,method,z_superbin,z_pyhf,difference,error"]
    bins = {merge.name: " ".join(map(str, merge.aggregate.bins)) for merge in merges}
    for row in rows:
        values = (row.superbin, row.pyhf, row.difference, row.error)
        cells = ",".join("" if value is None else f"{value:.6g}" for value in values)
        table.append(f"{row.name},{bins[row.name]},{row.count},{row.method},{cells}")
    write_text(folder / "significances.csv", "\n".join(table) + "\n")
    document["significances"] = [asdict(row) for row in rows]
    write_text(folder / "merges.json", as_json(document) + "\n")
    from superbin.results.rounding import plain

    lines = _side_by_side(rows)
    worst = largest_disagreement(rows)
    if worst is not None and worst.difference is not None:
        size = abs(worst.difference)
        shown = f"{size:.4f}" if worst.error is None else plain(size, worst.error)
        lines.append(
            f"superbin and pyhf differ most in the {worst.count} {worst.method} Z of {worst.name}: pyhf's is "
            f"{shown} {'larger' if worst.difference > 0 else 'smaller'}"
        )
    lines += [f"no workspace of {name}: {reason}" for name, reason in written.missing.items()]
    return lines


def _side_by_side(rows: "Sequence[SignificanceRow]") -> list[str]:
    methods = ("exact", "toys", "asymptotic")
    table: list[Sequence[str]] = [("Z (superbin / pyhf)", "", *methods)]
    pairs = list(dict.fromkeys((row.name, row.count) for row in rows))
    found = {(row.name, row.count, row.method): row for row in rows}
    for name, count in pairs:
        cells = (found[name, count, method] for method in methods)
        table.append((name, count, *(f"{number(c.superbin)} / {number(c.pyhf)}" for c in cells)))
    return aligned(table, left=(0, 1))


def _stability_row(stable: "Stability", offer: "TradeOff") -> dict[str, Any]:
    import numpy as np

    spread = {
        name: [float(x) for x in np.quantile(getattr(stable, name), (0.16, 0.5, 0.84))]
        for name in ("claimed", "kept", "reference_claimed")
    }
    return {
        "merge": offer.name,
        "bins": list(offer.merge.bins),
        "draws": len(stable.claimed),
        "same": stable.same,
        "reference": stable.reference,
        **spread,
        "frequency": {str(i + 1): float(x) for i, x in enumerate(stable.frequency) if x > 0},
    }


def _stability_lines(row: dict[str, Any]) -> list[str]:
    def spread(name: str) -> str:
        low, middle, high = row[name]
        return f"{middle:.3f} ({low:.3f} to {high:.3f})"

    often = sorted(row["frequency"].items(), key=lambda item: (-item[1], int(item[0])))[:20]
    return [
        f"{row['draws']} draws of backgrounds and simulation, merit as median (16 % to 84 %); {row['reference']:.3f} for the {row['merge']} merge as published",
        f"  chosen in each draw, with its numbers    {spread('claimed')}",
        f"  the same with the published numbers      {spread('kept')}",
        f"  {row['merge']} merge with the drawn numbers".ljust(43) + spread("reference_claimed"),
        "  bins by how often they are chosen: "
        + ", ".join(
            f"{number} {share:.0%}{'*' if int(number) in row['bins'] else ''}" for number, share in often
        ),
        f"  (* in the {row['merge']} merge; exactly this one in {row['same']:.0%})",
    ]


def _write_stability(folder: Path, row: dict[str, Any], title: str, merit: "Merit", *, draw: bool) -> None:
    from superbin._support.files import write_text
    from superbin.plot import save, stability_bars

    frequency = {int(number): share for number, share in row["frequency"].items()}
    table = ["bin,frequency,in_merge"]
    table += [f"{n},{share:.6g},{int(n in row['bins'])}" for n, share in sorted(frequency.items())]
    write_text(folder / "stability.csv", "\n".join(table) + "\n")
    spread = {
        ("best of each draw", "drawn"): row["claimed"],
        ("best of each draw", "published"): row["kept"],
        (f"{row['merge']} merge", "drawn"): row["reference_claimed"],
        (f"{row['merge']} merge", "published"): [row["reference"]] * 3,
    }
    table = ["merge,numbers,low,median,high"]
    for (name, numbers), values in spread.items():
        table.append(f"{name},{numbers}," + ",".join(f"{value:.6g}" for value in values))
    write_text(folder / "stability-spread.csv", "\n".join(table) + "\n")
    if not draw:
        return
    drawn = stability_bars(
        frequency,
        row["bins"],
        spread={f"{name},\n{numbers} numbers": values for (name, numbers), values in spread.items()},
        quantity="1/mu95" if merit.limit else "Figure of merit",
        title=f"{title}, {merit.goal}",
    )
    save(drawn.figure, folder / "stability")


def _possible_sizes(search: "Search", sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The default sizes that a search has bins for; sizes that were asked for are kept."""
    return tuple(k for k in sizes if k <= search.n_bins) if sizes == DEFAULT_SIZES else sizes


def _possible(search: "Search", shapes: tuple[str, ...]) -> "list[Shape]":
    """The shapes as the library names them; by default only those that a search without ranges can have."""
    if shapes == DEFAULT_SHAPES and not search.observables:
        return ["free"]
    return [cast("Shape", shape.replace("-", " ")) for shape in shapes]


def _bands(offer: "TradeOff") -> "ExpectedZ":
    """Median and bands of the mid-p significance over the outcomes with the signal."""
    from superbin.results import ExpectedZ
    from superbin.stats import expected

    b = offer.aggregate.background
    found = expected(offer.aggregate.signal, b.nominal, b.up, b.down)
    return ExpectedZ.of((one.z for one in found.at_quantiles), found.fit)


def _row(offer: "TradeOff") -> dict[str, Any]:
    merged, total = offer.merge, offer.aggregate.background
    return {
        "shape": offer.name,
        "bins": list(merged.bins),
        "z": offer.z,
        "expected_midp": asdict(_bands(offer)),
        "limit": offer.limit,
        "figure_of_merit": merged.figure_of_merit,
        "value": merged.value,
        "mu95": merged.mu95,
        "without_signal": list(merged.without_signal),
        "status": merged.status,
        "bound": merged.bound,
        "gap": merged.gap,
        "cuts": list(merged.cuts),
        "overlap": merged.overlap,
        "optimum": None if merged.optimum is None else asdict(merged.optimum),
        "seconds": offer.seconds,
        "signal": offer.aggregate.signal,
        "background": {"nominal": total.nominal, "up": total.up, "down": total.down},
        "loss": offer.loss,
    }


def _draw(search: "Search", title: str, offers: "tuple[TradeOff, ...]", folder: Path) -> None:
    from superbin.analysis.projection import bin_ranges
    from superbin.plot import bin_map, merge_front, save

    shapes = [offer for offer in offers if not offer.name[0].isdigit()]
    sizes = [(len(offer.merge.bins), offer.z) for offer in offers if offer not in shapes]
    if offers:
        title += f", {MERITS[offers[0].merge.figure_of_merit].goal}"
    marked = {offer.name: (len(offer.merge.bins), offer.z) for offer in shapes}
    save(merge_front(sizes, marked, title=title).figure, folder / "front")
    if shapes and search.observables:
        ranges = {i: bin_ranges(search, i) for i in search.numbers}
        merges = {f"{offer.name}, {_shown(offer)}": offer.merge for offer in shapes}
        save(bin_map(ranges, merges, title=title).figure, folder / "map")


def _shown(offer: "TradeOff") -> str:
    if MERITS[offer.merge.figure_of_merit].limit:
        return f"mu95 = {offer.limit:.3f}"
    return f"Z = {offer.z:.2f}"


def _table(label: str, search: str, figure_of_merit: str, offers: "tuple[TradeOff, ...]") -> str:
    from superbin.results.rounding import plain

    merit = MERITS[figure_of_merit]
    head = merit.symbol if merit.limit else "merit"
    rows = [
        (
            "shape",
            "bins",
            "signal",
            "background",
            "exp. Z",
            "median",
            "68 %",
            "limit",
            "loss",
            head,
            "gap",
            "time",
            "status",
        )
    ]
    for offer in offers:
        merged, total = offer.merge, offer.aggregate
        bands = _bands(offer)
        rows.append(
            (
                offer.name,
                str(len(merged.bins)),
                plain(total.signal, total.signal_error),
                plain(total.background.nominal, total.background.up, total.background.down),
                f"{offer.z:.3f}",
                number(bands.median),
                f"{number(bands.low1, 2)} to {number(bands.high1, 2)}",
                f"{offer.limit:.3f}",
                f"{offer.loss:.1%}",
                f"{merit.shown(merged.value):.4f}",
                "-" if merged.gap is None else f"{merged.gap:.1e}",
                f"{1e3 * offer.seconds:.0f} ms",
                merged.status,
            )
        )
    heading, *texts = aligned(rows, left=(0, 12))
    lines = [f"{label} in {search}, {merit.goal} ({figure_of_merit})", heading]
    for offer, text in zip(offers, texts, strict=True):
        lines.append(text)
        lines.extend(selection_lines(offer.merge, indent="    "))
        lines.extend("  " + line for line in without_signal(offer.merge.without_signal))
    return "\n".join(lines)
