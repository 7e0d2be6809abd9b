"""Impossible or malformed input is refused with its cause; limits degrade honestly: MERGE-17, MERGE-30, MERGE-31."""

import dataclasses
from dataclasses import astuple

import numpy as np
import pytest

from superbin._support.arrays import FloatArray
from superbin.domain.aggregate import BinSums, bin_sums, combine
from superbin.domain.covariance import Covariance
from superbin.domain.search import Observable, Search
from superbin.domain.signal import SignalModel
from superbin.domain.sums import Totals
from superbin.errors import InputError, UnknownNameError
from superbin.merge import MERITS, Constraints, Limits, optimize, trade_offs
from superbin.merge.archive import Archive, numbers
from superbin.merge.constraints import Rules, rules
from superbin.merge.problem import problem_from
from superbin.merge.rectangles import more_rectangles
from superbin.merge.solve import status
from superbin.stats import midp_significance
from superbin.stats.limits import expected_limits

ONES = np.ones(4)
SUMS = BinSums(np.array([1.0, 0.0, 2.0, 1.0]), 3 * ONES, ONES, ONES)


@pytest.mark.parametrize(
    ("constraints", "text"),
    [
        (Constraints(at_most=0), "at_most is 0.*>= 1"),
        (Constraints(exactly=-1), "exactly is -1"),
        (Constraints(exactly=2.5), "exactly is 2.5"),  # type: ignore[arg-type]  # a wrong type is the point
        (Constraints(exactly=3, at_most=2), "contradict"),
        (Constraints(exactly=5), "only 4 are allowed"),
        (Constraints(exactly=4, forbidden=(1,)), "only 3 are allowed"),
        (Constraints(at_most=1, required=(1, 2)), "2 bins are required"),
        (Constraints(required=(2,), forbidden=(2,)), "bin 2 is both"),
        (Constraints(required=(5,)), "required bin 5 does not exist.*1 to 4"),
        (Constraints(forbidden=(0,)), "forbidden bin 0 does not exist"),
        (Constraints(forbidden=(1, 3, 4)), "every bin with signal is forbidden"),
        (Constraints(min_background=12.5), "at most 12 events"),
        (Constraints(min_signal=3.5, at_most=2), "at most 3 events"),
        (Constraints(min_background=float("nan")), "min_background is nan"),
        (Constraints(min_signal=float("inf")), "min_signal is inf"),
        (Constraints(min_background=-1), "min_background is -1"),
        (Constraints(min_signal="3"), "min_signal is '3'"),  # type: ignore[arg-type]
        (Constraints(exactly=True), "exactly is True"),
        (Constraints(required=3), "required is 3; it must be numbers of bins"),  # type: ignore[arg-type]
    ],
)
def test_impossible_constraints(constraints: Constraints, text: str) -> None:
    """MERGE-30: constraints that are malformed, contradict or cannot be met are refused with the reason."""
    with pytest.raises(InputError, match=text):
        rules(problem_from(SUMS), constraints)


@pytest.mark.parametrize(
    ("covariance", "text"),
    [
        (np.eye(3), "the covariance is of 3 bins; 4 are needed"),
        (np.eye(4) + np.eye(4, k=1), "not symmetric: 1 for bins 1 and 2, 0 for 2 and 1"),
        (2 * np.eye(4) - np.ones((4, 4)), "not positive semidefinite.*eigenvalue"),
        (np.full((4, 4), np.nan), "covariance in bin 1 is nan"),
        ([[1, 2], [3]], "must be numbers"),
    ],
)
def test_covariances_that_are_none(covariance: FloatArray, text: str) -> None:
    """MERGE-30: a matrix that cannot be a covariance of the bins is refused with the reason."""
    with pytest.raises(InputError, match=text):
        problem_from(SUMS, covariance)


@pytest.mark.parametrize("part", ["signal", "background", "variance_up", "variance_down"])
@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf])
def test_numbers_that_are_none(part: str, value: float) -> None:
    """MERGE-30: a NaN, negative or infinite number is refused with its name and its bin."""
    wrong = getattr(SUMS, part).copy()
    wrong[2] = value
    with pytest.raises(InputError, match=f"{part} in bin 3"):
        problem_from(dataclasses.replace(SUMS, **{part: wrong}))


