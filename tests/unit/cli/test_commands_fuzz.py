"""Generated commands: each ends well, or with exit code 2 and one printable line. More by hand: ``validation/robustness/``."""

import importlib.util
import random
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
    assert len(said) < 1000
