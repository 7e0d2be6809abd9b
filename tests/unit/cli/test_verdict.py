"""The plain word on several methods."""

import pytest

from superbin.cli.verdict import compare, compare_limits, limit_across_models, z_across_models


def test_agreement() -> None:
    """STAT-23: within 0.1 in Z, at counts where asymptotic formulas hold, no warning."""
    verdict = compare({"midp": 1.925, "tail": 1.872, "asymptotic": 1.918}, 40, 25)
    assert verdict.spread == pytest.approx(0.053)
    assert verdict.agree
    assert verdict.asymptotic
    assert verdict.text == "the methods agree within 0.05 in Z"


def test_disagreement_names_the_extremes() -> None:
    """STAT-23: above 0.1."""
    verdict = compare({"midp": 2.26, "tail": 2.10, "asymptotic": 2.27}, 40, 25)
    assert not verdict.agree
    assert "differ by 0.17 in Z, from tail to asymptotic" in verdict.text
    assert "out of their domain" not in verdict.text


@pytest.mark.parametrize(("n", "b"), [(4, 0.6), (20, 0.6), (4, 6)])
def test_low_counts(n: float, b: float) -> None:
    """STAT-23: asymptotic formulas need five events on either side."""
    verdict = compare({"midp": 2.0, "asymptotic": 2.0}, n, b)
    assert verdict.agree
    assert not verdict.asymptotic
    assert "below 5 events asymptotic formulas are out of their domain" in verdict.text


def test_what_has_no_value_is_left_out() -> None:
    """STAT-23: infinite Z, and pyhf's zero for every deficit."""
    verdict = compare({"midp": -1.0, "tail": None, "asymptotic": -1.02, "pyhf": 0.0}, 10, 20)
    assert verdict.spread == pytest.approx(0.02)
    assert compare({}, 10, 20).spread == 0
    assert compare({"midp": 1.0, "pyhf": 1.5}, 30, 20).spread == pytest.approx(0.5)


def test_models_far_apart_in_z() -> None:
    """STAT-25: the second verdict names the extremes; ``none`` and what has no value are left out."""
    change = z_across_models({"split-lognormal": 1.925, "gaussian": 1.986, "gamma": 1.794, "none": 2.777})
    assert change.spread == pytest.approx(0.192)
    assert "changes Z by 0.19, from gamma to gaussian: say which one you quote" in change.text


def test_models_alike_in_z() -> None:
    """STAT-25: within 0.1 in Z nothing needs to be said; nor is there anything to say of one model."""
    change = z_across_models({"split-lognormal": 1.925, "lognormal": 1.924, "gamma": None})
    assert change.spread == pytest.approx(0.001)
    assert change.text == "the shape of the uncertainty changes Z by 0.00 at most"
    assert z_across_models({"split-lognormal": None}).spread == 0


def test_limits_under_several_models() -> None:
    """STAT-24: the largest limit over the smallest."""
    observed = {"split-lognormal": 10.0, "gaussian": 12.5, "gamma": 11.0, "none": 8.0}
    expected = {"split-lognormal": 5.0, "gaussian": 5.0, "gamma": 7.0, "none": 4.0}
    change = limit_across_models({"observed limit": observed, "expected limit": expected})
    assert change.spread == pytest.approx(0.4)
    assert "the observed limit by 25.0% (split-lognormal to gaussian)" in change.text
    assert "the expected limit by 40.0% (split-lognormal to gamma)" in change.text
    alone = limit_across_models({"limit": {"split-lognormal": 10.0, "none": 8.0}})
    assert alone.spread == 0
    assert alone.text == "no other uncertainty model to compare with"
    equal = limit_across_models({"limit": {"split-lognormal": 10.0, "gaussian": 10.0}})
    assert equal.text == "the shape of the uncertainty changes the limit by 0.0%"


def test_verdict_on_limits_covers_expected_ones() -> None:
    """STAT-23: README's bin; the observed limits agree, the expected ones do not."""
    expected = {"cls": (3.48, 4.70, 7.23, 11.5, 19.6), "asymptotic": (3.10, 4.32, 6.35, 9.56, 14.1)}
    verdict = compare_limits({"cls": 12.64, "asymptotic": 12.48, "pyhf": 12.59}, expected, 11, 5.69)
    assert not verdict.agree
    assert verdict.spread == pytest.approx(7.23 / 6.35 - 1)
    assert "observed limits differ by 1.3% (asymptotic to cls)" in verdict.text
    assert "expected medians differ by 13.9% (asymptotic to cls), bands by up to 39.0%" in verdict.text
    assert verdict.text.endswith("say which one you quote")


def test_limits_that_agree() -> None:
    """STAT-23: up to 5 %."""
    expected = {"cls": (1.0, 2.0, 3.0, 4.0, 5.0), "asymptotic": (1.0, 2.0, 3.1, 4.0, 5.0)}
    verdict = compare_limits({"cls": 3.0, "asymptotic": 3.1}, expected, 20, 20)
    assert verdict.agree
    assert "say which" not in verdict.text


def test_nothing_finite_to_compare() -> None:
    """STAT-23: no agreement is claimed of nothing."""
    assert "no method has a finite Z" in compare({"midp": None}, 3, 0).text
    assert "no uncertainty model has a finite Z" in z_across_models({"gamma": None}).text
