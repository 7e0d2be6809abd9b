"""Cross sections against published numbers: clauses SIG-9 and SIG-10."""

import math
from dataclasses import replace

import pytest

from superbin.catalog import Catalog, packaged
from superbin.domain.cross_sections import CrossSection, process_of
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, UnknownNameError

PUBLISHED = {
    # GeV: (pb, %), NLO+NLL at 13 TeV with decoupled squarks, as the working group lists them
    200: (3574.52, 14.0616),
    600: (9.20353, 13.7185),
    1000: (0.325388, 16.758),
    1500: (0.0141903, 22.7296),
    1750: (0.00359842, 27.1502),
    3000: (7.08299e-06, 56.6394),
}


def cross_section(process: str, mass: float) -> CrossSection:
    return packaged.cross_section_table(process).at(mass)


@pytest.mark.parametrize("mass", PUBLISHED)
def test_published_masses(mass: int) -> None:
    """SIG-9: exactly the published number, in pb."""
    pb, percent = PUBLISHED[mass]
    found = cross_section("gluino", mass)
    assert (found.process, found.mass, found.pb) == ("gluino", mass, pb)
    assert found.relative_uncertainty == pytest.approx(percent / 100, rel=1e-12)


def test_units_by_the_packaged_histogram(t1bbbb: SignalModel) -> None:
    """SIG-9: CMS normalised its histogram of gluinos of 1750 GeV at 12.9 fb-1 to this cross section; 60 % are selected."""
    produced = cross_section("gluino", 1750).pb * 1000 * 12.9
    assert produced == pytest.approx(46.42, abs=0.005)
    assert t1bbbb.yields.sum() / produced == pytest.approx(0.600, abs=0.0005)
    assert t1bbbb.cross_section_pb == cross_section("gluino", 1750).pb


def test_between_masses_the_logarithm_is_linear() -> None:
    """SIG-9: between two masses the logarithm and the uncertainty are interpolated linearly."""
    low, middle, high = (cross_section("gluino", m) for m in (1750, 1752.5, 1755))
    assert middle.pb == pytest.approx(math.sqrt(low.pb * high.pb), rel=1e-12)
    assert low.relative_uncertainty is not None
    assert high.relative_uncertainty is not None
    assert middle.relative_uncertainty == pytest.approx(
        (low.relative_uncertainty + high.relative_uncertainty) / 2, rel=1e-12
    )


@pytest.mark.parametrize("mass", [199.9, 3000.1, math.nan, math.inf, -1])
def test_outside_is_refused(mass: float) -> None:
    """SIG-9: a mass outside the table is refused with the range and the option to use."""
    with pytest.raises(InputError, match="go from 200 to 3000 GeV and not to .*--cross-section"):
        cross_section("gluino", mass)


@pytest.mark.parametrize("process", ["stop", "sbottom"])
@pytest.mark.parametrize(
    ("mass", "pb", "percent"),
    [
        (200, 64.5085, 14.4098),
        (500, 0.51848, 13.3797),
        (1000, 0.00615134, 16.2953),
        (2000, 1.62355e-5, 36.5277),
    ],
)
def test_third_generation(process: str, mass: int, pb: float, percent: float) -> None:
    """SIG-9: exactly the working group's numbers, the same for stop and sbottom pairs."""
    found = cross_section(process, mass)
    assert (found.process, found.pb) == (process, pb)
    assert found.relative_uncertainty == pytest.approx(percent / 100, rel=1e-12)


@pytest.mark.parametrize(
    ("mass", "pb"),
    [(310, 7.17876), (605, 0.166131), (1010, 0.00572452), (1455, 0.000333885), (1655, 0.000100112)],
)
def test_a_thinned_table_is_close(mass: int, pb: float) -> None:
    """SIG-9: the working group lists stops in steps of 5 GeV, of which the package holds some."""
    assert cross_section("stop", mass).pb == pytest.approx(pb, rel=4e-3)


@pytest.mark.parametrize(
    ("mass", "ten_fold"),
    [
        (200, 647.123),
        (600, 1.76645),
        (950, 0.0898112),
        (1000, 0.0624391),
        (1500, 0.00261222),
        (2000, 0.000171615),
    ],
)
def test_eight_squarks(mass: int, ten_fold: float) -> None:
    """SIG-9: 0.8 of the working group's cross section of ten degenerate squarks, without an uncertainty."""
    found = cross_section("squark", mass)
    assert found.pb == pytest.approx(0.8 * ten_fold, rel=5e-6)
    assert found.relative_uncertainty is None


@pytest.mark.parametrize(
    ("mass", "ten_fold"),
    [(310, 72.17), (605, 1.67649), (1010, 0.0582097), (1455, 0.0033998), (1685, 0.000920175)],
)
def test_the_thinned_squarks_are_close(mass: int, ten_fold: float) -> None:
    """SIG-9: the thinned squark table gives 0.8 of the ten-fold numbers within 0.4 %."""
    assert cross_section("squark", mass).pb == pytest.approx(0.8 * ten_fold, rel=4e-3)


@pytest.mark.parametrize("mass", [300, 600, 1000, 1500])
def test_flavour_hardly_matters(mass: int) -> None:
    """SIG-9: with a decoupled gluino QCD makes pairs of any squark alike: eight are eight stops within 2 %."""
    assert cross_section("squark", mass).pb == pytest.approx(8 * cross_section("stop", mass).pb, rel=0.02)


def test_unknown_process() -> None:
    """SIG-10: the cure is in the text."""
    with pytest.raises(
        UnknownNameError,
        match="'slepton' pairs, only for gluino, sbottom, squark, stop; .*cross_section=.*--cross-section",
    ):
        cross_section("slepton", 300)
    assert packaged.processes() == ("gluino", "sbottom", "squark", "stop")


def test_another_energy(packaged_catalog: Catalog, small_search: Search) -> None:
    """SIG-9: the tables are of 13 TeV, and do not serve another energy."""
    assert packaged_catalog.cross_sections("gluino", "cms-sus-16-033").at(1750).pb == 0.00359842
    later = replace(small_search, sqrt_s_tev=13.6)
    with pytest.raises(InputError, match=r"are of 13 TeV, and the search is of 13.6 TeV; .*--cross-sections"):
        packaged.cross_section_table("gluino", sqrt_s_tev=later.sqrt_s_tev)


@pytest.mark.parametrize(
    ("model", "process"),
    [
        ("T1bbbb", "gluino"),
        ("T1tttt", "gluino"),
        ("T1qqqq", "gluino"),
        ("T5qqqqVV", "gluino"),
        ("T2bb", "sbottom"),
        ("T2tt", "stop"),
        ("T2qq", "squark"),
        ("mine", "unknown"),
        ("T1", "unknown"),
    ],
)
def test_what_a_model_produces(model: str, process: str) -> None:
    """SIG-10: the name of a model says which particles are produced."""
    assert process_of(model) == process
