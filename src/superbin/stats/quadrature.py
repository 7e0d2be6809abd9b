"""Integrals of the arrival-time density against a one-sided weight: the numerical heart of the exact p-values.

Every p-value reduces to the Poisson tail and two *arms* (`superbin.stats.exact` adds them up),

    I = integral over y >= 0 of  g(y) w(y),    g = exp(n (u - (e^u - 1))),  u = ln(r/n) + sign y,

with ``g`` the density of ``ln Gamma_n`` over its value at the mode, seen from the reference mean ``r`` (the nominal
background) upwards (sign +1) or downwards (sign -1). On one arm the integrand has a single length scale and a single
maximum, which is what makes few nodes enough:

* `span` finds where it is within ``e^-DROP`` of its maximum: the mode in closed form (Wright's omega function: it is the
  profile-likelihood fit), each end by a few Newton steps that approach from outside because the drop is convex;
* `rule` puts Gauss-Legendre nodes on that span, 32 on an arm that holds its maximum (`PEAK`), 24 on one that falls
  from the reference (`EDGE`): half a peak. The highest Legendre coefficients the nodes resolve come with
  the same values for nothing, and measure the error: as coefficients of an analytic function fall geometrically,
  the rule's error is near the *square* of the relative size of the coefficients at half its degree;
* `integral` divides the spans that fail this test into panels, and those again, until all pass.

Arrays of integrands have shape (nodes, rows): rows are contiguous, so that sums over nodes and products with what
belongs to a row run at full speed.

The arms: `LogArm` (log-normal branch), `LinearArm` (any mean linear in z, also folded at zero), `BareArm` (no weight).
docs/explanation/pvalues.md tells the whole story.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev, legendre
from scipy import special

from superbin.errors import SuperbinError
from superbin.stats.arguments import FloatArray, Index

__all__ = [
    "DROP",
    "EDGE",
    "OMEGA_LOSES",
    "PEAK",
    "BareArm",
    "LinearArm",
    "LogArm",
    "Rows",
    "Rule",
    "integral",
    "reliable",
    "rule",
]

DROP = 28.0
"""The span ends where the integrand has fallen by this exponent; what is left out is below 1e-12 of the whole."""

SHORT = 5.0
"""On spans up to this length, in ln m, the density of ln Gamma_n is as good as entire for 32 nodes."""

DOUBT_SHORT, DOUBT_LONG = 1e-3, 3e-6
"""Largest relative size of the highest Legendre coefficients at which the rule is trusted to 1e-11.

Measured against 32 panels on 2e5 random arms for either rule: the error stays below 1e-11 on short spans, where the coefficients
fall faster than geometrically, and below 1e-11 at the second value on spans of any length.
"""

OMEGA_LOSES = 1e6
"""Argument of Wright's omega function, n k^2, from which on its rounding matters."""

MOST_LOOKS = 12

GENTLE = 1.5
"""Below this offset the weight of a lower `LinearArm` is ``e^-y`` within a factor of three."""

FAR = 1e100
"""A z that is as good as infinite and has a square."""

STRETCH = 4.0
"""Power of the variable in which long spans of a `LinearArm` are smooth."""

OPEN = 1e-8
"""A span is too short where the integrand at its end is more than this part of its mean over the span."""

MOST_PANELS = 4096

LAST_DIGIT = 1e-15


@dataclass(frozen=True, slots=True)
class Rule:
    """A Gauss-Legendre rule on the unit interval.

    Attributes
    ----------
    nodes : FloatArray
        In a column.
    columns : FloatArray
        Weights of the rule, and of the three highest Legendre coefficients it resolves; shape (4, nodes).
    short : float
        On spans up to this length, in ln m, the density of ln Gamma_n is as good as entire for the rule.
    """

    nodes: FloatArray
    columns: FloatArray
    short: float


def _gauss(nodes: int) -> Rule:
    x, w = legendre.leggauss(nodes)
    high = [np.sqrt(2 * j + 1) * legendre.Legendre.basis(j)(x) for j in range(nodes - 3, nodes)]
    return Rule(0.5 * (x[:, None] + 1), 0.5 * w * np.array([np.ones(nodes), *high]), SHORT * nodes / 32)


