"""Searches, signals and scans in a SQL database: the only package that uses SQL. Specified in ``specs/store.md``.

Use `Store` for everything; `superbin.catalog.open_catalog` gives one that holds the packaged searches.
`StoredSearch`, `StoredSignal` and `StoredScan` are what its listings consist of.

Inside: ``schema`` holds the tables, ``engine`` finds and opens the database and words its errors, ``rows`` turns
domain values into rows, ``reading``, ``writing`` and ``scanning`` are the statements, ``database`` is the `Store` over them.
"""

from superbin.store.database import Store
from superbin.store.reading import StoredSearch, StoredSignal
from superbin.store.scanning import StoredScan
from superbin.store.writing import Deleted, Replaced

__all__ = ["Deleted", "Replaced", "Store", "StoredScan", "StoredSearch", "StoredSignal"]
