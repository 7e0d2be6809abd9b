"""The best merge of a search for a signal, in any of the shapes a physicist may want.

`optimize` is what the analysis calls, `candidates` lists the best sets it visited. What is proved depends on the figure of merit and the shape:
`superbin.merge.shapes` says what.
"""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from superbin.domain.aggregate import bin_sums
from superbin.domain.covariance import Covariance
from superbin.domain.merits import FigureOfMerit, merit
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, UnknownNameError
from superbin.merge.archive import Archive, Candidate, as_set, numbers
from superbin.merge.branch import Limits
from superbin.merge.constraints import Constraints, rules
from superbin.merge.cuts import count_selections, selections
from superbin.merge.greedy import Baseline, baseline
from superbin.merge.problem import control_weights, problem_from
from superbin.merge.shapes import SOLVERS, Proof, Shape, Task, solve
from superbin.merge.simple import simplest
from superbin.results import GreedyBaseline, MergeResult, Optimum

__all__ = ["BEST_FOUND", "CERTIFIED", "SHAPES", "candidates", "optimize", "status"]

CERTIFIED = "certified"
BEST_FOUND = "best found"

SHAPES: tuple[Shape, ...] = get_args(Shape)
"""What sets of bins a merge may be."""


def optimize(
    search: Search,
    signal: SignalModel,
    *,
    figure_of_merit: FigureOfMerit = "midp",
    shape: Shape = "free",
    constraints: Constraints | None = None,
    covariance: Covariance | ArrayLike | None = None,
    limits: Limits | None = None,
    simplify: float = 0.0,
    prove_simplest: bool = True,
    raise_low: float = 0.0,
) -> MergeResult:
    """Choose the bins to merge, from expectations alone.

    Parameters
    ----------
    search : Search
    signal : SignalModel
        In the bins of `search`; not zero everywhere.
    figure_of_merit : str
        One of `superbin.merge.MERITS`.
    shape : str
        One of `superbin.merge.SHAPES`.
    constraints : Constraints, optional
        By default any set of bins.
    covariance : Covariance or array_like, shape (n_bins, n_bins), optional
        Of the background's upward uncertainties, events squared; by default the uncertainties of bins add in
        quadrature. Downward uncertainties take its correlations.
    limits : Limits, optional
        When a proof may stop. Unfinished, it leaves a gap and the status ``within x %``. Proofs of exact figures of merit begin only
        if `Limits.exact_seconds` gives them time.
    simplify : float
        In free shape: how much of the best figure of merit a merge may lose, relative, for being described by fewer
        selections, or by as many with fewer bins. What is proved is said of the optimum, and the result holds both.
    prove_simplest : bool
        Whether to evaluate all rectangles for the proof that no fewer selections do.
    raise_low : float
        By how many events of a control count every background estimate is raised while the bins are chosen: a search prefers
        bins whose estimate is low by chance. The value of the result is that of the published estimates, and nothing is proved of it.

    Returns
    -------
    MergeResult
        Never empty. Without constraints, in free shape, and if nothing is raised, never worse than the greedy baseline.

    Raises
    ------
    InputError
        If the signal does not fit the search or is zero everywhere, the covariance is none, `simplify` is not a part of 1,
        `raise_low` is negative or not finite, or nothing satisfies the constraints.
    UnknownNameError
        If there is no such figure of merit or shape.
    """
    if not 0 <= simplify < 1:
        raise InputError(f"simplify is {simplify}; it must be a part of the figure of merit, >= 0 and < 1")
    if not 0 <= raise_low < math.inf:
        raise InputError(f"raise_low is {raise_low}; it must be a finite number of events >= 0")
    task = _task(search, signal, figure_of_merit, constraints, covariance, limits)
    if raise_low:
        return _chosen_higher(task, shape, raise_low, simplify if shape == "free" else 0.0)
    greedy = baseline(task.problem, task.merit)
    archive, proof = _solve(replace(task, baseline=greedy), shape, keep=8)
    tolerance = simplify if shape == "free" else 0.0
    return _result(task, shape, archive, proof, greedy, tolerance, prove_simplest)


