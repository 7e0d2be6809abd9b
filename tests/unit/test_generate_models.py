"""Spectra, settings, constants and the plane of points: all that needs no simulation (specs/generation.md)."""

import itertools
import json
import math
import re
import subprocess
import sys
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from superbin.domain.grid import SignalPoint
from superbin.errors import DocumentError, InputError, MissingDependencyError, UnknownNameError
from superbin.generate import (
    MODELS,
    Cards,
    DetectorCard,
    GeneratorSettings,
    SelectionCard,
    coarse_to_fine,
    events_for,
    masses,
    model_named,
    slha_text,
    standard_plane,
)
from superbin.generate.chain import seeds
from superbin.generate.pythia import generate_events, process_lines, settings_lines
from superbin.generate.spectrum import Spectrum, check_decays, for_pythia, read_spectrum


def blocks(text: str) -> tuple[dict[int, float], dict[int, list[tuple[float, list[int]]]]]:
    """Masses and decays of a spectrum, by a reader of its own."""
    found: dict[int, float] = {}
    decays: dict[int, list[tuple[float, list[int]]]] = {}
    block = ""
    for line in text.splitlines():
        words = line.split()
        if words[0] in ("BLOCK", "DECAY"):
            block = words[1] if words[0] == "BLOCK" else "DECAY"
            if block == "DECAY":
                mother = int(words[1])
                decays[mother] = []
        elif block == "MASS":
            found[int(words[0])] = float(words[1])
        elif block == "DECAY":
            assert int(words[1]) == len(words) - 2
            decays[mother].append((float(words[0]), [int(w) for w in words[2:]]))
    return found, decays


@pytest.mark.parametrize("name", MODELS)
def test_spectrum(name: str) -> None:
    """GEN-1, GEN-3, GEN-4: masses where they belong, branching ratios that add up, charge and colour conserved."""
    model = model_named(name)
    found, decays = blocks(slha_text(model, 1200, 150))
    assert {n for n, m in found.items() if m == 1200} == set(model.mothers)
    assert found[1000022] == 150
    assert found[25] == 125
    rest = set(found) - set(model.mothers) - {1000022, 25}
    assert {found[n] for n in rest} == {1e5}
    # 12 squarks, 9 sleptons, 3 heavy Higgs bosons, gluino, 4 neutralinos and 2 charginos, but the LSP.
    assert len(rest) + len(model.mothers) == 30
    for mother in model.mothers:
        assert math.isclose(sum(ratio for ratio, _ in decays[mother]), 1, rel_tol=1e-9)
        for _, products in decays[mother]:
            quarks = [p for p in products if p != 1000022]
            assert products.count(1000022) == 1
            # A gluino gives a quark and its antiquark; a squark its own quark.
            assert sum(quarks) == 0 if mother == 1000021 else quarks == [mother % 1000000]


def test_light_flavours_share_evenly() -> None:
    """GEN-1: T1qqqq decays to d, u, s and c at a quarter each."""
    _, decays = blocks(slha_text(model_named("T1qqqq"), 1500, 700))
    assert decays[1000021] == [(0.25, [q, -q, 1000022]) for q in (1, 2, 3, 4)]


def test_unknown_model() -> None:
    """GEN-1: the error lists what is known."""
    with pytest.raises(UnknownNameError, match=r"no model 'T1xxxx'.*T1bbbb.*--slha"):
        model_named("T1xxxx")


@pytest.mark.parametrize(
    ("name", "point", "text"),
    [
        ("T1bbbb", (1000, 1000), "kinematically closed"),
        ("T1bbbb", (1000, 1200), "kinematically closed"),
        ("T1bbbb", (1000, 989), ">= 12 GeV, here it is 11"),
        ("T1tttt", (1000, 646), ">= 355 GeV"),
        ("T2tt", (400, 221), ">= 180 GeV"),
        ("T1bbbb", (1000, 0), "m_lsp of T1bbbb is 0 GeV"),
        ("T1bbbb", (7000, 1), "m_mother of T1bbbb is 7000 GeV"),
        ("T1bbbb", (math.nan, 1), "m_mother of T1bbbb is nan"),
        ("T1bbbb", (1000,), "takes 2 parameters"),
    ],
)
def test_impossible_masses(name: str, point: tuple[float, ...], text: str) -> None:
    """GEN-2: refused, with the least difference that is possible."""
    with pytest.raises(InputError, match=text):
        masses(model_named(name), point)


