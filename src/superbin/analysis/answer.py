"""Limits of an analysis: of an aggregate signal region, of the likelihood of all bins, and as the search published them.

Everything is computed from bins that were chosen by expectation. `region_limits` gives the limits of one region, `likelihood_answer` those
of all bins together, `published_answer` looks the published one up. Specified in ``specs/results.md``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from superbin.domain.aggregate import AggregateBin
from superbin.domain.published import PublishedResults
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.results import (
    LEVEL,
    LikelihoodAnswer,
    LimitBand,
    PublishedAnswer,
    SignalUncertainty,
    UpperLimit,
)
from superbin.stats.limits import METHODS, Limit, compare_limits, expected_lhc_limits, lhc_limit

if TYPE_CHECKING:
    from superbin.likelihood import PublishedLikelihood
    from superbin.likelihood.imported import ImportedLikelihood
    from superbin.likelihood.model import Systematics

__all__ = ["likelihood_answer", "published_answer", "region_limits", "simplified_answer", "uncertainty_of"]

LhcBands: TypeAlias = Literal["all", "exact", "none"]
"""Which limits by the LHC's CLs have expected ones: with the signal exact and uncertain, exact alone, or none."""

_LIMITS = tuple(name for name in ("lhc", "cls", "asymptotic") if name in METHODS)


NO_TIME = "no expected limit: its bands are not computed without time (seconds)"
TOO_LONG = "no expected limit: its bands would take more than some ten seconds"


def uncertainty_of(
    signal: SignalModel, aggregate: AggregateBin, *, extra: float = 0.0, theory: float | None = None
) -> SignalUncertainty:
    """Relative uncertainties of a signal in an aggregate bin.

    Parameters
    ----------
    signal : SignalModel
        Its variations change all bins together: what counts is what they change of the sum.
    aggregate : AggregateBin
        With this signal.
    extra : float
        A relative systematic uncertainty in addition to the signal's own, >= 0.
    theory : float, optional
        Of the cross section.
    """
    total = aggregate.signal
    if total == 0:
        return SignalUncertainty(0.0, 0.0, theory)
    chosen = np.array(aggregate.bins) - 1
    parts = [signal.relative_error, extra]
    for up, down in signal.variations.values():
        sides = (abs(float(side[chosen].sum()) / total - 1) for side in (up, down))
        parts.append(sum(sides) / 2)
    return SignalUncertainty(aggregate.signal_error / total, math.hypot(*parts), theory)


def region_limits(
    aggregate: AggregateBin,
    uncertainty: SignalUncertainty,
    cross_section_pb: float | None,
    *,
    lhc_bands: LhcBands = "all",
) -> tuple[UpperLimit, ...]:
    """Limits of an aggregate bin by the LHC's CLs, by prior-predictive CLs and by asymptotic formulas.

    Parameters
    ----------
    aggregate : AggregateBin
        Whose signal is above zero.
    uncertainty : SignalUncertainty
        Of the signal.
    cross_section_pb : float or None
        That of the signal.
    lhc_bands : {"all", "exact", "none"}
        Which limits by the LHC's CLs have expected ones: a tenth of a second to a second for an exact signal, one to some seconds for an
        uncertain one.

    Returns
    -------
    tuple of UpperLimit
        Without the uncertainty of the signal, then with it, where there is one. The status of a limit by the LHC's CLs without an expected one
        says why; a method that has no answer is left out.
    """
    made = []
    for width in dict.fromkeys((0.0, uncertainty.experimental)):
        wanted = lhc_bands == "all" or (lhc_bands == "exact" and width == 0)
        for method, (band, status) in _by_method(aggregate, width, lhc_bands=wanted).items():
            made.append(
                UpperLimit.of(
                    method,
                    band.times(1 / aggregate.signal),
                    fit="prefit",
                    signal_uncertainty=width,
                    cross_section_pb=cross_section_pb,
                    status=status,
                )
            )
    return tuple(made)


def _by_method(aggregate: AggregateBin, width: float, *, lhc_bands: bool) -> dict[str, tuple[LimitBand, str]]:
    """Limits in events and their status, by method."""
    b, n = aggregate.background, aggregate.observed
    errors = b.nominal, b.up, b.down
    found = compare_limits(
        n,
        *errors,
        level=LEVEL,
        signal_uncertainty=width,
        methods=tuple(name for name in _LIMITS if name != "lhc"),
    )
    limits = {name: (_band(one), "exact") for name, one in found.limits.items()}
    try:
        observed = lhc_limit(n, *errors, level=LEVEL, signal_uncertainty=width)
    except InputError:  # too many events
        return limits
    limits["lhc"] = LimitBand(observed), NO_TIME
    if lhc_bands:
        try:
            five = expected_lhc_limits(*errors, level=LEVEL, signal_uncertainty=width)
            limits["lhc"] = LimitBand(observed, *map(float, five)), "exact"
        except InputError:
            limits["lhc"] = LimitBand(observed), TOO_LONG
    return {name: limits[name] for name in _LIMITS if name in limits}


