"""Figures of projections: what they show, and that nothing overlaps."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.text import Text
from matplotlib.transforms import Bbox, BboxBase
from scipy.stats import poisson

from superbin.domain._intervals import garwood_interval
from superbin.errors import InputError
from superbin.plot import ProjectionArtists, projection
from superbin.plot.style import style
from superbin.results import AnalysisResult, Projection
from superbin.results.wording import attribution, projection_stems

ProjectionOf = Callable[..., Projection]
CONDITIONS: dict[str, Any] = {"signal_label": "T1bbbb(1750, 1)", "luminosity_fb": 12.9, "sqrt_s_tev": 13.0}


def draw(item: Projection, **changes: Any) -> ProjectionArtists:
    return projection(item, **{**CONDITIONS, **changes})


@pytest.fixture
def ht(example_result: AnalysisResult) -> Projection:
    """Five columns in two groups; one without data, one with data far above background."""
    return example_result.projections[3]


def points(container: ErrorbarContainer) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y and the ends of the error bars."""
    line, _, (bars,) = container.lines
    assert line is not None
    segments = np.array(bars.get_segments())
    x, y = (np.asarray(a, dtype=float) for a in line.get_data())
    return x, y, segments[:, 0, 1], segments[:, 1, 1]


def steps(patch: StepPatch) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower ends of what a patch covers."""
    values, _, baseline = patch.get_data()
    return np.asarray(values, dtype=float), np.asarray(baseline, dtype=float)


def words(artists: ProjectionArtists) -> list[str]:
    return [t.get_text() for t in artists.figure.findobj(Text) if t.get_text()]


class TestContent:
    def test_stack_is_the_processes(self, ht: Projection) -> None:
        """FIG-2: each layer is as high as its process; the stack ends at the total; the last is lowest."""
        drawn = draw(ht)
        layers = [steps(patch) for patch in drawn.backgrounds]
        for (top, bottom), name in zip(layers, ("lostlep", "hadtau", "znn", "qcd"), strict=True):
            nominal = [
                next(p.nominal for p in column.yields.processes if p.name == name) for column in ht.columns
            ]
            np.testing.assert_allclose(top - bottom, nominal, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(layers[0][0], [c.yields.background.nominal for c in ht.columns])
        np.testing.assert_allclose(layers[-1][1], 0.0, atol=1e-10)
        assert drawn.main.get_yscale() == "log"

    def test_uncertainty_is_asymmetric(self, ht: Projection) -> None:
        """FIG-2, FIG-5: the hatched bands reach from total - down to total + up."""
        drawn = draw(ht)
        background = [c.yields.background for c in ht.columns]
        (high, low), (ratio_high, ratio_low) = steps(drawn.uncertainty), steps(drawn.ratio_uncertainty)
        np.testing.assert_allclose(high, [b.nominal + b.up for b in background])
        np.testing.assert_allclose(low, [b.nominal - b.down for b in background])
        np.testing.assert_allclose(ratio_high, [(b.nominal + b.up) / b.nominal for b in background])
        np.testing.assert_allclose(ratio_low, [(b.nominal - b.down) / b.nominal for b in background])
        assert drawn.uncertainty.get_hatch()

    def test_signal_is_an_outline(self, ht: Projection) -> None:
        """FIG-3: the signal's events, from zero, and the legend says that they are not stacked."""
        drawn = draw(ht)
        np.testing.assert_allclose(steps(drawn.signal)[0], [c.yields.signal for c in ht.columns])
        assert not drawn.signal.get_fill()
        assert "T1bbbb(1750, 1), not stacked" in [
            " ".join(t.get_text().split()) for t in drawn.legend.get_texts()
        ]

    def test_data_with_intervals(self, ht: Projection) -> None:
        """FIG-4: observed events with central Poisson intervals; no data shows the upper limit 1.84."""
        x, y, low, high = points(draw(ht).data)
        observed = [c.yields.observed for c in ht.columns]
        np.testing.assert_allclose(x, np.arange(5))
        np.testing.assert_allclose(y, observed)
        for n, a, b in zip(observed, low, high, strict=True):
            # The tail probabilities define the interval; the sums over counts know nothing of gamma functions.
            assert poisson.cdf(n, b) == pytest.approx(0.158655, abs=1e-6)
            assert a == 0 if n == 0 else poisson.sf(n - 1, a) == pytest.approx(0.158655, abs=1e-6)
        assert high[observed.index(0)] == pytest.approx(1.841, abs=5e-4)

    def test_ratio(self, ht: Projection) -> None:
        """FIG-5: data over background with its interval; a point above the panel is written as a number."""
        drawn = draw(ht)
        _, y, low, high = points(drawn.ratio_data)
        _, events, least, most = points(drawn.data)
        background = np.array([c.yields.background.nominal for c in ht.columns])
        np.testing.assert_allclose(y, events / background)
        np.testing.assert_allclose(low, least / background)
        np.testing.assert_allclose(high, most / background)
        assert drawn.ratio.get_ylim()[1] == 4
        assert [t.get_text() for t in drawn.overflow] == ["↑ 6.98"]

    @pytest.mark.parametrize(("observed", "top"), [(10, 2), (25, 3), (35, 4), (90, 4)])
    def test_ratio_range(self, projection_of: ProjectionOf, observed: int, top: float) -> None:
        """FIG-5: the panel ends at the first of 2, 3 and 4 that holds the points."""
        drawn = draw(projection_of("nb", [("0", "", False, 10.0, 1.0, observed)]))
        assert drawn.ratio.get_ylim()[1] == top
        assert len(drawn.overflow) == (observed > 40)

    def test_no_background_no_ratio(self, projection_of: ProjectionOf) -> None:
        """FIG-5: nothing is divided by zero."""
        drawn = draw(projection_of("nb", [("0", "", False, 0.0, 1.0, 2), ("1", "", False, 4.0, 1.0, 2)]))
        x, y, _, _ = points(drawn.ratio_data)
        assert (x.tolist(), y.tolist()) == ([1.0], [0.5])
        assert np.isnan(steps(drawn.ratio_uncertainty)[0]).tolist() == [True, False]

    def test_aggregate_columns_are_shaded(self, ht: Projection) -> None:
        """FIG-6: in both panels, those columns and no other; the legend says what it means."""
        drawn = draw(ht)
        for ax in (drawn.main, drawn.ratio):
            spans = [p for p in ax.patches if isinstance(p, Rectangle)]
            assert [(s.get_x(), s.get_width()) for s in spans] == [(1.5, 1.0), (3.5, 1.0)]
        assert "Aggregate bins" in [t.get_text() for t in drawn.legend.get_texts()]

    def test_no_aggregate_no_legend_entry(self, projection_of: ProjectionOf) -> None:
        """FIG-6: a legend entry exists only for what is drawn."""
        drawn = draw(projection_of("nb", [("0", "", False, 3.0, 1.0, 2)]))
        assert not any("aggregate" in t.get_text() for t in drawn.legend.get_texts())

    def test_groups(self, ht: Projection) -> None:
        """FIG-6: a line between the groups in both panels, a caption in the middle of each."""
        drawn = draw(ht)
        for ax in (drawn.main, drawn.ratio):
            vertical = [
                np.asarray(line.get_xdata()) for line in ax.lines if len(np.unique(line.get_xdata())) == 1
            ]
            assert [x[0] for x in vertical if len(x) == 2] == [2.5]
        captions = {t.get_text(): t.get_position()[0] for t in drawn.main.texts}
        assert captions[r"$H_\mathrm{T}^\mathrm{miss}$ 300–750 GeV"] == pytest.approx(1.5 / 5)
        assert captions[r"$H_\mathrm{T}^\mathrm{miss}$ > 750 GeV"] == pytest.approx(4 / 5)

    def test_axes(self, ht: Projection) -> None:
        """FIG-1: ranges at equal steps, observable and unit on the axis."""
        drawn = draw(ht)
        assert [t.get_text() for t in drawn.ratio.get_xticklabels()] == [
            "≤ 500",
            "500–1000",
            "> 1000",
            "750–1500",
            "> 1500",
        ]
        assert drawn.ratio.get_xlabel() == r"$H_\mathrm{T}$ [GeV]"
        assert (drawn.main.get_ylabel(), drawn.ratio.get_ylabel()) == ("Events", "Data / bkg.")

    def test_no_unit_no_brackets(self, example_result: AnalysisResult) -> None:
        """FIG-1: a count has no unit."""
        assert draw(example_result.projections[0]).ratio.get_xlabel() == r"$N_\mathrm{jet}$"

    def test_selection_and_note(self, ht: Projection) -> None:
        """FIG-7: selection and note are in the figure, word for word."""
        text = " ".join(draw(ht).selection.get_text().split())
        assert ht.selection in text
        assert ht.note in text

    def test_header(self, ht: Projection) -> None:
        """FIG-10: whose data at the left in italics and not bold; luminosity and energy at the right."""
        drawn = draw(ht, attribution=attribution("CMS Collaboration, CMS-PAS-SUS-16-014"))
        left = next(t for t in drawn.main.texts if t.get_text() == "Reinterpretation of CMS data")
        assert left.get_fontstyle() == "italic"
        assert not any(t.get_fontweight() in ("bold", 700) for t in drawn.figure.findobj(Text))
        assert "12.9 fb$^{-1}$ (13 TeV)" in words(drawn)

    def test_colours_follow_the_process(self, example_result: AnalysisResult) -> None:
        """FIG-2: the same process has the same colour in every projection, and no two are alike."""
        first, second = (draw(p) for p in example_result.projections[:2])
        for a, b in zip(first.backgrounds, second.backgrounds, strict=True):
            assert same_color(a.get_facecolor(), b.get_facecolor())
        assert len({p.get_facecolor() for p in first.backgrounds}) == 4

    def test_nothing_to_draw(self, ht: Projection) -> None:
        """FIG-1: a projection without columns is an error that names it."""
        with pytest.raises(InputError, match="projection on 'ht' has no columns"):
            draw(replace(ht, columns=()))


