"""The line on stderr that says how far a command is: SCAN-16, CHANCE-10, GEN-66."""

import pytest

from superbin.cli.progress import ProgressLine, duration


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.monotonic", made)
    return made


def test_in_a_file(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """SCAN-16, GEN-66: a whole line now and then, the first and the last always, and nothing left open."""
    with ProgressLine() as line:
        line.show("one", always=True)
        clock.now += 29
        line.show("two")
        clock.now += 2
        line.show("three")
        assert line.seconds == 31
        line.show("four", always=True)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "superbin: one\nsuperbin: three\nsuperbin: four\n")


def test_on_a_terminal(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCAN-16, GEN-66: one line, redrawn and cleared to its end; left when all ends, also by an error."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with pytest.raises(KeyboardInterrupt), ProgressLine() as line:
        line.show("a long one", always=True)
        clock.now += 0.05
        line.show("too soon")
        clock.now += 0.06
        line.show("two")
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "\ra long one\x1b[K\rtwo\x1b[K\n"
    with ProgressLine():
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_quiet(terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """SCAN-16: nothing at all."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    with ProgressLine(quiet=True) as line:
        line.show("one", always=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (90, "2 min"), (5900, "98 min"), (7200, "2.0 h")]
)
def test_duration(seconds: float, text: str) -> None:
    """SCAN-16: the unit fits."""
    assert duration(seconds) == text
