r"""Figures of merit for excluding a signal: the expected upper limit on its strength mu, the smaller the better.

A search maximises, so the value is the inverse, ``1 / mu_95 = S / s_95``: how often over the signal as predicted is
excluded. A merge that is expected to exclude has a value above 1.

* `limit`: s_95 is the exact CLs limit at the median count of background alone, the median of
  `superbin.stats.limits.expected_limits`. That count is whole, so the limit jumps as the background grows: no proof.
* `asimov_limit`: s_95 solves ``q(s, B, V) = c`` with c = 1.96^2, where q tests a signal s on the data set n = B under a
  Gaussian-constrained background, the asymptotic median limit (G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C
  71 (2011) 1554, section 4.3, doi:10.1140/epjc/s10052-011-1554-0). q is a maximum over one number, see
  `ExclusionDual`, so that its optimum can be certified.
* `quick_limit`: `limit` with the background's uncertainty on twenty points; it ranks sets for `limit`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from superbin._arrays import FloatArray
from superbin.merge.problem import Totals

__all__ = [
    "THRESHOLD",
    "ExclusionDual",
    "asimov_exclusion",
    "asimov_limit",
    "limit",
    "quick_limit",
    "rough_limit",
]

LEVEL = 0.95

THRESHOLD = float(special.ndtri(1 - (1 - LEVEL) / 2)) ** 2
"""The q that 95 % CLs excludes at the median: CLs is ``2 (1 - Phi(sqrt(q)))`` there."""

_LARGEST_U = 1 - 1e-9

_POINTS = 10
"""Points on each side of the background's standard normal."""

_FARTHEST = 5.0

_CHUNK = 4096


# --- asymptotic -------------------------------------------------------------------------------------------


def asimov_exclusion(totals: Totals) -> FloatArray:
    """Sqrt(q): the significance with which the signal is expected to be excluded, asymptotically.

    ``q = 2 u s + 2 (u + ln(1 - u)) b - u^2 V`` at its largest over u, which is where
    ``V u^2 - (s + b + V) u + s = 0``.
    """
    q, _ = _exclusion(totals.signal, totals.background, totals.up**2)
    return np.sqrt(np.maximum(q, 0.0))


def asimov_limit(totals: Totals) -> FloatArray:
    """``1 / mu_95`` of the asymptotic median limit; see the module."""
    return totals.signal / _asimov_events(totals, 5)


def rough_limit(totals: Totals) -> FloatArray:
    """`asimov_limit` to one part in ten thousand, to rank very many sets."""
    return totals.signal / _asimov_events(totals, 2)


def _asimov_events(totals: Totals, steps: int) -> FloatArray:
    b, v = totals.background, totals.up**2
    # q is convex in s and rises from zero: from where it is too large, Newton comes down without overshooting.
    s: FloatArray = np.sqrt(THRESHOLD * (b + v)) + THRESHOLD / 2
    for _ in range(steps):
        q, slope = _exclusion(s, b, v)
        s = s - (q - THRESHOLD) / slope
    return s


