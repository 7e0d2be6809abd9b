"""The dense engine against pyhf on small workspaces, and against closed forms (ENG-1 to ENG-18)."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm

from superbin.errors import InputError
from superbin.io.workspaces import model_from_workspace
from superbin.likelihood import Likelihood
from superbin.likelihood.dense.fits import _doubts
from superbin.likelihood.dense.interpolation import even_part
from superbin.statistical_model import (
    Binary,
    Call,
    Channel,
    Constant,
    Formula,
    LogNormal,
    Morph,
    Normal,
    Parameter,
    Poisson,
    Rate,
    Sample,
    StatisticalModel,
    Variable,
)
from superbin.statistical_model.expressions import evaluate

Document = dict[str, Any]


def normfactor(name: str) -> Document:
    return {"name": name, "type": "normfactor", "data": None}


def normsys(name: str, low: float, high: float) -> Document:
    return {"name": name, "type": "normsys", "data": {"lo": low, "hi": high}}


def histosys(name: str, low: list[float], high: list[float]) -> Document:
    return {"name": name, "type": "histosys", "data": {"lo_data": low, "hi_data": high}}


def staterror(name: str, data: list[float]) -> Document:
    return {"name": name, "type": "staterror", "data": data}


def shapesys(name: str, data: list[float]) -> Document:
    return {"name": name, "type": "shapesys", "data": data}


def sample(name: str, data: list[float], *modifiers: Document) -> Document:
    return {"name": name, "data": data, "modifiers": list(modifiers)}


def workspace(
    channels: dict[str, list[Document]],
    observed: dict[str, list[float]],
    parameters: list[Document] | None = None,
    poi: str = "mu",
) -> Document:
    return {
        "channels": [{"name": name, "samples": samples} for name, samples in channels.items()],
        "observations": [{"name": name, "data": data} for name, data in observed.items()],
        "measurements": [{"name": "m", "config": {"poi": poi, "parameters": parameters or []}}],
        "version": "1.0.0",
    }


def everything() -> Document:
    """Every modifier, one nuisance in two kinds on a sample, bins of zero, one channel named before the other."""
    lumi = {"name": "lumi", "type": "lumi", "data": None}
    return workspace(
        {
            "SR": [
                sample(
                    "signal",
                    [3.0, 6.0, 2.0],
                    normfactor("mu"),
                    lumi,
                    normsys("jes", 0.9, 1.2),
                    staterror("stat_SR", [0.3, 0.5, 0.0]),
                ),
                sample(
                    "top",
                    [20.0, 12.0, 0.0],
                    normfactor("k_top"),
                    normsys("jes", 0.85, 1.1),
                    histosys("jes", [18.0, 11.0, 0.5], [23.0, 14.0, 0.2]),
                    histosys("scale", [21.0, 11.5, 0.1], [22.0, 13.0, 0.0]),
                    staterror("stat_SR", [1.0, 0.8, 0.0]),
                ),
                sample("fake", [4.0, 0.0, 2.5], lumi, shapesys("fakes", [1.5, 0.4, 0.8])),
            ],
            "CR": [
                sample("top", [80.0, 40.0], normfactor("k_top"), normsys("jes", 0.92, 1.05)),
                sample("other", [10.0, 30.0], {"name": "free", "type": "shapefactor", "data": None}),
            ],
        },
        {"SR": [27.0, 19.0, 2.0], "CR": [95.0, 66.0]},
        [
            {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "bounds": [[0.5, 1.5]], "inits": [1.0]},
            {"name": "mu", "bounds": [[0.0, 20.0]], "inits": [1.0]},
            {"name": "scale", "bounds": [[-3.0, 3.0]], "inits": [0.0]},
        ],
    )


def likelihood(document: Document, **settings: Any) -> Likelihood:
    return Likelihood(model_from_workspace(document, **settings))


def pyhf_model(document: Document, factors: str = "code4", morphs: str = "code4p") -> tuple[Any, list[float]]:
    """The model and data of pyhf."""
    import pyhf

    pyhf.set_backend("numpy")
    space = pyhf.Workspace(document)
    settings = {"normsys": {"interpcode": factors}, "histosys": {"interpcode": morphs}}
    model = space.model(modifier_settings=settings)
    return model, [float(x) for x in space.data(model)]


def in_pyhf_order(model: Any, likelihood_: Likelihood, x: NDArray[np.float64]) -> list[float]:
    """Parameters in the order of pyhf."""
    values = dict(zip(likelihood_.parameters, x.tolist(), strict=True))
    return [values[name] for name in model.config.par_names]


def pyhf_nll(model: Any, data: list[float], likelihood_: Likelihood, x: NDArray[np.float64]) -> float:
    """``-logpdf`` of pyhf."""
    return -float(model.logpdf(in_pyhf_order(model, likelihood_, x), data)[0])


# ---------------------------------------------------------------------- value and derivatives


def random_workspace(seed: int) -> Document:
    """One to three channels of one to three bins, with any modifiers and shared nuisances."""
    rng = np.random.default_rng(seed)
    channels: dict[str, list[Document]] = {}
    observed: dict[str, list[float]] = {}
    for c in range(int(rng.integers(1, 4))):
        n = int(rng.integers(1, 4))
        samples = []
        for s in range(int(rng.integers(1, 4))):
            data = np.where(rng.uniform(size=n) < 0.1, 0.0, rng.uniform(1, 40, n)).round(2)
            modifiers = [normfactor("mu")] if s == 0 else []
            for name in ("a", "b", "c"):
                if rng.uniform() < 0.5:
                    modifiers.append(
                        normsys(name, float(rng.uniform(0.6, 1.1)), float(rng.uniform(0.9, 1.5)))
                    )
                if rng.uniform() < 0.4:
                    low, high = data * rng.uniform(0.7, 1.1, n), data * rng.uniform(0.9, 1.3, n) + 0.1
                    modifiers.append(histosys(name, low.tolist(), high.tolist()))
            if rng.uniform() < 0.5:
                modifiers.append(staterror(f"stat{c}", (data * rng.uniform(0, 0.2, n)).tolist()))
            if rng.uniform() < 0.3:
                modifiers.append(shapesys(f"shape{c}{s}", (data * rng.uniform(0.01, 0.5, n)).tolist()))
            if rng.uniform() < 0.2:
                modifiers.append({"name": f"free{n}", "type": "shapefactor", "data": None})
            samples.append(sample(f"s{s}", data.tolist(), *modifiers))
        channels[f"ch{rng.integers(100)}_{c}"] = samples
        observed[list(channels)[-1]] = (
            rng.poisson(sum(np.array(s["data"]) for s in samples)).astype(float).tolist()
        )
    return workspace(channels, observed)


def inside(likelihood_: Likelihood, seed: int) -> NDArray[np.float64]:
    """A random point well inside the bounds."""
    rng = np.random.default_rng(seed)
    objective = likelihood_.objective
    draw = objective.initial + 0.4 * rng.standard_normal(objective.n_parameters)
    return np.clip(draw, np.maximum(objective.lower, -4) + 0.1, np.minimum(objective.upper, 4) - 0.1)


@pytest.mark.parametrize(("factors", "morphs"), [("code4", "code4p"), ("code1", "code0")])
@pytest.mark.parametrize("mu", [0.0, 1.3])
def test_every_modifier_as_pyhf(factors: str, morphs: str, mu: float) -> None:
    """ENG-2, ENG-5: the negative log-likelihood with all constants is pyhf's."""
    document = everything()
    ours = likelihood(document, factors=factors, morphs=morphs)
    model, data = pyhf_model(document, factors, morphs)
    assert sorted(ours.parameters) == sorted(model.config.par_names)
    for seed in range(5):
        x = inside(ours, seed)
        x[ours.model.position("mu")] = mu
        assert ours.nll(x) == pytest.approx(pyhf_nll(model, data, ours, x), rel=1e-11)


