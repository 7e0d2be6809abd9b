"""Values that every kind of result is made of."""

import math
from dataclasses import dataclass, fields
from typing import Self

from superbin.domain.search import Search

__all__ = ["PValue", "SearchSummary", "binomial_error"]


@dataclass(frozen=True, slots=True)
class PValue:
    """A one-sided p-value and its significance in standard deviations.

    The significance of a deficit is negative; it is None where p is 1 and the significance has no finite
    value.
    """

    p: float
    z: float | None

    @classmethod
    def of(cls, p: float, z: float) -> Self:
        """As computed: plain numbers, no negative zero, and None for a significance that is not finite."""
        return cls(float(p), float(z) + 0.0 if math.isfinite(z) else None)


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """Which search a result is about; `digest` is the SHA-256 of its content, the texts are those of the search."""

    name: str
    title: str
    reference: str
    luminosity_fb: float
    sqrt_s_tev: float
    n_bins: int
    digest: str
    source: str
    licence: str = ""
    citation: str = ""
    accuracy: str = ""

    @classmethod
    def of(cls, search: Search) -> Self:
        """What there is to say of a search."""
        return cls(**{field.name: getattr(search, field.name) for field in fields(cls)})


def binomial_error(hits: float, n: int) -> float:
    """Standard error of the part ``hits/n``; with none or all, that of a single one or of all but one.

    Parameters
    ----------
    hits : float
        How many of `n`.
    n : int
        At least 1. A single trial tells nothing: its error is 1.
    """
    if n == 1:
        return 1.0
    inside = min(max(hits, 1), n - 1)
    return math.sqrt(inside * (n - inside) / n) / n
