"""Generated commands: each ends well, or with exit code 2 and one printable line. More by hand: ``validation/robustness/``."""

import importlib.util
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from superbin.cli import main

FUZZ = Path(__file__).parents[3] / "validation" / "robustness" / "fuzz.py"


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("robustness_fuzz", FUZZ)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks for it
    spec.loader.exec_module(module)
    # Folders as large as a machine take as long as they take.
    words = [word for word in module.__dict__["WORDS"] if word not in ("/", "../..", "~", "bomb.json.gz")]
    module.__dict__["WORDS"][:] = words
    return module


def test_commands(fuzz: ModuleType) -> None:
    """CLI-3: no traceback, no internal error, no second line, no password, whatever the command is given."""
    rng = random.Random(7)
    with fuzz.place() as folder:
        before = {path.name for path in folder.iterdir()}
        calls = fuzz.commands(rng)
        wrong = [o for o in (fuzz.call(next(calls)) for _ in range(60)) if o.fault]
        left = {path.name for path in folder.iterdir()} - before
    assert [(o.fault, o.arguments, o.error[-300:]) for o in wrong] == []
    assert not any(name.startswith(".") for name in left)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["db", "import", "mysql://me:secret@host/x"], "me:***@"),
        (["limit", "3", "1", "--level", "postgresql://me:secret@host/x"], "me:***@"),
        (["likelihood", "lint", "a\u202eb"], "a\\u202eb"),
        (["likelihood", "lint", "x" * 5000], "x" * 100 + "..."),
        (["export", "\ud800"], "not a text"),
        (["pvalue", "1", "1", "1", "1", "--uncertainty", "y " * 5000], "y y...'; there are split-lognormal"),
        (["pvalue", "1", "1", "1", "1", *(["y"] * 5000)], " ... "),
        (["pvalue", "1", "1", "1", "y" * 5000], "y" * 99 + "...' is not a valid float"),
        (["pvalue", "1", "1", "1", "1", "--" + "y" * 5000], "--" + "y" * 97 + "...)"),
        (["signal", "show", "y" * 5000, "1", "1"], "y" * 99 + "..."),
        (["db", "import", "oracle://host/x?pass%77ord=secret"], "Path 'oracle:"),
        (["db", "import", "mysql://host/x?me=1&sslkey=secret"], "sslkey=***"),
        (["db", "import", "postgresql://me:a@secret@host/x"], "me:***@host"),
        (["db", "import", "postgresql://me:very secret@host/x"], "me:***@host"),
        (["db", "import", "postgresql://me:7/secret@host/x"], "me:***@host"),
        (["db", "import", "postgresql://:'secret@host/x"], ":***@host"),
        (
            ["db", "import", "postgresql://host:5432/x?user=me&password=secret"],
            "host:5432/x?user=me&password=***",
        ),
        (["db", "list", "--database", "host=there password=secret"], "write it as a URL"),
        (["db", "import", "host=there PASSWD = 'se secret'"], "PASSWD = ***"),
    ],
)
def test_errors_are_safe(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CLI-3: an error shows no password and nothing that does not print, and cuts long values."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as done:
        main(arguments)
    said = capsys.readouterr().err
    assert done.value.code == 2
    assert message in said
    assert "secret" not in said
    assert said.strip().isprintable()
    assert len(said) < 1100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "standard input is closed"),
        (b"\xff", "standard input:1: byte 0xff is not UTF-8"),
        (b" " * (128 * 2**20 + 1), "more than 128 MB"),
        (b"{}", ":"),
    ],
    ids=["closed", "binary", "large", "empty"],
)
@pytest.mark.parametrize(
    "command", [["plot", "-"], ["paper", "-", "-o", "out"], ["likelihood", "lint", "-"]], ids=" ".join
)
def test_standard_input(
    command: list[str],
    content: bytes | None,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CLI-65: standard input that is closed, not UTF-8 or too large is refused in one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", None if content is None else io.TextIOWrapper(io.BytesIO(content)))
    with pytest.raises(SystemExit) as done:
        main(command)
    said = capsys.readouterr().err
    assert done.value.code == 2
    assert message in said
    assert said.count("\n") == 1


def test_a_backend_that_there_is_not(tmp_path: Path) -> None:
    """CLI-66: figures are drawn whatever MPLBACKEND says."""
    done = subprocess.run(
        [sys.executable, "-m", "superbin", "pvalue", "3", "1", "0.1", "0.1", "--figure", "x.pdf"],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "nonsense"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "x.pdf").is_file()


@pytest.mark.parametrize(
    "place",
    [
        "",
        ".",
        "missing/x.pdf",
        "file/x.pdf",
        "x" * 300 + ".pdf",
        "loop.pdf",
        "/dev/null/x.pdf",
        "/proc/x.pdf",
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["chance", "--toys", "10000000000", "-o"],
        ["chance", "--toys", "10000000000", "--figure"],
        ["pvalue", "3", "1", "0.1", "0.1", "--toys", "10000000000", "--figure"],
        ["pvalue", "3", "1", "0.1", "0.1", "--toys", "10000000000", "--workspace"],
        ["signal", "show", "T1bbbb", "1750", "1", "-o"],
        ["likelihood", "scan", "cms-pas-sus-16-014", "T1bbbb", "1750", "1", "--figure"],
        ["likelihood", "covariance", "cms-pas-sus-16-014", "-o"],
        ["likelihood", "export", "cms-pas-sus-16-014", "T1bbbb", "1750", "1", "--to", "hs3", "-o"],
    ],
    ids=" ".join,
)
def test_output_is_checked_first(
    command: list[str],
    place: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CLI-79: a place that cannot be written is refused before anything is computed, and nothing is left."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "loop.pdf").symlink_to("loop.pdf")
    monkeypatch.setattr("superbin.catalog.open_catalog", None)  # any work would begin with it
    with pytest.raises(SystemExit) as done:
        main([*command, place])
    assert done.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"file", "loop.pdf"}


def test_standard_output_takes_every_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CLI-79: what Latin-1 lacks is written as JSON escapes it, a byte of a file's name that is no text too."""
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream, "latin-1"))
    (tmp_path / "\udcff\u03b1\u00e9.csv").write_text("bin,observed,background\n1,2,3\n")
    with pytest.raises(SystemExit) as done:
        main(["db", "inspect", "--json", "\udcff\u03b1\u00e9.csv"])
    sys.stdout.flush()
    assert done.value.code == 0
    assert json.loads(stream.getvalue().decode("latin-1"))["path"] == "\udcff\u03b1\u00e9.csv"


class _Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_standard_error_is_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CLI-3: the exit code is that of the error where the error cannot be written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", _Full())
    for arguments in (["db", "inspect", "nothing"], ["db", "inspect"]):
        with pytest.raises(SystemExit) as done:
            main(arguments)
        assert done.value.code == 2
