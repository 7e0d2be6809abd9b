"""Image regressions: figures look as they looked when someone last looked at them.

The baselines in ``tests/baseline`` belong to one version of Matplotlib: another one sets text a little larger or
smaller, and the axes follow the text. What figures contain and that nothing overlaps is tested for every version in
the files beside this one. Draw the baselines anew with
``pytest -o addopts= --import-mode=importlib --mpl-generate-path=tests/baseline tests/unit/plot/test_figure_images.py``
and look at them before committing. The tolerance is a root mean square of 2 of 255 grey levels: a label that changes by one
digit gives 2.2, a data point that moves 5.
"""

from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from superbin.plot import figures
from superbin.plot.style import style
from superbin.results import AnalysisResult

TOLERANCE = 2
DRAWN_WITH = "3.11"

pytestmark = pytest.mark.skipif(
    not mpl.__version__.startswith(f"{DRAWN_WITH}."),
    reason=f"the baselines were drawn with Matplotlib {DRAWN_WITH}, this is {mpl.__version__}",
)


@dataclass(frozen=True)
class InStyle:
    """A figure that saves itself small and in the project's style, as pytest-mpl asks it to."""

    figure: Figure

    def savefig(self, filename: str, **kwargs: Any) -> None:
        with style():
            self.figure.savefig(filename, **{**kwargs, "dpi": 60})


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_projection_in_groups(example_result: AnalysisResult) -> InStyle:
    """FIG-1 to FIG-7: two groups, a column without data, a ratio beyond the panel."""
    return InStyle(figures(example_result)["projection-ht"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_projection_plain(example_result: AnalysisResult) -> InStyle:
    """FIG-1 to FIG-7: one group, discrete columns."""
    return InStyle(figures(example_result)["projection-nb"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_projection_of_many_columns(example_result: AnalysisResult) -> InStyle:
    """FIG-11: tilted labels."""
    item = example_result.projections[1]
    many = tuple(
        replace(c, text=f"{k} to {k + 1} units of something") for k in range(4) for c in item.columns
    )
    changed = replace(example_result, projections=(replace(item, columns=many),))
    return InStyle(figures(changed)["projection-nb"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_count_expected(example_result: AnalysisResult) -> InStyle:
    """FIG-8, FIG-9: an expected count, not whole."""
    return InStyle(figures(example_result)["count-expected"])


@pytest.mark.mpl_image_compare(tolerance=TOLERANCE)
def test_count_observed(example_result: AnalysisResult) -> InStyle:
    """FIG-8, FIG-9: data."""
    return InStyle(figures(example_result)["count-observed"])
