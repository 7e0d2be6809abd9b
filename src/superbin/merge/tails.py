"""Lower bounds of mid-p-values over ranges of background: what no set of bins in a cell can fall below.

The mid-p-value of a count n is ``E[g(n, mu(z))]``, z a standard normal, g rising with the mean mu and falling with n; see
`superbin.stats.smear` for mu. Over all backgrounds from b1 to b2 with an upward uncertainty of at least `up` and a downward one of
at most `down`, mu(z) has its least value in closed form:

* for z > 0 it rises with the upward uncertainty; in b it falls up to ``b = up (z - 1)`` and rises beyond, so that the least is there,
  or at the nearer end of the range;
* for z < 0 it rises with b and falls with the downward uncertainty, on either side of the change of its definition at
  ``down = 0.8 b``; there the smaller of the two definitions counts.

The count of a set is its signal and its background, so that more background is more of both. With B at most the background's width above b1,
the mean rises by at least ``k (B - b1)``, k being its derivative at b1, at most 1: it is 1 up to one standard deviation and falls
slowly beyond. And ``g(n + t, mu + t)`` has its least value over t at one end, the first where the excess ``n - mu`` is above
-1/6, but for `_SHIFT` where it is close to that. So the count enters with ``(1 - k)`` of the width of the range only, and not with all of it.

What an integral leaves out is positive, so that leaving it out is safe; its quadrature is accurate to `SLACK`, which is taken off.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy import special

from superbin._support.arrays import FloatArray
from superbin.domain.sums import Totals
from superbin.merge.problem import BoolArray
from superbin.stats.smear import LINEAR_FROM

__all__ = ["SLACK", "Ranges", "least_means", "log_midp_at_least", "midp_at_least", "most_means"]

SLACK = 1e-6
"""Relative allowance for quadrature and rounding in a mid-p-value, up to `LARGEST` events."""

LARGEST = 1e5
"""Count from which the incomplete gamma function of SciPy loses digits; `_SLACK_BEYOND` is taken off there."""

_SLACK_BEYOND = 1e-3

_SMOOTH = 3.0
_CORNERS = 0.1
_FEWEST = 3.0
"""Background from which it is bounded together with the count."""

_TURN = -1 / 6
_SHIFT = 0.03
"""Of a tail, times ``b1**-1.5``: how far its value at one end of a range can be above its least one."""

_SLACK_CORNERS = 1.5e-3

_ABOVE, _BELOW = (np.polynomial.legendre.leggauss(points) for points in (32, 20))
_TRIED = np.concatenate([np.linspace(0, 40, 81), np.geomspace(40.5, 1000, 100)])
_REACH = 8.0
_FARTHEST = 1000.0
_BROAD = 0.45
_ROOT_TWO_PI = np.sqrt(2 * np.pi)


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Ranges of background and of its uncertainties, in events; arrays of shape (n,).

    A range holds zero background alone or not at all, since the model of the background is another one there.

    Attributes
    ----------
    low, high : ndarray
        Background.
    up, most_up : ndarray
        Least and largest upward uncertainty.
    down, least_down : ndarray
        Largest and least downward uncertainty; each set's own stops at its background.
    """

    low: FloatArray
    high: FloatArray
    up: FloatArray
    down: FloatArray
    most_up: FloatArray
    least_down: FloatArray

    @classmethod
    def points(cls, totals: Totals) -> "Ranges":
        """One background each, those of some sets."""
        b, up, down = totals.background, totals.up, totals.down
        return cls(b, b, up, down, up, down)

    def take(self, rows: np.ndarray) -> "Ranges":
        """Some of the ranges."""
        return Ranges(*(getattr(self, field.name)[rows] for field in fields(self)))


def least_means(z: FloatArray, ranges: Ranges) -> FloatArray:
    """The least mean of the background over each range at z, shape (n, n_points) with all of one sign in a row."""
    low, high, up, down = (part[:, None] for part in (ranges.low, ranges.high, ranges.up, ranges.down))
    none = high == 0
    lowest = np.where(none, 1.0, low)
    at = np.where(none, 1.0, np.clip(up * (z - 1), lowest, np.maximum(high, lowest)))
    with np.errstate(over="ignore"):
        above = at * np.exp(np.minimum(np.log1p(up / at) * np.maximum(z, 0.0), 700.0))
    share = np.minimum(down / lowest, 1.0)
    distance = np.maximum(-z, 0.0)
    logarithmic = lowest * np.exp(np.log1p(-np.minimum(share, LINEAR_FROM)) * distance)
    linear = np.maximum(lowest * (1 - share * distance), 0.0)
    below = np.where(share < LINEAR_FROM, logarithmic, np.minimum(logarithmic, linear))
    means: FloatArray = np.where(none, np.abs(z) * up, np.where(z >= 0, above, below))
    return means


