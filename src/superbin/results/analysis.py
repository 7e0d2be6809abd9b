"""What an analysis found: the `AnalysisResult` and its parts (``schemas/result-2.json``)."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from superbin._support.shown import Shown, counted
from superbin.domain.aggregate import AggregateBin, Background
from superbin.domain.merits import named
from superbin.results.details import Alternative, UncertaintySource
from superbin.results.documents import Form, Option, converter
from superbin.results.limits import (
    LikelihoodAnswer,
    LimitBand,
    PublishedAnswer,
    SignalUncertainty,
    UpperLimit,
)
from superbin.results.values import PValue, SearchSummary

__all__ = [
    "SCHEMA",
    "AggregateRegion",
    "AnalysisResult",
    "Asimov",
    "BinRow",
    "Convention",
    "CountDistribution",
    "ExpectedZ",
    "GreedyBaseline",
    "MergeResult",
    "Optimum",
    "Projection",
    "ProjectionColumn",
    "Range",
    "SignalSummary",
    "Significance",
    "ToyPValue",
    "load_result",
    "result_from_json",
    "result_to_json",
]

SCHEMA = "superbin/result/2"


@dataclass(frozen=True, slots=True)
class ToyPValue:
    """A mid-p-value estimated by pseudo-experiments.

    Attributes
    ----------
    p, p_err : float
        The estimate and its standard error.
    z : float or None
        Its significance; None when no pseudo-experiment, or every one, reached the count.
    n : int
        Pseudo-experiments thrown.
    seed : int
        What they were thrown from.
    """

    p: float
    z: float | None
    p_err: float
    n: int
    seed: int


@dataclass(frozen=True, slots=True)
class Asimov:
    """Asymptotic median significance of the Asimov data set s + b.

    Attributes
    ----------
    z : float
        Standard deviations.
    fit : str
        ``"prefit"``: background as predicted; ``"postfit"``: background as the background-only fit to the data finds it.
    """

    z: float
    fit: str


@dataclass(frozen=True, slots=True)
class ExpectedZ:
    """Expected significance over the outcomes with the signal: its median, and the bands that hold 68 % and 95 % of them.

    Attributes
    ----------
    low2, low1, median, high1, high2 : float or None
        Significances at the quantiles that a normal variable has at -2, -1, 0, 1 and 2 standard deviations; None where the outcome is no
        excess and has none.
    fit : str
        ``"prefit"``: background as predicted; ``"postfit"``: as the background-only fit to the data finds it.
    """

    low2: float | None
    low1: float | None
    median: float | None
    high1: float | None
    high2: float | None
    fit: str

    @classmethod
    def of(cls, five: Iterable[float], fit: str) -> "ExpectedZ":
        """From five significances, ascending; infinite ones are None."""
        low2, low1, median, high1, high2 = (z if math.isfinite(z) else None for z in map(float, five))
        return cls(low2, low1, median, high1, high2, fit)


@dataclass(frozen=True, slots=True)
class Significance:
    """Every named p-value of one count.

    Attributes
    ----------
    count : float
        The count they are for: s + b when expected, a whole number when observed.
    q : float
        2 (sqrt(n) - sqrt(b)), the CMS Mini Analysis Tool's quick figure.
    pull : float or None
        (n - b) / sqrt(b + sigma^2), sigma being the uncertainty on the side of the deviation; None where that is infinite.
    midp, tail : PValue
        Exact, by quadrature.
    asymptotic : PValue
        From the profile likelihood ratio q0, for the same background model.
    asimov, asimov_postfit : Asimov or None
        Expected median significance before and after the background-only fit to the data. Never of an observed count; None where
        no signal is known, or no data to fit.
    toys : ToyPValue or None
        None when no toys were asked for.
    pyhf : PValue or None
        Asymptotic, by pyhf on the exported workspace, where every process and source varies on its own;
        0.5 for every deficit. None where pyhf cannot fit: without background, above 1e6 events, at pulls beyond 20.
    pyhf_total : PValue or None
        The same with the total background uncertainty as the only modifier: the model of the other numbers.
        None where that is the exported workspace.
    p0 : PValue or None
        Profile likelihood in the LHC's ensemble, exact, for the same background model; None above 1e5 events and in older documents.
    expected_midp, expected_p0, expected_p0_postfit : ExpectedZ or None
        Median and bands of the significance of mid-p and of p0 over the outcomes with the signal. Never of an observed count.
    pyhf_toys : ToyPValue or None
        p0 by pyhf's toys of the exported workspace; None unless asked for.
    """

    count: float
    q: float
    pull: float | None
    midp: PValue
    tail: PValue
    asymptotic: PValue
    asimov: Asimov | None = None
    toys: ToyPValue | None = None
    pyhf: PValue | None = None
    pyhf_total: PValue | None = None
    asimov_postfit: Asimov | None = None
    p0: PValue | None = None
    expected_midp: ExpectedZ | None = None
    expected_p0: ExpectedZ | None = None
    expected_p0_postfit: ExpectedZ | None = None
    pyhf_toys: ToyPValue | None = None


@dataclass(frozen=True, slots=True)
class CountDistribution:
    """Probability of every count under background alone and with the signal.

    Attributes
    ----------
    counts : tuple of int
        Equidistant counts, `width` apart; what lies outside has negligible probability.
    width : int
        Each probability is that of the `width` counts from its count upwards; 1 unless they spread widely.
    background, signal_plus_background : tuple of float
        The probabilities.
    """

    counts: tuple[int, ...]
    width: int
    background: tuple[float, ...]
    signal_plus_background: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GreedyBaseline:
    """What the CMS Mini Analysis Tool's greedy search gives under the same figure of merit."""

    bins: tuple[int, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best merge, beside a simpler one that is reported in its place.

    Attributes
    ----------
    bins : tuple of int
        Published numbers, ascending.
    value : float
        Its figure of merit.
    selections : int
        How many it needs.
    tolerance : float
        What the simpler merge may lose, relative to `value`.
    loss : float
        What it does lose: 1 less the ratio of the figures of merit.
    fewest : bool
        Whether it is proved that no merge within the tolerance has fewer selections.
    """

    bins: tuple[int, ...]
    value: float
    selections: int
    tolerance: float
    loss: float
    fewest: bool


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The chosen aggregate bin.

    Attributes
    ----------
    bins : tuple of int
        Published 1-based numbers, ascending.
    figure_of_merit : str
        What was maximised.
    value : float
        Its value for these bins; of a limit, ``1 / mu95``.
    status : str
        ``"certified"`` when nothing better exists; ``"within 1.3 %"`` when nothing is better by more; else ``"best found"``.
    cuts : tuple of str
        Selections whose union is exactly these bins.
    evaluated : int
        Sets of bins whose figure of merit was computed.
    greedy : GreedyBaseline
        The baseline: better only than a merge that constraints or a shape hold back.
    shape : str
        What sets of bins were allowed: one of `superbin.merge.SHAPES`.
    bound : float or None
        No allowed set has a larger figure of merit; None where nothing is proved.
    gap : float or None
        ``bound / value - 1``, the most that could still be gained.
    nodes : int
        Steps of the proof, where it needed a search tree.
    mu95 : float or None
        The expected limit on the signal strength that was made lowest, ``1 / value``; None where that is not what the bins
        were chosen for.
    without_signal : tuple of int
        Those of the bins that expect no signal: a shape, a size, a minimum or a required bin brought them in.
    overlap : bool
        Whether a bin is in two of the selections, so that they are a union and no sum.
    optimum : Optimum or None
        The best merge, where these bins are a simpler one within a tolerance of it. Status and bound are the optimum's;
        the gap is that of these bins.
    """

    bins: tuple[int, ...]
    figure_of_merit: str
    value: float
    status: str
    cuts: tuple[str, ...]
    evaluated: int
    greedy: GreedyBaseline
    shape: str = "free"
    bound: float | None = None
    gap: float | None = None
    nodes: int = 0
    mu95: float | None = None
    without_signal: tuple[int, ...] = ()
    overlap: bool = False
    optimum: Optimum | None = None


@dataclass(frozen=True, slots=True)
class AggregateRegion:
    """An aggregate signal region with what it says of the signal.

    Attributes
    ----------
    purpose : str
        What its bins are chosen for: ``"discovery"``, the largest expected significance, or ``"limit"``, the lowest expected limit.
    merge : MergeResult
        Which bins, and what is proved of them.
    yields : AggregateBin
    uncertainty : SignalUncertainty or None
        Of the signal; None in documents of version 1.
    expected, observed : PValue
        Exact mid-p of the pre-fit expectation n = s + b, and of the data.
    limits : tuple of UpperLimit
        Each method without and with the uncertainty of the signal.
    """

    purpose: str
    merge: MergeResult
    yields: AggregateBin
    uncertainty: SignalUncertainty | None
    expected: PValue
    observed: PValue
    limits: tuple[UpperLimit, ...]

    def limit(self, method: str, *, uncertain: bool = False) -> UpperLimit | None:
        """A limit by its method, with the uncertainty of the signal or without; None where there is none."""
        found = (one for one in self.limits if one.method == method and one.uncertain == uncertain)
        return next(found, None)

    @property
    def quoted(self) -> UpperLimit | None:
        """The limit to quote: the LHC's CLs, or prior-predictive CLs where the counts are too many for it."""
        return next((one for name in ("lhc", "cls") if (one := self.limit(name))), None)


@dataclass(frozen=True, slots=True)
class Range:
    """A range of an observable; `high` is None where it is open upwards.

    Attributes
    ----------
    observable : str
        Name.
    label, unit : str
        For axes and tables.
    low : float
    high : float or None
    text : str
        The range as a person writes it, such as ``300-350`` or ``>= 9``.
    """

    observable: str
    label: str
    unit: str
    low: float
    high: float | None
    text: str


@dataclass(frozen=True, slots=True)
class BinRow:
    """One published bin of the aggregate: its ranges and yields."""

    number: int
    ranges: tuple[Range, ...]
    yields: AggregateBin


@dataclass(frozen=True, slots=True)
class ProjectionColumn:
    """One column of a projection: the bins that fall into a range of the observable, merged.

    Attributes
    ----------
    text : str
        The range as a person writes it.
    group : str
        Columns of one group share their edges in the other axis; empty when there is one group only.
    aggregate : bool
        Whether the column holds a bin of the aggregate.
    yields : AggregateBin
        Sums over the column.
    """

    text: str
    group: str
    aggregate: bool
    yields: AggregateBin


@dataclass(frozen=True, slots=True)
class Projection:
    """Distribution of one observable in the region around the aggregate bin.

    Attributes
    ----------
    observable, label, unit : str
        Name, mathtext and unit of the observable.
    selection : str
        How the region is defined, in words.
    note : str
        What a reader must know of the mapping of bins to columns; empty when it is one to one.
    columns : tuple of ProjectionColumn
    """

    observable: str
    label: str
    unit: str
    selection: str
    note: str
    columns: tuple[ProjectionColumn, ...]


@dataclass(frozen=True, slots=True)
class Convention:
    """The same aggregate bin under one convention for the correlations between bins.

    Attributes
    ----------
    correlations : str
        ``"likelihood"``: from the published likelihood's nuisances; ``"none"``: in quadrature over bins.
    background : Background
        With the uncertainty of this convention.
    expected, observed : PValue
        Exact mid-p.
    """

    correlations: str
    background: Background
    expected: PValue
    observed: PValue


@dataclass(frozen=True, slots=True)
class SignalSummary:
    """Which signal a result is about; `digest` is the SHA-256 of its yields.

    `cross_section_error` is relative, None where it is not known; `cross_section_order` the order of perturbation theory, empty where it
    is not known.
    """

    model: str
    parameters: Mapping[str, float]
    label: str
    source: str
    cross_section_pb: float | None
    total: float
    digest: str
    cross_section_error: float | None = None
    cross_section_order: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class AnalysisResult(Shown):
    """A finished mini analysis.

    Attributes
    ----------
    search : SearchSummary
    signal : SignalSummary
    options : mapping
        Everything that was chosen: ``correlations``, ``figure_of_merit``, ``toys``, ``seed``.
    merge : MergeResult
    yields : AggregateBin
        The aggregate bin.
    bins : tuple of BinRow
        The published bins it is made of.
    expected, observed : Significance
        Pre-fit expectation at n = s + b, and the data.
    conventions : tuple of Convention
        The aggregate bin under every convention at hand, the one in use first.
    distribution : CountDistribution
        Of the count in the aggregate bin.
    projections : tuple of Projection
    limits : tuple of UpperLimit
        On the signal, from the aggregate bin; as in `AggregateRegion`.
    uncertainty : SignalUncertainty or None
        Of the signal in the aggregate bin; None in documents of version 1.
    other : AggregateRegion or None
        The aggregate bin for the other purpose: for the lowest expected limit, where `merge` is for the largest expected
        significance, or the reverse. None in documents of version 1.
    likelihood : LikelihoodAnswer or None
        What all bins together say; None where that was not asked for or is not at hand.
    published : PublishedAnswer or None
        The limit that the search published; None where it published none of this model.
    alternatives : tuple of Alternative
        Simpler regions for the same signal; empty in documents of version 1.
    sources : tuple of UncertaintySource
        What the background is uncertain from, by source, the largest first; empty where no likelihood was at hand.
    versions : mapping of str to str
        Versions of the packages that computed it; empty in documents of version 1.
    superbin : str
        Version that made it.
    schema : str
        Version of the document.
    """

    search: SearchSummary
    signal: SignalSummary
    options: Mapping[str, Option]
    merge: MergeResult
    yields: AggregateBin
    bins: tuple[BinRow, ...]
    expected: Significance
    observed: Significance
    conventions: tuple[Convention, ...]
    distribution: CountDistribution
    projections: tuple[Projection, ...]
    superbin: str
    limits: tuple[UpperLimit, ...] = ()
    uncertainty: SignalUncertainty | None = None
    other: AggregateRegion | None = None
    likelihood: LikelihoodAnswer | None = None
    published: PublishedAnswer | None = None
    alternatives: tuple[Alternative, ...] = ()
    sources: tuple[UncertaintySource, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: str = SCHEMA

    @property
    def region(self) -> AggregateRegion:
        """The aggregate signal region of `merge`, in the form of the other one."""
        purpose = "limit" if named(self.merge.figure_of_merit).limit else "discovery"
        return AggregateRegion(
            purpose,
            self.merge,
            self.yields,
            self.uncertainty,
            self.expected.midp,
            self.observed.midp,
            self.limits,
        )

    def region_for(self, purpose: str) -> AggregateRegion:
        """The aggregate signal region for a purpose, ``"discovery"`` or ``"limit"``; that of `merge` where there is no other."""
        regions = (self.region, self.other)
        return next((one for one in regions if one is not None and one.purpose == purpose), self.region)

    @property
    def quoted(self) -> UpperLimit | None:
        """The one-bin limit to quote: of the region for the limit, as `AggregateRegion.quoted`; None where there is none."""
        return self.region_for("limit").quoted

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {
            "": f"{len(self.merge.bins)} of {counted(self.search.n_bins, 'bin')} of {self.search.name}",
            "merge": self.merge.status,
            "signal": f"{self.yields.signal:.4g}",
            "background": f"{self.yields.background.nominal:.4g}",
            "observed": f"{self.yields.observed:g}",
            "expected Z": f"{self.expected.midp.z:.2f}",
            "observed Z": f"{self.observed.midp.z:.2f}",
        }
        mu = None if self.quoted is None else self.quoted.mu
        if mu is not None and mu.observed is not None and mu.median is not None:
            facts["mu95"] = f"{mu.observed:.3g} (expected {mu.median:.3g})"
        return self.signal.label, facts


def _breaches(result: AnalysisResult) -> Iterator[tuple[str, str]]:
    shown = result.distribution
    if not len(shown.counts) == len(shown.background) == len(shown.signal_plus_background):
        yield "$.distribution", "counts and probabilities must be as many"
    if any(b - a != shown.width for a, b in pairwise(shown.counts)):
        yield "$.distribution.counts", f"they must be {shown.width} apart, as the width says"
    processes = [process.name for process in result.yields.processes]
    parts = {f"$.bins[{i}]": row.yields for i, row in enumerate(result.bins)} | {
        f"$.projections[{i}].columns[{j}]": column.yields
        for i, projection in enumerate(result.projections)
        for j, column in enumerate(projection.columns)
    }
    for path, yields in parts.items():
        if [process.name for process in yields.processes] != processes:
            yield f"{path}.yields.processes", f"they must be {', '.join(processes)}, as in $.yields"
    observables = [part.observable for part in result.bins[0].ranges]
    for i, row in enumerate(result.bins):
        if [part.observable for part in row.ranges] != observables:
            yield f"$.bins[{i}].ranges", f"they must be of {', '.join(observables)}, as in $.bins[0]"


def _from_version_1(document: dict[str, Any]) -> dict[str, Any]:
    """A document of version 1, which knew one limit, observed and median, by prior-predictive CLs."""
    made = {key: value for key, value in document.items() if key != "limit"}
    old, pb = document.get("limit"), document["signal"]["cross_section_pb"]
    limits = []
    if old is not None:
        mu = LimitBand(observed=old["observed"], median=old["expected"])
        limits = [converter().unstructure(UpperLimit.of("cls", mu, fit="prefit", cross_section_pb=pb))]
    nothing = dict.fromkeys(("uncertainty", "other", "likelihood", "published"))
    return made | nothing | {"limits": limits, "schema": SCHEMA}


_FORM = Form(SCHEMA, AnalysisResult, "superbin run", _breaches, older={"superbin/result/1": _from_version_1})


def result_to_json(result: AnalysisResult) -> str:
    """The document, checked against its schema; ends with a newline."""
    return _FORM.to_json(result)


def result_from_json(text: str, *, place: str = "the result") -> AnalysisResult:
    """Read a document back: as `superbin.results.documents.Form.from_json`."""
    return _without_mislabelled(_FORM.from_json(text, place=place))


def load_result(path: str | Path) -> AnalysisResult:
    """Read a ``result.json``: as `superbin.results.documents.Form.load`."""
    return _without_mislabelled(_FORM.load(path))


def _without_mislabelled(result: AnalysisResult) -> AnalysisResult:
    """Leave out the expected value that earlier versions wrote among the observed ones.

    It was of a fit with the nominal signal, which no result means by post-fit any more.
    """
    return replace(result, observed=replace(result.observed, asimov=None))
