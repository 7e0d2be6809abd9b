"""Where pseudo-experiments come from: counts of all bins under background alone, correlated.

* `FittedBackground`: the published likelihood, as its control regions determine it.
* `SplitLognormal`: a search without one; each bin's split log-normal, correlated by a covariance where there is one.

Both are an `Ensemble`: `draw` takes a random stream and gives whole counts for a few hundred pseudo-experiments at a time.
What is exact in them and what approximate stands in ``specs/chance.md``.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.aggregate import bin_sums
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.likelihood import Fitter, PublishedLikelihood
from superbin.likelihood.interpolation import Exponents
from superbin.likelihood.model import CountingModel, ZeroCount
from superbin.stats.smear import mean as smeared

__all__ = ["Ensemble", "FittedBackground", "SplitLognormal", "fitted_background", "split_lognormal"]

CountArray = NDArray[np.int64]
IntArray = NDArray[np.intp]
SingleArray = NDArray[np.float32]

_THIN = 1e-4
"""Smaller entries of the root of a covariance of unit size are left out."""

_MOST = 2.0**30
"""Counts of all bins together stay below this; only the far tail of a huge uncertainty could exceed it."""


class Ensemble(Protocol):
    """Something that draws pseudo-experiments."""

    @property
    def words(self) -> str:
        """What is drawn, in words."""
        ...

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        ...

    def draw(self, random: np.random.Generator, size: int) -> CountArray:
        """Draw counts, shape (n_bins, size)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SplitLognormal:
    """Bins whose means follow the split log-normal of `superbin.stats.smear`.

    Attributes
    ----------
    b, up, down : array, shape (n_bins,)
        Expected background with its uncertainty, in events.
    root : array, shape (n_bins, n_bins), or None
        Times its transpose, the correlation of the bins' normal variables; None for independent ones.
    """

    b: FloatArray
    up: FloatArray
    down: FloatArray
    root: FloatArray | None

    @property
    def words(self) -> str:
        """What is drawn, in words."""
        how = "independent between bins" if self.root is None else "correlated by the covariance of the bins"
        return f"Poisson counts around split log-normal means, {how}"

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return self.b.size

    def means(self, random: np.random.Generator, size: int) -> FloatArray:
        """Draw background means, shape (n_bins, size)."""
        z = random.standard_normal((self.b.size, size))
        if self.root is not None:
            z = self.root @ z
        return smeared(z, self.b[:, None], self.up[:, None], self.down[:, None])

    def draw(self, random: np.random.Generator, size: int) -> CountArray:
        """Draw counts, shape (n_bins, size)."""
        return _counts(random, self.means(random, size))


def split_lognormal(search: Search, covariance: Covariance | None) -> SplitLognormal:
    """Take every bin's background as published, or as a covariance has it.

    Parameters
    ----------
    search : Search
    covariance : Covariance or None
        Gives uncertainties and correlations; their mean over both sides, since a split log-normal has one
        normal variable for both.

    Raises
    ------
    InputError
        If the covariance is of another number of bins.
    """
    nothing = np.zeros(search.n_bins)
    bins = bin_sums(search, SignalModel("none", {}, search.name, nothing, nothing))
    if covariance is None:
        up, down = np.sqrt(bins.variance_up), np.sqrt(bins.variance_down)
        return SplitLognormal(bins.background, up, np.minimum(down, bins.background), None)
    if len(covariance.up) != search.n_bins:
        raise InputError(
            f"the covariance is of {counted(len(covariance.up), 'bin')}; search {search.name!r} has {search.n_bins}"
        )
    up, down = (np.sqrt(np.maximum(np.diag(m), 0.0)) for m in (covariance.up, covariance.down))
    correlation = 0.5 * (_scaled(covariance.up, up) + _scaled(covariance.down, down))
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    # What rounding or averaging made negative was set to zero; the variances stay one.
    root /= np.sqrt((root**2).sum(axis=1))[:, None]
    return SplitLognormal(bins.background, up, np.minimum(down, bins.background), root)


def _scaled(matrix: FloatArray, errors: FloatArray) -> FloatArray:
    safe = np.where(errors > 0, errors, 1.0)
    return np.asarray(matrix / safe[:, None] / safe)


