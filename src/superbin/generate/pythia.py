"""Pythia 8 as the source of events: every setting named, batches of awkward arrays out.

`GeneratorSettings` is the card; `settings_lines` turns it into Pythia's own words; `generate_events` runs. Pythia is
imported only when it runs (extra ``superbin[mc]``). Pythia: Bierlich et al., SciPost Phys. Codebases 8 (2022),
arXiv:2203.11601. Clauses GEN-10 to GEN-15 of ``specs/generation.md``.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.shown import counted
from superbin.errors import InputError, MissingDependencyError, SuperbinError
from superbin.generate.domains import POSITIVE, RATES, SWITCH, Domain, check_domains, each, number, whole
from superbin.generate.events import Particles
from superbin.generate.roulette import Roulette, new_hook
from superbin.generate.streams import STDERR, printed_by, stdout_to

__all__ = [
    "GeneratorSettings",
    "charge_of",
    "generate_events",
    "is_known",
    "optional_imports",
    "process_lines",
    "settings_lines",
    "shower_events",
]

_PATIENCE = 5
"""Batches without an event before giving up."""


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """What Pythia is told, besides the spectrum and the process.

    Parameters
    ----------
    sqrt_s_gev : float
        Centre-of-mass energy of the proton-proton collisions, GeV.
    recoil_strategy : int
        ``TimeShower:recoilStrategyRF``, who takes the recoil of radiation in the decay of a coloured resonance. 1
        spares the uncoloured LSP, as Pythia did by default up to 8.313. With 0, the default since, the LSP recoils:
        the mean missing momentum of T1bbbb(1750, 1) falls from 655 to 604 GeV, events with nine jets or more double,
        and the published histogram is missed.
    tune : int
        ``Tune:pp``; 18 is CUETP8M1 (CMS, arXiv:1512.00815), with which CMS simulated until 2016: Monash 2013 with fewer
        multiparton interactions.
    pdf : int
        ``PDF:pSet``; 13 is NNPDF2.3 QCD+QED LO, which the tune was made with.
    multiparton : bool
        ``PartonLevel:MPI``. Off is twice as fast and changes single bins in jets by about 6 %.
    multiparton_pt_min : float
        ``MultipartonInteractions:pTmin``, GeV; Pythia's own default is 0.2. Softer scatterings make no jet of 30 GeV, but
        take 1.5 GeV per unit of area from what lies under the jets, 0.8 GeV from each. Pythia is 1.5 times as fast as with
        2 GeV.
    hadronisation : bool
        ``HadronLevel:all``. Needed: flavours and isolation come from hadrons.
    pion_decays : bool
        ``111:mayDecay``. A neutral pion is left whole: its two photons end in the same jet and the same cone, and
        without them a tenth of the time is saved.
    top_mass : float
        Mass of the top quark, GeV; 172.5 is what CMS simulates with.
    batch : int
        Events per call.
    roulette : tuple of (float, float)
        Below each fraction of the selection's cut on missing momentum an event is made to its end with this chance only,
        and then counts as often as it was unlikely to; see `superbin.generate.roulette`. Empty makes all events.
    roulette_scale : float
        The scale of the showers, GeV, at which that is decided.
    extra : tuple of str
        Further lines of Pythia, applied last.
    """

    sqrt_s_gev: float = 13000.0
    recoil_strategy: int = 1
    tune: int = 18
    pdf: int = 13
    multiparton: bool = True
    multiparton_pt_min: float = 4.0
    hadronisation: bool = True
    pion_decays: bool = False
    top_mass: float = 172.5
    batch: int = 250
    roulette: tuple[tuple[float, float], ...] = ((0.33, 0.1), (0.5, 0.2), (0.67, 0.5))
    roulette_scale: float = 20.0
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_domains("generator", self, _DOMAINS)


_DOMAINS: dict[str, Domain] = {
    "sqrt_s_gev": POSITIVE,
    "recoil_strategy": whole(0, 1),
    "tune": whole(0),
    "pdf": whole(1),
    "multiparton": SWITCH,
    "multiparton_pt_min": number("a number from 0.1 to 10 GeV, Pythia's own range", lambda x: 0.1 <= x <= 10),
    "hadronisation": SWITCH,
    "pion_decays": SWITCH,
    "top_mass": number("a number above 90 GeV, so that a top quark decays to W and b", lambda x: x > 90),
    "batch": whole(1),
    "roulette": Domain(
        "empty, or pairs of a fraction above 0, rising from pair to pair, and a chance above 0 and at most 1",
        lambda value: value == () or (RATES.holds(value) and all(chance > 0 for _, chance in value)),
    ),
    "roulette_scale": number("a number from 10 to 100 GeV", lambda x: 10 <= x <= 100),
    "extra": each(Domain("", lambda value: isinstance(value, str)), "a list of texts"),
}


@contextmanager
def optional_imports() -> Iterator[None]:
    """Within it packages of the extra ``superbin[mc]`` are imported.

    Raises
    ------
    MissingDependencyError
        If one is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingDependencyError(
            f"making signals needs the package {error.name or str(error)!r}, which is not installed; "
            'run pip install "superbin[mc]"'
        ) from error


