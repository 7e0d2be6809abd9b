"""Laws that every counting model obeys, on random ones."""

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from superbin._arrays import FloatArray
from superbin.likelihood import CountingModel, Fitter
from superbin.likelihood.inference import fit_both
from superbin.likelihood.model import Interpolation, Parameter
from superbin.likelihood.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = st.integers(0, 10_000)


def random_model(seed: int, interpolation: Interpolation = "combine") -> CountingModel:
    """Bins with three processes, some control regions with shared free rates, nuisances across them."""
    rng = np.random.default_rng(seed)
    n_bins, n_controls = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    n_channels = n_bins + n_controls
    channel, signal = [], []
    for c in range(n_channels):
        n_terms = 3 if c < n_bins else 2
        channel += [c] * n_terms
        signal += [c < n_bins, *[False] * (n_terms - 1)]
    n_normal = int(rng.integers(1, 8))
    parameters = [Parameter(f"theta{j}", "normal") for j in range(n_normal)]
    parameters += [Parameter(f"phi{k}", "free", 0.01, 100.0, 1.0) for k in range(n_controls)]
    parameters.append(Parameter("flat", "flat", -1.0, 1.0))
    entries = []
    for t, c in enumerate(channel):
        first = t == 0 or channel[t - 1] != c
        for j in range(n_normal):
            if rng.uniform() < 0.4:
                low, high = np.log(rng.uniform(0.6, 1.0)), np.log(rng.uniform(1.0, 1.6))
                entries.append((t, j, low, high))
        owner = c - n_bins if c >= n_bins else int(rng.integers(n_controls))
        if not signal[t] and (first if c >= n_bins else not signal[t - 1]):
            entries.append((t, n_normal + owner, 0.0, 0.0))
        if signal[t]:
            size = rng.uniform(0.01, 0.1)
            entries.append((t, len(parameters) - 1, -size, size))
    term, parameter, low, high = (np.array(column) for column in zip(*entries, strict=True))
    used, parameter = np.unique(parameter, return_inverse=True)
    rates = rng.lognormal(1.0, 1.2, size=len(channel))
    return CountingModel(
        channels=tuple(f"c{c}" for c in range(n_channels)),
        bins=np.array([*range(n_bins), *[-1] * n_controls]),
        observed=rng.poisson(np.bincount(channel, weights=rates)).astype(float),
        processes=tuple(f"p{t}" for t in range(len(channel))),
        term_channel=np.array(channel),
        term_bin=np.where(np.array(channel) < n_bins, channel, -1),
        rates=rates,
        signal=np.array(signal),
        parameters=tuple(parameters[j] for j in used),
        entry_term=term,
        entry_parameter=parameter,
        log_down=low,
        log_up=high,
        interpolation=interpolation,
    )


def random_point(objective: Objective, seed: int) -> FloatArray:
    """Somewhere inside the bounds."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=objective.n_parameters)
    low, high = np.maximum(objective.lower, -3), np.minimum(objective.upper, 4)
    return np.clip(x, low + 0.02, high - 0.02)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.sampled_from(["combine", "code4"]))
def test_gradient_and_hessian_are_the_derivatives(seed: int, code: Interpolation) -> None:
    """LIK-9: gradient against differences of values, Hessian times vector against differences of gradients."""
    objective = Objective(random_model(seed, code))
    data, x = objective.data(), random_point(objective, seed + 1)
    direction = np.random.default_rng(seed + 2).normal(size=x.size)
    point, step = objective.point(x, data), 1e-6
    up, down = x + step * direction, x - step * direction
    slope = (objective.nll(up, data) - objective.nll(down, data)) / (2 * step)
    scale = 1 + np.abs(point.gradient).max()
    assert abs(point.gradient @ direction - slope) < 1e-5 * scale
    difference = (objective.point(up, data).gradient - objective.point(down, data).gradient) / (2 * step)
    product = objective.times(objective.curvature(point, data, ridge=0.0), direction)
    np.testing.assert_allclose(product, difference, rtol=1e-4, atol=1e-4 * (1 + np.abs(difference).max()))


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_factor_solves_what_times_multiplies(seed: int) -> None:
    """LIK-9: for any set of held parameters, with a damped Hessian that is positive definite."""
    objective = Objective(random_model(seed))
    data, x = objective.data(), random_point(objective, seed + 1)
    rng = np.random.default_rng(seed + 2)
    free = rng.uniform(size=x.size) < 0.8
    curvature = objective.curvature(objective.point(x, data), data, convex=True, damping=0.1)
    factor = objective.factor(curvature, free)
    assert factor is not None
    right = np.where(free, rng.normal(size=x.size), 0.0)
    solved = np.where(free, factor.solve(right), 0.0)
    np.testing.assert_allclose(objective.times(curvature, solved)[free], right[free], rtol=1e-7, atol=1e-8)


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_fits_end_in_a_minimum_or_say_why(seed: int) -> None:
    """LIK-10: no point near or far is better than a converged fit by more than its tolerance allows."""
    fitter = Fitter(random_model(seed))
    fit, background = fit_both(fitter)
    assert fit.ok, fit.reason
    assert background.ok, background.reason
    objective = fitter.objective
    assert ((fit.x >= objective.lower) & (fit.x <= objective.upper)).all()
    rng = np.random.default_rng(seed + 1)
    for size in (1e-3, 1e-2, 1e-1):
        x = np.clip(fit.x + size * rng.normal(size=fit.x.size), objective.lower, objective.upper)
        assert objective.nll(x, fit.data) >= fit.nll - 1e-9
    assert background.nll >= fit.nll - 1e-6


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.randoms(use_true_random=False))
def test_merging_is_additive_and_order_does_not_matter(seed: int, random: "Callable[..., object]") -> None:
    """LIK-23."""
    model = random_model(seed)
    bins = [int(b) + 1 for b in model.bins if b >= 0]
    shuffled = list(bins)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    one, other = model.merged(bins), model.merged(shuffled)
    assert one.channels == other.channels
    np.testing.assert_array_equal(one.rates, other.rates)
    x = dict(zip(("mu", *model.index), random_point(Objective(model), seed), strict=True))

    def expected(m: CountingModel) -> dict[str, float]:
        values = Objective(m).expected(np.array([x[name] for name in ("mu", *m.index)]))
        return dict(zip(m.channels, values.tolist(), strict=True))

    apart, together = expected(model), expected(one)
    total = sum(apart[c] for c, b in zip(model.channels, model.bins, strict=True) if b >= 0)
    assert abs(together["aggregate"] - total) < 1e-9 * total
    for channel, value in together.items():
        if channel != "aggregate":
            assert abs(value - apart[channel]) < 1e-9 * value


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_asimov_data_are_fitted_perfectly(seed: int) -> None:
    """LIK-8: the likelihood is never negative, and zero where the data were made."""
    objective = Objective(random_model(seed))
    x = random_point(objective, seed)
    x[0] = abs(x[0])
    data = objective.data(objective.expected(x), x * objective.constrained)
    assert abs(objective.nll(x, data)) < 1e-9
    assert objective.nll(random_point(objective, seed + 1), data) >= -1e-9
