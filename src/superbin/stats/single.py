"""One exact p-value at a time, without the overhead of arrays.

On a single row, NumPy spends its time in calls. Here everything but the nodes of the two integrals is plain floats. The mathematics
is that of `superbin.stats.exact`, and so is the rule; what lies outside the everyday domain (log-normal branches on both
sides, 1 <= n <= 1e5), or fails the rule's test of itself, is left to it.
"""

from math import exp, expm1, inf, log, log1p, sqrt

import numpy as np
from scipy import special

from superbin.stats import poisson
from superbin.stats.arguments import FloatArray, Numbers
from superbin.stats.models import ModelName, known
from superbin.stats.quadrature import DROP, OMEGA_LOSES, LogArm, Rows, reliable, rule

__all__ = ["log_p_value"]

LARGEST_COUNT = 1e5
LARGEST = 1e9
SMALLEST = 1e-6
UNDERFLOW = 1e-280
LOG_MATTERS = -600.0
"""The logarithm of an integral beside which a Poisson term that underflows does not count."""


def log_p_value(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, model: ModelName, *, mid: bool
) -> tuple[float, float] | None:
    """``ln p`` and ``ln(1 - p)`` of four plain numbers, or None where `superbin.stats.exact` has to do it."""
    slopes = _slopes(n, b, up, down, model)
    if slopes is None:
        return None
    count, mean, *k = slopes
    log_r = _log_ratio(mean, count)
    one = np.array([count])
    density = float(poisson.log_mode_density(one)[0])
    half = 0.5 if mid else 0.0
    reached, missed = float(special.gammainc(count, mean)), float(special.gammaincc(count, mean))
    equal = half * exp(density - log(count) + count * (log_r - expm1(log_r)))
    reached, missed = reached - equal, missed + equal
    two = np.array([count, count])
    rows = Rows(two, np.array([log_r, log_r]), np.array([half, half]))
    spans = [_span(count, log_r, sign, slope) for sign, slope in zip((1.0, -1.0), k, strict=True)]
    left, width = np.array([s[0] for s in spans]), np.array([s[1] - s[0] for s in spans])
    sums = rule(rows, LogArm(_SIGNS, np.array(k)), left, width)
    if not reliable(sums, left, width).all():
        return None
    upper, lower = (
        float(x) + density + log(v) for x, v in zip(sums.log_scale, sums.value.tolist(), strict=True)
    )
    if min(reached, missed) < UNDERFLOW and max(upper, lower) < LOG_MATTERS:
        return None
    return _added(reached, upper, lower), _added(missed, lower, upper)


_SIGNS: FloatArray = np.array([1.0, -1.0])


def _slopes(
    n: object, b: object, up: object, down: object, model: ModelName
) -> tuple[float, float, float, float] | None:
    """Count, background and the slopes of both branches, or None outside the domain."""
    if not (
        isinstance(n, float | int) and isinstance(b, float | int)
        and isinstance(up, float | int) and isinstance(down, float | int)
    ):  # fmt: skip
        return None
    if not (1 <= n <= LARGEST_COUNT and SMALLEST < b < LARGEST and up < LARGEST):
        return None
    if not (0 <= down <= b and up >= 0):
        return None
    slopes = known(model).log_slopes(b, up, down)
    if slopes is None:
        return None
    above, below = slopes
    if min(above, below) < SMALLEST or n * max(above, below) ** 2 > OMEGA_LOSES:
        return None
    return float(n), float(b), above, below


def _log_ratio(a: float, b: float) -> float:
    difference = (a - b) / b
    return log1p(difference) if abs(difference) < 0.5 else log(a / b)


def _span(n: float, log_r: float, sign: float, k: float) -> tuple[float, float]:
    """Ends of a log-normal arm, as `superbin.stats.quadrature.LogArm.span`."""
    precision = 1 / (k * k)
    mode = 0.0
    if sign * log_r < 0:
        reach = n * k * k
        root = reach - float(special.wrightomega(reach + log(reach) + log_r))
        mode = min(max(sign * root, 0.0), -sign * log_r)
    arrivals = n * exp(log_r + sign * mode)
    slope = max(sign * (arrivals - n) + precision * mode, 0.0)
    right = mode + _distance(arrivals, sign, slope, precision)
    return (max(mode - _distance(arrivals, -sign, 0.0, precision), 0.0) if mode > 0 else 0.0), right


def _distance(arrivals: float, direction: float, slope: float, precision: float) -> float:
    """As its namesake in `superbin.stats.quadrature`."""
    t = 2 * DROP / (slope + sqrt(slope * slope + 2 * DROP * (arrivals + precision)))
    if direction > 0:
        far = DROP / arrivals
        t = min(t, log1p(far + sqrt(2 * far)))
    for _ in range(3):
        growth = expm1(direction * t)
        drop = slope * t + arrivals * (growth - direction * t) + 0.5 * precision * t * t
        t -= (drop - DROP) / (slope + arrivals * direction * growth + precision * t)
    return t


def _added(poisson_term: float, more: float, less: float) -> float:
    first = log(poisson_term) if poisson_term > 0 else -inf
    top = max(first, more)
    return top + log(exp(first - top) + exp(more - top) - exp(less - top))
