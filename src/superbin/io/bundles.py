"""A search with everything that belongs to it, as a folder of tables or one zip file.

`write_bundle` writes either, `read_bundle` gives an equal bundle back. The tables are those of `superbin.io.tables`; signals stand in
``signals/``, other files under the names of `superbin.domain.bundle.FILES`.
"""

import re
import tempfile
from pathlib import Path

from superbin._support.files import staged_directory, write_bytes, zipped
from superbin.domain.bundle import Bundle
from superbin.domain.signal import SignalModel
from superbin.errors import InputError, OutputError
from superbin.io import imports
from superbin.io.tables import write_search, write_signal

__all__ = ["check_target", "read_bundle", "write_bundle"]

_ARCHIVE = ".zip"


def read_bundle(path: str | Path) -> Bundle:
    """Read a bundle from its folder or archive.

    Parameters
    ----------
    path : str or Path
        As `write_bundle` writes it.

    Raises
    ------
    InputError
        If a file is missing.
    DocumentError
        If a file breaks its format; the text names the file and the line.
    """
    return imports.read(path, kind="superbin").bundle


def check_target(path: str | Path, *, force: bool = False) -> None:
    """Refuse a place that `write_bundle` would refuse, before work begins.

    Raises
    ------
    OutputError
        If something is there and `force` is false, or it is a folder and an archive is to be written.
    InputError
        If the name is that of another kind of archive.
    """
    path = Path(path)
    if path.suffix.lower() in (".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z"):
        raise InputError(
            f"{path}: a bundle is written as a folder or a zip file; give a name that ends in {_ARCHIVE}"
        )
    if path.suffix.lower() == _ARCHIVE:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; choose another name for the archive")
        if path.exists() and not force:
            raise OutputError(f"{path} exists; choose another name, or replace it with --force")


def write_bundle(bundle: Bundle, path: str | Path, *, force: bool = False) -> None:
    """Write a bundle as a folder, or as one file where the name ends in ``.zip``.

    Parameters
    ----------
    bundle : Bundle
    path : str or Path
    force : bool
        Whether an existing output is replaced.

    Raises
    ------
    OutputError
        If something is there and `force` is false, or the place cannot be written.
    InputError
        If the bundle holds a name that no table can hold, or `path` is of another kind of archive.
    """
    path = Path(path)
    check_target(path, force=force)
    if path.suffix.lower() != _ARCHIVE:
        with staged_directory(path, force=force) as stage:
            _fill(bundle, stage)
        return
    with tempfile.TemporaryDirectory(prefix="superbin-") as place:
        folder = Path(place)
        _fill(bundle, folder)
        top = path.stem.strip(".") or "bundle"
        found = sorted(p for p in folder.rglob("*") if p.is_file())
        packed = zipped({f"{top}/{file.relative_to(folder).as_posix()}": file.read_bytes() for file in found})
    write_bytes(path, packed)


def _fill(bundle: Bundle, folder: Path) -> None:
    write_search(bundle.search, folder)
    taken: set[str] = set()
    for signal in bundle.signals:
        (folder / "signals").mkdir(exist_ok=True)
        name = _file_name(signal)
        while name.lower() in taken:
            name = f"{name}_"
        taken.add(name.lower())
        write_signal(signal, folder / "signals" / f"{name}.csv")
    for name, content in bundle.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / name, content)


def _file_name(signal: SignalModel) -> str:
    """Such as ``T1bbbb_1750_1``, with nothing in it that a file system might mind."""
    values = (repr(value).removesuffix(".0") for value in signal.parameters.values())
    name = re.sub(r"[^\w.+-]+", "-", "_".join([signal.model, *values]))
    return f"_{name}" if name.startswith(".") else name  # files that begin with a point are hidden
