"""What happens when the data choose the merge: how often p falls below a threshold although there is no signal.

Pseudo-experiments of background alone in the packaged search, its expectation taken as exactly known, so that every merge's
count is a Poisson variable and its mid-p-value a sum: whatever is wrong is wrong with the choice alone. In each experiment p is
quoted for three merges: the one chosen for a signal from expectations, the most significant single bin of this very experiment, and
its most significant rectangle. Writes ``CHOSEN-BY-DATA.md`` beside itself; a few seconds.

    python validation/merging/chosen_by_data.py [--experiments N]
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import special

from superbin import merge
from superbin._support.arrays import FloatArray
from superbin.domain.aggregate import bin_sums
from superbin.io.tables import read_search, read_signal
from superbin.merge.problem import BoolArray
from superbin.merge.rectangles import rectangles

HERE = Path(__file__).parent
TABLES = HERE.parents[1] / "src" / "superbin" / "data" / "cms-pas-sus-16-014"

THRESHOLDS = (0.1, 0.05, 0.01, 0.001)
SEED = 20161104

_CHUNK = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=10_000, metavar="N")
    experiments = parser.parse_args().experiments
    search = read_search(TABLES)
    signal = read_signal(TABLES / "signals" / "T1bbbb_1750_1.csv")
    sums = bin_sums(search, signal)
    counts = np.random.default_rng(SEED).poisson(sums.background, (experiments, search.n_bins)).astype(float)
    fixed = np.zeros((1, search.n_bins), dtype=bool)
    fixed[0, np.array(merge.optimize(search, signal).bins) - 1] = True
    choices = {
        "chosen from expectations, for T1bbbb(1750, 1)": fixed,
        f"the most significant of the {search.n_bins} bins": np.eye(search.n_bins, dtype=bool),
        f"the most significant of the {len(rectangles(search))} rectangles": rectangles(search).sets,
    }
    lines = [
        "| merge | " + " | ".join(f"p < {t:g}" for t in THRESHOLDS) + " |",
        "|---|" + "---|" * len(THRESHOLDS),
    ]
    for name, sets in choices.items():
        p = smallest(sums.background, sets, counts)
        shares = [(p < t).mean() for t in THRESHOLDS]
        errors = [np.sqrt(x * (1 - x) / experiments) for x in shares]
        cells = " | ".join(f"{x:.2%} ± {e:.2%}" for x, e in zip(shares, errors, strict=True))
        lines.append(f"| {name} | {cells} |")
    text = (
        f"# A merge chosen by the data\n\n{experiments} pseudo-experiments of background alone, seed {SEED}. Written by "
        "`chosen_by_data.py`, whose first lines say how.\n\n" + "\n".join(lines) + "\n\n"
        "Each row quotes a correct p-value of the merge it names. Only in the first does it mean what it says: there "
        "the merge was fixed before there were data. That the expectation is itself an estimate, which fluctuates and chooses, is "
        "studied in `CHOSEN-FROM-ESTIMATES.md`.\n"
    )
    (HERE / "CHOSEN-BY-DATA.md").write_text(text, encoding="utf-8")


def smallest(background: FloatArray, sets: BoolArray, counts: FloatArray) -> FloatArray:
    """The smallest mid-p-value over some sets, P(N > n) + P(N = n) / 2, in every experiment."""
    members = sets.T.astype(np.float64)
    mean = background @ members
    found = np.empty(len(counts))
    for i in range(0, len(counts), _CHUNK):
        n = counts[i : i + _CHUNK] @ members
        # P(N >= n) is the Gamma function's, except that it is 1 for n = 0.
        at_least = np.where(n > 0, special.gammainc(np.maximum(n, 1.0), mean), 1.0)
        found[i : i + _CHUNK] = ((special.pdtrc(n, mean) + at_least) / 2).min(axis=1)
    return found


if __name__ == "__main__":
    main()
