"""From a result to an HTML page, by Jinja2 with automatic escaping."""

import base64
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from superbin._support.shown import counted, printable
from superbin.domain.merits import MERITS
from superbin.domain.signal import point_label
from superbin.domain.simplified import process_text
from superbin.errors import InputError
from superbin.results import AnalysisResult, LimitBand, UpperLimit
from superbin.results.rounding import measured, three
from superbin.results.scan import DONE, ScanPoint, ScanResult
from superbin.results.validation import ValidationReport
from superbin.results.wording import MATH, merge_status, parameter_label, parameter_value, scientific, typeset
from superbin.results.wording import readable as ranges

__all__ = ["page", "point_pages"]

_METHODS = {
    "midp": "Exact, mid-p",
    "tail": "Exact, tail",
    "asymptotic": "Asymptotic, q0",
    "toys": "Toys",
    "pyhf": "pyhf, asymptotic",
}

_COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Corners of viridis, from a strong limit to a weak one."""

_SYMBOLS = {
    r"\geq": "≥",
    r"\leq": "≤",
    r"\times": "×",
    r"\to": "→",
    r"\rightarrow": "→",
    r"\pm": "±",
    r"\chi": "χ",
    r"\nu": "ν",
    r"\tau": "τ",
    r"\sigma": "σ",
    r"\mu": "μ",
    r"\ell": "ℓ",
    r"\ ": " ",
    r"\,": " ",
}


def page(
    result: object, *, figures: Mapping[str, bytes] | None = None, point_folder: str | None = None
) -> str:
    """Write a result as an HTML page.

    Parameters
    ----------
    result : AnalysisResult, ScanResult or ValidationReport
    figures : mapping of str to bytes, optional
        SVG or PNG files by name, to be embedded.
    point_folder : str, optional
        Folder of the pages of a scan's points (`point_pages`), relative to this page: each point then links to its own.

    Returns
    -------
    str
        The page, complete in itself.

    Raises
    ------
    InputError
        If it is no such result.
    """
    name, values = _content(result, point_folder)
    embedded = {title: _uri(content) for title, content in (figures or {}).items()}
    return _environment().get_template(name).render(r=result, figures=embedded, **values)


def point_pages(result: ScanResult, *, back: str = "../report.html") -> dict[str, str]:
    """Write a page for every finished point of a scan.

    Parameters
    ----------
    result : ScanResult
    back : str
        Where the page of the scan is, relative to the pages.

    Returns
    -------
    dict of str to str
        Pages by file name.
    """
    template = _environment().get_template("point.html.j2")
    return {
        _file_name(result, p): template.render(
            r=result, p=p, figures={}, back=back, **_point_values(result, p)
        )
        for p in result.points
        if p.status == DONE
    }


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    made.filters |= {
        "number": _number,
        "p": _p,
        "three": _three,
        "z": _z,
        "readable": _readable,
        "merge_status": merge_status,
        "typeset": typeset,
    }
    made.globals |= {"measured": _measured, "parts": _parts}
    return made


def _uri(content: bytes) -> str:
    kind = "image/png" if content.startswith(b"\x89PNG") else "image/svg+xml"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


# --- numbers and words ----------------------------------------------------------------------------------------


def _number(value: float) -> str:
    return f"{value:.4g}"


def _p(value: float) -> Markup:
    """A p-value with three digits."""
    mantissa, times, exponent = scientific(value).partition(r"\times10^")
    power = Markup(" × 10<sup>{}</sup>").format(exponent.strip("{}").replace("-", "\u2212"))
    return Markup("{}").format(mantissa) + (power if times else "")


def _three(value: float | None) -> str:
    return "" if value is None else three(value)


def _z(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _measured(value: float, up: float, down: float) -> str:
    """A value with its uncertainties, rounded as everywhere; alone where none is stated."""
    shown = measured(value, up, down)
    if not (up or down) and not shown.exponent:
        return shown.value
    first, second = shown.errors
    text = f"{shown.value} ± {first}" if first == second else f"{shown.value} +{first} −{second}"
    return f"({text}) · 1e{shown.exponent}" if shown.exponent else text


def _parts(value: float, *pairs: tuple[float, float]) -> list[str]:
    """A value and pairs of uncertainties in cells of their own, with one last digit."""
    shown = measured(value, *(error for pair in pairs for error in pair))
    power = f" · 1e{shown.exponent}" if shown.exponent else ""
    sides = zip(shown.errors[::2], shown.errors[1::2], strict=True)
    return [
        f"{shown.value}{power}",
        *((f"± {up}" if up == down else f"+{up} −{down}") + power for up, down in sides),
    ]


def _readable(text: str) -> Markup:
    """Mathtext as HTML: subscripts, superscripts, the commonest symbols; everything else as it was written."""
    text = printable(ranges(text))
    if text.count("$") % 2:
        return escape(text)
    parts = MATH.split(text)
    return Markup("").join(_formula(part[1:-1]) if i % 2 else escape(part) for i, part in enumerate(parts))


def _formula(text: str) -> Markup:
    for symbol, character in _SYMBOLS.items():
        text = text.replace(symbol, character)
    text = re.sub(r"\\(?:bar|tilde)\s*(?:\{(\w)\}|(\w))", _accented, text)
    text = re.sub(r"\\(?:mathrm|text|mathit|mathbf|bar|tilde)\s*", "", text)
    html = str(escape(text))
    for mark, tag in ((r"_", "sub"), (r"\^", "sup")):
        html = re.sub(mark + r"\{([^{}]*)\}", rf"<{tag}>\1</{tag}>", html)
        html = re.sub(mark + r"([A-Za-z0-9])", rf"<{tag}>\1</{tag}>", html)
    return Markup(html.replace("{", "").replace("}", ""))


def _accented(found: re.Match[str]) -> str:
    """A letter with a bar or a tilde, by a combining character."""
    mark = "\u0305" if found[0].startswith("\\bar") else "\u0303"
    return f"{found[1] or found[2]}{mark}"


def _excluded(mu: float | None) -> str:
    return "not known" if mu is None else "excluded" if mu < 1 else "not excluded"


# --- one signal -----------------------------------------------------------------------------------------------


@singledispatch
def _content(result: object, point_folder: str | None) -> tuple[str, dict[str, Any]]:
    del point_folder
    raise InputError(f"a page is of a result, a scan or a validation, and not of {type(result).__name__}")


@_content.register
def _(result: AnalysisResult, point_folder: str | None) -> tuple[str, dict[str, Any]]:
    del point_folder
    answer = [
        f"Expected significance Z = {_z(result.expected.midp.z)}, observed {_z(result.observed.midp.z)} (exact mid-p, local).",
    ]
    quoted = None if result.quoted is None else result.quoted.mu
    if quoted is not None and quoted.observed is not None and quoted.median is not None:
        observed, expected = quoted.observed, quoted.median
        text = f"95 % CL upper limit on the signal strength: {three(observed)} observed, {three(expected)} expected"
        if result.signal.cross_section_pb:
            fb = 1000 * result.signal.cross_section_pb
            text += f"; on the cross section: {three(observed * fb)} fb observed, {three(expected * fb)} fb expected, theory {three(fb)} fb"
        answer.append(f"{text}. {_here(result)} the signal is {_excluded(observed)} by this one bin.")
    if result.likelihood is not None and (all_bins := result.likelihood.quoted.mu).observed is not None:
        kind, hoped = (
            result.likelihood.kind,
            "" if all_bins.median is None else f", {three(all_bins.median)} expected",
        )
        answer.append(
            f"By the {kind} likelihood of all bins: {three(all_bins.observed)} observed{hoped}; the signal is {_excluded(all_bins.observed)}."
        )
    merit = MERITS.get(result.merge.figure_of_merit)
    goal = result.merge.figure_of_merit if merit is None else merit.goal
    chosen = f"{len(result.merge.bins)} of {counted(result.search.n_bins, 'bin')}, chosen for the {goal}: {merge_status(result.merge.status)}. It is the union of:"
    methods = [
        (title, getattr(result.expected, name), getattr(result.observed, name))
        for name, title in _METHODS.items()
    ]
    shown = [row for row in methods if row[1] is not None or row[2] is not None]
    return "result.html.j2", {
        "answer": answer,
        "chosen": chosen,
        "other_purpose": "" if result.other is None else _PURPOSES[result.other.purpose],
        "methods": shown,
        "limits": list(_limits(result)),
        "compared": list(_compared(result)),
        "process": process_text(result.signal.model),
        "masses": [
            f"{parameter_label(result.signal.model, name, unit=False)} = {parameter_value(name, value)}"
            for name, value in result.signal.parameters.items()
        ],
    }


def _here(result: AnalysisResult) -> str:
    return "At this cross section" if result.signal.cross_section_pb else "At signal strength 1"


_PURPOSES = {"discovery": "largest expected significance", "limit": "lowest expected limit"}
_LIMITS = {"lhc": "CLs, LHC ensembles", "cls": "CLs, prior-predictive", "asymptotic": "CLs, asymptotic"}


def _limits(result: AnalysisResult) -> Iterator[tuple[str, str, str, LimitBand]]:
    """Region, method, uncertainty of the signal, and the limit on the signal strength."""
    for region in filter(None, (result.region, result.other)):
        for limit in region.limits:
            width = f"{100 * limit.signal_uncertainty:.2g} %" if limit.signal_uncertainty else "none"
            yield _PURPOSES[region.purpose], _LIMITS.get(limit.method, limit.method), width, limit.mu


def _compared(result: AnalysisResult) -> Iterator[tuple[str, list[float | None]]]:
    """One region beside all bins and the published limit: limits on the signal strength and the cross section."""
    for region in (result.region, result.other):
        if region is not None and region.quoted is not None:
            yield f"One region, {_PURPOSES[region.purpose]}", _four(region.quoted)
    if result.likelihood is not None:
        for limit in result.likelihood.limits:
            words = "without" if limit.signal_uncertainty == 0 else "with"
            yield (
                f"{result.likelihood.kind.capitalize()} likelihood, {words} signal uncertainty",
                _four(limit),
            )
    theirs = result.published
    if theirs is not None:
        values = [theirs.observed_mu, theirs.expected_mu, theirs.observed_fb, theirs.expected_fb]
        yield f"Published ({theirs.how})", values


def _four(limit: UpperLimit) -> list[float | None]:
    fb = limit.cross_section_fb
    return [
        limit.mu.observed,
        limit.mu.median,
        None if fb is None else fb.observed,
        None if fb is None else fb.median,
    ]


@_content.register
def _(result: ValidationReport, point_folder: str | None) -> tuple[str, dict[str, Any]]:
    del point_folder
    demanded = [c for c in result.comparisons if c.passed is not None]
    return "validation.html.j2", {"demanded": len(demanded), "passed": len(demanded) - len(result.failed)}


# --- a scan ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where the map is drawn, in its own units, and what its axes say."""

    labels: tuple[str, str]
    ticks_x: tuple[tuple[float, str], ...]
    ticks_y: tuple[tuple[float, str], ...]
    width: int = 760
    height: int = 520
    left: int = 86
    right: int = 740
    top: int = 14
    bottom: int = 462


