"""Workspaces of pyhf (HistFactory JSON), alone or as HEPData archives have them: background alone, and a patch set of signals.

The signal regions become the bins of the search (`superbin.io.imports.models`); the workspace itself goes into the bundle, where
the engine reads it. Keys of the mapping:

===============  ====================================================================================
key              what it says
===============  ====================================================================================
``channels``     names of the channels that are bins; by default those that are named as signal regions
``workspace``    which file of a folder is the workspace; one that is another with a patch of the folder is left out
``measurement``  which measurement of it; by default the first
``negative``     ``"zero"``: set negative backgrounds to zero
``observed``     ``"round"``: take the nearest whole numbers of observed events
===============  ====================================================================================
"""

import contextlib
import copy
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from superbin._support.json import parse_json
from superbin._support.shown import counted
from superbin.errors import InputError
from superbin.io.imports.base import Imported, Options, Source
from superbin.io.imports.draft import DraftSignal
from superbin.io.imports.models import model_draft, model_signals, signal_regions
from superbin.io.signals import named_point
from superbin.io.workspaces import model_from_workspace, patch_list, patched, with_known_poi

__all__ = ["IMPORTER", "PyhfImporter", "is_patch"]

_KEYS = ("channels", "workspace", "measurement", "negative", "observed")
_HEAD = 1 << 18
_MOST_SIGNALS = 5000
_MOST_COMPARED = 100
"""Patches of a set that are tried for a workspace that holds one already."""
_FILE = "workspace.json"


class PyhfImporter:
    """A HistFactory JSON workspace, or a folder with one and patches."""

    name = "pyhf"
    title = "a pyhf workspace (JSON), or a folder with one and a patch set"

    def recognises(self, source: Source) -> bool:
        """A JSON file that begins as a workspace does, or a folder with one."""
        return any(_is_workspace(Source(p)) for p in source.files() if Source(p).suffix == ".json")

    def read(self, source: Source, options: Options) -> Imported:
        """Read the signal regions, and keep the workspace."""
        notes: list[str] = []
        path = _workspace(source, options, notes)
        document = parse_json(Source.at(path).text(), path)
        mapping = options.mapping
        measurement = mapping.get("measurement")
        model = model_from_workspace(
            with_known_poi(document), source=str(path), name=path.name, measurement=measurement
        )
        channels = signal_regions(model, mapping.get("channels"), notes)
        draft = model_draft(model, channels, str(path), _name(source, path), mapping)
        signals = [*model_signals(model, channels, path.name, notes)]
        kept: dict[str, bytes] = {}
        for patch in _patches(source, path):
            found = _patched_signals(document, patch, [c.name for c in channels], notes)
            signals += found
            if found:
                kept[f"patches/{_kept_name(patch)}"] = Source.at(patch).text().encode()
        if signals:
            notes.append(f"signals: {len(signals)}, from {signals[0].name} to {signals[-1].name}")
        size = sum(c.observed.size for c in channels)
        draft.notes[:0] = [
            f"a pyhf workspace: {counted(len(model.channels), 'channel')}, {len(channels)} of them with {counted(size, 'bin')} are the search",
            *notes,
        ]
        draft.signals = signals
        draft.texts = {"source": f"pyhf workspace {path.name}"}
        search = draft.search(options, source, keys=_KEYS)
        draft.notes.append(f"the likelihood of all channels: kept in {_FILE}")
        files = {_FILE: json.dumps(document).encode()}
        return draft.bundled(search, self.name, files=files | kept)


IMPORTER = PyhfImporter()


def _is_workspace(source: Source) -> bool:
    head = source.head(_HEAD)
    return (
        b'"channels"' in head or b'"observations"' in head or b'"measurements"' in head
    ) and b'"headers"' not in head


def is_patch(path: Path) -> bool:
    """Whether a JSON file begins as a patch or a patch set does."""
    head = Source(path).head(_HEAD)
    return b'"op"' in head or b'"patches"' in head


def _workspace(source: Source, options: Options, notes: list[str]) -> Path:
    found = [
        p
        for p in source.files()
        if Source(p).suffix == ".json" and not is_patch(p) and _is_workspace(Source(p))
    ]
    given = options.mapping.get("workspace")
    if given is not None:
        found = [p for p in found if p.name == given]
    elif len(found) > 1:
        made = _made_by_patches(source, found)
        found = [p for p in found if p not in made]
        notes += [f"{p.name}: not used, it is {found[0].name} with {patch}" for p, patch in made.items()]
    if len(found) != 1:
        shown = ", ".join(p.name for p in source.files() if Source(p).suffix == ".json")
        raise InputError(
            f"{source.path}: {len(found)} workspaces among {shown or 'no JSON files'}; name one with a mapping, "
            f'{{"workspace": NAME}}'
        )
    return found[0]


