"""A bounded Newton minimiser for `superbin.likelihood.objective`.

Projected active-set Newton (D. P. Bertsekas, SIAM J. Control Optim. 20 (1982) 221, doi:10.1137/0320018): parameters at a
bound that the gradient pushes against are held, the others take a Newton step, capped and projected into the bounds,
and shortened until the likelihood falls enough (Armijo). Where the Hessian is not positive definite it is damped
(Levenberg), then its negative part is left out (Gauss-Newton like). A point where the gradient vanishes and the Hessian
has a negative eigenvalue is left along its eigenvector. It never raises for a fit that fails: the result says how it ended.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.likelihood.blocks import Factor
from superbin.likelihood.data import Data
from superbin.likelihood.model import BoolArray
from superbin.likelihood.objective import Curvature, Objective, Point

__all__ = ["Known", "Minimum", "Status", "minimize"]

Status: TypeAlias = Literal["converged", "iteration-limit", "no-descent", "singular", "saddle", "not-finite"]

LARGEST_STEP = 3.0
"""In units of a nuisance's own uncertainty."""

DAMPING = (0.0, 1e-4, 0.01, 0.1, 1.0)
"""Tried in turn until the Hessian is positive definite."""

FIRST_LEVEL = 3
"""Far from a minimum little damping is no use: the first search starts below this level."""

CONTRACTION = 0.2
"""A step with the Hessian of another point must reduce the gradient at least to this part."""

ROUNDS = 6
"""Changes of the set of held parameters within one step."""

TOLERANCE = 1e-6
"""On the projected gradient, in units of likelihood per standard deviation: an error in the NLL below 1e-12."""

AWAY = (0.03, 0.1, 0.3, 1.0, 2.0)
"""Distances tried from a saddle, in natural units of the parameters."""

DENSE = 400
"""Up to this many free parameters the eigenvectors of the whole Hessian are cheap."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A factorised Hessian, with the parameters it is for."""

    factor: Factor
    free: BoolArray


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
        Largest gradient component that is not held by a bound, in natural units of the parameters.
    free : array of bool
        Parameters that are neither fixed nor held at a bound.
    known : Known or None
        At convergence, the Hessian in these parameters here or at a point near by.
    """

    point: Point
    status: Status
    iterations: int
    projected_gradient: float
    free: BoolArray
    known: Known | None = None


def minimize(
    objective: Objective,
    data: Data,
    start: FloatArray,
    *,
    fixed: BoolArray,
    lower: FloatArray,
    upper: FloatArray,
    iterations: int = 100,
    near: Known | None = None,
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
    near : Known, optional
        Hessian of a minimum that is thought to be near; used for as long as it leads on.
    """
    point = objective.point(np.where(fixed, start, np.clip(start, lower, upper)), data)
    if not (np.isfinite(point.nll) and np.isfinite(point.gradient).all()):
        return Minimum(point, "not-finite", 0, np.inf, ~fixed)
    known, level = near, FIRST_LEVEL if near is None else 0
    for iteration in range(iterations):
        free = _free(point, fixed, lower, upper)
        gradient = np.where(free, point.gradient, 0.0)
        largest = float(np.abs(gradient * objective.unit).max(initial=0.0))
        usable = known is not None and np.array_equal(known.free, free)
        if largest <= TOLERANCE:
            # A Hessian of another point says nothing of directions without gradient there and here.
            if not usable or objective.may_be_saddle(point, data, free):
                known = _known(objective, point, data, free)
            lower_point = None if known else _left(objective, data, point, free, lower, upper)
            if lower_point is None:
                status: Status = "converged" if known else "saddle"
                return Minimum(point, status, iteration, largest, free, known)
            point, level = lower_point, FIRST_LEVEL
            continue
        following = None
        if known is not None and usable:
            following = _chord(objective, data, point, known, gradient, lower, upper)
        if following is None:
            following, known, level = _descended(objective, point, data, fixed, free, lower, upper, level)
        if following is None:
            return Minimum(point, "singular" if level < 0 else "no-descent", iteration, largest, free)
        point = following
    free = _free(point, fixed, lower, upper)
    largest = float(np.abs((point.gradient * objective.unit)[free]).max(initial=0.0))
    return Minimum(point, "iteration-limit", iterations, largest, free)


def _known(objective: Objective, point: Point, data: Data, free: BoolArray) -> Known | None:
    factor = objective.factor(objective.curvature(point, data), free)
    return None if factor is None else Known(factor, free)


def _descended(
    objective: Objective,
    point: Point,
    data: Data,
    fixed: BoolArray,
    free: BoolArray,
    lower: FloatArray,
    upper: FloatArray,
    level: int,
) -> tuple[Point | None, Known | None, int]:
    """Return a lower point, the Hessian it was found with, and the level of damping; below zero if all was singular."""
    following = None
    step, known, level = _step(objective, point, data, fixed, lower, upper, level)
    if step is None:
        return None, None, -1
    if point.gradient @ step < 0:
        following = _line_search(objective, data, point, step, lower, upper)
    if following is None:
        # Rarely the bounds turn a Newton step uphill; down along the gradient there is always a way.
        known = None
        step = -np.where(free, point.gradient, 0.0) / objective.information(point)
        following = _line_search(objective, data, point, step, lower, upper)
    return following, known, level


