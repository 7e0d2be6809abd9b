"""Searches end: counted, not timed."""

import numpy as np
import pytest

from superbin import workspace
from superbin.errors import InputError
from superbin.stats import counts, limits
from superbin.stats.arguments import FloatArray, Index
from superbin.stats.limits import problem as problems
from superbin.stats.models import ModelName, UncertaintyModel

FAR = [(0, 1e15), (3, 1e13), (10**6, 25.0), (10**9, 0.3), (10**15, 1e-17), (10**15, 1e15)]


@pytest.mark.parametrize("model", ["split-lognormal", "lognormal", "gaussian", "gamma", "none"])
@pytest.mark.parametrize(("n", "b"), FAR)
def test_limits_ask_for_few_probabilities(
    n: int, b: float, model: ModelName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STAT-26: every limit and quantile of counts to 1e15 within 1500 rows of CLs and of the distribution."""
    rows = 0
    integral, tail = counts._log_average, counts.background_log_cdf

    def counted(kernel: object, held: UncertaintyModel, n: FloatArray, s: FloatArray) -> FloatArray:
        nonlocal rows
        rows += n.size
        return integral(kernel, held, n, s)  # type: ignore[arg-type]

    def counted_tail(held: UncertaintyModel, n: FloatArray) -> FloatArray:
        nonlocal rows
        rows += n.size
        return tail(held, n)

    monkeypatch.setattr(counts, "_log_average", counted)
    monkeypatch.setattr(counts, "background_log_cdf", counted_tail)
    found = limits.compare_limits(n, b, 0.1 * b, 1e-3 * b, model=model)
    assert rows < 1500
    for one in found.limits.values():
        assert np.isfinite([one.observed, one.expected.low2, one.expected.median, one.expected.high2]).all()


def test_search_without_a_crossing_ends() -> None:
    """STAT-26: CLs that stays above, and CLs without a value, are errors that name the numbers."""
    row, _, _ = problems.prepare(3, 1, 0.1, 0.1, signal_uncertainty=0.0, model="none")
    calls = 0

    def above(_: Index, s: FloatArray) -> FloatArray:
        nonlocal calls
        calls += 1
        return np.zeros_like(s)

    with pytest.raises(InputError, match="CLs does not fall to 0.05"):
        problems.crossing(above, row)
    assert calls == problems.MOST_DOUBLINGS + 1
    with pytest.raises(InputError, match="no limit for n = 3, background 1"):
        problems.crossing(lambda _, s: np.full_like(s, np.nan), row)


@pytest.mark.parametrize("value", [1.0, float("nan"), 0.0])
def test_search_for_the_limit_of_pyhf_ends(value: float) -> None:
    """STAT-26, WS-8: the search for pyhf's limit stops after a bounded number of steps and is refused."""
    known: dict[float, list[float]] = {}

    def cls(mu: float) -> list[float]:
        known[mu] = [value]
        return known[mu]

    with pytest.raises(InputError, match="leave pyhf out"):
        workspace._crossing(cls, 0, 0.05, 1.0, known)
    assert len(known) <= workspace.MOST_STEPS + 1
