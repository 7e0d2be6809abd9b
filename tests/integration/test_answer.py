"""Limits in the answer of an analysis: clauses RES-2 and RES-7 to RES-9."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

import superbin
from superbin import workspace
from superbin.analysis.answer import published_answer, uncertainty_of
from superbin.catalog import open_catalog
from superbin.domain.aggregate import combine
from superbin.domain.published import parse_published
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.results import AnalysisResult, load_result, result_from_json, result_to_json
from superbin.stats.limits import cls, lhc_cls

VERSION_1 = Path(__file__).parents[1] / "data" / "result-version-1.json"

TABLE = """model,m_mother,m_lsp,observed_fb,expected_fb
T1bbbb,1500,100,8,4
T1bbbb,1600,100,6,
T1bbbb,1500,200,8,4
T1bbbb,1600,200,6,
"""


def a_search() -> Search:
    return Search.from_arrays(
        "three-bins",
        observed=[12, 3, 1],
        background=[10.0, 2.5, 0.8],
        covariance=[[4.0, 1.0, 0.1], [1.0, 1.0, 0.0], [0.1, 0.0, 0.2]],
        luminosity_fb=12.9,
    )


def a_signal(**changes: object) -> SignalModel:
    made = SignalModel(
        "T1bbbb",
        {"m_mother": 1500.0, "m_lsp": 100.0},
        "three-bins",
        np.array([1.0, 4.0, 2.0]),
        np.array([0.1, 0.2, 0.1]),
        "made by hand",
        cross_section_pb=0.0142,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # fields by name


@pytest.fixture(scope="module")
def answer() -> AnalysisResult:
    return superbin.analyze(
        a_search(),
        a_signal(),
        toys=0,
        signal_uncertainty=0.2,
        cross_section_error=0.25,
        cross_section_order="NLO+NLL",
        published=parse_published(TABLE)["T1bbbb"],
    )


def test_limits_are_where_their_cls_is_five_percent(answer: AnalysisResult) -> None:
    """RES-7: for both regions, by the definition of each method."""
    for region in (answer.region, answer.region_for("limit")):
        total, b = region.yields, region.yields.background
        width = region.uncertainty.experimental if region.uncertainty else 0.0
        assert width == pytest.approx(math.hypot(0.2, total.signal_error / total.signal))
        for uncertain in (False, True):
            x = width if uncertain else 0.0
            exact = region.limit("cls", uncertain=uncertain)
            lhc = region.limit("lhc", uncertain=uncertain)
            assert exact is not None
            assert lhc is not None
            assert exact.signal_uncertainty == lhc.signal_uncertainty == x
            for limit, function in ((exact, cls), (lhc, lhc_cls)):
                events = (limit.mu.observed or 0) * total.signal
                found = function(events, total.observed, b.nominal, b.up, b.down, signal_uncertainty=x)
                assert found == pytest.approx(0.05, rel=1e-4)
            assert (lhc.mu.median is None) == (uncertain or region.purpose == "discovery")
            assert ("without time" in lhc.status) == (lhc.mu.median is None)
            values = exact.mu.values[1:]
            assert sorted(v for v in values if v is not None) == list(values)


def test_with_time_every_limit_by_the_lhc_cls_has_an_expected_one() -> None:
    """RES-7: for both regions, with an exact and with an uncertain signal, which makes it weaker."""
    result = superbin.analyze(a_search(), a_signal(), toys=0, seconds=0.01, signal_uncertainty=0.3)
    for region in (result.region, result.region_for("limit")):
        exact, uncertain = (region.limit("lhc", uncertain=u) for u in (False, True))
        assert exact is not None
        assert uncertain is not None
        for limit in (exact, uncertain):
            assert limit.status == "exact"
            values = [v for v in limit.mu.values[1:] if v is not None]
            assert len(values) == 5
            assert values == sorted(values)
        assert (exact.mu.median or 0) < (uncertain.mu.median or 0)


def test_limits_on_the_cross_section(answer: AnalysisResult) -> None:
    """RES-7: in fb, and with the theory's uncertainty only beside the observed limit."""
    for limit in answer.limits:
        assert limit.cross_section_fb is not None
        for fb, mu in zip(limit.cross_section_fb.values, limit.mu.values, strict=True):
            assert (fb is None) == (mu is None)
            if fb is not None and mu is not None:
                assert fb == pytest.approx(14.2 * mu)
        mu = limit.mu.observed
        assert mu is not None
        assert limit.with_theory(0.25) == pytest.approx((mu / 1.25, mu / 0.75))
        assert limit.excluded == (mu < 1)
    without = superbin.analyze(a_search(), a_signal(cross_section_pb=None), toys=0)
    assert without.limits[0].cross_section_fb is None
    assert without.quoted is not None
    assert without.quoted.method == "lhc"
    assert answer.signal.cross_section_error == 0.25
    assert answer.signal.cross_section_order == "NLO+NLL"


