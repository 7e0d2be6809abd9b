"""Expectation, likelihood, gradient and exact Hessian of a `StatisticalModel`, by dense linear algebra.

One row per sample and bin:

    nu_r = A_r F_r,  A = nominal + sum of morphs,  F = product of factors,  lambda_b = sum of its rows

With u_rj = d ln F_r / dx_j, v_rj = d2 ln F_r / dx_j2, a_rj and b_rj the derivatives of A, and w_b = 1 - n_b/lambda_b:

    d nu_r / dx_j = F (a_j + A u_j)
    d2 nu_r / dx_i dx_j = F (A u_i u_j + a_i u_j + u_i a_j + delta_ij (A v_j + b_j))

so the Hessian is two products of dense (rows x parameters) matrices and a diagonal; formulas add what mixes their parameters. Logarithmic
morphs and the scaling of a sample to a total multiply A, and enter u and v. A statistical parameter x of a bin adds x T, with
T^2 = sum_r (e_r F_r)^2 without these:

    dT/dx_j = sum q u_j / T,  q = (e F)^2
    d2T/dx_i dx_j = sum q (2 u_i u_j + delta_ij v_j) / T - dT/dx_i dT/dx_j / T

A factor that is zero enters the logarithmic derivatives as 1e-100: what divides by it multiplies by it as well, so that mu = 0 has its exact slope.

The likelihood is computed as the height above a model that predicts each datum exactly, since differences of large logarithms lose digits;
`Objective.constant` is the rest.
"""

import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood.data import Data
from superbin.likelihood.dense.effects import IntArray
from superbin.likelihood.dense.rows import Total, make_rows
from superbin.statistical_model import Normal, Poisson, StatisticalModel
from superbin.statistical_model.expressions import Jet

__all__ = ["BoolArray", "Objective", "Point"]

BoolArray = NDArray[np.bool_]

TINY = 1e-100
"""Stands for a factor of zero in its logarithmic derivatives."""


LARGEST = 1.5e8
"""Rows times parameters: the Hessian takes some four matrices of this size, here 5 GB."""


def _check_size(model: StatisticalModel) -> None:
    rows = sum(channel.observed.size * len(channel.samples) for channel in model.channels)
    n = len(model.parameters)
    if rows * n > LARGEST:
        raise InputError(
            f"{model.name or 'the model'} has {rows} rows (samples in bins) and {n} parameters, which would take {rows * n * 32e-9:.0f} GB; dense matrices serve up "
            f"to {LARGEST:.2g} rows times parameters: leave out channels, merge samples, or read it without statistical errors of bins"
        )


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
    _parts: "_Parts"

    @property
    def bent(self) -> bool:
        """Whether some row or bin is where its floor is rounded off."""
        return bool(self._parts.bent[0].size or self._parts.bends.any())


@dataclass(frozen=True, slots=True, eq=False)
class _Scaling:
    """What scaling a sample to a total does to the logarithm of each of its rows: slopes, and all second derivatives."""

    total: Total
    slope: FloatArray
    curvature: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The pieces of an expectation.

    Attributes
    ----------
    sums, shape, factors : array, shape (n_rows,)
        A, what multiplies it as part of the histogram, and F.
    slopes : tuple of array
        u and v by number of the slope.
    morphs, log_morphs : tuple of array
        First and second derivatives by entry, of A and of the logarithm of `shape` without scalings.
    jets : tuple of Jet
        Formulas.
    scalings : tuple of _Scaling
        Of samples whose scaling depends on parameters.
    errors, shifts : array, shape (n_shifted,)
        T and x of bins with a statistical parameter.
    squares : array, shape (n_rows,)
        q.
    bent : tuple of array
        Entries of morphs in rows near their floor, their slopes before the bend, and the bend's second derivative.
    moves, bends : array, shape (n_bins,)
        First and second derivative of the bins' own floor.
    """

    sums: FloatArray
    shape: FloatArray
    factors: FloatArray
    slopes: tuple[FloatArray, FloatArray]
    morphs: tuple[FloatArray, FloatArray]
    log_morphs: tuple[FloatArray, FloatArray]
    jets: tuple[Jet, ...]
    scalings: tuple[_Scaling, ...]
    errors: FloatArray
    shifts: FloatArray
    squares: FloatArray
    bent: tuple[IntArray, FloatArray, FloatArray]
    moves: FloatArray
    bends: FloatArray


def _add_up(index: IntArray, values: FloatArray, n: int) -> FloatArray:
    return np.asarray(np.bincount(index, weights=values, minlength=n), dtype=np.float64)


def _poisson(n: FloatArray, rate: FloatArray) -> FloatArray:
    """``rate - n + n ln(n / rate)``, infinite where events were seen but none expected."""
    some = n > 0
    counted = np.where(some, n, 1.0)
    d = (rate - n) / counted
    with np.errstate(divide="ignore", invalid="ignore"):
        # Near n digits would be lost in the ratio, far below it in the difference.
        logarithm = np.where(d > -0.5, np.log1p(d), np.log(rate / counted))
        terms = np.where(some, n * (d - logarithm), rate)
    return np.where(some & (rate <= 0), np.inf, terms)


_NOTHING = (np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0))


def _floor(
    value: FloatArray, floor: FloatArray, smoothing: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``max(value, floor)`` with two derivatives, rounded off by a polynomial within `smoothing` of the floor."""
    first, second = np.where(value > floor, 1.0, 0.0), np.zeros_like(value)
    result: FloatArray = np.maximum(value, floor)
    near = np.flatnonzero((value < floor + smoothing) & (value > floor - smoothing))
    if near.size:
        width = smoothing[near]
        t = (value[near] - floor[near]) / width
        result[near] = floor[near] + width * (t + 1) ** 3 * (3 - t) / 16
        first[near] = (t + 1) ** 2 * (2 - t) / 4
        second[near] = 0.75 * (1 - t * t) / width
    return result, first, second


