"""Profile likelihoods along one parameter and over two.

``q = 2 (NLL(held) - NLL(best fit))``, everything else fitted again. Each point starts from its neighbour, and once more from the neighbour on the
other side, so that a minimum that takes over along the way is not missed.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq

from superbin.errors import InputError
from superbin.likelihood.data import Data
from superbin.likelihood.engine import Engine, EngineFit
from superbin.results.likelihood import Scan, Surface

__all__ = ["RISES", "scan", "surface"]

RISES = (1.0, 3.841458820694124)
"""Rises of q at the ends of 68.3 and 95 % intervals."""

SAME = 1e-6

Progress = Callable[[int, int], None]


def scan(
    engine: Engine,
    parameter: str | None = None,
    *,
    values: Sequence[float] | None = None,
    points: int = 31,
    width: float = 3.0,
    data: Data | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Scan one parameter.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    parameter : str, optional
        By default the signal strength.
    values : sequence of float, optional
        Where to hold it; by default `points` over `width` standard deviations on either side of the best fit, within the bounds.
    points : int
        Number of default values, at least 2.
    width : float
        Half the default range, in standard deviations of the fit.
    data : Data, optional
        By default the observed data.
    progress : callable, optional
        Called with the number of fits done and to do.

    Raises
    ------
    InputError
        If the parameter is unknown or fixed, or a value is not finite.
    """
    name = parameter or _strength(engine)
    j = _position(engine, name)
    best = engine.fit(data=data)
    if not best.ok:
        return Scan(name, (), (), None, {}, f"best fit: {best.status}")
    held = sorted(_checked(values) if values is not None else _default(engine, best, j, points, width))
    profile = _Profile(engine, name, best, data)
    centre = float(best.x[j])
    # Outwards from the best fit, each from its neighbour.
    order = [v for v in held if v >= centre] + [v for v in held if v < centre][::-1]
    for i, value in enumerate(order):
        profile(value)
        if progress is not None:
            progress(i + 1, len(order))
    profile.sweep()
    lowest = min([best.height, *(f.height for f in profile.done.values() if f.ok)])
    doubts = list(best.doubts)
    if lowest < best.height - SAME:
        doubts.append(
            f"the scan found {2 * (best.height - lowest):.4g} below the best fit in 2 NLL; q counts from there"
        )
    q = tuple(2 * max(0.0, profile.done[v].height - lowest) if profile.done[v].ok else None for v in held)
    failed = sum(one is None for one in q)
    if failed:
        doubts.append(f"{failed} of {len(q)} fits failed")
    intervals = {rise: profile.interval(centre, rise, lowest, j) for rise in RISES}
    return Scan(name, tuple(held), q, centre, intervals, "converged", tuple(doubts))


def surface(
    engine: Engine,
    parameters: tuple[str, str],
    *,
    x: Sequence[float] | None = None,
    y: Sequence[float] | None = None,
    points: int = 15,
    width: float = 3.0,
    data: Data | None = None,
    progress: Progress | None = None,
) -> Surface:
    """Scan two parameters.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    parameters : (str, str)
        Their names.
    x, y : sequence of float, optional
        Where to hold the first and the second; by default as in `scan`.
    points, width, data, progress
        As of `scan`.

    Raises
    ------
    InputError
        As of `scan`, and if both are the same.
    """
    first, second = parameters
    if first == second:
        raise InputError(f"both parameters of the scan are {first!r}; name two")
    i, j = _position(engine, first), _position(engine, second)
    best = engine.fit(data=data)
    if not best.ok:
        return Surface(parameters, (), (), (), None, f"best fit: {best.status}")
    across = sorted(_checked(x) if x is not None else _default(engine, best, i, points, width))
    along = sorted(_checked(y) if y is not None else _default(engine, best, j, points, width))
    heights = np.full((len(across), len(along)), np.nan)
    done = 0
    before: EngineFit = best
    for a, value in enumerate(across):
        start = before
        # Back and forth, so that each point has a neighbour to start from.
        columns = range(len(along)) if a % 2 == 0 else range(len(along) - 1, -1, -1)
        for b in columns:
            fit = engine.fit(hold={first: value, second: along[b]}, data=data, start=start, thorough=False)
            if fit.ok:
                heights[a, b], start = fit.height, fit
            done += 1
            if progress is not None:
                progress(done, heights.size)
        before = start
    lowest = float(np.nanmin([best.height, *heights.ravel()]))
    doubts = list(best.doubts)
    if lowest < best.height - SAME:
        doubts.append(
            f"the scan found {2 * (best.height - lowest):.4g} below the best fit in 2 NLL; q counts from there"
        )
    if np.isnan(heights).any():
        doubts.append(f"{int(np.isnan(heights).sum())} of {heights.size} fits failed")
    q = tuple(tuple(None if np.isnan(h) else 2 * max(0.0, float(h) - lowest) for h in row) for row in heights)
    at = (float(best.x[i]), float(best.x[j]))
    return Surface(parameters, tuple(across), tuple(along), q, at, "converged", tuple(doubts))


