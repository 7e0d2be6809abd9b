"""What one asks of a likelihood, as frozen results: profile scans, impacts, toys, goodness of fit, yields.

Made by `superbin.likelihood`, drawn by `superbin.plot`, printed by ``superbin likelihood``. Every result has a `status`, ``"converged"`` or
what failed, and `doubts`, what a reader of the numbers has to know; a value that could not be found is None.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import Shown, number
from superbin.errors import InputError
from superbin.results.documents import converter
from superbin.results.values import binomial_error

__all__ = [
    "ChannelYields",
    "Correlations",
    "Goodness",
    "Impact",
    "Impacts",
    "Scan",
    "Surface",
    "ToyBand",
    "ToyLimit",
    "ToyTail",
    "Yields",
    "drawable",
]


@dataclass(frozen=True, slots=True, repr=False)
class Scan(Shown):
    """The profile likelihood along one parameter.

    Attributes
    ----------
    parameter : str
        Its name.
    values : tuple of float
        Where it was held, ascending.
    q : tuple of float or None
        2 (NLL - NLL at the best fit) there; None where the fit failed.
    best : float or None
        Value at the best fit.
    intervals : mapping of float to (float or None, float or None)
        For each rise of q (1 and 3.84) where the profile crosses it below and above; None where it does not within the bounds.
    status : str
    doubts : tuple of str
    """

    parameter: str
    values: tuple[float, ...]
    q: tuple[float | None, ...]
    best: float | None
    intervals: Mapping[float, tuple[float | None, float | None]]
    status: str
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.values) != len(self.q):
            raise InputError(
                f"{len(self.values)} values and {len(self.q)} q; a scan has one q for each value"
            )

    def _shown(self) -> tuple[str, dict[str, str]]:
        return self.parameter, {
            "points": str(len(self.values)),
            "best": number(self.best),
            "status": self.status,
        }

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {
            "intervals": {f"{rise:g}": list(ends) for rise, ends in self.intervals.items()}
        }


@dataclass(frozen=True, slots=True, repr=False)
class Surface(Shown):
    """The profile likelihood over two parameters.

    Attributes
    ----------
    parameters : (str, str)
    x, y : tuple of float
        Where the first and the second were held.
    q : tuple of tuple of float or None
        2 (NLL - NLL at the best fit), ``q[i][j]`` at ``x[i], y[j]``; None where the fit failed.
    best : (float, float) or None
    status : str
    doubts : tuple of str
    """

    parameters: tuple[str, str]
    x: tuple[float, ...]
    y: tuple[float, ...]
    q: tuple[tuple[float | None, ...], ...]
    best: tuple[float, float] | None
    status: str
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.q) != len(self.x) or any(len(row) != len(self.y) for row in self.q):
            raise InputError(
                f"q does not have {len(self.x)} rows of {len(self.y)} values, one for each x and y"
            )

    def _shown(self) -> tuple[str, dict[str, str]]:
        return " and ".join(self.parameters), {
            "points": f"{len(self.x)} x {len(self.y)}",
            "status": self.status,
        }

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Impact:
    """One parameter after a fit, and what it does to the signal strength.

    Attributes
    ----------
    name : str
    kind : {"normal", "Poisson", "free"}
        Its constraint.
    value, error : float, float or None
        After the fit; no error at a bound.
    pull, constraint : float or None
        Shift from the measured value and error after the fit, both in units of the error before it; None without a constraint.
    linear : float or None
        Shift of the strength with the parameter one post-fit standard deviation up, by the covariance.
    up, down : float or None
        The same, up and down, by fits with the parameter held there; None where not asked for, or where a fit failed.
    """

    name: str
    kind: str
    value: float
    error: float | None
    pull: float | None
    constraint: float | None
    linear: float | None
    up: float | None = None
    down: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Impacts(Shown):
    """All parameters of a fit, the largest impact first.

    Attributes
    ----------
    strength : str or None
        Name of the signal strength.
    mu, mu_error : float or None
    parameters : tuple of Impact
    status : str
    doubts : tuple of str
    """

    strength: str | None
    mu: float | None
    mu_error: float | None
    parameters: tuple[Impact, ...]
    status: str
    doubts: tuple[str, ...] = ()

    def _shown(self) -> tuple[str, dict[str, str]]:
        return self.status, {"mu": number(self.mu), "parameters": str(len(self.parameters))}

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ToyTail:
    """How many toys are at least as extreme as the data.

    Attributes
    ----------
    toys : int
        Toys whose fits converged.
    above : int
        Of these, toys with a test statistic >= the observed one.
    failed : int
        Toys left out because a fit failed.
    seed : int
        Seed of the random streams.
    values : tuple of float
        The test statistic of each toy that converged, in the order of the toys.
    """

    toys: int
    above: int
    failed: int
    seed: int
    values: tuple[float, ...] = field(default=(), repr=False)

    @property
    def p(self) -> float:
        """Estimate of the p-value; NaN without toys."""
        return self.above / self.toys if self.toys else math.nan

    @property
    def p_error(self) -> float:
        """Binomial standard error; NaN without toys."""
        return binomial_error(self.above, self.toys) if self.toys else math.nan


@dataclass(frozen=True, slots=True, repr=False)
class ToyLimit(Shown):
    """CLs at one mu from toys of both hypotheses."""

    mu: float
    signal: ToyTail
    background: ToyTail

    def _shown(self) -> tuple[str, dict[str, str]]:
        return f"mu {self.mu:.6g}", {
            "CLs": f"{number(self.cls)} +- {self.cls_error:.2g}",
            "toys": str(self.signal.toys),
        }

    @property
    def cls(self) -> float:
        """CLs+b over CLb; NaN where no toy of the background is as extreme."""
        return self.signal.p / self.background.p if self.background.above else math.nan

    @property
    def cls_error(self) -> float:
        """Standard error, of both tails in quadrature."""
        s, b = self.signal, self.background
        if not b.above:
            return math.nan
        return math.hypot(s.p_error / b.p, s.p * b.p_error / b.p**2)


@dataclass(frozen=True, slots=True, repr=False)
class ToyBand(Shown):
    """Upper limits by toys.

    Attributes
    ----------
    observed, error : float or None
        Limit on mu where CLs of toys is 1 - level, with the standard error from the number of toys.
    bands : mapping of int to float or None
        Limits at -2 ... +2 standard deviations of background-only data.
    level : float
    points : tuple of ToyLimit
        Where toys were thrown, ascending in mu.
    toys, failed, seed : int
        Per hypothesis and point; failed in all.
    status : str
    doubts : tuple of str
    """

    observed: float | None
    error: float | None
    bands: Mapping[int, float | None]
    level: float
    points: tuple[ToyLimit, ...]
    toys: int
    failed: int
    seed: int
    status: str
    doubts: tuple[str, ...] = ()

    def _shown(self) -> tuple[str, dict[str, str]]:
        found = {
            "observed": number(self.observed),
            "expected": number(self.expected),
            "level": number(self.level),
        }
        return self.status, found | {"toys": str(self.toys), "seed": str(self.seed)}

    @property
    def expected(self) -> float | None:
        """Median for background-only data."""
        return self.bands[0]

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "status": self.status,
            "observed": self.observed,
            "observed_err": self.error,
            "expected": self.expected,
            "bands": {f"{n:+d}" if n else "0": value for n, value in self.bands.items()},
            "level": self.level,
            "points": [
                {
                    "mu": p.mu,
                    "cls": p.cls if p.background.above else None,
                    "cls_err": p.cls_error if p.background.above else None,
                }
                for p in self.points
            ],
            "toys": self.toys,
            "failed": self.failed,
            "seed": self.seed,
            "doubts": list(self.doubts),
        }


@dataclass(frozen=True, slots=True, repr=False)
class Goodness(Shown):
    """Goodness of fit against the saturated model.

    Attributes
    ----------
    statistic : float or None
        2 (NLL at the best fit - NLL of the saturated model), in which every bin and auxiliary measurement expects what it counts.
    freedom : int
        Bins minus parameters without constraint that the fit determined.
    p_asymptotic : float or None
        Tail of the chi-squared distribution; approximate at few events.
    toys : ToyTail or None
        Toys drawn at the best fit; `values` has their statistics.
    status : str
    doubts : tuple of str
    """

    statistic: float | None
    freedom: int
    p_asymptotic: float | None
    toys: ToyTail | None
    status: str
    doubts: tuple[str, ...] = ()

    def _shown(self) -> tuple[str, dict[str, str]]:
        found = {
            "statistic": number(self.statistic),
            "degrees of freedom": str(self.freedom),
            "p": number(self.p_asymptotic),
        }
        return self.status, found | ({} if self.toys is None else {"p by toys": number(self.toys.p)})

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        toys = self.toys
        thrown = toys is not None and toys.toys > 0
        return {
            "status": self.status,
            "statistic": self.statistic,
            "degrees_of_freedom": self.freedom,
            "p_asymptotic": self.p_asymptotic,
            "p_toys": toys.p if toys is not None and thrown else None,
            "p_toys_err": toys.p_error if toys is not None and thrown else None,
            "toys": toys.toys if toys is not None else 0,
            "failed": toys.failed if toys is not None else 0,
            "seed": toys.seed if toys is not None else None,
            "doubts": list(self.doubts),
        }


@dataclass(frozen=True, slots=True, repr=False)
class ChannelYields(Shown):
    """Events of one channel.

    Attributes
    ----------
    name : str
    observed : tuple of float
        Counts of its bins.
    samples : mapping of str to tuple of float
        Expected events by sample.
    total, error : tuple of float
        Expected events and their standard deviation.
    """

    name: str
    observed: tuple[float, ...]
    samples: Mapping[str, tuple[float, ...]]
    total: tuple[float, ...]
    error: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(each) for each in (self.observed, self.total, self.error, *self.samples.values())}
        if len(lengths) != 1:
            raise InputError(
                f"channel {self.name!r} has lists of {', '.join(map(str, sorted(lengths)))} entries; each has one entry for each bin"
            )

    def _shown(self) -> tuple[str, dict[str, str]]:
        return self.name, {
            "bins": str(len(self.observed)),
            "observed": number(sum(self.observed)),
            "expected": number(sum(self.total)),
        }


@dataclass(frozen=True, slots=True, repr=False)
class Yields(Shown):
    """Events of all channels before or after a fit.

    Attributes
    ----------
    stage : str
        ``"pre-fit"`` or ``"post-fit"``, with the signal strength.
    channels : tuple of ChannelYields
    covariance : tuple of tuple of float
        Of the totals of all bins, channel after channel.
    status : str
    doubts : tuple of str
    """

    stage: str
    channels: tuple[ChannelYields, ...]
    covariance: tuple[tuple[float, ...], ...]
    status: str
    doubts: tuple[str, ...] = ()

    def _shown(self) -> tuple[str, dict[str, str]]:
        return self.stage, {"channels": str(len(self.channels)), "status": self.status}

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Correlations:
    """How the predictions of bins are correlated.

    Attributes
    ----------
    covariance : tuple of tuple of float
        Events squared.
    groups : tuple of (str, int)
        Names of successive groups of bins, mathtext, and how many bins each has; empty where there is nothing to tell apart.
    attribution : str
        Whose data they are.
    luminosity_fb, sqrt_s_tev : float or None
        fb^-1 and TeV, where they are known.
    """

    covariance: tuple[tuple[float, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    attribution: str = ""
    luminosity_fb: float | None = None
    sqrt_s_tev: float | None = None

    @property
    def matrix(self) -> FloatArray:
        """Correlations, shape (n_bins, n_bins); zero beside a bin without variance."""
        covariance = np.asarray(self.covariance, dtype=np.float64)
        error = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        scale = np.where(error > 0, error, 1.0)
        found = np.clip(covariance / np.outer(scale, scale), -1.0, 1.0)
        np.fill_diagonal(found, 1.0)
        return np.asarray(found)


def drawable(document: Mapping[str, Any]) -> Scan | Surface | Impacts | Yields | Correlations | None:
    """What a document of ``superbin likelihood scan``, ``impacts``, ``yields`` or ``covariance`` as JSON holds; None for any other.

    Raises
    ------
    Exception
        Whatever cattrs raises, if it looks like one of these and is none.
    """
    for kind, keys in _KEYS.items():
        if keys <= set(document):
            values = dict(document)
            if kind is Scan:
                values["intervals"] = {float(rise): ends for rise, ends in document["intervals"].items()}
            return converter().structure(values, kind)
    for key in ("covariance", "covariance_up"):
        if {key, "expected", "scope"} <= set(document):
            about = document.get("about") or {}
            return converter().structure({**about, "covariance": document[key]}, Correlations)
    return None


_KEYS: Mapping[type[Scan | Surface | Impacts | Yields], frozenset[str]] = {
    kind: frozenset(one.name for one in fields(kind)) for kind in (Scan, Surface, Impacts, Yields)
}
