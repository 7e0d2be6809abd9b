"""Comparisons with independent numbers that an installation can repeat by itself, without a network.

`validate` runs the checks of `CHECKS`. A check is one module with one `Check`, listed there. The reference numbers are published ones,
or were computed by other programs; each row says which. More comparisons, with files from elsewhere, are in ``validation/`` of the repository.
"""

import time
from collections.abc import Callable, Iterable
from importlib.metadata import version

from superbin.catalog import Catalog
from superbin.errors import UnknownNameError
from superbin.results.validation import Comparison, ValidationReport
from superbin.validation import likelihood, limits, merging, one_bin, signals, speed, tables
from superbin.validation.check import Check

__all__ = ["CHECKS", "Check", "validate"]

CHECKS: tuple[Check, ...] = (
    tables.CHECK,
    one_bin.CHECK,
    likelihood.CHECK,
    merging.CHECK,
    limits.CHECK,
    signals.CHECK,
    speed.CHECK,
)
"""In the order in which they run."""


def validate(
    catalog: Catalog,
    *,
    quick: bool = False,
    only: Iterable[str] = (),
    progress: Callable[[Comparison], None] | None = None,
) -> ValidationReport:
    """Run the checks.

    Parameters
    ----------
    catalog : Catalog
        With the packaged searches.
    quick : bool
        Compare few numbers of each kind, in about a minute.
    only : iterable of str
        Names of checks; by default all.
    progress : callable, optional
        Called with every comparison as soon as it is done.

    Returns
    -------
    ValidationReport

    Raises
    ------
    UnknownNameError
        If a name is no check's.
    """
    names = [check.name for check in CHECKS]
    chosen = tuple(only) or tuple(names)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise UnknownNameError(f"no check is called {unknown[0]!r}; there are {', '.join(names)}")
    found: list[Comparison] = []
    seconds = {}
    for check in CHECKS:
        if check.name not in chosen:
            continue
        start = time.perf_counter()
        for comparison in check.run(catalog, quick):
            found.append(comparison)
            if progress is not None:
                progress(comparison)
        seconds[check.name] = time.perf_counter() - start
    return ValidationReport(version("superbin"), quick, tuple(found), seconds)
