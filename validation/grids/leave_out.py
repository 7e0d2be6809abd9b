"""How well does a grid predict a point it does not know? Writes REPORT.md, leave_out.png, and errors.csv with the error of every point.

    python validation/grids/leave_out.py [GRID.csv.gz ...]

By default for the grids in the package. Every inner point is left out in turn and predicted by the others; totals and bins
above 2 % of the total are compared with the point's own Monte Carlo. The splines other than the library's are built again
from the remaining points with scipy, so they also check the shortcut that the library takes.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator, RBFInterpolator

from superbin.domain.grid import SignalGrid
from superbin.io.grids import read_grid

HERE = Path(__file__).parent
PACKAGED = HERE.parents[1] / "src" / "superbin" / "data"
LARGE = 0.02
REGIONS = (("all", 0.0, math.inf), ("dm >= 300", 300.0, math.inf), ("dm < 300", 0.0, 300.0))

FloatArray = NDArray[np.float64]
Method = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


# --- interpolations: (points, efficiencies, masses wanted) -> efficiencies ---------------------------------


def logarithms(points: FloatArray) -> FloatArray:
    """What superbin uses: 3 ln m and 4 ln dm."""
    return np.column_stack((3 * np.log(points[:, 0]), 4 * np.log(points[:, 0] - points[:, 1])))


def straight(points: FloatArray) -> FloatArray:
    """The mass itself, which a wide grid of many more points had suggested: m/200 and 4 ln dm."""
    return np.column_stack((points[:, 0] / 200, 4 * np.log(points[:, 0] - points[:, 1])))


def spline(smoothing: float, coordinates: Callable[[FloatArray], FloatArray] = logarithms) -> Method:
    """Squares of a smoothed thin-plate spline of roots, and nothing added."""

    def predict(points: FloatArray, efficiencies: FloatArray, wanted: FloatArray) -> FloatArray:
        roots = RBFInterpolator(
            coordinates(points), np.sqrt(efficiencies), kernel="thin_plate_spline", smoothing=smoothing
        )(coordinates(wanted))
        return np.asarray(np.maximum(roots, 0) ** 2)

    return predict


def linear(points: FloatArray, efficiencies: FloatArray, wanted: FloatArray) -> FloatArray:
    """Linear over Delaunay triangles in the plane of the masses."""
    return np.asarray(LinearNDInterpolator(points, efficiencies)(wanted))


METHODS: dict[str, Method] = {
    "squares only": spline(0.1),
    "squares only, smoothing 0": spline(0.0),
    "squares only, smoothing 0.3": spline(0.3),
    "squares only, smoothing 1": spline(1.0),
    "squares only, m/200 for 3 ln m": spline(0.1, straight),
    "squares only, m/200 for 3 ln m, smoothing 0.3": spline(0.3, straight),
    "linear": linear,
}


def leave_out(grid: SignalGrid, method: Method) -> FloatArray:
    """Predictions for the inner points, each from all others."""
    found = []
    for i in np.flatnonzero(grid.leave_out.inside):
        keep = np.arange(len(grid.points)) != i
        found.append(method(grid.points[keep], grid.efficiencies[keep], grid.points[[i]])[0])
    return np.array(found)


# --- deviations --------------------------------------------------------------------------------------------


@dataclass
class Study:
    """One grid: inner points, what they are, and the chosen region of them."""

    grid: SignalGrid
    gaps: FloatArray
    truth: FloatArray
    predicted: dict[str, FloatArray]
    errors: FloatArray
    total_errors: FloatArray

    def deviations(self, name: str, low: float, high: float) -> tuple[FloatArray, FloatArray]:
        """Relative deviations of totals and of large bins in a range of mass differences."""
        chosen = (self.gaps >= low) & (self.gaps < high) & (self.truth.sum(axis=1) > 0)
        truth, predicted = self.truth[chosen], self.predicted[name][chosen]
        large = truth >= LARGE * truth.sum(axis=1, keepdims=True)
        return predicted.sum(axis=1) / truth.sum(axis=1) - 1, (predicted[large] / truth[large]) - 1

    def noise(self, low: float, high: float) -> tuple[FloatArray, FloatArray]:
        """Deviations that Monte Carlo statistics alone would give, drawn many times."""
        chosen = (self.gaps >= low) & (self.gaps < high) & (self.truth.sum(axis=1) > 0)
        truth, errors = self.truth[chosen], self.errors[chosen]
        large = truth >= LARGE * truth.sum(axis=1, keepdims=True)
        rng = np.random.default_rng(0)
        totals = self.total_errors[chosen] / truth.sum(axis=1)
        return (
            (rng.standard_normal((400, totals.size)) * totals).ravel(),
            (rng.standard_normal((100, int(large.sum()))) * (errors[large] / truth[large])).ravel(),
        )


def study(grid: SignalGrid) -> Study:
    inside = grid.leave_out.inside
    predicted = {"superbin": grid.leave_out.efficiencies[inside]}
    predicted |= {name: leave_out(grid, method) for name, method in METHODS.items()}
    truth, errors = grid.efficiencies[inside], grid.leave_out.errors[inside]
    # An event is shared between bins by its b-tag weights, so the error of a total is that of a selected
    # fraction of events and more than that of the bins in quadrature.
    totals = truth.sum(axis=1)
    fraction = totals * (1 - totals) / grid.events[inside]
    quadrature = (grid.errors[inside] ** 2).sum(axis=1)
    share = np.where(quadrature > 0, np.maximum(fraction / np.where(quadrature > 0, quadrature, 1), 1), 1)
    return Study(
        grid=grid,
        gaps=grid.points[inside, 0] - grid.points[inside, 1],
        truth=truth,
        predicted=predicted,
        errors=errors,
        total_errors=np.sqrt(share * (errors**2).sum(axis=1)),
    )


# --- Monte Carlo errors ------------------------------------------------------------------------------------

AIM, CEILING = 0.03, 200_000
"""Relative Monte Carlo error of a point's total that is aimed at, and events that it may take."""


