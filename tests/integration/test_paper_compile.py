"""The paper of a real result through LaTeX.

Where LaTeX is not installed these tests are skipped, and with ``SUPERBIN_REQUIRE_LATEX=1`` they fail instead.
"""

import json
import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from superbin import analyze
from superbin.analysis.details import uncertainty_sources
from superbin.catalog import Catalog
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, MissingDependencyError, OutputError
from superbin.paper import CLASSES, HOW_TO_GET_LATEX, compile_pdf, latex, latex_available, render
from superbin.plot import figures, save
from superbin.results import (
    AnalysisResult,
    LikelihoodAnswer,
    LimitBand,
    UncertaintySource,
    UpperLimit,
    result_from_json,
    result_to_json,
)
from superbin.results.scan import ScanResult, scan_from_json, scan_to_json
from superbin.scan import grid_targets, run_scan, spread


@pytest.fixture
def need_latex() -> None:
    """PAPER-10: skip, or fail where LaTeX is mandatory."""
    if latex_available():
        return
    if os.environ.get("SUPERBIN_REQUIRE_LATEX") == "1":
        pytest.fail(f"SUPERBIN_REQUIRE_LATEX=1, but there is no LaTeX; {HOW_TO_GET_LATEX}")
    pytest.skip(f"no LaTeX here; {HOW_TO_GET_LATEX}")


@pytest.fixture(scope="module")
def result(cms_search: Search, t1bbbb: SignalModel, packaged_catalog: Catalog) -> AnalysisResult:
    """A real result, with the published limit and the sources of its uncertainty; few toys, since the paper only prints them."""
    found = analyze(
        cms_search,
        t1bbbb,
        toys=1000,
        cross_section_error=0.27,
        published=packaged_catalog.limits(cms_search, "T1bbbb"),
    )
    likelihood = packaged_catalog.published_likelihood(cms_search)
    return replace(found, sources=uncertainty_sources(likelihood, found.merge.bins))


COMPLAINTS = ("undefined", "Rerun to get", "Overfull", "multiply defined", "Missing character")


