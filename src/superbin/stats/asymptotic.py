"""Asymptotic discovery significance: the profile-likelihood ratio q0 of the counting model.

The likelihood is that of `superbin.stats.profile`: a count, and an auxiliary measurement of the background. For the split
log-normal this is pyhf's one-bin workspace with one ``normsys`` in interpolation code 1, except on the linear branch of the smear and
at ``b = 0``, which no ``normsys`` describes; for ``gamma`` it is the on/off problem, whose Z is that of Li and Ma.

Which to use: `asymptotic_z` for a count, `asimov_z` for the expected median [1]_, `fit_nuisance` for the conditional
fit a post-fit Asimov data set needs, `pull` for a quick look.

.. [1] G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, doi:10.1140/epjc/s10052-011-1554-0:
   equation 12 (q0), equation 52 (its significance), section 3.2 (the Asimov data set).
"""

import numpy as np

from superbin.stats.arguments import (
    FloatArray,
    FloatOrArray,
    Numbers,
    checked_auxiliary,
    checked_yields,
    plain,
)
from superbin.stats.models import DEFAULT, ModelName, UncertaintyModel, known, uncertainty
from superbin.stats.profile import fit

__all__ = ["asimov_z", "asymptotic_z", "fit_nuisance", "pull", "q0", "signed_q"]


def q0(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    auxiliary: Numbers | None = None,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Discovery test statistic ``q0 = -2 ln [max L(0) / max_{s >= 0} L(s)]``, Cowan et al. equation 12.

    Parameters
    ----------
    n : array_like
        Count, real and >= 0 (an Asimov data set is not integer).
    b, up, down : array_like
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    auxiliary : array_like, optional
        Auxiliary measurement: the value of the normal nuisance, within +-40, by default 0; for ``gamma`` the off-source
        count, by default ``b tau``.
    model : str
        Name of the uncertainty model.

    Returns
    -------
    float or ndarray
        Zero for ``n`` up to the mean that the auxiliary measurement favours, as in pyhf; infinite for ``n > 0`` where no
        background is possible (``b = up = 0``). Relative error below 1e-12, and 1e-14 n at most in absolute terms.

    Raises
    ------
    InputError
        For values outside the domain or shapes that do not broadcast.
    UnknownNameError
        For an unknown model.

    Examples
    --------
    >>> round(q0(40, 25, 5, 5), 3)
    3.679
    """
    return plain(np.maximum(signed_q(*_prepared(n, b, up, down, auxiliary, model)), 0.0))


def asymptotic_z(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    auxiliary: Numbers | None = None,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Signed asymptotic significance, ``sqrt(q0)`` for an excess.

    For a deficit it is negative, from the same ratio without the bound ``s >= 0``, to be comparable with
    `superbin.stats.midp`; pyhf reports Z = 0, p = 0.5 for every deficit. Arguments and errors as in `q0`.

    Examples
    --------
    >>> round(asymptotic_z(40, 25, 5, 5), 3)
    1.918
    """
    return plain(_root(signed_q(*_prepared(n, b, up, down, auxiliary, model))))


def asimov_z(
    s: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    auxiliary: Numbers | None = None,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Expected significance ``sqrt(q0)`` of the Asimov data set, signal plus the favoured background, Cowan et al. section 3.2.

    Pre-fit with the default `auxiliary`, hence ``n = s + b``; post-fit with that of `fit_nuisance`.
    `s` is the expected signal in events, >= 0; the rest is as in `q0`.

    Examples
    --------
    >>> round(asimov_z(15, 25, 5, 5), 3)
    1.918
    """
    signal, centre, held = _prepared(s, b, up, down, auxiliary, model, name="s")
    n = signal + held.mean(centre)
    return plain(_root(np.maximum(signed_q(n, centre, held), 0.0)))


def pull(n: Numbers, b: Numbers, up: Numbers, down: Numbers) -> FloatOrArray:
    """Pull ``(n - b) / sqrt(b + sigma^2)``, with ``sigma = up`` for an excess and ``down`` for a deficit.

    Zero where ``n = b``; infinite where ``n > b = up = 0``.

    Examples
    --------
    >>> round(pull(40, 25, 5, 5), 3)
    2.121
    """
    count, background, upward, downward = checked_yields(n, b, up, down)
    sigma = np.where(count >= background, upward, downward)
    difference = count - background
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = difference / np.sqrt(background + sigma * sigma)
    return plain(np.where(difference == 0, 0.0, ratio))


def fit_nuisance(
    n: Numbers,
    signal: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    auxiliary: Numbers | None = None,
    model: ModelName = DEFAULT,
) -> FloatOrArray:
    """Auxiliary measurement that the best fit of `n` at a fixed `signal` expects (zero: the background-only fit).

    Parameters
    ----------
    n, signal : array_like
        Count and signal expectation in events, real and >= 0.
    b, up, down, auxiliary, model
        As in `q0`.

    Returns
    -------
    float or ndarray
        The normal nuisance at the global maximum of the likelihood, to 1e-7, the auxiliary itself where the count says nothing
        about it; for ``gamma`` the expected off-source count.

    Examples
    --------
    >>> round(fit_nuisance(40, 0, 25, 5, 5), 3)
    1.405
    """
    count, centre, held = _prepared(n, b, up, down, auxiliary, model)
    strength = _prepared(signal, b, up, down, auxiliary, model, name="signal")[0]
    return plain(fit(held, count, strength, centre).nuisance)


def _prepared(
    n: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    auxiliary: Numbers | None,
    model: ModelName,
    *,
    name: str = "n",
) -> tuple[FloatArray, FloatArray, UncertaintyModel]:
    """Count, auxiliary measurement and constraint, checked and of one shape."""
    given = checked_yields(n, b, up, down, name=name)
    if auxiliary is None:
        held = uncertainty(model, *given[1:])
        return given[0], held.nominal(), held
    count, *yields, centre = checked_auxiliary(given, auxiliary, *known(model).auxiliary_range)
    return count, centre, uncertainty(model, *yields)


def _root(signed: FloatArray) -> FloatArray:
    return np.asarray(np.copysign(np.sqrt(np.abs(signed)), signed))


def signed_q(n: FloatArray, centre: FloatArray, held: UncertaintyModel) -> FloatArray:
    """``-2 ln lambda(0)``, with the sign of the excess over the favoured background."""
    excess = np.sign(n - held.mean(centre))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(excess == 0, 0.0, excess * held.background_only(n, centre)[1]))
