"""Bounds on the exact figure of merit by cells: never below what any set reaches, and what they say."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superbin import analyze
from superbin.domain.aggregate import BinSums
from superbin.domain.merits import MERITS
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.domain.sums import Totals
from superbin.errors import InputError
from superbin.merge import Constraints, Limits, cells, optimize, planes
from superbin.merge.archive import Archive
from superbin.merge.cells import Cells, cell_bound, midp_at_most
from superbin.merge.constraints import rules
from superbin.merge.downward import DownwardVariance
from superbin.merge.exhaustive import every_set
from superbin.merge.least_limits import least_events
from superbin.merge.planes import Settled, exact_bound, plane_bound
from superbin.merge.problem import Problem, problem_from
from superbin.merge.relax import own_variances
from superbin.merge.shapes import Task, solve
from superbin.merge.solve import status
from superbin.merge.tails import Ranges, log_midp_at_least, midp_at_least
from superbin.stats import pvalue

KINDS = ("plain", "empty", "correlated", "negative", "degenerate")


def drawn(seed: int) -> Problem:
    """Seven or eight bins: zero backgrounds, covariances of every sign and rank, signals from weak to strong."""
    rng = np.random.default_rng(seed)
    kind, n = KINDS[seed % len(KINDS)], int(rng.integers(7, 9))
    s = rng.exponential(1, n) * 10 ** rng.uniform(-2, 1.5)
    b = 10 ** rng.uniform(-1.5, 2.5, n)
    up = b * 10 ** rng.uniform(-2, 0.3, n)
    down = np.minimum(up * rng.uniform(0.2, 1.1, n), b)
    if kind == "empty":
        b[:3], down[:3], up[:3] = 0.0, 0.0, rng.uniform(0.1, 2, 3)
    covariance = None
    if kind in KINDS[2:]:
        factors = rng.normal(size=(n, 2 if kind == "degenerate" else n + 2))
        matrix = (np.abs(factors) if kind == "correlated" else factors) @ (
            np.abs(factors) if kind == "correlated" else factors
        ).T
        scale = up / np.sqrt(np.diag(matrix))
        covariance = matrix * np.outer(scale, scale)
    return problem_from(BinSums(s, b, up**2, down**2), covariance)


@pytest.fixture(autouse=True, scope="module")
def shared_soon() -> Iterator[None]:
    """Own variances are split off again in these small problems, too, and bins are chosen one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_SHARED", 10)
        patch.setattr(planes, "_FEW", 4)
        yield


@pytest.mark.parametrize("figure", ["midp", "limit"])
@given(
    seed=st.integers(0, 2**32 - 1), nodes=st.sampled_from([1, 40, 400]), size=st.sampled_from([None, 2, 4])
)
@settings(max_examples=15, deadline=None)
def test_never_below_any_set(figure: str, seed: int, nodes: int, size: int | None) -> None:
    """MERGE-71: whenever the proof stops, no allowed set exceeds its bound; complete, the best found is within a thousandth."""
    problem, merit = drawn(seed), MERITS[figure]
    checked = rules(problem, Constraints(exactly=size))
    archive = Archive(problem, merit, checked)
    every = Archive(problem, merit, checked, keep=1)
    for sets in every_set(checked.required, checked.possible):
        every.evaluate(sets)
    best = every.best[1]
    archive.evaluate(np.eye(problem.n_bins, dtype=bool))
    limits = Limits(gap=1e-3, nodes=nodes, seconds=30)
    found = exact_bound(archive, merit.largest, checked, limits, least_down=merit.least_down)
    assert found.bound >= best
    if found.complete:
        assert archive.best[1] >= best / 1.001


@pytest.mark.parametrize("seed", [0, 2])
def test_settled_cells_hold_every_set(seed: int) -> None:
    """MERGE-71: what is handed over for a second opinion covers all sets, and each cell's bound holds for the sets in it."""
    problem = drawn(seed)
    checked = rules(problem, Constraints())
    archive = Archive(problem, MERITS["midp"], checked)
    record: list[Cells] = []
    found = cell_bound(
        archive, MERITS["midp"].largest, checked, Limits(gap=0.1, nodes=10**6, seconds=30), record=record
    )
    assert found.complete
    sets = np.concatenate(list(every_set(checked.required, checked.possible)))[1:]
    totals = problem.totals(sets)
    down = sets @ np.sqrt(problem.variance_down) if problem.covariance_up is not None else totals.down**2
    if problem.covariance_up is None:
        down = sets @ problem.variance_down
    points = np.stack([totals.background, totals.up**2, down], axis=1)
    values = MERITS["midp"](totals)
    covered = np.zeros(len(sets), dtype=bool)
    for settled in record:
        for i in range(len(settled)):
            fits = ((settled.state[i] == 0) | (sets == (settled.state[i] > 0))).all(axis=1)
            fits &= (points >= settled.low[i] * (1 - 1e-9)).all(axis=1) & (
                points <= settled.high[i] * (1 + 1e-9)
            ).all(axis=1)
            assert (values[fits] <= max(settled.bound[i], found.bound) * (1 + 1e-12)).all()
            covered |= fits
    assert covered.all()


