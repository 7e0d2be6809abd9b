"""Limits side by side: expected ones with their bands, and every method of one bin."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from superbin.errors import InputError, UnknownNameError
from superbin.stats.arguments import FloatArray
from superbin.stats.counts import BANDS, SIGMAS, Background
from superbin.stats.limits.asymptotic import asimov_limit, observed_limit
from superbin.stats.limits.exact import bayes_factor, limits_of_one
from superbin.stats.limits.problem import Problem, prepare
from superbin.stats.models import DEFAULT

__all__ = [
    "METHODS",
    "Bands",
    "Comparison",
    "Limit",
    "compare_limits",
    "expected_limits",
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
    """

    limits: Mapping[str, Limit]


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
    return Comparison(limits)


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
