"""Parameters of a statistical model and the constraint terms that measure them."""

import math
from dataclasses import dataclass
from typing import TypeAlias

from superbin.errors import InputError

__all__ = ["Constraint", "Normal", "Parameter", "Poisson"]


@dataclass(frozen=True, slots=True)
class Normal:
    """A measurement of the parameter with Gaussian uncertainty: ``Normal(centre | x, width)``.

    Attributes
    ----------
    centre : float
        The measured value (auxiliary datum).
    width : float
        Its standard deviation, > 0.
    lower_width : float or None
        That of parameters below the centre, where it is another one.
    """

    centre: float = 0.0
    width: float = 1.0
    lower_width: float | None = None

    def __post_init__(self) -> None:
        if self.lower_width is not None and not (math.isfinite(self.lower_width) and self.lower_width > 0):
            raise InputError(
                f"a normal constraint has lower width {self.lower_width}; it must be finite and > 0"
            )
        if not (math.isfinite(self.centre) and math.isfinite(self.width) and self.width > 0):
            raise InputError(
                f"a normal constraint has centre {self.centre} and width {self.width}; both must be finite and the width > 0"
            )


@dataclass(frozen=True, slots=True)
class Poisson:
    """An auxiliary count: ``Poisson(count | scale x)``; `count` need not be whole.

    Attributes
    ----------
    count : float
        The count (auxiliary datum), >= 0.
    scale : float
        Expected count for x = 1, > 0.
    """

    count: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (
            math.isfinite(self.count) and self.count >= 0 and math.isfinite(self.scale) and self.scale > 0
        ):
            raise InputError(
                f"a Poisson constraint has count {self.count} and scale {self.scale}; they must be finite, >= 0 and > 0"
            )


Constraint: TypeAlias = Normal | Poisson
"""What measures a parameter; None leaves it free (flat) within its bounds."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter.

    Attributes
    ----------
    name : str
        Unique in the model.
    initial : float
        Where fits start, and the value if `fixed`.
    lower, upper : float
        Bounds, which may be infinite. They belong to the model: fits keep them.
    constraint : Normal, Poisson or None
        What measures it.
    fixed : bool
        Whether fits leave it at `initial`.
    """

    name: str
    initial: float = 0.0
    lower: float = -math.inf
    upper: float = math.inf
    constraint: Constraint | None = None
    fixed: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.initial):
            raise InputError(f"parameter {self.name!r} starts at {self.initial}; it must be a finite number")
        if not self.lower <= self.upper:
            raise InputError(
                f"parameter {self.name!r} has bounds [{self.lower}, {self.upper}]; the first must not exceed the second"
            )
        if not self.fixed and not self.lower <= self.initial <= self.upper:
            raise InputError(
                f"parameter {self.name!r} starts at {self.initial}, outside its bounds [{self.lower}, {self.upper}]"
            )
