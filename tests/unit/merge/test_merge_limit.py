"""Merges for the lowest expected limit: clauses MERGE-5, MERGE-32 and MERGE-33."""

import numpy as np
import pytest
from scipy.optimize import brentq

from superbin._support.arrays import FloatArray
from superbin.domain.aggregate import BinSums, bin_sums, combine
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.domain.sums import Totals
from superbin.errors import InputError
from superbin.merge import MERITS, Constraints, Limits, optimize
from superbin.merge.branch import Limits as ProofLimits
from superbin.merge.constraints import rules
from superbin.merge.exclusion import asimov_exclusion, quick_limit, rough_limit
from superbin.merge.fleet import own_best
from superbin.merge.problem import BoolArray, Problem, problem_from
from superbin.merge.rectangles import rectangles
from superbin.merge.shapes import Task, certify, solve
from superbin.stats.limits import expected_limits


def random_problem(rng: np.random.Generator, n: int, *, correlated: bool) -> Problem:
    """Few and many events, empty bins, and covariances of any sign."""
    s = rng.exponential(1, n) * rng.integers(0, 3, n) * 10 ** rng.uniform(-1, 1)
    s[rng.integers(n)] += 1
    b = 10 ** rng.uniform(-1.5, 2, n)
    sigma = b * 10 ** rng.uniform(-1.2, 0.1, n)
    if rng.random() < 0.3:
        empty = rng.integers(n)
        b[empty], sigma[empty] = 0.0, 1.84
    covariance = None
    if correlated:
        factors = rng.normal(size=(n, int(rng.choice([2, n]))))
        matrix = factors @ factors.T + 0.1 * np.eye(n)
        unit = sigma / np.sqrt(np.diag(matrix))
        covariance = matrix * np.outer(unit, unit)
    return problem_from(BinSums(s, b, sigma**2, np.minimum(sigma, b) ** 2), covariance)


def every_set(n: int) -> BoolArray:
    table: BoolArray = (np.arange(1, 1 << n)[:, None] >> np.arange(n)) % 2 == 1
    return table


def textbook(s: float, b: float, v: float) -> float:
    """q of a signal on n = b: the background fitted under it from the quadratic equation, put into the likelihood."""
    fitted = ((s + b - v) + np.sqrt((s + b - v) ** 2 + 4 * b * v)) / 2
    poisson = 2 * (fitted - b + (b * np.log(b / fitted) if b > 0 else 0.0))
    return float(poisson + (fitted - s - b) ** 2 / v)


def by_bisection(problem: Problem, sets: BoolArray) -> FloatArray:
    """1/mu of the asymptotic limit of sets, from the textbook's q."""
    w = sets.astype(float)
    s, b = w @ problem.signal, w @ problem.background
    matrix = problem.covariance_up if problem.covariance_up is not None else np.diag(problem.variance_up)
    v = np.maximum(np.einsum("ij,ij->i", w @ matrix, w), 1e-12)
    # One-sided 1.96 sigma: CLs = (1 - Phi(1.9600)) / (1/2) = 5 %.
    limits = [
        brentq(lambda x, b=b[i], v=v[i]: textbook(x, b, v) - 1.9599639845400545**2, 1e-3, 1e4, xtol=1e-12)
        for i in range(len(w))
    ]
    return np.asarray(s / np.array(limits))


def test_figures_against_textbook_and_the_statistics_room() -> None:
    """MERGE-5: limits of random yields; the ranking stand-ins are close to what they stand for."""
    rng = np.random.default_rng(1)
    n = 60
    b = 10 ** rng.uniform(-1.5, 2.3, n)
    b[:3] = 0.0
    up = np.maximum(b, 0.4) * 10 ** rng.uniform(-1.5, 0.1, n)
    down = np.minimum(up * rng.uniform(0.6, 1, n), b)
    totals = Totals(10 ** rng.uniform(-1, 1.5, n), b, up, down)
    wanted = [expected_limits("cls", *map(float, row)).median for row in zip(b, up, down, strict=True)]
    exact = MERITS["limit"](totals)
    assert exact == pytest.approx(totals.signal / wanted, rel=1e-8)
    assert quick_limit(totals) == pytest.approx(exact, rel=0.02)
    one = Problem(totals.signal, b, up**2, down**2)
    asymptotic = MERITS["asimov_limit"](totals)
    assert asymptotic == pytest.approx(by_bisection(one, np.eye(n, dtype=bool)), rel=1e-8)
    assert rough_limit(totals) == pytest.approx(asymptotic, rel=1e-3)
    q = [textbook(*row) for row in zip(totals.signal, b, up**2, strict=True)]
    assert asimov_exclusion(totals) ** 2 == pytest.approx(q, rel=1e-9)


