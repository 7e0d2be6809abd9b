"""Goodness of fit against the saturated model, with its distribution by toys.

After R. D. Cousins, "Generalization of chisquare goodness-of-fit test for binned data using saturated models" (2013). The statistic is twice the negative log-likelihood at the best fit above that of a model in which every bin and every auxiliary measurement expects
exactly what it counts, as in Combine and cabinetry.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import chdtrc

from superbin._support.shown import counted
from superbin.likelihood.data import Data
from superbin.likelihood.engine import Engine, EngineFit
from superbin.likelihood.toys import CHUNK, ToyTask, throw
from superbin.results.likelihood import Goodness

__all__ = ["goodness"]

FEW = 5.0
"""Events in a bin below which the chi-squared distribution is said to be approximate."""

Progress = Callable[[int, int], None]


def goodness(
    engine: Engine,
    *,
    mu: float | None = None,
    data: Data | None = None,
    toys: int = 0,
    seed: int = 0,
    chunk: int = CHUNK,
    processes: int = 1,
    progress: Progress | None = None,
) -> Goodness:
    """Return the saturated goodness of fit.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    mu : float, optional
        Signal strength to hold; by default it is fitted.
    data : Data, optional
        By default the observed data.
    toys : int
        Toys for the distribution of the statistic; 0 for none.
    seed, chunk, processes, progress
        As of `superbin.likelihood.toys.throw`.
    """
    fit = engine.fit(mu=mu, data=data)
    if not fit.ok:
        return Goodness(None, 0, None, None, f"best fit: {fit.status}")
    statistic = 2 * fit.height
    freedom = _freedom(engine, fit, held=mu is not None)
    p = float(chdtrc(freedom, statistic)) if freedom > 0 else None
    doubts = list(fit.doubts)
    few = int(np.count_nonzero((engine.expected(fit.x) < FEW) & engine.counted))
    if few:
        doubts.append(
            f"few events: {few} of {counted(int(engine.counted.sum()), 'bin')} expect fewer than {FEW:g}; the asymptotic p-value is approximate there, toys are not"
        )
    tail = None
    if toys:
        task = ToyTask(engine, fit, statistic, mu, seed, goodness=True)
        tail = throw(task, toys, chunk=chunk, processes=processes, progress=progress)
        if tail.failed:
            doubts.append(f"{tail.failed} toys were left out because a fit failed")
    return Goodness(statistic, freedom, p, tail, "converged", tuple(doubts))


def _freedom(engine: Engine, fit: EngineFit, *, held: bool) -> int:
    """Bins minus free parameters, not counting those at a bound."""
    free = sum(
        kind == "free" and not fixed and name not in fit.at_bounds and not (held and name == engine.strength)
        for name, kind, fixed in zip(engine.parameters, engine.kinds, engine.fixed, strict=True)
    )
    return int(engine.counted.sum()) - free
