"""Exact one-bin p-values, by quadrature instead of toys.

Which to use: `midp` is what the CMS Mini Analysis Tool quotes, `tail` the conservative P(N >= n); both are prior-predictive
("hybrid"): the background mean is smeared as its uncertainty model says. `log_tail` and `log_midp` go on where
float64 underflows. `tail_significance` and `midp_significance` give Z on both sides, also where p rounds to one. `tail_and_midp`
gives both with everything that is asked of them. `significance` turns a p-value into Z,
`significance_from_log` its natural logarithm. The mathematics is in `superbin.stats.quadrature`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from superbin.stats import exact, single
from superbin.stats.arguments import FloatOrArray, Numbers, checked_yields, plain
from superbin.stats.models import DEFAULT, ModelName, uncertainty

__all__ = [
    "Probability",
    "log_midp",
    "log_tail",
    "midp",
    "midp_significance",
    "significance",
    "significance_from_log",
    "tail",
    "tail_and_midp",
    "tail_significance",
]


@dataclass(frozen=True, slots=True)
class Probability:
    """A p-value with its complement, both in logarithms, so that neither side loses digits.

    Attributes
    ----------
    log_p, log_q : float or ndarray
        Natural logarithms of p and of 1 - p.

    Examples
    --------
    >>> half = Probability(np.log(0.5), np.log(0.5))
    >>> float(half.p), float(half.z)
    (0.5, 0.0)
    """

    log_p: FloatOrArray
    log_q: FloatOrArray

    @property
    def p(self) -> FloatOrArray:
        """The p-value."""
        return plain(np.exp(np.asarray(self.log_p)))

    @property
    def z(self) -> FloatOrArray:
        """Its significance, from the smaller of the two sides: negative for p above one half."""
        log_p, log_q = np.asarray(self.log_p), np.asarray(self.log_q)
        excess = log_p <= log_q
        z = -special.ndtri_exp(np.where(excess, log_p, log_q))
        return plain(np.asarray(np.where(excess, z, -z) + 0.0))


def _exact(n: Numbers, b: Numbers, up: Numbers, down: Numbers, model: ModelName, *, mid: bool) -> Probability:
    """The p-value in the broadcast shape."""
    one = single.log_p_value(n, b, up, down, model, mid=mid)
    if one is not None:
        return Probability(*one)
    count, *yields = checked_yields(n, b, up, down)
    held = uncertainty(model, *(a.ravel() for a in yields))
    log_p, log_q = exact.log_p_values(held, count.ravel(), mid=mid)
    return Probability(plain(log_p.reshape(count.shape)), plain(log_q.reshape(count.shape)))


def tail_and_midp(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: ModelName = DEFAULT
) -> tuple[Probability, Probability]:
    """Both exact p-values with their significances.

    Arguments and errors as in `tail`.

    Returns
    -------
    tuple of two Probability
        `tail` and `midp`.

    Examples
    --------
    >>> tail, midp = tail_and_midp(40, 25, 5, 5)
    >>> f"{tail.p:.4f} {tail.z:.3f}, {midp.p:.4f} {midp.z:.3f}"
    '0.0306 1.872, 0.0271 1.925'
    """
    return _exact(n, b, up, down, model, mid=False), _exact(n, b, up, down, model, mid=True)


def tail(n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: ModelName = DEFAULT) -> FloatOrArray:
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

    Examples
    --------
    >>> f"{tail(40, 25, 5, 5):.5f}"
    '0.03057'
    """
    return _exact(n, b, up, down, model, mid=False).p


def midp(n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: ModelName = DEFAULT) -> FloatOrArray:
    """Mid-p-value P(N > n) + P(N = n)/2, continued to real `n` as ``(tail(n) + tail(n + 1))/2``.

    Arguments, result and errors as in `tail`.

    Examples
    --------
    >>> f"{midp(40, 25, 5, 5):.6f}"
    '0.027115'
    """
    return _exact(n, b, up, down, model, mid=True).p


def log_tail(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: ModelName = DEFAULT
) -> FloatOrArray:
    """Natural logarithm of `tail`, also where that underflows.

    Examples
    --------
    >>> f"{log_tail(5000, 25, 5, 5):.1f}"
    '-424.0'
    """
    return _exact(n, b, up, down, model, mid=False).log_p


def log_midp(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: ModelName = DEFAULT
) -> FloatOrArray:
    """Natural logarithm of `midp`, also where that underflows.

    Examples
    --------
    >>> f"{log_midp(5000, 25, 5, 5):.1f}"
    '-424.0'
    """
    return _exact(n, b, up, down, model, mid=True).log_p


def tail_significance(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: ModelName = DEFAULT
) -> FloatOrArray:
    """Z of `tail`: positive for an excess, negative for a deficit, minus infinity at ``n = 0`` where p is one.

    Examples
    --------
    >>> f"{tail_significance(40, 25, 5, 5):.3f}"
    '1.872'
    """
    return _exact(n, b, up, down, model, mid=False).z


def midp_significance(
    n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: ModelName = DEFAULT
) -> FloatOrArray:
    """Z of `midp`: positive for an excess, negative for a deficit.

    Examples
    --------
    >>> f"{midp_significance(40, 25, 5, 5):.3f}"
    '1.925'
    """
    return _exact(n, b, up, down, model, mid=True).z


def significance(p: Numbers) -> FloatOrArray:
    """Z of a p-value, one-sided: the upper quantile of the unit normal (never ``ppf(1 - p)``).

    Examples
    --------
    >>> f"{significance(2.866516e-07):.3f}"
    '5.000'
    """
    return plain(np.asarray(-special.ndtri(np.asarray(p, dtype=np.float64))))


def significance_from_log(log_p: Numbers) -> FloatOrArray:
    """Z of a p-value given by its natural logarithm; no underflow however small p is.

    Examples
    --------
    >>> f"{significance_from_log(-1e4):.2f}"
    '141.38'
    """
    return plain(np.asarray(-special.ndtri_exp(np.asarray(log_p, dtype=np.float64))))