@dataclass(frozen=True, slots=True, eq=False)
class FittedBackground:
    """A published likelihood's background as its control regions determine it, compiled for drawing.

    Attributes
    ----------
    n_bins : int
    centre : array, shape (n_measured, 1)
        Nuisances that act on control regions, at the fit of these.
    root : sparse array, shape (n_measured, n_measured)
        Cholesky factor of their covariance from that fit.
    bent : slice
        Normal variables whose effect is not log-linear.
    exponents : sparse array, shape (n_terms, n_normal + n_bent)
        Exponents of the terms by the normal variables, the measured ones first, and by `_bend` of the bent ones.
    rates : array, shape (n_terms, 1)
        Nominal events: in control regions a free rate's own, then all others there, then the bins'.
    own, other : sparse array, shape (n_free, n_own or n_other)
        Sums over the terms of each free rate's control region.
    free : array of int, shape (n_inside,)
        The free rate that scales each term of the bins; `n_free` for none.
    bins : sparse array, shape (n_bins, n_inside)
        Sums over the terms of the bins.
    counts : array, shape (n_free, 1)
        Observed in the control regions, at least one each.
    """

    n_bins: int
    centre: SingleArray
    root: "sparse.csr_array"
    bent: slice
    exponents: "sparse.csr_array"
    rates: SingleArray
    own: "sparse.csr_array"
    other: "sparse.csr_array"
    free: IntArray
    bins: "sparse.csr_array"
    counts: SingleArray

    @property
    def words(self) -> str:
        """What is drawn, in words."""
        return (
            "Poisson counts around the background of the published likelihood as fitted to the control regions alone: "
            "nuisances from the Gaussian of that fit, control counts from a Gamma of their mean and variance"
        )

    def means(self, random: np.random.Generator, size: int) -> SingleArray:
        """Draw background means, shape (n_bins, size)."""
        normal, measured = self.exponents.shape[1] - (self.bent.stop - self.bent.start), len(self.centre)
        theta = np.empty((self.exponents.shape[1], size), np.float32)
        _fill_normal(random, theta[:normal])
        theta[:measured] = self.root @ theta[:measured]
        theta[:measured] += self.centre
        _bend(theta[self.bent], theta[normal:])
        terms = self.exponents @ theta
        np.exp(terms, out=terms)
        terms *= self.rates
        first, second = self.own.shape[1], self.own.shape[1] + self.other.shape[1]
        phi = np.ones((self.counts.size + 1, size), np.float32)
        # What the control count leaves for its free rate is no less than nothing.
        shape = np.broadcast_to(self.counts, (self.counts.size, size))
        phi[:-1] = random.standard_gamma(shape, dtype=np.float32)
        phi[:-1] -= self.other @ terms[first:second]
        phi[:-1] /= self.own @ terms[:first]
        np.maximum(phi, 0, out=phi)
        return np.asarray(self.bins @ (terms[second:] * phi[self.free]))

    def draw(self, random: np.random.Generator, size: int) -> CountArray:
        """Draw counts, shape (n_bins, size)."""
        return _counts(random, self.means(random, size))


