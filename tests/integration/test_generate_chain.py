"""The chain from Pythia to the bins, against an independent slow calculation (specs/generation.md)."""

import gzip
import itertools
import math
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superbin._support.arrays import FloatArray
from superbin.catalog import open_catalog
from superbin.domain.search import Search
from superbin.errors import DocumentError, InputError
from superbin.generate import (
    Cards,
    DetectorCard,
    GeneratorSettings,
    SelectionCard,
    generate_from_events,
    generate_point,
    generate_spectrum,
    model_named,
    slha_text,
)
from superbin.generate.chain import analyse
from superbin.generate.detector import Jets, cluster, smear, visible
from superbin.generate.events import Particles
from superbin.generate.pythia import generate_events, process_lines, settings_lines
from superbin.generate.readers import read_events
from superbin.generate.roulette import Roulette, boosted, chance_to_go_on
from superbin.generate.spectrum import _FIXED_MASSES, _HIGGS

pytest.importorskip("pythia8mc")
fastjet = pytest.importorskip("fastjet")

FAST = GeneratorSettings(multiparton=False, hadronisation=False)


@pytest.fixture(scope="module")
def search() -> Search:
    with open_catalog("sqlite://") as catalog:
        return catalog.search("cms-pas-sus-16-014")


def simulated(model: str, masses: tuple[float, float], events: int, settings: GeneratorSettings) -> Particles:
    chosen = model_named(model)
    lines = settings_lines(settings, process_lines(chosen.mothers), 4242)
    (batch,) = generate_events(lines, events=events, batch=events, slha=slha_text(chosen, *masses))
    return batch


@pytest.fixture(scope="module")
def batch() -> Particles:
    """Events with leptons, b jets and radiation."""
    return simulated("T1tttt", (1300, 100), 60, GeneratorSettings())


@pytest.fixture(scope="module")
def few(batch: Particles) -> Particles:
    """The first of them, for what is slow to write."""
    end = int(batch.offsets[20])
    return replace(
        batch,
        offsets=batch.offsets[:21],
        pdg=batch.pdg[:end],
        final=batch.final[:end],
        mother=batch.mother[:end],
        px=batch.px[:end],
        py=batch.py[:end],
        pz=batch.pz[:end],
        e=batch.e[:end],
        weight=batch.weight[:20],
    )


# --- an independent calculation, one event and one particle at a time --------------------------------------


def wrapped(angle: float) -> float:
    return math.atan2(math.sin(angle), math.cos(angle))


def slow_event(batch: Particles, number: int, jets: Jets, search: Search) -> tuple[int, list[float]]:
    """Radiation jets and the chance of every bin, for one event."""
    start, stop = int(batch.offsets[number]), int(batch.offsets[number + 1])
    everything = []
    for i in range(start, stop):
        pt = math.hypot(batch.px[i], batch.py[i])
        eta = math.asinh(batch.pz[i] / pt) if pt > 1e-9 else math.copysign(99, batch.pz[i])
        everything.append(
            (int(batch.pdg[i]), bool(batch.final[i]), int(batch.mother[i]) - start, pt, eta,
             math.atan2(batch.py[i], batch.px[i]))
        )  # fmt: skip
    lo, hi = int(jets.offsets[number]), int(jets.offsets[number + 1])
    mine = [(float(jets.pt[i]), float(jets.eta[i]), float(jets.phi[i])) for i in range(lo, hi)]
    mine = sorted((j for j in mine if j[0] > 30 and abs(j[1]) < 5), reverse=True)
    central = [j for j in mine if abs(j[1]) < 2.4]
    radiation = sum(not near_a_quark(j, everything) for j in central)
    ht = sum(j[0] for j in central)
    x, y = (-sum(j[0] * f(j[2]) for j in mine) for f in (math.cos, math.sin))
    mht, direction = math.hypot(x, y), math.atan2(y, x)
    none = [0.0] * search.n_bins
    if len(central) < 3 or ht <= 300 or mht <= 300:
        return radiation, none
    for jet, least in zip(central, (0.5, 0.5, 0.3, 0.3), strict=False):
        if abs(wrapped(jet[2] - direction)) <= least:
            return radiation, none
    passing = unseen(everything, mht, direction) * (0.995 if mht <= 500 else 1.0) * 0.99
    chances = [tagged(jet, everything) for jet in central]
    number_of_tags = np.array([1.0])
    for chance in chances:
        # Generating function: multiply the polynomials of the jets.
        number_of_tags = np.convolve(number_of_tags, [1 - chance, chance])
    filled = []
    names = [o.name for o in search.observables]
    for low, high in zip(search.low.tolist(), search.high.tolist(), strict=True):
        edges = {name: (a, b) for name, a, b in zip(names, low, high, strict=True)}
        inside = (
            edges["njet"][0] <= len(central) <= edges["njet"][1]
            and edges["ht"][0] < ht <= edges["ht"][1]
            and edges["mht"][0] < mht <= edges["mht"][1]
        )
        share = sum(p for k, p in enumerate(number_of_tags.tolist()) if edges["nb"][0] <= k <= edges["nb"][1])
        filled.append(share * passing if inside else 0.0)
    return radiation, filled


