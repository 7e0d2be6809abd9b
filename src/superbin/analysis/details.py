"""What a paper tells beside the answer: simpler regions, sources of uncertainty, versions of packages."""

import math
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np

from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.merge import Limits, TradeOff, trade_offs
from superbin.results import Alternative, UncertaintySource

if TYPE_CHECKING:
    from superbin.likelihood import PublishedLikelihood
    from superbin.likelihood.imported import ImportedLikelihood

__all__ = ["package_versions", "simpler_regions", "uncertainty_sources"]

_SIZES = (1, 2, 3, 5)
_PACKAGES = ("superbin", "numpy", "scipy", "iminuit", "pyhf", "matplotlib")


def simpler_regions(
    search: Search, signal: SignalModel, *, figure_of_merit: str, covariance: Covariance | None
) -> tuple[Alternative, ...]:
    """The best region of one rectangle, and the best of few bins, chosen for the same purpose.

    Parameters
    ----------
    search, signal, figure_of_merit, covariance
        As in `superbin.merge.optimize`.
    """
    with_signal = int((signal.yields > 0).sum())
    found: list[TradeOff] = []
    sizes = [k for k in _SIZES if k <= with_signal]
    for k in [0, *sizes] if search.observables else sizes:
        # Regions that overlap may leave no set of that size.
        with suppress(InputError):
            found += trade_offs(
                search,
                signal,
                shapes=() if k else ("rectangle",),
                sizes=(k,) if k else (),
                figure_of_merit=figure_of_merit,
                covariance=covariance,
                limits=Limits(exact_seconds=0.0),
            )
    return tuple(
        Alternative(
            one.name,
            one.merge.bins,
            len(one.merge.cuts),
            one.aggregate.signal,
            one.aggregate.background.nominal,
            one.aggregate.background.up,
            one.aggregate.background.down,
            one.z if math.isfinite(one.z) else None,
            one.limit if math.isfinite(one.limit) else None,
        )
        for one in found
    )


def uncertainty_sources(
    likelihood: "PublishedLikelihood | ImportedLikelihood", bins: Iterable[int]
) -> tuple[UncertaintySource, ...]:
    """What each nuisance parameter of a likelihood does to the background of an aggregate region, the largest first."""
    from superbin.likelihood.imported import ImportedLikelihood
    from superbin.likelihood.variations import variations

    if isinstance(likelihood, ImportedLikelihood):
        chosen = np.array(list(bins)) - 1
        shifts = (
            (name, float(up[chosen].sum()), float(down[chosen].sum())) for name, up, down in likelihood.shifts
        )
        found = [UncertaintySource(*shift) for shift in shifts if any(shift[1:])]
        return tuple(sorted(found, key=lambda one: -max(abs(one.up), abs(one.down))))
    return tuple(UncertaintySource(*shift) for shift in variations(likelihood).shifts(bins))


def package_versions() -> dict[str, str]:
    """Versions of superbin and of the packages that its numbers depend on."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
