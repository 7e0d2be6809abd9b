"""Events that somebody else made: HepMC files, and Les Houches events that Pythia showers.

All pass the gate (`superbin.generate.gate`) on their way. Clauses GEN-80 to GEN-92 of ``specs/generation.md``.
"""

import math
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from superbin.errors import DocumentError, InputError
from superbin.generate.detector import DetectorCard
from superbin.generate.events import Particles
from superbin.generate.gate import REFUSED_MM, Beams, Gate, is_exotic
from superbin.generate.lhe import LesHouchesFile, numbered_lines, scan
from superbin.generate.pythia import GeneratorSettings, optional_imports, settings_lines, shower_events
from superbin.generate.spectrum import SUPERSYMMETRIC, Spectrum, for_pythia, read_spectrum
from superbin.generate.streams import stdout_to

__all__ = ["read_events"]

_LHE = (".lhe", ".lhe.gz")
_MASS, _WIDTHS = 0.05, 5.0
"""By how much the mean mass in a file may miss that of a spectrum: relative, or in widths."""
_HEPMC = tuple(name + end for name in (".hepmc", ".hepmc2", ".hepmc3") for end in ("", ".gz"))


def read_events(
    path: str | Path,
    *,
    settings: GeneratorSettings,
    seed: int,
    gate: Gate | None = None,
    events: int | None = None,
    slha: str | None = None,
    place: str = "the spectrum",
) -> tuple[Iterator[Particles], list[str]]:
    """Open a file of events.

    Parameters
    ----------
    path : str or Path
        ``.hepmc``, ``.hepmc2`` or ``.hepmc3``: complete events, read with pyhepmc. ``.lhe``: hard events, which Pythia
        showers, decays and hadronises. Either may end in ``.gz``.
    settings : GeneratorSettings
        For Pythia; its energy is the file's.
    seed : int
        For Pythia.
    gate : Gate, optional
        What the events must pass; by default the rules for the energy of the settings.
    events : int, optional
        How many of the first to read; by default all.
    slha : str, optional
        Spectrum with the decays Pythia is to make, in place of the one in a Les Houches file.
    place : str
        The spectrum's file, for errors.

    Returns
    -------
    batches : iterator of Particles
        The events; what can be refused before the first is asked for, is.
    lines : list of str
        Pythia's settings; empty for HepMC.

    Raises
    ------
    InputError
        If the file is missing or its name has another ending.
    DocumentError
        If it breaks its format, holds no event or does not pass the gate; of single events when the batches are drawn.
    MissingDependencyError
        If a package of the extra ``superbin[mc]`` is not installed.
    """
    path = Path(path)
    if gate is None:
        gate = Gate(settings.sqrt_s_gev, settings.sqrt_s_gev, DetectorCard().invisible, settings.top_mass)
    if not path.is_file():
        raise InputError(f"there is no file {path}; give the path of a HepMC or LHE file")
    name = path.name.lower()
    if name.endswith(_HEPMC):
        return gate.watch(_hepmc(path, settings.batch, events, gate, (slha, place))), []
    if not name.endswith(_LHE):
        raise InputError(
            f"{path} ends in neither of {', '.join((*_LHE, *_HEPMC))}; rename it by what it holds"
        )
    lines = settings_lines(settings, ("Beams:frameType = 4", f"Beams:LHEF = {path}"), seed)
    found = scan(path, gate, events)
    gate.counts |= {"in the file": found.events, "read": found.events, "accepted": 0}
    spectrum = _decays(path, found, gate, (slha, place))
    showered = shower_events(lines, path, events=found.events, batch=settings.batch, slha=spectrum)
    return gate.watch(_counted(showered, gate)), lines


def _counted(batches: Iterator[Particles], gate: Gate) -> Iterator[Particles]:
    for batch in batches:
        gate.counts["accepted"] += batch.n_events
        yield batch


def _decays(path: Path, found: LesHouchesFile, gate: Gate, given: tuple[str | None, str]) -> str | None:
    """The spectrum Pythia is to use, for what the events leave undecayed; the user's goes before the file's own."""
    text, place = given
    first = 1
    if text is None:
        text, place, first = found.spectrum, str(path), found.spectrum_line
    elif found.spectrum is not None:
        gate.note(f"{path} has a spectrum of its own, in place of which {place} is used")
    spectrum = None
    if text is not None:
        spectrum = gate.spectrum(text, place, tuple(found.produced), first_line=first)
        _check_masses(path, found, gate, spectrum)
    for particle, line in found.particles.items():
        if spectrum is None or abs(particle) not in spectrum.defined:
            gate.known(f"{path}, line {line}", particle)
    if text is None or spectrum is None:
        for particle, line in found.produced.items():
            # Of other new particles Pythia has decays; what it leaves whole is refused with its events.
            if particle in SUPERSYMMETRIC:
                gate.left_whole(f"{path}, line {line}", particle)
        return None
    return for_pythia(text, spectrum, first_line=first)


