"""Design the most sensitive one-bin reinterpretation of a multi-bin LHC search, with exact p-values.

Start with `analyze`, on a search from `open_catalog` and a signal of it. Subpackages are imported when they are first used:
`superbin.stats` for p-values and limits of any count, `superbin.merge` for the search for bins, `superbin.likelihood` for
published likelihoods, `superbin.workspace` for pyhf, `superbin.plot` and `superbin.paper` for figures and papers.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import version

    from superbin.analysis import analyze
    from superbin.catalog import Catalog, open_catalog
    from superbin.domain.aggregate import combine
    from superbin.domain.covariance import Covariance
    from superbin.domain.search import Estimate, Observable, Process, Search
    from superbin.domain.signal import SignalModel
    from superbin.errors import SuperbinError
    from superbin.results import AnalysisResult, load_result, result_from_json, result_to_json

    __version__ = version("superbin")

__all__ = [
    "AnalysisResult",
    "Catalog",
    "Covariance",
    "Estimate",
    "Observable",
    "Process",
    "Search",
    "SignalModel",
    "SuperbinError",
    "analyze",
    "combine",
    "load_result",
    "open_catalog",
    "result_from_json",
    "result_to_json",
]

_HOMES = {
    "AnalysisResult": "results",
    "Catalog": "catalog",
    "Covariance": "domain.covariance",
    "Estimate": "domain.search",
    "Observable": "domain.search",
    "Process": "domain.search",
    "Search": "domain.search",
    "SignalModel": "domain.signal",
    "SuperbinError": "errors",
    "analyze": "analysis",
    "combine": "domain.aggregate",
    "load_result": "results",
    "open_catalog": "catalog",
    "result_from_json": "results",
    "result_to_json": "results",
}

_SUBPACKAGES = (
    "analysis",
    "catalog",
    "chance",
    "domain",
    "errors",
    "generate",
    "io",
    "likelihood",
    "merge",
    "paper",
    "plot",
    "results",
    "scan",
    "statistical_model",
    "stats",
    "store",
    "workspace",
)


def __getattr__(name: str) -> Any:
    """Import a public name or a subpackage when it is first used, so that ``import superbin`` costs nothing."""
    if name in _HOMES:
        value = getattr(importlib.import_module(f"superbin.{_HOMES[name]}"), name)
    elif name in _SUBPACKAGES:
        value = importlib.import_module(f"superbin.{name}")
    elif name == "__version__":
        value = importlib.import_module("importlib.metadata").version("superbin")
    else:
        known = ", ".join([*__all__, *_SUBPACKAGES])
        raise AttributeError(f"module 'superbin' has no attribute {name!r}; it has {known}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBPACKAGES, "__version__"])
