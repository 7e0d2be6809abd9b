"""What a signal model predicts: expected events per bin of one search, with their Monte Carlo errors."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from superbin._support.arrays import FloatArray, frozen_array
from superbin._support.shown import Shown, counted
from superbin.errors import InputError

__all__ = ["SignalModel", "point_label", "point_text"]


def point_label(model: str, values: Iterable[float]) -> str:
    """Name of a model with its parameters, such as ``T1bbbb(1750, 1)``; of one without any its name alone."""
    given = ", ".join(f"{value:g}" for value in values)
    return f"{model}({given})" if given else model


def point_text(values: Iterable[float]) -> str:
    """Canonical text of a point of a model: the same for equal values, however they were given.

    Parameters
    ----------
    values : iterable of float
        In the model's order.

    Raises
    ------
    InputError
        If a value is not a finite number.

    Examples
    --------
    >>> point_text((1750, -0.0))
    '1750.0,0.0'
    """
    texts = []
    for value in values:
        try:
            number = float(value) + 0.0  # which makes -0.0 the same point as 0.0
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise InputError(f"a parameter of a signal is {number}; it must be a finite number")
        texts.append(repr(number))
    return ",".join(texts)


@dataclass(frozen=True, eq=False, repr=False)
class SignalModel(Shown):
    """One point of a signal model, in the bins of one search.

    Parameters
    ----------
    model : str
        Name of the model, such as ``"T1bbbb"``.
    parameters : mapping of str to float
        Its parameters in the order the command line takes them, such as ``{"m_mother": 1750, "m_lsp": 1}``;
        masses in GeV.
    search : str
        Name of the search whose bins the yields are in.
    yields : array_like, shape (n_bins,)
        Expected events at the search's luminosity, >= 0.
    errors : array_like, shape (n_bins,)
        Their Monte Carlo standard errors, events.
    source : str
        Where the yields come from.
    cross_section_pb : float, optional
        The cross section they were normalised to, in pb.
    variations : mapping of str to (array_like, array_like)
        Systematic variations by the name of their source: the yields with the source one standard deviation up, and
        down; events, >= 0, shape (n_bins,) each.
    relative_error : float
        A systematic uncertainty common to all bins, as a fraction of the yields, >= 0.
    total_error : float, optional
        Monte Carlo standard error of the sum over all bins, events, where the bins share events and their errors are
        correlated; see `superbin.domain.aggregate.sum_error`. None where they are independent, or nothing is known.

    Raises
    ------
    InputError
        If a yield, error or variation is negative, NaN or infinite or of another length, or a parameter is not finite.
    """

    model: str
    parameters: Mapping[str, float]
    search: str
    yields: FloatArray
    errors: FloatArray
    source: str = ""
    cross_section_pb: float | None = None
    variations: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    relative_error: float = 0.0
    total_error: float | None = None

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {
            "": f"{self.yields.sum():.4g} events",
            "in": f"{counted(len(self.yields), 'bin')} of {self.search}",
        }
        return self.label, facts

    def __post_init__(self) -> None:
        shape = np.shape(self.yields)
        if len(shape) != 1:
            raise InputError(f"the yields of {self.model!r} have shape {shape}; one number per bin is needed")
        for name in ("yields", "errors"):
            array = frozen_array(getattr(self, name), name=f"{name} of signal {self.model!r}", shape=shape)
            object.__setattr__(self, name, array)
        parameters = {str(key): float(value) + 0.0 for key, value in self.parameters.items()}
        for key, value in parameters.items():
            if not np.isfinite(value):
                raise InputError(f"parameter {key} of signal {self.model!r} is {value}; it must be finite")
        object.__setattr__(self, "parameters", MappingProxyType(parameters))
        sigma = self.cross_section_pb
        if sigma is not None and not (np.isfinite(sigma) and sigma > 0):
            raise InputError(f"cross_section_pb of signal {self.label} is {sigma}; it must be finite and > 0")
        object.__setattr__(self, "variations", MappingProxyType(self._checked_variations()))
        total = self.total_error
        if total is not None and not (np.isfinite(total) and total >= 0):
            raise InputError(f"total_error of signal {self.label} is {total}; it must be finite and >= 0")
        if not (np.isfinite(self.relative_error) and self.relative_error >= 0):
            raise InputError(
                f"relative_error of signal {self.label} is {self.relative_error}; it must be finite and >= 0"
            )

    def _checked_variations(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        checked = {}
        for name, sides in self.variations.items():
            if not name or name != name.strip() or not name.isprintable():
                raise InputError(
                    f"signal {self.label} has a variation named {name!r}; a name is printable text without blanks at its ends"
                )
            if len(sides) != 2:
                raise InputError(
                    f"variation {name!r} of signal {self.label} has {len(sides)} parts; give the yields up and down"
                )
            up, down = (
                frozen_array(values, name=f"{name} {side} of signal {self.label}", shape=self.yields.shape)
                for side, values in zip(("up", "down"), sides, strict=True)
            )
            checked[name] = up, down
        return checked

    @cached_property
    def effective_counts(self) -> FloatArray:
        """Effective number of simulated events per bin, (sum w)^2 / sum w^2; 0 where a bin has no error."""
        counts = np.zeros_like(self.yields)
        np.divide(self.yields, self.errors, out=counts, where=self.errors > 0)
        return frozen_array(counts**2, name="effective counts")

    @property
    def label(self) -> str:
        """Name with parameters, such as ``T1bbbb(1750, 1)``."""
        return point_label(self.model, self.parameters.values())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content."""
        content: dict[str, object] = {
            "model": self.model,
            "parameters": dict(self.parameters),
            "search": self.search,
            "yields": self.yields.tolist(),
            "errors": self.errors.tolist(),
        }
        # Left out where there are none, so that such signals keep the digest they always had.
        if self.variations:
            content["variations"] = {
                name: [up.tolist(), down.tolist()] for name, (up, down) in self.variations.items()
            }
        if self.relative_error:
            content["relative_error"] = float(self.relative_error)
        if self.total_error is not None:
            content["total_error"] = float(self.total_error)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