def test_masses_at_the_threshold() -> None:
    """GEN-2: the least difference itself is allowed."""
    assert masses(model_named("T1tttt"), (1000, 645)) == (1000, 645)


def checked(text: str, *produced: int) -> Spectrum:
    """A spectrum that has passed all checks, with the default cards."""
    spectrum = read_spectrum(text, place="mine.slha")
    cards = Cards()
    check_decays(
        spectrum,
        produced=produced or (1000021,),
        invisible=cards.detector.invisible,
        top_mass=cards.generator.top_mass,
    )
    return spectrum


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("BLOCK MASS", "BLOCK MASSES", "has no block MASS"),
        (" 1000021 1500", " 1000021 heavy", r"line \d+: 'heavy' is not a number"),
        (" 1000021 1500", " 1000021 nan", r"line \d+: 'nan' is not a number"),
        (" 1000021 1500", " gluino 1500", r"line \d+: 'gluino' is not a PDG number"),
        (" 1000022 100\n", "", "has no mass of 1000022"),
        ("DECAY 1000021", "DECAY 1000023", "has no decays of 1000021"),
        (" 1 3 5 -5", " 0.9 3 5 -5", r"line \d+: the branching ratios of 1000021 add up to 0.9"),
        (" 1 3 5 -5", " 1 2 5 -5", r"line \d+: 2 products are announced and 3 follow"),
        ("DECAY 1000021 1.0", "DECAY 1000021 0.0", r"line \d+: the width of 1000021 is 0 GeV"),
        ("DECAY 1000021 1.0", "DECAY 1000021", r"line \d+: the width of 1000021 is 0 GeV"),
    ],
)
def test_bad_spectra(old: str, new: str, text: str) -> None:
    """GEN-5, GEN-7: what is wrong, with the file and the line."""
    good = slha_text(model_named("T1bbbb"), 1500, 100)
    checked(good)
    assert old in good
    with pytest.raises(DocumentError, match=rf"mine\.slha.*{text}"):
        checked(good.replace(old, new))


@pytest.mark.parametrize("name", MODELS)
def test_models_pass_the_check(name: str) -> None:
    """GEN-2, GEN-7: at the least mass difference nothing is closed."""
    model = model_named(name)
    checked(slha_text(model, 1000, 1000 - model.min_difference), *model.mothers)


def chain(masses: dict[int, float], decays: dict[int, list[str]]) -> str:
    """A spectrum; decays are lines of ratio, number and products."""
    lines = ["BLOCK MASS", *(f" {pdg} {mass}" for pdg, mass in masses.items())]
    for pdg, channels in decays.items():
        lines += [f"DECAY {pdg} 1.0", *(f" {channel}" for channel in channels)]
    return "\n".join(lines)


GLUINO, LSP, CHARGINO = 1000021, 1000022, 1000024
TO_CHARGINO = {GLUINO: [f"1.0 3 {CHARGINO} 1 -2"]}


@pytest.mark.parametrize(
    ("text", "place", "needs"),
    [
        (chain({GLUINO: 500, LSP: 700}, {GLUINO: ["1.0 3 1000022 5 -5"]}), 5, "709.6 GeV"),
        (chain({GLUINO: 500, LSP: 495}, {GLUINO: ["1.0 3 1000022 5 -5"]}), 5, "504.6 GeV"),
        (chain({GLUINO: 500, LSP: 160}, {GLUINO: ["1.0 3 1000022 6 -6"]}), 5, "505 GeV"),
        (chain({GLUINO: 500, LSP: 160, 6: 180}, {GLUINO: ["1.0 3 1000022 6 -6"]}), 6, "520 GeV"),
        (
            chain({GLUINO: 900, LSP: 300, CHARGINO: 378}, TO_CHARGINO | {CHARGINO: ["1.0 2 1000022 24"]}),
            8,
            "380.385 GeV and is closed; name the products of the virtual one",
        ),
        (
            chain({GLUINO: 900, LSP: 100, 5: 1, 1000005: 950}, {GLUINO: ["0.9 3 1000022 5 -5", "0.1 2 1000005 -5"]}),
            8,
            "954.8 GeV",
        ),
    ],
)  # fmt: skip
def test_closed_decays(text: str, place: int, needs: str) -> None:
    """GEN-7: the decay, the masses and the line; also further down the chain, and beside one that is open."""
    with pytest.raises(DocumentError, match=rf"mine\.slha, line {place}: the decay of .* needs {needs}"):
        checked(text)


