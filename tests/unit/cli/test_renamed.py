"""Options that had another name."""

import click
import pytest
from click.testing import CliRunner

from superbin.cli.renamed import RenamedOptions


@click.command(cls=RenamedOptions, renamed={"--former": "--today"})
@click.option("--today")
@click.argument("words", nargs=-1)
def command(today: str | None, words: tuple[str, ...]) -> None:
    click.echo(f"{today} {' '.join(words)}")


@pytest.mark.parametrize("arguments", [["--former", "x", "a"], ["--former=x", "a"], ["a", "--former", "x"]])
def test_former_spelling_works_with_a_note(arguments: list[str]) -> None:
    """CLI-60: the value arrives, and standard error names the spelling of today."""
    found = CliRunner().invoke(command, arguments)
    assert found.stdout == "x a\n"
    assert (
        found.stderr
        == "superbin: --former is now called --today; the former name goes with the next release\n"
    )


def test_spelling_of_today_is_silent() -> None:
    """CLI-60: no note; help shows only the spelling of today."""
    found = CliRunner().invoke(command, ["--today", "x"])
    assert (found.stdout, found.stderr) == ("x \n", "")
    assert "--former" not in CliRunner().invoke(command, ["--help"]).stdout
