"""What a multi-bin search published: its bins, observed counts and backgrounds.

`Search` is the frozen, validated value that every room below reads. A bin is a product of ranges in the
observables; continuous ranges exclude their lower edge and include their upper one, discrete ranges include
both, and an infinite upper edge means "and above". Bins are stored in order and named by their published
1-based number wherever a person reads them.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from superbin._arrays import FloatArray, frozen_array
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
        """Write a range as a person does, without the unit: ``3-4``, ``>= 9``, ``350-500``, ``> 1000``."""
        if np.isinf(high):
            return f"{'>=' if self.discrete else '>'} {low:g}"
        return f"{low:g}" if low == high else f"{low:g}-{high:g}"


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


@dataclass(frozen=True, eq=False)
class Search:
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
        The axes of the bins.
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

    Raises
    ------
    InputError
        If shapes, names, edges or counts are inconsistent; the text names the bin.
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
            array = frozen_array(getattr(self, name), name=name, shape=shape, finite=finite)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "observed", frozen_array(self.observed, name="observed", shape=shape[:1]))
        self._check_edges()
        self._check_counts()
        self._check_processes()

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

    def _check_counts(self) -> None:
        fraction = self.observed != np.floor(self.observed)
        if fraction.any():
            i = int(np.argmax(fraction))
            raise InputError(
                f"observed in bin {i + 1} is {self.observed[i]:g}; it must be a whole number of events"
            )
        for name in ("luminosity_fb", "sqrt_s_tev"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"{name} of search {self.name!r} is {value}; it must be a finite number > 0")

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
                    f"search {self.name!r} has {self.n_bins} bins"
                )
        for group in self.shared_stat:
            unknown = [name for name in group if name not in names]
            if unknown:
                raise InputError(f"shared_stat names {unknown[0]!r}; the processes are {names}")

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return int(self.low.shape[0])

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
        chosen = sorted(set(numbers))
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
        content = {
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
        return json.dumps(content, sort_keys=True)
