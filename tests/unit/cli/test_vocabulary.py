"""Options mean the same in every command."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from superbin._support.shown import counted
from superbin.cli import cli, main
from superbin.cli.progress import counter
from superbin.cli.tables import aligned


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(commands(cli, "superbin"))


def options(command: click.Command) -> dict[str, click.Option]:
    return {name: p for p in command.params if isinstance(p, click.Option) for name in p.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_one_vocabulary(name: str) -> None:
    """CLI-61: the same words with the same kind of value in every command."""
    found = options(COMMANDS[name])
    assert not found.keys() & {"--output-file", "--outputs", "--out", "--machine"}
    if "--output" in found:
        assert "-o" in found["--output"].opts
        assert isinstance(found["--output"].type, click.Path)
    if "--json" in found:
        assert found["--json"].is_flag
        assert found["--json"].help == "Print JSON."
    if "--force" in found:
        assert found["--force"].is_flag
    writes = {"--output", "--figure", "--workspace"} & found.keys()
    assert ("--force" in found) == bool(writes) or name == "superbin signal generate"
    for integer in ("--seed", "--size", "--processes", "--threads"):
        if integer in found:
            assert isinstance(found[integer].type, click.types.IntRange)
    if "--workers" in found:
        assert "--scheduler" in found
    if "--bins" in found:
        assert not isinstance(found["--bins"].type, click.types.IntParamType)
    if "--figures" in found:
        assert found["--figures"].secondary_opts == ["--no-figures"]
    if "--figure" in found and not found["--figure"].hidden:
        assert found["--figure"].metavar == "FILE"


SEVERAL = {
    "--cross-section": "PB, and the word file where a file of events states one",
    "--only": "names of figures or of checks",
    "--scope": "the fits that a command can make",
    "--to": "the formats that a command can write",
}
"""Options whose values are not the same in all commands, and what they are."""


def test_an_option_has_one_kind_of_value() -> None:
    """CLI-61: of all options of all commands, not only of those that the clause lists."""
    kinds: dict[str, set[tuple[str, str, tuple[str, ...]]]] = {}
    for name, command in COMMANDS.items():
        context = click.Context(command, info_name=name)
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                shown = "" if option.is_flag else option.make_metavar(context)
                value = "Path" if isinstance(option.type, click.Path) else type(option.type).__name__
                kind = (value, shown, tuple(option.secondary_opts))
                kinds.setdefault(option.opts[-1], set()).add(kind)
    assert {name: found for name, found in kinds.items() if len(found) > 1 and name not in SEVERAL} == {}


def test_what_prints_a_table_prints_json() -> None:
    """CLI-61: commands without `--json` write a file or a folder, or change the database."""
    without = {name.removeprefix("superbin ") for name, c in COMMANDS.items() if "--json" not in options(c)}
    assert without == {
        "db delete", "db export", "db import", "db init", "db template", "export", "likelihood covariance", "likelihood export",
        "paper", "plot", "signal generate", "signal pack",
    }  # fmt: skip
    writes = {name for name in without if "--output" in options(COMMANDS[f"superbin {name}"])}
    assert without - writes == {"db delete", "db import", "db init"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_are_completed(shell: str) -> None:
    """CLI-61: commands, options and choices, by the script that each shell evaluates."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    complete = found(cli, {}, "superbin", "_SUPERBIN_COMPLETE")
    assert "%(complete_var)s" in complete.source_template
    for arguments, start, expected in (
        ([], "l", "likelihood"),
        (["likelihood"], "sig", "significance"),
        (["run"], "--figure-of", "--figure-of-merit"),
        (["export", "--to"], "smo", "smodels"),
    ):
        assert expected in [item.value for item in complete.get_completions(arguments, start)]


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ("signal show T1bbbb 1750 1 -o OUT.csv", "OUT.csv"),
        ("pvalue 40 25 5 5 --workspace OUT.json", "OUT.json"),
        ("pvalue 40 25 5 5 --figure OUT.pdf", "OUT.pdf"),
        ("likelihood scan T1bbbb 1750 1 --figure OUT.png", "OUT.png"),
        ("likelihood simplify T1bbbb 1750 1 -o OUT.json", "OUT.json"),
        ("chance -o OUT.json", "OUT.json"),
        ("optimize T1bbbb 1750 1 -o OUT", "OUT/front.pdf"),
        ("export result.json --to csv -o OUT.csv", "OUT.csv"),
    ],
)
def test_an_output_that_exists_is_kept(
    arguments: str,
    written: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """CLI-61: whatever is written, a file or a folder; the refusal comes first and names the way out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / written).parent.mkdir(exist_ok=True)
    (tmp_path / written).write_text("kept")
    with pytest.raises(SystemExit) as stop:
        main(arguments.split())
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert "--force" in error
    assert error.count("\n") == 1
    assert (tmp_path / written).read_text() == "kept"


def test_force_replaces_files(tmp_path: Path) -> None:
    """CLI-61: wherever it stands on the line."""
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(SystemExit) as stop:
        main(["pvalue", "40", "25", "5", "5", "--workspace", str(path), "--force"])
    assert stop.value.code == 0
    assert path.read_text().startswith("{")


@pytest.mark.parametrize("name", COMMANDS)
def test_values_have_plain_names(name: str) -> None:
    """CLI-61: no value is shown by a name of click's types, such as INTEGER RANGE."""
    context = click.Context(COMMANDS[name], info_name=name)
    for option in options(COMMANDS[name]).values():
        shown = "" if option.is_flag else option.make_metavar(context)
        assert not {"INTEGER", "RANGE", "FLOAT", "TEXT"} & set(shown.replace("<", " ").split()), (
            option.opts,
            shown,
        )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    """CLI-61: a help text that begins with a capital letter and ends with a full stop."""
    for option in options(COMMANDS[name]).values():
        assert option.help, option.opts
        assert option.help[0].isupper() or not option.help[0].isalpha()
        assert option.help.rstrip("]").endswith((".", ")")), (option.opts, option.help)


def test_tables_and_counts() -> None:
    """CLI-76: cells are at least two blanks apart, of any length; numbers have their nouns."""
    rows = [("a name that is longer than any heading", "123456789.5", "1"), ("b", "2", "-0.38 to 12.47")]
    for line, row in zip(aligned([("name", "events", "68 %"), *rows])[1:], rows, strict=True):
        assert line.split("  ")[0] == row[0]
        assert [cell.strip() for cell in line.split("  ") if cell.strip()] == list(row)
    assert [counted(n, "bin") for n in (0, 1, 2)] == ["0 bins", "1 bin", "2 bins"]
    assert [counted(2, noun) for noun in ("search", "entry", "process", "mass")] == [
        "2 searches",
        "2 entries",
        "2 processes",
        "2 masses",
    ]


def test_counted_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-77: nothing for two seconds; then done, rate and remaining time."""
    now = [100.0]
    monkeypatch.setattr("superbin.cli.progress.time.monotonic", lambda: now[0])
    report = counter("toys")
    now[0] += 1
    report(10, 100)
    assert capsys.readouterr().err == ""
    now[0] += 39
    report(40, 100)
    assert capsys.readouterr().err == "superbin: toys: 40 of 100, 1/s, 1 min left\n"
    now[0] += 60
    report(100, 100)
    assert capsys.readouterr().err == "superbin: toys: 100 of 100, 1/s\n"


@pytest.mark.parametrize("arguments", [[], ["db"], ["likelihood"], ["signal"]])
def test_a_group_alone_prints_its_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-63: several lines of help on standard error, no error line, exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith(f"Usage: {' '.join(['superbin', *arguments])} [OPTIONS] COMMAND")
    assert "error:" not in found.err
    assert found.err.count("\n") > 8
