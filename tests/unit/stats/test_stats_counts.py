"""The distribution of the count under signal and an uncertain background."""

from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special, stats

from superbin import stats as superstats
from superbin.errors import InputError, UnknownNameError
from superbin.stats import counts, integration
from superbin.stats.arguments import FloatArray
from superbin.stats.models import ModelName, uncertainty

MODELS = ("split-lognormal", "lognormal", "gaussian", "gamma", "none")


def many(seed: int, rows: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Whole counts from deep deficits to large excesses, backgrounds from 1e-3 to 1e5."""
    random = np.random.default_rng(seed)
    b = 10 ** random.uniform(-3, 5, rows)
    up, down = 3 * b * random.random(rows) ** 2, b * random.random(rows)
    n = np.maximum(np.floor(b + random.uniform(-6, 10, rows) * np.sqrt(b + up * up)), 1)
    return n, b, up, down


@pytest.mark.parametrize("model", MODELS)
def test_without_signal_it_is_the_complement_of_the_tail(model: ModelName) -> None:
    """STAT-16: against the arms of the p-values, another decomposition of another integral."""
    n, b, up, down = many(5, 300)
    held = uncertainty(model, b, up, down)
    integral = counts._log_average(counts.log_at_most, held, n - 1, np.zeros(n.size))
    np.testing.assert_allclose(
        counts.log_cdf(n - 1, b, up, down, model=model), integral, rtol=1e-13, atol=1e-9
    )


@pytest.mark.parametrize(
    ("n", "s", "b", "up", "down"),
    [(4, 3, 0.6, 0.5, 0.3), (10, 30, 25, 5, 5), (0, 3, 2, 4, 1), (100, 20, 150, 30, 40)],
)
def test_against_mpmath(n: float, s: float, b: float, up: float, down: float) -> None:
    """STAT-16: the average over z at 30 digits."""

    def mean(z: Any) -> Any:
        return s + b * ((1 + mpmath.mpf(up) / b) ** z if z >= 0 else (1 - mpmath.mpf(down) / b) ** -z)

    pieces = [-20, -10, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12]
    with mpmath.workdps(30):
        at_most = mpmath.quad(
            lambda z: mpmath.npdf(z) * mpmath.gammainc(n + 1, mean(z), mpmath.inf, regularized=True), pieces
        )
        equal = mpmath.quad(
            lambda z: mpmath.npdf(z) * mean(z) ** n * mpmath.exp(-mean(z)) / mpmath.factorial(n), pieces
        )
    assert counts.cdf(n, b, up, down, signal=s) == pytest.approx(float(at_most), rel=1e-10)
    assert counts.pmf(n, b, up, down, signal=s) == pytest.approx(float(equal), rel=1e-10)


@pytest.mark.parametrize("model", MODELS)
def test_probabilities_add_up(model: ModelName) -> None:
    """STAT-16: the sum of the probabilities of whole counts is the distribution function, and tends to one."""
    k = np.arange(0.0, 300)
    single = counts.pmf(k, 12, 4, 10, signal=3.5, model=model)
    np.testing.assert_allclose(
        np.cumsum(single), counts.cdf(k, 12, 4, 10, signal=3.5, model=model), rtol=1e-10
    )
    assert single.sum() == pytest.approx(1, abs=1e-9)


def test_folded_and_vanishing_means() -> None:
    """STAT-1, STAT-16: b = 0 averages over both signs of z; a linear branch leaves signal alone with a probability."""
    z = np.linspace(-9, 9, 200_001)
    for b, up, down in ((0.0, 2.0, 0.0), (2.0, 1.0, 2.0)):
        mean = (
            np.abs(z) * up if b == 0 else np.where(z > 0, b * (1 + up / b) ** z, np.maximum(b + z * down, 0))
        )
        brute = np.trapezoid(stats.norm.pdf(z) * special.gammaincc(4, 1.5 + mean), z)
        assert counts.cdf(3, b, up, down, signal=1.5) == pytest.approx(brute, rel=1e-6)


def test_deep_deficits_do_not_underflow() -> None:
    """STAT-16: log_cdf against mpmath where P(N <= n) is below 1e-300."""
    for n, m in ((0.0, 800.0), (3.0, 900.0), (1000.0, 4000.0), (2.5, 1000.0)):
        with mpmath.workdps(30):
            want = float(mpmath.log(mpmath.gammainc(n + 1, m, mpmath.inf, regularized=True)))
        assert counts.log_cdf(n, m, 0, 0) == pytest.approx(want, rel=1e-13)


def negative_binomial(n: int, b: float, relative: float) -> Any:
    """``ln P(N <= n)`` of a Poisson count with a Gamma mean, term by term from the largest."""
    shape = 1 / mpmath.mpf(relative) ** 2 + 1
    tau = (shape - 1) / mpmath.mpf(b)
    miss = 1 / (1 + tau)
    term = total = mpmath.mpf(1)
    for k in range(n, 0, -1):
        term *= k / ((k - 1 + shape) * miss)
        total += term
        if term < total * mpmath.mpf(10) ** -25:
            break
    log = mpmath.loggamma(n + shape) - mpmath.loggamma(shape) - mpmath.loggamma(n + 1)
    return log + shape * mpmath.log(tau * miss) + n * mpmath.log(miss) + mpmath.log(total)


@pytest.mark.parametrize(
    ("n", "b", "relative"),
    [
        (34706, 35270.0, 1e-3),
        (80, 100.0, 1e-3),
        (20000, 35270.0, 0.1),
        (120, 100.0, 1.5),
        (34706, 35270.0, 1.4e-4),
        (100895, 102767.7, 2.56e-4),
        (900, 1000.0, 1e-5),
    ],
)
def test_gamma_against_the_negative_binomial(n: int, b: float, relative: float) -> None:
    """STAT-16: to 1e-9 whatever the relative uncertainty, against a sum at 40 digits."""
    with mpmath.workdps(40):
        down = min(relative * b, b)
        found = counts.log_cdf(n, b, 2 * relative * b - down, down, model="gamma")
        assert abs(float(found - negative_binomial(n, b, relative))) < 1e-9


def test_quantiles() -> None:
    """STAT-16: against a cumulative sum over brute-force probabilities."""
    z = np.linspace(-8, 8, 4001)
    mean = 10 + 25 * np.where(z > 0, 1.2**z, 0.8**-z)
    weight = stats.norm.pdf(z) * (z[1] - z[0])
    brute = np.cumsum(weight @ stats.poisson.pmf(np.arange(200), mean[:, None]))
    levels = np.array([0.025, 0.16, 0.5, 0.84, 0.975])
    np.testing.assert_array_equal(
        counts.quantile(levels, 25, 5, 5, signal=10), np.searchsorted(brute, levels)
    )
    assert counts.quantile(0.5, 0, 0, 0) == 0
    assert isinstance(counts.quantile(0.5, 3, 1, 1), float)


def test_bad_input() -> None:
    """STAT-14: one line with value and cure."""
    for level in (0.0, 1.0, np.nan, -1):
        with pytest.raises(InputError, match="strictly between 0 and 1"):
            counts.quantile(level, 1, 0, 0)
    with pytest.raises(InputError, match="s = -1 must not be negative"):
        counts.cdf(1, 1, 0, 0, signal=-1)
    with pytest.raises(InputError, match="do not broadcast"):
        counts.cdf([1, 2], 1, 0, 0, signal=[1, 2, 3])
    with pytest.raises(UnknownNameError, match="log"):
        counts.cdf(1, 1, 0, 0, model="log-normal")  # type: ignore[arg-type]


def test_a_cliff_between_the_nodes_is_found() -> None:
    """STAT-16: the adaptive panels on a step a millionth of the span wide."""

    def step(index: np.ndarray, x: FloatArray) -> FloatArray:
        del index
        return np.asarray(special.log_expit((0.3 - x) * 1e6))

    with np.errstate(under="ignore"):
        log = integration.log_integral(step, np.zeros(1), np.ones(1))
    assert np.exp(log[0]) == pytest.approx(0.3, rel=1e-9)


def test_shapes() -> None:
    """STAT-9: scalars in, scalars out; arguments broadcast."""
    assert isinstance(counts.cdf(3, 2, 1, 1, signal=1), float)
    assert counts.pmf(np.arange(3), 2, 1, 1, signal=np.ones((2, 1))).shape == (2, 3)
    assert superstats.counts is counts
