"""Discovery significance, CLs and upper limits by asymptotic formulae.

Test statistics and their distributions: G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554,
doi:10.1140/epjc/s10052-011-1554-0: q0 (eq. 12), qtilde_mu (eq. 16) with the Asimov data set for its distribution (eqs. 62-66); CLs after
A. L. Read, J. Phys. G 28 (2002) 2693. The Asimov set expects exactly itself at the parameters of the fit at mu = 0 to the observed data,
auxiliary measurements included: pyhf's and Combine's common convention. Where those two part, superbin does this:

- mu is not negative here, as in Combine; pyhf takes the published bound of the parameter of interest, even if it is negative;
- an upper bound of the parameter of interest does not end the search for a limit, and a limit beyond it says so; pyhf raises there;
- of several minima the lowest counts, in every fit; both others take the one that their fit ends in.

Nothing here raises for a fit that fails: the value is None and the status says why.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError
from scipy.special import ndtr, ndtri

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood.data import Data
from superbin.likelihood.dense.fits import (
    SAME,
    Fit,
    fit,
    fit_pair,
    poi_position,
    symmetric_inverse,
)
from superbin.likelihood.dense.newton import Minimum, minimize
from superbin.likelihood.dense.objective import Objective
from superbin.likelihood.few import few_events
from superbin.likelihood.fit import single_threaded
from superbin.likelihood.found import Exclusion, Significance, UpperLimit

__all__ = ["Exclusion", "Significance", "UpperLimit", "exclusion", "significance", "upper_limit"]

QUANTILES = (-2, -1, 0, 1, 2)
"""Standard deviations of the expected limit's band."""

PRECISION = 1e-6
"""In units of sqrt(q) or -ln CLs, when solving for mu; one step of Newton more follows."""

LARGEST = 1e8
"""In units of the first guess, where the search for a limit gives up."""


class _FailedError(Exception):
    """Carries why there is no number to the function that reports it."""


class _LowerMinimumError(Exception):
    """A profile fell below the fit of mu; carries where."""

    def __init__(self, x: FloatArray) -> None:
        super().__init__("lower minimum")
        self.x = x


def _poi(objective: Objective) -> int:
    poi = poi_position(objective)
    if poi is None:
        raise InputError("the model has no parameter of interest, so there is nothing to set a limit on")
    return poi


def _pair(objective: Objective, random_starts: int) -> tuple[Fit, Fit, list[str]]:
    """Return the fits of mu >= 0 and at mu = 0, with what was done to the bounds."""
    poi, notes = _poi(objective), []
    name = objective.model.parameters[poi].name
    low, high = float(objective.lower[poi]), float(objective.upper[poi])
    if objective.fixed[poi]:
        notes.append(f"{name} is fixed in the published model and was freed")
    if low != 0:
        notes.append(f"{name} is kept at or above 0; its published lower bound is {low:g}")
    free, background = fit_pair(objective, random_starts=random_starts, poi_bounds=(0.0, high))
    if free.ok and free.mu is not None and free.mu >= high:
        notes.append(f"the fit of {name} reached its published bound {high:g} and was freed beyond it")
        free, background = fit_pair(objective, random_starts=random_starts, poi_bounds=(0.0, np.inf))
    _note_few(objective, background, notes)
    return free, background, notes


def _note_few(objective: Objective, background: Fit, notes: list[str]) -> None:
    """Say where asymptotic formulae are asked about few events."""
    if not background.ok:
        return
    x, without = background.x.copy(), objective.expected(background.x)
    x[_poi(objective)] = 1.0
    note = few_events(
        without * objective.model.counted, (objective.expected(x) - without) * objective.model.counted
    )
    if note:
        notes.append(note)


def _doubts(notes: list[str], *fits: tuple[str, Fit]) -> tuple[str, ...]:
    return (*notes, *(f"{what}: {doubt}" for what, f in fits for doubt in f.doubts))


