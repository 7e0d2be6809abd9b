"""Exact p-values: the Poisson tail of the nominal background, corrected by one integral on either side of it.

With ``S(m) = P(mu(z) >= m)`` the tail is ``E[S(Gamma_n)]``. Splitting at the reference mean r and writing ``S = 1 - F``
below it,

    tail(n) = (1 - F0) P(Gamma_n <= r) + integral over m > r of g S - integral over m < r of g (F - F0),

with ``F0 = F(0)`` the probability of a vanishing mean. The subtraction is harmless (the last term is at most
half the first), and unlike ``g S`` itself, each integrand has one length scale.
The complement ``1 - tail`` is the same sum with the other signs, so deficits keep their accuracy, too.
"""

from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from scipy import special

from superbin.stats import poisson
from superbin.stats.arguments import FloatArray, Index
from superbin.stats.quadrature import EDGE, PEAK, BareArm, LinearArm, LogArm, Rows, Rule, integral

__all__ = ["Branches", "log_p_values", "on_off_tails", "poisson_tails", "smeared_tails"]

CHUNK = 256
"""Rows at a time: the nodes of one chunk stay in the cache."""

SMALL_BATCH = 128
"""Arms that are integrated in one call."""

NEGLIGIBLE = 34.0
"""What is smaller by this in the logarithm does not change the sixteenth digit."""

SMALLEST_SLOPE = 1e-20
"""A relative uncertainty below this is none."""

INCOMPLETE_GAMMA_UP_TO = 1e5
"""scipy's incomplete gamma functions lose digits beyond (1e-5 at n = 1e6, 4.6 sigma out)."""

MOST_TERMS = 10_000

UNDERFLOW = 1e-280
SHORT_FROM = 8.0
"""From this count on the density of ln Gamma_n falls quickly enough downwards to be integrated."""


class Branches(Protocol):
    """A distribution of the mean as the quadrature needs it: two branches around a reference mean.

    Above the reference, P(mean >= m) is ``factor Phi(-z)``; below, P(mean < m) is
    ``vanishing + factor [Phi(z) - Phi(z at m = 0)]``. For the attributes see `superbin.stats.models.smeared.Smeared`.
    """

    @property
    def b(self) -> FloatArray: ...  # noqa: D102
    @property
    def log_above(self) -> FloatArray: ...  # noqa: D102
    @property
    def log_below(self) -> FloatArray: ...  # noqa: D102
    @property
    def width_above(self) -> FloatArray: ...  # noqa: D102
    @property
    def width_below(self) -> FloatArray: ...  # noqa: D102
    @property
    def reference(self) -> FloatArray: ...  # noqa: D102
    @property
    def factor(self) -> FloatArray: ...  # noqa: D102
    @property
    def vanishing(self) -> FloatArray: ...  # noqa: D102


class Tails(Protocol):
    """What `log_p_values` needs of an uncertainty model."""

    def take(self, index: Any) -> Self:
        """Select rows."""

    def log_tails(self, n: FloatArray, half: float) -> tuple[FloatArray, FloatArray]:
        """``ln p`` and ``ln(1 - p)``."""


def log_p_values(held: Tails, n: FloatArray, *, mid: bool) -> tuple[FloatArray, FloatArray]:
    """``ln p`` and ``ln(1 - p)`` of the rows of an uncertainty model at a count each; 1-D.

    For `mid`, the mean of the tails at n and n + 1; below n = 1 from the two themselves.
    """
    log_p, log_q = np.zeros(n.shape), np.full(n.shape, -np.inf)
    plain = n >= 1 if mid else n > 0
    for i in _chunks(np.flatnonzero(plain)):
        log_p[i], log_q[i] = held.take(i).log_tails(n[i], 0.5 if mid else 0.0)
    if mid and not plain.all():
        i = np.flatnonzero(~plain)
        few = held.take(i)
        here, above = (log_p_values(few, n[i] + step, mid=False) for step in (0, 1))
        log_p[i], log_q[i] = (np.logaddexp(x, y) - np.log(2) for x, y in zip(here, above, strict=True))
    return log_p, log_q


def _chunks(index: Index) -> list[Index]:
    return [index[start : start + CHUNK] for start in range(0, index.size, CHUNK)]


def smeared_tails(held: Branches, n: FloatArray, half: float) -> tuple[FloatArray, FloatArray]:
    """``ln p`` and ``ln(1 - p)`` at n > 0 of a mean with two branches."""
    rows = Rows(n, poisson.log_ratio(held.reference, n), np.full(n.shape, half))
    log_p, log_q = _sum(rows, held)
    impossible = (held.b == 0) & (held.width_above == 0)
    if not impossible.any():
        return log_p, log_q
    return np.where(impossible, -np.inf, log_p), np.where(impossible, 0.0, log_q)


