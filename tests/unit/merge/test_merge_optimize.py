"""The best merge and the greedy baseline on the packaged search: clauses MERGE-10 to MERGE-14."""

import numpy as np
import pytest

from superbin.domain.aggregate import BinSums, bin_sums, combine
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, UnknownNameError
from superbin.merge import MERITS, candidates, greedy, optimize
from superbin.stats import pvalue


def exact_z(search: Search, signal: SignalModel, bins: tuple[int, ...]) -> float:
    """Expected mid-p significance from the domain types alone."""
    total = combine(search, signal, bins)
    b = total.background
    return float(pvalue.midp_significance(total.signal + b.nominal, b.nominal, b.up, b.down))


def test_best_merge_of_the_packaged_signal(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-10, MERGE-12: value as recomputed elsewhere; no worse than greedy and every single bin."""
    result = optimize(cms_search, t1bbbb)
    assert result.value == pytest.approx(exact_z(cms_search, t1bbbb, result.bins), abs=1e-9)
    assert result.greedy.value == pytest.approx(exact_z(cms_search, t1bbbb, result.greedy.bins), abs=1e-9)
    assert result.value >= result.greedy.value
    singles = [exact_z(cms_search, t1bbbb, (n,)) for n in cms_search.numbers if t1bbbb.yields[n - 1] > 0]
    assert result.value >= max(singles)
    assert result.status == "best found"


def test_greedy_follows_the_original_rule(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-11: a plain loop, one bin at a time."""
    sums = bin_sums(cms_search, t1bbbb)
    q = 2 * (np.sqrt(sums.signal + sums.background) - np.sqrt(sums.background))
    bins: tuple[int, ...] = ()
    best = -np.inf
    for i in np.argsort(-q, kind="stable"):
        if best >= 5 or q[i] < 0.01:
            break
        z = exact_z(cms_search, t1bbbb, (*bins, int(i) + 1))
        if z > best:
            bins, best = (*bins, int(i) + 1), z
        elif z < best - 0.5:
            break
    baseline = greedy(sums)
    assert baseline.bins == tuple(sorted(bins))
    assert baseline.value == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("figure", MERITS)
def test_no_single_change_improves(cms_search: Search, t1bbbb: SignalModel, figure: str) -> None:
    """MERGE-13: every flip and every exchange, evaluated one by one."""
    result = optimize(cms_search, t1bbbb, figure_of_merit=figure)
    from superbin.merge.problem import problem_from

    problem = problem_from(bin_sums(cms_search, t1bbbb))
    chosen = np.zeros(160, dtype=bool)
    chosen[np.array(result.bins) - 1] = True
    changed = [chosen ^ (np.arange(160) == i) for i in range(160)]
    changed += [
        chosen ^ (np.arange(160) == i) ^ (np.arange(160) == j)
        for i in np.flatnonzero(chosen)
        for j in np.flatnonzero(~chosen)
    ]
    # Bins without signal are no candidates.
    sets = np.array([row for row in changed if row.any() and not (row & (t1bbbb.yields == 0)).any()])
    assert MERITS[figure](problem.totals(sets)).max() <= result.value + 1e-9


def test_candidates_are_distinct_and_ordered(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-14: the listed sets differ, go from best to worst and start with the optimum."""
    listed = candidates(cms_search, t1bbbb, top=25)
    assert len({c.bins for c in listed}) == 25
    assert [c.value for c in listed] == sorted((c.value for c in listed), reverse=True)
    assert listed[0].bins == optimize(cms_search, t1bbbb).bins
    for candidate in listed:
        assert candidate.value == pytest.approx(exact_z(cms_search, t1bbbb, candidate.bins), abs=1e-9)


@pytest.mark.parametrize("figure", ["profile_asimov", "asimov_limit"])
def test_baseline_and_candidates_by_other_figures(
    cms_search: Search, t1bbbb: SignalModel, figure: str
) -> None:
    """MERGE-11, MERGE-14: those `optimize` returns for the same figure of merit, and with the same covariance."""
    plain = optimize(cms_search, t1bbbb, figure_of_merit=figure)
    assert greedy(bin_sums(cms_search, t1bbbb), figure_of_merit=figure) == plain.greedy
    assert candidates(cms_search, t1bbbb, figure_of_merit=figure, top=1)[0].bins == plain.bins
    sigma = np.sqrt(bin_sums(cms_search, t1bbbb).variance_up)
    linear = np.outer(sigma, sigma)
    correlated = optimize(cms_search, t1bbbb, figure_of_merit=figure, covariance=linear)
    first = candidates(cms_search, t1bbbb, figure_of_merit=figure, covariance=linear, top=1)[0]
    assert first.bins == correlated.bins
    assert first.value < plain.value


def test_unknown_figure_and_no_signal(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-30: an unknown figure of merit, a signal of zero and a top of 0 are refused."""
    with pytest.raises(UnknownNameError, match="'simple'.*midp"):
        optimize(cms_search, t1bbbb, figure_of_merit="simple")
    zero = SignalModel("none", {"m": 1.0}, cms_search.name, np.zeros(160), np.zeros(160))
    with pytest.raises(InputError, match="zero in every bin"):
        optimize(cms_search, zero)
    with pytest.raises(InputError, match="top is 0"):
        candidates(cms_search, t1bbbb, top=0)


def test_certain_background_of_zero_is_refused() -> None:
    """MERGE-30: signal in a bin with a certain background of zero is refused."""
    one = np.ones(3)
    with pytest.raises(InputError, match="bin 2 expects signal but no background"):
        greedy(BinSums(one, np.array([1.0, 0.0, 1.0]), np.array([1.0, 0.0, 1.0]), np.zeros(3)))