def significance(objective: Objective, *, random_starts: int = 4) -> Significance:
    """Return q0 and its square root.

    Parameters
    ----------
    objective : Objective
        The compiled model.
    random_starts : int
        As of `superbin.likelihood.dense.fits.fit`.

    Raises
    ------
    InputError
        If the model has no parameter of interest.
    """
    free, background, notes = _pair(objective, random_starts)
    doubts = _doubts(notes, ("fit of mu", free), ("fit at mu = 0", background))
    if not free.ok:
        return Significance(None, None, None, None, f"fit of mu: {free.status}", doubts)
    if not background.ok:
        if background.status.startswith("not-finite: bin"):
            note = f"mu = 0 is impossible ({background.status.removeprefix('not-finite: ')})"
            return Significance(np.inf, np.inf, 0.0, free.mu, "converged", (*doubts, note))
        return Significance(None, None, None, free.mu, f"fit at mu = 0: {background.status}", doubts)
    q0 = max(0.0, 2 * (background.height - free.height))
    z = float(np.sqrt(q0))
    return Significance(q0, z, float(ndtr(-z)), free.mu, "converged", doubts)


class _Profile:
    """Fits at given mu of one data set, remembered; every known minimum is followed along mu.

    Parameters
    ----------
    reference : float
        Height of the lowest minimum over mu.
    seeds : list of array
        Parameters of known minima.
    """

    def __init__(self, objective: Objective, data: Data, reference: float, seeds: list[FloatArray]) -> None:
        self._objective, self._data, self._poi = objective, data, _poi(objective)
        self.reference = reference
        self._seeds = seeds
        self._fixed = objective.fixed.copy()
        self._fixed[self._poi] = True
        self._done: dict[float, list[Minimum]] = {}

    def lowest(self, mu: float) -> Minimum:
        """The lowest minimum at mu."""
        if mu not in self._done:
            self._done[mu] = self._fit(mu)
            if self._done[mu][0].height < self.reference - SAME:
                raise _LowerMinimumError(self._done[mu][0].point.x)
        return self._done[mu][0]

    def root(self, mu: float) -> tuple[float, float]:
        """Sqrt(q) and its slope in mu; the slope of a profile is that at fixed other parameters."""
        minimum = self.lowest(mu)
        root = float(np.sqrt(max(0.0, 2 * (minimum.height - self.reference))))
        slope = float(minimum.point.gradient[self._poi])
        return root, slope / root if root > 0 else np.nan

    def q(self, mu: float) -> float:
        """2 NLL above the fit of mu, without the condition on mu hat."""
        return max(0.0, 2 * (self.lowest(mu).height - self.reference))

    def _fit(self, mu: float) -> list[Minimum]:
        found: list[Minimum] = []
        status = ""
        starts = [self._moved(m, mu) for m in self._nearest(mu)] or []
        # All starts once more while few fits are done, then only those that were distinct minima.
        if len(self._done) < 2:
            starts += self._seeds
        for start in starts:
            x = start.copy()
            x[self._poi] = mu
            minimum = minimize(
                self._objective, self._data, x, fixed=self._fixed, lower=self._objective.lower, upper=self._objective.upper
            )  # fmt: skip
            status = minimum.status if minimum.status != "converged" else status
            if minimum.status == "converged" and not any(self._same(minimum, m) for m in found):
                found.append(minimum)
        if not found:
            again = fit(self._objective, mu=mu, data=self._data, seeds=[("known", s) for s in self._seeds])
            if not again.ok:
                raise _FailedError(f"fit at mu = {mu:.6g}: {again.status or status}")
            found = [m._minimum for m in again.minima]
        return sorted(found, key=lambda m: m.height)

    def _same(self, one: Minimum, other: Minimum) -> bool:
        return abs(one.height - other.height) < SAME and (
            float(np.abs((one.point.x - other.point.x) / self._objective.width_or_one).max()) < 0.01
        )

    def _nearest(self, mu: float) -> list[Minimum]:
        if not self._done:
            return []
        return self._done[min(self._done, key=lambda m: abs(m - mu))]

    def _moved(self, minimum: Minimum, mu: float) -> FloatArray:
        """Move along the profile to another mu, to first order."""
        x = minimum.point.x.copy()
        inverse = symmetric_inverse(minimum.hessian, minimum.free)
        if inverse is None:
            return x
        slope = -inverse @ minimum.hessian[:, self._poi]
        step = slope * (mu - x[self._poi])
        # A first-order step that leaves the neighbourhood is no help.
        small = np.abs(step / self._objective.width_or_one).max(initial=0.0) < 1
        return x + step if small else x