def _least(row: IntArray, odd: FloatArray, even: FloatArray, n: int) -> FloatArray:
    """How far morphs can lower each row, all at seven standard deviations."""
    return _add_up(row, 7.0 * np.maximum(np.abs(odd) - even, 0.0), n)


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
    smoothing : float
        Events within which floors are rounded off; zero for the model itself.
    bends : bool
        Whether some histogram can reach its floor within seven standard deviations.

    Raises
    ------
    InputError
        If the model is too large for dense matrices.
    """

    def __init__(self, model: StatisticalModel) -> None:
        _check_size(model)
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
        self._log_places = _Places.make(rows.log_morphs.row, rows.log_morphs.parameter, n)
        self._bin_floor = np.concatenate([np.full(c.observed.size, c.floor) for c in model.channels])
        self._has_bin_floor = bool(np.isfinite(self._bin_floor).any())
        self._has_floor = bool(np.isfinite(rows.floor).any())
        self._morphed = np.zeros(rows.nominal.size, dtype=bool)
        self._morphed[rows.morphs.row] = True
        self.smoothing = 0.0
        may_hit = self._morphed & (
            rows.nominal - _least(rows.morphs.row, rows.morphs.odd, rows.morphs.even, rows.nominal.size)
            < rows.floor
        )
        self.bends = bool(may_hit.any() or self._has_bin_floor)
        self._shifted_rows = np.flatnonzero(np.isin(rows.bin, rows.shifted))
        self._number = np.full(self.n_bins, -1, dtype=np.intp)
        self._number[rows.shifted] = np.arange(rows.shifted.size)
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
        auxiliary, self._scale, lower_width = np.zeros(n), np.ones(n), np.full(n, np.inf)
        for i, constraint in enumerate(constraints):
            if isinstance(constraint, Normal):
                auxiliary[i], self.width[i] = constraint.centre, constraint.width
                lower_width[i] = constraint.lower_width or constraint.width
            elif isinstance(constraint, Poisson):
                auxiliary[i], self._scale[i] = constraint.count, constraint.scale
                self.width[i] = np.sqrt(max(constraint.count, 1.0)) / constraint.scale
        self._lower_width = lower_width
        self.width_or_one = np.where(np.isfinite(self.width), self.width, 1.0)
        self.per_width = 1 / self.width_or_one
        self.observed = Data(self.model.observed, auxiliary)

    def smoothed(self, smoothing: float) -> "Objective":
        """Return the same with floors rounded off, so that a minimum at one has a gradient and a curvature."""
        other = copy.copy(self)
        other.smoothing = smoothing
        return other

    # ------------------------------------------------------------------ values

    def _evaluate(self, x: FloatArray, side: FloatArray) -> _Parts:
        rows, n_rows = self._rows, self._rows.nominal.size
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
        j, exponent = rows.powers
        if j.size:
            factor.append(rate[j] ** exponent)
            u.append(exponent / rate[j])
            v.append(-exponent / rate[j] ** 2)
        factor.append(rows.constants)
        factors = np.ones(n_rows)
        if rows.factor_of_entry.size:
            every = np.concatenate(factor)[rows.factor_of_entry]
            factors[rows.rows_with_factors] = np.multiply.reduceat(every, rows.first_entry)
        add, a, b = rows.morphs.evaluate(x, side)
        sums = rows.nominal + _add_up(rows.morphs.row, add, n_rows)
        bent = _NOTHING
        if self._has_floor:
            sums, first, second = _floor(sums, rows.floor, np.where(self._morphed, self.smoothing, 0.0))
            near = np.flatnonzero(second[rows.morphs.row])
            bent = near, a[near], second[rows.morphs.row[near]]
            a, b = a * first[rows.morphs.row], b * first[rows.morphs.row]
        shape, logs = np.ones(n_rows), (np.zeros(0), np.zeros(0))
        if rows.log_morphs.row.size:
            log, g, h = rows.log_morphs.evaluate(x, side)
            shape, logs = np.exp(_add_up(rows.log_morphs.row, log, n_rows)), (g, h)
        scalings = tuple(
            s for total in rows.totals if (s := self._scale_sample(total, sums, shape, (a, b), logs, bent))
        )
        shift, error, squares = self._shift(x, factors)
        return _Parts(
            sums, shape, factors, (np.concatenate(u), np.concatenate(v)), (a, b), logs, jets, scalings, error, shift, squares, bent,
            np.ones(self.n_bins), np.zeros(self.n_bins),
        )  # fmt: skip

    def _scale_sample(
        self,
        total: Total,
        sums: FloatArray,
        shape: FloatArray,
        morphs: tuple[FloatArray, FloatArray],
        logs: tuple[FloatArray, FloatArray],
        bent: tuple[IntArray, FloatArray, FloatArray],
    ) -> _Scaling | None:
        """Scale a sample, in place in `shape`; return how that depends on parameters, None if it does not."""
        rows, n = self._rows, self.n_parameters
        each = sums[total.rows] * shape[total.rows]
        whole = float(each.sum())
        if whole == total.total and not total.columns.size:
            return None
        w = shape[rows.morphs.row[total.entries]]
        shape[total.rows] *= total.total / whole
        if not total.columns.size:
            return None
        j = rows.morphs.parameter[total.entries]
        first = _add_up(j, w * morphs[0][total.entries], n)[total.columns]
        second = np.diag(_add_up(j, w * morphs[1][total.entries], n)[total.columns])
        own = np.isin(bent[0], total.entries)
        if own.any():
            slopes, curvature = self._bent_slopes(bent, own, shape)
            slopes = slopes[:, total.columns]
            second = second + slopes.T @ (curvature[:, None] * slopes)
        if total.log_entries.size:
            k = total.log_entries
            index = np.empty(n, dtype=np.intp)
            index[total.columns] = np.arange(total.columns.size)
            place = np.empty(sums.size, dtype=np.intp)
            place[total.rows] = np.arange(total.rows.size)
            g = np.zeros((total.rows.size, total.columns.size))
            at = place[rows.log_morphs.row[k]], index[rows.log_morphs.parameter[k]]
            np.add.at(g, at, logs[0][k])
            h = np.zeros_like(g)
            np.add.at(h, at, logs[1][k])
            first = first + each @ g
            second = second + g.T @ (each[:, None] * g) + np.diag(each @ h)
        elif (
            np.abs(first).max(initial=0.0) <= 1e-12 * whole
            and np.abs(second).max(initial=0.0) <= 1e-12 * whole
        ):
            return None  # no bin is at the floor, and the morphs keep the sum
        slope = -first / whole
        return _Scaling(total, slope, np.outer(slope, slope) - second / whole)

    def _bent_slopes(
        self, bent: tuple[IntArray, FloatArray, FloatArray], which: BoolArray, weight: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the slopes of rows near their floor before the bend, one line per row, and the bend times a weight."""
        entries, slope, curvature = bent[0][which], bent[1][which], bent[2][which]
        rows, place = np.unique(self._rows.morphs.row[entries], return_inverse=True)
        slopes = np.zeros((rows.size, self.n_parameters))
        np.add.at(slopes, (place, self._rows.morphs.parameter[entries]), slope)
        bend = np.zeros(rows.size)
        bend[place] = curvature
        return slopes, bend * weight[rows]

    def _shift(self, x: FloatArray, factors: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the statistical parameters, the errors they multiply, and the rows' squared errors."""
        rows = self._rows
        if not rows.shifted.size:
            return np.zeros(0), np.zeros(0), np.zeros(0)
        squares = (rows.errors * factors) ** 2
        error = np.sqrt(_add_up(rows.bin, squares, self.n_bins)[rows.shifted])
        return x[rows.shift], np.maximum(error, TINY), squares

    def _expected(self, parts: _Parts) -> tuple[FloatArray, FloatArray]:
        """Return the events of rows and bins; bins at their floor are noted in the parts."""
        rows = self._rows
        nu = _product(parts.sums * parts.shape, parts.factors)
        expected = _add_up(rows.bin, nu, self.n_bins)
        if rows.shifted.size:
            expected[rows.shifted] += parts.shifts * parts.errors
        if self._has_bin_floor:
            smoothing = np.full(self.n_bins, self.smoothing)
            expected, parts.moves[:], parts.bends[:] = _floor(expected, self._bin_floor, smoothing)
        return nu, expected

    def expected(self, x: FloatArray) -> FloatArray:
        """Events expected in each bin, shape (n_bins,)."""
        return self._expected(self._evaluate(x, self._no_side))[1]

    def idle(self, strength: int) -> BoolArray:
        """Free parameters that act only on what a signal strength of zero removes, and so mean nothing there."""
        x = self.initial.copy()
        x[strength] = 0.0
        gone = np.abs(self._evaluate(x, self._no_side).factors) < 1e20 * TINY
        acts = np.zeros(self.n_parameters, dtype=bool)
        for places in (self._slope_places, self._morph_places, self._log_places):
            acts[places.column[~gone[places.row]]] = True
        idle: BoolArray = ~acts & ~np.isfinite(self.width)
        return idle

    def constant(self, data: Data) -> float:
        """The negative log-likelihood of a model that predicts each datum exactly."""
        counts, aux = data.counts[self._counted > 0], data.auxiliary[self.poisson]
        n = np.concatenate([counts, aux])
        return float(
            (n - xlogy(n, n) + gammaln(n + 1)).sum()
            + np.log(0.5 * (self.width + self._lower_width)[self.normal] * np.sqrt(2 * np.pi)).sum()
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
            parts = self._evaluate(x, self._no_side if side is None else side)
            _, expected = self._expected(parts)
            height = float((_poisson(data.counts, expected) * self._counted).sum())
            height += self._constraint_height(x, data)
            by_bin = self._weights(data.counts, expected, parts)
            w = by_bin[rows.bin]
            products = parts.shape * parts.factors
            gradient = self._constraint_gradient(x, data)
            by_row = w * parts.sums * products
            own = by_row if not rows.shifted.size else by_row + self._error_weights(by_bin, parts)
            gradient += _add_up(rows.slope_parameter, own[rows.slope_row] * parts.slopes[0][rows.slope], n)
            gradient += _add_up(rows.morphs.parameter, (w * products)[rows.morphs.row] * parts.morphs[0], n)
            if rows.log_morphs.row.size:
                gradient += _add_up(
                    rows.log_morphs.parameter, by_row[rows.log_morphs.row] * parts.log_morphs[0], n
                )
            for scaling in parts.scalings:
                gradient[scaling.total.columns] += by_row[scaling.total.rows].sum() * scaling.slope
            if rows.shifted.size:
                gradient[rows.shift] += by_bin[rows.shifted] * parts.errors
        return Point(x, height, gradient, expected, parts)

    def _error_weights(self, by_bin: FloatArray, parts: _Parts) -> FloatArray:
        """Weight of the slopes u of each row in the gradient through the statistical error of its bin."""
        rows = self._rows
        factor = np.zeros(self.n_bins)
        factor[rows.shifted] = by_bin[rows.shifted] * parts.shifts / parts.errors
        weights: FloatArray = factor[rows.bin] * parts.squares
        return weights

    def height(self, x: FloatArray, data: Data) -> float:
        """The negative log-likelihood above `constant`."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            terms = _poisson(data.counts, self.expected(x)) * self._counted
            return float(terms.sum()) + self._constraint_height(x, data)

    def _weights(self, counts: FloatArray, expected: FloatArray, parts: _Parts) -> FloatArray:
        """1 - n / lambda, and zero at a floor."""
        some = counts > 0
        moves = self._counted * parts.moves
        return moves * np.where(some, 1 - counts / np.where(some, expected, 1.0), 1.0)

    def _widths(self, x: FloatArray, data: Data) -> FloatArray:
        j = self.normal
        widths: FloatArray = np.where(x[j] < data.auxiliary[j], self._lower_width[j], self.width[j])
        return widths

    def _constraint_height(self, x: FloatArray, data: Data) -> float:
        j, k = self.normal, self.poisson
        pulls = (x[j] - data.auxiliary[j]) / self._widths(x, data)
        return float(0.5 * (pulls @ pulls) + _poisson(data.auxiliary[k], self._scale[k] * x[k]).sum())

    def _constraint_gradient(self, x: FloatArray, data: Data) -> FloatArray:
        j, k = self.normal, self.poisson
        gradient = np.zeros(self.n_parameters)
        gradient[j] = (x[j] - data.auxiliary[j]) / self._widths(x, data) ** 2
        aux = data.auxiliary[k]
        gradient[k] = self._scale[k] - np.where(aux > 0, aux / np.where(aux > 0, x[k], 1.0), 0.0)
        return gradient

    def _constraint_curvature(self, x: FloatArray, data: Data) -> FloatArray:
        j, k = self.normal, self.poisson
        curvature = np.zeros(self.n_parameters)
        curvature[j] = 1 / self._widths(x, data) ** 2
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
        parts = point._parts
        products = parts.shape * parts.factors
        u_places, v_places = self._slope_places.add_up(
            parts.slopes[0][rows.slope], parts.slopes[1][rows.slope]
        )
        a_places, b_places = self._morph_places.add_up(*parts.morphs)
        u, a = self._slope_places.dense(u_places, shape), self._morph_places.dense(a_places, shape)
        counts, expected = data.counts, point.expected
        some = counts > 0
        lam = np.where(some, expected, 1.0)
        by_bin = self._weights(counts, expected, parts)
        w = by_bin[rows.bin] * products
        common = u.copy() if rows.shifted.size and (rows.log_morphs.row.size or parts.scalings) else u
        extra = self._add_shape_slopes(u, a, w, parts)
        # Half of the part that is quadratic in slopes: its product with u, with the transpose, is the whole.
        half = 0.5 * parts.sums[:, None] * u
        half += a
        matrix = u.T @ (w[:, None] * half)
        matrix = matrix + matrix.T
        half += 0.5 * parts.sums[:, None] * u
        half *= products[:, None]
        slopes = np.zeros((self.n_bins, n))
        slopes[self._filled] = np.add.reduceat(half, self._first_row, axis=0)

        # On the diagonal the square of a slope and its own derivative cancel for rates, exactly only if added first.
        row, column = self._slope_places.row, self._slope_places.column
        own = w[row] * (parts.sums[row] * (u_places**2 + v_places) + 2 * a[row, column] * u_places)
        matrix[np.diag_indices(n)] = (
            _add_up(column, own, n)
            + _add_up(self._morph_places.column, w[self._morph_places.row] * b_places, n)
            + self._constraint_curvature(point.x, data)
            + extra
        )
        mixing = w * parts.sums
        for scaling in parts.scalings:
            where = scaling.total.columns
            off = scaling.curvature - np.diag(np.diagonal(scaling.curvature))
            matrix[np.ix_(where, where)] += mixing[scaling.total.rows].sum() * off
        if rows.shifted.size:
            self._add_errors(matrix, slopes, common, (u_places, v_places), by_bin, parts)
            mixing = mixing + self._error_weights(by_bin, parts)
        root = parts.moves * np.sqrt(self._counted * np.where(some, counts, 0.0)) / lam
        scaled = root[:, None] * slopes
        matrix += scaled.T @ scaled
        self._add_bends(matrix, slopes, w, counts, expected, parts)
        self._add_formulas(matrix, mixing, parts.jets)
        size = self._counted * parts.moves**2 / np.maximum(np.maximum(np.abs(expected), counts), TINY)
        return matrix, self._constraint_curvature(point.x, data) + size @ slopes**2

    def _add_bends(
        self,
        matrix: FloatArray,
        slopes: FloatArray,
        w: FloatArray,
        counts: FloatArray,
        expected: FloatArray,
        parts: _Parts,
    ) -> None:
        """Add the curvature of rows and bins near their floors."""
        if parts.bent[0].size:
            bent, curvature = self._bent_slopes(parts.bent, np.ones(parts.bent[0].size, dtype=bool), w)
            matrix += bent.T @ (curvature[:, None] * bent)
        near = np.flatnonzero(parts.bends)
        if near.size:
            n, lam = counts[near], np.maximum(expected[near], TINY)
            bend = self._counted[near] * parts.bends[near] * (1 - n / lam)
            matrix += slopes[near].T @ (bend[:, None] * slopes[near])

    def _add_shape_slopes(self, u: FloatArray, a: FloatArray, w: FloatArray, parts: _Parts) -> FloatArray:
        """Add to `u` what the shape of samples adds to its logarithm; return what that adds to the diagonal of the Hessian."""
        rows = self._rows
        extra = np.zeros(self.n_parameters)
        if not (rows.log_morphs.row.size or parts.scalings):
            return extra
        more, curved = np.zeros_like(u), np.zeros_like(u)
        if rows.log_morphs.row.size:
            places = self._log_places
            more[places.row, places.column], curved[places.row, places.column] = places.add_up(
                *parts.log_morphs
            )
        for scaling in parts.scalings:
            where = np.ix_(scaling.total.rows, scaling.total.columns)
            more[where] += scaling.slope
            curved[where] += np.diagonal(scaling.curvature)
        touched = more != 0
        # A rate of zero has a slope near 1e100, whose product with nothing else is nothing.
        cross = np.where(touched, 2 * more * np.where(touched, u, 0.0), 0.0)
        extra += w @ (parts.sums[:, None] * (cross + more**2 + curved) + 2 * a * more)
        u += more
        return extra

    def _add_errors(
        self,
        matrix: FloatArray,
        slopes: FloatArray,
        u: FloatArray,
        places: tuple[FloatArray, FloatArray],
        by_bin: FloatArray,
        parts: _Parts,
    ) -> None:
        """Add the statistical parameters to the Hessian's part that is linear in expectations, and to the slopes of bins."""
        rows, n = self._rows, self.n_parameters
        w = by_bin[rows.shifted]
        factor = np.zeros(self.n_bins)
        factor[rows.shifted] = w * parts.shifts / parts.errors
        inside = self._shifted_rows
        k = 2 * factor[rows.bin[inside]] * parts.squares[inside]
        product = u[inside].T @ (k[:, None] * u[inside])
        row, column = self._slope_places.row, self._slope_places.column
        q = factor[rows.bin[row]] * parts.squares[row]
        product[np.diag_indices(n)] = _add_up(column, q * (2 * places[0] ** 2 + places[1]), n)
        matrix += product
        of_error = self._error_slopes(u, parts)
        matrix -= of_error.T @ (factor[rows.shifted][:, None] * of_error)
        cross = w[:, None] * of_error
        np.add.at(matrix, rows.shift, cross)
        np.add.at(matrix.T, rows.shift, cross)
        slopes[rows.shifted] += parts.shifts[:, None] * of_error
        slopes[rows.shifted, rows.shift] += parts.errors

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
        return self._expected(self._evaluate(x, self._no_side))[0]

    def jacobian(self, x: FloatArray) -> FloatArray:
        """Derivatives of the expected events, shape (n_bins, n_parameters); zero where a bin is at its floor."""
        rows, n, shape = self._rows, self.n_parameters, (self._rows.nominal.size, self.n_parameters)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            parts = self._evaluate(x, self._no_side)
            self._expected(parts)
            u = self._slope_places.dense(self._slope_places.add_up(parts.slopes[0][rows.slope])[0], shape)
            a = self._morph_places.dense(self._morph_places.add_up(parts.morphs[0])[0], shape)
            common = u.copy()
            self._add_shape_slopes(u, a, np.zeros(shape[0]), parts)
            by_row = (parts.shape * parts.factors)[:, None] * (a + parts.sums[:, None] * u)
            slopes = np.zeros((self.n_bins, n))
            slopes[self._filled] = np.add.reduceat(by_row, self._first_row, axis=0)
            if rows.shifted.size:
                slopes[rows.shifted] += parts.shifts[:, None] * self._error_slopes(common, parts)
                slopes[rows.shifted, rows.shift] += parts.errors
        return slopes * parts.moves[:, None]

    def _error_slopes(self, u: FloatArray, parts: _Parts) -> FloatArray:
        """Derivatives of the statistical errors, shape (n_shifted, n_parameters)."""
        weighted = np.zeros((self.n_bins, self.n_parameters))
        weighted[self._filled] = np.add.reduceat(parts.squares[:, None] * u, self._first_row, axis=0)
        slopes: FloatArray = weighted[self._rows.shifted] / parts.errors[:, None]
        return slopes

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