PEAK, EDGE = _gauss(32), _gauss(24)

MIDDLE = 5.0
"""The z that `scaled_tail` maps to the middle of its polynomial; 5 gives the smallest error."""


def _mills_polynomial() -> FloatArray:
    """Coefficients, in ``s = (z - 5)/(z + 5)``, of the polynomial through ``(z + 5) Phi(-z) exp(z^2/2)`` for z >= 0.

    In rows of five: row i is a polynomial of degree four, to be multiplied by ``s^(5 i)``.
    """
    s = chebyshev.chebpts1(19)
    z = MIDDLE * (1 + s) / (1 - s)
    values = 0.5 * special.erfcx(np.sqrt(0.5) * z) * (z + MIDDLE)
    return np.append(chebyshev.cheb2poly(chebyshev.chebfit(s, values, 18)), 0.0).reshape(4, 5)


_MILLS = _mills_polynomial() / (2 * MIDDLE)


def scaled_tail(z: FloatArray) -> FloatArray:
    """``Phi(-z) exp(z^2/2)`` for z >= 0, to 3e-14 relative: a third of the time of scipy's erfcx.

    The rows of the polynomial are one matrix product, which takes fewer passes over memory than Horner's scheme.
    """
    inverse = z + MIDDLE
    np.divide(2 * MIDDLE, inverse, out=inverse)
    powers = np.empty((5, *z.shape))
    powers[0] = 1.0
    s = np.subtract(1.0, inverse, out=powers[1])
    square = np.multiply(s, s, out=powers[2])
    np.multiply(square, s, out=powers[3])
    fifth = np.multiply(square, square, out=powers[4])
    parts = (_MILLS @ powers.reshape(5, -1)).reshape(4, *z.shape)
    fifth *= s
    result: FloatArray = parts[3]
    for part in (parts[2], parts[1], parts[0]):
        result *= fifth
        result += part
    result *= inverse
    return result


@dataclass(frozen=True, slots=True)
class Rows:
    """The counts of one batch of integrals, one per row.

    Attributes
    ----------
    n : FloatArray
        Count, > 0.
    log_r : FloatArray
        ``ln(r/n)`` of the reference mean r.
    half : FloatArray
        0 for the density of the n-th arrival alone, 1/2 for its mean with that of the (n+1)-th (the mid-p-value).
    """

    n: FloatArray
    log_r: FloatArray
    half: FloatArray

    def take(self, index: Index) -> "Rows":
        """Select rows."""
        return Rows(self.n[index], self.log_r[index], self.half[index])


