"""Compare limits of every packaged grid with those that CMS published; write points.csv and REPORT.md beside this script.

    OMP_NUM_THREADS=1 python validation/published_limits/compare.py [--processes N] [--database FILE] [--model NAME] [--report]

Scans every grid with the full likelihood where CMS published a limit (some 300 points, a few CPU seconds each; with --database an interrupted run goes on
where it was) and sets its limits, and those of the one bin, beside the published maps. With --report only the report is
written, from the points.csv that is there. Nothing is tuned to the comparison.
"""

import argparse
import csv
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.files import write_text
from superbin.catalog import open_catalog
from superbin.catalog.packaged import cross_section_table
from superbin.domain.cross_sections import process_of
from superbin.domain.published import PublishedResults
from superbin.results.scan import ScanPoint
from superbin.scan import Settings, Target, grid_targets, local_workers, run_scan, spread

HERE = Path(__file__).parent
SEARCH, LATER = "cms-pas-sus-16-014", "cms-sus-16-033"
MODELS = ("T1bbbb", "T1qqqq", "T1tttt", "T2bb", "T2qq", "T2tt")
SPREAD = 8
"""Points of each model at which the signal's systematics are left out as well."""

REGIONS: dict[str, tuple[tuple[str, float, float], ...]] = {
    "T1tttt": (("at least 650", 650, math.inf), ("below 650", 0, 650)),
    "T2tt": (("at least 475", 475, math.inf), ("below 475", 0, 475)),
    "": (("at least 300", 300, math.inf), ("100 to 300", 100, 300), ("below 100", 0, 100)),
}
"""Mass differences, GeV. The tops of a gluino take 345 GeV, that of a stop 173 GeV."""


def regions(model: str) -> tuple[tuple[str, float, float], ...]:
    """Ranges of the mass difference of a model, with their names."""
    return REGIONS.get(model, REGIONS[""])


HEAVY = 1000.0
"""GeV, of the produced particle: below, single bins hold hundreds of signal events."""

FACTORS = (1.15, 1.5)
"""Agreement that is counted."""

ODD = 1.5
"""A limit that differs from what its neighbours interpolate to by more than this factor is called odd."""


@dataclass(frozen=True, slots=True)
class Row:
    """Limits at one point, fb; None where there is none."""

    model: str
    m_mother: float
    m_lsp: float
    published_observed: float | None
    published_expected: float | None
    likelihood_observed: float | None
    likelihood_expected: float | None
    one_bin_observed: float | None
    one_bin_expected: float | None
    without_systematics_observed: float | None = None
    without_systematics_expected: float | None = None
    own_systematics_observed: float | None = None
    own_systematics_expected: float | None = None

    @property
    def difference(self) -> float:
        """Mass difference, GeV."""
        return self.m_mother - self.m_lsp

    def ratio(self, ours: str, side: str) -> float | None:
        """Ours over the published limit of a side."""
        mine, theirs = getattr(self, f"{ours}_{side}"), getattr(self, f"published_{side}")
        return None if mine is None or theirs is None else mine / theirs


# --- computing ------------------------------------------------------------------------------------------------


def compute(processes: int, database: str, models: Sequence[str] = MODELS) -> list[Row]:
    """Scan every grid."""
    rows = []
    with open_catalog(database) as catalog, local_workers(processes) as workers:
        search = catalog.search(SEARCH)
        for model in models:
            grid = catalog.grid(search, model)
            sections = catalog.cross_sections(grid.process, search)
            targets = grid_targets(grid, search, cross_sections=sections)
            settings = Settings(likelihood_limit=True)
            likelihood, published = catalog.published_likelihood(search), catalog.limits(search, model)
            common: dict[str, Any] = {
                "executor": workers,
                "store": catalog.store,
                "likelihood": likelihood,
                "published": published,
            }
            known = [
                t for t in targets if published is not None and published.limit(t.parameters) is not None
            ]
            found = {_place(p): p for p in run_scan(search, known, settings=settings, **common).points}
            few = [known[i] for i in spread([_place(t) for t in known], SPREAD)]
            others = []
            for systematics in ("none", "own"):
                chosen = replace(settings, systematics=systematics)
                scanned = run_scan(search, few, settings=chosen, **common)
                others.append({_place(p): p for p in scanned.points})
            rows += [
                _row(model, _place(t), found.get(_place(t)), [points.get(_place(t)) for points in others])
                for t in targets
            ]
            print(f"{model}: {len(found)} points", file=sys.stderr)
    return rows


