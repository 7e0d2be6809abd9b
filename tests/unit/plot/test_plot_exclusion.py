"""Exclusion plots, Brazil plots and the scatter of significances."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from superbin.catalog import packaged
from superbin.domain.aggregate import AggregateBin, Background
from superbin.errors import InputError
from superbin.plot import (
    brazil_plot,
    exclusion_plot,
    limits_compared,
    scan_figures,
    significance_scatter,
)
from superbin.results import PValue, SearchSummary
from superbin.results.scan import ScanLimit, ScanPoint, ScanResult

SEARCH = SearchSummary("cms-pas-sus-16-014", "t", "CMS-PAS-SUS-16-014", 12.9, 13.0, 160, "0" * 64, "made up")


def point(mother: float, lsp: float, *, error: float | None = 0.2, pb: float | None = None) -> ScanPoint:
    """A point whose limit on mu grows with the mother's mass alone: 1 at 1500 GeV observed, at 1600 GeV expected."""
    mu = math.exp((mother - 1500) / 300)
    expected = math.exp((mother - 1600) / 300)
    low2, low1, median, high1, high2 = (2 * expected * f for f in (0.5, 0.7, 1.0, 1.4, 2.0))
    limit = ScanLimit(2 * mu, low2, low1, median, high1, high2, "exact")
    return ScanPoint(
        {"m_mother": mother, "m_lsp": lsp},
        "done",
        bins=(1,),
        yields=AggregateBin((1,), 2.0, 0.1, Background(5.0, 2.0, 1.5), (), 6),
        expected=PValue(0.1, (2200 - mother) / 300),
        observed=PValue(0.3, (mother - 1400) / 250),
        limit=limit,
        cross_section_pb=packaged.cross_section_table("gluino").at(mother).pb if pb is None else pb,
        cross_section_error=error,
    )


def scan(points: Iterable[ScanPoint], model: str = "T1bbbb") -> ScanResult:
    return ScanResult(
        SEARCH,
        model,
        ("m_mother", "m_lsp"),
        {"level": 0.95},
        tuple(points),
        "0.1.0",
        cross_section_order="NLO+NLL",
        contours=dict.fromkeys(("observed", "expected"), ((1000.0, 1.0), (1500.0, 900.0))),
    )


def plane() -> list[ScanPoint]:
    return [point(m, n) for m in range(800, 2201, 200) for n in range(0, m - 99, 200)]


def where(lines: tuple[np.ndarray, ...]) -> tuple[float, float]:
    masses = np.concatenate([line[:, 0] for line in lines])
    return float(masses.min()), float(masses.max())


def test_lines_stand_where_the_strength_is_one() -> None:
    """FIG-27: observed at 1500 GeV, expected at 1600; bands where the shifted limit is one."""
    drawn = exclusion_plot(scan(plane()))
    assert where(drawn.contours["Observed"]) == pytest.approx((1500, 1500), abs=0.5)
    assert where(drawn.contours["Expected"]) == pytest.approx((1600, 1600), abs=0.5)
    # mu = 1 +- 0.2 lies 300 ln(1 +- 0.2) GeV away; limits 0.7 and 1.4 times the median likewise.
    theory = where(drawn.contours[r"Observed $\pm 1\sigma$ (theory)"])
    assert theory == pytest.approx((1500 + 300 * math.log(0.8), 1500 + 300 * math.log(1.2)), abs=0.5)
    one = where(drawn.contours[r"Expected $\pm 1\sigma$ (experiment)"])
    assert one == pytest.approx((1600 - 300 * math.log(1.4), 1600 - 300 * math.log(0.7)), abs=0.5)
    two = where(drawn.contours[r"Expected $\pm 2\sigma$ (experiment)"])
    assert two == pytest.approx((1600 - 300 * math.log(2), 1600 + 300 * math.log(2)), abs=0.5)
    assert {"observed", "expected"} >= set(drawn.published) != set()


def texts(drawn: object) -> str:
    ax = drawn.ax  # type: ignore[attr-defined]
    legend = ax.get_legend()
    return "\n".join(
        [
            *(t.get_text() for t in ax.texts),
            *(t.get_text() for t in legend.get_texts()),
            legend.get_title().get_text(),
        ]
    )


