"""CLs in the LHC's ensembles, exact: against toys, closed forms, pyhf's definition and asymptotics."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats

from superbin.errors import InputError
from superbin.stats import limits, p0
from superbin.stats.limits.asymptotic import q_tilde
from superbin.stats.models import MODELS, ModelName, uncertainty
from superbin.stats.profile import fit

CASES = [(8.5, 4, 0.6, 0.5, 0.3), (20, 25, 25, 5, 5), (12, 30, 25, 12, 2), (4, 1, 4, 2, 3.5)]


@pytest.mark.parametrize("x", [0.0, 0.3])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_toys(case: tuple[float, ...], model: ModelName, x: float) -> None:
    """STAT-28: both ensembles thrown, 20 000 toys each, with every auxiliary measurement; CLs within 4 standard errors."""
    s, n, *yields = case
    held = uncertainty(model, *(np.array([float(y)]) for y in yields))
    nominal, count, strength, k = held.nominal(), np.array([float(n)]), np.array([s]), math.log1p(x)
    observed = q_tilde(strength, count, held, nominal, k=k)[0]
    with_signal = fit(held, count, strength, nominal, k=k)
    alone = held.background_only(count, nominal)[0]
    random = np.random.default_rng(7)
    p = []
    for nuisance, shift, signal in ((with_signal.nuisance, with_signal.shift[0], s), (alone, 0.0, 0.0)):
        mean = signal * math.exp(k * shift) + held.mean(nuisance)[0]
        counts = random.poisson(mean, 20_000).astype(float)
        a, y = held.throw(random, nuisance, 20_000), shift + random.standard_normal(20_000)
        q = q_tilde(np.full(counts.size, s), counts, held, a, k=k, shift=y if x else 0.0)
        p.append(float(np.mean(q >= observed * (1 - 1e-9))))
    error = p[0] / p[1] * math.sqrt((1 / max(p[0], 1e-3) + 1 / p[1]) / 20_000)
    assert abs(limits.lhc_cls(s, n, *yields, signal_uncertainty=x, model=model) - p[0] / p[1]) < 4 * error


def test_reference() -> None:
    """STAT-28: 7.99 for 4 events over 0.6 +0.5 -0.3; CLs is 0.0358 at the prior-predictive limit, which is another quantity."""
    assert limits.lhc_limit(4, 0.6, 0.5, 0.3) == pytest.approx(7.99, abs=0.005)
    other = limits.cls_limit(4, 0.6, 0.5, 0.3)
    assert other == pytest.approx(8.51, abs=0.005)
    assert limits.lhc_cls(other, 4, 0.6, 0.5, 0.3) == pytest.approx(0.0358, abs=5e-5)


@pytest.mark.parametrize("model", MODELS)
def test_empty_bin_and_no_signal(model: ModelName) -> None:
    """STAT-28: exp(-s) for n = 0, whatever the background; 1 at s = 0."""
    for yields in ((3, 1, 1), (0.5, 0.3, 0.2)):
        assert limits.lhc_cls(2.0, 0, *yields, model=model) == pytest.approx(math.exp(-2), rel=1e-7)
        assert limits.lhc_limit(0, *yields, model=model) == pytest.approx(-math.log(0.05), rel=1e-6)
        assert limits.lhc_cls(0.0, 3, *yields, model=model) == 1


def test_without_uncertainty_it_is_the_exact_one() -> None:
    """STAT-28: the count alone fluctuates."""
    for n, b in ((4, 0.6), (30, 25)):
        exact = limits.cls_limit(n, b, 0, 0)
        assert limits.lhc_limit(n, b, 0, 0) == pytest.approx(exact, rel=1e-9)
    bands = limits.expected_lhc_limits(6, 0, 0)
    want = limits.expected_limits("cls", 6, 0, 0)
    np.testing.assert_allclose(bands, [want.low2, want.low1, want.median, want.high1, want.high2], rtol=1e-9)


def test_vanishing_uncertainty_halves_the_observed_count() -> None:
    """STAT-28: the smallest fluctuation of the auxiliary measurement decides between equal counts."""

    def middle(s: float) -> float:
        return float(stats.poisson.cdf(3, s + 0.6) + 0.5 * stats.poisson.pmf(4, s + 0.6))

    assert limits.lhc_cls(8, 4, 0.6, 6e-6, 6e-6) == pytest.approx(middle(8) / middle(0), rel=1e-3)


@pytest.mark.parametrize("model", ["split-lognormal", "gaussian"])
def test_tends_to_the_asymptotic_one(model: ModelName) -> None:
    """STAT-28, STAT-18: at a thousand events within a percent, observed and expected."""
    yields = (1000.0, 40.0, 40.0)
    exact = limits.lhc_limit(1030, *yields, model=model)
    assert exact == pytest.approx(limits.asymptotic_limit(1030, *yields, model=model), rel=0.01)
    bands = limits.expected_limits("asymptotic", *yields, model=model)
    found = limits.expected_lhc_limits(*yields, model=model)
    np.testing.assert_allclose(
        found, [bands.low2, bands.low1, bands.median, bands.high1, bands.high2], rtol=0.03
    )


def test_expected_bands_by_toys() -> None:
    """STAT-28: at a limit of the bands, CLs of the quantile of thrown q~ is 5 %, pre-fit and post-fit."""
    yields = (4.0, 1.5, 1.0)
    held = uncertainty("split-lognormal", *(np.array([y]) for y in yields))
    random = np.random.default_rng(11)
    for data in (None, 7.0):
        count = np.array([yields[0] if data is None else data])
        found = limits.expected_lhc_limits(*yields, fitted_to=data)
        assert list(found) == sorted(found)
        for s, beta in zip(found[[1, 2, 3]], (0.1587, 0.5, 0.8413), strict=True):
            alone = held.background_only(count, held.nominal())[0]
            with_signal = fit(held, count, np.array([s]), held.nominal()).nuisance
            q = []
            for nuisance, signal in ((alone, 0.0), (with_signal, s)):
                n = random.poisson(signal + held.mean(nuisance)[0], 40_000).astype(float)
                q.append(np.sort(q_tilde(np.full(n.size, s), n, held, held.throw(random, nuisance, n.size))))
            share = []
            for shift in (-0.01, 0.01):  # four standard errors of a quantile
                root = q[0][int(np.clip((1 - beta + shift) * 40_000, 0, 39_999))]
                share.append(np.mean(q[1] >= root) / np.mean(q[0] >= root))
            assert share[1] - 0.006 < 0.05 < share[0] + 0.006


class Uncertain:
    """Likelihood of an uncertain signal over a background that an off-source count of ``b tau`` measures, or that is known for tau = 0, in scalars."""

    def __init__(self, s: float, b: float, tau: float, k: float) -> None:
        self.s, self.b, self.tau, self.k = s, b, tau, k

    def cost(self, count: float, others: float, signal: float, mean: float) -> float:
        """Return ``-2 ln L`` of both counts, but for constants."""
        terms = [(count, signal + mean), (others, self.tau * mean)] if self.tau else [(count, signal + mean)]
        return sum(2 * (m - (n * math.log(m) if n else 0.0)) for n, m in terms)

    def background(self, count: float, others: float, signal: float) -> float:
        """Solve ``count/(signal + mean) + others/mean = 1 + tau``."""
        if not self.tau:
            return self.b
        one, half = 1 + self.tau, 0.5 * (count + others - (1 + self.tau) * signal)
        return max((half + math.sqrt(half * half + one * others * signal)) / one, 1e-12)

    def profiled(self, count: float, others: float, y: float) -> tuple[float, float]:
        """Lowest cost and the signal's nuisance there."""

        def of(x: float) -> float:
            signal = self.s * math.exp(self.k * x)
            return self.cost(count, others, signal, self.background(count, others, signal)) + (x - y) ** 2

        found = optimize.minimize_scalar(of, bounds=(y - 12, y), method="bounded", options={"xatol": 1e-9})
        return float(found.fun), float(found.x)

    def q(self, count: float, others: float, y: float) -> float:
        """q~."""
        favoured = others / self.tau if self.tau else self.b
        if count >= favoured + self.s * math.exp(self.k * y):
            return 0.0
        free = (favoured, count - favoured)
        if count <= favoured:
            free = (self.background(count, others, 0.0), 0.0)
        return self.profiled(count, others, y)[0] - self.cost(count, others, free[1], free[0])

    def edge(self, count: float, others: float, observed: float) -> float:
        """Auxiliary measurement of the signal from which on q~ is as large as observed, from -12 to 12."""
        low, high = -12.0, 12.0
        if self.q(count, others, high) < observed:
            return math.inf
        if self.q(count, others, low) >= observed:
            return -math.inf
        while high - low > 1e-6:
            middle = 0.5 * (low + high)
            low, high = (low, middle) if self.q(count, others, middle) >= observed else (middle, high)
        return high

    def cls(self, n: int) -> float:
        """Sum over both counts."""
        off = self.b * self.tau
        observed = self.q(n, off, 0.0) * (1 - 1e-9)
        shift = self.profiled(n, off, 0.0)[1]
        fitted = self.s * math.exp(self.k * shift)
        ensembles = (
            (self.background(n, off, fitted), fitted, shift),
            (self.background(n, off, 0.0), 0.0, 0.0),
        )
        p = np.zeros(2)
        most = n + self.b + self.s
        for others in range(int(off + 9 * math.sqrt(off) + 12) if self.tau else 1):
            for count in range(int(most + 9 * math.sqrt(most))):
                chances = [
                    stats.poisson.pmf(count, mean + signal) * stats.poisson.pmf(others, self.tau * mean)
                    for mean, signal, _ in ensembles
                ]
                if max(chances) > 1e-8:
                    edge = self.edge(count, others, observed)
                    p += [c * stats.norm.sf(edge - e[2]) for c, e in zip(chances, ensembles, strict=True)]
        return float(p[0] / p[1])


