"""first version"""

import numpy as np
from numpy.polynomial import legendre
from scipy import special

NODES, WEIGHTS = legendre.leggauss(32)
HALF = 0.5 * (NODES + 1)
# columns: the rule, and the two highest Legendre coefficients it resolves (they bound what it misses)
RULE = (
    0.5
    * WEIGHTS[:, None]
    * np.stack(
        [np.ones(32), *(np.sqrt(2 * j + 1) * legendre.Legendre.basis(j)(NODES) for j in (29, 30, 31))], axis=1
    )
)
DROP = 32.0
SQRT1_2 = float(np.sqrt(0.5))
TWO_PI = 2 * np.pi


def log_ratio(a, b):
    """ln(a/b) to full relative precision near a = b."""
    r = (a - b) / b
    near = np.abs(r) < 0.5
    return np.where(near, np.log1p(np.where(near, r, 0.0)), np.log(a) - np.log(b))


def stirling_error(n):
    """Ln Gamma(n) - [(n - 1/2) ln n - n + ln(2 pi)/2]."""
    big = n > 15
    m = np.where(big, n, 16.0)
    i2 = 1 / (m * m)
    series = (
        1 / 12 - i2 * (1 / 360 - i2 * (1 / 1260 - i2 * (1 / 1680 - i2 * (1 / 1188 - i2 * 691 / 360360))))
    ) / m
    k = np.where(big, 1.0, n)
    direct = special.gammaln(k) - (k - 0.5) * np.log(k) + k - 0.5 * np.log(TWO_PI)
    return np.where(big, series, direct)


def log_norm(n):
    """Ln of n^n e^-n / Gamma(n): the density of ln Gamma_n at its mode."""
    return 0.5 * np.log(n / TWO_PI) - stirling_error(n)


class LogArm:
    """z = y / k."""

    def __init__(self, k):
        self.k = k

    def at(self, index):
        return LogArm(self.k[index])

    def z(self, y):
        return y / self.k[:, None]

    def weight(self, y):
        """(exponent, factor) of Phi(-z)."""
        z = y / self.k[:, None]
        return -0.5 * z * z, 0.5 * special.erfcx(SQRT1_2 * z)

    def fall(self, y):
        """-ln Phi(-z), its first and second derivative in y, to a percent."""
        z = y / self.k
        root = np.sqrt(z * z + TWO_PI)
        hazard = ((np.pi - 1) * z + root) / np.pi
        return (
            0.5 * z * z + np.log(hazard),
            hazard / self.k,
            ((np.pi - 1) + z / root) / (np.pi * self.k * self.k),
        )


class ClipArm:
    """Lower linear: Phi(b expm1(-y)/down) - Phi(-b/down)."""

    def __init__(self, scale):
        self.scale = scale

    def at(self, index):
        return ClipArm(self.scale[index])

    def weight(self, y):
        s = self.scale[:, None]
        return -y, (special.ndtr(s * np.expm1(-y)) - special.ndtr(-s)) * np.exp(y)

    def fall(self, y):
        return y, np.ones_like(y), np.zeros_like(y)


class UpperLinearArm:
    """S = 2 Phi(-e^y) (b = 0, reference r = up)."""

    def __init__(self, like):
        self.like = like

    def at(self, index):
        return UpperLinearArm(self.like[index])

    def weight(self, y):
        z = np.exp(y)
        return -0.5 * z * z, special.erfcx(SQRT1_2 * z)

    def fall(self, y):
        z = np.exp(np.minimum(y, 300.0))
        root = np.sqrt(z * z + TWO_PI)
        hazard = ((np.pi - 1) * z + root) / np.pi
        dh = ((np.pi - 1) + z / root) / np.pi
        return 0.5 * z * z + np.log(hazard), hazard * z, dh * z * z + hazard * z


class LowerFoldedArm:
    """F = 2 Phi(e^-y) - 1 = erf(e^-y / sqrt 2) (b = 0)."""

    def __init__(self, like):
        self.like = like

    def at(self, index):
        return LowerFoldedArm(self.like[index])

    def weight(self, y):
        return -y, special.erf(SQRT1_2 * np.exp(-y)) * np.exp(y)

    def fall(self, y):
        return y, np.ones_like(y), np.zeros_like(y)


