"""Cards on disk -> one `Datacards`: read each, and share what goes by the same name.

`read_datacards` is the door; `combine` joins cards that are already read.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from superbin.errors import DocumentError, InputError
from superbin.io._text import read_text
from superbin.io.datacards.model import (
    Channel,
    Datacards,
    GammaNuisance,
    Group,
    LogNuisance,
    RateParameter,
    Term,
)
from superbin.io.datacards.parse import parse_card
from superbin.io.datacards.twice import Content, contents

__all__ = ["combine", "read_datacards"]

Parameter: TypeAlias = LogNuisance | GammaNuisance | RateParameter


def read_datacards(paths: str | Path | Iterable[str | Path]) -> Datacards:
    """Read counting datacards and combine them into one likelihood.

    Parameters
    ----------
    paths : path or iterable of paths
        Cards, or folders whose ``*.txt`` files (in any depth, in natural order) are cards.

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
    files = _expand([paths] if isinstance(paths, str | Path) else list(paths))
    return combine([parse_card(read_text(file), str(file)) for file in files])


def _expand(paths: Sequence[str | Path]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted((p for p in path.rglob("*.txt") if p.is_file()), key=_natural)
            if not inside:
                raise InputError(f"{path}: the folder holds no *.txt file; name the cards or their folder")
            files += inside
        else:
            files.append(path)
    if not files:
        raise InputError("no datacard is named; give at least one file or folder")
    resolved: dict[Path, Path] = {}
    for file in files:
        if resolved.setdefault(file.resolve(), file) is not file:
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
    parameters: dict[str, Parameter] = {}
    groups: dict[str, Group] = {}
    for card in cards:
        _add_channels(channels, card)
        _check_signals(signal, card)
        own: tuple[Parameter, ...] = (*card.nuisances, *card.gammas, *card.rate_parameters)
        for parameter in own:
            new = _shifted(parameter, len(terms))
            old = parameters.get(parameter.name)
            parameters[parameter.name] = new if old is None else _joined(old, new)
        for group in card.groups:
            before = groups.get(group.name, Group(group.name, (), ()))
            members = tuple(dict.fromkeys(before.members + group.members))
            groups[group.name] = Group(group.name, members, before.lines + group.lines)
        terms += card.terms
    return Datacards(
        files=tuple(file for card in cards for file in card.files),
        channels=tuple(channels.values()),
        terms=tuple(terms),
        nuisances=tuple(p for p in parameters.values() if isinstance(p, LogNuisance)),
        gammas=tuple(p for p in parameters.values() if isinstance(p, GammaNuisance)),
        rate_parameters=tuple(p for p in parameters.values() if isinstance(p, RateParameter)),
        groups=tuple(groups.values()),
        comments=tuple(comment for card in cards for comment in card.comments),
        remarks=tuple(remark for card in cards for remark in card.remarks),
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
        renamed.append(
            replace(
                card,
                channels=tuple(replace(c, name=names[c.name]) for c in card.channels),
                terms=tuple(replace(t, channel=names[t.channel]) for t in card.terms),
            )
        )
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
    if isinstance(parameter, LogNuisance):
        return replace(parameter, entries=tuple(replace(e, term=e.term + shift) for e in parameter.entries))
    if isinstance(parameter, GammaNuisance):
        return replace(parameter, entries=tuple(replace(e, term=e.term + shift) for e in parameter.entries))
    return replace(parameter, terms=tuple(term + shift for term in parameter.terms))


def _joined(old: Parameter, new: Parameter) -> Parameter:
    lines = old.lines + new.lines
    if isinstance(old, LogNuisance) and isinstance(new, LogNuisance) and old.kind == new.kind:
        return replace(old, entries=old.entries + new.entries, lines=lines)
    if isinstance(old, GammaNuisance) and isinstance(new, GammaNuisance) and old.count == new.count:
        return replace(old, entries=old.entries + new.entries, lines=lines)
    if (
        isinstance(old, RateParameter)
        and isinstance(new, RateParameter)
        and (old.initial, old.lower, old.upper) == (new.initial, new.lower, new.upper)
    ):
        return replace(old, terms=old.terms + new.terms, lines=lines)
    raise DocumentError(
        f"{new.lines[0]}: {new.name!r} is {_meaning(new)}, but {_meaning(old)} in {old.lines[0]}; one name is one "
        "parameter in all cards"
    )


def _meaning(parameter: Parameter) -> str:
    if isinstance(parameter, LogNuisance):
        return parameter.kind
    if isinstance(parameter, GammaNuisance):
        return f"gmN {parameter.count}"
    return f"rateParam {parameter.initial:g} [{parameter.lower},{parameter.upper}]"
