"""Whole scans: the same answer from any workers, nothing lost and nothing double whatever becomes of them."""

import dataclasses
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import ClusterError, DatabaseError, InputError
from superbin.results.scan import ScanResult, scan_to_json
from superbin.scan import Progress, Settings, local_workers, run_scan
from superbin.scan.work import Job, Package, shared_of
from superbin.store import Store


@pytest.fixture
def plane() -> list[SignalModel]:
    """Twelve points of a made-up model; the last one is zero everywhere, and fails."""
    rng = np.random.default_rng(3)
    scales = [*np.geomspace(0.1, 10, 11), 0.0]
    return [
        SignalModel(
            "T0", {"m_mother": 1000.0 + i, "m_lsp": 100.0}, "small", s * rng.exponential(1.0, 4), np.zeros(4)
        )
        for i, s in enumerate(scales)
    ]


@pytest.fixture
def store(tmp_path: Path, small_search: Search) -> Iterator[Store]:
    with Store(tmp_path / "s.sqlite") as store:
        store.add_search(small_search)
        yield store


def rows(store: Store) -> list[tuple[str, str]]:
    """What is really in the file: signal and status of every point."""
    connection = sqlite3.connect(store.place)
    found = connection.execute("SELECT signal_digest, status FROM scan_points").fetchall()
    connection.close()
    return found


def reasons(result: ScanResult) -> list[str | None]:
    return [point.reason for point in result.points]


def test_same_answer_from_any_workers(small_search: Search, plane: list[SignalModel]) -> None:
    """SCAN-10: this process, one and two others, and threads give the same document, in the order of the signals."""
    here = scan_to_json(run_scan(small_search, plane))
    for processes in (1, 2):
        with local_workers(processes) as workers:
            assert scan_to_json(run_scan(small_search, plane, executor=workers)) == here
    with ThreadPoolExecutor(3) as threads:
        result = run_scan(small_search, reversed(plane), executor=threads)
    assert scan_to_json(dataclasses.replace(result, points=result.points[::-1])) == here
    assert [p.parameters["m_mother"] for p in result.points[::-1]] == [1000.0 + i for i in range(12)]


