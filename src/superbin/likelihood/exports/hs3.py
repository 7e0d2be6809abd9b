"""HS3, the HEP Statistics Serialization Standard (version 0.2), as ROOT's RooFit reads it.

Every bin is a ``poisson_dist`` of a variable of its own, its expectation a ``sum`` of ``product`` functions. Up to ten bins of a channel make a distribution with one
unbinned entry as its data; the likelihood is the product of these, one of which has the constraints. So every description has an exact form, not only HistFactory's:

- log-normal factors are ``interpolation0d`` and morphs ``interpolation`` where RooFit has their convention, a smooth step up to another size than one being that
  of the scaled parameter;
- Combine's blend, logarithmic morphs, least contents of bins, samples scaled to a total, statistical errors of bins and formulas are ``generic_function``. RooFit
  compiles a text once, whatever it is a function of, so numbers are constant parameters and the texts are few;
- constraints are ``gaussian_dist``, ``bifurkated_gaussian_dist`` (two widths) and ``poisson_dist``, with ``"integer": false``: ROOT would round otherwise.

RooFit keeps code 4 factors above zero, where HistFactory's polynomial falls below for factors such as 0.01 and 100. These are formulas as well.

Parameters that act on nothing are left out, as RooFit would leave out their constraints; ``misc.superbin.without_effect`` lists them. In RooFit the likelihood is
``workspace.obj("analysis").createNLL(workspace.data("observed"))``: the analysis knows the global observables. A plain ``createNLL`` of the model does not, normalises
every constraint in its parameter instead, and takes half a second per Poisson constraint and value, since that integral is numerical.

Names have letters, digits and underscores alone, since formulas use them; ``misc.superbin.names`` leads back.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from superbin.likelihood.interpolation import code4_coefficients
from superbin.statistical_model import (
    Binary,
    BinRates,
    Call,
    Channel,
    Choice,
    Constant,
    Expression,
    Formula,
    LogMorph,
    LogNormal,
    Morph,
    Normal,
    Poisson,
    Rate,
    Sample,
    StatisticalModel,
    Variable,
)
from superbin.statistical_model.expressions import evaluate, variables

__all__ = ["hs3_document"]

Document = dict[str, Any]

VERSION = "0.2"

_PAIR_CODES = {"code1": 1, "code4": 4}
_SMOOTH = 4
_MORPH_CODES = {"code0": 0, "code2": 2, "code4p": _SMOOTH, "combine": _SMOOTH}
"""Numbers of the same interpolations in ``interpolation0d`` (factors) and ``interpolation`` (additions)."""

_RESERVED = frozenset(
    {"pi", "e", "x", "y", "z", "t", "abs", "exp", "log", "sqrt", "pow", "min", "max", "sin", "cos", "tan"}
)

_WIDE = 1e5
"""Stands for an infinite bound, which JSON has not."""


MODEL, DATA, ANALYSIS, CATEGORY = "model", "observed", "analysis", "part"
LIKELIHOOD = f"{MODEL}_{DATA}"
"""Names in ROOT of the whole, and of the likelihood."""

TOGETHER = 10
"""Bins of a channel in one distribution. RooFit multiplies their probabilities, which must not fall below 1e-308, and adds logarithms of distributions."""

_MOST = 1e9
"""Upper end of counts: RooFit normalises a Poisson distribution within its range, so that must leave nothing out."""


@dataclass(slots=True)
class _Writer:
    model: StatisticalModel
    names: dict[str, str] = field(default_factory=dict)
    functions: list[Document] = field(default_factory=list)
    distributions: list[Document] = field(default_factory=list)
    known: dict[tuple[object, ...], str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=lambda: {MODEL, DATA, ANALYSIS, CATEGORY, LIKELIHOOD})
    constants: dict[float, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def constant(self, value: float, wish: str) -> str:
        """Return the name of a constant parameter: RooFit takes plain numbers for one another if they share six digits."""
        if value not in self.constants:
            self.constants[value] = self.name(wish)
        return self.constants[value]

    def name(self, text: str) -> str:
        """Return a new name of letters, digits and underscores."""
        plain = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "unnamed"
        if plain[0].isdigit() or plain in _RESERVED:
            plain = f"p_{plain}"  # ROOT's formulas take _2 for a number
        unique, i = plain, 2
        while unique in self.taken:
            unique, i = f"{plain}_{i}", i + 1
        self.taken.add(unique)
        return unique

    def function(self, key: tuple[object, ...], wish: str, content: Document) -> str:
        """Return the name of a function, written once per key; everything it names is used."""
        if key not in self.known:
            self.known[key] = self.name(wish)
            self.functions.append({"name": self.known[key], **content})
            self.used |= {*content.get("factors", ()), *content.get("vars", ())}
            self.used |= set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", content.get("expression", "")))
        return self.known[key]

    def product(self, key: tuple[object, ...], wish: str, factors: list[str]) -> str:
        """Return the name of a product; of a single factor its own."""
        if len(factors) == 1:
            return factors[0]
        return self.function(("product", *key), wish, {"type": "product", "factors": factors})

    def total(self, key: tuple[object, ...], wish: str, summands: list[str]) -> str:
        """Return the name of a sum; of a single summand its own."""
        if len(summands) == 1:
            return summands[0]
        return self.function(("sum", *key), wish, {"type": "sum", "summands": summands})

    def formula(self, wish: str, text: str) -> str:
        """Return the name of a function given as a formula."""
        return self.function(("formula", text), wish, {"type": "generic_function", "expression": text})

    # -- effects

    def scaled(self, parameter: str, region: float) -> str:
        """Return the parameter in units of the region of its smooth step."""
        name = self.names[parameter]
        if region == 1.0:
            return name
        return self.product(
            (name, region), f"scaled_{parameter}", [name, self.constant(1 / region, "per_region")]
        )

    def step(self, parameter: str, region: float) -> str:
        """Return the parameter times Combine's smooth step, which is the sign beyond the region."""
        name, t = self.names[parameter], f"({self.names[parameter]}/{region!r})"
        text = f"{name}*(abs({t})<1?{t}*({t}*{t}*(3*{t}*{t}-10)+15)/8:({t}>0?1.:-1.))"
        return self.formula(f"step_{parameter}", text)

    def exponential(self, wish: str, logarithms: list[tuple[str, float, float, float]]) -> list[str]:
        """Return the factor whose logarithm adds, per parameter, `low` at -1 and `high` at +1 with Combine's smooth step."""
        terms = []
        for parameter, low, high, region in logarithms:
            odd, even = 0.5 * (high - low), 0.5 * (high + low)
            if odd:
                terms.append(f"{self.constant(odd, 'slope')}*{self.names[parameter]}")
            if even:
                terms.append(f"{self.constant(even, 'slope')}*{self.step(parameter, region)}")
        return [self.formula(wish, f"exp({'+'.join(terms)})")] if terms else []

    def pair(self, effect: LogNormal) -> list[str]:
        parameter = self.names[effect.parameter]
        low, high, wish = effect.low, effect.high, f"factor_{effect.parameter}"
        if effect.code == "combine":
            return self.exponential(wish, [(effect.parameter, math.log(low), math.log(high), 0.5)])
        if effect.code == "code4" and _dips(low, high):
            return [self.formula(wish, _code4(parameter, low, high))]
        code = _PAIR_CODES[effect.code]
        content = {
            "type": "interpolation0d",
            "nom": 1.0,
            "vars": [parameter],
            "low": [low],
            "high": [high],
            "interpolationCodes": [code],
        }
        return [self.function(("pair", parameter, low, high, code), wish, content)]

    def factor(self, effect: Formula) -> str:
        if not variables(effect.expression):
            return self.constant(evaluate(effect.expression, {}).value, "number")
        return self.formula("formula", _text(effect.expression, self.names))

    def factors(self, sample: Sample, b: int) -> list[str]:
        """Return the factors of a sample in a bin."""
        found = []
        for effect in sample.effects:
            match effect:
                case LogNormal():
                    found += self.pair(effect)
                case Rate(parameter):
                    found.append(self.names[parameter])
                case BinRates(parameters):
                    own = parameters[b]
                    found += [self.names[own]] if own is not None else []
                case Formula():
                    found.append(self.factor(effect))
                case _:
                    pass  # morphs are in `shape`
        return found

    def morphed(self, place: str, sample: Sample, b: int) -> str:
        """Return a bin of a sample after its additive morphs."""
        nominal = float(sample.nominal[b])
        morphs = [
            effect
            for effect in sample.effects
            if isinstance(effect, Morph) and (effect.low[b] or effect.high[b])
        ]
        if not morphs:
            return self.constant(max(nominal, sample.floor), f"nominal_{place}")
        parameters, ends, codes = [], [], []
        for morph in morphs:
            region = morph.region if _MORPH_CODES[morph.code] == _SMOOTH else 1.0
            parameters.append(self.scaled(morph.parameter, region))
            ends.append((region * float(morph.low[b]), region * float(morph.high[b]), morph.parameter))
            codes.append(_MORPH_CODES[morph.code])
        content = {
            "type": "interpolation",
            "nom": self.constant(nominal, f"nominal_{place}"),
            "positiveDefinite": False,
            "vars": parameters,
            "low": [self.constant(nominal + low, f"low_{name}_{place}") for low, _, name in ends],
            "high": [self.constant(nominal + high, f"high_{name}_{place}") for _, high, name in ends],
            "interpolationCodes": codes,
        }
        return self.floored(
            self.function(("morph", place), f"morph_{place}", content), sample.floor, f"floored_{place}"
        )

    def floored(self, function: str, floor: float, wish: str) -> str:
        """Return a function that is not below `floor`."""
        if not math.isfinite(floor):
            return function
        return self.formula(wish, f"({function}>{floor!r}?{function}:{floor!r})")

    def shape(self, place: str, sample: Sample, b: int) -> list[str]:
        """Return the factors of a bin of a sample after all its morphs."""
        logarithms = [
            (effect.parameter, float(effect.low[b]), float(effect.high[b]), effect.region)
            for effect in sample.effects
            if isinstance(effect, LogMorph)
        ]
        return [self.morphed(place, sample, b), *self.exponential(f"shape_{place}", logarithms)]

    def sample(self, channel: Channel, sample: Sample) -> list[str]:
        """Return the functions of a sample in all bins of its channel."""
        places = [f"{channel.name}_{sample.name}_{b}" for b in range(channel.observed.size)]
        shapes = [self.shape(place, sample, b) for b, place in enumerate(places)]
        if sample.total is not None:
            whole = f"{channel.name}_{sample.name}"
            each = [
                self.product(("shape", place), f"bin_{place}", shape)
                for place, shape in zip(places, shapes, strict=True)
            ]
            total = self.total(("whole", whole), f"whole_{whole}", each)
            scale = self.formula(f"scale_{whole}", f"{self.constant(sample.total, f'total_{whole}')}/{total}")
            shapes = [[one, scale] for one in each]
        return [
            self.function(
                ("row", place, len(self.functions)),
                f"events_{place}",
                {"type": "product", "factors": [*shape, *self.factors(sample, b)]},
            )
            for b, (place, shape) in enumerate(zip(places, shapes, strict=True))
        ]

    def statistical(self, channel: Channel, b: int) -> list[str]:
        """Return what the statistical parameter of a bin adds to it."""
        parameter = channel.statistics[b] if channel.statistics else None
        if parameter is None:
            return []
        squares = []
        for sample in channel.samples:
            if sample.errors is not None and sample.errors[b] > 0:
                place = f"{channel.name}_{sample.name}_{b}"
                error = self.constant(float(sample.errors[b]), f"error_{place}")
                own = self.product(("error", place), f"error_{place}", [error, *self.factors(sample, b)])
                squares.append(self.formula(f"variance_{place}", f"{own}*{own}"))
        if not squares:
            return []
        place = f"{channel.name}_{b}"
        variance = self.total(("variance", place), f"variance_{place}", squares)
        error = self.formula(f"error_{place}", f"sqrt({variance})")
        return [self.product(("shift", place), f"shift_{place}", [self.names[parameter], error])]

    def channel(self, channel: Channel) -> list[str]:
        """Return the expectations of all bins of a channel."""
        samples = [self.sample(channel, sample) for sample in channel.samples]
        found = []
        for b in range(channel.observed.size):
            summands = [*(rows[b] for rows in samples), *self.statistical(channel, b)]
            place = f"{channel.name}_{b}"
            total = self.function(("bin", place), f"expected_{place}", {"type": "sum", "summands": summands})
            found.append(self.floored(total, channel.floor, f"expected_{place}"))
        return found


