"""Spectra that users bring: read, and checked for what Pythia would pass over in silence.

`read_spectrum` takes the masses and decays out of an SLHA file [1]_ with the lines they stand in; `check_decays` follows
what is produced down to what leaves no trace; `for_pythia` adds what Pythia wants to see besides. What is not reached is not
checked: spectrum calculators write tables of hadrons and leptons that are incomplete. Pythia does not stop
at a decay that is closed, or at a width of zero: it leaves the particle whole, and the efficiencies are of something
else. Clauses GEN-5, GEN-7 and GEN-8 of ``specs/generation.md``.

References
----------
.. [1] P. Skands et al., JHEP 07 (2004) 036, arXiv:hep-ph/0311123
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from superbin.errors import DocumentError

__all__ = [
    "SUPERSYMMETRIC",
    "CrossSection",
    "Decay",
    "DecayTable",
    "Spectrum",
    "check_decays",
    "for_pythia",
    "read_spectrum",
]

_QUARKS = {1: 0.33, 2: 0.33, 3: 0.5, 4: 1.5, 5: 4.8}
_LEPTONS = {11: 0.000511, 13: 0.10566, 15: 1.77682}
_FIXED_MASSES = _QUARKS | _LEPTONS | {23: 91.1876, 24: 80.385}
"""Masses in GeV by which Pythia opens and closes decays, whatever a spectrum says of particles below 100 GeV."""
_HIGGS = 125.0
SUPERSYMMETRIC = range(1_000_001, 3_000_000)
"""PDG numbers of superpartners and of hadrons that hold one."""
_VIRTUAL = (6, 23, 24, 25)
_FROM_FILE = (6, 25, 35, 36, 37)
"""What is not supersymmetric and heavy enough for Pythia to take its decays from the file."""
_HBAR_C = 1.973269804e-13
"""In GeV mm (CODATA 2018)."""
_HEADINGS = ("BLOCK", "DECAY", "XSECTION", "DECAY1L")
"""The last is of SPheno: decays at one loop, beside those of DECAY."""
_SHOWN = 40
_ORDERS = {0: "LO", 1: "NLO", 2: "NLO+NLL or NNLO"}
_ENERGY = 1e-3
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
    """The decays of a particle: the line of the heading, the width in GeV, the channels, and what is wrong with them."""

    line: int
    width: float
    channels: list[Decay] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def length_mm(self) -> float:
        """Proper decay length c tau = hbar c / width, in mm."""
        return _HBAR_C / self.width if self.width > 0 else math.inf

    @property
    def open_channels(self) -> list[Decay]:
        """Those that take place; a negative ratio is one that is switched off."""
        return [channel for channel in self.channels if channel.ratio > 0]


@dataclass(frozen=True, slots=True)
class CrossSection:
    """A cross section that a file states: in pb, for collisions at which energy in GeV, and where it stands."""

    pb: float
    energy_gev: float
    origin: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of an XSECTION block: what is produced at which energy in GeV, the order of QCD, the value and its code."""

    line: int
    energy: float
    pair: tuple[int, ...]
    order: int
    pb: float
    code: str


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
    defined : frozenset of int
        PDG numbers with a block QNUMBERS.
    lines : mapping of int to int
        Where a mass stands.
    entries : tuple
        The cross sections of all XSECTION blocks.
    """

    place: str
    masses: Mapping[int, float]
    decays: Mapping[int, DecayTable]
    selected: bool
    defined: frozenset[int] = frozenset()
    lines: Mapping[int, int] = field(default_factory=dict)
    entries: tuple[_Entry, ...] = ()

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

    def cross_section(self, produced: tuple[int, ...], energy_gev: float) -> CrossSection | None:
        """The cross section of pairs of what is produced, summed, at the highest order that all pairs have.

        Parameters
        ----------
        produced : tuple of int
            PDG numbers; of squarks, pairs of a squark and an antisquark.
        energy_gev : float
            Centre-of-mass energy.
        """
        best: dict[tuple[int, ...], dict[int, _Entry]] = {}
        for entry in self.entries:
            if abs(entry.energy - energy_gev) <= _ENERGY * energy_gev and _is_pair(entry.pair, produced):
                best.setdefault(tuple(sorted(entry.pair)), {})[entry.order] = entry
        common = set.intersection(*map(set, best.values())) if best else set()
        if not common:
            return None
        order = max(common)
        chosen = [orders[order] for orders in best.values()]
        pairs = ", ".join(" ".join(map(str, entry.pair)) for entry in chosen)
        code = f", {chosen[0].code}" if chosen[0].code else ""
        return CrossSection(
            sum(entry.pb for entry in chosen),
            energy_gev,
            f"{self.place}, line {chosen[0].line}: XSECTION of {pairs} at {energy_gev / 1000:g} TeV, "
            f"{_ORDERS.get(order, f'order {order}')}{code}",
        )


def _is_pair(pair: tuple[int, ...], produced: tuple[int, ...]) -> bool:
    if len(pair) != 2 or not all(abs(particle) in produced for particle in pair):
        return False
    return pair[0] * pair[1] < 0 or all(particle == 1000021 for particle in pair)


def read_spectrum(text: str, *, place: str, first_line: int = 1) -> Spectrum:
    """Read masses and decays.

    Parameters
    ----------
    text : str
        The content of an SLHA file.
    place : str
        The file's name, for errors.
    first_line : int
        Number of the text's first line in the file.

    Raises
    ------
    DocumentError
        If there is no block MASS, a mass is not a number, or a particle has two; the text names the file and the line.
        What is wrong with a decay table is kept in it, for `check_decays`: it may never be reached.
    """
    reader = _Reader(place)
    for line, raw in enumerate(text.splitlines(), first_line):
        words = raw.split("#")[0].split()
        if len(words) >= 2:
            reader.read(line, words)
    return reader.spectrum()


class _Reader:
    """The state of reading a spectrum: the block, and for a decay or cross section its heading."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.masses: dict[int, float] = {}
        self.lines: dict[int, int] = {}
        self.decays: dict[int, DecayTable] = {}
        self.entries: list[_Entry] = []
        self.defined: set[int] = set()
        self.selected = False
        self.block = ""
        self.heading: list[str] = []
        self.table = DecayTable(0, 0.0)

    def read(self, line: int, words: list[str]) -> None:
        """Take a line of at least two words."""
        where = f"{self.place}, line {line}"
        if words[0].upper() in _HEADINGS:
            self._head(line, words, where)
        elif self.block == "MODSEL":
            self.selected = True
        elif self.block == "MASS":
            self._mass(line, words, where)
        elif self.block == "DECAY":
            try:
                self.table.channels.append(_channel(words, line, where))
            except DocumentError as error:
                self.table.problems.append(str(error))
        elif self.block == "XSECTION":
            entry = _entry(self.heading, words, line)
            if entry is not None:
                self.entries.append(entry)

    def _head(self, line: int, words: list[str], where: str) -> None:
        kind, self.heading = words[0].upper(), words
        self.block = words[1].upper() if kind == "BLOCK" else kind
        if kind == "DECAY":
            mother = _particle(words[1], where)
            earlier = self.decays.get(mother)
            self.table = self.decays[mother] = _heading(words, line, where)
            if earlier is not None:
                self.table.problems.append(
                    f"{where}: {mother} has a decay table in line {earlier.line} already; remove one"
                )
        elif self.block == "QNUMBERS" and len(words) > 2:
            self.defined.add(abs(_particle(words[2], where)))

    def _mass(self, line: int, words: list[str], where: str) -> None:
        particle, mass = _particle(words[0], where), abs(_number(words[1], where))
        if self.masses.get(particle, mass) != mass:
            raise DocumentError(
                f"{where}: {particle} has the mass {self.masses[particle]:g} GeV in line {self.lines[particle]} already; "
                "remove one"
            )
        self.masses[particle], self.lines[particle] = mass, line

    def spectrum(self) -> Spectrum:
        """What was read."""
        if not self.masses:
            raise DocumentError(
                f"{self.place} has no block MASS with an entry; an SLHA spectrum has one, add it"
            )
        _check_ratios(self.place, self.decays)
        return Spectrum(
            self.place,
            self.masses,
            self.decays,
            self.selected,
            frozenset(self.defined),
            self.lines,
            tuple(self.entries),
        )


