"""Public HistFactory workspaces: superbin and pyhf side by side, values and CPU times.

    python validation/likelihood/workspaces.py FOLDER [--only ID ...] [--no-pyhf] [--output FOLDER]

FOLDER holds a folder per workspace (``workspace.json``, perhaps ``patch.json``) and ``reference.json`` with pyhf's -2 log L at random points, the lowest
minima known, limits, CLs and q0 (ENG-18). Without it nothing is done. Written are ``workspaces.json`` and ``workspaces.md``. Times are CPU times of
one process, both sides in the same run; a fit is one minimisation from pyhf's own start, the limit includes all starts, the fits of mu and at mu = 0,
and five expected limits.
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from superbin._support.files import write_text
from superbin.likelihood import Likelihood, read
from superbin.likelihood.dense.newton import minimize

T = TypeVar("T")
Row = dict[str, Any]

SLOW = 120.0
"""Seconds of pyhf's fit in the reference beyond which it is not repeated here."""


def timed(action: Callable[[], T], repetitions: int = 1) -> tuple[T, float]:
    """The result and the least CPU time of some repetitions."""
    best = math.inf
    for _ in range(repetitions):
        began = time.process_time()
        result = action()
        best = min(best, time.process_time() - began)
    return result, best


def load(folder: Path, **settings: Any) -> Likelihood:
    patch = folder / "patch.json"
    likelihood = read(folder / "workspace.json", patch=patch if patch.exists() else None, **settings)
    assert isinstance(likelihood, Likelihood)  # none of them is a large counting model
    return likelihood


def nll_difference(folder: Path, entry: Row) -> float:
    """Largest relative difference of 2 NLL to pyhf's at the points of the reference, both interpolations."""
    worst = 0.0
    for factors, morphs, key in (("code4", "code4p", "code4"), ("code1", "code0", "code1")):
        likelihood = load(folder, factors=factors, morphs=morphs)
        order = [entry["parameter_names"].index(name) for name in likelihood.parameters]
        for point in entry["points"]:
            ours = 2 * likelihood.nll(np.array(point["parameters"])[order])
            worst = max(worst, abs(ours / point[f"twice_nll_{key}"] - 1))
    return worst


def fit_once(likelihood: Likelihood) -> float:
    """2 NLL of one minimisation from the initial values."""
    o = likelihood.objective
    minimum = minimize(o, o.observed, o.initial, fixed=o.fixed, lower=o.lower, upper=o.upper)
    return 2 * (minimum.height + o.constant(o.observed)) if minimum.status == "converged" else math.nan


def ours(folder: Path, entry: Row) -> Row:
    likelihood, reading = timed(lambda: load(folder))
    _, compiling = timed(lambda: likelihood.objective)
    single, fitting = timed(lambda: fit_once(likelihood), 5)
    limit, limiting = timed(likelihood.limit)
    free, background = likelihood.fit(), likelihood.significance()
    cls = likelihood.cls(1.0)
    known = {key: entry.get(key) for key in ("free", "mu0", "mu1")}
    found = {"free": free, "mu0": likelihood.fit(mu=0.0), "mu1": likelihood.fit(mu=1.0)}
    above = {
        key: 2 * found[key].nll - minimum["twice_nll"]
        for key, minimum in known.items()
        if minimum is not None and minimum.get("twice_nll") is not None
    }
    # What the fit at mu = 0 of a limit ended in, which starts from the fit of mu as well.
    if "mu0" in above and limit.asimov is not None:
        above["mu0"] = 2 * limit.asimov.nll - entry["mu0"]["twice_nll"]
    bounds = {"obs": limit.observed, **{f"exp{n:+d}" if n else "exp0": limit.bands[n] for n in limit.bands}}
    reference = entry.get("upper_limit_95") or {}
    limits = [abs(bounds[k] / v - 1) for k, v in reference.items() if k in bounds and v and bounds[k]]
    expected = entry.get("CLs_mu1_exp")
    cls_values = [abs(a / b - 1) for a, b in zip(cls.expected, expected or [], strict=False) if b > 1e-12]
    if entry.get("CLs_mu1_obs") and cls.cls is not None and entry["CLs_mu1_obs"] > 1e-12:
        cls_values.append(abs(cls.cls / entry["CLs_mu1_obs"] - 1))
    q0 = None
    if entry.get("q0") is not None and background.q0 is not None:
        q0 = abs(background.q0 - entry["q0"]) / max(1.0, entry["q0"])
    return {
        "read_s": reading,
        "compile_s": compiling,
        "fit_s": fitting,
        "fit_twice_nll": single,
        "limit_s": limiting,
        "nll_difference": nll_difference(folder, entry),
        "above_reference": above,
        "minima": {key: len(fit.minima) for key, fit in found.items()},
        "mu": free.mu,
        "limit": bounds,
        "limit_status": limit.status,
        "limit_difference": max(limits, default=None),
        "limits_without_reference": [
            k for k, v in bounds.items() if reference.get(k) is None and v is not None
        ],
        "cls_difference": max(cls_values, default=None),
        "q0": background.q0,
        "q0_difference": q0,
        "doubts": list(limit.doubts),
    }


