"""One search, one signal: from published bins to a finished mini analysis, without files.

`analyze` designs the aggregate bin, computes every named p-value of its expected and observed count, and
projects its surroundings. `evaluate` is the significance part alone, for any count and background.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from superbin import merge, workspace
from superbin._support.arrays import FloatArray
from superbin.analysis.answer import (
    LhcBands,
    likelihood_answer,
    published_answer,
    region_limits,
    simplified_answer,
    uncertainty_of,
)
from superbin.analysis.details import package_versions, simpler_regions, uncertainty_sources
from superbin.analysis.projection import bin_ranges, project
from superbin.domain.aggregate import AggregateBin, Background, combine
from superbin.domain.correlations import Correlations, convention, covariances
from superbin.domain.covariance import Covariance
from superbin.domain.merits import FigureOfMerit, merit
from superbin.domain.published import PublishedResults
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.results import (
    AggregateRegion,
    AnalysisResult,
    Asimov,
    BinRow,
    Convention,
    CountDistribution,
    ExpectedZ,
    PValue,
    SearchSummary,
    SignalSummary,
    SignalUncertainty,
    Significance,
    ToyPValue,
)
from superbin.stats import asymptotic, counts, discovery, pvalue
from superbin.stats.expectation import expected
from superbin.stats.toys import throw

if TYPE_CHECKING:
    from superbin.likelihood import PublishedLikelihood
    from superbin.likelihood.imported import ImportedLikelihood

__all__ = [
    "DEFAULT_TOYS",
    "Timed",
    "analyze",
    "count_distribution",
    "evaluate",
    "likelihood_workspace",
]

DEFAULT_TOYS = 1_000_000

MOST_UNCERTAIN = 10.0
"""Largest relative uncertainty of a signal."""

Report: TypeAlias = Callable[[str, float], None]
"""Takes the name of a part that is done, and the seconds it took."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


def _limits(seconds: float) -> merge.Limits:
    if not seconds >= 0:
        raise InputError(f"seconds is {seconds}; a proof takes 0 seconds (none) or more")
    return merge.Limits(exact_seconds=seconds)


@dataclass(frozen=True, slots=True)
class Timed:
    """A significance, the wall time in seconds that each method of it took, and why methods have no answer, by name."""

    significance: Significance
    seconds: Mapping[str, float]
    missing: Mapping[str, str]