@pytest.mark.parametrize("low", [1e-10, 1e-7, 0.4, 0.6, 3.0])
def test_expectations_far_below_the_counts(low: float) -> None:
    """ENG-2: no digit is lost where a statistical factor at its lower bound leaves next to nothing of 17 counted events."""
    document = workspace(
        {"SR": [sample("b", [20.0, 15.0], normfactor("mu"), staterror("st", [2.0, 1.0]))]},
        {"SR": [24.0, 17.0]},
    )
    ours = likelihood(document)
    values = {"mu": 0.7, "st[0]": 1.1, "st[1]": low}
    rates = [20.0 * 0.7 * 1.1, 15.0 * 0.7 * low]
    expected = sum(m - n * math.log(m) + math.lgamma(n + 1) for m, n in zip(rates, (24, 17), strict=True))
    expected += -norm.logpdf(1.0, 1.1, 0.1) - norm.logpdf(1.0, low, 1 / 15)
    assert ours.nll(values) == pytest.approx(expected, rel=1e-13)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 100_000), st.booleans())
def test_random_workspaces_as_pyhf(seed: int, smooth: bool) -> None:
    """ENG-2: as pyhf for any mixture of modifiers."""
    document = random_workspace(seed)
    codes = ("code4", "code4p") if smooth else ("code1", "code0")
    ours = likelihood(document, factors=codes[0], morphs=codes[1])
    model, data = pyhf_model(document, *codes)
    x = inside(ours, seed)
    assert ours.nll(x) == pytest.approx(pyhf_nll(model, data, ours, x), rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 100_000))
