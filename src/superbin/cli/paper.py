"""``superbin paper``: the LaTeX paper of a result or a scan, from its document alone."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from superbin.cli.options import standard_input
from superbin.errors import InputError, SuperbinError

if TYPE_CHECKING:
    from superbin.results import AnalysisResult
    from superbin.results.scan import ScanResult

__all__ = ["cut_flow_of", "paper", "paper_options", "write_paper"]

F = TypeVar("F", bound=Callable[..., Any])


def paper_options(command: F) -> F:
    """Add ``--paper-class``, ``--template`` and ``--cut-flow``."""
    for option in (
        click.option(
            "--cut-flow",
            "cut_flow",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="File of this signal from 'superbin signal generate', for a table of its cut flow in the paper.",
        ),
        click.option(
            "--template",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Jinja2 template for the paper; may extend superbin's.",
        ),
        click.option(
            "--paper-class",
            type=click.Choice(["article", "revtex", "jhep"]),
            default="article",
            show_default=True,
            help="Class of the paper: LaTeX's article, RevTeX of the APS, or an article in the style of JHEP.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the paper and its figures; must not exist yet.",
)
@paper_options
@click.option(
    "--figures/--no-figures", default=True, show_default=True, help="Draw the figures into the folder."
)
@click.option(
    "--pdf/--no-pdf", default=True, show_default=True, help="Compile the paper, if LaTeX is installed."
)
@click.option("--force", is_flag=True, help="Replace the output folder if it exists.")
def paper(
    file: Path,
    output: Path,
    paper_class: str,
    template: Path | None,
    cut_flow: Path | None,
    figures: bool,
    pdf: bool,
    force: bool,
) -> None:
    """Write the paper of FILE: a result.json or scan.json, a folder with one, or - for standard input.

    The folder holds all that LaTeX needs: paper.tex, references.bib and figures/.

    \b
    superbin paper out/result.json -o draft --paper-class revtex
    superbin paper maps/scan.json -o draft --template mine.tex.j2
    """
    from superbin._support.files import staged_directory
    from superbin.results import AnalysisResult
    from superbin.results.load import load_any, result_of
    from superbin.results.scan import ScanResult

    result = result_of(standard_input(), place="standard input") if str(file) == "-" else load_any(file)
    if not isinstance(result, AnalysisResult | ScanResult):
        raise InputError(f"{file} holds a global p-value; a paper is of a result.json or a scan.json")
    with staged_directory(output, force=force) as folder:
        if figures:
            _draw(result, folder / "figures")
        write_paper(
            result,
            folder,
            figures=figures,
            pdf=pdf,
            paper_class=paper_class,
            template=template,
            cut_flow=cut_flow,
            figure_folder="figures",
        )
    click.echo(f"paper written to {output}")


def _draw(result: "AnalysisResult | ScanResult", folder: Path) -> None:
    from superbin import plot
    from superbin.results import AnalysisResult

    folder.mkdir()
    drawn = plot.figures(result) if isinstance(result, AnalysisResult) else plot.scan_figures(result)
    for name, figure in drawn.items():
        plot.save(figure, folder / name, formats=("pdf",))


def write_paper(
    result: "AnalysisResult | ScanResult",
    folder: Path,
    *,
    figures: bool,
    pdf: bool,
    paper_class: str = "article",
    template: Path | None = None,
    cut_flow: Path | None = None,
    figure_folder: str | None = None,
) -> None:
    """Write the sources of a paper, and its PDF where LaTeX is installed; what LaTeX complains of is said, and costs nothing else."""
    from superbin import paper as papers
    from superbin.results import AnalysisResult

    steps = None
    if cut_flow is not None:
        if not isinstance(result, AnalysisResult):
            raise InputError("a cut flow is of one signal; give --cut-flow with a result.json")
        steps = cut_flow_of(cut_flow, result)
    papers.render(
        result,
        folder,
        figures=figures,
        paper_class=paper_class,
        template=template,
        cut_flow=steps,
        figure_folder=figure_folder,
    )
    if not pdf:
        return
    if not papers.latex_available():
        _progress("no LaTeX found: the paper is left as source; " + papers.HOW_TO_GET_LATEX)
        return
    try:
        papers.compile_pdf(folder)
    except SuperbinError as error:
        # An incomplete LaTeX must not cost the analysis; the source is there to be compiled elsewhere.
        _progress(f"the paper is left as source: {error}")


def check_paper(template: Path | None, cut_flow: Path | None) -> None:
    """Refuse a template or a point that cannot be read, before anything is computed.

    Raises
    ------
    InputError, DocumentError
        As of `write_paper`.
    """
    if template is not None:
        from superbin.paper.render import checked_template

        checked_template(template)
    if cut_flow is not None:
        from superbin.io.grids import read_point

        read_point(cut_flow)


def cut_flow_of(path: Path, result: "AnalysisResult") -> dict[str, float]:
    """Fraction of the generated events that is left after each cut, and in the aggregate region, of a generated point.

    Raises
    ------
    InputError
        If the point is of another signal or search, or has no cut flow.
    """
    from superbin.io.grids import read_point

    point = read_point(path)
    signal = result.signal
    if (point.model, dict(point.parameters)) != (signal.model, dict(signal.parameters)):
        raise InputError(
            f"{path} is of {point.label} and the result of {signal.label}; give the point of this signal"
        )
    if point.search != result.search.name:
        raise InputError(
            f"{path} is of the search {point.search} and the result of {result.search.name}; give a point of this search"
        )
    steps = point.settings.get("cut_flow")
    if not isinstance(steps, dict) or not steps:
        raise InputError(f"{path} holds no cut flow; make the point with 'superbin signal generate'")
    chosen = [number - 1 for number in result.merge.bins]
    return {
        **{str(k): float(v) for k, v in steps.items()},
        "in the aggregate region": float(point.efficiencies[chosen].sum()),
    }


def _progress(text: str) -> None:
    click.echo(f"superbin: {text}", err=True)
