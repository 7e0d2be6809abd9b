"""Fits and statistics, against closed forms, dense algebra, pyhf and Minuit."""

import math
from collections.abc import Callable

import numpy as np
import pyhf
import pytest
from scipy.stats import norm, poisson

from superbin.errors import InputError
from superbin.likelihood import Fitter, PublishedLikelihood, evaluate
from superbin.likelihood.counting import CountingLikelihood
from superbin.likelihood.export import full_workspace
from superbin.likelihood.fit import REASONS
from superbin.likelihood.impacts import pulls, refitted
from superbin.likelihood.inference import cls, discovery, interval, upper_limit
from superbin.likelihood.minuit import minos, minuit_fit
from superbin.likelihood.objective import Objective
from superbin.likelihood.toys import ToyTask, background_toys, cls_from_toys, merge, throw, throw_chunk
from superbin.results.likelihood import ToyTail

OnOff = Callable[[int, int, float], PublishedLikelihood]


def li_ma(on: float, off: float, alpha: float) -> float:
    """Significance of n_on over alpha n_off: T. Li and Y. Ma, Astrophys. J. 272 (1983) 317, eq. 17."""
    total = on + off
    first = on * math.log((1 + alpha) / alpha * on / total)
    second = off * math.log((1 + alpha) * off / total)
    return math.sqrt(2 * (first + second))


@pytest.mark.parametrize(
    ("on", "off", "alpha"), [(10, 20, 0.25), (40, 100, 0.2), (3, 1, 0.5), (200, 1000, 0.15)]
)
def test_on_off_problem(on_off: OnOff, on: int, off: int, alpha: float) -> None:
    """LIK-14, LIK-10: strength, error and significance in closed form."""
    fitter = Fitter(on_off(on, off, alpha).model([2.0]))
    free, background = fitter.fit(), fitter.fit(mu=0.0)
    assert free.ok
    assert free.nll == pytest.approx(0, abs=1e-12)
    assert free.mu == pytest.approx((on - alpha * off) / 2, rel=1e-9)
    assert free.mu_error == pytest.approx(math.sqrt(on + alpha**2 * off) / 2, rel=1e-9)
    assert discovery(free, background).z == pytest.approx(li_ma(on, off, alpha), rel=1e-9)


def test_a_deficit_has_no_signal(on_off: OnOff) -> None:
    """LIK-14: mu stops at zero, q0 is zero, and mu has no error."""
    fitter = Fitter(on_off(2, 40, 0.25).model([2.0]))
    free = fitter.fit()
    assert (free.mu, free.mu_error, free.at_bounds) == (0.0, None, ("mu",))
    assert discovery(free, fitter.fit(mu=0.0)).q0 == pytest.approx(0, abs=1e-12)


def test_interval_ends_where_q_is_one(on_off: OnOff) -> None:
    """LIK-16: against the profile of the on/off problem, solved for the background by its quadratic."""
    on, off, alpha = 10, 20, 0.25
    fitter = Fitter(on_off(on, off, alpha).model([2.0]))
    found = interval(fitter, fitter.fit())

    def q(mu: float) -> float:
        s = 2 * mu
        linear = alpha * (on + off) - s * (1 + alpha)
        b = (linear + math.sqrt(linear**2 + 4 * alpha * (1 + alpha) * s * off)) / (2 * alpha * (1 + alpha))
        means = ((on, s + alpha * b), (off, b))
        return 2 * sum(m - n + n * math.log(n / m) for n, m in means)

    assert found.low is not None
    assert found.high is not None
    assert q(found.low) == pytest.approx(1, abs=1e-4)
    assert q(found.high) == pytest.approx(1, abs=1e-4)


def test_interval_stops_at_zero(on_off: OnOff) -> None:
    """LIK-16: the lower end of the interval is cut at zero."""
    fitter = Fitter(on_off(6, 20, 0.25).model([2.0]))
    found = interval(fitter, fitter.fit())
    assert found.low == 0.0
    assert found.high is not None
    assert found.high > 0.5


