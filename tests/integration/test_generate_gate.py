"""The gate that spectra, Les Houches events and HepMC events pass before they are analysed (specs/generation.md).

All files are written here. Expected numbers come from sums by hand, and from hbar c = 197.3269804 MeV fm.
"""

import gzip
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superbin.catalog import open_catalog
from superbin.cli import main
from superbin.domain.aggregate import sum_error
from superbin.domain.grid import SignalPoint
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError
from superbin.generate import (
    Allowances,
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
from superbin.generate.events import Particles
from superbin.generate.gate import Gate
from superbin.generate.pythia import generate_events, process_lines, settings_lines
from superbin.generate.readers import read_events
from superbin.io.grids import read_point
from superbin.io.tables import read_signal

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")
pyhepmc = pytest.importorskip("pyhepmc")

FAST = GeneratorSettings(multiparton=False, hadronisation=False)
CARDS = Cards(FAST, selection=SelectionCard(isr_weights=()))
GLUINO, LSP, CHARGINO = 1000021, 1000022, 1000024
HBAR_C = 197.3269804e-3 * 1e-12
"""GeV mm, from MeV fm."""


@pytest.fixture(scope="module")
def search() -> Search:
    with open_catalog("sqlite://") as catalog:
        return catalog.search("cms-pas-sus-16-014")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Call the command with fast settings; code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        fast = ("--set", "generator.multiparton=false", "--set", "generator.hadronisation=false")
        with pytest.raises(SystemExit) as raised:
            main(["signal", "generate", "mine", *arguments, *fast, "-o", "out"])
        captured = capfd.readouterr()
        return int(raised.value.code or 0), captured.out, captured.err

    return call


def spectrum(width: float | str = 1.0, extra: str = "") -> str:
    """A gluino that decays to four light quarks each way."""
    return f"BLOCK MASS\n {GLUINO} 900\n {LSP} 100\nDECAY {GLUINO} {width}\n 1.0 3 1 -1 {LSP}\nDECAY {LSP} 0.0\n{extra}"


def events_text(
    weights: Sequence[float] = (1.0,) * 10,
    *,
    beam: float = 6500.0,
    header: str = "",
    strategy: int = 3,
    sigma: float = 0.25,
) -> str:
    """Pairs of gluinos of 900 GeV at rest energies of 1.4 of their mass, none of them decayed."""
    lines = ['<LesHouchesEvents version="3.0">']
    if header:
        lines += ["<header>", header, "</header>"]
    lines += [
        "<init>",
        f"2212 2212 {beam} {beam} 0 0 247000 247000 {strategy} 1",
        f"{sigma} 0.01 1.0 1",
        "</init>",
    ]
    for i, weight in enumerate(weights):
        energy, turn, slope = 1260.0, 2.4 * i, 0.9 * math.cos(1.7 * i)
        p = math.sqrt(energy**2 - 900.0**2)
        px, py = (p * math.sqrt(1 - slope**2) * f(turn) for f in (math.cos, math.sin))
        lines += ["<event>", f"4 1 {weight} {energy} 0.0078 0.09"]
        for sign, colours in ((1, "501 502"), (-1, "502 503")):
            lines.append(f"21 -1 0 0 {colours} 0 0 {sign * energy} {energy} 0 0 9")
        for sign, colours in ((1, "501 504"), (-1, "504 503")):
            lines.append(
                f"{GLUINO} 1 1 2 {colours} {sign * px} {sign * py} {sign * p * slope} {energy} 900 0 9"
            )
        lines.append("</event>")
    return "\n".join([*lines, "</LesHouchesEvents>", ""])


def write(text: str, name: str = "events.lhe") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def refused(search: Search, text: str, name: str = "events.lhe", **options: Any) -> str:
    """The error of a file; it is one line."""
    with pytest.raises(DocumentError) as caught:
        generate_from_events("mine", (900, 100), write(text, name), search, cards=CARDS, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def accepted(search: Search, text: str, name: str = "events.lhe", **options: Any) -> SignalPoint:
    return generate_from_events("mine", (900, 100), write(text, name), search, cards=CARDS, **options)


# --- Les Houches events -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["events.lhe", "events.lhe.gz", "a folder/my events.lhe"])
def test_counts_of_events(search: Search, name: str) -> None:
    """GEN-55, GEN-80: in the file, read, accepted, used; a path may hold blanks."""
    point = accepted(search, events_text(), name, slha=spectrum())
    assert point.settings["gate"]["events"] == {"in the file": 10, "read": 10, "accepted": 10, "used": 10}
    assert point.settings["gate"]["notes"] == []
    first = accepted(search, events_text(), name, slha=spectrum(), events=4)
    assert first.settings["gate"]["events"]["used"] == first.events == 4


@pytest.mark.parametrize(
    ("beam", "text"),
    [
        (4000, ("the beams have 4000 and 4000 GeV; the search has 6500 GeV in each: make the events at 13 TeV, or take "
         "them as they are with --sqrt-s 8")),
        (6.5e6, "the search's 6500 GeV in MeV; write the file in GeV"),
        (6.5, "the search's 6500 GeV in TeV"),
        ("6500 4000", None),
    ],
)  # fmt: skip
def test_beams_of_another_energy(search: Search, beam: float | str, text: str | None) -> None:
    """GEN-85: with the line, and what to do."""
    content = events_text().replace("6500.0 6500.0", f"{beam} {beam}" if text else f"{beam}")
    place = line_of(content, "2212 2212")
    message = refused(search, content, slha=spectrum())
    assert message.startswith(f"events.lhe, line {place}: ")
    assert (text or "the beams have 6500 and 4000 GeV; the search has 6500 GeV in each") in message
    antiprotons = events_text().replace("2212 2212", "2212 -2212")
    assert "the beams are 2212 and -2212; the search is of two protons" in refused(search, antiprotons)


def test_another_energy_may_be_allowed(search: Search) -> None:
    """GEN-85: it is noted, stands in the cards, and the cross section of that energy is named with it."""
    point = accepted(search, events_text(beam=4000), slha=spectrum(), allow=Allowances(sqrt_s_tev=8))
    gate = point.settings["gate"]
    assert any(
        "collisions at 8 TeV are taken for cms-pas-sus-16-014, a search at 13 TeV" in n for n in gate["notes"]
    )
    assert point.settings["generator"]["sqrt_s_gev"] == 8000
    assert gate["cross_sections"][0]["sqrt_s_tev"] == 8
    assert "the search has 4000 GeV in each" in refused(search, events_text(), allow=Allowances(sqrt_s_tev=8))
    with pytest.raises(
        InputError, match=r"generator\.sqrt_s_gev is 8000 .* a search at 13000 GeV.*--sqrt-s 8"
    ):
        generate_point("T1bbbb", (1500, 100), search, cards=Cards(GeneratorSettings(sqrt_s_gev=8000)))
    for wrong in (0.0, math.nan, -8.0):
        with pytest.raises(InputError, match="sqrt_s_tev is"):
            Allowances(sqrt_s_tev=wrong)


def test_undecayed_gluinos(search: Search) -> None:
    """GEN-86: refused with the line of the first, decayed with a table; the file's own table counts, the user's before it."""
    text = events_text()
    place = line_of(text, f"{GLUINO} 1 1 2")
    assert refused(search, text).startswith(f"events.lhe, line {place}: {GLUINO} is left undecayed; ")
    held = events_text(header=f"<slha>\n{spectrum()}</slha>")
    assert accepted(search, held).efficiencies.sum() > 0.1
    broken = events_text(header=f"<slha>\n{spectrum(width='nan')}</slha>")
    place = line_of(broken, f"DECAY {GLUINO}")
    assert refused(search, broken).startswith(f"events.lhe, line {place}: 'nan' is not a number")
    point = accepted(search, broken, slha=spectrum(), place="mine.slha")
    assert point.settings["gate"]["notes"] == [
        "events.lhe has a spectrum of its own, in place of which mine.slha is used"
    ]
    same = accepted(search, text, slha=spectrum())
    np.testing.assert_array_equal(point.efficiencies, same.efficiencies)


def test_spectrum_beside_events_passes_the_gate(search: Search) -> None:
    """GEN-7, GEN-87: followed from what the events hold, with the spectrum's own line."""
    long = spectrum(width=1e-16)
    message = refused(search, events_text(), slha=long, place="long.slha")
    assert message.startswith(f"long.slha, line {line_of(long, 'DECAY')}: {GLUINO} flies c tau = 1.97 m")
    closed = spectrum().replace(f" {GLUINO} 900", f" {GLUINO} 90")
    assert "is closed" in refused(search, events_text(), slha=closed, place="closed.slha")
    squarks = spectrum().replace(f"DECAY {GLUINO}", "DECAY 1000005")
    assert f"has no decays of {GLUINO}" in refused(search, events_text(), slha=squarks)


MERGED = [
    ("  1 = ickkw ! 0 no matching, 1 MLM", "MLM"),
    (" 3\t= ickkw   ! 3 FxFx merging", "FxFx"),
    ("4 = ickkw", "UNLOPS"),
    ("30.0 = ktdurham", "CKKW-L"),
    ("2.5d1 = ptlund", "CKKW-L"),
    ("20.0 = xqcut ! minimum kt jet measure", "MLM"),
    ("ickkw = 1", "MLM"),
    ("JetMatching:merge = on", "MLM or FxFx"),
    ("Merging:doKTMerging = on", "CKKW-L or one of its kind"),
    ("<!-- CKKW-L sample with a merging scale of 30 GeV -->", "CKKW-L"),
    (" 1 ickkw", "MLM"),
    ("ickkw 3 ! FxFx", "FxFx"),
]
PLAIN = [
    "0 = ickkw ! 0 no matching, 1 MLM", "-1.0 = ktdurham", "0.0 = xqcut", "# Matching parameter (MLM only)",
    "JetMatching:merge = off", "<!-- no MLM matching -->", "import model MSSM_SLHA2", "1.0 = alpsfact",
]  # fmt: skip


@pytest.mark.parametrize(("line", "kind"), MERGED)
def test_merged_samples(search: Search, line: str, kind: str) -> None:
    """GEN-88: recognised by the header, refused with the line and the reason."""
    text = events_text(header=f"<MGRunCard>\n{line}\n</MGRunCard>")
    message = refused(search, text, slha=spectrum())
    assert message.startswith(f"events.lhe, line {line_of(text, line)}: ")
    assert f"are to be merged by {kind}; a shower alone counts their jets twice" in message


def test_several_multiplicities(search: Search) -> None:
    """GEN-88: jets of the process and of the shower overlap, whether a header speaks of merging or not."""
    card = [
        "<MG5ProcCard>",
        "generate p p > go go @0",
        "add process p p > go go j, go > b b~ n1 @1",
        "</MG5ProcCard>",
    ]
    message = refused(search, events_text(header="\n".join(card)), slha=spectrum())
    assert "line 5: the processes of the file have 0 and 1 additional jets and are not merged" in message
    same = [card[0], card[1], "add process p p > go go~ @1", card[3]]
    assert accepted(search, events_text(header="\n".join(same)), slha=spectrum()).events == 10


def test_samples_that_are_not_merged(search: Search) -> None:
    """GEN-88: run cards name merging also where there is none."""
    header = "\n".join(["<MGRunCard>", *PLAIN, "</MGRunCard>"])
    assert accepted(search, events_text(header=header), slha=spectrum()).events == 10


def cut(end: str) -> Callable[[str], str]:
    """All before the last occurrence of a text."""
    return lambda text: text[: text.rindex(end)]


def change(old: str, new: str) -> Callable[[str], str]:
    def apply(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return apply


FIRST = f"{GLUINO} 1 1 2 501 504"
BAD_EVENTS: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda _: "", "events.lhe does not begin with <LesHouchesEvents>"),
    "no events": (lambda t: t[: t.index("<event>")] + "</LesHouchesEvents>\n", "events.lhe holds no event"),
    "no init": (lambda t: t[: t.index("<init>")] + t[t.index("<event>") :], "line 2: the first event comes before <init>"),
    "init cut": (cut("0.25 0.01"), "line 3: the file ends within <init>; it is cut, write it again"),
    "short init": (change(" 0 0 247000 247000 3 1", ""), "line 3: 4 numbers follow <init>; ten are needed"),
    "no end": (cut("</LesHouchesEvents>"), ("ends without </LesHouchesEvents>; it is cut, write it again, or take the 10 "
               "events before it with --events 10")),
    "cut in an event": (cut(f"{GLUINO} 1"), "ends within <event>; it is cut, write it again, or take the 9 events"),
    "no end of an event": (change("</event>\n<event>", "<event>"), "event 1 has no </event>"),
    "nan momentum": (change(f"{FIRST} ", f"{FIRST} nan "), "line 10: the momentum of 1000021 in event 1 is not finite; write the event"),
    "infinite mass": (change(" 900 0 9", " inf 0 9"), "line 10: the momentum of 1000021 in event 1 is not finite"),
    "word": (change(FIRST, "gluino 1 1 2 501 504"), "line 10: 'gluino' is not a finite number"),
    "fewer particles": (change("4 1 1.0", "5 1 1.0"), "line 12: line 7 announces 5 particles, and </event> stands here"),
    "nan weight": (change("4 1 1.0", "4 1 nan"), "line 7: 'nan' is not a finite number"),
    "unknown": (change(FIRST, FIRST.replace(str(GLUINO), "8765432")), "line 10: the particle 8765432 is unknown"),
    "in MeV": (change("1260.0 1260.0 0 0 9", "1.26e6 1.26e6 0 0 9"), ("line 8: the incoming 21 has 1.26e+06 GeV, more "
               "than its beam")),
    "no cross section": (change("0.25 0.01", "0.0 0.01"), "line 4: the cross sections in <init> add up to 0 pb"),
    "negative cross section": (change("0.25 0.01", "-0.25 0.01"), "line 4: the cross sections in <init> add up to -0.25 pb"),
    "a line before": (lambda t: "<?xml version='1.0'?>\n" + t, "line 2: <LesHouchesEvents> comes after 1 other line"),
    "long flight of what Pythia decays": (change(" 900 0 9", " 900 4000 9"), "line 10: 1000021 flies c tau = 4 m"),
    "no particles": (change("4 1 1.0", "0 1 1.0"), "line 7: an event of 0 particles; a collision has a whole number of them"),
    "half a particle": (change("4 1 1.0", "4.5 1 1.0"), "line 7: an event of 4.5 particles"),
    "negative number": (change("4 1 1.0", "-3 1 1.0"), "line 7: an event of -3 particles"),
    "mother that is not there": (change(FIRST, FIRST.replace(" 1 2 ", " 77 2 ")), "line 10: the mothers of 1000021 are 77 and 2, and the event has 4"),
    "another mass": (lambda t: t.replace(" 900 0 9", " 700 0 9"), ("line 10: the mean mass of 1000021 in the file is 700 GeV, "
                     "and that in the spectrum is 900 GeV; give the spectrum that the events were made with")),
    "numbered": (lambda t: t.replace("<event>", '<event npLO=" 1 " npNLO=" -1 ">').replace("npLO=\" 1", "npLO=\" 0", 1),
                 "has another number of additional partons than line 6, so these events are to be merged"),
    "long line": (change("</init>", "#" * 1_000_001 + "\n</init>"), "line 5: the line is longer than 1000000 characters"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_EVENTS)
def test_bad_events(search: Search, case: str) -> None:
    """GEN-83, GEN-92: file, line, rule and cure in one line."""
    spoil, text = BAD_EVENTS[case]
    message = refused(search, spoil(events_text()), slha=spectrum())
    assert message.startswith("events.lhe")
    assert text in message


def test_numbered_events_of_one_multiplicity(search: Search) -> None:
    """GEN-88: numbers in the tags of events say nothing where they are the same."""
    text = events_text().replace("<event>", '<event npLO=" 2 " npNLO=" -1 ">')
    assert accepted(search, text, slha=spectrum()).events == 10


def test_compression_and_name(search: Search) -> None:
    """GEN-83: a name says whether the file is compressed."""
    Path("events.lhe").write_bytes(gzip.compress(events_text().encode()))
    with pytest.raises(
        DocumentError,
        match=r"events.lhe is compressed and its name does not say so; rename it to events.lhe.gz",
    ):
        generate_from_events("mine", (900, 100), "events.lhe", search, slha=spectrum(), cards=CARDS)
    Path("plain.lhe.gz").write_text(events_text())
    with pytest.raises(
        DocumentError, match=r"plain.lhe.gz ends in .gz and is not compressed, or is damaged after line 0"
    ):
        generate_from_events("mine", (900, 100), "plain.lhe.gz", search, slha=spectrum(), cards=CARDS)


def test_the_name_of_a_point(search: Search) -> None:
    """GEN-93: cross sections are looked up by the mass in the name, which must be that of the events."""
    made = generate_from_events(
        "mine", (1500, 100), write(events_text()), search, slha=spectrum(), cards=CARDS
    )
    (note,) = made.settings["gate"]["notes"]
    assert note.startswith(
        "the heaviest new particle of the events, 1000021, has a mean mass of 900 GeV, and the point is called by 1500 GeV"
    )
    assert not accepted(search, events_text(), slha=spectrum()).settings["gate"]["notes"]


def test_spectrum_in_the_header(search: Search) -> None:
    """GEN-82: also as character data, on lines with other tags, or with tabs, which Pythia does not know."""
    plain = accepted(search, events_text(header=f"<slha>\n{spectrum()}</slha>"))
    for text in (
        f"<slha>\n<![CDATA[\n{spectrum()}]]>\n</slha>",
        f"<slha>\n{spectrum().replace(' ', chr(9))}# end </slha>",
    ):
        assert accepted(search, events_text(header=text)).efficiencies.tolist() == plain.efficiencies.tolist()


def test_cut_files_to_the_cut(search: Search) -> None:
    """GEN-83: the whole events before it can be asked for."""
    text = cut(f"{GLUINO} 1")(events_text())
    assert accepted(search, text, slha=spectrum(), events=9).events == 9
    message = refused(search, text, "events.lhe.gz", slha=spectrum(), events=10)
    assert "with --events 9" in message
    whole = gzip.compress(events_text().encode())
    Path("cut.lhe.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DocumentError, match=r"cut\.lhe\.gz cannot be read after line \d+: .*copy or write it again"
    ):
        generate_from_events("mine", (900, 100), "cut.lhe.gz", search, slha=spectrum(), cards=CARDS)


def test_events_out_of_balance(search: Search) -> None:
    """GEN-85: energy that leaves is the energy that comes in; else it is noted, once."""
    text = events_text().replace("1260.0 1260.0 0 0 9", "630.0 630.0 0 0 9")
    (note,) = accepted(search, text, slha=spectrum()).settings["gate"]["notes"]
    assert note.startswith("events.lhe, line 7: in event 1 partons with 1260 GeV come in and 2520 GeV leave")


def test_lifetimes_in_the_file(search: Search) -> None:
    """GEN-87: of particles that the generator decayed, by their mean."""

    def decayed(mm: float) -> str:
        text = events_text((1.0,))
        old = text[text.index(f"{GLUINO} 1 1 2 501") : text.index(f"{GLUINO} 1 1 2 504")]
        parts = old.replace(f"{GLUINO} 1 ", f"{GLUINO} 2 ").split()
        parts[11] = str(mm)
        return text.replace(old, " ".join(parts) + "\n")

    message = refused(search, decayed(30), slha=spectrum())
    assert message.startswith(
        "events.lhe, line 10: 1000021 flies c tau = 3 cm (mean of 1 lifetimes in the file)"
    )


# --- spectra ----------------------------------------------------------------------------------------------


def of_spectrum(text: str, search: Search, **options: Any) -> SignalPoint:
    return generate_spectrum("mine", text, search, place="mine.slha", events=5, cards=CARDS, **options)


@pytest.mark.parametrize(
    ("mm", "fate"), [(1e-9, "silent"), (0.09, "silent"), (0.11, "noted"), (9.9, "noted"), (10.1, "refused")]
)
def test_lifetimes_from_widths(search: Search, mm: float, fate: str) -> None:
    """GEN-87: c tau = hbar c / width; noted above 0.1 mm, refused above 1 cm, also further down the chain."""
    text = spectrum(width=HBAR_C / mm)
    if fate != "refused":
        notes = of_spectrum(text, search).settings["gate"]["notes"]
        assert len(notes) == (fate == "noted")
        assert all(f"mine.slha, line 4: {GLUINO} flies c tau = {mm:.3g} mm" in note for note in notes)
        return
    with pytest.raises(
        DocumentError, match=r"mine\.slha, line 4: 1000021 flies c tau = 1\.01 cm .*--displaced-as-prompt"
    ):
        of_spectrum(text, search)
    allowed = of_spectrum(text, search, allow=Allowances(displaced_as_prompt=True))
    assert "it is taken to decay at once, as you asked" in allowed.settings["gate"]["notes"][0]
    chain = (
        spectrum()
        .replace(f"1.0 3 1 -1 {LSP}", f"1.0 3 1 -2 {CHARGINO}")
        .replace(f" {LSP} 100", f" {LSP} 100\n {CHARGINO} 100.3")
    )
    chain += f"DECAY {CHARGINO} {HBAR_C / 60}\n 1.0 2 {LSP} 211\n"
    with pytest.raises(DocumentError, match=rf"line \d+: {CHARGINO} flies c tau = 6 cm"):
        of_spectrum(chain, search)


QNUMBERS = "BLOCK QNUMBERS 9000006\n 1 3\n 2 2\n 3 1\n 4 1\n"


def test_new_particles_of_a_spectrum(search: Search) -> None:
    """GEN-86, GEN-87: a particle that the file defines is held to the rules for supersymmetric ones."""
    text = spectrum(extra=QNUMBERS).replace(f"1.0 3 1 -1 {LSP}", "1.0 3 1 -1 9000006")
    with pytest.raises(DocumentError, match="has no mass of 9000006"):
        of_spectrum(text, search)
    text = text.replace(f" {LSP} 100", f" {LSP} 100\n 9000006 100")
    with pytest.raises(DocumentError, match="has no decays of 9000006, .* add it to detector.invisible"):
        of_spectrum(text, search)
    text += f"DECAY 9000006 {HBAR_C / 2000}\n 1.0 2 5 -5\n"
    with pytest.raises(DocumentError, match="9000006 flies c tau = 2 m"):
        of_spectrum(text, search)


def test_decays_at_one_loop(search: Search) -> None:
    """GEN-89: SPheno's tables beside those of DECAY are no part of them."""
    loops = f"DECAY1L {GLUINO} 2.0 # at one loop\n 0.6 3 2 -2 {LSP}\n 0.4 3 1 -1 {LSP}\n"
    text = spectrum().replace(f"DECAY {LSP}", f"{loops}DECAY {LSP}")
    np.testing.assert_array_equal(
        of_spectrum(text, search).efficiencies, of_spectrum(spectrum(), search).efficiencies
    )


FOREIGN = {
    "anti-tau of a part of its decays": "DECAY -15 2.2e-12\n 0.25 3 -16 211 111\n 0.11 2 -16 211\n",
    "a table without numbers": "DECAY 1000037 nan\n many 2 24 1000022\n",
    "a wrong count": "DECAY 511 4.3e-13\n 1.0 3 -11 12\n",
    "twice": "DECAY 35 1.0\n 1.0 2 5 -5\nDECAY 35 2.0\n 1.0 2 5 -5\n",
    "negative width": "DECAY 1000006 -1.0\n 1.0 2 6 1000022\n",
}


@pytest.mark.parametrize("case", FOREIGN)
def test_tables_that_are_not_reached(search: Search, case: str) -> None:
    """GEN-89: are not checked and not given to Pythia, with a note; the numbers are those without them."""
    point = of_spectrum(spectrum(extra=FOREIGN[case]), search)
    (note,) = point.settings["gate"]["notes"]
    assert "decay tables that are not reached are incomplete and left out" in note
    np.testing.assert_array_equal(point.efficiencies, of_spectrum(spectrum(), search).efficiencies)


REACHED = {
    "Higgs boson": (f"1.0 4 1 -1 {LSP} 25", "DECAY 25 0.004\n 0.5 2 5 -5\n", "the branching ratios of 25 add up to 0.5"),
    "unknown product": (f"1.0 3 1 7654321 {LSP}", "", f"line 5: {GLUINO} decays to 7654321, which is unknown"),
    "twice": (f"1.0 3 1 -1 {LSP}", f"DECAY {GLUINO} 1.0\n 1.0 3 2 -2 {LSP}\n", f"{GLUINO} has a decay table in line 4"),
}  # fmt: skip


@pytest.mark.parametrize("case", REACHED)
def test_tables_that_are_reached(search: Search, case: str) -> None:
    """GEN-5, GEN-89: a Higgs boson's too, whose decays Pythia takes from the file."""
    channel, extra, text = REACHED[case]
    content = spectrum(extra=extra).replace(f"1.0 3 1 -1 {LSP}", channel, 1)
    with pytest.raises(DocumentError, match=text):
        of_spectrum(content, search)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (f"{GLUINO} 900", f"{GLUINO} 0.9", "line 2: the mass of 1000021 is 0.9 GeV; .* is it in TeV?"),
        (f"{GLUINO} 900", f"{GLUINO} 9e5", "line 2: the mass of 1000021 is 900000 GeV; .* is it in MeV?"),
        (
            f"{GLUINO} 900",
            f"{GLUINO} 900\n {GLUINO} 901",
            "line 3: 1000021 has the mass 900 GeV in line 2 already",
        ),
        (f"DECAY {GLUINO} 1.0", f"DECAY {GLUINO} -1.0", r"line 4: the width -1.0 is below 0 GeV"),
        (f"DECAY {GLUINO} 1.0", f"DECAY {GLUINO} inf", "line 4: 'inf' is not a number"),
        (
            "3 1 -1",
            "3 2 -1",
            "line 5: the decay of 1000021 to 2 .* -1 .* 1000022 does not conserve electric charge",
        ),
        (f" {GLUINO} 900", " " + "9" * 5000, r"line 2: '9{40}' is not a PDG number"),
    ],
)
def test_bad_spectra(search: Search, old: str, new: str, text: str) -> None:
    """GEN-5, GEN-92: units, doubles, widths and endless words, with the line."""
    if new.startswith(" 999"):
        new += " 900"
    with pytest.raises(DocumentError, match=rf"^mine\.slha, {text}"):
        of_spectrum(spectrum().replace(old, new), search)


