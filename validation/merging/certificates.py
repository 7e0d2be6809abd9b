"""Whether the bounds on the exact figures of merit are true, and how close they come.

``python validation/merging/certificates.py brute`` compares bounds with every set of random problems of up to 14 bins;
``python validation/merging/certificates.py shapes`` does so for every shape and figure of merit on small grids;
``python validation/merging/certificates.py packaged`` certifies every packaged model and point, and adds them to ``certificates.csv``;
``summary`` writes the tables of that into ``CERTIFICATES.md`` and prints the sentence of the README.
"""

import argparse
import csv
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from superbin import merge, open_catalog
from superbin.domain.aggregate import BinSums, bin_sums
from superbin.domain.correlations import covariances
from superbin.domain.merits import MERITS
from superbin.domain.search import Observable, Search
from superbin.errors import InputError
from superbin.merge import cells
from superbin.merge.archive import Archive
from superbin.merge.branch import Limits
from superbin.merge.constraints import Constraints, Rules, rules
from superbin.merge.exhaustive import every_set
from superbin.merge.local import improve
from superbin.merge.planes import exact_bound
from superbin.merge.problem import BoolArray, Problem, problem_from
from superbin.merge.shapes import Shape, Task, solve
from superbin.merge.solve import SHAPES, status
from superbin.scan import grid_targets

CERTIFICATES = Path(__file__).parent / "certificates.csv"
SEARCH = "cms-pas-sus-16-014"
SEARCHES = (SEARCH, "cms-sus-16-033")
MODELS = ("T1bbbb", "T1qqqq", "T1tttt", "T2bb", "T2qq", "T2tt")
BENCHMARKS = (
    ("T1bbbb", (1750.0, 1.0)),
    ("T1bbbb", (1000.0, 900.0)),
    ("T1tttt", (1500.0, 100.0)),
    ("T1qqqq", (1400.0, 100.0)),
    ("T2bb", (1000.0, 1.0)),
)
KINDS = ("plain", "zero backgrounds", "twins", "weak", "strong", "correlated", "negative", "degenerate")