@pytest.fixture(scope="module")
def scan(cms_search: Search, packaged_catalog: Catalog) -> ScanResult:
    """Seven points of a real scan."""
    grid = packaged_catalog.grid(cms_search, "T1bbbb")
    sections = packaged_catalog.cross_sections(grid.process, cms_search)
    few = [grid.points[i] for i in spread(grid.points, 7)]
    published = packaged_catalog.limits(cms_search, "T1bbbb")
    return run_scan(
        cms_search, grid_targets(grid, cms_search, cross_sections=sections, points=few), published=published
    )


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The log of every pass of LaTeX."""
    found: list[str] = []
    original = latex._run

    def run(command: Any, place: Path, *, sources: Path) -> None:
        original(command, place, sources=sources)
        if command[0] == "pdflatex":
            folder = next(part for part in command if part.startswith("-output-directory=")).split("=")[1]
            found.append((Path(folder) / "paper.log").read_text(encoding="latin-1"))

    monkeypatch.setattr(latex, "_run", run)
    return found


@pytest.mark.usefixtures("need_latex")
class TestCompile:
    def test_with_figures(self, result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-8: a PDF with all figures, twice the same bytes, and no litter."""
        (tmp_path / "figures").mkdir()
        for name, figure in figures(result).items():
            save(figure, tmp_path / "figures" / name, formats=("pdf",))
        render(result, tmp_path / "paper")
        pdf = compile_pdf(tmp_path / "paper")
        assert pdf == tmp_path / "paper" / "paper.pdf"
        first = pdf.read_bytes()
        assert first.startswith(b"%PDF")
        assert len(first) > 100_000
        assert sorted(p.name for p in pdf.parent.iterdir()) == ["paper.pdf", "paper.tex", "references.bib"]
        assert compile_pdf(tmp_path / "paper").read_bytes() == first

    @pytest.mark.parametrize("paper_class", list(CLASSES))
    @pytest.mark.parametrize("kind", ["result", "scan"])
    def test_log(
        self,
        result: AnalysisResult,
        scan: ScanResult,
        tmp_path: Path,
        logs: list[str],
        kind: str,
        paper_class: str,
    ) -> None:
        """PAPER-2, PAPER-6, PAPER-10, PAPER-11, PAPER-13: LaTeX's log has no overfull box, and every reference and citation is found."""
        of = result if kind == "result" else scan
        compile_pdf(render(of, tmp_path, figures=False, paper_class=paper_class).parent)
        assert len(logs) == 3
        for complaint in COMPLAINTS:
            assert complaint not in logs[-1]

    def test_log_with_everything(self, result: AnalysisResult, tmp_path: Path, logs: list[str]) -> None:
        """PAPER-2: long tables, long names, a cut flow and every optional part leave the log clean."""
        steps = {"generated": 1.0, "jets": 0.8, "in the aggregate region": 1e-5}
        source = UncertaintySource(
            "a_very_long_name_of_a_nuisance_parameter_that_somebody_wrote_down_CMS_2016", 1.0, -1.0
        )
        long = replace(
            result,
            bins=result.bins * 8,
            sources=(*result.sources, source),
            merge=replace(result.merge, cuts=result.merge.cuts * 12),
        )
        render(long, tmp_path, figures=False, cut_flow=steps)
        compile_pdf(tmp_path)
        for complaint in COMPLAINTS:
            assert complaint not in logs[-1]

    @pytest.mark.parametrize("paper_class", list(CLASSES))
    def test_log_of_one_region_for_both_purposes(
        self, result: AnalysisResult, tmp_path: Path, logs: list[str], paper_class: str
    ) -> None:
        """PAPER-2: its rows say both purposes, and it is compared with a simplified likelihood."""
        limit = UpperLimit.of("asymptotic", LimitBand(0.9, 0.4, 0.5, 0.7, 1.0, 1.4), fit="postfit")
        both = replace(
            result,
            other=replace(result.region, purpose="limit"),
            likelihood=LikelihoodAnswer("simplified", 160, 0.1, 0.3, (limit,)),
        )
        render(both, tmp_path, figures=False, paper_class=paper_class)
        compile_pdf(tmp_path)
        assert "expected significance and lowest expected limit" in (tmp_path / "paper.tex").read_text()
        for complaint in COMPLAINTS:
            assert complaint not in logs[-1]

    def test_fonts_of_figures(self, result: AnalysisResult, tmp_path: Path) -> None:
        """FIG-41: figures in the paper have fonts that are embedded as TrueType, which is Type 42."""
        for name in ("projection-ht", "count-expected"):
            save(figures(result)[name], tmp_path / name, formats=("pdf",))
        program = shutil.which("pdffonts")
        if program is None:
            pytest.skip("no pdffonts here; apt-get install poppler-utils")
        fonts = [
            line.split()
            for path in sorted(tmp_path.glob("*.pdf"))
            for line in subprocess.run(
                [program, path], capture_output=True, text=True, check=True
            ).stdout.splitlines()[2:]
        ]
        assert fonts
        assert all(row[1:3] == ["CID", "TrueType"] and row[4] == "yes" for row in fonts)

    @pytest.mark.parametrize(
        "text",
        [
            "a&b%c_d#e$f{g}h~i^j\\k <>|\"`'[*] é中\n\\input{x} %",
            r"$a_b^c$ & $\mathrm{x}$ % \end{document} \csname x\endcsname",
            "x" * 300,
            " ",
            "[x] * {",
            "$$ $ \\$ $$$",
        ],
    )
    def test_nasty_names(self, result: AnalysisResult, tmp_path: Path, text: str) -> None:
        """PAPER-4: no text that a user or a document can bring breaks the compilation."""
        spoilt = result_from_json(json.dumps(spoil(json.loads(result_to_json(result)), text)))
        steps = {text: 1.0, f"{text} and more": 0.1}
        assert compile_pdf(render(spoilt, tmp_path, figures=False, cut_flow=steps).parent).exists()

    @pytest.mark.parametrize("paper_class", ["revtex", "jhep"])
    def test_nasty_names_in_every_class(
        self, result: AnalysisResult, scan: ScanResult, tmp_path: Path, paper_class: str
    ) -> None:
        """PAPER-4, PAPER-11, PAPER-13: nor of the other classes, nor of a scan."""
        text = "a&b%c_d#e$f{g}h~i^j\\k <>|\"`'[*] é中\n\\input{x} %"
        spoilt = result_from_json(json.dumps(spoil(json.loads(result_to_json(result)), text)))
        assert compile_pdf(
            render(spoilt, tmp_path / "a", figures=False, paper_class=paper_class).parent
        ).exists()
        strange = scan_from_json(json.dumps(spoil(json.loads(scan_to_json(scan)), text)))
        assert compile_pdf(
            render(strange, tmp_path / "b", figures=False, paper_class=paper_class).parent
        ).exists()

    def test_many_bins(self, result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: a table of bins that is longer than a page runs on to the next."""
        long = replace(result, bins=result.bins * 20)
        assert compile_pdf(render(long, tmp_path, figures=False).parent).exists()

    def test_error_quotes_the_line(self, result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-9: one line with file, line and LaTeX's words; the old PDF stays."""
        (tmp_path / "paper.pdf").write_bytes(b"old")
        path = render(result, tmp_path, figures=False)
        path.write_text(path.read_text().replace(r"\maketitle", r"\maketitle\nosuchmacro"))
        line = path.read_text().split(r"\nosuchmacro")[0].count("\n") + 1
        with pytest.raises(
            DocumentError, match=rf"pdflatex failed: paper.tex:{line}: Undefined control sequence"
        ) as caught:
            compile_pdf(tmp_path)
        assert "\n" not in str(caught.value)
        assert (tmp_path / "paper.pdf").read_bytes() == b"old"

    def test_missing_figure(self, result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-9: figures that are not there are an error that names the first."""
        with pytest.raises(DocumentError, match=r"projection-njet.*not found"):
            compile_pdf(render(result, tmp_path / "paper").parent)

    def test_broken_references(self, result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-9: BibTeX's complaint is quoted too."""
        folder = render(result, tmp_path, figures=False).parent
        (folder / "references.bib").write_text("@misc{search,\n title = {open\n")
        with pytest.raises(DocumentError, match="bibtex failed"):
            compile_pdf(folder)

    def test_no_shell(self, result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-8: a source that asks for a shell does not get one."""
        path = render(result, tmp_path, figures=False)
        proof = tmp_path / "proof"
        path.write_text(
            path.read_text().replace(r"\maketitle", rf"\maketitle\immediate\write18{{touch {proof}}}")
        )
        compile_pdf(tmp_path)
        assert not proof.exists()

    def test_endless_source(
        self, result: AnalysisResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PAPER-8: a source that never ends is stopped."""
        monkeypatch.setattr(latex, "_TIMEOUT", 1.0)
        path = render(result, tmp_path, figures=False)
        path.write_text(path.read_text().replace(r"\maketitle", r"\maketitle\def\x{\x}\x"))
        with pytest.raises(DocumentError, match="did not end within 1 s"):
            compile_pdf(tmp_path)


def spoil(document: Any, text: str, key: str = "") -> Any:
    """Put a text in place of every free text of a result."""
    free = "name title reference source model label text unit group selection note observable cuts superbin"
    if isinstance(document, dict):
        return {k: spoil(v, text, k) for k, v in document.items()}
    if isinstance(document, list | tuple):
        return [spoil(v, text, key) for v in document]
    return text if isinstance(document, str) and key in free.split() else document


class TestWithoutLatex:
    def test_says_how_to_get_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """PAPER-9: without LaTeX the error names the packages."""
        monkeypatch.setenv("PATH", str(tmp_path))
        assert not latex_available()
        with pytest.raises(
            MissingDependencyError, match="no LaTeX found.*apt-get install.*texlive-latex-base"
        ):
            compile_pdf(tmp_path)

    def test_both_programs_are_needed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """PAPER-9: pdflatex without BibTeX is not enough."""
        program = tmp_path / "pdflatex"
        program.write_text("#!/bin/sh\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert shutil.which("pdflatex")
        assert not latex_available()

    @pytest.mark.usefixtures("need_latex")
    def test_nothing_to_compile(self, tmp_path: Path) -> None:
        """PAPER-9: a folder without a paper is an error that says so."""
        with pytest.raises(OutputError, match=r"there is no .*paper\.tex to compile"):
            compile_pdf(tmp_path)
