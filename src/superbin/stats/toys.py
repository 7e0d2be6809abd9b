"""Pseudo-experiments: `tail` and `midp` estimated by throwing, each with its error.

A toy draws the nuisance ``z``, then the arrival times of a unit-rate Poisson process: the n-th arrival ``Gamma_n`` and
the (n+1)-th, one unit exponential later. The toy count reaches ``n`` exactly when ``Gamma_n <= mu(z)``, so for whole
``n`` this is counting Poisson toys, and for real ``n`` it is the continuation that defines `superbin.stats.tail`.

Chunks have their own random stream (child ``i`` of the seed), so chunks can be computed anywhere, in any order, by any
number of workers, and `merge` gives the same answer. Memory is bounded by a block, whatever the numbers.

Which to use: `throw` for one count; `throw_chunk` and `merge` to distribute the work. Beyond 4 sigma
`superbin.stats.weighted` needs far fewer toys; `superbin.stats.frequentist` throws those of the profile likelihood.
"""

import math
import operator
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from superbin.errors import InputError
from superbin.results.values import binomial_error
from superbin.stats.arguments import checked_yields
from superbin.stats.models import DEFAULT, ModelName, uncertainty

__all__ = [
    "BLOCK",
    "LARGEST_CHUNK",
    "Toys",
    "added",
    "binomial_error",
    "gather",
    "merge",
    "numbers_of_toys",
    "run_chunks",
    "scalar",
    "stream",
    "throw",
    "throw_chunk",
    "thrown",
    "whole",
]

T = TypeVar("T")

MOST_TOYS = 10**12
LARGEST_CHUNK = 10**7
BLOCK = 16384
"""Toys of a chunk that are in memory at a time: they stay in the cache."""


@dataclass(frozen=True, slots=True)
class Toys:
    """Counts of toys at and above the tested count.

    Attributes
    ----------
    toys : int
        Number of toys generated.
    above : int
        Toys with a count above n, that is ``N >= n + 1``.
    equal : int
        Toys with a count of n, that is ``n <= N < n + 1``.
    seed : int
        Seed of the random streams.
    interrupted : bool
        Whether the throwing was stopped before the requested number was reached.
    """

    toys: int
    above: int
    equal: int
    seed: int
    interrupted: bool = False

    @property
    def tail(self) -> float:
        """Estimate of P(N >= n)."""
        return (self.above + self.equal) / self.toys

    @property
    def tail_error(self) -> float:
        """Binomial standard error of `tail`."""
        return binomial_error(self.above + self.equal, self.toys)

    @property
    def midp(self) -> float:
        """Estimate of P(N > n) + P(N = n)/2."""
        return (self.above + 0.5 * self.equal) / self.toys

    @property
    def midp_error(self) -> float:
        """Standard error of `midp`, from the variance of the per-toy score 0, 1/2, 1; never below that of one toy."""
        variance = (self.above + 0.25 * self.equal) / self.toys - self.midp**2
        return math.sqrt(max(variance, 0.25 / self.toys) / self.toys)


def throw(
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    toys: int = 1_000_000,
    seed: int = 0,
    chunk: int = 100_000,
    workers: int = 1,
    model: ModelName = DEFAULT,
) -> Toys:
    """Generate background-only pseudo-experiments against the count `n`.

    Parameters
    ----------
    n : float
        Count, real and >= 0.
    b, up, down : float
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    toys : int
        Number of toys, 1 to 1e12.
    seed : int
        Seed, >= 0.
    chunk : int
        Toys per random stream, at most 1e7; part of the definition of the answer, as the seed is.
    workers : int
        Threads; the answer does not depend on it.
    model : str
        Name of the uncertainty model.

    Returns
    -------
    Toys
        After a keyboard interrupt, the toys so far, marked as interrupted.

    Raises
    ------
    InputError
        For values outside the domain.
    KeyboardInterrupt
        When interrupted before the first chunk was complete.

    Examples
    --------
    >>> round(throw(40, 25, 5, 5, toys=100_000).midp, 3)
    0.027
    """

    def one(index: int, toys: int) -> Toys:
        return throw_chunk(n, b, up, down, index=index, toys=toys, seed=seed, model=model)

    return thrown(one, merge, toys=toys, chunk=chunk, workers=workers)


class Part(Protocol):
    """What a chunk of toys yields: a dataclass that says whether the throwing was stopped."""

    @property
    def interrupted(self) -> bool:
        """Whether the throwing was stopped before the requested number was reached."""


P = TypeVar("P", bound=Part)


def thrown(
    one: Callable[[int, int], P], merge: Callable[[Iterable[P]], P], *, toys: int, chunk: int, workers: int
) -> P:
    """Generate toys of any kind in chunks and merge them; after an interrupt what was complete, marked so.

    Parameters
    ----------
    one : callable
        ``one(index, toys)`` throws a chunk from stream `index`.
    merge : callable
        Adds chunks up.
    toys, chunk, workers
        As in `throw`.
    """
    total, size, threads = numbers_of_toys(toys, chunk, workers)
    result, interrupted = gather(run_chunks(one, total, size, threads), merge)
    return replace(result, interrupted=interrupted)  # type: ignore[type-var]  # a dataclass


