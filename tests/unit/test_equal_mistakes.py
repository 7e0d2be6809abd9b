"""Equal mistakes raise the same class, whatever function of the public face meets them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superbin import (
    Search,
    SignalModel,
    SuperbinError,
    analyze,
    combine,
    export,
    likelihood,
    load_result,
    merge,
    open_catalog,
    plot,
    result_from_json,
    stats,
)
from superbin.catalog import Catalog
from superbin.errors import DocumentError, InputError, OutputError, UnknownNameError
from superbin.io import grids, imports, masses, signals, tables, workspaces
from superbin.scan import point
from superbin.stats import limits

OWN = "cms-pas-sus-16-014"
NAN = float("nan")
NO: Any = "nope"


def make(**changes: Any) -> Search:
    """A search of two bins, with one argument wrong."""
    given: dict[str, Any] = {"observed": [5, 3], "background": [4.0, 2.0], "error": 1.0, "luminosity_fb": 1.0}
    return Search.from_arrays("t", **given | changes)


def signal(yields: Any = (1.0, 1.0)) -> SignalModel:
    return SignalModel("T", {"m_mother": 1.0, "m_lsp": 0.0}, "t", yields, np.zeros(len(yields)))


S = make()
MISTAKES: dict[str, tuple[type[SuperbinError], dict[str, Callable[[Catalog], object]]]] = {
    "unknown name": (
        UnknownNameError,
        {
            "search": lambda c: c.search(NO),
            "search of limits": lambda c: c.limits(NO, "T1bbbb"),
            "search of a likelihood": lambda c: c.likelihood(NO),
            "model": lambda c: c.signal(OWN, NO, (1, 1)),
            "point": lambda c: c.signal(OWN, "T1bbbb", (1751, 1), source="table"),
            "grid": lambda c: c.grid(OWN, NO),
            "source": lambda c: c.signal(OWN, "T1bbbb", (1750, 1), source=NO),
            "cross sections": lambda c: c.cross_sections(NO),
            "uncertainty model": lambda _: stats.tail(3, 1, 0.1, 0.1, model=NO),
            "uncertainty model of a limit": lambda _: limits.cls_limit(3, 1, 0.1, 0.1, model=NO),
            "method": lambda _: limits.expected_limits(NO, 1, 0.1, 0.1),
            "figure of merit": lambda _: merge.optimize(S, signal(), figure_of_merit=NO),
            "figure of merit of an analysis": lambda _: analyze(S, signal(), figure_of_merit=NO),
            "figure of merit of a scan": lambda _: point.Settings(figure_of_merit=NO),
            "shape": lambda _: merge.optimize(S, signal(), shape=NO),
            "correlations": lambda _: analyze(S, signal(), correlations=NO),
            "form of an import": lambda _: imports.read(__file__, kind=NO),
            "format of an export": lambda _: export.files_of(NO, NO),
            "format of a figure": lambda _: plot.save(NO, Path("x"), formats=(NO,)),
        },
    ),
    "missing file": (
        InputError,
        {
            "import": lambda _: imports.read("nope.csv"),
            "inspect": lambda _: imports.inspect("nope"),
            "table": lambda _: signals.signals_from_table("nope.csv", S, model="T"),
            "parquet": lambda _: signals.signals_from_table("nope.parquet", S, model="T"),
            "histograms": lambda _: signals.signals_from_root("nope.root", S, pattern="x"),
            "grid": lambda _: grids.read_grid("nope.csv"),
            "grid of a catalog": lambda c: c.grid(OWN, "T1bbbb", "nope.csv"),
            "result": lambda _: load_result("nope.json"),
            "masses": lambda _: masses.read_masses(Path("nope.txt")),
            "workspace": lambda _: workspaces.read_workspace(Path("nope.json")),
            "likelihood": lambda _: likelihood.read("nope.txt"),
        },
    ),
    "other length": (
        InputError,
        {
            "background": lambda _: make(background=[4.0]),
            "error": lambda _: make(error=[1.0, 2.0, 3.0]),
            "edges": lambda _: make(edges={"met": [0, 1]}),
            "names": lambda _: make(names=["a"]),
            "covariance": lambda _: make(covariance=np.eye(3)),
            "correlations": lambda _: analyze(S, signal(), correlations=np.eye(3)),
            "yields": lambda _: signals.signal_from_arrays(S, [1, 2, 3], model="T"),
            "signal of an analysis": lambda _: analyze(S, signal([1, 1, 1])),
            "signal of a merge": lambda _: merge.optimize(S, signal([1, 1, 1])),
            "signal of a sum": lambda _: combine(S, signal([1, 1, 1]), [1]),
            "arrays of p-values": lambda _: stats.tail([1, 2], [1, 2, 3], 0.1, 0.1),
            "masses": lambda c: c.signal(OWN, "T1bbbb", (1750,)),
        },
    ),
    "NaN": (
        InputError,
        {
            "observed": lambda _: make(observed=[5, NAN]),
            "background": lambda _: make(background=[4, NAN]),
            "error": lambda _: make(error=NAN),
            "edges": lambda _: make(edges={"met": [0, NAN, 1]}),
            "luminosity": lambda _: make(luminosity_fb=NAN),
            "covariance": lambda _: make(covariance=np.full((2, 2), NAN)),
            "yields": lambda _: signals.signal_from_arrays(S, [1, NAN], model="T"),
            "parameter": lambda _: signals.signal_from_arrays(S, [1, 1], model="T", parameters={"m": NAN}),
            "count": lambda _: stats.tail(NAN, 1, 0.1, 0.1),
            "background of a limit": lambda _: limits.cls_limit(3, NAN, 0.1, 0.1),
            "level": lambda _: limits.cls_limit(3, 1, 0.1, 0.1, level=NAN),
            "simplify": lambda _: analyze(S, signal(), simplify=NAN),
            "seconds": lambda _: analyze(S, signal(), seconds=NAN),
            "mass": lambda c: c.signal(OWN, "T1bbbb", (NAN, 1)),
            "cross section": lambda c: c.signal(OWN, "T1bbbb", (1750, 1), cross_section=NAN),
        },
    ),
    "out of range": (
        InputError,
        {
            "count": lambda _: stats.tail(-1, 1, 0.1, 0.1),
            "observed": lambda _: make(observed=[5, -1]),
            "fraction": lambda _: make(observed=[5, 1.5]),
            "background": lambda _: make(background=[4, -1]),
            "yields": lambda _: signals.signal_from_arrays(S, [1, -1], model="T"),
            "toys": lambda _: analyze(S, signal(), toys=-1),
            "seed": lambda _: analyze(S, signal(), seed=-1),
            "bin": lambda _: combine(S, signal(), [3]),
            "no bin": lambda _: combine(S, signal(), []),
        },
    ),
    "no number": (
        InputError,
        {
            "observed": lambda _: make(observed=["a", 1]),
            "nothing": lambda _: make(observed=None),
            "luminosity": lambda _: make(luminosity_fb="x"),
            "error": lambda _: make(error="x"),
            "edges": lambda _: make(edges={"met": ["x", "y", "z"]}),
            "count": lambda _: stats.tail("x", 1, 0.1, 0.1),
            "yields": lambda _: signals.signal_from_arrays(S, ["x", "y"], model="T"),
            "bin": lambda _: combine(S, signal(), ["x"]),  # type: ignore[list-item]
        },
    ),
    "broken document": (
        DocumentError,
        {
            "result": lambda _: result_from_json("x"),
            "another schema": lambda _: result_from_json("{}"),
            "an array": lambda _: result_from_json("[]"),
        },
    ),
    "nowhere to write": (OutputError, {"tables": lambda _: tables.write_search(S, Path("/proc/nope"))}),
}


@pytest.fixture(scope="module")
def catalog() -> Any:
    with open_catalog("sqlite://") as found:
        yield found


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, (_, some) in MISTAKES.items() for name in some]
)
def test_class(
    kind: str, name: str, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API-5: the class of the kind, and one printable line."""
    monkeypatch.chdir(tmp_path)
    wanted, some = MISTAKES[kind]
    with pytest.raises(wanted) as caught:
        some[name](catalog)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) > 20
    if wanted is InputError:
        assert not isinstance(caught.value, DocumentError)
