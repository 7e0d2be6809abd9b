"""Covariance of the background predictions of a search's bins: checked once, then trusted.

`Covariance` has one matrix for each side of the uncertainties; a published symmetric covariance is the same one twice.
"""

import contextlib
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.shown import Shown, counted
from superbin.errors import InputError

__all__ = ["Covariance"]

_ROUNDING = 1e-6
"""Relative size below which an asymmetry, or a correlation above one, is rounding of printed digits; it is averaged away."""
_NEGATIVE = 1e-9
"""Negative eigenvalues of a correlation matrix below this, per bin, are rounding of arithmetic. Those of printed digits are larger and
refused: certificates of merges need a matrix by which no sum has a negative variance."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Covariance(Shown):
    """Covariance of the background predictions of the bins, one for each side of their uncertainties.

    Attributes
    ----------
    up, down : array_like, shape (n_bins, n_bins)
        Events squared; symmetric and positive semidefinite.
    source : str
        What it comes from, such as ``"likelihood"``.

    Raises
    ------
    InputError
        If a matrix is not square, has a NaN or an infinity, is not symmetric or not positive semidefinite, or the two
        differ in size; the text names the entry. `Covariance.repaired` makes the nearest one that is.

    Examples
    --------
    >>> Covariance.of([[4.0, 1.0], [1.0, 9.0]]).up[0, 1]
    np.float64(1.0)
    """

    up: FloatArray
    down: FloatArray
    source: str

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {"": f"{counted(len(self.up), 'bin')}"}
        if self.up is not self.down:
            facts["with"] = "upward and downward sides"
        return self.source, facts

    def __post_init__(self) -> None:
        size = np.shape(self.up)[:1] * 2
        same = self.down is self.up
        for name in ("up",) if same else ("up", "down"):
            matrix = frozen_array(getattr(self, name), name=f"covariance {name}", shape=size, low=-np.inf)
            _check_covariance(matrix, name)
            symmetric = (matrix + matrix.T) / 2
            symmetric.flags.writeable = False
            object.__setattr__(self, name, symmetric)
        if same:
            object.__setattr__(self, "down", self.up)

    @classmethod
    def of(cls, matrix: ArrayLike, *, source: str = "covariance") -> "Covariance":
        """The same matrix for both sides: what a published symmetric covariance means.

        Raises
        ------
        InputError
            As for `Covariance`.
        """
        array = frozen_array(matrix, name="covariance", low=-np.inf)
        return cls(array, array, source)

    @classmethod
    def given(cls, value: "Covariance | ArrayLike | None") -> "Covariance | None":
        """What a caller gave: a `Covariance`, None, or a matrix for both sides."""
        return value if value is None or isinstance(value, Covariance) else cls.of(value)

    @property
    def symmetric(self) -> FloatArray:
        """The mean of the upward and the downward matrix, for formats and models that have one."""
        return (self.up + self.down) / 2

    @property
    def digest(self) -> str:
        """SHA-256 of both matrices and the source."""
        total = hashlib.sha256(self.source.encode())
        for matrix in (self.up, self.down):
            total.update(matrix.astype("<f8").tobytes())
        return total.hexdigest()

    @classmethod
    def of_correlations(
        cls,
        correlations: ArrayLike,
        up: ArrayLike,
        down: ArrayLike | None = None,
        *,
        source: str = "correlations",
    ) -> "Covariance":
        """From a correlation matrix and the uncertainties of the bins.

        Parameters
        ----------
        correlations : array_like, shape (n_bins, n_bins)
            Between -1 and 1, with ones on the diagonal.
        up, down : array_like, shape (n_bins,)
            Standard deviations, events; `down` is by default `up`.
        source : str
            Its name in results.

        Raises
        ------
        InputError
            If an entry lies outside [-1, 1], the diagonal is not one, or as for `Covariance`.
        """
        matrix = np.asarray(correlations, dtype=np.float64)
        if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]:
            outside = np.argwhere(np.abs(matrix) > 1 + _ROUNDING)
            if outside.size:
                i, j = (int(k) for k in outside[0])
                raise InputError(
                    f"the correlation of bins {i + 1} and {j + 1} is {matrix[i, j]:g}; it must be in [-1, 1]"
                )
            uneven = np.flatnonzero(np.abs(np.diag(matrix) - 1) > _ROUNDING)
            if uneven.size:
                i = int(uneven[0])
                raise InputError(
                    f"the correlation of bin {i + 1} with itself is {matrix[i, i]:g}; it must be 1"
                )
        above = np.asarray(up, dtype=np.float64)
        upper = matrix * np.outer(above, above)
        if down is None:
            return cls.of(upper, source=source)
        below = np.asarray(down, dtype=np.float64)
        return cls(upper, matrix * np.outer(below, below), source)

    @classmethod
    def repaired(cls, matrix: ArrayLike, *, source: str = "covariance") -> "tuple[Covariance, float]":
        """The nearest symmetric positive semidefinite matrix, and how far it had to move.

        Parameters
        ----------
        matrix : array_like, shape (n_bins, n_bins)
            Events squared, finite.
        source : str
            Its name in results.

        Returns
        -------
        covariance : Covariance
            The symmetric part with its negative eigenvalues set to zero: the nearest such matrix in the Frobenius norm
            (N. J. Higham, Linear Algebra Appl. 103 (1988) 103).
        moved : float
            The largest change of an entry, relative to the root of the product of the two variances (to the largest
            variance where one of them is zero).
        """
        given = frozen_array(matrix, name="covariance", low=-np.inf)
        if given.ndim != 2 or given.shape[0] != given.shape[1]:
            raise InputError(f"the covariance has shape {given.shape}; a square matrix is needed")
        values, vectors = np.linalg.eigh((given + given.T) / 2)
        nearest = (vectors * np.maximum(values, 0.0)) @ vectors.T
        nearest = (nearest + nearest.T) / 2
        spread = np.sqrt(np.maximum(np.diag(given), 0.0))
        scale = np.outer(spread, spread)
        scale = np.where(scale > 0, scale, max(float(spread.max(initial=0.0)) ** 2, np.finfo(float).tiny))
        return cls.of(nearest, source=source), float(np.max(np.abs(nearest - given) / scale, initial=0.0))


def _check_covariance(matrix: FloatArray, name: str) -> None:
    """Refuse a matrix that is no covariance; the text names the entry that breaks the rule most."""
    cure = "correct the entry, or take the nearest covariance on request (Covariance.repaired)"
    spread = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    if (np.diag(matrix) < 0).any():
        i = int(np.argmin(np.diag(matrix)))
        raise InputError(
            f"the covariance {name} has the variance {matrix[i, i]:g} in bin {i + 1}; it must be >= 0"
        )
    top = float(np.abs(matrix).max(initial=0.0))
    gap = np.abs(matrix - matrix.T)
    if (gap > _ROUNDING * np.maximum(np.outer(spread, spread), _ROUNDING * top)).any():
        i, j = (int(k) for k in np.unravel_index(np.argmax(gap), gap.shape))
        raise InputError(
            f"the covariance {name} is not symmetric: {matrix[i, j]:g} for bins {i + 1} and {j + 1}, {matrix[j, i]:g} for "
            f"{j + 1} and {i + 1}; {cure}"
        )
    excess = np.abs(matrix) - np.outer(spread, spread)
    if (excess > _ROUNDING * max(top, np.finfo(float).tiny)).any():
        i, j = (int(k) for k in np.unravel_index(np.argmax(excess), excess.shape))
        raise InputError(
            f"the covariance {name} of bins {i + 1} and {j + 1} is {matrix[i, j]:g}, more than the product of their standard "
            f"deviations, {spread[i] * spread[j]:g}; {cure}"
        )
    live = np.flatnonzero(spread > 0)
    if live.size == 0:
        return
    scaled = matrix[np.ix_(live, live)] / np.outer(spread[live], spread[live])
    scaled = (scaled + scaled.T) / 2
    with contextlib.suppress(np.linalg.LinAlgError):
        # Ten times faster than eigenvalues, which only a matrix at the edge or beyond it needs.
        np.linalg.cholesky(scaled + _NEGATIVE * live.size * np.eye(live.size))
        return
    values, vectors = np.linalg.eigh(scaled)
    if values[0] < -_NEGATIVE * live.size:
        worst = live[np.argsort(-np.abs(vectors[:, 0]))[:2]] + 1
        raise InputError(
            f"the covariance {name} is not positive semidefinite: its correlation matrix has the eigenvalue {values[0]:.3g}, "
            f"mostly from bins {', '.join(map(str, sorted(worst.tolist())))}; {cure}"
        )
