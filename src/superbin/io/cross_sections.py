"""Tables of cross sections as text files: `read_cross_sections`, and `parse_cross_sections` for their content."""

from pathlib import Path

import numpy as np

from superbin.domain.cross_sections import CrossSectionTable
from superbin.errors import DocumentError
from superbin.io._places import Row, cells_of, is_comment, lines, rows
from superbin.io._text import read_text

__all__ = ["parse_cross_sections", "read_cross_sections"]

_COLUMNS = ("mass_GeV", "cross_section_pb")
_UNCERTAINTIES = ("uncertainty_percent", "uncertainty_pb")


def read_cross_sections(path: str | Path, process: str) -> CrossSectionTable:
    """Read the cross sections of the pairs of one particle.

    Parameters
    ----------
    path : str or Path
        CSV with the columns ``mass_GeV,cross_section_pb``, and after them ``uncertainty_percent`` or ``uncertainty_pb`` if the
        uncertainty is to be recorded; lines that begin with ``#`` are comments. Rows in any order.
    process : str
        Which particle, such as ``"squark"``; the file does not say it.

    Returns
    -------
    CrossSectionTable

    Raises
    ------
    InputError
        If the file cannot be read.
    DocumentError
        If it breaks its format; the text names file and line.
    """
    return parse_cross_sections(read_text(Path(path)), process, place=path)


def parse_cross_sections(text: str, process: str, *, place: str | Path) -> CrossSectionTable:
    """Read the content of a table of cross sections, as `read_cross_sections` does; `place` is what errors call it."""
    path = Path(place)
    columns = _columns(path, text)
    found: dict[float, tuple[float, float]] = {}
    for row in rows(path, text, columns):
        mass, pb, relative = _numbers(row, columns)
        if mass in found:
            raise row.error(f"the mass {mass:g} comes twice; remove one row")
        found[mass] = (pb, relative)
    if not found:
        raise DocumentError(f"{path}: the table has no rows; write a mass and a cross section in each")
    masses = sorted(found)
    pbs, relatives = np.array([found[mass] for mass in masses]).T
    return CrossSectionTable(process, np.array(masses), pbs, relatives if len(columns) > 2 else None)


def _columns(path: Path, text: str) -> list[str]:
    """The columns of the file, if they are such as can be read."""
    filled = ((i, line) for i, line in lines(text) if line.strip(", \t") and not is_comment(line))
    number, first = next(filled, (1, ""))
    given = cells_of(path, number, first) if first else []
    if given not in ([*_COLUMNS], *([*_COLUMNS, name] for name in _UNCERTAINTIES)):
        raise DocumentError(
            f"{path}:{number}: {first[:100]!r} are not the columns of a table of cross sections; write "
            f"{','.join(_COLUMNS)}, and {' or '.join(_UNCERTAINTIES)} as a third if you have it"
        )
    return given


def _numbers(row: Row, columns: list[str]) -> tuple[float, float, float]:
    """Mass, cross section and relative uncertainty, which is 0 where there is no column for it."""
    mass, pb = row.number("mass_GeV", low=0.0), row.number("cross_section_pb")
    if pb <= 0:
        raise row.error(f"cross_section_pb is {row.cells['cross_section_pb']}; it must be > 0")
    if len(columns) == 2:
        return mass, pb, 0.0
    error = row.number(columns[2], low=0.0)
    return mass, pb, error / 100 if columns[2] == "uncertainty_percent" else error / pb
