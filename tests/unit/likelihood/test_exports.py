"""Likelihoods for other tools: ROOT, Combine's own language, spey, iminuit; and combinations."""

import json
import math
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.optimize import minimize

from superbin.cli.likelihood import likelihood as command
from superbin.errors import InputError
from superbin.likelihood import Likelihood, PublishedLikelihood, read
from superbin.likelihood.counting import CountingLikelihood
from superbin.likelihood.exports.datacards import counting_card
from superbin.likelihood.exports.hs3 import hs3_document
from superbin.likelihood.exports.minimizers import minuit, negative_log_likelihood
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
from superbin.statistical_model.combination import SharedName, combine

if TYPE_CHECKING:
    from superbin.likelihood.engine import Engine

ROOT_NEEDED = "SUPERBIN_REQUIRE_ROOT"
"""Environment variable that makes the tests with ROOT mandatory."""


def everything() -> StatisticalModel:
    """Every effect and constraint that HS3 is written for."""
    morph = Morph("jes", np.array([-1.0, 0.4]), np.array([1.5, -0.2]))
    kinked = Morph("res", np.array([-0.3, 0.4]), np.array([0.5, -0.2]), "code0")
    quadratic = Morph("tau", np.array([0.3, 0.4]), np.array([0.5, -0.2]), "code2")
    formula = Formula(
        Binary("+", Constant(1.0), Binary("*", Constant(0.1), Binary("^", Variable("jes"), Constant(2.0))))
    )
    signal = Sample(
        "sig", np.array([3.0, 1.0]), (Rate("mu"), Rate("lumi"), LogNormal("eff", 0.93, 1.04, "code4"))
    )
    top = Sample(
        "top",
        np.array([10.123456, 4.0]),
        (morph, kinked, quadratic, LogNormal("xs", 0.8, 1.3, "combine"), BinRates(("stat[0]", "stat[1]"))),
    )
    fake = Sample(
        "fake-1",
        np.array([10.123457, 6.0]),
        (Rate("control"), LogNormal("xs", 1 / 1.2, 1.2, "combine"), formula),
    )
    single = Sample("top", np.array([5.5]), (LogNormal("eff", 0.9, 1.2, "code1"), Rate("norm")))
    return StatisticalModel(
        (
            Channel("SR 1", np.array([14.0, 9.0]), (signal, top, fake)),
            Channel("2nd", np.array([5.0]), (single,)),
        ),
        (
            Parameter("mu", 1.0, 0.0, 10.0),
            Parameter("lumi", 1.0, 0.5, 1.5, Normal(1.0, 0.03)),
            Parameter("jes", 0.0, -5.0, 5.0, Normal()),
            Parameter("res", 0.0, -5.0, 5.0, Normal()),
            Parameter("tau", 0.0, -5.0, 5.0, Normal()),
            Parameter("xs", 0.0, -5.0, 5.0, Normal()),
            Parameter("eff", 0.0, -5.0, 5.0, Normal()),
            Parameter("stat[0]", 1.0, 1e-10, 10.0, Poisson(40.0, 40.0)),
            Parameter("stat[1]", 1.0, 1e-10, 10.0, Normal(1.0, 0.2236068)),
            Parameter("control", 1.0, 0.0, 10.0, Poisson(12.0, 11.0)),
            Parameter("norm", 1.0, 0.0, 10.0),
            Parameter("idle", 0.0, -5.0, 5.0, Normal()),
        ),
        ("mu",),
        "everything",
    )