def test_solver_is_the_inverse_of_the_dense_hessian(two_bins: PublishedLikelihood) -> None:
    """LIK-9: the Hessian by differences of the gradient, free parameters only."""
    fitter = Fitter(two_bins.model([2.0, 3.0]))
    fit = fitter.fit()
    objective, best = fitter.objective, fit.minima[0]
    free = np.flatnonzero(best.free)
    dense = np.zeros((free.size, free.size))
    for i, j in enumerate(free):
        step = np.zeros(fit.x.size)
        step[j] = 1e-6
        up, down = (objective.point(fit.x + sign * step, fit.data).gradient for sign in (1, -1))
        dense[i] = (up - down)[free] / 2e-6
    right = np.linspace(-1, 1, fit.x.size)
    solved = fitter.hessian(fit).solve(right)
    np.testing.assert_allclose(solved[free], np.linalg.solve(dense, right[free]), rtol=1e-6)
    product = objective.times(
        objective.curvature(best.point, fit.data, ridge=0.0), np.where(best.free, solved, 0.0)
    )
    np.testing.assert_allclose(product[free], right[free], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_fit_that_is_stopped_says_so_and_has_no_number(two_bins: PublishedLikelihood, limit: int) -> None:
    """LIK-10: nothing downstream raises, and nothing has a value."""
    fitter = Fitter(two_bins.model([2.0, 3.0]), iterations=limit)
    fit = fitter.fit()
    assert fit.status == "iteration-limit"
    assert fit.reason == REASONS["iteration-limit"]
    assert math.isnan(fit.nll)
    assert math.isnan(fit.mu)
    result = evaluate(fitter)
    document = result.document()
    assert "iteration-limit" in result.status
    for key in ("nll_free", "mu_hat", "mu_err", "z0_observed"):
        assert document[key] is None
    assert set(document["limit"]["bands"].values()) == {None}
    engine = CountingLikelihood(two_bins.model([2.0, 3.0]), iterations=limit)
    with pytest.raises(InputError, match="a covariance needs a converged fit; this one is iteration-limit"):
        pulls(engine, engine.fit())
    with pytest.raises(InputError, match="toys need a fit"):
        throw_chunk(ToyTask(engine, engine.fit(), 1.0, 0.0, 0), toys=1, index=0)


def test_an_impossible_start_is_reported(compiled: Callable[..., PublishedLikelihood]) -> None:
    """LIK-10: observed events where nothing can be expected."""
    likelihood = compiled(
        "bin a b\nobservation 3 1\nbin a a b b\nprocess s b s b\nprocess 0 1 0 1\nrate SIGNAL 2 SIGNAL 0\n"
    )
    model = likelihood.model([1.0, 1.0])
    fit = Fitter(model).fit(mu=0.0)
    assert fit.status == "not-finite"
    assert math.isnan(fit.nll)


@pytest.mark.parametrize("mu", [-1.0, math.nan, math.inf])
def test_impossible_strengths_are_refused(two_bins: PublishedLikelihood, mu: float) -> None:
    """LIK-26: a negative, NaN or infinite signal strength is refused."""
    with pytest.raises(InputError, match="a signal strength must be a finite number >= 0"):
        Fitter(two_bins.model([2.0, 3.0])).fit(mu=mu)


def test_no_other_point_is_better(two_bins: PublishedLikelihood) -> None:
    """LIK-10: no random point near the fit has a lower likelihood value."""
    fitter = Fitter(two_bins.model([2.0, 3.0]))
    fit = fitter.fit()
    rng = np.random.default_rng(3)
    objective = fitter.objective
    for size in (1e-3, 0.1, 1.0):
        for _ in range(50):
            x = np.clip(fit.x + size * rng.standard_normal(fit.x.size), objective.lower, objective.upper)
            assert objective.nll(x, fit.data) >= fit.nll - 1e-12


def test_warm_and_cold_fits_agree(two_bins: PublishedLikelihood) -> None:
    """LIK-10: a fit from a known start and one from scratch find the same minimum."""
    fitter = Fitter(two_bins.model([2.0, 3.0]))
    free = fitter.fit()
    for mu in (0.0, 0.3, 1.7, 6.0):
        cold, warm = fitter.fit(mu=mu), fitter.fit(mu=mu, start=free)
        assert cold.ok
        assert warm.ok
        assert warm.nll == pytest.approx(cold.nll, abs=1e-10)


@pytest.mark.parametrize("mu", [None, 0.0, 1.0])
def test_minuit_finds_the_same(two_bins: PublishedLikelihood, mu: float | None) -> None:
    """LIK-13: from the same first point, by another algorithm."""
    fitter = Fitter(two_bins.model([2.0, 3.0]))
    ours, theirs = fitter.fit(mu=mu), minuit_fit(fitter, mu=mu)
    assert theirs.status == "converged"
    assert theirs.nll == pytest.approx(ours.nll, abs=2e-5)
    assert theirs.mu == pytest.approx(ours.mu, abs=5e-3)


def test_minos_finds_the_same_interval(two_bins: PublishedLikelihood) -> None:
    """LIK-13, LIK-16: MINOS finds the same upper end of the interval."""
    fitter = Fitter(two_bins.model([4.0, 3.0]))
    free = fitter.fit()
    ours, theirs = interval(fitter, free), minos(fitter, free)
    assert theirs is not None
    assert ours.high == pytest.approx(theirs[1], rel=1e-3)


def test_cls_is_pyhfs(two_bins: PublishedLikelihood) -> None:
    """LIK-17: values of CLs, CLs+b and CLb for given test statistics."""
    del two_bins
    for q, asimov in ((0.3, 2.0), (3.0, 2.0), (4.0, 9.0), (0.0, 1.0)):
        root, root_a = math.sqrt(q), math.sqrt(asimov)
        shift = root - root_a if q <= asimov else (q - asimov) / (2 * root_a)
        both, background = norm.sf(shift + root_a), norm.sf(shift)
        assert cls(q, asimov) == pytest.approx((both / background, both, background), rel=1e-12)
    assert cls(1.0, 0.0) == (1.0, 1.0, 1.0)


def test_limits_and_significance_agree_with_pyhf(compiled: Callable[..., PublishedLikelihood]) -> None:
    """LIK-14, LIK-17: one model in both, code 4, fitted by pyhf itself."""
    likelihood = compiled(
        "bin a b\nobservation 9 6\nbin a a b b\nprocess s k s k\nprocess 0 1 0 1\nrate SIGNAL 4.0 SIGNAL 5.0\n"
        "k lnN - 0.8/1.3 - 1.1\nl lnN 1.05 - 1.05 -\n"
    )
    model = likelihood.model([3.0, 2.0], interpolation="code4")
    fitter = Fitter(model)
    free, background = fitter.fit(), fitter.fit(mu=0.0)
    found = upper_limit(fitter, free, background)
    workspace = pyhf.Workspace(full_workspace(model))
    theirs, data = workspace.model(), workspace.data(workspace.model())
    observed, expected = pyhf.infer.intervals.upper_limits.upper_limit(data, theirs, rtol=1e-4)
    assert found.status == "converged"
    assert found.observed == pytest.approx(float(observed), rel=5e-4)
    ours = [found.bands[n] for n in (-2, -1, 0, 1, 2)]
    assert ours == pytest.approx([float(value) for value in expected], rel=2e-3)
    p0 = float(pyhf.infer.hypotest(0.0, data, theirs, test_stat="q0"))
    assert discovery(free, background).z == pytest.approx(norm.isf(p0), abs=1e-4)


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5, -0.1])
def test_levels_outside_are_refused(two_bins: PublishedLikelihood, level: float) -> None:
    """LIK-26: a confidence level that is not between 0 and 1 is refused."""
    fitter = Fitter(two_bins.model([2.0, 3.0]))
    fit = fitter.fit()
    with pytest.raises(InputError, match="confidence level"):
        upper_limit(fitter, fit, fit, level=level)


