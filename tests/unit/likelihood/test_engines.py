"""Everything that one can ask of a likelihood, of both engines: against closed forms, pyhf, cabinetry's definitions and each other."""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyhf
import pytest
from click.testing import CliRunner
from scipy.optimize import brentq
from scipy.stats import chi2, norm, poisson

from superbin.cli.likelihood import likelihood as command
from superbin.errors import InputError
from superbin.likelihood import Likelihood, PublishedLikelihood, read
from superbin.likelihood.counting import CountingLikelihood
from superbin.likelihood.engine import Engine
from superbin.likelihood.goodness import goodness
from superbin.likelihood.impacts import impacts
from superbin.likelihood.one_bin import one_bin_limit
from superbin.likelihood.scans import scan, surface
from superbin.likelihood.toy_limits import toy_limit
from superbin.likelihood.toys import ToyTask, background_toys, throw
from superbin.likelihood.yields import postfit_yields, prefit_yields
from superbin.statistical_model import Channel, LogNormal, Normal, Parameter, Rate, Sample, StatisticalModel

ENGINES = ("sparse", "dense")


@pytest.fixture
def engine(request: pytest.FixtureRequest, two_bins: PublishedLikelihood) -> Engine:
    """The two-bin likelihood in either engine."""
    sparse = CountingLikelihood(two_bins.model([2.0, 3.0]), name="two bins")
    return sparse if request.param == "sparse" else Likelihood(sparse.description)


def one_bin(n: float, b: float, s: float = 1.0, error: float = 0.0) -> Likelihood:
    """One counted bin, perhaps with a log-normal uncertainty of the background."""
    effects = (LogNormal("b", 1 / (1 + error), 1 + error),) if error else ()
    nuisances = (Parameter("b", 0.0, -5.0, 5.0, Normal()),) if error else ()
    samples = (Sample("signal", np.array([s]), (Rate("mu"),)), Sample("background", np.array([b]), effects))
    return Likelihood(
        StatisticalModel(
            (Channel("SR", np.array([n]), samples),), (Parameter("mu", 1.0, 0.0, 20.0), *nuisances), ("mu",)
        )
    )


def test_both_engines_are_one_function(two_bins: PublishedLikelihood) -> None:
    """LIK-34: values with all constants, gradients, expectations, samples, slopes; and the same answers."""
    sparse = CountingLikelihood(two_bins.model([2.0, 3.0]), name="two bins")
    dense = Likelihood(sparse.description)
    assert sparse.parameters == dense.parameters
    assert sparse.kinds == dense.kinds
    assert sparse.bins == dense.bins
    np.testing.assert_array_equal(sparse.widths, dense.widths)
    rng = np.random.default_rng(1)
    low, high = sparse.bounds
    for _ in range(10):
        x = np.clip(sparse.initial + 0.3 * rng.standard_normal(low.size), low, high)
        data = dense.draw(np.where(x < 0.1, 0.1, x), rng)
        assert sparse.nll(x, data=data) == pytest.approx(dense.nll(x, data=data), rel=1e-12)
        np.testing.assert_allclose(
            sparse.gradient(x, data=data), dense.gradient(x, data=data), rtol=1e-9, atol=1e-9
        )
        np.testing.assert_allclose(sparse.expected(x), dense.expected(x), rtol=1e-12)
        np.testing.assert_allclose(sparse.jacobian(x), dense.jacobian(x), rtol=1e-7, atol=1e-7)
        for name, events in sparse.samples(x).items():
            np.testing.assert_allclose(events, dense.samples(x)[name], rtol=1e-12)
        np.testing.assert_allclose(sum(sparse.samples(x).values()), sparse.expected(x), rtol=1e-12)
    one, other = sparse.fit(), dense.fit()
    assert one.nll == pytest.approx(other.nll, abs=1e-9)
    assert one.mu == pytest.approx(other.mu, rel=1e-5)
    assert sparse.significance().z == pytest.approx(dense.significance().z, rel=1e-6)
    assert sparse.limit().observed == pytest.approx(dense.limit().observed, rel=1e-5)
    assert sparse.limit().bands == pytest.approx(dense.limit().bands, rel=1e-5)
    for a, b in zip(sparse.cls(2.0).expected, dense.cls(2.0).expected, strict=True):
        assert a == pytest.approx(b, rel=1e-5)
    assert sparse.cls(2.0).cls == pytest.approx(dense.cls(2.0).cls, rel=1e-5)


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_a_scan_is_the_profile(engine: Engine) -> None:
    """LIK-35: q is 2 NLL of a fit with the parameter held, zero at the best fit; intervals end where q crosses."""
    found = scan(engine, points=9)
    best = engine.fit()
    assert found.parameter == "mu"
    assert found.best == best.mu
    for value, q in zip(found.values, found.q, strict=True):
        assert q == pytest.approx(2 * (engine.fit(mu=value).nll - best.nll), abs=1e-6)
    low, high = found.intervals[1.0]
    assert low is not None
    assert high is not None
    for end in (low, high):
        assert 2 * (engine.fit(mu=end).nll - best.nll) == pytest.approx(1, abs=1e-4)
    nuisance = scan(engine, "alpha", points=5)
    assert min(q for q in nuisance.q if q is not None) >= 0