SECTIONS = """XSECTION 8.0E+03 2212 2212 2 1000021 1000021
 0 2 0 0 0 0 9.0E-02 other
XSECTION 1.3E+04 2212 2212 2 1000021 1000021 # gluinos
 0 0 0 0 0 0 1.5E-01 LOcode
 0 2 0 0 0 0 3.2E-01 NLLcode 1.1
 0 1 0 0 0 0 not-a-number
XSECTION 1.3E+04 2212 2212 2 1000005 -1000005
 0 1 0 0 0 0 7.0E-01 squarks
"""


def test_cross_sections_of_a_spectrum(search: Search, run: Run) -> None:
    """GEN-90: the highest order at the search's energy of what is produced, named by line; used if none else is known."""
    text = spectrum(extra=SECTIONS)
    (offer,) = of_spectrum(text, search).settings["gate"]["cross_sections"]
    assert (offer["pb"], offer["sqrt_s_tev"]) == (0.32, 13)
    assert (
        f"line {line_of(text, '3.2E-01')}: XSECTION of 1000021 1000021 at 13 TeV, NLO+NLL" in offer["origin"]
    )
    write(text, "mine.slha")
    code, out, err = run("--slha", "mine.slha", "--events", "10")
    assert code == 0, err
    assert f"cross section: 0.32 pb, mine.slha, line {line_of(text, '3.2E-01')}: XSECTION" in out
    point, signal = read_point("out/mine_900_100.json"), read_signal(Path("out/mine_900_100.csv"))
    np.testing.assert_allclose(signal.yields, point.efficiencies * 320 * 12.9, rtol=1e-12)
    assert "XSECTION" in signal.source
    code, out, _ = run("--slha", "mine.slha", "--events", "10", "--cross-section", "0.5")
    assert "cross section offered: 0.32 pb" in out
    assert read_signal(Path("out/mine_900_100.csv")).cross_section_pb == 0.5


