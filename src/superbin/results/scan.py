"""What a scan found: one `ScanPoint` for every signal, and the `ScanResult` of all of them.

As everything in `superbin.results`, frozen values that go to versioned JSON (``schemas/scan-1.json``) and come back equal;
maps are drawn from them alone. Specified in ``specs/scans.md``.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from superbin._support.shown import Shown, counted
from superbin.domain.aggregate import AggregateBin
from superbin.domain.published import PublishedLimit
from superbin.results.documents import Form, Option
from superbin.results.values import PValue, SearchSummary

__all__ = [
    "DONE",
    "FAILED",
    "SCHEMA",
    "FinishedPoint",
    "PublishedComparison",
    "ScanLimit",
    "ScanPoint",
    "ScanResult",
    "load_scan",
    "scan_from_json",
    "scan_to_json",
]

SCHEMA = "superbin/scan/1"

DONE = "done"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ScanLimit:
    """An upper limit by CLs: observed, and what background alone makes expect.

    Attributes
    ----------
    observed : float or None
        None only where a fit failed.
    low2, low1, median, high1, high2 : float or None
        The median expected limit with the bands that hold 68 % and 95 % of the outcomes, ascending.
    status : str
        ``"exact"`` or ``"converged"`` when all is well; else which fit failed and why.
    """

    observed: float | None
    low2: float | None
    low1: float | None
    median: float | None
    high1: float | None
    high2: float | None
    status: str

    def over(self, signal: float) -> "ScanLimit":
        """The limit in units of a signal: from events to the signal strength mu; None where that has no finite value.

        Parameters
        ----------
        signal : float
            Expected signal events.
        """

        def scaled(value: float | None) -> float | None:
            mu = math.inf if value is None or signal <= 0 else value / signal
            return mu if math.isfinite(mu) else None

        return ScanLimit(
            scaled(self.observed),
            scaled(self.low2),
            scaled(self.low1),
            scaled(self.median),
            scaled(self.high1),
            scaled(self.high2),
            self.status,
        )


@dataclass(frozen=True, slots=True)
class PublishedComparison:
    """Limits of a scan over those that the search published: 1 where they are equal, above 1 where ours are weaker.

    Attributes
    ----------
    observed_fb, expected_fb : float or None
        Published 95 % CL limits on the cross section, fb; None where there is none.
    one_bin_observed, one_bin_expected : float or None
        `ScanPoint.mu_limit` times the cross section over them; None where either is missing.
    likelihood_observed, likelihood_expected : float or None
        The same of `ScanPoint.likelihood_limit`.
    """

    observed_fb: float | None
    expected_fb: float | None
    one_bin_observed: float | None
    one_bin_expected: float | None
    likelihood_observed: float | None
    likelihood_expected: float | None


@dataclass(frozen=True, slots=True)
class ScanPoint:
    """One signal of a scan, finished or failed.

    A failed point has its parameters, its cross section and the reason, and nothing else.

    Attributes
    ----------
    parameters : mapping of str to float
        In the model's order; masses in GeV.
    status : str
        ``"done"`` or ``"failed"``.
    reason : str or None
        Why it failed.
    bins : tuple of int
        Published 1-based numbers of the aggregate bin, ascending.
    cuts : tuple of str
        Selections whose union is exactly these bins.
    merge_status : str or None
        ``"certified"`` when no better merge exists, ``"within 1.3 %"`` when none is better by more, else ``"best found"``.
    yields : AggregateBin or None
        Signal, background and observed count of the aggregate bin.
    expected, observed : PValue or None
        Exact mid-p; expected is pre-fit, at n = s + b.
    limit : ScanLimit or None
        Exact 95 % CLs limit on the signal events in the aggregate bin; expected is pre-fit.
    likelihood_limit : ScanLimit or None
        Asymptotic 95 % CLs limit on the signal strength from the published full likelihood, with the signal systematics that
        the options name; expected is post-fit. None where it was not asked for.
    cross_section_pb : float or None
        What the signal is normalised to.
    cross_section_error : float or None
        Its relative uncertainty.
    published : PublishedComparison or None
        The limits beside those that the search published; None where it published none at these masses, where no cross
        section is known, or at another confidence level.
    """

    parameters: Mapping[str, float]
    status: str
    reason: str | None = None
    bins: tuple[int, ...] = ()
    cuts: tuple[str, ...] = ()
    merge_status: str | None = None
    yields: AggregateBin | None = None
    expected: PValue | None = None
    observed: PValue | None = None
    limit: ScanLimit | None = None
    likelihood_limit: ScanLimit | None = None
    cross_section_pb: float | None = None
    cross_section_error: float | None = None
    published: PublishedComparison | None = None

    @property
    def mu_limit(self) -> ScanLimit | None:
        """The one-bin limit on the signal strength: mu < 1 is excluded. None where the point failed."""
        if self.limit is None or self.yields is None:
            return None
        return self.limit.over(self.yields.signal)

    def compared(self, published: PublishedLimit | None) -> "ScanPoint":
        """The point with its limits beside a published one.

        Parameters
        ----------
        published : PublishedLimit or None
            At the point's masses.
        """
        if self.status != DONE or self.cross_section_pb is None or published is None:
            return replace(self, published=None)
        fb = 1000 * self.cross_section_pb

        def over(limit: ScanLimit | None) -> tuple[float | None, float | None]:
            pairs = (
                (None if limit is None else limit.observed, published.observed_fb),
                (None if limit is None else limit.median, published.expected_fb),
            )
            observed, expected = (
                None if mu is None or theirs is None else fb * mu / theirs for mu, theirs in pairs
            )
            return observed, expected

        comparison = PublishedComparison(
            published.observed_fb, published.expected_fb, *over(self.mu_limit), *over(self.likelihood_limit)
        )
        return replace(self, published=comparison)


@dataclass(frozen=True, slots=True)
class FinishedPoint:
    """A computed point on its way to the result.

    Attributes
    ----------
    digest : str
        SHA-256 of the signal it is about: what makes two points of a scan the same.
    point : ScanPoint
    seconds : float
        Wall time it took; not part of the answer, which is the same whoever computes it.
    """

    digest: str
    point: ScanPoint
    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class ScanResult(Shown):
    """A finished scan.

    Attributes
    ----------
    search : SearchSummary
    model : str
    parameters : tuple of str
        Names, in the model's order.
    options : mapping
        Everything that was chosen and that changes a number: ``correlations``, ``figure_of_merit``, ``level``,
        ``likelihood_limit`` and the signal's ``systematics`` in it.
    points : tuple of ScanPoint
        In the order of the grid, whoever computed them.
    superbin : str
        Version that made it.
    schema : str
        Version of the document.
    cross_section_order : str
        To which order of perturbation theory the cross sections are known, such as ``"NLO+NLL"``; empty where that is not known.
    contours : mapping of str to tuple of tuple of float
        Masses along each exclusion contour that the search published of the model, GeV, in order, by a name of
        `superbin.domain.published.CONTOURS`; empty where there is none at this confidence level.
    """

    search: SearchSummary
    model: str
    parameters: tuple[str, ...]
    options: Mapping[str, Option]
    points: tuple[ScanPoint, ...]
    superbin: str
    schema: str = SCHEMA
    cross_section_order: str = ""
    contours: Mapping[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)

    def _shown(self) -> tuple[str, dict[str, str]]:
        failed = sum(point.status != DONE for point in self.points)
        facts = {"": f"{counted(len(self.points), 'point')}", "failed": str(failed), "in": self.search.name}
        return self.model, facts

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the points: what makes two scans the same."""
        content = [
            self.search.digest,
            self.model,
            list(self.parameters),
            dict(self.options),
            self.superbin,
            self.schema,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _breaches(result: ScanResult) -> Iterator[tuple[str, str]]:
    for i, point in enumerate(result.points):
        if tuple(point.parameters) != result.parameters:
            names = ", ".join(result.parameters)
            yield (
                f"$.points[{i}].parameters",
                f"they are not those of the scan, which are {names}, in this order",
            )


_FORM = Form(SCHEMA, ScanResult, "superbin scan", _breaches)


def scan_to_json(result: ScanResult) -> str:
    """The document, checked against its schema; ends with a newline."""
    return _FORM.to_json(result)


def scan_from_json(text: str, *, place: str = "the scan") -> ScanResult:
    """Read a document back: as `superbin.results.documents.Form.from_json`."""
    return _FORM.from_json(text, place=place)


def load_scan(path: str | Path) -> ScanResult:
    """Read a ``scan.json``: as `superbin.results.documents.Form.load`."""
    return _FORM.load(path)
