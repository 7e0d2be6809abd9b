"""Laws every p-value obeys, on random arguments by the thousand (one vectorised call a law and model)."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special

from superbin import stats as superstats
from superbin.stats.arguments import FloatArray
from superbin.stats.models import ModelName

MODELS = ("split-lognormal", "lognormal", "gaussian", "gamma", "none")
ROWS = 1500
SLACK = 2e-11


def arguments(seed: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Counts of every kind, backgrounds over 13 decades, uncertainties from none to three times b."""
    random = np.random.default_rng(seed)
    b = 10 ** random.uniform(-8, 5, ROWS)
    up = b * random.choice([0.0, 1.0, 1.0, 1.0], ROWS) * 3 * random.random(ROWS) ** 2
    down = b * random.choice([0.0, 1.0, 0.75, 0.5], ROWS) * random.random(ROWS) ** 0.3
    n = b + random.uniform(-3, 15, ROWS) * np.sqrt(b + up * up)
    n = np.where(random.random(ROWS) < 0.3, 10 ** random.uniform(-4, 1.5, ROWS), np.maximum(n, 0))
    return np.where(random.random(ROWS) < 0.6, np.round(n), n), b, up, down


def slack(log_p: FloatArray) -> FloatArray:
    """What rounding may do to ln p."""
    return np.asarray(SLACK * (1 + 0.01 * np.abs(log_p)))


@pytest.mark.parametrize("model", MODELS)
def test_falls_with_the_count(model: ModelName) -> None:
    """STAT-5, STAT-7: more counts are never more likely; midp lies between the tails it averages."""
    n, b, up, down = arguments(1)
    for step in (1e-3, 0.3, 1.0, 20.0):
        low = superstats.log_tail(n, b, up, down, model=model)
        assert (superstats.log_tail(n + step, b, up, down, model=model) <= low + slack(low)).all()
    middle = superstats.log_midp(n, b, up, down, model=model)
    assert (superstats.log_tail(n + 1, b, up, down, model=model) <= middle + slack(middle)).all()
    assert (middle <= low + slack(low)).all()


@pytest.mark.parametrize("factor", [1.001, 1.3, 3.0])
def test_grows_with_the_background_and_its_upward_uncertainty(factor: float) -> None:
    """STAT-7: at fixed relative uncertainties; with up; and against down on one branch."""
    n, b, up, down = arguments(2)
    log_p = superstats.log_midp(n, b, up, down)
    bound = log_p - slack(log_p)
    clear = np.abs(down / b - 0.8) > 1e-9  # scaling b must not change the branch by rounding
    scaled = superstats.log_midp(n, factor * b, factor * up, np.minimum(factor * down, factor * b))
    assert (scaled >= bound)[clear].all()
    assert (superstats.log_midp(n, b, factor * up, down) >= bound).all()
    less = down / factor
    same = (less >= 0.8 * b) | (down < 0.8 * b)
    assert (superstats.log_midp(n, b, up, less) >= bound)[same].all()


@pytest.mark.parametrize("model", MODELS)
def test_never_nan(model: ModelName) -> None:
    """STAT-7, STAT-8: a probability and a Z everywhere, Z and p telling the same."""
    n, b, up, down = arguments(3)
    n[:100], up[100:200], down[100:150], b[200:300] = 0.0, 0.0, 0.0, 1e-5
    down = np.minimum(down, b)
    p = superstats.midp(n, b, up, down, model=model)
    z = superstats.midp_significance(n, b, up, down, model=model)
    assert ((p >= 0) & (p <= 1)).all()
    assert np.isfinite(z).all()
    np.testing.assert_allclose(special.ndtr(-z), p, rtol=1e-10, atol=1e-290)


def test_continuous_in_the_count() -> None:
    """STAT-2, STAT-5: between whole counts, at them, and where the computation changes its method (n = 1, 8, 15, 1e5)."""
    _, b, up, down = arguments(4)
    for n in (1.0, 3.0, 8.0, 15.0, 100.0, 1e5):
        here = superstats.log_midp(n, b, up, down)
        deep = here > -600
        for near in (n * (1 - 1e-13), n * (1 + 1e-13)):
            there = superstats.log_midp(near, b, up, down)
            # the slope of ln p in n is at most about ln(n/b) + 30/n on these arguments
            assert (np.abs(there - here) < 1e-13 * n * 60 + slack(here))[deep].all(), n


@pytest.mark.parametrize("n", [0.0, 0.5, 1.0, 3.0, 17.0, 200.0])
def test_continuous_where_the_branches_meet(n: float) -> None:
    """STAT-2: in b around n, and in the uncertainties at zero."""
    b, up, down = 17.0, 4.0, 3.0
    for low, high in (
        ((n, b * (1 - 1e-12), up, down), (n, b * (1 + 1e-12), up, down)),
        ((n, b, 0.0, down), (n, b, 1e-12, down)),
        ((n, b, up, 0.0), (n, b, up, 1e-12)),
    ):
        assert superstats.midp(*low) == pytest.approx(superstats.midp(*high), rel=1e-9)


