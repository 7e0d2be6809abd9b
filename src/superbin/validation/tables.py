"""The packaged tables against the collaboration's own: 160 rows and 12 aggregate regions."""

from collections.abc import Iterator

import numpy as np

from superbin.catalog import Catalog
from superbin.domain.aggregate import combine
from superbin.domain.correlations import covariances
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.results.validation import Comparison
from superbin.validation.check import SEARCH, Check, ratio_comparison, reference_rows

__all__ = ["CHECK"]

_NAME = "tables"
_TABLE = "CMS's table of 160 rows"
_REGIONS = "CMS's 12 aggregate regions"
_SMALLEST = 0.5
"""Events below which the printed digits are too few for a ratio."""


def _run(catalog: Catalog, quick: bool) -> Iterator[Comparison]:  # noqa: ARG001 - nothing here is slow
    search = catalog.search(SEARCH)
    rows = reference_rows("table_160.csv")
    theirs = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    same = int((theirs["observed"] == search.observed).sum())
    yield Comparison(_NAME, "observed events", _TABLE, "all equal", f"{same} of 160 equal", same == len(rows))
    shown = theirs["total"] >= _SMALLEST
    mine = np.sum([p.estimate.nominal for p in search.processes], axis=0)[shown] / theirs["total"][shown]
    bins = [str(i + 1) for i in np.flatnonzero(shown)]
    yield ratio_comparison(
        _NAME,
        "total background",
        f"{_TABLE}, from {_SMALLEST:g} events",
        "bin",
        bins,
        mine.tolist(),
        low=0.9,
        high=1.1,
    )
    yield from _regions(search)


def _regions(search: Search) -> Iterator[Comparison]:
    rows = reference_rows("aggregate_regions.csv")
    names = [row["region"] for row in rows]
    none = SignalModel("none", {}, search.name, np.zeros(search.n_bins), np.zeros(search.n_bins))
    covariance = covariances(search, "likelihood")[0]
    merged = [combine(search, none, _bins(search, row), covariance=covariance) for row in rows]
    same = sum(m.observed == int(row["observed"]) for m, row in zip(merged, rows, strict=True))
    yield Comparison(
        _NAME,
        "observed events of regions",
        _REGIONS,
        "all equal",
        f"{same} of {len(rows)} equal",
        same == len(rows),
    )
    for what, values, column, low, high in (
        ("background of regions", [m.background.nominal for m in merged], "background", 0.9, 1.1),
        (
            "upward error of regions, correlations of the likelihood",
            [m.background.up for m in merged],
            "error_up",
            0.85,
            1.15,
        ),
    ):
        printed = [float(row[column]) for row in rows]
        kept = [i for i, value in enumerate(printed) if value >= _SMALLEST]
        ratios = [values[i] / printed[i] for i in kept]
        yield ratio_comparison(
            _NAME, what, _REGIONS, "aggregate region", [names[i] for i in kept], ratios, low=low, high=high
        )


def _bins(search: Search, row: dict[str, str]) -> list[int]:
    low = {o.name: search.low[:, i] for i, o in enumerate(search.observables)}
    inside = (low["nb"] >= float(row["nb_low"])) & (low["nb"] <= float(row["nb_high"]))
    for name in ("njet", "ht", "mht"):
        inside &= low[name] >= float(row[name])
    return [int(i) + 1 for i in np.flatnonzero(inside)]


CHECK = Check(_NAME, "Published tables and aggregate regions", _run)
