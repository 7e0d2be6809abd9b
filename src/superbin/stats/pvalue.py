"""Exact one-bin p-values, by quadrature instead of toys.

Which to use: `midp` is what the original tool quotes, `tail` the conservative P(N >= n); both are prior-predictive
("hybrid"): the background mean is smeared as in `superbin.stats.smear`. `log_tail` and `log_midp` go on where
float64 underflows. `tail_significance` and `midp_significance` give Z on both sides, also where p rounds to one.
`significance` turns a p-value into Z, `significance_from_log` its natural logarithm.
The mathematics is in `superbin.stats.quadrature`.
"""

import numpy as np
from scipy import special

from superbin.stats import exact, single
from superbin.stats.arguments import FloatArray, FloatOrArray, Numbers, checked_yields, plain
from superbin.stats.models import check_model

__all__ = [
    "log_midp",
    "log_tail",
    "midp",
    "midp_significance",
    "significance",
    "significance_from_log",
    "tail",
    "tail_significance",
]


def _logs(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, model: str, *, mid: bool
) -> tuple[FloatArray, FloatArray]:
    """``ln p`` and ``ln(1 - p)`` in the broadcast shape."""
    one = single.log_p_value(n, b, up, down, model, mid=mid)
    if one is not None:
        return np.asarray(one[0]), np.asarray(one[1])
    arrays = checked_yields(n, b, up, down)
    check_model(model, *arrays[1:])
    flat = [array.ravel() for array in arrays]
    log_p, log_q = exact.log_p_values(model, *flat, mid=mid)
    return log_p.reshape(arrays[0].shape), log_q.reshape(arrays[0].shape)


def tail(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: str = "split-lognormal"
) -> FloatOrArray:
    """Probability of at least `n` events from background alone, P(N >= n).

    Parameters
    ----------
    n : array_like
        Count, real and >= 0. For real `n`, ``tail(n) = E[P(mu(z) >= Gamma_n)]`` with ``Gamma_n`` a Gamma variate
        of shape `n`; it is P(N >= n) at integers, and ``tail(0) = 1``.
    b, up, down : array_like
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    model : str
        Name of the uncertainty model.

    Returns
    -------
    float or ndarray
        In the broadcast shape; a Python float when all arguments are scalars.

    Raises
    ------
    InputError
        For NaN, infinite, negative or too large values, ``down > b``, or shapes that do not broadcast.
    UnknownNameError
        For an unknown model.
    """
    return plain(np.exp(_logs(n, b, up, down, model, mid=False)[0]))


def midp(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: str = "split-lognormal"
) -> FloatOrArray:
    """Mid-p-value P(N > n) + P(N = n)/2, continued to real `n` as ``(tail(n) + tail(n + 1))/2``.

    Arguments, result and errors as in `tail`.
    """
    return plain(np.exp(_logs(n, b, up, down, model, mid=True)[0]))


def log_tail(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: str = "split-lognormal"
) -> FloatOrArray:
    """Natural logarithm of `tail`, also where that underflows."""
    return plain(_logs(n, b, up, down, model, mid=False)[0])


def log_midp(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: str = "split-lognormal"
) -> FloatOrArray:
    """Natural logarithm of `midp`, also where that underflows."""
    return plain(_logs(n, b, up, down, model, mid=True)[0])


def tail_significance(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: str = "split-lognormal"
) -> FloatOrArray:
    """Z of `tail`: positive for an excess, negative for a deficit, minus infinity at ``n = 0`` where p is one."""
    return plain(_two_sided_z(*_logs(n, b, up, down, model, mid=False)))


def midp_significance(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: str = "split-lognormal"
) -> FloatOrArray:
    """Z of `midp`: positive for an excess, negative for a deficit."""
    return plain(_two_sided_z(*_logs(n, b, up, down, model, mid=True)))


def _two_sided_z(log_p: FloatArray, log_q: FloatArray) -> FloatArray:
    """Z from the smaller of the two tails."""
    excess = log_p <= log_q
    z = -special.ndtri_exp(np.where(excess, log_p, log_q))
    return np.asarray(np.where(excess, z, -z))


def significance(p: Numbers) -> FloatOrArray:
    """Z of a p-value, one-sided: the upper quantile of the unit normal (never ``ppf(1 - p)``)."""
    return plain(np.asarray(-special.ndtri(np.asarray(p, dtype=np.float64))))


def significance_from_log(log_p: Numbers) -> FloatOrArray:
    """Z of a p-value given by its natural logarithm; no underflow however small p is."""
    return plain(np.asarray(-special.ndtri_exp(np.asarray(log_p, dtype=np.float64))))
