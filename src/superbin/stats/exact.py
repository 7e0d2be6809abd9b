"""Exact p-values: the Poisson tail of the nominal background, corrected by one integral on either side of it.

With ``S(m) = P(mu(z) >= m)`` the tail is ``E[S(Gamma_n)]``. Splitting at the reference mean r and writing ``S = 1 - F``
below it,

    tail(n) = (1 - F0) P(Gamma_n <= r) + integral over m > r of g S - integral over m < r of g (F - F0),

with ``F0 = F(0)`` the probability of a vanishing mean. The subtraction is harmless (the last term is at most
half the first), and unlike ``g S`` itself, each integrand has one length scale.
The complement ``1 - tail`` is the same sum with the other signs, so deficits keep their accuracy, too.
"""

import numpy as np
from scipy import special

from superbin.stats import poisson, smear
from superbin.stats.arguments import FloatArray, Index
from superbin.stats.quadrature import BareArm, LinearArm, LogArm, Rows, integral

__all__ = ["log_p_values"]

CHUNK = 256
"""Rows at a time: the nodes of one chunk stay in the cache."""

SMALLEST_SLOPE = 1e-40
"""A relative uncertainty below this is none."""

INCOMPLETE_GAMMA_UP_TO = 1e5
"""scipy's incomplete gamma functions lose digits beyond (1e-5 at n = 1e6, 4.6 sigma out)."""

UNDERFLOW = 1e-280
SHORT_FROM = 8.0
"""From this count on the density of ln Gamma_n falls quickly enough downwards to be integrated."""


def log_p_values(
    n: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray, *, mid: bool
) -> tuple[FloatArray, FloatArray]:
    """``ln p`` and ``ln(1 - p)`` of the split log-normal; 1-D arguments, checked and of one length.

    For ``mid``, the mean of the tails at n and n + 1; below n = 1 and at zero from the two themselves.
    """
    log_p, log_q = np.zeros(n.shape), np.full(n.shape, -np.inf)
    some = n > 0
    if not mid:
        log_p[some], log_q[some] = _in_chunks(n[some], b[some], up[some], down[some], 0.0)
        return log_p, log_q
    plain = n >= 1
    log_p[plain], log_q[plain] = _in_chunks(n[plain], b[plain], up[plain], down[plain], 0.5)
    low = ~plain
    if low.any():
        here = log_p_values(n[low], b[low], up[low], down[low], mid=False)
        above = log_p_values(n[low] + 1, b[low], up[low], down[low], mid=False)
        log_p[low], log_q[low] = (np.logaddexp(x, y) - np.log(2) for x, y in zip(here, above, strict=True))
    return log_p, log_q


def _in_chunks(
    n: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray, half: float
) -> tuple[FloatArray, FloatArray]:
    log_p, log_q = np.empty(n.shape), np.empty(n.shape)
    for start in range(0, n.size, CHUNK):
        i = slice(start, start + CHUNK)
        log_p[i], log_q[i] = _chunk(n[i], b[i], up[i], down[i], half)
    return log_p, log_q


def _chunk(
    n: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray, half: float
) -> tuple[FloatArray, FloatArray]:
    empty = b == 0
    impossible = empty & (up == 0)
    r = np.where(empty, np.where(impossible, 1.0, up), b)
    rows = Rows(n, poisson.log_ratio(r, n), np.full(n.shape, half))
    above, below = smear.log_slopes(b, up, down)
    linear = smear.is_linear(b, down)
    upper, lower = np.full(n.shape, -np.inf), np.full(n.shape, -np.inf)

    high, low = np.flatnonzero(above > SMALLEST_SLOPE), np.flatnonzero(below > SMALLEST_SLOPE)
    both = np.concatenate([high, low])
    if both.size:
        sign = np.repeat([1.0, -1.0], [high.size, low.size])
        logs = integral(rows.take(both), LogArm(sign, np.concatenate([above[high], below[low]])))
        upper[high], lower[low] = logs[: high.size], logs[high.size :]
    zero_mean = np.zeros(n.shape)
    for i, target, side in ((empty, upper, 1.0), (empty, lower, -1.0), (linear, lower, -1.0)):
        j = np.flatnonzero(i & ~impossible)
        if j.size:
            folded = empty[j]
            width = np.where(folded, up[j], down[j])
            arm = LinearArm(np.full(j.size, side), r[j] / width, b[j] / width)
            target[j] = integral(rows.take(j), arm) + np.where(folded, np.log(2), 0.0)
            zero_mean[j] = np.where(folded, 0.0, special.ndtr(-b[j] / width))
    log_p, log_q = _sum(rows, r, zero_mean, upper, lower)
    return np.where(impossible, -np.inf, log_p), np.where(impossible, 0.0, log_q)


def _sum(
    rows: Rows, r: FloatArray, zero_mean: FloatArray, upper: FloatArray, lower: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Add the Poisson tail and the two arms; ln p and ln(1 - p)."""
    density = poisson.log_mode_density(rows.n)
    reached, missed = _log_poisson(rows, r, density)
    upper, lower = upper + density, lower + density
    top = np.maximum(reached, upper)
    p = (1 - zero_mean) * np.exp(reached - top) + np.exp(upper - top) - np.exp(lower - top)
    rest_top = np.maximum(missed, lower)
    if zero_mean.any():
        rest_top = np.maximum(rest_top, np.where(zero_mean > 0, reached, -np.inf))
    rest = np.exp(missed - rest_top) + np.exp(lower - rest_top) - np.exp(upper - rest_top)
    rest += zero_mean * np.exp(np.minimum(reached - rest_top, 0.0))
    return top + np.log(p), rest_top + np.log(rest)


def _log_poisson(rows: Rows, r: FloatArray, density: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``ln P(Gamma_n <= r)`` and ``ln P(Gamma_n > r)``, or of their means over n and n + 1."""
    n, half = rows.n, rows.half
    reached, missed = poisson.tail_and_rest(n, r)
    if half.any():
        equal = half * np.exp(density - np.log(n) + n * (rows.log_r - np.expm1(rows.log_r)))
        reached, missed = np.maximum(reached - equal, 0.0), missed + equal
    small = np.minimum(reached, missed)
    far = (n > INCOMPLETE_GAMMA_UP_TO) | (small < UNDERFLOW)
    with np.errstate(divide="ignore"):
        log_reached, log_missed = np.log(reached), np.log(missed)
    if far.any():
        _far_tails(np.flatnonzero(far), rows, density, r, log_reached, log_missed)
    return log_reached, log_missed


def _far_tails(
    far: Index,
    rows: Rows,
    density: FloatArray,
    r: FloatArray,
    log_reached: FloatArray,
    log_missed: FloatArray,
) -> None:
    """Replace Poisson tails, in place, where the incomplete gamma functions underflow or lose digits."""
    n = rows.n[far]
    above = rows.log_r[far] >= 0
    short = above | (n >= SHORT_FROM)
    i = far[short]
    sign = np.where(above[short], 1.0, -1.0)
    logs = density[i] + integral(rows.take(i), BareArm(sign))
    with np.errstate(divide="ignore"):
        rest = np.log1p(-np.exp(logs))
    log_reached[i], log_missed[i] = np.where(sign < 0, logs, rest), np.where(sign < 0, rest, logs)
    # few counts and a tail that underflows: the mean is so small that two terms of the power series are exact
    i = far[~short]
    share = r[i] / (rows.n[i] + 1)
    log_reached[i] = poisson.log_probability(rows.n[i], r[i]) + np.log1p(share - rows.half[i])
    log_missed[i] = 0.0
