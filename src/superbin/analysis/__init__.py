"""One search and one signal to an `AnalysisResult`: bins, p-values, limits and what lies around them.

`analyze` does everything; `evaluate` and `count_distribution` give the statistics of one aggregate bin alone. `projection`
finds which bins fall into which column around an aggregate.
"""

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
    "Timed",
    "analyze",
    "count_distribution",
    "evaluate",
    "likelihood_workspace",
]
