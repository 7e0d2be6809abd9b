"""Write what is known of the accuracy of packaged signals, per region of the mass plane: signal-accuracy.json of each bundle.

Every number is one that another script measured, and no sentence says more than it did:

- ``fastsim.json``: T1bbbb against CMS's fast simulation of 2015 (`fastsim.py compare`);
- ``default.json``: T1bbbb(1750, 1) against the one public histogram of CMS-PAS-SUS-16-014 (`compare.py`);
- ``benchmarks.json``: nine signals against the aggregate regions of CMS-SUS-16-033 (`benchmarks.py`);
- ``../published_limits/points.csv`` and ``later.csv``: limits against CMS's maps (``compare.py`` and ``later.py`` there).

A test holds the packaged files to what this script writes.

python -m validation.signals.statements
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from validation.published_limits import compare as limits
from validation.signals import compare as histogram

from superbin.catalog import open_catalog
from superbin.io.grids import read_point

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "src" / "superbin" / "data"
MODELS = ("T1bbbb", "T1qqqq", "T1tttt", "T2bb", "T2qq", "T2tt")
TOPS = {"T1tttt": 350, "T2tt": 175}
"""GeV that the top quarks of a decay take: their mass differences are counted from here."""
WIDE = 300
"""GeV: mass differences from here on are wide."""
FEWEST = 5.0
"""Events that CMS must expect in an aggregate region for its ratio to count."""

WEAK_MAPS = "CMS's are weak there: they gained little on those with 2.3/fb and are 4 to 9 times those with 35.9/fb, where luminosity makes 1.7 to 2.8"
"""Measured in ``../published_limits/REPORT.md``."""

Statement = dict[str, Any]


def statement(
    text: str,
    models: Sequence[str] | None = None,
    mass: tuple[float, float | None] | None = None,
    difference: tuple[float, float | None] | None = None,
) -> Statement:
    """One entry of the file."""
    found: Statement = {"text": text}
    if models is not None:
        found["models"] = list(models)
    for name, ends in (("mass", mass), ("difference", difference)):
        if ends is not None:
            found[name] = list(ends)
    return found


def shifted(ends: Sequence[float | None], model: str) -> tuple[float, float | None]:
    """A range of mass differences, moved by what the model's top quarks take."""
    low, high = ends
    top = TOPS.get(model, 0)
    return (low or 0) + (top if low else 0), None if high is None else high + top


def value(pair: Sequence[float]) -> str:
    """A ratio with its error."""
    return f"{pair[0]:.2f} +- {pair[1]:.2f}"


def fast_simulation(models: Sequence[str]) -> list[Statement]:
    """T1bbbb with seven jets or more by mass difference, and what that means for other models."""
    found = []
    for region in json.loads((HERE / "fastsim.json").read_text(encoding="utf-8")):
        ratios = region["ratios"]
        numbers = (
            f"with 7 or more jets and MHT > 500 GeV, {value(ratios['total'])} of the events of CMS's fast simulation of 2015, "
            f"{value(ratios['Njet 7-8'])} with 7-8 and {value(ratios['Njet >= 9'])} with 9 or more jets"
        )
        groups: dict[tuple[str, tuple[float, float | None]], list[str]] = {}
        for model in models:
            who = (
                "T1bbbb has"
                if model == "T1bbbb"
                else "not compared bin by bin; T1bbbb, from the same simulation, has"
            )
            groups.setdefault((f"jets: {who}, {numbers}", shifted(region["difference"], model)), []).append(
                model
            )
        found += [statement(text, alike, difference=ends) for (text, ends), alike in groups.items()]
    return found


def one_histogram() -> list[Statement]:
    """T1bbbb(1750, 1) against the histogram in the 160 bins."""
    with open_catalog("sqlite://") as catalog:
        cms = catalog.signal("cms-pas-sus-16-014", "T1bbbb", (1750, 1), source="table")
        scale = 1000 * catalog.cross_sections("gluino").at(1750).pb
        scale *= catalog.search("cms-pas-sus-16-014").luminosity_fb
    point = read_point(HERE / "default.json")
    values, errors = np.array(cms.yields), np.array(cms.errors)
    total = histogram.ratio_text(point, scale, values, errors, (0, 1, 2))
    jets = histogram.ratio_text(point, scale, values, errors, (1, 2)).split("; ")[-1]
    total, jets = (value([float(x) for x in text.split(" +- ")]) for text in (total, jets))
    return [
        statement(
            f"the one signal CMS published in these bins, T1bbbb(1750, 1): {total} of its events, {jets} with 9 or more jets"
        )
    ]


