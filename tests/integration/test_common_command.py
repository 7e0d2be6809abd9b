"""``superbin common``: clause CLI-13."""

import json
from pathlib import Path

import click
import numpy as np
import pytest

from superbin import merge
from superbin.catalog import open_catalog
from superbin.cli import main
from superbin.cli.common import common
from superbin.domain.grid import SignalGrid
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.io.grids import write_grid
from superbin.io.tables import write_signal


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["common", *arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture
def files(tmp_path: Path, cms_search: Search, t1bbbb: SignalModel) -> list[str]:
    """Tables of three signals: the packaged one, one moved to other bins, and one nobody can find."""
    moved = np.roll(t1bbbb.yields, 40)
    shapes = {"packaged": t1bbbb.yields, "moved": moved, "faint": 1e-4 * moved}
    paths = []
    for name, yields in shapes.items():
        path = tmp_path / f"{name}.csv"
        write_signal(SignalModel(name, {"m": 1}, cms_search.name, yields, 0 * yields, "made up"), path)
        paths += ["--signal", str(path)]
    return paths


def test_document(
    files: list[str],
    tmp_path: Path,
    cms_search: Search,
    t1bbbb: SignalModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What it prints is what the library gives, and losses are those of the merges it lists."""
    options = ("--figure-of-merit", "s_over_sqrt_bv", "--correlations", "none", "--least", "0.5")
    figure = tmp_path / "loss.svg"
    assert run(*files, *options, "--aggregates", "2", "--figure", str(figure), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["signals"] == ["packaged(1)", "moved(1)"]
    assert document["left_out"] == ["faint(1)"]
    assert document["common"]["status"] == "certified"
    assert document["common"]["bound"] >= document["common"]["efficiency"]
    assert [step["k"] for step in document["curve"]] == [1, 2]
    one, two = document["curve"]
    assert two["mean_loss"] == pytest.approx(0, abs=1e-9)
    assert one["mean_loss"] == pytest.approx(1 - document["common"]["efficiency"])
    signals = [t1bbbb, SignalModel("m", {}, cms_search.name, np.roll(t1bbbb.yields, 40), 0 * t1bbbb.yields)]
    own = [merge.optimize(cms_search, s, figure_of_merit="s_over_sqrt_bv").value for s in signals]
    assert document["best_values"] == pytest.approx(own)
    assert [p.name for p in tmp_path.iterdir() if p.stem == "loss"] == ["loss.svg"]


def test_exclusive_merges_share_no_bin(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """MERGE-28, in words and in the document."""
    options = ("--correlations", "none", "--aggregates", "3", "--exclusive")
    assert run(*files, *options, "--json") == 0
    last = json.loads(capsys.readouterr().out)["curve"][-1]
    bins = [number for one in last["merges"] for number in one["bins"]]
    assert len(bins) == len(set(bins))
    assert run(*files, *options) == 0
    text = capsys.readouterr().out
    assert "exclusive merges" in text
    assert "1 left out" in text


def test_signals_of_the_database(capsys: pytest.CaptureFixture[str]) -> None:
    """One stored signal loses nothing."""
    chosen = ("--figure-of-merit", "asimov_limit", "--correlations", "none", "--objective", "worst", "--json")
    for source in (("--stored",), ("--at", "1750", "1", "--max-signals", "1")):
        assert run("T1bbbb", *source, *chosen) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["signals"] == ["T1bbbb(1750, 1)"]
        assert document["curve"][0]["worst_loss"] == pytest.approx(0, abs=1e-9)
        assert document["common"]["efficiency"] == pytest.approx(1)
        assert document["common"]["status"] == "certified"


def test_bad_input(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-3: bad input to `common` gives exit code 2 and one error line each."""
    assert run() == 2
    assert run("--stored") == 2
    assert run("T9", "--stored") == 2
    assert run("--signal", str(tmp_path / "none.csv")) == 2
    assert run(*files, "--least", "100", "--correlations", "none") == 2
    assert run(*files, "--aggregates", "0") == 2
    assert all(line.startswith("superbin: error: ") for line in capsys.readouterr().err.splitlines())


def test_choices_are_those_of_the_library() -> None:
    """CLI-5: help names them without importing the library."""
    (option,) = (o for o in common.params if o.name == "objective")
    assert isinstance(option.type, click.Choice)
    with open_catalog("sqlite://") as catalog:
        search = catalog.search("cms-pas-sus-16-014")
        signal = catalog.signal(search.name, "T1bbbb", (1750, 1))
    together = merge.fleet(search, [signal], figure_of_merit="s_over_sqrt_bv")
    for choice in option.type.choices:
        assert merge.common_merge(together, objective=choice).objective == choice


def test_points_of_a_grid(tmp_path: Path, t1bbbb: SignalModel, capsys: pytest.CaptureFixture[str]) -> None:
    """Every point of a grid file is a signal, or a few that are spread over the plane."""
    points = np.array([[1400.0, 1.0], [1400, 900], [1750, 1], [1750, 900]])
    shape = t1bbbb.yields / t1bbbb.yields.sum()
    efficiencies = np.array([0.4 * np.roll(shape, 10 * i) for i in range(4)])
    grid = SignalGrid(
        model="T1bbbb", search=t1bbbb.search, parameters=("m_mother", "m_lsp"), points=points,
        efficiencies=efficiencies, errors=0.1 * efficiencies, events=np.full(4, 1000), process="gluino",
        source="made up", settings={},
    )  # fmt: skip
    path = tmp_path / "grid.csv"
    write_grid(grid, path)
    options = ("--grid", str(path), "--figure-of-merit", "s_over_sqrt_bv", "--correlations", "none", "--json")
    assert run("T1bbbb", *options, "--aggregates", "4") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["signals"] == [f"T1bbbb({a:g}, {b:g})" for a, b in points]
    losses = [step["mean_loss"] for step in document["curve"]]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(0, abs=1e-9)
    assert run("T1bbbb", *options, "--max-signals", "2") == 0
    assert len(json.loads(capsys.readouterr().out)["signals"]) == 2
