"""Floors, totals, logarithmic morphs and statistical errors of histograms: values by brute force, derivatives by differences."""

import math

import numpy as np
import pytest

from superbin.errors import InputError
from superbin.likelihood import Likelihood
from superbin.statistical_model import (
    Binary,
    Channel,
    Constant,
    Formula,
    LogMorph,
    LogNormal,
    Morph,
    Normal,
    Parameter,
    Rate,
    Sample,
    StatisticalModel,
    Variable,
)

NAMES = ("r", "a", "b", "c", "x0", "x1", "x2", "f", "g")


def smooth(x: float, region: float) -> float:
    """Combine's step."""
    t = x / region
    return math.copysign(1.0, x) if abs(t) >= 1 else 0.125 * t * (t * t * (3 * t * t - 10) + 15)


SIGNAL = np.array([1.0, 2.0, 4.0])
BACKGROUND = np.array([6.0, 3.0, 0.0])
OTHER = np.array([2.0, 5.0, 1.0])
LOW, HIGH = np.array([0.5, -0.4, -0.1]), np.array([-0.2, 0.1, 0.3])
DROP_LOW, DROP_HIGH = np.array([0.6, -2.5, 1.9]), np.array([-1.0, -2.0, 3.0])


def model() -> StatisticalModel:
    formula = Binary("+", Constant(1.0), Binary("*", Variable("f"), Variable("g")))
    return StatisticalModel(
        (
            Channel(
                "c",
                np.array([7.0, 9.0, 4.0]),
                (
                    Sample(
                        "s", SIGNAL, (Rate("r"), LogMorph("a", LOW, HIGH, 0.5), LogMorph("b", HIGH, LOW)), total=7.0,
                        errors=np.array([0.3, 0.4, 0.9]),
                    ),
                    Sample(
                        "b", BACKGROUND, (Morph("b", DROP_LOW, DROP_HIGH, "combine", 0.7), LogNormal("c", 0.8, 1.3, "combine")),
                        floor=0.01, total=9.0, errors=np.array([0.7, 0.5, 0.2]),
                    ),
                    Sample("o", OTHER, (Formula(formula), LogMorph("b", LOW, HIGH)), errors=np.array([0.1, 0.2, 0.3])),
                ),
                statistics=("x0", "x1", "x2"),
                floor=1e-9,
            ),
        ),
        (
            Parameter("r", 1.0, 0.0, 10.0),
            *(Parameter(name, 0.0, constraint=Normal()) for name in ("a", "b")),
            Parameter("c", 0.0, constraint=Normal(0.2, 1.5, 0.5)),
            *(Parameter(name, 0.0, -7.0, 7.0, Normal()) for name in ("x0", "x1", "x2", "f", "g")),
        ),
        ("r",),
    )  # fmt: skip


def brute_force(values: dict[str, float]) -> float:
    r, a, b, c = (values[name] for name in "rabc")
    log_a = 0.5 * a * ((HIGH - LOW) + smooth(a, 0.5) * (HIGH + LOW))
    log_b = 0.5 * b * ((LOW - HIGH) + smooth(b, 1.0) * (HIGH + LOW))
    s = SIGNAL * np.exp(log_a + log_b)
    s = r * s * 7.0 / s.sum()
    add = 0.5 * b * ((DROP_HIGH - DROP_LOW) + smooth(b, 0.7) * (DROP_HIGH + DROP_LOW))
    shape = np.maximum(BACKGROUND + add, 0.01)
    low, high = math.log(0.8), math.log(1.3)
    factor = math.exp(0.5 * c * ((high - low) + smooth(2 * c, 1.0) * (high + low)))
    background = factor * 9.0 * shape / shape.sum()
    other_factor = 1 + values["f"] * values["g"]
    log = 0.5 * b * ((HIGH - LOW) + smooth(b, 1.0) * (HIGH + LOW))
    other = OTHER * other_factor * np.exp(log)
    errors = np.sqrt(
        (r * np.array([0.3, 0.4, 0.9])) ** 2
        + (factor * np.array([0.7, 0.5, 0.2])) ** 2
        + (other_factor * np.array([0.1, 0.2, 0.3])) ** 2
    )
    x = np.array([values["x0"], values["x1"], values["x2"]])
    expected = np.maximum(s + background + other + x * errors, 1e-9)
    n = np.array([7.0, 9.0, 4.0])
    nll = float((expected - n * np.log(expected)).sum() + sum(math.lgamma(k + 1) for k in n))
    width = 0.5 if c < 0.2 else 1.5
    nll += 0.5 * ((c - 0.2) / width) ** 2 + math.log(1.0 * math.sqrt(2 * math.pi))
    for name in ("a", "b", "x0", "x1", "x2", "f", "g"):
        nll += 0.5 * values[name] ** 2 + 0.5 * math.log(2 * math.pi)
    return nll