@pytest.mark.parametrize("seed", [2, 3, 7, 8])
def test_settled_boxes_hold_every_set(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """MERGE-71: with correlations, every set is in a settled box, and no set of a node is above its plane."""
    monkeypatch.setattr(planes, "_FEW", 3)
    problem = drawn(seed)
    problem = problem.for_signal(problem.signal + problem.background / 5)
    covariance = problem.covariance_up
    assert covariance is not None
    checked = rules(problem, Constraints())
    archive = Archive(problem, MERITS["midp"], checked)
    archive.evaluate(np.eye(problem.n_bins, dtype=bool))
    record: list[Settled] = []
    limits = Limits(gap=0.1, nodes=10**6, seconds=60)
    assert plane_bound(archive, MERITS["midp"].largest, checked, limits, record=record).complete
    sets = np.concatenate(list(every_set(checked.required, checked.possible)))[1:]
    # Without signal a set is no candidate.
    sets = sets[(sets & (problem.signal > 0)).any(axis=1)]
    totals, w = problem.totals(sets), sets.astype(np.float64)
    points = np.stack([totals.background, totals.up**2], axis=1)
    covered = np.zeros(len(sets), dtype=bool)
    for settled in record:
        of_node = ((settled.state == 0) | (sets == (settled.state > 0))).all(axis=1)
        for low, high in zip(settled.low, settled.high, strict=True):
            inside = (points >= low * (1 - 1e-9)).all(axis=1) & (points <= high * (1 + 1e-9)).all(axis=1)
            covered |= of_node & inside
        for c, d, start, own in zip(settled.c, settled.d, settled.fractions, settled.own, strict=True):
            matrix = covariance - np.diag(own)
            scores = problem.signal - c * problem.background - d * (own + 2 * matrix @ start)
            most = w @ scores + d * (start @ matrix @ start) + points @ [c, d]
            assert (totals.signal[of_node] <= most[of_node] + 1e-9 * problem.signal.sum()).all()
    assert covered.all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_no_downward_variance_beyond(seed: int) -> None:
    """MERGE-71: the downward variance of every set lies between the ends that follow from its upward one."""
    problem = drawn(seed)
    every = np.ones(problem.n_bins, dtype=bool)
    w = np.concatenate(list(every_set(~every, every)))[1:].astype(np.float64)
    up, down = (
        w @ variance if matrix is None else np.einsum("ij,ij->i", w @ matrix, w)
        for variance, matrix in (
            (problem.variance_up, problem.covariance_up),
            (problem.variance_down, problem.covariance_down),
        )
    )
    least, most = DownwardVariance(problem, every).between(
        up, up, every[None, :].astype(np.float64), w @ problem.background
    )
    slack = 1e-9 * problem.variance_down.sum()
    assert (down >= least - slack).all()
    assert (down <= most + slack).all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_least_p_value_of_a_range(seed: int) -> None:
    """MERGE-71: no background of a range has a smaller mid-p-value; a range of one background has its own, nearly."""
    rng = np.random.default_rng(seed)
    n = 40
    low = 10 ** rng.uniform(-2, 4, n)
    high = low * (1 + 10 ** rng.uniform(-3, 0, n))
    up = low * 10 ** rng.uniform(-2.5, 1, n)
    down = low * np.minimum(10 ** rng.uniform(-2, 0.2, n), 1)
    signal = rng.uniform(0, 6, n) * np.sqrt(high + up**2) + rng.uniform(0, 3, n)
    ranges = Ranges(low, high, up, down, up, down)
    least, below = midp_at_least(signal, ranges)
    assert (below <= least * 1.001).all()
    for f in (0.0, 0.3, 1.0):
        for wider, narrower in ((1.0, 1.0), (1.4, 0.6)):
            b = low + (high - low) * f
            assert (least <= pvalue.midp(signal + b, b, up * wider, np.minimum(down * narrower, b))).all()
        logarithm = pvalue.log_midp(signal + low, low, up, down)
        assert (log_midp_at_least(signal, ranges) <= logarithm).all()
    same, _ = midp_at_least(signal, Ranges(low, low, up, down, up, down))
    exact = pvalue.midp(signal + low, low, up, down)
    assert (same <= exact).all()
    seen = exact > 1e-250
    assert np.median(same[seen] / exact[seen]) > 1 - 1e-5


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None)
def test_least_limit_of_a_range(seed: int) -> None:
    """MERGE-71: no background of a range has a lower median limit; one background has its own, nearly, where it is smooth."""
    rng = np.random.default_rng(seed)
    n = 12
    low = 10 ** rng.uniform(-2, 4, n)
    low[:2] = 0.0
    high = low * (1 + 10 ** rng.uniform(-3, 0.3, n))
    up = np.maximum(low, 0.3) * 10 ** rng.uniform(-2.5, 0.8, n)
    most_up = up * (1 + rng.uniform(0, 1, n))
    down = high * np.minimum(10 ** rng.uniform(-2, 0.2, n), 1)
    least_down = np.minimum(down * rng.uniform(0, 1, n), low)
    ranges = Ranges(low, high, up, down, most_up, least_down)
    least = least_events(ranges)
    for f, g, h in rng.uniform(size=(4, 3)).round():
        b = low + (high - low) * f
        here = np.minimum(least_down + (down - least_down) * h, b)
        totals = Totals(np.ones(n), b, up + (most_up - up) * g, here)
        limits = 1 / MERITS["limit"](totals)
        assert (least <= limits * (1 + 1e-9)).all()
        alone = least_events(Ranges.points(totals))
        assert (alone <= limits * (1 + 1e-9)).all()
        width = np.maximum(totals.up, here) / np.sqrt(b + 1)
        smooth = (width < 12) & (here < 0.8 * b)
        assert alone[smooth] == pytest.approx(limits[smooth], rel=2e-3)
    wanted = least * 0.7
    assert (least_events(ranges, wanted) >= wanted * (1 - 1e-12)).all()