def test_what_is_stored_is_not_computed_again(
    store: Store, small_search: Search, plane: list[SignalModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCAN-11: a scan that grew computes what is new; one that is stored only reads, failed points too."""
    seen: list[Progress] = []
    first = run_scan(small_search, plane[::2], store=store)
    whole = run_scan(small_search, plane, store=store, on_progress=seen.append)
    assert (seen[0].restored, seen[0].finished, seen[-1].finished, seen[-1].left) == (6, 0, 6, 0)
    assert seen[-1].failed == 1
    assert whole.points[::2] == first.points
    assert scan_to_json(whole) == scan_to_json(run_scan(small_search, plane))

    def strike(*_: object, **__: object) -> None:
        pytest.fail("something was computed")

    monkeypatch.setattr("superbin.scan.run.work", strike)
    assert run_scan(small_search, plane, store=store) == whole
    assert len(rows(store)) == 12


def test_other_settings_are_another_scan(
    store: Store, small_search: Search, plane: list[SignalModel]
) -> None:
    """SCAN-8: scans of other options, other signals or another version do not mix."""
    run_scan(small_search, plane[:3], store=store)
    result = run_scan(small_search, plane[:3], store=store, settings=Settings(level=0.9))
    assert result == run_scan(small_search, plane[:3], settings=Settings(level=0.9))
    heavier = [dataclasses.replace(s, yields=2 * s.yields) for s in plane[:3]]
    assert run_scan(small_search, heavier, store=store) == run_scan(small_search, heavier)
    assert [scan.n_done for scan in store.scans()] == [6, 3]


def test_retry_and_fresh(
    store: Store, small_search: Search, plane: list[SignalModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCAN-11: failed points stay until they are to be tried again; everything is computed again on demand."""

    def strike(*_: object, **__: object) -> None:
        raise MemoryError("none left")

    with monkeypatch.context() as patch:
        patch.setattr("superbin.merge.optimize", strike)
        broken = run_scan(small_search, plane[:3], store=store)
    assert reasons(broken) == ["internal error: MemoryError: none left"] * 3
    assert run_scan(small_search, plane[:3], store=store) == broken
    repaired = run_scan(small_search, plane[:3], store=store, retry_failed=True)
    assert reasons(repaired) == [None] * 3
    assert len(rows(store)) == 3
    seen: list[Progress] = []
    assert run_scan(small_search, plane[:3], store=store, fresh=True, on_progress=seen.append) == repaired
    assert (seen[-1].restored, seen[-1].finished) == (0, 3)


def interrupt_after(points: int) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.finished >= points:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.parametrize("processes", [None, 2])
def test_interrupted(
    store: Store, small_search: Search, plane: list[SignalModel], processes: int | None
) -> None:
    """SCAN-12: what was finished before Ctrl-C is kept, and the next run does the rest."""

    def scan(**options: Any) -> ScanResult:
        if processes is None:
            return run_scan(small_search, plane, store=store, **options)
        with local_workers(processes) as workers:
            return run_scan(small_search, plane, store=store, executor=workers, **options)

    with pytest.raises(KeyboardInterrupt):
        scan(on_progress=interrupt_after(5))
    kept = len(rows(store))
    assert 5 <= kept < 12
    seen: list[Progress] = []
    result = scan(on_progress=seen.append)
    assert (seen[0].restored, seen[-1].finished) == (kept, 12 - kept)
    assert scan_to_json(result) == scan_to_json(run_scan(small_search, plane))
    assert len(rows(store)) == len(set(rows(store))) == 12


def test_worker_killed(store: Store, small_search: Search, plane: list[SignalModel]) -> None:
    """SCAN-13: a local worker killed mid-scan is replaced; nothing is lost and nothing double."""
    killed: list[int] = []

    def kill_once(progress: Progress) -> None:
        if progress.finished >= 3 and not killed:
            victim = multiprocessing.active_children()[0].pid
            assert victim is not None
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)

    with local_workers(2) as workers:
        result = run_scan(small_search, plane, store=store, executor=workers, on_progress=kill_once)
    assert killed
    assert scan_to_json(result) == scan_to_json(run_scan(small_search, plane))
    assert len(rows(store)) == len(set(rows(store))) == 12


class Poisoned(Executor):
    """Hands a batch with a certain point to a call that ends its worker as the system does when memory is short."""

    def __init__(self, inner: Executor, poison: Callable[[Package], bool]) -> None:
        self.inner, self.poison = inner, poison
        self.in_flight = 6

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if any(self.poison(package) for package in args[1]):
            return self.inner.submit(os._exit, 9)
        return self.inner.submit(fn, *args, **kwargs)


def test_point_that_kills_its_worker(store: Store, small_search: Search, plane: list[SignalModel]) -> None:
    """SCAN-13: a point that kills its worker twice is recorded as failed, and takes no other with it."""
    with local_workers(2) as workers:
        poisoned = Poisoned(workers, lambda package: package.signal["parameters"]["m_mother"] == 1004.0)
        result = run_scan(small_search, plane, store=store, executor=poisoned)
    assert [i for i, point in enumerate(result.points) if point.status == "failed"] == [4, 11]
    assert "its worker was killed while it computed nothing else" in (result.points[4].reason or "")
    assert len(rows(store)) == len(set(rows(store))) == 12


def test_workers_that_cannot_live(small_search: Search, plane: list[SignalModel]) -> None:
    """SCAN-13: where every worker dies at once, that is said, and not that every point failed."""
    with (
        local_workers(2) as workers,
        pytest.raises(ClusterError, match="die before they finish a single point"),
    ):
        run_scan(small_search, plane, executor=Poisoned(workers, lambda _: True))


def test_executor_that_gave_up(small_search: Search, plane: list[SignalModel]) -> None:
    """SCAN-13: an executor that is shut down, or drops work, is a clear error."""
    gone = ThreadPoolExecutor(1)
    gone.shutdown()
    with pytest.raises(ClusterError, match="the executor takes no more work"):
        run_scan(small_search, plane, executor=gone)

    class Drops(ThreadPoolExecutor):
        def submit(self, _fn: Callable[..., Any], /, *_args: Any, **_kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with Drops(1) as drops, pytest.raises(ClusterError, match="dropped work that it had taken"):
        run_scan(small_search, plane, executor=drops)


def test_workers_of_another_version(small_search: Search) -> None:
    """SCAN-13: a worker with another superbin refuses."""
    with pytest.raises(
        ClusterError, match=r"a worker has superbin .*, the scan was started by superbin 0\.0\.1"
    ):
        shared_of(Job(small_search, Settings(), superbin="0.0.1"))


def test_workers_without_superbin(small_search: Search, plane: list[SignalModel]) -> None:
    """SCAN-13: workers that cannot run the call say why."""

    class Lacking(ThreadPoolExecutor):
        def submit(self, _fn: Callable[..., Any], /, *_args: Any, **_kwargs: Any) -> Future[Any]:
            return super().submit(__import__, "no_such_module")

    with Lacking(1) as lacking, pytest.raises(ClusterError, match="cannot do the work: ModuleNotFoundError"):
        run_scan(small_search, plane, executor=lacking)


def test_no_workers() -> None:
    """SCAN-13: at least one process."""
    with pytest.raises(InputError, match="0 processes were asked for"), local_workers(0):
        pass


@pytest.mark.parametrize("processes", [None, 1])
def test_database_that_fails(
    store: Store,
    small_search: Search,
    plane: list[SignalModel],
    monkeypatch: pytest.MonkeyPatch,
    processes: int | None,
) -> None:
    """SCAN-14: a full disk ends the scan with its error, and what was stored stays."""
    write, calls = store.add_scan_points, []

    def fill(scan: str, points: Any) -> None:
        calls.append(1)
        if len(calls) == 5:
            with (
                store._engine.connect() as connection
            ):  # the limit holds for the connection, and there is one
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        write(scan, points)

    monkeypatch.setattr(store, "add_scan_points", fill)
    big = [dataclasses.replace(s, parameters={"m": float(i)}) for i in range(12) for s in plane[:1]]
    with pytest.raises(DatabaseError, match="does not fit on its disk"):
        if processes is None:
            run_scan(small_search, big, store=store)
        else:
            with local_workers(processes) as workers:
                run_scan(small_search, big, store=store, executor=workers)
    kept = len(rows(store))
    assert kept >= 4
    monkeypatch.undo()
    with Store(store.place) as again:
        assert run_scan(small_search, big, store=again) == run_scan(small_search, big)
    assert len(rows(store)) == 12


def test_database_that_is_locked(
    store: Store, small_search: Search, plane: list[SignalModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCAN-14: another writer that does not let go."""
    monkeypatch.setattr("superbin.store.engine._PATIENCE", 0.1)
    other = sqlite3.connect(store.place, isolation_level=None)

    def lock(progress: Progress) -> None:
        if progress.finished == 5:
            other.execute("BEGIN IMMEDIATE")

    with (
        Store(store.place) as impatient,
        pytest.raises(DatabaseError, match="is being written by another process"),
    ):
        run_scan(small_search, plane, store=impatient, on_progress=lock)
    other.execute("ROLLBACK")
    other.close()
    assert len(rows(store)) == 5


ORPHAN = """
import sys, time
from concurrent.futures import wait
from superbin.scan import local_workers
if __name__ == "__main__":
    with local_workers(1) as workers:
        import os
        print(workers.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def test_no_worker_outlives_its_parent(tmp_path: Path) -> None:
    """SCAN-13: when the client itself is killed, its workers end too."""
    script = tmp_path / "client.py"
    script.write_text(ORPHAN)
    client = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    worker = int(client.stdout.readline())
    client.kill()
    client.wait()
    client.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not Path(f"/proc/{worker}").exists() or " Z " in Path(f"/proc/{worker}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail("the worker lives on")
