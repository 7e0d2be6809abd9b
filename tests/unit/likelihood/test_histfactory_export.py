"""Descriptions as HistFactory JSON: pyhf evaluates the same likelihood, and what changes is measured."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonpatch
import numpy as np
import pyhf
import pytest
from click.testing import CliRunner

from superbin.cli.likelihood import likelihood as command
from superbin.errors import InputError
from superbin.likelihood import Likelihood
from superbin.likelihood.exports.histfactory import (
    HistFactoryExport,
    background_and_patches,
    histfactory_document,
    measured_deviations,
)
from superbin.statistical_model import (
    Binary,
    BinRates,
    Channel,
    Constant,
    Formula,
    LogMorph,
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


def native() -> StatisticalModel:
    """Everything that HistFactory has a form for, under names of our own."""
    stat, free = BinRates(("g0", "g1")), BinRates(("f[0]", "f[1]"))
    signal = Sample(
        "sig", np.array([3.0, 1.0]), (Rate("mu"), Rate("lumi"), LogNormal("eff", 0.93, 1.04, "code4"), stat)
    )
    top = Sample(
        "top",
        np.array([10.0, 4.0]),
        (Morph("jes", np.array([-1.0, 0.4]), np.array([1.5, -0.2])), Rate("lumi"), stat),
    )
    fake = Sample(
        "fake",
        np.array([6.0, 5.0]),
        (BinRates(("tau[0]", None)), Formula(Binary("*", Constant(0.5), Variable("k")))),
    )
    free_one = Sample("free", np.array([2.0, 3.0]), (free,))
    control = Sample(
        "fake", np.array([20.0]), (Rate("k"), Rate("count"), LogNormal("jes", 0.9, 1.2, "code4"))
    )
    gammas = [Parameter(f"g{b}", 1.0, 1e-10, 10.0, Normal(1.0, w)) for b, w in enumerate((0.1, 0.2))]
    return StatisticalModel(
        (
            Channel("SR", np.array([20.0, 11.0]), (signal, top, fake, free_one)),
            Channel("CR", np.array([22.0]), (control,)),
        ),
        (
            Parameter("mu", 1.0, 0.0, 10.0),
            Parameter("lumi", 1.0, 0.5, 1.5, Normal(1.0, 0.03)),
            Parameter("eff", 0.0, -5.0, 5.0, Normal()),
            Parameter("jes", 0.0, -5.0, 5.0, Normal()),
            *gammas,
            Parameter("tau[0]", 1.0, 1e-10, 10.0, Poisson(25.0, 25.0)),
            Parameter("f[0]", 1.0, 0.1, 10.0),
            Parameter("f[1]", 1.0, 0.1, 10.0),
            Parameter("k", 2.0, 0.0, 10.0),
            Parameter("count", 1.0, 0.0, 10.0, Poisson(12.0, 11.0)),
        ),
        ("mu",),
        "native",
    )


def by_pyhf(made: HistFactoryExport, model: StatisticalModel, points: list[np.ndarray]) -> list[float]:
    """pyhf's own negative log-likelihood at points of the model."""
    space = pyhf.Workspace(made.workspace)
    theirs = space.model()
    data = space.data(theirs)
    places = {
        name if theirs.config.param_set(name).is_scalar else f"{name}[{b}]": theirs.config.par_slice(
            name
        ).start
        + b
        for name in theirs.config.par_order
        for b in range(theirs.config.param_set(name).n_parameters)
    }
    found = []
    for x in points:
        y = np.array(theirs.config.suggested_init())
        for parameter, value in zip(model.parameters, x, strict=True):
            name, a, b = made.names[parameter.name]
            y[places[name]] = a + b * value
        found.append(-float(theirs.logpdf(y.tolist(), data)[0]))
    return found


def test_pyhf_evaluates_the_same_likelihood() -> None:
    """LIK-63: with HistFactory's own forms differences of likelihoods are pyhf's, and no deviation is reported."""
    model = native()
    made = histfactory_document(model)
    engine = Likelihood(model)
    rng = np.random.default_rng(3)
    low, high = engine.bounds
    widths = np.where(np.isfinite(engine.widths), engine.widths, 0.3)
    points = [
        np.clip(engine.initial + s * widths * rng.standard_normal(low.size), low, high)
        for s in (0, 0.5, 1, 2)
    ]
    ours, theirs = [engine.nll(x) for x in points], by_pyhf(made, model, points)
    np.testing.assert_allclose(
        np.subtract(theirs, theirs[0]), np.subtract(ours, ours[0]), rtol=1e-9, atol=1e-9
    )
    found = measured_deviations(model, made)
    assert max(found.single, found.together, found.nll) < 1e-12


