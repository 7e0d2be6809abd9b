"""Write `reference.csv`: p-values of the one-bin models to 20 digits, by mpmath at 50 digits, on a seeded grid.

Nothing of superbin is used. Each value is the integral over t = ln m of the density of ln Gamma_n times P(mu(z) >= m),
by Gauss-Legendre panels halved until both halves add up to the whole within 1e-19; there is none of the splitting into
tails that `superbin.stats.quadrature` relies on. Every `CHECK`-th row with a small count and a log-normal lower branch is recomputed as an
integral over z of the incomplete gamma function, which shares no formula with the first.

    python validation/pvalues/make_reference.py                  all rows, into reference.csv
    python validation/pvalues/make_reference.py 400 800          rows 400 to 799, to the standard output
    python validation/pvalues/make_reference.py --check 150 7    150 random rows, chosen by seed 7, against reference.csv

Pieces in order make up the whole file (after its header), and can be made on different machines. All rows take some ten minutes with gmpy2
installed; without it, on a busy core, two hours and more. `--check` ends with the time its rows took, and an estimate for all.
"""

import csv
import functools
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import mpmath as mp
import numpy as np
import numpy.typing as npt
from scipy import special

mp.mp.dps = 50
TARGET = Path(__file__).with_name("reference.csv")
SEED = 20160014
CHECK = 50
FloatArray = npt.NDArray[np.float64]
Case = tuple[str, float, float, float, float]


def normal_tail(x: Any) -> Any:
    return mp.erfc(x / mp.sqrt(2)) / 2


def survival(model: str, b: float, up: float, down: float) -> Callable[[Any], Any]:
    """P(mu >= m) as a function of m."""
    centre, upward, downward = mp.mpf(b), mp.mpf(up), mp.mpf(down)
    if b == 0:
        return lambda m: 2 * normal_tail(m / upward)
    if model == "gaussian":
        inside = normal_tail(-centre / downward) if downward else mp.mpf(1)

        def truncated(m: Any) -> Any:
            if m > centre:
                return normal_tail((m - centre) / upward) / inside if upward else mp.mpf(0)
            return normal_tail((m - centre) / downward) / inside if downward else mp.mpf(1)

        return truncated
    if model == "lognormal":
        above = below = mp.log(1 + (upward + downward) / 2 / centre)
    else:
        above = mp.log(1 + upward / centre)
        below = -mp.log(1 - downward / centre) if down < 0.8 * b else mp.mpf(0)

    def split(m: Any) -> Any:
        if m > centre:
            return normal_tail(mp.log(m / centre) / above) if above else mp.mpf(0)
        if below:
            return normal_tail(mp.log(m / centre) / below)
        return normal_tail((m - centre) / downward) if downward else mp.mpf(1)

    return split


def integrate(case: Case) -> tuple[Any, Any]:
    """P(Gamma_n <= mu), and its mean over n and n + 1, for n > 0."""
    model, n, b, up, down = case
    if b == 0 and up == 0:
        return mp.mpf(0), mp.mpf(0)
    if model in {"none", "gamma"} or (up == 0 and down == 0):
        closed = gamma_tail if model == "gamma" else poisson_tail
        low, high = (closed(mp.mpf(n) + j, b, up, down) for j in (0, 1))
        return low, (low + high) / 2
    beyond = survival(model, b, up, down)
    count = mp.mpf(n)
    norm = mp.loggamma(count)

    def both(t: Any) -> Any:
        m = mp.exp(t)
        value = mp.exp(count * t - m - norm) * beyond(m)
        return mp.matrix([value, value * (1 + m / count) / 2])

    kink = mp.log(mp.mpf(b or up))
    finest = 0.3 * min(1.0, 1 / np.sqrt(n), *(x / (b or 1.0) for x in (up, down) if x > 0))
    panels = []
    for side in (-1, 1):
        ends = support(functools.partial(log_integrand, case, float(kink), side), finest, max(1e3, 100 / n))
        panels += [(kink + side * mp.mpf(low), kink + side * mp.mpf(high)) for low, high in ends]
    values = [rule(both, *panel) for panel in panels]
    total = mp.matrix([sum(v[0] for v in values), sum(v[1] for v in values)])
    low, mid = sum(
        (refine(both, p, v, total, 0) for p, v in zip(panels, values, strict=True)), mp.matrix([0, 0])
    )
    return low, mid