@pytest.mark.parametrize(
    ("n", "low", "high"), [(0, 0.0, 1.841), (1, 0.173, 3.300), (3, 1.367, 5.918), (10, 6.891, 14.267)]
)
def test_garwood_table(n: int, low: float, high: float) -> None:
    """FIG-4: the limits as tabulated for small counts in the field."""
    assert garwood_interval(np.array([float(n)]))[:, 0] == pytest.approx([low, high], abs=1e-3)


LONG = "a very long name of a process that nobody would put into a legend but somebody will"
NASTY: dict[str, dict[str, Any]] = {
    "plain": {},
    "one column": {"columns": [("> 0", "", True, 2.0, 1.0, 3)]},
    "all zero": {"columns": [("0", "", False, 0.0, 0.0, 0), ("1", "", True, 0.0, 0.0, 0)]},
    "huge and tiny": {"columns": [("0", "", False, 4e6, 1e-9, 4_000_321), ("1", "", True, 2e-6, 1e-4, 0)]},
    "many columns": {
        "columns": [(f"{k}00-{k + 1}00", "", k % 3 == 0, 30.0 / k, 1.0, k) for k in range(1, 15)]
    },
    "many long columns": {
        "columns": [(f"range number {k} of fourteen", "", False, 30.0 / k, 1.0, k) for k in range(1, 15)]
    },
    "many groups": {"columns": [(str(k), f"group {k} with a caption", False, 9.0, 1.0, 9) for k in range(8)]},
    "long selection": {"selection": "events that pass one or another of many cuts " * 30},
    "one long word": {"selection": "x" * 400},
    "long note": {"note": "What a reader must know, at length. " * 8},
    "long observable": {"label": "the transverse momentum of the third jet", "unit": "GeV"},
}


