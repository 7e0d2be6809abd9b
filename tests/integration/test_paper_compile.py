"""The paper of a real result through LaTeX.

Where LaTeX is not installed these tests are skipped, and with ``SUPERBIN_REQUIRE_LATEX=1`` they fail instead.
"""

import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from superbin import analyze
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, MissingDependencyError, OutputError
from superbin.paper import HOW_TO_GET_LATEX, compile_pdf, latex, latex_available, render
from superbin.plot import figures, save
from superbin.results import AnalysisResult, result_from_json, result_to_json


@pytest.fixture
def need_latex() -> None:
    """PAPER-10: skip, or fail where LaTeX is mandatory."""
    if latex_available():
        return
    if os.environ.get("SUPERBIN_REQUIRE_LATEX") == "1":
        pytest.fail(f"SUPERBIN_REQUIRE_LATEX=1, but there is no LaTeX; {HOW_TO_GET_LATEX}")
    pytest.skip(f"no LaTeX here; {HOW_TO_GET_LATEX}")


@pytest.fixture(scope="module")
def result(cms_search: Search, t1bbbb: SignalModel) -> AnalysisResult:
    """A real result; few toys, since the paper only prints them."""
    return analyze(cms_search, t1bbbb, toys=1000)


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

    def test_nothing_is_undefined_or_overfull(
        self, result: AnalysisResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PAPER-2, PAPER-6: the last pass finds every reference and citation, and no line leaves the margin."""
        logs: list[str] = []
        original = latex._run

        def run(command: Any, place: Path, *, sources: Path) -> None:
            original(command, place, sources=sources)
            if command[0] == "pdflatex":
                folder = next(part for part in command if part.startswith("-output-directory=")).split("=")[1]
                logs.append((Path(folder) / "paper.log").read_text(encoding="latin-1"))

        monkeypatch.setattr(latex, "_run", run)
        compile_pdf(render(result, tmp_path, figures=False).parent)
        assert len(logs) == 3
        for complaint in ("undefined", "Rerun to get", "Overfull", "multiply defined"):
            assert complaint not in logs[-1]

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
        assert compile_pdf(render(spoilt, tmp_path, figures=False).parent).exists()

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
