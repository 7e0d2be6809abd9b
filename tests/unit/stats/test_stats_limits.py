"""Upper limits: textbook values, brute force, pyhf."""

import math
from typing import Any, Literal

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from superbin import stats as superstats
from superbin.errors import InputError, UnknownNameError
from superbin.stats import limits
from superbin.stats.arguments import FloatArray
from superbin.stats.models import ModelName

BINS = [(4.0, 0.6, 0.5, 0.3), (10.0, 2.0, 1.0, 0.6), (40.0, 25.0, 5.0, 5.0), (1.0, 4.0, 2.0, 3.5)]


def mean_grid(b: float, up: float, down: float) -> tuple[FloatArray, FloatArray]:
    """Background means on a fine grid of z, with their weights; the definition, written out again."""
    z = np.linspace(-8, 8, 40_001)
    low = (1 - down / b) ** -z if down < 0.8 * b else np.maximum(0, 1 + z * down / b)
    return b * np.where(z > 0, (1 + up / b) ** z, low), stats.norm.pdf(z) * (z[1] - z[0])


@pytest.mark.parametrize(("n", "limit"), [(0, 3.00), (1, 4.74), (2, 6.30), (3, 7.75), (4, 9.15), (10, 16.96)])
def test_without_background(n: float, limit: float) -> None:
    """STAT-17: the classical 95 % limits on a Poisson mean (PDG, statistics, table of Poisson limits)."""
    assert limits.cls_limit(n, 0, 0, 0) == pytest.approx(limit, abs=0.006)
    assert limits.bayes_limit(n, 0, 0, 0) == pytest.approx(limit, abs=0.006)


def test_empty_bin() -> None:
    """STAT-17: for n = 0 background cancels from CLs: -ln 0.05, whatever is expected."""
    for yields in ((0, 0, 0), (3, 0, 0), (3, 2, 1), (1, 1, 1), (0, 2, 0)):
        assert limits.cls_limit(0, *yields) == pytest.approx(-np.log(0.05), rel=1e-9)
    assert limits.bayes_limit(0, 3, 2, 1, level=0.9) == pytest.approx(np.log(10), rel=1e-9)


@pytest.mark.parametrize("arguments", BINS)
def test_cls_against_brute_force(arguments: tuple[float, ...]) -> None:
    """STAT-17: sums of Poisson probabilities over a grid of backgrounds."""
    n, b, up, down = arguments
    mean, weight = mean_grid(b, up, down)
    alone = weight @ stats.poisson.cdf(n, mean)

    def brute(s: float) -> float:
        return float(weight @ stats.poisson.cdf(n, mean + s) / alone)

    want = optimize.brentq(lambda s: brute(s) - 0.05, 0.1, 100, xtol=1e-10)
    assert limits.cls_limit(*arguments) == pytest.approx(want, rel=1e-6)
    assert limits.cls(2.5, *arguments) == pytest.approx(brute(2.5), rel=1e-6)


@pytest.mark.parametrize("x", [0.1, 0.5])
@pytest.mark.parametrize("arguments", BINS[:2])
def test_signal_uncertainty_against_brute_force(arguments: tuple[float, ...], x: float) -> None:
    """STAT-17: CLs by a double sum; the Bayesian posterior summed over s itself, not by its closed tail."""
    n, b, up, down = arguments
    z, y = np.linspace(-8, 8, 401), np.linspace(-8, 8, 101)
    mean = b * np.where(z > 0, (1 + up / b) ** z, (1 - down / b) ** -z)
    weight, factor = stats.norm.pdf(z) * (z[1] - z[0]), (1 + x) ** y
    prior = stats.norm.pdf(y) * (y[1] - y[0])
    exact = limits.cls_limit(*arguments, signal_uncertainty=x)
    both = special.gammaincc(n + 1, exact * factor[:, None] + mean)
    assert prior @ both @ weight / (weight @ special.gammaincc(n + 1, mean)) == pytest.approx(0.05, rel=1e-3)
    s = np.geomspace(1e-3, 3e3, 600)
    likelihood = np.empty(s.size)
    for i, one in enumerate(s):
        total = one * factor[:, None] + mean
        likelihood[i] = prior @ (total**n * np.exp(-total)) @ weight
    area = likelihood[0] * s[0] + integrate.cumulative_simpson(likelihood * s, x=np.log(s), initial=0)
    want = float(np.interp(0.95, area / area[-1], s))
    assert limits.bayes_limit(*arguments, signal_uncertainty=x) == pytest.approx(want, rel=1e-3)