def most_means(z: FloatArray, ranges: Ranges) -> FloatArray:
    """The largest mean of the background over each range at z, as `least_means`.

    For z > 0 it rises with the upward uncertainty and has no maximum inside a range of b; for z < 0 it rises with b and falls
    with the downward uncertainty, on either side of the change of its definition.
    """
    low, high, up, down, least = (
        part[:, None] for part in (ranges.low, ranges.high, ranges.most_up, ranges.down, ranges.least_down)
    )
    none = high == 0
    lowest, highest = np.where(none, 1.0, low), np.where(none, 1.0, np.maximum(high, low))
    distance = np.abs(z)
    with np.errstate(over="ignore"):
        above = np.maximum(
            *(b * np.exp(np.minimum(np.log1p(up / b) * distance, 700.0)) for b in (lowest, highest))
        )
    # A set's downward uncertainty stops at its background, so that the least one may be below what the range says.
    share = np.minimum(np.minimum(least, lowest) / highest, 1.0)
    logarithmic = highest * np.exp(np.log1p(-np.minimum(share, LINEAR_FROM)) * distance)
    linear = np.maximum(highest * (1 - np.maximum(share, LINEAR_FROM) * distance), 0.0)
    below = np.where(
        share >= LINEAR_FROM,
        linear,
        np.where(down >= LINEAR_FROM * lowest * (1 - 1e-12), np.maximum(logarithmic, linear), logarithmic),
    )
    means: FloatArray = np.where(none, distance * up, np.where(z >= 0, above, below))
    return means


def midp_at_least(signal: FloatArray, ranges: Ranges) -> tuple[FloatArray, FloatArray]:
    """No background b of a range has a smaller mid-p-value at the count ``signal + b``.

    Parameters
    ----------
    signal : ndarray, shape (n,)
        Real, >= 0.
    ranges : Ranges

    Returns
    -------
    tuple of two ndarrays, shape (n,)
        The bound, and the part of it from backgrounds below their nominal values.
    """
    scaled, first = _above_scaled(signal, ranges)
    below = _below(signal, ranges)
    above = scaled * np.exp(-np.minimum(first**2 / 2, 1e4))
    least: FloatArray = (above + below) * (1 - _slack(signal, ranges))
    return least, below


def log_midp_at_least(signal: FloatArray, ranges: Ranges) -> FloatArray:
    """Natural logarithm of a bound as in `midp_at_least`, also where that underflows.

    The same integral, scaled; where the probabilities of counts underflow, too, as the mean rises with z,
    ``p >= P(z > z_k) P(N = n) / 2`` at the mean of any z_k, or at a smaller one.
    """
    inside, first = _above_scaled(signal, ranges)
    with np.errstate(divide="ignore"):
        best: FloatArray = np.log(np.maximum(inside, 0.0)) - first**2 / 2
    best += np.log1p(-_slack(signal, ranges)) - 1e-12 * first**2
    # Products that are no normal numbers have lost digits.
    rows = np.flatnonzero(~(inside > 1e-280))
    best[rows] = _log_of_one_count(_largest(signal, ranges)[rows], ranges.take(rows))
    return best


def _largest(signal: FloatArray, ranges: Ranges) -> FloatArray:
    return np.maximum(signal + ranges.high, 1e-12)


def _shifts(ranges: Ranges) -> BoolArray:
    """Whether the count is bounded together with the background."""
    width = ranges.high - ranges.low
    return (ranges.low >= _FEWEST) & (width > 0) & (width <= ranges.low)


def _lowest(signal: FloatArray, z: FloatArray, ranges: Ranges) -> tuple[FloatArray, FloatArray]:
    """Counts and means whose tail is no larger than that of any background of a range at z, which has one sign in a row."""
    mean, count = least_means(z, ranges), _largest(signal, ranges)[:, None]
    rows = np.flatnonzero(_shifts(ranges))
    if not rows.size:
        return count, mean
    low, up, down = (part[rows, None] for part in (ranges.low, ranges.up, ranges.down))
    z = z[rows] if len(z) > 1 else np.broadcast_to(z, (rows.size, z.shape[1]))
    width, most = (ranges.high - ranges.low)[rows, None], count[rows]
    ratio = np.where(z >= 0, 1 + up / low, 1 - np.minimum(down / low, LINEAR_FROM))
    distance = np.abs(z)
    with np.errstate(over="ignore"):
        grown = np.exp(np.minimum(np.log(ratio) * distance, 700.0))
        rate = grown / ratio * (1 - (distance - 1) * (ratio - 1))
    rate = np.where(distance <= 1, 1.0, np.minimum(rate, 1.0))
    known = (rate >= 0) & ((z >= 0) | (down < LINEAR_FROM * low))
    nominal = low * grown
    first = most - rate * width
    start = first - nominal >= _TURN
    count = np.repeat(count, z.shape[1], axis=1)
    count[rows] = np.where(known & start, first, most)
    mean[rows] = np.where(known, np.where(start, nominal, nominal + rate * width), mean[rows])
    return count, mean