def aggregate_regions(models: Sequence[str]) -> list[Statement]:
    """Signals of CMS-SUS-16-033 in its aggregate regions."""
    found = []
    for entry in json.loads((HERE / "benchmarks.json").read_text(encoding="utf-8")):
        model, masses = entry["model"], entry["masses"]
        if model not in models:
            continue
        pairs = [p for p, cms in zip(entry["ratios"], entry["cms"], strict=True) if cms >= FEWEST]
        low, high = min(pairs), max(pairs)
        text = (
            f"{model}({masses[0]:g}, {masses[1]:g}) in the {len(pairs)} aggregate regions of CMS-SUS-16-033 where CMS expects {FEWEST:g} "
            f"or more events: {value(low)} to {value(high)} of CMS's"
        )
        edge = WIDE + TOPS.get(model, 0)
        wide = masses[0] - masses[1] > edge
        found.append(statement(text, [model], difference=(edge, None) if wide else (0, edge)))
    return found


def published_limits(models: Sequence[str], table: str, what: str) -> list[Statement]:
    """Limits from all bins over CMS's, by model and region."""
    rows = limits.read_rows(limits.HERE / table)
    found = []
    for model in models:
        heavy = (limits.HEAVY, None)
        regions = [(heavy, (low, None if high == np.inf else high)) for _, low, high in limits.regions(model)]
        for mass, difference in [*regions, ((0, limits.HEAVY), None)]:
            inside = [
                row
                for row in rows
                if row.model == model
                and mass[0] <= row.m_mother < (mass[1] or np.inf)
                and (difference is None or difference[0] <= row.difference < (difference[1] or np.inf))
            ]
            text = limits_text(inside, what)
            if mass[0] == 0 and table == "points.csv" and model.startswith("T1"):
                text += f"; {WEAK_MAPS}"
            found.append(statement(text, [model], mass=mass, difference=difference))
    return found


def limits_text(rows: Sequence[limits.Row], what: str) -> str:
    """Median, central 68 % and the worst of the observed limits in a region."""
    side = "observed"
    ratios = [(ratio, row) for row in rows if (ratio := row.ratio("likelihood", side)) is not None]
    if not ratios:
        return f"{what} limits: none in this part of the plane can be compared with CMS's"
    low, median, high = np.quantile([ratio for ratio, _ in ratios], (0.16, 0.5, 0.84))
    worst, row = max(ratios, key=lambda pair: abs(np.log(pair[0])))
    if len(ratios) == 1:
        place = f"({row.m_mother:g}, {row.m_lsp:g})"
        return (
            f"{what} {side} limit over CMS's at the one point in this part of the plane, {place}: {worst:.2f}"
        )
    return (
        f"{what} {side} limits over CMS's in this part of the plane, {len(ratios)} points: median {median:.2f}, 16-84 % "
        f"{low:.2f} to {high:.2f}, worst {worst:.2f} at ({row.m_mother:g}, {row.m_lsp:g})"
    )


def text(statements: Sequence[Statement]) -> str:
    """The file, one statement a line."""
    return "[\n" + ",\n".join("  " + json.dumps(entry) for entry in statements) + "\n]\n"


def files() -> dict[str, str]:
    """What belongs in the file of each bundle."""
    return {
        "cms-pas-sus-16-014": text(
            [
                *fast_simulation(MODELS),
                *one_histogram(),
                *aggregate_regions(MODELS),
                *published_limits(MODELS, "points.csv", "full-likelihood"),
            ]
        ),
        "cms-sus-16-033": text(
            [
                *fast_simulation(["T1bbbb"]),
                *aggregate_regions(["T1bbbb"]),
                *published_limits(["T1bbbb"], "later.csv", "simplified-likelihood"),
            ]
        ),
    }


def main() -> None:
    for bundle, content in files().items():
        (DATA / bundle / "signal-accuracy.json").write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
