"""Image regressions: figures look as they looked when someone last looked at them.

The baselines in ``tests/baseline`` belong to one version of Matplotlib, which the extra ``test`` installs: another one sets
text a little larger or smaller, and the axes follow the text. Elsewhere these tests skip, unless SUPERBIN_REQUIRE_IMAGES
is 1. What figures contain and that nothing overlaps is tested for every version in the files here.
Draw the baselines again with
``pytest -o addopts= --import-mode=importlib --mpl-generate-path=tests/baseline tests/unit/plot/test_figure_images.py``
and look at them before committing. `TOLERANCE` is a root mean square in 255 grey levels: a label that changes by one
digit gives 2.2, a data point that moves 5.
"""

import os
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from superbin.plot.style import style

DRAWN_WITH = "3.11"


@dataclass(frozen=True)
class InStyle:
    """A figure that saves itself small and in the project's style, as pytest-mpl asks it to."""

    figure: Figure

    def savefig(self, filename: str, **kwargs: Any) -> None:
        with style():
            self.figure.savefig(filename, **{**kwargs, "dpi": 60})


@pytest.fixture
def in_style() -> type[InStyle]:
    """Make a figure comparable with its baseline."""
    if not mpl.__version__.startswith(f"{DRAWN_WITH}."):
        reason = f"the baselines were drawn with Matplotlib {DRAWN_WITH}, this is {mpl.__version__}"
        if os.environ.get("SUPERBIN_REQUIRE_IMAGES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return InStyle
