"""Cards with histograms: every rule of Combine against numbers worked out here, in other words and with other code."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import uproot

from superbin.errors import DocumentError
from superbin.likelihood import read
from superbin.likelihood.engine import Engine
from superbin.likelihood.reading import read_cards

HEADER = """\
imax 1
jmax 1
kmax *
shapes * * h.root $PROCESS $PROCESS_$SYSTEMATIC
bin c
observation {observation}
bin c c
process s b
process 0 1
rate {signal} {background}
"""

SIGNAL = [1.0, 2.0, 1.0]
BACKGROUND = [8.0, 6.0, 2.0]
DATA = [9.0, 7.0, 3.0]
UP, DOWN = [9.0, 7.0, 2.0], [7.0, 6.0, 1.0]


def histogram(values: Sequence[float], errors: Sequence[float] | None = None) -> object:
    contents = np.array([0.0, *values, 0.0])
    squares = None if errors is None else np.array([0.0, *(e * e for e in errors), 0.0])
    axis = uproot.writing.identify.to_TAxis(
        fName="xaxis", fTitle="", fNbins=len(values), fXmin=0.0, fXmax=float(len(values)), fXbins=None
    )
    return uproot.writing.identify.to_TH1x(
        fName=None, fTitle="", data=contents, fEntries=1.0, fTsumw=float(np.sum(contents)), fTsumw2=1.0, fTsumwx=1.0,
        fTsumwx2=1.0, fSumw2=squares, fXaxis=axis,
    )  # fmt: skip


def write(
    folder: Path,
    lines: str = "",
    *,
    histograms: Mapping[str, object] | None = None,
    observation: str = "-1",
    signal: str = "-1",
    background: str = "-1",
) -> Path:
    with uproot.recreate(folder / "h.root") as file:
        all_ = {"data_obs": histogram(DATA), "s": histogram(SIGNAL), "b": histogram(BACKGROUND)} | dict(
            histograms or {}
        )
        for name, item in all_.items():
            file[name] = item
    card = folder / "card.txt"
    text = HEADER.format(observation=observation, signal=signal, background=background)
    card.write_text(text + lines, encoding="utf-8")
    return card


JES = {"b_jesUp": histogram(UP), "b_jesDown": histogram(DOWN)}


def expected(likelihood: Engine, **values: float) -> np.ndarray:
    return likelihood.expected(values)


def step(x: float, region: float = 1.0) -> float:
    t = x / region
    return math.copysign(1.0, x) if abs(t) >= 1 else 0.125 * t * (t * t * (3 * t * t - 10) + 15)


def factor(x: float, low: float, high: float) -> float:
    low, high = math.log(low), math.log(high)
    return math.exp(0.5 * x * ((high - low) + step(x, 0.5) * (high + low)))


def test_shapes_that_act_twice(tmp_path: Path) -> None:
    """CARD-36: two shape lines of a name add their morphs and multiply their changes of the yield."""
    likelihood = read(write(tmp_path, "jes shape - 1\njes shape - 1\n", histograms=JES))
    nominal, total = np.array(BACKGROUND), sum(BACKGROUND)
    up, down = (np.array(h) / sum(h) for h in (UP, DOWN))
    fractions = nominal / total
    for x in (-0.6, 0.3, 1.0):
        odd, even = up - down, up + down - 2 * fractions
        morphed = np.maximum(fractions + 2 * 0.5 * x * (odd + step(x) * even), 1e-9)
        norm = factor(x, round(sum(DOWN) / total, 6), round(sum(UP) / total, 6)) ** 2
        np.testing.assert_allclose(
            expected(likelihood, r=0.0, jes=x), total * norm * morphed / morphed.sum(), rtol=1e-5
        )


def test_histograms_without_nuisances(tmp_path: Path) -> None:
    """CARD-19, CARD-23, ENG-20: -1 is the integral, and a rate beside the histogram is the yield."""
    likelihood = read(write(tmp_path))
    assert likelihood.parameters == ("r",)
    assert likelihood.observed.counts.tolist() == DATA
    np.testing.assert_allclose(expected(likelihood, r=2.0), np.add(BACKGROUND, np.multiply(2, SIGNAL)))
    likelihood = read(write(tmp_path, background="16.05", observation="19"))
    np.testing.assert_allclose(expected(likelihood, r=0.0), np.array(BACKGROUND) * 16.05 / 16, rtol=1e-8)


@pytest.mark.parametrize("x", [-1.5, -1.0, -0.3, 0.0, 0.4, 0.9, 2.0])
@pytest.mark.parametrize("scale", [1.0, 0.5, 2.0])
def test_vertical_morphing(tmp_path: Path, x: float, scale: float) -> None:
    """CARD-23: fractions are morphed with the smooth step, and the yield has a factor of its own."""
    likelihood = read(write(tmp_path, f"jes shape - {scale}\n", histograms=JES))
    nominal, up, down = (np.array(v) / np.sum(v) for v in (BACKGROUND, UP, DOWN))
    t, region = scale * x, min(1.0, scale)
    shape = nominal + 0.5 * t * ((up - down) + step(t, region) * (up + down - 2 * nominal))
    shape = np.maximum(shape, 1e-9)
    shape /= shape.sum()
    low, high = (round((np.sum(v) / 16) ** scale, 6) for v in (DOWN, UP))
    np.testing.assert_allclose(
        expected(likelihood, r=0.0, jes=x), 16 * shape * factor(x, low, high), rtol=1e-8
    )


@pytest.mark.parametrize("x", [-1.5, -0.3, 0.4, 2.0])
def test_logarithmic_morphing(tmp_path: Path, x: float) -> None:
    """CARD-23: shapeN morphs logarithms of fractions and normalises after."""
    likelihood = read(write(tmp_path, "jes shapeN - 1\n", histograms=JES))
    nominal, up, down = (np.array(v) / np.sum(v) for v in (BACKGROUND, UP, DOWN))
    high, low = np.log(up / nominal), np.log(down / nominal)
    shape = nominal * np.exp(0.5 * x * ((high - low) + step(x) * (high + low)))
    yields = 16 * factor(x, 14 / 16, 18 / 16)
    np.testing.assert_allclose(expected(likelihood, r=0.0, jes=x), yields * shape / shape.sum(), rtol=1e-8)


def test_a_log_normal_and_a_shape_of_one_name(tmp_path: Path) -> None:
    """CARD-10: refused in one card, with the way out; shape? is that way."""
    with pytest.raises(
        DocumentError, match=r"card.txt:12: 'jes' is shape here but lnN on an earlier line.*'shape\?'"
    ):
        read(write(tmp_path, "jes lnN 1.2 -\njes shape - 1\n", histograms=JES))
    likelihood = read(write(tmp_path, "jes lnN 1.2 -\njes shape? - 1\n", histograms=JES))
    np.testing.assert_allclose(
        expected(likelihood, r=1.0, jes=1.0), np.add(UP, np.multiply(1.2, SIGNAL)), rtol=1e-6
    )


def test_optional_shapes(tmp_path: Path) -> None:
    """CARD-23: shape? is log-normal where there is no histogram; pairs are allowed there only."""
    likelihood = read(write(tmp_path, "jes shape? 1.2 1\n", histograms=JES))
    np.testing.assert_allclose(
        expected(likelihood, r=1.0, jes=1.0), np.add(UP, np.multiply(1.2, SIGNAL)), rtol=1e-6
    )
    pair = read(write(tmp_path, "jes shape? 0.9/1.3 1\n", histograms=JES))
    np.testing.assert_allclose(
        expected(pair, r=1.0, jes=-1.0), np.add(DOWN, np.multiply(0.9, SIGNAL)), rtol=1e-6
    )
    with pytest.raises(DocumentError, match=r"card.txt:11: 'jes' is a pair on process 'b'"):
        read(write(tmp_path, "jes shape? - 0.9/1.1\n", histograms=JES))


def test_flat_shape(tmp_path: Path) -> None:
    """CARD-23: shapeU has no constraint, between -1 and 1; bounds of the others."""
    likelihood = read(write(tmp_path, "jes shapeU - 1\nk lnN - 1.1\n", histograms=JES))
    by_name = {p.name: p for p in likelihood.description.parameters}
    assert (by_name["jes"].constraint, by_name["jes"].lower, by_name["jes"].upper) == (None, -1.0, 1.0)
    assert (by_name["k"].lower, by_name["k"].upper) == (-7.0, 7.0)
    shape = read(write(tmp_path, "jes shape - 1\n", histograms=JES)).description.parameters[1]
    assert (shape.lower, shape.upper) == (-4.0, 4.0)


def test_empty_bins_keep_a_little(tmp_path: Path) -> None:
    """CARD-23: a bin without content, or a negative one, expects 1e-9 of the yield; the total stays."""
    likelihood = read(write(tmp_path, histograms={"b": histogram([8.0, 0.0, 2.0])}))
    found = expected(likelihood, r=0.0)
    assert found[1] == pytest.approx(1e-8, rel=1e-6)
    assert found.sum() == pytest.approx(10.0, rel=1e-14)
    negative = expected(read(write(tmp_path, histograms={"b": histogram([8.0, -1.0, 3.0])})), r=0.0)
    np.testing.assert_allclose(negative, np.array([0.8, 1e-9, 0.3]) / 1.100000001 * 10, rtol=1e-7)


def test_constant_yields_have_six_digits(tmp_path: Path) -> None:
    """CARD-23: as in Combine's workspace, where nothing acts on a process."""
    likelihood = read(write(tmp_path, histograms={"b": histogram([1234.5678, 1.0, 1.0])}))
    assert expected(likelihood, r=0.0).sum() == pytest.approx(1236.57, rel=1e-12)