def near_a_quark(jet: tuple[float, float, float], everything: list[Any]) -> bool:
    for pdg, _, mother, _, eta, phi in everything:
        if 1 <= abs(pdg) <= 5 and mother >= 0:
            parent = abs(everything[mother][0])
            resonance = parent in (6, 23, 24, 25, 35, 36, 37) or 1000000 < parent < 3000000
            if resonance and math.hypot(jet[1] - eta, wrapped(jet[2] - phi)) < 0.3:
                return True
    return False


def unseen(everything: list[Any], mht: float, direction: float) -> float:
    """The chance that no lepton and no track vetoes."""
    hidden = {12, 14, 16, 1000012, 1000014, 1000016, 1000022, 1000039}
    seen = [p for p in everything if p[1] and abs(p[0]) not in hidden and abs(p[4]) < 5]
    charged = {11, 13, 211, 321, 2212, 3112, 3222, 3312, 3334}

    def activity(me: Any, radius: float, others: list[Any]) -> float:
        near = (
            o[3] for o in others if o is not me and math.hypot(me[4] - o[4], wrapped(me[5] - o[5])) < radius
        )
        return float(sum(near) / me[3])

    chance = 1.0
    tracks = [p for p in seen if abs(p[0]) in charged]
    for p in tracks:
        kind, pt, eta = abs(p[0]), p[3], abs(p[4])
        if kind in (11, 13) and pt > 10 and eta < (2.5 if kind == 11 else 2.4):
            radius = 0.2 if pt < 50 else 10 / pt if pt < 200 else 0.05
            if activity(p, radius, tracks) < (0.1 if kind == 11 else 0.2):
                chance *= 0.08 if kind == 11 else 0.03
        least, most = (5, 0.2) if kind in (11, 13) else (10, 0.1)
        mt = math.sqrt(2 * pt * mht * (1 - math.cos(p[5] - direction)))
        if pt > least and eta < 2.4 and mt < 100 and activity(p, 0.3, tracks) < most:
            chance *= 0.0 if kind in (11, 13) else 0.1
    return chance


def heaviest(pdg: int) -> int:
    digits = f"{abs(pdg) % 10000:04d}"
    if abs(pdg) >= 10**7 or "0" in digits[1:3] or (digits[0] == "0" and digits[1] == digits[2]):
        return 0
    return int(digits[0]) or int(digits[1])


def tagged(jet: tuple[float, float, float], everything: list[Any]) -> float:
    pt = jet[0]
    for quark in (5, 4):
        for i, (pdg, _, _, hadron_pt, eta, phi) in enumerate(everything):
            if heaviest(pdg) != quark or hadron_pt <= 5:
                continue
            if any(m == i and heaviest(other) == quark for other, _, m, *_ in everything):
                continue
            if math.hypot(jet[1] - eta, wrapped(jet[2] - phi)) < 0.4:
                if quark == 5:
                    return 0.69 * (1 - 0.6 * math.exp(-(pt - 20) / 20)) / (1 + math.pow(pt / 494, 4.5))
                return 0.55 * between(pt, ((30, 0.1), (100, 0.12), (300, 0.14)))
    return 1.43 * between(pt, ((30, 0.009), (100, 0.011), (300, 0.018), (800, 0.035)))


