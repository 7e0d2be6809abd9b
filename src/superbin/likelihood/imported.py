"""The likelihood that a search was imported from, with any signal in the bins of the search.

A workspace or datacards bring their own signals, patch sets further ones. Where the wanted signal is one of them it is taken as it is there, with what it does
to control regions and with its own uncertainties; any other one takes the place of the signals, with the variations and Monte Carlo errors that were
given with it and nothing in control regions.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError
from superbin.io.signals import named_point
from superbin.io.workspaces import patch_list, patched
from superbin.likelihood.engine import Engine
from superbin.likelihood.reading import engine_of, model_of_files, model_of_workspace
from superbin.statistical_model import (
    Channel,
    Effect,
    LogNormal,
    Morph,
    Normal,
    Parameter,
    Rate,
    Sample,
    StatisticalModel,
)

__all__ = ["ImportedLikelihood"]

SAME = 1e-6
"""Relative difference up to which yields are those of a signal of the likelihood: they were stored as decimal text."""


@dataclass(frozen=True, eq=False)
class ImportedLikelihood:
    """A likelihood that belongs to an imported search.

    Attributes
    ----------
    model : StatisticalModel
        As it was published.
    names : tuple of str
        Bins of the search, in its order: bins of signal regions by name, as in `StatisticalModel.bin_names`.
    workspace : mapping or None
        The parsed workspace, where the likelihood is one.
    patch_sets : mapping of str to object
        Parsed patches of the workspace by file.
    digest : str
        SHA-256 of the files and the names of the bins, so that a result can say what it was made from.

    Raises
    ------
    InputError
        If a bin of the search is none of the likelihood.
    """

    model: StatisticalModel
    names: tuple[str, ...]
    workspace: Any = None
    patch_sets: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    def __post_init__(self) -> None:
        known = set(self.model.bin_names)
        missing = [name for name in self.names if name not in known]
        if missing:
            raise InputError(
                f"bin {missing[0]!r} of the search is not in its likelihood; import the search again"
            )

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], names: Sequence[str], *, name: str = ""
    ) -> "ImportedLikelihood":
        """From the files of a bundle: ``workspace.json`` with ``patches/*.json``, or the cards in ``cards/``.

        Parameters
        ----------
        files : mapping of str to bytes
        names : sequence of str
            Bins of the search.
        name : str
            Of the search, for messages.

        Raises
        ------
        UnknownNameError
            If there is no likelihood among the files.
        InputError, DocumentError
            As of `superbin.likelihood.read`.
        """
        workspace, model = model_of_files(files, name=name)
        sets = {} if workspace is None else _patch_sets(files, name)
        return cls(model, tuple(names), workspace, sets, _digest(files, names))

    @property
    def channels(self) -> int:
        """How many channels are in the likelihood."""
        return sum(not channel.masked for channel in self.model.channels)

    def engine(self, signal: SignalModel, *, systematics: Literal["none", "published"]) -> Engine:
        """The likelihood with a signal in the bins of the search.

        Parameters
        ----------
        signal : SignalModel
        systematics : {"none", "published"}
            Whether the signal is exact, or has the uncertainties that the likelihood or the signal itself brings.

        Raises
        ------
        InputError
            If the signal has another number of bins, or a parameter of its variations is none of a standard normal.
        """
        return engine_of(self.with_signal(signal, systematics=systematics))

    def with_signal(
        self, signal: SignalModel, *, systematics: Literal["none", "published"]
    ) -> StatisticalModel:
        """The model with a signal; arguments as of `engine`."""
        if signal.yields.shape != (len(self.names),):
            raise InputError(
                f"signal {signal.label} has {signal.yields.size} bins; the search has {len(self.names)}"
            )
        for model in self._published(signal):
            found = _own(model, self.names, signal.yields)
            if found is not None:
                return found if systematics == "published" else _exact(found)
        return _with_new(self.model, self.names, signal, exact=systematics == "none")

    def _published(self, signal: SignalModel) -> Iterator[StatisticalModel]:
        """Models that may hold the signal: the workspace or the cards, and the workspace with patches at that point."""
        yield self.model
        at = tuple(signal.parameters.values())
        for file, content in self.patch_sets.items():
            for name, values, patch in patch_list(content, source=file):
                model, parameters = named_point(name)
                points = tuple(values.values()), tuple(parameters.values())
                # Where a patch has several signals, each is named after both.
                if not name or (f"{signal.model} ".startswith(f"{model} ") and at in points):
                    place = f"{file} {name}".strip()
                    yield model_of_workspace(patched(self.workspace, patch, source=place), source=place)

    @cached_property
    def shifts(self) -> tuple[tuple[str, FloatArray, FloatArray], ...]:
        """What each constrained parameter does to the backgrounds of the bins before any fit, one standard deviation up and down, in events."""
        engine = engine_of(_background_alone(self.model))
        where = _places(self.model, self.names)
        start = engine.initial
        before = engine.expected(start)
        low, high = engine.bounds
        found = []
        for j, name in enumerate(engine.parameters):
            width = engine.widths[j]
            if engine.fixed[j] or not np.isfinite(width):
                continue
            sides = []
            for sign in (1, -1):
                moved = start.copy()
                moved[j] = np.clip(start[j] + sign * width, low[j], high[j])
                sides.append((engine.expected(moved) - before)[where])
            if np.any(sides):
                found.append((name, sides[0], sides[1]))
        return tuple(found)


def _digest(files: Mapping[str, bytes], names: Sequence[str]) -> str:
    total = hashlib.sha256(repr(tuple(names)).encode())
    for name, content in sorted(files.items()):
        total.update(f"\n{name}\n{len(content)}\n".encode() + content)
    return total.hexdigest()


def _patch_sets(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    from superbin._support.json import parse_json

    sets = {}
    for file, content in files.items():
        if file.startswith("patches/"):
            try:
                sets[file] = parse_json(content.decode("utf-8"), f"{name}/{file}")
            except UnicodeDecodeError as error:
                raise DocumentError(
                    f"{name}/{file}: is not UTF-8 text; import the search again with a corrected file"
                ) from error
    return sets


def _places(model: StatisticalModel, names: Sequence[str]) -> np.ndarray:
    """Where bins of the search are among the bins of a model."""
    index = {name: i for i, name in enumerate(model.bin_names)}
    return np.array([index[name] for name in names], dtype=np.intp)


def _is_strength(effect: Effect, strengths: Sequence[str]) -> bool:
    return isinstance(effect, Rate) and effect.parameter in strengths


def _is_signal(sample: Sample, strengths: Sequence[str]) -> bool:
    return any(_is_strength(effect, strengths) for effect in sample.effects)


def _at_one(model: StatisticalModel) -> FloatArray:
    """Initial values of a model's parameters with all strengths at one."""
    return np.array([1.0 if p.name in model.signal_strengths else p.initial for p in model.parameters])


def _own(model: StatisticalModel, names: Sequence[str], yields: FloatArray) -> StatisticalModel | None:
    """The model with the one of its signals that has these yields; None if it has none."""
    strengths = model.signal_strengths
    signals = dict.fromkeys(s.name for c in model.channels for s in c.samples if _is_signal(s, strengths))
    if not signals or any(name not in model.bin_names for name in names):
        return None
    events = engine_of(model).samples(_at_one(model))
    where = _places(model, names)
    total = max(float(yields.sum()), 1e-300)
    for name in signals:
        if np.abs(events[name][where] - yields).sum() < SAME * total:
            return _only(model, name)
    return None


def _only(model: StatisticalModel, signal: str) -> StatisticalModel:
    """The model without its signals other than one."""
    strengths = model.signal_strengths
    channels = tuple(
        replace(
            channel,
            samples=tuple(
                sample
                for sample in channel.samples
                if sample.name == signal or not _is_signal(sample, strengths)
            ),
        )
        for channel in model.channels
    )
    used = {
        effect.parameter
        for channel in channels
        for sample in channel.samples
        for effect in sample.effects
        if isinstance(effect, Rate) and effect.parameter in strengths
    }
    chosen = next(name for name in strengths if name in used)
    return _with_strength(model, channels, chosen)


def _with_strength(
    model: StatisticalModel,
    channels: tuple[Channel, ...],
    strength: str,
    further: Sequence[Parameter] = (),
) -> StatisticalModel:
    """A model with one strength that is free from zero; its others are held at one."""
    parameters = [
        replace(p, initial=1.0, lower=min(p.lower, 1.0), upper=max(p.upper, 1.0), fixed=True)
        if p.name in model.signal_strengths
        else p
        for p in model.parameters
        if p.name != strength
    ]
    mu = Parameter(strength, 1.0, 0.0, MOST)
    return StatisticalModel(channels, (mu, *parameters, *further), (strength,), model.name)


MOST = 1e3
"""Upper bound of a signal strength; searches for a limit go on beyond."""


def _exact(model: StatisticalModel) -> StatisticalModel:
    """The model with its signal as it is at the initial values of the parameters, whatever they do to it."""
    (strength,) = model.signal_strengths
    events = engine_of(model).samples(_at_one(model))
    channels = []
    first = 0
    for channel in model.channels:
        place = slice(first, first + channel.observed.size)
        first += channel.observed.size
        samples = tuple(
            Sample(sample.name, events[sample.name][place], (Rate(strength),))
            if _is_signal(sample, (strength,))
            else sample
            for sample in channel.samples
        )
        channels.append(replace(channel, samples=samples))
    return replace(model, channels=tuple(channels))


def _background_alone(model: StatisticalModel) -> StatisticalModel:
    channels = tuple(
        replace(c, samples=tuple(s for s in c.samples if not _is_signal(s, model.signal_strengths)))
        for c in model.channels
    )
    return replace(model, channels=channels)


def _with_new(
    model: StatisticalModel, names: Sequence[str], signal: SignalModel, *, exact: bool
) -> StatisticalModel:
    """The model with a signal in the bins of the search in place of its own signals."""
    strength = model.signal_strengths[0] if model.signal_strengths else _unused("mu", model)
    where = _places(model, names)
    size = len(model.bin_names)
    title = _unused(signal.label, model)

    def spread(values: FloatArray) -> FloatArray:
        events = np.zeros(size)
        events[where] = values
        return events

    nominal = spread(signal.yields)
    morphs: list[tuple[str, FloatArray, FloatArray]] = []
    further: list[Parameter] = []
    if not exact:
        known = {p.name: p for p in model.parameters}
        for name, (up, down) in signal.variations.items():
            parameter = _shared(name, known, model)
            if parameter not in known:
                further.append(Parameter(parameter, constraint=Normal()))
            morphs.append((parameter, spread(down - signal.yields), spread(up - signal.yields)))
        for i in np.flatnonzero(signal.errors > 0).tolist():
            parameter = _unused(f"statistics of {title} in {names[i]}", model)
            further.append(Parameter(parameter, constraint=Normal()))
            shift = np.zeros(len(names))
            shift[i] = signal.errors[i]
            morphs.append((parameter, spread(-shift), spread(shift)))
    common: tuple[Effect, ...] = ()
    if not exact and signal.relative_error:
        parameter = _unused(f"uncertainty of {title}", model)
        further.append(Parameter(parameter, constraint=Normal()))
        factor = 1 + signal.relative_error
        common = (LogNormal(parameter, 1 / factor, factor),)
    channels = []
    first = 0
    for channel in _background_alone(model).channels:
        place = slice(first, first + channel.observed.size)
        first += channel.observed.size
        samples = channel.samples
        if nominal[place].any():
            effects = tuple(
                Morph(name, low[place], high[place])
                for name, low, high in morphs
                if low[place].any() or high[place].any()
            )
            # Nothing is below zero, whatever its parameters do.
            sample = Sample(
                title,
                nominal[place],
                (Rate(strength), *common, *effects),
                floor=0.0,
                errors=np.zeros(channel.observed.size) if channel.statistics else None,
            )
            samples = (*samples, sample)
        channels.append(replace(channel, samples=samples))
    return _with_strength(model, tuple(channels), strength, further)


def _shared(name: str, known: Mapping[str, Parameter], model: StatisticalModel) -> str:
    """The parameter of a variation: the model's own of that name where it is standard normal, so that background and signal move together."""
    parameter = known.get(name)
    if parameter is None or (parameter.constraint == Normal() and not parameter.fixed):
        return name
    return _unused(f"{name} of the signal", model)


def _unused(name: str, model: StatisticalModel) -> str:
    """A name that neither a parameter nor a sample of the model has."""
    taken = {p.name for p in model.parameters} | {s.name for c in model.channels for s in c.samples}
    while name in taken:
        name += " (signal)"
    return name
