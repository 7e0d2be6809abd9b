"""Choosing the bins to merge: figures of merit, searches for the best set, and its text as cuts.

Start with `optimize`. `greedy` is the original tool's method, the baseline; `candidates` lists the best sets
the search visited; `cuts` writes any set as selections. The ideas are in ``README.md`` beside this file,
the proofs in ``docs/explanation/merging.md``.
"""

from superbin.merge.archive import Candidate
from superbin.merge.cuts import cuts
from superbin.merge.figures import FIGURES
from superbin.merge.greedy import greedy
from superbin.merge.solve import candidates, optimize

__all__ = ["FIGURES", "Candidate", "candidates", "cuts", "greedy", "optimize"]