def test_statistics_above_the_threshold(tmp_path: Path) -> None:
    """CARD-24, ENG-19: one shift per bin, its size that of all processes in quadrature, signal times r."""
    histograms = {"s": histogram(SIGNAL, [0.1, 0.2, 0.1]), "b": histogram(BACKGROUND, [0.8, 0.6, 0.5])}
    likelihood = read(write(tmp_path, "k lnN - 1.3\n* autoMCStats 10\n", histograms=histograms))
    assert likelihood.parameters == ("r", "k", *(f"prop_binc_bin{b}" for b in range(3)))
    found = expected(likelihood, r=2.0, k=1.0, prop_binc_bin1=0.7)
    size = math.hypot(2 * 0.2, 1.3 * 0.6)
    np.testing.assert_allclose(found, [1.3 * 8 + 2, 1.3 * 6 + 4 + 0.7 * size, 1.3 * 2 + 2], rtol=1e-7)


def test_statistics_below_the_threshold(tmp_path: Path) -> None:
    """CARD-24: (8/0.8)^2 = 100 events stay one shift at threshold 50; 4 and 1 become Poisson or, with a large error, Gaussian."""
    histograms = {"s": histogram(SIGNAL, [0.1, 1.0, 2.0]), "b": histogram(BACKGROUND, [0.8, 3.0, 2.0])}
    likelihood = read(write(tmp_path, "* autoMCStats 50\n", histograms=histograms))
    names = {p.name: p for p in likelihood.description.parameters}
    assert set(names) == {
        "r", "prop_binc_bin0", "prop_binc_bin1_s", "prop_binc_bin1_b", "prop_binc_bin2_s", "prop_binc_bin2_b",
    }  # fmt: skip
    constraint = names["prop_binc_bin1_b"].constraint
    assert constraint is not None
    assert (constraint.count, constraint.scale) == (4.0, 4.0)  # type: ignore[union-attr]
    found = expected(
        likelihood,
        r=3.0,
        prop_binc_bin1_s=1.5,
        prop_binc_bin1_b=0.5,
        prop_binc_bin2_s=0.25,
        prop_binc_bin2_b=2.0,
    )
    # The signal's error in bin 3 is larger than its content: a shift, not a factor.
    np.testing.assert_allclose(found, [8 + 3, 3 + 1.5 * 6, 2.0 * 2 + 3 * (1 + 0.25 * 2)], rtol=1e-7)


