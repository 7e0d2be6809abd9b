"""Initial-state radiation: how many jets come from it, and the weight that corrects its rate.

CMS weighted its simulated signals by the number of jets that do not come from the decay chain, as measured in events
with top pairs. The mean weight is one, so that the cross section stays. Clauses GEN-40 and GEN-41 of
``specs/generation.md``.
"""

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.generate.detector import Jets, near
from superbin.generate.events import BoolArray, IntArray, Particles
from superbin.generate.selection import SelectionCard

__all__ = ["isr_weights", "radiated"]

_RESONANCES = (6, 23, 24, 25, 35, 36, 37)


def radiated(particles: Particles, jets: Jets, chosen: IntArray, card: SelectionCard) -> BoolArray:
    """Which of the chosen jets are not near a quark of a decay chain.

    A quark of the chain is one whose mother is a top quark, a W, Z or Higgs boson or a supersymmetric particle.
    """
    is_quark = (np.abs(particles.pdg) <= 5) & (particles.pdg != 0) & (particles.mother >= 0)
    at = np.flatnonzero(is_quark)
    mother = np.abs(particles.pdg[particles.mother[at]])
    at = at[np.isin(mother, _RESONANCES) | ((mother > 10**6) & (mother < 3 * 10**6))]
    return ~near(jets, chosen, particles, at, card.isr_dr)


def isr_weights(number: IntArray, card: SelectionCard) -> FloatArray:
    """Weight for a number of jets from radiation; one throughout if the card has none.

    The mean is not one yet: divide by the mean over all events of the point.
    """
    if not card.isr_weights:
        return np.ones(len(number))
    table = np.array(card.isr_weights)
    return table[np.minimum(number, len(table) - 1)]
