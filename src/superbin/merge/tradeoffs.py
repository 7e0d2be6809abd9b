"""Merges of several shapes and sizes side by side, in numbers that can be compared between all figures of merit."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from superbin._support.shown import counted
from superbin.domain.aggregate import AggregateBin, combine
from superbin.domain.covariance import Covariance
from superbin.domain.merits import MERITS, FigureOfMerit
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.domain.sums import Totals
from superbin.merge.branch import Limits
from superbin.merge.constraints import Constraints
from superbin.merge.figures import expected_z
from superbin.merge.shapes import Shape
from superbin.merge.solve import SHAPES, optimize
from superbin.results import MergeResult

__all__ = ["TradeOff", "trade_offs"]


@dataclass(frozen=True, slots=True)
class TradeOff:
    """A merge beside others.

    Attributes
    ----------
    name : str
        Its shape, or its number of bins as in ``3 bins``.
    merge : MergeResult
    aggregate : AggregateBin
        What its bins add up to.
    z : float
        Expected Z: exact mid-p significance at n = s + b.
    limit : float
        Exact expected 95 % CLs upper limit on the signal strength, of the median count of background alone.
    loss : float
        Relative to the best of those it was compared with: 1 less the ratio of the figures of merit ``midp``, or
        ``1 - best / limit`` where the bins were chosen for a limit.
    seconds : float
        Wall time of the choice.
    """

    name: str
    merge: MergeResult
    aggregate: AggregateBin
    z: float
    limit: float
    loss: float
    seconds: float


def trade_offs(
    search: Search,
    signal: SignalModel,
    *,
    shapes: Iterable[Shape] = SHAPES[:3],
    sizes: Iterable[int] = (),
    figure_of_merit: FigureOfMerit = "midp",
    covariance: Covariance | None = None,
    limits: Limits | None = None,
    simplify: float = 0.0,
    raise_low: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[TradeOff, ...]:
    """Choose the best merge of every shape, and of exactly k bins for every size.

    Parameters
    ----------
    search, signal, figure_of_merit, covariance, limits, simplify
        As in `superbin.merge.optimize`; only merges of free shape and any size are simplified.
    shapes : iterable of str
        Some of `superbin.merge.SHAPES`.
    sizes : iterable of int
        Numbers of bins, of free shape.
    raise_low : float
        If it is not 0, also the free merge that `superbin.merge.optimize` chooses with estimates raised by it.
    progress : callable, optional
        Called with the numbers of merges done and of all.

    Returns
    -------
    tuple of TradeOff
        The shapes in their order, then the sizes, then that of raised estimates.

    Raises
    ------
    InputError, UnknownNameError
        As `superbin.merge.optimize`.
    """
    found = []
    questions = list(_questions(shapes, sizes, raise_low))
    for done, (name, shape, constraints, raised) in enumerate(questions):
        if progress is not None:
            progress(done, len(questions))
        start = time.perf_counter()
        merge = optimize(
            search,
            signal,
            figure_of_merit=figure_of_merit,
            shape=shape,
            constraints=constraints,
            covariance=covariance,
            limits=limits,
            simplify=simplify if constraints is None else 0.0,
            raise_low=raised,
        )
        seconds = time.perf_counter() - start
        found.append((name, merge, combine(search, signal, merge.bins, covariance=covariance), seconds))
    if progress is not None:
        progress(len(questions), len(questions))
    totals = _totals([aggregate for _, _, aggregate, _ in found])
    z, strength = expected_z(totals), MERITS["limit"](totals)
    worth = strength if MERITS[figure_of_merit].limit else MERITS["midp"](totals)
    best = worth.max(initial=0.0)
    loss = 1 - worth / best if best > 0 else np.zeros_like(worth)
    return tuple(
        TradeOff(name, merge, aggregate, float(z[i]), float(1 / strength[i]), float(loss[i]), seconds)
        for i, (name, merge, aggregate, seconds) in enumerate(found)
    )


def _questions(
    shapes: Iterable[Shape], sizes: Iterable[int], raise_low: float
) -> Iterator[tuple[str, Shape, Constraints | None, float]]:
    """Name, shape, constraints and raise of the estimates of every merge."""
    for shape in shapes:
        yield shape, shape, None, 0.0
    for size in sizes:
        yield f"{counted(size, 'bin')}", "free", Constraints(exactly=size), 0.0
    if raise_low:
        yield "low raised", "free", None, raise_low


def _totals(aggregates: list[AggregateBin]) -> Totals:
    backgrounds = [aggregate.background for aggregate in aggregates]
    return Totals(
        np.array([aggregate.signal for aggregate in aggregates]),
        np.array([b.nominal for b in backgrounds]),
        np.array([b.up for b in backgrounds]),
        np.array([b.down for b in backgrounds]),
    )
