"""Profile-likelihood p-values and CLs in the ensembles of the LHC experiments, summed instead of thrown.

The ensemble: the count ``N ~ Poisson(s + mu(theta))`` and the auxiliary measurement ``A`` of the background fluctuate around the nuisance
``theta`` that the best fit at the tested signal finds in the data [1]_. (`superbin.stats.tail` and exact CLs of `superbin.stats.limits` are
other quantities: there the background varies as its prior says.) For every count n the test statistic is monotone in the auxiliary measurement, so
what is at least as extreme as the data is a half line that begins at an edge ``a_n``, and

    P(statistic >= observed) = sum over n of  P(N = n) P(A beyond a_n).

The edges are found by Newton's method, whose derivative is that of the auxiliary term alone: the fit is at its minimum.

* `p0`: the discovery p-value, P(q0 >= observed) without signal, around the background-only fit;
* `expected_p0`: its median and bands for a signal;
* `lhc_cls`, `lhc_limit`: ``CLs = P(q~ >= observed | s)/P(q~ >= observed | 0)``, each ensemble around its own fit, with the statistic q~ of
  `superbin.stats.limits.asymptotic`, and the signal at which it is ``1 - level``;
* `expected_lhc_limits`: median and bands of the limit under background alone.

*Pre-fit* expectations take the nominal background for the data, *post-fit* ones the data themselves: ensembles and their fits are those of
`p0` and `lhc_cls`. This is what pyhf's ``ToyCalculator`` does, with toys.

.. [1] ATLAS and CMS, Procedure for the LHC Higgs boson search combination in Summer 2011, ATL-PHYS-PUB-2011-11, CMS NOTE-2011/005.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import special

from superbin.errors import InputError
from superbin.stats.arguments import FloatArray, Numbers, checked_signal, checked_yields
from superbin.stats.asymptotic import signed_q
from superbin.stats.counts import BANDS, SIGMAS, log_equal
from superbin.stats.limits.exact import exact_limit
from superbin.stats.limits.problem import Problem, prepare
from superbin.stats.models import DEFAULT, UncertaintyModel, uncertainty
from superbin.stats.profile import fit
from superbin.stats.pvalue import Probability

__all__ = ["LARGEST_COUNT", "ExpectedP0", "FitName", "expected_lhc_limits", "expected_p0", "lhc_cls", "lhc_limit", "p0"]

FitName = Literal["prefit", "postfit"]

LARGEST_COUNT = 1e12
"""Events beyond which rounding of the statistic moves the edges."""

MOST_TERMS = 6000
"""Counts that are summed one by one; of more, every k-th stands for k, which is exact but for the kink of lopsided uncertainties."""

TIE = 1e-10
"""Relative difference of the statistic's root below which an outcome is as extreme as the data."""

TOLERANCE, INNER = 1e-7, 1e-9
"""Error of CLs at a limit, and of the probabilities of its bands, in standard deviations."""

CLOSE, GOOD = 1e-12, 1e-6
"""Relative width of the bounds at which an edge is found, and last step of Newton's method: its error is of the size of the square."""

MOST_NEWTON = 8
MOST_STEPS = 100
SPAN, STEP = 6.4, 0.8
"""Range and step of the trapezoidal rule over the auxiliary measurement of the signal: 1e-9 of a p-value."""

LEAST = 1e-6
"""Root of a statistic that is as good as zero, which it is for a part of the outcomes."""

DISCOVERY_SPAN, EXCLUSION_SPAN = 40.0, 14.0
"""Standard deviations of the auxiliary measurement that are looked at: p-values to 1e-300, and CLs to 1e-25."""

_Statistic = Callable[[np.ndarray, FloatArray], tuple[FloatArray, FloatArray]]
"""Root of the statistic of some points at an auxiliary measurement each, and its derivative; zero where that is not known."""


# --- edges -------------------------------------------------------------------------------------------------------


