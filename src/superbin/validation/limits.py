"""Limits of the full likelihood against those that CMS published."""

from collections.abc import Iterator

import numpy as np

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
        result = _scanned(catalog, model, 2 if quick else 12)
        for side in ("observed", "expected"):
            names, ratios = [], []
            for point in result.points:
                known, found = point.published, point.likelihood_limit
                theirs = None if known is None else getattr(known, f"{side}_fb")
                if theirs is None or found is None or point.cross_section_pb is None:
                    continue
                ours = found.observed if side == "observed" else found.median
                if ours is not None:
                    names.append("\n".join(f"{m:g}" for m in point.parameters.values()))
                    ratios.append(1000 * point.cross_section_pb * ours / theirs)
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


def _scanned(catalog: Catalog, model: str, most: int) -> ScanResult:
    search = catalog.search(SEARCH)
    grid = catalog.grid(search, model)
    sections = catalog.cross_sections(grid.process, search)
    published = catalog.limits(search, model)
    targets = [
        t
        for t in grid_targets(grid, search, cross_sections=sections)
        if published is not None
        and published.limit(t.parameters) is not None
        and _is_wide(tuple(t.parameters.values()))
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
