"""Cards on disk -> one `Datacards`: read each, and share what goes by the same name.

`read_datacards` is the door; `combine` joins cards that are already read.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from superbin._support.files import files_within
from superbin.errors import DocumentError, InputError
from superbin.io._faults import Faults
from superbin.io._text import read_text
from superbin.io.datacards.model import (
    AutoStatistics,
    Channel,
    Datacards,
    FreeParameter,
    GammaNuisance,
    GammaWidth,
    Group,
    LinearNuisance,
    LogNuisance,
    MeasuredParameter,
    RateFormula,
    RateParameter,
    ShapeNuisance,
    Term,
)
from superbin.io.datacards.parse import parse_card
from superbin.io.datacards.twice import Content, contents

__all__ = ["combine", "labelled", "read_datacards"]

Parameter: TypeAlias = (
    LogNuisance
    | ShapeNuisance
    | GammaNuisance
    | GammaWidth
    | RateParameter
    | RateFormula
    | LinearNuisance
    | MeasuredParameter
    | FreeParameter
)


def read_datacards(
    paths: str | Path | Iterable[str | Path] | Mapping[str, str | Path],
    *,
    outside: bool = False,
    keywords: Mapping[str, str] | None = None,
) -> Datacards:
    """Read datacards and combine them into one likelihood.

    Parameters
    ----------
    paths : path, iterable of paths, or mapping of labels to paths
        Cards, or folders whose ``*.txt`` files (in any depth, in natural order) are cards. With labels each stands for one card,
        and its channels are renamed as Combine's combineCards.py does it: to the label where the card has one channel, else to
        ``label_channel``.
    outside : bool
        Whether cards may name files outside their folder.
    keywords : mapping of str to str, optional
        What ``$WORD`` stands for in the files and histograms of the shapes lines, as Combine's ``--keyword-value``.

    Returns
    -------
    Datacards
        Channels, terms and nuisances in the order of the files. Nuisances, rate parameters and groups of the same
        name are the same in all cards.

    Raises
    ------
    DocumentError
        If a file is not UTF-8 text, is malformed (the text names the line), or contradicts another card.
    InputError
        If a path does not exist, a folder holds no card, or a file is named twice.
    """
    if isinstance(paths, Mapping):
        files = _expand(list(paths.values()), folders=False)
        cards = _read(files, outside, keywords)
        return combine([labelled(card, label) for card, label in zip(cards, paths, strict=True)])
    files = _expand([paths] if isinstance(paths, str | Path) else list(paths))
    return combine(_read(files, outside, keywords))


def _read(files: Sequence[Path], outside: bool, keywords: Mapping[str, str] | None) -> list[Datacards]:
    faults, cards = Faults(os.path.commonpath(files)), []
    for file in files:
        with faults.gathering():
            cards.append(parse_card(read_text(file), str(file), outside=outside, keywords=keywords))
    faults.check()
    return cards


def labelled(card: Datacards, label: str) -> Datacards:
    """Return a card with its channels renamed: to the label if there is one channel, else to ``label_channel``.

    Raises
    ------
    InputError
        If the label is empty or has blanks.
    """
    if not label or label.split() != [label]:
        raise InputError(
            f"the label {label!r} of {card.files[0]} is not one word; name cards such as a=card.txt"
        )
    names = {c.name: label if len(card.channels) == 1 else f"{label}_{c.name}" for c in card.channels}
    return _renamed(card, names)


def _renamed(card: Datacards, names: Mapping[str, str]) -> Datacards:
    return replace(
        card,
        channels=tuple(replace(c, name=names[c.name]) for c in card.channels),
        terms=tuple(replace(t, channel=names[t.channel]) for t in card.terms),
        statistics=tuple(replace(s, channel=names[s.channel]) for s in card.statistics),
    )


def _expand(paths: Sequence[str | Path], *, folders: bool = True) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir() and folders:
            inside = sorted((p for p in files_within(path) if p.name.endswith(".txt")), key=_natural)
            if not inside:
                raise InputError(f"{path}: the folder holds no *.txt file; name the cards or their folder")
            files += inside
        else:
            files.append(path)
    if not files:
        raise InputError("no datacard is named; give at least one file or folder")
    resolved: dict[str, Path] = {}
    for file in files:
        if resolved.setdefault(os.path.realpath(file), file) is not file:
            raise InputError(f"{file}: the card is named twice; name every card once")
    return files


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort card2 before card10."""
    return [
        (int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"([0-9]+)", str(path))
    ]


