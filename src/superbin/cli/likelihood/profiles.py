"""``superbin likelihood scan`` and ``impacts``."""

from pathlib import Path
from typing import Any

import click

from superbin.cli.likelihood.subject import head, open_subject, subject_options
from superbin.cli.likelihood.text import doubts_text, strength
from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    as_json,
    figure_option,
    force_option,
    json_option,
    number,
)
from superbin.cli.progress import counter
from superbin.cli.renamed import RenamedOptions
from superbin.cli.tables import aligned
from superbin.errors import InputError

__all__ = ["impacts", "scan"]


@click.command(
    "scan", cls=RenamedOptions, renamed={"--points": "--steps"}, context_settings=POSITIONAL_NUMBERS
)
@subject_options
@click.option(
    "-p",
    "--parameter",
    "names",
    metavar="NAME",
    multiple=True,
    help="Parameter to scan, by default the signal strength; give it twice for a plane.",
)
@click.option(
    "--range",
    "ranges",
    metavar="LOW HIGH",
    type=(float, float),
    multiple=True,
    help="Range of the parameter; by default three standard deviations. One per parameter.",
)
@click.option(
    "--steps",
    "points",
    metavar="N",
    type=click.IntRange(min=2),
    help="Number of values per parameter; by default 31, or 15 for a plane.",
)
@force_option
@figure_option("the figure of the scan")
@json_option
def scan(
    names: tuple[str, ...],
    ranges: tuple[tuple[float, float], ...],
    points: int | None,
    figure: Path | None,
    machine: bool,
    **chosen: Any,
) -> None:
    """Scan the profile likelihood of one parameter, or of two."""
    import numpy as np

    from superbin.likelihood import scans

    if len(names) > 2 or (ranges and len(ranges) != max(len(names), 1)):
        raise InputError("a scan takes one or two --parameter, and no --range or one for each")
    subject, engine = open_subject(**chosen)
    n = points or (15 if len(names) == 2 else 31)
    values = [np.linspace(low, high, n).tolist() for low, high in ranges] or [None, None]
    if len(names) == 2:
        plane = scans.surface(
            engine, (names[0], names[1]), x=values[0], y=values[1], points=n, progress=counter("scan")
        )
        document = head(subject, engine, chosen) | plane.document()
        text = [f"{subject.title}: status {plane.status}, best fit {plane.best}"]
    else:
        found = scans.scan(
            engine, names[0] if names else None, values=values[0], points=n, progress=counter("scan")
        )
        document = head(subject, engine, chosen) | found.document()
        text = [f"{subject.title}: status {found.status}", f"{found.parameter} = {strength(found.best)}"]
        for rise, (low, high) in found.intervals.items():
            text.append(f"q < {rise:.3g}: {strength(low)} to {strength(high)}")
        text += [f"  {value:12.6g} {number(q, 4)}" for value, q in zip(found.values, found.q, strict=True)]
    if figure is not None:
        from superbin.plot import likelihood as draw
        from superbin.plot import save

        artists = draw.profile_plane(plane) if len(names) == 2 else draw.profile_scan(found)
        save(artists.figure, figure)
    click.echo(as_json(document) if machine else "\n".join([*text, doubts_text(document["doubts"])]).rstrip())


@click.command("impacts", context_settings=POSITIONAL_NUMBERS)
@subject_options
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Number of impacts computed by fits with the parameter fixed; the others come from the covariance.",
)
@force_option
@figure_option("the figure of the impacts")
@json_option
def impacts(top: int, figure: Path | None, machine: bool, **chosen: Any) -> None:
    """Print pulls of all parameters and their impacts on the signal strength, the largest first."""
    from superbin.likelihood import impacts as library

    subject, engine = open_subject(**chosen)
    found = library.impacts(engine, top=top, progress=counter("impacts"))
    if figure is not None:
        from superbin.plot import likelihood as draw
        from superbin.plot import save

        save(draw.impact_ranking(found, most=max(top, 1)).figure, figure)
    if machine:
        click.echo(as_json(head(subject, engine, chosen) | found.document()))
        return
    click.echo(
        f"{subject.title}: status {found.status}, mu = {strength(found.mu)} +- {strength(found.mu_error)}"
    )
    rows = [("parameter", "pull", "impact, up / down")]
    for one in found.parameters[: max(top, 1)]:
        pulled = f"{number(one.pull, 2)} +- {number(one.constraint, 2)}" if one.pull is not None else one.kind
        by_fits = f"{strength(one.up)} / {strength(one.down)}" if one.up is not None else strength(one.linear)
        rows.append((one.name, pulled, by_fits))
    click.echo("\n".join(f"  {line}" for line in aligned(rows)))
    if found.doubts:
        click.echo(doubts_text(found.doubts))
