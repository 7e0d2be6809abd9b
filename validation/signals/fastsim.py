"""Compare T1bbbb with CMS's own fast simulation of the 2015 search (CMS-SUS-15-002), where its 72 bins can be compared.

The collaboration's numbers, expected events at 3 fb^-1 for 223 points, are public in github.com/kpedro88/SCRA2BLE
(histograms_2.1fb/fastsimSignalScan) and not part of superbin; give them as a table with the columns m_mother, m_lsp, y0 to y71 and
e0 to e71. CMS corrected them for the trigger (0.9833 above 500 GeV) and jet identification (0.99), and not for initial-state
radiation: the weights of that year's analysis code (github.com/kpedro88/Analysis, branch SUSY2015) are one.

Settings are chosen with the points in even rows of the table, counted from 0, and judged by those in odd ones.

python validation/signals/fastsim.py make odd.json --rows odd --table T1bbbb.csv      # hours; goes on where it stopped
python validation/signals/fastsim.py make even.json --rows even --table T1bbbb.csv
python validation/signals/fastsim.py compare odd.json --table T1bbbb.csv -o fastsim.json

The last command prints the ratios and writes them to fastsim.json, from which statements.py takes what it says of packaged signals.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from superbin.catalog import open_catalog
from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.generate import Cards, GeneratorSettings, SelectionCard, generate_point

Array = npt.NDArray[np.float64]
LUMINOSITY = 3.0
NJET = ((7, 8), (9, np.inf))
NB = ((0, 0), (1, 1), (2, 2), (3, np.inf))
BOXES = (((500, 1200), (500, 750)), ((1200, np.inf), (500, 750)), ((800, np.inf), (750, np.inf)))
"""HT and MHT in GeV: boxes 3 to 5 of the search's six."""
REGIONS = (
    ("mass difference > 600", 600, np.inf, 5000),
    ("300 to 600", 300, 600, 8000),
    ("150 to 300", 150, 300, 12000),
    ("< 150", 0, 150, 16000),
)
"""Least (excluded) and largest (included) mass difference in GeV, and events per point."""
POINTS = 5
"""Of each region, spread evenly over its rows."""


def search() -> Search:
    """The bins of seven jets or more and MHT above 500 GeV."""
    low: list[list[float]] = []
    high: list[list[float]] = []
    for njet in NJET:
        for nb in NB:
            for ht, mht in BOXES:
                low.append([njet[0], nb[0], ht[0], mht[0]])
                high.append([njet[1], nb[1], ht[1], mht[1]])
    return make_search(low, high)


def make_search(
    low: list[list[float]], high: list[list[float]], combinable: npt.NDArray[np.bool_] | None = None
) -> Search:
    """A search without background; only its bins matter here."""
    zero = np.zeros(len(low))
    return Search(
        name="cms-sus-15-002",
        title="CMS-SUS-15-002, part of its bins",
        reference="arXiv:1602.06581",
        luminosity_fb=LUMINOSITY,
        sqrt_s_tev=13.0,
        observables=tuple(
            Observable(name, name, discrete=name in ("njet", "nb"), unit="")
            for name in ("njet", "nb", "ht", "mht")
        ),
        low=np.array(low, dtype=float),
        high=np.array(high, dtype=float),
        processes=(Process("none", "none", Estimate(zero + 1, zero, zero, zero, zero)),),
        observed=zero,
        combinable=combinable,
    )


def table(path: Path) -> tuple[Array, Array, Array]:
    """Masses, and events with errors of the bins that are compared."""
    rows = np.loadtxt(path, delimiter=",", comments=("#", "m_mother"))
    chosen = [24 * njet + 6 * nb + box for njet in (1, 2) for nb in range(4) for box in (3, 4, 5)]
    return rows[:, :2], rows[:, 2:74][:, chosen], rows[:, 74:][:, chosen]


def plan(masses: Array, parity: int) -> list[tuple[int, int]]:
    """Rows to simulate, and events."""
    rows = np.arange(parity, len(masses), 2)
    difference = (masses[:, 0] - masses[:, 1])[rows]
    chosen = []
    for _, low, high, events in REGIONS:
        inside = rows[(difference > low) & (difference <= high)]
        picked = inside[np.unique(np.linspace(0, len(inside) - 1, POINTS).round().astype(int))]
        chosen += [(int(row), events) for row in picked]
    return chosen


