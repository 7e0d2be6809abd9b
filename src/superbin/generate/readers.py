"""Events that somebody else made: HepMC files, and Les Houches events that Pythia showers.

Clauses GEN-80 to GEN-84 of ``specs/generation.md``.
"""

import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from superbin.errors import DocumentError, InputError
from superbin.generate.events import Particles
from superbin.generate.pythia import GeneratorSettings, generate_events, optional_imports, settings_lines

__all__ = ["read_events"]

_LHE = (".lhe", ".lhe.gz")
_HEPMC = tuple(name + end for name in (".hepmc", ".hepmc2", ".hepmc3") for end in ("", ".gz"))


def read_events(
    path: str | Path,
    *,
    settings: GeneratorSettings,
    seed: int,
    events: int | None = None,
    slha: str | None = None,
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
    events : int, optional
        The first so many; by default all.
    slha : str, optional
        Spectrum with the decays Pythia is to make, if the Les Houches file does not hold it itself.

    Returns
    -------
    batches : iterator of Particles
        The events.
    lines : list of str
        Pythia's settings; empty for HepMC.

    Raises
    ------
    InputError
        If the file is missing or its name has another ending.
    DocumentError
        If it breaks its format or holds no event; when the batches are drawn.
    MissingDependencyError
        If a package of the extra ``superbin[mc]`` is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; give the path of a HepMC or LHE file")
    name = path.name.lower()
    if name.endswith(_HEPMC):
        return _hepmc(path, settings.batch, events), []
    if not name.endswith(_LHE):
        raise InputError(
            f"{path} ends in neither of {', '.join((*_LHE, *_HEPMC))}; rename it by what it holds"
        )
    lines = settings_lines(settings, ("Beams:frameType = 4", f"Beams:LHEF = {path}"), seed)
    return _lhe(path, lines, settings.batch, events, slha), lines


def _lhe(
    path: Path, lines: list[str], batch: int, events: int | None, slha: str | None
) -> Iterator[Particles]:
    if b"<LesHouchesEvents" not in _beginning(path):
        raise DocumentError(
            f"{path} does not begin with <LesHouchesEvents>; it is no file of Les Houches events"
        )
    found = False
    for particles in generate_events(lines, events=events, batch=batch, slha=slha):
        found = True
        yield particles
    if not found:
        raise DocumentError(f"{path} holds no event that Pythia accepts")


def _open(path: Path) -> BinaryIO:
    packed = path.suffix.lower() == ".gz"
    return cast("BinaryIO", gzip.open(path)) if packed else path.open("rb")


def _beginning(path: Path) -> bytes:
    try:
        with _open(path) as stream:
            return stream.read(4096)
    except (OSError, EOFError) as error:
        raise DocumentError(f"{path} cannot be read: {error}") from error


def _hepmc(path: Path, batch: int, events: int | None) -> Iterator[Particles]:
    with optional_imports():
        import pyhepmc
    count = 0
    try:
        # The reader stops without a word where an event is damaged, so they are counted before.
        with _open(path) as lines:
            there = sum(line.startswith(b"E ") for line in lines)
        with pyhepmc.open(str(path)) as stream:
            records = islice(iter(stream), events)
            while chunk := [_columns(pyhepmc, event) for event in islice(records, batch)]:
                count += len(chunk)
                yield _joined(chunk)
    except (RuntimeError, OSError, EOFError) as error:
        raise DocumentError(f"{path}: event {count + 1} or one soon after cannot be read: {error}") from error
    if not count and not there:
        raise DocumentError(f"{path} holds no HepMC event; check that it was written to the end")
    if count < min(there, there if events is None else events):
        raise DocumentError(
            f"{path}: event {count + 1} of {there} cannot be read; write the file again, or take the {count} before it "
            "with --events"
        )


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
