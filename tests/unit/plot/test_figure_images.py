"""Image regressions of the figures of an analysis; see ``conftest.py`` for how baselines are drawn."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from superbin.plot import figures
from superbin.results import AnalysisResult

TOLERANCE = 2


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_projection_in_groups(example_result: AnalysisResult, in_style: Callable[[Figure], object]) -> object:
    """FIG-1 to FIG-7: two groups, a column without data, a ratio beyond the panel."""
    return in_style(figures(example_result)["projection-ht"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_projection_plain(example_result: AnalysisResult, in_style: Callable[[Figure], object]) -> object:
    """FIG-1 to FIG-7: one group, discrete columns."""
    return in_style(figures(example_result)["projection-nb"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_projection_of_many_columns(
    example_result: AnalysisResult, in_style: Callable[[Figure], object]
) -> object:
    """FIG-11: tilted labels."""
    item = example_result.projections[1]
    many = tuple(
        replace(c, text=f"{k} to {k + 1} units of something") for k in range(4) for c in item.columns
    )
    changed = replace(example_result, projections=(replace(item, columns=many),))
    return in_style(figures(changed)["projection-nb"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_count_expected(example_result: AnalysisResult, in_style: Callable[[Figure], object]) -> object:
    """FIG-8, FIG-9: an expected count, not whole."""
    return in_style(figures(example_result)["count-expected"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_count_observed(example_result: AnalysisResult, in_style: Callable[[Figure], object]) -> object:
    """FIG-8, FIG-9: data."""
    return in_style(figures(example_result)["count-observed"])
