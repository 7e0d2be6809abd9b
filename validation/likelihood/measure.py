"""Measure the packaged likelihood against figures from outside, and write what REPORT.md quotes.

    python validation/likelihood/measure.py [TOYS]

With TOYS, that many pseudo-experiments per hypothesis test the asymptotic limit (about 0.4 s each). Writes ``measured.json`` and the figures beside this script: regression targets, published limits, the sensitivity one
aggregate bin loses, correlations, and the asymptotic limit against toys. Nothing is tuned to any of it.
"""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.files import write_text
from superbin.catalog import open_catalog
from superbin.domain.aggregate import combine
from superbin.domain.published import PublishedResults
from superbin.likelihood import Fitter, evaluate, predict, variations
from superbin.likelihood.counting import CountingLikelihood
from superbin.likelihood.inference import asimov, expected_discovery
from superbin.likelihood.minuit import minuit_fit
from superbin.likelihood.toys import cls_from_toys
from superbin.merge import optimize

HERE = Path(__file__).parent
SEARCH = "cms-pas-sus-16-014"
MASSES = {"m_mother": 1750.0, "m_lsp": 1.0}
"""Of T1bbbb."""


def targets(published: Any, signal: Any, limits: PublishedResults | None) -> dict[str, Any]:
    """Fits and limits with each treatment of the signal's systematics."""
    limit = None if limits is None else limits.limit(MASSES)
    assert limit is not None
    assert limit.observed_fb is not None
    found = {}
    for systematics in ("published", "global", "none"):
        fitter = Fitter(published.model(signal.yields, systematics=systematics))
        result = evaluate(fitter)
        document = result.document()
        document["limit_fb"] = 1e3 * signal.cross_section_pb * result.limit.observed
        document["expected_limit_fb"] = 1e3 * signal.cross_section_pb * result.limit.expected
        document["relative_to_published"] = document["limit_fb"] / limit.observed_fb - 1
        if systematics == "published":
            x = result.background.x.copy()
            x[1 + fitter.model.position("METResolutionSys")] = -1.0
            lowest = expected_discovery(fitter, asimov(fitter, x, 1.0), start=result.background)
            document["z0_postfit_with_METResolutionSys_at_its_fitted_value"] = lowest.z
        found[systematics] = document
    dropped = evaluate(Fitter(published.model(signal.yields, zero_count="dropped")))
    found["published, zero counts dropped"] = dropped.document()
    return found


def aggregates(published: Any, search: Any, signal: Any) -> dict[str, Any]:
    """Sensitivity of one aggregate bin, as its own likelihood, beside that of all bins."""
    model = published.model(signal.yields)
    moved = variations(published)
    best = optimize(search, signal)
    ratio = signal.yields / np.maximum(moved.nominal, 0.05)
    rows = []
    for name, bins in (
        ("the certified merge of superbin", best.bins),
        ("the ten bins of highest s/b", tuple((np.argsort(-ratio)[:10] + 1).tolist())),
    ):
        result = evaluate(Fitter(model.merged(bins)))
        total, table = moved.total(bins), combine(search, signal, bins).background
        rows.append(
            {
                "name": name,
                "bins": sorted(int(b) for b in bins),
                "nominal": total.nominal,
                "likelihood": [total.up, total.down],
                "quadrature": [table.up, table.down],
                "z0_expected": {"prefit": result.prefit.z, "postfit": result.postfit.z},
                "z0_observed": result.observed.z,
                "limit": {"observed": result.limit.observed, "expected": result.limit.expected},
            }
        )
    return {"aggregates": rows}


def second_engine(published: Any, signal: Any) -> dict[str, Any]:
    """Fit all 520 channels with MIGRAD, from the Newton fit's first point and from its minimum."""
    fitter = Fitter(published.model(signal.yields))
    free = fitter.fit()
    found: dict[str, Any] = {"newton": {"nll": free.nll, "mu": free.mu, "seconds": free.seconds}}
    for name, start in (("from the minimum", free), ("cold", None)):
        began = time.perf_counter()
        theirs = minuit_fit(fitter, start=start, strategy=0)
        found[f"minuit, {name}"] = {
            "status": theirs.status,
            "nll": theirs.nll,
            "mu": theirs.mu,
            "calls": theirs.calls,
            "seconds": time.perf_counter() - began,
        }
    return found


def correlations(published: Any) -> dict[str, Any]:
    """Correlations of the control-region prediction, and what they do to sums."""
    found = predict(published)
    off = ~np.eye(found.expected.size, dtype=bool)
    big = found.expected > 5
    between = found.correlation[np.ix_(big, big)][~np.eye(int(big.sum()), dtype=bool)]
    return {
        "mean": float(found.correlation[off].mean()),
        "mean_above_5_events": float(between.mean()),
        "largest_above_5_events": float(between.max()),
        "all_bins_over_quadrature": math.sqrt(found.covariance.sum() / np.trace(found.covariance)),
    }


def draw(published: Any, search: Any) -> None:
    """Draw the correlation matrix."""
    from superbin.plot import save
    from superbin.plot.correlation import correlation_matrix

    drawn = correlation_matrix(
        predict(published).correlation,
        blocks=(40, 80, 120),
        attribution="Reinterpretation of CMS data",
        luminosity_fb=search.luminosity_fb,
        sqrt_s_tev=search.sqrt_s_tev,
    )
    save(drawn.figure, HERE / "correlation")


def main() -> None:
    with open_catalog("sqlite://") as catalog:
        published, limits = catalog.published_likelihood(SEARCH), catalog.limits(SEARCH, "T1bbbb")
        search, signal = catalog.search(SEARCH), catalog.signal(SEARCH, "T1bbbb", (1750, 1))
    document: dict[str, Any] = {"targets": targets(published, signal, limits)}
    document["correlations"] = correlations(published)
    draw(published, search)
    document |= aggregates(published, search, signal)
    document["second_engine"] = second_engine(published, signal)
    n_toys = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    if n_toys:
        engine = CountingLikelihood(published.model(signal.yields))
        limit = document["targets"]["published"]["limit"]["observed"]
        toys = cls_from_toys(engine, limit, toys=n_toys, seed=1, chunk=20)
        document["toys_at_asymptotic_limit"] = {
            "mu": limit,
            "cls": toys.cls,
            "cls_err": toys.cls_error,
            "toys_per_hypothesis": n_toys,
            "failed": toys.signal.failed + toys.background.failed,
        }
    write_text(HERE / "measured.json", json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