def test_constraints_no_set_satisfies(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-30: each fits alone, together they do not, which only the search can tell."""
    with pytest.raises(InputError, match="no set of bins"):
        optimize(
            cms_search,
            t1bbbb,
            figure_of_merit="s_over_sqrt_bv",
            shape="rectangle",
            constraints=Constraints(exactly=11),
        )
    with pytest.raises(UnknownNameError, match="'square'.*rectangle"):
        optimize(cms_search, t1bbbb, shape="square")  # type: ignore[arg-type]


def test_identical_bins_are_chosen_the_same_way() -> None:
    """MERGE-14: of equal sets, fewer bins and then lower numbers, in whatever order they are offered."""
    problem = problem_from(BinSums(ONES, 2 * ONES, ONES, ONES))
    pairs = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool)
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        archive = Archive(problem, MERITS["s_over_sqrt_bv"], Rules.none(problem))
        for row in order:
            archive.evaluate(pairs[row][None, :])
        assert numbers(archive.best[0]) == (1, 2)


def test_unfinished_proofs_say_so(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-17: with one node nothing is certified, and the bound still bounds the finished answer."""
    limits = Limits(nodes=1)
    size = Constraints(exactly=12, min_background=9.0)
    short = optimize(cms_search, t1bbbb, figure_of_merit="profile_asimov", constraints=size, limits=limits)
    done = optimize(cms_search, t1bbbb, figure_of_merit="profile_asimov", constraints=size)
    assert short.status in ("best found", status(False, short.gap))
    assert done.status == "certified"
    assert done.gap is not None
    assert done.gap < 1e-5
    assert short.bound is None or short.bound >= done.value


def test_correlations_enter_the_uncertainty(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-3: fully correlated, uncertainties add linearly, so the value is that of the linear sum."""
    from superbin.stats import pvalue

    sigma = np.sqrt(bin_sums(cms_search, t1bbbb).variance_up)
    result = optimize(cms_search, t1bbbb, covariance=np.outer(sigma, sigma))
    rows = np.array(result.bins) - 1
    total = combine(cms_search, t1bbbb, result.bins)
    b = total.background.nominal
    down = float(np.sqrt(bin_sums(cms_search, t1bbbb).variance_down)[rows].sum())
    up = float(sigma[rows].sum())
    z = pvalue.midp_significance(total.signal + b, b, up, min(down, b))
    assert z > 1
    assert result.value == pytest.approx(z, abs=1e-9)
    assert result.value < optimize(cms_search, t1bbbb).value


def test_the_background_bounds_its_downward_uncertainty(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-3: of two bins that sum to b, down is at most b, whatever the covariance; up is the root of the sum."""
    b = combine(cms_search, t1bbbb, [20, 30]).background.nominal
    wide = np.diag(np.full(cms_search.n_bins, 8 * b**2))
    found = combine(cms_search, t1bbbb, [20, 30], covariance=Covariance.of(wide)).background
    assert found.up == pytest.approx(4 * b)
    assert found.down == b


@pytest.mark.parametrize(
    ("matrix", "text"),
    [
        (np.ones((159, 160)), "shape"),
        (np.eye(160) + np.triu(np.full((160, 160), 0.01), 1), "not symmetric"),
        (1.1 * np.eye(160) - 0.1, "semidefinite"),
    ],
)
def test_no_covariance_is_refused(
    cms_search: Search, t1bbbb: SignalModel, matrix: FloatArray, text: str
) -> None:
    """MERGE-3: square, symmetric and positive semidefinite."""
    with pytest.raises(InputError, match=text):
        optimize(cms_search, t1bbbb, covariance=matrix)


@pytest.mark.parametrize("figure", ["profile_asimov", "asimov_limit"])
def test_shapes_and_sizes_side_by_side(cms_search: Search, t1bbbb: SignalModel, figure: str) -> None:
    """MERGE-25, MERGE-4: exact Z and limit of the sums of each merge; the loss is in the one that was asked for."""
    offers = trade_offs(
        cms_search, t1bbbb, shapes=("free", "rectangle"), sizes=(1, 11, 40), figure_of_merit=figure
    )
    assert [offer.name for offer in offers] == ["free", "rectangle", "1 bin", "11 bins", "40 bins"]
    assert [len(offer.merge.bins) for offer in offers[2:]] == [1, 11, 40]
    assert all(offer.merge.value <= offers[0].merge.value * (1 + 1e-6) for offer in offers)
    assert all(offer.seconds > 0 for offer in offers)
    for offer in offers:
        total = combine(cms_search, t1bbbb, offer.merge.bins)
        b = total.background
        assert offer.aggregate == total
        assert offer.z == pytest.approx(
            midp_significance(total.signal + b.nominal, b.nominal, b.up, b.down), abs=1e-9
        )
        events = expected_limits("cls", b.nominal, b.up, b.down).median
        assert offer.limit == pytest.approx(events / total.signal, rel=1e-8)
    if figure == "asimov_limit":
        losses = [1 - min(o.limit for o in offers) / offer.limit for offer in offers]
    else:
        parts = np.array([[o.aggregate.signal, *astuple(o.aggregate.background)[:3]] for o in offers]).T
        merits = MERITS["midp"](Totals(*parts))
        losses = list(1 - merits / merits.max())
    assert [offer.loss for offer in offers] == pytest.approx(losses, abs=1e-12)
    assert min(losses) == 0
    assert max(losses) > 0.01


@pytest.mark.parametrize("figure", MERITS)
def test_no_signal_is_worth_nothing_and_no_set_is_empty(figure: str) -> None:
    """MERGE-5, MERGE-10, MERGE-30: s = 0 gives 0; of sets without signal or bins none is ever the best."""
    b = np.array([0.0, 0.3, 5.0, 400.0])
    nothing = Totals(np.zeros(4), b, np.array([1.84, 0.2, 1.0, 30.0]), np.minimum(b, 0.5))
    assert (MERITS[figure](nothing) == 0).all()
    problem = problem_from(SUMS)
    archive = Archive(problem, MERITS[figure], Rules.none(problem))
    values = archive.evaluate(np.array([[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]], dtype=bool))
    assert np.isneginf(values[:2]).all()
    assert numbers(archive.best[0]) == (1,)


@pytest.mark.parametrize("figure", MERITS)
def test_bins_without_background_have_an_answer(cms_search: Search, t1bbbb: SignalModel, figure: str) -> None:
    """MERGE-30: the search has bins that expect no background but have an uncertainty; values are finite."""
    sums = bin_sums(cms_search, t1bbbb)
    assert (sums.background[sums.signal > 0] == 0).any()
    values = MERITS[figure](problem_from(sums).totals(np.eye(160, dtype=bool)[sums.background == 0]))
    assert np.isfinite(values).all()


def test_a_covariance_of_another_search_is_refused(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-30: also where both sides are given, and each time, although a good one is checked only once."""
    wrong = Covariance(np.eye(3), np.eye(3), "made up")
    for _ in range(2):
        with pytest.raises(InputError, match="the covariance is of 3 bins; 160 are needed"):
            optimize(cms_search, t1bbbb, covariance=wrong)


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (Constraints(forbidden=tuple(range(1, 161))), "every bin is forbidden; allow at least one"),
        (Constraints(exactly=161), "exactly 161 bins are asked for but only 160 are allowed"),
        (Constraints(required=(2.5,)), "required bin 2.5 is not a whole number; the bins are 1 to 160"),  # type: ignore[arg-type]
        (Constraints(forbidden=("3",)), "forbidden bin '3' is not a whole number"),  # type: ignore[arg-type]
        (
            Constraints(at_most=1, min_background=900, min_signal=2),
            "no set of bins .* satisfies all constraints",
        ),
    ],
)
def test_constraints_that_exclude_everything(
    constraints: Constraints, message: str, cms_search: Search, t1bbbb: SignalModel
) -> None:
    """MERGE-30: what is asked for, and that it cannot be had."""
    with pytest.raises(InputError, match=message):
        optimize(cms_search, t1bbbb, constraints=constraints, limits=Limits(exact_seconds=0.1))


@pytest.mark.parametrize("name", ["gap", "seconds", "exact_seconds", "nodes"])
@pytest.mark.parametrize("value", [-1, np.nan])
def test_limits_are_numbers(name: str, value: float) -> None:
    """MERGE-30: of a proof, none below zero."""
    with pytest.raises(InputError, match=f"{name} of a proof is"):
        dataclasses.replace(Limits(), **{name: value})  # type: ignore[arg-type]


def test_all_bins_are_one_set(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-17: as many bins as there are leave one set, which is certified for every figure of merit."""
    found = optimize(cms_search, t1bbbb, constraints=Constraints(exactly=160))
    assert (len(found.bins), found.status) == (160, "certified")


def regular(*bins: int) -> Search:
    """A grid of bins of unit widths."""
    at = np.stack([axis.ravel() for axis in np.meshgrid(*map(range, bins), indexing="ij")], axis=1)
    edges: dict[str | Observable, object] = {
        Observable(f"x{j}", f"x{j}", "GeV"): (at[:, j] + 0.0, at[:, j] + 1.0) for j in range(len(bins))
    }
    one = np.ones(len(at))
    return Search.from_arrays(
        "grid", observed=one, background=one, error=one / 2, luminosity_fb=1, edges=edges
    )


def test_too_many_pairs_are_refused_before_work_begins() -> None:
    """MERGE-60: the sizes and what to do are said, without all rectangles; one rectangle and connected merges are found."""
    search = regular(12, 12, 4)
    signal = SignalModel(
        "one corner", {}, search.name, np.arange(search.n_bins) / 1e3, np.zeros(search.n_bins)
    )
    assert not more_rectangles(search, 78 * 78 * 10)
    assert more_rectangles(search, 78 * 78 * 10 - 1)
    for shape in ("two rectangles", "three rectangles"):
        with pytest.raises(InputError, match=r"576 bins and more than 44,721 rectangles.*ask for one"):
            optimize(search, signal, shape=shape)
    one, connected = (optimize(search, signal, shape=shape) for shape in ("rectangle", "connected"))
    assert connected.value >= one.value


def test_connected_regions_need_ranges(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-30: named regions have no neighbours."""
    named = dataclasses.replace(
        cms_search,
        observables=(),
        low=np.zeros((cms_search.n_bins, 0)),
        high=np.zeros((cms_search.n_bins, 0)),
    )
    with pytest.raises(InputError, match="have names and no ranges"):
        optimize(named, t1bbbb, shape="connected")