def test_packed_spectra(run: Run) -> None:
    """GEN-80, GEN-83, GEN-92: a gzipped spectrum is read as the plain one; cut, not packed and endless ones are refused in a line."""
    write(SECTIONS + spectrum(width="x"), "plain.slha")
    write(SECTIONS + spectrum(width="x"), "packed.slha.gz")
    messages = [run("--slha", name)[2] for name in ("plain.slha", "packed.slha.gz")]
    assert messages[0].replace("plain.slha", "packed.slha.gz") == messages[1]
    Path("cut.slha.gz").write_bytes(gzip.compress(spectrum().encode())[:-40])
    Path("plain.slha.gz").write_text(spectrum())
    Path("long.slha.gz").write_bytes(gzip.compress(b" " * 50_000_001))
    for name, words in {
        "cut.slha.gz": "cannot be decompressed: Compressed file ended",
        "plain.slha.gz": "cannot be decompressed: Not a gzipped file",
        "long.slha.gz": "has more than 50000000 bytes",
    }.items():
        code, _, err = run("--slha", name)
        assert code == 2
        assert f"{name} {words}" in err
        assert len(err.splitlines()) == 1
    assert not Path("out").exists()


def test_cross_section_of_events(run: Run) -> None:
    """GEN-90: of <init>; at another energy it is named and not used; other words are refused before the work."""
    write(events_text(), "events.lhe")
    write(spectrum(), "s.slha")
    source = ("900", "100", "--from-events", "events.lhe", "--slha", "s.slha")
    code, out, err = run(*source)
    assert code == 0, err
    assert "cross section: 0.25 pb, events.lhe, line 3: <init> of 1 process at 13 TeV" in out
    assert "events: 10 in the file, 10 read, 10 accepted, 10 used" in out
    write(events_text(beam=4000), "events.lhe")
    code, out, err = run(*source, "--sqrt-s", "8")
    assert code == 0
    assert err.startswith("warning: collisions at 8 TeV are taken for")
    assert "cross section offered: 0.25 pb, events.lhe, line 3: <init> of 1 process at 8 TeV" in out
    assert "no cross section is known" in out
    code, out, err = run(*source, "--sqrt-s", "8", "--cross-section", "file")
    assert code == 2
    assert "the files state none above 0 at the 13 TeV of cms-pas-sus-16-014; there is one at 8 TeV" in err
    for wrong in ("files", "-1", "nan", "0"):
        code, out, err = run(*source, "--cross-section", wrong)
        assert (code, out) == (2, "")
        assert f"--cross-section is {wrong!r}" in err


