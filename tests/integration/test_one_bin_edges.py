"""``superbin pvalue`` and ``superbin limit`` on a grid of extreme numbers: an answer or one line why not, never NaN."""

import itertools
import json
import math
from typing import Any

import pytest

from superbin.cli import main

COUNTS = (0, 1, 0.5, 1e3, 1e6, 1e9, 1e15)
BACKGROUNDS = (0, 1e-17, 1e-8, 0.3, 25, 1e6, 1e13, 1e15)
UNCERTAINTIES = ((0.1, 0.1), (10, 0.1), (0.01, 1), (1e-4, 1e-4), (0, 0))
"""Relative to b, upwards and downwards; 0 to 10, 1:100 and 100:1."""

LEVELS = (0.95, 1e-3, 1 - 1e-12)
OUTSIDE = (1e-12, 1e-300, 1 - 1e-15)
SIGNAL_UNCERTAINTIES = (0.0, 0.2, 5.0)


def thinned(step: int, *axes: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Every so many points of a grid, so that the test stays short; `step` shares no factor with the axes."""
    return list(itertools.product(*axes))[::step]


def numbers(document: Any) -> list[float]:
    if isinstance(document, dict):
        return [x for value in document.values() for x in numbers(value)]
    if isinstance(document, list):
        return [x for value in document for x in numbers(value)]
    return [document] if isinstance(document, float) else []


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    """Standard output, and the one line of an error."""
    with pytest.raises(SystemExit) as error:
        main([f"{a:.17g}" if isinstance(a, float) else str(a) for a in arguments])
    captured = capsys.readouterr()
    assert error.value.code in (0, 2), captured.err
    assert "internal error" not in captured.err
    assert "Warning" not in captured.err
    assert captured.err.count("\n") == (error.value.code != 0)
    assert bool(captured.out) == (error.value.code == 0)
    return captured.out, captured.err


def yields(b: float, relative: tuple[float, float]) -> tuple[float, float, float]:
    return b, min(relative[0] * b, 1e15) if b else relative[0], relative[1] * b


def finite(text: str) -> None:
    words = text.replace(":", " ").replace(",", " ").split()
    assert not {"nan", "inf", "-inf", "+inf"} & {word.lower() for word in words}


@pytest.mark.parametrize(("n", "b", "relative"), thinned(19, COUNTS, BACKGROUNDS, UNCERTAINTIES))
def test_p_values(
    n: float, b: float, relative: tuple[float, float], capsys: pytest.CaptureFixture[str]
) -> None:
    """STAT-26: document and table."""
    arguments = ("pvalue", n, *yields(b, relative), "--toys", "2000")
    out, error = answer(capsys, *arguments, "--json")
    assert out, error
    document = json.loads(out)
    assert all(map(math.isfinite, numbers(document)))
    for name in ("midp", "tail", "p0", "asymptotic", "weighted", "q0_toys", "toys", "pyhf"):
        assert document[name] is None or 0 <= document[name]["p"] <= 1
    if document["pyhf"] is None:
        assert document["missing"]["pyhf"]
    for name, one in document["models"].items():
        assert one is not None or document["missing"][name]
    finite(answer(capsys, *arguments)[0])


@pytest.mark.parametrize(
    ("n", "b", "relative", "level", "x"),
    thinned(
        211, (0, 1, 1000, 10**6, 10**9, 10**15), BACKGROUNDS, UNCERTAINTIES, LEVELS, SIGNAL_UNCERTAINTIES
    ),
)
def test_limits(
    n: int,
    b: float,
    relative: tuple[float, float],
    level: float,
    x: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """STAT-26: document and table; every number of the domain has an answer."""
    arguments = ("limit", n, *yields(b, relative), "--level", repr(level), "--signal-uncertainty", x)
    out, error = answer(capsys, *arguments, "--json")
    assert not error
    document = json.loads(out)
    found = numbers(document)
    assert all(map(math.isfinite, found))
    for name in ("cls", "bayes", "asymptotic"):
        one = document["limits"][name]
        assert one["observed"] > 0 or b > 1e10  # no finer than the spacing of float64 at b
        bands = [one["expected"][band] for band in ("low2", "low1", "median", "high1", "high2")]
        # a downward uncertainty of a hundred upward ones: limits of counts below the background exceed those above (STAT-17);
        # limits are no finer than the spacing of float64 at b
        ordered = all(low <= high + math.ulp(b) for low, high in itertools.pairwise(bands))
        assert ordered or relative[1] > 10 * relative[0]
    for name in ("lhc", "pyhf"):
        assert document["limits"][name] is not None or document["missing"][name]
    for name, one in document["models"].items():
        assert one is not None or document["missing"][name]
    if x == 0:
        finite(answer(capsys, *arguments, "--uncertainty", "none")[0])


@pytest.mark.parametrize("level", OUTSIDE)
def test_level_outside_its_domain(level: float, capsys: pytest.CaptureFixture[str]) -> None:
    """STAT-17: refused, with the domain."""
    out, error = answer(capsys, "limit", 40, 25, 5, 5, "--level", repr(level))
    assert not out
    assert "0.001 to 1 - 1e-12" in error