def pyhfs(folder: Path, entry: Row) -> Row:
    """What pyhf's default fit costs and finds."""
    import jsonpatch
    import pyhf

    fits = entry.get("pyhf_fits", {}).get("scipy", {}).get("free", {})
    if fits.get("seconds", 0.0) > SLOW:
        return {"fit_s": None, "reason": f"took {fits['seconds']:.0f} s in the reference, not repeated"}
    document = json.loads((folder / "workspace.json").read_text("utf-8"))
    patch = folder / "patch.json"
    if patch.exists():
        document = jsonpatch.apply_patch(document, json.loads(patch.read_text("utf-8")))
    pyhf.set_backend("numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        space = pyhf.Workspace(document, validate=False)
        model, building = timed(space.model)
        data = space.data(model)
        try:
            (_, value), fitting = timed(lambda: pyhf.infer.mle.fit(data, model, return_fitted_val=True))
        except pyhf.exceptions.FailedMinimization as failure:
            return {"build_s": building, "fit_s": None, "reason": f"failed: {failure}".splitlines()[0]}
    return {"build_s": building, "fit_s": fitting, "fit_twice_nll": float(value)}


def number(value: float | None, form: str = ".4g") -> str:
    return "-" if value is None else format(value, form)


def table(rows: dict[str, Row]) -> str:
    lines = [
        "| workspace | parameters | 2 NLL, relative | above lowest known: free, mu = 0, mu = 1 | minima | limit obs / exp | limits | CLs(1) | q0 | fit, pyhf, s | fit, superbin, s | ratio | limit, superbin, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        mine, theirs = row["superbin"], row.get("pyhf", {})
        above = ", ".join(number(mine["above_reference"].get(k), ".0e") for k in ("free", "mu0", "mu1"))
        ratio = theirs["fit_s"] / mine["fit_s"] if theirs.get("fit_s") else None
        lines.append(
            f"| {name} | {row['parameters']} | {mine['nll_difference']:.0e} | {above} | {', '.join(map(str, mine['minima'].values()))} | "
            f"{number(mine['limit']['obs'])} / {number(mine['limit']['exp0'])} | {number(mine['limit_difference'], '.0e')} | {number(mine['cls_difference'], '.0e')} | "
            f"{number(mine['q0_difference'], '.0e')} | {number(theirs.get('fit_s'), '.3g')} | {mine['fit_s']:.2g} | {number(ratio, '.3g')} | {mine['limit_s']:.2g} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--no-pyhf", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    reference = options.folder / "reference.json"
    if not reference.exists():
        print(
            f"skipped: {reference} does not exist; give the folder with the public workspaces and their reference values"
        )
        return
    entries = json.loads(reference.read_text("utf-8"))["workspaces"]
    rows: dict[str, Row] = {}
    for name, entry in entries.items():
        if options.only and name not in options.only:
            continue
        folder = options.folder / name
        row: Row = {"parameters": entry["parameters"], "superbin": ours(folder, entry)}
        if not options.no_pyhf:
            row["pyhf"] = pyhfs(folder, entry)
            value = row["pyhf"].get("fit_twice_nll")
            row["pyhf"]["above_superbin"] = (
                None if value is None else value - row["superbin"]["fit_twice_nll"]
            )
        rows[name] = row
        print(table({name: row}).splitlines()[-1], flush=True)
    write_text(options.output / "workspaces.json", json.dumps(rows, indent=1) + "\n")
    write_text(
        options.output / "workspaces.md",
        "# Public HistFactory workspaces\n\nMade by `workspaces.py`, which says what the columns are; differences are relative, to the reference values, times are CPU time.\n\n"
        + table(rows) + "\n",
    )  # fmt: skip


if __name__ == "__main__":
    main()
