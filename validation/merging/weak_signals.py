"""How the figure of merit treats weak signals, and what its merges cost in the limit: writes WEAK-SIGNALS.md.

Definitions of the merit are compared over every point of the packaged grids: for each, the expected 95 % CLs limit of the
merge it chooses over that of the merge chosen for the limit. Then: how often bins of vanishing signal are chosen for what
they do to the background model, and how far the stand-in for the exact limit is off. One process, some ten minutes:

    nice -n 10 python validation/merging/weak_signals.py
"""

import argparse
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from superbin import merge, open_catalog
from superbin.domain.aggregate import bin_sums
from superbin.domain.correlations import covariances
from superbin.domain.covariance import Covariance
from superbin.domain.merits import MERITS, register
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.domain.sums import Totals
from superbin.merge import figures
from superbin.merge.archive import as_set
from superbin.merge.exclusion import limit, quick_limit
from superbin.merge.problem import Problem, problem_from
from superbin.scan import grid_targets

SEARCH = "cms-pas-sus-16-014"
MODELS = ("T1bbbb", "T1tttt", "T1qqqq", "T2bb")
REPORT = Path(__file__).with_name("WEAK-SIGNALS.md")

Figure = Callable[[Totals], np.ndarray]


# --- definitions ----------------------------------------------------------------------------------------------


def plain(totals: Totals) -> np.ndarray:
    """Expected Z at n = s + b: the definition until now."""
    return np.where(totals.signal > 0, figures.expected_z(totals), 0.0)


def difference(totals: Totals) -> np.ndarray:
    """Z(s + b) - Z(b)."""
    return figures.expected_z(totals) - figures.expected_z(replace(totals, signal=0 * totals.signal))


@contextmanager
def defined(exact: Figure, quick: Figure, visible: float = figures.VISIBLE) -> Iterator[None]:
    """Another definition of ``midp`` for a while."""
    before = MERITS["midp"], figures.VISIBLE
    register(replace(before[0], exact=exact, quick=quick), instead=True)
    figures.VISIBLE = visible
    try:
        yield
    finally:
        figures.VISIBLE = before[1]
        register(before[0], instead=True)


DEFINITIONS: dict[str, tuple[Figure, Figure, float]] = {
    "Z(s + b), until now": (plain, figures.profile_lognormal, figures.VISIBLE),
    "Z(s + b) - Z(b)": (difference, figures.profile_lognormal, figures.VISIBLE),
    "Z, or 1/mu below Z = 1: chosen": (figures.midp, figures.quick_midp, figures.VISIBLE),
    "Z, or 1.645/mu below Z = 1.645": (figures.midp, figures.quick_midp, 1.645),
    "Z, or 3/mu below Z = 3": (figures.midp, figures.quick_midp, 3.0),
}
CHOSEN = list(DEFINITIONS)[2]


# --- packaged points ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """One point of a grid: expected limits on mu and expected Z of the merge for the limit and of every definition."""

    label: str
    lowest: float
    mu: dict[str, float]
    z: dict[str, float]
    tiny: int
    gain: float
    free_gain: float


def study(search: Search, signal: SignalModel, problem: Problem, covariance: Covariance) -> Point:
    """All merges of one signal."""
    chosen = {}
    best = merge.optimize(search, signal, figure_of_merit="limit", covariance=covariance)
    for name, definition in DEFINITIONS.items():
        with defined(*definition):
            chosen[name] = merge.optimize(search, signal, covariance=covariance).bins
    sets = np.array([as_set(bins, search.n_bins) for bins in (best.bins, *chosen.values())])
    totals = problem.totals(sets)
    mu, z = 1 / limit(totals), figures.expected_z(totals)
    default = as_set(chosen[CHOSEN], search.n_bins)
    tiny = default & (problem.signal < 0.001 * problem.signal[default].sum())
    worth = figures.midp(problem.totals(np.array([default, default & ~tiny])))
    # What one bin without signal would add, if it were a candidate.
    none = np.flatnonzero(problem.signal == 0)
    more = default | np.eye(search.n_bins, dtype=bool)[none]
    free = figures.midp(problem.totals(more)).max(initial=0.0)
    return Point(
        signal.label,
        float(mu[0]),
        dict(zip(chosen, mu[1:].tolist(), strict=True)),
        dict(zip(chosen, z[1:].tolist(), strict=True)),
        int(tiny.sum()),
        float(worth[0] / worth[1] - 1),
        float(max(free / worth[0] - 1, 0.0)),
    )


def points(most: int | None) -> list[Point]:
    """Every point of the packaged grids."""
    with open_catalog() as catalog:
        search = catalog.search(SEARCH)
        grids = [catalog.grid(search, model) for model in MODELS]
        sections = [catalog.cross_sections(grid.process, search) for grid in grids]
    covariance = covariances(search, "likelihood")[0]
    assert covariance is not None
    found = []
    for grid, table in zip(grids, sections, strict=True):
        targets = [t.signal for t in grid_targets(grid, search, cross_sections=table)]
        for signal in [s for s in targets if s is not None and s.yields.any()][:most]:
            problem = problem_from(bin_sums(search, signal), covariance)
            found.append(study(search, signal, problem, covariance))
    return found


