"""Asymptotic discovery significance: the profile-likelihood ratio q0 of the split log-normal counting model.

The likelihood of a count ``n`` with signal ``s`` is ``Poisson(n | s + mu(z)) Normal(a | z, 1)``: the nuisance ``z`` of
`superbin.stats.smear` is constrained by its auxiliary measurement ``a`` (zero before any fit). This is pyhf's one-bin
workspace with one ``normsys`` in interpolation code 1, except on the linear branch of the smear and at ``b = 0``, which
no ``normsys`` describes.

Which to use: `asymptotic_z` for a count, `asimov_z` for the expected median [1]_, `fit_nuisance` for the conditional
fit a post-fit Asimov data set needs, `pull` for a quick look.

.. [1] G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, doi:10.1140/epjc/s10052-011-1554-0:
   equation 12 (q0), equation 52 (its significance), section 3.2 (the Asimov data set).
"""

import numpy as np
from scipy import special

from superbin.stats import smear
from superbin.stats.arguments import (
    FloatArray,
    FloatOrArray,
    Numbers,
    checked_auxiliary,
    checked_yields,
    plain,
)

__all__ = ["asimov_z", "asymptotic_z", "fit_nuisance", "pull", "q0"]


def q0(n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, auxiliary: Numbers = 0.0) -> FloatOrArray:
    """Discovery test statistic ``q0 = -2 ln [max_z L(0, z) / max_{s >= 0, z} L(s, z)]``, Cowan et al. equation 12.

    Parameters
    ----------
    n : array_like
        Count, real and >= 0 (an Asimov data set is not integer).
    b, up, down : array_like
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    auxiliary : array_like
        Measured value of the nuisance, the centre of its constraint.

    Returns
    -------
    float or ndarray
        Zero for ``n <= mu(auxiliary)``, as in pyhf; infinite for ``n > 0`` where no background is possible
        (``b = up = 0``).

    Raises
    ------
    InputError
        For values outside the domain or shapes that do not broadcast.
    """
    return plain(np.maximum(_signed_q(*_prepared(n, b, up, down, auxiliary)), 0.0))


def asymptotic_z(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, auxiliary: Numbers = 0.0
) -> FloatOrArray:
    """Signed asymptotic significance ``Z = sign(n - mu(auxiliary)) sqrt(-2 ln lambda(0))``.

    For an excess this is ``sqrt(q0)``, pyhf's number. For a deficit it is negative, from the same ratio without the
    bound ``s >= 0``, to be comparable with `superbin.stats.midp`; pyhf reports Z = 0, p = 0.5 for every deficit.
    Arguments and errors as in `q0`.
    """
    return plain(_root(_signed_q(*_prepared(n, b, up, down, auxiliary))))


def asimov_z(s: Numbers, b: Numbers, up: Numbers, down: Numbers, *, auxiliary: Numbers = 0.0) -> FloatOrArray:
    """Expected significance ``sqrt(q0)`` of the Asimov data set ``n = s + mu(auxiliary)``, Cowan et al. section 3.2.

    Pre-fit with ``auxiliary = 0``, hence ``n = s + b``; post-fit with the nuisance fitted to the observed count
    (`fit_nuisance`) as the auxiliary. `s` is the expected signal in events, >= 0; the rest is as in `q0`.
    """
    signal, background, upward, downward, centre = _prepared(s, b, up, down, auxiliary, name="s")
    n = signal + smear.mean(centre, background, upward, downward)
    return plain(_root(np.maximum(_signed_q(n, background, upward, downward, centre), 0.0)))


def pull(n: Numbers, b: Numbers, up: Numbers, down: Numbers) -> FloatOrArray:
    """Pull ``(n - b) / sqrt(b + sigma^2)``, with ``sigma = up`` for an excess and ``down`` for a deficit.

    Zero where ``n = b``; infinite where ``n > b = up = 0``.
    """
    count, background, upward, downward = checked_yields(n, b, up, down)
    sigma = np.where(count >= background, upward, downward)
    difference = count - background
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = difference / np.sqrt(background + sigma * sigma)
    return plain(np.where(difference == 0, 0.0, ratio))


def fit_nuisance(
    n: Numbers, signal: Numbers, b: Numbers, up: Numbers, down: Numbers, *, auxiliary: Numbers = 0.0
) -> FloatOrArray:
    """Nuisance ``z`` that maximises the likelihood of `n` at a fixed `signal` (zero: the background-only fit).

    Parameters
    ----------
    n, signal : array_like
        Count and signal expectation in events, real and >= 0.
    b, up, down, auxiliary : array_like
        As in `q0`.

    Returns
    -------
    float or ndarray
        The global maximum, to 1e-7 in ``z``; the auxiliary itself where the count says nothing about ``z``.
    """
    count, background, upward, downward, centre = _prepared(n, b, up, down, auxiliary)
    strength, count, background, upward, downward, centre = np.broadcast_arrays(
        _prepared(signal, b, up, down, auxiliary, name="signal")[0],
        count,
        background,
        upward,
        downward,
        centre,
    )
    return plain(conditional_fit(count, strength, background, upward, downward, centre)[0])


