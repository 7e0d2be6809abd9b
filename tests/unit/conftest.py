"""A finished result made by hand, for tests that draw, typeset or read one without running an analysis."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from superbin.domain.aggregate import AggregateBin, Background, ProcessYield
from superbin.results import (
    AggregateRegion,
    Alternative,
    AnalysisResult,
    Asimov,
    BinRow,
    Convention,
    CountDistribution,
    ExpectedZ,
    GreedyBaseline,
    LikelihoodAnswer,
    LimitBand,
    MergeResult,
    Projection,
    ProjectionColumn,
    PublishedAnswer,
    PValue,
    Range,
    SearchSummary,
    SignalSummary,
    SignalUncertainty,
    Significance,
    ToyPValue,
    UncertaintySource,
    UpperLimit,
)

PROCESSES = {
    "lostlep": ("Lost lepton", 0.22),
    "hadtau": ("Hadronic tau", 0.18),
    "znn": (r"$Z\to\nu\bar\nu$", 0.54),
    "qcd": ("QCD multijet", 0.06),
}
OBSERVABLES = {
    "njet": (r"$N_\mathrm{jet}$", ""),
    "nb": (r"$N_\mathrm{b}$", ""),
    "mht": (r"$H_\mathrm{T}^\mathrm{miss}$", "GeV"),
    "ht": (r"$H_\mathrm{T}$", "GeV"),
}


def make_yields(background: float, signal: float, observed: int, bins: Sequence[int] = (1,)) -> AggregateBin:
    """A bin whose background is split over four processes, with uncertainties larger upwards than downwards."""
    return AggregateBin(
        bins=tuple(bins),
        signal=signal,
        signal_error=0.05 * signal,
        background=Background(
            nominal=background, up=0.3 * background + 0.2 * math.sqrt(background), down=0.25 * background
        ),
        processes=tuple(
            ProcessYield(
                name=name,
                label=label,
                nominal=share * background,
                stat_up=0.4 * math.sqrt(share * background),
                stat_down=0.3 * math.sqrt(share * background),
                syst_up=0.3 * share * background,
                syst_down=0.25 * share * background,
                stat_group="lostlep_hadtau" if name in ("lostlep", "hadtau") else name,
            )
            for name, (label, share) in PROCESSES.items()
        ),
        observed=observed,
    )


def make_projection(
    observable: str, columns: Sequence[tuple[str, str, bool, float, float, int]], **changes: Any
) -> Projection:
    """A projection from (text, group, aggregate, background, signal, observed) per column."""
    label, unit = OBSERVABLES[observable]
    projection = Projection(
        observable=observable,
        label=label,
        unit=unit,
        selection=f"bins that overlap the aggregate in all observables but {label}",
        note="",
        columns=tuple(
            ProjectionColumn(
                text=text, group=group, aggregate=aggregate, yields=make_yields(b, s, n, [i + 1])
            )
            for i, (text, group, aggregate, b, s, n) in enumerate(columns)
        ),
    )
    return replace(projection, **changes)


def make_projections() -> tuple[Projection, ...]:
    """Four projections of one region; 12.28 background, 8.9 signal and 14 observed events in the aggregate."""
    low = r"$H_\mathrm{T}^\mathrm{miss}$ 300-750 GeV"
    high = r"$H_\mathrm{T}^\mathrm{miss}$ > 750 GeV"
    return (
        make_projection(
            "njet",
            [
                ("3-4", "", False, 62.4, 0.8, 71),
                ("5-6", "", True, 9.1, 3.1, 10),
                ("7-8", "", True, 2.9, 4.2, 3),
                (">= 9", "", True, 0.28, 1.6, 1),
            ],
        ),
        make_projection(
            "nb",
            [
                ("0", "", False, 1640.0, 0.3, 1702),
                ("1", "", False, 310.0, 1.9, 290),
                ("2", "", True, 9.3, 4.4, 12),
                (">= 3", "", True, 2.98, 4.5, 2),
            ],
        ),
        make_projection(
            "mht",
            [
                ("300-350", "", False, 28.0, 0.4, 25),
                ("350-500", "", False, 17.5, 1.8, 22),
                ("500-750", "", True, 9.6, 4.4, 11),
                ("> 750", "", True, 2.68, 4.5, 3),
            ],
        ),
        make_projection(
            "ht",
            [
                ("<= 500", low, False, 310.0, 0.002, 301),
                ("500-1000", low, False, 120.0, 0.4, 131),
                ("> 1000", low, True, 9.6, 4.4, 11),
                ("750-1500", high, False, 3.1, 1.1, 0),
                ("> 1500", high, True, 0.43, 3.4, 3),
            ],
            note=rf"The edges in {OBSERVABLES['ht'][0]} depend on the other observables, so the columns come in "
            rf"groups. Where only an upper edge is given, the lower edge in {OBSERVABLES['ht'][0]} differs between "
            "the bins.",
        ),
    )


def make_distribution(background: float = 12.28, signal: float = 8.9, stop: int = 60) -> CountDistribution:
    """Poisson counts smeared by a coarse prior on the background: plausible, and simple to check."""
    factors = {0.6: 0.1, 0.8: 0.2, 1.0: 0.4, 1.25: 0.2, 1.6: 0.1}

    def probability(n: int, extra: float) -> float:
        means = {background * f + extra: w for f, w in factors.items()}
        return sum(w * math.exp(n * math.log(m) - m - math.lgamma(n + 1)) for m, w in means.items())

    counts = tuple(range(stop))
    return CountDistribution(
        counts=counts,
        width=1,
        background=tuple(probability(n, 0.0) for n in counts),
        signal_plus_background=tuple(probability(n, signal) for n in counts),
    )


def make_range(observable: str, low: float, high: float | None, text: str) -> Range:
    """A range of one of the four observables."""
    label, unit = OBSERVABLES[observable]
    return Range(observable=observable, label=label, unit=unit, low=low, high=high, text=text)


def make_rows() -> tuple[BinRow, ...]:
    """Four published bins."""
    return tuple(
        BinRow(
            number=number,
            ranges=(
                make_range("njet", 7, 8, "7-8"),
                make_range("nb", 2, 2, "2") if i % 2 else make_range("nb", 3, None, ">= 3"),
                make_range("mht", 500, 750, "500-750"),
                make_range("ht", 1000, None, "> 1000"),
            ),
            yields=make_yields(3.07, 2.225, 3 + i % 2, [number]),
        )
        for i, number in enumerate((68, 78, 108, 118))
    )


def make_limits(factor: float) -> tuple[UpperLimit, ...]:
    """Limits by every method without and with an uncertain signal: plausible, not computed."""
    bands = {
        "lhc": LimitBand(0.91, 0.43, 0.57, 0.79, 1.12, 1.55),
        "cls": LimitBand(0.94, 0.41, 0.56, 0.82, 1.25, 1.93),
        "asymptotic": LimitBand(0.9, 0.4, 0.55, 0.78, 1.13, 1.61),
    }
    made = []
    for width in (0.0, 0.0943):
        for method, band in bands.items():
            alone = width > 0 and method == "lhc"
            chosen = LimitBand(band.observed) if alone else band
            limit = UpperLimit.of(
                method,
                chosen.times(factor * (1 + width / 5)),
                fit="prefit",
                signal_uncertainty=width,
                cross_section_pb=0.00359,
                status="no expected limit: its bands are not computed without time (seconds)"
                if alone
                else "exact",
            )
            made.append(limit)
    return tuple(made)


def make_result(**changes: Any) -> AnalysisResult:
    """A complete result; its p-values are plausible, not computed."""
    result = AnalysisResult(
        search=SearchSummary(
            name="cms-pas-sus-16-014",
            title="Search for supersymmetry in events with jets and missing transverse momentum "
            "in proton-proton collisions at 13 TeV",
            reference="CMS Collaboration, CMS-PAS-SUS-16-014 (2016), cds.cern.ch/record/2205158",
            luminosity_fb=12.9,
            sqrt_s_tev=13.0,
            n_bins=160,
            digest="0" * 64,
            source="made by hand for tests",
        ),
        signal=SignalSummary(
            model="T1bbbb",
            parameters={"m_gluino": 1750.0, "m_lsp": 1.0},
            label="T1bbbb(1750, 1)",
            source="made by hand for tests",
            cross_section_pb=0.00359,
            total=27.84,
            digest="1" * 64,
            cross_section_error=0.27,
            cross_section_order="NLO+NLL",
        ),
        options={"correlations": "none", "figure_of_merit": "midp", "toys": 1_000_000, "seed": 0},
        merge=MergeResult(
            bins=(68, 78, 108, 118),
            figure_of_merit="midp",
            value=2.13,
            status="best found",
            cuts=("7-8 jets, >= 2 b jets, HT > 1000 GeV, MHT 500-750 GeV",),
            evaluated=4321,
            greedy=GreedyBaseline(bins=(68, 78, 108), value=2.07),
        ),
        yields=make_yields(12.28, 8.9, 14, [68, 78, 108, 118]),
        bins=make_rows(),
        expected=Significance(
            count=21.18,
            q=2.19,
            pull=1.66,
            midp=PValue(p=0.0166, z=2.13),
            tail=PValue(p=0.0199, z=2.06),
            asymptotic=PValue(p=0.0169, z=2.12),
            asimov=Asimov(z=2.14, fit="prefit"),
            toys=ToyPValue(p=0.01663, z=2.129, p_err=0.00013, n=1_000_000, seed=0),
            pyhf=PValue(p=0.0171, z=2.117),
            pyhf_total=PValue(p=0.0168, z=2.124),
            asimov_postfit=Asimov(z=1.87, fit="postfit"),
            p0=PValue(p=0.0158, z=2.15),
            expected_midp=ExpectedZ(0.31, 1.22, 2.09, 2.91, 3.68, "prefit"),
            expected_p0=ExpectedZ(None, 1.15, 2.12, 3.11, 4.05, "prefit"),
            expected_p0_postfit=ExpectedZ(None, 0.93, 1.88, 2.85, 3.79, "postfit"),
            pyhf_toys=ToyPValue(p=0.015, z=2.17, p_err=0.0038, n=1000, seed=0),
        ),
        observed=Significance(
            count=14,
            q=0.47,
            pull=0.31,
            midp=PValue(p=0.376, z=0.32),
            tail=PValue(p=0.416, z=0.21),
            asymptotic=PValue(p=0.371, z=0.33),
            toys=ToyPValue(p=0.3761, z=0.316, p_err=0.0005, n=1_000_000, seed=0),
            pyhf=PValue(p=0.371, z=0.33),
            pyhf_total=PValue(p=0.372, z=0.327),
            p0=PValue(p=0.359, z=0.36),
            pyhf_toys=ToyPValue(p=0.362, z=0.353, p_err=0.0152, n=1000, seed=0),
        ),
        conventions=(
            Convention("none", Background(12.28, 4.38, 3.07), PValue(0.0166, 2.13), PValue(0.376, 0.32)),
            Convention("likelihood", Background(12.28, 4.9, 3.6), PValue(0.0262, 1.94), PValue(0.388, 0.285)),
        ),
        distribution=make_distribution(),
        projections=make_projections(),
        superbin="0.1.0",
        limits=make_limits(1.0),
        uncertainty=SignalUncertainty(mc=0.05, systematic=0.08, theory=0.27),
        other=AggregateRegion(
            purpose="limit",
            merge=MergeResult(
                bins=(68, 78, 108, 118, 120),
                figure_of_merit="limit",
                value=1 / 0.77,
                status="within 2.1 %",
                cuts=("7-8 jets, >= 1 b jet, HT > 1000 GeV, MHT > 500 GeV",),
                evaluated=1234,
                greedy=GreedyBaseline(bins=(68, 78, 108), value=1.2),
                bound=1.32,
                gap=0.0164,
                mu95=0.77,
            ),
            yields=make_yields(13.1, 9.6, 15, [68, 78, 108, 118, 120]),
            uncertainty=SignalUncertainty(mc=0.05, systematic=0.08, theory=0.27),
            expected=PValue(p=0.0174, z=2.11),
            observed=PValue(p=0.351, z=0.38),
            limits=make_limits(0.96),
        ),
        likelihood=LikelihoodAnswer(
            kind="full",
            channels=520,
            mu=0.19,
            z=0.61,
            limits=tuple(
                UpperLimit.of(
                    "asymptotic",
                    LimitBand(0.66, 0.22, 0.31, 0.46, 0.69, 1.01).times(factor),
                    fit="postfit",
                    signal_uncertainty=width,
                    cross_section_pb=0.00359,
                    status="converged",
                )
                for factor, width in ((1.0, 0.0), (1.06, None))
            ),
        ),
        alternatives=(
            Alternative("rectangle", (68, 78), 1, 6.1, 8.2, 3.1, 2.2, 1.86, 0.97),
            Alternative("1 bin", (68,), 1, 2.2, 3.1, 1.2, 0.8, 1.02, 1.9),
        ),
        sources=(
            UncertaintySource("LLSCSRNJets2_BTags3_MHT3_HT9", 2.1, 0.0),
            UncertaintySource("LLSCSRNJets0_BTags2_MHT3_HT9", 1.8, 0.0),
            UncertaintySource("DYsysKin", -0.9, 1.1),
        ),
        versions={"superbin": "0.1.0", "numpy": "2.0.0"},
        published=PublishedAnswer(
            "interpolated", {"m_gluino": 1750.0, "m_lsp": 1.0}, 2.41, 1.72, 2.41 / 3.59, 1.72 / 3.59
        ),
    )
    return replace(result, **changes)


@pytest.fixture
def example_result() -> AnalysisResult:
    """One plausible result; change it with `dataclasses.replace`."""
    return make_result()


@pytest.fixture
def projection_of() -> Callable[..., Projection]:
    """Build a projection from (text, group, aggregate, background, signal, observed) per column."""
    return make_projection


@pytest.fixture
def distribution_of() -> Callable[..., CountDistribution]:
    """Build a count distribution from a background and a signal mean."""
    return make_distribution
