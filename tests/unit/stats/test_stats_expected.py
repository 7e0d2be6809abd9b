"""Expected p-values, pre-fit."""

import numpy as np
import pytest
from scipy import stats

from superbin import stats as superstats
from superbin.errors import InputError


def test_counts_are_quantiles() -> None:
    """STAT-20: against SciPy's Poisson quantiles, and its survival function for the p-values, without systematics."""
    result = superstats.expected(4.4, 3, 0, 0)
    n = np.asarray(stats.poisson.ppf(stats.norm.cdf([-2, -1, 0, 1, 2]), 7.4))
    assert [one.n for one in result.at_quantiles] == list(n)
    for one in result.at_quantiles:
        p = stats.poisson.sf(one.n, 3) + 0.5 * stats.poisson.pmf(one.n, 3)
        assert (one.p, one.z) == pytest.approx((p, stats.norm.isf(p)), rel=1e-9)
    assert result.median == result.at_quantiles[2]


def test_against_pseudo_experiments() -> None:
    """STAT-20: with systematics, every count sits at its probability in a million thrown counts."""
    random = np.random.default_rng(4)
    z = random.standard_normal(1_000_000)
    counts = random.poisson(15 + 25 * np.where(z > 0, 1.2**z, 0.8**-z))
    result = superstats.expected(15, 25, 5, 5)
    for one, probability in zip(
        result.at_quantiles, np.asarray(stats.norm.cdf([-2, -1, 0, 1, 2])), strict=True
    ):
        assert np.mean(counts <= one.n) > probability - 2e-3
        assert np.mean(counts <= one.n - 1) < probability + 2e-3


def test_bands_are_of_standard_deviations() -> None:
    """STAT-20: where counts lie close together, 16 and 84 % would give others than one standard deviation does."""
    n, other = (
        np.asarray(stats.poisson.ppf(levels, 500)).tolist()
        for levels in (stats.norm.cdf([-2, -1, 0, 1, 2]), (0.025, 0.16, 0.5, 0.84, 0.975))
    )
    assert [one.n for one in superstats.expected(100, 400, 0, 0).at_quantiles] == n != other


def test_reference() -> None:
    """STAT-20: the original's number at n = s + b (Z = 1.925 for 40 over 25 +5 -5), labelled."""
    result = superstats.expected(15, 25, 5, 5)
    assert result.at_mean.n == 40
    assert result.at_mean.z == pytest.approx(1.925, abs=5e-4)
    assert result.asimov_z == pytest.approx(1.918, abs=5e-4)
    assert result.fit == "prefit"
    assert result.median.z == pytest.approx(1.9, abs=0.15)


def test_no_signal() -> None:
    """STAT-7, STAT-20: nothing is NaN without signal, or without anything."""
    for yields in ((3, 1, 1), (0, 0, 0), (0, 1, 0)):
        result = superstats.expected(0, *yields)
        assert np.isfinite([one.z for one in (*result.at_quantiles, result.at_mean)]).all()
        assert result.asimov_z == 0
    z = [one.z for one in superstats.expected(0, 50, 5, 5).at_quantiles]
    assert abs(z[2]) < 0.1
    assert z == sorted(z)


def test_bad_input() -> None:
    """STAT-14: scalars in the domain only."""
    with pytest.raises(InputError, match="one bin at a time"):
        superstats.expected([1, 2], 1, 0, 0)
    with pytest.raises(InputError, match="s = -1 must not be negative"):
        superstats.expected(-1, 1, 0, 0)
