"""The recipe from cards to the table, on three toy bins whose answer is worked out by hand: TAB-8 to TAB-13."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest

from superbin.domain.search import Estimate
from superbin.errors import DocumentError, InputError
from superbin.io.datacards import Datacards, read_datacards

SCRIPT = Path(__file__).parents[3] / "validation/published_table/derive.py"
ZERO_COUNT = 1.8410216450  # -ln(0.158655254): where a Poisson mean makes no count 15.87 % probable

SIGNAL = """\
#the tag = {tag}
observation 3
bin {c} {c} {c} {c} {c} {c} {c}
process sig WTopSL WTopSLHighW WTopHad WTopHadHighW zvv qcd
process 0 1 2 3 4 5 6
rate SIGNAL {rates}
"""
SIGNAL_0 = (
    SIGNAL.format(tag="A", c="Binsignal0", rates="10 0.5 8 0.25 20 2")
    + """\
LLHadTauCorrelErrorX lnN - 1.3 - 1.1 - - -
a lnN - 0.8/1.1 - 1.3 - - -
b lnN - 1.05/0.9 - 1.4 - - -
free lnU - - 100 - 100 100 100
z1 lnN - - - - - 0.9/1.3 -
q1 lnN - - - - - - 1.5
q2 lnN - - - - - - 0.6/1.2
"""
)
SIGNAL_1 = (
    SIGNAL.format(tag="B", c="Binsignal1", rates="SIGNAL 0.4 0.0001 0.25 1.0 0.3")
    + """\
LLHadTauCorrelErrorY lnN - 1.3 - 2.0 - - -
a lnN - 0.8/1.1 - 1.3 - - -
"""
)
SIGNAL_2 = (
    SIGNAL.format(tag="C", c="Binsignal2", rates="0.2 0.1 0.1 0.25 4 SIGNAL")
    + """\
LLHadTauCorrelErrorZ lnN - 1.9 - 1.2 - - -
a lnN - 0.5/1.1 - 1.3 - - -
DYstat_Njet0_BTag1 lnN - - - - - 1.3 -
"""
)
LOW = """\
#the tag = {tag}
observation {n}
bin {c} {c} {c}
process sig qcd contam
process 0 1 2
rate 0.0001 {qcd} {contam}
"""
PHOTON = """\
#the tag = {tag}
observation {n}
bin {c} {c}
process sig zvv
process 0 1
rate 0.0 {rate}
"""
CARDS = {
    "s0": SIGNAL_0,
    "s1": SIGNAL_1,
    "s2": SIGNAL_2,
    "l0": LOW.format(tag="A", c="BinLowdphi0", n=25, qcd=16, contam=9) + "contamUnc lnN - - 1.5\n",
    "l1": LOW.format(tag="B", c="BinLowdphi1", n=2, qcd="1.0", contam=3) + "contamUnc lnN - - 1.5\n",
    "l2": LOW.format(tag="C", c="BinLowdphi2", n=0, qcd="1.0", contam="0.0001"),
    "p0": PHOTON.format(tag="A", c="Binsphoton0", n=100, rate=100) + "z2 lnN - 1.4\n",
    "p1": PHOTON.format(tag="B", c="Binsphoton1", n=0, rate=2.5),
    "p2": PHOTON.format(tag="C", c="Binsphoton2", n=16, rate=16),
}


@pytest.fixture(scope="module")
def derive() -> ModuleType:
    spec = importlib.util.spec_from_file_location("derive_published_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def toy(folder: Path, **changed: str) -> Datacards:
    for name, text in {**CARDS, **changed}.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return read_datacards(folder)


@pytest.fixture
def table(derive: ModuleType, tmp_path: Path) -> dict[str, Estimate]:
    result = derive.estimates(toy(tmp_path), 3)
    assert isinstance(result, dict)
    return result


def row(estimate: Estimate, i: int) -> tuple[float, ...]:
    return tuple(
        float(part[i])
        for part in (
            estimate.nominal,
            estimate.stat_up,
            estimate.stat_down,
            estimate.syst_up,
            estimate.syst_down,
        )
    )


def test_lost_lepton(table: dict[str, Estimate]) -> None:
    """TAB-9: 30 % of 10; upwards with 1.841 events of weight 0.5; the inverted pair counts for the side it moves to."""
    up = math.hypot(3.0, ZERO_COUNT * 0.5)
    syst_up, syst_down = 10 * math.hypot(0.1, 0.05), 10 * math.hypot(0.2, 0.1)
    assert row(table["lostlep"], 0) == pytest.approx((10, up, 3, syst_up, syst_down), rel=1e-6)


def test_lost_lepton_without_events(table: dict[str, Estimate]) -> None:
    """TAB-8, TAB-9: a leaked placeholder is zero; what is left is the zero-count error."""
    assert row(table["lostlep"], 1) == pytest.approx((0, ZERO_COUNT * 0.4, 0, 0, 0), rel=1e-6)


def test_lost_lepton_stops_at_zero(table: dict[str, Estimate]) -> None:
    """TAB-12: stat down 0.18 of 0.2 events; 0.02 are left of the 0.1 of the systematic error."""
    up = math.hypot(0.18, ZERO_COUNT * 0.1)
    assert row(table["lostlep"], 2) == pytest.approx((0.2, up, 0.18, 0.02, 0.02), rel=1e-6)


def test_hadronic_tau(table: dict[str, Estimate]) -> None:
    """TAB-9: single kappas count kappa - 1 on both sides: 30 % and 40 % make 50 %; a floored rate is zero."""
    up = math.hypot(0.8, ZERO_COUNT * 0.25)
    assert row(table["hadtau"], 0) == pytest.approx((8, up, 0.8, 4, 4), rel=1e-6)
    assert row(table["hadtau"], 1) == pytest.approx((0, ZERO_COUNT * 0.25, 0, 0, 0), rel=1e-6)


def test_invisible_z(table: dict[str, Estimate]) -> None:
    """TAB-10: 20 events from 100 photons; 30 % up, 10 % down here and 40 % there. 4 from 16, and 30 % of Drell-Yan statistics."""
    expected = (20, 2, 2, 20 * 0.5, 20 * math.hypot(0.1, 0.4))
    assert row(table["znn"], 0) == pytest.approx(expected, rel=1e-6)
    stat = math.hypot(1, 4 * 0.3)
    assert row(table["znn"], 2) == pytest.approx((4, stat, stat, 0, 0), rel=1e-6)


def test_invisible_z_without_photons(table: dict[str, Estimate]) -> None:
    """TAB-8, TAB-10: the card's rates are only a transfer factor of 1/2.5."""
    assert row(table["znn"], 1) == pytest.approx((0, ZERO_COUNT / 2.5, 0, 0, 0), rel=1e-6)