class _Curve:
    """A growing function of mu >= 0, zero at zero, with slope, inverted with few evaluations."""

    def __init__(self, function: Callable[[float], tuple[float, float]]) -> None:
        self._function = function
        self._points: dict[float, tuple[float, float]] = {0.0: (0.0, np.nan)}

    def where(self, target: float, guess: float) -> float:
        """Return mu where the function is `target`."""
        largest = LARGEST * guess
        mu = guess if len(self._points) == 1 else self._proposal(target, guess)
        for _ in range(100):
            if mu not in self._points:
                self._points[mu] = self._function(mu)
            value, slope = self._points[mu]
            if abs(value - target) < PRECISION and slope > 0:
                return mu + (target - value) / slope
            low, high = self._bracket(target)
            if np.isfinite(high) and high - low <= 1e-12 * high:
                return mu
            if np.isinf(high) and low > largest:
                raise _FailedError(f"no limit: the data do not constrain mu below {low:.3g}")
            mu = self._proposal(target, guess)
        return mu

    def _bracket(self, target: float) -> tuple[float, float]:
        low = max(m for m, (v, _) in self._points.items() if v <= target)
        return low, min((m for m, (v, _) in self._points.items() if v > target and m > low), default=np.inf)

    def _proposal(self, target: float, guess: float) -> float:
        low, high = self._bracket(target)
        near = min(self._points, key=lambda m: abs(self._points[m][0] - target))
        value, slope = self._points[near]
        mu = near + (target - value) / slope if slope > 0 else np.nan
        if np.isinf(high):
            return mu if low < mu < 4 * max(low, guess) else 2 * max(low, 0.5 * guess)
        hermite = self._hermite(low, high, target)
        for proposal in (hermite, mu):
            if low < proposal < high and proposal not in self._points:
                return proposal
        return 0.5 * (low + high)

    def _hermite(self, low: float, high: float, target: float) -> float:
        """Cubic for mu as function of the value through both ends with their slopes."""
        (a, sa), (b, sb) = self._points[low], self._points[high]
        if not (sa > 0 and sb > 0 and b > a):
            return np.nan
        t, h = (target - a) / (b - a), b - a
        return float(
            (1 + 2 * t) * (1 - t) ** 2 * low
            + t * (1 - t) ** 2 * h / sa
            + t**2 * (3 - 2 * t) * high
            + t**2 * (t - 1) * h / sb
        )


def _probabilities(q: float, asimov_q: float) -> tuple[float, float, float]:
    """Return CLs, CLs+b and CLb for an observed qtilde and that of the background Asimov set."""
    if asimov_q <= 0:
        return 1.0, 1.0, 1.0
    root_q, root_a = np.sqrt(q), np.sqrt(asimov_q)
    shift = root_q - root_a if q <= asimov_q else (q - asimov_q) / (2 * root_a)
    above, below = float(ndtr(-(shift + root_a))), float(ndtr(-shift))
    return above / below if below > 0 else 0.0, above, below


def _expected(root_asimov: float) -> tuple[float, ...]:
    return tuple(float(ndtr(-(root_asimov - n)) / ndtr(n)) for n in QUANTILES)


