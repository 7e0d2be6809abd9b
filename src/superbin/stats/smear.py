"""The smear: how an uncertain background mean depends on a standard normal ``z``.

Split log-normal (`mean`), with expected background ``b`` and uncertainty ``+up -down`` events:

* ``mu(z) = b (1 + up/b)^z`` for ``z >= 0``;
* ``mu(z) = b (1 - down/b)^(-z)`` for ``z < 0`` while ``down < 0.8 b``, otherwise ``max(0, b + z down)``;
* ``mu(z) = |z| up`` for ``b = 0``.

It is continuous in ``z``; it jumps in ``down`` at ``0.8 b`` and in ``b`` at zero, where the definition changes.
`superbin.stats.models.split_lognormal` makes an uncertainty model of it.
"""

import numpy as np
import numpy.typing as npt

from superbin.stats.arguments import FloatArray

__all__ = ["LINEAR_FROM", "is_linear", "log_slopes", "mean"]

LINEAR_FROM = 0.8
"""From ``down = 0.8 b`` on the downward branch is linear: a log-normal one would fall to nothing at one sigma."""


def is_linear(b: FloatArray, down: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell where the downward branch is ``max(0, b + z down)``."""
    return (b > 0) & ~(down < LINEAR_FROM * b)


def log_slopes(b: FloatArray, up: FloatArray, down: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slopes ``d ln mu / dz`` of the two log-normal branches.

    Returns
    -------
    tuple of two float64 arrays
        ``ln(1 + up/b)`` and ``-ln(1 - down/b)``; zero where ``b`` is zero, and for the linear branch.
    """
    positive = np.where(b > 0, b, 1.0)
    above = np.where(b > 0, _log1p_ratio(up, positive), 0.0)
    logarithmic = (b > 0) & ~is_linear(b, down)
    below = -np.log1p(-np.where(logarithmic, down / positive, 0.0))
    return above, below


def _log1p_ratio(up: FloatArray, b: FloatArray) -> FloatArray:
    """``ln(1 + up/b)`` also where the ratio leaves the float64 range."""
    with np.errstate(over="ignore"):
        ratio = up / b
    return np.where(np.isfinite(ratio), np.log1p(ratio), np.log(np.where(up > 0, up, 1.0)) - np.log(b))


def mean(z: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
    """Background mean ``mu(z)`` of the split log-normal, in events; all arguments broadcast."""
    above, below = log_slopes(b, up, down)
    with np.errstate(over="ignore"):
        logarithmic = b * np.exp(np.where(z >= 0, above, below) * z)
    linear = np.maximum(0.0, b + z * down)
    mu = np.where((z < 0) & is_linear(b, down), linear, logarithmic)
    return np.where(b > 0, mu, np.abs(z) * up)
