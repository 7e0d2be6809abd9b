"""Speed of imports: a search with a large covariance, and signals from ROOT files as ratios to uproot reading the same alone.

Measurements in CPU time, each the median of (paired) repetitions:

- a table of 1000 bins with its 1000 x 1000 covariance, in CSV, as a HEPData submission in YAML, and as hepdata.net exports it in JSON,
  read and stored; and the HEPData submission of 200 bins as a ratio to libyaml parsing its tables alone;
- a file of 2,000 histograms named by mass point, into signals (`superbin.io.signals.signals_from_root`);
- a TTree of events, counted in the bins of a search of 4 observables (`superbin.io.signals.signal_from_tree`), with the peak of
  the process's memory.

Run: ``python validation/searches/speed.py [--histograms 2000] [--events 10000000] [--repeat 3]``
"""

import argparse
import json
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import uproot
import yaml

import superbin
from superbin.domain.search import Search
from superbin.io.imports import Options, read
from superbin.io.signals import signal_from_tree, signals_from_root
from superbin.store import Store

BRANCHES = {"ht": "ht", "mht": "mht", "njet": "njet", "nb": "nb"}


def write_covariance(folder: Path, n_bins: int) -> None:
    rng = np.random.default_rng(3)
    factor = rng.normal(size=(n_bins, n_bins))
    matrix = factor @ factor.T / n_bins + np.eye(n_bins)
    rows = "".join(f"r{i},{i % 50},{i % 50 + 1.5},{1 + i % 3}\n" for i in range(n_bins))
    (folder / "regions.csv").write_text(f"region,observed,background,error\n{rows}")
    (folder / "covariance.csv").write_text("\n".join(",".join(map(repr, row)) for row in matrix.tolist()))


def write_record(folder: Path, n_bins: int) -> None:
    """A HEPData submission with a full covariance of numbers in double precision, a line per entry."""
    first, second = (k.tolist() for k in np.divmod(np.arange(n_bins * n_bins), n_bins))
    factor = np.random.default_rng(3).normal(size=(n_bins, n_bins))
    matrix = factor @ factor.T / n_bins + np.eye(n_bins)

    def column(name: str, values: Iterable[object]) -> str:
        return f"- header: {{name: {name}}}\n  values:\n" + "".join(f"  - value: {v}\n" for v in values)

    numbers = range(n_bins)
    yields = column("Data", [5] * n_bins) + column("Total background", [4.5] * n_bins)
    entries = column("Covariance", matrix.ravel().tolist())
    texts = {
        "yields.yaml": f"dependent_variables:\n{yields}independent_variables:\n{column('Bin', numbers)}",
        "covariance.yaml": f"dependent_variables:\n{entries}independent_variables:\n{column('Bin', first)}{column('Bin', second)}",
        "submission.yaml": "---\n".join(
            f"name: {name}\ndescription: none\ndata_file: {name}.yaml\n" for name in ("yields", "covariance")
        ),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)


def write_exported(folder: Path, n_bins: int) -> None:
    """The same as hepdata.net exports it in JSON, a row of texts per entry."""
    first, second = (k.tolist() for k in np.divmod(np.arange(n_bins * n_bins), n_bins))
    factor = np.random.default_rng(3).normal(size=(n_bins, n_bins))
    entries = (factor @ factor.T / n_bins + np.eye(n_bins)).ravel().tolist()

    def cells(*values: object) -> str:
        return ",".join(f'{{"value":"{value}"}}' for value in values)

    def table(name: str, columns: Sequence[str], rows: Iterable[str]) -> None:
        headers = json.dumps([{"name": column, "colspan": 1} for column in columns])
        text = f'{{"name":"{name}","headers":{headers},"values":[{",".join(rows)}]}}'
        (folder / f"{name}.json").write_text(text)

    yields = (f'{{"x":[{cells(i)}],"y":[{cells(5, 4.5)}]}}' for i in range(n_bins))
    table("yields", ("Bin", "Data", "Total background"), yields)
    rows = (
        f'{{"x":[{cells(i, j)}],"y":[{cells(v)}]}}' for i, j, v in zip(first, second, entries, strict=True)
    )
    table("covariance", ("Bin", "Bin", "Covariance"), rows)


