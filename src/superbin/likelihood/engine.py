"""What every likelihood engine can do: the protocol that the sparse and the dense engine satisfy.

Everything that one can ask of a likelihood (`superbin.likelihood.scans`, `impacts`, `toys`, `goodness`, `yields`, `simplified`) is written against
`Engine` alone. Parameters are arrays in the order of `Engine.parameters`, or mappings of names to values, in which what is not named
has its initial value.
"""

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood.data import Data
from superbin.likelihood.found import Exclusion, FoundMinimum, Significance, UpperLimit
from superbin.statistical_model import StatisticalModel

__all__ = ["Engine", "EngineFit", "Values", "parameter_array", "strength_of", "test_statistic"]

Values: TypeAlias = ArrayLike | Mapping[str, float]


class EngineFit(Protocol):
    """A fit of any engine. `ok` says whether it has numbers."""

    @property
    def status(self) -> str:
        """``"converged"``, or why there is no result."""

    @property
    def ok(self) -> bool:
        """Whether a minimum was found."""

    @property
    def nll(self) -> float:
        """Negative log-likelihood with all constants; NaN if the fit failed."""

    @property
    def height(self) -> float:
        """NLL above that of the saturated model; differences have all digits."""

    @property
    def mu(self) -> float | None:
        """The signal strength."""

    @property
    def mu_error(self) -> float | None:
        """Its standard deviation; None where it is held, at a bound or not determined."""

    @property
    def x(self) -> FloatArray:
        """All parameters."""

    @property
    def values(self) -> Mapping[str, float]:
        """All parameters by name."""

    @property
    def at_bounds(self) -> tuple[str, ...]:
        """Parameters that ended at a bound."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a reader of the numbers has to know."""

    @property
    def minima(self) -> tuple[FoundMinimum, ...]:
        """All minima found, the lowest first."""

    @property
    def data(self) -> Data:
        """What was fitted."""


class Engine(Protocol):
    """A likelihood with its data."""

    @property
    def name(self) -> str:
        """Where it came from."""

    @property
    def description(self) -> StatisticalModel:
        """The model as plain data, for exports and combinations."""

    @property
    def strength(self) -> str | None:
        """Name of the signal strength."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters, in the order of every array."""

    @property
    def bins(self) -> tuple[tuple[str, int], ...]:
        """Channel and number of bins, in the order of every array of bins."""

    @property
    def counted(self) -> np.ndarray:
        """Which bins are in the likelihood, shape (n_bins,)."""

    @property
    def initial(self) -> FloatArray:
        """Where fits start."""

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds."""

    @property
    def fixed(self) -> np.ndarray:
        """Which parameters fits leave alone."""

    @property
    def widths(self) -> FloatArray:
        """Standard deviation of each parameter by its constraint; infinite without."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Constraint of each parameter: ``"normal"``, ``"Poisson"`` or ``"free"``."""

    @property
    def observed(self) -> Data:
        """The data."""

    def asimov(self, values: Values) -> Data:
        """Return the data that parameters predict exactly."""

    def draw(self, values: Values, rng: np.random.Generator) -> Data:
        """Draw counts and auxiliary measurements."""

    def nll(self, values: Values, *, data: Data | None = None) -> float:
        """Negative log-likelihood with all constants."""

    def gradient(self, values: Values, *, data: Data | None = None) -> FloatArray:
        """Its gradient."""

    def expected(self, values: Values) -> FloatArray:
        """Events of all bins."""

    def jacobian(self, values: Values) -> FloatArray:
        """Derivatives of `expected`, shape (n_bins, n_parameters)."""

    def samples(self, values: Values) -> dict[str, FloatArray]:
        """Events of all bins by sample."""

    def fit(
        self,
        *,
        mu: float | None = None,
        data: Data | None = None,
        hold: Mapping[str, float] | None = None,
        start: EngineFit | None = None,
        thorough: bool = True,
    ) -> EngineFit:
        """Minimise; without `thorough` only from `start` and its minima."""

    def pair(
        self,
        mu: float = 0.0,
        *,
        data: Data | None = None,
        start: EngineFit | None = None,
        thorough: bool = True,
    ) -> tuple[EngineFit, EngineFit]:
        """Return the fit of the strength, at or above 0, and the fit with it held; neither misses the other's minimum."""

    def covariance(self, result: EngineFit) -> FloatArray:
        """Inverse Hessian, zero for parameters that are held or at a bound."""

    def significance(self) -> Significance:
        """Significance of rejecting mu = 0."""

    def cls(self, mu: float = 1.0) -> Exclusion:
        """CLs of a signal strength."""

    def limit(self, *, level: float = 0.95) -> UpperLimit:
        """Upper limit on the signal strength."""


def parameter_array(names: tuple[str, ...], initial: FloatArray, values: Values) -> FloatArray:
    """Parameters as an array; those that a mapping does not name are at their initial values.

    Raises
    ------
    InputError
        If a name is unknown or the shape is wrong.
    """
    if isinstance(values, Mapping):
        x = initial.copy()
        index = {name: i for i, name in enumerate(names)}
        for name, value in values.items():
            if name not in index:
                raise InputError(f"the model has no parameter {name!r}")
            x[index[name]] = value
        return x
    x = np.asarray(values, dtype=np.float64)
    if x.shape != (len(names),):
        raise InputError(f"the parameters have shape {x.shape}; this model has {len(names)}")
    return x


def strength_of(engine: Engine) -> str:
    """Name of the signal strength.

    Raises
    ------
    InputError
        If the model has none.
    """
    if engine.strength is None:
        raise InputError(f"{engine.name or 'the model'} has no signal strength; name a parameter of interest")
    return engine.strength


def test_statistic(free: EngineFit, held: EngineFit, mu: float) -> float | None:
    """Return q0 (for mu = 0) or qtilde_mu from the two fits of `Engine.pair`; None if one failed.

    It is ``2 (NLL(mu) - NLL(mu hat))`` with mu hat >= 0, itself >= 0; zero for ``mu hat > mu > 0``.
    """
    if not (free.ok and held.ok):
        return None
    if mu > 0 and (free.mu or 0.0) > mu:
        return 0.0
    return max(0.0, 2 * (held.height - free.height))