def settings_lines(settings: GeneratorSettings, process: tuple[str, ...], seed: int) -> list[str]:
    """Pythia's settings, one per line, in the order they are given to it.

    Parameters
    ----------
    settings : GeneratorSettings
        The card.
    process : tuple of str
        Lines that switch on what is produced, from `process_lines`.
    seed : int
        1 to 900 000 000, Pythia's own range.
    """

    def switch(value: bool) -> str:
        return "on" if value else "off"

    return [
        "Print:quiet = on",
        "SLHA:verbose = 0",
        "Beams:idA = 2212",
        "Beams:idB = 2212",
        f"Beams:eCM = {settings.sqrt_s_gev:g}",
        f"Tune:pp = {settings.tune}",
        f"PDF:pSet = {settings.pdf}",
        f"6:m0 = {settings.top_mass:g}",
        *process,
        "RHadrons:allow = off",
        "PartonLevel:ISR = on",
        "PartonLevel:FSR = on",
        f"PartonLevel:MPI = {switch(settings.multiparton)}",
        f"MultipartonInteractions:pTmin = {settings.multiparton_pt_min:g}",
        f"HadronLevel:all = {switch(settings.hadronisation)}",
        f"111:mayDecay = {switch(settings.pion_decays)}",
        f"TimeShower:recoilStrategyRF = {settings.recoil_strategy}",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        *settings.extra,
    ]