def analyze(
    search: Search,
    signal: SignalModel,
    *,
    correlations: Correlations = None,
    figure_of_merit: FigureOfMerit = "midp",
    simplify: float = 0.005,
    toys: int = DEFAULT_TOYS,
    seed: int = 0,
    pyhf_toys: int = 0,
    seconds: float = 0.0,
    signal_uncertainty: float = 0.0,
    cross_section_error: float | None = None,
    cross_section_order: str = "",
    likelihood: "PublishedLikelihood | ImportedLikelihood | None" = None,
    simplified: bool = False,
    published: PublishedResults | None = None,
    report: Report | None = None,
) -> AnalysisResult:
    """Design and evaluate the most sensitive one-bin analysis of a signal: for its discovery, and for a limit on it.

    Parameters
    ----------
    search : Search
        The published search.
    signal : SignalModel
        Expected signal in its bins; must not be zero everywhere.
    correlations : str, Covariance or array_like, optional
        How the uncertainties of bins combine: the name of the search's own covariance, such as ``"likelihood"``, or ``"none"`` for
        quadrature; or a covariance of the bins, shape (n_bins, n_bins), events squared. By default the search's own covariance
        where it has one, else quadrature.
    figure_of_merit : str
        What the bins are chosen for: one of `superbin.merge.MERITS`.
    simplify : float
        How much of the best figure of merit the merge may lose, relative, for fewer selections or fewer bins; 0 for the best.
    toys : int
        Pseudo-experiments for each of the expected and observed p-values; 0 for none.
    seed : int
        Seed of the pseudo-experiments, >= 0.
    pyhf_toys : int
        Toys of the exported workspace by pyhf, for each of the expected and observed p-values; 0 for none.
    seconds : float
        Time for a proof of how good each of both merges is, >= 0; 0 proves nothing of an exact figure of merit, and leaves out the
        expected limits by the LHC's CLs other than the one that is quoted, which take some seconds.
    signal_uncertainty : float
        A relative systematic uncertainty of the signal, in addition to those that it has itself, >= 0. Limits are given without and
        with the uncertainty of the signal.
    cross_section_error : float, optional
        Relative uncertainty of the signal's cross section, >= 0: part of no limit, which is compared with the cross section at one standard
        deviation above and below.
    cross_section_order : str
        To which order of perturbation theory the cross section is known, such as ``"NLO+NLL"``.
    likelihood : PublishedLikelihood or ImportedLikelihood, optional
        That of the search, from `superbin.catalog.Catalog.open_likelihood`, for the limits of all bins together; some seconds.
    simplified : bool
        Whether to give the limits of all bins from the covariance of the search where there is no likelihood.
    published : PublishedResults, optional
        Limits that the search published of the model, from `superbin.catalog.Catalog.limits`.
    report : callable, optional
        Called with the name of each part and the seconds it took, when it is done.

    Returns
    -------
    AnalysisResult
        The bins are chosen from expectations alone; the observed counts enter afterwards. Choosing by what was observed is not
        offered: it would prefer bins that fluctuated upwards, or downwards for a limit, and no p-value and no limit would mean what
        it says.

    Raises
    ------
    InputError
        If the signal does not fit the search, is zero everywhere, or an option is outside its domain.
    """
    _check_relative("signal_uncertainty", signal_uncertainty)
    if cross_section_error is not None:
        _check_relative("cross_section_error", cross_section_error)
    clock = _Clock(report)
    conventions = covariances(search, correlations)
    covariance = conventions[0]
    if not _states_errors(search):  # quadrature over bins would have nothing to add
        conventions = conventions[:1] if covariance is not None else conventions
    _log.info("optimising the merge of %d bins for %s", search.n_bins, signal.label)
    merged = merge.optimize(
        search,
        signal,
        figure_of_merit=figure_of_merit,
        covariance=covariance,
        simplify=simplify,
        limits=_limits(seconds),
    )
    aggregate = combine(search, signal, merged.bins, covariance=covariance)
    clock.done(f"bins for the {merit(merged.figure_of_merit).goal}")
    _log.info("aggregate bin of %d: evaluating p-values", len(merged.bins))
    document = workspace.build(aggregate) if aggregate.background.nominal > 0 else None

    def panel(count: float, *, observed: bool) -> Significance:
        return evaluate(
            count,
            aggregate.background,
            signal=aggregate.signal,
            observed=observed,
            fitted_to=None if observed else aggregate.observed,
            toys=toys,
            seed=seed,
            document=document,
            pyhf_toys=pyhf_toys,
        ).significance

    expected = panel(aggregate.signal + aggregate.background.nominal, observed=False)
    seen = panel(aggregate.observed, observed=True)
    clock.done("p-values")

    def uncertainty(total: AggregateBin) -> SignalUncertainty:
        return uncertainty_of(signal, total, extra=signal_uncertainty, theory=cross_section_error)

    for_limit = merit(merged.figure_of_merit).limit
    width = uncertainty(aggregate)
    limits = region_limits(
        aggregate, width, signal.cross_section_pb, lhc_bands=_lhc_bands(for_limit, seconds)
    )
    clock.done("limits of the aggregate bin")
    other = _other(
        search,
        signal,
        covariance,
        uncertainty,
        figure_of_merit=_OTHER[for_limit],
        simplify=simplify,
        limits=_limits(seconds),
    )
    clock.done(f"bins for the {merit(other.merge.figure_of_merit).goal}, with their limits")
    simpler = simpler_regions(search, signal, figure_of_merit=merged.figure_of_merit, covariance=covariance)
    clock.done("simpler regions")
    all_bins = None
    if likelihood is not None:
        all_bins = likelihood_answer(likelihood, signal)
        clock.done("limits of the full likelihood")
    elif simplified:
        all_bins = simplified_answer(search, signal)
        clock.done("limits of the simplified likelihood")
    return AnalysisResult(
        search=SearchSummary.of(search),
        signal=_signal_summary(signal, cross_section_error, cross_section_order),
        options={
            "correlations": convention(covariance),
            "figure_of_merit": merged.figure_of_merit,
            "simplify": simplify,
            "toys": toys,
            "seed": seed,
            "seconds": seconds,
            "signal_uncertainty": signal_uncertainty,
        },
        merge=merged,
        yields=aggregate,
        bins=tuple(
            BinRow(
                number,
                bin_ranges(search, number),
                combine(search, signal, [number], covariance=None if _states_errors(search) else covariance),
            )
            for number in merged.bins
        ),
        expected=expected,
        observed=seen,
        conventions=tuple(
            _convention(combine(search, signal, merged.bins, covariance=c), c) for c in conventions
        ),
        distribution=count_distribution(aggregate.background, aggregate.signal),
        uncertainty=width,
        limits=limits,
        other=other,
        likelihood=all_bins,
        published=None if published is None else published_answer(published, signal),
        alternatives=simpler,
        sources=() if likelihood is None else uncertainty_sources(likelihood, merged.bins),
        versions=package_versions(),
        projections=project(search, signal, merged.bins, covariance=covariance),
        superbin=version("superbin"),
    )


