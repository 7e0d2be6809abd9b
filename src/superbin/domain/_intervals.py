"""The confidence interval of a count, for the error bars of figures and the control regions of the likelihood."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincinv, ndtr

from superbin._support.arrays import FloatArray

__all__ = ["garwood_interval"]

_ONE = float(ndtr(1.0))
"""Probability up to one standard deviation of a normal variable."""


def garwood_interval(counts: ArrayLike) -> FloatArray:
    """Central 68.3 % confidence interval of the mean of a Poisson distribution.

    Parameters
    ----------
    counts : array_like, shape (...)
        Observed events, >= 0; they need not be whole.

    Returns
    -------
    ndarray, shape (2, ...)
        Lower and upper limits: quantiles of Gamma(n) and Gamma(n + 1); the lower limit of 0 events is 0 [1]_.

    References
    ----------
    .. [1] F. Garwood, Biometrika 28 (1936) 437, doi:10.1093/biomet/28.3-4.437.
    """
    n = np.asarray(counts, dtype=np.float64)
    low = np.where(n > 0, gammaincinv(np.where(n > 0, n, 1.0), 1 - _ONE), 0.0)
    return np.stack([low, gammaincinv(n + 1.0, _ONE)])
