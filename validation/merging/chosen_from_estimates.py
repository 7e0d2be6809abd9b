"""What choosing a merge from background estimates that fluctuate does to its observed p-value.

    python validation/merging/chosen_from_estimates.py [--experiments N]

The observed counts do not enter the choice of the bins. The background estimates do, and they are measurements. In each
pseudo-experiment of background alone they are drawn anew around a fixed truth, the search for the best merge runs on them, and the
observed counts are drawn from the truth. For comparison the merge chosen from the published estimates, which is fixed, is
evaluated on the same estimates and counts.

The truth is the published background. A process without events in a control region has half an event there. The estimate
of a process in a bin is a control count, Poisson around the truth over the weight of one control event, times this weight (from
the published statistical uncertainty; processes that share their events share the count), divided by a systematic factor
(1 + syst_up/b)^g or (1 - syst_down/b)^(-g) with g a unit normal, correlated between bins as the covariance of the published likelihood is.
The reported statistical uncertainty follows the control count (central 68.3 % interval), the relative systematic one is as
published; the covariance of the bins is scaled with their uncertainties.

The last table has the packaged data: p-values of the observed counts at all points of the packaged grids, which are not
independent, since they share the data.

Writes ``CHOSEN-FROM-ESTIMATES.md`` beside itself; some twenty minutes on one core.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import special

from superbin import merge, stats
from superbin._support.arrays import FloatArray
from superbin.catalog import Catalog, open_catalog
from superbin.domain._intervals import garwood_interval
from superbin.domain.aggregate import AggregateBin, bin_sums, combine
from superbin.domain.correlations import covariances
from superbin.domain.covariance import Covariance
from superbin.domain.search import Estimate, Process, Search
from superbin.domain.signal import SignalModel
from superbin.scan.targets import Target, grid_targets

HERE = Path(__file__).parent
SEARCH = "cms-pas-sus-16-014"

SIGNALS = (
    ("T1bbbb", (1750.0, 1.0)),
    ("T1tttt", (1500.0, 100.0)),
    ("T1qqqq", (1400.0, 1100.0)),
    ("T2bb", (750.0, 450.0)),
)
FIGURES = ("midp", "limit")
THRESHOLDS = (0.05, 0.01)
SEED = 20161105

ZERO_COUNT_UP = -float(np.log1p(-special.ndtr(1.0)))
"""Upper end of the central 68.3 % interval of a Poisson mean when nothing was counted."""

UNSEEN = 0.5
"""Events assumed in a control region that counted none; "Another truth" assumes none."""

STEEPEST = 0.8
"""Downward systematic uncertainties are cut here, relative to the background, when they are drawn."""


@dataclass(frozen=True)
class Truth:
    """What the estimates of a search fluctuate around.

    Attributes
    ----------
    search : Search
    covariance : Covariance
    weights, means : dict of str to array, shape (n_bins,)
        By process: events for one event in the control region, and the true background.
    controls : dict of str to array, shape (n_bins,)
        By process: the true mean of the control count, the same for all that share it.
    root : array, shape (n_bins, n_bins)
        Times its transpose, the correlation of the bins' upward uncertainties; drawn with it, the systematic ones.
    """

    search: Search
    covariance: Covariance
    weights: dict[str, FloatArray]
    means: dict[str, FloatArray]
    controls: dict[str, FloatArray]
    root: FloatArray

    @property
    def background(self) -> FloatArray:
        """True background of every bin."""
        return np.asarray(np.sum(list(self.means.values()), axis=0))


def truth_of(search: Search, covariance: Covariance, unseen: float) -> Truth:
    """Take the published estimates as the truth, and `unseen` events for a control region that counted none."""
    weights, means, controls = {}, {}, {}
    for group in groups(search):
        members = [p for p in search.processes if p.name in group]
        nominal = np.sum([p.estimate.nominal for p in members], axis=0)
        error = np.sum([p.estimate.stat_down for p in members], axis=0)
        control = np.where(nominal > 0, (nominal / np.where(error > 0, error, 1.0)) ** 2, unseen)
        for p in members:
            e = p.estimate
            per_event = e.nominal / np.where(nominal > 0, control, 1.0)
            weights[p.name] = np.where(e.nominal > 0, per_event, e.stat_up / ZERO_COUNT_UP)
            means[p.name], controls[p.name] = weights[p.name] * control, control
    error = np.sqrt(np.diag(covariance.up))
    correlation = covariance.up / np.outer(error, error)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return Truth(search, covariance, weights, means, controls, root / np.sqrt((root**2).sum(axis=1))[:, None])


def groups(search: Search) -> list[tuple[str, ...]]:
    """Processes that share their events, and all others alone."""
    shared = {name for group in search.shared_stat for name in group}
    return [*search.shared_stat, *((p.name,) for p in search.processes if p.name not in shared)]


def experiment(truth: Truth, random: np.random.Generator) -> tuple[Search, Covariance]:
    """Draw estimates and counts."""
    search = truth.search
    processes: dict[str, Process] = {}
    for group in groups(search):
        control = random.poisson(truth.controls[group[0]]).astype(np.float64)
        low, high = garwood_interval(control)
        for process in (p for p in search.processes if p.name in group):
            normal = truth.root @ random.standard_normal(search.n_bins)
            processes[process.name] = redrawn(
                process, truth.weights[process.name], control, low, high, normal
            )
    drawn = replace(
        search,
        processes=tuple(processes[p.name] for p in search.processes),
        observed=random.poisson(truth.background).astype(np.float64),
    )
    nothing = np.zeros(search.n_bins)
    none = SignalModel("none", {}, search.name, nothing, nothing)
    before, after = bin_sums(search, none), bin_sums(drawn, none)
    up, down = (
        np.sqrt(new / old)
        for new, old in (
            (after.variance_up, before.variance_up),
            (after.variance_down, np.where(before.variance_down > 0, before.variance_down, 1.0)),
        )
    )
    covariance = truth.covariance
    return drawn, Covariance(
        covariance.up * np.outer(up, up), covariance.down * np.outer(down, down), covariance.source
    )


def redrawn(
    process: Process,
    weight: FloatArray,
    control: FloatArray,
    low: FloatArray,
    high: FloatArray,
    normal: FloatArray,
) -> Process:
    """One process as estimated from a control count."""
    e = process.estimate
    known = np.where(e.nominal > 0, e.nominal, 1.0)
    relative_up = np.where(e.nominal > 0, e.syst_up / known, 0.0)
    relative_down = np.where(e.nominal > 0, np.minimum(e.syst_down / known, STEEPEST), 0.0)
    factor = np.where(normal > 0, (1 + relative_up) ** normal, (1 - relative_down) ** -normal)
    scale = weight / factor
    nominal = scale * control
    stat_down = np.minimum(scale * (control - low), nominal)
    # an uncertainty of a process without events is none of its size
    syst_up = np.where(e.nominal > 0, relative_up * nominal, e.syst_up)
    syst_down = np.minimum(np.where(e.nominal > 0, relative_down * nominal, e.syst_down), nominal - stat_down)
    return replace(
        process, estimate=Estimate(nominal, scale * (high - control), stat_down, syst_up, syst_down)
    )


def significance(one: AggregateBin) -> float:
    """Z of the observed mid-p-value."""
    b = one.background
    return float(stats.midp_significance(float(one.observed), b.nominal, b.up, b.down))


def study(truth: Truth, signal: SignalModel, figure: str, experiments: int) -> Iterator[str]:
    """Rows of the table for one signal and one figure of merit."""
    random = np.random.default_rng(SEED)

    def chosen(search: Search, covariance: Covariance) -> tuple[int, ...]:
        return merge.optimize(search, signal, figure_of_merit=figure, covariance=covariance).bins

    fixed = chosen(truth.search, truth.covariance)
    found: dict[str, list[tuple[float, float]]] = {"fixed": [], "chosen again": []}
    for _ in range(experiments):
        search, covariance = experiment(truth, random)
        for name, bins in (("fixed", fixed), ("chosen again", chosen(search, covariance))):
            one = combine(search, signal, bins, covariance=covariance)
            true = truth.background[np.array(bins) - 1].sum()
            found[name].append((significance(one), one.background.nominal / true))
    before = np.array(found["fixed"])[:, 0]
    for name, rows in found.items():
        z, ratio = np.array(rows).T
        p = special.ndtr(-z)
        cells = [*(share(p < t) for t in THRESHOLDS), mean(z), f"{np.median(z):+.2f}"]
        cells += ["" if name == "fixed" else mean(z - before), f"{np.median(ratio):.2f}"]
        yield f"| {signal.label} | {figure} | {name} | " + " | ".join(cells) + " |"


def mean(z: FloatArray) -> str:
    """Mean with its error."""
    return f"{z.mean():+.2f} ± {z.std() / np.sqrt(z.size):.2f}"


def said(rows: Iterator[str]) -> Iterator[str]:
    """Print rows as they come."""
    for row in rows:
        print(row, flush=True)
        yield row


def share(is_so: np.ndarray) -> str:
    """Percentage with its binomial error."""
    x = is_so.mean()
    return f"{x:.1%} ± {np.sqrt(x * (1 - x) / is_so.size):.1%}"


def targets(
    catalog: Catalog, search: Search, model: str, points: list[tuple[float, ...]] | None = None
) -> tuple[Target, ...]:
    """Signals of a packaged grid."""
    grid = catalog.grid(search, model)
    return grid_targets(
        grid, search, points=points, cross_sections=catalog.cross_sections(grid.process, search)
    )


def packaged_data(catalog: Catalog, search: Search, covariance: Covariance) -> Iterator[str]:
    """Rows of the table of the observed data."""
    found: dict[tuple[str, str], list[float]] = {}
    for model in (name for name, sources in catalog.models(search).items() if "grid" in sources):
        for target in targets(catalog, search, model):
            if target.signal is None:
                continue
            for figure in FIGURES:
                bins = merge.optimize(
                    search, target.signal, figure_of_merit=figure, covariance=covariance
                ).bins
                one = significance(combine(search, target.signal, bins, covariance=covariance))
                found.setdefault((figure, model), []).append(one)
                found.setdefault((figure, "all"), []).append(one)
    for (figure, model), rows in sorted(found.items(), key=lambda item: (item[0][0], item[0][1] == "all")):
        z = np.array(rows)
        cells = [f"{(z > 0).mean():.0%}", *(f"{(special.ndtr(-z) < t).mean():.0%}" for t in THRESHOLDS)]
        numbers = [f"{x:+.2f}" for x in (z.mean(), np.median(z), z.min(), z.max())]
        yield f"| {figure} | {model} | {z.size} | " + " | ".join([*cells, *numbers]) + " |"


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--experiments", type=int, default=200, metavar="N")
    experiments = parser.parse_args().experiments
    catalog = open_catalog("sqlite://")
    search = catalog.search(SEARCH)
    covariance = covariances(search, None)[0]
    if covariance is None:
        raise SystemExit(f"search {search.name!r} has no likelihood with a covariance")
    observed = list(said(packaged_data(catalog, search, covariance)))
    truth, unseen = (truth_of(search, covariance, events) for events in (UNSEEN, 0.0))
    signals = [
        target.signal
        for model, masses in SIGNALS
        for target in targets(catalog, search, model, [masses])
        if target.signal is not None
    ]
    rows = [row for s in signals for figure in FIGURES for row in said(study(truth, s, figure, experiments))]
    empty = [row for s in signals for row in said(study(unseen, s, "midp", experiments))]
    below = " | ".join(f"p < {t:g}" for t in THRESHOLDS)
    head = [
        f"| signal | chosen for | merge | {below} | mean Z | median Z | mean Z less that of fixed | estimate / truth |",
        "|---" * (7 + len(THRESHOLDS)) + "|",
    ]
    lines = [
        "# Merges chosen from estimates that fluctuate",
        "",
        "Written by `chosen_from_estimates.py`, whose first lines say how everything is drawn.",
        "",
        (
            f"{experiments} pseudo-experiments of background alone for each signal and figure of merit, seed {SEED}. "
            "`fixed`: the merge chosen from the published estimates. `chosen again`: the merge chosen from the estimates of the "
            "pseudo-experiment. Z is of the observed mid-p-value; the last column is the median ratio of the merge's estimated "
            "background to its true one."
        ),
        "",
        *head,
        *rows,
        "",
        "## Another truth",
        "",
        "The same where a control region that counted no event has none in truth either. Fewer events are observed, in these very bins.",
        "",
        *head,
        *empty,
        "",
        "## The packaged data",
        "",
        "Z of the observed counts at the points of the packaged grids.",
        "",
        f"| chosen for | model | points | Z > 0 | {below} | mean Z | median Z | lowest | highest |",
        "|---" * (8 + len(THRESHOLDS)) + "|",
        *observed,
        "",
    ]
    (HERE / "CHOSEN-FROM-ESTIMATES.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
