"""Everything about one signal in one call: `evaluate` fits, tests and limits, and `Evaluation` holds it.

This is what ``superbin likelihood fit`` prints.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.likelihood.counting import CountingLikelihood
from superbin.likelihood.engine import Engine, EngineFit, strength_of
from superbin.likelihood.fit import Fit, Fitter
from superbin.likelihood.found import UpperLimit
from superbin.likelihood.inference import (
    Discovery,
    Interval,
    Limit,
    asimov_postfit,
    asimov_prefit,
    discovery,
    expected_discovery,
    fit_both,
    interval,
    upper_limit,
)
from superbin.likelihood.scans import RISES, scan

if TYPE_CHECKING:
    from superbin.likelihood.model import CountingModel

__all__ = ["Evaluation", "evaluate", "limit_document", "summarize"]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Fits and their consequences for one model.

    Attributes
    ----------
    free, background : Fit
        With mu fitted, and at mu = 0.
    interval : Interval
        Of mu, by profile likelihood.
    observed : Discovery
        Significance of the data.
    prefit, postfit : Discovery
        Expected significance of mu = 1, by the Asimov set of the name.
    limit : Limit
        Upper limits on mu.
    seconds : float
        Wall time of everything.
    options : mapping of str to str
        Conventions of the model.
    """

    free: Fit
    background: Fit
    interval: Interval
    observed: Discovery
    prefit: Discovery
    postfit: Discovery
    limit: Limit
    seconds: float
    options: dict[str, str]

    @property
    def status(self) -> str:
        """``"converged"`` if every fit did, or the first thing that went wrong."""
        for part in (self.observed, self.interval, self.prefit, self.postfit, self.limit):
            if part.status != "converged":
                return part.status
        return "converged"

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON; what failed is null, and ``status`` says why."""
        free, background, limit = self.free, self.background, self.limit
        return {
            "status": self.status,
            "nll_free": free.nll if free.ok else None,
            "nll_mu0": background.nll if background.ok else None,
            "mu_hat": free.mu if free.ok else None,
            "mu_err": free.mu_error,
            "mu_undetermined": free.ok and free.mu > 0 and free.mu_error is None,
            "mu_interval": [self.interval.low, self.interval.high],
            "z0_observed": self.observed.z,
            "z0_expected": {"prefit": self.prefit.z, "postfit": self.postfit.z},
            "limit": limit_document(limit),
            "fits": {"free": _fit(free), "mu0": _fit(background)},
            "seconds": self.seconds,
            "options": self.options,
        }


def limit_document(limit: Limit | UpperLimit) -> dict[str, Any]:
    """Return plain values of an asymptotic limit for JSON."""
    return {
        "observed": limit.observed,
        "expected": limit.expected,
        "bands": {f"{n:+d}" if n else "0": value for n, value in limit.bands.items()},
        "level": limit.level,
        "method": "CLs, asymptotic qtilde",
    }


def summarize(engine: Engine) -> dict[str, Any]:
    """Return fits, significances, interval and limits of a likelihood as plain values for JSON; what failed is null.

    Likelihoods count from the saturated model, as everywhere in `Evaluation`; ``nll_constant`` leads to those with all constants.

    Parameters
    ----------
    engine : Engine
        With a signal strength.
    """
    if isinstance(engine, CountingLikelihood):
        found = evaluate(engine.fitter)
        constant = engine.nll(found.free.x) - engine.fitter.objective.nll(found.free.x, engine.observed)
        return found.document() | {"nll_constant": constant}
    began = time.perf_counter()
    poi = engine.parameters.index(strength_of(engine))
    free, background = engine.pair()
    significance, limit = engine.significance(), engine.limit()
    prefit = engine.initial
    prefit[poi] = 1.0
    expected: dict[str, float | None] = {"prefit": _asimov_z(engine, prefit, None), "postfit": None}
    ends: tuple[float | None, float | None] = (None, None)
    if background.ok:
        postfit = background.x.copy()
        postfit[poi] = 1.0
        expected["postfit"] = _asimov_z(engine, postfit, background)
    if free.ok and (free.mu_error or 0.0) > 0:
        # Two points are enough: the ends are solved for.
        low, high = scan(engine, points=2, width=1.0).intervals.get(RISES[0], ends)
        ends = (0.0 if low is None else max(low, 0.0), high)
    status = next((s for s in (significance.status, limit.status) if s != "converged"), "converged")
    return {
        "status": status,
        "nll_free": free.height if free.ok else None,
        "nll_mu0": background.height if background.ok else None,
        "nll_constant": free.nll - free.height if free.ok else None,
        "mu_hat": free.mu if free.ok else None,
        "mu_err": free.mu_error,
        "mu_undetermined": free.ok and (free.mu or 0.0) > 0 and free.mu_error is None,
        "mu_interval": list(ends),
        "z0_observed": significance.z if significance.z != float("inf") else None,
        "z0_expected": expected,
        "limit": limit_document(limit),
        "fits": {
            "free": {"status": free.status, "n_at_bounds": len(free.at_bounds)},
            "mu0": {"status": background.status, "n_at_bounds": len(background.at_bounds)},
        },
        "doubts": list(dict.fromkeys((*significance.doubts, *limit.doubts))),
        "seconds": time.perf_counter() - began,
        "options": {},
    }


def _asimov_z(engine: Engine, x: FloatArray, start: EngineFit | None) -> float | None:
    """Significance of the Asimov set of parameters `x`, whose likelihood is lowest where it was made."""
    fit = engine.fit(mu=0.0, data=engine.asimov(x), start=start)
    return float(np.sqrt(max(0.0, 2 * fit.height))) if fit.ok else None


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "status": fit.status,
        "reason": fit.reason,
        "iterations": fit.iterations,
        "projected_gradient": fit.projected_gradient if fit.ok else None,
        "n_at_bounds": len(fit.at_bounds),
        "minimum": fit.branch,
        "seconds": fit.seconds,
    }


def evaluate(fitter: Fitter) -> Evaluation:
    """Fit the observed data and draw every asymptotic consequence; limits are at 95 % confidence level.

    Failed fits do not raise; see `Evaluation.status`. For another level there is
    `superbin.likelihood.inference.upper_limit`.

    Parameters
    ----------
    fitter : Fitter
        Of a model with a signal.
    """
    began = time.perf_counter()
    free, background = fit_both(fitter)
    model: CountingModel = fitter.model
    return Evaluation(
        free=free,
        background=background,
        interval=interval(fitter, free),
        observed=discovery(free, background),
        prefit=expected_discovery(fitter, asimov_prefit(fitter, 1.0)),
        postfit=expected_discovery(fitter, asimov_postfit(fitter, background, 1.0), start=background),
        limit=upper_limit(fitter, free, background),
        seconds=time.perf_counter() - began,
        options=dict(model.options),
    )
