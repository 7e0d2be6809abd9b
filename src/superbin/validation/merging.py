"""Merges against brute force, the greedy search of the CMS Mini Analysis Tool, and their own certificates."""

import itertools
from collections.abc import Iterator

import numpy as np

from superbin import merge
from superbin.catalog import Catalog
from superbin.domain.correlations import covariances
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.merge.branch import Limits
from superbin.results.validation import Comparison, Ratios
from superbin.stats import midp_significance
from superbin.validation.check import SEARCH, Check

__all__ = ["CHECK"]

_NAME = "merges"
_BINS = 10
_POINTS = {
    "T1bbbb": ((1750, 1), (1500, 800), (1000, 600)),
    "T1qqqq": ((1500, 700), (1200, 900)),
    "T1tttt": ((1500, 100),),
    "T2bb": ((900, 1),),
}


def _run(catalog: Catalog, quick: bool) -> Iterator[Comparison]:
    yield _brute_force(10 if quick else 60)
    search = catalog.search(SEARCH)
    covariance = covariances(search, "likelihood")[0]
    names, gains, gaps, statuses = [], [], [], []
    for model, points in _POINTS.items():
        for masses in points[:1] if quick else points:
            signal = catalog.signal(search, model, masses)
            found = merge.optimize(
                search, signal, covariance=covariance, limits=Limits(exact_seconds=1 if quick else 10)
            )
            names.append(f"{model}\n{masses[0]:g}\n{masses[1]:g}")
            gains.append(found.value / found.greedy.value)
            gaps.append(found.gap)
            statuses.append(found.status)
    drawn = Ratios("signal", tuple(names), tuple(gains), 1.0, max(gains) + 0.01)
    yield Comparison(
        _NAME,
        "figure of merit of the free merge",
        "greedy search (CMS Mini Analysis Tool)",
        "never below",
        f"{len(gains)} signals, ratio {min(gains):.3f} to {max(gains):.3f}",
        min(gains) >= 1,
        drawn,
    )
    proved = [gap for gap in gaps if gap is not None]
    largest = (
        f"proved within {np.median(proved):.2%} (median), {max(proved):.2%} (largest)"
        if proved
        else "nothing proved"
    )
    yield Comparison(
        _NAME,
        "distance to the best possible merge, correlations of the likelihood",
        "its own certificate",
        "",
        f"{len(proved)} of {len(gaps)} signals, {largest}",
        None,
    )


def _brute_force(problems: int) -> Comparison:
    """All sets of bins of small random searches, each by its exact significance."""
    random = np.random.default_rng(20161)
    worst = 0.0
    for _ in range(problems):
        background = random.uniform(0.1, 30, _BINS)
        error = background * random.uniform(0.05, 0.8, _BINS)
        search = Search.from_arrays(
            "random", observed=np.zeros(_BINS, int), background=background, error=error, luminosity_fb=1
        )
        yields = random.exponential(2.0, _BINS)
        signal = SignalModel("random", {}, search.name, yields, np.zeros(_BINS))
        found = merge.optimize(search, signal)
        sets = np.array(list(itertools.product((0.0, 1.0), repeat=_BINS)))[1:]
        s, b, v = sets @ yields, sets @ background, np.sqrt(sets @ error**2)
        best = float(np.max(midp_significance(s + b, b, v, np.minimum(v, b))))
        if best >= 1:
            mine = [i - 1 for i in found.bins]
            spread = float(np.sqrt((error[mine] ** 2).sum()))
            nominal = float(background[mine].sum())
            reached = float(
                midp_significance(yields[mine].sum() + nominal, nominal, spread, min(spread, nominal))
            )
            worst = max(worst, 1 - reached / best)
    return Comparison(
        _NAME,
        f"exact significance of merges of {problems} random searches of {_BINS} bins",
        "brute force over all sets of bins",
        "lower by at most 0.1 %",
        f"largest loss {worst:.4%}",
        worst <= 1e-3,
    )


CHECK = Check(_NAME, "Merges", _run)