@pytest.mark.parametrize(
    ("s", "n", "b", "tau", "x"),
    [(6.0, 3, 2.5, 0.0, 0.3), (3.3, 0, 1.2, 0.0, 1.0), (5.0, 4, 3.0, 0.0, 0.02), (5.0, 2, 1.5, 1.0, 0.3)],
)
def test_uncertain_signal_by_brute_force(s: float, n: int, b: float, tau: float, x: float) -> None:
    """STAT-28: where the background is known, or measured by a count, the edges of the signal's auxiliary measurement are summed."""
    model: ModelName = "gamma" if tau else "none"
    sigma = math.sqrt(b / tau) if tau else 0.0
    found = limits.lhc_cls(s, n, b, sigma, sigma, signal_uncertainty=x, model=model)
    assert found == pytest.approx(Uncertain(s, b, tau, math.log1p(x)).cls(n), rel=1e-5)


@pytest.mark.parametrize("model", ["lognormal", "none", "gamma"])
def test_signal_of_a_small_uncertainty(model: ModelName) -> None:
    """STAT-28: tends to the known signal; where the count alone fluctuates, to half of P(N = n), as for a background of a small uncertainty."""
    yields = (3.0, 1.0, 1.0) if model == "lognormal" else (3.0, 0.0, 0.0)
    found = limits.lhc_cls(6.0, 4, *yields, signal_uncertainty=1e-5, model=model)
    if model == "lognormal":
        assert found == pytest.approx(limits.lhc_cls(6.0, 4, *yields, model=model), rel=1e-4)
    else:
        middle = [stats.poisson.cdf(3, m) + 0.5 * stats.poisson.pmf(4, m) for m in (9.0, 3.0)]
        assert found == pytest.approx(middle[0] / middle[1], rel=1e-4)


