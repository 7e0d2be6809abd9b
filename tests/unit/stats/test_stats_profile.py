"""The profile likelihood under every uncertainty model, against brute force, closed forms and pyhf's definition."""

import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from superbin import stats as superstats
from superbin.errors import InputError, UnknownNameError
from superbin.stats import limits, poisson
from superbin.stats.models import ModelName


def cost(model: ModelName, z: float, n: float, s: float, b: float, up: float, down: float) -> float:
    """-2 ln L over the saturated one, from the definition."""
    if model == "lognormal":
        mean = b * math.exp(z * math.log1p((up + down) / 2 / b))
    elif model == "gaussian":
        mean = max(b + z * (up if z > 0 else down), 0.0)
    else:
        mean = b
    total = s + mean
    if n > 0 and total <= 0:
        return math.inf
    log = n * math.log(n / total) - n + total if n > 0 else total
    return 2 * log + z * z


@pytest.mark.parametrize("model", ["lognormal", "gaussian", "none"])
@pytest.mark.parametrize(
    "case", [(40, 25, 5, 5), (4, 0.6, 0.5, 0.3), (1, 8, 3, 5), (0, 3, 1, 3), (30, 2, 9, 1)]
)
def test_against_a_scan(model: ModelName, case: tuple[float, float, float, float]) -> None:
    """STAT-10: q0 by the lowest point of a fine scan of the nuisance, polished; with the sign of the excess."""
    n, b, up, down = case
    grid = np.linspace(-12, 12, 4001)
    start = grid[np.argmin([cost(model, z, n, 0, b, up, down) for z in grid])]
    best = optimize.minimize_scalar(
        lambda z: cost(model, z, n, 0, b, up, down),
        bounds=(start - 0.01, start + 0.01),
        options={"xatol": 1e-12},
    ).fun
    want = math.copysign(math.sqrt(best), n - b)
    assert superstats.asymptotic_z(*case, model=model) == pytest.approx(want, abs=1e-6)


def li_ma(on: float, off: float, tau: float) -> float:
    """Equation 17 of Li and Ma, Astrophys. J. 272 (1983) 317, with alpha = 1/tau."""
    first = on * math.log((1 + tau) * on / (on + off))
    second = off * math.log((1 + 1 / tau) * off / (on + off))
    return math.sqrt(2 * (first + second))


@pytest.mark.parametrize(("n", "b", "sigma"), [(140.0, 83.33, 8.333), (4.0, 0.6, 0.4), (12.0, 3.0, 2.0)])
def test_on_off_is_li_and_ma(n: float, b: float, sigma: float) -> None:
    """STAT-10: the Gamma model is the on/off problem with b tau off-source counts."""
    tau = b / sigma**2
    want = li_ma(n, b * tau, tau)
    assert superstats.asymptotic_z(n, b, sigma, sigma, model="gamma") == pytest.approx(want, rel=1e-9)
    assert superstats.asimov_z(n - b, b, sigma, sigma, model="gamma") == pytest.approx(want, rel=1e-9)
    off = superstats.fit_nuisance(n, 0.0, b, sigma, sigma, model="gamma")
    assert off == pytest.approx((n + b * tau) * tau / (1 + tau), rel=1e-12)


def test_on_off_toys_against_a_loop() -> None:
    """STAT-22: both counts thrown around the background-only fit, q0 from Li and Ma."""
    n, b, sigma = 7.0, 3.0, 1.0
    tau = b / sigma**2
    mean = (n + b * tau) / (1 + tau)
    random = np.random.default_rng(4)
    extreme = 0
    for on, off in zip(random.poisson(mean, 20_000), random.poisson(tau * mean, 20_000), strict=True):
        if on > off / tau:
            extreme += (li_ma(on, off, tau) if off else math.sqrt(2 * on * math.log1p(tau))) >= li_ma(
                n, b * tau, tau
            ) - 1e-9
    result = superstats.throw_q0(n, b, sigma, sigma, toys=50_000, model="gamma")
    share = extreme / 20_000
    assert abs(result.p - share) < 4 * math.hypot(result.error, math.sqrt(share / 20_000))


@pytest.mark.parametrize("model", ["lognormal", "gaussian", "none"])
@pytest.mark.parametrize("case", [(60, 25, 5, 5), (8, 0.6, 0.5, 0.3), (9, 1.0, 0.3, 0.9), (1, 4, 1, 3)])
def test_weighted_toys_of_every_model(model: ModelName, case: tuple[float, float, float, float]) -> None:
    """STAT-21: importance-sampled toys within 4 standard errors of the quadrature."""
    result = superstats.throw_weighted(*case, toys=40_000, model=model)
    assert abs(result.midp - superstats.midp(*case, model=model)) < 4 * result.midp_error
    assert abs(result.tail - superstats.tail(*case, model=model)) < 4 * result.tail_error


