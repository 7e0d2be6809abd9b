"""``superbin plot``: the figures of a result again, from its document alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superbin._support.shown import counted
from superbin.cli.options import standard_input
from superbin.cli.renamed import RenamedOptions
from superbin.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from superbin.plot import Format
    from superbin.results.load import Drawable


@click.command(cls=RenamedOptions, renamed={"--figure": "--only"})
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for the figures; must not exist yet. Without it, the names of the figures are printed.",
)
@click.option("--force", is_flag=True, help="Replace the output folder if it exists.")
@click.option(
    "--only",
    "names",
    metavar="NAME",
    multiple=True,
    help="Draw this figure only; may be given more than once.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(["pdf", "png", "svg"]),
    multiple=True,
    default=("pdf", "png"),
    show_default=True,
    help="File format; may be given more than once.",
)
def plot(
    file: Path, output: Path | None, force: bool, names: tuple[str, ...], formats: "tuple[Format, ...]"
) -> None:
    """Draw the figures of FILE: a result.json, scan.json or chance.json, a folder with one, or - for standard input.

    FILE may also be what superbin likelihood scan, impacts or yields printed with --json, or what superbin likelihood covariance wrote.

    \b
    superbin plot out/result.json
    superbin plot maps/scan.json -o figures --only exclusion --format pdf
    """
    from superbin._support.files import staged_directory
    from superbin.results.load import drawable_of, load_drawable

    result = (
        drawable_of(standard_input(), place="standard input") if str(file) == "-" else load_drawable(file)
    )
    drawn = _figures(result)
    unknown = [name for name in names if name not in drawn]
    if unknown:
        raise InputError(f"{file} has no figure {unknown[0]!r}; it has {', '.join(drawn) or 'none'}")
    chosen = [name for name in drawn if not names or name in names]
    if output is None:
        click.echo("\n".join(chosen))
        return
    from superbin.plot import save

    with staged_directory(output, force=force) as folder:
        for name in chosen:
            save(drawn[name], folder / name, formats=formats)
    click.echo(f"{counted(len(chosen), 'figure')} written to {output}")


def _figures(result: "Drawable") -> "Mapping[str, Any]":
    from superbin import plot as drawing
    from superbin.plot import likelihood
    from superbin.plot.drawn import Drawn
    from superbin.results import AnalysisResult
    from superbin.results.likelihood import Correlations, Impacts, Scan, Surface, Yields
    from superbin.results.scan import ScanResult

    if isinstance(result, AnalysisResult):
        return drawing.figures(result)
    if isinstance(result, ScanResult):
        return drawing.scan_figures(result)
    single: dict[type, tuple[str, Callable[[Any], Any]]] = {
        Scan: ("profile", likelihood.profile_scan),
        Surface: ("profile", likelihood.profile_plane),
        Impacts: ("impacts", likelihood.impact_ranking),
        Yields: ("yields", likelihood.channel_yields),
        Correlations: ("correlations", likelihood.correlations),
    }
    name, draw = single.get(type(result), ("largest-significance", drawing.largest_significance))
    return Drawn({name: lambda: draw(result).figure})
