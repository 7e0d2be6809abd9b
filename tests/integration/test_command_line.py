"""The command line as a user meets it: clauses CLI-1 to CLI-5."""

import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from superbin.catalog import open_catalog
from superbin.cli import main
from superbin.errors import DocumentError
from superbin.likelihood import PublishedLikelihood
from superbin.results import load_result
from superbin.stats import midp_significance


@cache
def packaged(search: str) -> PublishedLikelihood:
    with open_catalog("sqlite://") as catalog:
        return catalog.published_likelihood(search)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run with figures and the source of the paper."""
    folder = tmp_path_factory.mktemp("run") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERBIN_DATABASE", str(folder.with_name("db.sqlite")))
        assert (
            run(
                "run",
                "T1bbbb",
                "1750",
                "1",
                "-o",
                str(folder),
                "--toys",
                "10000",
                "--no-pdf",
                "--seconds",
                "0",
            )
            == 0
        )
    return folder


def test_run_writes_everything(output: Path) -> None:
    """CLI-1: `run` writes the result, the workspace, the figures and the paper, and no leftovers."""
    result = load_result(output / "result.json")
    assert result.signal.label == "T1bbbb(1750, 1)"
    assert json.loads((output / "workspace.json").read_text())["version"] == "1.0.0"
    names = {p.name for p in (output / "figures").iterdir()}
    stems = {
        "projection-njet",
        "projection-nb",
        "projection-ht",
        "projection-mht",
        "count-expected",
        "count-observed",
    }
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("pdf", "png")}
    assert (output / "paper" / "paper.tex").read_text(encoding="utf-8").startswith("%")
    assert not [p for p in output.parent.iterdir() if p.name.startswith(".out")]


def test_pyhf_reads_the_workspace(output: Path) -> None:
    """WS-1: with pyhf's own commands."""
    for verb in (["inspect"], ["cls"]):
        script = Path(sys.executable).with_name("pyhf")
        done = subprocess.run(
            [script, *verb, output / "workspace.json"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert done.stdout
    assert 0 < json.loads(done.stdout)["CLs_obs"] < 1


def test_the_aggregate_as_a_likelihood_of_its_own(output: Path) -> None:
    """WS-7: templates, control channels and nuisances, picked out of the published likelihood term by term."""
    import pyhf

    document = json.loads((output / "workspace-likelihood.json").read_text())
    pyhf.schema.validate(document, "workspace.json")
    merged = load_result(output / "result.json").yields
    published = packaged("cms-pas-sus-16-014").background()
    inside = [int(channel) for channel, n in enumerate(published.bins) if n + 1 in merged.bins]
    terms = np.flatnonzero(np.isin(published.term_channel, inside))
    entries = np.isin(published.entry_term, terms)
    names = [parameter.name for parameter in published.parameters]
    free = {int(j) for j in published.entry_parameter[entries] if published.parameters[int(j)].kind == "free"}
    measuring = published.entry_term[np.isin(published.entry_parameter, list(free))]
    channels = {channel["name"]: channel["samples"] for channel in document["channels"]}
    controls = {
        published.channels[int(c)] for c in published.term_channel[measuring] if published.bins[int(c)] < 0
    }
    assert channels.keys() == {"aggregate", *controls}
    aggregate = channels["aggregate"]
    used = {m["name"] for sample in aggregate for m in sample["modifiers"]}
    assert used == {"mu", *(names[int(j)] for j in published.entry_parameter[entries])}
    scaled = [s for s in aggregate if "mu" in {m["name"] for m in s["modifiers"]}]
    assert sum(s["data"][0] for s in scaled) == pytest.approx(merged.signal)
    background = sum(s["data"][0] for s in aggregate if s not in scaled)
    assert background == pytest.approx(float(published.rates[terms].sum()))
    seen = {o["name"]: o["data"] for o in document["observations"]}
    assert seen["aggregate"] == [merged.observed]


def test_existing_output_is_refused_and_kept(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-3, OUT-3: an existing output folder is refused and stays as it was."""
    before = sorted(p.name for p in output.iterdir())
    assert run("run", "T1bbbb", "1750", "1", "-o", str(output)) == 2
    assert "--force" in capsys.readouterr().err
    assert sorted(p.name for p in output.iterdir()) == before


def test_force_replaces(tmp_path: Path) -> None:
    """OUT-3: `--force` replaces what was in the output folder."""
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("")
    assert (
        run(
            "run",
            "T1bbbb",
            "1750",
            "1",
            "-o",
            str(target),
            "--toys",
            "0",
            "--no-figures",
            "--no-pdf",
            "--seconds",
            "0",
            "--force",
        )
        == 0
    )
    assert sorted(p.name for p in target.iterdir()) == [
        "paper",
        "report.html",
        "result.json",
        "workspace-likelihood.json",
        "workspace.json",
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run", "T1bbb", "1750", "1"], "T1bbbb"),
        (["run", "T1bbbb", "1700", "50", "--source", "table"], "T1bbbb(1750, 1)"),
        (["run", "T1bbbb", "nan", "1"], "nan"),
        (["run", "T1bbbb", "-5", "1", "--source", "table"], "T1bbbb(1750, 1)"),
        (["run", "T1bbbb"], "two are needed"),
        (["run", "T1bbbb", "heavy", "1"], "'heavy' is not a valid float"),
        (["run", "T1bbbb", "1750", "1", "--forse"], "No such option '--forse'"),
        (["run", "T1bbbb", "1750", "1", "--toys", "-1"], "-1 is not in the range"),
        (
            ["run", "T1bbbb", "1750", "1", "--correlations", "all"],
            "no correlations 'all'; it has likelihood, none",
        ),
        (["run", "T1bbbb", "1750", "1", "--search", "cms-sus"], "cms-pas-sus-16-014"),
        (["run", "T1bbbb", "1750", "1", "--database", "nonsense://x"], "nonsense"),
        (["pvalue", "40", "25", "5"], "Missing argument 'DOWN'"),
        (["pvalue", "40", "25", "5", "x"], "'x' is not a valid float"),
        (["pvalue", "-40", "25", "5", "5"], "n = -40 must not be negative"),
        (["pvalue", "nan", "25", "5", "5"], "n = nan must be finite"),
        (["pvalue", "inf", "25", "5", "5"], "n = inf must be finite"),
        (["pvalue", "1e30", "25", "5", "5"], "n = 1e+30 must not exceed"),
        (["pvalue", "40", "25", "5", "26"], "down = 26 exceeds b = 25"),
        (["pvalue", "40", "25", "-5", "5"], "up = -5 must not be negative"),
        (["pvalue", "40.5", "25", "5", "5", "--observed"], "whole numbers"),
        (["pvalue", "4", "0", "1", "0", "--workspace", "w.json"], "without background"),
        (["pvalue", "4", "2", "1", "1", "--toys", "10", "--figure", "missing/f.png"], "cannot write"),
        (["nonsense"], "nonsense"),
        (["run", "T1bbbb", "1750", "1", "--nonsense"], "nonsense"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """CLI-3, CLI-4: exit code 2, one line that starts alike, nothing written."""
    monkeypatch.chdir(tmp_path)
    extra = ["-o", "out"] if arguments[0] == "run" else []
    assert run(*arguments, *extra) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("superbin: error: ")]
    assert len(errors) == 1
    assert captured.err.splitlines()[-1] == errors[0]
    assert text in errors[0]
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_unwritable_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-3: an output folder below a file is refused."""
    (tmp_path / "file").write_text("")
    assert run("run", "T1bbbb", "1750", "1", "-o", str(tmp_path / "file" / "out")) == 2
    assert "cannot write" in capsys.readouterr().err


def test_debug_shows_the_traceback() -> None:
    """CLI-3: wherever it stands on the line."""
    for arguments in (
        ["--debug", "pvalue", "nan", "1", "1", "1"],
        ["pvalue", "nan", "1", "1", "1", "--debug"],
    ):
        with pytest.raises(ValueError, match="must be finite"):
            main(arguments)


def test_interruption(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CLI-3, OUT-2: nothing is left behind."""
    import superbin.analysis

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(superbin.analysis, "analyze", interrupted)
    assert run("run", "T1bbbb", "1750", "1", "-o", str(tmp_path / "out")) == 130
    assert "interrupted" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_failing_latex_does_not_cost_the_analysis(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CLI-1: the source is kept and the reason told."""
    import superbin.paper

    def broken(_: Path) -> None:
        raise DocumentError("paper.tex:3: File 'booktabs.sty' not found")

    monkeypatch.setattr(superbin.paper, "latex_available", lambda: True)
    monkeypatch.setattr(superbin.paper, "compile_pdf", broken)
    target = tmp_path / "out"
    assert (
        run("run", "T1bbbb", "1750", "1", "-o", str(target), "--toys", "0", "--no-figures", "--seconds", "0")
        == 0
    )
    assert "booktabs.sty" in capsys.readouterr().err
    assert sorted(p.name for p in (target / "paper").iterdir()) == ["paper.tex", "references.bib"]


def test_missing_latex_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CLI-1, CLI-46: without a LaTeX the paper is left as source; `--json` prints the result alone."""
    import superbin.paper

    monkeypatch.setattr(superbin.paper, "latex_available", lambda: False)
    target = tmp_path / "out"
    assert (
        run(
            "run",
            "T1bbbb",
            "1750",
            "1",
            "-o",
            str(target),
            "--toys",
            "0",
            "--no-figures",
            "--seconds",
            "0",
            "--json",
        )
        == 0
    )
    printed = capsys.readouterr()
    assert "install pdflatex" in printed.err
    assert printed.out == (target / "result.json").read_text("utf-8")
    assert (target / "paper" / "paper.tex").exists()


def test_pvalue_table(capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-2, STAT-25: the reference numbers of an independent prototype, in a table with times."""
    assert run("pvalue", "40", "25", "5", "5", "--toys", "100000", "--pyhf") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines[3:12]}
    assert set(rows) == {"midp", "tail", "p0", "toys", "weighted", "q0_toys", "asymptotic", "asimov", "pyhf"}
    assert float(rows["midp"][1]) == pytest.approx(0.027115, abs=1e-6)
    assert rows["midp"][2] == "1.925"
    assert rows["tail"][2] == "1.872"
    assert rows["pyhf"][2] == rows["asymptotic"][2] == "1.918"
    assert rows["asimov"][2] == "1.918"
    assert all(row[4] == "ms" for row in rows.values())
    assert any("uncertainty changes Z by" in line for line in lines)


def test_pvalue_other_uncertainties(capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-2, STAT-3, STAT-25: chosen models only; the on/off number of Cousins, Linnemann and Tucker's table 1 (140 on, 83.33 +- 8.33)."""
    arguments = ("pvalue", "140", "83.3333", "8.3333", "8.3333", "--toys", "0", "--json")
    assert run(*arguments, "--uncertainty", "gamma", "--uncertainty", "none") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["models"]) == ["gamma", "none"]
    assert document["models"]["gamma"]["tail_z"] == pytest.approx(3.93, abs=0.01)
    assert document["models_spread"] == pytest.approx(
        document["midp"]["z"] - document["models"]["gamma"]["midp_z"]
    )
    assert run("pvalue", "3", "0", "1", "0", "--toys", "1000", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["models"]["gamma"] is None
    assert document["pyhf"] is None


def test_pvalue_by_pyhf_toys(capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-2, STAT-25: only on request; the same question as our q0 toys."""
    assert run("pvalue", "4", "3", "1", "0.8", "--toys", "50000", "--pyhf-toys", "60", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    ours, theirs = document["q0_toys"], document["pyhf_toys"]
    assert theirs["n"] == 60
    assert abs(ours["p"] - theirs["p"]) < 4 * math.hypot(ours["p_err"], theirs["p_err"])


def test_pvalue_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-2: `pvalue --json` prints p-values, toys and times, and `--workspace` writes the count."""
    target = tmp_path / "w.json"
    arguments = ("pvalue", "12", "4", "2", "1", "--observed", "--json", "--toys", "1000", "--pyhf")
    assert run(*arguments, "--workspace", str(target)) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["observed"] is True
    assert document["background"] == {"nominal": 4.0, "up": 2.0, "down": 1.0}
    assert 0 < document["midp"]["p"] < document["tail"]["p"] < 1
    assert document["asimov"] is None
    assert document["toys"]["n"] == 1000
    assert document["seconds"].keys() == {
        "midp", "tail", "p0", "asymptotic", "toys", "weighted", "q0_toys", "pyhf",
    }  # fmt: skip
    assert json.loads(target.read_text())["observations"][0]["data"] == [12.0]


def test_pvalue_expected_bands(capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-2: quantiles of the count with the signal, found by adding up a brute-force distribution."""
    assert run("pvalue", "10", "2", "1", "0.6", "--toys", "0", "--json") == 0
    bands = json.loads(capsys.readouterr().out)["expected_z"]
    assert bands["fit"] == "prefit"
    step, cumulative, counts = 1e-2, 0.0, []
    z = [(k + 0.5) * step for k in range(-700, 700)]
    means = [8 + (2 * 1.5**x if x >= 0 else 2 * 0.7**-x) for x in z]
    weights = [math.exp(-0.5 * x * x) * step / math.sqrt(2 * math.pi) for x in z]
    levels = [0.0227501, 0.1586553, 0.5, 0.8413447, 0.9772499]
    for n in range(60):
        log_n = math.lgamma(n + 1)
        cumulative += sum(
            w * math.exp(n * math.log(m) - m - log_n) for w, m in zip(weights, means, strict=True)
        )
        while levels and cumulative >= levels[0]:
            counts.append(n)
            levels.pop(0)
    assert list(bands["quantiles"].values()) == pytest.approx(
        [midp_significance(n, 2.0, 1.0, 0.6) for n in counts], abs=1e-12
    )
    assert run("pvalue", "10", "2", "1", "0.6", "--toys", "0", "--observed", "--json") == 0
    assert json.loads(capsys.readouterr().out)["expected_z"] is None


def test_pvalue_figure(tmp_path: Path) -> None:
    """CLI-2: `pvalue --figure` writes a PNG file."""
    assert run("pvalue", "12", "4", "2", "1", "--toys", "0", "--figure", str(tmp_path / "n.png")) == 0
    assert (tmp_path / "n.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "arguments", [["-h"], ["run", "-h"], ["pvalue", "--help"], ["db", "-h"], ["--version"]]
)
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-5: help and version print and exit with code 0."""
    assert run(*arguments) == 0
    assert "superbin" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    """CLI-5: `--help` imports no heavy package."""
    code = (
        "import sys, superbin.cli\n"
        "try: superbin.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'matplotlib', 'pyhf', 'sqlalchemy', 'jinja2', 'uproot'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
