r"""Lower bounds of exact limits over ranges of background: what no set of bins in a cell can fall below.

A signal s is allowed at the count n if ``CLs = E[F(n, s + mu(z))] / E[F(n, mu(z))]`` is at least alpha, with F the probability of at
most n events, z a standard normal, and mu the background (`superbin.stats.smear`). That is ``E[f(mu(z))] >= 0`` of

    f(mu) = F(n, s + mu) - alpha F(n, mu),

which falls in mu up to ``mu* = s / (e^((s + ln alpha) / n) - 1)`` and rises beyond. Over a range of backgrounds, mu(z) has a least and a
largest value in closed form (`superbin.merge.tails`), and f its least value at mu* or at the nearer end. If the expectation of that is not
negative, no background of the range excludes s at the count n. So it is at the next count if that is no less than alpha times as probable with s
as without. This is asked for the median counts that backgrounds of the range have beyond the least. Where it is not known to be so, the test is made
for a few intervals of counts at once, with ``F(n_first, s + mu) - alpha F(n_last, mu)``. No limit is below ``-ln alpha``.

Expectations are sums over fixed points with positive weights: an inequality at every point is one of the sums. `SLACK` allows for what a sum differs
from its integral. Where the background varies by more than `_WIDEST` times the width of the count, the normal is cut into strips with the least f of each.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from superbin._support.arrays import FloatArray
from superbin.merge.exclusion import LEVEL, asimov_events
from superbin.merge.problem import BoolArray
from superbin.merge.tails import Ranges, least_means, most_means
from superbin.stats.smear import LINEAR_FROM

__all__ = ["SLACK", "least_events", "limit_at_most"]

SLACK = 2e-6
"""Allowance for quadrature and rounding in a probability, up to `LARGEST` events."""

LARGEST = 1e5
"""Count from which the incomplete gamma function of SciPy loses digits; `_SLACK_BEYOND` is taken off there."""

_SLACK_BEYOND = 1e-4

_ALPHA = 1 - LEVEL
_LEAST = -np.log(_ALPHA) * (1 - 1e-12)
_REACH = 6.5
_WIDTHS = (1.2, 4.0, 12.0)
_POINTS = (16, 48, 128)
"""Points on each side of the normal, up to these ratios of the background's uncertainty and the width of the count."""

_STRIPS, _FEW_STRIPS = 400, 24
_CORNER, _CORNER_STRIPS = (1.0, 1.25), 24
_PIECE, _PIECES = 0.5, 8
"""Background is looked at in pieces of this fraction of the width of the count, and at most this number of them."""

_BLOCK, _BLOCKS = 0.3, 6
"""Counts whose probabilities are compared together, in units of the root of the count, and how often at most."""

_INTERVALS = 3
"""Intervals of median counts that are looked at one by one."""

_STEPS, _MEDIAN_STEPS, _NORMAL_STEPS = 14, 60, 5
_DEEP = 4.0
_CLOSE = 2e-4
_CHUNK = 512


def limit_at_most(signal: FloatArray, ranges: Ranges, enough: float = 0.0) -> FloatArray:
    """No set with at most this signal, and a background of the range, has a larger `limit` (the inverse of its limit on the strength).

    Parameters
    ----------
    signal : ndarray, shape (n,)
    ranges : Ranges
    enough : float
        Bounds need not be lower.
    """
    wanted = signal / enough if enough > 0 else np.full(signal.size, np.inf)
    width = np.sqrt(ranges.low + ranges.up**2 + 1)
    count = np.clip(np.ceil((ranges.high - ranges.low) / (_PIECE * width)), 1, _PIECES).astype(np.intp)
    rows = np.repeat(np.arange(signal.size), count)
    part = np.arange(rows.size) - np.repeat(np.cumsum(count) - count, count)
    low, step = ranges.low[rows], (ranges.high - ranges.low)[rows] / count[rows]
    # The ends of neighbouring pieces are the same numbers, so that nothing falls between them.
    last = part + 1 == count[rows]
    pieces = replace(
        ranges.take(rows),
        low=low + part * step,
        high=np.where(last, ranges.high[rows], low + (part + 1) * step),
    )
    least = least_events(pieces, wanted[rows])
    bound: FloatArray = signal / np.minimum.reduceat(least, np.cumsum(count) - count) if rows.size else signal
    return bound


