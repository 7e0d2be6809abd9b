"""Global p-values against brute force and against cases that can be summed."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats as reference

from superbin import chance
from superbin.catalog import open_catalog
from superbin.chance import assess
from superbin.chance.ensemble import fitted_background, split_lognormal
from superbin.chance.local import family
from superbin.chance.throw import CHUNK, Climb, Reached, merge, throw_chunk
from superbin.domain.aggregate import Background
from superbin.domain.search import Estimate, Process, Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.likelihood import PublishedLikelihood
from superbin.merge.rectangles import rectangles
from superbin.results import PValue, SearchSummary
from superbin.results.scan import ScanPoint, ScanResult
from superbin.stats import midp, midp_significance, tail
from superbin.stats.toys import stream


@cache
def packaged(search: str) -> PublishedLikelihood:
    with open_catalog("sqlite://") as catalog:
        return catalog.published_likelihood(search)


RandomSearch = Callable[[int, int], tuple[Search, SignalModel]]


def certain(search: Search, b: list[float], observed: list[int]) -> Search:
    """The first bins of a search along one axis, with an exactly known background."""
    n, nothing = len(b), np.zeros(len(b))
    process = Process("all", "all", Estimate(np.array(b), *([nothing] * 4)))
    edges = np.arange(n + 1.0)
    return replace(
        search,
        observables=search.observables[1:],
        low=edges[:-1, None],
        high=edges[1:, None],
        processes=(process,),
        shared_stat=(),
        observed=np.array(observed, dtype=np.float64),
    )


def error(p: float, n: int) -> float:
    return math.sqrt(max(p * (1 - p), 1 / n) / n)


def test_against_brute_force(random_search: RandomSearch) -> None:
    """CHANCE-4: every experiment and aggregate by itself, with its own mid-p-value: the same number of hits."""
    search, _ = random_search(6, 5)
    toys = 700
    found = chance.of_rectangles(search, toys=toys, seed=3)
    sets = rectangles(search).sets
    assert found.aggregates == len(sets) == 21
    b = np.sum([p.estimate.nominal for p in search.processes], axis=0)
    tried = family(search, sets, None)

    def largest(counts: np.ndarray) -> np.ndarray:
        z = [
            midp_significance(counts[row].sum(axis=0), b[row].sum(), up, down)
            for row, up, down in zip(sets, tried.up, tried.down, strict=True)
        ]
        return np.asarray(np.max(z, axis=0))

    random, ensemble = stream(3, 0), split_lognormal(search, None)
    counts = np.hstack([ensemble.draw(random, min(256, toys - begin)) for begin in range(0, toys, 256)])
    z = float(largest(search.observed[:, None])[0])
    maxima = largest(counts)
    assert found.excess.local.z == pytest.approx(z, rel=1e-12)
    assert found.chance.hits == (maxima >= z - 1e-9).sum()
    for rung, reached in zip(found.maximum.z, found.maximum.reached, strict=True):
        assert reached == (maxima >= rung - 1e-9).sum()


def test_whole_search_against_matrix_product(cms_search: Search) -> None:
    """CHANCE-4: all rectangles of the packaged search, by a matrix product and the mid-p-value of every sum."""
    sets = rectangles(cms_search).sets
    tried = family(cms_search, sets, cms_search.covariance)
    ladder = np.array([1.5, 2.0, 2.5, 3.0, 4.0])
    expected = np.sum([p.estimate.nominal for p in cms_search.processes], axis=0)
    counts = fitted_background(packaged(cms_search.name)).draw(stream(0, 0), 6)
    rungs = Climb.prepare(tried, expected, ladder).rungs(counts)
    sums = sets.astype(np.float64) @ counts
    z = midp_significance(sums, *(a[:, None] for a in (tried.background, tried.up, tried.down)))
    assert np.array_equal(rungs, np.searchsorted(ladder, np.asarray(z).max(axis=0) + 1e-9))


def test_independent_bins_by_summing(small_search: Search) -> None:
    """CHANCE-4: bins without uncertainty, one aggregate each: 1 - prod P(N_i < n_i), from Poisson sums."""
    b, observed = [0.7, 3.2, 11.0, 40.0], [1, 6, 20, 41]
    search = certain(small_search, b, observed)
    found = chance.of_sets(search, [[1], [2], [3], [4]], toys=40_000, seed=1)
    z = max(float(reference.norm.isf(_mid(n, mean))) for n, mean in zip(observed, b, strict=True))
    assert found.excess.bins == (3,)
    assert found.excess.local.z == pytest.approx(z, rel=1e-9)
    below = 1.0
    for mean in b:
        n = next(n for n in itertools.count() if reference.norm.isf(_mid(n, mean)) >= z - 1e-9)
        below *= reference.poisson.cdf(n - 1, mean)
    assert abs(found.chance.p - (1 - below)) < 4 * error(1 - below, 40_000)
    assert found.chance.p_err == pytest.approx(error(found.chance.p, 40_000), rel=1e-9)


def _mid(n: int, mean: float) -> float:
    return float(reference.poisson.sf(n, mean) + 0.5 * reference.poisson.pmf(n, mean))


def test_all_unions_by_enumeration(small_search: Search) -> None:
    """CHANCE-4: overlapping aggregates, by summing the probability of every outcome of two bins."""
    search = certain(small_search, [1.5, 2.5], [4, 5])
    found = chance.of_rectangles(search, toys=40_000)
    sets = [([0], 1.5), ([1], 2.5), ([0, 1], 4.0)]
    levels = [np.array([reference.norm.isf(_mid(n, mean)) for n in range(61)]) for _, mean in sets]
    first, second = np.meshgrid(np.arange(30), np.arange(30), indexing="ij")
    largest = np.max([levels[0][first], levels[1][second], levels[2][first + second]], axis=0)
    z = largest[4, 5]
    probability = reference.poisson.pmf(first, 1.5) * reference.poisson.pmf(second, 2.5)
    p = float(probability[largest >= z - 1e-9].sum())
    assert abs(found.chance.p - p) < 4 * error(p, 40_000)


@pytest.mark.parametrize("row", range(4))
def test_one_aggregate_has_its_local_chance(small_search: Search, row: int) -> None:
    """CHANCE-4: tried alone, a bin is as significant as its count is reached: the exact tail, above the mid-p."""
    b, up, down = (getattr(split_lognormal(small_search, None), name)[row] for name in ("b", "up", "down"))
    n = int(small_search.observed[row])
    found = chance.of_sets(small_search, [[row + 1]], toys=40_000)
    p = float(tail(n, b, up, down))
    assert found.excess.local.p == pytest.approx(float(midp(n, b, up, down)), rel=1e-9)
    assert abs(found.chance.p - p) < 4 * error(p, 40_000)
    assert found.trials == pytest.approx(found.chance.p / found.excess.local.p)


def test_global_p_values_are_uniform(random_search: RandomSearch) -> None:
    """CHANCE-4: over data from background alone, P(p <= x) is x, up to the steps of whole counts."""
    search, _ = random_search(5, 11)
    ensemble = split_lognormal(search, None)
    data = ensemble.draw(stream(99, 0), 50)
    values = np.array(
        [
            chance.of_rectangles(replace(search, observed=column.astype(np.float64)), toys=800).chance.p
            for column in data.T
        ]
    )
    for x in (0.1, 0.3, 0.5, 0.8):
        assert (values <= x).mean() < x + 4 * error(x, 50)
        assert (values <= x).mean() > x - 0.12 - 4 * error(x, 50)


class TestThrowing:
    def test_workers_and_order_do_not_matter(self, random_search: RandomSearch) -> None:
        """CHANCE-7: the answer is the same for any number of threads."""
        search, _ = random_search(4, 1)
        one, three = (chance.of_rectangles(search, toys=2 * CHUNK + 77, workers=w) for w in (1, 3))
        assert one == three
        assert one.chance.n == 2 * CHUNK + 77
        assert one != chance.of_rectangles(search, toys=2 * CHUNK + 77, seed=1)

    def test_chunks_anywhere(self, random_search: RandomSearch) -> None:
        """CHANCE-7: chunks thrown apart, in another order, add up to the same."""
        search, _ = random_search(4, 2)
        tried = family(search, rectangles(search).sets, None)
        climb = Climb.prepare(tried, np.ones(4), np.array([0.5, 1.0, 2.0]))
        ensemble = split_lognormal(search, None)
        parts = [throw_chunk(climb, ensemble, index=i, toys=500, seed=4) for i in range(3)]
        forth, back = merge(parts), merge(reversed(parts))
        assert forth.toys == back.toys == 1500
        assert np.array_equal(forth.reached, back.reached)
        assert (np.diff(forth.reached) <= 0).all()
        with pytest.raises(InputError, match="seeds"):
            merge([*parts, Reached(1, forth.reached, 5)])
        with pytest.raises(InputError, match="at least one chunk"):
            merge([])

    def test_an_interrupt_keeps_what_was_thrown(self, random_search: RandomSearch) -> None:
        """CHANCE-7: what is complete when interrupted is the result, and says so."""
        search, _ = random_search(4, 1)

        def stop(done: int, total: int) -> None:
            assert total == 10 * CHUNK
            if done == 2 * CHUNK:
                raise KeyboardInterrupt

        found = chance.of_rectangles(search, toys=10 * CHUNK, on_progress=stop)
        assert found.chance.interrupted
        assert found.chance.n == 2 * CHUNK
        whole = chance.of_rectangles(search, toys=2 * CHUNK)
        assert found.maximum == whole.maximum

    def test_an_interrupt_at_once(self, random_search: RandomSearch, monkeypatch: pytest.MonkeyPatch) -> None:
        """CHANCE-7: with nothing thrown there is no result."""

        def stop(*_: object, **__: object) -> Reached:
            raise KeyboardInterrupt

        monkeypatch.setattr(assess, "throw_chunk", stop)
        with pytest.raises(KeyboardInterrupt):
            chance.of_rectangles(random_search(4, 1)[0], toys=10)


class TestResult:
    def test_none_reached(self, small_search: Search) -> None:
        """CHANCE-4: without a hit p is zero with the one-sided limit 1 - 0.05^(1/n), and there is no Z."""
        search = certain(small_search, [1.0, 1.0], [30, 1])
        found = chance.of_rectangles(search, toys=1000).chance
        assert (found.hits, found.p, found.z) == (0, 0.0, None)
        assert found.p_upper == pytest.approx(1 - 0.05**0.001, rel=1e-9)
        assert found.p_err == pytest.approx(1e-3, rel=1e-3)

    def test_all_reached(self, small_search: Search) -> None:
        """CHANCE-4: data below every expectation: p is one."""
        search = certain(small_search, [9.0, 9.0], [0, 0])
        found = chance.of_sets(search, [[1, 2]], toys=500)
        assert (found.chance.hits, found.chance.p, found.chance.p_upper, found.chance.z) == (
            500,
            1.0,
            1.0,
            None,
        )

    def test_upper_limit(self, small_search: Search) -> None:
        """CHANCE-4: at the upper limit so few hits have probability 5 %."""
        found = chance.of_sets(small_search, [[1]], toys=300).chance
        assert reference.binom.cdf(found.hits, 300, found.p_upper) == pytest.approx(0.05, rel=1e-6)

    def test_says_what_was_tried(self, small_search: Search) -> None:
        """CHANCE-1: in words, with the number of distinct aggregates."""
        found = chance.of_rectangles(small_search, toys=100)
        assert found.aggregates == 9
        assert found.tried == (
            "all 9 distinct sets of the 4 bins that one range in each of njet, mht selects exactly"
        )
        assert chance.of_sets(small_search, [[1, 2], [2, 1, 1], [4]], toys=100).aggregates == 2

    def test_certain_data(self, small_search: Search) -> None:
        """CHANCE-4: events where nothing can be expected have no finite significance: refused."""
        search = certain(small_search, [1.0, 0.0], [1, 1])
        with pytest.raises(InputError, match="bins 2 of 'small' hold events"):
            chance.of_rectangles(search, toys=10)

    @pytest.mark.parametrize(
        ("change", "text"),
        [({"toys": 0}, "toys = 0"), ({"seed": -1}, "seed = -1"), ({"workers": 0}, "workers = 0")],
    )
    def test_bad_numbers(self, small_search: Search, change: dict[str, Any], text: str) -> None:
        """CHANCE-4: numbers out of range are refused before anything is thrown."""
        with pytest.raises(InputError, match=text):
            chance.of_sets(small_search, [[1]], **change)

    def test_no_sets(self, small_search: Search) -> None:
        """CHANCE-1: an empty list of sets and a set with an unknown bin are refused."""
        with pytest.raises(InputError, match="no set of bins"):
            chance.of_sets(small_search, [])
        with pytest.raises(InputError, match="bin 9 does not exist"):
            chance.of_sets(small_search, [[9]])


def scan_of(search: Search, points: list[ScanPoint]) -> ScanResult:
    summary = SearchSummary.of(search)
    return ScanResult(summary, "T0", ("m",), {"correlations": "none"}, tuple(points), "0.1.0")


def done(mass: float, *bins: int) -> ScanPoint:
    return ScanPoint({"m": mass}, "done", bins=bins, expected=PValue(0.1, 1.3))


class TestScan:
    def test_distinct_aggregates(self, small_search: Search) -> None:
        """CHANCE-1: points that chose the same bins count once, and the largest names the signals that chose it."""
        points = [
            done(1, 1),
            done(2, 1, 2),
            done(3, 1),
            done(4, 4),
            ScanPoint({"m": 5.0}, "failed", reason="x"),
        ]
        found = chance.of_scan(small_search, scan_of(small_search, points), toys=3000)
        assert found.aggregates == 3
        assert found.tried == "the 3 distinct aggregate bins of 4 T0 points, each chosen from expectations"
        alone = chance.of_sets(small_search, [[1], [1, 2], [4]], toys=3000)
        assert found.chance == alone.chance
        assert found.excess == replace(alone.excess, models=found.excess.models)
        by_bins = {(1,): ("T0(1)", "T0(3)"), (1, 2): ("T0(2)",), (4,): ("T0(4)",)}
        assert found.excess.models == by_bins[found.excess.bins]

    def test_another_search(self, small_search: Search) -> None:
        """CHANCE-1: a scan of other numbers is refused."""
        scan = scan_of(replace(small_search, luminosity_fb=11.0), [done(1, 1)])
        with pytest.raises(InputError, match="scan it again"):
            chance.of_scan(small_search, scan)

    def test_nothing_finished(self, small_search: Search) -> None:
        """CHANCE-1: a scan without a finished point is refused."""
        scan = scan_of(small_search, [ScanPoint({"m": 5.0}, "failed", reason="x")])
        with pytest.raises(InputError, match="none of the 1 point"):
            chance.of_scan(small_search, scan)


def test_background_of_the_excess(small_search: Search) -> None:
    """CHANCE-2: the result carries the aggregate's own background and count."""
    found = chance.of_sets(small_search, [[2, 3]], toys=10)
    tried = family(small_search, np.array([[False, True, True, False]]), None)
    assert found.excess.background == Background(tried.background[0], tried.up[0], tried.down[0])
    assert found.excess.observed == small_search.observed[1:3].sum()
    assert found.excess.cuts
