"""Laws every upper limit obeys, on numbers hypothesis chooses."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy import special

from superbin.stats import limits
from superbin.stats.models import ModelName

MODELS = ("split-lognormal", "lognormal", "gaussian", "gamma", "none")
model = st.sampled_from(MODELS)
count = st.integers(0, 60)
background = st.floats(0.05, 40)
share = st.floats(0.0, 0.75)
few = settings(max_examples=8, deadline=None)
fewer = settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""Where the signal is uncertain, which takes a second a case."""


@given(model, count, background, share, share)
@few
def test_rises_with_the_count(model: ModelName, n: int, b: float, up: float, down: float) -> None:
    """STAT-17: exact and asymptotic."""
    for function in (limits.cls_limit, limits.asymptotic_limit):
        values = function([n, n + 1, n + 5], b, up * b, down * b, model=model)
        assert (np.diff(values) > 0).all()


def test_cls_may_rise_with_the_background() -> None:
    """STAT-17: where the uncertainty is downward alone and large; the values by mpmath's quadrature."""
    found = limits.cls_limit(5, [6.0, 12.0], 0.0, [4.5, 9.0])
    assert found == pytest.approx([8.13311125074411, 8.16267908550502], rel=1e-10)


@given(count, background, st.floats(1.05, 4), st.floats(0.0, 0.6), st.floats(0.0, 0.6))
@few
def test_cls_falls_with_the_background(n: int, b: float, factor: float, up: float, down: float) -> None:
    """STAT-17: at fixed relative uncertainties more background lowers the limit; never below than the limit of an empty bin."""
    low, high = limits.cls_limit(n, [b, factor * b], [up * b, up * factor * b], [down * b, down * factor * b])
    assert high <= low * (1 + 1e-9)
    assert high >= -math.log(0.05) * (1 - 1e-9)


@given(model, count, background)
@few
def test_vanishing_uncertainty_is_poisson(model: ModelName, n: int, b: float) -> None:
    """STAT-17: the closed form, P(N <= n | s + b) = 0.05 P(N <= n | b)."""
    s = limits.cls_limit(n, b, 0, 0, model=model)
    assert special.gammaincc(n + 1, s + b) == pytest.approx(0.05 * special.gammaincc(n + 1, b), rel=1e-8)
    tiny = limits.cls_limit(n, b, 1e-6 * b, 1e-6 * b, model=model)
    assert tiny == pytest.approx(s, rel=1e-4)


@given(model, count, background, share, share, st.floats(0.001, 0.6))
@fewer
def test_bayes_is_cls_shifted(model: ModelName, n: int, b: float, up: float, down: float, x: float) -> None:
    """STAT-17: identical without an uncertainty of the signal, else exp(ln(1 + x)^2) apart."""
    sharp = [f(n, b, up * b, down * b, model=model) for f in (limits.cls_limit, limits.bayes_limit)]
    assert sharp[0] == sharp[1]
    cls, bayes = (
        f(n, b, up * b, down * b, model=model, signal_uncertainty=x)
        for f in (limits.cls_limit, limits.bayes_limit)
    )
    assert bayes == pytest.approx(cls * math.exp(math.log1p(x) ** 2), rel=1e-12)
    assert cls >= sharp[0] * (1 - 1e-6) or n > b  # an uncertain signal excludes less, but for excesses


@given(model, background, share, share, st.floats(0.0, 0.5))
@fewer
def test_bands_are_ordered(model: ModelName, b: float, up: float, down: float, x: float) -> None:
    """STAT-19: every method, with and without an uncertainty of the signal."""
    for method in limits.METHODS:
        bands = limits.expected_limits(method, b, up * b, down * b, model=model, signal_uncertainty=x)
        five = [bands.low2, bands.low1, bands.median, bands.high1, bands.high2]
        # to the precision of limits by the LHC's CLs: bands that meet differ by rounding
        assert all(low <= high * (1 + 1e-6) for low, high in pairwise(five))
        assert five[0] > 0


@given(st.floats(0.2, 3), share)
@few
def test_scale(z: float, width: float) -> None:
    """STAT-17: at many counts only the uncertainty matters, and limits are proportional to the background."""
    b = np.array([1e8, 1e10])
    up = (0.02 + width) * b
    relative = limits.cls_limit(b + z * 0.01 * b, b, up, 0.5 * up) / b
    assert relative[0] == pytest.approx(relative[1], rel=1e-3)
    levels = limits.cls_limit(12, 9, 2, 2, level=[0.5, 0.68, 0.9, 0.95, 0.99])
    assert (np.diff(levels) > 0).all()


@given(model, count, background, share, share, st.floats(-6, 3))
@few
def test_limit_on_the_strength_scales_with_the_signal(
    model: ModelName, n: int, b: float, up: float, down: float, exponent: float
) -> None:
    """STAT-17, STAT-18: mu95 * k is constant: CLs at the strength mu95 of a signal of k events is 1 - level, exact and asymptotic."""
    k = 10.0**exponent
    for limit, cls in (
        (limits.cls_limit, limits.cls),
        (limits.asymptotic_limit, limits.asymptotic_cls),
    ):
        mu95 = limit(n, b, up * b, down * b, model=model) / k
        assert cls(mu95 * k, n, b, up * b, down * b, model=model) == pytest.approx(0.05, rel=1e-6)
