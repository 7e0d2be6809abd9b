"""Bad input: every error names value, place, rule and cure."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from superbin import stats as superstats
from superbin.errors import InputError, UnknownNameError
from superbin.stats.models import ModelName

BAD: list[tuple[tuple[Any, ...], str]] = [
    ((float("nan"), 1, 1, 1), "n = nan must be finite"),
    ((1, float("inf"), 1, 1), "b = inf must be finite"),
    ((1, 1, -1, 1), "up = -1 must not be negative"),
    (([1, 2, -3], 1, 1, 1), r"n = -3 at index \(2,\) must not be negative"),
    ((1, 1, 1, 1.1), "down = 1.1 exceeds b = 1"),
    ((1e16, 1, 1, 1), r"n = 1e\+16 must not exceed 1e\+15"),
    ((10**400, 1, 1, 1), "no float64 number"),
    (([1, 2], [1, 2, 3], 1, 1), r"do not broadcast: n \(2,\), b \(3,\)"),
    (("3", 1, 1, 1), "give real numbers"),
    ((True, 1, 1, 1), "type bool; give real numbers"),
    ((1 + 2j, 1, 1, 1), "give real numbers"),
    ((None, 1, 1, 1), "None"),
    (([[1], [2, 3]], 1, 1, 1), "ragged"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
@pytest.mark.parametrize(
    "function",
    [superstats.tail, superstats.midp_significance, superstats.q0, superstats.asymptotic_z, superstats.pull],
)
def test_bad_yields(function: Callable[..., Any], arguments: tuple[Any, ...], message: str) -> None:
    """STAT-14: the same checks at every door."""
    with pytest.raises(InputError, match=message) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)


def test_next_to_nothing_is_nothing() -> None:
    """STAT-14: numbers whose ratios would leave the float64 range count as zero."""
    assert superstats.tail(1e-300, 1, 1, 1) == 1
    assert superstats.tail(2, 1e-300, 1, 0) == superstats.tail(2, 0, 1, 0)


def test_bad_signal_and_auxiliary() -> None:
    """STAT-14: the signal is called by its name; a nuisance beyond 40 sigma is refused."""
    with pytest.raises(InputError, match="s = -1 must not be negative"):
        superstats.asimov_z(-1, 1, 1, 1)
    with pytest.raises(InputError, match="auxiliary = 41"):
        superstats.q0(1, 1, 1, 1, auxiliary=41)
    with pytest.raises(InputError, match="auxiliary = nan"):
        superstats.fit_nuisance(1, 1, 1, 1, 1, auxiliary=float("nan"))


@pytest.mark.parametrize("count", [2.5, -1, float("nan"), float("inf"), 10**400, "3", True, None])
def test_counts_must_be_whole(count: object) -> None:
    """STAT-14: an observed count is a whole number."""
    with pytest.raises(InputError, match="not an observed count"):
        superstats.as_count(count)


def test_whole_counts_are_accepted() -> None:
    """STAT-14: whatever their type."""
    for count in (3, 3.0, np.int64(3), np.float32(3)):
        assert superstats.as_count(count) == 3


def test_unknown_model() -> None:
    """STAT-14: the names there are, and the nearest."""
    with pytest.raises(UnknownNameError, match=r"'gausian'.*did you mean 'gaussian'"):
        superstats.tail(1, 1, 1, 1, model="gausian")  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["lognormal", "gamma"])
def test_relative_models_need_a_background(model: ModelName) -> None:
    """STAT-3: a relative uncertainty of nothing is refused; no uncertainty of nothing is fine."""
    with pytest.raises(InputError, match="b = 0"):
        superstats.tail(1, 0, 1, 0, model=model)
    assert superstats.tail(1, 0, 0, 0, model=model) == 0
    assert superstats.tail(0, 0, 0, 0, model=model) == 1