def _place(at: Target | ScanPoint) -> tuple[float, float]:
    mother, lsp = at.parameters.values()
    return mother, lsp


def _row(
    model: str, masses: tuple[float, float], point: ScanPoint | None, others: Sequence[ScanPoint | None]
) -> Row:
    if point is None:
        return Row(model, *masses, *[None] * 6)
    fb = 1000 * (point.cross_section_pb or math.nan)

    def limit(value: float | None) -> float | None:
        return None if value is None else float(f"{fb * value:.6g}")

    found, one, full = point.published, point.mu_limit, point.likelihood_limit
    limits = [None if other is None else other.likelihood_limit for other in others]
    return Row(
        model,
        *masses,
        None if found is None else found.observed_fb,
        None if found is None else found.expected_fb,
        None if full is None else limit(full.observed),
        None if full is None else limit(full.median),
        None if one is None else limit(one.observed),
        None if one is None else limit(one.median),
        *(
            None if found is None else limit(value)
            for found in limits
            for value in ((None, None) if found is None else (found.observed, found.median))
        ),
    )


HEADER = (
    "# 95 % CL upper limits on cross sections, fb, at every point of the packaged grids: published by CMS-PAS-SUS-16-014, and",
    "# superbin's from the full likelihood (with the published signal systematics, without any, and with the signal's own) and from one bin.",
    "# Made by validation/published_limits/compare.py.",
)


def write_rows(rows: Sequence[Row], path: Path, header: Sequence[str] = HEADER) -> None:
    """Write the limits as a table."""
    names = [field.name for field in fields(Row)]
    lines = [*header, ",".join(names)]
    for row in rows:
        cells = asdict(row)
        lines.append(",".join("" if cells[n] is None else f"{cells[n]}" for n in names))
    write_text(path, "\n".join(lines) + "\n")


