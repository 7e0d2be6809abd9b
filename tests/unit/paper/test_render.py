"""The sources of a paper: what they say, and that nothing in a result can spoil them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest

from superbin.errors import OutputError
from superbin.paper import render
from superbin.paper import render as render_paper
from superbin.paper.render import _environment, _printed
from superbin.paper.tex import TeX
from superbin.results import AnalysisResult, Asimov, PValue, Significance


def source(result: AnalysisResult, folder: Path, **options: Any) -> str:
    return render_paper(result, folder, **options).read_text(encoding="ascii")


def table(text: str, label: str) -> dict[str, list[str]]:
    """Rows of a table by their first cell."""
    start = text.index(rf"\label{{{label}}}")
    body = text[text.index(r"\midrule", start) : text.index(r"\bottomrule", start)]
    rows = [re.split(r"(?<!\\)&", row) for row in body.replace(r"\midrule", "").split(r"\\")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows if row[0].strip()}


class TestContent:
    def test_files(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-1: two files, in a folder that is made; written anew without a trace of the old."""
        path = render(example_result, tmp_path / "out" / "paper")
        assert path == tmp_path / "out" / "paper" / "paper.tex"
        assert render(example_result, tmp_path / "out" / "paper").read_bytes() == path.read_bytes()
        assert sorted(p.name for p in path.parent.iterdir()) == ["paper.tex", "references.bib"]

    def test_abstract_has_the_numbers(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2, PAPER-3: what was searched, expected and observed."""
        text = source(example_result, tmp_path)
        abstract = text[text.index(r"\begin{abstract}") : text.index(r"\end{abstract}")]
        for number in (
            "160 bins",
            "$12.9$~fb$^{-1}$",
            r"$\sqrt{s}=13$~TeV",
            "CMS-PAS-SUS-16-014",
            "T1bbbb(1750, 1)",
            "4 bins",
        ):
            assert number in abstract
        assert "$12.28^{+4.38}_{-3.07}$ background and\n$8.90$ signal events" in abstract
        assert "significance is $Z=$~$2.13$ (exact mid-p value at $n=s+b$, pre-fit)" in abstract
        assert (
            "14 events are observed, a local p-value for background alone of\n$0.376$ ($Z=$~$0.32$)"
            in abstract
        )
        assert "not a result of the collaboration" in abstract

    def test_parts(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: every part is there, and what a person has to write is marked."""
        text = source(example_result, tmp_path)
        sections = re.findall(r"\\section\*?\{([^}]*)\}", text)
        assert sections == [
            "The search and the signal",
            "The aggregate bin",
            "Expected sensitivity",
            "Observed result",
            "What is exact and what is approximate",
            "Provenance",
        ]
        assert r"\author{\todo{AUTHORS: to be filled in}}" in text
        assert text.count(r"\todo{") == 3
        assert r"(m\_gluino~=~$1750$, m\_lsp~=~$1$)" in text
        assert r"$0.00359$~pb" in text

    def test_cuts_and_bins(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: the aggregate as cuts and as a table of bins that adds up to the total."""
        text = source(example_result, tmp_path)
        assert r"\item 7--8 jets".replace("7--8", "7-8") not in text
        assert (
            r"\item 7--8 jets, \ensuremath{\geq} 2 b jets, HT \textgreater{} 1000 GeV, MHT 500--750 GeV"
            in text
        )
        start = text.index(r"\endhead")
        body = text[start : text.index(r"\end{longtable}")]
        rows = re.findall(
            r"^(\d+) & ([^&]*) & ([^&]*) & ([^&]*) & ([^&]*) & \$([\d.]+)\$ & \S+ & (\d+)\\\\$",
            body,
            re.MULTILINE,
        )
        assert [row[0] for row in rows] == ["68", "78", "108", "118"]
        assert rows[0][1:5] == ("7--8", r"\ensuremath{\geq} 3", "500--750", r"\textgreater{} 1000")
        assert sum(float(row[5]) for row in rows) == pytest.approx(example_result.yields.signal, abs=0.03)
        assert [int(row[6]) for row in rows] == [row.yields.observed for row in example_result.bins]
        assert r"$H_{\mathrm{T}}$ {[}GeV{]}" in text
        assert r"Aggregate bin} & $8.90$ & $12.28^{+4.38}_{-3.07}$ & 14" in body

    def test_yields(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2, PAPER-3: every process with statistical and systematic uncertainties, upwards and downwards."""
        rows = table(source(example_result, tmp_path), "tab:yields")
        assert rows["Lost lepton"] == ["$2.70$", "$^{+0.66}_{-0.49}$", "$^{+0.81}_{-0.68}$"]
        assert rows[r"$Z\to\nu\bar{\nu}$"][0] == "$6.63$"
        assert rows["Total background"][:2] == [
            "$12.28$",
            r"\multicolumn{2}{r}{$^{+4.38}_{-3.07}$ (combined)}",
        ]
        assert rows["Signal T1bbbb(1750, 1)"] == ["$8.90$", r"$\pm0.45$", "not included"]
        assert rows["Observed"][0] == "14"

    def test_significances(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2, PAPER-3: every method by its name; Asimov says what it was fitted to."""
        text = source(example_result, tmp_path)
        expected, observed = table(text, "tab:expected"), table(text, "tab:observed")
        assert expected["mid-p"][:2] == ["$0.0166$", "$2.13$"]
        assert expected["tail"][:2] == ["$0.0199$", "$2.06$"]
        assert expected["toys"][:2] == [r"$0.01663\pm0.00013$", "$2.13$"]
        assert r"$1\,000\,000$ pseudo-experiments, seed 0" in expected["toys"][2]
        assert expected["asymptotic"][:2] == ["$0.0169$", "$2.12$"]
        assert expected["Asimov, pre-fit"] == ["", "$2.14$", "expected median"]
        assert expected["Asimov, post-fit"] == ["", "$1.87$", "expected median"]
        assert expected["$p_0$"][:2] == ["$0.0158$", "$2.15$"]
        assert expected["mid-p median, pre-fit"] == ["", "$2.09$", r"68\,\%: $1.22$ to $2.91$"]
        assert expected["$p_0$ median, post-fit"][:2] == ["", "$1.88$"]
        assert expected["pyhf"][:2] == ["$0.0171$", "$2.12$"]
        assert "$1\\,000$ toys" in expected["pyhf, toys"][2]
        assert expected["pyhf, total"][:2] == ["$0.0168$", "$2.12$"]
        assert observed["mid-p"][:2] == ["$0.376$", "$0.32$"]
        shared = [name for name in list(expected)[:-1] if "Asimov" not in name and "median" not in name]
        assert shared == list(observed)[:-1]
        assert "=2.19$, pull" in list(expected)[-1]

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
        assert [name for name in rows if "multicolumn" not in name] == ["mid-p", "tail", "asymptotic"]

    def test_deficit(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-3: a deficit is said in words, where pyhf and the others differ."""
        assert "lie below the background" not in source(example_result, tmp_path)
        deficit = replace(example_result.observed, midp=PValue(0.9, -1.28))
        text = source(replace(example_result, observed=deficit), tmp_path)
        assert "$p=0.5$ for every deficit" in text
        assert table(text, "tab:observed")["mid-p"][:2] == ["$0.900$", "$-1.28$"]

    def test_no_finite_significance(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-3: a p-value of one has a dash for a significance."""
        certain = replace(example_result.observed, midp=PValue(1.0, None))
        rows = table(source(replace(example_result, observed=certain), tmp_path), "tab:observed")
        assert rows["mid-p"][:2] == ["$1.00$", "--"]

    def test_merge(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: what was maximised, whether it is proved, and the baseline."""
        text = source(example_result, tmp_path)
        assert "maximise the exact expected mid-p significance at $n=s+b$" in text
        assert r"reaches $2.13$ and is the best found" in text
        assert r"reaches" + "\n" + "$2.07$ with 3 bins" in text
        assert "this shape" not in text
        merge = replace(example_result.merge, status="certified", shape="rectangle", bound=2.14, gap=0.005)
        text = source(replace(example_result, merge=merge), tmp_path)
        assert "is certified: no set of bins that was allowed does better" in text
        assert "this shape were allowed: one range in each observable" in text
        assert "no allowed set reaches more than $2.14$" in text

    def test_exact_and_approximate(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: the reader learns what the numbers neglect."""
        text = source(example_result, tmp_path)
        part = text[text.index("What is exact") : text.index("Provenance")]
        for words in (
            "quadrature",
            "split log-normal",
            "correlations between bins are neglected",
            "signal are not included",
            "pre-fit",
            "local",
            "expectations only",
            "estimates that fluctuate",
        ):
            assert words in part

    def test_conventions(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2, PAPER-3: how uncertainties of bins combine is said, and what another way would give."""
        text = source(example_result, tmp_path)
        rows = table(text, "tab:conventions")
        assert "correlations between bins are neglected" in text
        assert rows["none"] == ["$12.28^{+4.38}_{-3.07}$", "$2.13$", "$0.32$"]
        assert rows["from the published likelihood"] == ["$12.28^{+4.90}_{-3.60}$", "$1.94$", "$0.28$"]
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

    def test_one_of_each(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-2: the words agree with one bin and one event."""
        one = replace(
            example_result,
            bins=example_result.bins[:1],
            yields=replace(example_result.yields, observed=1),
            merge=replace(example_result.merge, cuts=("bin 68", "bin 68")),
        )
        text = source(one, tmp_path)
        assert "It merges 1 bin, in which" in text
        assert "1 event is observed" in text
        assert "1 event was observed" in text
        assert "at least one of these selections" in text

    def test_references(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-6: every citation has an entry and the other way round; the search's own is as published."""
        text = source(example_result, tmp_path)
        bib = (tmp_path / "references.bib").read_text(encoding="ascii")
        cited = {key for group in re.findall(r"\\cite\{([^}]*)\}", text) for key in group.split(",")}
        entries = set(re.findall(r"^@\w+\{(\w+),", bib, re.MULTILINE))
        assert cited == entries == {"search", "pyhf", "mplhep", "garwood", "asymptotic", "histfactory"}
        assert "note = {CMS Collaboration, CMS-PAS-SUS-16-014 (2016), cds." in bib
        assert example_result.search.title in bib
        assert bib.count("{") == bib.count("}")

    def test_packages(self, example_result: AnalysisResult, tmp_path: Path) -> None:
        """PAPER-7: no package beyond a small TeX Live."""
        packages = re.findall(r"\\usepackage(?:\[[^]]*\])?\{([^}]*)\}", source(example_result, tmp_path))
        assert packages == ["geometry", "amsmath", "booktabs", "graphicx", "longtable", "hyperref"]


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