def test_background_and_patch_are_the_workspace() -> None:
    """LIK-63: pyhf verifies the patch set against the background, and the patched background has the workspace's channels."""
    made = histfactory_document(native())
    parts = background_and_patches(made, name="sig", values={"m": 1.0}, description="test")
    assert parts is not None
    background, patches = parts
    patch_set = pyhf.PatchSet(patches)
    patch_set.verify(background)
    whole = jsonpatch.apply_patch(background, patches["patches"][0]["patch"])

    def plain(document: Any) -> Any:
        return {
            c["name"]: {s["name"]: (s["data"], sorted(map(json.dumps, s["modifiers"]))) for s in c["samples"]}
            for c in document["channels"]
        }

    assert plain(whole) == plain(made.workspace)
    pyhf.Workspace(whole).model()


def small(*effects: Any, **sample: Any) -> StatisticalModel:
    """One bin pair with a signal and a background that has some effects."""
    samples = (
        Sample("s", np.array([1.0, 1.0]), (Rate("mu"),)),
        Sample("b", np.array([5.0, 8.0]), effects, **sample),
    )
    parameters = (
        Parameter("mu", 1.0, 0.0, 10.0),
        Parameter("a", 0.0, -7.0, 7.0, Normal()),
        Parameter("c", 1.0, 0.1, 5.0),
        Parameter("wide", 0.0, -7.0, 7.0, Normal(0.0, 2.0)),
        Parameter("two", 0.0, -7.0, 7.0, Normal(0.0, 1.0, 0.5)),
        Parameter("flat", 0.0, -1.0, 1.0),
    )
    return StatisticalModel((Channel("SR", np.array([6.0, 9.0]), samples),), parameters, ("mu",))


def code4(low: float, high: float, x: float) -> float:
    """HistFactory's sixth-order polynomial, by solving its six conditions at one."""
    logs = math.log(low), math.log(high)
    conditions, values = [], []
    for sign, end in ((1.0, high), (-1.0, low)):
        slope = sign * (logs[1] if sign > 0 else logs[0]) * end
        curvature = (logs[1] if sign > 0 else logs[0]) ** 2 * end
        conditions += [
            [sign**k for k in range(1, 7)],
            [k * sign ** (k - 1) for k in range(1, 7)],
            [k * (k - 1) * sign ** (k - 2) if k > 1 else 0.0 for k in range(1, 7)],
        ]
        values += [end - 1, slope, curvature]
    coefficients = np.linalg.solve(np.array(conditions), np.array(values))
    return float(1 + sum(c * x ** (k + 1) for k, c in enumerate(coefficients)))


def combine_factor(low: float, high: float, x: float) -> float:
    """Combine's asymmetric log-normal factor inside half a standard deviation."""
    down, up, t = math.log(low), math.log(high), 2 * x
    step = t * (3 * t**4 - 10 * t**2 + 15) / 8 if abs(t) < 1 else math.copysign(1, t)
    return math.exp(x * (0.5 * (up - down) + step * 0.5 * (up + down)))


def test_deviation_of_an_interpolation_is_that_of_the_formulas() -> None:
    """LIK-63: Combine's factor against HistFactory's code 4, the largest of the points tried; beyond one sigma they are the same."""
    model = small(LogNormal("a", 0.6, 1.9, "combine"))
    found = measured_deviations(model, histfactory_document(model))
    expected = max(
        abs(n * (code4(0.6, 1.9, x) - combine_factor(0.6, 1.9, x)))
        / max(1 + n * combine_factor(0.6, 1.9, x), 1 + n)
        for n in (5, 8)
        for x in (-0.7, -0.4, -0.2, 0.2, 0.4, 0.7)
    )
    assert (found.parameter, found.bin) == ("a", "SR[1]")
    assert found.single == pytest.approx(expected, rel=1e-9)


