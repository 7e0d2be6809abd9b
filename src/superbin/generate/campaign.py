"""Many points: the standard plane of a model, the order to make it in, and the workers.

A campaign hands finished points to the caller as they come, so that an interrupted one loses only the points in
work; which points are left to do is the caller's knowledge. Clauses GEN-60 to GEN-67 of ``specs/generation.md``.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from superbin._support.processes import leave_interrupts_to_parent, uninterrupted
from superbin.domain._spline import coordinates
from superbin.domain.cross_sections import process_of
from superbin.domain.grid import SignalPoint
from superbin.domain.search import Search
from superbin.errors import InputError, SuperbinError
from superbin.generate.cards import Cards
from superbin.generate.chain import generate_point
from superbin.generate.gate import Allowances
from superbin.generate.slha import masses, model_named
from superbin.generate.streams import STDERR

__all__ = ["Campaign", "Job", "Progress", "coarse_to_fine", "events_for", "run_campaign", "standard_plane"]

Masses = tuple[float, float]

_Rows = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
_PLANES: dict[tuple[str, bool], _Rows] = {
    ("gluino", False): (
        ((600, 1000, 1400, 1800, 2200), (25, 50, 100, 200, 400, 700, 1000, 1400, 1800)),
        ((800, 1200, 1600, 2000), (25, 100, 300, 600, 1000, 1400)),
    ),
    ("gluino", True): (
        ((600, 1000, 1400, 1800, 2200), (375, 450, 600, 800, 1000, 1400, 1800)),
        ((800, 1200, 1600, 2000), (375, 500, 700, 900, 1200, 1600)),
        ((1500, 1700, 1900), (450, 600, 1000)),
    ),
    ("squark", False): (
        ((300, 600, 900, 1200, 1500), (25, 50, 100, 200, 400, 700, 1000)),
        ((450, 750, 1050, 1350), (25, 50, 100, 300, 600, 900)),
    ),
    ("squark", True): (
        ((300, 600, 900, 1200, 1500), (185, 225, 300, 450, 700, 1000)),
        ((450, 750, 1050, 1350), (185, 250, 350, 500, 800)),
        ((500, 700, 800, 1000), (200, 350, 600)),
    ),
}
"""What is produced, whether it decays to top quarks: masses of the mother, and differences to the LSP's, in GeV."""


def standard_plane(model: str) -> list[Masses]:
    """The points that superbin's own grids are made of.

    Gluinos from 600 to 2200 GeV or squarks from 300 to 1500 GeV; differences to the LSP from compressed (25 GeV; 375 GeV with two
    top quarks, 185 GeV with one) to a massless LSP (1 GeV), about evenly in their logarithm.

    Parameters
    ----------
    model : str
        A name in `superbin.generate.MODELS`.

    Returns
    -------
    list of (float, float)
        m_mother and m_lsp in GeV, from coarse to fine.

    Raises
    ------
    UnknownNameError
        If there is no such model.
    """
    chosen = model_named(model)
    produced = "gluino" if process_of(model) == "gluino" else "squark"
    tops = any(abs(quark) == 6 for quark in chosen.decays[0][0])
    points: set[Masses] = set()
    for mothers, differences in _PLANES[produced, tops]:
        for mother in mothers:
            points |= {(float(mother), float(mother - d)) for d in differences if d < mother - 50}
            points.add((float(mother), 1.0))
    return coarse_to_fine(sorted(points))


def coarse_to_fine(points: Sequence[Masses]) -> list[Masses]:
    """Order points so that every beginning of the list covers the plane as evenly as its length allows.

    Each next point is the one farthest from all before it, in the coordinates grids are interpolated in. It starts at the lightest, most compressed point. The mother must be the heavier of the two.
    """
    if not points:
        return []
    at = coordinates(np.array(points))
    chosen = [int(np.lexsort((at[:, 1], at[:, 0]))[0])]
    distance = np.full(len(points), np.inf)
    while len(chosen) < len(points):
        distance = np.minimum(distance, np.hypot(*(at - at[chosen[-1]]).T))
        distance[chosen] = -1
        chosen.append(int(np.argmax(distance)))
    return [points[i] for i in chosen]


def events_for(point: SignalPoint, error: float, most: int) -> int:
    """How many events would bring the Monte Carlo error of a point's total down.

    Parameters
    ----------
    point : SignalPoint
        As it is, with its error under ``statistics``.
    error : float
        Relative error of the total that is wanted, > 0.
    most : int
        Events at most.

    Returns
    -------
    int
        Its own number where the error is small enough, else a multiple of 1000 with 5 % to spare, at most `most` but never less than
        its own.
    """
    total = float(point.efficiencies.sum())
    found = float(point.settings["statistics"]["total_error"]) / total if total > 0 else np.inf
    if found <= error:
        return point.events
    wanted = 1.05 * point.events * (found / error) ** 2
    return max(point.events, int(min(1000 * np.ceil(wanted / 1000), most)))