def _heading(words: list[str], line: int, where: str) -> DecayTable:
    """A table as its heading begins it; no width is a width of zero."""
    try:
        width = _number(words[2], where) if len(words) > 2 else 0.0
    except DocumentError as error:
        return DecayTable(line, 0.0, problems=[str(error)])
    if width < 0:
        return DecayTable(
            line, 0.0, problems=[f"{where}: the width {words[2]} is below 0 GeV; write the width"]
        )
    return DecayTable(line, width)


def _channel(words: list[str], line: int, where: str) -> Decay:
    ratio, products = _number(words[0], where), tuple(_particle(word, where) for word in words[2:])
    if _number(words[1], where) != len(products):
        raise DocumentError(
            f"{where}: {words[1]} products are announced and {len(products)} follow; correct it"
        )
    return Decay(line, ratio, products)


def _entry(heading: list[str], words: list[str], line: int) -> _Entry | None:
    """An entry, if it is one of proton collisions with a finite value above zero."""
    try:
        energy, beams, pair = float(heading[1]), heading[2:4], tuple(int(word) for word in heading[5:])
        order, pb = int(words[1]), float(words[6])
    except (ValueError, IndexError):
        return None
    if beams != ["2212", "2212"] or not (math.isfinite(energy) and math.isfinite(pb) and pb > 0):
        return None
    return _Entry(line, energy, pair, order, pb, " ".join(words[7:]))


