"""What is odd in a set of datacards: a report for people and machines that changes nothing.

Every `Finding` has a code from `CODES`, the file and line it stands at, and one sentence. Being odd is not being
wrong: an inverted pair may be a true anticorrelation. What can be repaired safely is in
`superbin.io.datacards.repair`; the rest is for the reader to judge.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from superbin._support.shown import counted
from superbin.io.datacards.model import Channel, Datacards, Kappa, LogNuisance, Place, Placeholder, Term
from superbin.io.datacards.twice import repeated

__all__ = ["CODES", "FLOOR", "Finding", "lint", "same_channels"]

FLOOR = 1e-4
"""Rates up to this, but above zero, count as floored: written so that a logarithm exists, not as a prediction."""

_FREE = 10.0
"""A flat nuisance with a factor of at least this is a free rate, not a systematic uncertainty."""

_EXTREME = 5.0
"""A log-normal factor of at least this (or one over it) is reported: its tail doubles the prediction every
half standard deviation, which is rarely meant."""

CODES = MappingProxyType(
    {
        "leaked-placeholder": "a background rate is a word, not a number",
        "floored-rate": "a background rate is a tiny positive number that stands for zero",
        "signal-placeholder": "a signal rate is a tiny positive number that may stand for none; it is taken as written",
        "same-channels-twice": "the same channels twice, so their events would count twice; no fit is made",
        "ignored-words": "words after the last column are ignored, as by Combine",
        "zero-entry": "a factor of zero is no effect, as in Combine",
        "acts-twice": "a nuisance has two lines for one column; both count, as in Combine",
        "first-start": "a rateParam has another start or range than on its first line; those of the first are taken, as in Combine",
        "gamma-rate": "count times alpha of a gmN stands for another rate in the table, as in Combine",
        "nofloat": "the suffix [nofloat] is left out; the nuisance is that of the plain name",
        "edit-nothing": "an instruction of the card finds nothing to act on, or what it asks for has no effect",
        "statistics-mode": "hist-mode 0 of autoMCStats is read as 1",
        "unused-parameter": "nothing uses a parameter that the card declares",
        "unbalanced-control-region": "a control region's rates do not add up to its observation, so its free rate "
        "does not start at its best value",
        "empty-channel": "no background is expected in the channel",
        "inert-entry": "an entry's factors are both one",
        "inert-nuisance": "every entry of the line is a dash",
        "same-side-pair": "both factors of a pair raise the rate, or both lower it",
        "inverted-pair": "the first factor of a pair raises the rate and the second lowers it",
        "one-sided-pair": "one factor of a pair is one",
        "extreme-factor": "a log-normal factor is 5 or more, or 1/5 or less",
        "varying-range": "a flat nuisance has different factors on different rates",
        "lone-free-rate": "a free rate acts in one channel only, so nothing else measures it",
        "missing-systematic": "a nuisance acts on this process in most channels but not in this one",
    }
)
"""What each code means."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One oddity.

    Parameters
    ----------
    file : str
        The card.
    line : int
        Its line, from 1.
    code : str
        One of `CODES`.
    message : str
        One sentence naming the nuisance, process and channel.
    """

    file: str
    line: int
    code: str
    message: str


def lint(cards: Datacards) -> tuple[Finding, ...]:
    """Report everything odd.

    Parameters
    ----------
    cards : Datacards
        One card or many combined; some oddities only show across cards.

    Returns
    -------
    tuple of Finding
        In the order of files and lines.
    """
    checks: tuple[Callable[[Datacards], Iterator[Finding]], ...] = (
        _rates, _remarks, _twice, _control_regions, _empty_channels, _entries, _ranges, _lone_free_rates, _missing
    )  # fmt: skip
    order = {file: i for i, file in enumerate(cards.files)}
    findings = [finding for check in checks for finding in check(cards)]
    return tuple(sorted(findings, key=lambda f: (order.get(f.file, len(order)), f)))


def _finding(place: Place, code: str, message: str) -> Finding:
    return Finding(place.file, place.line, code, message)


def _where(term: Term) -> str:
    return f"process {term.process!r} in channel {term.channel!r}"


def _is_floored(term: Term) -> bool:
    return not isinstance(term.rate, Placeholder) and 0 < term.rate <= FLOOR


def _rates(cards: Datacards) -> Iterator[Finding]:
    for term in cards.terms:
        if term.is_signal:
            if _is_floored(term):
                yield _finding(
                    term.place,
                    "signal-placeholder",
                    f"signal {_where(term)} has the rate {term.rate:g}, taken as written",
                )
        elif isinstance(term.rate, Placeholder):
            yield _finding(
                term.place, "leaked-placeholder", f"{_where(term)} has the rate {term.rate.text!r}"
            )
        elif _is_floored(term):
            yield _finding(term.place, "floored-rate", f"{_where(term)} has the rate {term.rate:g}")


def _remarks(cards: Datacards) -> Iterator[Finding]:
    for remark in cards.remarks:
        yield _finding(remark.place, remark.code, remark.message)


def _twice(cards: Datacards) -> Iterator[Finding]:
    """Report all of them in one finding, at the first that comes again."""
    pairs = repeated(cards)
    if pairs:
        place = pairs[0][1].place
        yield _finding(place, "same-channels-twice", same_channels(pairs))


def same_channels(pairs: Sequence[tuple[Channel, Channel]]) -> str:
    """Say in words which channels are there twice, from the pairs that `repeated` found."""
    shown = ", ".join(f"{b.name!r} is {a.name!r} of {a.place}" for a, b in pairs[:3])
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return f"the same channels twice: {shown}{more}"


def _by_channel(cards: Datacards) -> dict[str, list[tuple[int, Term]]]:
    channels: dict[str, list[tuple[int, Term]]] = defaultdict(list)
    for i, term in enumerate(cards.terms):
        channels[term.channel].append((i, term))
    return channels


def _free_terms(cards: Datacards) -> set[int]:
    free = {e.term for n in cards.nuisances if _is_free(n) for e in n.entries}
    return free.union(*(p.terms for p in cards.rate_parameters))


def _is_free(nuisance: LogNuisance) -> bool:
    return nuisance.kind == "lnU" and any(max(e.up, e.down) >= _FREE for e in nuisance.entries)


def _control_regions(cards: Datacards) -> Iterator[Finding]:
    """Control regions are the channels without signal whose background has a free rate."""
    free = _free_terms(cards)
    channels = _by_channel(cards)
    for channel in cards.channels:
        terms = channels[channel.name]
        has_signal = any(
            t.is_signal and (isinstance(t.rate, Placeholder) or t.rate > FLOOR) for _, t in terms
        )
        rates = [t.rate for _, t in terms if not t.is_signal and not isinstance(t.rate, Placeholder)]
        if (
            channel.template is not None
            or has_signal
            or len(rates) == 0
            or not any(i in free for i, _ in terms)
        ):
            continue
        expected = sum(rates)
        # Rates are written to a few decimals and zeros as floors; that is not an imbalance.
        if abs(expected - channel.observed) > len(rates) * FLOOR + 1e-6 * channel.observed:
            yield _finding(
                channel.place,
                "unbalanced-control-region",
                f"channel {channel.name!r} observes {channel.observed:g} events but its rates add up to {expected:g}",
            )


def _empty_channels(cards: Datacards) -> Iterator[Finding]:
    channels = _by_channel(cards)
    for channel in cards.channels:
        if all(t.is_signal or t.rate == 0 for _, t in channels[channel.name]):
            yield _finding(channel.place, "empty-channel", f"channel {channel.name!r} expects no background")


def _entries(cards: Datacards) -> Iterator[Finding]:
    twice = {remark.place for remark in cards.remarks if remark.code == "acts-twice"}
    for nuisance in cards.nuisances:
        used = {entry.place for entry in nuisance.entries} | twice
        for line in nuisance.lines:
            if line not in used:
                yield _finding(line, "inert-nuisance", f"{nuisance.kind} {nuisance.name!r} has only dashes")
        for entry in nuisance.entries:
            code = _pair_code(entry)
            if code is None and nuisance.kind == "lnN" and _is_extreme(entry):
                code = "extreme-factor"
            if code is not None:
                yield _finding(
                    entry.place,
                    code,
                    f"{nuisance.name!r} is {_shown(entry)} on {_where(cards.terms[entry.term])}",
                )


def _is_extreme(entry: Kappa) -> bool:
    return not all(1 / _EXTREME < factor < _EXTREME for factor in (entry.down, entry.up))


def _pair_code(entry: Kappa) -> str | None:
    if entry.is_inert:
        return "inert-entry"
    if entry.symmetric:
        return None
    if entry.down == 1 or entry.up == 1:
        return "one-sided-pair"
    if (entry.down > 1) == (entry.up > 1):
        return "same-side-pair"
    return "inverted-pair" if entry.down > 1 else None


def _shown(entry: Kappa) -> str:
    return f"{entry.up:g}" if entry.symmetric else f"{entry.down:g}/{entry.up:g}"


def _ranges(cards: Datacards) -> Iterator[Finding]:
    for nuisance in cards.nuisances:
        factors = {entry.up for entry in nuisance.entries}
        if nuisance.kind == "lnU" and len(factors) > 1:
            yield _finding(
                nuisance.entries[0].place,
                "varying-range",
                f"lnU {nuisance.name!r} has {len(factors)} different factors, from {min(factors):g} to {max(factors):g}",
            )


def _lone_free_rates(cards: Datacards) -> Iterator[Finding]:
    free = [
        ("lnU", n.name, n.entries[0].place, {e.term for e in n.entries})
        for n in cards.nuisances
        if _is_free(n)
    ]
    free += [("rateParam", p.name, p.lines[0], set(p.terms)) for p in cards.rate_parameters]
    for kind, name, place, terms in free:
        channels = {cards.terms[i].channel for i in terms}
        if len(channels) == 1:
            yield _finding(
                place,
                "lone-free-rate",
                f"{kind} {name!r} acts in channel {channels.pop()!r} only; is a control region missing?",
            )


def _missing(cards: Datacards) -> Iterator[Finding]:
    """Find nuisances that act on a process in more than half of its channels, but not in all."""
    present: dict[str, list[int]] = defaultdict(list)
    for i, term in enumerate(cards.terms):
        if isinstance(term.rate, Placeholder) or term.rate > FLOOR:
            present[term.process].append(i)
    for nuisance in cards.nuisances:
        acts = {entry.term for entry in nuisance.entries}
        for process in sorted({cards.terms[i].process for i in acts}):
            candidates = present[process]
            absent = [i for i in candidates if i not in acts]
            if len(absent) * 2 >= len(candidates):
                continue
            for i in absent:
                yield _finding(
                    cards.terms[i].place,
                    "missing-systematic",
                    f"{nuisance.name!r} does not act on {_where(cards.terms[i])}, but on {process!r} in "
                    f"{len(candidates) - len(absent)} of {counted(len(candidates), 'channel')}",
                )