def test_derivatives_are_those_of_the_value(seed: int) -> None:
    """ENG-3: gradient and Hessian agree with differences of value and gradient."""
    ours = likelihood(random_workspace(seed))
    x, step = inside(ours, seed), 1e-5
    value, gradient = ours.nll_and_gradient(x)
    hessian = ours.hessian(x)
    # What the rounding of a value leaves of a difference: where the value is 1e9, more than the difference needs.
    noise = 4 * np.finfo(float).eps * abs(value) / step
    for j in range(x.size):
        forward, backward = x.copy(), x.copy()
        forward[j] += step
        backward[j] -= step
        slope = (ours.nll(forward) - ours.nll(backward)) / (2 * step)
        assert gradient[j] == pytest.approx(slope, rel=1e-5, abs=1e-4 + noise)
        change = (ours.nll_and_gradient(forward)[1] - ours.nll_and_gradient(backward)[1]) / (2 * step)
        assert hessian[j] == pytest.approx(change, rel=1e-5, abs=1e-4 * (1 + np.abs(hessian).max()))


def test_slope_at_zero_strength_is_exact() -> None:
    """ENG-3: at mu = 0 the slope is that of the signal, not what is left of a division by zero."""
    ours = likelihood(everything())
    x = inside(ours, 3)
    j = ours.model.position("mu")
    x[j] = 0.0
    _, gradient = ours.nll_and_gradient(x)
    hessian = ours.hessian(x)
    forward = x.copy()
    forward[j] = 1e-6
    assert gradient[j] == pytest.approx((ours.nll(forward) - ours.nll(x)) / 1e-6, rel=1e-4)
    other = ours.nll_and_gradient(forward)[1]
    assert hessian[j] == pytest.approx((other - gradient) / 1e-6, rel=1e-3, abs=1e-3)


def formula_model() -> StatisticalModel:
    """Two bins whose background is k^2 exp(-a)/(1 + b), k with an auxiliary count, b measured at 0.2 +- 0.1."""
    expression = Binary(
        "/",
        Binary(
            "*",
            Binary("^", Variable("k"), Constant(2.0)),
            Call("exp", Binary("-", Constant(0.0), Variable("a"))),
        ),
        Binary("+", Constant(1.0), Variable("b")),
    )
    background = Sample(
        "b", np.array([30.0, 10.0]), (Formula(expression), LogNormal("a", 0.9, 1.2, "combine"))
    )
    signal = Sample(
        "s",
        np.array([4.0, 6.0]),
        (Rate("mu"), Morph("a", np.array([-0.5, 0.2]), np.array([0.4, 0.5]), "code2")),
    )
    parameters = (
        Parameter("mu", 1.0, 0.0, 20.0),
        Parameter("a", 0.0, -5.0, 5.0, Normal()),
        Parameter("b", 0.2, -0.9, 3.0, Normal(0.2, 0.1)),
        Parameter("k", 1.0, 0.1, 10.0, Poisson(40.0, 40.0)),
    )
    return StatisticalModel(
        (Channel("SR", np.array([31.0, 18.0]), (signal, background)),), parameters, ("mu",)
    )


