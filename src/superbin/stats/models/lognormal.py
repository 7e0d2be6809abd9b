"""The model ``lognormal``: one log-normal width."""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from superbin.stats.arguments import FloatArray
from superbin.stats.models.smeared import Smeared, mean_uncertainty, refuse_relative

__all__ = ["Lognormal"]


@dataclass(frozen=True, slots=True)
class Lognormal(Smeared):
    """A mean of ``b (1 + sigma/b)^z`` with ``sigma = (up + down)/2``.

    Examples
    --------
    >>> Lognormal.of(np.array([25.0]), np.array([6.0]), np.array([4.0])).mean(np.array([1.0]))
    array([30.])
    """

    name: ClassVar[str] = "lognormal"
    text: ClassVar[str] = "one log-normal width"

    @classmethod
    def of(cls, b: FloatArray, up: FloatArray, down: FloatArray) -> Self:
        """Rows from checked arrays of one shape.

        Raises
        ------
        InputError
            If ``b = 0`` has an uncertainty.
        """
        refuse_relative(cls.name, b, up, down)
        sigma, zero = mean_uncertainty(up, down), np.zeros(b.shape)
        slope = np.log1p(np.where(sigma > 0, sigma, 0.0) / np.where(sigma > 0, b, 1.0))
        return cls(b, slope, slope, zero, zero)

    @classmethod
    def log_slopes(cls, b: float, up: float, down: float) -> tuple[float, float] | None:
        """Of a plain background."""
        slope = math.log1p(0.5 * (up + down) / b)
        return slope, slope
