"""Lists of masses as text files: `read_masses`, for every command that takes ``--points``.

A line is a point: numbers with a comma or blanks between them. Empty lines, comments after ``#`` and one line that names
the masses, above the first point, are free.
"""

from collections.abc import Sequence
from pathlib import Path

from superbin._support.shown import counted
from superbin.errors import DocumentError, InputError
from superbin.io._places import cells_of, lines
from superbin.io._text import parse_number, read_text

__all__ = ["read_masses"]

_SHOWN = 60
"""As much of a wrong line as an error text repeats."""


def read_masses(
    path: str | Path, names: Sequence[str] = ("m_mother", "m_lsp")
) -> tuple[tuple[float, ...], ...]:
    """Read points of a plane of masses.

    Parameters
    ----------
    path : str or Path
        UTF-8 text.
    names : sequence of str
        What the masses of a line are called, in their order; a line of these names is a heading.

    Returns
    -------
    tuple of tuple of float
        Masses in GeV, in the order of the file; finite, and no point twice.

    Raises
    ------
    InputError
        If the file cannot be read.
    DocumentError
        If a line is not a point, a point comes twice, or there is none; the text names file and line.
    """
    path = Path(path)
    example = f"write {','.join(names)} in GeV, one point a line"
    bare = ((number, line.partition("#")[0].strip()) for number, line in lines(read_text(path)))
    filled = [(number, line) for number, line in bare if line.strip('", \t')]
    if filled and _cells(path, *filled[0]) == list(names):
        del filled[0]
    points: dict[tuple[float, ...], int] = {}
    for number, line in filled:
        place, shown = f"{path}:{number}", repr(line[:_SHOWN])
        try:
            point = tuple(map(parse_number, _cells(path, number, line)))
        except DocumentError:
            raise
        except InputError as error:
            raise DocumentError(f"{place}: {shown} is not a list of masses: {error}; {example}") from None
        if len(point) != len(names):
            raise DocumentError(
                f"{place}: {shown} is {counted(len(point), 'number')} for {counted(len(names), 'mass')}; {example}"
            )
        if point in points:
            raise DocumentError(f"{place}: {shown} is in line {points[point]} already; remove one")
        points[point] = number
    if not points:
        raise DocumentError(f"{path} holds no point; {example}")
    return tuple(points)


def _cells(path: Path, number: int, line: str) -> list[str]:
    """What stands between commas, or where there is none between blanks."""
    return cells_of(path, number, line) if "," in line else line.split()
