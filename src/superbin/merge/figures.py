"""Figures of merit by name: what a merge maximises, as functions of its sums.

All are expected, for signal s on background b with uncertainty ``+up -down``, and all are zero where there is no
signal. To discover the signal, significances in standard deviations:

* ``midp``: the exact expected mid-p significance at n = s + b, which is what the analysis quotes. No proof of
  optimality exists for it.
* ``profile_asimov``: Z_G, the Asimov significance of a Gaussian-constrained background. Provable.
* ``s_over_sqrt_bv``: s / sqrt(b + up^2). Provable, fastest, and the crudest: it overrates small counts.

To exclude it, the inverse of the expected 95 % CLs upper limit on its strength (`superbin.merge.exclusion`):

* ``limit``: exact, at the median count of background alone. No proof of optimality exists for it.
* ``asimov_limit``: asymptotic, with a Gaussian-constrained background. Provable.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from superbin._arrays import FloatArray
from superbin.errors import UnknownNameError
from superbin.merge.exclusion import asimov_limit, limit, quick_limit, rough_limit
from superbin.merge.problem import Totals

__all__ = [
    "FIGURES",
    "LIMITS",
    "PROVABLE",
    "STAND_INS",
    "figure",
    "midp",
    "profile_asimov",
    "profile_lognormal",
    "quick",
    "s_over_sqrt_bv",
]


def midp(totals: Totals) -> FloatArray:
    """Exact expected mid-p significance at n = s + b, by `superbin.stats.pvalue`.

    Negative where the background's upward uncertainty alone makes a larger count likely.
    """
    from superbin.stats import pvalue

    some = totals.signal > 0
    z = np.zeros(totals.signal.shape)
    if some.any():
        s, b, up, down = (part[some] for part in (totals.signal, totals.background, totals.up, totals.down))
        z[some] = pvalue.midp_significance(s + b, b, up, down)
    return z


def profile_asimov(totals: Totals) -> FloatArray:
    r"""Z_G = sqrt(q0) of the Asimov data set n = s + b with a Gaussian constraint of variance V = up^2.

    ``q0 = 2 (m - n + n ln(n/m)) + (m - b)^2 / V``, where ``m = ((b - V) + sqrt((b - V)^2 + 4 n V)) / 2`` is
    the background fitted without signal. For the model see G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur.
    Phys. J. C 71 (2011) 1554, sections 4 and 5, doi:10.1140/epjc/s10052-011-1554-0.
    """
    s, b, v = totals.signal, totals.background, totals.up**2
    n = s + b
    # The excess of the fitted background over b, m - b, without the cancellation of the textbook root.
    half = (b + v) / 2
    root = half + np.sqrt(half**2 + s * v)
    shift = np.divide(s * v, root, out=np.zeros_like(s), where=root > 0)
    fitted = b + shift
    with np.errstate(divide="ignore"):
        poisson = np.where(
            fitted > 0, n * _relative_entropy((s - shift), fitted), np.where(s > 0, np.inf, 0.0)
        )
        # (m - b)^2 / V = (m - b) (n / m - 1), which also holds for V = 0.
        constraint = shift * np.divide(s - shift, fitted, out=np.zeros_like(s), where=fitted > 0)
    z: FloatArray = np.sqrt(np.maximum(2 * poisson + constraint, 0.0))
    return z


def _relative_entropy(excess: FloatArray, fitted: FloatArray) -> FloatArray:
    """``ln(n/m) - (n - m)/n`` for n = m + excess, to full precision near n = m."""
    x = np.divide(excess, fitted, out=np.zeros_like(excess), where=fitted > 0)
    series = x * x * (0.5 - x * (2 / 3 - x * (0.75 - x * 0.8)))
    return np.where(x < 1e-3, series, np.log1p(x) - x / (1 + x))


def s_over_sqrt_bv(totals: Totals) -> FloatArray:
    """``s / sqrt(b + up^2)``."""
    width = np.sqrt(totals.background + totals.up**2)
    return np.divide(totals.signal, width, out=np.zeros_like(width), where=totals.signal > 0)


def profile_lognormal(totals: Totals) -> FloatArray:
    """Sqrt(q0) of the Asimov data set for the log-normal background ``b (1 + up/b)^z``; a quick stand-in for midp.

    Where b is zero the background is taken as a thousandth of its uncertainty: good enough to rank sets.
    """
    # In pieces that stay in the cache.
    pieces = range(0, len(totals.signal), _CHUNK)
    return np.concatenate([np.zeros(0), *(_lognormal(totals, slice(i, i + _CHUNK)) for i in pieces)])


def _lognormal(totals: Totals, piece: slice) -> FloatArray:
    totals = Totals(*(getattr(totals, name)[piece] for name in Totals.__slots__))
    b = np.maximum(totals.background, 1e-3 * totals.up)
    n = totals.signal + b
    slope = np.log1p(np.divide(totals.up, b, out=np.zeros_like(b), where=b > 0))
    ratio = np.log(np.divide(n, b, out=np.ones_like(b), where=b > 0))
    # z solves z = slope (n - b e^(slope z)); x = slope z lies between 0 and ln(n/b), the function is convex
    # and rising in x, so Newton from above converges without safeguards.
    x = ratio
    for _ in range(4):
        mean = b * np.exp(x)
        x = x - (x - slope**2 * (n - mean)) / (1 + slope**2 * mean)
    mean = b * np.exp(x)
    z = slope * (n - mean)
    q0 = 2 * (mean - n + n * (ratio - x)) + z**2
    quick: FloatArray = np.sqrt(np.maximum(q0, 0.0))
    return quick


_CHUNK = 4096

FIGURES: Mapping[str, Callable[[Totals], FloatArray]] = MappingProxyType(
    {
        "midp": midp,
        "profile_asimov": profile_asimov,
        "s_over_sqrt_bv": s_over_sqrt_bv,
        "limit": limit,
        "asimov_limit": asimov_limit,
    }
)
"""Every figure of merit by its name."""

LIMITS = ("limit", "asimov_limit")
"""Those that are no significances but inverses of limits."""

PROVABLE = ("profile_asimov", "s_over_sqrt_bv", "asimov_limit")
"""Those that a function convex and homogeneous in the sums decides, so that an optimum can be certified."""

STAND_INS: Mapping[str, str] = MappingProxyType({"limit": "quick_limit"})
"""Where a figure of merit is too slow for a search: what searches instead, before it ranks the best."""

_QUICK: Mapping[str, Callable[[Totals], FloatArray]] = MappingProxyType(
    {"midp": profile_lognormal, "limit": rough_limit, "quick_limit": rough_limit}
)


def quick(name: str) -> Callable[[Totals], FloatArray]:
    """What ranks very many sets for a figure of merit: itself where it is cheap. Looks at the upward side alone."""
    return _QUICK.get(name) or figure(name)


def figure(name: str) -> Callable[[Totals], FloatArray]:
    """Look a figure of merit up by its name, or a stand-in.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    if name in STAND_INS.values():
        return quick_limit
    try:
        return FIGURES[name]
    except KeyError:
        raise UnknownNameError(
            f"no figure of merit is called {name!r}; there are {', '.join(FIGURES)}"
        ) from None
