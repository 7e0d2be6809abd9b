"""A bounded Newton minimiser for `superbin.likelihood.objective`.

Projected active-set Newton (D. P. Bertsekas, SIAM J. Control Optim. 20 (1982) 221, doi:10.1137/0320018): parameters at a
bound that the gradient pushes against are held, the others take a Newton step, capped and projected into the bounds,
and shortened until the likelihood falls enough (Armijo). Where the Hessian is not positive definite its negative part is
left out (Gauss-Newton like), then it is damped (Levenberg). It never raises for a fit that fails: the result says how
it ended.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superbin._arrays import FloatArray
from superbin.likelihood.blocks import Factor
from superbin.likelihood.objective import Curvature, Data, Objective, Point

__all__ = ["Minimum", "Status", "minimize"]

Status: TypeAlias = Literal["converged", "iteration-limit", "no-descent", "singular", "saddle", "not-finite"]

LARGEST_STEP = 3.0
"""In units of a nuisance's own uncertainty."""

DAMPING = (0.01, 0.1, 1.0)
"""Tried in turn where the Hessian is not positive definite."""

SHORT = 1e-4
"""A step in no parameter longer than this leaves the Hessian as it is."""

ROUNDS = 6
"""Changes of the set of held parameters within one step."""

TOLERANCE = 1e-6
"""On the projected gradient, in units of likelihood per standard deviation: an error in the NLL below 1e-12."""


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where and how a minimisation ended.

    Attributes
    ----------
    point : Point
        The last point, with likelihood and gradient.
    status : str
        ``"converged"`` or why not.
    iterations : int
        Newton steps taken.
    projected_gradient : float
        Largest gradient component that is not held by a bound.
    free : array of bool
        Parameters that are neither fixed nor held at a bound.
    factor : Factor or None
        Of the Hessian in these, at convergence.
    """

    point: Point
    status: Status
    iterations: int
    projected_gradient: float
    free: NDArray[np.bool_]
    factor: Factor | None = None


def minimize(
    objective: Objective,
    data: Data,
    start: FloatArray,
    *,
    fixed: NDArray[np.bool_],
    lower: FloatArray,
    upper: FloatArray,
    iterations: int = 100,
) -> Minimum:
    """Minimise the negative log-likelihood within bounds.

    Parameters
    ----------
    objective : Objective
        The compiled model.
    data : Data
        The data set.
    start : array, shape (n_parameters,)
        First point; projected into the bounds.
    fixed : array of bool, shape (n_parameters,)
        Parameters that do not move.
    lower, upper : array, shape (n_parameters,)
        Bounds, which may be infinite.
    iterations : int
        Largest number of Newton steps.
    """
    point = objective.point(np.where(fixed, start, np.clip(start, lower, upper)), data)
    if not (np.isfinite(point.nll) and np.isfinite(point.gradient).all()):
        return Minimum(point, "not-finite", 0, np.inf, ~fixed)
    last: tuple[Factor, NDArray[np.bool_]] | None = None
    for iteration in range(iterations):
        free = _free(point, fixed, lower, upper)
        gradient = np.where(free, point.gradient, 0.0)
        largest = float(np.abs(gradient).max(initial=0.0))
        if largest <= TOLERANCE:
            if last is not None and np.array_equal(last[1], free):
                return Minimum(point, "converged", iteration, largest, free, last[0])
            factor = objective.factor(objective.curvature(point, data), free)
            return Minimum(point, "saddle" if factor is None else "converged", iteration, largest, free, factor)
        step, factor, moved = _step(objective, point, data, fixed, lower, upper)
        if step is None:
            return Minimum(point, "singular", iteration, largest, free)
        # After a step this short the Hessian is still the same for every purpose.
        short = float(np.abs(step).max()) < SHORT
        last = (factor, moved) if factor is not None and short else None
        following = _line_search(objective, data, point, step, lower, upper)
        if following is None:
            return Minimum(point, "no-descent", iteration, largest, free)
        point = following
    free = _free(point, fixed, lower, upper)
    return Minimum(point, "iteration-limit", iterations, float(np.abs(point.gradient[free]).max(initial=0.0)), free)


def _free(
    point: Point, fixed: NDArray[np.bool_], lower: FloatArray, upper: FloatArray
) -> NDArray[np.bool_]:
    held = (point.x <= lower) & (point.gradient > 0) | (point.x >= upper) & (point.gradient < 0)
    free: NDArray[np.bool_] = ~(fixed | held)
    return free


def _step(
    objective: Objective,
    point: Point,
    data: Data,
    fixed: NDArray[np.bool_],
    lower: FloatArray,
    upper: FloatArray,
) -> tuple[FloatArray | None, Factor | None, NDArray[np.bool_]]:
    """Return the step to the minimum of the quadratic model within the bounds; None if the model has none.

    With it come the factor of the true Hessian, if that was positive definite, and the parameters it is for.
    """
    low, high = lower - point.x, upper - point.x
    at_low = (low >= 0) & (point.gradient > 0) & ~fixed
    at_high = (high <= 0) & (point.gradient < 0) & ~fixed
    curvature, factor = _positive(objective, point, data, ~(fixed | at_low | at_high))
    step: FloatArray | None = None
    true, used = curvature.damping == 0, None
    for _ in range(ROUNDS):
        if factor is None:
            break
        free = ~(fixed | at_low | at_high)
        used = factor if true else None
        held = np.where(at_low, low, np.where(at_high, high, 0.0))
        pull = point.gradient + (objective.times(curvature, held) if held.any() else 0.0)
        step = held - np.where(free, factor.solve(np.where(free, pull, 0.0)), 0.0)
        pull = point.gradient + objective.times(curvature, step)
        below = (free & (step < low)) | (at_low & (pull > 0))
        above = (free & (step > high)) | (at_high & (pull < 0))
        if np.array_equal(below, at_low) and np.array_equal(above, at_high):
            break
        at_low, at_high = below, above
        factor = objective.factor(curvature, ~(fixed | at_low | at_high))
    if step is None:
        return None, None, fixed
    step = np.clip(step, low, high)
    theta = float(np.abs(step[objective.constrained > 0]).max(initial=0.0))
    return step * (LARGEST_STEP / theta) if theta > LARGEST_STEP else step, used, free


def _positive(
    objective: Objective, point: Point, data: Data, free: NDArray[np.bool_]
) -> tuple[Curvature, Factor | None]:
    """Return a Hessian that is positive definite, as near to the true one as need be, with its factor."""
    curvature = objective.curvature(point, data)
    factor = objective.factor(curvature, free)
    for damping in DAMPING:
        if factor is not None:
            break
        curvature = objective.curvature(point, data, damping=damping)
        factor = objective.factor(curvature, free)
    if factor is None:
        curvature = objective.curvature(point, data, convex=True, damping=DAMPING[0])
        factor = objective.factor(curvature, free)
    return curvature, factor


def _line_search(
    objective: Objective, data: Data, point: Point, step: FloatArray, lower: FloatArray, upper: FloatArray
) -> Point | None:
    """Shorten the step until the likelihood falls by a part of what the gradient promises."""
    # Differences of likelihoods below this are rounding.
    noise = 1e-12 * max(1.0, abs(point.nll))
    length = 1.0
    for _ in range(40):
        x = np.clip(point.x + length * step, lower, upper)
        promised = float(point.gradient @ (x - point.x))
        nll = objective.nll(x, data)
        if nll <= point.nll + 1e-4 * promised + (noise if promised <= 0 else 0.0):
            following = objective.point(x, data)
            if np.isfinite(following.gradient).all() and not np.array_equal(x, point.x):
                return following
        length *= 0.5
    return None
