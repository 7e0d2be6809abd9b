"""Expected events per channel before and after a fit, by sample, with the uncertainty of the total.

The uncertainty is that of the linearised expectation, ``J C J'``: before the fit with the covariance of the constraints, after it with
the inverse Hessian, correlations included.
"""

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.likelihood.engine import Engine, EngineFit
from superbin.results.likelihood import ChannelYields, Yields

__all__ = ["postfit_yields", "prefit_yields"]


def prefit_yields(engine: Engine, *, mu: float | None = None) -> Yields:
    """Return the yields at the measured values of all parameters.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    mu : float, optional
        Signal strength; by default its initial value.
    """
    x = engine.initial
    stage = "pre-fit"
    if engine.strength is not None and mu is not None:
        x[engine.parameters.index(engine.strength)] = mu
        stage = f"pre-fit, {engine.strength} = {mu:g}"
    widths = np.where(np.isfinite(engine.widths) & ~engine.fixed, engine.widths, 0.0)
    free = [
        name
        for name, kind, held in zip(engine.parameters, engine.kinds, engine.fixed, strict=True)
        if kind == "free" and not held and name != engine.strength
    ]
    doubts = (
        (
            f"parameters without constraint have no pre-fit uncertainty: {', '.join(free[:5])}{', ...' if len(free) > 5 else ''}",
        )
        if free
        else ()
    )
    return _yields(engine, x, np.diag(widths**2), stage, doubts, engine.observed.counts)


def postfit_yields(engine: Engine, fit: EngineFit) -> Yields:
    """Return the yields at a fit.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    fit : EngineFit
        Of it.

    Raises
    ------
    InputError
        If the fit failed or a direction has no curvature.
    """
    covariance = engine.covariance(fit)
    mu = f", {engine.strength} = {fit.mu:.4g}" if fit.mu is not None else ""
    return _yields(engine, fit.x, covariance, f"post-fit{mu}", fit.doubts, fit.data.counts)


def _yields(
    engine: Engine,
    x: FloatArray,
    covariance: FloatArray,
    stage: str,
    doubts: tuple[str, ...],
    counts: FloatArray,
) -> Yields:
    samples, total, slopes = engine.samples(x), engine.expected(x), engine.jacobian(x)
    events = slopes @ covariance @ slopes.T
    error = np.sqrt(np.maximum(np.diag(events), 0.0))
    channels, first = [], 0
    for name, n in engine.bins:
        part = slice(first, first + n)
        channels.append(
            ChannelYields(
                name=name,
                observed=tuple(counts[part].tolist()),
                samples={s: tuple(v[part].tolist()) for s, v in samples.items() if v[part].any()},
                total=tuple(total[part].tolist()),
                error=tuple(error[part].tolist()),
            )
        )
        first += n
    return Yields(stage, tuple(channels), tuple(tuple(row) for row in events.tolist()), "converged", doubts)
