"""Searches and signals as text tables: the form they ship in, and that `superbin db import/export` exchanges.

A search is a folder of three files, a signal one file; `specs/tables.md` defines their columns. Numbers are
written with as many digits as they need to read back the same, so reading and writing is an exact round trip.

- `read_search`, `write_search`: a folder with ``search.json``, ``bins.csv`` and ``backgrounds.csv``.
- `read_signal`, `write_signal`: a CSV file whose comment header holds ``key: value`` lines.
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from superbin._json import json_text
from superbin.errors import DocumentError, InputError, OutputError
from superbin.files import write_text
from superbin.io._places import Head, csv_text, header, rows
from superbin.io._text import read_text
from superbin.search import Estimate, Observable, Process, Search
from superbin.signal import SignalModel

__all__ = ["read_search", "read_signal", "write_search", "write_signal"]

_FORMAT = 1
_PARTS = tuple(field.name for field in fields(Estimate))
_SIGNAL_KEYS = ("model", "parameters", "search", "cross_section_pb", "source")


# --- a search ---------------------------------------------------------------------------------------------


def read_search(directory: Path) -> Search:
    """Read a search from its folder of tables.

    Parameters
    ----------
    directory : Path
        Holds ``search.json``, ``bins.csv`` and ``backgrounds.csv``.

    Raises
    ------
    InputError
        If a file is missing.
    DocumentError
        If a file breaks its format; the text names the file and the line.
    """
    directory = Path(directory)
    head = Head(directory / "search.json")
    head.expect("format", _FORMAT)
    observables = tuple(
        Observable(part.text("name"), part.text("label"), part.text("unit"), part.flag("discrete"))
        for part in head.parts("observables")
    )
    low, high, observed = _read_bins(directory / "bins.csv", observables)
    processes = _read_backgrounds(directory / "backgrounds.csv", head.parts("processes"), len(observed))
    try:
        return Search(
            name=head.text("name"),
            title=head.text("title"),
            reference=head.text("reference"),
            luminosity_fb=head.number("luminosity_fb"),
            sqrt_s_tev=head.number("sqrt_s_tev"),
            observables=observables,
            low=np.array(low).reshape(len(observed), len(observables)),
            high=np.array(high).reshape(len(observed), len(observables)),
            processes=processes,
            observed=np.array(observed),
            shared_stat=head.groups("shared_stat"),
            source=head.text("source"),
        )
    except DocumentError:
        raise
    except InputError as error:
        raise DocumentError(f"{directory}: {error}") from error


def write_search(search: Search, directory: Path) -> None:
    """Write a search as a folder of tables; `read_search` gives the same search back.

    Parameters
    ----------
    search : Search
        What to write.
    directory : Path
        Made if it does not exist; its three files are replaced, others stay.

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
                f"process name {name!r} cannot stand in a table; use printable text without outer blanks"
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
    for name, text in texts.items():
        write_text(directory / name, text)


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
        *(f"{o.name}_{side}" for o in search.observables for side in ("low", "high")),
        "observed",
    ]
    table = (
        [number, *_interleaved(search.low[i], search.high[i]), search.observed[i]]
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
) -> tuple[list[list[float]], list[list[float]], list[float]]:
    columns = ["bin", *(f"{o.name}_{side}" for o in observables for side in ("low", "high")), "observed"]
    low: list[list[float]] = []
    high: list[list[float]] = []
    observed: list[float] = []
    for row in rows(path, read_text(path), columns):
        row.expect_bin(len(observed) + 1)
        edges = [row.number(column, infinite=column.endswith("_high")) for column in columns[1:-1]]
        low.append(edges[::2])
        high.append(edges[1::2])
        observed.append(row.number("observed"))
    if not observed:
        raise DocumentError(f"{path}: the table has no bins; at least one row is needed")
    return low, high, observed


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
        A CSV file with columns ``bin,yield,error`` under a comment header.

    Raises
    ------
    InputError
        If the file is missing.
    DocumentError
        If it breaks its format; the text names the line.
    """
    path = Path(path)
    text = read_text(path)
    head = header(path, text, _SIGNAL_KEYS)
    yields: list[float] = []
    errors: list[float] = []
    for row in rows(path, text, ["bin", "yield", "error"]):
        row.expect_bin(len(yields) + 1)
        yields.append(row.number("yield", low=0.0))
        errors.append(row.number("error", low=0.0))
    if not yields:
        raise DocumentError(f"{path}: the table has no bins; at least one row is needed")
    sigma = None if head.content["cross_section_pb"] is None else head.number("cross_section_pb")
    try:
        return SignalModel(
            model=head.text("model"),
            parameters=head.numbers("parameters"),
            search=head.text("search"),
            yields=np.array(yields),
            errors=np.array(errors),
            source=head.text("source"),
            cross_section_pb=sigma,
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
    head = {
        "model": signal.model,
        "parameters": dict(signal.parameters),
        "search": signal.search,
        "cross_section_pb": signal.cross_section_pb,
        "source": signal.source,
    }
    comments = [
        "Expected signal events per bin at the search's luminosity, and their Monte Carlo standard errors.",
        "Masses are in GeV. The lines 'key: value' below are read by superbin; the values are JSON.",
        *(f"{key}: {json_text(head[key], key, ensure_ascii=True)}" for key in _SIGNAL_KEYS),
    ]
    table = ([i + 1, signal.yields[i], signal.errors[i]] for i in range(len(signal.yields)))
    write_text(path, csv_text(comments, ["bin", "yield", "error"], table))
