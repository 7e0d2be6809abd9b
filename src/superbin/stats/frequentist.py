"""Frequentist pseudo-experiments of q0: both the count and the auxiliary measurement fluctuate.

The background-only fit of the count fixes the background; a toy is a count around it and an auxiliary measurement as that fit
expects it (`superbin.stats.profile`): a unit normal around the fitted nuisance, or an off-source count. Its test statistic is q0
with that auxiliary measurement, and the p-value is the
part of the toys with a q0 at least as large as that of the data. This is the definition of pyhf's ``ToyCalculator``; it differs
from the prior-predictive `superbin.stats.tail` and `midp`, most at low counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from superbin.stats.arguments import checked_yields
from superbin.stats.asymptotic import q0, signed_q
from superbin.stats.models import DEFAULT, ModelName, uncertainty
from superbin.stats.toys import BLOCK, LARGEST_CHUNK, added, binomial_error, scalar, stream, thrown, whole

__all__ = ["Q0Toys", "merge_q0", "throw_q0", "throw_q0_chunk"]


@dataclass(frozen=True, slots=True)
class Q0Toys:
    """Toys with a test statistic at least as large as that of the data.

    Attributes
    ----------
    toys : int
        Number of toys generated.
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
        """Binomial standard error of `p`."""
        return binomial_error(self.extreme, self.toys)


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
    model: ModelName = DEFAULT,
) -> Q0Toys:
    """Generate frequentist background-only toys against the count `n`.

    Parameters
    ----------
    n, b, up, down, toys, seed, chunk, workers, model
        As in `superbin.stats.throw`.

    Returns
    -------
    Q0Toys
        After a keyboard interrupt, the toys so far, marked as interrupted.

    Raises
    ------
    InputError
        For values outside the domain.
    KeyboardInterrupt
        When interrupted before the first chunk was complete.

    Examples
    --------
    >>> round(throw_q0(40, 25, 5, 5).p, 3)
    0.026
    """

    def one(index: int, toys: int) -> Q0Toys:
        return throw_q0_chunk(n, b, up, down, index=index, toys=toys, seed=seed, model=model)

    return thrown(one, merge_q0, toys=toys, chunk=chunk, workers=workers)


def throw_q0_chunk(
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    index: int,
    toys: int,
    seed: int = 0,
    model: ModelName = DEFAULT,
) -> Q0Toys:
    """Generate one chunk: `toys` pseudo-experiments from stream `index` of the seed. Arguments as in `throw_q0`."""
    count, *yields = (scalar(a) for a in checked_yields(n, b, up, down))
    size = whole("toys", toys, 1, LARGEST_CHUNK)
    held = uncertainty(model, *yields)
    random = stream(seed, index)
    expected = held.background_only(count, held.nominal())[0]
    mean = float(held.mean(expected)[0])
    observed = float(q0(count, *yields, model=model)[0])
    extreme = 0
    for start in range(0, size, BLOCK):
        block = min(BLOCK, size - start)
        counts = random.poisson(mean, block).astype(np.float64)
        auxiliary = held.throw(random, expected, block)
        statistics = np.maximum(signed_q(counts, auxiliary, held), 0.0)
        # where both measurements are counts, toys equal to the data must not be lost to rounding
        extreme += int(np.count_nonzero(statistics >= (1 - 1e-12) * observed))
    return Q0Toys(size, extreme, observed, seed)


def merge_q0(parts: Iterable[Q0Toys]) -> Q0Toys:
    """Add up disjoint chunks of one seed and one count; the order does not matter.

    Raises
    ------
    InputError
        When there is nothing to merge, or the chunks are of different seeds or counts.
    """
    return added(parts, same=("seed", "observed"))
