"""Files read within bounds, and written so that nothing is ever half-written: beside the target, then renamed."""

import errno
import gzip
import io
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from superbin.errors import DocumentError, OutputError

__all__ = [
    "MAX_BYTES",
    "check_file",
    "check_regular",
    "files_within",
    "first_bytes",
    "is_stream",
    "lies_in",
    "read_limited",
    "staged_directory",
    "unpacked",
    "write_bytes",
    "write_text",
]

MAX_BYTES = 128 * 2**20
"""As much of a document as is read, after decompression: some hundred times the largest that superbin writes."""

MOST_FILES = 20_000
"""As many files and folders as are looked at in one folder."""


def read_limited(path: str | Path) -> bytes:
    """Read a file of at most `MAX_BYTES`, decompressed where its name ends in ``.gz``.

    Raises
    ------
    OSError
        If it cannot be read; the caller says what should stand there.
    DocumentError
        If it is larger, not a complete gzip file, or a device or a pipe, from which reading may never end.
    """
    path = Path(path)
    check_regular(path)
    content = first_bytes(path, MAX_BYTES + 1)
    if path.name.endswith(".gz") and len(content) <= MAX_BYTES:
        return unpacked(content, path)
    return _bounded(content, path)


def check_regular(path: Path) -> None:
    """Refuse a device, a pipe or a socket.

    Raises
    ------
    OSError
        If there is nothing.
    DocumentError
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DocumentError(f"{path} is a device, a pipe or a socket; name a file")


def first_bytes(path: str | Path, size: int) -> bytes:
    """As many bytes of a file, or all of a shorter one, without waiting for any.

    Raises
    ------
    OSError
        If it cannot be read, or nothing is there yet: some files of the system, such as the kernel's log, look regular and never end.
    """
    without_waiting = getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | without_waiting)) as stream:
        content: bytes | None = stream.read(size)
    if content is None:
        raise BlockingIOError(errno.EAGAIN, "nothing can be read from it now", str(path))
    return content


def files_within(folder: str | Path, *, most: int = MOST_FILES) -> Iterator[Path]:
    """Regular files in a folder at any depth: nearest first, each folder in the order of names.

    Links to folders are not followed; what cannot be looked at is left out.

    Raises
    ------
    DocumentError
        After `most` files and folders, so that a disk named by mistake is refused at once.
    """
    waiting, seen = deque([Path(folder)]), 0
    while waiting:
        place = waiting.popleft()
        try:
            with os.scandir(place) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in inside:
            seen += 1
            if seen > most:
                raise DocumentError(
                    f"{folder}: holds more than {most} files and folders; name the folder of the search itself"
                )
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(place / entry.name)
                elif entry.is_file():
                    yield place / entry.name


def lies_in(path: str | Path, folder: str | Path) -> bool:
    """Whether a path, all links followed, is a folder or in it; a path that cannot be one is not."""
    try:
        # Unlike Path.resolve, which raises RuntimeError for a link to itself on some versions of Python.
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    except (OSError, ValueError):
        return False


def unpacked(content: bytes, place: str | Path) -> bytes:
    """Decompress the content of a gzip file, to at most `MAX_BYTES`.

    Raises
    ------
    DocumentError
        If it is larger, or not whole; the text names the place.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            return _bounded(packed.read(MAX_BYTES + 1), place)
    except (OSError, EOFError, zlib.error) as error:
        raise DocumentError(f"{place}: not a complete gzip file ({error}); copy or pack it again") from error


