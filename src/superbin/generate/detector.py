"""A parametric detector: jets, their smearing and flavours, and the isolation of leptons and tracks.

`DetectorCard` holds every constant. Jets are anti-kT [1]_ jets of FastJet [2]_ (extra ``superbin[mc]``). The constants
describe CMS at 13 TeV in 2016; the efficiency for b jets and the scale of the light ones were fitted to the one public
histogram of the 160-bin search, the others are round numbers read off CMS's public performance plots. Clauses GEN-20 to
GEN-23 of ``specs/generation.md``.

References
----------
.. [1] M. Cacciari, G. P. Salam, G. Soyez, JHEP 04 (2008) 063, arXiv:0802.1189
.. [2] M. Cacciari, G. P. Salam, G. Soyez, Eur. Phys. J. C 72 (2012) 1896, arXiv:1111.6097
"""

from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
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
from superbin.generate.events import BoolArray, IntArray, Particles, delta_r, pairs, pseudorapidity
from superbin.generate.pythia import optional_imports

__all__ = ["SOFTEST_JET", "DetectorCard", "Jets", "cluster", "smear", "tag_probability"]

SOFTEST_JET = 10.0
"""Softer jets are dropped before smearing, which hardly ever lifts them over 30; GeV."""

_INVISIBLE = (12, 14, 16, 1000012, 1000014, 1000016, 1000022, 1000039)
_B_HADRON, _C_HADRON = 5, 4


@dataclass(frozen=True, slots=True)
class DetectorCard:
    """The constants of the detector.

    Parameters
    ----------
    jet_radius : float
        Anti-kT radius; 0.4 in CMS since 2015.
    visible_eta : float
        Particles beyond are not seen; the end of the forward calorimeter.
    invisible : tuple of int
        PDG numbers of what leaves no trace: neutrinos, sneutrinos, the lightest neutralino, the gravitino.
    smear_noise, smear_stochastic, smear_constant : float
        sigma/pT = noise/pT (+) stochastic/sqrt(pT) (+) constant, added in quadrature, pT in GeV: the form of the
        CMS jet resolution (arXiv:1607.03663), with rounded constants.
    flavour_pt, flavour_dr : float
        A jet is a b (else c) jet if a weakly decaying hadron with that quark and above this pT lies this near.
    b_efficiency, b_rise, b_rise_pt, b_rise_scale, b_fall_pt, b_fall_power : float
        Efficiency of the medium working point: b_efficiency (1 - b_rise exp(-(pT - b_rise_pt)/b_rise_scale)) /
        (1 + (pT/b_fall_pt)^b_fall_power); 0.44 at 30, 0.68 at 100-200, 0.34 at 500 and 0.07 at 800 GeV. Fitted.
    c_factor : float
        Scales `c_rate`. Fitted.
    c_rate, light_rate : tuple of (float, float)
        Mistag rates at given pT, interpolated in the logarithm of pT and constant beyond, from the CMS tagger's
        performance (arXiv:1712.07158).
    light_factor : float
        Scales `light_rate`. Fitted.
    jet_scale_error, b_error : tuple of (float, float)
        One standard deviation of the jet energy scale (arXiv:1607.03663) and of the efficiency for b jets
        (arXiv:1712.07158), relative, at given pT, rounded; that of c jets is twice the latter.
    mistag_error : float
        The same of the light rate.
    jet_scale_shift, b_shift, mistag_shift : float
        By how many of these standard deviations the detector differs: 0, and 1 or -1 for the variations.
    """

    jet_radius: float = 0.4
    visible_eta: float = 5.0
    invisible: tuple[int, ...] = _INVISIBLE
    smear_noise: float = 3.5
    smear_stochastic: float = 0.9
    smear_constant: float = 0.04
    flavour_pt: float = 5.0
    flavour_dr: float = 0.4
    b_efficiency: float = 0.69
    b_rise: float = 0.6
    b_rise_pt: float = 20.0
    b_rise_scale: float = 20.0
    b_fall_pt: float = 494.0
    b_fall_power: float = 4.5
    c_factor: float = 0.55
    c_rate: tuple[tuple[float, float], ...] = ((30.0, 0.10), (100.0, 0.12), (300.0, 0.14))
    light_factor: float = 1.43
    light_rate: tuple[tuple[float, float], ...] = (
        (30.0, 0.009),
        (100.0, 0.011),
        (300.0, 0.018),
        (800.0, 0.035),
    )
    jet_scale_error: tuple[tuple[float, float], ...] = ((30.0, 0.025), (60.0, 0.015), (150.0, 0.01))
    b_error: tuple[tuple[float, float], ...] = ((30.0, 0.03), (100.0, 0.02), (300.0, 0.03), (700.0, 0.08))
    mistag_error: float = 0.15
    jet_scale_shift: float = 0.0
    b_shift: float = 0.0
    mistag_shift: float = 0.0

    def __post_init__(self) -> None:
        check_domains("detector", self, _DOMAINS)
        for kind in ("c", "light"):
            factor, table = getattr(self, f"{kind}_factor"), getattr(self, f"{kind}_rate")
            largest = max(rate for _, rate in table)
            if factor * largest > 1:
                raise InputError(
                    f"detector.{kind}_factor is {factor:g} and the largest detector.{kind}_rate is {largest:g}; their "
                    "product is a chance and must be at most 1"
                )


