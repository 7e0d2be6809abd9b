"""Check certificates with other arithmetic: their cells or boxes, one by one, with mpmath.

A certificate is a list of settled cells with their multipliers; with correlations, of settled boxes with their planes. Two things make it a proof, and both
are looked at here without any code of `superbin.merge.cells`, `superbin.merge.planes` or `superbin.merge.tails`:

* every set is in a cell: of the small problems all sets are looked up, of the full ones sets near the optimum and random ones;
* no set of a cell exceeds its bound: the bound on the signal is summed again from the exported multipliers in interval arithmetic
  (`mpmath.iv`), and the mid-p-value of that signal is integrated with 20 digits at nine points of the box, its corners among them. None may
  exceed the bound. With correlations, what is left of the covariance without the exported own variances is shown to be a covariance by a Cholesky
  decomposition with 30 digits.

``python validation/merging/second_opinion.py`` prints the table of ``CERTIFICATES.md``.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

import mpmath
import numpy as np
from mpmath import iv, mp

from superbin import open_catalog
from superbin.domain.aggregate import bin_sums
from superbin.domain.correlations import covariances
from superbin.domain.merits import MERITS
from superbin.merge.archive import Archive
from superbin.merge.branch import Limits
from superbin.merge.cells import Cells, cell_bound
from superbin.merge.constraints import Constraints, rules
from superbin.merge.planes import Settled, exact_bound, plane_bound
from superbin.merge.problem import Problem, problem_from

sys.path.insert(0, str(Path(__file__).parent))
from certificates import SEARCH, drawn  # type: ignore[import-not-found]

SMALL = 5
FEW = 5
"""Cells of so few free bins are searched, not bounded."""


def mean(z: mpmath.mpf, b: mpmath.mpf, up: mpmath.mpf, down: mpmath.mpf) -> mpmath.mpf:
    """The background's mean, as `specs/statistics.md` defines it."""
    if b == 0:
        return abs(z) * up
    if z >= 0:
        return b * (1 + up / b) ** z
    return b * (1 - down / b) ** (-z) if down < mp.mpf("0.8") * b else max(mp.mpf(0), b + z * down)


def midp(n: float, b: float, up: float, down: float) -> mpmath.mpf:
    """The mid-p-value, integrated over z."""
    count, yields = mp.mpf(n), [mp.mpf(x) for x in (b, up, down)]

    def integrand(z: mpmath.mpf) -> mpmath.mpf:
        mu = mean(z, *yields)
        if mu == 0:
            return mp.mpf(0)
        tails = [mp.gammainc(k, 0, mu, regularized=True) for k in (count, count + 1)]
        return mp.npdf(z) * (tails[0] + tails[1]) / 2

    corners: list[float] = [-10, -5, -2, 0, 1, 2, 3, 5, 7, 10]
    if down >= 0.8 * b > 0:
        corners = sorted({*corners, -b / down})
    return mp.quad(integrand, corners, maxdegree=5)


def significance(p: mpmath.mpf) -> mpmath.mpf:
    """Z of a p-value."""
    return mp.sqrt(2) * mp.erfinv(1 - 2 * p)


def signal_at_most(problem: Problem, cells: Cells, i: int, point: tuple[float, float]) -> float:
    """The signal that a cell's multipliers leave a set of this background and upward variance, the upper end of an interval."""
    t = [iv.mpf(float(x)) for x in cells.multipliers[i]]
    columns = (problem.signal, problem.background, problem.variance_up, problem.variance_down)
    total = iv.mpf(0)
    for j, kind in enumerate(cells.state[i]):
        if kind < 0:
            continue
        s, *others = (iv.mpf(float(column[j])) for column in columns)
        score = s - sum((x * y for x, y in zip(t, others, strict=False)), iv.mpf(0))
        total += score if kind > 0 else iv.mpf([max(score.a, 0), max(score.b, 0)])
    downward = cells.high[i][2] if cells.multipliers[i][2] > 0 else cells.low[i][2]
    total += sum((x * iv.mpf(float(y)) for x, y in zip(t, (*point, downward), strict=False)), iv.mpf(0))
    return float(total.b)


