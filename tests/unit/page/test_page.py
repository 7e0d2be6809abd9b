"""The HTML page of a result, in a browser where there is one."""

import html
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from superbin.domain.aggregate import AggregateBin, Background
from superbin.errors import InputError
from superbin.page import page, point_pages
from superbin.results import AnalysisResult, LimitBand, PValue, SearchSummary, UpperLimit
from superbin.results.rounding import three
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult

HOSTILE = '<script>alert("x")</script>&\u202e'
PNG = b"\x89PNG made up"


def point(mother: float, lsp: float) -> ScanPoint:
    mu = mother / 1500
    return ScanPoint(
        {"m_mother": mother, "m_lsp": lsp},
        "done",
        bins=(3, 4),
        yields=AggregateBin((3, 4), 2.0, 0.1, Background(5.0, 2.0, 1.5), (), 6),
        expected=PValue(0.1, 2.0),
        observed=PValue(0.3, mother / 1000),
        limit=ScanLimit(2 * mu, mu, 1.4 * mu, 1.8 * mu, 2.8 * mu, 4 * mu, "exact"),
        cross_section_pb=0.01,
    )


def scan(model: str = "T1bbbb") -> ScanResult:
    search = SearchSummary("mine", "Title", "Reference", 12.9, 13.0, 160, "0" * 64, "made up")
    points = (
        point(1400, 200),
        point(900, 100),
        point(10000, 500),
        ScanPoint({"m_mother": 1.0, "m_lsp": 0.0}, "failed", reason="made up"),
    )
    return ScanResult(search, model, ("m_mother", "m_lsp"), {"level": 0.95}, points, "0.1.0")


