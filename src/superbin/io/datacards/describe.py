"""Datacards -> the description of their likelihood, as Combine builds it.

The formulas are those of Combine 10.6 (doi:10.1007/s41781-024-00121-4 and its public sources). Histograms follow one of two rules:

- Without ``autoMCStats`` the yield is the ``rate`` column and the histogram gives fractions: those of all variations are normalised to one, morphed, cut
  at 1e-9 from below, and normalised again.
- With it contents are events, cut at 1e-9 events; variations are normalised to the nominal integral (hist-mode 1) or used as they are (2).

In both (but hist-mode 2) the change of the integral is a log-normal factor of its own. ``shapeN`` morphs logarithms, and normalises after. Numbers are
rounded where Combine's workspace rounds them: constant yields to six digits, the ratios of integrals to six decimals, templates to single precision.
"""

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import gammaln, xlogy

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.errors import DocumentError
from superbin.io._faults import Faults
from superbin.io.datacards.model import (
    FROM_TEMPLATE,
    Datacards,
    GammaNuisance,
    GammaWidth,
    Kappa,
    LinearNuisance,
    LogNuisance,
    Place,
    Placeholder,
    RateFormula,
    RateParameter,
    ShapeEntry,
    ShapeNuisance,
    Template,
)
from superbin.io.datacards.model import (
    Channel as CardChannel,
)
from superbin.io.datacards.statistics import Contribution, statistics_of
from superbin.io.datacards.templates import Shape, Templates
from superbin.statistical_model import (
    Binary,
    BinRates,
    Channel,
    Constant,
    Effect,
    Expression,
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
    Variable,
)
from superbin.statistical_model.expressions import evaluate, replaced, variables

__all__ = ["STRENGTH", "describe"]

STRENGTH = "r"
"""Name of the signal strength."""

FLOOR = 1e-9
"""Least content of a bin: a fraction of the yield, or events where there is ``autoMCStats``."""

SYMMETRIC = 1e-5
"""Pairs of factors whose product differs from one by less count as symmetric, with the upper factor."""

WIDE, NARROW = 7.0, 4.0
"""Bounds of nuisances with a unit normal constraint, and those of ``shape``: a fit keeps them, as Combine's limits do."""

NEGLIGIBLE = 1e-3
"""Relative changes of an integral, both ways, that are no effect on the yield."""

FEWEST = 1e-6
"""Least value of a free rate that stands for ``lnU``."""


def describe(cards: Datacards, *, mass: float | None = None, name: str = "") -> StatisticalModel:
    """Return the likelihood of cards, histograms read.

    Parameters
    ----------
    cards : Datacards
        One card, or several combined.
    mass : float, optional
        What ``$MASS``, and ``MH`` in formulas, stand for.
    name : str
        Of the model; by default that of the file, or of the first of several.

    Returns
    -------
    StatisticalModel
        All signals under one strength ``r`` >= 0. Parameters have their names in the cards.

    Raises
    ------
    DocumentError
        If a rate is a word, a histogram is missing or does not fit, or a formula names an unknown parameter or goes round in a circle.
    """
    with Templates(mass) as templates:
        return _Builder(cards, templates, mass).build(name or _title(cards))


def _title(cards: Datacards) -> str:
    return cards.files[0] + (f" and {len(cards.files) - 1} more" if len(cards.files) > 1 else "")


@dataclass(slots=True)
class _Column:
    """What acts on a term, collected from all nuisances.

    Attributes
    ----------
    factors : list of Effect
        Log-normal factors, rates, formulas.
    shapes : list of (ShapeNuisance, ShapeEntry)
        Morphs.
    gamma : float or None
        Events in the control count of a ``gmN``; the yield is alpha times a parameter then.
    alpha : float
        Of it.
    """

    factors: list[Effect] = field(default_factory=list)
    shapes: list[tuple[ShapeNuisance, ShapeEntry]] = field(default_factory=list)
    gamma: int | None = None
    alpha: float = 0.0


