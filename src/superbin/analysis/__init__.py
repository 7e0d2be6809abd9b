"""One search and one signal to an `AnalysisResult`: bins, p-values, limits and what lies around them.

`analyze` does everything; `candidate_workspaces` and `significances` put several merges side by side; `evaluate` and `count_distribution` give the statistics of one aggregate bin alone. `projection`
finds which bins fall into which column around an aggregate.
"""

from superbin.analysis.candidates import (
    CandidateMerge,
    SignificanceRow,
    Workspaces,
    candidate_workspaces,
    largest_disagreement,
    significances,
)
from superbin.analysis.pipeline import (
    DEFAULT_TOYS,
    Timed,
    analyze,
    count_distribution,
    evaluate,
    likelihood_workspace,
)

__all__ = [
    "DEFAULT_TOYS",
    "CandidateMerge",
    "SignificanceRow",
    "Timed",
    "Workspaces",
    "analyze",
    "candidate_workspaces",
    "count_distribution",
    "evaluate",
    "largest_disagreement",
    "likelihood_workspace",
    "significances",
]
