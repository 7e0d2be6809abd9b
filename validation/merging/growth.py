"""How time and memory of a merge grow from 100 to 5000 bins, and what happens at sizes that enumeration cannot reach.

    nice python validation/merging/growth.py

writes ``GROWTH.md`` and ``growth-sizes.png`` beside this file. Every size runs in a process of its own, so that its peak memory is
its own. The searches are regular grids in jets, b jets, HT and MHT with backgrounds that fall as they do in the packaged search, and
signals of three kinds: concentrated at large values, in the middle, and scattered at random over all bins, which no model
is but which is the hardest text.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from superbin.domain.search import Observable, Search
from superbin.domain.signal import SignalModel
from superbin.merge import optimize

HERE = Path(__file__).parent
GRIDS = {
    100: (5, 2, 5, 2),
    160: (4, 4, 5, 2),
    300: (5, 3, 5, 4),
    640: (5, 4, 8, 4),
    1200: (6, 4, 10, 5),
    2400: (8, 5, 10, 6),
}
GRIDS |= {5000: (10, 5, 10, 10), 5760: (12, 6, 8, 10)}
KINDS = ("tail", "middle", "scattered")
FIGURES = ("profile_asimov", "midp")
REPEATS = {"profile_asimov": 5, "midp": 1}


def grid(*bins: int) -> Search:
    """A regular grid with a falling background, uncertain by a tenth to a half and the root of a simulated sample."""
    at = np.stack([axis.ravel() for axis in np.meshgrid(*map(range, bins), indexing="ij")], axis=1)
    share = at / np.maximum(np.array(bins) - 1, 1)
    b = 2000 * 160 / len(at) * np.exp(-share @ np.array([2.5, 2.0, 3.0, 3.5]))
    error = np.hypot(0.1 * b * (1 + 4 * share[:, 3]), 0.5 * np.sqrt(b))
    edges: dict[str | Observable, object] = {
        Observable("njet", "jets", discrete=True): (at[:, 0] + 2.0, at[:, 0] + 2.0),
        Observable("nb", "b jets", discrete=True): (at[:, 1] + 0.0, at[:, 1] + 0.0),
        Observable("ht", "HT", "GeV"): (100.0 * at[:, 2] + 300, 100.0 * at[:, 2] + 400),
        Observable("mht", "MHT", "GeV"): (50.0 * at[:, 3] + 300, 50.0 * at[:, 3] + 350),
    }
    return Search.from_arrays(
        f"grid-{len(at)}",
        observed=np.rint(b),
        background=b,
        error=(error, np.minimum(error, b)),
        luminosity_fb=100,
        edges=edges,
    )


def signal(search: Search, kind: str) -> SignalModel:
    """Forty events, concentrated in the tail, in the middle, or over all bins at random."""
    n = search.n_bins
    share = (search.low - search.low.min(axis=0)) / np.ptp(search.low, axis=0)
    centre = np.array({"tail": (0.7, 0.8, 0.9, 0.9), "middle": (0.5, 0.5, 0.4, 0.5)}.get(kind, (0.5,) * 4))
    weight = np.exp(-((share - centre) ** 2).sum(axis=1) / (2 * 0.2**2))
    rng = np.random.default_rng(n)
    # No simulation is without fluctuations.
    weight *= rng.gamma(20, 1 / 20, n)
    if kind == "scattered":
        weight = rng.exponential(1, n)
    yields = 40 * weight / weight.sum()
    return SignalModel(kind, {}, search.name, yields, np.zeros(n))


def measure(size: int) -> list[dict[str, Any]]:
    """CPU seconds of every figure of merit and kind of signal, of the least of some runs."""
    search = grid(*GRIDS[size])
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        model = signal(search, kind)
        for figure in FIGURES:
            seconds = []
            for _ in range(REPEATS[figure] + (size < 1000)):
                start = time.process_time()
                merge = optimize(search, model, figure_of_merit=figure)
                seconds.append(time.process_time() - start)
            rows.append(
                {
                    "size": size,
                    "kind": kind,
                    "figure": figure,
                    "seconds": min(seconds),
                    "bins": len(merge.bins),
                    "selections": len(merge.cuts),
                    "value": merge.value,
                    "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, help="measure one size and print it as JSON")
    parser.add_argument("--sizes", type=int, nargs="*", default=[size for size in GRIDS if size != 5760])
    arguments = parser.parse_args()
    if arguments.size is not None:
        print(json.dumps(measure(arguments.size)))
        return
    rows = []
    for size in arguments.sizes:
        command = [sys.executable, str(Path(__file__).resolve()), "--size", str(size)]
        rows += json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    _draw(rows)
    (HERE / "GROWTH.md").write_text(_report(rows), encoding="utf-8")


def _report(rows: list[dict[str, Any]]) -> str:
    base = {(row["kind"], row["figure"]): row["seconds"] for row in rows if row["size"] == 160}
    lines = [
        "# Growth with the number of bins",
        "",
        "Written by `growth.py`: regular grids, CPU time of a whole call of `optimize` with greedy baseline and text, on a machine that did",
        "other work. Memory is the peak of a process that made all calls of a size.",
        "",
        "| bins | signal | figure of merit | time | of 160 bins | bins chosen | selections | memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = row["seconds"] / base[row["kind"], row["figure"]] if base else float("nan")
        lines.append(
            f"| {row['size']} | {row['kind']} | {row['figure']} | {1e3 * row['seconds']:.0f} ms | {ratio:.1f} "
            f"| {row['bins']} | {row['selections']} | {row['memory_mb']:.0f} MB |"
        )
    return "\n".join([*lines, "", "![growth](growth-sizes.png)", ""])


def _draw(rows: list[dict[str, Any]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
    for name in FIGURES:
        for kind in KINDS:
            some = [row for row in rows if (row["figure"], row["kind"]) == (name, kind)]
            axes.loglog(
                [r["size"] for r in some], [r["seconds"] for r in some], marker="o", label=f"{name}, {kind}"
            )
    axes.set(xlabel="number of bins", ylabel="CPU seconds")
    axes.legend(fontsize="small")
    figure.savefig(HERE / "growth-sizes.png", dpi=100)


if __name__ == "__main__":
    main()
