"""Models whose mean is a function of a standard normal nuisance ``z``: what they share."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import special

from superbin.errors import InputError
from superbin.stats import exact
from superbin.stats.arguments import FloatArray
from superbin.stats.poisson import deviance, log_ratio

__all__ = ["Smeared", "mean_uncertainty", "refuse_relative"]

FARTHEST = 1e8
"""No average goes farther out in z."""

LARGEST_NORMAL = 40.0
"""Farther out, the unit normal itself underflows."""

REACH, PANEL, SHORTEST, NODES = 6.5, 3.0, 0.05, 12
"""Standard deviations of an absolute value that are integrated over, the panels in which they are, and the nodes on each."""

_LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)


def mean_uncertainty(up: FloatArray, down: FloatArray) -> FloatArray:
    """``(up + down)/2``, for models with one width."""
    return np.asarray(0.5 * (up + down))


def refuse_relative(name: str, b: FloatArray, up: FloatArray, down: FloatArray) -> None:
    """Raise `InputError` where ``b = 0`` has an uncertainty that a model takes relative to b."""
    bad = (b == 0) & (up + down > 0)
    if bad.any():
        raise InputError(
            f"b = 0 with up = {float(up[bad].flat[0]):g} has no {name} uncertainty, which is relative to b; "
            "use the model split-lognormal or gaussian"
        )


@dataclass(frozen=True, slots=True)
class Smeared:
    """A background mean that is monotone on either side of ``z = 0``, log-normal or linear there.

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

    auxiliary_range: ClassVar[tuple[float, float]] = (-LARGEST_NORMAL, LARGEST_NORMAL)
    whole: ClassVar[bool] = False
    branches: ClassVar[tuple[float, ...]] = (1.0, -1.0)
    truncated: ClassVar[bool] = False
    """Whether the prior ends where the mean reaches zero; else the mean stays zero beyond."""

    @classmethod
    def log_slopes(cls, b: float, up: float, down: float) -> tuple[float, float] | None:
        """None."""
        del b, up, down
        return None

    def take(self, index: Any) -> Self:
        """Select rows, or add axes, by indexing."""
        parts = (self.b, self.log_above, self.log_below, self.width_above, self.width_below)
        return type(self)(*(part[index] for part in parts))

    # --- the prior ---------------------------------------------------------------------------------------------

    @property
    def folded(self) -> npt.NDArray[np.bool_]:
        """Rows whose mean grows on both sides of z = 0."""
        return np.asarray(self.b == 0)

    @property
    def sharp(self) -> npt.NDArray[np.bool_]:
        """Rows whose mean does not vary."""
        return np.asarray(self.log_above + self.log_below + self.width_above + self.width_below == 0)

    @property
    def reference(self) -> FloatArray:
        """Mean at z = 0, or a natural scale where the distribution is folded at zero."""
        folded = self.folded
        if not folded.any():
            return self.b
        return np.where(folded, np.where(self.width_above > 0, self.width_above, 1.0), self.b)

    @property
    def floor(self) -> FloatArray:
        """The z at which the mean reaches zero; minus infinity where there is none, and where both sides mean the same."""
        ends = (self.width_below > 0) & ~self.folded
        if not ends.any():
            return np.full(self.b.shape, -np.inf)
        with np.errstate(over="ignore"):
            return np.where(ends, -self.b / np.where(ends, self.width_below, 1.0), -np.inf)

    @property
    def vanishing(self) -> FloatArray:
        """Probability of a mean that is exactly zero."""
        if self.truncated or not self.width_below.any():
            return np.zeros(self.b.shape)
        return np.asarray(special.ndtr(self.floor))

    @property
    def log_kept(self) -> FloatArray:
        """Logarithm of the probability that a truncation leaves."""
        return np.asarray(special.log_ndtr(-self.floor)) if self.truncated else np.zeros(self.b.shape)

    @property
    def factor(self) -> FloatArray:
        """How often a z of one sign stands for the prior: twice where folded, more than once where truncated."""
        return np.where(self.folded, 2.0, np.exp(-self.log_kept))

    def log_tails(self, n: FloatArray, half: float) -> tuple[FloatArray, FloatArray]:
        """By two one-sided integrals, see `superbin.stats.exact`."""
        return exact.smeared_tails(self, n, half)

    def draw(self, random: np.random.Generator, size: int) -> FloatArray:
        """Draw `size` means of the only row."""
        if self.sharp[0]:
            return np.full(size, self.b[0])
        if self.truncated and np.isfinite(self.floor[0]):
            cut = float(special.ndtr(self.floor[0]))
            return self.mean(np.asarray(special.ndtri(cut + (1 - cut) * random.random(size))))
        return self.mean(random.standard_normal(size))

    def centre(self) -> FloatArray:
        """Mean at z = 0."""
        return self.b

    def mean_beside(self, sign: FloatArray, distance: FloatArray) -> FloatArray:
        """Mean at ``z = sign distance``."""
        return self.mean(sign * distance)

    def log_density(self, sign: FloatArray, distance: FloatArray) -> FloatArray:
        """That of the unit normal."""
        del sign
        return np.asarray(-0.5 * distance * distance - _LOG_ROOT_2PI)

    def reach(self, sign: float, fall: FloatArray) -> FloatArray:
        """Where the unit normal has fallen, or the mean has."""
        out = np.minimum(np.sqrt(2 * fall), FARTHEST)
        return np.asarray(np.minimum(out, -self.floor) if sign < 0 else out)

    # --- the auxiliary measurement: a unit normal around z -----------------------------------------------------

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
        linear = np.where(self.folded, width * np.abs(auxiliary), linear)
        return np.asarray(np.where(width > 0, linear, mean))

    def inverse(self, mean: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """The z at which the background mean is `mean`, infinite where there is none; of the two where folded that of the auxiliary's sign."""
        above = mean >= self.b
        slope = np.where(above, self.log_above, self.log_below)
        width = np.where(above, self.width_above, self.width_below)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            logarithmic = log_ratio(mean, self.b) / slope
            linear = (mean - self.b) / width
        z = np.where(width > 0, linear, np.where(slope > 0, logarithmic, 0.0))
        z = np.where(self.folded & (auxiliary < 0), -z, z)
        return np.asarray(np.where(mean == self.b, 0.0, z))

    def cost(self, nuisance: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """``(z - auxiliary)^2``."""
        return np.asarray((nuisance - auxiliary) ** 2)

    def cost_slope(self, nuisance: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """``2 (auxiliary - z)``."""
        return np.asarray(2 * (auxiliary - nuisance))

    def span(self, nuisance: FloatArray, sigmas: float) -> tuple[FloatArray, FloatArray]:
        """A number of standard deviations."""
        low = np.where(self.folded, 0.0, nuisance - sigmas)
        return low, np.where(self.folded, np.abs(nuisance), nuisance) + sigmas

    def within(self, auxiliary: FloatArray, cost: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The root of the cost on either side."""
        reach = np.sqrt(cost)
        return auxiliary - reach, auxiliary + reach

    def pulled(
        self, auxiliary: FloatArray, rho: FloatArray, sign: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """On a log-normal branch ``z = auxiliary - w/k`` with ``w = rho k^2 mean``, by Wright's omega function; else a line."""
        slope, width = (self.log_above, self.width_above) if sign > 0 else (self.log_below, self.width_below)
        k = np.where(slope > 0, slope, 1.0)
        with np.errstate(divide="ignore", over="ignore"):
            w = special.wrightomega(np.log(rho) + np.log(self.b) + 2 * np.log(k) + k * auxiliary)
            z = np.where(slope > 0, auxiliary - w / k, auxiliary)
        empty = np.zeros(z.shape, dtype=bool)
        if width.any():
            step = np.where(self.folded & (sign < 0), -width, width)
            end = np.where(self.folded, -np.inf, self.floor) if sign < 0 else np.float64(-np.inf)
            line = np.maximum(auxiliary - rho * step, np.minimum(auxiliary, end))
            z = np.where(width > 0, line, z)
            empty = (width > 0) & (z <= end)
        inside = z > 0 if sign > 0 else z < 0
        z = np.where(inside, z, 0.0)
        mean = np.where(empty, 0.0, self.mean(z))
        steep = np.where(width > 0, width, slope * mean)
        curvature = np.where(width > 0, 0.0, rho * slope * slope * mean)
        with np.errstate(over="ignore", invalid="ignore"):
            fall = np.where(inside & (mean > 0), -steep * steep / (1 + curvature), 0.0)
        return np.asarray(z), np.asarray(mean), np.asarray(fall)

    def reaches(
        self, sign: float, auxiliary: FloatArray, nuisance: FloatArray, fitted: np.ndarray
    ) -> np.ndarray:
        """The nuisance is pulled down from the auxiliary measurement, past zero only where it got there, or where the mean is steeper below."""
        if sign > 0:
            return np.asarray(auxiliary > 0)
        steeper = np.where(self.width_below > 0, self.width_below, self.b * self.log_below) > np.where(
            self.width_above > 0, self.width_above, self.b * self.log_above
        )
        return np.asarray(~fitted | (~self.folded & ((nuisance <= 0) | steeper)))

    def background_only(self, n: FloatArray, auxiliary: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Closed form: the better of the best ``z >= 0`` and the best ``z <= 0``."""
        above = np.maximum(self._root(n, auxiliary, self.log_above, self.width_above, 1.0), 0.0)
        below = np.minimum(self._root(n, auxiliary, self.log_below, self.width_below, -1.0), 0.0)
        up, down = (deviance(n, self.mean(z)) + (z - auxiliary) ** 2 for z in (above, below))
        return np.where(up < down, above, below), np.minimum(up, down)

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
        return np.asarray(np.where(width > 0, np.where(self.folded, folded, linear), z))

    def log_auxiliary(self, edge: FloatArray, nuisance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of a unit normal; where folded, of its absolute value, on which alone the mean depends."""
        below = np.asarray(special.log_ndtr(edge - nuisance))
        above = np.asarray(special.log_ndtr(nuisance - edge))
        if not self.folded.any():
            return below, above
        mirrored = special.log_ndtr(-edge - nuisance)
        with np.errstate(divide="ignore", invalid="ignore"):
            inner = np.where(edge > 0, below + np.log1p(-np.exp(np.minimum(mirrored - below, 0.0))), -np.inf)
        outer = np.where(edge > 0, np.logaddexp(above, mirrored), 0.0)
        return np.where(self.folded, inner, below), np.where(self.folded, outer, above)

    def outcomes(self, nuisances: FloatArray, scale: float) -> tuple[FloatArray, FloatArray] | None:
        """One where the mean does not vary; absolute values where folded, in panels of Gauss-Legendre nodes."""
        if self.sharp[0]:
            return np.zeros(1), np.zeros(1)
        if not self.folded[0]:
            return None
        end = float(np.abs(nuisances).max()) + REACH
        panels = np.ceil(end / np.clip(PANEL * scale / self.width_above[0], SHORTEST, PANEL))
        edges = np.linspace(0.0, end, int(panels) + 1)
        x, w = np.polynomial.legendre.leggauss(NODES)
        half = 0.5 * np.diff(edges)[:, None]
        nodes = edges[:-1, None] + half * (x + 1)
        return nodes.ravel(), np.log(half * w).ravel()

    def log_outcome(self, auxiliary: FloatArray, nuisance: FloatArray) -> FloatArray:
        """Of an absolute value; with a factor that does not matter."""
        return np.logaddexp(-0.5 * (auxiliary - nuisance) ** 2, -0.5 * (auxiliary + nuisance) ** 2)

    def throw(self, random: np.random.Generator, nuisance: FloatArray, size: int) -> FloatArray:
        """Unit normals around z."""
        return np.clip(nuisance + random.standard_normal(size), -LARGEST_NORMAL, LARGEST_NORMAL)


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
    mean = b + centre * wide  # the equation in u = z - centre: w u^2 + (mean + w^2) u = w (n - mean)
    linear = mean + wide * wide
    root = np.sqrt((mean - wide * wide) ** 2 + 4 * n * wide * wide)
    # of the two forms of the root the one without cancellation
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.where(linear >= 0, 2 * wide * (n - mean) / (linear + root), (root - linear) / (2 * wide))
    z = centre + np.where(np.isnan(u), 0.0, u)
    return np.asarray(np.where((n == 0) & (z * wide <= -b), np.minimum(centre, -b / wide), z))
