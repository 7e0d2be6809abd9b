"""Merging bins, against sums written out by hand: clauses MERGE of specs/merging.md."""

import dataclasses
import math

import numpy as np
import pytest

from superbin.domain.aggregate import bin_sums, combine
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError


def test_two_bins_by_hand(small_search: Search, small_signal: SignalModel) -> None:
    """MERGE-1: uncertainties add in quadrature over bins, shared statistics linearly within a bin."""
    merged = combine(small_search, small_signal, [2, 1])
    assert merged.bins == (1, 2)
    assert merged.signal == 3.0
    assert merged.signal_error == pytest.approx(math.hypot(0.1, 0.2))
    assert merged.background.nominal == 48.0
    up = (3 + 4) ** 2 + (2 + 1) ** 2 + 2**2 + 1**2 + 1 + 1 + 2**2 + 0.5**2 + 3**2 + 1
    down = (3 + 4) ** 2 + (2 + 1) ** 2 + 2**2 + 1**2 + 1 + 0.5**2 + 2**2 + 0.5**2 + 2**2 + 1
    assert merged.background.up == pytest.approx(math.sqrt(up))
    assert merged.background.down == pytest.approx(math.sqrt(down))
    assert merged.observed == 50
    assert [p.nominal for p in merged.processes] == [15.0, 9.0, 24.0]


def test_shares_add_up_to_the_group(small_search: Search, small_signal: SignalModel) -> None:
    """MERGE-2: the shares of a common statistical uncertainty add linearly to the whole of it."""
    merged = combine(small_search, small_signal, [1, 2, 3])
    a, b, c = merged.processes
    assert a.stat_group == b.stat_group == "a_b"
    assert c.stat_group == "c"
    assert a.stat_up + b.stat_up == pytest.approx(math.sqrt(7**2 + 3**2 + 2**2))
    assert c.stat_up == pytest.approx(math.sqrt(4 + 1 + 1))


def test_single_bin_is_the_published_one(small_search: Search, small_signal: SignalModel) -> None:
    """MERGE-2: in one bin a share is the published uncertainty."""
    (a, _, _) = combine(small_search, small_signal, [1]).processes
    assert (a.nominal, a.stat_up, a.stat_down, a.syst_up, a.syst_down) == (10, 3, 3, 1, 1)


def test_down_stops_at_the_nominal(small_search: Search, small_signal: SignalModel) -> None:
    """MERGE-1: a background is never negative."""
    tight = dataclasses.replace(
        small_search,
        processes=tuple(
            dataclasses.replace(p, estimate=dataclasses.replace(p.estimate, stat_down=p.estimate.nominal * 2))
            for p in small_search.processes
        ),
    )
    merged = combine(tight, small_signal, [4])
    assert merged.background.down == merged.background.nominal == 1.0


def test_sums_are_additive(small_search: Search, small_signal: SignalModel) -> None:
    """MERGE-4: what the optimiser adds up is what `combine` gives."""
    sums = bin_sums(small_search, small_signal)
    merged = combine(small_search, small_signal, [1, 3])
    assert sums.signal[[0, 2]].sum() == merged.signal
    assert sums.background[[0, 2]].sum() == pytest.approx(merged.background.nominal)
    assert np.sqrt(sums.variance_up[[0, 2]].sum()) == pytest.approx(merged.background.up)
    assert np.sqrt(sums.variance_down[[0, 2]].sum()) == pytest.approx(merged.background.down)


def test_foreign_signal_is_refused(small_search: Search, small_signal: SignalModel) -> None:
    """A signal in the bins of another search is named."""
    with pytest.raises(InputError, match=r"T0\(1000, 100\) is in the bins of 'other', not of 'small'"):
        combine(small_search, dataclasses.replace(small_signal, search="other"), [1])
    short = SignalModel("T0", {"m": 1}, "small", np.ones(2), np.zeros(2))
    with pytest.raises(InputError, match="2 yields.*4 bins"):
        combine(small_search, short, [1])