def test_statistics_with_signal_and_flags(tmp_path: Path) -> None:
    """CARD-24: the signal counts towards the threshold if asked; below zero there are none; zero keeps the rule."""
    histograms = {"s": histogram([30.0] * 3, [1.0] * 3), "b": histogram(BACKGROUND, [2.0] * 3)}
    without = read(write(tmp_path, "* autoMCStats 20\n", histograms=histograms))
    assert "prop_binc_bin0_b" in without.parameters
    with_signal = read(write(tmp_path, "* autoMCStats 20 1\n", histograms=histograms))
    assert "prop_binc_bin0" in with_signal.parameters
    assert read(write(tmp_path, "* autoMCStats -1\n", histograms=histograms)).parameters == ("r",)
    rule = read(
        write(tmp_path, "* autoMCStats 0\n", histograms={"b": histogram(BACKGROUND, [0.5, 0.5, 3.0])})
    )
    # (2/3)^2 rounds to no event: a shift of the process alone.
    assert rule.parameters == (
        "r", "prop_binc_bin0", "prop_binc_bin1", "prop_binc_bin2_s", "prop_binc_bin2_b",
    )  # fmt: skip


@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize("x", [-0.6, 0.3, 1.0])
def test_statistics_modes(tmp_path: Path, mode: int, x: float) -> None:
    """CARD-24: hist-mode 1 splits variations into shape and normalisation, 2 takes them as they are."""
    likelihood = read(write(tmp_path, f"jes shape - 1\n* autoMCStats -1 0 {mode}\n", histograms=JES))
    nominal, up, down = (np.array(v) for v in (BACKGROUND, UP, DOWN))
    norm = 1.0
    if mode == 1:
        up, down = up * 16 / 18, down * 16 / 14
        norm = factor(x, 14 / 16, 18 / 16)
    shape = nominal + 0.5 * x * ((up - down) + step(x) * (up + down - 2 * nominal))
    np.testing.assert_allclose(expected(likelihood, r=0.0, jes=x), norm * shape, rtol=1e-6)


