"""Shared sums are exact, whatever the sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superbin.chance.sums import SharedSums
from superbin.domain.search import Search
from superbin.errors import InputError
from superbin.merge.rectangles import rectangles


@given(seed=st.integers(0, 10**6), n=st.integers(1, 80), k=st.integers(1, 60), large=st.booleans())
@settings(max_examples=60, deadline=None)
def test_sums_are_those_of_the_matrix_product(seed: int, n: int, k: int, large: bool) -> None:
    """CHANCE-8: every set's sum is the matrix product's, in 16 bits and in 32."""
    rng = np.random.default_rng(seed)
    sets = rng.uniform(size=(k, n)) < rng.uniform(size=(k, 1))
    sets[np.arange(k), rng.integers(0, n, k)] = True
    plan = SharedSums.plan(sets)
    counts = rng.integers(-20, 30, size=(n, 7)) * (10_000 if large else 1)
    total = plan.evaluate(counts)
    assert np.array_equal(total[plan.nodes], sets.astype(np.int64) @ counts)


def test_one_addition_per_rectangle(cms_search: Search) -> None:
    """CHANCE-8: rectangles of several bins are sums of two smaller ones: one addition each, not one per bin."""
    found = rectangles(cms_search).sets
    plan = SharedSums.plan(found)
    assert plan.additions == (found.sum(axis=1) > 1).sum() == 3740


def test_largest_sums() -> None:
    """CHANCE-8: 16 bits where they suffice, 32 where not, and an error where neither does."""
    plan = SharedSums.plan(np.array([[True, True]]))
    assert plan.evaluate(np.array([[32000], [766]])).dtype == np.int16
    assert plan.evaluate(np.array([[32000], [767]])).dtype == np.int32
    with pytest.raises(InputError, match="can be summed"):
        plan.evaluate(np.array([[2**31 - 1], [0]]))


@pytest.mark.parametrize("sets", [np.zeros((0, 3), bool), np.array([[True, False], [False, False]])])
def test_nothing_to_sum(sets: np.ndarray) -> None:
    """CHANCE-8: no set, or an empty one, is refused."""
    with pytest.raises(InputError, match="at least one"):
        SharedSums.plan(sets)
