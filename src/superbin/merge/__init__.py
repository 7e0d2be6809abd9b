"""Choosing the bins to merge: figures of merit, searches for the best set, and its text as cuts.

Start with `optimize`. `greedy` is the original tool's method, the baseline; `candidates` lists the best sets
the search visited; `trade_offs` compares shapes and `front` sizes; `cuts` writes any set as selections. The
ideas are in ``README.md`` beside this file, the proofs in ``docs/explanation/merging.md``.
"""

from superbin.merge.archive import Candidate
from superbin.merge.branch import Limits
from superbin.merge.constraints import Constraints
from superbin.merge.cuts import cuts
from superbin.merge.figures import FIGURES
from superbin.merge.greedy import greedy
from superbin.merge.solve import SHAPES, TradeOff, candidates, front, optimize, trade_offs

__all__ = [
    "FIGURES",
    "SHAPES",
    "Candidate",
    "Constraints",
    "Limits",
    "TradeOff",
    "candidates",
    "cuts",
    "front",
    "greedy",
    "optimize",
    "trade_offs",
]