def test_visible_particles_decay() -> None:
    """GEN-7: what the detector would see as a track, if it were left whole."""
    masses = {GLUINO: 900.0, LSP: 300.0, CHARGINO: 500.0}
    with pytest.raises(DocumentError, match=r"mine\.slha has no decays of 1000024, which is produced"):
        checked(chain(masses, TO_CHARGINO))
    with pytest.raises(DocumentError, match=r"mine\.slha has no mass of 1000024"):
        checked(chain({GLUINO: 900, LSP: 300}, TO_CHARGINO))


@pytest.mark.parametrize(
    "text",
    [
        # A W that is virtual, by its products; 1000015, whose decay is closed, is not made.
        chain(
            {GLUINO: 900, LSP: 300, CHARGINO: 310, 1000015: 50},
            TO_CHARGINO | {CHARGINO: ["0.7 3 1000022 -1 2", "0.3 3 1000022 -11 12"], 1000015: ["1.0 2 1000022 15"]},
        ),
        # Closed, but with less than what ratios may miss one by, or switched off by its sign.
        chain({GLUINO: 500, LSP: 300}, {GLUINO: ["0.995 3 1000022 5 -5", "0.005 3 1000022 6 -6"]}),
        chain({GLUINO: 500, LSP: 300}, {GLUINO: ["0.9 3 1000022 5 -5", "-0.1 3 1000022 6 -6"]}),
        # Light quarks have Pythia's masses whatever the file says; sneutrinos need not decay.
        chain({GLUINO: 500, LSP: 490, 5: 400, 1000012: 200}, {GLUINO: ["1.0 3 1000012 5 -5"]}),
        # A block of another kind ends the decays.
        chain({GLUINO: 500, LSP: 300}, {GLUINO: ["1.0 3 1000022 5 -5"]})
        + "\nXSECTION 13000 2212 2212 2 1000021 1000021\n 0 2 0 0 0 0 0.5 me 1",
    ],
)  # fmt: skip
def test_open_decays(text: str) -> None:
    """GEN-7: no stricter than Pythia needs."""
    checked(text)


def test_good_spectrum_with_comments_and_signs() -> None:
    """GEN-5: comments and negative masses, which some spectrum calculators write, are read."""
    text = "# mine\nBlock mass  # GeV\n 1000022 -97.5 # neutralino\n"
    assert read_spectrum(text, place="mine").masses == {1000022: 97.5}


@pytest.mark.parametrize(
    ("head", "added"), [("", True), ("BLOCK MODSEL\n", True), ("Block modsel # none\n 1 0\n", False)]
)
def test_modsel_is_added(head: str, *, added: bool) -> None:
    """GEN-8: what Pythia wants to see is put before a spectrum that lacks it."""
    text = head + "BLOCK MASS\n 1000022 100\n"
    given = for_pythia(text, read_spectrum(text, place="mine"))
    assert given == ("BLOCK MODSEL\n 1 0\n" + text if added else text)


def test_processes() -> None:
    """GEN-6: gluino pairs, or the squarks that are named; nothing else."""
    assert process_lines((1000021,)) == ("SUSY:gg2gluinogluino = on", "SUSY:qqbar2gluinogluino = on")
    assert "SUSY:idVecB = {1000005,2000005}" in process_lines((1000005, 2000005))
    for wrong in ((1000021, 1000005), (1000022,), (), (6,)):
        with pytest.raises(InputError, match="production of"):
            process_lines(wrong)


def test_settings_name_the_recoil() -> None:
    """GEN-10, GEN-11, GEN-13: every setting once, the recoil among them, what the user adds last."""
    lines = settings_lines(GeneratorSettings(extra=("Beams:eCM = 8000",)), ("SUSY:gg2gluinogluino = on",), 77)
    names = [line.split(" = ")[0] for line in lines[:-1]]
    assert len(set(names)) == len(names)
    settings = dict(line.split(" = ") for line in lines[:-1])
    assert settings["TimeShower:recoilStrategyRF"] == "1"
    assert settings["Random:seed"] == "77"
    assert settings["PartonLevel:MPI"] == settings["HadronLevel:all"] == "on"
    assert settings["111:mayDecay"] == "off"
    assert lines[-1] == "Beams:eCM = 8000"


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """GEN-14: the extra is named."""
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(MissingDependencyError, match=r"'pythia8mc'.*pip install \"superbin\[mc\]\""):
        next(generate_events([], events=1, batch=1))


