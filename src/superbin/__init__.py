"""Design the most sensitive one-bin reinterpretation of a multi-bin LHC search, with exact p-values.

Start with `analyze`, on a search from `open_catalog` and a signal from `find_signal`. The packages below are importable by name:
`superbin.stats` for p-values of any count, `superbin.merge` for the search for bins, `superbin.workspace` for
pyhf, `superbin.plot` and `superbin.paper` for what a person looks at.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superbin.aggregate import combine
    from superbin.analysis import analyze
    from superbin.catalog import find_signal, open_catalog
    from superbin.errors import SuperbinError
    from superbin.results import AnalysisResult, load_result, result_from_json, result_to_json
    from superbin.search import Estimate, Observable, Process, Search
    from superbin.signal import SignalModel

__all__ = [
    "AnalysisResult",
    "Estimate",
    "Observable",
    "Process",
    "Search",
    "SignalModel",
    "SuperbinError",
    "analyze",
    "combine",
    "find_signal",
    "load_result",
    "open_catalog",
    "result_from_json",
    "result_to_json",
]

_HOMES = {
    "AnalysisResult": "results",
    "Estimate": "search",
    "Observable": "search",
    "Process": "search",
    "Search": "search",
    "SignalModel": "signal",
    "SuperbinError": "errors",
    "analyze": "analysis",
    "combine": "aggregate",
    "find_signal": "catalog",
    "load_result": "results",
    "open_catalog": "catalog",
    "result_from_json": "results",
    "result_to_json": "results",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import superbin`` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'superbin' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"superbin.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
