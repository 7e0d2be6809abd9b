"""The content of a source, for a user who has to write a mapping."""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from superbin._support.files import files_within
from superbin._support.json import json_text
from superbin._support.shown import counted
from superbin.errors import InputError
from superbin.io.imports import Form, Options, TableSummary, inspect, read, recognise
from superbin.io.imports.archives import opened
from superbin.io.imports.base import printable

__all__ = ["Survey", "survey"]

_MOST = 100
"""Files and tables that are listed."""
_NEEDS_LUMINOSITY = "--luminosity"


@dataclass(frozen=True, slots=True)
class Survey:
    """What is in a source.

    Attributes
    ----------
    path : str
    kind : str or None
        Name of the importer; None where no form is recognised.
    title : str
        What a person calls the form.
    files : tuple of str
        Files of a folder or archive, relative to it; empty for one file.
    tables : tuple of TableSummary
        Tables of a source that has several.
    mapping : mapping
        A mapping for the import, as far as it can be told; empty where none is needed.
    needs : tuple of str
        Options that the import needs.
    notes : tuple of str
        What an import would do with every part.
    problem : str
        Why it cannot be imported as it is; empty if it can.
    """

    path: str
    kind: str | None
    title: str
    files: tuple[str, ...]
    tables: tuple[TableSummary, ...]
    mapping: dict[str, Any]
    needs: tuple[str, ...]
    notes: tuple[str, ...]
    problem: str

    def document(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return asdict(self)

    def lines(self) -> list[str]:
        """All of it for a person, line by line."""
        lines = [f"{self.path}: {self.title}"]
        lines += _shown([f"file {name}" for name in self.files])
        lines += _shown(
            [
                f"table {t.name!r} ({t.role}: {t.reason}): {counted(t.n_rows, 'row')} of {', '.join(t.columns)}"
                for t in self.tables
            ]
        )
        lines += [f"  {note}" for note in self.notes]
        if self.problem:
            lines.append(f"cannot be imported as it is: {self.problem}")
        if self.mapping:
            lines += [
                "a mapping to begin with (--mapping FILE):",
                json_text(self.mapping, "the mapping", indent=1),
            ]
        if self.kind is not None and not self.problem:
            options = "".join(f" {option}" for option in self.needs)
            lines.append(f"import it with: superbin db import {self.path}{options}")
        return [printable(line) if "\n" not in line else line for line in lines]


def survey(path: str | Path, *, kind: Form | None = None) -> Survey:
    """Look at a source as an import would, and store nothing.

    Parameters
    ----------
    path : str or Path
    kind : str, optional
        Name of one of `superbin.io.imports.IMPORTERS`; by default the form is recognised.

    Raises
    ------
    InputError
        If there is nothing at the path, or a device, a pipe or a socket.
    DocumentError
        If an archive is damaged or unsafe.
    UnknownNameError
        If there is no form of that name.
    """
    files = _files(path)
    importer = recognise(path)
    tables: tuple[TableSummary, ...] = ()
    with contextlib.suppress(InputError):  # one table, or a form that has none to choose from
        tables = inspect(path, kind=kind)
    notes, needs, problem = _tried(path, kind)
    return Survey(
        path=str(path),
        kind=kind or (None if importer is None else importer.name),
        title="no form of a search is recognised" if importer is None else importer.title,
        files=files,
        tables=tables,
        mapping=_mapping(tables) if problem else {},
        needs=needs,
        notes=notes,
        problem=problem,
    )


def _tried(path: str | Path, kind: Form | None) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """What an import says, the options it needs, and why it fails."""
    try:
        return read(path, kind=kind).notes, (), ""
    except InputError as error:
        problem = str(error)
    if _NEEDS_LUMINOSITY not in problem:
        return (), (), problem
    try:
        found = read(path, kind=kind, options=Options(luminosity_fb=1.0))
    except InputError as error:
        return (), (f"{_NEEDS_LUMINOSITY} FB",), str(error)
    return found.notes, (f"{_NEEDS_LUMINOSITY} FB",), ""


def _mapping(tables: Sequence[TableSummary]) -> dict[str, Any]:
    """The first table of each role that a mapping names."""
    chosen = {
        role: next((t.name for t in tables if t.role == role), None)
        for role in ("yields", "covariance", "correlations")
    }
    named = {role: name for role, name in chosen.items() if name is not None}
    return {"tables": named} if named else {}


def _files(path: str | Path) -> tuple[str, ...]:
    with opened(path) as source:
        if not source.is_folder:
            return ()
        return tuple(p.relative_to(source.path).as_posix() for p in sorted(files_within(source.path)))


def _shown(lines: list[str]) -> list[str]:
    more = len(lines) - _MOST
    return [f"  {line}" for line in lines[:_MOST]] + ([f"  and {more} more"] if more > 0 else [])
