"""Pulls of frequentist toys against the exact p0, over many seeds and cases, in every uncertainty model; and of pyhf's toys.

    python validation/pvalues/lhc_pulls.py [--seeds 300] [--toys 2000] [--pyhf 0]

prints the table of ``validation/pvalues/REPORT.md``: mean and width of ``(toys - exact)/error``, the error being the binomial one of the exact
probability. Both must be those of a unit normal within three standard errors of the study. ``--pyhf N`` adds N of pyhf's toys for some cases.
"""

import argparse
import math

import numpy as np

from superbin import stats, workspace
from superbin.domain.aggregate import Background
from superbin.stats.models import MODELS, ModelName

CASES = (
    (40, 25, 5, 5),
    (4, 0.6, 0.5, 0.3),
    (10, 2, 1, 0.6),
    (7, 2, 1, 2),
    (9, 4, 1, 3),
    (130, 100, 2, 30),
)
"""Count, background, upward and downward uncertainty; with five models thirty cases. Significances from 1 to 3, shapes to 1:15."""

PYHF = ((4, 3, 0.6, 0.5), (8, 3, 1, 0.8), (35, 25, 5, 5))


def pulls(case: tuple[float, ...], model: ModelName, seeds: int, toys: int) -> np.ndarray:
    """Pulls over the seeds."""
    p = float(stats.p0(*case, model=model).p)
    error = math.sqrt(p * (1 - p) / toys)
    return np.array(
        [(stats.throw_q0(*case, toys=toys, seed=seed, model=model).p - p) / error for seed in range(seeds)]
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--toys", type=int, default=2000)
    parser.add_argument("--pyhf", type=int, default=0)
    given = parser.parse_args()
    print("| n, b, up, down | model | p0 | mean | width |")
    print("|---|---|---|---|---|")
    means, widths = [], []
    for case in CASES:
        for model in MODELS:
            found = pulls(case, model, given.seeds, given.toys)
            means.append(float(found.mean()))
            widths.append(float(found.std(ddof=1)))
            p = float(stats.p0(*case, model=model).p)
            name = ", ".join(f"{x:g}" for x in case)
            print(f"| {name} | {model} | {p:.4g} | {means[-1]:+.3f} | {widths[-1]:.3f} |", flush=True)
    print(
        f"\n{len(means)} cases, {given.seeds} seeds, {given.toys} toys each: means {min(means):+.3f} to {max(means):+.3f}, "
        f"widths {min(widths):.3f} to {max(widths):.3f}"
    )
    for case in PYHF if given.pyhf else ():
        document = workspace.background_only(case[0], Background(*case[1:]))
        thrown = workspace.toy_q0(document, toys=given.pyhf, seed=1)
        p = float(stats.p0(*case).p)
        error = math.sqrt(p * (1 - p) / given.pyhf)
        print(
            f"pyhf, {case}: {thrown.p:.4f} by {given.pyhf} toys, exact {p:.4f}, pull {(thrown.p - p) / error:+.2f}"
        )


if __name__ == "__main__":
    main()
