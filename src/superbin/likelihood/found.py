"""Results of fits and tests, of every engine: minima, significance, CLs, limits.

A value that could not be found is None, and `status` says why.
"""

from dataclasses import dataclass

from superbin._support.arrays import FloatArray
from superbin._support.shown import Shown, number

__all__ = ["Exclusion", "FoundMinimum", "Significance", "UpperLimit"]


def _doubts(doubts: tuple[str, ...]) -> dict[str, str]:
    return {"doubts": str(len(doubts))} if doubts else {}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FoundMinimum(Shown):
    """A minimum that at least one start ended in.

    Attributes
    ----------
    nll : float
        Negative log-likelihood, with all constants.
    above : float
        2 NLL above the lowest minimum found.
    x : array, shape (n_parameters,)
        Parameters.
    starts : tuple of str
        Which starts ended here.
    """

    nll: float
    above: float
    x: FloatArray
    starts: tuple[str, ...]

    def _shown(self) -> tuple[str, dict[str, str]]:
        return f"nll {self.nll:.8g}", {
            "above the lowest": number(self.above),
            "starts": str(len(self.starts)),
        }


@dataclass(frozen=True, slots=True, repr=False)
class Significance(Shown):
    """Significance of rejecting mu = 0.

    Attributes
    ----------
    q0 : float or None
        2 (NLL(0) - NLL(mu hat)) with mu hat >= 0; None if a fit failed; infinite if events were seen where none are expected at mu = 0.
    z : float or None
        Its square root.
    p : float or None
        One-sided p-value.
    mu : float or None
        mu hat.
    status : str
        ``"converged"``, or which fit failed and why.
    doubts : tuple of str
        Of both fits.
    """

    q0: float | None
    z: float | None
    p: float | None
    mu: float | None
    status: str
    doubts: tuple[str, ...]

    def _shown(self) -> tuple[str, dict[str, str]]:
        return self.status, {"z": number(self.z), "p": number(self.p), "mu": number(self.mu)} | _doubts(
            self.doubts
        )


@dataclass(frozen=True, slots=True, repr=False)
class Exclusion(Shown):
    """CLs of one signal strength.

    Attributes
    ----------
    cls, cls_plus_b, cl_b : float or None
        Of the observed data.
    expected : tuple of float
        CLs for background-only data at -2 ... +2 standard deviations, in pyhf's order: the first excludes most.
    q, q_asimov : float or None
        qtilde of the observed data and of the Asimov set.
    status : str
        As of `Significance`.
    doubts : tuple of str
        Of all fits.
    asimov : FoundMinimum or None
        The minimum at mu = 0 that made the Asimov set.
    """

    cls: float | None
    cls_plus_b: float | None
    cl_b: float | None
    expected: tuple[float, ...]
    q: float | None
    q_asimov: float | None
    status: str
    doubts: tuple[str, ...]
    asimov: FoundMinimum | None

    def _shown(self) -> tuple[str, dict[str, str]]:
        median = self.expected[len(self.expected) // 2] if self.expected else None
        return self.status, {"CLs": number(self.cls), "expected": number(median)} | _doubts(self.doubts)


@dataclass(frozen=True, slots=True, repr=False)
class UpperLimit(Shown):
    """Upper limit on mu by CLs.

    Attributes
    ----------
    observed : float or None
        For the observed data.
    expected : float or None
        Median for background-only data.
    bands : mapping of float to float or None
        Limit at -2 ... +2 standard deviations of background-only data, or those asked for; bands[0] is `expected`.
    level : float
        Confidence level.
    status : str
        As of `Significance`.
    doubts : tuple of str
        Of all fits, and what was done beyond the published model, such as a search beyond the bound of mu.
    asimov : FoundMinimum or None
        The minimum at mu = 0 that made the Asimov set.
    others : tuple of FoundMinimum
        Further minima of that fit, which would have made other Asimov sets.
    """

    observed: float | None
    expected: float | None
    bands: dict[float, float | None]
    level: float
    status: str
    doubts: tuple[str, ...]
    asimov: FoundMinimum | None
    others: tuple[FoundMinimum, ...]

    def _shown(self) -> tuple[str, dict[str, str]]:
        found = {
            "observed": number(self.observed),
            "expected": number(self.expected),
            "level": number(self.level),
        }
        return self.status, found | _doubts(self.doubts)
