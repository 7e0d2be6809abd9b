"""Handing batches to an executor and taking the answers, whatever becomes of the workers.

Batches whose workers died are suspects: each of their signals is computed again while nothing else is, so that one that kills its
worker is found out, and recorded as failed, and the others are not.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TypeAlias

from superbin.errors import ClusterError, SuperbinError
from superbin.results.scan import FinishedPoint, ScanPoint
from superbin.scan.point import KILLED, failed_point
from superbin.scan.targets import Target
from superbin.scan.work import Job, pack, work

__all__ = ["distribute"]

Batch: TypeAlias = tuple[Target, ...]
Record: TypeAlias = Callable[[Sequence[FinishedPoint]], None]

_IN_FLIGHT = 256
"""Batches handed to an executor that does not say how many it wants."""

_BATCH_SECONDS = 1.0
"""Work of a batch, once it is known how long a point takes: what a lost worker costs."""

_SILENCE = 1.0
"""Seconds without an answer after which the executor is asked whether it is alive."""

_HOPELESS = 4
"""Times that workers may die before anything was ever computed."""

_ADVICE = "most likely because memory ran out; analyse it alone with 'superbin run'"


def distribute(
    job: Job, targets: Sequence[Target], executor: Executor, record: Record, *, batch_size: int
) -> None:
    """Compute targets on the workers of an executor.

    Parameters
    ----------
    job : Job
    targets : sequence of Target
        With signals.
    executor : Executor
    record : callable
        Takes finished points as they come, failed ones among them; called in this thread.
    batch_size : int
        Targets handed out together before it is known how long one takes; then those of a second, and fewer in the end, so that the
        workers finish together.

    Raises
    ------
    ClusterError
        If the workers are lost or cannot do the work. What was recorded is kept; an exception from `record` ends it too.
    """
    distribution = _Distribution(job, executor, record)
    try:
        distribution.run(_batches(targets, partial(distribution.batch_size, batch_size)))
    except KeyboardInterrupt:
        distribution.abandon(keep=True)
        raise
    except BaseException:
        distribution.abandon(keep=False)
        raise


def _batches(targets: Sequence[Target], size: Callable[[int], int]) -> Iterator[Batch]:
    """Batches of a size that may depend on how many targets are left."""
    begin = 0
    while begin < len(targets):
        end = begin + size(len(targets) - begin)
        yield tuple(targets[begin:end])
        begin = end


def fitting_size(first: int, left: int, in_flight: int, seconds: float | None) -> int:
    """How many of the points that are left to hand out together: the work of a second, and a fair share of what is left.

    Parameters
    ----------
    first : int
        How many while nothing is known, and no fewer than that for a fair share: an executor may have fewer workers than it takes batches.
    left : int
    in_flight : int
        Batches that the executor takes at a time.
    seconds : float or None
        Of a point, if one is finished.
    """
    if seconds is None:
        return first
    fair = max(first, left // (2 * in_flight))
    return max(1, min(fair, int(min(_BATCH_SECONDS / max(seconds, 1e-9), left))))


class _Distribution:
    """What is under way."""

    def __init__(self, job: Job, executor: Executor, record: Record) -> None:
        self._job, self._executor, self._record = job, executor, record
        self._flying: dict[Future[list[FinishedPoint]], Batch] = {}
        self._landed: SimpleQueue[Future[list[FinishedPoint]]] = SimpleQueue()
        self._suspects: deque[Target] = deque()
        self._strikes: Counter[str] = Counter()
        self._deaths = 0
        self._computed = 0
        self._seconds = 0.0

    @property
    def in_flight(self) -> int:
        """Batches that the executor takes at a time."""
        return int(getattr(self._executor, "in_flight", _IN_FLIGHT))

    def batch_size(self, first: int, left: int) -> int:
        """How many of the targets that are left make the next batch."""
        seconds = self._seconds / self._computed if self._computed else None
        return fitting_size(first, left, self.in_flight, seconds)

    def run(self, batches: Iterator[Batch]) -> None:
        """Go on until there is nothing left."""
        while self._hand_out(batches):
            self._collect()

    def abandon(self, *, keep: bool) -> None:
        """Cancel what can be cancelled; `keep` waits for what is being computed, and records it."""
        running = [future for future in self._flying if not future.cancel()]
        if keep:
            wait(running)
            done = [future for future in running if not future.cancelled() and future.exception() is None]
            for future in done:
                self._record(future.result())

    def _hand_out(self, batches: Iterator[Batch]) -> bool:
        """Keep the workers busy; false when all is done."""
        if self._suspects:
            if not self._flying:
                self._submit((self._suspects.popleft(),))
            return True
        for batch in islice(batches, self.in_flight - len(self._flying)):
            self._submit(batch)
        return bool(self._flying)

    def _submit(self, batch: Batch) -> None:
        try:
            future = self._executor.submit(work, self._job, [pack(target) for target in batch])
        except (BrokenExecutor, RuntimeError) as error:
            if isinstance(error, SuperbinError):
                raise
            raise ClusterError(
                f"the executor takes no more work ({_one_line(error)}); superbin.scan.local_workers replaces workers "
                "that die"
            ) from error
        self._flying[future] = batch
        future.add_done_callback(self._landed.put)

    def _collect(self) -> None:
        """Wait for an answer, and record it with all others that are there."""
        futures = [self._next()]
        while not self._landed.empty():
            futures.append(self._landed.get())
        finished: list[FinishedPoint] = []
        trouble: SuperbinError | None = None
        for future in futures:
            batch = self._flying.pop(future)
            try:
                finished += self._outcome(future, batch)
            except SuperbinError as error:
                trouble = error
        if finished:
            self._record(finished)
        if trouble is not None:
            raise trouble

    def _next(self) -> Future[list[FinishedPoint]]:
        check = getattr(self._executor, "check", None)
        while True:
            try:
                return self._landed.get(timeout=_SILENCE)
            except Empty:
                if check is not None:
                    check()

    def _outcome(self, future: Future[list[FinishedPoint]], batch: Batch) -> list[FinishedPoint]:
        """The points of a batch; those of a killed worker only if they are to blame."""
        if future.cancelled():
            raise ClusterError("the executor dropped work that it had taken; check that it still runs")
        error = future.exception()
        if error is None:
            found = future.result()
            self._computed += len(batch)
            self._seconds += sum(point.seconds for point in found)
            return found
        if isinstance(error, SuperbinError):
            raise error
        if not _died(error):
            raise ClusterError(
                f"the workers cannot do the work: {type(error).__name__}: {_one_line(error)}; install the same "
                "superbin where they run"
            ) from error
        return self._suspect(batch)

    def _suspect(self, batch: Batch) -> list[FinishedPoint]:
        if not self._flying and not self._computed:
            self._deaths += 1
            if self._deaths >= _HOPELESS:
                raise ClusterError(
                    "worker processes die before they finish a single point; check their memory and their log, and that a "
                    'script of yours starts its work under if __name__ == "__main__":'
                )
        guilty: list[FinishedPoint] = []
        for target in batch:
            self._strikes[target.digest] += 1
            if self._strikes[target.digest] == 1:
                self._suspects.append(target)
            else:
                guilty.append(FinishedPoint(target.digest, _condemned(target), 0.0))
        return guilty


def _condemned(target: Target) -> ScanPoint:
    sigma = None if target.signal is None else target.signal.cross_section_pb
    return failed_point(target.parameters, f"{KILLED}, {_ADVICE}", sigma, target.cross_section_error)


def _died(error: BaseException) -> bool:
    """Whether the worker died: as a broken pool says it, or Dask, which need not be installed to be recognised."""
    return isinstance(error, BrokenExecutor) or any(c.__name__ == "KilledWorker" for c in type(error).__mro__)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