def make(path: Path, masses: Array, parity: int, changes: list[str]) -> None:
    """Simulate what is missing."""
    done = json.loads(path.read_text()) if path.exists() else {}
    selection = SelectionCard(min_njet=7, min_ht=500, min_mht=500, trigger=((500, 0.9833),))
    cards = Cards(GeneratorSettings(), selection=selection).changed(changes)
    for row, events in plan(masses, parity):
        if str(row) in done:
            continue
        mother, lsp = masses[row].tolist()
        point = generate_point(
            "T1bbbb", (mother, max(lsp, 1.0)), search(), events=events, seed=5, cards=cards
        )
        done[str(row)] = {
            "masses": [mother, lsp],
            "events": events,
            "efficiencies": point.efficiencies.tolist(),
            "errors": point.errors.tolist(),
            "total_error": point.settings["statistics"]["total_error"],
            "variations": {k: [float(side.sum()) for side in v] for k, v in point.variations.items()},
        }
        path.write_text(json.dumps(done))
        print(mother, lsp, f"{point.efficiencies.sum():.5f}", flush=True)


def compare(path: Path, masses: Array, events: Array, errors: Array) -> list[dict[str, object]]:
    """Mean ratios over the points of a region, each point with the same weight, with errors."""
    found: list[dict[str, object]] = []
    done = json.loads(path.read_text())
    with open_catalog("sqlite://") as catalog:
        sections = catalog.cross_sections("gluino")
    parts = [
        ("total", np.ones((2, 4, 3), dtype=bool)),
        *((name, _only(0, i)) for i, name in enumerate(("Njet 7-8", "Njet >= 9"))),
        *((f"Nb {'>= 3' if i == 3 else i}", _only(1, i)) for i in range(4)),
        *(
            (name, _only(2, i))
            for i, name in enumerate(("HT < 1200, MHT < 750", "HT > 1200, MHT < 750", "MHT > 750"))
        ),
    ]
    for region, low, high, _ in REGIONS:
        rows = [int(row) for row in done if low < masses[int(row), 0] - masses[int(row), 1] <= high]
        if not rows:
            continue
        print(f"{region}: {len(rows)} points")
        means: dict[str, list[float]] = {}
        for name, part in parts:
            chosen = part.ravel()
            ratios, variances = [], []
            for row in rows:
                mine = done[str(row)]
                scale = 1000 * sections.at(masses[row, 0]).pb * LUMINOSITY
                a = np.array(mine["efficiencies"])[chosen].sum() * scale
                total = np.array(mine["efficiencies"]).sum() * scale
                b = events[row][chosen].sum()
                if not (a > 0 and b > 0):
                    continue
                # Bins of different Nb share events: the error of the total is known, that of a part follows by its size.
                error = mine["total_error"] * scale / total * np.sqrt(total / a)
                ratios.append(a / b)
                variances.append((a / b) ** 2 * (error**2 + (errors[row][chosen] ** 2).sum() / b**2))
            spread = np.std(ratios, ddof=1) if len(ratios) > 1 else 0.0
            mean, error = float(np.mean(ratios)), float(np.sqrt(np.sum(variances))) / len(ratios)
            print(f"  {name:<22}{mean:>7.3f} +- {error:.3f}   spread of points {spread:.2f}")
            means[name] = [round(mean, 3), round(error, 3)]
        ends = [low, high if np.isfinite(high) else None]
        found.append({"difference": ends, "points": len(rows), "ratios": means})
    return found


def _only(axis: int, index: int) -> npt.NDArray[np.bool_]:
    part = np.zeros((2, 4, 3), dtype=bool)
    part[tuple(index if i == axis else slice(None) for i in range(3))] = True
    return part


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=("make", "compare"))
    parser.add_argument("results", type=Path)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--rows", choices=("even", "odd"), default="odd")
    parser.add_argument("-o", "--output", type=Path, help="where to write what compare finds, JSON")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    arguments = parser.parse_args()
    masses, events, errors = table(arguments.table)
    if arguments.task == "make":
        make(arguments.results, masses, int(arguments.rows == "odd"), arguments.changes)
    else:
        found = compare(arguments.results, masses, events, errors)
        if arguments.output:
            arguments.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
