"""The command ``superbin likelihood``, on cards of its own and on a few merged bins of the packaged likelihood."""

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner
from scipy.optimize import minimize_scalar

from superbin.cli.likelihood import likelihood

GLOBAL = ["--systematics", "global"]
SIGNAL = ["T1bbbb", "1750", "1", "--bins", "29,30,70"]


def run(*arguments: str, code: int = 0) -> str:
    """Standard output of one call."""
    result = CliRunner().invoke(likelihood, list(arguments), catch_exceptions=True)
    assert result.exit_code == code, result.output + str(result.exception)
    return result.stdout


def test_lint_counts_and_places(tmp_path: Path) -> None:
    """LIK-27: `lint` counts the findings and gives the file and line of each."""
    card = tmp_path / "card.txt"
    card.write_text(
        "bin a\nobservation 3\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL oops\nk lnN - 1.0\n"
    )
    document = json.loads(run("lint", str(tmp_path), "--json"))
    assert document["counts"] == {"inert-entry": 1, "leaked-placeholder": 1}
    assert (document["cards"], document["channels"], document["terms"], document["nuisances"]) == (1, 1, 2, 1)
    assert document["findings"][0]["line"] == 6
    assert f"{card}:6: leaked-placeholder" in run("lint", str(card))


def test_fit_has_what_is_promised() -> None:
    """LIK-27: the keys, consistent with one another."""
    document = json.loads(
        run("fit", *SIGNAL, *GLOBAL, "--json", "--toys", "4", "--seed", "1", "--pulls", "2")
    )
    assert document["status"] == "converged"
    assert document["z0_observed"] ** 2 == pytest.approx(2 * (document["nll_mu0"] - document["nll_free"]))
    assert set(document["z0_expected"]) == {"prefit", "postfit"}
    bands = document["limit"]["bands"]
    assert list(bands.values()) == sorted(bands.values())
    assert bands["0"] == document["limit"]["expected"]
    assert document["options"] == {
        "systematics": "global",
        "zero_count": "profiled",
        "interpolation": "combine",
    }
    assert document["toys"]["toys"] + document["toys"]["failed"] == 4
    assert len(document["pulls"]) == 2
    for key in ("mu_hat", "mu_err", "seconds"):
        assert document[key] > 0
    text = run("fit", *SIGNAL, *GLOBAL)
    assert "systematics global, zero_count profiled, interpolation combine" in text
    assert f"mu = {document['mu_hat']:.4g} +- {document['mu_err']:.4g}" in text
    assert not document["mu_undetermined"]


def test_a_strength_that_is_not_determined_says_so() -> None:
    """LIK-27, LIK-16: a flat nuisance of the signal takes the place of mu in one aggregate; the interval is what is known."""
    document = json.loads(run("fit", *SIGNAL, "--json"))
    assert document["mu_undetermined"]
    assert document["mu_err"] is None
    low, high = document["mu_interval"]
    assert low <= document["mu_hat"] <= high
    assert "mu is not determined within its interval" in run("fit", *SIGNAL)


CARD = """\
bin b1
observation 6
bin b1 b1 b1
process g q b
process -1 0 1
rate 2 3 5.5
bkg lnN - - 1.2 of the background
"""