def test_gamma_with_statistics(tmp_path: Path) -> None:
    """CARD-24: with autoMCStats a gmN multiplies the histogram by its parameter over the count."""
    likelihood = read(write(tmp_path, "g gmN 4 - 4\n* autoMCStats 0\n"))
    np.testing.assert_allclose(expected(likelihood, r=0.0, g=6.0), np.multiply(BACKGROUND, 1.5), rtol=1e-7)


def test_two_dimensions(tmp_path: Path) -> None:
    """CARD-19: a TH2 is unrolled, the second axis fastest."""
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    edges = np.arange(4.0), np.arange(3.0)
    two = dict.fromkeys(("data_obs", "s", "b"), (values, *edges))
    likelihood = read(write(tmp_path, histograms=two))
    assert likelihood.observed.counts.tolist() == [1, 2, 3, 4, 5, 6]


def test_mass_and_wildcards(tmp_path: Path) -> None:
    """CARD-19: $MASS, $CHANNEL, and lines of their own for a process."""
    card = write(tmp_path, histograms={"s125": histogram([2.0, 2.0, 2.0]), "c/b": histogram([1.0, 1.0, 1.0])})
    text = card.read_text(encoding="utf-8").replace(
        "shapes * *", "shapes s * h.root $PROCESS$MASS\nshapes b c h.root $CHANNEL/$PROCESS\nshapes * *"
    )
    text = text.replace("shapes b c h", "shapes data_obs c h.root data_obs\nshapes b c h").replace(
        "shapes s *", "shapes s c"
    )
    card.write_text(text, encoding="utf-8")
    np.testing.assert_allclose(expected(read(card, mass=125), r=1.0), [3.0, 3.0, 3.0])
    with pytest.raises(DocumentError, match=r"card.txt:4: 's\$MASS' depends on \$MASS; say which mass"):
        read(card)


