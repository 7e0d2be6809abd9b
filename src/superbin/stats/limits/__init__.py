"""Upper limits on the signal events of one bin.

Which to use: `cls_limit` is exact CLs with the background averaged over its prior; `bayes_limit` the credible limit of a flat prior
(`superbin.stats.limits.exact`); `lhc_limit` what the experiments quote from toys, with bands by `expected_lhc_limits`
(`superbin.stats.limits.lhc`); `asymptotic_limit` what a fit with asymptotic formulas gives, and what pyhf computes
(`superbin.stats.limits.asymptotic`). `cls`, `lhc_cls` and `asymptotic_cls` are the CLs values whose crossing of ``1 - level`` the limits are.
`expected_limits` gives median and bands under background alone, before any fit to data; `compare_limits` every limit of one bin
side by side (`superbin.stats.limits.compare`).

The signal may have a log-normal uncertainty ``x``: its mean is ``s (1 + x)^y`` with a standard normal y.
"""

from superbin.stats.limits.asymptotic import asymptotic_cls, asymptotic_limit
from superbin.stats.limits.compare import (
    METHODS,
    Bands,
    Comparison,
    Limit,
    compare_limits,
    expected_limits,
)
from superbin.stats.limits.exact import bayes_limit, cls, cls_limit
from superbin.stats.limits.lhc import expected_lhc_limits, lhc_cls, lhc_limit

__all__ = [
    "METHODS",
    "Bands",
    "Comparison",
    "Limit",
    "asymptotic_cls",
    "asymptotic_limit",
    "bayes_limit",
    "cls",
    "cls_limit",
    "compare_limits",
    "expected_lhc_limits",
    "expected_limits",
    "lhc_cls",
    "lhc_limit",
]
