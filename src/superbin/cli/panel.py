"""One count seen by every method and every uncertainty model: what the command line prints.

`exact` gives the p-values that need no toys; `panel` brings all together, with a verdict on the methods and one on the models. `sampled`
estimates by toys of three kinds; `by_model` repeats the exact and the asymptotic p-values under other uncertainty models, and
`limits_by_model` does that for limits. All are plain loops over `superbin.stats`; a method that is not defined for the numbers is left out.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass

from scipy.special import ndtr

from superbin.cli.verdict import ModelChange, Verdict, compare, limit_across_models, z_across_models
from superbin.cli.verdict import compare_limits as compare_limits_verdict
from superbin.errors import SuperbinError, UnknownNameError
from superbin.stats.arguments import checked_yields
from superbin.stats.asymptotic import asimov_z, asymptotic_z
from superbin.stats.discovery import ExpectedP0, expected_p0, p0
from superbin.stats.expectation import Expected, expected
from superbin.stats.frequentist import throw_q0
from superbin.stats.limits import METHODS, Comparison, Limit, compare_limits
from superbin.stats.models import DEFAULT, MODELS, ModelName
from superbin.stats.pvalue import Probability, significance, tail_and_midp
from superbin.stats.toys import throw
from superbin.stats.weighted import throw_weighted

__all__ = [
    "CLEAR",
    "ByModel",
    "Estimate",
    "ModelValues",
    "Panel",
    "Value",
    "by_model",
    "exact",
    "finite",
    "limits_by_model",
    "limits_verdict",
    "panel",
    "sampled",
]

MOST_WEIGHTED, MOST_Q0 = 50_000, 100_000
"""More would only make the user wait: 1 % at 4 to 7 sigma, and a tenth of a second."""

CLEAR = 0.05
"""Largest standard error of Z with which toys take part in the verdict."""


@dataclass(frozen=True, slots=True)
class Value:
    """A p-value with its significance; None where that is infinite, or where only a significance is defined."""

    p: float | None
    z: float | None

    @classmethod
    def of(cls, found: Probability) -> "Value":
        """From a p-value of `superbin.stats`."""
        return cls(float(found.p), finite(float(found.z)))


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
        Number of toys.
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
        z = finite(float(significance(min(p, 1.0))))
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
    """What is compared with the exact numbers of one count.

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
    expected_p0 : ExpectedP0 or None
        The same by the LHC's p0, pre-fit.
    """

    estimates: Mapping[str, Estimate]
    verdict: Verdict
    models: Mapping[str, ModelValues | None]
    missing: Mapping[str, str]
    change: ModelChange
    expected: Expected | None
    expected_p0: ExpectedP0 | None


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
    models: Iterable[ModelName] = MODELS,
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
    quantiles = by_p0 = None
    if not observed and n > b:
        try:
            quantiles = expected(n - b, b, up, down)
        except SuperbinError as error:
            why["expected_z"] = str(error)
        try:
            by_p0 = expected_p0(n - b, b, up, down)
        except SuperbinError as error:
            why["expected_p0"] = str(error)
    z = {name: None if one is None else one.midp_z for name, one in others.items()}
    return Panel(
        estimates=estimates,
        verdict=compare({**known, **clear}, n, b),
        models=others,
        missing=why,
        change=z_across_models({str(DEFAULT): known["midp"], **z}),
        expected=quantiles,
        expected_p0=by_p0,
    )


def exact(
    n: float, b: float, up: float, down: float, *, observed: bool
) -> tuple[dict[str, Value], dict[str, float], dict[str, str]]:
    """P-values that need no toys, by method: the values, their wall times in seconds, and why a method has no answer."""
    values: dict[str, Value] = {}
    seconds: dict[str, float] = {}
    missing: dict[str, str] = {}

    def timed(name: str, method: Callable[[], Value]) -> None:
        start = time.perf_counter()
        try:
            values[name] = method()
        except SuperbinError as error:
            missing[name] = str(error)
            return
        seconds[name] = time.perf_counter() - start

    def asymptotic() -> Value:
        z = float(asymptotic_z(n, b, up, down))
        return Value(float(ndtr(-z)), finite(z))

    checked_yields(n, b, up, down)
    timed("midp", lambda: Value.of(tail_and_midp(n, b, up, down)[1]))
    timed("tail", lambda: Value.of(tail_and_midp(n, b, up, down)[0]))
    timed("p0", lambda: Value.of(p0(n, b, up, down)))
    timed("asymptotic", asymptotic)
    if not observed:
        timed("asimov", lambda: Value(None, finite(float(asimov_z(max(n - b, 0.0), b, up, down)))))
    return values, seconds, missing


def sampled(n: float, b: float, up: float, down: float, *, toys: int, seed: int) -> Mapping[str, Estimate]:
    """Estimate mid-p by toys (``toys``) and by importance-sampled ones (``weighted``), and p0 by frequentist toys (``q0_toys``).

    Parameters
    ----------
    n, b, up, down, seed
        As in `superbin.stats.throw`.
    toys : int
        Wanted number, of which at most 50 000 and 100 000 of the last two are thrown; 0 for none.
    """
    found: dict[str, Estimate] = {}
    if toys == 0:
        return found
    start = time.perf_counter()
    plain = throw(n, b, up, down, toys=toys, seed=seed)
    found["toys"] = Estimate.of(plain.midp, plain.midp_error, plain.toys, seed, time.perf_counter() - start)
    if b == 0 and up == 0:
        return found
    start = time.perf_counter()
    weighted = throw_weighted(n, b, up, down, toys=min(toys, MOST_WEIGHTED), seed=seed)
    found["weighted"] = Estimate(
        weighted.midp,
        weighted.midp_error,
        finite(weighted.z),
        finite(weighted.z_error),
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
    n: float, b: float, up: float, down: float, models: Iterable[ModelName] = MODELS
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


def _values(n: float, b: float, up: float, down: float, model: ModelName) -> ModelValues:
    numbers = (n, b, up, down)
    tail, midp = (Value.of(one) for one in tail_and_midp(*numbers, model=model))
    assert tail.p is not None
    assert midp.p is not None
    z = float(asymptotic_z(*numbers, model=model))
    return ModelValues(midp.p, midp.z, tail.p, tail.z, finite(z))


def finite(z: float) -> float | None:
    """Return a finite number without a negative zero, or None."""
    return z + 0.0 if math.isfinite(z) else None


@dataclass(frozen=True, slots=True)
class ByModel:
    """Limits under several uncertainty models.

    Attributes
    ----------
    default : Comparison
        Under the default model, by every method.
    others : mapping of str to Comparison or None
        By name, without the default, by exact CLs and the asymptotic formulas; None for a model that has no answer.
    missing : mapping of str to str
        Why, by name.
    change : ModelChange
        How much they change the exact and the asymptotic limits, observed and expected.
    """

    default: Comparison
    others: Mapping[str, Comparison | None]
    missing: Mapping[str, str]
    change: ModelChange


def limits_verdict(
    limits: Mapping[str, Limit], n: float, b: float, *, observed: Mapping[str, float] | None = None
) -> Verdict:
    """Compare limits by method, `observed` ones of other programs included; see `superbin.cli.verdict.compare_limits`."""
    expected = {name: astuple(one.expected) for name, one in limits.items()}
    return compare_limits_verdict(
        {name: one.observed for name, one in limits.items()} | dict(observed or {}), expected, n, b
    )


def limits_by_model(
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    level: float = 0.95,
    signal_uncertainty: float = 0.0,
    models: Iterable[ModelName] = MODELS,
) -> ByModel:
    """Compute every named limit under the default uncertainty model and under others.

    Parameters
    ----------
    n, b, up, down, level, signal_uncertainty
        Scalars; otherwise as in `superbin.stats.limits.cls_limit`.
    models : iterable of str
        Names of uncertainty models; the default is always there.
    """

    def under(model: ModelName) -> Comparison:
        methods = METHODS if model == DEFAULT else ("cls", "asymptotic")
        return compare_limits(
            n, b, up, down, level=level, signal_uncertainty=signal_uncertainty, model=model, methods=methods
        )

    def where_defined(model: ModelName) -> Comparison | None:
        try:
            return under(model)
        except UnknownNameError:
            raise
        except SuperbinError as error:
            missing[model] = str(error)
            return None

    missing: dict[str, str] = {}
    default = under(DEFAULT)
    others: dict[str, Comparison | None] = {
        model: where_defined(model) for model in models if model != DEFAULT
    }
    known: dict[str, Comparison] = {DEFAULT: default} | {
        name: one for name, one in others.items() if one is not None
    }
    columns: dict[str, dict[str, float]] = {}
    for method, name in (("cls", "exact limit"), ("asymptotic", "asymptotic limit")):
        limits = {model: one.limits[method] for model, one in known.items()}
        columns[f"observed {name}"] = {model: one.observed for model, one in limits.items()}
        columns[f"expected {name}"] = {model: one.expected.median for model, one in limits.items()}
    return ByModel(default, others, missing, limit_across_models(columns))
