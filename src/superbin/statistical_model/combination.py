"""Several descriptions as one: shared nuisances named, one signal strength.

A parameter of the combination is shared by those parts in which it has the same name, unless only some names are said to be shared; parameters
with different names in the parts may be shared under a new one. Everything else gets the label of its part in front.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from superbin._support.shown import Shown
from superbin.errors import InputError
from superbin.statistical_model.effects import BinRates, Effect, Formula
from superbin.statistical_model.expressions import Variable, replaced
from superbin.statistical_model.model import Channel, StatisticalModel
from superbin.statistical_model.parameters import Parameter

__all__ = ["Combination", "SharedName", "combine", "renamed"]


@dataclass(frozen=True, slots=True)
class SharedName:
    """A parameter of the combination with its name in each part that has it.

    Attributes
    ----------
    name : str
        In the combination.
    parts : mapping of str to str
        Label of a part to the name there; empty for ``name`` in every part that has it.
    """

    name: str
    parts: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "SharedName":
        """Read ``NAME``, or ``NAME=LABEL:OTHER,LABEL:OTHER``.

        Raises
        ------
        InputError
            If it is neither.
        """
        name, equals, rest = text.partition("=")
        parts: dict[str, str] = {}
        for item in rest.split(",") if equals else ():
            label, colon, other = item.partition(":")
            if not (colon and label and other) or label in parts:
                raise InputError(
                    f"shared parameter {text!r}: write NAME, or NAME=LABEL:OTHER,LABEL:OTHER with each label once"
                )
            parts[label] = other
        if not name:
            raise InputError(
                f"shared parameter {text!r} has no name; write NAME, or NAME=LABEL:OTHER,LABEL:OTHER"
            )
        return cls(name, parts)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Combination(Shown):
    """A combined model with what was done.

    Attributes
    ----------
    model : StatisticalModel
    shared : mapping of str to tuple of str
        Parameters that several parts have, with the labels of these parts.
    notes : tuple of str
        What had to be reconciled.
    """

    model: StatisticalModel
    shared: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]

    def _shown(self) -> tuple[str, dict[str, str]]:
        name, lines = self.model._shown()
        return name, lines | {"shared parameters": str(len(self.shared)), "notes": str(len(self.notes))}


def combine(
    parts: Mapping[str, StatisticalModel],
    *,
    shared: Iterable[str | SharedName] | None = None,
    strength: str | None = None,
) -> Combination:
    """Combine several models.

    Parameters
    ----------
    parts : mapping of str to StatisticalModel
        With a label each: searches, or a search and its control regions. A part may have no signal.
    shared : iterable of str or SharedName, optional
        Parameters that several parts share; by default all that have the same name in them. An empty one shares none.
    strength : str, optional
        Name of the one signal strength; by default that of the first part that has one.

    Raises
    ------
    InputError
        If no part has a signal strength, a shared name is unknown or has different constraints, or names collide.
    """
    if len(parts) < 2:
        raise InputError(f"a combination needs at least two likelihoods; {len(parts)} given")
    strengths = [p.signal_strengths[0] for p in parts.values() if p.signal_strengths]
    if not strengths:
        raise InputError("none of the likelihoods has a signal strength; at least one must have one")
    common = strength or strengths[0]
    names = {label: {} for label in parts}  # type: dict[str, dict[str, str]]
    for label, part in parts.items():
        if part.signal_strengths:
            names[label][part.signal_strengths[0]] = common
    chosen = _same_names(parts, names) if shared is None else _checked(shared, parts)
    for one in chosen:
        for label, old in one.parts.items():
            names[label][old] = one.name
    for label, part in parts.items():
        for parameter in part.parameters:
            names[label].setdefault(parameter.name, f"{label}_{parameter.name}")
    channels = [
        replace(channel, name=f"{label}_{channel.name}")
        for label, part in parts.items()
        for channel in renamed(part, names[label]).channels
    ]
    parameters, users, notes = _merged(parts, names, common)
    several = {name: tuple(labels) for name, labels in users.items() if len(labels) > 1 and name != common}
    others = tuple(
        names[label][extra] for label, part in parts.items() for extra in part.signal_strengths[1:]
    )
    model = StatisticalModel(
        tuple(channels), tuple(parameters.values()), (common, *dict.fromkeys(others)), " + ".join(parts)
    )
    return Combination(model, several, tuple(notes))


def _same_names(
    parts: Mapping[str, StatisticalModel], taken: Mapping[str, Mapping[str, str]]
) -> list[SharedName]:
    places: dict[str, dict[str, str]] = {}
    for label, part in parts.items():
        for parameter in part.parameters:
            if parameter.name not in taken[label]:
                places.setdefault(parameter.name, {})[label] = parameter.name
    return [SharedName(name, where) for name, where in places.items() if len(where) > 1]


def _checked(shared: Iterable[str | SharedName], parts: Mapping[str, StatisticalModel]) -> list[SharedName]:
    found = []
    for item in shared:
        one = SharedName.parse(item) if isinstance(item, str) else item
        where = one.parts or {label: one.name for label, part in parts.items() if one.name in part.positions}
        for label, old in where.items():
            if label not in parts:
                raise InputError(
                    f"shared parameter {one.name!r} names {label!r}; the likelihoods are {', '.join(parts)}"
                )
            if old not in parts[label].positions:
                raise InputError(
                    f"shared parameter {one.name!r}: likelihood {label!r} has no parameter {old!r}"
                )
        if len(where) < 2:
            raise InputError(
                f"parameter {one.name!r} is to be shared, but {len(where)} of the likelihoods has it"
            )
        found.append(SharedName(one.name, where))
    repeated = [one.name for one in found]
    for name in repeated:
        if repeated.count(name) > 1:
            raise InputError(f"shared parameter {name!r} is named twice; once is enough")
    return found


def _merged(
    parts: Mapping[str, StatisticalModel], names: Mapping[str, Mapping[str, str]], strength: str
) -> tuple[dict[str, Parameter], dict[str, list[str]], list[str]]:
    """Parameters of the combination, the labels that use each, and what was reconciled."""
    found: dict[str, Parameter] = {}
    users: dict[str, list[str]] = {}
    notes: list[str] = []
    for label, part in parts.items():
        for parameter in part.parameters:
            name = names[label][parameter.name]
            new = replace(parameter, name=name)
            if label in users.get(name, ()):
                raise InputError(
                    f"two parameters of likelihood {label!r} would both be {name!r}; give the shared one another name"
                )
            users.setdefault(name, []).append(label)
            if name in found:
                new = _joined(found[name], new, users[name], name == strength, notes)
            found[name] = new
    return found, users, notes


def _joined(
    old: Parameter, new: Parameter, labels: Sequence[str], strength: bool, notes: list[str]
) -> Parameter:
    """One parameter for two of the same name: constraints must agree, bounds narrow (those of the strength widen)."""
    where = f"{old.name!r} in {', '.join(labels[:-1])} and in {labels[-1]}"
    if old.constraint != new.constraint:
        raise InputError(
            f"shared parameter {where} has the constraints {old.constraint} and {new.constraint}; share it only where it is "
            "measured alike, or rename it"
        )
    if strength:
        low, high = min(old.lower, new.lower), max(old.upper, new.upper)
    else:
        low, high = max(old.lower, new.lower), min(old.upper, new.upper)
    if low > high:
        raise InputError(f"shared parameter {where} has bounds that exclude each other")
    if (old.lower, old.upper) != (new.lower, new.upper):
        notes.append(f"{old.name}: bounds differ between likelihoods; [{low:g}, {high:g}] holds")
    if old.fixed != new.fixed:
        notes.append(f"{old.name}: fixed in one likelihood only; it is fitted")
    initial = min(max(old.initial, low), high)
    return replace(old, initial=initial, lower=low, upper=high, fixed=old.fixed and new.fixed)


def renamed(model: StatisticalModel, names: Mapping[str, str]) -> StatisticalModel:
    """Return a model with parameters renamed; those that `names` does not have keep their name."""
    variables_ = {old: Variable(new) for old, new in names.items()}

    def name(old: str) -> str:
        return names.get(old, old)

    def effect(one: Effect) -> Effect:
        match one:
            case BinRates(parameters):
                return BinRates(tuple(None if p is None else name(p) for p in parameters))
            case Formula(tree):
                return Formula(replaced(tree, variables_))
            case _:
                return replace(one, parameter=name(one.parameter))

    def channel(one: Channel) -> Channel:
        samples = tuple(replace(s, effects=tuple(effect(e) for e in s.effects)) for s in one.samples)
        shifts = tuple(None if s is None else name(s) for s in one.statistics)
        return replace(one, samples=samples, statistics=shifts)

    return replace(
        model,
        channels=tuple(channel(c) for c in model.channels),
        parameters=tuple(replace(p, name=name(p.name)) for p in model.parameters),
        signal_strengths=tuple(name(s) for s in model.signal_strengths),
    )
