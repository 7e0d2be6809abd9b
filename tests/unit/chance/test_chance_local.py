"""Local significances of many aggregates, and the counts that reach them."""

from collections.abc import Callable

import numpy as np
import pytest

from superbin.chance.local import MOST, Family, family, smallest_counts
from superbin.domain.aggregate import combine
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.stats import midp_significance


@pytest.mark.parametrize("correlated", [True, False])
def test_background_is_that_of_the_merged_bin(
    cms_search: Search, t1bbbb: SignalModel, correlated: bool
) -> None:
    """CHANCE-2: every aggregate's background is the one that `combine` gives."""
    covariance = cms_search.covariance if correlated else None
    rng = np.random.default_rng(1)
    sets = rng.uniform(size=(20, 160)) < rng.uniform(0.01, 0.9, size=(20, 1))
    sets[:, 3] = True
    tried = family(cms_search, sets, covariance)
    for i, row in enumerate(sets):
        merged = combine(cms_search, t1bbbb, np.flatnonzero(row) + 1, covariance=covariance).background
        assert tried.background[i] == pytest.approx(merged.nominal, rel=1e-12)
        assert tried.up[i] == pytest.approx(merged.up, rel=1e-9)
        assert tried.down[i] == pytest.approx(merged.down, rel=1e-9)


def test_covariance_of_another_search_is_refused(small_search: Search) -> None:
    """CHANCE-2: a covariance with another number of bins is refused."""
    unit = np.eye(3)
    with pytest.raises(InputError, match="covariance is of 3 bins"):
        family(small_search, np.eye(4, dtype=bool), Covariance(unit, unit, "made up"))


def test_smallest_counts_by_trying_all() -> None:
    """CHANCE-3: the first count whose Z reaches the rung, found by trying them in order."""
    b = np.array([0.0, 0.003, 0.4, 3.0, 25.0, 110.0])
    up, down = np.array([0.8, 0.004, 0.5, 1.0, 5.0, 13.0]), np.array([0.0, 0.003, 0.39, 0.8, 5.0, 11.0])
    tried = Family(np.eye(6, dtype=bool), b, up, down)
    ladder = np.array([-2.0, -0.3, 0.0, 1.0, 2.0, 2.1, 3.5])
    found = smallest_counts(tried, ladder)
    for i in range(6):
        counts = np.arange(2000)
        z = np.asarray(midp_significance(counts, b[i], up[i], down[i]))
        for k, rung in enumerate(ladder):
            assert found[k, i] == np.argmax(z >= rung)


def test_more_significance_needs_more_events() -> None:
    """CHANCE-3: the smallest count never falls with z."""
    rng = np.random.default_rng(2)
    b = rng.lognormal(1, 3, 200)
    tried = Family(np.zeros((200, 1), bool), b, b * rng.uniform(0.02, 2, 200), b * rng.uniform(0, 1, 200))
    found = smallest_counts(tried, np.arange(-1, 5, 0.5))
    assert (np.diff(found, axis=0) >= 0).all()


def test_a_count_that_no_experiment_reaches() -> None:
    """CHANCE-3: a background uncertain by a factor of thousands never reaches far tails."""
    tried = Family(np.ones((1, 1), bool), np.array([0.1]), np.array([300.0]), np.array([0.05]))
    assert smallest_counts(tried, np.array([1.0, 6.0]))[1, 0] > MOST


def test_ladder_may_begin_anywhere(random_search: Callable[[int, int], tuple[Search, SignalModel]]) -> None:
    """CHANCE-3: rungs found alone and together are the same."""
    search, _ = random_search(8, 3)
    tried = family(search, np.eye(8, dtype=bool), None)
    ladder = np.array([-0.5, 0.7, 2.2, 4.4])
    together = smallest_counts(tried, ladder)
    for k in range(4):
        assert np.array_equal(smallest_counts(tried, ladder[k : k + 1])[0], together[k])
