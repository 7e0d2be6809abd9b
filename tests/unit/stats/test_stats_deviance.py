"""The deviance of a Poisson count, and what is made of it, where counts and means are far apart."""

import mpmath
import numpy as np
import pytest

from superbin.stats import asymptotic_z, counts, q0
from superbin.stats.models import ModelName
from superbin.stats.poisson import deviance


def reference(n: float, mean: float) -> mpmath.mpf:
    with mpmath.workdps(60):
        count, expected = mpmath.mpf(n), mpmath.mpf(mean)
        return 2 * (count * mpmath.log(count / expected) - count + expected)


def test_deviance_over_thirty_orders_of_magnitude() -> None:
    """STAT-10: relative error below 1e-14, near n and far from it, against 60 digits."""
    random = np.random.default_rng(11)
    n = 10 ** random.uniform(-12, 15, 4000)
    near = n * (1 + random.choice([-1.0, 1.0], 4000) * 10 ** random.uniform(-9, -0.3, 4000))
    far = 10 ** random.uniform(-20, 16, 4000)
    for mean in (near, far):
        exact = np.array([float(reference(a, b)) for a, b in zip(n, mean, strict=True)])
        np.testing.assert_allclose(deviance(n, mean), exact, rtol=1e-14, atol=0)


def test_deviance_at_its_ends() -> None:
    """STAT-10: no count, no mean, an infinite mean; nothing is NaN."""
    found = deviance(np.array([0.0, 0.0, 1.0, 1.0, 0.0]), np.array([0.0, 3.0, 0.0, np.inf, np.inf]))
    assert found.tolist() == [0.0, 6.0, np.inf, np.inf, np.inf]


@pytest.mark.parametrize("b", [1e-8, 1e-16, 1e-17, 1e-100])
@pytest.mark.parametrize("model", ["split-lognormal", "lognormal", "gaussian", "none"])
def test_q0_of_one_event_over_next_to_nothing(b: float, model: ModelName) -> None:
    """STAT-10: q0 = 2 (ln(1/b) - 1 + b) without uncertainty."""
    exact = float(reference(1.0, b))
    assert q0(1, b, 0, 0, model=model) == pytest.approx(exact, rel=1e-14)
    assert asymptotic_z(1, b, 0, 0, model=model) == pytest.approx(exact**0.5, rel=1e-14)


@pytest.mark.parametrize(
    ("n", "b", "relative"),
    [(35270, 35270, 1.4e-4), (34000, 35270, 1.4e-4), (40, 25, 0.2), (0, 25, 0.2), (5, 0.3, 1.0)],
)
def test_gamma_distribution_of_well_known_backgrounds(n: int, b: float, relative: float) -> None:
    """STAT-16: ln P(N <= n) against the sum of the negative binomial's terms, in 40 digits."""
    with mpmath.workdps(40):
        sigma = mpmath.mpf(relative * b)
        shape, rate = (mpmath.mpf(b) / sigma) ** 2 + 1, mpmath.mpf(b) / sigma**2
        term = (rate / (1 + rate)) ** shape
        total = term
        for k in range(1, n + 1):
            term *= (shape + k - 1) / (k * (1 + rate))
            total += term
        exact = float(mpmath.log(total))
    found = counts.log_cdf(n, b, relative * b, relative * b, model="gamma")
    assert found == pytest.approx(exact, rel=1e-11, abs=1e-12)
