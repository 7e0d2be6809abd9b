"""A published likelihood in one object: what one can ask of it."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from superbin._support.arrays import FloatArray
from superbin._support.shown import Shown
from superbin.errors import InputError
from superbin.likelihood.dense.fits import Fit, fit, fit_pair, symmetric_inverse
from superbin.likelihood.dense.inference import (
    Exclusion,
    Significance,
    UpperLimit,
    exclusion,
    significance,
    upper_limit,
)
from superbin.likelihood.dense.objective import Data, Objective
from superbin.statistical_model import StatisticalModel

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
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters, in the order of every array."""
        return tuple(p.name for p in self.model.parameters)

    @property
    def initial(self) -> FloatArray:
        """The values that fits start from."""
        return self.objective.initial.copy()

    def array(self, values: ArrayLike | Mapping[str, float]) -> FloatArray:
        """Parameters as an array; those that a mapping does not name are at their initial values.

        Raises
        ------
        InputError
            If a name is unknown or the shape is wrong.
        """
        if isinstance(values, Mapping):
            x = self.initial
            for name, value in values.items():
                x[self.model.position(name)] = value
            return x
        x = np.asarray(values, dtype=np.float64)
        if x.shape != (len(self.parameters),):
            raise InputError(f"the parameters have shape {x.shape}; this model has {len(self.parameters)}")
        return x

    def nll(self, values: ArrayLike | Mapping[str, float], *, data: Data | None = None) -> float:
        """Negative log-likelihood with all constants: pyhf's ``-logpdf``.

        Infinite or NaN where the model is impossible (events counted where none are expected).
        """
        data = self.objective.observed if data is None else data
        return self.objective.height(self.array(values), data) + self.objective.constant(data)

    def nll_and_gradient(
        self, values: ArrayLike | Mapping[str, float], *, data: Data | None = None
    ) -> tuple[float, FloatArray]:
        """`nll` with its gradient, shape (n_parameters,); on a kink the mean of both slopes."""
        data = self.objective.observed if data is None else data
        point = self.objective.point(self.array(values), data)
        return point.height + self.objective.constant(data), point.gradient

    def hessian(self, values: ArrayLike | Mapping[str, float], *, data: Data | None = None) -> FloatArray:
        """Exact second derivatives of `nll`, shape (n_parameters, n_parameters)."""
        data = self.objective.observed if data is None else data
        return self.objective.hessian(self.objective.point(self.array(values), data), data)[0]

    def expected(self, values: ArrayLike | Mapping[str, float]) -> FloatArray:
        """Expected events of all bins, channel after channel, shape (n_bins,)."""
        return self.objective.expected(self.array(values))

    def fit(
        self,
        *,
        mu: float | None = None,
        data: Data | None = None,
        hold: Mapping[str, float] | None = None,
        random_starts: int = 4,
        seed: int = 1,
    ) -> Fit:
        """Minimise; see `superbin.likelihood.dense.fits.fit`.

        Where no start is possible at a given mu it is approached in steps from the fit of mu.
        """
        result = fit(self.objective, mu=mu, data=data, hold=hold, random_starts=random_starts, seed=seed)
        if mu is not None and not result.ok and not hold:
            return fit_pair(self.objective, mu, data=data, random_starts=random_starts, seed=seed)[1]
        return result

    def covariance(self, result: Fit) -> FloatArray:
        """Inverse Hessian at a fit, zero for parameters that are fixed or at a bound, shape (n_parameters, n_parameters).

        Raises
        ------
        InputError
            If the fit failed, or some direction has no curvature.
        """
        if not result.ok:
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

    def limit(self, *, level: float = 0.95, random_starts: int = 4) -> UpperLimit:
        """Upper limit on mu; see `superbin.likelihood.dense.inference.upper_limit`."""
        return upper_limit(self.objective, level=level, random_starts=random_starts)
