"""Compare limits of the packaged grid in the bins of CMS-SUS-16-033 with those that CMS published; write later.csv and LATER.md beside this script.

    OMP_NUM_THREADS=1 python validation/published_limits/later.py [--report]

The multi-bin limit takes all 174 bins with CMS's covariance of the background as normal (a simplified likelihood), asymptotic, and no uncertainty of the
signal; the limit from one bin is that of ``superbin scan``. Some 65 points, a few CPU seconds each. With --report only the report is written, from the
later.csv that is there. Nothing is tuned to the comparison.
"""

import argparse
from pathlib import Path

import numpy as np
from validation.published_limits import compare

from superbin._support.files import write_text
from superbin.catalog import open_catalog
from superbin.domain.search import Search
from superbin.likelihood.simplified import Simplified
from superbin.scan import Settings, grid_targets, local_workers, run_scan

HERE = Path(__file__).parent
TABLE = HERE / "later.csv"
MODEL = "T1bbbb"
HEADER = (
    "# 95 % CL upper limits on cross sections, fb, at every point of the packaged grid of CMS-SUS-16-033: published by CMS, and superbin's from",
    "# all bins (likelihood, with the published covariance and without systematic uncertainty of the signal) and from one bin.",
    "# Made by validation/published_limits/later.py.",
)


def simplified(search: Search) -> Simplified:
    """Return the likelihood of all bins: Poisson counts, and a normal background with the published covariance."""
    if search.covariance is None:
        raise ValueError(f"{search.name} has no covariance")
    return Simplified(
        bins=tuple(search.bin_name(i) for i in range(search.n_bins)),
        observed=np.asarray(search.observed, dtype=np.float64),
        background=np.sum([process.estimate.nominal for process in search.processes], axis=0),
        covariance=np.asarray(search.covariance.up),
        third_moment=np.zeros(search.n_bins),
        scope="control",
        draws=0,
        seed=0,
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
        likelihood = simplified(search)
        rows = []
        for point in scanned.points:
            mother, lsp = point.parameters.values()
            signal = catalog.signal(search, MODEL, (mother, lsp))
            fb = 1000 * sections.at(mother).pb
            both = likelihood.limit(np.asarray(signal.yields), third_moments=False)
            found, one = point.published, point.mu_limit
            limits = [
                None if found is None else found.observed_fb,
                None if found is None else found.expected_fb,
                *(None if mu is None else fb * mu for mu in both),
                None if one is None else fb * one.observed,
                None if one is None else fb * one.median,
            ]
            rounded = [None if value is None else float(f"{value:.6g}") for value in limits]
            rows.append(compare.Row(MODEL, mother, lsp, *rounded))
    return rows


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
        "The background is normal with the published covariance; the signal has no systematic uncertainty, CMS's had 10 to 20 %.",
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
