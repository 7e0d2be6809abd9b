"""How fast pseudo-experiments of a whole search are, and what global p-values depend on.

Run as ``python validation/chance/measure.py``; prints the tables of REPORT.md. Rates are per second of CPU time on one core, from the least
time of several calls.

* Rates over the 3900 rectangles of the packaged search and over 7000 of one with 250 bins, beside two other ways in the same run:
  a matrix product of counts and sets, and a loop over experiments in plain NumPy.
* The global p-value of the packaged search's most significant rectangle under other pseudo-experiments.
* How often aggregates exceed a local significance under background alone, against what it promises.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from superbin.catalog import open_catalog
from superbin.chance.ensemble import Ensemble, FittedBackground, fitted_background, split_lognormal
from superbin.chance.local import Family, family, smallest_counts
from superbin.chance.throw import CHUNK, Climb, merge, throw_chunk
from superbin.domain.search import Search
from superbin.likelihood.fit import single_threaded
from superbin.merge.rectangles import rectangles
from superbin.stats.toys import stream

SEARCH = "cms-pas-sus-16-014"
LADDER = np.arange(1.0, 5.01, 0.25)
BLOCK = 256


def cpu(work: Callable[[], object], seconds: float = 4.0) -> float:
    """CPU seconds of one call: the least of several, since whatever else the machine does only adds."""
    least, begin = np.inf, time.process_time()
    while time.process_time() - begin < seconds:
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
    return float(least)


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
        reached = [np.asarray((sums >= rung).any(axis=1)) for rung in wanted]
        return np.asarray(np.sum(reached, axis=0))

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
    """The 4 x 4 x 10 bins as 5 x 5 x 10, and the 7000 of their rectangles with the fewest bins."""
    boxes = np.unique(rectangles(search).sets.reshape(-1, 16, 10).any(axis=1), axis=0)
    sets = []
    spans = [(a, b) for a in range(5) for b in range(a, 5)]
    for (low, high), (first, last), box in itertools.product(spans, spans, boxes):
        row = np.zeros((5, 5, 10), dtype=bool)
        row[low : high + 1, first : last + 1] = box
        sets.append(row.ravel())
    every = np.array(sets)
    chosen = every[np.argsort(every.sum(axis=1), kind="stable")[:7000]]
    b = np.tile(np.sum([p.estimate.nominal for p in search.processes], axis=0), 2)[:250]
    background = chosen.astype(float) @ b
    up = np.sqrt(chosen.astype(float) @ (0.2 * b + 0.1) ** 2)
    return Family(chosen, background, up, np.minimum(up, background))


@dataclass(frozen=True, slots=True)
class Tiled:
    """The packaged search's counts as those of the finer one: as many numbers, as correlated."""

    drawn: FittedBackground
    n_bins: int = 250

    @property
    def words(self) -> str:
        """What is drawn."""
        return self.drawn.words

    def draw(self, random: np.random.Generator, size: int) -> np.ndarray:
        """Draw counts, shape (n_bins, size)."""
        counts = self.drawn.draw(random, size)
        return np.concatenate([counts, counts])[: self.n_bins]


def global_p(climb: Climb, ensemble: Ensemble, rung: int, chunks: int = 3) -> tuple[float, float]:
    thrown = merge(throw_chunk(climb, ensemble, index=i, toys=CHUNK, seed=0) for i in range(chunks))
    p = thrown.reached[rung] / thrown.toys
    return p, np.sqrt(p * (1 - p) / thrown.toys)


def flat_prior(fitted: FittedBackground) -> FittedBackground:
    """Control counts from Gamma(n + 1), the posterior of a flat prior, where there is a count."""
    return replace(fitted, counts=fitted.counts + 1)


def main() -> None:
    with open_catalog("sqlite://") as catalog:
        search, likelihood = catalog.search(SEARCH), catalog.published_likelihood(SEARCH)
    covariance = search.covariance
    assert covariance is not None
    fitted = fitted_background(likelihood)
    tried = family(search, rectangles(search).sets, covariance)
    expected = np.sum([p.estimate.nominal for p in search.processes], axis=0)
    with single_threaded():
        rates("packaged search", tried, expected, fitted)
        rates("finer search", finer_search(search), np.tile(expected, 2)[:250], Tiled(fitted))
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
