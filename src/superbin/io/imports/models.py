"""Searches from full likelihoods: the bins of signal regions with what their backgrounds are before any fit.

A `StatisticalModel` says more than a search holds. Each background is its nominal value at the initial values of the parameters, with the
changes that one standard deviation of each constrained parameter makes, up and down, in quadrature; the covariance of their total is
the sum over parameters of the products of these changes, and of the statistical errors of single bins. Parameters without a constraint (free normalisations, fitted in control
regions) stay where they start and give no uncertainty.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.covariance import Covariance
from superbin.domain.search import Estimate, Process
from superbin.errors import InputError
from superbin.io.imports.base import Faults
from superbin.io.imports.draft import Draft, DraftSignal
from superbin.statistical_model import (
    BinRates,
    Channel,
    Effect,
    Formula,
    LogMorph,
    LogNormal,
    Morph,
    Normal,
    Parameter,
    Poisson,
    Rate,
    Sample,
    StatisticalModel,
)
from superbin.statistical_model.expressions import evaluate, variables

__all__ = ["model_draft", "model_signals", "signal_regions"]

_SIGNAL_REGION = re.compile(r"(?<![A-Z])SR|(?<![a-z])sr(?![a-z])|[Ss]ignal")
_OTHER_REGION = re.compile(r"CR|VR|(?<![a-z])[cv]r(?![a-z])|[Cc]ontrol|[Vv]alidation")
_SHOWN = 10


def signal_regions(model: StatisticalModel, given: object, notes: list[str]) -> tuple[Channel, ...]:
    """Channels that are bins of the search: those given, or by their names.

    Raises
    ------
    InputError
        If a name is no channel.
    """
    channels = model.channels
    if given is not None:
        names = [str(name) for name in given] if isinstance(given, list | tuple) else [str(given)]
        known = {c.name: c for c in channels}
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise InputError(
                f"mapping: no channel {unknown[0] if unknown else ''!r}; there are {', '.join(list(known)[:30])}"
            )
        return tuple(known[name] for name in dict.fromkeys(names))
    found = [c for c in channels if _SIGNAL_REGION.search(c.name) and not re.match(r"[CV]R", c.name)]
    how = "by their names"
    if not found:
        found = [c for c in channels if not _OTHER_REGION.search(c.name)] or list(channels)
        expecting = [c for c in found if _expects_signal(model, c)]
        if expecting and len(found) == len(channels):
            # Names tell nothing; control regions expect no signal.
            found, how = expecting, "channels that expect signal"
    notes.append(f"signal regions ({how}): {_listed([c.name for c in found])}")
    left = [c.name for c in channels if c not in found]
    if left:
        notes.append(
            f'not used as bins: {_listed(left)}; say which channels are with a mapping, {{"channels": [...]}}'
        )
    return tuple(found)


def _expects_signal(model: StatisticalModel, channel: Channel) -> bool:
    return any(
        sample.nominal.any() for sample in channel.samples if sample.name in _signal_samples(model, [channel])
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


# --- what parameters do -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Row:
    """A sample's place among the bins."""

    sample: Sample
    bins: slice
    names: frozenset[str]


@dataclass(slots=True)
class _Shifts:
    """Changes of a process by one standard deviation of a parameter: its yields up and down."""

    up: FloatArray
    down: FloatArray
    counts: bool
    """Whether the parameter is that of a single bin: the statistics of a simulation or of a control region."""


@dataclass(slots=True)
class _Response:
    """A process in all bins, what parameters do to it, and the squares of the statistical errors that bins have of their own."""

    nominal: FloatArray
    own: FloatArray
    shifts: dict[str, _Shifts] = field(default_factory=dict)


def _named(effect: Effect) -> Iterator[str]:
    if isinstance(effect, BinRates):
        yield from (name for name in effect.parameters if name is not None)
    elif isinstance(effect, Formula):
        yield from variables(effect.expression)
    else:
        yield effect.parameter


