"""Maps of a scan: clauses FIG-20 to FIG-26."""

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superbin.catalog import Catalog
from superbin.domain.aggregate import AggregateBin, Background
from superbin.domain.published import PublishedResults
from superbin.plot import (
    MapArtists,
    MapContour,
    MapValue,
    PublishedContour,
    save,
    scan_map,
    scan_maps,
)
from superbin.plot.style import style
from superbin.results import PValue, SearchSummary
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult

Z = MapValue(lambda p: None if p.expected is None else p.expected.z, "Z")
MU = MapValue(lambda p: None if p.mu_limit is None else p.mu_limit.observed, "mu", "logarithmic")


def point(mother: float, lsp: float, *, z: float | None = None, mu: float | None = None) -> ScanPoint:
    """A finished point whose Z falls and whose limit grows with the mother's mass, both straight lines (of ln mu)."""
    z = (2000 - mother) / 200 if z is None else z
    mu = math.exp((mother - 1500) / 300) if mu is None else mu
    return ScanPoint(
        {"m_mother": mother, "m_lsp": lsp},
        "done",
        bins=(1,),
        yields=AggregateBin((1,), 2.0, 0.1, Background(5.0, 2.0, 1.5), (), 6),
        expected=PValue(0.1, z),
        observed=PValue(0.3, 0.5 * z - 1),
        limit=ScanLimit(2 * mu, mu, 1.4 * mu, 1.8 * mu, 2.8 * mu, 4 * mu, "exact"),
        cross_section_pb=0.01,
    )


def failed(mother: float, lsp: float) -> ScanPoint:
    return ScanPoint({"m_mother": mother, "m_lsp": lsp}, "failed", reason="made up", cross_section_pb=0.01)


def scan(points: Iterable[ScanPoint], model: str = "T1bbbb") -> ScanResult:
    search = SearchSummary(
        "cms-pas-sus-16-014",
        "t",
        "CMS Collaboration, CMS-PAS-SUS-16-014",
        12.9,
        13.0,
        160,
        "0" * 64,
        "made up",
    )
    options: dict[str, str | int | float | None] = {"correlations": "likelihood", "level": 0.95}
    return ScanResult(search, model, ("m_mother", "m_lsp"), options, tuple(points), "0.1.0")


def plane(step: int = 200) -> list[ScanPoint]:
    return [point(m, n) for m in range(800, 2201, step) for n in range(0, m - 99, step)]


def inside(drawn: MapArtists, x: float, y: float) -> bool:
    assert drawn.triangles is not None
    find: Any = drawn.triangles.get_trifinder()
    return bool(find(x, y) >= 0)


def test_every_map() -> None:
    """FIG-20: four maps, six with the full likelihood's limits; none for another number of parameters, or of failures."""
    names = ["significance-expected", "significance-observed", "limit-expected", "limit-observed"]
    assert list(scan_maps(scan(plane()))) == names
    with_likelihood = [replace(p, likelihood_limit=p.mu_limit) for p in plane()]
    more = ["likelihood-limit-expected", "likelihood-limit-observed"]
    assert list(scan_maps(scan(with_likelihood))) == [*names, *more]
    assert scan_maps(replace(scan(plane()), parameters=("m_mother",))) == {}
    assert scan_maps(scan([failed(1500, 100), failed(1600, 200)])) == {}


def test_points_have_their_own_colour() -> None:
    """FIG-21: every finished point with its value, failed ones and those without a value apart."""
    points = [point(1000, 100), point(1200, 100, z=math.nan), point(1400, 100), failed(1600, 100)]
    points[1] = replace(points[1], expected=PValue(1.0, None))
    drawn = scan_map(scan(points), Z)
    assert drawn.points is not None
    assert np.asarray(drawn.points.get_offsets()).tolist() == [[1000, 100], [1400, 100]]
    assert np.asarray(drawn.points.get_array()).tolist() == [5.0, 3.0]
    assert drawn.failed is not None
    assert np.asarray(drawn.failed.get_xdata()).tolist() == [1600]
    assert drawn.empty is not None
    assert np.asarray(drawn.empty.get_xdata()).tolist() == [1200]


