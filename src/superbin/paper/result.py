"""Values of the template ``result.tex.j2``: what a paper says of one signal."""

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from superbin.domain.aggregate import Background
from superbin.domain.merits import MERITS, Merit, named
from superbin.paper import tex, words
from superbin.paper.shared import command_options, shared_values
from superbin.paper.tex import TeX
from superbin.results import AggregateRegion, AnalysisResult, PublishedAnswer, UncertaintySource, UpperLimit
from superbin.results.wording import COUNT_EXPECTED, COUNT_OBSERVED, projection_stems

__all__ = ["analysis_values", "cut_flow_rows"]

_SHAPES = {
    "free": "",
    "rectangle": "one range in each observable",
    "two rectangles": "at most two rectangles, each one range in each observable",
    "three rectangles": "at most three rectangles, each one range in each observable",
    "connected": "bins that touch one another",
}
_CORRELATIONS = {
    "none": "none",
    "likelihood": "from the published likelihood",
    "covariance": "from the published covariance",
}
_FITS = {"prefit": "pre-fit", "postfit": "post-fit"}
_METHODS = {
    "lhc": r"CL$_\mathrm{s}$, LHC ensembles",
    "cls": r"CL$_\mathrm{s}$, prior-predictive",
    "asymptotic": r"CL$_\mathrm{s}$, asymptotic",
}
_PURPOSES = {"discovery": "largest expected significance", "limit": "lowest expected limit"}
_MOST_SOURCES = 12
_INDEX = re.compile(r"(?<!\d)(?:_?(?:N?Jets?|N?[Bb]Tags?|NB|MHT|HT|[Bb]in)?_?\d++)+$")
"""What tells nuisance parameters of one kind apart: numbers of bins and ranges of observables at the end of their names."""


def analysis_values(result: AnalysisResult, *, figures: bool) -> dict[str, Any]:
    """Everything that the template prints of a result."""
    name = result.merge.figure_of_merit
    merit = named(name)
    signal = words.SignalWords.of(result.signal.model, result.signal.label, result.signal.parameters)
    stems = projection_stems(result.projections) if figures else ()
    other = result.other
    return shared_values(result.search, result.signal.model, result.signal.source) | {
        "result": result,
        "signal": _Signal(signal, result),
        "bins": result.bins,
        "total": result.yields,
        "processes": result.yields.processes,
        "process_rows": list(_process_rows(result)),
        "observables": [tex.mathtext(r.label) for r in result.bins[0].ranges],
        "ranges": result.bins[0].ranges,
        "options": result.options,
        "merit": merit,
        "goal": TeX(_goal(merit, result.merge.value) if name in MERITS else tex.escape(merit.tex)),
        "symbol": TeX(r"the expected limit $\mu_{95}=$" if merit.limit else "the figure of merit"),
        "status": words.status(result.merge.status),
        "shape": _SHAPES.get(result.merge.shape, result.merge.shape),
        "cuts": [words.cut_text(cut, result.bins[0].ranges) for cut in result.merge.cuts],
        "other": other,
        "other_cuts": []
        if other is None
        else [words.cut_text(cut, result.bins[0].ranges) for cut in other.merge.cuts],
        "other_status": None if other is None else words.status(other.merge.status),
        "purposes": _PURPOSES,
        "uncertainty": result.uncertainty,
        "answer": _answer(result),
        "theory_range": _theory_range(result),
        "limits": list(_limit_rows(result)),
        "comparison": list(_comparison(result)),
        "fitted": _fitted(result),
        "published_how": _published_how(result.published),
        "alternatives": list(_alternatives(result)),
        "systematics": list(_sources(result)),
        "sources": len(result.sources),
        "cut_flow": [],
        "versions": result.versions,
        "command": _command(result),
        "digests": {"search": result.search.digest, "signal": result.signal.digest},
        "correlations": {
            c.correlations: _CORRELATIONS.get(c.correlations) or tex.escape(c.correlations)
            for c in result.conventions
        },
        "fits": _FITS,
        "figures": list(stems),
        "drawn": figures,
        "figure_labels": [tex.mathtext(p.label) for p in result.projections],
        "count_expected": COUNT_EXPECTED,
        "count_observed": COUNT_OBSERVED,
    }


class _Signal:
    """The signal's words, and its numbers as they are printed."""

    def __init__(self, signal: words.SignalWords, result: AnalysisResult) -> None:
        summary, search = result.signal, result.search
        self.name, self.words, self.formula = signal.name, signal.words, signal.formula
        self.process, self.masses = signal.process, signal.masses
        total = result.yields
        self.events = tex.measured(total.signal, total.signal_error, total.signal_error)
        self.row = self.events
        if result.uncertainty is not None and result.uncertainty.systematic:
            width = result.uncertainty.systematic * total.signal
            value, mc, syst = tex.parts(total.signal, (total.signal_error,) * 2, (width,) * 2)
            simulated = f"{mc}\\,(MC)\\," if total.signal_error else ""
            self.row = TeX(f"{value}{simulated}{syst}\\,(syst.)")
        pb = summary.cross_section_pb
        self.cross_section = None if pb is None else _cross_section(pb, summary.cross_section_error)
        self.order = summary.cross_section_order
        produced = None if pb is None else 1000 * pb * search.luminosity_fb
        self.efficiency = None if not produced else tex.three(100 * summary.total / produced)


