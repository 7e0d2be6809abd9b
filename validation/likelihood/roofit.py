"""RooFit's opinion on the likelihood: build it from ROOT's own classes and compare values and one fit.

    python validation/likelihood/roofit.py prepare models.json      (with superbin)
    python validation/likelihood/roofit.py compare models.json roofit.json   (with ROOT, which superbin does not need)

ROOT comes as the wheel ``root`` from the package index, into an environment of its own. The second step imports nothing
of superbin: Poisson terms are RooPoisson, constraints RooGaussian, factors RooFit's FlexibleInterpVar (code 4) or,
for Combine's interpolation, a formula written out; so it checks likelihood, interpolation and fit. The recorded output
is ``roofit.json`` beside this script.
"""

import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

BINS = (29, 30, 69, 70)


def prepare(path: Path) -> None:
    """Write models as plain numbers, with points and our likelihood there."""
    import numpy as np

    from superbin.catalog import open_catalog
    from superbin.likelihood import Fitter

    with open_catalog("sqlite://") as catalog:
        signal = catalog.signal("cms-pas-sus-16-014", "T1bbbb", (1750, 1))
        published = catalog.published_likelihood("cms-pas-sus-16-014")
    documents = []
    for name, interpolation, merged in (
        ("all 520 channels, code 4", "code4", False),
        ("all 520 channels, Combine", "combine", False),
        ("four bins merged, Combine", "combine", True),
    ):
        model = published.model(signal.yields, interpolation=interpolation)  # type: ignore[arg-type]
        model = model.merged(BINS) if merged else model
        fitter = Fitter(model)
        objective, fit = fitter.objective, fitter.fit()
        rng = np.random.default_rng(1)
        points = [fit.x]
        for size in (0.3, 1.0):
            moved = fit.x + size * rng.standard_normal(fit.x.size) * objective.constrained
            points.append(np.clip(moved, objective.lower, objective.upper))
        documents.append(
            {
                "name": name,
                "interpolation": interpolation,
                "fit": merged,
                "observed": model.observed.tolist(),
                "term_channel": model.term_channel.tolist(),
                "rates": model.rates.tolist(),
                "signal": model.signal.tolist(),
                "parameters": [[p.name, p.kind, p.lower, p.upper] for p in model.parameters],
                "entries": [
                    [int(t), int(j), float(low), float(high)]
                    for t, j, low, high in zip(
                        model.entry_term, model.entry_parameter, model.log_down, model.log_up, strict=True
                    )
                ],
                "points": [x.tolist() for x in points],
                "nll": [objective.nll(x, fitter.observed) for x in points],
                "minimum": {"nll": fit.nll, "mu": fit.mu, "mu_err": fit.mu_error},
            }
        )
    path.write_text(json.dumps(documents))