@dataclass(frozen=True, slots=True)
class _Mark:
    x: float
    y: float
    colour: str
    text: str
    link: str = ""


@_content.register
def _(result: ScanResult, point_folder: str | None) -> tuple[str, dict[str, Any]]:
    done = [p for p in result.points if p.status == DONE]
    observed = sum((p.mu_limit.observed or math.inf) < 1 for p in done if p.mu_limit)
    expected = sum((p.mu_limit.median or math.inf) < 1 for p in done if p.mu_limit)
    answer = [
        f"{len(done)} of {counted(len(result.points), 'signal')} finished; excluded at 95 % CL by their one bin: {observed} observed, {expected} expected."
    ]
    full = [p for p in done if p.likelihood_limit]
    if full:
        by_all = sum((p.likelihood_limit.observed or math.inf) < 1 for p in full if p.likelihood_limit)
        answer.append(f"Excluded by the full likelihood: {by_all} of {len(full)} observed.")
    names = [parameter_label(result.model, name) for name in result.parameters]
    columns = [*names, "Z exp.", "Z obs.", "mu95 obs.", "mu95 exp.", "sigma95 obs. [fb]"]
    if full:
        columns += ["mu95 obs., full", "mu95 exp., full"]
    links = ["" if point_folder is None else f"{point_folder}/{_file_name(result, p)}" for p in done]
    rows = [(link, _row(p, bool(full))) for link, p in zip(links, done, strict=True)]
    plane = _plane(result, done) if len(result.parameters) == 2 and done else None
    values: dict[str, Any] = {
        "answer": answer,
        "columns": columns,
        "rows": rows,
        "failed": [p for p in result.points if p.status != DONE],
        "map": plane,
        "marks": [] if plane is None else _marks(result, done, links),
        "process": process_text(result.model),
        "colours": _COLOURS,
        "scale": _scale(done),
    }
    return "scan.html.j2", values


