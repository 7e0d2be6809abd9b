"""The negative log-likelihood of a counting model with its gradient and block Hessian.

`Objective` compiles a `CountingModel` once; its methods then take the parameters ``x = (mu, nuisances...)`` and a
`Data` set::

    NLL = sum_c (lambda_c - n_c ln lambda_c) - sum_c (n_c - n_c ln n_c) + 1/2 sum_normal (theta - centre)^2

The second sum is a constant that keeps the digits. With A = dK (terms x parameters), G = d lambda (channels x
parameters) and w = 1 - n/lambda, the gradient is ``A'(w nu)`` plus the constraint and the Hessian
``G' diag(n/lambda^2) G + A' diag(w nu) A + diag(sum w nu K'') + C``. mu stands apart: the yield is linear in it and
it may be zero. The Hessian is assembled in the blocks of `superbin.likelihood.blocks`.
"""

from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.likelihood.blocks import Blocks, Factor
from superbin.likelihood.data import Data
from superbin.likelihood.interpolation import Exponents
from superbin.likelihood.model import BoolArray, CountingModel, IntArray, add_up

__all__ = ["Curvature", "Objective", "Point", "two_sided"]

RIDGE = 1e-8
"""Stands on the diagonal of unconstrained parameters, in their natural units: some have no curvature at all (a free rate of
channels that all count none, a signal systematic at mu = 0). It slows no convergence, since real curvatures are above
1e-4."""

LEAST_BACKGROUND = 0.1
"""Events. Where less is expected, a ratio of signal to background says little about the size of mu."""


