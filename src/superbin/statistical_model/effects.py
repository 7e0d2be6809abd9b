"""What parameters do to the histogram of a sample.

Factors multiply: `LogNormal`, `Rate`, `Formula`, `BinRates`. A `Morph` adds to the nominal histogram before the factors, a `LogMorph`
multiplies it bin by bin.
Interpolation between the two variations of a pair, at -1 and +1, is a convention with a name; formulas are in
`superbin.likelihood.dense.interpolation`.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.shown import counted
from superbin.errors import InputError
from superbin.statistical_model.expressions import Expression

__all__ = [
    "BinRates",
    "Effect",
    "FactorCode",
    "Formula",
    "LogMorph",
    "LogNormal",
    "Morph",
    "MorphCode",
    "Rate",
]

FactorCode: TypeAlias = Literal["combine", "code1", "code4"]
"""Interpolation of log-normal factors: Combine's, HistFactory's codes 1 (piecewise exponential) and 4."""

MorphCode: TypeAlias = Literal["combine", "code0", "code2", "code4p"]
"""Interpolation of additive morphs: Combine's smooth step, HistFactory's codes 0, 2 and 4p; the first and last are the same function."""


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A factor `high` at +1 standard deviation of the parameter, `low` at -1, and exponential beyond."""

    parameter: str
    low: float
    high: float
    code: FactorCode = "code4"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low > 0 and self.high > 0):
            raise InputError(
                f"the log-normal factors of {self.parameter!r} are {self.low} and {self.high}; they must be finite and > 0"
            )
        if self.code not in get_args(FactorCode):
            raise InputError(
                f"interpolation {self.code!r} of factors is unknown; choose one of {', '.join(get_args(FactorCode))}"
            )


@dataclass(frozen=True, slots=True)
class Rate:
    """The parameter itself multiplies every bin: a signal strength, a free normalisation, the luminosity."""

    parameter: str


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression of parameters multiplies every bin."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class BinRates:
    """Each bin is multiplied by a parameter of its own; None leaves a bin alone."""

    parameters: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Morph:
    """Differences to the nominal histogram, `high` at +1 and `low` at -1, interpolated and summed over parameters.

    Attributes
    ----------
    parameter : str
        The parameter.
    low, high : array, shape (n_bins,)
        Variation minus nominal, in events.
    code : str
        How they are interpolated.
    region : float
        For the smooth step: the size of the parameter within which it is smooth, > 0.
    """

    parameter: str
    low: FloatArray
    high: FloatArray
    code: MorphCode = "code4p"
    region: float = 1.0

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            array = frozen_array(
                getattr(self, name), name=f"morph of {self.parameter!r}, {name}", low=-np.inf, finite=True
            )
            object.__setattr__(self, name, array)
        if self.low.shape != self.high.shape:
            raise InputError(
                f"morph of {self.parameter!r} has {self.low.size} and {counted(self.high.size, 'bin')}; both sides need the same"
            )
        if self.code not in get_args(MorphCode):
            raise InputError(
                f"interpolation {self.code!r} of morphs is unknown; choose one of {', '.join(get_args(MorphCode))}"
            )
        _check_region(self.parameter, self.region)


@dataclass(frozen=True, slots=True, eq=False)
class LogMorph:
    """Each bin is multiplied by a factor of its own, exponential in the parameter, with Combine's smooth step.

    Attributes
    ----------
    parameter : str
        The parameter.
    low, high : array, shape (n_bins,)
        Logarithms of the factors at -1 and +1.
    region : float
        The size of the parameter within which the step is smooth, > 0.
    """

    parameter: str
    low: FloatArray
    high: FloatArray
    region: float = 1.0

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            array = frozen_array(
                getattr(self, name), name=f"log morph of {self.parameter!r}, {name}", low=-np.inf, finite=True
            )
            object.__setattr__(self, name, array)
        if self.low.shape != self.high.shape:
            raise InputError(
                f"log morph of {self.parameter!r} has {self.low.size} and {counted(self.high.size, 'bin')}; both sides need the same"
            )
        _check_region(self.parameter, self.region)


def _check_region(parameter: str, region: float) -> None:
    if not (np.isfinite(region) and region > 0):
        raise InputError(
            f"the smooth region of the morph of {parameter!r} is {region}; it must be finite and > 0"
        )


Effect: TypeAlias = LogNormal | Rate | Formula | BinRates | Morph | LogMorph
