"""``superbin limit``, and the verdict of ``superbin pvalue``."""

import json

import pytest

from superbin.cli import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert isinstance(error.value.code, int)
    return error.value.code


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """STAT-17, STAT-24: the textbook limit of an empty bin; observed, median and bands of every method."""
    assert run("limit", "0", "3", "1", "1", "--pyhf") == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in out.splitlines()[3:7]}
    assert set(rows) == {"cls", "bayes", "lhc", "asymptotic"}
    assert rows["cls"][1] == rows["bayes"][1] == rows["lhc"][1] == "2.9957"
    bands = [float(value) for value in rows["cls"][2:7]]
    assert bands == sorted(bands)
    assert out.splitlines()[7].split()[0] == "pyhf"
    assert float(out.splitlines()[7].split()[1]) == pytest.approx(float(rows["asymptotic"][1]), rel=0.01)
    models = [line.split()[0] for line in out.splitlines() if len(line.split()) == 5]
    assert models == ["uncertainty", "lognormal", "gaussian", "gamma", "none"]
    assert "changes the observed exact limit by" in out
    assert "pre-fit" in out
    assert "verdict: observed limits differ by" in out
    assert "expected medians differ by" in out
    assert "out of their domain" in out


def test_document(capsys: pytest.CaptureFixture[str]) -> None:
    """STAT-24: everything for machines; a Bayesian limit above CLs by exp(ln(1.2)^2) with 20 % on the signal."""
    arguments = ("limit", "8", "6", "1", "1", "--signal-uncertainty", "0.2", "--level", "0.9", "--pyhf")
    assert run(*arguments, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["observed"] == 8
    assert document["level"] == 0.9
    assert document["background"] == {"nominal": 6.0, "up": 1.0, "down": 1.0}
    cls, bayes = (document["limits"][name] for name in ("cls", "bayes"))
    assert bayes["observed"] / cls["observed"] == pytest.approx(1.0337996, rel=1e-6)
    assert cls["expected"]["fit"] == "prefit"
    assert cls["expected"]["low1"] < cls["expected"]["median"] < cls["expected"]["high1"]
    assert document["limits"]["pyhf"]["expected"]["fit"] == "postfit"
    assert document["limits"]["pyhf"]["observed"] == pytest.approx(
        document["limits"]["asymptotic"]["observed"], rel=0.01
    )
    assert document["models"].keys() == {"lognormal", "gaussian", "gamma", "none"}
    assert document["pyhf_toys"] is None
    assert document["spread"] >= 0
    assert "expected medians differ by" in document["verdict"]
    lhc = document["limits"]["lhc"]["expected"]
    assert lhc["low1"] < lhc["median"] < lhc["high1"]
    assert document["missing"] == {}


def test_without_background(capsys: pytest.CaptureFixture[str]) -> None:
    """STAT-24: pyhf and the relative models do not apply, which is said; the rest is printed."""
    assert (
        run("limit", "2", "0", "0.5", "0", "--pyhf", "--uncertainty", "gamma", "--uncertainty", "gaussian")
        == 0
    )
    out = capsys.readouterr().out
    assert "pyhf: " in out
    assert next(line for line in out.splitlines() if line.startswith("gamma")).split()[1:] == ["-"] * 4


def test_toys_of_pyhf(capsys: pytest.CaptureFixture[str]) -> None:
    """STAT-24: CLs at the exact limit."""
    arguments = ("limit", "4", "3", "0.6", "0.5", "--uncertainty", "none", "--pyhf-toys", "60")
    assert run(*arguments, "--json") == 0
    toys = json.loads(capsys.readouterr().out)["pyhf_toys"]
    assert abs(toys["cls"] - 0.05) < 4 * toys["cls_err"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["3.5", "1", "0", "0"], "n = 3.5 is not an observed count"),
        (["-1", "1", "0", "0"], "n = -1 must not be negative"),
        (["nan", "1", "0", "0"], "n = nan must be finite"),
        (["3", "1", "0", "2"], "down = 2 exceeds b = 1"),
        (["3", "1", "0", "0", "--level", "95"], "level = 95.0 is outside the domain of limits"),
        (["3", "1", "0", "0", "--signal-uncertainty", "-1"], "signal_uncertainty = -1 must not be negative"),
        (["3", "1", "0"], "Missing argument 'DOWN'"),
    ],
)
def test_bad_input(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-3, STAT-24: one line, exit code 2."""
    assert run("limit", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err
    assert captured.err.count("\n") == 1


def test_verdict_of_p_values(capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-2, STAT-23: in words and in the document."""
    assert run("pvalue", "40", "25", "5", "5", "--toys", "0") == 0
    assert "verdict: the methods agree within 0.05 in Z" in capsys.readouterr().out
    assert run("pvalue", "4", "0.6", "0.5", "0.3", "--pyhf", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    z = [document[name]["z"] for name in ("midp", "tail", "asymptotic", "pyhf")]
    assert document["spread"] == pytest.approx(max(z) - min(z))
    assert "differ by 0.1" in document["verdict"]
    assert "out of their domain" in document["verdict"]
