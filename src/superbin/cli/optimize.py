"""``superbin optimize``: the best merges of several shapes, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    as_json,
    correlations_option,
    database_option,
    figure_of_merit_option,
    search_option,
    signal_options,
)

if TYPE_CHECKING:
    from superbin.aggregate import AggregateBin, Covariance
    from superbin.merge import Limits, TradeOff
    from superbin.search import Search
    from superbin.signal import SignalModel

LIMITS = ("limit", "asimov_limit")
SHAPES = ("free", "rectangle", "two-rectangles", "three-rectangles", "connected")
DEFAULT_SHAPES = ("free", "rectangle", "two-rectangles")
DEFAULT_SIZES = (1, 2, 3, 5)


@click.command(context_settings=POSITIONAL_NUMBERS)
@click.argument("model")
@click.argument("parameters", nargs=-1, required=True, type=float)
@search_option
@signal_options
@figure_of_merit_option
@click.option(
    "--shape",
    "shapes",
    type=click.Choice(SHAPES),
    multiple=True,
    default=DEFAULT_SHAPES,
    show_default=True,
    help="Allowed form of the merge; repeat for several.",
)
@click.option(
    "--bins",
    "sizes",
    type=click.IntRange(min=1),
    multiple=True,
    default=DEFAULT_SIZES,
    show_default=True,
    help="Also the best merge of exactly this many bins; repeat for several.",
)
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Limit of each proof."
)
@correlations_option
@database_option
@click.option("--figures", type=click.Path(path_type=Path), help="Folder for figures; must not exist yet.")
@click.option("--json", "json_", is_flag=True, help="Print a document for machines.")
def optimize(
    model: str,
    parameters: tuple[float, ...],
    search_name: str,
    source: str | None,
    grid: Path | None,
    cross_section: float | None,
    figure_of_merit: str,
    shapes: tuple[str, ...],
    sizes: tuple[int, ...],
    seconds: float,
    correlations: str | None,
    database: str | None,
    figures: Path | None,
    json_: bool,
) -> None:
    """Compare the best merges of bins for MODEL at its PARAMETERS: free, of k bins, one or two rectangles.

    Only expectations enter. Z is the exact expected significance and limit the exact expected 95 % CLs upper limit on the
    signal strength of every merge, whatever was chosen for; the loss is against the best of the list, in the limit if that
    is to be lowest, else in Z.

    \b
    superbin optimize T1bbbb 1750 1
    superbin optimize T1bbbb 1750 1 --figure-of-merit profile_asimov --shape free --json
    superbin optimize T1bbbb 1750 1 --figure-of-merit limit
    """
    from superbin import merge
    from superbin.aggregate import combine
    from superbin.catalog import find_signal, open_catalog
    from superbin.correlations import convention, covariances

    with open_catalog(database) as catalog:
        search = catalog.search(search_name)
        signal = find_signal(
            catalog, search, model, parameters, source=source, grid=grid, cross_section=cross_section
        )
    covariance = covariances(search, correlations)[0]
    names = [shape.replace("-", " ") for shape in shapes]
    found = _compare(
        search, signal, names, sizes, (covariance, merge.Limits(seconds=seconds), figure_of_merit)
    )
    rows = [
        _row(name, offer, combine(search, signal, offer.merge.bins, covariance=covariance))
        for name, offer in found
    ]
    worth = [1 / row["limit"] if figure_of_merit in LIMITS else row["z"] for row in rows]
    best = max(worth, default=0.0)
    for row, value in zip(rows, worth, strict=True):
        row["loss"] = 1 - value / best if best > 0 else 0.0
    if figures is not None:
        _draw(search, f"{signal.label} in {search.name}", found, rows, figures)
    if json_:
        click.echo(
            as_json(
                {
                    "search": search.name,
                    "signal": signal.label,
                    "source": signal.source,
                    "correlations": convention(covariance),
                    "merges": rows,
                }
            )
        )
    else:
        click.echo(_table(signal.label, search.name, figure_of_merit, rows))


def _compare(
    search: "Search",
    signal: "SignalModel",
    shapes: list[str],
    sizes: tuple[int, ...],
    options: "tuple[Covariance | None, Limits, str]",
) -> list[tuple[str, "TradeOff"]]:
    """The merges by name: a shape, or a number of bins."""
    from superbin import merge

    covariance, limits, merit = options
    offers = (
        *merge.trade_offs(
            search, signal, shapes=shapes, figure_of_merit=merit, covariance=covariance, limits=limits
        ),
        *merge.front(search, signal, sizes, figure_of_merit=merit, covariance=covariance, limits=limits),
    )
    names = [*shapes, *(f"{size} bin{'s' if size > 1 else ''}" for size in sizes)]
    return list(zip(names, offers, strict=True))


def _row(name: str, offer: "TradeOff", aggregate: "AggregateBin") -> dict[str, Any]:
    from superbin.stats import midp_significance
    from superbin.stats.limits import expected_limits

    merged, total = offer.merge, aggregate.background
    events = expected_limits("cls", total.nominal, total.up, total.down).median
    z = midp_significance(aggregate.signal + total.nominal, total.nominal, total.up, total.down)
    return {
        "shape": name,
        "bins": list(merged.bins),
        "z": float(z),
        "limit": events / aggregate.signal,
        "figure_of_merit": merged.figure_of_merit,
        "value": merged.value,
        "status": merged.status,
        "bound": merged.bound,
        "gap": merged.gap,
        "cuts": list(merged.cuts),
        "seconds": offer.seconds,
        "signal": aggregate.signal,
        "background": {"nominal": total.nominal, "up": total.up, "down": total.down},
    }


def _draw(
    search: "Search",
    title: str,
    found: list[tuple[str, "TradeOff"]],
    rows: list[dict[str, Any]],
    folder: Path,
) -> None:
    from superbin.files import staged_directory
    from superbin.plot import bin_map, merge_front, save
    from superbin.projection import bin_ranges

    marked = {name: row for (name, _), row in zip(found, rows, strict=True) if not name[0].isdigit()}
    sizes = [(len(row["bins"]), row["z"]) for row in rows if row["shape"] not in marked]
    merges = {f"{name}, Z = {marked[name]['z']:.2f}": o.merge for name, o in found if name in marked}
    with staged_directory(folder) as stage:
        shapes = {name: (len(row["bins"]), row["z"]) for name, row in marked.items()}
        save(merge_front(sizes, shapes, title=title).figure, stage / "front")
        if merges:
            ranges = {number: bin_ranges(search, number) for number in search.numbers}
            save(bin_map(ranges, merges, title=title).figure, stage / "map")


def _table(label: str, search: str, figure_of_merit: str, rows: list[dict[str, Any]]) -> str:
    inverse = figure_of_merit in LIMITS
    lines = [
        f"{label} in {search}, maximising {figure_of_merit}" + (" (value: 1/limit)" if inverse else ""),
        f"{'shape':<18}{'bins':>5}{'Z':>8}{'limit':>8}{'loss':>8}{'value':>9}{'gap':>9}{'time':>10}  status",
    ]
    for row in rows:
        gap = "-" if row["gap"] is None else f"{row['gap']:.1e}"
        lines.append(
            f"{row['shape']:<18}{len(row['bins']):>5}{row['z']:>8.3f}{row['limit']:>8.3f}{row['loss']:>8.1%}{row['value']:>9.4f}"
            f"{gap:>9}{1e3 * row['seconds']:>7.0f} ms  {row['status']}"
        )
        lines.extend(f"    {cut}" for cut in row["cuts"])
    return "\n".join(lines)
