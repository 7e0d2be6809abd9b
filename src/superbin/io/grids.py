"""Signal points and grids as text files; `specs/signals.md` defines them.

- `read_point`, `write_point`: one generated point, a JSON document, as the generator leaves it.
- `read_points`: all of a folder.
- `read_grid`, `write_grid`: many points as one table, compressed where its name ends in ``.gz``; `parse_grid` and
  `grid_bytes` do the same without a file.

Numbers are written with as many digits as they need to read back the same.
"""

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.files import write_bytes, write_text
from superbin._support.json import json_text
from superbin.domain.grid import SignalGrid, SignalPoint
from superbin.errors import DocumentError, InputError
from superbin.io._places import Head, Row, csv_text, header, rows
from superbin.io._text import read_text

__all__ = ["grid_bytes", "parse_grid", "read_grid", "read_point", "read_points", "write_grid", "write_point"]

_POINT = "superbin/signal-point/1"
_GRID = "superbin/signal-grid/1"
_MOST_BINS = 100_000
"""More is a damaged number, and would fill the memory."""
_KEYS = (
    "schema",
    "model",
    "search",
    "parameters",
    "process",
    "n_bins",
    "source",
    "settings",
    "points",
    "events",
)


# --- a point ----------------------------------------------------------------------------------------------


def read_point(path: str | Path) -> SignalPoint:
    """Read one generated point.

    Raises
    ------
    InputError
        If the file is missing.
    DocumentError
        If it breaks its format.
    """
    head = Head(Path(path))
    head.expect("schema", _POINT)
    settings = head.get("settings")
    if not isinstance(settings, dict):
        raise head.error("settings must be a JSON object")
    try:
        return SignalPoint(
            model=head.text("model"),
            parameters=head.numbers("parameters"),
            search=head.text("search"),
            events=head.whole("events"),
            seed=head.whole("seed"),
            efficiencies=np.array(head.list_of_numbers("efficiencies")),
            errors=np.array(head.list_of_numbers("errors")),
            settings=settings,
            variations=_variations(head),
        )
    except DocumentError:
        raise
    except InputError as error:
        raise DocumentError(f"{path}: {error}") from error


