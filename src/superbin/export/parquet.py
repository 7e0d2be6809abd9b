"""Parquet: the table of signals, for data frames. It needs pyarrow, the extra ``superbin[parquet]``."""

import io
from collections.abc import Mapping

from superbin.errors import InputError, MissingDependencyError
from superbin.export.entry import Entry
from superbin.export.tables import point_columns

__all__ = ["files"]


def files(entry: Entry) -> Mapping[str, bytes]:
    """``signals.parquet``, with the search and its digest in the metadata of the schema."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet needs pyarrow, which is not installed; run: pip install 'superbin[parquet]'"
        ) from error
    if not entry.points:
        raise InputError(f"{entry.search} has no signals; export its regions as csv")
    table = pa.table(point_columns(entry))
    about = {
        "search": entry.search,
        "reference": entry.reference,
        "digest": entry.digest,
        "superbin": entry.made_by,
    }
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(about), stream)
    return {"signals.parquet": stream.getvalue()}
