"""iminuit as the independent second engine, with superbin's gradient, and MINOS for mu.

MIGRAD knows nothing of the structure of the model, so it is the check of `superbin.likelihood.fit`, not a
replacement: on the 520 channels it is slower by orders of magnitude. Where it starts from a minimum that the
Newton fit found, it confirms or contradicts it.
"""

from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.likelihood.data import Data
from superbin.likelihood.fit import Fit, Fitter, control_start

__all__ = ["MinuitFit", "minos", "minuit_fit"]


@dataclass(frozen=True, slots=True, eq=False)
class MinuitFit:
    """What MIGRAD found.

    Attributes
    ----------
    status : str
        ``"converged"`` or what iminuit says.
    nll, mu : float
        At the minimum; NaN unless converged.
    interval : tuple of float, optional
        MINOS interval of mu at one standard deviation, if asked for and found.
    calls : int
        Evaluations of the likelihood.
    x : array
        mu and all parameters.
    """

    status: str
    nll: float
    mu: float
    interval: tuple[float, float] | None
    calls: int
    x: FloatArray


def minuit_fit(
    fitter: Fitter,
    *,
    mu: float | None = None,
    data: Data | None = None,
    start: Fit | None = None,
    interval: bool = False,
    strategy: int = 1,
) -> MinuitFit:
    """Minimise with MIGRAD.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    mu : float, optional
        Hold the signal strength; by default it is fitted within mu >= 0.
    data : Data, optional
        By default the observed data.
    start : Fit, optional
        Where to start; by default from the same first point as the Newton fit.
    interval : bool
        Whether to run MINOS for mu.
    strategy : int
        Of Minuit: 0 fast, 2 careful.
    """
    from iminuit import Minuit

    objective = fitter.objective
    data = fitter.observed if data is None else data
    x = control_start(fitter, data, mu) if start is None else start.x.copy()
    if mu is not None:
        x[0] = mu
    engine = Minuit(lambda y: objective.nll(y, data), x, grad=lambda y: objective.point(y, data).gradient)
    engine.errordef = Minuit.LIKELIHOOD
    engine.strategy = strategy
    engine.tol = 1e-3
    engine.limits = list(zip(objective.lower, objective.upper, strict=True))
    for j in np.flatnonzero(fitter.idle) if mu == 0 else ():
        engine.fixed[int(j)] = True
    engine.fixed[0] = mu is not None
    engine.errors = np.where(objective.constrained > 0, 1.0, 0.1 * np.maximum(np.abs(x), 0.1))
    engine.errors[0] = 0.1 * max(float(x[0]), float(objective.unit[0]))
    engine.migrad(ncall=100 * x.size + 10_000)
    if engine.fmin is None or not engine.valid:
        return MinuitFit("not valid", np.nan, np.nan, None, engine.nfcn, np.array(engine.values))
    ends = None
    if interval:
        engine.minos("x0")
        errors = engine.merrors["x0"]
        if errors.is_valid:
            ends = (engine.values[0] + errors.lower, engine.values[0] + errors.upper)
    return MinuitFit(
        "converged", float(engine.fval), float(engine.values[0]), ends, engine.nfcn, np.array(engine.values)
    )


def minos(fitter: Fitter, start: Fit) -> tuple[float, float] | None:
    """Return the MINOS interval of mu, from a fit's minimum; None if Minuit does not find it."""
    return minuit_fit(fitter, data=start.data, start=start, interval=True).interval