@dataclass(frozen=True, slots=True)
class _Part:
    """Some bins with their own distribution and data, and constraints that are counted with them."""

    name: str
    factors: list[str]
    observables: list[Document]
    entry: list[float]


def hs3_document(model: StatisticalModel) -> Document:
    """Return a model with its data as HS3.

    Parameters
    ----------
    model : StatisticalModel
        Any; masked channels are left out.

    Returns
    -------
    dict
        To be written as JSON.
    """
    writer = _Writer(model)
    for parameter in model.parameters:
        writer.names[parameter.name] = writer.name(parameter.name)
    parts: list[_Part] = []
    for channel in model.channels:
        if not channel.masked:
            parts += _parts(writer, channel)
    acting = {name for name in writer.names if writer.names[name] in writer.used}
    measured = [
        constraint
        for parameter in model.parameters
        if parameter.name in acting
        if (constraint := _constraint(writer, parameter.name, parameter.constraint))
    ]
    if not parts:
        parts.append(_Part(writer.name("part_0"), [], [], []))
    parts[0].factors.extend(name for name, _ in measured)
    for part in parts:
        writer.distributions.append({"name": part.name, "type": "product_dist", "factors": part.factors})
    return _document(writer, parts, [auxiliary for _, auxiliary in measured], acting)