def test_formulas_and_their_derivatives() -> None:
    """ENG-1, ENG-3: a formula multiplies a sample; its exact Hessian mixes its parameters."""
    ours = Likelihood(formula_model())
    x = np.array([0.7, 0.3, 0.15, 1.1])
    k, a, b = x[3], x[1], x[2]
    t, high, low = 2 * a, math.log(1.2), math.log(0.9)
    h = t * (3 * t**4 - 10 * t**2 + 15) / 8
    factor = k**2 * math.exp(-a) / (1 + b) * math.exp(a * ((high - low) / 2 + h * (high + low) / 2))
    morph = np.array([0.45, 0.15]) * a + np.array([-0.05, 0.35]) * a**2
    expected = np.array([30.0, 10.0]) * factor + x[0] * (np.array([4.0, 6.0]) + morph)
    assert ours.expected(x) == pytest.approx(expected, rel=1e-13)
    step = 1e-5
    hessian = ours.hessian(x)
    for j in range(4):
        forward, backward = x.copy(), x.copy()
        forward[j] += step
        backward[j] -= step
        change = (ours.nll_and_gradient(forward)[1] - ours.nll_and_gradient(backward)[1]) / (2 * step)
        assert hessian[j] == pytest.approx(change, rel=1e-6, abs=1e-6)


@given(st.floats(0.2, 3.0), st.floats(-2.0, 2.0))
def test_jets_of_functions(x: float, y: float) -> None:
    """ENG-1: every function of formulas has the derivatives of its values."""
    from superbin.statistical_model.expressions import FUNCTIONS

    step = 1e-4
    for name in FUNCTIONS:
        if (name == "tan" and abs(math.cos(x + y * y)) < 0.2) or (
            name in {"asin", "acos"} and x + y * y > 0.9
        ):
            continue
        expression = Call(name, Binary("+", Variable("x"), Binary("*", Variable("y"), Variable("y"))))

        def value(u: float, v: float, expression: Call = expression) -> float:
            return evaluate(expression, {"x": u, "y": v}).value

        jet = evaluate(expression, {"x": x, "y": y})
        assert jet.gradient[1] == pytest.approx(
            (value(x, y + step) - value(x, y - step)) / (2 * step), rel=1e-3, abs=1e-4
        )
        second = (value(x + step, y) - 2 * value(x, y) + value(x - step, y)) / step**2
        assert jet.hessian[0, 0] == pytest.approx(second, rel=1e-2, abs=1e-3 + 1e-6 * abs(jet.value))


@pytest.mark.parametrize("code", ["code0", "code1", "code2", "code4p", "combine", "combine-factor"])
@given(st.floats(-3, 3))
def test_interpolations_are_even_and_reach_one(code: str, x: float) -> None:
    """ENG-4: e(1) = e(-1) = 1 and e is even, whatever the convention; its slope is that of its values."""
    zero = np.zeros(1)

    def e(at: float) -> tuple[float, float, float]:
        value, first, second = even_part(code, np.array([at]), zero)
        return float(value[0]), float(first[0]), float(second[0])

    assert e(1.0)[0] == pytest.approx(1.0)
    assert e(x)[0] == pytest.approx(e(-x)[0])
    if min(abs(abs(x) - k) for k in (0.0, 0.5, 1.0)) > 1e-3:
        assert e(x)[1] == pytest.approx((e(x + 1e-6)[0] - e(x - 1e-6)[0]) / 2e-6, abs=1e-7)
        assert e(x)[2] == pytest.approx((e(x + 1e-6)[1] - e(x - 1e-6)[1]) / 2e-6, abs=1e-6)


