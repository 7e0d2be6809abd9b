"""Sums over the outcomes of a count and an auxiliary measurement: what the LHC's p-values and limits share.

The ensemble: the count ``N ~ Poisson(s + mu(theta))`` and the auxiliary measurement ``A`` of the background fluctuate around a nuisance
``theta``. For every count n the test statistic is monotone in the auxiliary measurement, so what is at least as extreme as the data is a
half line that begins at an edge ``a_n``, and

    P(statistic >= observed) = sum over n of  P(N = n) P(A beyond a_n).

The edges are found by Newton's method (`edges`), whose derivative is that of the auxiliary term alone: the fit is at its minimum. Used by
`superbin.stats.discovery` and `superbin.stats.limits.lhc`.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
from scipy import special

from superbin.errors import InputError
from superbin.stats.arguments import FloatArray, Index, Numbers, checked_yields
from superbin.stats.models import ModelName, UncertaintyModel, uncertainty
from superbin.stats.poisson import log_equal

__all__ = [
    "INNER",
    "LEAST",
    "TOLERANCE",
    "FitName",
    "Statistic",
    "edges",
    "falls_to_zero",
    "log_sum",
    "one_bin",
    "one_number",
    "ties",
    "window",
]

FitName: TypeAlias = Literal["prefit", "postfit"]

TIE = 1e-10
"""Relative difference of the statistic's root below which an outcome is as extreme as the data, where outcomes can be equal."""

_ROUNDING = 1e-15

_MANY = 1e11
"""Auxiliary counts from which on one more is as good as continuous."""

TOLERANCE, INNER = 1e-6, 1e-8
"""Error of CLs at a limit, and of the probabilities of its bands, in standard deviations."""

CLOSE, GOOD = 1e-12, 1e-6
"""Relative width of the bounds at which an edge is found, and last step of Newton's method: its error is of the size of the square."""

MOST_NEWTON = 8
MOST_STEPS = 100
LEAST = 1e-6
"""Root of a statistic that is as good as zero, which it is for a part of the outcomes."""

Statistic = Callable[[Index, FloatArray], tuple[FloatArray, FloatArray]]
"""Root of the statistic of some points at an auxiliary measurement each, and its derivative; zero where that is not known."""


