"""Write `reference.csv`: p-values of the one-bin models to 20 digits, by mpmath at 50 digits, on a seeded grid.

Nothing of superbin is used. Each value is the integral of the Gamma density of ln m against P(mu(z) >= m), computed
directly by mpmath's own quadrature between breakpoints dense enough for it to report an error below 1e-22; there is none of
the splitting into tails that `superbin.stats.quadrature` relies on. Every `CHECK`-th row with a small count is recomputed as
an integral over z of the incomplete gamma function, which shares no formula with the first.

Run: ``python validation/pvalues/make_reference.py [rows]`` (about half an hour for all rows).
"""

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mpmath as mp
import numpy as np
from scipy import special

mp.mp.dps = 50
TARGET = Path(__file__).with_name("reference.csv")
SEED = 20160014
CHECK = 20
Case = tuple[str, float, float, float, float]


def survival(
    model: str, b: float, up: float, down: float
) -> tuple[Callable[..., object], list[float], list[float]]:
    """P(mu >= e^t) as a function of t, its kinks, and the lengths over which it varies."""
    B, U, D = mp.mpf(b), mp.mpf(up), mp.mpf(down)

    def normal_tail(x):
        return mp.erfc(x / mp.sqrt(2)) / 2

    if b == 0:
        return (lambda t: 2 * normal_tail(mp.exp(t) / U)), [float(mp.log(U))], [1.0]
    tb = mp.log(B)
    if model == "gaussian":
        inside = normal_tail(-B / D) if D else mp.mpf(1)

        def tail(t):
            m = mp.exp(t)
            if m > B:
                return normal_tail((m - B) / U) / inside if U else mp.mpf(0)
            return (inside - normal_tail((B - m) / D)) / inside if D else mp.mpf(1)

        return tail, [float(tb)], [up / b or 1.0, down / b or 1.0]
    if model == "lognormal":
        above = below = mp.log(1 + (U + D) / 2 / B)
    else:
        above = mp.log(1 + U / B)
        below = -mp.log(1 - D / B) if down < 0.8 * b else mp.mpf(0)

    def tail(t):
        if t > tb:
            return normal_tail((t - tb) / above) if above else mp.mpf(0)
        if below:
            return normal_tail((t - tb) / below)
        return normal_tail((mp.exp(t) - B) / D) if D else mp.mpf(1)

    return tail, [float(tb)], [float(above) or 1.0, float(below) or 1.0]


def integrate(n: float, case: Case) -> object:
    """P(Gamma_n <= mu)."""
    model, _, b, up, down = case
    if b == 0 and up == 0:
        return mp.mpf(0)
    if model == "none" or (up == 0 and down == 0):
        return poisson_tail(n, b)
    if model == "gamma":
        sigma = (mp.mpf(up) + mp.mpf(down)) / 2
        tau = mp.mpf(b) / sigma**2
        return mp.betainc(mp.mpf(n), mp.mpf(b) * tau + 1, 0, 1 / (1 + tau), regularized=True)
    tail, kinks, scales = survival(model, b, up, down)
    N = mp.mpf(n)
    norm = mp.loggamma(N)

    def density(t):
        return mp.exp(N * t - mp.exp(t) - norm) * tail(t)

    total = mp.mpf(0)
    for side in (-1, 1):
        breaks = breakpoints(n, kinks[0], side, density, scales)
        if len(breaks) < 2:
            continue
        value, error = mp.quad(density, breaks, error=True, maxdegree=9)
        total += value
        if error > mp.mpf(10) ** -22 * total and side == 1:
            raise ArithmeticError(f"quadrature error {mp.nstr(error / total, 3)} for n = {n}, {case}")
    return total


