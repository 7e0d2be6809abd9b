"""The line above every figure: whose data, luminosity and energy."""

from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from superbin.plot import figures, largest_significance, scan_figures
from superbin.results import AnalysisResult

from .test_plot_exclusion import plane, scan
from .test_plot_maxima import result as chance_result


def drawn(example_result: AnalysisResult) -> Iterator[tuple[str, Figure]]:
    """Every figure of a result, of a scan and of a global p-value."""
    yield from figures(example_result).items()
    yield from scan_figures(scan(plane())).items()
    yield "chance", largest_significance(chance_result()).figure


def test_every_figure_says_whose_data_it_shows(example_result: AnalysisResult) -> None:
    """FIG-10: above the axes at the left, in italics; no bold name of an experiment; luminosity and energy at the right."""
    names = []
    for name, figure in drawn(example_result):
        found = figure.findobj(Text)
        (left,) = (t for t in found if t.get_text() == "Reinterpretation of CMS data")
        (right,) = (t for t in found if t.get_text() in ("12.9 fb$^{-1}$ (13 TeV)", "12.9 fb$^{-1}$"))
        for text, x, side in ((left, 0.0, "left"), (right, 1.0, "right")):
            place = text.get_position()
            assert float(place[0]) == pytest.approx(x, abs=0.01), name
            assert text.get_horizontalalignment() == side, name
            assert float(place[1]) > 1, name
        assert left.get_fontstyle() == "italic", name
        bold = [t.get_text() for t in found if t.get_fontweight() in ("bold", 700)]
        assert not any(experiment in text for text in bold for experiment in ("CMS", "ATLAS")), name
        names.append(name)
    assert {
        "projection-ht",
        "count-observed",
        "exclusion",
        "significance-scatter",
        "limit-observed",
        "chance",
    } <= set(names)
