"""Phrases of a paper that depend on the result: names, statuses, sentences about limits."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from superbin.domain.simplified import particle_words, process_text
from superbin.paper import tex
from superbin.paper.tex import TeX
from superbin.results import Range, SearchSummary
from superbin.results.wording import merge_status, parameter_label, parameter_value, readable

__all__ = [
    "SignalWords",
    "cut_text",
    "inside",
    "masses",
    "option",
    "search_name",
    "sentence",
    "sentence_end",
    "status",
]

_STATUS = {
    "certified": "proved to be optimal: no allowed set of bins does better",
    "best found": "the best that was found, which does not prove that no other set does better",
}
_OBSERVABLE_NAMES = {"ht": "HT", "mht": "MHT"}
"""How selections abbreviate observables; any other stands with its label already."""


@dataclass(frozen=True, slots=True)
class SignalWords:
    """A signal as a paper names it.

    Attributes
    ----------
    name : TeX
        With its parameters, such as T1bbbb(1750, 1).
    words : TeX
        What is produced in pairs; empty for a model that is not known.
    formula : TeX
        Production and decay, without dollars; empty for a model that is not known.
    process : TeX
        Both in one phrase; empty for a model that is not known.
    masses : tuple of TeX
        Every parameter with its value.
    """

    name: TeX
    words: TeX
    formula: TeX
    process: TeX
    masses: tuple[TeX, ...]

    @classmethod
    def of(cls, model: str, label: str, parameters: Mapping[str, float]) -> "SignalWords":
        """From the name of a model and its parameters."""
        formula, words = process_text(model), particle_words(model)
        known = formula is not None and words is not None
        return cls(
            tex.mathtext(label),
            TeX(words if known else ""),
            TeX(formula if known else ""),
            TeX(f"pair production of {words}, ${formula}$" if known else ""),
            masses(model, parameters),
        )


def masses(model: str, parameters: Mapping[str, float]) -> tuple[TeX, ...]:
    """Every parameter with its value, such as a mass in GeV."""
    return tuple(
        TeX(
            f"{tex.mathtext(parameter_label(model, name, unit=False))}~$=$~"
            + tex.escape(parameter_value(name, value)).replace(" ", "~")
        )
        for name, value in parameters.items()
    )


def search_name(search: SearchSummary) -> str:
    """The search's identifier as its publication writes it, where the reference contains it."""
    start = search.reference.lower().find(search.name.lower())
    return search.name if start < 0 else search.reference[start : start + len(search.name)]


def status(text: str) -> TeX:
    """What is proved of a merge, to follow *is*."""
    text = merge_status(text)
    known = _STATUS.get(text)
    if known is not None:
        return TeX(known)
    return TeX(
        tex.escape(text).replace(r" \%", r"\,\%")
        + " of the best that any allowed set of bins reaches, which is proved"
    )


def cut_text(cut: str, ranges: Sequence[Range]) -> TeX:
    """A selection with its observables typeset as in tables."""
    for part in ranges:
        short = _OBSERVABLE_NAMES.get(part.observable)
        if short is not None and "$" not in cut:
            cut = re.sub(rf"(?<!\w){short}(?!\w)", f"\0{part.observable}\0", cut)
    labels = {part.observable: part.label for part in ranges}
    pieces = cut.split("\0")
    return TeX(
        "".join(
            tex.mathtext(labels[piece]) if i % 2 else tex.mathtext(readable(piece))
            for i, piece in enumerate(pieces)
        )
    )


def option(value: object) -> str:
    """An option's value in words."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"


def sentence(items: Iterable[str]) -> TeX:
    """Join with commas and an *and*."""
    *head, last = (item if isinstance(item, TeX) else tex.escape(item) for item in items)
    return TeX(f"{', '.join(head)} and {last}" if head else last)


def inside(label: str) -> str:
    """A label as a sentence has it: without a capital letter, unless it is an abbreviation, a formula or an identifier."""
    return label[:1].lower() + label[1:] if label[1:2].islower() and "_" not in label else label


def sentence_end(text: str) -> str:
    """A text with a full stop."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