def _check_masses(path: Path, found: LesHouchesFile, gate: Gate, spectrum: Spectrum) -> None:
    """Refuse a spectrum that is not that of the events."""
    for particle, line in found.produced.items():
        mass, mean = spectrum.masses.get(particle), gate.mean_mass(particle)
        width = spectrum.decays[particle].width if particle in spectrum.decays else 0.0
        if mass is not None and abs(mean - mass) > max(_MASS * mass, _WIDTHS * width, 1.0):
            raise DocumentError(
                f"{path}, line {line}: the mean mass of {particle} in the file is {mean:.4g} GeV, and that in {spectrum.place} is "
                f"{mass:g} GeV; give the spectrum that the events were made with"
            )


def _hepmc(
    path: Path, batch: int, events: int | None, gate: Gate, given: tuple[str | None, str]
) -> Iterator[Particles]:
    with optional_imports():
        import pyhepmc
    text, place = given
    spectrum = None if text is None else read_spectrum(text, place=place)
    places, whole = _places(path)
    there = len(places)
    if not there:
        raise DocumentError(
            f"{path} holds no HepMC event; check that it is a file of HepMC events, written to the end"
        )
    if not whole:
        gate.note(
            f"{path} ends after event {there} without the end mark of HepMC; if the file was cut there, later events are missing"
        )
    wanted = there if events is None else min(events, there)
    reader = _HepMC(path, places, gate, spectrum)
    try:
        with pyhepmc.open(str(path)) as stream:
            records = islice(iter(stream), events)
            while chunk := _chunk(pyhepmc, reader, records, batch):
                gate.counts |= {"in the file": there, "read": reader.count, "accepted": reader.count}
                yield _joined(chunk)
    except (RuntimeError, OSError, EOFError) as error:
        raise DocumentError(
            f"{path}: event {reader.count + 1} or one soon after cannot be read: {error}"
        ) from error
    if reader.count < wanted:
        cure = "write the file again"
        if reader.count:
            cure += f", or take the {reader.count} before it with --events {reader.count}"
        raise DocumentError(
            f"{path}: event {reader.count + 1} of {there} cannot be read (line {places[reader.count]}); {cure}"
        )
    reader.finish()


def _chunk(
    pyhepmc: Any, reader: "_HepMC", records: Iterator[Any], batch: int
) -> list[tuple[dict[str, Any], float]]:
    """Read at most a number of events; what HepMC itself prints of a damaged one is dropped, since our error says more."""
    setup = pyhepmc.Setup
    before = setup.print_errors, setup.print_warnings, setup.debug_level
    setup.print_errors, setup.print_warnings, setup.debug_level = False, False, 0
    try:
        with Path(os.devnull).open("wb") as void, stdout_to(void.fileno()):
            return [reader.columns(pyhepmc, event) for event in islice(records, batch)]
    finally:
        setup.print_errors, setup.print_warnings, setup.debug_level = before


def _places(path: Path) -> tuple[list[int], bool]:
    """The lines that events begin in, and whether an end mark follows; pyhepmc stops without a word at a damaged event, and drops a weight that is none."""
    places: list[int] = []
    whole = False
    for number, line in numbered_lines(path):
        whole = whole or (line.startswith(b"HepMC::") and b"-END_EVENT_LISTING" in line)
        if line.startswith(b"E "):
            places.append(number)
        elif not (places and line.startswith(b"W ")):
            continue
        for word in line.split()[1:]:
            if not _is_finite(word):
                shown = word[:_SHOWN].decode(errors="replace")
                raise DocumentError(
                    f"{path}, line {number}: {shown!r} is not a finite number, in the weights or the heading of event "
                    f"{len(places)}; write the event again"
                )
    return places, whole


def _is_finite(word: bytes) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


_SHOWN = 40
_SPACELIKE = 1e-2
"""By how much an energy may be below a momentum, relative and in GeV: digits of single precision."""