# ---------------------------------------------------------------------- fits


def counting(n: float, s: float, b: float, **bounds: float) -> Likelihood:
    """One bin, no nuisance."""
    samples = (Sample("s", np.array([s]), (Rate("mu"),)), Sample("b", np.array([b])))
    low, high = bounds.get("low", 0.0), bounds.get("high", 10.0)
    return Likelihood(
        StatisticalModel(
            (Channel("SR", np.array([n]), samples),), (Parameter("mu", 1.0, low, high),), ("mu",)
        )
    )


def test_one_bin_in_closed_form() -> None:
    """ENG-7: mu hat = (n - b)/s with error sqrt(n)/s, and q0 = 2 (n ln(n/b) - n + b)."""
    ours = counting(9, 2, 4)
    fit = ours.fit()
    assert fit.ok
    assert fit.mu == pytest.approx(2.5, rel=1e-9)
    assert fit.mu_error == pytest.approx(1.5, rel=1e-6)
    found = ours.significance()
    assert found.q0 == pytest.approx(2 * (9 * math.log(9 / 4) - 5), rel=1e-12)
    assert found.z == pytest.approx(math.sqrt(found.q0 or 0))


def test_limit_in_closed_form() -> None:
    """ENG-10: the asymptotic CLs limit of one bin, from the formulae written out."""
    n, s, b = 5.0, 2.0, 5.0

    def q(mu: float, count: float) -> float:
        best = max(0.0, (count - b) / s)
        if mu <= best:
            return 0.0
        height = [m * s + b - count * math.log(m * s + b) for m in (mu, best)]
        return 2 * (height[0] - height[1])

    def cls(mu: float) -> float:
        root, root_a = math.sqrt(q(mu, n)), math.sqrt(q(mu, b))
        shift = root - root_a if root <= root_a else (root**2 - root_a**2) / (2 * root_a)
        return float(norm.sf(shift + root_a) / norm.sf(shift))

    limit = counting(n, s, b).limit()
    assert limit.status == "converged"
    assert limit.observed == pytest.approx(brentq(lambda mu: cls(mu) - 0.05, 0.1, 20, xtol=1e-12), rel=1e-8)
    for k, band in limit.bands.items():
        value = norm.isf(0.05 * norm.cdf(k)) + k
        assert band == pytest.approx(
            brentq(lambda mu, v=value: math.sqrt(q(mu, b)) - v, 0.01, 40, xtol=1e-12), rel=1e-8
        )


def ordinary() -> Document:
    """A signal region, a control region that measures the top quarks, and a little of everything."""
    return workspace(
        {
            "SR": [
                sample("s", [3.0, 6.0], normfactor("mu"), normsys("jes", 0.9, 1.1)),
                sample(
                    "top",
                    [20.0, 12.0],
                    normfactor("k"),
                    normsys("jes", 0.95, 1.04),
                    staterror("st", [1.0, 0.8]),
                ),
                sample(
                    "fake", [4.0, 2.0], shapesys("fakes", [1.5, 0.8]), histosys("h", [3.7, 1.5], [4.5, 2.4])
                ),
            ],
            "CR": [sample("top", [80.0], normfactor("k"), normsys("jes", 0.92, 1.05))],
        },
        {"SR": [27.0, 19.0], "CR": [85.0]},
    )


def test_fits_and_cls_as_pyhf() -> None:
    """ENG-7, ENG-10: q0, CLs observed and expected as pyhf's."""
    import pyhf

    ours = likelihood(ordinary())
    model, data = pyhf_model(ordinary())
    observed, expected = pyhf.infer.hypotest(1.5, data, model, test_stat="qtilde", return_expected_set=True)
    start, bounds, fixed = (
        getattr(model.config, f"suggested_{what}")() for what in ("init", "bounds", "fixed")
    )
    q0 = float(pyhf.infer.test_statistics.q0(0.0, data, model, start, bounds, fixed))
    found = ours.cls(1.5)
    assert found.cls == pytest.approx(float(observed), rel=1e-3)
    assert found.expected == pytest.approx([float(e) for e in expected], rel=1e-3)
    assert ours.significance().q0 == pytest.approx(q0, rel=1e-4)


