"""Options and output habits that commands share."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from superbin._support.files import MAX_BYTES
from superbin._support.json import json_text
from superbin._support.shown import counted
from superbin.catalog.packaged import DEFAULT_SEARCH
from superbin.domain.merits import MERITS
from superbin.errors import InputError

if TYPE_CHECKING:
    from superbin.results import MergeResult

__all__ = [
    "FIGURES_OF_MERIT",
    "POSITIONAL_NUMBERS",
    "OutputFile",
    "Share",
    "as_json",
    "database_option",
    "figure_of_merit_option",
    "figure_option",
    "force_option",
    "former_figure_folder_option",
    "json_option",
    "keep_force",
    "number",
    "search_option",
    "seconds_option",
    "seed_option",
    "selection_lines",
    "signal_options",
    "simplify_option",
    "staged_output",
    "standard_input",
    "toys_option",
    "without_signal",
]

F = TypeVar("F", bound=Callable[..., Any])

FIGURE_FORMATS = (".pdf", ".png", ".svg")
"""Endings of a file that ``--figure`` names."""

POSITIONAL_NUMBERS = {"ignore_unknown_options": True}
"""Lets a negative number reach its check, which explains itself better than an unknown option does."""


def standard_input() -> str:
    """The text on standard input, within the bounds of a file's.

    Raises
    ------
    InputError
        If it is closed, is not UTF-8, or is larger than `superbin._support.files.MAX_BYTES`.
    """
    from superbin.io._text import decoded

    if sys.stdin is None or sys.stdin.closed:
        raise InputError("standard input is closed; name a file, or send one with <")
    stream = getattr(sys.stdin, "buffer", None)
    content = sys.stdin.read().encode() if stream is None else stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InputError(f"standard input has more than {MAX_BYTES >> 20} MB; name another file")
    return decoded(content, "standard input")


json_option: Callable[..., Any] = click.option("--json", "machine", is_flag=True, help="Print JSON.")


def database_option(command: F) -> F:
    """Add ``--database``."""
    return click.option(
        "--database",
        metavar="URL",
        envvar="SUPERBIN_DATABASE",
        help="SQLAlchemy URL or path of the database; by default a file in your data folder.",
    )(command)


_FORCE = "superbin.force"


def keep_force(context: click.Context, _: click.Parameter, value: bool) -> bool:
    """Callback of ``--force``, which is read first: lets every `OutputFile` of the command be replaced."""
    context.meta[_FORCE] = value
    return value


def force_option(command: F) -> F:
    """Add ``--force`` to a command that writes files."""
    return click.option(
        "--force",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=keep_force,
        help="Replace an output that exists.",
    )(command)


class OutputFile(click.Path):
    """A file to write, checked before any work begins; one that exists is refused without ``--force``.

    Parameters
    ----------
    figure : bool
        Whether a figure is written: the name must end in one of `FIGURE_FORMATS`.
    """

    name = "file"

    def __init__(self, *, figure: bool = False) -> None:
        super().__init__(path_type=Path)
        self.figure = figure

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As a path."""
        from superbin._support.files import check_file

        path = Path(super().convert(value, param, ctx))  # type: ignore[arg-type]
        if self.figure and path.suffix not in FIGURE_FORMATS:
            raise InputError(f"--figure {path}: name a .pdf, .png or .svg file, not a folder")
        check_file(path, replace=ctx is not None and bool(ctx.meta.get(_FORCE)))
        return path


def figure_option(what: str) -> Callable[[F], F]:
    """Add ``--figure``, a file for one figure.

    Parameters
    ----------
    what : str
        The figure, with its article, for the help.
    """
    return click.option(
        "--figure",
        metavar="FILE",
        type=OutputFile(figure=True),
        help=f"File for {what} (.pdf, .png or .svg).",
    )


