"""The model ``gaussian``: a normal distribution with a width on each side, truncated at zero."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from superbin.stats.arguments import FloatArray
from superbin.stats.models.smeared import Smeared

__all__ = ["Gaussian"]


@dataclass(frozen=True, slots=True)
class Gaussian(Smeared):
    """A mean of ``b + z up`` for z > 0 and ``b + z down`` for z < 0, never negative; ``|z| up`` for ``b = 0``.

    Its prior is truncated where the mean reaches zero; in a fit the mean stays zero beyond.

    Examples
    --------
    >>> Gaussian.of(np.array([25.0]), np.array([6.0]), np.array([4.0])).mean(np.array([-1.0]))
    array([21.])
    """

    name: ClassVar[str] = "gaussian"
    text: ClassVar[str] = "normal, truncated at zero"
    truncated: ClassVar[bool] = True

    @classmethod
    def of(cls, b: FloatArray, up: FloatArray, down: FloatArray) -> Self:
        """Rows from checked arrays of one shape."""
        zero = np.zeros(b.shape)
        return cls(b, zero, zero, up, np.where(b > 0, down, up))
