"""What an uncertainty model has to answer, so that p-values, limits, fits and toys need not know which one they have."""

from typing import Any, ClassVar, Protocol, Self

import numpy as np

from superbin.stats.arguments import FloatArray

__all__ = ["UncertaintyModel"]


class UncertaintyModel(Protocol):
    """Background means with their uncertainty, one per row.

    The mean is a function of a nuisance, which an auxiliary measurement holds in a fit and which a prior makes vary in a
    prior-predictive average. A nuisance is stated as the auxiliary measurement it makes expect.
    """

    name: ClassVar[str]
    """What users call it."""

    text: ClassVar[str]
    """A line for tables."""

    auxiliary_range: ClassVar[tuple[float, float]]
    """Auxiliary measurements that are possible."""

    whole: ClassVar[bool]
    """Whether the auxiliary measurement is a whole number, so that outcomes can be equal."""

    branches: ClassVar[tuple[float, ...]]
    """Signs of the pieces on which the mean is a smooth function of the nuisance; see `pulled`."""

    @classmethod
    def of(cls, b: FloatArray, up: FloatArray, down: FloatArray) -> Self:
        """Rows from checked arrays of one shape; raises `InputError` outside the domain."""

    @classmethod
    def log_slopes(cls, b: float, up: float, down: float) -> tuple[float, float] | None:
        """``d ln mean/dz`` above and below of a plain background b > 0 with ``0 <= down <= b``, if both sides are log-normal; else None."""

    def take(self, index: Any) -> Self:
        """Select rows, or add axes, by indexing."""

    # --- the prior ---------------------------------------------------------------------------------------------

    @property
    def sharp(self) -> np.ndarray:
        """Rows whose mean does not vary."""

    def log_tails(self, n: FloatArray, half: float) -> tuple[FloatArray, FloatArray]:
        """``ln P(Gamma_n <= mean)`` and ``ln P(Gamma_n > mean)`` at n > 0, weighted by ``1 - half`` and ``half`` with those of n + 1.

        `half` is 0, or 1/2 for n >= 1.
        """

    def draw(self, random: np.random.Generator, size: int) -> FloatArray:
        """Draw `size` means of the only row."""

    def centre(self) -> FloatArray:
        """Mean where the two sides of the prior meet."""

    def mean_beside(self, sign: FloatArray, distance: FloatArray) -> FloatArray:
        """Mean at a distance from there, to be averaged over with `log_density`."""

    def log_density(self, sign: FloatArray, distance: FloatArray) -> FloatArray:
        """Logarithm of the prior's density in the distance, but for `log_kept`."""

    def reach(self, sign: float, fall: FloatArray) -> FloatArray:
        """Distance from which on `log_density` has fallen by `fall`, or at which the prior ends."""

    @property
    def vanishing(self) -> FloatArray:
        """Probability of a mean that is exactly zero beyond the end of the prior."""

    @property
    def log_kept(self) -> FloatArray:
        """Logarithm of the probability that a truncation leaves."""

    # --- the auxiliary measurement -----------------------------------------------------------------------------

    def nominal(self) -> FloatArray:
        """Auxiliary measurement before any fit: the Asimov value."""

    def mean(self, auxiliary: FloatArray) -> FloatArray:
        """Background mean that the auxiliary measurement alone favours."""

    def inverse(self, mean: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """Nuisance at which the background mean is `mean`, on the side of `auxiliary` where there are two; infinite where none."""

    def cost(self, nuisance: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """``-2 ln p(auxiliary | nuisance)`` over that of the best nuisance."""

    def cost_slope(self, nuisance: FloatArray, auxiliary: FloatArray) -> FloatArray:
        """Derivative of `cost` in the auxiliary measurement."""

    def span(self, nuisance: FloatArray, sigmas: float) -> tuple[FloatArray, FloatArray]:
        """Auxiliary measurements a number of standard deviations around a nuisance; from zero on where folded."""

    def within(self, auxiliary: FloatArray, cost: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Nuisances between which `cost` stays below a bound."""

    def pulled(
        self, auxiliary: FloatArray, rho: FloatArray, sign: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Nuisance that minimises ``cost + 2 rho mean`` on one branch, its mean, and ``d mean/d rho``; rho from 0 to 1."""

    def reaches(
        self, sign: float, auxiliary: FloatArray, nuisance: FloatArray, fitted: np.ndarray
    ) -> np.ndarray:
        """Rows whose best `pulled` nuisance may lie on a branch, given those `fitted` on the branches before."""

    def background_only(self, n: FloatArray, auxiliary: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Nuisance of the best fit without signal, and its ``-2 ln L`` over the saturated likelihood: closed form."""

    def log_auxiliary(self, edge: FloatArray, nuisance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``ln P(auxiliary measurement <= edge)`` and ``ln P(> edge)`` around a nuisance."""

    def outcomes(self, nuisances: FloatArray, scale: float) -> tuple[FloatArray, FloatArray] | None:
        """Auxiliary measurements that stand for all, and the logarithms of their weights beside `log_outcome`, of the only row.

        They sum what depends smoothly on the background mean, on a scale in events, around any of the nuisances. None where the auxiliary measurement is a unit
        normal around the nuisance, and needs no such list.
        """

    def log_outcome(self, auxiliary: FloatArray, nuisance: FloatArray) -> FloatArray:
        """Logarithm of the probability, or the density, of one of the `outcomes` around a nuisance."""

    def throw(self, random: np.random.Generator, nuisance: FloatArray, size: int) -> FloatArray:
        """Draw `size` auxiliary measurements around a nuisance, shape (1,)."""
