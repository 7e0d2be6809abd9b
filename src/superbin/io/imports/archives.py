"""Archives: unpacked into a folder of their own, with every path, kind and size checked before anything is written.

Only regular files are written, under names that lie in the folder; links, devices, absolute paths and ``..`` are refused. Sizes
are counted while unpacking, since what an archive says of itself may be wrong.
"""

import bz2
import gzip
import lzma
import re
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from superbin._support.files import MOST_FILES
from superbin.errors import DocumentError, InputError
from superbin.io.imports.base import LARGEST_FILE, Source

__all__ = ["is_archive", "opened"]

LARGEST_TOTAL = 2 * LARGEST_FILE
LARGEST_RATIO = 200
"""Unpacked over packed size, from `FREE` bytes on; tables of numbers reach about ten."""
FREE = 64 * 1024 * 1024
DEEPEST = 3
"""Archives in archives that are opened."""
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_CHUNK = 1 << 20


def is_archive(path: Path) -> bool:
    """Whether a file's name says that it is an archive."""
    return path.name.lower().endswith((".zip", *_TAR))


@contextmanager
def opened(path: str | Path) -> Iterator[Source]:
    """The file or folder at a path; of an archive, what is in it, in a temporary folder for as long as the context.

    Parameters
    ----------
    path : str or Path
        A path may lead into an archive: ``record.tar.gz/RegionA``.

    Yields
    ------
    Source
        A single folder or file in an archive stands for the archive.

    Raises
    ------
    InputError
        If there is nothing at the path, or a device, a pipe or a socket.
    DocumentError
        If an archive is damaged, unsafe or too large. Errors raised within the context name the archive, not the
        temporary folder.
    """
    outer, inner = _parts(Path(path))
    source = Source.at(outer)
    if source.is_folder or not is_archive(source.path):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="superbin-") as place:
        # Resolved, so that every path in an error begins with it.
        root = Path(place).resolve()
        try:
            found = _inner(source, root)
            yield _within(found, inner) if inner.parts else found
        except InputError as error:
            text = re.sub(rf"{re.escape(str(root))}/\d+/[^/\s:]+", lambda _: str(outer), str(error))
            if text == str(error):
                raise
            raise type(error)(text) from error


def _parts(path: Path) -> tuple[Path, Path]:
    """A path as an archive and what is meant in it; as it is where it exists or no archive is on the way."""
    if not path.exists():
        for outer in path.parents:
            if is_archive(outer) and outer.is_file():
                return outer, path.relative_to(outer)
    return path, Path()


def _within(source: Source, inner: Path) -> Source:
    """A file or folder of an unpacked archive."""
    place = source.path / inner
    if ".." in inner.parts or not place.exists():
        there = ", ".join(sorted(p.name for p in source.files())) if source.is_folder else source.path.name
        folders = (
            ", ".join(sorted(p.name for p in source.path.iterdir() if p.is_dir())) if source.is_folder else ""
        )
        raise InputError(
            f"{source.path}: holds no {inner.as_posix()!r}; there are {', '.join(filter(None, (folders, there)))[:300] or 'no files'}"
        )
    return Source.at(place)


def _inner(source: Source, root: Path) -> Source:
    packed = source.path.stat().st_size
    for depth in range(DEEPEST):
        stem = source.path.name.split(".")[0] or "archive"
        target = root / str(depth) / stem
        target.mkdir(parents=True)
        _unpack(source.path, target, packed)
        source = Source(target)
        entries = _entries(target)
        while len(entries) == 1:
            source = Source(entries[0])
            entries = _entries(entries[0]) if entries[0].is_dir() else []
        if source.is_folder or not is_archive(source.path):
            return source
    raise DocumentError(
        f"{source.path}: archives lie in one another more than {DEEPEST} deep; unpack the file yourself"
    )


def _entries(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX"))]


def _unpack(path: Path, target: Path, packed: int) -> None:
    budget = _Budget(path, packed)
    try:
        if path.name.lower().endswith(".zip"):
            _unzip(path, target, budget)
        else:
            _untar(path, target, budget)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise DocumentError(f"{path}: is not a complete archive ({error}); copy or pack it again") from error
    except (NotImplementedError, RuntimeError) as error:
        raise DocumentError(
            f"{path}: cannot be unpacked ({error}); encrypted archives are not read"
        ) from error


class _Budget:
    """What one archive may still unpack."""

    def __init__(self, path: Path, packed: int) -> None:
        self.path, self.packed = path, max(packed, 1)
        self.files, self.total = 0, 0
        self.names: set[str] = set()

    def target(self, name: str, folder: Path) -> Path:
        """Where a file goes."""
        self.files += 1
        if self.files > MOST_FILES:
            raise DocumentError(f"{self.path}: holds more than {MOST_FILES} files; a search has fewer")
        plain = PurePosixPath(name)
        inside = not plain.is_absolute() and ".." not in plain.parts and "\\" not in name and ":" not in name
        if not inside or not name.isprintable() or not plain.parts:
            raise DocumentError(
                f"{self.path}: holds {name!r}, which does not lie in the archive's own folder; nothing was unpacked from it"
            )
        if str(plain) in self.names:
            raise DocumentError(f"{self.path}: holds {name!r} twice")
        self.names.add(str(plain))
        return folder.joinpath(*plain.parts)

    def count(self, size: int) -> None:
        """Take some bytes."""
        self.total += size
        if self.total > LARGEST_TOTAL or (self.total > FREE and self.total > LARGEST_RATIO * self.packed):
            raise DocumentError(
                f"{self.path}: unpacks to more than {self.total >> 20} MiB from {self.packed >> 10} KiB; no search is that large"
            )

    def copy(self, stream: IO[bytes], path: Path) -> None:
        """Write a file while counting."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:
            while chunk := stream.read(_CHUNK):
                self.count(len(chunk))
                out.write(chunk)


def _unzip(path: Path, target: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16
            if member.is_dir():
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise DocumentError(
                    f"{path}: {member.filename!r} is a link or device; only files are unpacked"
                )
            place = budget.target(member.filename, target)
            with archive.open(member) as stream:
                budget.copy(stream, place)


class _Counted:
    """A stream that refuses to give more than the budget; tar headers are unpacked too."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        self.stream, self.budget = stream, budget

    def read(self, size: int) -> bytes:
        content = self.stream.read(min(size, LARGEST_FILE))
        self.budget.count(len(content))
        return content


def _unpacked(path: Path) -> IO[bytes]:
    name = path.name.lower()
    if name.endswith(("gz", ".tgz")):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if name.endswith(".bz2"):
        return bz2.open(path, "rb")
    return lzma.open(path, "rb") if name.endswith(".xz") else path.open("rb")


def _untar(path: Path, target: Path, budget: _Budget) -> None:
    # Content and headers pass the counter; what is then copied is not counted again.
    copied = _Budget(path, LARGEST_TOTAL)
    with (
        _unpacked(path) as stream,
        tarfile.open(fileobj=_Counted(stream, budget), mode="r|") as archive,  # type: ignore[call-overload]
    ):
        for member in archive:
            if member.isdir():
                continue
            if not member.isreg():
                raise DocumentError(f"{path}: {member.name!r} is a link or device; only files are unpacked")
            place = budget.target(member.name, target)
            content = archive.extractfile(member)
            if content is not None:
                with content:
                    copied.copy(content, place)
