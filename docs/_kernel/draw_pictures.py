"""Pictures of pages that are not notebooks, drawn once by the build from the packaged data: ``python draw_pictures.py FOLDER``."""

import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import gamma, norm

import superbin
from superbin import stats
from superbin.chance import of_rectangles
from superbin.domain.grid import SignalGrid
from superbin.domain.search import Search
from superbin.likelihood import read
from superbin.likelihood.impacts import impacts
from superbin.likelihood.scans import scan as profile
from superbin.merge import Limits, trade_offs
from superbin.plot import figures, largest_significance, merge_front, save, scan_figures, validation_figures
from superbin.plot.correlation import correlation_matrix
from superbin.plot.likelihood import impact_ranking, profile_scan
from superbin.results.scan import ScanResult
from superbin.scan import grid_targets, run_scan
from superbin.validation import validate

SEARCH = "cms-pas-sus-16-014"

CARD = """
bin sr cr
observation 12 25
bin sr sr cr
process sig top top
process 0 1 1
rate 4.0 5.0 20.0
top_rate rateParam * top 1 [0,5]
jes lnN 1.05 0.9/1.15 -
"""
"""The card of `howto/likelihood.md`."""


def draw() -> Iterator[tuple[str, Figure]]:
    """Every picture with its name."""
    with superbin.open_catalog("sqlite://") as catalog:
        search = catalog.search(SEARCH)
        signal = catalog.signal(search, "T1bbbb", (1750, 1))
        grid = catalog.grid(search, "T1bbbb")
        sections = catalog.cross_sections(grid.process, search)
        published = catalog.limits(search, "T1bbbb")
        likelihood = catalog.published_likelihood(SEARCH)
        checks = validation_figures(validate(catalog, only=["signals"]))
        later = catalog.search("cms-sus-16-033")
    yield "correlations", _correlations(search)
    yield "correlations-later", _correlations(later)
    points = [p for p in grid.points if p[0] > 1000 and p[0] - p[1] > 150]
    targets = grid_targets(grid, search, cross_sections=sections, points=points)
    scan = run_scan(search, targets, published=published)
    drawn = scan_figures(scan)
    yield "exclusion", drawn["exclusion"]
    yield "significance-scatter", drawn["significance-scatter"]
    yield "significance-expected", drawn["significance-expected"]
    yield "one-bin-cost", _cost(scan)
    yield "efficiency", _efficiency(grid)
    yield "signals-njet", checks["signals: yield by njet"]

    result = superbin.analyze(search, signal, toys=0)
    of_result = figures(result)
    yield "count-expected", of_result["count-expected"]
    yield "projection-mht", of_result["projection-mht"]
    limits = Limits(exact_seconds=0.0)
    offs = trade_offs(
        search, signal, shapes=("free", "rectangle", "two rectangles"), sizes=range(1, 13), limits=limits
    )
    sized = [(len(t.merge.bins), t.z) for t in offs if t.name.endswith(("bin", "bins"))]
    shapes = {t.name: (len(t.merge.bins), t.z) for t in offs if not t.name.endswith(("bin", "bins"))}
    yield "merge-front", merge_front(sized, shapes, title=signal.label).ax.figure

    chance = of_rectangles(search, likelihood=likelihood, toys=5000)
    yield "chance", largest_significance(chance).figure

    card = Path("card.txt")
    card.write_text(CARD, encoding="utf-8")
    engine = read(card)
    card.unlink()
    yield "profile", profile_scan(profile(engine)).figure
    yield "impacts", impact_ranking(impacts(engine)).figure
    yield "models", _models()
    yield "integrand", _integrand()
    yield "scores", _scores()


def _correlations(search: Search) -> Figure:
    """The correlations of a search's covariance."""
    assert search.covariance is not None
    up = search.covariance.up
    error = np.sqrt(np.diag(up))
    return correlation_matrix(
        np.clip(up / np.outer(error, error), -1, 1),
        attribution="Reinterpretation of CMS data",
        luminosity_fb=search.luminosity_fb,
        sqrt_s_tev=search.sqrt_s_tev,
    ).figure


