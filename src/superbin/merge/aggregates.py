r"""A few exclusive regions that stand for all bins of a search, for many signals at once.

Merging loses what the bins tell apart. What is left is measured by the expected limit of *all* regions together, with the
covariance of their backgrounds: the median 95 % CLs limit on the strength is where ``q(mu) = 1.96^2``, q being the profile
likelihood ratio of Poisson counts whose expectations have a multivariate normal constraint, on the Asimov data of background
alone (G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554). It does not depend on the size of a signal
but on its shape over the bins.

`design_regions` starts from the bins, and again and again merges the two regions, or leaves out the one, whose loss of Fisher
information ``s' (C + diag b)^{-1} s`` costs the signals least; what it ends with is improved by simulated annealing and by
moving single bins, under the limit itself. That is no proof. `merged_bundle` makes the regions a search.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.aggregate import bin_sums, combine, sum_error
from superbin.domain.bundle import Bundle
from superbin.domain.covariance import Covariance
from superbin.domain.search import Estimate, Process, Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.merge.exclusion import THRESHOLD
from superbin.merge.problem import BoolArray

__all__ = ["RegionDesign", "combined_limits", "design_regions", "merged_bundle"]

_STEPS = 60
_NEWTON = 40
_TOLERANCE = 1e-9

_ROUNDS = 40
_TRIED = 24
"""Moves of single bins at most, and how many of the best by information are judged by the limit for each."""

_GAIN = 1e-5

_COOLING = 6_000
_HEAT = 0.006
_ALONE = 0.6
"""Steps of simulated annealing, the loss that is accepted freely at its start, and the part of steps that move one bin alone."""

_MEDIAN, _LEAST = 0.67, 1e-6
"""Median of the absolute value of a unit normal, and the fewest events that a bin expects."""

_NUMBERS = 1 << 21
"""Numbers in the matrices that are solved together."""

_FEW = 60
"""Signals, spread over all, that single moves are judged by."""

_LARGEST = 600
"""Bins up to which regions are designed: every step inverts a matrix of them for each pair of regions."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionDesign:
    """Some exclusive regions and what they lose.

    Attributes
    ----------
    regions : tuple of tuple of int
        Published numbers of the bins of every region; no bin is in two, and some may be in none.
    labels : tuple of str
        The signals.
    limits, bin_limits : ndarray, shape (n_signals,)
        Expected limits on the strength, of all regions together and of all bins together.
    """

    regions: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...]
    limits: FloatArray
    bin_limits: FloatArray

    @property
    def losses(self) -> FloatArray:
        """Per signal, by how much the limit of the regions is above that of the bins, relative to the former."""
        return 1 - self.bin_limits / self.limits

    @property
    def mean_loss(self) -> float:
        """Over the signals."""
        return float(self.losses.mean())

    @property
    def worst_loss(self) -> float:
        """Over the signals."""
        return float(self.losses.max())