def _bounded(content: bytes, place: str | Path) -> bytes:
    if len(content) > MAX_BYTES:
        raise DocumentError(
            f"{place}: more than {MAX_BYTES // 2**20} MB, more than any document of superbin; name another file"
        )
    return content


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file in one step; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file in one step: readers see the old content or the new, never a part.

    Raises
    ------
    OutputError
        If the place cannot be written; what stood there is untouched.
    """
    path = Path(path)
    try:
        if is_stream(path):
            return _pour(path, content)
        # A link stays one, and what it leads to is written.
        target = Path(os.path.realpath(path))
        handle, name = tempfile.mkstemp(prefix=_hidden(target), dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def check_file(path: str | Path, *, replace: bool = True) -> None:
    """Check that a file can be written, before the work whose result it holds; nothing is changed.

    Parameters
    ----------
    path : str or Path
    replace : bool
        Whether a file that exists may be replaced. Devices and pipes are written to, not replaced.

    Raises
    ------
    OutputError
        If it is a folder, or exists and is not to be replaced, or the place cannot be written.
    """
    path = Path(path)
    if not replace and os.path.isfile(path) and not is_stream(path):  # noqa: PTH113
        raise OutputError(f"{path} exists; name another output, or replace it with --force")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a file is written, and this is a folder")
        if is_stream(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        target = Path(os.path.realpath(path))
        handle, name = tempfile.mkstemp(prefix=_hidden(target), dir=target.parent)
        os.close(handle)
        Path(name).unlink()
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError | ValueError) -> OutputError:
    return OutputError(f"cannot write {path}: {_reason(error)}; choose a place you can write to")


def is_stream(path: Path) -> bool:
    """Whether a device, a pipe or a socket stands there, or what standard output goes to, which a file must not replace."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


_DESCRIPTORS = re.compile(r"/dev/(?:(stdout)|(stderr)|fd/(\d+))|/proc/self/fd/(\d+)")


def _descriptor(path: Path) -> int | None:
    """The number of an open file that is named as such, ``/dev/stdout``, if it is one."""
    found = _DESCRIPTORS.fullmatch(str(path))
    if found is None:
        return None
    return 1 if found[1] else 2 if found[2] else int(found[3] or found[4])


def _pour(path: Path, content: bytes) -> None:
    # Without waiting, so that a pipe that nobody reads is an error.
    number = _descriptor(path)
    # A descriptor is shared, so that what is printed later follows what is written here.
    handle = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)) if number is None else os.dup(number)
    os.set_blocking(handle, True)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)


def _hidden(path: Path) -> str:
    """The beginning of a temporary name, short enough for the file system where the name itself is."""
    return f".{path.name[:40]}."


_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold."""


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip archive of some files, by relative path: the same bytes for the same files, whenever it is made."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


@contextmanager
def staged_directory(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Fill a directory that appears only when it is complete.

    Yields a temporary directory beside `path`. When the block ends well it takes the place of `path`; when it
    raises, it is removed and `path` is as before.

    Parameters
    ----------
    path : str or Path
        Path of the directory; an empty one may exist already.
    force : bool
        Whether a directory with content is replaced; all that was in it goes.

    Raises
    ------
    OutputError
        If something is there and `force` is not given, if it is not a directory or holds the working directory, or if the
        place cannot be written.
    """
    path = Path(os.path.realpath(path))
    if path.is_dir() and lies_in(".", path):
        raise OutputError(
            f"{path} is the working folder or holds it, and would be replaced; name a folder in it"
        )
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file; choose another name for the output folder")
    if not force and path.is_dir() and any(path.iterdir()):
        raise OutputError(
            f"{path} exists and is not empty; choose another folder, or replace it with --force"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=_hidden(path), dir=path.parent))
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    try:
        yield stage
        stage.chmod(0o777 & ~_umask())
        _swap(stage, path)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise


def _swap(stage: Path, path: Path) -> None:
    """Put `stage` where `path` is; the old content is removed only once the new stands in its place."""
    old = stage.with_name(stage.name + ".old")
    try:
        if path.exists():
            path.rename(old)
        try:
            stage.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    except OSError as error:
        raise _unwritable(path, error) from error
    shutil.rmtree(old, ignore_errors=True)


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _umask() -> int:
    # The mask can only be read by setting it; temporary files are private, results follow the user's mask.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
