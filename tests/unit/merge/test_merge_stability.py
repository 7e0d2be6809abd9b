"""Merges on numbers that fluctuate: clauses MERGE-63, MERGE-64, CLI-43 and CLI-71."""

import json
import math

import numpy as np
import pytest
from scipy import special

from superbin.cli import main
from superbin.domain.aggregate import bin_sums
from superbin.domain.merits import merit
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.merge import Constraints, optimize, stability
from superbin.merge.problem import problem_from
from superbin.merge.stability import _drawn, _gamma, _roots
from superbin.plot import stability_bars


def exact(bins: int = 6) -> tuple[Search, SignalModel]:
    """A search whose numbers do not fluctuate."""
    b = np.geomspace(100, 1, bins)
    search = Search.from_arrays(
        "s", observed=np.rint(b), background=b, luminosity_fb=1, names=[f"SR{i}" for i in range(bins)]
    )
    return search, SignalModel("m", {}, "s", np.linspace(1, 3, bins), np.zeros(bins))


def test_without_uncertainties_nothing_moves() -> None:
    """MERGE-63: without uncertainties every draw chooses the same merge with the same value."""
    search, signal = exact()
    best = optimize(search, signal, figure_of_merit="profile_asimov")
    found = stability(search, signal, best.bins, figure_of_merit="profile_asimov", draws=5)
    assert found.same == 1
    assert np.flatnonzero(found.frequency == 1).tolist() == [number - 1 for number in best.bins]
    for values in (found.claimed, found.kept, found.reference_claimed):
        np.testing.assert_allclose(values, found.reference)


def test_draws_of_the_packaged_signal(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-63: in each draw nothing is better than what is chosen in it, and with the published numbers nothing than the optimum."""
    name = "profile_asimov"
    best = optimize(cms_search, t1bbbb, figure_of_merit=name)
    found = stability(cms_search, t1bbbb, best.bins, figure_of_merit=name, draws=40, seed=3)
    assert found.reference == pytest.approx(best.value)
    assert (found.kept <= best.value * (1 + 1e-9)).all()
    assert (found.claimed >= found.reference_claimed * (1 - 1e-9)).all()
    assert ((found.frequency >= 0) & (found.frequency <= 1)).all()
    again = stability(cms_search, t1bbbb, best.bins, figure_of_merit=name, draws=40, seed=3)
    assert (again.claimed == found.claimed).all()


def test_fluctuations_have_the_correlations(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-63: means and widths are those of gamma distributions, and bins of much background have the correlations."""
    problem = problem_from(bin_sums(cms_search, t1bbbb), cms_search.covariance)
    rng = np.random.default_rng(0)
    roots = _roots(problem)
    drawn = np.array([_drawn(problem, roots, 0 * t1bbbb.errors, rng).background for _ in range(4000)])
    up = np.sqrt(problem.variance_up)
    np.testing.assert_allclose(drawn.std(axis=0), up, rtol=0.1)
    # A count N of events of weight w: b = w N and up = w sqrt(N + 1), and the mean is w (N + 1).
    weight = np.array([np.roots([1, b, -(u**2)]).max() for b, u in zip(problem.background, up, strict=True)])
    mean = problem.background + weight
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * up / np.sqrt(4000)).all()
    assert problem.covariance_up is not None
    right = problem.covariance_up[:10, :10] / np.outer(up[:10], up[:10])
    np.testing.assert_allclose(np.corrcoef(drawn[:, :10].T), right, atol=0.06)


