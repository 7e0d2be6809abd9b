"""Signal strength, discovery significance and upper limits by asymptotic formulae.

Test statistics and their distributions: G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554,
doi:10.1140/epjc/s10052-011-1554-0: q0 (eq. 12), qtilde_mu (eq. 16) with the Asimov data set for its distribution
(eqs. 62-66); CLs after A. L. Read, J. Phys. G 28 (2002) 2693. mu is not negative in any fit.

Two Asimov data sets are told apart everywhere. ``prefit``: every nuisance at its nominal value, free rates as published.
``postfit``: nuisances at their values in the background-only fit to the observed data, the constraints centred there;
parameters that act on the signal alone stay nominal, since a background-only fit says nothing about them.

Nothing here raises for a fit that fails: the value is None and the status says why.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.special import ndtr, ndtri

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood.data import Data
from superbin.likelihood.fit import Fit, Fitter
from superbin.likelihood.model import add_up
from superbin.likelihood.objective import LEAST_BACKGROUND

__all__ = [
    "Discovery",
    "Interval",
    "Limit",
    "Tested",
    "asimov",
    "asimov_postfit",
    "asimov_prefit",
    "cls",
    "discovery",
    "exclusion",
    "expected_discovery",
    "fit_both",
    "interval",
    "upper_limit",
]

S = TypeVar("S")

SAME = 1e-6
"""Likelihoods that differ by less are the same minimum."""

QUANTILES = (-2, -1, 0, 1, 2)
"""Standard deviations of the expected limit's band."""

ROUNDS = 8
"""Solutions for mu, each followed by a search for lower minima there."""

ATTEMPTS = 60
"""Evaluations of a curve when solving for mu."""

USUAL = 12
"""Evaluations after which interpolation has had its chance and brackets are halved."""

AGREE = 2e-6
"""Relative difference of interpolations of different order that are both right; across a kink they differ."""

NEAR, NARROW = 0.02, 1e-6
"""Relative distance of mu over which a last interpolation is trusted, and width of a bracket that needs none."""