def _goal(merit: Merit, value: float) -> str:
    """What the bins were chosen to do; what that means for weak signals only where the signal is one."""
    return merit.tex if merit.limit or value < 1 else re.sub(r" \(for sets .*\)$", "", merit.tex)


def _cross_section(pb: float, error: float | None) -> TeX:
    fb = 1000 * pb
    value = tex.three(fb) if not error else tex.measured(fb, error * fb, error * fb)
    return TeX(f"{value}~fb")


def _process_rows(result: AnalysisResult) -> Iterator[tuple[TeX, TeX, TeX, TeX]]:
    for p in result.yields.processes:
        value, stat, syst = tex.parts(p.nominal, (p.stat_up, p.stat_down), (p.syst_up, p.syst_down))
        yield tex.mathtext(p.label), value, stat, syst


def _alternatives(result: AnalysisResult) -> Iterator[dict[str, Any]]:
    """The regions that were chosen, and simpler ones."""
    for purpose, region in _regions(result):
        quoted = region.limit("cls")
        yield _alternative(
            f"Chosen, {purpose}",
            region.merge.bins,
            len(region.merge.cuts),
            (tex.three(region.yields.signal), region.yields.background),
            (region.expected.z, None if quoted is None else quoted.mu.median),
        )
    for one in result.alternatives:
        yield _alternative(
            f"{one.name[:1].upper()}{one.name[1:]}",
            one.bins,
            one.selections,
            (tex.three(one.signal), Background(one.background, one.up, one.down)),
            (one.z, one.mu95),
        )


def _alternative(
    name: str,
    bins: tuple[int, ...],
    selections: int,
    events: tuple[TeX, Background],
    sensitivity: tuple[float | None, float | None],
) -> dict[str, Any]:
    signal, background = events
    z, mu = sensitivity
    return {
        "name": name,
        "bins": len(bins),
        "selections": selections,
        "signal": signal,
        "background": tex.measured(background.nominal, background.up, background.down),
        "z": tex.z(z),
        "mu": tex.three(mu),
    }


def _sources(result: AnalysisResult) -> Iterator[tuple[str, int, TeX, TeX]]:
    """The largest sources of uncertainty, relative to the background; those that differ only in an index are one."""
    total = result.yields.background.nominal
    if total <= 0:
        return
    families: dict[str, list[UncertaintySource]] = {}
    for one in result.sources:
        families.setdefault(_INDEX.sub("", one.name) or one.name, []).append(one)
    rows = [(name if len(members) > 1 else members[0].name, members) for name, members in families.items()]
    rows.sort(key=lambda row: -max(_sides(row[1])))
    for name, members in rows[:_MOST_SOURCES]:
        yield name, len(members), *_percents(members, total)
    rest = [one for _, members in rows[_MOST_SOURCES:] for one in members]
    if rest:
        yield "All others", len(rest), *_percents(rest, total)


def _sides(sources: Sequence[UncertaintySource]) -> tuple[float, float]:
    """Upwards and downwards in quadrature, events: each source moves the background to either side by the larger of its shifts."""
    up, down = (
        math.hypot(*(max(sign * one.up, sign * one.down, 0.0) for one in sources)) for sign in (1, -1)
    )
    return up, down


def _percents(sources: Sequence[UncertaintySource], total: float) -> tuple[TeX, TeX]:
    up, down = (100 * side / total for side in _sides(sources))
    return TeX(f"$+{up:.1f}$"), TeX(f"$-{down:.1f}$")


def cut_flow_rows(steps: Mapping[str, float]) -> list[tuple[str, TeX, TeX]]:
    """Cut, fraction left, and fraction of what the cut before left; both in percent."""
    rows: list[tuple[str, TeX, TeX]] = []
    before = 0.0
    for name, left in steps.items():
        relative = tex.percent_of(left / before) if before > 0 else TeX("--")
        rows.append((name, tex.percent_of(left), relative))
        before = left
    return rows


def _command(result: AnalysisResult) -> str:
    """The command that makes such a result, options as the result has them."""
    given = [result.signal.model, *(f"{value:g}" for value in result.signal.parameters.values())]
    return shlex.join(
        ["superbin", "run", *given, *command_options(result.search, result.options), "-o", "out"]
    )


# --- limits ---------------------------------------------------------------------------------------------------


