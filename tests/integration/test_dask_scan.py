"""Scans on a real Dask cluster on this machine: workers killed, the scheduler lost, the client interrupted."""

import contextlib
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from superbin.cli import cli
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import ClusterError, InputError, MissingDependencyError
from superbin.results.scan import scan_to_json
from superbin.scan import Progress, dask_workers, may_pass, run_scan
from superbin.store import Store

distributed: Any = pytest.importorskip("distributed")


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


def n_rows(store: Store) -> int:
    connection = sqlite3.connect(store.place)
    ((found,),) = connection.execute("SELECT COUNT(*) FROM scan_points").fetchall()
    connection.close()
    return int(found)


class Cluster:
    """A scheduler and two workers, each a process of its own, as on a cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        file = folder / "scheduler.json"
        self.scheduler = self._start(
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--scheduler-file",
            str(file),
        )
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.address = json.loads(file.read_text())["address"]
        self.workers = [self.add_worker() for _ in range(2)]

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments, "--no-dashboard"],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def add_worker(self) -> subprocess.Popen[bytes]:
        return self._start(
            "distributed.cli.dask_worker",
            self.address,
            "--nthreads",
            "1",
            "--no-nanny",
            "--host",
            "127.0.0.1",
        )

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


def test_scan_on_a_cluster_with_a_worker_killed(
    cluster: Cluster, store: Store, small_search: Search, plane: list[SignalModel]
) -> None:
    """SCAN-10, SCAN-13: a worker killed mid-scan costs nothing; the answer is that of this process, each point once."""
    killed: list[int] = []

    def kill_once(progress: Progress) -> None:
        if progress.finished >= 2 and not killed:
            killed.append(cluster.workers[0].pid)
            cluster.workers[0].kill()

    with dask_workers(scheduler=cluster.address) as workers:
        result = run_scan(small_search, plane, store=store, executor=workers, on_progress=kill_once)
    assert killed
    assert scan_to_json(result) == scan_to_json(run_scan(small_search, plane))
    assert n_rows(store) == 12


def test_all_workers_killed(
    cluster: Cluster,
    store: Store,
    small_search: Search,
    plane: list[SignalModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SCAN-13: a cluster whose workers are all gone is given up after a time, and what was finished is kept."""
    monkeypatch.setattr("superbin.scan.workers._CHECK_SECONDS", 0.5)
    monkeypatch.setattr("superbin.scan.workers._ABANDONED_SECONDS", 2.0)

    def kill_all(progress: Progress) -> None:
        if progress.finished >= 3:
            for worker in cluster.workers:
                worker.kill()

    with (
        pytest.raises(ClusterError, match="lost all of its workers 2 s ago; start workers, and run the same"),
        dask_workers(scheduler=cluster.address) as workers,
    ):
        run_scan(small_search, plane, store=store, executor=workers, on_progress=kill_all)
    assert 3 <= n_rows(store) < 12


def test_scheduler_lost(
    cluster: Cluster, store: Store, small_search: Search, plane: list[SignalModel]
) -> None:
    """SCAN-13: a scheduler killed mid-scan is said within seconds, what was finished is kept, and the scan goes on elsewhere."""
    struck: list[float] = []

    def strike(progress: Progress) -> None:
        if progress.finished >= 3 and not struck:
            struck.append(time.monotonic())
            cluster.scheduler.kill()

    with (
        pytest.raises(ClusterError, match=f"the Dask scheduler at {cluster.address} was lost"),
        dask_workers(scheduler=cluster.address) as workers,
    ):
        run_scan(small_search, plane, store=store, executor=workers, on_progress=strike)
    assert time.monotonic() - struck[0] < 30
    kept = n_rows(store)
    assert 3 <= kept < 12
    seen: list[Progress] = []
    result = run_scan(small_search, plane, store=store, on_progress=seen.append)
    assert (seen[0].restored, seen[-1].finished) == (kept, 12 - kept)
    assert scan_to_json(result) == scan_to_json(run_scan(small_search, plane))
    with (
        pytest.raises(ClusterError, match=r"cannot be reached within 5 s; check that it runs"),
        dask_workers(scheduler=cluster.address),
    ):
        pass


