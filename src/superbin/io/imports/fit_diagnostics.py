"""Combine's ``fitDiagnostics`` files: shapes of every channel before and after the fit.

The shapes before the fit are read by default. Those after it have used the observed counts already, so that a limit from
them uses the data twice (too strong by some per cent); they are refused unless a mapping asks for those of the fit without
signal: ``{"postfit": true}``. Other keys: ``signals``, a list of the processes that are signals, where the totals do not
tell; ``channels``, a list of those to take.
Format: the CMS Combine manual, "Plotting with FitDiagnostics" (options ``--saveShapes --saveWithUncertainties
--saveOverallShapes``).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.shown import counted
from superbin.domain.search import Estimate, Process
from superbin.errors import DocumentError, InputError
from superbin.io.imports.base import Faults, Imported, Options, Source
from superbin.io.imports.draft import Draft, DraftSignal
from superbin.io.imports.matrices import Matrix, as_matrix
from superbin.io.root import Histogram, RootFile, is_root, opened

__all__ = ["IMPORTER", "FitDiagnosticsImporter"]

_FITS = ("prefit", "fit_b", "fit_s")
_MAPPING = ("postfit", "signals", "channels")
_SUM = 1e-4
"""Relative agreement of sums; the shapes are in single precision."""


class FitDiagnosticsImporter:
    """A ROOT file with a folder ``shapes_prefit`` (or ``shapes_fit_b``, ``shapes_fit_s``)."""

    name = "fitdiagnostics"
    title = "Combine's fitDiagnostics (ROOT file with shapes_prefit)"

    def recognises(self, source: Source) -> bool:
        """A ROOT file with one of the folders of shapes."""
        if not is_root(source.head(4)):
            return False
        try:
            with opened(source.path) as root:
                return any(f"shapes_{fit}" in root.kinds for fit in _FITS)
        except InputError:
            return False

    def read(self, source: Source, options: Options) -> Imported:
        """Read the shapes of one fit; see the module for which."""
        path = source.path
        with opened(path) as root:
            fit, notes = _fit(root, options)
            channels = _channels(root, fit, options)
            signals = _signals(root, channels, options)
            overall = f"shapes_{fit}/overall_total_covar"
            covariance = root.histogram(overall) if overall in root.kinds else None
        names = tuple(f"{channel.name}/{i + 1}" for channel in channels for i in range(channel.size))
        faults = Faults(path)
        matrix = None
        with faults.gathering():
            matrix = _matrix(channels, covariance, names, str(path), notes)
        observed = np.concatenate([channel.observed(faults) for channel in channels])
        processes = _backgrounds(channels, signals, matrix is not None, faults, notes)
        faults.check()
        shown = ", ".join(c.name for c in channels)
        notes.insert(
            0,
            f"Combine's fitDiagnostics, {fit} shapes: {counted(len(channels), 'channel')} ({shown}), {counted(len(names), 'bin')}",
        )
        draft = Draft(
            place=str(path),
            name=path.stem,
            observed=observed,
            processes=processes,
            names=names,
            notes=notes,
            texts={"source": f"imported from {path.name}, Combine's fitDiagnostics, {fit} shapes"},
            matrix=matrix,
            signals=_signal_drafts(channels, signals, fit, notes),
        )
        notes.append(
            "the axis of these shapes is the number of the bin in its channel; physical edges are in Combine's input shapes"
        )
        return draft.imported(self.name, options, source, keys=_MAPPING)


IMPORTER = FitDiagnosticsImporter()


@dataclass(frozen=True, slots=True)
class _Channel:
    name: str
    shapes: dict[str, Histogram]
    points: tuple[FloatArray, FloatArray]

    @property
    def size(self) -> int:
        return int(self.shapes["total_background"].values.size)

    @property
    def processes(self) -> list[str]:
        return [name for name in self.shapes if not name.startswith("total")]

    @property
    def signal_total(self) -> float:
        total = self.shapes.get("total_signal")
        return 0.0 if total is None else float(total.values.sum())

    def observed(self, faults: Faults) -> FloatArray:
        """Counts of the graph's points, put into the bins by x; a bin without a point observed nothing."""
        counts = np.zeros(self.size)
        edges = self.shapes["total_background"].edges[0]
        for x, y in zip(*self.points, strict=True):
            i = int(np.searchsorted(edges, x, side="right")) - 1
            if not 0 <= i < self.size:
                faults.add(f"{self.name}/data has a point at x = {x:g}, outside the axis of total_background")
            elif y < 0 or abs(y - round(y)) > 1e-6 * max(1.0, y):
                faults.add(
                    f"{self.name}/data is {y:.10g} in bin {i + 1}; observed events are whole numbers >= 0 (shapes divided by "
                    "bin widths, or an Asimov data set, hold none)"
                )
            else:
                counts[i] = round(y)
        return counts


