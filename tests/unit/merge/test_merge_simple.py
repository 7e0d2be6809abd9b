"""Merges that are simpler to describe: clause MERGE-61."""

import click
import numpy as np
import pytest

from superbin.cli.options import Share, selection_lines
from superbin.domain.aggregate import bin_sums
from superbin.domain.search import Observable, Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.merge import MERITS, cuts, optimize
from superbin.merge.constraints import Rules
from superbin.merge.exhaustive import every_set
from superbin.merge.problem import problem_from
from superbin.merge.rectangles import rectangles
from superbin.merge.unions import pairs_above


def toy(seed: int, *, named: bool = False) -> tuple[Search, SignalModel]:
    """Twelve bins in a plane, with a signal that lies in some of them."""
    rng = np.random.default_rng(seed)
    at = np.array([(i, j) for i in range(4) for j in range(3)], dtype=float)
    b = 10 ** rng.uniform(0, 2, 12)
    edges: dict[str | Observable, object] = {
        Observable(name, name, "GeV"): (at[:, j], at[:, j] + 1) for j, name in enumerate("xy")
    }
    search = Search.from_arrays(
        "s",
        observed=np.rint(b),
        background=b,
        error=0.2 * b,
        luminosity_fb=1,
        edges=None if named else edges,
        names=[f"SR-{i}" for i in range(12)] if named else (),
    )
    yields = rng.exponential(1, 12) * np.sqrt(b)
    return search, SignalModel("m", {}, "s", yields, np.zeros(12))


@pytest.mark.parametrize("figure", ["profile_asimov", "midp"])
@pytest.mark.parametrize("seed", range(4))
def test_simpler_within_the_tolerance(figure: str, seed: int) -> None:
    """MERGE-61: against the texts of all 4095 sets."""
    search, signal = toy(seed)
    best = optimize(search, signal, figure_of_merit=figure)
    sets = np.concatenate(list(every_set(np.zeros(12, dtype=bool), np.ones(12, dtype=bool))))[1:]
    values = MERITS[figure](problem_from(bin_sums(search, signal)).totals(sets))
    for tolerance in (0.01, 0.1):
        found = optimize(search, signal, figure_of_merit=figure, simplify=tolerance)
        assert found.optimum is not None
        assert (found.optimum.bins, found.optimum.value) == (best.bins, best.value)
        assert found.value >= (1 - tolerance) * best.value
        assert found.optimum.loss == pytest.approx(1 - found.value / best.value, abs=1e-12)
        assert (len(found.cuts), len(found.bins)) <= (len(best.cuts), len(best.bins))
        assert found.bound is not None
        assert found.gap == pytest.approx(found.bound / found.value - 1)
        assert found.status == best.status == "certified"
        near = sets[values >= (1 - tolerance) * best.value * (1 + 1e-12)]
        lengths = [len(cuts(search, np.flatnonzero(row) + 1)) for row in near]
        if found.optimum.fewest:
            assert min(lengths) == len(found.cuts)
        if len(found.cuts) == 1:
            assert found.optimum.fewest
        # A choice that does not depend on the proof.
        quick = optimize(search, signal, figure_of_merit=figure, simplify=tolerance, prove_simplest=False)
        assert quick.bins == found.bins


def test_regions_without_ranges_are_their_own_selections() -> None:
    """MERGE-61: the selections of regions without ranges are the names of the regions."""
    search, signal = toy(1, named=True)
    best, found = optimize(search, signal), optimize(search, signal, simplify=0.1)
    assert len(found.bins) < len(best.bins)
    assert found.cuts == tuple(search.names[number - 1] for number in found.bins)
    assert not found.overlap


def test_the_packaged_signal(cms_search: Search, t1bbbb: SignalModel) -> None:
    """MERGE-61: for two percent two selections are enough, and one is not."""
    found = optimize(cms_search, t1bbbb, simplify=0.02)
    assert found.optimum is not None
    assert (len(found.cuts), found.optimum.selections, found.optimum.fewest) == (2, 3, True)
    assert 0 < found.optimum.loss <= 0.02


@pytest.mark.parametrize("simplify", [-0.1, 1.0, float("nan")])
def test_tolerances_that_are_none(cms_search: Search, t1bbbb: SignalModel, simplify: float) -> None:
    """MERGE-61: a tolerance that is negative, 1 or NaN is refused."""
    with pytest.raises(InputError, match="simplify is"):
        optimize(cms_search, t1bbbb, simplify=simplify)


@pytest.mark.parametrize(("text", "share"), [("2%", 0.02), ("0.02", 0.02), ("0", 0.0), (" 0.5% ", 0.005)])
def test_shares_on_the_command_line(text: str, share: float) -> None:
    """CLI-42: a share may be written as a percentage or as a number."""
    assert Share().convert(text, None, None) == pytest.approx(share)


@pytest.mark.parametrize("text", ["two", "100%", "-1%", "1.5", "nan"])
def test_shares_that_are_none(text: str) -> None:
    """CLI-42: a word, NaN, a negative share and a share of 1 or more are refused."""
    with pytest.raises(click.BadParameter):
        Share().convert(text, None, None)


def test_lines_of_a_simpler_merge(cms_search: Search, t1bbbb: SignalModel) -> None:
    """CLI-42: the printed lines give the selections, bins and loss, and mark selections that overlap."""
    simple = optimize(cms_search, t1bbbb, simplify=0.02)
    assert selection_lines(simple)[-1].startswith("  2 selections, proved the fewest, of ")
    assert " in place of 3 of 9 bins, at a loss of 1." in selection_lines(simple)[-1]
    best = optimize(cms_search, t1bbbb)
    assert best.overlap
    assert selection_lines(best)[0] == "  union of"
    assert selection_lines(best)[1:] == [f"    {cut}" for cut in best.cuts]


@pytest.mark.parametrize("correlated", [0.0, 0.77, 0.98])
def test_pairs_above_a_value_against_all_pairs(correlated: float) -> None:
    """MERGE-61: every union of two rectangles that exceeds a value, with correlations of either sign; fewest bins first.

    `correlated` is the share of the variance that some sources have in common: of one source if it is nearly all.
    """
    rng = np.random.default_rng(11)
    for seed in range(4):
        search, signal = toy(seed)
        sums = bin_sums(search, signal)
        factors = rng.normal(size=(12, 3 if correlated < 0.9 else 1)) * np.sqrt(sums.variance_up)[:, None]
        covariance = (
            factors @ factors.T + np.diag((1 - correlated) / correlated * sums.variance_up)
            if correlated
            else None
        )
        problem = problem_from(sums, covariance)
        boxes, merit = rectangles(search), MERITS["midp"]
        sets = np.array([a | b for a in boxes.sets for b in boxes.sets])
        sets = np.unique(sets, axis=0)
        values = merit.rank(problem.upward().totals(sets))
        least = float(np.quantile(values, 0.9))
        parts = list(pairs_above(problem, boxes, merit.rank, Rules.none(problem), least))
        found = {row.tobytes() for some in parts for row in some}
        assert found == {row.tobytes() for row in sets[values > least]}
        assert parts[0].sum(axis=1).min() == sets[values > least].sum(axis=1).min()
