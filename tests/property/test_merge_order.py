"""In exact Z the best merge is never below the greedy one, nor the greedy one below any single bin: MERGE-10."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from superbin import merge
from superbin.domain.aggregate import bin_sums, combine
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.stats import midp_significance

Make = Callable[[int, int], tuple[Search, SignalModel]]


def merit(search: Search, signal: SignalModel, bins: tuple[int, ...]) -> float:
    """Expected Z, or one over the strength at which it is one, by bisection."""
    merged = combine(search, signal, bins)
    b = merged.background

    def z(mu: float) -> float:
        return float(midp_significance(mu * merged.signal + b.nominal, b.nominal, b.up, b.down))

    visible = 1.0
    if z(1.0) >= visible:
        return z(1.0)
    high = 2.0
    while z(high) < visible:
        high *= 2
    return visible / float(brentq(lambda mu: z(mu) - visible, 0.0, high, xtol=1e-14, rtol=1e-13))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_best_then_greedy_then_single_bins(random_search: Make, n: int, seed: int) -> None:
    """Values are recomputed from the bins, not taken from the search."""
    search, signal = random_search(n, seed)
    best = merge.optimize(search, signal)
    greedy = merge.greedy(bin_sums(search, signal))
    singles = [merit(search, signal, (k,)) for k in search.numbers if signal.yields[k - 1] > 0]
    assert best.value == pytest.approx(merit(search, signal, best.bins), abs=1e-9)
    assert greedy.value == pytest.approx(merit(search, signal, greedy.bins), abs=1e-9)
    assert best.value >= greedy.value - 1e-9
    assert greedy.value >= max(singles) - 1e-9
