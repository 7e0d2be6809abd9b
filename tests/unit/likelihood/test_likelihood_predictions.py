"""Variations, covariances and predictions of bins, against numbers worked out by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chi2

from superbin.domain._intervals import garwood_interval
from superbin.errors import InputError, UnknownNameError
from superbin.likelihood import PublishedLikelihood, predict, variations

LEVEL = math.erf(1 / math.sqrt(2))


def interval_ends(count: float) -> tuple[float, float]:
    """Distances up and down to the ends of the central Poisson interval, from chi-square quantiles: Garwood (1936)."""
    tail = (1 - LEVEL) / 2
    return chi2.ppf(1 - tail, 2 * (count + 1)) / 2 - count, count - (
        chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    )


@pytest.mark.parametrize("count", [0.0, 1.0, 2.5, 21.0, 9222.0])
def test_garwood(count: float) -> None:
    """LIK-21: the interval of a count is Garwood's, from chi-square quantiles."""
    low, high = garwood_interval(count)
    assert (high - count, count - low) == pytest.approx(interval_ends(count), rel=1e-10)


PHI = 21 / 20
"""Of the two-bin card: 25 observed in the control region, 4 of others, 20 of its own per unit."""


def by_hand() -> dict[str, tuple[list[float], list[float]]]:
    """Shifts of both bins for every nuisance of the two-bin card at +1 and at -1."""
    up, down = interval_ends(21.0)
    nominal = (5 * PHI, 4 * PHI)

    def moved(one: float, two: float, phi: float) -> list[float]:
        return [5 * one * phi - nominal[0], 4 * two * phi - nominal[1]]

    return {
        "alpha": (moved(1.3, 1.15, PHI), moved(0.8, 0.9, PHI)),
        "beta": (moved(1.1, 1.2, 21 / (20 * 1.05)), moved(1 / 1.1, 0.85, 21 * 1.05 / 20)),
        "gamma": (moved(1, 1, (25 - 5) / 20), moved(1, 1, (25 - 3.2) / 20)),
        "scale": (moved(1, 1, PHI + up / 20), moved(1, 1, PHI - down / 20)),
    }


def test_variations_by_hand(two_bins: PublishedLikelihood) -> None:
    """LIK-21: the control region is followed, and systematics of the signal move no background."""
    found = variations(two_bins)
    np.testing.assert_allclose(found.nominal, [5 * PHI + 0.4, 4 * PHI + 0.2], rtol=1e-12)
    expected = by_hand()
    assert set(found.names) == set(expected)
    for i, name in enumerate(found.names):
        np.testing.assert_allclose(found.plus[i], expected[name][0], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found.minus[i], expected[name][1], rtol=1e-10, atol=1e-12)


def test_totals_add_within_a_nuisance_and_in_quadrature_between(two_bins: PublishedLikelihood) -> None:
    """LIK-21, LIK-22: both sides, with the covariance matrices of the same bins."""
    found = variations(two_bins)
    for bins in ([1], [2], [1, 2]):
        shifts = [(sum(p[b - 1] for b in bins), sum(m[b - 1] for b in bins)) for p, m in by_hand().values()]
        up = math.sqrt(sum(max(p, m, 0) ** 2 for p, m in shifts))
        down = math.sqrt(sum(min(p, m, 0) ** 2 for p, m in shifts))
        total = found.total(bins)
        assert (total.up, total.down) == pytest.approx((up, down), rel=1e-10)
        above, below = found.covariances(bins)
        assert math.sqrt(above.sum()) == pytest.approx(up, rel=1e-10)
        assert math.sqrt(below.sum()) == pytest.approx(down, rel=1e-10)


def test_downward_errors_stop_at_zero(compiled: Callable[..., PublishedLikelihood]) -> None:
    """LIK-21: many factors of a third in one bin would reach below zero events."""
    card = "bin a\nobservation 4\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 3\na lnN - 3\nb lnN - 3\nc lnN - 3\n"
    total = variations(compiled(card)).total([1])
    assert total.down == total.nominal == 3.0
    assert total.up == pytest.approx(6 * math.sqrt(3))


