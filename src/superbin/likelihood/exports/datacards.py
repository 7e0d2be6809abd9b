"""Counting datacards of CMS Combine: one channel per bin, log-normal factors, free rates, formulas and counts of control regions.

Combine has its own interpolation of asymmetric factors, so factors of HistFactory's codes are written as they are and differ between; the largest
difference is in the notes. What a counting card cannot hold is refused by name: morphs, and rates with a normal constraint.
"""

import re
from dataclasses import dataclass

import numpy as np

from superbin.errors import InputError
from superbin.statistical_model import (
    BinRates,
    Channel,
    LogNormal,
    Normal,
    Parameter,
    Poisson,
    Rate,
    Sample,
    StatisticalModel,
)

__all__ = ["Card", "counting_card"]


@dataclass(frozen=True, slots=True)
class Card:
    """A datacard.

    Attributes
    ----------
    text : str
    notes : tuple of str
        What differs from the model.
    """

    text: str
    notes: tuple[str, ...]


def counting_card(model: StatisticalModel) -> Card:
    """Return a model as a counting datacard.

    Parameters
    ----------
    model : StatisticalModel
        Every bin becomes a channel.

    Raises
    ------
    InputError
        If a counting card cannot hold an effect or a constraint.
    """
    if not model.signal_strengths:
        raise InputError(f"{model.name or 'the model'} has no signal strength, which a datacard needs")
    strength = model.signal_strengths[0]
    parameters = {p.name: p for p in model.parameters}
    columns = [
        (channel, b, sample)
        for channel in model.channels
        if not channel.masked
        for b in range(channel.observed.size)
        for sample in channel.samples
    ]
    _check(columns, parameters)
    signal = [any(isinstance(e, Rate) and e.parameter == strength for e in s.effects) for _, _, s in columns]
    numbers: dict[tuple[str, bool], int] = {}
    for is_signal, (_, _, sample) in zip(signal, columns, strict=True):
        key = (sample.name, is_signal)
        numbers.setdefault(
            key, -sum(k[1] for k in numbers) if is_signal else 1 + sum(not k[1] for k in numbers)
        )
    bins = [
        (_bin(c, b), float(c.observed[b]))
        for c in model.channels
        if not c.masked
        for b in range(c.observed.size)
    ]
    lines = [
        f"# {model.name or 'likelihood'}, written by superbin",
        f"imax {len(bins)}",
        "jmax *",
        "kmax *",
        "-" * 20,
        "bin " + " ".join(name for name, _ in bins),
        "observation " + " ".join(repr(n) for _, n in bins),
        "-" * 20,
        "bin " + " ".join(_bin(c, b) for c, b, _ in columns),
        "process " + " ".join(_plain(s.name) for _, _, s in columns),
        "process "
        + " ".join(
            str(numbers[s.name, is_signal]) for is_signal, (_, _, s) in zip(signal, columns, strict=True)
        ),
        "rate " + " ".join(repr(float(s.nominal[b])) for _, b, s in columns),
        "-" * 20,
        *_effects(columns, parameters, strength),
    ]
    return Card("\n".join(lines) + "\n", _notes(columns, parameters, strength))


Columns = list[tuple[Channel, int, Sample]]


def _check(columns: Columns, parameters: dict[str, Parameter]) -> None:
    for channel, b, sample in columns:
        where = f"sample {sample.name!r} of channel {channel.name!r}"
        if any(channel.statistics) or sample.total is not None:
            raise InputError(
                f"{where} is a histogram with statistical or normalised bins, which a counting card cannot hold"
            )
        if sample.nominal[b] < 0:
            raise InputError(
                f"{where} expects {sample.nominal[b]:g} events; a counting card needs rates >= 0"
            )
        for effect in sample.effects:
            if not isinstance(effect, LogNormal | Rate | BinRates):
                raise InputError(
                    f"{where} has an effect {type(effect).__name__}, which a counting card cannot hold"
                )
            for name in _rates(effect, b):
                if isinstance(parameters[name].constraint, Normal):
                    raise InputError(
                        f"{where} is multiplied by {name!r}, which has a normal constraint; a counting card has only log-normal factors "
                        "and free rates"
                    )
            if isinstance(effect, LogNormal):
                constraint = parameters[effect.parameter].constraint
                if constraint not in {None, Normal()}:
                    raise InputError(
                        f"{effect.parameter!r} has the constraint {constraint}; a counting card needs a unit normal one"
                    )


