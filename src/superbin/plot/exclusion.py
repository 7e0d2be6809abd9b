"""Exclusion plots as experiments draw them, and Brazil plots where the masses of a scan lie on a line.

Limits are those of a scan: of its one bin, or of the published full likelihood. Specified in ``specs/figures.md``, FIG-27 to FIG-29.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.simplified import process_text
from superbin.errors import InputError
from superbin.plot.maps import (
    LineStyle,
    MapArtists,
    MapContour,
    MapValue,
    Value,
    limit_on_cross_section,
    limit_part,
    published_contours,
    scan_map,
)
from superbin.plot.style import SIGNAL_COLOUR, axes_size, header, style
from superbin.plot.text import fitting_size, label
from superbin.results.scan import DONE, ScanLimit, ScanPoint, ScanResult
from superbin.results.wording import attribution, has_limits, on_a_line, parameter_label

__all__ = ["BrazilArtists", "LimitKind", "brazil_plot", "exclusion_plot", "limits_compared"]

LimitKind: TypeAlias = Literal["one-bin", "likelihood"]
"""Whose limits: those of the one aggregate bin, or of the published full likelihood."""

_KINDS: Mapping[str, tuple[str, Callable[[ScanPoint], ScanLimit | None]]] = {
    "one-bin": ("one aggregate bin", lambda point: point.mu_limit),
    "likelihood": ("full likelihood", lambda point: point.likelihood_limit),
}

_SIDES: tuple[tuple[str, str, LineStyle], ...] = (("Observed", "observed", "-"), ("Expected", "median", "--"))

_GREEN, _YELLOW = "#607641", "#f5bb54"
"""The bands of CMS's current recommendation: apart for readers who do not tell red from green."""


def exclusion_plot(result: ScanResult, *, kind: LimitKind = "one-bin") -> MapArtists:
    """Draw the exclusion plot of a scan over two masses.

    The colour is the observed limit on the cross section. Lines are where the limit on the signal strength is 1: observed with
    the theory's uncertainty of the cross section, expected with the bands that hold 68 % and 95 % of outcomes, and the
    published contours over them. Between points the logarithm of a limit is interpolated on triangles, without smoothing.

    Parameters
    ----------
    result : ScanResult
        With two parameters.
    kind : {"one-bin", "likelihood"}

    Returns
    -------
    MapArtists

    Raises
    ------
    InputError
        If the scan has another number of parameters, or no limits of this kind.
    """
    words, limit = _KINDS[kind]
    _check(result, kind, parameters=2)
    theory = any(point.cross_section_error for point in result.points)
    # From thin to thick, so that the lines that matter lie on top.
    lines = [
        *_band(limit, "low2", "high2", r"Expected $\pm 2\sigma$ (experiment)", ":", SIGNAL_COLOUR, 1.0),
        *_band(limit, "low1", "high1", r"Expected $\pm 1\sigma$ (experiment)", "--", SIGNAL_COLOUR, 1.0),
        *(_theory(limit) if theory else ()),
        MapContour(
            limit_part(limit, "median"), 1.0, "Expected", "--", SIGNAL_COLOUR, logarithmic=True, width=2.4
        ),
        MapContour(limit_part(limit, "observed"), 1.0, "Observed", "-", "black", logarithmic=True, width=2.4),
    ]
    published = published_contours(result)
    theirs = [
        line for side in ("observed", "expected") for line in published.get(side, ()) if line.contour == side
    ]
    value = limit_on_cross_section(result, "observed", "", limit)
    shown = MapValue(
        value.value,
        value.name,
        value.scale,
        f"{_percent(result)}, {_order(result)}, not smoothed\n{words.capitalize()}",
        _title(result),
    )
    return scan_map(result, shown, contours=lines, published=theirs)


