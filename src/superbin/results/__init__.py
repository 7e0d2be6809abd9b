"""What superbin found: frozen values that go to versioned JSON and come back equal.

Figures, maps and papers are drawn from these alone, so they can be redrawn from a document without any fit. The documents'
shapes are fixed in ``schemas/`` and checked whenever one is written or read.

- `superbin.results.analysis`: an `AnalysisResult`, of ``superbin run``; its names are here too.
- `superbin.results.scan`: a `~superbin.results.scan.ScanResult`, of ``superbin scan``.
- `superbin.results.chance`: a `~superbin.results.chance.ChanceResult`, of ``superbin chance``.
"""

from superbin.results.analysis import (
    SCHEMA,
    AggregateRegion,
    AnalysisResult,
    Asimov,
    BinRow,
    Convention,
    CountDistribution,
    ExpectedZ,
    GreedyBaseline,
    MergeResult,
    Optimum,
    Projection,
    ProjectionColumn,
    Range,
    SignalSummary,
    Significance,
    ToyPValue,
    load_result,
    result_from_json,
    result_to_json,
)
from superbin.results.details import Alternative, UncertaintySource
from superbin.results.limits import (
    LEVEL,
    LikelihoodAnswer,
    LimitBand,
    PublishedAnswer,
    SignalUncertainty,
    UpperLimit,
)
from superbin.results.values import PValue, SearchSummary

__all__ = [
    "LEVEL",
    "SCHEMA",
    "AggregateRegion",
    "Alternative",
    "AnalysisResult",
    "Asimov",
    "BinRow",
    "Convention",
    "CountDistribution",
    "ExpectedZ",
    "GreedyBaseline",
    "LikelihoodAnswer",
    "LimitBand",
    "MergeResult",
    "Optimum",
    "PValue",
    "Projection",
    "ProjectionColumn",
    "PublishedAnswer",
    "Range",
    "SearchSummary",
    "SignalSummary",
    "SignalUncertainty",
    "Significance",
    "ToyPValue",
    "UncertaintySource",
    "UpperLimit",
    "load_result",
    "result_from_json",
    "result_to_json",
]