PRECISION = 1e-3
"""In units of sqrt(q) or -ln CLs, when solving for mu; what is left is interpolated, so that limits are good to 1e-5."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """Significance of rejecting mu = 0.

    Attributes
    ----------
    q0 : float or None
        2 (NLL(0) - NLL(mu hat)), >= 0; None if a fit failed.
    z : float or None
        Its square root.
    status : str
        ``"converged"``, or which fit failed and why.
    """

    q0: float | None
    z: float | None
    status: str


@dataclass(frozen=True, slots=True)
class Interval:
    """Values of mu with 2 (NLL - NLL(mu hat)) <= 1, profiled.

    Attributes
    ----------
    low, high : float or None
        Ends; `low` is 0 where the interval reaches it.
    status : str
        As of `Discovery`.
    """

    low: float | None
    high: float | None
    status: str


@dataclass(frozen=True, slots=True)
class Limit:
    """Upper limit on mu by CLs, asymptotic.

    Attributes
    ----------
    observed : float or None
        Limit for the observed data.
    expected : float or None
        Median over background-only data, from the post-fit Asimov set. There may be an expected limit, and bands, without
        an observed one; `status` says why.
    bands : mapping of int to float or None
        Limit at -2 ... +2 standard deviations of background-only data; bands[0] is `expected`.
    level : float
        Confidence level.
    status : str
        As of `Discovery`.
    """

    observed: float | None
    expected: float | None
    bands: dict[float, float | None]
    level: float
    status: str


@dataclass(frozen=True, slots=True)
class Tested:
    """CLs of one mu.

    Attributes
    ----------
    cls, above, below : float or None
        CLs, CLs+b and CLb of the data.
    expected : tuple of float
        CLs for background-only data at -2 ... +2 standard deviations.
    q, q_asimov : float or None
        qtilde of the data and of the post-fit Asimov set.
    status : str
        As of `Discovery`.
    """

    cls: float | None
    above: float | None
    below: float | None
    expected: tuple[float, ...]
    q: float | None
    q_asimov: float | None
    status: str


class NotFoundError(Exception):
    """Carries why there is no number to the function that reports it."""


class FitFailedError(NotFoundError):
    """Carries the status of a fit that did not converge to the function that reports it."""

    def __init__(self, what: str, fit: Fit) -> None:
        super().__init__(what if fit.ok else f"{what}: {fit.status} ({fit.reason}; {fit.iterations} steps)")


def _need(fit: Fit, what: str) -> Fit:
    if not fit.ok:
        raise FitFailedError(what, fit)
    return fit


def fit_both(
    fitter: Fitter, mu: float = 0.0, *, data: Data | None = None, start: Fit | None = None
) -> tuple[Fit, Fit]:
    """Return the fit of mu and the fit at a given mu, of which neither missed the other's minimum.

    A likelihood of few counts can have minima nobody named. If the fit with mu held, or one with mu somewhat above the
    fitted one, finds a lower minimum, the fit of mu is repeated from there.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    mu : float
        Signal strength of the second fit.
    data : Data, optional
        By default the observed data.
    start : Fit, optional
        An earlier fit to start from.
    """
    free = fitter.fit(data=data, start=start)
    held = fitter.fit(mu=mu, data=data, start=free if free.ok else start)
    if held.ok and not free.nll <= held.nll + SAME:
        again = fitter.fit(data=data, start=held)
        free = again if again.ok else free
    if free.ok and free.mu_error:
        above = fitter.fit(
            mu=free.mu + 1.5 * free.mu_error, data=data, start=free, explore=False, branches=False
        )
        if above.ok and above.nll < free.nll - SAME:
            again = fitter.fit(data=data, start=above)
            free = again if again.ok and again.nll < free.nll else free
    return free, held


def asimov(fitter: Fitter, x: FloatArray, mu: float) -> Data:
    """Return the data set that expects exactly itself: counts and constraint centres at `x`, with signal `mu`.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    x : array, shape (1 + n_parameters,)
        Parameters; x[0] is replaced by `mu`.
    mu : float
        Signal strength in the data.
    """
    objective = fitter.objective
    x = x.copy()
    x[0] = mu
    return Data(objective.expected(x), x * objective.constrained)


def asimov_prefit(fitter: Fitter, mu: float) -> Data:
    """Return the Asimov set of the nominal model."""
    return asimov(fitter, fitter.objective.initial, mu)


def asimov_postfit(fitter: Fitter, background: Fit, mu: float) -> Data:
    """Return the Asimov set at the parameters of a background-only fit to the observed data."""
    return asimov(fitter, background.x, mu)


def discovery(free: Fit, background: Fit) -> Discovery:
    """Return q0 from the fit of mu and the fit at mu = 0 to the same data."""
    for what, fit in (("fit of mu", free), ("fit at mu = 0", background)):
        if not fit.ok:
            return Discovery(None, None, f"{what}: {fit.status} ({fit.reason})")
    q0 = max(0.0, 2 * (background.nll - free.nll))
    return Discovery(q0, float(np.sqrt(q0)), "converged")


def expected_discovery(fitter: Fitter, data: Data, *, start: Fit | None = None) -> Discovery:
    """Return q0 of an Asimov set, whose likelihood is zero where it was made.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    data : Data
        Of `asimov_prefit` or `asimov_postfit` with the signal strength to be expected.
    start : Fit, optional
        A fit at mu = 0 to start from.
    """
    fit = fitter.fit(mu=0.0, data=data, start=start)
    if not fit.ok:
        return Discovery(None, None, f"fit at mu = 0 of the Asimov set: {fit.status} ({fit.reason})")
    q0 = max(0.0, 2 * fit.nll)
    return Discovery(q0, float(np.sqrt(q0)), "converged")


def interval(fitter: Fitter, free: Fit) -> Interval:
    """Return the profile-likelihood interval of mu at one standard deviation.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    free : Fit
        The fit of mu, whose data are used.
    """
    try:
        _need(free, "fit of mu")
        profile = _Profile(fitter, free.data, free)

        def root(distance: float, sign: float) -> float:
            return float(np.sqrt(max(0.0, 2 * (profile(free.mu + sign * distance).nll - free.nll))))

        def end(what: str, sign: float, limit: float) -> float:
            def solve() -> float:
                curve = _Curve(lambda d: root(d, sign), what, limit=limit)
                curve.know([sign * (mu - free.mu) for mu in profile.mus if sign * (mu - free.mu) > 0])
                return free.mu + sign * curve.where(1.0, size)

            return _settled(solve, lambda mu: [(profile, mu, sign > 0)], (profile,))

        size = free.mu_error or max(free.mu, float(fitter.objective.unit[0]))
        high = end("upper end of the interval", 1.0, np.inf)
        low = 0.0
        if free.mu > 0 and root(free.mu, -1.0) > 1:
            low = end("lower end of the interval", -1.0, free.mu)
        return Interval(low, high, "converged")
    except NotFoundError as failure:
        return Interval(None, None, str(failure))


class _Profile:
    """Fits at given mu, remembered, each started from the nearest one done."""

    def __init__(self, fitter: Fitter, data: Data | None, first: Fit) -> None:
        self._fitter, self._data = fitter, data
        self._done: dict[float, Fit] = {first.mu: first}
        self._started: dict[float, float] = {}
        # The Asimov set is its own best fit, at zero; of data it is the fit of mu.
        self._lowest = first.nll if first.data is data else 0.0

    def __call__(self, mu: float) -> Fit:
        if mu not in self._done:
            near = min(self._done, key=lambda m: abs(m - mu))
            fit = self._fitter.fit(
                mu=mu, data=self._data, start=self._done[near], explore=False, branches=False
            )
            self._done[mu] = _need(fit, f"fit at mu = {mu:.6g}")
            self._started[mu] = near
            if fit.nll < self._lowest - SAME:
                raise FitFailedError(f"at mu = {mu:.6g} there is a lower minimum than that of the fit", fit)
        return self._done[mu]

    @property
    def mus(self) -> list[float]:
        """Where fits were done."""
        return sorted(self._done)

    def lowest_at(self, mu: float, *, thorough: bool = True) -> bool:
        """Look for lower minima near a solution: those of its neighbours on either side, and others.

        If there is one, the neighbours are fitted again from it for as long as that lowers them too. Known branches that
        ended in the same minimum are sought again if `thorough`.
        """
        mus = self.mus
        i = min(range(len(mus)), key=lambda k: abs(mus[k] - mu))
        if mus[i] == 0:
            return True
        beside = [mus[k] for k in (i - 1, i + 1) if 0 <= k < len(mus)]
        starts = [mu for mu in beside if mu != self._started.get(mus[i])]
        found = [self._lower(mus[i], self._done[start]) for start in starts]
        found.append(self._lower(mus[i], self._done[mus[i]], explore=True, branches=thorough))
        if not any(found):
            return True
        for outwards in (mus[:i][::-1], mus[i + 1 :]):
            last = mus[i]
            for other in outwards:
                if other == 0 or not self._lower(other, self._done[last]):
                    break
                last = other
        return False

    def sweep(self) -> bool:
        """Fit every point again from its neighbours, up and down; return whether a lower minimum was found anywhere."""
        mus = self.mus
        pairs = [*itertools.pairwise(mus), *itertools.pairwise(mus[::-1])]
        # Every pair has its turn: what is found moves on to the next.
        found = [self._lower(mu, self._done[beside]) for beside, mu in pairs if mu > 0]
        return any(found)

    def _lower(self, mu: float, start: Fit, *, explore: bool = False, branches: bool = False) -> bool:
        """Fit again from elsewhere; keep what is found, with the minima known before, if it is lower."""
        old = self._done[mu]
        again = self._fitter.fit(mu=mu, data=self._data, start=start, explore=explore, branches=branches)
        if not (again.ok and again.nll < old.nll - SAME):
            return False
        if again.nll < self._lowest - SAME:
            raise FitFailedError(f"at mu = {mu:.6g} there is a lower minimum than that of the fit", again)
        self._done[mu] = replace(again, minima=(*again.minima, *old.minima))
        return True


def _settled(
    solve: Callable[[], S],
    where: Callable[[S], list[tuple[_Profile, float, bool]]],
    profiles: tuple[_Profile, ...],
) -> S:
    """Solve for mu until no profile has a lower minimum there that was missed."""
    for _ in range(ROUNDS):
        try:
            solution = solve()
        except FitFailedError:
            raise
        except NotFoundError:
            # A profile that changes from one minimum to another and back has no solution, but its lower envelope may.
            if not sum(profile.sweep() for profile in profiles):
                raise
            continue
        lowest = [profile.lowest_at(mu, thorough=thorough) for profile, mu, thorough in where(solution)]
        if all(lowest):
            return solution
    raise NotFoundError(f"lower minima were found at the solution in each of {ROUNDS} rounds")


class _Curve:
    """A growing function of mu >= 0, zero at zero, inverted with few evaluations.

    Each evaluation is a fit, so every one is kept, and the next guess is the inverse polynomial through the
    nearest known points, held inside the bracket. What is not found, or does not grow, is an error that names `what`.
    """

    def __init__(self, function: Callable[[float], float], what: str, *, limit: float = np.inf) -> None:
        self._function = function
        self._what = what
        self._limit = limit
        self._points = {0.0: 0.0}

    def __call__(self, mu: float) -> float:
        if mu not in self._points:
            self._points[mu] = self._function(mu)
        return self._points[mu]

    def know(self, mus: list[float]) -> None:
        """Evaluate where that costs nothing."""
        for mu in mus:
            self(mu)

    def where(self, value: float, guess: float) -> float:
        """Return mu where the function is `value`; `guess` is tried first if nothing is known."""
        if len(self._points) > 1:
            guess = self._guess(value, guess)
        for attempt in range(ATTEMPTS):
            guess = min(guess, self._limit)
            if abs(self(guess) - value) < PRECISION:
                solution = self._solution(value, guess)
                if solution is not None:
                    return solution
            guess = self._guess(value, guess, bisect=attempt > USUAL)
        raise NotFoundError(
            f"the {self._what} was not found in {ATTEMPTS} steps; the last was mu = {guess:.6g}, where the test gives "
            f"{self(min(guess, self._limit)):.6g} instead of {value:.6g}"
        )

    def _solution(self, value: float, guess: float) -> float | None:
        """Interpolate what is left of the difference; None where the curve is too flat to tell by its value alone."""
        below, above = self._bracket(value)
        if above - below <= NARROW * guess:
            return guess
        near = self._near(value)
        exact = _inverse(near, value)
        if not (below <= exact <= above and abs(exact - guess) <= NEAR * guess):
            return None
        agree = abs(_inverse(near[:-1], value) - exact) <= AGREE * exact
        return exact if agree or abs(self(guess) - value) < AGREE else None

    def _bracket(self, value: float) -> tuple[float, float]:
        """Largest mu known to lie below the value, and the smallest known to lie above it.

        Raises
        ------
        NotFoundError
            If they are the wrong way round: then the curve falls somewhere.
        """
        below = max(m for m, v in self._points.items() if v <= value)
        above = min((m for m, v in self._points.items() if v > value), default=np.inf)
        if above < below:
            raise NotFoundError(
                f"the {self._what} is not unique: the test exceeds {value:.6g} at mu = {above:.6g} and does not at "
                f"{below:.6g}"
            )
        return below, above

    def _near(self, value: float) -> list[tuple[float, float]]:
        return sorted(self._points.items(), key=lambda p: abs(p[1] - value))[:4]

    def _guess(self, value: float, last: float, *, bisect: bool = False) -> float:
        below, above = self._bracket(value)
        guess = np.nan if bisect else _inverse(self._near(value), value)
        if below < guess < above:
            return min(guess, self._limit, max(4 * below, guess / 4))
        if np.isinf(above):
            return min(2 * max(below, last), self._limit)
        return 0.5 * (below + above)


def _inverse(points: list[tuple[float, float]], value: float) -> float:
    """Lagrange's polynomial for mu as a function of the value."""
    total = 0.0
    for i, (mu, v) in enumerate(points):
        others = [w for k, (_, w) in enumerate(points) if k != i]
        if v in others:
            return np.nan
        total += mu * float(np.prod([(value - w) / (v - w) for w in others]))
    return total


