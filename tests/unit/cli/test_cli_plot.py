"""``superbin plot``."""

from pathlib import Path

import pytest

from superbin.cli import main
from superbin.domain.aggregate import AggregateBin, Background, ProcessYield
from superbin.results import PValue, SearchSummary
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult, scan_to_json


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
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
    assert "it has significance-expected" in capsys.readouterr().err
    other = tmp_path / "other.json"
    other.write_text('{"schema": "superbin/pie/1"}')
    assert run("plot", str(other)) == 2
    assert "superbin run, superbin scan, superbin chance" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("plot", str(empty)) == 2
    assert "holds none of result.json" in capsys.readouterr().err
