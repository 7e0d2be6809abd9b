"""Toys: seeds, chunks, workers, interrupts."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

from superbin import stats as superstats
from superbin.errors import InputError
from superbin.stats import toys as toys_module
from superbin.stats.models import ModelName

ARGUMENTS = (4.0, 0.6, 0.5, 0.3)


def test_answer_does_not_depend_on_workers() -> None:
    """STAT-13: one seed, one answer."""
    one = superstats.throw(*ARGUMENTS, toys=55_000, chunk=10_000, seed=3)
    assert one == superstats.throw(*ARGUMENTS, toys=55_000, chunk=10_000, seed=3, workers=3)
    assert one != superstats.throw(*ARGUMENTS, toys=55_000, chunk=10_000, seed=4)
    assert one.toys == 55_000
    assert one.seed == 3


def test_chunks_merge_in_any_order() -> None:
    """STAT-13: the whole is the sum of its chunks."""
    parts = [
        superstats.throw_chunk(*ARGUMENTS, index=i, toys=10_000 if i < 5 else 5_000, seed=3) for i in range(6)
    ]
    whole = superstats.throw(*ARGUMENTS, toys=55_000, chunk=10_000, seed=3)
    assert superstats.merge(parts) == superstats.merge(reversed(parts)) == whole
    with pytest.raises(InputError, match="seeds"):
        superstats.merge([parts[0], superstats.throw_chunk(*ARGUMENTS, index=0, toys=10, seed=9)])
    with pytest.raises(InputError, match="at least one"):
        superstats.merge([])


def test_estimates_and_errors() -> None:
    """STAT-13: tail and midp from the counts, binomial errors, never zero."""
    result = superstats.Toys(toys=1000, above=30, equal=20, seed=0)
    assert result.tail == pytest.approx(0.05)
    assert result.midp == pytest.approx(0.04)
    assert result.tail_error == pytest.approx(np.sqrt(0.05 * 0.95 / 1000))
    scores = np.repeat([1.0, 0.5, 0.0], [30, 20, 950])
    assert result.midp_error == pytest.approx(scores.std() / np.sqrt(1000))
    assert superstats.Toys(1000, 0, 0, 0).tail_error == pytest.approx(1e-3, rel=1e-3)
    assert superstats.Toys(1000, 0, 0, 0).midp_error > 0
    assert superstats.Toys(1000, 1000, 0, 0).tail_error > 0


@pytest.mark.parametrize(
    ("hits", "n", "counted"), [(50, 1000, 50), (0, 1000, 1), (1000, 1000, 999), (1, 2, 1), (0.25, 8, 1)]
)
def test_binomial_error(hits: float, n: int, counted: int) -> None:
    """STAT-13: the standard deviation of a binomial proportion by SciPy; never that of none or all."""
    want = scipy.stats.binom(n, counted / n).std() / n
    assert toys_module.binomial_error(hits, n) == pytest.approx(want)
    assert toys_module.binomial_error(hits, 1) == 1.0


@pytest.mark.parametrize("model", ["split-lognormal", "lognormal", "gaussian", "gamma", "none"])
@pytest.mark.parametrize(
    "arguments", [(4, 0.6, 0.5, 0.3), (2.5, 3, 2, 2.7), (40, 25, 5, 5), (0.3, 0.6, 0.2, 0.1)]
)
def test_toys_agree_with_the_quadrature(model: ModelName, arguments: tuple[float, ...]) -> None:
    """STAT-3, STAT-13: every model, whole and real counts, within 4 standard errors."""
    result = superstats.throw(*arguments, toys=100_000, seed=11, model=model)
    assert abs(result.tail - superstats.tail(*arguments, model=model)) < 4 * result.tail_error
    assert abs(result.midp - superstats.midp(*arguments, model=model)) < 4 * result.midp_error


def test_folded_backgrounds() -> None:
    """STAT-1, STAT-13: b = 0 and vanishing sides."""
    for arguments in ((2, 0, 1, 0), (2, 1, 0, 1), (2, 1, 1, 0)):
        for model in ("split-lognormal", "gaussian"):
            result = superstats.throw(*arguments, toys=100_000, seed=2, model=model)
            assert abs(result.midp - superstats.midp(*arguments, model=model)) < 4 * result.midp_error


def test_hundreds_of_seeds_scatter_as_their_errors_say() -> None:
    """STAT-13: 300 seeds, all within 4 standard errors of exact, and the pulls of unit width within its own error."""
    exact = superstats.midp(*ARGUMENTS)
    pulls = []
    for seed in range(300):
        result = superstats.throw(*ARGUMENTS, toys=20_000, seed=seed)
        pulls.append((result.midp - exact) / result.midp_error)
    assert np.abs(pulls).max() < 4
    assert abs(np.mean(pulls)) < 4 / np.sqrt(300)
    assert abs(np.std(pulls) - 1) < 4 / np.sqrt(600)


def test_interrupt_keeps_what_was_thrown(monkeypatch: pytest.MonkeyPatch) -> None:
    """STAT-13: the chunks that were complete, marked as interrupted."""
    original = toys_module.throw_chunk

    def interrupted(*args: float, index: int, **rest: Any) -> superstats.Toys:  # passes on what it is given
        if index == 3:
            raise KeyboardInterrupt
        return original(*args, index=index, **rest)

    monkeypatch.setattr(toys_module, "throw_chunk", interrupted)
    result = superstats.throw(*ARGUMENTS, toys=100_000, chunk=10_000, seed=3)
    assert result.interrupted
    assert result.toys == 30_000
    monkeypatch.undo()
    complete = superstats.throw(*ARGUMENTS, toys=30_000, chunk=10_000, seed=3)
    assert (result.above, result.equal) == (complete.above, complete.equal)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"toys": 0}, "toys = 0"),
        ({"toys": 10**18}, "toys = 1000000000000000000"),
        ({"toys": 1e6}, "whole number"),
        ({"toys": True}, "toys = True"),
        ({"seed": -1}, "seed = -1"),
        ({"chunk": 10**9}, "chunk = 1000000000"),
        ({"workers": 0}, "workers = 0"),
    ],
)
def test_absurd_numbers(options: dict[str, Any], message: str) -> None:
    """STAT-14: refused before anything is thrown."""
    with pytest.raises(InputError, match=message):
        superstats.throw(*ARGUMENTS, **options)


def test_one_count_at_a_time() -> None:
    """STAT-14: arrays are refused with their shape."""
    with pytest.raises(InputError, match=r"shape \(2,\)"):
        superstats.throw([1, 2], 1, 1, 1)  # type: ignore[arg-type]  # the error is what is tested
