"""What a multi-bin search published: its bins, observed counts and backgrounds.

`Search` is the frozen, validated value that all other modules read. A bin is a product of ranges in the
observables; continuous ranges exclude their lower edge and include their upper one, discrete ranges include
both, and an infinite upper edge means "and above". A search may also have named regions without any ranges. Bins
are stored in order and identified by their published 1-based number wherever a person reads them.
`Search.from_arrays` makes a search from a few arrays.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.shown import Shown, counted
from superbin.domain.covariance import Covariance
from superbin.errors import InputError

__all__ = ["Estimate", "Observable", "Process", "Search"]


@dataclass(frozen=True, slots=True)
class Observable:
    """A quantity the bins are ranges of.

    Parameters
    ----------
    name : str
        Identifier, such as ``"mht"``.
    label : str
        Mathtext, read by Matplotlib and LaTeX alike, such as ``"$H_T$"``.
    unit : str
        ``"GeV"`` or empty.
    discrete : bool
        Whether it counts something; its ranges then include both ends.
    """

    name: str
    label: str
    unit: str = ""
    discrete: bool = False

    def text(self, low: float, high: float) -> str:
        """Write a range as a person does, without the unit: ``3-4``, ``>= 9``, ``350-500``, ``> 1000``, ``-0.5 to 0.5``."""
        if np.isinf(high):
            return f"{'>=' if self.discrete else '>'} {low:g}"
        if low == high:
            return f"{low:g}"
        return f"{low:g} to {high:g}" if low < 0 else f"{low:g}-{high:g}"


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A background prediction per bin with asymmetric uncertainties, in events.

    Parameters
    ----------
    nominal, stat_up, stat_down, syst_up, syst_down : array_like, shape (n_bins,)
        Events, all >= 0. The uncertainties are distances from the nominal, not variations of it.

    Raises
    ------
    InputError
        If the shapes differ or an entry is negative, NaN or infinite.
    """

    nominal: FloatArray
    stat_up: FloatArray
    stat_down: FloatArray
    syst_up: FloatArray
    syst_down: FloatArray

    def __post_init__(self) -> None:
        shape = np.shape(self.nominal)
        for name in self.__slots__:
            object.__setattr__(self, name, frozen_array(getattr(self, name), name=name, shape=shape))


@dataclass(frozen=True, slots=True)
class Process:
    """One source of background.

    Parameters
    ----------
    name : str
        Identifier, such as ``"lostlep"``.
    label : str
        Mathtext for legends and tables.
    estimate : Estimate
        Its prediction in every bin.
    """

    name: str
    label: str
    estimate: Estimate


