"""Laws of merging bins: it is additive, and order does not matter."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superbin.domain.aggregate import AggregateBin, bin_sums, combine
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel

Make = Callable[[int, int], tuple[Search, SignalModel]]

several = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
subsets = st.sets(st.integers(1, 9), min_size=1)


@several
@given(seed=st.integers(0, 2**32 - 1), left=subsets, right=subsets)
def test_merging_is_additive(random_search: Make, seed: int, left: set[int], right: set[int]) -> None:
    """MERGE-1: yields of disjoint sets add; so do squares of their uncertainties."""
    right = right - left
    if not right:
        return
    search, signal = random_search(9, seed)
    a, b, both = (combine(search, signal, bins) for bins in (left, right, left | right))
    assert both.signal == pytest.approx(a.signal + b.signal)
    assert both.observed == a.observed + b.observed
    assert both.background.nominal == pytest.approx(a.background.nominal + b.background.nominal)
    assert both.background.up == pytest.approx(math.hypot(a.background.up, b.background.up))
    for merged, first, second in zip(both.processes, a.processes, b.processes, strict=True):
        assert merged.nominal == pytest.approx(first.nominal + second.nominal)
        assert merged.syst_up == pytest.approx(math.hypot(first.syst_up, second.syst_up))
        assert merged.stat_down == pytest.approx(math.hypot(first.stat_down, second.stat_down))


@several
@given(seed=st.integers(0, 2**32 - 1), bins=st.lists(st.integers(1, 9), min_size=1), shuffle=st.randoms())
def test_order_and_repeats_do_not_matter(
    random_search: Make, seed: int, bins: list[int], shuffle: object
) -> None:
    """MERGE-4: any way of naming a set of bins gives the same aggregate bin."""
    search, signal = random_search(9, seed)
    reference = combine(search, signal, sorted(set(bins)))
    mixed = [*bins, *bins]
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert combine(search, signal, mixed) == reference


@several
@given(seed=st.integers(0, 2**32 - 1), bins=subsets)
def test_modifiers_carry_the_whole_uncertainty(random_search: Make, seed: int, bins: set[int]) -> None:
    """MERGE-2: the processes' uncertainties add up, in quadrature and linearly where shared, to the total."""
    search, signal = random_search(9, seed)
    merged = combine(search, signal, bins)
    assert math.hypot(*_sources(merged)) == pytest.approx(merged.background.up)
    sums = bin_sums(search, signal)
    chosen = np.array(sorted(bins)) - 1
    assert merged.background.up**2 == pytest.approx(float(sums.variance_up[chosen].sum()))


def _sources(merged: AggregateBin) -> list[float]:
    groups: dict[str, float] = {}
    for process in merged.processes:
        groups[process.stat_group] = groups.get(process.stat_group, 0.0) + process.stat_up
    return [*groups.values(), *(p.syst_up for p in merged.processes)]


def test_shared_statistics_of_the_real_search(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-2: the same on the real table, whose lost leptons and taus share their events."""
    for bins in ([1, 2, 3], [20, 30, 70], range(1, 161)):
        merged = combine(cms_search, t1bbbb, bins)
        assert math.hypot(*_sources(merged)) == pytest.approx(merged.background.up)
