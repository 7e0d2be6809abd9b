"""The p-values of one bin against sums at 40 digits, toys and the asymptotic formula."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from superbin import stats
from superbin.catalog import Catalog
from superbin.results.validation import Comparison
from superbin.validation.check import Check, ratio_comparison, reference_rows

if TYPE_CHECKING:
    from superbin.stats.models import ModelName

__all__ = ["CHECK"]

_NAME = "p-values"
_TOYS = (
    (40, 25.0, 5.0, 5.0),
    (8, 0.6, 0.5, 0.3),
    (10, 2.0, 1.0, 0.6),
    (3, 4.1, 1.5, 1.0),
    (12, 10.2, 2.0, 1.5),
)
_LARGE = (
    (10_500, 10_000.0, 100.0, 100.0),
    (41_000, 40_000.0, 300.0, 300.0),
)


def _run(catalog: Catalog, quick: bool) -> Iterator[Comparison]:
    del catalog  # the numbers are of no search
    rows = reference_rows("one_bin.csv")[:: 5 if quick else 1]
    worst = 0.0
    for row in rows:
        values = (float(row[name]) for name in ("n", "b", "up", "down"))
        found = stats.tail_and_midp(*values, model=cast("ModelName", row["model"]))
        for ours, name in zip(found, ("tail", "midp"), strict=True):
            theirs = float(row[name])
            if theirs > 0:
                worst = max(worst, abs(float(ours.p) / theirs - 1))
    yield Comparison(
        _NAME,
        f"{2 * len(rows)} exact p-values",
        "sums at 40 digits (mpmath)",
        "relative difference at most 1e-8",
        f"largest {worst:.1e}",
        worst < 1e-8,
    )
    pulls = []
    for n, b, up, down in _TOYS:
        thrown = stats.throw(n, b, up, down, toys=100_000 if quick else 1_000_000, seed=1)
        exact = float(stats.midp(n, b, up, down))
        pulls.append((thrown.midp - exact) / thrown.midp_error)
    worst = max(map(abs, pulls))
    yield Comparison(
        _NAME,
        "mid-p by toys",
        "exact mid-p",
        "within 4 standard errors",
        f"{len(pulls)} cases, largest {worst:.1f}",
        worst < 4,
    )
    asymptotic = [float(stats.asymptotic_z(n, b, up, down)) for n, b, up, down in _LARGE]
    exact_z = [float(stats.p0(n, b, up, down).z) for n, b, up, down in _LARGE]
    yield ratio_comparison(
        _NAME,
        "asymptotic significance of many events",
        "exact p0",
        "events",
        [str(n) for n, *_ in _LARGE],
        [a / e for a, e in zip(asymptotic, exact_z, strict=True)],
        low=0.99,
        high=1.01,
    )


CHECK = Check(_NAME, "p-values of one bin", _run)
