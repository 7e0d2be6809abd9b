"""Weak signals, constraints and edges on random searches: clauses MERGE-5, MERGE-14, MERGE-17, MERGE-34 to MERGE-36."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from superbin._support.arrays import FloatArray
from superbin.domain.aggregate import BinSums
from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.domain.signal import SignalModel
from superbin.domain.sums import Totals
from superbin.errors import InputError
from superbin.merge import MERITS, SHAPES, Constraints, greedy, optimize
from superbin.merge.archive import Archive, is_tie, numbers
from superbin.merge.constraints import Rules, rules
from superbin.merge.figures import VISIBLE, expected_z, quick_midp
from superbin.merge.fleet import own_best
from superbin.merge.problem import problem_from
from superbin.merge.shapes import Shape
from superbin.stats import midp_significance

SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def totals_of(seed: int, count: int = 6) -> Totals:
    """Backgrounds over orders of magnitude, some nominally zero, some with nothing but a Poisson uncertainty."""
    rng = np.random.default_rng(seed)
    b = 10 ** rng.uniform(-3, 4, count)
    b[rng.random(count) < 0.1] = 0.0
    up = np.where(b > 0, b * 10 ** rng.uniform(-2.5, 0.6, count), rng.uniform(0.1, 3, count))
    up[(rng.random(count) < 0.1) & (b > 0)] = 0.0
    down = np.minimum(up * rng.uniform(0, 1, count), b)
    return Totals(10 ** rng.uniform(-2, 3, count), b, up, down)


def scaled(totals: Totals, k: float) -> Totals:
    return Totals(k * totals.signal, totals.background, totals.up, totals.down)


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1), figure=st.sampled_from(sorted(MERITS)))
def test_merits_vanish_with_the_signal(seed: int, figure: str) -> None:
    """MERGE-5: zero without signal, proportional to weak ones, rising, and without jumps."""
    totals, value = totals_of(seed), MERITS[figure]
    assert (value(scaled(totals, 0.0)) == 0).all()
    weak = value(scaled(totals, 1e-6))
    assert (weak > 0).all()
    if figure in ("midp", "limit", "asimov_limit", "s_over_sqrt_bv"):
        assert_allclose(value(scaled(totals, 1e-9)), 1e-3 * weak, rtol=1e-9)
    k = np.geomspace(1e-2, 1e2, 9)
    values = np.array([value(scaled(totals, x)) for x in k])
    assert (np.diff(values, axis=0) > 0).all()
    assert_allclose(value(scaled(totals, 1 + 1e-9)), value(totals), rtol=1e-6)


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1))
def test_midp_is_the_expected_z_or_the_strength_that_reaches_it(seed: int) -> None:
    """MERGE-5: against the p-value alone."""
    totals = totals_of(seed)
    z = np.asarray(
        midp_significance(totals.signal + totals.background, totals.background, totals.up, totals.down)
    )
    assert_allclose(expected_z(totals), z, rtol=1e-12)
    values = MERITS["midp"](totals)
    strong = z >= VISIBLE
    assert_allclose(values[strong], z[strong], rtol=1e-12)
    assert (values[~strong] < VISIBLE).all()
    mu = VISIBLE / values[~strong]
    part = [x[~strong] for x in (totals.signal, totals.background, totals.up, totals.down)]
    assert_allclose(midp_significance(mu * part[0] + part[1], *part[1:]), VISIBLE, rtol=0, atol=1e-9)
    # The quick ranking knows the same law.
    assert_allclose(quick_midp(scaled(totals, 1e-6)), 1e-2 * quick_midp(scaled(totals, 1e-4)), rtol=1e-9)
    # A set has the same value whatever is evaluated with it.
    alone = [
        MERITS["midp"](Totals(*(np.array([x]) for x in row)))[0]
        for row in zip(totals.signal, totals.background, totals.up, totals.down, strict=True)
    ]
    assert_allclose(alone, values, rtol=1e-12)


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_seen_of_no_signal(seed: int) -> None:
    """MERGE-5: Z(n = b) stays below the Z from which on the expected Z counts, so that every set has a strength that reaches it."""
    rng = np.random.default_rng(seed)
    b = 10 ** rng.uniform(-8, 6, 200)
    up = b * 10 ** rng.uniform(-8, 4, 200) * (rng.random(200) < 0.6)
    down = b * rng.choice([1.0, 0.8, 0.79999, 0.1, 0.0], 200)
    assert (expected_z(Totals(0 * b, b, up, down)) < 0.68).all()
    assert VISIBLE > 0.68


def ladder(signal: FloatArray, background: FloatArray, sigma: FloatArray) -> tuple[Search, SignalModel]:
    """Bins in two rows of a grid of jets and b jets."""
    n = signal.size
    place = np.stack([np.arange(n) % 2, np.arange(n) // 2], axis=1).astype(float)
    zero = np.zeros(n)
    down = np.minimum(sigma, background)
    process = Process("all", "All", Estimate(background, sigma, down, zero, zero))
    axes = (Observable("njet", "jets", "", True), Observable("nb", "b jets", "", True))
    search = Search("grid", "A grid", "none", 1.0, 13.0, axes, place, place, (process,), zero)
    return search, SignalModel("made up", {"m": 1.0}, "grid", signal, 0 * signal)


def drawn(rng: np.random.Generator, n: int = 13) -> tuple[Search, SignalModel]:
    signal = rng.exponential(1, n) * (rng.random(n) < 0.7) * 10 ** rng.uniform(-3, 1)
    signal[rng.integers(n)] += 10 ** rng.uniform(-3, 1)
    background = 10 ** rng.uniform(-1.5, 2, n)
    return ladder(signal, background, background * 10 ** rng.uniform(-1.5, 0.3, n))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("figure", sorted(MERITS))
def test_no_constraint_is_bypassed(figure: str, shape: Shape) -> None:
    """MERGE-17, MERGE-34: random constraints through the public path; bins without signal are named, and none is free."""
    rng = np.random.default_rng(3)
    done = 0
    for _ in range(2 if figure == "limit" else 4):
        search, signal = drawn(rng)
        plain = optimize(search, signal, figure_of_merit=figure, shape=shape)
        n = search.n_bins
        # Forbid what would be taken.
        taken = rng.permutation(plain.bins)
        size: dict[str, int] = {}
        if rng.random() < 0.5:
            size[str(rng.choice(["at_most", "exactly"]))] = int(rng.integers(1, n))
        others = [i + 1 for i in range(n) if i + 1 != taken[0]]
        constraints = Constraints(
            **size,
            forbidden=(int(taken[0]),) if rng.random() < 0.7 else (),
            required=(int(rng.choice(others)),) if rng.random() < 0.4 else (),
        )
        try:
            found = optimize(search, signal, figure_of_merit=figure, shape=shape, constraints=constraints)
        except InputError:
            continue
        done += 1
        assert not set(found.bins) & set(constraints.forbidden)
        assert set(found.bins) >= set(constraints.required)
        assert len(found.bins) <= (constraints.at_most or n)
        assert constraints.exactly in (None, len(found.bins))
        none = tuple(b for b in found.bins if signal.yields[b - 1] == 0)
        assert found.without_signal == none
        if shape == "free":
            allowed = sum(s > 0 and i + 1 not in constraints.forbidden for i, s in enumerate(signal.yields))
            spare = [b for b in none if b not in constraints.required]
            assert len(spare) <= max((constraints.exactly or 0) - allowed, 0)
            assert found.value <= plain.value * (1 + 1e-6)
    assert done >= 1


@pytest.mark.parametrize("figure", sorted(MERITS))
def test_forbidding_each_bin_of_the_baseline(cms_search: Search, t1bbbb: SignalModel, figure: str) -> None:
    """MERGE-17: the baseline knows no constraints, and what it found is not taken for allowed."""
    bins = optimize(cms_search, t1bbbb, figure_of_merit=figure).greedy.bins
    for bin_ in bins[:4]:
        found = optimize(
            cms_search, t1bbbb, figure_of_merit=figure, constraints=Constraints(forbidden=(bin_,))
        )
        assert bin_ not in found.bins


@settings(SETTINGS, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), strength=st.sampled_from([1e-6, 1e-3, 1.0]))
def test_a_merge_of_a_weak_signal_does_not_depend_on_its_strength(seed: int, strength: float) -> None:
    """MERGE-5: weak signals are proportional, so that the best set is that of any weaker one; greedy never wins by an offset."""
    search, signal = drawn(np.random.default_rng(seed), 8)
    best = optimize(search, signal)
    assume(best.value * strength < 0.5)
    weaker = SignalModel("made up", {"m": 1.0}, "grid", strength * 1e-3 * signal.yields, 0 * signal.yields)
    weak = SignalModel("made up", {"m": 1.0}, "grid", strength * 1e-2 * signal.yields, 0 * signal.yields)
    one, other = optimize(search, weak), optimize(search, weaker)
    assume(one.value < VISIBLE / 2)
    assert one.bins == other.bins
    assert_allclose(one.value, 10 * other.value, rtol=1e-9)
    assert one.greedy.value <= one.value * (1 + 1e-12)


def test_bins_without_signal_fill_a_size_and_no_more() -> None:
    """MERGE-34: also where one would lighten the log-normal's tail."""
    signal = np.array([592.8, 0.0, 0.0, 1.0])
    background = np.array([122.2, 216.1, 50.0, 3.0])
    search, model = ladder(signal, background, np.array([59.2, 5.5, 1.0, 1.0]))
    problem = problem_from(BinSums(signal, background, np.array([59.2, 5.5, 1.0, 1.0]) ** 2, background**2))
    pair = Totals(
        *(
            np.array(x)
            for x in (
                [592.8, 592.8],
                [122.2, 338.3],
                [59.2, np.hypot(59.2, 5.5)],
                [50.8, np.hypot(50.8, 9.4)],
            )
        )
    )
    alone, joined = MERITS["midp"](pair)
    assert joined > 1.3 * alone  # the background model, not the signal
    for figure in MERITS:
        assert optimize(search, model, figure_of_merit=figure).without_signal == ()
        forced = optimize(search, model, figure_of_merit=figure, constraints=Constraints(exactly=3))
        assert {1, 4} <= set(forced.bins)
        assert len(forced.without_signal) == 1
        required = optimize(search, model, figure_of_merit=figure, constraints=Constraints(required=(3,)))
        assert required.without_signal == (3,)
        chosen, _ = own_best(problem, MERITS[figure], rules(problem, Constraints()))
        assert not chosen[1:3].any()
    filled = optimize(search, model, constraints=Constraints(min_background=300.0))
    assert filled.without_signal