def test_logarithmic_morphs_and_totals_deviate_by_what_is_said() -> None:
    """LIK-63: at one sigma both ends are exact; beyond, additive and exponential differ by closed forms."""
    up = math.log(1.5)
    model = small(LogMorph("a", np.array([-up, -up]), np.array([up, up])))
    made = histfactory_document(model)
    x = Likelihood(model).initial
    x[1] = 1.0
    assert Likelihood(model).expected(x)[0] == pytest.approx(1 + 5 * 1.5)
    found = measured_deviations(model, made)
    # histosys: up 1.5, down 1/1.5; linear beyond one: at +3 it is 1 + 3 (odd) + 3 (even), at -3 1 - 3 odd + 3 even.
    odd, even = 0.5 * (1.5 - 1 / 1.5), 0.5 * (1.5 + 1 / 1.5 - 2)
    worst = max(
        n * abs(1 + 3 * s * odd + 3 * even - 1.5 ** (3 * s)) / (1 + n * max(1.5 ** (3 * s), 1.0))
        for s in (1, -1)
        for n in (5, 8)
    )
    assert found.single == pytest.approx(worst, rel=1e-9)
    steady = small(Morph("a", np.array([-1.0, 1.0]), np.array([1.0, -1.0]), "combine"), total=26.0)
    assert measured_deviations(steady, histfactory_document(steady)).single < 1e-12


def test_statistical_parameters_become_staterror() -> None:
    """LIK-63: exact where all samples but the signal scale alike, with the pull as (gamma - 1) over the width."""
    samples = (
        Sample("s", np.array([1.0, 1.0]), (Rate("mu"),)),
        Sample("b", np.array([5.0, 8.0]), (Rate("c"),), errors=np.array([1.0, 2.0])),
        Sample("d", np.array([5.0, 8.0]), (Rate("c"),), errors=np.array([0.5, 0.0])),
    )
    base = small()
    channel = Channel("SR", np.array([11.0, 17.0]), samples, statistics=("prop_0", "prop_1"))
    prop = tuple(Parameter(f"prop_{b}", 0.0, -7.0, 7.0, Normal()) for b in range(2))
    model = replace(base, channels=(channel,), parameters=(*base.parameters, *prop))
    made = histfactory_document(model)
    name, shift, width = made.names["prop_0"]
    assert (name, shift) == ("statistics_SR[0]", 1.0)
    assert width == pytest.approx(math.hypot(1, 0.5) / 10)
    assert measured_deviations(model, made).single < 1e-12


def test_flat_parameters_add_next_to_nothing() -> None:
    """LIK-63: factors to the power ten and a tenth of the range, so the constraint adds at most 0.005."""
    model = small(LogNormal("flat", 0.5, 2.0, "code1"))
    made = histfactory_document(model)
    config = {p["name"]: p for p in made.workspace["measurements"][0]["config"]["parameters"]}
    assert config["flat"]["bounds"] == [[-0.1, 0.1]]
    modifier = made.workspace["channels"][0]["samples"][1]["modifiers"][0]
    assert modifier["data"]["hi"] == pytest.approx(2.0**10)


@pytest.mark.parametrize(
    ("effects", "message"),
    [
        ((Formula(Binary("+", Variable("a"), Variable("c"))),), "scaled by a formula that is not a product"),
        ((LogNormal("wide", 0.9, 1.1),), "'wide' varies .* normal about 0 with width 2"),
        ((Rate("two"),), "'two' is normal with two widths"),
        ((Rate("c"), Rate("c")), "'c' acts twice as normfactor"),
        ((Rate("a"), LogNormal("a", 0.9, 1.1)), "'a' is a pull here and a rate elsewhere|'a' is a rate"),
        ((BinRates(("c", None)),), "a free rate of bins leaves one out"),
        ((Morph("flat", np.array([-1.0, 0.0]), np.array([1.0, 0.0])),), "'flat' varies .* is free"),
    ],
)
def test_what_histfactory_has_not_is_refused(effects: tuple[Any, ...], message: str) -> None:
    """LIK-63: by name, in one line."""
    with pytest.raises(InputError, match=message) as error:
        histfactory_document(small(*effects))
    assert "\n" not in str(error.value)


def test_the_command_prints_the_deviations(tmp_path: Path) -> None:
    """LIK-63: ``superbin likelihood export`` of a workspace writes four files and says how far they are off."""
    path = tmp_path / "model.json"
    path.write_text(json.dumps(histfactory_document(native()).workspace))
    out = tmp_path / "out"
    result = CliRunner().invoke(command, ["export", str(path), "-o", str(out)])
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert "expected events differ by at most 0 of themselves" in result.output
    assert {p.name for p in out.iterdir()} == {
        "workspace.json",
        "background.json",
        "patchset.json",
        "report.json",
    }
    assert json.loads((out / "report.json").read_text())["deviations"]["single"] == 0