def _prepared(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, auxiliary: Numbers, *, name: str = "n"
) -> tuple[FloatArray, ...]:
    return checked_auxiliary(checked_yields(n, b, up, down, name=name), auxiliary)


def _root(signed: FloatArray) -> FloatArray:
    return np.asarray(np.copysign(np.sqrt(np.abs(signed)), signed))


def deviance(n: FloatArray, mean: FloatArray) -> FloatArray:
    """``-2 ln [Poisson(n | mean) / Poisson(n | n)]``, without cancellation near ``mean = n``; infinite at mean 0 < n."""
    positive = np.where(n > 0, n, 1.0)
    with np.errstate(divide="ignore", over="ignore"):
        excess = (mean - positive) / positive
        unit = excess - np.log1p(excess)
    return np.asarray(2 * np.where(n > 0, positive * unit, mean))


def _signed_q(
    n: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray, centre: FloatArray
) -> FloatArray:
    """``-2 ln lambda(0)``, with the sign of ``n - mu(centre)``; the nuisance profiled in closed form."""
    above, below = _profiled_above(n, b, up, centre), _profiled_below(n, b, up, down, centre)
    best = np.minimum(*(deviance(n, smear.mean(z, b, up, down)) + (z - centre) ** 2 for z in (above, below)))
    excess = np.sign(n - smear.mean(centre, b, up, down))
    return np.asarray(np.where(excess == 0, 0.0, excess * best))


def _lognormal_root(n: FloatArray, b: FloatArray, k: FloatArray, centre: FloatArray) -> FloatArray:
    """Solution of ``k (b e^{k z} - n) + z - centre = 0`` by Wright's omega function."""
    slope = np.where(k > 0, k, 1.0)
    reach = centre + slope * n
    with np.errstate(divide="ignore"):
        root = reach - special.wrightomega(2 * np.log(slope) + np.log(b) + slope * reach) / slope
    return np.asarray(np.where(k > 0, root, centre))


def _profiled_above(n: FloatArray, b: FloatArray, up: FloatArray, centre: FloatArray) -> FloatArray:
    """Best nuisance with ``z >= 0``."""
    k, _ = smear.log_slopes(b, up, np.zeros_like(b))
    half = 0.5 * (centre - up)
    z = np.where(b > 0, _lognormal_root(n, b, k, centre), half + np.sqrt(half * half + n))
    return np.asarray(np.maximum(z, 0.0))


def _profiled_below(
    n: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray, centre: FloatArray
) -> FloatArray:
    """Best nuisance with ``z <= 0``."""
    _, k = smear.log_slopes(b, up, down)
    width = np.where(down > 0, down, 1.0)
    half = 0.5 * (b + centre * width - width * width)
    linear = (half + np.sqrt(half * half + n * width * width) - b) / width
    linear = np.where((n == 0) & (linear * width <= -b), np.minimum(centre, -b / width), linear)
    logarithmic = _lognormal_root(n, b, k, centre)
    half = 0.5 * (centre + up)
    folded = half - np.sqrt(half * half + n)
    z = np.where(b > 0, np.where(smear.is_linear(b, down), linear, logarithmic), folded)
    return np.asarray(np.minimum(z, 0.0))


ZOOM_POINTS = 33
ZOOMS = 8


def conditional_fit(
    n: FloatArray, s: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray, centre: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Best nuisance at fixed signal and its ``-2 ln L`` (up to the saturated term); arrays of one shape.

    The minimiser lies between the centre and the ``z`` at which ``s + mu(z) = n``, and not farther out than the square
    root of the value at the centre. With a signal there can be two local minima, so the interval is searched by grids,
    each zooming into the cell around the best point.
    """

    def objective(z: FloatArray) -> FloatArray:
        mean = s[..., None] + smear.mean(z, b[..., None], up[..., None], down[..., None])
        return deviance(n[..., None], mean) + (z - centre[..., None]) ** 2

    target = smear.inverse(np.maximum(n - s, 0.0), b, up, down, negative=(b == 0) & (centre < 0))
    at_centre = objective(centre[..., None])[..., 0]
    reach = np.sqrt(np.minimum(at_centre, 1e30))
    target = np.clip(target, centre - reach, centre + reach)
    low, high = np.minimum(centre, target), np.maximum(centre, target)
    steps = np.linspace(0.0, 1.0, ZOOM_POINTS)
    for _ in range(ZOOMS):
        grid = low[..., None] + (high - low)[..., None] * steps
        best = np.argmin(objective(grid), axis=-1)[..., None]
        low = np.take_along_axis(grid, np.maximum(best - 1, 0), axis=-1)[..., 0]
        high = np.take_along_axis(grid, np.minimum(best + 1, ZOOM_POINTS - 1), axis=-1)[..., 0]
    z = np.take_along_axis(grid, best, axis=-1)
    return z[..., 0], objective(z)[..., 0]