@pytest.fixture(params=list(NASTY.values()), ids=list(NASTY))
def nasty(request: pytest.FixtureRequest, projection_of: ProjectionOf, ht: Projection) -> Projection:
    changes = dict(request.param)
    columns = changes.pop("columns", None)
    return replace(ht if columns is None else projection_of("ht", columns), **changes)


def inside(box: BboxBase, frame: BboxBase, slack: float = 1.0) -> bool:
    return bool(
        box.x0 >= frame.x0 - slack
        and box.x1 <= frame.x1 + slack
        and box.y0 >= frame.y0 - slack
        and box.y1 <= frame.y1 + slack
    )


def overlaps(boxes: list[tuple[str, Bbox]]) -> Iterator[tuple[str, str]]:
    for (a, left), (b, right) in itertools.combinations(boxes, 2):
        common = Bbox.intersection(left, right)
        if common is not None and common.width > 1 and common.height > 1:
            yield a, b


def check_layout(drawn: ProjectionArtists) -> None:
    with style():
        _check_layout(drawn)


def _check_layout(drawn: ProjectionArtists) -> None:
    figure = drawn.figure
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    frame, main = figure.bbox, drawn.main.get_window_extent()
    axes = (drawn.main, drawn.ratio)
    texts = [t for ax in axes for t in (*ax.texts, ax.xaxis.label, ax.yaxis.label, *ax.get_yticklabels())]
    texts += [*drawn.ratio.get_xticklabels(), *drawn.legend.get_texts()]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text().strip()]
    outside = [text for text, box in boxes if not inside(box, frame)]
    assert not outside
    tilted = {t.get_text() for t in drawn.ratio.get_xticklabels() if t.get_rotation()}
    straight = [(text, box) for text, box in boxes if text not in tilted]
    assert list(overlaps(straight)) == []
    # Tilted labels are parallel: they are clear of each other if their anchors are further apart than they are thick.
    below = drawn.ratio.get_xaxis().label.get_window_extent().y1
    assert all(box.y0 >= below - 1 for text, box in boxes if text in tilted)
    for box in (drawn.legend.get_window_extent(), drawn.selection.get_window_extent()):
        assert inside(box, main)
    # Everything drawn ends below the lowest text in the panel.
    lowest = min(t.get_window_extent().y0 for t in (*drawn.main.texts[2:], *drawn.legend.get_texts()))
    _, _, _, most = points(drawn.data)
    highest = max(float(np.max(steps(drawn.uncertainty)[0])), float(np.max(most)))
    assert drawn.main.transData.transform((0, highest))[1] <= lowest


