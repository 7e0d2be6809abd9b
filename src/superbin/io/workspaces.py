"""HistFactory JSON (the pyhf schema, version 1.0.0) read as a `superbin.statistical_model.StatisticalModel`.

A workspace is whole, or background alone with a JSON Patch (RFC 6902) or one patch of a patch set. Semantics are pyhf 0.7.6's: channels in
order of their names; a parameter is shared by all modifiers of its name; staterror widths are added over the samples that carry them, and
a bin without uncertainty or yield stays at one; the measurement's configuration replaces initial values, bounds, auxiliary data and widths.

Nothing of a document is executed. Every refusal names the file and the JSON path. Specified in ``specs/engine.md``.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.json import parse_json
from superbin._support.shown import counted
from superbin.errors import DocumentError, InputError, UnknownNameError
from superbin.io._faults import Faults
from superbin.io._text import read_text
from superbin.statistical_model import (
    BinRates,
    Channel,
    Constraint,
    Effect,
    LogNormal,
    Morph,
    Normal,
    Parameter,
    Poisson,
    Rate,
    Sample,
    StatisticalModel,
)
from superbin.statistical_model.effects import FactorCode, MorphCode

__all__ = [
    "model_from_workspace",
    "patch_list",
    "patched",
    "patches",
    "read_workspace",
    "with_known_poi",
    "workspace_from_document",
]

VERSION = "1.0.0"
GAMMA_BOUNDS = (1e-10, 10.0)


class _Node:
    """A value of a JSON document with its path, fetched with its type checked."""

    def __init__(self, source: str, value: object, path: str = "$") -> None:
        self.source, self.value, self.path = source, value, path

    def error(self, message: str) -> DocumentError:
        return DocumentError(f"{self.source}: {self.path} {message}")

    def __getitem__(self, key: str) -> "_Node":
        mapping = self.mapping()
        if key not in mapping:
            raise self.error(f"has no {key!r}; HistFactory JSON {VERSION} requires it")
        return _Node(self.source, mapping[key], f"{self.path}.{key}")

    def __contains__(self, key: str) -> bool:
        return key in self.mapping()

    def __iter__(self) -> Iterator["_Node"]:
        if not isinstance(self.value, list):
            raise self.error(f"is {_shown(self.value)}; it must be an array")
        for i, value in enumerate(self.value):
            yield _Node(self.source, value, f"{self.path}[{i}]")

    def mapping(self) -> Mapping[str, Any]:
        if not isinstance(self.value, dict):
            raise self.error(f"is {_shown(self.value)}; it must be an object")
        return self.value

    def only(self, *keys: str) -> "_Node":
        """Refuse entries that the schema does not know, which are mostly misspelt."""
        for key in self.mapping():
            if key not in keys:
                raise self.error(f"has an entry {key!r}; HistFactory JSON {VERSION} knows {', '.join(keys)}")
        return self

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.error(f"is {_shown(self.value)}; it must be a string")
        return self.value

    def number(self) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.error(f"is {_shown(self.value)}; it must be a number")
        try:
            number = float(self.value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.error(f"is {_shown(self.value)}; it must be a finite number")
        return number

    def numbers(self, *, size: int | None = None, of: str = "", low: float = -math.inf) -> FloatArray:
        """An array of finite numbers, perhaps of a given size."""
        values = []
        for node in self:
            value = node.number()
            if value < low:
                raise node.error(f"is {value:g}; it must not be below {low:g}")
            values.append(value)
        if size is not None and len(values) != size:
            raise self.error(f"has {counted(len(values), 'entry')}; {of} has {counted(size, 'bin')}")
        return np.array(values, dtype=np.float64)


def _shown(value: object) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else text[:60] + "..."


# ---------------------------------------------------------------------- files


def read_workspace(
    path: Path,
    *,
    patch: Path | None = None,
    patch_name: str | None = None,
    measurement: str | None = None,
    factors: FactorCode = "code4",
    morphs: MorphCode = "code4p",
) -> StatisticalModel:
    """Read a HistFactory JSON workspace.

    Parameters
    ----------
    path : Path
        The workspace; gzip-compressed where the name ends in ``.gz``.
    patch : Path, optional
        A JSON Patch or a patch set to apply to it.
    patch_name : str, optional
        Which patch of a patch set.
    measurement : str, optional
        By default the first one.
    factors, morphs : str
        Interpolation of ``normsys`` and ``histosys``: the defaults are pyhf's.

    Returns
    -------
    StatisticalModel

    Raises
    ------
    InputError
        If a file cannot be read, or a name is unknown.
    DocumentError
        If a document breaks its format, or the patch belongs to another workspace.
    """
    return workspace_from_document(
        parse_json(read_text(path), path),
        source=str(path),
        name=path.name,
        patch=patch,
        patch_name=patch_name,
        measurement=measurement,
        factors=factors,
        morphs=morphs,
    )


def workspace_from_document(
    document: object,
    *,
    source: str,
    name: str = "",
    patch: Path | None = None,
    patch_name: str | None = None,
    measurement: str | None = None,
    factors: FactorCode = "code4",
    morphs: MorphCode = "code4p",
) -> StatisticalModel:
    """Build the model of a workspace that is parsed already, perhaps with a patch from a file.

    Parameters
    ----------
    document : object
        HistFactory JSON.
    source, name : str
        Where it came from, for messages, and its short name.
    patch, patch_name, measurement, factors, morphs
        As of `read_workspace`.
    """
    name = name or source
    if patch is not None:
        document = patched(document, parse_json(read_text(patch), patch), patch_name, source=str(patch))
        name = f"{name} + {patch.name}" + (f":{patch_name}" if patch_name else "")
    elif patch_name is not None:
        raise InputError(f"a patch is named ({patch_name!r}) but no patch set is given")
    return model_from_workspace(
        document, source=source, name=name, measurement=measurement, factors=factors, morphs=morphs
    )


def patches(document: object, *, source: str = "patch set") -> tuple[str, ...]:
    """Names of the patches of a patch set, in its order.

    Raises
    ------
    DocumentError
        If it is none.
    """
    return tuple(node["metadata"]["name"].text() for node in _Node(source, document)["patches"])


def patch_list(
    content: Any, *, source: str = "patch set"
) -> list[tuple[str, Mapping[str, float], list[Any]]]:
    """Patches of a patch set with their names and parameters; a single patch has neither.

    Raises
    ------
    DocumentError
        If it is neither.
    """
    if isinstance(content, list):
        return [("", {}, content)]
    names = patches(content, source=source)
    labels = content.get("metadata", {}).get("labels", [])
    single: list[tuple[str, Mapping[str, float], list[Any]]] = []
    for name, patch in zip(names, content["patches"], strict=True):
        values = patch["metadata"].get("values", [])
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        point = (
            {str(label): float(value) for label, value in zip(labels, values, strict=True)}
            if numbers and len(labels) == len(values)
            else {}
        )
        if not isinstance(patch.get("patch"), list):
            raise DocumentError(f"{source}: patch {name!r} has no list of operations")
        single.append((name, point, patch["patch"]))
    return single


def with_known_poi(document: Any) -> Any:
    """Return the workspace without a parameter of interest that only its patches bring."""
    try:
        names = {m["name"] for c in document["channels"] for s in c["samples"] for m in s["modifiers"]}
        measurements = [
            m if m["config"]["poi"] in names else m | {"config": m["config"] | {"poi": ""}}
            for m in document["measurements"]
        ]
    except (KeyError, TypeError):
        return document  # which is refused with the place of what is missing
    return document | {"measurements": measurements}


def patched(workspace: Any, patch: Any, name: str | None = None, *, source: str = "patch") -> Any:
    """Return a workspace with a patch applied.

    Parameters
    ----------
    workspace : object
        The parsed JSON; left as it is.
    patch : list or dict
        A JSON Patch, or a patch set.
    name : str, optional
        The patch of a patch set; needed if it has several.
    source : str
        Of the patch, for messages.

    Raises
    ------
    InputError
        If the name is missing or needless.
    UnknownNameError
        If the patch set has no such patch.
    DocumentError
        If the patch does not fit the workspace, or its digest belongs to another one.
    """
    import jsonpatch

    if isinstance(patch, dict):
        patch = _chosen(workspace, _Node(source, patch), name)
    elif name is not None:
        raise InputError(f"{source}: is a single patch; leave out the name {name!r}")
    try:
        return jsonpatch.apply_patch(workspace, patch)
    except (
        jsonpatch.JsonPatchException,
        jsonpatch.JsonPointerException,
        TypeError,
        KeyError,
        ValueError,
    ) as error:
        text = " ".join(str(error).split())
        raise DocumentError(
            f"{source}: the patch does not fit this workspace ({text[:120]}); apply it to the one that it was published with"
        ) from error


def _chosen(workspace: object, patch_set: _Node, name: str | None) -> object:
    known = patches(patch_set.value, source=patch_set.source)
    if name is None and len(known) != 1:
        raise InputError(
            f"{patch_set.source}: holds {len(known)} patches; name one of them, such as {known[0]!r}"
        )
    if name is not None and name not in known:
        raise UnknownNameError(
            f"{patch_set.source}: has no patch {name!r}; it has {', '.join(known[:5])}{', ...' if len(known) > 5 else ''}"
        )
    digests = patch_set["metadata"]["digests"].mapping() if "metadata" in patch_set else {}
    canonical = json.dumps(workspace, sort_keys=True, ensure_ascii=False).encode("utf-8")
    for algorithm in sorted({"md5", "sha256"} & digests.keys()):
        found = hashlib.new(algorithm, canonical, usedforsecurity=False).hexdigest()
        if str(digests[algorithm]).lower() != found:
            raise DocumentError(
                f"{patch_set.source}: belongs to another workspace ({algorithm} {digests[algorithm]}, this one has {found})"
            )
    index = 0 if name is None else known.index(name)
    return list(patch_set["patches"])[index]["patch"].value


# ---------------------------------------------------------------------- the model


@dataclass(slots=True)
class _Set:
    """What the modifiers of one name require of their parameters."""

    kind: str
    size: int
    scalar: bool
    initial: Sequence[float]
    bounds: Sequence[tuple[float, float]]
    fixed: Sequence[bool]
    auxiliary: Sequence[float] | None = None
    widths: Sequence[float] | None = None
    scales: Sequence[float] | None = None

    def names(self, name: str) -> tuple[str, ...]:
        """As pyhf names them: ``name``, or ``name[0]``, ... where bins have their own."""
        return (name,) if self.scalar else tuple(f"{name}[{i}]" for i in range(self.size))


@dataclass(slots=True)
class _Reader:
    root: _Node
    factors: FactorCode
    morphs: MorphCode
    faults: Faults
    configured: dict[str, _Node] = field(default_factory=dict)
    sets: dict[str, _Set] = field(default_factory=dict)
    statistical: dict[str, dict[str, int]] = field(default_factory=dict)  # name -> channel -> first bin

    # -- parameters

    def require(self, node: _Node, name: str, required: _Set) -> None:
        known = self.sets.setdefault(name, required)
        if known.kind != required.kind or known.size != required.size:
            raise node.error(
                f"gives {name!r} {required.size} {required.kind} parameter(s), elsewhere the name has {known.size} {known.kind} one(s); choose another name"
            )

    def normal(self, node: _Node, name: str) -> None:
        self.require(node, name, _Set("normal", 1, True, [0.0], [(-5.0, 5.0)], [False], [0.0], [1.0]))

    def luminosity(self, node: _Node, name: str) -> None:
        if name not in self.configured:
            raise node.error(
                f"needs inits, bounds, auxdata and sigmas of {name!r} in the measurement's parameters"
            )
        config = self.configured[name]
        aux = config["auxdata"].numbers()
        first = float(aux[0]) if aux.size else 1.0
        self.require(
            node,
            name,
            _Set(
                "luminosity",
                1,
                True,
                config["inits"].numbers().tolist(),
                self._bounds(config),
                [False],
                [first],
                config["sigmas"].numbers().tolist(),
            ),
        )

    def rate(self, node: _Node, name: str, size: int, *, scalar: bool) -> None:
        self.require(
            node, name, _Set("free", size, scalar, [1.0] * size, [(0.0, 10.0)] * size, [False] * size)
        )

    def counts(self, node: _Node, name: str, nominal: FloatArray, uncertainty: FloatArray) -> None:
        if name in self.sets:
            raise node.error(
                f"uses the name {name!r} again; a shapesys cannot be shared, choose another name"
            )
        valid = (nominal > 0) & (uncertainty > 0)
        counts = [(n / u) ** 2 if ok else 1.0 for n, u, ok in zip(nominal, uncertainty, valid, strict=True)]
        n = nominal.size
        self.require(
            node,
            name,
            _Set(
                "Poisson",
                n,
                False,
                [1.0] * n,
                [GAMMA_BOUNDS] * n,
                [not ok for ok in valid],
                counts,
                None,
                counts,
            ),
        )

    def _bounds(self, config: _Node) -> list[tuple[float, float]]:
        pairs = []
        for node in config["bounds"]:
            ends = node.numbers()
            if ends.size != 2 or ends[0] > ends[1]:
                raise node.error(f"is {_shown(node.value)}; bounds are a lower and an upper one")
            pairs.append((float(ends[0]), float(ends[1])))
        return pairs

    def parameters(self) -> tuple[Parameter, ...]:
        made: list[Parameter] = []
        for name, required in self.sets.items():
            found = len(self.faults.found)
            with self.faults.gathering():
                self._configure(name, required)
            if len(self.faults.found) > found:
                continue
            for i, full in enumerate(required.names(name)):
                low, high = required.bounds[i]
                try:
                    constraint = _constraint(required, i)
                    made.append(
                        Parameter(
                            full, float(required.initial[i]), low, high, constraint, bool(required.fixed[i])
                        )
                    )
                except InputError as error:
                    place = self.configured.get(name, self.root)
                    with self.faults.gathering():
                        raise place.error(f"is at odds: {error}") from error
        return tuple(made)

    def _configure(self, name: str, required: _Set) -> None:
        config = self.configured.get(name)
        if config is None:
            return
        for key, attribute in (
            ("inits", "initial"),
            ("bounds", "bounds"),
            ("auxdata", "auxiliary"),
            ("sigmas", "widths"),
            ("factors", "scales"),
        ):
            if key not in config:
                continue
            if getattr(required, attribute) is None or (key == "sigmas" and required.kind == "normal"):
                raise config[key].error(f"configures what {name!r} does not have; leave it out")
            values = self._bounds(config) if key == "bounds" else config[key].numbers().tolist()
            if len(values) != required.size:
                raise config[key].error(f"has {counted(len(values), 'entry')}; {name!r} has {required.size}")
            setattr(required, attribute, values)
        if "fixed" in config:
            if not isinstance(config["fixed"].value, bool):
                raise config["fixed"].error(f"is {_shown(config['fixed'].value)}; it must be true or false")
            required.fixed = [config["fixed"].value] * required.size

    # -- staterror, whose parameters depend on all samples that carry it

    def staterrors(self, channels: Sequence[_Node], observed: Mapping[str, FloatArray]) -> None:
        totals: dict[str, dict[str, tuple[FloatArray, FloatArray]]] = {}
        places: dict[str, _Node] = {}
        for channel in channels:
            size = observed[channel["name"].text()].size
            for sample in channel["samples"]:
                with self.faults.gathering():
                    nominal = _nominal(sample, channel["name"].text(), size)
                    for modifier in sample["modifiers"]:
                        if modifier["type"].value != "staterror":
                            continue
                        name = modifier["name"].text()
                        squares = modifier["data"].numbers(size=size, of="the sample", low=0.0) ** 2
                        places.setdefault(name, modifier)
                        by_channel = totals.setdefault(name, {})
                        before = by_channel.get(channel["name"].text(), (np.zeros(size), np.zeros(size)))
                        by_channel[channel["name"].text()] = (before[0] + nominal, before[1] + squares)
        for name, by_channel in totals.items():
            first, widths, fixed = 0, [], []
            self.statistical[name] = {}
            for channel_name in sorted(by_channel):
                nominal, squares = by_channel[channel_name]
                self.statistical[name][channel_name] = first
                first += nominal.size
                some = (nominal > 0) & (squares > 0)
                widths += np.where(some, np.sqrt(squares) / np.where(some, nominal, 1.0), 1.0).tolist()
                fixed += (~some).tolist()
            with self.faults.gathering():
                self.require(
                    places[name],
                    name,
                    _Set(
                        "bin",
                        first,
                        False,
                        [1.0] * first,
                        [GAMMA_BOUNDS] * first,
                        fixed,
                        [1.0] * first,
                        widths,
                    ),
                )

    # -- channels

    def channel(self, node: _Node, observed: FloatArray) -> Channel:
        name = node.only("name", "samples")["name"].text()
        samples: list[Sample] = []
        for sample in node["samples"]:
            with self.faults.gathering():
                samples.append(self.sample(sample, name, observed.size))
        if not list(node["samples"]):
            raise node["samples"].error("is empty; a channel needs a sample")
        return Channel(name, observed, tuple(samples))

    def sample(self, node: _Node, channel: str, size: int) -> Sample:
        name = node.only("name", "data", "modifiers")["name"].text()
        nominal = _nominal(node, channel, size)
        effects: list[Effect] = []
        seen: set[tuple[str, str]] = set()
        for modifier in node["modifiers"]:
            with self.faults.gathering():
                kind, modifier_name = modifier["type"].text(), modifier["name"].text()
                if (kind, modifier_name) in seen:
                    raise modifier.error(
                        f"repeats {kind} {modifier_name!r} on sample {name!r}; give each once"
                    )
                seen.add((kind, modifier_name))
                effects.append(self.effect(modifier, kind, modifier_name, channel, nominal))
        return Sample(name, nominal, tuple(effects))

    def effect(self, node: _Node, kind: str, name: str, channel: str, nominal: FloatArray) -> Effect:
        node.only("name", "type", "data")
        if kind not in _EFFECTS:
            raise node["type"].error(f"is {kind!r}; known modifiers are {', '.join(_EFFECTS)}")
        return _EFFECTS[kind](self, node, name, channel, nominal)

    def histosys(self, node: _Node, name: str, _: str, nominal: FloatArray) -> Effect:
        self.normal(node, name)
        data = node["data"].only("lo_data", "hi_data")
        low = data["lo_data"].numbers(size=nominal.size, of="the sample") - nominal
        high = data["hi_data"].numbers(size=nominal.size, of="the sample") - nominal
        return Morph(name, low, high, self.morphs)

    def normsys(self, node: _Node, name: str, _: str, __: FloatArray) -> Effect:
        self.normal(node, name)
        data = node["data"].only("lo", "hi")
        low, high = data["lo"].number(), data["hi"].number()
        if low <= 0 or high <= 0:
            raise data.error(f"has factors {low:g} and {high:g}; log-normal factors are above zero")
        return LogNormal(name, low, high, self.factors)

    def normfactor(self, node: _Node, name: str, _: str, __: FloatArray) -> Effect:
        self.rate(node, name, 1, scalar=True)
        return Rate(name)

    def lumi(self, node: _Node, name: str, _: str, __: FloatArray) -> Effect:
        self.luminosity(node, name)
        return Rate(name)

    def shapefactor(self, node: _Node, name: str, _: str, nominal: FloatArray) -> Effect:
        self.rate(node, name, nominal.size, scalar=False)
        return BinRates(self.sets[name].names(name))

    def shapesys(self, node: _Node, name: str, _: str, nominal: FloatArray) -> Effect:
        uncertainty = node["data"].numbers(size=nominal.size, of="the sample", low=0.0)
        self.counts(node, name, nominal, uncertainty)
        return BinRates(self.sets[name].names(name))

    def staterror(self, _: _Node, name: str, channel: str, nominal: FloatArray) -> Effect:
        first = self.statistical.get(name, {}).get(channel)
        if first is None:  # a fault of this modifier, or another sample's, is noted already
            return BinRates((None,) * nominal.size)
        return BinRates(self.sets[name].names(name)[first : first + nominal.size])


_EFFECTS: Mapping[str, Callable[[_Reader, _Node, str, str, FloatArray], Effect]] = {
    "histosys": _Reader.histosys,
    "lumi": _Reader.lumi,
    "normfactor": _Reader.normfactor,
    "normsys": _Reader.normsys,
    "shapefactor": _Reader.shapefactor,
    "shapesys": _Reader.shapesys,
    "staterror": _Reader.staterror,
}
"""What each modifier of HistFactory is, by its type: given the reader, the modifier, its name, the channel and the sample's histogram."""


