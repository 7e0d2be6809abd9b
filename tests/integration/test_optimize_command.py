"""``superbin optimize``: clause CLI-6."""

import json
from pathlib import Path

import pytest

from superbin import merge
from superbin.cli import main
from superbin.cli.optimize import SHAPES
from superbin.cli.options import FIGURES_OF_MERIT
from superbin.domain.aggregate import combine
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.stats import midp_significance


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["optimize", "T1bbbb", "1750", "1", *arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_document(
    tmp_path: Path, cms_search: Search, t1bbbb: SignalModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every entry has the promised keys, and its Z is that of its bins."""
    chosen = ("--shape", "free", "--shape", "rectangle", "--bins", "3", "--correlations", "none")
    assert run(*chosen, "--json", "--figures", str(tmp_path / "figures")) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["correlations"] == "none"
    assert [row["shape"] for row in document["merges"]] == ["free", "rectangle", "3 bins"]
    for row in document["merges"]:
        assert {"bins", "z", "figure_of_merit", "status", "bound", "gap", "cuts", "seconds"} <= row.keys()
        merged = combine(cms_search, t1bbbb, row["bins"])
        b = merged.background
        assert row["z"] == pytest.approx(
            midp_significance(merged.signal + b.nominal, b.nominal, b.up, b.down)
        )
    free, rectangle, three = document["merges"]
    assert free["loss"] == 0
    assert 0 < rectangle["loss"] < three["loss"]
    assert rectangle["status"] == "certified"
    assert len(three["bins"]) == 3
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {
        "front.pdf",
        "front.png",
        "map.pdf",
        "map.png",
    }


def test_provable_figure_of_merit(capsys: pytest.CaptureFixture[str]) -> None:
    """Z_G of the free merge is certified, with and without correlations."""
    for correlations in ("none", "likelihood"):
        options = ("--figure-of-merit", "profile_asimov", "--shape", "free", "--bins", "2")
        assert run(*options, "--correlations", correlations, "--json") == 0
        free = json.loads(capsys.readouterr().out)["merges"][0]
        assert free["status"] == "certified"
        assert free["bound"] >= free["value"] * (1 - 1e-9)
        assert free["gap"] <= 1e-6 + 2e-9  # the gap asked for, and the certificate's allowance for rounding


def test_choices_are_those_of_the_library() -> None:
    """CLI-5, CLI-6: help names them without importing the library, so nothing but this keeps them equal."""
    assert set(FIGURES_OF_MERIT) == set(merge.MERITS)
    assert tuple(shape.replace("-", " ") for shape in SHAPES) == merge.SHAPES


def test_unknown_correlations_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-4, CLI-15: a name that is none of the search's covariance is refused with the names there are."""
    assert run("--correlations", "likelyhood") == 2
    error = capsys.readouterr().err
    assert error.startswith("superbin: error: ")
    assert "has no correlations 'likelyhood'; it has likelihood, none" in error
    assert error.count("\n") == 1


def test_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-3."""
    assert run("--bins", "0") == 2
    assert run("--bins", "161", "--shape", "free") == 2
    assert run("--shape", "circle") == 2
    assert all(line.startswith("superbin: error: ") for line in capsys.readouterr().err.splitlines())