def of_cards() -> StatisticalModel:
    """What Combine's cards add: scaled, floored and logarithmically morphed histograms, statistical errors of bins, two widths."""
    scaled = Sample(
        "sig",
        np.array([3.0, 1.0, 0.5]),
        (
            Rate("mu"),
            Morph("jes", np.array([-1.0, 0.4, 0.2]), np.array([1.5, -0.2, -0.6]), "combine", 0.5),
            LogNormal("jes", 0.93, 1.2, "combine"),
        ),
        floor=1e-9,
        total=4.5,
        errors=np.array([0.3, 0.2, 0.1]),
    )
    log = Sample(
        "top",
        np.array([10.0, 4.0, 7.0]),
        (
            LogMorph("jes", np.array([-0.1, 0.05, 0.0]), np.array([0.2, 0.01, -0.3]), 2.0),
            LogMorph("tau", np.array([-0.1, 0.0, 0.0]), np.array([0.1, 0.0, -0.3])),
            Rate("norm"),
            Rate("norm"),
        ),
        total=21.0,
        errors=np.array([1.0, 0.5, 0.0]),
    )
    constant = Formula(Binary("*", Constant(0.5), Constant(3.0)))
    steep = Sample("steep", np.array([1.0, 2.0, 0.5]), (LogNormal("tau", 0.01, 40.0, "code4"), constant))
    wide = Sample(
        "wide",
        np.array([5.0, 2.0, 1.0]),
        (Morph("eff", np.array([-6.0, 0.4, 0.2]), np.array([7.5, -0.2, -0.6]), "code4p", 1.5),),
        floor=0.25,
    )
    return StatisticalModel(
        (
            Channel(
                "SR",
                np.array([22.0, 11.0, 9.0]),
                (scaled, log, steep, wide),
                statistics=("prop_0", "prop_1", None),
                floor=1e-3,
            ),
        ),
        (
            Parameter("mu", 1.0, 0.0, 10.0),
            Parameter("jes", 0.0, -5.0, 5.0, Normal()),
            Parameter("tau", 0.0, -5.0, 5.0, Normal()),
            Parameter("eff", 0.1, -5.0, 5.0, Normal(0.1, 1.0, 0.7)),
            Parameter("norm", 1.0, 0.1, 10.0),
            Parameter("prop_0", 0.0, -7.0, 7.0, Normal()),
            Parameter("prop_1", 0.0, -7.0, 7.0, Normal()),
        ),
        ("mu",),
        "of cards",
    )


READ_BY_ROOT = """
import json, sys, ROOT
ROOT.RooMsgService.instance().setGlobalKillBelow(ROOT.RooFit.ERROR)
found = []
for place, points in json.load(open(sys.argv[1])):
    workspace = ROOT.RooWorkspace("w")
    assert ROOT.RooJSONFactoryWSTool(workspace).importJSON(place)
    nll = workspace.obj("analysis").createNLL(workspace.data("observed"))
    values = []
    for point in points:
        for name, value in point.items():
            workspace.var(name).setVal(value)
        values.append(nll.getVal())
    found.append(values)
print("FOUND" + json.dumps(found))
"""


def points_of(engine: Any, document: dict[str, Any]) -> tuple[list[dict[str, float]], list[float]]:
    """Random points under the document's names, and superbin's likelihoods there."""
    known = document["misc"]["superbin"]
    names = {old: new for new, old in known["names"].items()}
    rng = np.random.default_rng(5)
    low, high = engine.bounds
    widths = np.minimum(np.where(np.isfinite(engine.widths), engine.widths, 0.3), 1.0)
    points, values = [], []
    for size in (0.0, 0.3, 0.7, 1.5):
        x = np.clip(engine.initial + size * widths * rng.standard_normal(low.size), np.maximum(low, -5), high)
        idle = [engine.parameters.index(name) for name in known["without_effect"]]
        x[idle] = engine.initial[idle]
        points.append(
            {
                names.get(n, n): float(v)
                for n, v in zip(engine.parameters, x, strict=True)
                if n not in known["without_effect"]
            }
        )
        values.append(engine.nll(x))
    return points, values