def test_jumps_where_the_definition_does() -> None:
    """STAT-2: at down = 0.8 b, and at b = 0, where p(n >= 1) tends to P(z > 1) instead of the half-normal's value."""
    below, above = superstats.midp(1.0, 1.0, 0.5, 0.8 - 1e-12), superstats.midp(1.0, 1.0, 0.5, 0.8)
    assert abs(below - above) > 1e-3
    assert superstats.tail(3, 1e-240, 2.0, 0) == pytest.approx(special.ndtr(-1), rel=0.01)
    assert superstats.tail(3, 0, 2.0, 0) != pytest.approx(special.ndtr(-1), rel=0.01)


@pytest.mark.parametrize("model", MODELS)
def test_vanishing_uncertainty_is_poisson(model: ModelName) -> None:
    """STAT-7: every model, against scipy's incomplete gamma function."""
    random = np.random.default_rng(6)
    n, b = 10 ** random.uniform(-2, 3, ROWS), 10 ** random.uniform(-2, 3, ROWS)
    expected = special.gammainc(n, b)
    usable = expected > 1e-290
    n, b, expected = n[usable], b[usable], expected[usable]
    np.testing.assert_allclose(superstats.tail(n, b, 0, 0, model=model), expected, rtol=1e-10)
    tiny = 1e-10 * b
    np.testing.assert_allclose(superstats.tail(n, b, tiny, tiny, model=model), expected, rtol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_vanishing_count_is_certain(model: ModelName) -> None:
    """STAT-4, STAT-7: tail(0) is one, and tail tends to the probability of a positive mean."""
    _, b, up, down = arguments(7)
    assert (superstats.tail(0, b, up, down, model=model) == 1).all()
    linear = (down >= 0.8 * b) & (model == "split-lognormal")
    vanishing = np.where(linear, special.ndtr(-b / np.where(down > 0, down, 1.0)), 0.0)
    np.testing.assert_allclose(superstats.tail(1e-9, b, up, down, model=model), 1 - vanishing, atol=1e-6)


def test_many_counts_measure_the_uncertainty_alone() -> None:
    """STAT-1: at 1e11 counts, Z is the number of sigmas of the background, up and down."""
    b, up, down = 1e11, 0.3e11, 0.2e11
    for z in (0.1, 1.0, 2.5, 8.0):
        assert superstats.tail_significance(b * 1.3**z, b, up, down) == pytest.approx(z, abs=1e-4)
        assert superstats.tail_significance(b * 0.8**z, b, up, down) == pytest.approx(-z, abs=1e-4)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("relative", [1e-300, 1e-38, 1e-30, 1e-21, 1e-19, 1e-12])
def test_next_to_no_uncertainty_is_none(model: ModelName, relative: float) -> None:
    """STAT-7: no width, however small, is too small for the quadrature."""
    n, b = np.array([0.0, 0.3, 1.0, 4.0, 30.0]), np.array([1.0, 2.0, 0.1, 3.0, 25.0])
    sharp = superstats.midp(n, b, 0, 0)
    for up, down in ((relative * b, 0), (0, relative * b), (relative * b, relative * b)):
        np.testing.assert_allclose(superstats.midp(n, b, up, down, model=model), sharp, rtol=1e-9)


@given(
    st.sampled_from(MODELS),
    st.one_of(st.just(0.0), st.floats(0, 1e6)),
    st.one_of(st.just(0.0), st.floats(0, 1e6)),
    st.floats(0, 3),
    st.floats(0, 1),
)
@example("split-lognormal", 1.401298464324817e-45, 0.0, 1e-100, 0.0)
@settings(max_examples=60, deadline=None)
def test_any_numbers_in_the_domain(model: ModelName, n: float, b: float, up: float, down: float) -> None:
    """STAT-7: hypothesis looks for the numbers nobody thought of."""
    upward = up * b if b > 0 else (up if model in {"split-lognormal", "gaussian", "none"} else 0.0)
    p, z = (
        function(n, b, upward, down * b, model=model)
        for function in (superstats.midp, superstats.midp_significance)
    )
    assert 0 <= p <= 1
    assert not np.isnan(z)
    assert special.ndtr(-z) == pytest.approx(p, rel=1e-10, abs=1e-290)


def test_profile_likelihood_laws() -> None:
    """STAT-10, STAT-11: Z grows with n; upward uncertainty never helps an Asimov excess; no signal is Z = 0."""
    n, b, up, down = arguments(8)
    z = superstats.asymptotic_z(n, b, up, down)
    assert (superstats.q0(n, b, up, down) >= 0).all()
    for more in (1e-3, 1.0, 30.0):
        assert (superstats.asymptotic_z(n + more, b, up, down) >= z - 1e-7 * (1 + np.abs(z))).all()
        expected = superstats.asimov_z(more, b, up, down)
        assert (superstats.asimov_z(more, b, 2 * up, down) <= expected + 1e-7 * (1 + expected)).all()
    assert (superstats.asimov_z(0, b, up, down) == 0).all()
