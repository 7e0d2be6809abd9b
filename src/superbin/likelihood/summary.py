"""Everything about one signal in one call: `evaluate` fits, tests and limits, and `Evaluation` holds it.

This is what ``superbin likelihood fit`` prints.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superbin.likelihood.fit import Fit, Fitter
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

if TYPE_CHECKING:
    from superbin.likelihood.model import CountingModel

__all__ = ["Evaluation", "evaluate"]


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
            "limit": {
                "observed": limit.observed,
                "expected": limit.expected,
                "bands": {f"{n:+d}" if n else "0": value for n, value in limit.bands.items()},
                "level": limit.level,
                "method": "CLs, asymptotic qtilde",
            },
            "fits": {"free": _fit(free), "mu0": _fit(background)},
            "seconds": self.seconds,
            "options": self.options,
        }


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
