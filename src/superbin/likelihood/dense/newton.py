"""A bounded Newton minimiser with the exact, dense Hessian.

Projected active-set Newton (D. P. Bertsekas, SIAM J. Control Optim. 20 (1982) 221, doi:10.1137/0320018): the step minimises the quadratic
model within the bounds, and is shortened until the likelihood falls enough (Armijo). Where the Hessian is not positive definite its
eigenvalues are taken by their size (saddle-free Newton, Y. Dauphin et al., arXiv:1406.2572): along negative curvature the step goes down,
damped. A point with no gradient but negative curvature is left along the steepest such direction. Kinks at zero (codes 0 and 1) are bounds of
the orthant that a step may not cross; at a kink both sides are looked at.

It never raises for a fit that fails: the result says how it ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from superbin._support.arrays import FloatArray
from superbin.likelihood.data import Data
from superbin.likelihood.dense.objective import BoolArray, Objective, Point

__all__ = ["Minimum", "Status", "minimize"]

Status: TypeAlias = Literal["converged", "iteration-limit", "no-descent", "not-finite"]

TOLERANCE = 1e-7
"""On the projected gradient in units of likelihood per standard deviation: an error in the height of about 1e-14."""

ACCEPTED = 1e-5
"""The same where rounding allows no further descent: an error of about 1e-10."""

LARGEST_STEP = 4.0
"""In standard deviations of a constraint."""

ARRIVED = 0.05
"""Distance of a Newton step's end from a known minimum, in standard deviations of the constraints, that counts as none."""

SHRINKING = 0.1
"""No step makes a parameter with an auxiliary count smaller than this part: near zero Newton only doubles it with each step back."""

ROUNDING = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Events within which floors are rounded off, one after the other."""

ROUNDS = 8
"""Changes of the set of held parameters within one step."""

NEAR_SADDLE = 1e-3
"""Gradient, as `TOLERANCE`, below which negative curvature is followed for itself: the gradient would lead out only slowly."""

FLAT = 1e-9
"""Eigenvalues of the Hessian, in units of the information, that count as none."""


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where and how a minimisation ended.

    Attributes
    ----------
    point : Point
        The last point.
    status : str
        ``"converged"`` or why not.
    iterations : int
        Newton steps taken.
    projected_gradient : float
        Largest gradient component not held by a bound, per standard deviation.
    free : array of bool, shape (n_parameters,)
        Parameters neither fixed nor held at a bound or kink.
    flat : bool
        Whether some direction in the free parameters has no curvature, so that their values mean nothing.
    hessian : array, shape (n_parameters, n_parameters)
        Of the height, at the point.
    """

    point: Point
    status: Status
    iterations: int
    projected_gradient: float
    free: BoolArray
    flat: bool
    hessian: FloatArray

    @property
    def height(self) -> float:
        """Of the point."""
        return self.point.height


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    objective: Objective
    data: Data
    fixed: BoolArray
    lower: FloatArray
    upper: FloatArray


class _Curvature:
    """A Hessian in units of standard deviations, made positive definite where it is not.

    Attributes
    ----------
    scale : array
        Standard deviation of each parameter by its information.
    exact, matrix : array
        The Hessian in these units, and what steps use.
    modified : bool
        Whether the two differ.
    """

    def __init__(self, hessian: FloatArray, information: FloatArray, movable: BoolArray) -> None:
        self.scale = 1 / np.sqrt(np.where(information > 0, information, 1.0))
        self.matrix = self.exact = hessian * self.scale[:, None] * self.scale
        self._movable = movable
        self.modified = False

    def solve(self, free: BoolArray, pull: FloatArray) -> FloatArray:
        """Solve ``H s = pull`` in the free parameters; zero elsewhere. Everything is in scaled units."""
        step = np.zeros_like(pull)
        if not free.any():
            return step
        index = np.flatnonzero(free)
        block = self.matrix[np.ix_(index, index)]
        try:
            step[index] = cho_solve(_factor(block, floor=FLAT), pull[index], check_finite=False)
        except LinAlgError:
            if self.modified:
                raise
            self._modify()
            return self.solve(free, pull)
        return step

    def _modify(self) -> None:
        self.modified = True
        index = np.flatnonzero(self._movable)
        values, vectors = np.linalg.eigh(self.matrix[np.ix_(index, index)])
        # Relative to the largest as well: what is smaller than its rounding would be lost in the product.
        values = np.maximum(np.abs(values), max(1e-4, 1e-12 * float(np.abs(values).max(initial=0.0))))
        self.matrix = self.matrix.copy()
        self.matrix[np.ix_(index, index)] = (vectors * values) @ vectors.T