def between(pt: float, table: tuple[tuple[float, float], ...]) -> float:
    for (a, u), (b, v) in itertools.pairwise(table):
        if a <= pt < b:
            return u + (v - u) * math.log(pt / a) / math.log(b / a)
    return table[0][1] if pt < table[0][0] else table[-1][1]


def test_chain_against_slow_calculation(batch: Particles, search: Search) -> None:
    """GEN-35, GEN-36, GEN-50: efficiencies and errors of all bins agree to rounding."""
    table = (1, 0.882, 0.792, 0.702, 0.648, 0.601, 0.515)
    cards = Cards(selection=SelectionCard(isr_weights=table, trigger=((300, 0.995), (500, 1.0))))
    result = analyse([batch], search, cards=cards, random=np.random.default_rng(5))
    found = cluster(batch, visible(batch, cards.detector), cards.detector)
    jets, _ = smear(found, cards.detector, np.random.default_rng(5).standard_normal(len(found.pt)))
    slow = [slow_event(batch, i, jets, search) for i in range(batch.n_events)]
    weights = np.array([table[min(radiation, 6)] for radiation, _ in slow])
    chances = np.array([filled for _, filled in slow])
    weighted = chances * weights[:, None] / weights.sum()
    np.testing.assert_allclose(result.values, weighted.sum(axis=0), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(result.errors, np.sqrt((weighted**2).sum(axis=0)), rtol=1e-9, atol=1e-15)
    deviation = chances.sum(axis=1) - result.values.sum()
    expected = math.sqrt(((weights * deviation) ** 2).sum()) / weights.sum()
    assert result.total_error == pytest.approx(expected, rel=1e-9)
    assert (chances.sum(axis=1) > 0).sum() > 5  # or nothing was tested
    flow = result.cut_flow
    assert flow["trigger"] < flow["tracks"] < flow["leptons"] < flow["angles"]
    assert flow["in a bin"] == pytest.approx(result.values.sum())


def test_variations_are_other_detectors(batch: Particles, search: Search) -> None:
    """GEN-56: a variation is what the varied cards give on the same events with the same random numbers."""
    cards = Cards.of(search)
    result = analyse([batch], search, cards=cards, random=np.random.default_rng(5))
    assert list(result.variations) == [
        "jet energy scale", "b tagging", "mistags", "lepton veto", "initial-state radiation",
    ]  # fmt: skip
    for name, sides in cards.variations().items():
        for varied, values in zip(sides, result.variations[name], strict=True):
            alone = analyse([batch], search, cards=varied, random=np.random.default_rng(5))
            np.testing.assert_allclose(values, alone.values, rtol=1e-12, atol=1e-15)
            assert not np.array_equal(values, result.values)


def test_jets_against_classic_fastjet(batch: Particles) -> None:
    """GEN-20: the same jets as FastJet finds when it is given one event after the other."""
    card = DetectorCard()
    seen = visible(batch, card)
    found = cluster(batch, seen, card)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.4)
    for number in range(10):
        at = np.arange(batch.offsets[number], batch.offsets[number + 1])
        inputs = [
            fastjet.PseudoJet(float(batch.px[i]), float(batch.py[i]), float(batch.pz[i]), float(batch.e[i]))
            for i in at[seen[at]]
        ]
        sequence = fastjet.ClusterSequence(inputs, definition)
        expected = sorted((j.pt() for j in sequence.inclusive_jets(10.0)), reverse=True)
        mine = found.pt[found.offsets[number] : found.offsets[number + 1]]
        np.testing.assert_allclose(mine, expected, rtol=1e-10)


# --- Pythia ------------------------------------------------------------------------------------------------


def lsp_fraction(strategy: int) -> tuple[float, float]:
    """Mean of 2 E(LSP)/m in the rest frame of the gluino, with its error."""
    made = simulated("T1bbbb", (1750, 1), 250, replace(FAST, recoil_strategy=strategy))
    values = []
    for i in np.flatnonzero(made.final & (made.pdg == 1000022)):
        j = i
        while made.pdg[j] != 1000021:
            j = made.mother[j]
        energy = made.e[i] * made.e[j] - sum(a[i] * a[j] for a in (made.px, made.py, made.pz))
        values.append(2 * energy / 1750**2)
    return float(np.mean(values)), float(np.std(values) / math.sqrt(len(values)))


