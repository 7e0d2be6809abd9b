"""What the merges of superbin are worth: against SCIP, against every set, against greedy, and as bins multiply.

Writes ``REPORT.md``, ``gains.csv`` and ``growth.png`` beside itself. ``--scip`` also solves four correlated
problems with SCIP (``pip install superbin[validation]``), some ten seconds each; without it that section is left as it is. Times are CPU seconds of one
core; run with ``OMP_NUM_THREADS=1``.

    python validation/merging/compare.py [--scip] [--only SECTION ...]
"""

import argparse
import csv
import importlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from superbin import merge
from superbin._support.arrays import FloatArray
from superbin.domain.aggregate import BinSums, bin_sums
from superbin.domain.covariance import Covariance
from superbin.domain.merits import MERITS
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.io.tables import read_search, read_signal
from superbin.merge.branch import Limits
from superbin.merge.constraints import Constraints, rules
from superbin.merge.exclusion import quick_limit
from superbin.merge.exhaustive import brute_force, every_set
from superbin.merge.fleet import own_best
from superbin.merge.problem import BoolArray, Problem, first_rows, problem_from
from superbin.merge.rectangles import rectangles
from superbin.merge.shapes import Task, cast_wide, certify, solve

HERE = Path(__file__).parent
PACKAGED = HERE.parents[1] / "src" / "superbin" / "data"
TABLES = PACKAGED / "cms-pas-sus-16-014"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scip", action="store_true", help="also solve with SCIP")
    parser.add_argument("--only", nargs="+", metavar="SECTION", help="titles of the sections to write again")
    arguments = parser.parse_args()
    search = read_search(TABLES)
    signal = read_signal(TABLES / "signals" / "T1bbbb_1750_1.csv")
    models = list(synthetic(search, 220, seed=1))
    real = problem_from(bin_sums(search, signal))
    parts: dict[str, Callable[[], str] | None] = {
        "SCIP": (lambda: scip(search, [signal, *models[:3]])) if arguments.scip else None,
        "Against every set": lambda: misses(real),
        "The exact limit against every set": lambda: limit_misses(real),
        "Against greedy": lambda: gains(search, models),
        "Products that cut through bins": lambda: products(search, models[:60]),
        "Speed": lambda: speed(search, signal, read_search(PACKAGED / "cms-sus-16-033")),
        "Growth with the number of bins": growth,
        "From 100 to 5000 bins": large,
        "Certificates": lambda: section("CERTIFICATES.md", "Packaged points"),
        "Certificates against every set": lambda: section("CERTIFICATES.md", "Against every set"),
        "Shapes against every set": lambda: section("CERTIFICATES.md", "Shapes against every set"),
        "Certificates in other arithmetic": lambda: section("CERTIFICATES.md", "A second opinion"),
        "Against random restarts": lambda: section("CERTIFICATES.md", "Random restarts"),
        "Regions of CMS-SUS-19-006": regions,
    }
    wanted = arguments.only or list(parts)
    bodies = {title: work() if work and title in wanted else previous(title) for title, work in parts.items()}
    head = f"# Merges, validated\n\n{(__doc__ or '').splitlines()[0]}\nWritten by `compare.py`.\n"
    text = "".join(f"\n## {title}\n\n{body.strip()}\n" for title, body in bodies.items())
    (HERE / "REPORT.md").write_text(head + text, encoding="utf-8")


def section(name: str, title: str) -> str:
    """A section of a report beside this one."""
    text = (HERE / name).read_text(encoding="utf-8")
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0].strip()


