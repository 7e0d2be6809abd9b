"""One signal of a scan: a pure function of the search, the signal and what was chosen.

`prepare` computes once what every signal of a scan shares, `scan_point` the rest. The numbers are those of
`superbin.analysis.analyze` for the same search, signal and correlations, without toys, projections and pyhf, and with limits.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from superbin import merge
from superbin.domain.aggregate import AggregateBin, combine
from superbin.domain.correlations import convention, covariances
from superbin.domain.covariance import Covariance
from superbin.domain.merits import FigureOfMerit
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, SuperbinError, UnknownNameError
from superbin.likelihood import Fitter, PublishedLikelihood
from superbin.likelihood.fit import single_threaded
from superbin.likelihood.imported import ImportedLikelihood
from superbin.likelihood.inference import fit_both, upper_limit
from superbin.likelihood.model import Systematics
from superbin.results import PValue
from superbin.results.scan import DONE, FAILED, ScanLimit, ScanPoint
from superbin.stats import counts, pvalue
from superbin.stats.limits import cls_limit

__all__ = [
    "KILLED",
    "ScanLikelihood",
    "Settings",
    "Shared",
    "failed_point",
    "may_pass",
    "prepare",
    "scan_point",
]

ScanLikelihood: TypeAlias = PublishedLikelihood | ImportedLikelihood
"""What limits of the full likelihood are computed with."""

KILLED = "its worker was killed while it computed nothing else"
"""How the reason begins for a point that no worker survives."""

_DEFECT = "internal error: "

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a scan, the same for all its signals.

    Parameters
    ----------
    correlations : {"likelihood", "none"}, optional
        As in `superbin.analysis.analyze`.
    figure_of_merit : str
        What the bins of every point are chosen for: one of `superbin.merge.MERITS`.
    level : float
        Confidence level of the limits, strictly between 0 and 1.
    likelihood_limit : bool
        Whether to add the limit from the published full likelihood, which takes seconds for each signal.
    systematics : {"published", "own", "global", "none"}
        Those of the signal in that limit, as in `superbin.likelihood.PublishedLikelihood.with_signal`; of an imported likelihood
        ``"published"``, which are those that it or the signal brings, or ``"none"``.
    simplify : float
        As in `superbin.analysis.analyze`.

    Raises
    ------
    InputError
        If an option is outside its domain.
    """

    correlations: str | None = None
    figure_of_merit: FigureOfMerit = "midp"
    level: float = 0.95
    likelihood_limit: bool = False
    systematics: Systematics = "published"
    simplify: float = 0.005

    def __post_init__(self) -> None:
        if self.figure_of_merit not in merge.MERITS:
            raise UnknownNameError(
                f"figure_of_merit is {self.figure_of_merit!r}; it must be one of {', '.join(merge.MERITS)}"
            )
        if not 0 < self.level < 1:
            raise InputError(f"the confidence level is {self.level}; it must lie between 0 and 1")
        if not 0 <= self.simplify < 1:
            raise InputError(f"simplify is {self.simplify}; it must be >= 0 and < 1")
        if self.systematics not in get_args(Systematics):
            raise UnknownNameError(
                f"systematics is {self.systematics!r}; it must be one of {', '.join(get_args(Systematics))}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """What every signal of a scan needs, computed once in every process.

    Attributes
    ----------
    search : Search
    settings : Settings
    covariance : Covariance or None
        Of the bins' backgrounds; None adds uncertainties in quadrature.
    likelihood : PublishedLikelihood, ImportedLikelihood or None
        Only where limits from it are asked for.
    """

    search: Search
    settings: Settings
    covariance: Covariance | None
    likelihood: ScanLikelihood | None

    @property
    def correlations(self) -> str:
        """The convention for the correlations between bins that is in use."""
        return convention(self.covariance)


def prepare(search: Search, settings: Settings, likelihood: ScanLikelihood | None = None) -> Shared:
    """Compute what all signals of a scan share.

    Parameters
    ----------
    search : Search
    settings : Settings
    likelihood : PublishedLikelihood or ImportedLikelihood, optional
        That of the search, in any form; needed where the settings ask for limits from it.

    Raises
    ------
    InputError
        If the likelihood is asked for and not given, or does not have the systematics that are chosen.
    """
    if settings.likelihood_limit and likelihood is None:
        raise InputError(
            f"limits from the full likelihood of {search.name!r} are asked for, and it is not given; give "
            "likelihood=catalog.open_likelihood(search), or leave the limits out"
        )
    if (
        settings.likelihood_limit
        and isinstance(likelihood, ImportedLikelihood)
        and settings.systematics not in {"published", "none"}
    ):
        raise InputError(
            f"the likelihood of {search.name!r} was imported: systematics {settings.systematics!r} are not known of it; choose published, "
            "which are those that it or the signal brings, or none"
        )
    with single_threaded():
        covariance = covariances(search, settings.correlations)[0]
    return Shared(search, settings, covariance, likelihood if settings.likelihood_limit else None)


def scan_point(signal: SignalModel, shared: Shared, *, cross_section_error: float | None = None) -> ScanPoint:
    """Design and evaluate the most sensitive aggregate bin of one signal.

    BLAS is kept to one thread, so that the answer does not depend on how many cores there are.

    Parameters
    ----------
    signal : SignalModel
    shared : Shared
        Of `prepare`.
    cross_section_error : float, optional
        Relative uncertainty of the signal's cross section; recorded, and part of no number.

    Returns
    -------
    ScanPoint
        With status ``"failed"`` and the reason instead of any error.
    """
    try:
        with single_threaded():
            return _evaluate(signal, shared, cross_section_error)
    except SuperbinError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001  a defect met at one signal must not cost the others
        _log.debug("%s failed", signal.label, exc_info=True)
        reason = " ".join(f"{_DEFECT}{type(error).__name__}: {error}".split())
    return failed_point(signal.parameters, reason, signal.cross_section_pb, cross_section_error)


def failed_point(
    parameters: Mapping[str, float],
    reason: str,
    cross_section_pb: float | None = None,
    cross_section_error: float | None = None,
) -> ScanPoint:
    """A point without numbers, and why."""
    return ScanPoint(
        parameters=dict(parameters),
        status=FAILED,
        reason=reason,
        cross_section_pb=cross_section_pb,
        cross_section_error=cross_section_error,
    )


def may_pass(point: ScanPoint) -> bool:
    """Whether a failed point may be done when it is computed again: after a defect or the death of a worker.

    What superbin says of the signal itself, that it is outside its grid for example, it will say again.
    """
    return (point.reason or "").startswith((_DEFECT, KILLED))


def _evaluate(signal: SignalModel, shared: Shared, cross_section_error: float | None) -> ScanPoint:
    search, covariance = shared.search, shared.covariance
    merit = shared.settings.figure_of_merit
    merged = merge.optimize(
        search,
        signal,
        figure_of_merit=merit,
        covariance=covariance,
        simplify=shared.settings.simplify,
        prove_simplest=False,
    )
    aggregate = combine(search, signal, merged.bins, covariance=covariance)
    expected, observed = _significances(aggregate)
    return ScanPoint(
        parameters=dict(signal.parameters),
        status=DONE,
        bins=merged.bins,
        cuts=merged.cuts,
        merge_status=merged.status,
        yields=aggregate,
        expected=expected,
        observed=observed,
        limit=_limit(aggregate, shared.settings.level),
        likelihood_limit=None
        if shared.likelihood is None
        else _likelihood_limit(shared.likelihood, signal, shared.settings),
        cross_section_pb=signal.cross_section_pb,
        cross_section_error=cross_section_error,
    )


def _significances(aggregate: AggregateBin) -> tuple[PValue, PValue]:
    """Exact mid-p of the pre-fit expectation s + b and of the data."""
    b, up, down = aggregate.background.nominal, aggregate.background.up, aggregate.background.down
    n = np.array([aggregate.signal + b, aggregate.observed])
    p = np.asarray(pvalue.midp(n, b, up, down)).tolist()
    z = np.asarray(pvalue.midp_significance(n, b, up, down)).tolist()
    expected, observed = map(PValue.of, p, z)
    return expected, observed


def _limit(aggregate: AggregateBin, level: float) -> ScanLimit:
    """Exact CLs limit of the data, and at the quantiles of the count under background alone."""
    b, up, down = aggregate.background.nominal, aggregate.background.up, aggregate.background.down
    n = np.append(counts.quantile(counts.BANDS, b, up, down), aggregate.observed)
    low2, low1, median, high1, high2, observed = np.asarray(cls_limit(n, b, up, down, level=level)).tolist()
    return ScanLimit(observed, low2, low1, median, high1, high2, "exact")


def _likelihood_limit(likelihood: ScanLikelihood, signal: SignalModel, settings: Settings) -> ScanLimit:
    if isinstance(likelihood, ImportedLikelihood):
        systematics: Literal["none", "published"] = "none" if settings.systematics == "none" else "published"
        found = likelihood.engine(signal, systematics=systematics).limit(level=settings.level)
        low2, low1, median, high1, high2 = (found.bands[n] for n in (-2, -1, 0, 1, 2))
        return ScanLimit(found.observed, low2, low1, median, high1, high2, found.status)
    fitter = Fitter(likelihood.with_signal(signal, systematics=settings.systematics))
    free, background = fit_both(fitter)
    limit = upper_limit(fitter, free, background, level=settings.level)
    low2, low1, median, high1, high2 = (limit.bands[n] for n in (-2, -1, 0, 1, 2))
    return ScanLimit(limit.observed, low2, low1, median, high1, high2, limit.status)
