"""What ships with superbin, and where in the package it lies: bundles as folders of tables, and tables of cross sections."""

import hashlib
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from superbin.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from superbin.domain.bundle import Bundle
    from superbin.domain.cross_sections import CrossSectionTable

__all__ = ["DEFAULT_SEARCH", "bundles", "cross_section_table", "digest", "processes"]

DEFAULT_SEARCH = "cms-pas-sus-16-014"
"""The search that the command line takes where none is named."""

_DATA = Path(__file__).parents[1] / "data"
_CROSS_SECTIONS = _DATA / "cross-sections"
_TEV = 13.0
_ORDER = "NLO+NLL"
_SAME = {"sbottom": "stop"}
"""Pairs whose cross section is that of others: to this order it knows no flavour."""
_CURE = (
    "give one in pb: cross_section= in Python, --cross-section on the command line, or a table to a scan with "
    "--cross-sections"
)


def bundles() -> "Iterator[Bundle]":
    """The bundles, one after the other, by name."""
    from superbin.io.bundles import read_bundle

    for path in sorted(_DATA.glob("*/search.json")):
        yield read_bundle(path.parent)


def digest() -> str:
    """SHA-256 over the packaged bundles and the version that reads them: when it changes, they are read again."""
    total = hashlib.sha256(version("superbin").encode())
    paths = (
        path for search in _DATA.glob("*/search.json") for path in search.parent.rglob("*") if path.is_file()
    )
    for path in sorted(paths):
        content = path.read_bytes()
        total.update(f"\n{path.relative_to(_DATA).as_posix()} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


@cache
def processes() -> tuple[str, ...]:
    """Particles whose pairs have a table of cross sections, sorted."""
    return tuple(sorted([*(path.stem for path in _CROSS_SECTIONS.glob("*.csv")), *_SAME]))


def cross_section_table(process: str, *, sqrt_s_tev: float = _TEV) -> "CrossSectionTable":
    """The table of the pairs of a particle.

    Parameters
    ----------
    process : str
        One of `processes`.
    sqrt_s_tev : float
        Centre-of-mass energy; the tables are of 13 TeV.

    Raises
    ------
    UnknownNameError
        If there is none for the process.
    InputError
        If the energy is another.
    """
    if process not in processes():
        raise UnknownNameError(
            f"there is no table of cross sections for {process!r} pairs, only for {', '.join(processes())}; {_CURE}"
        )
    if sqrt_s_tev != _TEV:
        raise InputError(
            f"superbin's cross sections are of {_TEV:g} TeV, and the search is of {sqrt_s_tev:g} TeV; {_CURE}"
        )
    return _table(process)


@cache
def _table(process: str) -> "CrossSectionTable":
    from superbin.io.cross_sections import read_cross_sections

    table = read_cross_sections(_CROSS_SECTIONS / f"{_SAME.get(process, process)}.csv", process)
    return replace(table, order=_ORDER)
