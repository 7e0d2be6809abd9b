"""Compare superbin with CMS Combine on public cards: values and times side by side.

    python validation/likelihood/combine.py CARDS_DIR [-o FOLDER] [--only NAME ...]

CARDS_DIR holds one folder per card and ``reference.json``, a list of entries with ``name``, ``repo``, ``path``, ``card`` (the
file in the folder), ``mass``, and what Combine 10.6 answers: ``observed_limit_tight``, ``expected_limits_tight`` (quantiles 0.025, 0.16, 0.5,
0.84, 0.975), ``r_hat_tight``, ``significance``, ``nll_minus_B`` (likelihood differences at fixed points: A, B, C are r = 0, 1, 2 with all nuisances
at their start, D, E, F r = 1 and all Gaussian nuisances at 0.5, -0.5, 1.5 of their errors, G and H statistical ones at 0.5 and -0.5, I counts of gmN at 1.2 of theirs, J flat
ones at 0.5, K Poisson statistical ones at 1.1), ``nll_by_hand_minus_B`` (the same from Combine's expectations, where its own Poisson underflows),
``seconds`` and ``caveat``. The cards are those of the public repositories named. Both sides are written to ``combine.json`` and ``combine.md``. Without the folder
nothing is done. Times of superbin are CPU times of one process; those of Combine are wall times of its own run, workspace made before.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from scipy.special import ndtri

from superbin._support.files import write_text
from superbin.errors import SuperbinError
from superbin.likelihood import Likelihood, read
from superbin.statistical_model import Normal, Parameter, Poisson

Row = dict[str, Any]
T = TypeVar("T")

HERE = Path(__file__).parent

DEVIATIONS = tuple(0.0 if q == 0.5 else float(ndtri(q)) for q in (0.025, 0.16, 0.5, 0.84, 0.975))
"""Combine's quantiles of the expected limit as standard deviations."""

POINTS: dict[str, dict[str, float]] = {
    "A": {"r": 0}, "B": {"r": 1}, "C": {"r": 2}, "D": {"normal": 0.5}, "E": {"normal": -0.5}, "F": {"normal": 1.5}, "G": {"bins": 0.5},
    "H": {"bins": -0.5}, "I": {"counts": 1.2}, "J": {"flat": 0.5}, "K": {"bin counts": 1.1},
}  # fmt: skip
"""What differs from r = 1 and all nuisances at their start."""


def value(parameter: Parameter, start: float, point: dict[str, float]) -> float:
    """A parameter at one of the points."""
    constraint, statistical = parameter.constraint, parameter.name.startswith("prop_bin")
    if parameter.name == "r":
        return point.get("r", 1.0)
    if isinstance(constraint, Normal):
        theta = point.get("bins" if statistical else "normal", 0.0)
        width = constraint.lower_width if theta < 0 and constraint.lower_width else constraint.width
        return constraint.centre + theta * width
    if isinstance(constraint, Poisson):
        return start * point.get("bin counts" if statistical else "counts", 1.0)
    flat = point.get("flat", 0.0)
    if (parameter.lower, parameter.upper) == (-1.0, 1.0):
        return flat
    # lnU with one factor everywhere is a free rate between its inverse and itself.
    return parameter.upper**flat if flat and abs(parameter.lower * parameter.upper - 1) < 1e-9 else start


def points(likelihood: Likelihood) -> dict[str, float]:
    """NLL at the points of the reference, less that at B."""
    start = likelihood.initial
    found = {
        name: likelihood.nll(
            np.array([value(p, x, point) for p, x in zip(likelihood.model.parameters, start, strict=True)])
        )
        for name, point in POINTS.items()
    }
    return {name: nll - found["B"] for name, nll in found.items()}


def timed(action: Callable[[], T]) -> tuple[T, float]:
    """A result and its CPU time."""
    began = time.process_time()
    result = action()
    return result, time.process_time() - began


