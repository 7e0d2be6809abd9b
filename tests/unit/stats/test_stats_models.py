"""What every uncertainty model of the registry owes, whichever it is; and each one's own definition."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from superbin import stats as superstats
from superbin.errors import InputError
from superbin.stats.arguments import FloatArray
from superbin.stats.models import DEFAULT, MODELS, SHARP, ModelName, UncertaintyModel, uncertainty
from superbin.stats.profile import fit

BINS = [(25.0, 5.0, 5.0), (0.6, 0.5, 0.3), (4.0, 1.0, 3.0), (2.0, 1.0, 1.9)]
every = pytest.mark.parametrize("name", MODELS)
bins = pytest.mark.parametrize("yields", BINS)


def one(name: str, yields: tuple[float, float, float]) -> UncertaintyModel:
    return uncertainty(name, *(np.array([x]) for x in yields))


def at(x: float) -> FloatArray:
    return np.array([x])


def test_registry() -> None:
    """STAT-32: names are the keys, the default is the first, one model has no uncertainty."""
    assert [model.name for model in MODELS.values()] == list(MODELS)
    assert next(iter(MODELS)) == DEFAULT
    assert one(SHARP, BINS[0]).sharp.all()
    assert all(model.text for model in MODELS.values())


@every
@bins
def test_nominal_background(name: str, yields: tuple[float, float, float]) -> None:
    """STAT-3, STAT-32: the Asimov value favours the nominal background, and costs nothing there."""
    held = one(name, yields)
    assert held.mean(held.nominal())[0] == pytest.approx(yields[0], rel=1e-12)
    assert held.cost(held.nominal(), held.nominal())[0] == pytest.approx(0, abs=1e-12)


@every
@bins
def test_mean_and_inverse(name: str, yields: tuple[float, float, float]) -> None:
    """STAT-32: the nuisance at which a mean is reached."""
    held = one(name, yields)
    if held.sharp.all():
        return
    for factor in (0.9, 1.0, 1.7):
        mean = at(factor * yields[0])
        assert held.mean(held.inverse(mean, held.nominal()))[0] == pytest.approx(mean[0], rel=1e-12)


@every
@bins
def test_draws_follow_the_prior(name: ModelName, yields: tuple[float, float, float]) -> None:
    """STAT-3, STAT-32: the mean of the draws' Poisson tails is the exact tail; two of three seeds within 2.6 standard errors."""
    held = one(name, yields)
    n = np.ceil(yields[0] + 1)
    exact = superstats.tail(n, *yields, model=name)
    near = 0
    for seed in range(3):
        chance = np.asarray(stats.poisson.sf(n - 1, held.draw(np.random.default_rng(seed), 40_000)))
        near += abs(chance.mean() - exact) <= 2.6 * chance.std() / 200 + 1e-12
    assert near >= 2


@every
@bins
def test_prior_density_is_normalised(name: str, yields: tuple[float, float, float]) -> None:
    """STAT-32: both sides, the vanishing part and the truncation add up to one."""
    held = one(name, yields)
    if held.sharp.all():
        return
    total = float(held.vanishing[0])
    for sign in (1.0, -1.0):
        end = float(held.reach(sign, at(60.0))[0])

        def density(y: float, sign: float = sign) -> float:
            return float(np.exp(held.log_density(at(sign), at(y)) - held.log_kept)[0])

        total += integrate.quad(density, 0, end, epsabs=1e-12, limit=200)[0]
    assert total == pytest.approx(1, abs=1e-9)


@every
@bins
@pytest.mark.parametrize(("n", "s"), [(0.0, 4.0), (3.0, 6.0), (30.0, 12.0), (60.0, 3.0)])
def test_fit_is_the_minimum(name: str, yields: tuple[float, float, float], n: float, s: float) -> None:
    """STAT-10, STAT-32: no nuisance on a grid is better, to 1e-9; with the signal's nuisance, too."""
    held = one(name, yields)
    nominal = held.nominal()
    found = fit(held, at(n), at(s), nominal)
    low, high = (float(x[0]) for x in held.span(nominal, 9.0))
    grid = np.linspace(low, high, 20_001)

    def cost(nuisance: FloatArray, signal: Any = s) -> FloatArray:
        mean = signal + held.mean(nuisance)
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.where(n > 0, n * np.log(np.where(mean > 0, n / np.maximum(mean, 1e-300), np.inf)), 0.0)
        return np.asarray(2 * (log - n + mean) + held.cost(nuisance, nominal))

    assert found.cost[0] <= np.nanmin(cost(grid)) + 1e-9
    assert found.cost[0] == pytest.approx(cost(found.nuisance)[0], rel=1e-9, abs=1e-9)
    if n > s + yields[0]:
        return
    k = np.log(1.3)
    both = fit(held, at(n), at(s), nominal, k=k)
    best = min(float(np.nanmin(cost(grid, s * np.exp(k * y)))) + y * y for y in np.linspace(-4, 1, 501))
    assert both.cost[0] <= best + 1e-9


@every
@bins
def test_auxiliary_distribution(name: str, yields: tuple[float, float, float]) -> None:
    """STAT-32: what is thrown follows `log_auxiliary`, whose two sides add up to one."""
    held = one(name, yields)
    nuisance = held.inverse(at(1.3 * yields[0]), held.nominal()) if not held.sharp.all() else held.nominal()
    thrown = held.throw(np.random.default_rng(1), nuisance, 40_000)
    for edge in np.quantile(thrown, [0.1, 0.5, 0.9]):
        below, above = (float(np.exp(x[0])) for x in held.log_auxiliary(at(edge), nuisance))
        assert below + above == pytest.approx(1, abs=1e-9)
        assert np.mean(thrown <= edge) == pytest.approx(below, abs=4 * 0.0025)


@pytest.mark.parametrize("name", ["lognormal", "gamma"])
def test_relative_models_refuse_nothing(name: str) -> None:
    """STAT-3, STAT-32: the relative models refuse an uncertain background of zero."""
    with pytest.raises(InputError, match="relative to b"):
        one(name, (0.0, 1.0, 0.0))


def test_kink_keeps_the_lower_of_two_minima() -> None:
    """STAT-10: downward uncertainty much the larger, the auxiliary measurement above zero: both branches have a minimum."""
    held = one(DEFAULT, (50.0, 2.0, 35.0))
    for a in (0.5, 1.5, 3.0):
        found = fit(held, at(30.0), at(5.0), at(a))
        z = np.linspace(-6, 6, 240_001)
        mean = 5 + held.mean(z)
        cost = 2 * (30 * np.log(30 / mean) - 30 + mean) + (z - a) ** 2
        best = optimize.minimize_scalar(
            lambda x, a=a: float(
                2 * (30 * np.log(30 / (5 + held.mean(at(x)))) - 25 + held.mean(at(x)))[0] + (x - a) ** 2
            ),
            bounds=(z[np.argmin(cost)] - 1e-3, z[np.argmin(cost)] + 1e-3),
        )
        assert found.cost[0] == pytest.approx(best.fun, abs=1e-7)