def total_errors(grid: SignalGrid) -> FloatArray:
    """The relative Monte Carlo error of the total of every point, as the points recorded it."""
    recorded = [entry["total_error"] for entry in grid.settings["by_point"]["statistics"]]
    errors: FloatArray = np.array(recorded) / grid.efficiencies.sum(axis=1)
    return errors


def errors_table(grids: list[SignalGrid]) -> str:
    """errors.csv."""
    lines = [
        "# Monte Carlo statistics of every point of the packaged grids: events, efficiency summed over all bins, and its relative error.",
        "# Made by validation/grids/leave_out.py.",
        "search,model,m_mother,m_lsp,events,efficiency,relative_error_percent",
    ]
    for grid in grids:
        rows = zip(
            grid.points.tolist(), grid.events, grid.efficiencies.sum(axis=1), total_errors(grid), strict=True
        )
        lines += [
            f"{grid.search},{grid.model},{m:g},{x:g},{events},{total:.4g},{100 * error:.2f}"
            for (m, x), events, total, error in rows
        ]
    return "\n".join(lines) + "\n"


def errors_section(grids: list[SignalGrid]) -> str:
    """How near the points come to the aim, by model."""
    lines = [
        "## Monte Carlo errors of the points",
        "",
        f"Relative error of a point's total, from the squared weights of its events; `errors.csv` has every point. The aim is {100 * AIM:g} % with",
        f"{CEILING} events at most. The last column is what the points beyond it would take, and how many of them would not reach it.",
        "",
        "| search | model | events | median % | largest % | points within the aim | events to reach it elsewhere, points at the ceiling |",
        "|---|---|---|---|---|---|---|",
    ]
    for grid in grids:
        error = total_errors(grid)
        far = error > AIM
        wanted = np.minimum(grid.events * (error / AIM) ** 2, CEILING)[far]
        worst = grid.points[int(np.argmax(error))]
        lines.append(
            f"| {grid.search} | {grid.model} | {_span(grid.events)} | {100 * np.median(error):.1f} | {100 * error.max():.1f} at "
            f"({worst[0]:g}, {worst[1]:g}) | {int((~far).sum())} of {len(error)} | {wanted.sum() / 1e6:.2f} million, {int((wanted >= CEILING).sum())} |"
        )
    return "\n".join([*lines, "", ""])


def _span(values: NDArray[np.int64]) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


# --- report ------------------------------------------------------------------------------------------------


def numbers(values: FloatArray) -> str:
    """Median and 90 % quantile of the size in percent; or how many are undefined."""
    known = np.abs(values[np.isfinite(values)])
    if not known.size:
        return "- | -"
    lost = f" ({values.size - known.size} undefined)" if known.size < values.size else ""
    return f"{100 * np.median(known):.2f} | {100 * np.quantile(known, 0.9):.2f}{lost}"