def compared(folder: Path, entry: Row) -> Row:
    """One card in both."""
    row: Row = {key: entry[key] for key in ("name", "repo", "path", "caveat")}
    try:
        likelihood, reading = timed(lambda: read(folder / entry["card"], mass=entry["mass"]))
    except SuperbinError as error:
        return row | {"refused": str(error).replace(f"{folder}/", "")}
    assert isinstance(likelihood, Likelihood)
    ours = points(likelihood)
    row |= {
        "parameters": len(likelihood.parameters),
        "bins": len(likelihood.observed.counts),
        "read_s": reading,
    }
    for key in ("nll_minus_B", "nll_by_hand_minus_B"):
        theirs = entry.get(key) or {}
        differences = [
            abs(ours[k] - v) for k, v in theirs.items() if k in ours and isinstance(v, float | int)
        ]
        row[key] = max(differences, default=None)
    if likelihood.strength is None:
        return row | {"status": "no signal"}
    fit = likelihood.fit()
    discovery = likelihood.significance()
    limit, seconds = timed(lambda: likelihood.limit(deviations=DEVIATIONS))
    expected = entry["expected_limits_tight"] or entry["expected_limits"] or [None] * 5
    times = entry.get("seconds") or {}
    return row | {
        "status": limit.status,
        "observed": [limit.observed, entry["observed_limit_tight"] or entry["observed_limit"]],
        "expected": [[limit.bands[n] for n in DEVIATIONS], expected],
        "mu_hat": [fit.mu, entry["r_hat_tight"] if entry["r_hat_tight"] is not None else entry["r_hat"]],
        "z": [discovery.z, entry["significance"]],
        "limit_s": [seconds, times.get("limtight") or times.get("lim")],
    }


def ratio(ours: float | None, theirs: float | None) -> str:
    """Relative difference, for both above zero."""
    if not ours or not theirs or theirs < 1e-5:
        return "-"
    return f"{ours / theirs - 1:+.0e}"


def shown(number: float | None, form: str = ".5g") -> str:
    return "-" if number is None else format(number if abs(number) > 1e-5 else 0.0, form)


def table(rows: list[Row]) -> str:
    lines = [
        "| card | parameters, bins | largest difference in NLL | observed limit, Combine | difference | expected median, Combine | expected, differences | r hat, Combine | Z, Combine | limit, s | Combine, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "refused" in row:
            continue
        nll = [row[k] for k in ("nll_minus_B", "nll_by_hand_minus_B") if row[k] is not None]
        size = f"{row['parameters']}, {row['bins']}"
        first = f"| {row['name']} | {size} | {'-' if not nll else format(min(nll), '.0e')} |"
        if "observed" not in row:
            lines.append(f"{first} {row['status']} | | | | | | | |")
            continue
        ours, theirs = row["expected"]
        differences = ", ".join(ratio(a, b) for a, b in zip(ours, theirs, strict=True))
        seconds = row["limit_s"]
        lines.append(
            f"{first} {shown(row['observed'][0])}, {shown(row['observed'][1])} | {ratio(*row['observed'])} | {shown(ours[2])}, {shown(theirs[2])} | {differences} | "
            f"{shown(row['mu_hat'][0])}, {shown(row['mu_hat'][1])} | {shown(row['z'][0])}, {shown(row['z'][1])} | {shown(seconds[0], '.2g')} | {shown(seconds[1], '.2g')} |"
        )
    lines += ["", "Refused:", ""]
    lines += [f"- {row['name']}: {row['refused']}" for row in rows if "refused" in row]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("-o", "--output", type=Path, default=HERE)
    options = parser.parse_args()
    reference = options.folder / "reference.json"
    if not reference.exists():
        print(
            f"skipped: {reference} does not exist; give the folder with the public cards and Combine's answers"
        )
        return
    rows = []
    for entry in json.loads(reference.read_text("utf-8")):
        if options.only and entry["name"] not in options.only:
            continue
        rows.append(compared(options.folder / entry["name"], entry))
        print(table(rows[-1:]).splitlines()[2] or table(rows[-1:]).splitlines()[-1], flush=True)
    write_text(options.output / "combine.json", json.dumps(rows, indent=1) + "\n")
    title = "# Public Combine cards\n\nMade by `combine.py`, which says what the columns are. Differences are relative, superbin to Combine.\n\n"
    write_text(options.output / "combine.md", title + table(rows))


if __name__ == "__main__":
    main()