def combine(cards: Sequence[Datacards]) -> Datacards:
    """Join cards into one likelihood, sharing nuisances, rate parameters and groups by name.

    Parameters
    ----------
    cards : sequence of Datacards
        At least one.

    Returns
    -------
    Datacards
        Everything, with terms renumbered.

    Raises
    ------
    DocumentError
        If two cards have different channels of the same name, or give one name to different things.
    """
    cards = _distinct(cards)
    channels: dict[str, Channel] = {}
    signal: dict[str, Term] = {}
    terms: list[Term] = []
    parameters: dict[tuple[str, str], Parameter] = {}
    groups: dict[str, Group] = {}
    statistics: list[AutoStatistics] = []
    for card in cards:
        _add_channels(channels, card)
        _check_signals(signal, card)
        for parameter in _parameters(card):
            new = _shifted(parameter, len(terms))
            key = parameter.name, _role(parameter)
            _check_meaning(parameters, new)
            old = parameters.get(key)
            parameters[key] = new if old is None else _joined(old, new)
        statistics += card.statistics
        for group in card.groups:
            before = groups.get(group.name, Group(group.name, (), ()))
            members = tuple(dict.fromkeys(before.members + group.members))
            groups[group.name] = Group(group.name, members, before.lines + group.lines)
        terms += card.terms
    return Datacards(
        files=tuple(file for card in cards for file in card.files),
        channels=tuple(channels.values()),
        terms=tuple(terms),
        nuisances=_of(LogNuisance, parameters.values()),
        gammas=_of(GammaNuisance, parameters.values()),
        rate_parameters=_of(RateParameter, parameters.values()),
        formulas=_of(RateFormula, parameters.values()),
        shapes=_of(ShapeNuisance, parameters.values()),
        linear=_of(LinearNuisance, parameters.values()),
        widths=_of(GammaWidth, parameters.values()),
        measured=_of(MeasuredParameter, parameters.values()),
        free=_of(FreeParameter, parameters.values()),
        frozen=tuple(dict.fromkeys(name for card in cards for name in card.frozen)),
        statistics=tuple(statistics),
        groups=tuple(groups.values()),
        comments=tuple(comment for card in cards for comment in card.comments),
        remarks=tuple(remark for card in cards for remark in card.remarks),
    )


P = TypeVar("P")


def _of(kind: type[P], parameters: Iterable[object]) -> tuple[P, ...]:
    return tuple(p for p in parameters if isinstance(p, kind))


def _parameters(card: Datacards) -> tuple[Parameter, ...]:
    return (
        *card.nuisances,
        *card.gammas,
        *card.rate_parameters,
        *card.formulas,
        *card.shapes,
        *card.linear,
        *card.widths,
        *card.measured,
        *card.free,
    )


def _distinct(cards: Sequence[Datacards]) -> list[Datacards]:
    """Give channels that another card holds too, under the same name and with the same content, a name of their own.

    They are kept so that `superbin.io.datacards.lint` can report them. Another content under the same name stays as it
    is, for an error.
    """
    seen: dict[str, Content] = {}
    renamed = []
    for card in cards:
        own = contents(card)
        names = {name: name for name in own}
        for name, content in own.items():
            if name in seen and seen[name].is_same(content):
                names[name] = f"{name}@{card.files[0]}"
        renamed.append(_renamed(card, names))
        seen |= {names[name]: content for name, content in own.items()}
    return renamed


def _add_channels(channels: dict[str, Channel], card: Datacards) -> None:
    for channel in card.channels:
        earlier = channels.setdefault(channel.name, channel)
        if earlier is not channel:
            raise DocumentError(
                f"{channel.place}: channel {channel.name!r} is also in {earlier.place}; every channel may come once"
            )


def _check_signals(signal: dict[str, Term], card: Datacards) -> None:
    for term in card.terms:
        earlier = signal.setdefault(term.process, term)
        if earlier.is_signal != term.is_signal:
            raise DocumentError(
                f"{term.place}: process {term.process!r} has number {term.number}, but {earlier.number} in "
                f"{earlier.place}; it is a signal (<= 0) or a background (> 0) everywhere"
            )


