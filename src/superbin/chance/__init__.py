"""How likely it is that background alone makes something stand out: global p-values, by pseudo-experiments.

* `of_rectangles`: the most significant of all aggregates of a search that one set of cuts selects.
* `of_scan`: the most significant point of a scan.
* `of_sets`: of any list of sets of bins.

Each finds the aggregate bin with the largest exact mid-p Z in the data, draws counts of all bins under background alone, and
counts how often the largest Z of the same aggregates is at least as large.

Inside: ``local`` holds significances as smallest counts, ``ensemble`` draws, ``sums`` adds the bins of thousands of aggregates,
``throw`` puts them together. Specified in ``specs/chance.md``.
"""

from superbin.chance.assess import of_rectangles, of_scan, of_sets

__all__ = ["of_rectangles", "of_scan", "of_sets"]
