"""Simplified likelihoods of the packaged search against its full one, over packaged T1bbbb points.

    python validation/likelihood/simplified.py [STEP]

Every STEP-th point of the packaged T1bbbb signals (default 8); signal systematics are left out on both sides, since a simplified likelihood has none. Written is
``simplified.json``.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.files import write_text
from superbin.catalog import open_catalog
from superbin.likelihood.counting import CountingLikelihood
from superbin.likelihood.simplified import simplify

HERE = Path(__file__).parent
POINTS = [(m, x) for m in range(900, 2301, 100) for x in (1, 400, 800, 1100, 1400) if x < m - 150]


def main() -> None:
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    rows: list[dict[str, Any]] = []
    with open_catalog("sqlite://") as catalog:
        search = catalog.search("cms-pas-sus-16-014")
        signals = [catalog.signal(search, "T1bbbb", masses) for masses in POINTS[::step]]
        published = catalog.published_likelihood(search)
    # The background does not depend on the signal: a flat one names all bins.
    reference = CountingLikelihood(published.model(np.ones(published.n_bins), systematics="none"))
    found = {scope: simplify(reference, scope=scope, draws=4000) for scope in ("control", "background")}
    for signal in signals:
        full = CountingLikelihood(published.model(signal.yields, systematics="none")).limit()
        row: dict[str, Any] = {"signal": signal.label, "full": [full.observed, full.expected]}
        for scope, one in found.items():
            for moments in (False, True):
                began = time.process_time()
                row[f"{scope}, {'third moments' if moments else 'covariance'}"] = one.limit(
                    np.asarray(signal.yields), third_moments=moments
                )
                row["seconds"] = time.process_time() - began
        rows.append(row)
        print(json.dumps(row), flush=True)
        write_text(HERE / "simplified.json", json.dumps(rows, indent=1) + "\n")
    for key in (k for k in rows[0] if "," in k):
        deviation = [abs(row[key][1] / row["full"][1] - 1) for row in rows if row[key][1] and row["full"][1]]
        print(
            f"{key}: expected limit off by {np.median(deviation):.1%} (median), {max(deviation):.1%} (worst)"
        )


if __name__ == "__main__":
    main()