def _parts(writer: _Writer, channel: Channel) -> list[_Part]:
    """Write a channel, `TOGETHER` bins to a distribution."""
    means, counts = writer.channel(channel), channel.observed.tolist()
    found = []
    for first in range(0, len(counts), TOGETHER):
        part = _Part(writer.name(f"part_{channel.name}_{first}"), [], [], [])
        for b in range(first, min(first + TOGETHER, len(counts))):
            counted = writer.name(f"n_{channel.name}_{b}")
            pdf = writer.name(f"count_{channel.name}_{b}")
            writer.distributions.append(
                {"name": pdf, "type": "poisson_dist", "x": counted, "mean": means[b], "integer": False}
            )
            part.factors.append(pdf)
            most = max(_MOST, 10 * counts[b])
            part.observables.append({"name": counted, "min": 0.0, "max": most, "value": counts[b]})
            part.entry.append(counts[b])
        found.append(part)
    return found


def _constraint(
    writer: _Writer, name: str, constraint: Normal | Poisson | None
) -> tuple[str, Document] | None:
    """Write a constraint; return its name and its auxiliary datum."""
    if constraint is None:
        return None
    parameter = writer.names[name]
    auxiliary, pdf = writer.name(f"measured_{name}"), writer.name(f"constraint_{name}")
    if isinstance(constraint, Normal):
        width = writer.constant(constraint.width, f"width_{name}")
        content: Document = {"type": "gaussian_dist", "x": auxiliary, "mean": parameter, "sigma": width}
        if constraint.lower_width is not None:
            # A measurement below the parameter means a parameter above its centre.
            lower = writer.constant(constraint.lower_width, f"lower_width_{name}")
            content = {"type": "bifurkated_gaussian_dist", "x": auxiliary, "mean": parameter}
            content |= {"sigmaL": width, "sigmaR": lower}
        writer.distributions.append({"name": pdf, **content})
        reach = _WIDE * max(1.0, constraint.width, constraint.lower_width or 0.0, abs(constraint.centre))
        low, high = constraint.centre - reach, constraint.centre + reach
        return pdf, {"name": auxiliary, "value": constraint.centre, "min": low, "max": high, "const": True}
    mean = writer.function(
        ("scaled", parameter, constraint.scale),
        f"scaled_{name}",
        {"type": "product", "factors": [parameter, writer.constant(constraint.scale, f"scale_{name}")]},
    )
    writer.distributions.append(
        {"name": pdf, "type": "poisson_dist", "x": auxiliary, "mean": mean, "integer": False}
    )
    most = max(_MOST, 10 * constraint.count)
    return pdf, {"name": auxiliary, "value": constraint.count, "min": 0.0, "max": most, "const": True}


