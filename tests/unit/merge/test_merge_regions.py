"""A few exclusive regions for many signals: clauses MERGE-62 and CLI-44."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pyhf
import pytest
from scipy.optimize import brentq, minimize

from superbin import workspace
from superbin._support.arrays import FloatArray
from superbin.cli import main
from superbin.domain.aggregate import combine
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.domain.sums import Totals
from superbin.errors import InputError
from superbin.io import imports
from superbin.merge import MERITS, design_regions, merged_bundle
from superbin.merge.aggregates import combined_limits


def by_minimisation(s: FloatArray, b: FloatArray, matrix: FloatArray) -> float:
    """The same limit by a general minimiser over the backgrounds."""
    inverse = np.linalg.inv(matrix)

    def q(mu: float) -> float:
        def twice(t: FloatArray) -> float:
            m = np.maximum(mu * s + b + t, 1e-12)
            return float(2 * (m - b - b * np.log(m / b)).sum() + t @ inverse @ t)

        return float(minimize(twice, np.zeros_like(b), method="BFGS", options={"gtol": 1e-8}).fun)

    return float(brentq(lambda mu: q(mu) - 1.959964**2, 0.01, 100.0, xtol=1e-6))


def test_limits_of_several_counts() -> None:
    """MERGE-62: by a general minimiser; one count alone has the limit of `asimov_limit`."""
    rng = np.random.default_rng(3)
    for _ in range(3):
        b = 10 ** rng.uniform(0.5, 2, 3)
        s = np.sqrt(b) * rng.uniform(0.2, 1, 3)
        factors = rng.normal(size=(3, 2)) * 0.2 * b[:, None]
        matrix = factors @ factors.T + np.diag((0.1 * b) ** 2)
        found = combined_limits(s[None, :], b, matrix)[0]
        assert found == pytest.approx(by_minimisation(s, b, matrix), rel=1e-4)
        one = combined_limits(s[None, :1], b[:1], matrix[:1, :1])[0]
        up = np.sqrt(matrix[0, :1])
        assert one == pytest.approx(1 / MERITS["asimov_limit"](Totals(s[:1], b[:1], up, up))[0], rel=1e-6)
        # Twice the signal has half the limit; a count that is added never makes it worse.
        assert combined_limits(2 * s[None, :], b, matrix)[0] == pytest.approx(found / 2)
        assert found <= one * (1 + 1e-9)
    assert combined_limits(np.zeros((1, 1)), np.ones(1), np.eye(1))[0] == np.inf


@pytest.fixture
def search() -> Search:
    """Eight regions with names, in two groups of the same shape."""
    b = np.array([100.0, 50, 20, 10, 8, 4, 2, 1])
    error = 0.2 * b
    correlations = np.full((8, 8), 0.3) + 0.7 * np.eye(8)
    return Search.from_arrays(
        "eight",
        observed=np.rint(b),
        background=b,
        luminosity_fb=10,
        names=[f"SR{i}" for i in range(8)],
        covariance=correlations * np.outer(error, error),
    )


def signals(search: Search, count: int = 6) -> list[SignalModel]:
    """Each a mixture of two shapes, so that two regions suffice nearly."""
    rng = np.random.default_rng(0)
    b = sum(process.estimate.nominal for process in search.processes)
    low, high = (b * (np.arange(8) // 4 == part) for part in (0, 1))
    return [
        SignalModel("m", {"x": float(i)}, search.name, x * low + (1 - x) * high, np.zeros(8))
        for i, x in enumerate(rng.uniform(0, 1, count))
    ]


def test_regions_of_signals_with_two_shapes(search: Search) -> None:
    """MERGE-62: signal over background is constant within two groups, so two regions are enough."""
    models = signals(search)
    independent = Covariance(np.diag([4.0, 2, 1, 0.5, 0.4, 0.2, 0.1, 0.05]), np.eye(8), "test")
    curve = design_regions(search, models, 3, covariance=independent)
    assert [len(step.regions) for step in curve] == [1, 2, 3]
    for step in curve:
        bins = [number for region in step.regions for number in region]
        assert len(bins) == len(set(bins))
        assert (step.losses >= -1e-9).all()
        # The limits are those of the regions as a search of their own.
        merged = merged_bundle(search, step.regions, signals=models, covariance=independent)
        assert merged.search.covariance is not None
        b = merged.search.processes[0].estimate.nominal
        yields = np.array([signal.yields for signal in merged.signals])
        np.testing.assert_allclose(combined_limits(yields, b, merged.search.covariance.up), step.limits)
    assert {frozenset(region) for region in curve[1].regions} == {
        frozenset({1, 2, 3, 4}),
        frozenset({5, 6, 7, 8}),
    }
    assert curve[1].mean_loss < 0.02 < curve[0].mean_loss
    assert curve[0].worst_loss >= curve[0].mean_loss
    everything = design_regions(search, models, 8, covariance=independent)[-1]
    assert everything.mean_loss == pytest.approx(0, abs=1e-9)


def test_regions_as_a_search(search: Search) -> None:
    """MERGE-62: sums, uncertainties and covariance as of the merged bins."""
    models = signals(search)
    regions = [(1, 2), (4, 6, 8)]
    bundle = merged_bundle(search, regions, signals=models, covariance=search.covariance, name="two")
    assert bundle.search.names == ("AR1", "AR2")
    assert bundle.search.name == "two"
    for i, region in enumerate(regions):
        right = combine(search, models[0], region, covariance=search.covariance)
        found = combine(bundle.search, bundle.signals[0], [i + 1], covariance=bundle.search.covariance)
        assert found.signal == pytest.approx(right.signal)
        assert found.background.nominal == pytest.approx(right.background.nominal)
        assert found.background.up == pytest.approx(right.background.up)
        assert found.observed == right.observed


def test_shared_statistics_of_merged_regions(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-62: without a covariance, uncertainties are those of `combine`, shared statistics included."""
    regions = [range(1, 11), (30, 60, 90)]
    bundle = merged_bundle(cms_search, regions, signals=[t1bbbb])
    for i, region in enumerate(regions):
        right, found = combine(cms_search, t1bbbb, region), combine(bundle.search, bundle.signals[0], [i + 1])
        assert found.background.up == pytest.approx(right.background.up)
        assert found.background.down == pytest.approx(right.background.down)
        assert found.signal_error == pytest.approx(right.signal_error)