class _HepMC:
    """The events of a file, one after the other, on their way through the gate."""

    def __init__(self, path: Path, places: list[int], gate: Gate, spectrum: Spectrum | None) -> None:
        self.path, self.places, self.gate, self.spectrum = path, places, gate, spectrum
        self.count = 0
        self.known: set[int] = set()
        self.flights: dict[int, tuple[float, int, str]] = {}
        self.cross_section: float | None = None

    def columns(self, pyhepmc: Any, event: Any) -> tuple[dict[str, Any], float]:
        """The columns of an event that passes, and its weight."""
        where = f"{self.path}, line {self.places[self.count]}: event {self.count + 1}"
        columns, weight = _columns(pyhepmc, event)
        momenta = np.array([columns[name] for name in ("px", "py", "pz", "e")])
        final = columns["status"] == 1
        for bad in np.flatnonzero(~np.isfinite(momenta).all(axis=0))[:1]:
            raise DocumentError(
                f"{where}: the momentum of {columns['pid'][bad]} is not finite; write the event again"
            )
        self._beams(where, columns, momenta[3])
        self._final(where, columns["pid"][final], momenta[:, final])
        self._new_particles(where, event, columns)
        section = event.cross_section
        if section is not None:
            self.cross_section = float(section.xsec())
        self.count += 1
        return columns, weight

    def _final(self, where: str, pids: Any, momenta: Any) -> None:
        """The final state: known, decayed and hadronised, and of possible momenta."""
        defined = frozenset() if self.spectrum is None else self.spectrum.defined
        for particle in set(pids.tolist()) - self.known:
            if abs(particle) not in defined:
                self.gate.known(where, particle)
            self.gate.left_whole(where, particle, defined)
            self.gate.final(where, particle)
            self.known.add(particle)
        energy, momentum = momenta[3], np.sqrt((momenta[:3] ** 2).sum(axis=0))
        for bad in np.flatnonzero(energy < momentum * (1 - _SPACELIKE) - _SPACELIKE)[:1]:
            raise DocumentError(
                f"{where}: {pids[bad]} has {energy[bad]:.4g} GeV and a momentum of {momentum[bad]:.4g} GeV; the energy must not be smaller; write the event again"
            )
        self.gate.energy(where, float(energy.sum()))

    def _beams(self, where: str, columns: dict[str, Any], energy: Any) -> None:
        beams = np.flatnonzero((columns["status"] == 4) & (columns["mother"] < 0))
        if len(beams) > 2:
            raise DocumentError(
                f"{where}: {len(beams)} particles are beams, so several collisions are in one event; the detector model takes one, "
                "give the events without pileup"
            )
        if len(beams) == 2:
            a, b = beams.tolist()
            pids = columns["pid"]
            self.gate.beams(where, Beams((int(pids[a]), int(pids[b])), (float(energy[a]), float(energy[b]))))
        else:
            self.gate.no_beams(str(self.path))

    def _new_particles(self, where: str, event: Any, columns: dict[str, Any]) -> None:
        found = [p for p in set(np.abs(columns["pid"]).tolist()) if is_exotic(p)]
        if not found:
            return
        if self.spectrum is not None:
            self.gate.decays(self.spectrum, tuple(sorted(found)))
        for vertex in event.vertices:
            for particle in vertex.particles_in:
                if is_exotic(particle.pid):
                    p = particle.momentum
                    square = p.e**2 - p.px**2 - p.py**2 - p.pz**2
                    self.gate.mass(particle.pid, math.sqrt(max(square, 0.0)))
                    self._flight(where, particle, vertex)

    def _flight(self, where: str, particle: Any, vertex: Any) -> None:
        """Add the proper length of a decay; copies of a particle that radiates are none."""
        start = particle.production_vertex
        if start is None or any(product.pid == particle.pid for product in vertex.particles_out):
            return
        begin, end, p = start.position, vertex.position, particle.momentum
        step = np.array([end.x - begin.x, end.y - begin.y, end.z - begin.z])
        distance, momentum = float(np.linalg.norm(step)), float(np.hypot(np.hypot(p.px, p.py), p.pz))
        mass = float(np.sqrt(max(p.e**2 - momentum**2, 0.0)))
        time = float(end.t - begin.t)
        proper = time * mass / p.e if time > distance else distance * mass / max(momentum, 1e-9)
        total, number, first = self.flights.get(abs(particle.pid), (0.0, 0, where))
        self.flights[abs(particle.pid)] = (total + proper, number + 1, first)
        if number + 1 == _ENOUGH and total > _ENOUGH * REFUSED_MM and not self.gate.displaced_as_prompt:
            self._lifetimes()

    def _lifetimes(self) -> None:
        for particle, (total, number, first) in self.flights.items():
            self.gate.lifetime(first, particle, total / number, f"mean of {number} decays")

    def finish(self) -> None:
        """At the end of the file: what takes all of it."""
        self._lifetimes()
        if self.cross_section is not None:
            self.gate.offer(self.cross_section, f"{self.path}: the last event that was read")


_ENOUGH = 200
"""Decays after which their mean is good to 7 %, and a file may be refused before its end."""


def _columns(pyhepmc: Any, event: Any) -> tuple[dict[str, Any], float]:
    event.set_units(pyhepmc.Units.GEV, pyhepmc.Units.MM)
    table = event.numpy.particles
    mother = np.full(len(table.id), -1)
    for vertex in event.vertices:
        incoming = vertex.particles_in
        if incoming:
            # Numbers of particles count from one.
            mother[[particle.id - 1 for particle in vertex.particles_out]] = incoming[0].id - 1
    columns = {name: np.array(getattr(table, name)) for name in ("pid", "status", "px", "py", "pz", "e")}
    weights = event.weights
    return columns | {"mother": mother}, float(weights[0]) if len(weights) else 1.0


def _joined(chunk: list[tuple[dict[str, Any], float]]) -> Particles:
    tables = [columns for columns, _ in chunk]
    offsets = np.append(0, np.cumsum([len(table["pid"]) for table in tables]))
    mother = np.concatenate(
        [
            np.where(t["mother"] >= 0, t["mother"] + start, -1)
            for t, start in zip(tables, offsets, strict=False)
        ]
    )
    column = {name: np.concatenate([t[name] for t in tables]) for name in tables[0] if name != "mother"}
    return Particles(
        offsets,
        column["pid"],
        column["status"] == 1,
        mother,
        column["px"],
        column["py"],
        column["pz"],
        column["e"],
        np.array([weight for _, weight in chunk]),
    )
