"""Who computes: processes of this machine, or a Dask cluster. Each is a `concurrent.futures.Executor`.

`local_workers` and `dask_workers` are context managers that end what they began. Any other executor will do as well; these
two add `in_flight`, how many batches to hand out at a time, and what makes a scan survive its workers: `LocalWorkers`
replaces processes that died, `DaskWorkers.check` notices a scheduler that is gone.
"""

import importlib
import logging
import multiprocessing
import multiprocessing.context
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any, TypeVar

from superbin._support.processes import leave_interrupts_to_parent, uninterrupted
from superbin.errors import ClusterError, InputError, MissingDependencyError

__all__ = ["DaskWorkers", "LocalWorkers", "dask_workers", "local_workers"]

T = TypeVar("T")

_CONNECT_SECONDS = 5
"""How long a scheduler may take to answer."""

_CLOSE_SECONDS = 1
"""How long the remains of a connection that failed may take to go."""

_ADDRESS = re.compile(
    r"inproc://\S+|((tcp|tls|wss?|ucxx?)://)?(\[[\w:.%]+\]|[^\s/:\[\]]+):(?P<port>\d{1,5})", re.ASCII
)
"""What Dask takes as the address of a scheduler."""

_CHECK_SECONDS = 5
"""How often to ask a silent scheduler whether it is there."""

_ABANDONED_SECONDS = 600
"""How long a cluster that had workers may have none."""

_PATIENCE_SECONDS = 300
"""How long a scheduler whose connection stands may leave that unanswered."""

_log = logging.getLogger(__name__)

_SILENT = logging.CRITICAL + 1

_IGNORE_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""What a Dask worker started here runs first: Ctrl-C reaches every process of the terminal, and is the client's."""


class LocalWorkers(Executor):
    """Processes of this machine; when one is killed, all are replaced.

    They do not inherit the parent's memory, so a script that uses them needs the usual ``if __name__ == "__main__":``.

    Parameters
    ----------
    processes : int, optional
        How many, at least 1; by default one for every core.
    """

    def __init__(self, processes: int | None = None) -> None:
        processes = (os.cpu_count() or 1) if processes is None else processes
        if processes < 1:
            raise InputError(f"{processes} processes were asked for; at least 1 is needed")
        self.processes = processes
        self.in_flight = 3 * processes
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.processes, mp_context=_context(), initializer=_live_and_die_with_parent
        )

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Hand out a call, to new processes if the old ones died."""
        with uninterrupted():
            try:
                return self._pool.submit(fn, *args, **kwargs)
            except BrokenProcessPool:
                self._pool.shutdown(wait=False)
                self._pool = self._start()
                return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, as of `concurrent.futures.Executor`."""
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)


def _context() -> multiprocessing.context.BaseContext:
    """How processes start: from a server that has imported superbin once, where the system supports it, or each on its own.

    They are never forked from this process, whose threads and database connections must not be copied.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["superbin.scan.work"])
    return context


def _live_and_die_with_parent() -> None:
    """Leave Ctrl-C to the parent, which says what is kept; end when the parent was killed and can say nothing."""
    leave_interrupts_to_parent()
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


@contextmanager
def local_workers(processes: int | None = None) -> Iterator[LocalWorkers]:
    """Start processes of this machine, and end them.

    Parameters
    ----------
    processes : int, optional
        How many; by default one for every core.

    Raises
    ------
    InputError
        If the number is below 1.
    """
    workers = LocalWorkers(processes)
    try:
        yield workers
    finally:
        workers.shutdown(cancel_futures=True)


class DaskWorkers(Executor):
    """The workers of a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        Connected; stays the caller's to close.
    """

    in_flight = 2048

    def __init__(self, client: Any) -> None:
        self._client = client
        self._asked = self._answered = time.monotonic()
        self._warned = False
        self._worked: float | None = None  # when a worker was last seen

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Hand out a call.

        Dask's own executor is not used: it does not pass on that an answer could not be fetched, because its worker died
        just then, and such a future of it never ends.

        Raises
        ------
        ClusterError
            If the scheduler is gone.
        """
        try:
            # Two equal calls are two calls: Dask would answer the second from the first.
            there = self._client.submit(fn, *args, pure=False, **kwargs)
        except Exception as error:
            raise self.lost() from error
        self._asked = self._answered = time.monotonic()
        here: Future[T] = Future()
        # To let go is to cancel, and does not wait for an answer from a scheduler that may be gone.
        here.add_done_callback(lambda ended: there.release() if ended.cancelled() else None)
        there.add_done_callback(lambda ended: self._hand_over(ended, here))
        return here

    def _hand_over(self, there: Any, here: Future[T]) -> None:
        """End a future as Dask's ended; runs in a thread of Dask's, which must not meet an exception."""
        if not here.set_running_or_notify_cancel():
            return
        try:
            here.set_result(there.result())
            self._worked = time.monotonic()
        except BaseException as error:  # noqa: BLE001  a cancellation, too, is an answer
            # An error that is not the call's own met the answer on its way.
            here.set_exception(error if there.status == "error" else self.lost())

    def check(self) -> None:
        """Ask a scheduler from which nothing was heard whether it is there.

        Raises
        ------
        ClusterError
            If it is not, or if it had workers and has had none for `_ABANDONED_SECONDS`.
        """
        now = time.monotonic()
        if now - self._asked < _CHECK_SECONDS:
            return
        try:
            cores = self._client.sync(self._client.scheduler.ncores, callback_timeout=_CHECK_SECONDS)
        except TimeoutError as error:
            # Busy is not gone: the connection stands.
            if now - self._answered > _PATIENCE_SECONDS:
                raise self.lost() from error
        except Exception as error:
            raise self.lost() from error
        else:
            self._answered = now
            if not cores and not self._warned:
                _log.warning("the Dask cluster has no workers now; waiting for some")
            self._warned = not cores
            if cores:
                self._worked = now
            elif self._worked is not None and now - self._worked > _ABANDONED_SECONDS:
                raise self.abandoned()
        self._asked = time.monotonic()

    def abandoned(self) -> ClusterError:
        """The error that says that all workers are gone."""
        return ClusterError(
            f"the Dask cluster lost all of its workers {_ABANDONED_SECONDS:.0f} s ago; start workers, and run the same command again"
        )

    def lost(self) -> ClusterError:
        """The error that says that the scheduler is gone."""
        scheduler = self._client.scheduler
        place = f" at {scheduler.address}" if scheduler is not None else ""
        return ClusterError(f"the Dask scheduler{place} was lost; check that it runs")


