"""The counting model and the published likelihood it is made from.

`PublishedLikelihood` holds channels, rates and nuisances as published, with the signal's rates left open. Its methods
`model` and `with_signal` fill in a signal and the conventions chosen, and give a `CountingModel`: plain arrays, nothing inert,
ready for `superbin.likelihood.objective`. `merged` and `restricted` make the same from part of the channels.

Expected events of channel c, with terms t, nuisances theta_j and free rates phi::

    lambda_c = sum_t r_t [mu if signal] [phi_t] exp(sum_j K_tj(theta_j))

Free rates come in phi itself, not in its logarithm: the yield is linear in it and fits do not stall.
Specified in ``specs/likelihood.md``.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.shown import Shown, counted
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, UnknownNameError

__all__ = [
    "BoolArray",
    "CountingModel",
    "IntArray",
    "Interpolation",
    "Parameter",
    "PublishedLikelihood",
    "Systematics",
    "ZeroCount",
]

IntArray: TypeAlias = NDArray[np.intp]
BoolArray: TypeAlias = NDArray[np.bool_]
Kind: TypeAlias = Literal["normal", "flat", "free"]
Interpolation: TypeAlias = Literal["combine", "code1", "code4"]
Systematics: TypeAlias = Literal["published", "own", "global", "none"]
ZeroCount: TypeAlias = Literal["profiled", "dropped"]


_LARGEST = 2.0
"""Factor that an uncertainty of a signal has at most, as in the published cards."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One nuisance parameter.

    Parameters
    ----------
    name : str
        Shared by everything it acts on.
    kind : {"normal", "flat", "free"}
        ``normal`` has a unit Gaussian constraint; ``flat`` has none but its range (log-uniform with a factor of
        its own on every term); ``free`` multiplies rates by its own value.
    lower, upper : float
        Range; infinite for ``normal``.
    initial : float
        Its value in the nominal prediction.
    """

    name: str
    kind: Kind
    lower: float = -np.inf
    upper: float = np.inf
    initial: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class CountingModel(Shown):
    """A many-channel counting experiment with every number filled in.

    Terms are sorted by channel, entries by term.

    Parameters
    ----------
    channels : tuple of str
        Names.
    bins : array of int, shape (n_channels,)
        0-based bin of the search that a channel counts; -1 for a control region, -2 for merged bins.
    observed : array, shape (n_channels,)
        Observed events.
    processes : tuple of str
        Name of every term's process.
    term_channel : array of int, shape (n_terms,)
        The channel of every term.
    term_bin : array of int, shape (n_terms,)
        The bin a term was published in; -1 in control regions. It differs from the channel's in merged models.
    rates : array, shape (n_terms,)
        Nominal events, > 0.
    signal : array of bool, shape (n_terms,)
        Whether mu scales the term.
    parameters : tuple of Parameter
        All act on at least one term.
    entry_term, entry_parameter : array of int, shape (n_entries,)
        Which parameter acts on which term.
    log_down, log_up : array, shape (n_entries,)
        Logarithms of the factors at -1 and +1; zero for free rates.
    interpolation : {"combine", "code1", "code4"}
        How factors behave in between; see `superbin.likelihood.interpolation`.
    branches : mapping of str to tuple of float
        Parameters in which the likelihood is known to have several minima, with a start for each.
    options : mapping of str to str
        The conventions this model was made with.
    """

    channels: tuple[str, ...]
    bins: IntArray
    observed: FloatArray
    processes: tuple[str, ...]
    term_channel: IntArray
    term_bin: IntArray
    rates: FloatArray
    signal: BoolArray
    parameters: tuple[Parameter, ...]
    entry_term: IntArray
    entry_parameter: IntArray
    log_down: FloatArray
    log_up: FloatArray
    interpolation: Interpolation = "combine"
    branches: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {"channels": str(len(self.channels)), "parameters": str(len(self.parameters))}
        return "counting experiment", facts

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of every parameter by name."""
        return {parameter.name: i for i, parameter in enumerate(self.parameters)}

    @cached_property
    def kinds(self) -> NDArray[np.str_]:
        """Kind of every parameter."""
        return np.array([parameter.kind for parameter in self.parameters], dtype=np.str_)

    def position(self, name: str) -> int:
        """Position of a parameter.

        Raises
        ------
        UnknownNameError
            If no parameter of the model has that name.
        """
        if name not in self.index:
            import difflib

            near = difflib.get_close_matches(name, self.index, n=3)
            raise UnknownNameError(f"no parameter {name!r} in this model; similar names: {near or 'nothing'}")
        return self.index[name]

    def restricted(self, channels: Iterable[int]) -> "CountingModel":
        """Return the model of some channels only, with the parameters that act there."""
        keep = np.zeros(len(self.channels), dtype=bool)
        keep[list(channels)] = True
        return _compact(self, keep[self.term_channel], keep)

    def merged(self, bins: Iterable[int]) -> "CountingModel":
        """Return the likelihood of an aggregate of bins.

        The chosen bins become one channel, ``aggregate``: their terms are kept one by one, so every nuisance acts on its part
        and correlations and asymmetries survive. Of the other channels only the control regions stay that
        measure a free rate of the aggregate.

        Parameters
        ----------
        bins : iterable of int
            Published 1-based numbers, at least one.

        Raises
        ------
        InputError
            If a bin has no channel in this model, none is given, or a free rate loses its control region.
        """
        chosen = self._channels_of(bins)
        in_aggregate = np.isin(self.term_channel, chosen)
        free = self.kinds[self.entry_parameter] == "free"
        needed = np.unique(self.entry_parameter[free & in_aggregate[self.entry_term]])
        touched = np.unique(self.term_channel[self.entry_term[np.isin(self.entry_parameter, needed)]])
        control = [int(c) for c in touched if self.bins[c] < 0]
        self._check_controls(needed, control)
        first = int(chosen[0])
        place = np.arange(len(self.channels)) == first
        moved = replace(
            self,
            channels=tuple("aggregate" if i == first else c for i, c in enumerate(self.channels)),
            bins=np.where(place, -2, self.bins),
            observed=np.where(place, self.observed[chosen].sum(), self.observed),
            term_channel=np.where(in_aggregate, first, self.term_channel),
        )
        keep = np.zeros(len(self.channels), dtype=bool)
        keep[[first, *control]] = True
        return _compact(moved, keep[moved.term_channel], keep)

    def _channels_of(self, bins: Iterable[int]) -> IntArray:
        wanted = sorted(set(bins))
        if not wanted:
            raise InputError("the set of bins is empty; name at least one bin to merge")
        where = {int(b) + 1: i for i, b in enumerate(self.bins) if b >= 0}
        for b in wanted:
            if b not in where:
                raise InputError(
                    f"bin {b} has no channel in this likelihood; it holds {counted(len(where), 'bin')}"
                )
        return np.array([where[b] for b in wanted], dtype=np.intp)

    def _check_controls(self, needed: IntArray, control: list[int]) -> None:
        controls = np.isin(self.term_channel[self.entry_term], control)
        measured = set(self.entry_parameter[controls].tolist())
        for j in needed.tolist():
            if j not in measured:
                raise InputError(
                    f"free rate {self.parameters[j].name!r} acts on the bins chosen but no control region measures it; "
                    "add the card of its control region"
                )


