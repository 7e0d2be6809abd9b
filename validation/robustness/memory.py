"""Memory over thousands of calls: it must stay flat.

A process calls functions of the API in turn (p-values, limits, merges, exports, documents, fits, the database, figures) and notes its resident memory, then
runs a scan of many points. Memory is flat where the second half of the calls adds less than `ALLOWED_KB` per
thousand calls: caches fill in the first half.

    python validation/robustness/memory.py [--calls 20000] [--points 1000]

prints both, draws ``memory.png`` and writes ``MEMORY.md`` beside itself. It needs Linux, whose ``/proc`` says what a process holds.
"""

import argparse
import gc
import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyhf

import superbin
from superbin import stats

HERE = Path(__file__).parent
ALLOWED_KB = 100.0
"""Growth per thousand calls in the second half."""
NOTES = 200
"""Points of the figure."""


def resident_mb() -> float:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth_kb(calls: np.ndarray, megabytes: np.ndarray) -> float:
    """Slope of a straight line through the second half, per thousand calls."""
    half = len(calls) // 2
    return float(np.polyfit(calls[half:], megabytes[half:], 1)[0]) * 1024 * 1000


def tasks(folder: Path) -> list[Callable[[int], object]]:
    """What is called in turn; every call has numbers of its own, so that a cache by argument would grow."""
    from superbin import export, likelihood, merge, workspace
    from superbin.domain.bundle import Bundle
    from superbin.io import imports

    def search(i: int) -> superbin.Search:
        rng = np.random.default_rng(i)
        background = rng.uniform(0.5, 40.0, 8)
        return superbin.Search.from_arrays(
            f"s{i}",
            observed=rng.poisson(background),
            background=background,
            error=0.2 * background,
            luminosity_fb=10.0,
            edges={"met": [200.0, 250.0, 300.0, 350.0, 400.0, 500.0, 600.0, 800.0, np.inf]},
        )

    def signal(i: int) -> superbin.SignalModel:
        yields = np.random.default_rng(-i % 2**32).uniform(0.1, 5.0, 8)
        return superbin.SignalModel("T", {"m": float(i)}, f"s{i}", yields, 0.1 * yields)

    result = superbin.analyze(search(1), signal(1), toys=1000)
    text = superbin.result_to_json(result)
    table = folder / "table.csv"
    card = folder / "card.txt"
    database = folder / "db.sqlite"
    with superbin.open_catalog(database):
        pass

    def write_table(i: int) -> object:
        table.write_text(f"bin,observed,background,error\n1,{i % 50},{1 + i / 7},1\n2,3,{2 + i / 9},0.5\n")
        return imports.read(table, options=imports.Options(luminosity_fb=1.0))

    def fit(i: int) -> object:
        card.write_text(
            f"imax 1\njmax 1\nkmax *\nbin a\nobservation {i % 30}\nbin a a\nprocess s b\nprocess 0 1\nrate 1 {1 + i / 1000}\nx lnN 1.1 1.2\n"
        )
        return likelihood.read_cards(card).fit()

    def stored(_: int) -> object:
        with superbin.open_catalog(database) as catalog:
            return catalog.searches()

    def figure(i: int) -> object:
        from superbin.analysis import count_distribution, evaluate
        from superbin.domain.aggregate import Background
        from superbin.plot import count_distribution as draw_counts
        from superbin.plot import save

        background = Background(10.0 + i / 1000, 2.0, 2.0)
        significance = evaluate(12, background, toys=0).significance
        return save(draw_counts(count_distribution(background, 3.0), significance).figure, folder / "x.png")

    return [
        lambda i: stats.midp(i % 60, 20 + i / 1e4, 3, 3),
        lambda i: stats.midp_significance(i % 60, 20 + i / 1e4, 3, 2),
        lambda i: stats.p0(i % 40, 10 + i / 1e4, 2, 2),
        lambda i: stats.asimov_z(1 + i / 1e4, 20 + i / 1e4, 3, 3),
        lambda i: stats.limits.asymptotic_limit(i % 20, 5 + i / 1e4, 1, 1),
        lambda i: superbin.combine(search(i), signal(i), [1, 2, 3]),
        lambda i: workspace.build(superbin.combine(search(i), signal(i), [4, 5])),
        lambda i: merge.optimize(search(i), signal(i)),
        lambda i: (
            superbin.result_to_json(superbin.result_from_json(text)) if i % 4 == 0 else result.merge.bins
        ),
        lambda i: export.files_of(Bundle(search(i), (signal(i),)), "csv"),
        write_table,
        lambda i: fit(i) if i % 5 == 0 else search(i).digest,
        lambda i: stored(i) if i % 5 == 0 else search(i).digest,
        lambda i: figure(i) if i % 25 == 13 else signal(i).digest,
    ]


