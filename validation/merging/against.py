"""What merges and points of a scan cost beside another version of superbin: CPU times in one run, and their ratios.

Two processes, one for each version, do the same work in turn, so that both meet the same machine. The work is done on one
thread, a few times; the least CPU time of each task counts, and the ratio is that of the sums over the signals. The signals are
those of this version, in both. The other version is given by its ``src`` folder, for example of ``git worktree add ../old e0f0d26``.

    python validation/merging/against.py ../old/src [--rounds N] [--only TASK ...]
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__)
NOW = HERE.parents[2] / "src"

SIGNALS = (
    ("T1bbbb", 1750, 1),
    ("T1bbbb", 1000, 900),
    ("T1bbbb", 1500, 800),
    ("T1tttt", 1500, 100),
    ("T1qqqq", 1400, 100),
    ("T2bb", 750, 450),
)


def dump(path: Path) -> None:
    """Write the signals for both sides."""
    from superbin import open_catalog

    with open_catalog() as catalog:
        search = catalog.search("cms-pas-sus-16-014")
        yields = [catalog.signal(search, model, masses).yields for model, *masses in SIGNALS]
    np.save(path, np.array(yields))


def tasks(path: Path) -> dict[str, Callable[[int], Any]]:
    """What is timed, as functions of the number of the signal; written for the interfaces of both versions."""
    from superbin import merge, open_catalog
    from superbin.scan.point import Settings, prepare, scan_point

    try:
        from superbin.domain.correlations import covariances
        from superbin.domain.signal import SignalModel
    except ImportError:  # the version of e0f0d26
        from superbin.correlations import covariances  # type: ignore[import-not-found, no-redef]
        from superbin.signal import SignalModel  # type: ignore[import-not-found, no-redef]
    with open_catalog(None) as catalog:
        search = catalog.search("cms-pas-sus-16-014")
    signals = [
        SignalModel(model, {"m_mother": mother, "m_lsp": lsp}, search.name, yields, 0.05 * yields)
        for (model, mother, lsp), yields in zip(SIGNALS, np.load(path), strict=True)
    ]
    try:
        covariance = covariances(search, "likelihood")[0]
        plain: Any = Settings(simplify=0.0)
        simplified: Any = Settings(simplify=0.005)
    except TypeError:  # nothing is simplified in that version
        covariance = covariances(search, "likelihood")[0]
        plain = simplified = Settings()
    shared = {id(s): prepare(search, s) for s in (plain, simplified)}
    return {
        "scan point": lambda i: scan_point(signals[i], shared[id(simplified)]),
        "scan point, --simplify 0": lambda i: scan_point(signals[i], shared[id(plain)]),
        "optimize midp": lambda i: merge.optimize(search, signals[i]),
        "optimize midp, correlated": lambda i: merge.optimize(search, signals[i], covariance=covariance),
        "optimize Z_G": lambda i: merge.optimize(search, signals[i], figure_of_merit="profile_asimov"),
        "optimize Z_G, correlated": lambda i: merge.optimize(
            search, signals[i], figure_of_merit="profile_asimov", covariance=covariance
        ),
        "optimize limit": lambda i: merge.optimize(search, signals[i], figure_of_merit="limit"),
        "two rectangles, correlated": lambda i: merge.optimize(
            search, signals[i], shape="two rectangles", covariance=covariance
        ),
        "trade-offs, correlated": lambda i: merge.trade_offs(search, signals[i], covariance=covariance),
    }


def forget() -> None:
    """Empty what remembers the text of a merge: another signal has another one."""
    module = importlib.import_module("superbin.merge.cuts")
    for name in ("_cover", "_count", "_boxes", "_remembered"):
        clear = getattr(getattr(module, name, None), "cache_clear", None)
        if clear is not None:
            clear()


def serve(path: Path) -> None:
    """Answer every line (task, signal) with CPU seconds, after one call that fills caches."""
    known = tasks(path)
    seen: set[str] = set()
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        name, number = json.loads(line)
        if name not in seen:
            known[name](number)
            seen.add(name)
        forget()
        start = time.process_time()
        known[name](number)
        print(time.process_time() - start, flush=True)


class Side:
    """A process of one version."""

    def __init__(self, source: Path, signals: Path) -> None:
        environment = os.environ | {
            "PYTHONPATH": str(source),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            # Databases of different versions do not read one another.
            "SUPERBIN_DATABASE": str(signals.with_name(f"{abs(hash(source))}.sqlite")),
        }
        self._process = subprocess.Popen(
            [sys.executable, str(HERE), "--serve", str(signals)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.tasks = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def cost(self, task: str, number: int) -> float:
        """CPU seconds of one call."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([task, number]) + "\n")
        self._process.stdin.flush()
        return float(self._answer())

    def end(self) -> None:
        """Close the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, nargs="?", help="src folder of the other version")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    if options.other is None:
        parser.error("give the src folder of the other version")
    with tempfile.TemporaryDirectory() as folder:
        signals = Path(folder) / "signals.npy"
        dump(signals)
        sides = [Side(source, signals) for source in (options.other.resolve(), NOW)]
        print(
            "| task | other, ms | now, ms | ratio | lowest and highest of a signal |\n|---|---|---|---|---|"
        )
        for task in options.only or sides[1].tasks:
            costs = np.array(
                [
                    [[side.cost(task, i) for side in sides] for i in range(len(SIGNALS))]
                    for _ in range(options.rounds)
                ]
            ).min(axis=0)
            before, after = 1e3 * costs.mean(axis=0)
            each = costs[:, 1] / costs[:, 0]
            print(
                f"| {task} | {before:.1f} | {after:.1f} | {after / before:.2f} | {each.min():.2f}, {each.max():.2f} |",
                flush=True,
            )
        for side in sides:
            side.end()


if __name__ == "__main__":
    main()
