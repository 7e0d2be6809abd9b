"""HistFactory JSON: one region with its processes and asymmetric modifiers, or several with correlated errors.

One region is what `superbin.workspace.build` makes of it. Several are channels whose backgrounds have a log-normal error with the covariance of a
bundle (`superbin.workspace.regions`); their signals are patches.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.export.entry import Entry
from superbin.export.simplified import NO_REGION

__all__ = ["combined", "files", "signal_names"]


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
    names = signal_names(bundle.signals)
    labels, values = _coordinates(bundle.signals)
    patches = workspace.patch_set(
        background,
        {name: workspace.signal_patch(signal) for name, signal in zip(names, bundle.signals, strict=True)},
        labels=labels,
        values=values,
        description=f"{bundle.search.title}: "
        + ", ".join(f"{name} = {signal.label}" for name, signal in zip(names, bundle.signals, strict=True)),
    )
    return {
        "BkgOnly.json": workspace.to_json(background).encode(),
        "patchset.json": workspace.to_json(patches, schema="patchset.json").encode(),
    }


def signal_names(signals: Sequence[SignalModel]) -> list[str]:
    """Such as ``T1bbbb_1750_1``, all different; pyhf takes letters, digits and underscores."""
    names = [
        _word("_".join([s.model, *(f"{value:.10g}" for value in s.parameters.values())])) for s in signals
    ]
    return names if len(set(names)) == len(names) else [f"{name}_{i}" for i, name in enumerate(names, 1)]


def _coordinates(signals: Sequence[SignalModel]) -> tuple[list[str], list[list[float | str]]]:
    """Labels and values of the patches: model and masses, or a number where the models have other masses."""
    if len({tuple(signal.parameters) for signal in signals}) == 1:
        labels = ["model", *map(_word, signals[0].parameters)]
        if len(set(labels)) == len(labels):
            return labels, [[signal.model, *map(float, signal.parameters.values())] for signal in signals]
    return ["signal"], [[number] for number in range(1, len(signals) + 1)]


def _word(text: str) -> str:
    return re.sub(r"\W", "_", text, flags=re.ASCII)


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
