"""Searches and signals as text tables: the form they ship in, and that `superbin db import/export` exchanges.

A search is a folder of three files, a signal one file; `specs/tables.md` defines their columns. Numbers are
written with as many digits as they need to read back the same, so reading and writing is an exact round trip.

- `read_search`, `write_search`: a folder with ``search.json``, ``bins.csv`` and ``backgrounds.csv``, and with
  ``covariance.csv`` or ``covariance_up.csv`` and ``covariance_down.csv`` where the search has a covariance.
- `read_signal`, `write_signal`: a CSV file whose comment header holds ``key: value`` lines.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superbin._support.arrays import FloatArray
from superbin._support.files import write_text
from superbin._support.json import json_text
from superbin._support.shown import counted
from superbin.domain.covariance import Covariance
from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError, OutputError
from superbin.io._places import Head, column_names, csv_text, header, rows
from superbin.io._text import number_text, read_text

__all__ = ["read_matrix", "read_search", "read_signal", "write_search", "write_signal"]

_FORMAT = 2
_OLDEST = 1
"""Format 1 had no names, covariance, licence, citation and combinable regions; folders of it are still read."""

_OPTIONAL = ("licence", "citation", "accuracy")
"""Texts that older folders do not have."""

_PARTS = tuple(field.name for field in fields(Estimate))
_SIGNAL_KEYS = ("model", "parameters", "search", "cross_section_pb", "source")
_SYSTEMATICS = ("relative_error", "variations")
"""Keys of a signal that has systematic uncertainties: a fraction, and the names of variations."""


# --- a search ---------------------------------------------------------------------------------------------


def read_search(directory: Path) -> Search:
    """Read a search from its folder of tables.

    Parameters
    ----------
    directory : Path
        Holds ``search.json``, ``bins.csv`` and ``backgrounds.csv``; a covariance may be beside them.

    Raises
    ------
    InputError
        If a file is missing.
    DocumentError
        If a file breaks its format; the text names the file and the line.
    """
    directory = Path(directory)
    head = Head(directory / "search.json")
    if head.get("format") not in range(_OLDEST, _FORMAT + 1):
        head.expect("format", _FORMAT)
    observables = tuple(
        Observable(part.text("name"), part.text("label"), part.text("unit"), part.flag("discrete"))
        for part in head.parts("observables")
    )
    names, low, high, observed = _read_bins(directory / "bins.csv", observables)
    n_bins = len(observed)
    processes = _read_backgrounds(directory / "backgrounds.csv", head.parts("processes"), n_bins)
    texts: dict[str, Any] = {key: head.text(key) for key in _OPTIONAL if key in head.content}
    try:
        return Search(
            name=head.text("name"),
            title=head.text("title"),
            reference=head.text("reference"),
            luminosity_fb=head.number("luminosity_fb"),
            sqrt_s_tev=head.number("sqrt_s_tev"),
            observables=observables,
            low=np.array(low).reshape(n_bins, len(observables)),
            high=np.array(high).reshape(n_bins, len(observables)),
            processes=processes,
            observed=np.array(observed),
            shared_stat=head.groups("shared_stat"),
            source=head.text("source"),
            names=tuple(names),
            combinable=_combinable(head, n_bins),
            covariance=_read_covariance(directory, head, n_bins),
            **texts,
        )
    except DocumentError:
        raise
    except InputError as error:
        raise DocumentError(f"{directory}: {error}") from error


def _combinable(head: Head, n_bins: int) -> NDArray[np.bool_] | None:
    """Regions that may be merged, from the pairs of numbers that may not; None where the ranges decide."""
    if head.content.get("not_combinable") is None:
        return None
    matrix = np.ones((n_bins, n_bins), dtype=np.bool_)
    for pair in head.rows_of_numbers("not_combinable"):
        if len(pair) != 2 or not all(number in range(1, n_bins + 1) for number in pair):
            raise head.error(
                f"not_combinable holds {pair}; it must hold pairs of bin numbers from 1 to {n_bins}"
            )
        i, j = (int(number) - 1 for number in pair)
        matrix[i, j] = matrix[j, i] = False
    return matrix


def _read_covariance(directory: Path, head: Head, n_bins: int) -> Covariance | None:
    names = {side: f"covariance{side}.csv" for side in ("", "_up", "_down")}
    paths = {
        side: path
        for side, name in names.items()
        for path in (directory / name, directory / f"{name}.gz")
        if path.exists()
    }
    there = list(paths)
    if not there:
        return None
    if there not in ([""], ["_up", "_down"]):
        raise DocumentError(
            f"{directory}: has {' and '.join(paths[side].name for side in there)}; a covariance is covariance.csv, or "
            "covariance_up.csv with covariance_down.csv"
        )
    source = head.text("covariance") if head.content.get("covariance") else "covariance"
    if there == [""]:
        return Covariance.of(read_matrix(paths[""], n_bins), source=source)
    up, down = (read_matrix(paths[side], n_bins) for side in there)
    return Covariance(up, down, source)


def read_matrix(path: Path, n_bins: int) -> FloatArray:
    """Read a square table of numbers, one line per bin, separated by commas, semicolons, tabs or blanks.

    Parameters
    ----------
    path : Path
        Lines that begin with ``#`` are comments.
    n_bins : int
        How many lines and columns it must have.

    Returns
    -------
    ndarray, shape (n_bins, n_bins)

    Raises
    ------
    InputError
        If the file is missing.
    DocumentError
        If it has another shape or holds something else; the text names the line.
    """
    matrix = np.empty((n_bins, n_bins))
    n_lines = 0
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip() or text.startswith("#"):
            continue
        cells = text.replace(",", " ").replace(";", " ").split()
        if n_lines == n_bins or len(cells) != n_bins:
            found = (
                f"more than {counted(n_bins, 'line')}"
                if n_lines == n_bins
                else f"{counted(len(cells), 'number')}"
            )
            raise DocumentError(
                f"{path}:{line}: {found}; a matrix of {counted(n_bins, 'bin')} has {counted(n_bins, 'line')} of {counted(n_bins, 'number')}"
            )
        try:
            matrix[n_lines] = cells
        except ValueError as error:
            raise DocumentError(f"{path}:{line}: {error}; a matrix holds numbers only") from error
        n_lines += 1
    if n_lines != n_bins:
        raise DocumentError(
            f"{path}: {counted(n_lines, 'line')}; a matrix of {counted(n_bins, 'bin')} has {counted(n_bins, 'line')}"
        )
    return matrix


def write_search(search: Search, directory: Path) -> None:
    """Write a search as a folder of tables; `read_search` gives the same search back.

    Parameters
    ----------
    search : Search
        What to write.
    directory : Path
        Made if it does not exist; the search's files are replaced, others stay.

    Raises
    ------
    OutputError
        If the folder cannot be made or written.
    InputError
        If a process has a name that no table can hold.
    """
    directory = Path(directory)
    for name in (p.name for p in search.processes):
        if name != name.strip() or not name.isprintable():
            raise InputError(
                f"process name {name!r} cannot be written in a table; use printable text without outer blanks"
            )
    head = {
        "format": _FORMAT,
        "name": search.name,
        "title": search.title,
        "reference": search.reference,
        "luminosity_fb": float(search.luminosity_fb),
        "sqrt_s_tev": float(search.sqrt_s_tev),
        "observables": [
            {"name": o.name, "label": o.label, "unit": o.unit, "discrete": o.discrete}
            for o in search.observables
        ],
        "processes": [{"name": p.name, "label": p.label} for p in search.processes],
        "shared_stat": [list(group) for group in search.shared_stat],
        "source": search.source,
        **{key: getattr(search, key) for key in _OPTIONAL},
        "not_combinable": None
        if search.combinable is None
        else (np.argwhere(np.triu(~search.combinable)) + 1).tolist(),
        "covariance": None if search.covariance is None else search.covariance.source,
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{directory}: cannot be made ({error.strerror}); choose a writable folder"
        ) from error
    texts = {
        "search.json": json_text(head, "search.json", indent=2) + "\n",
        "bins.csv": _bins_text(search),
        "backgrounds.csv": _backgrounds_text(search),
    }
    texts |= _covariance_texts(search)
    for path in [*directory.glob("covariance*.csv"), *directory.glob("covariance*.csv.gz")]:
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        write_text(directory / name, text)


def _covariance_texts(search: Search) -> dict[str, str]:
    covariance = search.covariance
    if covariance is None:
        return {}
    if covariance.down is covariance.up:
        return {"covariance.csv": _matrix_text(search, covariance.up)}
    return {
        "covariance_up.csv": _matrix_text(search, covariance.up),
        "covariance_down.csv": _matrix_text(search, covariance.down),
    }


def _matrix_text(search: Search, matrix: FloatArray) -> str:
    lines = [f"# {search.name}: covariance of the background predictions, events squared, bin by bin."]
    lines += [",".join(map(number_text, row)) for row in matrix.tolist()]
    return "\n".join(lines) + "\n"


def _bins_text(search: Search) -> str:
    names = ", ".join(
        f"{o.name} [{o.unit or '1'}{', discrete' if o.discrete else ''}]" for o in search.observables
    )
    comments = (
        f"{search.name}: the bins and the observed events.",
        f"Observables [unit]: {names}.",
        "A continuous range excludes its lower edge and includes its upper one, a discrete range includes both;",
        "an open upper end is inf. bin is the published number, from 1. Source: see search.json.",
    )
    columns = [
        "bin",
        *(["name"] if search.names else []),
        *(f"{o.name}_{side}" for o in search.observables for side in ("low", "high")),
        "observed",
    ]
    table = (
        [number, *search.names[i : i + 1], *_interleaved(search.low[i], search.high[i]), search.observed[i]]
        for i, number in enumerate(search.numbers)
    )
    return csv_text(comments, columns, table)


def _interleaved(low: Sequence[float], high: Sequence[float]) -> list[float]:
    return [edge for pair in zip(low, high, strict=True) for edge in pair]


def _backgrounds_text(search: Search) -> str:
    comments = (
        f"{search.name}: the predicted background events of every bin and process.",
        "stat and syst, up and down, are distances from the nominal in events. Source and derivation: see search.json.",
    )
    table = (
        [number, p.name, *(getattr(p.estimate, part)[i] for part in _PARTS)]
        for i, number in enumerate(search.numbers)
        for p in search.processes
    )
    return csv_text(comments, ["bin", "process", *_PARTS], table)


def _read_bins(
    path: Path, observables: Sequence[Observable]
) -> tuple[list[str], list[list[float]], list[list[float]], list[float]]:
    ranges = [f"{o.name}_{side}" for o in observables for side in ("low", "high")]
    text = read_text(path)
    columns = ["bin", *ranges, "observed"]
    if "name" not in ranges and "name" in column_names(path, text):
        columns.insert(1, "name")
    names: list[str] = []
    low: list[list[float]] = []
    high: list[list[float]] = []
    observed: list[float] = []
    for row in rows(path, text, columns):
        row.expect_bin(len(observed) + 1)
        names += [row.cells["name"]] if columns[1] == "name" else []
        edges = [row.number(column, infinite=column.endswith("_high")) for column in ranges]
        low.append(edges[::2])
        high.append(edges[1::2])
        observed.append(row.number("observed"))
    if not observed:
        raise DocumentError(f"{path}: the table has no bins; at least one row is needed")
    return names, low, high, observed


def _read_backgrounds(path: Path, heads: Sequence[Head], n_bins: int) -> tuple[Process, ...]:
    labels = {head.text("name"): head.text("label") for head in heads}
    if len(labels) != len(heads):
        raise heads[0].error("two processes have the same name; every name may come once")
    values = {name: np.full((len(_PARTS), n_bins), np.nan) for name in labels}
    for row in rows(path, read_text(path), ["bin", "process", *_PARTS]):
        name = row.cells["process"]
        number = row.number("bin")
        if name not in values:
            raise row.error(f"process {name!r} is not in search.json, which has {list(labels)}")
        if number not in range(1, n_bins + 1):
            raise row.error(f"bin {row.cells['bin']} does not exist; bins.csv has 1 to {n_bins}")
        column = values[name][:, int(number) - 1]
        if not np.isnan(column[0]):
            raise row.error(f"bin {row.cells['bin']} of process {name!r} comes twice; remove one row")
        column[:] = [row.number(part, low=0.0) for part in _PARTS]
    for name, array in values.items():
        missing = np.flatnonzero(np.isnan(array[0]))
        if missing.size:
            raise DocumentError(f"{path}: bin {missing[0] + 1} of process {name!r} is missing; add its row")
    return tuple(Process(name, label, Estimate(*values[name])) for name, label in labels.items())


# --- a signal ---------------------------------------------------------------------------------------------


def read_signal(path: Path) -> SignalModel:
    """Read the yields of one signal point.

    Parameters
    ----------
    path : Path
        A CSV file with columns ``bin,yield,error``, and ``NAME_up,NAME_down`` for every variation, under a comment header.

    Raises
    ------
    InputError
        If the file is missing.
    DocumentError
        If it breaks its format; the text names the line.
    """
    path = Path(path)
    text = read_text(path)
    head = header(path, text, _SIGNAL_KEYS, _SYSTEMATICS)
    names = head.names("variations") if "variations" in head.content else ()
    if len(set(names)) < len(names):
        raise head.error("variations has a name twice; every name may come once")
    columns = ["yield", "error", *_sides(names)]
    numbers: list[list[float]] = []
    for row in rows(path, text, ["bin", *columns]):
        row.expect_bin(len(numbers) + 1)
        numbers.append([row.number(column, low=0.0) for column in columns])
    if not numbers:
        raise DocumentError(f"{path}: the table has no bins; at least one row is needed")
    yields, errors, *sides = np.array(numbers).T
    sigma = None if head.content["cross_section_pb"] is None else head.number("cross_section_pb")
    try:
        return SignalModel(
            model=head.text("model"),
            parameters=head.numbers("parameters"),
            search=head.text("search"),
            yields=yields,
            errors=errors,
            source=head.text("source"),
            cross_section_pb=sigma,
            variations={name: (sides[2 * i], sides[2 * i + 1]) for i, name in enumerate(names)},
            relative_error=head.number("relative_error") if "relative_error" in head.content else 0.0,
        )
    except DocumentError:
        raise
    except InputError as error:
        raise DocumentError(f"{path}: {error}") from error


def write_signal(signal: SignalModel, path: Path) -> None:
    """Write the yields of one signal point; `read_signal` gives the same point back.

    Parameters
    ----------
    signal : SignalModel
        What to write.
    path : Path
        The CSV file, replaced if it exists; its folder must exist.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    head: dict[str, object] = {
        "model": signal.model,
        "parameters": dict(signal.parameters),
        "search": signal.search,
        "cross_section_pb": signal.cross_section_pb,
        "source": signal.source,
    }
    # Only where there are any: the tables of signals without stay as they were.
    if signal.relative_error:
        head["relative_error"] = signal.relative_error
    if signal.variations:
        head["variations"] = list(signal.variations)
    comments = [
        "Expected signal events per bin at the search's luminosity, and their Monte Carlo standard errors.",
        "Masses are in GeV. The lines 'key: value' below are read by superbin; the values are JSON.",
        *(f"{key}: {json_text(value, key, ensure_ascii=True)}" for key, value in head.items()),
    ]
    sides = [side for pair in signal.variations.values() for side in pair]
    table = ([i + 1, *row] for i, row in enumerate(zip(signal.yields, signal.errors, *sides, strict=True)))
    write_text(path, csv_text(comments, ["bin", "yield", "error", *_sides(signal.variations)], table))


def _sides(names: Iterable[str]) -> list[str]:
    """Columns of variations."""
    return [f"{name}_{side}" for name in names for side in ("up", "down")]
