"""Values and uncertainties are rounded by the rule of the Particle Data Group."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superbin.results.rounding import measured, plain


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        # The examples of the rule itself, Phys. Rev. D 110 (2024) 030001, section 5.3.
        (0.827, 0.119, ("0.83", "0.12")),
        (0.827, 0.367, ("0.8", "0.4")),
        (14.674, 0.964, ("14.7", "1.0")),
        # Its borders.
        (1.0, 0.354, ("1.00", "0.35")),
        (1.0, 0.355, ("1.0", "0.4")),
        (1.0, 0.0949, ("1.00", "0.09")),
        (1.0, 0.0950, ("1.00", "0.10")),
        (1640.2, 492.0, ("1600", "500")),
        (-0.0004, 0.2, ("0.00", "0.20")),
    ],
)
def test_published_rule(value: float, error: float, shown: tuple[str, str]) -> None:
    """RES-20: two digits up to 354, one up to 949, and 10 in the next decade above."""
    found = measured(value, error)
    assert (found.value, *found.errors) == shown


@pytest.mark.parametrize(
    ("up", "down", "shown"),
    [
        (3.742, 1.061, "5.7 +3.7 -1.1"),
        (1.36, 0.08, "5.69 +1.36 -0.08"),
        (1.36, 0.004, "5.69 +1.36 -0.00"),
        (0.84, 0.0, "5.7 +0.8 -0.0"),
    ],
)
def test_two_sides(up: float, down: float, shown: str) -> None:
    """RES-20: the smaller side decides, but the larger keeps at most one digit more than alone; zero decides nothing."""
    assert plain(5.6938, up, down) == shown


def test_without_uncertainty() -> None:
    """RES-20: a value alone has three digits, and keeps those before its point."""
    assert [measured(v).value for v in (27.8412, 0.0, 123456.0)] == ["27.8", "0", "123456"]
    assert plain(9.61, 0.141, 0.141) == "9.61 +- 0.14"
    assert plain(2.3e-6, 1e-6, 5e-7) == "(2.3 +1.0 -0.5)e-6"


@given(
    value=st.floats(-1e6, 1e6),
    up=st.floats(1e-9, 1e6),
    down=st.floats(0, 1e6),
)
def test_law(value: float, up: float, down: float) -> None:
    """RES-20: what is shown is within half a last digit of what it rounds, and a last digit is at most a fifth of the larger error."""
    found = measured(value, up, down)
    scale = 10.0**found.exponent
    digits = len(found.value.partition(".")[2])
    for shown, exact in zip((found.value, *found.errors), (value, up, down), strict=True):
        step = scale * 10.0**-digits
        if digits == 0:  # tens and hundreds have no decimals to count
            step = max(step, 10.0 ** math.floor(math.log10(max(up, down))))
        assert abs(float(shown) * scale - exact) <= 0.5000001 * step + 1e-9 * abs(exact)
