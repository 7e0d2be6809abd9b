"""Frequentist pseudo-experiments: p0, CLs, upper limits and goodness of fit where asymptotic formulae cannot be trusted.

The ensembles are those of the LHC's common convention (ATLAS and CMS, "Procedure for the LHC Higgs boson search combination", 2011): a toy draws the counts of all channels and the auxiliary measurement
of every constraint from the model at a fit of the hypothesis to the observed data; both hypotheses are then fitted to it. Chunks have
their own random stream (child ``index`` of the seed), so that they can be computed anywhere in any order and `merge` gives the same answer. A toy
whose fit fails counts in `ToyTail.failed`, never as a pass.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from superbin._support.processes import leave_interrupts_to_parent, uninterrupted
from superbin.errors import InputError, SuperbinError
from superbin.likelihood.engine import Engine, EngineFit, test_statistic
from superbin.results.likelihood import ToyLimit, ToyTail
from superbin.stats.toys import whole

__all__ = [
    "CHUNK",
    "ToyTask",
    "background_toys",
    "cls_from_toys",
    "merge",
    "statistic",
    "throw",
    "throw_chunk",
]

CHUNK = 50
"""Toys per random stream; part of the definition of an answer, as the seed is."""

EQUAL = 1e-6
"""What is equal up to the precision of a fit counts as equal, and so as above."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class ToyTask:
    """What toys are thrown from, and what is computed of each.

    Attributes
    ----------
    engine : Engine
        The likelihood.
    hypothesis : EngineFit
        The fit to the observed data that toys are drawn from: at mu = 0 for p0 and CLb, at mu for CLs+b, the best fit for
        goodness of fit.
    observed : float
        Test statistic of the observed data.
    mu : float or None
        Signal strength that is tested, 0 for discovery; for goodness of fit that is held, None where it is fitted.
    seed : int
    goodness : bool
        Whether the statistic is that of the goodness of fit.
    """

    engine: Engine
    hypothesis: EngineFit
    observed: float
    mu: float | None
    seed: int
    goodness: bool = False


def statistic(task: ToyTask, rng: np.random.Generator) -> float | None:
    """Draw one toy and return its test statistic; None if a fit fails."""
    engine, hypothesis = task.engine, task.hypothesis
    data = engine.draw(hypothesis.x, rng)
    if task.goodness or task.mu is None:
        fit = engine.fit(mu=task.mu, data=data, start=hypothesis, thorough=False)
        return 2 * fit.height if fit.ok else None
    return test_statistic(*engine.pair(task.mu, data=data, start=hypothesis, thorough=False), task.mu)


def throw_chunk(task: ToyTask, *, toys: int, index: int) -> ToyTail:
    """Generate one chunk of toys.

    Parameters
    ----------
    task : ToyTask
    toys : int
        Number of toys, >= 1.
    index : int
        The chunk's random stream.

    Raises
    ------
    InputError
        If the hypothesis did not converge, or a number is out of range.
    """
    if not task.hypothesis.ok:
        raise InputError(f"toys need a fit to be drawn from; this one is {task.hypothesis.status}")
    if toys < 1 or task.seed < 0 or index < 0:
        raise InputError(
            f"toys = {toys}, seed = {task.seed}, index = {index}; toys >= 1 and the others >= 0 are needed"
        )
    rng = np.random.default_rng(np.random.SeedSequence(task.seed, spawn_key=(index,)))
    good = [value for value in (statistic(task, rng) for _ in range(toys)) if value is not None]
    above = sum(value >= task.observed - EQUAL for value in good)
    return ToyTail(len(good), above, toys - len(good), task.seed, tuple(good))


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
        sum(c.toys for c in chunks),
        sum(c.above for c in chunks),
        sum(c.failed for c in chunks),
        seeds.pop(),
        tuple(value for c in chunks for value in c.values),
    )


def throw(
    task: ToyTask, toys: int, *, chunk: int = CHUNK, processes: int = 1, progress: Progress | None = None
) -> ToyTail:
    """Generate toys in chunks, on several processes if asked; the answer does not depend on how many.

    Parameters
    ----------
    task : ToyTask
    toys : int
        Number of toys, >= 1.
    chunk : int
        Toys per random stream; part of the definition of the answer.
    processes : int
        Processes.
    progress : callable, optional
        Called with the number of toys done and to do.
    """
    return _throw([task], toys, chunk, processes, progress)[0]