def _made_by_patches(source: Source, workspaces: Sequence[Path]) -> dict[Path, str]:
    """Workspaces of a folder that are another one of it with a patch that lies beside them, and which patch."""
    documents = {p: parse_json(Source.at(p).text(), p) for p in workspaces}
    made: dict[Path, str] = {}
    for file in _patches(source, workspaces[0]):
        content = parse_json(Source.at(file).text(), file)
        names = [name for name, _, _ in patch_list(content, source=str(file))]
        for background, name in itertools.product(workspaces, names[:_MOST_COMPARED]):
            if background in made:
                continue
            with contextlib.suppress(InputError):  # it belongs to another workspace
                whole = patched(documents[background], content, name=name or None, source=str(file))
                others = [p for p in workspaces if p != background and p not in made]
                same = [p for p in others if _in_order(documents[p]) == _in_order(whole)]
                made |= dict.fromkeys(same, f"patch {name} of {file.name}" if name else file.name)
    return made


def _in_order(content: Any) -> Any:
    """A document with its lists of named things in the order of their names, which means nothing."""
    if isinstance(content, dict):
        return {key: _in_order(value) for key, value in content.items()}
    if not isinstance(content, list):
        return content
    items = [_in_order(item) for item in content]
    named = all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in items)
    return sorted(items, key=lambda item: (item["name"], str(item.get("type")))) if named else items


def _name(source: Source, path: Path) -> str:
    plain = path.name.split(".")[0]
    return (
        source.path.name
        if source.is_folder and re.fullmatch(r"(?i)bkg_?only|workspace|background.*", plain)
        else plain
    )


# --- patches ----------------------------------------------------------------------------------------------


def _patches(source: Source, workspace: Path) -> list[Path]:
    """Files of patches beside the workspace of a folder."""
    if not source.is_folder:
        return []
    return [p for p in source.files() if p != workspace and Source(p).suffix == ".json" and is_patch(p)]


def _kept_name(patch: Path) -> str:
    """Its name with characters that a bundle's files may have."""
    return re.sub(r"[^\w.+-]", "_", patch.name, flags=re.ASCII).replace("..", "_")


def _bare(document: Any) -> Any:
    """The workspace without what modifies its samples, which patches with signals do not touch."""
    bare = dict(document)
    bare["channels"] = [
        channel | {"samples": [sample | {"modifiers": []} for sample in channel["samples"]]}
        for channel in document["channels"]
    ]
    return bare


def _patched_signals(
    document: Any, path: Path, channels: Sequence[str], notes: list[str]
) -> list[DraftSignal]:
    """The signals that patches add in some channels."""
    content = parse_json(Source.at(path).text(), path)
    bare = _bare(document)
    found: list[DraftSignal] = []
    failed: list[str] = []
    for name, values, patch in patch_list(content, source=str(path)):
        if len(found) >= _MOST_SIGNALS:
            raise InputError(f"{path}: holds more than {_MOST_SIGNALS} signals; split the patch set")
        try:
            made = _signals_of(
                patched(bare, copy.deepcopy(patch), source=f"{path} {name}"),
                channels,
                path.name,
                name,
                values,
            )
        except InputError as error:
            failed.append(f"{name} ({error})")
            continue
        found += made
    if failed:
        notes.append(f"{path.name}: {counted(len(failed), 'patch')} not used, such as {failed[0]}")
    return found


def _signals_of(
    document: Any, channels: Sequence[str], file: str, name: str, values: Mapping[str, float]
) -> list[DraftSignal]:
    model = model_from_workspace(document, source=f"{file} {name}".strip(), name=name)
    by_name = {c.name: c for c in model.channels}
    missing = [c for c in channels if c not in by_name]
    if missing:
        raise InputError(f"it removes channel {missing[0]!r}")
    place = f"{file}, patch {name}" if name else file
    signals = model_signals(model, [by_name[c] for c in channels], place, [])
    if not name:
        return list(signals)
    model_name, parameters = named_point(name)
    one = len(signals) == 1
    return [
        DraftSignal(
            name=name,
            yields=s.yields,
            errors=s.errors,
            source=s.source,
            variations=s.variations,
            point=(model_name if one else f"{model_name} {s.name}", dict(values) or parameters),
        )
        for s in signals
    ]