class _Builder:
    def __init__(self, cards: Datacards, templates: Templates, mass: float | None) -> None:
        self.cards, self.templates, self.mass = cards, templates, mass
        self.parameters: dict[str, Parameter] = {}
        self.initial: dict[str, float] = {}  # where Combine starts, which differs for gmN
        self.columns = [_Column() for _ in cards.terms]
        self.rules = {rule.channel: rule for rule in cards.statistics}
        self.constraints_later: list[Parameter] = []
        self.faults = Faults(cards.files[0] if len(cards.files) == 1 else os.path.commonpath(cards.files))

    def build(self, name: str) -> StatisticalModel:
        cards = self.cards
        for term in cards.terms:
            with self.faults.gathering():
                if isinstance(term.rate, Placeholder):
                    raise DocumentError(
                        f"{term.place}: the rate of process {term.process!r} in channel {term.channel!r} is the word {term.rate.text!r}; write the expected events"
                    )
        self.faults.check()
        signals = [t for t in cards.terms if t.is_signal]
        if signals:
            self.add(Parameter(STRENGTH, 1.0, 0.0, math.inf))
        for i, term in enumerate(cards.terms):
            if term.is_signal:
                self.columns[i].factors.append(Rate(STRENGTH))
        self.read_parameters()
        terms: dict[str, list[int]] = defaultdict(list)
        for i, term in enumerate(cards.terms):
            terms[term.channel].append(i)
        made = []
        for channel in cards.channels:
            with self.faults.gathering():
                made.append(self.channel(channel, terms[channel.name]))
        self.faults.check()
        channels = tuple(made)
        parameters = [*self.unbounded(channels), *self.constraints_later]
        return StatisticalModel(channels, tuple(parameters), (STRENGTH,) if signals else (), name)

    def unbounded(self, channels: tuple[Channel, ...]) -> list[Parameter]:
        """All parameters; free rates without a range may be negative, as in Combine, where every bin they act on counted events.

        Elsewhere a negative rate could make a bin expect less than nothing, which no count forbids.
        """
        valued = {p.name for p in self.cards.measured} | {p.name for p in self.cards.free}
        open_ = {rate.name for rate in self.cards.rate_parameters if rate.lower is None} - valued
        for channel in channels:
            if not (channel.observed > 0).all():
                open_.difference_update(
                    name for sample in channel.samples for e in sample.effects for name in _free_names(e)
                )
        return [replace(p, lower=-math.inf) if p.name in open_ else p for p in self.parameters.values()]

    # ------------------------------------------------------------------ parameters

    def add(self, parameter: Parameter, start: float | None = None) -> None:
        if parameter.name in self.cards.frozen:
            parameter = Parameter(
                parameter.name,
                parameter.initial,
                parameter.lower,
                parameter.upper,
                parameter.constraint,
                fixed=True,
            )
        self.parameters.setdefault(parameter.name, parameter)
        self.initial.setdefault(parameter.name, parameter.initial if start is None else start)

    def acts(self, terms: Iterable[int]) -> bool:
        """Whether any of these terms expects events; Combine drops nuisances that act on none."""
        return any(self.cards.terms[i].rate != 0 or self.columns[i].gamma is not None for i in terms)

    def read_parameters(self) -> None:
        cards = self.cards
        for gamma in cards.gammas:  # first: they decide whether a rate of zero stays
            self.gamma(gamma)
        for measured in cards.measured:
            lower = None if measured.down == measured.up else measured.down
            constraint = Normal(measured.mean, measured.up, lower)
            self.add(Parameter(measured.name, measured.mean, measured.lower, measured.upper, constraint))
        for nuisance in cards.nuisances:
            self.log(nuisance)
        for shape in cards.shapes:
            self.shape(shape)
        for linear in cards.linear:
            self.slopes(linear)
        for width in cards.widths:
            self.width(width)
        for free in cards.free:
            self.add(Parameter(free.name, free.initial, free.lower, free.upper, fixed=free.fixed))
        for rate in cards.rate_parameters:
            self.rate(rate)
        self.formulas()

    def width(self, width: GammaWidth) -> None:
        """``gmM``: a gamma distribution of mean one is that of a Poisson mean with a count."""
        if self.acts(width.terms):
            count = 1 / width.width**2 - 1
            low = max(0.01, 1 - 5 * width.width)
            self.add(Parameter(width.name, 1.0, low, 1 + 5 * width.width, Poisson(count, count + 1)))
            for i in width.terms:
                self.columns[i].factors.append(Rate(width.name))

    def rate(self, rate: RateParameter) -> None:
        lower = (0.0 if rate.initial >= 0 else -math.inf) if rate.lower is None else rate.lower
        upper = math.inf if rate.upper is None else rate.upper
        # A param or extArg line of the same name, added before, gives value, range and constraint.
        self.add(Parameter(rate.name, rate.initial, lower, upper))
        for i in rate.terms:
            self.columns[i].factors.append(Rate(rate.name))

    def gamma(self, gamma: GammaNuisance) -> None:
        if not gamma.entries:
            return
        n = gamma.count
        lower, upper = _range_of_count(n)
        self.add(Parameter(gamma.name, float(max(n, 1)), lower, upper, Poisson(float(n))), start=n + 1.0)
        for entry in gamma.entries:
            column = self.columns[entry.term]
            column.gamma, column.alpha = n, entry.alpha
            column.factors.append(Rate(gamma.name))

    def log(self, nuisance: LogNuisance) -> None:
        if nuisance.kind == "lnU":
            self.uniform(nuisance)
            return
        kept = [e for e in nuisance.entries if not (e.symmetric and e.up == 1)]
        if self.acts(e.term for e in kept):
            self.add(Parameter(nuisance.name, 0.0, -WIDE, WIDE, Normal()))
            for entry in kept:
                self.columns[entry.term].factors.append(_factor(nuisance.name, entry))

    def uniform(self, nuisance: LogNuisance) -> None:
        """``lnU``: a free rate where there is one factor, since the yield is linear in it; else a parameter in [-1, 1]."""
        name, entries = nuisance.name, nuisance.entries
        if not self.acts(e.term for e in entries):
            return
        factors = {abs(math.log(value)) for e in entries for value in (e.down, e.up)}
        if max(factors) - min(factors) <= 1e-12 * max(factors) and all(e.up > 1 > e.down for e in entries):
            upper = max(e.up for e in entries)
            self.add(Parameter(name, 1.0, 1 / upper, upper))
            for entry in entries:
                self.columns[entry.term].factors.append(Rate(name))
        else:
            self.add(Parameter(name, 0.0, -1.0, 1.0))
            for entry in entries:
                self.columns[entry.term].factors.append(_factor(name, entry))

    def shape(self, nuisance: ShapeNuisance) -> None:
        name = nuisance.name
        used = [e for e in nuisance.entries if self.acts([e.term])]
        if not used:
            return
        if nuisance.kind == "shapeU":
            self.add(Parameter(name, 0.0, -1.0, 1.0))
        else:
            bound = NARROW if nuisance.kind == "shape" and not nuisance.optional else WIDE
            self.add(Parameter(name, 0.0, -bound, bound, Normal()))
        for entry in used:
            term = self.cards.terms[entry.term]
            if entry.kappa is not None and (
                term.template is None or not self.templates.has(term.template, f"{entry.source}Up")
            ):
                if not (entry.kappa.symmetric and entry.kappa.up == 1):
                    self.columns[entry.term].factors.append(_factor(name, entry.kappa))
            elif math.isnan(entry.scale):
                raise DocumentError(
                    f"{entry.place}: {name!r} is a pair on process {term.process!r} in channel {term.channel!r}, where it is a shape; write one number"
                )
            else:
                self.columns[entry.term].shapes.append((nuisance, entry))

    def slopes(self, linear: LinearNuisance) -> None:
        name, lower, upper = linear.name, linear.lower, linear.upper
        if not self.acts(entry.term for entry in linear.entries):
            return
        if linear.kind == "trG":
            # Cut where a factor would become negative.
            slopes = [entry.slope for entry in linear.entries]
            lower = max([-WIDE, *(-1 / slope for slope in slopes if slope > 0)])
            upper = min([WIDE, *(-1 / slope for slope in slopes if slope < 0)])
            self.add(Parameter(name, 0.0, lower, upper, Normal()))
        else:
            self.add(Parameter(name, 0.5 * (lower + upper), lower, upper))
        for entry in linear.entries:
            slope = Constant(float(f"{entry.slope:f}"))
            line = Binary("+", Constant(1.0), Binary("*", slope, Variable(name)))
            self.columns[entry.term].factors.append(Formula(line))

    def formulas(self) -> None:
        """Put formulas into one another until they name parameters only."""
        known = {formula.name: formula for formula in self.cards.formulas}
        done: dict[str, Expression] = {}
        for formula in known.values():
            expression = self.resolved(formula, known, done, ())
            for i in formula.terms:
                self.columns[i].factors.append(Formula(expression))

    def resolved(
        self,
        formula: RateFormula,
        known: Mapping[str, RateFormula],
        done: dict[str, Expression],
        above: tuple[str, ...],
    ) -> Expression:
        if formula.name in above:
            circle = " -> ".join((*above[above.index(formula.name) :], formula.name))
            raise DocumentError(
                f"{formula.lines[0]}: the formulas depend on each other in a circle, {circle}; one must be a number"
            )
        if len(above) > 50:
            raise DocumentError(
                f"{formula.lines[0]}: formulas of formulas, more than 50 deep; write them out"
            )
        if formula.name not in done:
            parts: dict[str, Expression] = {}
            for argument in variables(formula.expression):
                if argument in known:
                    parts[argument] = self.resolved(known[argument], known, done, (*above, formula.name))
                elif argument == "MH" and argument not in self.parameters:
                    if self.mass is None:
                        raise DocumentError(
                            f"{formula.lines[0]}: formula {formula.name!r} depends on MH; say which mass is meant (mass=125, --mass 125)"
                        )
                    parts[argument] = Constant(self.mass)
                elif argument not in self.parameters:
                    raise DocumentError(
                        f"{formula.lines[0]}: formula {formula.name!r} names {argument!r}, which no line of the card defines; add a rateParam, param or extArg line"
                    )
            done[formula.name] = replaced(formula.expression, parts)
            if _size(done[formula.name]) > 3000:
                raise DocumentError(
                    f"{formula.lines[0]}: formula {formula.name!r} is too long once written out"
                )
        return done[formula.name]

    def coefficient(self, column: _Column, yields: float) -> float:
        """What multiplies a histogram where Combine starts."""
        value = yields
        for effect in column.factors:
            match effect:
                case Rate(name):
                    value *= self.initial[name]
                case Formula(expression):
                    names = variables(expression)
                    value *= evaluate(expression, {n: self.initial[n] for n in names}).value
                case LogNormal(name, low, high):
                    x = self.initial[name]
                    if x != 0:
                        value *= high**x if x > 0 else low**-x
                case _:
                    pass
        return value

    # ------------------------------------------------------------------ channels

    def channel(self, channel: CardChannel, terms: list[int]) -> Channel:
        kept = [i for i in terms if self.acts([i])]
        if channel.template is None:
            samples = tuple(self.counting(i) for i in kept)
            return Channel(channel.name, np.array([channel.observed]), samples)
        data = self.data(channel, channel.template)
        shapes: dict[int, Shape] = {}
        for i in kept:
            with self.faults.gathering():
                shapes[i] = self.nominal(i, data, channel)
        if channel.name in self.rules:
            return self.with_statistics(channel, data, shapes)
        samples = tuple(self.fractions(i, shape) for i, shape in shapes.items())
        return Channel(channel.name, data.values, samples)

    def counting(self, i: int) -> Sample:
        term, column = self.cards.terms[i], self.columns[i]
        assert isinstance(term.rate, float)
        if column.gamma is not None:
            events = column.alpha
        else:
            events = term.rate if column.factors else _six_digits(term.rate)
        return Sample(term.process, np.array([events]), tuple(column.factors))

    def data(self, channel: CardChannel, template: Template) -> Shape:
        data = self.templates.nominal(template)
        negative = np.flatnonzero(data.values < 0)
        if negative.size:
            b = int(negative[0])
            raise DocumentError(
                f"{template.place}: {data.where} counts {data.values[b]:g} events in bin {b + 1}; counts are >= 0"
            )
        observed = channel.observed
        if observed != FROM_TEMPLATE and (
            (observed == 0 and data.integral > 0.01)
            or (observed > 0 and abs(data.integral / observed - 1) > 0.005)
        ):
            raise DocumentError(
                f"{channel.place}: the observation of channel {channel.name!r} is {observed:g}, but {data.where} has {data.integral:g} events; correct one, or write -1"
            )
        return data

    def nominal(self, i: int, data: Shape, channel: CardChannel) -> Shape:
        term = self.cards.terms[i]
        assert term.template is not None
        assert isinstance(term.rate, float)
        shape = self.templates.nominal(term.template)
        self.check_size(shape, data, term.template.place, channel)
        if not shape.integral > 0:
            raise DocumentError(
                f"{term.template.place}: {shape.where} has the integral {shape.integral:g}, but the rate of process {term.process!r} in channel {term.channel!r} is not zero; write rate 0, or correct the histogram"
            )
        if (
            term.rate > 0
            and self.columns[i].gamma is None
            and (abs(shape.integral - term.rate) > 0.01 * max(1.0, term.rate))
        ):
            raise DocumentError(
                f"{term.place}: the rate of process {term.process!r} in channel {term.channel!r} is {term.rate:g}, but {shape.where} has {shape.integral:g} events; correct one, or write -1"
            )
        return shape

    def check_size(self, shape: Shape, data: Shape, place: Place, channel: CardChannel) -> None:
        if shape.values.size != data.values.size:
            raise DocumentError(
                f"{place}: {shape.where} has {counted(shape.values.size, 'bin')}, the data of channel {channel.name!r} ({data.where}) has {data.values.size}; all histograms of a channel need the same"
            )

    def variations(self, i: int, nominal: Shape) -> tuple[list[tuple[str, float, Shape, Shape]], bool, float]:
        """Return the morphs of a term (parameter, scale, down, up), whether they are logarithmic, and the smooth region."""
        term, found = self.cards.terms[i], []
        kinds = {nuisance.kind == "shapeN" for nuisance, _ in self.columns[i].shapes}
        if len(kinds) > 1:
            _, entry = self.columns[i].shapes[-1]
            raise DocumentError(
                f"{entry.place}: process {term.process!r} in channel {term.channel!r} has both shape and shapeN nuisances; Combine morphs a histogram one way"
            )
        for nuisance, entry in self.columns[i].shapes:
            assert term.template is not None
            with self.faults.gathering():
                down, up = (self.variation(term.template, entry, side, nominal) for side in ("Down", "Up"))
                found.append((nuisance.name, entry.scale, down, up))
        return found, kinds == {True}, min([1.0, *(scale for _, scale, _, _ in found)])

    def variation(self, template: Template, entry: ShapeEntry, side: str, nominal: Shape) -> Shape:
        shape = self.templates.variation(template, entry.source + side, entry.place)
        if shape.values.size != nominal.values.size:
            raise DocumentError(
                f"{entry.place}: {shape.where} has {counted(shape.values.size, 'bin')}, {nominal.where} has {nominal.values.size}; a variation needs the same"
            )
        if not shape.integral > 0:
            raise DocumentError(
                f"{entry.place}: {shape.where} has the integral {shape.integral:g}; a variation needs one above zero"
            )
        return shape

    def norms(self, nominal: Shape, morphs: list[tuple[str, float, Shape, Shape]]) -> list[Effect]:
        """What variations do to the integral."""
        effects: list[Effect] = []
        for name, scale, down, up in morphs:
            low, high = down.integral / nominal.integral, up.integral / nominal.integral
            if abs(high - 1) < NEGLIGIBLE and abs(low - 1) < NEGLIGIBLE:
                continue
            low, high = (max(float(f"{value**scale:f}"), 1e-6) for value in (low, high))
            effects.append(LogNormal(name, low, high, "combine"))
        return effects

    def fractions(self, i: int, shape: Shape) -> Sample:
        """A process without ``autoMCStats``: the yield times fractions."""
        term, column = self.cards.terms[i], self.columns[i]
        morphs, logarithmic, region = self.variations(i, shape)
        factors = [*column.factors, *self.norms(shape, morphs)]
        assert isinstance(term.rate, float)
        events = shape.integral if term.rate == FROM_TEMPLATE else term.rate
        if column.gamma is not None:
            events = column.alpha
        elif not column.factors:
            events = _six_digits(events)
        p = _normalised(shape.values)

        sides = [
            (name, scale, _normalised(down.values), _normalised(up.values))
            for name, scale, down, up in morphs
        ]
        if logarithmic:
            effects: tuple[Effect, ...] = tuple(_log_morphs(p, sides, region))
            return Sample(term.process, events * np.maximum(p, 0.0), (*effects, *factors), total=events)
        effects = tuple(
            Morph(name, events * scale * (down - p), events * scale * (up - p), "combine", region / scale)
            for name, scale, down, up in sides
        )
        return Sample(term.process, events * p, (*effects, *factors), floor=FLOOR * events, total=events)

    def with_statistics(self, channel: CardChannel, data: Shape, shapes: Mapping[int, Shape]) -> Channel:
        """A channel with ``autoMCStats``: events per bin, and parameters for their statistical errors."""
        rule = self.rules[channel.name]
        samples, contributions = [], []
        for i, shape in shapes.items():
            term, column = self.cards.terms[i], self.columns[i]
            scale = 1.0 if not column.gamma else 1.0 / column.gamma
            sample = self.events(i, shape, scale, rule.mode)
            samples.append(sample)
            contents, errors = np.maximum(shape.values, FLOOR), shape.errors
            if np.isnan(errors).any() and rule.threshold >= 0:
                raise DocumentError(
                    f"{rule.place}: {shape.where} has a negative sum of squared weights in bin {int(np.flatnonzero(np.isnan(errors))[0]) + 1}, so autoMCStats finds no error there; correct the histogram"
                )
            contributions.append(
                Contribution(term.process, term.is_signal, self.coefficient(column, scale), contents, errors)
            )
        if not contributions:
            return Channel(channel.name, data.values, ())
        found = statistics_of(rule, contributions)
        self.constraints_later += found.parameters
        made: list[Sample] = []
        for sample, contribution, rates, shifts, i in zip(
            samples, contributions, found.rates, found.shifts, shapes, strict=True
        ):
            column = self.columns[i]
            scale = 1.0 if not column.gamma else 1.0 / column.gamma
            own = (BinRates(tuple(rates)),) if any(rates) else ()
            made.append(
                Sample(
                    sample.name, sample.nominal, (*sample.effects, *own), sample.floor, sample.total, scale * np.nan_to_num(contribution.errors)
                )
            )  # fmt: skip
            if shifts:
                factors = tuple(e for e in sample.effects if not isinstance(e, Morph | LogMorph))
                moved = tuple(Morph(m.parameter, scale * m.low, scale * m.high, m.code) for m in shifts)
                made.append(
                    Sample(f"{sample.name}_statistics", np.zeros(data.values.size), (*moved, *factors))
                )
        bins = tuple(found.bins) if any(found.bins) else ()
        return Channel(channel.name, data.values, tuple(made), statistics=bins, floor=FLOOR)

    def events(self, i: int, shape: Shape, scale: float, mode: int) -> Sample:
        term, column = self.cards.terms[i], self.columns[i]
        morphs, logarithmic, region = self.variations(i, shape)
        factors = [*column.factors, *(self.norms(shape, morphs) if mode == 1 else ())]
        nominal = shape.values

        def side(variation: Shape) -> FloatArray:
            return _scaled(variation.values, nominal) if mode == 1 else variation.values

        sides = [(name, size, side(down), side(up)) for name, size, down, up in morphs]
        if logarithmic:
            effects: tuple[Effect, ...] = tuple(_log_morphs(nominal, sides, region))
            total = scale * float(nominal.sum())
            positive = scale * np.maximum(nominal, 0.0)
            return Sample(term.process, positive, (*effects, *factors), scale * FLOOR, total)
        effects = tuple(
            Morph(
                name, scale * size * (down - nominal), scale * size * (up - nominal), "combine", region / size
            )
            for name, size, down, up in sides
        )
        return Sample(term.process, scale * nominal, (*effects, *factors), scale * FLOOR)