BENDS = (-0.4, 0.0, 0.4)
"""Values of a nuisance where its factors bend the logarithm of a rate most, whichever way they do: where the tails meet the
middle, and the middle."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """The model evaluated at one x."""

    x: FloatArray
    nll: float
    gradient: FloatArray
    expected: FloatArray
    terms: FloatArray
    signal_terms: FloatArray
    d: FloatArray
    dd: FloatArray
    weight: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """What the Hessian is made of at one point; see the module's formula.

    Attributes
    ----------
    slopes : array, shape (n_entries,)
        dK/dx.
    terms, signal : array, shape (n_terms,)
        Expected events, and their derivative by mu.
    weight, poisson : array, shape (n_channels,)
        First and second derivative of the Poisson term by the expectation.
    mixed : array, shape (n_channels,)
        The weight that the second derivatives by mu and a nuisance have.
    diagonal : array, shape (n_parameters,)
        Everything that is on the diagonal alone.
    damping : float
        What it was damped with; zero for the true Hessian.
    """

    slopes: FloatArray
    terms: FloatArray
    signal: FloatArray
    weight: FloatArray
    mixed: FloatArray
    poisson: FloatArray
    diagonal: FloatArray
    damping: float


def two_sided(model: CountingModel) -> IntArray:
    """Constrained parameters whose two factors on some term both raise it, or both lower it.

    The likelihood may have a minimum on either side of zero and a saddle between.
    """
    same = np.abs(model.log_up + model.log_down) > np.abs(model.log_up - model.log_down)
    acting = same & (model.kinds[model.entry_parameter] == "normal")
    return np.asarray(np.unique(model.entry_parameter[acting]), dtype=np.intp)


class Objective:
    """A compiled model.

    Parameters
    ----------
    model : CountingModel
        The model; parameter i of it is ``x[1 + i]``, and ``x[0]`` is mu.

    Attributes
    ----------
    unit : array, shape (n_parameters,)
        Natural size of a change of every parameter: of mu one standard deviation in the nominal model without nuisances,
        so that nothing depends on the scale of the signal's yields; of a free rate its starting value, at least 1.
    """

    def __init__(self, model: CountingModel) -> None:
        self.model = model
        kinds = model.kinds
        free = np.concatenate([[False], kinds == "free"])
        self.constrained: FloatArray = np.concatenate([[0.0], (kinds == "normal").astype(np.float64)])
        self.lower: FloatArray = np.array([0.0, *(p.lower for p in model.parameters)])
        self.upper: FloatArray = np.array([np.inf, *(p.upper for p in model.parameters)])
        self.initial: FloatArray = np.array([0.0, *(p.initial for p in model.parameters)])
        self.exponents = Exponents.make(
            model.entry_parameter + 1, free, model.log_down, model.log_up, model.interpolation
        )
        self.n_channels = len(model.channels)
        self.n_parameters = len(model.parameters) + 1
        self.blocks = Blocks(model)
        self._term = model.entry_term
        self._channel = model.term_channel
        self._signal = np.flatnonzero(model.signal)
        free_unit = np.where(free, np.maximum(self.initial, 1.0), 1.0)
        self._two_sided = two_sided(model) + 1
        self.unit: FloatArray = np.concatenate([[self._mu_unit()], free_unit[1:]])
        self._ridge: FloatArray = (1 - self.constrained) / self.unit**2
        self._bends = [self.exponents.derivatives(self.initial + at * self.constrained)[2] for at in BENDS]

    def _mu_unit(self) -> float:
        if not self._signal.size:
            return 1.0
        rates, signal = self.rates(self.initial)
        background = add_up(self._channel, rates, self.n_channels)
        per_channel = add_up(self._channel[self._signal], signal, self.n_channels)
        return 1 / float(np.sqrt((per_channel**2 / np.maximum(background, LEAST_BACKGROUND)).sum()))

    def data(self, counts: FloatArray | None = None, centres: FloatArray | None = None) -> Data:
        """Return a data set; by default the observed counts and constraints at zero."""
        counts = self.model.observed if counts is None else np.asarray(counts, dtype=np.float64)
        return Data(counts, np.zeros(self.n_parameters) if centres is None else centres)

    def rates(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the events of every term, and those of the signal terms at mu = 1.

        Parameters
        ----------
        x : array, shape (n_parameters,)
            mu and the nuisances.
        """
        return self._rates(x, self.exponents.values(x))

    def _rates(self, x: FloatArray, k: FloatArray) -> tuple[FloatArray, FloatArray]:
        exponent = add_up(self._term, k, self._channel.size)
        # Beyond e^600 a rate is not a number a fit can use; the bound turns overflow into a large finite value.
        terms = self.model.rates * np.exp(np.minimum(exponent, 600.0))
        signal = terms[self._signal]
        terms[self._signal] *= x[0]
        return terms, signal

    def expected(self, x: FloatArray) -> FloatArray:
        """Return the expected events of every channel."""
        return add_up(self._channel, self.rates(x)[0], self.n_channels)

    def nll(self, x: FloatArray, data: Data) -> float:
        """Return the negative log-likelihood; infinite where an observed channel expects nothing."""
        return self._nll(x, self.expected(x), data)

    def _nll(self, x: FloatArray, expected: FloatArray, data: Data) -> float:
        n = data.counts
        seen = n > 0
        if not (expected[seen] > 0).all():
            return np.inf
        ratio = expected[seen] / n[seen]
        poisson = float((expected - n).sum() - (n[seen] * np.log(ratio)).sum())
        shift = (x - data.auxiliary) * self.constrained
        return poisson + 0.5 * float(shift @ shift)

    def point(self, x: FloatArray, data: Data) -> Point:
        """Evaluate the likelihood and its gradient, and keep what the Hessian needs."""
        k, d, dd = self.exponents.derivatives(x)
        terms, signal = self._rates(x, k)
        expected = add_up(self._channel, terms, self.n_channels)
        nll = self._nll(x, expected, data)
        safe = np.where(expected > 0, expected, 1.0)
        weight = 1 - data.counts / safe
        per_term = weight[self._channel] * terms
        gradient = add_up(self.exponents.parameter, d * per_term[self._term], self.n_parameters)
        gradient += (x - data.auxiliary) * self.constrained
        gradient[0] += float(weight[self._channel[self._signal]] @ signal)
        return Point(x, nll, gradient, expected, terms, signal, d, dd, weight)

    def curvature(
        self, point: Point, data: Data, *, convex: bool = False, damping: float = 0.0, ridge: float = RIDGE
    ) -> Curvature:
        """Prepare the Hessian at a point.

        Parameters
        ----------
        point : Point
            Where.
        data : Data
            The data set.
        convex : bool
            Leave out the negative part, so that the result is positive semidefinite.
        damping : float
            Added to the diagonal, in units of each parameter's own scale.
        ridge : float
            Added to the diagonal of unconstrained parameters, in their natural units.
        """
        weight = np.maximum(point.weight, 0.0) if convex else point.weight
        per_term = weight[self._channel] * point.terms
        bend = add_up(self.exponents.parameter, point.dd * per_term[self._term], self.n_parameters)
        if convex:
            # Yields are convex in the logarithm of a free rate, not in the rate and a nuisance together.
            bend = np.where(self.exponents.free, 0.0, np.maximum(bend, 0.0))
        signal = np.zeros(self._channel.size)
        signal[self._signal] = point.signal_terms
        safe = np.where(point.expected > 0, point.expected, 1.0)
        scale = np.where(self.constrained > 0, 1.0, self.information(point)) if damping else 0.0
        return Curvature(
            slopes=point.d,
            terms=point.terms,
            signal=signal,
            weight=weight,
            # mu times the exponential of a nuisance is convex in neither direction alone.
            mixed=np.zeros_like(weight) if convex else weight,
            poisson=data.counts / safe**2,
            diagonal=self.constrained + bend + ridge * self._ridge + damping * scale,
            damping=damping,
        )

    def may_be_saddle(self, point: Point, data: Data, free: BoolArray) -> bool:
        """Whether a parameter with a vanishing slope bends the likelihood downwards.

        Parameters
        ----------
        point : Point
            Where the gradient vanishes.
        data : Data
            The data set.
        free : array of bool, shape (n_parameters,)
            Parameters that may move.
        """
        alone = self.curvature(point, data).diagonal[self._two_sided]
        return bool((alone[free[self._two_sided]] <= 0).any())

    def bent(self, point: Point) -> IntArray:
        """Return the constrained parameters along which there may be a second minimum.

        With the tension between counts and expectation at `point`, the bend of their factors somewhere outweighs the constraint.

        Parameters
        ----------
        point : Point
            A minimum.
        """
        pull = (point.weight[self._channel] * point.terms)[self._term]
        bends = [add_up(self.exponents.parameter, dd * pull, self.n_parameters) for dd in self._bends]
        return np.flatnonzero((self.constrained > 0) & (1 + np.min(bends, axis=0) < 0))

    def information(self, point: Point) -> FloatArray:
        """Return a scale of the curvature for every parameter by itself, > 0: events times squared slope, and constraint."""
        slope = point.d**2 * point.terms[self._term]
        scale = add_up(self.exponents.parameter, slope, self.n_parameters) + self.constrained
        scale += RIDGE * np.where(self.constrained > 0, 1.0, self._ridge)
        signal = add_up(self._channel[self._signal], point.signal_terms, self.n_channels)
        scale[0] += float((signal**2 / np.where(point.expected > 0, point.expected, 1.0)).sum())
        return scale

    def factor(self, curvature: Curvature, free: BoolArray) -> Factor | None:
        """Factorise the Hessian in the parameters that may move; None if it is not positive definite.

        Parameters
        ----------
        curvature : Curvature
            Of `curvature`.
        free : array of bool, shape (n_parameters,)
            The others are held: their rows and columns become those of the unit matrix.
        """
        return self.blocks.factor(
            entries=curvature.slopes * free[self.exponents.parameter],
            terms=curvature.terms,
            signal=curvature.signal if free[0] else np.zeros_like(curvature.signal),
            weight=curvature.weight,
            mixed=curvature.mixed,
            curvature=curvature.poisson,
            diagonal=np.where(free, curvature.diagonal, 1.0),
        )

    def times(self, curvature: Curvature, vector: FloatArray) -> FloatArray:
        """Return the Hessian times a vector of shape (n_parameters,)."""
        j = self.exponents.parameter
        exponent = add_up(self._term, curvature.slopes * vector[j], self._channel.size)
        moved = curvature.terms * exponent
        shift = add_up(self._channel, moved + curvature.signal * vector[0], self.n_channels)
        per_channel = curvature.poisson * shift
        w, mixed = curvature.weight[self._channel], curvature.mixed[self._channel]
        pull = per_channel[self._channel] * curvature.terms + w * moved + mixed * curvature.signal * vector[0]
        result = add_up(j, curvature.slopes * pull[self._term], self.n_parameters)
        result += curvature.diagonal * vector
        result[0] += float(curvature.signal @ (per_channel[self._channel] + mixed * exponent))
        return result

    def jacobian(self, point: Point) -> FloatArray:
        """Return d(terms)/dx, dense, shape (n_terms, n_parameters); for predictions, not for fits."""
        jacobian = np.zeros((self._channel.size, self.n_parameters))
        jacobian[self._term, self.exponents.parameter] = point.d * point.terms[self._term]
        jacobian[self._signal, 0] = point.signal_terms
        return jacobian
