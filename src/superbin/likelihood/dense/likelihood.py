"""A published likelihood in one object: what one can ask of it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import Shown
from superbin.errors import InputError
from superbin.likelihood.data import Data
from superbin.likelihood.dense.fits import SAME, Fit, fit, fit_pair, symmetric_inverse
from superbin.likelihood.dense.inference import QUANTILES, exclusion, significance, upper_limit
from superbin.likelihood.dense.objective import BoolArray, Objective
from superbin.likelihood.engine import EngineFit, Values, parameter_array
from superbin.likelihood.found import Exclusion, Significance, UpperLimit
from superbin.statistical_model import Normal, Poisson, StatisticalModel

__all__ = ["Likelihood"]


class Likelihood(Shown):
    """A likelihood with its data.

    Parameters
    ----------
    model : StatisticalModel
        The description.

    Examples
    --------
    >>> from superbin.statistical_model import Channel, Parameter, Rate, Sample, StatisticalModel
    >>> signal, background = Sample("s", [3.0], (Rate("mu"),)), Sample("b", [5.0])
    >>> model = StatisticalModel(
    ...     (Channel("SR", [6.0], (signal, background)),), (Parameter("mu", 1.0, 0.0, 10.0),), ("mu",)
    ... )
    >>> round(Likelihood(model).fit().mu, 6)
    0.333333
    """

    def __init__(self, model: StatisticalModel) -> None:
        self.model = model

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {"channels": str(len(self.model.channels)), "parameters": str(len(self.model.parameters))}
        return self.model.name or "likelihood", facts

    @cached_property
    def objective(self) -> Objective:
        """The compiled form, for minimisers and samplers of one's own."""
        return Objective(self.model)

    @property
    def name(self) -> str:
        """Where the model came from."""
        return self.model.name

    @property
    def description(self) -> StatisticalModel:
        """The model as plain data."""
        return self.model

    @property
    def strength(self) -> str | None:
        """Name of the signal strength that limits are set on; None if the model has none."""
        return self.model.signal_strengths[0] if self.model.signal_strengths else None

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters, in the order of every array."""
        return tuple(p.name for p in self.model.parameters)

    @cached_property
    def bins(self) -> tuple[tuple[str, int], ...]:
        """Channel and number of bins, in the order of every array of bins."""
        return tuple((c.name, c.observed.size) for c in self.model.channels)

    @property
    def counted(self) -> BoolArray:
        """Which bins are in the likelihood, shape (n_bins,)."""
        return self.model.counted

    @property
    def initial(self) -> FloatArray:
        """The values that fits start from."""
        return self.objective.initial.copy()

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of all parameters."""
        return self.objective.lower.copy(), self.objective.upper.copy()

    @property
    def fixed(self) -> BoolArray:
        """Which parameters fits leave at their initial values."""
        return self.objective.fixed.copy()

    @property
    def widths(self) -> FloatArray:
        """Standard deviation of each parameter by its constraint; infinite without."""
        return self.objective.width.copy()

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Constraint of each parameter: ``"normal"``, ``"Poisson"`` or ``"free"``."""
        names = {Normal: "normal", Poisson: "Poisson"}
        return tuple(names.get(type(p.constraint), "free") for p in self.model.parameters)

    @property
    def observed(self) -> Data:
        """The published data: counts and auxiliary measurements."""
        return self.objective.observed

    def array(self, values: Values) -> FloatArray:
        """Parameters as an array; those that a mapping does not name are at their initial values.

        Raises
        ------
        InputError
            If a name is unknown or the shape is wrong.
        """
        return parameter_array(self.parameters, self.objective.initial, values)

    def asimov(self, values: Values) -> Data:
        """Return the data that parameters predict exactly: counts and auxiliary measurements."""
        return self.objective.asimov(self.array(values))

    def draw(self, values: Values, rng: np.random.Generator) -> Data:
        """Draw a pseudo-experiment: Poisson counts, and auxiliary measurements around the parameters.

        Auxiliary measurements of parameters that are fixed stay as observed.

        Raises
        ------
        InputError
            If a bin of the likelihood expects less than nothing.
        """
        x = self.array(values)
        expected = self.objective.expected(x)
        bad = np.flatnonzero(~(expected >= 0) & self.counted)
        if bad.size:
            b = int(bad[0])
            raise InputError(
                f"bin {self.model.bin_names[b]} expects {expected[b]:.4g} events; toys need expectations >= 0"
            )
        counts = rng.poisson(np.where(self.counted, expected, 0.0)).astype(np.float64)
        return Data(counts, self._drawn(x, rng))

    def _drawn(self, x: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Auxiliary measurements around parameters `x`."""
        auxiliary = self.observed.auxiliary.copy()
        for j, parameter in enumerate(self.model.parameters):
            match parameter.constraint:
                case Normal(width=width, lower_width=None):
                    drawn = rng.normal(x[j], width)
                case Normal(width=width, lower_width=float(lower)):
                    # A measurement above the parameter saw it below its centre.
                    above = rng.random() < lower / (lower + width)
                    drawn = x[j] + abs(rng.normal()) * (lower if above else -width)
                case Poisson(scale=scale):
                    drawn = float(rng.poisson(max(scale * x[j], 0.0)))
                case _:
                    continue
            if not parameter.fixed:
                auxiliary[j] = drawn
        return auxiliary

    def nll(self, values: Values, *, data: Data | None = None) -> float:
        """Negative log-likelihood with all constants: pyhf's ``-logpdf``.

        Infinite or NaN where the model is impossible (events counted where none are expected).
        """
        data = self.objective.observed if data is None else data
        return self.objective.height(self.array(values), data) + self.objective.constant(data)

    def nll_and_gradient(self, values: Values, *, data: Data | None = None) -> tuple[float, FloatArray]:
        """`nll` with its gradient, shape (n_parameters,); on a kink the mean of both slopes."""
        data = self.objective.observed if data is None else data
        point = self.objective.point(self.array(values), data)
        return point.height + self.objective.constant(data), point.gradient

    def gradient(self, values: Values, *, data: Data | None = None) -> FloatArray:
        """Gradient of `nll`, shape (n_parameters,)."""
        return self.nll_and_gradient(values, data=data)[1]

    def hessian(self, values: Values, *, data: Data | None = None) -> FloatArray:
        """Exact second derivatives of `nll`, shape (n_parameters, n_parameters)."""
        data = self.objective.observed if data is None else data
        return self.objective.hessian(self.objective.point(self.array(values), data), data)[0]

    def expected(self, values: Values) -> FloatArray:
        """Expected events of all bins, channel after channel, shape (n_bins,)."""
        return self.objective.expected(self.array(values))

    def jacobian(self, values: Values) -> FloatArray:
        """Derivatives of `expected`, shape (n_bins, n_parameters); zero for fixed parameters."""
        slopes = self.objective.jacobian(self.array(values))
        slopes[:, self.objective.fixed] = 0.0
        return slopes

    def samples(self, values: Values) -> dict[str, FloatArray]:
        """Expected events of all bins by sample, each of shape (n_bins,); zero where a channel has none of that name."""
        events = self.objective.row_events(self.array(values))
        found: dict[str, FloatArray] = {}
        row, first = 0, 0
        for channel in self.model.channels:
            n, k = channel.observed.size, len(channel.samples)
            table = events[row : row + n * k].reshape(n, k)
            for i, sample in enumerate(channel.samples):
                found.setdefault(sample.name, np.zeros(self.objective.n_bins))[first : first + n] += table[
                    :, i
                ]
            row, first = row + n * k, first + n
        return found

    def fit(
        self,
        *,
        mu: float | None = None,
        data: Data | None = None,
        hold: Mapping[str, float] | None = None,
        start: EngineFit | None = None,
        thorough: bool = True,
        random_starts: int = 4,
        seed: int = 1,
    ) -> Fit:
        """Minimise; see `superbin.likelihood.dense.fits.fit`.

        Where no start is possible at a given mu it is approached in steps from the fit of mu. Without `thorough` only `start`
        and its other minima are started from.
        """
        hold = dict(hold or {})
        if self.strength in hold and mu is None:
            mu = hold.pop(self.strength)
        if start is not None and not thorough:
            return self._followed(mu, data, hold, start)
        seeds = _seeds(start) if start is not None else ()
        result = fit(
            self.objective, mu=mu, data=data, hold=hold, seeds=seeds, random_starts=random_starts, seed=seed
        )
        if mu is not None and not result.ok and not hold:
            return fit_pair(self.objective, mu, data=data, random_starts=random_starts, seed=seed)[1]
        return result

    def _followed(
        self,
        mu: float | None,
        data: Data | None,
        hold: Mapping[str, float],
        start: EngineFit,
        **settings: Any,
    ) -> Fit:
        """Fit from known minima alone; thoroughly where that fails."""
        result = fit(
            self.objective,
            mu=mu,
            data=data,
            hold=hold,
            seeds=_seeds(start),
            random_starts=0,
            initial=False,
            **settings,
        )
        return (
            result
            if result.ok
            else fit(self.objective, mu=mu, data=data, hold=hold, seeds=_seeds(start), **settings)
        )

    def pair(
        self,
        mu: float = 0.0,
        *,
        data: Data | None = None,
        start: EngineFit | None = None,
        thorough: bool = True,
    ) -> tuple[Fit, Fit]:
        """Return the fit of the strength, at or above 0, and the fit with it held at `mu`.

        Each starts from the other's minima as well. Without `thorough` only `start` and its other minima are started from.
        """
        bounds = (0.0, np.inf)
        if start is None or thorough:
            return fit_pair(self.objective, mu, data=data, poi_bounds=bounds)
        free = self._followed(None, data, {}, start, poi_bounds=bounds)
        held = self._followed(mu, data, {}, free if free.ok else start)
        if held.ok and not free.height <= held.height + SAME:
            again = self._followed(None, data, {}, held, poi_bounds=bounds)
            free = again if again.ok else free
        return free, held

    def covariance(self, result: EngineFit) -> FloatArray:
        """Inverse Hessian at a fit, zero for parameters that are fixed or at a bound, shape (n_parameters, n_parameters).

        Raises
        ------
        InputError
            If the fit failed, or some direction has no curvature.
        """
        if not (isinstance(result, Fit) and result.ok):
            raise InputError(f"a covariance needs a converged fit; this one is {result.status}")
        hessian, _ = self.objective.hessian(result.minimum.point, result.data)
        inverse = symmetric_inverse(hessian, result.minimum.free)
        if inverse is None or result.minimum.flat:
            raise InputError(
                "a direction of the parameters has no curvature at this fit; fix a parameter of it"
            )
        return inverse

    def significance(self, *, random_starts: int = 4) -> Significance:
        """Significance of rejecting mu = 0; see `superbin.likelihood.dense.inference.significance`."""
        return significance(self.objective, random_starts=random_starts)

    def cls(self, mu: float = 1.0, *, random_starts: int = 4) -> Exclusion:
        """CLs of a signal strength, observed and expected; see `superbin.likelihood.dense.inference.exclusion`."""
        return exclusion(self.objective, mu, random_starts=random_starts)

    def limit(
        self, *, level: float = 0.95, deviations: Sequence[float] = QUANTILES, random_starts: int = 4
    ) -> UpperLimit:
        """Upper limit on mu; see `superbin.likelihood.dense.inference.upper_limit`."""
        return upper_limit(self.objective, level=level, deviations=deviations, random_starts=random_starts)


def _seeds(start: EngineFit) -> tuple[tuple[str, FloatArray], ...]:
    return tuple((f"start, minimum {i + 1}", m.x) for i, m in enumerate(start.minima))