def poisson_tails(n: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``ln P(Gamma_n <= mean)`` and ``ln P(Gamma_n > mean)`` for n, mean > 0."""
    rows = Rows(n, poisson.log_ratio(mean, n), np.zeros(n.shape))
    return _log_poisson(rows, mean, poisson.log_mode_density(n))


def _arms(
    rows: Rows, branch: Branches, reached: FloatArray, missed: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Logarithms of the integrals above and below the reference, given the Poisson terms in the same unit.

    Of the two log-normal arms of a row, one holds the maximum of its integrand and the other falls from the reference;
    the latter is at most half the Poisson term of its side, and left out where that does not matter.
    """
    slopes = np.concatenate([branch.log_above, branch.log_below])
    if slopes.size <= SMALL_BATCH and (slopes > SMALLEST_SLOPE).all():
        # of few rows both arms at once: it is the number of calls that costs
        n, log_r, half = (np.concatenate([a, a]) for a in (rows.n, rows.log_r, rows.half))
        sign = np.repeat([1.0, -1.0], rows.n.size)
        upper, lower = np.split(integral(Rows(n, log_r, half), LogArm(sign, slopes)), 2)
        return upper, lower
    excess = rows.log_r < 0
    sign = np.where(excess, 1.0, -1.0)
    peak, edge = np.full(rows.n.shape, -np.inf), np.full(rows.n.shape, -np.inf)
    _log_arm(peak, rows, sign, np.where(excess, branch.log_above, branch.log_below), PEAK)
    k = np.where(excess, branch.log_below, branch.log_above)
    k[peak > np.where(excess, reached, missed) + NEGLIGIBLE] = 0.0
    _log_arm(edge, rows, -sign, k, EDGE)
    upper, lower = np.where(excess, peak, edge), np.where(excess, edge, peak)
    for target, width, side in ((upper, branch.width_above, 1.0), (lower, branch.width_below, -1.0)):
        i = np.flatnonzero(width > SMALLEST_SLOPE * branch.reference)
        if i.size:
            scale, offset = branch.reference[i] / width[i], branch.b[i] / width[i]
            target[i] = integral(rows.take(i), LinearArm(np.full(i.size, side), scale, offset)) + np.log(
                branch.factor[i]
            )
    return upper, lower


def _log_arm(target: FloatArray, rows: Rows, sign: FloatArray, k: FloatArray, gauss: Rule) -> None:
    """Fill in the integrals over a log-normal arm of slope `k` where there is one."""
    i = np.flatnonzero(k > SMALLEST_SLOPE)
    if i.size == k.size:
        target[:] = integral(rows, LogArm(sign, k), gauss)
    elif i.size:
        target[i] = integral(rows.take(i), LogArm(sign[i], k[i]), gauss)


def on_off_tails(
    n: FloatArray, b: FloatArray, off: FloatArray, tau: FloatArray, sharp: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Tail of the Gamma model: the regularised incomplete beta function I(1/(1 + tau); n, off + 1); Poisson where it is sharp."""
    log_p, log_q = np.full(n.shape, -np.inf), np.zeros(n.shape)
    i = np.flatnonzero(sharp & (b > 0))
    if i.size:
        log_p[i], log_q[i] = poisson_tails(n[i], b[i])
    i = np.flatnonzero(~sharp)
    n, off, tau = n[i], off[i], tau[i]
    x = 1 / (1 + tau)
    below, above = special.betainc(n, off + 1, x), special.betaincc(n, off + 1, x)
    with np.errstate(divide="ignore"):
        log_p[i], log_q[i] = np.log(below), np.log(above)
    far = np.flatnonzero(below < UNDERFLOW)
    if far.size:
        log_p[i[far]] = _far_beta(n[far], off[far] + 1, tau[far])
    far = np.flatnonzero(above < UNDERFLOW)
    if far.size:
        log_q[i[far]] = _far_beta(off[far] + 1, n[far], 1 / tau[far])
    return log_p, log_q


def _far_beta(a: FloatArray, c: FloatArray, tau: FloatArray) -> FloatArray:
    """``ln I(1/(1 + tau); a, c)`` far out, by the continued fraction of DLMF 8.17.22, evaluated forwards (Lentz)."""
    total = a + c
    x = 1 / (1 + tau)
    log = (
        poisson.log_mode_density(a)
        + poisson.log_mode_density(c)
        - poisson.log_mode_density(total)
        - np.log(a)
    )
    log -= a * poisson.log_ratio(a, total * x) + c * poisson.log_ratio(c, total * tau * x)
    fraction = numerator = np.ones_like(a)
    denominator = np.zeros_like(a)
    for j in range(1, MOST_TERMS):
        m = j // 2
        if j % 2 == 0:
            step = m * (c - m) / ((a + 2 * m - 1) * (a + 2 * m)) * x
        else:
            step = -(a + m) * (total + m) / ((a + 2 * m) * (a + 2 * m + 1)) * x
        denominator = 1 / (1 + step * denominator)
        numerator = 1 + step / numerator
        fraction = fraction * numerator * denominator
        if (np.abs(numerator * denominator - 1) < 1e-15).all():
            break
    return np.asarray(log - np.log(fraction))


def _sum(rows: Rows, branch: Branches) -> tuple[FloatArray, FloatArray]:
    """Add the Poisson tail and the two arms; ln p and ln(1 - p)."""
    density = poisson.log_mode_density(rows.n)
    reached, missed = _log_poisson(rows, branch.reference, density)
    upper, lower = (arm + density for arm in _arms(rows, branch, reached - density, missed - density))
    vanishing = branch.vanishing
    top = np.maximum(reached, upper)
    p = (1 - vanishing) * np.exp(reached - top) + np.exp(upper - top) - np.exp(lower - top)
    rest_top = np.maximum(missed, lower)
    if vanishing.any():
        rest_top = np.maximum(rest_top, np.where(vanishing > 0, reached, -np.inf))
    rest = np.exp(missed - rest_top) + np.exp(lower - rest_top) - np.exp(upper - rest_top)
    rest += vanishing * np.exp(np.minimum(reached - rest_top, 0.0))
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
