"""Speed of the merging solvers on the packaged 160 bins: MERGE-31. Compare groups of one run, not runs.

Run with ``OMP_NUM_THREADS=1 pytest tests/benchmarks/test_bench_merge.py --benchmark-enable``.
"""

import time

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from superbin.domain.aggregate import bin_sums
from superbin.domain.merits import MERITS
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.merge import optimize
from superbin.merge.branch import Limits
from superbin.merge.constraints import Constraints, rules
from superbin.merge.fleet import own_best
from superbin.merge.greedy import greedy
from superbin.merge.problem import Problem, problem_from
from superbin.merge.rectangles import rectangles
from superbin.merge.shapes import SOLVERS, Shape, Task


@pytest.fixture(scope="module")
def matrix(cms_search: Search) -> np.ndarray:
    """Systematics fully correlated per process."""
    parts = [p.estimate for p in cms_search.processes]
    stat = np.diag(np.sum([e.stat_up**2 for e in parts], axis=0))
    return np.asarray(stat + np.sum([np.outer(e.syst_up, e.syst_up) for e in parts], axis=0))


def task(search: Search, problem: Problem, figure: str, constraints: Constraints | None = None) -> Task:
    return Task(search, problem, MERITS[figure], rules(problem, constraints or Constraints()), Limits())


@pytest.mark.benchmark(group="free merge of 160 bins, without its text")
@pytest.mark.parametrize("figure", ["s_over_sqrt_bv", "profile_asimov", "midp"])
@pytest.mark.parametrize("correlated", [False, True], ids=["uncorrelated", "correlated"])
def test_free(
    benchmark: BenchmarkFixture,
    cms_search: Search,
    t1bbbb: SignalModel,
    matrix: np.ndarray,
    figure: str,
    correlated: bool,
) -> None:
    """MERGE-15, MERGE-16, MERGE-18: this times the free search, certified except for mid-p."""
    problem = problem_from(bin_sums(cms_search, t1bbbb), matrix if correlated else None)
    archive, proof = benchmark(SOLVERS["free"], task(cms_search, problem, figure), 1)
    assert archive.found
    assert proof.complete == (figure != "midp")


@pytest.mark.benchmark(group="other shapes and sizes of 160 bins")
@pytest.mark.parametrize(
    ("shape", "figure", "size"),
    [
        ("rectangle", "midp", None),
        ("two rectangles", "midp", None),
        ("two rectangles", "profile_asimov", None),
        ("connected", "midp", None),
        ("free", "profile_asimov", 10),
        ("free", "midp", 10),
    ],
)
def test_shapes(
    benchmark: BenchmarkFixture,
    cms_search: Search,
    t1bbbb: SignalModel,
    shape: Shape,
    figure: str,
    size: int | None,
) -> None:
    """MERGE-17, MERGE-19: this times other shapes and an exact number of bins."""
    problem = problem_from(bin_sums(cms_search, t1bbbb))
    work = task(cms_search, problem, figure, Constraints(exactly=size))
    archive, _ = benchmark(SOLVERS[shape], work, 1)
    assert archive.found


@pytest.mark.benchmark(group="parts")
@pytest.mark.parametrize("part", ["rectangles", "greedy", "fast", "all"])
def test_parts(benchmark: BenchmarkFixture, cms_search: Search, t1bbbb: SignalModel, part: str) -> None:
    """MERGE-31: enumeration, the baseline, one of many models, and `optimize` with its text."""
    sums = bin_sums(cms_search, t1bbbb)
    problem = problem_from(sums)
    checked = rules(problem, Constraints())
    if part == "rectangles":
        assert len(benchmark(rectangles, cms_search)) > 1000
    elif part == "greedy":
        assert benchmark(greedy, sums).value > 1
    elif part == "fast":
        assert benchmark(own_best, problem, MERITS["midp"], checked)[1] > 1
    else:
        assert benchmark(optimize, cms_search, t1bbbb).value > 1


def test_ratios(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-31: what must stay cheap relative to the baseline, on whatever machine runs this."""
    sums = bin_sums(cms_search, t1bbbb)
    problem = problem_from(sums)

    def seconds(figure: str) -> float:
        start = time.process_time()
        SOLVERS["free"](task(cms_search, problem, figure), 1)
        return time.process_time() - start

    greedy(sums)
    start = time.process_time()
    greedy(sums)
    baseline = time.process_time() - start
    assert min(seconds("profile_asimov") for _ in range(3)) < baseline
    assert min(seconds("midp") for _ in range(3)) < 30 * baseline
