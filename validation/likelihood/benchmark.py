"""Time superbin against pyhf on the same likelihoods, in one run on one core.

    OMP_NUM_THREADS=1 python validation/likelihood/benchmark.py [--full]

Sub-models of 20 and 60 channels are built in both, evaluated and fitted; results and times are printed and written to
``benchmark.json``. With --full pyhf also builds all 520 channels and evaluates its log-probability (a minute and more
than a gigabyte); it does not finish a fit of that in any reasonable time.
"""

import argparse
import json
import resource
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.files import write_text
from superbin.catalog import open_catalog
from superbin.likelihood import Fitter, evaluate
from superbin.likelihood.export import full_workspace
from superbin.likelihood.model import CountingModel

HERE = Path(__file__).parent


def best(call: Callable[[], object], rounds: int) -> float:
    """Shortest wall time of several calls, in seconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def channels(model: CountingModel, n_bins: int) -> CountingModel:
    """The signal regions with most signal, with all their control regions, as separate channels."""
    signal = np.zeros(160)
    np.add.at(
        signal,
        model.term_bin[model.signal & (model.term_bin >= 0)],
        model.rates[model.signal & (model.term_bin >= 0)],
    )
    chosen: list[int] = []
    names = {name: i for i, name in enumerate(model.channels)}
    for b in np.argsort(-signal)[:n_bins].tolist():
        photon = b // 40 * 10 + b % 10
        wanted = (f"Binsignal{b}", f"BinSLControl{b}", f"BinLowdphi{b}", f"Binsphoton{photon}")
        chosen += [names[name] for name in wanted if name in names]
    return model.restricted(sorted(set(chosen)))


def with_pyhf(model: CountingModel, *, fit: bool) -> dict[str, Any]:
    """Build, evaluate and, if asked, fit in pyhf with its default optimiser."""
    import pyhf

    pyhf.set_backend("numpy", custom_optimizer="scipy")
    began = time.perf_counter()
    workspace = pyhf.Workspace(full_workspace(model))
    made = workspace.model()
    data = workspace.data(made)
    found: dict[str, Any] = {"build_s": time.perf_counter() - began}
    start = made.config.suggested_init()
    found["logpdf_s"] = best(lambda: made.logpdf(start, data), 5)
    # The NumPy backend has no gradient: its optimisers take finite differences, one value per parameter.
    found["gradient_s"] = found["logpdf_s"] * (len(start) + 1)
    if fit:
        began = time.perf_counter()
        try:
            parameters, value = pyhf.infer.mle.fit(data, made, return_fitted_val=True)
            found["mu"] = float(parameters[made.config.poi_index])
            found["twice_nll"] = float(value)
        except pyhf.exceptions.FailedMinimization as error:
            found["failed"] = str(error).splitlines()[0]
        found["fit_s"] = time.perf_counter() - began
    return found


def with_superbin(model: CountingModel) -> dict[str, Any]:
    """The same in superbin."""
    began = time.perf_counter()
    fitter = Fitter(model)
    found: dict[str, Any] = {"build_s": time.perf_counter() - began}
    x = fitter.objective.initial.copy()
    x[0] = 1.0
    found["value_s"] = best(lambda: fitter.objective.nll(x, fitter.observed), 50)
    found["gradient_s"] = best(lambda: fitter.objective.point(x, fitter.observed), 50)
    found["cold_fit_s"] = best(fitter.fit, 3)
    fit = fitter.fit()
    near = fitter.fit(mu=fit.mu + 0.1, start=fit)
    found["warm_fit_s"] = best(lambda: fitter.fit(mu=fit.mu + 0.2, start=near), 5)
    found["everything_s"] = best(lambda: evaluate(fitter), 1)
    found |= {"status": fit.status, "mu": fit.mu, "nll": fit.nll}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with open_catalog("sqlite://") as catalog:
        signal = catalog.signal("cms-pas-sus-16-014", "T1bbbb", (1750, 1))
        published = catalog.published_likelihood("cms-pas-sus-16-014")
    # Code 4 is the interpolation both have; without signal systematics nothing is lost in the export.
    whole = published.model(signal.yields, systematics="global", interpolation="code4")
    results: dict[str, Any] = {}
    combine = published.model(signal.yields)
    results["520 channels, as published"] = {"superbin": with_superbin(combine)}
    results["peak_memory_mb_superbin_520"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for n_bins in (6, 18):
        model = channels(whole, n_bins)
        entry = {
            "parameters": len(model.parameters),
            "superbin": with_superbin(model),
            "pyhf": with_pyhf(model, fit=True),
        }
        results[f"{len(model.channels)} channels, code 4"] = entry
        print(json.dumps(entry, indent=1), flush=True)
    if options.full:
        entry = {"superbin": with_superbin(whole), "pyhf": with_pyhf(whole, fit=False)}
        results["520 channels, code 4"] = entry
    write_text(HERE / "benchmark.json", json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
