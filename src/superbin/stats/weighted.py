"""Importance-sampled pseudo-experiments: `tail` and `midp` with a small error also far beyond 4 sigma.

A plain toy is a nuisance ``z`` and the arrival times ``Gamma_n`` and ``Gamma_n + E`` of a Poisson process
(`superbin.stats.toys`). Here ``z`` is drawn around the background-only fit of the count instead of around zero, and the arrival
times are shrunk by ``c = min(1, mu(z)/n)``, so that about every second toy reaches the count; each counts with the ratio
of the densities,

    w = exp((z^ - 2 z) z^/2)  c^n e^((1 - c) g),      g the time before shrinking.

Where a toy counts, ``c g <= mu(z)``, so the second factor is at most the likelihood ratio of mu(z): no weight is much
larger than the rest, and the variance is finite. A truncated mean has weight zero beyond its truncation.

The model ``gamma`` has no nuisance z that a unit normal holds; its tail is a closed form (`superbin.stats.tail`), which leaves nothing
to sample.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from superbin.errors import InputError
from superbin.stats.arguments import FloatArray, checked_yields
from superbin.stats.models import lowest_z
from superbin.stats.profile import constraint
from superbin.stats.toys import LARGEST_CHUNK, gather, numbers_of_toys, run_chunks, scalar, stream, whole

__all__ = ["WeightedToys", "merge_weighted", "throw_weighted", "throw_weighted_chunk"]


@dataclass(frozen=True, slots=True)
class WeightedToys:
    """Sums of the weights of toys that reach the count.

    Attributes
    ----------
    toys : int
        Number of toys thrown.
    log_scale : float
        Natural logarithm of the common factor of all weights.
    tail_sum, tail_squares, midp_sum, midp_squares : float
        Sums of the scores of both p-values, and of their squares, in units of the common factor.
    seed : int
        Seed of the random streams.
    interrupted : bool
        Whether the throwing was stopped before the requested number was reached.
    """

    toys: int
    log_scale: float
    tail_sum: float
    tail_squares: float
    midp_sum: float
    midp_squares: float
    seed: int
    interrupted: bool = False

    @property
    def tail(self) -> float:
        """Estimate of P(N >= n)."""
        return math.exp(self.log_scale) * self.tail_sum / self.toys

    @property
    def tail_error(self) -> float:
        """Standard error of `tail`."""
        return math.exp(self.log_scale) * _error(self.toys, self.tail_sum, self.tail_squares)

    @property
    def midp(self) -> float:
        """Estimate of P(N > n) + P(N = n)/2."""
        return math.exp(self.log_scale) * self.midp_sum / self.toys

    @property
    def midp_error(self) -> float:
        """Standard error of `midp`."""
        return math.exp(self.log_scale) * _error(self.toys, self.midp_sum, self.midp_squares)

    @property
    def log_midp(self) -> float:
        """Natural logarithm of `midp`, also where that underflows; minus infinity if no toy counted."""
        return self.log_scale + math.log(self.midp_sum / self.toys) if self.midp_sum > 0 else -math.inf


def _error(toys: int, total: float, squares: float) -> float:
    """Standard error of a mean score; never below that of a single toy of weight one."""
    variance = squares / toys - (total / toys) ** 2
    return math.sqrt(max(variance, 1 / toys) / toys)


def throw_weighted(
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    toys: int = 50_000,
    seed: int = 0,
    chunk: int = 50_000,
    workers: int = 1,
    model: str = "split-lognormal",
) -> WeightedToys:
    """Throw importance-sampled background-only toys against the count `n`.

    Parameters
    ----------
    n, b, up, down, toys, seed, chunk, workers
        As in `superbin.stats.throw`.
    model : str
        Name of the uncertainty model, any but ``gamma``.

    Returns
    -------
    WeightedToys
        After a keyboard interrupt, what was thrown so far, marked as interrupted.

    Raises
    ------
    InputError
        For values outside the domain, for the model ``gamma``, and for an excess where no background is possible
        (``b = up = 0``).
    KeyboardInterrupt
        When interrupted before the first chunk was complete.
    """
    total, size, threads = numbers_of_toys(toys, chunk, workers)

    def one(index: int, toys: int) -> WeightedToys:
        return throw_weighted_chunk(n, b, up, down, index=index, toys=toys, seed=seed, model=model)

    thrown, interrupted = gather(run_chunks(one, total, size, threads), merge_weighted)
    return replace(thrown, interrupted=interrupted)


def throw_weighted_chunk(
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    index: int,
    toys: int,
    seed: int = 0,
    model: str = "split-lognormal",
) -> WeightedToys:
    """Throw one chunk: `toys` pseudo-experiments from stream `index` of the seed. Arguments as in `throw_weighted`."""
    count, *yields = (scalar(a) for a in checked_yields(n, b, up, down))
    if model == "gamma":
        raise InputError(
            "the model 'gamma' has a closed-form tail and no importance-sampled toys; use tail or midp"
        )
    held = constraint(model, *yields)
    folded = bool(yields[0][0] == 0)
    if count[0] > 0 and folded and (yields[1][0] == 0 or model == "none"):
        raise InputError(
            f"n = {count[0]:g} is impossible with b = up = 0; its p-value is zero, drop the toys"
        )
    size = whole("toys", toys, 1, LARGEST_CHUNK)
    random = stream(seed, index)
    fit, cost = held.fit(count, np.zeros(1), np.zeros(1))
    fit = np.abs(fit) if folded else fit
    z = fit + random.standard_normal(size)
    floor, _, log_kept = lowest_z(model, *yields)
    mu = held.mean(z)
    shrink = np.minimum(1.0, mu / count) if count[0] > 0 else np.ones(size)
    time = random.standard_gamma(count[0], size) if count[0] > 0 else np.zeros(size)
    later = time + random.standard_exponential(size)
    log_scale = -0.5 * float(cost[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.where(shrink < 1, count * np.log(shrink), 0.0)
        base = power + fit * (0.5 * fit - z) - log_scale
        if model == "gaussian":
            base = np.where(z >= floor, base - log_kept, -np.inf)
        if folded:  # both signs of z give the same mean: throw one, count it twice
            base = np.where(z >= 0, base + math.log(2), -np.inf)
        # The later arrival is shrunk as well, and its exponential has one more factor c.
        reached = _weights(base + (1 - shrink) * time, shrink * time <= mu)
        above = _weights(base + np.log(shrink) + (1 - shrink) * later, shrink * later <= mu)
    middle = 0.5 * (reached + above)
    return WeightedToys(
        size,
        log_scale,
        float(np.sum(reached)),
        float(np.sum(reached * reached)),
        float(np.sum(middle)),
        float(np.sum(middle * middle)),
        seed,
    )


def _weights(log_weight: FloatArray, counts: np.ndarray) -> FloatArray:
    return np.exp(np.where(counts, log_weight, -np.inf))


def merge_weighted(parts: Iterable[WeightedToys]) -> WeightedToys:
    """Add up disjoint chunks of one seed and one count; in any order, but for rounding.

    Raises
    ------
    InputError
        When there is nothing to merge, or the chunks are of different seeds or counts.
    """
    given = tuple(parts)
    if len({(part.seed, part.log_scale) for part in given}) != 1:
        raise InputError(
            f"cannot merge {len(given)} chunks of seeds {sorted({part.seed for part in given})} and scales "
            f"{sorted({part.log_scale for part in given})}; give at least one chunk, all of one seed and count"
        )
    return WeightedToys(
        sum(part.toys for part in given),
        given[0].log_scale,
        math.fsum(part.tail_sum for part in given),
        math.fsum(part.tail_squares for part in given),
        math.fsum(part.midp_sum for part in given),
        math.fsum(part.midp_squares for part in given),
        given[0].seed,
        any(part.interrupted for part in given),
    )
