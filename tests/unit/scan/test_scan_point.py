"""One signal of a scan: the numbers of the analysis, and limits by their definition."""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from superbin.analysis import analyze
from superbin.catalog import open_catalog
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, UnknownNameError
from superbin.likelihood import Fitter, PublishedLikelihood, evaluate
from superbin.likelihood.model import Systematics
from superbin.results.scan import ScanLimit
from superbin.scan import Settings, may_pass, prepare, scan_point
from superbin.stats.counts import cdf
from superbin.stats.limits import cls, compare_limits


@cache
def packaged(search: str) -> PublishedLikelihood:
    with open_catalog("sqlite://") as catalog:
        return catalog.published_likelihood(search)


def changed(signal: SignalModel, factor: float = 1.0, **parameters: float) -> SignalModel:
    return dataclasses.replace(
        signal, yields=factor * signal.yields, parameters={**signal.parameters, **parameters}
    )


def test_numbers_of_the_analysis(cms_search: Search, t1bbbb: SignalModel) -> None:
    """SCAN-1: bins, cuts, yields and exact p-values are those of `analyze` for the same signal."""
    point = scan_point(t1bbbb, prepare(cms_search, Settings()), cross_section_error=0.2)
    full = analyze(cms_search, t1bbbb, toys=0)
    assert (point.status, point.reason) == ("done", None)
    assert (point.bins, point.cuts, point.merge_status) == (
        full.merge.bins,
        full.merge.cuts,
        full.merge.status,
    )
    assert point.yields == full.yields
    assert point.expected is not None
    assert point.observed is not None
    for mine, theirs in ((point.expected, full.expected.midp), (point.observed, full.observed.midp)):
        assert (mine.p, mine.z) == pytest.approx((theirs.p, theirs.z), rel=1e-12)
    assert (point.cross_section_pb, point.cross_section_error) == (t1bbbb.cross_section_pb, 0.2)
    assert point.likelihood_limit is None


def test_limits_by_their_definition(cms_search: Search, t1bbbb: SignalModel) -> None:
    """SCAN-2: CLs is 5 % at the observed limit, and at the expected ones for the quantiles of the count."""
    point = scan_point(t1bbbb, prepare(cms_search, Settings(correlations="none")))
    assert point.limit is not None
    assert point.yields is not None
    b = point.yields.background
    assert cls(point.limit.observed or 0, point.yields.observed, b.nominal, b.up, b.down) == pytest.approx(
        0.05
    )
    theirs = compare_limits(point.yields.observed, b.nominal, b.up, b.down).limits["cls"]
    names = ("low2", "low1", "median", "high1", "high2")
    assert [getattr(point.limit, n) for n in names] == pytest.approx(
        [getattr(theirs.expected, n) for n in names], rel=1e-8
    )
    # The median expected count, from the distribution itself.
    probabilities = np.asarray(cdf(np.arange(200.0), b.nominal, b.up, b.down))
    median = float(np.argmax(probabilities >= 0.5))
    assert cls(point.limit.median or 0, median, b.nominal, b.up, b.down) == pytest.approx(0.05)
    upper = float(np.argmax(probabilities >= ndtr(2)))
    assert cls(point.limit.high2 or 0, upper, b.nominal, b.up, b.down) == pytest.approx(0.05)


def test_bins_chosen_for_the_limit(cms_search: Search, t1bbbb: SignalModel) -> None:
    """SCAN-1: with the figure of merit ``limit`` no merge expects a lower limit, and the row is that of `analyze`."""
    shared = prepare(cms_search, Settings(figure_of_merit="limit"))
    chosen = scan_point(t1bbbb, shared)
    usual = scan_point(t1bbbb, prepare(cms_search, Settings()))
    best, other = (float(p.mu_limit.median or 0) if p.mu_limit else 0.0 for p in (chosen, usual))
    assert 0 < best < other
    full = analyze(cms_search, t1bbbb, figure_of_merit="limit", toys=0)
    assert chosen.bins == full.merge.bins
    assert full.options["figure_of_merit"] == "limit"
    # The figure of merit is the inverse of the limit on the signal strength.
    assert full.merge.value == pytest.approx(1 / best, rel=1e-6)


def test_limit_on_mu() -> None:
    """SCAN-2: the limit on the signal strength is that on events over the signal's events."""
    limit = ScanLimit(6.0, 1.0, 2.0, 3.0, 4.0, None, "exact")
    assert limit.over(2.0) == ScanLimit(3.0, 0.5, 1.0, 1.5, 2.0, None, "exact")


def test_level(small_search: Search, small_signal: SignalModel) -> None:
    """SCAN-2: another confidence level."""
    point = scan_point(small_signal, prepare(small_search, Settings(level=0.9)))
    assert point.limit is not None
    assert point.yields is not None
    b = point.yields.background
    assert cls(point.limit.observed or 0, point.yields.observed, b.nominal, b.up, b.down) == pytest.approx(
        0.1
    )