def test_uncertainties_from_a_covariance_alone() -> None:
    """RES-22, WS-2: where the search states none of its bins they have those of the covariance; so has the workspace."""
    result = superbin.analyze(a_search(), a_signal(), toys=0)
    diagonal = np.sqrt([4.0, 1.0, 0.2])
    rows = {row.number: row.yields.background.up for row in result.bins}
    assert rows == pytest.approx({number: diagonal[number - 1] for number in rows})
    assert [one.correlations for one in result.conventions] == ["covariance"]
    document = workspace.build(result.yields)
    (modifier,) = document["channels"][0]["samples"][1]["modifiers"]
    total = result.yields.background
    assert modifier["data"]["hi"] == pytest.approx(1 + total.up / total.nominal)
    assert modifier["data"]["lo"] == pytest.approx(1 - total.down / total.nominal)


def test_both_regions(answer: AnalysisResult) -> None:
    """RES-8: each for its purpose, chosen by expectation; the quoted limit is of the region for the limit."""
    found = {purpose: answer.region_for(purpose) for purpose in ("discovery", "limit")}
    assert [region.purpose for region in found.values()] == ["discovery", "limit"]
    assert found["discovery"].merge == answer.merge
    assert found["limit"].merge.figure_of_merit == "limit"
    assert found["limit"].merge.status
    median = {name: region.limit("cls") for name, region in found.items()}
    assert median["limit"] is not None
    assert median["discovery"] is not None
    assert (median["limit"].mu.median or 0) <= (median["discovery"].mu.median or 0) * 1.0051
    assert answer.quoted == found["limit"].limit("lhc")
    changed = dataclasses.replace(a_search(), observed=np.array([40, 9, 7]))
    again = superbin.analyze(changed, a_signal(), toys=0)
    assert again.region_for("limit").merge.bins == found["limit"].merge.bins
    assert again.merge.bins == answer.merge.bins
    other = superbin.analyze(a_search(), a_signal(), toys=0, figure_of_merit="asimov_limit")
    assert other.region.purpose == "limit"
    assert other.region_for("discovery").merge.figure_of_merit == "midp"


def test_an_uncertainty_that_changes_all_bins_together() -> None:
    """RES-7: variations count by what they change of the sum."""
    signal = a_signal(
        variations={"jes": (np.array([1.2, 4.4, 2.0]), np.array([0.8, 3.6, 2.0]))}, relative_error=0.1
    )
    found = uncertainty_of(signal, combine(a_search(), signal, [1, 2]), extra=0.05, theory=0.3)
    assert found.systematic == pytest.approx(math.sqrt(0.12**2 + 0.1**2 + 0.05**2))
    assert found.mc == pytest.approx(combine(a_search(), signal, [1, 2]).signal_error / 5)
    assert found.theory == 0.3
    for name, value in (
        ("signal_uncertainty", -0.1),
        ("cross_section_error", 11.0),
        ("signal_uncertainty", math.nan),
    ):
        with pytest.raises(InputError, match=f"{name} is"):
            superbin.analyze(a_search(), a_signal(), toys=0, **{name: value})  # type: ignore[arg-type]  # one of the two


