"""Laws of the LHC's p-values and limits, on numbers hypothesis chooses; and of sums against integrals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superbin import stats
from superbin.stats import counts, limits
from superbin.stats.models import MODELS, ModelName, uncertainty

model = st.sampled_from(list(MODELS))
count = st.integers(0, 60)
background = st.floats(0.05, 40)
share = st.floats(0.0, 0.75)
some = settings(max_examples=20, deadline=None)
few = settings(max_examples=6, deadline=None)


@given(model, count, background, st.floats(0.0, 10.0), st.floats(0.0, 1.0))
@some
def test_p0_is_a_probability(model: ModelName, n: int, b: float, up: float, down: float) -> None:
    """STAT-27: any uncertainty to ten times b and 1:100: both sides add up to one; a deficit has p = 1."""
    found = stats.p0(n, b, up * b, down * b, model=model)
    assert found.log_p <= 0
    assert math.exp(found.log_p) + math.exp(found.log_q) == pytest.approx(1, abs=1e-7)
    if n <= b:
        assert found.p == 1


@given(model, st.integers(1, 60), background, share, share)
@some
def test_p0_lies_near_the_others(model: ModelName, n: int, b: float, up: float, down: float) -> None:
    """STAT-27: between half the smaller and twice the larger of tail and the asymptotic p, for an excess of up to five sigma."""
    z = stats.asymptotic_z(n, b, up * b, down * b, model=model)
    if not 0.3 < z < 5 or b < 1:
        return
    both = (stats.tail_significance(n, b, up * b, down * b, model=model), z)
    assert min(both) - 0.6 < stats.p0(n, b, up * b, down * b, model=model).z < max(both) + 0.6


@given(model, count, background, share, share)
@few
def test_lhc_limit_is_where_cls_is(model: ModelName, n: int, b: float, up: float, down: float) -> None:
    """STAT-28: CLs at the limit is one minus the level; below it at larger signals where the mean cannot vanish."""
    yields = (b, up * b, down * b)
    limit = limits.lhc_limit(n, *yields, model=model)
    # the Gamma model's off-source count is whole, so that CLs jumps
    slack = 0.02 if model == "gamma" else 1e-5
    assert limits.lhc_cls(limit * (1 - 1e-6), n, *yields, model=model) >= 0.05 * (1 - slack)
    if model not in {"gamma", "gaussian"}:
        assert limits.lhc_cls(limit * 1.02, n, *yields, model=model) < 0.05
    assert limit >= -math.log(0.05) * (1 - 1e-4)


@given(model, count, background, share, share, st.floats(0.02, 1.5), st.floats(0.5, 40))
@few
def test_sum_over_the_signal_agrees_with_the_integral(
    model: ModelName, n: int, b: float, up: float, down: float, x: float, s: float
) -> None:
    """STAT-16, STAT-17: the sum of signal counts and its trapezoidal average, against integrals and the table for many events."""
    held = uncertainty(model, *(np.array([y]) for y in (b, up * b, down * b)))
    one, strength, width = np.array([float(n)]), np.array([s]), np.array([math.log1p(x)])
    integral = counts._log_average(counts.log_at_most, held, one, strength)
    assert counts.log_cdf_of(held, one, strength) == pytest.approx(integral, abs=1e-9)
    table = counts.Thresholds.of(held, one, width)
    averaged = table.log_cls(np.log(strength))[0] + table.alone
    assert counts.uncertain_log_cdf_of(held, one, strength, width) == pytest.approx(averaged, abs=1e-9)


def test_cls_need_not_fall_where_the_mean_vanishes() -> None:
    """STAT-28: beyond a vanishing mean q~ does not depend on the auxiliary measurement: whole counts become extreme at once."""
    low, high = (limits.lhc_cls(s, 15, 7.0, 3.5, 4.5390625, model="gaussian") for s in (19.5, 19.7))
    assert (low, high) == pytest.approx((0.0474, 0.0496), abs=0.0015)  # by 200 000 toys each
    assert high > low + 0.002
