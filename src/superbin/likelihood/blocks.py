"""The Hessian in blocks: eliminate what is local, keep dense what is shared.

Most nuisances act in a handful of channels. `Blocks` joins channels into groups so that most parameters belong to one
group alone (local), and the others (global, mu among them) couple the groups. The Hessian then is block-diagonal in the
local parameters, and one dense Schur complement of the global ones remains. For the 520 cards of CMS-PAS-SUS-16-014:
about 50 groups with up to 60 local parameters each, and 150 global ones; a factorisation is some 10^7 operations, all in
LAPACK. See README.md for the algebra and for what was tried instead.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from superbin._support.arrays import FloatArray
from superbin.likelihood.model import BoolArray, CountingModel, IntArray

__all__ = ["Blocks", "Factor"]

MOST_LOCAL = 60
"""Local parameters a group may reach by joining channels. Measured: 40 to 100 cost the same."""


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """One group of channels.

    `local` and `shared` are positions in x; their columns come in this order. `fill` says where in the dense
    matrix d(exponent)/dx (terms x columns) each entry of the model in `entries` goes.
    """

    terms: IntArray
    channels: IntArray
    starts: IntArray
    term_channel: IntArray
    local: IntArray
    shared: IntArray
    entries: IntArray
    fill: IntArray
    poi: int
    has_signal: bool


@dataclass(frozen=True, slots=True, eq=False)
class _GroupFactor:
    lower: FloatArray
    coupling: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A Cholesky factor of the Hessian by blocks."""

    n_parameters: int
    groups: tuple[_Group, ...]
    factors: tuple[_GroupFactor, ...]
    shared: IntArray
    schur: FloatArray

    def solve(self, right: FloatArray) -> FloatArray:
        """Return H^-1 times `right`, of shape (n_parameters,) or (n_parameters, k)."""
        flat = right.ndim == 1
        rest = right[:, None].copy() if flat else right.copy()
        place = _places(self.n_parameters, self.shared)
        top = rest[self.shared]
        halves = []
        for group, factor in zip(self.groups, self.factors, strict=True):
            half = _triangular(factor.lower, rest[group.local])
            np.subtract.at(top, place[group.shared], factor.coupling.T @ half)
            halves.append(half)
        top = lapack.dpotrs(self.schur, top, lower=1)[0] if self.shared.size else top
        rest[self.shared] = top
        for group, factor, half in zip(self.groups, self.factors, halves, strict=True):
            inner = half - factor.coupling @ top[place[group.shared]]
            rest[group.local] = _triangular(factor.lower, inner, transposed=True)
        return rest[:, 0] if flat else rest


def _triangular(lower: FloatArray, right: FloatArray, *, transposed: bool = False) -> FloatArray:
    if right.size == 0:
        return right
    solution: FloatArray = lapack.dtrtrs(lower, right, lower=1, trans=int(transposed))[0]
    return solution


def _places(n: int, some: IntArray) -> IntArray:
    places = np.full(n, -1, dtype=np.intp)
    places[some] = np.arange(some.size)
    return places


class Blocks:
    """The block structure of one model's Hessian.

    Parameters
    ----------
    model : CountingModel
        Position 0 of the parameters is mu, as in `superbin.likelihood.objective`.
    """

    def __init__(self, model: CountingModel) -> None:
        self.n_parameters = len(model.parameters) + 1
        group, shared = _partition(model)
        self.shared: IntArray = np.flatnonzero(shared)
        self._place = _places(self.n_parameters, self.shared)
        self.groups = tuple(_group(model, np.flatnonzero(group == g), shared) for g in np.unique(group))

    def factor(
        self,
        *,
        entries: FloatArray,
        terms: FloatArray,
        signal: FloatArray,
        weight: FloatArray,
        mixed: FloatArray,
        curvature: FloatArray,
        diagonal: FloatArray,
    ) -> Factor | None:
        """Assemble and factorise.

        Parameters
        ----------
        entries : array, shape (n_entries,)
            Derivative of the exponent for every entry; zero where the parameter is held.
        terms : array, shape (n_terms,)
            Expected events.
        signal : array, shape (n_terms,)
            Derivative of them by mu; zero if mu is held.
        weight, curvature : array, shape (n_channels,)
            First and second derivative of the Poisson term by the channel's expectation.
        mixed : array, shape (n_channels,)
            The weight where mu and a nuisance meet.
        diagonal : array, shape (n_parameters,)
            What comes on top, on the diagonal.

        Returns
        -------
        Factor or None
            None if the matrix is not positive definite.
        """
        schur = np.diag(diagonal[self.shared])
        factors = []
        for group in self.groups:
            hessian = _hessian(group, entries, terms, signal, weight, mixed, curvature)
            n = group.local.size
            hessian[np.arange(n), np.arange(n)] += diagonal[group.local]
            lower, info = lapack.dpotrf(hessian[:n, :n], lower=1, clean=0) if n else (hessian[:0, :0], 0)
            if info != 0 or (n and not np.isfinite(lower[-1, -1])):
                return None
            coupling = _triangular(lower, hessian[:n, n:])
            place = self._place[group.shared]
            schur[place[:, None], place] += hessian[n:, n:] - coupling.T @ coupling
            factors.append(_GroupFactor(lower, coupling))
        if self.shared.size:
            schur, info = lapack.dpotrf(schur, lower=1, clean=0)
            if info != 0 or not np.isfinite(schur[-1, -1]):
                return None
        return Factor(self.n_parameters, self.groups, tuple(factors), self.shared, schur)


