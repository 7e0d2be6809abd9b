"""The selection of a multi-bin search in missing transverse momentum: vetoes, cuts, and the chance of every bin.

`SelectionCard` holds the constants; the bins are those of the `superbin.domain.search.Search`. An event
is not in one bin: b tags are probabilities, so it is spread over the bins in Nb (`bin_probabilities`). Clauses GEN-30 to
GEN-37 of ``specs/generation.md``.
"""

from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.search import Search
from superbin.errors import InputError
from superbin.generate.detector import SOFTEST_JET, Jets
from superbin.generate.domains import (
    ETA,
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    RATES,
    Domain,
    check_domains,
    each,
    number,
    whole,
)
from superbin.generate.events import BoolArray, IntArray, Particles, delta_phi, delta_r, pairs, pseudorapidity

__all__ = [
    "Candidates",
    "Kinematics",
    "SelectionCard",
    "accepted",
    "bin_probabilities",
    "candidates",
    "kinematics",
    "poisson_binomial",
    "tag_columns",
    "veto",
]

_ELECTRON, _MUON = 11, 13
_CHARGED = (11, 13, 211, 321, 2212, 3112, 3222, 3312, 3334)
_OBSERVABLES = {"njet", "nb", "ht", "mht"}


@dataclass(frozen=True, slots=True)
class SelectionCard:
    """The constants of the selection; what differs between searches is in `superbin.generate.cards`.

    Parameters
    ----------
    jet_pt : float
        Jets count above this pT, GeV.
    central_eta, forward_eta : float
        Njet, HT, Nb and the angles are of central jets, MHT is the vector sum over all within the forward edge.
    min_njet, min_ht, min_mht : float
        Baseline: Njet not below, HT and MHT above.
    angles : tuple of float
        Least azimuth between MHT and the leading central jets, in order.
    lepton_pt, electron_eta, muon_eta : float
        Electrons and muons that veto, if isolated.
    mini_radius, mini_scale : tuple of (float, float), float
        Mini-isolation [1]_: the cone is `mini_scale`/pT, held within the two radii, GeV.
    electron_isolation, muon_isolation : float
        Largest pT in the cone, relative to the lepton's.
    neutral_isolation : float
        Share of the pT of neutral particles that counts in that cone. With 0 the vetoes take 2.5 % of T1bbbb(1750, 1), with
        1 they take 1.2 %; in CMS's own cut flow of T1bbbb(1500, 100) in SUS-16-033 it is 2.9 %.
    electron_efficiency, muon_efficiency : float
        Chance that such a lepton is identified [2]_ [3]_. One that is missed may still be an isolated track.
    track_eta, track_cone, track_mt : float
        Isolated tracks veto within this ``|eta|``, with charged pT in this cone, if the transverse mass with the missing
        momentum is below `track_mt` GeV.
    track_lepton_pt, track_lepton_isolation, track_hadron_pt, track_hadron_isolation : float
        Thresholds in GeV and largest relative isolations, for electrons and muons, and for hadrons.
    track_efficiency : float
        Chance that a charged hadron leaves a track that is reconstructed [4]_: nuclear interactions take a tenth. In a
        veto it multiplies the chance to be seen.
    isr_weights : tuple of float
        Weight of an event with 0, 1, ... jets from radiation, the last for all above. An empty tuple is no correction.
    isr_weights_up, isr_weights_down : tuple of float
        The same with the correction's uncertainty: the variation ``isr``.
    isr_dr : float
        A central jet comes from radiation if no quark of the decay chain is this near.
    trigger : tuple of (float, float)
        From this MHT on, GeV, the trigger has this efficiency. Empty for none.
    jet_identification : float
        Chance that all jets of an event are identified as such; CMS corrects its fast simulation by 0.99.
    overall_factor : float
        Scales all efficiencies: 1, for what the user wants to add.

    References
    ----------
    .. [1] K. Rehermann, B. Tweedie, JHEP 03 (2011) 059, arXiv:1007.2221
    .. [2] CMS, JINST 10 (2015) P06005, arXiv:1502.02701
    .. [3] CMS, JINST 13 (2018) P06015, arXiv:1804.04528
    .. [4] CMS, JINST 9 (2014) P10009, arXiv:1405.6569
    """

    jet_pt: float = 30.0
    central_eta: float = 2.4
    forward_eta: float = 5.0
    min_njet: int = 3
    min_ht: float = 300.0
    min_mht: float = 300.0
    angles: tuple[float, ...] = (0.5, 0.5, 0.3, 0.3)
    lepton_pt: float = 10.0
    electron_eta: float = 2.5
    muon_eta: float = 2.4
    mini_radius: tuple[float, float] = (0.05, 0.2)
    mini_scale: float = 10.0
    electron_isolation: float = 0.1
    muon_isolation: float = 0.2
    neutral_isolation: float = 0.0
    electron_efficiency: float = 0.92
    muon_efficiency: float = 0.97
    track_eta: float = 2.4
    track_cone: float = 0.3
    track_mt: float = 100.0
    track_lepton_pt: float = 5.0
    track_lepton_isolation: float = 0.2
    track_hadron_pt: float = 10.0
    track_hadron_isolation: float = 0.1
    track_efficiency: float = 0.9
    isr_weights: tuple[float, ...] = ()
    isr_weights_up: tuple[float, ...] = ()
    isr_weights_down: tuple[float, ...] = ()
    isr_dr: float = 0.3
    trigger: tuple[tuple[float, float], ...] = ()
    jet_identification: float = 0.99
    overall_factor: float = 1.0

    def __post_init__(self) -> None:
        check_domains("selection", self, _DOMAINS)
        if self.central_eta > self.forward_eta:
            raise InputError(
                f"selection.central_eta is {self.central_eta:g} and selection.forward_eta {self.forward_eta:g}; the "
                "central jets must be among those of MHT"
            )


