"""How long the published likelihood takes; run with ``pytest --benchmark-enable tests/benchmarks``."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from superbin.catalog import open_catalog
from superbin.domain.signal import SignalModel
from superbin.likelihood import Fitter, PublishedLikelihood, evaluate
from superbin.likelihood.fit import single_threaded


@cache
def packaged(search: str) -> PublishedLikelihood:
    with open_catalog("sqlite://") as catalog:
        return catalog.published_likelihood(search)


Benchmark = Callable[..., Any]


@pytest.fixture(scope="module")
def fitter(t1bbbb: SignalModel) -> Fitter:
    """All 520 channels."""
    return Fitter(packaged("cms-pas-sus-16-014").model(t1bbbb.yields))


def test_bench_likelihood_value(benchmark: Benchmark, fitter: Fitter) -> None:
    """LIK-28: this times one value of the likelihood, which is finite."""
    x = fitter.objective.initial
    assert np.isfinite(benchmark(fitter.objective.nll, x, fitter.observed))


def test_bench_likelihood_gradient(benchmark: Benchmark, fitter: Fitter) -> None:
    """LIK-28: this times one gradient of the likelihood, which is finite."""
    point = benchmark(fitter.objective.point, fitter.objective.initial, fitter.observed)
    assert np.isfinite(point.gradient).all()


def test_bench_likelihood_factor(benchmark: Benchmark, fitter: Fitter) -> None:
    """LIK-28: assemble and factorise the Hessian."""
    objective = fitter.objective
    point = objective.point(objective.initial, fitter.observed)
    curvature = objective.curvature(point, fitter.observed, convex=True)
    with single_threaded():
        assert benchmark(objective.factor, curvature, np.ones(objective.n_parameters, dtype=bool)) is not None


def test_bench_likelihood_cold_fit(benchmark: Benchmark, fitter: Fitter) -> None:
    """LIK-28: both branches."""
    assert benchmark.pedantic(fitter.fit, rounds=3).ok  # type: ignore[attr-defined]


def test_bench_likelihood_warm_fit(benchmark: Benchmark, fitter: Fitter) -> None:
    """LIK-28: along mu."""
    start = fitter.fit(mu=0.5)
    assert benchmark(fitter.fit, mu=0.6, start=start).ok


def test_bench_likelihood_everything(benchmark: Benchmark, fitter: Fitter) -> None:
    """LIK-28: strength, significance and limits with bands."""
    assert benchmark.pedantic(evaluate, args=(fitter,), rounds=1).status == "converged"  # type: ignore[attr-defined]
