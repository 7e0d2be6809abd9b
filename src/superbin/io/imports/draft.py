"""From what an importer found to a `Search`: the parts that all importers share.

A `Draft` gathers numbers, names and notes. `Draft.search` applies what the user said, puts a covariance in the order of the
bins, marks regions that overlap, and says all of it in the notes. Keys of a mapping that every importer takes:

===============================================  ========================================================================
``title reference source licence citation``      texts of the search
``luminosity_fb sqrt_s_tev``                     numbers, where the source does not say them
``covariance``, ``correlations``                 name of a file with the matrix, in the folder of the source (``FILE.root:NAME`` a TH2)
``rescale``                                      true: keep the matrix's correlations and take the quoted errors
``combinable``                                   ``"all"`` or ``"none"`` of the regions exclude each other, or a list of those that do
===============================================  ========================================================================
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin._support.files import lies_in
from superbin.domain.bundle import Bundle
from superbin.domain.covariance import Covariance
from superbin.domain.search import Observable, Process, Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError
from superbin.io.imports.base import Faults, Imported, Options, Source, printable
from superbin.io.imports.matrices import Matrix, read_matrix
from superbin.io.signals import named_point

__all__ = ["Draft", "DraftSignal", "check_names", "identifier", "overlapping", "whole_counts"]

_TEXTS = ("title", "reference", "source", "licence", "citation")
_KEYS = {*_TEXTS, "luminosity_fb", "sqrt_s_tev", "covariance", "correlations", "combinable", "rescale"}
_OVERLAPS = re.compile(
    r"(?:^|[^a-z])(?:inc|incl|inclusive|agg|aggr|aggregate|aggregated|infty|disc|discovery|total|sum)(?=[^a-z]|$)"
)


@dataclass(frozen=True, slots=True)
class DraftSignal:
    """Yields of a signal beside the search.

    Attributes
    ----------
    name : str
        Says model and parameters, as `superbin.io.signals.named_point` reads it.
    yields, errors : ndarray, shape (n_bins,)
        Expected events and their Monte Carlo errors.
    source : str
        Column or histogram.
    variations : mapping of str to (ndarray, ndarray)
        Yields up and down by systematic source.
    point : (str, mapping of str to float), optional
        Model and parameters, where the name does not say them.
    """

    name: str
    yields: FloatArray
    errors: FloatArray
    source: str
    variations: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    point: tuple[str, Mapping[str, float]] | None = None


@dataclass(slots=True)
class Draft:
    """What an importer found.

    Attributes
    ----------
    place : str
        File or folder, for errors.
    name : str
        Name of the search where the user gives none.
    observed, processes, names, observables, low, high
        As for `Search`; without observables the bins are regions.
    notes : list of str
        What was done so far.
    texts : mapping of str to str
        Title, reference, source, licence and citation, where the source says them.
    luminosity_fb, sqrt_s_tev : float or None
        Where the source says them.
    matrix : Matrix or None
        Covariance or correlations, in any order.
    exclusive : bool
        Whether regions without ranges are taken to exclude each other.
    signals : sequence of DraftSignal
    overlaps : ndarray of bool, shape (n_bins, n_bins), optional
        Pairs of regions without ranges that share events, where the source says which do.
    covariance : Covariance, optional
        In the order of the bins, where there is no matrix.
    labels : sequence of str
        What the source calls its rows where they have ranges and no names, such as ``"200 to 300"``.
    matrix_named : bool
        Whether a mapping says what the matrix is.
    """

    place: str
    name: str
    observed: FloatArray
    processes: tuple[Process, ...]
    names: tuple[str, ...]
    notes: list[str]
    observables: tuple[Observable, ...] = ()
    low: FloatArray | None = None
    high: FloatArray | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    luminosity_fb: float | None = None
    sqrt_s_tev: float | None = None
    matrix: Matrix | None = None
    exclusive: bool = True
    signals: Sequence[DraftSignal] = ()
    overlaps: NDArray[np.bool_] | None = None
    covariance: Covariance | None = None
    labels: Sequence[str] = ()
    matrix_named: bool = False

    def imported(self, kind: str, options: Options, source: Source, *, keys: Sequence[str] = ()) -> Imported:
        """Make the bundle of `search`'s search and the draft's signals."""
        return self.bundled(self.search(options, source, keys=keys), kind)

    def bundled(
        self,
        search: Search,
        kind: str,
        *,
        signals: Sequence[SignalModel] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> Imported:
        """Add the draft's signals, further ones and files to its search."""
        try:
            bundle = Bundle(search, (*self._signals(search), *signals), files or {})
        except DocumentError:
            raise
        except InputError as error:
            raise DocumentError(f"{self.place}: {error}") from error
        return Imported(bundle, kind, tuple(self.notes))

    def _signals(self, search: Search) -> Iterator[SignalModel]:
        for signal in self.signals:
            model, parameters = signal.point or named_point(signal.name)
            yield SignalModel(
                model=printable(model),
                parameters={printable(key): value for key, value in parameters.items()},
                search=search.name,
                yields=signal.yields,
                errors=signal.errors,
                source=signal.source,
                variations=signal.variations,
            )

    def search(self, options: Options, source: Source, *, keys: Sequence[str] = ()) -> Search:
        """Make the search.

        Parameters
        ----------
        options : Options
            What the user says.
        source : Source
            Where files that the mapping names lie.
        keys : sequence of str
            Further keys of the mapping that the importer reads itself.

        Raises
        ------
        InputError
            If the options lack something, or the mapping has a key that nothing reads.
        DocumentError
            If the numbers make no search; the text names the file.
        """
        mapping = options.mapping
        unknown = sorted(set(mapping) - _KEYS - set(keys))
        if unknown:
            raise InputError(
                f"mapping: nothing reads the key {unknown[0]!r}; for {self.place} it may have "
                + ", ".join(sorted(_KEYS | set(keys)))
            )
        n_bins = len(self.observed)
        none = np.zeros((n_bins, 0))
        faults = Faults(Path(self.place))
        with faults.gathering():
            _check_sums(self.processes, self.place)
        with faults.gathering():
            _check_rows(self.names, self.observed, self.processes, self.place)
        with faults.gathering():
            check_names(self.names, self.place)
        with faults.gathering():
            check_names([p.name for p in self.processes], f"{self.place}: backgrounds")
        with faults.gathering():
            check_names([o.name for o in self.observables], f"{self.place}: observables")
        covariance = None
        with faults.gathering():
            covariance = self._covariance(options, source)
        faults.check()
        combinable = self._combinable(mapping.get("combinable"), covariance is not None)
        luminosity = options.luminosity(self.place, _number(mapping, "luminosity_fb") or self.luminosity_fb)
        energy = options.energy(_number(mapping, "sqrt_s_tev") or self.sqrt_s_tev)
        for what, taken, said, unit in (
            ("luminosity", luminosity, self.luminosity_fb, "fb^-1"),
            ("centre-of-mass energy", energy, self.sqrt_s_tev, "TeV"),
        ):
            if said is not None:
                other = f" as you say; the source says {said:g}" if taken != said else ", as the source says"
                self.notes.append(f"{what}: {taken:g} {unit}{other}")
        if options.sqrt_s_tev is None and "sqrt_s_tev" not in mapping and self.sqrt_s_tev is None:
            self.notes.append(
                "centre-of-mass energy: not stated, 13 TeV assumed; say another with the mapping's sqrt_s_tev"
            )
        texts = {key: printable(str(mapping.get(key, self.texts.get(key, "")))) for key in _TEXTS}
        name = options.name or identifier(self.name)
        try:
            search = Search(
                name=name,
                title=texts["title"] or name,
                reference=texts["reference"],
                luminosity_fb=luminosity,
                sqrt_s_tev=energy,
                observables=tuple(
                    replace(o, label=printable(o.label), unit=printable(o.unit)) for o in self.observables
                ),
                low=none if self.low is None else self.low,
                high=none if self.high is None else self.high,
                processes=tuple(replace(p, label=printable(p.label)) for p in self.processes),
                observed=self.observed,
                source=texts["source"] or f"imported from {Path(self.place).name}",
                names=self.names,
                combinable=combinable,
                covariance=covariance,
                licence=texts["licence"],
                citation=texts["citation"],
            )
        except DocumentError:
            raise
        except InputError as error:
            raise DocumentError(f"{self.place}: {error}") from error
        self._note_combined(search, given="combinable" in mapping)
        return search

    def _covariance(self, options: Options, source: Source) -> Covariance | None:
        matrix = self.matrix
        parts = (options.mapping, options.mapping.get("tables", {}), options.mapping.get("columns", {}))
        named = self.matrix_named or any(
            key in part for part in parts for key in ("covariance", "correlations")
        )
        for key in ("covariance", "correlations"):
            if key in options.mapping:
                matrix = replace(
                    read_matrix(_beside(source, options.mapping[key], key)),
                    correlations=key == "correlations",
                )
        if matrix is None:
            return self.covariance
        known = bool(self.labels) and set(matrix.names) >= set(self.labels)
        names = self.names or (self.labels if known else ())
        values, order = matrix.ordered(names, len(self.observed))
        up, down = _totals(self.processes)
        if options.mapping.get("rescale") and not matrix.correlations:
            values = _correlations(values, matrix.place)
            matrix = replace(matrix, correlations=True)
        if not matrix.correlations and not named and _may_be_correlations(values, up):
            raise DocumentError(
                f"{matrix.place}: every variance is 1 and the errors of the table are not; where these are correlations say so with a mapping, "
                f'{{"correlations": "{Path(matrix.place).name}"}}, else {{"covariance": "{Path(matrix.place).name}"}}'
            )
        covariance, notes = replace(matrix, values=values).covariance(
            up, down, repair=options.covariance == "repair"
        )
        self.notes.append(f"{Path(matrix.place).name}: covariance of the bins; {order}")
        self.notes += notes
        if not matrix.correlations:
            self.notes.append(_compared(covariance, (up + down) / 2))
        return covariance

    def _combinable(self, given: Any, correlated: bool) -> NDArray[np.bool_] | None:
        """Which regions exclude each other; None where the ranges say it, or all do."""
        n_bins = len(self.observed)
        labels = self.names or tuple(str(i + 1) for i in range(n_bins))
        if given is not None:
            return _chosen(given, labels)
        if self.observables:
            return None
        if not self.exclusive and not correlated and n_bins > 1:
            self.notes.append(
                "the source does not say which regions exclude each other, so none are merged; say it with the mapping's "
                "combinable"
            )
            return np.eye(n_bins, dtype=np.bool_)
        if self.overlaps is not None:
            return self._apart(self.overlaps, labels)
        apart = overlapping(self.names)
        if not apart or n_bins == 1:
            return None
        shown = ", ".join(apart[:5]) + (f" and {len(apart) - 5} more" if len(apart) > 5 else "")
        self.notes.append(
            f"regions {shown}: by their names they contain others, so they are merged with none; correct that with the "
            "mapping's combinable"
        )
        return _chosen([name for name in labels if name not in apart], labels)

    def _apart(self, overlaps: NDArray[np.bool_], labels: Sequence[str]) -> NDArray[np.bool_] | None:
        """Regions that may be merged where the source says which share events."""
        pairs = np.argwhere(np.triu(overlaps))
        if not pairs.size:
            return None
        shown = ", ".join(f"{labels[i]!r} and {labels[j]!r}" for i, j in pairs[:5])
        more = f" and {len(pairs) - 5} more pairs" if len(pairs) > 5 else ""
        self.notes.append(
            f"regions {shown}{more} share events by their cuts and are not merged with each other; correct that with the "
            "mapping's combinable"
        )
        return ~overlaps

    def _note_combined(self, search: Search, *, given: bool) -> None:
        if not self.observables and search.combinable is None and search.n_bins > 1:
            says = "the mapping says so" if given else "say otherwise with the mapping's combinable"
            self.notes.append(f"regions have no ranges and are taken to exclude each other ({says})")


