"""CLs and its limits in the ensembles of the LHC experiments, summed without toys.

``CLs = P(q~ >= observed | s)/P(q~ >= observed | 0)``: the count and the auxiliary measurements of the background, and of an uncertain
signal, fluctuate around the best fit to the data at the tested signal, and around the background-only one [1]_ (`superbin.stats.ensembles`). The exact CLs
of `superbin.stats.limits.exact` is another quantity: there the nuisances vary as their priors say. Without an uncertainty both are the same.

*Pre-fit* expectations take the nominal background for the data, *post-fit* ones the data themselves: the statistic's distribution without
signal gives its quantiles, as in pyhf's ``ToyCalculator``.

.. [1] ATLAS and CMS, Procedure for the LHC Higgs boson search combination in Summer 2011, CMS NOTE 2011/005 (also ATL-PHYS-PUB 2011-11).
"""

import math
from dataclasses import replace

import numpy as np
from scipy import special

from superbin.errors import InputError
from superbin.stats.arguments import FloatArray, Index, Numbers, checked_signal
from superbin.stats.counts import BANDS, SIGMAS, Background, log_cdf_of
from superbin.stats.ensembles import (
    INNER,
    LEAST,
    TOLERANCE,
    Statistic,
    edges,
    falls_to_zero,
    one_bin,
    one_number,
    ties,
    window,
)
from superbin.stats.limits.asymptotic import asimov_limit
from superbin.stats.limits.exact import exact_limit, limits_of_one
from superbin.stats.limits.lines import ROTATED, Ensemble, Lines, spread
from superbin.stats.limits.problem import Problem, prepare
from superbin.stats.models import DEFAULT, ModelName, UncertaintyModel
from superbin.stats.poisson import log_equal
from superbin.stats.profile import fit

__all__ = ["expected_lhc_limits", "lhc_cls", "lhc_limit"]

LARGEST_COUNT = 1e4
"""Events up to which counts are summed: bands take a minute there."""

CALL, MOST_WORK = 100, 4_000_000
"""Outcomes that take as long as the call itself, and outcomes that are looked at before the search is given up: some ten seconds."""

STEP = 0.5
"""Largest step of the counts that are looked at, in standard deviations of the count or of what shifts its edges."""

MOST_BROYDEN, CLOSE = 16, 1e-8
"""Steps of Broyden's method, and the error in standard deviations at which it ends."""

DIFFERENCE, ROUGH = 1e-4, 1e-4
"""Step of its first derivatives where they are finite differences, and error in standard deviations of a guess of the root there."""


