"""What ``superbin run`` prints: the answer first, then the signal regions, the limits and the significances, with their sources."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from superbin._support.shown import counted
from superbin.cli.options import number, selection_lines, without_signal
from superbin.domain.merits import named
from superbin.results import (
    AggregateRegion,
    AnalysisResult,
    LikelihoodAnswer,
    PublishedAnswer,
    Significance,
    UpperLimit,
)
from superbin.results.rounding import plain, three
from superbin.results.wording import merge_status

__all__ = ["summary"]

NO_TIME = "its bands are not computed without time (seconds)"
WITH_TIME = "its bands take some seconds, and --seconds is 0"

METHODS = {"lhc": "LHC CLs", "cls": "prior-predictive CLs", "asymptotic": "asymptotic CLs"}
_WORDS = {"discovery": "discovery", "limit": "the limit"}
FITS = {"prefit": "pre-fit", "postfit": "post-fit"}

NOT_BY_DATA = (
    "Bins are chosen by expectation. Choosing them by what was observed is not offered: it prefers bins that fluctuated, upwards for a "
    "discovery and downwards for a limit, and the p-values and limits would not hold."
)


def summary(result: AnalysisResult, output: Path) -> str:
    """The answer as text.

    Parameters
    ----------
    result : AnalysisResult
    output : Path
        Where it was written.
    """
    parts = [
        _answer(result),
        _regions(result),
        _limits(result),
        _significances(result),
        _sources(result),
        [f"written to {output}"],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def short(value: float | None) -> str:
    """Three significant digits, or a dash."""
    return "-" if value is None else three(value)


def percent(share: float) -> str:
    """A share for a sentence: two significant digits."""
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


# --- the answer -------------------------------------------------------------------------------------------


def _answer(result: AnalysisResult) -> list[str]:
    search = result.search
    lines = [
        f"{result.signal.label} in {search.name}, {search.luminosity_fb:g} fb^-1 at {search.sqrt_s_tev:g} TeV"
    ]
    one_bin = result.quoted
    if one_bin is not None:
        lines.append(_verdict("one bin", one_bin))
    if result.likelihood is not None:
        lines.append(_verdict(_likelihood_name(result.likelihood), result.likelihood.quoted))
    pb, error = result.signal.cross_section_pb, result.signal.cross_section_error
    if pb is not None:
        order = f" ({result.signal.cross_section_order})" if result.signal.cross_section_order else ""
        width = "" if error is None else f" +- {percent(error)}"
        lines.append(f"theory cross section: {short(1000 * pb)} fb{width}{order}")
        quoted = [("one bin", one_bin)]
        if result.likelihood is not None:
            quoted.append((f"the {result.likelihood.kind} likelihood", result.likelihood.quoted))
        if error is not None:
            lines += [_theory(name, limit, error) for name, limit in quoted if limit is not None]
    else:
        lines.append("no cross section is known for this signal: limits are on the signal strength mu alone")
    return lines


def _verdict(name: str, limit: UpperLimit) -> str:
    if limit.excluded is None:
        return f"{name}: no observed limit, {limit.status}"
    says = "excluded" if limit.excluded else "not excluded"
    median = limit.mu.median
    hoped = "" if median is None else f", expected {short(median)}"
    method = f"{METHODS[limit.method]}, {'uncertain' if limit.uncertain else 'exact'} signal"
    text = f"{says} at 95 % CL by {name} ({method}): mu < {short(limit.mu.observed)}{hoped}"
    if limit.cross_section_fb is not None:
        fb = limit.cross_section_fb
        hoped = "" if median is None else f", expected {short(fb.median)} fb"
        text += f"; cross section < {short(fb.observed)} fb{hoped}"
    return text


def _theory(name: str, limit: UpperLimit, error: float) -> str:
    """The observed limit at the cross section one standard deviation up and down."""
    words = {True: "excluded", False: "not excluded"}
    up, down = (
        "no limit" if mu is None else f"mu < {short(mu)}, {words[mu < 1]}" for mu in limit.with_theory(error)
    )
    return f"with it up by one standard deviation, by {name}: {up}; down: {down}"


def _likelihood_name(answer: LikelihoodAnswer) -> str:
    what = "channel" if answer.kind == "full" else "bin"
    return f"the {answer.kind} likelihood of {counted(answer.channels, what)}"


# --- signal regions ---------------------------------------------------------------------------------------


def _regions(result: AnalysisResult) -> list[str]:
    regions = [result.region, *([] if result.other is None else [result.other])]
    lines = ["Aggregate signal regions" if len(regions) > 1 else "Aggregate signal region"]
    rows = [("chosen for", "bins", "signal", "background", "observed", "Z exp.", "Z obs.", "merge")]
    for region in regions:
        total, b = region.yields, region.yields.background
        rows.append(
            (
                _WORDS[region.purpose],
                str(len(region.merge.bins)),
                plain(total.signal, total.signal_error, total.signal_error),
                plain(b.nominal, b.up, b.down),
                f"{total.observed:g}",
                number(region.expected.z, 2),
                number(region.observed.z, 2),
                merge_status(region.merge.status),
            )
        )
    lines += _table(rows)
    same = len(regions) > 1 and regions[0].merge.bins == regions[1].merge.bins
    for region in regions[: 1 if same else None]:
        merged = region.merge
        heading = "both" if same else _WORDS[region.purpose]
        noun = "bin" if len(merged.bins) == 1 else "bins"
        lines.append(f"{heading}: {noun} {', '.join(map(str, merged.bins))} of {result.search.n_bins}")
        lines += selection_lines(merged)
        lines += without_signal(merged.without_signal)
    merit, merged = named(result.merge.figure_of_merit), result.merge
    ours, original = (merit.shown(value) for value in (merged.value, merged.greedy.value))
    count = len(merged.greedy.bins)
    lines.append(
        f"{merit.goal} ({merit.symbol}): {ours:.3f}; the greedy search (CMS Mini Analysis Tool) finds {original:.3f} with "
        f"{counted(count, 'bin')}"
    )
    lines += [
        f"correlations {c.correlations}: background {plain(c.background.nominal, c.background.up, c.background.down)}, "
        f"exact mid-p Z expected {number(c.expected.z)}, observed {number(c.observed.z)}"
        for c in result.conventions
    ]
    lines.append(NOT_BY_DATA)
    return lines


# --- limits -----------------------------------------------------------------------------------------------


def _limits(result: AnalysisResult) -> list[str]:
    regions = [result.region, *([] if result.other is None else [result.other])]
    rows: list[tuple[str, ...]] = [
        ("from", "method", "signal", "mu obs.", "mu exp.", "68 %", "95 %", "fb obs.", "fb exp.", "excluded")
    ]
    same = len(regions) > 1 and regions[0].merge.bins == regions[1].merge.bins
    # The limits of the region for the limit have their bands.
    for region in [result.region_for("limit")] if same else regions:
        name = "both regions" if same else f"region for {_WORDS[region.purpose]}"
        rows += [_row(name, limit) for limit in region.limits if limit.method != "asymptotic"]
    if result.likelihood is not None:
        rows += [_row(f"{result.likelihood.kind} likelihood", limit) for limit in result.likelihood.limits]
    if len(rows) == 1:
        return []
    if result.published is not None:
        rows.append(_published_row(result.published))
    if all(row[-3] == row[-2] == "-" for row in rows[1:]):
        rows = [(*row[:7], row[-1]) for row in rows]
        heads = (
            "95 % CL upper limits on mu, the cross section over the theory's; below 1 the signal is excluded"
        )
    else:
        heads = "95 % CL upper limits on mu, the cross section over the theory's (below 1: excluded), and on the cross section in fb"
    lines = [heads, *_table(rows)]
    lines += _footnotes(result, regions)
    return lines


def _row(name: str, limit: UpperLimit) -> tuple[str, ...]:
    mu, fb = limit.mu, limit.cross_section_fb
    width = limit.signal_uncertainty
    signal = "own errors" if width is None else "exact" if width == 0 else f"+- {percent(width)}"
    fit = "" if mu.median is None else f" {FITS[limit.fit]}"
    return (
        name,
        METHODS[limit.method] + fit,
        signal,
        short(mu.observed),
        short(mu.median),
        _span(mu.low1, mu.high1),
        _span(mu.low2, mu.high2),
        "-" if fb is None else short(fb.observed),
        "-" if fb is None else short(fb.median),
        {True: "yes", False: "no", None: "-"}[limit.excluded],
    )


def _published_row(found: PublishedAnswer) -> tuple[str, ...]:
    nearest = found.how == "nearest"
    masses = ", ".join(f"{value:g}" for value in found.parameters.values())
    method = f"nearest point ({masses})" if nearest else found.how
    mu = found.observed_mu
    return (
        "published",
        method,
        "",
        short(mu),
        short(found.expected_mu),
        "-",
        "-",
        short(found.observed_fb),
        short(found.expected_fb),
        "-" if mu is None else "yes" if mu < 1 else "no",
    )


def _span(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{short(low)} to {short(high)}"


def _footnotes(result: AnalysisResult, regions: Sequence[AggregateRegion]) -> list[str]:
    lines = []
    width = result.uncertainty
    if width is not None:
        theory = "" if width.theory is None else f"; the theory's {percent(width.theory)} is in no limit"
        lines.append(
            f"signal uncertainty in the region for {_WORDS[regions[0].purpose]}: Monte Carlo {percent(width.mc)}, "
            f"systematic {percent(width.systematic)}{theory}"
        )
    regional = [limit for region in regions for limit in region.limits]
    for status in dict.fromkeys(limit.status for limit in regional if limit.method == "lhc"):
        if status != "exact":
            reason = status.removeprefix("no expected limit: ")
            lines.append(f"LHC CLs with the observed limit alone: {reason.replace(NO_TIME, WITH_TIME)}")
    names = {limit.method for limit in regional}
    if names and "lhc" not in names:
        lines.append("LHC CLs: none, more than 10000 events or some ten seconds of computing")
    lines += _costs(result)
    if result.published is None:
        lines.append("published limit: superbin has none for this model in this search")
    elif result.published.how == "nearest":
        lines.append(
            "published limit: the map does not reach these masses; the limit of its nearest point is not compared"
        )
    return lines


def _costs(result: AnalysisResult) -> list[str]:
    """What one bin costs: its limits over those of all bins and over the published one."""
    one_bin = result.quoted
    if one_bin is None:
        return []
    lines = []
    mu = one_bin.mu
    if result.likelihood is not None and (full := result.likelihood.limit(uncertain=False)) is not None:
        ratios = _ratios((mu.observed, full.mu.observed), (mu.median, full.mu.median))
        if ratios:
            lines.append(
                f"one bin over the {result.likelihood.kind} likelihood, both with an exact signal: {ratios}"
            )
    if result.published is not None:
        pairs = ((mu.observed, result.published.observed_mu), (mu.median, result.published.expected_mu))
        if ratios := _ratios(*pairs):
            lines.append(f"one bin over the published limit: {ratios}")
    return lines


def _ratios(*pairs: tuple[float | None, float | None]) -> str:
    words = ("observed", "expected")
    return ", ".join(
        f"{word} {ours / theirs:.2f}"
        for word, (ours, theirs) in zip(words, pairs, strict=True)
        if ours and theirs
    )


# --- significances ----------------------------------------------------------------------------------------


def _significances(result: AnalysisResult) -> list[str]:
    panels = (("expected", result.expected), ("observed", result.observed))
    rows: list[tuple[str, ...]] = [("Z", "mid-p", "tail", "p0", "asymptotic", "Asimov", "toys", "pyhf")]
    for name, panel in panels:
        values = (panel.midp, panel.tail, panel.p0, panel.asymptotic, panel.asimov, panel.toys, panel.pyhf)
        rows.append((name, *(number(v.z if v else None) for v in values)))
    lines = [f"Local significances in the region for {_WORDS[result.region.purpose]}", *_table(rows)]
    lines += _expected(result.expected)
    for name, panel in panels:
        if panel.pyhf_toys is not None:
            toys = panel.pyhf_toys
            lines.append(
                f"{name} p0 by {toys.n} toys of pyhf: {toys.p:.3g} +- {toys.p_err:.2g}, Z {number(toys.z)}"
            )
    if result.expected.asimov_postfit is not None:
        lines.append(
            f"expected Asimov Z after the background-only fit to the data: {number(result.expected.asimov_postfit.z)}"
        )
    full = result.likelihood
    if full is not None and full.mu is not None:
        lines.append(
            f"{full.kind} likelihood: best-fit mu {short(full.mu) if full.mu else '0'}, observed Z {number(full.z)} (asymptotic)"
        )
    return lines


def _expected(panel: Significance) -> list[str]:
    """Median and bands of the expected significance, a line for each definition that has them."""
    lines = []
    for name, bands in (
        ("mid-p", panel.expected_midp),
        ("p0", panel.expected_p0),
        ("p0", panel.expected_p0_postfit),
    ):
        if bands is not None:
            low2, low1, median, high1, high2 = (
                number(z) for z in (bands.low2, bands.low1, bands.median, bands.high1, bands.high2)
            )
            lines.append(
                f"expected Z of {name}, {FITS[bands.fit]}: median {median}, 68 % from {low1} to {high1}, 95 % from {low2} to {high2}"
            )
    return lines


# --- sources ------------------------------------------------------------------------------------


def _sources(result: AnalysisResult) -> list[str]:
    search = result.search
    return [
        *([f"signal: {result.signal.source}"] if result.signal.source else []),
        *([f"search: {search.source}"] if search.source else []),
        *(f"{key}: {text}" for key in ("accuracy", "licence", "citation") if (text := getattr(search, key))),
    ]


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns side by side: the first two words to the left, numbers to the right."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    words = [
        any(c.isalpha() for row in cells[1:] for c in row[i]) and not _numeric(cells, i)
        for i in range(len(widths))
    ]
    lines = []
    for row in cells:
        aligned = (
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, words, strict=True)
        )
        lines.append("  " + "  ".join(aligned).rstrip())
    return lines


def _numeric(cells: Sequence[Sequence[str]], i: int) -> bool:
    return all(row[i][:1].isdigit() or row[i][:1] in {"", "-", "+"} for row in cells[1:])
