"""The uncertainty models: how the background mean is distributed around its expectation ``b``.

========================  ========================================================================================
name                      distribution of the mean
========================  ========================================================================================
``split-lognormal``       the original tool's, see `superbin.stats.smear`; ``b >= 0``
``lognormal``             ``b (1 + sigma/b)^z``, ``sigma = (up + down)/2``; ``b > 0`` unless sigma is zero
``gaussian``              normal with width ``up`` above and ``down`` below ``b``, truncated at zero [1]_ (Z_N, there with
                          one width); a half-normal of width ``up`` for ``b = 0``
``gamma``                 Gamma of shape ``b tau + 1`` and rate ``tau = b/sigma^2``, ``sigma = (up + down)/2``: the flat-prior
                          posterior of an off-source region with ``b tau`` counts, whose tail is Z_Bi of the on/off
                          problem [1]_; ``b > 0`` unless sigma is zero
``none``                  ``b``: plain Poisson, whatever ``up`` and ``down`` are
========================  ========================================================================================

.. [1] R. Cousins, J. Linnemann, J. Tucker, Nucl. Instrum. Meth. A 595 (2008) 480, doi:10.1016/j.nima.2008.07.086:
   equation 14 (Z_Bi), section 4 (Z_N).
"""

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from scipy import special

from superbin.errors import InputError, UnknownNameError
from superbin.stats import smear
from superbin.stats.arguments import FloatArray

__all__ = [
    "DEFAULT",
    "NAMES",
    "SMALLEST_SPREAD",
    "Branches",
    "branches",
    "check_model",
    "draw_means",
    "lowest_z",
    "mean_at",
    "on_off",
    "relative_width",
]

SMALLEST_SPREAD = 1e-9
"""A relative spread of a Gamma mean below this changes no p-value in the tenth digit."""

NAMES = ("split-lognormal", "lognormal", "gaussian", "gamma", "none")

DEFAULT = NAMES[0]
"""The original tool's; what every function takes unless told."""


@dataclass(frozen=True, slots=True)
class Branches:
    """A distribution of the mean as the quadrature needs it: two branches around a reference mean.

    Above the reference, P(mean >= m) is ``factor Phi(-z)``; below, P(mean < m) is
    ``vanishing + factor [Phi(z) - Phi(z at m = 0)]``.

    Attributes
    ----------
    reference : FloatArray
        Mean at z = 0, or a natural scale where the distribution is folded at zero.
    log_above, log_below : FloatArray
        ``d ln m/dz`` of a log-normal branch, zero where the branch is another.
    width_above, width_below : FloatArray
        ``dm/dz`` of a linear branch, zero where the branch is another.
    centre : FloatArray
        Mean at z = 0 of the linear branches.
    factor : FloatArray
        One over the probability that a truncation or a folding leaves; 1 otherwise.
    vanishing : FloatArray
        Probability of mean zero.
    """

    reference: FloatArray
    log_above: FloatArray
    log_below: FloatArray
    width_above: FloatArray
    width_below: FloatArray
    centre: FloatArray
    factor: FloatArray
    vanishing: FloatArray


