"""Wording that figures and papers share: file names of figures, ranges, p-values, whose data it is.

Text with mathematics is *mathtext*: plain words with ``$...$`` parts that both Matplotlib and LaTeX read.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

from superbin.domain.simplified import mass_text
from superbin.results import Projection
from superbin.results.scan import DONE, ScanResult

__all__ = [
    "COUNT_EXPECTED",
    "COUNT_OBSERVED",
    "MATH",
    "attribution",
    "has_limits",
    "merge_status",
    "on_a_line",
    "outside_math",
    "parameter_label",
    "parameter_value",
    "projection_stems",
    "readable",
    "scan_stems",
    "scientific",
    "typeset",
]

COUNT_EXPECTED = "count-expected"
COUNT_OBSERVED = "count-observed"
"""File names, without suffix, of the two count distributions."""

_EXPERIMENTS = ("ALICE", "ATLAS", "CMS", "LHCb")
MATH = re.compile(r"(\$[^$]*\$)")
"""A formula in a mathtext whose dollars come in pairs; splits a text into words and formulas in turn."""


def outside_math(text: str, change: Callable[[str], str]) -> str:
    """Apply `change` to the parts of a mathtext that are not mathematics.

    A text with a lone ``$`` holds no mathematics: it is changed as a whole.
    """
    if text.count("$") % 2:
        return change(text)
    parts = MATH.split(text)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))


def readable(text: str) -> str:
    """Typeset ranges: ``300-350`` with an en dash, ``>= 9`` as ≥ 9; mathematics is left alone."""

    def change(part: str) -> str:
        part = part.replace(">=", "≥").replace("<=", "≤")
        return re.sub(r"(?<![\w.-])(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)(?![\w-])", r"\1–\2", part)

    return outside_math(text, change)


def scientific(value: float, digits: int = 3) -> str:
    r"""Write a positive number as mathtext without dollars: ``0.0270``, ``2.71\times10^{-5}``."""
    if value == 0 or 1e-3 <= abs(value) < 10**digits:
        return f"{value:#.{digits}g}".rstrip(".")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return rf"{mantissa}\times10^{{{int(exponent)}}}"


def parameter_label(model: str, name: str, *, unit: bool = True) -> str:
    r"""Write the parameter of a signal as mathtext: masses of known particles by their symbols, any other by its name.

    Parameters
    ----------
    model : str
    name : str
        Such as ``"m_mother"``; names that begin with ``m_`` are masses in GeV.
    unit : bool
        Whether the unit of a mass follows in brackets, as on an axis.
    """
    symbol = mass_text(model, name)
    text = name if symbol is None else f"${symbol}$"
    if name == "m_mother" and symbol is None:
        text = "Mass of the mother" if unit else r"$m_\mathrm{mother}$"
    return f"{text} [GeV]" if unit and name.startswith("m_") else text


def parameter_value(name: str, value: float) -> str:
    """Write the value of a parameter, masses with their unit."""
    return f"{value:g} GeV" if name.startswith("m_") else f"{value:g}"


def attribution(reference: str) -> str:
    """Say whose data a figure reinterprets, by the experiment that a publication's reference names.

    Not a bold experiment's name: that marks results the collaboration approved.
    """
    for experiment in _EXPERIMENTS:
        if re.search(rf"(?i)\b{experiment}\b", reference):
            return f"Reinterpretation of {experiment} data"
    return "Reinterpretation of published data"


VAGUE = 100.0
"""Percent that a proof leaves open from which it says nothing that is worth a word."""


def merge_status(status: str) -> str:
    """What is proved of a merge, as results state it, for readers: a bound at twice the best or beyond is none."""
    within = re.fullmatch(r"within (\S+) %", status)
    return "best found" if within and float(within[1]) >= VAGUE else status


_SIGNS = ((re.compile(r"\+-"), "±"), (re.compile(r" -> "), " → "), (re.compile(r"(?<=\d)-(?=\d+ ?%)"), "–"))


def typeset(text: str) -> str:
    """A note of a search or a signal, which is plain ASCII, with the signs that readers expect."""
    for pattern, sign in _SIGNS:
        text = pattern.sub(sign, text)
    return text


def projection_stems(projections: Sequence[Projection]) -> tuple[str, ...]:
    """File names, without suffix, of the figures of projections: safe in any file system and in LaTeX."""
    stems: list[str] = []
    for projection in projections:
        ascii_name = unicodedata.normalize("NFKD", projection.observable).encode("ascii", "ignore").decode()
        stem = f"projection-{re.sub(r'[^a-z0-9]+', '-', ascii_name.lower()).strip('-')}".rstrip("-")
        stems.append(stem if stem not in stems else f"{stem}-{len(stems) + 1}")
    return tuple(stems)


def has_limits(result: ScanResult, *, likelihood: bool = False) -> bool:
    """Whether any point of a scan has an expected limit, from its one bin or from the full likelihood."""
    limits = (p.likelihood_limit if likelihood else p.mu_limit for p in result.points)
    return any(limit is not None and limit.median is not None for limit in limits)


def on_a_line(result: ScanResult) -> tuple[str, str] | None:
    """The parameter along which the finished points of a scan lie, and in words what is the same of all; None off a line."""
    done = [p for p in result.points if p.status == DONE]
    names = result.parameters
    if len(done) < 2 or len(names) > 2:
        return None
    values = {name: [p.parameters[name] for p in done] for name in names}
    if len(names) == 1:
        return names[0], ""
    first, second = names
    for fixed, along in ((second, first), (first, second)):
        if len(set(values[fixed])) == 1 < len(set(values[along])):
            label = parameter_label(result.model, fixed, unit=False)
            return along, f"{label} = {parameter_value(fixed, values[fixed][0])}"
    differences = [a - b for a, b in zip(values[first], values[second], strict=True)]
    if max(differences) - min(differences) <= 1e-9 * max(map(abs, values[first])):
        labels = (parameter_label(result.model, name, unit=False) for name in names)
        return first, f"{' - '.join(labels)} = {parameter_value(first, differences[0])}"
    return None


def scan_stems(result: ScanResult) -> tuple[str, ...]:
    """File names, without suffix, of the figures of a scan, the most important first; empty where no point is finished."""
    if all(point.status != DONE for point in result.points):
        return ()
    kinds = [
        suffix for suffix in ("", "-likelihood") if has_limits(result, likelihood=suffix == "-likelihood")
    ]
    line = on_a_line(result) is not None
    stems: list[str] = [f"{'limits' if line else 'exclusion'}{suffix}" for suffix in kinds]
    if len(result.parameters) != 2:
        stems = stems if line else []
    elif not line and len(kinds) == 2:
        stems.append("exclusion-compared")
    stems.append("significance-scatter")
    if len(result.parameters) == 2:
        stems += ["significance-expected", "significance-observed", "limit-expected", "limit-observed"]
        if any(point.likelihood_limit is not None for point in result.points):
            stems += ["likelihood-limit-expected", "likelihood-limit-observed"]
    return tuple(stems)