def _exclusion(s: FloatArray, b: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Q of `asimov_exclusion` and its derivative with respect to s."""
    total = s + b + v
    width = np.sqrt((s - v) ** 2 + b * b + 2 * b * (s + v))
    u = np.divide(2 * s, total + width, out=np.zeros_like(s), where=total > 0)
    slope = 2 * u
    return slope * s + 2 * _u_plus_log(u, b) - u * u * v, slope


def _u_plus_log(u: FloatArray, b: FloatArray) -> FloatArray:
    """``(u + ln(1 - u)) b`` without cancellation, zero without background."""
    series = -u * u * (1 / 2 + u * (1 / 3 + u * (1 / 4 + u * (1 / 5 + u / 6))))
    inside = np.where(b > 0, np.minimum(u, _LARGEST_U), 0.0)
    return np.where(u < 1e-3, series, inside + np.log1p(-inside)) * b


@dataclass(frozen=True, slots=True)
class ExclusionDual:
    """The dual of `asimov_exclusion`: ``phi = 2 u S + 2 (u + ln(1 - u)) B``, u from 0 to 1.

    Attained at ``u = (b - m) / V``, m being the background fitted under the signal. As for the significances a score
    starts at zero with slope 2 s_i and is concave, so that prefixes are optimal.
    """

    def weights(self, u: float) -> tuple[float, float, float, float]:
        """Factors p and r of ``phi = p S - r B``, and their derivatives with respect to u."""
        one = np.ones(1)
        r = -2 * float(_u_plus_log(np.full(1, u), one)[0])
        return 2 * u, r, 2.0, 2 * u / (1 - u)

    def score(self, u: float | FloatArray, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """Scores of bins with variances v."""
        at = np.broadcast_to(np.asarray(u, dtype=np.float64), s.shape)
        return 2 * at * s + 2 * _u_plus_log(at, b) - at * at * v

    def attained(self, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """The u at which the maximum over u is attained."""
        return np.minimum(_exclusion(s, b, v)[1] / 2, _LARGEST_U)

    def largest(self, s: float, b: float) -> float:
        """No set with at most s signal and at least b background attains a larger u."""
        return min(s / (s + b), _LARGEST_U) if s + b > 0 else _LARGEST_U

    def roots(self, s: FloatArray, b: FloatArray, v: FloatArray) -> FloatArray:
        """An increasing function of the u > 0 at which each score vanishes, not below it; zero without signal.

        It is ``t = -ln(1 - u)``, which tells roots near 1 apart; infinite where the score is positive up to u = 1.
        """
        positive = np.where(b > 0, b, 1.0)
        low, high = np.zeros_like(s), s / positive + 2
        for _ in range(64):
            t = (low + high) / 2
            u = -np.expm1(-t)
            background = np.where(t < 1e-3, _u_plus_log(u, b), (u - t) * b)
            above = 2 * u * s + 2 * background - u * u * v > 0
            low, high = np.where(above, t, low), np.where(above, high, t)
        straight = np.divide(2 * s, v, out=np.ones_like(s), where=v > 0)
        with np.errstate(divide="ignore"):
            alone = -np.log1p(-np.minimum(straight, 1.0))
        return np.where(s > 0, np.where(b > 0, high, alone), 0.0)


# --- exact ------------------------------------------------------------------------------------------------


def limit(totals: Totals) -> FloatArray:
    """``1 / mu_95`` of the exact median CLs limit of background alone, by `superbin.stats.limits`."""
    from superbin.stats.counts import quantile
    from superbin.stats.limits import cls_limit

    yields = totals.background, totals.up, totals.down
    events = np.asarray(cls_limit(quantile(0.5, *yields), *yields, level=LEVEL))
    value: FloatArray = totals.signal / events
    return value


def quick_limit(totals: Totals) -> FloatArray:
    """`limit` on a fixed grid of the background's uncertainty, a hundred times faster; good to rank sets."""
    parts = [np.zeros(0)]
    for i in range(0, len(totals.signal), _CHUNK):
        b, up, down = (x[i : i + _CHUNK] for x in (totals.background, totals.up, totals.down))
        parts.append(_quick_events(b, up, down))
    return totals.signal / np.concatenate(parts)


def _quick_events(b: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
    from superbin.stats import smear

    x, w = np.polynomial.legendre.leggauss(_POINTS)
    z = _FARTHEST * (1 + x) / 2
    weight = w * np.exp(-z * z / 2)
    z, weight = np.concatenate([-z, z]), np.tile(weight / (2 * weight.sum()), 2)
    mean = smear.mean(z[None, :], b[:, None], up[:, None], down[:, None])
    n = _median(mean, weight, b)
    target = np.log((1 - LEVEL) * _at_most(n, mean, weight))
    # ln P(N <= n | s) is concave and falls in s: Newton lands beyond the limit, then comes down to it.
    s = 3 + np.sqrt(n)
    for _ in range(6):
        total = s[:, None] + mean
        value = special.pdtr(n[:, None], total) @ weight
        slope = np.exp(special.xlogy(n[:, None], total) - total - special.gammaln(n + 1)[:, None]) @ weight
        s = s + (np.log(value) - target) * value / slope
    return s


def _at_most(n: FloatArray, mean: FloatArray, weight: FloatArray) -> FloatArray:
    return np.asarray(special.pdtr(n[:, None], mean) @ weight)


def _median(mean: FloatArray, weight: FloatArray, b: FloatArray) -> FloatArray:
    """The smallest count that background alone does not exceed with probability one half."""
    n = np.floor(b)
    open_ = np.arange(n.size)
    while open_.size:
        open_ = open_[_at_most(n[open_], mean[open_], weight) < 0.5]
        n[open_] += 1
    open_ = np.flatnonzero(n > 0)
    while open_.size:
        open_ = open_[_at_most(n[open_] - 1, mean[open_], weight) >= 0.5]
        n[open_] -= 1
        open_ = open_[n[open_] > 0]
    return n
