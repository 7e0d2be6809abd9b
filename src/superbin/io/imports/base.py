"""What every importer shares: the source on disk, the options of a user, and what an import gives.

An importer is one module with one `Importer` object, listed in `superbin.io.imports.IMPORTERS`.
"""

import codecs
import contextlib
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from superbin._support.files import MAX_BYTES, MOST_FILES, first_bytes
from superbin._support.shown import printable
from superbin.domain.bundle import Bundle
from superbin.errors import DocumentError, InputError
from superbin.io._faults import Faults
from superbin.io._text import read_text

__all__ = ["LARGEST_FILE", "Faults", "Imported", "Importer", "Options", "Source", "printable"]

LARGEST_FILE = MAX_BYTES
"""Bytes that are read of any file."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a user says beside the path.

    Attributes
    ----------
    name : str or None
        Name of the search; by default from the source.
    luminosity_fb, sqrt_s_tev : float or None
        Integrated luminosity in fb^-1 and centre-of-mass energy in TeV, where the source does not say them.
    mapping : mapping
        Which column or table is what; each importer documents its keys.
    covariance : str
        ``"refuse"`` a covariance that is none, or ``"repair"`` it to the nearest one.
    """

    name: str | None = None
    luminosity_fb: float | None = None
    sqrt_s_tev: float | None = None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    covariance: Literal["refuse", "repair"] = "refuse"

    def luminosity(self, place: str, known: float | None = None) -> float:
        """The luminosity: the user's, or that of the source.

        Raises
        ------
        InputError
            If neither says it.
        """
        value = self.luminosity_fb if self.luminosity_fb is not None else known
        if value is None:
            raise InputError(f"{place} does not state its luminosity; give it in fb^-1 with --luminosity")
        return value

    def energy(self, known: float | None = None) -> float:
        """The centre-of-mass energy in TeV: the user's, that of the source, or 13."""
        return self.sqrt_s_tev or known or 13.0


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import gives.

    Attributes
    ----------
    bundle : Bundle
    kind : str
        Name of the importer.
    notes : tuple of str
        What was recognised, and what was done with every column or table; one line each.
    """

    bundle: Bundle
    kind: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A file or folder to import.

    Attributes
    ----------
    path : Path
    """

    path: Path

    @classmethod
    def at(cls, path: str | Path) -> "Source":
        """Check that a path is a regular file or a folder.

        Raises
        ------
        InputError
            If there is nothing, or a device, a pipe or a socket.
        """
        path = Path(path)
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InputError(f"{path}: {reason}; name a file or folder to import") from error
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InputError(f"{path} is neither a file nor a folder; devices and pipes are not imported")
        return cls(path)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.is_dir()

    def has(self, *names: str) -> bool:
        """Whether it is a folder that holds all these files."""
        return self.is_folder and all((self.path / name).is_file() for name in names)

    @property
    def suffix(self) -> str:
        """The ending of a file's name in lower case, such as ``.csv``, without ``.gz``; empty for a folder."""
        return "" if self.is_folder else Path(self.path.name.lower().removesuffix(".gz")).suffix

    @property
    def folder(self) -> Path:
        """The folder itself, or that of the file."""
        return self.path if self.is_folder else self.path.parent

    def files(self) -> tuple[Path, ...]:
        """Regular files directly in the folder, sorted by name; the file itself otherwise.

        Raises
        ------
        InputError
            If the folder cannot be read, or holds more than `MOST_FILES`.
        """
        if not self.is_folder:
            return (self.path,)
        try:
            with os.scandir(self.path) as entries:
                names = [entry.name for entry in entries if entry.name[:1] != "." and entry.is_file()]
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}; the folder must be readable") from error
        if len(names) > MOST_FILES:
            raise InputError(
                f"{self.path}: holds {len(names)} files; at most {MOST_FILES} are examined; name the file to import"
            )
        return tuple(self.path / name for name in sorted(names))

    def head(self, size: int = 4096) -> bytes:
        """The first bytes of a file, unpacked where its name ends in ``.gz``; empty for a folder."""
        if self.is_folder:
            return b""
        try:
            if not self.path.name.lower().endswith(".gz"):
                return first_bytes(self.path, size)
            # gzip's own header may be some kB long.
            return zlib.decompressobj(31).decompress(first_bytes(self.path, size + 65536), size)
        except (OSError, zlib.error):
            return b""

    def text(self, name: str | None = None) -> str:
        """A text file's content: UTF-8, with or without a byte order mark, any line ending.

        Raises
        ------
        InputError
            If it cannot be read, is not a regular file, or is larger than `LARGEST_FILE`.
        DocumentError
            If it is not UTF-8 text.
        """
        path = self.path if name is None else self.path / name
        with contextlib.suppress(OSError):
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise InputError(f"{path} is not a regular file; devices, pipes and folders are not read")
            if found.st_size > LARGEST_FILE:
                raise InputError(
                    f"{path} is larger than {LARGEST_FILE >> 20} MiB; it is not a table of a search"
                )
        with contextlib.suppress(OSError):
            if first_bytes(path, 2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise DocumentError(f"{path}: is UTF-16 text; save it as UTF-8")
        return read_text(path).replace("\r\n", "\n").replace("\r", "\n")


class Importer(Protocol):
    """One form in which searches are published.

    Attributes
    ----------
    name : str
        What ``--as`` calls it.
    title : str
        What a person calls it, for the list of forms.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def title(self) -> str: ...  # noqa: D102

    def recognises(self, source: Source) -> bool:
        """Whether the source looks like this form; cheap, and never an error."""
        ...

    def read(self, source: Source, options: Options) -> Imported:
        """Read it.

        Raises
        ------
        InputError
            If something the source does not say is missing from the options.
        DocumentError
            If it breaks its form; the text names file and place.
        """
        ...