def test_cards_are_fitted_as_they_are_written(tmp_path: Path) -> None:
    """LIK-30, LIK-27: mu hat 0.1 and limit 1.33544, from an independent minimisation; what is doubtful is printed."""
    path = tmp_path / "card.txt"
    path.write_text(CARD, encoding="utf-8")
    document = json.loads(run("limit", str(path), "--json"))
    assert document["observed"] == pytest.approx(1.33544, abs=2e-5)
    assert document["search"] is None
    assert document["notes"][0].startswith("ignored-words: 1, first at ")
    assert json.loads(run("fit", str(path), "--json"))["mu_hat"] == pytest.approx(0.1, abs=1e-6)
    assert json.loads(run("limit", str(tmp_path), "--json"))["observed"] == document["observed"]
    in_fb = run("limit", str(path), "--cross-section", "0.001")
    assert f"observed {document['observed']:.4g}, expected {document['expected']:.4g}" in in_fb
    run("export", str(path), "-o", str(tmp_path / "out"))
    assert json.loads((tmp_path / "out" / "workspace.json").read_text(encoding="utf-8"))["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["nowhere.txt"],
            "'nowhere.txt' is not a search with a likelihood, card, folder or workspace, and as a model it needs",
        ),
        (
            ["card.txt", "--systematics", "none"],
            "it is read as a card or workspace, which is taken as written",
        ),
        (["card.txt", "1750", "1"], "leave out '1750 1'"),
        (["card.txt", "--patch", "p.json"], "is not a workspace; leave out --patch"),
        (["cms-pas-sus-16-014"], "is a search; name a signal with its parameters"),
        (["cms-pas-sus-16-014", "T1bbbb", "high", "1"], "they must be numbers"),
        (["T1bbbb", "1750", "1", "--mass", "120"], "leave out --mass"),
    ],
)
def test_what_cannot_be_opened_is_refused(
    arguments: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LIK-27, LIK-26: an unknown source, or an argument that does not fit it, is refused."""
    monkeypatch.chdir(tmp_path)
    Path("card.txt").write_text(CARD, encoding="utf-8")
    result = CliRunner().invoke(likelihood, ["limit", *arguments])
    assert result.exit_code != 0
    assert text in f"{result.output}{result.exception}"


def test_limit_follows_its_options() -> None:
    """LIK-27, LIK-6: a weaker level gives a lower limit, and so does a signal without uncertainty."""
    document = json.loads(run("limit", *SIGNAL, "--json"))
    lower = json.loads(run("limit", *SIGNAL, "--json", "--level", "0.9"))
    certain = json.loads(run("limit", *SIGNAL, "--json", "--systematics", "none"))
    assert lower["observed"] < document["observed"]
    assert certain["observed"] < document["observed"]
    sigma = document["cross_section_pb"]
    assert document["observed_cross_section_pb"] == pytest.approx(sigma * document["observed"])
    assert "cross section in fb" in run("limit", *SIGNAL)


@pytest.mark.parametrize("scope", ["control", "variations"])
def test_covariance_of_chosen_bins(scope: str, tmp_path: Path) -> None:
    """LIK-27, LIK-22: `covariance` covers the chosen bins; that of variations sums to the squared total."""
    out = tmp_path / "c.json"
    run("covariance", "--scope", scope, "--bins", "29,30,70", "-o", str(out))
    document = json.loads(out.read_text())
    assert document["bins"] == [29, 30, 70]
    assert len(document["expected"]) == 3
    if scope == "variations":
        total = sum(map(sum, document["covariance_up"]))
        assert document["total"]["up"] ** 2 == pytest.approx(total)
    else:
        assert [len(row) for row in document["covariance"]] == [3, 3, 3]


def test_export_writes_documents_and_says_what_is_lost(tmp_path: Path) -> None:
    """LIK-27, LIK-25: `export` writes its four documents and prints what is lost."""
    text = run("export", *SIGNAL, "-o", str(tmp_path / "out"))
    assert "code4: factors differ from combine by at most" in text
    assert "METResolutionSys: no native form" in text
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"background.json", "patchset.json", "workspace.json", "report.json"}
    patches = json.loads((tmp_path / "out" / "patchset.json").read_text())
    assert patches["patches"][0]["metadata"] == {"name": "T1bbbb_1750_1", "values": [1750.0, 1.0]}


@pytest.mark.parametrize("bins", ["0", "161", "a", "1,,2"])
def test_impossible_bins_are_refused(bins: str) -> None:
    """LIK-26: an error of ours, which the command line prints as one line."""
    result = CliRunner().invoke(likelihood, ["fit", "T1bbbb", "1750", "1", "--bins", bins])
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "InputError"


COUNTING = """imax 1
jmax 1
kmax 1
bin {name}
observation 6
bin {name} {name}
process s b
process 0 1
rate 2 5.5
k lnN - 1.2
"""


def test_covariance_of_any_source(tmp_path: Path) -> None:
    """LIK-64: of a card, from a file or standard input; the variance is that of the constraint at the fit of nothing else."""
    card = tmp_path / "card.txt"
    card.write_text(COUNTING.format(name="a"))
    runs = [
        CliRunner().invoke(likelihood, ["covariance", str(card)]),
        CliRunner().invoke(likelihood, ["covariance", "-"], input=card.read_text()),
    ]
    for one in runs:
        assert one.exit_code == 0, one.output + repr(one.exception)
        document = json.loads(one.stdout)
        assert document["bins"] == ["a"]
        assert document["expected"] == [5.5]
        assert document["covariance"][0][0] == pytest.approx((5.5 * math.log(1.2)) ** 2)
    bad = CliRunner().invoke(likelihood, ["covariance", str(card), "--scope", "variations"])
    assert "belongs to a search without SIGNAL" in str(bad.exception)


def test_covariance_after_a_fit_of_everything(tmp_path: Path) -> None:
    """LIK-64: with data in the fit the variance of one bin is that of the product of constraint and Poisson, by numerical derivatives."""
    card = tmp_path / "card.txt"
    card.write_text(COUNTING.format(name="a"))
    document = json.loads(run("covariance", str(card), "--scope", "background"))

    def nll(theta: float) -> float:
        events = 5.5 * 1.2**theta
        return float(events - 6 * math.log(events) + theta**2 / 2)

    best = minimize_scalar(nll, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10}).x
    step = 1e-3
    curvature = (nll(best + step) - 2 * nll(best) + nll(best - step)) / step**2
    slope = 5.5 * 1.2**best * math.log(1.2)
    assert document["expected"][0] == pytest.approx(5.5 * 1.2**best, rel=1e-6)
    assert document["covariance"][0][0] == pytest.approx(slope**2 / curvature, rel=1e-5)


def test_combinations_print_json_alone(tmp_path: Path) -> None:
    """LIK-65: two cards, their shared nuisance, and each output; messages go to standard error with --json."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(COUNTING.format(name=name))
    labels = [f"{name}={tmp_path / name}.txt" for name in ("a", "b")]
    limits = {}
    for options in ([], ["--separate"]):
        document = json.loads(run("combine", *labels, "--json", *options))
        assert document["shared"] == ({} if options else {"k": ["a", "b"]})
        assert document["parameters"] == (2 if options else 1)
        limits[bool(options)] = document["limit"]["expected"]
    assert limits[False] != limits[True]
    for form in ("pyhf", "hs3", "card"):
        out = tmp_path / form
        result = CliRunner().invoke(likelihood, ["combine", *labels, "--json", "--to", form, "-o", str(out)])
        assert json.loads(result.stdout)["limit"]["expected"] == limits[False]
        assert out.exists()
        assert "written to" in result.stderr
    whole = json.loads(run("limit", str(tmp_path / "pyhf" / "workspace.json"), "--json"))
    assert whole["expected"] == pytest.approx(limits[False], rel=1e-3)  # another interpolation of lnN 1.2


def test_keyword_values_are_words_and_values(tmp_path: Path) -> None:
    """LIK-66: --keyword-value fills shapes lines; what is no WORD=VALUE, or is given with a workspace, is refused."""
    card = tmp_path / "card.txt"
    card.write_text(COUNTING.format(name="a").replace("bin a\nobs", "shapes * * $KIND\nbin a\nobs", 1))
    good = CliRunner().invoke(likelihood, ["limit", str(card), "--keyword-value", "KIND=FAKE", "--json"])
    assert good.exit_code == 0, good.output + repr(good.exception)
    assert json.loads(good.stdout)["observed"] == pytest.approx(3.339, rel=1e-3)
    for text in ("KIND", "=FAKE", "KIND="):
        bad = CliRunner().invoke(likelihood, ["limit", str(card), "--keyword-value", text])
        assert "write WORD=VALUE, each word once" in str(bad.exception)
    search = CliRunner().invoke(likelihood, ["limit", "T1bbbb", "1750", "1", "--keyword-value", "A=1"])
    assert "leave out --keyword-value" in str(search.exception)
    outside = CliRunner().invoke(likelihood, ["limit", "T1bbbb", "1750", "1", "--outside"])
    assert "leave out --outside" in str(outside.exception)


def test_lint_reads_standard_input_and_workspaces(tmp_path: Path) -> None:
    """CARD-16: a card on standard input is named stdin, also in errors; a workspace is checked against its schema."""
    card = COUNTING.format(name="a") + "k lnN - 1.1\n"
    result = CliRunner().invoke(likelihood, ["lint", "-"], input=card.replace("kmax 1", "kmax *"))
    assert result.stdout.startswith("stdin:11: acts-twice: ")
    broken = CliRunner().invoke(likelihood, ["lint", "-"], input="bin a\nobservation 1\n")
    assert str(broken.exception).startswith("stdin: the card ends before its rate line")
    bad = tmp_path / "bad.json"
    bad.write_text('{"channels": []}')
    assert "bad.json" in str(CliRunner().invoke(likelihood, ["lint", str(bad)]).exception)