def gather(parts: Iterator[T], merge: Callable[[Iterable[T]], T]) -> tuple[T, bool]:
    """Merge the chunks of `run_chunks` as they come; after a keyboard interrupt those that were complete, and True.

    Raises
    ------
    KeyboardInterrupt
        When interrupted before the first chunk was complete.
    """
    result = next(parts)
    try:
        for part in parts:
            result = merge((result, part))
    except KeyboardInterrupt:
        return result, True
    return result, False


def run_chunks(one: Callable[[int, int], T], total: int, size: int, workers: int) -> Iterator[T]:
    """Results of ``one(index, toys)`` for every chunk, in order; no more than a few in flight."""
    chunks = -(-total // size)

    def chunk(index: int) -> T:
        return one(index, min(size, total - index * size))

    if workers == 1 or chunks == 1:
        yield from map(chunk, range(chunks))
        return
    pool = ThreadPoolExecutor(workers)
    try:
        for start in range(0, chunks, 4 * workers):
            yield from pool.map(chunk, range(start, min(start + 4 * workers, chunks)))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def stream(seed: int, index: int) -> np.random.Generator:
    """Random stream `index` of the seed."""
    child = np.random.SeedSequence(whole("seed", seed, 0, None), spawn_key=(whole("index", index, 0, None),))
    return np.random.Generator(np.random.SFC64(child))


def throw_chunk(
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    index: int,
    toys: int,
    seed: int = 0,
    model: ModelName = DEFAULT,
) -> Toys:
    """Generate one chunk: `toys` pseudo-experiments from stream `index` of the seed. Arguments as in `throw`.

    Examples
    --------
    >>> throw_chunk(40, 25, 5, 5, index=0, toys=100).toys
    100
    """
    count, *yields = (scalar(a) for a in checked_yields(n, b, up, down))
    held = uncertainty(model, *yields)
    size = whole("toys", toys, 1, LARGEST_CHUNK)
    random = stream(seed, index)
    reached = above = 0
    for start in range(0, size, BLOCK):
        block = min(BLOCK, size - start)
        left = held.draw(random, block)
        if count[0] > 0:
            left -= random.standard_gamma(count[0], block)
        # Only the toys that reached n need to know when the next event comes.
        left = left[left >= 0]
        reached += left.size
        above += int(np.count_nonzero(random.standard_exponential(left.size) <= left))
    return Toys(size, above, reached - above, seed)


def merge(parts: Iterable[Toys]) -> Toys:
    """Add up disjoint chunks of one seed; the order does not matter.

    Raises
    ------
    InputError
        When there is nothing to merge or the seeds differ.

    Examples
    --------
    >>> merge(throw_chunk(40, 25, 5, 5, index=i, toys=100) for i in (1, 0)).toys
    200
    """
    return added(parts, same=("seed",))


def added(parts: Iterable[T], *, same: tuple[str, ...]) -> T:
    """Add up chunks of one kind: sums of their numbers, exactly rounded, and of their arrays; true what is true in one of them.

    Parameters
    ----------
    parts : iterable
        Dataclasses of one class.
    same : tuple of str
        Names of the fields that all chunks share; all others are added up.

    Raises
    ------
    InputError
        When there is nothing to add, or the shared fields differ.
    """
    given = tuple(parts)
    shared = {name: sorted({getattr(part, name) for part in given}) for name in same}
    if any(len(values) != 1 for values in shared.values()):
        told = " and ".join(f"{name}s {values}" for name, values in shared.items())
        raise InputError(
            f"cannot merge {len(given)} chunks of {told}; give at least one chunk, all of one seed and count"
        )
    first: Any = given[0]
    names = [f.name for f in fields(first) if f.name not in same]
    result: T = replace(first, **{name: _sum([getattr(part, name) for part in given]) for name in names})
    return result


def _sum(values: list[Any]) -> Any:
    if isinstance(values[0], bool):
        return any(values)
    return math.fsum(values) if isinstance(values[0], float) else sum(values)


def numbers_of_toys(toys: int, chunk: int, workers: int) -> tuple[int, int, int]:
    """Check the three numbers that say how toys are generated."""
    return (
        whole("toys", toys, 1, MOST_TOYS),
        whole("chunk", chunk, 1, LARGEST_CHUNK),
        whole("workers", workers, 1, 1024),
    )


def scalar(array: np.ndarray) -> np.ndarray:
    """Return a checked scalar in shape (1,)."""
    if array.ndim:
        raise InputError(
            f"toys test one count at a time, but an argument has shape {array.shape}; give scalars"
        )
    return array.reshape(1)


def whole(name: str, value: int, low: int, high: int | None) -> int:
    """Return a whole number in its range, or raise."""
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name} = {value!r:.60} is not a whole number; give an integer") from None
    if isinstance(value, bool) or number < low or (high is not None and number > high):
        span = f"at least {low}" if high is None else f"from {low} to {high:.0e}"
        raise InputError(f"{name} = {value!r:.60} is out of range; give an integer {span}")
    return number