POINTS = [
    (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (0.7, 0.3, 0.4, 0.1, 0.2, -0.3, 0.5, 0.4, 0.6),
    (0.0, -0.3, -0.4, -0.6, -0.2, 0.3, 0.5, 0.4, -0.6),
    (2.0, 1.3, 1.2, 1.6, 1.2, 0.3, -0.5, -0.4, 0.6),
    (0.3, -1.3, -1.9, 0.6, 0.2, 0.8, 0.5, 0.9, 0.1),
]


@pytest.mark.parametrize("point", POINTS)
def test_value_by_brute_force(point: tuple[float, ...]) -> None:
    """ENG-1, ENG-19: value against a calculation in plain numpy."""
    values = dict(zip(NAMES, point, strict=True))
    assert Likelihood(model()).nll(values) == pytest.approx(brute_force(values), rel=1e-13)


@pytest.mark.parametrize("point", POINTS)
def test_derivatives(point: tuple[float, ...]) -> None:
    """ENG-3, ENG-19: gradient and Hessian against differences, at zero signal as well."""
    likelihood = Likelihood(model())
    x = np.array(point)
    _, gradient = likelihood.nll_and_gradient(x)
    hessian = likelihood.hessian(x)
    assert np.abs(hessian - hessian.T).max() < 1e-12 * np.abs(hessian).max()
    for j in range(x.size):
        step = np.zeros(x.size)
        step[j] = 1e-5
        if NAMES[j] == "r" and x[j] == 0:  # no step to negative signals, whose statistical error is the same
            step *= 0.1
        up, down = likelihood.nll_and_gradient(x + step), likelihood.nll_and_gradient(x - step)
        size = 2 * step[j]
        assert gradient[j] == pytest.approx((up[0] - down[0]) / size, rel=1e-6, abs=1e-6), NAMES[j]
        np.testing.assert_allclose(hessian[j], (up[1] - down[1]) / size, rtol=1e-6, atol=2e-6)


def test_samples_are_checked() -> None:
    """ENG-19: totals, regions and numbers of statistical parameters."""
    with pytest.raises(InputError, match=r"the total must be finite and > 0"):
        Sample("s", SIGNAL, total=0.0)
    with pytest.raises(InputError, match=r"must all add or all multiply"):
        Sample("s", SIGNAL, (Morph("a", LOW, HIGH), LogMorph("b", LOW, HIGH)), total=1.0)
    with pytest.raises(InputError, match=r"smooth region of the morph of 'a' is 0"):
        LogMorph("a", LOW, HIGH, 0.0)
    with pytest.raises(InputError, match=r"3 bins and 1 statistical parameters"):
        Channel("c", SIGNAL, (), statistics=("x",))
    with pytest.raises(InputError, match=r"has lower width -1"):
        Normal(0.0, 1.0, -1.0)


@pytest.mark.parametrize("b", [0.655, 0.66, 0.665, -1.55])
def test_derivatives_of_rounded_floors(b: float) -> None:
    """ENG-21: gradient and Hessian of the rounded-off likelihood, a bin within the rounding, against differences."""
    likelihood = Likelihood(model())
    rounded = likelihood.objective.smoothed(0.2)
    x = np.array((0.7, 0.3, b, 0.1, 0.2, -0.3, 0.5, 0.4, 0.6))
    data = likelihood.objective.observed
    point = rounded.point(x, data)
    hessian = rounded.hessian(point, data)[0]
    for j in range(x.size):
        step = np.zeros(x.size)
        step[j] = 1e-5
        up, down = rounded.point(x + step, data), rounded.point(x - step, data)
        assert point.gradient[j] == pytest.approx((up.height - down.height) / 2e-5, rel=1e-6, abs=1e-6), (
            NAMES[j]
        )
        np.testing.assert_allclose(hessian[j], (up.gradient - down.gradient) / 2e-5, rtol=1e-5, atol=1e-5)
    assert any(rounded.point(np.where(np.arange(9) == 2, v, x), data).bent for v in np.linspace(-2, 2, 41))


def test_minimum_at_a_floor() -> None:
    """ENG-21: the minimum lies where a bin reaches its floor; found to 1e-6 of the one by golden section."""
    up, down = np.array([1.0, -4.0]), np.array([-1.0, 4.0])
    sample = Sample("b", np.array([10.0, 2.0]), (Morph("t", down, up, "combine"),), floor=1e-9)
    other = Sample("o", np.array([1.0, 1.0]))
    channel = Channel("c", np.array([9.0, 2.0]), (sample, other))
    likelihood = Likelihood(StatisticalModel((channel,), (Parameter("t", 0.0, -7.0, 7.0, Normal(3.0, 0.3)),)))
    fit = likelihood.fit()
    assert fit.ok
    grid = np.linspace(0.3, 3.5, 320001)
    best = min(likelihood.nll({"t": t}) for t in grid[::100])
    assert fit.nll <= best + 1e-9


def test_floor_of_a_channel_without_statistical_parameters() -> None:
    """ENG-19: no bin expects less than its channel's floor, whether or not its bins have statistical parameters."""
    falling = Sample(
        "b", np.array([5.0, 8.0]), (Morph("a", np.array([4.0, 0.0]), np.array([-4.0, 0.0]), "code0"),)
    )
    signal = Sample("s", np.array([1.0, 1.0]), (Rate("r"),))
    channel = Channel("c", np.array([3.0, 9.0]), (signal, falling), floor=0.5)
    parameters = Parameter("r", 1.0, 0.0, 10.0), Parameter("a", 0.0, -7.0, 7.0, Normal())
    likelihood = Likelihood(StatisticalModel((channel,), parameters, ("r",)))
    assert likelihood.expected({"r": 0.0, "a": 1.0}).tolist() == [1.0, 8.0]
    assert likelihood.expected({"r": 0.0, "a": 2.0}).tolist() == [0.5, 8.0]
    assert likelihood.gradient({"r": 0.0, "a": 2.0})[1] == pytest.approx(2.0)  # the constraint alone


def test_models_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """ENG-22: a model whose dense matrices would not fit is refused with its size and what to do."""
    monkeypatch.setattr("superbin.likelihood.dense.objective.LARGEST", 20.0)
    with pytest.raises(
        InputError, match=r"rows \(samples in bins\) and 9 parameters.*leave out channels, merge samples"
    ):
        Likelihood(model()).fit()
