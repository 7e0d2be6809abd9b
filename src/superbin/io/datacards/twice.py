"""Channels that are there twice: a folder that also holds a combination of its cards, or a card combined with itself.

Counted twice, the same events would make a likelihood look more sensitive than it is. Tools that combine cards rename
channels and round numbers, and leave the rest: two channels are the same if they agree in their observation, in their
processes, in their rates and factors to a few digits, and in the names of all parameters that act on them.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from superbin.io.datacards.model import Channel, Datacards, Placeholder

__all__ = ["Content", "contents", "repeated"]

ROUNDING = 2e-3
"""Relative difference of rates and factors that rounding explains."""

TRIVIAL = 1e-3
"""Events. Channels without events where less background is expected may well be different ones with equal content."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a channel holds apart from its name.

    Attributes
    ----------
    observed : float
        Events.
    columns : mapping
        By process and whether it is a signal: its rate, and by parameter what that does.
    template : tuple of str or None
        File and name of the histogram of the data.
    """

    observed: float
    columns: Mapping[tuple[str, bool], tuple[float | Placeholder, Mapping[str, tuple[float, ...]]]]
    template: tuple[str, str] | None = None

    @property
    def says_little(self) -> bool:
        """Whether nothing was observed and hardly any background is expected."""
        rates = [rate for (_, signal), (rate, _) in self.columns.items() if not signal]
        return (
            self.template is None
            and self.observed == 0
            and sum(rate for rate in rates if isinstance(rate, float)) <= TRIVIAL
        )

    def is_same(self, other: "Content") -> bool:
        """Whether two channels hold the same, up to rounding."""
        return (
            self.observed == other.observed
            and self.template == other.template
            and self.columns.keys() == other.columns.keys()
            and all(_is_same(column, other.columns[key]) for key, column in self.columns.items())
        )


def _is_same(
    one: tuple[float | Placeholder, Mapping[str, tuple[float, ...]]],
    other: tuple[float | Placeholder, Mapping[str, tuple[float, ...]]],
) -> bool:
    (rate, effects), (other_rate, other_effects) = one, other
    if isinstance(rate, Placeholder) or isinstance(other_rate, Placeholder):
        if rate != other_rate:
            return False
    elif not math.isclose(rate, other_rate, rel_tol=ROUNDING):
        return False
    return effects.keys() == other_effects.keys() and all(
        math.isclose(a, b, rel_tol=ROUNDING)
        for name, values in effects.items()
        for a, b in zip(values, other_effects[name], strict=True)
    )


def contents(cards: Datacards) -> dict[str, Content]:
    """Return what every channel holds, by its name.

    Parameters
    ----------
    cards : Datacards
        One card or many.
    """
    effects: dict[int, dict[str, tuple[float, ...]]] = defaultdict(dict)
    for name, i, values in _effects(cards):
        effects[i][name] = values
    columns: dict[str, dict[tuple[str, bool], tuple[float | Placeholder, dict[str, tuple[float, ...]]]]] = (
        defaultdict(dict)
    )
    for i, term in enumerate(cards.terms):
        columns[term.channel][term.process, term.is_signal] = (term.rate, effects[i])
    return {
        c.name: Content(
            c.observed,
            columns[c.name],
            None if c.template is None else (str(Path(c.template.file).resolve()), c.template.name),
        )
        for c in cards.channels
    }


def _effects(cards: Datacards) -> Iterator[tuple[str, int, tuple[float, ...]]]:
    """What acts on each term: the parameter's name, the term, and numbers that must agree."""
    for n in cards.nuisances:
        yield from ((n.name, e.term, (e.down, e.up)) for e in n.entries if not e.is_inert)
    for g in cards.gammas:
        yield from ((g.name, e.term, (float(g.count), e.alpha)) for e in g.entries)
    for p in cards.rate_parameters:
        yield from ((p.name, i, (p.initial, p.initial)) for i in p.terms)
    for s in cards.shapes:
        yield from ((s.name, e.term, (e.scale,)) for e in s.entries)
    for linear in cards.linear:
        yield from ((linear.name, e.term, (e.slope,)) for e in linear.entries)
    for w in cards.widths:
        yield from ((w.name, i, (w.width,)) for i in w.terms)
    for f in cards.formulas:
        yield from ((f.name, i, ()) for i in f.terms)


def repeated(cards: Datacards) -> tuple[tuple[Channel, Channel], ...]:
    """Return pairs of channels that are the same, the earlier one first.

    Channels where nothing was observed and at most `TRIVIAL` events of background are expected are left out.

    Parameters
    ----------
    cards : Datacards
        One card or many.
    """
    alike: dict[tuple[float, frozenset[tuple[str, bool]]], list[tuple[Channel, Content]]] = defaultdict(list)
    pairs = []
    of = contents(cards)
    for channel in cards.channels:
        content = of[channel.name]
        if content.says_little:
            continue
        before = alike[content.observed, frozenset(content.columns)]
        earlier = next((c for c, other in before if content.is_same(other)), None)
        if earlier is None:
            before.append((channel, content))
        else:
            pairs.append((earlier, channel))
    return tuple(pairs)
