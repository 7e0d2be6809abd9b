"""What every limit starts from: the checked numbers of its rows, and the search for the signal where CLs reaches ``1 - level``."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from superbin.errors import InputError
from superbin.stats.arguments import FloatArray, Index, Numbers, checked, checked_yields
from superbin.stats.models import UncertaintyModel, uncertainty

__all__ = ["Problem", "checked_level", "crossing", "prepare"]

TOLERANCE = 1e-10
MOST_STEPS = 200
MOST_DOUBLINGS = 200
LARGEST_UNCERTAINTY = 10.0

LOWEST_LEVEL, HIGHEST_LEVEL = 1e-3, 1 - 1e-12
"""Levels between which a limit keeps its accuracy: 1 - CLs, or CLs, has to be told from rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Rows to find limits for: arrays of shape (n_rows,), checked.

    Attributes
    ----------
    n : array
        Counts.
    held : UncertaintyModel
        Their backgrounds.
    width : array
        Logarithmic width of the signal, ``ln(1 + x)``.
    alpha : array
        ``1 - level``.
    """

    n: FloatArray
    held: UncertaintyModel
    width: FloatArray
    alpha: FloatArray

    def take(self, index: Index) -> "Problem":
        """Select rows."""
        return Problem(self.n[index], self.held.take(index), self.width[index], self.alpha[index])

    def at(self, counts: FloatArray) -> "Problem":
        """The only row, for each of several counts."""
        return replace(self.take(np.zeros(counts.size, dtype=np.intp)), n=counts)


def prepare(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal_uncertainty: Numbers,
    model: str,
    level: Numbers = 0.95,
    s: Numbers = 0.0,
) -> tuple[Problem, FloatArray, tuple[int, ...]]:
    """Check, broadcast and flatten.

    Returns
    -------
    tuple of Problem, array and shape
        The rows, the signal of each, and the shape that results are to have.

    Raises
    ------
    InputError
        For values outside their domain or shapes that do not broadcast.
    UnknownNameError
        For an unknown model.
    """
    yields = checked_yields(n, b, up, down)
    relative = checked("signal_uncertainty", signal_uncertainty)
    if (relative > LARGEST_UNCERTAINTY).any():
        raise InputError(
            f"signal_uncertainty = {float(relative.max()):g} is relative and must not exceed {LARGEST_UNCERTAINTY:g}; "
            "give 0.1 for 10 %"
        )
    alpha = 1 - checked_level(level)
    given = (*yields, np.log1p(relative), alpha, checked("s", s))
    try:
        arrays = np.broadcast_arrays(*given)
    except ValueError as error:
        shapes = ", ".join(dict.fromkeys(str(a.shape) for a in given if a.ndim))
        raise InputError(f"the shapes do not broadcast: {shapes}; give equal shapes or scalars") from error
    count, *background, width, level_left, signal = (np.asarray(a, dtype=np.float64).ravel() for a in arrays)
    problem = Problem(count, uncertainty(model, *background), width, level_left)
    return problem, signal, arrays[0].shape


def checked_level(level: Numbers) -> FloatArray:
    """Return confidence levels as a float64 array after checking that they lie in the domain of limits.

    Raises
    ------
    InputError
        With the first offending value and its index.
    """
    array = np.asarray(level, dtype=np.float64)
    bad = ~((array >= LOWEST_LEVEL) & (array <= HIGHEST_LEVEL))
    if bad.any():
        raise InputError(
            f"level = {float(array[bad].flat[0])!r} is outside the domain of limits, {LOWEST_LEVEL:g} to 1 - 1e-12; "
            "give 0.95 for 95 %"
        )
    return array


def crossing(log_cls: Callable[[Index, FloatArray], FloatArray], problem: Problem) -> FloatArray:
    """Signal at which ``log_cls``, which falls from zero, reaches ``ln(1 - level)``: regula falsi, Illinois variant.

    ``log_cls(index, s)`` is ``ln CLs`` of some of the rows at a signal each, asked at most `MOST_DOUBLINGS` and `MOST_STEPS` times.

    Raises
    ------
    InputError
        When CLs has no value or stays above ``1 - level`` at every signal that was tried.
    """
    n, target = problem.n, np.log(problem.alpha)
    low, above = np.zeros(n.shape), -target
    high = 3 + np.sqrt(n) - target
    below = log_cls(np.arange(n.size), high) - target
    for step in range(MOST_DOUBLINGS + 1):
        if np.isnan(below).any() or step == MOST_DOUBLINGS:
            bad = int(np.flatnonzero(~(below <= 0))[0])
            raise InputError(
                f"no limit for n = {n[bad]:g}, background {problem.held.centre()[bad]:g}: CLs does not fall to {problem.alpha[bad]:g} up to s = {high[bad]:g}; "
                "give smaller numbers or another uncertainty model"
            )
        i = np.flatnonzero(below > 0)
        if not i.size:
            break
        low[i], above[i] = high[i], below[i]
        high[i] *= 2
        below[i] = log_cls(i, high[i]) - target[i]
    last = np.zeros(n.shape, dtype=np.int8)
    for _ in range(MOST_STEPS):
        i = np.flatnonzero(high - low > TOLERANCE * high)
        if not i.size:
            break
        lowest = np.maximum(below[i], -1e6)
        s = high[i] + (high[i] - low[i]) * lowest / (above[i] - lowest)
        value = log_cls(i, s) - target[i]
        side = np.where(value > 0, 1, -1)
        again = np.where(side == last[i], 0.5, 1.0)  # an end that stays put counts half
        below[i] = np.where(value > 0, again * lowest, value)
        above[i] = np.where(value > 0, value, again * above[i])
        low[i], high[i] = np.where(value > 0, s, low[i]), np.where(value > 0, high[i], s)
        last[i] = side
        there = i[np.abs(value) < TOLERANCE]
        low[there] = high[there] = s[np.abs(value) < TOLERANCE]
    return np.asarray(0.5 * (low + high))
