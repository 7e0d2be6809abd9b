"""The safe repairs of datacards, each listed.

Two things are repaired: a placeholder in a background column becomes the floor that stands for zero elsewhere,
and entries that change nothing are dropped. Pairs of factors are never touched: a model can use them as they
are, and what was meant is not in the card.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from superbin.errors import InputError
from superbin.io.datacards.lint import FLOOR
from superbin.io.datacards.model import Datacards, LogNuisance, Placeholder, Term

__all__ = ["Repair", "repair"]


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
        ``"leaked-placeholder"``, ``"inert-entry"`` or ``"inert-nuisance"``, as in the lint report.
    message : str
        What was there and what is there now.
    """

    file: str
    line: int
    code: str
    message: str


def repair(cards: Datacards, *, floor: float = FLOOR) -> tuple[Datacards, tuple[Repair, ...]]:
    """Replace leaked placeholders and drop inert entries and nuisances.

    Parameters
    ----------
    cards : Datacards
        One card or many combined.
    floor : float
        Events, > 0, that a placeholder in a background column becomes. Signal columns keep theirs.

    Returns
    -------
    tuple of (Datacards, tuple of Repair)
        The repaired cards, and every change in the order of files and lines. Repairing twice changes nothing more.

    Raises
    ------
    InputError
        If `floor` is not a finite number > 0.
    """
    if not (math.isfinite(floor) and floor > 0):
        raise InputError(f"floor is {floor}; it must be a finite number of events > 0")
    repairs: list[Repair] = []
    terms = tuple(_term(term, floor, repairs) for term in cards.terms)
    nuisances = tuple(_nuisances(cards, repairs))
    kept = {p.name for group in (nuisances, cards.gammas, cards.rate_parameters) for p in group}
    groups = tuple(replace(g, members=tuple(m for m in g.members if m in kept)) for g in cards.groups)
    order = {file: i for i, file in enumerate(cards.files)}
    repairs.sort(key=lambda r: (order.get(r.file, len(order)), r))
    return replace(cards, terms=terms, nuisances=nuisances, groups=groups), tuple(repairs)


def _term(term: Term, floor: float, repairs: list[Repair]) -> Term:
    if term.is_signal or not isinstance(term.rate, Placeholder):
        return term
    repairs.append(
        Repair(
            term.place.file,
            term.place.line,
            "leaked-placeholder",
            f"rate {term.rate.text!r} of process {term.process!r} in channel {term.channel!r} is {floor:g} now",
        )
    )
    return replace(term, rate=floor)


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
