"""Pulls of the importance-sampled toys against the exact p-value, over many seeds.

For each case and uncertainty model: mean and width of ``(estimate - exact)/error`` of mid-p over the seeds, and the smallest effective
number of toys. A case whose estimates are all trusted must have pulls of mean 0 and width 1 within three standard errors of the study.

    python validation/pvalues/pulls.py [--seeds 300] [--toys 2000]

prints the table of ``validation/pvalues/REPORT.md``.
"""

import argparse
import math
from collections.abc import Iterator

import numpy as np

from superbin.stats import counts, midp, throw_weighted
from superbin.stats.models import ModelName

CASES = (
    (0, 50, 20, 20),
    (0, 3, 1, 1),
    (0, 0.5, 1, 0.4),
    (1, 25, 5, 5),
    (2, 25, 2, 12),
    (3, 25, 12, 2),
    (100, 700, 40, 40),
    (100, 200, 60, 50),
    (100, 200, 5, 60),
    (100, 200, 60, 5),
    (95, 100, 2, 30),
    (105, 100, 30, 2),
    (40, 25, 5, 5),
    (60, 25, 5, 5),
    (40, 25, 1, 20),
    (40, 25, 20, 0.2),
    (8, 0.6, 0.5, 0.3),
    (8, 0.6, 6, 0.006),
    (4, 1, 10, 0.9),
    (3, 0, 1, 0),
    (0.5, 2, 1, 1.9),
    (2.5, 0.3, 0.3, 0.3),
    (1000, 700, 60, 55),
    (500, 700, 60, 55),
    (1000000, 990000, 3000, 3000),
    (980000, 990000, 3000, 30),
)
"""Count, background, upward and downward uncertainty: excesses and deficits from 0.1 to 25 sigma, shapes 1:100 to 100:1."""

MODELS: tuple[ModelName, ...] = ("split-lognormal", "lognormal", "gaussian", "none")


def pulls(case: tuple[float, ...], model: ModelName, seeds: int, toys: int) -> tuple[np.ndarray, float, int]:
    """Pulls over the seeds, the smallest effective number of toys, and how many estimates are not trusted."""
    n, b, up, down = case
    deficit = n < b
    # of a deficit the complement is sampled, and has to be exact where 1 - p rounds to zero
    exact = complement(n, b, up, down, model) if deficit else float(midp(n, b, up, down, model=model))
    found, effective, untrusted = [], math.inf, 0
    for seed in range(seeds):
        one = throw_weighted(n, b, up, down, toys=toys, seed=seed, model=model)
        estimate = math.exp(one.log_scale) * one.midp_sum / one.toys
        found.append((estimate - exact) / one.midp_error)
        effective = min(effective, one.effective)
        untrusted += not one.trusted
    return np.array(found), effective, untrusted


def complement(n: float, b: float, up: float, down: float, model: ModelName) -> float:
    """P(N < n) + P(N = n)/2 by the quadrature over z, which the p-values do not use; between 0 and 1 from the p-value."""
    if 0 < n < 1:
        return 1 - float(midp(n, b, up, down, model=model))
    below = float(counts.cdf(n - 1, b, up, down, model=model)) if n > 0 else 0.0
    return 0.5 * (below + float(counts.cdf(n, b, up, down, model=model)))


def rows(seeds: int, toys: int) -> Iterator[tuple[tuple[float, ...], str, float, float, float, int]]:
    """Case, model, mean and width of the pulls, smallest effective number, estimates that are not trusted."""
    for case in CASES:
        for model in MODELS:
            if case[1] == 0 and model in {"lognormal", "none"}:
                continue  # not defined, or impossible
            found, effective, untrusted = pulls(case, model, seeds, toys)
            yield case, model, float(found.mean()), float(found.std(ddof=1)), effective, untrusted


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--toys", type=int, default=2000)
    given = parser.parse_args()
    print("| n, b, up, down | model | mean | width | fewest effective toys | not trusted |")
    print("|---|---|---|---|---|---|")
    widths, means = [], []
    for case, model, mean, width, effective, untrusted in rows(given.seeds, given.toys):
        name = ", ".join(f"{x:g}" for x in case)
        print(f"| {name} | {model} | {mean:+.3f} | {width:.3f} | {effective:.0f} | {untrusted} |", flush=True)
        widths.append(width)
        means.append(mean)
    print(
        f"\n{len(widths)} rows, {given.seeds} seeds, {given.toys} toys each: widths {min(widths):.3f} to {max(widths):.3f}, "
        f"means {min(means):+.3f} to {max(means):+.3f}"
    )


if __name__ == "__main__":
    main()
