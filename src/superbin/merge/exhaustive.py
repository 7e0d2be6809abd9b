"""Every set there is: the oracle the other solvers are tested against, and the solver of small problems."""

from collections.abc import Iterator

import numpy as np

from superbin._support.shown import counted
from superbin.errors import InputError
from superbin.merge.archive import Archive
from superbin.merge.constraints import Rules
from superbin.merge.problem import BoolArray

__all__ = ["LARGEST", "brute_force", "every_set"]

LARGEST = 22
"""Most bins to choose from: four million sets."""

_CHUNK = 1 << 14


def every_set(required: BoolArray, possible: BoolArray) -> Iterator[BoolArray]:
    """All sets that contain the required bins and some of the possible ones, in chunks.

    Raises
    ------
    InputError
        If more than `LARGEST` bins are free.
    """
    free = np.flatnonzero(possible & ~required)
    if free.size > LARGEST:
        raise InputError(
            f"{counted(free.size, 'bin')} have 2^{counted(free.size, 'set')}; brute force takes at most {LARGEST} bins"
        )
    for first in range(0, 1 << free.size, _CHUNK):
        codes = np.arange(first, min(first + _CHUNK, 1 << free.size))
        sets = np.repeat(required[None, :], codes.size, axis=0)
        sets[:, free] = (codes[:, None] >> np.arange(free.size)) & 1
        yield sets


def brute_force(archive: Archive, rules: Rules) -> None:
    """Evaluate every allowed set; the archive's best is then the optimum.

    Raises
    ------
    InputError
        If more than `LARGEST` bins are free.
    """
    for sets in every_set(rules.required, rules.possible):
        archive.evaluate(sets)
