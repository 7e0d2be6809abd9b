"""Fits from several starts: every minimum found is kept, and what is doubtful is said.

Published likelihoods have several minima (additive morphs are curved), and which one a fit ends in depends on where it starts. A fit
therefore starts from the model's own initial values, from whatever minima are known of a neighbouring problem, and from a few points drawn
from the constraints; the lowest end is the result, the others stay with it.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from superbin._support.arrays import FloatArray
from superbin._support.shown import Shown, number
from superbin.errors import InputError
from superbin.likelihood.data import Data
from superbin.likelihood.dense.newton import Minimum, minimize
from superbin.likelihood.dense.objective import BoolArray, Objective
from superbin.likelihood.fit import single_threaded
from superbin.likelihood.found import FoundMinimum

__all__ = ["Fit", "LocalMinimum", "fit", "fit_pair", "symmetric_inverse"]

SAME = 1e-6
"""Heights that differ by less are the same minimum."""

NEAR = 0.01
"""Parameters of one minimum agree within this, in standard deviations of their constraint or their scale."""

PATIENCE = 2
"""Rounds of random starts without anything new after which the search ends, once there is a second minimum."""

ENOUGH = 12
"""Rounds of random starts after which it ends anyway."""

FAR = 100.0
"""2 NLL above the fit of mu beyond which a fit at given mu is also approached in steps."""

CONTINUATION = 60
"""Steps by which a fit at a distant signal strength may be approached."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LocalMinimum(FoundMinimum):
    """A minimum with how it was reached."""

    _minimum: Minimum


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Fit(Shown):
    """The lowest minimum found, and what else there is to know.

    Attributes
    ----------
    status : str
        ``"converged"``, or why there is no result.
    nll : float
        Negative log-likelihood at the minimum with all constants, as pyhf's ``-logpdf``; NaN if the fit failed.
    mu, mu_error : float or None
        First signal strength and its standard deviation by the Hessian; the error is None where mu is held or at a bound.
    values : mapping of str to float
        All parameters; empty if the fit failed.
    at_bounds : tuple of str
        Parameters that ended at a bound.
    doubts : tuple of str
        What a reader of the numbers has to know: parameters at bounds, directions without curvature, other minima close by, starts that
        failed, negative expectations.
    minima : tuple of LocalMinimum
        All found, the lowest first.
    data : Data
        What was fitted.
    iterations : int
        Newton steps of all starts together.
    seconds : float
        Wall time.
    """

    status: str
    nll: float
    mu: float | None
    mu_error: float | None
    values: Mapping[str, float]
    at_bounds: tuple[str, ...]
    doubts: tuple[str, ...]
    minima: tuple[LocalMinimum, ...]
    data: Data
    iterations: int
    seconds: float

    def _shown(self) -> tuple[str, dict[str, str]]:
        error = "" if self.mu_error is None else f" +- {self.mu_error:.3g}"
        found = {"mu": number(self.mu) + error, "nll": f"{self.nll:.8g}", "parameters": str(len(self.values))}
        return self.status, found | ({"doubts": str(len(self.doubts))} if self.doubts else {})

    @property
    def ok(self) -> bool:
        """Whether a minimum was found."""
        return self.status == "converged"

    @property
    def x(self) -> FloatArray:
        """Parameters of the lowest minimum.

        Raises
        ------
        InputError
            If the fit failed.
        """
        if not self.minima:
            raise InputError(f"the fit has no parameters: {self.status}")
        return self.minima[0].x

    @property
    def height(self) -> float:
        """NLL above the saturated model; differences have all digits."""
        return self.minima[0]._minimum.height if self.minima else float("nan")

    @property
    def minimum(self) -> Minimum:
        """How the lowest minimum was reached."""
        return self.minima[0]._minimum


def poi_position(objective: Objective) -> int | None:
    """Position of the first signal strength, None if the model has none."""
    names = objective.model.signal_strengths
    return objective.model.position(names[0]) if names else None


