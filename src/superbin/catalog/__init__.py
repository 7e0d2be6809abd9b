"""The searches at hand with all that belongs to them: the database, filled on first use with what ships in superbin.

`open_catalog` gives the `Catalog`, with which every command and most scripts begin. Specified in ``specs/store.md`` and
``specs/signals.md``.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superbin.catalog.catalog import SOURCES, Catalog, open_catalog
    from superbin.catalog.packaged import DEFAULT_SEARCH

__all__ = ["DEFAULT_SEARCH", "SOURCES", "Catalog", "open_catalog"]

_HOMES = {"DEFAULT_SEARCH": "packaged", "SOURCES": "catalog", "Catalog": "catalog", "open_catalog": "catalog"}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that the command line knows its default search without a database."""
    if name not in _HOMES:
        raise AttributeError(
            f"module 'superbin.catalog' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    value = getattr(importlib.import_module(f"superbin.catalog.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
