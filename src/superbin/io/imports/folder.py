"""superbin's own folder of tables: ``search.json`` with bins, backgrounds and what belongs to them.

Beside the three tables of the search it may hold ``signals/*.csv`` and the files that `superbin.domain.bundle.FILES` lists.
"""

import re
from pathlib import Path

from superbin.domain.bundle import Bundle, meaning
from superbin.errors import DocumentError, InputError
from superbin.io.imports.base import Imported, Options, Source
from superbin.io.tables import read_search, read_signal

__all__ = ["IMPORTER", "FolderImporter"]

_OWN = re.compile(
    r"search\.json|bins\.csv|backgrounds\.csv|covariance(_up|_down)?\.csv(\.gz)?|signals/[^/]+\.csv", re.ASCII
)
_MOST_FILES = 20_000


class FolderImporter:
    """A folder with ``search.json``, as `superbin db export` writes it."""

    name = "superbin"
    title = "superbin's own folder of tables (with search.json)"

    def recognises(self, source: Source) -> bool:
        """A folder with ``search.json`` and ``bins.csv``."""
        return source.has("search.json", "bins.csv")

    def read(self, source: Source, options: Options) -> Imported:
        """Read the search with its signals and files; the options say nothing that it does not."""
        _refuse_options(options, source)
        search = read_search(source.path)
        notes = [f"superbin's own folder: search {search.name!r} of {search.n_bins} bins"]
        signals, files = [], {}
        for path in _files(source):
            name = path.relative_to(source.path).as_posix()
            if name.startswith("signals/"):
                signals.append(read_signal(path))
            elif _OWN.fullmatch(name):
                continue
            elif what := meaning(name):
                files[name] = _content(path)
                notes.append(f"{name}: {what}")
            else:
                notes.append(f"{name}: not used")
        if signals:
            notes.append(f"signals: {len(signals)} points")
        try:
            bundle = Bundle(search, tuple(signals), files)
        except DocumentError:
            raise
        except InputError as error:
            raise DocumentError(f"{source.path}: {error}") from error
        return Imported(bundle, self.name, tuple(notes))


IMPORTER = FolderImporter()


def _refuse_options(options: Options, source: Source) -> None:
    given = [
        what
        for what, value in (
            ("a name", options.name),
            ("a luminosity", options.luminosity_fb),
            ("an energy", options.sqrt_s_tev),
            ("a mapping", options.mapping),
        )
        if value
    ]
    if given:
        raise InputError(f"{source.path} states everything itself; {given[0]} is not taken, edit search.json")


def _files(source: Source) -> list[Path]:
    # Hidden files are no content, but a signal's file may be called after a model whose name begins with a point.
    signals = source.path / "signals"
    found = sorted(
        p
        for p in source.path.rglob("*")
        if p.is_file() and (not p.name.startswith(".") or (p.parent == signals and p.name.startswith("..")))
    )
    if len(found) > _MOST_FILES:
        raise InputError(f"{source.path}: holds {len(found)} files; at most {_MOST_FILES} are read")
    root = source.path.resolve()
    for path in found:
        if not path.resolve().is_relative_to(root):
            raise DocumentError(f"{path}: is a link out of the folder; copy the file into it")
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; the file must be readable") from error
