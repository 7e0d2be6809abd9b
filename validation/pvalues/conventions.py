"""How far the conventions of one bin are apart: the figure and the tables of ``docs/explanation/which-number.md``.

    python validation/pvalues/conventions.py

writes into ``docs/explanation``:

* ``expected-significance.csv``: Z of mid-p at n = s + b minus its exact median over the outcomes with the signal, by s + b;
* ``conventions.csv`` and ``conventions.png``: what mid-p, the tail and the asymptotic formula differ from the LHC's p0, and prior-predictive and
  asymptotic CLs limits from the LHC's, over signal, background and relative uncertainty.

Everything is summed, nothing thrown; a few minutes on one core.
"""

import csv
import itertools
import math
from pathlib import Path

import numpy as np

from superbin import stats
from superbin.stats import limits

DOCS = Path(__file__).parents[2] / "docs" / "explanation"
RANGES = ((0.5, 2.0), (2.0, 5.0), (5.0, 10.0), (10.0, 20.0), (20.0, 50.0))
BINS_PER_RANGE = 400
BACKGROUNDS = tuple(float(x) for x in np.geomspace(0.3, 300, 13))
RELATIVE = (0.0, 0.1, 0.3, 0.6)
TARGETS = (2.0, 3.0, 5.0)
"""Asymptotic Z at which significances are compared, nearly: counts are whole."""


def expected_rows() -> list[list[str]]:
    """Z(s + b) minus the exact median: extremes and root mean square over random bins, by s + b."""
    random = np.random.default_rng(20160014)
    rows = []
    for low, high in RANGES:
        found = []
        for _ in range(BINS_PER_RANGE):
            total = float(random.uniform(low, high))
            s = total * float(random.uniform(0.2, 0.9))
            b = total - s
            sigma = b * float(random.uniform(0, 0.5))
            one = stats.expected(s, b, sigma, sigma)
            found.append(one.at_mean.z - one.median.z)
        rms = float(np.sqrt(np.mean(np.square(found))))
        rows.append([f"{low:g} to {high:g}", f"{min(found):+.2f}", f"{max(found):+.2f}", f"{rms:.2f}"])
    return rows


def significance_rows() -> list[dict[str, float]]:
    """Z by method at the whole count whose asymptotic Z is nearest to each target."""
    rows = []
    for b, relative, target in itertools.product(BACKGROUNDS, RELATIVE, TARGETS):
        yields = (b, relative * b, relative * b / (1 + relative))
        n = np.arange(math.floor(b) + 1, math.ceil(b + 8 * (target + 1) * math.sqrt(b + yields[1] ** 2) + 40))
        z = np.asarray(stats.asymptotic_z(n, *yields))
        count = int(n[np.argmin(np.abs(z - target))])
        reference = float(stats.p0(count, *yields).z)
        tail, midp = stats.tail_and_midp(count, *yields)
        rows.append(
            {
                "b": b,
                "relative uncertainty": relative,
                "n": count,
                "s = n - b": count - b,
                "p0": reference,
                "tail": float(tail.z),
                "midp": float(midp.z),
                "asymptotic": float(stats.asymptotic_z(count, *yields)),
            }
        )
    return rows


def limit_rows() -> list[dict[str, float]]:
    """Limits by method for the median count of background alone."""
    rows = []
    for b, relative in itertools.product(BACKGROUNDS, RELATIVE):
        yields = (b, relative * b, relative * b / (1 + relative))
        count = int(stats.counts.quantile(0.5, *yields))
        rows.append(
            {
                "b": b,
                "relative uncertainty": relative,
                "n": count,
                "lhc": limits.lhc_limit(count, *yields),
                "cls": float(limits.cls_limit(count, *yields)),
                "asymptotic": float(limits.asymptotic_limit(count, *yields)),
            }
        )
    return rows


def draw(significances: list[dict[str, float]], found: list[dict[str, float]]) -> None:
    """One panel a relative uncertainty: differences in Z above, ratios of limits below."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2, len(RELATIVE), figsize=(13, 6), sharex=True, sharey="row", layout="constrained"
    )
    for column, relative in enumerate(RELATIVE):
        upper, lower = axes[:, column]
        for method, colour in (("tail", "C0"), ("midp", "C1"), ("asymptotic", "C2")):
            for target, style in zip(TARGETS, (":", "--", "-"), strict=True):
                rows = [r for r in significances if r["relative uncertainty"] == relative]
                rows = rows[TARGETS.index(target) :: len(TARGETS)]
                label = f"{method}, {target:g} sigma" if column == 0 else None
                upper.plot(
                    [r["b"] for r in rows], [r[method] - r["p0"] for r in rows], colour, ls=style, label=label
                )
        rows = [r for r in found if r["relative uncertainty"] == relative]
        for method, name, colour in (("cls", "exact", "C1"), ("asymptotic", "asymptotic", "C2")):
            lower.plot(
                [r["b"] for r in rows],
                [r[method] / r["lhc"] for r in rows],
                colour,
                label=f"{name} CLs" if column == 0 else None,
            )
        upper.set_title(f"uncertainty {relative:.0%} of b")
        upper.axhline(0, color="k", lw=0.5)
        lower.axhline(1, color="k", lw=0.5)
        lower.set_xlabel("background b (events)")
        lower.set_xscale("log")
    axes[0, 0].set_ylabel("Z minus Z of the LHC's p0")
    axes[1, 0].set_ylabel("limit / limit of the LHC's CLs")
    axes[0, 0].legend(fontsize=7)
    axes[1, 0].legend(fontsize=7)
    figure.savefig(DOCS / "conventions.png", dpi=100)


def summary(significances: list[dict[str, float]], found: list[dict[str, float]]) -> list[list[str]]:
    """Largest differences by background."""
    rows = []
    for low, high in ((0.3, 1.0), (1.0, 10.0), (10.0, 100.0), (100.0, 301.0)):
        here = [r for r in significances if low <= r["b"] < high]
        there = [r for r in found if low <= r["b"] < high]
        cells = [f"{low:g} to {min(high, 300):g}"]
        for method in ("tail", "midp", "asymptotic"):
            differences = [r[method] - r["p0"] for r in here]
            cells.append(f"{min(differences):+.2f} to {max(differences):+.2f}")
        for method in ("cls", "asymptotic"):
            ratios = [r[method] / r["lhc"] for r in there]
            cells.append(f"{min(ratios):.3f} to {max(ratios):.3f}")
        rows.append(cells)
    return rows


def write(name: str, rows: list[list[str]]) -> None:
    """Write a table for the page."""
    with (DOCS / name).open("w", newline="", encoding="utf-8") as target:
        csv.writer(target, lineterminator="\n").writerows(rows)


def main() -> None:
    """Write the tables and the figure."""
    write("expected-significance.csv", [["s + b", "smallest", "largest", "rms"], *expected_rows()])
    significances, found = significance_rows(), limit_rows()
    head = [
        "b",
        "Z of tail - p0",
        "Z of mid-p - p0",
        "Z asymptotic - p0",
        "exact CLs / LHC",
        "asymptotic CLs / LHC",
    ]
    write("conventions.csv", [head, *summary(significances, found)])
    draw(significances, found)


if __name__ == "__main__":
    main()
