"""Simulated signals against the one public histogram of a signal in all bins of the search."""

from collections.abc import Iterator

import numpy as np

from superbin.catalog import Catalog
from superbin.results.validation import Comparison
from superbin.validation.check import SEARCH, Check, ratio_comparison

__all__ = ["CHECK"]

_NAME = "signals"
_POINT = (1750.0, 1.0)
"""Masses of the gluino and the neutralino, GeV."""


def _run(catalog: Catalog, quick: bool) -> Iterator[Comparison]:  # noqa: ARG001 - nothing here is slow
    search = catalog.search(SEARCH)
    public = catalog.signal(search, "T1bbbb", _POINT).yields
    grid = catalog.grid(search, "T1bbbb")
    section = catalog.cross_sections(grid.process, search).at(_POINT[0])
    simulated = grid.signal(_POINT, luminosity_fb=search.luminosity_fb, cross_section=section.pb).yields
    against = "CMS's public histogram of T1bbbb(1750, 1)"
    total = float(simulated.sum() / public.sum())
    yield Comparison(
        _NAME,
        "yield in all bins, interpolated between simulated points",
        against,
        "within 10 %",
        f"ratio {total:.3f}",
        abs(total - 1) < 0.1,
    )
    for name in ("njet", "nb"):
        edges = search.low[:, [o.name for o in search.observables].index(name)]
        groups = np.unique(edges)
        ratios = [float(simulated[edges == low].sum() / public[edges == low].sum()) for low in groups]
        labels = [f"from {low:g}" for low in groups]
        yield ratio_comparison(_NAME, f"yield by {name}", against, name, labels, ratios, low=0.75, high=1.25)


CHECK = Check(_NAME, "Simulated signals", _run)