def _exclusion(
    held: UncertaintyModel, k: float, n: FloatArray, s: FloatArray, lines: tuple[FloatArray, ...]
) -> Statistic:
    """Root of q~ along lines of auxiliary measurements, on which it rises; continued by a line below where it is zero."""
    background, signal, across, along = lines

    def statistic(i: Index, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        count, strength = n[i], s[i]
        a, y = background[i] + u * across[i], signal[i] + u * along[i]
        favoured = held.mean(a)
        excess = count - favoured - strength * np.exp(k * y)
        above = excess > 0
        with_signal = fit(held, np.where(above, 0.0, count), strength, a, k=k, shift=y)
        q, slope = with_signal.cost, held.cost_slope(with_signal.nuisance, a)
        below = count < favoured
        if below.any():
            alone, cost = held.background_only(count, a)
            q = np.where(below, np.maximum(q - cost, 0.0), q)
            slope = np.where(below, slope - held.cost_slope(alone, a), slope)
        value = np.sqrt(q)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = slope * across[i] + 2 * (y - with_signal.shift) * along[i]
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
    least, most : float
        About the smallest and at least the largest signal.
    sigmas : float
        How far counts are looked at around their expectations.
    """

    def __init__(
        self,
        held: UncertaintyModel,
        data: FloatArray,
        k: float,
        rows: int,
        least: float,
        most: float,
        sigmas: float = 10.0,
    ) -> None:
        self.held, self.data, self.k = held, data, k
        self.alone = held.background_only(data, held.nominal())[0]
        self.tie = ties(held, self.alone, held.mean(self.alone))
        mean, nominal = float(held.mean(self.alone)[0]), float(held.mean(held.nominal())[0])
        self.outcomes, lines, step = None, 1, 1
        if k > 0:
            strongest = fit(held, data, np.full(1, most), held.nominal()).nuisance
            self.outcomes = held.outcomes(np.append(self.alone, strongest), k * least)
            lines = ROTATED if self.outcomes is None else self.outcomes[0].size
            # of many events every few counts stand for all: what is summed is smooth
            width = math.hypot(float(spread(held, self.alone)[0]), k * least)
            step = max(1, int(STEP * min(math.sqrt(mean), width)))
        self.work = 0
        self._add_work(int(most / step) * lines * rows)
        centres = float(data[0]), mean, min(mean, nominal), float(data[0]) + most
        self.counts, self.log_step = window(*centres, sigmas=sigmas, step=step), math.log(step)
        self.depth = 0.5 * sigmas * sigmas + 10
        self.last = np.full((rows, lines, self.counts.size), np.nan)

    def _add_work(self, outcomes: int) -> None:
        """Count outcomes that are looked at, and give up when they are too many."""
        self.work += outcomes
        if self.work > MOST_WORK:
            raise InputError(
                f"the LHC's CLs for n = {self.data[0]:g} and background {float(self.held.centre()[0]):g} takes more than some ten seconds; "
                "use the exact CLs limit or the asymptotic one (cls_limit, asymptotic_limit)"
            )

    def observed(self, s: FloatArray) -> FloatArray:
        """Root of q~ of the data."""
        n, nominal, none = (np.repeat(x, s.size) for x in (self.data, self.held.nominal(), np.zeros(1)))
        value = _exclusion(self.held, self.k, n, s, (nominal, none, none, none))(np.arange(s.size), none)[0]
        return np.maximum(value, 0.0)

    def log_tails(self, i: Index, s: FloatArray, root: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``ln P(q~ >= root^2)`` of rows i with the signal and without; zero where the root is."""
        held, k, counts = self.held, self.k, self.counts
        fitted = fit(held, np.repeat(self.data, s.size), s, np.repeat(held.nominal(), s.size), k=k)
        theta, y, alone = fitted.nuisance, fitted.shift, np.repeat(self.alone, s.size)
        with_signal = Ensemble(theta, y, s * np.exp(k * y) + held.mean(theta))
        without = Ensemble(alone, np.zeros(s.size), held.mean(alone))
        lines = Lines.of(held, k, s, counts, self.log_step, (with_signal, without), self.outcomes)
        shape = (s.size, *self.last.shape[1:])
        # what is as extreme as the data has a probability of about exp(-root^2/2), or that of their count where this is smaller
        depth = self.depth + 0.5 * root * root
        least = (log_equal(np.round(self.data), one.mean) - depth for one in (with_signal, without))
        likely = [chance > edge[:, None, None] for chance, edge in zip(lines.chances, least, strict=True)]
        matters = np.broadcast_to(likely[0] | likely[1], shape)

        def chosen(*parts: FloatArray) -> tuple[FloatArray, ...]:
            return tuple(np.broadcast_to(part, shape)[matters] for part in parts)

        n, signal, target, theta = chosen(
            counts, *(x[:, None, None] for x in (s, root * (1 - self.tie), theta))
        )
        points = chosen(lines.background, lines.signal, lines.across, lines.along)
        start, centre = chosen(self.last[i], lines.centres[0])
        statistic = _exclusion(held, k, n, signal, points)
        cold = np.isnan(start)
        if cold.any():
            want = n + target * np.sqrt(np.maximum(n, 1.0))
            start = np.where(cold, self._guess(points, centre, signal, want), start)

        def counted(points: Index, a: FloatArray) -> tuple[FloatArray, FloatArray]:
            self._add_work(CALL + points.size)
            return statistic(points, a)

        found = edges(counted, target, lines.span(held), start, rising=True)
        empty = np.flatnonzero(n == 0)
        if empty.size and not k > 0:  # there the statistic does not depend on the auxiliary measurement
            value = statistic(empty, theta[empty])[0]
            found[empty] = np.where(value >= target[empty], -np.inf, np.inf)
        edge = np.full(shape, np.inf)
        edge[matters] = found
        if (root < np.sqrt(2 * s)).any():  # else every edge is infinite, which is no place to start from
            self.last[i] = np.where(matters, edge, np.nan)
        first, second = (np.where(root <= 0, 0.0, log_p) for log_p in lines.log_tails(edge))
        return first, second

    def _guess(
        self, lines: tuple[FloatArray, ...], u: FloatArray, s: FloatArray, want: FloatArray
    ) -> FloatArray:
        """Where the mean on a line, as if it grew exponentially, is what is wanted."""
        background, signal, across, along = lines

        def mean(u: FloatArray) -> FloatArray:
            return self.held.mean(background + u * across) + s * np.exp(self.k * (signal + u * along))

        with np.errstate(divide="ignore", invalid="ignore"):
            here = mean(u)
            step = 0.5 * np.log(want / here) / np.log(mean(u + 0.5) / here)
        return np.asarray(u + np.where(np.isfinite(step), step, 0.0))

    def bands(
        self,
        rows: Index,
        sigmas: FloatArray,
        log_alpha: float,
        s: FloatArray,
        share: FloatArray | None = None,
    ) -> FloatArray:
        """Signals of rows at which the expected CLs is alpha, from guesses; NaN where the quantiles of q~ jump, which only bounds can deal with.

        For the unknown signal and root of q~ there are two equations, ``P(q~ >= root) = Phi(sigma)`` without the signal and alpha times that with
        it: Broyden's method in standard deviations. It begins at the asymptotic formulas, and with their Jacobian; where a guess
        of the root is given, as a share of that of no event, with one of finite differences: it holds where the quantiles nearly jump, at about
        the same share for all signals.
        """
        wanted = np.stack([special.ndtri_exp(log_alpha + special.log_ndtr(sigmas)), sigmas])

        def missing(i: Index, x: FloatArray) -> FloatArray:
            s = np.exp(x[1])
            tails = self.log_tails(rows[i], s, x[0] if share is None else x[0] * np.sqrt(2 * s))
            return np.asarray(special.ndtri_exp(np.minimum(np.stack(tails), -1e-300)) - wanted[:, i])

        i = np.arange(s.size)
        x = np.stack([-wanted[0] if share is None else share, np.log(s)])
        value = missing(i, x)
        if share is None:
            inverse = np.zeros(
                (2, 2, s.size)
            )  # of the derivatives of both z in root and ln s: ((-1, 0), (-1, -wanted[0] + sigma))
            inverse[0, 0], inverse[1, 1] = -1.0, 1 / np.maximum(sigmas - wanted[0], 0.1)
            inverse[1, 0] = -inverse[1, 1]
        else:
            moves = np.stack([np.array([-DIFFERENCE, 0.0]), np.array([0.0, DIFFERENCE])])
            jacobian = [(missing(i, x + move[:, None]) - value) / move[k] for k, move in enumerate(moves)]
            inverse = np.moveaxis(np.linalg.pinv(np.moveaxis(np.stack(jacobian, axis=1), -1, 0)), 0, -1)
        result = np.full(s.size, np.nan)
        best, slow = np.full(s.size, np.inf), np.zeros(s.size)
        for _ in range(MOST_BROYDEN):
            size = np.abs(value[:, i]).max(axis=0)
            there = size <= CLOSE
            result[i[there]] = np.exp(x[1, i[there]])
            slow[i] = np.where(size < 0.5 * best[i], 0, slow[i] + 1)
            best[i] = np.minimum(best[i], size)
            step = -np.einsum("jki,ki->ji", inverse[:, :, i], value[:, i])
            trial = x[:, i] + np.clip(step, -1.0, 1.0)
            inside = (trial[0] > LEAST) & (
                trial[0] < (np.sqrt(2 * np.exp(trial[1])) if share is None else 1.0)
            )
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

    def expected(
        self, i: Index, s: FloatArray, sigmas: FloatArray, guess: FloatArray, tolerance: float = INNER
    ) -> FloatArray:
        """Largest root of q~ that it reaches without a signal at least with the probability of being below `sigmas`; guesses are shares of that of no event."""
        largest = np.sqrt(2 * s)  # that of no event
        certain = self.log_tails(i, s, largest)[1] >= special.log_ndtr(sigmas)
        result = largest.copy()
        left = np.flatnonzero(~certain)
        if left.size:

            def excess(j: Index, root: FloatArray) -> FloatArray:
                rows = left[j]
                log_p = self.log_tails(i[rows], s[rows], root)[1]
                return np.asarray(special.ndtri_exp(np.minimum(log_p, -1e-300)) - sigmas[rows])

            first = np.clip(guess[left], 0.05, 0.9) * largest[left]
            found = falls_to_zero(
                excess, first, 1.02 * first, LEAST * largest[left], largest[left], tolerance
            )
            result[left] = np.where(found > LEAST * largest[left], found, 0.0)
        return result


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
    sigmas_of_counts = 6.5 + max(
        -float(special.ndtri(alpha[0])), 0.0
    )  # what is left out is a billionth of 1 - level
    ends = 0.5 * float(first.min()), most * float(first.max()) + 10
    ensembles = _Exclusion(held, problem.n[:1], k, rows, *ends, sigmas_of_counts)
    guess = np.ones(rows)

    def excess(i: Index, s: FloatArray) -> FloatArray:
        if sigmas is None:
            root = ensembles.observed(s)
        else:
            root = ensembles.expected(i, s, sigmas[i], guess[i])
            guess[i] = root / np.sqrt(2 * s)
        with_signal, alone = ensembles.log_tails(i, s, root)
        log_cls = np.minimum(with_signal - alone, -1e-300)
        return np.asarray(special.ndtri_exp(log_cls) - special.ndtri(alpha))

    limit = np.full(rows, np.nan)
    if sigmas is not None:
        log_alpha = float(np.log(alpha[0]))
        limit = ensembles.bands(np.arange(rows), sigmas, log_alpha, first)
        # where a quantile nearly jumps the asymptotic guess is too far away
        left = np.flatnonzero(np.isnan(limit))
        if left.size:
            root = ensembles.expected(left, first[left], sigmas[left], guess[left], ROUGH)
            guess[left] = root / np.sqrt(2 * first[left])
            steep = (guess[left] < 1) & (root > LEAST)
            i = left[steep]
            if i.size:
                limit[i] = ensembles.bands(i, sigmas[i], log_alpha, first[i], guess[i])
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
    strength = float(signal[0])
    ensembles = _Exclusion(problem.held, problem.n, float(problem.width[0]), 1, strength, strength)
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
