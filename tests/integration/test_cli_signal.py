"""``superbin signal`` and signals from grids in other commands: clauses SIG-14 to SIG-17."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from superbin.cli import main
from superbin.domain.grid import SignalPoint
from superbin.io.grids import read_grid, write_point
from superbin.io.tables import read_signal
from superbin.results import load_result

CMS = "cms-pas-sus-16-014"
PLANE = [(m, x) for m in (1400, 1600, 1800, 2000) for x in (1, 400, 800, m - 100)]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def efficiencies(mother: float, lightest: float) -> list[float]:
    """Half of all events at large mass differences, in the hard bins with b jets."""
    reach = 0.5 * (1 - math.exp(-(mother - lightest) / 600))
    return [
        reach * (0.2 if k % 10 in {8, 9} and 40 <= k < 120 and k % 40 >= 10 else 0) / 2.4 for k in range(160)
    ]


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the generator leaves it."""
    folder = tmp_path_factory.mktemp("points")
    for mother, lightest in PLANE:
        values = efficiencies(mother, lightest)
        point = SignalPoint(
            "T1bbbb",
            {"m_mother": mother, "m_lsp": lightest},
            CMS,
            5000,
            1,
            np.array(values),
            np.sqrt(np.array(values) / 5000),
            {"versions": {"analytic": "1"}, "generator": {}, "detector": {}, "selection": {}},
        )
        write_point(point, folder / f"T1bbbb_{mother}_{lightest}.json")
    return folder