class BareArm:
    """1."""

    def __init__(self, like):
        self.like = like

    def at(self, index):
        return BareArm(self.like[index])

    def weight(self, y):
        return np.zeros_like(y), np.ones_like(y)

    def fall(self, y):
        return np.zeros_like(y), np.zeros_like(y), np.zeros_like(y)


def _height(n, lnr, sign, arm, y):
    u = np.minimum(lnr + sign * y, 700.0)
    e = np.expm1(u)
    f, df, ddf = arm.fall(y)
    return n * (u - e) - f, -sign * n * e - df, n * (e + 1) + ddf


def support(n, lnr, sign, arm):
    """Mode and the two ends where the log-concave integrand has dropped by DROP."""
    zero = np.zeros_like(n)
    top = np.maximum(0.0, -sign * lnr)
    lo, hi = zero, top
    _, slope, curve = _height(n, lnr, sign, arm, zero)
    y = np.clip(slope / curve, 0.0, top)
    for _ in range(60):
        _, slope, curve = _height(n, lnr, sign, arm, y)
        rising = slope > 0
        lo, hi = np.where(rising, y, lo), np.where(rising, hi, y)
        step = y + slope / curve
        inside = (step >= lo) & (step <= hi)
        new = np.where(inside, step, 0.5 * (lo + hi))
        done = np.abs(new - y) * np.sqrt(curve) < 0.05
        y = new
        if done.all():
            break
    peak, slope, curve = _height(n, lnr, sign, arm, y)
    slope = np.minimum(slope, 0.0)
    right = _end(n, lnr, sign, arm, y, peak, (slope + np.sqrt(slope * slope + 2 * DROP * curve)) / curve, 1.0)
    left = np.maximum(_end(n, lnr, sign, arm, y, peak, np.sqrt(2 * DROP / curve), -1.0), 0.0)
    return left, right


def _end(n, lnr, sign, arm, mode, peak, distance, direction):
    y = np.maximum(mode + direction * distance, 0.0)
    for _ in range(6):
        height, slope, _ = _height(n, lnr, sign, arm, y)
        outward = direction * slope < 0
        y = np.where(outward, y + (peak - DROP - height) / np.where(outward, slope, 1.0), y)
        y = np.maximum(y, 0.0)
    return y


def _panel(n, lnr, sign, arm, left, width, mid):
    y = left[:, None] + width[:, None] * HALF
    u = lnr[:, None] + sign * y
    e = np.expm1(u)
    exponent, factor = arm.weight(y)
    exponent += n[:, None] * (u - e)
    if mid:
        factor = factor * (1 + 0.5 * e)
    top = exponent.max(axis=1)
    f = np.exp(exponent - top[:, None]) * factor
    sums = f @ RULE
    return top + np.log(width), sums[:, 0], np.abs(sums[:, 1:]).max(axis=1)


def log_arm(n, lnr, sign, arm, mid):
    """Ln of int_0^inf g(y) A(y) dy, without the normalisation of g."""
    left, right = support(n, lnr, sign, arm)
    log_scale, value, doubt = _panel(n, lnr, sign, arm, left, right - left, mid)
    result = log_scale + np.log(value)
    bad = np.flatnonzero(~(doubt < 1e-7 * value))
    if bad.size:
        result[bad] = composite(n[bad], lnr[bad], sign, arm.at(bad), left[bad], right[bad], mid)
    return result


def composite(n, lnr, sign, arm, left, right, mid, panels=4):
    width = (right - left) / panels
    parts = [_panel(n, lnr, sign, arm, left + i * width, width, mid) for i in range(panels)]
    scale = np.max([p[0] for p in parts], axis=0)
    value = sum(np.exp(p[0] - scale) * p[1] for p in parts)
    doubt = sum(np.exp(p[0] - scale) * p[2] for p in parts)
    result = scale + np.log(value)
    bad = np.flatnonzero(~(doubt < 1e-7 * value))
    if bad.size and panels < 300:
        result[bad] = composite(n[bad], lnr[bad], sign, arm.at(bad), left[bad], right[bad], mid, 4 * panels)
    return result


def log_pmf(n, b):
    """Ln of b^n e^-b / Gamma(n+1)."""
    u = log_ratio(b, n)
    return log_norm(n) - np.log(n) + n * (u - np.expm1(u))


