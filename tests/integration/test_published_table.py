"""The packaged search against the collaboration's own tables and aggregate regions: clauses TAB-8 to TAB-16."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from superbin._support.arrays import FloatArray
from superbin.domain.aggregate import combine
from superbin.domain.correlations import covariances
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel

VALIDATION = Path(__file__).parents[2] / "src" / "superbin" / "data" / "validation"
TABLE = Path(__file__).parents[1] / "data" / "published_table_bins_1_10.csv"
PARTS = {
    "nominal": "value",
    "stat_up": "stat_plus",
    "stat_down": "stat_minus",
    "syst_up": "syst_plus",
    "syst_down": "syst_minus",
}


def published(process: str, part: str) -> FloatArray:
    with TABLE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    values = [float(row[PARTS[part]]) for row in rows if row["process"] == process]
    assert len(values) == 10
    return np.array(values)


def derived(search: Search, process: str, part: str) -> FloatArray:
    estimate = next(p.estimate for p in search.processes if p.name == process)
    return np.asarray(getattr(estimate, part)[:10])


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("process", ["lostlep", "hadtau"])
def test_lost_lepton_and_tau(cms_search: Search, process: str, part: str) -> None:
    """TAB-9, TAB-12, TAB-14: every figure within 1 % or 0.02 events."""
    expected = published(process, part)
    deviation = np.abs(derived(cms_search, process, part) - expected)
    assert (deviation <= np.maximum(0.01 * expected, 0.02)).all()


@pytest.mark.parametrize("part", ["stat_up", "stat_down"])
def test_invisible_z_statistics(cms_search: Search, part: str) -> None:
    """TAB-10, TAB-14: within 0.5 %, or half a unit of the last printed digit."""
    expected = published("znn", part)
    deviation = np.abs(derived(cms_search, "znn", part) - expected)
    assert (deviation <= np.maximum(0.005 * expected, 0.005)).all()


def test_total_nominal(cms_search: Search) -> None:
    """TAB-14: within 1 %."""
    total = sum(derived(cms_search, p.name, "nominal") for p in cms_search.processes)
    np.testing.assert_allclose(total, published("total", "nominal"), rtol=0.01)


def test_total_statistics_add_as_declared(cms_search: Search) -> None:
    """TAB-2: lost lepton and tau linearly, the rest in quadrature, gives the published total from its own rows."""
    assert cms_search.shared_stat == (("lostlep", "hadtau"),)
    for part in ("stat_up", "stat_down"):
        linear = published("lostlep", part) + published("hadtau", part)
        total = np.sqrt(linear**2 + published("znn", part) ** 2 + published("qcd", part) ** 2)
        np.testing.assert_allclose(total, published("total", part), rtol=0.005)


def test_downward_errors_stop_at_zero(cms_search: Search) -> None:
    """TAB-12, in all 160 bins."""
    for process in cms_search.processes:
        e = process.estimate
        assert (e.stat_down + e.syst_down <= e.nominal * (1 + 1e-6)).all()


def test_bins_follow_the_published_order(cms_search: Search) -> None:
    """TAB-3: spot checks of the numbering against the published boxes."""
    assert cms_search.n_bins == 160
    bins = {
        number: (cms_search.low[number - 1].tolist(), cms_search.high[number - 1].tolist())
        for number in (1, 36, 160)
    }
    assert bins[1] == ([3, 0, 300, 300], [4, 0, 500, 350])
    assert bins[36] == ([3, 3, 1000, 350], [4, np.inf, np.inf, 500])
    assert bins[160] == ([9, 3, 1500, 750], [np.inf, np.inf, np.inf, np.inf])
    assert cms_search.observed[:3].tolist() == [5180, 1780, 146]
    assert cms_search.observed.sum() == 21963


def test_sums_agree_with_the_earlier_release(cms_search: Search) -> None:
    """TAB-8: the collaboration's earlier histograms of the 160 predictions add up to these numbers of events."""
    sums = {p.name: float(p.estimate.nominal.sum()) for p in cms_search.processes}
    assert sums["lostlep"] == pytest.approx(4524.3306, abs=0.01)
    assert sums["hadtau"] == pytest.approx(3931.8506, abs=0.01)
    assert sums["znn"] == pytest.approx(12196.171, abs=0.01)
    assert sums["qcd"] == pytest.approx(573.95, abs=0.01)


