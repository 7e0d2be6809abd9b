"""Interpolation of factors, against their definitions and pyhf."""

import math

import numpy as np
import pyhf
import pytest

from superbin._support.arrays import FloatArray
from superbin.likelihood.interpolation import Exponents
from superbin.likelihood.model import Interpolation

PAIRS = [
    (0.8, 1.3),
    (0.95, 1.02),
    (1.1, 0.9),
    (1.2, 1.1),
    (1.0, 1.4),
    (0.5, 2.5),
    (1 / 1.027, 1.027),
    (0.4, 6.0),
]
THETAS = [-3.0, -1.0, -0.999, -0.7, -0.5, -0.499, -0.1, 1e-9, 0.2, 0.499, 0.5, 0.6, 0.999, 1.0, 2.5]


def exponents(code: Interpolation) -> Exponents:
    """All pairs on one parameter."""
    low, high = np.log(np.array(PAIRS)).T
    return Exponents.make(np.zeros(len(PAIRS), dtype=np.intp), np.zeros(1, dtype=bool), low, high, code)


def combine(theta: float, down: float, up: float) -> float:
    """Combine's exponent, written from its definition for one number."""
    low, high = math.log(down), math.log(up)
    if abs(theta) >= 0.5:
        return theta * high if theta > 0 else -theta * low
    t = 2 * theta
    h = t * (3 * t**4 - 10 * t**2 + 15) / 8
    return theta * (0.5 * (high - low) + 0.5 * h * (high + low))


@pytest.mark.parametrize("theta", THETAS)
def test_combine_follows_its_definition(theta: float) -> None:
    """LIK-5: the `combine` interpolation equals its definition."""
    expected = [combine(theta, *pair) for pair in PAIRS]
    np.testing.assert_allclose(
        exponents("combine").values(np.array([theta])), expected, rtol=1e-13, atol=1e-15
    )


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("code", ["code1", "code4"])
def test_histfactory_codes_agree_with_pyhf(theta: float, code: Interpolation) -> None:
    """LIK-5: `code1` and `code4` give pyhf's factors."""
    histograms = [[[[down], [1.0], [up]]] for down, up in PAIRS]
    theirs = getattr(pyhf.interpolators, code)(histograms)(np.full((len(PAIRS), 1), theta))
    ours = np.exp(exponents(code).values(np.array([theta])))
    np.testing.assert_allclose(ours, np.asarray(theirs).ravel(), rtol=2e-12)


@pytest.mark.parametrize("code", ["combine", "code1", "code4"])
@pytest.mark.parametrize("theta", [-2.0, -0.8, -0.3, 0.13, 0.45, 0.77, 1.6])
def test_derivatives_are_those_of_the_values(code: Interpolation, theta: float) -> None:
    """LIK-9: by central differences of the values."""
    both, step = exponents(code), 1e-5

    def at(shift: float) -> FloatArray:
        return both.values(np.array([theta + shift]))

    _, first, second = both.derivatives(np.array([theta]))
    np.testing.assert_allclose(first, (at(step) - at(-step)) / (2 * step), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(second, (at(step) - 2 * at(0) + at(-step)) / step**2, rtol=1e-4, atol=1e-4)


def test_combine_takes_nearly_symmetric_pairs_as_symmetric() -> None:
    """LIK-5: product one within 1e-5, then the upper factor counts."""
    low, high = (
        np.log(np.array([0.9737, 1.027])),
        np.log(np.array([1 / 0.9737 * (1 + 9e-6), 1.0 / 1.027 * (1 + 2e-5)])),
    )
    made = Exponents.make(np.zeros(2, dtype=np.intp), np.zeros(1, dtype=bool), low, high, "combine")
    down = made.values(np.array([-1.0]))
    assert down[0] == -high[0]
    assert down[1] == low[1]


def test_a_free_rate_is_its_own_logarithm() -> None:
    """LIK-4: a free rate enters as its logarithm, with the right derivatives."""
    made = Exponents.make(
        np.zeros(1, dtype=np.intp), np.ones(1, dtype=bool), np.zeros(1), np.zeros(1), "combine"
    )
    k, d, dd = made.derivatives(np.array([2.5]))
    assert (k[0], d[0], dd[0]) == pytest.approx((math.log(2.5), 0.4, -0.16), rel=1e-14)
