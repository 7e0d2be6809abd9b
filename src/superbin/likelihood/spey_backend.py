"""superbin as a backend of spey, under the name ``superbin`` (extra ``superbin[spey]``).

    import spey
    model = spey.get_backend("superbin")(source="BkgOnly.json", patch="patchset.json", patch_name="signal_600_1")
    model.poi_upper_limit()

spey asks for the same fits again and again, so every fit is kept. The signal strength is not negative here, also where spey would allow it. ``apriori`` data are the
nominal model without signal; ``observed`` and ``aposteriori`` the published counts.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from spey import ExpectationType
from spey.base import BackendBase, ModelConfig

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood.data import Data
from superbin.likelihood.engine import Engine, EngineFit, strength_of
from superbin.likelihood.opening import open_file

__all__ = ["SuperbinBackend"]


class SuperbinBackend(BackendBase):  # type: ignore[misc]  # spey has no types
    """A published likelihood for spey.

    Parameters
    ----------
    source : str, Path or Engine
        A workspace, a card or a folder of cards; or a likelihood that is open already.
    **settings
        As of `superbin.likelihood.opening.open_file`: ``patch``, ``patch_name``, ``measurement``, ``mass``, ``interpolation``.
    """

    name = "superbin"
    version = "1.0.0"
    author = "the superbin developers"
    spey_requires = ">=0.2.0"

    def __init__(self, source: str | Path | Engine, **settings: Any) -> None:
        if isinstance(source, str | Path):
            settings = {key: Path(value) if key == "patch" else value for key, value in settings.items()}
            self.engine: Engine = open_file(Path(source), **settings).engine
        else:
            self.engine = source
        self._strength = strength_of(self.engine)
        self._poi = self.engine.parameters.index(self._strength)
        self._fits: dict[tuple[str, float | None], EngineFit] = {}
        self._data: dict[str, Data] = {}

    @property
    def is_alive(self) -> bool:
        """Whether any bin has signal."""
        x = self.engine.initial
        x[self._poi] = 0.0
        without = self.engine.expected(x)
        x[self._poi] = 1.0
        return bool((self.engine.expected(x) > without).any())

    def config(self, allow_negative_signal: bool = True, poi_upper_bound: float = 10.0) -> ModelConfig:  # noqa: ARG002
        """Return names, starts and bounds of the parameters."""
        low, high = self.engine.bounds
        bounds = list(zip(low.tolist(), high.tolist(), strict=True))
        bounds[self._poi] = (0.0, poi_upper_bound)
        return ModelConfig(
            self._poi,
            0.0,
            self.engine.initial.tolist(),
            bounds,
            parameter_names=list(self.engine.parameters),
        )

    def get_logpdf_func(
        self,
        expected: ExpectationType = ExpectationType.observed,
        data: list[float] | np.ndarray | None = None,
    ) -> Callable[[FloatArray], float]:
        """Return the logarithm of the likelihood as a function of all parameters."""
        used = self._data_of(expected) if data is None else self._counted(data)
        return lambda x: -self.engine.nll(x, data=used)

    def get_objective_function(
        self,
        expected: ExpectationType = ExpectationType.observed,
        data: list[float] | np.ndarray | None = None,
        do_grad: bool = True,
    ) -> Callable[[FloatArray], Any]:
        """Return the negative logarithm, with its gradient if asked."""
        used = self._data_of(expected) if data is None else self._counted(data)
        if not do_grad:
            return lambda x: self.engine.nll(x, data=used)
        return lambda x: (self.engine.nll(x, data=used), self.engine.gradient(x, data=used))

    def expected_data(self, pars: list[float]) -> list[float]:
        """Return the events of all bins."""
        return [float(v) for v in self.engine.expected(np.asarray(pars))]

    def negative_loglikelihood(
        self, poi_test: float = 1.0, expected: ExpectationType = ExpectationType.observed, **_: Any
    ) -> float:
        """Return the negative log-likelihood with the strength held."""
        return self._fit(str(expected), poi_test).nll

    def minimize_negative_loglikelihood(
        self, expected: ExpectationType = ExpectationType.observed, **_: Any
    ) -> tuple[float, float]:
        """Return the best strength and its negative log-likelihood."""
        best = self._fit(str(expected), None)
        return float(best.mu or 0.0), best.nll

    def asimov_negative_loglikelihood(
        self,
        poi_test: float = 1.0,
        expected: ExpectationType = ExpectationType.observed,
        test_statistics: str = "qtilde",
        **_: Any,
    ) -> float:
        """Return the negative log-likelihood of the Asimov data with the strength held."""
        return self._fit(self._asimov(expected, test_statistics), poi_test).nll

    def minimize_asimov_negative_loglikelihood(
        self, expected: ExpectationType = ExpectationType.observed, test_statistics: str = "qtilde", **_: Any
    ) -> tuple[float, float]:
        """Return the best strength of the Asimov data and its negative log-likelihood."""
        best = self._fit(self._asimov(expected, test_statistics), None)
        return float(best.mu or 0.0), best.nll

    def _data_of(self, expected: ExpectationType) -> Data:
        key = str(expected)
        if key not in self._data:
            prior = expected == ExpectationType.apriori
            self._data[key] = self.engine.asimov({self._strength: 0.0}) if prior else self.engine.observed
        return self._data[key]

    def _counted(self, counts: list[float] | np.ndarray) -> Data:
        return Data(np.asarray(counts, dtype=np.float64), self.engine.observed.auxiliary)

    def _asimov(self, expected: ExpectationType, test_statistics: str) -> str:
        """Make the Asimov data of a test, without signal or for discovery with it; return their key."""
        mu = 1.0 if test_statistics == "q0" else 0.0
        key = f"asimov {mu:g} {expected}"
        if key not in self._data:
            self._data_of(expected)
            self._data[key] = self.engine.asimov(self._fit(str(expected), mu).x)
        return key

    def _fit(self, key: str, mu: float | None) -> EngineFit:
        if key not in self._data:
            self._data_of(_kind(key))
        if (key, mu) not in self._fits:
            known = [(m, f) for (k, m), f in self._fits.items() if k == key and m is not None]
            start = min(known, key=lambda pair: abs(pair[0] - (mu or 0.0)))[1] if known else None
            fit = self._made(self._data[key], mu, start)
            if not fit.ok:
                at = "" if mu is None else f" at {self._strength} = {mu:g}"
                raise InputError(f"the fit{at} failed ({fit.status}), so spey has no likelihood")
            self._fits[key, mu] = fit
        return self._fits[key, mu]

    def _made(self, data: Data, mu: float | None, start: EngineFit | None) -> EngineFit:
        if mu is None:
            return self.engine.pair(0.0, data=data, start=start)[0]
        return self.engine.fit(mu=mu, data=data, start=start, thorough=start is None)


def _kind(key: str) -> ExpectationType:
    return next(kind for kind in ExpectationType if str(kind) == key)
