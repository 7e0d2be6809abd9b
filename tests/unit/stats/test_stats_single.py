"""The float path of one p-value against the array path."""

import numpy as np
import pytest

from superbin import stats
from superbin.errors import UnknownNameError
from superbin.stats.models import ModelName
from superbin.stats.single import log_p_value


def cases(number: int) -> list[tuple[float, float, float, float]]:
    random = np.random.default_rng(5)
    rows = []
    for _ in range(number):
        b = float(10 ** random.uniform(-4, 4.5))
        up, down = b * 3 * float(random.random()) ** 2, b * 0.79 * float(random.random())
        n = max(1.0, b + float(random.uniform(-3, 25)) * np.sqrt(b + up * up))
        rows.append((float(np.round(n)) if random.random() < 0.6 else float(n), b, up, down))
    return rows


@pytest.mark.parametrize("model", ["split-lognormal", "lognormal"])
def test_agrees_with_arrays(model: ModelName) -> None:
    """STAT-6, STAT-9: a scalar gives what a row of an array gives; most scalars take the float path."""
    taken = 0
    for case in cases(400):
        row = [np.array([value]) for value in case]
        for function, mid in ((stats.log_tail, False), (stats.log_midp, True)):
            found = log_p_value(*case, model, mid=mid)
            assert function(*case, model=model) == pytest.approx(function(*row, model=model)[0], abs=1e-11)
            taken += found is not None
    assert taken > 600


def test_both_sides() -> None:
    """STAT-8: ln(1 - p) as well, so that a deficit keeps its significance."""
    for case in cases(200):
        row = [np.array([value]) for value in case]
        z = stats.midp_significance(*case)
        assert z == pytest.approx(stats.midp_significance(*row)[0], rel=1e-11, abs=1e-11)


@pytest.mark.parametrize(
    "case",
    [
        (0.5, 1.0, 0.5, 0.3),  # n below one
        (2e5, 2e5, 1e4, 1e4),  # beyond SciPy's incomplete gamma function
        (3.0, 0.0, 1.0, 0.0),  # folded at zero
        (3.0, 2.0, 1.0, 1.9),  # linear branch
        (3.0, 2.0, 0.0, 0.5),  # one-sided
        (3.0, 2.0, 1.0, -0.5),  # refused
        (float("nan"), 2.0, 1.0, 0.5),  # refused
        (np.array([3.0]), 2.0, 1.0, 0.5),  # no scalar
    ],
)
def test_leaves_the_rest_to_the_arrays(case: tuple[float, float, float, float]) -> None:
    """STAT-14: what is not everyday, and every bad input, goes through the checked path."""
    assert log_p_value(*case, "split-lognormal", mid=True) is None
    assert log_p_value(3.0, 2.0, 1.0, 0.5, "gamma", mid=True) is None
    with pytest.raises(UnknownNameError):
        log_p_value(3.0, 2.0, 1.0, 0.5, "no such model", mid=True)  # type: ignore[arg-type]
