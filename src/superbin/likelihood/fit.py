"""Fits with a status: cold from every known branch, warm along mu.

`Fitter` compiles a model once and fits it to any data set. A likelihood may have several minima. The model may name
parameters in which they lie apart, and where both factors of a nuisance push the same way there may be one on either
side of zero; every fit visits them all and reports which one it ended in. A fit that does
not converge is returned with its status and a reason, and has no number: `Fit.nll` is NaN then.
"""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import Shown
from superbin.errors import InputError
from superbin.likelihood.blocks import Factor
from superbin.likelihood.data import Data
from superbin.likelihood.model import BoolArray, CountingModel, add_up
from superbin.likelihood.newton import Known, Minimum, Status, minimize
from superbin.likelihood.objective import LEAST_BACKGROUND, RIDGE, Objective, two_sided

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

__all__ = ["Fit", "Fitter", "control_start", "single_threaded"]

OUTWARDS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Values of a two-sided nuisance, each way from zero, among which a second minimum is sought."""

ACROSS = (-0.7, 0.0, 0.7)
"""Values from where the minima of a nuisance with bent factors are sought: one in the middle, one in either tail."""

ELSEWHERE = 0.35
"""A minimum nearer than this to one of them, in standard deviations, is the one that would be found."""

WAY, BELOW = (0.4, 0.6, 0.8, 1.0, 1.3), 0.25
"""Parts of the way there, and the part of the parabola's rise below which there may be another minimum."""

APART = 1e-3
"""Minima with nuisances nearer than this, in standard deviations, are the same."""

Branch: TypeAlias = tuple[tuple[int, float], ...]
"""Parameters, by position in x, with the values that lead to one minimum."""