def _compact(model: CountingModel, terms: BoolArray, channels: BoolArray) -> CountingModel:
    """Keep some terms and channels, drop parameters that act on nothing, and sort terms by channel."""
    kept = np.flatnonzero(terms)
    kept = kept[np.argsort(model.term_channel[kept], kind="stable")]
    new_term = np.full(terms.size, -1, dtype=np.intp)
    new_term[kept] = np.arange(kept.size)
    entries = np.flatnonzero(new_term[model.entry_term] >= 0)
    entries = entries[np.argsort(new_term[model.entry_term[entries]], kind="stable")]
    used = np.unique(model.entry_parameter[entries])
    new_parameter = np.full(len(model.parameters), -1, dtype=np.intp)
    new_parameter[used] = np.arange(used.size)
    new_channel = np.cumsum(channels) - 1
    parameters = tuple(model.parameters[j] for j in used)
    names = {parameter.name for parameter in parameters}
    return replace(
        model,
        channels=tuple(c for c, keep in zip(model.channels, channels, strict=True) if keep),
        bins=model.bins[channels],
        observed=model.observed[channels],
        processes=tuple(model.processes[t] for t in kept),
        term_channel=new_channel[model.term_channel[kept]].astype(np.intp),
        term_bin=model.term_bin[kept],
        rates=model.rates[kept],
        signal=model.signal[kept],
        parameters=parameters,
        entry_term=new_term[model.entry_term[entries]],
        entry_parameter=new_parameter[model.entry_parameter[entries]],
        log_down=model.log_down[entries],
        log_up=model.log_up[entries],
        branches={name: starts for name, starts in model.branches.items() if name in names},
    )