def test_a_scan_in_closed_form() -> None:
    """LIK-35: one bin, q = 2 (mu s + b - n + n ln(n/(mu s + b)))."""
    found = scan(one_bin(10, 4), values=[1.0, 3.0, 6.0, 9.0])
    for mu, q in zip(found.values, found.q, strict=True):
        assert q == pytest.approx(2 * (mu + 4 - 10 + 10 * math.log(10 / (mu + 4))), abs=1e-9)
    low, high = found.intervals[1.0]

    def excess(events: float) -> float:
        return 2 * (events - 10 + 10 * math.log(10 / events)) - 1

    assert low == pytest.approx(brentq(excess, 4, 10) - 4, abs=1e-5)
    assert high == pytest.approx(brentq(excess, 10, 20) - 4, abs=1e-5)


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_a_plane_has_the_scan_at_its_foot(engine: Engine) -> None:
    """LIK-35: the lowest over the second parameter is the scan of the first; a scan of failed names is refused."""
    best = engine.fit()
    assert best.mu is not None
    plane = surface(engine, ("mu", "alpha"), x=[0.5, best.mu], y=np.linspace(-1, 1, 9).tolist())
    line = scan(engine, "mu", values=[0.5, best.mu])
    for i in range(2):
        lowest = min(q for q in plane.q[i] if q is not None)
        q = line.q[i]
        assert q is not None
        assert q - 1e-6 <= lowest <= q + 0.2
    with pytest.raises(InputError, match="similar names: alpha"):
        scan(engine, "alpa")
    with pytest.raises(InputError, match="name two"):
        surface(engine, ("mu", "mu"))


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_impacts_agree_with_the_covariance(engine: Engine) -> None:
    """LIK-19: by fits and by the covariance within the bend of the likelihood, largest first, with pulls in prior errors."""
    found = impacts(engine, top=3)
    covariance = engine.covariance(engine.fit())
    for one in found.parameters:
        j = engine.parameters.index(one.name)
        if one.error is not None:
            assert one.error == pytest.approx(math.sqrt(covariance[j, j]))
            assert one.linear == pytest.approx(covariance[0, j] / one.error)
        if one.kind == "normal":
            assert one.pull == pytest.approx(one.value)
            assert one.constraint is not None
            assert 0 < one.constraint <= 1 + 1e-9
    repeated = [one for one in found.parameters if one.up is not None]
    assert len(repeated) == 3
    for one in repeated:
        assert one.down is not None
        assert one.linear is not None
        assert one.up == pytest.approx(one.linear, rel=0.5, abs=0.05)
        assert one.down == pytest.approx(-one.linear, rel=0.5, abs=0.05)
    sizes = [max(abs(o.linear or 0), abs(o.up or 0), abs(o.down or 0)) for o in found.parameters]
    assert sizes == sorted(sizes, reverse=True)


