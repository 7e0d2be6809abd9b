"""Merges beside one another as workspaces, with the significances of superbin and of pyhf.

`candidate_workspaces` makes every merge a pyhf workspace, and all of them one patch set: a merge is another choice of bins and so
another background, so the common document holds the background of the first merge, and every patch puts the samples, the
observation and the bounds of its own in their place and adds its signal. `significances` asks both programs for the
significance of each, and `largest_disagreement` says where they differ most.
"""

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from superbin import workspace
from superbin.domain.aggregate import AggregateBin
from superbin.errors import InputError
from superbin.stats import asymptotic, pvalue
from superbin.stats.toys import throw

__all__ = [
    "CandidateMerge",
    "SignificanceRow",
    "Workspaces",
    "candidate_workspaces",
    "largest_disagreement",
    "significances",
]

T = TypeVar("T")

_COUNTS = ("expected", "observed")


@dataclass(frozen=True, slots=True)
class CandidateMerge:
    """A merge with the name it goes by.

    Attributes
    ----------
    name : str
        Such as ``two rectangles``.
    aggregate : AggregateBin
        What its bins add up to.
    """

    name: str
    aggregate: AggregateBin

    @property
    def key(self) -> str:
        """The name as that of a file and of a patch: ``two_rectangles``."""
        return re.sub(r"[^A-Za-z0-9]+", "_", self.name).strip("_")


@dataclass(frozen=True, slots=True, eq=False)
class Workspaces:
    """Merges as pyhf documents.

    Attributes
    ----------
    workspaces : mapping of str to dict
        One for every merge that pyhf can fit, by its key.
    background, patchset : dict or None
        Background alone of the first, and a patch set that makes it any of them; None where there is no workspace.
    missing : mapping of str to str
        Why a merge has no workspace, by its name.
    """

    workspaces: Mapping[str, workspace.Document]
    background: workspace.Document | None
    patchset: workspace.Document | None
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SignificanceRow:
    """A significance of one merge by both programs, where both have it.

    Attributes
    ----------
    name : str
        Of the merge.
    count : str
        ``expected`` (n = s + b) or ``observed``.
    method : str
        ``exact``, ``toys`` or ``asymptotic``.
    superbin, pyhf : float or None
        Z; None where there is none: pyhf has no exact one, and toys may all be on one side.
    error : float or None
        Statistical error of the difference, of toys.
    """

    name: str
    count: str
    method: str
    superbin: float | None
    pyhf: float | None
    error: float | None = None

    @property
    def difference(self) -> float | None:
        """Pyhf's less superbin's."""
        return None if self.superbin is None or self.pyhf is None else self.pyhf - self.superbin


def candidate_workspaces(
    candidates: Sequence[CandidateMerge], *, name: str, reference: str = ""
) -> Workspaces:
    """Write merges as workspaces and as one patch set.

    Parameters
    ----------
    candidates : sequence of CandidateMerge
        With names that differ.
    name : str
        Of the patch set, such as the signal's label.
    reference : str
        Where the search was published.

    Returns
    -------
    Workspaces
    """
    documents: dict[str, workspace.Document] = {}
    missing = {}
    kept = []
    for candidate in candidates:
        try:
            documents[candidate.key] = workspace.build(candidate.aggregate)
        except InputError as error:
            missing[candidate.name] = str(error)
        else:
            kept.append(candidate)
    if not kept:
        return Workspaces({}, None, None, missing)
    background = _background(documents[kept[0].key])
    patchset = workspace.patch_set(
        background,
        {candidate.key: list(_patch(background, documents[candidate.key])) for candidate in kept},
        labels=["merge"],
        values=[[number] for number in range(1, len(kept) + 1)],
        description=f"merges of bins for {name}" + (f"; {reference}" if reference else ""),
    )
    return Workspaces(documents, background, patchset, missing)


def _background(document: workspace.Document) -> workspace.Document:
    """A workspace without its signal."""
    alone: workspace.Document = copy.deepcopy(document)
    for channel in alone["channels"]:
        channel["samples"] = [sample for sample in channel["samples"] if sample["name"] != "signal"]
    return alone


