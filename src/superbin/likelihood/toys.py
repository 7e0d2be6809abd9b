"""Frequentist pseudo-experiments for p0 and CLs, where asymptotic formulae cannot be trusted.

A toy draws the counts of all channels from the model at a fit to the observed data, and the centre of every
constraint from its Gaussian there; both hypotheses are then fitted to it. Chunks have their own random stream (child
``index`` of the seed), so that `throw_chunk` can run anywhere in any order and `merge` gives the same answer. A toy
whose fit fails counts in `ToyTail.failed`, never as a pass.
"""

import math
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from superbin.errors import InputError
from superbin.likelihood.data import Data
from superbin.likelihood.fit import Fit, Fitter
from superbin.likelihood.inference import fit_both
from superbin.likelihood.model import CountingModel
from superbin.stats.toys import binomial_error

__all__ = ["ToyLimit", "ToyTail", "cls_from_toys", "draw", "merge", "statistic", "throw", "throw_chunk"]


@dataclass(frozen=True, slots=True)
class ToyTail:
    """How many toys are at least as extreme as the data.

    Attributes
    ----------
    toys : int
        Toys thrown whose fits converged.
    above : int
        Of these, toys with a test statistic >= the observed one.
    failed : int
        Toys left out because a fit failed.
    seed : int
        Seed of the random streams.
    """

    toys: int
    above: int
    failed: int
    seed: int

    @property
    def p(self) -> float:
        """Estimate of the p-value; NaN without toys."""
        return self.above / self.toys if self.toys else math.nan

    @property
    def p_error(self) -> float:
        """Binomial standard error (`superbin.stats.toys.binomial_error`); NaN without toys."""
        return binomial_error(self.above, self.toys) if self.toys else math.nan


@dataclass(frozen=True, slots=True)
class ToyLimit:
    """CLs at one mu from toys of both hypotheses."""

    mu: float
    signal: ToyTail
    background: ToyTail

    @property
    def cls(self) -> float:
        """CLs+b over CLb."""
        return self.signal.p / self.background.p if self.background.above else math.nan

    @property
    def cls_error(self) -> float:
        """Standard error, of both tails in quadrature."""
        s, b = self.signal, self.background
        if not b.above:
            return math.nan
        return math.hypot(s.p_error / b.p, s.p * b.p_error / b.p**2)


def statistic(fitter: Fitter, data: Data, mu: float, start: Fit) -> float | None:
    """Return q0 (for mu = 0) or qtilde_mu of a data set.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    data : Data
        Counts, and where every constraint is centred.
    mu : float
        Signal strength that is tested, >= 0; 0 for discovery.
    start : Fit
        Where both fits begin.

    Returns
    -------
    float or None
        ``2 (NLL(mu) - NLL(mu hat))`` with mu hat >= 0, itself >= 0; zero for ``mu hat > mu > 0``. None if a fit fails.
    """
    free, held = fit_both(fitter, mu, data=data, start=start)
    if not (free.ok and held.ok):
        return None
    if mu > 0 and free.mu > mu:
        return 0.0
    return max(0.0, 2 * (held.nll - free.nll))


def draw(fitter: Fitter, hypothesis: Fit, rng: np.random.Generator) -> Data:
    """Draw one pseudo-experiment.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    hypothesis : Fit
        What is drawn from: the counts around its expectation, the constraints around its parameters.
    rng : Generator
        Drawn from first for the counts, then for the constraints.

    Returns
    -------
    Data
        Poisson counts of all channels, and a unit normal around the fitted value for every constrained parameter.
    """
    objective = fitter.objective
    counts = rng.poisson(objective.expected(hypothesis.x)).astype(np.float64)
    shift = rng.standard_normal(objective.n_parameters)
    return Data(counts, (hypothesis.x + shift) * objective.constrained)


