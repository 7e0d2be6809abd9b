"""Commands that are terminated, hung up, or whose reader goes away: clauses CLI-45 and EXP-10."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data"

SLEEPER = """
import sys, time
import superbin.analysis
def analyze(*_, **__):
    print("begun", flush=True)
    time.sleep(60)
superbin.analysis.analyze = analyze
from superbin.cli import main
main(["run", "T1bbbb", "1750", "1", "-o", sys.argv[1], "--force", "--database", "sqlite://"])
"""


def start(output: Path, **options: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]  # options of one kind
        [sys.executable, "-c", SLEEPER, str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cleans_up(number: int, tmp_path: Path) -> None:
    """CLI-45: nothing temporary stays, the old output stays, the code says which signal."""
    old = tmp_path / "out"
    old.mkdir()
    (old / "kept.txt").write_text("old")
    # The tests themselves may run where a hang-up is ignored.
    with start(old, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert len(list(tmp_path.iterdir())) == 2
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors.endswith("superbin: interrupted; nothing was left half-written\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (old / "kept.txt").read_text() == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """CLI-45: as under nohup."""
    with start(tmp_path / "out", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_reader_that_goes_away() -> None:
    """EXP-10: no message, and the code of a closed pipe."""
    read, write = os.pipe()
    os.close(read)
    command = "from superbin.cli import main; main()"
    source = str(DATA / "result-version-1.json")
    done = subprocess.run(
        [sys.executable, "-c", command, "export", source, "--to", "pyhf", "-o", "-"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")
