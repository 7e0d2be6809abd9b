"""Compare nine benchmark signals with the yields CMS published for its twelve aggregate regions of CMS-SUS-16-033, 35.9 fb^-1.

The yields are in the additional tables of that search (arXiv:1704.07781); here as transcribed for its recast in MadAnalysis 5. None of them
was used to choose a setting. Ratios are given for the constants of that search's bundle (its b tagging, and CMS's weights for the jets from
radiation), for the same without the weights, as the tables do not say whether their numbers have them, with either of the two efficiencies for b jets
whose mean it has, and with the
default b tagging, which is that of CMS-PAS-SUS-16-014. Writes benchmarks.json, from which statements.py takes what it says of packaged signals.

python -m validation.signals.benchmarks [--events 2500]
python -m validation.signals.benchmarks --table   # prints what REPORT.md shows of benchmarks.json, and makes no events
python -m validation.signals.benchmarks --grid    # sums the bins of the packaged grid, and makes no events
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from validation.signals.fastsim import make_search

from superbin.catalog import open_catalog
from superbin.domain.aggregate import sum_error
from superbin.domain.cross_sections import process_of
from superbin.domain.search import Search
from superbin.generate import Cards, DetectorCard, model_named, slha_text
from superbin.generate.chain import analyse
from superbin.generate.pythia import generate_events, process_lines, settings_lines
from superbin.generate.roulette import Roulette

RESULTS = Path(__file__).parent / "benchmarks.json"
LUMINOSITY = 35.9
REGIONS = (
    ("0 b, 2 j, 500, 500", 0, 2, 500, 500), ("0 b, 3 j, 1500, 750", 0, 3, 1500, 750),
    ("0 b, 5 j, 500, 500", 0, 5, 500, 500), ("0 b, 5 j, 1500, 750", 0, 5, 1500, 750),
    ("0 b, 9 j, 1500, 750", 0, 9, 1500, 750), ("2 b, 2 j, 500, 500", 2, 2, 500, 500),
    ("1 b, 3 j, 750, 750", 1, 3, 750, 750), ("3 b, 5 j, 500, 500", 3, 5, 500, 500),
    ("2 b, 5 j, 1500, 750", 2, 5, 1500, 750), ("3 b, 9 j, 750, 750", 3, 9, 750, 750),
    ("1 b, 7 j, 300, 300", 1, 7, 300, 300), ("1 b, 5 j, 750, 750", 1, 5, 750, 750),
)  # fmt: skip
"""Least Nb (exactly none in those with 0), Njet, HT and MHT in GeV."""
YIELDS = {
    ("T1bbbb", 1500, 100): (14.68, 5.15, 9.75, 3.74, 0.28, 137.5, 93.8, 52.78, 40.20, 2.69, 82.6, 71.4),
    ("T1bbbb", 1000, 900): (46.29, 2.19, 18.40, 1.49, 0.15, 138.7, 63.1, 34.77, 9.68, 1.10, 133.2, 43.9),
    ("T1tttt", 1500, 100): (3.58, 1.07, 3.55, 1.06, 0.59, 55.81, 30.14, 30.35, 17.99, 8.97, 96.32, 30.09),
    ("T1tttt", 1200, 800): (1.09, 0.11, 1.09, 0.11, 0.10, 15.47, 3.62, 8.20, 2.50, 1.47, 83.8, 3.62),
    ("T1qqqq", 1400, 100): (284.4, 88.9, 213.3, 69.9, 5.83, 11.20, 37.43, 1.05, 3.49, 0.12, 42.97, 30.67),
    ("T1qqqq", 1000, 800): (272.5, 18.79, 219.1, 17.51, 3.06, 9.42, 15.89, 0.81, 0.94, 0.07, 87.1, 14.07),
    ("T2bb", 650, 1): (168.1, 3.57, 32.40, 1.65, 0.08, 202.3, 47.23, 6.92, 2.31, 0.08, 57.0, 19.57),
    ("T2tt", 700, 50): (59.9, 1.38, 38.63, 1.08, 0.26, 95.3, 21.46, 11.34, 2.29, 0.30, 152.2, 15.66),
    ("T2qq", 1000, 100): (729.2, 58.4, 179.2, 28.0, 1.16, 11.61, 50.2, 0.56, 1.13, 0.04, 16.5, 21.82),
}
FLOWS = {
    ("T1bbbb", 1500, 100): (0.803, 0.780 / 0.803, 0.586 / 0.780),
    ("T1tttt", 1200, 800): (0.149, 0.053 / 0.149, 0.036 / 0.053),
}
"""CMS's cut flow, from the same tables: share of events left by MHT > 300 GeV, of these by all vetoes, of these by the angles."""
TAGGING = (
    "b_efficiency",
    "b_rise",
    "b_rise_scale",
    "b_fall_pt",
    "b_fall_power",
    "c_factor",
    "c_rate",
    "light_factor",
    "light_rate",
)
"""Constants of b tagging that the bundle changes."""
MULTIJETS = (
    "detector.b_efficiency=0.727", "detector.b_rise=0.443", "detector.b_rise_scale=23.5", "detector.b_fall_pt=654",
    "detector.b_fall_power=1.35",
)  # fmt: skip
TOPS = (
    "detector.b_efficiency=0.713", "detector.b_rise=0.3125", "detector.b_rise_scale=32.6", "detector.b_fall_pt=1691",
    "detector.b_fall_power=0.879",
)  # fmt: skip
"""The two efficiencies for b jets whose mean the bundle has: in simulated multijet events, and in top pairs; see its card."""