class TestLayout:
    def test_nothing_overlaps(self, nasty: Projection) -> None:
        """FIG-11: texts keep clear of each other, of the frame and of the data."""
        check_layout(draw(nasty, attribution="Reinterpretation of CMS data"))

    def test_long_labels(self, ht: Projection) -> None:
        """FIG-11: ten processes with long labels, a long signal and a long attribution."""
        columns = []
        for column in ht.columns:
            (first, *_) = column.yields.processes
            share = column.yields.background.nominal / 10
            many = tuple(
                replace(first, name=f"p{k}", label=f"{k} {LONG}"[:40], nominal=share) for k in range(10)
            )
            columns.append(replace(column, yields=replace(column.yields, processes=many)))
        drawn = draw(
            replace(ht, columns=tuple(columns)),
            signal_label=f"signal {LONG} {LONG}",
            attribution=f"Reinterpretation of {LONG}",
        )
        check_layout(drawn)
        assert len(drawn.legend.get_texts()) == 14

    def test_tilted_labels_do_not_touch(self, projection_of: ProjectionOf) -> None:
        """FIG-11: labels that would be unreadably small are tilted, and the figure leaves space below."""
        item = projection_of("ht", NASTY["many long columns"]["columns"])
        labels = draw(item).ratio.get_xticklabels()
        assert all(t.get_rotation() == pytest.approx(60) for t in labels)
        assert all(float(t.get_fontsize()) >= 8 for t in labels)

    @pytest.mark.parametrize(
        "text",
        [
            "$",
            "$$",
            "a $ b",
            r"$\foo$",
            r"$\frac{$",
            "$a_b_c$",
            r"\$5",
            "100 %",
            "a\nb\tc",
            "中文",
            "#&_{}~^\\",
            r"$\sqrt{s}$",
            "",
        ],
    )
    def test_any_text(self, ht: Projection, text: str) -> None:
        """FIG-12: whatever a name holds, the figure is drawn and the text is in it."""
        columns = tuple(replace(c, text=f"x{text}", group="") for c in ht.columns)
        item = replace(ht, label=text, unit=text, selection=text, note=text, columns=columns)
        drawn = draw(item, signal_label=text, attribution=text)
        check_layout(drawn)