def check_model(model: str, b: FloatArray, up: FloatArray, down: FloatArray) -> None:
    """Raise unless `model` exists and is defined for every row.

    Parameters
    ----------
    model : str
        A name, of `NAMES` if it is to pass.
    b, up, down : array
        Expected background and its uncertainties, in events: checked, of one shape.

    Raises
    ------
    UnknownNameError
        If there is no such model; the nearest name is told.
    InputError
        If ``b = 0`` has an uncertainty that the model takes relative to b: ``lognormal`` and ``gamma``.
    """
    if model not in NAMES:
        near = get_close_matches(str(model), NAMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of these."
        raise UnknownNameError(
            f"no uncertainty model is named {model!r}; there are {', '.join(NAMES)}: {hint}"
        )
    if model in {"lognormal", "gamma"}:
        bad = (b == 0) & (up + down > 0)
        if bad.any():
            raise InputError(
                f"b = 0 with up = {float(up[bad].flat[0]):g} has no {model} uncertainty, which is relative to b; "
                "use the model split-lognormal or gaussian"
            )


def _sigma(up: FloatArray, down: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (up + down))


def _ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """``a/b``, zero where ``a`` is."""
    return np.asarray(np.where(a > 0, a, 0.0) / np.where(a > 0, b, 1.0))


def relative_width(b: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
    """``(up + down)/2 b``, the relative width of the symmetric log-normal."""
    return _ratio(_sigma(up, down), b)


def on_off(b: FloatArray, up: FloatArray, down: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Off-source counts ``b tau`` and exposure ratio ``tau`` whose estimate is b with error ``(up + down)/2``."""
    sigma = _sigma(up, down)
    relative = b / sigma  # not sigma squared, which underflows first
    return np.asarray(relative * relative), np.asarray(relative / sigma)


def branches(model: str, b: FloatArray, up: FloatArray, down: FloatArray) -> Branches:
    """Describe `model` (any but ``gamma``) at each row; 1-D arguments, checked."""
    none = np.zeros(b.shape)
    one = np.ones(b.shape)
    if model == "none":
        return Branches(np.where(b > 0, b, 1.0), none, none, none, none, b, one, none)
    if model == "lognormal":
        above = np.log1p(_ratio(_sigma(up, down), b))
        return Branches(np.where(b > 0, b, 1.0), above, above, none, none, b, one, none)
    folded = b == 0
    reference = np.where(folded, np.where(up > 0, up, 1.0), b)
    if model == "gaussian":
        kept = special.ndtr(np.where(down > 0, _ratio(b, np.where(down > 0, down, 1.0)), np.inf))
        factor = np.where(folded, 2.0, 1 / kept)
        return Branches(reference, none, none, up, np.where(folded, up, down), b, factor, none)
    above, below = smear.log_slopes(b, up, down)
    linear = smear.is_linear(b, down)
    if not (linear.any() or folded.any()):
        return Branches(reference, above, below, none, none, b, one, none)
    width_below = np.where(folded, up, np.where(linear, down, 0.0))
    vanishing = np.where(linear, special.ndtr(-_ratio(b, np.where(linear, down, 1.0))), 0.0)
    return Branches(
        reference,
        above,
        below,
        np.where(folded, up, 0.0),
        width_below,
        b,
        np.where(folded, 2.0, 1.0),
        vanishing,
    )


def mean_at(model: str, z: FloatArray, b: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
    """Mean at a standard normal ``z`` (any model but ``none``); all arguments of one shape, from `lowest_z` on."""
    if model == "split-lognormal":
        return smear.mean(z, b, up, down)
    if model == "lognormal":
        with np.errstate(over="ignore"):
            return np.asarray(b * np.exp(np.log1p(_ratio(_sigma(up, down), b)) * z))
    if model == "gaussian":
        return np.asarray(np.where(b > 0, np.maximum(b + np.where(z > 0, up, down) * z, 0.0), np.abs(z) * up))
    raise NotImplementedError(model)


def lowest_z(
    model: str, b: FloatArray, up: FloatArray, down: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where the mean reaches zero on the way down.

    Returns
    -------
    tuple of three float64 arrays
        That ``z``, minus infinity where there is none and for ``b = 0`` where both signs of ``z`` mean the same;
        the probability of a vanishing mean beyond it; the logarithm of the probability that a truncation there leaves.
    """
    del up
    floor = np.full(b.shape, -np.inf)
    vanishing, log_kept = np.zeros(b.shape), np.zeros(b.shape)
    linear = smear.is_linear(b, down) if model == "split-lognormal" else (b > 0) & (model == "gaussian")
    i = np.flatnonzero(linear & (down > 0))
    floor[i] = -b[i] / down[i]
    if model == "gaussian":
        log_kept[i] = special.log_ndtr(-floor[i])
    else:
        vanishing[i] = special.ndtr(floor[i])
    return floor, vanishing, log_kept


def draw_means(
    model: str, random: np.random.Generator, size: int, b: FloatArray, up: FloatArray, down: FloatArray
) -> FloatArray:
    """Draw `size` background means; `b`, `up`, `down` of shape (1,), checked."""
    sharp = model == "gamma" and 0.5 * (up[0] + down[0]) <= SMALLEST_SPREAD * b[0]
    if model == "none" or sharp or (up[0] == 0 and down[0] == 0):
        return np.full(size, b[0])
    if model == "gamma":
        off, tau = on_off(b, up, down)
        return np.asarray(random.standard_gamma(off[0] + 1, size) / tau[0])
    if model == "gaussian" and b[0] > 0 and down[0] > 0:
        floor = float(special.ndtr(-b[0] / down[0]))
        z = special.ndtri(floor + (1 - floor) * random.random(size))
        return np.asarray(np.maximum(b + np.where(z > 0, up, down) * z, 0.0))
    if model == "split-lognormal":
        return smear.draw(random, size, b, up, down)
    z = random.standard_normal(size)
    if model == "gaussian":
        return np.asarray(b + np.where(b > 0, np.maximum(z, 0.0), np.abs(z)) * up)
    return np.asarray(b * np.exp(np.log1p(_sigma(up, down) / b) * z))
