"""Limits of the full likelihood against those that CMS published."""

from collections.abc import Iterator

import numpy as np

from superbin._support.shown import counted
from superbin.catalog import Catalog
from superbin.results.scan import ScanResult
from superbin.results.validation import Comparison
from superbin.scan import Settings, grid_targets, local_workers, run_scan, spread
from superbin.validation.check import SEARCH, Check, ratio_comparison

__all__ = ["CHECK"]

_NAME = "limits"
_MODELS = ("T1bbbb", "T1qqqq", "T1tttt", "T2bb")
_WIDE = 650.0
"""GeV of mass difference from which no region of the plane is compressed."""
_HEAVY = 1000.0
"""GeV of the produced particle; below, the limits of the likelihood are stronger than CMS's, for reasons that are not known."""


def _run(catalog: Catalog, quick: bool) -> Iterator[Comparison]:
    for model in _MODELS[:1] if quick else _MODELS:
        result = _scanned(catalog, model, 2 if quick else 12, wide=True)
        for side in ("observed", "expected"):
            names, ratios = _ratios(result, "likelihood", side)
            if ratios:
                yield ratio_comparison(
                    _NAME,
                    f"{side} limit of {model}, full likelihood",
                    "CMS's limit map",
                    "masses (GeV)",
                    names,
                    ratios,
                    low=1 / 1.5,
                    high=1.5,
                )
            _, weaker = _ratios(result, "one_bin", side)
            if weaker:
                yield _measured(f"{side} limit of {model}, one bin", weaker)
        if not quick:
            rest = _scanned(catalog, model, 12, wide=False)
            for side in ("observed", "expected"):
                _, ratios = _ratios(rest, "likelihood", side)
                if ratios:
                    yield _measured(
                        f"{side} limit of {model}, full likelihood, compressed or below 1 TeV", ratios
                    )


def _ratios(result: ScanResult, kind: str, side: str) -> tuple[list[str], list[float]]:
    """Masses of the points with a published limit, and our limit over it."""
    names, ratios = [], []
    for point in result.points:
        ratio = None if point.published is None else getattr(point.published, f"{kind}_{side}")
        if ratio is not None:
            names.append("\n".join(f"{m:g}" for m in point.parameters.values()))
            ratios.append(ratio)
    return names, ratios


def _measured(what: str, ratios: list[float]) -> Comparison:
    result = f"{counted(len(ratios), 'ratio')}, median {np.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}"
    return Comparison(_NAME, what, "CMS's limit map", "", result, None)


def _scanned(catalog: Catalog, model: str, most: int, *, wide: bool) -> ScanResult:
    search = catalog.search(SEARCH)
    grid = catalog.grid(search, model)
    sections = catalog.cross_sections(grid.process, search)
    published = catalog.limits(search, model)
    targets = [
        t
        for t in grid_targets(grid, search, cross_sections=sections)
        if published is not None
        and published.limit(t.parameters) is not None
        and _is_wide(tuple(t.parameters.values())) is wide
    ]
    few = spread([tuple(t.parameters.values()) for t in targets], most)
    with local_workers(1) as workers:
        return run_scan(
            search,
            [targets[i] for i in np.asarray(few)],
            settings=Settings(likelihood_limit=True),
            executor=workers,
            likelihood=catalog.published_likelihood(search),
            published=published,
        )


def _is_wide(masses: tuple[float, ...]) -> bool:
    heavy, light = masses[0], masses[-1]
    return heavy >= _HEAVY and heavy - light >= _WIDE


CHECK = Check(_NAME, "Published limits", _run)