def _factor(block: FloatArray, floor: float) -> tuple[FloatArray, bool]:
    factor = cho_factor(block, lower=True, check_finite=False)
    if np.diagonal(factor[0]).min() ** 2 < floor:
        raise LinAlgError
    return factor


def minimize(
    objective: Objective,
    data: Data,
    start: FloatArray,
    *,
    fixed: BoolArray,
    lower: FloatArray,
    upper: FloatArray,
    iterations: int = 200,
    known: Sequence[Minimum] = (),
) -> Minimum:
    """Minimise the negative log-likelihood within bounds.

    A minimum where a histogram is at its floor is a kink. Where floors can be reached they are rounded off, less and less (`ROUNDING`), each time from the
    minimum before. The point returned is that of the model itself.

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
    known : sequence of Minimum
        Minima of the same problem; where a step at positive curvature leads right into one, that is returned.
    """

    def run(model: Objective, first: FloatArray, near: Sequence[Minimum]) -> Minimum:
        return _minimize(
            model, data, first, fixed=fixed, lower=lower, upper=upper, iterations=iterations, known=near
        )

    if not objective.bends:
        return run(objective, start, known)
    best: Minimum | None = None
    taken = 0
    for smoothing in ROUNDING:
        found = run(objective.smoothed(smoothing), start, known if best is None else ())
        taken += found.iterations
        if found.status != "converged":
            break
        best, start = found, found.point.x
        if not found.point.bent:
            break
    if best is None:
        return replace(found, iterations=taken)
    return replace(best, point=objective.point(best.point.x, data), iterations=taken)