def _former_folder(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    if value is not None:
        click.echo(
            "superbin: --figure FOLDER goes with the next release; --output FOLDER draws the figures, too",
            err=True,
        )
    return value


def former_figure_folder_option(command: F) -> F:
    """Add the former ``--figure FOLDER`` of a command that draws several figures; it is not shown."""
    return click.option(
        "--figure",
        "former_folder",
        metavar="FOLDER",
        type=click.Path(path_type=Path),
        callback=_former_folder,
        hidden=True,
        help="Former name of the folder for the figures.",
    )(command)


def correlations_option(command: F) -> F:
    """Add ``--correlations``."""
    return click.option(
        "--correlations",
        metavar="NAME",
        help="Correlations between the backgrounds of bins: the name of the search's covariance, such as likelihood or "
        "covariance (the default where the search has one), or none, which adds uncertainties in quadrature.",
    )(command)


FIGURES_OF_MERIT = tuple(MERITS)


class _Known(click.Choice[str]):
    """The figures of merit, with those registered since this module was imported."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        self.choices = tuple(MERITS)
        return super().convert(value, param, ctx)


def figure_of_merit_option(command: F) -> F:
    """Add ``--figure-of-merit``."""
    return click.option(
        "--figure-of-merit",
        type=_Known(FIGURES_OF_MERIT),
        default="midp",
        show_default=True,
        help="What the bins are chosen for: "
        + ", ".join(f"{known.goal} ({name})" for name, known in MERITS.items())
        + ". The optimum is certified for "
        + ", ".join(name for name, known in MERITS.items() if known.provable)
        + ", and bounded for "
        + ", ".join(known.name for known in MERITS.values() if known.at_most is not None)
        + ".",
    )(command)


def seconds_option(command: F) -> F:
    """Add ``--seconds``."""
    return click.option(
        "--seconds",
        metavar="X",
        type=click.FloatRange(min=0),
        default=3.0,
        show_default=True,
        help="Time for the proof of how close the merge is to the optimum, in seconds; 0 for no proof. The result states what was proved.",
    )(command)


class Share(click.ParamType):  # type: ignore[type-arg]
    """A part of a whole, ``2%`` or ``0.02``.

    Parameters
    ----------
    most : float, optional
        Values from 0 to below it are allowed; None leaves the check to whoever takes the value.
    """

    name = "share"

    def __init__(self, most: float | None = 1.0) -> None:
        self.most = most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """As a fraction."""
        text = str(value).strip()
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            self.fail(f"{text!r} is not a number; write 2% or 0.02", param, ctx)
        if self.most is not None and not 0 <= share < self.most:
            self.fail(f"{text} is not from 0 to below {self.most:.0%}", param, ctx)
        return share


def simplify_option(command: F) -> F:
    """Add ``--simplify``."""
    return click.option(
        "--simplify",
        type=Share(),
        metavar="SHARE",
        default="0.5%",
        show_default=True,
        help="Loss of the figure of merit that is accepted for a simpler merge: fewest selections, then fewest bins. 0 takes "
        "the best merge.",
    )(command)


def selection_lines(merged: "MergeResult", indent: str = "  ") -> list[str]:
    """The selections of a merge, as a union where they overlap, and what was given up for them."""
    lines = [f"{indent}{cut}" for cut in merged.cuts]
    if merged.overlap:
        lines = [f"{indent}union of", *(f"  {line}" for line in lines)]
    best = merged.optimum
    if best is not None and best.bins != merged.bins:
        fewest = ", proved the fewest," if best.fewest else ""
        lines.append(
            f"{indent}{counted(len(merged.cuts), 'selection')}{fewest} of {counted(len(merged.bins), 'bin')} in place of "
            f"{best.selections} of {counted(len(best.bins), 'bin')}, at a loss of {best.loss:.2%}; --simplify 0 for the best"
        )
    return lines


def search_option(command: F) -> F:
    """Add ``--search``."""
    return click.option(
        "--search",
        "search_name",
        metavar="NAME",
        default=DEFAULT_SEARCH,
        show_default=True,
        help="Name of the search.",
    )(command)


def signal_options(command: F) -> F:
    """Add ``--source``, ``--grid`` and ``--cross-section``: the keywords of `superbin.catalog.Catalog.signal`."""
    for option in (
        click.option(
            "--cross-section",
            metavar="PB",
            type=click.FloatRange(min=0, min_open=True),
            help="Cross section in pb, instead of the stored or tabulated one.",
        ),
        click.option(
            "--grid",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Grid of efficiencies to use instead of the packaged one.",
        ),
        click.option(
            "--source",
            type=click.Choice(["table", "grid"]),
            help="Where the signal comes from: table, yields stored in the database; grid, the grid of its model. By default stored yields at exactly these masses, "
            "or else the grid.",
        ),
    ):
        command = option(command)
    return command


def toys_option(command: F) -> F:
    """Add ``--toys``."""
    return click.option(
        "--toys",
        metavar="N",
        type=click.IntRange(min=0),
        default=1_000_000,
        show_default=True,
        help="Number of pseudo-experiments per p-value; 0 for none.",
    )(command)


def seed_option(command: F) -> F:
    """Add ``--seed``."""
    return click.option(
        "--seed",
        metavar="N",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Random seed.",
    )(command)


def uncertainty_option(command: F) -> F:
    """Add ``--uncertainty``."""
    return click.option(
        "--uncertainty",
        "models",
        metavar="MODEL",
        multiple=True,
        help="Uncertainty model to compare with, such as gaussian or gamma; may be given more than once. By default all.",
    )(command)


def pyhf_option(command: F) -> F:
    """Add ``--pyhf``."""
    return click.option(
        "--pyhf",
        "ask_pyhf",
        is_flag=True,
        help="Also compute pyhf's asymptotic result; takes seconds.",
    )(command)


def pyhf_toys_option(command: F) -> F:
    """Add ``--pyhf-toys``."""
    return click.option(
        "--pyhf-toys",
        metavar="N",
        type=click.IntRange(min=0, max=1_000_000),
        default=0,
        help="Number of toys of the exported workspace by pyhf; each takes some 10 ms.",
    )(command)


def staged_output(path: Path | None, *, force: bool = False) -> AbstractContextManager[Path | None]:
    """Check a folder for output before work begins, and fill it at the end; None without a folder."""
    from superbin._support.files import staged_directory

    return nullcontext() if path is None else staged_directory(path, force=force)


def as_json(document: object) -> str:
    """JSON for machines: indented, without NaN."""
    return json_text(document, "the output", indent=1)


def without_signal(bins: Sequence[int]) -> list[str]:
    """A line that names bins of a merge that expect no signal; none where there are none."""
    return [f"  bins without signal: {', '.join(map(str, bins))}"] if bins else []


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table, or a dash where there is none."""
    # Adding zero after rounding prints a tiny negative number as zero, without a sign.
    return "-" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"