def _document(
    writer: _Writer,
    parts: list[_Part],
    auxiliary: list[Document],
    acting: set[str],
) -> Document:
    observables = [one for part in parts for one in part.observables]
    labels = [part.name for part in parts]
    combined = {"index_cat": CATEGORY, "indices": list(range(len(labels))), "labels": labels}
    parameters = [
        {
            "name": writer.names[p.name],
            "value": p.initial,
            "min": max(p.lower, -_WIDE * max(1.0, abs(p.initial))),
            "max": min(p.upper, _WIDE * max(1.0, abs(p.initial))),
            **({"const": True} if p.fixed else {}),
        }
        for p in writer.model.parameters
        if p.name in acting
    ]
    free = [p for p in parameters if not p.get("const")]
    constants: list[Document] = [
        {"name": name, "value": value, "const": True} for value, name in writer.constants.items()
    ]
    pois = [writer.names[s] for s in writer.model.signal_strengths if s in acting]
    return {
        "metadata": {"hs3_version": VERSION, "packages": [{"name": "superbin"}]},
        "distributions": writer.distributions,
        "functions": writer.functions,
        "data": [
            {
                "name": f"{DATA}_{part.name}",
                "type": "unbinned",
                "axes": part.observables,
                "entries": [part.entry],
            }
            for part in parts
        ],
        "domains": [
            {
                "name": "default_domain",
                "type": "product_domain",
                "axes": [
                    {"name": p["name"], "min": p["min"], "max": p["max"]}
                    for p in (*parameters, *auxiliary, *observables)
                ],
            }
        ],
        "parameter_points": [
            {
                "name": "default_values",
                "parameters": [
                    {k: p[k] for k in ("name", "value", "const") if k in p}
                    for p in (*parameters, *auxiliary, *observables, *constants)
                ],
            }
        ],
        "likelihoods": [
            {"name": LIKELIHOOD, "distributions": labels, "data": [f"{DATA}_{label}" for label in labels]}
        ],
        "analyses": [
            {
                "name": LIKELIHOOD,
                "likelihood": LIKELIHOOD,
                "parameters_of_interest": pois,
                "domains": ["default_domain"],
                "init": "default_values",
            }
        ],
        "misc": {
            "ROOT_internal": {
                "ModelConfigs": {LIKELIHOOD: {"mcName": ANALYSIS, "pdfName": MODEL}},
                "combined_datasets": {DATA: combined},
                "combined_distributions": {MODEL: {"distributions": labels, **combined}},
            },
            "superbin": {
                "names": {new: old for old, new in writer.names.items() if new != old and old in acting},
                "without_effect": sorted(set(writer.names) - acting),
                "nuisance_parameters": [p["name"] for p in free if p["name"] not in pois],
                "global_observables": [a["name"] for a in auxiliary],
            },
        },
    }


