"""How fast pseudo-experiments of a whole search are, and what global p-values depend on.

Run as ``python validation/chance/measure.py``; prints the tables of REPORT.md. Rates are per second of CPU time on one core.

* Rates over the 3900 rectangles of the packaged search and over 7000 of a finer one, beside two other ways in the same run:
  a matrix product of counts and sets, and a loop over experiments in plain NumPy.
* The global p-value of the packaged search's most significant rectangle under other pseudo-experiments.
* How often aggregates exceed a local significance under background alone, against what it promises.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from superbin.analysis import likelihood_covariance
from superbin.catalog import read_folder
from superbin.chance.ensemble import Ensemble, FittedBackground, fitted_background, split_lognormal
from superbin.chance.local import Family, family, smallest_counts
from superbin.chance.throw import CHUNK, Climb, merge, throw_chunk
from superbin.likelihood import packaged
from superbin.likelihood.fit import single_threaded
from superbin.merge.rectangles import rectangles
from superbin.search import Search
from superbin.stats.toys import stream

DATA = Path(__file__).parents[2] / "src" / "superbin" / "data" / "cms-pas-sus-16-014"
LADDER = np.arange(1.0, 5.01, 0.25)
BLOCK = 256


def cpu(work: Callable[[], object], seconds: float = 3.0) -> float:
    """CPU seconds of one call, after one to warm up."""
    work()
    start, calls = time.process_time(), 0
    while time.process_time() - start < seconds:
        work()
        calls += 1
    return (time.process_time() - start) / calls


def rates(name: str, tried: Family, expected: np.ndarray, ensemble: Ensemble) -> None:
    start = time.process_time()
    climb = Climb.prepare(tried, expected, LADDER)
    prepared = time.process_time() - start
    counts = ensemble.draw(stream(0, 0), BLOCK)
    thresholds = smallest_counts(tried, LADDER)
    matrix = tried.sets.T.astype(np.float32)
    wanted = thresholds.astype(np.float32)

    def product() -> np.ndarray:
        sums = counts.T.astype(np.float32) @ matrix
        level = np.zeros(BLOCK, dtype=int)
        for rung in wanted:
            level += (sums >= rung).any(axis=1)
        return level

    def loop() -> list[int]:
        return [
            int(sum((column[None, :] * tried.sets).sum(axis=1).__ge__(rung).any() for rung in thresholds))
            for column in counts.T[:8]
        ]

    assert np.array_equal(product(), climb.rungs(counts))
    assert loop() == product()[:8].tolist()
    draw = cpu(lambda: ensemble.draw(stream(0, 1), BLOCK)) / BLOCK
    test = cpu(lambda: climb.rungs(counts)) / BLOCK
    whole = cpu(lambda: throw_chunk(climb, ensemble, index=0, toys=CHUNK, seed=0)) / CHUNK
    other = cpu(product) / BLOCK
    plain = cpu(loop) / 8
    print(
        f"{name}: {len(tried)} aggregates, {climb.sums.additions} additions, prepared in {prepared:.1f} s; "
        f"draw {1e6 * draw:.1f} us, sum and compare {1e6 * test:.1f} us, all {1e6 * whole:.1f} us: {1 / whole:,.0f}/s"
    )
    print(
        f"   sum and compare by matrix product {1e6 * other:.1f} us ({other / test:.1f} times as long), by a loop in "
        f"NumPy {1e6 * plain:.0f} us; the loop with the same draws {1 / (draw + plain):,.0f}/s: ratio "
        f"{(draw + plain) / whole:.0f}"
    )


def finer_search(search: Search) -> Family:
    """The 4 x 4 x 10 bins with jets split into 5 and b jets into 5: rectangles by the thousand, 250 bins."""
    numbers = [(j, b) for j in range(5) for b in range(5)]
    rows = {(j, b): np.arange(10) + 10 * i for i, (j, b) in enumerate(numbers)}
    boxes = np.unique(rectangles(search).sets.reshape(-1, 16, 10).any(axis=1), axis=0)
    sets = []
    for low, high in ((a, b) for a in range(5) for b in range(a, 5)):
        for first, last in ((a, b) for a in range(5) for b in range(a, 5)):
            for box in boxes:
                row = np.zeros(250, dtype=bool)
                for j in range(low, high + 1):
                    for b in range(first, last + 1):
                        row[rows[j, b][box]] = True
                sets.append(row)
    chosen = np.array(sets)
    b = np.tile(np.sum([p.estimate.nominal for p in search.processes], axis=0), 2)[:250]
    background = chosen.astype(float) @ b
    up = np.sqrt(chosen.astype(float) @ (0.2 * b + 0.1) ** 2)
    return Family(chosen, background, up, np.minimum(up, background))


def global_p(climb: Climb, ensemble: Ensemble, rung: int, chunks: int = 3) -> tuple[float, float]:
    thrown = merge(throw_chunk(climb, ensemble, index=i, toys=CHUNK, seed=0) for i in range(chunks))
    p = thrown.reached[rung] / thrown.toys
    return p, np.sqrt(p * (1 - p) / thrown.toys)


def flat_prior(fitted: FittedBackground) -> FittedBackground:
    """Control counts from Gamma(n + 1), the posterior of a flat prior, where there is a count."""
    return replace(fitted, counts=fitted.counts + 1)


def main() -> None:
    search, _ = read_folder(DATA)
    covariance = likelihood_covariance(search)
    fitted = fitted_background(packaged(search.name))
    tried = family(search, rectangles(search).sets, covariance)
    expected = np.sum([p.estimate.nominal for p in search.processes], axis=0)
    with single_threaded():
        rates("packaged search", tried, expected, fitted)
        large = finer_search(search)
        start = time.process_time()
        climb = Climb.prepare(large, np.zeros(250), LADDER)
        print(
            f"finer search: {len(large)} rectangles of 250 bins, prepared in {time.process_time() - start:.1f} s"
        )
        draw = fitted.draw(stream(0, 0), BLOCK)
        counts = np.concatenate([draw, draw])[:250]
        test = cpu(lambda: climb.rungs(counts)) / BLOCK
        drawn = cpu(lambda: fitted.draw(stream(0, 1), BLOCK)) / BLOCK
        sums = np.float32(large.sets.T)
        other = cpu(lambda: counts.T.astype(np.float32) @ sums) / BLOCK
        print(
            f"   sum and compare {1e6 * test:.1f} us; the matrix product alone {1e6 * other:.1f} us; with draws of the "
            f"packaged search {1 / (test + drawn):,.0f}/s"
        )
        z = tried.significance(tried.sets.astype(float) @ search.observed).max()
        climb = Climb.prepare(tried, expected, np.append(LADDER[z > LADDER], z))
        rung = int((z > LADDER).sum())
        ensembles: dict[str, Ensemble] = {
            "fit to the control regions": fitted,
            "the same, control counts from Gamma(n + 1)": flat_prior(fitted),
            "split log-normal with the likelihood's covariance": split_lognormal(search, covariance),
            "split log-normal, independent bins": split_lognormal(search, None),
        }
        for name, ensemble in ensembles.items():
            p, error = global_p(climb, ensemble, rung)
            print(f"Z = {z:.3f}, {name}: global p = {p:.4f} +- {error:.4f}")
        calibration(tried, fitted)


def calibration(tried: Family, ensemble: Ensemble) -> None:
    levels = np.array([1.0, 2.0, 3.0, 4.0])
    thresholds = smallest_counts(tried, levels)
    matrix = tried.sets.T.astype(np.float32)
    hits, toys = np.zeros((4, len(tried))), 0
    for index in range(60):
        sums = ensemble.draw(stream(7, index), BLOCK).T.astype(np.float32) @ matrix
        hits += [(sums >= row).sum(axis=0) for row in thresholds]
        toys += BLOCK
    for level, row in zip(levels, hits, strict=True):
        print(
            f"Z >= {level:g}: {(row / toys).mean() / ndtr(-level):.2f} times as often as promised, mean over aggregates"
        )


if __name__ == "__main__":
    main()