REASONS: dict[Status, str] = {
    "converged": "",
    "iteration-limit": "the limit of Newton steps was reached",
    "no-descent": "no step along the Newton direction lowers the likelihood",
    "singular": "the Hessian is singular even when damped",
    "saddle": "the gradient vanishes where the likelihood has no minimum",
    "not-finite": "the likelihood is not finite at the start",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Fit(Shown):
    """One fit of all parameters, with or without mu.

    Attributes
    ----------
    status : str
        ``"converged"`` or why not; `reason` says it in words.
    nll : float
        Negative log-likelihood at the minimum, zero for perfect data; NaN unless converged.
    mu : float
        Signal strength, fitted or given; NaN unless converged.
    mu_error : float or None
        From the inverse Hessian; None where mu was given or is held at zero, and where the data do not determine it
        because a parameter without constraint scales the signal as mu does.
    x : array, shape (1 + n_parameters,)
        mu and the parameters of the model at the end, also of a fit that failed.
    iterations : int
        Newton steps, all branches together.
    projected_gradient : float
        Largest gradient component not held by a bound, in units of likelihood per natural unit of the parameter.
    at_bounds : tuple of str
        Parameters that end at a bound.
    branch : str
        Which of the known minima, such as ``"DYsysNj = -0.847"``; empty where the model names none.
    branch_nll : tuple of float
        The likelihood of every branch, and of further minima that were found, NaN where it failed.
    seconds : float
        Wall time.
    minima : tuple of Minimum
        Of all branches, the best first; where warm starts and covariances come from.
    data : Data
        What was fitted.
    """

    status: Status
    nll: float
    mu: float
    mu_error: float | None
    x: FloatArray
    iterations: int
    projected_gradient: float
    at_bounds: tuple[str, ...]
    branch: str
    branch_nll: tuple[float, ...]
    seconds: float
    minima: tuple[Minimum, ...]
    data: Data

    def _shown(self) -> tuple[str, dict[str, str]]:
        error = "" if self.mu_error is None else f" +- {self.mu_error:.3g}"
        return self.status, {
            "mu": f"{self.mu:.6g}{error}",
            "nll": f"{self.nll:.8g}",
            "iterations": str(self.iterations),
        }

    @property
    def ok(self) -> bool:
        """Whether it converged."""
        return self.status == "converged"

    @property
    def reason(self) -> str:
        """Why it did not converge; empty if it did."""
        return REASONS[self.status]


@cache
def _controller() -> "ThreadpoolController":
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def single_threaded() -> Iterator[None]:
    """Keep BLAS to one thread: on blocks this small, threads only wait for each other."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


class Fitter:
    """Fits one model to any data.

    Parameters
    ----------
    model : CountingModel
        The model.
    iterations : int
        Largest number of Newton steps per branch.
    """

    def __init__(self, model: CountingModel, *, iterations: int = 100) -> None:
        self.model = model
        self.objective = Objective(model)
        self.iterations = iterations
        self.observed = self.data()
        # Without constraint and acting on the signal alone, these mean nothing at mu = 0.
        acting = np.zeros(self.objective.n_parameters, dtype=bool)
        acting[1 + model.entry_parameter[~model.signal[model.entry_term]]] = True
        self.idle = ~acting & (self.objective.constrained == 0)
        self.idle[0] = False
        self._two_sided = 1 + two_sided(model)
        self._branches = tuple(
            tuple(zip([1 + model.position(name) for name in model.branches], values, strict=True))
            for values in itertools.product(*model.branches.values())
        )

    def data(self, counts: FloatArray | None = None, centres: FloatArray | None = None) -> Data:
        """Return a data set; by default what was observed. See `Objective.data`."""
        return self.objective.data(counts, centres)

    def fit(
        self,
        *,
        mu: float | None = None,
        data: Data | None = None,
        start: Fit | None = None,
        hold: Mapping[str, float] | None = None,
        explore: bool = True,
        branches: bool = True,
    ) -> Fit:
        """Fit all parameters.

        Parameters
        ----------
        mu : float, optional
            Hold the signal strength at this value >= 0; by default it is fitted, within mu >= 0.
        data : Data, optional
            By default the observed counts.
        start : Fit, optional
            An earlier fit of this fitter, of other data or another mu, to start from.
        hold : mapping of str to float, optional
            Parameters to hold at a value.
        explore : bool
            Whether to look for further minima of nuisances whose factors bend the likelihood.
        branches : bool
            Whether to look again for branches that ended in the same minimum in `start`; without, only the
            minima that it found are followed.

        Returns
        -------
        Fit
            Of the best branch. Check `Fit.ok`.

        Raises
        ------
        InputError
            If mu is negative or not finite.
        """
        if mu is not None and not (np.isfinite(mu) and mu >= 0):
            raise InputError(f"mu is {mu}; a signal strength must be a finite number >= 0")
        began = time.perf_counter()
        data = self.observed if data is None else data
        with single_threaded():
            held = {1 + self.model.position(name): value for name, value in (hold or {}).items()}
            minima = self._minima(mu, data, start, held, explore=explore, every=branches)
        best = min(minima, key=lambda m: (m.status != "converged", m.point.nll))
        ordered = (best, *(m for m in minima if m is not best))
        return self._result(
            mu, ordered, [m.point.nll if m.status == "converged" else np.nan for m in minima], data, began
        )

    def hessian(self, fit: Fit) -> Factor:
        """Return the Hessian at a converged fit, in the parameters that are not held.

        Raises
        ------
        InputError
            If the fit did not converge.
        """
        factor = self._exact(fit.minima[0], fit.data) if fit.ok else None
        if factor is None:
            raise InputError(f"errors need a converged fit; this one is {fit.status}: {fit.reason}")
        return factor

    def _exact(self, minimum: Minimum, data: Data) -> Factor | None:
        """Return the Hessian for errors: without the ridge, unless some direction has no curvature at all.

        Rounding may make a singular Hessian look positive definite; then its solutions change with a ridge.
        """
        exact = self._ridged(minimum, data, 0.0)
        ridged = self._ridged(minimum, data, RIDGE)
        if exact is None or ridged is None:
            return ridged
        probe = np.where(minimum.free, 1 / self.objective.unit, 0.0)
        one, other = exact.solve(probe), ridged.solve(probe)
        same = np.abs(one - other).max() <= 1e-3 * np.abs(other).max()
        return exact if same else ridged

    def _ridged(self, minimum: Minimum, data: Data, ridge: float) -> Factor | None:
        with single_threaded():
            curvature = self.objective.curvature(minimum.point, data, ridge=ridge)
            return self.objective.factor(curvature, minimum.free)

    def _mu_error(self, best: Minimum, data: Data) -> float | None:
        """Error of mu; None if a parameter of the signal alone can take its place, so that only the ridge limits it."""
        unit = np.zeros(best.point.x.size)
        unit[0] = 1.0
        hessian = self._exact(best, data)
        if hessian is None:
            return None
        variance = float(hessian.solve(unit)[0])
        if self.idle.any():
            firmer = self._ridged(best, data, 10 * RIDGE)
            if firmer is None or not variance <= 1.01 * float(firmer.solve(unit)[0]):
                return None
        return float(np.sqrt(variance))

    def _minima(
        self,
        mu: float | None,
        data: Data,
        start: Fit | None,
        hold: Mapping[int, float],
        *,
        explore: bool,
        every: bool,
    ) -> list[Minimum]:
        objective = self.objective
        fixed = np.zeros(objective.n_parameters, dtype=bool)
        # Without signal mu acts on nothing.
        fixed[0] = mu is not None or not self.model.signal.any()
        if mu == 0:
            fixed |= self.idle
        fixed[list(hold)] = True
        first = control_start(self, data, mu) if start is None else start.minima[0].point.x
        minima: list[Minimum] = []
        branches = self._branches
        if start is not None and not every:
            branches = tuple(b for b in branches if _earlier(start, b) is not None) or branches
        for branch in branches:
            x, near = self._start(
                branch, first, start, minima, mu if start is not None and start.data is data else None
            )
            if fixed[0]:
                x[0] = mu or 0.0
            if mu == 0:
                x[self.idle] = objective.initial[self.idle]
            x[list(hold)] = list(hold.values())
            minima.append(self._minimum(data, x, fixed, near))
        for further in self._further(start, branches):
            x = further.point.x.copy()
            if start is not None and start.data is data and fixed[0]:
                x = self._followed(further, start, mu or 0.0)
            if fixed[0]:
                x[0] = mu or 0.0
            if mu == 0:
                x[self.idle] = objective.initial[self.idle]
            x[list(hold)] = list(hold.values())
            minima.append(self._minimum(data, x, fixed, further.known))
        return minima + self._other_sides(data, minima, fixed) if explore else minima

    def _minimum(self, data: Data, x: FloatArray, fixed: BoolArray, near: Known | None) -> Minimum:
        objective = self.objective
        return minimize(
            objective,
            data,
            x,
            fixed=fixed,
            lower=objective.lower,
            upper=objective.upper,
            iterations=self.iterations,
            near=near,
        )

    def _other_sides(self, data: Data, minima: list[Minimum], fixed: BoolArray) -> list[Minimum]:
        """Fit from the other side of every two-sided nuisance, where the likelihood dips again on the way there."""
        found: list[Minimum] = []
        for j in self._two_sided[~fixed[self._two_sided]].tolist():
            ended = [m for m in (*minima, *found) if m.status == "converged"]
            if not ended:
                break
            best = min(ended, key=lambda m: m.point.nll)
            for side in (-1.0, 1.0) if abs(best.point.x[j]) < OUTWARDS[0] else (-np.sign(best.point.x[j]),):
                x = self._dip(data, best, j, float(side))
                if x is None:
                    continue
                other = self._minimum(data, x, fixed, None)
                if other.status == "converged" and all(self._apart(other, m) for m in ended):
                    found.append(other)
        return found + self._across(data, [*minima, *found], fixed)

    def _across(self, data: Data, minima: list[Minimum], fixed: BoolArray) -> list[Minimum]:
        """Fit from other values of every nuisance whose bent factors may give the likelihood a second minimum."""
        ended = [m for m in minima if m.status == "converged"]
        if not ended:
            return []
        n, named = len(ended), {j for branch in self._branches for j, _ in branch}
        tried: set[int] = set(np.flatnonzero(fixed).tolist()) | named
        while True:
            best = min(ended, key=lambda m: m.point.nll)
            left = [j for j in self.objective.bent(best.point).tolist() if j not in tried]
            if not left:
                return ended[n:]
            j = left[0]
            tried.add(j)
            for value in ACROSS:
                if abs(best.point.x[j] - value) < ELSEWHERE or not self._falls(data, best, j, value):
                    continue
                other = self._minimum(data, self._moved(best, j, value), fixed, None)
                if other.status == "converged" and all(self._apart(other, m) for m in ended):
                    ended.append(other)

    def _falls(self, data: Data, minimum: Minimum, j: int, value: float) -> bool:
        """Whether, on the way there, the likelihood falls far below the parabola of the minimum."""
        distance = value - minimum.point.x[j]
        if minimum.known is None or not minimum.known.free[j]:
            return True
        along = self._along(minimum.known, j)
        rise = 0.5 * distance**2 / along[j]
        for part in WAY:
            x = minimum.point.x + along * (part * distance / along[j])
            x = np.clip(x, self.objective.lower, self.objective.upper)
            if self.objective.nll(x, data) - minimum.point.nll < BELOW * part**2 * rise:
                return True
        return False

    def _along(self, known: Known, j: int) -> FloatArray:
        """How the parameters follow one nuisance to first order: its column of the covariance matrix."""
        unit = np.zeros(known.free.size)
        unit[j] = 1.0
        return np.where(known.free, known.factor.solve(unit), 0.0)

    def _moved(self, minimum: Minimum, j: int, value: float) -> FloatArray:
        """Move one nuisance, and the others along with it to first order."""
        x, known = minimum.point.x.copy(), minimum.known
        if known is not None and known.free[j]:
            along = self._along(known, j)
            x += along * ((value - x[j]) / along[j])
        x[j] = value
        return np.clip(x, self.objective.lower, self.objective.upper)

    def _further(self, start: Fit | None, branches: tuple[Branch, ...]) -> list[Minimum]:
        """Return minima of an earlier fit that belong to no branch."""
        if start is None:
            return []
        used = [m for m in (_earlier(start, branch) for branch in branches) if m is not None]
        further: list[Minimum] = []
        for minimum in start.minima:
            if minimum.status == "converged" and all(
                self._apart(minimum, other) for other in (*used, *further)
            ):
                further.append(minimum)
        return further

    def _apart(self, one: Minimum, other: Minimum) -> bool:
        """Whether two minima differ in a constrained nuisance; rates may differ that nothing determines."""
        shift = (one.point.x - other.point.x) * self.objective.constrained
        return bool(np.abs(shift).max(initial=0.0) > APART)

    def _dip(self, data: Data, best: Minimum, j: int, side: float) -> FloatArray | None:
        """Return the lowest point beyond a rise of the likelihood when one nuisance moves; None if it only rises."""
        x = best.point.x.copy()
        values, highest = [], best.point.nll
        for distance in OUTWARDS:
            x[j] = side * distance
            value = self.objective.nll(x, data)
            values.append(value if value < highest else np.inf)
            highest = max(highest, value)
        lowest = int(np.argmin(values))
        if not np.isfinite(values[lowest]):
            return None
        x[j] = side * OUTWARDS[lowest]
        return x

    def _start(
        self,
        branch: Branch,
        first: FloatArray,
        start: Fit | None,
        done: list[Minimum],
        mu: float | None,
    ) -> tuple[FloatArray, Known | None]:
        """Return the earlier minimum of this branch, or else the best other one moved to this branch.

        `mu` is given if the earlier minimum is one of the same data: then it is followed to that mu.
        """
        minimum = None if start is None else _earlier(start, branch)
        if minimum is not None:
            x = minimum.point.x.copy() if mu is None else self._followed(minimum, start, mu)
            return x, minimum.known
        ended = [m for m in done if m.status == "converged"]
        x = (ended[0].point.x if ended else first).copy()
        for j, value in branch:
            x[j] = value
        return x, None

    def _followed(self, minimum: Minimum, start: Fit | None, mu: float) -> FloatArray:
        """Move along the profile to another mu, to first order."""
        x = minimum.point.x
        if minimum.known is None or start is None or x[0] == mu:
            return x.copy()
        factor = minimum.known.factor
        unit = np.zeros(x.size)
        unit[0] = 1.0
        if minimum.free[0]:
            column = factor.solve(unit)
            slope = column / column[0]
        else:
            pull = self.objective.times(self.objective.curvature(minimum.point, start.data), unit)
            slope = -factor.solve(np.where(minimum.free, pull, 0.0))
        slope = np.where(minimum.free, slope, 0.0) * (mu - x[0])
        # A first-order step that leaves the neighbourhood is no help; mu itself goes where it is told.
        return x + slope if np.abs(slope[1:]).max(initial=0.0) < 1 else x.copy()

    def _result(
        self, mu: float | None, minima: tuple[Minimum, ...], branch_nll: list[float], data: Data, began: float
    ) -> Fit:
        best = minima[0]
        x, ok = best.point.x, best.status == "converged"
        moved = np.ones(x.size, dtype=bool)
        moved[0] = mu is None and bool(self.model.signal.any())
        names = ("mu", *(p.name for p in self.model.parameters))
        return Fit(
            status=best.status,
            nll=best.point.nll if ok else np.nan,
            mu=float(x[0]) if ok else np.nan,
            mu_error=self._mu_error(best, data) if ok and best.free[0] else None,
            x=x,
            iterations=sum(m.iterations for m in minima),
            projected_gradient=best.projected_gradient,
            at_bounds=tuple(names[j] for j in np.flatnonzero(moved & ~best.free)),
            branch=", ".join(
                f"{name} = {x[1 + self.model.position(name)]:.3f}" for name in self.model.branches
            ),
            branch_nll=tuple(branch_nll),
            seconds=time.perf_counter() - began,
            minima=minima,
            data=data,
        )


def _earlier(fit: Fit, branch: Branch) -> Minimum | None:
    """Return the minimum of an earlier fit that lies on the same side as a branch's start."""
    for minimum in fit.minima:
        if all(minimum.point.x[j] * value > 0 for j, value in branch):
            return minimum
    return None


def control_start(fitter: Fitter, data: Data, mu: float | None) -> FloatArray:
    """Return a first point: free rates as their control regions measure them, nuisances at their centres.

    A free rate starts at the count of the control region that measures it best, less the other processes there,
    over its own. mu, unless given, starts at the best linear estimate.
    """
    objective, model = fitter.objective, fitter.model
    x = np.where(objective.constrained > 0, data.auxiliary, objective.initial)
    terms = add_up(model.term_channel, model.rates * ~model.signal, len(model.channels))
    for j in np.flatnonzero(model.kinds == "free"):
        touched = model.entry_term[model.entry_parameter == j]
        touched = touched[(model.bins[model.term_channel[touched]] == -1) & ~model.signal[touched]]
        own = add_up(model.term_channel[touched], model.rates[touched], terms.size)
        if own.any():
            c = int(own.argmax())
            x[1 + j] = (data.counts[c] - terms[c] + own[c]) / own[c]
    x = np.clip(x, objective.lower, objective.upper)
    if mu is not None:
        x[0] = mu
        return x
    x[0] = 0.0
    rates, signal = objective.rates(x)
    background = add_up(model.term_channel, rates, terms.size)
    s = add_up(model.term_channel[model.signal], signal, terms.size)
    variance = np.maximum(background, LEAST_BACKGROUND)
    size = float((s**2 / variance).sum())
    x[0] = max(0.0, float((s * (data.counts - background) / variance).sum()) / size) if size > 0 else 0.0
    return x
