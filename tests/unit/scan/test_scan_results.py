"""The scan's document: it comes back equal, and a breach is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from superbin.catalog import Catalog
from superbin.domain.aggregate import AggregateBin, Background
from superbin.domain.published import PublishedLimit
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError
from superbin.results.scan import (
    PublishedComparison,
    ScanLimit,
    ScanPoint,
    ScanResult,
    load_scan,
    scan_from_json,
    scan_to_json,
)
from superbin.scan import Settings, run_scan


@pytest.fixture
def result(small_search: Search, small_signal: SignalModel) -> ScanResult:
    """A point that is done and one that failed."""
    nothing = SignalModel(
        "T0", {"m_mother": 900, "m_lsp": 1}, "small", 0 * small_signal.yields, small_signal.errors
    )
    return run_scan(small_search, [small_signal, nothing])


def test_round_trip(result: ScanResult, tmp_path: Path) -> None:
    """SCAN-6: what is written reads back equal."""
    assert [point.status for point in result.points] == ["done", "failed"]
    path = tmp_path / "scan.json"
    path.write_text(scan_to_json(result), encoding="utf-8")
    assert load_scan(path) == result
    assert load_scan(path).digest == result.digest


def test_what_a_machine_finds(result: ScanResult) -> None:
    """SCAN-6: masses, bins, expected and observed Z and status stand where the specification says."""
    document = json.loads(scan_to_json(result))
    first, second = document["points"]
    assert first["parameters"] == {"m_mother": 1000, "m_lsp": 100}
    assert set(first["bins"]) <= {1, 2, 3, 4}
    assert isinstance(first["expected"]["z"], float)
    assert isinstance(first["observed"]["z"], float)
    assert (first["status"], second["status"]) == ("done", "failed")
    assert "zero" in second["reason"]
    assert document["options"] == {
        "correlations": "none",
        "figure_of_merit": "midp",
        "level": 0.95,
        "likelihood_limit": "none",
        "simplify": 0.005,
        "systematics": "none",
    }


LIMIT = ScanLimit(6.0, 1.0, 2.0, 3.0, 4.0, 5.0, "exact")


def done(**changes: Any) -> ScanPoint:
    """A point of 2 signal events at 0.01 pb: its one bin excludes 30 fb (expected 15), the likelihood 60 (30)."""
    values: dict[str, Any] = {
        "parameters": {"m_mother": 1500.0, "m_lsp": 100.0},
        "status": "done",
        "bins": (1,),
        "yields": AggregateBin((1,), 2.0, 0.1, Background(5.0, 2.0, 1.5), (), 6),
        "limit": LIMIT,
        "likelihood_limit": LIMIT,
        "cross_section_pb": 0.01,
    }
    return ScanPoint(**{**values, **changes})


def test_beside_published_limits() -> None:
    """SCAN-22: ours in fb over theirs, by kind and side; null where either is missing."""
    found = done().compared(PublishedLimit(20.0, 60.0)).published
    assert found == PublishedComparison(20.0, 60.0, 1.5, 0.25, 3.0, 0.5)
    found = done(likelihood_limit=None).compared(PublishedLimit(20.0, None)).published
    assert found == PublishedComparison(20.0, None, 1.5, None, None, None)
    for bare in (done(cross_section_pb=None), done(status="failed")):
        assert bare.compared(PublishedLimit(20.0, 60.0)).published is None
    assert done().compared(PublishedLimit(20.0, 60.0)).compared(None).published is None


def test_scan_of_the_packaged_search_is_compared(
    cms_search: Search, t1bbbb: SignalModel, packaged_catalog: Catalog
) -> None:
    """SCAN-22: T1bbbb(1750, 1) excluded at 3.6738 fb by CMS, in the document and back; at another level there is nothing."""
    published = packaged_catalog.limits(cms_search, "T1bbbb")
    result = run_scan(cms_search, [t1bbbb], settings=Settings(correlations="none"), published=published)
    (point,) = result.points
    assert point.published is not None
    assert point.mu_limit is not None
    assert point.mu_limit.observed is not None
    assert point.published.observed_fb == pytest.approx(3.6738, abs=1e-4)
    assert point.published.expected_fb is None
    ours = 1000 * 3.59842e-3 * point.mu_limit.observed
    assert point.published.one_bin_observed == pytest.approx(ours / 3.6738, rel=1e-4)
    assert scan_from_json(scan_to_json(result)) == result
    other = run_scan(cms_search, [t1bbbb], settings=Settings(correlations="none", level=0.9))
    assert other.points[0].published is None


BREACHES: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("points", 0, "yields", "signal"), -1.0, r"\$\.points\[0\]\.yields\.signal"),
    (("points", 0, "expected", "p"), 2.0, r"\$\.points\[0\]\.expected\.p"),
    (("points", 0, "limit"), None, r"\$\.points\[0\]\.limit"),
    (("points", 1, "reason"), None, r"\$\.points\[1\]\.reason"),
    (("points", 1, "status"), "done", r"\$\.points\[1\]\."),
    (("points", 0, "limit", "observed"), "x", r"\$\.points\[0\]\.limit\.observed"),
    (("search", "digest"), "x", r"\$\.search\.digest"),
    (("extra",), 1, r"at \$: "),
]


@pytest.mark.parametrize(("path", "value", "place"), BREACHES, ids=lambda x: str(x)[:30])
def test_breaches(result: ScanResult, path: tuple[str | int, ...], value: Any, place: str) -> None:
    """SCAN-6: a document that breaks the schema is refused with the place in it."""
    document: Any = json.loads(scan_to_json(result))
    spot = document
    for step in path[:-1]:
        spot = spot[step]
    spot[path[-1]] = value
    with pytest.raises(DocumentError, match=f"the scan breaks superbin/scan/1 at .*{place}|{place}"):
        scan_from_json(json.dumps(document))


def test_other_documents(tmp_path: Path) -> None:
    """SCAN-6: another schema, no JSON, no file."""
    with pytest.raises(
        DocumentError, match="has schema 'superbin/result/1'; this superbin reads 'superbin/scan/1'"
    ):
        scan_from_json('{"schema": "superbin/result/1"}')
    with pytest.raises(DocumentError, match="the scan:1: not JSON .*; write it again with 'superbin scan'"):
        scan_from_json("{")
    with pytest.raises(InputError, match=r"cannot read .*; give a scan\.json that 'superbin scan' wrote"):
        load_scan(tmp_path / "none.json")
