"""`Catalog`: one object that owns what belongs to searches. Packaged and imported ones take the same way."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, get_args

from superbin._support.files import unpacked
from superbin._support.json import parse_json
from superbin._support.shown import counted
from superbin.catalog import packaged
from superbin.domain.bundle import Bundle, meaning
from superbin.domain.cross_sections import CalculatedCrossSection, CrossSectionTable, process_of
from superbin.domain.grid import AccuracyStatement, SignalGrid
from superbin.domain.published import CONTOUR_LINES, LIMITS, PublishedResults, parse_published
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import DatabaseError, DocumentError, InputError, UnknownNameError
from superbin.io.accuracy import parse_statements
from superbin.io.cross_sections import parse_cross_sections
from superbin.io.grids import parse_grid, read_grid
from superbin.store import Deleted, Replaced, Store, StoredScan, StoredSearch, StoredSignal
from superbin.store.reading import nearest

if TYPE_CHECKING:
    from superbin.likelihood import PublishedLikelihood
    from superbin.likelihood.engine import Engine
    from superbin.likelihood.imported import ImportedLikelihood

__all__ = ["SOURCES", "Catalog", "Source", "open_catalog"]

Source: TypeAlias = Literal["table", "grid"]

SAME_CROSS_SECTION = 0.02
"""Relative difference up to which a signal is normalised to the value of a table: tables differ by rounding and interpolation."""

SOURCES: tuple[Source, ...] = get_args(Source)
"""Where a signal may come from: yields stored in the database as they were given, or a grid of a model."""

_GRID = re.compile(r"grids/(.+)\.csv\.gz")
_CROSS_SECTIONS = re.compile(r"cross-sections/(.+)\.csv")
_LIKELIHOOD = "likelihood.json.gz"
_FORMS_OF_LIKELIHOOD = ("workspace.json", "patches/", "cards/")
_ACCURACY = "signal-accuracy.json"
_CARD = "generator-card.json"


def open_catalog(database: str | Path | None = None, *, refresh: bool = False) -> "Catalog":
    """Open the database, and bring the searches that ship with superbin up to date in it.

    Parameters
    ----------
    database : str or Path, optional
        The path of a SQLite file or an SQLAlchemy URL; by default the environment variable SUPERBIN_DATABASE,
        or else ``superbin.sqlite`` in the user's data directory.
    refresh : bool
        Whether to store what ships even if it is there already, which restores what was damaged.

    Returns
    -------
    Catalog
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
    >>> search.n_bins, round(float(signal.yields.sum()), 3)
    (160, 27.844)
    """
    store = Store(database)
    try:
        digest = packaged.digest()
        if refresh or store.packaged_digest != digest:
            _fill(store, digest, refresh=refresh)
    except BaseException:
        store.close()
        raise
    return Catalog(store)


def _fill(store: Store, digest: str, *, refresh: bool) -> None:
    try:
        store.fill_packaged(packaged.bundles(), digest=digest, refresh=refresh)
    except DatabaseError as error:
        raise DatabaseError(
            f"the tables of superbin {version('superbin')} are not in the database yet: {error}"
        ) from error


class Catalog:
    """Searches with all that belongs to them: signals and grids, likelihood, published limits, cross sections.

    `open_catalog` makes one. A search is named, or given as the `Search` itself. Use it as a context manager, or
    `close` it.

    Parameters
    ----------
    store : Store
        The open database.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Catalog({self.place!r})"

    def close(self) -> None:
        """Close every connection."""
        self.store.close()

    @property
    def place(self) -> str:
        """The database: the file's path, or the URL without its password."""
        return self.store.place

    # --- searches ---------------------------------------------------------------------------------------------

    def searches(self) -> tuple[StoredSearch, ...]:
        """List the searches by name, with source, digest and how many signals they have."""
        return self.store.searches()

    def search(self, name: str) -> Search:
        """Read a search: bins, backgrounds, observed counts, covariance, licence, citation and constants of the simulation.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        DatabaseError
            If its content is not what was imported.
        """
        found = self.store.search(name)
        if _CARD not in self.store.files(name):
            return found
        return replace(found, simulation=_changes(self.store.file(name, _CARD), f"{name}/{_CARD}"))

    def bundle(self, search: str | Search) -> Bundle:
        """A search with its stored signals and files, to be written with `superbin.io.bundles.write_bundle`.

        Raises
        ------
        UnknownNameError, DatabaseError
            As of `search`.
        """
        name = _name(search)
        found = self.search(name)
        signals = (self.store.signal(name, s.model, tuple(s.parameters.values())) for s in self.signals(name))
        files = {file: self.store.file(name, file) for file in self.store.files(name)}
        return Bundle(found, tuple(signals), files)

    def files(self, search: str | Search) -> Mapping[str, str]:
        """Names of the files of a search, such as ``grids/T1bbbb.csv.gz``, sorted, and what each of them holds.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        """
        return MappingProxyType({file: meaning(file) for file in self.store.files(_name(search))})

    def add(self, bundle: Bundle | Search, *, replace: bool = False) -> Replaced | None:
        """Store a search with what belongs to it, all or nothing.

        Parameters
        ----------
        bundle : Bundle or Search
        replace : bool
            Whether it may take the place of a search of its name, with the files of that. Stored signals in the
            bins stay, except where the bundle has the same points.

        Returns
        -------
        Replaced or None
            What went; None if nothing did.

        Raises
        ------
        OutputError
            If it or a signal is stored already and `replace` is false.
        InputError
            If it has other bins than the search in whose place it comes while other signals are stored in these, or a
            file of it is not what its name says.
        DatabaseError
            If the database cannot be written.
        """
        whole = Bundle(bundle) if isinstance(bundle, Search) else bundle
        _check_files(whole)
        return self.store.add_search(whole.search, signals=whole.signals, files=whole.files, replace=replace)

    def add_signals(self, signals: Iterable[SignalModel], *, replace: bool = False) -> Replaced | None:
        """Store signals in the bins of stored searches, all or none; as `superbin.store.Store.add_signals`."""
        return self.store.add_signals(signals, replace=replace)

    def delete(self, search: str | Search) -> Deleted:
        """Delete a search with its signals, scans and files; one that ships comes back with ``open_catalog(refresh=True)``.

        Returns
        -------
        Deleted
            What went.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        DatabaseError
            If the database cannot be written.
        """
        return self.store.delete_search(_name(search))

    def scans(self) -> tuple[StoredScan, ...]:
        """List the scans, by search, model and when they were begun."""
        return self.store.scans()

    # --- signals ----------------------------------------------------------------------------------------------

    def models(self, search: str | Search) -> Mapping[str, tuple[Source, ...]]:
        """Signal models in the bins of a search, sorted, and for each of them where its signals come from.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        """
        found: dict[str, tuple[Source, ...]] = {s.model: ("table",) for s in self.signals(search)}
        for model in self._grids(_name(search)):
            found[model] = (*found.get(model, ()), "grid")
        return MappingProxyType(dict(sorted(found.items())))

    def signals(self, search: str | Search | None = None) -> tuple[StoredSignal, ...]:
        """List the stored signals of a search, or of all, by search, model and parameters.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        """
        return self.store.signals(None if search is None else _name(search))

    def signal(
        self,
        search: str | Search,
        model: str,
        masses: Sequence[float],
        *,
        source: Source | None = None,
        grid: str | Path | None = None,
        cross_section: float | None = None,
    ) -> SignalModel:
        """Find the signal of a model at any masses.

        Parameters
        ----------
        search : str or Search
            In whose bins, and at whose luminosity.
        model : str
            Such as ``"T1bbbb"``.
        masses : sequence of float
            In the model's order, GeV.
        source : {"table", "grid"}, optional
            By default as `signal_source` chooses.
        grid : str or Path, optional
            A grid file to use in place of the search's own.
        cross_section : float, optional
            In pb; by default the one the stored yields have, or for a grid that of `cross_sections`.

        Returns
        -------
        SignalModel
            Its `source` says which one it came from.

        Raises
        ------
        UnknownNameError
            If the model or the point is not there, where the text names the nearest, or `source` is another word.
        InputError
            If the masses are impossible or outside the grid, the grid is of another model or search, or the stored
            yields have no cross section to be changed.
        DocumentError
            If the grid file breaks its format.
        """
        if source is None:
            source = self.signal_source(search, model, masses, grid=grid)
        if source == "table":
            if grid is not None:
                raise InputError(
                    "source 'table' takes the stored yields and no grid file; drop one of the two"
                )
            return _rescaled(self._stored(_name(search), model, masses), cross_section)
        if source != "grid":
            raise UnknownNameError(f"source is {source!r}; it must be one of {', '.join(SOURCES)}")
        within = self._search(search)
        found = self.grid(within, model, grid)
        if cross_section is None:
            found.at(*masses)  # which says what is wrong with the masses before a table does
            cross_section = self.cross_sections(found.process, within).at(masses[0]).pb
        return found.signal(masses, luminosity_fb=within.luminosity_fb, cross_section=cross_section)

    def signal_source(
        self, search: str | Search, model: str, masses: Sequence[float], *, grid: str | Path | None = None
    ) -> Source:
        """Choose where a signal comes from: a grid file if one is given, stored yields of exactly this point, the grid.

        Parameters
        ----------
        search, model, masses
            As of `signal`.
        grid : str or Path, optional
            A grid file; it is not read here.

        Raises
        ------
        UnknownNameError
            If neither the point is stored nor a grid of the model at hand.
        InputError
            If the model has another number of parameters, or one is not finite.
        DatabaseError
            If the point is not found and the database is damaged: a grid does not stand in for what was lost.
        """
        name = _name(search)
        if grid is not None:
            return "grid"
        if self.store.holds_signal(name, model, masses):
            return "table"
        models = self.models(name)
        if "grid" in models.get(model, ()):
            return "grid"
        if model in models:
            self.store.signal(name, model, masses)  # which says what is nearest
        raise UnknownNameError(
            f"model {model!r} has neither stored signals nor a grid in the bins of {name!r}; {nearest(model, models)}"
        )

    def only_stored(self, search: str | Search, model: str) -> bool:
        """Whether signals of a model are stored in the bins of a search, and no grid of it belongs to the search."""
        return self.models(_name(search)).get(model, ()) == ("table",)

    def grid(self, search: str | Search, model: str, path: str | Path | None = None) -> SignalGrid:
        """Read the grid of a model in the bins of a search: the one that belongs to the search, or a file.

        Parameters
        ----------
        search : str or Search
            In whose bins.
        model : str
            Such as ``"T1bbbb"``.
        path : str or Path, optional
            A grid file; by default the grid of the search.

        Raises
        ------
        UnknownNameError
            If there is none for the model; the text names the nearest.
        InputError
            If the file is missing, or of another model or search.
        DocumentError
            If it breaks its format.
        """
        name = _name(search)
        models = self._grids(name)
        statements = self._statements(name)
        if path is not None:
            found = replace(read_grid(path), statements=statements)
        elif model not in models:
            there = f"{nearest(model, models)}; " if models else ""
            stored = any(signal.model == model for signal in self.signals(name))
            others = "; --stored takes its signals in the database" if stored else ""
            raise UnknownNameError(
                f"there is no grid of model {model!r} for {name!r}; {there}make one with: superbin signal generate{others}"
            )
        else:
            file = f"grids/{model}.csv.gz"
            found = _parsed_grid(self.store.file(name, file), f"{name}/{file}", statements)
        if (found.model, found.search) != (model, name):
            raise InputError(
                f"{path} is a grid of {found.model!r} in the bins of {found.search!r}, and not of {model!r} in those of "
                f"{name!r}; name another file"
            )
        n_bins = self._search(search).n_bins
        if found.n_bins != n_bins:
            raise InputError(f"{path} has {counted(found.n_bins, 'bin')}, and search {name!r} has {n_bins}")
        return found

    # --- what else belongs to a search ------------------------------------------------------------------------

    def likelihood(self, search: str | Search) -> "PublishedLikelihood | Engine":
        """The likelihood of a search, in any form.

        Returns
        -------
        PublishedLikelihood or Engine
            What `published_likelihood` gives, whose signal is left open; or the workspace or the cards that the search was imported from,
            with their own signal, as `superbin.likelihood.read` gives them.

        Raises
        ------
        UnknownNameError
            If it has none; the text names searches that have.
        InputError
            If it predicts other backgrounds than the search has, to 0.1 %.
        """
        name = _name(search)
        files = self.files(name)
        if self.has_likelihood(name) or not any(
            f == "workspace.json" or f.startswith("cards/") for f in files
        ):
            return self.published_likelihood(name)
        from superbin.likelihood.reading import read_files

        return read_files({file: self.store.file(name, file) for file in files}, name=name)

    def open_likelihood(self, search: str | Search) -> "PublishedLikelihood | ImportedLikelihood | None":
        """The likelihood of a search with its signal left open, in any form; None if it has none.

        Returns
        -------
        PublishedLikelihood, ImportedLikelihood or None
            What `published_likelihood` gives, or the workspace or the cards that the search was imported from, which take any signal in
            its bins.

        Raises
        ------
        InputError
            As of `likelihood`, or if a bin of the search is not in its likelihood.
        """
        found = self._search(search)
        if self.has_likelihood(search):
            return self.published_likelihood(search)
        files = [f for f in self.store.files(found.name) if f.startswith(_FORMS_OF_LIKELIHOOD)]
        if not files:
            return None
        from superbin.likelihood.imported import ImportedLikelihood

        content = {file: self.store.file(found.name, file) for file in files}
        return ImportedLikelihood.from_files(content, found.names, name=found.name)

    def has_likelihood(self, search: str | Search) -> bool:
        """Whether a search published a likelihood with its signal left open, so that `published_likelihood` reads it."""
        return _LIKELIHOOD in self.store.files(_name(search))

    def published_likelihood(self, search: str | Search) -> "PublishedLikelihood":
        """The likelihood that a search published with its signal left open.

        Raises
        ------
        UnknownNameError
            If it has none; the text names searches that have.
        InputError
            If it predicts other backgrounds than the search has, to 0.1 %.
        """
        name = _name(search)
        if not self.has_likelihood(name):
            having = [s.name for s in self.searches() if self.has_likelihood(s.name)]
            there = f"there is one for {', '.join(having)}" if having else "no search has one yet"
            raise UnknownNameError(f"search {name!r} has no likelihood; {there}")
        found = _parsed_likelihood(self.store.file(name, _LIKELIHOOD), f"{name}/{_LIKELIHOOD}")
        # Most commands open a catalog, few need the likelihood and what it imports.
        from superbin.likelihood import checked_likelihood

        return checked_likelihood(found, self._search(search))

    def limits(self, search: str | Search, model: str) -> PublishedResults | None:
        """What a search published of a model: limits on its cross section and exclusion contours.

        Returns
        -------
        PublishedResults or None
            None where nothing is at hand.

        Raises
        ------
        UnknownNameError
            If no search has this name; the text names the nearest.
        """
        name = _name(search)
        files = self.store.files(name)
        if LIMITS not in files:
            return None
        texts = (
            _text(self.store.file(name, f), f"{name}/{f}") if f in files else None
            for f in (LIMITS, CONTOUR_LINES)
        )
        limits, contours = texts
        return _parsed_limits(limits or "", contours, name).get(model)

    def cross_sections(self, process: str, search: str | Search | None = None) -> CrossSectionTable:
        """Cross sections of the pairs of a particle: the search's own where it brought some, else superbin's.

        Parameters
        ----------
        process : str
            Such as ``"gluino"``; `superbin.domain.cross_sections.process_of` says it of a model.
        search : str or Search, optional
            Whose table, and at whose energy; by default superbin's at 13 TeV.

        Raises
        ------
        UnknownNameError
            If there is none for the process.
        InputError
            If superbin's are of another energy.
        """
        if search is None:
            return packaged.cross_section_table(process)
        name, file = _name(search), f"cross-sections/{process}.csv"
        if file in self.store.files(name):
            place = f"{name}/{file}"
            return parse_cross_sections(_text(self.store.file(name, file), place), process, place=place)
        return packaged.cross_section_table(process, sqrt_s_tev=self._search(search).sqrt_s_tev)

    def cross_section_of(
        self, signal: SignalModel, search: str | Search | None = None
    ) -> CalculatedCrossSection:
        """Look up how well the cross section of a signal is known, and to which order.

        Both are those of `cross_sections` at the mass of the produced particle, the first one, if the signal is normalised to the
        table's value there within 2 %. Of another value nothing is known.

        Parameters
        ----------
        signal : SignalModel
        search : str or Search, optional
            As in `cross_sections`.
        """
        unknown = CalculatedCrossSection(None, "")
        if signal.cross_section_pb is None or not signal.parameters:
            return unknown
        try:
            table = self.cross_sections(process_of(signal.model), search)
            found = table.at(next(iter(signal.parameters.values())))
        except (InputError, UnknownNameError):
            return unknown
        if abs(signal.cross_section_pb / found.pb - 1) > SAME_CROSS_SECTION:
            return unknown
        return CalculatedCrossSection(found.relative_uncertainty, table.order)

    # --- inside -----------------------------------------------------------------------------------------------

    def _search(self, search: str | Search) -> Search:
        return search if isinstance(search, Search) else self.search(search)

    def _grids(self, name: str) -> tuple[str, ...]:
        """Models of which there is a grid, sorted."""
        return tuple(sorted(match[1] for file in self.store.files(name) if (match := _GRID.fullmatch(file))))

    def _statements(self, name: str) -> tuple[AccuracyStatement, ...]:
        if _ACCURACY not in self.store.files(name):
            return ()
        place = f"{name}/{_ACCURACY}"
        return parse_statements(_text(self.store.file(name, _ACCURACY), place), place)

    def _stored(self, name: str, model: str, masses: Sequence[float]) -> SignalModel:
        """The yields of a stored point."""
        try:
            return self.store.signal(name, model, masses)
        except UnknownNameError as error:
            if model in self._grids(name):
                raise UnknownNameError(
                    f"{error}; there is a grid of {model!r}: take source 'grid'"
                ) from error
            raise