@contextmanager
def dask_workers(*, scheduler: str | None = None, workers: int | None = None) -> Iterator[DaskWorkers]:
    """Connect to a Dask cluster, or start one on this machine.

    Parameters
    ----------
    scheduler : str, optional
        Address of a scheduler that runs, such as ``"tcp://host:8786"``.
    workers : int, optional
        How many workers of one thread to start on this machine; one of the two must be given.

    Raises
    ------
    MissingDependencyError
        If Dask is not installed.
    ClusterError
        If the scheduler cannot be reached within seconds.
    InputError
        If not exactly one of the two is given, the number is below 1, or the address is none.
    """
    if (scheduler is None) == (workers is None):
        raise InputError("give either the address of a scheduler or a number of workers")
    if workers is not None and workers < 1:
        raise InputError(f"{workers} Dask workers were asked for; at least 1 is needed")
    if scheduler is not None:
        _check_address(scheduler)
    try:
        dask: Any = importlib.import_module("dask")
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise MissingDependencyError(
            'a scan on Dask needs an extra that is not installed; run: pip install "superbin[dask]"'
        ) from error
    config = {
        # A batch whose worker died comes back at once, to be looked at point by point.
        "distributed.scheduler.allowed-failures": 0,
        # A worker that is restarted on a busy machine may need longer than the 15 s after which Dask gives it up for ever.
        "distributed.deploy.lost-worker-timeout": "10 minutes",
    }
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(dask.config.set(config))
        if workers is not None:
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address=":0",
                    silence_logs=_SILENT,
                    preload=[_IGNORE_INTERRUPTS],
                )
            )
            client = distributed.Client(cluster, set_as_default=False)
        else:
            client = _connect(dask, distributed, scheduler)
        try:
            yield DaskWorkers(client)
        finally:
            # A scheduler that is gone must not hold up the message that says so.
            client.close(timeout=_CONNECT_SECONDS)


def _check_address(scheduler: str) -> None:
    match = _ADDRESS.fullmatch(scheduler)
    if match is None or int(match["port"] or 0) > 65535:
        raise InputError(
            f"{scheduler!r} is not the address of a Dask scheduler; write it like tcp://host:8786"
        )


def _connect(dask: Any, distributed: Any, scheduler: str | None) -> Any:
    # Made in two steps: a client whose connection fails is left running, must be closed, and would else be lost here.
    client = distributed.Client.__new__(distributed.Client)
    try:
        with dask.config.set({"distributed.comm.timeouts.connect": f"{_CONNECT_SECONDS}s"}):
            # Dask's own limit is for the connection; who accepts it and then is silent, it would wait for without end.
            _within(
                _CONNECT_SECONDS + _CLOSE_SECONDS,
                lambda: client.__init__(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False),
            )
    except BaseException as error:
        with suppress(Exception):
            client.close(timeout=_CLOSE_SECONDS)
        if not isinstance(error, Exception):
            raise
        # Any: what does not speak Dask's language may answer with anything, and its reading fail in any way.
        raise ClusterError(
            f"the Dask scheduler {scheduler!r} cannot be reached within {_CONNECT_SECONDS} s; check that it runs and "
            "that this is its address"
        ) from error
    return client


def _within(seconds: float, call: Callable[[], None]) -> None:
    """Make a call in a thread that keeps nothing from ending, and take its end; `TimeoutError` if there is none in time."""
    ended: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  passed on to who waits
            ended.set_exception(error)
        else:
            ended.set_result(None)

    threading.Thread(target=run, daemon=True).start()
    ended.result(timeout=seconds)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave it to superbin to say what went wrong: Dask logs every lost connection with its traceback."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(_SILENT)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