def test_regions_as_a_workspace(search: Search) -> None:
    """MERGE-62: pyhf's expected limit on its Asimov data, but for its log-normal backgrounds."""
    models = signals(search, 1)
    bundle = merged_bundle(search, [(1, 2, 3), (4, 5), (6,)], signals=models, covariance=search.covariance)
    matrix = bundle.search.covariance
    assert matrix is not None
    document = workspace.regions(bundle.search, matrix)
    patches = workspace.patch_set(
        document, {"m": workspace.signal_patch(bundle.signals[0])}, labels=["x"], values=[[1]], description=""
    )
    workspace.to_json(document)
    workspace.to_json(patches, schema="patchset.json")
    whole = pyhf.PatchSet(patches)["m"].apply(document)
    b = bundle.search.processes[0].estimate.nominal
    for observation, count in zip(whole["observations"], b, strict=True):
        observation["data"] = [float(count)]
    # The modifiers have the covariance of the logarithms.
    effects = np.array(
        [[np.log(m["data"]["hi"]) for m in c["samples"][0]["modifiers"]] for c in document["channels"]]
    )
    np.testing.assert_allclose(np.expm1(effects @ effects.T) * np.outer(b, b), matrix.up, rtol=1e-9)
    limit = workspace.asymptotic_limit(whole).expected[2]
    right = combined_limits(bundle.signals[0].yields[None, :], b, matrix.up)[0]
    assert limit == pytest.approx(right, rel=0.1)