def test_recoil_strategy_matters() -> None:
    """GEN-10: with ours the LSP has its share of massless three-body phase space, 2/3 on average; with the default
    of the newer Pythia it is plainly less.
    """
    assert GeneratorSettings().recoil_strategy == 1
    ours, error = lsp_fraction(1)
    assert ours == pytest.approx(2 / 3, abs=4 * error)
    default, error = lsp_fraction(0)
    assert default < 2 / 3 - 4 * error


def test_pythia_reads_the_spectrum() -> None:
    """GEN-3, GEN-4, GEN-12: masses, decays and the number of events."""
    made = simulated("T2bb", (900, 400), 60, FAST)
    assert made.n_events == 60
    for pdg, mass in ((1000005, 900.0), (1000022, 400.0)):
        at = np.flatnonzero(np.abs(made.pdg) == pdg)
        squared = made.e[at] ** 2 - made.px[at] ** 2 - made.py[at] ** 2 - made.pz[at] ** 2
        assert np.median(np.sqrt(squared)) == pytest.approx(mass, rel=0.01)
        assert len(at) >= 120
    assert (made.final & (np.abs(made.pdg) == 1000022)).sum() == 120
    mothers = made.mother[np.flatnonzero((made.pdg == 1000022) & (made.mother >= 0))]
    assert set(np.abs(made.pdg[mothers]).tolist()) <= {1000005, 1000022}


def test_bad_setting() -> None:
    """GEN-11: a line Pythia does not know is refused, and named."""
    lines = settings_lines(GeneratorSettings(extra=("Beams:colour = 3",)), process_lines((1000021,)), 1)
    with pytest.raises(InputError, match=r"does not know the setting 'Beams:colour = 3'"):
        next(generate_events(lines, events=1, batch=1))


def test_same_seed_same_point(search: Search) -> None:
    """GEN-52, GEN-53: the same numbers again, others with another seed; the record can make it again."""
    cards = Cards(FAST)
    one, two, other = (
        generate_point("T1bbbb", (1500, 100), search, events=60, seed=seed, cards=cards) for seed in (7, 7, 8)
    )
    assert np.array_equal(one.efficiencies, two.efficiencies)
    assert np.array_equal(one.errors, two.errors)
    assert not np.array_equal(one.efficiencies, other.efficiencies)
    assert one.settings["versions"].keys() == {"superbin", "pythia8mc", "fastjet"}
    assert one.settings["generator"]["recoil_strategy"] == 1
    assert "TimeShower:recoilStrategyRF = 1" in one.settings["pythia"]
    assert one.events == 60


def test_constants_of_the_search(search: Search) -> None:
    """GEN-70: without cards a point has the constants of the search's bundle, as the command's has."""
    made = generate_point("T1bbbb", (1500, 100), search, events=2)
    assert made.settings["selection"]["isr_weights"][:2] == [1.0, 0.882]
    assert made.settings["selection"] == Cards.of(search).record()["selection"]


def test_bad_numbers(search: Search) -> None:
    """GEN-2: before Pythia starts."""
    with pytest.raises(InputError, match="events is 0"):
        generate_point("T1bbbb", (1500, 100), search, events=0)
    with pytest.raises(InputError, match="kinematically closed"):
        generate_point("T1tttt", (1500, 1400), search)


def test_roulette_keeps_the_means() -> None:
    """GEN-16: events ended early and the weights of the others make up for each other, and all are counted."""
    settings = GeneratorSettings(multiparton=False)
    model = model_named("T1bbbb")
    lines = settings_lines(settings, process_lines(model.mothers), 99)
    spectrum = slha_text(model, 1000, 900)
    hidden = DetectorCard().invisible

    def missing(batches: Iterable[Particles]) -> tuple[FloatArray, FloatArray, int]:
        values, weights, generated = [], [], 0
        for batch in batches:
            at = np.flatnonzero(batch.final & (np.abs(batch.pdg) == 1000022))
            event = np.searchsorted(batch.offsets, at, side="right") - 1
            x, y = (np.bincount(event, v[at], minlength=batch.n_events) for v in (batch.px, batch.py))
            values.append(np.hypot(x, y))
            weights.append(batch.weight)
            generated += batch.n_generated
        return np.concatenate(values), np.concatenate(weights), generated

    game = Roulette(200.0, 20.0, ((0.5, 0.2), (1.0, 0.5)), hidden, 3)
    few, weights, generated = missing(
        generate_events(lines, events=900, batch=100, slha=spectrum, roulette=game)
    )
    assert generated == 900
    assert len(few) < 600
    assert set(weights.tolist()) == {1.0, 2.0, 5.0}
    everything, ones, number = missing(generate_events(lines, events=900, batch=100, slha=spectrum))
    assert number == len(ones) == 900
    for edge in (0.0, 50.0, 100.0, 150.0, 200.0):
        share, expected = (weights * (few > edge)).sum() / 900, (everything > edge).mean()
        error = math.sqrt(((weights * (few > edge)) ** 2).sum() + expected * (1 - expected) * 900) / 900
        assert share == pytest.approx(expected, abs=4 * error)
    # What was expected when the decision was made is close to what came of it.
    assert few[weights == 5].mean() < 110
    assert few[weights == 1].mean() > 200


