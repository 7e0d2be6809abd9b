"""Histograms in ROOT files, through uproot: one door, one type.

A search's bins are a list, so what is read is the content of a one-dimensional histogram without its under-
and overflow; entry i belongs to the search's bin i + 1.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from superbin._arrays import FloatArray, frozen_array
from superbin.errors import DocumentError, InputError, UnknownNameError

__all__ = ["Histogram", "read_histogram"]

# What uproot lets through from a damaged file, beside its own DeserializationError (a ValueError's cousin).
_DAMAGE = (
    OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError, NotImplementedError, OverflowError,
    EOFError, MemoryError, RecursionError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """A one-dimensional histogram without under- and overflow.

    Parameters
    ----------
    name : str
        Its name in the file.
    values : ndarray, shape (n_bins,)
        Contents; may be negative (Monte Carlo weights).
    errors : ndarray, shape (n_bins,)
        Standard errors: from the sum of squared weights if the file has it, else the square root of the content's
        magnitude, as ROOT itself has them.
    """

    name: str
    values: FloatArray
    errors: FloatArray


def read_histogram(path: str | Path, name: str | None = None) -> Histogram:
    """Read a one-dimensional histogram from a ROOT file.

    Parameters
    ----------
    path : path
        The ROOT file.
    name : str, optional
        The histogram's name, with its folder, and with its cycle if an older one is meant (``"yields;1"``); by default
        the only one-dimensional histogram of the file.

    Raises
    ------
    InputError
        If there is no such file, or it holds several histograms and `name` does not say which.
    UnknownNameError
        If it holds no histogram of this name.
    DocumentError
        If it is not a readable ROOT file, or an entry is NaN or infinite.
    """
    import uproot

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; name an existing ROOT file")
    try:
        # The mapping keeps uproot from reading a colon in the path as the start of an object's name.
        with uproot.open({str(path): None}) as file:
            cycles = [key for key, kind in file.classnames(recursive=True).items() if _is_read(kind)]
            chosen = _choose(path, cycles, name)
            values, errors = _contents(file[chosen])
    except (*_DAMAGE, uproot.DeserializationError) as error:
        if isinstance(error, InputError | UnknownNameError):
            raise
        reason = str(error).strip().split("\n")[0][:120] or type(error).__name__
        raise DocumentError(f"{path}: not a readable ROOT file ({reason}); is it truncated?") from error
    try:
        return Histogram(
            chosen,
            frozen_array(values, name=f"{path}: histogram {chosen!r}", low=-np.inf),
            frozen_array(errors, name=f"{path}: error of histogram {chosen!r}"),
        )
    except InputError as error:
        raise DocumentError(str(error)) from error


def _is_read(kind: str) -> bool:
    return kind.startswith("TH1") or kind == "TProfile"


def _contents(histogram: Any) -> tuple[FloatArray, FloatArray]:
    values = np.asarray(histogram.values(), dtype=float)
    if histogram.classname == "TProfile":
        return values, np.asarray(histogram.errors(), dtype=float)
    squares = np.asarray(histogram.member("fSumw2"), dtype=float)
    if not squares.size:
        # uproot takes a negative content for no event at all.
        return values, np.sqrt(np.abs(values))
    # The first and the last are under- and overflow. A negative sum of squares becomes NaN, which is refused.
    squares = squares[1:-1]
    return values, np.sqrt(np.where(squares < 0, np.nan, squares))


def _choose(path: Path, cycles: list[str], name: str | None) -> str:
    if name in cycles:
        return str(name)
    names = sorted({cycle.rpartition(";")[0] for cycle in cycles})
    if name is None:
        if len(names) != 1:
            found = ", ".join(names[:10]) or "none"
            raise InputError(
                f"{path}: {len(names)} one-dimensional histograms ({found}); name the one to read"
            )
        return names[0]
    if name not in names:
        raise UnknownNameError(
            f"{path}: no one-dimensional histogram {name!r}; there are: {', '.join(names[:10]) or 'none'}"
        )
    return name
