"""The discovery p-value of the profile likelihood in the ensemble of the LHC experiments, summed without toys.

The count and the auxiliary measurement of the background fluctuate around the background-only fit to the data [1]_; p0 is the
probability of a q0 at least as large as observed (`superbin.stats.ensembles` sums it). `superbin.stats.tail` is another quantity: there the
background varies as its prior says. The toys of `superbin.stats.throw_q0` estimate p0.

*Pre-fit* expectations take the nominal background for the data, *post-fit* ones the background-only fit to the data.

.. [1] ATLAS and CMS, Procedure for the LHC Higgs boson search combination in Summer 2011, CMS NOTE 2011/005 (also ATL-PHYS-PUB 2011-11).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from superbin.stats import exact
from superbin.stats.arguments import FloatArray, Index, Numbers, checked_signal
from superbin.stats.asymptotic import signed_q
from superbin.stats.counts import BANDS, SIGMAS
from superbin.stats.ensembles import (
    INNER,
    LEAST,
    FitName,
    Statistic,
    edges,
    falls_to_zero,
    log_sum,
    one_bin,
    one_number,
    ties,
    window,
)
from superbin.stats.models import DEFAULT, ModelName, UncertaintyModel
from superbin.stats.pvalue import Probability

__all__ = ["ExpectedP0", "expected_p0", "p0"]

LARGEST_COUNT = 1e5
"""Events up to which counts are summed."""

SPAN = 40.0
"""Standard deviations of the auxiliary measurement that are looked at: p-values to 1e-300."""


def _discovery(held: UncertaintyModel, n: FloatArray) -> Statistic:
    """Signed root of q0, which falls with the auxiliary measurement."""

    def statistic(i: Index, a: FloatArray) -> tuple[FloatArray, FloatArray]:
        nuisance, cost = held.background_only(n[i], a)
        value = np.sqrt(cost)
        sign = np.where(n[i] >= held.mean(a), 1.0, -1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(value > 0, 0.5 * held.cost_slope(nuisance, a) / value, 0.0)
        return sign * value, sign * slope

    return statistic


def p0(n: Numbers, b: Numbers, up: Numbers, down: Numbers, *, model: ModelName = DEFAULT) -> Probability:
    """Discovery p-value of the profile likelihood in the LHC's ensemble, exact: what toys of `superbin.stats.throw_q0` estimate.

    Parameters
    ----------
    n : float
        Count, real and >= 0.
    b, up, down : float
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    model : str
        Name of the uncertainty model.

    Returns
    -------
    Probability
        P(q0 >= observed) around the background-only fit to the data, to a relative 1e-8; p = 1 for every
        deficit, as q0 is zero there.

    Raises
    ------
    InputError
        For values outside the domain, above 1e5 events, or arrays.
    UnknownNameError
        For an unknown model.

    Examples
    --------
    >>> found = p0(40, 25, 5, 5)
    >>> f"{found.p:.5f} {found.z:.3f}"
    '0.02525 1.956'
    """
    count, held = one_bin(n, b, up, down, model, LARGEST_COUNT)
    observed = float(signed_q(count, held.nominal(), held)[0])
    if not 0 < observed < np.inf:
        return Probability(0.0, -np.inf) if observed <= 0 else Probability(-np.inf, 0.0)
    if held.sharp[0]:  # the count alone fluctuates
        log_p, log_q = exact.log_p_values(held, np.ceil(count), mid=False)
        return Probability(float(log_p[0]), float(log_q[0]))
    nuisance = held.background_only(count, held.nominal())[0]
    mean = held.mean(nuisance)
    counts = window(float(count[0]), float(mean[0]))
    log_p, log_q = discovery_tails(held, counts, np.array([observed]), mean, nuisance)
    return Probability(float(log_p[0]), float(log_q[0]))


def discovery_tails(
    held: UncertaintyModel, counts: FloatArray, q: FloatArray, mean: FloatArray, nuisance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """``ln P(q0 >= q)`` and ``ln P(q0 < q)`` of an ensemble, one per q > 0."""
    rows = q.size
    n = np.tile(counts, rows)
    root = np.repeat(np.sqrt(q), counts.size) * (1 - ties(held, nuisance[:1], mean[:1]))
    low, high = (float(end[0]) for end in held.span(nuisance, SPAN))
    start = held.inverse(np.maximum(n - root * np.sqrt(n), 0.0), np.ones(n.size))
    edge = edges(_discovery(held, n), root, (low, high), start, rising=False)
    below, above = held.log_auxiliary(edge.reshape(rows, 1, -1), nuisance)
    p, rest = (log_sum(counts, np.repeat(mean, rows), part) for part in (below, above))
    return np.minimum(p, 0.0), np.minimum(rest, 0.0)


@dataclass(frozen=True, slots=True)
class ExpectedP0:
    """Discovery p-values that a signal makes expect.

    Attributes
    ----------
    at_quantiles : tuple of five Probability
        At the values of q0 that it does not exceed, with the signal, with the probabilities that a normal variable has up to -2, -1, 0, 1
        and 2 standard deviations. p = 1 where q0 is zero.
    fit : {"prefit", "postfit"}
        Whether the ensembles are around the nominal background or around the background-only fit to the data.
    """

    at_quantiles: tuple[Probability, Probability, Probability, Probability, Probability]
    fit: FitName

    @property
    def median(self) -> Probability:
        """The median."""
        return self.at_quantiles[2]


def expected_p0(
    s: Numbers,
    b: Numbers,
    up: Numbers,
    down: Numbers,
    *,
    fitted_to: Numbers | None = None,
    model: ModelName = DEFAULT,
) -> ExpectedP0:
    """Median and bands of `p0` under a signal.

    Both ensembles, with the signal and without, are around one nuisance: the nominal one, pre-fit, or the background-only fit to data.

    Parameters
    ----------
    s : float
        Expected signal, in events, > 0.
    b, up, down : float
        Expected background and its upward and downward uncertainty, in events; ``down <= b``.
    fitted_to : float, optional
        Data, for the post-fit expectation.
    model : str
        Name of the uncertainty model.

    Raises
    ------
    InputError, UnknownNameError
        As `p0`.

    Examples
    --------
    >>> found = expected_p0(15, 25, 5, 5)
    >>> f"{found.median.z:.2f} {found.fit}"
    '1.88 prefit'
    """
    signal = float(one_number("s", checked_signal(s, ()), LARGEST_COUNT)[0])
    data, held = one_bin(b if fitted_to is None else fitted_to, b, up, down, model, LARGEST_COUNT)
    name: FitName = "prefit" if fitted_to is None else "postfit"
    nominal = held.nominal()
    nuisance = nominal if fitted_to is None else held.background_only(data, nominal)[0]
    mean = held.mean(nuisance)
    counts = window(float(mean[0]), float(mean[0]) + signal)
    beta = 1 - np.array(BANDS)  # P(q0 >= q) with the signal

    def tails(root: FloatArray, centre: FloatArray) -> tuple[FloatArray, FloatArray]:
        return discovery_tails(held, counts, root * root, centre, nuisance)

    def excess(i: Index, root: FloatArray) -> FloatArray:
        return np.asarray(special.ndtri_exp(tails(root, mean + signal)[0]) - special.ndtri(beta[i]))

    asimov = min(asimov_root(held, signal, nuisance), SPAN)  # infinite where the mean is zero
    guess = np.maximum(asimov + np.array(SIGMAS), 0.05)
    root = falls_to_zero(
        excess, guess, 1.02 * guess, np.full(beta.size, LEAST), np.full(beta.size, np.inf), INNER
    )
    root = np.where(root > LEAST, root, 0.0)
    log_p, log_q = (
        np.where(root > 0, x, y)
        for x, y in zip(tails(np.maximum(root, 1e-150), mean), (0.0, -np.inf), strict=True)
    )
    five = [Probability(float(x), float(y)) for x, y in zip(log_p, log_q, strict=True)]
    return ExpectedP0((five[0], five[1], five[2], five[3], five[4]), name)


def asimov_root(held: UncertaintyModel, signal: float, nuisance: FloatArray) -> float:
    """Root of q0 of the Asimov data set with the signal."""
    return float(np.sqrt(held.background_only(held.mean(nuisance) + signal, nuisance)[1][0]))
