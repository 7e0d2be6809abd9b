"""The distribution of the largest significance: clause FIG-30."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats as reference

from superbin.domain.aggregate import Background
from superbin.plot import largest_significance, save
from superbin.plot.style import style
from superbin.results import PValue, SearchSummary
from superbin.results.chance import ChanceResult, Excess, GlobalPValue, MaximumDistribution


def result(hits: int = 30, reached: tuple[int, ...] = (100, 80, 30, 0)) -> ChanceResult:
    search = SearchSummary("s", "t", "CMS-PAS-SUS-16-014", 12.9, 13.0, 160, "0" * 64, "made up")
    excess = Excess((1,), ("cut",), (), Background(1.0, 0.1, 0.1), 3, PValue(0.01, 2.33))
    chance = GlobalPValue(hits / 100, 0.05, 0.4, 0.5, 100, hits, 0, interrupted=False)
    maximum = MaximumDistribution((1.0, 2.0, 2.33, 5.0), reached)
    return ChanceResult(search, "all", 9, "made up", {}, excess, chance, maximum, "0.1.0")


def test_content() -> None:
    """FIG-30: parts with their intervals, rungs that none reaches left out, the data marked."""
    drawn = largest_significance(result())
    line, _, (bars,) = drawn.reached.lines
    assert line is not None
    np.testing.assert_array_equal(line.get_xydata(), [[1.0, 1.0], [2.0, 0.8], [2.33, 0.3]])
    segment = np.asarray(bars.get_segments()[2])[:, 1]
    level = reference.norm.sf(1)
    assert reference.binom.sf(29, 100, segment[0]) == pytest.approx(level, rel=1e-6)
    assert reference.binom.cdf(30, 100, segment[1]) == pytest.approx(level, rel=1e-6)
    x, y = np.asarray(drawn.one.get_data())
    np.testing.assert_allclose(y, reference.norm.sf(x), rtol=1e-9)
    assert np.asarray(drawn.observed.get_xdata()).tolist() == [2.33, 2.33]
    assert "Data: Z = 2.33, global p = $0.300$" in [t.get_text() for t in drawn.legend.get_texts()]


@pytest.mark.parametrize("reached", [(100, 80, 0, 0), (100, 100, 100, 100), (0, 0, 0, 0)])
def test_edges(reached: tuple[int, ...], tmp_path: Path) -> None:
    """FIG-30: nothing reached, and everything, can be drawn; the legend stands clear of the curve."""
    drawn = largest_significance(result(reached[2], reached))
    save(drawn.figure, tmp_path / "x.png")
    with style():
        drawn.figure.canvas.draw()
        bottom = drawn.legend.get_window_extent().y0
        assert drawn.ax.transData.transform((1.0, 1.0))[1] < bottom
    if not reached[2]:
        assert any("global p < $0.40$" in t.get_text() for t in drawn.legend.get_texts())
