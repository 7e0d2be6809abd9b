"""Values of the template ``scan.tex.j2``: what a paper says of a scan."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from superbin.domain.merits import MERITS, named
from superbin.domain.signal import point_label
from superbin.domain.simplified import particle_words, process_text
from superbin.paper import tex, words
from superbin.paper.shared import command_options, shared_values
from superbin.paper.tex import TeX
from superbin.results.scan import DONE, ScanPoint, ScanResult
from superbin.results.wording import parameter_label, scan_stems

__all__ = ["scan_values"]

_NEAREST = 10
_EXCESSES = 5
_CORRELATIONS = {
    "none": "neglected",
    "likelihood": "those of the published likelihood",
    "covariance": "those of the published covariance",
}


def scan_values(result: ScanResult, *, figures: bool) -> dict[str, Any]:
    """Everything that the template prints of a scan."""
    done = [p for p in result.points if p.status == DONE]
    name = str(result.options.get("figure_of_merit", "midp"))
    merit = named(name)
    level = result.options.get("level")
    correlations = str(result.options.get("correlations"))
    formula, particles = process_text(result.model), particle_words(result.model)
    seen = sorted(done, key=lambda p: -_z(p, "observed"))
    largest = seen[0] if seen and _z(seen[0], "observed") > -math.inf else None
    return shared_values(result.search, result.model, "") | {
        "result": result,
        "model": result.model,
        "process": TeX(f"pair production of {particles}, ${formula}$" if formula and particles else ""),
        "parameters": [tex.mathtext(parameter_label(result.model, p, unit=False)) for p in result.parameters],
        "observables": [],
        "options": result.options,
        "goal": TeX(merit.tex if name in MERITS else tex.escape(merit.tex)),
        "level": TeX(f"{100 * (level if isinstance(level, float) else 0.95):.3g}"),
        "order": result.cross_section_order,
        "cross_sections": bool(result.cross_section_order),
        "contours": bool(result.contours),
        "done": done,
        "excluded": _excluded(done),
        "heaviest": _heaviest(result, done),
        "largest": None if largest is None else _largest(result, largest),
        "regions": _regions(done, result.search.n_bins),
        "nearest": [_row(result, p) for p in sorted(done, key=_from_boundary)[:_NEAREST]],
        "excesses": [_row(result, p) for p in seen[:_EXCESSES] if _z(p, "observed") > 0],
        "rows": [_row(result, p) for p in done],
        "failed": _failed(result),
        "cost": _cost(done),
        "correlations": _CORRELATIONS.get(correlations, correlations),
        "versions": {},
        "command": _command(result),
        "digests": {"search": result.search.digest, "scan": result.digest},
        "figures": _figures(result) if figures else {},
    }


def _command(result: ScanResult) -> str:
    """The command that makes such a scan, options as the scan has them."""
    known = ("correlations", "figure_of_merit", "simplify")
    given = command_options(result.search, {k: v for k, v in result.options.items() if k in known})
    if any(p.likelihood_limit is not None for p in result.points):
        given.append("--likelihood-limit")
    return shlex.join(["superbin", "scan", result.model, *given, "-o", "maps"])


def _figures(result: ScanResult) -> Mapping[str, TeX]:
    """Figures of a scan that a paper shows, with their captions."""
    return {name: TeX(_CAPTIONS[name]) for name in scan_stems(result) if name in _CAPTIONS}


_CAPTIONS = {
    "exclusion": r"Observed upper limit on the cross section from one aggregate signal region for each signal, and exclusion contours.",
    "exclusion-likelihood": "Observed upper limit on the cross section from the full likelihood, and exclusion contours.",
    "exclusion-compared": "Exclusion by one aggregate signal region and by the full likelihood; the colour is the expected limit of the former over that of the latter.",
    "limits": "Upper limits on the cross section from one aggregate signal region for each signal against the mass.",
    "limits-likelihood": "Upper limits on the cross section from the full likelihood against the mass.",
    "significance-expected": "Expected significance of each signal in its aggregate signal region.",
    "significance-observed": "Observed local significance in the aggregate signal region of each signal.",
    "significance-scatter": "Observed local against expected significance, one point for each signal. Signals with an observed significance of at least 2 are ringed.",
}


def _z(point: ScanPoint, side: str) -> float:
    found = point.expected if side == "expected" else point.observed
    return -math.inf if found is None or found.z is None else found.z


def _from_boundary(point: ScanPoint) -> float:
    """How far the observed limit on the signal strength is from 1, in its logarithm."""
    observed = None if point.mu_limit is None else point.mu_limit.observed
    return math.inf if not observed else abs(math.log(observed))


def _name(result: ScanResult, point: ScanPoint) -> TeX:
    return tex.escape(point_label(result.model, point.parameters.values()))


def _row(result: ScanResult, point: ScanPoint) -> dict[str, Any]:
    total, limit = point.yields, point.mu_limit
    b = None if total is None else total.background
    return {
        "name": _name(result, point),
        "bins": len(point.bins),
        "signal": TeX("--") if total is None else tex.three(total.signal),
        "background": TeX("--") if b is None else tex.measured(b.nominal, b.up, b.down),
        "observed": TeX("--") if total is None else total.observed,
        "z_expected": tex.z(None if point.expected is None else point.expected.z),
        "z_observed": tex.z(None if point.observed is None else point.observed.z),
        "mu_observed": tex.three(None if limit is None else limit.observed),
        "mu_expected": tex.three(None if limit is None else limit.median),
    }


def _below_one(values: Sequence[float | None]) -> int:
    return sum(value is not None and value < 1 for value in values)


def _excluded(done: Sequence[ScanPoint]) -> dict[str, Any] | None:
    limits = [p.mu_limit for p in done if p.mu_limit is not None]
    if not limits:
        return None
    full = [p.likelihood_limit for p in done if p.likelihood_limit is not None]
    return {
        "observed": _below_one([limit.observed for limit in limits]),
        "expected": _below_one([limit.median for limit in limits]),
        "likelihood": _below_one([limit.observed for limit in full]) if full else None,
        "with_likelihood": len(full),
    }


def _heaviest(result: ScanResult, done: Sequence[ScanPoint]) -> tuple[TeX, ...]:
    """Parameters of the excluded signal whose first parameter is largest, where that is a mass."""
    first = result.parameters[0] if result.parameters else ""
    if not first.startswith("m_"):
        return ()
    excluded = [p for p in done if p.mu_limit is not None and _below_one([p.mu_limit.observed])]
    if not excluded:
        return ()
    return words.masses(result.model, max(excluded, key=lambda p: tuple(p.parameters.values())).parameters)


def _largest(result: ScanResult, point: ScanPoint) -> TeX:
    return TeX(f"{tex.z(_z(point, 'observed'))}, at {_name(result, point)}")


def _regions(done: Sequence[ScanPoint], n_bins: int) -> TeX:
    sizes = [len(p.bins) for p in done]
    if not sizes:
        return TeX("")
    distinct, counts = len({p.bins for p in done}), Counter(b for p in done for b in p.bins)
    return TeX(
        f"The {len(done)} regions merge between {min(sizes)} and {max(sizes)} of the {n_bins} bins, with a median of {median(sizes):g}; {distinct} "
        f"of them differ, and {len(counts)} bins are part of at least one."
    )


def _cost(done: Sequence[ScanPoint]) -> TeX:
    ratios = [
        one.median / full.median
        for p in done
        if (one := p.mu_limit) and (full := p.likelihood_limit) and one.median and full.median
    ]
    if not ratios:
        return TeX("")
    return TeX(
        f"The expected limit from one region is between {min(ratios):.2f} and {max(ratios):.2f} times that of the full likelihood, with a median of {median(ratios):.2f}."
    )


def _failed(result: ScanResult) -> TeX:
    failed = [p for p in result.points if p.status != DONE]
    if not failed:
        return TeX("")
    names = ", ".join(_name(result, p) for p in failed)
    return TeX(f"{len(failed)} of the {len(result.points)} signals could not be evaluated: {names}.")
