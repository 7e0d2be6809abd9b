"""The figure that a verb writes beside its numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from superbin.cli.options import OutputFile, force_option
from superbin.errors import InputError

if TYPE_CHECKING:
    from superbin.plot.correlation import CorrelationArtists
    from superbin.plot.likelihood import LikelihoodArtists

__all__ = ["figures_option", "write_figure"]


F = TypeVar("F", bound=Callable[..., Any])


def _checked(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a name of another format before any work begins."""
    if value is not None and value.suffix not in {".pdf", ".png"}:
        raise InputError(f"--figure {value}: name a .pdf or .png file; both are written")
    return value


def figures_option(command: F) -> F:
    """Add ``--figure`` and ``--force``."""
    return force_option(_figure(command))


_figure: Callable[..., Any] = click.option(
    "--figure",
    type=OutputFile(figure=True, formats=(".pdf", ".png")),
    callback=_checked,
    help="File for the figure; PDF and PNG with this name.",
)


def write_figure(artists: "LikelihoodArtists | CorrelationArtists", path: Path) -> None:
    """Write a figure as PDF and PNG."""
    from superbin.plot import save

    save(artists.figure, path.with_suffix(""))
