"""``superbin optimize``: clause CLI-6."""

import csv
import json
import re
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


def test_document(cms_search: Search, t1bbbb: SignalModel, capsys: pytest.CaptureFixture[str]) -> None:
    """Every entry has the promised keys, and its Z is that of its bins."""
    chosen = ("--shape", "free", "--shape", "rectangle", "--size", "3", "--correlations", "none")
    assert run(*chosen, "--json") == 0
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


def test_workspaces_of_all_merges(
    tmp_path: Path, cms_search: Search, t1bbbb: SignalModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """CLI-41: pyhf reads every workspace and the patch set, whose patches give the same documents."""
    import pyhf
    from click.testing import CliRunner
    from pyhf.cli import cli

    folder = tmp_path / "merges"
    chosen = (
        "--shape",
        "free",
        "--size",
        "2",
        "--correlations",
        "none",
        "--candidates",
        "3",
        "--toys",
        "10000",
    )
    assert run(*chosen, "--pyhf-toys", "5", "-o", str(folder)) == 0
    text = capsys.readouterr().out
    assert re.search(
        r"superbin and pyhf differ most in the (expected|observed) \w+ Z of [\w ]+: pyhf's is", text
    )
    assert {path.name for path in folder.glob("*.p*")} == {"front.pdf", "front.png", "map.pdf", "map.png"}
    files = sorted((folder / "workspaces").iterdir())
    assert [file.stem for file in files] == ["2_bins", "candidate_2", "candidate_3", "free"]
    assert len({file.read_bytes() for file in files}) == 4
    background = json.loads((folder / "background.json").read_text())
    patches = pyhf.PatchSet(json.loads((folder / "patchset.json").read_text()))
    patches.verify(background)
    documents = {file.stem: json.loads(file.read_text()) for file in files}
    for patch in patches:
        assert patch.apply(background) == documents.pop(patch.name)
    assert not documents
    # Asymmetric modifiers: those of the merged background.
    modifiers = background["channels"][0]["samples"][0]["modifiers"]
    assert any(m["data"]["hi"] - 1 != pytest.approx(1 - m["data"]["lo"]) for m in modifiers)
    for command in ("inspect", "cls"):
        answer = CliRunner().invoke(cli, [command, str(folder / "workspaces" / "free.json")])
        assert answer.exit_code == 0, answer.output
    assert 0 < json.loads(answer.output)["CLs_obs"] < 1
    rows = list(csv.DictReader((folder / "significances.csv").read_text().splitlines()))
    exact = {(row["merge"], row["count"]): row["z_superbin"] for row in rows if row["method"] == "exact"}
    bins = next(row["bins"] for row in rows if row["merge"] == "free")
    total = combine(cms_search, t1bbbb, map(int, bins.split()))
    b = total.background
    right = midp_significance(total.signal + b.nominal, b.nominal, b.up, b.down)
    assert float(exact["free", "expected"]) == pytest.approx(right, rel=1e-5)
    for row in rows:
        if row["method"] == "asymptotic" and row["difference"]:
            # The same bin in two models: one uncertainty, and one for every process and source.
            assert abs(float(row["difference"])) < 0.3
    # The place is checked before work begins.
    assert run(*chosen, "-o", str(folder)) == 2
    assert "--force" in capsys.readouterr().err
    assert run("--candidates", "3") == 2


def test_provable_figure_of_merit(capsys: pytest.CaptureFixture[str]) -> None:
    """Z_G of the free merge is certified, with and without correlations."""
    for correlations in ("none", "likelihood"):
        options = ("--figure-of-merit", "profile_asimov", "--shape", "free", "--size", "2")
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
    """CLI-3: a bad size or shape gives exit code 2 and one error line."""
    assert run("--size", "0") == 2
    assert run("--size", "161", "--shape", "free") == 2
    assert run("--shape", "circle") == 2
    assert all(line.startswith("superbin: error: ") for line in capsys.readouterr().err.splitlines())
