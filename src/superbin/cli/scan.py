"""``superbin scan``: the analysis over a plane of masses, on every core or on a cluster."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from superbin._support.shown import counted
from superbin.catalog.packaged import DEFAULT_SEARCH
from superbin.cli.options import (
    correlations_option,
    database_option,
    figure_of_merit_option,
    json_option,
    number,
    search_option,
    simplify_option,
)
from superbin.cli.progress import ProgressLine, duration
from superbin.domain.merits import MERITS
from superbin.errors import InputError, SuperbinError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from superbin.catalog import Catalog
    from superbin.domain.search import Search
    from superbin.likelihood.model import Systematics
    from superbin.results.scan import ScanPoint, ScanResult
    from superbin.scan import Progress, Settings, Target
    from superbin.scan.point import ScanLikelihood
    from superbin.scan.workers import DaskWorkers, LocalWorkers

ROWS = 10
"""Points in the printed table."""

COLUMNS = ("Z obs", "Z exp", "signal", "background", "observed", "mu95 obs", "mu95 exp")
"""What it says of each, after the masses."""

SIDES = ("observed", "expected")
KINDS = {"one_bin": "one bin", "likelihood": "full likelihood"}
SHORT = {"one_bin": "1bin", "likelihood": "full"}
"""Kinds of limits that are compared with published ones, in words and as columns."""


_SIMPLIFY = 0.005
"""The tolerance that ``superbin run`` has without being told."""


@click.command()
@click.argument("model")
@click.option(
    "--grid",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Grid of efficiencies to use instead of the packaged one.",
)
@click.option(
    "--points",
    "points_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File with the masses to scan, one point per line, separated by a comma or blanks, instead of the points of the grid; the grid is interpolated.",
)
@click.option(
    "--cross-sections",
    "cross_sections_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Table of cross sections to use instead of the packaged one: mass_GeV,cross_section_pb and, if known, "
    "uncertainty_percent or uncertainty_pb.",
)
@click.option(
    "--stored",
    is_flag=True,
    help="Scan the signals of MODEL that are stored in the database instead of a grid; the default if there is no grid.",
)
@click.option(
    "--max-points",
    metavar="N",
    type=click.IntRange(min=1),
    help="Scan only N points, spread over all, for a quick look.",
)
@search_option
@correlations_option
@figure_of_merit_option
@simplify_option
@click.option(
    "--likelihood-limit",
    is_flag=True,
    help="Add the limit from the full likelihood of the search: published, a pyhf workspace or Combine datacards; slow.",
)
@click.option(
    "--systematics",
    type=click.Choice(["published", "own", "global", "none"]),
    help="Systematic uncertainties of the signal with --likelihood-limit: published, bin by bin, for another signal (the default); own, the "
    "signal's variations and Monte Carlo errors; global, only those that are equal for all signals; or none.",
)
@click.option(
    "--processes",
    metavar="N",
    type=click.IntRange(min=1),
    help="Number of processes on this machine; by default one per core.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Start a Dask cluster of N workers on this machine.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Use the Dask cluster of this scheduler.")
@click.option("--retry-failed", is_flag=True, help="Compute the failed points again.")
@click.option(
    "--fresh", is_flag=True, help="Compute all points again, and replace what is stored of this scan."
)
@database_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for scan.json and the maps; must not exist yet.",
)
@click.option("--force", is_flag=True, help="Replace the output folder if it exists.")
@click.option(
    "--figures/--no-figures", default=True, show_default=True, help="Draw the maps into the folder."
)
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
def scan(
    model: str,
    grid: Path | None,
    points_file: Path | None,
    cross_sections_file: Path | None,
    stored: bool,
    max_points: int | None,
    search_name: str,
    correlations: str | None,
    figure_of_merit: str,
    simplify: float,
    likelihood_limit: bool,
    systematics: "Systematics | None",
    processes: int | None,
    workers: int | None,
    scheduler: str | None,
    retry_failed: bool,
    fresh: bool,
    database: str | None,
    output: Path | None,
    force: bool,
    figures: bool,
    machine: bool,
    quiet: bool,
) -> None:
    """Design and evaluate the best one-bin analysis of MODEL at every point of its grid.

    Every point is stored in the database as soon as it is finished. To continue an interrupted scan,
    run the same command again. Limits are shown beside those that the search published. The signal has no systematic uncertainty in the one bin.

    \b
    superbin scan T1qqqq --max-points 20
    superbin scan T1qqqq -o maps
    superbin scan T1qqqq --scheduler tcp://host:8786
    """
    from superbin._support.files import staged_directory
    from superbin.catalog import open_catalog
    from superbin.scan import Settings, run_scan

    _check_options({"--processes": processes, "--workers": workers, "--scheduler": scheduler})
    if stored and not (grid is points_file is cross_sections_file is None):
        raise click.UsageError(
            "--stored scans stored signals; it does not go with --grid, --points or --cross-sections"
        )
    if systematics is not None and not likelihood_limit:
        raise click.UsageError(
            "--systematics are those of the signal in the full likelihood; give --likelihood-limit with it"
        )
    settings = Settings(
        correlations=correlations,
        figure_of_merit=figure_of_merit,
        simplify=simplify,
        likelihood_limit=likelihood_limit,
        systematics=systematics or "published",
    )
    stage: AbstractContextManager[Path | None] = (
        nullcontext() if output is None else staged_directory(output, force=force)
    )
    with stage as folder, open_catalog(database) as catalog:
        search = catalog.search(search_name)
        if grid is points_file is cross_sections_file is None:
            stored = stored or catalog.only_stored(search, model)
        targets = (
            _stored_targets(catalog, search, model)
            if stored
            else _grid_targets(catalog, search, model, grid, points_file, cross_sections_file)
        )
        if max_points is not None:
            targets = _spread(targets, max_points)
        with (
            _reported(catalog.place, quiet=quiet) as report,
            _executor(processes, workers, scheduler) as crew,
        ):
            result = run_scan(
                search,
                targets,
                settings=settings,
                likelihood=_likelihood(catalog, search) if likelihood_limit else None,
                published=catalog.limits(search, model),
                executor=crew,
                store=catalog.store,
                retry_failed=retry_failed,
                fresh=fresh,
                on_progress=report,
            )
        if folder is not None:
            _write(result, folder, figures=figures)
    common = _row_options(search_name, grid, stored, settings, database)

    def row_options(point: "ScanPoint") -> list[str]:
        if cross_sections_file is None or point.cross_section_pb is None:
            return common
        return [*common, "--cross-section", _plain(point.cross_section_pb)]

    click.echo(_as_json(result) if machine else _summary(result, row_options, output))
    failed = sum(point.status != "done" for point in result.points)
    if failed:
        raise InputError(
            f"{failed} of {counted(len(result.points), 'point')} failed, each for the reason given with it; the others are kept"
        )


def _likelihood(catalog: "Catalog", search: "Search") -> "ScanLikelihood":
    found = catalog.open_likelihood(search)
    if found is None:
        covariance = ", only the covariance of its bins" if search.covariance is not None else ""
        raise InputError(
            f"search {search.name!r} has no likelihood{covariance}; leave out --likelihood-limit, or import the search with its pyhf workspace or "
            "Combine datacards"
        )
    return found


def _check_options(where: dict[str, object]) -> None:
    given = [name for name, value in where.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} name different workers; give one of them")


def _stored_targets(catalog: "Catalog", search: "Search", model: str) -> "tuple[Target, ...]":
    from superbin.scan import Target

    known = [s for s in catalog.signals(search) if s.model == model]
    if not known:
        catalog.signal(search, model, (), source="table")  # which says what there is
    signals = (catalog.signal(search, model, tuple(s.parameters.values()), source="table") for s in known)
    return tuple(Target.of(signal) for signal in signals)


def _grid_targets(
    catalog: "Catalog",
    search: "Search",
    model: str,
    path: Path | None,
    points: Path | None,
    cross_sections: Path | None,
) -> "tuple[Target, ...]":
    from superbin.io.cross_sections import read_cross_sections
    from superbin.io.masses import read_masses
    from superbin.scan import grid_targets

    grid = catalog.grid(search, model, path)
    return grid_targets(
        grid,
        search,
        points=None if points is None else read_masses(points, grid.parameters),
        cross_sections=catalog.cross_sections(grid.process, search)
        if cross_sections is None
        else read_cross_sections(cross_sections, grid.process),
    )


def _spread(targets: "tuple[Target, ...]", count: int) -> "tuple[Target, ...]":
    from superbin.scan import spread

    return tuple(targets[i] for i in spread([tuple(t.parameters.values()) for t in targets], count))


def _executor(
    processes: int | None, workers: int | None, scheduler: str | None
) -> "AbstractContextManager[LocalWorkers | DaskWorkers | None]":
    from superbin.scan import dask_workers, local_workers

    if workers is not None or scheduler is not None:
        return dask_workers(scheduler=scheduler, workers=workers)
    return nullcontext() if processes == 1 else local_workers(processes)


# --- progress -------------------------------------------------------------------------------------------------


class _Report:
    """How far the scan is, as a bar with rate and remaining time."""

    width = 30

    def __init__(self, line: ProgressLine) -> None:
        self.line = line
        self.last: Progress | None = None
        self._start, self._refused = 0.0, 0

    def __call__(self, progress: "Progress") -> None:
        """Show how far the scan is."""
        first, self.last = self.last is None, progress
        if first:
            # What was refused at once is no measure of how fast points are computed.
            self._start, self._refused = self.line.seconds, progress.finished
        text = self._text(progress, self.line.seconds - self._start)
        self.line.show(text, always=first or not progress.left)

    def _text(self, progress: "Progress", seconds: float) -> str:
        done = progress.total - progress.left
        filled = self.width * done // progress.total
        parts = [f"[{'#' * filled}{'.' * (self.width - filled)}] {done}/{counted(progress.total, 'point')}"]
        if progress.restored:
            parts.append(f"{progress.restored} from before")
        if progress.failed:
            parts.append(f"{progress.failed} failed")
        computed = progress.finished - self._refused
        if computed and seconds > 0:
            rate = computed / seconds
            parts.append(f"{rate:.2g}/s")
            if progress.left:
                parts.append(f"{duration(progress.left / rate)} left")
        return ", ".join(parts)


@contextmanager
def _reported(place: str, *, quiet: bool) -> Iterator[_Report]:
    """Report progress, and after any end but a good one, what is kept and how to continue."""
    report = _Report(ProgressLine(quiet=quiet))
    try:
        yield report
    except (SuperbinError, KeyboardInterrupt) as error:
        report.line.end()
        if report.last is not None:
            done = report.last.total - report.last.left
            click.echo(
                f"superbin: {done} of {counted(report.last.total, 'point')} are stored in {place}; run the same command again to "
                "continue",
                err=True,
            )
        if isinstance(error, KeyboardInterrupt):
            raise click.Abort from error
        raise
    else:
        report.line.end()


# --- output ---------------------------------------------------------------------------------------------------


def _as_json(result: "ScanResult") -> str:
    from superbin.results.scan import scan_to_json

    return scan_to_json(result).rstrip("\n")


def _write(result: "ScanResult", folder: Path, *, figures: bool) -> None:
    from superbin._support.files import write_text
    from superbin.page import page, point_pages

    write_text(folder / "scan.json", _as_json(result) + "\n")
    _draw(result, folder, figures=figures)
    shown = [folder / "maps" / f"{name}.png" for name in _ON_PAGE]
    drawn = {path.stem: path.read_bytes() for path in shown if path.is_file()}
    pages = point_pages(result)
    if pages:
        (folder / "points").mkdir()
    for name, text in pages.items():
        write_text(folder / "points" / name, text)
    write_text(folder / "report.html", page(result, figures=drawn, point_folder="points" if pages else None))


_ON_PAGE = (
    "exclusion",
    "exclusion-likelihood",
    "exclusion-compared",
    "limits",
    "limits-likelihood",
    "significance-scatter",
)
"""Figures of a scan that its page shows."""


def _draw(result: "ScanResult", folder: Path, *, figures: bool) -> None:
    if figures:
        from superbin.plot import save, scan_figures

        maps = scan_figures(result)
        if not maps:
            click.echo("superbin: no figures are drawn: no point is finished", err=True)
            return
        (folder / "maps").mkdir()
        for name, figure in maps.items():
            save(figure, folder / "maps" / name)


def _row_options(
    search: str, grid: Path | None, stored: bool, settings: "Settings", database: str | None
) -> list[str]:
    """Options with which ``superbin run`` gives the analysis of any point of this scan."""
    options = (
        ["--source", "table"] if stored else ["--source", "grid"] if grid is None else ["--grid", str(grid)]
    )
    if search != DEFAULT_SEARCH:
        options += ["--search", search]
    if settings.correlations is not None:
        options += ["--correlations", settings.correlations]
    if settings.figure_of_merit != "midp":
        options += ["--figure-of-merit", settings.figure_of_merit]
    if settings.simplify != _SIMPLIFY:
        options += ["--simplify", f"{settings.simplify:g}"]
    if database is not None:
        from superbin.store.engine import retyped

        options += ["--database", retyped(database)]
    return options


def _summary(
    result: "ScanResult", row_options: "Callable[[ScanPoint], list[str]]", output: Path | None
) -> str:
    from superbin.scan import may_pass

    done = [point for point in result.points if point.status == "done"]
    failed = [point for point in result.points if point.status != "done"]
    lines = [
        f"{result.model} in {result.search.name}, {result.search.luminosity_fb:g} fb^-1: {counted(len(done), 'point')}"
        + (f", {len(failed)} failed" if failed else ""),
        f"bins chosen for the {_goal(result)}, correlations {result.options['correlations']}; expected is pre-fit; the signal has no systematic uncertainty in one bin",
    ]
    if result.options["likelihood_limit"] != "none":
        lines.append(
            f"full likelihood: signal systematics {result.options['systematics']}; expected is post-fit"
        )
    if done:
        lines += _excluded(done)
        lines += _against_published(done)
        if not MERITS[str(result.options["figure_of_merit"])].limit:
            lines.append(
                "limits are those of bins chosen for the significance; for the lowest: --figure-of-merit limit"
            )
        lines += [
            "",
            f"The most discrepant points (Z is local, of {counted(len(done), 'point')})",
        ]
        lines += _table(result, done, row_options)
    if failed:
        lines += ["", "Failed points"]
        lines += [f"  {_masses(point)}: {point.reason}" for point in failed[:ROWS]]
        if len(failed) > ROWS:
            lines.append(f"  and {len(failed) - ROWS} more")
        if any(map(may_pass, failed)):
            lines.append("  compute them again with --retry-failed")
    if output is not None:
        lines += ["", f"written to {output}"]
    return "\n".join(lines)


def _goal(result: "ScanResult") -> str:
    return MERITS[str(result.options["figure_of_merit"])].goal


def _excluded(done: "Sequence[ScanPoint]") -> list[str]:
    limits = [point.mu_limit for point in done]
    observed = sum(
        limit is not None and limit.observed is not None and limit.observed < 1 for limit in limits
    )
    expected = sum(limit is not None and limit.median is not None and limit.median < 1 for limit in limits)
    return [
        f"excluded at 95 % CLs by their one bin: {counted(observed, 'point')} observed, {expected} expected"
    ]


def _ratios(points: "Sequence[ScanPoint]", kind: str, side: str) -> list[float]:
    """Limits of one kind and side over the published ones, where both are there."""
    found = [
        None if point.published is None else getattr(point.published, f"{kind}_{side}") for point in points
    ]
    return [ratio for ratio in found if ratio is not None]


def _against_published(done: "Sequence[ScanPoint]") -> list[str]:
    lines = []
    for kind, words in KINDS.items():
        parts = [
            f"{side} {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) at {counted(len(ratios), 'point')}"
            for side in SIDES
            if (ratios := _ratios(done, kind, side))
        ]
        if parts:
            lines.append(f"{words} over the published limits, median (lowest to highest): {', '.join(parts)}")
    return lines


def _table(
    result: "ScanResult", done: "Sequence[ScanPoint]", row_options: "Callable[[ScanPoint], list[str]]"
) -> list[str]:
    def discrepancy(point: "ScanPoint") -> tuple[float, float]:
        # Where p is zero in floating point, Z still tells points apart.
        assert point.observed is not None
        return point.observed.p, -(point.observed.z or 0.0)

    chosen = sorted(done, key=discrepancy)[:ROWS]
    compared = [(kind, side) for kind in KINDS for side in SIDES if _ratios(done, kind, side)]
    heading = [*result.parameters, *COLUMNS, *(f"{SHORT[kind]}/pub {side[:3]}" for kind, side in compared)]
    head, *rows = _aligned([heading, *([*_row(p), *_compared(p, compared)] for p in chosen)])
    lines = [head]
    for point, row in zip(chosen, rows, strict=True):
        lines += [row, f"    bins {', '.join(map(str, point.bins))}"]
        words = [_plain(value) for value in point.parameters.values()]
        name = "_".join([result.model, *words])
        command = ["superbin", "run", result.model, *words, *row_options(point), "-o", name]
        lines.append(f"    {shlex.join(command)}")
    return lines


def _aligned(rows: "Sequence[Sequence[str]]") -> list[str]:
    """Columns to the right, at least two blanks apart, and of usual width where that is enough for what they hold."""
    widths = [max(8, *(len(cell) + 2 for cell in column)) for column in zip(*rows, strict=True)]
    return ["".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]


def _row(point: "ScanPoint") -> list[str]:
    from superbin.results.rounding import plain

    # The schema promises these of a point that is done.
    assert point.yields is not None
    assert point.observed is not None
    assert point.expected is not None
    limit = point.mu_limit
    assert limit is not None
    total = point.yields.background
    return [
        *map(_plain, point.parameters.values()),
        *(number(z, 2) for z in (point.observed.z, point.expected.z)),
        plain(point.yields.signal, point.yields.signal_error),
        plain(total.nominal, total.up, total.down),
        str(point.yields.observed),
        *(number(mu) for mu in (limit.observed, limit.median)),
    ]


def _compared(point: "ScanPoint", kinds: "Sequence[tuple[str, str]]") -> list[str]:
    found = point.published
    return [number(None if found is None else getattr(found, f"{kind}_{side}"), 2) for kind, side in kinds]


def _masses(point: "ScanPoint") -> str:
    return ", ".join(f"{name} {_plain(value)}" for name, value in point.parameters.items())


def _plain(value: float) -> str:
    return repr(value).removesuffix(".0")
