"""Exact distribution of the count under signal plus an uncertain background.

The count is ``N = N_s + N_b`` with ``N_s ~ Poisson(s)`` and ``N_b ~ Poisson(mu)``, the background mean ``mu`` distributed as an
uncertainty model says (`superbin.stats.models`): `pmf` P(N = n), `cdf` P(N <= n), `log_cdf` where that underflows, `quantile` the
smallest count that ``N`` does not exceed with a given probability. Limits and expected results are made of these.

Without signal ``P(N_b <= j)`` is one minus the p-value of j + 1 (`superbin.stats.exact`), for any j. With a signal it is a sum of positive
terms over the signal's count,

    P(N <= n) = sum_k P(N_s = k) P(N_b <= n - k),

whose second factors do not depend on the signal: one table serves all signals (`Sums`), and an uncertain signal, whose
``P(N_s = k)`` is an average. Above `MOST_TERMS` events, and for counts that are not whole, the sum is replaced by an integral over
the background mean (`superbin.stats.integration`), of an uncertain signal by an integral over the signal's mean (`Thresholds`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from superbin.errors import InputError
from superbin.stats import exact, poisson
from superbin.stats.arguments import (
    FloatArray,
    FloatOrArray,
    Index,
    Numbers,
    checked_probability,
    checked_signal,
    checked_yields,
    plain,
)
from superbin.stats.integration import log_integral, narrowed
from superbin.stats.models import DEFAULT, ModelName, UncertaintyModel, uncertainty
from superbin.stats.poisson import log_equal

__all__ = [
    "BANDS",
    "SIGMAS",
    "Background",
    "Sums",
    "Thresholds",
    "cdf",
    "log_cdf",
    "log_cdf_of",
    "pieces",
    "pmf",
    "quantile",
    "quantiles_of",
    "summable",
    "sums",
    "uncertain_log_cdf_of",
]

SIGMAS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Where expected results are given: the median, and the edges of the bands of one and two standard deviations."""

BANDS = tuple(special.ndtr(SIGMAS).tolist())
"""The probabilities up to there: 0.023, 0.159, 0.5, 0.841 and 0.977."""

MOST_TERMS = 4096
"""Counts up to which the sum over the signal's counts is taken; beyond, an integral takes fewer steps."""

DEGREE, RESOLVED, MOST_LEVELS = 24, 1e-12, 80
"""Terms of a polynomial, the size of its last ones at which it is trusted, and halvings."""

FALL = 80.0
"""Logarithm below which a part of an average is negligible, whatever the confidence level."""

SIGNAL_STEPS = np.arange(-15.0, 10.0, 1.5)
"""Standard deviations of an uncertain signal between which its distribution is smooth for a rule of 16 nodes."""

_X, _W = np.polynomial.legendre.leggauss(16)
GAUSS = np.stack([0.5 * (_X + 1), 0.5 * _W])
_CHEBYSHEV = np.linalg.inv(
    np.polynomial.chebyshev.chebvander(np.polynomial.chebyshev.chebpts1(DEGREE), DEGREE - 1)
)

LARGEST_QUANTILE = 1e100
"""Counts beyond are out of reach."""

MOST_STEPS = 400
"""Doublings and halvings that reach any count up to there."""

DEPTH = 40.0
"""Logarithm below which a part of the average is negligible."""

ROUNDING = 3e-15

CHUNK = 4096
"""Rows at a time, so that memory stays bounded."""

UNDERFLOW = 1e-280
FRACTION_TERMS = 60
LOWEST_SHIFT, HIGHEST_SHIFT = -13.0, 9.0
"""Standard deviations of the signal uncertainty that are summed over; a probability of 1e-38 is left out."""

MOST_DEPTH = 300.0
"""Logarithm of a probability down to which the average over an uncertain signal keeps its digits."""

MOST_CELLS = 2_000_000
"""Terms in memory at a time."""

_LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)

Derivatives: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]
"""A function, its slope and its curvature."""

_Kernel: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]


