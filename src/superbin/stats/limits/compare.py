"""Limits side by side: expected ones with their bands, and every method of one bin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np

from superbin.errors import InputError, UnknownNameError
from superbin.stats.arguments import FloatArray
from superbin.stats.counts import BANDS, SIGMAS, Background
from superbin.stats.limits.asymptotic import asimov_limit, observed_limit
from superbin.stats.limits.exact import bayes_factor, limits_of_one
from superbin.stats.limits.lhc import expected_lhc_limits, lhc_limit
from superbin.stats.limits.problem import Problem, prepare
from superbin.stats.models import DEFAULT, ModelName

__all__ = [
    "METHODS",
    "Bands",
    "Comparison",
    "Limit",
    "compare_limits",
    "expected_limits",
]

Method: TypeAlias = Literal["cls", "bayes", "lhc", "asymptotic"]

METHODS: tuple[Method, ...] = get_args(Method)
"""Every named limit: exact CLs and its Bayesian relative, the LHC's CLs, and the asymptotic one."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Median of a quantity under a hypothesis, with the bands that hold 68 % and 95 % of the outcomes.

    Attributes
    ----------
    low2, low1, median, high1, high2 : float
        In ascending order, unless limits do not rise with the count: where the downward uncertainty is many times the upward one.
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
    missing : mapping of str to str
        Why a method has no answer.
    """

    limits: Mapping[str, Limit]
    missing: Mapping[str, str] = field(default_factory=dict)


def expected_limits(
    method: Method,
    b: float,
    up: float,
    down: float,
    *,
    level: float = 0.95,
    signal_uncertainty: float = 0.0,
    model: ModelName = DEFAULT,
) -> Bands:
    """Median limit and its -2 to +2 sigma bands under background alone, pre-fit.

    Parameters
    ----------
    method : {"cls", "bayes", "lhc", "asymptotic"}
        The first two are the limits at the exact quantiles of the count (with systematics); ``lhc`` is `superbin.stats.limits.expected_lhc_limits`;
        the last is that of the Asimov data set at the nominal background, with the bands of Cowan et al. (see
        `superbin.stats.limits.asymptotic`).
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

    Examples
    --------
    >>> round(expected_limits("cls", 25, 5, 5).median, 2)
    14.75
    """
    if method not in METHODS:
        raise UnknownNameError(f"no limit is named {method!r}; choose one of {', '.join(METHODS)}")
    problem = _one_bin(0.0, b, up, down, level, signal_uncertainty, model)
    if method == "asymptotic":
        return _asymptotic_bands(problem)
    if method == "lhc":
        return _bands(
            expected_lhc_limits(b, up, down, level=level, signal_uncertainty=signal_uncertainty, model=model)
        )
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
    model: ModelName = DEFAULT,
    methods: Sequence[Method] = METHODS,
) -> Comparison:
    """Compute every named limit, or the chosen `methods`; scalars, otherwise as in `superbin.stats.limits.cls_limit`.

    Limits of the LHC's CLs, whose bands take a tenth of a second, some more for an uncertain signal, are left out, with the reason under ``missing``,
    where they are out of reach: above 1e4 events, and where they would take more than some seconds.

    Examples
    --------
    >>> found = compare_limits(40, 25, 5, 5, methods=("cls", "asymptotic"))
    >>> {name: round(one.observed, 2) for name, one in found.limits.items()}
    {'cls': 29.54, 'asymptotic': 29.06}
    """
    problem = _one_bin(n, b, up, down, level, signal_uncertainty, model)
    limits, missing = {}, {}
    if {"cls", "bayes"} & set(methods):
        # One table for the bands and the data; the Bayesian limits are the exact ones times a factor.
        alone = Background(problem.held)
        six = problem.at(np.append(alone.quantile(np.array(BANDS)), problem.n))
        exact = limits_of_one(alone, six)
        for name, factor in (("cls", 1.0), ("bayes", float(bayes_factor(problem)[0]))):
            if name in methods:
                limits[name] = Limit(factor * float(exact[-1]), _bands(factor * exact[:-1]))
    if "lhc" in methods:
        try:
            x = signal_uncertainty
            limits["lhc"] = Limit(
                lhc_limit(n, b, up, down, level=level, signal_uncertainty=x, model=model),
                _bands(expected_lhc_limits(b, up, down, level=level, signal_uncertainty=x, model=model)),
            )
        except InputError as error:
            missing["lhc"] = str(error)
    if "asymptotic" in methods:
        limits["asymptotic"] = Limit(float(observed_limit(problem)[0]), _asymptotic_bands(problem))
    return Comparison(limits, missing)


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