def fit(
    objective: Objective,
    *,
    mu: float | None = None,
    data: Data | None = None,
    hold: Mapping[str, float] | None = None,
    seeds: Sequence[tuple[str, FloatArray]] = (),
    random_starts: int = 4,
    patience: int = 1,
    seed: int = 1,
    poi_bounds: tuple[float, float] | None = None,
    initial: bool = True,
) -> Fit:
    """Minimise over all parameters that are not held.

    Parameters
    ----------
    objective : Objective
        The compiled model.
    mu : float, optional
        Value at which the first signal strength is held.
    data : Data, optional
        By default the observed data.
    hold : mapping of str to float, optional
        Further parameters to hold.
    seeds : sequence of (str, array)
        Further starts, with a name for each.
    random_starts : int
        Points drawn from the constraints to start from as well, in each round.
    patience : int
        Rounds without anything new after which the search ends.
    seed : int
        Of these draws.
    poi_bounds : (float, float), optional
        Bounds of the signal strength in place of the model's.
    initial : bool
        Whether the model's initial values are a start; without, `seeds` must not be empty.

    Returns
    -------
    Fit
        Check `Fit.ok` and `Fit.doubts`.

    Raises
    ------
    InputError
        If a value is not finite, a name unknown, or mu is given without a signal strength.
    """
    began = time.perf_counter()
    data = objective.observed if data is None else data
    fixed, start, lower, upper = _frame(objective, mu, hold, poi_bounds)
    tried: list[tuple[str, Minimum]] = []
    with single_threaded():

        def run(starts: Iterable[tuple[str, FloatArray]]) -> None:
            for name, x in starts:
                known = [m for _, m in _converged(tried) if not m.flat]
                tried.append(
                    (name, minimize(objective, data, x, fixed=fixed, lower=lower, upper=upper, known=known))
                )

        run(
            [
                *([("initial values", start)] if initial else []),
                *((name, np.where(fixed, start, x)) for name, x in seeds),
            ]
        )
        draws = _draws(objective, data, tried, start, fixed, lower, upper, seed)
        # Where there are several minima there may be more: go on until nothing new was found for a while.
        idle, known = 0, 1
        while random_starts and idle < (patience if known == 1 else max(patience, PATIENCE)):
            lowest = _lowest(tried)
            run(islice(draws, random_starts))
            minima = _distinct(objective, _converged(tried), 0.0)
            idle = 0 if len(minima) > known or _lowest(tried) < lowest - SAME else idle + 1
            known = max(known, len(minima))
            if len(tried) >= ENOUGH * random_starts:
                break
    return _result(objective, data, fixed, lower, upper, tried, mu, began)


def _frame(
    objective: Objective,
    mu: float | None,
    hold: Mapping[str, float] | None,
    poi_bounds: tuple[float, float] | None,
) -> tuple[BoolArray, FloatArray, FloatArray, FloatArray]:
    """Return what is fixed, the first start and the bounds."""
    fixed, start = objective.fixed.copy(), objective.initial.copy()
    lower, upper = objective.lower.copy(), objective.upper.copy()
    held = {objective.model.position(name): value for name, value in (hold or {}).items()}
    poi = poi_position(objective)
    if mu is not None:
        if poi is None:
            raise InputError("the model has no parameter of interest; mu cannot be held")
        held[poi] = mu
        if mu == 0:
            fixed |= objective.idle(poi)
    for j, value in held.items():
        if not np.isfinite(value):
            raise InputError(
                f"{objective.model.parameters[j].name} is held at {value}; it must be a finite number"
            )
        fixed[j], start[j] = True, value
    if poi is not None and poi_bounds is not None:
        lower[poi], upper[poi] = poi_bounds
        fixed[poi] &= mu is not None
    return fixed, start, lower, upper


def _converged(tried: list[tuple[str, Minimum]]) -> list[tuple[str, Minimum]]:
    return [t for t in tried if t[1].status == "converged"]


def _lowest(tried: list[tuple[str, Minimum]]) -> float:
    return min((m.height for _, m in _converged(tried)), default=np.inf)


def _draws(
    objective: Objective,
    data: Data,
    tried: list[tuple[str, Minimum]],
    start: FloatArray,
    fixed: BoolArray,
    lower: FloatArray,
    upper: FloatArray,
    seed: int,
) -> Iterator[tuple[str, FloatArray]]:
    """Points spread as the constraints are; other parameters stay at the best fit so far."""
    generator = np.random.default_rng(seed)
    constrained = np.isfinite(objective.width) & ~fixed
    if not constrained.any():
        return
    positive = constrained & (lower >= 0) & (start > 0)
    relative = np.minimum(objective.width_or_one / np.where(positive, start, 1.0), 0.5)
    for i in count(1):
        converged = _converged(tried)
        known = min(converged, key=lambda t: t[1].height)[1].point.x if converged else start
        draw = generator.standard_normal(start.size)
        moved = np.where(positive, start * np.exp(relative * draw), start + objective.width_or_one * draw)
        # In turn about the initial values and about the best fit so far.
        moved = moved if i % 2 else known + moved - start
        x = np.where(constrained, np.clip(moved, lower, upper), known)
        for _ in range(30):
            if np.isfinite(objective.height(x, data)) or not converged:
                break
            x = 0.5 * (x + known)
        yield f"random {i}", x


