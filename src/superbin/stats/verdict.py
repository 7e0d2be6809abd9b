"""A plain word on whether named methods tell the same, and whether asymptotic formulas apply."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FEW", "TOLERATED", "Verdict", "compare"]

TOLERATED = 0.1
"""Difference in Z between methods that goes without a warning."""

FEW = 5.0
"""Below this many events, counted or expected, a Poisson distribution is too skew for asymptotic formulas."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the methods are apart.

    Attributes
    ----------
    spread : float
        Largest difference in Z between any two.
    agree : bool
        Whether the spread is at most `TOLERATED`.
    asymptotic : bool
        Whether asymptotic formulas are within their domain.
    text : str
        One line for people.
    """

    spread: float
    agree: bool
    asymptotic: bool
    text: str


def compare(z: Mapping[str, float | None], n: float, b: float) -> Verdict:
    """Compare the significances of one count by different methods.

    Parameters
    ----------
    z : mapping of str to float or None
        Z by method; None where it is infinite. A ``pyhf`` entry is left out for ``n < b``: pyhf gives every deficit Z = 0.
    n, b : float
        Count and expected background, in events.

    Returns
    -------
    Verdict
    """
    known = {name: value for name, value in z.items() if value is not None and not (name == "pyhf" and n < b)}
    low, high = (f(known, key=lambda name: known[name], default=None) for f in (min, max))
    spread = known[high] - known[low] if low is not None and high is not None else 0.0
    agree, asymptotic = spread <= TOLERATED, min(n, b) >= FEW
    if agree:
        text = f"the methods agree within {spread:.2f} in Z"
    else:
        text = f"the methods differ by {spread:.2f} in Z, from {low} to {high}: say which one you quote"
    if not asymptotic:
        text += f"; below {FEW:g} events asymptotic formulas are out of their domain: prefer the exact ones"
    return Verdict(spread, agree, asymptotic, text)