def _rates(effect: object, b: int) -> tuple[str, ...]:
    if isinstance(effect, Rate):
        return (effect.parameter,)
    if isinstance(effect, BinRates) and effect.parameters[b] is not None:
        return (str(effect.parameters[b]),)
    return ()


def _effects(columns: Columns, parameters: dict[str, Parameter], strength: str) -> list[str]:
    lines = []
    for name, parameter in parameters.items():
        if name == strength or parameter.fixed:
            continue
        pairs = [
            next((e for e in s.effects if isinstance(e, LogNormal) and e.parameter == name), None)
            for _, _, s in columns
        ]
        if any(pairs):
            kind = "lnN" if parameter.constraint is not None else "lnU"
            lines.append(f"{_plain(name)} {kind} " + " ".join("-" if e is None else _kappa(e) for e in pairs))
            continue
        touched = [(c, b, s) for c, b, s in columns if any(name in _rates(e, b) for e in s.effects)]
        if not touched:
            continue
        if isinstance(parameter.constraint, Poisson):
            lines += _control(_plain(name), parameter.constraint, touched, columns)
            continue
        ends = f"[{max(parameter.lower, 0.0)!r},{min(parameter.upper, 1e6)!r}]"
        lines += [
            f"{_plain(name)} rateParam {_bin(c, b)} {_plain(s.name)} {parameter.initial!r} {ends}"
            for c, b, s in touched
        ]
    return lines


def _control(name: str, constraint: Poisson, touched: Columns, columns: Columns) -> list[str]:
    """A gmN line: the rate of each column is alpha times the count."""
    n = round(constraint.count)
    if abs(n - constraint.count) > 1e-9:
        raise InputError(
            f"parameter {name!r} has the auxiliary count {constraint.count:g}; a gmN of a card needs a whole one"
        )
    places = {(id(c), b, id(s)) for c, b, s in touched}
    cells = []
    for c, b, s in columns:
        rate = float(s.nominal[b])
        cells.append(repr(rate / constraint.scale) if (id(c), b, id(s)) in places else "-")
        if (id(c), b, id(s)) in places and abs(n / constraint.scale - 1) > 1e-9:
            raise InputError(
                f"parameter {name!r} is not one where its count is expected, which a gmN of a card cannot say"
            )
    return [f"{name} gmN {n} " + " ".join(cells)]


def _kappa(effect: LogNormal) -> str:
    symmetric = abs(effect.low * effect.high - 1) < 1e-12
    return repr(effect.high) if symmetric else f"{effect.low!r}/{effect.high!r}"


def _bin(channel: Channel, b: int) -> str:
    name = _plain(channel.name)
    name = name if not name[0].isdigit() else f"ch_{name}"
    return name if channel.observed.size == 1 else f"{name}_{b}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_") or "_"


def _notes(columns: Columns, parameters: dict[str, Parameter], strength: str) -> tuple[str, ...]:
    notes = []
    worst, named = 0.0, ""
    for effect in {
        e for _, _, s in columns for e in s.effects if isinstance(e, LogNormal) and e.code != "combine"
    }:
        deviation = _deviation(effect)
        if deviation > worst:
            worst, named = deviation, effect.parameter
    if worst > 0:
        notes.append(
            f"factors differ by at most {worst:.2g} inside one standard deviation, by Combine's interpolation ({named})"
        )
    held = [p.name for p in parameters.values() if p.fixed and p.name != strength]
    if held:
        notes.append(f"fixed parameters are left out at their values: {', '.join(held[:5])}")
    bounded = [
        p.name for p in parameters.values() if isinstance(p.constraint, Normal) and np.isfinite(p.upper)
    ]
    if bounded:
        notes.append(
            f"bounds of {len(bounded)} constrained nuisances are not written: a card has none for lnN"
        )
    return tuple(notes)


def _deviation(effect: LogNormal) -> float:
    """Largest relative difference of a factor to that with Combine's interpolation."""
    from superbin.likelihood.dense.effects import Pairs

    own = Pairs.make([(0, effect.low, effect.high, effect.code)])
    other = Pairs.make([(0, effect.low, effect.high, "combine")])
    largest = 0.0
    for theta in np.linspace(-1, 1, 81):
        x, side = np.array([theta]), np.zeros(1)
        largest = max(largest, abs(float(own.evaluate(x, side)[0][0] / other.evaluate(x, side)[0][0]) - 1))
    return largest
