"""``autoMCStats``: statistical errors of histograms as parameters of their bins, by Combine's rules.

In a bin the effective number of events is that of all processes (without signal, unless asked for), ``(sum of contents)^2 / sum of squared errors``,
rounded. Above the threshold one parameter shifts the whole bin by its statistical error (R. Barlow, C. Beeston, Comput. Phys. Commun. 77 (1993) 219, in the
light form of J. S. Conway, arXiv:1103.0354). Else every process has its own: a Poisson count where its effective number is at most the threshold, a
Gaussian shift where it is above, or where the error is larger than the content. Contents are those at the parameters' initial values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammainccinv, gammaincinv, ndtr

from superbin._support.arrays import FloatArray
from superbin.io.datacards.model import AutoStatistics
from superbin.statistical_model import Morph, Normal, Parameter, Poisson

__all__ = ["Contribution", "Statistics", "statistics_of"]

RANGE = 7.0
"""Standard deviations within which the parameters are bounded."""

SLACK = 0.999
"""A content of this many errors still counts as at least one."""


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """A process in the rule.

    Attributes
    ----------
    process : str
        Its name.
    is_signal : bool
        Whether it is a signal.
    coefficient : float
        What multiplies its histogram, at the initial values.
    contents, errors : array, shape (n_bins,)
        The histogram.
    """

    process: str
    is_signal: bool
    coefficient: float
    contents: FloatArray
    errors: FloatArray


@dataclass(slots=True)
class Statistics:
    """Parameters, and what they do.

    Attributes
    ----------
    parameters : list of Parameter
        New ones.
    bins : list of (str or None)
        For each bin the parameter that shifts it as a whole.
    rates : list of list of (str or None)
        For each process and bin the parameter that multiplies the content.
    shifts : list of list of Morph
        For each process what adds to its histogram, after all morphs and floors.
    """

    parameters: list[Parameter]
    bins: list[str | None]
    rates: list[list[str | None]]
    shifts: list[list[Morph]]


def statistics_of(rule: AutoStatistics, processes: Sequence[Contribution]) -> Statistics:
    """Apply the rule to the processes of a channel.

    Parameters
    ----------
    rule : AutoStatistics
        Threshold and flags.
    processes : sequence of Contribution
        At least one, with as many bins each.
    """
    n_bins = processes[0].contents.size
    found = Statistics([], [None] * n_bins, [[None] * n_bins for _ in processes], [[] for _ in processes])
    if rule.threshold < 0:
        return found
    counted = [p for p in processes if rule.with_signal or not p.is_signal]
    for b in range(n_bins):
        total = sum(p.contents[b] * p.coefficient for p in counted)
        error = np.sqrt(sum((p.errors[b] * p.coefficient) ** 2 for p in counted))
        every = sum((p.errors[b] * p.coefficient) ** 2 for p in processes)
        if not error > 0:
            continue
        name = f"prop_bin{rule.channel}_bin{b}"
        if np.floor(0.5 + total**2 / error**2) > rule.threshold:
            if every > 0:
                found.bins[b] = name
                found.parameters.append(Parameter(name, 0.0, -RANGE, RANGE, Normal()))
            continue
        for k, process in enumerate(processes):
            _own(rule, found, process, k, b, f"{name}_{process.process}")
    return found


def _own(
    rule: AutoStatistics,
    found: Statistics,
    process: Contribution,
    k: int,
    b: int,
    name: str,
) -> None:
    """Give a process a parameter in a bin."""
    content, error = float(process.contents[b]), float(process.errors[b])
    if error <= 0 or content < 0:
        return
    events = np.floor(0.5 + content**2 / error**2)
    if content >= SLACK * error and content > 0 and events <= rule.threshold:
        tail = float(ndtr(-RANGE))
        low, high = gammaincinv(events, tail), gammainccinv(events + 1, tail)
        found.parameters.append(
            Parameter(
                name, 1.0, float(low / events), float(high / events), Poisson(float(events), float(events))
            )
        )
        found.rates[k][b] = name
        return
    found.parameters.append(Parameter(name, 0.0, -RANGE, RANGE, Normal()))
    up = np.zeros(process.contents.size)
    up[b] = error
    found.shifts[k].append(Morph(name, -up, up, "combine"))