def test_parameters_of_the_signal_are_nominal_without_signal(two_bins: PublishedLikelihood) -> None:
    """LIK-12: whatever fit came before."""
    fitter = Fitter(two_bins.model([2.0, 3.0]))
    free = fitter.fit()
    place = 1 + fitter.model.position("jes")
    assert abs(free.x[place]) == 1.0  # flat, so it ends at a bound
    assert fitter.fit(mu=0.0, start=free).x[place] == 0.0


def test_several_minima_are_all_visited(compiled: Callable[..., PublishedLikelihood]) -> None:
    """LIK-11: a same-side pair makes two minima, unequal by a second channel; the better one is found from any start."""
    card = (
        "bin a b\nobservation 20 11\nbin a a b b\nprocess s k s k\nprocess 0 1 0 1\nrate SIGNAL 10 SIGNAL 10\n"
        "d lnN - 1.5/1.5 - 0.95/1.05\n"
    )
    for starts in ((-1.0, 1.0), (1.0, -1.0)):
        fitter = Fitter(compiled(card, branches={"d": starts}).model([1.0, 1.0], systematics="none"))
        fit = fitter.fit(mu=0.0)
        assert fit.ok
        assert fit.x[1] > 0
        assert fit.branch.startswith("d = ")
        assert len(fit.branch_nll) == 2
        assert max(fit.branch_nll) > min(fit.branch_nll) + 0.01
        assert fit.nll == min(fit.branch_nll)


def test_pulls_and_impacts(on_off: OnOff) -> None:
    """LIK-19: in the on/off problem mu s = n_on - alpha phi off, so one error of phi shifts mu by alpha sqrt(off) / s."""
    on, off, alpha = 40, 100, 0.2
    engine = CountingLikelihood(on_off(on, off, alpha).model([2.0]))
    free = engine.fit()
    (pull,) = pulls(engine, free)
    assert (pull.name, pull.kind, pull.pull, pull.constraint) == ("b", "free", None, None)
    assert pull.value == pytest.approx(off, rel=1e-9)
    assert pull.error == pytest.approx(math.sqrt(off), rel=1e-9)
    assert pull.linear == pytest.approx(-alpha * math.sqrt(off) / 2, rel=1e-9)
    exact = refitted(engine, free, pull)
    assert exact.up == pytest.approx(-alpha * math.sqrt(off) / 2, rel=1e-4)
    assert exact.down == pytest.approx(alpha * math.sqrt(off) / 2, rel=1e-4)


