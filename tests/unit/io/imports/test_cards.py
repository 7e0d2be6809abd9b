"""Datacards of Combine as searches: numbers worked out here by hand."""

from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uproot

from superbin.errors import InputError
from superbin.io.imports import Imported, Options, read, recognise

COUNTING = """imax 1
jmax 2
kmax *
bin sr
observation 15
bin sr sr sr
process s_500_100 ttbar znn
process 0 1 2
rate 2 10 4
lumi lnN 1.02 1.02 1.02
xsec lnN - 0.9/1.2 -
ctl gmN 16 - - 0.25
"""
SHAPES = """imax 1
jmax 1
kmax *
shapes * * shapes.root $PROCESS $PROCESS_$SYSTEMATIC
bin a
observation -1
bin a a
process s b
process 0 1
rate -1 -1
jes shape - 1
* autoMCStats 0
"""


def histogram(values: list[float], errors: list[float]) -> Any:
    h: Any = hist.Hist(hist.axis.Regular(len(values), 0, len(values)), storage=hist.storage.Weight())
    h.view().value[:], h.view().variance[:] = values, np.square(errors)
    return h


def imported(path: Path, **mapping: Any) -> Imported:
    return read(path, options=Options(luminosity_fb=36.0, mapping=mapping))


def test_counting_card(tmp_path: Path) -> None:
    """IMP-13: log-normal errors on both sides, a control count, and the covariance of their total."""
    path = tmp_path / "card.txt"
    path.write_text(COUNTING)
    importer = recognise(path)
    assert importer is not None
    assert importer.name == "combine"
    result = imported(path)
    search = result.bundle.search
    assert (search.names, search.observed.tolist()) == (("sr",), [15])
    ttbar, znn = (p.estimate for p in search.processes)
    assert (ttbar.nominal.tolist(), znn.nominal.tolist()) == ([10], [4])
    lumi_down = 1 - 1 / 1.02
    np.testing.assert_allclose(ttbar.syst_up, np.hypot(2, 0.2), rtol=1e-6)
    np.testing.assert_allclose(ttbar.syst_down, np.hypot(1, 10 * lumi_down), rtol=1e-6)
    np.testing.assert_allclose(
        [znn.syst_up[0], znn.syst_down[0]], [np.hypot(1, 0.08), np.hypot(1, 4 * lumi_down)], rtol=1e-6
    )
    assert search.covariance is not None
    # The luminosity moves both backgrounds together.
    np.testing.assert_allclose(search.covariance.up, [[4 + 1 + 0.28**2]], rtol=1e-6)
    np.testing.assert_allclose(search.covariance.down, [[1 + 1 + (14 * lumi_down) ** 2]], rtol=1e-6)
    (signal,) = result.bundle.signals
    assert (signal.label, signal.yields.tolist()) == ("s(500, 100)", [2])
    np.testing.assert_allclose(signal.variations["lumi"][0], [2.04], rtol=1e-6)
    assert result.bundle.files == {"cards/card.txt": COUNTING.encode()}


def test_no_control_events(tmp_path: Path) -> None:
    """IMP-13: without a count nothing is expected, and 1.841 events times the transfer factor is the upward error."""
    path = tmp_path / "card.txt"
    path.write_text(COUNTING.replace("gmN 16", "gmN 0").replace("rate 2 10 4", "rate 2 10 0"))
    znn = imported(path).bundle.search.processes[1].estimate
    assert znn.nominal.tolist() == [0]
    np.testing.assert_allclose(np.hypot(znn.syst_up, znn.stat_up), [1.841 * 0.25], rtol=1e-6)
    assert np.hypot(znn.syst_down, znn.stat_down).tolist() == [0]