def _edges(
    statistic: _Statistic, root: FloatArray, span: tuple[float, float], start: FloatArray, *, rising: bool
) -> FloatArray:
    """Auxiliary measurements at which the monotone roots of the statistic equal `root`, infinite where they do nowhere in the span.

    Newton's method between bounds. A step out of the span is cut at its end, where an edge that lies beyond is recognised.
    """
    first, last = span
    x = np.clip(start, first, last)
    low, high = np.full(root.size, first), np.full(root.size, last)
    move = high - low
    bounded = np.zeros((2, root.size), dtype=bool)  # whether the lower and the upper bound were looked at
    i = np.arange(root.size)
    for _ in range(MOST_STEPS):
        if not i.size:
            break
        here = x[i]
        value, slope = statistic(i, here)
        beyond = (value >= root[i]) == rising
        high[i], low[i] = np.where(beyond, here, high[i]), np.where(beyond, low[i], here)
        bounded[0, i] |= ~beyond
        bounded[1, i] |= beyond
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = (root[i] - value) / slope
            trial = here + step
        inside = (trial > low[i]) & (trial < high[i]) & (np.abs(step) <= 0.7 * move[i])
        there = (np.abs(step) <= GOOD * (1 + np.abs(here))) & (np.abs(root[i] - value) <= GOOD * root[i])
        middle = 0.5 * (low[i] + high[i])
        middle = np.where(~bounded[1, i], last, np.where(~bounded[0, i], first, middle))
        trial = np.where(there, np.clip(trial, low[i], high[i]), np.where(inside, trial, middle))
        trial = np.where((here == last) & ~beyond, np.inf, np.where((here == first) & beyond, -np.inf, trial))
        with np.errstate(invalid="ignore"):
            move[i] = np.abs(trial - here)
        x[i] = trial
        i = i[~(there | np.isinf(trial) | (high[i] - low[i] <= CLOSE * (1 + np.abs(here))))]
    return x


def _fall(
    function: Callable[[np.ndarray, FloatArray], FloatArray],
    first: FloatArray,
    second: FloatArray,
    low: FloatArray,
    high: FloatArray,
    tolerance: float,
) -> FloatArray:
    """Where falling functions, one per row and nearly straight, cross zero: secants between bounds, which close around a jump.

    The lower bound where they are below zero there already; below a jump where zero is jumped over; NaN without an answer.
    """
    least, low, high = low, low.copy(), high.copy()
    values = []
    for x in (first, second):
        value = function(np.arange(x.size), x)
        above = value >= 0
        low, high = np.where(above, np.maximum(low, x), low), np.where(above, high, np.minimum(high, x))
        values.append(value)
    before, x = first.copy(), second.copy()
    value_before, value = values
    result = np.where(np.abs(value) <= tolerance, x, np.nan)
    i = np.flatnonzero(np.isnan(result))
    for step in range(MOST_STEPS):
        if not i.size:
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            trial = x[i] - value[i] * (x[i] - before[i]) / (value[i] - value_before[i])
        inside = (trial > low[i]) & (trial < high[i])
        if step > MOST_NEWTON and step % 2:
            inside[:] = False
        middle = np.where(np.isfinite(high[i]), 0.5 * (low[i] + high[i]), 2 * np.maximum(x[i], low[i]))
        # towards a bound that was not looked at yet: look at it
        middle = np.where((low[i] == least[i]) & (trial <= low[i]) & (x[i] > low[i]), low[i], middle)
        before[i], value_before[i] = x[i], value[i]
        x[i] = np.where(inside, trial, middle)
        value[i] = function(i, x[i])
        above = value[i] >= 0
        low[i], high[i] = np.where(above, x[i], low[i]), np.where(above, high[i], x[i])
        there = np.abs(value[i]) <= tolerance
        closed = (high[i] - low[i] <= tolerance * high[i]) | ((x[i] == least[i]) & ~above)
        result[i] = np.where(there, x[i], np.where(closed, low[i], np.nan))
        i = i[np.isnan(result[i])]
    return result