def _row(point: ScanPoint, full: bool) -> list[float | None]:
    limit = point.mu_limit
    mu = None if limit is None else limit.observed
    fb = None if mu is None or not point.cross_section_pb else 1000 * mu * point.cross_section_pb
    row = [
        *point.parameters.values(),
        None if point.expected is None else point.expected.z,
        None if point.observed is None else point.observed.z,
        mu,
        None if limit is None else limit.median,
        fb,
    ]
    if full:
        whole = point.likelihood_limit
        row += [None, None] if whole is None else [whole.observed, whole.median]
    return row


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or max(1.0, 0.1 * abs(high))
    return low - margin, high + margin


def _ticks(span: tuple[float, float], start: float, stop: float) -> tuple[tuple[float, str], ...]:
    low, high = span
    rough = (high - low) / 6
    step = 10 ** math.floor(math.log10(rough))
    step *= next(f for f in (1, 2, 5, 10) if f * step >= rough)
    first = math.ceil(low / step)
    found = [k * step for k in range(first, math.floor(high / step) + 1)]
    return tuple((start + (v - low) / (high - low) * (stop - start), f"{v:g}") for v in found)


def _plane(result: ScanResult, done: Sequence[ScanPoint]) -> _Plane:
    frame = _Plane(("", ""), (), ())
    spans = [_span([p.parameters[name] for p in done]) for name in result.parameters]
    labels = [_svg_text(parameter_label(result.model, name)) for name in result.parameters]
    return _Plane(
        (labels[0], labels[1]),
        _ticks(spans[0], frame.left, frame.right),
        _ticks(spans[1], frame.bottom, frame.top),
    )