@dataclass(frozen=True, eq=False, repr=False)
class PublishedLikelihood(Shown):
    """A likelihood as published, its signal left open.

    Parameters
    ----------
    name : str
        Name of the search.
    source : str
        Where the numbers come from.
    template : CountingModel
        Everything, with all signal systematics as published. Signal rates are those of the cards, NaN where they hold a
        word.
    zero_count : tuple of str
        Processes that stand for the events of a control region that counted none: their nominal prediction is
        zero and their free rate is only bounded from above by that count.
    global_systematics : tuple of str
        Nuisances of the signal that do not depend on which signal it is.
    notes : tuple of str
        Every change made on the way from the published files, counted, and what is doubtful in them.
    background_floor : float
        Background rates up to this, in events, are written so that a logarithm exists; as a prediction they are zero.
    """

    name: str
    source: str
    template: CountingModel
    zero_count: tuple[str, ...] = ()
    global_systematics: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    background_floor: float = 0.0

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the numbers and names, so that a result can say what it was made from."""
        total = hashlib.sha256()
        parts = [getattr(self, f.name) for f in fields(self) if f.name != "template"]
        parts += [getattr(self.template, f.name) for f in fields(self.template)]
        for part in parts:
            content = part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
            total.update(f"{len(content)}\n".encode() + content)
        return total.hexdigest()

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {
            "channels": str(len(self.template.channels)),
            "parameters": str(len(self.template.parameters)),
            "bins": str(self.n_bins),
        }
        return self.name, facts

    @property
    def n_bins(self) -> int:
        """Number of bins of the search that have a channel."""
        return int(np.count_nonzero(self.template.bins >= 0))

    def model(
        self,
        yields: ArrayLike,
        *,
        systematics: Systematics = "published",
        zero_count: ZeroCount = "profiled",
        interpolation: Interpolation = "combine",
    ) -> CountingModel:
        """Fill in a signal and choose the conventions.

        Nothing is left of the signal that the cards were written for: what it contributes to control regions is no part of
        another signal.

        Parameters
        ----------
        yields : array_like, shape (n_bins,)
            Expected signal events per bin at mu = 1, finite and >= 0, not all zero.
        systematics : {"published", "global", "none"}
            Signal systematics: those of the published signal template, bin by bin; only the ones that are the same for
            every signal; or none. For the signal's own see `with_signal`.
        zero_count : {"profiled", "dropped"}
            What becomes of the terms that stand for a control region without events: their free rate is profiled
            against that count of zero as published, or the terms are left out.
        interpolation : {"combine", "code1", "code4"}
            How a factor depends on its nuisance between and beyond -1 and +1.

        Returns
        -------
        CountingModel
            Without terms of rate zero and without parameters that act on none.

        Raises
        ------
        InputError
            If the yields have the wrong length, are negative, NaN, infinite or all zero, an option is unknown, a bin has
            several signal processes, or the size of its signal is a free rate without a starting value.
        """
        signal = frozen_array(yields, name=f"the signal in the bins of {self.name!r}", shape=(self.n_bins,))
        if not signal.any():
            raise InputError(
                f"the signal is zero in all {counted(self.n_bins, 'bin')}; there is nothing to fit"
            )
        choice("systematics", systematics, get_args(Systematics))
        if systematics == "own":
            raise InputError(
                "systematics is 'own' and only yields are given; give the signal with its uncertainties to with_signal"
            )
        self._check_can_be_filled()
        template = self.template
        rates = np.where(template.signal, 0.0, template.rates)
        open_ = template.signal & (template.term_bin >= 0)
        rates[open_] = signal[template.term_bin[open_]]
        return self._filled(rates, systematics, zero_count, interpolation)

    def with_signal(
        self,
        signal: SignalModel,
        *,
        systematics: Systematics = "published",
        zero_count: ZeroCount = "profiled",
        interpolation: Interpolation = "combine",
    ) -> CountingModel:
        """Fill in a signal that brings its own uncertainties.

        Parameters
        ----------
        signal : SignalModel
            In the bins of the search.
        systematics : {"published", "own", "global", "none"}
            As of `model`, or ``own``: those that are the same for every signal, and the signal's: each of its variations as one
            parameter that acts on all bins, its common relative error, and the Monte Carlo error of every bin.
        zero_count, interpolation
            As of `model`.

        Returns
        -------
        CountingModel

        Raises
        ------
        InputError
            As of `model`.

        Notes
        -----
        Factors of a variation are kept between 1/2 and 2, as the published cards keep theirs: where a bin holds a few simulated events the ratio is noise, which the
        Monte Carlo error describes. The common relative error is at most 1, a factor 2. The Monte Carlo error is a factor 1 + r at +1 standard deviation and 1 / (1 + r) at -1, r at most 1, independent
        from bin to bin.
        """
        options = {"zero_count": zero_count, "interpolation": interpolation}
        if systematics != "own":
            return self.model(signal.yields, systematics=systematics, **options)  # type: ignore[arg-type]
        return _with_own(self.model(signal.yields, systematics="global", **options), signal)  # type: ignore[arg-type]

    def as_written(
        self, *, zero_count: ZeroCount = "profiled", interpolation: Interpolation = "combine"
    ) -> CountingModel:
        """Return the model with the signal that the cards hold, in every channel, all under one signal strength.

        Parameters
        ----------
        zero_count, interpolation
            As of `model`.

        Raises
        ------
        InputError
            If a signal rate is a word, all are zero, or an option is unknown.
        """
        template = self.template
        words = np.flatnonzero(np.isnan(template.rates))
        if words.size:
            where = template.channels[template.term_channel[words[0]]]
            raise InputError(
                f"the signal in channel {where!r} is a word, not a number; give the signal's yields in all "
                f"{counted(self.n_bins, 'bin')}"
            )
        if not template.rates[template.signal].any():
            raise InputError("the signal is zero in all channels; there is nothing to fit")
        return self._filled(template.rates.copy(), "published", zero_count, interpolation)

    def background(
        self, *, zero_count: ZeroCount = "profiled", interpolation: Interpolation = "combine"
    ) -> CountingModel:
        """Return the model without any signal."""
        rates = np.where(self.template.signal, 0.0, self.template.rates)
        return self._filled(rates, "none", zero_count, interpolation)

    def _check_can_be_filled(self) -> None:
        template = self.template
        open_ = np.flatnonzero(template.signal & (template.term_bin >= 0))
        bins, count = np.unique(template.term_bin[open_], return_counts=True)
        if (count > 1).any():
            where = int(bins[count > 1][0])
            raise InputError(
                f"bin {where + 1} has several signal processes; one signal per bin can be filled in, or the cards be taken "
                "as written"
            )
        for j in np.unique(template.entry_parameter[np.isin(template.entry_term, open_)]).tolist():
            parameter = template.parameters[j]
            if parameter.kind == "free" and parameter.initial <= parameter.lower:
                raise InputError(
                    f"the signal is normalised by {parameter.name!r}, which has no starting value (a gmN without events); "
                    "its size is unknown"
                )

    def _filled(
        self,
        rates: FloatArray,
        systematics: Systematics,
        zero_count: ZeroCount,
        interpolation: Interpolation,
    ) -> CountingModel:
        choice("systematics", systematics, get_args(Systematics))
        choice("zero_count", zero_count, get_args(ZeroCount))
        choice("interpolation", interpolation, get_args(Interpolation))
        template = self.template
        if zero_count == "dropped":
            rates[np.isin(template.processes, self.zero_count)] = 0.0
        kept = self._entries(systematics)
        filled = replace(
            template,
            rates=rates,
            entry_term=template.entry_term[kept],
            entry_parameter=template.entry_parameter[kept],
            log_down=template.log_down[kept],
            log_up=template.log_up[kept],
            interpolation=interpolation,
            options={"systematics": systematics, "zero_count": zero_count, "interpolation": interpolation},
        )
        terms = rates > 0
        channels = np.bincount(template.term_channel[terms], minlength=len(template.channels)) > 0
        impossible = np.flatnonzero(~channels & (template.observed > 0))
        if impossible.size:
            name, n = template.channels[impossible[0]], template.observed[impossible[0]]
            raise InputError(f"channel {name!r} observed {n:g} events where nothing is expected")
        return _compact(filled, terms, channels)

    def _entries(self, systematics: Systematics) -> NDArray[np.bool_]:
        on_signal = self.template.signal[self.template.entry_term]
        if systematics == "published":
            return np.ones(on_signal.size, dtype=bool)
        names = np.array([parameter.name for parameter in self.template.parameters])
        allowed = np.isin(names, self.global_systematics if systematics == "global" else ())
        return ~on_signal | allowed[self.template.entry_parameter]


def _with_own(model: CountingModel, signal: SignalModel) -> CountingModel:
    """Let the uncertainties of a signal act on its terms."""
    terms = np.flatnonzero(model.signal & (model.term_bin >= 0))
    bins = model.term_bin[terms]
    nominal = signal.yields[bins]

    def logarithm(side: FloatArray) -> FloatArray:
        return np.log(np.clip(side[bins] / nominal, 1 / _LARGEST, _LARGEST))

    sources = [(name, logarithm(down), logarithm(up)) for name, (up, down) in signal.variations.items()]
    common = np.full(len(terms), np.log1p(min(signal.relative_error, _LARGEST - 1)))
    sources.append(("common", -common, common))
    statistics = np.log1p(np.minimum(signal.errors[bins] / nominal, _LARGEST - 1))
    for i, (b, size) in enumerate(zip(bins.tolist(), statistics.tolist(), strict=True)):
        alone = np.where(np.arange(len(terms)) == i, size, 0.0)
        sources.append((f"statistics bin {b + 1}", -alone, alone))
    parameters = list(model.parameters)
    term, index, low, high = [model.entry_term], [model.entry_parameter], [model.log_down], [model.log_up]
    for name, down, up in sources:
        acts = (down != 0) | (up != 0)
        if not acts.any():
            continue
        stem = "signal_" + re.sub(r"\W+", "_", name)
        taken = {other.name for other in parameters}
        free = (f"{stem}_{number}" for number in itertools.count(2))
        parameter = Parameter(
            stem if stem not in taken else next(n for n in free if n not in taken), "normal"
        )
        term.append(terms[acts])
        index.append(np.full(int(acts.sum()), len(parameters), dtype=np.intp))
        low.append(down[acts])
        high.append(up[acts])
        parameters.append(parameter)
    order = np.argsort(np.concatenate(term), kind="stable")
    return replace(
        model,
        parameters=tuple(parameters),
        entry_term=np.concatenate(term)[order],
        entry_parameter=np.concatenate(index)[order],
        log_down=np.concatenate(low)[order],
        log_up=np.concatenate(high)[order],
        options={**model.options, "systematics": "own"},
    )


def add_up(index: IntArray, values: FloatArray, n: int) -> FloatArray:
    """Return the sums of values that share an index, shape (n,)."""
    return np.asarray(np.bincount(index, weights=values, minlength=n), dtype=np.float64)


def choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is not one of a few words."""
    if value not in allowed:
        raise UnknownNameError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
