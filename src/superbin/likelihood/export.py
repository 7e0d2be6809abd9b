"""Counting models as pyhf documents: a workspace of the background, a patch set with the signal, and what is lost.

pyhf is not needed here; the documents follow its schemas 1.0.0. Every term becomes a sample of its own, so nothing
is merged:

- a ``normal`` nuisance is a ``normsys`` with the two factors as they are, held within `LARGEST_PULL`;
- a ``free`` rate is a ``normfactor`` with its range;
- a ``flat`` nuisance has no native form. It becomes a ``normsys`` with both factors to the power `FLAT_SCALE`, held within
  1/`FLAT_SCALE`: the same yields, and a constraint term of at most 1/(2 FLAT_SCALE^2) in the likelihood that the
  original has not. It is listed in the report.

pyhf interpolates differently inside |theta| < 1: `interpolation_deviation` says by how much at most. At theta = 0 and
beyond one standard deviation both agree; with code 1 they agree from half a standard deviation on.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from superbin.errors import InputError
from superbin.likelihood.interpolation import Exponents
from superbin.likelihood.model import CountingModel, Interpolation

if TYPE_CHECKING:
    from superbin._support.arrays import FloatArray

__all__ = [
    "FLAT_SCALE",
    "LARGEST_PULL",
    "export_report",
    "full_workspace",
    "interpolation_deviation",
    "patch_set",
    "patch_set_of",
    "workspace",
]

FLAT_SCALE = 10.0

LARGEST_PULL = 20.0
"""Bounds of constrained nuisances. Without, pyhf holds them within 5, where large pulls end."""

NO_HEPDATA = "ins0000000"
"""Stands for no record, where the schema of patch sets demands one."""

Document = dict[str, Any]


def full_workspace(model: CountingModel) -> Document:
    """Return the workspace with background and signal together.

    Parameters
    ----------
    model : CountingModel
        With a signal.

    Raises
    ------
    InputError
        If it has none.
    """
    return _document(model, signal=True)


def workspace(model: CountingModel) -> Document:
    """Return the workspace of the background alone, ready for the patch of `patch_set`.

    Its measurement already names the parameter of interest ``mu``, which only the patch brings.
    """
    return _document(model, signal=False)


def patch_set(
    model: CountingModel,
    *,
    name: str,
    values: Mapping[str, float],
    description: str,
    hepdata: str = NO_HEPDATA,
) -> Document:
    """Return a pyhf patch set with one patch that adds the signal to `workspace` of the same model.

    Parameters
    ----------
    model : CountingModel
        With a signal.
    name : str
        Name of the patch; letters, digits and underscores.
    values : mapping of str to float
        The signal's parameters, such as masses.
    description : str
        One sentence.
    hepdata : str
        INSPIRE number of the search's HEPData record, such as ``"ins1234567"``; the schema demands one.

    Raises
    ------
    InputError
        If the model has no signal, or the name has other characters.
    """
    if re.fullmatch(r"[a-zA-Z0-9_]+", name) is None:
        raise InputError(f"patch name {name!r} must consist of letters, digits and underscores")
    _need_signal(model)
    background = workspace(model)
    terms = _by_channel(model)
    operations: list[Document] = [
        {"op": "add", "path": f"/channels/{c}/samples/-", "value": sample}
        for c in range(len(model.channels))
        for sample in _samples(model, [t for t in terms[c] if model.signal[t]])
    ]
    known = {p["name"] for p in background["measurements"][0]["config"]["parameters"]}
    operations += [
        {"op": "add", "path": "/measurements/0/config/parameters/-", "value": parameter}
        for parameter in _configuration(model, signal=True)
        if parameter["name"] not in known
    ]
    return patch_set_of(
        background, operations, name=name, values=values, description=description, hepdata=hepdata
    )


def patch_set_of(
    background: Document,
    operations: Sequence[Document],
    *,
    name: str,
    values: Mapping[str, float],
    description: str,
    hepdata: str = NO_HEPDATA,
) -> Document:
    """Return a patch set with one patch for a workspace, whose digest it has; the arguments are those of `patch_set`."""
    canonical = json.dumps(background, sort_keys=True, ensure_ascii=False).encode()
    return {
        "metadata": {
            "references": {"hepdata": hepdata},
            "description": description,
            "digests": {"sha256": hashlib.sha256(canonical).hexdigest()},
            "labels": list(values) or ["signal"],
        },
        "patches": [
            {"metadata": {"name": name, "values": list(values.values()) or [1.0]}, "patch": list(operations)}
        ],
        "version": "1.0.0",
    }


def export_report(model: CountingModel) -> Document:
    """Return what the export changes, to be stored beside it.

    Returns
    -------
    dict
        ``interpolation``: largest relative deviation of any factor from this model's own, for pyhf's codes 1 and 4,
        and the nuisance where it occurs; ``no_native_form``: flat nuisances and the likelihood they may add;
        ``options``: the model's conventions.
    """
    flat = [p.name for p in model.parameters if p.kind == "flat"]
    deviations: Document = {}
    for code in ("code1", "code4"):
        largest, name = interpolation_deviation(model, code)
        deviations[code] = {"largest_relative_deviation": largest, "nuisance": name}
    return {
        "interpolation": deviations,
        "no_native_form": [
            {
                "parameter": name,
                "kind": "flat",
                "written_as": f"normsys with factors to the power {FLAT_SCALE:g}, held within 1/{FLAT_SCALE:g}",
                "largest_added_nll": 0.5 / FLAT_SCALE**2,
            }
            for name in flat
        ],
        "options": dict(model.options),
    }


def interpolation_deviation(model: CountingModel, code: Interpolation) -> tuple[float, str]:
    """Return the largest relative difference of any factor between the model's interpolation and another.

    Parameters
    ----------
    model : CountingModel
        The model.
    code : {"combine", "code1", "code4"}
        The other interpolation.

    Returns
    -------
    tuple of (float, str)
        The difference over -1 <= theta <= 1, beyond which all agree, and the nuisance; zero and an empty
        name for a model without constrained nuisances.
    """
    keep = np.flatnonzero(model.kinds[model.entry_parameter] == "normal")
    if keep.size == 0:
        return 0.0, ""
    # One parameter per entry, so that a single theta serves all.
    one = np.zeros(keep.size, dtype=np.intp)
    none = np.zeros(1, dtype=bool)
    low, high = model.log_down[keep], model.log_up[keep]
    own = Exponents.make(one, none, low, high, model.interpolation)
    other = Exponents.make(one, none, low, high, code)
    largest: FloatArray = np.zeros(keep.size)
    for theta in np.linspace(-1, 1, 201):
        at = np.array([theta])
        largest = np.maximum(largest, np.abs(np.expm1(other.values(at) - own.values(at))))
    worst = int(largest.argmax())
    return float(largest[worst]), model.parameters[model.entry_parameter[keep[worst]]].name


def _need_signal(model: CountingModel) -> None:
    if not model.signal.any():
        raise InputError("the model has no signal; a workspace with a parameter of interest needs one")


def _document(model: CountingModel, *, signal: bool) -> Document:
    if signal:
        _need_signal(model)
    terms = _by_channel(model)
    channels = [
        {"name": name, "samples": _samples(model, [t for t in terms[c] if signal or not model.signal[t]])}
        for c, name in enumerate(model.channels)
    ]
    return {
        "channels": channels,
        "observations": [
            {"name": name, "data": [float(n)]} for name, n in zip(model.channels, model.observed, strict=True)
        ],
        "measurements": [
            {
                "name": "likelihood",
                "config": {"poi": "mu", "parameters": _configuration(model, signal=signal)},
            }
        ],
        "version": "1.0.0",
    }


def _by_channel(model: CountingModel) -> list[list[int]]:
    terms: list[list[int]] = [[] for _ in model.channels]
    for t, c in enumerate(model.term_channel.tolist()):
        terms[c].append(t)
    return terms


def _samples(model: CountingModel, terms: list[int]) -> list[Document]:
    starts = np.searchsorted(model.entry_term, np.arange(len(model.processes) + 1))
    several = len({model.processes[t] for t in terms}) < len(terms)
    samples = []
    for t in terms:
        modifiers = [_modifier(model, e) for e in range(starts[t], starts[t + 1])]
        if model.signal[t]:
            modifiers.insert(0, {"name": "mu", "type": "normfactor", "data": None})
        # In a merged channel the same process comes once per bin.
        name = f"{model.processes[t]}_bin{model.term_bin[t] + 1}" if several else model.processes[t]
        samples.append({"name": name, "data": [float(model.rates[t])], "modifiers": modifiers})
    return samples


def _modifier(model: CountingModel, entry: int) -> Document:
    parameter = model.parameters[model.entry_parameter[entry]]
    if parameter.kind == "free":
        return {"name": parameter.name, "type": "normfactor", "data": None}
    power = FLAT_SCALE if parameter.kind == "flat" else 1.0
    return {
        "name": parameter.name,
        "type": "normsys",
        "data": {
            "hi": float(np.exp(power * model.log_up[entry])),
            "lo": float(np.exp(power * model.log_down[entry])),
        },
    }


def _configuration(model: CountingModel, *, signal: bool) -> list[Document]:
    on_background = set(model.entry_parameter[~model.signal[model.entry_term]].tolist())
    parameters: list[Document] = []
    if signal:
        bound = _mu_bound(model)
        parameters.append({"name": "mu", "bounds": [[0.0, bound]], "inits": [min(1.0, 0.1 * bound)]})
    for j, parameter in enumerate(model.parameters):
        if not signal and j not in on_background:
            continue
        if parameter.kind == "free":
            bounds = [[float(parameter.lower), float(parameter.upper)]]
            parameters.append({"name": parameter.name, "bounds": bounds, "inits": [float(parameter.initial)]})
        elif parameter.kind == "normal":
            # pyhf's own bounds, 5 standard deviations, stop its fit where data pull farther
            bounds = [[-LARGEST_PULL, LARGEST_PULL]]
            parameters.append({"name": parameter.name, "bounds": bounds, "inits": [0.0]})
        elif parameter.kind == "flat":
            bounds = [[parameter.lower / FLAT_SCALE, parameter.upper / FLAT_SCALE]]
            parameters.append({"name": parameter.name, "bounds": bounds, "inits": [0.0]})
    return parameters


def _mu_bound(model: CountingModel) -> float:
    """Far above what any data can want, so that no fit ends there, in proportion to one over the signal's yields."""
    signal = float(model.rates[model.signal].sum())
    return 20.0 * float(model.observed.sum() + model.rates[~model.signal].sum() + 1.0) / signal
