"""Les Houches event files [1]_, read once before Pythia reads them, to see whether they are whole and pass the gate.

Pythia stops without a message where a file is cut, and showers what it is given. `scan` reads the header, the beams and
every event line by line, so that errors name a line. Clauses GEN-82 to GEN-92 of ``specs/generation.md``.

References
----------
.. [1] J. Alwall et al., Comput. Phys. Commun. 176 (2007) 300, arXiv:hep-ph/0609017
"""

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from superbin._support.shown import counted
from superbin.errors import DocumentError
from superbin.generate.gate import Beams, Gate, is_exotic

__all__ = ["LesHouchesFile", "numbered_lines", "scan"]

_GZIP = b"\x1f\x8b"
_SHOWN = 40
_LONGEST = 1_000_000
"""Bytes of a line; the longest that generators write are lists of weights, a tenth of that."""
_TOLERANCE = 1e-3
"""By how much an incoming parton may have more than the beam's energy: digits."""
_CDATA = ("<![CDATA[", "]]>")
_BALANCE = 1e-2
"""By how much the energy of what leaves may miss that of the incoming partons: digits."""


@dataclass(slots=True)
class LesHouchesFile:
    """What stands in a file of Les Houches events.

    Attributes
    ----------
    events : int
        Complete events, as many as were asked for at most.
    produced : dict of int to int
        PDG numbers, without sign, of the new particles in final states, and the line of the first of each.
    particles : dict of int to int
        All PDG numbers, and the line of the first of each.
    spectrum : str or None
        The SLHA text of the header.
    spectrum_line : int
        Its first line.
    """

    events: int = 0
    produced: dict[int, int] = field(default_factory=dict)
    particles: dict[int, int] = field(default_factory=dict)
    spectrum: str | None = None
    spectrum_line: int = 0


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, decompressed where its name ends in ``.gz``, each with its number from 1.

    Raises
    ------
    DocumentError
        If the file cannot be read, its compression is damaged, or a line is too long to be one of events.
    """
    number = 0
    try:
        with _open(path) as stream:
            while line := stream.readline(_LONGEST):
                number += 1
                if number == 1 and line.startswith(_GZIP):
                    raise DocumentError(
                        f"{path} is compressed and its name does not say so; rename it to {path.name}.gz"
                    )
                if len(line) == _LONGEST:
                    raise DocumentError(
                        f"{path}, line {number}: the line is longer than {_LONGEST} characters; a line of events is "
                        "shorter, write the file again"
                    )
                yield number, line
    except gzip.BadGzipFile as error:
        raise DocumentError(
            f"{path} ends in .gz and is not compressed, or is damaged after line {number}: {error}; rename it, or copy it again"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DocumentError(
            f"{path} cannot be read after line {number}: {error}; copy or write it again"
        ) from error


def _open(path: Path) -> BinaryIO:
    packed = path.suffix.lower() == ".gz"
    return cast("BinaryIO", gzip.open(path)) if packed else path.open("rb")


def scan(path: Path, gate: Gate, events: int | None) -> LesHouchesFile:
    """Read a file to its end, or its first events, and check it by the rules of the gate.

    Parameters
    ----------
    path : Path
        Les Houches events.
    gate : Gate
        Is told the header, the beams, particles, lifetimes and cross section.
    events : int or None
        How many; None is all.

    Raises
    ------
    DocumentError
        If the file breaks its format, is cut or holds no event, or the gate refuses it.
    """
    return _Scan(path, gate, events).run()


class _Scan:
    """The state of one reading."""

    def __init__(self, path: Path, gate: Gate, events: int | None) -> None:
        self.path, self.gate, self.limit = path, gate, events
        self.found = LesHouchesFile()
        self.number = 0
        self.beams: Beams | None = None
        self.flights: dict[int, tuple[float, int, int]] = {}
        self.unbalanced = False
        self.numbers: tuple[tuple[str, ...], int] | None = None
        self.stream = self._numbered()

    def _numbered(self) -> Iterator[str]:
        for number, line in numbered_lines(self.path):
            self.number = number
            yield line.decode("utf-8", errors="replace").rstrip("\r\n")

    @property
    def where(self) -> str:
        return f"{self.path}, line {self.number}"

    def run(self) -> LesHouchesFile:
        self._beginning()
        whole = False
        for line in self.stream:
            tag = line.lstrip()
            if tag.startswith("<event") and tag[6:7] in (">", " ", "\t", ""):
                self._multiplicity(tag)
                self._event()
                if self.found.events == self.limit:
                    whole = True
                    break
            elif tag.startswith("</LesHouchesEvents>"):
                whole = True
                break
        if not self.found.events:
            raise DocumentError(f"{self.path} holds no event; check that it was written to the end")
        if not whole:
            raise self._cut("the file ends without </LesHouchesEvents>")
        self._lifetimes()
        return self.found

    def _cut(self, what: str) -> DocumentError:
        rest = f", or take the {self.found.events} events before it with --events {self.found.events}"
        return DocumentError(
            f"{self.where}: {what}; it is cut, write it again{rest if self.found.events else ''}"
        )

    def _beginning(self) -> None:
        """The header with its spectrum, and <init>."""
        self._start()
        spectrum: list[str] | None = None
        header: list[tuple[int, str]] = []
        for line in self.stream:
            tag = line.strip()
            if tag.startswith("<slha"):
                spectrum, self.found.spectrum_line = [], self.number + 1
            elif "</slha" in tag and spectrum is not None:
                self.found.spectrum, spectrum = "\n".join(spectrum) + "\n", None
            elif spectrum is not None:
                spectrum.append("" if tag in _CDATA else line)
            elif tag.startswith(("<init>", "<init ")):
                self.gate.header(str(self.path), header)
                self._init()
                return
            elif tag.startswith("<event>"):
                raise DocumentError(
                    f"{self.where}: the first event comes before <init>; write the block with the beams"
                )
            else:
                header.append((self.number, line))
        raise self._cut("the file ends before <init>")

    def _start(self) -> None:
        """The first tag, which Pythia wants in the first line."""
        for line in islice(self.stream, 100):
            if "<LesHouchesEvents" not in line:
                continue
            before = self.number - 1
            if before:
                raise DocumentError(
                    f"{self.where}: <LesHouchesEvents> comes after {before} other {'line' if before == 1 else 'lines'}; Pythia "
                    "wants it in the first, remove what is before it"
                )
            return
        raise DocumentError(
            f"{self.path} does not begin with <LesHouchesEvents>; it is not a file of Les Houches events"
        )

    def _init(self) -> None:
        words = self._next("<init>").split()
        place = self.where
        if len(words) < 10:
            raise DocumentError(f"{place}: {counted(len(words), 'number')} follow <init>; ten are needed")
        numbers = [self._number(word) for word in words[:10]]
        self.beams = Beams((int(numbers[0]), int(numbers[1])), (numbers[2], numbers[3]))
        self.gate.beams(place, self.beams)
        total, count, strategy = 0.0, int(numbers[9]), int(numbers[8])
        if not 1 <= count <= 10_000:
            raise DocumentError(f"{place}: {words[9]} processes are announced; at least one is needed")
        for _ in range(count):
            values = self._next("<init>").split()
            if len(values) < 4:
                raise DocumentError(
                    f"{self.where}: {counted(count, 'process')} are announced in line {place.rpartition(' ')[2]}, and this is none; "
                    "each has four numbers"
                )
            total += self._number(values[0])
        if total == 0 or (total < 0 and strategy > 0):
            raise DocumentError(
                f"{self.where}: the cross sections in <init> add up to {total:g} pb, from which Pythia makes no event; write "
                "those of the processes, in pb"
            )
        energy = f"{self.gate.energy_gev / 1000:g} TeV"
        self.gate.offer(total, f"{place}: <init> of {count} process{'es' if count > 1 else ''} at {energy}")

    def _multiplicity(self, tag: str) -> None:
        """Refuse events of different multiplicities, which MadGraph numbers in the tag where they are to be merged."""
        numbers = tuple(re.findall(r"\bnpN?LO\s*=\s*[\"']\s*(-?\d+)", tag))
        if not numbers:
            return
        first, line = self.numbers = self.numbers or (numbers, self.number)
        if numbers != first:
            raise DocumentError(
                f"{self.where}: {tag[:60]!r} has another number of additional partons than line {line}, so these events are to be merged; a "
                "shower alone counts their jets twice, so shower and merge them in Pythia and give the HepMC file, or generate one "
                "multiplicity without matching"
            )

    def _event(self) -> None:
        words = self._next("<event>").split()
        if len(words) < 6:
            raise DocumentError(
                f"{self.where}: {counted(len(words), 'number')} follow <event>; six are needed"
            )
        count = self._number(words[0])
        if not (count >= 3 and count == int(count)):
            raise DocumentError(
                f"{self.where}: an event of {words[0][:_SHOWN]} particles; a collision has a whole number of them, two that come in and at "
                "least one more, write the event again"
            )
        count = int(count)
        self._number(words[2])
        first = self.number
        incoming = outgoing = 0.0
        for _ in range(count):
            status, energy = self._particle(self._next("<event>"), first, count)
            incoming += energy if status == -1 else 0.0
            outgoing += energy if status == 1 else 0.0
        if incoming and not self.unbalanced and abs(outgoing - incoming) > _BALANCE * incoming:
            self.unbalanced = True
            self.gate.note(
                f"{self.path}, line {first}: in event {self.found.events + 1} partons with {incoming:g} GeV come in and "
                f"{outgoing:g} GeV leave; make sure that the events are whole"
            )
        for line in self.stream:
            tag = line.lstrip()
            if tag.startswith("</event>"):
                self.found.events += 1
                return
            if tag.startswith("<event>"):
                break
        raise self._cut(f"event {self.found.events + 1} has no </event>")

    def _particle(self, line: str, first: int, count: int) -> tuple[int, float]:
        """Check a particle; return its status and its energy in GeV."""
        words = line.split()
        if len(words) < 13:
            what = (
                "</event> stands here"
                if "</event>" in line
                else f"this line has {counted(len(words), 'number')}, not 13"
            )
            raise DocumentError(
                f"{self.where}: line {first} announces {count} particles, and {what}; write the event again"
            )
        try:
            particle, status = int(words[0]), int(words[1])
            mothers = int(words[2]), int(words[3])
            values = [float(word) for word in words[6:12]]
        except ValueError:
            for word in words[:13]:
                self._number(word)
            raise DocumentError(
                f"{self.where}: {' '.join(words[:2])[:40]!r} is not a PDG number with a status"
            ) from None
        if not all(map(math.isfinite, values)):
            raise DocumentError(
                f"{self.where}: the momentum of {particle} in event {self.found.events + 1} is not finite; write the "
                "event again"
            )
        if not all(0 <= mother <= count for mother in mothers):
            raise DocumentError(
                f"{self.where}: the mothers of {particle} are {mothers[0]} and {mothers[1]}, and the event has {count} particles; write the "
                "event again"
            )
        self.found.particles.setdefault(particle, self.number)
        if status == -1 and self.beams and values[3] > max(self.beams.energies) * (1 + _TOLERANCE):
            raise DocumentError(
                f"{self.where}: the incoming {particle} has {values[3]:g} GeV, more than its beam; energies are in GeV"
            )
        if is_exotic(particle):
            self._exotic(particle, status, mass=abs(values[4]), flight=values[5])
        return status, values[3]

    def _exotic(self, particle: int, status: int, *, mass: float, flight: float) -> None:
        """Keep what a new particle's line says."""
        number = abs(particle)
        if status > 0:
            self.gate.mass(particle, mass)
        if status == 1:
            self.found.produced.setdefault(number, self.number)
        if status == 2 or (status == 1 and flight > 0 and number not in self.gate.invisible):
            total, count, line = self.flights.get(number, (0.0, 0, self.number))
            self.flights[number] = total + flight, count + 1, line

    def _lifetimes(self) -> None:
        for particle, (total, number, line) in self.flights.items():
            origin = f"mean of {number} lifetimes in the file"
            self.gate.lifetime(f"{self.path}, line {line}", particle, total / number, origin)

    def _next(self, inside: str) -> str:
        line = next(self.stream, None)
        if line is None:
            raise self._cut(f"the file ends within {inside}")
        return line

    def _number(self, word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DocumentError(f"{self.where}: {word[:40]!r} is not a finite number; one is expected there")
        return value
