"""Any description as HistFactory JSON (schema 1.0.0), exact where HistFactory has its form, with the largest deviation where it has not.

What becomes what:

==========================================================  ===================================================================
log-normal factor                                           normsys; Combine's interpolation and code 1 deviate within one sigma; a flat parameter is a
                                                            normal one that cannot go far, as in `superbin.likelihood.export`
additive morph                                              histosys; other codes, other regions and floors deviate
logarithmic morph                                           histosys through the same ends; deviates
rate                                                        normfactor, or lumi with a normal constraint
rate with a Poisson count                                   normfactor, and a channel of its own that counts it
rates of bins: normal, Poisson, free                        staterror, shapesys, shapefactor (with a channel that counts, where several samples share it)
product of powers 0 and 1 of parameters                     normfactors, its coefficient in the histogram
sample scaled to a total                                    the scaled histogram; deviates where morphs change the sum
statistical parameter of a bin                              staterror of the samples without signal; deviates
==========================================================  ===================================================================

`measured_deviations` reads the document back and compares expectations, one parameter at a time and all together. Formulas that are no such products, constraints of two
widths and names with several meanings are refused.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.io.workspaces import model_from_workspace
from superbin.likelihood.dense import Likelihood
from superbin.likelihood.export import FLAT_SCALE, patch_set_of
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
from superbin.statistical_model.expressions import monomial

__all__ = [
    "Deviations",
    "HistFactoryExport",
    "background_and_patches",
    "histfactory_document",
    "measured_deviations",
]

Document = dict[str, Any]

WIDEST = 20.0
"""Bounds of parameters without bounds of their own, in standard deviations; pyhf's default would be 5."""

LARGEST_RATE = 1e3
"""Upper bound of rates without one."""

LEAST_GAMMA = 1e-10
"""Lower bound of rates of bins, as pyhf's."""

