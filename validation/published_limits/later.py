"""Compare limits of the packaged grid in the bins of CMS-SUS-16-033 with those that CMS published; write later.csv and LATER.md beside this script.

    OMP_NUM_THREADS=1 python validation/published_limits/later.py [--report]

The limit from all 174 bins is that of ``superbin run`` for a search with a covariance: a simplified likelihood with a normal background, asymptotic, and no
uncertainty of the signal; the limit from one bin is that of ``superbin scan``. A minute of CPU for 65 points. With --report only the report is written, from the
later.csv that is there. Nothing is tuned to the comparison.
"""

import argparse
from pathlib import Path

from validation.published_limits import compare

from superbin._support.files import write_text
from superbin.analysis.answer import simplified_answer
from superbin.catalog import open_catalog
from superbin.scan import Settings, grid_targets, local_workers, run_scan

HERE = Path(__file__).parent
TABLE = HERE / "later.csv"
MODEL = "T1bbbb"
HEADER = (
    "# 95 % CL upper limits on cross sections, fb, at every point of the packaged grid of CMS-SUS-16-033: published by CMS, and superbin's from",
    "# all bins (likelihood, with the published covariance and without systematic uncertainty of the signal) and from one bin.",
    "# Made by validation/published_limits/later.py.",
)


def compute() -> list[compare.Row]:
    """Return the limits at every point of the grid."""
    with open_catalog("sqlite://") as catalog, local_workers(1) as workers:
        search = catalog.search(compare.LATER)
        grid = catalog.grid(search, MODEL)
        sections = catalog.cross_sections(grid.process, search)
        targets = grid_targets(grid, search, cross_sections=sections)
        published = catalog.limits(search, MODEL)
        scanned = run_scan(
            search, targets, settings=Settings(), executor=workers, store=catalog.store, published=published
        )
        rows = []
        for point in scanned.points:
            mother, lsp = point.parameters.values()
            answer = simplified_answer(search, catalog.signal(search, MODEL, (mother, lsp)))
            every = None if answer is None else answer.limits[0].cross_section_fb
            fb = 1000 * sections.at(mother).pb
            found, one = point.published, point.mu_limit
            limits = [
                None if found is None else found.observed_fb,
                None if found is None else found.expected_fb,
                None if every is None else every.observed,
                None if every is None else every.median,
                _times(fb, None if one is None else one.observed),
                _times(fb, None if one is None else one.median),
            ]
            rounded = [None if value is None else float(f"{value:.6g}") for value in limits]
            rows.append(compare.Row(MODEL, mother, lsp, *rounded))
    return rows


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def report(rows: list[compare.Row]) -> str:
    """Return LATER.md."""
    n = sum(row.published_observed is not None for row in rows)
    lines = [
        "# Limits in the bins of CMS-SUS-16-033 against those CMS published",
        "",
        "Made by `validation/published_limits/later.py`; do not edit. The limits are in `later.csv`. T1bbbb, 35.9/fb, Figure 12 of the publication. Ratios are",
        f"superbin over CMS: above 1 our limit is weaker. {n} of the {len(rows)} points of the grid lie in the published map.",
        "",
        "## All 174 bins",
        "",
        "As `superbin run` has it: the background is normal with the published covariance, and the signal has no systematic uncertainty, which CMS's has.",
        "",
        *_table(rows, "likelihood"),
        "",
        "## One bin",
        "",
        "The exact limit from the merge of highest expected significance.",
        "",
        *_table(rows, "one_bin"),
        "",
        "## Below 1 TeV, all bins",
        "",
        "| point | observed: CMS, fb | superbin, fb | ratio | expected: CMS, fb | superbin, fb | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: (row.m_mother, row.m_lsp)):
        if row.m_mother < compare.HEAVY and row.published_observed is not None:
            cells = []
            for side in ("observed", "expected"):
                ratio = row.ratio("likelihood", side)
                values = (getattr(row, f"published_{side}"), getattr(row, f"likelihood_{side}"), ratio)
                cells += ["-" if value is None else f"{value:.4g}" for value in values[:2]]
                cells.append("-" if ratio is None else f"{ratio:.2f}")
            lines.append(f"| ({row.m_mother:g}, {row.m_lsp:g}) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _table(rows: list[compare.Row], ours: str) -> list[str]:
    """Return number, median, 16 to 84 % and farthest ratio by region, as Markdown lines."""
    lines = [
        "| side | mass of the gluino, mass difference, GeV | points | median | 16 to 84 % | farthest from 1 |",
        "|---|---|---|---|---|---|",
    ]
    heavy = [row for row in rows if row.m_mother >= compare.HEAVY]
    parts = {f"below {compare.HEAVY:g}": [row for row in rows if row.m_mother < compare.HEAVY]}
    for name, low, high in compare.regions(MODEL):
        parts[f"from {compare.HEAVY:g}, difference {name}"] = [r for r in heavy if low <= r.difference < high]
    for side in ("observed", "expected"):
        lines += [
            f"| {side} | {name} | {compare.summary(part, ours, side)} |" for name, part in parts.items()
        ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", action="store_true")
    if not parser.parse_args().report:
        compare.write_rows(compute(), TABLE, HEADER)
    write_text(HERE / "LATER.md", report(compare.read_rows(TABLE)))


if __name__ == "__main__":
    main()
