"""CLs and its limits in the ensembles of the LHC experiments, summed without toys.

``CLs = P(q~ >= observed | s)/P(q~ >= observed | 0)``: the count and the auxiliary measurements of the background, and of an uncertain
signal, fluctuate around the best fit to the data at the tested signal, and around the background-only one [1]_ (`superbin.stats.ensembles`). The exact CLs
of `superbin.stats.limits.exact` is another quantity: there the nuisances vary as their priors say. Without an uncertainty both are the same.

*Pre-fit* expectations take the nominal background for the data, *post-fit* ones the data themselves: the statistic's distribution without
signal gives its quantiles, as in pyhf's ``ToyCalculator``.

.. [1] ATLAS and CMS, Procedure for the LHC Higgs boson search combination in Summer 2011, CMS NOTE 2011/005 (also ATL-PHYS-PUB 2011-11).
"""

from dataclasses import replace

import numpy as np
from scipy import special

from superbin.errors import InputError
from superbin.stats.arguments import FloatArray, Index, Numbers, checked_signal
from superbin.stats.counts import BANDS, SIGMAS, Background, log_cdf_of
from superbin.stats.ensembles import (
    INNER,
    LEAST,
    TIE,
    TOLERANCE,
    Statistic,
    edges,
    falls_to_zero,
    log_sum,
    one_bin,
    one_number,
    window,
)
from superbin.stats.limits.asymptotic import asimov_limit
from superbin.stats.limits.exact import exact_limit, limits_of_one
from superbin.stats.limits.problem import Problem, prepare
from superbin.stats.models import DEFAULT, ModelName, UncertaintyModel
from superbin.stats.profile import fit

__all__ = ["expected_lhc_limits", "lhc_cls", "lhc_limit"]

SPAN = 14.0
"""Standard deviations of an auxiliary measurement that are looked at: CLs to 1e-25."""

LARGEST_COUNT = 1e4
"""Events up to which counts are summed: bands take a minute there."""

CALL, MOST_WORK = 100, 4_000_000
"""Outcomes that take as long as the call itself, and outcomes that are looked at before the search is given up: some ten seconds."""

MOST_BROYDEN, CLOSE = 16, 1e-8
"""Steps of Broyden's method, and the error in standard deviations at which it ends."""

SIGNAL_SPAN, STEP = 6.4, 0.8
"""Range and step of the trapezoidal rule over the auxiliary measurement of the signal: 1e-9 of a p-value."""