def _variations(head: Head) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Efficiencies up and down by source; none in points of before."""
    given = head.content.get("variations", {})
    if not isinstance(given, dict):
        raise head.error("variations must be a JSON object")
    try:
        return {
            name: (np.array(up, dtype=float), np.array(down, dtype=float))
            for name, (up, down) in given.items()
        }
    except (TypeError, ValueError):
        raise head.error("variations must hold a list of two lists of numbers for every source") from None


def write_point(point: SignalPoint, path: str | Path) -> None:
    """Write one generated point, in one step; `read_point` gives it back.

    Raises
    ------
    OutputError
        If the place cannot be written.
    """
    document: dict[str, Any] = {
        "schema": _POINT,
        "model": point.model,
        "parameters": dict(point.parameters),
        "search": point.search,
        "events": point.events,
        "seed": point.seed,
        "efficiencies": point.efficiencies.tolist(),
        "errors": point.errors.tolist(),
        "settings": dict(point.settings),
    }
    if point.variations:
        document["variations"] = {
            name: [up.tolist(), down.tolist()] for name, (up, down) in point.variations.items()
        }
    write_text(path, json_text(document, str(path)) + "\n")


def read_points(folder: str | Path) -> tuple[SignalPoint, ...]:
    """Read every ``*.json`` of a folder as a point, in the order of their names.

    Raises
    ------
    InputError
        If it is no folder or holds none.
    DocumentError
        If a file breaks its format.
    """
    paths = sorted(Path(folder).glob("*.json"))
    if not paths:
        raise InputError(
            f"{folder} holds no points (*.json); name a folder that superbin signal generate wrote"
        )
    return tuple(map(read_point, paths))


# --- a grid -----------------------------------------------------------------------------------------------


def read_grid(path: str | Path) -> SignalGrid:
    """Read a grid.

    Raises
    ------
    InputError
        If the file is missing.
    DocumentError
        If it breaks its format; the text names the line where there is one.
    """
    return parse_grid(read_text(Path(path)), Path(path))


def parse_grid(text: str, path: Path) -> SignalGrid:
    """Read a grid from the text of its file; `path` is for the error texts.

    Raises
    ------
    DocumentError
        If it breaks its format; the text names the line where there is one.
    """
    head = header(path, text, _KEYS, ("variations",))
    head.expect("schema", _GRID)
    parameters = head.names("parameters")
    points = [tuple(map(float, point)) for point in _points(head, len(parameters))]
    n_bins = head.whole("n_bins")
    if not 1 <= n_bins <= _MOST_BINS:
        raise head.error(f"n_bins is {n_bins}; it must be from 1 to {_MOST_BINS}")
    names = head.names("variations") if "variations" in head.content else ()
    efficiencies, errors, *sides = _read_rows(path, text, parameters, points, n_bins, names)
    settings = head.get("settings")
    if not isinstance(settings, dict):
        raise head.error("settings must be a JSON object")
    try:
        return SignalGrid(
            model=head.text("model"),
            search=head.text("search"),
            parameters=parameters,
            points=np.array(points),
            efficiencies=efficiencies,
            errors=errors,
            events=np.array(head.list_of_numbers("events")),
            process=head.text("process"),
            source=head.text("source"),
            settings=settings,
            variations={name: (sides[2 * i], sides[2 * i + 1]) for i, name in enumerate(names)},
        )
    except DocumentError:
        raise
    except InputError as error:
        raise DocumentError(f"{path}: {error}") from error


def _points(head: Head, n_parameters: int) -> list[list[float]]:
    points = head.rows_of_numbers("points")
    if not points or any(len(point) != n_parameters for point in points):
        raise head.error(f"points must be a list of lists of {n_parameters} numbers, at least one")
    return points


def _columns(names: Sequence[str]) -> list[str]:
    """What a row says of its bin."""
    return ["efficiency", "error", *(f"{name}_{side}" for name in names for side in ("up", "down"))]


def _read_rows(
    path: Path,
    text: str,
    parameters: tuple[str, ...],
    points: list[tuple[float, ...]],
    n_bins: int,
    names: Sequence[str],
) -> list[FloatArray]:
    """Efficiencies, errors and variations; a bin without a row is zero."""
    where = {point: i for i, point in enumerate(points)}
    known: dict[tuple[str, ...], int] = {}
    columns = _columns(names)
    tables = [np.zeros((len(points), n_bins)) for _ in columns]
    seen: set[tuple[int, int]] = set()
    for row in rows(path, text, [*parameters, "bin", *columns]):
        cells = tuple(row.cells[name] for name in parameters)
        if cells not in known:
            point = tuple(row.number(name) for name in parameters)
            if point not in where:
                raise row.error(f"the point {_numbers(point)} is not among those of the header")
            known[cells] = where[point]
        place = (known[cells], _bin(row, n_bins))
        if place in seen:
            raise row.error(
                f"bin {row.cells['bin']} of the point ({', '.join(cells)}) comes twice; remove one row"
            )
        seen.add(place)
        for column, values in zip(columns, tables, strict=True):
            values[place] = row.number(column, low=0.0)
            if column != "error" and values[place] > 1:
                raise row.error(f"{column} is {row.cells[column]}; a fraction of events is at most 1")
    return tables


def _bin(row: Row, n_bins: int) -> int:
    number = row.number("bin")
    if number not in range(1, n_bins + 1):
        raise row.error(f"bin {row.cells['bin']} does not exist; the header says n_bins is {n_bins}")
    return int(number) - 1


def _numbers(values: tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"


def write_grid(grid: SignalGrid, path: str | Path) -> None:
    """Write a grid, in one step; `read_grid` gives it back, and equal grids give equal bytes.

    Parameters
    ----------
    grid : SignalGrid
    path : str or Path
        Its folder must exist; compressed if the name ends in ``.gz``.

    Raises
    ------
    OutputError
        If the place cannot be written.
    """
    path = Path(path)
    if path.name.endswith(".gz"):
        write_bytes(path, grid_bytes(grid))
    else:
        write_text(path, _grid_text(grid))


def grid_bytes(grid: SignalGrid) -> bytes:
    """A grid as the content of a ``.csv.gz`` file; equal grids give equal bytes."""
    # Without the time in it, equal grids are equal files.
    return gzip.compress(_grid_text(grid).encode(), compresslevel=9, mtime=0)


def _grid_text(grid: SignalGrid) -> str:
    head: dict[str, Any] = {
        "schema": _GRID,
        "model": grid.model,
        "search": grid.search,
        "parameters": list(grid.parameters),
        "process": grid.process,
        "n_bins": grid.n_bins,
        "source": grid.source,
        "settings": dict(grid.settings),
        "points": grid.points.tolist(),
        "events": grid.events.tolist(),
    }
    # Left out where there are none, so that such grids keep the file they always had.
    keys = (*_KEYS, "variations") if grid.variations else _KEYS
    head["variations"] = list(grid.variations)
    comments = [
        "Weighted fraction of produced events in every bin, and its Monte Carlo standard error; masses in GeV.",
        "A bin without a row is zero. The lines 'key: value' below are read by superbin; the values are JSON.",
        *(f"{key}: {json_text(head[key], key, ensure_ascii=True)}" for key in keys),
    ]
    return csv_text(comments, [*grid.parameters, "bin", *_columns(list(grid.variations))], _table(grid))


def _table(grid: SignalGrid) -> Iterator[list[float]]:
    sides = [side for pair in grid.variations.values() for side in pair]
    columns = [grid.efficiencies, grid.errors, *sides]
    for i, j in np.argwhere(np.any([values > 0 for values in columns], axis=0)):
        yield [*grid.points[i], j + 1, *(values[i, j] for values in columns)]