def _is_radii(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(map(POSITIVE.holds, value))
        and value[0] <= value[1]
    )


def _is_weights(value: object) -> bool:
    return isinstance(value, tuple) and all(map(NOT_NEGATIVE.holds, value)) and (not value or sum(value) > 0)


_WEIGHTS = Domain("a list of numbers >= 0, not all of them 0", _is_weights)
_DOMAINS: dict[str, Domain] = {
    "jet_pt": number(
        f"a number >= {SOFTEST_JET:g} GeV, below which no jets are made", lambda x: x >= SOFTEST_JET
    ),
    "central_eta": ETA,
    "forward_eta": ETA,
    "min_njet": whole(0),
    "min_ht": NOT_NEGATIVE,
    "min_mht": NOT_NEGATIVE,
    "angles": each(number("", lambda x: 0 <= x <= np.pi), "a list of angles from 0 to pi"),
    "lepton_pt": NOT_NEGATIVE,
    "electron_eta": ETA,
    "muon_eta": ETA,
    "mini_radius": Domain("two radii above 0, the smaller first", _is_radii),
    "mini_scale": POSITIVE,
    "electron_isolation": NOT_NEGATIVE,
    "muon_isolation": NOT_NEGATIVE,
    "neutral_isolation": FRACTION,
    "electron_efficiency": FRACTION,
    "muon_efficiency": FRACTION,
    "track_eta": ETA,
    "track_cone": POSITIVE,
    "track_mt": NOT_NEGATIVE,
    "track_lepton_pt": NOT_NEGATIVE,
    "track_lepton_isolation": NOT_NEGATIVE,
    "track_hadron_pt": NOT_NEGATIVE,
    "track_hadron_isolation": NOT_NEGATIVE,
    "track_efficiency": FRACTION,
    "isr_weights": _WEIGHTS,
    "isr_weights_up": _WEIGHTS,
    "isr_weights_down": _WEIGHTS,
    "isr_dr": POSITIVE,
    "trigger": Domain("empty, or " + RATES.text, lambda value: value == () or RATES.holds(value)),
    "jet_identification": FRACTION,
    "overall_factor": number(
        "a number above 0 and at most 2: it corrects efficiencies, a cross section is given elsewhere",
        lambda x: 0 < x <= 2,
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Kinematics:
    """What the jets of each event add up to.

    Parameters
    ----------
    njet : ndarray of int, shape (n_events,)
        Central jets.
    ht, mht, mht_phi : ndarray of float, shape (n_events,)
        GeV, GeV and radians.
    angles : ndarray of bool, shape (n_events,)
        Whether the leading central jets are far enough from MHT.
    central : ndarray of int
        Positions of the central jets.
    """

    njet: IntArray
    ht: FloatArray
    mht: FloatArray
    mht_phi: FloatArray
    angles: BoolArray
    central: IntArray


def kinematics(jets: Jets, n_events: int, card: SelectionCard) -> Kinematics:
    """Njet, HT, MHT and the angles of every event; see `SelectionCard`."""
    hard = (jets.pt > card.jet_pt) & (np.abs(jets.eta) < card.forward_eta)
    central = np.flatnonzero(hard & (np.abs(jets.eta) < card.central_eta))

    def total(values: FloatArray, positions: IntArray) -> FloatArray:
        sums = np.bincount(jets.event[positions], weights=values[positions], minlength=n_events)
        return np.asarray(sums, dtype=np.float64)

    everywhere = np.flatnonzero(hard)
    x = -total(jets.pt * np.cos(jets.phi), everywhere)
    y = -total(jets.pt * np.sin(jets.phi), everywhere)
    mht_phi = np.arctan2(y, x)
    event = jets.event[central]
    njet = np.bincount(event, minlength=n_events)
    # Jets are sorted by pT, so the rank in the event is the distance to its first central jet.
    rank = np.arange(len(central)) - (np.cumsum(njet) - njet)[event]
    limits = np.append(card.angles, 0.0)[np.minimum(rank, len(card.angles))]
    close = delta_phi(jets.phi[central], mht_phi[event]) <= limits
    close &= rank < len(card.angles)
    apart = np.bincount(event, weights=close, minlength=n_events) == 0
    return Kinematics(njet, total(jets.pt, central), np.hypot(x, y), mht_phi, apart, central)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Isolated leptons and tracks that may veto their event.

    Parameters
    ----------
    lepton_event, lepton_kind : ndarray of int, shape (n_leptons,)
        Event and PDG number without sign of each isolated electron and muon.
    track_event, track_kind : ndarray of int, shape (n_tracks,)
        The same of the isolated tracks.
    track_pt, track_phi : ndarray of float, shape (n_tracks,)
        GeV and radians, for the transverse mass.
    """

    lepton_event: IntArray
    lepton_kind: IntArray
    track_event: IntArray
    track_kind: IntArray
    track_pt: FloatArray
    track_phi: FloatArray


def candidates(particles: Particles, seen: BoolArray, chosen: BoolArray, card: SelectionCard) -> Candidates:
    """Find isolated leptons and tracks.

    Parameters
    ----------
    particles : Particles
        The events.
    seen : ndarray of bool, shape (n_particles,)
        What the detector sees.
    chosen : ndarray of bool, shape (n_events,)
        Events worth the effort; the others have neither.
    card : SelectionCard
        The constants.
    """
    tracks = _Tracks.of(particles, np.flatnonzero(seen & np.repeat(chosen, np.diff(particles.offsets))))
    charged = np.isin(tracks.kind, _CHARGED)
    lepton = _isolated_leptons(tracks, np.where(charged, 1.0, card.neutral_isolation), card)
    found = tracks.take(charged)
    track = _isolated_tracks(found, card)
    return Candidates(
        tracks.event[lepton], tracks.kind[lepton],
        found.event[track], found.kind[track], found.pt[track], found.phi[track],
    )  # fmt: skip


def veto(found: Candidates, kin: Kinematics, card: SelectionCard) -> tuple[FloatArray, FloatArray]:
    """The chance of each event to pass the veto on leptons, and that on isolated tracks.

    Parameters
    ----------
    found : Candidates
        From `candidates`.
    kin : Kinematics
        For the missing momentum.
    card : SelectionCard
        The constants.

    Returns
    -------
    lepton, track : ndarray of float, shape (n_events,)
        One where there is nothing to see, else the chance that none of it is seen.
    """
    n_events = len(kin.njet)
    lepton, track = np.ones(n_events), np.ones(n_events)
    efficiency = np.where(found.lepton_kind == _ELECTRON, card.electron_efficiency, card.muon_efficiency)
    np.multiply.at(lepton, found.lepton_event, 1 - efficiency)
    event = found.track_event
    turn = delta_phi(found.track_phi, kin.mht_phi[event])
    near = np.sqrt(2 * found.track_pt * kin.mht[event] * (1 - np.cos(turn))) < card.track_mt
    efficiency = np.where(np.isin(found.track_kind, (_ELECTRON, _MUON)), 1.0, card.track_efficiency)
    np.multiply.at(track, event[near], 1 - efficiency[near])
    return lepton, track


def accepted(kin: Kinematics, card: SelectionCard) -> FloatArray:
    """The chance of each event to be triggered and to have all its jets identified."""
    chance = np.full(len(kin.njet), card.jet_identification * card.overall_factor)
    if card.trigger:
        start, efficiency = np.array(card.trigger).T
        step = np.searchsorted(start, kin.mht, side="left") - 1
        chance *= np.where(step < 0, 0.0, efficiency[np.maximum(step, 0)])
    return chance


@dataclass(frozen=True, slots=True, eq=False)
class _Tracks:
    """Particles as the detector sees them; `offsets` per event."""

    event: IntArray
    offsets: IntArray
    kind: IntArray
    pt: FloatArray
    eta: FloatArray
    phi: FloatArray

    @classmethod
    def of(cls, particles: Particles, at: IntArray) -> "_Tracks":
        px, py, pz = (values[at] for values in (particles.px, particles.py, particles.pz))
        offsets = np.searchsorted(at, particles.offsets)
        event = np.repeat(np.arange(particles.n_events), np.diff(offsets))
        return cls(
            event,
            offsets,
            np.abs(particles.pdg[at]),
            np.hypot(px, py),
            pseudorapidity(px, py, pz),
            np.arctan2(py, px),
        )

    def take(self, mask: BoolArray) -> "_Tracks":
        offsets = np.append(0, np.cumsum(mask))[self.offsets]
        return _Tracks(
            self.event[mask], offsets, self.kind[mask], self.pt[mask], self.eta[mask], self.phi[mask]
        )

    def isolation(self, at: IntArray, radius: FloatArray, share: FloatArray | None = None) -> FloatArray:
        """The pT of the others within a cone, or the share of it that counts, relative to the own."""
        first, second = pairs(self.event[at], self.offsets)
        me = at[first]
        # Most pairs fall in eta already.
        near = (np.abs(self.eta[me] - self.eta[second]) < radius[first]) & (me != second)
        first, second, me = first[near], second[near], me[near]
        inside = delta_r(self.eta[me], self.phi[me], self.eta[second], self.phi[second]) < radius[first]
        activity = self.pt[second] * inside
        if share is not None:
            activity *= share[second]
        return np.bincount(first, weights=activity, minlength=len(at)) / self.pt[at]


def mini_radius(pt: FloatArray, card: SelectionCard) -> FloatArray:
    """Radius of the mini-isolation cone: 0.2 below 50 GeV, 10 GeV/pT, 0.05 above 200 GeV."""
    return np.clip(card.mini_scale / pt, *card.mini_radius)


def _isolated_leptons(tracks: _Tracks, share: FloatArray, card: SelectionCard) -> IntArray:
    is_electron, is_muon = tracks.kind == _ELECTRON, tracks.kind == _MUON
    edge = np.where(is_electron, card.electron_eta, card.muon_eta)
    at = np.flatnonzero((is_electron | is_muon) & (tracks.pt > card.lepton_pt) & (np.abs(tracks.eta) < edge))
    limit = np.where(is_electron[at], card.electron_isolation, card.muon_isolation)
    return at[tracks.isolation(at, mini_radius(tracks.pt[at], card), share) < limit]


def _isolated_tracks(tracks: _Tracks, card: SelectionCard) -> IntArray:
    is_lepton = np.isin(tracks.kind, (_ELECTRON, _MUON))
    above = tracks.pt > np.where(is_lepton, card.track_lepton_pt, card.track_hadron_pt)
    at = np.flatnonzero(above & (np.abs(tracks.eta) < card.track_eta))
    limit = np.where(is_lepton[at], card.track_lepton_isolation, card.track_hadron_isolation)
    return at[tracks.isolation(at, np.full(len(at), card.track_cone)) < limit]


def poisson_binomial(probabilities: FloatArray, event: IntArray, n_events: int, *, most: int) -> FloatArray:
    """How likely each event is to have 0, 1, ... tagged jets.

    Parameters
    ----------
    probabilities : ndarray of float, shape (n_jets,)
        Chance of each jet to be tagged.
    event : ndarray of int, shape (n_jets,)
        The event of each jet, rising.
    n_events : int
        Number of events.
    most : int
        Columns; the last holds ``>= most - 1`` tags.

    Returns
    -------
    ndarray of float, shape (n_events, most)
        Rows add up to one.
    """
    result = np.zeros((n_events, most))
    result[:, 0] = 1.0
    counts = np.bincount(event, minlength=n_events)
    start = np.cumsum(counts) - counts
    # One jet of every event at a time: the loop is over jets, some ten turns.
    for k in range(int(counts.max(initial=0))):
        rows = np.flatnonzero(counts > k)
        p = probabilities[start[rows] + k][:, None]
        old = result[rows]
        new = old * (1 - p)
        new[:, 1:] += old[:, :-1] * p
        new[:, -1:] += old[:, -1:] * p
        result[rows] = new
    return result


def bin_probabilities(search: Search, kin: Kinematics, events: IntArray, tags: FloatArray) -> FloatArray:
    """How likely each of some events is to fall in each bin.

    Parameters
    ----------
    search : Search
        Its bins, ranges in njet, nb, ht and mht: open below and closed above in the last two.
    kin : Kinematics
        Of all events.
    events : ndarray of int, shape (n,)
        The events asked for.
    tags : ndarray of float, shape (n, most)
        From `poisson_binomial`, with ``most = tag_columns(search)``.

    Returns
    -------
    ndarray of float, shape (n, n_bins)
        Zero where Njet, HT and MHT are outside, else the chance of Nb.
    """
    column = {o.name: i for i, o in enumerate(search.observables)}
    inside = np.ones((len(events), search.n_bins), dtype=bool)
    for name, values in (("njet", kin.njet), ("ht", kin.ht), ("mht", kin.mht)):
        j = column[name]
        value, low, high = values[events][:, None], search.low[:, j], search.high[:, j]
        above = value >= low if search.observables[j].discrete else value > low
        inside &= above & (value <= high)
    number = np.arange(tags.shape[1])[:, None]
    j = column["nb"]
    tagged = (number >= search.low[:, j]) & (number <= search.high[:, j])
    return inside * (tags @ tagged)


def tag_columns(search: Search) -> int:
    """How many numbers of b tags the bins tell apart.

    Raises
    ------
    InputError
        If the bins are not ranges in njet, nb, ht and mht.
    """
    names = [o.name for o in search.observables]
    if set(names) != _OBSERVABLES:
        raise InputError(
            f"the bins of search {search.name!r} are ranges in {', '.join(names)}; signals can be made for bins in "
            f"{', '.join(sorted(_OBSERVABLES))} only"
        )
    edges = np.concatenate([search.low, search.high])[:, names.index("nb")]
    return int(edges[np.isfinite(edges)].max()) + 2