def table(studied: Study) -> list[str]:
    lines = [
        "| region | points | method | total: median % | 90 % | total: mean % | bins: median % | 90 % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for region, low, high in REGIONS:
        count = int(((studied.gaps >= low) & (studied.gaps < high)).sum())
        if not count:
            continue
        names = list(studied.predicted) if region == "all" else ["superbin", "linear"]
        for name in names:
            totals, bins = studied.deviations(name, low, high)
            lines.append(
                f"| {region} | {count} | {name} | {numbers(totals)} | {100 * np.nanmean(totals):+.2f} | {numbers(bins)} |"
            )
        totals, bins = studied.noise(low, high)
        lines.append(f"| {region} | {count} | statistics alone | {numbers(totals)} | 0 | {numbers(bins)} |")
    return lines


def worst(studied: Study) -> list[str]:
    totals, _ = studied.deviations("superbin", 0, math.inf)
    points = studied.grid.points[studied.grid.leave_out.inside]
    points = points[studied.truth.sum(axis=1) > 0]
    order = np.argsort(-np.abs(totals))[:5]
    return [f"({points[i, 0]:g}, {points[i, 1]:g}): {totals[i]:+.1%}" for i in order]


def section(studied: Study) -> str:
    grid = studied.grid
    squares = studied.predicted["squares only"].sum(axis=1)
    added = np.median(studied.predicted["superbin"].sum(axis=1) / squares - 1)
    head = (
        f"{len(grid.points)} points of {_span(grid.events)} events, {len(studied.gaps)} of "
        f"them inside the hull of the others. Interpolation error that superbin uses per bin: "
        f"{grid.interpolation_error:.1%}. What squaring loses and superbin adds back: {added:+.2%} of the total (median)."
    )
    return "\n".join(
        [
            f"## {grid.model} in {grid.search}",
            "",
            head,
            "",
            *table(studied),
            "",
            f"Largest deviations of the total: {'; '.join(worst(studied))}.",
            "",
        ]
    )


INTRO = """\
# Leaving out one point of a grid at a time

Made by `leave_out.py`. Each point inside the hull of the others is predicted by them and compared with its own simulation;
corners are not. The deviation holds the interpolation's error and the Monte Carlo statistics of both sides; "statistics
alone" is what the latter would give if the interpolation were perfect. In use a point's own simulation and closer neighbours
are there, so these numbers are for a grid that is locally twice as coarse as the one that ships.

"superbin" is what the package does: a thin-plate spline of roots in 3 ln m and 4 ln dm with smoothing 0.1, squared, with the variance added
that squares of noisy roots lack. "squares only" is the same without the addition, built for each point, at several
smoothings and with m/200 GeV in place of 3 ln m. "linear" interpolates efficiencies over Delaunay triangles of the masses. Bins are those above 2 % of a
point's total. Mean is signed: prediction less simulation. dm is the mass difference in GeV.

![relative deviation of totals over the mass plane](leave_out.png)

"""


def draw(studies: list[Study]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(studies), figsize=(5.2 * len(studies), 8.5), squeeze=False)
    for column, studied in enumerate(studies):
        grid, inside = studied.grid, studied.grid.leave_out.inside
        totals = studied.predicted["superbin"].sum(axis=1) / studied.truth.sum(axis=1) - 1
        top, bottom = axes[:, column]
        dots = top.scatter(
            *grid.points[inside].T, c=100 * totals, cmap="RdBu_r", vmin=-10, vmax=10, edgecolors="0.4"
        )
        top.plot(*grid.points[~inside].T, "x", color="0.4", label="corners, not predicted")
        top.set(
            xlabel="m_mother [GeV]",
            ylabel="m_lsp [GeV]",
            title=f"{grid.model}, {grid.search}: prediction of the total",
        )
        top.legend(loc="upper left")
        figure.colorbar(dots, ax=top, label="prediction / simulation - 1 [%], colours end at 10")
        for name, style in (("superbin", "C0"), ("linear", "C1")):
            deviations, _ = studied.deviations(name, 0, math.inf)
            sizes = np.sort(np.abs(deviations[np.isfinite(deviations)]))
            bottom.plot(
                100 * sizes,
                (np.arange(sizes.size) + 1) / sizes.size,
                style,
                drawstyle="steps-post",
                label=name,
            )
        sizes = np.sort(np.abs(studied.noise(0, math.inf)[0]))
        bottom.plot(100 * sizes, (np.arange(sizes.size) + 1) / sizes.size, "k--", label="statistics alone")
        bottom.set(
            xlabel="|deviation of the total| [%]",
            ylabel="share of points below",
            xscale="log",
            xlim=(0.05, 100),
        )
        bottom.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(HERE / "leave_out.png", dpi=90)


def main(paths: list[Path]) -> None:
    """Study the grids, write the report and draw."""
    chosen = paths or sorted(PACKAGED.glob("*/grids/*.csv.gz"))
    grids = [read_grid(path) for path in chosen]
    studies = [study(grid) for grid in grids]
    text = INTRO + errors_section(grids) + "\n".join(map(section, studies))
    (HERE / "REPORT.md").write_text(text, encoding="utf-8")
    (HERE / "errors.csv").write_text(errors_table(grids), encoding="utf-8")
    draw(studies)


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