def cls(q: float, asimov_q: float) -> tuple[float, float, float]:
    """Return CLs, CLs+b and CLb for an observed qtilde and that of the background Asimov set.

    Parameters
    ----------
    q : float
        qtilde_mu of the data, >= 0.
    asimov_q : float
        qtilde_mu of the background-only Asimov set, > 0 for a model that can tell.
    """
    if asimov_q <= 0:
        return 1.0, 1.0, 1.0
    root_q, root_a = np.sqrt(q), np.sqrt(asimov_q)
    shift = root_q - root_a if q <= asimov_q else (q - asimov_q) / (2 * root_a)
    above, below = float(ndtr(-(shift + root_a))), float(ndtr(-shift))
    return above / below if below > 0 else 0.0, above, below


def upper_limit(fitter: Fitter, free: Fit, background: Fit, *, level: float = 0.95) -> Limit:
    """Return the observed and expected upper limits on mu.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    free, background : Fit
        Fits with mu free and at mu = 0, of the same data.
    level : float
        Confidence level, between 0 and 1.

    Raises
    ------
    InputError
        If `level` is outside (0, 1).
    """
    if not 0 < level < 1:
        raise InputError(f"the confidence level is {level}; it must lie between 0 and 1")
    bands: dict[float, float | None] = dict.fromkeys(QUANTILES)
    observed: float | None = None
    try:
        _need(free, "fit of mu")
        _need(background, "fit at mu = 0")
        asimov_set = _Profile(fitter, asimov_postfit(fitter, background, 0.0), background)
        guess = _first_guess(fitter, background)

        def sensitivity(mu: float) -> float:
            return float(np.sqrt(max(0.0, 2 * asimov_set(mu).nll)))

        def band(n: int) -> float:
            curve = _Curve(sensitivity, "expected limit")
            curve.know(asimov_set.mus)
            # Where sqrt(q_A) is this, CLs of data n standard deviations up is 1 - level.
            value = float(n - ndtri((1 - level) * ndtr(n)))
            return curve.where(value, value * guess)

        def all_bands() -> dict[int, float]:
            return {n: band(n) for n in (0, -1, 1, -2, 2)}

        found = _settled(
            all_bands,
            lambda mus: [(asimov_set, mu, n == QUANTILES[-1]) for n, mu in mus.items()],
            (asimov_set,),
        )
        # From here on a failure concerns the observed limit alone.
        bands = {n: found[n] for n in QUANTILES}
        profile = _Profile(fitter, free.data, free)

        def exclusion(mu: float) -> float:
            q = max(0.0, 2 * (profile(mu).nll - free.nll)) if mu > free.mu else 0.0
            return -float(np.log(max(cls(q, sensitivity(mu) ** 2)[0], 1e-300)))

        def solve() -> float:
            curve = _Curve(exclusion, "observed limit")
            # At and below the fit the curve is zero.
            curve.know([mu for mu in profile.mus if mu > free.mu])
            return curve.where(-float(np.log(1 - level)), free.mu + found[0])

        solved = _settled(
            solve, lambda mu: [(profile, mu, True), (asimov_set, mu, False)], (profile, asimov_set)
        )
        observed, status = solved, "converged"
    except NotFoundError as failure:
        status = str(failure)
    return Limit(observed, bands[0], bands, level, status)