@dataclass(slots=True)
class _Setting:
    """Both profiles that a limit needs."""

    free: Fit
    background: Fit
    observed: _Profile
    asimov: _Profile
    notes: list[str]

    def lower(self, objective: Objective, x: FloatArray) -> None:
        """Take a minimum below the fit of mu for the fit of mu."""
        poi = _poi(objective)
        again = fit(
            objective,
            seeds=[("profile", x), ("fit of mu", self.free.x)],
            random_starts=0,
            poi_bounds=(0.0, np.inf),
        )
        if not again.ok or again.height > self.observed.reference - SAME:
            raise _FailedError(f"at mu = {x[poi]:.6g} there is a lower minimum than that of the fit of mu")
        self.notes.append("a lower minimum of the fit of mu was found while mu was followed, and taken")
        self.free = again
        self.observed = _observed_profile(objective, again, self.background)


def _observed_profile(objective: Objective, free: Fit, background: Fit) -> _Profile:
    seeds = [m.x for m in (*free.minima, *background.minima)]
    return _Profile(objective, free.data, free.height, seeds)


def _setting(objective: Objective, random_starts: int) -> _Setting:
    free, background, notes = _pair(objective, random_starts)
    for what, f in (("fit of mu", free), ("fit at mu = 0", background)):
        if not f.ok:
            raise _FailedError(f"{what}: {f.status}")
    # Parameters that act on the signal alone stay nominal: the fit at mu = 0 says nothing about them.
    data = objective.asimov(background.x)
    asimov = _Profile(objective, data, 0.0, [background.x, *(m.x for m in background.minima[1:]), free.x])
    return _Setting(free, background, _observed_profile(objective, free, background), asimov, notes)


def exclusion(objective: Objective, mu: float, *, random_starts: int = 4) -> Exclusion:
    """Return CLs of one signal strength, observed and expected.

    Parameters
    ----------
    objective : Objective
        The compiled model.
    mu : float
        Signal strength, >= 0.
    random_starts : int
        As of `superbin.likelihood.dense.fits.fit`.

    Raises
    ------
    InputError
        If `mu` is negative or not finite, or the model has no parameter of interest.
    """
    if not (np.isfinite(mu) and mu >= 0):
        raise InputError(f"mu is {mu}; a signal strength must be a finite number >= 0")
    try:
        with single_threaded():
            setting = _setting(objective, random_starts)
            q, q_asimov = _both(objective, setting, mu)
    except _FailedError as failure:
        return Exclusion(None, None, None, (), None, None, str(failure), (), None)
    cls, above, below = _probabilities(q, q_asimov)
    return Exclusion(
        cls,
        above,
        below,
        _expected(float(np.sqrt(q_asimov))),
        q,
        q_asimov,
        "converged",
        _doubts(setting.notes, ("fit of mu", setting.free), ("fit at mu = 0", setting.background)),
        setting.background.minima[0],
    )


def _both(objective: Objective, setting: _Setting, mu: float) -> tuple[float, float]:
    """Qtilde of the observed data and of the Asimov set."""
    if mu == 0:
        return 0.0, 0.0
    for _ in range(5):
        try:
            free_mu = setting.free.mu or 0.0
            q = setting.observed.q(mu) if mu > free_mu else 0.0
            return q, setting.asimov.q(mu)
        except _LowerMinimumError as found:
            setting.lower(objective, found.x)
    raise _FailedError(f"at mu = {mu:.6g} lower minima are found again and again")