def _result(
    objective: Objective,
    data: Data,
    fixed: BoolArray,
    lower: FloatArray,
    upper: FloatArray,
    tried: list[tuple[str, Minimum]],
    mu: float | None,
    began: float,
) -> Fit:
    names = [p.name for p in objective.model.parameters]
    constant = objective.constant(data)
    minima = _distinct(objective, _converged(tried), constant)
    iterations = sum(m.iterations for _, m in tried)
    if not minima:
        return Fit(
            status=_failure(objective, data, tried),
            nll=np.nan, mu=None, mu_error=None, values={}, at_bounds=(), doubts=(), minima=(), data=data,
            iterations=iterations, seconds=time.perf_counter() - began,
        )  # fmt: skip
    best, poi = minima[0]._minimum, poi_position(objective)
    x = best.point.x
    ended = ~fixed & ~best.free & ((x <= lower) | (x >= upper))
    at_bounds = tuple(names[j] for j in np.flatnonzero(ended))
    error = None
    if poi is not None and mu is None and best.free[poi]:
        inverse = symmetric_inverse(objective.hessian(best.point, data)[0], best.free)
        error = None if inverse is None else float(np.sqrt(inverse[poi, poi]))
    return Fit(
        status="converged",
        nll=minima[0].nll,
        mu=None if poi is None else float(x[poi]),
        mu_error=error,
        values=dict(zip(names, x.tolist(), strict=True)),
        at_bounds=at_bounds,
        doubts=tuple(_doubts(objective, best, minima, at_bounds, tried)),
        minima=minima,
        data=data,
        iterations=iterations,
        seconds=time.perf_counter() - began,
    )


def _distinct(
    objective: Objective, ended: list[tuple[str, Minimum]], constant: float
) -> tuple[LocalMinimum, ...]:
    groups: list[tuple[Minimum, list[str]]] = []
    for name, minimum in sorted(ended, key=lambda t: t[1].height):
        for known, starts in groups:
            close = abs(known.height - minimum.height) < SAME
            if close and (known.flat or _near(objective, known, minimum)):
                starts.append(name)
                break
        else:
            groups.append((minimum, [name]))
    lowest = groups[0][0].height if groups else 0.0
    return tuple(
        LocalMinimum(m.height + constant, 2 * (m.height - lowest), m.point.x, tuple(starts), m)
        for m, starts in groups
    )


def _near(objective: Objective, one: Minimum, other: Minimum) -> bool:
    size = np.where(np.isfinite(objective.width), objective.width, np.maximum(np.abs(one.point.x), 1.0))
    return bool((np.abs(one.point.x - other.point.x) < NEAR * size).all())


def _failure(objective: Objective, data: Data, tried: list[tuple[str, Minimum]]) -> str:
    last = tried[0][1]
    if all(m.status == "not-finite" for _, m in tried):
        bad = np.flatnonzero((data.counts > 0) & ~(last.point.expected > 0) & objective.model.counted)
        if bad.size:
            b = int(bad[0])
            return f"not-finite: bin {objective.model.bin_names[b]} expects {last.point.expected[b]:.4g} events where {data.counts[b]:.6g} were counted"
        return "not-finite: the likelihood has no finite value where the fit starts"
    return f"{last.status}: {len(tried)} starts, gradient {last.projected_gradient:.1e} per standard deviation after {last.iterations} steps"