class Arm(Protocol):
    """One-sided weights, one per row."""

    @property
    def sign(self) -> FloatArray:
        """+1 for means above the reference, -1 below."""

    def take(self, index: Index) -> "Arm":
        """Select rows."""

    def span(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """Ends of the interval that holds the integral."""

    def weight(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Exponent and factor of the weight at distances `y` (nodes, rows)."""


@dataclass(frozen=True, slots=True)
class LogArm:
    """``Phi(-y/k)``: the mean leaves the reference exponentially, by ``k`` in the logarithm per sigma."""

    sign: FloatArray
    k: FloatArray

    def take(self, index: Index) -> "LogArm":
        """Select rows."""
        return LogArm(self.sign[index], self.k[index])

    def span(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """Both ends in closed form and a few Newton steps."""
        precision = 1 / (self.k * self.k)
        mode = top = np.maximum(-self.sign * rows.log_r, 0.0)
        if top.any():
            reach = rows.n / precision
            root = reach - special.wrightomega(reach + np.log(reach) + rows.log_r)
            mode = np.minimum(np.maximum(self.sign * root, 0.0), top)
        if top.any() and (reach > OMEGA_LOSES).any():
            mode = self._polished(rows, mode, top, precision)
        return _ends(rows, self.sign, mode, precision, 0.0)

    def _polished(self, rows: Rows, mode: FloatArray, top: FloatArray, precision: FloatArray) -> FloatArray:
        """Two Newton steps: omega leaves the rounding of its argument, which is wider than the peak at huge counts."""
        for _ in range(2):
            arrivals = rows.n * np.exp(rows.log_r + self.sign * mode)
            slope = self.sign * (rows.n - arrivals) - precision * mode
            mode = np.minimum(np.maximum(mode + slope / (arrivals + precision), 0.0), top)
        return mode

    def weight(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gaussian exponent and scaled tail."""
        z = y / self.k
        factor = scaled_tail(z)
        z *= z
        z *= -0.5
        return z, factor


@dataclass(frozen=True, slots=True)
class BareArm:
    """Weight one: the Poisson tail itself."""

    sign: FloatArray

    def take(self, index: Index) -> "BareArm":
        """Select rows."""
        return BareArm(self.sign[index])

    def span(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """From the reference outwards."""
        mode = np.maximum(-self.sign * rows.log_r, 0.0)
        return _ends(rows, self.sign, mode, np.zeros_like(mode), 0.0)

    def weight(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Nothing to weigh."""
        return np.zeros_like(y), np.ones_like(y)


@dataclass(frozen=True, slots=True)
class LinearArm:
    """A mean linear in z, ``m = centre + z width``, reference ``r = m(0)`` or, folded at zero, ``centre = 0``.

    Above the reference the weight is ``Phi(-z)``, below it ``Phi(z) - Phi(-centre/width)``, so that it vanishes
    linearly at m = 0.

    Attributes
    ----------
    sign : FloatArray
        Side, one value per row.
    scale : FloatArray
        ``r / width``.
    offset : FloatArray
        ``centre / width``: equal to `scale`, or zero where folded.
    """

    sign: FloatArray
    scale: FloatArray
    offset: FloatArray

    def take(self, index: Index) -> "LinearArm":
        """Select rows."""
        return LinearArm(self.sign[index], self.scale[index], self.offset[index])

    def weight(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gaussian exponent and scaled tail above; difference of two tails below."""
        scale, offset = self.scale, self.offset
        z = np.minimum(scale * np.expm1(np.minimum(self.sign * y, 500.0)), FAR) + (scale - offset)
        if (self.sign > 0).all():
            return -0.5 * z * z, scaled_tail(np.maximum(z, 0.0))
        short = np.minimum(z, 0.0)
        exponent = -0.5 * short * short
        floor = scaled_tail(offset) * np.exp(np.minimum(-0.5 * offset * offset - exponent, 0.0))
        return exponent, np.where(z > 0, special.ndtr(z) - special.ndtr(-offset), scaled_tail(-short) - floor)

    def span(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """Ends of the arrival-time density times the weight's ``e^-y``; where that is too crude, looked up on grids."""
        left, right = _outer(rows, self)
        if (self.sign < 0).all() and self.offset.max() < GENTLE:
            return left, right
        return _scanned(rows, self, np.zeros_like(right), right)


def _log_density(rows: Rows, sign: FloatArray, y: FloatArray) -> FloatArray:
    u = rows.log_r + sign * y
    return np.asarray(rows.n * (u - np.expm1(u)))


def _outer(rows: Rows, arm: Arm) -> tuple[FloatArray, FloatArray]:
    """Span of the arrival-time density, times ``e^-y`` below the reference of a `LinearArm`; wide enough for any arm."""
    none = np.zeros_like(rows.n)
    extra = np.where(arm.sign < 0, 1.0, 0.0) if isinstance(arm, LinearArm) else none
    mode = np.maximum(-arm.sign * (rows.log_r - np.log1p(extra / rows.n)), 0.0)
    return _ends(rows, arm.sign, mode, none, extra)


def _scanned(rows: Rows, arm: Arm, left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Narrow an interval to where the integrand is within `DROP` of its maximum, by looking at it on grids."""
    steps = np.linspace(0.0, 1.0, 49)[:, None]
    for _ in range(MOST_LOOKS):
        y = left + (right - left) * steps
        exponent, factor = arm.weight(y)
        with np.errstate(divide="ignore"):
            height = _log_density(rows, arm.sign, y) + exponent + np.log(np.maximum(factor, 0.0))
        inside = height > height.max(axis=0) - DROP
        first = np.maximum(np.argmax(inside, axis=0) - 1, 0)
        last = np.minimum(steps.size - np.argmax(inside[::-1], axis=0), steps.size - 1)
        left, right = (np.take_along_axis(y, i[None, :], axis=0)[0] for i in (first, last))
        if (last - first > steps.size // 2).all():
            break
    return left, right


def _ends(
    rows: Rows, sign: FloatArray, mode: FloatArray, precision: FloatArray, extra: FloatArray | float
) -> tuple[FloatArray, FloatArray]:
    """Where ``n (u - e^u) - precision y^2/2 - extra y`` is `DROP` below its value at `mode`."""
    arrivals = rows.n * np.exp(rows.log_r + sign * mode)
    slope = np.maximum(sign * (arrivals - rows.n) + precision * mode + extra, 0.0)
    if not mode.any():
        return mode, _distance(arrivals, sign, slope, precision)
    both = _distance(arrivals, np.stack([sign, -sign]), np.stack([slope, np.zeros_like(slope)]), precision)
    return np.maximum(mode - both[1], 0.0), mode + both[0]


def _distance(
    arrivals: FloatArray, direction: FloatArray, slope: FloatArray, precision: FloatArray
) -> FloatArray:
    """Solution t of ``slope t + arrivals (e^(direction t) - 1 - direction t) + precision t^2/2 = DROP``."""
    curvature = arrivals + precision
    t: FloatArray = 2 * DROP / (slope + np.sqrt(slope * slope + 2 * DROP * curvature))
    far = DROP / arrivals
    np.minimum(t, np.log1p(far + np.sqrt(2 * far)), out=t, where=direction > 0)
    for _ in range(3):
        x = direction * t
        growth = np.expm1(x)
        bend = 0.5 * precision * t
        drop = (slope + bend) * t + arrivals * (growth - x)
        growth *= arrivals * direction
        growth += slope
        growth += 2 * bend
        t -= (drop - DROP) / growth
    return t


@dataclass(frozen=True, slots=True)
class Sums:
    """What one application of the rule yields, per row.

    Attributes
    ----------
    log_scale : FloatArray
        Logarithm of the unit of the others.
    value : FloatArray
        The integral.
    doubt : FloatArray
        Size of the highest Legendre coefficients.
    first, last : FloatArray
        The integrand next to the two ends, times the length of the span.
    """

    log_scale: FloatArray
    value: FloatArray
    doubt: FloatArray
    first: FloatArray
    last: FloatArray


def rule(rows: Rows, arm: Arm, left: FloatArray, width: FloatArray, gauss: Rule = PEAK) -> Sums:
    """Gauss-Legendre rule on ``[left, left + width]``."""
    y, stretched = _nodes(arm, left, width, gauss)
    exponent, factor = arm.weight(y)
    if stretched is not None:
        factor *= stretched
    y *= arm.sign
    y += rows.log_r
    grown = np.expm1(y)
    y -= grown
    y *= rows.n
    exponent += y
    top = exponent.max(axis=0)
    exponent -= top
    factor *= np.exp(exponent, out=exponent)
    if rows.half.any():
        grown *= rows.half
        grown += 1.0
        factor *= grown
    sums = gauss.columns @ factor
    doubt = np.abs(sums[1:]).max(axis=0)
    ends = factor[[0, -1]] if stretched is None else factor[[0, -1]] / stretched[[0, -1]]
    return Sums(top + np.log(width), sums[0], doubt, ends[0], ends[1])


def _nodes(
    arm: Arm, left: FloatArray, width: FloatArray, gauss: Rule
) -> tuple[FloatArray, FloatArray | None]:
    """Distances at the nodes, and their stretching relative to a uniform one.

    A `LinearArm` falls only as ``m^n`` towards zero: over a long span its nodes are spread evenly in ``m^(1/4)``,
    in which it is smooth.
    """
    y = gauss.nodes * width
    y += left
    if not isinstance(arm, LinearArm):
        return y, None
    long = np.flatnonzero((arm.sign < 0) & (width > SHORT))
    stretched = np.ones_like(y)
    if long.size:
        near = np.exp(-left[long] / STRETCH)
        length = near - np.exp(-(left + width)[long] / STRETCH)
        w = near - length * gauss.nodes
        y[:, long] = -STRETCH * np.log(w)
        stretched[:, long] = STRETCH * length / (w * width[long])
    return y, stretched


def _doubtful(
    width: FloatArray, value: FloatArray, doubt: FloatArray, log_scale: FloatArray, short: float = SHORT
) -> npt.NDArray[np.bool_]:
    """Rows whose error is not known to be below 1e-11, or the last digit of their logarithm."""
    allowed = np.maximum(np.where(width < short, DOUBT_SHORT, DOUBT_LONG), LAST_DIGIT * np.abs(log_scale))
    return np.asarray(~(doubt <= allowed * value))


def _open(sums: Sums, left: FloatArray) -> npt.NDArray[np.bool_]:
    """Rows whose integrand goes on beyond the span."""
    limit = OPEN * sums.value
    return np.asarray((sums.last > limit) | ((sums.first > limit) & (left > 0)))


def reliable(sums: Sums, left: FloatArray, width: FloatArray, gauss: Rule = PEAK) -> npt.NDArray[np.bool_]:
    """Rows in which the span holds the integrand and the rule resolves it."""
    return np.asarray(
        ~(_open(sums, left) | _doubtful(width, sums.value, sums.doubt, sums.log_scale, gauss.short))
    )


def integral(rows: Rows, arm: Arm, gauss: Rule = PEAK) -> FloatArray:
    """Logarithm of the integral of each row over its arm, at first by the rule `gauss`.

    Raises
    ------
    SuperbinError
        When no subdivision reaches the accuracy; a defect, as no input is known to do so.
    """
    left, right = arm.span(rows)
    width = right - left
    sums = rule(rows, arm, left, width, gauss)
    result = sums.log_scale + np.log(sums.value)
    again = np.flatnonzero(~reliable(sums, left, width, gauss))
    if again.size:
        i = np.flatnonzero(_open(sums, left))
        if i.size:
            left[i], right[i] = _searched(rows.take(i), arm.take(i))
        result[again] = _divided(rows.take(again), arm.take(again), left[again], right[again], 4)
    return np.asarray(result)


def _searched(rows: Rows, arm: Arm) -> tuple[FloatArray, FloatArray]:
    """Span found without any formula for the weight, which never rises with the distance."""
    _, right = _outer(rows, arm)
    return _scanned(rows, arm, np.zeros_like(right), right)


def _divided(rows: Rows, arm: Arm, left: FloatArray, right: FloatArray, panels: int) -> FloatArray:
    """As `integral`, each span cut into equal panels, the doubtful ones into more."""
    width = (right - left) / panels
    every = np.tile(np.arange(left.size), panels)
    shift = np.repeat(np.arange(panels), left.size)
    parts = rule(rows.take(every), arm.take(every), left[every] + shift * width[every], width[every])
    log_scale, first, doubts = (a.reshape(panels, -1) for a in (parts.log_scale, parts.value, parts.doubt))
    scale = log_scale.max(axis=0)
    share = np.exp(log_scale - scale)
    value, doubt = (share * first).sum(axis=0), (share * doubts).sum(axis=0)
    result = scale + np.log(value)
    again = np.flatnonzero(_doubtful(width, value, doubt, scale))
    if again.size:
        if panels >= MOST_PANELS:
            raise SuperbinError(
                f"no quadrature converges for n = {rows.n[again][0]:g}; please report the arguments"
            )
        result[again] = _divided(rows.take(again), arm.take(again), left[again], right[again], 4 * panels)
    return np.asarray(result)
