"""The exact limit of a likelihood whose signal is in one bin: a check of asymptotic formulae at few events.

The background of that bin and its uncertainty are those of the fit of everything else at mu = 0, as symmetric log-normal: what an aggregate
bin of `superbin.stats` is. The uncertainty of the signal is not in it.
"""

from dataclasses import dataclass, replace

import numpy as np

from superbin.likelihood.dense import Likelihood
from superbin.likelihood.engine import Engine
from superbin.stats.limits import cls_limit, expected_limits

__all__ = ["OneBin", "one_bin_limit"]


@dataclass(frozen=True, slots=True)
class OneBin:
    """Exact limits of one bin.

    Attributes
    ----------
    bin : str
        Its channel.
    observed : float
        Upper limit on mu.
    expected : float
        Median for background alone.
    background, uncertainty : float
        Events that it expects without signal, and their standard deviation.
    signal : float
        Events at mu = 1.
    """

    bin: str
    observed: float
    expected: float
    background: float
    uncertainty: float
    signal: float


def one_bin_limit(engine: Engine, *, level: float = 0.95) -> OneBin | None:
    """Return the exact limit, None where the signal is in several bins or the rest does not determine the background.

    Parameters
    ----------
    engine : Engine
        The likelihood.
    level : float
        Confidence level.
    """
    if engine.strength is None:
        return None
    poi = engine.parameters.index(engine.strength)
    x = engine.initial
    x[poi] = 0.0
    without = engine.expected(x)
    x[poi] = 1.0
    signal = (engine.expected(x) - without) * engine.counted
    places = np.flatnonzero(signal > 0)
    names = [name for name, n in engine.bins for _ in range(n)]
    if places.size != 1 or names.count(names[int(places[0])]) != 1:
        return None
    b = int(places[0])
    description = engine.description
    channels = tuple(replace(c, masked=c.masked or c.name == names[b]) for c in description.channels)
    rest = Likelihood(replace(description, channels=channels))
    fit = rest.fit(mu=0.0, thorough=False, start=None)
    if not fit.ok or fit.minimum.flat:
        return None
    slopes = rest.jacobian(fit.x)[b]
    variance = float(slopes @ rest.covariance(fit) @ slopes)
    background = float(rest.expected(fit.x)[b])
    if not (background > 0 and np.isfinite(variance)):
        return None
    error = float(np.sqrt(max(variance, 0.0)))
    down = min(error, background)
    count = float(engine.observed.counts[b])
    limit = float(cls_limit(count, background, error, down, level=level))
    median = float(expected_limits("cls", background, error, down, level=level).median)
    size = float(signal[b])
    return OneBin(names[b], limit / size, median / size, background, error, size)