def test_toys_of_both_engines_are_the_same(two_bins: PublishedLikelihood) -> None:
    """LIK-18, LIK-36: p0 of the same likelihood, within its error; more processes give the same toys."""
    sparse = CountingLikelihood(two_bins.model([2.0, 3.0]))
    dense = Likelihood(sparse.description)
    tails = [background_toys(engine, toys=60, seed=4)[1] for engine in (sparse, dense)]
    assert tails[0] is not None
    assert tails[1] is not None
    assert abs(tails[0].p - tails[1].p) < 4 * math.hypot(tails[0].p_error, tails[1].p_error)
    task = ToyTask(dense, dense.fit(mu=0.0), 0.5, 0.0, 3)
    assert throw(task, 12, chunk=5) == throw(task, 12, chunk=5, processes=2)


def test_limits_by_toys_of_a_bare_count() -> None:
    """LIK-36: n = 3 over b = 2.6: CLs = P(N <= 3 | s + b) / P(N <= 3 | b) is exact; 5.36 is where it is 5 %."""
    engine = one_bin(3, 2.6)
    exact = float(np.interp(-0.05, *_curve(3, 2.6)))
    found = toy_limit(engine, toys=250, mus=(3.0, 4.5, 6.0, 8.0), seed=2)
    assert found.status == "converged"
    assert found.error is not None
    assert found.error < 0.8
    assert found.observed == pytest.approx(exact, abs=4 * found.error)
    # Discrete data: the median count is 2 or 3.
    assert found.expected is not None
    assert float(np.interp(-0.05, *_curve(2, 2.6))) - 1 < found.expected < exact + 1
    bands = [found.bands[n] for n in (-2, -1, 0, 1, 2)]
    known = [b for b in bands if b is not None]
    assert all(a <= b + 1e-9 for a, b in pairwise(known))


def _curve(n: int, b: float) -> tuple[np.ndarray, np.ndarray]:
    s = np.linspace(0, 20, 4001)
    return np.asarray(-poisson.cdf(n, s + b) / poisson.cdf(n, b)), s


def test_few_events_are_compared_with_the_exact_bin(tmp_path: Path) -> None:
    """LIK-36: the exact limit of one bin without uncertainty; the command prints it where asymptotics are doubtful."""
    exact = one_bin_limit(one_bin(3, 2.6, s=2.0))
    assert exact is not None
    assert exact.observed == pytest.approx(float(np.interp(-0.05, *_curve(3, 2.6))) / 2, rel=1e-4)
    card = tmp_path / "card.txt"
    card.write_text("bin a\nobservation 3\nbin a a\nprocess s b\nprocess 0 1\nrate 2 2.6\n")
    document = json.loads(CliRunner().invoke(command, ["limit", str(card), "--json"]).stdout)
    assert document["doubts"][0].startswith("few events: 2.6 background events")
    assert document["one_bin"]["observed"] == pytest.approx(exact.observed, rel=1e-6)


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_goodness_of_fit(engine: Engine) -> None:
    """LIK-37: the statistic is twice the height of the best fit, which falls to zero for Asimov data; toys bring the p-value."""
    found = goodness(engine, toys=40, seed=3)
    fit = engine.fit()
    assert found.statistic == pytest.approx(2 * fit.height, rel=1e-9)
    assert found.toys is not None
    assert found.toys.toys + found.toys.failed == 40
    assert found.statistic is not None
    assert found.toys.above == sum(v >= found.statistic - 1e-6 for v in found.toys.values)
    perfect = goodness(engine, data=engine.asimov(engine.initial))
    assert perfect.statistic == pytest.approx(0, abs=1e-8)