def test_import_is_light() -> None:
    """GEN-14: neither Pythia nor FastJet nor awkward is loaded by importing the package."""
    code = (
        "import sys, superbin.generate; "
        "print([m for m in ('pythia8mc', 'fastjet', 'awkward', 'pyhepmc') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_seeds() -> None:
    """GEN-52: fixed by seed, model and masses, and another for each of them; in the range Pythia takes."""
    first, random = seeds(1, "T1bbbb", (1500.0, 100.0))
    again, random_again = seeds(1, "T1bbbb", (1500.0, 100.0))
    assert first == again
    assert np.array_equal(random.random(5), random_again.random(5))
    cases = itertools.product((0, 1), ("T1bbbb", "T1tttt"), (1500.0, 1501.0), (100.0, 101.0))
    all_seeds = [seeds(s, m, (a, b))[0] for s, m, a, b in cases]
    assert len(set(all_seeds)) == 16
    assert all(1 <= s <= 900_000_000 for s in all_seeds)


@pytest.mark.parametrize("name", MODELS)
def test_standard_plane(name: str) -> None:
    """GEN-60: enough points, all possible, from compressed to massless over the range of mothers."""
    points = standard_plane(name)
    gluinos = name.startswith("T1")
    assert len(points) >= (60 if gluinos else 45)
    assert len(set(points)) == len(points)
    for point in points:
        masses(model_named(name), point)
    mothers = {m for m, _ in points}
    assert (min(mothers), max(mothers)) == ((600, 2200) if gluinos else (300, 1500))
    least = {"T1tttt": 375, "T2tt": 185}.get(name, 25)
    for mother in (600, 1000, 1400, 1800, 2200) if gluinos else (300, 600, 900, 1200, 1500):
        assert {1.0, float(mother - least)} <= {lsp for m, lsp in points if m == mother}


def test_coarse_to_fine() -> None:
    """GEN-61: each point is the farthest from those before it, by brute force; nothing is lost."""
    points = [(float(m), float(m - d)) for m in (600, 1000, 1300) for d in (20, 80, 300, 590)]
    ordered = coarse_to_fine(points)
    assert sorted(ordered) == sorted(points)

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return 3 * math.log(point[0]), 4 * math.log(point[0] - point[1])

    def gap(point: tuple[float, float], before: list[tuple[float, float]]) -> float:
        return min(math.dist(at(point), at(other)) for other in before)

    for i in range(1, len(ordered)):
        best = max(gap(point, ordered[:i]) for point in ordered[i:])
        assert math.isclose(gap(ordered[i], ordered[:i]), best)
    assert coarse_to_fine([]) == []


def test_constants_change_by_name() -> None:
    """GEN-70: numbers, lists and switches; the rest stays."""
    changes = ("detector.b_efficiency=0.7", "selection.isr_weights=[]", "generator.multiparton=false")
    changed = Cards().changed(changes)
    assert changed.detector.b_efficiency == 0.7
    assert changed.selection.isr_weights == ()
    assert changed.generator.multiparton is False
    rates = Cards().changed(["detector.c_rate=[[30, 0.1], [100, 0.2]]"]).detector.c_rate
    assert np.array_equal(rates, [[30, 0.1], [100, 0.2]])
    assert json.loads(json.dumps(changed.record())) == changed.record()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ("detector.b=1", UnknownNameError, r"no constant 'detector\.b'.*detector\.b_efficiency"),
        ("camera.b=1", UnknownNameError, "no constant"),
        ("detector.b_efficiency", InputError, "write card.name=value"),
        ("b_efficiency=1", InputError, "write card.name=value"),
        ("detector.b_efficiency=high", InputError, r"'high' is not a number; its default is 0\.69"),
        ("detector.b_efficiency=true", InputError, "is not a number"),
        ("selection.min_njet=2.5", InputError, "is not a whole number"),
        ("selection.angles=0.5", InputError, "is not a JSON list"),
        ("generator.multiparton=0", InputError, "is not true or false"),
    ],
)
def test_bad_changes(change: str, error: type[Exception], text: str) -> None:
    """GEN-70: an unknown constant and a value of another kind are refused."""
    with pytest.raises(error, match=text):
        Cards().changed([change])


