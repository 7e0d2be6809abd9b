"""Image regressions of maps; see ``conftest.py`` for how baselines are drawn."""

import math
from collections.abc import Callable, Mapping

import pytest
from matplotlib.figure import Figure

from superbin.catalog import Catalog
from superbin.domain.aggregate import AggregateBin, Background
from superbin.plot import scan_maps
from superbin.results import PValue, SearchSummary
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult

TOLERANCE = 2


def point(mother: float, lsp: float) -> ScanPoint:
    masses = {"m_mother": mother, "m_lsp": lsp}
    if (mother, lsp) == (1400, 600):
        return ScanPoint(masses, "failed", reason="made up")
    cross_section = 0.05 * math.exp(-(mother - 1000) / 150)
    signal = 3000 * cross_section / (1 + math.exp(-(mother - lsp - 250) / 100))
    return ScanPoint(
        masses,
        "done",
        bins=(1,),
        yields=AggregateBin((1,), signal, 0.1, Background(5.0, 2.0, 1.5), (), 6),
        expected=PValue(0.1, 0.3 * signal),
        observed=PValue(0.2, math.sin(mother / 200) + math.cos(lsp / 300)),
        limit=ScanLimit(6.6, 2.7, 3.8, 5.5, 7.7, 11.0, "exact"),
        cross_section_pb=cross_section,
    )


@pytest.fixture(scope="module")
def maps(packaged_catalog: Catalog) -> Mapping[str, Figure]:
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
    return scan_maps(ScanResult(search, "T1bbbb", names, {"level": 0.95}, points, "0.1.0", contours=contours))


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_map_of_limits(maps: Mapping[str, Figure], in_style: Callable[[Figure], object]) -> object:
    """FIG-20 to FIG-26: points, a failed one, contours, published ones, the diagonal."""
    return in_style(maps["limit-observed"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_map_of_significances(maps: Mapping[str, Figure], in_style: Callable[[Figure], object]) -> object:
    """FIG-20 to FIG-23: a linear scale that ends at 8."""
    return in_style(maps["significance-expected"])