def process_lines(mothers: tuple[int, ...]) -> tuple[str, ...]:
    """The pair production of gluinos, or of squarks with antisquarks.

    Parameters
    ----------
    mothers : tuple of int
        PDG numbers: the gluino alone, or squarks.

    Raises
    ------
    InputError
        If a number is neither, or gluino and squarks are mixed.
    """
    if mothers == (1000021,):
        return ("SUSY:gg2gluinogluino = on", "SUSY:qqbar2gluinogluino = on")
    if mothers and all(m // 1000000 in (1, 2) and 1 <= m % 1000000 <= 6 for m in mothers):
        chosen = ",".join(str(m) for m in mothers)
        return (
            "SUSY:gg2squarkantisquark = on",
            "SUSY:qqbar2squarkantisquark = on",
            f"SUSY:idVecA = {{{chosen}}}",
            f"SUSY:idVecB = {{{chosen}}}",
        )
    raise InputError(
        f"production of {list(mothers)} is not known; name the gluino (1000021) alone, or squarks (1000001-1000006, "
        "2000001-2000006)"
    )


def generate_events(
    lines: list[str], *, events: int, batch: int, slha: str | None = None, roulette: Roulette | None = None
) -> Iterator[Particles]:
    """Run Pythia and hand out the events batch by batch.

    Parameters
    ----------
    lines : list of str
        From `settings_lines`.
    events : int
        How many events; failed ones are made again, so that the number is exact.
    batch : int
        Events per batch.
    slha : str, optional
        The spectrum.
    roulette : Roulette, optional
        Ends events early; those that are handed out then have weights, and ``generated`` counts all.

    Raises
    ------
    InputError
        If Pythia refuses a setting or the spectrum, or gives up on the events; the text has Pythia's own reasons.
    MissingDependencyError
        If Pythia is not installed.
    """
    hook = None if roulette is None else _hook(roulette)
    pythia = _started(lines if hook is None else [*lines, "Check:abortIfVeto = on"], slha, hook=hook)
    done = empty = 0
    while done < events:
        made = _next(pythia, min(batch, events - done))
        if hook is not None:
            made = _weighted(made, hook)
        done += made.n_generated
        empty = 0 if made.n_generated else empty + 1
        if made.n_generated:
            yield made
        if empty == _PATIENCE:
            raise InputError(
                f"Pythia made no event in {_PATIENCE} batches after {counted(done, 'event')}: {_reasons(pythia)}"
            )


def _hook(roulette: Roulette) -> Any:
    with optional_imports():
        import pythia8mc
    return new_hook(pythia8mc, roulette)


def _weighted(made: Particles, hook: Any) -> Particles:
    """The events with the weights of the roulette, which starts to count again."""
    weights, ended = np.array(hook.weights, dtype=np.float64), hook.ended
    hook.weights, hook.ended = [], 0
    if len(weights) != made.n_events:
        raise SuperbinError(
            f"Pythia handed out {counted(made.n_events, 'event')} and completed {len(weights)}, so that their weights are not known; "
            "run with generator.roulette=[]"
        )
    return replace(made, weight=made.weight * weights, generated=made.n_events + ended)


def shower_events(
    lines: list[str], path: Path, *, events: int, batch: int, slha: str | None = None
) -> Iterator[Particles]:
    """Have Pythia shower, decay and hadronise the events of a file; those it does not accept are missing.

    Parameters
    ----------
    lines, batch, slha
        As in `generate_events`; the spectrum replaces one in the file.
    path : Path
        Les Houches events.
    events : int
        How many of them are tried.

    Raises
    ------
    InputError
        If Pythia refuses a setting or the spectrum, or accepts no event; the text has Pythia's own reasons.
    MissingDependencyError
        If Pythia is not installed.
    """
    pythia = _started(lines, slha, path)
    tried = done = 0
    while tried < events and not pythia.infoPython().atEndOfFile():
        asked = min(batch, events - tried)
        made = _next(pythia, asked)
        tried += asked
        done += made.n_events
        if made.n_events:
            yield made
    if not done:
        raise InputError(f"{path} holds no event that Pythia accepts: {_reasons(pythia)}")


def _next(pythia: Any, events: int) -> Particles:
    with stdout_to(STDERR):
        given = pythia.nextBatch(events)
    return _particles(given) if len(given) else _nothing()


def _nothing() -> Particles:
    whole, real = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Particles(
        np.zeros(1, dtype=np.int64), whole, np.zeros(0, dtype=bool), whole, real, real, real, real, real
    )


def is_known(particle: int) -> bool:
    """Whether a PDG number is in Pythia's table of particles."""
    return bool(_table().particleData.isParticle(particle))


def charge_of(particle: int) -> int | None:
    """Electric charge of a PDG number in thirds of the proton's, if Pythia has it in its table."""
    return int(_table().particleData.chargeType(particle)) if is_known(particle) else None


@cache
def _table() -> Any:
    with optional_imports():
        import pythia8mc
    return pythia8mc.Pythia("", False)


def _started(lines: list[str], slha: str | None, events: Path | None = None, hook: Any = None) -> Any:
    with optional_imports():
        import pythia8mc
    pythia = pythia8mc.Pythia("", False)
    if hook is not None:
        pythia.setUserHooksPtr(hook)
    for line in lines:
        known = True

        def read(line: str = line) -> None:
            nonlocal known
            known = pythia.readString(line)

        # What it says of a wrong line is less than our error.
        printed_by(read)
        if not known:
            raise InputError(f"Pythia does not know the setting {line!r}, or refuses its value; correct it")
    with tempfile.TemporaryDirectory(prefix="superbin-") as folder:
        if slha is not None:
            path = Path(folder) / "point.slha"
            path.write_text(slha, encoding="utf-8")
            pythia.readString(f"SLHA:file = {path}")
            # Also where the file of events has a spectrum of its own.
            pythia.readString("SLHA:readFrom = 2")
        if events is not None:
            # Pythia takes no blanks in a path. The file stays open when its second name goes.
            link = Path(folder) / f"events{''.join(events.suffixes[-2:])}"
            link.symlink_to(events.absolute())
            pythia.readString(f"Beams:LHEF = {link}")
        with stdout_to(STDERR):
            started = pythia.init()
    if not started:
        raise InputError(
            f"Pythia refuses to start with this spectrum, process or file of events: {_reasons(pythia)}"
        )
    return pythia


def _reasons(pythia: Any) -> str:
    """What Pythia has to complain of; warnings, which also a good run has, only if there is nothing else."""
    told = re.findall(r"\| +\d+ +((Abort|Error|Warning) [^|\n]*\S) *\|", printed_by(pythia.stat))
    grave = [text for text, kind in told if kind != "Warning"]
    return "; ".join(grave or [text for text, _ in told]) or "it gives no reason"


def _particles(batch: Any) -> Particles:
    """The columns that are used, as NumPy sees them: nothing is copied but mothers and weights."""
    record = batch["prt"].layout
    offsets = np.asarray(record.offsets.data, dtype=np.int64)
    content = record.content
    column = {name: np.asarray(content[name].data) for name in ("id", "status", "mother1")}
    four = {name: np.asarray(content["p"][name].data) for name in ("px", "py", "pz", "e")}
    start = np.repeat(offsets[:-1], np.diff(offsets))
    # Mother 0 is the event as a whole.
    mother = np.where(column["mother1"] > 0, column["mother1"] + start, -1)
    final = column["status"] > 0
    weights = np.asarray(batch["info"]["weights"][:, 0], dtype=np.float64)
    return Particles(
        offsets, column["id"], final, mother, four["px"], four["py"], four["pz"], four["e"], weights
    )
