"""HS3, the HEP Statistics Serialization Standard (version 0.2), as ROOT's RooFit reads it.

Every bin is a ``poisson_dist`` of a variable of its own, its expectation a ``sum`` of ``product`` functions; a product of these and of the constraints is
the model, and one unbinned entry the data. So any description has an exact form, not only HistFactory's: log-normal factors and morphs are
``interpolation0d`` where RooFit has their interpolation, and ``generic_function`` where it has not (Combine's blend, formulas). The parameter of a
Poisson constraint is counted by ``poisson_dist`` too. ``poisson_dist`` has ``"integer": false``, since ROOT would round its expectation's argument otherwise.

Parameters that act on nothing are left out, as RooFit would leave out their constraints; ``misc.superbin.without_effect`` lists them. In RooFit, `createNLL` needs the auxiliary measurements as ``GlobalObservables``; ``misc.superbin.global_observables`` names them.

Names have letters, digits and underscores alone, since formulas use them; ``misc.superbin.names`` leads back.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from superbin.errors import InputError
from superbin.statistical_model import (
    Binary,
    BinRates,
    Call,
    Channel,
    Choice,
    Constant,
    Expression,
    Formula,
    LogNormal,
    Morph,
    Normal,
    Poisson,
    Rate,
    Sample,
    StatisticalModel,
    Variable,
)
from superbin.statistical_model.expressions import variables

__all__ = ["hs3_document"]

Document = dict[str, Any]

VERSION = "0.2"

SYMMETRIC = 1e-5
"""As in `superbin.likelihood.dense.effects`: Combine takes such a pair as symmetric, with the upper factor."""

_PAIR_CODES = {"code1": 1, "code4": 4}
_MORPH_CODES = {"code0": 0, "code2": 2, "code4p": 4, "combine": 4}
"""Numbers of the same interpolations in ``interpolation0d`` (factors) and ``interpolation`` (additions)."""

_RESERVED = frozenset(
    {"pi", "e", "x", "y", "z", "t", "abs", "exp", "log", "sqrt", "pow", "min", "max", "sin", "cos", "tan"}
)

_WIDE = 1e5
"""Stands for an infinite bound, which JSON has not."""


_MOST = 1e9
"""Upper end of counts: RooFit normalises a Poisson distribution within its range, so that must leave nothing out."""


@dataclass(slots=True)
class _Writer:
    model: StatisticalModel
    names: dict[str, str] = field(default_factory=dict)
    functions: list[Document] = field(default_factory=list)
    distributions: list[Document] = field(default_factory=list)
    known: dict[tuple[object, ...], str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
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
            plain = f"_{plain}"
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

    # -- effects

    def pair(self, effect: LogNormal) -> str:
        parameter = self.names[effect.parameter]
        low, high = effect.low, effect.high
        if effect.code == "combine" and abs(low * high - 1) < SYMMETRIC:
            low = 1 / high
        key = ("pair", parameter, low, high, effect.code)
        if effect.code in _PAIR_CODES or low * high == 1:
            content = _interpolation(parameter, 1.0, low, high, _PAIR_CODES.get(effect.code, 1))
        else:
            odd, even = 0.5 * math.log(high / low), 0.5 * math.log(high * low)
            content = {"type": "generic_function", "expression": f"exp({_blend(parameter, odd, even)})"}
        return self.function(key, f"factor_{effect.parameter}", content)

    def formula(self, effect: Formula) -> str:
        text = _text(effect.expression, self.names)
        if not variables(effect.expression):
            raise InputError("a formula without parameters is a number; multiply the sample's yield by it")
        return self.function(("formula", text), "formula", {"type": "generic_function", "expression": text})

    def row(self, channel: Channel, sample: Sample, b: int) -> str:
        """Return the function of a sample in a bin."""
        place = f"{channel.name}_{sample.name}_{b}"
        factors: list[str] = []
        morphs: list[Morph] = []
        for effect in sample.effects:
            match effect:
                case LogNormal():
                    factors.append(self.pair(effect))
                case Rate(parameter):
                    factors.append(self.names[parameter])
                case BinRates(parameters):
                    own = parameters[b]
                    factors += [self.names[own]] if own is not None else []
                case Formula():
                    factors.append(self.formula(effect))
                case Morph():
                    if effect.region != 1.0 and effect.code in {"code4p", "combine"}:
                        raise InputError(
                            f"the morph of {effect.parameter!r} of sample {sample.name!r} is smooth up to {effect.region:g} standard "
                            "deviations; HS3 knows only 1: export to pyhf, or scale the histograms to one standard deviation"
                        )
                    if effect.low[b] or effect.high[b]:
                        morphs.append(effect)
                case _:
                    raise InputError(
                        f"sample {sample.name!r} of channel {channel.name!r} has an effect {type(effect).__name__}, which the "
                        "export to HS3 does not write"
                    )
        nominal = float(sample.nominal[b])
        first = self.constant(nominal, f"nominal_{place}")
        if morphs:
            content = {
                "type": "interpolation",
                "nom": first,
                "positiveDefinite": False,
                "vars": [self.names[m.parameter] for m in morphs],
                "low": [
                    self.constant(nominal + float(m.low[b]), f"low_{m.parameter}_{place}") for m in morphs
                ],
                "high": [
                    self.constant(nominal + float(m.high[b]), f"high_{m.parameter}_{place}") for m in morphs
                ],
                "interpolationCodes": [_MORPH_CODES[m.code] for m in morphs],
            }
            first = self.function(("morph", place), f"morph_{place}", content)
        return self.function(
            ("row", place, len(self.functions)),
            f"events_{place}",
            {"type": "product", "factors": [first, *factors]},
        )


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

    Raises
    ------
    InputError
        If an effect has no form, which the text names.
    """
    _check(model)
    writer = _Writer(model)
    for parameter in model.parameters:
        writer.names[parameter.name] = writer.name(parameter.name)
    factors: list[str] = []
    observables: list[Document] = []
    entry: list[float] = []
    for channel in model.channels:
        if channel.masked:
            continue
        for b, count in enumerate(channel.observed.tolist()):
            rows = [writer.row(channel, sample, b) for sample in channel.samples]
            total = writer.function(
                ("bin", channel.name, b), f"expected_{channel.name}_{b}", {"type": "sum", "summands": rows}
            )
            counted = writer.name(f"n_{channel.name}_{b}")
            pdf = writer.name(f"count_{channel.name}_{b}")
            writer.distributions.append(
                {"name": pdf, "type": "poisson_dist", "x": counted, "mean": total, "integer": False}
            )
            factors.append(pdf)
            observables.append({"name": counted, "min": 0.0, "max": _MOST, "value": count})
            entry.append(count)
    acting = {name for name in writer.names if writer.names[name] in writer.used}
    measured = [
        constraint
        for parameter in model.parameters
        if parameter.name in acting
        if (constraint := _constraint(writer, parameter.name, parameter.constraint))
    ]
    factors += [name for name, _ in measured]
    top = writer.name("model")
    writer.distributions.append({"name": top, "type": "product_dist", "factors": factors})
    return _document(writer, top, observables, entry, [auxiliary for _, auxiliary in measured], acting)