def test_qcd(table: dict[str, Estimate]) -> None:
    """TAB-11: 16 = 25 - 9 events make 2; Garwood by mpmath, 16 +5.083066 -3.957801; contamination 50 % of 9."""
    contamination = 0.5 * 9 / 8
    syst_up = math.hypot(2 * 0.5, 2 * 0.2, contamination)
    syst_down = math.hypot(2 * 0.5, 2 * 0.4, contamination)
    expected = (2, 5.083065564 / 8, 3.957801029 / 8, syst_up, syst_down)
    assert row(table["qcd"], 0) == pytest.approx(expected, rel=1e-6)


def test_qcd_without_events(table: dict[str, Estimate]) -> None:
    """TAB-8, TAB-11: 2 events, 3 of them contamination, are none; its error still counts upwards."""
    contamination = 0.5 * 3 * 0.3
    assert row(table["qcd"], 1) == pytest.approx((0, ZERO_COUNT * 0.3, 0, contamination, 0), rel=1e-6)
    assert row(table["qcd"], 2) == (0, 0, 0, 0, 0)  # no transfer factor at all


def test_seven_digits(derive: ModuleType, tmp_path: Path) -> None:
    """TAB-13: a nominal value keeps seven significant digits."""
    cards = toy(tmp_path, s0=CARDS["s0"].replace("SIGNAL 10 ", "SIGNAL 1234.56789 "))
    assert derive.estimates(cards, 1)["lostlep"].nominal[0] == 1234.568


def test_missing_control_region(derive: ModuleType, tmp_path: Path) -> None:
    """TAB-10: named, not guessed."""
    toy(tmp_path)
    (tmp_path / "p1.txt").unlink()
    with pytest.raises(InputError, match="no card has the channel 'Binsphoton1'"):
        derive.estimates(read_datacards(tmp_path), 3)


def test_missing_process(derive: ModuleType, tmp_path: Path) -> None:
    """TAB-11: the card and its line."""
    cards = toy(tmp_path, l1=CARDS["l1"].replace("process sig qcd contam", "process sig other contam"))
    with pytest.raises(DocumentError, match=r"l1\.txt:2: channel 'BinLowdphi1' has no process 'qcd'"):
        derive.estimates(cards, 3)


def test_transfer_factor_needs_a_rate(derive: ModuleType, tmp_path: Path) -> None:
    """TAB-10: a transfer factor with a photon rate of zero is refused."""
    with pytest.raises(InputError, match="a transfer factor needs > 0"):
        derive.estimates(toy(tmp_path, p2=CARDS["p2"].replace("0.0 16", "0.0 0")), 3)


def test_tags(derive: ModuleType, tmp_path: Path) -> None:
    """TAB-8's numbering: every card's own tag is checked."""
    cards = toy(tmp_path)
    tags = {c.name: "ABC"[int(c.name[-1])] for c in cards.channels}
    assert derive.check_tags(cards, tags) == 9
    with pytest.raises(
        DocumentError, match=r"l1\.txt:1: the tag is 'B' but channel 'BinLowdphi1' should be 'Q'"
    ):
        derive.check_tags(cards, {**tags, "BinLowdphi1": "Q"})
    with pytest.raises(DocumentError, match=r"has no tag to check its bin with"):
        derive.check_tags(toy(tmp_path, p0=CARDS["p0"].replace("#the tag = A\n", "")), tags)
