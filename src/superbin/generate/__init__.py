"""Signals from simulation: from a model and its masses to the efficiency of every bin of a search.

The chain, one module each:

- `slha`: the simplified models and the spectrum that describes one of them; `spectrum`: those that users bring;
- `pythia`: events from Pythia 8, which `roulette` ends early where they will not be selected; `readers`: events from HepMC and Les Houches files; `events`: how both are held;
- `detector`: anti-kT jets, their smearing and their flavours; `selection`: the cuts and vetoes of a search and the
  chance of each bin; `isr`: weights for initial-state radiation; `cards`: every constant of these, changed by name, with
  `domains`, what each may be; `streams`: what compiled libraries print;
- `gate`: what no event may be before it is analysed, with `lhe`, which reads Les Houches files for it;
- `chain`: one point, from all of the above; `campaign`: a plane of points in parallel.

Nothing is written here: points are values, `superbin.io.grids` has their files. Importing this package imports neither
Pythia nor FastJet; they come with the extra ``superbin[mc]`` when a point is made. Specified in
``specs/generation.md``, measured in ``validation/signals``; what may be claimed stands in
``docs/explanation/signals.md``.
"""

from superbin.generate.campaign import (
    Campaign,
    Job,
    Progress,
    coarse_to_fine,
    events_for,
    run_campaign,
    standard_plane,
)
from superbin.generate.cards import Cards
from superbin.generate.chain import generate_from_events, generate_point, generate_spectrum
from superbin.generate.detector import DetectorCard
from superbin.generate.gate import Allowances
from superbin.generate.pythia import GeneratorSettings
from superbin.generate.selection import SelectionCard
from superbin.generate.slha import MODELS, Model, masses, model_named, slha_text

__all__ = [
    "MODELS",
    "Allowances",
    "Campaign",
    "Cards",
    "DetectorCard",
    "GeneratorSettings",
    "Job",
    "Model",
    "Progress",
    "SelectionCard",
    "coarse_to_fine",
    "events_for",
    "generate_from_events",
    "generate_point",
    "generate_spectrum",
    "masses",
    "model_named",
    "run_campaign",
    "slha_text",
    "standard_plane",
]