def fitted_background(
    likelihood: PublishedLikelihood, *, zero_count: ZeroCount = "dropped"
) -> FittedBackground:
    """Fit the control regions and compile the model for drawing.

    Parameters
    ----------
    likelihood : PublishedLikelihood
    zero_count : {"dropped", "profiled"}
        Whether terms that stand for control regions without events are left out. Drawn, they are zero in any
        case, as is everything whose control region counts none.

    Raises
    ------
    InputError
        If the fit does not converge, or a free rate has no control region of its own.
    """
    model = likelihood.background(zero_count=zero_count)
    control = model.restricted(np.flatnonzero(model.bins < 0))
    fitter = Fitter(control)
    fit = fitter.fit(mu=0.0)
    if not fit.ok:
        raise InputError(
            f"the fit to the control regions of {likelihood.name!r} is {fit.status}: {fit.reason}; "
            "pseudo-experiments need it, use correlations 'none'"
        )
    effects = _Effects.of(model)
    normal = np.flatnonzero(control.kinds == "normal")
    position = np.array([model.position(control.parameters[j].name) for j in normal], dtype=np.intp)
    # Those with a bent effect come last, next to the others of that kind.
    order = np.argsort(effects.bent[position], kind="stable")
    normal, position = normal[order], position[order]
    unit = np.zeros((fit.x.size, normal.size))
    unit[1 + normal, np.arange(normal.size)] = 1.0
    covariance = fitter.hessian(fit).solve(unit)[1 + normal]
    root = np.asarray(np.linalg.cholesky(0.5 * (covariance + covariance.T)), dtype=np.float64)
    measured = _Measured(position, fit.x[1 + normal], root)
    return _compiled(model, likelihood.n_bins, likelihood.background_floor, effects, measured)


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Nuisances that the control regions have a say in: their position in the model, fit, and covariance's root."""

    position: IntArray
    centre: FloatArray
    root: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Effects:
    """Effects of a model's nuisances: which acts on which term, the coefficients, and whose are not log-linear."""

    term: IntArray
    parameter: IntArray
    odd: FloatArray
    even: FloatArray
    bent: NDArray[np.bool_]

    @classmethod
    def of(cls, model: CountingModel) -> "_Effects":
        free = model.kinds == "free"
        made = Exponents.make(model.entry_parameter, free, model.log_down, model.log_up, model.interpolation)
        i = np.flatnonzero(~free[model.entry_parameter])
        parameter, even = model.entry_parameter[i], made.even[i]
        bent = np.bincount(parameter[even != 0], minlength=free.size) > 0
        return cls(model.entry_term[i], parameter, made.odd[i], even, bent)


def _compiled(
    model: CountingModel, n_bins: int, floor: float, effects: _Effects, measured: _Measured
) -> FittedBackground:
    scaled_by, control = _control_regions(model)
    # A rate this small is written so that a logarithm exists; as a prediction it is zero. So is what hangs on
    # a control region without events.
    empty = np.append(model.observed[control] == 0, False)
    used = (model.rates > floor) & ~empty[scaled_by]
    kept = np.flatnonzero(~empty[:-1])
    place = np.full(control.size + 1, -1, dtype=np.intp)
    place[kept] = np.arange(kept.size)
    owner = np.full(len(model.channels), -2, dtype=np.intp)
    owner[control[kept]] = np.arange(kept.size)
    region, by, inside = owner[model.term_channel], place[scaled_by], model.term_bin >= 0
    own = np.flatnonzero(used & (region >= 0) & (by == region))
    other = np.flatnonzero(used & (region >= 0) & (by != region))
    within = np.flatnonzero(used & inside)
    terms = np.concatenate([own, other, within])
    exponents, bent = _exponents(effects, terms, measured.position)
    return FittedBackground(
        n_bins=n_bins,
        centre=measured.centre[:, None].astype(np.float32),
        root=sparse.csr_array(np.where(np.abs(measured.root) > _THIN, measured.root, 0.0).astype(np.float32)),
        bent=bent,
        exponents=exponents,
        rates=model.rates[terms, None].astype(np.float32),
        own=_summing(region[own], kept.size),
        other=_summing(region[other], kept.size),
        free=np.where(by[within] >= 0, by[within], kept.size),
        bins=_summing(model.term_bin[within], n_bins),
        counts=model.observed[control[kept], None].astype(np.float32),
    )


def _control_regions(model: CountingModel) -> tuple[IntArray, IntArray]:
    """The free rate of every term (-1 for none), and the control region of every free rate."""
    free = np.flatnonzero(model.kinds == "free")
    scaled_by = np.full(model.rates.size, -1, dtype=np.intp)
    place = np.full(len(model.parameters), -1, dtype=np.intp)
    place[free] = np.arange(free.size)
    entries = np.flatnonzero(place[model.entry_parameter] >= 0)
    scaled_by[model.entry_term[entries]] = place[model.entry_parameter[entries]]
    control = np.empty(free.size, dtype=np.intp)
    for k in range(free.size):
        found = np.unique(model.term_channel[(scaled_by == k) & (model.term_bin < 0)])
        if found.size != 1:
            raise InputError(
                f"free rate {model.parameters[free[k]].name!r} has {found.size} control regions; its prediction "
                "needs exactly one, is a card missing?"
            )
        control[k] = found[0]
    return scaled_by, control


