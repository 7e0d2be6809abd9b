"""Cross sections of what signal models produce: a table of one particle's pairs, and which particle a model produces.

`superbin.catalog.Catalog.cross_sections` gives the tables at hand, `superbin.io.cross_sections.read_cross_sections` reads one of the
user's own; `process_of` says what a model produces by its name.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray, frozen_array
from superbin.errors import InputError

__all__ = ["CalculatedCrossSection", "CrossSection", "CrossSectionTable", "process_of"]

_MODELS = {
    r"T[15][a-z]\w*": "gluino",
    r"T2b[a-z]\w*": "sbottom",
    r"T2t[a-z]\w*": "stop",
    r"T2q[a-z]\w*": "squark",
}
"""Names of simplified models, as patterns, and the particle that is produced in pairs."""
_CURE = (
    "give one in pb: cross_section= in Python, --cross-section on the command line, or a table to a scan with "
    "--cross-sections"
)


@dataclass(frozen=True, slots=True)
class CrossSection:
    """The total cross section of a pair of particles.

    Attributes
    ----------
    process : str
        Which particle, such as ``"gluino"``.
    mass : float
        Its mass, GeV.
    pb : float
        Cross section, pb.
    relative_uncertainty : float or None
        Of the calculation, symmetric: 0.27 for 27 %. The packaged tables have it; None where a table has none.
    """

    process: str
    mass: float
    pb: float
    relative_uncertainty: float | None


@dataclass(frozen=True, slots=True)
class CalculatedCrossSection:
    """How well a cross section is known.

    Attributes
    ----------
    relative_uncertainty : float or None
        Of the calculation, symmetric; None where it is not known.
    order : str
        Of perturbation theory, such as ``"NLO+NLL"``; empty where it is not known.
    """

    relative_uncertainty: float | None
    order: str


@dataclass(frozen=True, slots=True, eq=False)
class CrossSectionTable:
    """Cross sections of the pairs of one particle, at some masses.

    Parameters
    ----------
    process : str
        Which particle, such as ``"squark"``.
    masses : array_like, shape (n,)
        GeV, strictly ascending, >= 0; at least one.
    pb : array_like, shape (n,)
        Cross sections in pb, > 0.
    relative_uncertainties : array_like, shape (n,), optional
        Symmetric, >= 0: 0.27 for 27 %.
    order : str
        To which order of perturbation theory, such as ``"NLO+NLL"``; empty where that is not known.

    Raises
    ------
    InputError
        If a number is outside its domain, or the shapes differ.
    """

    process: str
    masses: FloatArray
    pb: FloatArray
    relative_uncertainties: FloatArray | None = None
    order: str = ""

    def __post_init__(self) -> None:
        shape = np.shape(self.masses)
        if len(shape) != 1 or not shape[0]:
            raise InputError(
                f"the masses of the cross sections of {self.process} pairs have shape {shape}; at least one is needed"
            )
        for name in ("masses", "pb", "relative_uncertainties"):
            given = getattr(self, name)
            if given is not None:
                where = f"{name} of the cross sections of {self.process} pairs"
                object.__setattr__(self, name, frozen_array(given, name=where, shape=shape))
        if (np.diff(self.masses) <= 0).any():
            raise InputError(
                f"the masses of the cross sections of {self.process} pairs must ascend; sort them"
            )
        if (self.pb <= 0).any():
            raise InputError(
                f"the cross section of {self.process} pairs at {self.masses[np.argmin(self.pb)]:g} GeV is not "
                "positive; leave the mass out"
            )

    def at(self, mass: float) -> CrossSection:
        """Look up the cross section at a mass.

        Parameters
        ----------
        mass : float
            GeV.

        Returns
        -------
        CrossSection
            The table's at its masses; between two, the logarithm of the cross section and the relative uncertainty are
            interpolated linearly.

        Raises
        ------
        InputError
            If the table does not reach the mass; nothing is extrapolated.
        """
        masses, pb, relative = self.masses, self.pb, self.relative_uncertainties
        if not masses[0] <= mass <= masses[-1]:
            raise InputError(
                f"the cross sections of {self.process} pairs go from {masses[0]:g} to {masses[-1]:g} GeV and not to "
                f"{mass:g}; {_CURE}"
            )
        exact = np.flatnonzero(masses == mass)
        value = float(pb[exact[0]]) if exact.size else math.exp(float(np.interp(mass, masses, np.log(pb))))
        error = None if relative is None else float(np.interp(mass, masses, relative))
        return CrossSection(self.process, float(mass), value, error)


def process_of(model: str) -> str:
    """Say what a simplified model produces in pairs, by its name; ``"unknown"`` where the name does not tell."""
    return next((process for name, process in _MODELS.items() if re.fullmatch(name, model)), "unknown")