def _responses(
    model: StatisticalModel, channels: Sequence[Channel], wanted: Sequence[Sequence[Sample]]
) -> dict[str, _Response]:
    """Processes by name over the bins of some channels."""
    size = sum(c.observed.size for c in channels)
    start = {p.name: _start(p) for p in model.parameters}
    found: dict[str, _Response] = {}
    rows: list[_Row] = []
    first = 0
    for channel, samples in zip(channels, wanted, strict=True):
        place = slice(first, first + channel.observed.size)
        first += channel.observed.size
        for sample in samples:
            rows.append(_Row(sample, place, frozenset(n for e in sample.effects for n in _named(e))))
            response = found.setdefault(sample.name, _Response(np.zeros(size), np.zeros(size)))
            response.nominal[place] += _value(sample, start)
            if sample.errors is not None and channel.statistics:
                used = np.array([name is not None for name in channel.statistics])
                response.own[place] += (used * sample.errors * _factor(sample, start)) ** 2
    for row in rows:
        response = found[row.sample.name]
        before = _value(row.sample, start)
        for name in sorted(row.names):
            sides = _sides(model.parameters[model.position(name)])
            if sides is None:
                continue
            up, down = (_value(row.sample, start | {name: value}) for value in sides)
            shift = response.shifts.setdefault(
                name, _Shifts(np.zeros(size), np.zeros(size), _is_count(row.sample, name))
            )
            shift.up[row.bins] += up - before
            shift.down[row.bins] += down - before
    return found


def _start(parameter: Parameter) -> float:
    """Where the expectation is computed: the initial value, or the mean that a count measures, which is zero for none."""
    constraint = parameter.constraint
    return constraint.count / constraint.scale if isinstance(constraint, Poisson) else parameter.initial


def _is_count(sample: Sample, name: str) -> bool:
    return any(isinstance(e, BinRates) and name in e.parameters for e in sample.effects)


def _sides(parameter: Parameter) -> tuple[float, float] | None:
    """The parameter one standard deviation up and down; None where nothing measures it."""
    constraint = parameter.constraint
    if parameter.fixed or constraint is None:
        return None
    if isinstance(constraint, Normal):
        centre, up = constraint.centre, constraint.width
        down = up if constraint.lower_width is None else constraint.lower_width
    else:
        centre = constraint.count / constraint.scale
        down = math.sqrt(constraint.count) / constraint.scale
        up = down if constraint.count > 0 else _NO_COUNT / constraint.scale
    return min(centre + up, parameter.upper), max(centre - down, min(parameter.lower, centre))


_NO_COUNT = 1.841
"""Upper end of the central 68.3 % interval of a mean when nothing was counted."""


def _value(sample: Sample, x: Mapping[str, float]) -> FloatArray:
    """Expected events of a sample; between the standard deviations of a variation it is interpolated linearly."""
    histogram = np.array(sample.nominal, dtype=np.float64)
    for effect in sample.effects:
        if isinstance(effect, Morph):
            value = x[effect.parameter]
            histogram += value * effect.high if value >= 0 else -value * effect.low
    for effect in sample.effects:
        if isinstance(effect, LogMorph):
            value = x[effect.parameter]
            histogram *= np.exp(value * effect.high if value >= 0 else -value * effect.low)
    histogram = np.maximum(histogram, sample.floor)
    if sample.total is not None:
        histogram *= sample.total / histogram.sum()
    return np.asarray(histogram * _factor(sample, x))


def _factor(sample: Sample, x: Mapping[str, float]) -> FloatArray:
    """What multiplies the histogram of a sample, bin by bin."""
    factor = np.ones(sample.nominal.size)
    for effect in sample.effects:
        match effect:
            case LogNormal(parameter=name, low=down, high=up):
                factor *= up ** x[name] if x[name] >= 0 else down ** -x[name]
            case Rate(parameter=name):
                factor *= x[name]
            case Formula(expression=expression):
                factor *= evaluate(expression, {name: x[name] for name in variables(expression)}).value
            case BinRates(parameters=names):
                factor *= np.array([1.0 if name is None else x[name] for name in names])
    return factor


