"""Upper limits of an analysis: on the signal strength and on the cross section, by named methods, from one bin, from a likelihood, as published."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["LEVEL", "LikelihoodAnswer", "LimitBand", "PublishedAnswer", "SignalUncertainty", "UpperLimit"]

LEVEL = 0.95
"""Confidence level of the limits of an analysis."""


@dataclass(frozen=True, slots=True)
class LimitBand:
    """An upper limit: observed, and what background alone lets one expect.

    Attributes
    ----------
    observed : float or None
        None where it has no value; the status of the limit says why.
    low2, low1, median, high1, high2 : float or None
        Median expected limit with the bands that hold 68 % and 95 % of the outcomes, ascending.
    """

    observed: float | None
    low2: float | None = None
    low1: float | None = None
    median: float | None = None
    high1: float | None = None
    high2: float | None = None

    @property
    def values(self) -> tuple[float | None, ...]:
        """All six, the observed one first."""
        return self.observed, self.low2, self.low1, self.median, self.high1, self.high2

    def times(self, factor: float) -> "LimitBand":
        """The limit in another unit; None where that has no finite value."""

        def scaled(value: float | None) -> float | None:
            product = math.inf if value is None else value * factor
            return product if math.isfinite(product) else None

        return LimitBand(*map(scaled, self.values))


@dataclass(frozen=True, slots=True)
class UpperLimit:
    """A 95 % CL upper limit on a signal by one method.

    Attributes
    ----------
    method : str
        ``"lhc"``: CLs of the profile likelihood in the ensembles of the LHC experiments; ``"cls"``: prior-predictive CLs, exact;
        ``"asymptotic"``: CLs with asymptotic formulas.
    fit : str
        What expected limits are based on: ``"prefit"``, the background as predicted; ``"postfit"``, as the background-only fit to the
        data finds it.
    signal_uncertainty : float or None
        Relative uncertainty of the signal that the limit takes into account: Monte Carlo statistics and systematics, never that
        of the cross section. 0 for none; None where it differs between the bins of a likelihood.
    mu : LimitBand
        On the signal strength: a signal is excluded where it is below 1.
    cross_section_fb : LimitBand or None
        On the cross section, fb; None where the cross section of the signal is not known.
    status : str
        ``"exact"`` or ``"converged"`` when all is well; else what is missing and why.
    """

    method: str
    fit: str
    signal_uncertainty: float | None
    mu: LimitBand
    cross_section_fb: LimitBand | None = None
    status: str = "exact"

    @classmethod
    def of(
        cls,
        method: str,
        mu: LimitBand,
        *,
        fit: str,
        signal_uncertainty: float | None = 0.0,
        cross_section_pb: float | None = None,
        status: str = "exact",
    ) -> Self:
        """From the limit on the signal strength; that on the cross section follows from the signal's own."""
        fb = None if cross_section_pb is None else mu.times(1000 * cross_section_pb)
        return cls(method, fit, signal_uncertainty, mu, fb, status)

    @property
    def uncertain(self) -> bool:
        """Whether it takes an uncertainty of the signal into account."""
        return self.signal_uncertainty != 0

    @property
    def excluded(self) -> bool | None:
        """Whether the data exclude the signal; None where there is no observed limit."""
        return None if self.mu.observed is None else self.mu.observed < 1

    @property
    def expected_excluded(self) -> bool | None:
        """Whether the median outcome would exclude it; None where there is no expected limit."""
        return None if self.mu.median is None else self.mu.median < 1

    def with_theory(self, relative_error: float) -> tuple[float | None, float | None]:
        """Observed limits on the signal strength for the cross section one standard deviation up and down.

        Parameters
        ----------
        relative_error : float
            Of the cross section, >= 0.

        Returns
        -------
        up, down : float or None
            ``mu / (1 + error)`` and ``mu / (1 - error)``; None where there is none.
        """
        mu = self.mu.observed
        if mu is None:
            return None, None
        return mu / (1 + relative_error), mu / (1 - relative_error) if relative_error < 1 else None


@dataclass(frozen=True, slots=True)
class SignalUncertainty:
    """Relative uncertainties of the signal in an aggregate bin.

    Attributes
    ----------
    mc : float
        Of the Monte Carlo statistics.
    systematic : float
        Of the systematic variations and the common relative error that were given with the signal, added in quadrature.
    theory : float or None
        Of the cross section. Not part of a limit: limits are compared with the cross section at its nominal value and at one
        standard deviation above and below. None where it is not known.
    """

    mc: float
    systematic: float
    theory: float | None = None

    @property
    def experimental(self) -> float:
        """Monte Carlo statistics and systematics in quadrature: what a limit takes into account."""
        return math.hypot(self.mc, self.systematic)


@dataclass(frozen=True, slots=True)
class LikelihoodAnswer:
    """Limits and significance of a signal from the likelihood of all bins of a search.

    Attributes
    ----------
    kind : str
        ``"full"``: the likelihood that the search published; ``"simplified"``: its bins with their covariance.
    channels : int
        Bins and control regions that it counts.
    mu, z : float or None
        Best-fit signal strength, >= 0, and asymptotic discovery significance; None where a fit failed.
    limits : tuple of UpperLimit
        Asymptotic, expected ones post-fit: without uncertainties of the signal, and with them.
    """

    kind: str
    channels: int
    mu: float | None
    z: float | None
    limits: tuple[UpperLimit, ...]

    def limit(self, *, uncertain: bool) -> UpperLimit | None:
        """The limit with the uncertainties of the signal or without; None where there is none."""
        return next((one for one in self.limits if one.uncertain == uncertain), None)

    @property
    def quoted(self) -> UpperLimit:
        """The limit to quote: with the uncertainties of the signal, where there are some."""
        return self.limit(uncertain=True) or self.limits[0]


@dataclass(frozen=True, slots=True)
class PublishedAnswer:
    """The 95 % CL limit on the cross section that the search published.

    Attributes
    ----------
    how : str
        ``"tabulated"``: at these masses; ``"interpolated"``: between the points of the published map around them;
        ``"nearest"``: that of the nearest point, where the map does not reach.
    parameters : mapping of str to float
        Masses that it is of, GeV.
    observed_fb, expected_fb : float or None
        fb; None where it is not public.
    observed_mu, expected_mu : float or None
        Over the cross section of the signal; None where either is not known, and at another point's masses.
    """

    how: str
    parameters: Mapping[str, float]
    observed_fb: float | None
    expected_fb: float | None
    observed_mu: float | None
    expected_mu: float | None