class TestColourBetween:
    def test_only_within_the_points(self) -> None:
        """FIG-22: none above the diagonal row, none beyond the heaviest point."""
        drawn = scan_map(scan(plane()), Z)
        assert inside(drawn, 1500, 700)
        assert not inside(drawn, 1200, 1150)
        assert not inside(drawn, 2250, 700)

    def test_not_across_a_gap(self) -> None:
        """FIG-22: two groups of points far apart are not joined."""
        points = [point(m, n) for m in (600, 700, 800, 1900, 2000, 2100) for n in (0, 100, 200)]
        drawn = scan_map(scan(points), Z)
        assert inside(drawn, 720, 130)
        assert inside(drawn, 2020, 130)
        assert not inside(drawn, 1300, 100)

    def test_not_over_a_failed_point(self) -> None:
        """FIG-22: around a failed point there is nothing, on neither side."""
        points = [p if tuple(p.parameters.values()) != (1600, 600) else failed(1600, 600) for p in plane()]
        drawn = scan_map(scan(points), Z)
        for dx, dy in itertools.product((-20, 20), repeat=2):
            assert not inside(drawn, 1600 + dx, 600 + dy)
        assert inside(drawn, 2000, 600)

    def test_not_beyond_neighbours_where_points_are_dense(self) -> None:
        """FIG-22: what is far depends on both neighbourhoods: a lone point does not reach into a dense plane, and a coarse
        part is filled beside a dense one.
        """
        dense = [point(m, n) for m in range(1000, 1251, 50) for n in range(0, 251, 50)]
        drawn = scan_map(scan([*dense, point(2000, 0)]), Z)
        assert inside(drawn, 1120, 130)
        assert not inside(drawn, 1400, 50)
        coarse = [point(m, n) for m in (1400, 1600, 1800) for n in (0, 250, 450)]
        drawn = scan_map(scan([*dense, *coarse]), Z)
        assert inside(drawn, 1300, 100)
        assert inside(drawn, 1700, 200)

    def test_not_on_a_sliver(self) -> None:
        """FIG-22: points that nearly lie on a line have no plane between them, and no contours."""
        line = [point(m, round(0.5 * m) + (m // 200) % 2 * 8) for m in range(800, 2201, 200)]
        drawn = scan_map(scan(line), MU, contours=(MapContour(MU.value, 1.0, "excluded", logarithmic=True),))
        assert drawn.triangles is None
        assert drawn.contours == {}
        # Beside a plane they have none either, and the plane has.
        corner = [point(m, n) for m in (800, 1000, 1200, 1400) for n in (0, 200, 400)]
        flat = [point(1600, 0), point(1800, -5), point(1500, -5)]
        drawn = scan_map(scan([*corner, *flat]), Z)
        assert inside(drawn, 1100, 100)
        assert not inside(drawn, 1550, -3)

    @pytest.mark.parametrize(
        "points",
        [
            [],
            [point(1500, 100)],
            [point(1500, 100), point(1600, 100)],
            [point(1500, n) for n in (0, 100, 300, 700)],
            [point(1500, 100 * n) for n in range(8)],
            [point(1000, 1), point(1500, 390), point(2000, 800)],
            [point(m, n) for m in (1000, 1500) for n in (0, 500)],
            [failed(1500, 100), failed(1600, 200), failed(1700, 900)],
        ],
        ids=["none", "one", "two", "collinear", "eight collinear", "three", "four", "all failed"],
    )
    def test_too_few(self, points: list[ScanPoint], tmp_path: Path) -> None:
        """FIG-22: without a triangle there are points alone; every map of it can be drawn and saved."""
        drawn = scan_map(scan(points), Z)
        assert drawn.triangles is None
        assert (drawn.points is None) == (not any(p.status == "done" for p in points))
        for name, figure in scan_maps(scan(points)).items():
            save(figure, tmp_path / f"{name}.png")
            legend = figure.axes[0].get_legend()
            assert legend is not None
            assert not any(re.match("Expected|Observed", t.get_text()) for t in legend.get_texts())


class TestContours:
    def test_where_the_level_is(self) -> None:
        """FIG-23: ln mu is linear in the mother's mass and 0 at 1500: so is the line, at any LSP mass."""
        contour = MapContour(MU.value, 1.0, "excluded", logarithmic=True)
        drawn = scan_map(scan(plane()), MU, contours=(contour,))
        (line,) = drawn.contours["excluded"]
        np.testing.assert_allclose(line[:, 0], 1500, atol=1e-6)
        assert line[:, 1].max() > 1000

    def test_expected_z(self) -> None:
        """FIG-23: Z = 3 at 1400 and Z = 5 at 1000."""
        contours = tuple(MapContour(Z.value, level, f"{level:g}") for level in (3.0, 5.0))
        drawn = scan_map(scan(plane()), Z, contours=contours)
        np.testing.assert_allclose(np.concatenate(drawn.contours["3"])[:, 0], 1400, atol=1e-6)
        np.testing.assert_allclose(np.concatenate(drawn.contours["5"])[:, 0], 1000, atol=1e-6)

    def test_no_exclusion(self) -> None:
        """FIG-23: a level that no two points enclose is neither drawn nor in the legend."""
        points = [point(m, n, mu=5.0 + m / 1000) for m in (1000, 1200, 1400) for n in (0, 200, 400)]
        for name, figure in scan_maps(scan(points)).items():
            legend = figure.axes[0].get_legend()
            assert legend is not None
            texts = [t.get_text() for t in legend.get_texts()]
            assert not any("exclusion" in text for text in texts), name
        drawn = scan_map(
            scan(points), MU, contours=(MapContour(MU.value, 1.0, "excluded", logarithmic=True),)
        )
        assert drawn.contours == {}


def with_contours(result: ScanResult, published: PublishedResults | None) -> ScanResult:
    assert published is not None
    lines = {name: tuple((x, y) for x, y in line.tolist()) for name, line in published.contours.items()}
    return replace(result, contours=lines)


class TestPublished:
    def test_contours_over_the_limits(self, packaged_catalog: Catalog) -> None:
        """FIG-24: the published contours of the map's side with their band, point by point as published, and in the legend."""
        published = packaged_catalog.limits("cms-pas-sus-16-014", "T1bbbb")
        assert published is not None
        for side, last in (
            ("observed", r"Published, observed $\pm 1\sigma$ (theory)"),
            ("expected", r"Published, expected $\pm 1\sigma$"),
        ):
            ax = scan_maps(with_contours(scan(plane()), published))[f"limit-{side}"].axes[0]
            lines = [line for line in ax.get_lines() if str(line.get_label()).startswith("Published")]
            names = (side, f"{side}_weaker", f"{side}_stronger")
            assert len(lines) == len(names)
            for line, name in zip(lines, names, strict=True):
                np.testing.assert_array_equal(line.get_xydata(), published.contours[name])
            legend = ax.get_legend()
            assert legend is not None
            texts = [text.get_text() for text in legend.get_texts()]
            assert texts[-2:] == [f"Published, {side}", last]

    def test_only_of_limits_at_the_published_level(self, packaged_catalog: Catalog) -> None:
        """FIG-24: not on significances, not at another level, not of a model or search that published none."""
        published = packaged_catalog.limits("cms-pas-sus-16-014", "T1bbbb")
        maps = scan_maps(with_contours(scan(plane()), published))
        at_90 = replace(scan(plane()), options={"level": 0.9})
        other = scan(plane(), "T9")
        for figure in (
            maps["significance-observed"],
            scan_maps(at_90)["limit-observed"],
            scan_maps(other)["limit-observed"],
        ):
            assert not [line for line in figure.axes[0].get_lines() if "Published" in str(line.get_label())]

    def test_outside_the_map(self) -> None:
        """FIG-24: a contour of which no point lies in the map is not drawn, and none moves the axes."""
        far = [point(m, n) for m in (300, 400) for n in (0, 100)]
        far_away = PublishedContour(
            "observed", np.array([[1000.0, 1.0], [1500.0, 900.0]]), "theirs", "-", 1.0
        )
        bare = scan_map(scan(far), MU)
        drawn = scan_map(scan(far), MU, published=[far_away])
        assert drawn.published == {}
        through = replace(far_away, place=np.array([[350.0, 50.0], [1500.0, 900.0]]))
        drawn = scan_map(scan(far), MU, published=[through])
        assert list(drawn.published) == ["observed"]
        assert drawn.ax.get_xlim() == bare.ax.get_xlim()


@pytest.mark.parametrize("low", [False, True], ids=["triangle", "low masses of the LSP alone"])
def test_nothing_is_covered_or_cut(low: bool) -> None:
    """FIG-25, FIG-26: legend and model stand clear of every point, and all text is on the figure."""
    points = [point(m, n) for m in range(800, 2201, 200) for n in (0, 100, 200)] if low else plane()
    for name, figure in scan_maps(scan([*points, failed(2300, 100)])).items():
        with style():
            figure.canvas.draw()
            ax = figure.axes[0]
            legend = ax.get_legend()
            assert legend is not None
            (model,) = (text for text in ax.texts if text.get_text() == "T1bbbb")
            boxes = [legend.get_window_extent(), model.get_window_extent()]
            places = ax.transData.transform([list(p.parameters.values()) for p in points])
            for x, y in places:
                assert not any(box.contains(x, y) for box in boxes), (name, x, y)
            tight = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
            assert tight.x0 >= 0
            assert tight.y0 >= 0
            assert tight.x1 <= figure.bbox.x1
            assert tight.y1 <= figure.bbox.y1
            ends = [(line, line.get_xydata()) for line in ax.get_lines()]
            equal = [
                line
                for line, xy in ends
                if np.shape(xy) == (2, 2) and np.ptp(np.asarray(xy), axis=1).max() == 0
            ]
            assert [line.is_dashed() for line in equal] == ([] if low else [True])
        assert r"\tilde{g}" in ax.get_xlabel()
        assert "GeV" in ax.get_ylabel()
        assert any("Reinterpretation of CMS data" in text.get_text() for text in ax.texts)
