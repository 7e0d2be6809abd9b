"""What a check is, and what checks share."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from superbin._support.shown import counted
from superbin.catalog import Catalog
from superbin.results.validation import Comparison, Ratios

__all__ = ["SEARCH", "Check", "ratio_comparison", "reference_rows"]

SEARCH = "cms-pas-sus-16-014"
"""The search whose published numbers the checks repeat."""


@dataclass(frozen=True, slots=True)
class Check:
    """A group of comparisons with one kind of independent numbers.

    Attributes
    ----------
    name : str
        For ``superbin validate --only``.
    title : str
        For tables and headings.
    run : callable
        ``run(catalog, quick)`` yields the comparisons; with `quick`, few of them.
    """

    name: str
    title: str
    run: Callable[[Catalog, bool], Iterator[Comparison]]


def reference_rows(name: str) -> list[dict[str, str]]:
    """The rows of a table of reference numbers that superbin ships, by its file name."""
    text = (files("superbin") / "data" / "validation" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def ratio_comparison(
    check: str,
    what: str,
    against: str,
    label: str,
    names: Sequence[str],
    ratios: Sequence[float],
    *,
    low: float,
    high: float,
) -> Comparison:
    """Compare ratios with a tolerance that all of them must keep."""
    values = np.asarray(ratios, dtype=float)
    kept = bool(((values >= low) & (values <= high)).all())
    result = f"{counted(values.size, 'ratio')}, median {np.median(values):.3f}, {values.min():.3f} to {values.max():.3f}"
    drawn = Ratios(label, tuple(names), tuple(values.tolist()), low, high)
    return Comparison(check, what, against, f"all within {low:.3g} and {high:.3g}", result, kept, drawn)
