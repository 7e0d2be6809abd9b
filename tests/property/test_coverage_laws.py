"""How often p-values and limits err: what is a theorem, and that it is none for a fixed truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from superbin import stats
from superbin.stats import limits
from superbin.stats.models import ModelName

ROUNDING = 1 + 1e-8
background = st.floats(0.05, 40)
share = st.floats(0.0, 1.0)
some = settings(max_examples=25, deadline=None)


@given(st.sampled_from(("split-lognormal", "gaussian")), background, share, share, st.floats(0.0, 5.0))
@some
def test_p_values_of_the_predictive_ensemble(
    model: ModelName, b: float, up: float, down: float, z: float
) -> None:
    """STAT-30: the count distributed as predicted; P(tail <= alpha) <= alpha and P(midp <= alpha) <= 2 alpha."""
    alpha = special.ndtr(-z)
    yields = b, up * b, down * b
    n = np.arange(0.0, 2000.0)
    for function, factor in ((stats.tail, 1), (stats.midp, 2)):
        reached = np.flatnonzero(np.asarray(function(n, *yields, model=model)) <= alpha)
        if reached.size:
            # p falls with n: the rate is the probability of at least the first that reaches alpha
            assert (
                1 - stats.counts.cdf(n[reached[0]] - 1, *yields, model=model)
                <= factor * alpha * ROUNDING + 1e-9
            )


@given(background, share, share, st.floats(0.5, 60))
@settings(max_examples=8, deadline=None)
def test_limits_of_the_predictive_ensemble(b: float, up: float, down: float, s: float) -> None:
    """STAT-30: the exact CLs limit lies below the true signal in at most 5 % of the cases."""
    n = np.arange(0.0, 150.0)
    yields = b, up * b, down * b
    excluded = np.asarray(limits.cls(s, n, *yields)) < 0.05
    assert excluded @ np.asarray(stats.counts.pmf(n, *yields, signal=s)) <= 0.05 * ROUNDING


def reported(a: np.ndarray, b: float, up: float, down: float) -> tuple[np.ndarray, ...]:
    """What is reported of a background that an auxiliary measurement moved by `a`."""

    def mean(z: np.ndarray) -> np.ndarray:
        return b * np.where(z > 0, (1 + up) ** z, (1 - down) ** -z)

    return mean(a), mean(a + 1) - mean(a), mean(a) - mean(a - 1)


def test_they_are_no_theorems_for_a_fixed_truth() -> None:
    """STAT-30: pseudo-experiments of two bins in which the reported numbers fluctuate around the truth."""
    random = np.random.default_rng(3)
    a, n = random.standard_normal(20_000), random.poisson(100, 20_000)
    p = np.asarray(stats.tail(n, *reported(a, 100, 0.02, 0.3)))
    for z, ratio in ((1, 1.98), (2, 1.46)):
        alpha = special.ndtr(-z)
        assert (p <= alpha).mean() / alpha == pytest.approx(ratio, abs=4 * np.sqrt(ratio / alpha / p.size))
    a, n = random.standard_normal(3000), random.poisson(125, 3000)
    below = np.asarray(limits.cls(100.0, n, *reported(a, 25, 0.5, 0.05))) < 0.05
    assert below.mean() == pytest.approx(0.087, abs=4 * np.sqrt(0.087 / 3000))