def test_card_with_histograms(tmp_path: Path) -> None:
    """IMP-13: shapes on both sides, statistical errors bin by bin, and the ROOT file kept beside the card."""
    with uproot.recreate(tmp_path / "shapes.root") as file:
        file["data_obs"] = histogram([9, 7, 3], [3, 2.6, 1.7])
        file["s"] = histogram([1, 2, 1], [0.1, 0.2, 0.1])
        file["b"] = histogram([8, 6, 2], [1, 1, 0.5])
        file["b_jesUp"] = histogram([9, 7, 2], [1, 1, 0.5])
        file["b_jesDown"] = histogram([7, 6, 1], [1, 1, 0.5])
    (tmp_path / "card.txt").write_text(SHAPES)
    for path in (tmp_path / "card.txt", tmp_path):
        bundle = imported(path).bundle
        search = bundle.search
        assert search.names == ("a[0]", "a[1]", "a[2]")
        assert search.observed.tolist() == [9, 7, 3]
        estimate = search.processes[0].estimate
        np.testing.assert_allclose(estimate.nominal, [8, 6, 2], rtol=1e-6)
        np.testing.assert_allclose(estimate.stat_up, [1, 1, 0.5], rtol=1e-6)
        np.testing.assert_allclose(estimate.syst_up, [1, 1, 0], atol=1e-5)
        np.testing.assert_allclose(estimate.syst_down, [1, 0, 1], atol=1e-5)
        assert search.covariance is not None
        np.testing.assert_allclose(
            search.covariance.up, np.outer([1, 1, 0], [1, 1, 0]) + np.diag([1, 1, 0.25]), atol=1e-5
        )
        np.testing.assert_allclose(
            search.covariance.down, np.outer([1, 0, 1], [1, 0, 1]) + np.diag([1, 1, 0.25]), atol=1e-5
        )
        np.testing.assert_allclose(bundle.signals[0].errors, [0.1, 0.2, 0.1], rtol=1e-6)
        assert sorted(bundle.files) == ["cards/card.txt", "cards/shapes.root"]
        assert bundle.files["cards/shapes.root"] == (tmp_path / "shapes.root").read_bytes()


def test_channels_that_expect_signal(tmp_path: Path) -> None:
    """IMP-13: where names tell nothing, control regions are the channels without signal."""
    text = (
        COUNTING.replace("imax 1", "imax 2")
        .replace("bin sr\n", "bin one two\n")
        .replace("observation 15", "observation 15 99")
    )
    text = text.replace("bin sr sr sr", "bin one one one two").replace(
        "process s_500_100 ttbar znn", "process s_500_100 ttbar znn ttbar"
    )
    text = text.replace("process 0 1 2", "process 0 1 2 1").replace("rate 2 10 4", "rate 2 10 4 100")
    text = (
        text.replace("1.02 1.02 1.02", "1.02 1.02 1.02 1.02")
        .replace("- 0.9/1.2 -", "- 0.9/1.2 - -")
        .replace("0.25", "0.25 -")
    )
    (tmp_path / "card.txt").write_text(text)
    result = imported(tmp_path / "card.txt")
    assert result.bundle.search.names == ("one",)
    assert "signal regions (channels that expect signal): one" in result.notes
    assert imported(tmp_path / "card.txt", channels=["two"]).bundle.search.observed.tolist() == [99]


@pytest.mark.parametrize(
    ("old", "new", "mapping", "message"),
    [
        ("observation 15", "observation 15.5", {}, r'observed is 15.5 in sr; .*"observed": "round"'),
        (
            "rate 2 10 4",
            "rate 2 TODO 4",
            {},
            "the rate of process 'ttbar' in channel 'sr' is the word 'TODO'",
        ),
        ("bin sr sr sr", "bin sr sr", {}, r"card.txt:\d+: "),
        ("", "", {"mass": "heavy"}, "mass is 'heavy'; it must be a number"),
        ("", "", {"negative": "keep"}, "negative is 'keep'; it must be zero"),
        (
            "kmax *",
            "kmax *\nshapes * * shapes.root h$MASS",
            {},
            r'say which mass is meant with a mapping, {"mass": 125}',
        ),
        ("kmax *", "kmax *\nshapes * * shapes.root h", {}, "shapes.root"),
    ],
)
def test_refused(old: str, new: str, mapping: Any, message: str, tmp_path: Path) -> None:
    """IMP-13, IMP-2: with the line, or what to say in the mapping."""
    (tmp_path / "card.txt").write_text(COUNTING.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        imported(tmp_path / "card.txt", **mapping)
    assert "\n" not in str(caught.value)


def test_rounded_counts(tmp_path: Path) -> None:
    """IMP-13: counts that are not whole are rounded on request, and kept in the likelihood."""
    (tmp_path / "card.txt").write_text(COUNTING.replace("observation 15", "observation 0.0001"))
    result = imported(tmp_path / "card.txt", observed="round")
    assert result.bundle.search.observed.tolist() == [0]
    assert any("1 counts that are not whole are rounded" in note for note in result.notes)


def test_same_channels_twice(tmp_path: Path) -> None:
    """IMP-13: a folder with a card and its combination is no search."""
    (tmp_path / "a.txt").write_text(COUNTING)
    (tmp_path / "b.txt").write_text(COUNTING.replace("sr", "ch1"))
    with pytest.raises(InputError, match="the same channels twice.*name one card instead of the folder"):
        imported(tmp_path)