def limits_compared(result: ScanResult) -> MapArtists:
    """Draw the exclusion of the one bin beside that of the full likelihood and the published one.

    The colour is the expected limit of the one bin over that of the full likelihood: what one bin costs.

    Parameters
    ----------
    result : ScanResult
        With two parameters and both kinds of limits.

    Returns
    -------
    MapArtists

    Raises
    ------
    InputError
        If the scan has another number of parameters, or one kind of limits is missing.
    """
    for kind in ("one-bin", "likelihood"):
        _check(result, kind, parameters=2)

    def cost(point: ScanPoint) -> float | None:
        one, full = point.mu_limit, point.likelihood_limit
        if one is None or full is None or not one.median or not full.median:
            return None
        return one.median / full.median

    colours = {"one-bin": "black", "likelihood": SIGNAL_COLOUR}
    lines = [
        MapContour(
            limit_part(limit, part), 1.0, f"{side}, {words}", dash, colours[kind], logarithmic=True, width=2.2
        )
        for kind, (words, limit) in _KINDS.items()
        for side, part, dash in _SIDES
    ]
    published = published_contours(result)
    theirs = [
        line for side in ("observed", "expected") for line in published.get(side, ()) if line.contour == side
    ]
    name = "Expected limit: one aggregate bin over full likelihood"
    shown = MapValue(cost, name, "logarithmic", f"{_percent(result)}, {_order(result)}", _title(result))
    return scan_map(result, shown, contours=lines, published=theirs)


def _check(result: ScanResult, kind: LimitKind, *, parameters: int) -> None:
    if len(result.parameters) != parameters:
        raise InputError(
            f"the scan is over {counted(len(result.parameters), 'parameter')} ({', '.join(result.parameters)}); "
            f"this figure needs {parameters}"
        )
    if not has_limits(result, likelihood=kind == "likelihood"):
        cure = "; scan with --likelihood-limit" if kind == "likelihood" else ""
        raise InputError(f"no point of the scan has a limit from the {_KINDS[kind][0]}{cure}")


def _band(
    limit: Callable[[ScanPoint], ScanLimit | None],
    low: str,
    high: str,
    name: str,
    line: LineStyle,
    colour: str,
    width: float,
) -> tuple[MapContour, ...]:
    return tuple(
        MapContour(limit_part(limit, part), 1.0, name, line, colour, logarithmic=True, width=width)
        for part in (low, high)
    )


def _theory(limit: Callable[[ScanPoint], ScanLimit | None]) -> tuple[MapContour, ...]:
    """Where the observed limit meets the cross section raised and lowered by its uncertainty."""

    def at(sign: float) -> Value:
        observed = limit_part(limit, "observed")

        def value(point: ScanPoint) -> float | None:
            mu = observed(point)
            scale = 1 + sign * (point.cross_section_error or 0.0)
            return None if mu is None or scale <= 0 else mu / scale

        return value

    return tuple(
        MapContour(
            at(sign), 1.0, r"Observed $\pm 1\sigma$ (theory)", "-", "black", logarithmic=True, width=1.0
        )
        for sign in (1.0, -1.0)
    )


def _title(result: ScanResult) -> str:
    text = process_text(result.model)
    return result.model if text is None else f"{result.model}: ${text}$"


def _percent(result: ScanResult) -> str:
    level = result.options.get("level")
    return f"{100 * (level if isinstance(level, float) else 0.95):.3g}% CL"


def _order(result: ScanResult) -> str:
    """To which order the cross sections are known."""
    return result.cross_section_order or "given cross sections"


# --- one dimension --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BrazilArtists:
    """What `brazil_plot` drew.

    Attributes
    ----------
    figure : Figure
    ax : Axes
    along : str
        The parameter on the axis.
    """

    figure: Figure
    ax: Axes
    along: str


