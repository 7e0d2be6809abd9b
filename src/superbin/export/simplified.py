"""Limits of what is exported as a simplified likelihood, in the convention of the tools that load it, beside what is left out.

SModelS and spey take Gaussian backgrounds with a covariance, centre the constraints of an Asimov data set at zero whatever was fitted, and
expect limits from the nominal background; spey keeps backgrounds above zero, and SModelS holds the background of a region that observes
nothing at its nominal value, which is wrong. `own_limits` gives superbin's limit of that same model in that same convention, what
SModelS gives in its place where they differ, the limit with asymmetric errors, and that of the full likelihood where it is known.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from superbin.domain.aggregate import Background
from superbin.export.entry import Entry, Point
from superbin.stats.limits import compare_limits

__all__ = [
    "COMPARED",
    "NO_REGION",
    "Limits",
    "columns",
    "compared",
    "differences",
    "own_limits",
    "spread",
    "with_inverse",
]

NO_REGION = (
    "a scan has an aggregate bin of its own at every point and no common region, which the format needs; export one result, "
    "or a bundle of k regions that superbin common designed"
)
"""Why a scan is refused by formats of regions."""

COMPARED = 25
"""Points of a map whose limits are computed, spread over all."""

_SMALLEST = 1e-12
"""Relative variance of a background without an error: covariances must have inverses."""


@dataclass(frozen=True, slots=True)
class Limits:
    """95 % CLs limits on the signal strength, asymptotic.

    Attributes
    ----------
    observed, expected : float or None
        Of the simplified likelihood, in the convention of SModelS and spey; expected limits are pre-fit.
    smodels_observed : float or None
        What SModelS gives for the observed limit, where a region observes nothing; None where it is right.
    asymmetric_observed, asymmetric_expected : float or None
        With errors up and down: of one region superbin's own model, of several a quadratic form with their third moments.
    likelihood_observed, likelihood_expected : float or None
        Of the full likelihood, post-fit; None where that is not known.
    """

    observed: float | None
    expected: float | None
    smodels_observed: float | None
    asymmetric_observed: float | None
    asymmetric_expected: float | None
    likelihood_observed: float | None
    likelihood_expected: float | None


def compared(points: Sequence[Point]) -> list[int]:
    """Positions of at most `COMPARED` points with a signal, spread over all."""
    some = [i for i, p in enumerate(points) if sum(p.yields) > 0]
    if len(some) <= COMPARED:
        return some
    return [some[round(i)] for i in np.linspace(0, len(some) - 1, COMPARED)]


def own_limits(entry: Entry, point: Point) -> Limits:
    """Limits on the strength of a signal of an entry with regions; see the module."""
    from superbin.likelihood.quadratic import simplified_limits

    n = np.array([float(r.observed) for r in entry.regions])
    b = np.array([r.background.nominal for r in entry.regions])
    variances = with_inverse(entry)
    signal = np.array(point.yields)
    model = (n, b, variances, signal)
    own = simplified_limits(*model, auxiliary="fixed", expectation="prefit")
    theirs = None
    if (n == 0).any():
        theirs = simplified_limits(
            *model, auxiliary="fixed", expectation="prefit", positive=False, held=n == 0
        ).observed
    if len(entry.regions) == 1:
        total = entry.regions[0].background
        one = compare_limits(n[0], total.nominal, total.up, total.down, methods=("asymptotic",)).limits[
            "asymptotic"
        ]
        asymmetric = one.observed / signal[0], one.expected.median / signal[0]
    else:
        skew = np.array([_third_moment(r.background) for r in entry.regions])
        largest = 2**1.5 * 0.98 * np.diag(variances) ** 1.5
        skewed = simplified_limits(
            *model,
            third_moment=np.clip(skew, -largest, largest),
            auxiliary="fixed",
            expectation="prefit",
        )
        asymmetric = skewed.observed, skewed.expected
    known = point.limits or {}
    return Limits(
        own.observed,
        own.expected,
        theirs,
        *asymmetric,
        known.get("likelihood_observed"),
        known.get("likelihood_expected"),
    )


def with_inverse(entry: Entry) -> np.ndarray:
    """Covariance of the backgrounds with an inverse, which SModelS needs: no variance is zero."""
    variances = entry.variances().copy()
    scale = np.array([max(r.background.nominal, 1.0) for r in entry.regions]) ** 2
    i = np.arange(len(variances))
    variances[i, i] = np.maximum(variances[i, i], _SMALLEST * scale)
    return variances


def _third_moment(total: Background) -> float:
    """Third central moment of a normal with two widths."""
    up, down = total.up, total.down
    mean = (up - down) / math.sqrt(2 * math.pi)
    second, third = (up**2 + down**2) / 2, (up**3 - down**3) * math.sqrt(2 / math.pi)
    return third - 3 * mean * second + 2 * mean**3


def differences(found: Iterable[Limits]) -> list[str]:
    """Sentences on how far the simplified likelihood's limits are from the others, over all points."""
    rows = list(found)
    said = []
    names = {
        "asymmetric": "with asymmetric errors",
        "likelihood": "of the full likelihood",
    }
    for prefix, words in names.items():
        for which in ("observed", "expected"):
            pairs = [(getattr(row, which), getattr(row, f"{prefix}_{which}")) for row in rows]
            ratios = [ours / theirs - 1 for ours, theirs in pairs if ours and theirs]
            if ratios:
                said.append(f"{which} limits over those {words}: {spread(ratios)}")
    if not any(row.likelihood_observed for row in rows):
        said.append("the full likelihood is not compared: no limits of it are given")
    wrong = [row.smodels_observed / row.observed - 1 for row in rows if row.smodels_observed and row.observed]
    if wrong:
        said.append(
            "SModelS holds the background of regions that observe 0 at its nominal value: its observed limits are off by "
            + spread(wrong)
        )
    return said


def spread(ratios: Sequence[float]) -> str:
    """Relative differences in words: the extremes and the median."""
    if len(ratios) == 1:
        return f"{ratios[0]:+.1%}"
    return f"{min(ratios):+.1%} to {max(ratios):+.1%}, median {float(np.median(ratios)):+.1%}"


def columns() -> tuple[str, ...]:
    """Names of the limits, for tables."""
    return tuple(field.name for field in fields(Limits))
