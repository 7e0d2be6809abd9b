"""Events that will hardly pass the cut on missing momentum are ended early, and the few that go on count more.

Most of the time of an event goes into soft scatterings, the last of its showers and its hadrons. When the showers have come
down to some scale, the momenta of what was produced, recoil included, are known, and with them what the invisible particles
will carry away. Below the cut an event goes on with a chance only, by Russian roulette, and then has the inverse of the chance
as its weight: sums over events keep their means whatever the chance is (clause GEN-16 of ``specs/generation.md``).
"""

import math
import random
from dataclasses import dataclass
from typing import Any

__all__ = ["Roulette", "boosted", "chance_to_go_on", "new_hook"]

_Vector = tuple[float, float, float, float]
_RESONANCE_SHOWER = 4


def chance_to_go_on(missing: float, cut: float, table: tuple[tuple[float, float], ...]) -> float:
    """The chance of an event to be made to its end.

    Parameters
    ----------
    missing : float
        Expected missing transverse momentum, GeV.
    cut : float
        What the selection asks for, GeV.
    table : tuple of (float, float)
        Below each fraction of the cut the chance is this; above the last it is one.
    """
    return next((chance for fraction, chance in table if missing < fraction * cut), 1.0)


def boosted(vector: _Vector, old: _Vector, new: _Vector) -> _Vector:
    """A momentum (px, py, pz, e) that belonged to something of momentum `old`, which now has `new`, of the same mass."""
    mass = math.sqrt(max(old[3] ** 2 - old[0] ** 2 - old[1] ** 2 - old[2] ** 2, 1e-12))
    energy = (old[3] * vector[3] - old[0] * vector[0] - old[1] * vector[1] - old[2] * vector[2]) / mass
    f = (vector[3] + energy) / (old[3] + mass)
    rest = [vector[i] - f * old[i] for i in range(3)]
    after = (new[3] * energy + sum(new[i] * rest[i] for i in range(3))) / mass
    g = (after + energy) / (new[3] + mass)
    return (rest[0] + g * new[0], rest[1] + g * new[1], rest[2] + g * new[2], after)


@dataclass(frozen=True, slots=True)
class Roulette:
    """What decides which events are ended early.

    Parameters
    ----------
    cut : float
        Least missing momentum of the selection, GeV.
    scale : float
        pT in GeV that the showers have come down to when the decision is made.
    table : tuple of (float, float)
        As in `chance_to_go_on`.
    invisible : tuple of int
        PDG numbers of what leaves no trace.
    seed : int
        Of its random numbers.
    """

    cut: float
    scale: float
    table: tuple[tuple[float, float], ...]
    invisible: tuple[int, ...]
    seed: int


def new_hook(pythia8: Any, rules: Roulette) -> Any:
    """A hook for Pythia that ends events early.

    Parameters
    ----------
    pythia8 : module
        Pythia.
    rules : Roulette
        What decides.

    Returns
    -------
    UserHooks
        With ``ended``, the number of events ended, and ``weights``, those of the others in order.
    """

    class Hook(_Game, pythia8.UserHooks):  # type: ignore[misc]
        def __init__(self) -> None:
            pythia8.UserHooks.__init__(self)
            _Game.__init__(self, rules)

    return Hook()


class _Game:
    """The methods by which Pythia asks; their names are Pythia's."""

    def __init__(self, rules: Roulette) -> None:
        self.rules = rules
        self.hidden = frozenset(rules.invisible)
        self.random = random.Random(rules.seed)
        self.ended = 0
        self.weights: list[float] = []
        self.weight = 1.0
        self.complete = False
        self.produced: dict[int, tuple[int, _Vector, _Vector]] = {}

    def canVetoProcessLevel(self) -> bool:  # noqa: N802
        return True

    def doVetoProcessLevel(self, process: Any) -> bool:  # noqa: N802
        """Keep what is produced, and what of it is invisible."""
        self.weight = 1.0
        self.complete = False
        produced: dict[int, tuple[int, _Vector]] = {}
        above: dict[int, int] = {}
        lost: dict[int, _Vector] = {}
        for i in range(5, process.size()):
            particle = process[i]
            above[i] = root = above.get(particle.mother1(), i)
            p = (particle.px(), particle.py(), particle.pz(), particle.e())
            if root == i:
                produced[i] = (particle.id(), p)
                lost[i] = (0.0, 0.0, 0.0, 0.0)
            if particle.status() > 0 and abs(particle.id()) in self.hidden:
                x = lost[root]
                lost[root] = (x[0] + p[0], x[1] + p[1], x[2] + p[2], x[3] + p[3])
        self.produced = {i: (pdg, p, lost[i]) for i, (pdg, p) in produced.items()}
        return False

    def canVetoPT(self) -> bool:  # noqa: N802
        return True

    def scaleVetoPT(self) -> float:  # noqa: N802
        return self.rules.scale

    def doVetoPT(self, position: int, event: Any) -> bool:  # noqa: N802
        """Decide, once for an event that is showered."""
        if position >= _RESONANCE_SHOWER:
            return False
        chance = chance_to_go_on(self._missing(event), self.rules.cut, self.rules.table)
        if chance < 1 and self.random.random() >= chance:
            self.ended += 1
            return True
        self.weight = 1 / chance
        return False

    def _missing(self, event: Any) -> float:
        """Transverse momentum that the invisible particles will have."""
        x = y = 0.0
        last = max(self.produced, default=0)
        names = {pdg for pdg, _, _ in self.produced.values()}
        for i in range(last, event.size()):
            particle = event[i]
            if particle.status() < 0 or particle.id() not in names:
                continue
            j = i
            while j > last:
                j = event[j].mother1()
            if j in self.produced:
                _, old, lost = self.produced[j]
                new = (particle.px(), particle.py(), particle.pz(), particle.e())
                moved = boosted(lost, old, new)
                x, y = x + moved[0], y + moved[1]
        return math.hypot(x, y)

    def canVetoAfterHadronization(self) -> bool:  # noqa: N802
        return True

    def doVetoAfterHadronization(self, _: Any) -> bool:  # noqa: N802
        """The event is complete; Pythia may hadronise it once more, and then says so again."""
        if self.complete:
            self.weights.pop()
        self.weights.append(self.weight)
        self.complete = True
        return False
