"""Limits that experiments published, for comparison: a few points per search, packaged with their source.

`published_limits` reads ``data/<search>/published-limits.csv``: text, with the source in its comments.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from superbin.errors import DocumentError

__all__ = ["PublishedLimit", "published_limits"]

_DATA = Path(__file__).with_name("data")
_COLUMNS = ["model", "m_mother", "m_lsp", "map_m_mother", "map_m_lsp", "observed_limit_pb"]


@dataclass(frozen=True, slots=True)
class PublishedLimit:
    """An observed 95 % CL upper limit on a cross section.

    Attributes
    ----------
    model : str
    parameters : mapping of str to float
        Masses, GeV.
    place : mapping of str to float
        Where the published map was read, near these masses, GeV.
    observed_pb : float
        The limit, pb.
    """

    model: str
    parameters: Mapping[str, float]
    place: Mapping[str, float]
    observed_pb: float


def published_limits(search: str, model: str) -> tuple[PublishedLimit, ...]:
    """Limits that a search published for a model.

    Parameters
    ----------
    search, model : str
        Names, such as ``"cms-pas-sus-16-014"`` and ``"T1bbbb"``.

    Returns
    -------
    tuple of PublishedLimit
        Empty where none are packaged.
    """
    return tuple(limit for limit in _table(search) if limit.model == model)


@cache
def _table(search: str) -> tuple[PublishedLimit, ...]:
    path = _DATA / search / "published-limits.csv"
    if path.parent.parent != _DATA or not path.is_file():
        return ()
    return read_limits(path)


def read_limits(path: Path) -> tuple[PublishedLimit, ...]:
    """Read a table of published limits.

    Raises
    ------
    DocumentError
        If a line breaks the format; the text names file and line.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [(i, line) for i, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    if not rows or rows[0][1].split(",") != _COLUMNS:
        raise DocumentError(f"{path} has no line of columns {','.join(_COLUMNS)}; write it first")
    return tuple(
        _limit(f"{path}:{i}", cells)
        for (i, _), cells in zip(rows[1:], csv.reader(line for _, line in rows[1:]), strict=True)
    )


def _limit(place: str, cells: list[str]) -> PublishedLimit:
    try:
        numbers = [float(cell) for cell in cells[1:]]
    except ValueError as error:
        raise DocumentError(f"{place}: {error}; masses in GeV and a limit in pb are needed") from error
    if len(numbers) != len(_COLUMNS) - 1 or not all(math.isfinite(x) and x >= 0 for x in numbers):
        raise DocumentError(
            f"{place}: {','.join(cells)!r} must be a model and {len(_COLUMNS) - 1} numbers >= 0"
        )
    mother, lsp, map_mother, map_lsp, limit = numbers
    return PublishedLimit(
        cells[0], {"m_mother": mother, "m_lsp": lsp}, {"m_mother": map_mother, "m_lsp": map_lsp}, limit
    )
