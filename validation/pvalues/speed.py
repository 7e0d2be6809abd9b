"""Print the CPU time that p-values and limits take, and the ratios, all measured in one run on one core.

    python validation/pvalues/speed.py [--before FOLDER]

`FOLDER` is the ``src`` of another version of superbin, such as that before limits were sums:

    git worktree add ../before 7cb621b && python validation/pvalues/speed.py --before ../before/src

Its limits are measured in turns with those of this version, in processes of their own, by the CPU time they take.
"""

import argparse
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from superbin import stats, workspace
from superbin.domain.aggregate import Background

YIELDS = (40.0, 25.0, 5.0, 5.0)
ROWS = 20_000
LOOP_TOYS = 10_000
PYHF_TOYS = 100
PYHF_POINTS = 8
"""Signals at which a search for the limit asks for CLs, at least."""


def best(function: Callable[[], object], repeats: int = 5) -> float:
    """Shortest CPU time of several calls, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def python_loop() -> float:
    """The CMS Mini Analysis Tool's toys, from their description: one Poisson count at a time."""
    source = random.Random(1)
    above = equal = 0
    for _ in range(LOOP_TOYS):
        z = source.gauss(0, 1)
        mean = 25 * (1.2**z if z >= 0 else 0.8**-z)
        count, product, floor = 0, source.random(), math.exp(-mean)
        while product > floor:
            count, product = count + 1, product * source.random()
        above, equal = above + (count > 40), equal + (count == 40)
    return (above + 0.5 * equal) / LOOP_TOYS


def pyhf_toys() -> object:
    """Background-only toys of pyhf's ToyCalculator."""
    import pyhf

    document = workspace.background_only(YIELDS[0], Background(*YIELDS[1:]))
    space = pyhf.Workspace(document)
    model = space.model()
    calculator = pyhf.infer.calculators.ToyCalculator(
        space.data(model), model, test_stat="q0", ntoys=PYHF_TOYS, track_progress=False
    )
    # Both hypotheses are thrown: 2 x PYHF_TOYS fits.
    return calculator.distributions(0.0)


LIMITS = """
import time
import numpy as np
from superbin.stats import counts, limits
{setup}
def best(function, repeats=7):
    times = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range({loops}):
            function()
        times.append((time.process_time() - start) / {loops})
    return min(times)
print(best(lambda: six(0.0)), best(lambda: six(0.2)))
"""
BEFORE = """
def six(x):
    q = counts.quantile(counts.BANDS, 25, 5, 5)
    return limits.cls_limit(np.append(q, 40), 25, 5, 5, signal_uncertainty=x)
"""
NOW = """
def six(x):
    return limits.compare_limits(40, 25, 5, 5, signal_uncertainty=x, methods=("cls",))
"""


def six_limits(source: str, setup: str, loops: int) -> tuple[float, float]:
    """CPU seconds of observed and five expected limits, without and with an uncertain signal, by the superbin in a folder."""
    program = LIMITS.format(setup=setup, loops=loops)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": source},
        check=True,
        capture_output=True,
        text=True,
    )
    sharp, uncertain = map(float, done.stdout.split())
    return sharp, uncertain


def compare_with(before: Path, turns: int = 3) -> None:
    """Print the ratio to another version, each measured in turns."""
    here = str(Path(__file__).parents[2] / "src")
    old = [six_limits(str(before.resolve()), BEFORE, 2) for _ in range(turns)]
    new = [six_limits(here, NOW, 20) for _ in range(turns)]
    for i, name in enumerate(("signal known", "signal uncertain by 0.2")):
        slow, fast = min(x[i] for x in old), min(x[i] for x in new)
        print(
            f"six exact limits, {name}: before {1e3 * slow:.2f} ms, now {1e3 * fast:.2f} ms, ratio {slow / fast:.0f}"
        )


def pyhf_limit(toys: int) -> Callable[[], object]:
    """One step of a limit with bands by pyhf's toys: CLs of one signal, observed and expected."""

    def one() -> object:
        document = workspace.background_only(YIELDS[0], Background(*YIELDS[1:]))
        return workspace.toy_cls(document, 29.0, toys=toys)

    return one


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="src folder of another version")
    given = parser.parse_args()
    if given.before is not None:
        compare_with(given.before)
    generator = np.random.default_rng(1)
    b = 10 ** generator.uniform(-1.5, 2, ROWS)
    up, down = b * generator.uniform(0.05, 0.8, ROWS), b * generator.uniform(0.05, 0.7, ROWS)
    n = np.round(b + generator.uniform(0, 6, ROWS) * np.sqrt(b + up * up)) + 1
    document = workspace.background_only(YIELDS[0], Background(*YIELDS[1:]))
    plain = 1_000_000
    seconds = {
        "exact midp, one of an array": best(lambda: stats.midp(n, b, up, down), 3) / ROWS,
        "exact midp, one scalar": best(lambda: stats.midp(*YIELDS), 50),
        "asymptotic Z, one scalar": best(lambda: stats.asymptotic_z(*YIELDS), 50),
        "one plain toy": best(lambda: stats.throw(*YIELDS, toys=plain), 3) / plain,
        "one q0 toy": best(lambda: stats.throw_q0(*YIELDS, toys=50_000), 3) / 50_000,
        "one toy of the Python loop": best(python_loop, 2) / LOOP_TOYS,
        "pyhf's asymptotic q0": best(lambda: workspace.asymptotic_q0(document), 3),
        "one toy of pyhf": best(pyhf_toys, 1) / (2 * PYHF_TOYS),
        "p0, exact": best(lambda: stats.p0(*YIELDS), 20),
        "p0 by 1e5 toys": best(lambda: stats.throw_q0(*YIELDS, toys=100_000), 3),
        "LHC limit, observed": best(lambda: stats.limits.lhc_limit(*YIELDS), 5),
        "LHC limit with bands": best(
            lambda: (stats.limits.lhc_limit(*YIELDS), stats.limits.expected_lhc_limits(*YIELDS[1:])), 3
        ),
        "exact limit with bands": best(lambda: stats.limits.compare_limits(*YIELDS, methods=("cls",)), 20),
        "one CLs by pyhf's 400 toys": best(pyhf_limit(400), 1),
    }
    seconds["a p-value by 1e4 toys of the Python loop"] = LOOP_TOYS * seconds["one toy of the Python loop"]
    seconds[f"a limit by {PYHF_POINTS} of those"] = PYHF_POINTS * seconds["one CLs by pyhf's 400 toys"]
    for name, value in seconds.items():
        print(f"{name:<42}{1e6 * value:>14.3f} us{1 / value:>16.4g} /s")
    for fast, slow in (
        ("one plain toy", "one toy of the Python loop"),
        ("one q0 toy", "one toy of pyhf"),
        ("exact midp, one scalar", "pyhf's asymptotic q0"),
        ("asymptotic Z, one scalar", "pyhf's asymptotic q0"),
        ("exact midp, one scalar", "a p-value by 1e4 toys of the Python loop"),
        ("p0, exact", "p0 by 1e5 toys"),
        ("LHC limit with bands", "one CLs by pyhf's 400 toys"),
        ("LHC limit with bands", f"a limit by {PYHF_POINTS} of those"),
    ):
        print(f"{slow} / {fast}: {seconds[slow] / seconds[fast]:.0f}")


if __name__ == "__main__":
    main()
