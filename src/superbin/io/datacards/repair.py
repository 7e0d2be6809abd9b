"""Recipes: what the cards of one archive need before they can be used, and every change made for it.

Cards are taken as written. Some archives hold what was never meant as a number: words nobody filled in, tiny rates that
stand for none. What is known about one archive is a `Recipe`, given by whoever knows the cards or with the bundle of their search
(``card-recipe.json``), and never applied to others; `repair` makes its changes and lists each. Pairs of factors are never touched: a model can use
them as they are, and what was meant is not in the card.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from superbin._support.json import parse_json
from superbin.errors import DocumentError, InputError
from superbin.io.datacards.model import Datacards, LogNuisance, Placeholder, Term

__all__ = ["Recipe", "Repair", "parse_recipe", "repair"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is known of the cards of one archive. Without arguments: nothing, and nothing is changed.

    Parameters
    ----------
    signal_regions : str, optional
        Regular expression for the whole name of a channel that is a bin of the search; the other channels are control
        regions. By default every channel with a column for a signal is a bin, whatever its rate.
    signal_placeholder : float, optional
        Rate, in events, that stands for no signal in control regions: such a rate becomes zero.
    background_word : float, optional
        Events that a word in a background column becomes. By default such a card is refused.
    background_floor : float
        Background rates up to this, in events, stand for zero in predictions; in the likelihood they stay as written.
    drop_inert : bool
        Whether factors of one, and lines that act on nothing, are dropped.
    equal_channels : bool
        Whether channels that agree in everything but their names are different measurements. By default they are taken
        for the same one twice, and refused.

    Raises
    ------
    InputError
        If a rate is not a finite number > 0 (>= 0 for the floor), or the expression is none.
    """

    signal_regions: str | None = None
    signal_placeholder: float | None = None
    background_word: float | None = None
    background_floor: float = 0.0
    drop_inert: bool = False
    equal_channels: bool = False

    def __post_init__(self) -> None:
        for name in ("signal_placeholder", "background_word"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} is {value}; it must be a finite number of events > 0")
        if not (math.isfinite(self.background_floor) and self.background_floor >= 0):
            raise InputError(
                f"background_floor is {self.background_floor}; it must be a finite number of events >= 0"
            )
        try:
            re.compile(self.signal_regions or "")
        except re.error as error:
            raise InputError(
                f"signal_regions is {self.signal_regions!r}; it must be a regular expression ({error})"
            ) from error

    def is_signal_region(self, channel: str) -> bool:
        """Whether a channel, which has a column for a signal, is a bin of the search."""
        return self.signal_regions is None or re.fullmatch(self.signal_regions, channel) is not None


def parse_recipe(text: str, place: str | Path) -> Recipe:
    """Read a recipe, as a bundle has it in ``card-recipe.json``: a JSON object with the parameters of `Recipe`.

    An entry ``source`` says whose cards it is of, and is not used.

    Raises
    ------
    DocumentError
        If it is none, or a value is outside its domain; the text names the entry.
    """
    content = parse_json(text, place)
    known = {f.name: f.type for f in fields(Recipe)}
    if not isinstance(content, dict):
        raise DocumentError(f"{place}: a recipe is a JSON object with {', '.join(known)}")
    given = {key: value for key, value in content.items() if key != "source"}
    for key, value in given.items():
        if key not in known:
            raise DocumentError(f"{place}: nothing reads {key!r}; there are {', '.join(known)}")
        wanted: type | tuple[type, ...] = (
            str
            if key == "signal_regions"
            else bool
            if key in ("drop_inert", "equal_channels")
            else (int, float)
        )
        if value is not None and (
            not isinstance(value, wanted) or (wanted == (int, float) and isinstance(value, bool))
        ):
            raise DocumentError(
                f"{place}: {key} is {value!r}; it must be a text, true or false, or a number of events"
            )
    try:
        return Recipe(**given)
    except InputError as error:
        raise DocumentError(f"{place}: {error}") from error


@dataclass(frozen=True, slots=True, order=True)
class Repair:
    """One change made.

    Parameters
    ----------
    file : str
        The card.
    line : int
        Its line, from 1.
    code : str
        ``"signal-placeholder"``, ``"leaked-placeholder"``, ``"inert-entry"`` or ``"inert-nuisance"``, as in the lint
        report.
    message : str
        What was there and what is there now.
    """

    file: str
    line: int
    code: str
    message: str


def repair(cards: Datacards, recipe: Recipe) -> tuple[Datacards, tuple[Repair, ...]]:
    """Make the changes of a recipe.

    Parameters
    ----------
    cards : Datacards
        One card or many combined.
    recipe : Recipe
        What is known of them; an empty one changes nothing.

    Returns
    -------
    tuple of (Datacards, tuple of Repair)
        The repaired cards, and every change in the order of files and lines. Repairing twice changes nothing more.
    """
    repairs: list[Repair] = []
    terms = tuple(_term(term, recipe, repairs) for term in cards.terms)
    nuisances = tuple(_nuisances(cards, repairs)) if recipe.drop_inert else cards.nuisances
    kept = {p.name for group in (nuisances, cards.gammas, cards.rate_parameters) for p in group}
    groups = tuple(replace(g, members=tuple(m for m in g.members if m in kept)) for g in cards.groups)
    order = {file: i for i, file in enumerate(cards.files)}
    repairs.sort(key=lambda r: (order.get(r.file, len(order)), r))
    return replace(cards, terms=terms, nuisances=nuisances, groups=groups), tuple(repairs)


def _term(term: Term, recipe: Recipe, repairs: list[Repair]) -> Term:
    def change(code: str, shown: str, rate: float) -> Term:
        message = f"rate {shown} of process {term.process!r} in channel {term.channel!r} is {rate:g} now"
        repairs.append(Repair(term.place.file, term.place.line, code, message))
        return replace(term, rate=rate)

    if not term.is_signal:
        if recipe.background_word is not None and isinstance(term.rate, Placeholder):
            return change("leaked-placeholder", repr(term.rate.text), recipe.background_word)
    elif term.rate == recipe.signal_placeholder and not recipe.is_signal_region(term.channel):
        return change("signal-placeholder", f"{term.rate:g}", 0.0)
    return term


def _nuisances(cards: Datacards, repairs: list[Repair]) -> Iterator[LogNuisance]:
    """Yield what is left of every nuisance that still acts somewhere."""
    for nuisance in cards.nuisances:
        used = {entry.place for entry in nuisance.entries}
        for line in nuisance.lines:
            if line not in used:
                message = f"the line of {nuisance.name!r}, all dashes, is dropped"
                repairs.append(Repair(line.file, line.line, "inert-nuisance", message))
        for entry in nuisance.entries:
            if entry.is_inert:
                term = cards.terms[entry.term]
                message = (
                    f"the factor 1 of {nuisance.name!r} on process {term.process!r} in channel {term.channel!r} "
                    "is dropped"
                )
                repairs.append(Repair(entry.place.file, entry.place.line, "inert-entry", message))
        entries = tuple(entry for entry in nuisance.entries if not entry.is_inert)
        places = {entry.place for entry in entries}
        if entries:
            yield replace(nuisance, entries=entries, lines=tuple(p for p in nuisance.lines if p in places))
