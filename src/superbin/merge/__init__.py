"""Choosing the bins to merge: figures of merit, searches for the best set, and its text as cuts.

Start with `optimize`. `greedy` is the CMS Mini Analysis Tool's method, the baseline; `candidates` lists the best sets
the search visited; `trade_offs` compares shapes and sizes; `cuts` writes any set as selections.
`fleet` gathers many signals, which `common_merge` and
`merges_for_grid` serve at once; `design_regions` finds a few exclusive regions that are used together, `merged_bundle` makes them a search. The ideas are in ``README.md`` beside this file, the proofs in ``docs/explanation/merging.md``.
"""

from superbin.domain.merits import MERITS
from superbin.merge.aggregates import RegionDesign, design_regions, merged_bundle
from superbin.merge.archive import Candidate
from superbin.merge.branch import Limits
from superbin.merge.constraints import Constraints
from superbin.merge.cuts import cuts
from superbin.merge.fleet import Fleet, fleet
from superbin.merge.greedy import greedy
from superbin.merge.many import CommonMerge, GridMerges, common_merge, merges_for_grid
from superbin.merge.solve import SHAPES, candidates, optimize
from superbin.merge.stability import Stability, stability
from superbin.merge.tradeoffs import TradeOff, trade_offs

__all__ = [
    "MERITS",
    "SHAPES",
    "Candidate",
    "CommonMerge",
    "Constraints",
    "Fleet",
    "GridMerges",
    "Limits",
    "RegionDesign",
    "Stability",
    "TradeOff",
    "candidates",
    "common_merge",
    "cuts",
    "design_regions",
    "fleet",
    "greedy",
    "merged_bundle",
    "merges_for_grid",
    "optimize",
    "stability",
    "trade_offs",
]
