"""The published likelihood of CMS-PAS-SUS-16-014: figures measured by others.

Values of the likelihood are RooFit's (validation/likelihood/roofit.py), minima Minuit's, limits those of an independent reading
of the cards without the placeholders of the signal in control regions; the rest is from a prototype that had them, which
changes nothing at mu = 0.
"""

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from superbin.catalog import Catalog, open_catalog
from superbin.domain.aggregate import combine
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.likelihood import Evaluation, Fitter, PublishedLikelihood, evaluate, predict, variations
from superbin.likelihood.inference import asimov, expected_discovery, fit_both, upper_limit
from superbin.likelihood.minuit import minuit_fit

DATA = Path(__file__).parents[1] / "data"


@cache
def packaged(search: str) -> PublishedLikelihood:
    with open_catalog("sqlite://") as catalog:
        return catalog.published_likelihood(search)


@pytest.fixture(scope="module")
def published() -> PublishedLikelihood:
    """The packaged likelihood."""
    return packaged("cms-pas-sus-16-014")


@pytest.fixture(scope="module")
def fitter(published: PublishedLikelihood, t1bbbb: SignalModel) -> Fitter:
    """With the signal and its systematics as published."""
    return Fitter(published.model(t1bbbb.yields))


@pytest.fixture(scope="module")
def result(fitter: Fitter) -> Evaluation:
    """Everything, once."""
    return evaluate(fitter)


def test_size(published: PublishedLikelihood, fitter: Fitter) -> None:
    """LIK-4: counted in the cards."""
    template, model = published.template, fitter.model
    assert (len(template.channels), len(template.processes), len(template.parameters)) == (520, 2480, 1940)
    assert (len(model.channels), len(model.processes)) == (520, 2080)
    assert (len(model.parameters), model.entry_term.size) == (1924, 9470)
    assert published.notes == (
        "inert-entry: 1250 repaired",
        "inert-nuisance: 94 repaired",
        "leaked-placeholder: 38 repaired",
        "signal-placeholder: 320 repaired",
    )


def test_likelihood_at_the_minima(result: Evaluation) -> None:
    """LIK-8, LIK-10, LIK-11: both fits find the known minima, with their branches."""
    assert result.status == "converged"
    assert result.free.nll == pytest.approx(85.95942570937, abs=1e-8)
    assert result.background.nll == pytest.approx(86.90637, abs=1e-5)
    assert result.free.mu == pytest.approx(0.40778, abs=3e-5)
    assert result.free.mu_error == pytest.approx(0.33, abs=0.005)
    assert len(result.free.at_bounds) == pytest.approx(207, abs=1)
    assert result.free.branch == "DYsysNj = -0.847"
    assert result.background.branch == "DYsysNj = 0.893"


def test_bounds_hold_and_gradients_push_against_them(fitter: Fitter, result: Evaluation) -> None:
    """LIK-10: the conditions of Karush, Kuhn and Tucker, from a fresh gradient."""
    objective = fitter.objective
    for fit in (result.free, result.background):
        gradient = objective.point(fit.x, fit.data).gradient
        at_low, at_high = fit.x <= objective.lower, fit.x >= objective.upper
        inside = ~(at_low | at_high)
        if fit is result.background:
            inside[0] = at_low[0] = False
        assert np.abs(gradient[inside]).max() < 1e-6
        assert (gradient[at_low] > -1e-6).all()
        assert (gradient[at_high & (fit.x != 0)] < 1e-6).all()


def test_significance(result: Evaluation) -> None:
    """LIK-14, LIK-15: observed, pre-fit and post-fit significances have the reference values."""
    assert result.observed.z == pytest.approx(1.376, abs=0.001)
    assert result.prefit.z == pytest.approx(2.35, abs=0.005)
    assert result.postfit.z == pytest.approx(3.24, abs=0.05)


def test_post_fit_significance_of_the_prototype(fitter: Fitter, result: Evaluation) -> None:
    """LIK-12, LIK-15: it left a parameter of the signal where the fit of mu had put it, -1; at nominal it is 3.29."""
    x = result.background.x.copy()
    x[1 + fitter.model.position("METResolutionSys")] = -1.0
    found = expected_discovery(fitter, asimov(fitter, x, 1.0), start=result.background)
    assert found.z == pytest.approx(3.24, abs=0.005)


def test_limits(result: Evaluation) -> None:
    """LIK-17: observed and expected limits have the reference values."""
    assert result.limit.observed == pytest.approx(1.0730, abs=5e-5)
    assert result.limit.expected == pytest.approx(0.5201, abs=5e-5)


@pytest.mark.parametrize(
    ("mother", "lsp", "limit", "digits"),
    [(2000, 1900, 331.0, 0.1), (2200, 2175, 2328, 1), (1500, 1450, 34.3, 0.05)],
)
def test_limits_on_weak_signals(
    published: PublishedLikelihood, mother: float, lsp: float, limit: float, digits: float
) -> None:
    """LIK-17, LIK-3: T1qqqq near its diagonal, where a placeholder in 320 control regions would be most of the signal.

    The yields are those that the limits were computed for independently; packaged grids change.
    """
    rows = np.loadtxt(DATA / "t1qqqq-near-diagonal.csv", delimiter=",", comments=("#", "m_mother"))
    rows = rows[(rows[:, :2] == (mother, lsp)).all(axis=1)]
    yields = np.zeros(160)
    yields[rows[:, 2].astype(int) - 1] = rows[:, 3]
    fitter = Fitter(published.model(yields))
    found = upper_limit(fitter, *fit_both(fitter))
    assert found.status == "converged"
    assert found.observed == pytest.approx(limit, abs=digits)


