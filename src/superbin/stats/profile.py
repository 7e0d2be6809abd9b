"""The profile likelihood of one count: what an auxiliary measurement says of the background, and the best fit to both.

The likelihood of a count ``n`` with signal ``s`` is ``Poisson(n | s + mu) p(a | mu)``: the background mean ``mu`` is held by
an auxiliary measurement ``a``. Which one depends on the uncertainty model (`superbin.stats.models`):

* `Smeared`: ``mu(z)`` of a nuisance z that a unit normal around ``a`` holds, ``a = 0`` before any fit: ``split-lognormal``,
  ``lognormal``, ``gaussian`` (linear in z on both sides, zero where that is negative) and ``none``;
* `OnOff`, the model ``gamma``: ``a`` is the count of an off-source region, Poisson around ``tau mu``, before any fit
  the real number ``b tau`` [1]_.

Both answer the same questions, so that test statistics, limits and toys need not know which they have.

.. [1] R. Cousins, J. Linnemann, J. Tucker, Nucl. Instrum. Meth. A 595 (2008) 480, doi:10.1016/j.nima.2008.07.086:
   equation 7 (the likelihood), equation 25 (its profile ratio, after Li and Ma).
"""

from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import special

from superbin.stats import smear
from superbin.stats.arguments import FloatArray
from superbin.stats.models import SMALLEST_SPREAD, check_model, on_off, relative_width
from superbin.stats.poisson import deviance, log_ratio

__all__ = ["Constraint", "OnOff", "Smeared", "constraint"]

ZOOM_POINTS = 33
ZOOMS = 8


