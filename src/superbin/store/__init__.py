"""Searches and signals in a SQL database: the only room that knows SQL. Specified in ``specs/store.md``.

Use `Store` for everything; `superbin.catalog.open_catalog` gives one that holds the packaged searches.
`StoredSearch` and `StoredSignal` are what its listings consist of.

Inside: ``schema`` holds the tables, ``engine`` finds and opens the database and words its errors, ``rows`` turns
domain values into rows, ``reading`` and ``writing`` are the statements, ``database`` is the `Store` over them.
"""

from superbin.store.database import Store
from superbin.store.reading import StoredSearch, StoredSignal

__all__ = ["Store", "StoredSearch", "StoredSignal"]