def api(calls: int) -> tuple[list[int], list[float]]:
    """Resident memory after some numbers of calls."""
    numbers, megabytes = [], []
    with tempfile.TemporaryDirectory() as name:
        called = tasks(Path(name))
        step = max(calls // NOTES, 1)
        for i, task in zip(range(calls), itertools.cycle(called), strict=False):
            task(i)
            if (i + 1) % step == 0:
                gc.collect()
                numbers.append(i + 1)
                megabytes.append(resident_mb())
    return numbers, megabytes


def scan(points: int) -> tuple[list[int], list[float]]:
    """The same after some numbers of points of a scan in this process; each is a signal of its own in the template's search."""
    from superbin import scan as scans
    from superbin.io.bundles import read_bundle
    from superbin.io.template import write_template

    numbers: list[int] = []
    megabytes: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        write_template("mine", Path(name) / "mine")
        search = read_bundle(Path(name) / "mine").search
        rng = np.random.default_rng(1)
        # Ten scans: a result keeps some 1.6 kB of every point, which is its answer.
        size = max(points // 10, 1)
        for first in range(0, points, size):
            signals = []
            for i in range(first, min(first + size, points)):
                yields = rng.uniform(0.1, 6.0, search.n_bins)
                signals.append(
                    superbin.SignalModel(
                        "T", {"m": float(i)}, "mine", yields, 0.1 * yields, cross_section_pb=0.01
                    )
                )

            def note(progress: scans.Progress, first: int = first) -> None:
                done = first + progress.finished
                if not numbers or done >= numbers[-1] + max(points // NOTES, 1):
                    gc.collect()
                    numbers.append(done)
                    megabytes.append(resident_mb())

            scans.run_scan(search, signals, on_progress=note)
    return numbers, megabytes


def fill_validators() -> None:
    """Fill the caches of the JSON Schema validator that pyhf uses, which keep the last 128 documents with their schema."""
    model = pyhf.simplemodels.uncorrelated_background(signal=[3.0], bkg=[10.0], bkg_uncertainty=[2.0])
    for _ in range(150):
        pyhf.schema.validate(model.spec, "model.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--points", type=int, default=1_000)
    options = parser.parse_args()
    fill_validators()
    found = {"calls of the API": api(options.calls), "points of a scan": scan(options.points)}
    rows = ""
    for what, (numbers, megabytes) in found.items():
        growth = growth_kb(np.array(numbers), np.array(megabytes))
        verdict = "flat" if growth < ALLOWED_KB else "GROWS"
        half = megabytes[len(megabytes) // 2]
        rows += f"| {numbers[-1]} {what} | {megabytes[0]:.1f} | {half:.1f} | {megabytes[-1]:.1f} | {growth:.1f} | {verdict} |\n"
    print(rows)
    draw(found)
    (HERE / "MEMORY.md").write_text(
        "# Memory\n\n"
        f"Written by `python validation/robustness/memory.py --calls {options.calls} --points {options.points}`: resident memory of one process over calls of the API (p-values, "
        "limits, merges, workspaces, results as JSON, exports, imports of tables, fits of datacards, the database, figures; each with numbers of its own) and, in the same process "
        f"after that, over the points of ten scans (one result keeps 1.6 kB of every point, its answer). The caches of the JSON Schema validator that pyhf uses are filled before. Memory is flat where the second half adds less than {ALLOWED_KB:.0f} kB per thousand calls.\n\n"
        f"| what | first, MB | half-way, MB | last, MB | growth of the second half, kB per 1000 | |\n|---|---|---|---|---|---|\n{rows}\n"
        "![Resident memory](memory.png)\n",
        encoding="utf-8",
    )


def draw(found: dict[str, tuple[list[int], list[float]]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 3.0), layout="constrained")
    for ax, (what, (numbers, megabytes)) in zip(figure.subplots(1, 2), found.items(), strict=True):
        ax.plot(numbers, megabytes)
        ax.set(xlabel=what, ylabel="resident memory [MB]", ylim=(0.0, 1.15 * max(megabytes)))
    figure.savefig(HERE / "memory.png", dpi=100)


if __name__ == "__main__":
    main()
