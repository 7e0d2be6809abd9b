"""One data set, as every engine takes it."""

from dataclasses import dataclass

from superbin._support.arrays import FloatArray

__all__ = ["Data"]


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """What was observed, or would be: real, Asimov or toy.

    Attributes
    ----------
    counts : array, shape (n_bins,)
        Events.
    auxiliary : array, shape (n_parameters,)
        Measured value of each parameter with a normal constraint, auxiliary count of each with a Poisson one; ignored where there is
        no constraint.
    """

    counts: FloatArray
    auxiliary: FloatArray