def _nominal(sample: _Node, channel: str, size: int) -> FloatArray:
    return sample["data"].numbers(size=size, of=f"the observation of channel {channel!r}")


def _constraint(required: _Set, i: int) -> Constraint | None:
    if required.auxiliary is None:
        return None
    if required.scales is not None:
        return Poisson(required.auxiliary[i], required.scales[i])
    return Normal(required.auxiliary[i], required.widths[i] if required.widths is not None else 1.0)


def model_from_workspace(
    document: object,
    *,
    source: str = "workspace",
    name: str = "",
    measurement: str | None = None,
    factors: FactorCode = "code4",
    morphs: MorphCode = "code4p",
) -> StatisticalModel:
    """Build the model of a workspace that is parsed already.

    Parameters
    ----------
    document : dict
        HistFactory JSON.
    source : str
        Where it came from, for messages.
    name : str
        Of the model; by default the source.
    measurement, factors, morphs
        As of `read_workspace`.

    Raises
    ------
    InputError
        If the measurement is unknown.
    DocumentError
        If the document breaks its format.
    """
    root = _Node(source, document).only("channels", "measurements", "observations", "version")
    if root["version"].value != VERSION:
        raise root["version"].error(f"is {_shown(root['version'].value)}; superbin reads {VERSION}")
    faults = Faults(source)
    configured: dict[str, _Node] = {}
    observed: dict[str, FloatArray] = {}
    channels: dict[str, _Node] = {}
    with faults.gathering():
        config = _measurement(root, measurement)
        poi = config["poi"].text()
        configured = _configured(config)
    with faults.gathering():
        observed = _observations(root, faults)
    with faults.gathering():
        channels = _by_name(root["channels"], "channel")
        for name_, node in channels.items():
            with faults.gathering():
                if name_ not in observed and not faults.found:
                    raise node.error(
                        f"is channel {name_!r}, which has no observation; add one to $.observations"
                    )
    reader = _Reader(root, factors, morphs, faults, configured)
    ordered = [channels[name_] for name_ in sorted(channels.keys() & observed.keys())]
    with faults.gathering():
        reader.staterrors(ordered, observed)
    made = []
    for node in ordered:
        with faults.gathering():
            made.append(reader.channel(node, observed[node["name"].text()]))
    faults.check()  # what follows depends on all modifiers
    parameters = reader.parameters()
    with faults.gathering():
        if poi and poi not in reader.sets:
            raise config["poi"].error(
                f"is {poi!r}, which no modifier of the workspace has: it has no signal; add one with --patch FILE "
                "(patch= in Python), or name another parameter"
            )
        if poi and not reader.sets[poi].scalar:
            raise config["poi"].error(
                f"is {poi!r}, which has a value in each bin; name a parameter with one value"
            )
    faults.check()
    try:
        return StatisticalModel(tuple(made), parameters, (poi,) if poi else (), name or source)
    except DocumentError:
        raise
    except InputError as error:
        raise DocumentError(f"{source}: {error}") from error


