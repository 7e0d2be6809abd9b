"""Importance-sampled pseudo-experiments: `tail` and `midp` with a small error also far beyond 4 sigma, on either side.

A plain toy is a nuisance ``z`` and the arrival times ``Gamma_n`` and ``Gamma_n + E`` of a Poisson process
(`superbin.stats.toys`). Here the rarer side is sampled: for an excess the toys that reach the count, for a deficit those that do
not, whose probability is ``1 - p``. ``z`` is drawn around the background-only fit of the count instead of around zero, and the
arrival times are scaled by ``c``, so that about every second toy counts:

    excess    c = min(1, mu(z)/n),
    deficit   c = max(1, mu(z)/(n + 1)).

Each counts with the ratio of the densities,

    w = exp((z^ - 2 z) z^/2)  c^n e^((1 - c) g),      g the time before scaling.

Where a toy of an excess counts, ``c g <= mu(z)``; where one of a deficit counts, ``c g > mu(z)``. Either way the second
factor is at most the likelihood ratio of mu(z): no weight is much larger than the rest, and the variance is finite. (For a
deficit sampled as if it were an excess, the toys that make up p are those which the fit makes rare: their weights have no bound.)
A truncated mean has weight zero beyond its truncation. `WeightedToys.effective` says how many equal weights would have the same error.

The model ``gamma`` has no nuisance z that a unit normal holds; its tail is a closed form (`superbin.stats.tail`), which leaves nothing
to sample.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import special

from superbin.errors import InputError
from superbin.stats.arguments import FloatArray, checked_yields
from superbin.stats.models import DEFAULT, ModelName, uncertainty
from superbin.stats.models.smeared import Smeared
from superbin.stats.toys import LARGEST_CHUNK, added, scalar, stream, thrown, whole

__all__ = ["WeightedToys", "merge_weighted", "throw_weighted", "throw_weighted_chunk"]

LARGEST_MEAN = 1e300
"""A mean beyond this is as good as infinite, and has products."""


LARGEST_LOG = 300.0

TRUSTED = 100.0
"""Effective toys from which the standard error is itself known to 10 %."""


@dataclass(frozen=True, slots=True)
class WeightedToys:
    """Sums of the weights of the toys on the rarer side of the count.

    Attributes
    ----------
    toys : int
        Number of toys generated.
    deficit : bool
        Whether the toys below the count were sampled, so that the p-values are one minus the means.
    log_scale : float
        Natural logarithm of the common factor of all weights.
    tail_sum, tail_squares, midp_sum, midp_squares : float
        Sums of the scores of both p-values, or of their complements, and of their squares, in units of the common factor.
    seed : int
        Seed of the random streams.
    interrupted : bool
        Whether the throwing was stopped before the requested number was reached.
    """

    toys: int
    deficit: bool
    log_scale: float
    tail_sum: float
    tail_squares: float
    midp_sum: float
    midp_squares: float
    seed: int
    interrupted: bool = False

    @property
    def tail(self) -> float:
        """Estimate of P(N >= n), from 0 to 1."""
        return self._p(self.tail_sum)

    @property
    def tail_error(self) -> float:
        """Standard error of `tail`."""
        return math.exp(self.log_scale) * _error(self.toys, self.tail_sum, self.tail_squares)

    @property
    def midp(self) -> float:
        """Estimate of P(N > n) + P(N = n)/2, from 0 to 1."""
        return self._p(self.midp_sum)

    @property
    def midp_error(self) -> float:
        """Standard error of `midp`."""
        return math.exp(self.log_scale) * _error(self.toys, self.midp_sum, self.midp_squares)

    @property
    def log_midp(self) -> float:
        """Natural logarithm of `midp`, also where that underflows; minus infinity if no toy counted."""
        log = self._log_sampled()
        return math.log1p(-math.exp(log)) if self.deficit else log

    @property
    def z(self) -> float:
        """Significance of `midp`, also where that rounds to 0 or 1; infinite if no toy counted."""
        z = -float(special.ndtri_exp(self._log_sampled()))
        return -z if self.deficit else z

    @property
    def z_error(self) -> float:
        """Standard error of `z`; infinite if no toy counted."""
        if self.midp_sum == 0:
            return math.inf
        relative = _error(self.toys, self.midp_sum, self.midp_squares) * self.toys / self.midp_sum
        log_density = -0.5 * self.z**2 - 0.5 * math.log(2 * math.pi)
        return relative * math.exp(min(self._log_sampled() - log_density, 700.0))

    @property
    def effective(self) -> float:
        """Number of toys of equal weight that would have the relative error of `midp`: (sum w)^2 / sum w^2."""
        return self.midp_sum**2 / self.midp_squares if self.midp_squares > 0 else 0.0

    @property
    def trusted(self) -> bool:
        """Whether the errors mean what they say: at least `TRUSTED` effective toys."""
        return self.effective >= TRUSTED

    def _p(self, total: float) -> float:
        sampled = min(math.exp(self.log_scale) * total / self.toys, 1.0)
        return 1 - sampled if self.deficit else sampled

    def _log_sampled(self) -> float:
        """Logarithm of the mid-p-value or of its complement, at most that of one."""
        return (
            min(self.log_scale + math.log(self.midp_sum / self.toys), 0.0) if self.midp_sum > 0 else -math.inf
        )


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
    model: ModelName = DEFAULT,
) -> WeightedToys:
    """Generate importance-sampled background-only toys against the count `n`.

    Parameters
    ----------
    n, b, up, down, toys, seed, chunk, workers
        As in `superbin.stats.throw`.
    model : str
        Name of the uncertainty model, any but ``gamma``.

    Returns
    -------
    WeightedToys
        After a keyboard interrupt, the toys so far, marked as interrupted.

    Raises
    ------
    InputError
        For values outside the domain, for the model ``gamma``, and for an excess where no background is possible
        (``b = up = 0``).
    KeyboardInterrupt
        When interrupted before the first chunk was complete.

    Examples
    --------
    >>> round(throw_weighted(60, 25, 5, 5).z, 2)
    3.85
    """

    def one(index: int, toys: int) -> WeightedToys:
        return throw_weighted_chunk(n, b, up, down, index=index, toys=toys, seed=seed, model=model)

    return thrown(one, merge_weighted, toys=toys, chunk=chunk, workers=workers)


def throw_weighted_chunk(
    n: float,
    b: float,
    up: float,
    down: float,
    *,
    index: int,
    toys: int,
    seed: int = 0,
    model: ModelName = DEFAULT,
) -> WeightedToys:
    """Generate one chunk: `toys` pseudo-experiments from stream `index` of the seed. Arguments as in `throw_weighted`."""
    count, *yields = (scalar(a) for a in checked_yields(n, b, up, down))
    held = uncertainty(model, *yields)
    if not isinstance(held, Smeared):
        raise InputError(
            f"the model {model!r} has a closed-form tail and no importance-sampled toys; use tail or midp"
        )
    folded = bool(held.folded[0])
    if count[0] > 0 and folded and held.sharp[0]:
        raise InputError(
            f"n = {count[0]:g} is impossible with b = up = 0; its p-value is zero, drop the toys"
        )
    size = whole("toys", toys, 1, LARGEST_CHUNK)
    random = stream(seed, index)
    n = float(count[0])
    deficit = n < float(held.mean(held.nominal())[0])
    fit, cost = held.background_only(count, np.zeros(1))
    fit = np.abs(fit) if folded else fit
    z = fit + random.standard_normal(size)
    mu = np.minimum(held.mean(z), LARGEST_MEAN)
    factor = np.ones(size)
    if deficit:
        factor = np.maximum(factor, mu / (n + 1))
    elif n > 0:
        factor = np.minimum(factor, mu / n)
    time = random.standard_gamma(n, size) if n > 0 else np.zeros(size)
    later = time + random.standard_exponential(size)
    log_scale = -0.5 * float(cost[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_factor = np.log(factor)
        base = np.where(factor == 1, 0.0, n * log_factor) + fit * (0.5 * fit - z) - log_scale
        if held.truncated:
            base = np.where(z >= held.floor, base - held.log_kept, -np.inf)
        if folded:  # both signs of z give the same mean: throw one, count it twice
            base = np.where(z >= 0, base + math.log(2), -np.inf)
        # The later arrival is scaled as well, and its exponential has one more factor c.
        first, second = (base + (1 - factor) * time, base + log_factor + (1 - factor) * later)
        before, after = (factor * time <= mu, factor * later <= mu)
    if deficit:  # at n = 0 nothing is below
        before, after = ~before & (n > 0), ~after
    reached, above = _weights(first, before), _weights(second, after)
    middle = 0.5 * (reached + above)
    return WeightedToys(
        size,
        deficit,
        log_scale,
        float(np.sum(reached)),
        float(np.sum(reached * reached)),
        float(np.sum(middle)),
        float(np.sum(middle * middle)),
        seed,
    )


def _weights(log_weight: FloatArray, counts: np.ndarray) -> FloatArray:
    # where the weights are all rounding, at 1e15 events, they are not to be trusted, but have squares
    return np.exp(np.where(counts, np.minimum(log_weight, LARGEST_LOG), -np.inf))


def merge_weighted(parts: Iterable[WeightedToys]) -> WeightedToys:
    """Add up disjoint chunks of one seed and one count; in any order, but for rounding.

    Raises
    ------
    InputError
        When there is nothing to merge, or the chunks are of different seeds or counts.
    """
    return added(parts, same=("seed", "deficit", "log_scale"))