def _doubts(
    objective: Objective,
    best: Minimum,
    minima: tuple[LocalMinimum, ...],
    at_bounds: tuple[str, ...],
    tried: list[tuple[str, Minimum]],
) -> Iterator[str]:
    if at_bounds:
        shown = ", ".join(at_bounds[:5]) + (f" and {len(at_bounds) - 5} more" if len(at_bounds) > 5 else "")
        yield f"at a bound: {shown}"
    if best.flat:
        yield "some direction of the parameters has no curvature: their values mean nothing"
    if len(minima) > 1:
        yield f"{len(minima)} minima found, the next {minima[1].above:.4g} higher in 2 NLL"
    failed = [name for name, m in tried if m.status not in {"converged", "not-finite"}]
    if failed:
        yield f"starts that did not converge: {', '.join(failed)}"
    negative = np.flatnonzero((best.point.expected < 0) & objective.model.counted)
    if negative.size:
        yield f"negative expectation in {objective.model.bin_names[int(negative[0])]}"


def symmetric_inverse(hessian: FloatArray, free: BoolArray) -> FloatArray | None:
    """Return the inverse in the free parameters, zero elsewhere; None if it is not positive definite."""
    index = np.flatnonzero(free)
    inverse = np.zeros_like(hessian)
    if not index.size:
        return inverse
    block = hessian[np.ix_(index, index)]
    try:
        factor = cho_factor(block, lower=True, check_finite=False)
    except LinAlgError:
        return None
    inverse[np.ix_(index, index)] = cho_solve(factor, np.eye(index.size), check_finite=False)
    return inverse


def fit_pair(
    objective: Objective,
    mu: float = 0.0,
    *,
    data: Data | None = None,
    random_starts: int = 4,
    seed: int = 1,
    poi_bounds: tuple[float, float] | None = None,
) -> tuple[Fit, Fit]:
    """Return the fit of mu and the fit at a given mu, each started from the other's minima as well.

    Parameters
    ----------
    objective : Objective
        The compiled model.
    mu : float
        Signal strength of the second fit.
    data, random_starts, seed, poi_bounds
        As of `fit`.
    """
    free = fit(objective, data=data, random_starts=random_starts, seed=seed, poi_bounds=poi_bounds)
    seeds = _seeds("fit of mu", free)
    held = fit(objective, mu=mu, data=data, seeds=seeds, random_starts=random_starts, seed=seed)
    if free.ok and not (held.ok and 2 * (held.height - free.height) < FAR):
        seeds = (*seeds, *_continued(objective, free, mu), *_seeds(f"fit at mu = {mu:g}", held))
        # So far from the data there tend to be many minima.
        held = fit(
            objective, mu=mu, data=data, seeds=seeds, random_starts=random_starts, patience=2 * PATIENCE, seed=seed + 1
        )  # fmt: skip
    # Whatever the second fit found may lead the first lower.
    again = fit(
        objective,
        data=data,
        seeds=(*_seeds("fit of mu", free), *_seeds(f"fit at mu = {mu:g}", held)),
        random_starts=0,
        poi_bounds=poi_bounds,
    )
    if again.ok and not (
        free.ok and free.height <= again.height + SAME and len(free.minima) >= len(again.minima)
    ):
        lower = not free.ok or again.height < free.height - SAME
        free = again
        if lower:
            seeds = (*_seeds("fit of mu", free), *_seeds(f"fit at mu = {mu:g}", held))
            held = fit(objective, mu=mu, data=data, seeds=seeds, random_starts=0)
    return free, held


def _seeds(name: str, fit_: Fit) -> tuple[tuple[str, FloatArray], ...]:
    return tuple((name if i == 0 else f"{name}, minimum {i + 1}", m.x) for i, m in enumerate(fit_.minima))


def _continued(objective: Objective, free: Fit, mu: float) -> tuple[tuple[str, FloatArray], ...]:
    """Approach a signal strength at which no start is possible, in steps from the fit of mu."""
    poi = poi_position(objective)
    if poi is None:
        return ()
    fixed = objective.fixed.copy()
    fixed[poi] = True
    x = free.x.copy()
    step = (mu - x[poi]) / 8
    for _ in range(CONTINUATION):
        trial = x.copy()
        trial[poi] = mu if abs(mu - x[poi]) <= abs(step) else x[poi] + step
        with single_threaded():
            minimum = minimize(
                objective,
                free.data,
                trial,
                fixed=fixed,
                lower=objective.lower,
                upper=objective.upper,
                iterations=30,
            )
        if minimum.status == "not-finite":
            step *= 0.5
            continue
        x = minimum.point.x
        if x[poi] == mu:
            return (("approached from the fit of mu", x),)
    return ()
