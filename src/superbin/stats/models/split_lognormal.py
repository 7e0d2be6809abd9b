"""The model ``split-lognormal``, the CMS Mini Analysis Tool's: a log-normal width on each side."""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from superbin.stats import smear
from superbin.stats.arguments import FloatArray
from superbin.stats.models.smeared import Smeared

__all__ = ["SplitLognormal"]


@dataclass(frozen=True, slots=True)
class SplitLognormal(Smeared):
    """The mean of `superbin.stats.smear`: log-normal branches, a linear one for large downward uncertainties, folded for b = 0.

    Examples
    --------
    >>> SplitLognormal.of(np.array([25.0]), np.array([5.0]), np.array([5.0])).mean(np.array([-1.0]))
    array([20.])
    """

    name: ClassVar[str] = "split-lognormal"
    text: ClassVar[str] = "a log-normal width on each side"

    @classmethod
    def of(cls, b: FloatArray, up: FloatArray, down: FloatArray) -> Self:
        """Rows from checked arrays of one shape."""
        above, below = smear.log_slopes(b, up, down)
        folded = b == 0
        lower = np.where(folded, up, np.where(smear.is_linear(b, down), down, 0.0))
        return cls(b, above, below, np.where(folded, up, 0.0), lower)

    @classmethod
    def log_slopes(cls, b: float, up: float, down: float) -> tuple[float, float] | None:
        """Of a plain background; None where the lower branch is linear."""
        if down >= smear.LINEAR_FROM * b:
            return None
        return math.log1p(up / b), -math.log1p(-down / b)

    def draw(self, random: np.random.Generator, size: int) -> FloatArray:
        """Draw `size` means of the only row, in few passes."""
        if self.sharp[0] or self.width_above[0] > 0 or self.width_below[0] > 0:
            return Smeared.draw(self, random, size)
        z = random.standard_normal(size)
        above, below = float(self.log_above[0]), float(self.log_below[0])
        # The larger of the two slopes is convex in z, the smaller concave: no need to look at the sign.
        steeper = np.maximum if above >= below else np.minimum
        exponent = np.multiply(z, below)
        z *= above
        steeper(z, exponent, out=z)
        with np.errstate(over="ignore"):
            np.exp(z, out=z)
        z *= self.b
        return z