def looked_at(problem: Problem, record: list[Cells], bound: float, sample: int) -> tuple[int, int, float]:
    """Cells, those re-evaluated, and by how much their figures stay below the bound at least."""
    every = [(cells, i) for cells in record for i in range(len(cells)) if (cells.state[i] == 0).sum() > FEW]
    # Those that come closest to the bound, and some others.
    every.sort(key=lambda cell: -cell[0].bound[cell[1]])
    rng = np.random.default_rng(0)
    rest = rng.permutation(np.arange(sample // 2, len(every)))[: sample - sample // 2]
    pick = [*range(min(sample // 2, len(every))), *rest.tolist()]
    closest = np.inf
    for cells, i in (every[k] for k in pick):
        low, high = cells.low[i], cells.high[i]
        for f, g in itertools.product((0.0, 0.5, 1.0), repeat=2):
            b, v = low[0] + f * (high[0] - low[0]), max(low[1] + g * (high[1] - low[1]), 0.0)
            signal = min(signal_at_most(problem, cells, i, (b, v)), float(cells.signal[i]) * (1 + 1e-12))
            if signal <= 0:
                continue
            z = float(significance(midp(signal + b, b, np.sqrt(v), min(np.sqrt(high[2]), b))))
            # Below one, the figure of merit is smaller than one, too.
            closest = min(closest, bound / max(z, 1.0) - 1)
    return len(every), len(pick), closest


def covered(problem: Problem, record: list[Cells], sets: np.ndarray) -> int:
    """How many of the sets are in no cell."""
    points = sets @ np.stack([problem.background, problem.variance_up, problem.variance_down], axis=1)
    missing = np.ones(len(sets), dtype=bool)
    for cells in record:
        for i in range(len(cells)):
            rows = np.flatnonzero(missing)
            inside = (points[rows] >= cells.low[i] * (1 - 1e-8)).all(axis=1) & (
                points[rows] <= cells.high[i] * (1 + 1e-8)
            ).all(axis=1)
            rows = rows[inside]
            if rows.size:
                fits = ((cells.state[i] == 0) | (sets[rows] == (cells.state[i] > 0))).all(axis=1)
                missing[rows[fits]] = False
    return int(missing.sum())


def plane_signal(problem: Problem, settled: Settled, i: int, point: tuple[float, float]) -> float:
    """The signal that the plane of a box leaves a set of this background and upward variance, the upper end of an interval."""
    covariance = problem.covariance_up
    assert covariance is not None
    c, d = iv.mpf(float(settled.c[i])), iv.mpf(float(settled.d[i]))
    w, own = settled.fractions[i], settled.own[i]
    touched = np.flatnonzero(w)
    fractions = {int(k): iv.mpf(float(w[k])) for k in touched}
    total = c * iv.mpf(point[0]) + d * iv.mpf(point[1])

    def pushed(j: int) -> mpmath.iv.mpf:
        row = sum((iv.mpf(float(covariance[j, k])) * x for k, x in fractions.items()), iv.mpf(0))
        return row - iv.mpf(float(own[j])) * fractions.get(j, iv.mpf(0))

    for j in np.flatnonzero(settled.state >= 0):
        push = iv.mpf(float(own[j])) + 2 * pushed(int(j))
        score = iv.mpf(float(problem.signal[j])) - c * iv.mpf(float(problem.background[j])) - d * push
        total += score if settled.state[j] > 0 else iv.mpf([max(score.a, 0), max(score.b, 0)])
    total += d * sum((x * pushed(k) for k, x in fractions.items()), iv.mpf(0))
    return float(total.b)


def is_covariance(problem: Problem, settled: Settled, i: int) -> bool:
    """Whether the covariance less the own variances is positive semidefinite where sets and fractions differ."""
    assert problem.covariance_up is not None
    w, own = settled.fractions[i], settled.own[i]
    some = np.flatnonzero((own > 0) | ((w > 0) & (w < 1)) | (settled.state == 0))
    matrix = problem.covariance_up[np.ix_(some, some)]
    with mp.workdps(30):
        rows: list[list[mpmath.mpf]] = []
        for j in range(some.size):
            row: list[mpmath.mpf] = []
            for k in range(j + 1):
                left = mp.mpf(float(matrix[j, k])) - (mp.mpf(float(own[some[j]])) if j == k else 0)
                left -= mp.fdot(row, rows[k][:k]) if k < j else mp.fdot(row, row)
                if j == k:
                    if left < 0:
                        return False
                    row.append(mp.sqrt(left))
                else:
                    row.append(left / rows[k][k] if rows[k][k] else mp.mpf(0))
            rows.append(row)
    return True


def largest_down(problem: Problem, variance: float) -> float:
    """No set of this upward variance has a larger downward uncertainty."""
    up, down = problem.covariance_up, problem.covariance_down
    assert up is not None
    assert down is not None
    some = np.diag(up) > 0
    ratio = float((np.diag(down)[some] / np.diag(up)[some]).max())
    return float(np.sqrt(ratio * variance + np.maximum(down - ratio * up, 0.0).sum()))


def planes_looked_at(
    problem: Problem, record: list[Settled], bound: float, sample: int
) -> tuple[int, int, float]:
    """Boxes, those re-evaluated, and by how much their figures stay below the bound at least."""
    every = [(settled, i) for settled in record for i in range(len(settled.c))]
    rng = np.random.default_rng(0)
    # Near the best background and variance the figures are closest to the bound.
    pick = rng.permutation(len(every))[: min(sample, len(every))].tolist()
    pick += list(range(len(every)))[-sample:]
    pick = sorted(set(pick))
    closest, shown = np.inf, set()
    for settled, i in (every[k] for k in pick):
        if settled.own[i].tobytes() not in shown:
            shown.add(settled.own[i].tobytes())
            assert is_covariance(problem, settled, i)
        low, high = settled.low[i], settled.high[i]
        origin = plane_signal(problem, settled, i, (0.0, 0.0))
        for f, g in itertools.product((0.0, 0.5, 1.0), repeat=2):
            b, v = low[0] + f * (high[0] - low[0]), max(low[1] + g * (high[1] - low[1]), 0.0)
            signal = (origin + float(settled.c[i]) * b + float(settled.d[i]) * v) * (1 + 1e-12)
            if signal <= 0:
                continue
            z = float(significance(midp(signal + b, b, np.sqrt(v), min(largest_down(problem, v), b))))
            closest = min(closest, bound / max(z, 1.0) - 1)
    return len(every), len(pick), closest


def planes_cover(problem: Problem, record: list[Settled], sets: np.ndarray) -> int:
    """How many of the sets are in no box."""
    w = sets.astype(np.float64)
    assert problem.covariance_up is not None
    variance = np.einsum("ij,ij->i", w @ problem.covariance_up, w)
    points = np.stack([w @ problem.background, variance], axis=1)
    missing = np.ones(len(sets), dtype=bool)
    for settled in record:
        rows = np.flatnonzero(missing)
        agrees = np.logical_or(settled.state == 0, sets[rows] == (settled.state > 0))
        rows = rows[agrees.all(axis=1)]
        if rows.size:
            low, high = settled.low * (1 - 1e-8) - 1e-12, settled.high * (1 + 1e-8) + 1e-12
            inside = (points[rows, None, :] >= low).all(axis=2) & (points[rows, None, :] <= high).all(axis=2)
            missing[rows[np.any(inside, axis=1)]] = False
    return int(missing.sum())


def checked(name: str, problem: Problem, gap: float, sample: int, sets: np.ndarray | None) -> None:
    """One row of the table."""
    allowed = rules(problem, Constraints()).with_signal(problem)
    archive = Archive(problem, MERITS["midp"], allowed)
    archive.evaluate(np.eye(problem.n_bins, dtype=bool))
    exact_bound(archive, MERITS["midp"].largest, allowed, Limits(gap=gap, nodes=10**9, seconds=20))
    limits = Limits(gap=gap, nodes=10**9, seconds=600)
    correlated = problem.covariance_up is not None
    cells: list[Cells] = []
    boxes: list[Settled] = []
    if correlated:
        found = plane_bound(archive, MERITS["midp"].largest, allowed, limits, record=boxes)
    else:
        found = cell_bound(archive, MERITS["midp"].largest, allowed, limits, record=cells)
    assert found.complete
    best = archive.best[0]
    if sets is None:
        rng = np.random.default_rng(1)
        useful = np.flatnonzero(allowed.possible)
        near = np.repeat(best[None, :], 3000, axis=0)
        for row in near:
            flip = rng.choice(useful, rng.integers(0, 8))
            row[flip] ^= True
        sparse = (
            rng.uniform(size=(3000, problem.n_bins)) < rng.uniform(0, 1, 3000)[:, None] ** 2
        ) & allowed.possible
        sets = np.concatenate([near, sparse])
    sets = sets[(sets & (problem.signal > 0)).any(axis=1) & ~(sets & ~allowed.possible).any(axis=1)]
    start = time.process_time()
    if correlated:
        count, evaluated, closest = planes_looked_at(problem, boxes, found.bound, sample)
        missing = planes_cover(problem, boxes, sets)
    else:
        count, evaluated, closest = looked_at(problem, cells, found.bound, sample)
        missing = covered(problem, cells, sets)
    print(
        f"| {name} | {archive.best[1]:.6f} | {found.bound:.6f} | {count} | {evaluated} | {closest:.1e} | {len(sets)} | {missing} "
        f"| {time.process_time() - start:.0f} |",
        flush=True,
    )
    assert closest > -1e-9
    assert missing == 0


def main() -> None:
    """The small problem and a full one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sample", type=int, default=60, help="Cells of each problem that are evaluated again."
    )
    sample = parser.parse_args().sample
    mp.dps = 20
    print(
        "| problem | best found | bound | cells | evaluated again | least distance below the bound | sets looked up | in no cell | CPU s |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    every = ((np.arange(1, 1 << 14)[:, None] >> np.arange(14)) & 1).astype(bool)
    for kind in ("plain", "correlated"):
        small = drawn(np.random.default_rng(SMALL), kind, 14)
        checked(f"14 random bins, {kind}", small, 1e-3, sample, every)
    with open_catalog() as catalog:
        search = catalog.search(SEARCH)
        signal = catalog.signal(search, "T1bbbb", (1750.0, 1.0))
    sums = bin_sums(search, signal)
    checked("T1bbbb(1750, 1), 160 bins", problem_from(sums), 0.01, sample, None)
    likelihood = problem_from(sums, covariances(search, "likelihood")[0])
    checked("T1bbbb(1750, 1), 160 bins, likelihood", likelihood, 0.01, sample, None)


if __name__ == "__main__":
    main()
