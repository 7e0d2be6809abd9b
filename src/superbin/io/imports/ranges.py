"""Ranges of observables as people write them: ``200-300``, ``>= 4``, ``300+``, ``> 800 GeV``, ``2``."""

import math
import re

from superbin.domain.search import Observable
from superbin.errors import InputError
from superbin.io._text import parse_number

__all__ = ["infinite", "lowest", "observable", "parse_range", "without_brackets"]

_UNIT = r"(?:\s*(?:GeV|TeV))?"
_RANGE = re.compile(
    rf"(?:(?P<low>[-−]?[\d.]+){_UNIT}\s*(?:-|–|—|\bto\b|,|\.\.)\s*(?P<high>[-−]?[\d.]+|inf(?:inity)?\.?|∞)"
    rf"|(?P<above_sign>>=|≥|>)\s*(?P<from>[-−]?[\d.]+)|(?P<below><=|≤|<)\s*(?P<to>[-−]?[\d.]+)|(?P<above>[\d.]+)\s*\+|(?P<one>\d+)){_UNIT}",
    re.IGNORECASE,
)
_NOT_NEGATIVE = re.compile(
    r"(ht|st|lt|mt|mct|mht|met|ptmiss|etmiss|misset|misspt|missinget|missingpt|pt|ptll|mll|mjj|mbb|mass|invariantmass|meff)\d*"
)
"""Sums of momenta and masses, which no event has below zero."""
_COUNTED = re.compile(r"n(umberof\w*|(b|bjet|btag|j|jet|lep|lepton|e|el|mu|tau|sv|w|top|photon|vtx)s?)")
_KNOWN = {
    "ht": ("$H_\\mathrm{T}$", "GeV"),
    "mht": ("$H_\\mathrm{T}^\\mathrm{miss}$", "GeV"),
    "met": ("$p_\\mathrm{T}^\\mathrm{miss}$", "GeV"),
    "ptmiss": ("$p_\\mathrm{T}^\\mathrm{miss}$", "GeV"),
    "mt2": ("$M_\\mathrm{T2}$", "GeV"),
    **dict.fromkeys(("njet", "nj", "njets"), ("$N_\\mathrm{jet}$", "")),
    **dict.fromkeys(("nb", "nbjet", "nbjets"), ("$N_\\mathrm{b}$", "")),
}


def without_brackets(text: str) -> tuple[str, str | None]:
    """A name without what stands in brackets at its end, and that: ``MET [GeV]``; None where there are none."""
    if text[-1:] not in (")", "]"):
        return text, None
    closed = max(text.rfind(")", 0, -1), text.rfind("]", 0, -1)) + 1
    opened = min((i for i in (text.find("(", closed), text.find("[", closed)) if i >= 0), default=-1)
    if opened < 0:
        return text, None
    return text[:opened].rstrip(), text[opened + 1 : -1].strip()


def observable(name: str, unit: str = "") -> Observable:
    """An observable by the name of its column: known ones get label and unit; ``name [GeV]`` names a unit.

    Discrete are those without a unit whose name counts something, such as ``njet`` and ``Number of leptons``.
    """
    bare, inside = without_brackets(name)
    unit = unit if inside is None else inside
    key = re.sub(r"[^0-9a-z]+", "", bare.lower())
    if key in _KNOWN:
        label, known = _KNOWN[key]
        return Observable(key, label, known, discrete=_COUNTED.fullmatch(key) is not None)
    return Observable(key or bare, bare, unit, discrete=not unit and _COUNTED.fullmatch(key) is not None)


def infinite(text: str) -> bool:
    """Whether a cell says that a range has no upper end."""
    return text.strip().lower().rstrip(".") in ("inf", "+inf", "infinity", "∞")


def lowest(observable: Observable, given: object = None) -> float | None:
    """Where the range of an observable that has no lower end begins: as a mapping says, or at 0 where no event has less.

    None where nothing says it.

    Raises
    ------
    InputError
        If the mapping says something else than a finite number.
    """
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
            raise InputError(f"mapping: lowest is {given!r}; it must be a finite number")
        return float(given)
    plain = re.sub(r"[^a-z0-9]+", "", re.sub(r"mathrm|text|\\rm", "", observable.name.lower()))
    return 0.0 if observable.discrete or _NOT_NEGATIVE.fullmatch(plain) else None


def parse_range(text: str, *, counts: bool = False) -> tuple[float, float] | None:
    """Lower and upper edge of a range, or None if the text is none; a whole number alone is both edges.

    ``< 4`` begins at minus infinity. With `counts`, of something that is counted, ``< 4`` ends at 3 and ``> 4`` begins at 5.
    """
    plain = text.strip()
    if plain[:1] in ("[", "(") and plain[-1:] in ("]", ")"):
        plain = plain[1:-1].strip()
    match = _RANGE.fullmatch(plain)
    if match is None:
        return None
    start = (match["low"] or match["from"] or match["above"] or match["one"] or "-inf").replace("−", "-")
    stop = (match["high"] or match["one"] or match["to"] or "inf").replace("−", "-")
    try:
        low = -math.inf if match["to"] else parse_number(start)
        high = math.inf if stop[0] in "iI∞" else parse_number(stop)
    except InputError:
        return None
    return low + (counts and match["above_sign"] == ">"), high - (counts and match["below"] == "<")
