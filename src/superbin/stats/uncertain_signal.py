"""P(N <= n) when the signal is uncertain, too: its mean is ``s e^(k y)`` with a standard normal y.

The average over y needs ``F(s) = ln P(N <= n | s + b)`` at hundreds of signals, and a limit needs the average at a dozen. Each F
is an integral itself (`superbin.stats.counts`), but a gentle function of s: analytic, and nearly a parabola as far
as it matters; only where the uncertainty is hundreds of Poisson spreads its two sides meet in what looks like a kink. So it is computed once, at Chebyshev points, as many as its coefficients need to fall below 1e-11, and the averages
are taken over the interpolating polynomial.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev
from scipy import fft

from superbin.errors import InputError
from superbin.stats.arguments import FloatArray, Index
from superbin.stats.counts import log_cdf_of
from superbin.stats.integration import EVEN, log_integral

__all__ = ["AtMost", "at_most"]

FARTHEST = 7.0
"""Standard deviations of the signal uncertainty that are integrated over."""

DEPTH = 80.0
"""Where F has fallen by this much, its part of the average is left out: 1e-35."""

UNTOUCHED = 1e-14
"""A fall of F that does not show."""

LARGEST_COUNT = 1e7
"""Events beyond which the interpolation may need more points than it has."""

LOOKS = 5
MOST_DOUBLINGS = 200
_STEPS = np.linspace(0.0, 1.0, 17)[:, None]

DEGREES = (32, 64, 128, 256, 512, 1024, 2048)
SMALL = 1e-11
"""Size of the last Chebyshev coefficients at which the interpolation is trusted."""

_LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True, slots=True)
class AtMost:
    """Probabilities of at most n events as functions of the signal, one per row.

    Attributes
    ----------
    alone : FloatArray
        Logarithm of the probability without signal.
    bottom, top : FloatArray
        Signals between which the interpolation holds; below, the probability is that without signal, beyond, it counts
        as zero.
    coefficients : FloatArray
        Of the Chebyshev polynomials on ``[bottom, top]``; shape (degree + 1, rows).
    """

    alone: FloatArray
    bottom: FloatArray
    top: FloatArray
    coefficients: FloatArray

    def log(self, index: Index, s: FloatArray) -> FloatArray:
        """``F(s)`` of the rows `index`; `s` of shape (len(index), points)."""
        bottom, top = self.bottom[index][:, None], self.top[index][:, None]
        x = np.clip(2 * (s - bottom) / (top - bottom) - 1, -1.0, 1.0)
        value = chebyshev.chebval(x, self.coefficients[:, index, None], tensor=False)
        return np.where(s <= top, np.where(s < bottom, self.alone[index][:, None], value), -np.inf)

    def log_average(self, index: Index, s: FloatArray, k: FloatArray) -> FloatArray:
        """``ln E[P(N <= n | s e^(k y) + b)]`` of the rows `index`; `s`, `k` one value each."""

        def height(rows: Index, y: FloatArray) -> FloatArray:
            shift = y - FARTHEST
            mean = s[rows, None] * np.exp(k[rows, None] * shift)
            return np.asarray(self.log(index[rows], mean) - 0.5 * shift * shift - _LOG_ROOT_2PI)

        return log_integral(height, np.zeros(s.size), np.full(s.size, 2 * FARTHEST), edges=EVEN)


def at_most(model: str, n: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray) -> AtMost:
    """Interpolate P(N <= n | s + b) in s; checked 1-D arguments of one length.

    Raises
    ------
    InputError
        When no degree suffices: above some 1e7 events, where a split uncertainty of thousands of Poisson spreads has a kink.
    """
    far = np.maximum(n, b) > LARGEST_COUNT
    if far.any():
        bad = int(np.argmax(far))
        raise InputError(
            f"n = {n[bad]:g}, b = {b[bad]:g}: the average over an uncertain signal holds up to {LARGEST_COUNT:g} events; "
            "give signal_uncertainty = 0"
        )
    alone = log_cdf_of(model, n, np.zeros_like(n), b, up, down)

    def fallen(i: Index, s: FloatArray, depth: float) -> npt.NDArray[np.bool_]:
        return np.asarray(log_cdf_of(model, n[i], s, b[i], up[i], down[i]) < alone[i] - depth)

    top = 3 + np.sqrt(n) + DEPTH
    i = np.arange(n.size)
    for _ in range(MOST_DOUBLINGS):
        i = i[~fallen(i, top[i], DEPTH)]
        if not i.size:
            break
        top[i] *= 2
    if i.size:
        raise _out_of_reach(n[i][0], up[i][0], down[i][0])
    bottom, top = _ends(lambda s: alone - _grid_of(model, s, n, b, up, down), top)
    coefficients = np.zeros((DEGREES[-1] + 1, n.size))
    left = np.arange(n.size)
    for degree in DEGREES:
        points = 0.5 * (1 + np.cos(np.pi * np.arange(degree + 1) / degree))
        s = bottom[left] + (top - bottom)[left] * points[:, None]
        values = _grid_of(model, s, n[left], b[left], up[left], down[left])
        found = _coefficients(values)
        coefficients[: degree + 1, left] = found
        left = left[~(np.abs(found[-4:]).max(axis=0) < SMALL * (1 + 1e-3 * np.abs(values).max(axis=0)))]
        if not left.size:
            used = int(np.flatnonzero(np.abs(coefficients).max(axis=1) > 0)[-1])
            return AtMost(alone, bottom, top, coefficients[: used + 1])
    raise _out_of_reach(n[left][0], up[left][0], down[left][0])


def _out_of_reach(n: float, up: float, down: float) -> InputError:
    return InputError(
        f"n = {n:g} with up = {up:g}, down = {down:g}: the uncertainty is so many times the Poisson "
        "spread that the average over the signal is out of reach; give signal_uncertainty = 0"
    )


def _grid_of(
    model: str, s: FloatArray, n: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray
) -> FloatArray:
    """F at signals of shape (points, rows)."""
    count, *yields = (np.tile(a, s.shape[0]) for a in (n, b, up, down))
    return log_cdf_of(model, count, s.ravel(), *yields).reshape(s.shape)


def _ends(fall: Callable[[FloatArray], FloatArray], top: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where the fall of F begins to show and where it is deep enough, on grids: it may be a thousandth of the way there."""
    bottom, every = np.zeros_like(top), np.arange(top.size)
    for _ in range(LOOKS):
        s = bottom + (top - bottom) * _STEPS
        fallen = fall(s)
        first = np.maximum(np.argmax(fallen > UNTOUCHED, axis=0) - 1, 0)
        last = np.argmax(fallen > DEPTH, axis=0)
        bottom, top = s[first, every], s[np.where(last == 0, _STEPS.size - 1, last), every]
        if (last - first > _STEPS.size // 3).all():
            break
    return bottom, top


def _coefficients(values: FloatArray) -> FloatArray:
    """Chebyshev coefficients from values at the points of the second kind, from +1 down."""
    degree = values.shape[0] - 1
    found: FloatArray = fft.dct(values, type=1, axis=0) / degree
    found[[0, -1]] *= 0.5
    return found
