"""Pulls of nuisances and their impacts on the signal strength.

Every parameter has its linear impact from one covariance; the largest are repeated exactly, with the parameter held at its value plus and
minus one post-fit standard deviation and everything else fitted again.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from superbin.errors import InputError
from superbin.likelihood.data import Data
from superbin.likelihood.engine import Engine, EngineFit
from superbin.results.likelihood import Impact, Impacts

__all__ = ["impacts", "pulls", "refitted"]

Progress = Callable[[int, int], None]


def impacts(
    engine: Engine,
    fit: EngineFit | None = None,
    *,
    top: int = 20,
    data: Data | None = None,
    progress: Progress | None = None,
) -> Impacts:
    """Return pulls of all parameters and impacts on the signal strength, the largest first.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    fit : EngineFit, optional
        A fit of the strength; by default one is made.
    top : int
        How many impacts to repeat by fits.
    data : Data, optional
        For the default fit; by default the observed data.
    progress : callable, optional
        Called with the number of parameters done and to do.
    """
    best = engine.fit(data=data) if fit is None else fit
    if not best.ok:
        return Impacts(engine.strength, None, None, (), f"best fit: {best.status}")
    found = pulls(engine, best)
    repeated = [i for i, one in enumerate(found) if one.error is not None][:top] if engine.strength else []
    exact = list(found)
    for n, i in enumerate(repeated):
        exact[i] = refitted(engine, best, found[i])
        if progress is not None:
            progress(n + 1, len(repeated))
    failed = [exact[i].name for i in repeated if exact[i].up is None or exact[i].down is None]
    doubts = (*best.doubts, *((f"impacts by fits that failed: {', '.join(failed[:5])}",) if failed else ()))
    ordered = tuple(sorted(exact, key=_size, reverse=True))
    return Impacts(engine.strength, best.mu, best.mu_error, ordered, "converged", doubts)


def _size(impact: Impact) -> float:
    return max(abs(impact.linear or 0.0), abs(impact.up or 0.0), abs(impact.down or 0.0))


def pulls(engine: Engine, fit: EngineFit) -> tuple[Impact, ...]:
    """Return all parameters but the strength, the largest linear impact first.

    Raises
    ------
    InputError
        If the fit did not converge, or a direction has no curvature.
    """
    covariance = engine.covariance(fit)
    errors = np.sqrt(np.diag(covariance))
    poi = engine.parameters.index(engine.strength) if engine.strength else None
    widths, measured = engine.widths, _measured(engine, fit)
    found = []
    for j, (name, kind) in enumerate(zip(engine.parameters, engine.kinds, strict=True)):
        if j == poi:
            continue
        error = float(errors[j]) if errors[j] > 0 else None
        constrained = np.isfinite(widths[j])
        linear = float(covariance[poi, j] / errors[j]) if error is not None and poi is not None else None
        found.append(
            Impact(
                name=name,
                kind=kind,
                value=float(fit.x[j]),
                error=error,
                pull=float((fit.x[j] - measured[j]) / widths[j]) if constrained else None,
                constraint=float(errors[j] / widths[j]) if constrained and error is not None else None,
                linear=linear,
            )
        )
    return tuple(sorted(found, key=lambda one: -abs(one.linear or 0.0)))


def _measured(engine: Engine, fit: EngineFit) -> np.ndarray:
    """Where each constraint alone would put its parameter."""
    auxiliary = fit.data.auxiliary
    poisson = np.array([kind == "Poisson" for kind in engine.kinds], dtype=bool)
    # The width of a Poisson constraint is sqrt(count) / scale.
    observed = np.sqrt(np.maximum(engine.observed.auxiliary, 1.0))
    scale = np.where(poisson, observed / np.where(poisson, engine.widths, 1.0), 1.0)
    return np.asarray(auxiliary / scale)


def refitted(engine: Engine, fit: EngineFit, impact: Impact) -> Impact:
    """Return an impact with its exact values, up and down.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    fit : EngineFit
        The fit of the strength that `impact` is from.
    impact : Impact
        Of `pulls`.

    Raises
    ------
    InputError
        If the fit has no strength.
    """
    if fit.mu is None:
        raise InputError("impacts need a fit of the signal strength")
    if impact.error is None:
        return impact
    j = engine.parameters.index(impact.name)
    low, high = (float(ends[j]) for ends in engine.bounds)
    shifts: list[float | None] = []
    for sign in (1, -1):
        value = float(np.clip(impact.value + sign * impact.error, low, high))
        moved = engine.fit(start=fit, data=fit.data, hold={impact.name: value}, thorough=False)
        shifts.append(moved.mu - fit.mu if moved.ok and moved.mu is not None else None)
    return replace(impact, up=shifts[0], down=shifts[1])
