"""Letters of every figure are readable at the size at which a paper prints it, and fonts are embedded as publishers want them."""

import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from superbin.plot import figures, scan_figures
from superbin.plot.correlation import correlation_matrix
from superbin.plot.likelihood import channel_yields, impact_ranking
from superbin.plot.style import style
from superbin.results import AnalysisResult, PValue
from superbin.results.likelihood import ChannelYields, Impact, Impacts, Yields
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult

TEXT_WIDTH = 16.6 / 2.54  # inches, of an A4 page as the paper has it
POINTS = 7.0


def smallest(figure: Figure, printed: float) -> tuple[float, str]:
    """The smallest letters of a figure that is printed at a width in inches, in points, and what they say."""
    with style():
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
    scale = printed / figure.get_size_inches()[0]
    found: list[Any] = figure.findobj(Text)
    texts = [t for t in found if t.get_visible() and t.get_text().strip()]
    assert texts
    return min((float(t.get_fontsize()) * scale, t.get_text()) for t in texts)


def point(mother: float, lsp: float) -> ScanPoint:
    mu = np.exp((mother - 1500) / 300)
    observed, low2, low1, median, high1, high2 = (float(mu * f) for f in (1.2, 0.5, 0.7, 1.0, 1.4, 2.0))
    limit = ScanLimit(observed, low2, low1, median, high1, high2, "exact")
    return ScanPoint(
        {"m_mother": mother, "m_lsp": lsp},
        "done",
        bins=(1,),
        expected=PValue(0.1, 2.0),
        observed=PValue(0.2, float(2 * np.sin(mother))),
        likelihood_limit=limit,
        cross_section_pb=0.01,
        cross_section_error=0.1,
    )


def test_half_a_page(example_result: AnalysisResult) -> None:
    """FIG-41: figures of a result, two in a row."""
    for name, figure in figures(example_result).items():
        size, text = smallest(figure, 0.49 * TEXT_WIDTH)
        assert size >= POINTS, (name, text)


def test_four_fifths(example_result: AnalysisResult) -> None:
    """FIG-41: figures of a scan, over a plane and along a line."""
    search = example_result.search
    plane = tuple(point(m, n) for m in range(900, 2201, 200) for n in (1, 200, 500))
    for points in (plane, tuple(p for p in plane if p.parameters["m_lsp"] == 1)):
        result = ScanResult(search, "T1bbbb", ("m_mother", "m_lsp"), {"level": 0.95}, points, "0.1.0")
        for name, figure in scan_figures(result).items():
            size, text = smallest(figure, 0.8 * TEXT_WIDTH)
            assert size >= POINTS, (name, text)


def yields(bins: int) -> Yields:
    """Events of channels with long names, over four decades."""
    events = np.geomspace(0.1, 1000.0, bins)
    channels = tuple(
        ChannelYields(f"a_channel_with_a_long_name_{k}", (round(n),), {"b": (n,)}, (n,), (0.1 * n,))
        for k, n in enumerate(events.tolist())
    )
    return Yields("post-fit, mu = 1", channels, (), "converged")


def test_whole_width() -> None:
    """FIG-41: the correlation matrix with its groups of bins, pulls with impacts, and events of channels."""
    matrix = np.eye(160) * 0.9 + 0.1
    names = [f"a_nuisance_parameter_with_a_long_name_{k}" for k in range(20)]
    ranking = Impacts(
        "mu",
        1.0,
        0.3,
        tuple(Impact(name, "normal", 0.1, 0.9, 0.1, 0.9, 0.05, 0.06, -0.05) for name in names),
        "converged",
    )
    names_of_groups = ("3-4 jets", "5-6 jets", "7-8 jets", r"$\geq$ 9 jets")
    made = {
        "correlation": correlation_matrix(matrix, blocks=(40, 80, 120), names=names_of_groups).figure,
        "impacts": impact_ranking(ranking).figure,
        "yields": channel_yields(yields(3)).figure,
        "many yields": channel_yields(yields(60)).figure,
    }
    for name, figure in made.items():
        size, text = smallest(figure, TEXT_WIDTH)
        assert size >= POINTS, (name, text)


@pytest.mark.parametrize("name", ["projection-ht", "count-expected"])
def test_type_42(example_result: AnalysisResult, name: str) -> None:
    """FIG-41: no Type 3 font in a PDF, and what is called TrueType is TrueType."""
    stream = BytesIO()
    with style():
        figures(example_result)[name].savefig(stream, format="pdf")
    content = stream.getvalue()
    assert b"/Type3" not in content
    assert b"/CIDFontType2" in content
    # Outlines in the manner of PostScript would begin with OTTO, and could not be embedded as what they say they are.
    starts = content.split(b"stream\n")[1:]
    fonts = 0
    for part in starts:
        try:
            data = zlib.decompressobj().decompress(part)
        except zlib.error:
            continue
        assert not data.startswith(b"OTTO")
        fonts += data.startswith(b"\x00\x01\x00\x00")
    assert fonts > 0