def _throw(
    tasks: list[ToyTask], toys: int, chunk: int, processes: int, progress: Progress | None
) -> list[ToyTail]:
    """Generate the same number of toys for several tasks, in chunks that any process may do."""
    whole("toys", toys, 1, None)
    whole("chunk", chunk, 1, None)
    sizes = [min(chunk, toys - begin) for begin in range(0, toys, chunk)]
    jobs = [(k, size, i) for k in range(len(tasks)) for i, size in enumerate(sizes)]
    parts: list[list[ToyTail]] = [[] for _ in tasks]
    done = 0
    for (k, size, _), part in zip(jobs, _parts(tasks, jobs, processes), strict=True):
        parts[k].append(part)
        done += size
        if progress is not None:
            progress(done, toys * len(tasks))
    return [merge(part) for part in parts]


def _parts(tasks: list[ToyTask], jobs: list[tuple[int, int, int]], processes: int) -> Iterator[ToyTail]:
    whole("processes", processes, 1, 1024)
    if processes == 1 or len(jobs) == 1:
        for k, size, index in jobs:
            yield throw_chunk(tasks[k], toys=size, index=index)
        return
    # Spawned processes need the main module to be importable; the tasks go to each process once.
    with ProcessPoolExecutor(
        min(processes, len(jobs)), mp_context=get_context("spawn"), initializer=_receive, initargs=(tasks,)
    ) as pool:
        with uninterrupted():
            parts = pool.map(_remote, jobs)
        try:
            yield from parts
        except BrokenProcessPool as error:
            raise SuperbinError(
                "a process ended before its toys were done, perhaps for want of memory; run again with fewer --processes"
            ) from error


_tasks: list[ToyTask] = []
"""Tasks of a spawned process."""


def _receive(tasks: list[ToyTask]) -> None:
    leave_interrupts_to_parent()
    _tasks[:] = tasks


def _remote(job: tuple[int, int, int]) -> ToyTail:
    k, size, index = job
    return throw_chunk(_tasks[k], toys=size, index=index)


def background_toys(
    engine: Engine,
    *,
    toys: int,
    seed: int = 0,
    chunk: int = CHUNK,
    processes: int = 1,
    progress: Progress | None = None,
) -> tuple[float | None, ToyTail | None, str]:
    """Return q0 of the data, the toys of the background that reach it, and a status.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    toys, seed, chunk, processes, progress
        As of `throw`.
    """
    free, background = engine.pair(0.0)
    q0 = test_statistic(free, background, 0.0)
    if q0 is None:
        failed = free if not free.ok else background
        return None, None, failed.status
    task = ToyTask(engine, background, q0, 0.0, seed)
    return q0, throw(task, toys, chunk=chunk, processes=processes, progress=progress), "converged"


def cls_from_toys(
    engine: Engine,
    mu: float,
    *,
    toys: int,
    seed: int = 0,
    chunk: int = CHUNK,
    processes: int = 1,
    progress: Progress | None = None,
) -> ToyLimit:
    """Return CLs of one signal strength from toys of both hypotheses.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    mu : float
        Signal strength to test, > 0.
    toys : int
        Toys per hypothesis.
    seed : int
        Seed for the signal hypothesis; the background's is the next.
    chunk, processes, progress
        As of `throw`.

    Raises
    ------
    InputError
        If one of the fits did not converge, or a number is out of range.
    """
    if not (np.isfinite(mu) and mu > 0):
        raise InputError(f"mu is {mu}; toys test a finite signal strength > 0")
    free, signal = engine.pair(mu)
    background = engine.fit(mu=0.0, start=free if free.ok else None)
    if not (free.ok and signal.ok and background.ok):
        raise InputError(
            f"CLs at mu = {mu:g} needs converged fits; they are {free.status}, {signal.status} and {background.status}"
        )
    observed = test_statistic(free, signal, mu) or 0.0
    tasks = [ToyTask(engine, fit, observed, mu, seed + i) for i, fit in enumerate((signal, background))]
    tails = _throw(tasks, toys, chunk, processes, progress)
    return ToyLimit(mu, *tails)
