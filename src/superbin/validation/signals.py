"""Simulated signals against the one public histogram of a signal in all bins of the search, and grids against their own points."""

from collections.abc import Iterator

import numpy as np

from superbin import merge
from superbin._support.shown import counted
from superbin.catalog import Catalog
from superbin.domain.grid import SignalGrid
from superbin.domain.search import Search
from superbin.results.validation import Comparison
from superbin.validation.check import SEARCH, Check, ratio_comparison

__all__ = ["CHECK"]

_NAME = "signals"
_POINT = (1750.0, 1.0)
"""Masses of the gluino and the neutralino, GeV."""

_LEAST = 0.05
"""Events from which a bin enters the comparison bin by bin."""

MODELS = ("T1bbbb", "T1qqqq", "T1tttt", "T2bb", "T2qq", "T2tt")


def _run(catalog: Catalog, quick: bool) -> Iterator[Comparison]:
    search = catalog.search(SEARCH)
    yield from _against_cms(catalog, search)
    for model in MODELS[:1] if quick else MODELS:
        yield _left_out(catalog.grid(search, model))


def _against_cms(catalog: Catalog, search: Search) -> Iterator[Comparison]:
    public = catalog.signal(search, "T1bbbb", _POINT)
    grid = catalog.grid(search, "T1bbbb")
    section = catalog.cross_sections(grid.process, search).at(_POINT[0])
    simulated = grid.signal(_POINT, luminosity_fb=search.luminosity_fb, cross_section=section.pb)
    ours, theirs = simulated.yields, public.yields
    against = "CMS's public histogram of T1bbbb(1750, 1)"
    total = float(ours.sum() / theirs.sum())
    yield Comparison(
        _NAME,
        "yield in all bins, interpolated between simulated points",
        against,
        "within 10 %",
        f"ratio {total:.3f}",
        abs(total - 1) < 0.1,
    )
    for name in ("njet", "nb", "mht"):
        edges = search.low[:, [o.name for o in search.observables].index(name)]
        groups = np.unique(edges)
        ratios = [float(ours[edges == low].sum() / theirs[edges == low].sum()) for low in groups]
        labels = [f"from {low:g}" for low in groups]
        yield ratio_comparison(_NAME, f"yield by {name}", against, name, labels, ratios, low=0.75, high=1.25)
    merged = merge.optimize(search, public, covariance=search.covariance).bins
    chosen = np.array(merged) - 1
    yield Comparison(
        _NAME,
        f"yield in the {counted(len(merged), 'bin')} of the best merge",
        against,
        "",
        f"ratio {ours[chosen].sum() / theirs[chosen].sum():.3f}",
        None,
    )
    some = theirs >= _LEAST
    error = np.hypot(simulated.errors, public.errors)[some]
    chi2 = float((((ours - theirs)[some] / error) ** 2).mean())
    yield Comparison(
        _NAME,
        f"chi-squared per bin of {counted(int(some.sum()), 'bin')} with at least {_LEAST:g} events, statistics alone",
        against,
        "",
        f"{chi2:.2f}",
        None,
    )


def _left_out(grid: SignalGrid) -> Comparison:
    """Totals at every inner point of a grid, predicted by the other points."""
    found = grid.leave_out
    predicted, known = (rows[found.inside].sum(axis=1) for rows in (found.efficiencies, grid.efficiencies))
    ratios = predicted / known
    low, middle, high = np.quantile(ratios, (0.16, 0.5, 0.84))
    return Comparison(
        _NAME,
        f"total efficiency of {grid.model} at points left out, by the other points",
        f"the simulation of {counted(len(ratios), 'point')}",
        "median within 3 %, 68 % of the points within 10 %",
        f"median {middle:.3f}, 16 to 84 % {low:.3f} to {high:.3f}, ends {ratios.min():.3f} to {ratios.max():.3f}",
        bool(abs(middle - 1) < 0.03 and low > 0.9 and high < 1.1),
    )


CHECK = Check(_NAME, "Simulated signals", _run)
