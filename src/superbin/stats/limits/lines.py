"""Lines in the plane of two auxiliary measurements, that of the background and that of an uncertain signal.

Every outcome with one count lies on one line, and on a line the test statistic is monotone: what is at least as extreme as the data is a half
line that begins at an edge. Its probability is the average, over the lines, of the probability of being beyond the edge.

The lines run straight up the slope of the statistic, so that neighbouring edges are nearly equal and the average over a few lines is exact. Where both
auxiliary measurements are unit normals, this is a rotation of the plane, another one for every count. Where that of the background is a
count or an absolute value, the lines run in the direction of the signal's, one for each of its `UncertaintyModel.outcomes`. A known signal leaves a
single line in the direction of the background's, a known background one in that of the signal's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from superbin.stats.arguments import FloatArray
from superbin.stats.models import UncertaintyModel
from superbin.stats.poisson import log_equal

__all__ = ["ROTATED", "Ensemble", "Lines", "spread"]

PARALLEL = np.arange(-6.5, 6.51, 0.5)
"""Trapezoidal rule over parallel lines, in standard deviations: CLs to 1e-5, and to some 0.1 % where the mean has a kink."""

ROTATED = PARALLEL.size

SPAN = 14.0
"""Standard deviations of an auxiliary measurement that are looked at: CLs to 1e-25."""


@dataclass(frozen=True, slots=True)
class Ensemble:
    """What the outcomes of one ensemble for each of several signals fluctuate around.

    Attributes
    ----------
    nuisance, shift : FloatArray
        Nuisances of the background and of the signal, shape (signals,).
    mean : FloatArray
        Mean of the count.
    """

    nuisance: FloatArray
    shift: FloatArray
    mean: FloatArray


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines for several signals and counts, and the probabilities of two ensembles on them.

    All arrays broadcast to the shape (signals, lines, counts). A point at u is ``background + u across`` and ``signal + u along``.

    Attributes
    ----------
    background, signal : FloatArray
        Auxiliary measurements at u = 0.
    across, along : FloatArray
        Their change with u.
    chances : tuple of two arrays
        Logarithm of the probability of a count and a line, in either ensemble.
    centres : tuple of two arrays
        The u around which either ensemble lies on a line.
    log_above : callable
        ``ln P`` of a larger u than an edge, around a centre.
    """

    background: FloatArray
    signal: FloatArray
    across: FloatArray
    along: FloatArray
    chances: tuple[FloatArray, FloatArray]
    centres: tuple[FloatArray, FloatArray]
    log_above: Callable[[FloatArray, FloatArray], FloatArray]

    @classmethod
    def of(
        cls,
        held: UncertaintyModel,
        k: float,
        s: FloatArray,
        counts: FloatArray,
        log_step: float,
        ensembles: tuple[Ensemble, Ensemble],
        outcomes: tuple[FloatArray, FloatArray] | None,
    ) -> "Lines":
        """Lines around two ensembles.

        Parameters
        ----------
        held : UncertaintyModel
            The background, one row.
        k : float
            Logarithmic width of the signal.
        s, counts : FloatArray
            Signals and counts.
        log_step : float
            Logarithm of the number of counts that each of these stands for.
        ensembles : tuple of two Ensemble
            With the signals and without.
        outcomes : tuple of two arrays, optional
            `UncertaintyModel.outcomes`, where the signal is uncertain.
        """
        theta, y, mean = (
            [getattr(one, part)[:, None, None] for one in ensembles] for part in ("nuisance", "shift", "mean")
        )
        first, second = (log_equal(counts, m) + log_step for m in mean)
        none = np.zeros_like(theta[0])
        if not k > 0:
            return cls(
                none, none, none + 1, none, (first, second), (theta[0], theta[1]),
                lambda edge, centre: held.log_auxiliary(edge, centre)[1],
            )  # fmt: skip
        if outcomes is not None:
            nodes, log_rule = (part[:, None] for part in outcomes)
            first, second = (
                chance + _normalised(log_rule + held.log_outcome(nodes, x))
                for chance, x in zip((first, second), theta, strict=True)
            )
            return cls(nodes, none, none, none + 1, (first, second), (y[0], y[1]), _log_above)
        across, along = _steepest(held, k, s[:, None, None], counts, theta[0], y[0])
        one, two = (shift * across - a * along for a, shift in zip(theta, y, strict=True))
        v = 0.5 * (one + two) + PARALLEL[:, None]
        chances = first + _normalised(-0.5 * (v - one) ** 2), second + _normalised(-0.5 * (v - two) ** 2)
        one, two = (a * across + shift * along for a, shift in zip(theta, y, strict=True))
        return cls(-v * along, v * across, across, along, chances, (one, two), _log_above)

    def span(self, held: UncertaintyModel) -> tuple[float, float]:
        """Range of u that is looked at."""
        around = np.concatenate([centre.ravel() for centre in self.centres])
        if self.along.any():
            return float(around.min()) - SPAN, float(around.max()) + SPAN
        low, high = held.span(around, SPAN)
        return float(low.min()), float(high.max())

    def log_tails(self, edge: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``ln P`` of being beyond the edges, one per signal, in either ensemble."""
        first, second = (
            np.minimum(special.logsumexp(chance + self.log_above(edge, centre), axis=(1, 2)), 0.0)
            for chance, centre in zip(self.chances, self.centres, strict=True)
        )
        return first, second


def _steepest(
    held: UncertaintyModel, k: float, s: FloatArray, counts: FloatArray, theta: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Direction in which the statistic rises around the ensemble with the signal.

    It rises with the mean of the background in proportion to one minus ``n`` over the fitted mean, less the same without signal, and with that of
    the signal in proportion to the former.
    """
    mean, signal = held.mean(theta), s * np.exp(k * y)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(counts < mean, counts * signal / (mean * (mean + signal - counts)), 1.0)
    across, along = part * spread(held, theta), np.maximum(k * signal, 1e-300)
    length = np.hypot(across, along)
    return across / length, along / length


def spread(held: UncertaintyModel, nuisance: FloatArray) -> FloatArray:
    """Half the difference of the background means that auxiliary measurements one standard deviation above and below favour."""
    low, high = held.span(nuisance, 1.0)
    return np.asarray(0.5 * (held.mean(high) - held.mean(low)))


def _normalised(log: FloatArray) -> FloatArray:
    return np.asarray(log - special.logsumexp(log, axis=1, keepdims=True))


def _log_above(edge: FloatArray, centre: FloatArray) -> FloatArray:
    return np.asarray(special.log_ndtr(centre - edge))