def _check_ratios(place: str, decays: Mapping[int, DecayTable]) -> None:
    for particle, table in decays.items():
        total = sum(abs(channel.ratio) for channel in table.channels)
        if total and abs(total - 1) > _RATIO_ERROR:
            table.problems.append(
                f"{place}, line {table.line}: the branching ratios of {particle} add up to {total:g}; they must "
                "add up to 1"
            )


def _number(word: str, where: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DocumentError(f"{where}: {word[:_SHOWN]!r} is not a number; SLHA has one there")
    return value


def _particle(word: str, where: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise DocumentError(f"{where}: {word[:_SHOWN]!r} is not a PDG number; SLHA has one there") from None


def check_decays(
    spectrum: Spectrum,
    *,
    produced: tuple[int, ...],
    invisible: tuple[int, ...],
    top_mass: float,
    known: Callable[[int], bool] = lambda _: True,
    charge: Callable[[int], int | None] = lambda _: None,
) -> tuple[int, ...]:
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
    known : callable, optional
        Whether Pythia knows a PDG number that the spectrum does not define.
    charge : callable, optional
        The electric charge of a PDG number, if it is known.

    Returns
    -------
    tuple of int
        Those reached that have decays, in the order they were reached.

    Raises
    ------
    DocumentError
        If a decay table that is reached breaks its format or its branching ratios miss one by more than 0.01, or something
        supersymmetric or defined in a block QNUMBERS on the way has no mass, is visible and has no decays, has a width of zero, or has decays into more
        than its mass that take more than 0.01 of it, into something unknown, or into another charge.
    """
    left, seen = list(produced), set(produced)
    reached: list[int] = []
    while left:
        particle = left.pop(0)
        supersymmetric = particle in SUPERSYMMETRIC or particle in spectrum.defined
        if supersymmetric:
            _mass(spectrum, particle, top_mass)
        table = spectrum.decays.get(particle)
        if table is not None and table.problems:
            raise DocumentError(table.problems[0])
        if table is None or not table.open_channels:
            if supersymmetric and particle not in invisible:
                raise DocumentError(
                    f"{spectrum.place} has no decays of {particle}, which is produced and not invisible; add a DECAY "
                    "table with branching ratios, or, if it leaves no trace, add it to detector.invisible"
                )
            continue
        reached.append(particle)
        _check_known(spectrum, particle, table, known)
        _check_charges(spectrum, particle, table, charge)
        if supersymmetric:
            _check_table(spectrum, particle, table, top_mass)
        for channel in table.open_channels:
            products = {abs(p) for p in channel.products}
            followed = {p for p in products if p in SUPERSYMMETRIC or p in _FROM_FILE}
            new = (followed | (products & spectrum.defined)) - seen
            left += sorted(new)
            seen |= new
    return tuple(reached)


def _check_known(spectrum: Spectrum, particle: int, table: DecayTable, known: Callable[[int], bool]) -> None:
    for channel in table.open_channels:
        for product in channel.products:
            if abs(product) not in spectrum.defined and not known(product):
                raise DocumentError(
                    f"{spectrum.place}, line {channel.line}: {particle} decays to {product}, which is unknown; write a "
                    "PDG number, or define it in a block QNUMBERS"
                )


def _check_charges(
    spectrum: Spectrum, particle: int, table: DecayTable, charge: Callable[[int], int | None]
) -> None:
    for channel in table.open_channels:
        involved = (particle, *channel.products)
        if spectrum.defined & {abs(p) for p in involved}:
            continue
        before, *after = (charge(p) for p in involved)
        if before is not None and None not in after and before != sum(c for c in after if c is not None):
            products = " + ".join(map(str, channel.products))
            raise DocumentError(
                f"{spectrum.place}, line {channel.line}: the decay of {particle} to {products} does not conserve electric charge; "
                "correct its products"
            )


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
    if number in SUPERSYMMETRIC or number in spectrum.defined:
        return spectrum.mass(number)
    return spectrum.masses.get(number, {6: top_mass, 25: _HIGGS}.get(number, 0.0))


def for_pythia(text: str, spectrum: Spectrum, *, first_line: int = 1) -> str:
    """The text with a block MODSEL, without which Pythia makes nothing supersymmetric, and without broken decay tables.

    The spectrum has passed `check_decays`, so that tables which break the format are not reached.
    """
    text = text.replace("\t", " ")  # Pythia knows no tabs.
    broken = {table.line for table in spectrum.decays.values() if table.problems}
    if broken:
        kept, dropping = [], False
        for number, line in enumerate(text.splitlines(), first_line):
            if any(line.split("#")[0].upper().split()[:1] == [heading] for heading in _HEADINGS):
                dropping = number in broken
            if not dropping:
                kept.append(line)
        text = "\n".join(kept) + "\n"
    return text if spectrum.selected else f"BLOCK MODSEL\n 1 0\n{text}"