def test_boost_to_a_recoil() -> None:
    """GEN-16: products move with what they come from; the mass of anything stays, and the parent becomes the new one."""
    old, new = (30.0, -20.0, 500.0), (10.0, 60.0, -100.0)
    a, b = ((*p, math.sqrt(1500.0**2 + sum(x * x for x in p))) for p in (old, new))
    np.testing.assert_allclose(boosted(a, a, b), b, rtol=1e-12)
    piece = (100.0, 50.0, -20.0, math.sqrt(100.0**2 + 50**2 + 20**2 + 800**2))
    moved = boosted(piece, a, b)
    assert moved[3] ** 2 - sum(x * x for x in moved[:3]) == pytest.approx(800**2)
    product = [
        p[3] * q[3] - sum(x * y for x, y in zip(p[:3], q[:3], strict=True))
        for p, q in ((piece, a), (moved, b))
    ]
    assert product[0] == pytest.approx(product[1])
    np.testing.assert_allclose(boosted(moved, b, a), piece, rtol=1e-9)


@pytest.mark.parametrize(
    ("missing", "chance"), [(0, 0.1), (98, 0.1), (100, 0.2), (149, 0.2), (151, 0.5), (250, 1.0)]
)
def test_chance_to_go_on(missing: float, chance: float) -> None:
    """GEN-16: by fractions of the cut."""
    assert chance_to_go_on(missing, 300.0, GeneratorSettings().roulette) == chance


def test_total_error_with_the_roulette(search: Search) -> None:
    """GEN-54: the error that is stated is the spread of points made again."""
    cards = Cards.of(search).changed(["generator.multiparton=false"])
    points = [
        generate_point("T1bbbb", (1000, 900), search, events=120, seed=s, cards=cards) for s in range(14)
    ]
    totals = [point.efficiencies.sum() for point in points]
    stated = math.sqrt(np.mean([point.settings["statistics"]["total_error"] ** 2 for point in points]))
    assert 0.5 < np.std(totals, ddof=1) / stated < 1.7


# --- the user's own ----------------------------------------------------------------------------------------


def test_spectrum_of_the_user(search: Search) -> None:
    """GEN-5, GEN-6: the same spectrum and seed give what the model gives, but for the name in the seed."""
    text = slha_text(model_named("T1bbbb"), 1600, 50)
    cards = Cards(FAST, selection=SelectionCard(isr_weights=()))
    mine = generate_spectrum("mine", text, search, events=150, cards=cards)
    model = generate_point("T1bbbb", (1600, 50), search, events=150, cards=cards)
    assert dict(mine.parameters) == {"m_mother": 1600, "m_lsp": 50}
    assert mine.settings["slha"] == text
    a, b = mine.efficiencies.sum(), model.efficiencies.sum()
    assert a == pytest.approx(b, abs=4 * math.hypot(*mine.errors, *model.errors))
    assert a > 0.3
    with pytest.raises(DocumentError, match="no decays of 1000005"):
        generate_spectrum("mine", text, search, mothers=(1000005,), events=10)


SHORT = """BLOCK MASS
 1000021 1500
 1000022 100
DECAY 1000021 1.0
 1.0 3 1000022 5 -5
"""


