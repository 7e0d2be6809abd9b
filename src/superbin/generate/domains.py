"""What the constants of a card may be: a domain for each of them, checked when the card is made.

A `Domain` is a rule in words and the test for it; the functions below make the usual ones; `check_domains` holds a
card against a table of them. Clause GEN-71 of ``specs/generation.md``.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeGuard

from superbin.errors import InputError

__all__ = [
    "ETA",
    "FRACTION",
    "NOT_NEGATIVE",
    "POSITIVE",
    "RATES",
    "SWITCH",
    "Domain",
    "check_domains",
    "each",
    "number",
    "whole",
]


@dataclass(frozen=True, slots=True)
class Domain:
    """The values a constant may have.

    Parameters
    ----------
    text : str
        The rule, after "it must be".
    holds : callable
        Whether a value, of whatever type, keeps it.
    """

    text: str
    holds: Callable[[Any], bool]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(text: str, holds: Callable[[float], bool]) -> Domain:
    """A finite number with a property."""
    return Domain(text, lambda value: _is_number(value) and holds(value))


def whole(least: int, most: float = math.inf) -> Domain:
    """A whole number in a range, both ends included."""
    text = f"a whole number >= {least}" if most == math.inf else f"a whole number from {least} to {most:g}"
    return Domain(text, lambda value: isinstance(value, int) and _is_number(value) and least <= value <= most)


def each(domain: Domain, text: str) -> Domain:
    """A tuple, empty or not, whose entries all are of a domain."""
    return Domain(text, lambda value: isinstance(value, tuple) and all(map(domain.holds, value)))


def _is_rates(value: object) -> bool:
    if not (isinstance(value, tuple) and value):
        return False
    if not all(isinstance(row, tuple) and len(row) == 2 for row in value):
        return False
    return all(POSITIVE.holds(pt) and FRACTION.holds(rate) for pt, rate in value) and all(
        low[0] < high[0] for low, high in pairwise(value)
    )


POSITIVE = number("a number above 0", lambda x: x > 0)
NOT_NEGATIVE = number("a number >= 0", lambda x: x >= 0)
FRACTION = number("a number from 0 to 1", lambda x: 0 <= x <= 1)
ETA = number("a pseudorapidity above 0 and at most 10, beyond which the beam lies", lambda x: 0 < x <= 10)
SWITCH = Domain("true or false", lambda value: isinstance(value, bool))
RATES = Domain("pairs of a pT above 0, rising from pair to pair, and a rate from 0 to 1", _is_rates)


def check_domains(card: str, constants: object, domains: Mapping[str, Domain]) -> None:
    """Hold every constant of a card against its domain.

    Parameters
    ----------
    card : str
        Name of the card, such as ``"detector"``.
    constants : object
        The card itself.
    domains : mapping of str to Domain
        One for every constant.

    Raises
    ------
    InputError
        If a constant is outside its domain.
    """
    for name, domain in domains.items():
        value = getattr(constants, name)
        if not domain.holds(value):
            raise InputError(f"{card}.{name} is {value!r}; it must be {domain.text}")
