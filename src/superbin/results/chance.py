"""The chance of an excess somewhere: a `ChanceResult`, frozen, to and from versioned JSON (``schemas/chance-1.json``).

It says what was tried, which aggregate bin stands out most, its local p-value, and how often background alone does as
much or more anywhere. Specified in ``specs/chance.md``.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from superbin._support.shown import Shown, counted
from superbin.domain.aggregate import Background
from superbin.results.documents import Form, Option
from superbin.results.values import PValue, SearchSummary

__all__ = [
    "SCHEMA",
    "ChanceResult",
    "Excess",
    "GlobalPValue",
    "MaximumDistribution",
    "chance_from_json",
    "chance_to_json",
    "load_chance",
]

SCHEMA = "superbin/chance/1"


@dataclass(frozen=True, slots=True)
class Excess:
    """The most significant aggregate bin.

    Attributes
    ----------
    bins : tuple of int
        Published 1-based numbers, ascending.
    cuts : tuple of str
        Selections whose union is exactly these bins.
    models : tuple of str
        Signals that chose it, such as ``"T1bbbb(1750, 1)"``; empty where no signal did.
    background : Background
    observed : int
        Events.
    local : PValue
        Exact mid-p.
    """

    bins: tuple[int, ...]
    cuts: tuple[str, ...]
    models: tuple[str, ...]
    background: Background
    observed: int
    local: PValue


@dataclass(frozen=True, slots=True)
class GlobalPValue:
    """Probability that background alone makes some aggregate at least as significant.

    Attributes
    ----------
    p : float
        The part of the pseudo-experiments that do.
    p_err : float
        Binomial standard error; with none (or all), that of a single one.
    p_upper : float
        One-sided 95 % upper limit (Clopper and Pearson).
    z : float or None
        Significance of p; None where none or all do.
    n : int
        Pseudo-experiments thrown.
    hits : int
        Of these, how many do.
    seed : int
        What they were thrown from.
    interrupted : bool
        Whether the throwing was stopped before the number asked for.
    """

    p: float
    p_err: float
    p_upper: float
    z: float | None
    n: int
    hits: int
    seed: int
    interrupted: bool


@dataclass(frozen=True, slots=True)
class MaximumDistribution:
    """How the largest local significance of a pseudo-experiment is distributed.

    Attributes
    ----------
    z : tuple of float
        Ascending.
    reached : tuple of int
        Pseudo-experiments whose largest significance is at least that.
    """

    z: tuple[float, ...]
    reached: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ChanceResult(Shown):
    """A finished global p-value.

    Attributes
    ----------
    search : SearchSummary
    tried : str
        What was tried, in words.
    aggregates : int
        Distinct sets of bins among it.
    ensemble : str
        What pseudo-experiments were drawn from, in words.
    options : mapping
        ``correlations``.
    excess : Excess
    chance : GlobalPValue
    maximum : MaximumDistribution
    superbin : str
        Version that made it.
    schema : str
        Version of the document.
    """

    search: SearchSummary
    tried: str
    aggregates: int
    ensemble: str
    options: Mapping[str, Option]
    excess: Excess
    chance: GlobalPValue
    maximum: MaximumDistribution
    superbin: str
    schema: str = SCHEMA

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {
            "": f"{self.aggregates} aggregates",
            "local p": f"{self.excess.local.p:.3g}",
            "global p": f"{self.chance.p:.3g}",
        }
        return self.search.name, facts

    @property
    def trials(self) -> float | None:
        """Global over local p-value; None where no pseudo-experiment did as much, or the local p-value underflows."""
        if not self.chance.hits or self.excess.local.p == 0:
            return None
        ratio = self.chance.p / self.excess.local.p
        return ratio if math.isfinite(ratio) else None


def _breaches(result: ChanceResult) -> Iterator[tuple[str, str]]:
    if len(result.maximum.z) != len(result.maximum.reached):
        yield (
            "$.maximum",
            f"{len(result.maximum.z)} significances for {counted(len(result.maximum.reached), 'number')}",
        )
    if max(result.chance.hits, *result.maximum.reached) > result.chance.n:
        yield "$.chance.n", "fewer pseudo-experiments than did as much"


_FORM = Form(SCHEMA, ChanceResult, "superbin chance", _breaches)


def chance_to_json(result: ChanceResult) -> str:
    """The document, checked against its schema; ends with a newline."""
    return _FORM.to_json(result)


def chance_from_json(text: str, *, place: str = "the result") -> ChanceResult:
    """Read a document back: as `superbin.results.documents.Form.from_json`."""
    return _FORM.from_json(text, place=place)


def load_chance(path: str | Path) -> ChanceResult:
    """Read a document that ``superbin chance -o`` wrote: as `superbin.results.documents.Form.load`."""
    return _FORM.load(path)