def read_rows(path: Path) -> list[Row]:
    """Read the limits back."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))

    def cell(name: str, text: str) -> Any:
        return text if name == "model" else float(text) if text else None

    return [Row(**{name: cell(name, text) for name, text in row.items()}) for row in rows]


# --- the report -----------------------------------------------------------------------------------------------


def summary(rows: Iterable[Row], ours: str, side: str) -> str:
    """Return number of points, median, 16 to 84 % and the ratio farthest from one, as cells of a Markdown table."""
    found = [(ratio, row) for row in rows if (ratio := row.ratio(ours, side)) is not None]
    if not found:
        return "0 | | | "
    low, median, high = np.quantile([ratio for ratio, _ in found], (0.16, 0.5, 0.84))
    ratio, worst = max(found, key=lambda pair: abs(math.log(pair[0])))
    place = f"({worst.m_mother:g}, {worst.m_lsp:g})"
    return f"{len(found)} | {median:.3f} | {low:.2f} to {high:.2f} | {ratio:.2f} at {place}"


def by_region(rows: Sequence[Row], ours: str) -> list[str]:
    """Return the comparison of one kind of limit, by model and region, as Markdown lines."""
    lines = [
        "| model | side | mass of the produced particle, mass difference, GeV | points | median | 16 to 84 % | farthest from 1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in MODELS:
        mine = [row for row in rows if row.model == model]
        heavy = [row for row in mine if row.m_mother >= HEAVY]
        cuts = {"all": mine, f"below {HEAVY:g}": [row for row in mine if row.m_mother < HEAVY]}
        for words, part in (("", mine), (f"from {HEAVY:g}", heavy)):
            if words:
                cuts[words] = part
            for name, low, high in regions(model):
                named = ", ".join(filter(None, (words, f"difference {name}")))
                cuts[named] = [row for row in part if low <= row.difference < high]
        for side in ("observed", "expected"):
            if all(row.ratio(ours, side) is None for row in mine):
                continue
            lines += [
                f"| {model} | {side} | {name} | {summary(part, ours, side)} |" for name, part in cuts.items()
            ]
    return lines


def overall(rows: Sequence[Row], ours: str) -> list[str]:
    """Return the comparison over all models, by mass and wide or compressed spectra, as Markdown lines."""

    def wide(row: Row) -> bool:
        return row.difference >= regions(row.model)[0][1]

    parts = {
        f"from {HEAVY:g}, wide": [row for row in rows if row.m_mother >= HEAVY and wide(row)],
        f"from {HEAVY:g}, compressed": [row for row in rows if row.m_mother >= HEAVY and not wide(row)],
        f"below {HEAVY:g}": [row for row in rows if row.m_mother < HEAVY],
    }
    lines = [
        "| side | region | points | median | 16 to 84 % | ends | within 15 %: all, lowest of a model | within a factor 1.5: all, lowest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for side in ("observed", "expected"):
        for name, part in parts.items():
            ratios = np.array([ratio for row in part if (ratio := row.ratio(ours, side)) is not None])
            low, median, high = np.quantile(ratios, (0.16, 0.5, 0.84))
            shares = []
            for factor in FACTORS:
                by_model = [
                    share
                    for model in MODELS
                    if (share := within(part, model, ours, side, factor)) is not None
                ]
                shares.append(f"{within(part, None, ours, side, factor):.2f}, {min(by_model):.2f}")
            lines.append(
                f"| {side} | {name} | {ratios.size} | {median:.3f} | {low:.2f} to {high:.2f} | "
                f"{ratios.min():.2f} to {ratios.max():.2f} | {' | '.join(shares)} |"
            )
    return lines


def within(rows: Sequence[Row], model: str | None, ours: str, side: str, factor: float) -> float | None:
    """Return the share of ratios within a factor of 1, of one model or of all; None where there are none."""
    found = [row.ratio(ours, side) for row in rows if model is None or row.model == model]
    ratios = [ratio for ratio in found if ratio is not None]
    return sum(1 / factor <= ratio <= factor for ratio in ratios) / len(ratios) if ratios else None


def before_and_after(before: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """Return the observed limits of the full likelihood with the grids of version 2.3 and with these, as Markdown lines."""
    lines = [
        "| model | mass of the produced particle, mass difference, GeV | before: points, median, 16 to 84 %, farthest | now |",
        "|---|---|---|---|",
    ]
    for model in MODELS:
        cuts = [
            (f"from {HEAVY:g}, difference {name}", HEAVY, low, high) for name, low, high in regions(model)
        ]
        for name, mass, low, high in [*cuts, (f"below {HEAVY:g}", 0.0, 0.0, math.inf)]:
            cells = []
            for table in (before, rows):
                part = [
                    row
                    for row in table
                    if row.model == model
                    and (row.m_mother >= HEAVY) == (mass >= HEAVY)
                    and low <= row.difference < high
                ]
                cells.append(summary(part, "likelihood", "observed").replace(" |", ","))
            lines.append(f"| {model} | {name} | {' | '.join(cells)} |")
    return lines


LUMINOSITIES = (2.3, 12.9, 35.9)
"""1/fb, of CMS-SUS-15-002, CMS-PAS-SUS-16-014 and CMS-SUS-16-033."""


def earlier() -> dict[tuple[str, float, float], float]:
    """Return the observed limits of the search of 2015, fb, by model and masses."""
    with (HERE / "cms-sus-15-002.csv").open(encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {
            (row["model"], float(row["m_mother"]), float(row["m_lsp"])): float(row["observed_fb"])
            for row in rows
        }


def below_a_tev(rows: Sequence[Row]) -> list[str]:
    """Return CMS's limits of three searches of one kind, and ours, by mass, as Markdown lines."""
    first, second, third = LUMINOSITIES
    later, early = third / second, second / first
    lines = [
        "## Below 1 TeV",
        "",
        "There ours are up to six times stronger, and most of the reason lies in CMS's maps of this search. CMS published limits on the same models from three searches",
        f"with the same method, with {first:g}, {second:g} and {third:g}/fb. With the luminosity L a limit on a cross section becomes stronger by a factor between the root of L, where",
        f"background decides, and L, where there is none: {math.sqrt(early):.1f} to {early:.1f} from the first search to the second, {math.sqrt(later):.1f} to {later:.1f} from the second to the third; observed ones fluctuate",
        "about that. Medians over the points of our grids that lie in the maps; the last two columns have our limits of the second search in place of CMS's.",
        "",
        "| model | mass of the produced particle, GeV | points | CMS, first over second, observed | CMS, second over third, observed | expected | ours over CMS's third, observed | expected |",
        "|---|---|---|---|---|---|---|---|",
    ]
    before = earlier()
    with open_catalog("sqlite://") as catalog:
        after = {model: catalog.limits(LATER, model) for model in MODELS}
    for model in MODELS:
        mine = [row for row in rows if row.model == model and row.published_observed is not None]
        light = [row for row in mine if row.m_mother < HEAVY]
        stronger = [row for row in light if _stronger(row)]
        parts = {
            f"below {HEAVY:g}, ours more than {ODD:g} times stronger": stronger,
            f"below {HEAVY:g}, the others": [row for row in light if row not in stronger],
            f"from {HEAVY:g}": [row for row in mine if row.m_mother >= HEAVY],
        }
        for name, part in parts.items():
            ratios = [_searches(row, before, after[model]) for row in part]
            known = [[value for value in values if value is not None] for values in zip(*ratios, strict=True)]
            cells = [f"{np.median(values):.2f}" if values else "-" for values in known]
            if cells:
                lines.append(f"| {model} | {name} | {len(part)} | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "Gluinos: where ours are so much stronger, CMS's limits gained little or nothing from the first search to the second, and far more than luminosity gives from",
        "the second to the third. Ours of the second search lie where luminosity puts them below CMS's third. In the bins of the search of 2017 our limits on T1bbbb have",
        "the same distance from CMS's below 1 TeV as above it: `LATER.md`. Nor are there too many events in our signals: light T1bbbb has 0.79 to 1.04 of the events of CMS's fast simulation of 2015",
        "(`../signals/REPORT.md`). So signals and likelihood are not the reason; CMS's limits are weak there, and what made them so is not public.",
        "",
        "Squarks: of T2bb the same holds for expected limits; observed ones fluctuated. Ours on two points of T2tt at 300 GeV are 1.6 and 1.7 times stronger, and 1.4 times (observed) and",
        "1.8 times (expected) those of CMS with three times the data, as luminosity has it. Statistics matter here: few simulated events are in the bins that decide, and what fluctuates up decides.",
        "With 6000 events a point our limits were 756 fb on T2tt(300, 1), 1074 fb on T2qq(300, 200) and 552 fb on T2bb(300, 100); with 200 000, 69 000 and 48 000 they are 2083, 7101 and 853 fb, and CMS's",
        "3395, 5392 and 1493 fb.",
    ]


