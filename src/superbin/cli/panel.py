"""One count seen by every method and every uncertainty model: what the command line prints.

`panel` brings all together, with a verdict on the methods and one on the models. `sampled` estimates by toys of two kinds; `by_model`
repeats the exact and the asymptotic p-values under other uncertainty models. All are plain loops over `superbin.stats`; a
method that is not defined for the numbers is left out.
"""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from superbin.errors import SuperbinError, UnknownNameError
from superbin.stats.arguments import checked_yields
from superbin.stats.asymptotic import asymptotic_z
from superbin.stats.expectation import Expected, expected
from superbin.stats.frequentist import throw_q0
from superbin.stats.models import DEFAULT, MODELS
from superbin.stats.pvalue import log_midp, log_tail, midp_significance, significance, tail_significance
from superbin.cli.verdict import ModelChange, Verdict, compare, z_across_models
from superbin.stats.weighted import throw_weighted

__all__ = ["CLEAR", "Estimate", "ModelValues", "Panel", "by_model", "panel", "sampled"]

MOST_WEIGHTED, MOST_Q0 = 50_000, 100_000
"""More would only make the user wait: 1 % at 4 to 7 sigma, and a tenth of a second."""

CLEAR = 0.05
"""Largest standard error of Z with which toys take part in the verdict."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A p-value by toys.

    Attributes
    ----------
    p, p_err : float
        Estimate and standard error.
    z, z_err : float or None
        Significance and its standard error; None where p is 0 or 1.
    n : int
        Toys thrown.
    seed : int
    seconds : float or None
        Wall time; None where it was not taken.
    effective : float or None
        Toys of equal weight that would have the same error; None for toys without weights.
    trusted : bool
        Whether the errors mean what they say.
    """

    p: float
    p_err: float
    z: float | None
    z_err: float | None
    n: int
    seed: int
    seconds: float | None
    effective: float | None = None
    trusted: bool = True

    @classmethod
    def of(cls, p: float, p_err: float, n: int, seed: int, seconds: float | None = None) -> "Estimate":
        """An estimate with its significance, whose error is ``p_err`` over the density of the unit normal at z."""
        z = _finite(float(significance(min(p, 1.0))))
        density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) if z is not None else 0.0
        return cls(p, p_err, z, p_err / density if density > 0 else None, n, seed, seconds)


@dataclass(frozen=True, slots=True)
class ModelValues:
    """Exact and asymptotic significances under one uncertainty model; None where infinite."""

    midp: float
    midp_z: float | None
    tail: float
    tail_z: float | None
    asymptotic_z: float | None


@dataclass(frozen=True, slots=True)
class Panel:
    """What stands beside the exact numbers of one count.

    Attributes
    ----------
    estimates : mapping of str to Estimate
        Of `sampled`.
    verdict : Verdict
        On the methods of the default model; toys take part where their error of Z is below `CLEAR` and trusted.
    models : mapping of str to ModelValues or None
        Of `by_model`.
    missing : mapping of str to str
        Why a model, or the expected significance, has no answer, by name.
    change : ModelChange
        On the mid-p significances of the models and of the default one.
    expected : Expected or None
        Expected significances of the excess over the background; None for data and without an excess.
    """

    estimates: Mapping[str, Estimate]
    verdict: Verdict
    models: Mapping[str, ModelValues | None]
    missing: Mapping[str, str]
    change: ModelChange
    expected: Expected | None


def panel(
    known: Mapping[str, float | None],
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    observed: bool,
    toys: int,
    seed: int,
    models: Iterable[str] = MODELS,
) -> Panel:
    """See one count from all sides.

    Parameters
    ----------
    known : mapping of str to float or None
        Z by method under the default model; ``midp`` is needed.
    n, b, up, down, seed
        As in `superbin.stats.throw`.
    observed : bool
        Whether `n` is data, not signal plus background.
    toys : int
        As in `sampled`.
    models : iterable of str
        Names of uncertainty models to compare with.
    """
    estimates = sampled(n, b, up, down, toys=toys, seed=seed)
    clear = {
        name: one.z
        for name, one in estimates.items()
        if one.trusted and one.z_err is not None and one.z_err < CLEAR
    }
    others, missing = by_model(n, b, up, down, models)
    why = dict(missing)
    quantiles = None
    if not observed and n > b:
        try:
            quantiles = expected(n - b, b, up, down)
        except SuperbinError as error:
            why["expected_z"] = str(error)
    z = {name: None if one is None else one.midp_z for name, one in others.items()}
    return Panel(
        estimates=estimates,
        verdict=compare({**known, **clear}, n, b),
        models=others,
        missing=why,
        change=z_across_models({DEFAULT: known["midp"], **z}),
        expected=quantiles,
    )


def sampled(
    n: float, b: float, up: float, down: float, *, toys: int, seed: int
) -> Mapping[str, Estimate]:
    """Estimate by importance-sampled toys (``weighted``, of mid-p) and by frequentist toys of q0 (``q0_toys``).

    Parameters
    ----------
    n, b, up, down, seed
        As in `superbin.stats.throw`.
    toys : int
        Wanted number, of which at most 50 000 and 100 000 are thrown; 0 for none.
    """
    found: dict[str, Estimate] = {}
    if toys == 0 or (b == 0 and up == 0):
        return found
    start = time.perf_counter()
    weighted = throw_weighted(n, b, up, down, toys=min(toys, MOST_WEIGHTED), seed=seed)
    found["weighted"] = Estimate(
        weighted.midp,
        weighted.midp_error,
        _finite(weighted.z),
        _finite(weighted.z_error),
        weighted.toys,
        seed,
        time.perf_counter() - start,
        weighted.effective,
        weighted.trusted,
    )
    start = time.perf_counter()
    thrown = throw_q0(n, b, up, down, toys=min(toys, MOST_Q0), seed=seed)
    found["q0_toys"] = Estimate.of(thrown.p, thrown.error, thrown.toys, seed, time.perf_counter() - start)
    return found


def by_model(
    n: float, b: float, up: float, down: float, models: Iterable[str] = MODELS
) -> tuple[Mapping[str, ModelValues | None], Mapping[str, str]]:
    """Mid-p, tail and asymptotic significance by model, None for a model that has no answer; and why it has none."""
    checked_yields(n, b, up, down)
    found: dict[str, ModelValues | None] = {}
    missing: dict[str, str] = {}
    for model in models:
        try:
            found[model] = _values(n, b, up, down, model)
        except UnknownNameError:
            raise
        except SuperbinError as error:
            found[model], missing[model] = None, str(error)
    return found, missing


def _values(n: float, b: float, up: float, down: float, model: str) -> ModelValues:
    numbers = (n, b, up, down)
    z = float(midp_significance(*numbers, model=model))
    return ModelValues(
        midp=math.exp(log_midp(*numbers, model=model)),
        midp_z=_finite(z),
        tail=math.exp(log_tail(*numbers, model=model)),
        tail_z=_finite(float(tail_significance(*numbers, model=model))),
        asymptotic_z=_finite(float(asymptotic_z(*numbers, model=model))),
    )


def _finite(z: float) -> float | None:
    """Return a finite number without a negative zero, or None."""
    return z + 0.0 if math.isfinite(z) else None