POINTS = 100
"""Random points of the deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class HistFactoryExport:
    """A description as HistFactory JSON.

    Attributes
    ----------
    workspace : dict
        Background and signal.
    names : mapping of str to tuple of (str, float, float)
        For each parameter that the document has: its name there, and a and b of its value there, ``a + b x``.
    signal : tuple of (int, str)
        Channel, by position, and sample of everything that the signal strength multiplies.
    notes : tuple of str
        What was changed.
    """

    workspace: Document
    names: Mapping[str, tuple[str, float, float]]
    signal: tuple[tuple[int, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deviations:
    """Largest deviations of expected events of any bin, relative to these or to the nominal ones, whichever are more.

    Attributes
    ----------
    single : float
        With one parameter moved within three standard deviations of its constraint, or within its bounds.
    parameter, bin : str
        Where that is.
    together : float
        At random points with all parameters moved, drawn from the constraints.
    nll : float
        Largest deviation of differences of the negative log-likelihood at these points, in units of the larger of one and the difference.
    """

    single: float
    parameter: str
    bin: str
    together: float
    nll: float


@dataclass(slots=True)
class _Writer:
    model: StatisticalModel
    strength: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    names: dict[str, tuple[str, float, float]] = field(default_factory=dict)
    configured: dict[str, Document] = field(default_factory=dict)
    counts: dict[str, tuple[FloatArray, FloatArray, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    # -- parameters

    def use(self, name: str, kind: str, where: str) -> Parameter:
        """Note what a parameter is used as; it can be one thing only."""
        known = self.kinds.setdefault(name, kind)
        if known != kind:
            raise InputError(
                f"{where}: parameter {name!r} is a {kind} here and a {known} elsewhere; HistFactory gives a name one meaning"
            )
        return self.parameters[name]

    def pull(self, name: str, where: str, *, flat: bool = False) -> float:
        """A parameter of normsys or histosys; return the power of its factors, which only one without constraint has, where `flat` allows it."""
        parameter = self.use(name, "pull", where)
        constraint = parameter.constraint
        if constraint is None and flat and math.isfinite(parameter.lower) and math.isfinite(parameter.upper):
            bounds = [[parameter.lower / FLAT_SCALE, parameter.upper / FLAT_SCALE]]
            self.configure(name, {"inits": [parameter.initial / FLAT_SCALE], "bounds": bounds}, parameter)
            self.names[name] = name, 0.0, 1 / FLAT_SCALE
            return FLAT_SCALE
        if isinstance(constraint, Normal) and constraint.width == 1 and constraint.lower_width is None:
            low, high = _within(parameter, constraint.centre, WIDEST)
            config: Document = {"inits": [parameter.initial], "bounds": [[low, high]]}
            if constraint.centre != 0:
                config["auxdata"] = [constraint.centre]
            self.configure(name, config, parameter)
            return 1.0
        raise InputError(
            f"parameter {name!r} varies {where} and is {_words(constraint)}; HistFactory has only normal constraints of width 1 there"
        )

    def rate(self, name: str, where: str) -> Document:
        """A factor of all bins; return its modifier."""
        parameter = self.use(name, "rate", where)
        constraint = parameter.constraint
        if isinstance(constraint, Normal):
            if constraint.lower_width is not None:
                raise InputError(f"parameter {name!r} is {_words(constraint)}, which HistFactory has not")
            low, high = _within(parameter, constraint.centre, WIDEST * constraint.width)
            self.configure(
                name,
                {
                    "inits": [parameter.initial],
                    "bounds": [[low, high]],
                    "auxdata": [constraint.centre],
                    "sigmas": [constraint.width],
                },
                parameter,
            )
            return {"name": name, "type": "lumi", "data": None}
        low = max(parameter.lower, -LARGEST_RATE)
        high = min(parameter.upper, max(LARGEST_RATE, 10 * abs(parameter.initial)))
        self.configure(name, {"inits": [parameter.initial], "bounds": [[low, high]]}, parameter)
        if isinstance(constraint, Poisson):
            self.counts[name] = np.array([constraint.scale]), np.array([constraint.count]), "normfactor"
        return {"name": name, "type": "normfactor", "data": None}

    def configure(self, name: str, config: Document, parameter: Parameter) -> None:
        if parameter.fixed:
            config["fixed"] = True
        self.configured[name] = {"name": name, **config}
        self.names[name] = name, 0.0, 1.0

    # -- rates of bins

    def bin_rates(self, channel: Channel, effect: BinRates, carriers: list[Sample]) -> dict[str, Document]:
        """Return the modifier of each sample that carries these rates of bins."""
        named = [name for name in effect.parameters if name is not None]
        where = f"channel {channel.name!r}"
        kinds = {
            type(self.use(name, "rate of a bin", where).constraint)
            for name in named
            if not _inert(self.parameters[name])
        }
        label = _base(effect.parameters) or self.fresh(f"{channel.name}_{'_'.join(named[:1])}")
        if len(kinds) > 1:
            raise InputError(
                f"{where}: its rates of bins have constraints of several kinds; HistFactory has one kind per sample"
            )
        kind = kinds.pop() if kinds else Normal
        if kind is Normal:
            return self.statistical(channel, effect, carriers, label)
        if kind is Poisson and len(carriers) == 1:
            return self.poisson(channel, effect, carriers[0], label)
        if None in effect.parameters:
            raise InputError(
                f"{where}: a free rate of bins leaves one out; HistFactory's shapefactor has all"
            )
        parameters = [self.parameters[name] for name in named]
        self.set_of_bins(effect, label, [[p.lower, min(p.upper, LARGEST_RATE)] for p in parameters])
        if kind is Poisson:
            constraints = [p.constraint for p in parameters if isinstance(p.constraint, Poisson)]
            self.counts[label] = (
                np.array([c.scale for c in constraints]),
                np.array([c.count for c in constraints]),
                "shapefactor",
            )
        return {s.name: {"name": label, "type": "shapefactor", "data": None} for s in carriers}

    def fresh(self, label: str) -> str:
        taken = {*self.kinds, *self.configured}
        while label in taken:
            label += "_"
        return label

    def set_of_bins(self, effect: BinRates, label: str, bounds: list[list[float]]) -> None:
        parameters = [None if name is None else self.parameters[name] for name in effect.parameters]
        self.configured[label] = {
            "name": label,
            "inits": [1.0 if p is None else p.initial for p in parameters],
            "bounds": bounds,
        }
        for b, name in enumerate(effect.parameters):
            if name is not None:
                self.names[name] = f"{label}[{b}]", 0.0, 1.0

    def statistical(
        self, channel: Channel, effect: BinRates, carriers: list[Sample], label: str
    ) -> dict[str, Document]:
        """Write staterror, whose widths are those of all carriers together: one of them has all the uncertainty."""
        total = sum((s.nominal for s in carriers), np.zeros(channel.observed.size))
        errors, bounds = np.zeros(total.size), []
        for b, name in enumerate(effect.parameters):
            bounds.append([LEAST_GAMMA, 10.0])
            if name is None or _inert(self.parameters[name]):
                continue
            parameter = self.parameters[name]
            constraint = parameter.constraint
            if (
                not isinstance(constraint, Normal)
                or constraint.centre != 1
                or constraint.lower_width is not None
                or parameter.fixed
            ):
                raise InputError(
                    f"channel {channel.name!r}: the rate {name!r} of a bin is {_words(constraint)}{' and fixed' * parameter.fixed}; "
                    "HistFactory's staterror is normal about one and free"
                )
            if total[b] <= 0:
                raise InputError(
                    f"channel {channel.name!r}: bin {b} has no events for the rate {name!r} to be relative to"
                )
            errors[b] = constraint.width * total[b]
            bounds[b] = [max(parameter.lower, LEAST_GAMMA), min(parameter.upper, LARGEST_RATE)]
        self.set_of_bins(effect, label, bounds)
        first = next((s.name for s in carriers if not self.is_signal(s)), carriers[0].name)
        return {
            s.name: {
                "name": label,
                "type": "staterror",
                "data": (errors if s.name == first else np.zeros_like(errors)).tolist(),
            }
            for s in carriers
        }

    def poisson(self, channel: Channel, effect: BinRates, sample: Sample, label: str) -> dict[str, Document]:
        """Write shapesys, where the count of a bin is the square of its content over its uncertainty."""
        uncertainty, bounds, auxiliary = np.zeros(channel.observed.size), [], []
        for b, name in enumerate(effect.parameters):
            parameter = None if name is None else self.parameters[name]
            constraint = None if parameter is None else parameter.constraint
            bounds.append([LEAST_GAMMA, 10.0])
            auxiliary.append(1.0)
            if parameter is None or not isinstance(constraint, Poisson) or _inert(parameter):
                continue
            if sample.nominal[b] <= 0 or parameter.fixed:
                raise InputError(
                    f"channel {channel.name!r}: the counted rate {name!r} acts on a bin without events or is fixed, which HistFactory's shapesys has not"
                )
            uncertainty[b] = sample.nominal[b] / math.sqrt(constraint.scale)
            bounds[b] = [max(parameter.lower, LEAST_GAMMA), min(parameter.upper, LARGEST_RATE)]
            auxiliary[b] = constraint.count
        self.set_of_bins(effect, label, bounds)
        self.configured[label]["auxdata"] = auxiliary
        return {sample.name: {"name": label, "type": "shapesys", "data": uncertainty.tolist()}}

    def shifts(self, channel: Channel, samples: list[Sample]) -> dict[str, Document]:
        """Write staterror for statistical parameters of bins: of the samples without signal, at nominal."""
        if not any(channel.statistics):
            return {}
        label = self.fresh(f"statistics_{channel.name}")
        carriers = [s for s in samples if not self.is_signal(s)]
        size = channel.observed.size
        total = sum((s.nominal for s in carriers), np.zeros(size))
        errors = {s.name: np.zeros(size) if s.errors is None else s.errors.copy() for s in carriers}
        relative = np.sqrt(sum((e**2 for e in errors.values()), np.zeros(size)))
        bounds = []
        for b, name in enumerate(channel.statistics):
            parameter = None if name is None else self.use(name, "statistical parameter", channel.name)
            if (
                parameter is None
                or name is None
                or total[b] <= 0
                or relative[b] <= 0
                or _inert(parameter, 0.0)
            ):
                for error in errors.values():
                    error[b] = 0.0
                bounds.append([LEAST_GAMMA, 10.0])
                continue
            if parameter.constraint != Normal():
                raise InputError(
                    f"the statistical parameter {name!r} is {_words(parameter.constraint)}; HistFactory's staterror is normal of width 1"
                )
            width = relative[b] / total[b]
            bounds.append(
                [
                    max(LEAST_GAMMA, 1 + width * max(parameter.lower, -WIDEST)),
                    1 + width * min(parameter.upper, WIDEST),
                ]
            )
            self.names[name] = f"{label}[{b}]", 1.0, width
        self.configured[label] = {"name": label, "inits": [1.0] * size, "bounds": bounds}
        self.notes.append(
            f"channel {channel.name}: statistical parameters as staterror of the samples without signal"
        )
        return {
            s.name: {"name": label, "type": "staterror", "data": errors[s.name].tolist()} for s in carriers
        }

    # -- samples

    def is_signal(self, sample: Sample) -> bool:
        return any(isinstance(e, Rate) and e.parameter == self.strength for e in sample.effects)

    def sample(self, channel: Channel, sample: Sample) -> Document:
        """Return a sample with what acts on it alone."""
        where = f"sample {sample.name!r} of channel {channel.name!r}"
        modifiers: list[Document] = []
        for effect in sample.effects:
            match effect:
                case LogNormal(name, low, high):
                    power = self.pull(name, where, flat=True)
                    data: Document = {"hi": high**power, "lo": low**power}
                    modifiers.append({"name": name, "type": "normsys", "data": data})
                case Morph() | LogMorph():
                    self.pull(effect.parameter, where)
                    down, up = _ends(sample, effect)
                    data = {"hi_data": up.tolist(), "lo_data": down.tolist()}
                    modifiers.append({"name": effect.parameter, "type": "histosys", "data": data})
                case Rate(name):
                    modifiers.append(self.rate(name, where))
                case _:
                    pass  # rates of bins belong to the channel, formulas are rates by now
        keys = [(m["name"], m["type"]) for m in modifiers]
        for name, kind in keys:
            if keys.count((name, kind)) > 1:
                raise InputError(f"{where}: {name!r} acts twice as {kind}, which HistFactory has not")
        return {"name": sample.name, "data": sample.nominal.tolist(), "modifiers": modifiers}

    def channel(self, channel: Channel) -> Document:
        samples = [_plain(channel, sample) for sample in _named_apart(channel.samples)]
        documents = {s.name: self.sample(channel, s) for s in samples}
        groups: dict[BinRates, list[Sample]] = {}
        for sample in samples:
            for effect in sample.effects:
                if isinstance(effect, BinRates):
                    groups.setdefault(effect, []).append(sample)
        added = [self.bin_rates(channel, effect, carriers) for effect, carriers in groups.items()]
        for found in (*added, self.shifts(channel, samples)):
            for name, modifier in found.items():
                documents[name]["modifiers"].append(modifier)
        return {"name": channel.name, "samples": list(documents.values())}


def histfactory_document(model: StatisticalModel) -> HistFactoryExport:
    """Return a description as a HistFactory workspace.

    Parameters
    ----------
    model : StatisticalModel
        With a signal strength. Masked channels are left out.

    Raises
    ------
    InputError
        If something has no form; the text names it.
    """
    if not model.signal_strengths:
        raise InputError(
            "the model has no signal strength; a HistFactory workspace needs a parameter of interest"
        )
    writer = _Writer(model, model.signal_strengths[0], {p.name: p for p in model.parameters})
    counted = [channel for channel in model.channels if not channel.masked]
    channels = [writer.channel(channel) for channel in counted]
    observations = [{"name": c.name, "data": c.observed.tolist()} for c in counted]
    signal = tuple(
        (c, sample["name"])
        for c, channel in enumerate(channels)
        for sample in channel["samples"]
        if any(m["name"] == writer.strength for m in sample["modifiers"])
    )
    if not signal:
        raise InputError(f"no sample is scaled by {writer.strength!r}, so the workspace would have no signal")
    for name, (scale, count, kind) in writer.counts.items():
        sample = {
            "name": "expected",
            "data": scale.tolist(),
            "modifiers": [{"name": name, "type": kind, "data": None}],
        }
        channels.append({"name": f"count_{name}", "samples": [sample]})
        observations.append({"name": f"count_{name}", "data": count.tolist()})
        writer.notes.append(f"{name}: counted in a channel of its own, count_{name}")
    unused = [p.name for p in model.parameters if p.name not in writer.names]
    if unused:
        writer.notes.append(f"parameters that act on nothing are left out: {', '.join(unused[:5])}")
    workspace = {
        "channels": channels,
        "observations": observations,
        "measurements": [
            {
                "name": "likelihood",
                "config": {"poi": writer.strength, "parameters": list(writer.configured.values())},
            }
        ],
        "version": "1.0.0",
    }
    return HistFactoryExport(workspace, writer.names, signal, tuple(writer.notes))


def background_and_patches(
    export: HistFactoryExport, *, name: str, values: Mapping[str, float], description: str
) -> tuple[Document, Document] | None:
    """Return the background alone and the patch set that adds the signal; None where a channel has nothing but signal.

    Parameters
    ----------
    export : HistFactoryExport
        As `histfactory_document` returns it.
    name, values, description
        As of `superbin.likelihood.export.patch_set`.
    """
    background = copy.deepcopy(export.workspace)
    operations: list[Document] = []
    for c, channel in enumerate(background["channels"]):
        added = [s for s in channel["samples"] if (c, s["name"]) in export.signal]
        channel["samples"] = [s for s in channel["samples"] if (c, s["name"]) not in export.signal]
        if not channel["samples"]:
            return None
        operations += [{"op": "add", "path": f"/channels/{c}/samples/-", "value": s} for s in added]
    used = {m["name"] for c in background["channels"] for s in c["samples"] for m in s["modifiers"]}
    config = background["measurements"][0]["config"]
    operations += [
        {"op": "add", "path": "/measurements/0/config/parameters/-", "value": p}
        for p in config["parameters"]
        if p["name"] not in used
    ]
    config["parameters"] = [p for p in config["parameters"] if p["name"] in used]
    return background, patch_set_of(background, operations, name=name, values=values, description=description)


def measured_deviations(model: StatisticalModel, export: HistFactoryExport) -> Deviations:
    """Read the document back and compare its expectations with the model's.

    Parameters
    ----------
    model : StatisticalModel
        What was written.
    export : HistFactoryExport
        As `histfactory_document` returns it.
    """
    ours, theirs = Likelihood(model), Likelihood(model_from_workspace(export.workspace, source="export"))
    position = {name: i for i, name in enumerate(theirs.parameters)}
    place = {name: i for i, name in enumerate(theirs.model.bin_names)}
    rows = [i for i, name in enumerate(ours.model.bin_names) if name in place]
    order = [place[ours.model.bin_names[i]] for i in rows]
    moved = [
        j for j, name in enumerate(ours.parameters) if export.names.get(name, ("", 0.0, 0.0))[0] in position
    ]

    def there(x: FloatArray) -> FloatArray:
        y = theirs.initial
        for j in moved:
            name, a, b = export.names[ours.parameters[j]]
            y[position[name]] = a + b * x[j]
        return y

    nominal = np.maximum(np.abs(ours.expected(ours.initial)[rows]), 1e-9)

    def deviation(x: FloatArray) -> FloatArray:
        a, b = ours.expected(x)[rows], theirs.expected(there(x))[order]
        return np.abs(b - a) / np.maximum(np.abs(a), nominal)

    low, high = ours.bounds
    width = np.where(np.isfinite(ours.widths), ours.widths, 1.0)
    single, where = 0.0, ("", "")
    for j in moved:
        for step in (-3.0, -2.0, -1.5, -1.0, -0.7, -0.4, -0.2, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0):
            x = ours.initial
            x[j] = min(max(x[j] + step * width[j], low[j]), high[j])
            found = deviation(x)
            worst = int(found.argmax())
            if found[worst] > single:
                single, where = float(found[worst]), (ours.parameters[j], ours.model.bin_names[rows[worst]])
    rng, together, nll = np.random.default_rng(1), 0.0, 0.0
    first = ours.nll(ours.initial), theirs.nll(there(ours.initial))
    for _ in range(POINTS):
        x = ours.initial
        x[moved] += (width * rng.standard_normal(x.size))[moved]
        x = np.where(ours.fixed, ours.initial, np.clip(x, low, high))
        together = max(together, float(deviation(x).max()))
        a, b = ours.nll(x) - first[0], theirs.nll(there(x)) - first[1]
        if np.isfinite(a) and np.isfinite(b):
            nll = max(nll, abs(b - a) / max(1.0, abs(a)))
    return Deviations(single, *where, together, nll)


def _words(constraint: Normal | Poisson | None) -> str:
    match constraint:
        case None:
            return "free"
        case Poisson():
            return "measured by a count"
        case Normal(centre, width, None):
            return f"normal about {centre:g} with width {width:g}"
        case Normal():
            return "normal with two widths"


def _inert(parameter: Parameter, value: float = 1.0) -> bool:
    """Whether a parameter is held where it changes nothing."""
    return parameter.fixed and parameter.initial == value


def _within(parameter: Parameter, centre: float, reach: float) -> tuple[float, float]:
    return max(parameter.lower, centre - reach), min(parameter.upper, centre + reach)


def _base(parameters: tuple[str | None, ...]) -> str | None:
    """Common name of ``name[0]``, ``name[1]``, ...; None if they are not named so."""
    found = set()
    for b, name in enumerate(parameters):
        if name is not None:
            if not name.endswith(f"[{b}]"):
                return None
            found.add(name.removesuffix(f"[{b}]"))
    return found.pop() if len(found) == 1 else None


def _named_apart(samples: tuple[Sample, ...]) -> Iterator[Sample]:
    taken: set[str] = set()
    for sample in samples:
        name = sample.name
        while name in taken:
            name += "_"
        taken.add(name)
        yield replace(sample, name=name)


def _plain(channel: Channel, sample: Sample) -> Sample:
    """Return a sample without formulas, total and floor, which are in its histogram and its morphs."""
    effects: list[Effect] = []
    factor = 1.0
    for effect in sample.effects:
        if not isinstance(effect, Formula):
            effects.append(effect)
            continue
        product = monomial(effect.expression)
        if product is None or any(power not in {0, 1} for power in product[1].values()):
            raise InputError(
                f"sample {sample.name!r} of channel {channel.name!r} is scaled by a formula that is not a product of parameters; HistFactory has no such modifier, export to HS3"
            )
        factor *= product[0]
        effects += [Rate(name) for name, power in product[1].items() if power == 1]
    errors = None if sample.errors is None else abs(factor) * sample.errors
    nominal = np.maximum(sample.nominal, sample.floor)
    if sample.total is not None:
        factor *= sample.total / nominal.sum()
    scaled = [
        replace(e, low=factor * e.low, high=factor * e.high) if isinstance(e, Morph) else e for e in effects
    ]
    return Sample(sample.name, factor * nominal, tuple(scaled), errors=errors)


def _ends(sample: Sample, effect: Morph | LogMorph) -> tuple[FloatArray, FloatArray]:
    """The histograms at -1 and +1."""
    if isinstance(effect, LogMorph):
        return sample.nominal * np.exp(effect.low), sample.nominal * np.exp(effect.high)
    return sample.nominal + _at_one(effect, -1), sample.nominal + _at_one(effect, 1)


def _at_one(effect: Morph, sign: int) -> FloatArray:
    """The difference at one standard deviation, which lies inside the region of a wide smooth step."""
    if effect.code not in {"combine", "code4p"} or effect.region <= 1:
        return effect.high if sign > 0 else effect.low
    odd, even = 0.5 * (effect.high - effect.low), 0.5 * (effect.high + effect.low)
    t = 1 / effect.region
    return sign * odd + even * t * (t * t * (3 * t * t - 10) + 15) / 8
