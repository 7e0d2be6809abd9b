"""From events to efficiencies: one batch after the other through detector and selection, then the sums.

`generate_point` makes a point of a model, `generate_spectrum` one of a spectrum, `generate_from_events` takes what
others made; all pass the gate (`superbin.generate.gate`) and end in `analyse`, which takes any stream of events. Clauses
GEN-50 to GEN-55 of ``specs/generation.md``.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.grid import SignalPoint
from superbin.domain.search import Search
from superbin.errors import DocumentError, InputError
from superbin.generate.cards import Cards
from superbin.generate.detector import Jets, cluster, flavours, smear, tag_probability, visible
from superbin.generate.events import BoolArray, IntArray, Particles
from superbin.generate.gate import Allowances, Gate
from superbin.generate.isr import isr_weights, radiated
from superbin.generate.pythia import generate_events, process_lines, settings_lines
from superbin.generate.readers import read_events
from superbin.generate.roulette import Roulette
from superbin.generate.selection import (
    Kinematics,
    accepted,
    bin_probabilities,
    candidates,
    kinematics,
    poisson_binomial,
    tag_columns,
    veto,
)
from superbin.generate.slha import LSP, masses, model_named, slha_text
from superbin.generate.spectrum import Spectrum, for_pythia, read_spectrum

__all__ = [
    "CUTS",
    "Efficiencies",
    "analyse",
    "generate_from_events",
    "generate_point",
    "generate_spectrum",
    "seeds",
]

CUTS = ("generated", "jets", "HT", "MHT", "angles", "leptons", "tracks", "trigger", "in a bin")
"""Steps of the cut flow, each after those before it."""

_PYTHIA_SEEDS = 900_000_000
_LIGHTEST = 10.0
"""GeV: lighter particles that are produced in pairs are in no jet of the selection; masses in TeV look so."""


@dataclass(frozen=True, slots=True, eq=False)
class Efficiencies:
    """What a stream of events comes to.

    Parameters
    ----------
    values, errors : ndarray of float, shape (n_bins,)
        Weighted fraction of the events in every bin, and the Monte Carlo standard error: the root of the sum of squared
        weights. A fraction is negative where negative weights prevail.
    variations : dict of str to (ndarray, ndarray)
        The fractions with one source of uncertainty up, and down; see `Cards.variations`.
    total_error : float
        That of the sum over all bins, from the squared weights of all events: each counts by how far its chance of being
        in any bin is from the mean. For weights of one it is the binomial error.
    events : int
        Number of events, those that were ended early included.
    negative : int
        Those of negative weight.
    effective : float
        Events of weight one that would give the same error: square of the sum of weights over the sum of squares.
    cut_flow : dict of str to float
        Weighted fraction of the events left after each of `CUTS`.
    """

    values: FloatArray
    errors: FloatArray
    variations: dict[str, tuple[FloatArray, FloatArray]]
    total_error: float
    events: int
    negative: int
    effective: float
    cut_flow: dict[str, float]


class _Sums:
    """Running sums of weights; normalised once at the end, since the mean weight is known only then."""

    def __init__(self, n_bins: int, variations: Iterable[str]) -> None:
        self.first, self.second = np.zeros(n_bins), np.zeros(n_bins)
        self.flow = np.zeros(len(CUTS))
        self.squares = np.zeros((3, 3))
        """Sums of squared weights of the generator, times powers of the weight for radiation, times its square and those of
        the chance to be in any bin: element (i, j) has radiation to the i and chance to the j, j <= i."""
        self.varied = {name: [np.zeros(n_bins), np.zeros(n_bins)] for name in variations}
        self.radiation = {name: [0.0, 0.0] for name in variations}
        self.events = 0
        self.negative = 0
        self.weight = 0.0
        """What all events weigh, those that were ended early included."""
        self.made = 0.0
        """What the events weigh that were made to their end, without and (next) with the weight for radiation."""
        self.radiated = 0.0
        self.early = False


def analyse(
    batches: Iterable[Particles],
    search: Search,
    *,
    cards: Cards,
    random: np.random.Generator,
    progress: Callable[[int], None] | None = None,
) -> Efficiencies:
    """Run events through detector and selection.

    Parameters
    ----------
    batches : iterable of Particles
        The events.
    search : Search
        Whose bins are filled.
    cards : Cards
        The constants.
    random : numpy.random.Generator
        For the smearing.
    progress : callable, optional
        Called with the number of events done, after each batch.

    Raises
    ------
    InputError
        If there are no events, or the search has bins in other observables.
    """
    columns = tag_columns(search)
    variations = cards.variations()
    sums = _Sums(search.n_bins, variations)
    for batch in batches:
        if batch.n_events:
            _add(sums, batch, search, columns, (cards, variations), random)
        sums.events += batch.n_generated
        sums.early |= batch.generated is not None
        sums.weight += float(batch.weight.sum()) if batch.generated is None else batch.generated
        if progress is not None:
            progress(sums.events)
    if not sums.events:
        raise InputError("there are no events; at least one is needed to say anything of the efficiencies")
    if not (sums.weight > 0 and sums.radiated > 0):
        raise InputError(
            f"there are no events with positive total weight, the sum over {sums.events} is {sums.made:g}; nothing can be "
            "said of the efficiencies, give more events"
        )
    # The mean weight for radiation is that of the events made to their end; all events are counted exactly.
    scale = sums.made / (sums.radiated * sums.weight)
    return Efficiencies(
        sums.first * scale,
        np.sqrt(sums.second) * scale,
        {name: (_share(sums, name, 0), _share(sums, name, 1)) for name in sums.varied},
        _total_error(sums),
        sums.events,
        sums.negative,
        sums.made**2 / float(sums.squares[0, 0]),
        dict(zip(CUTS, [1.0, *(sums.flow[1:] * scale).tolist()], strict=True)),
    )


def _share(sums: _Sums, variation: str, side: int) -> FloatArray:
    share: FloatArray = (
        sums.varied[variation][side] * sums.made / (sums.radiation[variation][side] * sums.weight)
    )
    return share


def _total_error(sums: _Sums) -> float:
    """The error of the sum over all bins.

    The sum is e = mean(w r c) mean(w) / mean(w r) over all events with weights w of the generator, r for radiation and
    chances c; mean(w) is one where events were ended early. Each event adds to its variance the square of
    w (r c / mean(w r c) - r / mean(w r)) e, and of w (r c / mean(w r c) - r / mean(w r) + 1) - 1 there.
    """
    inside = float(sums.flow[-1])
    if not inside > 0:
        return 0.0
    mean = inside * sums.made / (sums.radiated * sums.weight)
    a, b, n = sums.weight / inside, sums.weight / sums.radiated, sums.weight
    if sums.early:
        b = b * sums.made / sums.weight
    s = sums.squares
    variance = a * a * s[2, 2] - 2 * a * b * s[2, 1] + b * b * s[2, 0]
    if sums.early:
        variance += s[0, 0] + 2 * a * s[1, 1] - 2 * b * s[1, 0] - n
    return mean * math.sqrt(max(variance, 0.0)) / n


@dataclass(frozen=True, slots=True, eq=False)
class _Response:
    """A batch as one detector sees it."""

    jets: Jets
    origin: IntArray
    kin: Kinematics
    steps: list[BoolArray]


def _respond(found: Jets, n_events: int, cards: Cards, deviates: FloatArray) -> _Response:
    selection = cards.selection
    jets, origin = smear(found, cards.detector, deviates)
    kin = kinematics(jets, n_events, selection)
    steps = [np.ones(n_events, dtype=bool)]
    for passed in (
        kin.njet >= selection.min_njet,
        kin.ht > selection.min_ht,
        kin.mht > selection.min_mht,
        kin.angles,
    ):
        steps.append(steps[-1] & passed)
    return _Response(jets, origin, kin, steps)


def _add(
    sums: _Sums,
    batch: Particles,
    search: Search,
    columns: int,
    cards: tuple[Cards, dict[str, tuple[Cards, Cards]]],
    random: np.random.Generator,
) -> None:
    nominal, variations = cards
    seen = visible(batch, nominal.detector)
    found = cluster(batch, seen, nominal.detector)
    deviates = random.standard_normal(len(found.pt))
    # Only the jet energy scale changes jets: the others look at the same ones.
    responses: dict[float, _Response] = {}
    for card in (nominal, *itertools.chain.from_iterable(variations.values())):
        if card.detector.jet_scale_shift not in responses:
            responses[card.detector.jet_scale_shift] = _respond(found, batch.n_events, card, deviates)
    # Isolation and flavours only for what is left in some variation: they cost most.
    chosen = np.any([response.steps[-1] for response in responses.values()], axis=0)
    central = np.flatnonzero(np.abs(found.eta) < nominal.selection.central_eta)
    radiation = np.zeros(len(found.pt), dtype=bool)
    radiation[central] = radiated(batch, found, central, nominal.selection)
    central = central[chosen[found.event[central]]]
    flavour = np.zeros(len(found.pt), dtype=np.int64)
    flavour[central] = flavours(found, batch, central, nominal.detector)
    tracks = candidates(batch, seen, chosen, nominal.selection)

    def filled(card: Cards, record: bool = False) -> tuple[FloatArray, float]:
        response = responses[card.detector.jet_scale_shift]
        kin, left = response.kin, response.steps[-1]
        jets = response.jets
        from_radiation = kin.central[radiation[response.origin[kin.central]]]
        number = np.bincount(jets.event[from_radiation], minlength=batch.n_events)
        factor = isr_weights(number, card.selection)
        weight = batch.weight * factor
        lepton, track = veto(tracks, kin, card.selection)
        passed = accepted(kin, card.selection)
        events = np.flatnonzero(left)
        mine = kin.central[left[jets.event[kin.central]]]
        chance = tag_probability(jets.pt[mine], flavour[response.origin[mine]], card.detector)
        tags = poisson_binomial(chance, np.searchsorted(events, jets.event[mine]), len(events), most=columns)
        kept = (lepton * track * passed)[events]
        inside = bin_probabilities(search, kin, events, tags) * kept[:, None]
        values = inside * weight[events][:, None]
        if record:
            total = inside.sum(axis=1)
            sums.second += (values**2).sum(axis=0)
            last = weight[left]
            sums.flow += [
                *(weight[step].sum() for step in response.steps),
                (last * lepton[left]).sum(),
                (last * (lepton * track)[left]).sum(),
                (last * kept).sum(),
                values.sum(),
            ]
            square = batch.weight**2
            for power in range(3):
                sums.squares[power, 0] += (square * factor**power).sum()
                for other in range(1, power + 1):
                    sums.squares[power, other] += ((square * factor**power)[events] * total**other).sum()
            sums.made += float(batch.weight.sum())
            sums.negative += int((batch.weight < 0).sum())
        return values.sum(axis=0), float(weight.sum())

    values, weight = filled(nominal, record=True)
    sums.first += values
    sums.radiated += weight
    for name, sides in variations.items():
        for i, card in enumerate(sides):
            values, weight = filled(card)
            sums.varied[name][i] += values
            sums.radiation[name][i] += weight


def seeds(seed: int, model: str, parameters: Sequence[float]) -> tuple[int, np.random.Generator]:
    """The seed of Pythia and the random numbers of the detector, for one point.

    Both follow from the user's seed, the model and the masses, so that a point is the same in any order of the
    points and with any number of workers.
    """
    identity = json.dumps([model, *(f"{value:.6g}" for value in parameters)]).encode()
    words = np.frombuffer(hashlib.sha256(identity).digest(), dtype=np.uint32)
    first, second = np.random.SeedSequence([seed, *words.tolist()]).spawn(2)
    return 1 + int(first.generate_state(1, np.uint64)[0] % _PYTHIA_SEEDS), np.random.default_rng(second)


def generate_point(
    model: str,
    parameters: Sequence[float],
    search: Search,
    *,
    events: int = 5000,
    seed: int = 0,
    cards: Cards | None = None,
    allow: Allowances | None = None,
    progress: Callable[[int], None] | None = None,
) -> SignalPoint:
    """Simulate one point of a simplified model.

    Parameters
    ----------
    model : str
        One of `superbin.generate.MODELS`.
    parameters : sequence of float
        m_mother and m_lsp, GeV.
    search : Search
        Whose bins are filled.
    events : int
        Number of events.
    seed : int
        The user's seed; see `seeds`.
    cards : Cards, optional
        The constants; by default ``Cards.of(search)``: the default ones with those of the search.
    allow : Allowances, optional
        What the gate is to let through; by default collisions at the search's energy and prompt decays.
    progress : callable, optional
        Called with the number of events done, after each batch.

    Returns
    -------
    SignalPoint
        Efficiencies with errors; its settings record the cards, Pythia's settings and seed, the versions and the cut
        flow.

    Raises
    ------
    UnknownNameError
        If there is no such model.
    InputError
        If the masses are kinematically impossible, or a number is out of its range.
    MissingDependencyError
        If the extra ``superbin[mc]`` is not installed.
    """
    chosen = model_named(model)
    point = masses(chosen, tuple(parameters))
    gate, cards = Gate.of(search, cards or Cards.of(search), allow or Allowances())
    pythia_seed, random = seeds(seed, model, point)
    lines = settings_lines(cards.generator, process_lines(chosen.mothers), pythia_seed)
    spectrum = slha_text(chosen, *point)
    # The models' least mass differences are for the usual top quark; the card may have another.
    gate.spectrum(spectrum, f"the spectrum of {model}", chosen.mothers)
    return _simulated(
        (model, point, seed), (lines, spectrum), search, (cards, gate, random, _positive(events), progress)
    )


def generate_spectrum(
    name: str,
    slha: str,
    search: Search,
    *,
    place: str | None = None,
    mothers: tuple[int, ...] = (1000021,),
    events: int = 5000,
    seed: int = 0,
    cards: Cards | None = None,
    allow: Allowances | None = None,
    progress: Callable[[int], None] | None = None,
) -> SignalPoint:
    """Simulate a spectrum of the user's.

    Parameters
    ----------
    name : str
        What to call it.
    slha : str
        Content of an SLHA file, with the masses and decays of all that is made. Block MODSEL, which Pythia insists on, is
        added for it if there is none.
    place : str, optional
        The file's name, for errors; by default `name`.
    search, events, seed, cards, allow, progress
        As in `generate_point`.
    mothers : tuple of int
        What is produced in pairs: the gluino, or squarks. The point's masses are those of the first of them and of
        the lightest neutralino.

    Raises
    ------
    DocumentError
        If the text is no spectrum, lacks a mass or decays, or a decay on the way is closed; see `check_decays`.
    InputError, MissingDependencyError
        As in `generate_point`.
    """
    gate, cards = Gate.of(search, cards or Cards.of(search), allow or Allowances())
    process = process_lines(mothers)
    found = read_spectrum(slha, place=place or name)
    _check_masses(found, mothers, gate)
    gate.decays(found, mothers)
    point = (found.mass(mothers[0]), found.mass(LSP))
    if point[1] >= point[0]:
        raise DocumentError(
            f"{found.place}: the mass of {mothers[0]}, {point[0]:g} GeV, is not above that of {LSP}, {point[1]:g} GeV; a "
            "point has the heavier one first"
        )
    pythia_seed, random = seeds(seed, name, point)
    lines = settings_lines(cards.generator, process, pythia_seed)
    made = _simulated(
        (name, point, seed),
        (lines, for_pythia(slha, found)),
        search,
        (cards, gate, random, _positive(events), progress),
    )
    return replace(made, settings={**made.settings, "slha": slha})


def _check_masses(spectrum: Spectrum, mothers: tuple[int, ...], gate: Gate) -> None:
    """What is produced fits into the collisions, and is heavier than the jets that are cut on."""
    for mother in set(mothers) & spectrum.decays.keys():
        mass = spectrum.mass(mother)
        if not _LIGHTEST < mass < gate.energy_gev / 2:
            unit = "TeV" if mass <= _LIGHTEST else "MeV"
            raise DocumentError(
                f"{spectrum.place}, line {spectrum.lines[mother]}: the mass of {mother} is {mass:g} GeV; it must be above "
                f"{_LIGHTEST:g} GeV and below half the energy of the collisions, {gate.energy_gev / 2:g} GeV: is it in {unit}?"
            )


def generate_from_events(
    name: str,
    parameters: Sequence[float],
    path: str | Path,
    search: Search,
    *,
    slha: str | None = None,
    place: str | None = None,
    events: int | None = None,
    seed: int = 0,
    cards: Cards | None = None,
    allow: Allowances | None = None,
    progress: Callable[[int], None] | None = None,
) -> SignalPoint:
    """Take events from a file instead of generating them; see `read_events` for the formats.

    Parameters
    ----------
    name : str
        What to call the model.
    parameters : sequence of float
        The mass of what is produced and of the LSP, GeV; they only label the point.
    path : str or Path
        HepMC or Les Houches events.
    slha : str, optional
        Spectrum with decays, for Les Houches events without one; it replaces one in the file.
    place : str, optional
        The spectrum's file, for errors.
    events : int, optional
        How many of the first to read; by default all.
    search, seed, cards, allow, progress
        As in `generate_point`.

    Notes
    -----
    Events may carry weights, negative ones too, which are kept in all sums. A bin with a negative sum is set to zero; its
    error stays, and the settings record which bins these are and what they take away, under ``statistics``.
    """
    if len(parameters) != 2:
        raise InputError(
            f"{counted(len(parameters), 'mass')} given; name the mass of what is produced and of the LSP"
        )
    gate, cards = Gate.of(search, cards or Cards.of(search), allow or Allowances())
    point = (float(parameters[0]), float(parameters[1]))
    pythia_seed, random = seeds(seed, name, point)
    batches, lines = read_events(
        path,
        settings=cards.generator,
        seed=pythia_seed,
        gate=gate,
        events=events,
        slha=slha,
        place=place or "the spectrum",
    )
    result = analyse(batches, search, cards=cards, random=random, progress=progress)
    gate.label(point[0])
    made = _point((name, point, seed), search, result, (cards, gate), lines)
    return replace(made, settings={**made.settings, "events_file": Path(path).name})


def _positive(events: int) -> int:
    if events < 1:
        raise InputError(f"events is {events}; at least 1 is needed")
    return events


def _simulated(
    label: tuple[str, tuple[float, float], int],
    source: tuple[list[str], str],
    search: Search,
    rest: tuple[Cards, Gate, np.random.Generator, int, Callable[[int], None] | None],
) -> SignalPoint:
    (lines, spectrum), (cards, gate, random, events, progress) = source, rest
    generator = cards.generator
    roulette = None
    # In searches without a cut on missing momentum, and where the generator is told to stop before hadrons, all events count.
    if generator.roulette and cards.selection.min_mht > 0 and generator.hadronisation:
        seed = 1 + int(random.integers(_PYTHIA_SEEDS))
        cut, invisible = cards.selection.min_mht, cards.detector.invisible
        roulette = Roulette(cut, generator.roulette_scale, generator.roulette, invisible, seed)
    stream = generate_events(lines, events=events, batch=generator.batch, slha=spectrum, roulette=roulette)
    gate.counts["accepted"] = events
    result = analyse(gate.watch(stream), search, cards=cards, random=random, progress=progress)
    return _point(label, search, result, (cards, gate), lines)


def _point(
    label: tuple[str, tuple[float, float], int],
    search: Search,
    result: Efficiencies,
    run: tuple[Cards, Gate],
    lines: list[str],
) -> SignalPoint:
    name, (m_mother, m_lsp), seed = label
    cards, gate = run
    record = cards.record() | {
        "versions": {package: version(package) for package in ("superbin", "pythia8mc", "fastjet")},
        "pythia": lines,
        "cut_flow": result.cut_flow,
        "statistics": _statistics(result),
        "gate": gate.record(),
    }
    parameters = {"m_mother": m_mother, "m_lsp": m_lsp}
    values = np.maximum(result.values, 0)
    # The record of a bin that negative weights prevail in is zero on all sides.
    sides = {key: (np.maximum(up, 0), np.maximum(down, 0)) for key, (up, down) in result.variations.items()}
    return SignalPoint(
        name, parameters, search.name, result.events, seed, values, result.errors, record, sides
    )


def _statistics(result: Efficiencies) -> dict[str, Any]:
    """What the weights come to, and what setting negative bins to zero adds."""
    clipped = np.flatnonzero(result.values < 0)
    return {
        "total_error": result.total_error,
        "effective_events": result.effective,
        "negative_weights": result.negative,
        "clipped_bins": (clipped + 1).tolist(),
        "clipped": float(-result.values[clipped].sum()),
    }