def exclusion(fitter: Fitter, free: Fit, background: Fit, mu: float) -> Tested:
    """Return CLs of one signal strength.

    Parameters
    ----------
    fitter : Fitter
        Of the model.
    free, background : Fit
        Fits with mu free and at mu = 0, of the same data.
    mu : float
        Signal strength, >= 0.

    Raises
    ------
    InputError
        If `mu` is negative or not finite.
    """
    if not (np.isfinite(mu) and mu >= 0):
        raise InputError(f"mu is {mu}; a signal strength must be a finite number >= 0")
    try:
        _need(free, "fit of mu")
        _need(background, "fit at mu = 0")
        profiles = (
            _Profile(fitter, free.data, free),
            _Profile(fitter, asimov_postfit(fitter, background, 0.0), background),
        )

        def solve() -> tuple[float, float]:
            q = max(0.0, 2 * (profiles[0](mu).nll - free.nll)) if mu > free.mu else 0.0
            return q, max(0.0, 2 * profiles[1](mu).nll) if mu > 0 else 0.0

        q, q_asimov = _settled(
            solve, lambda _: [(profile, mu, True) for profile in profiles[mu <= free.mu :]], profiles
        )
    except NotFoundError as failure:
        return Tested(None, None, None, (), None, None, str(failure))
    root = float(np.sqrt(q_asimov))
    expected = tuple(float(ndtr(-(root - n)) / ndtr(n)) for n in QUANTILES)
    return Tested(*cls(q, q_asimov), expected, q, q_asimov, "converged")


def _first_guess(fitter: Fitter, background: Fit) -> float:
    """Return mu per unit of sqrt(q_A): one over the root of s^2/b summed over channels."""
    objective, model = fitter.objective, fitter.model
    _, signal = objective.rates(objective.initial)
    s = add_up(model.term_channel[model.signal], signal, objective.n_channels)
    variance = np.maximum(objective.expected(background.x), LEAST_BACKGROUND)
    return 1 / float(np.sqrt((s**2 / variance).sum()))
