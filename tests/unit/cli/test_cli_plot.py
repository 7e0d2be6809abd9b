"""``superbin plot``."""

import json
from pathlib import Path

import pytest

from superbin.cli import main
from superbin.domain.aggregate import AggregateBin, Background, ProcessYield
from superbin.results import PValue, SearchSummary
from superbin.results.likelihood import ChannelYields, Impact, Impacts, Scan, Surface, Yields
from superbin.results.load import load_drawable
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult, scan_to_json


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    return end.value.code if isinstance(end.value.code, int) else 0


@pytest.fixture
def document(tmp_path: Path) -> Path:
    def point(mother: float) -> ScanPoint:
        total = AggregateBin(
            (1,),
            2.0,
            0.1,
            Background(5.0, 2.0, 1.5),
            (ProcessYield("b", "b", "b", 5.0, 1.0, 1.0, 1.0, 1.0),),
            6,
        )
        limit = ScanLimit(6.0, 2.0, 3.0, 4.0, 6.0, 8.0, "exact")
        z = PValue(0.1, 1.28)
        return ScanPoint(
            {"m_mother": mother, "m_lsp": 1.0},
            "done",
            bins=(1,),
            cuts=("njet >= 2",),
            merge_status="best found",
            yields=total,
            expected=z,
            observed=z,
            limit=limit,
            cross_section_pb=0.01,
        )

    search = SearchSummary("mine", "t", "r", 12.9, 13.0, 2, "0" * 64, "made up")
    options: dict[str, str | int | float | None] = {
        "correlations": "none",
        "figure_of_merit": "midp",
        "level": 0.95,
        "likelihood_limit": "none",
        "systematics": "none",
    }
    path = tmp_path / "scan.json"
    path.write_text(
        scan_to_json(
            ScanResult(
                search, "T1bbbb", ("m_mother", "m_lsp"), options, (point(1000.0), point(1200.0)), "0.1.0"
            )
        )
    )
    return path


def test_names_then_files(document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-16: names without -o; with it the files that were asked for, and nothing half-written."""
    assert run("plot", str(document)) == 0
    assert {"limits", "significance-scatter"} <= set(capsys.readouterr().out.split())
    assert (
        run("plot", str(document.parent), "-o", str(tmp_path / "out"), "--only", "limits", "--format", "png")
        == 0
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["limits.png"]
    assert run("plot", str(document), "-o", str(tmp_path / "out")) == 2
    assert "--force" in capsys.readouterr().err


def test_wrong_names_and_documents(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CLI-16: an error says which figures or documents there are."""
    assert run("plot", str(document), "--only", "nothing") == 2
    assert "it has limits, significance-scatter, significance-expected" in capsys.readouterr().err
    other = tmp_path / "other.json"
    other.write_text('{"schema": "superbin/pie/1"}')
    assert run("plot", str(other)) == 2
    assert "superbin run, superbin scan, superbin chance" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("plot", str(empty)) == 2
    assert "holds none of result.json" in capsys.readouterr().err


IMPACT = Impact("jes", "normal", 0.1, 0.9, 0.1, 0.9, 0.05, 0.06, -0.05)
CHANNEL = ChannelYields("SR", (3.0,), {"a": (2.0,)}, (2.0,), (0.5,))


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (Scan("mu", (0.0, 1.0, 2.0), (1.0, 0.0, None), 1.0, {1.0: (0.2, None)}, "converged"), "profile"),
        (
            Surface(
                ("mu", "jes"), (0.0, 1.0), (0.0, 1.0), ((1.0, 2.0), (0.0, None)), (1.0, 0.0), "converged"
            ),
            "profile",
        ),
        (Impacts("mu", 1.0, 0.3, (IMPACT,), "converged"), "impacts"),
        (Yields("post-fit, mu = 1", (CHANNEL,), ((0.25,),), "converged"), "yields"),
    ],
)
def test_answers_of_a_likelihood(
    found: Scan | Surface | Impacts | Yields, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CLI-16: what superbin likelihood printed is read back equal, whatever stands before it, and drawn."""
    path = tmp_path / "answer.json"
    path.write_text(
        json.dumps({"search": "x", "channels": 3, "parameters": 5} | found.document()), encoding="utf-8"
    )
    assert load_drawable(path) == found
    assert run("plot", path) == 0
    assert capsys.readouterr().out.split() == [name]
    assert run("plot", path, "-o", tmp_path / "out", "--format", "png") == 0
    assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("found", "change", "message"),
    [
        (Scan("mu", (0.0, 1.0), (1.0, 0.0), 1.0, {}, "converged"), {"q": [1]}, "2 values and 1 q"),
        (Surface(("a", "b"), (0.0, 1.0), (0.0,), ((1.0,), (0.0,)), None, "converged"), {"q": [[1], [2, 3]]}, "2 rows of 1 values"),
        (Yields("s", (CHANNEL,), (), "converged"), {"channels": [{"name": "a", "observed": [1], "samples": {"b": [1, 2]}, "total": [1], "error": [1]}]}, "lists of 1, 2 entries"),
    ],
    ids=["scan", "surface", "yields"],
)  # fmt: skip
def test_answers_whose_lists_do_not_fit(
    found: Scan | Surface | Yields,
    change: dict[str, object],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """CLI-16: a document whose lists have different lengths is refused in one line that says which."""
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(found.document() | change), encoding="utf-8")
    assert run("plot", path) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "content", ["{}", '{"strength": 1, "mu": [], "mu_error": 1, "parameters": 3, "status": 1, "doubts": 2}']
)
def test_other_documents_without_schema(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CLI-16, CLI-3: any other document is refused in one line that says what is read."""
    path = tmp_path / "answer.json"
    path.write_text(content, encoding="utf-8")
    assert run("plot", path) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "superbin likelihood" in error