def _left(
    objective: Objective, data: Data, point: Point, free: BoolArray, lower: FloatArray, upper: FloatArray
) -> Point | None:
    """Leave a saddle along the direction of most negative curvature; None if no point there is lower."""
    direction = _downwards(objective, point, data, free)
    tried = [
        np.clip(point.x + sign * distance * direction, lower, upper)
        for distance in AWAY
        for sign in (1.0, -1.0)
    ]
    values = [objective.nll(x, data) for x in tried]
    best = int(np.argmin(values))
    if not values[best] < point.nll - 1e-12 * max(1.0, abs(point.nll)):
        return None
    return objective.point(tried[best], data)


def _downwards(objective: Objective, point: Point, data: Data, free: BoolArray) -> FloatArray:
    """Eigenvector of the smallest eigenvalue of the Hessian, in natural units, largest component one unit."""
    curvature = objective.curvature(point, data)
    where = np.flatnonzero(free)
    unit = objective.unit[where]

    def times(vector: FloatArray) -> FloatArray:
        whole = np.zeros(free.size)
        whole[where] = unit * vector.ravel()
        return unit * objective.times(curvature, whole)[where]

    if where.size <= DENSE:
        hessian = np.array([times(row) for row in np.eye(where.size)])
        vector = np.linalg.eigh(0.5 * (hessian + hessian.T))[1][:, 0]
    else:
        from scipy.sparse.linalg import LinearOperator, eigsh

        shape = (where.size, where.size)
        first = np.random.default_rng(0).standard_normal(where.size)
        operator = LinearOperator(shape, matvec=times, dtype=np.float64)
        vector = eigsh(operator, k=1, which="SA", v0=first, tol=1e-3)[1][:, 0]
    direction = np.zeros(free.size)
    # Signs of eigenvectors differ between machines.
    direction[where] = unit * vector / vector[int(np.argmax(np.abs(vector)))]
    return direction


def _chord(
    objective: Objective,
    data: Data,
    point: Point,
    known: Known,
    gradient: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
) -> Point | None:
    """Step with a Hessian of a nearby point; None unless that contracts well and stays inside the bounds.

    Where it contracts, the true Hessian is as positive definite as the known one.
    """
    x = point.x - np.where(known.free, known.factor.solve(gradient), 0.0)
    if not ((x >= lower) & (x <= upper))[known.free].all():
        return None
    following = objective.point(x, data)
    left = np.abs((following.gradient * objective.unit)[known.free]).max(initial=0.0)
    good = following.nll <= point.nll and left < CONTRACTION * np.abs(gradient * objective.unit).max()
    return following if good else None


def _free(point: Point, fixed: BoolArray, lower: FloatArray, upper: FloatArray) -> BoolArray:
    held = (point.x <= lower) & (point.gradient > 0) | (point.x >= upper) & (point.gradient < 0)
    free: BoolArray = ~(fixed | held)
    return free


def _step(
    objective: Objective,
    point: Point,
    data: Data,
    fixed: BoolArray,
    lower: FloatArray,
    upper: FloatArray,
    level: int,
) -> tuple[FloatArray | None, Known | None, int]:
    """Return the step to the minimum of the quadratic model within the bounds; None if the model has none.

    With it come the true Hessian, if that was positive definite, and the level of damping.
    """
    low, high = lower - point.x, upper - point.x
    at_low = (low >= 0) & (point.gradient > 0) & ~fixed
    at_high = (high <= 0) & (point.gradient < 0) & ~fixed
    curvature, factor, level = _positive(objective, point, data, ~(fixed | at_low | at_high), level)
    step: FloatArray | None = None
    used: Known | None = None
    for _ in range(ROUNDS):
        if factor is None:
            break
        free = ~(fixed | at_low | at_high)
        used = Known(factor, free) if curvature.damping == 0 else None
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
        return None, None, level
    step = np.clip(step, low, high)
    theta = float(np.abs(step[objective.constrained > 0]).max(initial=0.0))
    return step * (LARGEST_STEP / theta) if theta > LARGEST_STEP else step, used, level


def _positive(
    objective: Objective, point: Point, data: Data, free: BoolArray, level: int
) -> tuple[Curvature, Factor | None, int]:
    """Return a Hessian that is positive definite, as near to the true one as need be, with its factor.

    The search for the damping starts one level below the one that was needed last.
    """
    for i in range(max(0, level - 1), len(DAMPING)):
        level = i
        curvature = objective.curvature(point, data, damping=DAMPING[i])
        factor = objective.factor(curvature, free)
        if factor is not None:
            break
    if factor is None:
        curvature = objective.curvature(point, data, convex=True, damping=DAMPING[1])
        factor = objective.factor(curvature, free)
    return curvature, factor, level


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
