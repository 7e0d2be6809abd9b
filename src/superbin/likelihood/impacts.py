"""Pulls of nuisances and their impacts on mu.

`pulls` gives both for all parameters from one inverse Hessian; `refitted` repeats the largest exactly, holding the
nuisance at its value plus and minus one post-fit standard deviation and fitting everything else again.
"""

from dataclasses import dataclass

import numpy as np

from superbin.likelihood.fit import Fit, Fitter, single_threaded

__all__ = ["Impact", "Pull", "pulls", "refitted"]


@dataclass(frozen=True, slots=True)
class Pull:
    """One parameter after a fit.

    Attributes
    ----------
    name, kind : str
        As of `Parameter`.
    value : float
        Fitted value: of a ``normal`` nuisance its shift in units of its own uncertainty, else the parameter itself.
    error : float or None
        Post-fit standard deviation; None for a parameter held at a bound.
    impact : float or None
        Shift of mu when the parameter moves up by `error` and everything else follows, to first order; None
        without `error`, or where mu was held.
    """

    name: str
    kind: str
    value: float
    error: float | None
    impact: float | None


@dataclass(frozen=True, slots=True)
class Impact:
    """Shift of mu with one nuisance held one standard deviation up and down; None where that fit fails."""

    name: str
    up: float | None
    down: float | None


def pulls(fitter: Fitter, fit: Fit) -> tuple[Pull, ...]:
    """Return all parameters, the largest impact first.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    fit : Fit
        A converged fit.

    Raises
    ------
    InputError
        If the fit did not converge.
    """
    best = fit.minima[0]
    hessian = fitter.hessian(fit)
    with single_threaded():
        covariance = hessian.solve(np.eye(fit.x.size))
    errors = np.sqrt(np.diag(covariance))
    found = []
    for j, parameter in enumerate(fitter.model.parameters, start=1):
        error = float(errors[j]) if best.free[j] else None
        impact = float(covariance[0, j] / errors[j]) if best.free[j] and best.free[0] else None
        found.append(Pull(parameter.name, parameter.kind, float(fit.x[j]), error, impact))
    return tuple(sorted(found, key=lambda pull: -abs(pull.impact or 0.0)))


def refitted(fitter: Fitter, fit: Fit, pull: Pull) -> Impact:
    """Return the exact impact of one parameter.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    fit : Fit
        The fit of mu that the pull is from.
    pull : Pull
        Of `pulls`, with an error.
    """
    if pull.error is None:
        return Impact(pull.name, None, None)
    parameter = fitter.model.parameters[fitter.model.position(pull.name)]
    shifts: list[float | None] = []
    for sign in (1, -1):
        value = float(np.clip(pull.value + sign * pull.error, parameter.lower, parameter.upper))
        moved = fitter.fit(start=fit, data=fit.data, hold={pull.name: value})
        shifts.append(moved.mu - fit.mu if moved.ok else None)
    return Impact(pull.name, *shifts)
