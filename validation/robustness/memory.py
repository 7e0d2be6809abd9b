"""Memory over thousands of calls: it must stay flat.

One process calls functions of the API in turn (p-values, limits, merges, exports, documents, fits, the database) and notes its resident memory; another runs
a scan of many points, in its own process and in two worker processes. Memory is flat where the second half of the calls adds less than `ALLOWED_KB` per
thousand calls: caches fill in the first half.

    python validation/robustness/memory.py [--calls 20000] [--points 1000]

prints both, draws ``memory.png`` and writes ``MEMORY.md`` beside itself. It needs Linux, whose ``/proc`` says what a process holds.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

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
        from superbin.plot import bin_map, save

        return save(bin_map({"merge": result.merge}, search(1)).figure, folder / "x.png") if i else None

    return [
        lambda i: stats.midp(i % 60, 20 + i / 1e4, 3, 3),
        lambda i: stats.midp_significance(i % 60, 20 + i / 1e4, 3, 2),
        lambda i: stats.p0(i % 40, 10 + i / 1e4, 2, 2),
        lambda i: stats.asimov_z(1 + i / 1e4, 20 + i / 1e4, 3, 3),
        lambda i: stats.limits.asymptotic_limit(i % 20, 5 + i / 1e4, 1, 1),
        lambda i: superbin.combine(search(i), signal(i), [1, 2, 3]),
        lambda i: workspace.build(superbin.combine(search(i), signal(i), [4, 5])),
        lambda i: merge.optimize(search(i), signal(i)),
        lambda _: superbin.result_to_json(superbin.result_from_json(text)),
        lambda i: export.files_of(Bundle(search(i), (signal(i),)), "smodels"),
        write_table,
        fit,
        lambda i: stored(i) if i % 5 == 0 else search(i).digest,
        lambda i: figure(i) if i % 20 == 0 else signal(i).digest,
    ]