@pytest.mark.parametrize(
    ("name", "content"),
    [("s.slha", b"\xff\xfe"), ("s.slha", b""), ("s.slha", b"BLOCK MASS\n"), ("s.slha", b"\x00" * 100)],
)
def test_no_folder_is_left(run: Run, name: str, content: bytes) -> None:
    """GEN-68: what is refused leaves no folder behind."""
    Path(name).write_bytes(content)
    code, out, err = run("--slha", name)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert name in err
    assert not Path("out").exists()
    write(events_text(beam=4000))
    code, _, _ = run("900", "100", "--from-events", "events.lhe")
    assert code == 2
    assert not Path("out").exists()


# --- HepMC ------------------------------------------------------------------------------------------------


def hepmc(
    *,
    name: str = "events.hepmc",
    n: int = 4,
    beam: float | None = 6500.0,
    beams: tuple[int, int] = (2212, 2212),
    decayed: int = 1_000_024,
    flight_mm: float = 0.0,
    product: int = LSP,
    momentum: float = 300.0,
    sigma: float | None = None,
    weights: Sequence[float] | None = None,
    mass: complex = 400.0,
    beam_pairs: int = 1,
) -> Path:
    """Two protons to two particles, which decay to `product` and a photon each after `flight_mm` in their rest frame."""
    path = Path(name)
    energy = math.sqrt(momentum**2 + (mass**2).real) if mass.imag == 0 else 0.1 * momentum
    mass = abs(mass)
    with pyhepmc.open(str(path), "w") as stream:
        for number in range(n):
            event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)
            hard = pyhepmc.GenVertex((0, 0, 0, 0))
            for sign, pid in zip((1, -1) * beam_pairs, beams * beam_pairs, strict=True):
                status = 4 if beam is not None else 2
                e = 6500.0 if beam is None else beam
                hard.add_particle_in(pyhepmc.GenParticle((0, 0, sign * e, e), pid, status))
            event.add_vertex(hard)
            for sign in (1, -1):
                heavy = pyhepmc.GenParticle((sign * momentum, 0, 0, energy), sign * decayed, 2)
                hard.add_particle_out(heavy)
                way = flight_mm * momentum / mass
                end = pyhepmc.GenVertex((sign * way, 0, 0, flight_mm * energy / mass))
                end.add_particle_in(heavy)
                for pid, share in ((product, 0.5), (22, 0.5)):
                    four = (sign * share * momentum, 0.0, 0.0, share * energy)
                    end.add_particle_out(pyhepmc.GenParticle(four, pid, 1))
                event.add_vertex(end)
            event.weights = [1.0 if weights is None else weights[number]]
            if sigma is not None:
                section = pyhepmc.GenCrossSection()
                event.cross_section = section
                section.set_cross_section(sigma, 0.1 * sigma, -1, -1)
            stream.write(event)
    return path


