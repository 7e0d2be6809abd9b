"""Simplified likelihoods, against moments in closed form, a Gaussian-constrained count by brute force, and full likelihoods."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.optimize import minimize_scalar

from superbin.cli.likelihood import likelihood as command
from superbin.errors import InputError
from superbin.likelihood import Likelihood, PublishedLikelihood
from superbin.likelihood.counting import CountingLikelihood
from superbin.likelihood.simplified import Simplified, simplify
from superbin.statistical_model import Channel, LogNormal, Normal, Parameter, Rate, Sample, StatisticalModel


def lognormal(kappa: float) -> Likelihood:
    """Two bins whose background has one log-normal uncertainty."""
    channels = tuple(
        Channel(
            name,
            np.array([n]),
            (
                Sample("s", np.array([3.0]), (Rate("mu"),)),
                Sample("b", np.array([b]), (LogNormal("k", 1 / kappa, kappa, "code1"),)),
            ),
        )
        for name, n, b in (("x", 22.0, 20.0), ("y", 11.0, 12.0))
    )
    return Likelihood(
        StatisticalModel(
            channels, (Parameter("mu", 1.0, 0.0, 10.0), Parameter("k", 0.0, -5.0, 5.0, Normal())), ("mu",)
        )
    )


def test_moments_of_a_log_normal() -> None:
    """LIK-59: mean, variance and third moment of b kappa^z, bins fully correlated."""
    kappa = 1.25
    found = simplify(lognormal(kappa), draws=20000, seed=1)
    s = math.log(kappa) ** 2
    mean, variance = 20 * math.exp(s / 2), 400 * math.exp(s) * math.expm1(s)
    third = (math.exp(s) + 2) * math.sqrt(math.expm1(s)) * variance**1.5
    assert found.background[0] == pytest.approx(mean, rel=0.01)
    assert found.covariance[0, 0] == pytest.approx(variance, rel=0.05)
    assert found.third_moment[0] == pytest.approx(third, rel=0.25)
    assert found.covariance[0, 1] ** 2 == pytest.approx(
        found.covariance[0, 0] * found.covariance[1, 1], rel=1e-9
    )


def test_limits_come_near_those_of_the_full_likelihood(two_bins: PublishedLikelihood) -> None:
    """LIK-59: a log-normal background, and the two bins with their control region."""
    engine = lognormal(1.2)
    observed, expected = simplify(engine, seed=1).limit(np.array([3.0, 3.0]))
    full = engine.limit()
    assert observed == pytest.approx(full.observed, rel=0.03)
    assert expected == pytest.approx(full.expected, rel=0.03)
    sparse = CountingLikelihood(two_bins.model([2.0, 3.0], systematics="none"))
    one = simplify(sparse, draws=3000)
    assert one.bins == ("one", "two")
    assert one.limit(np.array([2.0, 3.0]))[1] == pytest.approx(sparse.limit().expected, rel=0.1)


def test_normal_background_by_brute_force() -> None:
    """LIK-59: one bin with a normal background, q profiled by a scalar minimiser."""
    one = Simplified(
        ("a",), np.array([12.0]), np.array([10.0]), np.array([[4.0]]), np.array([0.0]), "control", 0, 0
    )
    observed, expected = one.limit(np.array([2.0]))
    assert observed is not None
    assert expected is not None

    def nll(mu: float, n: float, centre: float) -> float:
        def at(z: float) -> float:
            lam = max(2 * mu + 10 + 2 * z, 1e-9)
            return lam - n * math.log(lam) + 0.5 * (z - centre) ** 2

        return float(minimize_scalar(at, bounds=(-4.9, 10), method="bounded", options={"xatol": 1e-10}).fun)

    zero = minimize_scalar(
        lambda z: 10 + 2 * z - 12 * math.log(10 + 2 * z) + 0.5 * z * z, bounds=(-4, 8), method="bounded"
    ).x
    count = 10 + 2 * zero
    q = 2 * (nll(expected, count, zero) - (count - count * math.log(count)))
    assert math.sqrt(q) == pytest.approx(1.959964, abs=1e-3)


def test_what_cannot_be_simplified() -> None:
    """LIK-59: a signal of the wrong length and an unknown scope are refused."""
    with pytest.raises(InputError, match="the signal needs 2 values"):
        simplify(lognormal(1.2), draws=100).limit(np.array([1.0]))
    with pytest.raises(InputError, match="choose control or background"):
        simplify(lognormal(1.2), scope="all")  # type: ignore[arg-type]


def test_command_simplifies(tmp_path: Path) -> None:
    """LIK-59, LIK-27: the numbers as JSON, with limits beside those of the full likelihood."""
    card = tmp_path / "card.txt"
    card.write_text("bin a\nobservation 6\nbin a a\nprocess s b\nprocess 0 1\nrate 2 5.5\nk lnN - 1.2\n")
    result = CliRunner().invoke(command, ["simplify", str(card), "--draws", "2000", "--json"])
    assert result.exit_code == 0, result.output + repr(result.exception)
    document = json.loads(result.stdout)
    assert document["background"][0] == pytest.approx(5.6, abs=0.1)
    assert document["limits"]["simplified"][1] == pytest.approx(document["limits"]["full"][1], rel=0.05)
