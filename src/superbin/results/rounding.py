r"""Numbers with uncertainties, rounded as the Particle Data Group does: one rule for every output.

An uncertainty is quoted with two digits if its three leading digits are at most 354, with one from 355 to 949, and as 10 in the next decade
from 950; the value has the same last digit (S. Navas et al., Phys. Rev. D 110 (2024) 030001, section 5.3 of the introduction). Specified in
``specs/results.md``.
"""

import math
from dataclasses import dataclass

__all__ = ["Rounded", "measured", "plain", "three"]

_FINEST = 4
"""Decimals beyond which a power of ten is taken out."""


@dataclass(frozen=True, slots=True)
class Rounded:
    """A value and its uncertainties as text.

    Attributes
    ----------
    value : str
        With a minus sign where it is negative.
    errors : tuple of str
        Without signs, in the order given.
    exponent : int
        All of them are multiples of ten to this power; 0 unless they are very small.
    """

    value: str
    errors: tuple[str, ...]
    exponent: int = 0


def measured(value: float, *errors: float) -> Rounded:
    """Round a value and its uncertainties to the same last digit.

    Parameters
    ----------
    value : float
        Finite.
    *errors : float
        Sizes of one or more uncertainties, such as upwards and downwards; finite, >= 0. The smallest that is not zero decides, but
        the largest keeps at most one digit more than it has alone.

    Returns
    -------
    Rounded
        Without an uncertainty other than zero, the value has three digits.

    Examples
    --------
    >>> measured(5.6938, 3.742, 1.061)
    Rounded(value='5.7', errors=('3.7', '1.1'), exponent=0)
    >>> measured(1640.2, 492.0)
    Rounded(value='1600', errors=('500',), exponent=0)
    """
    known = [error for error in errors if error > 0]
    if known:
        decimals = min(_decimals(min(known)), _decimals(max(known)) + 1)
    else:
        decimals = 0 if value == 0 else 2 - math.floor(math.log10(abs(value)))
        decimals = max(decimals, 0)  # a value without uncertainty keeps the digits before its point
    exponent = 0
    if decimals > _FINEST:
        exponent = math.floor(math.log10(max(abs(value), *errors, 0.0)))
        decimals += exponent
    scale = 10.0**exponent
    return Rounded(
        _fixed(value / scale, decimals), tuple(_fixed(error / scale, decimals) for error in errors), exponent
    )


def plain(value: float, up: float, down: float | None = None) -> str:
    """Write a value with upward and downward uncertainty as plain text; with one uncertainty for both, and none where it is zero.

    Examples
    --------
    >>> plain(5.6938, 3.742, 1.061), plain(9.61, 0.141)
    ('5.7 +3.7 -1.1', '9.61 +- 0.14')
    """
    shown = measured(value, up, up if down is None else down)
    first, second = shown.errors
    if up == 0 and down in {0, None}:
        text = shown.value
    elif first == second:
        text = f"{shown.value} +- {first}"
    else:
        text = f"{shown.value} +{first} -{second}"
    return f"({text})e{shown.exponent}" if shown.exponent else text


def three(value: float) -> str:
    """Write a value without uncertainty with three digits, zeros at its end included; whole numbers from a thousand on.

    Examples
    --------
    >>> three(0.32), three(1.5), three(1476.2)
    ('0.320', '1.50', '1476')
    """
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def _decimals(error: float) -> int:
    """Decimals, which are negative for tens, that the rule gives an uncertainty."""
    # Three digits first: 3.546 has 355.
    mantissa, exponent = f"{error:.2e}".split("e")
    return (float(mantissa) < 3.55) - int(exponent)


def _fixed(value: float, decimals: int) -> str:
    text = f"{round(value, decimals):.{max(decimals, 0)}f}"
    return text.removeprefix("-") if float(text) == 0 else text
