"""The model ``gamma``: a background that an off-source region measures."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from superbin.stats import exact
from superbin.stats.arguments import FloatArray
from superbin.stats.models.smeared import FARTHEST, mean_uncertainty, refuse_relative
from superbin.stats.poisson import beyond_linear, deviance, log_equal, log_mode_density

__all__ = ["Gamma"]

SMALLEST_SPREAD = 1e-9
"""A relative spread below this changes no p-value in the tenth digit."""

MOST_OUTCOMES = 20_000
"""Off-source counts that are summed over, at most."""

REACH, STEP = 6.5, 0.8
"""Standard deviations of the off-source count that are summed over, and the step where the sum is of a smooth function."""


@dataclass(frozen=True, slots=True)
class Gamma:
    """A background mean that an off-source region of ``tau`` times the exposure measures.

    Its prior is the posterior of a flat one, a Gamma distribution of shape ``off + 1`` and rate ``tau``; the auxiliary measurement is
    the off-source count.

    Attributes
    ----------
    b : FloatArray
        The mean it favours.
    off : FloatArray
        Off-source count before any fit, ``b tau``, real.
    tau : FloatArray
        Exposure relative to the bin's, ``b/sigma^2``; zero where there is no background.
    sharp : array of bool
        Rows whose mean is as good as known.

    Examples
    --------
    >>> model = Gamma.of(np.array([25.0]), np.array([5.0]), np.array([5.0]))
    >>> model.off, model.tau
    (array([25.]), array([1.]))
    """

    b: FloatArray
    off: FloatArray
    tau: FloatArray
    sharp: npt.NDArray[np.bool_]

    name: ClassVar[str] = "gamma"
    text: ClassVar[str] = "on/off problem, Z_Bi"
    auxiliary_range: ClassVar[tuple[float, float]] = (0.0, 1e20)
    whole: ClassVar[bool] = True
    branches: ClassVar[tuple[float, ...]] = (1.0,)

    @classmethod
    def of(cls, b: FloatArray, up: FloatArray, down: FloatArray) -> Self:
        """Rows from checked arrays of one shape.

        Raises
        ------
        InputError
            If ``b = 0`` has an uncertainty.
        """
        refuse_relative(cls.name, b, up, down)
        sigma = mean_uncertainty(up, down)
        sharp = sigma <= SMALLEST_SPREAD * b
        width = np.where(b > 0, np.maximum(sigma, SMALLEST_SPREAD * b), 1.0)
        relative = b / width  # not sigma squared, which underflows first
        return cls(b, np.asarray(relative * relative), np.asarray(relative / width), sharp)

    @classmethod
    def log_slopes(cls, b: float, up: float, down: float) -> tuple[float, float] | None:
        """None."""
        del b, up, down
        return None

    def take(self, index: Any) -> Self:
        """Select rows, or add axes, by indexing."""
        return type(self)(self.b[index], self.off[index], self.tau[index], self.sharp[index])

    # --- the prior ---------------------------------------------------------------------------------------------

    def log_tails(self, n: FloatArray, half: float) -> tuple[FloatArray, FloatArray]:
        """Closed form: the regularised incomplete beta function."""
        log_p, log_q = exact.on_off_tails(n, self.b, self.off, self.tau, self.sharp)
        if not half:
            return log_p, log_q
        above = exact.on_off_tails(n + 1, self.b, self.off, self.tau, self.sharp)
        weights = np.log1p(-half), np.log(half)
        return (
            np.logaddexp(log_p + weights[0], above[0] + weights[1]),
            np.logaddexp(log_q + weights[0], above[1] + weights[1]),
        )

    def draw(self, random: np.random.Generator, size: int) -> FloatArray:
        """Draw `size` means of the only row."""
        if self.sharp[0]:
            return np.full(size, self.b[0])
        return np.asarray(random.standard_gamma(self.off[0] + 1, size) / self.tau[0])

    def centre(self) -> FloatArray:
        """Mode of the logarithm of the mean."""
        some = self.tau > 0
        return np.where(some, (self.off + 1) / np.where(some, self.tau, 1.0), 0.0)

    def mean_beside(self, sign: FloatArray, distance: FloatArray) -> FloatArray:
        """The mean a distance in its logarithm from the mode."""
        with np.errstate(over="ignore"):
            return np.asarray(self.centre() * np.exp(sign * distance))

    def log_density(self, sign: FloatArray, distance: FloatArray) -> FloatArray:
        """Of the logarithm of the mean; its quantile function, which loses digits at large shapes, is not needed."""
        shape = self.off + 1
        mode = log_mode_density(shape.ravel()).reshape(shape.shape)
        with np.errstate(over="ignore"):
            return np.asarray(mode - shape * beyond_linear(sign * distance))

    def reach(self, sign: float, fall: FloatArray) -> FloatArray:
        """Where ``e^u - 1 - u`` has grown to the fall over the shape, or beyond."""
        fall = fall / (self.off + 1)
        third = fall / 3
        out = np.sqrt(2 * fall) if sign > 0 else third + np.sqrt(third * third + 2 * fall)
        return np.minimum(out, FARTHEST)

    @property
    def vanishing(self) -> FloatArray:
        """Zero."""
        return np.zeros(self.b.shape)

    @property
    def log_kept(self) -> FloatArray:
        """Zero."""
        return np.zeros(self.b.shape)

    # --- the auxiliary measurement: an off-source count --------------------------------------------------------

    def nominal(self) -> FloatArray:
        """Off-source count ``b tau``."""
        return self.off

    def mean(self, auxiliary: FloatArray) -> FloatArray:
        """Off-source count over ``tau``."""
        some = self.tau > 0
        return np.asarray(np.where(some, auxiliary / np.where(some, self.tau, 1.0), 0.0))

    def inverse(self, mean: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """Off-source count expected with a background mean."""
        del auxiliary
        return np.asarray(self.tau * mean)

    def cost(self, nuisance: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """Deviance of the off-source count."""
        return deviance(auxiliary, nuisance)

    def cost_slope(self, nuisance: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """``2 ln(auxiliary/nuisance)``."""
        some = (auxiliary > 0) & (nuisance > 0)
        ratio = np.where(some, auxiliary, 1.0) / np.where(some, nuisance, 1.0)
        return np.asarray(2 * np.log(np.maximum(ratio, 1e-300)))

    def span(self, nuisance: FloatArray, sigmas: float) -> tuple[FloatArray, FloatArray]:
        """From zero to where a Poisson count ends."""
        out = sigmas * np.sqrt(nuisance)
        return np.maximum(nuisance - out - sigmas * sigmas, 0.0), nuisance + out + sigmas * sigmas

    def within(self, auxiliary: FloatArray, cost: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Any: the count alone bounds it."""
        del cost
        return np.zeros_like(auxiliary), np.full_like(auxiliary, np.inf)

    def pulled(
        self, auxiliary: FloatArray, rho: FloatArray, sign: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """``mean = off/(tau + rho)``."""
        del sign
        total = self.tau + rho
        some = total > 0
        mean = np.where(some, auxiliary / np.where(some, total, 1.0), 0.0)
        return self.tau * mean, mean, np.where(some, -mean / np.where(some, total, 1.0), 0.0)

    def reaches(
        self, sign: float, auxiliary: FloatArray, nuisance: FloatArray, fitted: np.ndarray
    ) -> np.ndarray:
        """All."""
        del sign, auxiliary, nuisance
        return ~fitted

    def background_only(self, n: FloatArray, auxiliary: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The total count shared in the ratio of the exposures (Li and Ma)."""
        mean = np.where(self.tau > 0, (n + auxiliary) / (1 + self.tau), 0.0)
        expected = self.tau * mean
        return np.asarray(expected), deviance(n, mean) + deviance(auxiliary, expected)

    def log_auxiliary(self, edge: FloatArray, nuisance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of a Poisson count, a whole number."""
        whole = np.floor(edge)
        shape = np.broadcast_shapes(np.shape(whole), np.shape(nuisance))
        count, mean = (np.broadcast_to(a, shape).ravel() for a in (whole + 1.0, nuisance))
        log_above, log_below = np.zeros(count.shape), np.full(count.shape, -np.inf)
        i = np.flatnonzero((count > 0) & (mean > 0) & (count < np.inf))
        if i.size:
            log_above[i], log_below[i] = exact.poisson_tails(count[i], mean[i])
        i = np.flatnonzero((count > 0) & ((mean == 0) | (count == np.inf)))
        log_above[i], log_below[i] = -np.inf, 0.0
        return log_below.reshape(shape), log_above.reshape(shape)

    def outcomes(self, nuisances: FloatArray, scale: float) -> tuple[FloatArray, FloatArray]:
        """Whole counts; where the Poisson distribution is smooth every few of them."""
        if self.sharp[0]:
            return self.off, np.zeros(1)
        least, most = float(nuisances.min()), float(nuisances.max())
        low, high = least - REACH * np.sqrt(least), most + REACH * np.sqrt(most) + 2 * REACH
        step = max(1.0, np.floor(STEP * min(np.sqrt(least), scale * float(self.tau[0]))))
        step = max(step, np.floor((high - low) / MOST_OUTCOMES))
        counts = np.arange(max(np.floor(low), 0.0), high + step, step)
        return counts, np.zeros(counts.size)

    def log_outcome(self, auxiliary: FloatArray, nuisance: FloatArray) -> FloatArray:
        """Of a Poisson count."""
        return log_equal(auxiliary, nuisance)

    def throw(self, random: np.random.Generator, nuisance: FloatArray, size: int) -> FloatArray:
        """Off-source counts."""
        return random.poisson(float(nuisance[0]), size).astype(np.float64)
