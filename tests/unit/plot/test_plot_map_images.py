"""Image regressions of maps; see ``conftest.py`` for how baselines are drawn."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from superbin.catalog import Catalog
from superbin.domain.aggregate import AggregateBin, Background
from superbin.plot import brazil_plot, scan_figures
from superbin.results import PValue, SearchSummary
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult

TOLERANCE = 2


def point(mother: float, lsp: float) -> ScanPoint:
    masses = {"m_mother": mother, "m_lsp": lsp}
    if (mother, lsp) == (1400, 600):
        return ScanPoint(masses, "failed", reason="made up")
    cross_section = 0.05 * math.exp(-(mother - 1000) / 150)
    signal = 3000 * cross_section / (1 + math.exp(-(mother - lsp - 250) / 100))
    observed, low2, low1, median, high1, high2 = (0.7 * v / signal for v in (6.6, 2.7, 3.8, 5.5, 7.7, 11.0))
    full = ScanLimit(observed, low2, low1, median, high1, high2, "converged")
    return ScanPoint(
        masses,
        "done",
        bins=(1,),
        yields=AggregateBin((1,), signal, 0.1, Background(5.0, 2.0, 1.5), (), 6),
        expected=PValue(0.1, 0.3 * signal),
        observed=PValue(0.2, math.sin(mother / 200) + math.cos(lsp / 300)),
        limit=ScanLimit(6.6, 2.7, 3.8, 5.5, 7.7, 11.0, "exact"),
        likelihood_limit=full,
        cross_section_pb=cross_section,
        cross_section_error=0.15,
    )


@pytest.fixture(scope="module")
def result(packaged_catalog: Catalog) -> ScanResult:
    search = SearchSummary(
        "cms-pas-sus-16-014", "t", "CMS-PAS-SUS-16-014", 12.9, 13.0, 160, "0" * 64, "made up"
    )
    points = tuple(
        point(m, n) for m in range(600, 2201, 200) for n in (1, *range(200, m - 150, 200), m - 100, m - 50)
    )
    published = packaged_catalog.limits("cms-pas-sus-16-014", "T1bbbb")
    assert published is not None
    contours = {name: tuple(map(tuple, line.tolist())) for name, line in published.contours.items()}
    names = ("m_mother", "m_lsp")
    return ScanResult(
        search,
        "T1bbbb",
        names,
        {"level": 0.95},
        points,
        "0.1.0",
        cross_section_order="NLO+NLL",
        contours=contours,
    )


@pytest.fixture(scope="module")
def maps(result: ScanResult) -> Mapping[str, Figure]:
    return scan_figures(result)


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_map_of_limits(maps: Mapping[str, Figure], in_style: Callable[[Figure], object]) -> object:
    """FIG-20 to FIG-26: points, a failed one, contours, published ones, the diagonal."""
    return in_style(maps["limit-observed"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_map_of_significances(maps: Mapping[str, Figure], in_style: Callable[[Figure], object]) -> object:
    """FIG-20 to FIG-23: a linear scale that ends at 8."""
    return in_style(maps["significance-expected"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_exclusion(maps: Mapping[str, Figure], in_style: Callable[[Figure], object]) -> object:
    """FIG-27: observed and expected contours with their bands, published ones, limits as colour."""
    return in_style(maps["exclusion"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_exclusions_compared(maps: Mapping[str, Figure], in_style: Callable[[Figure], object]) -> object:
    """FIG-29: one bin, full likelihood and the published exclusion."""
    return in_style(maps["exclusion-compared"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_brazil(result: ScanResult, in_style: Callable[[Figure], object]) -> object:
    """FIG-28: limits with bands against the mass, and the theory with its uncertainty."""
    line = replace(result, points=tuple(p for p in result.points if p.parameters["m_lsp"] == 1))
    return in_style(brazil_plot(line).figure)


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_scatter(result: ScanResult, in_style: Callable[[Figure], object]) -> object:
    """FIG-32: excesses ringed, large expected significances at the edge."""

    def raised(p: ScanPoint) -> ScanPoint:
        return p if p.observed is None else replace(p, observed=PValue(0.1, 1.4 * (p.observed.z or 0.0)))

    return in_style(
        scan_figures(replace(result, points=tuple(map(raised, result.points))))["significance-scatter"]
    )
