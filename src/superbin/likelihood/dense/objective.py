"""Expectation, likelihood, gradient and exact Hessian of a `StatisticalModel`, by dense linear algebra.

One row per sample and bin:

    nu_r = A_r F_r,  A = nominal + sum of morphs,  F = product of factors,  lambda_b = sum of its rows

With u_rj = d ln F_r / dx_j, v_rj = d2 ln F_r / dx_j2, a_rj and b_rj the derivatives of A, and w_b = 1 - n_b/lambda_b:

    d nu_r / dx_j = F (a_j + A u_j)
    d2 nu_r / dx_i dx_j = F (A u_i u_j + a_i u_j + u_i a_j + delta_ij (A v_j + b_j))

so the Hessian is two products of dense (rows x parameters) matrices and a diagonal; formulas add what mixes their parameters. A factor that
is zero enters the logarithmic derivatives as 1e-100: what divides by it multiplies by it as well, so that mu = 0 has its exact slope.

The likelihood is computed as the height above a model that predicts each datum exactly, since differences of large logarithms lose digits;
`Objective.constant` is the rest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from superbin._support.arrays import FloatArray
from superbin.likelihood.data import Data
from superbin.likelihood.dense.effects import IntArray
from superbin.likelihood.dense.rows import make_rows
from superbin.statistical_model import Normal, Poisson, StatisticalModel
from superbin.statistical_model.expressions import Jet

__all__ = ["BoolArray", "Objective", "Point"]

BoolArray = NDArray[np.bool_]

TINY = 1e-100
"""Stands for a factor of zero in its logarithmic derivatives."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Likelihood and gradient at some parameters, with what the Hessian needs again.

    Attributes
    ----------
    x : array, shape (n_parameters,)
        The parameters.
    height : float
        Negative log-likelihood above `Objective.constant`; infinite or NaN where the model is impossible.
    gradient : array, shape (n_parameters,)
        Of the height.
    expected : array, shape (n_bins,)
        Events.
    """

    x: FloatArray
    height: float
    gradient: FloatArray
    expected: FloatArray
    _sums: FloatArray
    _products: FloatArray
    _slopes: tuple[FloatArray, FloatArray]
    _morphs: tuple[FloatArray, FloatArray]
    _jets: tuple[Jet, ...]


def _add_up(index: IntArray, values: FloatArray, n: int) -> FloatArray:
    return np.asarray(np.bincount(index, weights=values, minlength=n), dtype=np.float64)


def _poisson(n: FloatArray, rate: FloatArray) -> FloatArray:
    """``rate - n + n ln(n / rate)``, infinite where events were seen but none expected."""
    some = n > 0
    d = (rate - n) / np.where(some, n, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(some, n * (d - np.log1p(d)), rate)
    return np.where(some & (rate <= 0), np.inf, terms)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """The distinct (row, parameter) pairs of a list of entries."""

    row: IntArray
    column: IntArray
    place: IntArray

    @classmethod
    def make(cls, row: IntArray, column: IntArray, n: int) -> "_Places":
        distinct, place = np.unique(row * n + column, return_inverse=True)
        return cls(distinct // n, distinct % n, place)

    def add_up(self, *values: FloatArray) -> tuple[FloatArray, ...]:
        """Sums of entries of the same place."""
        return tuple(_add_up(self.place, v, self.row.size) for v in values)

    def dense(self, values: FloatArray, shape: tuple[int, int]) -> FloatArray:
        """Values of all places as a matrix."""
        matrix = np.zeros(shape)
        matrix[self.row, self.column] = values
        return matrix


class Objective:
    """The negative log-likelihood of a model with its derivatives, for any data.

    Parameters
    ----------
    model : StatisticalModel
        The description.

    Attributes
    ----------
    n_parameters, n_bins : int
        Sizes.
    initial, lower, upper : array, shape (n_parameters,)
        Starts and bounds.
    fixed : array of bool, shape (n_parameters,)
        Parameters that no fit moves.
    width : array, shape (n_parameters,)
        Standard deviation of each constraint in the parameter; infinite without one.
    kinked : array of bool, shape (n_parameters,)
        Parameters whose effects have a kink at zero.
    observed : Data
        The model's own data.
    """

    def __init__(self, model: StatisticalModel) -> None:
        self.model = model
        parameters = model.parameters
        self.n_parameters, self.n_bins = len(parameters), model.observed.size
        self.initial = np.array([p.initial for p in parameters], dtype=np.float64)
        self.lower = np.array([p.lower for p in parameters], dtype=np.float64)
        self.upper = np.array([p.upper for p in parameters], dtype=np.float64)
        self.fixed = np.array([p.fixed for p in parameters], dtype=bool)
        self._counted = model.counted.astype(np.float64)
        self._read_constraints()
        rows = self._rows = make_rows(model)
        n = self.n_parameters
        self._slope_places = _Places.make(rows.slope_row, rows.slope_parameter, n)
        self._morph_places = _Places.make(rows.morphs.row, rows.morphs.parameter, n)
        self._filled, self._first_row = np.unique(rows.bin, return_index=True)
        self.kinked = np.zeros(n, dtype=bool)
        self.kinked[rows.pairs.kinked()] = True
        self.kinked[rows.morphs.kinked()] = True
        self._no_side = np.zeros(n)

    def _read_constraints(self) -> None:
        n = self.n_parameters
        constraints = [p.constraint for p in self.model.parameters]
        self.normal = np.flatnonzero([isinstance(c, Normal) for c in constraints])
        self.poisson = np.flatnonzero([isinstance(c, Poisson) for c in constraints])
        self.width = np.full(n, np.inf)
        auxiliary, self._scale = np.zeros(n), np.ones(n)
        for i, constraint in enumerate(constraints):
            if isinstance(constraint, Normal):
                auxiliary[i], self.width[i] = constraint.centre, constraint.width
            elif isinstance(constraint, Poisson):
                auxiliary[i], self._scale[i] = constraint.count, constraint.scale
                self.width[i] = np.sqrt(max(constraint.count, 1.0)) / constraint.scale
        self.width_or_one = np.where(np.isfinite(self.width), self.width, 1.0)
        self.per_width = 1 / self.width_or_one
        self.observed = Data(self.model.observed, auxiliary)

    # ------------------------------------------------------------------ values

    def _evaluate(
        self, x: FloatArray, side: FloatArray
    ) -> tuple[
        FloatArray, FloatArray, tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray], tuple[Jet, ...]
    ]:
        """Return A, F, the slopes u and v, a and b, and the formulas."""
        rows = self._rows
        pair, pair_u, pair_v = rows.pairs.evaluate(x, side)
        rate = np.where(x == 0, TINY, x)
        jets = tuple(formula.evaluate(x) for formula in rows.formulas)
        factor, u, v = [pair, rate], [pair_u, 1 / rate], [pair_v, -((1 / rate) ** 2)]
        if jets:
            values = np.array([jet.value if jet.value != 0 else TINY for jet in jets])
            factor.append(values)
            slopes = [jet.gradient / value for jet, value in zip(jets, values, strict=True)]
            u += slopes
            v += [-(s**2) for s in slopes]
        products = np.ones(rows.nominal.size)
        if rows.factor_of_entry.size:
            every = np.concatenate(factor)[rows.factor_of_entry]
            products[rows.rows_with_factors] = np.multiply.reduceat(every, rows.first_entry)
        add, a, b = rows.morphs.evaluate(x, side)
        sums = rows.nominal + _add_up(rows.morphs.row, add, rows.nominal.size)
        return sums, products, (np.concatenate(u), np.concatenate(v)), (a, b), jets

    def expected(self, x: FloatArray) -> FloatArray:
        """Events expected in each bin, shape (n_bins,)."""
        sums, products, *_ = self._evaluate(x, self._no_side)
        return _add_up(self._rows.bin, _product(sums, products), self.n_bins)

    def idle(self, strength: int) -> BoolArray:
        """Free parameters that act only on what a signal strength of zero removes, and so mean nothing there."""
        x = self.initial.copy()
        x[strength] = 0.0
        gone = np.abs(self._evaluate(x, self._no_side)[1]) < 1e20 * TINY
        acts = np.zeros(self.n_parameters, dtype=bool)
        for places in (self._slope_places, self._morph_places):
            acts[places.column[~gone[places.row]]] = True
        idle: BoolArray = ~acts & ~np.isfinite(self.width)
        return idle

    def constant(self, data: Data) -> float:
        """The negative log-likelihood of a model that predicts each datum exactly."""
        counts, aux = data.counts[self._counted > 0], data.auxiliary[self.poisson]
        n = np.concatenate([counts, aux])
        return float(
            (n - xlogy(n, n) + gammaln(n + 1)).sum()
            + np.log(self.width[self.normal] * np.sqrt(2 * np.pi)).sum()
        )

    def point(self, x: FloatArray, data: Data, side: FloatArray | None = None) -> Point:
        """Return likelihood and gradient.

        Parameters
        ----------
        x : array, shape (n_parameters,)
            Parameters.
        data : Data
            The data.
        side : array, shape (n_parameters,), optional
            From which side a kink at zero is seen, 1 or -1; by default the mean of both slopes is taken.
        """
        rows, n = self._rows, self.n_parameters
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            sums, products, slopes, morphs, jets = self._evaluate(x, self._no_side if side is None else side)
            nu = _product(sums, products)
            expected = _add_up(rows.bin, nu, self.n_bins)
            height = float((_poisson(data.counts, expected) * self._counted).sum())
            height += self._constraint_height(x, data)
            w = self._weights(data.counts, expected)[rows.bin]
            gradient = self._constraint_gradient(x, data)
            gradient += _add_up(
                rows.slope_parameter, (w * sums * products)[rows.slope_row] * slopes[0][rows.slope], n
            )
            gradient += _add_up(rows.morphs.parameter, (w * products)[rows.morphs.row] * morphs[0], n)
        return Point(x, height, gradient, expected, sums, products, slopes, morphs, jets)

    def height(self, x: FloatArray, data: Data) -> float:
        """The negative log-likelihood above `constant`."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            terms = _poisson(data.counts, self.expected(x)) * self._counted
            return float(terms.sum()) + self._constraint_height(x, data)

    def _weights(self, counts: FloatArray, expected: FloatArray) -> FloatArray:
        """1 - n / lambda."""
        some = counts > 0
        return self._counted * np.where(some, 1 - counts / np.where(some, expected, 1.0), 1.0)

    def _constraint_height(self, x: FloatArray, data: Data) -> float:
        j, k = self.normal, self.poisson
        pulls = (x[j] - data.auxiliary[j]) / self.width[j]
        return float(0.5 * (pulls @ pulls) + _poisson(data.auxiliary[k], self._scale[k] * x[k]).sum())

    def _constraint_gradient(self, x: FloatArray, data: Data) -> FloatArray:
        j, k = self.normal, self.poisson
        gradient = np.zeros(self.n_parameters)
        gradient[j] = (x[j] - data.auxiliary[j]) / self.width[j] ** 2
        aux = data.auxiliary[k]
        gradient[k] = self._scale[k] - np.where(aux > 0, aux / np.where(aux > 0, x[k], 1.0), 0.0)
        return gradient

    def _constraint_curvature(self, x: FloatArray, data: Data) -> FloatArray:
        j, k = self.normal, self.poisson
        curvature = np.zeros(self.n_parameters)
        curvature[j] = 1 / self.width[j] ** 2
        aux = data.auxiliary[k]
        curvature[k] = np.where(aux > 0, aux / np.where(aux > 0, x[k], 1.0) ** 2, 0.0)
        return curvature

    # ------------------------------------------------------------------ second derivatives

    def hessian(self, point: Point, data: Data) -> tuple[FloatArray, FloatArray]:
        """Return the exact Hessian and the diagonal of the Fisher information, both of the height.

        Parameters
        ----------
        point : Point
            Where.
        data : Data
            Of the same point.
        """
        rows, n, shape = self._rows, self.n_parameters, (self._rows.nominal.size, self.n_parameters)
        u_places, v_places = self._slope_places.add_up(
            point._slopes[0][rows.slope], point._slopes[1][rows.slope]
        )
        a_places, b_places = self._morph_places.add_up(*point._morphs)
        u, a = self._slope_places.dense(u_places, shape), self._morph_places.dense(a_places, shape)
        counts, expected = data.counts, point.expected
        some = counts > 0
        lam = np.where(some, expected, 1.0)
        w = self._weights(counts, expected)[rows.bin] * point._products
        # Half of the part that is quadratic in slopes: its product with u, with the transpose, is the whole.
        half = 0.5 * point._sums[:, None] * u
        half += a
        matrix = u.T @ (w[:, None] * half)
        matrix = matrix + matrix.T
        half += 0.5 * point._sums[:, None] * u
        half *= point._products[:, None]
        slopes = np.zeros((self.n_bins, n))
        slopes[self._filled] = np.add.reduceat(half, self._first_row, axis=0)

        # On the diagonal the square of a slope and its own derivative cancel for rates, exactly only if added first.
        row, column = self._slope_places.row, self._slope_places.column
        own = w[row] * (point._sums[row] * (u_places**2 + v_places) + 2 * a[row, column] * u_places)
        matrix[np.diag_indices(n)] = (
            _add_up(column, own, n)
            + _add_up(self._morph_places.column, w[self._morph_places.row] * b_places, n)
            + self._constraint_curvature(point.x, data)
        )
        root = np.sqrt(self._counted * np.where(some, counts, 0.0)) / lam
        scaled = root[:, None] * slopes
        matrix += scaled.T @ scaled
        self._add_formulas(matrix, w * point._sums, point._jets)
        size = self._counted / np.maximum(np.maximum(np.abs(expected), counts), TINY)
        return matrix, self._constraint_curvature(point.x, data) + size @ slopes**2

    def _add_formulas(self, matrix: FloatArray, weights: FloatArray, jets: tuple[Jet, ...]) -> None:
        for formula, touched, jet in zip(self._rows.formulas, self._rows.formula_rows, jets, strict=True):
            value = jet.value if jet.value != 0 else TINY
            mixed = jet.hessian / value
            slope = jet.gradient / value
            mixed[~np.eye(slope.size, dtype=bool)] -= np.outer(slope, slope)[~np.eye(slope.size, dtype=bool)]
            where = np.array(formula.positions, dtype=np.intp)
            matrix[np.ix_(where, where)] += weights[touched].sum() * mixed

    def row_events(self, x: FloatArray) -> FloatArray:
        """Events expected in each row, bin after bin, in each bin in the order of its channel's samples."""
        sums, products, *_ = self._evaluate(x, self._no_side)
        return _product(sums, products)

    # ------------------------------------------------------------------ other data

    def asimov(self, x: FloatArray) -> Data:
        """Return the data that parameters `x` predict exactly: counts and auxiliary measurements."""
        auxiliary = np.zeros(self.n_parameters)
        auxiliary[self.normal] = x[self.normal]
        auxiliary[self.poisson] = self._scale[self.poisson] * x[self.poisson]
        return Data(self.expected(x), auxiliary)


def _product(sums: FloatArray, products: FloatArray) -> FloatArray:
    """A F, with what a factor of zero left over rounded off."""
    nu: FloatArray = np.where(np.abs(products) < 1e20 * TINY, 0.0, sums * products)
    return nu
