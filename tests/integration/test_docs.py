"""What README and docs tell a reader to type works as written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from superbin.cli import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def with_blocks(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


@pytest.mark.parametrize("page", with_blocks("python"), ids=lambda p: p.name)
def test_python_examples(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of a page run one after another, in one session."""
    monkeypatch.chdir(tmp_path)
    session: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), session)


@pytest.mark.parametrize("page", with_blocks("console"), ids=lambda p: p.name)
def test_console_examples(page: Path, tmp_path: Path) -> None:
    """Every line after a prompt succeeds, in one folder."""
    commands = [
        line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")
    ]
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        script = Path(sys.executable).with_name(program)
        done = subprocess.run(
            [script, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


PROSE = {"builds", "computes", "fits", "makes", "merges", "reads", "refuses", "takes", "treats"}
"""Words that follow the name of the program in a sentence."""

WRITTEN = [
    pytest.param(line, id=f"{page.name}: {line[:60]}")
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]
    for line in dict.fromkeys(
        re.findall(r"^(?: {4}|\$ )?(superbin [^\n]*)$", page.read_text("utf-8"), re.MULTILINE)
    )
    if line.split()[1] not in PROSE
]
"""Command lines, in blocks of any kind."""


@pytest.mark.parametrize("line", WRITTEN)
def test_commands_and_options_that_are_written_exist(line: str) -> None:
    """CLI-61: every command line of README, docs and CONTRIBUTING has commands and options that there are."""
    words = shlex.split(re.split(r" [|>&#]", line)[0], comments=True)
    command: click.Command = cli
    context = click.Context(cli, info_name="superbin")
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest.pop(0))
        assert found is not None, f"no such command: {line}"
        command = found
    known = {"--help", "-h", "--debug"} | {
        name for p in command.params if isinstance(p, click.Option) for name in (*p.opts, *p.secondary_opts)
    }
    options = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    assert options <= known, f"unknown options {options - known}: {line}"


CHECKED = {
    "python": "run by `test_python_examples`, those of CONTRIBUTING by `test_recipes`",
    "console": "run by `test_console_examples`",
    "{code-cell} ipython3": "run by the build of the documentation, which an error stops",
    "sh": "commands and options exist; they need a network, a cluster, files of the reader or minutes",
    "py": "compiles; it needs a batch system, ROOT or files of the reader",
    "text": "an output or a file",
}
"""What becomes of a block, by its language."""


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_every_block_is_checked(page: Path) -> None:
    """A block has a language that a test or the build knows; there are no indented ones."""
    fence = ""
    for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1):
        found = re.match(r" *(`{3,}|~{3,}) *(.*)", line)
        if found and fence:
            fence = ""
        elif found:
            fence = found[2]
            directive = re.match(r"\{(toctree|eval-rst|literalinclude|csv-table|glossary)\}", fence)
            assert fence in CHECKED or directive, f"{page.name}:{number}: {fence or 'no language'}"
        elif not fence and re.match(r" {4}(superbin |from \S+ import|import )", line):
            raise AssertionError(f"{page.name}:{number}: an indented block")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_sketches_compile(page: Path) -> None:
    """Python that needs what tests have not, such as a batch system, is Python at least."""
    for text in re.findall(r"^```py\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        compile(text, str(page), "exec")


def test_readme_quotes_what_its_script_prints() -> None:
    """Every number of the README comes from validation/readme/quoted.py."""
    script = ROOT / "validation" / "readme" / "quoted.py"
    printed = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300, check=True
    ).stdout
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = re.search(r"<!-- validation/readme/quoted.py -->\n\n```text\n(.*?)```", readme, re.DOTALL)
    assert quoted is not None
    assert quoted.group(1) == printed
