"""What a merge may be: how many bins, which bins, and how many events at least.

`Constraints` is what a caller writes, in published bin numbers. `Rules` is the same in the positions and
arrays of one problem, checked: every solver asks it whether a set is allowed, and the certified search reads
its linear rows.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.domain.sums import Totals
from superbin.errors import InputError
from superbin.merge.problem import BoolArray, IntArray, Problem
from superbin.merge.relax import Rows

__all__ = ["Constraints", "Rules", "rules"]

_SLACK = 1e-12
"""Sums within this relative distance below a limit count as reaching it."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """Conditions on the bins of a merge; the default allows every set that is not empty.

    Attributes
    ----------
    at_most, exactly : int, optional
        Number of bins.
    required, forbidden : tuple of int
        Published 1-based numbers of bins that must or must not be in it.
    min_background, min_signal : float
        Expected events the merge must have at least.
    """

    at_most: int | None = None
    exactly: int | None = None
    required: tuple[int, ...] = ()
    forbidden: tuple[int, ...] = ()
    min_background: float = 0.0
    min_signal: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Checked constraints of one problem.

    Attributes
    ----------
    required, possible : ndarray of bool, shape (n_bins,)
    least, most : int
        Number of bins.
    min_background, min_signal : float
    """

    required: BoolArray
    possible: BoolArray
    least: int
    most: int
    min_background: float
    min_signal: float

    @classmethod
    def none(cls, problem: Problem) -> "Rules":
        """Every non-empty set of the bins is allowed."""
        n = problem.n_bins
        return cls(np.zeros(n, dtype=bool), np.ones(n, dtype=bool), 1, n, 0.0, 0.0)

    @property
    def free(self) -> bool:
        """Whether every non-empty set of the possible bins is allowed."""
        unlimited = self.least <= 1 and self.most >= int(self.possible.sum())
        return unlimited and not self.required.any() and self.min_background == self.min_signal == 0

    def with_signal(self, problem: Problem) -> "Rules":
        """The rules of a free choice: bins without signal are no candidates, unless required or to fill a size.

        A size that bins with signal cannot fill takes all of these.
        """
        useful = self.possible & ((problem.signal > 0) | self.required)
        if int(useful.sum()) < self.least:
            return replace(self, required=useful)
        return replace(self, possible=useful, most=min(self.most, int(useful.sum())))

    def reachable(self, problem: Problem) -> bool:
        """Whether each minimum alone can be reached by the possible bins."""
        return all(
            self.most_events(values) >= limit * (1 - _SLACK)
            for values, limit in (
                (problem.background, self.min_background),
                (problem.signal, self.min_signal),
            )
        )

    def most_events(self, values: FloatArray) -> float:
        """The largest sum of non-negative values over an allowed number of bins."""
        extra = np.sort(values[self.possible & ~self.required])[::-1]
        left = max(self.most - int(self.required.sum()), 0)
        return float(values[self.required].sum() + extra[:left].sum())

    def allowed(self, sets: BoolArray, totals: Totals) -> BoolArray:
        """Which rows of sets satisfy the constraints."""
        count = sets.sum(axis=1)
        fine = (count >= max(self.least, 1)) & (count <= self.most)
        fine &= sets[:, self.required].all(axis=1) & ~sets[:, ~self.possible].any(axis=1)
        fine &= totals.background >= self.min_background * (1 - _SLACK)
        result: BoolArray = fine & (totals.signal >= self.min_signal * (1 - _SLACK))
        return result

    def allowed_changes(self, chosen: BoolArray, out: IntArray, into: IntArray, totals: Totals) -> BoolArray:
        """As `allowed`, for changes of an allowed set: `out` leaves it and `into` joins it, -1 where no bin does."""
        count = int(chosen.sum()) + (into >= 0).astype(np.intp) - (out >= 0)
        fine = (count >= max(self.least, 1)) & (count <= self.most)
        # The last entry is that of no bin.
        fine &= ~np.append(self.required, False)[out] & np.append(self.possible, True)[into]
        fine &= totals.background >= self.min_background * (1 - _SLACK)
        result: BoolArray = fine & (totals.signal >= self.min_signal * (1 - _SLACK))
        return result

    def allowed_flips(self, sets: BoolArray, totals: Totals) -> BoolArray:
        """As `allowed`, for every set with each of the bins in turn more or less; `totals` and the answer set after set."""
        count = sets.sum(axis=1)[:, None] + np.where(sets, -1, 1)
        fine = (count >= max(self.least, 1)) & (count <= self.most)
        fine = (fine & np.where(sets, ~self.required, self.possible)).ravel()
        fine &= totals.background >= self.min_background * (1 - _SLACK)
        result: BoolArray = fine & (totals.signal >= self.min_signal * (1 - _SLACK))
        return result

    def rows(self, problem: Problem) -> Rows:
        """The constraints that are linear in a set, without the required and forbidden bins."""
        ones = np.ones(problem.n_bins)
        found: list[tuple[FloatArray, float, bool]] = []
        if self.least == self.most:
            found.append((ones, float(self.most), True))
        elif self.most < int(self.possible.sum()):
            found.append((-ones, -float(self.most), False))
        for values, limit in ((problem.background, self.min_background), (problem.signal, self.min_signal)):
            if limit > 0:
                found.append((values, limit * (1 - _SLACK), False))
        return Rows(
            np.array([row for row, _, _ in found]).reshape(len(found), problem.n_bins),
            np.array([limit for _, limit, _ in found]),
            tuple(equal for _, _, equal in found),
        )


