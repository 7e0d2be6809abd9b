"""`superbin validate`: the registry, its reports, its exit code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from superbin import open_catalog, validation
from superbin.catalog import Catalog
from superbin.cli import cli
from superbin.errors import UnknownNameError
from superbin.page import page
from superbin.plot import validation_figures, validation_pdf
from superbin.results.validation import Comparison, Ratios, ValidationReport
from superbin.validation.check import Check, ratio_comparison

OFF = Comparison("tables", "a number", "somebody <b>", "within 1 %", "off by 5 %", passed=False)
MEASURED = Comparison("speed", "a time", "another", "", "ratio 3", passed=None)


def report() -> ValidationReport:
    kept = ratio_comparison(
        "tables", "ratios", "a table", "bin", ["1", "2"], [0.99, 1.02], low=0.95, high=1.05
    )
    return ValidationReport("1.0", True, (kept, OFF, MEASURED), {"tables": 1.0})


def test_ratios_keep_their_tolerance() -> None:
    """VAL-2: one ratio outside, or none that is a number, fails the comparison."""
    for ratios, passed in (([0.95, 1.05], True), ([0.9499, 1.0], False), ([1.0, float("nan")], False)):
        found = ratio_comparison("c", "w", "a", "bin", ["1", "2"], ratios, low=0.95, high=1.05)
        assert found.passed is passed
        assert found.tolerance == "all within 0.95 and 1.05"


def test_verdicts() -> None:
    """VAL-2: a number without a demand is measured; only failed demands are failures."""
    assert [c.verdict for c in report().comparisons] == ["passed", "FAILED", "measured"]
    assert report().failed == (OFF,)
    assert report().document()["passed"] is False


def test_page_and_pdf() -> None:
    """VAL-4: the page escapes names and holds the figures; the PDF has the table and a page per figure."""
    figures = validation_figures(report())
    assert list(figures) == ["tables: ratios"]
    ax = figures["tables: ratios"].axes[0]
    assert ax.get_ylabel() == "superbin / reference"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2"]
    html = page(report(), figures={})
    assert "somebody &lt;b&gt;" in html
    assert "1 of 2 demands met" in html
    document = validation_pdf(report())
    assert b"/Type3" not in document
    assert b"/CIDFontType2" in document
    assert document.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", document)) == 2


@pytest.fixture
def one_check(monkeypatch: pytest.MonkeyPatch) -> list[Comparison]:
    """A registry of one check, whose comparisons a test chooses."""
    found: list[Comparison] = []

    def run(catalog: Catalog, quick: bool) -> Iterator[Comparison]:
        del catalog, quick
        yield from found

    monkeypatch.setattr(validation, "CHECKS", (Check("mine", "Mine", run),))
    return found


@pytest.mark.parametrize(("comparison", "code"), [(MEASURED, 0), (OFF, 1)])
def test_exit_code(one_check: list[Comparison], comparison: Comparison, code: int, tmp_path: Path) -> None:
    """VAL-3, VAL-4: 1 if a demand is not met; files are written in any case."""
    one_check.append(comparison)
    found = CliRunner().invoke(cli, ["validate", "-o", str(tmp_path / "out")])
    assert found.exit_code == code
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "report.html",
        "report.json",
        "report.pdf",
    ]
    assert json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))["passed"] is (code == 0)


def test_json_alone(one_check: list[Comparison]) -> None:
    """VAL-3: with --json nothing but JSON is printed."""
    one_check.append(MEASURED)
    found = CliRunner().invoke(cli, ["validate", "--json"])
    assert json.loads(found.stdout)["comparisons"][0]["verdict"] == "measured"


def test_unknown_check() -> None:
    """VAL-3: the error lists the checks."""
    with (
        open_catalog("sqlite://") as catalog,
        pytest.raises(UnknownNameError, match=r"'nothing'.*tables, p-values"),
    ):
        validation.validate(catalog, only=["nothing"])


def test_packaged_numbers() -> None:
    """VAL-1: the fast checks of an installation pass, against numbers of others."""
    seen: list[Comparison] = []
    with open_catalog("sqlite://") as catalog:
        found = validation.validate(
            catalog, quick=True, only=["tables", "p-values", "signals"], progress=seen.append
        )
    assert not found.failed
    assert tuple(seen) == found.comparisons
    assert {c.check for c in seen} == {"tables", "p-values", "signals"}
    assert sum(isinstance(c.ratios, Ratios) for c in seen) >= 4
