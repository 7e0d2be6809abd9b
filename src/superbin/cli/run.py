"""``superbin run``: from a signal to a finished mini analysis."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    Share,
    correlations_option,
    database_option,
    figure_of_merit_option,
    number,
    pyhf_toys_option,
    search_option,
    seconds_option,
    seed_option,
    selection_lines,
    signal_options,
    simplify_option,
    toys_option,
    without_signal,
)
from superbin.cli.paper import paper_options, write_paper
from superbin.domain.merits import MERITS

if TYPE_CHECKING:
    from superbin.domain.signal import SignalModel
    from superbin.likelihood import PublishedLikelihood
    from superbin.results import AnalysisResult, Significance


@click.command(context_settings=POSITIONAL_NUMBERS)
@click.argument("model")
@click.argument("parameters", nargs=-1, required=True, type=float)
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
    help="A relative systematic uncertainty of the signal, 10% or 0.1, in addition to those given with it.",
)
@click.option(
    "--likelihood/--no-likelihood",
    "ask_likelihood",
    default=True,
    show_default=True,
    help="Limits of the published full likelihood, where the search has one; some seconds.",
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
    "--pdf/--no-pdf", default=True, show_default=True, help="Compile the paper, if a LaTeX is installed."
)
@paper_options
def run(
    model: str,
    parameters: tuple[float, ...],
    output: Path,
    search_name: str,
    source: str | None,
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

    start = time.perf_counter()
    with staged_directory(output, force=force) as stage:
        _progress("reading the search and the signal")
        with open_catalog(database) as catalog:
            search = catalog.search(search_name)
            signal = catalog.signal(
                search, model, parameters, source=source, grid=grid, cross_section=cross_section
            )
            likelihood = catalog.published_likelihood(search) if catalog.has_likelihood(search) else None
            published = catalog.limits(search, model)
            theory = catalog.cross_section_of(signal, search)
        _progress(f"designing the aggregate bin for {signal.label} in {search.n_bins} bins")
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
            likelihood=likelihood if ask_likelihood else None,
            published=published,
            report=_part,
        )
        _write_documents(result, signal, likelihood, stage)
        drawn: dict[str, bytes] = {}
        if figures:
            _progress("drawing the figures")
            drawn = _draw(result, stage / "figures")
        _write_page(result, stage, drawn)
        _progress("writing the paper")
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
    click.echo(_summary(result, output))


def _progress(text: str) -> None:
    click.echo(f"superbin: {text}", err=True)


def _part(name: str, seconds: float) -> None:
    _progress(f"{name}: {seconds:.1f} s")


def _write_documents(
    result: "AnalysisResult", signal: "SignalModel", likelihood: "PublishedLikelihood | None", folder: Path
) -> None:
    from superbin import workspace
    from superbin._support.files import write_text
    from superbin.analysis import likelihood_workspace
    from superbin.results import result_to_json

    write_text(folder / "result.json", result_to_json(result))
    write_text(folder / "workspace.json", workspace.to_json(workspace.build(result.yields)))
    if likelihood is not None:
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


def _expected(panel: "Significance") -> list[str]:
    """Median and bands of the expected significance, a line for each definition that has them."""
    lines = []
    for name, bands in (
        ("mid-p", panel.expected_midp),
        ("p0", panel.expected_p0),
        ("p0", panel.expected_p0_postfit),
    ):
        if bands is not None:
            low2, low1, median, high1, high2 = (
                number(z) for z in (bands.low2, bands.low1, bands.median, bands.high1, bands.high2)
            )
            fit = {"prefit": "pre-fit", "postfit": "post-fit"}[bands.fit]
            lines.append(
                f"expected Z of {name}, {fit}: median {median}, 68 % from {low1} to {high1}, 95 % from {low2} to {high2}"
            )
    return lines


def _summary(result: "AnalysisResult", output: Path) -> str:
    merged, total = result.merge, result.yields
    merit = MERITS[merged.figure_of_merit]
    head = [
        f"{result.signal.label} in {result.search.name}, {result.search.luminosity_fb:g} fb-1",
        f"signal: {result.signal.source}",
        f"search: {result.search.source}",
        *(
            f"{key}: {text}"
            for key in ("accuracy", "licence", "citation")
            if (text := getattr(result.search, key))
        ),
        f"aggregate bin ({merged.status}, {merit.goal}): bins {', '.join(map(str, merged.bins))}",
        *selection_lines(merged),
        *without_signal(merged.without_signal),
        (
            f"signal {total.signal:.2f}  background {total.background.nominal:.2f} "
            f"+{total.background.up:.2f} -{total.background.down:.2f}  observed {total.observed}"
        ),
        f"{'Z':<10}{'midp':>8}{'tail':>8}{'p0':>8}{'q0':>8}{'Asimov':>8}{'toys':>8}{'pyhf':>8}",
    ]
    for name, panel in (("expected", result.expected), ("observed", result.observed)):
        values = (panel.midp, panel.tail, panel.p0, panel.asymptotic, panel.asimov, panel.toys, panel.pyhf)
        head.append(f"{name:<10}" + "".join(f"{number(v.z if v else None):>8}" for v in values))
    head.extend(_expected(result.expected))
    for name, panel in (("expected", result.expected), ("observed", result.observed)):
        if panel.pyhf_toys is not None:
            toys = panel.pyhf_toys
            head.append(
                f"{name} p0 by {toys.n} toys of pyhf: {toys.p:.3g} +- {toys.p_err:.2g}, Z {number(toys.z)}"
            )
    if result.expected.asimov_postfit is not None:
        head.append(
            f"expected Asimov Z after the background-only fit to the data: {number(result.expected.asimov_postfit.z)}"
        )
    head.extend(
        f"correlations {c.correlations}: background +{c.background.up:.2f} -{c.background.down:.2f}, "
        f"exact mid-p Z expected {number(c.expected.z)}, observed {number(c.observed.z)}"
        for c in result.conventions
    )
    ours, original = (merit.shown(value) for value in (merged.value, merged.greedy.value))
    head.append(
        f"{merit.symbol}: {ours:.3f}; by the greedy search of the original {original:.3f} with {len(merged.greedy.bins)} bin{'' if len(merged.greedy.bins) == 1 else 's'}"
    )
    head.append(f"written to {output}")
    return "\n".join(head)