@pytest.mark.parametrize("model", ["lognormal", "gaussian", "gamma", "none"])
def test_asymptotic_limits_of_every_model(model: ModelName) -> None:
    """STAT-18: near the exact ones at many counts, falling with the uncertainty, bands in order."""
    exact, asymptotic = (
        f(5200, 4940, 190, 190, model=model) for f in (limits.cls_limit, limits.asymptotic_limit)
    )
    assert asymptotic == pytest.approx(exact, rel=0.01)
    bands = limits.expected_limits("asymptotic", 25.0, 5.0, 5.0, model=model)
    five = [bands.low2, bands.low1, bands.median, bands.high1, bands.high2]
    assert five == sorted(five)
    small, none = (limits.asymptotic_limit(30, 25, x, x, model=model) for x in (1e-4, 0.0))
    assert small == pytest.approx(none, rel=1e-3)


def test_refusals() -> None:
    """STAT-14, STAT-21: what a model does not define is refused with a reason."""
    with pytest.raises(InputError, match="closed-form tail"):
        superstats.throw_weighted(5, 3, 1, 1, model="gamma")
    with pytest.raises(InputError, match="auxiliary = -1 must be from 0"):
        superstats.q0(5, 3, 1, 1, auxiliary=-1, model="gamma")
    with pytest.raises(InputError, match="auxiliary = 50 must be from -40"):
        superstats.q0(5, 3, 1, 1, auxiliary=50)
    with pytest.raises(InputError, match="relative to b"):
        limits.asymptotic_limit(5, 0, 1, 0, model="lognormal")
    with pytest.raises(UnknownNameError, match="split-lognormal"):
        superstats.asymptotic_z(5, 3, 1, 1, model="split-normal")  # type: ignore[arg-type]


def test_uniform_expansion_against_mpmath() -> None:
    """STAT-16: ln P(N <= n) for many counts, from twelve sigma below to forty above, to 1e-11."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(40):
        for n, sigmas in (
            (10_000.0, -8.0),
            (10_000.0, 0.01),
            (12_345.5, 3.0),
            (50_000.0, 20.0),
            (20_000.0, 40.0),
        ):
            mean = n + sigmas * math.sqrt(n)
            want = mp.log(mp.gammainc(mp.mpf(n) + 1, mp.mpf(mean), mp.inf, regularized=True))
            found = poisson.log_at_most_uniform(np.array([n]), np.array([mean]))[0]
            assert abs(float(found - want)) < 1e-11 * (1 + abs(float(want)) / 100)
    near = np.array([1e4 * (1 + x) for x in (-0.0201, -0.0199, 0.0199, 0.0201)])
    many = poisson.log_at_most_uniform(np.full(4, 1e4), near)
    np.testing.assert_allclose(many, np.log(special.gammaincc(1e4 + 1, near)), rtol=0, atol=1e-10)


def test_many_events_with_an_uncertain_signal() -> None:
    """STAT-17: a hundred thousand events; against a sum over the signal's nuisance of the limits' own equation."""
    n, b, up, down, x = 1e5, 1e5, 300.0, 300.0, 0.2
    s = float(limits.cls_limit(n, b, up, down, signal_uncertainty=x))
    y = np.linspace(-7, 7, 701)
    weight = stats.norm.pdf(y) * (y[1] - y[0])
    probability = superstats.counts.cdf(n, b, up, down, signal=s * (1 + x) ** y)
    assert weight @ probability / superstats.counts.cdf(n, b, up, down) == pytest.approx(0.05, rel=1e-7)


@pytest.mark.parametrize("model", ["split-lognormal", "lognormal", "gaussian", "gamma"])
def test_next_to_no_uncertainty(model: ModelName) -> None:
    """STAT-7, STAT-14: the smallest width there is changes nothing, in limits, counts and toys of every kind."""
    sharp, tiny = (4.0, 1.0, 0.0, 0.0), (4.0, 1.0, 0.0, 1e-250)
    assert limits.cls_limit(*tiny, model=model) == pytest.approx(limits.cls_limit(*sharp), rel=1e-9)
    assert limits.asymptotic_limit(*tiny, model=model) == pytest.approx(
        limits.asymptotic_limit(*sharp), rel=1e-7
    )
    assert superstats.asymptotic_z(*tiny, model=model) == pytest.approx(
        superstats.asymptotic_z(*sharp), rel=1e-8
    )
    for thrown in (
        superstats.throw(*tiny, toys=1000, model=model),
        superstats.throw_q0(*tiny, toys=1000, model=model),
    ):
        assert thrown.toys == 1000


def test_tiny_on_off_problem() -> None:
    """STAT-7: no square underflows on the way: with next to no background one event is next to impossible."""
    b = 1.3e-162
    assert superstats.midp(0.0, b, 0.0, b, model="gamma") == pytest.approx(0.5, rel=1e-12)
    assert superstats.tail(1.0, b, b, b, model="gamma") == pytest.approx(2 * b, rel=1e-9)
