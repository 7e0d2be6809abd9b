"""Global p-values from end to end: what was tried, the largest excess, its pseudo-experiments, the result."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri

from superbin._support.shown import counted
from superbin.chance.ensemble import Ensemble, fitted_background, split_lognormal
from superbin.chance.local import Family, family
from superbin.chance.throw import CHUNK, Climb, Reached, merge, throw_chunk
from superbin.domain.aggregate import Background
from superbin.domain.correlations import Correlations, convention, covariances
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import point_label
from superbin.errors import InputError
from superbin.likelihood import PublishedLikelihood
from superbin.likelihood.fit import single_threaded
from superbin.merge.cuts import cuts
from superbin.merge.rectangles import rectangles
from superbin.results import PValue, SearchSummary
from superbin.results.chance import ChanceResult, Excess, GlobalPValue, MaximumDistribution
from superbin.results.scan import DONE, ScanResult
from superbin.stats import log_midp
from superbin.stats.toys import binomial_error, gather, numbers_of_toys, run_chunks, whole

__all__ = ["DEFAULT_TOYS", "of_rectangles", "of_scan", "of_sets"]

BoolArray = NDArray[np.bool_]
Progress = Callable[[int, int], None]
"""Called with the pseudo-experiments done so far and of those asked for."""

DEFAULT_TOYS = 100_000

_LADDER = np.arange(1.0, 5.01, 0.25)
"""Significances at which the distribution of the largest one is recorded, beside that of the data."""

_log = logging.getLogger(__name__)


def of_rectangles(
    search: Search,
    *,
    correlations: Correlations = None,
    likelihood: PublishedLikelihood | None = None,
    toys: int = DEFAULT_TOYS,
    seed: int = 0,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> ChanceResult:
    """Global p-value of the most significant rectangle of a search.

    Parameters
    ----------
    search : Search
        Tried are all sets of its bins that one range per observable selects exactly.
    correlations : str, Covariance or array_like, optional
        As in `superbin.analyze`, for the local significances and the pseudo-experiments alike, which are drawn from bins
        correlated in this way.
    likelihood : PublishedLikelihood, optional
        That of the search (`superbin.catalog.Catalog.likelihood`). Where the correlations are ``"likelihood"``, pseudo-experiments are
        drawn from it, as fitted to its control regions, in place of from the covariance.
    toys : int
        Pseudo-experiments, 1 to 1e12.
    seed : int
        Their seed, >= 0.
    workers : int
        Threads; the answer does not depend on it.
    on_progress : callable, optional
        Called with the numbers of pseudo-experiments done and asked for.

    Returns
    -------
    ChanceResult
        After a keyboard interrupt, of the toys so far, marked as interrupted.

    Raises
    ------
    InputError
        If an option is outside its domain, or the data cannot come from background at all.
    KeyboardInterrupt
        When interrupted before the first chunk was complete.
    """
    found = rectangles(search)
    words = (
        f"all {len(found)} distinct sets of the {counted(search.n_bins, 'bin')} that one range in each of "
        f"{', '.join(o.name for o in search.observables)} selects exactly"
    )
    task = _Task(search, found.sets, words, correlations, likelihood)
    return _global(task, _Throwing(toys, seed, workers, on_progress))


def of_scan(
    search: Search,
    scan: ScanResult,
    *,
    likelihood: PublishedLikelihood | None = None,
    toys: int = DEFAULT_TOYS,
    seed: int = 0,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> ChanceResult:
    """Global p-value of the most significant point of a scan.

    Parameters
    ----------
    search : Search
        The one that was scanned.
    scan : ScanResult
        Tried are the aggregate bins of its finished points, which were chosen from expectations alone. Its option
        ``correlations`` is used.
    likelihood, toys, seed, workers, on_progress
        As in `of_rectangles`.

    Raises
    ------
    InputError
        If the scan is of another search, or has no finished point; else as `of_rectangles`.
    """
    if scan.search.digest != search.digest:
        raise InputError(
            f"the scan is of {scan.search.name!r} as it was with digest {scan.search.digest[:12]}; this "
            f"{search.name!r} has {search.digest[:12]}; scan it again"
        )
    done = [point for point in scan.points if point.status == DONE and point.bins]
    if not done:
        raise InputError(
            f"none of the {counted(len(scan.points), 'point')} of the scan is finished; there is nothing to test"
        )
    chosen: dict[tuple[int, ...], list[str]] = {}
    for point in done:
        chosen.setdefault(point.bins, []).append(point_label(scan.model, point.parameters.values()))
    words = f"the {len(chosen)} distinct aggregate bins of {len(done)} {scan.model} points, each chosen from expectations"
    correlations = scan.options.get("correlations")
    task = _Task(
        search,
        _sets(search, chosen),
        words,
        None if correlations is None else str(correlations),
        likelihood,
        tuple(tuple(labels) for labels in chosen.values()),
    )
    return _global(task, _Throwing(toys, seed, workers, on_progress))


def of_sets(
    search: Search,
    sets: Iterable[Sequence[int]],
    *,
    correlations: Correlations = None,
    likelihood: PublishedLikelihood | None = None,
    toys: int = DEFAULT_TOYS,
    seed: int = 0,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> ChanceResult:
    """Global p-value of the most significant of some aggregate bins.

    Parameters
    ----------
    search : Search
    sets : iterable of sequence of int
        Published 1-based numbers of each one's bins; repeats count once.
    correlations, likelihood, toys, seed, workers, on_progress
        As in `of_rectangles`.

    Raises
    ------
    InputError
        If there is no set, or a number names no bin; else as `of_rectangles`.
    """
    chosen = dict.fromkeys(tuple(sorted(set(bins))) for bins in sets)
    if not chosen:
        raise InputError("there is no set of bins to test; give at least one")
    words = f"{counted(len(chosen), 'given set')} of bins"
    task = _Task(search, _sets(search, chosen), words, correlations, likelihood)
    return _global(task, _Throwing(toys, seed, workers, on_progress))


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What is tested: distinct sets of bins, and the signals that chose each."""

    search: Search
    sets: BoolArray
    words: str
    correlations: Correlations
    likelihood: PublishedLikelihood | None
    models: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class _Throwing:
    """How many pseudo-experiments, and how."""

    toys: int
    seed: int
    workers: int
    on_progress: Progress | None


