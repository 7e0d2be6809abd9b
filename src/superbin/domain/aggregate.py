"""Adding bins up: what a merged bin expects, with asymmetric uncertainties.

The CMS Mini Analysis Tool's convention is called ``none`` for the correlations it assumes between bins: up and down
uncertainties add separately, in quadrature over bins, processes and sources; within a bin the statistical
uncertainties of processes that share their events (`Search.shared_stat`) add linearly first. The variance of a
sum is therefore the sum of per-bin variances. With a `Covariance`, the total uncertainty of a set of bins is
the root of the sum over its block instead, upward and downward separately. Specified in ``specs/merging.md``.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.covariance import Covariance
from superbin.domain.search import Process, Search
from superbin.domain.signal import SignalModel
from superbin.domain.sums import Totals, variance_of_sets
from superbin.errors import InputError

__all__ = ["AggregateBin", "Background", "BinSums", "ProcessYield", "bin_sums", "combine", "sum_error"]


@dataclass(frozen=True, slots=True)
class Background:
    """Total expected background with its uncertainty, in events."""

    nominal: float
    up: float
    down: float


@dataclass(frozen=True, slots=True)
class ProcessYield:
    """One background process in a merged bin, in events.

    The statistical entries of processes that share their events are *shares*: the part of the common
    fluctuation that falls on this process, so that they add linearly to the group's uncertainty. In one bin a
    share is the published uncertainty itself. `stat_group` names that common fluctuation; for a process whose
    events are its own it is the process's name.
    """

    name: str
    label: str
    stat_group: str
    nominal: float
    stat_up: float
    stat_down: float
    syst_up: float
    syst_down: float


@dataclass(frozen=True, slots=True)
class AggregateBin:
    """Expected and observed events in a set of bins.

    Attributes
    ----------
    bins : tuple of int
        Published 1-based numbers, ascending.
    signal, signal_error : float
        Expected signal events and their Monte Carlo error.
    background : Background
        Total with its combined uncertainty.
    processes : tuple of ProcessYield
        The parts of the background.
    observed : int
        Observed events.
    """

    bins: tuple[int, ...]
    signal: float
    signal_error: float
    background: Background
    processes: tuple[ProcessYield, ...]
    observed: int


@dataclass(frozen=True, slots=True, eq=False)
class BinSums:
    """What is additive when bins merge, as arrays over the bins of a search.

    Attributes
    ----------
    signal, background : ndarray, shape (n_bins,)
        Events.
    variance_up, variance_down : ndarray, shape (n_bins,)
        Squares of the background's combined up and down uncertainties, events squared.
    combinable : ndarray of bool, shape (n_bins, n_bins), or None
        Which two bins may be in one merge; None where all may.
    """

    signal: FloatArray
    background: FloatArray
    variance_up: FloatArray
    variance_down: FloatArray
    combinable: NDArray[np.bool_] | None = None


def bin_sums(search: Search, signal: SignalModel) -> BinSums:
    """Per-bin signal, background and variances.

    Raises
    ------
    InputError
        If the signal was made for another search or another number of bins.
    """
    _check_match(search, signal)
    return BinSums(
        signal=signal.yields,
        background=np.sum([p.estimate.nominal for p in search.processes], axis=0),
        variance_up=_variance(search, "up"),
        variance_down=_variance(search, "down"),
        combinable=search.combinable,
    )


def combine(
    search: Search, signal: SignalModel, bins: Iterable[int], *, covariance: Covariance | None = None
) -> AggregateBin:
    """Merge bins into one.

    Parameters
    ----------
    search : Search
    signal : SignalModel
        A signal in the bins of `search`.
    bins : iterable of int
        Published 1-based numbers; order and repeats do not matter.
    covariance : Covariance, optional
        Of the bins of `search`; gives the total uncertainty. Those of the processes stay as published, in
        quadrature over bins.

    Returns
    -------
    AggregateBin
        Sums over the bins. The combined down uncertainty stops at the nominal: a background is not negative.

    Raises
    ------
    InputError
        If the set is empty, a number names no bin, or the signal belongs to another search.
    """
    _check_match(search, signal)
    chosen = np.array(search.indices(bins))
    nominal = np.array([sum(p.estimate.nominal[chosen].sum() for p in search.processes)])
    variances = (_total(search, side, chosen, covariance) for side in ("up", "down"))
    totals = Totals.of(signal.yields[chosen].sum(keepdims=True), nominal, *variances)
    return AggregateBin(
        bins=tuple(int(i) + 1 for i in chosen),
        signal=float(totals.signal[0]),
        signal_error=sum_error(search, signal, chosen),
        background=Background(*(float(part[0]) for part in (totals.background, totals.up, totals.down))),
        processes=tuple(_process_yield(search, process, chosen) for process in search.processes),
        observed=int(search.observed[chosen].sum()),
    )


_TAGS = "nb"
"""The observable that simulated events have probabilities of, so that one event is in several bins."""


def sum_error(search: Search, signal: SignalModel, chosen: ArrayLike) -> float:
    """Monte Carlo error of the signal in a sum of bins.

    A simulated event counts in every bin of its number of jets, HT and MHT with the probability of that number of b tags. Errors of
    bins that differ in this number alone are therefore correlated. One correlation is taken for all of them: that which gives the
    error of the sum over all bins, `SignalModel.total_error`. Without that number the bins add in quadrature.

    Parameters
    ----------
    search : Search
    signal : SignalModel
        A signal in the bins of `search`.
    chosen : array_like of int
        Positions of the bins, from 0, each once.

    Returns
    -------
    float
        Events.

    Examples
    --------
    Two bins that differ in the number of b tags, whose errors of 3 and 4 events give one of 6 for their sum, and a third bin:

    >>> from superbin.domain.search import Observable, Search
    >>> edges = {Observable("nb", "nb", discrete=True): ([0, 1, 0], [0, 1, 0]), "ht": ([300, 300, 500], [500, 500, 900])}
    >>> search = Search.from_arrays("x", observed=[0, 0, 0], background=[1, 1, 1], luminosity_fb=1, edges=edges)
    >>> signal = SignalModel("T", {}, "x", [20, 20, 20], [3, 4, 0], total_error=6)
    >>> sum_error(search, signal, [0, 1])
    6.0
    """
    errors, inside = signal.errors, np.zeros(search.n_bins, dtype=bool)
    inside[np.asarray(chosen)] = True
    square = float((errors[inside] ** 2).sum())
    names = [o.name for o in search.observables]
    if signal.total_error is None or _TAGS not in names:
        return math.sqrt(square)
    others = [i for i, name in enumerate(names) if name != _TAGS]
    _, group = np.unique(
        np.hstack((search.low[:, others], search.high[:, others])), axis=0, return_inverse=True
    )

    def together(values: FloatArray) -> float:
        """What full correlation would add to the sum of squares."""
        return float((np.bincount(group.ravel(), values) ** 2).sum() - (values**2).sum())

    full = together(errors)
    if full <= 0:
        return math.sqrt(square)
    share = min(max((signal.total_error**2 - float((errors**2).sum())) / full, 0.0), 1.0)
    return math.sqrt(square + share * together(np.where(inside, errors, 0.0)))


def _check_match(search: Search, signal: SignalModel) -> None:
    if signal.search != search.name:
        raise InputError(f"signal {signal.label} is in the bins of {signal.search!r}, not of {search.name!r}")
    if signal.yields.shape != (search.n_bins,):
        raise InputError(
            f"signal {signal.label} has {counted(signal.yields.size, 'yield')}; search {search.name!r} has {counted(search.n_bins, 'bin')}"
        )


def _groups(search: Search) -> list[tuple[str, ...]]:
    """Every process once, alone or in its group of shared statistics."""
    grouped = {name for group in search.shared_stat for name in group}
    return [*search.shared_stat, *((p.name,) for p in search.processes if p.name not in grouped)]


def _stat(search: Search, group: Iterable[str], side: str) -> FloatArray:
    """Statistical uncertainty of a group of processes in every bin, added linearly."""
    members = [p for p in search.processes if p.name in group]
    total: FloatArray = np.sum([getattr(p.estimate, f"stat_{side}") for p in members], axis=0)
    return total


def _variance(search: Search, side: str) -> FloatArray:
    stat = [_stat(search, group, side) ** 2 for group in _groups(search)]
    syst = [getattr(p.estimate, f"syst_{side}") ** 2 for p in search.processes]
    total: FloatArray = np.sum([*stat, *syst], axis=0)
    return total


def _total(search: Search, side: str, chosen: NDArray[np.intp], covariance: Covariance | None) -> FloatArray:
    every = np.ones((1, len(chosen)))
    if covariance is None:
        return variance_of_sets(every, _variance(search, side)[chosen])
    matrix: FloatArray = getattr(covariance, side)
    if len(matrix) != search.n_bins:
        raise InputError(
            f"the covariance is of {counted(len(matrix), 'bin')}; search {search.name!r} has {search.n_bins}"
        )
    block = matrix[np.ix_(chosen, chosen)]
    return variance_of_sets(every, np.diag(block), block)


def _process_yield(search: Search, process: Process, chosen: NDArray[np.intp]) -> ProcessYield:
    estimate = process.estimate
    group = next(group for group in _groups(search) if process.name in group)

    def share(side: str) -> float:
        # Projecting the process's variation on the group's unit vector over bins makes the shares add up to
        # the group's quadrature sum exactly, whatever the shapes.
        joint = _stat(search, group, side)[chosen]
        own = getattr(estimate, f"stat_{side}")[chosen]
        length = float(np.sqrt((joint**2).sum()))
        return float((own * joint).sum() / length) if length > 0 else 0.0

    return ProcessYield(
        name=process.name,
        label=process.label,
        stat_group="_".join(group),
        nominal=float(estimate.nominal[chosen].sum()),
        stat_up=share("up"),
        stat_down=share("down"),
        syst_up=float(np.sqrt((estimate.syst_up[chosen] ** 2).sum())),
        syst_down=float(np.sqrt((estimate.syst_down[chosen] ** 2).sum())),
    )