def _check(model: StatisticalModel) -> None:
    """Refuse what descriptions may hold and this writer does not know."""
    for channel in model.channels:
        if any(getattr(channel, "statistics", ())):
            raise InputError(
                f"channel {channel.name!r} has statistical parameters of its bins, which the export to HS3 does not write"
            )
        for sample in channel.samples:
            if getattr(sample, "total", None) is not None or getattr(sample, "floor", -math.inf) > -math.inf:
                raise InputError(
                    f"sample {sample.name!r} of channel {channel.name!r} is normalised or has a floor, which the export to HS3 does not write"
                )
    for parameter in model.parameters:
        if (
            isinstance(parameter.constraint, Normal)
            and getattr(parameter.constraint, "lower_width", None) is not None
        ):
            raise InputError(
                f"parameter {parameter.name!r} has a constraint of two widths, which HS3 has not"
            )


def _constraint(
    writer: _Writer, name: str, constraint: Normal | Poisson | None
) -> tuple[str, Document] | None:
    """Write a constraint; return its name and its auxiliary datum."""
    if constraint is None:
        return None
    parameter = writer.names[name]
    auxiliary, pdf = writer.name(f"measured_{name}"), writer.name(f"constraint_{name}")
    if isinstance(constraint, Normal):
        writer.distributions.append(
            {
                "name": pdf,
                "type": "gaussian_dist",
                "x": auxiliary,
                "mean": parameter,
                "sigma": writer.constant(constraint.width, f"width_{name}"),
            }
        )
        return pdf, {
            "name": auxiliary,
            "value": constraint.centre,
            "min": -_WIDE,
            "max": _WIDE,
            "const": True,
        }
    mean = writer.function(
        ("scaled", parameter, constraint.scale),
        f"scaled_{name}",
        {"type": "product", "factors": [parameter, writer.constant(constraint.scale, f"scale_{name}")]},
    )
    writer.distributions.append(
        {"name": pdf, "type": "poisson_dist", "x": auxiliary, "mean": mean, "integer": False}
    )
    return pdf, {"name": auxiliary, "value": constraint.count, "min": 0.0, "max": _MOST, "const": True}


def _document(
    writer: _Writer,
    top: str,
    observables: list[Document],
    entry: list[float],
    auxiliary: list[Document],
    acting: set[str],
) -> Document:
    parameters = [
        {
            "name": writer.names[p.name],
            "value": p.initial,
            "min": max(p.lower, -_WIDE),
            "max": min(p.upper, _WIDE),
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
        "data": [{"name": "observed", "type": "unbinned", "axes": observables, "entries": [entry]}],
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
        "likelihoods": [{"name": "likelihood", "distributions": [top], "data": ["observed"]}],
        "analyses": [
            {
                "name": "analysis",
                "likelihood": "likelihood",
                "parameters_of_interest": pois,
                "domains": ["default_domain"],
                "init": "default_values",
            }
        ],
        "misc": {
            "superbin": {
                "names": {new: old for old, new in writer.names.items() if new != old and old in acting},
                "without_effect": sorted(set(writer.names) - acting),
                "nuisance_parameters": [p["name"] for p in free if p["name"] not in pois],
                "global_observables": [a["name"] for a in auxiliary],
            }
        },
    }


def _interpolation(parameter: str, nominal: float, low: float, high: float, code: int) -> Document:
    return {
        "type": "interpolation0d",
        "nom": nominal,
        "vars": [parameter],
        "low": [low],
        "high": [high],
        "interpolationCodes": [code],
    }


def _blend(parameter: str, odd: float, even: float) -> str:
    """Combine's logarithm of an asymmetric factor."""
    t = f"(2*{parameter})"
    step = f"(abs({t})<1?{t}*({t}*{t}*(3*{t}*{t}-10)+15)/8:({t}>0?1.:-1.))"
    return f"{parameter}*(({odd!r})+({even!r})*{step})"


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