def _fit(root: RootFile, options: Options) -> tuple[str, list[str]]:
    there = [fit for fit in _FITS if f"shapes_{fit}" in root.kinds]
    if not there:
        raise InputError(
            f"{root.path}: no folder shapes_prefit; run combine -M FitDiagnostics --saveShapes --saveWithUncertainties "
            "--saveOverallShapes"
        )
    postfit = options.mapping.get("postfit", False)
    if not isinstance(postfit, bool):
        raise InputError(f"mapping: postfit is {postfit!r}; it must be true or false")
    fit = "fit_b" if postfit else "prefit"
    if fit not in there:
        more = (
            ""
            if postfit
            else (
                '; post-fit shapes use the observed counts twice, shapes_fit_b is taken only with the mapping {"postfit": true}'
            )
        )
        raise InputError(
            f"{root.path}: has no shapes_{fit}, only {', '.join(f'shapes_{f}' for f in there)}{more}"
        )
    notes = []
    if fit == "prefit":
        ignored = [f"shapes_{f}" for f in there if f != "prefit"]
        if ignored:
            notes.append(f"{', '.join(ignored)}: not used, they are post-fit")
    else:
        notes.append(
            f"WARNING: shapes_{fit} are post-fit: these backgrounds depend on the observed counts, and results computed from them use the data twice"
        )
    return fit, notes


def _channels(root: RootFile, fit: str, options: Options) -> list[_Channel]:
    folder = f"shapes_{fit}/"
    names = [
        name.removeprefix(folder)
        for name, kind in root.kinds.items()
        if name.startswith(folder) and kind.startswith("TDirectory")
    ]
    chosen = options.mapping.get("channels", names)
    if isinstance(chosen, str):
        chosen = [chosen]
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        raise InputError(
            f"{root.path}: no channel {unknown[0] if unknown else ''!r} in {folder}; there are {', '.join(names) or 'none'}"
        )
    channels = []
    for name in chosen:
        start = f"{folder}{name}/"
        inside = [n for n in root.names("TH1", "TH2") if n.startswith(start)]
        shapes = {n.removeprefix(start): root.histogram(n) for n in inside}
        for needed in ("total_background", "data"):
            if f"{start}{needed}" not in root.kinds:
                raise DocumentError(
                    f"{root.path}: {start}{needed} is missing; save it with combine --saveShapes"
                )
        channels.append(_Channel(name, shapes, root.graph(f"{start}data")))
    return channels


def _signals(root: RootFile, channels: Sequence[_Channel], options: Options) -> list[str]:
    """Which processes are signals: those named, else those that make up total_signal."""
    processes = sorted({name for channel in channels for name in channel.processes})
    named = options.mapping.get("signals")
    if named is not None:
        named = [named] if isinstance(named, str) else list(named)
        unknown = [name for name in named if name not in processes]
        if unknown:
            raise InputError(
                f"{root.path}: the mapping's signal {unknown[0]!r} is not a process; there are {', '.join(processes)}"
            )
        return named
    total = np.concatenate([_values(c, "total_signal", c.size) for c in channels])
    rows = {name: np.concatenate([_values(c, name, c.size) for c in channels]) for name in processes}
    empty = [name for name, values in rows.items() if not values.any()]
    if not total.any():
        return empty
    rest = [name for name in processes if name not in empty]
    for size in range(1, min(len(rest), 4) + 1):
        for combination in itertools.combinations(rest, size):
            if np.allclose(
                sum(rows[name] for name in combination), total, rtol=_SUM, atol=_SUM * total.max()
            ):
                return [*combination, *empty]
    raise InputError(
        f"{root.path}: no processes add up to total_signal; name the signals with a mapping "
        f'{{"signals": [...]}}; the processes are {", ".join(processes)}'
    )


def _values(channel: _Channel, name: str, size: int) -> FloatArray:
    shape = channel.shapes.get(name)
    return np.zeros(size) if shape is None else shape.values