def ties(held: UncertaintyModel, nuisance: FloatArray, mean: FloatArray) -> float:
    """`TIE`, or less where the auxiliary measurement moves the statistic by little: an edge is not to move by more than `TIE` does elsewhere."""
    if held.whole and nuisance.min() < _MANY:
        return TIE
    _, high = held.span(nuisance, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.abs(held.mean(high) - mean) / np.sqrt(mean)
    return float(np.clip(TIE * np.nan_to_num(share, nan=1.0).min(), _ROUNDING, TIE))


def edges(
    statistic: Statistic, root: FloatArray, span: tuple[float, float], start: FloatArray, *, rising: bool
) -> FloatArray:
    """Auxiliary measurements at which the monotone roots of the statistic equal `root`, infinite where they do nowhere in the span.

    Newton's method between bounds. A step out of the span is cut at its end, where an edge that lies beyond is recognised.
    """
    first, last = span
    x = np.clip(start, first, last)
    low, high = np.full(root.size, first), np.full(root.size, last)
    move = high - low
    bounded = np.zeros((2, root.size), dtype=bool)  # whether the lower and the upper bound were looked at
    i = np.arange(root.size)
    for _ in range(MOST_STEPS):
        if not i.size:
            break
        here = x[i]
        value, slope = statistic(i, here)
        beyond = (value >= root[i]) == rising
        high[i], low[i] = np.where(beyond, here, high[i]), np.where(beyond, low[i], here)
        bounded[0, i] |= ~beyond
        bounded[1, i] |= beyond
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = (root[i] - value) / slope
            trial = here + step
        inside = (trial > low[i]) & (trial < high[i]) & (np.abs(step) <= 0.7 * move[i])
        there = (np.abs(step) <= GOOD * (1 + np.abs(here))) & (np.abs(root[i] - value) <= GOOD * root[i])
        middle = 0.5 * (low[i] + high[i])
        middle = np.where(~bounded[1, i], last, np.where(~bounded[0, i], first, middle))
        trial = np.where(there, np.clip(trial, low[i], high[i]), np.where(inside, trial, middle))
        trial = np.where((here == last) & ~beyond, np.inf, np.where((here == first) & beyond, -np.inf, trial))
        with np.errstate(invalid="ignore"):
            move[i] = np.abs(trial - here)
        x[i] = trial
        i = i[~(there | np.isinf(trial) | (high[i] - low[i] <= CLOSE * (1 + np.abs(here))))]
    return x


def falls_to_zero(
    function: Callable[[Index, FloatArray], FloatArray],
    first: FloatArray,
    second: FloatArray,
    low: FloatArray,
    high: FloatArray,
    tolerance: float,
) -> FloatArray:
    """Where falling functions, one per row and nearly straight, cross zero: secants between bounds, which close around a jump.

    The lower bound where they are below zero there already; below a jump where zero is jumped over; NaN without an answer.
    """
    least, low, high = low, low.copy(), high.copy()
    values = []
    for x in (first, second):
        value = function(np.arange(x.size), x)
        above = value >= 0
        low, high = np.where(above, np.maximum(low, x), low), np.where(above, high, np.minimum(high, x))
        values.append(value)
    before, x = first.copy(), second.copy()
    value_before, value = values
    result = np.where(np.abs(value) <= tolerance, x, np.nan)
    i = np.flatnonzero(np.isnan(result))
    for step in range(MOST_STEPS):
        if not i.size:
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            trial = x[i] - value[i] * (x[i] - before[i]) / (value[i] - value_before[i])
        inside = (trial > low[i]) & (trial < high[i])
        if step > MOST_NEWTON and step % 2:
            inside[:] = False
        middle = np.where(np.isfinite(high[i]), 0.5 * (low[i] + high[i]), 2 * np.maximum(x[i], low[i]))
        # towards a bound that was not looked at yet: look at it
        middle = np.where((low[i] == least[i]) & (trial <= low[i]) & (x[i] > low[i]), low[i], middle)
        before[i], value_before[i] = x[i], value[i]
        x[i] = np.where(inside, trial, middle)
        value[i] = function(i, x[i])
        above = value[i] >= 0
        low[i], high[i] = np.where(above, x[i], low[i]), np.where(above, high[i], x[i])
        there = np.abs(value[i]) <= tolerance
        narrow = np.isfinite(high[i]) & (high[i] - low[i] <= tolerance * np.minimum(high[i], 1e300))
        closed = narrow | ((x[i] == least[i]) & ~above)
        result[i] = np.where(there, x[i], np.where(closed, low[i], np.nan))
        i = i[np.isnan(result[i])]
    return result


def window(*centres: float, sigmas: float = 10.0, step: float = 1.0) -> FloatArray:
    """All counts, or one per `step`, that are not negligible around any of the centres, and between them."""
    low = min(max(0.0, np.floor(c - sigmas * np.sqrt(c) - 3 * sigmas)) for c in centres)
    high = max(np.ceil(c + sigmas * np.sqrt(c) + 3 * sigmas) for c in centres)
    return np.arange(low, high + step, step)


def log_sum(counts: FloatArray, mean: FloatArray, log_accepted: FloatArray) -> FloatArray:
    """``ln P`` of what is accepted, one per mean; `log_accepted`, ``ln P`` at a count, of shape (means, parts, counts) is summed over its parts."""
    return np.asarray(special.logsumexp(log_accepted + log_equal(counts, mean[:, None, None]), axis=(1, 2)))


def one_number(name: str, array: FloatArray, largest: float) -> FloatArray:
    """A checked scalar in shape (1,), no larger than sums over counts go."""
    if array.ndim:
        raise InputError(f"one bin at a time, but {name} has shape {array.shape}; give scalars")
    if array > largest:
        raise InputError(
            f"{name} = {float(array):g} exceeds {largest:g}, up to which counts are summed with an auxiliary measurement; "
            "use the asymptotic formulas, which hold there"
        )
    return array.reshape(1)


def one_bin(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, model: ModelName, largest: float
) -> tuple[FloatArray, UncertaintyModel]:
    """Check the numbers of one bin: its count, shape (1,), and its background under a model."""
    count, background, *widths = checked_yields(n, b, up, down)
    count, background = one_number("n", count, largest), one_number("b", background, largest)
    return count, uncertainty(model, background, *(one_number("up", a, np.inf) for a in widths))