def pyhf_cls(arguments: tuple[float, ...], x: float, s: float) -> list[float]:
    """CLs by pyhf of `s` signal events, observed and at -2 to +2 sigma."""
    pyhf: Any = pytest.importorskip("pyhf")
    n, b, up, down = arguments
    modifiers: list[dict[str, Any]] = [{"name": "mu", "type": "normfactor", "data": None}]
    if x:
        modifiers.append({"name": "norm", "type": "normsys", "data": {"hi": 1 + x, "lo": 1 / (1 + x)}})
    background = {"name": "bkg", "type": "normsys", "data": {"hi": 1 + up / b, "lo": 1 - down / b}}
    samples = [
        {"name": "signal", "data": [s], "modifiers": modifiers},
        {"name": "background", "data": [b], "modifiers": [background]},
    ]
    spec = {"channels": [{"name": "bin", "samples": samples}]}
    model = pyhf.Model(spec, poi_name="mu", modifier_settings={"normsys": {"interpcode": "code1"}})
    data = [n, *model.config.auxdata]
    one, five = pyhf.infer.hypotest(1.0, data, model, test_stat="qtilde", return_expected_set=True)
    return [float(one), *map(float, five)]


@pytest.mark.parametrize(
    ("arguments", "x"),
    [(BINS[1], 0.0), (BINS[2], 0.0), (BINS[2], 0.2), ((18.0, 25.0, 5.0, 5.0), 0.0)],
    ids=["10", "40", "40-signal", "deficit"],
)
def test_asymptotic_against_pyhf(arguments: tuple[float, ...], x: float) -> None:
    """STAT-18: pyhf's qtilde with the same interpolation (code 1) gives 5 % at our limits.

    The bands at n = b, where pyhf's post-fit Asimov data set is the pre-fit one.
    """
    limit = limits.asymptotic_limit(*arguments, signal_uncertainty=x)
    assert pyhf_cls(arguments, x, limit)[0] == pytest.approx(0.05, rel=5e-3)
    bands = limits.expected_limits("asymptotic", *arguments[1:], signal_uncertainty=x)
    nominal = (arguments[1], *arguments[1:])
    for place, s in ((1, bands.low2), (3, bands.median), (5, bands.high2)):
        assert pyhf_cls(nominal, x, s)[place] == pytest.approx(0.05, rel=5e-3)


def test_expected_limits_are_those_of_the_quantiles() -> None:
    """STAT-19: without systematics from SciPy's Poisson quantiles; ascending; Bayes and CLs alike."""
    counts = stats.poisson.ppf(stats.norm.cdf([-2, -1, 0, 1, 2]), 7.3)
    pairs: tuple[tuple[Literal["cls", "bayes"], Any], ...] = (
        ("cls", limits.cls_limit),
        ("bayes", limits.bayes_limit),
    )
    for method, one in pairs:
        bands = limits.expected_limits(method, 7.3, 0, 0, signal_uncertainty=0.3)
        five = [bands.low2, bands.low1, bands.median, bands.high1, bands.high2]
        np.testing.assert_allclose(five, one(counts, 7.3, 0, 0, signal_uncertainty=0.3), rtol=1e-8)
        assert five == sorted(five)


def test_methods_agree_at_high_counts() -> None:
    """STAT-18: the asymptotic limit is that, within a percent at thousands of events."""
    exact, asymptotic = (f(5200, 4940, 198, 174) for f in (limits.cls_limit, limits.asymptotic_limit))
    assert asymptotic == pytest.approx(exact, rel=0.01)


def test_laws() -> None:
    """STAT-17: a limit grows with the count, the level and the signal's uncertainty, and falls with the background."""
    n = np.arange(12.0)
    assert (np.diff(limits.cls_limit(n, 3, 1, 1)) > 0).all()
    assert (np.diff(limits.cls_limit(5, np.linspace(0.5, 9, 12), 0, 0)) < 0).all()
    assert (np.diff(limits.cls_limit(5, 3, 1, 1, level=[0.5, 0.9, 0.95, 0.99])) > 0).all()
    assert (np.diff(limits.bayes_limit(5, 3, 1, 1, signal_uncertainty=[0, 0.1, 0.5])) > 0).all()
    assert limits.cls(0, 5, 3, 1, 1, signal_uncertainty=0.2) == 1
    assert superstats.limits is limits


