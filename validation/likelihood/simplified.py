"""Simplified likelihoods of the packaged search against its full one, at the packaged T1bbbb points.

    python validation/likelihood/simplified.py [STEP]

Every STEP-th point of the packaged T1bbbb grid (default 1: all of them). Signal systematics are left out on both sides, since a simplified likelihood has
none. The moments of the background do not depend on the signal and are computed once per scope. Written are ``simplified.json`` and ``simplified.md``; some ten
minutes for all points.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.files import write_text
from superbin.catalog import open_catalog
from superbin.likelihood.counting import CountingLikelihood
from superbin.likelihood.simplified import simplify

HERE = Path(__file__).parent

DRAWS = 4000
"""Points for the moments."""

Row = dict[str, Any]


def main() -> None:
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    rows: list[Row] = []
    with open_catalog("sqlite://") as catalog:
        search = catalog.search("cms-pas-sus-16-014")
        points = catalog.grid(search, "T1bbbb").points[::step].tolist()
        signals = [catalog.signal(search, "T1bbbb", masses) for masses in points]
        published = catalog.published_likelihood(search)
    # The background does not depend on the signal: a flat one names all bins.
    reference = CountingLikelihood(published.model(np.ones(published.n_bins), systematics="none"))
    found = {scope: simplify(reference, scope=scope, draws=DRAWS) for scope in ("control", "background")}
    for signal in signals:
        full = CountingLikelihood(published.model(signal.yields, systematics="none")).limit()
        row: Row = {
            "signal": signal.label,
            "events": float(np.sum(signal.yields)),
            "full": [full.observed, full.expected],
        }
        for scope, one in found.items():
            for moments in (False, True):
                row[f"{scope}, {'third moments' if moments else 'covariance'}"] = one.limit(
                    np.asarray(signal.yields), third_moments=moments
                )
        rows.append(row)
        print(json.dumps(row), flush=True)
    write_text(HERE / "simplified.json", json.dumps(rows, indent=1) + "\n")
    text = report(rows)
    write_text(HERE / "simplified.md", text)
    print(text)


def deviations(rows: list[Row], key: str, which: int) -> list[float]:
    """Of a simplified limit from the full one, at all points where both exist."""
    return [
        row[key][which] / row["full"][which] - 1 for row in rows if row[key][which] and row["full"][which]
    ]


def report(rows: list[Row]) -> str:
    """Medians and worst points of all conventions, then every point."""
    keys = [key for key in rows[0] if "," in key]
    lines = [
        "# Simplified likelihoods against the full likelihood",
        "",
        f"Made by `simplified.py`: {len(rows)} packaged T1bbbb points, moments from {DRAWS} draws, no signal systematics on either side.",
        "Deviations of the 95 % CLs limit on mu from that of the full likelihood.",
        "",
        "| fit, moments | expected: median size | expected: worst | observed: median size | observed: worst |",
        "|---|---|---|---|---|",
    ]
    for key in keys:
        cells = []
        for which in (1, 0):
            found = deviations(rows, key, which)
            worst = max(found, key=abs)
            cells += [f"{np.median(np.abs(found)):.1%}", f"{worst:+.1%}"]
        lines.append(f"| {key} | {' | '.join(cells)} |")
    lines += [
        "",
        "| signal | events | full: observed, expected | " + " | ".join(keys) + " |",
        "|---|---|---|" + "---|" * len(keys),
    ]
    for row in rows:
        cells = [
            ", ".join(
                f"{row[key][w] / row['full'][w] - 1:+.1%}" if row[key][w] and row["full"][w] else "-"
                for w in (0, 1)
            )
            for key in keys
        ]
        full = ", ".join("-" if value is None else f"{value:.4g}" for value in row["full"])
        lines.append(f"| {row['signal']} | {row['events']:.3g} | {full} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
