r"""ROOT files of histograms: observed counts, backgrounds, covariance and signals as TH1, TH2, TH3, THn or THnSparse.

Without a mapping, ``data``, ``data_obs`` or ``observed`` (also at the end of a name: ``SR_data``) is what was observed; other
histograms of the same binning are backgrounds, except those named ``sig...`` or by two masses (``T1bbbb_1500_100``), which are
signals. ``PROCESS_SOURCEUp`` and ``...Down`` are systematic variations. A TH2 with a row per bin and a name or title with
"cov" (or "corr") is the covariance (the correlations). A mapping says it otherwise:

===============  ======================================================================================================
key              what it says
===============  ======================================================================================================
``folder``       the folder whose histograms are read; names are then those within it
``observed``     name of the histogram
``backgrounds``  list of names, or one pattern (regular expression)
``errors``       ``"histogram"`` (default: the histograms' own), ``"none"``, or {background: name of the histogram of errors}
``negative``     ``"zero"``: set negative contents of backgrounds, which weighted events leave, to zero
``covariance``   name of the TH2, or of a file beside; ``correlations`` likewise
``signals``      pattern; its groups are the parameters of the model, such as ``sig_(\d+)_(\d+)``
``model``        name of the model of these signals; by default what precedes the masses in their names
``parameters``   names of the groups; by default m_mother, m_lsp
``observables``  names of the axes, such as ``["met"]``; by default the axes' titles
===============  ======================================================================================================

Bins of two or more dimensions become a list with the last axis running fastest. Under- and overflow are no bins of the search.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.search import Estimate, Observable, Process
from superbin.errors import DocumentError, InputError
from superbin.io.imports.base import Faults, Imported, Options, Source
from superbin.io.imports.draft import Draft
from superbin.io.imports.matrices import Matrix, as_matrix
from superbin.io.imports.ranges import observable
from superbin.io.root import Histogram, RootFile, is_root, opened
from superbin.io.signals import histogram_signals

__all__ = ["IMPORTER", "RootImporter"]

_KEYS = (
    "folder",
    "observed",
    "backgrounds",
    "errors",
    "negative",
    "signals",
    "model",
    "parameters",
    "observables",
)
_MATRICES = ("covariance", "correlations")
_DATA = re.compile(r"(?:.*[_/])?(?:h_?)?(?:data|data_obs|observed|obs)", re.IGNORECASE)
_SIGNAL = re.compile(r"(?:.*/)?(?:\w*_)?(?:sig|signal)(?:[_\d]\w*)?", re.IGNORECASE)
_POINT = r"(?:.*/)?[A-Za-z]\w*?_(?:m\w*?_?)?(\d+(?:[.p]\d+)?)_(?:m\w*?_?)?(\d+(?:[.p]\d+)?)"
_TOTAL = re.compile(r"(?:.*[_/])?(?:total(?:_?(?:background|bkg))?|background|bkg|total_?b)", re.IGNORECASE)
_SIDE = re.compile(r"(?P<stem>.+?)_?(?P<side>Up|Down|UP|DOWN|up|down)")


class RootImporter:
    """A ROOT file of histograms."""

    name = "root"
    title = "a ROOT file of histograms (TH1, TH2, TH3, THn)"

    def recognises(self, source: Source) -> bool:
        """Any ROOT file; what it lacks is said when it is read."""
        return is_root(source.head(4))

    def read(self, source: Source, options: Options) -> Imported:
        """Read the histograms; see the module for their names."""
        path = source.path
        mapping = options.mapping
        with opened(path) as root:
            broken: dict[str, str] = {}
            every = _read_all(root, mapping, broken)
            observed_name = _observed(root, every, mapping)
            found, observed_name, notes = _of_channel(every, observed_name)
            roles = _roles(root, found, observed_name, mapping, notes, broken)
        data = found[roles.observed]
        faults = Faults(path)
        observables, low, high, names = _bins(data, mapping, notes)
        observed = _counts(data, faults)
        processes = tuple(_process(name, roles, found, mapping, faults) for name in roles.backgrounds)
        matrix = None
        with faults.gathering():
            matrix = _matrix(roles, found, notes, str(path))
        faults.check()
        outside = [name for name in (roles.observed, *roles.backgrounds) if found[name].outside > 0]
        if outside:
            notes.append(
                "under- and overflow are not read, and are not empty: "
                + ", ".join(f"{name} has {found[name].outside:g} there" for name in outside[:10])
            )
        notes += [f"{name}: not used, {why.removeprefix(f'{path}: ')}" for name, why in broken.items()]
        notes.insert(
            0,
            f"a ROOT file of {counted(len(every), 'histogram')}; {roles.observed} has {counted(observed.size, 'bin')}",
        )
        draft = Draft(
            place=str(path),
            name=path.stem,
            observed=observed,
            processes=processes,
            names=names,
            notes=notes,
            observables=observables,
            low=low,
            high=high,
            matrix=matrix,
            matrix_named=any(key in mapping for key in _MATRICES),
        )
        if draft.matrix is not None:
            # The mapping's name of it is that of a histogram, and not of a file beside.
            options = replace(options, mapping={k: v for k, v in mapping.items() if k not in _MATRICES})
        search = draft.search(options, source, keys=_KEYS)
        signals = histogram_signals(
            {name: found[name] for name in roles.signals},
            search,
            pattern=roles.pattern,
            model=mapping.get("model"),
            parameters=mapping.get("parameters"),
            source=path.name,
        )
        if signals:
            last = "" if len(signals) == 1 else f" to {signals[-1].label}"
            notes.append(f"signals: {signals[0].label}{last}; Monte Carlo errors from the histograms")
        return draft.bundled(search, self.name, signals=signals)


IMPORTER = RootImporter()


@dataclass(frozen=True, slots=True)
class _Roles:
    observed: str
    backgrounds: tuple[str, ...]
    variations: Mapping[str, Mapping[str, tuple[str, str]]]
    """By background and source: names of the histograms up and down."""
    covariance: str | None
    correlations: bool
    signals: tuple[str, ...]
    pattern: str


def _read_all(root: RootFile, mapping: Mapping[str, object], broken: dict[str, str]) -> dict[str, Histogram]:
    folder = str(mapping.get("folder", "")).strip("/")
    start = f"{folder}/" if folder else ""
    found = {
        h.name.removeprefix(start): h
        for h in root.histograms(lambda name: name.startswith(start), broken=broken)
    }
    named = {
        str(name) for value in mapping.values() for name in (value if isinstance(value, list) else [value])
    }
    wrong = [name for name in broken if name.removeprefix(start) in named or _DATA.fullmatch(name)]
    if wrong or (broken and not found):
        raise DocumentError(broken[wrong[0] if wrong else next(iter(broken))])
    if found:
        return found
    trees = root.names("TTree", "TNtuple", "ROOT::RNTuple")
    advice = ""
    if folder:
        advice = f" in folder {folder!r}"
    elif trees:
        advice = (
            f"; tree {trees[0]!r} holds events: count them in the bins of a search that is imported already, with "
            "superbin.io.signals.signal_from_tree"
        )
    raise InputError(f"{root.path}: no histogram{advice}")


def _roles(
    root: RootFile,
    found: Mapping[str, Histogram],
    observed: str,
    mapping: Mapping[str, object],
    notes: list[str],
    broken: Mapping[str, str],
) -> _Roles:
    notes.append(f"{observed}: observed events")
    shape = found[observed].values.shape
    alike = [name for name in found if name != observed and found[name].values.shape == shape]
    signals, pattern = _signal_names(alike, mapping)
    rest = [name for name in alike if name not in set(signals)]
    covariance, correlations = _covariance_name(root, found, observed, mapping)
    rest = [name for name in rest if name != covariance]
    variations: dict[str, dict[str, tuple[str, str]]] = {}
    given = mapping.get("backgrounds")
    if given is None:
        bare, variations = _varied(rest)
        backgrounds = _without_total(root, bare, found, notes)
    else:
        backgrounds = _named(root, found, given)
        wrong = [name for name in backgrounds if found[name].values.shape != shape]
        if wrong:
            raise DocumentError(
                f"{root.path}: {wrong[0]} has {found[wrong[0]].values.shape} bins and {observed} has {shape}"
            )
        _, variations = _varied([*rest, *(b for b in backgrounds if b not in rest)])
    if not backgrounds and broken:
        raise DocumentError(
            f"{root.path}: no background with the {shape} bins of {observed} can be read; "
            + "; ".join(why.removeprefix(f"{root.path}: ") for why in list(broken.values())[:10])
        )
    if not backgrounds:
        raise InputError(
            f"{root.path}: no background with the {shape} bins of {observed}; name them with a mapping "
            f'{{"backgrounds": [...]}}; there are {", ".join(list(found)[:10])}'
        )
    for name in backgrounds:
        sources = ", ".join(variations.get(name, {}))
        notes.append(f"{name}: a background{f', varied by {sources}' if sources else ''}")
        if not found[name].weighted and mapping.get("errors", "histogram") == "histogram":
            notes.append(
                f"{name} has no sums of squared weights; its error is the square root of its content, as ROOT has it"
            )
    used = {observed, covariance, *backgrounds, *signals} | {
        name for sources in variations.values() for pair in sources.values() for name in pair
    }
    ignored = [name for name in found if name not in used]
    if ignored:
        shown = ", ".join(ignored[:10]) + (f" and {len(ignored) - 10} more" if len(ignored) > 10 else "")
        notes.append(f"ignored: {shown}")
    kept = {name: variations[name] for name in backgrounds if name in variations}
    return _Roles(observed, tuple(backgrounds), kept, covariance, correlations, tuple(signals), pattern)


def _of_channel(
    found: Mapping[str, Histogram], observed: str
) -> tuple[Mapping[str, Histogram], str, list[str]]:
    """Histograms of the channel that the name of the observed counts begins with, where other channels have theirs too.

    Names are then without the channel; matrices without one stay.
    """
    match = re.fullmatch(r"(.*?[_/])(?:h_?)?(?:data|data_obs|observed|obs)", observed, re.IGNORECASE)
    others = [name for name in found if name != observed and _DATA.fullmatch(name)]
    if match is None or not others:
        return found, observed, []
    channel = match.group(1)
    kept = {
        name.removeprefix(channel).lstrip("_/"): h for name, h in found.items() if name.startswith(channel)
    }
    kept |= {
        name: h
        for name, h in found.items()
        if h.values.ndim == 2 and not name.startswith(channel) and re.search("cov|corr", name, re.IGNORECASE)
    }
    left = len(found) - len(kept)
    return (
        kept,
        observed.removeprefix(channel),
        [f"channel {channel!r}: {left} histograms of others are not used"],
    )


def _observed(root: RootFile, found: Mapping[str, Histogram], mapping: Mapping[str, object]) -> str:
    given = mapping.get("observed")
    if given is not None:
        return _named(root, found, [given])[0]
    candidates = [name for name in found if _DATA.fullmatch(name)]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise InputError(
            f"{root.path}: {', '.join(candidates[:10])} may all be the observed counts; choose with a mapping "
            '{"observed": NAME}, or {"folder": NAME} for one channel'
        )
    shown = ", ".join(list(found)[:5])
    advice = 'name it with a mapping {"observed": NAME}'
    if all(re.fullmatch(_POINT, name) or _SIGNAL.fullmatch(name) for name in found):
        advice = "these look like signals: read them with superbin.io.signals.signals_from_root in the bins of an imported search"
    elif any(re.search(r"Hist\dD_y\d+", name) for name in found):
        advice = "this is hepdata.net's ROOT file, import the YAML or JSON of the record, which say more"
    elif all(h.values.ndim == 2 for h in found.values()):
        advice = "there are only TH2, covariances perhaps; the yields must come from elsewhere"
    raise InputError(
        f"{root.path}: no histogram is called data, data_obs or observed; there are {shown}; {advice}"
    )


def _named(root: RootFile, found: Mapping[str, Histogram], given: object) -> list[str]:
    if isinstance(given, str):
        return [name for name in found if re.fullmatch(_pattern(given), name)]
    names = [str(name) for name in given]  # type: ignore[attr-defined]
    for name in names:
        if name not in found:
            raise InputError(
                f"{root.path}: no histogram {name!r}, which the mapping names; there are {', '.join(list(found)[:10])}"
            )
    return names


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise InputError(f"{text!r} is not a regular expression ({error})") from None
    return text


def _signal_names(alike: Sequence[str], mapping: Mapping[str, object]) -> tuple[list[str], str]:
    given = mapping.get("signals")
    if given is not None:
        pattern = _pattern(str(given))
        return [name for name in alike if re.fullmatch(rf"(?:{pattern})(?:_\w+?(?:Up|Down))?", name)], pattern
    points = [name for name in alike if re.match(rf"{_POINT}(?:_[A-Za-z]\w*?(?:Up|Down))?$", name)]
    return points or [name for name in alike if _SIGNAL.fullmatch(name)], _POINT if points else r"(?:.*/)?\w+"


def _covariance_name(
    root: RootFile, found: Mapping[str, Histogram], observed: str, mapping: Mapping[str, object]
) -> tuple[str | None, bool]:
    """The TH2 with the covariance, and whether it holds correlations; None too where the mapping names a file beside."""
    size = found[observed].values.size
    for key in _MATRICES:
        given = mapping.get(key)
        if given is None:
            continue
        beside = str(given).partition(".root:")
        if given not in found and (root.path.parent / f"{beside[0]}{'.root' if beside[1] else ''}").is_file():
            return None, False
        name = _named(root, found, [given])[0]
        if found[name].values.shape != (size, size):
            raise DocumentError(
                f"{root.path}: {name} has shape {found[name].values.shape}; a covariance of {observed} is ({size}, {size})"
            )
        return name, key == "correlations"
    words = {name: f"{name} {h.title}".lower() for name, h in found.items() if h.values.shape == (size, size)}
    covariances = [name for name, text in words.items() if "cov" in text]
    preferred = covariances or [name for name, text in words.items() if "corr" in text]
    if len(preferred) > 1:
        raise InputError(
            f"{root.path}: {', '.join(preferred)} may all be the covariance; choose with a mapping "
            '{"covariance": NAME}'
        )
    return (preferred[0] if preferred else None), not covariances


def _varied(names: Sequence[str]) -> tuple[list[str], dict[str, dict[str, tuple[str, str]]]]:
    """Names that are no variations, and the pairs ``PROCESS_SOURCEUp`` and ``...Down`` by process and source."""
    sides: dict[tuple[str, str], str] = {}
    for name in names:
        match = _SIDE.fullmatch(name)
        if match is not None:
            sides[match["stem"], match["side"].lower()] = name
    pairs = {
        stem: (sides[stem, "up"], sides[stem, "down"])
        for stem, side in sides
        if (stem, "down") in sides and side == "up"
    }
    varied = {name for pair in pairs.values() for name in pair}
    bare = [name for name in names if name not in varied]
    by_process: dict[str, dict[str, tuple[str, str]]] = {}
    for stem, pair in pairs.items():
        owners = [name for name in bare if stem.startswith(f"{name}_")]
        if owners:
            owner = max(owners, key=len)
            by_process.setdefault(owner, {})[stem.removeprefix(f"{owner}_")] = pair
    return bare, by_process


def _without_total(
    root: RootFile, names: Sequence[str], found: Mapping[str, Histogram], notes: list[str]
) -> list[str]:
    """Leave out a total beside its processes, which would count them twice."""
    totals = [name for name in names if _TOTAL.fullmatch(name)]
    rest = [name for name in names if name not in totals]
    if not totals or not rest:
        return list(names)
    summed = np.sum([found[name].values for name in rest], axis=0)
    for total in totals:
        if not np.allclose(found[total].values, summed, rtol=1e-4, atol=1e-4):
            raise InputError(
                f"{root.path}: {total} looks like the total background and is not the sum of {', '.join(rest[:10])}; say "
                'which count with a mapping {"backgrounds": [...]}'
            )
        notes.append(f"{total}: the sum of the other backgrounds, not counted again")
    return rest


def _bins(
    data: Histogram, mapping: Mapping[str, object], notes: list[str]
) -> tuple[tuple[Observable, ...], FloatArray, FloatArray, tuple[str, ...]]:
    """Observables, edges (n_bins, n_observables) and names; the last axis runs fastest."""
    size = data.values.size
    if data.values.ndim == 1 and all(data.labels[0]) and data.labels[0] and "observables" not in mapping:
        notes.append("the bins are named by the labels of the axis; they have no ranges")
        return (), np.zeros((size, 0)), np.zeros((size, 0)), tuple(data.labels[0])
    given = mapping.get("observables")
    titles = [title or ("xyz"[i] if i < 3 else f"axis {i + 1}") for i, title in enumerate(data.axes)]
    names = titles if given is None else [given] if isinstance(given, str) else [str(n) for n in given]  # type: ignore[attr-defined]
    if len(names) != data.values.ndim:
        raise InputError(
            f"the mapping names {len(names)} observables; {data.name} has {data.values.ndim} axes"
        )
    observables = tuple(observable(name) for name in names)
    lows, highs = [], []
    for axis, edges in zip(observables, data.edges, strict=True):
        low, high = edges[:-1], edges[1:]
        if axis.discrete:
            # ROOT's bins include their lower edge: [2, 3) and [1.5, 2.5) are both the count 2.
            low, high = np.ceil(low), np.ceil(high) - 1
        lows.append(low)
        highs.append(high)
    grids = [np.meshgrid(*sides, indexing="ij") for sides in (lows, highs)]
    low, high = (np.stack([g.ravel() for g in sides], axis=1) for sides in grids)
    notes.append(
        "the bins are ranges of "
        + ", ".join(o.name for o in observables)
        + "; the last one ends at its upper edge, unless the overflow was added to it"
    )
    return observables, low, high, ()


def _counts(data: Histogram, faults: Faults) -> FloatArray:
    values = data.values.ravel()
    for i, value in enumerate(values):
        if value < 0 or abs(value - round(value)) > 1e-6 * max(1.0, value):
            faults.add(
                f"{data.name} is {value:.10g} in bin {i + 1}; observed events are whole numbers >= 0"
                + (
                    ", and -1 or the like marks a missing bin: leave it out"
                    if value < 0
                    else " (a normalised distribution, or one divided by bin widths, cannot be used)"
                )
            )
    return np.asarray(np.round(np.maximum(values, 0.0)), dtype=np.float64)


def _process(
    name: str, roles: _Roles, found: Mapping[str, Histogram], mapping: Mapping[str, object], faults: Faults
) -> Process:
    h = found[name]
    nominal = h.values.ravel()
    if mapping.get("negative") not in (None, "zero"):
        raise InputError(f"mapping: negative is {mapping['negative']!r}; it must be zero")
    for i in np.flatnonzero(nominal < 0) if mapping.get("negative") is None else ():
        faults.add(
            f"{name} is {nominal[i]:g} in bin {i + 1}; a background must be >= 0, set such bins to zero with a mapping, "
            '{"negative": "zero"}'
        )
    stat = _stat(h, found, mapping, faults)
    up, down = np.zeros((2, nominal.size))
    for above, below in roles.variations.get(name, {}).values():
        shifts = np.array([found[side].values.ravel() - nominal for side in (above, below)])
        # Of two shifts to the same side the larger counts.
        up += np.maximum(shifts.max(axis=0), 0.0) ** 2
        down += np.maximum(-shifts.min(axis=0), 0.0) ** 2
    short = name.rpartition("/")[2]
    return Process(short, short, Estimate(np.maximum(nominal, 0.0), stat, stat, np.sqrt(up), np.sqrt(down)))


def _stat(
    h: Histogram, found: Mapping[str, Histogram], mapping: Mapping[str, object], faults: Faults
) -> FloatArray:
    errors = mapping.get("errors", "histogram")
    if isinstance(errors, Mapping):
        name = errors.get(h.name.rpartition("/")[2], errors.get(h.name))
        if name is None:
            return np.zeros(h.values.size)
        if name not in found or found[name].values.shape != h.values.shape:
            faults.add(f"the mapping's errors {name!r} of {h.name} is not a histogram of the same bins")
            return np.zeros(h.values.size)
        values = found[name].values.ravel()
        for i in np.flatnonzero(values < 0):
            faults.add(f"{name} is {values[i]:g} in bin {i + 1}; an error must be >= 0")
        return np.maximum(values, 0.0)
    if errors not in ("histogram", "none"):
        faults.add(
            f"the mapping says errors {errors!r}; 'histogram', 'none' or {{background: name}} is needed"
        )
    return np.zeros(h.values.size) if errors == "none" else h.errors.ravel()


def _matrix(roles: _Roles, found: Mapping[str, Histogram], notes: list[str], place: str) -> Matrix | None:
    name = roles.covariance
    if name is None:
        return None
    h = found[name]
    notes.append(f"{name}: {'correlations' if roles.correlations else 'covariance'} of the total background")
    if "signal" in h.title.lower():
        notes.append(f"{name} is titled {h.title!r}: it may include the uncertainty of a signal")
    labels = h.labels[0] if h.labels and all(h.labels[0]) else ()
    return as_matrix(h.values, f"{place}: {name}", names=labels, correlations=roles.correlations)
