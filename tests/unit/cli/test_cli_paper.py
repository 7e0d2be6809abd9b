"""``superbin paper``: papers of results and scans from their documents."""

import json
from pathlib import Path

import numpy as np
import pytest

from superbin.cli import main
from superbin.domain.grid import SignalPoint
from superbin.io.grids import write_point
from superbin.results import AnalysisResult, result_to_json
from superbin.results.scan import ScanPoint, ScanResult, scan_to_json


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture
def result_file(example_result: AnalysisResult, tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    path.write_text(result_to_json(example_result), encoding="utf-8")
    return path


def point(result: AnalysisResult, **changes: object) -> SignalPoint:
    """A generated point of the signal of the result."""
    names = dict(zip(("m_mother", "m_lsp"), result.signal.parameters.values(), strict=True))
    given: dict[str, object] = {
        "model": result.signal.model,
        "parameters": names,
        "search": result.search.name,
        "events": 1000,
        "seed": 1,
        "efficiencies": np.full(160, 1e-3),
        "errors": np.full(160, 1e-4),
        "settings": {"cut_flow": {"generated": 1.0, "jets": 0.5}},
    }
    return SignalPoint(**{**given, **changes})  # type: ignore[arg-type]


def test_of_a_result(result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-70: sources and figures in one folder that needs nothing else; an existing folder is not replaced unasked."""
    out = tmp_path / "draft"
    assert run("paper", result_file, "-o", out, "--no-pdf", "--paper-class", "revtex") == 0
    assert sorted(p.name for p in out.iterdir()) == ["figures", "paper.tex", "references.bib"]
    text = (out / "paper.tex").read_text()
    assert "revtex4-2" in text
    for name in ("projection-ht", "count-expected"):
        assert f"{{figures/{name}.pdf}}" in text
        assert (out / "figures" / f"{name}.pdf").is_file()
    assert "paper written to" in capsys.readouterr().out
    assert run("paper", result_file, "-o", out, "--no-pdf", "--no-figures") == 2
    assert "replace it with --force" in capsys.readouterr().err
    assert run("paper", result_file, "-o", out, "--no-pdf", "--no-figures", "--force") == 0
    assert not (out / "figures").exists()


def test_of_a_scan(example_result: AnalysisResult, tmp_path: Path) -> None:
    """CLI-70: a folder with a scan.json is enough."""
    failed = ScanPoint({"m": 1.0}, "failed", "made up")
    scan = ScanResult(example_result.search, "T1bbbb", ("m",), {"level": 0.95}, (failed,), "0.1.0")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "scan.json").write_text(scan_to_json(scan), encoding="utf-8")
    assert run("paper", tmp_path / "maps", "-o", tmp_path / "draft", "--no-pdf") == 0
    assert "could not be evaluated" in (tmp_path / "draft" / "paper.tex").read_text()


def test_template_and_cut_flow(result_file: Path, example_result: AnalysisResult, tmp_path: Path) -> None:
    """CLI-70, PAPER-12: a template of one's own, and what each cut of a generated point leaves, down to the region."""
    document = json.loads(result_file.read_text())
    document["signal"]["parameters"] = {"m_mother": 1750.0, "m_lsp": 1.0}
    result_file.write_text(json.dumps(document))
    write_point(point(example_result), tmp_path / "point.json")
    own = tmp_path / "own.tex.j2"
    own.write_text('<% extends "result.tex.j2" %><% block discussion %>MINE<% endblock %>')
    options = ("--no-pdf", "--no-figures", "--template", own, "--cut-flow", tmp_path / "point.json")
    assert run("paper", result_file, "-o", tmp_path / "draft", *options) == 0
    text = (tmp_path / "draft" / "paper.tex").read_text()
    assert "MINE" in text
    # Four bins of efficiency 0.001.
    assert r"in the aggregate region & $0.400$ & $0.800$\\" in text


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model": "T1tttt"}, "is of T1tttt(1750, 1) and the result of T1bbbb(1750, 1)"),
        ({"search": "another"}, "is of the search another and the result of cms-pas-sus-16-014"),
        ({"settings": {}}, "holds no cut flow; make the point with 'superbin signal generate'"),
    ],
)
def test_wrong_cut_flow(
    result_file: Path,
    example_result: AnalysisResult,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    complaint: str,
) -> None:
    """CLI-70, CLI-3: a cut flow of something else is refused in one line, and nothing is written."""
    document = json.loads(result_file.read_text())
    document["signal"]["parameters"] = {"m_mother": 1750.0, "m_lsp": 1.0}
    result_file.write_text(json.dumps(document))
    write_point(point(example_result, **changes), tmp_path / "point.json")
    options = ("--no-pdf", "--no-figures", "--cut-flow", tmp_path / "point.json")
    assert run("paper", result_file, "-o", tmp_path / "draft", *options) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (tmp_path / "draft").exists()


def test_wrong_template(result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-70, PAPER-12: what is wrong with a template is one line with its place."""
    (tmp_path / "own.j2").write_text("<% if %>")
    assert (
        run("paper", result_file, "-o", tmp_path / "draft", "--no-figures", "--template", tmp_path / "own.j2")
        == 2
    )
    error = capsys.readouterr().err
    assert "own.j2:1:" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "draft").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--template", "missing.tex.j2"), "cannot read the template"),
        (("--template", "bad.tex.j2"), "bad.tex.j2:1: Expected an expression"),
        (("--cut-flow", "missing.json"), "missing.json: cannot be read"),
    ],
)
def test_files_of_a_paper_are_checked_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str], text: str
) -> None:
    """PAPER-12: a run does not begin with a template or a point that cannot be read."""
    (tmp_path / "bad.tex.j2").write_text("<% if %>")
    option, name = options
    code = run("run", "T1bbbb", 1750, 1, "-o", tmp_path / "out", option, tmp_path / name)
    error = capsys.readouterr().err
    assert code == 2
    assert text in error
    assert "reading the search" not in error
    assert not (tmp_path / "out").exists()