# --- a draft ----------------------------------------------------------------------------------------------


def model_draft(
    model: StatisticalModel, channels: Sequence[Channel], place: str, name: str, mapping: Mapping[str, Any]
) -> Draft:
    """The bins of some channels with their backgrounds and covariance.

    Parameters
    ----------
    model : StatisticalModel
    channels : sequence of Channel
        Signal regions.
    place, name : str
        Of the source, and of the search.
    mapping : mapping
        ``{"negative": "zero"}`` sets negative backgrounds to zero, ``{"observed": "round"}`` takes the nearest whole numbers.

    Raises
    ------
    InputError
        If the mapping has another value there.
    DocumentError
        With all counts that are not whole and all negative backgrounds.
    """
    for key, word in (("negative", "zero"), ("observed", "round")):
        if mapping.get(key) not in (None, word):
            raise InputError(f"mapping: {key} is {mapping[key]!r}; it must be {word}")
    negative = "negative" in mapping
    faults = Faults(Path(place))
    notes: list[str] = []
    signals = _signal_samples(model, channels)
    wanted = [[s for s in c.samples if s.name not in signals] for c in channels]
    responses = _responses(model, channels, wanted)
    labels = tuple(
        c.name if c.observed.size == 1 else f"{c.name}[{b}]" for c in channels for b in range(c.observed.size)
    )
    observed = np.concatenate([c.observed for c in channels])
    fractions = np.flatnonzero(np.abs(observed - np.round(observed)) > 1e-6 * np.maximum(observed, 1.0))
    if fractions.size and "observed" in mapping:
        notes.append(
            f"observed: {fractions.size} counts that are not whole are rounded; the likelihood keeps them"
        )
    else:
        for i in fractions:
            faults.add(
                f"observed is {observed[i]:g} in {labels[i]}; observed events are whole numbers >= 0, take the nearest with a mapping, "
                '{"observed": "round"}'
            )
    if not responses:
        faults.add("its signal regions have no background")
        faults.check()
    processes: list[Process] = []
    for key, response in responses.items():
        below = response.nominal < 0
        if below.any() and negative:
            notes.append(
                f"{key}: {response.nominal[below].sum():.3g} events in {counted(int(below.sum()), 'bin')} set to zero"
            )
        elif below.any():
            shown = ", ".join(f"{response.nominal[b]:g} in {labels[b]}" for b in np.flatnonzero(below)[:10])
            faults.add(
                f"{key} is {shown}; expected events are >= 0, set them to zero with a mapping, "
                '{"negative": "zero"}'
            )
        processes.append(Process(key, key, _estimate(response)))
        notes.append(f"{key}: a background of {response.nominal.sum():.4g} events")
    faults.check()
    _note_parameters(model, responses, notes)
    return Draft(
        place=place,
        name=name,
        observed=np.round(observed),
        processes=tuple(processes),
        names=labels,
        notes=notes,
        covariance=_covariance(responses),
        # Channels of one likelihood are counted apart.
        overlaps=np.zeros((len(labels), len(labels)), dtype=np.bool_),
    )


def _note_parameters(model: StatisticalModel, responses: Mapping[str, _Response], notes: list[str]) -> None:
    used = {name for r in responses.values() for name in r.shifts}
    notes.append(
        f"errors and covariance: {len(used)} constrained parameters, each one standard deviation up and down, before any fit"
    )
    free = [
        p.name
        for p in model.parameters
        if p.constraint is None and not p.fixed and p.name not in model.signal_strengths
    ]
    if free:
        notes.append(
            f"free parameters {_listed(free)} stay where they start and give no uncertainty; control regions fix them in the likelihood "
            "only"
        )


