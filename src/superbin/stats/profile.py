"""The profile likelihood of one count: the best fit of one or two nuisances to the count and the auxiliary measurements.

The likelihood of a count ``n`` with signal ``s`` is ``Poisson(n | s e^(k y) + mu) p(a | mu) Normal(a_y | y)``: the background mean
``mu`` is held by an auxiliary measurement ``a`` of its uncertainty model (`superbin.stats.models.protocol`), a signal of relative
uncertainty x, ``k = ln(1 + x)``, by a unit normal around ``a_y``, which is 0 before any fit.

Let ``rho = 1 - n/M`` with M the mean of the count at the best fit. Both nuisances minimise ``cost + 2 rho mean`` on their own, in closed
form, and M falls as rho grows. So for ``n`` below the expectation the fit is one equation in one unknown between 0 and 1, whatever the
number of nuisances, with one solution on each smooth branch of the mean: a few Newton steps. Without signal it is
closed. Only with a signal and a count above the expectation there can be several minima; there a grid finds the lowest (`fit`).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from superbin.stats.arguments import FloatArray
from superbin.stats.models import UncertaintyModel
from superbin.stats.poisson import deviance

__all__ = ["Fit", "fit"]

MOST_STEPS, MOST_NEWTON = 120, 8
CLOSE = 1e-7
ROUNDING = 2e-16
GRID = 65
GOLDEN_STEPS = 40
LARGEST_MEAN = 1e300


@dataclass(frozen=True, slots=True)
class Fit:
    """The best fit at a fixed signal, one per row.

    Attributes
    ----------
    nuisance : FloatArray
        Of the background, stated as the auxiliary measurement it makes expect.
    shift : FloatArray
        Of the signal, in standard deviations of its uncertainty.
    cost : FloatArray
        ``-2 ln L`` over the saturated likelihood.
    """

    nuisance: FloatArray
    shift: FloatArray
    cost: FloatArray


def fit(
    held: UncertaintyModel,
    n: FloatArray,
    s: FloatArray,
    auxiliary: FloatArray,
    *,
    k: FloatArray | float = 0.0,
    shift: FloatArray | float = 0.0,
) -> Fit:
    """Fit the background's nuisance, and the signal's where ``k > 0``, at a fixed signal.

    Parameters
    ----------
    held : UncertaintyModel
        Background of each row.
    n, s : FloatArray
        Count, and signal in events; all arrays of one shape, or broadcasting with the rows of `held`.
    auxiliary : FloatArray
        Auxiliary measurement of the background.
    k : FloatArray or float
        Logarithmic width of the signal, ``ln(1 + x)``.
    shift : FloatArray or float
        Auxiliary measurement of the signal's nuisance.

    Examples
    --------
    >>> from superbin.stats.models import uncertainty
    >>> held = uncertainty("split-lognormal", *np.array([[25.0], [5.0], [5.0]]))
    >>> found = fit(held, np.array([40.0]), np.zeros(1), np.zeros(1))
    >>> held.mean(found.nuisance).round(3), np.sqrt(found.cost).round(3)
    (array([32.296]), array([1.918]))
    """
    n, s, auxiliary, width, shift = np.broadcast_arrays(n, s, auxiliary, k, shift)
    if (s > 0).all():
        found = Fit(*(np.empty(n.shape) for _ in range(3)))
    else:
        nuisance, cost = held.background_only(n, auxiliary)
        found = Fit(np.array(nuisance), np.array(shift, dtype=np.float64), np.array(cost))
    expected = s * np.exp(width * shift) + held.mean(auxiliary)
    for rows, method in (((s > 0) & (n <= expected), _pulled_down), ((s > 0) & (n > expected), _pulled_up)):
        if not rows.any():
            continue
        part = _rows(held, rows)
        one = method(part, *(a[rows] for a in (n, s, auxiliary, width, shift)))
        for target, value in zip((found.nuisance, found.shift, found.cost), one, strict=True):
            target[rows] = value
    return found


def _rows(held: UncertaintyModel, rows: np.ndarray) -> UncertaintyModel:
    """The backgrounds of the chosen rows; one background may stand for all."""
    shape = held.nominal().shape
    if shape == rows.shape:
        return held.take(rows)
    index = np.broadcast_to(np.arange(int(np.prod(shape))).reshape(shape), rows.shape)[rows]
    return held.take(np.unravel_index(index, shape))


def _pulled_down(
    held: UncertaintyModel,
    n: FloatArray,
    s: FloatArray,
    auxiliary: FloatArray,
    k: FloatArray,
    shift: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit of counts at or below the expectation, 1-D: the better of the branches."""
    best = (np.array(auxiliary), np.array(shift, dtype=np.float64), np.full(n.shape, np.inf))
    for sign in held.branches:
        i = np.flatnonzero(held.reaches(sign, auxiliary, best[0], np.isfinite(best[2])))
        if not i.size:
            continue
        one = _branch(held.take(i), sign, *(part[i] for part in (n, s, auxiliary, k, shift)))
        better = one[2] < best[2][i]
        for target, value in zip(best, one, strict=True):
            target[i[better]] = value[better]
    return best