NODES = [(mp.mpf(x), mp.mpf(w)) for x, w in mp.calculus.quadrature.GaussLegendre(mp.mp).calc_nodes(4, 200)]


def rule(f: Callable[[Any], Any], a: Any, b: Any) -> Any:
    """Gauss-Legendre rule on one panel."""
    half, middle = abs(b - a) / 2, (a + b) / 2
    return sum((f(middle + half * x) * w for x, w in NODES), mp.matrix([0, 0])) * half


def refine(f: Callable[[Any], Any], panel: tuple[Any, Any], value: Any, total: Any, depth: int) -> Any:
    """Halve a panel until both halves add up to the whole."""
    a, b = panel
    halves = [(a, (a + b) / 2), ((a + b) / 2, b)]
    parts = [rule(f, *half) for half in halves]
    better = parts[0] + parts[1]
    if all(abs(better[i] - value[i]) < mp.mpf(10) ** -19 * total[i] for i in (0, 1)):
        return better
    if depth > 40:
        raise ArithmeticError(f"no convergence on {panel}")
    return sum(
        (refine(f, h, p, total, depth + 1) for h, p in zip(halves, parts, strict=True)), mp.matrix([0, 0])
    )


def log_integrand(case: Case, kink: float, side: int, distance: FloatArray) -> FloatArray:
    """Logarithm of the integrand at a distance from the kink, in float64: good enough to find the support."""
    model, n, b, up, down = case
    d = side * distance
    t = kink + d
    if b == 0:
        z = np.exp(np.minimum(d, 300))
    elif model == "gaussian" or (model == "split-lognormal" and down >= 0.8 * b and d.min() < 0):
        z = b * np.expm1(np.minimum(d, 300)) / np.where(d > 0, up or 1e-30, down or 1e-30)
    else:
        split = model == "split-lognormal"
        above = np.log1p(up / b) if split else np.log1p((up + down) / 2 / b)
        below = -np.log1p(-min(down / b, 0.9)) if split else above
        z = d / np.where(d > 0, above or 1e-30, below or 1e-30)
    with np.errstate(over="ignore", invalid="ignore"):
        height = n * t - np.exp(t) + special.log_ndtr(-z)
    return np.where(np.isnan(height), -np.inf, height)


def support(
    height: Callable[[FloatArray], FloatArray], finest: float, longest: float
) -> list[tuple[float, float]]:
    """Panels of one side that hold all but e^-60 of it, found on ever finer grids."""
    low, high = 0.0, longest
    for _ in range(12):
        grid = np.union1d(np.linspace(low, high, 3000), low + np.geomspace(1e-14, 1, 1000) * (high - low))
        heights = height(grid)
        if not np.isfinite(heights.max()):
            return []
        inside = np.flatnonzero(heights > heights.max() - 60)
        low, high = grid[max(inside[0] - 1, 0)], grid[min(inside[-1] + 1, grid.size - 1)]
    edges = set(np.linspace(low, high, 6))
    # the integrand can vary near the low end on a scale far below the length of the side
    edges |= {low + (high - low) * 4.0**-j for j in range(1, 40) if (high - low) * 4.0**-j > finest}
    return list(itertools.pairwise(sorted(edges)))


def gamma_tail(count: Any, b: float, up: float, down: float) -> Any:
    """Z_Bi: the regularised incomplete beta function I(1/(1 + tau); n, b tau + 1)."""
    if up + down == 0:
        return poisson_tail(count, b, up, down)
    tau = mp.mpf(b) / ((mp.mpf(up) + mp.mpf(down)) / 2) ** 2
    if tau > 1:
        return beta_tail(count, mp.mpf(b) * tau + 1, 1 / (1 + tau))
    digits = 320
    while True:  # the complement converges quickly; digits are added until enough survive the subtraction
        with mp.workdps(digits):
            value = 1 - beta_tail(mp.mpf(b) * tau + 1, count, tau / (1 + tau))
        if value > mp.mpf(10) ** (40 - digits):
            return value
        digits *= 3


