"""The LHC's p0, exact: against toys, double sums, asymptotics and the laws it obeys."""

import math

import numpy as np
import pytest
from scipy import special, stats

from superbin import stats as superstats
from superbin.errors import InputError
from superbin.stats.models import MODELS, ModelName

CASES = [(40, 25, 5, 5), (4, 0.6, 0.5, 0.3), (10, 2, 1, 0.6), (7, 2, 1, 2), (9, 4, 1, 3)]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_toys(case: tuple[float, ...], model: ModelName) -> None:
    """STAT-27, STAT-22: within 4 standard errors of 200 000 toys of count and auxiliary measurement."""
    exact = superstats.p0(*case, model=model)
    toys = superstats.throw_q0(*case, toys=200_000, seed=5, model=model)
    assert abs(toys.p - exact.p) <= 4 * max(toys.error, math.sqrt(exact.p / toys.toys))


def test_against_a_double_sum() -> None:
    """STAT-27: counts and a fine grid of auxiliary measurements, q0 minimised on a grid of the nuisance."""
    n, b, up, down = 4.0, 0.6, 0.5, 0.3
    z = np.linspace(-9, 9, 9001)
    mean = b * np.where(z > 0, (1 + up / b) ** z, (1 - down / b) ** -z)

    def q0(count: float, a: float) -> float:
        if count <= np.interp(a, z, mean):
            return 0.0
        return float(np.min(2 * (mean - count + count * np.log(count / mean)) + (z - a) ** 2))

    observed = q0(n, 0.0)
    fitted = z[np.argmin(2 * (mean - n * np.log(mean)) + z**2)]
    total = 0.0
    step = 0.02
    a = fitted + np.arange(-7, 7, step)
    weight = stats.norm.pdf(a - fitted) * step
    for count in range(1, 20):
        # q0 falls with a: the first a that is not extreme ends the half line
        extreme = np.array([q0(float(count), x) >= observed for x in a])
        edge = np.flatnonzero(extreme)
        share = weight[: edge[-1] + 1].sum() if edge.size else 0.0
        total += stats.poisson.pmf(count, np.interp(fitted, z, mean)) * share
    assert superstats.p0(n, b, up, down).p == pytest.approx(total, rel=0.03)


def test_without_uncertainty_it_is_poisson() -> None:
    """STAT-27: the count alone fluctuates, around the known mean."""
    for n, b in ((4, 0.6), (40, 25), (300, 200)):
        assert superstats.p0(n, b, 0, 0).p == pytest.approx(special.gammainc(n, b), rel=1e-9)


def test_vanishing_uncertainty_is_mid_p() -> None:
    """STAT-27: the smallest fluctuation of the auxiliary measurement decides between equal counts: half of them are as extreme."""
    for n, b in ((4, 0.6), (40, 25), (10, 3)):
        p = superstats.p0(n, b, 1e-5 * b, 1e-5 * b).p
        assert p == pytest.approx(special.gammainc(n + 1, b) + 0.5 * stats.poisson.pmf(n, b), rel=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_tends_to_the_asymptotic_one(model: ModelName) -> None:
    """STAT-27: the difference in Z shrinks like 1/sqrt(b), at fixed relative uncertainty over sqrt(b)."""
    apart = []
    for b in (25.0, 400.0, 6400.0):
        sigma = 0.5 * math.sqrt(b)
        n = round(b + 3 * math.sqrt(b))
        z = superstats.asymptotic_z(n, b, sigma, sigma, model=model)
        apart.append(abs(superstats.p0(n, b, sigma, sigma, model=model).z - z))
    assert apart[2] < 0.02
    assert apart[2] < apart[0] + 0.005


def test_far_out() -> None:
    """STAT-27: thirty-five sigma, in logarithms; both sides of the p-value add up to one."""
    far = superstats.p0(700, 100, 2, 2)
    assert 35 < far.z < 40
    assert far.z == pytest.approx(superstats.asymptotic_z(700, 100, 2, 2), abs=0.02)
    assert far.log_p == pytest.approx(float(special.log_ndtr(-far.z)), rel=1e-9)
    near = superstats.p0(30, 25, 5, 5)
    assert math.exp(near.log_p) + math.exp(near.log_q) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_falls_with_the_count(model: ModelName) -> None:
    """STAT-7, STAT-27: and a deficit has p = 1."""
    p = [superstats.p0(n, 9, 3, 3, model=model).p for n in range(4, 40, 3)]
    assert (np.diff(p) <= 1e-12).all()
    assert p[0] == 1
    assert superstats.p0(0, 9, 3, 3, model=model).p == 1


@pytest.mark.parametrize(("s", "yields"), [(15, (25, 5, 5)), (6, (0.6, 0.5, 0.3)), (8, (4, 1, 3))])
@pytest.mark.parametrize("data", [None, 30])
def test_expected_quantiles_by_toys(s: float, yields: tuple[float, ...], data: float | None) -> None:
    """STAT-27: pre-fit and post-fit: the p-values at the quantiles of thrown q0, by the order statistics of 20 000 toys."""
    found = superstats.expected_p0(s, *yields, fitted_to=data)
    assert found.fit == ("prefit" if data is None else "postfit")
    nuisance = 0.0 if data is None else float(superstats.fit_nuisance(data, 0.0, *yields))
    b, up, down = yields
    mean = b * ((1 + up / b) ** nuisance if nuisance > 0 else (1 - down / b) ** -nuisance)
    random = np.random.default_rng(3)
    size = 20_000
    counts, a = random.poisson(s + mean, size), nuisance + random.standard_normal(size)
    q = np.sort(superstats.q0(counts, *yields, auxiliary=a))
    alone_n, alone_a = random.poisson(mean, 10 * size), nuisance + random.standard_normal(10 * size)
    alone = superstats.q0(alone_n, *yields, auxiliary=alone_a)
    for level, one in zip((0.0228, 0.1587, 0.5, 0.8413), found.at_quantiles, strict=False):
        spread = 4 * math.sqrt(level * (1 - level) * size)
        low, high = (q[int(np.clip(level * size + x, 0, size - 1))] for x in (-spread, spread))
        most, least = (np.mean(alone >= x) for x in (low, high))
        error = 4 * math.sqrt(max(one.p, 1e-6) / (10 * size))
        assert least - error <= one.p <= most + error


def test_refusals() -> None:
    """STAT-14, STAT-27: with the domain."""
    with pytest.raises(InputError, match=r"n = 1e\+06 exceeds 100000"):
        superstats.p0(1e6, 1e6, 10, 10)
    with pytest.raises(InputError, match="one bin at a time"):
        superstats.p0([1, 2], 1, 0, 0)
