"""The likelihood engine against Combine, RooFit and pyhf."""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

from superbin import workspace
from superbin.catalog import Catalog
from superbin.domain.aggregate import combine
from superbin.likelihood import Fitter, Likelihood, read
from superbin.results.validation import Comparison
from superbin.validation.check import SEARCH, Check, ratio_comparison

__all__ = ["CHECK"]

_NAME = "likelihood"

_CARD = """imax 1
jmax 3
kmax *
bin a
observation 0
bin a a a a
process ggH qqWW ggWW others
process 0 1 2 3
rate 1.47 0.64 0.06 0.22
lumi lnN 1.11 - 1.11 -
xs_ggH lnN 1.16 - - -
WW_norm gmN 4 - 0.16 - -
xs_ggWW lnN - - 1.50 -
bg_others lnN - - - 1.30
"""
"""The counting experiment that the manual of CMS Combine explains first: the same numbers in a card of our own."""

_COMBINE = {-1.959964: 0.9640, -0.994458: 1.4329, 0.0: 2.3281, 0.994458: 3.9800, 1.959964: 6.6194}
_COMBINE_OBSERVED = 1.6281
"""What Combine's manual prints for it, with the deviations that its quantiles 0.025, 0.16, 0.5, 0.84, 0.975 are."""

_ROOFIT = {"code4": 85.9832661921351, "combine": 85.95942570937416}
"""Minimum of the negative logarithm of the likelihood of 520 channels with T1bbbb(1750, 1), by RooFit 6.40 (validation/likelihood/roofit.py)."""


def _run(catalog: Catalog, quick: bool) -> Iterator[Comparison]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "card.txt"
        path.write_text(_CARD, encoding="utf-8")
        engine = read(path)
        assert isinstance(engine, Likelihood)  # a counting card
        limit = engine.limit(deviations=tuple(_COMBINE))
    names = ["observed", *(f"{d:+.0f} sigma" if d else "median" for d in _COMBINE)]
    found = [limit.observed, *(limit.bands[d] for d in _COMBINE)]
    ratios = [
        math.nan if ours is None else ours / theirs
        for ours, theirs in zip(found, (_COMBINE_OBSERVED, *_COMBINE.values()), strict=True)
    ]
    yield ratio_comparison(
        _NAME,
        "limit and bands of a datacard",
        "the manual of CMS Combine",
        "limit",
        names,
        ratios,
        low=0.994,
        high=1.006,
    )
    yield from _roofit(catalog, quick)
    yield from _pyhf(catalog)


def _roofit(catalog: Catalog, quick: bool) -> Iterator[Comparison]:
    signal = catalog.signal(SEARCH, "T1bbbb", (1750, 1))
    published = catalog.published_likelihood(SEARCH)
    for interpolation, theirs in list(_ROOFIT.items())[1 if quick else 0 :]:
        model = published.model(signal.yields, interpolation=interpolation)  # type: ignore[arg-type]
        ours = Fitter(model).fit().nll
        yield Comparison(
            _NAME,
            f"minimum over 520 channels, interpolation {interpolation}",
            "RooFit 6.40 at the same point",
            "within 1e-6",
            f"{ours:.8f}, difference {ours - theirs:+.1e}",
            abs(ours - theirs) < 1e-6,
        )


def _pyhf(catalog: Catalog) -> Iterator[Comparison]:
    search = catalog.search(SEARCH)
    signal = catalog.signal(SEARCH, "T1bbbb", (1750, 1))
    document = workspace.build(combine(search, signal, bins=[29, 30, 69, 70]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "workspace.json"
        path.write_text(workspace.to_json(document), encoding="utf-8")
        ours = read(path).limit()
    theirs = workspace.asymptotic_limit(document)
    values = [ours.observed, *(ours.bands[d] for d in (-2.0, -1.0, 0.0, 1.0, 2.0))]
    ratios = [
        math.nan if mine is None else mine / other
        for mine, other in zip(values, (theirs.observed, *theirs.expected), strict=True)
    ]
    names = ["observed", "-2 sigma", "-1 sigma", "median", "+1 sigma", "+2 sigma"]
    yield ratio_comparison(
        _NAME,
        "limit and bands of a workspace",
        "pyhf, run now",
        "limit",
        names,
        ratios,
        low=0.999,
        high=1.001,
    )


CHECK = Check(_NAME, "Likelihoods", _run)