def _shifted(parameter: Parameter, shift: int) -> Parameter:
    match parameter:
        case LogNuisance():
            return replace(
                parameter, entries=tuple(replace(e, term=e.term + shift) for e in parameter.entries)
            )
        case ShapeNuisance():
            return replace(
                parameter, entries=tuple(replace(e, term=e.term + shift) for e in parameter.entries)
            )
        case GammaNuisance():
            return replace(
                parameter, entries=tuple(replace(e, term=e.term + shift) for e in parameter.entries)
            )
        case LinearNuisance():
            return replace(
                parameter, entries=tuple(replace(e, term=e.term + shift) for e in parameter.entries)
            )
        case RateParameter() | RateFormula() | GammaWidth():
            return replace(parameter, terms=tuple(term + shift for term in parameter.terms))
        case _:
            return parameter


_JOINED = {
    LogNuisance: ("kind",),
    ShapeNuisance: ("kind",),
    GammaNuisance: ("count",),
    LinearNuisance: ("kind", "lower", "upper"),
    RateParameter: ("initial", "lower", "upper"),
    RateFormula: ("text", "arguments"),
    GammaWidth: ("width",),
    MeasuredParameter: ("mean", "down", "up", "lower", "upper"),
    FreeParameter: ("initial", "lower", "upper", "fixed"),
}
"""What must agree where a name is in several cards."""


def _joined(old: Parameter, new: Parameter) -> Parameter:
    if type(old) is not type(new) or any(
        getattr(old, name) != getattr(new, name) for name in _JOINED[type(new)]
    ):
        raise _conflict(old, new)
    changes: dict[str, Any] = {"lines": old.lines + new.lines}
    for name in ("entries", "terms"):
        if hasattr(old, name):
            changes[name] = (*getattr(old, name), *getattr(new, name))
    if isinstance(old, ShapeNuisance) and isinstance(new, ShapeNuisance):
        changes["optional"] = old.optional and new.optional
    return replace(old, **changes)


_ROLES = ("factor", "shape", "value")


def _role(parameter: Parameter) -> str:
    """What a parameter does: a name may have several roles, a log-normal factor in one channel and a shape in another, say."""
    match parameter:
        case ShapeNuisance():
            return "shape"
        case MeasuredParameter() | FreeParameter():
            return "value"
        case _:
            return "factor"


def _check_meaning(parameters: Mapping[tuple[str, str], Parameter], new: Parameter) -> None:
    """Refuse a name of two kinds, but for a rateParam of a value, and for those that share a unit normal constraint."""
    for role in _ROLES:
        old = parameters.get((new.name, role))
        if (
            old is not None
            and type(old) is not type(new)
            and not (_is_unit_normal(old) and _is_unit_normal(new))
            and not _is_rate_of_value({type(old), type(new)})
        ):
            raise _conflict(old, new)


def _is_rate_of_value(kinds: set[type[Parameter]]) -> bool:
    return RateParameter in kinds and bool(kinds & {MeasuredParameter, FreeParameter})


def _is_unit_normal(parameter: Parameter) -> bool:
    if isinstance(parameter, MeasuredParameter):
        return (parameter.mean, parameter.down, parameter.up) == (0, 1, 1)
    return isinstance(parameter, LogNuisance | ShapeNuisance) and parameter.kind in {"lnN", "shape", "shapeN"}


def _conflict(old: Parameter, new: Parameter) -> DocumentError:
    return DocumentError(
        f"{new.lines[0]}: {new.name!r} is {_meaning(new)}, but {_meaning(old)} in {old.lines[0]}; one name is one "
        "parameter in all cards"
    )


def _meaning(parameter: Parameter) -> str:
    def span(low: float | None, high: float | None) -> str:
        return "" if low is None or high is None else f" [{low:g},{high:g}]"

    text: str
    match parameter:
        case LogNuisance() | ShapeNuisance():
            text = parameter.kind
        case GammaNuisance():
            text = f"gmN {parameter.count}"
        case GammaWidth():
            text = f"gmM {parameter.width:g}"
        case LinearNuisance():
            text = parameter.kind + span(parameter.lower, parameter.upper)
        case RateParameter():
            text = f"rateParam {parameter.initial:g}{span(parameter.lower, parameter.upper)}"
        case RateFormula():
            text = f"rateParam {parameter.text} {','.join(parameter.arguments)}"
        case MeasuredParameter():
            errors = f"{parameter.mean:g} -{parameter.down:g}/+{parameter.up:g}"
            text = f"param {errors}{span(parameter.lower, parameter.upper)}"
        case FreeParameter():
            text = f"extArg {parameter.initial:g}{span(parameter.lower, parameter.upper)}"
    return text