def of_hepmc(search: Search, path: Path, **options: Any) -> SignalPoint:
    return generate_from_events("mine", (400, 100), path, search, cards=CARDS, **options)


def test_hepmc_passes(search: Search) -> None:
    """GEN-55, GEN-81, GEN-90: counts and the cross section."""
    gate = of_hepmc(search, hepmc(sigma=0.7)).settings["gate"]
    assert gate["events"] == {"in the file": 4, "read": 4, "accepted": 4, "used": 4}
    assert gate["notes"] == []
    (offer,) = gate["cross_sections"]
    assert offer == {"pb": 0.7, "sqrt_s_tev": 13, "origin": "events.hepmc: the last event that was read"}


BAD_HEPMC: dict[str, tuple[dict[str, Any], str]] = {
    "8 TeV": ({"beam": 4000.0}, "event 1: the beams have 4000 and 4000 GeV"),
    "in MeV": ({"beam": 6.5e6}, "6500 GeV in MeV"),
    "antiprotons": ({"beams": (2212, -2212)}, "the beams are 2212 and -2212"),
    "undecayed": ({"product": CHARGINO, "decayed": 1000023}, f"event 1: {CHARGINO} is left undecayed"),
    "R-hadron": ({"product": 1000993}, "event 1: 1000993 is left undecayed"),
    "unknown": ({"product": 7654321}, "event 1: the particle 7654321 is unknown"),
    "displaced": ({"flight_mm": 2000.0}, f"event 1: {CHARGINO} flies c tau = 2 m (mean of 8 decays)"),
    "impossible": ({"beam": None, "momentum": 9000.0}, "the final state has 1.802e+04 GeV, more than the 13000 GeV"),
    "not finite": ({"momentum": math.nan}, "is not finite; write the event again"),
    "weight": ({"weights": [1.0, math.inf, 1.0, 1.0]}, "line 17: 'inf' is not a finite number, in the weights or the heading of event 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_HEPMC)
def test_bad_hepmc(search: Search, case: str) -> None:
    """GEN-85, GEN-86, GEN-87, GEN-92: with file, line and event."""
    options, text = BAD_HEPMC[case]
    with pytest.raises(DocumentError) as caught:
        of_hepmc(search, hepmc(**options))
    message = str(caught.value)
    assert message.startswith("events.hepmc, line ")
    assert text in message
    assert "\n" not in message


FINAL: dict[str, tuple[dict[str, Any], str]] = {
    "parton": ({"product": 5}, "event 1: 5 in the final state is a parton; hadronise the events"),
    "diquark": ({"product": 2203}, "event 1: 2203 in the final state is a parton"),
    "W boson": ({"product": 24}, "event 1: 24 is left undecayed"),
    "tau": ({"product": 15}, "event 1: 15 is left undecayed"),
    "dark hadron": ({"product": 4900211}, "event 1: 4900211 is left undecayed"),
    "fourth generation": ({"product": 17}, "event 1: 17 is left undecayed"),
    "leptoquark": ({"product": 42}, "event 1: 42 is left undecayed"),
    "dark photon": ({"decayed": 4900023, "flight_mm": 2000.0}, "event 1: 4900023 flies c tau = 2 m"),
    "heavy neutrino": ({"decayed": 9900012, "flight_mm": 2000.0}, "event 1: 9900012 flies c tau = 2 m"),
    "too much energy": ({"momentum": 3e5}, "event 1: the final state has 6e+05 GeV, more than the 13000 GeV"),
    "too little energy": ({"mass": 400j}, "GeV; the energy must not be smaller; write the event again"),
    "huge weight": ({"weights": [1.0, 1e200, 1.0, 1.0]}, "event 2: its weight is 1e+200"),
}  # fmt: skip


@pytest.mark.parametrize("case", FINAL)
def test_final_states_of_hepmc(search: Search, case: str) -> None:
    """GEN-85, GEN-86, GEN-87, GEN-92: what the detector model cannot describe, supersymmetric or not."""
    options, text = FINAL[case]
    with pytest.raises(DocumentError) as caught:
        of_hepmc(search, hepmc(**options))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hepmc_pileup_and_end(search: Search) -> None:
    """GEN-83, GEN-85: several collisions in an event are refused; a file without its end mark may be cut, which is noted."""
    path = hepmc(beam_pairs=2)
    with pytest.raises(DocumentError, match="event 1: 4 particles are beams, so several collisions"):
        of_hepmc(search, path)
    text = hepmc().read_text()
    path.write_text(text[: text.index("HepMC::Asciiv3-END")])
    (note,) = of_hepmc(search, path).settings["gate"]["notes"]
    assert note.startswith("events.hepmc ends after event 4 without the end mark of HepMC")
    path.write_text(events_text())
    with pytest.raises(DocumentError, match="events.hepmc holds no HepMC event"):
        of_hepmc(search, path)


@pytest.mark.parametrize("end", ["V -1", "P 8 6", "E 0 3", "W 1."])
def test_cut_hepmc_is_one_line(run: Run, end: str) -> None:
    """GEN-66, GEN-83: what HepMC has to say of it is on neither stream."""
    path = hepmc(n=3)
    text = path.read_text()
    path.write_text(text[: text.rindex(end) + 4])
    code, out, err = run("400", "100", "--from-events", "events.hepmc")
    assert (code, out) == (2, "")
    assert err.startswith("superbin: error: events.hepmc")
    assert len(err.splitlines()) == 1


def test_hepmc_flights_are_noted(search: Search) -> None:
    """GEN-87: a millimetre is noted, whichever way the flight is stated; 2 m are taken if asked."""
    (note,) = of_hepmc(search, hepmc(flight_mm=1.0)).settings["gate"]["notes"]
    assert f"{CHARGINO} flies c tau = 1 mm (mean of 8 decays)" in note
    (note,) = of_hepmc(search, hepmc(flight_mm=2000.0), allow=Allowances(displaced_as_prompt=True)).settings[
        "gate"
    ]["notes"]
    assert "c tau = 2 m" in note
    assert "as you asked" in note
    with pytest.raises(DocumentError, match=r"mine\.slha, line 4: 1000021 flies"):
        of_hepmc(search, hepmc(decayed=GLUINO), slha=spectrum(width=1e-16), place="mine.slha")


def test_hepmc_without_beams(search: Search) -> None:
    """GEN-85: is taken, with a note."""
    (note,) = of_hepmc(search, hepmc(beam=None)).settings["gate"]["notes"]
    assert note == "events.hepmc does not state its beams; make sure that they are protons of 6500 GeV"


def test_long_lines_of_hepmc(search: Search) -> None:
    """GEN-92: a line without end is not read to its end."""
    path = hepmc()
    path.write_text(path.read_text() + "P" * 2_000_000)
    with pytest.raises(DocumentError, match=r"line \d+: the line is longer than 1000000 characters"):
        of_hepmc(search, path)


# --- weights ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def batch() -> Particles:
    chosen = model_named("T1bbbb")
    lines = settings_lines(FAST, process_lines(chosen.mothers), 99)
    (made,) = generate_events(lines, events=40, batch=40, slha=slha_text(chosen, 1500, 300))
    return made


EXACT = Cards(
    FAST,
    DetectorCard(smear_noise=0, smear_stochastic=0, smear_constant=0),
    SelectionCard(isr_weights=(), overall_factor=0.9),
)


def sums(batches: Sequence[Particles], search: Search) -> Any:
    return analyse(batches, search, cards=EXACT, random=np.random.default_rng(1))


def part(batch: Particles, first: int, last: int) -> Particles:
    start, stop = int(batch.offsets[first]), int(batch.offsets[last])
    mother = batch.mother[start:stop]
    return Particles(
        batch.offsets[first : last + 1] - start,
        batch.pdg[start:stop],
        batch.final[start:stop],
        np.where(mother >= 0, mother - start, -1),
        batch.px[start:stop],
        batch.py[start:stop],
        batch.pz[start:stop],
        batch.e[start:stop],
        batch.weight[first:last],
    )


@pytest.fixture(scope="module")
def chances(batch: Particles, search: Search) -> Any:
    """The chance of every bin for each event, from analyses of single events of weight one."""
    rows = [sums([part(batch, i, i + 1)], search).values / 0.9 for i in range(batch.n_events)]
    return np.array(rows)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-6, 1e6))