def candidates(
    search: Search,
    signal: SignalModel,
    *,
    figure_of_merit: FigureOfMerit = "midp",
    top: int = 10,
    covariance: Covariance | ArrayLike | None = None,
) -> tuple[Candidate, ...]:
    """The best distinct merges the free search of `optimize` visits, best first.

    Parameters
    ----------
    search, signal, figure_of_merit, covariance
        As in `optimize`.
    top : int
        How many at most, at least 1.

    Returns
    -------
    tuple of Candidate
        The first is the merge `optimize` returns.

    Raises
    ------
    InputError
        As in `optimize`, or if `top` is below 1.
    """
    if top < 1:
        raise InputError(f"top is {top}; ask for at least 1 candidate")
    task = _task(search, signal, figure_of_merit, None, covariance, None)
    return _solve(task, "free", keep=max(8, top))[0].candidates(top)


# --- one task ---------------------------------------------------------------------------------------------


def _task(
    search: Search,
    signal: SignalModel,
    name: str,
    constraints: Constraints | None,
    covariance: Covariance | ArrayLike | None,
    limits: Limits | None,
) -> Task:
    figure = merit(name)
    problem = problem_from(bin_sums(search, signal), covariance)
    return Task(search, problem, figure, rules(problem, constraints or Constraints()), limits or Limits())


def _chosen_higher(task: Task, shape: Shape, events: float, tolerance: float) -> MergeResult:
    """The merge that is best for raised estimates, with its value for those of the task."""
    problem = task.problem
    higher = problem.background + events * control_weights(problem.background, problem.variance_up)
    raised = replace(
        task, problem=replace(problem, background=higher), limits=replace(task.limits, exact_seconds=0.0)
    )
    archive, _ = _solve(replace(raised, baseline=baseline(raised.problem, task.merit)), shape, keep=8)
    greedy = baseline(problem, task.merit)
    found = _result(raised, shape, archive, Proof(), greedy, tolerance, prove=False)
    totals = problem.totals(as_set(found.bins, problem.n_bins)[None, :])
    value = float(task.merit(totals)[0])
    return replace(
        found, value=value, mu95=task.merit.shown(value) if task.merit.limit else None, optimum=None
    )


def _solve(task: Task, shape: Shape, *, keep: int) -> tuple[Archive, Proof]:
    if shape not in SOLVERS:
        raise UnknownNameError(f"no shape is called {shape!r}; there are {', '.join(SHAPES)}")
    archive, proof = solve(task, shape, keep)
    if not archive.found:
        raise InputError(
            f"no set of bins of shape {shape!r} was found that satisfies all constraints; loosen one of them"
        )
    return archive, proof


def _result(
    task: Task, shape: str, archive: Archive, proof: Proof, greedy: Baseline, tolerance: float, prove: bool
) -> MergeResult:
    chosen, value = archive.best
    # An infinite bound is none: the proof stopped before it had looked everywhere.
    bound = None if proof.bound is None or np.isinf(proof.bound) else max(proof.bound, value)
    proved = status(proof.complete, _gap(bound, value))
    optimum = None
    if tolerance > 0 and value > 0:
        simple = simplest(task, chosen, value, tolerance, prove=prove)
        optimum = Optimum(
            bins=numbers(chosen),
            value=value,
            selections=count_selections(task.ground, chosen),
            tolerance=tolerance,
            loss=max(1 - simple.value / value, 0.0),
            fewest=simple.proved,
        )
        chosen, value = simple.chosen, simple.value
    text = selections(task.ground, numbers(chosen))
    return MergeResult(
        bins=numbers(chosen),
        figure_of_merit=task.merit.name,
        value=value,
        status=proved,
        cuts=text.texts,
        evaluated=archive.evaluated,
        greedy=GreedyBaseline(numbers(greedy.chosen), greedy.value),
        shape=shape,
        bound=bound,
        gap=_gap(bound, value),
        nodes=proof.nodes,
        mu95=task.merit.shown(value) if task.merit.limit else None,
        without_signal=numbers(chosen & (task.problem.signal == 0)),
        overlap=text.overlap,
        optimum=optimum,
    )


def _gap(bound: float | None, value: float) -> float | None:
    return bound / value - 1 if bound is not None and value > 0 else None


def status(complete: bool, gap: float | None) -> str:
    """``certified``; ``within 1.3 %`` of the optimum, rounded up to two digits; or ``best found``."""
    if complete:
        return CERTIFIED
    if gap is None:
        return BEST_FOUND
    percent = max(100 * gap, 1e-6)
    step = 10.0 ** (math.floor(math.log10(percent)) - 1)
    shown = math.ceil(percent / step * (1 - 1e-12)) * step
    return f"within {shown:.0f} %" if shown >= 10 else f"within {shown:.2g} %"