def test_masses_and_decays_are_enough(search: Search) -> None:
    """GEN-8: what Pythia wants besides is added for it; the record has what was given."""
    point = generate_spectrum("mine", SHORT, search, events=20, cards=Cards(FAST))
    assert point.settings["slha"] == SHORT
    full = "BLOCK MODSEL\n 1 0\n" + SHORT
    again = generate_spectrum("mine", full, search, events=20, cards=Cards(FAST))
    assert np.array_equal(point.efficiencies, again.efficiencies)
    assert point.efficiencies.sum() > 0


def test_errors_of_a_spectrum_name_its_file(search: Search) -> None:
    """GEN-5, GEN-7: by default the point's name stands for it; a gluino without a number is none."""
    closed = SHORT.replace("1500", "100")
    with pytest.raises(DocumentError, match=r"^mine, line 5: the decay of 1000021"):
        generate_spectrum("mine", closed, search)
    with pytest.raises(DocumentError, match=r"^folder/x\.slha, line 5: the decay of 1000021"):
        generate_spectrum("mine", closed, search, place="folder/x.slha")
    # Open without the neutralino, which labels the point nevertheless.
    heavy = SHORT.replace("1000022 100", "1000022 2000").replace("1000022 5 -5", "2 3 5")
    with pytest.raises(DocumentError, match=r"1500 GeV, is not above that of 1000022, 2000 GeV"):
        generate_spectrum("mine", heavy, search)


def test_the_top_mass_of_the_card(search: Search) -> None:
    """GEN-7: closes a decay that is open by the model's own rule."""
    cards = Cards(GeneratorSettings(top_mass=190))
    with pytest.raises(DocumentError, match=r"the spectrum of T1tttt, line \d+: .* needs 1020 GeV"):
        generate_point("T1tttt", (1000, 640), search, cards=cards)


def test_masses_that_open_decays() -> None:
    """GEN-7: the masses our check takes for known are those of Pythia."""
    pythia8mc = pytest.importorskip("pythia8mc")
    pythia = pythia8mc.Pythia("", False)
    for number, mass in _FIXED_MASSES.items():
        assert pythia.particleData.m0(number) == pytest.approx(mass, abs=0.02)
        assert mass < 100 == pythia.parm("SLHA:minMassSM")
    assert pythia.particleData.m0(25) == _HIGGS


@pytest.mark.parametrize(("width", "gap", "whole"), [(1.0, 9, True), (1.0, 10, False), (0.0, 200, True)])
def test_pythia_leaves_closed_decays_undone(width: float, gap: float, *, whole: bool) -> None:
    """GEN-7: why they are refused, and at which mass: two b quarks of 4.8 GeV take 9.6; so for a width of zero."""
    text = SHORT.replace("1000022 100", f"1000022 {1500 - gap}").replace("1000021 1.0", f"1000021 {width}")
    lines = settings_lines(FAST, process_lines((1000021,)), 7)
    (made,) = generate_events(lines, events=5, batch=5, slha="BLOCK MODSEL\n 1 0\n" + text)
    assert ((made.pdg == 1000022).sum() == 0) == whole


@pytest.mark.parametrize(("gap", "whole"), [(78, True), (83, False)])
def test_pythia_makes_no_virtual_w(gap: float, *, whole: bool) -> None:
    """GEN-7: the chargino stays, a heavy charged track."""
    text = SHORT.replace(" 5 -5", " 2 -1").replace("1.0 3 1000022", "1.0 3 -1000024")
    text += "DECAY 1000024 0.01\n 1.0 2 1000022 24\n"
    text = text.replace("BLOCK MASS", f"BLOCK MODSEL\n 1 0\nBLOCK MASS\n 1000024 {100 + gap}")
    lines = settings_lines(FAST, process_lines((1000021,)), 7)
    (made,) = generate_events(lines, events=5, batch=5, slha=text)
    kept = (made.final & (np.abs(made.pdg) == 1000024)).sum()
    lightest = (made.final & (made.pdg == 1000022)).sum()
    assert (kept, lightest) == ((10, 0) if whole else (0, 10))


