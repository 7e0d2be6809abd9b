"""``superbin chance`` from the outside."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from superbin.cli import main
from superbin.domain.aggregate import combine
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.results import PValue, SearchSummary
from superbin.results.rounding import plain
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult, scan_to_json

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["chance", *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def finished(search: Search, signal: SignalModel, mass: float, *bins: int) -> ScanPoint:
    """A finished point; its p-values and limits are made up, its bins are not."""
    p = PValue(0.1, 1.28)
    return ScanPoint(
        {"m_mother": mass, "m_lsp": 1.0},
        "done",
        bins=bins,
        cuts=("made up",),
        merge_status="best found",
        yields=combine(search, signal, bins),
        expected=p,
        observed=p,
        limit=ScanLimit(5.0, 2.0, 3.0, 4.0, 5.0, 6.0, "exact"),
    )


@pytest.fixture
def scan_file(cms_search: Search, t1bbbb: SignalModel, tmp_path: Path) -> Path:
    summary = SearchSummary.of(cms_search)
    points = (
        finished(cms_search, t1bbbb, 1000.0, 9, 19),
        finished(cms_search, t1bbbb, 1100.0, 44),
        ScanPoint({"m_mother": 1200.0, "m_lsp": 1.0}, "failed", reason="made up"),
    )
    scan = ScanResult(
        summary, "T1qqqq", ("m_mother", "m_lsp"), {"correlations": "likelihood"}, points, "0.1.0"
    )
    path = tmp_path / "scan.json"
    path.write_text(scan_to_json(scan), encoding="utf-8")
    return path


def test_points_of_a_scan(run: Run, scan_file: Path, tmp_path: Path) -> None:
    """CHANCE-10: a summary, a document and a figure; progress on stderr."""
    target, figure = tmp_path / "out.json", tmp_path / "largest.png"
    code, out, err = run("--scan", scan_file, "--toys", "9000", "-o", target, "--figure", figure)
    assert code == 0
    assert "2 distinct aggregate bins of 2 T1qqqq points" in out
    assert "163 observed, 110 +13 -11 expected in bin 44" in out
    assert "chosen for T1qqqq(1100, 1)" in out
    assert "trials factor" in out
    assert "9,000 of 9,000 pseudo-experiments" in err
    document = json.loads(target.read_text(encoding="utf-8"))
    assert document["excess"]["bins"] == [44]
    assert f"p = {plain(document['chance']['p'], document['chance']['p_err'])}, Z" in out
    assert figure.stat().st_size > 1000
    code, printed, err = run("--scan", scan_file, "--toys", "9000", "--threads", "2", "--json", "--quiet")
    assert code == 0
    assert json.loads(printed) == document
    assert err == ""


def test_a_scan_says_its_own_search(run: Run, scan_file: Path) -> None:
    """CHANCE-10: contradictions and files that are no scans are refused in one line."""
    for extra in (("--correlations", "none"), ("--search", "cms-pas-sus-16-014")):
        code, out, err = run("--scan", scan_file, *extra)
        assert (code, out) == (2, "")
        assert "drop --search and --correlations" in err
    scan_file.write_text("{}", encoding="utf-8")
    code, _, err = run("--scan", scan_file)
    assert code == 2
    assert "schema" in err
    assert err.count("\n") == 1