def test_signal_sum(t1bbbb: SignalModel) -> None:
    """TAB-15: T1bbbb(1750, 1) has 27.84357 events at 12.9 fb^-1, as ROOT sums its histogram."""
    assert t1bbbb.search == "cms-pas-sus-16-014"
    assert t1bbbb.yields.sum() == pytest.approx(27.84357, abs=1e-5)
    assert len(t1bbbb.yields) == 160
    assert (t1bbbb.errors[t1bbbb.yields > 0] > 0).all()


def rows_of(name: str) -> list[dict[str, str]]:
    with (VALIDATION / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def rounding(text: str) -> float:
    """Half a unit of the last digit printed."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def totals(search: Search, side: str) -> FloatArray:
    """Root of the sum of squares of all uncertainties, lost lepton and tau statistics added linearly."""
    estimates = {p.name: p.estimate for p in search.processes}
    linear = sum(getattr(estimates[name], f"stat_{side}") for name in ("lostlep", "hadtau"))
    squares = sum(getattr(estimates[name], f"stat_{side}") ** 2 for name in ("znn", "qcd"))
    squares += sum(getattr(e, f"syst_{side}") ** 2 for e in estimates.values())
    return np.asarray(np.sqrt(linear**2 + squares))


def test_all_rows_observed_and_nominal(cms_search: Search) -> None:
    """TAB-14: observed events equal; totals within 0.5 % beyond what rounding explains."""
    rows = rows_of("table_160.csv")
    assert [int(row["observed"]) for row in rows] == cms_search.observed.tolist()
    total = sum(p.estimate.nominal for p in cms_search.processes)
    for row, ours in zip(rows, np.asarray(total).tolist(), strict=True):
        theirs = float(row["total"])
        if theirs >= 1:
            assert abs(ours - theirs) <= 0.005 * theirs + rounding(row["total"]), row["bin"]


@pytest.mark.parametrize("part", ["stat_up", "stat_down"])
def test_invisible_z_statistics_of_all_rows(cms_search: Search, part: str) -> None:
    """TAB-10, TAB-14: equal within the printed rounding, for every number of b jets."""
    estimate = next(p.estimate for p in cms_search.processes if p.name == "znn")
    compared = 0
    for row, ours in zip(rows_of("table_160.csv"), getattr(estimate, part).tolist(), strict=True):
        text = row[f"znn_{part}"]
        if float(row["znn"]) >= 0.5:
            assert abs(ours - float(text)) <= 1.0001 * rounding(text), row["bin"]
            compared += 1
    assert compared == 104


@pytest.mark.parametrize("side", ["up", "down"])
def test_total_errors_of_all_rows(cms_search: Search, side: str) -> None:
    """TAB-14: the median ratio of the total uncertainty is 1 within 1 %."""
    rows = rows_of("table_160.csv")
    theirs = np.array(
        [math.hypot(*(float(r[f"total_{part}_{side}"]) for part in ("stat", "syst"))) for r in rows]
    )
    shown = np.array([float(row["total"]) >= 0.5 for row in rows]) & (theirs > 0)
    assert shown.sum() > 120
    assert float(np.median(totals(cms_search, side)[shown] / theirs[shown])) == pytest.approx(1, abs=0.01)


def test_aggregate_regions(cms_search: Search, t1bbbb: SignalModel) -> None:
    """TAB-16: the collaboration's own 12 regions; correlations from the likelihood give its upward errors."""
    low = {o.name: cms_search.low[:, i] for i, o in enumerate(cms_search.observables)}
    covariance = covariances(cms_search, "likelihood")[0]
    ratios = []
    for region in rows_of("aggregate_regions.csv"):
        inside = (low["nb"] >= float(region["nb_low"])) & (low["nb"] <= float(region["nb_high"]))
        for name in ("njet", "ht", "mht"):
            inside &= low[name] >= float(region[name])
        merged = combine(cms_search, t1bbbb, (np.flatnonzero(inside) + 1).tolist(), covariance=covariance)
        assert merged.observed == int(region["observed"])
        background = float(region["background"])
        assert merged.background.nominal == pytest.approx(background, abs=max(0.1, 0.001 * background))
        ratios.append(merged.background.up / float(region["error_up"]))
    assert len(ratios) == 12
    assert float(np.exp(np.mean(np.log(ratios)))) == pytest.approx(1, abs=0.01)
    assert 0.85 < min(ratios) < max(ratios) < 1.15
