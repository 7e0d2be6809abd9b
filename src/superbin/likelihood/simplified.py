"""Simplified likelihoods: the background of the signal's bins with its covariance and third moments.

After CMS-NOTE-2017-001 and A. Buckley et al., JHEP 04 (2019) 064 (arXiv:1809.05548): background of bin i is ``a_i + b_i theta_i + c_i theta_i^2`` with correlated standard
normal theta, whose moments are those of the full model. They come from draws of the parameters: each parameter from the fit's covariance, the expectation of
the full model at each draw.

``control`` fits everything but the signal's bins, so the data of these still count in the simplified likelihood; ``background`` fits all channels at mu = 0, and its
covariance has used these data already: with it a limit counts them twice, and is meant for tools that expect it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood.dense import Likelihood
from superbin.likelihood.engine import Engine, EngineFit, strength_of
from superbin.likelihood.inference import cls
from superbin.likelihood.reading import engine_of

__all__ = ["Scope", "Simplified", "SimplifiedLimits", "simplified_limits", "simplify"]

Scope: TypeAlias = Literal["control", "background"]

Auxiliary: TypeAlias = Literal["fixed", "moved"]
Expectation: TypeAlias = Literal["prefit", "postfit"]

BANDS = (-2, -1, 0, 1, 2)
"""Standard deviations of the expected limits."""

DRAWS = 20_000
FLOOR = 1e-9
"""Events; no bin expects less."""

LEAST = 1e-9
"""Part of a variance that counts as none."""

BARRIERS = (1e-1, 1e-2, 1e-3, 1e-5, 1e-7)
"""Heights of the logarithmic barrier at zero background, one after the other; the last is the error of a minimum, per bin."""

NEAR_ZERO = 1e-3
"""A background at which a fit does not start, in events."""


@dataclass(frozen=True, slots=True, eq=False)
class Simplified:
    """A simplified likelihood.

    Attributes
    ----------
    bins : tuple of str
        Names of the bins with signal.
    observed, background, third_moment : array, shape (n_bins,)
        Counts, mean and third central moment of the background.
    covariance : array, shape (n_bins, n_bins)
        Of the background.
    scope : str
        What was fitted.
    draws, seed : int
        How many points the moments are from.
    notes : tuple of str
        Where a skew was too large for the quadratic form and was reduced.
    """

    bins: tuple[str, ...]
    observed: FloatArray
    background: FloatArray
    covariance: FloatArray
    third_moment: FloatArray
    scope: str
    draws: int
    seed: int
    notes: tuple[str, ...] = ()

    def limit(
        self, signal: FloatArray, *, third_moments: bool = True, level: float = 0.95
    ) -> tuple[float | None, float | None]:
        """Return the observed and the median expected CLs limit on mu, asymptotic; None where a fit failed.

        Parameters
        ----------
        signal : array, shape (n_bins,)
            Events at mu = 1; its uncertainty is no part of a simplified likelihood.
        third_moments : bool
            Whether the background is skewed (arXiv:1809.05548) or normal (CMS-NOTE-2017-001).
        level : float
            Confidence level.

        Raises
        ------
        InputError
            If the signal has another shape or is zero.
        """
        signal = np.asarray(signal, dtype=np.float64)
        if signal.shape != self.background.shape or not (signal >= 0).all() or not signal.any():
            raise InputError(
                f"the signal needs {self.background.size} values >= 0, not all zero; it has shape {signal.shape}"
            )
        moments = self.third_moment if third_moments else np.zeros_like(self.third_moment)
        return _limits(
            _Quadratic.make(self.background, self.covariance, moments, signal), self.observed, level
        )

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "bins": list(self.bins),
            "observed": self.observed.tolist(),
            "background": self.background.tolist(),
            "covariance": self.covariance.tolist(),
            "third_moment": self.third_moment.tolist(),
            "scope": self.scope,
            "draws": self.draws,
            "seed": self.seed,
            "notes": list(self.notes),
        }


def simplify(engine: Engine, *, scope: Scope = "control", draws: int = DRAWS, seed: int = 0) -> Simplified:
    """Return the simplified likelihood of the bins in which a model has signal.

    Parameters
    ----------
    engine : Engine
        The full likelihood.
    scope : {"control", "background"}
        Whether to fit everything but the bins with signal, or all at mu = 0.
    draws : int
        Points for the moments.
    seed : int

    Raises
    ------
    InputError
        If a channel has bins with signal and bins without and the scope is ``control``, the fit fails, or nothing but bins with signal determines a
        parameter that has no constraint.
    """
    poi = engine.parameters.index(strength_of(engine))
    if scope not in {"control", "background"}:
        raise InputError(f"the scope is {scope!r}; choose control or background")
    x = engine.initial
    x[poi] = 0.0
    without = engine.expected(x)
    x[poi] = 1.0
    places = np.flatnonzero((engine.expected(x) > without) & engine.counted)
    if not places.size:
        raise InputError("no bin has signal, so there is nothing to simplify")
    fitted = engine if scope == "background" else _rest(engine, places)
    fit = fitted.fit(mu=0.0)
    if not fit.ok:
        raise InputError(f"the fit of scope {scope!r} failed: {fit.status}")
    mean, covariance, third = _moments(engine, fitted, fit, places, draws, seed)
    notes = []
    largest = 2**1.5 * 0.98 * np.diag(covariance) ** 1.5
    if (np.abs(third) > largest).any():
        n = int((np.abs(third) > largest).sum())
        notes.append(
            f"the third moment of {n} bins is larger than a quadratic form can have, and was reduced"
        )
        third = np.clip(third, -largest, largest)
    names = [name if n == 1 else f"{name}[{b}]" for name, n in engine.bins for b in range(n)]
    return Simplified(
        tuple(names[i] for i in places),
        engine.observed.counts[places],
        mean,
        covariance,
        third,
        scope,
        draws,
        seed,
        tuple(notes),
    )


def _rest(engine: Engine, places: np.ndarray) -> Engine:
    """Return everything but the channels with signal."""
    inside = set(places.tolist())
    first, channels = 0, []
    for channel in engine.description.channels:
        own = set(range(first, first + channel.observed.size))
        first += channel.observed.size
        channels.append(replace(channel, masked=channel.masked or bool(own & inside)))
    if all(channel.masked for channel in channels):
        # Nothing is left to fit: the constraints alone.
        return Likelihood(replace(engine.description, channels=tuple(channels)))
    return engine_of(replace(engine.description, channels=tuple(channels)))


def _moments(
    engine: Engine, fitted: Engine, fit: EngineFit, places: np.ndarray, draws: int, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, covariance and third central moments of the background in some bins."""
    covariance = fitted.covariance(fit)
    values = dict(zip(fitted.parameters, fit.x.tolist(), strict=True))
    place = [fitted.parameters.index(name) for name in engine.parameters]
    values[strength_of(engine)] = 0.0
    centre = np.array([values[name] for name in engine.parameters])
    spread = covariance[np.ix_(place, place)]
    poi = engine.parameters.index(strength_of(engine))
    moving = np.flatnonzero((np.diag(spread) > 0) & (np.arange(centre.size) != poi))
    low, high = engine.bounds
    root = np.linalg.cholesky(spread[np.ix_(moving, moving)] + 1e-14 * np.diag(np.diag(spread)[moving]))
    rng = np.random.default_rng(seed)
    found = np.empty((draws, places.size))
    for i in range(draws):
        x = centre.copy()
        x[moving] += root @ rng.standard_normal(moving.size)
        found[i] = engine.expected(np.clip(x, low, high))[places]
    mean = found.mean(axis=0)
    shift = found - mean
    return mean, shift.T @ shift / (draws - 1), (shift**3).mean(axis=0)