def beta_tail(a: Any, c: Any, x: Any) -> Any:
    """I(x; a, c) by its power series."""
    term = total = mp.mpf(1)
    j = 0
    while term > total * mp.mpf(10) ** -mp.mp.dps or (a + c + j) * x > a + 1 + j:
        term *= (a + c + j) * x / (a + 1 + j)
        total += term
        j += 1
    log = mp.loggamma(a + c) - mp.loggamma(a + 1) - mp.loggamma(c) + a * mp.log(x) + c * mp.log(1 - x)
    return mp.exp(log) * total


def poisson_tail(count: Any, b: float, up: float = 0.0, down: float = 0.0) -> Any:  # noqa: ARG001 (called like gamma_tail)
    """P(Gamma_n <= b) by its power series."""
    mean = mp.mpf(b)
    term = total = mp.mpf(1)
    j = 0
    while term > total * mp.mpf(10) ** -45 or count + j < mean:
        j += 1
        term *= mean / (count + j)
        total += term
    return mp.exp(count * mp.log(mean) - mean - mp.loggamma(count + 1)) * total


def by_nuisance(n: float, case: Case) -> Any:
    """The split log-normal tail as an integral over z: shares no formula with `integrate`."""
    _, _, b, up, down = case
    centre, upward, downward = mp.mpf(b), mp.mpf(up), mp.mpf(down)

    def reached(z: Any) -> Any:
        if b == 0:
            mu = abs(z) * upward
        elif z >= 0:
            mu = centre * (1 + upward / centre) ** z
        elif down < 0.8 * b:
            mu = centre * (1 - downward / centre) ** (-z)
        else:
            mu = max(mp.mpf(0), centre + z * downward)
        return mp.npdf(z) * (poisson_tail(mp.mpf(n), mu) if mu < 3 * n + 250 else 1) if mu > 0 else mp.mpf(0)

    edges = [mp.mpf(k) / 4 for k in range(-48, 49)]
    if b and down >= 0.8 * b:
        edges = [-centre / downward, *(e for e in edges if e > -centre / downward)]
    return sum(
        sum(reached((a + b) / 2 + (b - a) / 2 * x) * w for x, w in NODES) * (b - a) / 2
        for a, b in itertools.pairwise(edges)
    )


def tails(case: Case) -> tuple[Any, Any]:
    """`tail` and `midp`."""
    model, n, b, up, down = case
    if n > 0:
        return integrate(case)
    return mp.mpf(1), (1 + integrate((model, 1.0, b, up, down))[0]) / 2


def cases() -> Iterator[Case]:
    """The seeded grid: named corners, then random rows with Z up to 30."""
    for row in (
        (40, 25, 5, 5),
        (4, 0.6, 0.5, 0.3),
        (8, 0.6, 0.5, 0.3),
        (10, 2, 1, 0.6),
        (60, 25, 5, 5),
        (1000, 700, 60, 55),
        (5200, 4940, 198, 174),
        (0, 0.5, 0.5, 0.2),
        (1e-6, 1e-9, 1e-9, 1e-10),
        (1e-3, 1e-6, 0.9, 0),
        (1, 1e-6, 0.9, 0),
        (0, 1e-6, 0.9, 0),
        (3, 1e-6, 0.9, 1e-6),
        (1e-3, 3, 2, 1),
        (0.009, 0.5, 0.5, 0.5),
        (0.01, 1e-3, 3e-3, 1e-3),
        (1e6, 9e5, 1e5, 9e4),
        (1e6, 1e6, 0, 0),
        (1e6, 995400, 0, 10),
        (3, 3, 0, 1),
        (3, 3, 1, 0),
        (5, 2, 1, 1.6),
        (2, 0, 0.5, 0),
        (0.3, 0, 1, 0),
        (30, 0, 4, 0),
        (2, 0, 0, 0),
    ):
        n, b, up, down = (float(x) for x in row)
        yield "split-lognormal", n, b, up, down
    random = np.random.default_rng(SEED)
    for _ in range(2100):
        yield ("split-lognormal", *draw(random))
    for model in ("gaussian", "gamma", "lognormal", "none"):
        for _ in range(60):
            n, b, up, down = draw(random)
            if model != "gaussian" and (b == 0 or up + down == 0):
                continue
            if model == "gamma" and (2 * b / (up + down)) ** 2 > 1e6:
                continue  # as good as none, and its series is too long
            yield (model, n, b, up, down)