def _check_files(bundle: Bundle) -> None:
    """Refuse files that could not be read when they are needed."""
    name, files = bundle.search.name, bundle.files
    for file, content in files.items():
        place = f"{name}/{file}"
        if match := _GRID.fullmatch(file):
            grid = _parsed_grid(content, place, ())
            if (grid.model, grid.search, grid.n_bins) != (match[1], name, bundle.search.n_bins):
                raise InputError(
                    f"{place}: is a grid of {grid.model!r} in {counted(grid.n_bins, 'bin')} of {grid.search!r}; a grid of {match[1]!r} "
                    f"in the {bundle.search.n_bins} of {name!r} belongs there"
                )
        elif match := _CROSS_SECTIONS.fullmatch(file):
            parse_cross_sections(_text(content, place), match[1], place=place)
        elif file in _READERS:
            _READERS[file](content, place)
    if LIMITS in files:
        contours = files.get(CONTOUR_LINES)
        parse_published(
            _text(files[LIMITS], f"{name}/{LIMITS}"),
            None if contours is None else _text(contours, f"{name}/{CONTOUR_LINES}"),
            place=name,
        )


def _changes(content: bytes, place: str) -> tuple[str, ...]:
    """The changes of a generator card; its ``source`` says where the constants come from, and is none."""
    changes = parse_json(_text(content, place), place)
    if not isinstance(changes, dict):
        raise DocumentError(f'{place}: a card is a JSON object, such as {{"selection.overall_factor": 0.9}}')
    return tuple(f"{key}={json.dumps(value)}" for key, value in changes.items() if key != "source")