def test_toys_of_a_bare_count_are_poisson(compiled: Callable[..., PublishedLikelihood]) -> None:
    """LIK-18: without nuisances q0 grows with the count, so p0 is the Poisson tail."""
    engine = CountingLikelihood(
        compiled("bin a\nobservation 6\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 3\n").model([2.0])
    )
    q0, tail, status = background_toys(engine, toys=400, seed=5)
    assert status == "converged"
    assert q0 == engine.significance().q0
    assert tail is not None
    assert (tail.toys, tail.failed) == (400, 0)
    assert tail.p == pytest.approx(poisson.sf(5, 3.0), abs=4 * tail.p_error)
    signal = cls_from_toys(engine, 2.5, toys=200, seed=7)
    # The toys come from the models at mu = 2.5 and 0; qtilde falls with the count below its best value.
    assert signal.signal.p == pytest.approx(poisson.cdf(6, 8.0), abs=4 * signal.signal.p_error)
    assert signal.background.p == pytest.approx(poisson.cdf(6, 3.0), abs=4 * signal.background.p_error + 1e-9)
    assert signal.cls_error > 0


def test_chunks_can_be_thrown_anywhere(two_bins: PublishedLikelihood) -> None:
    """LIK-18: in any order, and on other processes."""
    engine = CountingLikelihood(two_bins.model([2.0, 3.0]))
    task = ToyTask(engine, engine.fit(mu=0.0), 0.5, 0.0, 3)
    together = throw(task, 12, chunk=5)
    parts = [throw_chunk(task, toys=n, index=i) for i, n in ((0, 5), (1, 5), (2, 2))]
    assert merge(parts) == together
    assert throw(task, 12, chunk=5, processes=2) == together
    with pytest.raises(InputError, match="chunks have seeds"):
        merge([ToyTail(1, 1, 0, 1), ToyTail(1, 1, 0, 2)])


def test_toys_draw_counts_and_centres(two_bins: PublishedLikelihood) -> None:
    """LIK-18: around the hypothesis, centres only of what is constrained."""
    engine = CountingLikelihood(two_bins.model([2.0, 3.0]))
    background = engine.fit(mu=0.0)
    rng = np.random.default_rng(0)
    drawn = [engine.draw(background.x, rng) for _ in range(4000)]
    counts = np.array([toy.counts for toy in drawn])
    expected = engine.expected(background.x)
    np.testing.assert_allclose(counts.mean(axis=0), expected, atol=5 * np.sqrt(expected.max() / 4000))
    np.testing.assert_allclose(counts.var(axis=0), expected, rtol=0.15)
    centres = np.array([toy.auxiliary for toy in drawn])
    held = ~np.isfinite(engine.widths)
    assert not centres[:, held].any()
    np.testing.assert_allclose(centres[:, ~held].mean(axis=0), background.x[~held], atol=5 / math.sqrt(4000))
    np.testing.assert_allclose(centres[:, ~held].std(axis=0), 1, rtol=0.06)


def test_toy_tails_have_errors_at_the_edges() -> None:
    """LIK-18: p of none or all of 100 toys has an error, and p without toys is NaN."""
    assert ToyTail(100, 0, 0, 0).p_error == pytest.approx(math.sqrt(99) / 1000)
    assert ToyTail(100, 100, 0, 0).p_error == pytest.approx(math.sqrt(99) / 1000)
    assert math.isnan(ToyTail(0, 0, 3, 0).p)


def test_asimov_data_expect_themselves(two_bins: PublishedLikelihood) -> None:
    """LIK-15, LIK-8: the likelihood is zero where the set was made, and mu comes back."""
    from superbin.likelihood.inference import asimov_postfit, asimov_prefit

    fitter = Fitter(two_bins.model([2.0, 3.0]))
    background = fitter.fit(mu=0.0)
    for data in (asimov_prefit(fitter, 1.0), asimov_postfit(fitter, background, 1.0)):
        fit = fitter.fit(data=data)
        assert fit.nll == pytest.approx(0, abs=1e-10)
        assert fit.mu == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(asimov_prefit(fitter, 1.0).counts, [5.4 + 2.0, 4.2 + 3.0, 24.0], rtol=1e-12)


def test_objective_without_nuisances(compiled: Callable[..., PublishedLikelihood]) -> None:
    """LIK-4: a bare count is a model, too."""
    fitter = Fitter(
        compiled("bin a\nobservation 7\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 3\n").model([2.0])
    )
    fit = fitter.fit()
    assert fit.mu == pytest.approx(2.0)
    assert fit.mu_error == pytest.approx(math.sqrt(7) / 2)
    assert isinstance(fitter.objective, Objective)