def _estimate(response: _Response) -> Estimate:
    sides: dict[str, FloatArray] = {}
    for kind, counts in (("stat", True), ("syst", False)):
        shifts = [s for s in response.shifts.values() if s.counts is counts]
        for side, sign in (("up", 1.0), ("down", -1.0)):
            square = response.own.copy() if counts else np.zeros_like(response.own)
            for s in shifts:
                square += np.maximum(np.maximum(sign * s.up, sign * s.down), 0.0) ** 2
            sides[f"{kind}_{side}"] = np.sqrt(square)
    return Estimate(np.maximum(response.nominal, 0.0), **sides)


def _covariance(responses: Mapping[str, _Response]) -> Covariance | None:
    """Of the total: for each parameter the product of its changes in two bins, with the sign that they have together."""
    names = list(dict.fromkeys(name for r in responses.values() for name in r.shifts))
    size = next(iter(responses.values())).nominal.size
    up, down = (np.zeros((len(names), size)) for _ in range(2))
    for k, name in enumerate(names):
        shifts = [r.shifts[name] for r in responses.values() if name in r.shifts]
        above, below = (np.sum([getattr(s, side) for s in shifts], axis=0) for side in ("up", "down"))
        sign = np.sign(above - below)
        sign[sign == 0] = 1.0
        up[k] = sign * np.maximum(np.maximum(above, below), 0.0)
        down[k] = sign * np.maximum(np.maximum(-above, -below), 0.0)
    own = np.diag(np.sum([r.own for r in responses.values()], axis=0))
    if not (up.any() or down.any() or own.any()):
        return None
    return Covariance(up.T @ up + own, down.T @ down + own, "likelihood before the fit")


# --- signals ----------------------------------------------------------------------------------------------


def _signal_samples(model: StatisticalModel, channels: Sequence[Channel]) -> set[str]:
    """Samples that a signal strength multiplies."""
    return {
        sample.name
        for channel in channels
        for sample in channel.samples
        if any(isinstance(e, Rate) and e.parameter in model.signal_strengths for e in sample.effects)
    }


def model_signals(
    model: StatisticalModel, channels: Sequence[Channel], source: str, notes: list[str]
) -> tuple[DraftSignal, ...]:
    """Signals of a model at a signal strength of one, with their variations.

    Samples of the same process in several channels are one signal.
    """
    signals = _signal_samples(model, channels)
    wanted = [[s for s in c.samples if s.name in signals] for c in channels]
    start = model if not signals else _at_one(model)
    found = []
    for name, response in _responses(start, channels, wanted).items():
        if (response.nominal < 0).any() or not response.nominal.any():
            notes.append(
                f"{name}: a signal of {response.nominal.sum():.3g} events with bins that are empty or negative, not used"
            )
            continue
        squares = [
            np.maximum(np.abs(s.up), np.abs(s.down)) ** 2 for s in response.shifts.values() if s.counts
        ]
        squares.append(response.own)
        found.append(
            DraftSignal(
                name=name,
                yields=response.nominal,
                errors=np.sqrt(np.sum(squares, axis=0)),
                source=f"sample {name} of {source}, at a signal strength of 1",
                variations={
                    parameter: (
                        np.maximum(response.nominal + s.up, 0.0),
                        np.maximum(response.nominal + s.down, 0.0),
                    )
                    for parameter, s in response.shifts.items()
                    if not s.counts and (s.up.any() or s.down.any())
                },
            )
        )
    return tuple(found)


def _at_one(model: StatisticalModel) -> StatisticalModel:
    parameters = tuple(
        Parameter(p.name, 1.0, min(p.lower, 1.0), max(p.upper, 1.0), p.constraint, p.fixed)
        if p.name in model.signal_strengths
        else p
        for p in model.parameters
    )
    return StatisticalModel(model.channels, parameters, model.signal_strengths, model.name)
