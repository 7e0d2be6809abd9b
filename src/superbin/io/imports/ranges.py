"""Ranges of observables as people write them: ``200-300``, ``>= 4``, ``300+``, ``> 800 GeV``, ``2``."""

import math
import re

from superbin.domain.search import Observable
from superbin.errors import InputError
from superbin.io._text import parse_number

__all__ = ["infinite", "observable", "parse_range"]

_UNIT = r"(?:\s*(?:GeV|TeV))?"
_RANGE = re.compile(
    rf"(?:(?P<low>[-−]?[\d.]+){_UNIT}\s*(?:-|–|—|\bto\b|,|\.\.)\s*(?P<high>[-−]?[\d.]+|inf(?:inity)?\.?|∞)"
    rf"|(?:>=|≥|>)\s*(?P<from>[-−]?[\d.]+)|(?P<above>[\d.]+)\s*\+|(?P<one>\d+)){_UNIT}",
    re.IGNORECASE,
)
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


def observable(name: str, unit: str = "") -> Observable:
    """An observable by the name of its column: known ones get label and unit; ``name [GeV]`` names a unit.

    Discrete are those without a unit whose name counts something, such as ``njet`` and ``Number of leptons``.
    """
    match = re.fullmatch(r"(.*?)\s*[\[(]\s*([^\])]*)\s*[\])]", name)
    bare, unit = (match.group(1), match.group(2)) if match else (name, unit)
    key = re.sub(r"[^0-9a-z]+", "", bare.lower())
    if key in _KNOWN:
        label, known = _KNOWN[key]
        return Observable(key, label, known, discrete=_COUNTED.fullmatch(key) is not None)
    return Observable(key or bare, bare, unit, discrete=not unit and _COUNTED.fullmatch(key) is not None)


def infinite(text: str) -> bool:
    """Whether a cell says that a range has no upper end."""
    return text.strip().lower().rstrip(".") in ("inf", "+inf", "infinity", "∞")


def parse_range(text: str) -> tuple[float, float] | None:
    """Lower and upper edge of a range, or None if the text is none; a whole number alone is both edges."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    start = (match["low"] or match["from"] or match["above"] or match["one"]).replace("−", "-")
    stop = (match["high"] or match["one"] or "inf").replace("−", "-")
    try:
        return parse_number(start), math.inf if stop[0] in "iI∞" else parse_number(stop)
    except InputError:
        return None
