"""The searches and signals at hand: the database, filled on first use with what ships in the package.

`open_catalog` is how every command and most scripts begin. `find_signal` gives the signal of a model at any masses,
from the database or from a grid; `find_grid` the grid itself. `read_folder` and `write_folder` are the text form
that databases exchange: a folder of tables as `superbin.io.tables` defines them, with its signals in ``signals/``.
Specified in ``specs/store.md`` and ``specs/signals.md``.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from superbin._support.files import unpacked, write_bytes
from superbin.domain.bundle import Bundle
from superbin.domain.grid import SignalGrid
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DatabaseError, InputError, UnknownNameError
from superbin.io.grids import parse_grid, read_grid
from superbin.io.tables import write_search, write_signal
from superbin.store import Store
from superbin.store.reading import nearest

__all__ = [
    "SOURCES",
    "find_grid",
    "find_signal",
    "grid_models",
    "open_catalog",
    "packaged_models",
    "read_folder",
    "signal_source",
    "write_folder",
]

SOURCES = ("table", "grid")
"""Where a signal may come from: yields stored in the database as they were given, or a grid of a model."""

_PACKAGED = Path(__file__).parents[1] / "data"


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
        # What else ships with them is read from the package where it is needed.
        bundles = (Bundle(found.search, found.signals) for found in map(read_folder, folders))
        store.fill_packaged(bundles, digest=digest, refresh=refresh)
    except DatabaseError as error:
        raise DatabaseError(
            f"the tables of superbin {version('superbin')} are not in the database yet: {error}"
        ) from error


def _packaged_digest() -> str:
    """SHA-256 over the packaged tables and the version that reads them: when it changes, they are read anew."""
    total = hashlib.sha256(version("superbin").encode())
    paths = [
        p
        for pattern in ("*/search.json", "*/*.csv", "*/covariance*.csv.gz", "*/signals/*.csv")
        for p in _PACKAGED.glob(pattern)
    ]
    for path in sorted(paths):
        content = path.read_bytes()
        total.update(f"\n{path.relative_to(_PACKAGED).as_posix()} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


def find_signal(
    store: Store,
    search: Search,
    model: str,
    parameters: Sequence[float],
    *,
    source: str | None = None,
    grid: str | Path | None = None,
    cross_section: float | None = None,
) -> SignalModel:
    """Find the signal of a model at any masses.

    Parameters
    ----------
    store : Store
    search : Search
        In whose bins, and at whose luminosity.
    model : str
        Such as ``"T1bbbb"``.
    parameters : sequence of float
        In the model's order, masses in GeV.
    source : {"table", "grid"}, optional
        By default as `signal_source` chooses.
    grid : str or Path, optional
        A grid file to use in place of the packaged grid.
    cross_section : float, optional
        In pb; by default the one the stored yields have, or for a grid that of the package's table.

    Returns
    -------
    SignalModel
        Its `source` says which one it came from.

    Raises
    ------
    UnknownNameError
        If the model or the point is not there; the text names the nearest.
    InputError
        If the masses are impossible or outside the grid, the grid is of another model or search, the stored yields
        have no cross section to be changed, or `source` is another word.
    DocumentError
        If the grid file breaks its format.
    """
    if source is None:
        source = signal_source(store, search, model, parameters, grid=grid)
    if source == "table":
        if grid is not None:
            raise InputError("source 'table' takes the stored yields and no grid file; drop one of the two")
        return _rescaled(_stored(store, search, model, parameters), cross_section)
    if source != "grid":
        raise InputError(f"source is {source!r}; it must be one of {', '.join(SOURCES)}")
    return find_grid(search, model, grid, store=store).signal(
        parameters, luminosity_fb=search.luminosity_fb, cross_section=cross_section
    )


def signal_source(
    store: Store, search: Search, model: str, parameters: Sequence[float], *, grid: str | Path | None = None
) -> str:
    """Choose where a signal comes from: a grid file if one is given, stored yields of exactly this point, the grid.

    Parameters
    ----------
    store : Store
    search : Search
        In whose bins.
    model : str
        Such as ``"T1bbbb"``.
    parameters : sequence of float
        In the model's order, masses in GeV.
    grid : str or Path, optional
        A grid file; it is not read here.

    Returns
    -------
    str
        One of `SOURCES`.

    Raises
    ------
    UnknownNameError
        If neither the point is stored nor a grid of the model at hand.
    InputError
        If the model has another number of parameters, or one is not finite.
    DatabaseError
        If the point is not found and the database is damaged: a grid does not stand in for what was lost.
    """
    if grid is not None:
        return "grid"
    if store.holds_signal(search.name, model, parameters):
        return "table"
    if model in grid_models(store, search.name):
        return "grid"
    models = {s.model for s in store.signals(search.name)}
    if model in models:
        store.signal(search.name, model, parameters)  # which says what is nearest
    names = models | set(grid_models(store, search.name))
    raise UnknownNameError(
        f"model {model!r} has neither stored signals nor a grid in the bins of {search.name!r}; {nearest(model, names)}"
    )


def find_grid(
    search: Search, model: str, path: str | Path | None = None, *, store: Store | None = None
) -> SignalGrid:
    """Read the grid of a model in the bins of a search: the one that belongs to the search, or a file.

    Parameters
    ----------
    search : Search
        In whose bins.
    model : str
        Such as ``"T1bbbb"``.
    path : str or Path, optional
        A grid file; by default the grid of the search.
    store : Store, optional
        Where grids of imported searches are; without it only packaged ones are found.

    Raises
    ------
    UnknownNameError
        If there is none for the model; the text names the nearest.
    InputError
        If the file is missing, or of another model or search.
    DocumentError
        If it breaks its format.
    """
    if path is None:
        if model in packaged_models(search.name):
            return _packaged_grid(search.name, model)
        models = packaged_models(search.name) if store is None else grid_models(store, search.name)
        if store is None or model not in models:
            raise UnknownNameError(
                f"there is no grid of model {model!r} for {search.name!r}; {nearest(model, models)}; "
                "make one with: superbin signal generate"
            )
        return _stored_grid(store, search.name, model)
    grid = read_grid(path)
    if (grid.model, grid.search) != (model, search.name):
        raise InputError(
            f"{path} is a grid of {grid.model!r} in the bins of {grid.search!r}, and not of {model!r} in those of "
            f"{search.name!r}; name another file"
        )
    if grid.n_bins != search.n_bins:
        raise InputError(f"{path} has {grid.n_bins} bins, and search {search.name!r} has {search.n_bins}")
    return grid


def packaged_models(search: str) -> tuple[str, ...]:
    """Models of which a grid ships in the bins of a search, sorted."""
    return tuple(
        sorted(path.name.removesuffix(".csv.gz") for path in _PACKAGED.glob(f"{search}/grids/*.csv.gz"))
    )


def grid_models(store: Store, search: str) -> tuple[str, ...]:
    """Models of which there is a grid in the bins of a stored search, packaged or imported with it, sorted."""
    pattern = re.compile(r"grids/(.+)\.csv\.gz")
    stored = (match[1] for name in store.files(search) if (match := pattern.fullmatch(name)))
    return tuple(sorted({*packaged_models(search), *stored}))


def _stored_grid(store: Store, search: str, model: str) -> SignalGrid:
    name = f"grids/{model}.csv.gz"
    path = Path(search) / name
    return parse_grid(unpacked(store.file(search, name), path).decode(), path)


@cache
def _packaged_grid(search: str, model: str) -> SignalGrid:
    return read_grid(_PACKAGED / search / "grids" / f"{model}.csv.gz")


def _stored(store: Store, search: Search, model: str, parameters: Sequence[float]) -> SignalModel:
    """The yields of a stored point."""
    try:
        return store.signal(search.name, model, parameters)
    except UnknownNameError as error:
        if model in grid_models(store, search.name):
            raise UnknownNameError(f"{error}; there is a grid of {model!r}: take source 'grid'") from error
        raise


def _rescaled(signal: SignalModel, cross_section: float | None) -> SignalModel:
    """The stored yields at another cross section."""
    if cross_section is None:
        return signal
    if not (math.isfinite(cross_section) and cross_section > 0):
        raise InputError(f"the cross section is {cross_section} pb; it must be a finite number > 0")
    if signal.cross_section_pb is None:
        raise InputError(
            f"the stored yields of {signal.label} do not say their cross section; no other one can be set"
        )
    factor = cross_section / signal.cross_section_pb
    return replace(
        signal,
        yields=factor * signal.yields,
        errors=factor * signal.errors,
        variations={name: (factor * up, factor * down) for name, (up, down) in signal.variations.items()},
        source=f"{signal.source}; here scaled to {cross_section:g} pb",
        cross_section_pb=cross_section,
    )


def read_folder(folder: Path) -> Bundle:
    """Read a search with its signals and files from a folder of tables.

    Parameters
    ----------
    folder : Path
        As `superbin.io.tables.read_search` reads it; every ``signals/*.csv`` in it is a signal, and what
        `superbin.domain.bundle.FILES` lists belongs to it.

    Raises
    ------
    InputError
        If a file is missing.
    DocumentError
        If a file breaks its format; the text names the file and the line.
    """
    from superbin.io import imports

    return imports.read(folder, kind="superbin").bundle


def write_folder(
    search: Search,
    signals: Iterable[SignalModel],
    folder: Path,
    *,
    files: Mapping[str, bytes] | None = None,
) -> None:
    """Write a search with its signals and files as a folder of tables, which `read_folder` reads.

    Parameters
    ----------
    search : Search
    signals : iterable of SignalModel
        Written to ``signals/``, named by model and parameters.
    folder : Path
        Made if it does not exist.
    files : mapping of str to bytes, optional
        As of `superbin.domain.bundle.Bundle`.

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
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / name, content)


def _file_name(signal: SignalModel) -> str:
    """Such as ``T1bbbb_1750_1``, with nothing in it that a file system might mind."""
    values = (repr(value).removesuffix(".0") for value in signal.parameters.values())
    name = re.sub(r"[^\w.+-]+", "-", "_".join([signal.model, *values]))
    return f"_{name}" if name.startswith(".") else name  # files that begin with a point are hidden