def rules(problem: Problem, constraints: Constraints) -> Rules:
    """Check constraints against a problem.

    Raises
    ------
    InputError
        If a number names no bin or is out of its domain, or no set can satisfy the constraints: the text says
        which one breaks.
    """
    n = problem.n_bins
    required = _mask(constraints.required, n, "required")
    forbidden = _mask(constraints.forbidden, n, "forbidden")
    both = np.flatnonzero(required & forbidden)
    if both.size:
        raise InputError(f"bin {both[0] + 1} is both required and forbidden; drop it from one of the two")
    possible = ~forbidden
    if not possible.any():
        raise InputError("every bin is forbidden; allow at least one of them")
    least, most = _counts(constraints, int(required.sum()), int(possible.sum()))
    if least == int(possible.sum()):
        # One set is left.
        required = possible
    checked = Rules(required, possible, least, most, constraints.min_background, constraints.min_signal)
    for name, values in (("background", problem.background), ("signal", problem.signal)):
        _check_minimum(checked, name, values)
    if not (problem.signal[possible] > 0).any():
        raise InputError("every bin with signal is forbidden; allow at least one of them")
    return checked


def _check_minimum(checked: Rules, name: str, values: FloatArray) -> None:
    limit: Any = getattr(checked, f"min_{name}")
    if not (
        isinstance(limit, int | float | np.number)
        and not isinstance(limit, bool)
        and np.isfinite(limit)
        and limit >= 0
    ):
        raise InputError(f"min_{name} is {limit!r}; it must be a finite number of events >= 0")
    reachable = checked.most_events(values)
    if reachable < limit * (1 - _SLACK):
        raise InputError(
            f"min_{name} is {limit:g}, but the bins allowed have at most {reachable:.6g} events; lower it"
        )


def _counts(constraints: Constraints, required: int, possible: int) -> tuple[int, int]:
    for name in ("at_most", "exactly"):
        value = getattr(constraints, name)
        if value is not None and (not _whole(value) or value < 1):
            raise InputError(f"{name} is {value!r}; it must be a whole number of bins >= 1")
    if constraints.exactly is None:
        least, most = 1, possible if constraints.at_most is None else min(constraints.at_most, possible)
    elif constraints.at_most is not None and constraints.at_most < constraints.exactly:
        raise InputError(
            f"exactly {constraints.exactly} bins and at most {constraints.at_most} contradict each other; give one"
        )
    else:
        least = most = int(constraints.exactly)
    if required > most:
        raise InputError(f"{required} bins are required but at most {most} allowed; require fewer")
    if least > possible:
        raise InputError(f"exactly {least} bins are asked for but only {possible} are allowed; ask for fewer")
    return least, int(most)


def _mask(numbers: Any, n: int, name: str) -> BoolArray:
    mask = np.zeros(n, dtype=bool)
    if not np.iterable(numbers) or isinstance(numbers, str):
        raise InputError(f"{name} is {numbers!r}; it must be numbers of bins, such as (3, 7)")
    for number in numbers:
        if not _whole(number):
            raise InputError(f"{name} bin {number!r} is not a whole number; the bins are 1 to {n}")
        if not 1 <= number <= n:
            raise InputError(f"{name} bin {number!r} does not exist; the bins are 1 to {n}")
        mask[number - 1] = True
    return mask


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