def test_limit_is_where_cls_is() -> None:
    """ENG-10: CLs at the observed limit is 1 - level; the band crosses where the expected CLs do."""
    ours = likelihood(everything())
    limit = ours.limit(level=0.9)
    assert limit.observed is not None
    assert limit.expected is not None
    assert ours.cls(limit.observed).cls == pytest.approx(0.1, rel=1e-6)
    assert ours.cls(limit.expected).expected[2] == pytest.approx(0.1, rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 100_000), st.booleans())
def test_no_start_gets_lower(seed: int, smooth: bool) -> None:
    """ENG-6: a fit ends with no gradient, and nowhere nearby is lower; also on the kinks of codes 0 and 1."""
    codes = ("code4", "code4p") if smooth else ("code1", "code0")
    ours = likelihood(random_workspace(seed), factors=codes[0], morphs=codes[1])
    fit = ours.fit()
    if not fit.ok:
        # Events were seen in a bin where nothing is ever expected.
        assert fit.status.startswith("not-finite")
        assert math.isnan(fit.nll)
        return
    objective = ours.objective
    rng = np.random.default_rng(seed)
    for scale in (1e-3, 1e-2, 0.1):
        for _ in range(20):
            x = np.clip(fit.x + scale * rng.standard_normal(fit.x.size), objective.lower, objective.upper)
            x = np.where(objective.fixed, fit.x, x)
            assert not ours.nll(x) < fit.nll - 1e-9


def coupled() -> Document:
    """Two histosys that pull a bin to the same count from both sides: two minima at mu = 0."""
    return workspace(
        {
            "SR": [
                sample("s", [1.0, 0.5], normfactor("mu")),
                sample("b", [50.0, 50.0], histosys("a", [62.0, 51.0], [63.0, 49.5])),
            ]
        },
        {"SR": [60.0, 50.0]},
    )


def test_several_minima_are_told() -> None:
    """ENG-8: the lowest is the result, the others are listed, and which made the Asimov data is said."""
    ours = likelihood(coupled())
    fit = ours.fit(mu=0.0)
    grid = np.linspace(-5, 5, 401)
    heights = np.array([ours.nll({"mu": 0.0, "a": a}) for a in grid])
    valleys = [i for i in range(1, 400) if heights[i] < min(heights[i - 1], heights[i + 1])]
    lowest = [
        float(
            minimize_scalar(
                lambda a: ours.nll({"mu": 0.0, "a": a}),
                bounds=(grid[i - 1], grid[i + 1]),
                method="bounded",
                options={"xatol": 1e-9},
            ).fun
        )
        for i in valleys
    ]
    assert len(lowest) == 2
    assert [m.nll for m in fit.minima] == pytest.approx(sorted(lowest), abs=1e-6)
    assert fit.nll == fit.minima[0].nll
    assert any("2 minima" in doubt for doubt in fit.doubts)
    limit = ours.limit()
    assert limit.asimov is not None
    assert limit.asimov.nll == pytest.approx(min(lowest), abs=1e-6)
    assert len(limit.others) == 1
    assert any("Asimov set is that of the lowest minimum" in doubt for doubt in limit.doubts)


def test_parameters_at_bounds_are_named() -> None:
    """ENG-9: published bounds hold and a parameter that ends at one is named."""
    fit = counting(40, 2, 5).fit()
    assert fit.mu == 10.0
    assert fit.at_bounds == ("mu",)
    assert fit.mu_error is None
    assert fit.doubts[0] == "at a bound: mu"


def test_failed_starts_and_negative_expectations_are_named() -> None:
    """ENG-9: starts that ended elsewhere than in a minimum by their names, and the first bin that expects less than nothing."""
    ours = counting(3, 2, 5)
    best = ours.fit().minimum
    negative = dataclasses.replace(best, point=dataclasses.replace(best.point, expected=np.array([-0.1])))
    lost = dataclasses.replace(best, status="iteration-limit")
    told = list(_doubts(ours.objective, negative, (), (), [("nominal", best), ("random 1", lost)]))
    assert told == [
        "starts that did not converge: random 1",
        f"negative expectation in {ours.objective.model.bin_names[0]}",
    ]


