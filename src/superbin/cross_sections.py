"""Cross sections of what signal models produce, from the tables in the package.

`cross_section` looks one up, `process_of` says what a model produces, and `processes` which have a table. The tables
are text with their source, in ``data/cross-sections``. They are of one collision energy, 13 TeV.
"""

import math
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from superbin._arrays import FloatArray
from superbin.errors import InputError, UnknownNameError

__all__ = ["CrossSection", "cross_section", "process_of", "processes"]

_TABLES = Path(__file__).with_name("data") / "cross-sections"
_COLUMNS = "mass_GeV,cross_section_pb,uncertainty_percent"
_MODELS = {
    r"T[15][a-z]\w*": "gluino",
    r"T2b[a-z]\w*": "sbottom",
    r"T2t[a-z]\w*": "stop",
    r"T2q[a-z]\w*": "squark",
}
"""Names of simplified models, as patterns, and the particle that is produced in pairs."""


@dataclass(frozen=True, slots=True)
class CrossSection:
    """The total cross section of a pair of particles at 13 TeV.

    Attributes
    ----------
    process : str
        Which particle, such as ``"gluino"``.
    mass : float
        Its mass, GeV.
    pb : float
        Cross section, pb.
    relative_uncertainty : float
        Of the calculation, symmetric: 0.27 for 27 %.
    """

    process: str
    mass: float
    pb: float
    relative_uncertainty: float


def cross_section(process: str, mass: float) -> CrossSection:
    """Look up the cross section of a pair of particles.

    Parameters
    ----------
    process : str
        One of `processes`.
    mass : float
        GeV.

    Returns
    -------
    CrossSection
        The table's at its masses; between two, the logarithm of the cross section and the uncertainty are
        interpolated linearly.

    Raises
    ------
    UnknownNameError
        If there is no table for the process.
    InputError
        If the table does not reach the mass; nothing is extrapolated.

    Examples
    --------
    >>> cross_section("gluino", 1750).pb
    0.00359842
    """
    if process not in processes():
        raise UnknownNameError(
            f"there is no table of cross sections for {process!r} pairs, only for {', '.join(processes())}; "
            "give one in pb: cross_section= in Python, --cross-section on the command line"
        )
    masses, pb, percent = _table(process)
    if not masses[0] <= mass <= masses[-1]:
        raise InputError(
            f"the cross sections of {process} pairs go from {masses[0]:g} to {masses[-1]:g} GeV and not to {mass:g}; "
            "give one in pb: cross_section= in Python, --cross-section on the command line"
        )
    exact = np.flatnonzero(masses == mass)
    value = float(pb[exact[0]]) if exact.size else math.exp(float(np.interp(mass, masses, np.log(pb))))
    return CrossSection(process, float(mass), value, float(np.interp(mass, masses, percent)) / 100)


def process_of(model: str) -> str:
    """Say what a simplified model produces in pairs, by its name; ``"unknown"`` where the name does not tell."""
    return next((process for name, process in _MODELS.items() if re.fullmatch(name, model)), "unknown")


@cache
def processes() -> tuple[str, ...]:
    """Particles whose pairs have a table, sorted."""
    return tuple(sorted(path.stem for path in _TABLES.glob("*.csv")))


@cache
def _table(process: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Masses in GeV, cross sections in pb, uncertainties in percent."""
    lines = (_TABLES / f"{process}.csv").read_text(encoding="utf-8").splitlines()
    body = [line for line in lines if not line.startswith("#")]
    if body[0] != _COLUMNS:
        raise InputError(f"the packaged table for {process} has columns {body[0]}; install superbin again")
    masses, pb, percent = np.array([line.split(",") for line in body[1:]], dtype=np.float64).T
    return masses, pb, percent