def in_browser(text: str, folder: Path, script: str = "", width: int = 1100) -> str:
    """The page's elements after a script, as Chromium sees them."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        if os.environ.get("SUPERBIN_REQUIRE_CHROMIUM") == "1":
            pytest.fail("SUPERBIN_REQUIRE_CHROMIUM=1, but there is no Chromium")
        pytest.skip("no Chromium here; apt-get install chromium")
    watch = "<script>window.onerror = m => { document.title = 'ERR' + 'OR ' + m; };</script>"
    path = folder / "page.html"
    path.write_text(
        text.replace("<head>", f"<head>{watch}").replace("</body>", f"<script>{script}</script></body>"),
        encoding="utf-8",
    )
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--window-size={width},900",
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "ERROR" not in done.stdout[:3000]
    return done.stdout


def test_the_answer_comes_first(example_result: AnalysisResult) -> None:
    """PAGE-2: significance, limit and exclusion stand before everything else."""
    text = page(example_result, figures={"counts": PNG})
    first = html.unescape(text.split('<div class="answer">')[1].split("</div>")[0])
    assert f"observed {example_result.observed.midp.z:.2f}" in first
    quoted = example_result.quoted
    assert quoted is not None
    assert quoted.mu.observed is not None
    assert quoted.mu.median is not None
    assert f"{three(quoted.mu.observed)} observed, {three(quoted.mu.median)} expected" in first
    assert example_result.likelihood is not None
    full = example_result.likelihood.quoted.mu
    assert full.observed is not None
    assert f"By the full likelihood of all bins: {three(full.observed)} observed" in first
    assert "the signal is excluded by this one bin" in first
    weak = UpperLimit.of("lhc", LimitBand(1.2, median=0.5), fit="prefit")
    assert "is not excluded" in page(replace(example_result, limits=(weak,), other=None))
    assert "Search digest" in text
    for row in example_result.bins:
        assert f"<td>{row.number}</td>" in text


def test_it_needs_nothing_else(example_result: AnalysisResult) -> None:
    """PAGE-1: embedded figures, no address of anything to load, below 3 MB."""
    for text in (page(example_result, figures={"counts": PNG}), page(scan())):
        assert not re.search(r'(?:src|href)="(?!data:)', text)
        assert "http" not in text.replace("http://www.w3.org", "").split("<body>")[0]
        assert len(text) < 3e6
    assert "data:image/png;base64,iVBORyBtYWRlIHVw" not in page(scan())


def test_names_are_escaped(example_result: AnalysisResult) -> None:
    """PAGE-5: markup in any name stays text."""
    hostile = replace(example_result, search=replace(example_result.search, title=HOSTILE, name=HOSTILE))
    for text in (page(hostile), page(scan(HOSTILE))):
        assert "<script>alert" not in text
        assert "\u202e" not in text.split('data-text="')[-1].split('"')[0]
    assert "&lt;script&gt;" in page(hostile)


def test_tables_sort(tmp_path: Path) -> None:
    """PAGE-3: by number, not by letters, and back."""
    first = "const heads = document.querySelectorAll('table.sortable th button'); heads[0].click();"
    once = in_browser(page(scan()), tmp_path, first)
    masses = re.findall(r'<tr><td class="n" data-v="([\d.]+)"', once)
    assert list(map(float, masses)) == [900, 1400, 10000]
    twice = in_browser(page(scan()), tmp_path, first + "heads[0].click();")
    assert [float(m) for m in re.findall(r'<tr><td class="n" data-v="([\d.]+)"', twice)] == [10000, 1400, 900]


def test_the_map_answers(tmp_path: Path) -> None:
    """PAGE-4: pointing at a signal shows its numbers."""
    script = "document.querySelectorAll('svg.map circle')[1].dispatchEvent(new Event('mouseenter'));"
    text = in_browser(page(scan()), tmp_path, script)
    (told,) = re.findall(r'<p id="told"[^>]*>(.*?)</p>', text)
    assert (
        told
        == "T1bbbb(900, 100); mu95 observed 0.6, expected 0.54: excluded; Z expected 2.00, observed 0.90; bins 3 4"
    )
    assert text.count("<title>T1bbbb(") == 3


def test_formulas_are_set(example_result: AnalysisResult) -> None:
    """PAGE-2: labels with subscripts, not with dollars and backslashes."""
    text = page(example_result)
    assert "$" not in text.split("<body>")[1].split("<script>")[0]
    assert "\\mathrm" not in text


def test_other_values_have_no_page() -> None:
    """PAGE-1: a value that is no result, scan or validation is refused."""
    with pytest.raises(InputError, match="a page is of a result, a scan or a validation, and not of str"):
        page("text")


def test_points_have_pages(tmp_path: Path) -> None:
    """PAGE-6: the map and the table link to a page for every finished signal, with its limits and the command for its analysis."""
    result = scan()
    pages = point_pages(result)
    assert sorted(pages) == ["T1bbbb_10000_500.html", "T1bbbb_1400_200.html", "T1bbbb_900_100.html"]
    (tmp_path / "points").mkdir()
    for name, text in pages.items():
        (tmp_path / "points" / name).write_text(text, encoding="utf-8")
    (tmp_path / "report.html").write_text("<title>back</title>", encoding="utf-8")
    script = (
        "document.title = [...document.querySelectorAll('a')].map(a => a.getAttribute('href')).join(' ');"
    )
    seen = in_browser(page(result, point_folder="points"), tmp_path, script)
    links = re.findall(r"<title>(points/[^<]*)</title>", seen)[0].split()
    assert len(links) == 6
    assert all((tmp_path / link).is_file() for link in links)
    text = html.unescape(pages["T1bbbb_900_100.html"])
    assert "superbin run T1bbbb 900 100 --search" in text
    assert 'href="../report.html"' in text
    assert "The signal is excluded by its one region." in text
    assert not re.search(r'(?:src|href)="(?!data:|\.\./report\.html)', text)
    assert "points/" not in page(result)


def test_names_of_pages_are_safe() -> None:
    """PAGE-5, PAGE-6: the name of a model makes no path and no markup of the pages of its points."""
    for name, text in point_pages(scan("../../<script>alert(1)</script>/x y")).items():
        assert re.fullmatch(r"[A-Za-z0-9.+_-]+\.html", name)
        assert not name.startswith(".")
        assert "<script>alert" not in text


def test_particles_are_set(example_result: AnalysisResult) -> None:
    """PAGE-2: production and decay with particles, masses with their units."""
    signal = replace(example_result.signal, parameters={"m_mother": 1750.0, "m_lsp": 1.0})
    text = html.unescape(page(replace(example_result, signal=signal)))
    assert "pp → g\u0303g\u0303, g\u0303 → bb\u0305χ\u0303" in text
    assert "m<sub>g\u0303</sub> = 1750 GeV" in text


def test_everything_of_the_answer(example_result: AnalysisResult) -> None:
    """PAGE-2, RES-20: limits of both regions, what one region costs, simpler regions and sources of uncertainty."""
    text = html.unescape(page(example_result))
    for words in (
        "One region, largest expected significance",
        "Full likelihood, without signal uncertainty",
        "Published (interpolated)",
        "CLs, LHC ensembles",
        "8.2 +3.1 −2.2",
        "LLSCSRNJets2_BTags3_MHT3_HT9",
        "12.3 +4.4 −3.1",
    ):
        assert words in text
    bare = replace(
        example_result, likelihood=None, published=None, other=None, alternatives=(), sources=(), limits=()
    )
    assert "Simpler regions" not in page(bare)


def test_readable_on_a_phone(example_result: AnalysisResult, tmp_path: Path) -> None:
    """PAGE-7: at the width of a phone nothing but tables, which scroll on their own, is wider than the window."""
    script = (
        "const wide = [...document.querySelectorAll('body > *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1);"
        "document.title = 'wide ' + wide.length + ' ' + (document.documentElement.scrollWidth <= innerWidth + 1);"
    )
    for text in (page(example_result, figures={"counts": PNG}), page(scan(), point_folder="points")):
        seen = in_browser(text, tmp_path, script, width=500)
        assert "<title>wide 0 true</title>" in seen
