"""What a result tells beside its answer: simpler regions, sources of uncertainty, versions."""

import math

import numpy as np
import pytest

from superbin.analysis.details import package_versions, simpler_regions, uncertainty_sources
from superbin.catalog import Catalog
from superbin.domain.aggregate import combine
from superbin.domain.correlations import covariances
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.stats import midp_significance

BINS = (20, 30, 60, 70, 78, 80, 100, 110, 120)


def test_sources_make_up_the_uncertainty(
    packaged_catalog: Catalog, cms_search: Search, t1bbbb: SignalModel
) -> None:
    """RES-21: the shifts of all sources in quadrature, side by side, are the uncertainty of the region; the largest come first."""
    found = uncertainty_sources(packaged_catalog.published_likelihood(cms_search), BINS)
    covariance = covariances(cms_search, "likelihood")[0]
    background = combine(cms_search, t1bbbb, BINS, covariance=covariance).background
    up = math.hypot(*(max(one.up, one.down, 0.0) for one in found))
    down = math.hypot(*(min(one.up, one.down, 0.0) for one in found))
    assert up == pytest.approx(background.up, rel=2e-3)
    assert down == pytest.approx(background.down, rel=2e-3)
    sizes = [max(abs(one.up), abs(one.down)) for one in found]
    assert sizes == sorted(sizes, reverse=True)
    assert len({one.name for one in found}) == len(found)


def test_simpler_regions(cms_search: Search, t1bbbb: SignalModel) -> None:
    """RES-21: one rectangle and the best few bins; their numbers are those of their bins, and more bins are never worse."""
    found = simpler_regions(cms_search, t1bbbb, figure_of_merit="midp", covariance=None)
    assert [one.name for one in found] == ["rectangle", "1 bin", "2 bins", "3 bins", "5 bins"]
    assert [len(one.bins) for one in found[1:]] == [1, 2, 3, 5]
    assert found[0].selections == 1
    for one in found:
        total = combine(cms_search, t1bbbb, one.bins)
        b = total.background
        assert (one.signal, one.background, one.up, one.down) == (total.signal, b.nominal, b.up, b.down)
        z = midp_significance(one.signal + one.background, one.background, one.up, one.down)
        assert one.z == pytest.approx(z, rel=1e-9)
    significances = [one.z or math.inf for one in found[1:]]
    assert significances == sorted(significances)

    # The best single bin, by trying all of them.
    def alone(number: int) -> float:
        total = combine(cms_search, t1bbbb, [number])
        b = total.background
        return (
            float(midp_significance(total.signal + b.nominal, b.nominal, b.up, b.down))
            if total.signal > 0
            else 0.0
        )

    best = int(np.argmax([alone(number) for number in range(1, cms_search.n_bins + 1)])) + 1
    assert found[1].bins == (best,)


def test_versions() -> None:
    """RES-21: superbin and what its numbers depend on."""
    found = package_versions()
    assert {"superbin", "numpy", "scipy", "pyhf"} <= set(found)
    assert found["numpy"] == np.__version__