def test_bad_input(search: Search) -> None:
    """MERGE-62: a bin in two regions, zero regions and a signal without events are refused."""
    models = signals(search)
    with pytest.raises(InputError, match="SR1 is in two regions"):
        merged_bundle(search, [(1, 2), (2, 3)])
    with pytest.raises(InputError, match="at least 1 region"):
        design_regions(search, models, 0)
    nothing = SignalModel("m", {}, search.name, np.zeros(8), np.zeros(8))
    with pytest.raises(InputError, match="no signal has events"):
        design_regions(search, [nothing], 2)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-44: the folder holds a search that is read back, a table, a figure and exports."""
    chosen = ["common", "T1bbbb", "--at", "1750", "1", "--at", "1500", "800", "--at", "1000", "900"]
    with pytest.raises(SystemExit) as stop:
        main(
            [
                *chosen,
                "--regions",
                "2",
                "-o",
                str(tmp_path / "regions"),
                "--figure",
                str(tmp_path / "loss.png"),
            ]
        )
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert "2 regions, best found:" in printed
    assert re.search(r"the largest loss is that of T1bbbb\(\d+, \d+\)", printed)
    assert (tmp_path / "loss.png").exists()
    folder = tmp_path / "regions"
    bundle = imports.read(folder / "search").bundle
    document = json.loads((folder / "regions.json").read_text())
    assert bundle.search.n_bins == 2
    assert bundle.search.covariance is not None
    assert len(bundle.signals) == len(document["losses"]) == 3
    assert (folder / "losses.csv").read_text().count("\n") == 4
    for name in ("loss.png", "smodels", "spey"):
        assert (folder / name).exists()
    background = json.loads((folder / "pyhf" / "BkgOnly.json").read_text())
    patches = pyhf.PatchSet(json.loads((folder / "pyhf" / "patchset.json").read_text()))
    patches.verify(background)
    assert [patch.name for patch in patches] == ["T1bbbb_1750_1", "T1bbbb_1500_800", "T1bbbb_1000_900"]
    # Each region is written as selections whose union it is, and the workspace names regions as the search does.
    assert [line["k"] for line in document["curve"]] == [1, 2]
    assert len(document["cuts"]) == 2
    assert all(text in printed for region in document["cuts"] for text in region)
    assert [channel["name"] for channel in background["channels"]] == list(bundle.search.names)
    for wrong in (["-o", str(tmp_path / "other")], ["--regions", "2", "--objective", "worst"]):
        with pytest.raises(SystemExit) as stop:
            main([*chosen, *wrong])
        assert stop.value.code == 2


def test_every_command_takes_the_regions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLI-44: a search of regions without a grid is stored, scanned, described and merged by its stored signals."""
    monkeypatch.setenv("SUPERBIN_DATABASE", str(tmp_path / "database.sqlite"))
    chosen = ["common", "T1bbbb", "--at", "1750", "1", "--at", "1500", "800", "--at", "1000", "900"]
    name = "cms-pas-sus-16-014-2-regions"
    for words in (
        [*chosen, "--regions", "2", "-o", str(tmp_path / "regions")],
        ["db", "import", str(tmp_path / "regions" / "search")],
        ["scan", "T1bbbb", "--search", name, "--processes", "1", "-o", str(tmp_path / "scan")],
        ["common", "T1bbbb", "--search", name, "--aggregates", "1"],
        ["signal", "show", "T1bbbb", "1750", "1", "--search", name],
        ["optimize", "T1bbbb", "1750", "1", "--search", name, "--figure", str(tmp_path / "figures")],
    ):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0, words
    printed = capsys.readouterr().out
    assert "3 points" in printed
    assert re.search(r"^ +2 .*AR2$", printed, re.MULTILINE)
    # Regions without ranges have no plane to draw them in.
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["front.pdf", "front.png"]


def test_regions_against_every_partition() -> None:
    """MERGE-62: three regions of seven bins lose what the best of all partitions does."""
    rng = np.random.default_rng(5)
    b = 10 ** rng.uniform(0.5, 2, 7)
    search = Search.from_arrays(
        "s",
        observed=np.rint(b),
        background=b,
        error=0.2 * b,
        luminosity_fb=1,
        names=[f"SR-{i}" for i in range(7)],
    )
    signals = [
        SignalModel("m", {"mass": i}, "s", rng.exponential(1, 7) * np.sqrt(b), np.zeros(7)) for i in range(4)
    ]
    s, matrix = np.array([signal.yields for signal in signals]), np.diag((0.2 * b) ** 2)
    whole = combined_limits(s, b, matrix)
    least = 1.0
    # Every bin in one of three regions or in none; regions in the order of their first bins.
    for home in itertools.product(range(-1, 3), repeat=7):
        firsts = [home.index(i) for i in range(3) if i in home]
        if len(firsts) == 3 and firsts == sorted(firsts):
            w = (np.arange(3)[:, None] == np.array(home)).astype(float)
            least = min(least, float((1 - whole / combined_limits(s @ w.T, w @ b, w @ matrix @ w.T)).mean()))
    assert design_regions(search, signals, 3)[2].mean_loss == pytest.approx(least, abs=1e-3)
