"""What a scan costs: per point, by the number of points and of bins, on one and two workers, in memory and in the store.

Prints a table of measured numbers and ratios, and writes it to ``REPORT.md`` beside itself with ``--write``. The signals are the
published T1bbbb(1750, 1) histogram, scaled and softened over a plane of masses: their shapes are made up, their number of
bins and the work they make are real. Costs are CPU seconds, so that they hold on a busy machine; wall times are printed
beside the load they were taken under, since parallel efficiency needs idle cores.

    OMP_NUM_THREADS=1 python validation/scan/measure.py [--points N] [--write]
"""

import argparse
import importlib
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from superbin.domain.search import Estimate, Process, Search
from superbin.domain.signal import SignalModel
from superbin.io.tables import read_search, read_signal
from superbin.results.scan import FinishedPoint, ScanResult, scan_to_json
from superbin.scan import Settings, Target, local_workers, prepare, run_scan, scan_point
from superbin.scan.work import Job, pack, work
from superbin.store import Store

psutil: Any = importlib.import_module("psutil")  # comes with Dask, and has no types

HERE = Path(__file__).parent
TABLES = HERE.parents[1] / "src" / "superbin" / "data" / "cms-pas-sus-16-014"


def plane(search: Search, count: int) -> list[SignalModel]:
    """Made-up signals at `count` points: the cross section falls with the mass, the spectrum with the mass difference."""
    published = read_signal(TABLES / "signals" / "T1bbbb_1750_1.csv")
    names = [observable.name for observable in search.observables]
    mht = search.low[:, names.index("mht")]
    rng = np.random.default_rng(1)
    signals = []
    for _ in range(count):
        mother = 600 + 1600 * rng.random()
        lsp = (mother - 25) * rng.random()
        softer = np.exp(-(1 - (mother - lsp) / 1750) * mht / 400)
        yields = published.yields * (1750 / mother) ** 7 * softer
        parameters = {"m_mother": round(mother, 3), "m_lsp": round(lsp, 3)}
        signals.append(SignalModel("made-up", parameters, search.name, yields, 0.05 * yields))
    return signals


def halved(search: Search, signals: list[SignalModel], keep: int) -> tuple[Search, list[SignalModel]]:
    """The first bins of a search, as a search of its own."""

    def part(process: Process) -> Process:
        estimate = Estimate(*(getattr(process.estimate, name)[:keep] for name in Estimate.__slots__))
        return Process(process.name, process.label, estimate)

    small = Search(
        name=f"{search.name}-{keep}",
        title=search.title,
        reference=search.reference,
        luminosity_fb=search.luminosity_fb,
        sqrt_s_tev=search.sqrt_s_tev,
        observables=search.observables,
        low=search.low[:keep],
        high=search.high[:keep],
        processes=tuple(map(part, search.processes)),
        observed=search.observed[:keep],
        shared_stat=search.shared_stat,
    )
    return small, [
        SignalModel(s.model, s.parameters, small.name, s.yields[:keep] + 1e-9, s.errors[:keep])
        for s in signals
    ]


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """CPU seconds of this process, and wall seconds."""
    start, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - start, time.perf_counter() - wall


