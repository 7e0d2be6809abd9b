"""Checks every number that enters `superbin.stats`, once, before any formula sees it.

The rest of the package works on float64 arrays that are finite, not negative, of one shape, ``down <= b``.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from superbin.errors import InputError

__all__ = [
    "FloatArray",
    "FloatOrArray",
    "Index",
    "Numbers",
    "as_count",
    "checked",
    "checked_auxiliary",
    "checked_probability",
    "checked_signal",
    "checked_yields",
    "plain",
]

FloatArray: TypeAlias = npt.NDArray[np.float64]

Index: TypeAlias = npt.NDArray[np.intp]

Numbers: TypeAlias = npt.ArrayLike
"""What callers may pass: a number or anything NumPy takes for an array of numbers."""

FloatOrArray: TypeAlias = Any
"""What callers get back: a Python float when every argument was a scalar, else a float64 array (as a ufunc)."""

LARGEST = 1e15
"""Above this, float64 no longer tells a count from its neighbours."""

SMALLEST = 1e-250
"""Anything below this counts as zero: the ratios inside the formulas would leave the float64 range."""


def _as_array(name: str, value: Numbers) -> FloatArray:
    try:
        raw = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} is a ragged sequence; give one number or a rectangular array") from error
    if raw.dtype == object:
        raise InputError(
            f"{name} holds {value!r:.60}, which is no float64 number; give numbers up to {LARGEST:g}"
        )
    if raw.dtype.kind not in "iuf":
        raise InputError(f"{name} is of type {raw.dtype}; give real numbers")
    return raw.astype(np.float64)


def _first(array: FloatArray, bad: npt.NDArray[np.bool_]) -> str:
    """The first offending value and where it stands."""
    if array.ndim == 0:
        return f"{float(array):g}"
    place = np.unravel_index(int(np.argmax(bad)), array.shape)
    return f"{float(array[place]):g} at index {tuple(int(i) for i in place)}"


def checked(name: str, value: Numbers) -> FloatArray:
    """Return `value` as a float64 array after checking it is finite, not negative and at most 1e15; below 1e-250 it is zero.

    Raises
    ------
    InputError
        With the first offending value and its index.
    """
    array = _as_array(name, value)
    if ((array == 0) | ((array >= SMALLEST) & (array <= LARGEST))).all():
        return array
    for bad, rule in (
        (~np.isfinite(array), "must be finite"),
        (array < 0, "must not be negative"),
        (array > LARGEST, f"must not exceed {LARGEST:g}, where float64 stops counting"),
    ):
        if bad.any():
            raise InputError(f"{name} = {_first(array, bad)} {rule}; correct the input")
    return np.where(array < SMALLEST, 0.0, array)


def _broadcast(named: dict[str, FloatArray]) -> tuple[FloatArray, ...]:
    try:
        return tuple(np.broadcast_arrays(*named.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in named.items())
        raise InputError(f"the shapes do not broadcast: {shapes}; give equal shapes or scalars") from error


def checked_yields(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, name: str = "n"
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Check and broadcast the count and the background with its uncertainty.

    Parameters
    ----------
    n, b, up, down
        Count (real, >= 0), expected background, and its upward and downward uncertainty, in events.
    name
        What the first argument is called in the error message.

    Returns
    -------
    tuple of four float64 arrays of one shape

    Raises
    ------
    InputError
        For NaN, infinite, negative or too large values, ``down > b``, or shapes that do not broadcast.
    """
    named = {
        name: checked(name, n),
        "b": checked("b", b),
        "up": checked("up", up),
        "down": checked("down", down),
    }
    count, background, upward, downward = _broadcast(named)
    bad = downward > background
    if bad.any():
        raise InputError(
            f"down = {_first(downward, bad)} exceeds b = {float(background[bad][0]):g}; "
            "a background cannot fluctuate below zero, so give down <= b"
        )
    return count, background, upward, downward


def checked_probability(name: str, value: Numbers) -> FloatArray:
    """Return `value` as a float64 array after checking it lies strictly between 0 and 1."""
    array = _as_array(name, value)
    bad = ~((array > 0) & (array < 1))
    if bad.any():
        raise InputError(
            f"{name} = {_first(array, bad)} must lie strictly between 0 and 1; correct the input"
        )
    return array


def checked_signal(s: Numbers, shape: tuple[int, ...]) -> FloatArray:
    """Check the signal expectation and broadcast it against `shape`."""
    return _broadcast({"s": checked("s", s), "b": np.zeros(shape)})[0]


def as_count(n: object) -> int:
    """Return `n` as an observed count: an integer between 0 and 1e15.

    Raises
    ------
    InputError
        When `n` is not a whole number in that range.

    Examples
    --------
    >>> as_count(3.0)
    3
    """
    if isinstance(n, bool) or not isinstance(n, int | float | np.integer | np.floating):
        raise InputError(f"n = {n!r:.60} is not an observed count; give a whole number")
    value = float(min(n, 2 * LARGEST))
    if not (0 <= value <= LARGEST and value.is_integer()):
        raise InputError(f"n = {n!r:.60} is not an observed count; give a whole number from 0 to {LARGEST:g}")
    return int(value)


def plain(array: FloatArray) -> FloatOrArray:
    """Return a Python float for a result without dimensions, the array itself otherwise."""
    return float(array) if array.ndim == 0 else array


def checked_auxiliary(
    yields: tuple[FloatArray, ...], auxiliary: Numbers, lowest: float, largest: float
) -> tuple[FloatArray, ...]:
    """Broadcast checked yields with the auxiliary measurement of the background, a number in its range."""
    centre = _as_array("auxiliary", auxiliary)
    bad = ~((centre >= lowest) & (centre <= largest))
    if bad.any():
        raise InputError(
            f"auxiliary = {_first(centre, bad)} must be from {lowest:g} to {largest:g}; correct the input"
        )
    named = dict(zip(("n", "b", "up", "down"), yields, strict=True))
    return _broadcast({**named, "auxiliary": centre})
