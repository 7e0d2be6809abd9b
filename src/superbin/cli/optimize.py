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
    without_signal,
)
from superbin.domain.merits import MERITS

if TYPE_CHECKING:
    from superbin.domain.search import Search
    from superbin.merge import TradeOff

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

    Only expectations enter. exp. Z is the exact expected significance at n = s + b and limit the exact expected 95 % CLs
    upper limit on the signal strength of every merge, whatever the bins were chosen for; merit, or mu95, is what was made
    best. The loss is against the best of the list, in the limit if that is to be lowest, else in the figure of merit midp.

    \b
    superbin optimize T1bbbb 1750 1
    superbin optimize T1bbbb 1750 1 --figure-of-merit profile_asimov --shape free --json
    superbin optimize T1bbbb 1750 1 --figure-of-merit limit
    """
    from superbin import merge
    from superbin.catalog import open_catalog
    from superbin.domain.correlations import convention, covariances

    with open_catalog(database) as catalog:
        search = catalog.search(search_name)
        signal = catalog.signal(
            search, model, parameters, source=source, grid=grid, cross_section=cross_section
        )
    covariance = covariances(search, correlations)[0]
    offers = merge.trade_offs(
        search,
        signal,
        shapes=_possible(search, shapes),
        sizes=sizes,
        figure_of_merit=figure_of_merit,
        covariance=covariance,
        limits=merge.Limits(seconds=seconds),
    )
    if figures is not None:
        _draw(search, f"{signal.label} in {search.name}", offers, figures)
    if json_:
        click.echo(
            as_json(
                {
                    "search": search.name,
                    "signal": signal.label,
                    "source": signal.source,
                    "correlations": convention(covariance),
                    "merges": [_row(offer) for offer in offers],
                }
            )
        )
    else:
        click.echo(_table(signal.label, search.name, figure_of_merit, offers))


def _possible(search: "Search", shapes: tuple[str, ...]) -> list[str]:
    """The shapes as the library names them; by default only those that a search without ranges can have."""
    if shapes == DEFAULT_SHAPES and not search.observables:
        return ["free"]
    return [shape.replace("-", " ") for shape in shapes]


def _row(offer: "TradeOff") -> dict[str, Any]:
    merged, total = offer.merge, offer.aggregate.background
    return {
        "shape": offer.name,
        "bins": list(merged.bins),
        "z": offer.z,
        "limit": offer.limit,
        "figure_of_merit": merged.figure_of_merit,
        "value": merged.value,
        "mu95": merged.mu95,
        "without_signal": list(merged.without_signal),
        "status": merged.status,
        "bound": merged.bound,
        "gap": merged.gap,
        "cuts": list(merged.cuts),
        "seconds": offer.seconds,
        "signal": offer.aggregate.signal,
        "background": {"nominal": total.nominal, "up": total.up, "down": total.down},
        "loss": offer.loss,
    }


def _draw(search: "Search", title: str, offers: "tuple[TradeOff, ...]", folder: Path) -> None:
    from superbin._support.files import staged_directory
    from superbin.analysis.projection import bin_ranges
    from superbin.plot import bin_map, merge_front, save

    shapes = [offer for offer in offers if not offer.name[0].isdigit()]
    sizes = [(len(offer.merge.bins), offer.z) for offer in offers if offer not in shapes]
    if offers:
        title += f", {MERITS[offers[0].merge.figure_of_merit].goal}"
    with staged_directory(folder) as stage:
        marked = {offer.name: (len(offer.merge.bins), offer.z) for offer in shapes}
        save(merge_front(sizes, marked, title=title).figure, stage / "front")
        if shapes:
            ranges = {number: bin_ranges(search, number) for number in search.numbers}
            merges = {f"{offer.name}, {_shown(offer)}": offer.merge for offer in shapes}
            save(bin_map(ranges, merges, title=title).figure, stage / "map")


def _shown(offer: "TradeOff") -> str:
    if MERITS[offer.merge.figure_of_merit].limit:
        return f"mu95 = {offer.limit:.3f}"
    return f"Z = {offer.z:.2f}"


def _table(label: str, search: str, figure_of_merit: str, offers: "tuple[TradeOff, ...]") -> str:
    merit = MERITS[figure_of_merit]
    head = merit.symbol if merit.limit else "merit"
    lines = [
        f"{label} in {search}, {merit.goal} ({figure_of_merit})",
        f"{'shape':<18}{'bins':>5}{'exp. Z':>8}{'limit':>8}{'loss':>8}{head:>9}{'gap':>9}{'time':>10}  status",
    ]
    for offer in offers:
        merged = offer.merge
        gap = "-" if merged.gap is None else f"{merged.gap:.1e}"
        lines.append(
            f"{offer.name:<18}{len(merged.bins):>5}{offer.z:>8.3f}{offer.limit:>8.3f}{offer.loss:>8.1%}{merit.shown(merged.value):>9.4f}"
            f"{gap:>9}{1e3 * offer.seconds:>7.0f} ms  {merged.status}"
        )
        lines.extend(f"    {cut}" for cut in merged.cuts)
        lines.extend("  " + line for line in without_signal(merged.without_signal))
    return "\n".join(lines)