@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize("constrained", [False, True])
def test_asimov_limit_is_certified(correlated: bool, constrained: bool) -> None:
    """MERGE-32: against every set of 8 bins, with the textbook's q; the bound bounds."""
    rng = np.random.default_rng(2 + correlated + 2 * constrained)
    for _ in range(15):
        problem = random_problem(rng, 8, correlated=correlated)
        constraints = Constraints(
            at_most=3, min_signal=0.3 * float(np.sort(problem.signal)[-3:].sum()) if constrained else 0.0
        )
        constraints = constraints if constrained else Constraints()
        sets = every_set(8)
        if constrained:
            inside = sets.sum(axis=1) <= 3
            sets = sets[inside & (sets @ problem.signal >= constraints.min_signal)]
        sets = sets[sets @ problem.signal > 0]
        best = by_bisection(problem, sets).max()
        # Without a search: free and certified shapes never look at it.
        task = Task(None, problem, MERITS["asimov_limit"], rules(problem, constraints), ProofLimits(gap=1e-7))
        archive = task.archive()
        proof = certify(task, archive)
        assert archive.best[1] == pytest.approx(best, rel=1e-7)
        assert proof.complete
        assert proof.bound is not None
        assert best * (1 - 1e-7) <= proof.bound <= best * (1 + 1e-6)


def test_exact_limit_misses_rarely() -> None:
    """MERGE-33: against every set of 8 bins; the rate is measured in validation/merging."""
    rng = np.random.default_rng(6)
    missed = 0
    for i in range(12):
        problem = random_problem(rng, 8, correlated=bool(i % 2))
        sets = every_set(8)
        # Bins without signal are no candidates.
        sets = sets[~(sets & (problem.signal == 0)).any(axis=1)]
        quick = quick_limit(problem.totals(sets))
        # The stand-in is within two per cent, so the best is among these.
        best = MERITS["limit"](problem.totals(sets[quick > 0.96 * quick.max()])).max()
        task = Task(None, problem, MERITS["limit"], rules(problem, Constraints()), ProofLimits())
        archive, proof = solve(task, "free", 4)
        assert not proof.complete
        assert archive.best[1] <= best * (1 + 1e-9)
        missed += archive.best[1] < best * (1 - 1e-9)
    assert missed == 0


def test_packaged_search(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-12, MERGE-33: the value is that of the bins, not below greedy's, the provable optimum's or a single bin's."""
    found = optimize(cms_search, t1bbbb, figure_of_merit="limit")

    def worth(bins: tuple[int, ...]) -> float:
        merged = combine(cms_search, t1bbbb, bins)
        b = merged.background
        return merged.signal / expected_limits("cls", b.nominal, b.up, b.down).median

    assert found.status == "best found"
    assert found.value == pytest.approx(worth(found.bins), rel=1e-8)
    assert found.greedy.value == pytest.approx(worth(found.greedy.bins), rel=1e-8)
    provable = optimize(cms_search, t1bbbb, figure_of_merit="asimov_limit")
    assert provable.status == "certified"
    discovery = optimize(cms_search, t1bbbb, figure_of_merit="profile_asimov")
    problem = problem_from(bin_sums(cms_search, t1bbbb))
    strongest = np.eye(160, dtype=bool)[t1bbbb.yields > 0.2]
    singles = MERITS["limit"](problem.totals(strongest)).max()
    assert found.value >= max(found.greedy.value, worth(provable.bins), worth(discovery.bins), singles) - 1e-9


def test_unfinished_proofs_and_the_fast_path(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-17, MERGE-28: one node leaves a bound that holds; the search for many signals knows limits, too."""
    size = Constraints(exactly=12, min_background=9.0)
    short, done = (
        optimize(cms_search, t1bbbb, figure_of_merit="asimov_limit", constraints=size, limits=limits)
        for limits in (Limits(nodes=1), Limits())
    )
    assert done.status == "certified"
    assert short.bound is None or short.bound >= done.value * (1 - 1e-9)
    problem = problem_from(bin_sums(cms_search, t1bbbb))
    for figure in ("asimov_limit", "limit"):
        chosen, value = own_best(problem, MERITS[figure], rules(problem, Constraints()))
        assert value == pytest.approx(MERITS[figure](problem.totals(chosen[None, :]))[0], rel=1e-9)
        assert value > 0.9 * optimize(cms_search, t1bbbb, figure_of_merit=figure).value


def test_no_signal() -> None:
    """MERGE-30: a signal that is zero in every bin is refused."""
    ones = np.ones(3)
    with pytest.raises(InputError, match="zero in every bin"):
        problem_from(BinSums(0 * ones, ones, ones, ones))


def test_rectangles_for_the_exact_limit(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-33: ranked by the stand-in, judged exactly, and never called certified."""
    found = optimize(cms_search, t1bbbb, figure_of_merit="limit", shape="rectangle")
    problem = problem_from(bin_sums(cms_search, t1bbbb))
    sets = rectangles(cms_search).sets
    sets = sets[sets @ t1bbbb.yields > 0]
    quick = quick_limit(problem.totals(sets))
    best = MERITS["limit"](problem.totals(sets[quick > 0.96 * quick.max()])).max()
    assert found.value == pytest.approx(best, rel=1e-9)
    assert (found.status, found.bound) == ("best found", None)