def large() -> str:
    """The figure of `growth.py`, and its ends."""
    lines = [
        line
        for line in (HERE / "GROWTH.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(("| bins", "|---", "| 100 ", "| 160 ", "| 5000 "))
    ]
    return (
        "Regular grids, a whole call of `optimize`; every size is in `GROWTH.md`, by `growth.py`.\n\n"
        + "\n".join(lines)
        + "\n\n![time and memory from 100 to 5000 bins](growth-sizes.png)"
    )


def regions() -> str:
    """The report of `regions.py`, without its title."""
    text = (HERE / "REGIONS.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].replace("\n## ", "\n### ").strip()


def previous(title: str) -> str:
    """A section of the report as it stands."""
    report = HERE / "REPORT.md"
    text = report.read_text(encoding="utf-8") if report.exists() else ""
    found = text.partition(f"## {title}\n")[2].partition("\n## ")[0].strip()
    return found or "Not run: see `--help`."


def timed(work: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, float]:
    """The answer and the CPU seconds it took."""
    start = time.process_time()
    answer = work(*arguments, **options)
    return answer, time.process_time() - start


def synthetic(search: Search, count: int, seed: int) -> Iterator[SignalModel]:
    """Signals with log-normal spectra in HT and MHT and bell-shaped multiplicities, 3 to 100 events."""
    rng = np.random.default_rng(seed)
    open_high = np.where(np.isinf(search.high), search.low * 1.4, search.high)
    x = (search.low + open_high) / 2
    for i in range(count):
        centre = rng.uniform([3, 0, 500, 300], [10, 3, 2200, 1000])
        width = np.array([2.0, 1.0, 0.4, 0.4])
        far = np.stack([x[:, 0] - centre[0], x[:, 1] - centre[1], *np.log(x[:, 2:] / centre[2:]).T], axis=1)
        shape = np.exp(-((far / width) ** 2).sum(axis=1))
        yields = shape / shape.sum() * 10 ** rng.uniform(0.5, 2)
        yields[yields < 1e-4] = 0
        yield SignalModel("synthetic", {"i": i}, search.name, yields, 0.1 * yields)


def covariance(search: Search) -> FloatArray:
    """Statistics uncorrelated, every process's systematics fully correlated over bins."""
    parts = [p.estimate for p in search.processes]
    total: FloatArray = np.diag(np.sum([e.stat_up**2 for e in parts], axis=0))
    total += np.sum([np.outer(e.syst_up, e.syst_up) for e in parts], axis=0)
    return total


# --- SCIP -------------------------------------------------------------------------------------------------


def scip(search: Search, signals: list[SignalModel]) -> str:
    lines = [
        "| signal | superbin | bound | s | SCIP | bound | s | same bins |",
        "|---|---|---|---|---|---|---|---|",
    ]
    matrix = covariance(search)
    for signal in signals:
        ours, seconds = timed(
            merge.optimize, search, signal, figure_of_merit="s_over_sqrt_bv", covariance=matrix
        )
        value, bound, bins, taken = _scip(problem_from(bin_sums(search, signal), matrix))
        lines.append(
            f"| {signal.label} | {ours.value:.6f} | {ours.bound:.6f} | {seconds:.2f} | {value:.6f} | {bound:.6f} "
            f"| {taken:.1f} | {'yes' if bins == ours.bins else 'no'} |"
        )
    intro = (
        "S/sqrt(B + w'Cw) over 160 bins, statistics uncorrelated and systematics fully correlated per process. "
        "SCIP maximises s'v subject to v'(C + diag b)v <= 1, every v_i being 0 or tau: a mixed-integer "
        "second-order cone programme that shares nothing with superbin's branch and bound."
    )
    return intro + "\n\n" + "\n".join(lines)


def _scip(problem: Problem) -> tuple[float, float, tuple[int, ...], float]:
    # No dependency of the project, so nothing to type against.
    optimizer: Any = importlib.import_module("pyscipopt")
    quicksum = optimizer.quicksum
    keep = np.flatnonzero(problem.signal > 0)
    assert problem.covariance_up is not None
    matrix = (problem.covariance_up + np.diag(problem.background))[np.ix_(keep, keep)]
    factor, most = np.linalg.cholesky(matrix), 1 / np.sqrt(np.diag(matrix))
    model = optimizer.Model()
    model.hideOutput()
    tau = model.addVar(lb=0, ub=float(most.max()))
    chosen = [model.addVar(vtype="B") for _ in keep]
    v = [model.addVar(lb=0, ub=float(top)) for top in most]
    y = [model.addVar(lb=None) for _ in keep]
    for i in range(len(keep)):
        model.addCons(v[i] <= float(most[i]) * chosen[i])
        model.addCons(v[i] <= tau)
        model.addCons(v[i] >= tau - float(most.max()) * (1 - chosen[i]))
        model.addCons(y[i] == quicksum(float(factor[j, i]) * v[j] for j in range(i, len(keep))))
    model.addCons(quicksum(part * part for part in y) <= 1)
    model.setObjective(quicksum(float(problem.signal[k]) * v[i] for i, k in enumerate(keep)), "maximize")
    model.setParam("limits/gap", 1e-6)
    model.setParam("limits/time", 300)
    _, seconds = timed(model.optimize)
    bins = tuple(int(k) + 1 for i, k in enumerate(keep) if model.getVal(chosen[i]) > 0.5)
    return model.getObjVal(), model.getDualbound(), bins, seconds


# --- every set --------------------------------------------------------------------------------------------


_PROBLEMS = 130
"""Sub-problems of every kind."""


def misses(real: Problem) -> str:
    lines = [
        "| problems | correlated | constrained | number | missed | largest loss of Z | mean loss of the missed |",
        "|---|---|---|---|---|---|---|",
    ]
    for i, (kind, correlated, bound) in enumerate(
        itertools.product(("bins of the search", "random"), (False, True), (False, True))
    ):
        rng = np.random.default_rng([2, i])
        losses = np.array(
            [_loss(rng, real, kind, correlated=correlated, bound=bound) for _ in range(_PROBLEMS)]
        )
        bad = losses[losses > 1e-9]
        lines.append(
            f"| {kind} | {'yes' if correlated else 'no'} | {'yes' if bound else 'no'} | {losses.size} | {bad.size} | "
            f"{losses.max():.1%} | {bad.mean() if bad.size else 0:.1%} |"
        )
    intro = (
        "`midp` without a proof: best found against brute force on sub-problems of 12 bins. Provable figures "
        "of merit have no mismatch in the property tests. Random problems include bins of zero background, "
        "where the model of the uncertainty itself jumps. Constrained: at most 5 bins, at least a fifth of the "
        "background."
    )
    return intro + "\n\n" + "\n".join(lines)


def limit_misses(real: Problem) -> str:
    lines = [
        "| problems | correlated | number | missed | largest loss | mean loss of the missed |",
        "|---|---|---|---|---|---|",
    ]
    for i, (kind, correlated) in enumerate(
        itertools.product(("bins of the search", "random"), (False, True))
    ):
        rng = np.random.default_rng([3, i])
        losses = np.array([_limit_loss(rng, real, kind, correlated=correlated) for _ in range(60)])
        bad = losses[losses > 1e-9]
        lines.append(
            f"| {kind} | {'yes' if correlated else 'no'} | {losses.size} | {bad.size} | {losses.max():.1%} | "
            f"{bad.mean() if bad.size else 0:.1%} |"
        )
    intro = (
        "`limit` on sub-problems of 10 bins, without constraints. Every set of bins with signal has its limit on the stand-in's fixed grid, "
        "those within 5 % of the best the exact one."
    )
    return intro + "\n\n" + "\n".join(lines)


def _limit_loss(rng: np.random.Generator, real: Problem, kind: str, *, correlated: bool) -> float:
    problem = _drawn(rng, real, kind, 10, correlated=correlated)
    task = _task(problem, "limit")
    found, _ = solve(task, "free", 8)
    sets = np.concatenate(list(every_set(task.rules.required, task.rules.possible)))
    sets = sets[sets @ problem.signal > 0]
    quick = quick_limit(problem.totals(sets))
    best = MERITS["limit"](problem.totals(sets[quick > 0.95 * quick.max()])).max()
    return float(1 - found.best[1] / best)


def _drawn(rng: np.random.Generator, real: Problem, kind: str, n: int, *, correlated: bool) -> Problem:
    if kind == "random":
        s = rng.exponential(1, n) * rng.integers(0, 3, n) * 10 ** rng.uniform(-1, 1)
        s[0] += 1
        b = 10 ** rng.uniform(-1.5, 2.5, n) * (rng.random(n) > 0.03)
        sigma = np.maximum(b, 0.3) * 10 ** rng.uniform(-1.5, 0.3, n)
        sums = BinSums(s, b, sigma**2, np.minimum(sigma, b) ** 2)
    else:
        useful = np.flatnonzero(real.signal > 0.01)
        rows = rng.choice(useful, n, replace=False)
        sums = BinSums(
            *(part[rows] for part in (real.signal, real.background, real.variance_up, real.variance_down))
        )
    sigma = np.sqrt(sums.variance_up)
    share = rng.uniform(0, 0.8)
    matrix = np.outer(sigma, sigma) * (share + (1 - share) * np.eye(n)) if correlated else None
    return problem_from(sums, matrix)


def _loss(rng: np.random.Generator, real: Problem, kind: str, *, correlated: bool, bound: bool) -> float:
    problem = _drawn(rng, real, kind, 12, correlated=correlated)
    limits = Constraints(at_most=5, min_background=0.2 * float(problem.background.sum()))
    try:
        task = _task(problem, "midp", limits if bound else Constraints())
    except InputError:  # five bins cannot hold that much background
        return 0.0
    found, every = task.archive(), task.archive()
    cast_wide(task, found)
    brute_force(every, task.rules)
    if not every.found or every.best[1] <= 0:
        return 0.0
    return 1 - found.best[1] / every.best[1] if found.found else 1.0


def _task(problem: Problem, name: str, constraints: Constraints | None = None) -> Task:
    # The shape `free` never looks at the search.
    checked = rules(problem, constraints or Constraints())
    # Bins without signal are no candidates, where a minimum does not need them.
    narrow = checked.with_signal(problem)
    return Task(None, problem, MERITS[name], narrow if narrow.reachable(problem) else checked, Limits())


# --- greedy -----------------------------------------------------------------------------------------------


def gains(search: Search, models: list[SignalModel]) -> str:
    rows = []
    for model in models:
        result, seconds = timed(merge.optimize, search, model)
        box = merge.optimize(search, model, shape="rectangle").value
        problem = problem_from(bin_sums(search, model))
        (_, fast), quick = timed(own_best, problem, MERITS["midp"], rules(problem, Constraints()))
        asimov = merge.optimize(search, model, figure_of_merit="profile_asimov").bins
        chosen = np.zeros((1, search.n_bins), dtype=bool)
        chosen[0, np.array(asimov) - 1] = True
        other = float(MERITS["midp"](problem.totals(chosen))[0])
        rows.append((result.greedy.value, result.value, box, fast, other, seconds, quick))
    table = np.array(rows)
    with (HERE / "gains.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["greedy", "free", "rectangle", "fast", "asimov_optimum"])
        writer.writerows([[f"{x:.6f}" for x in row[:5]] for row in rows])
    table = table[table[:, 0] > 0.3]
    gain = table[:, 1] / table[:, 0] - 1
    lines = ["| | median | mean | 90 % | largest |", "|---|---|---|---|---|"]
    for title, values in (
        ("gain of free over greedy", gain),
        ("price of one rectangle", 1 - table[:, 2] / table[:, 1]),
        ("loss of the fast search for many models", 1 - table[:, 3] / table[:, 1]),
        ("loss of the optimum of Z_G", 1 - table[:, 4] / table[:, 1]),
    ):
        lines.append(
            f"| {title} | {np.median(values):.2%} | {values.mean():.2%} | {np.quantile(values, 0.9):.2%} "
            f"| {values.max():.2%} |"
        )
    intro = (
        f"{len(models)} synthetic signals in the packaged search, figure of merit `midp`; the {len(table)} of them "
        f"that greedy brings above 0.3 are summarised. Never below greedy: smallest gain {gain.min():.1e}. "
        f"CPU time a signal: free {np.median(table[:, 5]) * 1e3:.0f} ms with its text, fast "
        f"{np.median(table[:, 6]) * 1e3:.0f} ms."
    )
    return intro + "\n\n" + "\n".join(lines)


# --- products ---------------------------------------------------------------------------------------------


def products(search: Search, models: list[SignalModel]) -> str:
    touched, inside = product_sets(search)
    boxes = rectangles(search).sets
    every, exact = [], []
    seconds = 0.0
    for model in models:
        problem = problem_from(bin_sums(search, model))
        values, taken = timed(lambda p=problem: MERITS["midp"](p.totals(touched)))
        seconds += taken / len(models)
        every.append(values.max())
        exact.append(MERITS["midp"](problem.totals(boxes)).max())
    strong = np.array(every) > 0.3
    gain = np.array(every)[strong] / np.array(exact)[strong] - 1
    return (
        f"Products of published edges touch {len(touched)} different sets of bins and fully contain {len(inside)}; "
        f"{len(boxes)} are selected exactly, cut through no bin, and are what is called a rectangle. Exact p of the "
        f"{len(touched)}: {seconds * 1e3:.0f} ms. What the others would gain in exact Z, over {strong.sum()} of the synthetic "
        f"signals with Z above 0.3: nothing for {np.count_nonzero(gain < 1e-9)} of them, {gain.mean():.2%} in the mean, "
        f"{gain.max():.2%} at most."
    )


def product_sets(search: Search) -> tuple[BoolArray, BoolArray]:
    """Different sets of bins that products of ranges touch, and that they fully contain."""
    touched, inside = np.ones((2, 1, search.n_bins), dtype=bool)
    for low, high, observable in zip(search.low.T, search.high.T, search.observables, strict=True):
        a, b = (edge.ravel() for edge in np.meshgrid(np.unique(low), np.unique(high)))
        above = high[None, :] >= a[:, None] if observable.discrete else high[None, :] > a[:, None]
        below = low[None, :] <= b[:, None] if observable.discrete else low[None, :] < b[:, None]
        within = (low[None, :] >= a[:, None]) & (high[None, :] <= b[:, None])
        real = a <= b if observable.discrete else a < b
        touched = _different(touched, (above & below)[real])
        inside = _different(inside, within[real])
    return touched, inside


def _different(sets: BoolArray, more: BoolArray) -> BoolArray:
    both = (sets[:, None, :] & more[None, :, :]).reshape(-1, sets.shape[1])
    both = both[both.any(axis=1)]
    return both[first_rows(both)]


# --- speed ------------------------------------------------------------------------------------------------


def speed(search: Search, signal: SignalModel, other: Search) -> str:
    covariance, matrix = search.covariance, other.covariance
    assert covariance is not None
    assert matrix is not None
    lines = [
        "| | 160 bins, ms | of greedy | 174 bins, ms | of greedy |",
        "|---|---|---|---|---|",
    ]
    columns = [
        _times(search, signal, covariance),
        _times(other, next(synthetic(other, 1, seed=2)), matrix),
    ]
    for name in columns[0]:
        cells = (f"{c[name] * 1e3:.1f} | {c[name] / c['greedy, midp']:.2f}" for c in columns)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    models = list(synthetic(search, 200, seed=9))
    problems = [problem_from(bin_sums(search, model)) for model in models]
    _, seconds = timed(lambda: [own_best(p, MERITS["midp"], rules(p, Constraints())) for p in problems])
    intro = (
        "Least CPU time of repeated runs, in one process: T1bbbb(1750, 1) in the packaged search with the covariance of its likelihood, "
        "and a synthetic signal in CMS-SUS-16-033 with the published covariance. A whole call includes the check of its "
        "input, the greedy baseline and the text of the cuts. Fast search, 1000 models of 160 bins: "
        f"{seconds * 1000 / len(models):.1f} s ({len(models)} timed)."
    )
    return intro + "\n\n" + "\n".join(lines)


def _times(search: Search, signal: SignalModel, matrix: Covariance) -> dict[str, float]:
    def least(work: Callable[[], Any], runs: int = 7) -> float:
        work()
        return min(timed(work)[1] for _ in range(runs))

    def whole(runs: int = 7, **options: Any) -> float:
        return least(lambda: merge.optimize(search, signal, **options), runs)

    sums = bin_sums(search, signal)
    alone = _task(problem_from(sums), "profile_asimov")
    return {
        "greedy, midp": least(lambda: merge.greedy(sums)),
        "Z_G, certified, the proof alone": least(lambda: certify(alone, alone.archive())),
        "Z_G, certified, whole call": whole(figure_of_merit="profile_asimov"),
        "Z_G, certified, correlated, whole call": whole(figure_of_merit="profile_asimov", covariance=matrix),
        "midp, best found, whole call": whole(),
        "midp, best found, correlated, whole call": whole(covariance=matrix),
        "all rectangles, exact p": whole(shape="rectangle", covariance=matrix),
        "two rectangles, correlated": whole(2, shape="two rectangles", covariance=matrix),
        "limit, best found, whole call": whole(2, figure_of_merit="limit"),
        "asimov_limit, certified, correlated, whole call": whole(
            figure_of_merit="asimov_limit", covariance=matrix
        ),
    }


# --- growth -----------------------------------------------------------------------------------------------


def growth() -> str:
    sizes = (40, 80, 160, 320, 640)
    names = ("Z_G, prefix", "Z_G, correlated", "midp, best found")
    times: dict[str, list[float]] = {name: [] for name in names}
    nodes = []
    for n in sizes:
        runs: dict[str, list[float]] = {name: [] for name in names}
        counted = []
        for seed in range(3):
            free, correlated = _grown(n, seed)
            for name, problem, figure in zip(
                names, (free, correlated, free), ("profile_asimov", "profile_asimov", "midp"), strict=True
            ):
                task = _task(problem, figure)
                archive = task.archive()
                solve = cast_wide if figure == "midp" else certify
                proof, seconds = timed(solve, task, archive)
                runs[name].append(seconds)
                if name == names[1]:
                    assert proof.complete
                    counted.append(proof.nodes)
        for name in names:
            times[name].append(float(np.median(runs[name])))
        nodes.append(int(np.median(counted)))
    _draw(sizes, times)
    lines = [
        "| bins | " + " | ".join(f"{name}, ms" for name in names) + " | nodes |",
        "|---|---|---|---|---|",
    ]
    for i, n in enumerate(sizes):
        cells = " | ".join(f"{times[name][i] * 1e3:.1f}" for name in names)
        lines.append(f"| {n} | {cells} | {nodes[i]} |")
    intro = (
        "Median CPU time of three random problems, four correlated sources of uncertainty. See `growth.png`."
    )
    return intro + "\n\n" + "\n".join(lines)


def _grown(n: int, seed: int) -> tuple[Problem, Problem]:
    rng = np.random.default_rng(seed)
    b = 10 ** rng.uniform(-1, 3, n)
    s = 40 * rng.exponential(1, n) / n * np.sqrt(b) / 5
    sigma = np.hypot(0.2 * b, 0.7 * np.sqrt(b))
    sums = BinSums(s, b, sigma**2, np.minimum(sigma, b) ** 2)
    factors = np.abs(rng.normal(size=(n, 4))) * (0.1 * b)[:, None]
    return problem_from(sums), problem_from(sums, factors @ factors.T + np.diag(b * 0.5))


def _draw(sizes: tuple[int, ...], times: dict[str, list[float]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
    for name, values in times.items():
        axes.loglog(sizes, values, marker="o", label=name)
    axes.set(xlabel="number of bins", ylabel="CPU seconds", xticks=sizes, xticklabels=[str(n) for n in sizes])
    axes.minorticks_off()
    axes.legend()
    figure.savefig(HERE / "growth.png", dpi=100)


if __name__ == "__main__":
    main()
