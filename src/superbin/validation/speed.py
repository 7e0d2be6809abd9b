"""How long superbin and alternatives take for the same number, in one run on one core."""

import time
from collections.abc import Callable, Iterator

from superbin import stats, workspace
from superbin.catalog import Catalog
from superbin.domain.aggregate import combine
from superbin.results.validation import Comparison
from superbin.validation.check import SEARCH, Check

__all__ = ["CHECK"]

_NAME = "speed"


def _best(function: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def _run(catalog: Catalog, quick: bool) -> Iterator[Comparison]:
    search = catalog.search(SEARCH)
    signal = catalog.signal(search, "T1bbbb", (1750, 1))
    document = workspace.build(combine(search, signal, bins=[29, 30, 69, 70]))
    toys = 100_000 if quick else 1_000_000
    pairs: tuple[tuple[str, Callable[[], object], str, Callable[[], object]], ...] = (
        (
            "exact mid-p",
            lambda: stats.midp(40, 25, 5, 5),
            f"{toys} toys of superbin",
            lambda: stats.throw(40, 25, 5, 5, toys=toys, seed=1),
        ),
        (
            "exact p0",
            lambda: stats.p0(40, 25, 5, 5),
            "pyhf, asymptotic",
            lambda: workspace.asymptotic_q0(document),
        ),
        (
            "exact CLs limit with bands",
            lambda: (stats.limits.cls_limit(40, 25, 5, 5), stats.limits.expected_limits("cls", 25, 5, 5)),
            "pyhf, asymptotic, with bands",
            lambda: workspace.asymptotic_limit(document),
        ),
    )
    for ours, mine, theirs, other in pairs:
        fast, slow = _best(mine), _best(other)
        yield Comparison(
            _NAME,
            ours,
            theirs,
            "",
            f"{1e3 * fast:.3g} ms against {1e3 * slow:.3g} ms, ratio {slow / fast:.3g}",
            None,
        )


CHECK = Check(_NAME, "Speed", _run)
