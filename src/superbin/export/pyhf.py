"""HistFactory JSON: one region with its processes and asymmetric modifiers, or several with correlated errors.

One region is what `superbin.workspace.build` makes of it. Several are channels whose backgrounds have a log-normal error with the covariance of a
bundle (`superbin.workspace.regions`); their signals are patches.
"""

from collections.abc import Mapping
from typing import Any

from superbin.errors import InputError
from superbin.export.entry import Entry
from superbin.export.simplified import NO_REGION

__all__ = ["combined", "files"]


def files(entry: Entry) -> Mapping[str, bytes]:
    """``workspace.json`` of all regions and one signal; of several signals ``BkgOnly.json`` and ``patchset.json``."""
    from superbin import workspace

    if len(entry.points) == 1:
        return {"workspace.json": workspace.to_json(combined(entry, "pyhf")).encode()}
    bundle = entry.bundle
    if bundle is None:
        raise InputError(NO_REGION)
    if not bundle.signals:
        raise InputError(f"{entry.search} has no signals; import some with: superbin db import FILE")
    background = workspace.regions(bundle.search, bundle.search.covariance)
    names = [f"signal_{i}" for i in range(1, len(bundle.signals) + 1)]
    patches = workspace.patch_set(
        background,
        {name: workspace.signal_patch(signal) for name, signal in zip(names, bundle.signals, strict=True)},
        labels=["signal"],
        values=[[i] for i in range(1, len(names) + 1)],
        description=f"{bundle.search.title}: "
        + ", ".join(f"{name} = {signal.label}" for name, signal in zip(names, bundle.signals, strict=True)),
    )
    return {
        "BkgOnly.json": workspace.to_json(background).encode(),
        "patchset.json": workspace.to_json(patches, schema="patchset.json").encode(),
    }


def combined(entry: Entry, form: str) -> dict[str, Any]:
    """The workspace of all regions and the signal of an entry.

    Raises
    ------
    InputError
        If it has no regions, or not one signal.
    """
    import jsonpatch

    from superbin import workspace

    if not entry.regions:
        raise InputError(NO_REGION)
    if len(entry.points) != 1:
        raise InputError(
            f"a document of {form} is of one signal, and this has {len(entry.points)}; export one result, or a bundle with one signal"
        )
    if len(entry.aggregates) == 1:
        return dict(workspace.build(entry.aggregates[0]))
    if entry.bundle is None:
        raise InputError(NO_REGION)
    background = workspace.regions(entry.bundle.search, entry.bundle.search.covariance)
    patched: dict[str, Any] = jsonpatch.apply_patch(
        background, workspace.signal_patch(entry.bundle.signals[0])
    )
    return patched
