"""Frequentist pseudo-experiments of q0: both the count and the auxiliary measurement fluctuate.

The background-only fit of the count fixes the nuisance at ``z^``; a toy is a count ``N ~ Poisson(mu(z^))`` and an auxiliary
measurement ``a ~ Normal(z^, 1)``, and its test statistic is q0 with the constraint centred at ``a``. The p-value is the
part of the toys with a q0 at least as large as that of the data. This is the definition of pyhf's ``ToyCalculator``; it differs
from the prior-predictive `superbin.stats.tail` and `midp`, most at low counts.
"""

import math
from dataclasses import dataclass

import numpy as np

from superbin.stats import smear
from superbin.stats.arguments import checked_yields
from superbin.stats.asymptotic import conditional_fit, q0
from superbin.stats.toys import LARGEST_CHUNK, numbers_of_toys, run_chunks, scalar, stream, whole

__all__ = ["Q0Toys", "throw_q0", "throw_q0_chunk"]


@dataclass(frozen=True, slots=True)
class Q0Toys:
    """Toys with a test statistic at least as large as that of the data.

    Attributes
    ----------
    toys : int
        Number of toys thrown.
    extreme : int
        Toys with ``q0 >= observed``.
    observed : float
        q0 of the data.
    seed : int
        Seed of the random streams.
    interrupted : bool
        Whether the throwing was stopped before the requested number was reached.
    """

    toys: int
    extreme: int
    observed: float
    seed: int
    interrupted: bool = False

    @property
    def p(self) -> float:
        """Estimate of P(q0 >= observed); 1 for every deficit, as q0 is zero there."""
        return self.extreme / self.toys

    @property
    def error(self) -> float:
        """Binomial standard error of `p`; with no toy (or all toys) extreme, that of a single one."""
        hits = min(max(self.extreme, 1), max(self.toys - 1, 1))
        return math.sqrt(hits * (self.toys - hits) / self.toys) / self.toys


def throw_q0(
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    toys: int = 100_000,
    seed: int = 0,
    chunk: int = 50_000,
    workers: int = 1,
) -> Q0Toys:
    """Throw frequentist background-only toys of the split log-normal against the count `n`.

    Parameters
    ----------
    n, b, up, down, toys, seed, chunk, workers
        As in `superbin.stats.throw`.

    Returns
    -------
    Q0Toys
        After a keyboard interrupt, what was thrown so far, marked as interrupted.

    Raises
    ------
    InputError
        For values outside the domain.
    KeyboardInterrupt
        When interrupted before the first chunk was complete.
    """
    total, size, threads = numbers_of_toys(toys, chunk, workers)
    thrown = extreme = 0
    observed = float(q0(n, b, up, down))
    interrupted = False
    try:
        for part in run_chunks(
            lambda index, toys: throw_q0_chunk(n, b, up, down, index=index, toys=toys, seed=seed),
            total,
            size,
            threads,
        ):
            thrown, extreme = thrown + part.toys, extreme + part.extreme
    except KeyboardInterrupt:
        if thrown == 0:
            raise
        interrupted = True
    return Q0Toys(thrown, extreme, observed, seed, interrupted)


def throw_q0_chunk(
    n: float, b: float, up: float, down: float, *, index: int, toys: int, seed: int = 0
) -> Q0Toys:
    """Throw one chunk: `toys` pseudo-experiments from stream `index` of the seed. Arguments as in `throw_q0`."""
    count, background, upward, downward = (scalar(a) for a in checked_yields(n, b, up, down))
    size = whole("toys", toys, 1, LARGEST_CHUNK)
    random = stream(seed, index)
    zero = np.zeros(1)
    fit = conditional_fit(count, zero, background, upward, downward, zero)[0]
    mean = float(smear.mean(fit, background, upward, downward)[0])
    counts = random.poisson(mean, size).astype(np.float64)
    auxiliary = fit + random.standard_normal(size)
    thrown = q0(counts, background, upward, downward, auxiliary=np.clip(auxiliary, -40.0, 40.0))
    observed = float(q0(count, background, upward, downward)[0])
    return Q0Toys(size, int(np.count_nonzero(np.asarray(thrown) >= observed)), observed, seed)