def compared(found: list[Point]) -> list[str]:
    """The table of definitions, and the worst points of the chosen one."""
    lowest = np.array([p.lowest for p in found])
    ranges = {
        "all": lowest > 0,
        "mu95 < 0.1": lowest < 0.1,
        "0.1 - 1": (lowest >= 0.1) & (lowest < 1),
        "1 - 5": (lowest >= 1) & (lowest < 5),
        "> 5": lowest >= 5,
    }
    lines = [
        (
            f"{len(found)} points. Expected limit of the merge over that of the merge chosen for the limit, by the latter: largest "
            "(points above 1.5)."
        ),
        "",
        "| figure of merit | "
        + " | ".join(ranges)
        + " | median | smallest ratio of expected Z, where Z > 1 |",
        "|---" * (len(ranges) + 3) + "|",
    ]
    before = np.array([p.z[next(iter(DEFINITIONS))] for p in found])
    for name in DEFINITIONS:
        ratio = np.array([p.mu[name] for p in found]) / lowest
        cells = [
            f"{ratio[m].max():.2f} ({(ratio[m] > 1.5).sum()} of {m.sum()})" if m.any() else "-"
            for m in ranges.values()
        ]
        z = np.array([p.z[name] for p in found])
        strong = before > figures.VISIBLE
        lines.append(
            f"| {name} | {' | '.join(cells)} | {np.median(ratio):.3f} | {(z / before)[strong].min():.3f} |"
        )
    ratio = np.array([p.mu[CHOSEN] for p in found]) / lowest
    lines += [
        "",
        "Points above 1.5 with the chosen definition:",
        "",
        "| signal | limit / lowest | lowest mu95 | expected Z |",
        "|---|---|---|---|",
    ]
    for i in np.argsort(-ratio):
        if ratio[i] > 1.5:
            p = found[i]
            lines.append(f"| {p.label} | {ratio[i]:.2f} | {p.lowest:.3g} | {p.z[CHOSEN]:.2f} |")
    return lines


# --- bins of vanishing signal ---------------------------------------------------------------------------------


def random_pairs(count: int) -> tuple[int, int, float]:
    """A bin with signal, and one without that raises the merit when it joins: how many, by 5 % or more, largest gain."""
    rng = np.random.default_rng(1)
    s = 10 ** rng.uniform(-1, 3, count)
    b = 10 ** rng.uniform(-1, 3, (2, count))
    up = b * 10 ** rng.uniform(-1.5, 0, (2, count))
    down = np.minimum(up * rng.uniform(0.5, 1.5, (2, count)), 0.95 * b)
    alone = figures.midp(Totals(s, b[0], up[0], down[0]))
    joined = figures.midp(Totals(s, b.sum(axis=0), np.hypot(*up), np.hypot(*down)))
    gain = joined / alone - 1
    return int((gain > 1e-9).sum()), int((gain > 0.05).sum()), float(gain.max())


def vanishing(found: list[Point]) -> list[str]:
    """What bins without or nearly without signal do."""
    count = 4000
    helped, much, most = random_pairs(count)
    tiny = [p for p in found if p.tiny]
    gain = max((p.gain for p in tiny), default=0.0)
    free = [p.free_gain for p in found if p.free_gain > 1e-9]
    return [
        (
            "A well-known background without signal can lighten the tail of a poorly known one, because the model of a sum is a "
            "log-normal again. Bins without signal are therefore no candidates."
        ),
        "",
        (
            f"- Chosen merges that hold bins with less than 0.1 % of their signal: {len(tiny)} of {len(found)}; leaving these bins "
            f"out would lower the figure of merit by at most {gain:.2%}."
        ),
        (
            f"- If bins without signal were candidates, one of them would raise the figure of merit of {len(free)} of the "
            f"{len(found)} merges, by at most {max(free, default=0.0):.2%}."
        ),
        (
            f"- {count} random pairs of an uncorrelated bin with signal and one without: joining raises the figure of merit of "
            f"{helped}, of {much} by more than 5 %, at most by {most:.0%}."
        ),
    ]


# --- the stand-in ---------------------------------------------------------------------------------------------


def stand_in() -> list[str]:
    """The quick limit against the exact one, over backgrounds and uncertainties."""
    rng = np.random.default_rng(2)
    edges = (0.0, 1e-3, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
    relative = (0.0, 0.03, 0.3, 1.0, 3.0)
    lines = [
        (
            "Largest deviation of the stand-in `quick_limit` from the exact limit, 400 random backgrounds in each field, downward "
            "uncertainties of 3 to 100 % of the upward ones."
        ),
        "",
        "| background | " + " | ".join(f"up/b {a:g}-{z:g}" for a, z in itertools.pairwise(relative)) + " |",
        "|---" * len(relative) + "|",
    ]
    for low, high in itertools.pairwise(edges):
        row = []
        for first, last in itertools.pairwise(relative):
            b = np.zeros(400) if high == 1e-3 else np.exp(rng.uniform(np.log(low), np.log(high), 400))
            up = np.where(b > 0, b, 1.0) * rng.uniform(max(first, 1e-4), last, 400)
            down = np.minimum(up * 10 ** rng.uniform(-1.5, 0, 400), b)
            totals = Totals(np.ones(400), b, up, down)
            row.append(f"{np.abs(quick_limit(totals) / limit(totals) - 1).max():.2%}")
        name = "0" if high == 1e-3 else f"{low:g} - {high:g}"
        lines.append(f"| {name} | {' | '.join(row)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, help="so many points of each grid only")
    found = points(parser.parse_args().most)
    text = [
        "# Weak signals",
        "",
        "Written by `weak_signals.py`.",
        "",
        "## Definitions of the figure of merit, and the limit of their merges",
        "",
        *compared(found),
        "",
        "## Bins of vanishing signal",
        "",
        *vanishing(found),
        "",
        "## The stand-in for the exact limit",
        "",
        *stand_in(),
        "",
    ]
    REPORT.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