class Built:
    """One model made of RooFit objects, which are kept alive here."""

    def __init__(self, root: Any, document: dict[str, Any]) -> None:
        self.root, self.document = root, document
        self.kept: list[Any] = []
        self.mu = self._keep(root.RooRealVar("mu", "mu", 0.5, 0, 20))
        self.x = []
        for name, kind, low, high in document["parameters"]:
            # RooFit's ranges must be finite, and these are never reached.
            ends = (-8.0, 8.0) if kind == "normal" else (low, high)
            self.x.append(self._keep(root.RooRealVar(name, name, 1.0 if kind == "free" else 0.0, *ends)))
        self.pdfs = [*self._channels(), *self._constraints()]

    def _keep(self, thing: Any) -> Any:
        self.kept.append(thing)
        return thing

    def _factor(self, t: int, entries: list[Any]) -> Any:
        """All log-normal factors of one term."""
        root, names = self.root, f"f{t}"
        chosen = [e for e in entries if self.document["parameters"][e[1]][1] != "free"]
        if not chosen:
            return None
        variables = root.RooArgList(*[self.x[j] for _, j, _, _ in chosen])
        if self.document["interpolation"] == "code4":
            low = root.std.vector["double"]([math.exp(v) for *_, v, _ in chosen])
            high = root.std.vector["double"]([math.exp(v) for *_, v in chosen])
            codes = root.std.vector["int"]([4] * len(chosen))
            kind = root.RooStats.HistFactory.FlexibleInterpVar
            return self._keep(kind(names, names, variables, 1.0, low, high, codes))
        text = "+".join(self._combine(i, low, high) for i, (_, _, low, high) in enumerate(chosen))
        return self._keep(root.RooFormulaVar(names, names, f"exp({text})", variables))

    @staticmethod
    def _combine(i: int, low: float, high: float) -> str:
        if abs(math.exp(low + high) - 1) < 1e-5:
            return f"({high!r}*x[{i}])"
        odd, even, t = 0.5 * (high - low), 0.5 * (high + low), f"(2*x[{i}])"
        inside = f"({t}*(3*pow({t},4)-10*pow({t},2)+15)/8)"
        return f"(x[{i}]*({odd!r}+({even!r})*(x[{i}]>=0.5?1:(x[{i}]<=-0.5?-1:{inside}))))"

    def _channels(self) -> list[Any]:
        root, document = self.root, self.document
        by_term: dict[int, list[Any]] = {}
        for entry in document["entries"]:
            by_term.setdefault(entry[0], []).append(entry)
        sums: list[Any] = [root.RooArgList() for _ in document["observed"]]
        for t, c in enumerate(document["term_channel"]):
            factors = root.RooArgList(root.RooFit.RooConst(document["rates"][t]))
            if document["signal"][t]:
                factors.add(self.mu)
            for _, j, _, _ in by_term.get(t, []):
                if document["parameters"][j][1] == "free":
                    factors.add(self.x[j])
            factor = self._factor(t, by_term.get(t, []))
            if factor is not None:
                factors.add(factor)
            sums[c].add(self._keep(root.RooProduct(f"t{t}", f"t{t}", factors)))
        pdfs = []
        self.observed = []
        for c, n in enumerate(document["observed"]):
            total = self._keep(root.RooAddition(f"l{c}", f"l{c}", sums[c]))
            count = self._keep(root.RooRealVar(f"n{c}", f"n{c}", n, 0, 1e6))
            self.observed.append(count)
            pdfs.append(self._keep(root.RooPoisson(f"p{c}", f"p{c}", count, total)))
        return pdfs

    def _constraints(self) -> list[Any]:
        root = self.root
        pdfs = []
        for x, (name, kind, _, _) in zip(self.x, self.document["parameters"], strict=True):
            if kind == "normal":
                zero, one = root.RooFit.RooConst(0), root.RooFit.RooConst(1)
                pdfs.append(self._keep(root.RooGaussian(f"g_{name}", name, x, zero, one)))
        return pdfs

    def set(self, point: list[float]) -> None:
        """Move all parameters."""
        self.mu.setVal(point[0])
        for x, value in zip(self.x, point[1:], strict=True):
            x.setVal(value)

    def nll(self) -> float:
        """-ln of all terms, without what does not depend on the model."""
        total = 0.0
        for pdf, n in zip(self.pdfs, self.document["observed"], strict=False):
            saturated = n * math.log(n) - n - math.lgamma(n + 1) if n > 0 else 0.0
            total += saturated - math.log(pdf.getVal())
        # Without observables a RooGaussian is not normalised, so its value at zero is one.
        return total - sum(math.log(pdf.getVal()) for pdf in self.pdfs[len(self.document["observed"]) :])

    def fit(self) -> dict[str, float]:
        """Minimise with Minuit 2 through RooFit's own minimiser."""
        root = self.root
        logs = root.RooArgList()
        for i, (pdf, n) in enumerate(zip(self.pdfs, self.document["observed"], strict=False)):
            saturated = n * math.log(n) - n - math.lgamma(n + 1) if n > 0 else 0.0
            logs.add(
                self._keep(root.RooFormulaVar(f"log{i}", f"{saturated!r}-log(x[0])", root.RooArgList(pdf)))
            )
        for i, pdf in enumerate(self.pdfs[len(self.document["observed"]) :]):
            logs.add(self._keep(root.RooFormulaVar(f"logg{i}", "-log(x[0])", root.RooArgList(pdf))))
        total = self._keep(root.RooAddition("nll", "nll", logs))
        for count in self.observed:
            count.setConstant(True)
        minimizer = root.RooMinimizer(total)
        minimizer.setPrintLevel(-1)
        minimizer.setErrorLevel(0.5)
        minimizer.setStrategy(2)
        status = minimizer.minimize("Minuit2", "migrad")
        return {"status": int(status), "nll": float(total.getVal()), "mu": float(self.mu.getVal())}


def compare(path: Path, output: Path) -> None:
    """Evaluate and fit in RooFit, and write both sides."""
    root: Any = importlib.import_module("ROOT")

    root.RooMsgService.instance().setGlobalKillBelow(root.RooFit.ERROR)
    results = []
    for document in json.loads(path.read_text()):
        built = Built(root, document)
        values = []
        for point, ours in zip(document["points"], document["nll"], strict=True):
            built.set(point)
            theirs = built.nll()
            values.append({"superbin": ours, "roofit": theirs, "difference": theirs - ours})
        result: dict[str, Any] = {"model": document["name"], "nll": values}
        if document["fit"]:
            built.set([0.5, *(1.0 if p[1] == "free" else 0.0 for p in document["parameters"])])
            result["fit"] = {"superbin": document["minimum"], "roofit": built.fit()}
        results.append(result)
        print(json.dumps(result, indent=1))
    output.write_text(json.dumps({"root": str(root.gROOT.GetVersion()), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]))
    else:
        compare(Path(sys.argv[2]), Path(sys.argv[3]))
