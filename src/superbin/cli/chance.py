"""``superbin chance``: how likely background alone makes something stand out anywhere."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superbin.cli.options import (
    OutputFile,
    correlations_option,
    database_option,
    figure_option,
    force_option,
    json_option,
    number,
    search_option,
    seed_option,
)
from superbin.cli.progress import ProgressLine, duration
from superbin.cli.renamed import RenamedOptions

if TYPE_CHECKING:
    from superbin.results.chance import ChanceResult


@click.command(cls=RenamedOptions, renamed={"--output-file": "--output"})
@click.option(
    "--scan",
    "scan_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Test the points of this scan.json instead of all rectangles of the search.",
)
@click.option(
    "--toys",
    metavar="N",
    type=click.IntRange(min=1),
    default=100_000,
    show_default=True,
    help="Number of pseudo-experiments.",
)
@seed_option
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of threads; the result does not depend on it.",
)
@search_option
@correlations_option
@database_option
@click.option("-o", "--output", type=OutputFile(), help="File for the result as JSON.")
@force_option
@figure_option("the figure of the largest significance")
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def chance(
    context: click.Context,
    scan_file: Path | None,
    toys: int,
    seed: int,
    threads: int,
    search_name: str,
    correlations: str | None,
    database: str | None,
    output: Path | None,
    figure: Path | None,
    machine: bool,
    quiet: bool,
) -> None:
    """Print the global p-value of the most significant rectangle of a search, or point of a scan.

    A rectangle is a set of bins that one range per observable selects exactly. Pseudo-experiments draw the counts of all
    bins under background alone, as the control regions of the published likelihood determine it, and
    count how often any rectangle is at least as significant. If interrupted, the command prints the result so far.

    \b
    superbin chance
    superbin chance --scan maps/scan.json --toys 1000000
    """
    from superbin._support.files import write_text
    from superbin.catalog import open_catalog
    from superbin.chance import of_rectangles, of_scan
    from superbin.results.chance import chance_to_json
    from superbin.results.scan import load_scan

    scan = None if scan_file is None else load_scan(scan_file)
    if scan is not None and (correlations is not None or _given(context, "search_name")):
        raise click.UsageError(
            "--scan says which search and which correlations; drop --search and --correlations"
        )
    with open_catalog(database) as catalog:
        search = catalog.search(search_name if scan is None else scan.search.name)
        likelihood = catalog.published_likelihood(search) if catalog.has_likelihood(search) else None
    with ProgressLine(quiet=quiet) as line:
        report = partial(_report, line)
        if scan is None:
            result = of_rectangles(
                search,
                correlations=correlations,
                likelihood=likelihood,
                toys=toys,
                seed=seed,
                workers=threads,
                on_progress=report,
            )
        else:
            result = of_scan(
                search, scan, likelihood=likelihood, toys=toys, seed=seed, workers=threads, on_progress=report
            )
    document = chance_to_json(result)
    if output is not None:
        write_text(output, document)
    if figure is not None:
        from superbin.plot import largest_significance, save

        save(largest_significance(result).figure, figure)
    click.echo(document.rstrip("\n") if machine else _summary(result))


def _given(context: click.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source not in {None, click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP}


def _report(line: ProgressLine, done: int, total: int) -> None:
    rate = done / max(line.seconds, 1e-9)
    left = f", {duration((total - done) / rate)} left" if 0 < done < total else ""
    line.show(f"{done:,} of {total:,} pseudo-experiments, {rate:,.0f}/s{left}", always=done == total)


def _summary(result: "ChanceResult") -> str:
    from superbin.results.rounding import plain

    excess, chance_ = result.excess, result.chance
    b = excess.background
    bins = f"bin{'s' if len(excess.bins) > 1 else ''} {', '.join(map(str, excess.bins))}"
    lines = [
        f"Search   {result.search.name}: {result.search.title}",
        f"Tried    {result.tried}",
        f"Largest  {excess.observed} observed, {plain(b.nominal, b.up, b.down)} expected in {bins}",
    ]
    lines += [f"         {'or ' if i else ''}{cut}" for i, cut in enumerate(excess.cuts)]
    if excess.models:
        more = len(excess.models) - 3
        names = "; ".join(excess.models[:3]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"         chosen for {names}")
    trials = "" if result.trials is None else f"; trials factor {result.trials:.3g}"
    lines += [
        f"Local    p = {excess.local.p:.3g}, Z = {number(excess.local.z)} (exact mid-p){trials}",
        f"Global   {_p(result)}",
        f"         {chance_.hits:,} of {chance_.n:,} pseudo-experiments, seed {chance_.seed}",
        f"Drawn    {result.ensemble}",
    ]
    if chance_.interrupted:
        lines.append("Stopped before all pseudo-experiments were done.")
    return "\n".join(lines)


def _p(result: "ChanceResult") -> str:
    from superbin.results.rounding import plain

    found = result.chance
    if not found.hits:
        return f"p < {found.p_upper:.2g} at 95 % confidence: no pseudo-experiment is as significant; use more --toys"
    return f"p = {plain(found.p, found.p_err)}, Z = {number(found.z)}"
