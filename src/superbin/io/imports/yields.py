"""JSON objects of histograms with data and named backgrounds, as analyses keep the inputs of their figures.

``{"data": [...], "bkgr": {NAME: {"nominal": [...], "up": [...], "down": [...], "bins": [[low, high], ...]}}}``; ``up`` and
``down`` are distances from the nominal. A background named as the total is taken alone. A signal is not used.
"""

from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.json import parse_json
from superbin._support.shown import counted
from superbin.domain.search import Estimate, Process
from superbin.errors import DocumentError, InputError
from superbin.io.imports.base import Faults, Imported, Options, Source
from superbin.io.imports.draft import Draft, whole_counts

__all__ = ["IMPORTER", "YieldsImporter"]

_BACKGROUNDS = ("bkgr", "background", "backgrounds", "bkg")


class YieldsImporter:
    """A JSON object with ``data`` and ``bkgr``."""

    name = "yields"
    title = "JSON object of histograms (data, and bkgr with nominal, up and down by name)"

    def recognises(self, source: Source) -> bool:
        """A JSON file that names data, a background and nominal values."""
        try:
            return source.suffix == ".json" and _is_yields(parse_json(source.text(), source.path))
        except InputError:
            return False

    def read(self, source: Source, options: Options) -> Imported:
        """Read the histograms."""
        content = parse_json(source.text(), source.path)
        if not _is_yields(content):
            raise DocumentError(f"{source.path}: must be a JSON object with data and bkgr")
        key = next(k for k in _BACKGROUNDS if isinstance(content.get(k), dict))
        data = content["data"]
        faults = Faults(source.path)
        n_bins = len(data) if isinstance(data, list) else 0
        with faults.gathering():
            observed = _observed(data, source)
        named: dict[str, Any] = content[key]
        totals = [name for name in named if "total" in name.lower()]
        if len(totals) > 1:
            faults.add(f"{key} has {len(totals)} totals ({', '.join(map(repr, totals))}); keep one of them")
        chosen = totals or list(named)
        processes = []
        for name in chosen:
            with faults.gathering():
                processes.append(_process(name, named[name], n_bins, source, faults))
        faults.check()
        notes = [
            f"JSON histograms of {counted(len(data), 'bin')}",
            "bins: numbers, no ranges; the file has indices only",
        ]
        notes += [f"{key} {name!r}: background, up and down as distances" for name in chosen]
        notes += [f"{key} {name!r}: not used, the total is" for name in named if name not in chosen]
        notes += [f"{name}: not used" for name in content if name not in (key, "data", "is_binned")]
        draft = Draft(
            place=str(source.path),
            name=source.path.stem,
            observed=observed,
            processes=tuple(processes),
            names=(),
            notes=notes,
        )
        return draft.imported(self.name, options, source)


IMPORTER = YieldsImporter()


def _is_yields(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and "data" in content
        and any(isinstance(content.get(k), dict) and content[k] for k in _BACKGROUNDS)
    )


def _observed(data: Any, source: Source) -> FloatArray:
    text = [v for v in data if isinstance(v, str)] if isinstance(data, list) else []
    if not isinstance(data, list) or not data or text:
        found = f"holds {text[0]!r}" if text else "is not a list of numbers"
        raise DocumentError(f"{source.path}: data {found}; this channel has no observed events to import")
    labels = tuple(f"bin {i + 1}" for i in range(len(data)))
    return whole_counts(_numbers(data, "data", source, -np.inf), labels, str(source.path))


def _numbers(values: Any, name: str, source: Source, low: float = 0.0) -> FloatArray:
    try:
        return frozen_array(values, name=name, low=low)
    except InputError as error:
        raise DocumentError(f"{source.path}: {error}") from error


def _process(name: str, content: Any, n_bins: int, source: Source, faults: Faults) -> Process:
    if not isinstance(content, dict) or not {"nominal", "up", "down"} <= content.keys():
        raise DocumentError(f"{source.path}: background {name!r} needs nominal, up and down")
    none = np.zeros(n_bins)
    parts = dict.fromkeys(("nominal", "up", "down"), none)
    for k in parts:
        with faults.gathering():
            values = _numbers(content[k], f"{k} of {name!r}", source)
            if values.shape == (n_bins,):
                parts[k] = values
            elif n_bins:
                faults.add(f"{k} of {name!r} has {values.size} values; data has {n_bins}")
    label = "Background" if "total" in name.lower() else name
    return Process(name, label, Estimate(parts["nominal"], none, none, parts["up"], parts["down"]))