@pytest.mark.parametrize("systematics", [None, "none", "own"])
def test_likelihood_limit(cms_search: Search, t1bbbb: SignalModel, systematics: Systematics | None) -> None:
    """SCAN-3: the optional limit is that of the likelihood's own command, with the signal's systematics as published by default."""
    chosen: dict[str, Any] = {} if systematics is None else {"systematics": systematics}
    settings = Settings(correlations="none", likelihood_limit=True, **chosen)
    shared = prepare(cms_search, settings, packaged(cms_search.name))
    point = scan_point(t1bbbb, shared)
    model = packaged(cms_search.name).with_signal(t1bbbb, systematics=systematics or "published")
    theirs = evaluate(Fitter(model)).limit
    mine = point.likelihood_limit
    assert mine is not None
    assert mine.status == "converged"
    assert mine.observed == theirs.observed
    assert [mine.low2, mine.low1, mine.median, mine.high1, mine.high2] == [
        theirs.bands[n] for n in (-2, -1, 0, 1, 2)
    ]


def test_signal_of_nothing(small_search: Search, small_signal: SignalModel) -> None:
    """SCAN-4: a signal that is zero everywhere is a failed point with the reason."""
    point = scan_point(changed(small_signal, 0.0), prepare(small_search, Settings()), cross_section_error=0.1)
    assert (point.status, point.bins, point.yields, point.limit) == ("failed", (), None, None)
    assert point.reason is not None
    assert "zero" in point.reason
    assert point.parameters == dict(small_signal.parameters)
    assert point.cross_section_error == 0.1
    assert not may_pass(point)


def test_wrong_number_of_bins(small_search: Search, small_signal: SignalModel) -> None:
    """SCAN-4: a signal that does not fit the search fails alone."""
    short = dataclasses.replace(small_signal, yields=small_signal.yields[:3], errors=small_signal.errors[:3])
    point = scan_point(short, prepare(small_search, Settings()))
    assert point.reason == "signal T0(1000, 100) has 3 yields; search 'small' has 4 bins"


def test_a_defect_of_ours(
    small_search: Search, small_signal: SignalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCAN-4: even an error that nobody foresaw costs one point only, and says what it was."""

    def strike(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh\nno")

    shared = prepare(small_search, Settings())
    monkeypatch.setattr("superbin.merge.optimize", strike)
    point = scan_point(small_signal, shared)
    assert (point.status, point.reason) == ("failed", "internal error: ZeroDivisionError: oh no")
    assert may_pass(point)


@pytest.mark.parametrize("factor", [1e-300, 1e-9, 1e4])
def test_extreme_signals(small_search: Search, small_signal: SignalModel, factor: float) -> None:
    """SCAN-4: very weak and very strong signals have finite limits, and an honest significance."""
    point = scan_point(changed(small_signal, factor), prepare(small_search, Settings()))
    assert point.status == "done"
    assert point.limit is not None
    assert 0 < (point.limit.low2 or 0) <= (point.limit.high2 or 0) < np.inf
    assert point.expected is not None
    assert point.expected.z is None or np.isfinite(point.expected.z)


def test_without_background(random_search: Callable[[int, int], tuple[Search, SignalModel]]) -> None:
    """SCAN-4: no background expected, with an uncertainty and without one."""
    search, signal = random_search(3, 1)

    def bare(stat_up: float) -> Search:
        zero, up = np.zeros(3), np.full(3, stat_up)
        processes = tuple(
            dataclasses.replace(p, estimate=type(p.estimate)(zero, up, zero, zero, zero))
            for p in search.processes
        )
        return dataclasses.replace(search, processes=processes, observed=zero)

    point = scan_point(signal, prepare(bare(1.84), Settings()))
    assert point.status == "done"
    assert point.limit is not None
    # With nothing observed CLs = P(0 | s + b) / P(0 | b) = exp(-s), whatever the uncertainty: the textbook's three events.
    assert point.limit.observed == pytest.approx(-np.log(0.05))
    point = scan_point(signal, prepare(bare(0.0), Settings()))
    assert point.status == "failed"
    assert "one event would prove it" in (point.reason or "")


def test_settings_are_checked(small_search: Search) -> None:
    """SCAN-5: an option outside its domain, or one that does not fit the search, is refused before anything is computed."""
    with pytest.raises(InputError, match="the confidence level is 1; it must lie between 0 and 1"):
        Settings(level=1)
    with pytest.raises(
        UnknownNameError, match="systematics is 'all'; it must be one of published, own, global, none"
    ):
        Settings(systematics="all")  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"full likelihood of 'small' are asked for, and it is not given; give"
    ):
        prepare(small_search, Settings(likelihood_limit=True))
    with pytest.raises(UnknownNameError, match="search 'small' has no correlations 'some'; it has none"):
        prepare(small_search, Settings(correlations="some"))