def brazil_plot(result: ScanResult, *, kind: LimitKind = "one-bin") -> BrazilArtists:
    """Draw limits against the mass that varies: observed, expected with both bands, and the theory's cross section.

    Parameters
    ----------
    result : ScanResult
        Points on a line: one parameter, or two of which one is the same everywhere or which differ by the same everywhere.
    kind : {"one-bin", "likelihood"}

    Returns
    -------
    BrazilArtists

    Raises
    ------
    InputError
        If the points do not lie on a line, are fewer than two, or have no limits of this kind.
    """
    words, limit = _KINDS[kind]
    if not has_limits(result, likelihood=kind == "likelihood"):
        _check(result, kind, parameters=len(result.parameters))
    line = on_a_line(result)
    if line is None:
        raise InputError(
            "the points of the scan do not lie on a line; scan points of one mass, or of one mass difference, with --points"
        )
    along, said = line
    known = [
        p
        for p in result.points
        if p.status == DONE and (found := limit(p)) is not None and found.median is not None
    ]
    known.sort(key=lambda p: p.parameters[along])
    mass = np.array([p.parameters[along] for p in known])
    on_sigma = all(p.cross_section_pb for p in known)
    unit = np.array([1000 * (p.cross_section_pb or 0.0) if on_sigma else 1.0 for p in known])

    def part(name: str) -> FloatArray:
        found = [getattr(limit(p), name) for p in known]
        return unit * np.array([math.nan if v is None else v for v in found], dtype=np.float64)

    with style():
        figure = Figure(figsize=(7.0, 5.6))
        FigureCanvasAgg(figure)
        ax = figure.add_axes((0.125, 0.12, 0.85, 0.81))
        ax.set_yscale("log")
        ax.fill_between(mass, part("low2"), part("high2"), color=_YELLOW, label="95% expected", linewidth=0)
        ax.fill_between(mass, part("low1"), part("high1"), color=_GREEN, label="68% expected", linewidth=0)
        ax.plot(mass, part("median"), "--", color="black", label="Median expected", linewidth=1.8)
        ax.plot(mass, part("observed"), "o-", color="black", label="Observed", linewidth=1.8, markersize=4)
        if on_sigma:
            error = np.array([p.cross_section_error or 0.0 for p in known])
            ax.fill_between(
                mass, unit * (1 - error), unit * (1 + error), color=SIGNAL_COLOUR, alpha=0.3, linewidth=0
            )
            ax.plot(
                mass,
                unit,
                color=SIGNAL_COLOUR,
                label=f"Theory, {_order(result)}" + (r" $\pm 1\sigma$" if error.any() else ""),
            )
        else:
            ax.axhline(1.0, color=SIGNAL_COLOUR, label="Theory")
        ax.set_xlim(float(mass.min()), float(mass.max()))
        ax.set_xlabel(label(parameter_label(result.model, along)))
        ax.set_ylabel(
            f"{_percent(result)} limit on the " + ("cross section [fb]" if on_sigma else "signal strength")
        )
        search = result.search
        header(
            ax,
            attribution(search.reference),
            f"{search.luminosity_fb:g} fb$^{{-1}}$ ({search.sqrt_s_tev:g} TeV)",
        )
        width = axes_size(ax)[0]
        texts = [label(_title(result)), label(", ".join(filter(None, (said, f"limits from the {words}"))))]
        size = fitting_size(texts, size=12.0, limit=0.94 * width)
        lines = [
            ax.text(0.03, y, text, transform=ax.transAxes, va="top", fontsize=size)
            for y, text in zip((0.965, 0.895), texts, strict=True)
        ]
        legend = ax.legend(
            loc="upper right", bbox_to_anchor=(0.99, 0.85), fontsize=11, ncols=2, borderaxespad=0.2
        )
        highest = np.fmax(part("high2"), np.fmax(part("observed"), unit))
        _end_above(ax, (mass, highest), lines[-1], legend)
    return BrazilArtists(figure, ax, along)


def _end_above(ax: Axes, curve: tuple[FloatArray, FloatArray], text: Text, legend: Legend) -> None:
    """End a logarithmic axis just so far above a curve that the text and the legend at its top stand clear of it."""
    x, y = curve
    low, high = ax.get_ylim()
    for factor in (0.1, 0.2, 0.3, 0.4, 0.55, 0.75):
        ax.set_ylim(low, high * (high / low) ** factor)
        clear = True
        for thing in (text, legend):
            box = thing.get_window_extent()
            (left, bottom), (right, _) = ax.transData.inverted().transform(
                [(box.x0, box.y0 - 6), (box.x1, box.y1)]
            )
            # The curve between its points, too.
            there = np.linspace(max(left, float(x[0])), min(right, float(x[-1])), 50)
            clear &= bool(np.nanmax(np.exp(np.interp(there, x, np.log(y)))) < bottom)
        if clear:
            return
