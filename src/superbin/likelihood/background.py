"""The background of the bins with signal, with its covariance, for any likelihood.

``control`` fits everything but the channels with signal: what is expected of these before looking. ``background`` fits all channels at mu = 0. Both propagate
the inverse Hessian, C = J H^-1 J'. For the packaged form of likelihoods, whose signal is left open, see `superbin.likelihood.predict`.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood.dense import Likelihood
from superbin.likelihood.engine import Engine, strength_of
from superbin.likelihood.reading import engine_of

__all__ = ["Background", "FittedBackground", "Scope", "background", "fitted_background"]

Scope: TypeAlias = Literal["control", "background"]


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """Expected background of the bins with signal.

    Attributes
    ----------
    bins : tuple of str
        Their names.
    observed, expected : array, shape (n_bins,)
        Events.
    covariance : array, shape (n_bins, n_bins)
        Events squared; parameters that the fit left at a bound do not contribute.
    scope : str
        What was fitted.
    """

    bins: tuple[str, ...]
    observed: FloatArray
    expected: FloatArray
    covariance: FloatArray
    scope: str


@dataclass(frozen=True, slots=True, eq=False)
class FittedBackground:
    """A fit at mu = 0 in terms of the whole likelihood.

    Attributes
    ----------
    places : array of int
        Bins with signal.
    names : tuple of str
        Of these bins.
    centre : array, shape (n_parameters,)
        The parameters, the strength at zero.
    spread : array, shape (n_parameters, n_parameters)
        Their covariance.
    """

    places: NDArray[np.intp]
    names: tuple[str, ...]
    centre: FloatArray
    spread: FloatArray


def fitted_background(engine: Engine, scope: Scope) -> FittedBackground:
    """Fit everything but the channels with signal (``control``), or all channels at mu = 0 (``background``).

    Raises
    ------
    InputError
        If the scope is unknown, no bin has signal, the fit fails, or it does not determine a parameter without constraint.
    """
    if scope not in get_args(Scope):
        raise InputError(f"the scope is {scope!r}; choose control or background")
    strength = strength_of(engine)
    poi = engine.parameters.index(strength)
    x = engine.initial
    x[poi] = 0.0
    without = engine.expected(x)
    x[poi] = 1.0
    places = np.flatnonzero((engine.expected(x) > without) & engine.counted)
    if not places.size:
        raise InputError(
            f"no bin of {engine.name or 'the likelihood'} has signal, so there is no background to predict"
        )
    fitted = engine if scope == "background" else _everything_else(engine, places)
    fit = fitted.fit(mu=0.0)
    if not fit.ok:
        raise InputError(f"the fit of scope {scope!r} failed: {fit.status}")
    values = dict(zip(fitted.parameters, fit.x.tolist(), strict=True)) | {strength: 0.0}
    order = [fitted.parameters.index(name) for name in engine.parameters]
    names = [name if n == 1 else f"{name}[{b}]" for name, n in engine.bins for b in range(n)]
    return FittedBackground(
        places,
        tuple(names[i] for i in places),
        np.array([values[name] for name in engine.parameters]),
        fitted.covariance(fit)[np.ix_(order, order)],
    )


def background(engine: Engine, scope: Scope = "control") -> Background:
    """Predict the background of the bins with signal.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    scope : {"control", "background"}
        What is fitted.

    Raises
    ------
    InputError
        As of `fitted_background`.

    Examples
    --------
    >>> from superbin.statistical_model import Channel, Parameter, Rate, Sample, StatisticalModel
    >>> signal = Sample("s", [3.0], (Rate("mu"),))
    >>> channels = (
    ...     Channel("SR", [6.0], (signal, Sample("b", [5.0], (Rate("k"),)))),
    ...     Channel("CR", [100.0], (Sample("b", [80.0], (Rate("k"),)),)),
    ... )
    >>> parameters = Parameter("mu", 1.0, 0.0, 10.0), Parameter("k", 1.0, 0.0, 10.0)
    >>> found = background(Likelihood(StatisticalModel(channels, parameters, ("mu",))))
    >>> found.bins, found.expected.round(6).tolist(), found.covariance.round(6).tolist()
    (('SR',), [6.25], [[0.390625]])
    """
    found = fitted_background(engine, scope)
    slopes = engine.jacobian(found.centre)[found.places]
    slopes[:, engine.parameters.index(strength_of(engine))] = 0.0
    return Background(
        found.names,
        engine.observed.counts[found.places],
        engine.expected(found.centre)[found.places],
        slopes @ found.spread @ slopes.T,
        scope,
    )


def _everything_else(engine: Engine, places: NDArray[np.intp]) -> Engine:
    """Return everything but the channels with signal; where that is nothing, the constraints alone."""
    inside = set(places.tolist())
    first, channels = 0, []
    for channel in engine.description.channels:
        own = set(range(first, first + channel.observed.size))
        first += channel.observed.size
        channels.append(replace(channel, masked=channel.masked or bool(own & inside)))
    rest = replace(engine.description, channels=tuple(channels))
    return Likelihood(rest) if all(channel.masked for channel in channels) else engine_of(rest)
