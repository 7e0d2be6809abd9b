"""Spectra that users bring: read, and checked for what Pythia would pass over in silence.

`read_spectrum` takes the masses and decays out of an SLHA file [1]_ with the lines they stand in; `check_decays` follows
what is produced down to what leaves no trace; `for_pythia` adds what Pythia wants to see besides. Pythia does not stop
at a decay that is closed, or at a width of zero: it leaves the particle whole, and the efficiencies are of something
else. Clauses GEN-5, GEN-7 and GEN-8 of ``specs/generation.md``.

References
----------
.. [1] P. Skands et al., JHEP 07 (2004) 036, arXiv:hep-ph/0311123
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from superbin.errors import DocumentError

__all__ = ["Decay", "DecayTable", "Spectrum", "check_decays", "for_pythia", "read_spectrum"]

_QUARKS = {1: 0.33, 2: 0.33, 3: 0.5, 4: 1.5, 5: 4.8}
_LEPTONS = {11: 0.000511, 13: 0.10566, 15: 1.77682}
_FIXED_MASSES = _QUARKS | _LEPTONS | {23: 91.1876, 24: 80.385}
"""Masses in GeV by which Pythia opens and closes decays, whatever a spectrum says of particles below 100 GeV."""
_HIGGS = 125.0
_SUPERSYMMETRIC = range(1_000_001, 3_000_000)
_VIRTUAL = (6, 23, 24, 25)
_RATIO_ERROR = 0.01
"""By how much branching ratios may miss one; what is closed may take no more."""


@dataclass(frozen=True, slots=True)
class Decay:
    """One channel: its line in the file, its branching ratio and the PDG numbers of its products."""

    line: int
    ratio: float
    products: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DecayTable:
    """The decays of a particle: the line of the heading, the width in GeV and the channels."""

    line: int
    width: float
    channels: list[Decay] = field(default_factory=list)

    @property
    def open_channels(self) -> list[Decay]:
        """Those that take place; a negative ratio is one that is switched off."""
        return [channel for channel in self.channels if channel.ratio > 0]


@dataclass(frozen=True, slots=True)
class Spectrum:
    """What a spectrum says.

    Parameters
    ----------
    place : str
        The file's name, for errors.
    masses : mapping of int to float
        By PDG number, in GeV and positive.
    decays : mapping of int to DecayTable
        By PDG number.
    selected : bool
        Whether block MODSEL has an entry.
    """

    place: str
    masses: Mapping[int, float]
    decays: Mapping[int, DecayTable]
    selected: bool

    def mass(self, particle: int) -> float:
        """Mass of a particle in GeV.

        Raises
        ------
        DocumentError
            If block MASS has none.
        """
        if particle not in self.masses:
            raise DocumentError(
                f"{self.place} has no mass of {particle} in block MASS; add it, or name other particles"
            )
        return self.masses[particle]


def read_spectrum(text: str, *, place: str) -> Spectrum:
    """Read masses and decays.

    Parameters
    ----------
    text : str
        The content of an SLHA file.
    place : str
        The file's name, for errors.

    Raises
    ------
    DocumentError
        If there is no block MASS, an entry is not a number, a decay names another number of products than it has, or the
        branching ratios of a particle miss one by more than 0.01; the text names the file and, where there is one, the
        line.
    """
    masses: dict[int, float] = {}
    decays: dict[int, DecayTable] = {}
    block, mother, selected = "", 0, False
    for line, raw in enumerate(text.splitlines(), 1):
        words = raw.split("#")[0].split()
        where = f"{place}, line {line}"
        if len(words) < 2:
            continue
        heading = words[0].upper()
        if heading in ("BLOCK", "DECAY", "XSECTION"):
            block = words[1].upper() if heading == "BLOCK" else heading
            if heading == "DECAY":
                mother = _particle(words[1], where)
                decays[mother] = DecayTable(line, abs(_number(words[2], where)) if len(words) > 2 else 0.0)
        elif block == "MODSEL":
            selected = True
        elif block == "MASS":
            masses[_particle(words[0], where)] = abs(_number(words[1], where))
        elif block == "DECAY":
            decays[mother].channels.append(_channel(words, line, where))
    if not masses:
        raise DocumentError(f"{place} has no block MASS with an entry; an SLHA spectrum has one")
    _check_ratios(place, decays)
    return Spectrum(place, masses, decays, selected)


def _channel(words: list[str], line: int, where: str) -> Decay:
    ratio, products = _number(words[0], where), tuple(_particle(word, where) for word in words[2:])
    if _number(words[1], where) != len(products):
        raise DocumentError(
            f"{where}: {words[1]} products are announced and {len(products)} follow; correct it"
        )
    return Decay(line, ratio, products)


def _check_ratios(place: str, decays: Mapping[int, DecayTable]) -> None:
    for particle, table in decays.items():
        total = sum(abs(channel.ratio) for channel in table.channels)
        if total and abs(total - 1) > _RATIO_ERROR:
            raise DocumentError(
                f"{place}, line {table.line}: the branching ratios of {particle} add up to {total:g}; they must "
                "add up to 1"
            )


def _number(word: str, where: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DocumentError(f"{where}: {word!r} is not a number; SLHA has one there")
    return value


def _particle(word: str, where: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise DocumentError(f"{where}: {word!r} is not a PDG number; SLHA has one there") from None


def check_decays(
    spectrum: Spectrum, *, produced: tuple[int, ...], invisible: tuple[int, ...], top_mass: float
) -> None:
    """Follow all that is produced, by every decay, until nothing is left that the detector could mistake.

    Parameters
    ----------
    spectrum : Spectrum
        From `read_spectrum`.
    produced : tuple of int
        PDG numbers of what the collisions make.
    invisible : tuple of int
        PDG numbers of what leaves no trace; these need not decay.
    top_mass : float
        Mass of the top quark in GeV, if the spectrum has none.

    Raises
    ------
    DocumentError
        If something supersymmetric on the way has no mass, is visible and has no decays, has a width of zero, or has
        decays into more than its mass that take more than 0.01 of it.
    """
    left, known = list(produced), set(produced)
    while left:
        particle = left.pop(0)
        _mass(spectrum, particle, top_mass)
        table = spectrum.decays.get(particle)
        if table is None or not table.open_channels:
            if particle not in invisible:
                raise DocumentError(
                    f"{spectrum.place} has no decays of {particle}, which is produced and not invisible; add a DECAY "
                    "table with branching ratios"
                )
            continue
        _check_table(spectrum, particle, table, top_mass)
        for channel in table.open_channels:
            new = {abs(p) for p in channel.products if abs(p) in _SUPERSYMMETRIC} - known
            left += sorted(new)
            known |= new


def _check_table(spectrum: Spectrum, particle: int, table: DecayTable, top_mass: float) -> None:
    if table.width == 0:
        raise DocumentError(
            f"{spectrum.place}, line {table.line}: the width of {particle} is 0 GeV, with which Pythia leaves it "
            f"undecayed; write its width, as in DECAY {particle} 1.0"
        )
    mass = _mass(spectrum, particle, top_mass)
    closed = []
    for channel in table.open_channels:
        needed = [_mass(spectrum, product, top_mass) for product in channel.products]
        if sum(needed) > mass:
            closed.append((channel, needed))
    if sum(channel.ratio for channel, _ in closed) > _RATIO_ERROR:
        channel, needed = max(closed, key=lambda entry: entry[0].ratio)
        virtual = any(abs(product) in _VIRTUAL for product in channel.products)
        cure = "name the products of the virtual one instead of it" if virtual else "correct masses or decay"
        products = " + ".join(f"{p} ({m:g})" for p, m in zip(channel.products, needed, strict=True))
        raise DocumentError(
            f"{spectrum.place}, line {channel.line}: the decay of {particle} ({mass:g} GeV) to {products} needs "
            f"{sum(needed):g} GeV and is closed; {cure}"
        )


def _mass(spectrum: Spectrum, particle: int, top_mass: float) -> float:
    """The mass Pythia opens decays by, GeV."""
    number = abs(particle)
    if number in _FIXED_MASSES:
        return _FIXED_MASSES[number]
    if number in _SUPERSYMMETRIC:
        return spectrum.mass(number)
    return spectrum.masses.get(number, {6: top_mass, 25: _HIGGS}.get(number, 0.0))


def for_pythia(text: str, spectrum: Spectrum) -> str:
    """The text with a block MODSEL, without which Pythia makes nothing supersymmetric."""
    return text if spectrum.selected else f"BLOCK MODSEL\n 1 0\n{text}"