@dataclass(frozen=True, eq=False, repr=False)
class Search(Shown):
    """A search in exclusive bins, as published.

    Parameters
    ----------
    name : str
        Identifier, such as ``"cms-pas-sus-16-014"``.
    title : str
        The title of the publication.
    reference : str
        Its public identifier, as written in a list of references.
    luminosity_fb : float
        Integrated luminosity in fb^-1.
    sqrt_s_tev : float
        Centre-of-mass energy in TeV.
    observables : tuple of Observable
        The axes of the bins; empty for regions that have names only.
    low, high : array_like, shape (n_bins, n_observables)
        Edges of every bin, in the observables' units; `high` may be infinite.
    processes : tuple of Process
        The backgrounds.
    observed : array_like, shape (n_bins,)
        Observed events, whole numbers.
    shared_stat : tuple of tuple of str
        Groups of processes whose statistical uncertainties come from the same events and so add linearly.
    source : str
        Where the numbers come from and how they were derived.
    names : tuple of str
        Names of the bins, all different; empty where bins are known by their numbers.
    combinable : array_like of bool, shape (n_bins, n_bins), optional
        Which two regions are exclusive and may be merged; symmetric, the diagonal is ignored. By default all are: bins
        with ranges are then checked for overlap, regions without ranges are taken as exclusive.
    covariance : Covariance, optional
        Of the total background of the bins; where there is one it is what merges use unless told otherwise.
    licence, citation : str
        The licence of the data, and how their authors want to be cited; empty where none is stated.
    accuracy : str
        What is known of how well the numbers agree with the experiment's own; empty where nothing is.
    simulation : tuple of str
        Constants of the simulation in which this search differs from the default, such as ``"selection.min_njet=2"``, as
        `superbin.generate.Cards.changed` takes them. A catalog fills them in from the search's ``generator-card.json``.

    Raises
    ------
    InputError
        If shapes, names, edges or counts are inconsistent, or bins overlap; the text names the bin.
    """

    name: str
    title: str
    reference: str
    luminosity_fb: float
    sqrt_s_tev: float
    observables: tuple[Observable, ...]
    low: FloatArray
    high: FloatArray
    processes: tuple[Process, ...]
    observed: FloatArray
    shared_stat: tuple[tuple[str, ...], ...] = ()
    source: str = ""
    names: tuple[str, ...] = ()
    combinable: NDArray[np.bool_] | None = None
    covariance: Covariance | None = None
    licence: str = ""
    citation: str = ""
    accuracy: str = ""
    simulation: tuple[str, ...] = ()

    def _shown(self) -> tuple[str, dict[str, str]]:
        across = ", ".join(o.name for o in self.observables) or "named regions"
        facts = {
            "": f"{counted(self.n_bins, 'bin')}",
            "in": across,
            "at": f"{self.luminosity_fb:g} fb^-1",
            "with": "correlations: " + ("none" if self.covariance is None else self.covariance.source),
        }
        return self.name, facts

    @classmethod
    def from_arrays(
        cls,
        name: str,
        *,
        observed: ArrayLike,
        background: ArrayLike | Mapping[str, ArrayLike],
        error: object = 0.0,
        luminosity_fb: float,
        sqrt_s_tev: float = 13.0,
        edges: Mapping[str | Observable, object] | None = None,
        names: Sequence[str] = (),
        combinable: ArrayLike | None = None,
        covariance: Covariance | ArrayLike | None = None,
        title: str = "",
        reference: str = "",
        source: str = "",
        licence: str = "",
        citation: str = "",
        accuracy: str = "",
    ) -> "Search":
        """Make a search from arrays, with defaults for everything that has one.

        Parameters
        ----------
        name : str
            Identifier of the search.
        observed : array_like, shape (n_bins,)
            Observed events, whole numbers.
        background : array_like, shape (n_bins,), or mapping of str to array_like
            Expected events: the total, or one array per process.
        error : array_like, tuple of two array_like, or mapping of str to either
            Uncertainty of the background in events: symmetric, a number or one per bin; or a tuple ``(up, down)`` of
            distances from the background, both >= 0. For several processes a mapping with the keys of `background`;
            processes that it lacks have none. Leave it out where a covariance is given.
        luminosity_fb : float
            Integrated luminosity, fb^-1.
        sqrt_s_tev : float
            Centre-of-mass energy, TeV.
        edges : mapping of str or Observable, optional
            Ranges of the bins, by observable: a pair of arrays ``(low, high)``, each of shape (n_bins,), or, for a
            search in one observable, its n_bins + 1 edges. By default the bins are regions without ranges.
        names : sequence of str
            Names of the bins; by default they are known by their numbers.
        combinable : array_like of bool, optional
            As for `Search`.
        covariance : Covariance or array_like, shape (n_bins, n_bins), optional
            Of the total background, events squared; an array is the same for both sides.
        title, reference, source, licence, citation, accuracy : str
            As for `Search`; the title is by default the name.

        Returns
        -------
        Search

        Raises
        ------
        InputError
            If shapes differ or a value is outside its domain; the text names the bin.

        Examples
        --------
        >>> search = Search.from_arrays(
        ...     "mine", observed=[12, 3], background=[10.2, 4.1], error=([2.0, 1.5], [1.5, 1.0]), luminosity_fb=139,
        ...     edges={"met": [200, 400, 800]},
        ... )
        >>> search.n_bins, search.processes[0].estimate.syst_up.tolist()
        (2, [2.0, 1.5])
        """
        counts = frozen_array(observed, name="observed")
        if counts.ndim != 1 or counts.size == 0:
            raise InputError(f"observed has shape {counts.shape}; one count per bin is needed")
        observables, low, high = _ranges(edges or {}, counts.size)
        parts = background if isinstance(background, Mapping) else {"background": background}
        errors = error if isinstance(error, Mapping) else dict.fromkeys(parts, error)
        unknown = [key for key in errors if key not in parts]
        if unknown:
            raise InputError(
                f"error names process {unknown[0]!r}; background has {', '.join(map(repr, parts))}"
            )
        if len(parts) > 1 and not isinstance(error, Mapping) and np.any(_array(error, "error") != 0):
            raise InputError(
                "error is one array for several processes; give a mapping with an entry for each process"
            )
        return cls(
            name=name,
            title=title or name,
            reference=reference,
            luminosity_fb=luminosity_fb,
            sqrt_s_tev=sqrt_s_tev,
            observables=observables,
            low=low,
            high=high,
            processes=tuple(
                Process(key, key, _estimate(key, value, errors.get(key, 0.0), counts.size))
                for key, value in parts.items()
            ),
            observed=counts,
            source=source,
            names=tuple(names),
            combinable=None if combinable is None else np.asarray(combinable, dtype=np.bool_),
            covariance=Covariance.given(covariance),
            licence=licence,
            citation=citation,
            accuracy=accuracy,
        )

    def __post_init__(self) -> None:
        shape = np.shape(self.low)
        if len(shape) != 2 or shape[1] != len(self.observables) or shape[0] == 0:
            raise InputError(
                f"low has shape {shape}; (n_bins, {len(self.observables)}) is needed, one column per observable"
            )
        names = [observable.name for observable in self.observables]
        if len(set(names)) != len(names):
            raise InputError(f"search {self.name!r} has observables {names}; their names must differ")
        for name, finite in (("low", True), ("high", False)):
            # Edges may be negative, as of a rapidity or of the output of a classifier.
            array = frozen_array(getattr(self, name), name=name, shape=shape, finite=finite, low=-np.inf)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "observed", frozen_array(self.observed, name="observed", shape=shape[:1]))
        self._check_names()
        self._check_edges()
        self._check_exclusive()
        self._check_counts()
        self._check_processes()
        if self.covariance is not None and len(self.covariance.up) != self.n_bins:
            raise InputError(
                f"the covariance is of {counted(len(self.covariance.up), 'bin')}; search {self.name!r} has {self.n_bins}"
            )

    def _check_names(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if not self.names:
            return
        if len(self.names) != self.n_bins:
            raise InputError(
                f"search {self.name!r} has {len(self.names)} names for {counted(self.n_bins, 'bin')}; give one name per bin"
            )
        seen: dict[str, int] = {}
        for i, name in enumerate(self.names):
            if not name.strip() or not name.isprintable():
                raise InputError(f"bin {i + 1} is named {name!r}; a name is printable text that is not blank")
            if name in seen:
                raise InputError(
                    f"bins {seen[name] + 1} and {i + 1} are both named {name!r}; names must differ"
                )
            seen[name] = i

    def _check_edges(self) -> None:
        # Only a discrete range may be a single value.
        discrete = np.array([o.discrete for o in self.observables])
        bad = np.where(discrete, self.high < self.low, self.high <= self.low)
        if bad.any():
            i, j = (int(k) for k in np.argwhere(bad)[0])
            raise InputError(
                f"bin {i + 1} has {self.observables[j].name} from {self.low[i, j]:g} to {self.high[i, j]:g}; "
                "the upper edge must lie above the lower one"
            )

    def _check_exclusive(self) -> None:
        if self.combinable is None:
            if self.observables and (pair := self._overlapping()) is not None:
                i, j = pair
                raise InputError(
                    f"{self.bin_name(i + 1)} and {self.bin_name(j + 1)} of search {self.name!r} overlap in every "
                    "observable; bins that are merged must be exclusive: correct the edges, or declare with "
                    "combinable which regions may be merged"
                )
            return
        matrix = np.array(self.combinable, dtype=np.bool_)
        if matrix.shape != (self.n_bins, self.n_bins):
            raise InputError(
                f"combinable has shape {matrix.shape}; ({self.n_bins}, {self.n_bins}) is needed, one row per bin"
            )
        np.fill_diagonal(matrix, True)
        if (matrix != matrix.T).any():
            i, j = (int(k) for k in np.argwhere(matrix != matrix.T)[0])
            raise InputError(
                f"combinable says {matrix[i, j]} for bins {i + 1} and {j + 1} and {matrix[j, i]} for {j + 1} and "
                f"{i + 1}; give the same value both ways"
            )
        matrix.flags.writeable = False
        object.__setattr__(self, "combinable", matrix)

    def _overlapping(self) -> tuple[int, int] | None:
        """The first two bins that some event could be in at once."""
        # Row by row, so that thousands of bins need no square of memory.
        discrete = np.array([o.discrete for o in self.observables])
        for i in range(self.n_bins - 1):
            start = np.maximum(self.low[i], self.low[i + 1 :])
            stop = np.minimum(self.high[i], self.high[i + 1 :])
            shared = np.where(discrete, start <= stop, start < stop).all(axis=1)
            if shared.any():
                return i, i + 1 + int(np.argmax(shared))
        return None

    def _check_counts(self) -> None:
        fraction = self.observed != np.floor(self.observed)
        if fraction.any():
            i = int(np.argmax(fraction))
            raise InputError(
                f"observed in bin {i + 1} is {self.observed[i]:g}; it must be a whole number of events"
            )
        for name in ("luminosity_fb", "sqrt_s_tev"):
            value = getattr(self, name)
            if not (isinstance(value, Real) and np.isfinite(float(value)) and float(value) > 0):
                raise InputError(
                    f"{name} of search {self.name!r} is {value!r}; it must be a finite number > 0"
                )

    def _check_processes(self) -> None:
        names = [p.name for p in self.processes]
        if not names:
            raise InputError(f"search {self.name!r} has no background process; at least one is needed")
        if len(set(names)) != len(names):
            raise InputError(f"search {self.name!r} has processes {names}; their names must differ")
        for process in self.processes:
            if process.estimate.nominal.shape != (self.n_bins,):
                raise InputError(
                    f"process {process.name!r} has {process.estimate.nominal.shape} entries; "
                    f"search {self.name!r} has {counted(self.n_bins, 'bin')}"
                )
        for group in self.shared_stat:
            unknown = [name for name in group if name not in names]
            if unknown:
                raise InputError(f"shared_stat names {unknown[0]!r}; the processes are {names}")

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return int(self.low.shape[0])

    def bin_name(self, number: int) -> str:
        """Name of a published bin number: its own name, or such as ``bin 12``."""
        return self.names[number - 1] if self.names else f"bin {number}"

    @property
    def numbers(self) -> tuple[int, ...]:
        """The published bin numbers, 1 to `n_bins`."""
        return tuple(range(1, self.n_bins + 1))

    def indices(self, numbers: Iterable[int]) -> tuple[int, ...]:
        """Positions of published bin numbers, sorted and free of repeats.

        Raises
        ------
        InputError
            If a number names no bin of this search, or none is given.
        """
        given: list[Any] = list(numbers)
        for number in given:
            if isinstance(number, bool) or not isinstance(number, Integral):
                raise InputError(
                    f"{number!r} is not a number of a bin; search {self.name!r} has bins 1 to {self.n_bins}"
                )
        chosen = sorted(set(given))
        if not chosen:
            raise InputError("the set of bins is empty; name at least one bin to merge")
        for number in chosen:
            if not 1 <= number <= self.n_bins:
                raise InputError(
                    f"bin {number} does not exist; search {self.name!r} has bins 1 to {self.n_bins}"
                )
        return tuple(number - 1 for number in chosen)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, so that a result can say what it was made from."""
        return hashlib.sha256(self._canonical().encode()).hexdigest()

    def _canonical(self) -> str:
        estimates = {
            p.name: [p.label, *(getattr(p.estimate, part).tolist() for part in Estimate.__slots__)]
            for p in self.processes
        }
        content: dict[str, object] = {
            "name": self.name,
            "luminosity_fb": float(self.luminosity_fb),
            "sqrt_s_tev": float(self.sqrt_s_tev),
            "observables": [[o.name, o.label, o.unit, o.discrete] for o in self.observables],
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "observed": self.observed.tolist(),
            "processes": estimates,
            "shared_stat": [list(group) for group in self.shared_stat],
        }
        # Entries that most searches lack are left out there, so that their digests are those of earlier versions.
        if self.names:
            content["names"] = list(self.names)
        if self.combinable is not None:
            content["combinable"] = self.combinable.astype(int).tolist()
        if self.covariance is not None:
            content["covariance"] = self.covariance.digest
        return json.dumps(content, sort_keys=True)


def _ranges(
    edges: Mapping[str | Observable, object], n_bins: int
) -> tuple[tuple[Observable, ...], FloatArray, FloatArray]:
    """Observables with lower and upper edges, shape (n_bins, n_observables), from `Search.from_arrays`'s edges."""
    observables, lows, highs = [], [], []
    for key, given in edges.items():
        observable = key if isinstance(key, Observable) else Observable(key, key)
        pair = isinstance(given, tuple) and len(given) == 2 and np.ndim(given[0]) == 1
        if pair:
            low, high = (_array(side, f"edges of {observable.name!r}") for side in given)  # type: ignore[attr-defined]
        else:
            steps = _array(given, f"edges of {observable.name!r}")
            low, high = steps[:-1], steps[1:]
        if low.shape != (n_bins,) or high.shape != (n_bins,):
            raise InputError(
                f"edges of {observable.name!r} describe {counted(low.size, 'bin')} and observed has {n_bins}; give (low, high) with "
                f"one entry per bin, or {n_bins + 1} edges where there is one observable"
            )
        if not pair and len(edges) > 1:
            raise InputError(
                f"edges of {observable.name!r} are a list of edges; with {len(edges)} observables give each as (low, high)"
            )
        observables.append(observable)
        lows.append(low)
        highs.append(high)
    shape = (n_bins, len(observables))
    return tuple(observables), np.reshape(np.transpose(lows), shape), np.reshape(np.transpose(highs), shape)


def _array(values: Any, name: str) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers: {error}") from error


def _estimate(name: str, nominal: ArrayLike, error: object, n_bins: int) -> Estimate:
    """A prediction with one uncertainty, kept as the systematic one."""
    values = frozen_array(nominal, name=f"background of {name!r}", shape=(n_bins,))
    sides = error if isinstance(error, tuple) else (error, error)
    if len(sides) != 2:
        raise InputError(f"error of {name!r} has {len(sides)} parts; give one array, or a tuple (up, down)")
    up, down = (
        frozen_array(
            np.full(n_bins, _array(side, f"error of {name!r}")) if np.ndim(side) == 0 else side,
            name=f"error of {name!r}",
            shape=(n_bins,),
        )
        for side in sides
    )
    none = np.zeros(n_bins)
    return Estimate(values, none, none, up, down)