def test_the_figure_says_what_it_is() -> None:
    """FIG-27: process, decay, order of the cross sections, confidence level, whose limits."""
    said = texts(exclusion_plot(scan(plane())))
    assert r"\tilde{g} \rightarrow b\bar{b}\tilde{\chi}^0_1" in said
    assert "95% CL, NLO+NLL, not smoothed\nOne aggregate bin" in said
    own = replace(scan(plane()), cross_section_order="")
    assert "NLO+NLL" not in texts(exclusion_plot(own))
    assert "given cross sections" in texts(exclusion_plot(own))
    assert "theory" not in texts(
        exclusion_plot(scan([point(m, n, error=None) for m in range(800, 2201, 200) for n in (0, 200, 400)]))
    )


def test_colour_is_the_observed_limit() -> None:
    """FIG-27: on the cross section, in fb."""
    drawn = exclusion_plot(scan(plane()))
    assert isinstance(drawn.points, PathCollection)
    first = plane()[0]
    expected = 1000 * packaged.cross_section_table("gluino").at(800).pb * math.exp(-700 / 300)
    assert np.asarray(drawn.points.get_array())[0] == pytest.approx(expected, rel=1e-12)
    assert first.parameters == {"m_mother": 800, "m_lsp": 0}


def test_one_bin_beside_the_full_likelihood() -> None:
    """FIG-29: colour is the ratio of expected limits; both exclusions are drawn."""
    both = [
        replace(p, likelihood_limit=ScanLimit(1.0, 0.2, 0.3, p.mu_limit.median / 1.5, 0.8, 1.0, "converged"))
        for p in plane()
        if p.mu_limit and p.mu_limit.median
    ]
    drawn = limits_compared(scan(both))
    assert drawn.points is not None
    assert np.asarray(drawn.points.get_array()) == pytest.approx(1.5)
    assert where(drawn.contours["Expected, full likelihood"]) == pytest.approx(
        (1600 + 300 * math.log(1.5),) * 2, abs=0.5
    )
    with pytest.raises(InputError, match=r"full likelihood; scan with --likelihood-limit"):
        limits_compared(scan(plane()))


@pytest.mark.parametrize(
    ("points", "along", "said"),
    [
        ([(m, 1) for m in range(800, 2001, 200)], "m_mother", "= 1 GeV"),
        ([(1500, m) for m in range(0, 1001, 200)], "m_lsp", "= 1500 GeV"),
        ([(m, m - 300) for m in range(800, 2001, 200)], "m_mother", "= 300 GeV"),
    ],
)
def test_limits_along_a_line(points: list[tuple[float, float]], along: str, said: str) -> None:
    """FIG-28: the mass that varies is on the axis, what is the same is written."""
    drawn = brazil_plot(scan(point(m, n) for m, n in points))
    assert drawn.along == along
    assert any(said in text.get_text() for text in drawn.ax.texts)
    assert drawn.ax.get_xlim() == (
        min(p[along == "m_lsp"] for p in points),
        max(p[along == "m_lsp"] for p in points),
    )
    (observed,) = [line for line in drawn.ax.lines if line.get_label() == "Observed"]
    first = point(*points[0])
    assert first.mu_limit is not None
    assert first.cross_section_pb is not None
    assert np.asarray(observed.get_ydata())[0] == pytest.approx(
        1000 * first.cross_section_pb * (first.mu_limit.observed or 0)
    )


def test_a_plane_is_no_line() -> None:
    """FIG-28: points that do not lie on a line are refused."""
    with pytest.raises(InputError, match="do not lie on a line"):
        brazil_plot(scan(plane()))


def test_figures_of_a_scan() -> None:
    """FIG-27 to FIG-32: by name, each drawn on demand."""
    names = set(scan_figures(scan(plane())))
    assert {"exclusion", "limit-observed", "significance-scatter"} <= names
    assert not {"limits", "exclusion-likelihood"} & names
    line = scan_figures(scan(point(m, 1) for m in range(800, 2001, 200)))
    assert "limits" in line
    assert "exclusion" not in line
    failed = replace(
        point(1500, 1), status="failed", reason="x", limit=None, yields=None, expected=None, observed=None
    )
    assert dict(scan_figures(scan([failed]))) == {}


def test_excesses_are_marked() -> None:
    """FIG-32: observed against expected; points from Z = 2 are marked and the largest named."""
    drawn = significance_scatter(scan(plane()))
    assert len(np.asarray(drawn.points.get_offsets())) == len(plane())
    assert {p.parameters["m_mother"] for p in drawn.excesses} == {2000, 2200}
    assert drawn.excesses[0].parameters["m_mother"] == 2200
    assert "T1bbbb(2200, 0)" in {text.get_text() for text in drawn.ax.texts}