def test_cycles_of_one_name(tmp_path: Path) -> None:
    """CARD-19: of several cycles the first one listed, as ROOT's Get takes it, so that our files agree with ROOT's newest."""
    card = write(tmp_path)
    with uproot.update(tmp_path / "h.root") as file:
        file["s"] = histogram([5.0, 5.0, 5.0])
    with uproot.open(tmp_path / "h.root") as file:
        first = next(key for key in file.classnames() if key.startswith("s;"))
        values = file[first].values()
    np.testing.assert_allclose(expected(read(card), r=1.0) - BACKGROUND, values)


BAD: dict[str, tuple[dict[str, object], str]] = {
    "missing histogram": ({"lines": "jes shape - 1\n"}, r"card.txt:11: .*h.root has no histogram 'b_jesDown'; its histograms begin with"),
    "number of bins": ({"histograms": {"b": histogram([1.0, 2.0])}}, r"card.txt:4: .*h.root: b has 2 bins, the data of channel 'c' .* has 3"),
    "bins of a variation": ({"lines": "jes shape - 1\n", "histograms": JES | {"b_jesUp": histogram([1.0])}}, r"card.txt:11: .*b_jesUp has 1 bin"),
    "negative data": ({"histograms": {"data_obs": histogram([1.0, -2.0, 1.0])}}, r"card.txt:4: .*data_obs counts -2 events in bin 2"),
    "nan": ({"histograms": {"b": histogram([1.0, math.nan, 1.0])}}, r"card.txt:4: .*'b' in bin 2 is nan; it must be a finite number"),
    "empty": ({"histograms": {"b": histogram([0.0, 0.0, 0.0])}}, r"card.txt:4: .*b has the integral 0, but the rate"),
    "rate": ({"background": "17"}, r"card.txt:10: the rate of process 'b' in channel 'c' is 17, but .*b has 16 events"),
    "observation": ({"observation": "20"}, r"card.txt:6: the observation of channel 'c' is 20, but .*data_obs has 19 events"),
    "empty variation": ({"lines": "jes shape - 1\n", "histograms": JES | {"b_jesUp": histogram([0.0] * 3)}}, r"card.txt:11: .*b_jesUp has the integral 0"),
    "two algorithms": ({"lines": "jes shape - 1\njer shapeN - 1\n", "histograms": JES}, r"card.txt:12: process 'b' in channel 'c' has both shape and shapeN"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_histograms(tmp_path: Path, case: str) -> None:
    """CARD-12, CARD-23: file, line, rule and cure, in one line."""
    arguments, message = BAD[case]
    with pytest.raises(DocumentError, match=message) as caught:
        read(write(tmp_path, **arguments))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_all_faults_of_histograms_at_once(tmp_path: Path) -> None:
    """IMP-2, CARD-12: every histogram that is missing or does not fit is in one report."""
    card = write(
        tmp_path,
        "jes shape - 1\njer shape - 1\nk shape 1 -\n",
        histograms={"b_jesUp": histogram([1.0]), "b_jesDown": histogram(DOWN), "b_jerUp": histogram(UP)},
        background="17",
    )
    with pytest.raises(DocumentError) as caught:
        read(card)
    text = str(caught.value)
    assert text.startswith(f"{card}: 2 faults: line ")
    assert "line 10: the rate of process 'b'" in text
    assert "no histogram 's_kDown'" in text
    card = write(
        tmp_path,
        "jes shape - 1\njer shape - 1\nk shape 1 -\n",
        histograms={"b_jesUp": histogram([1.0]), "b_jesDown": histogram(DOWN), "b_jerUp": histogram(UP)},
    )
    with pytest.raises(
        DocumentError, match=r"3 faults: .*line 13: .*line 11: .*b_jesUp has 1 bin.*line 12: .*b_jerDown"
    ):
        read(card)


def test_cycles_by_name(tmp_path: Path) -> None:
    """CARD-19: a name may end in a cycle, as ROOT's Get takes it."""
    card = write(tmp_path)
    with uproot.update(tmp_path / "h.root") as file:
        file["s"] = histogram([5.0, 5.0, 5.0])
    for cycle, values in ((1, SIGNAL), (2, [5.0, 5.0, 5.0])):
        lines = card.read_text(encoding="utf-8").splitlines()
        lines.insert(4, f"shapes s * h.root s;{cycle}")
        (tmp_path / "cycle.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        np.testing.assert_allclose(expected(read(tmp_path / "cycle.txt"), r=1.0) - BACKGROUND, values)
    (tmp_path / "cycle.txt").write_text("\n".join(lines).replace("s;2", "s;3"), encoding="utf-8")
    with pytest.raises(DocumentError, match=r"has no histogram 's;3'"):
        read(tmp_path / "cycle.txt")


def test_bad_files(tmp_path: Path) -> None:
    """CARD-12, CARD-19: missing and damaged files, trees, and files outside the folder."""
    card = write(tmp_path)
    content = (tmp_path / "h.root").read_bytes()
    (tmp_path / "h.root").unlink()
    with pytest.raises(DocumentError, match=r"card.txt:4: .*h.root: there is no such file"):
        read(card)
    (tmp_path / "h.root").write_bytes(content[:150])
    with pytest.raises(DocumentError, match=r"card.txt:4: .*not a readable ROOT file"):
        read(card)
    (tmp_path / "inside").mkdir()
    (tmp_path / "h.root").write_bytes(content)
    moved = tmp_path / "inside" / "card.txt"
    moved.write_text(card.read_text(encoding="utf-8").replace("h.root", "../h.root"), encoding="utf-8")
    with pytest.raises(DocumentError, match=r"card.txt:4: '../h.root' is outside the card's folder"):
        read(moved)
    assert read(moved, outside=True).parameters == ("r",)
    (tmp_path / "inside" / "link.root").symlink_to(tmp_path / "h.root")
    moved.write_text(card.read_text(encoding="utf-8").replace("h.root", "link.root"), encoding="utf-8")
    with pytest.raises(DocumentError, match=r"is outside the card's folder"):
        read(moved)


def test_combination_with_labels(tmp_path: Path) -> None:
    """CARD-25: channels are renamed, nuisances shared; the likelihood is the product of both."""
    first = write(tmp_path, "jes shape - 1\nk lnN 1.1 -\n", histograms=JES)
    (tmp_path / "two").mkdir()
    second = tmp_path / "two" / "other.txt"
    second.write_text(
        "bin x y\nobservation 3 4\nbin x x y y\nprocess s b s b\nprocess 0 1 0 1\nrate 1 2 3 4\nk lnN 1.2 - 1.2 -\njes lnN - 1.3 - -\n",
        encoding="utf-8",
    )
    both = read_cards({"one": first, "two": second})
    assert [c.name for c in both.description.channels] == ["one", "two_x", "two_y"]
    assert set(both.parameters) == {"r", "k", "jes"}
    values = {"r": 1.3, "k": 0.4, "jes": -0.7}
    separate = read(first).nll(values) + read(second).nll(values)
    shared = 0.5 * (0.4**2 + 0.7**2) + math.log(2 * math.pi)
    assert both.nll(values) == pytest.approx(separate - shared, rel=1e-12)
