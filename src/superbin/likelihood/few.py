"""Where asymptotic formulae are asked about few events."""

import numpy as np

from superbin._support.arrays import FloatArray

__all__ = ["FEW", "few_events"]

FEW = 5.0
"""Background events per bin, averaged over the signal, below which asymptotic formulae are said to be approximate."""


def few_events(background: FloatArray, signal: FloatArray) -> str | None:
    """Return what to say of asymptotic numbers, None where there are events enough.

    Parameters
    ----------
    background, signal : array, shape (n_bins,)
        Expected events of all bins in the likelihood, the signal at mu = 1.
    """
    signal = np.maximum(signal, 0.0)
    total = float(signal.sum())
    events = float(signal @ background) / total if total > 0 else np.inf
    if not events < FEW:
        return None
    return (
        f"few events: {events:.2g} background events in a bin, averaged over the signal; "
        "asymptotic formulae are approximate there, toys are not"
    )
