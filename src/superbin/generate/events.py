"""Simulated events as flat arrays: what every generator and reader hands to the detector.

`Particles` holds a batch of events. `pairs` joins two kinds of objects of the same event, without a loop over events.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from superbin._support.arrays import FloatArray

__all__ = ["BoolArray", "IntArray", "Particles", "delta_phi", "delta_r", "pairs", "pseudorapidity"]

IntArray = npt.NDArray[np.integer]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Particles:
    """All particles of a batch of events, one after the other.

    Parameters
    ----------
    offsets : ndarray of int, shape (n_events + 1,)
        Event `i` owns the particles ``offsets[i]`` to ``offsets[i + 1]``.
    pdg : ndarray of int, shape (n_particles,)
        PDG numbers.
    final : ndarray of bool, shape (n_particles,)
        Whether the particle is in the final state.
    mother : ndarray of int, shape (n_particles,)
        Position of the (first) mother in this batch; -1 for none.
    px, py, pz, e : ndarray of float, shape (n_particles,)
        Four-momentum in GeV.
    weight : ndarray of float, shape (n_events,)
        Weight of each event.
    generated : int, optional
        How many events of weight one these stand for, where the generator ended some early and gave the others a weight in
        return (`superbin.generate.roulette`); by default the events stand for themselves.
    """

    offsets: IntArray
    pdg: IntArray
    final: BoolArray
    mother: IntArray
    px: FloatArray
    py: FloatArray
    pz: FloatArray
    e: FloatArray
    weight: FloatArray
    generated: int | None = None

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.offsets) - 1

    @property
    def n_generated(self) -> int:
        """Number of events these stand for."""
        return self.n_events if self.generated is None else self.generated


def pairs(events: IntArray, offsets: IntArray) -> tuple[IntArray, IntArray]:
    """Every pair of an object with an object of a second kind in the same event.

    Parameters
    ----------
    events : ndarray of int, shape (n,)
        The event of each object of the first kind.
    offsets : ndarray of int, shape (n_events + 1,)
        Where each event's objects of the second kind begin and end.

    Returns
    -------
    first, second : ndarray of int, shape (n_pairs,)
        Positions, ordered by the first.
    """
    counts = offsets[events + 1] - offsets[events]
    first = np.repeat(np.arange(len(events)), counts)
    start = np.repeat(offsets[events] - (np.cumsum(counts) - counts), counts)
    return first, np.arange(len(first)) + start


def delta_phi(a: FloatArray, b: FloatArray) -> FloatArray:
    """Angle between two azimuths, from 0 to pi."""
    return np.abs((a - b + np.pi) % (2 * np.pi) - np.pi)


def delta_r(eta_a: FloatArray, phi_a: FloatArray, eta_b: FloatArray, phi_b: FloatArray) -> FloatArray:
    """Distance in pseudorapidity and azimuth."""
    return np.hypot(eta_a - eta_b, delta_phi(phi_a, phi_b))


def pseudorapidity(px: FloatArray, py: FloatArray, pz: FloatArray) -> FloatArray:
    """Pseudorapidity; a particle along the beam gets a large finite one."""
    return np.arcsinh(pz / np.maximum(np.hypot(px, py), 1e-12))