def test_ties_infinities_and_certain_backgrounds() -> None:
    """MERGE-14, MERGE-35: an infinite value ties with itself alone; a background without doubt zero is refused."""
    assert not is_tie(0.485, np.inf)
    assert not is_tie(-np.inf, 0.485)
    assert is_tie(np.inf, np.inf)
    assert is_tie(1.0, 1.0 + 1e-13)
    # Two bins whose uncertainties cancel, neither of which expects background.
    covariance = np.array([[4.0, -4.0, 0.0], [-4.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
    ones = np.ones(3)
    problem = problem_from(BinSums(ones, np.array([0.0, 0.0, 5.0]), ones, 0 * ones), covariance)
    for figure, value in MERITS.items():
        archive = Archive(problem, value, Rules.none(problem))
        every = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [1, 1, 1]], dtype=bool)
        values = archive.evaluate(every)
        assert np.isneginf(values[0]), figure
        assert np.isfinite(values[1:]).all(), figure
        assert numbers(archive.best[0]) != (1, 2)


def test_greedy_of_a_signal_that_is_nearly_none() -> None:
    """MERGE-11: what the baseline reaches vanishes with the signal, although the Z of its bin does not."""
    sums = BinSums(
        np.array([1e-6, 1e-3]),
        np.array([0.30013, 40.0]),
        np.array([1.4379, 4.0]) ** 2,
        np.array([0.3, 4.0]) ** 2,
    )
    found = greedy(sums)
    assert 0 < found.value < 1e-3