def test_pythias_reasons() -> None:
    """GEN-15: in the error."""
    spectrum = slha_text(model_named("T1bbbb"), 1500, 100)
    lines = settings_lines(replace(FAST, sqrt_s_gev=100), process_lines((1000021,)), 1)
    with pytest.raises(InputError, match="ProcessLevel::init: all processes have vanishing cross sections"):
        next(generate_events(lines, events=1, batch=1, slha=spectrum))
    with pytest.raises(InputError, match="ProcessLevel::init: no process switched on"):
        next(generate_events(settings_lines(FAST, (), 1), events=1, batch=1, slha=spectrum))


ALONE = """
from superbin import open_catalog
from superbin.generate import Cards, GeneratorSettings, generate_point
with open_catalog("sqlite://") as catalog:
    search = catalog.search("cms-pas-sus-16-014")
settings = GeneratorSettings(multiparton=False, hadronisation=False, extra=({extra}))
print("before")
generate_point("T1bbbb", (1500, 100), search, events=4, cards=Cards(settings))
print("after")
"""


@pytest.mark.parametrize("extra", ["", "'Print:quiet = off',"])
def test_nothing_on_stdout(extra: str) -> None:
    """GEN-66: neither FastJet's greeting nor Pythia's words, which were asked for, and those are on stderr; in a
    process of its own, since FastJet greets once.
    """
    code = ALONE.format(extra=extra)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "before\nafter\n"
    assert ("PYTHIA" in done.stderr) == bool(extra)
    assert "FastJet" not in done.stderr


def les_houches(spectrum: str, mass: float, events: int) -> str:
    """Gluon pairs to gluino pairs, with momenta from a calculation of our own."""
    beam, head = (
        6500.0,
        '<LesHouchesEvents version="3.0">\n<header>\n<slha>\n' + spectrum + "</slha>\n</header>\n",
    )
    parts = [head, f"<init>\n2212 2212 {beam} {beam} 0 0 247000 247000 3 1\n1.0 0.1 1.0 1\n</init>\n"]
    for i in range(events):
        energy, angle, turn = 1.3 * mass, math.acos(-0.8 + 1.6 * i / events), 2.4 * i
        p = math.sqrt(energy**2 - mass**2)
        px, py, pz = (
            p * math.sin(angle) * math.cos(turn), p * math.sin(angle) * math.sin(turn), p * math.cos(angle)
        )  # fmt: skip
        parts.append(f"<event>\n4 1 1.0 {energy} 0.0078 0.09\n")
        for pz_in, colours in ((energy, "501 502"), (-energy, "502 503")):
            parts.append(f"21 -1 0 0 {colours} 0 0 {pz_in:.10e} {energy:.10e} 0 0 9\n")
        for sign, colours in ((1, "501 504"), (-1, "504 503")):
            momentum = " ".join(f"{sign * v:.10e}" for v in (px, py, pz))
            parts.append(f"1000021 1 1 2 {colours} {momentum} {energy:.10e} {mass:.10e} 0 9\n")
        parts.append("</event>\n")
    return "".join([*parts, "</LesHouchesEvents>\n"])


@pytest.mark.parametrize("pack", [False, True])
def test_les_houches_events(search: Search, tmp_path: Path, *, pack: bool) -> None:
    """GEN-80, GEN-82: showered and decayed by Pythia, all of the file or the first."""
    text = les_houches(slha_text(model_named("T1bbbb"), 1500, 100), 1500, 40)
    path = tmp_path / ("events.lhe.gz" if pack else "events.lhe")
    path.write_bytes(gzip.compress(text.encode()) if pack else text.encode())
    cards = Cards(FAST)
    point = generate_from_events("mine", (1500, 100), path, search, cards=cards)
    assert point.events == 40
    assert 0.2 < point.efficiencies.sum() < 0.9
    assert point.settings["events_file"] == path.name
    assert generate_from_events("mine", (1500, 100), path, search, events=25, cards=cards).events == 25


