"""Adaptive Gauss-Legendre integration of many one-dimensional integrals at once, in logarithms.

Used where no special form of the integrand is known (`superbin.stats.counts`, `superbin.stats.limits`); the p-values have
their own, faster rule in `superbin.stats.quadrature`. Every panel tests itself by the highest Legendre coefficients
its nodes resolve, and is halved until they are small: for an analytic integrand the error of the rule is of the size
of the coefficient at twice the degree, which is far smaller than theirs.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.polynomial import legendre

from superbin.errors import InputError
from superbin.stats.arguments import FloatArray, Index

__all__ = ["Integrand", "log_integral", "narrowed"]

Integrand: TypeAlias = Callable[[Index, FloatArray], FloatArray]
"""Logarithm of the integrand of rows ``index`` at points of shape ``(len(index), nodes)``."""

DROP = 36.0
"""What lies this far below the maximum, in the logarithm, is left out: 1e-15 of the whole."""

NODES = 20
EDGES = np.array([0.0, *(4.0**-k for k in range(5, -1, -1))])
"""First panels, as parts of the span: finer towards its left end, where a narrow feature would hide between nodes."""

DOUBT = 1e-10
"""Largest size of a panel's highest Legendre coefficients relative to the whole integral.

For a resolved integrand the error would be near its square; but a cliff between two nodes shows only its own size.
"""

MOST_HALVINGS = 40

MOST_PANELS = 512
"""Panels per row that are halved at a time, far more than any known integrand needs."""

LAST_DIGIT = 1e-15
LOOKS = 10

_X, _W = legendre.leggauss(NODES)
_UNIT = 0.5 * (_X + 1)
_COLUMNS = np.column_stack(
    [
        0.5 * _W,
        *(0.5 * _W * np.sqrt(2 * j + 1) * legendre.Legendre.basis(j)(_X) for j in range(NODES - 3, NODES)),
    ]
)
_STEPS = np.linspace(0.0, 1.0, 33)


def narrowed(log_f: Integrand, left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Narrow the interval of each row to where its log-concave integrand is within `DROP` of the maximum."""
    every = np.arange(left.size)
    for _ in range(LOOKS):
        x = left[:, None] + (right - left)[:, None] * _STEPS
        height = log_f(every, x)
        inside = height > height.max(axis=1, keepdims=True) - DROP
        first = np.maximum(np.argmax(inside, axis=1) - 1, 0)
        last = np.minimum(_STEPS.size - np.argmax(inside[:, ::-1], axis=1), _STEPS.size - 1)
        left, right = (np.take_along_axis(x, i[:, None], axis=1)[:, 0] for i in (first, last))
        if (last - first > _STEPS.size // 4).all():
            break
    return left, right


def log_integral(
    log_f: Integrand,
    left: FloatArray,
    right: FloatArray,
    *,
    noise: FloatArray | float = 0.0,
) -> FloatArray:
    """Logarithm of the integral of each row from `left` to `right`; minus infinity where the integrand vanishes.

    `noise` is the relative rounding error of each row's integrand: no panel can be told to be better than that, nor is halved for it.

    Raises
    ------
    InputError
        When a panel does not converge, because what matters is narrower than the spacing of float64.
    """
    rows = left.size
    row = np.repeat(np.arange(rows), EDGES.size - 1)
    width = (right - left)[row] * np.tile(np.diff(EDGES), rows)
    start = left[row] + (right - left)[row] * np.tile(EDGES[:-1], rows)
    scale = np.full(rows, -np.inf)
    total = np.zeros(rows)
    allowed = np.maximum(np.broadcast_to(noise, rows), DOUBT)
    for _ in range(MOST_HALVINGS):
        height = log_f(row, start[:, None] + width[:, None] * _UNIT)
        top = np.full(rows, -np.inf)
        np.maximum.at(top, row, height.max(axis=1))
        higher = np.maximum(scale, top)
        base = np.where(np.isfinite(higher), higher, 0.0)
        total *= np.exp(np.where(np.isfinite(scale), scale - base, 0.0))
        scale = higher
        sums = (np.exp(height - base[row][:, None]) @ _COLUMNS) * width[:, None]
        whole = total + np.bincount(row, sums[:, 0], rows)
        # a logarithm is no better than its last digit, which is all there is to say where it is a million
        rounding = np.maximum(allowed, LAST_DIGIT * np.abs(base))
        doubtful = ~(np.abs(sums[:, 1:]).max(axis=1) <= (rounding * whole)[row])
        total += np.bincount(row[~doubtful], sums[~doubtful, 0], rows)
        if not doubtful.any():
            with np.errstate(divide="ignore"):
                return np.asarray(base + np.log(total))
        if np.count_nonzero(doubtful) > MOST_PANELS * rows:
            break
        row, width = np.repeat(row[doubtful], 2), np.repeat(0.5 * width[doubtful], 2)
        start = np.repeat(start[doubtful], 2)
        start[1::2] += width[1::2]
    raise InputError(
        f"an integral over the background converges nowhere near {start[0]:g}, where float64 does not resolve it; "
        "give a whole count or another uncertainty model"
    )
