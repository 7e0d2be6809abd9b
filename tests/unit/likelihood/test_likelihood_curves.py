"""Solving for mu: what the solver finds, and what it refuses to call found."""

import math

import pytest

from superbin.likelihood.inference import ATTEMPTS, NotFoundError, _Curve


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e5, 1e12])
@pytest.mark.parametrize("guess", [1e-3, 1.0, 50.0])
def test_a_curve_is_inverted_at_any_scale(scale: float, guess: float) -> None:
    """LIK-32, LIK-33: a curve is inverted at any scale and from any first guess."""
    curve = _Curve(lambda mu: math.sqrt(mu / scale), "limit")
    assert curve.where(1.7, guess * scale) == pytest.approx(1.7**2 * scale, rel=1e-5)
    assert curve.where(2.9, guess * scale) == pytest.approx(2.9**2 * scale, rel=1e-5)


def test_a_curve_that_never_gets_there_is_no_solution() -> None:
    """LIK-32: bounded in the number of evaluations."""
    calls = []

    def bounded(mu: float) -> float:
        calls.append(mu)
        return 1 - math.exp(-mu)

    with pytest.raises(NotFoundError, match="the observed limit was not found in 60 steps"):
        _Curve(bounded, "observed limit").where(2.0, 1.0)
    assert len(calls) <= ATTEMPTS + 1


def test_a_curve_with_a_step_is_no_solution() -> None:
    """LIK-32: the value is jumped over."""
    with pytest.raises(NotFoundError, match="was not found"):
        _Curve(lambda mu: mu if mu < 1 else mu + 1, "limit").where(1.5, 0.3)


def test_a_curve_that_falls_is_no_solution() -> None:
    """LIK-32: a limit on a curve that falls is refused as not unique."""
    with pytest.raises(NotFoundError, match=r"the limit is not unique: the test exceeds 1 at mu = 1 "):
        curve = _Curve({1.0: 1.5, 2.0: 0.5}.__getitem__, "limit")
        curve(1.0)
        curve(2.0)
        curve.where(1.0, 1.0)