_TSPAN = re.compile(r"<(sub|sup)>(.*?)</\1>")


def _svg_text(text: str) -> Markup:
    """Mathtext as SVG text, in which scripts are shifted."""
    shifts = {"sub": "-3", "sup": "4"}

    def shifted(found: re.Match[str]) -> str:
        rise = shifts[found[1]]
        back = rise.removeprefix("-") if rise.startswith("-") else f"-{rise}"
        return f'<tspan font-size="70%" dy="{-int(rise)}">{found[2]}</tspan><tspan dy="{-int(back)}">\u200b</tspan>'

    html = str(_readable(text))
    while _TSPAN.search(html):
        html = _TSPAN.sub(shifted, html)
    return Markup(html)


def _marks(result: ScanResult, done: Sequence[ScanPoint], links: Sequence[str]) -> list[_Mark]:
    frame = _Plane(("", ""), (), ())
    spans = [_span([p.parameters[name] for p in done]) for name in result.parameters]
    low, high = map(math.log, _scale(done))
    marks = []
    for p, link in zip(done, links, strict=True):
        place = [
            (p.parameters[name] - span[0]) / (span[1] - span[0])
            for name, span in zip(result.parameters, spans, strict=True)
        ]
        x = frame.left + place[0] * (frame.right - frame.left)
        y = frame.bottom - place[1] * (frame.bottom - frame.top)
        mu = p.mu_limit.observed if p.mu_limit else None
        colour = "#ffffff" if not mu else _colour((math.log(mu) - low) / ((high - low) or 1.0))
        marks.append(_Mark(round(x, 1), round(y, 1), colour, _told(result, p), link))
    return marks


