"""Predictions of the bins from a fit, with the full covariance.

``control`` uses the control regions alone: what the search expected before it looked. ``background`` is the fit of all
channels at mu = 0: the prediction after looking. Both propagate the inverse Hessian, C = J H^-1 J', so errors are
symmetric here; for asymmetric ones see `superbin.likelihood.variations`.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.likelihood.fit import Fitter, single_threaded
from superbin.likelihood.model import CountingModel, PublishedLikelihood, ZeroCount, add_up, choice

__all__ = ["BinPrediction", "Scope", "predict"]

Scope: TypeAlias = Literal["control", "background"]


@dataclass(frozen=True, slots=True, eq=False)
class BinPrediction:
    """Expected background of every bin.

    Attributes
    ----------
    status : str
        ``"converged"``, or why the fit failed; the arrays are NaN then.
    expected : array, shape (n_bins,)
        Events.
    covariance : array, shape (n_bins, n_bins)
        Events squared. Free rates that end at a bound do not contribute.
    processes : mapping of str to array
        Events by process.
    options : mapping of str to str
        Conventions.
    """

    status: str
    expected: FloatArray
    covariance: FloatArray
    processes: dict[str, FloatArray]
    options: dict[str, str]

    @property
    def errors(self) -> FloatArray:
        """Standard deviations, events."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> FloatArray:
        """Correlation matrix; zero for bins without error."""
        scale = self.errors
        safe = np.where(scale > 0, scale, 1.0)
        return self.covariance / safe[:, None] / safe


def predict(
    likelihood: PublishedLikelihood, scope: Scope = "control", *, zero_count: ZeroCount | None = None
) -> BinPrediction:
    """Predict the background of every bin.

    Parameters
    ----------
    likelihood : PublishedLikelihood
        The search.
    scope : {"control", "background"}
        What is fitted.
    zero_count : {"profiled", "dropped"}, optional
        Convention for terms whose control region counts none. By default they are dropped with ``control``, as in
        the published predictions, and profiled with ``background``.

    Raises
    ------
    InputError
        If an option is unknown, or a control region is missing.
    """
    choice("scope", scope, get_args(Scope))
    zero_count = zero_count or ("dropped" if scope == "control" else "profiled")
    model = likelihood.background(zero_count=zero_count)
    fitted = model if scope == "background" else model.restricted(np.flatnonzero(model.bins < 0))
    fitter = Fitter(fitted)
    fit = fitter.fit(mu=0.0)
    whole = Fitter(model)
    options: dict[str, str] = {"zero_count": zero_count, "interpolation": model.interpolation}
    n = likelihood.n_bins
    best = fit.minima[0]
    if not fit.ok:
        nothing = np.full(n, np.nan)
        return BinPrediction(f"{fit.status}: {fit.reason}", nothing, np.full((n, n), np.nan), {}, options)
    # Parameters that the fit does not know keep their prior: nominal, with unit error.
    x = whole.objective.initial.copy()
    place = np.array([0, *(1 + model.position(p.name) for p in fitted.parameters)])
    x[place] = fit.x
    x[0] = 0.0
    point = whole.objective.point(x, whole.observed)
    terms = _by_bin(model, whole.objective.jacobian(point), n)
    alone = np.setdiff1d(np.arange(x.size), place)
    inner = np.where(best.free[:, None], terms[:, place].T, 0.0)
    hessian = fitter.hessian(fit)
    with single_threaded():
        covariance = inner.T @ hessian.solve(inner) + terms[:, alone] @ terms[:, alone].T
    processes = {
        name: add_up(model.term_bin[rows], point.terms[rows], n)
        for name in dict.fromkeys(model.processes)
        if (rows := np.flatnonzero((np.array(model.processes) == name) & (model.term_bin >= 0))).size
    }
    return BinPrediction("converged", sum(processes.values(), np.zeros(n)), covariance, processes, options)


def _by_bin(model: CountingModel, jacobian: FloatArray, n: int) -> FloatArray:
    """Sum rows of terms into bins, leaving out control regions."""
    total = np.zeros((n, jacobian.shape[1]))
    rows = np.flatnonzero(model.term_bin >= 0)
    np.add.at(total, model.term_bin[rows], jacobian[rows])
    return total
