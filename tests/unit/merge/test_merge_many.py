"""One merge for many signals, and a few for a grid: clauses MERGE-26 to MERGE-28."""

import itertools

import numpy as np
import pytest

from superbin._arrays import FloatArray
from superbin.errors import InputError
from superbin.merge import common_merge, merges_for_grid
from superbin.search import Estimate, Observable, Process, Search
from superbin.signal import SignalModel

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
    found = common_merge(search, signals, objective="mean")
    assert found.status == "certified"
    assert found.efficiency == pytest.approx(best, rel=1e-9)
    assert found.efficiencies == pytest.approx(efficiencies(search, signals, as_sets((found.bins,)))[0])


@pytest.mark.parametrize("seed", range(12))
def test_worst_case_lies_between_what_is_found_and_the_bound(seed: int) -> None:
    """MERGE-27: against every set; the local search misses rarely and little."""
    search, signals = case(seed, 3)
    best = efficiencies(search, signals, subsets()).min(axis=1).max()
    found = common_merge(search, signals, objective="worst")
    assert found.bound is not None
    assert 0.97 * best <= found.efficiency <= best * (1 + 1e-9)
    assert found.bound >= best * (1 - 1e-9)
    assert min(found.efficiencies) == pytest.approx(found.efficiency)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("figure", ["midp", "s_over_sqrt_bv"])
def test_more_merges_lose_less(exclusive: bool, figure: str) -> None:
    """MERGE-28: the curve falls, losses are those of the sets, exclusive merges share no bin."""
    search, signals = case(3, 6)
    curve = merges_for_grid(search, signals, 4, figure_of_merit=figure, exclusive=exclusive)
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


def test_as_many_merges_as_signals_lose_nothing() -> None:
    """MERGE-28."""
    search, signals = case(5, 3)
    assert merges_for_grid(search, signals, 3)[-1].worst_loss == pytest.approx(0, abs=1e-12)


def test_bad_input() -> None:
    """MERGE-30."""
    search, signals = case(1, 2)
    with pytest.raises(InputError, match="no signal"):
        common_merge(search, [])
    with pytest.raises(InputError, match="objective is 'median'"):
        common_merge(search, signals, objective="median")
    with pytest.raises(InputError, match="k is 0"):
        merges_for_grid(search, signals, 0)
