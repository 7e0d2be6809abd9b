"""Samples, channels and the whole statistical model."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.shown import Shown, counted, number
from superbin.errors import InputError
from superbin.statistical_model.effects import BinRates, Effect, Formula, LogMorph, Morph
from superbin.statistical_model.expressions import variables
from superbin.statistical_model.parameters import Parameter

__all__ = ["Channel", "Sample", "StatisticalModel"]


@dataclass(frozen=True, eq=False, repr=False)
class Sample(Shown):
    """A process in a channel.

    Attributes
    ----------
    name : str
        Of the process.
    nominal : array, shape (n_bins,)
        Expected events before any effect; may be negative in single bins, as some published ones are.
    effects : tuple of Effect
        What parameters do to it.
    floor : float
        No bin of the morphed histogram is below it; minus infinity for none.
    total : float or None
        What the bins of the morphed histogram are scaled to add up to, before factors; None to leave them.
    errors : array, shape (n_bins,), or None
        Statistical errors of the histogram, for the parameters of `Channel.statistics`.
    """

    name: str
    nominal: FloatArray
    effects: tuple[Effect, ...] = ()
    floor: float = -np.inf
    total: float | None = None
    errors: FloatArray | None = None

    def _shown(self) -> tuple[str, dict[str, str]]:
        return self.name, {
            "bins": str(self.nominal.size),
            "events": number(float(self.nominal.sum())),
            "effects": str(len(self.effects)),
        }

    def __post_init__(self) -> None:
        nominal = frozen_array(self.nominal, name=f"sample {self.name!r}", low=-np.inf)
        object.__setattr__(self, "nominal", nominal)
        if self.errors is not None:
            errors = frozen_array(
                self.errors, name=f"errors of sample {self.name!r}", shape=nominal.shape, finite=True
            )
            object.__setattr__(self, "errors", errors)
        if np.isnan(self.floor) or (
            self.total is not None and not (np.isfinite(self.total) and self.total > 0)
        ):
            raise InputError(
                f"sample {self.name!r} has the floor {self.floor} and the total {self.total}; the total must be finite and > 0"
            )
        kinds = {type(effect) for effect in self.effects}
        if self.total is not None and {Morph, LogMorph} <= kinds:
            raise InputError(f"sample {self.name!r} has a total, so its morphs must all add or all multiply")
        for effect in self.effects:
            size = len(effect.parameters) if isinstance(effect, BinRates) else None
            size = effect.low.size if isinstance(effect, Morph | LogMorph) else size
            if size is not None and size != nominal.size:
                raise InputError(
                    f"sample {self.name!r} has {counted(nominal.size, 'bin')}, an effect on it has {size}"
                )


@dataclass(frozen=True, eq=False, repr=False)
class Channel(Shown):
    """A histogram that was counted.

    Attributes
    ----------
    name : str
        Of the channel.
    observed : array, shape (n_bins,)
        Counts; not negative, but they need not be whole (Asimov data, weighted toys).
    samples : tuple of Sample
        The processes that are expected.
    masked : bool
        Whether the channel is left out of the likelihood; its expectation is still computed.
    statistics : tuple of (str or None)
        For each bin the parameter that shifts its expectation by its own value times the statistical error, which is
        ``sqrt(sum over samples of (error x product of factors)^2)`` (Barlow and Beeston's method in its light form); empty without.
    floor : float
        No bin expects less; minus infinity for none.
    """

    name: str
    observed: FloatArray
    samples: tuple[Sample, ...]
    masked: bool = False
    statistics: tuple[str | None, ...] = ()
    floor: float = -np.inf

    def _shown(self) -> tuple[str, dict[str, str]]:
        return self.name, {
            "bins": str(self.observed.size),
            "observed": number(float(self.observed.sum())),
            "samples": str(len(self.samples)),
        }

    def __post_init__(self) -> None:
        if self.statistics and len(self.statistics) != np.size(self.observed):
            raise InputError(
                f"channel {self.name!r} has {np.size(self.observed)} bins and {len(self.statistics)} statistical parameters"
            )
        observed = frozen_array(self.observed, name=f"observation of channel {self.name!r}")
        object.__setattr__(self, "observed", observed)
        for sample in self.samples:
            if sample.nominal.size != observed.size:
                raise InputError(
                    f"channel {self.name!r} counts {counted(observed.size, 'bin')}, its sample {sample.name!r} has {sample.nominal.size}"
                )


@dataclass(frozen=True, eq=False, repr=False)
class StatisticalModel(Shown):
    """A likelihood in full, with its data.

    Attributes
    ----------
    channels : tuple of Channel
        In the order of their bins.
    parameters : tuple of Parameter
        In the order of every parameter array.
    signal_strengths : tuple of str
        Names of parameters of interest; the first is the one that limits are set on.
    name : str
        Where the model came from, for messages.

    Raises
    ------
    InputError
        If names are repeated or unknown, or sizes do not agree.
    """

    channels: tuple[Channel, ...]
    parameters: tuple[Parameter, ...]
    signal_strengths: tuple[str, ...] = ()
    name: str = ""

    def _shown(self) -> tuple[str, dict[str, str]]:
        return self.name, {
            "channels": str(len(self.channels)),
            "parameters": str(len(self.parameters)),
            "signal strengths": ", ".join(self.signal_strengths) or "none",
        }

    def __post_init__(self) -> None:
        for what, names in (
            ("channel", [c.name for c in self.channels]),
            ("parameter", [p.name for p in self.parameters]),
        ):
            repeated = (
                sorted({name for name in names if names.count(name) > 1})
                if len(set(names)) < len(names)
                else []
            )
            if repeated:
                raise InputError(f"two {what}s are named {repeated[0]!r}; names must be unique")
        if not self.channels:
            raise InputError("a statistical model needs at least one channel")
        for name in self.signal_strengths:
            self.position(name)
        self._check_names()

    def _check_names(self) -> None:
        for channel in self.channels:
            named = [(f"channel {channel.name!r}", name) for name in channel.statistics if name is not None]
            for sample in channel.samples:
                what = f"sample {sample.name!r} of channel {channel.name!r}"
                named += [(what, name) for name in _named(sample.effects)]
            for what, name in named:
                if name not in self.positions:
                    raise InputError(f"{what} depends on {name!r}, which is not a parameter")

    @cached_property
    def positions(self) -> dict[str, int]:
        """Index of each parameter by name."""
        return {p.name: i for i, p in enumerate(self.parameters)}

    def position(self, name: str) -> int:
        """Index of a parameter.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        if name not in self.positions:
            raise InputError(f"the model has no parameter {name!r}")
        return self.positions[name]

    @cached_property
    def observed(self) -> FloatArray:
        """Counts of all bins, channel after channel."""
        return frozen_array(np.concatenate([c.observed for c in self.channels]), name="observation")

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Which bins are in the likelihood."""
        return np.concatenate([np.full(c.observed.size, not c.masked) for c in self.channels])

    @cached_property
    def bin_names(self) -> tuple[str, ...]:
        """``channel[bin]`` of all bins; just the channel where it has one."""
        return tuple(
            c.name if c.observed.size == 1 else f"{c.name}[{b}]"
            for c in self.channels
            for b in range(c.observed.size)
        )


def _named(effects: tuple[Effect, ...]) -> Iterator[str]:
    for effect in effects:
        if isinstance(effect, BinRates):
            yield from (name for name in effect.parameters if name is not None)
        elif isinstance(effect, Formula):
            yield from variables(effect.expression)
        else:
            yield effect.parameter