def _band(limit: Limit) -> LimitBand:
    five = limit.expected
    return LimitBand(limit.observed, five.low2, five.low1, five.median, five.high1, five.high2)


def likelihood_answer(
    likelihood: "PublishedLikelihood | ImportedLikelihood", signal: SignalModel
) -> LikelihoodAnswer:
    """Limits of the full likelihood of a search, without and with the uncertainties of the signal.

    BLAS is kept to one thread, so that the answer does not depend on how many cores there are.
    """
    from superbin.likelihood.fit import single_threaded
    from superbin.likelihood.imported import ImportedLikelihood

    def fitted(systematics: "Systematics") -> _Fitted:
        if isinstance(likelihood, ImportedLikelihood):
            return _by_engine(likelihood, signal, systematics)
        return _by_fitter(likelihood, signal, systematics)

    with single_threaded():
        found = [(fitted("none"), 0.0), (fitted("published"), None)]
    # Of the last model, with the uncertainties of the signal: what the collaboration would quote.
    last = found[-1][0]
    return LikelihoodAnswer(
        kind="full",
        channels=last.channels,
        mu=last.mu,
        z=last.z,
        limits=tuple(
            UpperLimit.of(
                "asymptotic",
                one.band,
                fit="postfit",
                signal_uncertainty=width,
                cross_section_pb=signal.cross_section_pb,
                status=one.status,
            )
            for one, width in found
        ),
    )


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What a likelihood with a signal gives."""

    channels: int
    mu: float | None
    z: float | None
    band: LimitBand
    status: str


def _by_fitter(likelihood: "PublishedLikelihood", signal: SignalModel, systematics: "Systematics") -> _Fitted:
    from superbin.likelihood import Fitter
    from superbin.likelihood.inference import discovery, fit_both, upper_limit

    model = likelihood.with_signal(signal, systematics=systematics)
    fitter = Fitter(model)
    free, background = fit_both(fitter)
    limit = upper_limit(fitter, free, background, level=LEVEL)
    mu = float(free.mu) if free.ok else None
    z = discovery(free, background).z
    return _Fitted(len(model.channels), mu, z, _limit_band(limit.observed, limit.bands), limit.status)


def _by_engine(likelihood: "ImportedLikelihood", signal: SignalModel, systematics: "Systematics") -> _Fitted:
    engine = likelihood.engine(signal, systematics="none" if systematics == "none" else "published")
    seen = engine.significance()
    z = seen.z if seen.z is not None and math.isfinite(seen.z) else None
    limit = engine.limit(level=LEVEL)
    return _Fitted(likelihood.channels, seen.mu, z, _limit_band(limit.observed, limit.bands), limit.status)


def _limit_band(observed: float | None, bands: Mapping[Any, float | None]) -> LimitBand:
    return LimitBand(observed, *(bands[n] for n in (-2, -1, 0, 1, 2)))


def simplified_answer(search: Search, signal: SignalModel) -> LikelihoodAnswer | None:
    """Limits of all bins with the covariance that the search published: a simplified likelihood, asymptotic, with an exact signal.

    Backgrounds are normal and not below zero; expected limits are post-fit, with auxiliary data at the fit, as those of a full likelihood.

    Returns
    -------
    LikelihoodAnswer or None
        None where the search has no covariance, or bins of it overlap.
    """
    from superbin.likelihood.fit import single_threaded
    from superbin.likelihood.quadratic import simplified_limits

    exclusive = search.combinable is None or bool(search.combinable.all())
    if search.covariance is None or not exclusive:
        return None
    background = np.sum([process.estimate.nominal for process in search.processes], axis=0)
    with single_threaded():
        found = simplified_limits(search.observed, background, search.covariance.symmetric, signal.yields)
    limit = UpperLimit.of(
        "asymptotic",
        _limit_band(found.observed, found.bands),
        fit="postfit",
        signal_uncertainty=0.0,
        cross_section_pb=signal.cross_section_pb,
        status="converged" if found.observed is not None else "no limit: a fit failed",
    )
    return LikelihoodAnswer("simplified", search.n_bins, found.mu, found.z, (limit,))


def published_answer(published: PublishedResults, signal: SignalModel) -> PublishedAnswer | None:
    """The limit that a search published at the masses of a signal, interpolated, or at the nearest point of its map.

    Returns
    -------
    PublishedAnswer or None
        None where the model has other masses than the map.
    """
    masses: dict[str, float] = dict(signal.parameters)
    found, how = published.limit(masses), "tabulated" if published.tabulated(masses) else "interpolated"
    if found is None:
        place = published.nearest(masses)
        if place is None:
            return None
        masses, how, found = dict(place), "nearest", published.limit(place)
    if found is None:
        return None
    pb = None if how == "nearest" else signal.cross_section_pb
    observed, expected = (
        None if fb is None or pb is None else fb / (1000 * pb)
        for fb in (found.observed_fb, found.expected_fb)
    )
    return PublishedAnswer(how, masses, found.observed_fb, found.expected_fb, observed, expected)