@pytest.fixture(scope="module")
def grid(points: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grid") / "T1bbbb.csv.gz"
    assert run("signal", "pack", points, "-o", path) == 0
    return path


def test_pack(grid: Path, points: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIG-17: all points, sorted, with what they share."""
    packed = read_grid(grid)
    assert packed.points.tolist() == [list(p) for p in sorted(PLANE)]
    np.testing.assert_array_equal(packed.efficiencies[0], efficiencies(1400, 1))
    assert packed.source == "made with analytic 1"
    assert (
        run("signal", "pack", points, "-o", grid.with_name("b.csv"), "--origin", "me", "--process", "stop")
        == 0
    )
    assert "b.csv: T1bbbb, 16 points of 5000 events, me" in capsys.readouterr().out
    assert read_grid(grid.with_name("b.csv")).process == "stop"


def test_pack_refuses(tmp_path: Path, points: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIG-3, SIG-13, CLI-3: nothing is written."""
    assert run("signal", "pack", tmp_path, "-o", tmp_path / "g.csv") == 2
    assert "holds no points" in capsys.readouterr().err
    text = next(points.iterdir()).read_text()
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(text)
    assert run("signal", "pack", tmp_path, "-o", tmp_path / "g.csv") == 2
    assert "comes twice" in capsys.readouterr().err
    (tmp_path / "b.json").write_text(text[:-40])
    assert run("signal", "pack", tmp_path, "-o", tmp_path / "g.csv") == 2
    assert "b.json:1: not JSON" in capsys.readouterr().err
    assert not (tmp_path / "g.csv").exists()


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """SIG-17: the packaged histogram is a source of its own."""
    assert run("signal", "list", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["search"] == CMS
    assert {
        "model": "T1bbbb",
        "source": "table",
        "points": 1,
        "events": None,
        "ranges": {"m_mother": [1750, 1750], "m_lsp": [1, 1]},
    } in document["models"]
    assert run("signal", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["T1bbbb", "table", "1"] for line in lines)


def test_show_the_histogram(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """SIG-9, SIG-17: 27.84 events of 46.42 produced, as CMS published."""
    assert run("signal", "show", "T1bbbb", 1750, 1, "--json", "-o", tmp_path / "s.csv") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["from"], document["accuracy"]) == ("table", None)
    assert document["total"] == pytest.approx(27.84357, abs=1e-5)
    assert document["efficiency"] == pytest.approx(0.600, abs=5e-4)
    assert document["cross_section"] == {
        "process": "gluino",
        "pb": 0.00359842,
        "relative_uncertainty": 0.271502,
    }
    assert read_signal(tmp_path / "s.csv").yields.tolist() == document["yields"]
    assert run("signal", "show", "T1bbbb", 1750, 1, "--size", 1) == 0
    text = capsys.readouterr().out
    assert "expected events  27.84 +- 0.23" in text
    assert "cross section    3.6 +- 1.0 fb (27 %)" in text
    assert text.splitlines()[-1].split()[0] == "60"


def test_show_from_a_grid(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIG-1, SIG-15: against the analytic efficiency."""
    assert run("signal", "show", "T1bbbb", 1725, 300, "--grid", grid, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["from"] == "grid"
    assert document["accuracy"].startswith("jets: T1bbbb has, with 7 or more jets")
    produced = document["cross_section"]["pb"] * 12900
    assert document["total"] == pytest.approx(produced * sum(efficiencies(1725, 300)), rel=0.02)
    assert document["source"].startswith(
        "interpolated between 16 generated points, with no error in a bin that stands out from statistics; "
    )
    assert (
        "; made with analytic 1; accuracy of the simulation: jets: T1bbbb has, with 7 or more jets"
        in document["source"]
    )
    assert (
        run("signal", "show", "T1bbbb", 1600, 400, "--grid", grid, "--cross-section", 0.001, "--size", 0) == 0
    )
    text = capsys.readouterr().out
    assert f"expected events  {12.9 * sum(efficiencies(1600, 400)):.2f} +- 0.12" in text
    assert "cross section    1.00 fb, pairs of: gluino" in text
    assert "from the grid: a generated point of the grid" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["2500", "1"], r"T1bbbb(2500, 1) lies outside the grid, whose 16 points span m_mother 1400-2000"),
        (["1500", "1450"], "lies outside the grid"),
        (["1500", "1600"], "is impossible"),
        (["1500", "-1"], "is impossible"),
        (["1500"], "two are needed"),
    ],
)
def test_bad_masses(
    arguments: list[str], text: str, grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIG-2, SIG-7, CLI-3: one line, code 2, nothing written."""
    assert run("run", "T1bbbb", *arguments, "--grid", grid, "-o", tmp_path / "out") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert text in error
    assert not (tmp_path / "out").exists()


def test_run_from_a_grid(grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIG-14, SIG-15: the whole analysis; the result says where its signal is from."""
    arguments = [
        "--toys",
        0,
        "--no-figures",
        "--no-pdf",
        "--seconds",
        0,
        "--grid",
        grid,
        "-o",
        tmp_path / "out",
    ]
    assert run("run", "T1bbbb", 1500, 700, *arguments) == 0
    result = load_result(tmp_path / "out" / "result.json")
    assert result.signal.label == "T1bbbb(1500, 700)"
    assert "interpolated between 16 generated points" in result.signal.source
    assert "accuracy of the simulation: jets: T1bbbb has, with 7 or more jets" in result.signal.source
    assert result.signal.total == pytest.approx(0.0141903 * 12900 * sum(efficiencies(1500, 700)), rel=0.02)
    assert "signal: interpolated between 16 generated points" in capsys.readouterr().out


def test_other_commands_take_the_same_options(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIG-14: optimize and the likelihood."""
    source = "interpolated between 16 generated points"
    assert (
        run("optimize", "T1bbbb", 1500, 700, "--grid", grid, "--shape", "rectangle", "--size", 1, "--json")
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert document["signal"] == "T1bbbb(1500, 700)"
    assert source in document["source"]
    assert run("likelihood", "limit", "T1bbbb", 1500, 700, "--grid", grid, "--bins", "60,70", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert source in document["source"]


def test_unknown_model(capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-4: an unknown model is refused with the nearest name."""
    assert run("signal", "show", "T1bbb", 1750, 1) == 2
    assert "the nearest is 'T1bbbb'" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-5: all verbs, those that are imported late too."""
    assert run("signal", "-h") == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in ("generate", "list", "pack", "show"))
