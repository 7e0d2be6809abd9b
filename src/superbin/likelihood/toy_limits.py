"""Upper limits by toys: CLs of toys at a few signal strengths, and where it crosses 1 - level.

``ln CLs`` is nearly a straight line in mu near the limit. Toys are thrown at strengths that bracket the crossing, first around the asymptotic
limit, and the crossing is that of a weighted line through the points near it; its error is that of the line. Expected limits come from the
same toys: each toy of the background is taken as data.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtr

from superbin.errors import InputError
from superbin.likelihood.engine import Engine, strength_of
from superbin.likelihood.toys import CHUNK, EQUAL, cls_from_toys
from superbin.results.likelihood import ToyBand, ToyLimit

__all__ = ["QUANTILES", "toy_limit"]

QUANTILES = (-2, -1, 0, 1, 2)

FACTORS = (0.6, 0.8, 1.0, 1.25, 1.6)
"""Signal strengths in units of the asymptotic limits where toys are thrown first."""

MOST = 14
"""Signal strengths at which toys are thrown at most."""

Progress = Callable[[int, int], None]


def toy_limit(
    engine: Engine,
    *,
    level: float = 0.95,
    toys: int = 1000,
    seed: int = 0,
    mus: Sequence[float] | None = None,
    chunk: int = CHUNK,
    processes: int = 1,
    progress: Progress | None = None,
) -> ToyBand:
    """Return observed and expected CLs limits by toys.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    level : float
        Confidence level, between 0 and 1.
    toys : int
        Toys per hypothesis and signal strength.
    seed : int
        Of the first strength; strength i has the seeds ``seed + 2 i`` and ``seed + 2 i + 1``.
    mus : sequence of float, optional
        Signal strengths to throw at; by default around the asymptotic limits, extended until the crossing is bracketed.
    chunk, processes, progress
        As of `superbin.likelihood.toys.throw`; progress counts all toys.

    Raises
    ------
    InputError
        If the level is outside (0, 1), or the model has no signal strength.
    """
    strength_of(engine)
    if not 0 < level < 1:
        raise InputError(f"the confidence level is {level}; it must lie between 0 and 1")
    asymptotic = engine.limit(level=level)
    chosen = list(mus) if mus is not None else _first(asymptotic.observed, asymptotic.bands)
    if not chosen:
        return _nothing(level, toys, seed, f"asymptotic limit: {asymptotic.status}", asymptotic.doubts)
    points: dict[float, ToyLimit] = {}

    def throw(mu: float) -> None:
        base = 2 * toys * len(points)
        total = 2 * toys * max(len(chosen), len(points) + 1)

        def report(done: int, _: int) -> None:
            if progress is not None:
                progress(base + done, total)

        points[mu] = cls_from_toys(
            engine,
            mu,
            toys=toys,
            seed=seed + 2 * len(points),
            chunk=chunk,
            processes=processes,
            progress=report,
        )

    try:
        for mu in sorted(chosen):
            throw(mu)
        while mus is None and len(points) < MOST and (more := _further(points, level)) is not None:
            throw(more)
    except InputError as error:
        return _nothing(level, toys, seed, str(error), asymptotic.doubts)
    ordered = tuple(points[mu] for mu in sorted(points))
    observed, error_ = _crossing([(p.mu, p.cls, p.cls_error) for p in ordered], level)
    bands = {n: _crossing([_expected(p, n) for p in ordered], level)[0] for n in QUANTILES}
    failed = sum(p.signal.failed + p.background.failed for p in ordered)
    doubts = list(_without_few(asymptotic.doubts))
    if failed:
        doubts.append(f"{failed} toys were left out because a fit failed")
    status = (
        "converged"
        if observed is not None
        else "CLs of toys does not cross 1 - level in the range of mu thrown at"
    )
    return ToyBand(observed, error_, bands, level, ordered, toys, failed, seed, status, tuple(doubts))


def _without_few(doubts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(d for d in doubts if not d.startswith("few events"))


def _nothing(level: float, toys: int, seed: int, status: str, doubts: tuple[str, ...]) -> ToyBand:
    return ToyBand(None, None, dict.fromkeys(QUANTILES), level, (), toys, 0, seed, status, doubts)


def _first(observed: float | None, bands: dict[float, float | None]) -> list[float]:
    """Strengths around the observed limit, and those of the band's ends."""
    known = [v for v in (observed, bands.get(0)) if v is not None and np.isfinite(v) and v > 0]
    if not known:
        return []
    centre = known[0]
    found = [f * centre for f in FACTORS]
    found += [
        v for n in (-2, 0, 2) if (v := bands.get(n)) is not None and all(abs(v / w - 1) > 0.1 for w in found)
    ]
    return sorted(found)


def _further(points: dict[float, ToyLimit], level: float) -> float | None:
    """Another strength where the observed crossing is not bracketed yet; None if it is."""
    ordered = sorted(points)
    alpha = 1 - level
    values = [points[mu].cls for mu in ordered]
    if not math.isnan(values[-1]) and values[-1] > alpha:
        return 1.5 * ordered[-1]
    if not math.isnan(values[0]) and values[0] < alpha:
        return 0.5 * ordered[0]
    return None


def _expected(point: ToyLimit, n: int) -> tuple[float, float, float]:
    """Return (mu, CLs, error) with the background's quantile n standard deviations up taken as data."""
    values = np.sort(point.background.values)
    signal = np.sort(point.signal.values)
    if not values.size or not signal.size:
        return point.mu, math.nan, math.nan
    # Upward fluctuations have small qtilde: the data at +n leave the part Phi(n) of toys at or above them.
    rank = int(np.clip(round((1 - ndtr(n)) * values.size), 0, values.size - 1))
    q = values[rank] - EQUAL
    below, above = (float((v >= q).mean()) for v in (values, signal))
    cls = above / below if below else math.nan
    error = math.hypot(
        math.sqrt(max(above * (1 - above), 1 / signal.size) / signal.size) / below,
        cls * math.sqrt(max(below * (1 - below), 1 / values.size) / values.size) / below,
    )
    return point.mu, cls, error


def _crossing(points: list[tuple[float, float, float]], level: float) -> tuple[float | None, float | None]:
    """Where a weighted line through ln CLs near its crossing reaches 1 - level, with its error; None where it is not bracketed."""
    good = [(mu, math.log(c), max(e / c, 1e-3)) for mu, c, e in points if c > 0 and math.isfinite(c)]
    target = math.log(1 - level)
    above = [p for p in good if p[1] >= target]
    below = [p for p in good if p[1] < target]
    if not above or not below:
        return None, None
    # The four nearest in CLs, of either side two where there are.
    near = sorted(above, key=lambda p: p[1])[:2] + sorted(below, key=lambda p: -p[1])[:2]
    mu, value, error = (np.array(column) for column in zip(*near, strict=True))
    weights = 1 / error
    centre = float(np.average(mu, weights=weights**2))
    (slope, offset), spread = np.polyfit(mu - centre, value, 1, w=weights, cov="unscaled")
    if not slope < 0:
        return None, None
    solution = centre + (target - offset) / slope
    step = np.array([-(target - offset) / slope**2, -1 / slope])
    return float(solution), float(np.sqrt(step @ spread @ step))
