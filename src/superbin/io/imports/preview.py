"""A bundle in a few lines of text: what an import would store."""

import math
from collections.abc import Sequence

import numpy as np

from superbin._support.shown import counted
from superbin.domain.bundle import Bundle
from superbin.domain.search import Search
from superbin.io.imports.base import printable

__all__ = ["preview"]

_SHOWN = 20
_WIDEST = 60
_LONG = 20


def preview(bundle: Bundle) -> list[str]:
    """Lines on a search with its signals: head, bins as a table (the first twenty), covariance, signals.

    Errors of the background are those of its processes in quadrature, upward and downward.
    """
    search = bundle.search
    backgrounds = _listed([p.name for p in search.processes])
    lines = [
        f"{search.name}: {search.title}" if search.title != search.name else search.name,
        f"{search.luminosity_fb:g} fb^-1 at {search.sqrt_s_tev:g} TeV, {counted(search.n_bins, 'bin')}, backgrounds: {backgrounds}",
        *_table(search),
    ]
    if search.covariance is not None:
        total = math.sqrt(max(float(search.covariance.up.sum()), 0.0))
        lines.append(f"covariance: the sum over all bins has an error of {total:.4g}")
    if search.combinable is not None:
        apart = int((~search.combinable).sum()) // 2
        lines.append(f"{apart} of {search.n_bins * (search.n_bins - 1) // 2} pairs of bins may not be merged")
    if bundle.signals:
        first, last = bundle.signals[0], bundle.signals[-1]
        more = "" if first is last else f" to {last.label}, {last.yields.sum():.4g}"
        lines.append(f"signals: {first.label}, {first.yields.sum():.4g} events{more}")
    return [printable(line) for line in lines]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _table(search: Search) -> list[str]:
    estimates = [p.estimate for p in search.processes]
    nominal = np.sum([e.nominal for e in estimates], axis=0)
    up = np.sqrt(np.sum([e.stat_up**2 + e.syst_up**2 for e in estimates], axis=0))
    down = np.sqrt(np.sum([e.stat_down**2 + e.syst_down**2 for e in estimates], axis=0))
    rows: list[tuple[str, ...]] = [("bin", "observed", "background", "up", "down")]
    for i in range(min(search.n_bins, _SHOWN)):
        numbers = (f"{search.observed[i]:.0f}", *(f"{v[i]:.4g}" for v in (nominal, up, down)))
        rows.append((_bin(search, i), *numbers))
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    if search.n_bins > _SHOWN:
        lines.append(f"... and {search.n_bins - _SHOWN} more bins")
    lines.append(f"sum: {search.observed.sum():.0f} observed, {nominal.sum():.6g} expected")
    return lines


def _bin(search: Search, i: int) -> str:
    """Number of a bin with its name and the ranges that cut; a long name gives way to ranges."""
    ranges = [
        f"{o.name} {low:g}" + ("" if high == low else "+" if math.isinf(high) else f"-{high:g}")
        for o, low, high in zip(search.observables, search.low[i], search.high[i], strict=True)
        if low > 0 or not math.isinf(high)
    ]
    name = search.names[i] if search.names else ""
    if ranges and len(name) > _LONG:
        name = ""
    text = " ".join(filter(None, [str(search.numbers[i]), name, ", ".join(ranges)]))
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."