def _minimize(
    objective: Objective,
    data: Data,
    start: FloatArray,
    *,
    fixed: BoolArray,
    lower: FloatArray,
    upper: FloatArray,
    iterations: int = 200,
    known: Sequence[Minimum] = (),
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
    known : sequence of Minimum
        Minima of the same problem; where a step at positive curvature leads right into one, that is returned.
    """
    x = np.where(fixed, start, np.clip(start, lower, upper))
    # A parameter may be held outside its bounds.
    lower, upper = np.where(fixed, x, lower), np.where(fixed, x, upper)
    problem = _Problem(objective, data, fixed, lower, upper)
    side = np.where(x < 0, -1.0, 1.0)
    counting = np.zeros(x.size, dtype=bool)
    counting[objective.poisson] = data.auxiliary[objective.poisson] > 0
    counting &= ~fixed
    point = objective.point(x, data, side)
    if not _finite(point):
        n = objective.n_parameters
        return Minimum(point, "not-finite", 0, np.inf, ~fixed, False, np.full((n, n), np.nan))
    for iteration in range(iterations):
        point, side, low, high = _orthant(problem, point, side)
        low = np.where(counting, np.maximum(low, SHRINKING * point.x), low)
        free = _free(point, fixed, low, high)
        hessian, information = objective.hessian(point, data)
        curvature = _Curvature(hessian, information, ~fixed)
        largest = float(np.abs(point.gradient * curvature.scale)[free].max(initial=0.0))
        if largest <= TOLERANCE:
            escape, flat = _escape(problem, point, side, curvature, free, low, high)
            if escape is None:
                point = point if flat else _polished(problem, point, side, curvature, free, low, high)
                return Minimum(point, "converged", iteration, largest, free, flat, hessian)
            point = escape
            continue
        step = _step(point, fixed, low, high, curvature)
        arrived = None if curvature.modified else _arrived(objective, point.x + step, known)
        if arrived is not None:
            return replace(arrived, iterations=iteration)
        following = _following(
            problem, point, side, step, curvature, free, low, high, near=largest < NEAR_SADDLE
        )
        if following is None:
            flat = _escape(problem, point, side, curvature, free, low, high)[1]
            status: Status = "converged" if largest <= ACCEPTED else "no-descent"
            return Minimum(point, status, iteration, largest, free, flat, hessian)
        point = following
    return Minimum(point, "iteration-limit", iterations, largest, free, False, hessian)


def _following(
    problem: _Problem,
    point: Point,
    side: FloatArray,
    step: FloatArray,
    curvature: _Curvature,
    free: BoolArray,
    low: FloatArray,
    high: FloatArray,
    *,
    near: bool,
) -> Point | None:
    """Return the next point, None if nothing leads down; `near` says that this one is nearly stationary."""
    if curvature.modified and near:
        escape, _ = _escape(problem, point, side, curvature, free, low, high)
        if escape is not None:
            return escape
    following = _search(problem, point, side, step, low, high)
    if following is not None and curvature.modified:
        return _further(problem, following, side, following.x - point.x, low, high)
    if following is None:
        down = np.where(free, -point.gradient * curvature.scale**2, 0.0)
        following = _search(problem, point, side, down, low, high)
    return following


def _arrived(objective: Objective, x: FloatArray, known: Sequence[Minimum]) -> Minimum | None:
    """Return the known minimum that a point lies at."""
    for minimum in known:
        if float(np.abs((x - minimum.point.x) * objective.per_width).max()) < ARRIVED:
            return minimum
    return None


def _finite(point: Point) -> bool:
    return bool(np.isfinite(point.height) and np.isfinite(point.gradient).all())


def _orthant(
    problem: _Problem, point: Point, side: FloatArray
) -> tuple[Point, FloatArray, FloatArray, FloatArray]:
    """Choose the side of each kink the point sits on, and bound steps there."""
    kinked, low, high = problem.objective.kinked & ~problem.fixed, problem.lower, problem.upper
    if not kinked.any():
        return point, side, low, high
    side = np.where(kinked & (point.x != 0), np.sign(point.x), side)
    on_kink = kinked & (point.x == 0)
    if on_kink.any():
        other = np.where(on_kink, -side, side)
        seen = problem.objective.point(point.x, problem.data, other)
        # The slope along the other side goes down: cross. Along neither: stay.
        cross = on_kink & (seen.gradient * other < 0) & (point.gradient * side >= 0)
        if cross.any():
            side = np.where(cross, other, side)
        point = problem.objective.point(point.x, problem.data, side)
    low = np.where(kinked & (side > 0), np.maximum(low, 0.0), low)
    high = np.where(kinked & (side < 0), np.minimum(high, 0.0), high)
    return point, side, low, high


def _free(point: Point, fixed: BoolArray, low: FloatArray, high: FloatArray) -> BoolArray:
    held = (point.x <= low) & (point.gradient >= 0) | (point.x >= high) & (point.gradient <= 0)
    free: BoolArray = ~(fixed | held)
    return free


def _step(
    point: Point, fixed: BoolArray, low: FloatArray, high: FloatArray, curvature: _Curvature
) -> FloatArray:
    """Return the step to the minimum of the quadratic model within the bounds."""
    scale = curvature.scale
    down, up, gradient = (low - point.x) / scale, (high - point.x) / scale, point.gradient * scale
    at_low = (down >= 0) & (gradient >= 0) & ~fixed
    at_high = (up <= 0) & (gradient <= 0) & ~fixed
    step = np.zeros_like(gradient)
    for _ in range(ROUNDS):
        free = ~(fixed | at_low | at_high)
        held = np.where(at_low, down, np.where(at_high, up, 0.0))
        pull = gradient + (curvature.matrix @ held if held.any() else 0.0)
        step = held - curvature.solve(free, pull)
        slope = gradient + curvature.matrix @ step
        below = (free & (step < down)) | (at_low & (slope >= 0))
        above = (free & (step > up)) | (at_high & (slope <= 0))
        if np.array_equal(below, at_low) and np.array_equal(above, at_high):
            break
        at_low, at_high = below, above
    return np.clip(step, down, up) * scale


def _search(
    problem: _Problem, point: Point, side: FloatArray, step: FloatArray, low: FloatArray, high: FloatArray
) -> Point | None:
    """Shorten the step until the likelihood falls by a part of what the gradient promises."""
    width = problem.objective.width
    size = float(np.abs(step / width).max(initial=0.0))
    length = min(1.0, LARGEST_STEP / size) if size > 0 else 1.0
    # Differences of heights below this are rounding.
    noise = 1e-13 * max(1.0, abs(point.height))
    for _ in range(50):
        x = np.clip(point.x + length * step, low, high)
        promised = float(point.gradient @ (x - point.x))
        if promised < 0 and not np.array_equal(x, point.x):
            height = problem.objective.height(x, problem.data)
            if height <= point.height + 1e-4 * promised + noise:
                following = problem.objective.point(x, problem.data, side)
                if _finite(following) and not (
                    height > point.height - noise and _worse(problem, following, point, low, high)
                ):
                    return following
        length *= 0.5 if length > 1e-3 else 0.1
    return None


def _polished(
    problem: _Problem,
    point: Point,
    side: FloatArray,
    curvature: _Curvature,
    free: BoolArray,
    low: FloatArray,
    high: FloatArray,
) -> Point:
    """Take one more step, which squares the error and needs no new Hessian, if the gradient agrees."""
    step = -curvature.solve(free, point.gradient * curvature.scale) * curvature.scale
    following = problem.objective.point(np.clip(point.x + step, low, high), problem.data, side)
    if not _finite(following):
        return point
    sizes = [float(np.abs(p.gradient * curvature.scale)[free].max(initial=0.0)) for p in (following, point)]
    return following if sizes[0] < sizes[1] else point


def _further(
    problem: _Problem, point: Point, side: FloatArray, step: FloatArray, low: FloatArray, high: FloatArray
) -> Point:
    """Repeat a step, doubled each time, while the likelihood falls: along little or negative curvature steps are too short."""
    for _ in range(30):
        x = np.clip(point.x + step, low, high)
        if np.array_equal(x, point.x) or not problem.objective.height(x, problem.data) < point.height:
            break
        following = problem.objective.point(x, problem.data, side)
        if not _finite(following):
            break
        point, step = following, 2 * step
    return point


def _worse(problem: _Problem, following: Point, point: Point, low: FloatArray, high: FloatArray) -> bool:
    """Within rounding of the same height: whether the gradient did not shrink."""

    def size(p: Point) -> float:
        scale = np.where(np.isfinite(problem.objective.width), problem.objective.width, 1.0)
        return float(np.abs((p.gradient * scale)[_free(p, problem.fixed, low, high)]).max(initial=0.0))

    return size(following) >= 0.9 * size(point)


def _escape(
    problem: _Problem,
    point: Point,
    side: FloatArray,
    curvature: _Curvature,
    free: BoolArray,
    low: FloatArray,
    high: FloatArray,
) -> tuple[Point | None, bool]:
    """Where the gradient vanishes but the curvature is negative, return a lower point; and whether a direction is flat."""
    index = np.flatnonzero(free)
    if not index.size:
        return None, False
    block = curvature.exact[np.ix_(index, index)]
    try:
        _factor(block, floor=FLAT)
    except LinAlgError:
        pass
    else:
        return None, False
    values, vectors = np.linalg.eigh(block)
    if values[0] > -1e-7:
        return None, bool(values[0] < FLAT)
    direction = np.zeros_like(point.x)
    direction[index] = vectors[:, 0]
    lowest: Point | None = None
    for sign in (1.0, -1.0):
        for length in (3.0, 1.0, 0.3, 0.1, 0.03, 0.01):
            x = np.clip(point.x + sign * length * direction * curvature.scale, low, high)
            following = problem.objective.point(x, problem.data, side)
            if _finite(following) and following.height < point.height - 1e-10 * max(1.0, abs(point.height)):
                if lowest is None or following.height < lowest.height:
                    lowest = following
                break
    return lowest, False
