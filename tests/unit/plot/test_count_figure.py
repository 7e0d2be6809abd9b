"""Figures of count distributions: the distributions, the shaded p-value, and its value in words."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from superbin.plot import CountArtists, count_distribution
from superbin.plot.style import style
from superbin.results import AnalysisResult, CountDistribution, PValue, Significance

DistributionOf = Callable[..., CountDistribution]


def steps(patch: StepPatch) -> tuple[np.ndarray, np.ndarray]:
    """Heights and edges."""
    values, edges, _ = patch.get_data()
    return np.asarray(values, dtype=float), np.asarray(edges, dtype=float)


@pytest.fixture
def observed(example_result: AnalysisResult) -> tuple[CountDistribution, Significance]:
    return example_result.distribution, example_result.observed


@pytest.fixture
def expected(example_result: AnalysisResult) -> tuple[CountDistribution, Significance]:
    return example_result.distribution, example_result.expected


class TestContent:
    def test_distributions(self, observed: tuple[CountDistribution, Significance]) -> None:
        """FIG-8: the probability of each count, half a count either side of it."""
        distribution, panel = observed
        drawn = count_distribution(distribution, panel, observed=True)
        for patch, probabilities in (
            (drawn.background, distribution.background),
            (drawn.signal_plus_background, distribution.signal_plus_background),
        ):
            assert patch is not None
            values, edges = steps(patch)
            np.testing.assert_array_equal(values, probabilities)
            np.testing.assert_array_equal(edges, np.arange(61) - 0.5)
        assert drawn.ax.get_yscale() == "log"

    @pytest.mark.parametrize("n", [0, 3, 14, 30, 59])
    def test_shaded_area_is_the_midp(self, observed: tuple[CountDistribution, Significance], n: int) -> None:
        """FIG-8: for a whole number the shaded area is P(N > n) + P(N = n)/2."""
        distribution, panel = observed
        drawn = count_distribution(distribution, replace(panel, count=n), observed=True)
        assert drawn.tail is not None
        values, edges = steps(drawn.tail)
        area = float((values * np.diff(edges)).sum())
        midp = sum(distribution.background[n + 1 :]) + distribution.background[n] / 2
        assert area == pytest.approx(midp, rel=1e-12)
        assert edges[0] == n
        assert np.asarray(drawn.count.get_xdata(), dtype=float).tolist() == [n, n]

    def test_shaded_from_a_real_count(self, expected: tuple[CountDistribution, Significance]) -> None:
        """FIG-8: an expected count need not be whole; the area starts at it."""
        drawn = count_distribution(*expected)
        assert drawn.tail is not None
        values, edges = steps(drawn.tail)
        assert edges[:2].tolist() == [21.18, 21.5]
        assert values[0] == expected[0].background[21]

    def test_values_in_words(self, expected: tuple[CountDistribution, Significance]) -> None:
        """FIG-9: both exact p-values with their significances, named."""
        text = count_distribution(*expected).values.get_text()
        assert text.splitlines() == [
            "mid-p, P(N > n) + P(N = n)/2:  p = 0.0166, Z = 2.13",
            "tail, P(N ≥ n):  p = 0.0199, Z = 2.06",
        ]

    def test_small_and_certain(self, observed: tuple[CountDistribution, Significance]) -> None:
        """FIG-9: powers of ten for small values; no significance where there is none."""
        distribution, panel = observed
        panel = replace(panel, midp=PValue(2.346e-7, 5.03), tail=PValue(1.0, None))
        text = count_distribution(distribution, panel).values.get_text()
        assert r"p = $2.35\times10^{-7}$, Z = 5.03" in text
        assert "p = 1.00, Z = none" in text

    def test_legend(self, expected: tuple[CountDistribution, Significance]) -> None:
        """FIG-8: the legend says which count it is and names the signal."""
        distribution, panel = expected
        texts = [
            t.get_text()
            for t in count_distribution(
                distribution, panel, signal_label="T1bbbb(1750, 1)"
            ).legend.get_texts()
        ]
        assert texts == [
            "Expected n = s + b = 21.18",
            "Background only",
            "Background + T1bbbb(1750, 1)",
            "Background only, N above n",
        ]
        data = count_distribution(distribution, replace(panel, count=14), observed=True)
        assert data.legend.get_texts()[0].get_text() == "Observed n = 14"

    def test_no_signal(self, observed: tuple[CountDistribution, Significance]) -> None:
        """FIG-8: without a signal there is one distribution."""
        distribution, panel = observed
        alone = replace(distribution, signal_plus_background=distribution.background)
        drawn = count_distribution(alone, panel, observed=True)
        assert drawn.signal_plus_background is None
        assert not any("Background +" in t.get_text() for t in drawn.legend.get_texts())

    def test_beyond_the_distribution(self, observed: tuple[CountDistribution, Significance]) -> None:
        """FIG-8: a count that no distribution reaches is marked all the same, with nothing shaded."""
        distribution, panel = observed
        drawn = count_distribution(distribution, replace(panel, count=75), observed=True)
        assert drawn.tail is None
        assert drawn.ax.get_xlim()[0] <= 75 <= drawn.ax.get_xlim()[1]

    def test_columns_of_several_counts(self, observed: tuple[CountDistribution, Significance]) -> None:
        """FIG-8: a coarse distribution is drawn in its columns, and the axis says so."""
        distribution, panel = observed
        coarse = CountDistribution(
            counts=distribution.counts[::5],
            width=5,
            background=tuple(np.reshape(distribution.background, (-1, 5)).sum(axis=1)),
            signal_plus_background=tuple(
                np.reshape(distribution.signal_plus_background, (-1, 5)).sum(axis=1)
            ),
        )
        drawn = count_distribution(coarse, panel)
        _, edges = steps(drawn.background)
        np.testing.assert_array_equal(edges, np.arange(0, 61, 5) - 0.5)
        assert drawn.ax.get_ylabel() == "Probability of 5 counts"

    def test_header(self, observed: tuple[CountDistribution, Significance]) -> None:
        """FIG-10: conditions as far as they are known."""
        drawn = count_distribution(*observed, attribution="Reinterpretation of CMS data", luminosity_fb=12.9)
        texts = [t.get_text() for t in drawn.ax.texts]
        assert "Reinterpretation of CMS data" in texts
        assert "12.9 fb$^{-1}$" in texts


CASES: dict[str, dict[str, Any]] = {
    "usual": {},
    "no background": {"background": 1e-9, "signal": 3.0},
    "large": {"background": 700.0, "signal": 300.0, "stop": 1500},
    "five sigma": {"background": 2.0, "signal": 20.0},
}


class TestLayout:
    @pytest.mark.parametrize("case", list(CASES))
    @pytest.mark.parametrize("count", [0.0, 21.18, 1e4])
    def test_texts_stand_above(
        self,
        distribution_of: DistributionOf,
        expected: tuple[CountDistribution, Significance],
        case: str,
        count: float,
    ) -> None:
        """FIG-11: legend and values are inside the frame, above both distributions and clear of each other."""
        _, panel = expected
        drawn = count_distribution(
            distribution_of(**CASES[case]),
            replace(panel, count=count),
            signal_label="a signal with a name that is much too long to stand in any legend of a figure like this",
            attribution="Reinterpretation of CMS data",
            luminosity_fb=12.9,
            sqrt_s_tev=13,
        )
        check(drawn)

    @pytest.mark.parametrize("text", ["$", r"$\foo$", "中文", "a\nb", "%#&_{}~^\\", ""])
    def test_any_text(self, expected: tuple[CountDistribution, Significance], text: str) -> None:
        """FIG-12: whatever a name holds, the figure is drawn."""
        check(count_distribution(*expected, signal_label=text, attribution=text))

    def test_tail_is_visible(
        self, distribution_of: DistributionOf, expected: tuple[CountDistribution, Significance]
    ) -> None:
        """FIG-8: the axis reaches down to the background where the count is, however small a p-value."""
        distribution = distribution_of(background=2.0, signal=20.0)
        drawn = count_distribution(distribution, replace(expected[1], count=16))
        assert drawn.ax.get_ylim()[0] < 0.1 * distribution.background[16] < 1e-8


def check(drawn: CountArtists) -> None:
    with style():
        canvas: Any = FigureCanvasAgg(drawn.figure)
        canvas.draw()
        frame = drawn.ax.get_window_extent()
        legend, values = drawn.legend.get_window_extent(), drawn.values.get_window_extent()
        for box in (legend, values):
            assert box.x0 >= frame.x0
            assert box.x1 <= frame.x1 + 1
            assert box.y1 <= frame.y1 + 1
        assert values.y1 <= legend.y0 + 1
        heights = [
            steps(p)[0].max() for p in (drawn.background, drawn.signal_plus_background) if p is not None
        ]
        assert drawn.ax.transData.transform((0, max(heights)))[1] <= values.y0
        low, high = drawn.ax.get_xlim()
        ticks = [t for t in drawn.ax.get_xticklabels() if low <= t.get_position()[0] <= high]
        for text in (
            *ticks,
            *drawn.ax.get_yticklabels(),
            *drawn.ax.texts,
            drawn.ax.xaxis.label,
            drawn.ax.yaxis.label,
        ):
            if text.get_text().strip():
                box = text.get_window_extent()
                assert box.x0 >= -1
                assert box.y0 >= -1
                assert box.x1 <= drawn.figure.bbox.x1 + 1
                assert box.y1 <= drawn.figure.bbox.y1 + 1


class TestState:
    def test_settings_are_restored(self, expected: tuple[CountDistribution, Significance]) -> None:
        """FIG-13: Matplotlib's settings stay as they were."""
        before = dict(mpl.rcParams)
        count_distribution(*expected)
        assert dict(mpl.rcParams) == before

    def test_given_axes(self, expected: tuple[CountDistribution, Significance]) -> None:
        """FIG-13: axes that are given are drawn on."""
        ax = Figure(figsize=(7, 5)).subplots()
        assert count_distribution(*expected, ax=ax).ax is ax
