"""CPU time per event of the generator's settings, each against the one before, in alternation on a machine that may be busy.

The last column is what counts: the inverse of CPU time times the squared error of the total, relative to the first setting's.
With --share, instead: how much of the time Pythia takes by itself, with the settings of before, which bounds what the rest can gain.

python validation/signals/speed.py [--events 800] [--rounds 3] [--share]
"""

import argparse
import time

import numpy as np

from superbin.catalog import open_catalog
from superbin.domain.search import Search
from superbin.generate import Cards, generate_point, model_named, slha_text
from superbin.generate.pythia import generate_events, process_lines, settings_lines

POINTS = (("T1bbbb", 1750, 1), ("T1bbbb", 1500, 800), ("T1bbbb", 1500, 1400), ("T2bb", 600, 500))
SETTINGS: tuple[tuple[str, list[str]], ...] = (
    (
        "as before",
        ["generator.multiparton_pt_min=2", "generator.tune=14", "generator.roulette=[]"],
    ),
    ("CMS's tune", ["generator.multiparton_pt_min=2", "generator.roulette=[]"]),
    ("and the roulette", ["generator.multiparton_pt_min=2"]),
    ("and interactions above 4 GeV", []),
)


def share(search: Search, events: int, rounds: int) -> None:
    """Print the CPU time of Pythia alone over that of the whole chain, with the settings of before, in alternation."""
    cards = Cards.of(search).changed(SETTINGS[0][1])
    for name, *masses in POINTS:
        model = model_named(name)
        found = []
        for i in range(rounds):
            start = time.process_time()
            generate_point(name, masses, search, events=events, seed=i, cards=cards)
            whole = time.process_time() - start
            lines = settings_lines(cards.generator, process_lines(model.mothers), 1 + i)
            start = time.process_time()
            for _ in generate_events(
                lines, events=events, batch=cards.generator.batch, slha=slha_text(model, *masses)
            ):
                pass
            found.append((time.process_time() - start) / whole)
        error = np.std(found, ddof=1) / np.sqrt(rounds) if rounds > 1 else float("nan")
        mean = float(np.mean(found))
        print(
            f"{name}({masses[0]}, {masses[1]}): Pythia alone takes {mean:.2f} +- {error:.2f} of the time; "
            f"without anything else there would be {1 / mean:.2f} times as many events"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", action="store_true")
    arguments = parser.parse_args()
    with open_catalog("sqlite://") as catalog:
        search = catalog.search("cms-pas-sus-16-014")
    if arguments.share:
        share(search, arguments.events, arguments.rounds)
        return
    for model, *masses in POINTS:
        seconds = np.zeros((arguments.rounds, len(SETTINGS)))
        errors = np.zeros_like(seconds)
        for i in range(arguments.rounds):
            for j, (_, changes) in enumerate(SETTINGS):
                cards = Cards.of(search).changed(changes)
                start = time.process_time()
                point = generate_point(model, masses, search, events=arguments.events, seed=i, cards=cards)
                seconds[i, j] = time.process_time() - start
                errors[i, j] = point.settings["statistics"]["total_error"]
        print(f"{model}({masses[0]}, {masses[1]})")
        for j, (name, _) in enumerate(SETTINGS):
            ratios = seconds[:, 0] / seconds[:, j]
            worth = (seconds * errors**2)[:, 0].mean() / (seconds * errors**2)[:, j].mean()
            error = ratios.std(ddof=1) / np.sqrt(len(ratios)) if len(ratios) > 1 else float("nan")
            print(
                f"  {name:<30}{arguments.events / seconds[:, j].mean():>5.0f} events/s of CPU   "
                f"{ratios.mean():.2f} +- {error:.2f} times as many, {worth:.2f} times the statistics"
            )


if __name__ == "__main__":
    main()
