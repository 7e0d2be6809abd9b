"""Channels that are there twice: a folder that also holds a combination of its cards, or a card combined with itself.

Counted twice, the same events would make a likelihood look more sensitive than it is. Two channels are the same if they
agree in everything but their names: observation, processes with their numbers and rates, and every effect with the
name of its parameter. Tools that combine cards rename channels and nothing else.
"""

from collections import defaultdict
from collections.abc import Hashable
from typing import TypeAlias

from superbin.io.datacards.model import Channel, Datacards

__all__ = ["contents", "repeated"]

Content: TypeAlias = Hashable


def contents(cards: Datacards) -> dict[str, Content]:
    """What every channel holds apart from its name, comparable between cards.

    Parameters
    ----------
    cards : Datacards
        One card or many.

    Returns
    -------
    dict of str to hashable
        Equal for equal channels, whatever the order of their columns.
    """
    effects: dict[int, list[Hashable]] = defaultdict(list)
    for nuisance in cards.nuisances:
        for entry in nuisance.entries:
            effects[entry.term].append((nuisance.name, nuisance.kind, entry.down, entry.up))
    for gamma in cards.gammas:
        for alpha in gamma.entries:
            effects[alpha.term].append((gamma.name, "gmN", gamma.count, alpha.alpha))
    for parameter in cards.rate_parameters:
        for term in parameter.terms:
            effects[term].append((parameter.name, "rateParam", parameter.initial))
    columns: dict[str, list[Hashable]] = defaultdict(list)
    for i, term in enumerate(cards.terms):
        columns[term.channel].append((term.process, term.is_signal, term.rate, frozenset(effects[i])))
    return {c.name: (c.observed, frozenset(columns[c.name])) for c in cards.channels}


def repeated(cards: Datacards) -> tuple[tuple[Channel, Channel], ...]:
    """Pairs of channels that are the same, the earlier one first.

    A channel where nothing was observed and at most `TRIVIAL` events of background are expected says too little to be
    recognised, and so does one without background.

    Parameters
    ----------
    cards : Datacards
        One card or many.
    """
    first: dict[Content, Channel] = {}
    pairs = []
    background: dict[str, float] = defaultdict(float)
    for term in cards.terms:
        if not term.is_signal and isinstance(term.rate, float):
            background[term.channel] += term.rate
    of = contents(cards)
    for channel in cards.channels:
        if channel.observed == 0 and background[channel.name] <= TRIVIAL:
            continue
        earlier = first.setdefault(of[channel.name], channel)
        if earlier is not channel:
            pairs.append((earlier, channel))
    return tuple(pairs)


TRIVIAL = 1e-3
"""Events; below, channels of equal content may well be different ones."""