def test_limit_beyond_the_bound_is_found_and_named() -> None:
    """ENG-11: an upper bound of the signal strength does not end the search."""
    narrow, wide = counting(5, 2, 5, high=1.0).limit(), counting(5, 2, 5, high=100.0).limit()
    assert narrow.observed == pytest.approx(wide.observed, rel=1e-9)
    assert any("beyond the published bound 1 of mu" in doubt for doubt in narrow.doubts)


def test_negative_lower_bound_is_named() -> None:
    """ENG-10: limits keep mu at or above zero, and say so."""
    limit = counting(3, 2, 5, low=-2.0).limit()
    assert limit.observed == pytest.approx(counting(3, 2, 5).limit().observed, rel=1e-9)
    assert any("published lower bound is -2" in doubt for doubt in limit.doubts)


def test_fixed_strength_is_let_go() -> None:
    """ENG-10: a signal strength that the measurement fixes is free in a limit, which says so."""
    model = counting(5, 2, 5).model
    fixed = Likelihood(
        StatisticalModel(model.channels, (Parameter("mu", 1.0, 0.0, 10.0, fixed=True),), ("mu",))
    )
    assert fixed.fit().mu == 1.0
    limit = fixed.limit()
    assert limit.observed == pytest.approx(counting(5, 2, 5).limit().observed, rel=1e-9)
    assert limit.doubts[0] == "mu is fixed in the published model and was freed"


def test_nothing_expected_nothing_seen() -> None:
    """ENG-5: lambda = 0 = n adds nothing; the limit of an empty bin without background is -ln(0.05)/s where q_A is not defined by counts."""
    ours = counting(0, 2, 0)
    assert ours.nll({"mu": 0.0}) == 0.0
    assert ours.nll({"mu": 1.5}) == pytest.approx(3.0)
    assert ours.fit().mu == 0.0


def test_impossible_at_zero_strength() -> None:
    """ENG-12: events where nothing is expected without signal: mu = 0 is excluded, and no limit is made up."""
    ours = counting(3, 2, 0)
    found = ours.significance()
    assert found.q0 == math.inf
    assert any("mu = 0 is impossible" in doubt for doubt in found.doubts)
    limit = ours.limit()
    assert limit.observed is None
    assert "bin SR expects 0 events where 3 were counted" in limit.status


def test_failed_fit_has_no_number() -> None:
    """ENG-12: without a possible start there is a reason in place of numbers."""
    fit = counting(3, 0, 0).fit()
    assert not fit.ok
    assert math.isnan(fit.nll)
    assert fit.mu is None
    assert fit.values == {}
    with pytest.raises(InputError, match="the fit has no parameters"):
        _ = fit.x


def test_fit_where_no_start_is_possible() -> None:
    """ENG-8: without signal the initial values expect nothing in a bin with events; the fit is approached from that of mu."""
    document = workspace(
        {
            "SR": [
                sample("s", [10.0, 0.1], normfactor("mu")),
                sample("b", [0.0, 20.0], histosys("a", [-1.0, 19.0], [1.0, 21.0])),
            ]
        },
        {"SR": [3.0, 20.0]},
    )
    ours = likelihood(document)
    assert ours.nll({"mu": 0.0}) == math.inf
    fit = ours.fit(mu=0.0)
    lowest = minimize_scalar(
        lambda a: ours.nll({"mu": 0.0, "a": a}), bounds=(0.01, 5), method="bounded", options={"xatol": 1e-10}
    )
    assert fit.ok
    assert fit.nll == pytest.approx(float(lowest.fun), abs=1e-9)


