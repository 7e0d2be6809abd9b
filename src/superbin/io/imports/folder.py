"""superbin's own folder of tables: ``search.json`` with bins, backgrounds and what belongs to them.

Beside the three tables of the search it may hold ``signals/*.csv`` and the files that `superbin.domain.bundle.FILES` lists.
"""

import re
from itertools import islice
from pathlib import Path

from superbin._support.files import MOST_FILES, first_bytes, lies_in
from superbin._support.shown import counted
from superbin.domain.bundle import Bundle, meaning
from superbin.domain.search import Search
from superbin.errors import DocumentError, InputError
from superbin.io.imports.base import LARGEST_FILE, Imported, Options, Source
from superbin.io.tables import read_search, read_signal

__all__ = ["IMPORTER", "FolderImporter"]

_OWN = re.compile(
    r"search\.json|bins\.csv|backgrounds\.csv|covariance(_up|_down)?\.csv(\.gz)?|signals/[^/]+\.csv", re.ASCII
)


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
        paths = _files(source)
        _check_texts(search, source)
        notes = [f"superbin's own folder: search {search.name!r} of {counted(search.n_bins, 'bin')}"]
        signals, files = [], {}
        for path in paths:
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
            notes.append(f"signals: {counted(len(signals), 'point')}")
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


def _check_texts(search: Search, source: Source) -> None:
    """Refuse texts with characters that do not print, which may hide or turn what stands beside them."""
    texts = {
        **{
            f"{key} of observable {o.name}": getattr(o, key)
            for o in search.observables
            for key in ("label", "unit")
        },
        **{f"label of process {p.name}": p.label for p in search.processes},
        **{
            key: " ".join(getattr(search, key).split())
            for key in ("title", "reference", "source", "licence", "citation", "accuracy")
        },
    }
    for what, text in texts.items():
        if not text.isprintable():
            raise DocumentError(
                f"{source.path}/search.json: the {what} is {text!r}; texts hold no control characters or bidi marks"
            )


def _files(source: Source) -> list[Path]:
    # Hidden files are no content, but a signal's file may be called after a model whose name begins with a point.
    signals = source.path / "signals"
    every = list(islice(source.path.rglob("*"), 2 * MOST_FILES))
    for path in every:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise DocumentError(f"{path}: is a device or a pipe; only files are read")
    found = sorted(
        p
        for p in every
        if p.is_file() and (not p.name.startswith(".") or (p.parent == signals and p.name.startswith("..")))
    )
    if len(found) > MOST_FILES:
        raise InputError(f"{source.path}: holds {counted(len(found), 'file')}; at most {MOST_FILES} are read")
    for path in found:
        if not lies_in(path, source.path):
            raise DocumentError(f"{path}: is a link out of the folder; copy the file into it")
    return found


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DocumentError(f"{path}: is larger than {LARGEST_FILE >> 20} MiB; no file of a search is")
        return first_bytes(path, LARGEST_FILE)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; the file must be readable") from error