def _stronger(row: Row) -> bool:
    """Whether our limit of a side is stronger than CMS's by more than the factor that is called odd."""
    ratios = (row.ratio("likelihood", side) for side in ("observed", "expected"))
    return any(ratio is not None and ratio < 1 / ODD for ratio in ratios)


def _searches(
    row: Row, before: dict[tuple[str, float, float], float], after: PublishedResults | None
) -> tuple[float | None, ...]:
    """Return the ratios of `below_a_tev` at one point; None where a limit is missing."""

    def over(above: float | None, below: float | None) -> float | None:
        return None if above is None or below is None else above / below

    limit = None if after is None else after.limit({"m_mother": row.m_mother, "m_lsp": row.m_lsp})
    observed, expected = (None, None) if limit is None else (limit.observed_fb, limit.expected_fb)
    return (
        over(before.get((row.model, row.m_mother, row.m_lsp)), row.published_observed),
        over(row.published_observed, observed),
        over(row.published_expected, expected),
        over(row.likelihood_observed, observed),
        over(row.likelihood_expected, expected),
    )


def systematics(rows: Sequence[Row]) -> list[str]:
    """Return what the signal's systematics change, as Markdown lines; rows without limits with the signal's own are left out."""
    lines = [
        "| model | side | points | with the published ones: median, 16 to 84 % | with the signal's own | without |",
        "|---|---|---|---|---|---|",
    ]
    for model in MODELS:
        mine = [row for row in rows if row.model == model and row.own_systematics_observed is not None]
        for side in ("observed", "expected"):
            pairs = [
                tuple(
                    row.ratio(kind, side) for kind in ("likelihood", "own_systematics", "without_systematics")
                )
                for row in mine
                if row.ratio("likelihood", side) is not None
            ]
            if pairs:
                cells = []
                for values in zip(*pairs, strict=True):
                    low, median, high = np.quantile(np.array(values, dtype=float), (0.16, 0.5, 0.84))
                    cells.append(f"{median:.3f}, {low:.2f} to {high:.2f}")
                lines.append(f"| {model} | {side} | {len(pairs)} | {' | '.join(cells)} |")
    return lines


