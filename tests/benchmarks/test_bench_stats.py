"""Throughput of superbin.stats; compare groups of one run, not runs.

Run with ``pytest tests/benchmarks/test_bench_stats.py --benchmark-enable``.
"""

import math
import random

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from superbin import stats as superstats
from superbin import workspace
from superbin.domain.aggregate import Background
from superbin.stats.arguments import FloatArray

ROWS = 10_000


def rows(low: float, high: float, down: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Excesses of 0 to 6 sigma over backgrounds between two powers of ten."""
    generator = np.random.default_rng(1)
    b = 10 ** generator.uniform(low, high, ROWS)
    up = b * generator.uniform(0.05, 0.8, ROWS)
    n = np.round(b + generator.uniform(0, 6, ROWS) * np.sqrt(b + up * up)) + 1
    return n, b, up, b * (generator.uniform(0.05, 0.7, ROWS) if down == 0 else down)


@pytest.mark.benchmark(group="10000 exact p-values")
@pytest.mark.parametrize(
    "regime", [(-1.5, 1, 0), (1, 3, 0), (-1.5, 1, 1)], ids=["low", "high", "linear-branch"]
)
def test_exact(benchmark: BenchmarkFixture, regime: tuple[float, float, float]) -> None:
    """STAT-6: arrays."""
    assert np.isfinite(benchmark(superstats.midp, *rows(*regime))).all()


@pytest.mark.benchmark(group="10000 asymptotic Z")
def test_asymptotic(benchmark: BenchmarkFixture) -> None:
    """STAT-10: arrays."""
    assert np.isfinite(benchmark(superstats.asymptotic_z, *rows(-1.5, 1, 0))).all()


@pytest.mark.benchmark(group="one p-value")
def test_scalar(benchmark: BenchmarkFixture) -> None:
    """STAT-9: one exact p-value from Python floats."""
    assert benchmark(superstats.midp, 40, 25, 5, 5) == pytest.approx(0.0271, abs=1e-4)


@pytest.mark.benchmark(group="one p-value")
def test_toys(benchmark: BenchmarkFixture) -> None:
    """STAT-13: a million toys."""
    result = benchmark(superstats.throw, 40, 25, 5, 5)
    assert result.toys == 1_000_000


@pytest.mark.benchmark(group="one p-value")
def test_toys_in_a_python_loop(benchmark: BenchmarkFixture) -> None:
    """The CMS Mini Analysis Tool's way, from its description, with a hundredth of the toys."""

    def loop() -> float:
        source = random.Random(1)
        above = equal = 0
        for _ in range(10_000):
            z = source.gauss(0, 1)
            mean = 25 * (1.2**z if z >= 0 else 0.8**-z)
            count, product, floor = 0, source.random(), math.exp(-mean)
            while product > floor:
                count, product = count + 1, product * source.random()
            above, equal = above + (count > 40), equal + (count == 40)
        return (above + 0.5 * equal) / 10_000

    assert benchmark(loop) == pytest.approx(0.0271, abs=0.01)


@pytest.mark.benchmark(group="one p-value")
def test_weighted_toys(benchmark: BenchmarkFixture) -> None:
    """STAT-21: 50 000 importance-sampled toys."""
    assert benchmark(superstats.throw_weighted, 40, 25, 5, 5).midp == pytest.approx(0.0271, rel=0.05)


@pytest.mark.benchmark(group="one p-value")
def test_pyhf_asymptotic(benchmark: BenchmarkFixture) -> None:
    """STAT-10: pyhf's q0 on the exported workspace."""
    document = workspace.background_only(40, Background(25, 5, 5))
    assert benchmark(workspace.asymptotic_q0, document).p == pytest.approx(0.0275, abs=1e-4)


@pytest.mark.benchmark(group="1000 q0 toys")
def test_q0_toys(benchmark: BenchmarkFixture) -> None:
    """STAT-22: ours, to be held against a fiftieth of them by pyhf."""
    assert benchmark(superstats.throw_q0, 40, 25, 5, 5, toys=1000).p < 0.1


@pytest.mark.benchmark(group="1000 q0 toys")
def test_pyhf_toys(benchmark: BenchmarkFixture) -> None:
    """STAT-22: 10 toys of each hypothesis by pyhf's ToyCalculator."""
    pyhf = pytest.importorskip("pyhf")
    space = pyhf.Workspace(workspace.background_only(40, Background(25, 5, 5)))
    model = space.model()
    calculator = pyhf.infer.calculators.ToyCalculator(
        space.data(model), model, test_stat="q0", ntoys=10, track_progress=False
    )
    assert len(benchmark(calculator.distributions, 0.0)) == 2


@pytest.mark.benchmark(group="one limit")
@pytest.mark.parametrize("uncertainty", [0.0, 0.2])
def test_exact_limit(benchmark: BenchmarkFixture, uncertainty: float) -> None:
    """STAT-17: exact CLs, without and with signal uncertainty."""
    limit = benchmark(superstats.limits.cls_limit, 40, 25, 5, 5, signal_uncertainty=uncertainty)
    assert 29 < limit < 32


@pytest.mark.benchmark(group="one limit")
def test_asymptotic_limit(benchmark: BenchmarkFixture) -> None:
    """STAT-18: asymptotic CLs."""
    assert benchmark(superstats.limits.asymptotic_limit, 40, 25, 5, 5) == pytest.approx(29.06, abs=0.1)
