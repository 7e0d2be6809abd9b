"""The numbers a merge is chosen by: additive sums over bins, and the variance of a set.

A *set* is a row of booleans over the bins. Sums are always recomputed from the bins, never updated, so no
rounding piles up however long a search runs. With a covariance the variance of a set is ``w' C w``; without
one it is the sum of the bins' variances, the convention of `superbin.domain.aggregate`.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.shown import counted
from superbin.domain.aggregate import BinSums
from superbin.domain.covariance import Covariance
from superbin.domain.sums import Totals, variance_of_sets
from superbin.errors import InputError

__all__ = ["BoolArray", "IntArray", "Problem", "control_weights", "first_rows", "problem_from"]

BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.intp]

_CHUNK = 4096


def first_rows(sets: BoolArray) -> IntArray:
    """Where each distinct row occurs first, ascending."""
    packed = np.ascontiguousarray(np.packbits(sets, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    return np.sort(np.unique(keys, return_index=True)[1])


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Bins to choose from; made and checked by `problem_from`.

    Attributes
    ----------
    signal, background, variance_up, variance_down : ndarray, shape (n_bins,)
        Events and events squared.
    covariance_up, covariance_down : ndarray, shape (n_bins, n_bins), or None
        Their diagonals are the variances.
    conflicts : ndarray of bool, shape (n_bins, n_bins), or None
        Which two bins may not be in one merge, because they overlap; None where there are none.
    """

    signal: FloatArray
    background: FloatArray
    variance_up: FloatArray
    variance_down: FloatArray
    covariance_up: FloatArray | None = None
    covariance_down: FloatArray | None = None
    conflicts: BoolArray | None = None

    def exclusive(self, sets: BoolArray) -> BoolArray:
        """Which rows of sets hold no two bins that overlap."""
        if self.conflicts is None:
            return np.ones(len(sets), dtype=bool)
        w = sets.astype(np.float32)
        clean: BoolArray = np.einsum("ij,ij->i", w @ self.conflicts.astype(np.float32), w) == 0
        return clean

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return int(self.signal.size)

    def for_signal(self, signal: FloatArray) -> "Problem":
        """The same background with another signal, shape (n_bins,), checked against it."""
        _check_certain_zeros(signal, self.background, self.variance_up)
        return replace(self, signal=signal)

    def same_background(self, other: "Problem") -> bool:
        """Whether another problem has the same background and upward uncertainties."""
        if (self.covariance_up is None) != (other.covariance_up is None):
            return False
        mine, theirs = (
            (p.background, p.variance_up) if p.covariance_up is None else (p.background, p.covariance_up)
            for p in (self, other)
        )
        return all(a is b or np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))

    def least_added(self) -> FloatArray:
        """What each bin adds at least to the upward variance of a set, shape (n_bins,): negative correlations lower it."""
        if self.covariance_up is None:
            return self.variance_up
        negative: FloatArray = np.minimum(self.covariance_up, 0.0).sum(axis=1)
        return self.variance_up + negative

    def upward(self) -> "Problem":
        """The same without downward uncertainties, which quick and provable figures of merit do not look at."""
        return replace(self, variance_down=np.zeros(self.n_bins), covariance_down=None)

    def certain(self) -> "Problem":
        """The same without uncertainties, for what looks at events alone."""
        nothing = np.zeros(self.n_bins)
        return Problem(self.signal, self.background, nothing, nothing, conflicts=self.conflicts)

    def totals(self, sets: BoolArray) -> Totals:
        """Sums over every row of `sets`, from scratch.

        Parameters
        ----------
        sets : ndarray of bool, shape (n_sets, n_bins)
        """
        parts = [self._totals(sets[i : i + _CHUNK]) for i in range(0, max(len(sets), 1), _CHUNK)]
        return Totals.of(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _totals(self, sets: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        used = np.flatnonzero(sets.any(axis=0))
        if 2 * used.size > self.n_bins:
            used = np.arange(self.n_bins)
        w = sets[:, used].astype(np.float64)
        signal, background, up, down = (
            part[used] for part in (self.signal, self.background, self.variance_up, self.variance_down)
        )
        return (
            w @ signal,
            w @ background,
            variance_of_sets(w, up, _block(self.covariance_up, used)),
            variance_of_sets(w, down, _block(self.covariance_down, used)),
        )


def _block(covariance: FloatArray | None, bins: IntArray) -> FloatArray | None:
    """The covariance of some of the bins."""
    if covariance is None or bins.size == len(covariance):
        return covariance
    return covariance[np.ix_(bins, bins)]


def control_weights(background: FloatArray, variance: FloatArray) -> FloatArray:
    """Events for one event of a control count: w of ``b = w N`` and ``u^2 = w^2 (N + 1)``.

    Parameters
    ----------
    background, variance : ndarray
        Estimates, and their upward variances.
    """
    # The root of w^2 + w b = u^2 without cancellation.
    total = background + np.sqrt(background**2 + 4 * variance)
    return 2 * variance / np.where(total > 0, total, 1.0)


def problem_from(sums: BinSums, covariance: Covariance | ArrayLike | None = None) -> Problem:
    """Check the numbers of a merge.

    Parameters
    ----------
    sums : BinSums
        Signal, background and variances of the bins.
    covariance : Covariance or array_like, shape (n_bins, n_bins), optional
        Covariance of the background, events squared; positive semidefinite. It replaces the variances. A plain
        matrix is that of the upward uncertainties; the downward ones then keep their sizes and take its
        correlations.

    Raises
    ------
    InputError
        If a number is negative, NaN or infinite, the signal is zero everywhere, a bin with signal expects
        no background with no uncertainty, or the covariance has another shape, is not symmetric or not
        positive semidefinite.
    """
    shape = (np.size(sums.signal),)
    arrays = {
        name: frozen_array(getattr(sums, name), name=name, shape=shape)
        for name in ("signal", "background", "variance_up", "variance_down")
    }
    if not arrays["signal"].any():
        raise InputError(
            "the signal is zero in every bin, so every merge has Z = 0; give a signal to optimise for"
        )
    if covariance is None:
        problem = Problem(
            arrays["signal"], arrays["background"], arrays["variance_up"], arrays["variance_down"]
        )
    else:
        both = covariance if isinstance(covariance, Covariance) else Covariance.of(covariance)
        up, down = both.up, both.down
        if len(up) != shape[0]:
            raise InputError(
                f"the covariance is of {counted(len(up), 'bin')}; {shape[0]} are needed, one row per bin"
            )
        if both is not covariance:
            down = _rescaled(up, arrays["variance_down"])
        arrays |= {"variance_up": np.diag(up).copy(), "variance_down": np.diag(down).copy()}
        signal, background, *variances = arrays.values()
        problem = Problem(signal, background, variances[0], variances[1], up, down)
    _check_certain_zeros(problem.signal, problem.background, problem.variance_up)
    if sums.combinable is None or sums.combinable.all():
        return problem
    return replace(problem, conflicts=~sums.combinable)


def _check_certain_zeros(signal: FloatArray, background: FloatArray, variance: FloatArray) -> None:
    empty = (signal > 0) & (background == 0) & (variance == 0)
    if empty.any():
        raise InputError(
            f"bin {int(np.argmax(empty)) + 1} expects signal but no background with no uncertainty, so one event "
            "would prove it; give the background an upward uncertainty (1.84 events for zero control counts)"
        )


def _rescaled(up: FloatArray, variance_down: FloatArray) -> FloatArray:
    """The correlations of `up` with the sizes of the downward uncertainties."""
    sigma_up = np.sqrt(np.diag(up))
    ratio = np.where(sigma_up > 0, np.sqrt(variance_down) / np.where(sigma_up > 0, sigma_up, 1.0), 0.0)
    down: FloatArray = up * np.outer(ratio, ratio)
    return down
