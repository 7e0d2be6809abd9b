"""JSON objects of arrays, as the inputs of spey's default models hold them.

``background_yields`` and ``data``; ``covariance_matrix``, or ``absolute_uncertainties``, or
``absolute_uncertainty_envelops`` (pairs of up and down), these with or without ``correlation_matrix``; ``third_moment`` is kept. A signal that is given is not used, since its
model is not named. Format: J. Y. Araz, SciPost Phys. 16 (2024) 032, arXiv:2307.06996.
"""

import json
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.json import parse_json
from superbin._support.shown import counted
from superbin.domain.search import Estimate, Process
from superbin.errors import DocumentError
from superbin.io.imports.base import Faults, Imported, Options, Source
from superbin.io.imports.draft import Draft, check_names, whole_counts
from superbin.io.imports.matrices import as_matrix

__all__ = ["IMPORTER", "SpeyImporter"]

_KNOWN = {
    "background_yields", "data", "covariance_matrix", "correlation_matrix", "absolute_uncertainties", "absolute_uncertainty_envelops",
    "third_moment", "names", "luminosity_fb", "sqrt_s_tev", "source", "title",
}  # fmt: skip

_PER_BIN = (
    "background_yields",
    "data",
    "covariance_matrix",
    "correlation_matrix",
    "absolute_uncertainties",
    "absolute_uncertainty_envelops",
)


class SpeyImporter:
    """A JSON object with ``background_yields`` and ``data``."""

    name = "spey"
    title = "JSON object of arrays (background_yields, data, covariance_matrix), as for spey"

    def recognises(self, source: Source) -> bool:
        """A JSON file that names ``background_yields``."""
        return source.suffix == ".json" and b'"background_yields"' in source.head(65536)

    def read(self, source: Source, options: Options) -> Imported:
        """Read the arrays."""
        content = parse_json(source.text(), source.path)
        if not isinstance(content, dict):
            raise DocumentError(f"{source.path}: must be an object with background_yields and data")
        faults = Faults(source.path)
        n_bins = _length(content)
        labels = tuple(f"bin {i + 1}" for i in range(n_bins))
        with faults.gathering():
            background = _array(content, "background_yields", source, n_bins)
        with faults.gathering():
            observed = whole_counts(list(_array(content, "data", source, n_bins)), labels, str(source.path))
        with faults.gathering():
            up, down, notes = _errors(content, source, n_bins)
        names = _names(content, source, n_bins, faults)
        luminosity = energy = matrix = None
        with faults.gathering():
            luminosity = _scalar(content, "luminosity_fb", source)
        with faults.gathering():
            energy = _scalar(content, "sqrt_s_tev", source)
        with faults.gathering():
            given = [key for key in ("covariance_matrix", "correlation_matrix") if key in content]
            if len(given) > 1:
                raise DocumentError(f"{source.path}: has {' and '.join(given)}; keep one of the two")
            for key in given:
                matrix = as_matrix(
                    content[key], f"{source.path}: {key}", correlations=key == "correlation_matrix"
                )
                matrix.ordered((), n_bins)
        moments = np.zeros(0)
        with faults.gathering():
            if "third_moment" in content:
                moments = _array(content, "third_moment", source, n_bins, low=-np.inf)
        faults.check()
        none = np.zeros(n_bins)
        notes += [f"{key}: not used" for key in content if key not in _KNOWN]
        draft = Draft(
            place=str(source.path),
            name=source.path.stem,
            observed=observed,
            processes=(Process("background", "Background", Estimate(background, none, none, up, down)),),
            names=names,
            notes=[f"JSON arrays of {counted(n_bins, 'bin')}", *notes],
            texts={key: str(content[key]) for key in ("source", "title") if key in content},
            luminosity_fb=luminosity,
            sqrt_s_tev=energy,
            matrix=matrix,
        )
        files: dict[str, bytes] = {}
        if "third_moment" in content:
            by_bin = dict(zip(names or labels, moments.tolist(), strict=True))
            files["third-moments.json"] = json.dumps(by_bin).encode()
            draft.notes.append("third_moment: kept in third-moments.json, used by no p-value")
        return draft.bundled(draft.search(options, source), self.name, files=files)


IMPORTER = SpeyImporter()


def _length(content: dict[str, Any]) -> int:
    """The number of bins: the most frequent length of the arrays, so that what differs from it is named."""
    sizes = [len(content[key]) for key in _PER_BIN if isinstance(content.get(key), list)]
    return max(sizes, key=lambda n: (sizes.count(n), n)) if sizes else 0


def _names(content: dict[str, Any], source: Source, n_bins: int, faults: Faults) -> tuple[str, ...]:
    given = content.get("names")
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) != n_bins:
        faults.add(f"names must be a list of {n_bins} names, one per bin")
        return ()
    names = tuple(str(name) for name in given)
    with faults.gathering():
        check_names(names, str(source.path))
    return names


def _array(content: dict[str, Any], key: str, source: Source, size: int, *, low: float = 0.0) -> FloatArray:
    try:
        array = np.array(content.get(key), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DocumentError(f"{source.path}: {key} must be a list of numbers ({error})") from error
    if content.get(key) is None:
        raise DocumentError(f"{source.path}: {key} is missing; a list of {size or 'some'} numbers is needed")
    if array.ndim != 1 or array.size == 0 or array.size != size:
        raise DocumentError(
            f"{source.path}: {key} has shape {array.shape}; {counted(size, 'number')} are needed"
        )
    # A count below zero is explained where counts are checked.
    if not np.isfinite(array).all() or (key != "data" and (array < low).any()):
        raise DocumentError(f"{source.path}: {key} must be finite numbers{' >= 0' if low == 0 else ''}")
    return array


def _scalar(content: dict[str, Any], key: str, source: Source) -> float | None:
    value = content.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise DocumentError(f"{source.path}: {key} is {value!r}; it must be a number")
    return None if value is None else float(value)


def _errors(content: dict[str, Any], source: Source, n_bins: int) -> tuple[FloatArray, FloatArray, list[str]]:
    both = {"absolute_uncertainties", "absolute_uncertainty_envelops"} & content.keys()
    if len(both) > 1:
        raise DocumentError(f"{source.path}: has {' and '.join(sorted(both))}; keep one of the two")
    if "absolute_uncertainties" in content:
        size = _array(content, "absolute_uncertainties", source, n_bins)
        return size, size, ["absolute_uncertainties: errors of the background"]
    if "absolute_uncertainty_envelops" in content:
        pairs = np.asarray(content["absolute_uncertainty_envelops"], dtype=object)
        if pairs.shape != (n_bins, 2):
            raise DocumentError(
                f"{source.path}: absolute_uncertainty_envelops has shape {pairs.shape}; a pair (up, down) for each of {n_bins} "
                "bins is needed"
            )
        sides = [_array({"side": list(pairs[:, k])}, "side", source, n_bins) for k in (0, 1)]
        return sides[0], sides[1], ["absolute_uncertainty_envelops: errors of the background, up and down"]
    if "covariance_matrix" in content:
        none = np.zeros(n_bins)
        return none, none, ["errors: from the covariance alone"]
    raise DocumentError(
        f"{source.path}: has no errors; give covariance_matrix, absolute_uncertainties or absolute_uncertainty_envelops"
    )