_SHIFT = number("a number of standard deviations from -5 to 5", lambda x: -5 <= x <= 5)
_DOMAINS: dict[str, Domain] = {
    "jet_radius": number("a radius above 0 and at most pi", lambda x: 0 < x <= np.pi),
    "visible_eta": ETA,
    "invisible": each(whole(1), "a list of PDG numbers above 0"),
    "smear_noise": NOT_NEGATIVE,
    "smear_stochastic": NOT_NEGATIVE,
    "smear_constant": NOT_NEGATIVE,
    "flavour_pt": NOT_NEGATIVE,
    "flavour_dr": POSITIVE,
    "b_efficiency": FRACTION,
    "b_rise": FRACTION,
    "b_rise_pt": NOT_NEGATIVE,
    "b_rise_scale": POSITIVE,
    "b_fall_pt": POSITIVE,
    "b_fall_power": NOT_NEGATIVE,
    "c_factor": NOT_NEGATIVE,
    "c_rate": RATES,
    "light_factor": NOT_NEGATIVE,
    "light_rate": RATES,
    "jet_scale_error": RATES,
    "b_error": RATES,
    "mistag_error": FRACTION,
    "jet_scale_shift": _SHIFT,
    "b_shift": _SHIFT,
    "mistag_shift": _SHIFT,
}


@dataclass(frozen=True, slots=True, eq=False)
class Jets:
    """The jets of a batch of events, one after the other, by falling pT in each event.

    Parameters
    ----------
    offsets : ndarray of int, shape (n_events + 1,)
        Event `i` owns the jets ``offsets[i]`` to ``offsets[i + 1]``.
    event : ndarray of int, shape (n_jets,)
        The event of each jet.
    pt, eta, phi : ndarray of float, shape (n_jets,)
        Transverse momentum in GeV, pseudorapidity, azimuth.
    """

    offsets: IntArray
    event: IntArray
    pt: FloatArray
    eta: FloatArray
    phi: FloatArray


def visible(particles: Particles, card: DetectorCard) -> BoolArray:
    """Which particles the detector sees."""
    seen: BoolArray = particles.final & ~np.isin(np.abs(particles.pdg), card.invisible)
    # |eta| < x is |pz| < pT sinh(x): cheaper than the pseudorapidity of everything.
    pt = np.hypot(particles.px, particles.py)
    seen &= np.abs(particles.pz) < pt * np.sinh(card.visible_eta)
    return seen


def cluster(particles: Particles, seen: BoolArray, card: DetectorCard) -> Jets:
    """Anti-kT jets of what is seen, from `SOFTEST_JET` on, before smearing.

    Parameters
    ----------
    particles : Particles
        The events.
    seen : ndarray of bool, shape (n_particles,)
        From `visible`.
    card : DetectorCard
        For the radius.
    """
    with optional_imports():
        import awkward as ak
        import fastjet
        from fastjet import _swig
    # FastJet greets on stdout, which belongs to results. The manual has this way to keep it still; of the two faces
    # of the package only the one of plain FastJet has it.
    _swig.ClusterSequence.set_fastjet_banner_stream(None)
    chosen = np.flatnonzero(seen)
    counts = np.diff(np.searchsorted(chosen, particles.offsets))
    columns = {"px": particles.px, "py": particles.py, "pz": particles.pz, "E": particles.e}
    flat = ak.zip({name: values[chosen] for name, values in columns.items()}, with_name="Momentum4D")
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, card.jet_radius)
    found = fastjet.ClusterSequence(ak.unflatten(flat, counts), definition).inclusive_jets(min_pt=SOFTEST_JET)
    per_event = ak.to_numpy(ak.num(found))
    px, py, pz = (ak.to_numpy(ak.flatten(found[name])) for name in ("px", "py", "pz"))
    event = np.repeat(np.arange(particles.n_events), per_event)
    return _sorted(
        event, particles.n_events, np.hypot(px, py), pseudorapidity(px, py, pz), np.arctan2(py, px)
    )


