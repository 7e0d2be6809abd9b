"""The analysis end to end: clauses RES-1 to RES-5 and what the pieces promise together."""

import dataclasses
import json
import math
from functools import cache

import numpy as np
import pyhf
import pytest

import superbin
from superbin.analysis import count_distribution, evaluate, likelihood_workspace
from superbin.catalog import open_catalog
from superbin.domain.aggregate import Background, combine
from superbin.domain.bundle import Bundle
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError, UnknownNameError
from superbin.likelihood import PublishedLikelihood, checked_likelihood, variations
from superbin.results import AnalysisResult, load_result, result_from_json, result_to_json


@cache
def packaged(search: str) -> PublishedLikelihood:
    with open_catalog("sqlite://") as catalog:
        return catalog.published_likelihood(search)


@pytest.fixture(scope="module")
def result(cms_search: Search, t1bbbb: SignalModel) -> AnalysisResult:
    return superbin.analyze(cms_search, t1bbbb, toys=200_000, seed=7)


def test_document_has_what_is_promised(result: AnalysisResult) -> None:
    """RES-1: the result document has every promised part."""
    document = json.loads(result_to_json(result))
    assert document["schema"] == "superbin/result/2"
    assert document["superbin"]
    assert {"name", "luminosity_fb", "digest"} <= document["search"].keys()
    assert document["signal"]["model"] == "T1bbbb"
    assert document["signal"]["parameters"] == {"m_mother": 1750.0, "m_lsp": 1.0}
    assert document["options"]["correlations"] == "likelihood"
    assert {"bins", "figure_of_merit", "value", "status", "cuts"} <= document["merge"].keys()
    assert {"nominal", "up", "down"} == document["yields"]["background"].keys()
    assert [p["name"] for p in document["yields"]["processes"]] == ["lostlep", "hadtau", "znn", "qcd"]
    for kind in ("expected", "observed"):
        panel = document[kind]
        assert {"p", "z"} == panel["midp"].keys() == panel["tail"].keys()
        assert {"p", "z", "p_err", "n", "seed"} == panel["toys"].keys()


def test_expected_value_in_the_observed_row_of_an_older_document(result: AnalysisResult) -> None:
    """RES-4: left out on reading; the rest is read as it is."""
    document = json.loads(result_to_json(result))
    document["observed"]["asimov"] = {"z": 2.3, "fit": "postfit"}
    del document["expected"]["asimov_postfit"], document["observed"]["asimov_postfit"]
    found = result_from_json(json.dumps(document))
    assert found.observed == result.observed
    assert found.expected.asimov == result.expected.asimov


def test_document_comes_back_equal(result: AnalysisResult) -> None:
    """RES-3: a result that is written and read back is equal."""
    assert result_from_json(result_to_json(result)) == result


def test_numbers_belong_together(result: AnalysisResult, cms_search: Search, t1bbbb: SignalModel) -> None:
    """RES-1, RES-4: yields, counts and significances agree, and only expected numbers have Asimov ones."""
    covariance = cms_search.covariance
    assert result.yields == combine(cms_search, t1bbbb, result.merge.bins, covariance=covariance)
    assert result.expected.count == pytest.approx(result.yields.signal + result.yields.background.nominal)
    assert (
        result.observed.count
        == result.yields.observed
        == cms_search.observed[np.array(result.merge.bins) - 1].sum()
    )
    assert result.merge.value == pytest.approx(result.expected.midp.z, abs=1e-9)
    assert result.expected.asimov is not None
    assert result.expected.asimov.fit == "prefit"
    assert result.expected.asimov_postfit is not None
    assert result.expected.asimov_postfit.fit == "postfit"
    assert result.observed.asimov is None
    assert result.observed.asimov_postfit is None
    assert [row.number for row in result.bins] == list(result.merge.bins)
    assert sum(row.yields.signal for row in result.bins) == pytest.approx(result.yields.signal)


def test_methods_agree(result: AnalysisResult) -> None:
    """STAT: toys within four standard errors of the exact number, pyhf at the asymptotic one."""
    for panel in (result.expected, result.observed):
        assert panel.toys is not None
        assert abs(panel.toys.p - panel.midp.p) < 4 * panel.toys.p_err
        assert panel.pyhf_total is not None
        assert panel.pyhf_total.z == pytest.approx(panel.asymptotic.z, abs=1e-3)
        assert panel.tail.p > panel.midp.p