def draw(random: np.random.Generator) -> tuple[float, float, float, float]:
    """One row: the count is placed between -3 and +30 of a rough significance."""
    while True:
        b = float(10 ** (random.uniform(-9, 6) if random.random() < 0.6 else random.uniform(-1.5, 3.5)))
        up = b * float(random.choice([10 ** random.uniform(-3, np.log10(3)), 0.0], p=[0.95, 0.05]))
        down = b * float(
            random.choice(
                [random.uniform(0, 0.79), random.uniform(0.8, 1), 1.0, 0.0], p=[0.7, 0.15, 0.1, 0.05]
            )
        )
        if random.random() < 0.03:
            b, up, down = 0.0, float(10 ** random.uniform(-4, 3)), 0.0
        z = random.uniform(-3, 30) if random.random() < 0.7 else random.uniform(-2, 5)
        spread = np.sqrt(b + (up if z > 0 else down) ** 2)
        n = max(
            b + z * spread, b * float(np.exp(min(z, 9) * np.log1p(up / b) * random.random())) if b else 0.0
        )
        if n < 30 and random.random() < 0.5:
            n = float(random.choice([10 ** random.uniform(-4, 1), float(random.integers(0, 12))]))
        if random.random() < 0.6:
            n = float(np.round(n))
        if 0 <= n <= 1e6 and rough_log10(n, b, up) > -200:
            return float(n), b, up, down


def rough_log10(n: float, b: float, up: float) -> float:
    """An upper bound of log10 of the tail, to keep Z below 30."""
    if n <= b or n == 0:
        return 0.0
    k = np.log1p(up / b) if b else 1.0
    z = np.linspace(0, 40, 400)
    mu = b * np.exp(k * z) if b else z * up
    with np.errstate(divide="ignore"):
        poisson = np.where(mu < n, n * np.log(np.maximum(mu, 1e-300)) - mu - special.gammaln(n + 1), 0.0)
    return float((np.minimum(poisson, 0) - 0.5 * z * z).max() / np.log(10))


def row(number: int, case: Case) -> list[str]:
    """One line of the file."""
    low, middle = tails(case)
    if (
        number % CHECK == 0
        and case[0] == "split-lognormal"
        and 0 < case[1] < 300
        and low > 1e-9
        and case[4] < 0.8 * case[2]
    ):
        second = by_nuisance(case[1], case)
        if abs(second / low - 1) > mp.mpf(10) ** -14:
            raise ArithmeticError(f"two formulas differ by {mp.nstr(second / low - 1, 3)} for {case}")
    return [case[0], *(repr(x) for x in case[1:]), mp.nstr(low, 20), mp.nstr(middle, 20)]


def write(stream: TextIO, first: int, last: int | None, *, header: bool) -> None:
    """Write the rows from `first` up to, not including, `last`."""
    writer = csv.writer(stream, lineterminator="\n")
    if header:
        writer.writerow(["model", "n", "b", "up", "down", "tail", "midp"])
    for number, case in itertools.islice(enumerate(cases()), first, last):
        writer.writerow(row(number, case))
        stream.flush()


def check(rows: int, seed: int) -> None:
    """Compute random rows again and compare them, character by character, with the file."""
    with TARGET.open(newline="") as stream:
        stored = list(csv.reader(stream))[1:]
    every = list(cases())
    if len(every) != len(stored):
        raise SystemExit(f"{TARGET.name} has {len(stored)} rows, the seeded grid {len(every)}")
    chosen = np.random.default_rng(seed).choice(len(every), rows, replace=False)
    start, different = time.perf_counter(), 0
    for number in sorted(int(i) for i in chosen):
        if row(number, every[number]) != stored[number]:
            different += 1
            print(f"row {number} differs: {row(number, every[number])} instead of {stored[number]}")
    spent = time.perf_counter() - start
    print(
        f"{rows - different} of {rows} rows identical, {spent:.0f} s; all {len(every)} would take {spent / rows * len(every):.0f} s"
    )
    if different:
        raise SystemExit(1)


def main(arguments: list[str]) -> None:
    """Write all, write a piece, or check a sample."""
    if arguments[:1] == ["--check"]:
        check(int(arguments[1]), int(arguments[2]))
    elif arguments:
        write(sys.stdout, int(arguments[0]), int(arguments[1]), header=False)
    else:
        with TARGET.open("w", newline="") as stream:
            write(stream, 0, None, header=True)


if __name__ == "__main__":
    main(sys.argv[1:])