class _Profile:
    """Fits with one parameter held, remembered, each started from the nearest."""

    def __init__(self, engine: Engine, name: str, best: EngineFit, data: Data | None) -> None:
        self._engine, self._name, self._best, self._data = engine, name, best, data
        self.done: dict[float, EngineFit] = {}

    def __call__(self, value: float) -> EngineFit:
        if value not in self.done:
            good = [v for v, fit in self.done.items() if fit.ok]
            start = self.done[min(good, key=lambda v: abs(v - value))] if good else self._best
            self.done[value] = self._fit(value, start)
        return self.done[value]

    def _fit(self, value: float, start: EngineFit, *, thorough: bool = False) -> EngineFit:
        fit = self._engine.fit(hold={self._name: value}, data=self._data, start=start, thorough=thorough)
        if fit.ok or thorough:
            return fit
        return self._engine.fit(hold={self._name: value}, data=self._data, start=start)

    def sweep(self) -> None:
        """Fit every point again from its neighbours where those have a lower minimum to offer."""
        values = sorted(self.done)
        for ordered in (values, values[::-1]):
            for before, value in itertools.pairwise(ordered):
                if not self.done[before].ok:
                    continue
                again = self._fit(value, self.done[before])
                if again.ok and not self.done[value].height <= again.height + SAME:
                    self.done[value] = again

    def interval(
        self, centre: float, rise: float, lowest: float, j: int
    ) -> tuple[float | None, float | None]:
        """Where q crosses a rise below and above the best fit; None where it does not within the bounds."""
        low, high = (float(ends[j]) for ends in self._engine.bounds)
        return self._end(centre, rise, lowest, -1.0, low), self._end(centre, rise, lowest, 1.0, high)

    def _end(self, centre: float, rise: float, lowest: float, sign: float, bound: float) -> float | None:
        def excess(value: float) -> float:
            fit = self(value)
            if not fit.ok:
                raise _FailedError
            return 2 * (fit.height - lowest) - rise

        known = sorted(
            (v for v, f in self.done.items() if sign * (v - centre) > 0 and f.ok), key=lambda v: sign * v
        )
        inner, outer = centre, None
        for value in known:
            if excess(value) > 0:
                outer = value
                break
            inner = value
        step = abs(inner - centre) or max(abs(centre), 1.0)
        try:
            while outer is None:
                if inner == bound or step > 1e6 * max(abs(centre), 1.0):
                    return None
                value = inner + sign * step
                value = min(value, bound) if sign > 0 else max(value, bound)
                if excess(value) > 0:
                    outer = value
                else:
                    inner, step = value, 2 * step
            if inner == centre and excess(centre) > 0:
                return None
            return float(
                brentq(excess, inner, outer, xtol=1e-7 * max(abs(outer - centre), 1e-300), rtol=1e-9)
            )
        except _FailedError:
            return None


class _FailedError(Exception):
    """A fit on the way failed."""


def _strength(engine: Engine) -> str:
    if engine.strength is None:
        raise InputError("the model has no signal strength; name the parameter to scan")
    return engine.strength


def _position(engine: Engine, name: str) -> int:
    if name not in engine.parameters:
        import difflib

        near = difflib.get_close_matches(name, engine.parameters, n=3)
        raise InputError(
            f"the model has no parameter {name!r}; similar names: {', '.join(near) or 'nothing'}"
        )
    j = engine.parameters.index(name)
    if engine.fixed[j] and name != engine.strength:
        raise InputError(f"parameter {name!r} is fixed in the model; it cannot be scanned")
    return j


def _checked(values: Sequence[float]) -> list[float]:
    found = [float(v) for v in values]
    if not found or not np.isfinite(found).all():
        raise InputError(f"the scan has the values {found}; give finite numbers, at least one")
    return sorted(set(found))


def _default(engine: Engine, best: EngineFit, j: int, points: int, width: float) -> list[float]:
    if points < 2 or not width > 0:
        raise InputError(
            f"the scan has {points} points over {width} standard deviations; give at least 2 and more than 0"
        )
    low, high = (float(ends[j]) for ends in engine.bounds)
    if engine.parameters[j] == engine.strength:
        high = np.inf
    size = _size(engine, best, j)
    centre = float(best.x[j])
    ends = max(low, centre - width * size), min(high, centre + width * size)
    return [float(v) for v in np.linspace(*ends, points)]


def _size(engine: Engine, best: EngineFit, j: int) -> float:
    """Standard deviation of the fit; where there is none, of the constraint, or where q of a single parameter rises by one."""
    try:
        variance = float(engine.covariance(best)[j, j])
    except InputError:
        variance = 0.0
    if variance > 0:
        return float(np.sqrt(variance))
    if np.isfinite(engine.widths[j]):
        return float(engine.widths[j])
    size, x = 1.0, best.x.copy()
    low, high = (float(ends[j]) for ends in engine.bounds)
    for _ in range(60):
        moved = x.copy()
        moved[j] = min(max(x[j] + (size if x[j] < high else -size), low), high)
        rise = engine.nll(moved, data=best.data) - best.nll
        if 0.05 < rise < 5 or not np.isfinite(rise) or rise <= 0:
            break
        size *= 0.5 if rise >= 5 else 2.0
    return size