def test_conventions_stand_side_by_side(
    result: AnalysisResult, cms_search: Search, t1bbbb: SignalModel
) -> None:
    """MERGE: the same bins with the likelihood's correlations and without, whichever is in use."""
    assert [c.correlations for c in result.conventions] == ["likelihood", "none"]
    used, other = result.conventions
    assert used.background == result.yields.background
    assert used.expected == result.expected.midp
    assert used.observed == result.observed.midp
    assert other.background == combine(cms_search, t1bbbb, result.merge.bins).background
    plain = superbin.analyze(cms_search, t1bbbb, correlations="none", toys=0)
    assert [c.correlations for c in plain.conventions] == ["none", "likelihood"]
    assert plain.options["correlations"] == "none"


def test_covariance_is_that_of_the_nuisances(cms_search: Search) -> None:
    """MERGE: the root of a block's sum against the shifts of every nuisance, added with their signs by hand."""
    shifts = variations(packaged(cms_search.name))
    covariance = cms_search.covariance
    assert covariance is not None
    for bins in ([19, 29, 59], [0, 1, 2, 40], list(range(160))):  # positions in the arrays
        plus, minus = shifts.plus[:, bins].sum(axis=1), shifts.minus[:, bins].sum(axis=1)
        up = math.sqrt(sum(max(p, m, 0.0) ** 2 for p, m in zip(plus, minus, strict=True)))
        found = math.sqrt(covariance.up[np.ix_(bins, bins)].sum())
        assert found == pytest.approx(up, rel=2e-3)


def test_search_without_a_likelihood(small_search: Search, small_signal: SignalModel) -> None:
    """MERGE: quadrature is the default there, and asking for more is refused."""
    result = superbin.analyze(small_search, small_signal, toys=0)
    assert [c.correlations for c in result.conventions] == ["none"]
    with pytest.raises(
        UnknownNameError, match="search 'small' has no correlations 'likelihood'; it has none"
    ):
        superbin.analyze(small_search, small_signal, correlations="likelihood")


def test_changed_search_does_not_take_the_likelihood(cms_search: Search) -> None:
    """MERGE: a search of the same name with other backgrounds is another search."""
    process = cms_search.processes[0]
    larger = dataclasses.replace(process.estimate, nominal=2 * process.estimate.nominal)
    other = dataclasses.replace(
        cms_search, processes=(dataclasses.replace(process, estimate=larger), *cms_search.processes[1:])
    )
    assert checked_likelihood(packaged(cms_search.name), cms_search).n_bins == 160
    with pytest.raises(InputError, match="predicts other backgrounds"):
        checked_likelihood(packaged(cms_search.name), other)
    with open_catalog("sqlite://") as catalog:
        catalog.add(
            Bundle(other, files={"likelihood.json.gz": catalog.store.file(other.name, "likelihood.json.gz")}),
            replace=True,
        )
        with pytest.raises(InputError, match="predicts other backgrounds"):
            catalog.published_likelihood(other.name)


def test_correlated_workspace_agrees_with_the_sum_of_bins(
    result: AnalysisResult, cms_search: Search, t1bbbb: SignalModel
) -> None:
    """WS: pyhf reads the aggregate's own likelihood, whose signal is that of the bins."""
    document = likelihood_workspace(packaged(cms_search.name), t1bbbb, result.merge.bins)
    model = pyhf.Workspace(document).model()
    assert model.config.poi_name == "mu"
    (aggregate,) = (c for c in document["channels"] if c["name"] == "aggregate")
    signal = [sample["data"][0] for sample in aggregate["samples"] if sample["name"].startswith("sig")]
    assert sum(signal) == pytest.approx(result.yields.signal)
    assert model.config.channel_nbins["aggregate"] == 1


def test_data_do_not_enter_the_choice(cms_search: Search, t1bbbb: SignalModel) -> None:
    """RES-5: a search without observed events gives the same merge."""
    blind = dataclasses.replace(cms_search, observed=np.zeros(cms_search.n_bins))
    first, second = (superbin.analyze(s, t1bbbb, toys=0) for s in (cms_search, blind))
    assert first.merge == second.merge
    # what says that it is post-fit depends on the data, nothing else does
    both = (first.expected, second.expected)
    prefit = [dataclasses.replace(found, asimov_postfit=None, expected_p0_postfit=None) for found in both]
    assert prefit[0] == prefit[1]
    assert second.observed.count == 0


