"""Searches from the forms in which they are published.

`recognise` says which form a path has, `read` makes a `superbin.domain.bundle.Bundle` of it, `inspect` lists the tables of a source that
has several. Archives are opened first. `IMPORTERS` lists the forms; adding one is a module with an `Importer` object and a
line here.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from superbin._support.json import parse_json
from superbin._support.shown import counted
from superbin.errors import InputError, UnknownNameError
from superbin.io.imports import (
    cards,
    checkmate,
    fit_diagnostics,
    folder,
    hepdata,
    madanalysis,
    pyhf,
    root,
    smodels,
    spey,
    table,
    yields,
)
from superbin.io.imports.archives import opened
from superbin.io.imports.base import Imported, Importer, Options, Source, printable
from superbin.io.imports.hepdata import TableSummary, propose
from superbin.io.imports.matrices import ALONE, is_matrix_name
from superbin.io.imports.preview import preview

__all__ = [
    "IMPORTERS",
    "Form",
    "Imported",
    "Importer",
    "Options",
    "TableSummary",
    "inspect",
    "preview",
    "propose",
    "read",
    "recognise",
]

Form: TypeAlias = Literal[
    "superbin",
    "smodels",
    "checkmate",
    "madanalysis",
    "pyhf",
    "spey",
    "yields",
    "hepdata",
    "combine",
    "fitdiagnostics",
    "root",
    "csv",
]
"""The names of `IMPORTERS`."""

IMPORTERS: tuple[Importer, ...] = (
    folder.IMPORTER,
    smodels.IMPORTER,
    checkmate.IMPORTER,
    madanalysis.IMPORTER,
    pyhf.IMPORTER,
    spey.IMPORTER,
    yields.IMPORTER,
    hepdata.IMPORTER,
    cards.IMPORTER,
    fit_diagnostics.IMPORTER,
    root.IMPORTER,
    table.IMPORTER,
)
"""In the order in which they are asked; the first that recognises a source reads it."""

_ADVICE = {
    (".root",): "a ROOT file without histograms or shapes of Combine; name the form with --as",
    (
        ".pdf",
        ".png",
        ".jpg",
        ".jpeg",
        ".eps",
        ".svg",
    ): "a figure; take the numbers from the record of the paper on hepdata.net",
    (".xls", ".xlsx", ".ods", ".numbers"): "a spreadsheet; save its table as CSV",
    (".tex",): "LaTeX; write the table as CSV, one row per bin",
    (".doc", ".docx", ".html", ".htm", ".md"): "a text; write its table as CSV, one row per bin",
    (
        ".py",
        ".c",
        ".C",
        ".cc",
        ".cpp",
        ".h",
        ".ipynb",
        ".sh",
    ): "a program; imports run none, write the table as CSV",
    (".pkl", ".pickle", ".npy", ".npz", ".h5", ".hdf5"): (
        "a file of arrays; imports execute nothing in files, so read it in Python and give the arrays to Search.from_arrays"
    ),
    (
        ".parquet",
        ".pq",
    ): "Parquet; a signal is read from it by superbin.io.signals.signals_from_table, a search from CSV",
    (
        ".slha",
        ".lhe",
        ".lhe.gz",
        ".hepmc",
        ".hepmc.gz",
    ): "events or a spectrum of a model; `superbin signal generate` makes signals of them",
    (".db", ".sqlite"): "a database; name it with SUPERBIN_DATABASE",
    (".yoda", ".yoda.gz"): "YODA; import the YAML or JSON of the record on hepdata.net",
    (".rar", ".7z"): "an archive that is not read; pack it as zip or tar",
}
_MOST_NAMED = 10


def _advice(source: Source) -> str:
    """What to do with a source that no form recognises."""
    if source.is_folder:
        return _folder_advice(source)
    name = source.path.name
    what = next((text for endings, text in _ADVICE.items() if name.endswith(endings)), None)
    if what is not None:
        return f"this is {what}"
    if is_matrix_name(name):
        return f"by its name {ALONE}"
    if not source.head(1):
        return "the file is empty"
    if source.suffix == ".json" and (known := _about_json(source)) is not None:
        return known
    forms = ", ".join(importer.name for importer in IMPORTERS)
    return f"no form of a search is recognised; name it with --as, one of {forms} (superbin is a folder with search.json)"


def _about_json(source: Source) -> str | None:
    """What a JSON file is that is no search, or why it cannot be read."""
    if pyhf.is_patch(source.path):
        return "this is a patch of a pyhf workspace; name the folder that holds both"
    try:
        parse_json(source.text(), source.path)
    except InputError as error:
        return f"cannot be read, {str(error).removeprefix(f'{source.path}:').strip()}"
    return None


def _folder_advice(source: Source) -> str:
    """Which files and folders within are searches of their own."""
    inner = sorted(p for p in source.path.iterdir() if not p.name.startswith("."))[:200]
    found = [f"{p.name} ({importer.name})" for p in inner if (importer := _recognised_within(p)) is not None]
    if found:
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        return f"the folder holds {counted(len(found), 'search')}, {', '.join(found[:_MOST_NAMED])}{more}; name one of them"
    shown = ", ".join(p.name for p in inner[:_MOST_NAMED]) or "nothing"
    forms = ", ".join(importer.name for importer in IMPORTERS)
    return (
        f"no form of a search is recognised in the folder, which holds {shown}; name the form with --as, one of {forms} (superbin "
        "is a folder with search.json)"
    )


def recognise(path: str | Path) -> Importer | None:
    """The importer for a path, or None if no form is recognised.

    Raises
    ------
    InputError
        If there is nothing at the path, or a device, a pipe or a socket.
    DocumentError
        If an archive is damaged or unsafe.
    """
    with opened(path) as source:
        return _recognised(source)


def read(path: str | Path, *, kind: Form | None = None, options: Options | None = None) -> Imported:
    """Read a search from any form that is known.

    Parameters
    ----------
    path : str or Path
        A file, a folder or an archive of these.
    kind : str, optional
        Name of one of `IMPORTERS`; by default the form is recognised.
    options : Options, optional
        What the source does not say.

    Raises
    ------
    UnknownNameError
        If there is no form of that name.
    InputError
        If the form is not recognised, or the options lack something.
    DocumentError
        If the source breaks its form.
    """
    with _escaped(), opened(path) as source:
        found = _importer(source, kind, Path(path)).read(source, options or Options())
    return replace(found, notes=tuple(map(printable, found.notes)))


def inspect(path: str | Path, *, kind: Form | None = None) -> tuple[TableSummary, ...]:
    """The tables of a source that has several, with what each looks like; for a mapping.

    Raises
    ------
    InputError
        If the form is not recognised, or has no tables to choose from.
    DocumentError
        If the source breaks its form.
    """
    with _escaped(), opened(path) as source:
        importer = _importer(source, kind, Path(path))
        if importer is not hepdata.IMPORTER:
            raise InputError(f"{path}: {importer.title} has no tables to choose from; import it")
        return hepdata.inspect(source)


@contextmanager
def _escaped() -> Iterator[None]:
    """Errors on one printable line, whatever names and texts of the input they repeat."""
    try:
        yield
    except InputError as error:
        text = printable(str(error))
        if text == str(error):
            raise
        raise type(error)(text) from error


def _recognised(source: Source) -> Importer | None:
    return next((importer for importer in IMPORTERS if importer.recognises(source)), None)


def _recognised_within(path: Path) -> Importer | None:
    """The importer for a file or folder in a folder; none for one that cannot be looked at."""
    with suppress(InputError, OSError):
        if path.is_file() or path.is_dir():
            return _recognised(Source(path))
    return None


def _importer(source: Source, kind: Form | None, path: Path) -> Importer:
    names = [importer.name for importer in IMPORTERS]
    if kind is not None:
        if kind not in names:
            raise UnknownNameError(f"no form is called {kind!r}; there are {', '.join(names)}")
        return IMPORTERS[names.index(kind)]
    importer = _recognised(source)
    if importer is None:
        raise InputError(f"{path}: {_advice(source)}")
    if importer is hepdata.IMPORTER and source.is_folder and not source.has("submission.yaml"):
        _check_loose(source, path)
    return importer


def _check_loose(source: Source, path: Path) -> None:
    """Refuse a folder of HEPData tables that holds other searches too: which one is meant is not said."""
    others = [
        p
        for p in source.path.iterdir()
        if Source(p).suffix not in (".yaml", ".yml", ".json") and p.name[:1] != "."
    ]
    if any(_recognised_within(p) is not None for p in others[:200]):
        raise InputError(f"{path}: {_folder_advice(source)}")