def outliers(rows: Sequence[Row]) -> list[str]:
    """Return points where full likelihood and published limit differ by more than a factor, as Markdown lines."""
    lines = ["| point | side | published, fb | full likelihood, fb | ratio |", "|---|---|---|---|---|"]
    for row in rows:
        for side in ("observed", "expected"):
            ratio = row.ratio("likelihood", side)
            if ratio is not None and not 1 / ODD < ratio < ODD:
                theirs, mine = getattr(row, f"published_{side}"), getattr(row, f"likelihood_{side}")
                lines.append(
                    f"| {row.model}({row.m_mother:g}, {row.m_lsp:g}) | {side} | {theirs:.4g} | {mine:.4g} | {ratio:.2f} |"
                )
    return lines


def smoothness(model: str, published: PublishedResults) -> list[str]:
    """Return how far the published maps are from the mean of their neighbours 50 GeV lighter and heavier, as Markdown lines."""
    lines = []
    for side in ("observed_fb", "expected_fb"):
        values = dict(
            zip(map(tuple, published.points.tolist()), getattr(published, side).tolist(), strict=True)
        )
        values = {point: value for point, value in values.items() if math.isfinite(value)}
        off = {
            (m, lsp): value / math.sqrt(values[m - 50, lsp] * values[m + 50, lsp])
            for (m, lsp), value in values.items()
            if (m - 50, lsp) in values and (m + 50, lsp) in values
        }
        if not off:
            continue
        sizes = np.exp(np.quantile(np.abs(np.log(list(off.values()))), (0.5, 0.9)))
        (mother, lsp), worst = max(off.items(), key=lambda pair: abs(math.log(pair[1])))
        odd = sum(not 1 / ODD < ratio < ODD for ratio in off.values())
        lines.append(
            f"| {model} | {side.removesuffix('_fb')} | {len(off)} | {sizes[0] - 1:.1%} | {sizes[1] - 1:.1%} | {odd} | "
            f"{worst:.2f} at ({mother:g}, {lsp:g}) |"
        )
    return lines


def on_contours(model: str, published: PublishedResults) -> list[str]:
    """Return limit over cross section along the published contours, as Markdown lines."""
    table = cross_section_table(process_of(model))
    lines = []
    for name, line in published.contours.items():
        side = name.split("_")[0]
        ratios = []
        for mother, lsp in line.tolist():
            found = published.limit(dict(zip(published.parameters, (mother, lsp), strict=True)))
            limit = None if found is None else getattr(found, f"{side}_fb")
            if limit is not None:
                sigma = table.at(mother)
                shift = {"observed_weaker": -1, "observed_stronger": 1}.get(name, 0)
                if shift and sigma.relative_uncertainty is None:
                    continue
                ratios.append(limit / (1000 * sigma.pb * (1 + shift * (sigma.relative_uncertainty or 0))))
        if ratios and name in ("observed", "observed_weaker", "observed_stronger", "expected"):
            low, median, high = np.quantile(ratios, (0.16, 0.5, 0.84))
            lines.append(f"| {model} | {name} | {len(ratios)} | {median:.3f} | {low:.2f} to {high:.2f} |")
    return lines


