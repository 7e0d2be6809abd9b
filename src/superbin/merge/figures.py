"""Figures of merit for discovery: what a merge maximises, as functions of its sums.

All are expected, for signal s on background b with uncertainty ``+up -down``. All are zero where there is no
signal, continuous in it, and proportional to it where it is weak. To discover the signal, in standard deviations:

* ``midp``: the expected Z, that is the exact mid-p significance at n = s + b, where it reaches one standard deviation. A
  weaker signal has the value ``1 / mu``, where mu is the factor on the signal at which the expected Z is 1. Bounded by cells (`superbin.merge.cells`). The analysis quotes the expected Z (`expected_z`), which does not vanish with the signal.
* ``profile_asimov``: Z_G, the Asimov significance of a Gaussian-constrained background. Provable.
* ``s_over_sqrt_bv``: s / sqrt(b + up^2). Provable, fastest, and the crudest: it overrates small counts.

To exclude it, the inverse of the expected 95 % CLs upper limit on its strength (`superbin.merge.exclusion`):

* ``limit``: exact, at the median count of background alone. Bounded by cells.
* ``asimov_limit``: asymptotic, with a Gaussian-constrained background. Provable.
"""

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.sums import Totals
from superbin.merge.problem import IntArray

__all__ = [
    "VISIBLE",
    "best_midp",
    "expected_z",
    "midp",
    "profile_asimov",
    "profile_lognormal",
    "quick_midp",
    "s_over_sqrt_bv",
]


VISIBLE = 1.0
"""Expected Z below which a signal is judged by the strength at which it would reach it.

More than the Z of n = b, which stays below 0.68 whatever the background, so that such a strength exists; and no larger than needed,
so that as little as possible is not the expected Z itself.
"""

_ROOT = 1e-7
"""How close to `VISIBLE` the exact Z of the scaled signal is brought; what is left after one more secant step is below 1e-11."""

_FAINT = 0.9
"""Quick figures below this are, nearly always, of an expected Z below `VISIBLE`."""

_MOST_STEPS = 80


def expected_z(totals: Totals) -> FloatArray:
    """Exact mid-p significance of the count n = s + b, by `superbin.stats.pvalue`: the expected Z that is quoted.

    It is no figure of merit: without signal it is not zero but anything up to 0.68, depending on the background and its
    uncertainty alone.
    """
    from superbin.stats import pvalue

    s, b = totals.signal, totals.background
    return np.asarray(pvalue.midp_significance(s + b, b, totals.up, totals.down))


def midp(totals: Totals) -> FloatArray:
    """The expected Z where it is at least `VISIBLE`; else ``VISIBLE / mu``.

    The factor mu is what the signal has to be multiplied by for an expected Z of `VISIBLE`. Both agree where the expected Z
    is `VISIBLE`, so that the figure is continuous; below it is proportional to the signal, and zero without any.
    """
    values = np.zeros(totals.signal.shape)
    some = np.flatnonzero(totals.signal > 0)
    if some.size:
        values[some] = expected_z(totals.take(some))
        weak = some[values[some] < VISIBLE]
        if weak.size:
            values[weak] = VISIBLE * (totals.signal[weak] / _visible_events(totals.take(weak)))
    return values


def best_midp(totals: Totals, keep: int, floor: float) -> FloatArray:
    """`midp` for a search that remembers the `keep` best, the worst of which has `floor`: -inf for what cannot be among them.

    A value below `VISIBLE` takes ten times as long as one above, and is nothing beside those.
    """
    values = np.full(totals.signal.shape, -np.inf)
    some = np.flatnonzero(totals.signal > 0)
    # What is far below needs no Z of its own.
    faint = quick_midp(totals.take(some)) < _FAINT if floor < VISIBLE else np.zeros(some.size, dtype=bool)
    near = some[~faint]
    values[near] = expected_z(totals.take(near))
    reached = values[near] >= VISIBLE
    values[near[~reached]] = -np.inf
    if floor >= VISIBLE or int(reached.sum()) >= keep:
        return values
    weak = np.concatenate([near[~reached], some[faint]])
    values[weak] = VISIBLE * (totals.signal[weak] / _visible_events(totals.take(weak)))
    # The quick figure may be wrong.
    strong = weak[values[weak] >= VISIBLE]
    values[strong] = expected_z(totals.take(strong))
    return values