def test_same_seed_same_document(cms_search: Search, t1bbbb: SignalModel, result: AnalysisResult) -> None:
    """RES-3: the same seed gives the same document, and another seed other toys."""
    again = superbin.analyze(cms_search, t1bbbb, toys=200_000, seed=7)
    assert result_to_json(again) == result_to_json(result)
    other = superbin.analyze(cms_search, t1bbbb, toys=200_000, seed=8)
    assert other.expected.toys != result.expected.toys


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.update(schema="superbin/result/3"), "schema 'superbin/result/3'.*upgrade superbin"),
        (lambda d: d["merge"].update(bins=[]), r"\$\.merge\.bins"),
        (lambda d: d["yields"].update(observed=-1), r"\$\.yields\.observed"),
        (lambda d: d["expected"]["midp"].update(p=1.5), r"\$\.expected\.midp\.p"),
        (lambda d: d.pop("signal"), "'signal' is a required property"),
        (lambda d: d.update(extra=1), "extra"),
    ],
)
def test_broken_document_is_refused(result: AnalysisResult, change: object, text: str) -> None:
    """RES-2: the JSON path is named."""
    document = json.loads(result_to_json(result))
    change(document)  # type: ignore[operator]  # a mutation of the document
    with pytest.raises(DocumentError, match=text):
        result_from_json(json.dumps(document))


def test_no_json_is_refused(tmp_path: object) -> None:
    """RES-2: text that is not JSON and a missing file are refused."""
    with pytest.raises(DocumentError, match="not JSON"):
        result_from_json("{")
    with pytest.raises(InputError, match=r"cannot read .*missing\.json"):
        load_result(f"{tmp_path}/missing.json")


def test_bad_options_are_refused(cms_search: Search, t1bbbb: SignalModel) -> None:
    """Bad input names value and rule."""
    with pytest.raises(UnknownNameError, match="no correlations 'full'; it has likelihood, none"):
        superbin.analyze(cms_search, t1bbbb, correlations="full")
    with pytest.raises(InputError, match="signal"):
        superbin.analyze(cms_search, dataclasses.replace(t1bbbb, yields=np.zeros(160)))
    with pytest.raises(InputError, match="whole"):
        evaluate(2.5, Background(1.0, 0.1, 0.1), observed=True)


def brute_force(n: int, background: Background, signal: float) -> float:
    """P(N = n) by a Riemann sum over z of the written-out definition, nowhere near superbin's code."""
    step = 1e-3
    total = 0.0
    for k in range(-8000, 8000):
        z = (k + 0.5) * step
        b, up, down = background.nominal, background.up, background.down
        mean = b * (1 + up / b) ** z if z >= 0 else b * (1 - down / b) ** -z
        mean += signal
        total += math.exp(-0.5 * z * z - mean + n * math.log(mean) - math.lgamma(n + 1)) * step
    return total / math.sqrt(2 * math.pi)


def test_distribution_of_the_count() -> None:
    """FIG: probabilities against a direct sum."""
    background = Background(6.0, 3.5, 1.2)
    found = count_distribution(background, 4.0)
    assert found.width == 1
    for n in (found.counts[0], 5, 12, 25):
        i = found.counts.index(n)
        assert found.background[i] == pytest.approx(brute_force(n, background, 0.0), rel=1e-4, abs=1e-9)
        assert found.signal_plus_background[i] == pytest.approx(
            brute_force(n, background, 4.0), rel=1e-4, abs=1e-9
        )


@pytest.mark.parametrize(
    "background",
    [
        Background(0.0, 0.0, 0.0),
        Background(0.0, 1.0, 0.0),
        Background(1e6, 3e5, 2e5),
        Background(0.3, 0.9, 0.3),
    ],
)
def test_distribution_is_complete(background: Background) -> None:
    """FIG: probabilities add up to one and the columns stay few."""
    found = count_distribution(background, 2.0)
    assert len(found.counts) <= 402
    assert sum(found.background) == pytest.approx(1, abs=2e-3)
    assert sum(found.signal_plus_background) == pytest.approx(1, abs=2e-3)