def test_zero_counts_only_go_up(compiled: Callable[..., PublishedLikelihood]) -> None:
    """LIK-7, LIK-21: 1.841 events of the control region times the weight, for both processes together."""
    card = (
        "bin a c\nobservation 4 0\nbin a a a a c\nprocess s b y z z\nprocess 0 1 2 3 3\nrate SIGNAL 3 0.5 0.25 1\n"
        "phi lnU - - 100 100 100\n"
    )
    likelihood = compiled(card, zero_count=["y", "z"])
    total = variations(likelihood).total([1])
    assert total.nominal == 3.0
    assert total.up == pytest.approx(0.75 * 1.8410216, rel=1e-6)
    assert total.down == 0.0
    assert variations(likelihood, zero_count="dropped").total([1]).up == 0.0


def test_predictions_need_their_control_regions(compiled: Callable[..., PublishedLikelihood]) -> None:
    """LIK-26: a free rate without a control region is refused."""
    card = "bin a\nobservation 4\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 3\nphi lnU - 100\n"
    with pytest.raises(InputError, match="free rate 'phi' has 0 control regions"):
        variations(compiled(card))


@pytest.mark.parametrize("bins", [[], [3], [0]])
def test_impossible_bins_are_refused(two_bins: PublishedLikelihood, bins: list[int]) -> None:
    """LIK-26: a total of no bins or of unknown bins is refused."""
    with pytest.raises(InputError, match=r"bins"):
        variations(two_bins).total(bins)


def test_prediction_from_control_regions(two_bins: PublishedLikelihood) -> None:
    """LIK-20: at theta = 0 the fit is exact, so the Hessian of (phi, beta, gamma, alpha) is written down."""
    found = predict(two_bins, "control")
    assert found.status == "converged"
    np.testing.assert_allclose(found.expected, [5 * PHI + 0.4, 4 * PHI + 0.2], rtol=1e-7)
    slope = np.array([20, 21 * math.log(1.05), 4 * math.log(1.25), 0.0])
    hessian = np.outer(slope, slope) / 25 + np.diag([0.0, 1, 1, 1])

    def middle(down: float, up: float) -> float:
        return (math.log(up) - math.log(down)) / 2

    jacobian = np.array([
        [5, 5 * PHI * math.log(1.1), 0, 5 * PHI * middle(0.8, 1.3)],
        [4, 4 * PHI * middle(0.85, 1.2), 0, 4 * PHI * middle(0.9, 1.15)],
    ])  # fmt: skip
    expected = jacobian @ np.linalg.inv(hessian) @ jacobian.T
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-5)
    np.testing.assert_allclose(np.diag(found.correlation), 1.0)
    np.testing.assert_allclose(found.processes["top"], [5 * PHI, 4 * PHI], rtol=1e-7)


def test_prediction_after_looking_is_pulled_to_the_data(two_bins: PublishedLikelihood) -> None:
    """LIK-20: 12 and 7 observed over 5.65 and 4.4 expected."""
    before, after = predict(two_bins, "control"), predict(two_bins, "background")
    assert after.status == "converged"
    assert (after.expected > before.expected).all()
    assert (after.errors / after.expected < before.errors / before.expected).all()


def test_predictions_of_zero_counts(compiled: Callable[..., PublishedLikelihood]) -> None:
    """LIK-7, LIK-20: profiled, phi minimises 3 + 3 phi/4 + phi - 12 ln(3 + 3 phi/4); dropped, its term is gone."""
    card = (
        "bin a c\nobservation 12 0\nbin a a a c\nprocess s b z z\nprocess 0 1 2 2\nrate SIGNAL 3 0.75 1\n"
        "phi lnU - - 100 100\n"
    )
    likelihood = compiled(card, zero_count=["z"])
    by_default, dropped = (
        predict(likelihood, "background"),
        predict(likelihood, "background", zero_count="dropped"),
    )
    assert by_default.expected == pytest.approx([12 * 0.75 / 1.75], rel=1e-6)
    assert dropped.expected == pytest.approx([3.0])
    assert (by_default.options["zero_count"], dropped.options["zero_count"]) == ("profiled", "dropped")
    assert predict(likelihood, "control").options["zero_count"] == "dropped"


def test_unknown_scopes_are_refused(two_bins: PublishedLikelihood) -> None:
    """LIK-26: an unknown scope is refused with the scopes that exist."""
    with pytest.raises(UnknownNameError, match="scope is 'all'; it must be one of control, background"):
        predict(two_bins, "all")  # type: ignore[arg-type]