class Constraint(Protocol):
    """Auxiliary measurements of the background, one per row."""

    def take(self, index: Any) -> "Constraint":
        """Select rows, or add axes, by indexing."""

    def nominal(self) -> FloatArray:
        """Auxiliary measurement before any fit."""

    def mean(self, auxiliary: FloatArray) -> FloatArray:
        """Background mean that the auxiliary measurement alone favours."""

    def background_cost(self, n: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """``-2 ln L`` of the best fit without signal, over the saturated likelihood."""

    def fit(self, n: FloatArray, s: FloatArray, auxiliary: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Auxiliary measurement that the best fit at fixed signal expects, and ``-2 ln L`` of that fit."""

    def throw(self, random: np.random.Generator, expected: FloatArray, size: int) -> FloatArray:
        """Draw `size` auxiliary measurements around the expected one, shape (1,)."""


def constraint(model: str, b: FloatArray, up: FloatArray, down: FloatArray) -> Constraint:
    """Build the auxiliary measurements of an uncertainty model; checked arrays of one shape.

    Raises
    ------
    InputError, UnknownNameError
        As `superbin.stats.models.check_model`.
    """
    check_model(model, b, up, down)
    if model == "gamma":
        width = np.maximum(0.5 * (up + down), SMALLEST_SPREAD * b)
        empty = b == 0
        return OnOff(
            *on_off(np.where(empty, 0.0, b), np.where(empty, 1.0, width), np.where(empty, 1.0, width))
        )
    zero = np.zeros(b.shape)
    if model == "none":
        return Smeared(b, zero, zero, zero, zero)
    if model == "lognormal":
        slope = np.log1p(relative_width(b, up, down))
        return Smeared(b, slope, slope, zero, zero)
    if model == "gaussian":
        return Smeared(b, zero, zero, up, np.where(b > 0, down, up))
    above, below = smear.log_slopes(b, up, down)
    linear = smear.is_linear(b, down)
    return Smeared(
        b, above, below, np.where(b > 0, 0.0, up), np.where(b > 0, np.where(linear, down, 0.0), up)
    )


@dataclass(frozen=True, slots=True)
class Smeared:
    """A background mean that depends on a standard normal nuisance ``z``.

    Attributes
    ----------
    b : FloatArray
        Mean at z = 0. Where it is zero, the mean is ``|z|`` times the width.
    log_above, log_below : FloatArray
        ``d ln mu/dz`` of log-normal branches; zero where the branch is linear or there is none.
    width_above, width_below : FloatArray
        ``d mu/dz`` of linear branches; zero where the branch is log-normal or there is none.
    """

    b: FloatArray
    log_above: FloatArray
    log_below: FloatArray
    width_above: FloatArray
    width_below: FloatArray

    def take(self, index: Any) -> "Smeared":
        """Select rows, or add axes, by indexing."""
        return Smeared(*(getattr(self, field.name)[index] for field in fields(self)))

    def nominal(self) -> FloatArray:
        """Zero."""
        return np.zeros(self.b.shape)

    def mean(self, auxiliary: FloatArray) -> FloatArray:
        """Background mean at ``z = auxiliary``."""
        above = auxiliary >= 0
        with np.errstate(over="ignore"):
            mean = self.b * np.exp(np.where(above, self.log_above, self.log_below) * auxiliary)
        if not (self.width_above.any() or self.width_below.any()):
            return np.asarray(mean)
        width = np.where(above, self.width_above, self.width_below)
        linear = np.maximum(self.b + width * auxiliary, 0.0)
        linear = np.where(self.b > 0, linear, width * np.abs(auxiliary))
        return np.asarray(np.where(width > 0, linear, mean))

    def background_cost(self, n: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """Closed form: the better of the best ``z >= 0`` and the best ``z <= 0``."""
        above = np.maximum(self._root(n, auxiliary, self.log_above, self.width_above, 1.0), 0.0)
        below = np.minimum(self._root(n, auxiliary, self.log_below, self.width_below, -1.0), 0.0)
        costs = (deviance(n, self.mean(z)) + (z - auxiliary) ** 2 for z in (above, below))
        return np.asarray(np.minimum(*costs))

    def _root(
        self, n: FloatArray, centre: FloatArray, slope: FloatArray, width: FloatArray, side: float
    ) -> FloatArray:
        """Best nuisance of one branch, disregarding where the branch ends."""
        z = _lognormal_root(n, self.b, slope, centre)
        if not width.any():
            return z
        linear = _linear_root(n, self.b, width, centre)
        half = 0.5 * (centre - side * width)
        folded = half + side * np.sqrt(half * half + n)
        return np.asarray(np.where(width > 0, np.where(self.b > 0, linear, folded), z))

    def fit(self, n: FloatArray, s: FloatArray, auxiliary: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Best nuisance at fixed signal and its ``-2 ln L``; arguments broadcast.

        The minimiser lies between the centre and the ``z`` at which ``s + mu(z) = n``, and not farther out than the
        square root of the value at the centre. With a signal there can be two local minima, so the interval is
        searched by grids, each zooming into the cell around the best point.
        """
        n, s, centre = np.broadcast_arrays(n, s, auxiliary)
        wide = self.take((..., None))

        def objective(z: FloatArray) -> FloatArray:
            cost = deviance(n[..., None], s[..., None] + wide.mean(z)) + (z - centre[..., None]) ** 2
            return np.asarray(cost)

        target = self._inverse(np.maximum(n - s, 0.0), negative=centre < 0)
        reach = np.sqrt(np.minimum(objective(centre[..., None])[..., 0], 1e30))
        target = np.clip(target, centre - reach, centre + reach)
        low, high = np.minimum(centre, target), np.maximum(centre, target)
        steps = np.linspace(0.0, 1.0, ZOOM_POINTS)
        for _ in range(ZOOMS):
            grid = low[..., None] + (high - low)[..., None] * steps
            best = np.argmin(objective(grid), axis=-1)[..., None]
            low = np.take_along_axis(grid, np.maximum(best - 1, 0), axis=-1)[..., 0]
            high = np.take_along_axis(grid, np.minimum(best + 1, ZOOM_POINTS - 1), axis=-1)[..., 0]
        z = np.take_along_axis(grid, best, axis=-1)
        return z[..., 0], objective(z)[..., 0]

    def _inverse(self, mu: FloatArray, *, negative: npt.NDArray[np.bool_]) -> FloatArray:
        """Nuisance at which the mean is `mu`, infinite where there is none; of the two for ``b = 0`` the chosen."""
        above = mu >= self.b
        slope, width = (
            np.where(above, self.log_above, self.log_below),
            np.where(above, self.width_above, self.width_below),
        )
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            logarithmic = log_ratio(mu, self.b) / slope
            linear = (mu - self.b) / width
        z = np.where(width > 0, linear, np.where(slope > 0, logarithmic, 0.0))
        z = np.where((self.b == 0) & negative, -z, z)
        return np.asarray(np.where(mu == self.b, 0.0, z))

    def throw(self, random: np.random.Generator, expected: FloatArray, size: int) -> FloatArray:
        """Unit normals around the expected one."""
        return np.clip(expected + random.standard_normal(size), -40.0, 40.0)


def _lognormal_root(n: FloatArray, b: FloatArray, k: FloatArray, centre: FloatArray) -> FloatArray:
    """Solution of ``k (b e^{k z} - n) + z - centre = 0`` by Wright's omega function."""
    slope = np.where(k > 0, k, 1.0)
    reach = centre + slope * n
    with np.errstate(divide="ignore"):
        root = reach - special.wrightomega(2 * np.log(slope) + np.log(b) + slope * reach) / slope
    return np.asarray(np.where(k > 0, root, centre))


def _linear_root(n: FloatArray, b: FloatArray, width: FloatArray, centre: FloatArray) -> FloatArray:
    """Solution of ``(z - centre + width) (b + z width) = n width``; where no count holds the mean up, at most zero mean."""
    wide = np.where(width > 0, width, 1.0)
    half = 0.5 * (b + centre * wide - wide * wide)
    z = (half + np.sqrt(half * half + n * wide * wide) - b) / wide
    return np.asarray(np.where((n == 0) & (z * wide <= -b), np.minimum(centre, -b / wide), z))


@dataclass(frozen=True, slots=True)
class OnOff:
    """A background mean that an off-source region of ``tau`` times the exposure measures.

    Attributes
    ----------
    off : FloatArray
        Its count before any fit, real.
    tau : FloatArray
        Its exposure relative to the bin's.
    """

    off: FloatArray
    tau: FloatArray

    def take(self, index: Any) -> "OnOff":
        """Select rows, or add axes, by indexing."""
        return OnOff(self.off[index], self.tau[index])

    def nominal(self) -> FloatArray:
        """Off-source count ``b tau``."""
        return self.off

    def mean(self, auxiliary: FloatArray) -> FloatArray:
        """Off-source count over ``tau``."""
        some = self.tau > 0  # where there is no background at all the exposure means nothing
        return np.asarray(np.where(some, auxiliary / np.where(some, self.tau, 1.0), 0.0))

    def background_cost(self, n: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """The total count shared in the ratio of the exposures (Li and Ma)."""
        return self.fit(n, np.zeros_like(n), auxiliary)[1]

    def fit(self, n: FloatArray, s: FloatArray, auxiliary: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Closed form: the positive root of a quadratic equation in the mean."""
        exposure = 1 + self.tau
        linear = n + auxiliary - exposure * s
        constant = 4 * exposure * s * auxiliary
        root = np.sqrt(linear * linear + constant)
        # of the two forms of the root the one without cancellation
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(
                linear >= 0, (linear + root) / (2 * exposure), constant / (2 * exposure * (root - linear))
            )
        expected = self.tau * mean
        return np.asarray(expected), deviance(n, s + mean) + deviance(auxiliary, expected)

    def throw(self, random: np.random.Generator, expected: FloatArray, size: int) -> FloatArray:
        """Off-source counts."""
        return random.poisson(float(expected[0]), size).astype(np.float64)