def test_flat_directions_are_told() -> None:
    """ENG-9: two strengths of one sample cannot be told apart; the fit says so and gives no covariance."""
    document = workspace(
        {"SR": [sample("s", [5.0], normfactor("mu"), normfactor("nu")), sample("b", [10.0])]}, {"SR": [14.0]}
    )
    ours = likelihood(document)
    fit = ours.fit()
    assert fit.ok
    assert fit.values["mu"] * fit.values["nu"] == pytest.approx(0.8, rel=1e-6)
    assert any("no curvature" in doubt for doubt in fit.doubts)
    with pytest.raises(InputError, match="no curvature"):
        ours.covariance(fit)


def test_idle_parameters_stay_nominal_without_signal() -> None:
    """ENG-9: a free parameter that acts on the signal alone keeps its initial value at mu = 0."""
    document = workspace(
        {"SR": [sample("s", [5.0, 3.0], normfactor("mu"), normfactor("nu")), sample("b", [10.0, 9.0])]},
        {"SR": [14.0, 12.0]},
    )
    assert likelihood(document).fit(mu=0.0).values["nu"] == 1.0


def test_covariance_is_the_inverse_hessian() -> None:
    """ENG-7: for free and constrained parameters alike."""
    ours = likelihood(everything())
    fit = ours.fit()
    free = fit.minimum.free
    inverse = np.linalg.inv(ours.hessian(fit.x)[np.ix_(free, free)])
    assert ours.covariance(fit)[np.ix_(free, free)] == pytest.approx(inverse, rel=1e-8, abs=1e-12)


def test_held_parameters_and_other_data() -> None:
    """ENG-7: parameters can be held; the Asimov set of a point is fitted at that point with height zero."""
    ours = likelihood(everything())
    held = ours.fit(hold={"jes": 0.5})
    assert held.values["jes"] == 0.5
    x = ours.array({"mu": 1.5, "jes": 0.4})
    again = ours.fit(data=ours.objective.asimov(x))
    assert again.height == pytest.approx(0.0, abs=1e-12)
    assert again.mu == pytest.approx(1.5, abs=1e-5)


def test_few_events_are_told() -> None:
    """ENG-13: asymptotic numbers at few events carry a warning."""
    assert any("few events" in doubt for doubt in counting(1, 2, 0.5).limit().doubts)
    assert not any("few events" in doubt for doubt in counting(30, 5, 30).limit().doubts)


def test_masked_channels_do_not_count() -> None:
    """ENG-1: a masked channel is predicted but not fitted."""
    one = counting(9, 2, 4).model
    masked = Channel("VR", np.array([100.0]), (Sample("b", np.array([1.0]), (Rate("mu"),)),), masked=True)
    ours = Likelihood(StatisticalModel((*one.channels, masked), one.parameters, ("mu",)))
    assert ours.fit().mu == pytest.approx(2.5)
    assert ours.expected(ours.fit().x)[1] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("mu", "message"), [(-1.0, "must be a finite number >= 0"), (math.nan, "must be a finite number >= 0")]
)
def test_bad_strengths(mu: float, message: str) -> None:
    """ENG-12: an impossible question is refused."""
    with pytest.raises(InputError, match=message):
        counting(1, 1, 1).cls(mu)


def test_descriptions_are_checked() -> None:
    """ENG-1: unknown names, sizes and repeated names are refused when a description is made."""
    channel = Channel("SR", np.array([1.0]), (Sample("b", np.array([1.0]), (Rate("mu"),)),))
    with pytest.raises(InputError, match="depends on 'mu', which is not a parameter"):
        StatisticalModel((channel,), ())
    with pytest.raises(InputError, match="two parameters are named 'mu'"):
        StatisticalModel((channel,), (Parameter("mu", 1.0), Parameter("mu", 1.0)))
    with pytest.raises(InputError, match="counts 2 bins, its sample 'b' has 1"):
        Channel("SR", np.array([1.0, 2.0]), (Sample("b", np.array([1.0])),))
    with pytest.raises(InputError, match="outside its bounds"):
        Parameter("x", 3.0, 0.0, 1.0)
    with pytest.raises(InputError, match="must be finite and > 0"):
        LogNormal("x", 0.0, 1.2)
