"""Whether a merge is better if low background estimates are raised before its bins are chosen.

    python validation/merging/shrinkage.py [--experiments N]

A search for the best merge prefers bins whose background was estimated too low. Here every estimate is raised by a share of the weight
w of one event of its control region before the bins are chosen, ``b + lambda w``, which matters where few events were counted; w follows
from the estimate and its upward uncertainty, ``up^2 = w b + w^2``. With lambda = 1 it is the mean of the background given the count and a flat
prior. What is quoted of the chosen merge, its background and its p-value, stays that of the estimates.

Estimates and counts are drawn as in `chosen_from_estimates.py`, around the same truth. A merge is worth its figure of merit with the true
backgrounds, relative to that of the best merge for the truth. Z is that of the observed mid-p-value for background alone, from the
estimates as drawn: without a bias of the choice its mean is that of a fixed merge.

Writes ``SHRINKAGE.md`` beside itself; some minutes on one core.
"""

import argparse
import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from superbin import open_catalog, stats
from superbin.domain.aggregate import bin_sums
from superbin.domain.correlations import covariances
from superbin.domain.merits import MERITS
from superbin.domain.sums import Totals
from superbin.merge.constraints import Constraints, rules
from superbin.merge.fleet import own_best
from superbin.merge.problem import BoolArray, Problem, control_weights, problem_from

estimates: Any = importlib.import_module("chosen_from_estimates")  # beside this file

HERE = Path(__file__).parent
SHARES = (0.0, 0.25, 0.5, 1.0, 2.0)
FIGURES = ("midp", "limit")


def best(problem: Problem, figure: str, share: float) -> BoolArray:
    """The best merge of raised estimates."""
    raised = problem.background + share * control_weights(problem.background, problem.variance_up)
    changed = replace(problem, background=raised)
    return own_best(changed, MERITS[figure], rules(changed, Constraints()))[0]


def observed_z(count: float, totals: Totals) -> float:
    """Of the mid-p-value of the count in a merge."""
    b, up, down = (float(part[0]) for part in (totals.background, totals.up, totals.down))
    return float(stats.midp_significance(count, b, up, down))


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--experiments", type=int, default=200, metavar="N")
    experiments = parser.parse_args().experiments
    catalog = open_catalog("sqlite://")
    search = catalog.search(estimates.SEARCH)
    covariance = covariances(search, None)[0]
    assert covariance is not None
    truth = estimates.truth_of(search, covariance, estimates.UNSEEN)
    signals = [
        target.signal
        for model, masses in estimates.SIGNALS
        for target in estimates.targets(catalog, search, model, [masses])
        if target.signal is not None
    ]
    rows = []
    for signal in signals:
        true = replace(problem_from(bin_sums(search, signal), covariance), background=truth.background)
        tops = {figure: best(true, figure, 0.0) for figure in FIGURES}
        reached = {f: float(MERITS[f](true.totals(top[None, :]))[0]) for f, top in tops.items()}
        kept: dict[tuple[str, float | str], list[tuple[float, float, float]]] = {}
        random = np.random.default_rng(estimates.SEED)
        for _ in range(experiments):
            drawn, its = estimates.experiment(truth, random)
            problem = problem_from(bin_sums(drawn, signal), its)
            for figure in FIGURES:
                sets: dict[float | str, BoolArray] = {"best of the truth": tops[figure]}
                sets |= {share: best(problem, figure, share) for share in SHARES}
                for name, chosen in sets.items():
                    totals, right = problem.totals(chosen[None, :]), true.totals(chosen[None, :])
                    value = float(MERITS[figure](right)[0]) / reached[figure]
                    z = observed_z(float(drawn.observed[chosen].sum()), totals)
                    kept.setdefault((figure, name), []).append((value, z, float(chosen.sum())))
        for (figure, name), found in kept.items():
            value, z, bins = np.array(found).T
            named = name if isinstance(name, str) else f"lambda = {name:g}"
            cells = (
                f"{1 - value.mean():.1%}",
                f"{1 - np.quantile(value, 0.16):.1%}",
                estimates.mean(z),
                f"{bins.mean():.1f}",
            )
            rows.append(f"| {signal.label} | {figure} | {named} | " + " | ".join(cells) + " |")
            print(rows[-1], flush=True)
    text = [
        "# Raising low estimates before the bins are chosen",
        "",
        f"Written by `shrinkage.py`, whose first lines say what is done. {experiments} pseudo-experiments for each signal, seed {estimates.SEED}.",
        "",
        "| signal | chosen for | estimates raised by | mean loss of the true figure of merit | 84 % below | mean Z, background alone | bins |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    (HERE / "SHRINKAGE.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
