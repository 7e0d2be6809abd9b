"""What ``superbin run`` prints: clause CLI-46."""

from dataclasses import replace
from pathlib import Path

from superbin.cli.summary import summary
from superbin.results import AnalysisResult


def test_what_run_prints(example_result: AnalysisResult) -> None:
    """CLI-46: the verdict first, both regions with their status, every limit by its name, what one bin costs, why not by the data."""
    result = example_result
    text = summary(result, Path("out"))
    lines = text.splitlines()
    assert lines[0].startswith("T1bbbb(1750, 1) in cms-pas-sus-16-014, 12.9 fb^-1")
    quoted = result.quoted
    assert quoted is not None
    assert quoted.cross_section_fb is not None
    assert lines[1].startswith("excluded at 95 % CL by one bin (LHC CLs")
    assert f"mu < {quoted.mu.observed:#.3g}" in lines[1]
    assert f"cross section < {quoted.cross_section_fb.observed:#.3g} fb" in lines[1]
    assert lines[2].startswith("excluded at 95 % CL by the full likelihood of 520 channels (asymptotic CLs")
    assert "theory cross section: 3.59 fb +- 27 % (NLO+NLL)" in text
    down = (quoted.mu.observed or 0) / (1 - 0.27)
    assert f"down: mu < {down:#.3g}, not excluded" in text
    for status in ("best found", "within 2.1 %"):
        assert status in text
    for name in (
        "LHC CLs pre-fit",
        "prior-predictive CLs pre-fit",
        "asymptotic CLs post-fit",
        "interpolated",
        "+- 9.4 %",
    ):
        assert name in text
    full = result.likelihood
    assert full is not None
    exact = full.limit(uncertain=False)
    assert exact is not None
    ratio = (quoted.mu.observed or 0) / (exact.mu.observed or 1)
    assert f"one bin over the full likelihood, both with an exact signal: observed {ratio:.2f}" in text
    assert "one bin over the published limit: observed" in text
    assert "Choosing them by what was observed is not offered" in text
    alone = summary(replace(result, other=None, likelihood=None, published=None), Path("out"))
    assert "520 channels" not in alone
    assert "superbin has none for this model" in alone
    unknown = replace(result.signal, cross_section_pb=None)
    limits = tuple(replace(limit, cross_section_fb=None) for limit in result.limits)
    without = summary(
        replace(result, signal=unknown, limits=limits, other=None, likelihood=None, published=None),
        Path("out"),
    )
    assert "no cross section is known" in without
    assert "fb obs." not in without


def test_one_region_for_both_purposes(example_result: AnalysisResult) -> None:
    """CLI-46: where both regions have the same bins, their limits are printed once, with the bands of the region for the limit."""
    result = example_result
    other = result.other
    assert other is not None
    assert result.region.purpose == "discovery"
    without = tuple(replace(limit, mu=replace(limit.mu, median=None)) for limit in result.limits)
    same = replace(other, merge=replace(other.merge, bins=result.merge.bins))
    text = summary(replace(result, limits=without, other=same), Path("out"))
    rows = [line for line in text.splitlines() if line.startswith("  both regions")]
    quoted = other.quoted
    assert quoted is not None
    assert any("LHC CLs pre-fit" in row and f"{quoted.mu.median:#.3g}" in row for row in rows)
    assert "region for discovery  LHC" not in text