def _backgrounds(
    channels: Sequence[_Channel], signals: Sequence[str], split: bool, faults: Faults, notes: list[str]
) -> tuple[Process, ...]:
    """The processes where a covariance says how they go together, else their total."""
    total = np.concatenate([c.shapes["total_background"].values for c in channels])
    spread = np.concatenate([c.shapes["total_background"].errors for c in channels])
    names = list(
        dict.fromkeys(name for channel in channels for name in channel.processes if name not in signals)
    )
    parts = {name: np.concatenate([_values(c, name, c.size) for c in channels]) for name in names}
    for name, values in (*parts.items(), ("total_background", total)):
        for i in np.flatnonzero(values < 0):
            faults.add(f"{name} is {values[i]:g} in bin {i + 1}; a background must be >= 0")
    whole = (_process("background", "Background", total, spread),)
    if not names:
        notes.append("total_background: the background; no processes beside it")
        return whole
    summed: FloatArray = np.sum(list(parts.values()), axis=0, dtype=np.float64)
    apart = np.abs(summed - total) > _SUM * np.maximum(total, 1.0)
    if apart.any():
        worst = int(np.argmax(apart))
        faults.add(
            f"the backgrounds add up to {summed[worst]:g} in bin {worst + 1} and total_background is {total[worst]:g}; if a signal is "
            'among them name it with a mapping {"signals": [...]}'
        )
    if not split:
        notes.append(
            f"{', '.join(names)}: not kept apart, because without a covariance only the error of their total is known"
        )
        return whole
    notes.append(f"{', '.join(names)}: backgrounds; they add up to total_background")
    errors = {
        name: np.concatenate(
            [c.shapes[name].errors if name in c.shapes else np.zeros(c.size) for c in channels]
        )
        for name in names
    }
    return tuple(_process(name, name, parts[name], errors[name]) for name in names)


def _process(name: str, label: str, nominal: FloatArray, error: FloatArray) -> Process:
    none = np.zeros(nominal.size)
    # Faults are reported together.
    return Process(name, label, Estimate(np.maximum(nominal, 0.0), none, none, error, error))


def _matrix(
    channels: Sequence[_Channel],
    overall: Histogram | None,
    names: Sequence[str],
    place: str,
    notes: list[str],
) -> Matrix | None:
    size = len(names)
    if overall is not None:
        rows = [f"{channel.name}_{i}" for channel in channels for i in range(channel.size)]
        values, note = _by_labels(overall, rows, size, place), "overall_total_covar: covariance of all bins"
    elif len(channels) == 1 and "total_covar" in channels[0].shapes:
        values = channels[0].shapes["total_covar"].values
        note = "total_covar: covariance of the channel's bins"
    elif any("total_covar" in channel.shapes for channel in channels):
        note = "total_covar: not used, it says nothing of bins of different channels"
        notes.append(f"{note}; run combine with --saveOverallShapes for the covariance of all bins")
        return None
    else:
        notes.append("no covariance in the file; run combine with --saveWithUncertainties for one")
        return None
    if values.shape != (size, size):
        raise DocumentError(
            f"{place}: the covariance has shape {values.shape}; there are {counted(size, 'bin')}"
        )
    notes += [note, *_compared(channels, values, sum((c.signal_total for c in channels), 0.0))]
    return as_matrix(values, place, names=names)


def _by_labels(overall: Histogram, rows: Sequence[str], size: int, place: str) -> FloatArray:
    """The matrix in the order of our bins; its own order is that of its labels, ``channel_0`` and on."""
    labels = overall.labels[0]
    if not any(labels):
        if overall.values.shape != (size, size):
            raise DocumentError(
                f"{place}: overall_total_covar is {overall.values.shape[0]} bins without labels; there are {counted(size, 'bin')}"
            )
        return overall.values
    missing = [row for row in rows if row not in labels]
    if missing:
        raise DocumentError(f"{place}: overall_total_covar has no row {missing[0]!r}")
    order = [labels.index(row) for row in rows]
    return overall.values[np.ix_(order, order)]


def _compared(channels: Sequence[_Channel], covariance: FloatArray, signal: float) -> list[str]:
    quoted = np.concatenate([c.shapes["total_background"].errors for c in channels])
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    live = quoted > 0
    text = "the covariance is that of signal + background"
    text += (
        f"; the signal is {signal:g} events here, so its uncertainty may be in it: repeat with the signal at 0 for the background's"
        if signal > 0
        else ", and the signal is 0 here, so it is the background's"
    )
    notes = [text]
    if live.any():
        ratio = spread[live] / quoted[live]
        notes.append(
            f"its standard deviations are {ratio.min():.3g} to {ratio.max():.3g} times the errors of total_background"
        )
    return notes


def _signal_drafts(
    channels: Sequence[_Channel], signals: Sequence[str], fit: str, notes: list[str]
) -> list[DraftSignal]:
    found: list[DraftSignal] = []
    for name in signals:
        values = np.concatenate([_values(c, name, c.size) for c in channels])
        if not values.any():
            notes.append(f"{name}: 0 in all bins, not used")
        elif fit != "prefit":
            notes.append(f"{name}: a fitted signal, not used")
        elif (values < 0).any():
            notes.append(f"{name}: a signal that is negative in a bin, not used")
        else:
            # The errors of the shapes are total uncertainties, which are no Monte Carlo errors.
            source = f"process {name} of Combine's fitDiagnostics"
            found.append(DraftSignal(name, values, np.zeros_like(values), source))
            notes.append(f"{name}: a signal of {values.sum():g} events; without Monte Carlo errors")
    return found