def test_goodness_in_closed_form() -> None:
    """LIK-37: of one bin at mu = 0 it is the Poisson deviance."""
    found = goodness(one_bin(12, 9), mu=0.0)
    deviance = 2 * (9 - 12 + 12 * math.log(12 / 9))
    assert found.statistic == pytest.approx(deviance, abs=1e-10)
    assert found.freedom == 1
    assert found.p_asymptotic == pytest.approx(chi2.sf(deviance, 1))


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_yields_before_and_after(engine: Engine) -> None:
    """LIK-38: totals are the sum of samples; errors are the linearised propagation of the covariance."""
    fit = engine.fit()
    found = postfit_yields(engine, fit)
    np.testing.assert_allclose([c.total[0] for c in found.channels], engine.expected(fit.x))
    for channel in found.channels:
        assert sum(v[0] for v in channel.samples.values()) == pytest.approx(channel.total[0])
    rng = np.random.default_rng(0)
    covariance = engine.covariance(fit)
    small = fit.x + 0.02 * rng.multivariate_normal(np.zeros(fit.x.size), covariance, size=4000)
    spread = np.std([engine.expected(x) for x in small], axis=0) / 0.02
    np.testing.assert_allclose([c.error[0] for c in found.channels], spread, rtol=0.08, atol=0.02)
    before = prefit_yields(engine, mu=0.0)
    assert before.stage == "pre-fit, mu = 0"
    assert "no pre-fit uncertainty" in before.doubts[0]


WORKSPACE = {
    "channels": [
        {
            "name": "SR",
            "samples": [
                {
                    "name": "s",
                    "data": [3.0, 2.0],
                    "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
                },
                {
                    "name": "b",
                    "data": [20.0, 15.0],
                    "modifiers": [{"name": "k", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}}],
                },
            ],
        }
    ],
    "observations": [{"name": "SR", "data": [24.0, 14.0]}],
    "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
    "version": "1.0.0",
}


def invoke(*arguments: str, text: str | None = None) -> str:
    result = CliRunner().invoke(command, list(arguments), input=text)
    assert result.exit_code == 0, f"{result.output}{result.exception!r}"
    return result.stdout


def test_verbs_of_a_workspace(tmp_path: Path) -> None:
    """LIK-27, LIK-39: a path or standard input, numbers of pyhf, every verb with JSON and text, figures beside them."""
    path = tmp_path / "workspace.json"
    path.write_text(json.dumps(WORKSPACE))
    from_file = json.loads(invoke("limit", str(path), "--json"))
    model = pyhf.Workspace(WORKSPACE).model()
    data = pyhf.Workspace(WORKSPACE).data(model)
    expected = pyhf.infer.hypotest(from_file["observed"], data, model, test_stat="qtilde")
    assert float(expected) == pytest.approx(0.05, abs=2e-4)
    assert from_file["limit"]["observed"] == from_file["observed"]
    piped = json.loads(invoke("limit", "-", "--json", text=json.dumps(WORKSPACE)))
    assert piped["limit"] == from_file["limit"]
    z = json.loads(invoke("significance", str(path), "--json"))
    p = float(pyhf.infer.hypotest(0.0, data, model, test_stat="q0"))
    assert z["z0"] == pytest.approx(norm.isf(p), abs=1e-3)
    fitted = json.loads(invoke("fit", str(path), "--json", "--pulls", "1"))
    assert fitted["limit"]["observed"] == pytest.approx(from_file["observed"], rel=1e-6)
    assert fitted["pulls"][0]["name"] == "k"
    low, high = fitted["mu_interval"]
    assert low <= fitted["mu_hat"] < high
    for verb, *options in (
        ("scan", "--steps", "5", "--figure", "scan.pdf"),
        ("scan", "-p", "mu", "-p", "k", "--steps", "4", "--figure", "plane.pdf"),
        ("impacts", "--figure", "impacts.pdf"),
        ("gof", "-n", "20", "--figure", "gof.pdf"),
        ("yields", "--figure", "yields.pdf"),
    ):
        figure = tmp_path / options[-1]
        options[-1] = str(figure)
        document = json.loads(invoke(verb, str(path), *options, "--json"))
        assert document["status"] == "converged"
        assert figure.stat().st_size > 1000
        assert not figure.with_suffix(".png").exists()
        assert "workspace.json" in invoke(verb, str(path))
    thrown = json.loads(invoke("toys", str(path), "-n", "30", "--json"))
    assert thrown["toys"] + thrown["failed"] == 30
    tested = json.loads(invoke("toys", str(path), "-n", "30", "--mu", "2", "--json"))
    assert 0 <= tested["cls"] <= 1.5