class TestState:
    def test_settings_are_restored(self, ht: Projection) -> None:
        """FIG-13: Matplotlib's settings, its backend and pyplot's figures stay as they were."""
        before, numbers = dict(mpl.rcParams), plt.get_fignums()
        draw(ht)
        assert dict(mpl.rcParams) == before
        assert plt.get_fignums() == numbers

    def test_settings_do_not_matter(self, ht: Projection) -> None:
        """FIG-13: a user's style changes nothing."""
        plain = pixels(draw(ht).figure)
        with mpl.rc_context(
            {"font.size": 30, "axes.facecolor": "yellow", "lines.linewidth": 9, "figure.dpi": 40}
        ):
            styled = pixels(draw(ht).figure)
        np.testing.assert_array_equal(plain, styled)

    def test_given_axes(self, ht: Projection) -> None:
        """FIG-13: axes that are given are drawn on, also in a part of a figure."""
        figure = Figure(figsize=(12, 6))
        part = figure.add_subfigure(figure.add_gridspec(1, 2)[1])
        main, ratio = part.subplots(2, 1, height_ratios=(3, 1))
        drawn = draw(ht, axes=(main, ratio))
        assert (drawn.main, drawn.ratio, drawn.figure) == (main, ratio, figure)
        assert drawn.legend.axes is main

    def test_axes_without_figure(self, ht: Projection) -> None:
        """FIG-13: axes that were removed are refused."""
        main, ratio = Figure().subplots(2, 1)
        main.remove()
        with pytest.raises(InputError, match="belong to no figure"):
            draw(ht, axes=(main, ratio))


def pixels(figure: Figure) -> np.ndarray:
    canvas: Any = FigureCanvasAgg(figure)
    figure.set_dpi(50)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def test_stems(example_result: AnalysisResult) -> None:
    """FIG-15: names are safe in files and in LaTeX, and no two are the same."""
    assert projection_stems(example_result.projections) == (
        "projection-njet",
        "projection-nb",
        "projection-mht",
        "projection-ht",
    )
    strange = [
        replace(example_result.projections[0], observable=name) for name in ("é/../x y", "E X-Y", "中", "文")
    ]
    stems = projection_stems(strange)
    assert stems == ("projection-e-x-y", "projection-e-x-y-2", "projection", "projection-4")


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("CMS Collaboration, CMS-PAS-SUS-16-014 (2016)", "Reinterpretation of CMS data"),
        ("ATLAS-SUSY-2018-04", "Reinterpretation of ATLAS data"),
        ("arXiv:0000.00000, acmsx", "Reinterpretation of published data"),
    ],
)
def test_attribution(reference: str, text: str) -> None:
    """FIG-10: the experiment named by the reference, else none."""
    assert attribution(reference) == text
