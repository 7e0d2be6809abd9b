"""``superbin signal generate`` from end to end (specs/generation.md)."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from superbin.cli import main
from superbin.domain.grid import SignalPoint
from superbin.domain.search import Search
from superbin.errors import OutputError, SuperbinError
from superbin.generate import Cards, GeneratorSettings, Job, Progress, run_campaign
from superbin.io.grids import read_point
from superbin.io.tables import read_signal

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")

Run = Callable[..., tuple[int, str, str]]
FAST = ("--set", "generator.multiparton=false", "--set", "generator.hadronisation=false", "--events", "20")


@pytest.fixture
def run(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """Call the command; code, stdout and stderr of the process itself, not only of Python."""
    monkeypatch.setenv("SUPERBIN_DATABASE", str(tmp_path_factory.getbasetemp() / "generate.sqlite"))

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as raised:
            main(["signal", "generate", *arguments])
        captured = capfd.readouterr()
        return int(raised.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def search() -> Search:
    from superbin.catalog import open_catalog

    with open_catalog("sqlite://") as catalog:
        return catalog.search("cms-pas-sus-16-014")


def test_plane_is_resumed(run: Run, tmp_path: Path) -> None:
    """GEN-52, GEN-62, GEN-66: finished points are kept as they are, missing ones made again and the same; another
    number of events is refused; stdout stays empty.
    """
    table, output = tmp_path / "plane.csv", tmp_path / "out"
    table.write_text("m_mother,m_lsp\n# a comment\n1200, 100\n1200,1100\n")
    arguments = ("T1bbbb", "--points", str(table), "-o", str(output), *FAST)
    code, out, err = run(*arguments, "--processes", "2")
    assert (code, out) == (0, "")
    assert "2 points written" in err
    one, two = output / "T1bbbb_1200_100.json", output / "T1bbbb_1200_1100.json"
    kept, first = one.stat().st_mtime_ns, two.read_bytes()
    two.unlink()
    code, out, err = run(*arguments)
    assert (code, out) == (0, "")
    assert "1 of 2 points are in" in err
    assert one.stat().st_mtime_ns == kept
    assert two.read_bytes() == first
    code, _, err = run(*arguments, "--seed", "5")
    assert code == 2
    assert "was made with another seed" in err
    code, _, err = run(*arguments, "--set", "detector.c_factor=0.5")
    assert code == 2
    assert "was made with another detector" in err
    code, _, err = run(*arguments, "--events", "40")
    assert code == 2
    assert "was made with 20 events and 40 are asked for" in err
    assert {p.name for p in output.iterdir()} == {one.name, two.name}


def test_points_are_improved(run: Run, tmp_path: Path) -> None:
    """GEN-69: more events where the total is uncertain, up to the ceiling; the rest is kept, and done again it changes nothing."""
    table, output = tmp_path / "plane.csv", tmp_path / "out"
    table.write_text("1200, 100\n1200,1100\n")
    arguments = ("T1bbbb", "--points", str(table), "-o", str(output), *FAST)
    one, two = output / "T1bbbb_1200_100.json", output / "T1bbbb_1200_1100.json"
    code, _, err = run(*arguments, "--error", "60", "--max-events", "60")
    assert code == 0, err
    assert "1 of 2 points have an error above 60 %: made again with 60 events" in err
    assert [read_point(path).events for path in (one, two)] == [20, 60]
    kept = [path.read_bytes() for path in (one, two)]
    code, _, err = run(*arguments, "--error", "60", "--max-events", "60")
    assert code == 0
    assert "made again" not in err
    assert [path.read_bytes() for path in (one, two)] == kept


def test_one_point(run: Run, tmp_path: Path) -> None:
    """GEN-50, GEN-53: the point, and its expected events at the packaged cross section of 3.598 fb."""
    code, out, _ = run("T1bbbb", "1750", "1", "-o", str(tmp_path), *FAST)
    assert code == 0
    point = read_point(tmp_path / "T1bbbb_1750_1.json")
    signal = read_signal(tmp_path / "T1bbbb_1750_1.csv")
    np.testing.assert_allclose(signal.yields, point.efficiencies * 12.9 * 3.59842, rtol=1e-4)
    assert f"efficiency, all bins: {point.efficiencies.sum():.4f}" in out
    assert not point.settings["generator"]["multiparton"]
    assert list(point.settings["cut_flow"].values()) == sorted(
        point.settings["cut_flow"].values(), reverse=True
    )


def test_failed_points_are_listed(run: Run, tmp_path: Path) -> None:
    """GEN-63: with the reason, and code 2."""
    change = 'generator.extra=["Beams:colour = 3"]'
    code, _, err = run("T1bbbb", "1750", "1", "-o", str(tmp_path), "--set", change)
    assert code == 2
    assert "failed: T1bbbb(1750.0, 1.0): Pythia does not know the setting" in err
    assert not list(tmp_path.iterdir())


SPECTRUM = "BLOCK MASS\n 1000021 1500\n 1000022 100\nDECAY 1000021 1.0\n 1.0 3 1000022 5 -5\n"


def test_own_spectrum(run: Run, tmp_path: Path) -> None:
    """GEN-8, GEN-66: what the guide asks for is enough, and stdout begins with the result."""
    path = tmp_path / "short.slha"
    path.write_text(SPECTRUM)
    code, out, err = run("mine", "--slha", str(path), "-o", str(tmp_path), *FAST)
    assert code == 0, err
    assert out.startswith("mine(1500, 100) in cms-pas-sus-16-014, 20 events\n")
    assert "FastJet" not in out


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("1000022 100", "1000022 1700", "line 5: the decay of 1000021 (1500 GeV) to 1000022 (1700) + 5 (4.8) + "),
        ("1000021 1500", "1000021 heavy", "line 2: 'heavy' is not a number"),
        (" 1000022 100\n", "", " has no mass of 1000022"),
    ],
)  # fmt: skip
def test_bad_spectrum(run: Run, tmp_path: Path, old: str, new: str, text: str) -> None:
    """GEN-5, GEN-7: the file and the line, code 2."""
    path = tmp_path / "mine.slha"
    path.write_text(SPECTRUM.replace(old, new))
    code, out, err = run("other", "--slha", str(path), "-o", str(tmp_path), *FAST)
    assert (code, out) == (2, "")
    assert err.startswith(f"superbin: error: {path}")
    assert text in err


def test_words_of_pythia(run: Run, tmp_path: Path) -> None:
    """GEN-15, GEN-66: those that were asked for are on stderr, also from a worker; its reasons are in the error."""
    talk = ("--set", 'generator.extra=["Print:quiet = off"]')
    code, out, err = run("T1bbbb", "1500", "100", "-o", str(tmp_path / "a"), *FAST, *talk)
    assert code == 0
    assert "PYTHIA" in err
    assert "PYTHIA" not in out
    weak = ("--set", 'generator.extra=["Beams:eCM = 100"]')
    code, out, err = run("T1bbbb", "1500", "100", "-o", str(tmp_path / "b"), *FAST, *weak)
    assert (code, out) == (2, "")
    assert "all processes have vanishing cross sections" in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("T1xxxx",), "no model 'T1xxxx'"),
        (("T1tttt", "1000", "900"), "kinematically closed"),
        (("T1bbbb", "1000", "-5"), "m_lsp of T1bbbb is -5 GeV"),
        (("T1bbbb", "1000"), "takes 2 parameters"),
        (("T1bbbb", "1000", "1", "--points", "plane.csv"), "masses and --points"),
        (("T1bbbb", "--points", "plane.csv"), "plane.csv: cannot be read"),
        (("T1bbbb", "--set", "detector.x=1"), "no constant 'detector.x'"),
        (("T1bbbb", "--set", "detector.jet_radius=-1"), "detector.jet_radius is -1; it must be"),
        (("T1bbbb", "--set", "selection.overall_factor=7"), "selection.overall_factor is 7; it must be"),
        (("T1bbbb", "--events", "0"), "--events"),
        (("mine", "--slha", "none.slha"), "cannot read none.slha"),
        (("mine", "1000", "--from-events", "none.hepmc"), "1 mass given"),
        (("mine", "1000", "1", "--from-events", "none.hepmc"), "there is no file none.hepmc"),
    ],
)
def test_bad_input(run: Run, tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    """GEN-1, GEN-2, GEN-65: one line on stderr, code 2."""
    code, out, err = run(*arguments, "-o", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert text in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("1000,1\n1000;2\n", "plane.csv:2: '1000;2' is not a list of masses"),
        ("1000,1\n1000.0,1\n", "plane.csv:2: '1000.0,1' is in line 1 already"),
        ("# none\n", "holds no point"),
        ("1000 1\n1000 nan\n", "plane.csv:2: '1000 nan' is not a list of masses"),
        ("1000,1\n1000,1200\n", "T1bbbb(1000, 1200) is kinematically closed"),
    ],
)
def test_bad_tables(run: Run, tmp_path: Path, content: str, text: str) -> None:
    """GEN-65: duplicates, text and impossible points, before anything is made."""
    table = tmp_path / "plane.csv"
    table.write_text(content)
    code, _, err = run("T1bbbb", "--points", str(table), "-o", str(tmp_path / "out"))
    assert code == 2
    assert text in err


def test_output_that_cannot_be_made(run: Run, tmp_path: Path) -> None:
    """GEN-64: a file where the folder is to stand."""
    (tmp_path / "out").write_text("")
    code, _, err = run("T1bbbb", "1750", "1", "-o", str(tmp_path / "out" / "deeper"))
    assert code == 2
    assert "cannot make the folder" in err


def test_constants(run: Run, search: Search) -> None:
    """GEN-70: every constant with its value, changed ones too."""
    code, out, _ = run("T1bbbb", "--show-constants", "--set", "selection.overall_factor=0.9")
    assert code == 0
    shown = json.loads(out)
    assert shown == Cards.of(search).changed(["selection.overall_factor=0.9"]).record()
    assert shown["selection"]["overall_factor"] == 0.9


def test_full_disk_stops_the_campaign(search: Search) -> None:
    """GEN-64, GEN-66: the error of the first point that cannot be kept ends it; progress had been reported."""
    reports: list[Progress] = []
    saved: list[SignalPoint] = []

    def save(point: SignalPoint) -> None:
        if saved:
            raise OutputError("no space left")
        saved.append(point)

    fast = GeneratorSettings(multiparton=False, hadronisation=False)
    job = Job("T1bbbb", search, events=10, cards=Cards(fast))
    with pytest.raises(OutputError, match="no space left"):
        run_campaign(
            job,
            [(1000.0, float(lsp)) for lsp in (100, 200, 300, 400, 500)],
            save=save,
            report=reports.append,
        )
    assert len(saved) == 1
    assert all(r.all_events == 50 for r in reports)


def test_killed_worker(search: Search) -> None:
    """GEN-67: a worker that dies ends the campaign with a cure, not with a traceback of the pool's."""

    def kill(_: Progress) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    job = Job("T1bbbb", search, events=5000)
    with pytest.raises(
        SuperbinError, match=r"a worker ended before its point was done.*run the same command again"
    ):
        run_campaign(job, [(1000.0, 100.0)], save=lambda _: None, report=kill)


def test_interrupt(search: Search) -> None:
    """GEN-67: an interrupt from the keyboard comes through at once and leaves no worker."""

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    job = Job("T1bbbb", search, events=100_000, cards=Cards(GeneratorSettings(batch=10)))
    with pytest.raises(KeyboardInterrupt):
        run_campaign(job, [(1000.0, 100.0)], save=lambda _: None, report=interrupt)
    assert not multiprocessing.active_children()