def breakpoints(
    n: float, kink: float, side: int, density: Callable[..., object], scales: list[float]
) -> list[object]:
    """Panels that cover all but 1e-50 of one side, fine where the integrand varies."""
    distance = np.concatenate([[0.0], np.geomspace(1e-9, max(200.0, 140.0 / n), 260)])
    if side > 0:
        distance = distance[kink + distance < 60]
        distance = distance if distance.size else np.array([0.0])
    heights = np.array([float(log10_of(density(mp.mpf(kink + side * d)))) for d in distance])
    inside = np.flatnonzero(heights > heights.max() - 52)
    if not np.isfinite(heights.max()):
        return []
    low, high = distance[max(inside[0] - 1, 0)], distance[min(inside[-1] + 1, distance.size - 1)]
    # the geometric grid is coarse far out: trim once more on a linear one
    fine = np.linspace(low, high, 200)
    heights = np.array([float(log10_of(density(mp.mpf(kink + side * d)))) for d in fine])
    inside = np.flatnonzero(heights > heights.max() - 52)
    low, high = fine[max(inside[0] - 1, 0)], fine[min(inside[-1] + 1, fine.size - 1)]
    points = set(np.linspace(low, high, 9))
    for scale in (*scales, 1.0, 1 / np.sqrt(n)):
        points |= {scale * 3.0**j for j in range(-1, 14) if low < scale * 3.0**j < high}
    return [mp.mpf(kink) + side * mp.mpf(float(d)) for d in sorted(points, key=lambda d: side * d)]


def log10_of(value: object) -> object:
    return mp.log10(value) if value > 0 else mp.mpf(-(10**9))


def poisson_tail(n: float, b: float) -> object:
    """P(Gamma_n <= b) by its power series."""
    N, B = mp.mpf(n), mp.mpf(b)
    term = total = mp.mpf(1)
    j = 0
    while term > total * mp.mpf(10) ** -45:
        j += 1
        term *= B / (N + j)
        total += term
    return mp.exp(N * mp.log(B) - B - mp.loggamma(N + 1)) * total


def by_nuisance(n: float, case: Case) -> object:
    """The split log-normal tail as an integral over z: shares no formula with `integrate`."""
    _, _, b, up, down = case
    B, U, D = mp.mpf(b), mp.mpf(up), mp.mpf(down)

    def reached(z):
        if b == 0:
            mu = abs(z) * U
        elif z >= 0:
            mu = B * (1 + U / B) ** z
        elif down < 0.8 * b:
            mu = B * (1 - D / B) ** (-z)
        else:
            mu = max(mp.mpf(0), B + z * D)
        return mp.npdf(z) * (poisson_tail(n, mu) if mu < 3000 else 1) if mu > 0 else mp.mpf(0)

    edges = [mp.mpf(k) / 2 for k in range(-28, 80)]
    if b and down >= 0.8 * b:
        edges = [-B / D, *(e for e in edges if e > -B / D)]
    return mp.quad(reached, edges, maxdegree=7)


def tails(case: Case) -> tuple[object, object]:
    n = case[1]
    low = integrate(n, case) if n > 0 else mp.mpf(1)
    return low, (low + integrate(n + 1, case)) / 2


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
        yield ("split-lognormal", *(float(x) for x in row))
    random = np.random.default_rng(SEED)
    for _ in range(2100):
        yield ("split-lognormal", *draw(random))
    for model in ("gaussian", "gamma", "lognormal", "none"):
        for _ in range(60):
            n, b, up, down = draw(random)
            if model != "gaussian" and (b == 0 or up + down == 0):
                continue
            yield (model, n, b, up, down)


def draw(random: np.random.Generator) -> tuple[float, float, float, float]:
    """One row: the count is placed between -3 and +30 of a rough significance."""
    while True:
        b = float(10 ** random.uniform(-9, 6))
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


def main(limit: int | None) -> None:
    with TARGET.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["model", "n", "b", "up", "down", "tail", "midp"])
        for number, case in enumerate(cases()):
            if limit is not None and number >= limit:
                break
            low, middle = tails(case)
            if number % CHECK == 0 and case[0] == "split-lognormal" and 0 < case[1] < 300 and case[2] > 1e-6:
                second = by_nuisance(case[1], case)
                if abs(second / low - 1) > mp.mpf(10) ** -14:
                    raise ArithmeticError(f"two formulas differ by {mp.nstr(second / low - 1, 3)} for {case}")
            writer.writerow([case[0], *(repr(x) for x in case[1:]), mp.nstr(low, 20), mp.nstr(middle, 20)])
            stream.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
