"""HistFactory JSON: one region with its processes and asymmetric modifiers, as `superbin.workspace.build` makes it."""

from collections.abc import Mapping

from superbin.errors import InputError
from superbin.export.entry import Entry

__all__ = ["files"]


def files(entry: Entry) -> Mapping[str, bytes]:
    """``workspace.json`` of one region and one signal."""
    from superbin.workspace import build, to_json

    if len(entry.aggregates) != 1 or len(entry.points) != 1:
        raise InputError(
            f"a workspace is of one region with one signal; this has {len(entry.aggregates)} regions and "
            f"{len(entry.points)} signals; export a result.json"
        )
    return {"workspace.json": to_json(build(entry.aggregates[0])).encode()}
