"""``superbin run``: from a signal to a finished mini analysis."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superbin._support.shown import counted
from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    Share,
    correlations_option,
    database_option,
    figure_of_merit_option,
    json_option,
    pyhf_toys_option,
    search_option,
    seconds_option,
    seed_option,
    signal_options,
    simplify_option,
    toys_option,
)
from superbin.cli.paper import check_paper, paper_options, write_paper

if TYPE_CHECKING:
    from superbin.catalog.catalog import Source
    from superbin.domain.signal import SignalModel
    from superbin.likelihood import PublishedLikelihood
    from superbin.likelihood.imported import ImportedLikelihood
    from superbin.results import AnalysisResult


@click.command(context_settings=POSITIONAL_NUMBERS)
@click.argument("model")
@click.argument("parameters", nargs=-1, type=float)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write; must not exist yet.",
)
@search_option
@signal_options
@correlations_option
@figure_of_merit_option
@seconds_option
@simplify_option
@toys_option
@pyhf_toys_option
@seed_option
@click.option(
    "--signal-uncertainty",
    type=Share(),
    metavar="SHARE",
    default=0.0,
    help="Relative systematic uncertainty of the signal, 10% or 0.1, in addition to those stored with it.",
)
@click.option(
    "--likelihood/--no-likelihood",
    "ask_likelihood",
    default=True,
    show_default=True,
    help="Use the full likelihood of a search that has one (published, a pyhf workspace, Combine datacards): its limits, and the workspace of the aggregate bin with its control regions. For a search with a covariance alone: the limits of the simplified likelihood. Takes some seconds.",
)
@database_option
@click.option("--force", is_flag=True, help="Replace the output folder if it exists.")
@click.option(
    "--figures/--no-figures",
    default=True,
    show_default=True,
    help="Draw the figures; without them the paper has none.",
)
@click.option(
    "--pdf/--no-pdf", default=True, show_default=True, help="Compile the paper, if LaTeX is installed."
)
@paper_options
@json_option
def run(
    model: str,
    parameters: tuple[float, ...],
    output: Path,
    search_name: str,
    source: "Source | None",
    grid: Path | None,
    cross_section: float | None,
    correlations: str | None,
    figure_of_merit: str,
    seconds: float,
    simplify: float,
    toys: int,
    pyhf_toys: int,
    seed: int,
    signal_uncertainty: float,
    ask_likelihood: bool,
    database: str | None,
    force: bool,
    figures: bool,
    pdf: bool,
    paper_class: str,
    template: Path | None,
    cut_flow: Path | None,
    machine: bool,
) -> None:
    """Design, evaluate and write up the most sensitive one-bin analysis of MODEL at its PARAMETERS.

    The parameters are the masses in GeV, in the model's order: the produced particle, then the lightest one.

    \b
    superbin run T1bbbb 1750 1 -o out
    superbin run T1qqqq 1500 700 -o out
    """
    from superbin._support.files import staged_directory
    from superbin.analysis import analyze
    from superbin.catalog import open_catalog
    from superbin.cli.summary import summary
    from superbin.results import result_to_json

    start = time.perf_counter()
    check_paper(template, cut_flow)
    with staged_directory(output, force=force) as stage:
        _progress("reading the search and the signal")
        with open_catalog(database) as catalog:
            search = catalog.search(search_name)
            signal = catalog.signal(
                search, model, parameters, source=source, grid=grid, cross_section=cross_section
            )
            likelihood = catalog.open_likelihood(search) if ask_likelihood else None
            published = catalog.limits(search, model)
            theory = catalog.cross_section_of(signal, search)
        _progress(
            f"designing the aggregate signal regions for {signal.label} in {counted(search.n_bins, 'bin')}"
        )
        result = analyze(
            search,
            signal,
            correlations=correlations,
            figure_of_merit=figure_of_merit,
            simplify=simplify,
            toys=toys,
            seed=seed,
            pyhf_toys=pyhf_toys,
            seconds=seconds,
            signal_uncertainty=signal_uncertainty,
            cross_section_error=theory.relative_uncertainty,
            cross_section_order=theory.order,
            likelihood=likelihood,
            simplified=ask_likelihood,
            published=published,
            report=_part,
        )
        with _timed("documents"):
            _write_documents(result, signal, likelihood, stage)
        drawn: dict[str, bytes] = {}
        if figures:
            with _timed("figures"):
                drawn = _draw(result, stage / "figures")
        with _timed("page"):
            _write_page(result, stage, drawn)
        with _timed("paper"):
            (stage / "paper").mkdir()
            write_paper(
                result,
                stage / "paper",
                figures=figures,
                pdf=pdf,
                paper_class=paper_class,
                template=template,
                cut_flow=cut_flow,
            )
    _progress(f"done in {time.perf_counter() - start:.1f} s")
    click.echo(result_to_json(result).rstrip("\n") if machine else summary(result, output))


def _progress(text: str) -> None:
    click.echo(f"superbin: {text}", err=True)


@contextmanager
def _timed(name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    _part(name, time.perf_counter() - start)


def _part(name: str, seconds: float) -> None:
    _progress(f"{name}: {seconds:.1f} s")


def _write_documents(
    result: "AnalysisResult",
    signal: "SignalModel",
    likelihood: "PublishedLikelihood | ImportedLikelihood | None",
    folder: Path,
) -> None:
    from superbin import workspace
    from superbin._support.files import write_text
    from superbin.results import result_to_json

    write_text(folder / "result.json", result_to_json(result))
    write_text(folder / "workspace.json", workspace.to_json(workspace.build(result.yields)))
    if likelihood is None:
        return
    from superbin.analysis import likelihood_workspace
    from superbin.likelihood import PublishedLikelihood

    if isinstance(likelihood, PublishedLikelihood):
        correlated = likelihood_workspace(likelihood, signal, result.merge.bins)
        write_text(folder / "workspace-likelihood.json", workspace.to_json(correlated))


def _draw(result: "AnalysisResult", folder: Path) -> dict[str, bytes]:
    """Save the figures, and return their PNG files by name."""
    from superbin.plot import figures, save

    folder.mkdir()
    for name, figure in figures(result).items():
        save(figure, folder / name)
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def _write_page(result: "AnalysisResult", folder: Path, figures: dict[str, bytes]) -> None:
    from superbin._support.files import write_text
    from superbin.page import page

    write_text(folder / "report.html", page(result, figures=figures))