def report(rows: Sequence[Row]) -> str:
    """Return REPORT.md."""
    with open_catalog("sqlite://") as catalog:
        published = {model: found for model in MODELS if (found := catalog.limits(SEARCH, model)) is not None}
    n = sum(row.published_observed is not None or row.published_expected is not None for row in rows)
    lines = [
        "# Limits of the packaged grids against those CMS published",
        "",
        "Made by `validation/published_limits/compare.py`; do not edit. The limits are in `points.csv`. Ratios are superbin over CMS: above 1",
        "our limit is weaker. CMS's limits are those of CMS-PAS-SUS-16-014, Figures 9 and 10 (`derive.py`); the maps' nearest bins, bilinear in the",
        f"logarithm between lattice points. {n} of the {len(rows)} points of the grids lie in the published maps.",
        "",
        "What is compared is everything at once: simulated signals, likelihood, signal systematics and the asymptotic limit.",
        "",
        "## Full likelihood, with the published signal systematics",
        "",
        "Over all models; wide and compressed are mass differences from and below 300 GeV (T1tttt: 650 GeV, T2tt: 475 GeV).",
        "",
        *overall(rows, "likelihood"),
        "",
        "By model:",
        "",
        *by_region(rows, "likelihood"),
        "",
        "Before, the grids were those of version 2.3, 5000 events a point with an overall factor of 0.955 (`before.csv`); the scan was the same.",
        "",
        *before_and_after(read_rows(HERE / "before.csv"), rows),
        "",
        "Version 2.3 had no T2qq and T2tt.",
        "",
        *below_a_tev(rows),
        "",
        "## One bin",
        "",
        "The exact limit from the merge of highest expected significance, as `superbin scan` has it without options; no systematic uncertainty of",
        "the signal. It cannot use the other bins, so it is weaker.",
        "",
        *overall(rows, "one_bin"),
        "",
        *by_region(rows, "one_bin"),
        "",
        "## What the signal's systematics change",
        "",
        f"At {SPREAD} points of each model, spread over the published maps. The published ones were written for a T1bbbb signal, whose Monte Carlo errors are half to four",
        "fifths of its yield in bins with few jets and no b tag. They are taken bin by bin, so limits on signals of light quarks, which are there, come out weaker with them. The",
        "signal's own are its variations and its own Monte Carlo errors (`--systematics own`).",
        "",
        *systematics(rows),
        "",
        f"## Points off by more than a factor {ODD:g}, full likelihood",
        "",
        *outliers(rows),
        "",
        "## How smooth the published maps are",
        "",
        "Each lattice point over the geometric mean of its neighbours 50 GeV lighter and heavier at the same LSP mass. A ratio above can be no",
        f"more certain than this; points off by more than a factor {ODD:g} are counted.",
        "",
        "| model | side | points | median | 90 % | odd | worst |",
        "|---|---|---|---|---|---|---|",
        *(line for model, found in published.items() for line in smoothness(model, found)),
        "",
        "## Published contours against published maps",
        "",
        "Limit over cross section along the contours, which are where it is 1; weaker and stronger with the cross section one standard deviation",
        "down and up.",
        "",
        "| model | contour | points | median | 16 to 84 % |",
        "|---|---|---|---|---|",
        *(line for model, found in published.items() for line in on_contours(model, found)),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--database", default="sqlite://")
    parser.add_argument("--report", action="store_true")
    parser.add_argument(
        "--model", action="append", choices=MODELS, help="only these; the rows of others are kept"
    )
    options = parser.parse_args()
    points = HERE / "points.csv"
    if not options.report:
        models = options.model or MODELS
        kept = [row for row in read_rows(points) if row.model not in models] if options.model else []
        rows = [*kept, *compute(options.processes, options.database, models)]
        write_rows(sorted(rows, key=lambda row: MODELS.index(row.model)), points)
    write_text(HERE / "REPORT.md", report(read_rows(points)))


if __name__ == "__main__":
    main()
