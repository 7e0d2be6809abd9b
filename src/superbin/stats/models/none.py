"""The model ``none``: a background that is known exactly."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from superbin.stats.arguments import FloatArray
from superbin.stats.models.smeared import Smeared

__all__ = ["Exact"]


@dataclass(frozen=True, slots=True)
class Exact(Smeared):
    """A mean of ``b``; the uncertainties are not used.

    Examples
    --------
    >>> Exact.of(np.array([3.0]), np.array([1.0]), np.array([1.0])).mean(np.array([2.0]))
    array([3.])
    """

    name: ClassVar[str] = "none"
    text: ClassVar[str] = "no uncertainty: plain Poisson"

    @classmethod
    def of(cls, b: FloatArray, up: FloatArray, down: FloatArray) -> Self:
        """Rows from checked arrays of one shape."""
        del up, down
        zero = np.zeros(b.shape)
        return cls(b, zero, zero, zero, zero)