@pytest.mark.parametrize("model", ["split-lognormal", "lognormal", "gaussian", "gamma"])
def test_many_events_with_an_uncertain_signal(model: ModelName) -> None:
    """STAT-28, STAT-18: sums over every few counts, at five thousand events: within 2 % of the asymptotic ones."""
    yields = (5000.0, 400.0, 400.0)
    found = limits.lhc_limit(5100, *yields, signal_uncertainty=0.2, model=model)
    want = limits.asymptotic_limit(5100, *yields, signal_uncertainty=0.2, model=model)
    assert found == pytest.approx(want, rel=0.02)


def test_refusals() -> None:
    """STAT-14, STAT-28: with the domain."""
    with pytest.raises(InputError, match="exceeds 10000"):
        limits.lhc_limit(10**5, 1e5, 10, 10)
    with pytest.raises(InputError, match="outside the domain of limits"):
        limits.lhc_limit(3, 1, 0.1, 0.1, level=95)


@pytest.mark.parametrize(
    ("n", "yields", "options"),
    [
        (1, (1557.0, 0.0, 1277.0), {"level": 0.001, "model": "lognormal"}),
        (1, (181.6, 3.95, 10.79), {"level": 0.9, "model": "gaussian"}),
        (1, (5958.0, 0.0, 0.0), {"level": 0.9, "signal_uncertainty": 0.1, "model": "none"}),
        (100, (5.0, 1e15, 0.0), {"level": 1 - 1e-12, "signal_uncertainty": 1e-9, "model": "gamma"}),
    ],
)
def test_data_far_from_the_background(n: int, yields: tuple[float, ...], options: dict[str, Any]) -> None:
    """STAT-26, STAT-28: a finite limit, at which CLs is one minus the level; no warning."""
    limit = limits.lhc_limit(n, *yields, **options)
    level = options.pop("level")
    assert limits.lhc_cls(limit, n, *yields, **options) == pytest.approx(1 - level, rel=1e-2)


def test_what_does_not_fit_into_memory() -> None:
    """STAT-26: an uncertainty of the signal of 1000 % at a level of 1 - 1e-12 is refused before anything is computed."""
    with pytest.raises(InputError, match="takes more than some ten seconds"):
        limits.lhc_limit(100, 100, 1000, 50, level=1 - 1e-12, signal_uncertainty=10)


@pytest.mark.parametrize(
    ("model", "width"),
    [(m, w) for m in MODELS if m != "none" for w in (1e-8, 1e-6, 1e-4) if (m, w) != ("gamma", 1e-8)],
)
def test_next_to_no_uncertainty(model: ModelName, width: float) -> None:
    """STAT-28, STAT-27: half of P(N = n) counts in both probabilities, however small the width is: equal counts are told apart."""

    def half(n: int, mean: float) -> float:
        return float(
            special.gammaincc(n, mean) + 0.5 * np.exp(n * np.log(mean) - mean - special.gammaln(n + 1))
        )

    close = 1e-5 if model == "gamma" else 1e-6
    expected = optimize.brentq(lambda s: half(12, s + 12.5) / half(12, 12.5) - 0.05, 1, 30)
    assert limits.lhc_limit(12, 12.5, width, width, model=model) == pytest.approx(
        expected, rel=1e-6 + 0.03 * width
    )
    tail = 1 - half(20, 12.5)
    assert p0(20, 12.5, width, width, model=model).p == pytest.approx(tail, rel=close + 0.3 * width)
