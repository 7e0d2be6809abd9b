"""Merges of regions that overlap, against every allowed set; regions without ranges."""

import dataclasses
import itertools

import numpy as np
import pytest

from superbin import analyze, merge
from superbin.domain.aggregate import bin_sums
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.merge.archive import numbers
from superbin.merge.problem import problem_from
from superbin.merge.shapes import Shape


def regions(
    n: int, seed: int, *, share: float = 0.35, covariance: bool = False
) -> tuple[Search, SignalModel]:
    """Named regions of which some pairs may not be merged."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.uniform(size=(n, n)) > share)
    background = rng.lognormal(1.5, 1.0, n)
    error = background * rng.uniform(0.1, 0.5, n)
    root = rng.normal(size=(n, n))
    matrix = root @ root.T
    scale = error / np.sqrt(np.diag(matrix))
    search = Search.from_arrays(
        "regions",
        observed=rng.poisson(background),
        background=background,
        error=error,
        luminosity_fb=100,
        names=[f"SR{i}" for i in range(n)],
        combinable=upper | upper.T,
        covariance=Covariance.of(matrix * np.outer(scale, scale), source="made") if covariance else None,
    )
    return search, SignalModel("T0", {"m": 1.0}, "regions", rng.exponential(2.0, n) + 0.1, np.zeros(n))


def clean(search: Search, bins: tuple[int, ...]) -> bool:
    assert search.combinable is not None
    return all(search.combinable[i - 1, j - 1] for i, j in itertools.combinations(bins, 2))


@pytest.mark.parametrize("name", merge.MERITS)
@pytest.mark.parametrize("covariance", [False, True])
def test_best_of_all_allowed_sets(name: str, covariance: bool) -> None:
    """MERGE-51: for every figure of merit the free merge is the best of all sets without two regions that overlap."""
    for seed in range(3):
        search, signal = regions(7, seed, covariance=covariance)
        problem = problem_from(bin_sums(search, signal), search.covariance)
        every = np.array(list(itertools.product([False, True], repeat=7))[1:])
        allowed = np.array([clean(search, numbers(row)) for row in every])
        assert 7 < allowed.sum() < len(every)
        values = merge.MERITS[name](problem.totals(every[allowed]))
        found = merge.optimize(search, signal, figure_of_merit=name, covariance=search.covariance)
        assert clean(search, found.bins)
        position = {numbers(row): i for i, row in enumerate(every[allowed])}
        assert values[position[found.bins]] == pytest.approx(values.max(), rel=1e-9)


@pytest.mark.parametrize("name", merge.MERITS)
def test_many_regions(name: str) -> None:
    """MERGE-51: beyond the sets that can all be tried, the merge is still one of exclusive regions, and so are sizes."""
    search, signal = regions(16, 5)
    found = merge.optimize(search, signal, figure_of_merit=name)
    assert clean(search, found.bins)
    assert found.status == "best found"
    none = dataclasses.replace(search, combinable=np.eye(16, dtype=bool))
    single = merge.optimize(none, signal, figure_of_merit=name)
    assert len(single.bins) == 1


@pytest.mark.parametrize("shape", merge.SHAPES)
def test_shapes(shape: Shape) -> None:
    """MERGE-51: ranges that overlap are never merged, in any shape."""
    rng = np.random.default_rng(1)
    low = np.array([0, 1, 2, 3, 4.0])
    high = np.array([1, 2, 3, 5, 5.0])
    overlap = (low[:, None] < high) & (low < high[:, None])
    search = Search.from_arrays(
        "ranges",
        observed=np.full(5, 5.0),
        background=rng.uniform(3, 8, 5),
        error=1.0,
        luminosity_fb=1,
        edges={"x": (low, high)},
        combinable=~overlap,
    )
    signal = SignalModel("T0", {"m": 1.0}, "ranges", rng.uniform(1, 3, 5), np.zeros(5))
    found = merge.optimize(search, signal, shape=shape)
    assert clean(search, found.bins)


def test_regions_without_ranges() -> None:
    """MERGE-50: they are analysed in free shape and called by their names; a rectangle of them is refused."""
    search, signal = regions(6, 2)
    result = analyze(search, signal, toys=0)
    assert clean(search, tuple(row.number for row in result.bins))
    assert merge.cuts(search, [1, 4]) == ("SR0", "SR3")
    with pytest.raises(InputError, match="names and no ranges"):
        merge.optimize(search, signal, shape="rectangle")
