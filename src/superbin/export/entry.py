"""The content of every export: regions with backgrounds, and signals in them or limits on them.

`entry_of` makes an `Entry` from a result or a bundle; every format is a function of an `Entry`. Specified in ``specs/export.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import singledispatch
from importlib.metadata import version

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.aggregate import AggregateBin, Background, ProcessYield, combine
from superbin.domain.bundle import Bundle
from superbin.domain.signal import SignalModel, point_label
from superbin.errors import InputError
from superbin.results import AnalysisResult
from superbin.results.scan import DONE, ScanResult

__all__ = ["Entry", "Point", "Region", "entry_of", "with_likelihood_limits"]


@dataclass(frozen=True, slots=True)
class Region:
    """A signal region.

    Attributes
    ----------
    name : str
        A plain word: letters, digits and underscores.
    cuts : tuple of str
        Selections whose union it is.
    observed : int
    background : Background
        Total, with its uncertainty up and down.
    processes : tuple of ProcessYield
        The parts of the background.
    """

    name: str
    cuts: tuple[str, ...]
    observed: int
    background: Background
    processes: tuple[ProcessYield, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """A signal.

    Attributes
    ----------
    model : str
    parameters : mapping of str to float
        In the model's order, masses in GeV.
    yields, errors : tuple of float
        Expected events in every region of the entry, with their Monte Carlo errors; empty where the entry has no regions.
    cross_section_pb, cross_section_error : float or None
        What the yields are normalised to, and its relative uncertainty.
    limits : mapping of str to float or None
        On the signal strength: 95 % CLs, ``observed`` and ``expected`` of the regions, ``likelihood_observed`` and
        ``likelihood_expected`` of the published full likelihood; what is not known is left out.
    expected_z, observed_z : float or None
        Exact mid-p significances.
    bins : tuple of int
        Published numbers of the bins that are behind the limits.
    """

    model: str
    parameters: Mapping[str, float]
    yields: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    cross_section_pb: float | None = None
    cross_section_error: float | None = None
    limits: Mapping[str, float] | None = None
    expected_z: float | None = None
    observed_z: float | None = None
    bins: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """Model and parameters, such as ``T1bbbb(1750, 1)``."""
        return point_label(self.model, self.parameters.values())


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Everything a format may need.

    Attributes
    ----------
    search, title, reference, licence, citation : str
        Of the search that it comes from; empty where not known.
    luminosity_fb, sqrt_s_tev : float
    regions : tuple of Region
        Exclusive. Empty for a scan, each point of which has an aggregate bin of its own.
    covariance : array, shape (n_regions, n_regions), or None
        Of the backgrounds, events squared: the mean of the upward and the downward one where they differ. None where the
        regions are taken to be independent.
    points : tuple of Point
    aggregates : tuple of AggregateBin
        The regions with the signal of the first point, where processes are known.
    digest : str
        SHA-256 of the search.
    made_by : str
        Version of superbin.
    bundle : Bundle or None
        What it was made from, where that is a search.
    """

    search: str
    title: str
    reference: str
    luminosity_fb: float
    sqrt_s_tev: float
    regions: tuple[Region, ...]
    points: tuple[Point, ...]
    covariance: FloatArray | None = None
    aggregates: tuple[AggregateBin, ...] = ()
    licence: str = ""
    citation: str = ""
    digest: str = ""
    made_by: str = ""
    bundle: Bundle | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Models of the points, each once, in their order."""
        return tuple(dict.fromkeys(point.model for point in self.points))

    def variances(self) -> FloatArray:
        """Covariance of the backgrounds; without a given one that of independent regions, whose error is the mean of both sides."""
        if self.covariance is not None:
            return self.covariance
        return np.diag([((r.background.up + r.background.down) / 2) ** 2 for r in self.regions])


@singledispatch
def entry_of(source: object) -> Entry:
    """Make an entry.

    Parameters
    ----------
    source : AnalysisResult, ScanResult or Bundle
        One aggregate bin with its signal; a scan, whose points have limits and no common region; or a search, whose bins become
        regions, with its signals.

    Raises
    ------
    InputError
        If there is nothing to export in it.
    """
    raise InputError(
        f"a {type(source).__name__} has no regions and no signals; export a result, a scan or a bundle"
    )


@entry_of.register
def _(source: AnalysisResult) -> Entry:
    total = source.yields
    limits = _limits(source)
    region = Region("aggregate", source.merge.cuts, int(total.observed), total.background, total.processes)
    point = Point(
        source.signal.model,
        source.signal.parameters,
        (total.signal,),
        (total.signal_error,),
        source.signal.cross_section_pb,
        limits=limits,
        expected_z=source.expected.midp.z,
        observed_z=source.observed.midp.z,
        bins=total.bins,
    )
    s = source.search
    return Entry(
        s.name,
        s.title,
        s.reference,
        s.luminosity_fb,
        s.sqrt_s_tev,
        (region,),
        (point,),
        aggregates=(total,),
        digest=s.digest,
        made_by=source.superbin,
    )


def _limits(source: AnalysisResult) -> dict[str, float]:
    """Limits on the signal strength by name; those of the aggregate bin by prior-predictive CLs, as a scan has them."""
    one_bin = source.region.limit("cls")
    full = None if source.likelihood is None else source.likelihood.quoted
    named = (("observed", "expected", one_bin), ("likelihood_observed", "likelihood_expected", full))
    found: dict[str, float | None] = {}
    for observed, expected, limit in named:
        if limit is not None:
            found |= {observed: limit.mu.observed, expected: limit.mu.median}
    return {name: value for name, value in found.items() if value is not None}


@entry_of.register
def _(source: ScanResult) -> Entry:
    points = []
    for p in source.points:
        if p.status != DONE:
            continue
        named = {"observed": (p.mu_limit, "observed"), "expected": (p.mu_limit, "median")}
        named |= {
            "likelihood_observed": (p.likelihood_limit, "observed"),
            "likelihood_expected": (p.likelihood_limit, "median"),
        }
        limits = {
            name: value
            for name, (limit, part) in named.items()
            if limit is not None and (value := getattr(limit, part)) is not None
        }
        points.append(
            Point(
                source.model,
                p.parameters,
                cross_section_pb=p.cross_section_pb,
                cross_section_error=p.cross_section_error,
                limits=limits,
                expected_z=None if p.expected is None else p.expected.z,
                observed_z=None if p.observed is None else p.observed.z,
                bins=p.bins,
            )
        )
    if not points:
        raise InputError(f"no point of the scan of {source.model} is finished; there is nothing to export")
    s = source.search
    return Entry(
        s.name,
        s.title,
        s.reference,
        s.luminosity_fb,
        s.sqrt_s_tev,
        (),
        tuple(points),
        digest=s.digest,
        made_by=source.superbin,
    )


@entry_of.register
def _(source: Bundle) -> Entry:
    search = source.search
    nothing = SignalModel("none", {}, search.name, np.zeros(search.n_bins), np.zeros(search.n_bins))
    first = source.signals[0] if source.signals else nothing
    aggregates = tuple(
        combine(search, first, [number], covariance=search.covariance) for number in search.numbers
    )
    names = _words([search.bin_name(number) for number in search.numbers])
    regions = tuple(
        Region(name, (search.bin_name(number),), int(total.observed), total.background, total.processes)
        for name, number, total in zip(names, search.numbers, aggregates, strict=True)
    )
    points = tuple(
        Point(
            s.model,
            s.parameters,
            tuple(map(float, s.yields)),
            tuple(map(float, s.errors)),
            s.cross_section_pb,
        )
        for s in source.signals
    )
    return Entry(
        search.name,
        search.title,
        search.reference,
        search.luminosity_fb,
        search.sqrt_s_tev,
        regions,
        points,
        covariance=None if search.covariance is None else search.covariance.symmetric,
        aggregates=aggregates,
        licence=search.licence,
        citation=search.citation,
        digest=search.digest,
        made_by=version("superbin"),
        bundle=source,
    )


def with_likelihood_limits(entry: Entry, scan: ScanResult) -> Entry:
    """An entry whose points have the limits of the full likelihood that a scan found at the same masses.

    Raises
    ------
    InputError
        If the scan has none at any of them.
    """
    known = {
        (scan.model, tuple(p.parameters.values())): p.likelihood_limit
        for p in scan.points
        if p.likelihood_limit is not None
    }
    points, found = [], 0
    for point in entry.points:
        limit = known.get((point.model, tuple(point.parameters.values())))
        if limit is None:
            points.append(point)
            continue
        named = {"likelihood_observed": limit.observed, "likelihood_expected": limit.median}
        limits = {name: value for name, value in named.items() if value is not None}
        points.append(replace(point, limits=dict(point.limits or {}) | limits))
        found += 1
    if not found:
        raise InputError(
            f"the scan of {scan.model} has limits of the full likelihood at none of the {counted(len(entry.points), 'point')}; make them with: "
            "superbin scan --likelihood-limit"
        )
    return replace(entry, points=tuple(points))


def _words(names: list[str]) -> list[str]:
    """Names as plain words, all different."""
    made: list[str] = []
    for i, name in enumerate(names):
        word = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name).strip("_")
        if not word or word in made or not word[0].isalpha():
            word = f"SR{i + 1}" if f"SR{i + 1}" not in made else f"SR{i + 1}_"
        made.append(word)
    return made