def _exponents(effects: _Effects, terms: IntArray, measured: IntArray) -> tuple["sparse.csr_array", slice]:
    """Exponents of terms as a matrix on normal variables, and on `_bend` of those whose effect is not log-linear.

    The `measured` nuisances come first, then the others that act, bent ones before the rest. Log-linear effects that
    independent nuisances have on one term alone are one normal variable together, with the root of the sum of squares.
    """
    row = np.full(max(int(effects.term.max(initial=0)), int(terms.max(initial=0))) + 1, -1, dtype=np.intp)
    row[terms] = np.arange(terms.size)
    used = row[effects.term] >= 0
    i, j, odd, even = row[effects.term[used]], effects.parameter[used], effects.odd[used], effects.even[used]
    n = effects.bent.size
    single = (np.bincount(j, minlength=n) == 1) & ~effects.bent
    single[measured] = False
    private = single[j]
    squares = np.bincount(i[private], weights=odd[private] ** 2, minlength=terms.size)
    together = np.flatnonzero(squares)
    shared = np.setdiff1d(j[~private], measured)
    shared = shared[np.argsort(~effects.bent[shared], kind="stable")]
    named = np.concatenate([measured, shared])
    column = np.full(n, -1, dtype=np.intp)
    column[named] = np.arange(named.size)
    where = np.flatnonzero(effects.bent[named])
    bent = slice(int(where[0]), int(where[-1]) + 1) if where.size else slice(0, 0)
    normal = named.size + together.size
    values = [odd[~private], np.sqrt(squares[together]), even]
    rows = [i[~private], together, i]
    columns = [
        column[j[~private]],
        named.size + np.arange(together.size),
        # Without effect where `even` is zero; those entries are dropped below.
        normal + np.where(even != 0, column[j] - bent.start, 0),
    ]
    matrix = sparse.csr_array(
        (np.concatenate(values).astype(np.float32), (np.concatenate(rows), np.concatenate(columns))),
        shape=(terms.size, normal + bent.stop - bent.start),
    )
    matrix.eliminate_zeros()
    return matrix, bent


def _summing(group: IntArray, n: int) -> "sparse.csr_array":
    """A matrix that adds up what shares a group."""
    ones = np.ones(group.size, np.float32)
    return sparse.csr_array((ones, (group, np.arange(group.size))), shape=(n, group.size))


def _bend(theta: SingleArray, out: SingleArray) -> None:
    """``theta h(theta)`` of Combine's interpolation, see `superbin.likelihood.interpolation`: |theta| beyond 1/2."""
    np.abs(theta, out=out)
    t = np.minimum(out, np.float32(0.5))
    out *= t
    # The step's polynomial in 2 theta, written in theta.
    t *= t
    out *= (np.float32(12) * t - np.float32(10)) * t + np.float32(3.75)


def _fill_normal(random: np.random.Generator, out: SingleArray) -> None:
    """Fill with unit normals: G. Box and M. Muller, Ann. Math. Stat. 29 (1958) 610, on whole vectors at a time.

    Twice as fast as NumPy's, which matters with a thousand nuisances. Whole numbers of 32 bits are the uniforms in
    [-1, 1): none of the normals is beyond 6.7.
    """
    half, rest = (len(out) + 1) // 2, len(out) // 2
    raw = random.bit_generator.random_raw(half * out.shape[1]).view(np.int32)
    uniform = np.multiply(raw, np.float32(2.0**-31), dtype=np.float32)
    radius, angle = uniform.reshape(2, half, out.shape[1])
    np.abs(radius, out=radius)
    np.maximum(radius, np.float32(2.0**-32), out=radius)
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.sqrt(radius, out=radius)
    angle *= np.float32(np.pi)
    np.cos(angle, out=out[:half])
    np.sin(angle[:rest], out=out[half:])
    out[:half] *= radius
    out[half:] *= radius[:rest]


def _counts(random: np.random.Generator, means: FloatArray | SingleArray) -> CountArray:
    return random.poisson(np.minimum(means, _MOST / len(means))).astype(np.int64, copy=False)