def test_a_card_from_standard_input() -> None:
    """LIK-27: as from a file, and errors name standard input."""
    card = "bin a\nobservation 6\nbin a a\nprocess s b\nprocess 0 1\nrate 2 5.5\n"
    assert json.loads(invoke("limit", "-", "--json", text=card))["observed"] > 0
    result = CliRunner().invoke(command, ["limit", "-"], input="bin a\nobservation x\n")
    assert "standard input" in str(result.exception)


def test_figure_names_are_checked_first() -> None:
    """LIK-27: before any work."""
    for name, text in (
        ("f.jpg", "name a .pdf, .png or .svg file"),
        ("no/where/f.pdf", "cannot write no/where/f.pdf"),
    ):
        result = CliRunner().invoke(command, ["scan", "nowhere", "--figure", name])
        assert text in str(result.exception)


def test_failed_fits_have_no_numbers(compiled: Callable[..., PublishedLikelihood]) -> None:
    """LIK-10: every verb says so."""
    card = "bin a\nobservation 7\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 3\nk lnN - 1.3\n"
    engine = CountingLikelihood(compiled(card).model([2.0]), iterations=0)
    assert scan(engine).status.startswith("best fit: iteration-limit")
    assert impacts(engine).status.startswith("best fit: iteration-limit")
    assert goodness(engine).status.startswith("best fit: iteration-limit")
    limit = toy_limit(engine, toys=5)
    assert limit.observed is None
    assert "iteration-limit" in limit.status
    assert background_toys(engine, toys=5)[2].startswith("iteration-limit")
    with pytest.raises(InputError, match="a covariance needs a converged fit"):
        postfit_yields(engine, engine.fit())


def test_figures_of_nothing_are_refused() -> None:
    """LIK-39: a failed result, no toys, too many bins."""
    from superbin.plot import likelihood as draw
    from superbin.results.likelihood import ChannelYields, Goodness, Impacts, Scan, Yields

    with pytest.raises(InputError, match="no scan to draw: best fit: x"):
        draw.profile_scan(Scan("a", (), (), None, {}, "best fit: x"))
    with pytest.raises(InputError, match="needs toys"):
        draw.goodness_distribution(Goodness(1.0, 1, 0.3, None, "converged"))
    with pytest.raises(InputError, match="no nuisance parameter"):
        draw.impact_ranking(Impacts("mu", 1.0, 0.1, (), "converged"))
    many = ChannelYields("c", (1.0,) * 61, {}, (1.0,) * 61, (0.0,) * 61)
    with pytest.raises(InputError, match="61 bins are too many"):
        draw.channel_yields(Yields("pre-fit", (many,), (), "converged"))


def test_pulls_are_in_units_of_the_error_before_the_fit(tmp_path: Path) -> None:
    """LIK-19: a luminosity known to 2 %, pulled by a bin without signal: (l - 1)/0.02, and its error over 0.02."""
    samples = [
        {
            "name": "sig",
            "data": [10.0, 0.0],
            "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
        },
        {
            "name": "bkg",
            "data": [50.0, 1000.0],
            "modifiers": [{"name": "lumi", "type": "lumi", "data": None}],
        },
    ]
    luminosity = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "inits": [1.0], "bounds": [[0.5, 1.5]]}
    document = {
        "version": "1.0.0",
        "channels": [{"name": "SR", "samples": samples}],
        "observations": [{"name": "SR", "data": [60.0, 1050.0]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": [luminosity]}}],
    }
    path = tmp_path / "workspace.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    (found,) = (one for one in impacts(read(path)).parameters if one.name == "lumi")
    # The first bin is fitted by the signal: only the second one pulls, 1000 - 1050/l + (l - 1)/0.02^2 = 0.
    root = brentq(lambda x: 1000 - 1050 / x + (x - 1) / 0.02**2, 0.9, 1.1)
    assert found.pull == pytest.approx((root - 1) / 0.02, rel=1e-6)
    error = (1050 / root**2 + 1 / 0.02**2) ** -0.5
    assert found.constraint == pytest.approx(error / 0.02, rel=1e-6)
