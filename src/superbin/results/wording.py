"""Wording that figures and papers share: file names of figures, ranges, p-values, whose data it is.

Text with mathematics is *mathtext*: plain words with ``$...$`` parts that both Matplotlib and LaTeX read.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

from superbin.results import Projection

__all__ = [
    "COUNT_EXPECTED",
    "COUNT_OBSERVED",
    "MATH",
    "attribution",
    "outside_math",
    "projection_stems",
    "readable",
    "scientific",
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


def attribution(reference: str) -> str:
    """Say whose data a figure reinterprets, by the experiment that a publication's reference names.

    Not a bold experiment's name: that marks results the collaboration approved.
    """
    for experiment in _EXPERIMENTS:
        if re.search(rf"(?i)\b{experiment}\b", reference):
            return f"Reinterpretation of {experiment} data"
    return "Reinterpretation of published data"


def projection_stems(projections: Sequence[Projection]) -> tuple[str, ...]:
    """File names, without suffix, of the figures of projections: safe in any file system and in LaTeX."""
    stems: list[str] = []
    for projection in projections:
        ascii_name = unicodedata.normalize("NFKD", projection.observable).encode("ascii", "ignore").decode()
        stem = f"projection-{re.sub(r'[^a-z0-9]+', '-', ascii_name.lower()).strip('-')}".rstrip("-")
        stems.append(stem if stem not in stems else f"{stem}-{len(stems) + 1}")
    return tuple(stems)