@pytest.mark.parametrize(("b", "up"), [(0.0, 0.6), (1e-9, 0.6), (3.0, 2.0), (1000.0, 100.0), (1e9, 1.0)])
def test_uncertainties_of_a_drawn_background(b: float, up: float) -> None:
    """MERGE-63: a vanishing estimate is drawn as an exponential, not as a power of ten, and uncertainties are those of a count."""
    normal = np.linspace(-3, 3, 61)
    drawn = _gamma(np.full(61, b), np.full(61, up**2), normal)
    weight = np.roots([1, b, -(up**2)]).max()
    if b < 1e-6:
        np.testing.assert_allclose(drawn, -up * np.log(special.ndtr(-normal)), rtol=1e-6)
    elif b < 1e6:
        right = special.gammainc(b / weight + 1, drawn / weight)
        np.testing.assert_allclose(right, special.ndtr(normal), rtol=1e-6)
    else:
        np.testing.assert_allclose(drawn, b + up * normal)
    assert (np.diff(drawn) > 0).all()


@pytest.mark.parametrize("name", ["midp", "limit", "profile_asimov"])
def test_raised_estimates(name: str) -> None:
    """MERGE-64: bins of few control events lose their advantage; the value is that of the published estimates."""
    # Two bins alike but for one low count: b = w N, up = w sqrt(N + 1), and with half an event more the second is better.
    weight = np.array([3.0, 0.5])
    b = np.array([3.0, 4.0])
    search = Search.from_arrays(
        "s",
        observed=b,
        background=b,
        error=weight * np.sqrt(b / weight + 1),
        luminosity_fb=1,
        names=["SR1", "SR2"],
    )
    signal = SignalModel("m", {}, "s", np.array([2.0, 2.0]), np.zeros(2))
    one = Constraints(exactly=1)
    published = optimize(search, signal, figure_of_merit=name, constraints=one)
    same = optimize(search, signal, figure_of_merit=name, constraints=one, raise_low=0.0)
    raised = optimize(search, signal, figure_of_merit=name, constraints=one, raise_low=2.0)
    assert same == published
    assert raised.bins == (2,)
    assert raised.status == "best found"
    alone = problem_from(bin_sums(search, signal)).totals(np.array([[False, True]]))
    assert raised.value == pytest.approx(float(merit(name)(alone)[0]))
    for wrong in (-0.5, math.inf, math.nan):
        with pytest.raises(InputError, match="raise_low"):
            optimize(search, signal, raise_low=wrong)


def test_bad_input(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-63: zero draws and a figure without any chosen bin are refused."""
    with pytest.raises(InputError, match="0 draws"):
        stability(cms_search, t1bbbb, [1], draws=0)
    with pytest.raises(InputError, match="never|ever"):
        stability_bars({1: 0.0}, [1])


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-43, CLI-71: medians and frequencies; the merge is the first of the table, that of raised estimates its last."""
    options = (
        "--shape",
        "free",
        "--size",
        "1",
        "--figure-of-merit",
        "profile_asimov",
        "--stability",
        "10",
        "--raise-low",
        "0.5",
        "--json",
    )
    with pytest.raises(SystemExit) as stop:
        main(["optimize", "T1bbbb", "1750", "1", *options])
    assert stop.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["merges"][-1]["shape"] == "low raised"
    row = document["stability"]
    assert row["draws"] == 10
    assert row["bins"] == document["merges"][0]["bins"]
    assert all(0 < share <= 1 for share in row["frequency"].values())
    assert row["claimed"] == sorted(row["claimed"])


def test_figure() -> None:
    """FIG-40: the most frequent bin first, those of the merge in another colour."""
    drawn = stability_bars({5: 0.2, 7: 0.9, 9: 0.0, 2: 0.4}, [7])
    assert list(drawn.bars) == [7, 2, 5]
    assert [bar.get_height() for bar in drawn.bars.values()] == [0.9, 0.4, 0.2]
    colours = [bar.get_facecolor() for bar in drawn.bars.values()]
    assert colours[0] != colours[1] == colours[2]
    assert drawn.spread == {}
    beside = stability_bars({5: 0.2}, [5], spread={"best of each draw,\ndrawn numbers": (1.0, 1.5, 1.7)})
    (point,) = beside.spread.values()
    assert np.asarray(point.lines[0].get_xdata()).tolist() == [1.5]