def upper_limit(
    objective: Objective,
    *,
    level: float = 0.95,
    deviations: Sequence[float] = QUANTILES,
    random_starts: int = 4,
) -> UpperLimit:
    """Return the observed and expected upper limits on mu.

    Parameters
    ----------
    objective : Objective
        The compiled model.
    level : float
        Confidence level, between 0 and 1.
    deviations : sequence of float
        Standard deviations of the band. Combine's quantiles 0.025, 0.16, 0.84 and 0.975 are -1.960, -0.994, 0.994 and 1.960.
    random_starts : int
        As of `superbin.likelihood.dense.fits.fit`.

    Raises
    ------
    InputError
        If `level` is outside (0, 1) or the model has no parameter of interest.
    """
    if not 0 < level < 1:
        raise InputError(f"the confidence level is {level}; it must lie between 0 and 1")
    if not all(np.isfinite(n) and abs(n) < 8 for n in deviations):
        raise InputError(
            f"the band is asked for at {list(deviations)} standard deviations; they must lie within -8 and 8"
        )
    bands: dict[float, float | None] = dict.fromkeys(sorted({0, *deviations}))
    observed: float | None = None
    setting: _Setting | None = None
    status = "converged"
    try:
        with single_threaded():
            setting = _setting(objective, random_starts)
            curve = _Curve(setting.asimov.root)
            guess = _per_root(setting.asimov, objective)
            for n in sorted(bands, key=abs):
                # Where sqrt(q_A) is this, CLs of data n standard deviations up is 1 - level.
                value = float(ndtri(1 - (1 - level) * ndtr(n)) + n)
                bands[n] = curve.where(value, value * guess)
            observed = _observed_limit(objective, setting, level, bands[0] or guess)
    except _FailedError as failure:
        status = str(failure)
    except _LowerMinimumError:
        status = "a lower minimum of the Asimov set than the one that made it was found"
    if setting is None:
        return UpperLimit(None, None, bands, level, status, (), None, ())
    _note_bound(objective, setting.notes, [observed, *bands.values()])
    minima = setting.background.minima
    doubts = _doubts(setting.notes, ("fit of mu", setting.free), ("fit at mu = 0", setting.background))
    if len(minima) > 1:
        doubts = (
            *doubts,
            f"the Asimov set is that of the lowest minimum at mu = 0; the next is {minima[1].above:.4g} higher in 2 NLL",
        )
    return UpperLimit(observed, bands[0], bands, level, status, doubts, minima[0], minima[1:])


def _note_bound(objective: Objective, notes: list[str], limits: list[float | None]) -> None:
    poi = _poi(objective)
    beyond = [limit for limit in limits if limit is not None and limit > objective.upper[poi]]
    if beyond:
        parameter = objective.model.parameters[poi]
        notes.append(
            f"{len(beyond)} of the limits lie beyond the published bound {parameter.upper:g} of {parameter.name}, searched further up"
        )


def _observed_limit(objective: Objective, setting: _Setting, level: float, near: float) -> float:
    def function(mu: float) -> tuple[float, float]:
        """-ln CLs and its slope."""
        free_mu = setting.free.mu or 0.0
        root_a, slope_a = setting.asimov.root(mu)
        root, slope = setting.observed.root(mu) if mu > free_mu else (0.0, 0.0)

        def value(r: float, a: float) -> float:
            return -float(np.log(max(_probabilities(r * r, a * a)[0], 1e-300)))

        step = 1e-5
        by_root = (value(root + step, root_a) - value(max(root - step, 0.0), root_a)) / (
            step + min(step, root)
        )
        by_asimov = (value(root, root_a + step) - value(root, max(root_a - step, 0.0))) / (
            step + min(step, root_a)
        )
        slope = by_root * (slope if np.isfinite(slope) else 0.0)
        return value(root, root_a), slope + by_asimov * (slope_a if np.isfinite(slope_a) else 0.0)

    target = -float(np.log(1 - level))
    for _ in range(5):
        try:
            return _Curve(function).where(target, max(near, 1.1 * (setting.free.mu or 0.0)))
        except _LowerMinimumError as found:
            setting.lower(objective, found.x)
    raise _FailedError("lower minima of the fit of mu are found again and again")


def _per_root(profile: _Profile, objective: Objective) -> float:
    """Mu per unit of sqrt(q_A), from the curvature at mu = 0; one over the bound's tenth where there is none."""
    poi = _poi(objective)
    x = profile._seeds[0]
    hessian, _ = objective.hessian(objective.point(x, profile._data), profile._data)
    free = ~objective.fixed & (x > objective.lower) & (x < objective.upper)
    free[poi] = True
    try:
        inverse = symmetric_inverse(hessian, free)
    except (LinAlgError, ValueError):
        inverse = None
    if inverse is not None and inverse[poi, poi] > 0:
        return float(np.sqrt(inverse[poi, poi]))
    return 1.0
