"""What pseudo-experiments are drawn from, against other code for the same distributions."""

from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy import stats as reference

from superbin._support.arrays import FloatArray
from superbin.catalog import open_catalog
from superbin.chance.ensemble import FittedBackground, _fill_normal, fitted_background, split_lognormal
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.errors import InputError
from superbin.likelihood import Fitter, PublishedLikelihood, predict
from superbin.stats import tail


@cache
def packaged(search: str) -> PublishedLikelihood:
    with open_catalog("sqlite://") as catalog:
        return catalog.published_likelihood(search)


@pytest.fixture(scope="module")
def fitted() -> FittedBackground:
    return fitted_background(packaged("cms-pas-sus-16-014"))


def stream(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


def test_normals() -> None:
    """CHANCE-5: unit normals, by a Kolmogorov-Smirnov test and in both tails; no two are alike."""
    out = np.empty((501, 400), np.float32)
    _fill_normal(stream(1), out)
    assert reference.kstest(out.ravel(), "norm").pvalue > 1e-3
    for sign in (1, -1):
        above = int((sign * out > 3).sum())
        assert abs(above - out.size * reference.norm.sf(3)) < 5 * np.sqrt(out.size * reference.norm.sf(3))
    assert abs(np.corrcoef(out[:250].ravel(), out[250:500].ravel())[0, 1]) < 5 / np.sqrt(250 * 400)
    assert np.isfinite(out).all()


def test_central_values_are_the_published_predictions(fitted: FittedBackground) -> None:
    """CHANCE-5: with every nuisance at its fit and every control count at its value, the fit's prediction."""

    class Still:
        # The extreme whole number makes Box and Muller's radius, and so the normal, zero.
        bit_generator = SimpleNamespace(
            random_raw=lambda n: np.full(2 * n, -(2**31), np.int32).view(np.uint64)
        )

        @staticmethod
        def standard_gamma(shape: FloatArray, dtype: Any) -> FloatArray:
            del dtype
            return shape

    means = fitted.means(cast("np.random.Generator", Still()), 2)
    fit = predict(packaged("cms-pas-sus-16-014"), "control").expected
    # The fit keeps free rates without events at the end of their range, a hundredth of some events.
    np.testing.assert_allclose(means[:, 0], fit, rtol=2e-5, atol=0.05)
    assert np.abs(means[:, 0] - fit)[fit > 50].max() < 0.05


def test_moments_are_those_of_the_likelihood(fitted: FittedBackground) -> None:
    """CHANCE-5: means of all bins, against the likelihood's own evaluation of drawn parameters, one by one."""
    likelihood = packaged("cms-pas-sus-16-014")
    model = likelihood.background(zero_count="dropped")
    control = model.restricted(np.flatnonzero(model.bins < 0))
    fit = Fitter(control).fit(mu=0.0)
    objective = Fitter(model).objective
    rng = np.random.default_rng(7)
    free = np.flatnonzero(model.kinds == "free")
    normal = np.flatnonzero(model.kinds == "normal")
    hessian = Fitter(control).hessian(fit)
    variance = np.diag(hessian.solve(np.eye(fit.x.size)))
    pulled = {p.name: (fit.x[i], variance[i]) for i, p in enumerate(control.parameters, start=1)}
    centre, spread = np.array([pulled.get(model.parameters[j].name, (0.0, 1.0)) for j in normal]).T
    # Rates of 1e-4 stand for zero.
    real = np.where(model.rates > 1e-4, 1.0, 0.0)
    scaled = np.full(real.size, -1)
    for term, parameter in zip(model.entry_term, model.entry_parameter, strict=True):
        if parameter in free:
            scaled[term] = parameter
    regions = []
    for j in free:
        own = np.flatnonzero((scaled == j) & (model.term_bin < 0))
        channel = model.term_channel == model.term_channel[own[0]]
        channel[own] = False
        regions.append((j, own, np.flatnonzero(channel), model.observed[model.term_channel[own[0]]]))
    inside = model.term_bin >= 0
    drawn = np.zeros((400, 160))
    for row in drawn:
        x = objective.initial.copy()
        x[1 + normal] = centre + np.sqrt(spread) * rng.standard_normal(normal.size)
        x[1 + free] = 1.0
        terms = objective.rates(x)[0] * real
        phi = np.ones(len(model.parameters) + 1)
        for j, own, others, count in regions:
            left = rng.gamma(count) - terms[others].sum() if count else 0.0
            phi[j] = max(left, 0.0) / terms[own].sum()
        np.add.at(row, model.term_bin[inside], (terms * phi[scaled])[inside])
    slow = np.log(drawn.T + 0.1)
    fast = np.log(np.hstack([fitted.means(stream(s), 256) for s in range(20)]).astype(np.float64) + 0.1)
    error = np.sqrt(slow.var(axis=1) / slow.shape[1] + fast.var(axis=1) / fast.shape[1]) + 1e-6
    assert (np.abs(slow.mean(axis=1) - fast.mean(axis=1)) / error).max() < 4.5
    moving = slow.std(axis=1) > 1e-2
    assert np.abs(fast.std(axis=1)[moving] / slow.std(axis=1)[moving] - 1).max() < 0.35
    assert np.median(fast.std(axis=1)[moving] / slow.std(axis=1)[moving]) == pytest.approx(1, abs=0.03)
    difference = np.corrcoef(slow[moving]) - np.corrcoef(fast[moving])
    # The error of a correlation from 400 is at most 0.05.
    assert np.sqrt((difference**2).mean()) < 0.06


def test_counts_are_poisson_around_the_means(fitted: FittedBackground) -> None:
    """CHANCE-5: mean count equals mean expectation, and the variance adds a Poisson one."""
    means = np.hstack([fitted.means(stream(s), 256) for s in range(30)]).astype(np.float64)
    counts = np.hstack([fitted.draw(stream(1000 + s), 256) for s in range(30)])
    n = counts.shape[1]
    variance = means.var(axis=1) + means.mean(axis=1)
    error = np.sqrt((counts.var(axis=1) + means.var(axis=1)) / n) + 1e-9
    assert (np.abs(counts.mean(axis=1) - means.mean(axis=1)) / error).max() < 4.5
    assert counts[:10].var(axis=1) == pytest.approx(variance[:10], rel=0.15)


@pytest.mark.parametrize("n", [1, 5, 12])
def test_a_bin_alone_has_the_exact_tail(small_search: Search, n: int) -> None:
    """CHANCE-6: counts of one bin follow the model of the local p-value."""
    ensemble = split_lognormal(small_search, None)
    counts = np.hstack([ensemble.draw(stream(s), 2000) for s in range(20)])[2]
    p = float(tail(n, ensemble.b[2], ensemble.up[2], ensemble.down[2]))
    assert abs((counts >= n).mean() - p) < 4.5 * np.sqrt(p * (1 - p) / counts.size)


def test_correlations_of_a_covariance(cms_search: Search) -> None:
    """CHANCE-6: the normal variables have the mean correlation of both sides; margins stay unit normal."""
    covariance = cms_search.covariance
    assert covariance is not None
    ensemble = split_lognormal(cms_search, covariance)
    assert ensemble.root is not None
    got = ensemble.root @ ensemble.root.T
    np.testing.assert_allclose(np.diag(got), 1, atol=1e-12)
    both = [
        m / np.sqrt(np.outer(np.diag(m), np.diag(m)))
        for m in (covariance.up[:9, :9], covariance.down[:9, :9])
    ]
    np.testing.assert_allclose(got[:9, :9], sum(both) / 2, atol=1e-6)
    assert "correlated" in ensemble.words


def test_covariance_of_another_search_is_refused(small_search: Search) -> None:
    """CHANCE-6: a covariance with another number of bins is refused."""
    with pytest.raises(InputError, match="covariance is of 3 bins"):
        split_lognormal(small_search, Covariance(np.eye(3), np.eye(3), "made up"))