def drawn(rng: np.random.Generator, kind: str, n: int) -> Problem:
    """A random problem: yields over orders of magnitude, uncertainties from 1 % to twice the background."""
    s = rng.exponential(1, n) * (rng.uniform(size=n) < 0.8) * 10 ** rng.uniform(-1.5, 1)
    s[rng.integers(n)] += 10 ** rng.uniform(-1, 1)
    b = 10 ** rng.uniform(-1.5, 2.5, n)
    up = b * 10 ** rng.uniform(-2, 0.3, n)
    down = np.minimum(up * rng.uniform(0.2, 1.1, n), b)
    if kind == "zero backgrounds":
        empty = rng.uniform(size=n) < 0.4
        b[empty], down[empty], up[empty] = 0.0, 0.0, rng.uniform(0.1, 2, int(empty.sum()))
    if kind == "twins":
        pick = rng.integers(n, size=n // 2)
        s[: n // 2], b[: n // 2], up[: n // 2], down[: n // 2] = s[pick], b[pick], up[pick], down[pick]
    if kind in ("weak", "strong"):
        s *= 0.02 if kind == "weak" else 20.0
    covariance = None
    if kind in ("correlated", "negative", "degenerate"):
        factors = rng.normal(size=(n, 2 if kind == "degenerate" else n + 2))
        if kind != "negative":
            factors = np.abs(factors)
        matrix = factors @ factors.T
        if kind == "correlated":
            matrix += np.diag(rng.uniform(0, 2, n) * np.diag(matrix))
        scale = up / np.sqrt(np.diag(matrix))
        covariance = matrix * np.outer(scale, scale)
    return problem_from(BinSums(s, b, up**2, down**2), covariance)


def constrained(rng: np.random.Generator, problem: Problem) -> Constraints:
    """Random conditions; none for half of the problems."""
    if rng.random() < 0.5:
        return Constraints()
    n = problem.n_bins
    order = (rng.permutation(n) + 1).tolist()
    exactly = int(rng.integers(2, n)) if rng.random() < 0.3 else None
    least_background, least_signal = (
        float(rng.uniform(0, 0.4) * total) if rng.random() < 0.3 else 0.0
        for total in (problem.background.sum(), problem.signal.sum())
    )
    return Constraints(
        at_most=int(rng.integers(1, n)) if exactly is None and rng.random() < 0.4 else None,
        exactly=exactly,
        required=tuple(order[: rng.integers(0, 3)]),
        forbidden=tuple(order[3 : 3 + rng.integers(0, 3)]),
        min_background=least_background,
        min_signal=least_signal,
    )


def best_of_all(problem: Problem, checked: Rules, figure: str) -> float:
    """The best figure of merit over every allowed set."""
    archive = Archive(problem, MERITS[figure], checked, keep=1)
    for sets in every_set(checked.required, checked.possible):
        archive.evaluate(sets)
    return archive.best[1] if archive.found else 0.0


def compared(seed: int, figure: str, largest: int) -> Iterator[tuple[str, float, float, bool, float, int]]:
    """Kind, best of all, bound over best, whether complete, the best found over the best, nodes; for random problems."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    n = int(rng.integers(6, largest + 1))
    try:
        problem = drawn(rng, kind, n)
        checked = rules(problem, constrained(rng, problem))
    except InputError:
        return
    best = best_of_all(problem, checked, figure)
    if best == 0:
        return
    archive = Archive(problem, MERITS[figure], checked, keep=4)
    # Bounds are to hold from a poor start and at any time.
    archive.evaluate(np.eye(n, dtype=bool))
    nodes = int(rng.choice([1, 30, 300, 3000, 10**6]))
    limits = Limits(gap=1e-3, nodes=nodes, seconds=1.0)
    merit = MERITS[figure]
    found = exact_bound(archive, merit.largest, checked, limits, least_down=merit.least_down)
    value = archive.best[1] if archive.found else 0.0
    yield kind, best, found.bound / best - 1, found.complete, value / best - 1, found.nodes


def brute(first: int, count: int, figure: str, largest: int) -> int:
    """Print the table; returns how many bounds were below the best of all sets."""
    # Small problems are to meet what large ones meet later.
    cells._SHARED = 20
    rows: dict[str, list[tuple[float, bool, float]]] = {}
    wrong = 0
    seed = first
    while sum(map(len, rows.values())) < count:
        for kind, best, excess, complete, shortfall, nodes in compared(seed, figure, largest):
            rows.setdefault(kind, []).append((excess, complete, shortfall))
            if excess < -1e-12 or (complete and shortfall < -1.1e-3):
                wrong += 1
                print(
                    f"seed {seed}, {kind}: best {best:.6g}, bound {excess:+.2e}, best found {shortfall:+.2e}, {nodes} nodes",
                    flush=True,
                )
        seed += 1
    print(
        "| problems | number | proved to 1e-3 | bound over best, least | median | most |\n|---|---|---|---|---|---|"
    )
    for kind, found in rows.items():
        over = np.array([row[0] for row in found])
        done = sum(row[1] for row in found)
        print(
            f"| {kind} | {len(found)} | {done} | {over.min():.1e} | {np.median(over):.1e} | {over.max():.1e} |"
        )
    print(
        f"\n{wrong} of {sum(map(len, rows.values()))} bounds below the best of all sets; seeds {first} to {seed - 1}."
    )
    return wrong


FIGURES = ("midp", "limit", "profile_asimov", "s_over_sqrt_bv", "asimov_limit")


def small_search(rng: np.random.Generator, n: int) -> Search:
    """Bins on a grid of two or three observables, not all of them there, with edges of random distances."""
    sides = ((2, 3, 3), (4, 4), (3, 5), (2, 2, 4))[int(rng.integers(4))]
    at = np.stack([axis.ravel() for axis in np.meshgrid(*map(range, sides), indexing="ij")], axis=1)
    at = at[np.sort(rng.permutation(len(at))[:n])]
    edges: dict[str | Observable, object] = {}
    for j, side in enumerate(sides):
        ends = np.cumsum(rng.uniform(1, 3, side + 1))
        edges[Observable(f"x{j}", f"x{j}", "GeV")] = (ends[at[:, j]], ends[at[:, j] + 1])
    one = np.ones(len(at))
    return Search.from_arrays("small", observed=one, background=one, error=one, luminosity_fb=1, edges=edges)


def shaped(search: Search, shape: Shape) -> BoolArray:
    """Every set of a shape, from its definition: all products of edges that cut no bin, their unions, and walks between neighbours."""
    n = search.n_bins
    every = ((np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1).astype(bool)
    if shape == "free":
        return every
    if shape == "connected":
        low, high = search.low, search.high
        wide = (np.minimum(high[:, None], high) - np.maximum(low[:, None], low)) > 1e-9
        meets = np.isclose(high[:, None], low) | np.isclose(low[:, None], high)
        near = [
            meets[..., j] & np.delete(wide, j, axis=2).all(axis=2) for j in range(len(search.observables))
        ]
        linked = np.logical_or.reduce(near)
        reached = np.zeros_like(every)
        reached[np.arange(len(every)), np.argmax(every, axis=1)] = True
        for _ in range(n):
            reached |= every & ((reached.astype(int) @ linked) > 0)
        return np.asarray(every[(reached == every).all(axis=1)])
    found = set()
    ranges = [
        list(itertools.product(np.unique(search.low[:, j]), np.unique(search.high[:, j])))
        for j in range(len(search.observables))
    ]
    for box in itertools.product(*ranges):
        first, last = np.array(box).T
        inside = ((search.low >= first) & (search.high <= last)).all(axis=1)
        touched = ((search.low < last) & (search.high > first)).all(axis=1)
        if inside.any() and (inside == touched).all():
            found.add(int(inside @ (1 << np.arange(n))))
    count = {"rectangle": 1, "two rectangles": 2, "three rectangles": 3}[shape]
    unions = set(found)
    for _ in range(count - 1):
        unions = {a | b for a in unions for b in found} | unions
    return np.asarray(((np.array(sorted(unions))[:, None] >> np.arange(n)) & 1).astype(bool))


def of_shapes(first: int, count: int, largest: int) -> int:
    """Bounds and best sets of every shape and figure of merit against every set of that shape; returns how many are wrong."""
    rows: dict[tuple[str, str], list[tuple[bool, bool, float]]] = {}
    wrong, seed = 0, first
    while sum(map(len, rows.values())) < count:
        rng = np.random.default_rng(seed)
        shape, figure = SHAPES[seed % len(SHAPES)], FIGURES[seed // len(SHAPES) % len(FIGURES)]
        search = small_search(rng, int(rng.integers(6, largest + 1)))
        seed += 1
        try:
            problem = drawn(rng, KINDS[int(rng.integers(len(KINDS)))], search.n_bins)
            checked = rules(problem, constrained(rng, problem))
        except InputError:
            continue
        merit = MERITS[figure]
        # Bins without signal are no candidates in free shape (MERGE-34).
        narrow = checked.with_signal(problem)
        candidates = narrow if shape == "free" and narrow.reachable(problem) else checked
        every = Archive(problem, merit, candidates, keep=1)
        every.evaluate(shaped(search, shape))
        task = Task(search, problem, merit, checked, Limits(exact_seconds=0.2, seconds=1.0))
        archive, proof = solve(task, shape, 8)
        if not every.found or not archive.found:
            # A shape that only happens to satisfy the constraints may be missed; a set that does not exist may not be found.
            wrong += archive.found
            rows.setdefault((shape, figure), []).append((not every.found, False, 0.0))
            continue
        best, value = every.best[1], archive.best[1]
        gap = 1.1e-3 if merit.at_most is not None else 2e-6
        bad = value > best * (1 + 1e-9) or (proof.bound is not None and proof.bound < best * (1 - 1e-9))
        bad |= proof.complete and value < best * (1 - gap)
        if bad:
            wrong += 1
            print(
                f"seed {seed - 1}, {shape}, {figure}: best {best:.8g}, found {value:.8g}, {proof}", flush=True
            )
        rows.setdefault((shape, figure), []).append(
            (value >= best * (1 - 1e-9), proof.complete, value / best - 1)
        )
    print(
        "| shape | figure of merit | problems | best of all found | certified | largest loss |\n|---|---|---|---|---|---|"
    )
    for (named, figure), found in sorted(rows.items()):
        print(
            f"| {named} | {figure} | {len(found)} | {sum(r[0] for r in found)} | {sum(r[1] for r in found)} | {-min(r[2] for r in found):.2%} |"
        )
    print(f"\n{wrong} of {sum(map(len, rows.values()))} wrong; seeds {first} to {seed - 1}.")
    return wrong


PACKAGED = (
    "`certificates.py packaged --every 2 --visible`: every second point of the packaged grids with `midp` of at least 1, of weaker ones "
    "a few; 3 s of CPU without correlations, 10 s with the likelihood's, beside other work. The value of `limit` is the inverse of the limit on the signal strength."
)

STRENGTHS = (1.0, 5.0)
CERTIFIED = 1e-3 * 1.0001

COLUMNS = ("search", "signal", "figure", "correlations", "seconds", "value", "gap", "nodes", "cpu")
_KEY = COLUMNS[:5]


def known() -> list[dict[str, str]]:
    """The rows of ``certificates.csv``."""
    if not CERTIFICATES.exists():
        return []
    with CERTIFICATES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def packaged(
    name: str,
    models: Sequence[str],
    every: int,
    seconds: tuple[float, float],
    figure: str,
    *,
    visible: bool,
) -> None:
    """Certificates of packaged points, without correlations and with the search's; those in ``certificates.csv`` are not done again."""
    with open_catalog() as catalog:
        search = catalog.search(name)
        signals = [
            catalog.signal(search, model, masses)
            for model, masses in BENCHMARKS
            if name == SEARCH and model in models
        ]
        grids = [catalog.grid(search, model) for model in models]
        tables = [catalog.cross_sections(grid.process, search) for grid in grids]
    assert search.covariance is not None
    correlations, covariance = search.covariance.source, search.covariance
    points = [
        [
            target.signal
            for target in grid_targets(grid, search, cross_sections=table)
            if target.signal is not None and target.signal.yields.any()
        ]
        for grid, table in zip(grids, tables, strict=True)
    ]
    if every:
        # One of every model in turn, so that a run that is stopped has some of all.
        chosen = [group[every // 2 :: every] for group in points]
        signals += [point for turn in itertools.zip_longest(*chosen) for point in turn if point is not None]
    done = {tuple(row[column] for column in _KEY) for row in known()}
    if not done:
        CERTIFICATES.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    for signal in signals:
        for used, matrix, limit in (("none", None, seconds[0]), (correlations, covariance, seconds[1])):
            key = (name, signal.label, figure, used, f"{limit:g}")
            if key in done:
                continue
            if visible and merge.optimize(search, signal, covariance=matrix).value < 1:
                continue
            before = time.process_time()
            found = merge.optimize(
                search, signal, figure_of_merit=figure, covariance=matrix, limits=Limits(exact_seconds=limit)
            )
            taken = time.process_time() - before
            gap = np.inf if found.gap is None else found.gap
            with CERTIFICATES.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow(
                    [*key, f"{found.value:.5g}", f"{gap:.4g}", found.nodes, f"{taken:.1f}"]
                )
            print(*key, f"{found.value:.4f}", found.status, f"{taken:.1f} s", flush=True)


def summary() -> str:
    """What is proved of the points in ``certificates.csv``, in tables."""
    groups: dict[tuple[str, str, int], list[float]] = {}
    rows = known()
    # A figure of merit below 1 is a weak signal; of the limit, a signal that is not excluded.
    for row in rows:
        strength = int(np.searchsorted(STRENGTHS, float(row["value"])))
        groups.setdefault((row["figure"], row["correlations"], strength), []).append(float(row["gap"]))
    lines = [
        "| figure of merit | correlations | its value | points | certified | within 1 % | median gap | largest |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for (figure, name, strong), some in sorted(groups.items(), reverse=True):
        gap = np.array(some)
        lines.append(
            f"| {figure} | {name} | {('< 1', '1 to 5', '> 5')[strong]} | {gap.size} | {(gap <= CERTIFIED).sum()} "
            f"| {(gap <= 0.01).sum()} | {np.median(gap):.2%} | {gap.max():.1%} |"
        )
    lines += [
        "",
        "| signal | figure of merit | correlations | value | proved | CPU s | nodes |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row["figure"], reverse=True):
        proved = float(row["gap"])
        said = status(proved <= CERTIFIED, proved)
        lines.append(
            f"| {row['signal']} | {row['figure']} | {row['correlations']} | {float(row['value']):.4f} | {said} | {row['cpu']} | {row['nodes']} |"
        )
    return "\n".join(lines)


def sentence() -> str:
    """For the README."""
    gaps: dict[str, list[float]] = {}
    rows = [row for row in known() if row["figure"] == "midp" and float(row["value"]) >= STRENGTHS[0]]
    for row in rows:
        gaps.setdefault(row["correlations"], []).append(float(row["gap"]))
    parts = [
        f"{sum(gap <= 0.01 for gap in found)} of {len(found)} merges are proved within 1 % of the optimum in {seconds} s of CPU {words} "
        f"({sum(gap <= CERTIFIED for gap in found)} certified; largest gap {max(found):.1%})"
        for name, words, seconds in (
            ("none", "without correlations", 3),
            ("likelihood", "with the likelihood's correlations", 10),
        )
        if (found := gaps.get(name))
    ]
    return f"README: of the packaged points with an expected Z of at least 1 that were done, {', and '.join(parts)}."


def write_section(title: str, body: str) -> None:
    """Replace a section of ``CERTIFICATES.md``."""
    path = CERTIFICATES.with_name("CERTIFICATES.md")
    before, head, rest = path.read_text(encoding="utf-8").partition(f"## {title}\n")
    _, following, after = rest.partition("\n## ")
    path.write_text(before + head + f"\n{body.strip()}\n" + following + after, encoding="utf-8")


def restarts() -> None:
    """The search against local search from random sets, given the same CPU time: the table."""
    with open_catalog() as catalog:
        search = catalog.search(SEARCH)
        signals = [catalog.signal(search, model, masses) for model, masses in BENCHMARKS]
    covariance = covariances(search, "likelihood")[0]
    rng = np.random.default_rng(5)
    print(
        "| signal | correlations | search | CPU s | random restarts, same time | starts | ten times the time |\n|---|---|---|---|---|---|---|"
    )
    for signal in signals:
        for name, matrix in (("none", None), ("likelihood", covariance)):
            merge.optimize(search, signal, covariance=matrix)
            start = time.process_time()
            found = merge.optimize(search, signal, covariance=matrix)
            taken = time.process_time() - start
            problem = problem_from(bin_sums(search, signal), matrix)
            archive = Archive(problem, MERITS["midp"], Rules.none(problem))
            useful = np.flatnonzero(problem.signal > 0)
            best, starts, start = [], 0, time.process_time()
            for share in (1, 10):
                while time.process_time() - start < share * taken:
                    chosen = np.zeros(problem.n_bins, dtype=bool)
                    chosen[rng.choice(useful, rng.integers(1, 20), replace=False)] = True
                    improve(archive, chosen, float(archive.evaluate(chosen[None, :])[0]))
                    starts += share == 1
                best.append(archive.best[1] / found.value - 1)
            print(
                f"| {signal.label} | {name} | {found.value:.4f} | {taken:.2f} | {best[0]:+.2%} | {starts} | {best[1]:+.2%} |",
                flush=True,
            )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["brute", "shapes", "packaged", "summary", "restarts"])
    parser.add_argument("--figure", default="midp")
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument(
        "--visible", action="store_true", help="Only packaged points whose figure midp is at least 1."
    )
    parser.add_argument("--search", choices=SEARCHES, default=SEARCH, help="Whose points.")
    parser.add_argument("--models", nargs="+", default=MODELS, help="Whose points.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--largest", type=int, default=10)
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        help="Every so many of the packaged points, besides the benchmarks; 0 for none.",
    )
    parser.add_argument(
        "--seconds", type=float, nargs=2, default=(3.0, 10.0), help="CPU time without and with correlations."
    )
    options = parser.parse_args()
    # Proofs are timed by the CPU, so that a busy machine proves the same.
    cells.time.perf_counter = time.process_time  # type: ignore[attr-defined]
    start = time.process_time()
    if options.part == "restarts":
        restarts()
        return
    if options.part == "packaged":
        packaged(
            options.search,
            options.models,
            options.every,
            tuple(options.seconds),
            options.figure,
            visible=options.visible,
        )
    if options.part in ("packaged", "summary"):
        write_section("Packaged points", PACKAGED + "\n\n" + summary() + "\n\n" + sentence())
        print(sentence())
        return
    if options.part == "shapes":
        wrong = of_shapes(options.seed, options.number, options.largest)
    else:
        wrong = brute(options.seed, options.number, options.figure, options.largest)
    print(f"CPU {time.process_time() - start:.0f} s")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