def cdf(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal: Numbers = 0.0,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Probability of at most `n` events, P(N <= n).

    Parameters
    ----------
    n : array_like
        Count, real and >= 0. For real `n` it is P(Gamma_{n+1} > signal + mu), which is P(N <= n) at integers.
    b, up, down : array_like
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    signal : array_like
        Expected signal, in events.
    model : str
        Name of the uncertainty model.

    Returns
    -------
    float or ndarray
        In the broadcast shape; relative error below 1e-9 for n to 1e10, and 1e-14 sqrt(n) beyond: the rounding of n itself.

    Raises
    ------
    InputError
        For NaN, infinite, negative or too large values, ``down > b``, or shapes that do not broadcast.
    UnknownNameError
        For an unknown model.

    Examples
    --------
    >>> f"{cdf(30, 25, 5, 5):.4f} {cdf(30, 25, 5, 5, signal=15):.4f}"
    '0.7857 0.1120'
    """
    return plain(np.exp(_log_cdf(n, b, up, down, signal, model)))


def log_cdf(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal: Numbers = 0.0,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Natural logarithm of `cdf`, also where that underflows.

    Examples
    --------
    >>> f"{log_cdf(0, 3, 0, 0, signal=1000):.1f}"
    '-1003.0'
    """
    return plain(_log_cdf(n, b, up, down, signal, model))


def pmf(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal: Numbers = 0.0,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Probability of exactly `n` events, P(N = n); for real `n` with the Gamma function for the factorial.

    Arguments, result and errors as in `cdf`.

    Examples
    --------
    >>> f"{pmf(0, 3, 0, 0):.4f}"  # exp(-3)
    '0.0498'
    """
    shape, held, count, s = _prepared(n, b, up, down, signal, model)
    return plain(np.exp(_log_average(log_equal, held, count, s)).reshape(shape))


def quantile(
    probability: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal: Numbers = 0.0,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Smallest whole count `n` with ``cdf(n) >= probability``.

    Parameters
    ----------
    probability : array_like
        Strictly between 0 and 1.

    Returns
    -------
    float or ndarray
        Whole numbers; above 9e15 events the nearest of float64.

    Raises
    ------
    InputError
        As `cdf`, and for a quantile above 1e100 events.

    Examples
    --------
    >>> quantile([0.16, 0.5, 0.84], 25, 5, 5).tolist()
    [18.0, 25.0, 32.0]
    """
    level = checked_probability("probability", probability)
    one_background = (
        all(np.ndim(part) == 0 for part in (b, up, down)) and np.ndim(signal) == 0 and signal == 0
    )
    zero, *yields = checked_yields(np.zeros(level.shape), b, up, down, name="probability")
    if one_background and level.size > 1:
        # One table of the count answers all.
        alone = Background(uncertainty(model, *(a.ravel()[:1] for a in yields)))
        return plain(alone.quantile(level.ravel()).reshape(level.shape))
    strength = checked_signal(signal, zero.shape)
    level, strength, *yields = np.broadcast_arrays(level, strength, *yields)
    held = uncertainty(model, *(a.ravel() for a in yields))
    return plain(quantiles_of(held, level.ravel(), strength.ravel()).reshape(level.shape))


def quantiles_of(held: UncertaintyModel, p: FloatArray, s: FloatArray) -> FloatArray:
    """`quantile` of checked 1-D arguments of one length."""
    target = np.log(p)

    def reached(i: Index, n: FloatArray) -> npt.NDArray[np.bool_]:
        return np.asarray(log_cdf_of(held.take(i), n, s[i]) >= target[i])

    low, high = np.full(p.shape, -1.0), np.ceil(held.centre() + s + 1)
    i = np.flatnonzero(~reached(np.arange(p.size), high))
    for _ in range(MOST_STEPS):
        if not i.size:
            break
        low[i], high[i] = high[i], 2 * high[i] + 1
        if (high[i] > LARGEST_QUANTILE).any():
            raise InputError(
                f"a quantile of the count exceeds {LARGEST_QUANTILE:g} events; give a smaller uncertainty or probability"
            )
        i = i[~reached(i, high[i])]
    for _ in range(MOST_STEPS):
        i = np.flatnonzero(high - low > np.maximum(1.0, 2 * np.spacing(high)))
        if not i.size:
            break
        middle = np.floor(0.5 * (low[i] + high[i]))
        enough = reached(i, middle)
        high[i], low[i] = np.where(enough, middle, high[i]), np.where(enough, low[i], middle)
    return high


def _prepared(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, signal: Numbers, model: str
) -> tuple[tuple[int, ...], UncertaintyModel, FloatArray, FloatArray]:
    yields = checked_yields(n, b, up, down)
    s, *arrays = np.broadcast_arrays(checked_signal(signal, yields[0].shape), *yields)
    count, *flat = (a.ravel() for a in arrays)
    return s.shape, uncertainty(model, *flat), count, s.ravel()


def _log_cdf(n: Numbers, b: Numbers, up: Numbers, down: Numbers, signal: Numbers, model: str) -> FloatArray:
    shape, held, count, s = _prepared(n, b, up, down, signal, model)
    return log_cdf_of(held, count, s).reshape(shape)


# --- the count of the background alone ---------------------------------------------------------------------------


class Background:
    """Tabulated distribution of the count of one background without signal.

    Parameters
    ----------
    held : UncertaintyModel
        One row.

    Examples
    --------
    >>> alone = Background(uncertainty("none", *np.array([[3.0], [0.0], [0.0]])))
    >>> alone.quantile(np.array([0.5, 0.9])).tolist()
    [3.0, 5.0]
    """

    def __init__(self, held: UncertaintyModel) -> None:
        self.held = held
        self.table: FloatArray = np.zeros(0)

    def log_at_most(self, top: int) -> FloatArray:
        """``ln P(N_b <= j)`` for j from 0 to `top`."""
        first = self.table.size
        if top >= first:
            j = np.arange(first, top + 1, dtype=np.float64)
            self.table = np.append(self.table, background_log_cdf(_repeated(self.held, j.size), j))
        return self.table[: top + 1]

    def quantile(self, p: FloatArray) -> FloatArray:
        """Smallest whole counts that are not exceeded with the probabilities `p`."""
        target = np.log(p)
        sign, centre = np.ones(1), float(self.held.centre()[0])
        high = float(self.held.mean_beside(sign, self.held.reach(1.0, np.full(1, 2.0)))[0])  # two sigma up
        guess = centre + np.hypot(high - centre, 2.0 * np.sqrt(centre)) + 2
        if not guess < MOST_TERMS:
            return quantiles_of(_repeated(self.held, p.size), p, np.zeros(p.shape))
        top = max(int(guess), self.table.size - 1)
        while (table := self.log_at_most(top))[-1] < target.max():
            top = 2 * top + 1
            if top > MOST_TERMS:
                return quantiles_of(_repeated(self.held, p.size), p, np.zeros(p.shape))
        return np.searchsorted(table, target).astype(np.float64)


def _repeated(held: UncertaintyModel, rows: int) -> UncertaintyModel:
    return held.take(np.zeros(rows, dtype=np.intp))


def background_log_cdf(held: UncertaintyModel, n: FloatArray) -> FloatArray:
    """``ln P(N_b <= n)``, n real, from minus one on: what one p-value leaves."""
    return exact.log_p_values(held, n + 1, mid=False)[1]


# --- with a signal: sums -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sums:
    """``P(N <= n)`` of several counts as functions of the signal, for whole n up to `MOST_TERMS`.

    Attributes
    ----------
    terms : FloatArray
        ``ln [P(N_b <= n - k)/k!]``, shape (rows, largest n + 1).
    powers : FloatArray
        1, k and k^2 for k from 0 to the largest n, shape (largest n + 1, 3).
    alone : FloatArray
        ``ln P(N_b <= n)``.
    width : FloatArray
        Logarithmic width of the signal of each row, ``ln(1 + x)``.
    """

    terms: FloatArray
    powers: FloatArray
    alone: FloatArray
    width: FloatArray

    @classmethod
    def of(cls, n: FloatArray, tables: list[FloatArray], width: FloatArray) -> "Sums":
        """Rows from their counts and the tables ``ln P(N_b <= j)``, one per row, at least to their n."""
        top = int(n.max(initial=0))
        k = np.arange(top + 1.0)
        terms = np.full((n.size, top + 1), -np.inf)
        for row, (count, table) in enumerate(zip(n.astype(int), tables, strict=True)):
            terms[row, : count + 1] = (
                table[count::-1] if count + 1 == table.size else table[: count + 1][::-1]
            )
        alone = terms[:, 0].copy()
        terms -= special.gammaln(k + 1)
        return cls(terms, np.stack([np.ones_like(k), k, k * k], axis=1), alone, width)

    @property
    def k(self) -> FloatArray:
        """Counts of the signal: 0, 1, ..., largest n."""
        return self.powers[:, 1]

    def take(self, index: Index) -> "Sums":
        """Select rows."""
        return Sums(self.terms[index], self.powers, self.alone[index], self.width[index])

    def start(self, fall: FloatArray) -> FloatArray:
        """Where ``ln CLs`` has fallen by `fall`, nearly, in ln s: from its slope and curvature at s = 0."""
        n = np.count_nonzero(np.isfinite(self.terms), axis=1) - 1.0
        lower = self.terms[:, 1:3] + special.gammaln(self.k[1:3] + 1) - self.alone[:, None]
        ratios = np.zeros((n.size, 2))
        ratios[:, : lower.shape[1]] = np.exp(lower)
        slope = 1 - ratios[:, 0]
        curvature = np.maximum(slope * slope - (ratios[:, 1] - 2 * ratios[:, 0] + 1), 0.0)
        s = 2 * fall / (slope + np.sqrt(slope * slope + 2 * curvature * fall) + 1e-300)
        return np.asarray(np.log(np.minimum(s, n + 2 * np.sqrt(n) + fall)))

    def log_cls(self, log_s: FloatArray, depth: float = 3.0) -> Derivatives:
        """``ln [P(N <= n | s)/P(N <= n | 0)]`` at one ``ln s`` a row, and two derivatives in ``ln s``; an average is good down to ``e^-depth``."""
        if not self.width.any():
            return self._sharp(self.terms, self.alone, log_s)
        found = np.empty((3, log_s.size))
        sharp = np.flatnonzero(self.width == 0)
        found[:, sharp] = self._sharp(self.terms[sharp], self.alone[sharp], log_s[sharp])
        uncertain = np.flatnonzero(self.width > 0)
        step = _step(float(self.width.max()), float(self.k[-1]), depth)
        shifts = np.arange(LOWEST_SHIFT, HIGHEST_SHIFT, step)
        at_once = max(1, MOST_CELLS // (self.k.size * shifts.size))
        for first in range(0, uncertain.size, at_once):
            i = uncertain[first : first + at_once]
            found[:, i] = self._averaged(i, log_s[i], shifts)
        return found[0], found[1], found[2]

    def _sharp(self, terms: FloatArray, alone: FloatArray, log_s: FloatArray) -> Derivatives:
        """Of a known signal: its count has, given ``N <= n``, the mean and the variance that make the derivatives."""
        height = self.k * log_s[..., None]
        height += terms
        top = height.max(axis=-1)
        height -= top[..., None]
        np.exp(height, out=height)
        sums = height @ self.powers
        total, first, second = sums[..., 0], sums[..., 1] / sums[..., 0], sums[..., 2]
        with np.errstate(over="ignore"):
            s = np.exp(log_s)
        return top + np.log(total) - s - alone, first - s, second / total - first * first - s

    def _averaged(self, i: Index, log_s: FloatArray, shifts: FloatArray) -> Derivatives:
        """The trapezoidal rule in the signal's nuisance: of a smooth function on the whole line it converges exponentially."""
        here = log_s[:, None] + self.width[i, None] * shifts
        value, slope, bend = self._sharp(self.terms[i, None, :], self.alone[i, None], here)
        weight = -0.5 * shifts * shifts
        value += weight - special.logsumexp(weight)
        top = value.max(axis=1)
        share = np.exp(value - top[:, None])
        total = share.sum(axis=1)
        share /= total[:, None]
        first = (share * slope).sum(axis=1)
        return top + np.log(total), first, (share * (slope * slope + bend)).sum(axis=1) - first * first


def _step(width: float, n: float, depth: float) -> float:
    """Step of the signal's nuisance at which the trapezoidal rule errs by less than ``e^-(30 + depth)`` (`docs/explanation/pvalues.md`)."""
    digits = 30 + depth
    poisson_scale = 1 / math.sqrt(1 + width * width * (n + 1))
    return min(0.5, math.pi**2 / (width * digits), 2 * math.pi * poisson_scale / math.sqrt(2 * digits))


def sums(held: UncertaintyModel, n: FloatArray, width: FloatArray) -> Sums:
    """The sums of rows of whole n up to `MOST_TERMS`; each has its own background."""
    size = n.astype(np.intp) + 1
    row = np.repeat(np.arange(n.size), size)
    j = np.arange(row.size) - np.repeat(np.cumsum(size) - size, size)
    flat = background_log_cdf(held.take(row), j.astype(np.float64))
    return Sums.of(n, np.split(flat, np.cumsum(size)[:-1]), width)


def summable(n: FloatArray) -> npt.NDArray[np.bool_]:
    """Counts whose distribution with a signal is a sum."""
    return np.asarray((n <= MOST_TERMS) & (n == np.floor(n)))


def log_cdf_of(held: UncertaintyModel, n: FloatArray, s: FloatArray) -> FloatArray:
    """`log_cdf` of checked 1-D arguments of one length."""
    return uncertain_log_cdf_of(held, n, s, np.zeros(n.shape))


def uncertain_log_cdf_of(
    held: UncertaintyModel, n: FloatArray, s: FloatArray, width: FloatArray
) -> FloatArray:
    """``ln P(N <= n)``, averaged over signals ``s e^(width y)`` with a standard normal y, too."""
    result = np.empty(n.shape)
    none = s == 0
    few = summable(n) & ~none
    i = np.flatnonzero(none)
    if i.size:
        result[i] = background_log_cdf(held.take(i), n[i])
    for i in pieces(np.flatnonzero(few), n):
        part = sums(held.take(i), n[i], width[i])
        log_cls = part.log_cls(np.log(s[i]))[0]
        depth = float(-log_cls.min(initial=0.0))
        if depth > 3 and part.width.any():
            log_cls = part.log_cls(np.log(s[i]), min(depth, MOST_DEPTH))[0]
        result[i] = log_cls + part.alone
    sharp = width == 0
    i = np.flatnonzero(~none & ~few & sharp)
    if i.size:
        result[i] = _log_average(log_at_most, held.take(i), n[i], s[i])
    i = np.flatnonzero(~none & ~few & ~sharp)
    if i.size:
        many = Thresholds.of(held.take(i), n[i], width[i])
        result[i] = many.log_cls(np.log(s[i]))[0] + many.alone
    return result


def pieces(index: Index, n: FloatArray) -> list[Index]:
    """Rows in pieces whose terms fit into memory."""
    pieces, first, cells = [], 0, 0.0
    for last, i in enumerate(index):
        cells += n[i] + 1
        if cells > MOST_CELLS and last > first:
            pieces.append(index[first:last])
            first, cells = last, n[i] + 1
    if first < index.size:
        pieces.append(index[first:])
    return pieces


# --- with an uncertain signal, many events -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Thresholds:
    """``P(N <= n)`` of several counts as functions of an uncertain signal, for any n.

    With ``f(M) = E[Poisson(n | M + mu)]``, which does not depend on the signal, ``P(N <= n | M) = integral of f from M on``, and an average over
    signals is the integral of f times the probability of a signal up to M. ``ln f`` is tabulated once, as polynomials on panels.

    Attributes
    ----------
    panels : tuple of arrays
        Ends of the panels of each row, shape (2, panels).
    logs : tuple of arrays
        Chebyshev coefficients of ``ln f`` on them, shape (`DEGREE`, panels).
    alone : FloatArray
        ``ln P(N_b <= n)``.
    width : FloatArray
        Logarithmic width of the signal of each row, above zero.
    """

    panels: tuple[FloatArray, ...]
    logs: tuple[FloatArray, ...]
    alone: FloatArray
    width: FloatArray

    @classmethod
    def of(cls, held: UncertaintyModel, n: FloatArray, width: FloatArray) -> "Thresholds":
        """Tables of rows that have a background each."""
        tables = [_tabulated(held.take(np.array([i])), n[i]) for i in range(n.size)]
        return cls(
            tuple(p for p, _ in tables), tuple(c for _, c in tables), background_log_cdf(held, n), width
        )

    def take(self, index: Index) -> "Thresholds":
        """Select rows."""
        panels, logs = (tuple(parts[i] for i in index) for parts in (self.panels, self.logs))
        return Thresholds(panels, logs, self.alone[index], self.width[index])

    def start(self, fall: FloatArray) -> FloatArray:
        """Where ``ln CLs`` of a known signal has fallen by `fall`, nearly, in ln s."""
        result = np.empty(fall.shape)
        for row, (ends, logs) in enumerate(zip(self.panels, self.logs, strict=True)):
            edges = _gentle(ends, logs)
            x, height = _on_panels(edges[:-1], edges[1:], ends, logs)
            beyond = np.logaddexp.accumulate(height[::-1])[::-1] - self.alone[row]
            result[row] = np.log(x[min(int(np.count_nonzero(beyond > -fall[row])), x.size - 1)])
        return result

    def log_cls(self, log_s: FloatArray, depth: float = 3.0) -> Derivatives:
        """``ln [P(N <= n | s)/P(N <= n | 0)]`` at one ``ln s`` a row, and two derivatives in ``ln s``."""
        del depth
        found = np.empty((3, log_s.size))
        for row, (ends, logs) in enumerate(zip(self.panels, self.logs, strict=True)):
            k = self.width[row]
            with np.errstate(over="ignore"):
                steps = np.exp(log_s[row] + k * SIGNAL_STEPS)
            edges = np.unique(np.append(_gentle(ends, logs), np.clip(steps, ends.min(), ends.max())))
            x, height = _on_panels(edges[:-1], edges[1:], ends, logs)
            z = (np.log(x) - log_s[row]) / k
            below, density = height + special.log_ndtr(z), height - 0.5 * z * z - _LOG_ROOT_2PI
            top = below.max()
            total = np.exp(below - top).sum()
            share = np.exp(density - top) / total
            slope = -share.sum() / k
            found[:, row] = top + np.log(total) - self.alone[row], slope, -(z @ share) / k**2 - slope * slope
        return found[0], found[1], found[2]


def _tabulated(held: UncertaintyModel, n: float) -> tuple[FloatArray, FloatArray]:
    """Panels on which ``ln f`` is a polynomial, and its coefficients; what is negligible is left out."""
    nodes = np.polynomial.chebyshev.chebpts1(DEGREE)

    def log_f(m: FloatArray) -> FloatArray:
        rows = held.take(np.zeros(m.size, dtype=np.intp))
        return _log_average(log_equal, rows, np.full(m.size, n), m.ravel()).reshape(m.shape)

    most = n + np.sqrt(2 * FALL * n) + FALL
    left, right = narrowed(lambda _, m: log_f(m), np.zeros(1), np.array([most]))
    beyond = 3 * (right - left)  # f falls no slower than exponentially where it matters
    left, right = np.maximum(left - beyond, 0.0), np.minimum(right + beyond, most)
    allowed, top = max(RESOLVED, 30 * float(_noise(np.array(n)))), -np.inf
    panels, tables = [], []
    for _ in range(MOST_LEVELS):
        x = left + 0.5 * (right - left) * (nodes[:, None] + 1)
        height = log_f(x)
        top = max(top, float(height.max()))
        matters = height.max(axis=0) > top - FALL
        logs = _CHEBYSHEV @ np.where(np.isfinite(height), height, -1e300)
        smooth = np.abs(logs[-3:]).max(axis=0) <= np.maximum(allowed, 4e-16 * np.abs(logs[0]))
        smooth &= np.abs(logs[1:]).sum(axis=0) <= FALL
        smooth |= right - left <= 1e-13 * right
        panels.append(np.stack([left, right])[:, matters & smooth])
        tables.append(logs[:, matters & smooth])
        again = matters & ~smooth
        if not again.any():
            break
        middle = 0.5 * (left + right)[again]
        left, right = np.append(left[again], middle), np.append(middle, right[again])
    ends, logs = np.concatenate(panels, axis=1), np.concatenate(tables, axis=1)
    order = np.argsort(ends[0])
    return np.asarray(ends[:, order]), np.asarray(logs[:, order], dtype=np.float64)


def _gentle(ends: FloatArray, logs: FloatArray) -> FloatArray:
    """Edges that cut the panels into parts on which f falls by no more than some e^8."""
    parts = np.ceil(np.abs(logs[1:]).sum(axis=0) / 4).astype(int) + 1
    return np.unique(
        np.concatenate([np.linspace(a, b, m) for a, b, m in zip(*ends, parts, strict=True)] or [np.zeros(0)])
    )


def _on_panels(
    left: FloatArray, right: FloatArray, ends: FloatArray, logs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes between ascending edges, and ``ln f`` there with the logarithms of their weights."""
    place = np.minimum(np.searchsorted(ends[1], 0.5 * (left + right)), ends.shape[1] - 1)
    x = left[:, None] + (right - left)[:, None] * GAUSS[0]
    first, last = ends[:, place]
    unit = 2 * (x - first[:, None]) / (last - first)[:, None] - 1
    inside = (left >= first * (1 - 1e-12)) & (right <= last * (1 + 1e-12)) & (right > left)
    height: FloatArray = np.polynomial.chebyshev.chebval(unit, logs[:, place][:, :, None], tensor=False)
    height = height + np.log(np.where(inside, right - left, 1.0))[:, None] + np.log(GAUSS[1])
    keep = np.broadcast_to(inside[:, None], x.shape)
    return np.asarray(x[keep]), np.asarray(height[keep], dtype=np.float64)


# --- with a signal: integrals over the background mean -----------------------------------------------------------


def log_at_most(n: FloatArray, mean: FloatArray) -> FloatArray:
    """``ln P(N <= n)`` at a fixed mean."""
    many = (n >= poisson.UNIFORM_FROM) & (mean > 0) & (mean < 1e300)
    if not many.any():
        return _log_at_most_few(n, mean)
    result = np.empty(n.shape)
    result[many] = poisson.log_at_most_uniform(n[many], mean[many])
    result[~many] = _log_at_most_few(n[~many], mean[~many])
    return result


def _log_at_most_few(n: FloatArray, mean: FloatArray) -> FloatArray:
    p = special.gammaincc(n + 1, mean)
    with np.errstate(divide="ignore"):
        result = np.log(p)
    deep = (p < UNDERFLOW) & (mean < 1e300)
    if deep.any():
        result[deep] = _deep_at_most(n[deep], mean[deep])
    return np.asarray(result)


def _deep_at_most(n: FloatArray, mean: FloatArray) -> FloatArray:
    """``ln P(N <= n)`` far below the mean, by Legendre's continued fraction (DLMF 8.9.2), from its end."""
    base = mean - n
    fraction = np.zeros_like(n)
    for j in range(FRACTION_TERMS, 0, -1):
        fraction = j * (j - 1 - n) / (base + 2 * j - fraction)
    with np.errstate(divide="ignore"):
        return np.asarray(log_equal(n, mean) + np.log(mean) - np.log(base - fraction))


@dataclass(frozen=True, slots=True)
class _Sides:
    """One side of the prior's centre per row; the integrand at a distance from it."""

    kernel: _Kernel
    held: UncertaintyModel
    sign: FloatArray
    n: FloatArray
    s: FloatArray

    def __call__(self, index: Index, y: FloatArray) -> FloatArray:
        held = self.held.take((index, None))
        sign, n, s = (np.broadcast_to(a[index][:, None], y.shape) for a in (self.sign, self.n, self.s))
        mean = s + held.mean_beside(sign, y)
        return np.asarray(self.kernel(n, mean) + held.log_density(sign, y))


def _log_average(kernel: _Kernel, held: UncertaintyModel, n: FloatArray, s: FloatArray) -> FloatArray:
    """Logarithm of the average of ``exp(kernel(n, s + mu))`` over the background mean."""
    result = np.empty(n.shape)
    i = np.flatnonzero(held.sharp)
    if i.size:
        result[i] = kernel(n[i], s[i] + held.take(i).centre())
    smeared = np.flatnonzero(~held.sharp)
    for first in range(0, smeared.size, CHUNK):
        i = smeared[first : first + CHUNK]
        result[i] = _log_smeared(kernel, held.take(i), n[i], s[i])
    return result


def _log_smeared(kernel: _Kernel, held: UncertaintyModel, n: FloatArray, s: FloatArray) -> FloatArray:
    fall = DEPTH - kernel(n, s + held.centre())
    sign = np.repeat([1.0, -1.0], n.size)
    right = np.concatenate([held.reach(side, fall) for side in (1.0, -1.0)])
    both = np.tile(np.arange(n.size), 2)
    sides = _Sides(kernel, held.take(both), sign, n[both], s[both])
    ends = narrowed(sides, np.zeros_like(right), right)
    above, below = np.split(log_integral(sides, *ends, noise=np.tile(_noise(n), 2)), 2)
    result = np.logaddexp(above, below) - held.log_kept
    i = np.flatnonzero(held.vanishing > 0)
    if i.size:
        result[i] = np.logaddexp(result[i], np.log(held.vanishing[i]) + kernel(n[i], s[i]))
    return np.asarray(result)


def _noise(n: FloatArray) -> FloatArray:
    """Rounding of the integrand where it has not fallen below 1e-15: that of the mean, times a slope of some 8 sqrt(n)."""
    return np.asarray(ROUNDING * np.sqrt(n))