def _patch(background: workspace.Document, document: workspace.Document) -> Iterator[dict[str, Any]]:
    """What makes a document of a background."""
    for path, old, new in (
        ("/channels/0/samples", background["channels"][0]["samples"], document["channels"][0]["samples"]),
        ("/observations/0/data", background["observations"][0]["data"], document["observations"][0]["data"]),
        (
            "/measurements/0/config/parameters",
            background["measurements"][0]["config"]["parameters"],
            document["measurements"][0]["config"]["parameters"],
        ),
    ):
        if path.endswith("samples") and old == new[1:]:
            yield {"op": "add", "path": f"{path}/0", "value": new[0]}
        elif old != new:
            yield {"op": "replace", "path": path, "value": new}


def significances(
    candidates: Iterable[CandidateMerge],
    documents: Mapping[str, workspace.Document],
    *,
    toys: int = 1_000_000,
    pyhf_toys: int = 0,
    seed: int = 0,
) -> tuple[SignificanceRow, ...]:
    """Exact, toy and asymptotic significances of merges, expected and observed, by superbin and by pyhf.

    Parameters
    ----------
    candidates : iterable of CandidateMerge
    documents : mapping of str to dict
        Their workspaces, by their keys.
    toys : int
        Pseudo-experiments of superbin's; 0 for none.
    pyhf_toys : int
        Toys of pyhf's, some 10 ms each; 0 for none.
    seed : int

    Returns
    -------
    tuple of SignificanceRow
    """
    rows = []
    for candidate in candidates:
        aggregate = candidate.aggregate
        b = aggregate.background
        counts = (aggregate.signal + b.nominal, float(aggregate.observed))
        document = documents.get(candidate.key)
        for which, n in zip(_COUNTS, counts, strict=True):
            exact = float(pvalue.midp_significance(n, b.nominal, b.up, b.down))
            rows.append(SignificanceRow(candidate.name, which, "exact", exact, None))
            rows.append(_toys(candidate, which, n, document, toys, pyhf_toys, seed))
            ours = float(asymptotic.asymptotic_z(n, b.nominal, b.up, b.down))
            theirs = _asked(partial(workspace.asymptotic_q0, count=n), document)
            rows.append(
                SignificanceRow(
                    candidate.name,
                    which,
                    "asymptotic",
                    ours,
                    None if theirs is None or n <= b.nominal else theirs.z,
                )
            )
    return tuple(rows)


def _toys(
    candidate: CandidateMerge,
    which: str,
    n: float,
    document: workspace.Document | None,
    toys: int,
    pyhf_toys: int,
    seed: int,
) -> SignificanceRow:
    b = candidate.aggregate.background
    ours = theirs = None
    errors = []
    if toys:
        thrown = throw(n, b.nominal, b.up, b.down, toys=toys, seed=seed)
        ours = _finite(float(pvalue.significance(thrown.midp)))
        errors.append(_z_error(thrown.midp, thrown.midp_error))
    # pyhf's test is one-sided: of a deficit it says nothing that compares.
    if pyhf_toys and document is not None and n > b.nominal:
        there = dict(document) | {"observations": [{"name": workspace.CHANNEL, "data": [n]}]}
        found = _asked(partial(workspace.toy_q0, toys=pyhf_toys, seed=seed), there)
        if found is not None:
            theirs = _finite(float(pvalue.significance(found.p)))
            errors.append(_z_error(found.p, found.p_err))
    both = ours is not None and theirs is not None
    error = sum(e * e for e in errors) ** 0.5 if both else None
    return SignificanceRow(candidate.name, which, "toys", ours, theirs, error)


def _z_error(p: float, p_error: float) -> float:
    """The error of the significance of a p-value."""
    low, high = (float(pvalue.significance(min(max(x, 1e-300), 1.0))) for x in (p + p_error, p - p_error))
    return abs(high - low) / 2


def _finite(z: float) -> float | None:
    return z if abs(z) < float("inf") else None


def _asked(question: Callable[[workspace.Document], T], document: workspace.Document | None) -> T | None:
    """The answer of pyhf; None where it has none."""
    if document is None:
        return None
    try:
        return question(document)
    except InputError:
        return None


def largest_disagreement(rows: Iterable[SignificanceRow]) -> SignificanceRow | None:
    """The row in which the two programs differ most in the same quantity; None where there is nothing to compare."""
    compared = [row for row in rows if row.difference is not None]
    return max(compared, key=lambda row: abs(row.difference or 0.0), default=None)