def poisson_tails(n, r, mid):
    """Ln P(Gamma_n <= r), ln P(Gamma_n > r), or of their means over n and n + 1."""
    below, above = special.gammainc(n, r), special.gammaincc(n, r)
    pmf = np.exp(log_pmf(n, r))
    if mid:
        below, above = np.maximum(below - 0.5 * pmf, 0.0), above + 0.5 * pmf
    with np.errstate(divide="ignore"):
        log_below, log_above = np.log(below), np.log(above)
    far = np.flatnonzero((n > r) & ((n > 1e5) | (below < 1e-280)) & (n >= 8))
    if far.size:
        m, lnr = n[far], log_ratio(r[far], n[far])
        log_below[far] = log_norm(m) + log_arm(m, lnr, -1, BareArm(m), mid)
        log_above[far] = np.log(-np.expm1(log_below[far]))
    far = np.flatnonzero((n <= r) & ((n > 1e5) | (above < 1e-280)))
    if far.size:
        m, lnr = n[far], log_ratio(r[far], n[far])
        log_above[far] = log_norm(m) + log_arm(m, lnr, 1, BareArm(m), mid)
        log_below[far] = np.log(-np.expm1(log_above[far]))
    tiny = np.flatnonzero((n < 8) & (below < 1e-280))
    if tiny.size:
        m, s = n[tiny], r[tiny]
        share = s / (m + 1)
        log_below[tiny] = log_pmf(m, s) + (np.log(0.5 + share) if mid else np.log1p(share))
    return log_below, log_above


def log_both(n, b, up, down, mid):
    """Ln p and ln(1 - p) for n > 0 (1-D arrays)."""
    from superbin.stats import smear

    r = np.where(b > 0, b, up)
    none = r == 0
    rr = np.where(none, 1.0, r)
    lnr = log_ratio(rr, n)
    norm = log_norm(n)
    log_below, log_above = poisson_tails(n, rr, mid)
    above, below = smear.log_slopes(b, up, down)
    linear = smear.is_linear(b, down) & (down > 0)
    zero = (b == 0) & ~none
    upper = np.full(n.shape, -np.inf)
    lower = np.full(n.shape, -np.inf)
    left_out = np.zeros(n.shape)
    for mask, target, sign, make in (
        (above > 0, upper, 1, lambda i: LogArm(above[i])),
        (zero, upper, 1, lambda i: UpperLinearArm(n[i])),
        (below > 0, lower, -1, lambda i: LogArm(below[i])),
        (linear, lower, -1, lambda i: ClipArm(b[i] / down[i])),
        (zero, lower, -1, lambda i: LowerFoldedArm(n[i])),
    ):
        i = np.flatnonzero(mask)
        if i.size:
            target[i] = norm[i] + log_arm(n[i], lnr[i], sign, make(i), mid)
    left_out[linear] = special.ndtr(-(b[linear] / down[linear]))
    # p = (1 - F0) P + I1 - I2 ; q = Q + F0 P - I1 + I2
    top = np.maximum(log_below, upper)
    p = top + np.log((1 - left_out) * np.exp(log_below - top) + np.exp(upper - top) - np.exp(lower - top))
    top = np.maximum(np.maximum(log_above, lower), np.where(left_out > 0, log_below, -np.inf))
    q = top + np.log(
        np.exp(log_above - top)
        + left_out * np.exp(log_below - top)
        - np.exp(upper - top)
        + np.exp(lower - top)
    )
    return np.where(none, -np.inf, p), np.where(none, 0.0, q)


CHUNK = 512


def log_p_values(n, b, up, down, *, mid):
    """Ln p and ln(1 - p) of 1-D arrays."""
    log_p, log_q = np.zeros(n.shape), np.full(n.shape, -np.inf)
    rows = np.flatnonzero(n > 0)
    for start in range(0, rows.size, CHUNK):
        i = rows[start : start + CHUNK]
        split = mid and bool((n[i] < 1).any())
        if split:
            (p0, q0), (p1, q1) = (log_both(n[i] + j, b[i], up[i], down[i], False) for j in (0.0, 1.0))
            log_p[i], log_q[i] = np.logaddexp(p0, p1) - np.log(2), np.logaddexp(q0, q1) - np.log(2)
        else:
            log_p[i], log_q[i] = log_both(n[i], b[i], up[i], down[i], mid)
    rows = np.flatnonzero(n == 0)
    if mid and rows.size:
        p1, q1 = log_p_values(n[rows] + 1, b[rows], up[rows], down[rows], mid=False)
        log_p[rows], log_q[rows] = np.log1p(np.exp(p1)) - np.log(2), q1 - np.log(2)
    return log_p, log_q
