"""A likelihood as a function with its gradient, for minimisers and samplers of one's own, and as an iminuit object."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.likelihood.data import Data
from superbin.likelihood.engine import Engine, EngineFit

if TYPE_CHECKING:
    from iminuit import Minuit

__all__ = ["minuit", "negative_log_likelihood"]


def negative_log_likelihood(
    engine: Engine, *, data: Data | None = None
) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """Return a function of the parameters that gives the negative log-likelihood and its gradient.

    Such as ``scipy.optimize.minimize(function, engine.initial, jac=True, bounds=list(zip(*engine.bounds)))``. Parameters that
    `Engine.fixed` names must be left alone.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    data : Data, optional
        By default the observed data.
    """

    def function(x: FloatArray) -> tuple[float, FloatArray]:
        return engine.nll(x, data=data), engine.gradient(x, data=data)

    return function


def minuit(
    engine: Engine, *, mu: float | None = None, data: Data | None = None, start: EngineFit | None = None
) -> "Minuit":
    """Return an iminuit object with names, bounds, starts, step sizes and gradient set; ``migrad()`` is left to do.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    mu : float, optional
        Hold the signal strength.
    data : Data, optional
        By default the observed data.
    start : EngineFit, optional
        Where to start; by default at the initial values.
    """
    from iminuit import Minuit

    x = engine.initial if start is None else start.x.copy()
    made = Minuit(
        lambda y: engine.nll(y, data=data),
        x,
        grad=lambda y: engine.gradient(y, data=data),
        name=engine.parameters,
    )
    made.errordef = Minuit.LIKELIHOOD
    made.limits = list(zip(*(ends.tolist() for ends in engine.bounds), strict=True))
    made.errors = np.where(np.isfinite(engine.widths), engine.widths, 0.1 * np.maximum(np.abs(x), 0.1))
    for j in np.flatnonzero(engine.fixed).tolist():
        made.fixed[j] = True
    if mu is not None and engine.strength is not None:
        made.values[engine.strength] = mu
        made.fixed[engine.strength] = True
    return made