def cost_of_a_point(search: Search, signals: list[SignalModel]) -> tuple[float, float]:
    """CPU seconds of what is done once, and of one point."""
    holder: list[Any] = []
    once, _ = timed(lambda: holder.append(prepare(search, Settings())))
    for signal in signals[:2]:  # whatever is computed at first use
        scan_point(signal, holder[0])
    every, _ = timed(lambda: [scan_point(signal, holder[0]) for signal in signals])
    return once, every / len(signals)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a scan on local workers: wall seconds from start to end, CPU seconds, and the most memory of a worker in MB."""

    wall: float
    workers: float
    client: float
    memory: float


def on_workers(search: Search, signals: list[SignalModel], processes: int) -> Cost:
    """Scan on so many local workers."""
    before, start = time.process_time(), time.perf_counter()
    with local_workers(processes) as workers:
        run_scan(search, signals, executor=workers)
        running = psutil.Process().children(recursive=True)
        busy = [(p.cpu_times(), p.memory_full_info().uss) for p in running if p.children() == []]
    return Cost(
        wall=time.perf_counter() - start,
        workers=sum(times.user + times.system for times, _ in busy),
        client=time.process_time() - before,
        memory=max(size for _, size in busy) / 1e6,
    )


def cost_of_the_store(search: Search, result: ScanResult, finished: list[FinishedPoint], size: int) -> float:
    """Wall seconds to store a point, `size` of them in a transaction."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "s.sqlite") as store:
        store.add_search(search)
        store.begin_scan(result)
        start = time.perf_counter()
        for i in range(0, len(finished), size):
            store.add_scan_points(result.digest, finished[i : i + size])
        return (time.perf_counter() - start) / len(finished)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200, help="of the scans on workers")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    search = read_search(TABLES)
    everything = plane(search, options.points)
    signals = everything[:24]
    lines = [f"load while measuring: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", ""]

    def say(name: str, value: str) -> None:
        lines.append(f"{name:<58}{value}")
        print(lines[-1], flush=True)

    print(lines[0])
    once, point = cost_of_a_point(search, signals)
    say("once in every process: covariance", f"{once:.2f} CPU s")
    say("a point, 160 bins, correlations of the likelihood", f"{1e3 * point:.0f} CPU ms")
    for n in (len(signals) // 4, len(signals) // 2, len(signals)):
        part = cost_of_a_point(search, signals[:n])[1]
        say(f"  a point of {n}, relative", f"{part / point:.2f}")
    for keep in (40, 80, 160):
        part = cost_of_a_point(*halved(search, signals, keep))[1]
        say(f"  a point in the first {keep} bins, no correlations", f"{1e3 * part:.0f} CPU ms")
    on_workers(search, signals[:4], 1)  # starts the server that has imported superbin
    one, two = (on_workers(search, everything, n) for n in (1, 2))
    for n, cost in ((1, one), (2, two)):
        say(
            f"{len(everything)} points on {n} local workers",
            f"{cost.wall:.1f} s; workers {cost.workers:.1f} CPU s, client {cost.client:.1f} CPU s",
        )
    say("  efficiency from 1 to 2 workers, wall", f"{one.wall / (2 * two.wall):.2f}")
    say("  efficiency from 1 to 2 workers, CPU of the workers", f"{one.workers / two.workers:.2f}")
    say("most memory of a worker of its own", f"{max(one.memory, two.memory):.0f} MB")
    finished = work(Job(search, Settings()), [pack(Target.of(s)) for s in signals])
    result = run_scan(search, signals)
    alone, together = (cost_of_the_store(search, result, finished, size) for size in (1, 50))
    say("storing a point, a transaction each (SQLite)", f"{1e3 * alone:.2f} ms")
    say("storing a point, fifty in a transaction", f"{1e3 * together:.2f} ms")
    job, package = Job(search, Settings()), pack(Target.of(signals[0]))
    say("a job travels as", f"{len(pickle.dumps(job)) / 1e3:.0f} kB")
    say("a signal travels as", f"{len(pickle.dumps(package)) / 1e3:.1f} kB")
    say("a finished point travels as", f"{np.mean([len(pickle.dumps(f)) for f in finished]) / 1e3:.1f} kB")
    say("a point in scan.json", f"{len(scan_to_json(result)) / len(signals) / 1e3:.1f} kB")
    if options.write:
        text = "# What a scan costs\n\nWritten by `measure.py`; see there for what is measured.\n\n```text\n"
        (HERE / "REPORT.md").write_text(text + "\n".join(lines) + "\n```\n", encoding="utf-8")


if __name__ == "__main__":
    main()
