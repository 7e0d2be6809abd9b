"""Limits side by side: expected ones with their bands, every method of one bin, and every uncertainty model."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass

import numpy as np

from superbin.errors import InputError, SuperbinError, UnknownNameError
from superbin.stats import verdict
from superbin.stats.arguments import FloatArray
from superbin.stats.counts import BANDS, SIGMAS, Background
from superbin.stats.limits.asymptotic import asimov_limit, observed_limit
from superbin.stats.limits.exact import bayes_factor, limits_of_one
from superbin.stats.limits.problem import Problem, prepare
from superbin.stats.models import DEFAULT, MODELS
from superbin.stats.verdict import ModelChange, Verdict

__all__ = [
    "METHODS",
    "Bands",
    "ByModel",
    "Comparison",
    "Limit",
    "compare_limits",
    "expected_limits",
    "limits_by_model",
    "limits_verdict",
]

METHODS = ("cls", "bayes", "asymptotic")


@dataclass(frozen=True, slots=True)
class Bands:
    """Median of a quantity under a hypothesis, with the bands that hold 68 % and 95 % of the outcomes.

    Attributes
    ----------
    low2, low1, median, high1, high2 : float
        In ascending order.
    """

    low2: float
    low1: float
    median: float
    high1: float
    high2: float


@dataclass(frozen=True, slots=True)
class Limit:
    """An observed upper limit and what background alone makes expect, pre-fit; in events."""

    observed: float
    expected: Bands


@dataclass(frozen=True, slots=True)
class Comparison:
    """Limits by method.

    Attributes
    ----------
    limits : mapping of str to Limit
        By the names of `METHODS`.
    verdict : Verdict
        On all of them, observed and expected: `limits_verdict`.
    """

    limits: Mapping[str, Limit]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ByModel:
    """Limits under several uncertainty models.

    Attributes
    ----------
    default : Comparison
        Under the default model.
    others : mapping of str to Comparison or None
        By name, without the default; None for a model that has no answer.
    missing : mapping of str to str
        Why, by name.
    change : ModelChange
        How much they change the exact and the asymptotic limits, observed and expected.
    """

    default: Comparison
    others: Mapping[str, Comparison | None]
    missing: Mapping[str, str]
    change: ModelChange


def expected_limits(
    method: str,
    b: float,
    up: float,
    down: float,
    *,
    level: float = 0.95,
    signal_uncertainty: float = 0.0,
    model: str = DEFAULT,
) -> Bands:
    """Median limit and its -2 to +2 sigma bands under background alone, pre-fit.

    Parameters
    ----------
    method : {"cls", "bayes", "asymptotic"}
        The first two are the limits at the exact quantiles of the count (with systematics); the last is that of the Asimov data set
        at the nominal background, with the bands of Cowan et al. (see `superbin.stats.limits.asymptotic`).
    b, up, down, level, signal_uncertainty, model
        Scalars; otherwise as in `cls_limit`.

    Returns
    -------
    Bands
        In events.

    Raises
    ------
    InputError, UnknownNameError
        As `cls_limit`; for an unknown method, and for arrays.
    """
    if method not in METHODS:
        raise UnknownNameError(f"no limit is named {method!r}; choose one of {', '.join(METHODS)}")
    problem = _one_bin(0.0, b, up, down, level, signal_uncertainty, model)
    if method == "asymptotic":
        return _asymptotic_bands(problem)
    alone = Background(problem.held)
    five = problem.at(alone.quantile(np.array(BANDS)))
    limit = limits_of_one(alone, five)
    return _bands(limit * bayes_factor(five) if method == "bayes" else limit)


def compare_limits(
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    level: float = 0.95,
    signal_uncertainty: float = 0.0,
    model: str = DEFAULT,
) -> Comparison:
    """Compute every named limit; scalars, otherwise as in `superbin.stats.limits.cls_limit`."""
    problem = _one_bin(n, b, up, down, level, signal_uncertainty, model)
    # One table for the bands and the data; the Bayesian limits are the exact ones times a factor.
    alone = Background(problem.held)
    six = problem.at(np.append(alone.quantile(np.array(BANDS)), problem.n))
    exact = limits_of_one(alone, six)
    bayes = exact * bayes_factor(six)
    asymptotic = float(observed_limit(problem)[0])
    limits = {
        "cls": Limit(float(exact[-1]), _bands(exact[:-1])),
        "bayes": Limit(float(bayes[-1]), _bands(bayes[:-1])),
        "asymptotic": Limit(asymptotic, _asymptotic_bands(problem)),
    }
    return Comparison(limits, limits_verdict(limits, n, b))


def limits_verdict(
    limits: Mapping[str, Limit], n: float, b: float, *, observed: Mapping[str, float] | None = None
) -> Verdict:
    """Compare limits by method, `observed` ones of other programs included; see `superbin.stats.verdict.compare_limits`."""
    expected = {name: astuple(one.expected) for name, one in limits.items()}
    return verdict.compare_limits(
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
    models: Iterable[str] = MODELS,
) -> ByModel:
    """Compute every named limit under the default uncertainty model and under others.

    Parameters
    ----------
    n, b, up, down, level, signal_uncertainty
        Scalars; otherwise as in `superbin.stats.limits.cls_limit`.
    models : iterable of str
        Names of uncertainty models; the default is always there.
    """

    def under(model: str) -> Comparison:
        return compare_limits(n, b, up, down, level=level, signal_uncertainty=signal_uncertainty, model=model)

    def where_defined(model: str) -> Comparison | None:
        try:
            return under(model)
        except UnknownNameError:
            raise
        except SuperbinError as error:
            missing[model] = str(error)
            return None

    missing: dict[str, str] = {}
    default = under(DEFAULT)
    others = {model: where_defined(model) for model in models if model != DEFAULT}
    known = {DEFAULT: default} | {name: one for name, one in others.items() if one is not None}
    columns: dict[str, dict[str, float]] = {}
    for method, name in (("cls", "exact limit"), ("asymptotic", "asymptotic limit")):
        limits = {model: one.limits[method] for model, one in known.items()}
        columns[f"observed {name}"] = {model: one.observed for model, one in limits.items()}
        columns[f"expected {name}"] = {model: one.expected.median for model, one in limits.items()}
    return ByModel(default, others, missing, verdict.limit_across_models(columns))


def _one_bin(
    n: float, b: float, up: float, down: float, level: float, signal_uncertainty: float, model: str
) -> Problem:
    problem, _, shape = prepare(
        n, b, up, down, signal_uncertainty=signal_uncertainty, level=level, model=model
    )
    if shape:
        raise InputError(
            f"limits are compared one bin at a time, but an argument has shape {shape}; give scalars"
        )
    return problem


def _asymptotic_bands(problem: Problem) -> Bands:
    sigmas = np.array(SIGMAS)
    return _bands(asimov_limit(sigmas, problem.at(np.zeros(sigmas.size))))


def _bands(five: FloatArray) -> Bands:
    return Bands(*map(float, five))
