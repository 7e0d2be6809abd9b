"""Merges side by side: clauses FIG-16 to FIG-18."""

import numpy as np
import pytest
from matplotlib.colors import same_color

from superbin.analysis.projection import bin_ranges
from superbin.domain.search import Search
from superbin.errors import InputError
from superbin.plot import bin_map, loss_curve, merge_front
from superbin.plot.style import COLOURS
from superbin.results import GreedyBaseline, MergeResult


def merged(*bins: int) -> MergeResult:
    return MergeResult(bins, "midp", 1.0, "best found", ("some cut",), 1, GreedyBaseline(bins, 1.0))


def test_front_shows_every_size_and_shape() -> None:
    """FIG-16: sizes in order whatever order they come in."""
    drawn = merge_front([(3, 1.4), (1, 1.1)], {"rectangle": (4, 1.3)}, title="T0(1000, 100) in small")
    assert np.array_equal(drawn.front.get_xdata(), [1, 3])
    assert np.array_equal(drawn.front.get_ydata(), [1.1, 1.4])
    assert np.array_equal(drawn.shapes["rectangle"].get_xdata(), [4])
    low, high = drawn.ax.get_ylim()
    assert low == 0
    assert high > 1.4
    assert "Number of merged bins" in drawn.ax.get_xlabel()


def test_map_fills_the_chosen_bins(cms_search: Search) -> None:
    """FIG-17: every bin has one cell; cells of a row share jets and b jets, those of a column the box."""
    ranges = {number: bin_ranges(cms_search, number) for number in cms_search.numbers}
    drawn = bin_map(ranges, {"free": merged(20, 78), "one": merged(160)})
    for cells, bins in zip(drawn.cells, ((20, 78), (160,)), strict=True):
        assert set(cells) == set(cms_search.numbers)
        filled = {number for number, cell in cells.items() if same_color(cell.get_facecolor(), COLOURS[1])}
        assert filled == set(bins)
    places = {number: cell.get_xy() for number, cell in drawn.cells[0].items()}
    assert len(set(places.values())) == cms_search.n_bins
    for number, (x, y) in places.items():
        assert x == (number - 1) % 10 - 0.5
        assert y == (number - 1) // 10 - 0.5


def test_texts_of_the_map_keep_clear_of_each_other(cms_search: Search) -> None:
    """FIG-17: panel titles and the figure's title do not overlap."""
    ranges = {number: bin_ranges(cms_search, number) for number in cms_search.numbers}
    names = ("free, Z = 1.73", "rectangle, Z = 1.66", "two rectangles, Z = 1.70")
    drawn = bin_map(ranges, dict.fromkeys(names, merged(20)), title="T1bbbb(1750, 1) in cms-pas-sus-16-014")
    boxes = [panel.title.get_window_extent() for panel in drawn.panels]
    boxes += [text.get_window_extent() for text in drawn.figure.texts]
    frame = drawn.figure.bbox
    for i, box in enumerate(boxes):
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_nothing_to_draw_is_refused() -> None:
    """FIG-16, FIG-17: both figures refuse an input without merges."""
    with pytest.raises(InputError, match="no merge"):
        merge_front([], {})
    with pytest.raises(InputError, match="no merge"):
        bin_map({}, {"free": merged(1)})
    with pytest.raises(InputError, match="no ranges"):
        bin_map({1: (), 2: ()}, {"free": merged(1)})


def test_losses_by_number_of_merges() -> None:
    """FIG-18: every kind of loss is a line through its numbers of merges, in order, from zero loss upwards."""
    drawn = loss_curve({"Mean": [(2, 0.1), (1, 0.3)], "Worst": [(1, 0.5), (2, 0.2)]}, title="2 signals")
    assert np.array_equal(drawn.lines["Mean"].get_xdata(), [1, 2])
    assert np.array_equal(drawn.lines["Mean"].get_ydata(), [0.3, 0.1])
    assert np.array_equal(drawn.lines["Worst"].get_ydata(), [0.5, 0.2])
    low, high = drawn.ax.get_ylim()
    assert low == 0
    assert high > 0.5
    assert drawn.ax.get_xlabel() == "Number of merges"
    with pytest.raises(InputError, match="no loss"):
        loss_curve({"Mean": []})