def identifier(text: str) -> str:
    """A name of a search from a title or a file's name: lower case, with hyphens for everything else."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.") or "search"


def overlapping(names: Sequence[str]) -> list[str]:
    """Names of regions that, by their names, contain others: inclusive, aggregate, open and total ones."""
    return [name for name in names if _OVERLAPS.search(name.lower().replace("_", " "))]


def check_names(names: Sequence[str], place: str) -> None:
    """Refuse names that are blank, repeated, or hold characters that do not print, such as controls and bidi marks.

    Raises
    ------
    DocumentError
        With all of them.
    """
    bad = [f"name {i + 1} is {name!r}" for i, name in enumerate(names) if not name or not name.isprintable()]
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        if name in seen:
            bad.append(f"names {seen[name] + 1} and {i + 1} are both {name!r}")
        seen.setdefault(name, i)
    if bad:
        raise DocumentError(f"{place}: {'; '.join(bad[:20])}; names of bins are printable and all different")


def whole_counts(values: Sequence[float] | FloatArray, labels: Sequence[str], place: str) -> FloatArray:
    """Observed events: whole numbers >= 0, after rounding in the seventh digit as stored floats have it.

    Raises
    ------
    DocumentError
        With all that are none; -1 and fractions, which mark a missing bin and a normalised distribution, are explained.
    """
    counts = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        fraction = np.abs(counts - np.round(counts)) > 1e-6 * np.maximum(counts, 1.0)
    bad = ~np.isfinite(counts) | (counts < 0) | fraction
    if bad.any():
        shown = ", ".join(f"{counts[i]:g} in {labels[i]}" for i in np.flatnonzero(bad)[:10])
        why = "observed events are whole numbers >= 0"
        if (counts[bad] < 0).any():
            why += "; a negative one marks a bin that was not measured, leave it out"
        elif np.isnan(counts[bad]).any():
            why += "; this is not a number at all"
        else:
            why += "; this looks like a normalised distribution, which holds no events"
        raise DocumentError(f"{place}: observed is {shown}; {why}")
    return np.round(counts)


def _check_sums(processes: Sequence[Process], place: str) -> None:
    """Refuse a total that stands beside its own parts."""
    if len(processes) < 3:
        return
    every = np.sum([process.estimate.nominal for process in processes], axis=0)
    for process in processes:
        nominal = process.estimate.nominal
        if nominal.any() and np.allclose(nominal, every - nominal, rtol=1e-2, atol=1e-9):
            raise DocumentError(
                f"{place}: background {process.name!r} is the sum of the others and would be counted twice; say which columns are "
                'backgrounds with a mapping, {"columns": {"background": ...}}'
            )


def _check_rows(names: Sequence[str], observed: FloatArray, processes: Sequence[Process], place: str) -> None:
    """Refuse a row that is called a total and is the sum of all others."""
    expected = np.sum([process.estimate.nominal for process in processes], axis=0)
    for i, name in enumerate(names):
        if len(names) < 3 or re.fullmatch(r"\W*(total|sum|all)\W*", name.lower()) is None:
            continue
        same = observed[i] == observed.sum() - observed[i]
        if same and np.isclose(expected[i], expected.sum() - expected[i], rtol=1e-2):
            raise DocumentError(
                f"{place}: {name!r} is the sum of all other rows, which would count twice; leave it out"
            )


def _number(mapping: Mapping[str, Any], key: str) -> float | None:
    value = mapping.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"mapping: {key} is {value!r}; it must be a number")
    return float(value)


def _beside(source: Source, name: object, key: str) -> Path:
    path = source.folder / str(name)
    if not lies_in(path, source.folder):
        raise InputError(f"mapping: {key} is {name!r}; the file must lie in {source.folder}")
    return path


def _totals(processes: Sequence[Process]) -> tuple[FloatArray, FloatArray]:
    """Quoted errors of the total background, upward and downward, processes added in quadrature."""
    estimates = [process.estimate for process in processes]
    up = np.sqrt(sum((e.stat_up**2 + e.syst_up**2 for e in estimates), np.zeros(1)))
    down = np.sqrt(sum((e.stat_down**2 + e.syst_down**2 for e in estimates), np.zeros(1)))
    return up, down


def _correlations(values: FloatArray, place: str) -> FloatArray:
    spread = np.sqrt(np.maximum(np.diag(values), 0.0))
    if (spread == 0).any():
        i = int(np.argmin(spread))
        raise DocumentError(
            f"{place}: the variance of bin {i + 1} is {values[i, i]:g}; it has no correlations to keep"
        )
    return np.asarray(values / np.outer(spread, spread))


def _may_be_correlations(values: FloatArray, errors: FloatArray) -> bool:
    """Whether a matrix looks like correlations: ones on its diagonal, where the quoted errors are others."""
    return len(values) > 1 and bool(
        (np.diag(values) == 1).all() and not np.isclose(errors, 1, rtol=0.05).all()
    )


def _compared(covariance: Covariance, errors: FloatArray) -> str:
    """How the covariance's errors compare with the quoted ones, which published tables let differ."""
    spread = np.sqrt(np.diag(covariance.up))
    used = errors > 0
    if not used.any():
        return "covariance: used for merges; no errors are quoted beside it"
    ratio = spread[used] / errors[used]
    text = (
        f"covariance: used for merges; its standard deviations are {ratio.min():.2f} to {ratio.max():.2f} times the quoted "
        "errors"
    )
    empty = np.flatnonzero(used & (spread == 0)) + 1
    if empty.size:
        text += f"; zero in bins {', '.join(map(str, empty[:10]))}, which quote an error"
    return text


def _chosen(given: Any, labels: Sequence[str]) -> NDArray[np.bool_] | None:
    if given == "all":
        return None
    matrix = np.eye(len(labels), dtype=np.bool_)
    if given == "none":
        return matrix
    if not isinstance(given, list | tuple):
        raise InputError(
            f'mapping: combinable is {given!r}; it must be "all", "none" or a list of names of regions'
        )
    missing = [str(name) for name in given if str(name) not in labels]
    if missing:
        raise InputError(
            f"mapping: combinable names {missing[0]!r}; there is no such region among {', '.join(labels[:10])}"
        )
    places = [labels.index(str(name)) for name in given]
    matrix[np.ix_(places, places)] = True
    return matrix
