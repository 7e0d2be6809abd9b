"""The searches and signals at hand: the database, filled on first use with what ships in the package.

`open_catalog` is how every command and most scripts begin. `read_folder` and `write_folder` are the text form
that databases exchange: a folder of tables as `superbin.io.tables` defines them, with its signals in ``signals/``.
Specified in ``specs/store.md``.
"""

import hashlib
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from superbin.errors import DatabaseError
from superbin.io.tables import read_search, read_signal, write_search, write_signal
from superbin.search import Search
from superbin.signal import SignalModel
from superbin.store import Store

__all__ = ["open_catalog", "read_folder", "write_folder"]

_PACKAGED = Path(__file__).with_name("data")


def open_catalog(database: str | Path | None = None, *, refresh: bool = False) -> Store:
    """Open the database, and bring the searches and signals that ship with superbin up to date in it.

    Parameters
    ----------
    database : str or Path, optional
        The path of a SQLite file or an SQLAlchemy URL; by default the environment variable SUPERBIN_DATABASE,
        or else ``superbin.sqlite`` in the user's data directory.
    refresh : bool
        Whether to store what ships even if it is there already, which restores what was damaged.

    Returns
    -------
    Store
        To be closed, or used as a context manager.

    Raises
    ------
    DatabaseError
        If it cannot be reached, opened or made, is damaged, has a newer schema, or holds other tables; or if it
        must be filled and cannot be written.
    MissingDependencyError
        If its driver is not installed.

    Examples
    --------
    >>> with open_catalog("sqlite://") as catalog:  # in memory
    ...     search = catalog.search("cms-pas-sus-16-014")
    ...     signal = catalog.signal("cms-pas-sus-16-014", "T1bbbb", (1750, 1))
    >>> search.n_bins, round(signal.yields.sum(), 3)
    (160, 27.844)
    """
    store = Store(database)
    try:
        digest = _packaged_digest()
        if refresh or store.packaged_digest != digest:
            _fill(store, digest, refresh=refresh)
    except BaseException:
        store.close()
        raise
    return store


def _fill(store: Store, digest: str, *, refresh: bool) -> None:
    folders = sorted(path.parent for path in _PACKAGED.glob("*/search.json"))
    try:
        store.fill_packaged(map(read_folder, folders), digest=digest, refresh=refresh)
    except DatabaseError as error:
        raise DatabaseError(
            f"the tables of superbin {version('superbin')} are not in the database yet: {error}"
        ) from error


def _packaged_digest() -> str:
    """SHA-256 over the packaged tables and the version that reads them: when it changes, they are read anew."""
    total = hashlib.sha256(version("superbin").encode())
    paths = [
        p for pattern in ("*/search.json", "*/*.csv", "*/signals/*.csv") for p in _PACKAGED.glob(pattern)
    ]
    for path in sorted(paths):
        content = path.read_bytes()
        total.update(f"\n{path.relative_to(_PACKAGED).as_posix()} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


def read_folder(folder: Path) -> tuple[Search, tuple[SignalModel, ...]]:
    """Read a search and its signals from a folder of tables.

    Parameters
    ----------
    folder : Path
        As `superbin.io.tables.read_search` reads it; every ``signals/*.csv`` in it is a signal.

    Raises
    ------
    InputError
        If a file is missing.
    DocumentError
        If a file breaks its format; the text names the file and the line.
    """
    return read_search(folder), tuple(read_signal(path) for path in sorted(folder.glob("signals/*.csv")))


def write_folder(search: Search, signals: Iterable[SignalModel], folder: Path) -> None:
    """Write a search and its signals as a folder of tables, which `read_folder` reads.

    Parameters
    ----------
    search : Search
    signals : iterable of SignalModel
        Written to ``signals/``, named by model and parameters.
    folder : Path
        Made if it does not exist.

    Raises
    ------
    OutputError
        If the folder cannot be made or written.
    """
    write_search(search, folder)
    taken: set[str] = set()
    for signal in signals:
        (folder / "signals").mkdir(exist_ok=True)
        name = _file_name(signal)
        while name.lower() in taken:
            name = f"{name}_"
        taken.add(name.lower())
        write_signal(signal, folder / "signals" / f"{name}.csv")


def _file_name(signal: SignalModel) -> str:
    """Such as ``T1bbbb_1750_1``, with nothing in it that a file system might mind."""
    values = (repr(value).removesuffix(".0") for value in signal.parameters.values())
    return re.sub(r"[^\w.+-]+", "-", "_".join([signal.model, *values]))