def _hessian(
    group: _Group,
    entries: FloatArray,
    terms: FloatArray,
    signal: FloatArray,
    weight: FloatArray,
    mixed: FloatArray,
    curvature: FloatArray,
) -> FloatArray:
    """Dense Hessian of one group's channels in its own columns, without the diagonal additions."""
    columns = group.local.size + group.shared.size
    slopes = np.zeros((group.terms.size, columns))
    slopes.ravel()[group.fill] = entries[group.entries]
    nu, w = terms[group.terms], weight[group.term_channel]
    scaled = slopes * nu[:, None]
    by_channel = np.add.reduceat(scaled, group.starts, axis=0)
    s = signal[group.terms] if group.has_signal else None
    if s is not None:
        by_channel[:, group.poi] = np.add.reduceat(s, group.starts)
    hessian: FloatArray = slopes.T @ (scaled * w[:, None])
    hessian += by_channel.T @ (by_channel * curvature[group.channels, None])
    if s is not None:
        cross = (s * mixed[group.term_channel]) @ slopes
        hessian[group.poi] += cross
        hessian[:, group.poi] += cross
    return hessian


def _group(model: CountingModel, channels: IntArray, shared: BoolArray) -> _Group:
    terms = np.flatnonzero(np.isin(model.term_channel, channels))
    entries = np.flatnonzero(np.isin(model.entry_term, terms))
    has_signal = bool(model.signal[terms].any())
    used = np.unique(model.entry_parameter[entries]) + 1
    if has_signal:
        used = np.concatenate([[0], used])
    local, common = used[~shared[used]], used[shared[used]]
    columns = np.concatenate([local, common])
    place = np.full(len(model.parameters) + 1, -1, dtype=np.intp)
    place[columns] = np.arange(columns.size)
    row = np.searchsorted(terms, model.entry_term[entries])
    fill = row * columns.size + place[model.entry_parameter[entries] + 1]
    of_term = model.term_channel[terms]
    starts = np.flatnonzero(np.concatenate([[True], of_term[1:] != of_term[:-1]]))
    return _Group(
        terms, of_term[starts], starts, of_term, local, common, entries, fill, int(place[0]), has_signal
    )


def _partition(model: CountingModel) -> tuple[IntArray, BoolArray]:
    """Return the group of every channel, and whether each parameter (mu first) is shared between groups.

    Parameters that touch few channels are tried first; each joins the groups it touches unless the result had
    more local parameters than `MOST_LOCAL`.
    """
    if not model.parameters:
        return np.arange(len(model.channels)), np.array([True])
    pairs = np.unique(np.stack([model.entry_parameter, model.term_channel[model.entry_term]]), axis=1)
    touched = np.split(pairs[1], np.flatnonzero(np.diff(pairs[0])) + 1)
    group = np.arange(len(model.channels))
    count = np.zeros(len(model.channels), dtype=np.intp)
    for channels in sorted(touched, key=len):
        joined = np.unique(group[channels])
        total = int(count[joined].sum()) + 1
        if joined.size == 1 or total <= MOST_LOCAL:
            group[np.isin(group, joined)] = joined[0]
            count[joined[0]] = total
    across = [np.unique(group[channels]).size > 1 for channels in touched]
    return group, np.array([True, *across])
