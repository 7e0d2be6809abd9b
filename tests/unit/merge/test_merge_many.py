"""One merge for many signals, and a few for a grid: clauses MERGE-26 to MERGE-28."""

import dataclasses
import itertools

import numpy as np
import pytest

from superbin._support.arrays import FloatArray
from superbin.domain.aggregate import bin_sums
from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, UnknownNameError
from superbin.merge import MERITS, common_merge, fleet, merges_for_grid
from superbin.merge.many import Objective
from superbin.merge.problem import problem_from

N_BINS = 9


def case(seed: int, n_signals: int) -> tuple[Search, list[SignalModel]]:
    """A row of bins and signals that peak in different places."""
    rng = np.random.default_rng(seed)
    b = 10 ** rng.uniform(0, 2, N_BINS)
    zero = np.zeros(N_BINS)
    place = np.arange(N_BINS, dtype=float)[:, None]
    search = Search(
        "row", "A row", "none", 1.0, 13.0, (Observable("njet", "jets", "", True),), place, place,
        (Process("all", "All", Estimate(b, 0.3 * b, 0.2 * b, zero, zero)),), zero,
    )  # fmt: skip
    signals = [
        SignalModel("bump", {"m": i}, "row", 9 * np.exp(-((place[:, 0] - rng.uniform(0, 8)) ** 2)), zero)
        for i in range(n_signals)
    ]
    return search, signals


def efficiencies(search: Search, signals: list[SignalModel], sets: FloatArray) -> FloatArray:
    """Efficiency of every set for every signal in s/sqrt(b + v), from all sets; shape (n_sets, n_signals)."""
    estimate = search.processes[0].estimate
    every = subsets()
    spread = [np.sqrt(w @ estimate.nominal + w @ estimate.stat_up**2) for w in (every, sets)]
    columns = []
    for signal in signals:
        best = (every @ signal.yields / spread[0]).max()
        columns.append(sets @ signal.yields / spread[1] / best)
    return np.array(columns).T


def subsets() -> FloatArray:
    return np.array([row for row in itertools.product([0.0, 1.0], repeat=N_BINS) if any(row)])


def as_sets(merges: tuple[tuple[int, ...], ...]) -> FloatArray:
    return np.array([[float(i + 1 in bins) for i in range(N_BINS)] for bins in merges])


@pytest.mark.parametrize("seed", range(12))
def test_mean_is_certified(seed: int) -> None:
    """MERGE-26: against every set."""
    search, signals = case(seed, 4)
    best = efficiencies(search, signals, subsets()).mean(axis=1).max()
    found = common_merge(fleet(search, signals, figure_of_merit="s_over_sqrt_bv"), objective="mean")
    assert found.status == "certified"
    assert found.efficiency == pytest.approx(best, rel=1e-9)
    assert found.efficiencies == pytest.approx(efficiencies(search, signals, as_sets((found.bins,)))[0])


@pytest.mark.parametrize("seed", range(12))
def test_worst_case_lies_between_what_is_found_and_the_bound(seed: int) -> None:
    """MERGE-27: against every set; the local search misses rarely and little."""
    search, signals = case(seed, 3)
    best = efficiencies(search, signals, subsets()).min(axis=1).max()
    found = common_merge(fleet(search, signals, figure_of_merit="s_over_sqrt_bv"), objective="worst")
    assert found.bound is not None
    assert 0.97 * best <= found.efficiency <= best * (1 + 1e-9)
    assert found.bound >= best * (1 - 1e-9)
    assert min(found.efficiencies) == pytest.approx(found.efficiency)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("figure", ["midp", "s_over_sqrt_bv"])
def test_more_merges_lose_less(exclusive: bool, figure: str) -> None:
    """MERGE-28: the curve falls, losses are those of the sets, exclusive merges share no bin."""
    search, signals = case(3, 6)
    curve = merges_for_grid(fleet(search, signals, figure_of_merit=figure), 4, exclusive=exclusive)
    losses = [step.mean_loss for step in curve]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 0
    for size, step in enumerate(curve, start=1):
        assert len(step.merges) == size
        assert set(step.assignment) <= set(range(size))
        if exclusive:
            assert sum(map(len, step.merges)) == len(set(itertools.chain(*step.merges)))
        if figure == "s_over_sqrt_bv":
            table = efficiencies(search, signals, as_sets(step.merges))
            assert step.mean_loss == pytest.approx(1 - table.max(axis=0).mean())


