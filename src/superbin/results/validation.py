"""What a validation found: one row per comparison, with what it was compared with and the tolerance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Comparison", "Ratios", "ValidationReport"]


@dataclass(frozen=True, slots=True)
class Ratios:
    """Ratios of superbin's numbers to those they are compared with, for a figure.

    Attributes
    ----------
    label : str
        What a point is, for the horizontal axis.
    names : tuple of str
        One per point.
    values : tuple of float
    low, high : float
        Ends of the tolerance.
    """

    label: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison.

    Attributes
    ----------
    check : str
        Name of the check it belongs to.
    what : str
        Of superbin.
    against : str
        What it is compared with.
    tolerance : str
        What is demanded, a constant of the program; empty where a number is only measured.
    result : str
        What was found.
    passed : bool or None
        None where nothing is demanded.
    ratios : Ratios or None
    """

    check: str
    what: str
    against: str
    tolerance: str
    result: str
    passed: bool | None
    ratios: Ratios | None = None

    @property
    def verdict(self) -> str:
        """``passed``, ``FAILED`` or ``measured``."""
        return "measured" if self.passed is None else "passed" if self.passed else "FAILED"


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """All comparisons of a run.

    Attributes
    ----------
    superbin : str
        Version.
    quick : bool
        Whether the slow checks were left out.
    comparisons : tuple of Comparison
    seconds : mapping of str to float
        Time of every check.
    """

    superbin: str
    quick: bool
    comparisons: tuple[Comparison, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Comparison, ...]:
        """Comparisons outside their tolerance."""
        return tuple(c for c in self.comparisons if c.passed is False)

    def document(self) -> dict[str, Any]:
        """The report for JSON, without the points of figures."""
        return {
            "superbin": self.superbin,
            "quick": self.quick,
            "passed": not self.failed,
            "comparisons": [
                {
                    "check": c.check,
                    "what": c.what,
                    "against": c.against,
                    "tolerance": c.tolerance,
                    "result": c.result,
                    "verdict": c.verdict,
                }
                for c in self.comparisons
            ],
            "seconds": dict(self.seconds),
        }
