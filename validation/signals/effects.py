"""What each effect does to T1bbbb in the bins that can be compared with CMS's fast simulation, one at a time.

Points are in even rows of the table that `fastsim.py` names. Detector and selection are varied on the same events with the same random
numbers, and errors are those of the ratio, from ten parts of the events. What is varied in the generator needs other events: its errors
are those of both. The cost is CPU time, everything included, relative to the first line's.

python -m validation.signals.effects [--events 1500]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from validation.signals.fastsim import search

from superbin.generate import Cards, DetectorCard, GeneratorSettings, SelectionCard, model_named, slha_text
from superbin.generate.chain import analyse
from superbin.generate.detector import visible
from superbin.generate.events import Particles
from superbin.generate.pythia import generate_events, process_lines, settings_lines

Array = npt.NDArray[np.float64]
POINTS = ((1200, 100), (1400, 400), (1000, 600), (1200, 700))
GENERATOR: tuple[tuple[str, list[str]], ...] = (
    ("as chosen", []),
    ("tune: Monash 2013", ["generator.tune=14"]),
    ("multiparton interactions above 2 GeV", ["generator.multiparton_pt_min=2"]),
    ("multiparton interactions above 0.2 GeV", ["generator.multiparton_pt_min=0.2"]),
    ("no multiparton interactions", ["generator.multiparton=false"]),
    ("radiation up to the limit, undamped", ['generator.extra=["SpaceShower:pTdampMatch = 0"]']),
    ("radiation of the LSP's recoil", ["generator.recoil_strategy=0"]),
)
ICHEP = "[1, 0.882, 0.792, 0.702, 0.648, 0.601, 0.515]"
DETECTOR = (
    ("jet energy scale +1 sigma", ["detector.jet_scale_shift=1"]),
    ("jet resolution, noise +20 %", ["detector.smear_noise=4.2"]),
    ("jet resolution, stochastic +20 %", ["detector.smear_stochastic=1.08"]),
    ("b efficiency +1 sigma", ["detector.b_shift=1"]),
    ("mistags +1 sigma", ["detector.mistag_shift=1"]),
    ("no angles", ["selection.angles=[]"]),
    ("no veto", [f"selection.{kind}_efficiency=0" for kind in ("electron", "muon", "track")]),
    (
        "every lepton and track is seen",
        [f"selection.{kind}_efficiency=1" for kind in ("electron", "muon", "track")],
    ),
    ("neutral particles isolate too", ["selection.neutral_isolation=1"]),
    ("no trigger, no jet identification", ["selection.trigger=[]", "selection.jet_identification=1"]),
    ("CMS's weights for radiation of 2016", [f"selection.isr_weights={ICHEP}"]),
)
PARTS: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("total", lambda x: x.sum(axis=-1)),
    ("7-8", lambda x: x[..., :12].sum(axis=-1)),
    (">= 9", lambda x: x[..., 12:].sum(axis=-1)),
    *((f"Nb {b}", lambda x, b=b: x.reshape(*x.shape[:-1], 2, 4, 3)[..., b, :].sum(axis=(-1, -2))) for b in range(4)),
)  # fmt: skip
SPLIT = 10


def base() -> Cards:
    """The cards of the comparison with the fast simulation."""
    return Cards(
        GeneratorSettings(roulette=()),
        selection=SelectionCard(min_njet=7, min_ht=500, min_mht=500, trigger=((500, 0.9833),)),
    )


def events(cards: Cards, masses: tuple[float, float], number: int) -> tuple[list[Particles], float]:
    """Events in parts, and the CPU time they took."""
    model = model_named("T1bbbb")
    lines = settings_lines(cards.generator, process_lines(model.mothers), 1 + int(sum(masses)))
    start = time.process_time()
    made = list(generate_events(lines, events=number, batch=number // SPLIT, slha=slha_text(model, *masses)))
    return made, time.process_time() - start


def yields(batches: list[Particles], cards: Cards) -> Array:
    """Efficiencies of every part."""
    return np.array(
        [
            analyse([batch], search(), cards=cards, random=np.random.default_rng(i)).values
            for i, batch in enumerate(batches)
        ]
    )


def line(name: str, mine: Array, reference: Array, *, paired: bool, cost: float) -> None:
    """Ratios to the reference; arrays of shape (points, parts, bins)."""
    cells = []
    for _, part in PARTS:
        a, b = part(mine).sum(axis=0), part(reference).sum(axis=0)
        ratio = a.sum() / b.sum()
        # The spread of the parts, with the correlation if both hold the same events.
        spread = (a - ratio * b if paired else np.hypot(a - a.mean(), ratio * (b - b.mean()))) / b.mean()
        cells.append(f"{ratio:.3f}+-{np.sqrt((spread**2).sum() / (SPLIT - 1) / SPLIT):.3f}")
    print(f"{name:<40}" + "".join(f"{cell:>15}" for cell in cells) + f"{cost:>7.2f}", flush=True)


def density() -> None:
    """Print the pT per unit of area that particles below 5 GeV carry, in events of two soft quarks."""
    model = model_named("T2qq")
    for edge in (0.2, 2.0, 4.0):
        settings = GeneratorSettings(multiparton_pt_min=edge)
        lines = settings_lines(settings, process_lines(model.mothers), 5)
        sums = []
        for batch in generate_events(lines, events=500, batch=250, slha=slha_text(model, 800, 790)):
            pt = np.hypot(batch.px, batch.py)
            chosen = visible(batch, DetectorCard(visible_eta=2.4)) & (pt < 5)
            event = np.repeat(np.arange(batch.n_events), np.diff(batch.offsets))
            sums.append(np.bincount(event[chosen], pt[chosen], minlength=batch.n_events))
        all_sums = np.concatenate(sums) / (2 * 2.4 * 2 * np.pi)
        error = all_sums.std() / np.sqrt(len(all_sums))
        print(f"interactions above {edge} GeV: {all_sums.mean():.2f} +- {error:.2f} GeV per unit of area")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1500)
    number = parser.parse_args().events
    print(f"{'':<40}" + "".join(f"{name:>15}" for name, _ in PARTS) + f"{'cost':>7}")
    reference, first = np.zeros(0), 1.0
    for name, changes in GENERATOR:
        cards = base().changed(changes)
        made = [events(cards, masses, number) for masses in POINTS]
        start = time.process_time()
        values = np.array([yields(batches, cards) for batches, _ in made])
        seconds = sum(taken for _, taken in made)
        total = seconds + time.process_time() - start
        if not changes:
            reference, first = values, total
        line(name, values, reference, paired=not changes, cost=total / first)
        if not changes:
            for other, varied in DETECTOR:
                start = time.process_time()
                values = np.array([yields(batches, cards.changed(varied)) for batches, _ in made])
                line(
                    other,
                    values,
                    reference,
                    paired=True,
                    cost=(seconds + time.process_time() - start) / first,
                )


if __name__ == "__main__":
    main()