def test_limit_of_few_bins_is_certified() -> None:
    """MERGE-33: where every set is bounded by itself, the lowest limit is proved; without time, nothing is."""
    for seed in range(5):
        problem = drawn(seed)
        merit, checked = MERITS["limit"], rules(problem, Constraints())
        every = Archive(problem, merit, checked, keep=1)
        for sets in every_set(checked.required, checked.possible):
            every.evaluate(sets)
        quick, none = solve(Task(None, problem, merit, checked, Limits()), "free", 1)
        archive, proof = solve(Task(None, problem, merit, checked, Limits(exact_seconds=1)), "free", 1)
        assert none.bound is None
        assert proof.complete
        assert archive.best[1] == pytest.approx(every.best[1], rel=1e-9)
        assert archive.best[1] >= quick.best[1]


@pytest.mark.parametrize("figure", ["midp", "limit"])
def test_bounds_of_shapes(cms_search: Search, t1bbbb: SignalModel, figure: str) -> None:
    """MERGE-19: a rectangle is certified; other shapes are bounded by the free optimum, which is no worse."""
    limits = Limits(exact_seconds=0.5)
    one, two, free = (
        optimize(cms_search, t1bbbb, figure_of_merit=figure, shape=shape, limits=limits)
        for shape in ("rectangle", "two rectangles", "free")
    )
    assert one.status == "certified"
    assert one.value <= two.value * (1 + 1e-12) <= free.value * (1 + 2e-12)
    assert two.bound is not None
    assert two.bound >= free.value


def test_significances_beyond_underflow() -> None:
    """MERGE-71: p-values far below the smallest number still bound the significance, within a hundredth."""
    count, b = np.array([1500.0, 7000.0, 4e4]), np.array([100.0, 900.0, 8000.0])
    exact = pvalue.midp_significance(count, b, b / 100, b / 100)
    bound = midp_at_most(count - b, Ranges(b, b, *[b / 100] * 4))
    assert (exact > 37).all()
    assert (bound >= exact).all()
    assert bound == pytest.approx(exact, rel=0.01)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_own_variances_leave_a_covariance(seed: int, n: int) -> None:
    """MERGE-71: of any rank and sign."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n, int(rng.integers(1, 2 * n))))
    matrix = factors @ factors.T * 10 ** rng.uniform(-3, 3)
    own = own_variances(matrix, rng.uniform(size=n))
    assert (own >= 0).all()
    assert np.linalg.eigvalsh(matrix - np.diag(own))[0] >= -1e-9 * np.diag(matrix).max()


@pytest.mark.parametrize(
    ("complete", "gap", "said"),
    [
        (True, 9e-4, "certified"),
        (False, None, "best found"),
        (False, 0.0123, "within 1.3 %"),
        (False, 0.0120, "within 1.2 %"),
        (False, 0.00999, "within 1 %"),
        (False, 1.5, "within 150 %"),
        (False, 0.101, "within 11 %"),
    ],
)
def test_what_is_said(complete: bool, gap: float | None, said: str) -> None:
    """MERGE-72: rounded up to two digits, so that the words are no stronger than the proof."""
    assert status(complete, gap) == said
    if gap is not None and not complete:
        assert float(said.split()[1]) >= 100 * gap * (1 - 1e-9)


def test_packaged_model(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-72: without time nothing is proved; with a little, the bound bounds what is found with more."""
    quick = optimize(cms_search, t1bbbb)
    assert (quick.status, quick.bound) == ("best found", None)
    said = optimize(cms_search, t1bbbb, limits=Limits(exact_seconds=0.3))
    assert said.bound is not None
    assert said.gap is not None
    assert said.value >= quick.value
    assert said.bound >= quick.value
    assert said.status == status(said.gap <= 1e-3 * (1 + 1e-9), said.gap)
    assert math.isclose(said.gap, said.bound / said.value - 1)
    with pytest.raises(InputError, match="seconds is nan"):
        analyze(cms_search, t1bbbb, toys=0, seconds=math.nan)