def least_events(ranges: Ranges, wanted: FloatArray | None = None) -> FloatArray:
    """No background of a range has a smaller exact median limit, in events, shape (n,); it need not exceed what is `wanted`."""
    found = np.empty(ranges.low.size)
    wanted = np.full_like(found, np.inf) if wanted is None else wanted
    largest = np.maximum(ranges.most_up, ranges.down) / np.sqrt(ranges.low + 1)
    corner = (ranges.high > 0) & (ranges.down >= LINEAR_FROM * ranges.low * (1 - 1e-12))
    kind = np.searchsorted(_WIDTHS, largest) * 2 + corner
    # Where the range itself is broad, few strips do.
    broad = (ranges.high > 1.3 * ranges.low + 0.1) | (ranges.most_up > 1.5 * ranges.up + 0.1)
    kind = np.where(broad & ((kind > 2) | corner), 2 * len(_RULES), kind)
    for i in np.unique(kind):
        rows = np.flatnonzero(kind == i)
        rule = _COARSE if i == 2 * len(_RULES) else _RULES[int(i) // 2, bool(i % 2)]
        for first in range(0, rows.size, _CHUNK):
            some = rows[first : first + _CHUNK]
            found[some] = _Points(ranges.take(some), rule).least_events(wanted[some])
    return found


@dataclass(frozen=True, slots=True)
class _Rule:
    """Weights of strips of the normal, and their ends, the same for a point; above the middle, then below.

    A linear downward branch has a corner where it reaches zero, between one and 1.25 standard deviations down: strips there.
    """

    near: FloatArray
    far: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, points: int, *, corner: bool) -> "_Rule":
        """So many points on each side; strips alone for none."""
        if not points:
            return cls.all_strips(_STRIPS)
        above = cls.gauss(0.0, _REACH, points)
        if not corner:
            return cls.joined([above], [above])
        inside = cls.gauss(0.0, _CORNER[0], points // 2), cls.gauss(_CORNER[1], _REACH, points)
        return cls.joined([above], [inside[0], cls.strips(*_CORNER, _CORNER_STRIPS), inside[1]])

    @classmethod
    def all_strips(cls, count: int) -> "_Rule":
        """Strips on each side."""
        half = cls.strips(0.0, _REACH, count)
        return cls.joined([half], [half])

    @classmethod
    def gauss(cls, first: float, last: float, points: int) -> "_Rule":
        """Gauss-Legendre over distances from the middle."""
        x, w = np.polynomial.legendre.leggauss(points)
        z = first + (last - first) * (1 + x) / 2
        return cls(z, z, w * np.exp(-z * z / 2) * (last - first) / 2 / np.sqrt(2 * np.pi))

    @classmethod
    def strips(cls, first: float, last: float, count: int) -> "_Rule":
        """Strips of equal probability."""
        edges = -special.ndtri(np.linspace(special.ndtr(-first), special.ndtr(-last), count + 1))
        return cls(edges[:-1], edges[1:], -np.diff(special.ndtr(-edges)))

    @classmethod
    def joined(cls, above: "list[_Rule]", below: "list[_Rule]") -> "_Rule":
        """Both sides; means rise from the near end to the far one above, and fall below."""
        low = [part.near for part in above] + [-part.far for part in below]
        high = [part.far for part in above] + [-part.near for part in below]
        return cls(
            np.concatenate(low), np.concatenate(high), np.concatenate([p.weight for p in above + below])
        )


_RULES = {
    (i, corner): _Rule.of(points, corner=corner)
    for i, points in enumerate((*_POINTS, 0))
    for corner in (False, True)
}

_COARSE = _Rule.all_strips(_FEW_STRIPS)


class _Points:
    """Least and largest means of some ranges at the points of one rule."""

    def __init__(self, ranges: Ranges, rule: _Rule) -> None:
        self.ranges = ranges
        self.weight = rule.weight
        # Zero background varies upwards on both sides.
        none = (ranges.high == 0)[:, None]
        near, far = rule.near[None, :], rule.far[None, :]
        swap = none & (near < 0)
        self.low = least_means(np.where(swap, -far, near), ranges)
        self.high = most_means(np.where(swap, -near, far), ranges)
        self.low = np.minimum(self.low, self.high)
        self.n = self.least_median()
        self.last = self.largest_median()
        self.slack = self.allowance(self.last)

    def at_most(self, n: FloatArray, rows: np.ndarray) -> FloatArray:
        """The largest ``P(N <= n)`` of backgrounds of each range."""
        return np.asarray(special.gammaincc(n[:, None] + 1, self.low[rows]) @ self.weight)

    def least_median(self) -> FloatArray:
        """No background of a range has a smaller median count."""
        ranges = self.ranges
        low, high = np.full(ranges.low.size, -1.0), np.full(ranges.low.size, np.inf)
        scale = 0.4 / np.sqrt(ranges.low + 0.3 + (ranges.up + ranges.down) ** 2 / 4)
        n = np.floor(np.where(ranges.high > 0, ranges.low, 0.67 * ranges.up) + 0.3)
        rows = np.arange(low.size)
        for step in range(_MEDIAN_STEPS):
            found = self.at_most(n[rows], rows)
            fine = found >= 0.5 - self.allowance(n[rows])
            high[rows] = np.where(fine, n[rows], high[rows])
            low[rows] = np.where(fine, low[rows], n[rows])
            rows, found = (part[high[rows] - low[rows] > 1] for part in (rows, found))
            if not rows.size:
                break
            # As far as a normal distribution goes; later every other step halves what is left.
            trial = n[rows] + np.rint((0.5 - found) / scale[rows])
            if step > _NORMAL_STEPS and step % 2:
                trial = np.where(
                    np.isinf(high[rows]), n[rows] + 2.0**step, np.floor((low[rows] + high[rows]) / 2)
                )
            n[rows] = np.clip(trial, low[rows] + 1, high[rows] - 1)
        # Every count up to the lower end is exceeded with a probability of one half.
        return low + 1

    def largest_median(self) -> FloatArray:
        """No background of a range has a larger median count."""
        n, step = self.n.copy(), np.ones_like(self.n)
        rows = np.arange(n.size)
        while rows.size:
            least = special.gammaincc(n[rows, None] + 1, self.high[rows]) @ self.weight
            short = 0.5 + self.allowance(n[rows]) - least
            rows, short = rows[short > 0], short[short > 0]
            width = np.sqrt(
                self.ranges.high[rows] + 0.3 + (self.ranges.most_up + self.ranges.least_down)[rows] ** 2 / 4
            )
            n[rows] += np.maximum(step[rows], np.ceil(2 * short * width))
            step[rows] *= 2
        return n

    def allowance(self, n: FloatArray) -> FloatArray:
        """Of a probability of counts n."""
        return np.where(n > LARGEST, _SLACK_BEYOND, SLACK)

    def share(self, s: FloatArray, rows: np.ndarray) -> tuple[FloatArray, FloatArray]:
        """The least of E[f] over all counts, and ln(CLs/alpha) at the means it is taken at; some negative one if it is negative."""
        count = np.minimum(self.last[rows] - self.n[rows] + 1, _INTERVALS)
        several = np.flatnonzero(count > 1)
        steady = several[self.rises(s[several], rows[several])]
        count[steady] = 1
        least, log = np.full(rows.size, np.inf), np.full(rows.size, np.inf)
        for k in range(_INTERVALS):
            some = np.flatnonzero((k < count) & (least >= 0))
            if not some.size:
                break
            i, parts = rows[some], count[some]
            size = np.where(parts == 1, 1.0, (self.last[i] - self.n[i] + 1) / parts)
            first, after = (self.n[i] + np.floor(at * size + 1e-9) for at in (k, k + 1))
            here = self.interval(s[some], i, first, after - 1)
            lower = here[0] < least[some]
            least[some], log[some] = (
                np.where(lower, new, old[some]) for new, old in zip(here, (least, log), strict=True)
            )
        return least, log

    def rises(self, s: FloatArray, rows: np.ndarray) -> BoolArray:
        """Whether every count beyond the least median, up to the largest, is known to be at least alpha times as probable with s as without."""
        n, column, low, high = self.n[rows], s[:, None], self.low[rows], self.high[rows]
        blocks = np.ceil((self.last[rows] - n) / (1 + _BLOCK * np.sqrt(n)))
        fine: BoolArray = blocks <= _BLOCKS
        size = (self.last[rows] - n) / blocks
        for k in range(_BLOCKS):
            i = np.flatnonzero(fine & (k < blocks))
            if not i.size:
                break
            first, last = (n[i] + np.floor(at * size[i] + 1e-9) for at in (k, k + 1))
            first, last = first[:, None] + 1, last[:, None]
            # A probability has its least value at ends of both, its largest where mean and count are equal or come closest.
            with_s = np.minimum.reduce(
                [_log_equal(count, column[i] + mean[i]) for count in (first, last) for mean in (low, high)]
            )
            meet = np.maximum(first, low[i])
            count = np.where(high[i] < first, first, np.where(low[i] > last, last, meet))
            mean = np.where(high[i] < first, high[i], np.where(low[i] > last, low[i], meet))
            alone = np.exp(_log_equal(count, mean)) @ self.weight
            fine[i] = np.exp(with_s) @ self.weight - _ALPHA * alone >= 2 * self.slack[rows[i]]
        return fine

    def interval(
        self, s: FloatArray, rows: np.ndarray, first: FloatArray, last: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The same for the counts from a first to a last one."""
        n, column = first[:, None], s[:, None]
        rate = (column + np.log(_ALPHA)) / np.maximum(n, 1e-300)
        with np.errstate(over="ignore"):
            turn = np.where(rate > 0, column / np.expm1(np.clip(rate, 1e-300, 700.0)), np.inf)
        low, high = self.low[rows], self.high[rows]
        one = (first == last)[:, None]
        mean = np.clip(turn, low, high)
        both = special.gammaincc(n + 1, column + np.where(one, mean, high)) @ self.weight
        alone = special.gammaincc(last[:, None] + 1, np.where(one, mean, low)) @ self.weight
        both = both - self.slack[rows]
        with np.errstate(divide="ignore"):
            return both - _ALPHA * alone, np.log(np.maximum(both, 1e-300) / (_ALPHA * alone))

    def least_events(self, wanted: FloatArray) -> FloatArray:
        """The largest s known to be allowed by every background of a range: the Illinois method, from the side of what is known.

        A root far below what is wanted need not be exact.
        """
        ranges = self.ranges
        known, beyond = np.full(ranges.low.size, _LEAST), np.full(ranges.low.size, np.inf)
        # ln(CLs/alpha) falls from -ln(alpha) at s = 0, the faster the larger s.
        level, level_beyond = -np.log(_ALPHA) - known / np.sqrt(ranges.high + 9), np.full_like(known, np.nan)
        side = np.zeros_like(known)
        s = np.maximum(
            asimov_events(ranges.high, np.minimum(ranges.up, ranges.least_down) ** 2), _LEAST * 1.01
        )
        rows = np.flatnonzero(wanted > known)
        s[rows] = np.where(np.isfinite(wanted[rows]), wanted[rows], s[rows])
        for _ in range(_STEPS):
            if not rows.size:
                break
            least, log = self.share(s[rows], rows)
            fine = least >= 0
            log = np.where(fine, log, np.clip(log, -_DEEP, -1e-9))
            again = np.where(fine, 1.0, -1.0) == side[rows]
            side[rows] = np.where(fine, 1.0, -1.0)
            level_beyond[rows] = np.where(fine, level_beyond[rows] * np.where(again, 0.5, 1.0), log)
            level[rows] = np.where(fine, log, level[rows] * np.where(again, 0.5, 1.0))
            known[rows], beyond[rows] = (
                np.where(fine, s[rows], known[rows]),
                np.where(fine, beyond[rows], s[rows]),
            )
            far = np.where(np.isfinite(wanted[rows]), 0.1 * (wanted[rows] / known[rows] - 1), 0.0)
            rows = rows[
                (beyond[rows] > known[rows] * (1 + np.maximum(far, _CLOSE))) & (known[rows] < wanted[rows])
            ]
            a, b, fa, fb = known[rows], beyond[rows], level[rows], level_beyond[rows]
            with np.errstate(invalid="ignore"):
                trial = np.where(np.isinf(b), a * 1.3, a + (b - a) * fa / (fa - fb))
                # A little short of the root, so that what is known closes in on it.
                trial = np.clip(trial - 0.4 * _CLOSE * a, a + 0.05 * (b - a), b - 0.05 * (b - a))
            s[rows] = np.where(np.isinf(b), a * 1.3, trial)
        return known


def _log_equal(count: FloatArray, mean: FloatArray) -> FloatArray:
    """``ln P(N = count)`` of Poisson means; continued to real counts."""
    value: FloatArray = special.xlogy(count, mean) - mean - special.gammaln(count + 1)
    return value