def test_limits_need_not_rise_with_the_count() -> None:
    """STAT-17: a downward uncertainty a hundred times the upward one; right values summed over a grid of backgrounds."""
    b, up, down = 20468.0, 10.5, 1377.0
    mean, weight = mean_grid(b, up, down)
    wanted = []
    for n in (20304, 20508):
        alone = float(weight @ special.gammaincc(n + 1, mean))

        def excess(s: float, n: int = n, alone: float = alone) -> float:
            return float(weight @ special.gammaincc(n + 1, s + mean) / alone - 0.05)

        wanted.append(optimize.brentq(excess, 1, 1e4, xtol=1e-6))
    assert wanted == pytest.approx([2454.1, 2416.2], abs=0.1)
    np.testing.assert_allclose(limits.cls_limit([20304, 20508], b, up, down), wanted, rtol=1e-6)


@pytest.mark.parametrize("model", ["none", "gamma", "gaussian"])
def test_limits_rise_where_the_mean_is_log_concave(model: ModelName) -> None:
    """STAT-17: the proved case, at the counts of the counter-example and at few."""
    for b, n in ((20468.0, np.arange(19500.0, 21000, 50)), (6.0, np.arange(0.0, 30))):
        for share in (0.01, 0.06, 0.4):
            found = limits.cls_limit(n, b, share * b, share * b, model=model)
            assert (np.diff(found) > 0).all()


def test_bad_input() -> None:
    """STAT-14: one line with value, rule and cure."""
    with pytest.raises(InputError, match="level = 95.0 is outside the domain of limits"):
        limits.cls_limit(1, 1, 0, 0, level=95)
    with pytest.raises(InputError, match="signal_uncertainty = 20 is relative"):
        limits.bayes_limit(1, 1, 0, 0, signal_uncertainty=20)
    with pytest.raises(InputError, match="s = nan must be finite"):
        limits.cls(np.nan, 1, 1, 0, 0)
    with pytest.raises(InputError, match="down = 2 exceeds b = 1"):
        limits.asymptotic_limit(1, 1, 0, 2)
    with pytest.raises(InputError, match="do not broadcast"):
        limits.cls_limit([1, 2], 1, 0, 0, level=[0.9, 0.95, 0.99])
    with pytest.raises(UnknownNameError, match="'CLs'"):
        limits.expected_limits("CLs", 1, 0, 0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one bin at a time"):
        limits.expected_limits("cls", [1.0, 2.0], 0, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1e8, 1e10, 1e12])
@pytest.mark.parametrize("x", [0.05, 0.2, 1.0])
def test_uncertain_signal_of_very_many_events(n: float, x: float) -> None:
    """STAT-17: over a known background equal to the count, the limit in units of sqrt(n) is that of a normal count, to 1/sqrt(n)."""

    def excess(log_t: float) -> float:
        average, _ = integrate.quad(
            lambda y: special.ndtr(-math.exp(log_t + math.log1p(x) * y)) * math.exp(-0.5 * y * y),
            -12,
            12,
            epsabs=1e-13,
        )
        return average / math.sqrt(2 * math.pi) / 0.5 - 0.05

    normal = math.exp(optimize.brentq(excess, -3, 6))
    assert limits.cls_limit(n, n, 0, 0, signal_uncertainty=x) / math.sqrt(n) == pytest.approx(
        normal, rel=10 / math.sqrt(n)
    )


@pytest.mark.parametrize("model", ["split-lognormal", "gaussian", "gamma", "lognormal"])
@pytest.mark.parametrize("n", [2.5, 6000.0, 1e7])
def test_uncertain_signal_tends_to_the_known_one(model: ModelName, n: float) -> None:
    """STAT-17: the table of many events against the integral of a known signal, two methods, as the uncertainty vanishes."""
    background = (0.9 * n, 0.2 * n, 0.1 * n)
    known = limits.cls_limit(n, *background, model=model)
    assert limits.cls_limit(n, *background, model=model, signal_uncertainty=1e-6) == pytest.approx(
        known, rel=1e-9
    )
