"""HS3 JSON, version 0.2, as ROOT's RooFit reads it: one region, or several with correlated errors, and one signal.

The model is that of the pyhf format; `superbin.likelihood.exports.hs3` says how it is written.
"""

from collections.abc import Mapping

from superbin._support.json import json_text
from superbin.export.entry import Entry
from superbin.export.pyhf import combined

__all__ = ["files"]


def files(entry: Entry) -> Mapping[str, bytes]:
    """``hs3.json`` of all regions and one signal."""
    from superbin.io.workspaces import model_from_workspace
    from superbin.likelihood.exports.hs3 import hs3_document

    point = entry.points[0].label if entry.points else ""
    model = model_from_workspace(combined(entry, "hs3"), name=f"{entry.search}: {point}")
    return {"hs3.json": (json_text(hs3_document(model), "the export", indent=1) + "\n").encode()}
