"""``superbin validate``: the comparisons with independent numbers, repeated."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superbin._support.shown import counted
from superbin.cli.options import (
    as_json,
    json_option,
)

if TYPE_CHECKING:
    from superbin.results.validation import Comparison, ValidationReport


@click.command()
@click.option("--quick", is_flag=True, help="Compare a few numbers of each kind, in about a minute.")
@click.option(
    "--only", metavar="CHECK", multiple=True, help="Run this check only; may be given more than once."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for report.html, report.pdf and report.json; must not exist yet.",
)
@click.option("--force", is_flag=True, help="Replace the output folder if it exists.")
@json_option
def validate(quick: bool, only: tuple[str, ...], output: Path | None, force: bool, machine: bool) -> None:
    """Compare this installation with published and independent numbers.

    Every row says what is compared, with what, and the tolerance. No network is needed. The exit code is 1 if a comparison fails.

    \b
    superbin validate --quick
    superbin validate -o validation
    """
    from contextlib import nullcontext

    from superbin._support.files import staged_directory
    from superbin.catalog import open_catalog
    from superbin.validation import validate as run

    with nullcontext() if output is None else staged_directory(output, force=force) as folder:
        with open_catalog("sqlite://") as catalog:
            report = run(catalog, quick=quick, only=only, progress=None if machine else _print)
        if folder is not None:
            _write(report, folder)
    if machine:
        click.echo(as_json(report.document()))
    else:
        demanded = [c for c in report.comparisons if c.passed is not None]
        met = len(demanded) - len(report.failed)
        click.echo(
            f"\n{met} of {counted(len(demanded), 'demand')} met in {sum(report.seconds.values()):.0f} s"
        )
        if output is not None:
            click.echo(f"{output}: report.html, report.pdf, report.json")
    if report.failed:
        sys.exit(1)


def _print(comparison: "Comparison") -> None:
    demand = f" ({comparison.tolerance})" if comparison.tolerance else ""
    click.echo(f"{comparison.verdict:8}  {comparison.check}: {comparison.what}")
    click.echo(f"          against {comparison.against}{demand}: {comparison.result}")


def _write(report: "ValidationReport", folder: Path) -> None:
    from io import BytesIO

    from superbin._support.files import write_bytes, write_text
    from superbin._support.json import json_text
    from superbin.page import page
    from superbin.plot import validation_figures, validation_pdf

    figures = {}
    for name, figure in validation_figures(report).items():
        drawn = BytesIO()
        figure.savefig(drawn, format="png", dpi=110)
        figures[name] = drawn.getvalue()
    write_text(folder / "report.html", page(report, figures=figures))
    write_bytes(folder / "report.pdf", validation_pdf(report))
    write_text(folder / "report.json", json_text(report.document(), "the report", indent=1))
