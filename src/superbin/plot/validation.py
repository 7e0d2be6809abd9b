"""Figures of a validation: ratios of superbin's numbers to those of others, and the report as a PDF."""

import textwrap
from collections.abc import Mapping
from functools import partial
from io import BytesIO

from matplotlib import pyplot as plt
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from superbin.plot.drawn import Drawn
from superbin.plot.style import style
from superbin.results.validation import Comparison, Ratios, ValidationReport

__all__ = ["validation_figures", "validation_pdf"]

_MOST_NAMES = 16
"""Points whose names are written at the axis; more are numbered."""

_ROWS = 24
_PAGE = (11.7, 8.3)
_COLUMNS = (
    (0.00, 34, "what"),
    (0.27, 28, "against"),
    (0.49, 22, "tolerance"),
    (0.66, 40, "result"),
    (0.94, 8, "verdict"),
)


def validation_figures(report: ValidationReport) -> Mapping[str, Figure]:
    """One figure for every comparison that has points, by what it compares."""
    return Drawn(
        {
            f"{c.check}: {c.what}": partial(_ratios, c, c.ratios)
            for c in report.comparisons
            if c.ratios is not None
        }
    )


def _ratios(comparison: Comparison, ratios: Ratios) -> Figure:
    with style():
        return _drawn(comparison, ratios)


def _drawn(comparison: Comparison, ratios: Ratios) -> Figure:
    figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    places = range(1, len(ratios.values) + 1)
    ax.axhspan(
        ratios.low, ratios.high, color="#d9e4f7", label=f"tolerance, {ratios.low:.3g} to {ratios.high:.3g}"
    )
    ax.axhline(1, color="0.4", lw=1)
    ax.plot(places, ratios.values, "o", color="#1c1c1e", ms=5)
    margin = 0.15 * max(ratios.high - ratios.low, max(ratios.values) - min(ratios.values), 1e-6)
    ax.set_ylim(min(ratios.low, *ratios.values) - margin, max(ratios.high, *ratios.values) + 2 * margin)
    if len(ratios.names) <= _MOST_NAMES:
        ax.set_xticks(list(places), ratios.names)
    ax.minorticks_off()
    ax.set_xlabel(ratios.label, fontsize=12)
    ax.set_ylabel("superbin / reference", fontsize=12)
    ax.set_title(f"{comparison.what}\nagainst {comparison.against}", fontsize=11, loc="left")
    ax.legend(loc="upper right", fontsize=10, frameon=False)
    plt.close(figure)
    return figure


def validation_pdf(report: ValidationReport) -> bytes:
    """The report as a PDF: the table, then the figures."""
    target = BytesIO()
    # Fonts are written when the pages are closed, which the style must outlast.
    with (
        style(),
        PdfPages(target, metadata={"Creator": "superbin", "CreationDate": None, "Producer": None}) as pages,
    ):
        for page in _table_pages(report):
            pages.savefig(page)
        for figure in validation_figures(report).values():
            pages.savefig(figure)
    return target.getvalue()


def _table_pages(report: ValidationReport) -> list[Figure]:
    """The table, as many lines as fit a page."""
    blocks = []
    for comparison in report.comparisons:
        cells = [textwrap.wrap(str(getattr(comparison, name)), width) or [""] for _, width, name in _COLUMNS]
        blocks.append((comparison, cells, max(map(len, cells))))
    pages: list[Figure] = []
    line = 10**6
    for comparison, cells, height in blocks:
        if line + height > _ROWS * 2:
            figure = plt.figure(figsize=_PAGE)
            plt.close(figure)
            pages.append(figure)
            _heading(figure, report, len(pages))
            line = 5
        colour = "#b3261e" if comparison.passed is False else "#1c1c1e"
        for (left, _, _), words in zip(_COLUMNS, cells, strict=True):
            figure.text(
                0.03 + 0.94 * left,
                0.97 - line * 0.0195,
                "\n".join(words),
                fontsize=8,
                va="top",
                color=colour,
                linespacing=1.15,
            )
        line += height + 1
    return pages


def _heading(figure: Figure, report: ValidationReport, page: int) -> None:
    passed = sum(c.passed is True for c in report.comparisons)
    demanded = sum(c.passed is not None for c in report.comparisons)
    title = f"Validation of superbin {report.superbin}{', quick' if report.quick else ''}: {passed} of {demanded} demands met"
    figure.text(0.03, 0.97, f"{title} (page {page})", fontsize=13, va="top", weight="bold")
    for left, _, name in _COLUMNS:
        figure.text(0.03 + 0.94 * left, 0.97 - 3 * 0.0195, name, fontsize=9, va="top", weight="bold")