def _integrand() -> Figure:
    """Density of the n-th arrival, probability of a larger mean, and their product, for 40 events over 25 +5 -5."""
    n, b, up, down = 40, 25.0, 5.0, 5.0
    mean = np.linspace(10, 70, 601)
    width = np.where(mean > b, np.log1p(up / b), -np.log1p(-down / b))
    beyond = norm.sf(np.log(mean / b) / width)
    density = gamma.pdf(mean, n)
    figure, axes = plt.subplots(figsize=(6, 3.8))
    for values, text in (
        (density, "$g$: density of the 40th arrival"),
        (beyond, "$S$: P(mean > m)"),
        (density * beyond, "$g S$"),
    ):
        axes.plot(mean, values / values.max(), label=text)
    axes.axvline(b, color="0.5", lw=1)
    axes.set_xlabel("m [events]")
    axes.set_ylabel("Over its maximum")
    axes.legend()
    figure.tight_layout()
    return figure


def _scores() -> Figure:
    """The scores of four bins for the Asimov significance: each is positive up to one root."""
    u = np.linspace(0, 3, 301)
    figure, axes = plt.subplots(figsize=(6, 3.8))
    for s, b, v in ((2.0, 1.0, 0.3), (1.5, 1.0, 0.5), (3.0, 4.0, 2.0), (1.0, 2.5, 0.4)):
        score = 2 * np.log1p(u) * s - 2 * (u - np.log1p(u)) * b - u**2 * v
        axes.plot(u, score, label=f"s = {s:g}, b = {b:g}, v = {v:g}")
    axes.axhline(0, color="0.5", lw=1)
    axes.set_ylim(-2, 2)
    axes.set_xlabel("u")
    axes.set_ylabel("Score h(u)")
    axes.legend()
    figure.tight_layout()
    return figure


def _cost(scan: ScanResult) -> Figure:
    """Limits of the one bin over the published ones, by the mass difference."""
    figure, axes = plt.subplots(figsize=(6, 3.8))
    for kind, marker in (("observed", "o"), ("expected", "s")):
        rows = [
            (p.parameters["m_mother"] - p.parameters["m_lsp"], getattr(p.published, f"one_bin_{kind}"))
            for p in scan.points
            if p.published is not None and getattr(p.published, f"one_bin_{kind}") is not None
        ]
        if rows:
            axes.plot(*zip(*rows, strict=True), marker, label=kind)
    axes.axhline(1, color="0.5", lw=1)
    axes.set_xlabel("Mass difference of gluino and LSP [GeV]")
    axes.set_ylabel("Limit of one bin / published limit")
    axes.legend(title="T1bbbb")
    figure.tight_layout()
    return figure


def _efficiency(grid: SignalGrid) -> Figure:
    """The total efficiency at the simulated points."""
    figure, axes = plt.subplots(figsize=(6, 4))
    mother, lsp = np.array(grid.points).T
    colours = axes.scatter(mother, lsp, c=grid.efficiencies.sum(axis=1), s=60)
    figure.colorbar(colours, label="Efficiency in all bins")
    axes.set_xlabel("Gluino mass [GeV]")
    axes.set_ylabel("LSP mass [GeV]")
    figure.tight_layout()
    return figure


def _models() -> Figure:
    """The p-value of a count under every uncertainty model."""
    figure, axes = plt.subplots(figsize=(6, 3.8))
    counts = np.arange(3, 16)
    for model in stats.models.MODELS:
        axes.plot(
            counts, stats.significance(stats.midp(counts, 4.0, 2.0, 1.2, model=model)), ".-", label=model
        )
    axes.set_xlabel("Observed events over a background of 4 +2 $-$1.2")
    axes.set_ylabel("Significance Z (mid-p)")
    axes.legend()
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in draw():
        save(picture, str(folder / name), formats=["png"])