def _scale(done: Sequence[ScanPoint]) -> tuple[float, float]:
    """The smallest and the largest observed limit on the signal strength."""
    known = [p.mu_limit.observed for p in done if p.mu_limit and p.mu_limit.observed]
    return (min(known), max(known)) if known else (1.0, math.e)


def _file_name(result: ScanResult, p: ScanPoint) -> str:
    """Name of the page of a point: safe in any file system and in a link."""
    words = [result.model, *(f"{value:g}" for value in p.parameters.values())]
    safe = (re.sub(r"[^A-Za-z0-9.+-]+", "-", word).strip(".-") or "x" for word in words)
    return "_".join(safe) + ".html"


def _point_values(result: ScanResult, p: ScanPoint) -> dict[str, Any]:
    pb = p.cross_section_pb
    limits = [
        (words, limit, None if pb is None else 1000 * pb)
        for words, limit in (("One region", p.mu_limit), ("Full likelihood", p.likelihood_limit))
        if limit is not None
    ]
    masses = [
        f"{parameter_label(result.model, name, unit=False)} = {parameter_value(name, value)}"
        for name, value in p.parameters.items()
    ]
    command = ["superbin", "run", result.model, *(f"{value:g}" for value in p.parameters.values())]
    command += ["--search", result.search.name, "-o", "out"]
    observed = None if p.mu_limit is None else p.mu_limit.observed
    return {
        "name": point_label(result.model, p.parameters.values()),
        "masses": masses,
        "limits": limits,
        "verdict": f"The signal is {_excluded(observed)} by its one region.",
        "process": process_text(result.model),
        "command": shlex.join(command),
    }


def _told(result: ScanResult, p: ScanPoint) -> str:
    parts = [point_label(result.model, p.parameters.values())]
    limit = p.mu_limit
    if limit is not None and limit.observed is not None:
        expected = "" if limit.median is None else f", expected {limit.median:.3g}"
        parts.append(f"mu95 observed {limit.observed:.3g}{expected}: {_excluded(limit.observed)}")
    if p.likelihood_limit is not None and p.likelihood_limit.observed is not None:
        parts.append(f"full likelihood {p.likelihood_limit.observed:.3g}")
    if p.expected is not None and p.observed is not None:
        parts.append(f"Z expected {_z(p.expected.z)}, observed {_z(p.observed.z)}")
    parts.append(f"bins {' '.join(map(str, p.bins))}")
    return printable("; ".join(parts))


def _colour(share: float) -> str:
    at = min(max(share, 0.0), 1.0) * (len(_COLOURS) - 1)
    i = min(int(at), len(_COLOURS) - 2)
    first, second = (
        [int(colour[j : j + 2], 16) for j in (1, 3, 5)] for colour in (_COLOURS[i], _COLOURS[i + 1])
    )
    return "#" + "".join(f"{round(a + (b - a) * (at - i)):02x}" for a, b in zip(first, second, strict=True))
