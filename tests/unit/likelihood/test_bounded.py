"""Fits over normal backgrounds that are not negative, against a bounded quasi-Newton fit of SciPy and brute force."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, minimize
from scipy.stats import norm, poisson

from superbin._support.arrays import FloatArray
from superbin.analysis.answer import simplified_answer
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.likelihood.bounded import Normal, bounded_minimum
from superbin.likelihood.quadratic import simplified_limits


def reference(signal: FloatArray, covariance: FloatArray, counts: FloatArray, mean: FloatArray) -> float:
    """The height of the minimum over mu and the backgrounds, by SciPy."""
    precision = np.linalg.inv(covariance)
    some = counts > 0
    safe = np.where(some, counts, 1.0)

    def height(x: FloatArray) -> tuple[float, FloatArray]:
        lam = np.maximum(x[0] * signal + x[1:], 1e-12)
        off = x[1:] - mean
        w = 1 - counts / lam
        value = (lam - counts + np.where(some, counts * np.log(safe / lam), 0.0)).sum()
        return value + 0.5 * off @ precision @ off, np.concatenate([[signal @ w], w + precision @ off])

    tight: Any = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 20_000, "maxfun": 100_000, "maxcor": 30}
    starts = (np.concatenate([[mu], np.maximum(mean, 0.05)]) for mu in (0.0, 1.0))
    found = [
        minimize(height, x, jac=True, method="L-BFGS-B", bounds=Bounds(0, np.inf), options=tight)
        for x in starts
    ]
    return float(min(one.fun for one in found))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_minimum_is_that_of_a_bounded_fit(seed: int, size: int) -> None:
    """LIK-59: many backgrounds that end at zero, correlations of either sign."""
    rng = np.random.default_rng(seed)
    mean, scale = rng.uniform(0.05, 8.0, size), rng.uniform(0.1, 4.0, size)
    root = rng.normal(size=(size, size + 2))
    root /= np.linalg.norm(root, axis=1)[:, None]
    signal, counts = rng.uniform(0.0, 3.0, size), rng.poisson(mean).astype(float)
    correlation = root @ root.T + 1e-3 * np.eye(size)
    correlation /= np.sqrt(np.outer(np.diag(correlation), np.diag(correlation)))
    factor = np.linalg.cholesky(correlation)
    normal = Normal.make(scale, np.asarray(factor, dtype=np.float64), 1e-9)
    mu, backgrounds, height = bounded_minimum(signal, normal, counts, mean, mean)
    assert mu >= 0
    assert (backgrounds >= 0).all()
    wanted = reference(signal, correlation * np.outer(scale, scale), counts, mean)
    assert height == pytest.approx(wanted, abs=2e-6)


def test_a_background_without_variance_stays() -> None:
    """LIK-59: its bin still counts."""
    normal = Normal.make(np.array([0.0, 1.0]), np.array([[0.0], [1.0]]), 1e-9)
    _, backgrounds, _ = bounded_minimum(
        np.array([1.0, 1.0]), normal, np.array([9.0, 2.0]), np.array([4.0, 2.0]), np.array([4.0, 2.0])
    )
    assert backgrounds[0] == 4.0


def test_backgrounds_that_expect_nothing_do_not_become_negative() -> None:
    """LIK-59: 0 +- 0.5 events cannot make up for a signal; by brute force over the one background."""

    def height(mu: float) -> float:
        b = np.linspace(0.0, 5.0, 20_001)
        return float(-(poisson.logpmf(0, 2 * mu + b) + norm.logpdf(b, 0.0, 0.5)).max())

    found = simplified_limits([0], [0.0], [[0.25]], [2.0])
    assert found.mu == 0.0
    assert found.observed is not None
    # With nothing observed and nothing expected CLs is exp(-2 mu), asymptotically 2 Phi(-sqrt(q)) with q = 4 mu.
    assert 2 * (height(found.observed) - height(0.0)) == pytest.approx(1.959964**2, rel=1e-5)


def test_all_bins_answer_by_the_covariance() -> None:
    """RES-9: one bin by its profile likelihood on a grid of backgrounds; not where the bins may overlap or have no covariance."""
    data = {"observed": [7], "background": [5.0], "error": [1.5], "luminosity_fb": 10.0}
    search = Search.from_arrays("one", **data, covariance=[[2.25]])  # type: ignore[arg-type]
    signal = SignalModel("T", {"m": 1.0}, "one", np.array([4.0]), np.zeros(1), cross_section_pb=0.002)
    answer = simplified_answer(search, signal)
    assert answer is not None
    assert (answer.kind, answer.channels, len(answer.limits)) == ("simplified", 1, 1)
    b = np.linspace(1e-3, 15.0, 30_001)

    def height(mu: float, n: float, centre: float) -> float:
        lam = 4 * mu + b
        return float((lam - n * np.log(lam) + 0.5 * ((b - centre) / 1.5) ** 2).min())

    q0 = 2 * (height(0.0, 7.0, 5.0) - min(height(mu, 7.0, 5.0) for mu in np.linspace(0.4, 0.6, 201)))
    assert answer.mu == pytest.approx(0.5, rel=1e-6)
    assert answer.z == pytest.approx(np.sqrt(q0), rel=1e-4)
    (limit,) = answer.limits
    assert limit.mu.observed is not None
    fitted = float(b[np.argmin(b - 7 * np.log(b) + 0.5 * ((b - 5) / 1.5) ** 2)])
    q = 2 * (height(limit.mu.observed, 7.0, 5.0) - height(0.5, 7.0, 5.0))
    asimov = 2 * (height(limit.mu.observed, fitted, fitted) - height(0.0, fitted, fitted))
    cls = norm.sf(np.sqrt(q)) / norm.cdf(np.sqrt(asimov) - np.sqrt(q))
    assert cls == pytest.approx(0.05, rel=1e-3)
    assert limit.cross_section_fb is not None
    assert limit.cross_section_fb.observed == pytest.approx(2 * limit.mu.observed)
    assert simplified_answer(Search.from_arrays("two", **data), signal) is None  # type: ignore[arg-type]