def _sets(search: Search, chosen: Iterable[tuple[int, ...]]) -> BoolArray:
    rows = [search.indices(bins) for bins in chosen]
    sets = np.zeros((len(rows), search.n_bins), dtype=bool)
    for row, bins in zip(sets, rows, strict=True):
        row[list(bins)] = True
    return sets


def _global(task: _Task, how: _Throwing) -> ChanceResult:
    # Numbers are checked before anything takes time.
    numbers_of_toys(how.toys, CHUNK, how.workers)
    whole("seed", how.seed, 0, None)
    search = task.search
    covariance = covariances(search, task.correlations)[0]
    tried = family(search, task.sets, covariance)
    row, z = _largest(tried, search)
    ladder = np.unique(np.append(_LADDER, z))
    _log.info("finding the counts at which %d aggregates reach %d significances", len(tried), ladder.size)
    expected = np.sum([p.estimate.nominal for p in search.processes], axis=0)
    climb = Climb.prepare(tried, expected, ladder)
    ensemble = _ensemble(task, covariance)
    thrown, interrupted = _thrown(climb, ensemble, how)
    hits = int(thrown.reached[np.searchsorted(ladder, z)])
    return ChanceResult(
        search=SearchSummary.of(search),
        tried=task.words,
        aggregates=len(tried),
        ensemble=ensemble.words,
        options={"correlations": convention(covariance)},
        excess=_excess(task, tried, row, z),
        chance=_chance(thrown.toys, hits, how.seed, interrupted=interrupted),
        maximum=MaximumDistribution(tuple(ladder.tolist()), tuple(thrown.reached.tolist())),
        superbin=version("superbin"),
    )


def _largest(tried: Family, search: Search) -> tuple[int, float]:
    """The most significant aggregate in the data, and its Z."""
    z = tried.significance(tried.sets.astype(np.float64) @ search.observed)
    row = int(z.argmax())
    if not np.isfinite(z[row]):
        bins = ", ".join(str(i + 1) for i in np.flatnonzero(tried.sets[row])[:5])
        raise InputError(
            f"bins {bins} of {search.name!r} hold events where no background is expected at all; every chance is zero, "
            "give their background an uncertainty"
        )
    return row, float(z[row]) + 0.0


def _ensemble(task: _Task, covariance: Covariance | None) -> Ensemble:
    if task.likelihood is not None and covariance is not None and covariance.source == "likelihood":
        return fitted_background(task.likelihood)
    return split_lognormal(task.search, covariance)


def _thrown(climb: Climb, ensemble: Ensemble, how: _Throwing) -> tuple[Reached, bool]:
    """Generate chunk by chunk; after an interrupt, what there is, and True."""

    def one(index: int, toys: int) -> Reached:
        return throw_chunk(climb, ensemble, index=index, toys=toys, seed=how.seed)

    def reported() -> Iterator[Reached]:
        done = 0
        for part in run_chunks(one, how.toys, CHUNK, how.workers):
            yield part
            done += part.toys
            if how.on_progress is not None:
                how.on_progress(done, how.toys)

    with single_threaded():
        return gather(reported(), merge)


def _excess(task: _Task, tried: Family, row: int, z: float) -> Excess:
    bins = tuple(int(i) + 1 for i in np.flatnonzero(tried.sets[row]))
    observed = float(task.search.observed[tried.sets[row]].sum())
    b, up, down = (float(a[row]) for a in (tried.background, tried.up, tried.down))
    return Excess(
        bins=bins,
        cuts=cuts(task.search, bins),
        models=task.models[row] if task.models else (),
        background=Background(b, up, down),
        observed=int(observed),
        local=PValue(math.exp(float(log_midp(observed, b, up, down))), z),
    )


def _chance(toys: int, hits: int, seed: int, *, interrupted: bool) -> GlobalPValue:
    return GlobalPValue(
        p=hits / toys,
        p_err=binomial_error(hits, toys),
        # C. Clopper and E. Pearson, Biometrika 26 (1934) 404: the p at which so few hits have probability 5 %.
        p_upper=1.0 if hits == toys else float(betaincinv(hits + 1, toys - hits, 0.95)),
        z=float(-ndtri(hits / toys)) + 0.0 if 0 < hits < toys else None,
        n=toys,
        hits=hits,
        seed=seed,
        interrupted=interrupted,
    )