def _log_of_one_count(n: FloatArray, ranges: Ranges) -> FloatArray:
    column = n[:, None]
    mean = np.minimum(least_means(_TRIED[None, :], ranges), column)
    with np.errstate(divide="ignore"):
        equal = special.xlogy(column, mean) - mean - special.gammaln(column + 1)
    best: FloatArray = (special.log_ndtr(-_TRIED) + equal).max(axis=1) - np.log(2) - 1e-9 * n
    return best


def _slack(signal: FloatArray, ranges: Ranges) -> FloatArray:
    n = _largest(signal, ranges)
    # Where the background is nominally zero the integrand starts like the n-th power of z.
    rough = (n > LARGEST) | ((ranges.high == 0) & (n < _SMOOTH))
    width = ranges.high - ranges.low
    # The least mean of a range follows one end of it, then its inside, then the other end: with corners in its second derivative.
    corners = np.minimum(width / (_CORNERS * np.maximum(ranges.up, 1e-300)), 1.0)
    low = np.maximum(ranges.low, _FEWEST)
    shift = np.where(_shifts(ranges), _SHIFT * low**-1.5 * np.minimum(width / low, 1.0), 0.0)
    return np.where(rough, _SLACK_BEYOND, SLACK + _SLACK_CORNERS * corners) + shift


def _above_scaled(signal: FloatArray, ranges: Ranges) -> tuple[FloatArray, FloatArray]:
    """The integral over z > 0 times ``exp(first**2 / 2)``, and that first z of the integral."""
    none = ranges.high == 0
    n = np.maximum(signal + np.where(_shifts(ranges), ranges.low, ranges.high), 1e-12)
    low = np.where(none, 1.0, ranges.low)
    at, centre, slope = low, np.zeros_like(low), np.ones_like(low)
    # Where the least mean of the range reaches the count.
    for _ in range(3):
        slope = np.maximum(np.log1p(ranges.up / at), 1e-9)
        centre = np.log(np.maximum(n / at, 1.0)) / slope
        at = np.clip(ranges.up * (centre - 1), low, np.maximum(ranges.high, low))
    with np.errstate(divide="ignore", over="ignore"):
        centre = np.where(none, n / np.maximum(ranges.up, 1e-300), centre)
        width = np.where(none, np.sqrt(n + 1) / np.maximum(ranges.up, 1e-300), 1 / (slope * np.sqrt(n + 1)))
    width, centre = np.clip(width, 1e-6, 1e9), np.minimum(centre, 1e9)
    peak = np.minimum(centre / (1 + width**2), _FARTHEST)
    narrow = width / np.sqrt(1 + width**2)
    # Where the count is small the integrand is not nearly normal.
    first = np.where((narrow > _BROAD) & (peak < _REACH), 0.0, np.maximum(peak - _REACH * narrow, 0.0))
    last = peak + _REACH * narrow
    x, weights = _ABOVE
    z = first[:, None] + (last - first)[:, None] * (1 + x) / 2
    values = np.exp(-(z * z - first[:, None] ** 2) / 2) / _ROOT_TWO_PI * _tail(*_lowest(signal, z, ranges))
    inside = values @ weights * (last - first) / 2
    end = _tail(*_lowest(signal, last[:, None], ranges))[:, 0]
    together: FloatArray = inside + np.exp(special.log_ndtr(-last) + first**2 / 2) * end
    return together, first


def _below(signal: FloatArray, ranges: Ranges) -> FloatArray:
    n = _largest(signal, ranges)
    b = np.where(ranges.high == 0, 1.0, ranges.low)
    share = np.minimum(ranges.down / b, 1.0)
    slope = np.where(share < LINEAR_FROM, -np.log1p(-np.minimum(share, LINEAR_FROM)), share)
    rate = slope * (np.maximum(n - b, 0.0) + np.sqrt(b) + 0.1)
    reach = np.minimum(_REACH, 25.0 / np.maximum(rate, 1e-9))
    # A linear mean ends at zero, where the integrand has a corner.
    linear = (share >= LINEAR_FROM) & (ranges.high > 0)
    reach = np.where(linear, np.minimum(reach, 1 / np.maximum(share, LINEAR_FROM)), reach)
    x, weights = _BELOW
    z = -reach[:, None] * (1 + x) / 2
    found = np.exp(-z * z / 2) / _ROOT_TWO_PI * _tail(*_lowest(signal, z, ranges)) @ weights * reach / 2
    # Zero background varies by the upward uncertainty on both sides alike.
    rows = np.flatnonzero(ranges.high == 0)
    if rows.size:
        scaled, first = _above_scaled(signal[rows], ranges.take(rows))
        found[rows] = scaled * np.exp(-np.minimum(first**2 / 2, 1e4))
    return np.asarray(found)


def _tail(count: FloatArray, mean: FloatArray) -> FloatArray:
    """P(N > n) + P(N = n)/2 of Poisson means, shape (n, n_points), continued to real n as ``(tail(n) + tail(n + 1))/2``."""
    at_least = special.gammainc(count, mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        equal = np.exp(special.xlogy(count, mean) - mean - special.gammaln(count + 1))
    return np.maximum(at_least - equal / 2, 0.0)