def search() -> Search:
    """The aggregate regions, which overlap."""
    low = [[float(njet), float(nb), float(ht), float(mht)] for _, nb, njet, ht, mht in REGIONS]
    high = [[np.inf, 0.0 if nb == 0 else np.inf, np.inf, np.inf] for _, nb, *_ in REGIONS]
    return make_search(low, high, combinable=np.zeros((len(low), len(low)), dtype=bool))


SHOWN = (0, 2, 5, 6, 7, 10)
"""Regions of REPORT.md."""


def table(entries: list[dict[str, Any]]) -> str:
    """The ratios of some regions as a Markdown table."""
    lines = ["| | " + " | ".join(REGIONS[i][0] for i in SHOWN) + " |", "|---" * (len(SHOWN) + 1) + "|"]
    for entry in entries:
        for label in (
            "ratios",
            "default b tagging",
            "no weights",
            "b jets as in multijets",
            "b jets as in top pairs",
        ):
            if label.startswith("b jets") and entry["masses"] != [1500, 100]:
                continue
            name = f"{entry['model']}({entry['masses'][0]}, {entry['masses'][1]}) {'**as packaged**' if label == 'ratios' else label}"
            cells = (f"{entry[label][i][0]:.2f} +- {entry[label][i][1]:.2f}" for i in SHOWN)
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def packaged() -> str:
    """The packaged grid of T1bbbb, its bins summed to the aggregate regions, over CMS's yields, as a Markdown table."""
    with open_catalog("sqlite://") as catalog:
        later = catalog.search("cms-sus-16-033")
        signals = {masses: catalog.signal(later, "T1bbbb", masses) for masses in ((1500, 100), (1000, 900))}
    njet, nb, ht, mht = (
        [o.name for o in later.observables].index(name) for name in ("njet", "nb", "ht", "mht")
    )
    lines = [
        "| least Nb, Njet, HT, MHT | " + " | ".join(s.label for s in signals.values()) + " |",
        "|---|---|---|",
    ]
    for i, (name, tags, jets, least_ht, least_mht) in enumerate(REGIONS):
        inside = later.low[:, njet] >= jets
        inside &= later.high[:, nb] == 0 if tags == 0 else later.low[:, nb] >= tags
        inside &= (later.low[:, ht] >= least_ht) & (later.low[:, mht] >= least_mht)
        chosen = np.flatnonzero(inside)
        cells = []
        for masses, signal in signals.items():
            cms = YIELDS["T1bbbb", *masses][i]
            total, error = float(signal.yields[chosen].sum()), sum_error(later, signal, chosen)
            cells.append(f"{total / cms:.2f} +- {error / cms:.2f}" if total > 0 else f"no event, CMS {cms:g}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=2500)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--grid", action="store_true")
    arguments = parser.parse_args()
    if arguments.grid:
        print(packaged())
        return
    if arguments.table:
        print(table(json.loads(RESULTS.read_text(encoding="utf-8"))))
        return
    events = arguments.events
    with open_catalog("sqlite://") as catalog:
        later = catalog.search("cms-sus-16-033")
        cards = Cards.of(later)
        sections = {
            process: catalog.cross_sections(process) for process in ("gluino", "squark", "sbottom", "stop")
        }
    default = {name: getattr(DetectorCard(), name) for name in TAGGING}
    choices = {
        "as packaged": cards,
        "no weights": cards.changed(["selection.isr_weights=[]"]),
        "b jets as in multijets": cards.changed(MULTIJETS),
        "b jets as in top pairs": cards.changed(TOPS),
        "default b tagging": replace(cards, detector=replace(cards.detector, **default)),
    }
    print(f"{'':<40}" + "".join(f"{name:>22}" for name, *_ in REGIONS))
    entries = []
    for (name, *masses), published in YIELDS.items():
        model, generator = model_named(name), cards.generator
        lines = settings_lines(generator, process_lines(model.mothers), 1 + int(sum(masses)))
        rules = Roulette(300.0, generator.roulette_scale, generator.roulette, cards.detector.invisible, 7)
        made = generate_events(
            lines, events=events, batch=250, slha=slha_text(model, *map(float, masses)), roulette=rules
        )
        batches = list(made)
        scale = 1000 * sections[process_of(name)].at(masses[0]).pb * LUMINOSITY
        found = {}
        for label, chosen in choices.items():
            result = analyse(batches, search(), cards=chosen, random=np.random.default_rng(3))
            ratio, error = (scale * values / np.array(published) for values in (result.values, result.errors))
            found[label] = [
                [round(float(r), 3), round(float(e), 3)] for r, e in zip(ratio, error, strict=True)
            ]
            cells = "".join(f"{f'{r:.2f} +- {e:.2f}':>22}" for r, e in found[label])
            flow = result.cut_flow
            if (name, *masses) in FLOWS and label in ("as packaged", "no weights"):
                steps = flow["MHT"], flow["tracks"] / flow["angles"], flow["angles"] / flow["MHT"]
                theirs = FLOWS[name, masses[0], masses[1]]
                print(
                    f"  {label}: MHT, vetoes, angles "
                    + ", ".join(f"{a:.3f} (CMS {b:.3f})" for a, b in zip(steps, theirs, strict=True))
                )
            print(f"{name}({masses[0]}, {masses[1]}) {label}".ljust(40) + cells, flush=True)
        entry = {
            "model": name,
            "masses": masses,
            "events": events,
            "cms": published,
            "ratios": found["as packaged"],
        }
        entries.append(entry | {label: found[label] for label in choices if label != "as packaged"})
    text = ",\n".join(" " + json.dumps(entry) for entry in entries)
    RESULTS.write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