def _by_name(nodes: _Node, what: str) -> dict[str, _Node]:
    found: dict[str, _Node] = {}
    for node in nodes:
        name = node["name"].text()
        if name in found:
            raise node.error(f"is a second {what} {name!r}; names must be unique")
        found[name] = node
    if not found:
        raise nodes.error(f"is empty; a workspace needs a {what}")
    return found


def _observations(root: _Node, faults: Faults) -> dict[str, FloatArray]:
    found: dict[str, FloatArray] = {}
    for name, node in _by_name(root["observations"], "observation").items():
        with faults.gathering():
            data = node.only("name", "data")["data"]
            found[name] = np.zeros(sum(1 for _ in data))  # its size, should the counts be faulty
            found[name] = data.numbers(low=0.0)
    return found


def _measurement(root: _Node, name: str | None) -> _Node:
    known = _by_name(root["measurements"], "measurement")
    if name is not None and name not in known:
        raise UnknownNameError(f"{root.source}: has no measurement {name!r}; it has {', '.join(known)}")
    chosen = known[name if name is not None else next(iter(known))]
    return chosen.only("name", "config")["config"].only("poi", "parameters")


def _configured(config: _Node) -> dict[str, _Node]:
    parameters = list(config["parameters"])
    if not parameters:
        return {}
    found = _by_name(config["parameters"], "configuration of")
    for node in found.values():
        node.only("name", "inits", "bounds", "auxdata", "factors", "sigmas", "fixed")
    return found
