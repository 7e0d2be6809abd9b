r"""Figures of merit for excluding a signal: the expected upper limit on its strength mu, the smaller the better.

A search maximises, so the value is the inverse, ``1 / mu_95 = S / s_95``: how often over the signal as predicted is
excluded. A merge that is expected to exclude has a value above 1.

* `limit`: s_95 is the exact CLs limit at the median count of background alone, the median of
  `superbin.stats.limits.expected_limits`. That count is whole, so the limit jumps as the background grows; `superbin.merge.least_limits` bounds it.
* `asimov_limit`: s_95 solves ``q(s, B, V) = c`` with c = 1.96^2, where q tests a signal s on the data set n = B under a
  Gaussian-constrained background, the asymptotic median limit (G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C
  71 (2011) 1554, section 4.3, doi:10.1140/epjc/s10052-011-1554-0). q is a maximum over one number, see
  `ExclusionDual`, so that its optimum can be certified.
* `quick_limit`: `limit` with the background's uncertainty or the count on some twenty points; it ranks sets for `limit`.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from superbin._support.arrays import FloatArray
from superbin.domain.sums import Totals
from superbin.merge.problem import BoolArray, IntArray

__all__ = [
    "THRESHOLD",
    "ExclusionDual",
    "asimov_events",
    "asimov_exclusion",
    "asimov_limit",
    "best_quick_limit",
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

_TIMES = 48
"""Points of the time at which a count is exceeded."""

_WIDE = 3.0
"""A background that varies by more than this times the width of the count is averaged over times."""

_NEWTON, _SETTLED = 12, 1e-10
"""Steps towards the limit at most, and the relative length of one that is the last."""

_TIED = 1e-9
"""How much below the worst value that is remembered one is still looked at."""

_NEAR, _MANY = 0.0004, 1000
"""Counts below the second, whose probability is this close to one half, are compared with it exactly."""

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
    return totals.signal / asimov_events(totals.background, totals.up**2)


def rough_limit(totals: Totals) -> FloatArray:
    """`asimov_limit` to one part in ten thousand, to rank very many sets."""
    return totals.signal / asimov_events(totals.background, totals.up**2, steps=2)


def asimov_events(b: FloatArray, v: FloatArray, *, steps: int = 5) -> FloatArray:
    """The asymptotic median limit in events, for backgrounds b with variances v."""
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
    """`limit` by fixed quadratures, some thirty times faster; good to rank sets.

    Within 2 % of `limit` for up to 1e4 events of background with relative uncertainties up to 3 (`validation/merging`).
    """
    return _quick_limits(totals, 0.0)


def best_quick_limit(totals: Totals, keep: int, floor: float) -> FloatArray:  # noqa: ARG001
    """`quick_limit`, but -inf for what is not above `floor`: that takes one probability in place of a search for the limit."""
    return _quick_limits(totals, floor)


def _quick_limits(totals: Totals, floor: float) -> FloatArray:
    signal = totals.signal
    # Ties with the floor are kept.
    most = signal / (floor * (1 - _TIED)) if floor > 0 else np.full_like(signal, np.inf)
    parts = [np.zeros(0)]
    for i in range(0, len(signal), _CHUNK):
        b, up, down, enough = (x[i : i + _CHUNK] for x in (totals.background, totals.up, totals.down, most))
        parts.append(_quick_events(b, up, down, enough))
    events = np.concatenate(parts)
    return np.where(np.isinf(events), -np.inf, signal / events)


def _quick_events(b: FloatArray, up: FloatArray, down: FloatArray, most: FloatArray) -> FloatArray:
    """The limits in events, infinite where they are above `most`."""
    smeared = _Smeared(b, up, down)
    median = smeared.median()
    found = np.full_like(b, np.inf)
    rows = np.arange(b.size)
    if np.isfinite(most).any():
        # The limit rises with the count: what is too much for the least that the median may be is too much.
        n, alone = median.least()
        rows = np.flatnonzero(smeared.at_most(n, most) < (1 - LEVEL) * alone)
    n, alone = smeared.sure(median, rows)
    target = np.log((1 - LEVEL) * alone)
    # ln P(N <= n | s) is close to concave and falls in s: Newton lands beyond the limit, then comes down to it.
    s = 3 + np.sqrt(n[rows])
    low, high = np.zeros_like(s), most[rows]
    for _ in range(_NEWTON):
        value, slope = smeared.with_slope(n[rows], s, rows)
        above = np.log(np.maximum(value, 1e-300)) < target[rows]
        high, low = np.where(above, np.minimum(high, s), high), np.where(above, low, np.maximum(low, s))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            trial = s + (np.log(value) - target[rows]) * value / slope
        inside = (trial >= low) & (trial <= high)
        step = np.where(inside, np.minimum(trial, 3 * s), np.where(np.isinf(high), 2 * s, (low + high) / 2))
        found[rows] = step
        left = ~(inside & (np.abs(step - s) <= _SETTLED * s))
        if not left.any():
            break
        rows, s, low, high = rows[left], step[left], low[left], high[left]
    return found


class _Smeared:
    """P(N <= n) with a signal, averaged over backgrounds that vary below and above their nominal values.

    Each side is averaged the way in which its integrand is smooth: over the background where that varies less than the
    count, at fixed points of its normal z; else over the time at which the count n is exceeded, a Gamma variate t of shape
    n + 1, as ``P(s + mu(z) < t)``.
    """

    def __init__(self, b: FloatArray, up: FloatArray, down: FloatArray) -> None:
        from superbin.stats import smear

        self.b, self.up, self.down = b, up, down
        x, w = _legendre(_POINTS)
        z = _FARTHEST * (1 + x) / 2
        self.weight = w * np.exp(-z * z / 2)
        self.weight /= 2 * self.weight.sum()
        self.x, self.times = _legendre(_TIMES)
        linear = smear.is_linear(b, down)
        self.vanishing = np.where(linear, special.ndtr(-b / np.where(down > 0, down, 1.0)), 0.0)
        reach = np.sqrt(b + 1)
        # Both halves of a background that is nominally zero lie above.
        self.sides = tuple(
            (
                sign,
                (error > _WIDE * reach) & (b > 0),
                smear.mean(sign * z, *(x[:, None] for x in (b, up, down))),
            )
            for sign, error in ((1.0, up), (-1.0, down))
        )

    def at_most(self, n: FloatArray, s: FloatArray, rows: IntArray | None = None) -> FloatArray:
        """``P(N <= n)`` with s signal events, of some rows."""
        return self._summed(n, s, rows, slopes=False)[0]

    def with_slope(
        self, n: FloatArray, s: FloatArray, rows: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """The same, and minus its derivative with respect to s."""
        return self._summed(n, s, rows, slopes=True)

    def _summed(
        self, n: FloatArray, s: FloatArray, rows: IntArray | None, *, slopes: bool
    ) -> tuple[FloatArray, FloatArray]:
        rows = np.arange(self.b.size) if rows is None else rows
        value, slope = np.zeros_like(s), np.zeros_like(s)
        for sign, far, means in self.sides:
            broad = far[rows]
            narrow, wide = np.flatnonzero(~broad), np.flatnonzero(broad)
            if narrow.size:
                count, mean = n[narrow, None], s[narrow, None] + means[rows[narrow]]
                value[narrow] += special.pdtr(count, mean) @ self.weight
                if slopes:
                    log = special.xlogy(count, mean) - mean - special.gammaln(count + 1)
                    slope[narrow] += np.exp(log) @ self.weight
            if wide.size:
                found = self._over_time(sign, rows[wide], n[wide], s[wide])
                value[wide] += found[0]
                slope[wide] += found[1]
        return value, slope

    def _over_time(
        self, sign: float, rows: IntArray, n: FloatArray, s: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        b, up, down = (part[rows, None] for part in (self.b, self.up, self.down))
        time, weight = self._gamma(n)
        m = time - s[:, None]
        z, rate = _inverse(m, b, up, down, sign)
        share = special.ndtr(z)
        inside = (m > b) if sign > 0 else (m > 0) & (m < b)
        density = np.where(inside, np.exp(-z * z / 2) * rate / np.sqrt(2 * np.pi), 0.0)
        slope = (density * weight).sum(axis=1)
        if sign > 0:
            return (np.maximum(share - 0.5, 0.0) * weight).sum(axis=1), slope
        # A background that ends at zero has a share of exactly zero: of the count then only the signal is left.
        none = self.vanishing[rows]
        value = np.where(m > 0, np.minimum(share, 0.5) - none[:, None], 0.0)
        equal = np.exp(special.xlogy(n, s) - s - special.gammaln(n + 1))
        return (value * weight).sum(axis=1) + none * special.pdtr(n, s), slope + none * equal

    def _gamma(self, n: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Points and weights of a Gamma variate of shape n + 1; weights add up to one."""
        shape = (n + 1)[:, None]
        third = 1 / (3 * np.sqrt(shape))
        # Wilson and Hilferty: the cube root is nearly normal.
        root = np.maximum(1 - third**2 + _FARTHEST * self.x * third, 1e-3)
        time = shape * root**3
        log = n[:, None] * np.log(time) - time + 2 * np.log(root)
        weight = self.times * np.exp(log - log.max(axis=1, keepdims=True))
        return time, weight / weight.sum(axis=1, keepdims=True)

    def median(self) -> "_Median":
        """The smallest count that background alone does not exceed with probability one half."""

        def probability(n: FloatArray, rows: IntArray) -> FloatArray:
            found = self.at_most(np.maximum(n, 0.0), np.zeros_like(n), rows)
            return np.where(n >= 0, found, 0.0)

        rows = np.arange(self.b.size)
        # Between these counts, with their probabilities; the first is too small, the second is enough.
        high = np.floor(self.b)
        above, low, below = probability(high, rows), high - 1, probability(high - 1, rows)
        for step in 2.0 ** np.arange(64):
            short = np.flatnonzero(above < 0.5)
            if not short.size:
                break
            low[short], below[short] = high[short], above[short]
            high[short] += step
            above[short] = probability(high[short], short)
        for step in 2.0 ** np.arange(64):
            long = np.flatnonzero(below >= 0.5)
            if not long.size:
                break
            high[long], above[long] = low[long], below[long]
            low[long] -= step
            below[long] = probability(low[long], long)
        while (open_ := np.flatnonzero(high - low > 1)).size:
            middle = np.floor((low[open_] + high[open_]) / 2)
            value = probability(middle, open_)
            enough = value >= 0.5
            high[open_], above[open_] = np.where(enough, (middle, value), (high[open_], above[open_]))
            low[open_], below[open_] = np.where(enough, (low[open_], below[open_]), (middle, value))
        near = np.minimum(np.abs(above - 0.5), np.abs(below - 0.5)) < _NEAR
        return _Median(high, above, below, near & (high < _MANY))

    def sure(self, median: "_Median", rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """The median count and the probability not to exceed it, where some rows are compared with one half exactly."""
        n, probability = median.count.copy(), median.probability.copy()
        # The limit jumps with the count, most where counts are small.
        near = rows[median.near[rows]]
        if near.size:
            n[near] = _exact_median(n[near], *(part[near] for part in (self.b, self.up, self.down)))
            probability[near] = self.at_most(n[near], np.zeros(near.size), near)
        return n, probability


def _exact_median(guess: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
    """Exact median counts; a search for them only where the guess, from 0 on, turns out to be wrong."""
    from superbin.stats.counts import log_cdf, quantile

    twice = (np.concatenate([part, part]) for part in (b, up, down))
    counts = np.concatenate([guess, np.maximum(guess - 1, 0.0)])
    enough, less = np.split(np.asarray(log_cdf(counts, *twice)) >= np.log(0.5), 2)
    wrong = np.flatnonzero(~enough | (less & (guess > 0)))
    found = guess.copy()
    if wrong.size:
        found[wrong] = quantile(0.5, *(part[wrong] for part in (b, up, down)))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Median:
    """Median counts by quadrature: the probability not to exceed them, or one less, and whether that is too close to tell."""

    count: FloatArray
    probability: FloatArray
    below: FloatArray
    near: BoolArray

    def least(self) -> tuple[FloatArray, FloatArray]:
        """The smallest count that may be the median, with its probability."""
        less = self.near & (self.count > 0)
        return self.count - less, np.where(less, self.below, self.probability)


@cache
def _legendre(points: int) -> tuple[FloatArray, FloatArray]:
    return np.polynomial.legendre.leggauss(points)


def _inverse(
    m: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray, sign: float
) -> tuple[FloatArray, FloatArray]:
    """The z at which a background of nominally b > 0 is m, on one side of it, and dz/dm."""
    from superbin.stats import smear

    above, below = smear.log_slopes(b, up, down)
    slope = above if sign > 0 else below
    slope = np.where(slope > 0, slope, 1.0)
    positive = np.maximum(m, 1e-9 * b)
    z, rate = np.log(positive / b) / slope, 1 / (slope * positive)
    if sign > 0:
        return z, rate
    linear = smear.is_linear(b, down)
    width = np.where(down > 0, down, 1.0)
    return np.where(linear, (m - b) / width, z), np.where(linear, 1 / width, rate)
