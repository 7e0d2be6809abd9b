"""Export: what pyhf makes of our documents."""

import numpy as np
import pyhf
import pytest
from scipy.special import gammaln

from superbin._support.arrays import FloatArray
from superbin.errors import InputError
from superbin.likelihood import PublishedLikelihood
from superbin.likelihood.export import (
    FLAT_SCALE,
    LARGEST_PULL,
    export_report,
    full_workspace,
    interpolation_deviation,
    patch_set,
    workspace,
)
from superbin.likelihood.model import CountingModel
from superbin.likelihood.objective import Objective


def log_probability(model: CountingModel, x: FloatArray, document: dict[str, object], settings: str) -> float:
    """What pyhf says at our parameters."""
    made = pyhf.Workspace(document)
    codes = {"normsys": {"interpcode": settings}, "histosys": {"interpcode": "code4p"}}
    theirs = made.model(modifier_settings=codes)
    values = theirs.config.suggested_init()
    for name, kind, value in zip(("mu", *model.index), ("free", *model.kinds), x, strict=True):
        scale = FLAT_SCALE if kind == "flat" else 1.0
        values[theirs.config.par_slice(name).start] = value / scale
    return float(theirs.logpdf(values, made.data(theirs))[0])


def ours(model: CountingModel, x: FloatArray) -> float:
    """Our likelihood with the constants that pyhf keeps, and the constraint it must give flat nuisances."""
    n = model.observed
    saturated = -n + np.where(n > 0, n * np.log(np.where(n > 0, n, 1)), 0) - gammaln(n + 1)
    n_gaussian = np.count_nonzero(model.kinds != "free")
    objective = Objective(model)
    flat = np.concatenate([[0.0], np.where(model.kinds == "flat", x[1:] / FLAT_SCALE, 0.0)])
    added = 0.5 * float(flat @ flat) + 0.5 * n_gaussian * np.log(2 * np.pi)
    total: float = saturated.sum() - objective.nll(x, objective.data()) - added
    return total


def somewhere(model: CountingModel, seed: int, least: float = 0.0) -> FloatArray:
    """Random parameters within their ranges, constrained ones at least `least` from zero."""
    rng = np.random.default_rng(seed)
    objective = Objective(model)
    size = objective.n_parameters
    x = rng.choice([-1.0, 1.0], size) * rng.uniform(least, 1.8, size)
    return np.where(
        objective.constrained > 0, x, np.clip(np.abs(x), np.maximum(objective.lower, 0.1), objective.upper)
    )


@pytest.mark.parametrize("merged", [False, True])
def test_code4_agrees_everywhere(two_bins: PublishedLikelihood, merged: bool) -> None:
    """LIK-24: the same function, for the bins and for their merged likelihood."""
    model = two_bins.model([2.0, 3.0], interpolation="code4")
    model = model.merged([1, 2]) if merged else model
    document = full_workspace(model)
    for seed in range(5):
        x = somewhere(model, seed)
        # The power that stands for a flat nuisance is interpolated by a polynomial, too.
        assert log_probability(model, x, document, "code4") == pytest.approx(ours(model, x), abs=1e-4)
        x[1 + model.position("jes")] = 0.0
        assert log_probability(model, x, document, "code4") == pytest.approx(ours(model, x), abs=1e-10)


def test_code1_agrees_with_combine_from_half_a_deviation_on(two_bins: PublishedLikelihood) -> None:
    """LIK-24: and at zero."""
    model = two_bins.model([2.0, 3.0])
    document = full_workspace(model)
    for seed in range(5):
        x = somewhere(model, seed, least=0.5)
        assert log_probability(model, x, document, "code1") == pytest.approx(ours(model, x), abs=1e-9)
    x = np.where(Objective(model).constrained > 0, 0.0, somewhere(model, 0))
    x[1 + model.position("jes")] = 0.0
    for code in ("code1", "code4"):
        assert log_probability(model, x, document, code) == pytest.approx(ours(model, x), abs=1e-12)


def test_patch_makes_the_whole(two_bins: PublishedLikelihood) -> None:
    """LIK-24: schema, digest, and background plus patch equal to the full workspace."""
    model = two_bins.model([2.0, 3.0])
    background = workspace(model)
    document = patch_set(model, name="T_1_2", values={"m": 1.0}, description="a test")
    patches = pyhf.PatchSet(document)
    patches.verify(background)
    patched = patches["T_1_2"].apply(background)
    pyhf.schema.validate(patched, "workspace.json")
    x = somewhere(model, 3)
    whole = log_probability(model, x, full_workspace(model), "code4")
    assert log_probability(model, x, patched, "code4") == pytest.approx(whole, abs=1e-12)


def test_normal_nuisances_have_bounds(two_bins: PublishedLikelihood) -> None:
    """LIK-24: pyhf's own, 5, would stop its fit at large pulls."""
    model = two_bins.model([2.0, 3.0])
    config = pyhf.Workspace(full_workspace(model)).model().config
    normal = [p.name for p in model.parameters if p.kind == "normal"]
    assert normal
    for name in normal:
        assert tuple(config.suggested_bounds()[config.par_slice(name).start]) == (-LARGEST_PULL, LARGEST_PULL)


def test_patches_refer_to_the_record(two_bins: PublishedLikelihood) -> None:
    """LIK-24: the search's HEPData record where one is named; pyhf's schema accepts it, and what stands there without."""
    model = two_bins.model([2.0, 3.0])
    for given in ({"hepdata": "ins1234567"}, {}):
        document = patch_set(model, name="T_1_2", values={"m": 1.0}, description="a test", **given)
        pyhf.schema.validate(document, "patchset.json")
        reference = document["metadata"]["references"]["hepdata"]
        assert reference == given.get("hepdata", reference)


def test_report_names_what_is_lost(two_bins: PublishedLikelihood) -> None:
    """LIK-25: the deviation of a pair by brute force, and the flat nuisance."""
    model = two_bins.model([2.0, 3.0])
    report = export_report(model)
    assert [item["parameter"] for item in report["no_native_form"]] == ["jes"]
    assert report["no_native_form"][0]["largest_added_nll"] == 0.5 / FLAT_SCALE**2
    from superbin.likelihood.interpolation import Exponents

    worst = 0.0
    for low, high in ((0.8, 1.3), (0.9, 1.15), (0.85, 1.2), (1 / 1.1, 1.1), (1 / 1.25, 1.25)):
        one = (np.zeros(1, dtype=np.intp), np.zeros(1, dtype=bool), np.log([low]), np.log([high]))
        combine, code4 = Exponents.make(*one, "combine"), Exponents.make(*one, "code4")
        for theta in np.linspace(-1, 1, 201):
            at = np.array([theta])
            worst = max(worst, abs(float(np.exp(code4.values(at) - combine.values(at))[0]) - 1))
    found = report["interpolation"]["code4"]
    assert found["largest_relative_deviation"] == pytest.approx(worst, rel=1e-9)
    assert found["nuisance"] == "alpha"
    assert interpolation_deviation(model, "combine")[0] == 0.0


def test_a_model_without_signal_has_no_strength(two_bins: PublishedLikelihood) -> None:
    """LIK-26: a model without signal and a bad patch name are refused."""
    with pytest.raises(InputError, match="no signal"):
        full_workspace(two_bins.background())
    with pytest.raises(InputError, match="patch name 'a b' must consist of"):
        patch_set(two_bins.model([1.0, 1.0]), name="a b", values={}, description="")
