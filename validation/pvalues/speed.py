"""Print how long p-values take, and the ratios, all measured in one run on one core.

python validation/pvalues/speed.py
"""

import math
import random
import time
from collections.abc import Callable

import numpy as np

from superbin import stats, workspace
from superbin.domain.aggregate import Background

YIELDS = (40.0, 25.0, 5.0, 5.0)
ROWS = 20_000
LOOP_TOYS = 10_000
PYHF_TOYS = 100


def best(function: Callable[[], object], repeats: int = 5) -> float:
    """Shortest wall time of several calls, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def python_loop() -> float:
    """The original tool's toys, from their description: one Poisson count at a time."""
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


def main() -> None:
    """Measure and print."""
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
    }
    for name, value in seconds.items():
        print(f"{name:<30}{1e6 * value:>14.3f} us{1 / value:>16.4g} /s")
    for fast, slow in (
        ("one plain toy", "one toy of the Python loop"),
        ("one q0 toy", "one toy of pyhf"),
        ("exact midp, one scalar", "pyhf's asymptotic q0"),
        ("asymptotic Z, one scalar", "pyhf's asymptotic q0"),
    ):
        print(f"{slow} / {fast}: {seconds[slow] / seconds[fast]:.0f}")


if __name__ == "__main__":
    main()