@pytest.mark.skipif(
    find_spec("ROOT") is None and not os.environ.get(ROOT_NEEDED),
    reason="ROOT is not installed (pip install --pre root)",
)
def test_root_reads_the_same_likelihood(tmp_path: Path, two_bins: PublishedLikelihood) -> None:
    """LIK-51: differences of likelihoods at random points agree to 1e-9, for every effect and for a counting model."""
    tasks, expected = [], []
    engines: tuple[Engine, ...] = (
        Likelihood(everything()),
        Likelihood(of_cards()),
        CountingLikelihood(two_bins.model([2.0, 3.0])),
    )
    for i, engine in enumerate(engines):
        document = hs3_document(engine.description)
        path = tmp_path / f"{i}.json"
        path.write_text(json.dumps(document))
        points, values = points_of(engine, document)
        tasks.append((str(path), points))
        expected.append(values)
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    (tmp_path / "read.py").write_text(READ_BY_ROOT)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(tmp_path / "read.py"), str(tmp_path / "tasks.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "FOUND" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(done.stdout.split("FOUND")[1])
    for ours, theirs in zip(expected, found, strict=True):
        np.testing.assert_allclose(
            np.subtract(theirs, theirs[0]), np.subtract(ours, ours[0]), rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("model", [everything(), of_cards()], ids=lambda model: model.name)
def test_everything_hs3_names_exists(model: StatisticalModel) -> None:
    """LIK-51: names are plain and lead back, and whatever a function or a distribution names is defined."""
    document = hs3_document(model)
    known = document["misc"]["superbin"]
    assert known["without_effect"] == (["idle"] if model.name == "everything" else [])
    assert set(known["names"].values()) <= {p.name for p in model.parameters}
    defined = {p["name"] for p in document["parameter_points"][0]["parameters"]} | {
        f["name"] for f in document["functions"]
    }
    defined |= {d["name"] for d in document["distributions"]}
    for function in document["functions"]:
        for key in ("factors", "summands", "vars", "low", "high"):
            assert {one for one in function.get(key, ()) if isinstance(one, str)} <= defined
        words = set(
            re.findall(r"[A-Za-z_]\w*", re.sub(r"\d\.?\d*e[+-]?\d+", "", function.get("expression", "")))
        )
        assert words - {"abs", "exp", "pow", "sqrt"} <= defined
    for one in document["distributions"]:
        assert {one[key] for key in ("x", "mean", "sigma") if key in one} | set(
            one.get("factors", ())
        ) <= defined


def test_the_command_writes_hs3(tmp_path: Path) -> None:
    """LIK-51: ``superbin likelihood export --to hs3``, and an output that exists is refused."""
    card = tmp_path / "card.txt"
    card.write_text("bin a\nobservation 6\nbin a a\nprocess s b\nprocess 0 1\nrate 2 5.5\nk lnN - 1.2\n")
    out = tmp_path / "card.json"
    result = CliRunner().invoke(command, ["export", str(card), "--to", "hs3", "-o", str(out)])
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert json.loads(out.read_text())["metadata"]["hs3_version"] == "0.2"
    again = CliRunner().invoke(command, ["export", str(card), "--to", "hs3", "-o", str(out)])
    assert "exists; name another output" in str(again.exception)


def test_cards_come_back_as_they_were(tmp_path: Path, two_bins: PublishedLikelihood) -> None:
    """LIK-52: written and read again, likelihoods differ by a constant; likewise limits."""
    engine = CountingLikelihood(two_bins.model([2.0, 3.0]))
    card = counting_card(engine.description)
    path = tmp_path / "card.txt"
    path.write_text(card.text)
    back = read(path)
    rng = np.random.default_rng(2)
    low, high = engine.bounds
    differences = []
    for _ in range(5):
        x = np.clip(
            engine.initial + 0.4 * rng.standard_normal(low.size), np.maximum(low, 1e-3 * (low >= 0)), high
        )
        values = dict(zip(engine.parameters, x.tolist(), strict=True))
        values["r"] = values.pop("mu")
        differences.append(back.nll(values) - engine.nll(x))
    np.testing.assert_allclose(differences, differences[0], atol=1e-9)
    assert back.limit().observed == pytest.approx(engine.limit().observed, rel=1e-5)


def test_cards_say_what_they_cannot_hold() -> None:
    """LIK-52: morphs are refused, other interpolations measured."""
    with pytest.raises(
        InputError, match="a counting card has only log-normal factors|an effect Morph|normal constraint"
    ):
        counting_card(everything())
    b = Sample("b", np.array([5.0]), (LogNormal("k", 0.8, 1.3, "code4"),))
    s = Sample("s", np.array([1.0]), (Rate("mu"),))
    model = StatisticalModel(
        (Channel("a", np.array([5.0]), (s, b)),),
        (Parameter("mu", 1.0, 0.0, 10.0), Parameter("k", 0.0, -5.0, 5.0, Normal())),
        ("mu",),
    )
    notes = counting_card(model).notes
    assert notes[0].startswith("factors differ by at most 0.0")
    assert "(k)" in notes[0]


def test_minimisers_of_ones_own(two_bins: PublishedLikelihood) -> None:
    """LIK-53: SciPy and iminuit, from the function and the object given, find superbin's minimum."""
    engines: tuple[Engine, ...] = (
        CountingLikelihood(two_bins.model([2.0, 3.0])),
        Likelihood(two_bins_described(two_bins)),
    )
    for engine in engines:
        best = engine.fit()
        low, high = engine.bounds
        found = minimize(
            negative_log_likelihood(engine),
            engine.initial,
            jac=True,
            bounds=list(zip(low, high, strict=True)),
            method="L-BFGS-B",
            options={"ftol": 1e-14, "gtol": 1e-9},
        )
        assert found.fun == pytest.approx(best.nll, abs=1e-6)
        made = minuit(engine)
        made.migrad()
        assert made.fval == pytest.approx(best.nll, abs=1e-3)
        held = minuit(engine, mu=0.5)
        assert held.fixed["mu"]
        assert held.values["mu"] == 0.5


def two_bins_described(two_bins: PublishedLikelihood) -> StatisticalModel:
    return CountingLikelihood(two_bins.model([2.0, 3.0])).description


@pytest.mark.skipif(find_spec("spey") is None, reason="spey is not installed (superbin[spey])")
@pytest.mark.filterwarnings("ignore")
def test_spey_finds_the_same_limit(two_bins: PublishedLikelihood) -> None:
    """LIK-54: limits and CLs by spey from this backend; every fit is made once."""
    from spey.interface.statistical_model import StatisticalModel as SpeyModel

    from superbin.likelihood.spey_backend import SuperbinBackend

    engine = CountingLikelihood(two_bins.model([2.0, 3.0]))
    backend = SuperbinBackend(engine)
    model = SpeyModel(backend=backend, analysis="two bins", xsection=math.nan)
    assert model.poi_upper_limit() == pytest.approx(engine.limit().observed, rel=1e-3)
    cls = engine.cls(1.0).cls
    assert cls is not None
    assert model.exclusion_confidence_level(poi_test=1.0)[0] == pytest.approx(1 - cls, abs=1e-4)
    before = len(backend._fits)
    model.exclusion_confidence_level(poi_test=1.0)
    assert len(backend._fits) == before
    assert backend.is_alive


@pytest.mark.skipif(find_spec("spey") is None, reason="spey is not installed (superbin[spey])")
@pytest.mark.filterwarnings("ignore")
def test_spey_opens_files_by_the_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LIK-54: ``spey.get_backend("superbin")`` with the entry point of the project makes a model of a card, whose limits are superbin's."""
    import spey

    declared = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    group = "spey.backend.plugins"
    ((name, value),) = declared["project"]["entry-points"][group].items()
    # An installation made before there was an entry point does not know it.
    monkeypatch.setitem(spey._backend_entries, name, EntryPoint(name, value, group))
    card = tmp_path / "card.txt"
    card.write_text("bin a\nobservation 6\nbin a a\nprocess s b\nprocess 0 1\nrate 2 5.5\nk lnN - 1.2\n")
    model = spey.get_backend("superbin")(source=str(card), analysis="card", xsection=1.0)
    found = read(card).limit()
    assert model.poi_upper_limit() == pytest.approx(found.observed, rel=1e-3)
    expected = model.poi_upper_limit(expected=spey.ExpectationType.aposteriori)
    assert expected == pytest.approx(found.expected, rel=1e-3)
    fits = len(model.backend._fits)
    assert model.poi_upper_limit() == pytest.approx(found.observed, rel=1e-3)
    assert len(model.backend._fits) == fits


def one(n: float, b: float, s: float, *, uncertainty: str = "k", control: bool = False) -> StatisticalModel:
    """A bin with a background uncertainty, with a signal or without."""
    background = Sample("b", np.array([b]), (LogNormal(uncertainty, 1 / 1.3, 1.3, "code1"),))
    signal = () if control else (Sample("s", np.array([s]), (Rate("strength"),)),)
    own = () if control else (Parameter("strength", 1.0, 0.0, 10.0),)
    return StatisticalModel(
        (Channel("bin", np.array([n]), (*signal, background)),),
        (*own, Parameter(uncertainty, 0.0, -5.0, 5.0, Normal())),
        () if control else ("strength",),
    )


def test_combined_likelihoods_are_products() -> None:
    """COMB-1: the NLL is the sum, less the constraint of what is shared, counted once; strengths become one."""
    a, b = one(7, 5, 2), one(12, 9, 3)
    shared = combine({"a": a, "b": b})
    apart = combine({"a": a, "b": b}, shared=())
    assert shared.shared == {"k": ("a", "b")}
    assert apart.shared == {}
    first, second = Likelihood(a), Likelihood(b)
    for mu, k in ((0.0, 0.0), (1.2, 0.7), (2.0, -1.1)):
        each = {"strength": mu, "k": k}
        total = first.nll(each) + second.nll(each)
        constraint = 0.5 * k * k + 0.5 * math.log(2 * math.pi)
        assert Likelihood(shared.model).nll(each) == pytest.approx(total - constraint, rel=1e-12)
        both = {"strength": mu, "a_k": k, "b_k": k}
        assert Likelihood(apart.model).nll(both) == pytest.approx(total, rel=1e-12)


def test_a_control_region_measures_what_it_shares() -> None:
    """COMB-1: under another name in the control region; the nuisance is pulled to what it counts."""
    made = combine(
        {"sr": one(10, 10, 2), "cr": one(1300, 1000, 0, uncertainty="other", control=True)},
        shared=[SharedName.parse("k=sr:k,cr:other")],
    )
    fit = Likelihood(made.model).fit()
    assert fit.values["k"] == pytest.approx(1.0, abs=0.05)
    assert made.model.signal_strengths == ("strength",)
    assert [c.name for c in made.model.channels] == ["sr_bin", "cr_bin"]


@pytest.mark.parametrize(
    ("parts", "shared", "message"),
    [
        ({"a": one(1, 1, 1)}, None, "at least two likelihoods"),
        (
            {"a": one(1, 1, 1, control=True), "b": one(1, 1, 1, control=True)},
            None,
            "none of the likelihoods has a signal",
        ),
        ({"a": one(1, 1, 1), "b": one(1, 1, 1)}, ["q"], "'q' is to be shared, but 0 of the likelihoods"),
        ({"a": one(1, 1, 1), "b": one(1, 1, 1)}, ["k=a:k"], "'k' is to be shared, but 1 of the likelihoods"),
        ({"a": one(1, 1, 1), "b": one(1, 1, 1)}, ["k", "k"], "named twice"),
        ({"a": one(1, 1, 1), "b": one(1, 1, 1)}, ["k=a:k,c:k"], "names 'c'; the likelihoods are a, b"),
        ({"a": one(1, 1, 1), "b": one(1, 1, 1)}, ["k=a:k,b"], "write NAME, or NAME=LABEL:OTHER"),
    ],
)
def test_combinations_that_are_refused(
    parts: dict[str, StatisticalModel], shared: list[str] | None, message: str
) -> None:
    """COMB-2: a combination with too few parts, no signal or bad shared names is refused."""
    with pytest.raises(InputError, match=message):
        combine(parts, shared=shared)


def test_what_is_shared_must_be_measured_alike() -> None:
    """COMB-2: another constraint is refused, other bounds are named."""
    a, b = one(1, 1, 1), one(1, 1, 1)
    other = replace(b, parameters=(b.parameters[0], replace(b.parameters[1], constraint=Normal(0.0, 2.0))))
    with pytest.raises(InputError, match="share it only where it is measured alike"):
        combine({"a": a, "b": other})
    narrow = replace(b, parameters=(b.parameters[0], replace(b.parameters[1], lower=-3.0)))
    assert combine({"a": a, "b": narrow}).notes == ("k: bounds differ between likelihoods; [-3, 5] holds",)


def test_command_combines_cards(tmp_path: Path, compiled: Callable[..., PublishedLikelihood]) -> None:
    """COMB-1, LIK-27: two cards under one r, as one card with both channels."""
    del compiled
    text = "bin {0}\nobservation {1}\nbin {0} {0}\nprocess s b\nprocess 0 1\nrate 2 {2}\nk lnN - 1.2\n"
    for name, n, b in (("x", 6, 5.5), ("y", 9, 8.0)):
        (tmp_path / f"{name}.txt").write_text(text.format(name, n, b))
    together = "bin x y\nobservation 6 9\nbin x x y y\nprocess s b s b\nprocess 0 1 0 1\nrate 2 5.5 2 8.0\nk lnN - 1.2 - 1.2\n"
    (tmp_path / "both.txt").write_text(together)
    out = tmp_path / "out.txt"
    arguments = [
        "combine",
        f"x={tmp_path / 'x.txt'}",
        f"y={tmp_path / 'y.txt'}",
        "--json",
        "--to",
        "card",
        "-o",
        str(out),
    ]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    document = json.loads(result.stdout[result.stdout.index("{") :])
    assert document["shared"] == {"k": ["x", "y"]}
    expected = read(tmp_path / "both.txt").limit()
    assert document["limit"]["observed"] == pytest.approx(expected.observed, rel=1e-6)
    assert read(out).limit().observed == pytest.approx(expected.observed, rel=1e-6)
    plain = CliRunner().invoke(command, arguments[:3])
    assert "shared: k (x, y)" in plain.stdout
    bad = CliRunner().invoke(command, ["combine", "x.txt", "y.txt"])
    assert "write LABEL=SOURCE" in str(bad.exception)