def _states_errors(search: Search) -> bool:
    """Whether any bin has an uncertainty of its own, or the covariance of all bins alone says how uncertain they are."""
    return any(
        np.any(getattr(process.estimate, side))
        for process in search.processes
        for side in ("stat_up", "stat_down", "syst_up", "syst_down")
    )


def evaluate(
    count: float,
    background: Background,
    *,
    signal: float | None = None,
    observed: bool = False,
    fitted_to: float | None = None,
    toys: int = DEFAULT_TOYS,
    seed: int = 0,
    document: Mapping[str, object] | None = None,
    pyhf_toys: int = 0,
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
        Whether the count is data. There is no Asimov significance then: it is an expectation.
    fitted_to : float, optional
        Data, for the post-fit Asimov significance of an expected count: that of the background-only fit to them.
    toys : int
        Pseudo-experiments; 0 for none.
    seed : int
        Their seed, >= 0.
    document : mapping, optional
        The exported workspace of the aggregate bin; by default one of the total background uncertainty alone.
    pyhf_toys : int
        Toys of that workspace by pyhf; 0 for none.

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

    missing: dict[str, str] = {}

    def by_pyhf(name: str, chosen: Mapping[str, object] | None) -> PValue | None:
        try:
            return timed(name, lambda: _pyhf(n, background, chosen))
        except InputError as error:
            missing[name] = str(error)
            return None

    def where_summed(name: str, method: Callable[[], T]) -> T | None:
        """An answer, or the reason why there is none: too many events."""
        try:
            return timed(name, method)
        except InputError as error:
            missing[name] = str(error)
            return None

    strength = None if observed else signal if signal is not None else max(n - b, 0.0)
    pull = float(asymptotic.pull(n, b, up, down))  # the first to check the numbers
    if b == 0:
        missing["pyhf"] = "pyhf cannot fit a bin without background"
    panel = Significance(
        count=n,
        q=2 * (math.sqrt(n) - math.sqrt(b)),
        pull=pull if math.isfinite(pull) else None,
        midp=timed("midp", lambda: _pvalue(pvalue.tail_and_midp(n, b, up, down)[1])),
        tail=timed("tail", lambda: _pvalue(pvalue.tail_and_midp(n, b, up, down)[0])),
        asymptotic=timed("asymptotic", lambda: _asymptotic(n, b, up, down)),
        asimov=None if strength is None else timed("asimov", lambda: _asimov(strength, None, b, up, down)),
        toys=timed("toys", lambda: _toys(n, background, toys, seed)) if toys else None,
        pyhf=by_pyhf("pyhf", document) if b > 0 else None,
        pyhf_total=by_pyhf("pyhf_total", None) if b > 0 and document else None,
        asimov_postfit=None
        if strength is None or fitted_to is None
        else timed("asimov_postfit", lambda: _asimov(strength, fitted_to, b, up, down)),
        p0=where_summed("p0", lambda: _pvalue(discovery.p0(n, b, up, down))),
        pyhf_toys=timed("pyhf_toys", lambda: _pyhf_toys(n, background, document, pyhf_toys, seed))
        if pyhf_toys and b > 0
        else None,
        **({} if not strength else _expected(strength, background, fitted_to, where_summed)),
    )
    return Timed(panel, seconds, missing)


def _expected(
    signal: float,
    background: Background,
    fitted_to: float | None,
    where_summed: Callable[[str, Callable[[], ExpectedZ]], ExpectedZ | None],
) -> dict[str, ExpectedZ | None]:
    """Median and bands of the expected significances, by field."""
    yields = background.nominal, background.up, background.down

    def by_midp() -> ExpectedZ:
        return ExpectedZ.of((one.z for one in expected(signal, *yields).at_quantiles), "prefit")

    def by_p0(data: float | None) -> ExpectedZ:
        found = discovery.expected_p0(signal, *yields, fitted_to=data)
        return ExpectedZ.of((float(one.z) for one in found.at_quantiles), found.fit)

    return {
        "expected_midp": where_summed("expected_midp", by_midp),
        "expected_p0": where_summed("expected_p0", lambda: by_p0(None)),
        "expected_p0_postfit": None
        if fitted_to is None
        else where_summed("expected_p0_postfit", lambda: by_p0(fitted_to)),
    }


def _pvalue(found: pvalue.Probability) -> PValue:
    return PValue.of(float(found.p), float(found.z))


def _pyhf_toys(
    n: float, background: Background, document: Mapping[str, object] | None, toys: int, seed: int
) -> ToyPValue:
    chosen = dict(document) if document else workspace.background_only(n, background)
    thrown = workspace.toy_q0(chosen, count=n, toys=toys, seed=seed)
    z = float(pvalue.significance(thrown.p))
    return ToyPValue(thrown.p, z if math.isfinite(z) else None, thrown.p_err, thrown.n, seed)


def count_distribution(background: Background, signal: float, *, columns: int = 400) -> CountDistribution:
    """Probability of every count under background alone and with the signal.

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
    low, high = max(b - 4 * down, 0.0), b + 4 * up + signal
    start = max(0, int(low - 5 * np.sqrt(low) - 1))
    stop = int(high + 5 * np.sqrt(high) + 5)
    width = max(1, -(-(stop - start) // columns))
    edges = np.arange(start, stop + width, width)
    alone, both = (_probabilities(edges, background, s) for s in (0.0, signal))
    keep = np.flatnonzero(np.maximum(alone, both) > 1e-5 * max(alone.max(), both.max()))
    window = slice(int(keep[0]), int(keep[-1]) + 1)
    return CountDistribution(
        counts=tuple(int(k) for k in edges[:-1][window]),
        width=width,
        background=tuple(float(p) for p in alone[window]),
        signal_plus_background=tuple(float(p) for p in both[window]),
    )


def _probabilities(edges: NDArray[np.int64], background: Background, signal: float) -> FloatArray:
    """Probability of each column of counts: differences of P(N < edge), exact."""
    b, up, down = background.nominal, background.up, background.down
    below = np.where(edges > 0, counts.cdf(np.maximum(edges, 1) - 1, b, up, down, signal=signal), 0.0)
    probabilities: FloatArray = np.clip(np.diff(below), 0.0, 1.0)
    return probabilities


def likelihood_workspace(
    likelihood: "PublishedLikelihood", signal: SignalModel, bins: Iterable[int]
) -> workspace.Document:
    """An aggregate bin as a likelihood of its own, with its control regions, as a pyhf workspace.

    Templates of the bins are summed and nuisances are shared by name, so the correlations of the published
    likelihood survive. The signal has no systematic uncertainty, as everywhere in this analysis.

    Parameters
    ----------
    likelihood : PublishedLikelihood
        That of the search, from `superbin.catalog.Catalog.likelihood`.
    signal : SignalModel
        In its bins.
    bins : iterable of int
        Published 1-based numbers.

    Raises
    ------
    InputError
        If the set is empty or holds no bin of the search.
    """
    from superbin.likelihood.export import full_workspace

    model = likelihood.model(signal.yields, systematics="none")
    return full_workspace(model.merged(bins))


_OTHER = {False: "limit", True: "midp"}
"""Figure of merit of the other region, by whether that of the first is a limit."""


def _other(
    search: Search,
    signal: SignalModel,
    covariance: Covariance | None,
    uncertainty: Callable[[AggregateBin], SignalUncertainty],
    *,
    figure_of_merit: str,
    simplify: float,
    limits: merge.Limits,
) -> AggregateRegion:
    """The aggregate signal region for the other purpose."""
    merged = merge.optimize(
        search,
        signal,
        figure_of_merit=figure_of_merit,
        covariance=covariance,
        simplify=simplify,
        limits=limits,
    )
    aggregate = combine(search, signal, merged.bins, covariance=covariance)
    width = uncertainty(aggregate)
    expected, observed = _midp(aggregate)
    return AggregateRegion(
        purpose="limit" if merit(figure_of_merit).limit else "discovery",
        merge=merged,
        yields=aggregate,
        uncertainty=width,
        expected=expected,
        observed=observed,
        limits=region_limits(
            aggregate,
            width,
            signal.cross_section_pb,
            lhc_bands=_lhc_bands(merit(figure_of_merit).limit, limits.exact_seconds),
        ),
    )


def _lhc_bands(for_limit: bool, seconds: float) -> LhcBands:
    """All bands take some seconds; without time for them, the one that is quoted."""
    return "all" if seconds > 0 else "exact" if for_limit else "none"


def _midp(aggregate: AggregateBin) -> tuple[PValue, PValue]:
    """Exact mid-p of the pre-fit expectation s + b, and of the data."""
    b, up, down = aggregate.background.nominal, aggregate.background.up, aggregate.background.down
    expected, observed = (
        _pvalue(pvalue.tail_and_midp(n, b, up, down)[1]) for n in (aggregate.signal + b, aggregate.observed)
    )
    return expected, observed


def _check_relative(name: str, value: float) -> None:
    if not 0 <= value <= MOST_UNCERTAIN:
        raise InputError(
            f"{name} is {value}; a relative uncertainty is from 0 to {MOST_UNCERTAIN:g}, 0.2 for 20 %"
        )


class _Clock:
    """Says how long each part took."""

    def __init__(self, report: Report | None) -> None:
        self._report, self._last = report, time.perf_counter()

    def done(self, part: str) -> None:
        now = time.perf_counter()
        if self._report is not None:
            self._report(part, now - self._last)
        self._last = now


def _convention(aggregate: AggregateBin, covariance: Covariance | None) -> Convention:
    return Convention(convention(covariance), aggregate.background, *_midp(aggregate))


def _asymptotic(n: float, b: float, up: float, down: float) -> PValue:
    z = float(asymptotic.asymptotic_z(n, b, up, down))
    return PValue.of(float(ndtr(-z)), z)


def _asimov(signal: float, fitted_to: float | None, b: float, up: float, down: float) -> Asimov | None:
    """None where the significance is infinite."""
    nuisance = None if fitted_to is None else asymptotic.fit_nuisance(fitted_to, 0.0, b, up, down)
    z = float(asymptotic.asimov_z(signal, b, up, down, auxiliary=nuisance))
    return Asimov(z, "prefit" if fitted_to is None else "postfit") if math.isfinite(z) else None


def _toys(n: float, background: Background, toys: int, seed: int) -> ToyPValue:
    thrown = throw(n, background.nominal, background.up, background.down, toys=toys, seed=seed)
    z = float(pvalue.significance(thrown.midp))
    return ToyPValue(thrown.midp, z if np.isfinite(z) else None, thrown.midp_error, thrown.toys, seed)


def _pyhf(n: float, background: Background, document: Mapping[str, object] | None) -> PValue:
    return workspace.asymptotic_q0(document or workspace.background_only(n, background), count=n)


def _signal_summary(signal: SignalModel, error: float | None, order: str) -> SignalSummary:
    return SignalSummary(
        model=signal.model,
        parameters=dict(signal.parameters),
        label=signal.label,
        source=signal.source,
        cross_section_pb=signal.cross_section_pb,
        total=float(signal.yields.sum()),
        digest=signal.digest,
        cross_section_error=error,
        cross_section_order=order,
    )