@pytest.mark.parametrize("card", [GeneratorSettings, DetectorCard, SelectionCard])
def test_every_constant_has_a_domain(card: type[Any]) -> None:
    """GEN-71: a text or NaN, instead of any one constant, is refused by its name."""
    for field in fields(card):
        for wrong in ("x", math.nan, None, (math.nan,)):
            with pytest.raises(InputError, match=rf"\.{field.name} is .*; it must be "):
                card(**{field.name: wrong})


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("detector.b_efficiency=-5", "-5; it must be a number from 0 to 1"),
        ("detector.b_efficiency=1.01", "1.01; it must be a number from 0 to 1"),
        ("detector.jet_radius=-1", "-1; it must be a radius above 0 and at most pi"),
        ("detector.jet_radius=0", "0; it must be a radius above 0"),
        ("detector.smear_noise=-0.1", "must be a number >= 0"),
        ("detector.visible_eta=1000", "must be a pseudorapidity above 0"),
        ("detector.invisible=[12, -14]", "must be a list of PDG numbers"),
        ("detector.b_fall_pt=0", "must be a number above 0"),
        ("detector.c_rate=[]", "must be pairs of a pT"),
        ("detector.c_rate=[30, 0.1]", "must be pairs of a pT"),
        ("detector.c_rate=[[100, 0.1], [30, 0.1]]", "rising from pair to pair"),
        ("detector.light_rate=[[30, 1.1]]", "a rate from 0 to 1"),
        ("detector.c_factor=7.2", "7.2 and the largest detector.c_rate is 0.14; their product"),
        ("selection.overall_factor=7", "7; it must be a number above 0 and at most 2"),
        ("selection.overall_factor=0", "must be a number above 0"),
        ("selection.jet_pt=5", "must be a number >= 10 GeV"),
        ("selection.angles=[0.5, -0.5]", "must be a list of angles from 0 to pi"),
        ("selection.mini_radius=[0.2, 0.05]", "must be two radii above 0, the smaller first"),
        ("selection.isr_weights=[1, -1]", "must be a list of numbers >= 0"),
        ("selection.isr_weights=[0, 0]", "not all of them 0"),
        ("selection.min_njet=-1", "must be a whole number >= 0"),
        ("selection.central_eta=5.5", "the central jets must be among those of MHT"),
        ("generator.sqrt_s_gev=0", "must be a number above 0"),
        ("generator.recoil_strategy=2", "must be a whole number from 0 to 1"),
        ("generator.multiparton_pt_min=0", "Pythia's own range"),
        ("generator.top_mass=80", "so that a top quark decays"),
        ("generator.batch=0", "must be a whole number >= 1"),
        ("generator.extra=[8]", "must be a list of texts"),
    ],
)
def test_domains(change: str, rule: str) -> None:
    """GEN-71: the constant, the value and the rule."""
    constant = change.partition("=")[0]
    with pytest.raises(InputError, match=rf"^{re.escape(constant)} is .*{rule}"):
        Cards().changed([change])


def test_constants_of_a_rule_change_together() -> None:
    """GEN-71: whatever the order, only what all of them come to is checked."""
    changes = ["detector.c_factor=8", "detector.c_rate=[[30, 0.1]]"]
    for order in (changes, changes[::-1]):
        assert Cards().changed(order).detector.c_factor == 8


@pytest.mark.parametrize(
    ("total", "error", "events", "wanted"),
    [
        (0.5, 0.015, 6000, 6000),  # 3 % as it is
        (0.5, 0.030, 6000, 26_000),  # 6 %: 4 times the events, and 5 % to spare: 25200
        (0.01, 0.01, 6000, 200_000),  # 100 %: the ceiling
        (0.0, 0.0, 6000, 200_000),  # no event in any bin
        (0.5, 0.04243, 6000, 51_000),  # rounded up to thousands
        (0.01, 0.01, 300_000, 300_000),  # more than the ceiling already
    ],
)
def test_events_for_an_error(total: float, error: float, events: int, wanted: int) -> None:
    """GEN-69: errors fall with the root of the events."""
    settings = {"statistics": {"total_error": error}}
    point = SignalPoint(
        "T1bbbb",
        {"m_mother": 1000, "m_lsp": 900},
        "small",
        events,
        0,
        np.array([total]),
        np.array([error]),
        settings,
    )
    assert events_for(point, 0.03, 200_000) == wanted
