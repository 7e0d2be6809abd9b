"""``superbin likelihood toys`` and ``gof``."""

from pathlib import Path
from typing import Any

import click

from superbin.cli.likelihood.subject import (
    PROCESSES,
    head,
    open_subject,
    processes_option,
    subject_options,
)
from superbin.cli.likelihood.text import doubts_text
from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    as_json,
    figure_option,
    force_option,
    json_option,
    number,
    seed_option,
)
from superbin.cli.progress import counter
from superbin.cli.renamed import RenamedOptions

__all__ = ["gof", "toys"]


@click.command("toys", cls=RenamedOptions, renamed=PROCESSES, context_settings=POSITIONAL_NUMBERS)
@subject_options
@click.option(
    "--mu",
    metavar="X",
    type=float,
    help="Signal strength whose CLs is computed; by default p0 of the background.",
)
@click.option(
    "-n",
    "--toys",
    "number_",
    metavar="N",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Number of toys per hypothesis.",
)
@seed_option
@processes_option
@json_option
def toys(mu: float | None, number_: int, seed: int, processes: int, machine: bool, **chosen: Any) -> None:
    """Compute p0 of the background, or CLs of a signal strength, with toys. `superbin likelihood limit --toys` computes limits."""
    from superbin.likelihood import toys as library

    subject, engine = open_subject(**chosen)
    report = counter("toys")
    document = head(subject, engine, chosen)
    if mu is None:
        q0, tail, status = library.background_toys(
            engine, toys=number_, seed=seed, processes=processes, progress=report
        )
        usable = tail is not None and tail.toys > 0
        document |= {
            "status": status,
            "q0": q0,
            "p0": tail.p if tail is not None and usable else None,
            "p0_err": tail.p_error if tail is not None and usable else None,
            "toys": tail.toys if tail is not None else 0,
            "failed": tail.failed if tail is not None else 0,
            "seed": seed,
        }
    else:
        found = library.cls_from_toys(
            engine, mu, toys=number_, seed=seed, processes=processes, progress=report
        )
        usable = found.background.above > 0
        document |= {
            "status": "converged" if usable else "no toy of the background is as extreme as the data",
            "mu": mu,
            "cls": found.cls if usable else None,
            "cls_err": found.cls_error if usable else None,
            "cls_plus_b": found.signal.p if found.signal.toys else None,
            "cl_b": found.background.p if found.background.toys else None,
            "toys": number_,
            "failed": found.signal.failed + found.background.failed,
            "seed": seed,
        }
    if machine:
        click.echo(as_json(document))
        return
    shown = {k: v for k, v in document.items() if k not in {*subject.head, "bins", "channels", "parameters"}}
    click.echo(f"{subject.title}: " + ", ".join(f"{key} {value}" for key, value in shown.items()))


@click.command("gof", cls=RenamedOptions, renamed=PROCESSES, context_settings=POSITIONAL_NUMBERS)
@subject_options
@click.option("--mu", metavar="X", type=float, help="Hold the signal strength; by default it is fitted.")
@click.option(
    "-n",
    "--toys",
    "number_",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of toys.",
)
@seed_option
@processes_option
@force_option
@figure_option("the figure of the toys")
@json_option
def gof(
    mu: float | None,
    number_: int,
    seed: int,
    processes: int,
    figure: Path | None,
    machine: bool,
    **chosen: Any,
) -> None:
    """Print the goodness of fit against the saturated model, by the chi-squared distribution and by toys."""
    from superbin.likelihood.goodness import goodness

    subject, engine = open_subject(**chosen)
    found = goodness(engine, mu=mu, toys=number_, seed=seed, processes=processes, progress=counter("toys"))
    if figure is not None:
        from superbin.plot import likelihood as draw
        from superbin.plot import save

        save(draw.goodness_distribution(found).figure, figure)
    document = head(subject, engine, chosen) | found.document()
    if machine:
        click.echo(as_json(document))
        return
    click.echo(f"{subject.title}: status {found.status}")
    click.echo(
        f"statistic {number(found.statistic)} for {found.freedom} degrees of freedom, "
        f"p = {number(found.p_asymptotic, 4)} asymptotic, {number(document['p_toys'], 4)} by {document['toys']} toys"
    )
    if found.doubts:
        click.echo(doubts_text(found.doubts))
