"""One gate for every event, whoever made it: nothing enters the analysis that the detector model cannot describe.

A `Gate` is made for one run. What reads a source (a spectrum, Les Houches events, HepMC events) tells it what it finds and
where; the gate refuses with the place, the rule and a cure, or keeps a note that is printed and recorded. All events pass
`Gate.watch` on their way to the detector. Clauses GEN-85 to GEN-92 of ``specs/generation.md``.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from superbin.domain.search import Search
from superbin.errors import DocumentError, InputError
from superbin.generate.cards import Cards
from superbin.generate.events import Particles
from superbin.generate.pythia import charge_of, is_known
from superbin.generate.spectrum import CrossSection, Spectrum, check_decays, read_spectrum

__all__ = ["Allowances", "Beams", "Gate", "is_exotic"]

FLAGGED_MM, REFUSED_MM = 0.1, 10.0
"""Proper decay lengths: jets of the former already have displaced tracks, those of the latter are no jets from the vertex."""
_ENERGY = 1e-3
"""By how much an energy may miss the one it should be, relative."""
_PROTON = 2212
_NUCLEI = 1_000_000_000
"""PDG numbers from here on are of nuclei."""
_HADRONS = 9_000_000
"""PDG numbers from a million on are of new particles, but from here on those of hadrons are among them."""
_EXOTIC = frozenset(
    (7, 8, 17, 18, *range(32, 43), 9900012, 9900014, 9900016, 9900023, 9900024, 9900041, 9900042)
)
"""New particles with other numbers: fourth generation, bosons and leptoquarks, left-right symmetry."""
_PARTONS = frozenset((*range(1, 7), 21))
_UNDECAYED = frozenset((15, 23, 24, 25))
_LABEL = 0.05
"""By how much a mass in the name of a point may miss that of its events, relative."""
_WEIGHT = 1e100
"""Squares of weights up to here, and of their inverses, are numbers that can be added."""


@dataclass(frozen=True, slots=True)
class Allowances:
    """What the user lets through the gate.

    Parameters
    ----------
    sqrt_s_tev : float, optional
        Centre-of-mass energy of the collisions in TeV, if it is not the search's.
    displaced_as_prompt : bool
        Whether particles with a proper decay length above 1 cm are taken, as if they decayed at once.
    """

    sqrt_s_tev: float | None = None
    displaced_as_prompt: bool = False

    def __post_init__(self) -> None:
        energy = self.sqrt_s_tev
        if energy is not None and not (math.isfinite(energy) and energy > 0):
            raise InputError(f"sqrt_s_tev is {energy!r}; it must be a number above 0, in TeV")


@dataclass(frozen=True, slots=True)
class Beams:
    """The beams of a file of events: PDG numbers, and energies in GeV."""

    particles: tuple[int, int]
    energies: tuple[float, float]


@dataclass(slots=True)
class Gate:
    """The rules of one run, and what was found in it.

    Parameters
    ----------
    energy_gev : float
        Centre-of-mass energy that the collisions must have.
    search_gev : float
        That of the search, for which cross sections are looked up.
    invisible : tuple of int
        PDG numbers of what leaves no trace and need not decay.
    top_mass : float
        Mass of the top quark in GeV, where a spectrum has none.
    displaced_as_prompt : bool
        See `Allowances`.

    Attributes
    ----------
    notes : list of str
        What was let through but must be said, each once.
    cross_sections : list of CrossSection
        What the files offer.
    counts : dict of str to int
        Events in the file, read, accepted and used.
    masses : dict of int to (float, int)
        The sum of the masses of new particles in a file of events, GeV, and how often they stand there.
    """

    energy_gev: float
    search_gev: float
    invisible: tuple[int, ...]
    top_mass: float
    displaced_as_prompt: bool = False
    notes: list[str] = field(default_factory=list)
    cross_sections: list[CrossSection] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    masses: dict[int, tuple[float, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, search: Search, cards: Cards, allow: Allowances) -> "tuple[Gate, Cards]":
        """The gate of a search, and the cards at the energy of the collisions.

        Raises
        ------
        InputError
            If the cards are for another energy than the search, and it is not allowed.
        """
        energy = search.sqrt_s_tev if allow.sqrt_s_tev is None else allow.sqrt_s_tev
        given = cards.generator.sqrt_s_gev
        if allow.sqrt_s_tev is None and not _same(given, 1000 * energy):
            raise InputError(
                f"generator.sqrt_s_gev is {given:g} and {search.name} is a search at {1000 * energy:g} GeV; leave it, or "
                f"allow the other energy with --sqrt-s {given / 1000:g}"
            )
        gate = cls(
            1000 * energy,
            1000 * search.sqrt_s_tev,
            cards.detector.invisible,
            cards.generator.top_mass,
            allow.displaced_as_prompt,
        )
        if not _same(energy, search.sqrt_s_tev):
            gate.note(
                f"collisions at {energy:g} TeV are taken for {search.name}, a search at {search.sqrt_s_tev:g} TeV: "
                f"only the cross section is scaled, the efficiencies are those at {energy:g} TeV"
            )
        return gate, replace(cards, generator=replace(cards.generator, sqrt_s_gev=1000 * energy))

    def note(self, text: str) -> None:
        """Keep a note."""
        if text not in self.notes:
            self.notes.append(text)

    def record(self) -> dict[str, Any]:
        """All that was found, as JSON."""
        return {
            "notes": list(self.notes),
            "events": dict(self.counts),
            "cross_sections": [
                {"pb": found.pb, "sqrt_s_tev": found.energy_gev / 1000, "origin": found.origin}
                for found in self.cross_sections
            ],
        }

    def offer(self, pb: float, origin: str) -> None:
        """Keep a cross section of the collisions themselves."""
        if math.isfinite(pb) and pb > 0:
            self.cross_sections.append(CrossSection(pb, self.energy_gev, origin))

    def mass(self, particle: int, mass_gev: float) -> None:
        """Keep the mass of a new particle in an event."""
        total, number = self.masses.get(abs(particle), (0.0, 0))
        self.masses[abs(particle)] = total + mass_gev, number + 1

    def mean_mass(self, particle: int) -> float:
        """Mean mass of a particle that was kept, GeV."""
        total, number = self.masses[particle]
        return total / number

    def label(self, mass_gev: float) -> None:
        """Compare the mass that a point is called by with that of the heaviest new particle in the events."""
        if not self.masses:
            return
        mass, particle = max((self.mean_mass(particle), particle) for particle in self.masses)
        if abs(mass - mass_gev) > max(_LABEL * mass, 5.0):
            self.note(
                f"the heaviest new particle of the events, {particle}, has a mean mass of {mass:.4g} GeV, and the point is called by "
                f"{mass_gev:g} GeV, for which cross sections are looked up; make sure that it is meant"
            )

    # --- rules ------------------------------------------------------------------------------------------------

    def beams(self, where: str, beams: Beams) -> None:
        """Two protons, each with half of the energy."""
        if beams.particles != (_PROTON, _PROTON):
            raise DocumentError(
                f"{where}: the beams are {beams.particles[0]} and {beams.particles[1]}; the search is of two protons "
                f"({_PROTON}), make the events for these"
            )
        if all(_same(energy, self.energy_gev / 2) for energy in beams.energies):
            return
        low, high = beams.energies
        found = f"{where}: the beams have {low:g} and {high:g} GeV"
        factor = low / (self.energy_gev / 2)
        for unit, scale in (("MeV", 1000), ("TeV", 0.001)):
            if _same(factor, scale):
                raise DocumentError(
                    f"{found}, the search's {self.energy_gev / 2:g} GeV in {unit}; write the file in GeV"
                )
        if not _same(low, high):
            raise DocumentError(f"{found}; the search has {self.energy_gev / 2:g} GeV in each")
        raise DocumentError(
            f"{found}; the search has {self.energy_gev / 2:g} GeV in each: make the events at "
            f"{self.energy_gev / 1000:g} TeV, or take them as they are with --sqrt-s {2 * low / 1000:g}"
        )

    def no_beams(self, path: str) -> None:
        """An event without beams."""
        self.note(
            f"{path} does not state its beams; make sure that they are protons of {self.energy_gev / 2:g} GeV"
        )

    def header(self, path: str, lines: Iterable[tuple[int, str]]) -> None:
        """No merged sample: its events overlap unless the shower vetoes some of them."""
        jets: dict[int, int] = {}
        for number, line in lines:
            process = _PROCESS.match(line.strip())
            if process is not None:
                jets.setdefault(sum(word in _JETS for word in process[1].split()), number)
            kind = _merging(line)
            if kind is not None:
                raise DocumentError(
                    f"{path}, line {number}: {line.strip()[:60]!r} says that these events are to be merged by {kind}; "
                    "a shower alone counts their jets twice, so shower and merge them in Pythia and give the HepMC "
                    "file, or generate one multiplicity without matching"
                )
        if len(jets) > 1:
            raise DocumentError(
                f"{path}, line {max(jets.values())}: the processes of the file have {' and '.join(map(str, sorted(jets)))} additional "
                "jets and are not merged; a shower counts the jets twice, so merge them in Pythia and give the HepMC file, "
                "or generate one multiplicity"
            )

    def known(self, where: str, particle: int) -> None:
        """A particle that Pythia has in its tables, or a nucleus."""
        if abs(particle) < _NUCLEI and not is_known(particle):
            raise DocumentError(
                f"{where}: the particle {particle} is unknown; write its PDG number, or define it in a block QNUMBERS"
            )

    def final(self, where: str, particle: int) -> None:
        """A complete event has hadrons and leptons in its final state, and nothing that decays before it is seen."""
        number = abs(particle)
        if number in _PARTONS or (1000 < number < 10_000 and not number // 10 % 10):
            raise DocumentError(
                f"{where}: {particle} in the final state is a parton; hadronise the events, or give them as Les Houches "
                "events, which Pythia showers and hadronises"
            )
        if number in _UNDECAYED:
            raise DocumentError(
                f"{where}: {particle} is left undecayed; let the generator decay it, or give Les Houches events"
            )

    def energy(self, where: str, energy_gev: float) -> None:
        """A final state has no more energy than the collisions."""
        if energy_gev > self.energy_gev * (1 + 10 * _ENERGY):
            raise DocumentError(
                f"{where}: the final state has {energy_gev:.4g} GeV, more than the {self.energy_gev:g} GeV of the "
                "collisions; check the unit of the file, or give its energy with --sqrt-s"
            )

    def left_whole(self, where: str, particle: int, defined: Collection[int] = ()) -> None:
        """No new particle that the detector would see may be left in a final state."""
        if (is_exotic(particle) or abs(particle) in defined) and abs(particle) not in self.invisible:
            raise DocumentError(
                f"{where}: {particle} is left undecayed; let the generator decay it, or for Les Houches events give a "
                "DECAY table with --slha (if it leaves no trace, add it to detector.invisible)"
            )

    def lifetime(self, where: str, particle: int, length_mm: float, origin: str) -> None:
        """Proper decay lengths are short against the detector."""
        if length_mm <= FLAGGED_MM:
            return
        found = f"{where}: {particle} flies c tau = {length(length_mm)} ({origin})"
        if length_mm <= REFUSED_MM:
            self.note(f"{found}, above {FLAGGED_MM} mm: it is taken to decay at once")
        elif self.displaced_as_prompt:
            self.note(f"{found}, above 1 cm: it is taken to decay at once, as you asked")
        else:
            raise DocumentError(
                f"{found}; above 1 cm the detector model does not hold, which takes all decays to be prompt: correct "
                "the width or lifetime, or take them as prompt with --displaced-as-prompt"
            )

    def spectrum(self, text: str, place: str, produced: tuple[int, ...], *, first_line: int = 1) -> Spectrum:
        """Read a spectrum, check what is reached from `produced`, and keep the cross sections it offers."""
        found = read_spectrum(text, place=place, first_line=first_line)
        return self.decays(found, produced)

    def decays(self, spectrum: Spectrum, produced: tuple[int, ...]) -> Spectrum:
        """Check what is reached from `produced`, and keep the cross sections that the spectrum offers for it."""
        reached = check_decays(
            spectrum,
            produced=produced,
            invisible=self.invisible,
            top_mass=self.top_mass,
            known=is_known,
            charge=charge_of,
        )
        for particle in reached:
            table = spectrum.decays[particle]
            if is_exotic(particle) or particle in spectrum.defined:
                self.lifetime(
                    f"{spectrum.place}, line {table.line}",
                    particle,
                    table.length_mm,
                    f"width {table.width:g} GeV",
                )
        foreign = {p: t for p, t in spectrum.decays.items() if p not in reached and t.problems}
        if foreign:
            self.note(
                f"{spectrum.place}: decay tables that are not reached are incomplete and left out: "
                + ", ".join(f"{p} (line {t.line})" for p, t in list(foreign.items())[:10])
            )
        offer = spectrum.cross_section(produced, self.search_gev)
        if offer is not None and offer not in self.cross_sections:
            self.cross_sections.append(offer)
        return spectrum

    def watch(self, batches: Iterable[Particles]) -> Iterator[Particles]:
        """Hand batches on; refuse what no source may leave in a final state, and count."""
        used = 0
        for batch in batches:
            if not batch.n_events:
                continue
            self._check(batch, used)
            used += batch.n_events
            yield batch
        self.counts["used"] = used

    def _check(self, batch: Particles, before: int) -> None:
        momenta = np.isfinite(batch.px) & np.isfinite(batch.py) & np.isfinite(batch.pz) & np.isfinite(batch.e)
        for bad in np.flatnonzero(~momenta)[:1]:
            raise DocumentError(
                f"event {_event(batch, bad, before)}: the momentum of {batch.pdg[bad]} is not finite; make it again"
            )
        if not np.isfinite(batch.weight).all():
            number = before + 1 + int(np.flatnonzero(~np.isfinite(batch.weight))[0])
            raise DocumentError(f"event {number}: its weight is not finite; make it again")
        size = np.abs(batch.weight)
        for bad in np.flatnonzero((size > _WEIGHT) | ((size < 1 / _WEIGHT) & (size > 0)))[:1]:
            raise DocumentError(
                f"event {before + 1 + int(bad)}: its weight is {batch.weight[bad]:g}; errors take its square, so its size "
                f"must lie from {1 / _WEIGHT:g} to {_WEIGHT:g}: scale the weights, only their ratios count"
            )
        pdg = np.abs(batch.pdg)
        new = ((pdg > 1_000_000) & (pdg < _HADRONS)) | np.isin(pdg, list(_EXOTIC))
        for i in np.flatnonzero(batch.final & new).tolist():
            self.left_whole(f"event {_event(batch, i, before)} after all decays", int(batch.pdg[i]))


def is_exotic(particle: int) -> bool:
    """Whether a PDG number is of no particle of the Standard Model: superpartners and hadrons that hold one, and other new ones."""
    return 1_000_000 < abs(particle) < _HADRONS or abs(particle) in _EXOTIC


def length(mm: float) -> str:
    """A length with a unit that suits it."""
    return f"{mm:.3g} mm" if mm < 10 else f"{mm / 10:.3g} cm" if mm < 1000 else f"{mm / 1000:.3g} m"


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= _ENERGY * abs(b)


def _event(batch: Particles, particle: int, before: int) -> int:
    return before + int(np.searchsorted(batch.offsets, particle, side="right"))


_NUMBER = r"([-+]?[\d.]+(?:[edED][-+]?\d+)?)"
_NAMES = "(ickkw|xqcut|ktdurham|ptlund)"
_CARD = (
    re.compile(rf"^(?P<value>{_NUMBER})\s*(?:=\s*|\s)(?P<name>{_NAMES})\b", re.IGNORECASE),
    re.compile(rf"^(?P<name>{_NAMES})\s*(?:=\s*|\s)(?P<value>{_NUMBER})", re.IGNORECASE),
)
_PYTHIA = re.compile(r"^(JetMatching:merge|Merging:do\w+)\s*=?\s*(on|yes|true|1|ok)\b", re.IGNORECASE)
_WORDS = re.compile(r"\b(MLM|CKKW(?:-?L)?|FxFx|UMEPS|UNLOPS|NL3|MEPS(?:@N?LO)?)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(no|not|non|without|un\w+ed|off|false|none|0)\b", re.IGNORECASE)
_PROCESS = re.compile(r"^(?:generate|add\s+process)\b[^>]*>\s*([^,@\[/$]*)", re.IGNORECASE)
_JETS = frozenset(("j", "g", "jet"))
"""What MadGraph calls the jets of a process."""
_SCHEMES = {1: "MLM", 2: "CKKW", 3: "FxFx", 4: "UNLOPS"}


def _merging(line: str) -> str | None:
    """How events are to be merged, if a line of the header says so."""
    bare = line.replace("<!--", "").replace("-->", "").strip()
    bare = re.split(r"[#!]", bare)[0].strip()
    for pattern in _CARD:
        if card := pattern.match(bare):
            return _of_card(card["name"].lower(), card["value"])
    if pythia := _PYTHIA.match(bare):
        return "MLM or FxFx" if pythia[1].lower().startswith("jet") else "CKKW-L or one of its kind"
    word = _WORDS.search(bare)
    return word[0] if word and not _DENIED.search(bare) else None


def _of_card(name: str, value: str) -> str | None:
    """What MadGraph's run card says: ``ickkw`` is the scheme, the others are scales in GeV, and none is in use below 0."""
    try:
        number = float(value.lower().replace("d", "e"))
    except ValueError:
        return None
    if number <= 0:
        return None
    if name == "ickkw":
        return _SCHEMES.get(int(number), f"scheme {value}")
    return "MLM" if name == "xqcut" else "CKKW-L"