def test_errors_of_weights(batch: Particles, chances: Any, search: Search, seed: int, scale: float) -> None:
    """GEN-50, GEN-54: bins and total by hand from the sums of squared weights; the result does not depend on the scale
    of the weights; negative weights are kept in the sums.
    """
    weight = scale * np.random.default_rng(seed).normal(1.0, 0.8, batch.n_events)
    if weight.sum() <= 0.1 * scale:
        weight = np.abs(weight)
    found = sums([replace(batch, weight=weight)], search)
    np.testing.assert_allclose(found.values, 0.9 * (weight @ chances) / weight.sum(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        found.errors, 0.9 * np.sqrt(weight**2 @ chances**2) / weight.sum(), rtol=1e-9, atol=1e-12
    )
    inside = chances.sum(axis=1)
    mean = weight @ inside / weight.sum()
    total = 0.9 * math.sqrt(weight**2 @ (inside - mean) ** 2) / weight.sum()
    assert found.total_error == pytest.approx(total, rel=1e-6)
    assert found.effective == pytest.approx(weight.sum() ** 2 / (weight**2).sum(), rel=1e-9)
    assert found.negative == (weight < 0).sum()


def test_errors_of_sums(chances: Any, search: Search) -> None:
    """SIG-20: of sums of bins, by hand from the squared chances of every event to be in any of them."""
    n = len(chances)
    errors = np.sqrt((chances**2).sum(axis=0)) / n

    def truth(bins: Any) -> float:
        return float(np.sqrt((chances[:, bins].sum(axis=1) ** 2).sum())) / n

    everything = np.arange(search.n_bins)
    signal = SignalModel("T", {}, search.name, chances.sum(axis=0) / n, errors, total_error=truth(everything))
    column = [o.name for o in search.observables].index("nb")
    assert sum_error(search, signal, everything) == pytest.approx(truth(everything), rel=1e-9)
    for least in (1, 2, 3):
        tagged = np.flatnonzero(search.low[:, column] >= least)
        found = sum_error(search, signal, tagged)
        assert found == pytest.approx(truth(tagged), rel=0.15)
        assert found >= np.sqrt((errors[tagged] ** 2).sum()) * (1 - 1e-9)
    for i in everything[errors > 0][:5]:
        assert sum_error(search, signal, [i]) == pytest.approx(errors[i], rel=1e-9)


def test_empty_batches(batch: Particles, search: Search) -> None:
    """GEN-91: are no error and change nothing; no events at all are one."""
    empty = part(batch, 0, 0)
    found = sums([empty, part(batch, 0, 25), empty, part(batch, 25, 40), empty], search)
    whole = sums([batch], search)
    np.testing.assert_allclose(found.values, whole.values, rtol=1e-12)
    assert found.total_error == pytest.approx(whole.total_error, rel=1e-9)
    for nothing in ([], [empty]):
        with pytest.raises(InputError, match="there are no events; at least one is needed"):
            sums(nothing, search)


def test_printed_errors_and_clipping(run: Run) -> None:
    """GEN-54, GEN-84: a quarter of negative weights makes errors twice those of as many events of weight one; what is
    set to zero is said, in efficiency and in events.
    """
    write(spectrum(), "s.slha")

    def printed(weights: Sequence[float], strategy: int) -> tuple[float, str, SignalPoint]:
        write(events_text(weights, strategy=strategy), "events.lhe")
        code, out, err = run(
            "900", "100", "--from-events", "events.lhe", "--slha", "s.slha", "--cross-section", "2",
            "--set", "selection.isr_weights=[]", "--set", "selection.trigger=[]", "--set", "selection.jet_identification=1",
            "--set", "selection.electron_efficiency=1", "--set", "selection.muon_efficiency=1",
            "--set", "selection.track_efficiency=1",
        )  # fmt: skip
        assert code == 0, err
        line = next(line for line in out.splitlines() if line.startswith("efficiency, all bins"))
        return float(line.split("+-")[1]), out, read_point("out/mine_900_100.json")

    n = 80
    unit, out, point = printed([1.0] * n, 3)
    assert "negative" not in out
    share = point.settings["cut_flow"]["in a bin"]
    assert unit == pytest.approx(math.sqrt(share * (1 - share) / n), abs=6e-5)
    mixed, out, point = printed([0.3 if i % 4 else -0.3 for i in range(n)], -4)
    # The same events pass, and the sum of weights is half as large.
    mean = point.settings["cut_flow"]["in a bin"]
    by_hand = math.sqrt(share * (1 - mean) ** 2 + (1 - share) * mean**2) * math.sqrt(n) / (n / 2)
    assert mixed == pytest.approx(by_hand, abs=6e-5)
    assert 1.8 * unit < mixed < 2.2 * unit
    assert f"negative weights: {n // 4} of {n} events; all count as {n / 4:.1f} of weight one" in out
    statistics = point.settings["statistics"]
    clipped = statistics["clipped_bins"]
    assert clipped
    assert (point.efficiencies[np.array(clipped) - 1] == 0).all()
    unclipped = point.settings["cut_flow"]["in a bin"]
    assert point.efficiencies.sum() - statistics["clipped"] == pytest.approx(unclipped, rel=1e-9)
    said = f"{statistics['clipped']:.4g} to the efficiency or {statistics['clipped'] * 2000 * 12.9:.4g} expected events"
    assert f"set to 0: {', '.join(map(str, clipped))}; this adds {said}" in out


def test_final_states_are_watched(batch: Particles) -> None:
    """GEN-86: whatever made them, no event with a visible superpartner goes on."""
    gate = Gate(13000.0, 13000.0, DetectorCard().invisible, 172.5)
    assert sum(b.n_events for b in gate.watch([batch, part(batch, 0, 0)])) == 40
    assert gate.counts == {"used": 40}
    pdg = batch.pdg.copy()
    last = int(batch.offsets[7]) + int(np.flatnonzero(batch.final[batch.offsets[7] : batch.offsets[8]])[0])
    pdg[last] = -CHARGINO
    with pytest.raises(DocumentError, match=rf"event 8 after all decays: -{CHARGINO} is left undecayed"):
        list(gate.watch([replace(batch, pdg=pdg)]))
    px = batch.px.copy()
    px[last] = np.nan
    with pytest.raises(DocumentError, match=r"event 8: the momentum of .* is not finite"):
        list(gate.watch([replace(batch, px=px)]))


def test_reading_without_a_gate_of_ones_own() -> None:
    """GEN-85: the rules are then those of the settings."""
    path = write(events_text())
    (made,) = read_events(path, settings=FAST, seed=1, slha=spectrum())[0]
    assert made.n_events == 10
    with pytest.raises(DocumentError, match="the search has 4000 GeV in each"):
        read_events(path, settings=replace(FAST, sqrt_s_gev=8000.0), seed=1, slha=spectrum())
