"""A plain word on whether named methods tell the same, and whether asymptotic formulas apply.

`compare` sets the methods of one uncertainty model side by side; `z_across_models` and `limit_across_models` say how much the choice of
the uncertainty model changes a significance or an upper limit. ``none``, no uncertainty at all, is no shape of one and left out there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FEW", "TOLERATED", "ModelChange", "Verdict", "compare", "limit_across_models", "z_across_models"]

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
    low, high = _extremes(known)
    spread = known[high] - known[low] if known else 0.0
    agree, asymptotic = spread <= TOLERATED, min(n, b) >= FEW
    if agree:
        text = f"the methods agree within {spread:.2f} in Z"
    else:
        text = f"the methods differ by {spread:.2f} in Z, from {low} to {high}: say which one you quote"
    if not asymptotic:
        text += f"; below {FEW:g} events asymptotic formulas are out of their domain: prefer the exact ones"
    return Verdict(spread, agree, asymptotic, text)


@dataclass(frozen=True, slots=True)
class ModelChange:
    """How much the choice of the uncertainty model changes a number.

    Attributes
    ----------
    spread : float
        Largest difference in Z, or the largest limit over the smallest minus one.
    text : str
        One line for people.
    """

    spread: float
    text: str


def z_across_models(z: Mapping[str, float | None]) -> ModelChange:
    """Compare the significances of one count under different uncertainty models; None where one is infinite or not defined."""
    known = {name: value for name, value in z.items() if value is not None and name != "none"}
    low, high = _extremes(known)
    spread = known[high] - known[low] if known else 0.0
    if spread <= TOLERATED:
        return ModelChange(spread, f"the shape of the uncertainty changes Z by {spread:.2f} at most")
    return ModelChange(
        spread,
        f"the shape of the uncertainty changes Z by {spread:.2f}, from {low} to {high}: say which one you quote",
    )


def limit_across_models(limits: Mapping[str, float]) -> ModelChange:
    """Compare the exact upper limits of one count under different uncertainty models; they are above zero."""
    known = {name: value for name, value in limits.items() if name != "none"}
    if len(known) < 2:
        return ModelChange(0.0, "no other uncertainty model to compare with")
    low, high = _extremes(known)
    spread = known[high] / known[low] - 1
    between = f", from {low} to {high}" if low != high else ""
    return ModelChange(
        spread, f"the shape of the uncertainty changes the exact limit by {spread:.1%}{between}"
    )


def _extremes(known: Mapping[str, float]) -> tuple[str, str]:
    """Names of the smallest and the largest; empty where there is nothing."""
    low, high = (f(known, key=lambda name: known[name], default="") for f in (min, max))
    return low, high
