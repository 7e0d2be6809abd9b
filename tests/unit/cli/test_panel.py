"""One count from all sides."""

import math

import pytest
from scipy import stats

from superbin.cli.panel import CLEAR, Estimate, limits_by_model, panel
from superbin.errors import InputError
from superbin.stats import limits, midp_significance

NUMBERS = (40.0, 25.0, 5.0, 5.0)
KNOWN: dict[str, float | None] = {"midp": 1.925, "tail": 1.872, "asymptotic": 1.918}


def test_estimates_have_the_error_of_their_significance() -> None:
    """STAT-25: dZ = dp over the unit normal's density, by a finite difference of SciPy's quantile; none at p = 0 or 1."""
    one = Estimate.of(0.03, 1e-5, 100, 7)
    assert one.z == pytest.approx(stats.norm.isf(0.03))
    assert one.z_err == pytest.approx(
        (stats.norm.isf(0.03 - 1e-5) - stats.norm.isf(0.03 + 1e-5)) / 2, rel=1e-5
    )
    assert one.seconds is None
    for p in (0.0, 1.0):
        edge = Estimate.of(p, 0.01, 100, 7)
        assert edge.z is None
        assert edge.z_err is None


def test_only_clear_toys_take_part_in_the_verdict() -> None:
    """STAT-25: toys whose error of Z is below 0.05, whatever they say; the others are shown and not judged."""
    few = panel(KNOWN, *NUMBERS, observed=True, toys=50, seed=1)
    assert all((one.z_err or math.inf) > CLEAR for one in few.estimates.values())
    assert few.verdict.spread == pytest.approx(1.925 - 1.872)
    many = panel(KNOWN, *NUMBERS, observed=True, toys=50_000, seed=1)
    assert set(many.estimates) == {"toys", "weighted", "q0_toys"}
    assert all((one.z_err or math.inf) < CLEAR for one in many.estimates.values())
    z = [value for value in KNOWN.values() if value is not None]
    z += [one.z for one in many.estimates.values() if one.z is not None]
    assert len(z) == 6
    assert many.verdict.spread == pytest.approx(max(z) - min(z))


def test_models_are_compared_with_the_default() -> None:
    """STAT-25: mid-p of the models asked for; ``none`` is shown and left out; the default always takes part."""
    found = panel(KNOWN, *NUMBERS, observed=True, toys=0, seed=0, models=("gamma", "none"))
    assert not found.estimates
    assert list(found.models) == ["gamma", "none"]
    gamma = midp_significance(*NUMBERS, model="gamma")
    assert found.change.spread == pytest.approx(1.925 - gamma)
    assert "from gamma to split-lognormal" in found.change.text


def test_without_background() -> None:
    """STAT-25: a model that is not defined at b = 0 is None; any other bad number is still an error."""
    found = panel({"midp": 1.0}, 3.0, 0.0, 1.0, 0.0, observed=True, toys=0, seed=0)
    assert [name for name, one in found.models.items() if one is None] == ["lognormal", "gamma"]
    with pytest.raises(InputError, match="down = 26 exceeds"):
        panel({"midp": 1.0}, 3.0, 25.0, 1.0, 26.0, observed=True, toys=0, seed=0)


def test_expected_bands_are_of_an_excess_alone() -> None:
    """CLI-2: for an expectation above the background; not for data, not for a deficit."""
    assert panel(KNOWN, *NUMBERS, observed=True, toys=0, seed=0).expected is None
    assert panel({"midp": -1.0}, 20.0, 25.0, 5.0, 5.0, observed=False, toys=0, seed=0).expected is None
    found = panel(KNOWN, *NUMBERS, observed=False, toys=0, seed=0).expected
    assert found is not None
    assert found.at_mean.n == pytest.approx(40)


def test_limits_by_model() -> None:
    """STAT-24: each model's own numbers; the default once; a relative model at b = 0 has none."""
    found = limits_by_model(3, 1.2, 0.5, 0.4, level=0.9, models=("split-lognormal", "gaussian"))
    assert found.default.limits["cls"].observed == pytest.approx(
        limits.cls_limit(3, 1.2, 0.5, 0.4, level=0.9)
    )
    assert list(found.others) == ["gaussian"]
    gaussian = found.others["gaussian"]
    assert gaussian is not None
    want = limits.cls_limit(3, 1.2, 0.5, 0.4, level=0.9, model="gaussian")
    assert gaussian.limits["cls"].observed == pytest.approx(want)
    ratios = []
    for name in ("cls", "asymptotic"):
        one, other = gaussian.limits[name], found.default.limits[name]
        ratios += [one.observed / other.observed, one.expected.median / other.expected.median]
    assert found.change.spread == pytest.approx(max(max(r, 1 / r) - 1 for r in ratios))
    empty = limits_by_model(2, 0, 0.5, 0, models=("gamma", "none"))
    assert empty.others["gamma"] is None
    assert empty.others["none"] is not None
    with pytest.raises(InputError, match="must not be negative"):
        limits_by_model(-1, 0, 0, 0)
    with pytest.raises(InputError, match="one bin at a time"):
        limits.compare_limits([1, 2], 1, 0, 0)  # type: ignore[arg-type]