def throw_chunk(
    fitter: Fitter, hypothesis: Fit, *, observed: float, mu: float, toys: int, seed: int, index: int
) -> ToyTail:
    """Throw one chunk of toys.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    hypothesis : Fit
        The fit to the observed data that toys are drawn from: at mu = 0 for p0 and CLb, at `mu` for CLs+b.
    observed : float
        Test statistic of the observed data.
    mu : float
        Signal strength that is tested; 0 for discovery.
    toys : int
        Number of toys, >= 1.
    seed, index : int
        The chunk's random stream.

    Raises
    ------
    InputError
        If the hypothesis did not converge, or a number is out of range.
    """
    if not hypothesis.ok:
        raise InputError(
            f"toys need a fit to be drawn from; this one is {hypothesis.status}: {hypothesis.reason}"
        )
    if toys < 1 or seed < 0 or index < 0:
        raise InputError(
            f"toys = {toys}, seed = {seed}, index = {index}; toys >= 1 and the others >= 0 are needed"
        )
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
    values = [statistic(fitter, draw(fitter, hypothesis, rng), mu, hypothesis) for _ in range(toys)]
    good = [value for value in values if value is not None]
    # What is equal up to the precision of a fit counts as equal, and so as above.
    above = sum(value >= observed - 1e-6 for value in good)
    return ToyTail(len(good), above, toys - len(good), seed)


def merge(parts: Iterable[ToyTail]) -> ToyTail:
    """Add up chunks of one seed.

    Raises
    ------
    InputError
        If there is none, or their seeds differ.
    """
    chunks = list(parts)
    seeds = {chunk.seed for chunk in chunks}
    if len(seeds) != 1:
        raise InputError(f"chunks have seeds {sorted(seeds)}; they can be merged if they share one")
    return ToyTail(
        sum(c.toys for c in chunks), sum(c.above for c in chunks), sum(c.failed for c in chunks), seeds.pop()
    )


def throw(
    fitter: Fitter,
    hypothesis: Fit,
    *,
    observed: float,
    mu: float,
    toys: int,
    seed: int,
    chunk: int = 50,
    workers: int = 1,
) -> ToyTail:
    """Throw toys in chunks, on several processes if asked; the answer does not depend on how many.

    Parameters
    ----------
    fitter, hypothesis, observed, mu, toys, seed
        As of `throw_chunk`.
    chunk : int
        Toys per random stream; part of the definition of the answer.
    workers : int
        Processes.
    """
    sizes = [min(chunk, toys - begin) for begin in range(0, toys, chunk)]
    if workers == 1:
        return merge(
            throw_chunk(fitter, hypothesis, observed=observed, mu=mu, toys=size, seed=seed, index=i)
            for i, size in enumerate(sizes)
        )
    tasks = [(fitter.model, hypothesis.mu, observed, mu, size, seed, i) for i, size in enumerate(sizes)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return merge(pool.map(_remote, tasks))


def _remote(task: tuple[CountingModel, float, float, float, int, int, int]) -> ToyTail:
    """Do one chunk in another process, which makes the fit anew rather than receive it."""
    model, hypothesis, observed, mu, size, seed, index = task
    fitter = Fitter(model)
    fit = fitter.fit(mu=hypothesis)
    return throw_chunk(fitter, fit, observed=observed, mu=mu, toys=size, seed=seed, index=index)


def cls_from_toys(
    fitter: Fitter, free: Fit, mu: float, *, toys: int, seed: int, workers: int = 1, chunk: int = 50
) -> ToyLimit:
    """Return CLs of one signal strength from toys of both hypotheses.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    free : Fit
        The fit of mu to the observed data.
    mu : float
        Signal strength to test, > 0.
    toys : int
        Toys per hypothesis.
    seed : int
        Seed for the signal hypothesis; the background's is the next.
    workers : int
        Processes; the answer does not depend on it.
    chunk : int
        Toys per random stream; part of the definition of the answer.

    Returns
    -------
    ToyLimit

    Raises
    ------
    InputError
        If one of the fits did not converge, or a number is out of range.
    """
    signal, background = fitter.fit(mu=mu, start=free), fitter.fit(mu=0.0, start=free)
    if not (free.ok and signal.ok):
        raise InputError(f"CLs at mu = {mu} needs converged fits; they are {free.status} and {signal.status}")
    observed = max(0.0, 2 * (signal.nll - free.nll)) if free.mu <= mu else 0.0
    tails = [
        throw(fitter, fit, observed=observed, mu=mu, toys=toys, seed=seed + i, workers=workers, chunk=chunk)
        for i, fit in enumerate((signal, background))
    ]
    return ToyLimit(mu, *tails)