def _visible_events(totals: Totals) -> FloatArray:
    """Signal events at which the expected Z is `VISIBLE`; it does not depend on the signal.

    Row by row, so that a set has the same value whatever is evaluated with it: secant steps in the square root of the
    count, in which Z is nearly linear, kept between counts known to be too small and too large.
    """
    b, up = totals.background, totals.up
    start, slope = _quick_visible(totals)
    low, high = b.copy(), np.full_like(b, np.inf)
    count, value = b + start, np.zeros_like(b)
    # The first step takes the slope of the approximation.
    before, value_before = count.copy(), np.zeros_like(b)
    rows = np.arange(b.size)
    for step in range(_MOST_STEPS):
        value[rows] = _z_at(count[rows], totals, rows)
        above = value[rows] >= VISIBLE
        high[rows] = np.where(above, count[rows], high[rows])
        low[rows] = np.where(above, low[rows], count[rows])
        root, excess = np.sqrt(count[rows]), VISIBLE - value[rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            if step:
                rate = (value[rows] - value_before[rows]) / (root - np.sqrt(before[rows]))
            else:
                rate = 2 * root * slope[rows]
            trial = np.maximum(root + excess / rate, 0.0) ** 2
        inside = (trial > low[rows]) & (trial < high[rows])
        # Beyond all counts tried so far, or between the two that enclose the answer.
        far = np.where(np.isinf(high[rows]), 2 * count[rows] + up[rows], (low[rows] + high[rows]) / 2)
        before[rows], value_before[rows] = count[rows], value[rows]
        close = (np.abs(excess) <= _ROOT) & (step > 0)
        # Of a secant between two close counts the slope is rounding.
        fine = inside | (close & (np.abs(trial - count[rows]) <= 1e-6 * count[rows]))
        count[rows] = np.where(
            fine, np.minimum(trial, 4 * count[rows] + 4), np.where(close, count[rows], far)
        )
        rows = rows[~close & (high[rows] > low[rows] * (1 + 1e-15))]
        if not rows.size:
            break
    return count - b


def _z_at(count: FloatArray, totals: Totals, rows: IntArray) -> FloatArray:
    from superbin.stats import pvalue

    yields = (part[rows] for part in (totals.background, totals.up, totals.down))
    return np.asarray(pvalue.midp_significance(count, *yields))


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


def quick_midp(totals: Totals) -> FloatArray:
    """`midp` with sqrt(q0) of the Asimov data set for the log-normal background ``b (1 + up/b)^z`` in place of Z.

    Where b is zero a log-normal of like median and tail stands for the background: good enough to rank sets.
    """
    values = np.zeros(totals.signal.shape)
    # In pieces that stay in the cache.
    for first in range(0, values.size, _CHUNK):
        piece = totals.take(slice(first, first + _CHUNK))
        z = profile_lognormal(piece)
        weak = np.flatnonzero(z < VISIBLE)
        if weak.size:
            some = piece.take(weak)
            z[weak] = VISIBLE * (some.signal / _quick_visible(some)[0])
        values[first : first + _CHUNK] = z
    return values


def profile_lognormal(totals: Totals) -> FloatArray:
    """Sqrt(q0) of the Asimov data set for the log-normal background ``b (1 + up/b)^z``, in place of the exact expected Z."""
    b, slope = _lognormal(totals)
    n = np.maximum(totals.signal + np.where(totals.background > 0, b, 0.0), b)
    ratio = np.log(n / b)
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


_HALF_NORMAL = (0.67, 0.62)
"""Median and upward uncertainty, in units of the width, of the log-normal that stands for the absolute value of a normal."""


def _lognormal(totals: Totals) -> tuple[FloatArray, FloatArray]:
    """Background, never zero, and ``ln(1 + up/b)``."""
    median, width = _HALF_NORMAL
    empty = totals.background == 0
    b = np.maximum(np.where(empty, median * totals.up, totals.background), 1e-12)
    return b, np.log1p(np.where(empty, width, 1.0) * totals.up / b)


def _quick_visible(totals: Totals) -> tuple[FloatArray, FloatArray]:
    """Signal events at which `profile_lognormal` is `VISIBLE`, nearly, and how fast it rises there.

    With d = n - m the excess over the fitted background m, stationarity reads ``m = b exp(k^2 d)``, k being ``ln(1 + up/b)``:
    q0 is an explicit function of d, with the derivative ``2 ln(n/m) (1 + k^2 m)``.
    """
    b, slope = _lognormal(totals)
    square = slope**2
    # The fit does not pull the background farther than the significance allows.
    most = b * np.exp(VISIBLE * slope)
    d = np.minimum(
        VISIBLE**2 / 2 + VISIBLE * np.sqrt(most),
        VISIBLE / np.maximum(slope, 1e-12),
    )
    for _ in range(4):
        m = b * np.exp(square * d)
        log = np.log1p(d / m)
        q0 = 2 * ((d + m) * log - d) + square * d * d
        z = np.sqrt(np.maximum(q0, 1e-300))
        d = np.maximum(d - (z - VISIBLE) * z / (log * (1 + square * m)), d / 8)
    m = b * np.exp(square * np.minimum(d, VISIBLE / np.maximum(slope, 1e-12)))
    return np.maximum(m + d - totals.background, 1e-12), np.log1p(d / m) / VISIBLE


_CHUNK = 4096
