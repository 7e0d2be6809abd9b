"""Expected discovery p-values of a signal, before any fit to data.

Three different questions, all pre-fit, none of which is "the" expected significance:

* `at_mean`: the p-value of the count ``n = s + b``, taken for possible even where it is not whole: what the CMS Mini Analysis Tool quotes;
* `at_quantiles`: the p-value of the median count under signal plus background, and of the counts at the edges of its
  bands of one and two standard deviations, the count distributed exactly, with the systematics of the background;
* `superbin.stats.asimov_z`: the asymptotic approximation of the median.
"""

from dataclasses import dataclass

import numpy as np

from superbin.errors import InputError
from superbin.stats.arguments import Numbers, checked_signal, checked_yields
from superbin.stats.asymptotic import asimov_z
from superbin.stats.counts import BANDS, quantile
from superbin.stats.models import DEFAULT, ModelName
from superbin.stats.pvalue import midp, midp_significance

__all__ = ["Expected", "Outcome", "expected"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A count and its mid-p-value.

    Attributes
    ----------
    n, p, z : float
        Count, `superbin.stats.midp` and its significance.
    """

    n: float
    p: float
    z: float


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected significance of a signal, pre-fit.

    Attributes
    ----------
    at_mean : Outcome
        At n = s + b.
    at_quantiles : tuple of five Outcome
        At the counts that signal plus background does not exceed with the probabilities that a normal
        variable has up to -2, -1, 0, 1 and 2 standard deviations.
    asimov_z : float
        Asymptotic, of the Asimov data set.
    fit : str
        ``"prefit"``: background and its uncertainty as predicted.
    """

    at_mean: Outcome
    at_quantiles: tuple[Outcome, Outcome, Outcome, Outcome, Outcome]
    asimov_z: float
    fit: str = "prefit"

    @property
    def median(self) -> Outcome:
        """The exact median."""
        return self.at_quantiles[2]


def expected(s: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: ModelName = DEFAULT) -> Expected:
    """Compute the expected significance of `s` signal events.

    Parameters
    ----------
    s : float
        Expected signal, in events, >= 0.
    b, up, down : float
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    model : str
        Name of the uncertainty model.

    Returns
    -------
    Expected

    Raises
    ------
    InputError
        For values outside the domain, or arrays.
    UnknownNameError
        For an unknown model.

    Examples
    --------
    >>> [round(one.z, 2) for one in expected(15, 25, 5, 5).at_quantiles]
    [0.05, 0.98, 1.92, 2.76, 3.6]
    """
    _, background, *_ = checked_yields(0.0, b, up, down)
    strength = checked_signal(s, background.shape)
    if strength.shape:
        raise InputError(f"one bin at a time, but an argument has shape {strength.shape}; give scalars")
    n = np.append(np.asarray(quantile(BANDS, b, up, down, signal=s, model=model)), strength + background)
    p, z = midp(n, b, up, down, model=model), midp_significance(n, b, up, down, model=model)
    low2, low1, median, high1, high2, mean = (Outcome(*map(float, row)) for row in zip(n, p, z, strict=True))
    return Expected(mean, (low2, low1, median, high1, high2), float(asimov_z(s, b, up, down, model=model)))
