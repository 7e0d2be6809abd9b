"""One-bin statistics: arrays in, arrays out.

Every p-value has a name, no result says just "p":

* `tail`, `midp` (`superbin.stats.pvalue`): exact prior-predictive p-values by quadrature;
* `throw` (`superbin.stats.toys`): the same two by pseudo-experiments, with errors;
* `throw_weighted` (`superbin.stats.weighted`): the same by importance sampling, for beyond 4 sigma;
* `p0`, `expected_p0` (`superbin.stats.discovery`): the profile likelihood's in the LHC's ensemble, exact;
* `throw_q0` (`superbin.stats.frequentist`): p0 by toys, both the count and the auxiliary measurement fluctuate;
* `expected` (`superbin.stats.expectation`): p-values that a signal would give, pre-fit;
* `counts` (`superbin.stats.counts`): the exact distribution of the count under signal plus background;
* `limits` (`superbin.stats.limits`): upper limits on the signal, exact CLs, Bayesian and asymptotic;
* `asymptotic_z`, `asimov_z` (`superbin.stats.asymptotic`): the profile-likelihood ratio q0.
"""

from superbin.stats import counts, limits
from superbin.stats.arguments import as_count
from superbin.stats.asymptotic import asimov_z, asymptotic_z, fit_nuisance, pull, q0
from superbin.stats.discovery import ExpectedP0, expected_p0, p0
from superbin.stats.expectation import Expected, expected
from superbin.stats.frequentist import Q0Toys, throw_q0
from superbin.stats.pvalue import (
    Probability,
    log_midp,
    log_tail,
    midp,
    midp_significance,
    significance,
    significance_from_log,
    tail,
    tail_and_midp,
    tail_significance,
)
from superbin.stats.toys import Toys, merge, throw, throw_chunk
from superbin.stats.weighted import WeightedToys, throw_weighted

__all__ = [
    "Expected",
    "ExpectedP0",
    "Probability",
    "Q0Toys",
    "Toys",
    "WeightedToys",
    "as_count",
    "asimov_z",
    "asymptotic_z",
    "counts",
    "expected",
    "expected_p0",
    "fit_nuisance",
    "limits",
    "log_midp",
    "log_tail",
    "merge",
    "midp",
    "midp_significance",
    "p0",
    "pull",
    "q0",
    "significance",
    "significance_from_log",
    "tail",
    "tail_and_midp",
    "tail_significance",
    "throw",
    "throw_chunk",
    "throw_q0",
    "throw_weighted",
]