def _exclusion(
    held: UncertaintyModel, n: FloatArray, s: FloatArray, k: float, shift: FloatArray
) -> Statistic:
    """Root of q~, which rises with the auxiliary measurement; continued by a line below where it is zero."""

    def statistic(i: Index, a: FloatArray) -> tuple[FloatArray, FloatArray]:
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
    sigmas : float
        How far counts are looked at around their expectations.
    """

    def __init__(
        self, held: UncertaintyModel, data: FloatArray, k: float, rows: int, most: float, sigmas: float = 10.0
    ) -> None:
        self.held, self.data, self.k = held, data, k
        self.alone = held.background_only(data, held.nominal())[0]
        mean, nominal = float(held.mean(self.alone)[0]), float(held.mean(held.nominal())[0])
        self.counts = window(float(data[0]), mean, min(mean, nominal), float(data[0]) + most, sigmas=sigmas)
        self.shifts = np.arange(-SIGNAL_SPAN, SIGNAL_SPAN + 0.5 * STEP, STEP) if k > 0 else np.zeros(1)
        self.work = 0
        self.last = np.full((rows, self.shifts.size, self.counts.size), np.nan)

    def observed(self, s: FloatArray) -> FloatArray:
        """Root of q~ of the data."""
        n, nominal = np.repeat(self.data, s.size), np.repeat(self.held.nominal(), s.size)
        value = _exclusion(self.held, n, s, self.k, np.zeros(s.size))(np.arange(s.size), nominal)[0]
        return np.maximum(value, 0.0)

    def log_tails(self, i: Index, s: FloatArray, root: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``ln P(q~ >= root^2)`` of rows i with the signal and without; zero where the root is."""
        held, rows, counts = self.held, s.size, self.counts
        with_signal = fit(held, np.repeat(self.data, rows), s, np.repeat(held.nominal(), rows), k=self.k)
        theta, y = with_signal.nuisance, with_signal.shift
        points = self.shifts + 0.5 * y[:, None]
        shape = (rows, self.shifts.size, counts.size)
        wanted = (counts, s[:, None, None], points[:, :, None], root[:, None, None] * (1 - TIE))
        n, signal, shift, target = (np.broadcast_to(a, shape).ravel() for a in wanted)
        start = self.last[i].ravel()
        cold = np.isnan(start)
        if cold.any():
            mean = n - signal * np.exp(self.k * shift) + target * np.sqrt(np.maximum(n, 1.0))
            guess = held.inverse(np.maximum(mean, 0.0), np.ones(n.size))
            start = np.where(cold, np.where(mean > 0, guess, np.repeat(theta, n.size // rows)), start)
        around = np.append(theta, self.alone)
        low, high = held.span(around, SPAN)
        statistic = _exclusion(held, n, signal, self.k, shift)

        def counted(points: Index, a: FloatArray) -> tuple[FloatArray, FloatArray]:
            self.work += CALL + points.size
            if self.work > MOST_WORK:
                raise InputError(
                    f"the LHC's CLs for n = {self.data[0]:g} and background {float(held.centre()[0]):g} takes more than some ten seconds; "
                    "use the exact CLs limit or the asymptotic one (cls_limit, asymptotic_limit)"
                )
            return statistic(points, a)

        edge = edges(
            counted,
            target,
            (float(low.min()), float(high.max())),
            start,
            rising=True,
        ).reshape(shape)
        empty = np.flatnonzero(n == 0)
        if empty.size:  # there the statistic does not depend on the auxiliary measurement
            value = statistic(empty, np.repeat(theta, n.size // rows)[empty])[0]
            edge.ravel()[empty] = np.where(value >= target[empty], -np.inf, np.inf)
        if not (
            root >= np.sqrt(2 * s)
        ).all():  # there every edge is infinite, which is no place to start from
            self.last[i] = edge
        first = s * np.exp(self.k * y) + held.mean(theta)
        alone = np.repeat(self.alone, rows)
        p_signal = log_sum(held, counts, first, theta, edge, _normal(points - y[:, None], self.k), 1)
        p_alone = log_sum(held, counts, held.mean(alone), alone, edge, _normal(points, self.k), 1)
        zero = root <= 0
        return np.where(zero, 0.0, np.minimum(p_signal, 0.0)), np.where(zero, 0.0, np.minimum(p_alone, 0.0))

    def bands(self, sigmas: FloatArray, log_alpha: float, s: FloatArray) -> FloatArray:
        """Signals at which the expected CLs is alpha, from guesses; NaN where the quantiles of q~ jump, which only bounds can deal with.

        For the unknown signal and root of q~ there are two equations, ``P(q~ >= root) = Phi(sigma)`` without the signal and alpha times that with
        it, nearly linear in standard deviations: Broyden's method from the Jacobian of the asymptotic formulas.
        """
        wanted = np.stack([special.ndtri_exp(log_alpha + special.log_ndtr(sigmas)), sigmas])
        x = np.stack([-wanted[0], np.log(s)])
        inverse = np.zeros(
            (2, 2, s.size)
        )  # of the derivatives of both z in root and ln s: ((-1, 0), (-1, -wanted[0] + sigma))
        inverse[0, 0], inverse[1, 1] = -1.0, 1 / np.maximum(sigmas - wanted[0], 0.1)
        inverse[1, 0] = -inverse[1, 1]

        def missing(i: Index, x: FloatArray) -> FloatArray:
            tails = self.log_tails(i, np.exp(x[1]), x[0])
            return np.asarray(special.ndtri_exp(np.minimum(np.stack(tails), -1e-300)) - wanted[:, i])

        result = np.full(s.size, np.nan)
        i = np.arange(s.size)
        value, best, slow = missing(i, x), np.full(s.size, np.inf), np.zeros(s.size)
        for _ in range(MOST_BROYDEN):
            size = np.abs(value[:, i]).max(axis=0)
            there = size <= CLOSE
            result[i[there]] = np.exp(x[1, i[there]])
            slow[i] = np.where(size < 0.5 * best[i], 0, slow[i] + 1)
            best[i] = np.minimum(best[i], size)
            step = -np.einsum("jki,ki->ji", inverse[:, :, i], value[:, i])
            trial = x[:, i] + np.clip(step, -1.0, 1.0)
            inside = (trial[0] > LEAST) & (trial[0] < np.sqrt(2 * np.exp(trial[1])))
            keep = ~there & inside & (slow[i] < 3)
            i, step, trial = i[keep], (trial - x[:, i])[:, keep], trial[:, keep]
            if not i.size:
                break
            after = missing(i, trial)
            change = np.einsum("jki,ki->ji", inverse[:, :, i], after - value[:, i])
            along = np.einsum("ji,jki->ki", step, inverse[:, :, i]) / (step * change).sum(axis=0)
            inverse[:, :, i] += (step - change)[:, None] * along[None]
            x[:, i], value[:, i] = trial, after
        return result

    def expected(self, i: Index, s: FloatArray, sigmas: FloatArray, guess: FloatArray) -> FloatArray:
        """Largest root of q~ that it reaches without a signal at least with the probability of being below `sigmas`."""
        largest = np.sqrt(2 * s)  # that of no event
        certain = self.log_tails(i, s, largest)[1] >= special.log_ndtr(sigmas)
        result = largest.copy()
        left = np.flatnonzero(~certain)
        if left.size:

            def excess(j: Index, root: FloatArray) -> FloatArray:
                rows = left[j]
                log_p = self.log_tails(i[rows], s[rows], root)[1]
                return np.asarray(special.ndtri_exp(np.minimum(log_p, -1e-300)) - sigmas[rows])

            first = np.clip(guess[left], 0.05 * largest[left], 0.9 * largest[left])
            found = falls_to_zero(excess, first, 1.02 * first, LEAST * largest[left], largest[left], INNER)
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
    if sigmas is None:
        rows, most = 1, 1.5
        count = np.array([max(np.round(problem.n[0]), 0.0)])
        first = exact_limit(replace(problem.take(np.zeros(1, dtype=np.intp)), n=count))
    else:
        rows, most = sigmas.size, 2.0
        fitted = np.repeat(held.background_only(problem.n[:1], held.nominal())[0], rows)
        first = asimov_limit(sigmas, problem.at(np.zeros(rows)), fitted)
    sigmas_of_counts = 6.5 - float(special.ndtri(alpha[0]))  # what is left out is a billionth of 1 - level
    ensembles = _Exclusion(held, problem.n[:1], k, rows, most * float(first.max()) + 10, sigmas_of_counts)
    guess = np.ones(rows)

    def excess(i: Index, s: FloatArray) -> FloatArray:
        if sigmas is None:
            root = ensembles.observed(s)
        else:
            root = ensembles.expected(i, s, sigmas[i], guess[i])
            guess[i] = root
        with_signal, alone = ensembles.log_tails(i, s, root)
        log_cls = np.minimum(with_signal - alone, -1e-300)
        return np.asarray(special.ndtri_exp(log_cls) - special.ndtri(alpha))

    limit = np.full(rows, np.nan)
    if sigmas is not None:
        limit = ensembles.bands(sigmas, float(np.log(alpha[0])), first)
    left = np.flatnonzero(np.isnan(limit))
    if left.size:
        low = first[left]
        limit[left] = falls_to_zero(
            lambda i, s: excess(left[i], s), low, 1.05 * low, 1e-9 * low, np.full(low.size, np.inf), TOLERANCE
        )
    if not np.isfinite(limit).all():
        raise InputError(
            f"no limit for n = {problem.n[0]:g}: CLs does not fall to {alpha[0]:g}; use another method"
        )
    return limit


def _without_nuisance(problem: Problem) -> bool:
    """Whether nothing but the count fluctuates: it orders the outcomes as q~ does, and CLs is the exact one."""
    return bool(problem.held.sharp[0] and problem.width[0] == 0)


def _problem(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    signal_uncertainty: Numbers,
    level: Numbers,
    model: ModelName,
) -> Problem:
    one_bin(n, b, up, down, model, LARGEST_COUNT)
    return prepare(n, b, up, down, signal_uncertainty=signal_uncertainty, level=level, model=model)[0]


def lhc_cls(
    s: Numbers,
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    signal_uncertainty: float = 0.0,
    model: ModelName = DEFAULT,
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
    '0.0358'
    """
    problem = _problem(n, b, up, down, signal_uncertainty, 0.95, model)
    signal = one_number("s", checked_signal(s, ()), LARGEST_COUNT)
    if signal[0] == 0:
        return 1.0
    if _without_nuisance(problem) and problem.n[0] == np.floor(problem.n[0]):
        return float(
            np.exp(
                log_cdf_of(problem.held, problem.n, signal) - log_cdf_of(problem.held, problem.n, 0 * signal)
            )[0]
        )
    ensembles = _Exclusion(problem.held, problem.n, float(problem.width[0]), 1, float(signal[0]))
    root = ensembles.observed(signal)
    if root[0] <= 0:
        return 1.0
    with_signal, alone = ensembles.log_tails(np.zeros(1, dtype=np.intp), signal, root)
    return float(np.exp(with_signal[0] - alone[0]))


def lhc_limit(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    level: float = 0.95,
    signal_uncertainty: float = 0.0,
    model: ModelName = DEFAULT,
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
    if _without_nuisance(problem) and problem.n[0] == np.floor(problem.n[0]):
        return float(exact_limit(problem)[0])
    return float(_limits(problem, None)[0])


def expected_lhc_limits(
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    fitted_to: Numbers | None = None,
    level: float = 0.95,
    signal_uncertainty: float = 0.0,
    model: ModelName = DEFAULT,
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
    >>> expected_lhc_limits(25, 5, 5).round(1).tolist()
    [8.3, 10.7, 14.5, 20.0, 26.7]
    """
    problem = _problem(b if fitted_to is None else fitted_to, b, up, down, signal_uncertainty, level, model)
    if _without_nuisance(problem):
        counts = Background(problem.held).quantile(np.array(BANDS))
        return limits_of_one(Background(problem.held), problem.at(counts))
    return _limits(problem, np.array(SIGMAS))