def _recipe(content: bytes, place: str) -> object:
    from superbin.io.datacards.repair import parse_recipe

    return parse_recipe(_text(content, place), place)


def _name(search: str | Search) -> str:
    return search.name if isinstance(search, Search) else search


def _text(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"{place}: is not UTF-8 text; import the search again with a corrected file"
        ) from error


# What takes long to read is kept by its content, so that a replaced file is never mistaken for the old one.


@lru_cache(maxsize=8)
def _parsed_grid(content: bytes, place: str, statements: tuple[AccuracyStatement, ...]) -> SignalGrid:
    grid = parse_grid(_text(unpacked(content, place), place), Path(place))
    return replace(grid, statements=statements)


@lru_cache(maxsize=2)
def _parsed_likelihood(content: bytes, place: str) -> "PublishedLikelihood":
    from superbin.likelihood import from_packed

    return from_packed(content, place)


@lru_cache(maxsize=8)
def _parsed_limits(limits: str, contours: str | None, place: str) -> Mapping[str, PublishedResults]:
    return parse_published(limits, contours, place=place)


_READERS: Mapping[str, Callable[[bytes, str], object]] = {
    _LIKELIHOOD: _parsed_likelihood,
    _ACCURACY: lambda content, place: parse_statements(_text(content, place), place),
    "card-recipe.json": _recipe,
    _CARD: _changes,
}
"""What reads the files that a bundle has once at most."""


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
        source=f"{signal.source}; here scaled to {cross_section:g} pb",
        cross_section_pb=cross_section,
        variations={name: (factor * up, factor * down) for name, (up, down) in signal.variations.items()},
    )