def combined_limits(signals: FloatArray, background: FloatArray, covariance: FloatArray) -> FloatArray:
    """Median expected 95 % CLs limits on the strengths, asymptotic, of several counts together.

    Parameters
    ----------
    signals : ndarray, shape (n_signals, n_counts)
        Expected events; without any the limit is infinite.
    background : ndarray, shape (n_counts,)
        Expected events, > 0.
    covariance : ndarray, shape (n_counts, n_counts)
        Of the backgrounds, events squared.

    Returns
    -------
    ndarray, shape (n_signals,)
    """
    found = np.full(len(signals), np.inf)
    information = _information(signals, covariance + np.diag(background))
    some = np.flatnonzero(information > 0)
    step = max(1, _NUMBERS // max(covariance.size, 1))
    for i in range(0, some.size, step):
        rows = some[i : i + step]
        start = np.sqrt(THRESHOLD / information[rows])
        found[rows] = _limits(signals[rows], background, covariance, start)
    return found


def _limits(s: FloatArray, b: FloatArray, covariance: FloatArray, start: FloatArray) -> FloatArray:
    mu, shift = start.copy(), np.zeros_like(s)
    # q is convex in mu and zero at zero: from where it is too large, Newton comes down to the limit.
    for _ in range(_STEPS):
        q, slope, shift = _test(mu[:, None] * s, s, b, covariance, shift)
        step = (q - THRESHOLD) / slope
        mu = np.maximum(mu - step, mu / 4)
        if (np.abs(step) <= _TOLERANCE * mu).all():
            break
    return mu


def _test(
    s: FloatArray, direction: FloatArray, b: FloatArray, covariance: FloatArray, shift: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Q of signals on the Asimov data of background alone, its derivatives, and the fitted shifts of the background.

    A shift t solves ``t + C (1 - b / (b + s + t)) = 0``.
    """
    t = np.maximum(shift, -0.9 * (b + s))
    for _ in range(_NEWTON):
        m = b + s + t
        residual = t + (1 - b / m) @ covariance
        jacobian = np.eye(b.size) + covariance * (b / m**2)[:, None, :]
        step = np.linalg.solve(jacobian, residual[:, :, None])[:, :, 0]
        # Expectations stay positive.
        room = np.where(step > 0, 0.9 * m / np.where(step > 0, step, 1.0), 1.0)
        t = t - np.minimum(room.min(axis=1), 1.0)[:, None] * step
        if (np.abs(step) <= _TOLERANCE * (1 + np.abs(t))).all():
            break
    m = b + s + t
    pull = 1 - b / m
    q = 2 * (m - b - b * np.log(m / b)).sum(axis=1) + np.einsum("ij,ij->i", pull @ covariance, pull)
    return q, 2 * np.einsum("ij,ij->i", direction, pull), t


def design_regions(
    search: Search,
    signals: Sequence[SignalModel],
    k: int,
    *,
    covariance: Covariance | None = None,
    improve: bool = True,
) -> tuple[RegionDesign, ...]:
    """Design 1, 2, ... k exclusive regions that keep the expected limits of many signals.

    Parameters
    ----------
    search : Search
        All of its bins may be merged. A bin that expects no background counts with the median of its upward uncertainty.
    signals : sequence of SignalModel
        In its bins; those without events are left out.
    k : int
        Largest number of regions.
    covariance : Covariance, optional
        Of the bins' backgrounds; the upward side is used. By default the uncertainties of the bins are independent.
    improve : bool
        Whether single bins are moved in the end.

    Returns
    -------
    tuple of RegionDesign
        From 1 to k regions, or fewer where the search has fewer bins.

    Raises
    ------
    InputError
        If k is below 1, the search is too large or has overlapping regions, or no signal has events.
    """
    if k < 1:
        raise InputError(f"k is {k}; ask for at least 1 region")
    if search.n_bins > _LARGEST:
        raise InputError(
            f"search {search.name!r} has {counted(search.n_bins, 'bin')}; regions are designed for at most {_LARGEST}: merge bins first"
        )
    if search.combinable is not None and not search.combinable.all():
        raise InputError(f"regions of search {search.name!r} overlap; only exclusive ones can all be merged")
    kept = [signal for signal in signals if signal.yields.any()]
    if not kept:
        raise InputError("no signal has events in any bin; give signals to design regions for")
    b, matrix = _background(search, covariance)
    s = np.array([signal.yields for signal in kept])
    labels = tuple(signal.label for signal in kept)
    bin_limits = combined_limits(s, b, matrix)
    found = []
    for groups in _agglomerated(s, b, matrix, min(k, search.n_bins)):
        chosen = _moved(groups, s, b, matrix, bin_limits) if improve else groups
        limits = combined_limits(*_merged(chosen, s, b, matrix))
        numbers = sorted(tuple(int(i) + 1 for i in np.flatnonzero(group)) for group in chosen)
        found.append(RegionDesign(tuple(numbers), labels, limits, bin_limits))
    return tuple(found[::-1])


def _background(search: Search, covariance: Covariance | None) -> tuple[FloatArray, FloatArray]:
    nothing = np.zeros(search.n_bins)
    sums = bin_sums(search, SignalModel("none", {}, search.name, nothing, nothing))
    matrix = np.diag(sums.variance_up) if covariance is None else covariance.up
    # Where nothing is expected, the median of what the upward uncertainty allows; a count needs some expectation.
    width = np.sqrt(np.diag(matrix))
    return np.where(sums.background > 0, sums.background, np.maximum(_MEDIAN * width, _LEAST)), matrix


def _merged(
    groups: BoolArray, s: FloatArray, b: FloatArray, matrix: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    w = groups.astype(np.float64)
    return s @ w.T, w @ b, w @ matrix @ w.T


def _agglomerated(s: FloatArray, b: FloatArray, matrix: FloatArray, k: int) -> Iterator[BoolArray]:
    """Groups of bins, k of them, then one less and so on: rows of booleans."""
    groups = np.eye(b.size, dtype=bool)
    full = _information(s, matrix + np.diag(b))
    while True:
        if len(groups) <= k:
            yield groups
        if len(groups) == 1:
            return
        signals, background, covariance = _merged(groups, s, b, matrix)
        groups = _step(groups, signals, covariance + np.diag(background), full)


def _information(s: FloatArray, variance: FloatArray) -> FloatArray:
    found: FloatArray = np.einsum("ij,ji->i", s, np.linalg.solve(variance, s.T))
    return found


def _step(groups: BoolArray, s: FloatArray, variance: FloatArray, full: FloatArray) -> BoolArray:
    """Merge two groups, or leave one out: whichever leaves the signals most.

    With P the inverse of the variance, what a condition ``a' x = 0`` on the weights x of the groups costs is
    ``(a' P s)^2 / (a' P a)`` in the metric of P's inverse: merging i and j forces equal weights, leaving out i none.
    """
    n = len(groups)
    weights = np.linalg.solve(variance, s.T)
    before = np.einsum("ij,ji->i", s, weights)
    first, second = np.triu_indices(n, 1)
    # The best weights of a linear statistic; equal weights in i and j mean (e_i - e_j)' x = 0.
    inverse = np.linalg.inv(variance)
    difference = weights[first] - weights[second]
    length = inverse[first, first] + inverse[second, second] - 2 * inverse[first, second]
    merged = before - difference**2 / length[:, None]
    dropped = before - weights**2 / np.diag(inverse)[:, None]
    worth = np.sqrt(np.maximum(np.concatenate([merged, dropped]), 0.0) / full).mean(axis=1)
    best = int(np.argmax(worth))
    if best >= len(first):
        return np.delete(groups, best - len(first), axis=0)
    i, j = first[best], second[best]
    joined = groups[i] | groups[j]
    return np.concatenate([np.delete(groups, [i, j], axis=0), joined[None, :]])


class _Worth:
    """How much of the expected limits of the bins some groups of them keep: exactly, or nearly and fast.

    A count that expects b with a signal m tells as much of that signal's limit as one without signal and with the expectation
    ``b + 2 m / 3``, to second order in m / b: ``2 (m - b ln(1 + m/b)) = m^2 / (b + 2 m / 3 + ...)``. So the fast value is that of the
    Fisher information at the limits of the bins.
    """

    def __init__(self, s: FloatArray, b: FloatArray, matrix: FloatArray, bin_limits: FloatArray) -> None:
        self.s, self.b, self.matrix, self.bin_limits = s, b, matrix, bin_limits
        self.reached = np.where(np.isfinite(bin_limits), bin_limits, 0.0)[:, None] * s
        self.full = self._information(np.eye(b.size))

    def _information(self, w: FloatArray) -> FloatArray:
        signals, expected = self.s @ w.T, w @ self.b + (2 / 3) * (self.reached @ w.T)
        variance = np.repeat((w @ self.matrix @ w.T)[None], len(signals), axis=0)
        diagonal = np.arange(len(w))
        variance[:, diagonal, diagonal] += expected
        weights = np.linalg.solve(variance, signals[:, :, None])[:, :, 0]
        found: FloatArray = (signals * weights).sum(axis=1)
        return found

    def fast(self, groups: BoolArray) -> float:
        """Mean ratio of the limits of the bins to those of the groups, nearly."""
        kept = self._information(groups.astype(np.float64))
        return float(np.sqrt(np.maximum(kept, 0.0) / self.full).mean())

    def exact(self, groups: BoolArray) -> float:
        """The same by the limits themselves."""
        limits = combined_limits(*_merged(groups, self.s, self.b, self.matrix))
        return float((self.bin_limits / limits).mean())


def _moved(
    groups: BoolArray, s: FloatArray, b: FloatArray, matrix: FloatArray, bin_limits: FloatArray
) -> BoolArray:
    """Move and exchange single bins between groups, or in and out of all: at random while it cools, then as long as the limits gain."""
    rows = np.unique(np.linspace(0, len(s) - 1, _FEW).round().astype(int))
    worth = _Worth(s[rows], b, matrix, bin_limits[rows])
    ends = [groups, _annealed(groups, worth)]
    values = [worth.exact(end) for end in ends]
    groups, best = ends[int(np.argmax(values))], max(values)
    for _ in range(_ROUNDS):
        trials = [trial for i in range(b.size) for trial in _elsewhere(groups, i)]
        promising = sorted(trials, key=worth.fast, reverse=True)[:_TRIED]
        values = [worth.exact(trial) for trial in promising]
        row = int(np.argmax(values)) if values else 0
        if not values or values[row] <= best + _GAIN:
            break
        groups, best = promising[row], values[row]
    return groups


def _annealed(groups: BoolArray, worth: _Worth) -> BoolArray:
    """Simulated annealing by the fast value, with random numbers that are always the same."""
    rng = np.random.default_rng(len(groups))
    k, n = groups.shape
    home = np.where(groups.any(axis=0), groups.argmax(axis=0), -1)
    value = worth.fast(groups)
    best, highest = home, value
    for step in range(_COOLING):
        trial = home.copy()
        first, second = rng.integers(n, size=2)
        if rng.random() < _ALONE:
            trial[first] = rng.integers(-1, k)
        else:
            trial[first], trial[second] = home[second], home[first]
        sets = trial == np.arange(k)[:, None]
        if (trial == home).all() or not sets.any(axis=1).all():
            continue
        found = worth.fast(sets)
        heat = _HEAT * (1 - step / _COOLING) ** 2 + 1e-6
        if found > value or rng.random() < np.exp((found - value) / heat):
            home, value = trial, found
            if value > highest:
                best, highest = home, value
    annealed: BoolArray = best == np.arange(k)[:, None]
    return annealed


def _elsewhere(groups: BoolArray, i: int) -> Iterator[BoolArray]:
    """The groups with bin i in another of them, or in none."""
    home = np.flatnonzero(groups[:, i])
    for target in range(-1, len(groups)):
        if target in home or (target < 0 and not home.size):
            continue
        trial = groups.copy()
        trial[:, i] = np.arange(len(groups)) == target
        if trial.any(axis=1).all():
            yield trial


# --- the regions as a search ---------------------------------------------------------------------------------


def merged_bundle(
    search: Search,
    regions: Sequence[Iterable[int]],
    *,
    signals: Sequence[SignalModel] = (),
    covariance: Covariance | None = None,
    name: str | None = None,
    names: Sequence[str] = (),
) -> Bundle:
    """Make exclusive regions of a search a search of their own, with its signals.

    Parameters
    ----------
    search : Search
    regions : sequence of iterable of int
        Published numbers of the bins of every region; no bin in two.
    signals : sequence of SignalModel
        In the bins of `search`.
    covariance : Covariance, optional
        Of its bins' backgrounds; merged to that of the regions. By default uncertainties add in quadrature.
    name : str, optional
        By default that of the search with the number of regions.
    names : sequence of str
        Of the regions; by default ``AR1``, ``AR2``, ...

    Returns
    -------
    Bundle
        Regions without ranges; estimates, observed counts and signals are sums, with the uncertainties of `combine`.

    Raises
    ------
    InputError
        If a region is empty or names no bin, or a bin is in two regions.
    """
    rows = [list(search.indices(region)) for region in regions]
    taken = np.concatenate([np.zeros(0, dtype=int), *rows])
    if len(set(taken.tolist())) < taken.size:
        values, counts = np.unique(taken, return_counts=True)
        raise InputError(
            f"{search.bin_name(int(values[counts.argmax()]) + 1)} is in two regions; each bin may be in one"
        )
    w = np.zeros((len(rows), search.n_bins))
    for i, row in enumerate(rows):
        w[i, row] = 1.0
    title = name or f"{search.name}-{len(rows)}-regions"
    merged = Search(
        name=title,
        title=f"{search.title}, merged to {counted(len(rows), 'region')}",
        reference=search.reference,
        luminosity_fb=search.luminosity_fb,
        sqrt_s_tev=search.sqrt_s_tev,
        observables=(),
        low=np.zeros((len(rows), 0)),
        high=np.zeros((len(rows), 0)),
        processes=_processes(search, rows),
        observed=w @ search.observed,
        shared_stat=search.shared_stat,
        source=f"bins of {search.name} merged by superbin: "
        + "; ".join(
            f"{label} = {' '.join(str(i + 1) for i in row)}"
            for label, row in zip(_names(names, rows), rows, strict=True)
        ),
        names=_names(names, rows),
        covariance=None
        if covariance is None
        else Covariance(w @ covariance.up @ w.T, w @ covariance.down @ w.T, covariance.source),
        licence=search.licence,
        citation=search.citation,
    )
    return Bundle(merged, tuple(_signal(search, signal, rows, title) for signal in signals))


def _names(names: Sequence[str], rows: Sequence[Sequence[int]]) -> tuple[str, ...]:
    return tuple(names) or tuple(f"AR{i}" for i in range(1, len(rows) + 1))


def _processes(search: Search, rows: Sequence[Sequence[int]]) -> tuple[Process, ...]:
    """The processes with the sums and uncertainties of every region, as of `combine`."""
    nothing = np.zeros(search.n_bins)
    none = SignalModel("none", {}, search.name, nothing, nothing)
    merged = [combine(search, none, [i + 1 for i in row]).processes for row in rows]
    parts = ("nominal", "stat_up", "stat_down", "syst_up", "syst_down")
    return tuple(
        Process(
            process.name,
            process.label,
            Estimate(*(np.array([getattr(region[j], part) for region in merged]) for part in parts)),
        )
        for j, process in enumerate(search.processes)
    )


def _signal(search: Search, signal: SignalModel, rows: Sequence[Sequence[int]], name: str) -> SignalModel:
    def summed(values: FloatArray) -> FloatArray:
        return np.array([values[list(row)].sum() for row in rows])

    return SignalModel(
        model=signal.model,
        parameters=signal.parameters,
        search=name,
        yields=summed(signal.yields),
        errors=np.array([sum_error(search, signal, row) for row in rows]),
        source=signal.source,
        cross_section_pb=signal.cross_section_pb,
        variations={key: (summed(up), summed(down)) for key, (up, down) in signal.variations.items()},
        relative_error=signal.relative_error,
    )