@pytest.mark.parametrize("masses", [(600, 1), (750, 150)])
def test_no_fixed_strength_has_a_lower_minimum(
    published: PublishedLikelihood, packaged_catalog: Catalog, cms_search: Search, masses: tuple[int, int]
) -> None:
    """LIK-17: signals for which the fit of mu, left alone, ends in a minimum that is not the lowest."""
    fitter = Fitter(published.model(packaged_catalog.signal(cms_search, "T2qq", masses).yields))
    free, held = fit_both(fitter)
    assert free.nll <= held.nll
    for factor in (0.5, 1.0, 1.5, 2.0, 3.0):
        at = fitter.fit(mu=factor * free.mu, start=free, explore=False)
        assert at.nll >= free.nll - 1e-6
    limit = upper_limit(fitter, free, held)
    assert limit.status == "converged"
    assert limit.observed is not None
    assert limit.observed > limit.expected > 0  # type: ignore[operator]


def test_no_signal_in_control_regions(published: PublishedLikelihood, fitter: Fitter) -> None:
    """LIK-3: neither the archive's placeholders nor the contamination of the signal the cards were written for."""
    model = fitter.model
    assert (model.bins[model.term_channel[model.signal]] >= 0).all()
    as_published = published.template
    outside = as_published.signal & (as_published.term_bin < 0)
    assert outside.sum() == 360
    assert not as_published.rates[outside].any()


def test_limit_without_signal_systematics(published: PublishedLikelihood, t1bbbb: SignalModel) -> None:
    """LIK-6: 3.548 fb with 3.598 fb for mu = 1; 3.54 with placeholders."""
    without = evaluate(Fitter(published.model(t1bbbb.yields, systematics="none")))
    assert without.limit.observed is not None
    assert 3.59842 * without.limit.observed == pytest.approx(3.548, abs=0.0005)


def test_minuit_confirms_a_region(fitter: Fitter) -> None:
    """LIK-13: the merged likelihood of eight bins, from the same first point by MIGRAD."""
    small = Fitter(fitter.model.merged([29, 30, 69, 70, 79, 80, 109, 110]))
    ours, theirs = small.fit(), minuit_fit(small)
    assert theirs.status == "converged"
    assert theirs.nll == pytest.approx(ours.nll, abs=2e-4)
    assert theirs.mu == pytest.approx(ours.mu, abs=0.01)


def test_nominal_predictions_are_those_of_the_table(
    published: PublishedLikelihood, cms_search: Search
) -> None:
    """LIK-21: derived another way, from the cards to the packaged table, which is rounded to seven digits."""
    table = np.sum([process.estimate.nominal for process in cms_search.processes], axis=0)
    np.testing.assert_allclose(variations(published).nominal, table, rtol=3e-4, atol=1e-6)


def test_uncertainties_are_near_those_of_the_table(
    published: PublishedLikelihood, cms_search: Search, t1bbbb: SignalModel
) -> None:
    """LIK-21: single bins; the table has sqrt(N) for photons where the likelihood has a Poisson interval."""
    found = variations(published)
    ratios = []
    for b in cms_search.numbers:
        table = combine(cms_search, t1bbbb, [b]).background
        ratios.append(found.total([b]).up / table.up)
    assert np.median(ratios) == pytest.approx(1, abs=0.01)
    assert np.percentile(ratios, 5) > 0.9
    assert np.percentile(ratios, 95) < 1.2


def test_covariance_of_control_regions(published: PublishedLikelihood) -> None:
    """LIK-20: figures of the prototype."""
    found = predict(published)
    assert found.status == "converged"
    big = found.expected > 5
    between = found.correlation[np.ix_(big, big)][~np.eye(int(big.sum()), dtype=bool)]
    assert between.mean() == pytest.approx(0.10, abs=0.01)
    whole = math.sqrt(found.covariance.sum() / np.trace(found.covariance))
    assert whole == pytest.approx(2.4, abs=0.05)
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-6


def test_merged_bins_keep_their_control_regions(fitter: Fitter) -> None:
    """LIK-23: bins 9 and 10 of one photon bin each, which other bins share."""
    merged = fitter.model.merged([9, 10])
    assert set(merged.channels) == {
        "aggregate", "BinLowdphi8", "BinLowdphi9", "BinSLControl8", "BinSLControl9", "Binsphoton8", "Binsphoton9",
    }  # fmt: skip
    assert merged.observed.sum() == sum(
        n for name, n in zip(fitter.model.channels, fitter.model.observed, strict=True)
        if name in merged.channels or name in {"Binsignal8", "Binsignal9"}
    )  # fmt: skip