def group_ends(group: int, *, seconds: float) -> bool:
    """Whether every process of a group is gone in time; helpers of Python's own follow a moment after the client."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


# A shell starts background jobs with SIGINT ignored, and children inherit that; a user's terminal does not.
CLIENT = """
import signal, sys
from superbin.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main(sys.argv[1:])
"""


def _interrupt(client: "subprocess.Popen[str]", done: threading.Event) -> None:
    """Interrupt a process group, and again every ten seconds until it has ended."""
    while client.poll() is None and not done.is_set():
        os.killpg(client.pid, signal.SIGINT)
        done.wait(10)


def test_client_interrupted(
    tmp_path: Path, store: Store, small_search: Search, plane: list[SignalModel]
) -> None:
    """SCAN-12: Ctrl-C in a client with a Dask cluster of its own keeps what is finished, says how to continue, and leaves no process."""
    count = 400  # some seconds of work: the interrupt must not come after the end
    many = [
        SignalModel(
            "T0",
            {"m_mother": 1000.0 + i, "m_lsp": 1.0},
            "small",
            (1 + i / count) * plane[5].yields,
            0 * plane[5].errors,
        )
        for i in range(count)
    ]
    store.add_signals(many)
    command = ["scan", "T0", "--search", "small", "--stored", "--database", store.place, "--workers", "1"]
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while n_rows(store) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    # As a terminal does: to the whole group. Python drops an interrupt that comes while an object is deleted, so a user presses again.
    interrupted = threading.Event()
    again = threading.Thread(target=_interrupt, args=(client, interrupted), daemon=True)
    again.start()
    out, err = client.communicate(timeout=60)
    interrupted.set()
    kept = n_rows(store)
    assert client.returncode == 130, err
    assert 5 <= kept < count
    assert (
        f"{kept} of {count} points are stored in {store.place}; run the same command again to continue" in err
    )
    assert out == ""
    assert "Traceback" not in err
    assert group_ends(client.pid, seconds=20)
    seen: list[Progress] = []
    signals = [store.signal("small", "T0", tuple(s.parameters.values())) for s in many[:10]]
    run_scan(small_search, signals, store=store, on_progress=seen.append)
    assert seen[0].restored > 0


def test_point_that_kills_its_worker(
    store: Store, small_search: Search, plane: list[SignalModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCAN-13: on Dask, too, a point that kills its workers is recorded as failed and the others are finished."""
    with dask_workers(workers=1) as workers:
        submit = workers.submit

        def poisoned(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            if args[1][0].signal["parameters"]["m_mother"] == 1004.0:
                return submit(os._exit, 9)
            return submit(fn, *args, **kwargs)

        monkeypatch.setattr(workers, "submit", poisoned)
        result = run_scan(small_search, plane, store=store, executor=workers)
    assert [i for i, point in enumerate(result.points) if point.status == "failed"] == [4, 11]
    assert "its worker was killed" in (result.points[4].reason or "")
    assert [may_pass(result.points[i]) for i in (4, 11)] == [True, False]
    assert n_rows(store) == 12


@pytest.fixture
def command(tmp_path: Path, small_search: Search, small_signal: SignalModel) -> list[str]:
    """A scan that lacks an address."""
    with Store(tmp_path / "s.sqlite") as store:
        store.add_search(small_search, signals=[small_signal])
    place = str(tmp_path / "s.sqlite")
    return ["scan", "T0", "--search", "small", "--stored", "--database", place, "--scheduler"]


def call(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run superbin as a user does, to its very end, which comes within a minute on a very busy machine too."""
    call = [sys.executable, "-c", "import superbin.cli as c; c.main()", *command]
    return subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "address",
    [
        "garbage",
        "http://x",
        "http://x:80",
        "tcp://host",
        "tcp://:8786",
        "tcp://host:8786/",
        "a b:1",
        "host:99999",
        "",
    ],
)
def test_address_that_is_none(command: list[str], address: str) -> None:
    """SCAN-15: what is no address of a scheduler is said at once, in one line."""
    caught = CliRunner().invoke(cli, [*command, address])
    assert isinstance(caught.exception, InputError), caught.output
    assert str(caught.exception) == (
        f"{address!r} is not the address of a Dask scheduler; write it like tcp://host:8786"
    )


@pytest.mark.parametrize("kind", ["nobody", "silent", "other language"])
def test_unreachable_scheduler(command: list[str], kind: str) -> None:
    """SCAN-15: where nobody listens, nobody answers, or something else does, it is one line within seconds, and the end."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        if kind != "nobody":
            server.listen()
        with greeting(server) if kind == "other language" else contextlib.nullcontext():
            ended = call([*command, address])
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"superbin: error: the Dask scheduler '{address}' cannot be reached within 5 s; check that it runs and that this is "
        "its address\n"
    )


@contextlib.contextmanager
def greeting(server: socket.socket) -> Iterator[None]:
    """Answer as a web server would."""
    over = threading.Event()

    def answer() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):  # nobody came in time, or went away
                there, _ = server.accept()
                with there:
                    there.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server.settimeout(0.1)
    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_logging_is_as_before() -> None:
    """Dask is quiet while superbin uses it, and as the user set it afterwards."""
    logger = logging.getLogger("distributed")
    before = logger.level
    with pytest.raises(ClusterError), dask_workers(scheduler="tcp://127.0.0.1:9"):
        pass
    assert logger.level == before


def test_what_to_give() -> None:
    """SCAN-15: an address or a number, and at least one worker."""
    with (
        pytest.raises(InputError, match="either the address of a scheduler or a number of workers"),
        dask_workers(),
    ):
        pass
    with pytest.raises(InputError, match="0 Dask workers were asked for"), dask_workers(workers=0):
        pass


@pytest.mark.parametrize("module", ["dask", "distributed"])
def test_without_dask(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SCAN-15: without the extra the error says which one to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with (
        pytest.raises(MissingDependencyError, match=r'run: pip install "superbin\[dask\]"$'),
        dask_workers(workers=1),
    ):
        pass