@dataclass(frozen=True, slots=True)
class Job:
    """What is common to all points of a campaign.

    Parameters
    ----------
    model : str
        A name in `superbin.generate.MODELS`.
    search : Search
        Whose bins are filled.
    events : int
        Events per point.
    seed : int
        The user's seed; that of each point follows from it.
    cards : Cards, optional
        The constants; by default ``Cards.of(search)``.
    allow : Allowances
        What the gate is to let through.
    """

    model: str
    search: Search
    events: int = 5000
    seed: int = 0
    cards: Cards = None  # type: ignore[assignment]
    allow: Allowances = field(default_factory=Allowances)

    def __post_init__(self) -> None:
        given: object = self.cards
        if given is None:
            object.__setattr__(self, "cards", Cards.of(self.search))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is.

    Parameters
    ----------
    points, all_points : int
        Finished points, failed ones included, and all.
    events, all_events : int
        Simulated events and those planned.
    seconds : float
        Since the start.
    """

    points: int
    all_points: int
    events: int
    all_events: int
    seconds: float

    @property
    def rate(self) -> float:
        """Events per second of all workers together."""
        return self.events / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds to go at this rate; unknown before the first event."""
        return (self.all_events - self.events) / self.rate if self.rate > 0 else None


@dataclass(frozen=True, slots=True)
class Campaign:
    """What became of the points.

    Parameters
    ----------
    done : int
        Points handed to `save`.
    failed : tuple of (tuple of float, str)
        Points that could not be made, with the reason.
    """

    done: int
    failed: tuple[tuple[Masses, str], ...]


def run_campaign(
    job: Job,
    points: Sequence[Masses],
    *,
    save: Callable[[SignalPoint], None],
    events: Sequence[int] | None = None,
    workers: int = 1,
    report: Callable[[Progress], None] | None = None,
) -> Campaign:
    """Make points in processes of their own and hand each to `save` when it is finished.

    Parameters
    ----------
    job : Job
        Model, search, cards, events and seed.
    points : sequence of (float, float)
        m_mother and m_lsp, GeV; made in this order.
    save : callable
        Called in this process with each finished point, in the order they finish. If it raises, the campaign stops.
    events : sequence of int, optional
        Events of each point; by default those of the job.
    workers : int
        Processes. The answer does not depend on their number.
    report : callable
        Called about once a second.

    Returns
    -------
    Campaign
        What became of them. A point that fails does not stop the others.

    Raises
    ------
    InputError
        If a point is kinematically impossible: before anything is made.
    MissingDependencyError
        If the extra ``superbin[mc]`` is not installed.
    SuperbinError
        If a worker is killed.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}; at least 1 is needed")
    model = model_named(job.model)
    for point in points:
        masses(model, point)
    numbers = [job.events] * len(points) if events is None else list(events)
    context = multiprocessing.get_context("spawn")
    counter, stop = context.SimpleQueue(), context.Event()
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(counter, stop)
    ) as pool:
        try:
            with uninterrupted():
                futures = {
                    pool.submit(_work, replace(job, events=number), point): point
                    for point, number in zip(points, numbers, strict=True)
                }
            return _collect(futures, counter, save, report or (lambda _: None), sum(numbers))
        except BrokenProcessPool as error:
            raise SuperbinError(
                "a worker ended before its point was done, perhaps because memory ran out; finished points are kept; run the same command again with fewer workers to continue"
            ) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _collect(
    futures: dict["Future[dict[str, Any]]", Masses],
    counter: Any,
    save: Callable[[SignalPoint], None],
    report: Callable[[Progress], None],
    all_events: int,
) -> Campaign:
    start, made = time.monotonic(), 0
    failed: list[tuple[Masses, str]] = []
    waiting = set(futures)
    while waiting:
        finished, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        while not counter.empty():
            made += counter.get()
        for future in finished:
            try:
                point = SignalPoint(**future.result())
            except InputError as error:
                failed.append((futures[future], str(error)))
            else:
                save(point)
        count = len(futures) - len(waiting)
        report(Progress(count, len(futures), made, all_events, time.monotonic() - start))
    return Campaign(len(futures) - len(failed), tuple(failed))


_worker: list[Any] = []
"""In a worker: the queue to count on and the event that ends it. They can only be handed over at its start."""


def _start_worker(counter: Any, stop: Any) -> None:
    _worker[:] = [counter, stop]
    leave_interrupts_to_parent()
    # Stdout belongs to results, of which a worker prints none; what compiled libraries say is of use on stderr.
    sys.stdout.flush()
    os.dup2(STDERR, 1)


def _work(job: Job, point: Masses) -> dict[str, Any]:
    """The fields of a finished point: its read-only mappings cannot travel between processes."""
    counter, stop = _worker
    last = 0

    def progress(done: int) -> None:
        nonlocal last
        counter.put(done - last)
        last = done
        if stop.is_set():
            raise InterruptedError

    made = generate_point(
        job.model,
        point,
        job.search,
        events=job.events,
        seed=job.seed,
        cards=job.cards,
        allow=job.allow,
        progress=progress,
    )
    fields = {name: getattr(made, name) for name in made.__dataclass_fields__}
    mappings = ("parameters", "settings", "variations")
    return fields | {name: dict(getattr(made, name)) for name in mappings}
