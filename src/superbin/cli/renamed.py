"""Options that had another name: the former spelling works for a release, with a note."""

from collections.abc import Mapping
from typing import Any

import click

__all__ = ["RenamedOptions"]


class RenamedOptions(click.Command):
    """A command some of whose options had other names.

    Parameters
    ----------
    renamed : mapping of str to str
        Today's option by its former spelling.
    *arguments, **options
        As of `click.Command`.
    """

    def __init__(self, *arguments: Any, renamed: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.renamed = renamed

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Replace former spellings, and say so on standard error."""
        return super().parse_args(ctx, [self._today(argument) for argument in args])

    def _today(self, argument: str) -> str:
        name, equals, value = argument.partition("=")
        if name not in self.renamed:
            return argument
        click.echo(
            f"superbin: {name} is now called {self.renamed[name]}; the former name goes with the next release",
            err=True,
        )
        return f"{self.renamed[name]}{equals}{value}"