def _polynomial(low: float, high: float) -> list[float]:
    coefficients: list[float] = code4_coefficients(np.log([low]), np.log([high]))[0].tolist()
    return coefficients


def _dips(low: float, high: float) -> bool:
    """Whether code 4's polynomial falls to zero or below between -1 and 1."""
    values = np.polynomial.polynomial.polyval(np.linspace(-1, 1, 2001), _polynomial(low, high))
    return bool(values.min() <= 1e-6 * min(low, high, 1.0))


def _code4(parameter: str, low: float, high: float) -> str:
    """A factor of HistFactory's code 4."""
    text = "0."
    for coefficient in reversed(_polynomial(low, high)):
        text = f"({coefficient!r}+{parameter}*{text})"
    return f"(abs({parameter})<1?{text}:({parameter}>0?pow({high!r},{parameter}):pow({low!r},-{parameter})))"


def _text(expression: Expression, names: dict[str, str]) -> str:
    """A formula as TFormula reads it."""
    match expression:
        case Constant(value):
            return f"({float(value)!r})"
        case Variable(name):
            return names[name]
        case Call(function, argument):
            return f"{function}({_text(argument, names)})"
        case Binary(operator, left, right):
            a, b = _text(left, names), _text(right, names)
            return f"pow({a},{b})" if operator == "^" else f"({a}{operator}{b})"
        case Choice(condition, yes, no):
            a, b = _text(yes, names), _text(no, names)
            return f"({_text(condition, names)}?{a}:{b})"
