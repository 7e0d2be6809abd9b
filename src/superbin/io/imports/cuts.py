r"""Ranges of observables from the cuts that name a region, such as ``$\geq4$ jets, $250<E_\mathrm{T}^\mathrm{miss}<350$ GeV``.

A text is cut into parts at commas, semicolons and "and" outside of braces. A part is a range (``250 < x <= 350``, ``x > 350``, ``x = 2``,
``x in [200, 300]``, ``2-3 jets``, ``>= 4 jets``) or words. Ranges are taken only if every text has some and its words are those of all
others: words that differ are cuts that no number tells.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin.domain.search import Observable
from superbin.io.imports.ranges import lowest, observable

__all__ = ["Cuts", "parse_cuts"]

_LONGEST = 2000
_TEX = (
    (r"\\(?:geq?|geqslant)(?![a-zA-Z])|≥", ">="),
    (r"\\(?:leq?|leqslant)(?![a-zA-Z])|≤", "<="),
    (r"\\(?:gt)(?![a-zA-Z])|&gt;", ">"),
    (r"\\(?:lt)(?![a-zA-Z])|&lt;", "<"),
    (r"\\infty|∞", "inf"),
    (r"\\in(?![a-zA-Z])|∈", " in "),
    (r"\\(?:wedge|land)(?![a-zA-Z])|&&", " and "),
    (r"\\(?:[,;:! ]|quad|qquad)|~|\$", " "),
    (r"\\(?:text|mathrm|textrm|rm|mathit|ensuremath|left|right|mbox|unit|si)(?![a-zA-Z])", ""),
    (r"−|–", "-"),
)
_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+|inf)"
_UNIT = r"(?:\s*(?P<unit>GeV|TeV|MeV))?"
_FIRST_UNIT = _UNIT.replace("unit", "first")
_NAME = r"(?P<name>[^<>=]*[A-Za-z][^<>=]*?)"
_BETWEEN = re.compile(
    rf"(?P<low>{_NUMBER}){_FIRST_UNIT}\s*(?P<above><=?)\s*{_NAME}\s*(?P<below><=?)\s*(?P<high>{_NUMBER}){_UNIT}"
)
_ONE = re.compile(rf"{_NAME}\s*(?P<sign>>=|<=|>|<|==?)\s*(?P<value>{_NUMBER}){_UNIT}")
_TURNED = re.compile(rf"(?P<value>{_NUMBER}){_UNIT}\s*(?P<sign>>=|<=|>|<|==?)\s*{_NAME}")
_IN = re.compile(
    rf"{_NAME}\s*(?: in |=|:)\s*[\[(]\s*(?P<low>{_NUMBER})\s*,\s*(?P<high>{_NUMBER})\s*[\])]{_UNIT}"
)
_COUNT = re.compile(
    rf"(?P<sign>>=|<=|>|<|==?)?\s*(?P<low>\d+)\s*(?:-\s*(?P<high>\d+)|(?P<more>\+))?\s*{_NAME}"
)
_OPPOSITE = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "=": "=", "==": "=="}
_SCALES = {"GeV": 1.0, "TeV": 1000.0, "MeV": 1e-3}


@dataclass(frozen=True, slots=True)
class _Range:
    name: str
    low: float
    high: float
    unit: str
    counted: bool
    open_low: bool = False
    open_high: bool = False


@dataclass(frozen=True, slots=True)
class Cuts:
    """What the names of regions say.

    Attributes
    ----------
    observables : tuple of Observable
        In the order in which they are met; none where words tell regions apart, or ranges overlap.
    low, high : ndarray, shape (n_regions, n_observables)
        A region without a cut on an observable takes all of it, from 0.
    overlaps : ndarray of bool, shape (n_regions, n_regions)
        Pairs of regions of the same words whose ranges share events; none with itself.
    """

    observables: tuple[Observable, ...]
    low: FloatArray
    high: FloatArray
    overlaps: NDArray[np.bool_]


def parse_cuts(texts: Sequence[str]) -> Cuts | None:
    r"""Ranges of the regions that texts name, or None where one says no range.

    Parameters
    ----------
    texts : sequence of str
        One per region, in LaTeX or plain.

    Examples
    --------
    >>> cuts = parse_cuts([r"$\geq4$ jets, $250<E_T^{miss}<350$ GeV", "2-3 jets, $E_T^{miss} > 350$ GeV"])
    >>> [o.name for o in cuts.observables], cuts.low.tolist(), cuts.high.tolist()
    (['njet', 'met'], [[4.0, 250.0], [2.0, 350.0]], [[inf, 350.0], [3.0, inf]])
    """
    parsed = [_parsed(text) for text in texts]
    if not parsed or any(not ranges for ranges, _ in parsed):
        return None
    if any(len({r.name for r in ranges}) != len(ranges) for ranges, _ in parsed):
        return None
    every = [r for ranges, _ in parsed for r in ranges]
    names = list(dict.fromkeys(r.name for r in every))
    units = {name: {r.unit for r in every if r.name == name} for name in names}
    # A number without a unit beside others in GeV is in GeV; beside TeV nobody knows.
    if any("" in found and not found <= {"", "GeV"} for found in units.values()):
        return None
    observables = tuple(
        _observable(name, units[name], counted=any(r.counted for r in every if r.name == name))
        for name in names
    )
    low, high = np.zeros((len(parsed), len(names))), np.full((len(parsed), len(names)), np.inf)
    for i, (ranges, _) in enumerate(parsed):
        for r in ranges:
            j = names.index(r.name)
            scale = _SCALES.get(r.unit, 1.0)
            low[i, j], high[i, j] = r.low * scale, r.high * scale
            if observables[j].discrete:
                low[i, j] += r.open_low
                high[i, j] -= r.open_high
    discrete = np.array([o.discrete for o in observables])
    if ((high < low) | ((high == low) & ~discrete)).any() or len({o.name for o in observables}) != len(names):
        return None
    same = np.array([[one == other for _, one in parsed] for _, other in parsed])
    overlaps = same & _overlaps(low, high, discrete) & ~np.eye(len(parsed), dtype=np.bool_)
    if overlaps.any() or not same.all():
        return Cuts((), low[:, :0], high[:, :0], overlaps)
    return Cuts(observables, low, high, overlaps)


def _overlaps(low: FloatArray, high: FloatArray, discrete: NDArray[np.bool_]) -> NDArray[np.bool_]:
    starts, stops = np.maximum(low[:, None], low[None]), np.minimum(high[:, None], high[None])
    shared = np.where(discrete, starts <= stops, starts < stops)
    return np.asarray(shared.all(axis=2), dtype=np.bool_)


def _observable(name: str, units: set[str], *, counted: bool) -> Observable:
    unit = "GeV" if units - {""} else ""
    found = observable(name, unit)
    return Observable(found.name, found.label, unit, discrete=counted and not unit)


def _parsed(text: str) -> tuple[list[_Range], tuple[str, ...]]:
    """Ranges of a text, and its words."""
    if len(text) > _LONGEST:
        return [], (text,)
    for pattern, plain in _TEX:
        text = re.sub(pattern, plain, text)
    ranges: list[_Range] = []
    words: list[str] = []
    for part in _parts(text):
        found = _range(" ".join(re.sub(r"[{}\\^_]", "", part).split()))
        if found is None:
            words.append(part)
        else:
            ranges.append(found)
    return ranges, tuple(words)


def _parts(text: str) -> list[str]:
    """Parts between commas and the like that no brace or bracket encloses."""
    parts, depth, start = [""], 0, 0
    for match in re.finditer(r"[{[(]|[})\]]|[,;]|\band\b", text):
        token = match.group(0)
        if token in "{[(":
            depth += 1
        elif token in "})]":
            depth = max(0, depth - 1)
        elif depth == 0:
            parts[-1] += text[start : match.start()]
            parts.append("")
            start = match.end()
    parts[-1] += text[start:]
    return [" ".join(part.split()) for part in parts if part.strip()]


def _range(part: str) -> _Range | None:
    if match := _BETWEEN.fullmatch(part):
        unit = match["unit"] or match["first"] or ""
        low, high = (
            _value(match["low"], match["first"], unit),
            _value(match["high"], match["unit"], unit),
        )
        return _Range(
            _key(match["name"]), low, high, unit, counted=_counts(match["name"]),
            open_low=match["above"] == "<", open_high=match["below"] == "<",
        )  # fmt: skip
    if match := _IN.fullmatch(part):
        unit = match["unit"] or ""
        return _Range(
            _key(match["name"]), float(match["low"]), float(match["high"]), unit, _counts(match["name"])
        )
    for pattern in (_ONE, _TURNED):
        if match := pattern.fullmatch(part):
            sign = match["sign"] if pattern is _ONE else _OPPOSITE[match["sign"]]
            return _one(match["name"], sign, float(match["value"]), match["unit"] or "")
    match = _COUNT.fullmatch(part)
    if match is None or not _counts(match["name"]):
        return None
    low = float(match["low"])
    if match["high"]:
        return None if match["sign"] else _Range(_key(match["name"]), low, float(match["high"]), "", True)
    return _one(match["name"], ">=" if match["more"] else match["sign"] or "=", low, "")


def _value(text: str, own: str | None, unit: str) -> float:
    """A number in the unit of its range, which may stand at the other number only."""
    return float(text) * (_SCALES[own] / _SCALES[unit] if own and unit else 1.0)


def _one(name: str, sign: str, value: float, unit: str) -> _Range | None:
    if math.isinf(value):
        return None
    counted = _counts(name) or sign in ("=", "==")
    if sign in ("=", "=="):
        return _Range(_key(name), value, value, unit, counted)
    if sign.startswith(">"):
        return _Range(_key(name), value, math.inf, unit, counted, open_low=sign == ">")
    start = 0.0 if counted else lowest(Observable(_key(name), name, unit))
    return None if start is None else _Range(_key(name), start, value, unit, counted, open_high=sign == "<")


def _key(name: str) -> str:
    """One name for an observable however its indices are written."""
    plain = re.sub(r"[^a-z0-9]+", "", name.lower())
    if re.fullmatch(r"met|(e|p)(tmiss|misst)|miss(ing)?(e|p)t", plain):
        return "met"
    if _counts(name):
        bare = re.sub(r"^(number|no|num)(of)?", "", plain)
        bare = bare.removeprefix("n").rstrip("s") or bare
        return {"j": "njet", "jet": "njet", "b": "nb", "bjet": "nb", "btag": "nb", "btaggedjet": "nb"}.get(
            bare, f"n{bare}"
        )
    return " ".join(name.split())


def _counts(name: str) -> bool:
    """Whether a name counts objects: ``N_j``, ``jets``, ``b jets``, ``number of leptons``."""
    plain = re.sub(r"[^a-z0-9]+", "", name.lower())
    return (
        re.fullmatch(
            r"(n|numberof|no|num)?(b|light|c|fat|w|top|z|h|isr|w?tag|btagged|ak8)*(jet|lep|lepton|electron|muon|tau|photon|btag|vertice|sv|track|h?top|w)s?"
            r"|n(b|j|l|e|mu|tau|w|t|isr|sv)",
            plain,
        )
        is not None
    )
