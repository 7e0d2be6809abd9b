"""Compare superbin with CMS Combine on public counting cards.

    python validation/likelihood/combine.py CARDS_DIR

CARDS_DIR holds one folder per card and ``reference.json``, a list of entries with ``name``, ``repo``, ``path``, ``card`` (the
file in the folder), and what Combine 10.6 answers: ``observed_limit_tight``, ``expected_limits_tight``, ``r_hat_tight``,
``significance``, ``nll_minus_B`` (likelihood differences at fixed points: A, B, C are r = 0, 1, 2 with all nuisances at
their start, D, E, F r = 1 and all Gaussian nuisances at 0.5, -0.5, 1.5) and ``caveat``. The cards are those of the public
repositories named. Both sides are printed and written to ``combine.json`` beside this script. Cards with shapes, and with
`rateParam` formulas or `param`, are counted as not read.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.files import write_text
from superbin.errors import SuperbinError
from superbin.io.datacards import read_datacards
from superbin.likelihood import Fitter, evaluate, from_datacards

HERE = Path(__file__).parent


def points(fitter: Fitter) -> dict[str, float]:
    """NLL at the points of the reference, less that at B."""
    objective = fitter.objective
    found = {}
    for name, r, theta in (
        ("A", 0, 0), ("B", 1, 0), ("C", 2, 0), ("D", 1, 0.5), ("E", 1, -0.5), ("F", 1, 1.5)
    ):  # fmt: skip
        x = np.where(objective.constrained > 0, theta, objective.initial)
        x[0] = r
        found[name] = objective.nll(x, fitter.observed)
    return {name: value - found["B"] for name, value in found.items()}


def compared(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """One card in both."""
    row: dict[str, Any] = {key: entry[key] for key in ("name", "repo", "path", "caveat")}
    try:
        fitter = Fitter(from_datacards(read_datacards(folder / entry["card"])).as_written())
    except SuperbinError as error:
        return row | {"refused": str(error).replace(str(folder), "").lstrip("/")}
    result = evaluate(fitter)
    theirs = {name: value for name, value in (entry["nll_minus_B"] or {}).items() if value is not None}
    ours = points(fitter)
    shared = sorted(ours.keys() & theirs.keys())
    expected = (entry["expected_limits_tight"] or entry["expected_limits"] or [None] * 5)[2]
    return row | {
        "status": result.status,
        "observed": [result.limit.observed, entry["observed_limit_tight"] or entry["observed_limit"]],
        "expected": [result.limit.expected, expected],
        "mu_hat": [result.free.mu if result.free.ok else None, entry["r_hat_tight"]],
        "z": [result.observed.z, entry["significance"]],
        "largest_nll_difference": max((abs(ours[k] - theirs[k]) for k in shared), default=None),
    }


def main() -> None:
    folder = Path(sys.argv[1])
    rows = [compared(folder / e["name"], e) for e in json.loads((folder / "reference.json").read_text())]
    for row in rows:
        if "refused" in row:
            print(f"{row['name']}: refused: {row['refused']}")
            continue
        ratios = [
            f"{ours / theirs - 1:+.1e}" if ours and theirs else "-"
            for ours, theirs in (row["observed"], row["expected"])
        ]
        difference = row["largest_nll_difference"]
        shown = "-" if difference is None else f"{difference:.0e}"
        print(f"{row['name']}: {row['status']}; observed {ratios[0]}, expected {ratios[1]}, NLL {shown}")
    write_text(HERE / "combine.json", json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