def _factor(name: str, entry: Kappa) -> LogNormal:
    low = 1 / entry.up if abs(entry.down * entry.up - 1) < SYMMETRIC else entry.down
    return LogNormal(name, low, entry.up, "combine")


def _range_of_count(n: int) -> tuple[float, float]:
    """Bounds of the expectation of a control count: where the count has a probability of less than 1e-12."""

    def probability(mean: float) -> float:
        return math.exp(xlogy(n, mean) - mean - gammaln(n + 1))

    lower, upper = (n + 1.0 if n > 0 else 0.0), n + 1.0
    while lower > 0 and probability(lower) > 1e-12:
        lower *= 0.8
    while probability(upper) > 1e-12:
        upper *= 1.2
    return lower, upper


def _free_names(effect: Effect) -> tuple[str, ...]:
    match effect:
        case Rate(name):
            return (name,)
        case Formula(expression):
            return variables(expression)
        case _:
            return ()


def _six_digits(value: float) -> float:
    return float(f"{value:g}")


def _normalised(values: FloatArray) -> FloatArray:
    whole = float(values.sum())
    return values / whole if whole != 0 else values


def _scaled(values: FloatArray, nominal: FloatArray) -> FloatArray:
    """A variation with the nominal integral, in single precision."""
    whole = float(values.sum())
    if not whole > 0:
        return values
    scaled: FloatArray = (float(nominal.sum()) / whole * values).astype(np.float32).astype(np.float64)
    return scaled


def _log_morphs(
    nominal: FloatArray, sides: list[tuple[str, float, FloatArray, FloatArray]], region: float
) -> list[LogMorph]:
    def ratio(values: FloatArray) -> FloatArray:
        both = (values > 0) & (nominal > 0)
        return np.where(both, np.log(np.where(both, values, 1.0) / np.where(both, nominal, 1.0)), 0.0)

    return [
        LogMorph(name, scale * ratio(down), scale * ratio(up), region / scale)
        for name, scale, down, up in sides
    ]


def _size(expression: Expression) -> int:
    match expression:
        case Binary(_, left, right):
            return 1 + _size(left) + _size(right)
        case Constant() | Variable():
            return 1
        case _:
            parts = [
                getattr(expression, n)
                for n in ("argument", "condition", "yes", "no")
                if hasattr(expression, n)
            ]
            return 1 + sum(_size(part) for part in parts)
