"""Local search: flip one bin, or swap one in for one out, while the figure of merit grows.

A set that it ends on cannot be improved by adding, dropping or exchanging a single bin. That is no proof of
optimality.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Protocol

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.merge.archive import TIE
from superbin.merge.problem import BoolArray, IntArray

__all__ = ["Evaluator", "double_swaps", "flips", "improve", "swaps"]


class Evaluator(Protocol):
    """Whatever gives sets of bins a value; an `Archive` does."""

    def evaluate(self, sets: BoolArray) -> FloatArray:
        """Value of every row, -inf where it is not allowed."""


def flips(chosen: BoolArray) -> BoolArray:
    """Every set that differs in one bin; shape (n_bins, n_bins)."""
    return chosen ^ np.eye(chosen.size, dtype=bool)


def swaps(chosen: BoolArray) -> BoolArray:
    """Every set with one bin exchanged; shape (n_in * n_out, n_bins)."""
    inside, outside = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    sets = np.repeat(chosen[None, :], inside.size * outside.size, axis=0)
    rows = np.arange(len(sets))
    sets[rows, np.repeat(inside, outside.size)] = False
    sets[rows, np.tile(outside, inside.size)] = True
    return sets


def double_swaps(chosen: BoolArray, outside: IntArray) -> BoolArray:
    """Every set with two bins exchanged for two of `outside`, positions that are not in it."""
    out = np.array(list(combinations(np.flatnonzero(chosen), 2)), dtype=np.intp).reshape(-1, 2)
    into = np.array(list(combinations(outside, 2)), dtype=np.intp).reshape(-1, 2)
    sets = np.repeat(chosen[None, :], len(out) * len(into), axis=0)
    rows = np.arange(len(sets))[:, None]
    sets[rows, np.repeat(out, len(into), axis=0)] = False
    sets[rows, np.tile(into, (len(out), 1))] = True
    return sets


def improve(
    archive: Evaluator,
    chosen: BoolArray,
    value: float,
    *,
    swap: bool = True,
    flipped: bool = False,
    screen: Callable[[BoolArray, BoolArray], BoolArray] | None = None,
) -> tuple[BoolArray, float]:
    """Climb from a set until no neighbour is better.

    Parameters
    ----------
    archive : Evaluator
        Evaluates every neighbour.
    chosen : ndarray of bool, shape (n_bins,)
    value : float
        Its figure of merit.
    swap : bool
        Whether exchanges are tried when no flip helps.
    flipped : bool
        Whether it is known already that no flip of the start helps.
    screen : callable, optional
        Given the set and its neighbours, which of them are worth evaluating; by default all.

    Returns
    -------
    tuple of ndarray and float
        The set and its figure of merit, never below the start's.
    """
    neighbourhoods = (flips, swaps) if swap else (flips,)
    begin = 1 if flipped else 0
    while True:
        for neighbours in neighbourhoods[begin:]:
            sets = neighbours(chosen)
            if screen is not None:
                sets = sets[screen(chosen, sets)]
            if not len(sets):
                continue
            values = archive.evaluate(sets)
            row = int(np.argmax(values))
            if values[row] > value + TIE * abs(value):
                chosen, value, begin = sets[row], float(values[row]), 0
                break
        else:
            return chosen, value
