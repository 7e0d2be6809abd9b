"""One search, one signal: from published bins to a finished mini analysis, without files.

`analyze` designs the aggregate bin, computes every named p-value of its expected and observed count, and
projects its surroundings. `evaluate` is the significance part alone, for any count and background.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TypeVar

import numpy as np
from scipy.stats import norm

from superbin import merge, workspace
from superbin.aggregate import Background, combine
from superbin.errors import InputError
from superbin.projection import bin_ranges, project
from superbin.results import (
    AnalysisResult,
    BinRow,
    CountDistribution,
    PValue,
    Significance,
)
from superbin.search import Search
from superbin.signal import SignalModel
from superbin.stats import asymptotic, pvalue

__all__ = ["CORRELATIONS", "DEFAULT_TOYS", "Timed", "analyze", "count_distribution", "evaluate"]

CORRELATIONS = ("none",)
"""Models of the correlations between bins; ``none`` adds uncertainties in quadrature over bins."""

DEFAULT_TOYS = 1_000_000

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timed:
    """A significance and the wall time in seconds that each method of it took."""

    significance: Significance
    seconds: Mapping[str, float]


def analyze(
    search: Search,
    signal: SignalModel,
    *,
    correlations: str = "none",
    toys: int = DEFAULT_TOYS,
    seed: int = 0,
) -> AnalysisResult:
    """Design and evaluate the most sensitive one-bin analysis of a signal.

    Parameters
    ----------
    search : Search
        The published search.
    signal : SignalModel
        Expected signal in its bins; must not be zero everywhere.
    correlations : {"none"}
        How the uncertainties of bins combine; see `superbin.aggregate`.
    toys : int
        Pseudo-experiments for each of the expected and observed p-values; 0 throws none.
    seed : int
        Seed of the pseudo-experiments, >= 0.

    Returns
    -------
    AnalysisResult
        The bins are chosen from expectations alone; the observed counts enter afterwards.

    Raises
    ------
    InputError
        If the signal does not fit the search, is zero everywhere, or an option is outside its domain.
    """
    if correlations not in CORRELATIONS:
        raise InputError(f"correlations is {correlations!r}; it must be one of {', '.join(CORRELATIONS)}")
    _log.info("optimising the merge of %d bins for %s", search.n_bins, signal.label)
    merged = merge.optimize(search, signal)
    aggregate = combine(search, signal, merged.bins)
    _log.info("aggregate bin of %d: evaluating p-values", len(merged.bins))
    document = workspace.build(aggregate) if aggregate.background.nominal > 0 else None

    def panel(count: float, *, observed: bool) -> Significance:
        return evaluate(
            count,
            aggregate.background,
            signal=aggregate.signal,
            observed=observed,
            toys=toys,
            seed=seed,
            document=document,
        ).significance

    return AnalysisResult(
        search=_search_summary(search),
        signal=_signal_summary(signal),
        options={
            "correlations": correlations,
            "figure_of_merit": merged.figure_of_merit,
            "toys": toys,
            "seed": seed,
        },
        merge=merged,
        yields=aggregate,
        bins=tuple(
            BinRow(number, bin_ranges(search, number), combine(search, signal, [number]))
            for number in merged.bins
        ),
        expected=panel(aggregate.signal + aggregate.background.nominal, observed=False),
        observed=panel(aggregate.observed, observed=True),
        distribution=count_distribution(aggregate.background, aggregate.signal),
        projections=project(search, signal, merged.bins),
        superbin=version("superbin"),
    )


def evaluate(
    count: float,
    background: Background,
    *,
    signal: float | None = None,
    observed: bool = False,
    toys: int = DEFAULT_TOYS,
    seed: int = 0,
    document: Mapping[str, object] | None = None,
) -> Timed:
    """Compute every named p-value of a count.

    Parameters
    ----------
    count : float
        Events; a whole number when observed, any number >= 0 when expected.
    background : Background
        Expected background with its uncertainty.
    signal : float, optional
        Expected signal events, for the Asimov significance; by default `count` minus the background when
        expected, unknown when observed.
    observed : bool
        Whether the count is data. The Asimov significance is then post-fit.
    toys : int
        Pseudo-experiments; 0 throws none.
    seed : int
        Their seed, >= 0.
    document : mapping, optional
        The pyhf workspace to cross-check with; by default one with a single background uncertainty.

    Returns
    -------
    Timed

    Raises
    ------
    InputError
        If a number is negative, NaN or infinite, or an observed count is not whole.
    """
    if observed and count != np.floor(count):
        raise InputError(
            f"the observed count is {count:g}; data are whole numbers, drop --observed for an expectation"
        )
    n, b, up, down = float(count), background.nominal, background.up, background.down
    seconds: dict[str, float] = {}

    def timed(name: str, method: Callable[[], T]) -> T:
        start = time.perf_counter()
        answer = method()
        seconds[name] = time.perf_counter() - start
        return answer

    strength = signal if signal is not None or observed else max(n - b, 0.0)
    panel = Significance(
        count=n,
        q=2 * (np.sqrt(n) - np.sqrt(b)),
        pull=float(asymptotic.pull(n, b, up, down)),
        midp=timed(
            "midp", lambda: _named(pvalue.midp(n, b, up, down), pvalue.midp_significance(n, b, up, down))
        ),
        tail=timed(
            "tail", lambda: _named(pvalue.tail(n, b, up, down), pvalue.tail_significance(n, b, up, down))
        ),
        asymptotic=timed("asymptotic", lambda: _asymptotic(n, b, up, down)),
        asimov=None
        if strength is None
        else timed("asimov", lambda: _asimov(strength, n if observed else None, b, up, down)),
        toys=timed("toys", lambda: _toys(n, background, toys, seed)) if toys else None,
        pyhf=timed("pyhf", lambda: _pyhf(n, background, document)),
    )
    return Timed(panel, seconds)


def count_distribution(background: Background, signal: float, *, columns: int = 400) -> CountDistribution:
    """Probability of every count, exact, under background alone and with the signal.

    Parameters
    ----------
    background : Background
    signal : float
        Expected signal events; adds to the background's mean.
    columns : int
        At most about this many; where the counts spread wider, neighbours are added up.

    Returns
    -------
    CountDistribution
        From the lowest to the highest count that is not negligible under either hypothesis.
    """
    b, up, down = background.nominal, background.up, background.down
    means = (max(b - 4 * down, 0.0), b + 4 * up, b + 4 * up + signal)
    start = max(0, int(np.floor(means[0] - 5 * np.sqrt(means[0]) - 1)))
    stop = int(np.ceil(means[2] + 5 * np.sqrt(means[2]) + 5))
    width = max(1, -(-(stop - start) // columns))
    edges = np.arange(start, stop + width, width)
    alone = -np.diff(pvalue.tail(edges.astype(float), b, up, down))
    both = -np.diff(pvalue.tail(edges.astype(float), b, up, down, signal=signal))
    keep = np.flatnonzero(np.maximum(alone, both) > 1e-5 * max(alone.max(), both.max()))
    window = slice(int(keep[0]), int(keep[-1]) + 1)
    return CountDistribution(
        counts=tuple(int(k) for k in edges[:-1][window]),
        width=width,
        background=tuple(float(p) for p in np.clip(alone[window], 0, 1)),
        signal_plus_background=tuple(float(p) for p in np.clip(both[window], 0, 1)),
    )


def _named(p: float, z: float) -> PValue:
    return PValue(float(p), float(z) if np.isfinite(z) else None)


def _asymptotic(n: float, b: float, up: float, down: float) -> PValue:
    z = float(asymptotic.asymptotic_z(n, b, up, down))
    return PValue(float(norm.sf(z)), z)


def _asimov(signal: float, fitted_to: float | None, b: float, up: float, down: float) -> Asimov:
    if fitted_to is None:
        return Asimov(float(asymptotic.asimov_z(signal, b, up, down)), "prefit")
    nuisance = asymptotic.fit_nuisance(fitted_to, signal, b, up, down)
    return Asimov(float(asymptotic.asimov_z(signal, b, up, down, auxiliary=nuisance)), "postfit")


def _toys(n: float, background: Background, toys: int, seed: int) -> ToyPValue:
    thrown = throw(n, background.nominal, background.up, background.down, toys=toys, seed=seed)
    z = float(pvalue.significance(thrown.midp))
    return ToyPValue(thrown.midp, z if np.isfinite(z) else None, thrown.midp_error, thrown.toys, seed)


def _pyhf(n: float, background: Background, document: Mapping[str, object] | None) -> PValue | None:
    if background.nominal <= 0:
        return None
    if document is None:
        document = workspace.background_only(n, background)
    return workspace.asymptotic_q0(document, count=n)


def _search_summary(search: Search) -> SearchSummary:
    return SearchSummary(
        name=search.name,
        title=search.title,
        reference=search.reference,
        luminosity_fb=search.luminosity_fb,
        sqrt_s_tev=search.sqrt_s_tev,
        n_bins=search.n_bins,
        digest=search.digest,
        source=search.source,
    )


def _signal_summary(signal: SignalModel) -> SignalSummary:
    return SignalSummary(
        model=signal.model,
        parameters=dict(signal.parameters),
        label=signal.label,
        source=signal.source,
        cross_section_pb=signal.cross_section_pb,
        total=float(signal.yields.sum()),
        digest=signal.digest,
    )