def smear(jets: Jets, card: DetectorCard, deviates: FloatArray) -> tuple[Jets, IntArray]:
    """Jets with the detector's scale and resolution in pT; directions are exact.

    Parameters
    ----------
    jets : Jets
        From `cluster`.
    card : DetectorCard
        Scale and resolution.
    deviates : ndarray of float, shape (n_jets,)
        Standard normal random numbers, the same ones for variations of one detector.

    Returns
    -------
    smeared : Jets
        Sorted by the new pT.
    origin : ndarray of int, shape (n_jets,)
        Where each was in `jets`.
    """
    pt = jets.pt
    width = np.sqrt((card.smear_noise / pt) ** 2 + card.smear_stochastic**2 / pt + card.smear_constant**2)
    smeared = pt * np.maximum(1 + width * deviates, 0.01)
    if card.jet_scale_shift:
        smeared = smeared * (1 + card.jet_scale_shift * _rate(pt, card.jet_scale_error))
    order = np.lexsort((-smeared, jets.event))
    return Jets(jets.offsets, jets.event[order], smeared[order], jets.eta[order], jets.phi[order]), order


def _sorted(event: IntArray, n_events: int, pt: FloatArray, eta: FloatArray, phi: FloatArray) -> Jets:
    order = np.lexsort((-pt, event))
    offsets = np.searchsorted(event[order], np.arange(n_events + 1))
    return Jets(offsets, event[order], pt[order], eta[order], phi[order])


def tag_probability(pt: FloatArray, flavour: IntArray, card: DetectorCard) -> FloatArray:
    """Probability that a jet is tagged as a b jet.

    Parameters
    ----------
    pt : ndarray of float, shape (n_jets,)
        GeV, after smearing.
    flavour : ndarray of int, shape (n_jets,)
        5, 4 or 0, from `flavours`.
    card : DetectorCard
        The efficiencies.
    """
    rise = 1 - card.b_rise * np.exp(-(pt - card.b_rise_pt) / card.b_rise_scale)
    b = card.b_efficiency * rise / (1 + (pt / card.b_fall_pt) ** card.b_fall_power)
    c = card.c_factor * _rate(pt, card.c_rate)
    light = card.light_factor * _rate(pt, card.light_rate) * (1 + card.mistag_shift * card.mistag_error)
    if card.b_shift:
        shift = card.b_shift * _rate(pt, card.b_error)
        b, c = b * (1 + shift), c * (1 + 2 * shift)
    chance: FloatArray = np.select([flavour == _B_HADRON, flavour == _C_HADRON], [b, c], light)
    return np.clip(chance, 0, 1)


def _rate(pt: FloatArray, table: tuple[tuple[float, float], ...]) -> FloatArray:
    at, rate = np.array(table).T
    return np.asarray(np.interp(np.log(pt), np.log(at), rate))


def flavours(jets: Jets, particles: Particles, chosen: IntArray, card: DetectorCard) -> IntArray:
    """Flavour of some jets: 5 near a B hadron that decays weakly, else 4 near such a D hadron, else 0.

    Parameters
    ----------
    jets : Jets
        All jets.
    particles : Particles
        The events.
    chosen : ndarray of int, shape (n,)
        Positions of the jets asked for.
    card : DetectorCard
        For the distance and the pT of the hadron.

    Returns
    -------
    ndarray of int, shape (n,)
        The flavour.
    """
    flavour = np.zeros(len(chosen), dtype=np.int64)
    for quark in (_C_HADRON, _B_HADRON):
        hadrons = _weakly_decaying(particles, quark)
        hadrons = hadrons[np.hypot(particles.px[hadrons], particles.py[hadrons]) > card.flavour_pt]
        flavour[near(jets, chosen, particles, hadrons, card.flavour_dr)] = quark
    return flavour


def near(jets: Jets, chosen: IntArray, particles: Particles, targets: IntArray, radius: float) -> BoolArray:
    """Which of the chosen jets have one of the target particles nearer than `radius`."""
    px, py, pz = (values[targets] for values in (particles.px, particles.py, particles.pz))
    eta, phi = pseudorapidity(px, py, pz), np.arctan2(py, px)
    first, second = pairs(jets.event[chosen], np.searchsorted(targets, particles.offsets))
    close = delta_r(jets.eta[chosen][first], jets.phi[chosen][first], eta[second], phi[second]) < radius
    found: BoolArray = np.bincount(first, weights=close, minlength=len(chosen)) > 0
    return found


def _weakly_decaying(particles: Particles, quark: int) -> IntArray:
    """Positions of the hadrons with the quark whose decay products have none with it."""
    size = np.abs(particles.pdg)
    thousands, hundreds, tens = size // 1000 % 10, size // 100 % 10, size // 10 % 10
    # The heaviest quark is the first digit of three (of two in mesons). Without a third it is a diquark or no hadron,
    # a meson of a quark and its own antiquark does not decay weakly, and nuclei have ten digits.
    heaviest = np.where(thousands > 0, thousands, hundreds)
    onium = (thousands == 0) & (hundreds == tens)
    at = np.flatnonzero((heaviest == quark) & (hundreds > 0) & (tens > 0) & ~onium & (size < 10**7))
    mothers = particles.mother[at]
    decays_on = np.zeros(len(size), dtype=bool)
    decays_on[mothers[mothers >= 0]] = True
    return at[~decays_on[at]]
