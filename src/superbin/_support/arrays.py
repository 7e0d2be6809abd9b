"""Frozen, checked arrays for the domain types: every number a user brings in passes through here once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superbin.errors import InputError

__all__ = ["FloatArray", "frozen_array"]

FloatArray = NDArray[np.float64]


def frozen_array(
    values: ArrayLike,
    *,
    name: str,
    shape: Sequence[int] | None = None,
    low: float = 0.0,
    finite: bool = True,
    labels: Sequence[object] | None = None,
) -> FloatArray:
    """Return a read-only float64 copy of `values` after checking every entry.

    Parameters
    ----------
    values : array_like
        Numbers of any real type.
    name : str
        What the numbers are, for the error text.
    shape : sequence of int, optional
        The shape they must have.
    low : float
        The smallest value allowed.
    finite : bool
        Whether infinities are refused; NaN always is.
    labels : sequence, optional
        What to call the entries of the first axis in an error text (bin numbers); by default their position
        counted from 1.

    Raises
    ------
    InputError
        If the values are not numbers, have another shape, or one is NaN, infinite or below `low`.
    """
    try:
        # Adding zero turns a negative zero, which means nothing here, into a plain one.
        array = np.array(values) if np.iscomplexobj(values) else np.array(values, dtype=np.float64) + 0.0
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers: {error}") from error
    if array.dtype.kind == "c":
        raise InputError(f"{name} must be real numbers; they are complex")
    if shape is not None and array.shape != tuple(shape):
        raise InputError(f"{name} has shape {array.shape}; {tuple(shape)} is needed, one entry per bin")
    bad = np.isnan(array) | (array < low)
    if finite:
        bad |= np.isinf(array)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = ""
        bound = "" if np.isneginf(low) else f" >= {low:g}"
        if place:
            where = f" in bin {labels[place[0]] if labels is not None else place[0] + 1}"
        raise InputError(
            f"{name}{where} is {array[place]:g}; it must be a {'finite ' if finite else ''}number{bound}"
        )
    array.flags.writeable = False
    return array