@pytest.mark.parametrize(
    ("masses", "how", "observed", "expected"),
    [
        ((1500.0, 100.0), "tabulated", 8.0, 4.0),
        ((1550.0, 150.0), "interpolated", math.sqrt(48), None),
        ((1700.0, 90.0), "nearest", 6.0, None),
    ],
)
def test_the_published_limit_says_where_it_comes_from(
    masses: tuple[float, float], how: str, observed: float, expected: float | None
) -> None:
    """RES-9: tabulated, interpolated in the map, or of the nearest point, which is not compared."""
    signal = a_signal(parameters=dict(zip(("m_mother", "m_lsp"), masses, strict=True)))
    found = published_answer(parse_published(TABLE)["T1bbbb"], signal)
    assert found is not None
    assert found.how == how
    assert found.observed_fb == pytest.approx(observed)
    assert found.expected_fb == expected
    if how == "nearest":
        assert dict(found.parameters) == {"m_mother": 1600.0, "m_lsp": 100.0}
        assert found.observed_mu is None
    else:
        assert found.observed_mu == pytest.approx(observed / 14.2)
        assert found.parameters == signal.parameters
    assert published_answer(parse_published(TABLE)["T1bbbb"], a_signal(parameters={"m": 5.0})) is None


def test_the_full_likelihood_beside_one_bin() -> None:
    """RES-9: for the published signal; Combine's limits of the same cards (validation/likelihood/combine.md)."""
    with open_catalog("sqlite://") as catalog:
        search = catalog.search("cms-pas-sus-16-014")
        signal = catalog.signal(search, "T1bbbb", (1750, 1))
        likelihood = catalog.published_likelihood(search)
        theory = catalog.cross_section_of(signal, search)
        scaled = catalog.signal(search, "T1bbbb", (1750, 1), cross_section=0.01)
        assert catalog.cross_section_of(scaled, search).relative_uncertainty is None
    assert theory.order == "NLO+NLL"
    assert theory.relative_uncertainty == pytest.approx(0.2715, abs=1e-3)
    found = superbin.analyze(search, signal, toys=0, likelihood=likelihood, simplify=0.01).likelihood
    assert found is not None
    assert (found.kind, found.channels) == ("full", 520)
    assert found.quoted.uncertain
    assert found.quoted.mu.observed == pytest.approx(1.0730, abs=5e-5)
    assert found.quoted.mu.median == pytest.approx(0.5201, abs=5e-5)
    exact = found.limit(uncertain=False)
    assert exact is not None
    assert exact.cross_section_fb is not None
    # The observed limit that the derived public result quotes, 3.548 fb, is without uncertainties of the signal.
    assert exact.cross_section_fb.observed == pytest.approx(3.548, abs=0.0005)


def test_a_document_of_version_1_is_read() -> None:
    """RES-2: with its limit, and nothing for what it did not hold; written again it is of version 2."""
    old = json.loads(VERSION_1.read_text())
    found = load_result(VERSION_1)
    assert found.schema == "superbin/result/2"
    assert found.region.limit("cls") == found.quoted
    assert found.quoted is not None
    assert found.quoted.mu.observed == old["limit"]["observed"]
    assert found.quoted.mu.median == old["limit"]["expected"]
    assert found.quoted.mu.low1 is None
    assert found.quoted.cross_section_fb is not None
    assert found.quoted.cross_section_fb.observed == pytest.approx(14.2 * old["limit"]["observed"])
    assert [found.other, found.likelihood, found.published, found.uncertainty] == [None] * 4
    assert result_from_json(result_to_json(found)) == found
    del old["limit"]
    assert result_from_json(json.dumps(old)).quoted is None


def test_what_comes_back_is_equal(answer: AnalysisResult) -> None:
    """RES-3: an answer that is written and read back is equal."""
    assert result_from_json(result_to_json(answer)) == answer