def searches(folder: Path, repeat: int) -> None:
    """Print the times of searches with a covariance."""
    options = Options(luminosity_fb=1.0)
    for label, write, n_bins in (
        ("CSV", write_covariance, 1000),
        ("HEPData YAML", write_record, 1000),
        ("HEPData JSON", write_exported, 1000),
    ):
        place = folder / label
        place.mkdir()
        write(place, n_bins)
        reading = statistics.median(cpu(partial(read, place, options=options)) for _ in range(repeat))
        search = read(place, options=options).bundle.search
        assert search.covariance is not None
        with Store(folder / f"{label}.sqlite") as store:
            storing = cpu(partial(store.add_search, search))
        print(f"{n_bins} bins with their covariance, {label}: {reading:.2f} s read, {storing:.2f} s stored")
    place = folder / "pairs"
    place.mkdir()
    write_record(place, 200)
    texts = [path.read_text() for path in place.glob("*.yaml")]
    ours, theirs, ratio = paired(
        repeat,
        partial(read, place, options=options),
        lambda: [list(yaml.load_all(text, Loader=yaml.CBaseLoader)) for text in texts],
    )
    print(f"200 bins, HEPData YAML: {ours:.2f} s, libyaml alone {theirs:.2f} s, ratio {ratio:.3f}")


def packaged() -> Search:
    with superbin.open_catalog("sqlite://") as catalog:
        return catalog.search("cms-pas-sus-16-014")


def cpu(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def write_histograms(path: Path, number: int, n_bins: int) -> None:
    rng = np.random.default_rng(1)
    edges = np.arange(n_bins + 1.0)
    with uproot.recreate(path) as file:
        for i in range(number):
            file[f"T1_{1000 + i // 50}_{i % 50}"] = (rng.exponential(size=n_bins), edges)


def write_events(path: Path, number: int, *, compression: object) -> None:
    """Branches as an analysis keeps them: single precision, short integers."""
    rng = np.random.default_rng(2)
    types = {"ht": "f4", "mht": "f4", "njet": "i4", "nb": "i4", "weight": "f4"}
    with uproot.recreate(path, compression=compression) as file:
        tree = file.mktree("events", types)
        for start in range(0, number, 1_000_000):
            n = min(1_000_000, number - start)
            tree.extend(
                {
                    "ht": rng.exponential(600, n).astype("f4"),
                    "mht": rng.exponential(350, n).astype("f4"),
                    "njet": rng.integers(0, 12, n).astype("i4"),
                    "nb": rng.integers(0, 4, n).astype("i4"),
                    "weight": rng.normal(1, 0.5, n).astype("f4"),
                }
            )


def uproot_histograms(path: Path) -> float:
    total = 0.0
    with uproot.open(path) as file:
        for _, item in file.iteritems(filter_classname="TH1*"):
            total += float(item.values().sum() + item.errors().sum())
    return total


def uproot_events(path: Path) -> float:
    total = 0.0
    with uproot.open(path) as file:
        for arrays in file["events"].iterate(step_size=500_000, library="np"):
            total += sum(float(a[0]) for a in arrays.values())
    return total


def paired(
    repeat: int, ours: Callable[[], object], theirs: Callable[[], object]
) -> tuple[float, float, float]:
    pairs = [(cpu(ours), cpu(theirs)) for _ in range(repeat)]
    ratios = [a / b for a, b in pairs]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(ratios),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histograms", type=int, default=2000)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    search = packaged()
    print(
        f"Python {platform.python_version()}, uproot {uproot.__version__}, NumPy {np.__version__}; CPU time"
    )
    with tempfile.TemporaryDirectory() as folder:
        searches(Path(folder), arguments.repeat)
        path = Path(folder) / "histograms.root"
        write_histograms(path, arguments.histograms, search.n_bins)
        ours, theirs, ratio = paired(
            arguments.repeat,
            lambda: signals_from_root(path, search, pattern=r"T1_(\d+)_(\d+)"),
            lambda: uproot_histograms(path),
        )
        print(
            f"{arguments.histograms} histograms of {search.n_bins} bins: {ours:.2f} s, uproot alone {theirs:.2f} s, ratio {ratio:.2f}"
        )
        for label, compression in (("uncompressed", None), ("zlib 1", uproot.ZLIB(1))):
            path = Path(folder) / f"{label}.root"
            write_events(path, arguments.events, compression=compression)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            ours, theirs, ratio = paired(
                arguments.repeat,
                lambda path=path: signal_from_tree(  # type: ignore[misc]
                    path,
                    "events",
                    search,
                    branches=BRANCHES,
                    weight="weight",
                    selection="ht > 250",
                    negative="zero",
                ),
                lambda path=path: uproot_events(path),  # type: ignore[misc]
            )
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{arguments.events} events, {label}: {ours:.2f} s ({arguments.events / ours / 1e6:.1f} million events/s), uproot alone "
                f"{theirs:.2f} s, ratio {ratio:.2f}; peak memory {peak:.0f} MB (before reading, writing included: {before:.0f} MB)"
            )


if __name__ == "__main__":
    main()
