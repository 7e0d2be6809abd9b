"""What searches start from and end on: clause MERGE-13."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superbin.domain.aggregate import BinSums
from superbin.domain.merits import MERITS
from superbin.merge.archive import Archive
from superbin.merge.constraints import Constraints, Rules, rules
from superbin.merge.exclusion import _exact_median
from superbin.merge.local import Screen
from superbin.merge.problem import BoolArray, Problem, problem_from
from superbin.stats.counts import quantile


def problem_of(seed: int, n: int, *, correlated: bool) -> Problem:
    """Random bins, some without background."""
    rng = np.random.default_rng(seed)
    s, b = rng.exponential(2, n), 10 ** rng.uniform(-1, 2, n) * (rng.random(n) < 0.9)
    sigma = np.where(b > 0, b * 10 ** rng.uniform(-1, 0, n), 1.84)
    covariance = None
    if correlated:
        factors = rng.normal(size=(n, 3))
        matrix = factors @ factors.T + 0.3 * np.eye(n)
        unit = sigma / np.sqrt(np.diag(matrix))
        covariance = matrix * np.outer(unit, unit)
    return problem_from(BinSums(s, b, sigma**2, np.minimum(sigma, b) ** 2), covariance)


def neighbours(chosen: BoolArray, allowed: Rules, problem: Problem) -> BoolArray:
    """Every allowed set with one bin more, less or exchanged."""
    found = []
    for i in range(chosen.size):
        flipped = chosen.copy()
        flipped[i] ^= True
        found.append(flipped)
        if chosen[i]:
            found += [flipped | np.eye(chosen.size, dtype=bool)[j] for j in np.flatnonzero(~chosen)]
    sets = np.array(found)
    return np.asarray(sets[allowed.allowed(sets, problem.totals(sets))])


@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize("constrained", [False, True])
def test_climbs_end_where_no_neighbour_is_better(correlated: bool, constrained: bool) -> None:
    """No end has a better neighbour, every start leads to an end that is no worse, and rules are kept."""
    for seed in range(8):
        problem = problem_of(seed, 12, correlated=correlated)
        constraints = Constraints(at_most=4, required=(2,), forbidden=(5,)) if constrained else Constraints()
        allowed = rules(problem, constraints)
        merit = MERITS["midp"]
        screen = Screen(problem.upward(), merit.rank, allowed, share=0.75)
        rng = np.random.default_rng(100 + seed)
        starts = rng.random((7, 12)) < 0.25
        starts[:, 1] = True
        starts[:, 4] = False
        starts = starts[allowed.allowed(starts, problem.totals(starts))]
        ends = screen.climbs(starts)
        assert len({end.tobytes() for end in ends}) == len(ends) > 0
        values = merit.rank(screen.problem.totals(ends))
        assert allowed.allowed(ends, problem.totals(ends)).all()
        assert values.max() >= merit.rank(screen.problem.totals(starts)).max() * (1 - 1e-12)
        for end, value in zip(ends, values, strict=True):
            others = merit.rank(screen.problem.totals(neighbours(end, allowed, problem)))
            assert others.max() <= value * (1 + 1e-8)


def test_climbs_from_nowhere() -> None:
    """Without a start there is no end."""
    problem = problem_of(0, 5, correlated=False)
    screen = Screen(problem.upward(), MERITS["midp"].rank, Rules.none(problem), share=0.75)
    assert screen.climbs(np.zeros((0, 5), dtype=bool)).shape == (0, 5)


@given(
    st.lists(
        st.tuples(st.floats(1e-3, 300), st.floats(0, 2), st.floats(0, 1), st.integers(-3, 3)),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=30)
def test_medians_from_any_guess(rows: list[tuple[float, float, float, int]]) -> None:
    """The exact median does not depend on the guess that is tried first."""
    b, up, down, off = (np.array(column) for column in zip(*rows, strict=True))
    up, down = up * b, down * b
    truth = quantile(0.5, b, up, down)
    guess = np.maximum(truth + off, 0.0)
    assert np.array_equal(_exact_median(guess, b, up, down), np.atleast_1d(truth))


@pytest.mark.parametrize("name", list(MERITS))
def test_a_set_evaluated_alone_has_its_value(name: str) -> None:
    """To the last bit: what is remembered of a single row is what the set has alone."""
    for seed in range(6):
        problem = problem_of(seed, 9, correlated=bool(seed % 2))
        chosen = np.random.default_rng(seed).random(9) < 0.4
        chosen[0] = True
        merit = MERITS[name]
        archive = Archive(problem, merit, Rules.none(problem), keep=1)
        archive.evaluate(chosen[None, :])
        assert archive.value(chosen) == float(merit(problem.totals(chosen[None, :]))[0])
