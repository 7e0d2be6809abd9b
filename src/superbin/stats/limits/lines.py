"""Lines in the plane of two auxiliary measurements, that of the background and that of an uncertain signal.

Every outcome with one count lies on one line, and on a line the test statistic is monotone: what is at least as extreme as the data is a half
line that begins at an edge. The probability of the outcomes is the average, over the lines, of the probability of being beyond the edge.

The lines run straight up the slope of the statistic, so that neighbouring edges are nearly equal and an average over few lines is exact. Where both
auxiliary measurements are unit normals, this is a rotation of the plane, another one for every count. Where that of the background is a count
or an absolute value, the lines run in the direction of the signal's, one for every outcome of the background's that matters. A known signal leaves a single line in the
direction of the background's, a known background one in that of the signal's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from superbin.stats.arguments import FloatArray
from superbin.stats.models import UncertaintyModel

__all__ = ["Lines"]

PARALLEL = np.arange(-6.4, 6.41, 0.8)
"""Trapezoidal rule over parallel lines, in standard deviations."""

ROTATED = PARALLEL.size

SPAN = 14.0
"""Standard deviations of an auxiliary measurement that are looked at: CLs to 1e-25."""

NEGLIGIBLE = 26.0
"""Logarithm by which the weight of a line is below the largest from which on it is left out: 1e-11."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines for several signals and counts, and two ensembles for each signal.

    All arrays broadcast to the shape (signals, lines, counts). A point at u is ``background + u across`` and ``signal + u along``.

    Attributes
    ----------
    background, signal : FloatArray
        Auxiliary measurements at u = 0.
    across, along : FloatArray
        Their change with u.
    weights : tuple of two arrays
        Logarithm of the probability of each line, for either ensemble.
    centres : tuple of two arrays
        The u around which either ensemble lies on a line.
    log_above : callable
        ``ln P`` of a larger u than an edge, around a centre.
    """

    background: FloatArray
    signal: FloatArray
    across: FloatArray
    along: FloatArray
    weights: tuple[FloatArray, FloatArray]
    centres: tuple[FloatArray, FloatArray]
    log_above: Callable[[FloatArray, FloatArray], FloatArray]

    @classmethod
    def of(
        cls,
        held: UncertaintyModel,
        k: float,
        s: FloatArray,
        counts: FloatArray,
        nuisances: tuple[FloatArray, FloatArray],
        shifts: tuple[FloatArray, FloatArray],
        outcomes: tuple[FloatArray, FloatArray] | None,
    ) -> "Lines":
        """Lines around two ensembles for each signal.

        Parameters
        ----------
        held : UncertaintyModel
            The background, one row.
        k : float
            Logarithmic width of the signal.
        s, counts : FloatArray
            Signals and counts.
        nuisances, shifts : tuple of two arrays
            Nuisances of the background and of the signal that each ensemble lies around, one per signal.
        outcomes : tuple of two arrays, optional
            `UncertaintyModel.outcomes` where the signal is uncertain.
        """
        around = [x[:, None, None] for x in nuisances]
        pulls = [x[:, None, None] for x in shifts]
        none = np.zeros_like(around[0])
        if not k > 0:
            return cls(
                none,
                none,
                none + 1,
                none,
                (none, none),
                (around[0], around[1]),
                lambda edge, centre: held.log_auxiliary(edge, centre)[1],
            )
        if outcomes is None:
            return cls._rotated(held, k, s[:, None, None], counts, around, pulls)
        nodes, log_rule = (part[:, None] for part in outcomes)
        first, second = (_normalised(log_rule + held.log_outcome(nodes, x)) for x in around)
        return cls(nodes, none, none, none + 1, (first, second), (pulls[0], pulls[1]), _log_above)

    @classmethod
    def _rotated(
        cls,
        held: UncertaintyModel,
        k: float,
        s: FloatArray,
        counts: FloatArray,
        around: list[FloatArray],
        pulls: list[FloatArray],
    ) -> "Lines":
        """Parallel lines in the direction in which the statistic rises around the ensemble with the signal.

        It rises with the mean of the background in proportion to one minus ``n`` over the fitted mean, less the same without signal, and with that of the
        signal in proportion to the former.
        """
        mean, slope = held.mean(around[0]), 0.5 * (held.mean(around[0] + 1) - held.mean(around[0] - 1))
        signal = s * np.exp(k * pulls[0])
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(counts < mean, counts * signal / (mean * (mean + signal - counts)), 1.0)
        across, along = part * slope, np.maximum(k * signal, 1e-300)
        length = np.hypot(across, along)
        across, along = across / length, along / length
        one, two = (y * across - a * along for a, y in zip(around, pulls, strict=True))
        v = 0.5 * (one + two) + PARALLEL[:, None]
        weights = _normalised(-0.5 * (v - one) ** 2), _normalised(-0.5 * (v - two) ** 2)
        first, second = (a * across + y * along for a, y in zip(around, pulls, strict=True))
        return cls(-v * along, v * across, across, along, weights, (first, second), _log_above)

    def points(self, shape: tuple[int, ...]) -> tuple[FloatArray, ...]:
        """Start and change of both measurements on every line, flat."""
        parts = self.background, self.signal, self.across, self.along
        return tuple(np.broadcast_to(part, shape).ravel() for part in parts)

    def span(self, held: UncertaintyModel) -> tuple[float, float]:
        """Range of u that is looked at."""
        around = np.concatenate([centre.ravel() for centre in self.centres])
        if self.along.any():
            return float(around.min()) - SPAN, float(around.max()) + SPAN
        low, high = held.span(around, SPAN)
        return float(low.min()), float(high.max())

    def log_beyond(self, edge: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``ln P`` of being beyond the edge on a line of each ensemble, with the weight of the line."""
        first, second = (
            weight + self.log_above(edge, centre)
            for weight, centre in zip(self.weights, self.centres, strict=True)
        )
        return first, second


def _normalised(log: FloatArray) -> FloatArray:
    return np.asarray(log - special.logsumexp(log, axis=1, keepdims=True))


def _log_above(edge: FloatArray, centre: FloatArray) -> FloatArray:
    return np.asarray(special.log_ndtr(centre - edge))