@pytest.mark.parametrize("exclusive", [False, True])
def test_no_merge_gains_on_the_best_known(exclusive: bool) -> None:
    """MERGE-28: where the quick search for a signal's own merge missed a better one, losses are against the better one."""
    search, signals = case(3, 6)
    together = fleet(search, signals, figure_of_merit="s_over_sqrt_bv")
    missed = dataclasses.replace(together, best_values=0.8 * together.best_values)
    curve = merges_for_grid(missed, 4, exclusive=exclusive)
    assert all(0 <= step.mean_loss <= step.worst_loss for step in curve)


def test_as_many_merges_as_signals_lose_nothing() -> None:
    """MERGE-28: with as many merges as signals, no signal loses anything."""
    search, signals = case(5, 3)
    assert merges_for_grid(fleet(search, signals), 3)[-1].worst_loss == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("objective", ["mean", "worst"])
@pytest.mark.parametrize("figure", ["s_over_sqrt_bv", "asimov_limit"])
def test_bounds_with_correlations(objective: Objective, figure: str) -> None:
    """MERGE-26, MERGE-27: against every set, for both figures that are proportional to the signal."""
    for seed in range(3):
        search, signals = case(seed, 3)
        sigma = 0.3 * search.processes[0].estimate.nominal
        matrix = np.outer(sigma, sigma) * (0.6 + 0.4 * np.eye(N_BINS))
        together = fleet(search, signals, figure_of_merit=figure, covariance=matrix)
        found = common_merge(together, objective=objective)
        every = subsets().astype(bool)
        values = np.array(
            [MERITS[figure](problem_from(bin_sums(search, s), matrix).totals(every)) for s in signals]
        )
        reached = values / values.max(axis=1, keepdims=True)
        best = (reached.mean(axis=0) if objective == "mean" else reached.min(axis=0)).max()
        assert 0.97 * best <= found.efficiency <= best * (1 + 1e-9)
        assert found.bound is not None
        assert found.bound >= best * (1 - 1e-9)
        if objective == "mean":
            assert found.status == "certified"


def test_signals_nobody_can_find_are_left_out() -> None:
    """MERGE-26: they would say nothing about which merge is good; the rest keeps its order."""
    search, signals = case(2, 3)
    none = SignalModel("none", {"m": 0}, "row", np.zeros(N_BINS), np.zeros(N_BINS))
    faint = SignalModel("faint", {"m": 0}, "row", 1e-3 * signals[0].yields, np.zeros(N_BINS))
    together = fleet(search, [none, signals[0], faint, *signals[1:]], least=0.3)
    assert together.labels == tuple(s.label for s in signals)
    assert together.left_out == ("none(0)", "faint(0)")


def test_exact_limits_for_many() -> None:
    """MERGE-28: the loss is that of the figure itself, also where a stand-in searched."""
    search, signals = case(4, 3)
    together = fleet(search, signals, figure_of_merit="limit")
    (one,) = merges_for_grid(together, 1)
    totals = [problem_from(bin_sums(search, s)).totals(as_sets(one.merges).astype(bool)) for s in signals]
    reached = [MERITS["limit"](t)[0] / best for t, best in zip(totals, together.best_values, strict=True)]
    assert one.mean_loss == pytest.approx(1 - np.mean(reached))


def test_bad_input() -> None:
    """MERGE-30: merges for a grid refuse missing signals, unknown names and bad numbers."""
    search, signals = case(1, 2)
    with pytest.raises(InputError, match="no signal"):
        fleet(search, [])
    with pytest.raises(UnknownNameError, match="'best'"):
        fleet(search, signals, figure_of_merit="best")
    with pytest.raises(InputError, match="least is nan"):
        fleet(search, signals, least=float("nan"))
    with pytest.raises(InputError, match="none of the 2 signals reaches more than 100"):
        fleet(search, signals, least=100)
    together = fleet(search, signals)
    with pytest.raises(InputError, match="objective is 'median'"):
        common_merge(together, objective="median")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="k is 0"):
        merges_for_grid(together, 0)
