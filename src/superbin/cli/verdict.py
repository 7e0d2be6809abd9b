"""A plain word on whether named methods tell the same, and whether asymptotic formulas apply.

`compare` sets the significances by the methods of one uncertainty model side by side, `compare_limits` their limits; `z_across_models` and `limit_across_models` say how much the choice of
the uncertainty model changes a significance or an upper limit. ``none``, no uncertainty at all, is no shape of one and left out there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from superbin.stats.models import SHARP

__all__ = [
    "FEW",
    "LIMITS_TOLERATED",
    "TOLERATED",
    "ModelChange",
    "Verdict",
    "compare",
    "compare_limits",
    "limit_across_models",
    "z_across_models",
]

TOLERATED = 0.1
"""Difference in Z between methods that goes without a warning."""

FEW = 5.0
"""Below this many events, counted or expected, a Poisson distribution is too skew for asymptotic formulas."""


OUT_OF_DOMAIN = f"; below {FEW:g} events asymptotic formulas are out of their domain: prefer the exact ones"

LIMITS_TOLERATED = 0.05
"""Relative difference between limits that goes without a warning: about 0.1 in Z at 95 %."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the methods are apart.

    Attributes
    ----------
    spread : float
        Largest difference in Z between any two; of limits, see `compare_limits`.
    agree : bool
        Whether the spread is at most `TOLERATED`, of limits `LIMITS_TOLERATED`.
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
    if not known:
        text = "no method has a finite Z to compare"
    elif agree:
        text = f"the methods agree within {spread:.2f} in Z"
    else:
        text = f"the methods differ by {spread:.2f} in Z, from {low} to {high}: say which one you quote"
    return Verdict(spread, agree, asymptotic, text + ("" if asymptotic else OUT_OF_DOMAIN))


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
    known = {name: value for name, value in z.items() if value is not None and name != SHARP}
    low, high = _extremes(known)
    spread = known[high] - known[low] if known else 0.0
    if not known:
        return ModelChange(spread, "no uncertainty model has a finite Z to compare")
    if spread <= TOLERATED:
        return ModelChange(spread, f"the shape of the uncertainty changes Z by {spread:.2f} at most")
    return ModelChange(
        spread,
        f"the shape of the uncertainty changes Z by {spread:.2f}, from {low} to {high}: say which one you quote",
    )


def compare_limits(
    observed: Mapping[str, float], expected: Mapping[str, Sequence[float]], n: float, b: float
) -> Verdict:
    """Compare the upper limits of one count by different methods, observed, expected and bands.

    Parameters
    ----------
    observed : mapping of str to float
        Observed limits by method, in one unit, above zero.
    expected : mapping of str to sequence of five float
        Expected limits at -2 to +2 sigma by method, all of one hypothesis.
    n, b : float
        Count and expected background, in events.

    Returns
    -------
    Verdict
        Its spread is the larger of two, of the observed limits and of the expected medians: the largest limit over the smallest, minus
        one. The bands are in the text only: an exact one jumps from count to count.
    """
    medians = {name: bands[2] for name, bands in expected.items()}
    parts = {"observed limits": _limit_spread(observed), "expected medians": _limit_spread(medians)}
    spread = max(part for part, _ in parts.values())
    bands = max(_limit_spread({k: v[i] for k, v in expected.items()})[0] for i in range(5))
    agree, asymptotic = spread <= LIMITS_TOLERATED, min(n, b) >= FEW
    text = ", ".join(f"{name} differ by {part:.1%}{between}" for name, (part, between) in parts.items())
    text += f", bands by up to {bands:.1%}"
    if not agree:
        text += ": say which one you quote"
    return Verdict(spread, agree, asymptotic, text + ("" if asymptotic else OUT_OF_DOMAIN))


def limit_across_models(columns: Mapping[str, Mapping[str, float]]) -> ModelChange:
    """Compare upper limits under different uncertainty models.

    Parameters
    ----------
    columns : mapping of str to mapping of str to float
        By the name of the limit, its values by model; above zero.

    Returns
    -------
    ModelChange
        Its spread is that of the limit that changes most.
    """
    known = {
        column: {name: value for name, value in values.items() if name != SHARP}
        for column, values in columns.items()
    }
    if max(map(len, known.values()), default=0) < 2:
        return ModelChange(0.0, "no other uncertainty model to compare with")
    parts = {column: _limit_spread(values) for column, values in known.items()}
    text = ", ".join(f"the {column} by {part:.1%}{between}" for column, (part, between) in parts.items())
    return ModelChange(
        max(part for part, _ in parts.values()), f"the shape of the uncertainty changes {text}"
    )


def _limit_spread(limits: Mapping[str, float]) -> tuple[float, str]:
    """Largest over smallest minus one, and between which."""
    low, high = _extremes(limits)
    if not limits or limits[low] == limits[high]:
        return 0.0, ""
    return limits[high] / limits[low] - 1, f" ({low} to {high})"


def _extremes(known: Mapping[str, float]) -> tuple[str, str]:
    """Names of the smallest and the largest; empty where there is nothing."""
    low, high = (f(known, key=lambda name: known[name], default="") for f in (min, max))
    return low, high