def _discovery(held: UncertaintyModel, n: FloatArray) -> _Statistic:
    """Signed root of q0, which falls with the auxiliary measurement."""

    def statistic(i: np.ndarray, a: FloatArray) -> tuple[FloatArray, FloatArray]:
        nuisance, cost = held.background_only(n[i], a)
        value = np.sqrt(cost)
        sign = np.where(n[i] >= held.mean(a), 1.0, -1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(value > 0, 0.5 * held.cost_slope(nuisance, a) / value, 0.0)
        return sign * value, sign * slope

    return statistic


def _exclusion(
    held: UncertaintyModel, n: FloatArray, s: FloatArray, k: float, shift: FloatArray
) -> _Statistic:
    """Root of q~, which rises with the auxiliary measurement; continued by a line below where it is zero."""

    def statistic(i: np.ndarray, a: FloatArray) -> tuple[FloatArray, FloatArray]:
        count, signal, y = n[i], s[i], shift[i]
        favoured = held.mean(a)
        excess = count - favoured - signal * np.exp(k * y)
        above = excess > 0
        with_signal = fit(held, np.where(above, 0.0, count), signal, a, k=k, shift=y)
        q, slope = with_signal.cost, held.cost_slope(with_signal.nuisance, a)
        below = count < favoured
        if below.any():
            alone, cost = held.background_only(count, a)
            q = np.where(below, np.maximum(q - cost, 0.0), q)
            slope = np.where(below, slope - held.cost_slope(alone, a), slope)
        value = np.sqrt(q)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(value > 0, 0.5 * slope / value, 0.0)
        line = -excess / np.sqrt(np.maximum(count, 1.0))
        return np.where(above, line, value), np.where(above, 0.0, slope)

    return statistic


# --- ensembles ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """Counts that are summed, and the logarithm of how many each stands for."""

    n: FloatArray
    log_weight: float

    @classmethod
    def around(cls, *centres: float) -> "Window":
        """All counts that are not negligible around any of the centres, and between them."""
        low = min(max(0.0, np.floor(c - 10 * np.sqrt(c) - 40)) for c in centres)
        high = max(np.ceil(c + 10 * np.sqrt(c) + 30) for c in centres)
        step = max(1.0, np.ceil((high - low) / MOST_TERMS))
        return cls(np.arange(low, high + 1, step), float(np.log(step)))


def _log_sum(
    held: UncertaintyModel,
    window: Window,
    mean: FloatArray,
    nuisance: FloatArray,
    edge: FloatArray,
    weights: FloatArray,
    side: int,
) -> FloatArray:
    """``ln P`` of being beyond the edge, one per row.

    `mean`, `nuisance` of shape (rows,), `edge` (rows, shifts, counts), `weights` (rows, shifts): logarithms for the signal's auxiliary measurement.
    """
    beyond = held.log_auxiliary(edge, nuisance[:, None, None])[side]
    n, centre = np.broadcast_arrays(window.n, mean[:, None])
    chance = log_equal(n, centre) + window.log_weight
    return np.asarray(special.logsumexp(beyond + chance[:, None, :] + weights[:, :, None], axis=(1, 2)))


def _one(name: str, array: FloatArray) -> FloatArray:
    """A checked scalar in shape (1,)."""
    if array.ndim:
        raise InputError(f"one bin at a time, but {name} has shape {array.shape}; give scalars")
    if array > LARGEST_COUNT:
        raise InputError(
            f"{name} = {float(array):g} exceeds {LARGEST_COUNT:g}, the domain of sums over counts with an auxiliary measurement; "
            "use asymptotic formulas"
        )
    return array.reshape(1)


def _prepared(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, model: str
) -> tuple[FloatArray, UncertaintyModel]:
    count, *yields = (
        _one(name, a) for name, a in zip(("n", "b", "up", "down"), checked_yields(n, b, up, down), strict=True)
    )
    return count, uncertainty(model, *yields)


# --- discovery ---------------------------------------------------------------------------------------------------


def p0(n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: str = DEFAULT) -> Probability:
    """Discovery p-value of the profile likelihood in the LHC's ensemble, exact: what toys of `superbin.stats.throw_q0` estimate.

    Parameters
    ----------
    n : float
        Count, real and >= 0.
    b, up, down : float
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    model : str
        Name of the uncertainty model.

    Returns
    -------
    Probability
        P(q0 >= observed) around the background-only fit to the data, to a relative 1e-8 up to 6000 counts in the sum; p = 1 for every
        deficit, as q0 is zero there.

    Raises
    ------
    InputError
        For values outside the domain, above 1e12 events, or arrays.
    UnknownNameError
        For an unknown model.

    Examples
    --------
    >>> found = p0(40, 25, 5, 5)
    >>> f"{found.p:.5f} {found.z:.3f}"
    '0.02525 1.956'
    """
    count, held = _prepared(n, b, up, down, model)
    observed = float(signed_q(count, held.nominal(), held)[0])
    if not 0 < observed < np.inf:
        return Probability(0.0, -np.inf) if observed <= 0 else Probability(-np.inf, 0.0)
    nuisance = held.background_only(count, held.nominal())[0]
    mean = held.mean(nuisance)
    window = Window.around(float(count[0]), float(mean[0]))
    log_p, log_q = _discovery_tails(held, window, np.array([observed]), mean, nuisance)
    return Probability(float(log_p[0]), float(log_q[0]))


def _discovery_tails(
    held: UncertaintyModel, window: Window, q: FloatArray, mean: FloatArray, nuisance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """``ln P(q0 >= q)`` and ``ln P(q0 < q)`` of an ensemble, one per q > 0."""
    rows = q.size
    n = np.tile(window.n, rows)
    root = np.repeat(np.sqrt(q), window.n.size) * (1 - TIE)
    low, high = (float(end[0]) for end in held.span(nuisance, DISCOVERY_SPAN))
    start = held.inverse(np.maximum(n - root * np.sqrt(n), 0.0), np.ones(n.size))
    edge = _edges(_discovery(held, n), root, (low, high), start, rising=False)
    none = np.zeros((rows, 1))
    centre, around = np.repeat(mean, rows), np.repeat(nuisance, rows)
    p, rest = (
        _log_sum(held, window, centre, around, edge.reshape(rows, 1, -1), none, side) for side in (0, 1)
    )
    return np.minimum(p, 0.0), np.minimum(rest, 0.0)


@dataclass(frozen=True, slots=True)
class ExpectedP0:
    """Discovery p-values that a signal makes expect.

    Attributes
    ----------
    at_quantiles : tuple of five Probability
        At the values of q0 that it does not exceed, with the signal, with the probabilities that a normal variable has up to -2, -1, 0, 1
        and 2 standard deviations. p = 1 where q0 is zero.
    fit : {"prefit", "postfit"}
        Whether the ensembles are around the nominal background or around the background-only fit to the data.
    """

    at_quantiles: tuple[Probability, Probability, Probability, Probability, Probability]
    fit: FitName

    @property
    def median(self) -> Probability:
        """The median."""
        return self.at_quantiles[2]


def expected_p0(
    s: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    fitted_to: Numbers | None = None,
    model: str = DEFAULT,
) -> ExpectedP0:
    """Median and bands of `p0` under a signal.

    Both ensembles, with the signal and without, are around one nuisance: the nominal one, pre-fit, or the background-only fit to data.

    Parameters
    ----------
    s : float
        Expected signal, in events, > 0.
    b, up, down : float
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    fitted_to : float, optional
        Data, for the post-fit expectation.
    model : str
        Name of the uncertainty model.

    Raises
    ------
    InputError, UnknownNameError
        As `p0`.

    Examples
    --------
    >>> found = expected_p0(15, 25, 5, 5)
    >>> f"{found.median.z:.2f} {found.fit}"
    '1.88 prefit'
    """
    signal = float(_one("s", checked_signal(s, ()))[0])
    data, held = _prepared(b if fitted_to is None else fitted_to, b, up, down, model)
    name: FitName = "prefit" if fitted_to is None else "postfit"
    nominal = held.nominal()
    nuisance = nominal if fitted_to is None else held.background_only(data, nominal)[0]
    mean = held.mean(nuisance)
    window = Window.around(float(mean[0]), float(mean[0]) + signal)
    beta = 1 - np.array(BANDS)  # P(q0 >= q) with the signal

    def tails(root: FloatArray, centre: FloatArray) -> tuple[FloatArray, FloatArray]:
        return _discovery_tails(held, window, root * root, centre, nuisance)

    def excess(i: np.ndarray, root: FloatArray) -> FloatArray:
        return np.asarray(special.ndtri_exp(tails(root, mean + signal)[0]) - special.ndtri(beta[i]))

    guess = np.maximum(asimov_root(held, signal, nuisance) + np.array(SIGMAS), 0.05)
    root = _fall(excess, guess, 1.02 * guess, np.full(beta.size, LEAST), np.full(beta.size, np.inf), INNER)
    root = np.where(root > LEAST, root, 0.0)
    log_p, log_q = (np.where(root > 0, x, y) for x, y in zip(tails(np.maximum(root, 1e-150), mean), (0.0, -np.inf), strict=True))
    five = [Probability(float(x), float(y)) for x, y in zip(log_p, log_q, strict=True)]
    return ExpectedP0((five[0], five[1], five[2], five[3], five[4]), name)


def asimov_root(held: UncertaintyModel, signal: float, nuisance: FloatArray) -> float:
    """Root of q0 of the Asimov data set with the signal."""
    return float(np.sqrt(held.background_only(held.mean(nuisance) + signal, nuisance)[1][0]))


# --- exclusion ---------------------------------------------------------------------------------------------------


class _Exclusion:
    """Ensembles at several signals, each around its own fit to the same data; one row per signal.

    Parameters
    ----------
    held : UncertaintyModel
        The background, one row.
    data : FloatArray
        The count, shape (1,).
    k : float
        Logarithmic width of the signal.
    rows : int
        Signals that will be asked for at a time, at most.
    most : float
        The largest signal.
    """

    def __init__(self, held: UncertaintyModel, data: FloatArray, k: float, rows: int, most: float) -> None:
        self.held, self.data, self.k = held, data, k
        self.alone = held.background_only(data, held.nominal())[0]
        mean, nominal = float(held.mean(self.alone)[0]), float(held.mean(held.nominal())[0])
        self.window = Window.around(float(data[0]), mean, min(mean, nominal), float(data[0]) + most, most)
        self.shifts = np.arange(-SPAN, SPAN + 0.5 * STEP, STEP) if k > 0 else np.zeros(1)
        self.edges = np.full((rows, self.shifts.size, self.window.n.size), np.nan)

    def observed(self, s: FloatArray) -> FloatArray:
        """Root of q~ of the data."""
        n, nominal = np.repeat(self.data, s.size), np.repeat(self.held.nominal(), s.size)
        value = _exclusion(self.held, n, s, self.k, np.zeros(s.size))(np.arange(s.size), nominal)[0]
        return np.maximum(value, 0.0)

    def log_tails(self, i: np.ndarray, s: FloatArray, root: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``ln P(q~ >= root^2)`` of rows i with the signal and without; zero where the root is."""
        held, rows, window = self.held, s.size, self.window
        with_signal = fit(held, np.repeat(self.data, rows), s, np.repeat(held.nominal(), rows), k=self.k)
        theta, y = with_signal.nuisance, with_signal.shift
        points = self.shifts + 0.5 * y[:, None]
        shape = (rows, self.shifts.size, window.n.size)
        wanted = (window.n, s[:, None, None], points[:, :, None], root[:, None, None] * (1 - TIE))
        n, signal, shift, target = (np.broadcast_to(a, shape).ravel() for a in wanted)
        start = self.edges[i].ravel()
        cold = np.isnan(start)
        if cold.any():
            mean = n - signal * np.exp(self.k * shift) + target * np.sqrt(np.maximum(n, 1.0))
            guess = held.inverse(np.maximum(mean, 0.0), np.ones(n.size))
            start = np.where(cold, np.where(mean > 0, guess, np.repeat(theta, n.size // rows)), start)
        around = np.append(theta, self.alone)
        low, high = held.span(around, EXCLUSION_SPAN)
        edge = _edges(
            _exclusion(held, n, signal, self.k, shift),
            target,
            (float(low.min()), float(high.max())),
            start,
            rising=True,
        ).reshape(shape)
        self.edges[i] = edge
        first = s * np.exp(self.k * y) + held.mean(theta)
        alone = np.repeat(self.alone, rows)
        p_signal = _log_sum(held, window, first, theta, edge, _normal(points - y[:, None], self.k), 1)
        p_alone = _log_sum(held, window, held.mean(alone), alone, edge, _normal(points, self.k), 1)
        zero = root <= 0
        return np.where(zero, 0.0, np.minimum(p_signal, 0.0)), np.where(zero, 0.0, np.minimum(p_alone, 0.0))

    def expected(self, i: np.ndarray, s: FloatArray, sigmas: FloatArray, guess: FloatArray) -> FloatArray:
        """Largest root of q~ that it reaches without a signal at least with the probability of being below `sigmas`."""
        largest = np.sqrt(2 * s)  # that of no event
        certain = self.log_tails(i, s, largest)[1] >= special.log_ndtr(sigmas)
        result = largest.copy()
        left = np.flatnonzero(~certain)
        if left.size:

            def excess(j: np.ndarray, root: FloatArray) -> FloatArray:
                rows = left[j]
                log_p = self.log_tails(i[rows], s[rows], root)[1]
                return np.asarray(special.ndtri_exp(np.minimum(log_p, -1e-300)) - sigmas[rows])

            first = np.clip(guess[left], 0.05 * largest[left], 0.9 * largest[left])
            found = _fall(excess, first, 1.02 * first, LEAST * largest[left], largest[left], INNER)
            result[left] = np.where(found > LEAST * largest[left], found, 0.0)
        return result


def _normal(x: FloatArray, k: float) -> FloatArray:
    """Logarithms of the weights of a trapezoidal rule over a unit normal; nothing to weigh where the signal is certain."""
    if not k > 0:
        return np.zeros(x.shape)
    log = -0.5 * x * x
    return np.asarray(log - special.logsumexp(log, axis=1, keepdims=True))


def _limits(problem: Problem, sigmas: FloatArray | None) -> FloatArray:
    """Signals at which ``CLs = 1 - level``: of the data, or of bands at a number of standard deviations each."""
    held, k, alpha = problem.held, float(problem.width[0]), problem.alpha[:1]
    count = np.array([max(np.round(problem.n[0]), 0.0)])
    near = float(exact_limit(replace(problem.take(np.zeros(1, dtype=np.intp)), n=count))[0])
    rows = 1 if sigmas is None else sigmas.size
    ensembles = _Exclusion(held, problem.n[:1], k, rows, 6 * near + 20)
    guess = np.ones(rows)

    def excess(i: np.ndarray, s: FloatArray) -> FloatArray:
        if sigmas is None:
            root = ensembles.observed(s)
        else:
            root = ensembles.expected(i, s, sigmas[i], guess[i])
            guess[i] = root
        with_signal, alone = ensembles.log_tails(i, s, root)
        log_cls = np.minimum(with_signal - alone, -1e-300)
        return np.asarray(special.ndtri_exp(log_cls) - special.ndtri(alpha))

    first = np.full(rows, near) if sigmas is None else near * np.array([0.5, 0.7, 1.0, 1.4, 1.9])[:rows]
    limit = _fall(excess, first, 1.05 * first, np.zeros(rows), np.full(rows, np.inf), TOLERANCE)
    if not np.isfinite(limit).all():
        raise InputError(f"no limit for n = {problem.n[0]:g}: CLs does not fall to {alpha[0]:g}; use another method")
    return limit


def _problem(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, signal_uncertainty: Numbers, level: Numbers, model: str
) -> Problem:
    _prepared(n, b, up, down, model)
    return prepare(n, b, up, down, signal_uncertainty=signal_uncertainty, level=level, model=model)[0]


def lhc_cls(
    s: Numbers,
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal_uncertainty: float = 0.0,
    model: str = DEFAULT,
) -> float:
    """CLs of `s` signal events in the LHC's ensembles: ``P(q~ >= observed | s)/P(q~ >= observed | 0)``, each around its own fit.

    Parameters
    ----------
    s, n : float
        Signal and count, in events.
    b, up, down : float
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    signal_uncertainty : float
        Relative log-normal uncertainty of the signal; its auxiliary measurement fluctuates, too.
    model : str
        Name of the uncertainty model of the background.

    Returns
    -------
    float
        1 where the best fit exceeds `s`; exp(-s) for n = 0. To a relative 1e-7.

    Raises
    ------
    InputError, UnknownNameError
        As `p0`.

    Examples
    --------
    >>> f"{lhc_cls(8.51, 4, 0.6, 0.5, 0.3):.4f}"  # the prior-predictive limit
    '0.0359'
    """
    problem = _problem(n, b, up, down, signal_uncertainty, 0.95, model)
    signal = _one("s", checked_signal(s, ()))
    if signal[0] == 0:
        return 1.0
    ensembles = _Exclusion(problem.held, problem.n, float(problem.width[0]), 1, float(signal[0]))
    with_signal, alone = ensembles.log_tails(np.zeros(1, dtype=np.intp), signal, ensembles.observed(signal))
    return float(np.exp(with_signal[0] - alone[0]))


def lhc_limit(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    level: float = 0.95,
    signal_uncertainty: float = 0.0,
    model: str = DEFAULT,
) -> float:
    """Upper limit on the signal at which `lhc_cls` is ``1 - level``.

    Parameters
    ----------
    n, b, up, down, signal_uncertainty, model
        As in `lhc_cls`.
    level : float
        Confidence level.

    Examples
    --------
    >>> f"{lhc_limit(4, 0.6, 0.5, 0.3):.2f}"
    '7.99'
    """
    problem = _problem(n, b, up, down, signal_uncertainty, level, model)
    return float(_limits(problem, None)[0])


def expected_lhc_limits(
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    fitted_to: Numbers | None = None,
    level: float = 0.95,
    signal_uncertainty: float = 0.0,
    model: str = DEFAULT,
) -> FloatArray:
    """Limits at -2 to +2 standard deviations of q~ under background alone; pre-fit, or post-fit with `fitted_to` data.

    Parameters
    ----------
    b, up, down, level, signal_uncertainty, model
        As in `lhc_limit`.
    fitted_to : float, optional
        Data to whose fits the ensembles belong; by default the nominal background.

    Returns
    -------
    array of five limits

    Examples
    --------
    >>> expected_lhc_limits(25, 5, 5)[2].round(1)
    np.float64(14.8)
    """
    problem = _problem(b if fitted_to is None else fitted_to, b, up, down, signal_uncertainty, level, model)
    return _limits(problem, np.array(SIGMAS))