def _regions(result: AnalysisResult) -> Iterator[tuple[str, AggregateRegion]]:
    """The regions with what they are chosen for; one where both purposes have the same bins."""
    first, other = result.region, result.other
    if other is not None and other.merge.bins == first.merge.bins:
        yield f"{_PURPOSES[first.purpose]} and {_PURPOSES[other.purpose]}", first
        return
    for region in (first, other):
        if region is not None:
            yield _PURPOSES[region.purpose], region


def _limit_rows(result: AnalysisResult) -> Iterator[dict[str, Any]]:
    for purpose, region in _regions(result):
        for limit in region.limits:
            yield _limit_row(limit) | {"region": purpose}


def _limit_row(limit: UpperLimit) -> dict[str, Any]:
    mu = limit.mu
    return {
        "method": TeX(_METHODS.get(limit.method) or tex.escape(limit.method)),
        "error": tex.percent(limit.signal_uncertainty) if limit.signal_uncertainty else TeX("--"),
        "observed": tex.three(mu.observed),
        "band": [tex.three(v) for v in (mu.low2, mu.low1, mu.median, mu.high1, mu.high2)],
    }


def _answer(result: AnalysisResult) -> TeX:
    """Whether the signal is excluded, with the limit, in one or two sentences."""
    quoted = result.quoted
    if quoted is None or quoted.mu.observed is None:
        return TeX("")
    signal, fb = tex.mathtext(result.signal.label), quoted.cross_section_fb
    said = "is excluded" if quoted.excluded else "is not excluded"
    mu = rf"$\mu<{_bare(quoted.mu.observed)}$"
    if quoted.mu.median is not None:
        mu += rf" (expected ${_bare(quoted.mu.median)}$)"
    text = f"At 95\\,\\% confidence level the signal {signal} {said} by the aggregate region of lowest expected limit, which gives {mu}"
    if fb is not None and fb.observed is not None:
        text += rf", or a cross section below ${_bare(fb.observed)}$~fb"
        if fb.median is not None:
            text += rf" (expected ${_bare(fb.median)}$~fb)"
    return TeX(f"{text}.")


def _theory_range(result: AnalysisResult) -> list[TeX]:
    error = result.signal.cross_section_error
    if result.quoted is None or not error:
        return []
    up, down = result.quoted.with_theory(error)
    return [TeX(rf"$\mu<{_bare(value)}$") for value in (up, down) if value is not None]


def _comparison(result: AnalysisResult) -> Iterator[dict[str, Any]]:
    if result.likelihood is None and result.published is None:
        return
    for purpose, region in _regions(result):
        if region.quoted is not None:
            yield _row(f"Aggregate region, {purpose}", region.quoted)
    if result.likelihood is not None:
        kind = "Full likelihood" if result.likelihood.kind == "full" else "Simplified likelihood"
        for limit in result.likelihood.limits:
            uncertain = (
                "no signal uncertainty" if limit.signal_uncertainty == 0 else "with signal uncertainty"
            )
            yield _row(f"{kind}, {uncertain}", limit)
    theirs = result.published
    if theirs is not None:
        yield {
            "name": "Published",
            "mu_observed": tex.three(theirs.observed_mu),
            "mu_expected": tex.three(theirs.expected_mu),
            "fb_observed": tex.three(theirs.observed_fb),
            "fb_expected": tex.three(theirs.expected_fb),
        }


def _row(name: str, limit: UpperLimit) -> dict[str, Any]:
    fb = limit.cross_section_fb
    return {
        "name": name,
        "mu_observed": tex.three(limit.mu.observed),
        "mu_expected": tex.three(limit.mu.median),
        "fb_observed": tex.three(None if fb is None else fb.observed),
        "fb_expected": tex.three(None if fb is None else fb.median),
    }


def _fitted(result: AnalysisResult) -> TeX:
    found = result.likelihood
    if found is None or found.mu is None:
        return TeX("")
    which = "full likelihood" if found.kind == "full" else "simplified likelihood"
    significance = "" if found.z is None else rf", with a significance of ${found.z:.2f}$ for discovery"
    what = "channel" if found.kind == "full" else "bin"
    return TeX(
        rf"The fit of the {which} to {tex.whole(found.channels)} {what if found.channels == 1 else f'{what}s'} gives $\hat\mu={_bare(found.mu)}${significance}."
    )


def _published_how(found: PublishedAnswer | None) -> TeX:
    if found is None:
        return TeX("")
    return TeX(
        {
            "tabulated": "The published limit is that at these masses.",
            "interpolated": "The published limit is interpolated between the points of the published map.",
            "nearest": "The published map does not reach these masses; its limit is that of the nearest point.",
        }.get(found.how, "")
    )


def _bare(value: float | None) -> str:
    """A number to three digits without its dollars, to stand inside a formula."""
    return tex.three(value).strip("$")
