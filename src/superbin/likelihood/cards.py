"""From counting datacards to a published likelihood.

`compile_cards` translates what `superbin.io.datacards` read, after the changes of a recipe, into the document that
`superbin.likelihood.packed` writes and reads:

- ``lnN`` becomes a ``normal`` parameter.
- ``lnU`` with one factor k on everything becomes a ``free`` rate phi in [1/k, k]: for a profile likelihood the two are
  the same, and the yield is linear in phi. With several factors it becomes ``flat``, theta in [-1, 1].
- ``rateParam`` becomes a ``free`` rate within its range.
- ``gmN`` with N events becomes a ``free`` rate measured by a control channel of its own that observes N.

A signal is a process numbered 0 or below. The channels with a column for a signal are the bins of the search, numbered in
the order of the cards, unless a recipe says which are; the others are control regions.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from superbin._support.shown import counted
from superbin.errors import DocumentError, InputError
from superbin.io.datacards import (
    Datacards,
    GammaNuisance,
    LogNuisance,
    Placeholder,
    RateParameter,
    Recipe,
    Term,
    repair,
    repeated,
)
from superbin.io.datacards.lint import FLOOR, same_channels

__all__ = ["FORMAT", "compile_cards", "notes_of"]

FORMAT = "superbin-likelihood-2"

LEAST_RATE = 1e-6
"""Lower end of free rates whose card sets none or zero: their logarithm must exist."""

MOST_RATE = 100.0
"""Upper end, in units of the start, of free rates whose card sets none."""

Row = list[Any]


def compile_cards(
    cards: Datacards,
    *,
    name: str,
    source: str,
    recipe: Recipe | None = None,
    zero_count: Sequence[str] = (),
    global_systematics: Sequence[str] = (),
    branches: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """Translate cards into the packed document, changing what the recipe says and nothing else.

    Parameters
    ----------
    cards : Datacards
        Of all channels of one search.
    name, source : str
        As in `PublishedLikelihood`.
    recipe : Recipe, optional
        What is known of the archive the cards are from. By default they are taken as written.
    zero_count, global_systematics : sequence of str
        As in `PublishedLikelihood`.
    branches : mapping of str to sequence of float, optional
        Parameters in which several minima are known, with a start for each.

    Returns
    -------
    dict
        The document, with every change and everything doubtful counted under ``notes``.

    Raises
    ------
    InputError
        If no channel has a column for a signal, or a name given is in no card.
    DocumentError
        If the cards hold the same channels twice, the rate of a background is a word, or a ``gmN`` without events acts
        on a signal that is a word.
    """
    _check_counting(cards)
    recipe = recipe or Recipe()
    cards, repairs = repair(cards, recipe)
    _check_twice(cards, recipe)
    _check_words(cards)
    channels, bins = _channels(cards, recipe)
    terms = [_term(term, channels, bins) for term in cards.terms]
    parameters = [_log(nuisance) for nuisance in cards.nuisances if nuisance.entries]
    parameters += [_rate_parameter(parameter) for parameter in cards.rate_parameters]
    rows = [[channel.name, channel.observed, bins.get(channel.name)] for channel in cards.channels]
    for gamma in cards.gammas:
        parameters.append(_gamma(gamma, cards, terms, rows))
    _check_names(name, parameters, [*global_systematics, *(branches or {})], terms, zero_count)
    return {
        "format": FORMAT,
        "name": name,
        "source": source,
        "notes": list(notes_of(cards, [change.code for change in repairs])),
        "background_floor": recipe.background_floor,
        "zero_count": list(zero_count),
        "global_systematics": list(global_systematics),
        "branches": {key: list(starts) for key, starts in (branches or {}).items()},
        "channels": rows,
        "terms": terms,
        "parameters": parameters,
    }


def _check_counting(cards: Datacards) -> None:
    """Refuse what the packed document cannot hold; `superbin.likelihood.read` reads everything."""
    places = [c.place for c in cards.channels if c.template is not None]
    for parameters in (cards.shapes, cards.formulas, cards.linear, cards.widths, cards.measured, cards.free):
        places += [parameter.lines[0] for parameter in parameters]
    places += [p.lines[0] for p in cards.rate_parameters if p.initial < 0 or (p.lower or 0) < 0]
    if places or cards.frozen:
        where = str(places[0]) if places else cards.files[0]
        raise DocumentError(
            f"{where}: shapes, formulas, measured, linear, negative and frozen parameters are not for a likelihood whose signal is "
            "left open; read these cards with superbin.likelihood.read"
        )


def _check_twice(cards: Datacards, recipe: Recipe) -> None:
    pairs = () if recipe.equal_channels else repeated(cards)
    if pairs:
        raise DocumentError(
            f"{pairs[0][1].place}: {same_channels(pairs)}; leave one of each out, or give a recipe with equal_channels "
            "if they are different measurements"
        )


def _check_words(cards: Datacards) -> None:
    for term in cards.terms:
        if not term.is_signal and isinstance(term.rate, Placeholder):
            raise DocumentError(
                f"{term.place}: the rate of background {term.process!r} in channel {term.channel!r} is the word "
                f"{term.rate.text!r}; write the expected events"
            )


def notes_of(cards: Datacards, repaired: Sequence[str] = ()) -> tuple[str, ...]:
    """Every change counted, what reading left out, and signals that look as if they were meant for none.

    Parameters
    ----------
    cards : Datacards
        The cards.
    repaired : sequence of str
        Codes of changes made to them.
    """
    counted = Counter(repaired)
    notes = [f"{code}: {counted[code]} repaired" for code in sorted(counted)]
    remarks = Counter(remark.code for remark in cards.remarks)
    for code in sorted(remarks):
        first = next(remark for remark in cards.remarks if remark.code == code)
        notes.append(f"{code}: {remarks[code]}, first at {first.place}: {first.message}")
    tiny = [t for t in cards.terms if t.is_signal and isinstance(t.rate, float) and 0 < t.rate <= FLOOR]
    if tiny:
        values = sorted({t.rate for t in tiny if isinstance(t.rate, float)})
        shown = f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"
        notes.append(
            f"signal-placeholder: {len(tiny)} signal rates of {shown}, first at {tiny[0].place}, may stand for no signal; "
            "taken as written"
        )
    return tuple(notes)


def _channels(cards: Datacards, recipe: Recipe) -> tuple[dict[str, int], dict[str, int]]:
    with_signal = {t.channel for t in cards.terms if t.is_signal and recipe.is_signal_region(t.channel)}
    if not with_signal:
        raise InputError(
            f"none of the {counted(len(cards.channels), 'channel')} is a bin with a column for a signal (process number <= 0); add "
            "the cards of the signal regions"
        )
    order = [channel.name for channel in cards.channels]
    bins = {channel: i for i, channel in enumerate(c for c in order if c in with_signal)}
    return {channel: i for i, channel in enumerate(order)}, bins


def _term(term: Term, channels: dict[str, int], bins: dict[str, int]) -> Row:
    if isinstance(term.rate, Placeholder) and term.channel not in bins:
        raise DocumentError(
            f"{term.place}: the rate of signal {term.process!r} in control region {term.channel!r} is the word "
            f"{term.rate.text!r}; write the expected events"
        )
    rate = None if isinstance(term.rate, Placeholder) else term.rate
    return [channels[term.channel], term.process, rate, int(term.is_signal)]


def _log(nuisance: LogNuisance) -> Row:
    entries = [[e.term, e.up] if e.symmetric else [e.term, e.down, e.up] for e in nuisance.entries]
    if nuisance.kind == "lnN":
        return [nuisance.name, "normal", None, None, 0.0, entries]
    factors = {abs(math.log(value)) for e in nuisance.entries for value in (e.down, e.up)}
    if max(factors) - min(factors) <= 1e-12 * max(factors) and all(
        e.up > 1 > e.down for e in nuisance.entries
    ):
        upper = max(e.up for e in nuisance.entries)
        return [nuisance.name, "free", 1 / upper, upper, 1.0, [[e.term] for e in nuisance.entries]]
    return [nuisance.name, "flat", -1.0, 1.0, 0.0, entries]


def _rate_parameter(parameter: RateParameter) -> Row:
    lower = max(parameter.lower or 0.0, LEAST_RATE)
    upper = parameter.upper if parameter.upper is not None else MOST_RATE * max(parameter.initial, 1.0)
    start = min(max(parameter.initial, lower), upper)
    return [parameter.name, "free", lower, upper, start, [[term] for term in parameter.terms]]


def _gamma(gamma: GammaNuisance, cards: Datacards, terms: list[Row], channels: list[Row]) -> Row:
    """Add the control channel that holds the count, and return the free rate it measures."""
    scale = max(gamma.count, 1)
    for entry in gamma.entries:
        if terms[entry.term][2] is None:
            if gamma.count == 0:
                where = cards.terms[entry.term]
                raise DocumentError(
                    f"{entry.place}: gmN {gamma.name!r} counts no event but acts on {where.process!r} in "
                    f"{where.channel!r}, whose rate is open; its size is unknown"
                )
        else:
            terms[entry.term][2] = scale * entry.alpha
    channels.append([f"gmN:{gamma.name}", float(gamma.count), None])
    terms.append([len(channels) - 1, gamma.name, float(scale), 0])
    entries = [[entry.term] for entry in gamma.entries] + [[len(terms) - 1]]
    start = max(gamma.count / scale, LEAST_RATE)
    return [gamma.name, "free", LEAST_RATE, MOST_RATE, start, entries]


def _check_names(
    name: str, parameters: list[Row], wanted: Sequence[str], terms: list[Row], zero_count: Sequence[str]
) -> None:
    known = {row[0] for row in parameters}
    for parameter in wanted:
        if parameter not in known:
            raise InputError(f"no card of {name!r} has a nuisance {parameter!r}")
    processes = {row[1] for row in terms}
    for process in zero_count:
        if process not in processes:
            raise InputError(f"no card of {name!r} has a process {process!r}")
