"""How many central jets does pileup add to an event? An estimate from QCD jets in slices of pT.

CMS removes charged particles of other vertices before it clusters jets, so a jet of another collision counts only with its neutral part. This takes QCD jets at
13 TeV, clusters all their visible particles and, separately, the neutral ones alone, and counts jets with pT > 30 GeV and |eta| < 2.4. The number per event is
that per collision (cross section times jets over the inelastic cross section) times the mean number of collisions. That neutral particles of soft collisions add
to a jet is corrected by CMS on average and not part of this.

python -m validation.signals.pileup [--events 1000]
"""

import argparse

import fastjet
import numpy as np
import pythia8mc

SLICES = ((25, 40), (40, 60), (60, 100), (100, 200), (200, 0))
"""Transverse momentum of the hard process in GeV; 0 is no upper end."""
INELASTIC_MB = 80.0
COLLISIONS = {"2015": 13.0, "2016": 23.0}
"""Mean number of inelastic collisions in a crossing."""
PT, ETA = 30.0, 2.4


def jets(px: np.ndarray, py: np.ndarray, pz: np.ndarray, e: np.ndarray) -> int:
    """Count central jets, anti-kT with R = 0.4."""
    found = fastjet.ClusterSequence(
        [fastjet.PseudoJet(*map(float, four)) for four in zip(px, py, pz, e, strict=True)],
        fastjet.JetDefinition(fastjet.antikt_algorithm, 0.4),
    ).inclusive_jets(PT)
    return sum(abs(jet.eta()) < ETA for jet in found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1000)
    events = parser.parse_args().events
    rates, errors = np.zeros(2), np.zeros(2)
    for low, high in SLICES:
        pythia = pythia8mc.Pythia("", False)
        lines = (
            "Print:quiet = on",
            "Beams:eCM = 13000",
            "HardQCD:all = on",
            "PartonLevel:MPI = off",
            "Random:setSeed = on",
        )
        for line in (*lines, f"PhaseSpace:pTHatMin = {low}", f"PhaseSpace:pTHatMax = {high or -1}"):
            pythia.readString(line)
        pythia.init()
        counts = np.zeros((events, 2))
        for i in range(events):
            while not pythia.next():
                pass
            seen = [p for p in pythia.event if p.isFinal() and p.isVisible() and abs(p.eta()) < 5]
            four = np.array([(p.px(), p.py(), p.pz(), p.e()) for p in seen]).T
            neutral = np.array([p.charge() == 0 for p in seen])
            counts[i] = jets(*four), jets(*four[:, neutral])
        scale = pythia.infoPython().sigmaGen() / INELASTIC_MB
        rates += scale * counts.mean(axis=0)
        errors = np.hypot(errors, scale * counts.std(axis=0) / np.sqrt(events))
    for year, number in COLLISIONS.items():
        for i, what in enumerate(("with all particles", "neutral particles alone")):
            print(f"{year}: {number * rates[i]:.2g} +- {number * errors[i]:.1g} jets an event, {what}")


if __name__ == "__main__":
    main()