def _branch(
    held: UncertaintyModel,
    sign: float,
    n: FloatArray,
    s: FloatArray,
    auxiliary: FloatArray,
    k: FloatArray,
    shift: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Solve ``rho = 1 - n/M(rho)``, M falling as rho grows: Newton's method between bounds, from the solution for ``M = M(0)/(1 + c rho)``."""
    uncertain = bool((k > 0).any())
    wide = np.where(k > 0, k, 1.0)
    base = np.log(s) + 2 * np.log(wide) + k * shift if uncertain else np.zeros(0)

    def at(rho: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Both nuisances, the mean of the count, and its derivative."""
        nuisance, mean, slope = held.pulled(auxiliary, rho, sign)
        y, signal = shift, s
        with np.errstate(divide="ignore", over="ignore"):
            if uncertain:
                y = np.where(k > 0, shift - special.wrightomega(np.log(rho) + base) / wide, shift)
                signal = s * np.exp(k * y)
                slope = slope - (k * signal) ** 2 / (1 + rho * k * k * signal)
            return nuisance, y, np.minimum(signal + mean, LARGEST_MEAN), slope

    low, high = np.zeros(n.shape), np.ones(n.shape)
    *_, total, slope = at(low)
    # where M is too small already at rho = 0, the nuisance is at the end of its branch
    high = np.where(total > n, high, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        rho = np.where(total > n, (1 - n / total) / (1 - n * slope / (total * total)), 0.0)
    rho = np.where(rho > 0, rho, 0.5 * high)
    for step in range(MOST_STEPS):
        nuisance, y, total, slope = at(rho)
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = n / total
            value = 1 - ratio - rho
            trial = rho - value / (ratio / total * slope - 1)
        low, high = np.where(value >= 0, rho, low), np.where(value >= 0, high, rho)
        there = (np.abs(trial - rho) <= CLOSE * rho + ROUNDING) | (high == 0)
        if there.all():
            break
        inside = (trial > low) & (trial < high)
        if step >= MOST_NEWTON and step % 2:
            inside[:] = False  # Newton's steps creep: halve the bounds in between
        rho = np.where(there, rho, np.where(inside, trial, 0.5 * (low + high)))
    cost = deviance(n, total) + held.cost(nuisance, auxiliary) + (y - shift) ** 2
    return nuisance, np.asarray(y), np.asarray(cost)


def _pulled_up(
    held: UncertaintyModel,
    n: FloatArray,
    s: FloatArray,
    auxiliary: FloatArray,
    k: FloatArray,
    shift: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit of counts above the expectation, 1-D, signal nuisance fixed: a grid finds the lowest valley, sections its bottom.

    The minimum lies between the auxiliary measurement and the nuisance that makes up for the excess, and no farther out than the root
    of the cost at the auxiliary measurement.
    """
    signal = s * np.exp(k * shift)
    wide = held.take((slice(None), None))

    def objective(x: FloatArray) -> FloatArray:
        mean = signal[:, None] + wide.mean(x)
        return np.asarray(deviance(n[:, None], mean) + wide.cost(x, auxiliary[:, None]))

    target = held.inverse(np.maximum(n - signal, 0.0), auxiliary)
    target = np.clip(target, *held.within(auxiliary, np.minimum(objective(auxiliary[:, None])[:, 0], 1e30)))
    low, high = np.minimum(auxiliary, target), np.maximum(auxiliary, target)
    x = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, GRID)
    best = np.argmin(objective(x), axis=1)[:, None]
    low = np.take_along_axis(x, np.maximum(best - 1, 0), axis=1)[:, 0]
    high = np.take_along_axis(x, np.minimum(best + 1, GRID - 1), axis=1)[:, 0]
    inner = np.array([(3 - np.sqrt(5)) / 2, (np.sqrt(5) - 1) / 2])
    for _ in range(GOLDEN_STEPS):
        x = low[:, None] + (high - low)[:, None] * inner
        left, right = objective(x).T
        low, high = np.where(left <= right, low, x[:, 0]), np.where(left <= right, x[:, 1], high)
    middle = 0.5 * (low + high)
    return middle, np.array(shift, dtype=np.float64), objective(middle[:, None])[:, 0]