def as_hepmc(batch: Particles, path: Path, unit: str, weight: Callable[[int], float]) -> None:
    """Write a batch with pyhepmc, one vertex for each particle that has daughters."""
    pyhepmc = pytest.importorskip("pyhepmc")
    scale = {"GEV": 1.0, "MEV": 1000.0}[unit]
    with pyhepmc.open(str(path), "w") as stream:
        for number in range(batch.n_events):
            event = pyhepmc.GenEvent(getattr(pyhepmc.Units, unit), pyhepmc.Units.MM)
            start, stop = int(batch.offsets[number]), int(batch.offsets[number + 1])
            made, vertices = {}, {}
            for i in range(start, stop):
                momentum = tuple(float(a[i]) * scale for a in (batch.px, batch.py, batch.pz, batch.e))
                made[i] = pyhepmc.GenParticle(momentum, int(batch.pdg[i]), 1 if batch.final[i] else 2)
            for i in range(start, stop):
                mother = int(batch.mother[i])
                # In Pythia's record of initial radiation a mother may stand after its daughter; HepMC takes none such.
                if 0 <= mother < i:
                    if mother not in vertices:
                        vertices[mother] = pyhepmc.GenVertex()
                        vertices[mother].add_particle_in(made[mother])
                    vertices[mother].add_particle_out(made[i])
            for mother in sorted(vertices):
                event.add_vertex(vertices[mother])
            event.weights = [weight(number), 7.0]  # the second is of a variation, and not counted
            stream.write(event)


def test_damaged_hepmc(few: Particles, tmp_path: Path) -> None:
    """GEN-83: an event that cannot be read is not passed over; those before it can be asked for."""
    path = tmp_path / "events.hepmc"
    as_hepmc(few, path, "GEV", lambda _: 1.0)
    lines = path.read_text().splitlines(keepends=True)
    third = [i for i, line in enumerate(lines) if line.startswith("E ")][2]
    path.write_text("".join(lines[: third + 40]))
    with pytest.raises(DocumentError, match=r"events\.hepmc: event 3 of 3 cannot be read"):
        list(read_events(path, settings=FAST, seed=1)[0])
    (two,) = read_events(path, settings=FAST, seed=1, events=2)[0]
    assert two.n_events == 2


@pytest.mark.parametrize("unit", ["GEV", "MEV"])
def test_hepmc_events(few: Particles, search: Search, tmp_path: Path, unit: str) -> None:
    """GEN-80, GEN-81: the bins are those of the events they were written from, in either unit, with the first weight of each."""
    path = tmp_path / "events.hepmc"
    as_hepmc(few, path, unit, lambda number: 2.0 if number % 2 else 0.5)
    cards = Cards(detector=DetectorCard(smear_noise=0, smear_stochastic=0, smear_constant=0))
    weights = np.where(np.arange(few.n_events) % 2, 2.0, 0.5)
    expected = analyse([replace(few, weight=weights)], search, cards=cards, random=np.random.default_rng(1))
    found = generate_from_events("mine", (1300, 100), path, search, cards=cards)
    assert found.events == few.n_events
    np.testing.assert_allclose(found.efficiencies, expected.values, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.errors, expected.errors, rtol=1e-6, atol=1e-9)


def test_negative_weights(few: Particles, search: Search, tmp_path: Path) -> None:
    """GEN-84: a bin is never below zero; without positive total weight nothing is said."""
    path = tmp_path / "events.hepmc"
    as_hepmc(few, path, "GEV", lambda number: -1.0 if number % 3 == 0 else 1.0)
    found = generate_from_events("mine", (1300, 100), path, search)
    assert (found.efficiencies >= 0).all()
    assert (found.efficiencies[found.errors > 0] == 0).any()
    as_hepmc(few, path, "GEV", lambda _: -1.0)
    with pytest.raises(InputError, match="no events with positive total weight"):
        generate_from_events("mine", (1300, 100), path, search)


@pytest.mark.parametrize(
    ("name", "content", "error", "text"),
    [
        ("events.root", b"x", InputError, "ends in neither of"),
        ("events.lhe", b"no events", DocumentError, "does not begin with <LesHouchesEvents>"),
        ("events.hepmc", b"no events\n", DocumentError, "holds no HepMC event"),
        ("events.hepmc", b"", DocumentError, "holds no HepMC event"),
        ("events.lhe.gz", b"no gzip", DocumentError, "events.lhe.gz"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, error: type[Exception], text: str) -> None:
    """GEN-80, GEN-83: refused by name."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error, match=text):
        list(read_events(path, settings=FAST, seed=1)[0])


def test_missing_file(tmp_path: Path) -> None:
    """GEN-83: a file that is not there."""
    with pytest.raises(InputError, match="there is no file"):
        read_events(tmp_path / "events.lhe", settings=FAST, seed=1)
