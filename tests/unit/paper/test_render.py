"""The sources of a paper: what they say, and that nothing in a result can spoil them."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest

from superbin.errors import DocumentError, InputError, OutputError, UnknownNameError
from superbin.paper import CLASSES, render, tex
from superbin.paper import render as render_paper
from superbin.paper.render import _environment, _printed
from superbin.paper.tex import TeX
from superbin.plot import scan_figures
from superbin.results import AnalysisResult, Asimov, PValue, Significance
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult


def source(result: AnalysisResult, folder: Path, **options: Any) -> str:
    return render_paper(result, folder, **options).read_text(encoding="ascii")


def table(text: str, label: str) -> dict[str, list[str]]:
    """Rows of a table by their first cell."""
    start = text.index(rf"\label{{{label}}}")
    body = text[text.index(r"\midrule", start) : text.index(r"\bottomrule", start)]
    rows = [re.split(r"(?<!\\)&", row) for row in body.replace(r"\midrule", "").split(r"\\")]
    return {
        row[0].strip().removeprefix(r"\raggedright "): [cell.strip() for cell in row[1:]]
        for row in rows
        if row[0].strip()
    }


class TestContent:
    def test_files(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-1: two files, in a folder that is made; written again without a trace of the old."""
        path = render(example_result, tmp_path / "out" / "paper")
        assert path == tmp_path / "out" / "paper" / "paper.tex"
        assert render(example_result, tmp_path / "out" / "paper").read_bytes() == path.read_bytes()
        assert sorted(p.name for p in path.parent.iterdir()) == ["paper.tex", "references.bib"]

    def test_abstract_has_the_numbers(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2, PAPER-3: what was searched, expected and observed, and whether the signal is excluded."""
        text = source(example_result, tmp_path)
        abstract = text[text.index(r"\begin{abstract}") : text.index(r"\end{abstract}")]
        for words in (
            "The 160 signal bins of CMS-PAS-SUS-16-014",
            "$12.9$~fb$^{-1}$",
            r"$\sqrt{s}=13$~TeV",
            "T1bbbb(1750, 1), pair production of gluinos, $pp",
            r"$m_{\tilde{\chi}^{0}_{1}}$~$=$~1~GeV",
            "4 bins, in which $12.3^{+4.4}_{-3.1}$ background events and\n$8.9\\pm0.4$ signal events",
            "14 events are observed",
            r"significance is $2.13$ standard deviations",
            r"$p$-value of the observed count is $0.376$",
        ):
            assert words in abstract
        quoted = example_result.quoted
        assert quoted is not None
        assert quoted.excluded
        assert (
            "the signal T1bbbb(1750, 1) is excluded by the aggregate region of lowest expected limit"
            in abstract
        )
        assert rf"$\mu<{quoted.mu.observed:.3f}$ (expected ${quoted.mu.median:.3f}$)" in abstract

    def test_parts(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: every part is there, and what a person has to write is marked."""
        text = source(example_result, tmp_path)
        sections = re.findall(r"\\section\*?\{([^}]*)\}", text)
        assert sections == [
            "Introduction",
            "The aggregate signal region",
            "Expected yields and uncertainties",
            "Expected sensitivity",
            "Observed significance",
            "Upper limits and exclusion",
            "Comparison with the full search",
            "Discussion",
            "Statistical methods",
            "Reproducibility",
            "Data availability",
        ]
        assert re.findall(r"\\todo\{(\w+)", text) == ["AUTHORS", "PHYSICS", "DISCUSSION", "DATA"]
        assert r"Its cross section is $3.6\pm1.0$~fb at NLO+NLL" in text
        assert "result.json" not in text

    def test_every_table_and_figure_is_referred_to(
        self, example_result: AnalysisResult, tmp_path: Path
    ) -> None:
        """PAPER-2: no table and no figure stands without a reference, and none is referred to that is not there."""
        text = source(example_result, tmp_path)
        labels = set(re.findall(r"\\label\{((?:tab|fig):[^}]*)\}", text))
        assert labels == {k for k in re.findall(r"\\ref\{([^}]*)\}", text) if not k.startswith("sec:")}
        assert labels >= {"tab:limits", "tab:comparison", "tab:alternatives", "tab:systematics", "fig:counts"}

    def test_cuts_and_bins(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: both regions as cuts, and the first as a table of bins that adds up to the total."""
        text = source(example_result, tmp_path)
        assert (
            r"\item 7--8 jets, \ensuremath{\geq} 2 b jets, $H_{\mathrm{T}}$ \textgreater{} 1000 GeV, "
            r"$H_{\mathrm{T}}^{\mathrm{miss}}$ 500--750 GeV"
        ) in text
        assert r"\item 7--8 jets, \ensuremath{\geq} 1 b jet, " in text
        start = text.index(r"\endhead")
        body = text[start : text.index(r"\end{longtable}")]
        rows = re.findall(
            r"^(\d+) & ([^&]*) & ([^&]*) & ([^&]*) & ([^&]*) & \$([\d.]+)\\pm[\d.]+\$ & \S+ & (\d+)\\\\$",
            body,
            re.MULTILINE,
        )
        assert [row[0] for row in rows] == ["68", "78", "108", "118"]
        assert rows[0][1:5] == ("7--8", r"\ensuremath{\geq} 3", "500--750", r"\textgreater{} 1000")
        assert sum(float(row[5]) for row in rows) == pytest.approx(example_result.yields.signal, abs=0.1)
        assert [int(row[6]) for row in rows] == [row.yields.observed for row in example_result.bins]
        assert r"$H_{\mathrm{T}}$ {[}GeV{]}" in text
        assert r"Aggregate region} & $8.9\pm0.4$ & $12.3^{+4.4}_{-3.1}$ & 14" in body

    def test_yields(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2, PAPER-3, RES-20: every process with statistical and systematic uncertainties, rounded together."""
        text = source(example_result, tmp_path)
        assert re.search(r"The backgrounds are lost lepton, hadronic tau, .* and QCD multijet\.", text)
        rows = table(text, "tab:yields")
        assert rows["Lost lepton"] == ["$2.7$", "$^{+0.7}_{-0.5}$", "$^{+0.8}_{-0.7}$"]
        assert rows[r"$Z\to\nu\bar{\nu}$"][0] == "$6.6$"
        assert rows["Total background"] == [r"\multicolumn{3}{l}{$12.3^{+4.4}_{-3.1}$}"]
        assert rows["Signal T1bbbb(1750, 1)"] == [
            r"\multicolumn{3}{l}{$8.9$$\pm0.4$\,(MC)\,$\pm0.7$\,(syst.)}"
        ]
        assert rows["Observed"] == [r"\multicolumn{3}{l}{14}"]

    def test_sources(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2, RES-21: sources of uncertainty by kind, in quadrature, relative to the background, the largest first."""
        rows = table(source(example_result, tmp_path), "tab:systematics")
        up = 100 * math.hypot(2.1, 1.8) / example_result.yields.background.nominal
        assert rows["LLSCSR"] == ["2", f"$+{up:.1f}$", "$-0.0$"]
        # Down moves the background up: both sides are there all the same.
        assert rows["DYsysKin"] == ["1", "$+9.0$", "$-7.3$"]
        assert "tab:systematics" not in source(replace(example_result, sources=()), tmp_path)

    def test_alternatives(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: the chosen regions beside simpler ones."""
        rows = table(source(example_result, tmp_path), "tab:alternatives")
        assert list(rows) == [
            "Chosen, largest expected significance",
            "Chosen, lowest expected limit",
            "Rectangle",
            "1 bin",
        ]
        assert rows["Rectangle"] == ["2", "1", "$6.10$", "$8.2^{+3.1}_{-2.2}$", "$1.86$", "$0.970$"]

    def test_limits(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2, PAPER-3: limits of both regions by every method, with bands; what a method does not have is a dash."""
        text = source(example_result, tmp_path)
        start = text.index(r"\label{tab:limits}")
        body = text[start : text.index(r"\end{table}", start)]
        rows = [row for row in body.split("\n") if row.startswith("CL$")]
        both = [*example_result.limits, *(example_result.other.limits if example_result.other else ())]
        assert len(rows) == len(both)
        for row, limit in zip(rows, both, strict=True):
            cells = [cell.strip() for cell in row.removesuffix(r"\\").split("&")]
            assert float(cells[2].strip("$")) == pytest.approx(limit.mu.observed, rel=6e-3)
            assert [cell == "--" for cell in cells[3:]] == [v is None for v in limit.mu.values[1:]]
        error = example_result.signal.cross_section_error
        quoted = example_result.quoted
        assert error is not None
        assert quoted is not None
        for value in quoted.with_theory(error):
            assert value is not None
            assert rf"$\mu<{tex.three(value).strip('$')}$" in text

    def test_comparison(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: one region beside the full likelihood and the published limit, in both units."""
        text = source(example_result, tmp_path)
        rows = table(text, "tab:comparison")
        assert rows["Published"] == ["$0.671$", "$0.479$", "$2.41$", "$1.72$"]
        assert rows["Full likelihood, no signal uncertainty"][:2] == ["$0.660$", "$0.460$"]
        assert "interpolated between the points of the published map" in text
        assert "520$ channels" in text
        alone = replace(example_result, likelihood=None, published=None, other=None)
        assert "tab:comparison" not in source(alone, tmp_path)
        none = replace(alone, limits=())
        text = source(none, tmp_path)
        assert "tab:limits" not in text
        assert "tab:comparison" not in text

    def test_significances(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2, PAPER-3: every method by its name; Asimov says what it was fitted to."""
        text = source(example_result, tmp_path)
        expected, observed = table(text, "tab:expected"), table(text, "tab:observed")
        assert expected["mid-$p$"][:2] == ["$0.0166$", "$2.13$"]
        assert expected["tail"][:2] == ["$0.0199$", "$2.06$"]
        assert expected["toys"][:2] == [r"$0.01663\pm0.00013$", "$2.13$"]
        assert r"$1\,000\,000$ pseudo-experiments" in expected["toys"][2]
        assert expected["asymptotic"][:2] == ["$0.0169$", "$2.12$"]
        assert expected["Asimov, pre-fit"] == ["", "$2.14$", "expected median"]
        assert expected["Asimov, post-fit"] == ["", "$1.87$", "expected median"]
        assert expected["$p_0$"][:2] == ["$0.0158$", "$2.15$"]
        assert expected["mid-$p$ median, pre-fit"] == ["", "$2.09$", r"68\,\%: $1.22$ to $2.91$"]
        assert expected["$p_0$ median, post-fit"][:2] == ["", "$1.88$"]
        assert expected["pyhf"][:2] == ["$0.0171$", "$2.12$"]
        assert "$1\\,000$ toys" in expected["pyhf, toys"][2]
        assert expected["pyhf, total"][:2] == ["$0.0168$", "$2.12$"]
        assert observed["mid-$p$"][:2] == ["$0.376$", "$0.32$"]
        shared = [name for name in expected if "Asimov" not in name and "median" not in name]
        assert shared == list(observed)

    def test_missing_methods_have_no_row(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-3: nothing is invented for what was not computed."""
        bare = replace(
            example_result.expected,
            asimov=None,
            toys=None,
            pyhf=None,
            pyhf_total=None,
            asimov_postfit=None,
            pyhf_toys=None,
            p0=None,
            expected_midp=None,
            expected_p0=None,
            expected_p0_postfit=None,
        )
        rows = table(source(replace(example_result, expected=bare), tmp_path), "tab:expected")
        assert list(rows) == ["mid-$p$", "tail", "asymptotic"]

    def test_deficit(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-3: a deficit is said in words, where pyhf and the others differ."""
        assert "lies below the expected background" not in source(example_result, tmp_path)
        deficit = replace(example_result.observed, midp=PValue(0.9, -1.28))
        text = source(replace(example_result, observed=deficit), tmp_path)
        assert "by pyhf are 0.5 for every such deficit" in text
        assert table(text, "tab:observed")["mid-$p$"][:2] == ["$0.900$", "$-1.28$"]

    def test_no_finite_significance(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-3: a p-value of one has a dash for a significance."""
        certain = replace(example_result.observed, midp=PValue(1.0, None))
        rows = table(source(replace(example_result, observed=certain), tmp_path), "tab:observed")
        assert rows["mid-$p$"][:2] == ["$1.00$", "--"]

    def test_merge(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: what was maximised, whether it is proved, and the baseline; never chosen for what was observed."""
        text = source(example_result, tmp_path)
        assert "maximise the exact expected mid-p significance at $n=s+b$" in text
        assert r"the figure of merit~$2.13$ and is the best that was found" in text
        assert "reaches $2.07$ with 3\nbins" in text
        assert "never the observed counts" in text
        assert "of this shape were allowed" not in text
        merge = replace(example_result.merge, status="certified", shape="rectangle", bound=2.14, gap=0.005)
        text = source(replace(example_result, merge=merge), tmp_path)
        assert "is proved to be optimal: no allowed set of bins does better" in text
        assert "of this shape were allowed: one range in each observable" in text
        assert "No allowed set of bins reaches more than $2.14$" in text
        merge = replace(merge, status="within 2900 %", bound=64.0, gap=29.0)
        text = source(replace(example_result, merge=merge), tmp_path)
        assert "is the best that was found" in text
        assert "No allowed set" not in text

    def test_statistical_methods(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: the reader learns what the numbers neglect."""
        text = source(example_result, tmp_path)
        part = " ".join(text[text.index("Statistical methods") : text.index("Reproducibility}")].split())
        for words in (
            "quadrature",
            "split at the nominal value",
            "correlations between bins are neglected",
            "pre-fit unless they are called post-fit",
            "All significances are local",
            "uses no observed count",
            "estimates that fluctuate",
        ):
            assert words in part

    def test_reproducibility(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: command, versions, options with the seed, and whole digests."""
        text = source(example_result, tmp_path).replace(r"\allowbreak{}", "").replace("{}-", "-")
        assert "superbin run T1bbbb 1750 1 --search cms-pas-sus-16-014" in text
        assert "--seed 0" in text
        assert "numpy~2.0.0" in text
        assert "seed: 0" in text
        assert "search: " + "0" * 64 in text

    def test_cut_flow(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: acceptance and efficiency per cut, where they are known."""
        steps = {"generated": 1.0, "jets": 0.5, "in a bin": 0.2, "in the aggregate region": 0.0001}
        rows = table(source(example_result, tmp_path, cut_flow=steps), "tab:cutflow")
        assert rows == {
            "generated": ["$100$", "--"],
            "jets": ["$50.0$", "$50.0$"],
            "in a bin": ["$20.0$", "$40.0$"],
            "in the aggregate region": ["$0.0100$", "$0.0500$"],
        }

    def test_conventions(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2, PAPER-3: how uncertainties of bins combine is said, and what another way would give."""
        text = source(example_result, tmp_path)
        rows = table(text, "tab:conventions")
        assert "correlations between bins are neglected" in text
        assert rows["none"] == ["$12.3^{+4.4}_{-3.1}$", "$2.13$", "$0.32$"]
        assert rows["from the published likelihood"] == ["$12^{+5}_{-4}$", "$1.94$", "$0.28$"]
        _, second = example_result.conventions
        text = source(replace(example_result, conventions=(second,)), tmp_path)
        assert "tab:conventions" not in text
        assert "Correlations between bins are therefore kept" in text
        assert "neglected" not in text

    def test_figures(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: every figure of the result is included, or none."""
        text = source(example_result, tmp_path)
        names = re.findall(r"\\includegraphics\[[^]]*\]\{\.\./figures/([^}]*)\}", text)
        assert names == [
            "projection-njet.pdf",
            "projection-nb.pdf",
            "projection-mht.pdf",
            "projection-ht.pdf",
            "count-expected.pdf",
            "count-observed.pdf",
        ]
        assert "includegraphics" not in source(example_result, tmp_path, figures=False)
        assert "{figures/count-expected.pdf}" in source(example_result, tmp_path, figure_folder="figures")

    def test_one_of_each(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: the words agree with one bin and one event."""
        one = replace(
            example_result,
            bins=example_result.bins[:1],
            yields=replace(example_result.yields, observed=1),
            merge=replace(example_result.merge, cuts=("bin 68", "bin 68"), overlap=True),
        )
        text = source(one, tmp_path)
        assert "merges 1 bin, in which" in text
        assert "1 event is observed" in text
        assert "at least one of these selections, which overlap:" in text

    def test_references(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-6: every citation has an entry and the other way round; the search has its collaboration as author."""
        text = source(example_result, tmp_path)
        bib = (tmp_path / "references.bib").read_text(encoding="ascii")
        cited = {key for group in re.findall(r"\\cite\{([^}]*)\}", text) for key in group.split(",")}
        entries = set(re.findall(r"^@\w+\{(\w+),", bib, re.MULTILINE))
        plain = {
            "search",
            "superbin",
            "pyhf",
            "mplhep",
            "garwood",
            "asymptotic",
            "histfactory",
            "junk",
            "read",
        }
        assert cited == entries == plain | {"simplified"}
        assert "author = {{CMS Collaboration}}" in bib
        assert "note = {CMS-PAS-SUS-16-014 (2016), cds." in bib
        assert "year = {2016}" in bib
        assert example_result.search.title in bib
        assert bib.count("{") == bib.count("}")
        generated = "superbin signal generate, pythia8mc 8.3, fastjet 3.5; cross section: Borschensky et al."
        signal = replace(example_result.signal, source=generated)
        search = replace(example_result.search, source="the datacards of github.com/jbradmil/CARP")
        text = source(replace(example_result, signal=signal, search=search), tmp_path)
        for key in ("pythia", "fastjet", "crosssections", "carp"):
            assert rf"\cite{{{key}}}" in text


CLASS_PACKAGES = {
    "article": ["geometry", "amsmath", "booktabs", "graphicx", "longtable", "hyperref"],
    "revtex": ["amsmath", "booktabs", "graphicx", "longtable", "hyperref"],
    "jhep": ["geometry", "amsmath", "booktabs", "graphicx", "longtable", "hyperref"],
}


class TestClasses:
    @pytest.mark.parametrize("paper_class", list(CLASSES))
    def test_same_content(self, example_result: AnalysisResult, tmp_path: Path, paper_class: str) -> None:
        """PAPER-11, PAPER-7: every class has the same sections and tables, and packages of TeX Live alone."""
        plain = source(example_result, tmp_path / "a")
        text = source(example_result, tmp_path / "b", paper_class=paper_class)

        def body(of: str) -> str:
            return of[of.index(r"\section{Introduction}") : of.index(r"\bibliographystyle")]

        assert body(text) == body(plain)
        assert re.findall(r"\\usepackage(?:\[[^]]*\])?\{([^}]*)\}", text) == CLASS_PACKAGES[paper_class]
        assert re.findall(r"documentclass\[[^]]*\]\{([^}]*)\}", text) == [
            "revtex4-2" if paper_class == "revtex" else "article"
        ]
        title = "Reinterpretation of CMS-PAS-SUS-16-014 for pair production of gluinos"
        assert title in text[: text.index(r"\section{Introduction}")]

    def test_unknown(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-11: a class that does not exist is an error that lists those that do."""
        with pytest.raises(
            UnknownNameError, match="no paper class 'beamer'; choose one of article, revtex, jhep"
        ):
            render(example_result, tmp_path, paper_class="beamer")


class TestTemplates:
    def test_own_blocks(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-12: a template extends superbin's, replaces blocks, and includes files beside it; values are escaped."""
        (tmp_path / "more.tex.j2").write_text("Included: << search_name >>.")
        own = tmp_path / "own.tex.j2"
        own.write_text(
            '<% extends "result.tex.j2" %><% block discussion %>\\section{Outlook} << result.signal.model >>_x '
            '<% include "more.tex.j2" %><% endblock %>'
        )
        hostile = replace(example_result, signal=replace(example_result.signal, model="a_b"))
        text = source(hostile, tmp_path / "out", template=own, paper_class="jhep")
        assert r"\section{Outlook} a\_b_x Included: CMS-PAS-SUS-16-014." in text
        assert r"\section{Discussion}" not in text
        assert "Prepared for submission to JHEP" in text

    def test_whole_document(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-12: a template may be a whole document, with its own references."""
        own = tmp_path / "own.tex.j2"
        own.write_text("\\documentclass{article}<< result.expected.midp.z | z >>\\cite{pyhf,mine}")
        assert (
            source(example_result, tmp_path / "out", template=own)
            == "\\documentclass{article}$2.13$\\cite{pyhf,mine}"
        )
        assert (tmp_path / "out" / "references.bib").read_text().startswith("@article{pyhf,")

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ("one\n<% if %>", r"own\.tex\.j2:2: .*correct the template"),
            ("<< nothing >>", "'nothing' is undefined; correct the template"),
            ('<% extends "no.tex.j2" %>', r"uses the template 'no\.tex\.j2', .*result\.tex\.j2"),
            ("<< result.expected.midp.p >>", "it must say with which digits"),
            ("<< result.__class__.__mro__ >>", "correct the template"),
        ],
    )
    def test_errors(
        self, example_result: AnalysisResult, tmp_path: Path, content: str, complaint: str
    ) -> None:
        """PAPER-12: what is wrong with a template is one line with its place, and nothing is written."""
        own = tmp_path / "own.tex.j2"
        own.write_text(content)
        with pytest.raises(DocumentError, match=complaint) as caught:
            render(example_result, tmp_path / "out", template=own)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    def test_missing(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-12: a template that is not there is an error that names it."""
        with pytest.raises(DocumentError, match=r"cannot read the template .*none\.j2"):
            render(example_result, tmp_path / "out", template=tmp_path / "none.j2")


def make_scan(result: AnalysisResult) -> ScanResult:
    """Five gluino and neutralino masses, one of them failed; limits rise with the mass."""

    def point(mother: float, lsp: float, mu: float) -> ScanPoint:
        scale = result.yields.signal * mu
        limit = ScanLimit(scale, 0.5 * scale, 0.7 * scale, 0.9 * scale, 1.3 * scale, 1.8 * scale, "exact")
        full = ScanLimit(mu / 2, mu / 4, mu / 3, mu / 2, mu, 2 * mu, "converged")
        return ScanPoint(
            {"m_mother": mother, "m_lsp": lsp},
            "done",
            bins=(68, 78),
            cuts=("all",),
            merge_status="certified",
            yields=result.yields,
            expected=PValue(0.01, 2.3 / mu),
            observed=PValue(0.02, 2.0 - mu),
            limit=limit,
            likelihood_limit=full,
            cross_section_pb=0.01 / mu,
            cross_section_error=0.1,
        )

    points = (
        point(1000, 1, 0.2),
        point(1400, 200, 0.6),
        point(1800, 1, 1.4),
        point(1900, 600, 2.5),
        ScanPoint({"m_mother": 2000.0, "m_lsp": 1.0}, "failed", "made_up"),
    )
    options: dict[str, Any] = {"correlations": "none", "figure_of_merit": "midp", "level": 0.95}
    return ScanResult(
        result.search,
        "T1bbbb",
        ("m_mother", "m_lsp"),
        options,
        points,
        "0.1.0",
        cross_section_order="NLO+NLL",
    )


class TestScan:
    def test_content(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-13: what is excluded, the signals at the boundary, the largest excesses, and all signals."""
        text = " ".join(render(make_scan(example_result), tmp_path).read_text(encoding="ascii").split())
        assert (
            r"At 95\,\% confidence level 2 of these signals are excluded by their one region, where 2 are expected"
            in text
        )
        assert "likelihood of the search excludes 3 of 4" in text
        assert r"The heaviest excluded signal has $m_{\tilde{g}}$~$=$~1400~GeV" in text
        assert "The largest local significance is $1.80$, at T1bbbb(1000, 1)" in text
        assert "1 of the 5 signals could not be evaluated: T1bbbb(2000, 1)" in text
        assert "between 1.80 and 1.80 times that of the full likelihood" in text
        assert "superbin scan T1bbbb --search cms-pas-sus-16-014" in text.replace(
            r"\allowbreak{}", ""
        ).replace("{}-", "-")

    def test_tables(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-13, PAPER-3: a row for every finished signal; the nearest to exclusion come first in the short table."""
        text = render(make_scan(example_result), tmp_path).read_text(encoding="ascii")
        nearest = text[text.index("tab:nearest}") : text.index(r"\section{Exclusion}")]
        assert re.findall(r"^T1bbbb\((\d+),", nearest, re.MULTILINE) == ["1800", "1400", "1900", "1000"]
        rows = text[text.index("tab:points}") :]
        assert re.findall(r"^T1bbbb\((\d+),", rows, re.MULTILINE) == ["1000", "1400", "1800", "1900"]
        assert r"& $0.600$ & $0.540$\\" in rows

    def test_figures_and_labels(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-13: every figure of the scan that the paper shows is drawn by the scan, and referred to."""
        scan = make_scan(example_result)
        text = render(scan, tmp_path).read_text(encoding="ascii")
        names = re.findall(r"\\includegraphics\[[^]]*\]\{\.\./maps/([^}]*)\.pdf\}", text)
        assert set(names) <= set(scan_figures(scan))
        assert "exclusion-compared" in names
        labels = set(re.findall(r"\\label\{((?:tab|fig):[^}]*)\}", text)) - {"tab:points"}
        assert labels == {k for k in re.findall(r"\\ref\{([^}]*)\}", text) if not k.startswith("sec:")}
        assert "includegraphics" not in render(scan, tmp_path, figures=False).read_text()

    def test_nothing_finished(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-13: a scan of failed points has a paper that says so."""
        scan = make_scan(example_result)
        text = render(replace(scan, points=scan.points[-1:]), tmp_path).read_text(encoding="ascii")
        assert "1 of the 1 signals could not be evaluated" in text

    def test_anything_else(self, tmp_path: Path) -> None:
        """PAPER-13: a paper is of a result or a scan."""
        with pytest.raises(InputError, match="a paper is of a result or a scan, not of a str"):
            render("x", tmp_path)  # type: ignore[arg-type]


NASTY = "a&b%c_d#e$f{g}h~i^j\\k <>|\"`'[*] é中\n\\input{x} %"


def with_text(result: AnalysisResult, text: str) -> AnalysisResult:
    """The result with a text wherever a user or a document can put one."""

    def yields(item: Any) -> Any:
        return replace(item, processes=tuple(replace(p, name=text, label=text) for p in item.processes))

    return replace(
        result,
        search=replace(result.search, name=text, title=text, reference=text, source=text),
        signal=replace(
            result.signal, model=text, label=text, source=text, parameters={text: 1.0, "m": -2.5e-7}
        ),
        options={text: text, "seed": 0, "x": 0.5, "none": None},
        merge=replace(result.merge, cuts=(text, text), figure_of_merit=text, status=text, shape=text),
        yields=yields(result.yields),
        bins=tuple(
            replace(
                row,
                ranges=tuple(
                    replace(r, observable=text, label=text, unit=text, text=text) for r in row.ranges
                ),
            )
            for row in result.bins
        ),
        projections=tuple(
            replace(
                p,
                observable=text,
                label=text,
                unit=text,
                selection=text,
                note=text,
                columns=tuple(replace(c, text=text, group=text, yields=yields(c.yields)) for c in p.columns),
            )
            for p in result.projections
        ),
        expected=replace(result.expected, asimov=Asimov(1.0, text)),
        conventions=tuple(replace(c, correlations=text) for c in result.conventions),
        superbin=text,
    )


class TestSafety:
    def test_nothing_of_a_user_reaches_tex(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-4: a text full of TeX appears escaped everywhere, and never as it is."""
        plain = source(example_result, tmp_path)
        bib_plain = (tmp_path / "references.bib").read_text(encoding="ascii")
        text = source(with_text(example_result, NASTY), tmp_path)
        bib = (tmp_path / "references.bib").read_text(encoding="ascii")
        for before, after in ((plain, text), (bib_plain, bib)):
            assert r"\input{x}" not in after
            assert after.count("{") - after.count("}") == before.count("{") - before.count("}")
        # Rows of tables have the cells they had.
        for label in ("tab:expected", "tab:observed"):
            assert [len(cells) for cells in table(text, label).values()] == [
                len(c) for c in table(plain, label).values()
            ]
        assert len(re.findall(r"(?<!\\)&", text)) == len(re.findall(r"(?<!\\)&", plain))

    def test_templates_are_strict(self) -> None:
        """PAPER-1: a name that does not exist is an error, not an empty space."""
        template = _environment().from_string("<< nothing >>")
        with pytest.raises(jinja2.UndefinedError):
            template.render()

    def test_printing_escapes(self) -> None:
        """PAPER-4: text that a template prints is escaped unless it is TeX; numbers say their digits."""
        template = _environment().from_string("<< a >> << b >> << n >>")
        assert template.render(a="x_1", b=TeX("$x_1$"), n=3) == r"x\_1 $x_1$ 3"
        with pytest.raises(TypeError, match="it must say with which digits"):
            _printed(0.1)

    def test_unwritable_place(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-1: a place that cannot be written is an error that names it."""
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot write .*file/paper"):
            render(example_result, tmp_path / "file" / "paper")


def test_example_is_complete(example_result: AnalysisResult) -> None:
    """PAPER-3: the result these tests use has every method, so that no row goes untested."""
    expectations = {"asimov", "asimov_postfit", "expected_midp", "expected_p0", "expected_p0_postfit"}
    for panel, absent in ((example_result.expected, set()), (example_result.observed, expectations)):
        missing = {name for name in Significance.__dataclass_fields__ if getattr(panel, name) is None}
        assert missing == absent
