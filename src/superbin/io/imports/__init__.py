"""Searches from the forms in which they are published.

`recognise` says which form a path has, `read` makes a `superbin.bundle.Bundle` of it. `IMPORTERS` lists the forms; adding one
is a module with an `Importer` object and a line here.
"""

from pathlib import Path

from superbin.errors import InputError, UnknownNameError
from superbin.io.imports import fit_diagnostics, root, smodels, table
from superbin.io.imports.base import Imported, Importer, Options, Source

__all__ = ["IMPORTERS", "Imported", "Importer", "Options", "read", "recognise"]

IMPORTERS: tuple[Importer, ...] = (
    smodels.IMPORTER,
    fit_diagnostics.IMPORTER,
    root.IMPORTER,
    table.IMPORTER,
)
"""In the order in which they are asked; the first that recognises a source reads it."""


def recognise(path: str | Path) -> Importer | None:
    """The importer for a path, or None if no form is recognised.

    Raises
    ------
    InputError
        If there is nothing at the path, or a device, a pipe or a socket.
    """
    source = Source.at(path)
    return next((importer for importer in IMPORTERS if importer.recognises(source)), None)


def read(path: str | Path, *, kind: str | None = None, options: Options | None = None) -> Imported:
    """Read a search from any form that is known.

    Parameters
    ----------
    path : str or Path
        A file or folder.
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
    source = Source.at(path)
    names = [importer.name for importer in IMPORTERS]
    if kind is None:
        importer = next((i for i in IMPORTERS if i.recognises(source)), None)
        if importer is None:
            forms = "; ".join(f"{i.name}: {i.title}" for i in IMPORTERS)
            raise InputError(f"{path}: the form is not recognised; name it with --as, one of {forms}")
    elif kind in names:
        importer = IMPORTERS[names.index(kind)]
    else:
        raise UnknownNameError(f"no form is called {kind!r}; there are {', '.join(names)}")
    return importer.read(source, options or Options())