def _quadratic(
    mean: FloatArray, covariance: FloatArray, third: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Coefficients of ``a + b theta + c theta^2`` and the correlation of theta: eqs. 3.9 to 3.12 of arXiv:1809.05548."""
    variance = np.maximum(np.diag(covariance), 1e-300)
    skewed = np.abs(third) > 1e-9 * variance**1.5
    # Where a variance is as good as zero its powers are too.
    safe = np.where(skewed, third, np.maximum(variance**1.5, 1e-150))
    angle = np.arctan2(np.sqrt(np.maximum(8 * variance**3 / safe**2 - 1, 0.0)), 1.0)
    c = np.where(skewed, -np.sign(third) * np.sqrt(2 * variance) * np.cos(4 * math.pi / 3 + angle / 3), 0.0)
    b = np.sqrt(np.maximum(variance - 2 * c**2, 0.0))
    product, squares = np.outer(b, b), np.outer(c, c)
    with np.errstate(divide="ignore", invalid="ignore"):
        curved = (np.sqrt(product**2 + 8 * squares * covariance) - product) / (4 * squares)
    small = np.abs(squares) < 1e-12 * np.maximum(product, 1e-300)
    rho = np.where(small, covariance / np.maximum(product, 1e-300), curved)
    rho = np.clip(np.nan_to_num(0.5 * (rho + rho.T)), -1.0, 1.0)
    np.fill_diagonal(rho, 1.0)
    return mean - c, b, c, rho


@dataclass(frozen=True, slots=True, eq=False)
class _Quadratic:
    """``lambda = mu s + a + b theta + c theta^2`` with ``theta = root z`` and standard normal z.

    A `positive` one keeps every background above zero, by a logarithmic barrier that is lowered step by step.
    """

    signal: FloatArray
    a: FloatArray
    b: FloatArray
    c: FloatArray
    root: FloatArray
    positive: bool = False

    @classmethod
    def make(
        cls,
        mean: FloatArray,
        covariance: FloatArray,
        third: FloatArray,
        signal: FloatArray,
        *,
        positive: bool = False,
    ) -> "_Quadratic":
        a, b, c, correlation = _quadratic(mean, covariance, third)
        values, vectors = np.linalg.eigh(correlation)
        kept = values > LEAST * values.max()
        return cls(signal, a, b, c, vectors[:, kept] * np.sqrt(values[kept]), positive)

    def events(self, mu: float, z: FloatArray) -> FloatArray:
        theta = self.root @ z
        return np.maximum(mu * self.signal + self.a + theta * (self.b + self.c * theta), FLOOR)

    def height(
        self, mu: float, z: FloatArray, counts: FloatArray, centre: FloatArray, barrier: float = 0.0
    ) -> float:
        """The negative log-likelihood above that of a model that expects what is counted."""
        lam, some = self.events(mu, z), counts > 0
        safe = np.where(some, counts, 1.0)
        poisson = lam - counts + np.where(some, counts * np.log(safe / lam), 0.0)
        height = float(poisson.sum()) + 0.5 * float((z - centre) @ (z - centre))
        if barrier:
            alone = self.background(z)
            if alone.min() <= 0:
                return math.inf
            height -= barrier * float(np.log(alone).sum())
        return height

    def background(self, z: FloatArray) -> FloatArray:
        theta = self.root @ z
        found: FloatArray = self.a + theta * (self.b + self.c * theta)
        return found

    def fit(
        self,
        counts: FloatArray,
        centre: FloatArray,
        *,
        mu: float | None = None,
        start: FloatArray | None = None,
    ) -> tuple[float, FloatArray, float]:
        """Minimise over z, and over mu >= 0 if it is None; return (mu, z, height)."""
        z = np.zeros(self.root.shape[1]) if start is None else start.copy()
        strength = 0.0 if mu is None else mu
        if not self.positive:
            return self._newton(counts, centre, mu, strength, z, 0.0)
        if self.background(z).min() < NEAR_ZERO:
            z = np.zeros_like(z)
        for barrier in BARRIERS:
            strength, z, _ = self._newton(counts, centre, mu, strength, z, barrier)
        return strength, z, self.height(strength, z, counts, centre)

    def _newton(
        self,
        counts: FloatArray,
        centre: FloatArray,
        mu: float | None,
        strength: float,
        z: FloatArray,
        barrier: float,
    ) -> tuple[float, FloatArray, float]:
        height = self.height(strength, z, counts, centre, barrier)
        for _ in range(100):
            theta = self.root @ z
            lam = self.events(strength, z)
            moving = lam > FLOOR
            w, v = moving * (1 - counts / lam), moving * counts / lam**2
            slope = self.b + 2 * self.c * theta
            jacobian = np.column_stack([self.signal, slope[:, None] * self.root])
            gradient = jacobian.T @ w
            gradient[1:] += z - centre
            hessian = jacobian.T @ (v[:, None] * jacobian)
            # Negative curvature of single bins is left out, so that the step goes down.
            hessian[1:, 1:] += self.root.T @ (np.maximum(2 * self.c * w, 0.0)[:, None] * self.root) + np.eye(
                z.size
            )
            if barrier:
                repelled = (slope / self.background(z))[:, None] * self.root
                gradient[1:] -= barrier * repelled.sum(axis=0)
                hessian[1:, 1:] += barrier * repelled.T @ repelled
            held = mu is not None or (strength <= 0 and gradient[0] >= 0)
            free = slice(1, None) if held else slice(None)
            if np.abs(gradient[free]).max(initial=0.0) < 1e-8:
                break
            step = np.zeros(z.size + 1)
            block = hessian[free, free] + 1e-12 * np.eye(hessian[free, free].shape[0])
            step[free] = -np.linalg.solve(block, gradient[free])
            length = 1.0
            while length > 1e-10:
                trial = max(strength + length * step[0], 0.0) if mu is None else mu
                moved = z + length * step[1:]
                lower = self.height(trial, moved, counts, centre, barrier)
                if lower <= height + 1e-12 * max(1.0, abs(height)):
                    break
                length *= 0.5
            else:
                break
            done = abs(height - lower) < 1e-13 * max(1.0, abs(height)) and length == 1.0
            strength, z, height = trial, moved, lower
            if done:
                break
        return strength, z, height


def _limits(model: _Quadratic, counts: FloatArray, level: float) -> tuple[float | None, float | None]:
    found = _bands(model, model, counts, level, auxiliary="moved", expectation="postfit", sigmas=(0,))
    return found.observed, found.expected


@dataclass(frozen=True, slots=True)
class SimplifiedLimits:
    """Limits of a simplified likelihood.

    Attributes
    ----------
    observed : float or None
        None where a fit failed.
    bands : mapping of int to float or None
        Expected limits at -2 to 2 standard deviations.
    """

    observed: float | None
    bands: Mapping[int, float | None]

    @property
    def expected(self) -> float | None:
        """The median."""
        return self.bands[0]


def simplified_limits(
    observed: ArrayLike,
    background: ArrayLike,
    covariance: ArrayLike,
    signal: ArrayLike,
    *,
    third_moment: ArrayLike | None = None,
    auxiliary: Auxiliary = "moved",
    expectation: Expectation = "postfit",
    positive: bool = True,
    held: ArrayLike | None = None,
    level: float = 0.95,
) -> SimplifiedLimits:
    """Asymptotic CLs limits of Poisson counts whose backgrounds are normal with a covariance, in a chosen convention.

    Parameters
    ----------
    observed, background, signal : array_like, shape (n,)
        Counts, expected background, and signal at mu = 1, in events.
    covariance : array_like, shape (n, n)
        Of the backgrounds, events squared.
    third_moment : array_like, shape (n,), optional
        Third central moments of the backgrounds (arXiv:1809.05548); by default zero.
    auxiliary : {"moved", "fixed"}
        Where the constraints of an Asimov data set are centred: at the fitted nuisances, as of pyhf and Combine, or at zero whatever was
        fitted, as of SModelS and spey.
    expectation : {"postfit", "prefit"}
        Whether expected limits stand on the background-only fit to the data or on the nominal background.
    positive : bool
        Whether backgrounds stay above zero, as in spey; in SModelS they may fall below where a signal makes up for it.
    held : array_like of bool, shape (n,), optional
        Bins whose background does not move in fits of the data: SModelS's bounds do that to bins that observe nothing.
    level : float
        Confidence level.

    Returns
    -------
    SimplifiedLimits

    Raises
    ------
    InputError
        If the signal is zero or negative, or the shapes differ.

    Examples
    --------
    >>> one = simplified_limits([40], [25.0], [[25.0]], [10.0], auxiliary="fixed", expectation="prefit")
    >>> round(one.observed, 3), round(one.expected, 3)
    (2.945, 1.471)
    """
    n, b, s = (np.asarray(values, dtype=np.float64) for values in (observed, background, signal))
    matrix = np.asarray(covariance, dtype=np.float64)
    skew = np.zeros_like(b) if third_moment is None else np.asarray(third_moment, dtype=np.float64)
    if not (n.shape == b.shape == s.shape == skew.shape and matrix.shape == 2 * b.shape):
        raise InputError(
            f"shapes do not fit: observed {n.shape}, background {b.shape}, signal {s.shape}, covariance {matrix.shape}"
        )
    if not (s >= 0).all() or not s.any():
        raise InputError("the signal must be >= 0 in every bin, and not zero in all of them")
    model = _Quadratic.make(b, matrix, skew, s, positive=positive)
    of_data = model
    if held is not None and np.any(held):
        free = ~np.asarray(held, dtype=bool)
        conditional = np.zeros_like(matrix)
        # Of a normal, what is left to vary when some values are held is the inverse of the precision's block.
        conditional[np.ix_(free, free)] = np.linalg.inv(np.linalg.inv(matrix)[np.ix_(free, free)])
        of_data = _Quadratic.make(b, conditional, np.where(free, skew, 0.0), s, positive=positive)
    return _bands(model, of_data, n, level, auxiliary=auxiliary, expectation=expectation, sigmas=BANDS)


def _bands(
    model: _Quadratic,
    of_data: _Quadratic,
    counts: FloatArray,
    level: float,
    *,
    auxiliary: Auxiliary,
    expectation: Expectation,
    sigmas: Sequence[int],
) -> SimplifiedLimits:
    best, z_best, lowest = of_data.fit(counts, np.zeros(of_data.root.shape[1]))
    _, z_zero, _ = of_data.fit(counts, np.zeros(of_data.root.shape[1]), mu=0.0)
    nothing = np.zeros(model.root.shape[1])
    fitted = of_data.events(0.0, z_zero)
    moved = auxiliary == "moved"
    from_fit = _asimov(model, fitted, z_zero if moved and of_data is model else nothing)
    predicted = model.events(0.0, nothing)
    expected = from_fit if expectation == "postfit" else _asimov(model, predicted, nothing)

    def cls_above(mu: float) -> float:
        z = np.zeros(of_data.root.shape[1])
        q = max(0.0, 2 * (of_data.fit(counts, z, mu=mu, start=z_best)[2] - lowest)) if mu > best else 0.0
        return math.log(max(cls(q, from_fit(mu) ** 2)[0], 1e-300)) - math.log(1 - level)

    scale = 1.0 / math.sqrt(float((model.signal**2 / np.maximum(fitted, 0.1)).sum()))
    bands: dict[int, float | None] = {}
    try:
        for sigma in sigmas:
            # Where sqrt(q_A) is this, CLs of data that many standard deviations up is 1 - level.
            target = sigma - float(ndtri((1 - level) * ndtr(sigma)))
            bands[sigma] = _crossing(lambda mu, c=target: expected(mu) - c, 0.0, scale)  # type: ignore[misc]
        start = max(bands[0] or 0.0, best)
        observed = _crossing(lambda mu: -cls_above(mu), best, start)
    except ValueError:
        return SimplifiedLimits(None, dict.fromkeys(sigmas))
    return SimplifiedLimits(observed, bands)


def _asimov(model: _Quadratic, counts: FloatArray, centre: FloatArray) -> Callable[[float], float]:
    """Root of q of an Asimov data set, whose constraints are centred somewhere."""
    _, start, lowest = model.fit(counts, centre, start=centre)

    def root(mu: float) -> float:
        return math.sqrt(max(0.0, 2 * (model.fit(counts, centre, mu=mu, start=start)[2] - lowest)))

    return root


def _crossing(function: Callable[[float], float], low: float, start: float) -> float:
    return float(brentq(function, low, _doubled(function, start), rtol=1e-8))


def _doubled(function: Callable[[float], float], start: float) -> float:
    for k in range(60):
        if function(start * 2**k) > 0:
            return start * 2.0**k
    raise ValueError
